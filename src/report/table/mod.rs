//! A compiled dataset as tables: the mix that was planned and the one that came out, where every source's documents and
//! tokens went, and what was expected.

mod natural;

use std::collections::BTreeMap;

use num_rational::BigRational;
use num_traits::ToPrimitive;
use serde::Serialize;
use syllabus_reader::format::TokenDtype;
use syllabus_reader::format::manifest::{ExpectResult, Manifest, PhaseSummary};

use crate::ledger::Row;
use crate::plan::number;
use crate::plan::text::{Align, Table, WIDTH, filled};
use crate::plan::{PhasePlan, Plan};
pub use natural::Natural;

/// Outcomes of documents in the order of their way; rows filtered by any rule count as `filtered`.
const DOCUMENTS: [&str; 11] = [
    "read",
    "bad",
    "filtered",
    "empty",
    "contaminated",
    "exact",
    "near",
    "near_validation",
    "held_out",
    "emitted",
    "unused",
];
/// Outcomes of tokens. What was never tokenized has none.
const TOKENS: [&str; 8] =
    ["contaminated", "exact", "near", "near_validation", "held_out", "emitted", "truncated", "unused"];

/// A compiled dataset, for people and (`--json`) for programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of this shape.
    pub format: u32,
    /// The curriculum's name.
    pub name: String,
    /// The dataset's digest.
    pub dataset_digest: String,
    /// Seed.
    pub seed: u64,
    /// `--scale` as an exact fraction.
    pub scale: String,
    /// `--thin` as an exact fraction.
    pub thin: String,
    /// The tokenizer's name.
    pub tokenizer: String,
    /// Width of a token.
    pub token_dtype: TokenDtype,
    /// Windows of all phases.
    pub windows: u64,
    /// Trained positions of all phases.
    pub tokens: u64,
    /// Phases in training order.
    pub phases: Vec<ReportPhase>,
    /// Sources in declaration order.
    pub sources: Vec<ReportSource>,
    /// How removing duplicates shifted the natural mix: sources in declaration order; empty where the ledger does not say.
    pub natural_mix: Vec<Natural>,
    /// Held-out documents and tokens by source.
    pub validation: Vec<ReportValidation>,
    /// `expect` lines as judged on what was emitted.
    pub expect: Vec<ExpectResult>,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportPhase {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// Windows.
    pub windows: u64,
    /// Trained positions.
    pub tokens: u64,
    /// Shards.
    pub shards: u64,
    /// Sources that were planned or read, in declaration order.
    pub sources: Vec<ReportShare>,
}

/// A source's part of a phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportShare {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// Share planned, over the whole phase; `null` where the plan is not known.
    pub planned: Option<f64>,
    /// Share of the phase's windows that it has.
    pub realised: f64,
    /// Its windows.
    pub windows: u64,
    /// Trained positions.
    pub tokens: u64,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportSource {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// Unique tokens of the documents that stayed.
    pub unique_tokens: u64,
    /// Stored tokens of its windows in all phases, padding counted.
    pub stored_tokens: u64,
    /// The latter divided by the former; `null` for a source without tokens.
    pub epochs: Option<f64>,
    /// Documents by outcome.
    pub documents: BTreeMap<String, u64>,
    /// Tokens by outcome, over all epochs.
    pub tokens: BTreeMap<String, u64>,
    /// Documents read, less those of all outcomes: zero when the ledger balances; `null` where it does not say.
    pub documents_missing: Option<i128>,
}

/// A held-out set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportValidation {
    /// Its source.
    pub source: String,
    /// Documents.
    pub documents: u64,
    /// Tokens.
    pub tokens: u64,
    /// Windows.
    pub windows: u64,
}

/// Gathers a report. `planned` is the plan on counted sizes that the dataset was made by, where its curriculum could be read.
#[must_use]
pub fn report(manifest: &Manifest, ledger: &[Row], planned: Option<&Plan>) -> Report {
    let stored = |source: &str| {
        let parts = manifest.phases.iter().map(|phase| windows_of(phase, source) * u64::from(phase.window_tokens));
        parts.sum::<u64>()
    };
    let sources: Vec<ReportSource> = (manifest.sources.iter())
        .map(|source| {
            let rows: Vec<&Row> = ledger.iter().filter(|row| row.source == source.name).collect();
            let documents =
                totals(rows.iter().filter(|row| row.phase.is_none() && row.epoch.is_none()), |row| row.documents);
            ReportSource {
                name: source.name.clone(),
                group: source.group.clone(),
                unique_tokens: source.tokens,
                stored_tokens: stored(&source.name),
                epochs: (source.tokens > 0).then(|| stored(&source.name) as f64 / source.tokens as f64),
                documents_missing: missing(&documents),
                documents,
                tokens: totals(rows.iter(), |row| row.tokens),
            }
        })
        .collect();
    Report {
        format: 1,
        name: manifest.name.clone(),
        dataset_digest: manifest.dataset_digest.clone(),
        seed: manifest.seed,
        scale: manifest.scale.clone(),
        thin: manifest.thin.clone(),
        tokenizer: manifest.tokenizer.name.clone(),
        token_dtype: manifest.token_dtype,
        windows: manifest.phases.iter().map(|phase| phase.windows).sum(),
        tokens: manifest.phases.iter().map(|phase| phase.tokens).sum(),
        phases: manifest.phases.iter().map(|phase| phase_report(manifest, phase, planned)).collect(),
        natural_mix: natural::natural_mix(&sources),
        sources,
        validation: (manifest.validation.iter())
            .map(|set| ReportValidation {
                source: set.source.clone(),
                documents: set.documents,
                tokens: set.tokens,
                windows: set.windows,
            })
            .collect(),
        expect: manifest.expect.clone(),
    }
}

fn windows_of(phase: &PhaseSummary, source: &str) -> u64 {
    phase.sources.iter().find(|of| of.name == source).map_or(0, |of| of.windows)
}

fn phase_report(manifest: &Manifest, phase: &PhaseSummary, planned: Option<&Plan>) -> ReportPhase {
    let planned = planned.and_then(|plan| Some((plan, plan.phases.iter().find(|of| of.name == phase.name)?)));
    let share = |(plan, of): (&Plan, &PhasePlan), source: &str| {
        let index = plan.sources.iter().position(|of| of.name == source)?;
        (of.quota(index) / BigRational::from_integer(of.windows.max(1).into())).to_f64()
    };
    let sources = (manifest.sources.iter())
        .map(|source| {
            let windows = windows_of(phase, &source.name);
            ReportShare {
                name: source.name.clone(),
                group: source.group.clone(),
                planned: planned.and_then(|planned| share(planned, &source.name)),
                realised: windows as f64 / phase.windows.max(1) as f64,
                windows,
                tokens: windows * u64::from(phase.sequence_length),
            }
        })
        .filter(|source| source.windows > 0 || source.planned.is_some_and(|share| share > 0.0))
        .collect();
    ReportPhase {
        name: phase.name.clone(),
        digest: phase.digest.clone(),
        sequence_length: phase.sequence_length,
        window_tokens: phase.window_tokens,
        windows: phase.windows,
        tokens: phase.tokens,
        shards: phase.shards.len() as u64,
        sources,
    }
}

/// Sums by outcome; a filter's rule stays in the name, beside the sum of all rules under `filtered`.
fn totals<'a>(rows: impl Iterator<Item = &'a &'a Row>, of: impl Fn(&Row) -> Option<u64>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let Some(number) = of(row) else { continue };
        *sums.entry(row.outcome.clone()).or_insert(0) += number;
        if row.outcome.starts_with("filtered:") {
            *sums.entry("filtered".to_owned()).or_insert(0) += number;
        }
    }
    sums
}

fn missing(documents: &BTreeMap<String, u64>) -> Option<i128> {
    let read = i128::from(*documents.get("read")?);
    documents.get("emitted")?;
    let others = DOCUMENTS.iter().skip(1);
    Some(read - others.filter_map(|outcome| documents.get(*outcome)).map(|count| i128::from(*count)).sum::<i128>())
}

/// The report as text, no wider than a terminal.
#[must_use]
pub fn render(report: &Report) -> String {
    let dtype = match report.token_dtype {
        TokenDtype::U16 => "u16",
        TokenDtype::U32 => "u32",
    };
    let extra = |name: &str, value: &str| if value == "1" { String::new() } else { format!(", {name} {value}") };
    let mut out = format!(
        "{}: {} tokens in {} windows, seed {}, {}, {dtype}{}{}\n  digest {}\n",
        report.name,
        number::tokens(report.tokens),
        number::count(report.windows),
        report.seed,
        report.tokenizer,
        extra("scale", &report.scale),
        extra("thin", &report.thin),
        report.dataset_digest,
    );
    for phase in &report.phases {
        out.push('\n');
        out.push_str(&phase_text(phase));
    }
    out.push_str("\nWhere documents went\n");
    out.push_str(&outcomes_text(&report.sources, &DOCUMENTS, |source| &source.documents));
    out.push_str(&rules_text(&report.sources));
    for source in &report.sources {
        if let Some(missing) = source.documents_missing.filter(|missing| *missing != 0) {
            out.push_str(&format!("  {}: DOES NOT BALANCE by {missing} documents\n", source.name));
        }
    }
    out.push_str("\nWhere tokens went\n");
    out.push_str(&outcomes_text(&report.sources, &TOKENS, |source| &source.tokens));
    out.push('\n');
    out.push_str(&sources_text(&report.sources));
    out.push_str(&natural::render(&report.natural_mix));
    if !report.validation.is_empty() {
        let mut table = Table::new(&[
            ("held out of", Align::Left),
            ("documents", Align::Right),
            ("tokens", Align::Right),
            ("windows", Align::Right),
        ]);
        for set in &report.validation {
            table.row(vec![
                set.source.clone(),
                number::count(set.documents),
                number::count(set.tokens),
                number::count(set.windows),
            ]);
        }
        out.push('\n');
        out.push_str(&table.render());
    }
    if !report.expect.is_empty() {
        let mut table =
            Table::new(&[("expected", Align::Left), ("of", Align::Left), ("is", Align::Right), ("", Align::Left)]);
        for line in &report.expect {
            // A line about epochs says so in its first word; all others are about shares.
            let value = if line.text.trim_start().starts_with("epochs") {
                number::decimal(line.value)
            } else {
                number::percent(line.value)
            };
            let verdict = if line.holds { "ok" } else { "FAILS" };
            table.row(vec![line.text.clone(), line.phase.clone(), value, verdict.to_owned()]);
        }
        out.push('\n');
        out.push_str(&table.render());
    }
    out
}

fn phase_text(phase: &ReportPhase) -> String {
    let label = if phase.window_tokens > phase.sequence_length { " + 1" } else { "" };
    let mut out = format!(
        "{}\n  {} tokens in {} windows of {}{label}, {} {}\n",
        phase.name,
        number::tokens(phase.tokens),
        number::count(phase.windows),
        number::count(phase.sequence_length.into()),
        number::count(phase.shards),
        if phase.shards == 1 { "shard" } else { "shards" },
    );
    let mut table = Table::new(&[
        ("source", Align::Left),
        ("planned", Align::Right),
        ("realised", Align::Right),
        ("windows off", Align::Right),
        ("windows", Align::Right),
        ("tokens", Align::Right),
    ]);
    let mut done: Vec<&str> = Vec::new();
    for source in &phase.sources {
        let Some(group) = source.group.as_deref() else {
            table.row(share_row(&source.name, phase, &[source]));
            continue;
        };
        if done.contains(&group) {
            continue;
        }
        done.push(group);
        let members: Vec<&ReportShare> =
            phase.sources.iter().filter(|source| source.group.as_deref() == Some(group)).collect();
        table.row(share_row(&format!("{group}:"), phase, &members));
        for member in members {
            table.row(share_row(&format!("  {}", member.name), phase, &[member]));
        }
    }
    out.push_str(&table.render());
    out
}

fn share_row(name: &str, phase: &ReportPhase, sources: &[&ReportShare]) -> Vec<String> {
    let planned = sources.iter().map(|source| source.planned).sum::<Option<f64>>();
    let realised: f64 = sources.iter().map(|source| source.realised).sum();
    let windows: u64 = sources.iter().map(|source| source.windows).sum();
    vec![
        name.to_owned(),
        planned.map_or_else(|| "-".to_owned(), number::percent),
        number::percent(realised),
        planned
            .map_or_else(|| "-".to_owned(), |share| format!("{:+.2}", windows as f64 - share * phase.windows as f64)),
        number::count(windows),
        number::tokens(sources.iter().map(|source| source.tokens).sum()),
    ]
}

/// One column for each outcome that occurs. Numbers are whole where they fit, else in three digits.
fn outcomes_text(
    sources: &[ReportSource],
    order: &[&'static str],
    of: impl Fn(&ReportSource) -> &BTreeMap<String, u64>,
) -> String {
    let outcomes: Vec<&str> = order
        .iter()
        .copied()
        .filter(|outcome| sources.iter().any(|source| of(source).get(*outcome).is_some_and(|number| *number > 0)))
        .collect();
    if outcomes.is_empty() {
        return "  nothing is on record\n".to_owned();
    }
    let table = |written: fn(u64) -> String| {
        let heads: Vec<String> = outcomes.iter().map(|outcome| outcome.replace('_', " ")).collect();
        let mut columns = vec![("source", Align::Left)];
        columns.extend(heads.iter().map(|head| (head.as_str(), Align::Right)));
        let mut table = Table::new(&columns);
        let row = |name: &str, number: &dyn Fn(&str) -> Option<u64>| {
            let numbers = outcomes.iter().map(|outcome| number(outcome).map_or_else(|| "-".to_owned(), written));
            std::iter::once(name.to_owned()).chain(numbers).collect()
        };
        for source in sources {
            table.row(row(&source.name, &|outcome| of(source).get(outcome).copied()));
        }
        if sources.len() > 1 {
            table.row(row("all", &|outcome| {
                sources.iter().filter_map(|source| of(source).get(outcome).copied()).reduce(|a, b| a.saturating_add(b))
            }));
        }
        table
    };
    let whole = table(number::count);
    if whole.width() <= WIDTH { whole.render() } else { table(number::tokens).render() }
}

fn rules_text(sources: &[ReportSource]) -> String {
    let mut out = String::new();
    for source in sources {
        let rules: Vec<String> = (source.documents.iter())
            .filter_map(|(outcome, count)| Some((outcome.strip_prefix("filtered:")?, count)))
            .map(|(rule, count)| format!("{rule} {}", number::count(*count)))
            .collect();
        if !rules.is_empty() {
            out.push_str(&filled(&format!("  {} filtered by: ", source.name), &rules.join(", ")));
        }
    }
    out
}

fn sources_text(sources: &[ReportSource]) -> String {
    let mut table = Table::new(&[
        ("source", Align::Left),
        ("unique tokens", Align::Right),
        ("in windows", Align::Right),
        ("epochs", Align::Right),
    ]);
    for source in sources {
        table.row(vec![
            source.name.clone(),
            number::count(source.unique_tokens),
            number::count(source.stored_tokens),
            source.epochs.map_or_else(|| "-".to_owned(), number::decimal),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests;
