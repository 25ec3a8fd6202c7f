//! `report.html`: the model as one page that needs nothing else: no network, no other file.
//!
//! Charts are SVG written by hand: crates for charts give pictures of fixed colours without texts for readers who cannot see
//! them, and the page's must follow the reader's colour scheme, carry their words, and answer the pointer and the keyboard.

mod bars;
mod colour;
mod flow;
mod mix;
mod svg;
mod table;
mod tables;

use std::fmt::Write as _;

use askama::Template;
use serde_json::json;

use self::bars::Bar;
use self::mix::What;
use self::table::Table;
use super::model::{Bucket, Kind, MixReport};
use crate::error::{Error, Result};
use crate::plan::number;

/// The page; askama escapes all that is not marked safe.
#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'a> {
    report: &'a MixReport,
    style: &'static str,
    script: &'static str,
    colours: String,
    data: String,
    chips: Vec<Chip>,
    tiles: Vec<Tile>,
    expect: Option<Table>,
    /// Name, planned and realised chart of each way to stack.
    stacks: Vec<Stack>,
    phases: Vec<PhasePart>,
    sources: Table,
    drift: Option<Table>,
    concentration: Option<Table>,
    flow: Option<FlowPart>,
    natural: Option<String>,
    charts: Vec<Chart>,
    evidence: Vec<Table>,
    facts: Vec<(&'static str, String)>,
    exports: Option<Table>,
    stages: Option<Table>,
    held_out: Option<Table>,
}

/// A word of the verdict.
struct Chip {
    class: &'static str,
    text: String,
}

/// A large figure.
struct Tile {
    figure: String,
    exact: String,
    name: &'static str,
}

/// A way to stack the mix.
struct Stack {
    id: &'static str,
    name: &'static str,
    planned: String,
    realised: Option<String>,
    legend: Vec<(String, String)>,
}

/// A phase: what is said of it, and its table.
struct PhasePart {
    name: String,
    about: String,
    table: Table,
}

/// The flow of documents.
struct FlowPart {
    chart: String,
    table: Table,
    rules: Option<Table>,
}

/// A chart with its words.
struct Chart {
    title: &'static str,
    note: String,
    svg: String,
}

/// Draws the page.
///
/// # Errors
///
/// None that a report of this version can cause.
pub fn page(report: &MixReport) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| Error::Failed(format!("report.html: {error}"));
    let data = serde_json::to_string(&hover(report)).map_err(|error| failed(&error))?;
    let page = Page {
        report,
        style: include_str!("../../../templates/report/style.css"),
        script: include_str!("../../../templates/report/script.js"),
        colours: colours(report),
        // `</script>` in a name must not end the element.
        data: data.replace('<', "\\u003c"),
        chips: chips(report),
        tiles: tiles(report),
        expect: tables::expect(report),
        stacks: stacks(report),
        phases: report
            .phases
            .iter()
            .map(|phase| PhasePart {
                name: phase.name.clone(),
                about: tables::phase_words(phase),
                table: tables::phase(report, phase),
            })
            .collect(),
        sources: tables::sources(report),
        drift: tables::drift(report),
        concentration: tables::concentration(report),
        flow: report.flow.as_ref().map(|flow| FlowPart {
            chart: flow::chart(&flow.documents),
            table: tables::documents(report),
            rules: tables::rules(report),
        }),
        natural: report.flow.is_some().then(|| bars::natural(report)),
        charts: charts(report),
        evidence: tables::evidence(report),
        facts: facts(report),
        exports: tables::exports(report),
        stages: tables::stages(report),
        held_out: tables::held_out(report),
    };
    // Most pages fit: a text that grows by bits is copied over and over.
    let mut html = String::with_capacity(256 << 10);
    page.render_into(&mut html).map_err(|error| failed(&error))?;
    Ok(html)
}

fn colours(report: &MixReport) -> String {
    let (sources, groups) = colour::colours(report);
    let mut css = String::new();
    for (letter, list) in [('s', sources), ('g', groups)] {
        for (index, colour) in list.iter().enumerate() {
            let _infallible = write!(css, ".{letter}{index}{{--c:{}}}", colour.css());
        }
    }
    css
}

/// What the script needs to answer the pointer: shares and counts, in the order of the page's layers.
fn hover(report: &MixReport) -> serde_json::Value {
    let layer = |layer: mix::Layer| json!({"n": layer.name, "c": layer.class, "s": layer.sources});
    let mut from = 0;
    let phases: Vec<_> = (report.phases.iter())
        .map(|phase| {
            let share = |of: fn(&super::model::PhaseSource) -> f64| -> Vec<f64> {
                let found = |name: &str| phase.sources.iter().find(|source| source.name == name);
                report.sources.iter().map(|source| found(&source.name).map_or(0.0, of)).collect()
            };
            from += phase.tokens;
            json!({
                "n": phase.name, "f": from - phase.tokens, "t": from, "s": phase.sequence_length,
                "a": share(|source| source.share_from), "z": share(|source| source.share_to),
            })
        })
        .collect();
    let bins: Vec<_> =
        report.bins.iter().map(|bin| json!([bin.phase, bin.first_window, bin.windows, bin.sources])).collect();
    json!({
        "total": report.tokens,
        "source": mix::by_source(report).into_iter().map(layer).collect::<Vec<_>>(),
        "group": mix::by_group(report).into_iter().map(layer).collect::<Vec<_>>(),
        "phases": phases,
        "bins": bins,
    })
}

fn chips(report: &MixReport) -> Vec<Chip> {
    let mut chips = Vec::new();
    let mut say = |good: bool, text: String| chips.push(Chip { class: if good { "good" } else { "bad" }, text });
    let verdict = &report.verdict;
    let (hold, all) = (verdict.expect.iter().filter(|line| line.holds).count(), verdict.expect.len());
    if all > 0 {
        let text = if hold == all {
            format!("all {all} expectations hold")
        } else {
            format!("{} of {all} expectations fail", all - hold)
        };
        say(hold == all, text);
    }
    if let Some(balances) = verdict.ledger_balances {
        say(balances, if balances { "ledger balances" } else { "ledger does not balance" }.to_owned());
    }
    if let Some(suffice) = verdict.sources_suffice {
        say(suffice, if suffice { "every source suffices" } else { "a source falls short" }.to_owned());
    }
    match &verdict.verification {
        Some(found) if found.found > 0 => {
            say(false, format!("verification found {} faults", number::count(found.found)))
        }
        Some(found) if found.quick => say(true, "sizes, manifest and shares verified".to_owned()),
        Some(_) => say(true, "verified".to_owned()),
        None => {}
    }
    chips
}

fn tiles(report: &MixReport) -> Vec<Tile> {
    let tile = |count: u64, name| Tile { figure: number::tokens(count), exact: number::count(count), name };
    let mut tiles = vec![
        tile(report.tokens, "trained tokens"),
        tile(report.windows, "windows"),
        tile(report.phases.len() as u64, if report.phases.len() == 1 { "phase" } else { "phases" }),
        tile(report.sources.len() as u64, if report.sources.len() == 1 { "source" } else { "sources" }),
    ];
    match &report.flow {
        Some(flow) => {
            tiles.push(tile(flow.documents.read, "documents read"));
            tiles.push(tile(flow.documents.emitted, "documents in windows"));
        }
        None => tiles.push(tile(report.sources.iter().map(|source| source.size.tokens).sum(), "unique tokens")),
    }
    tiles.push(Tile {
        figure: number::bytes(report.bytes.into()),
        exact: format!("{} bytes", number::count(report.bytes)),
        name: "of tokens on disk",
    });
    tiles
}

fn stacks(report: &MixReport) -> Vec<Stack> {
    let stack = |id: &'static str, name, layers: Vec<mix::Layer>| Stack {
        id,
        name,
        planned: mix::chart(report, &format!("planned-{id}"), What::Planned, &layers),
        realised: (!report.bins.is_empty())
            .then(|| mix::chart(report, &format!("realised-{id}"), What::Realised, &layers)),
        legend: layers.into_iter().map(|layer| (layer.class, layer.name)).collect(),
    };
    let mut stacks = vec![stack("source", "by source", mix::by_source(report))];
    if report.sources.iter().any(|source| source.group.is_some()) {
        stacks.push(stack("group", "by group", mix::by_group(report)));
    }
    stacks
}

fn range(bucket: &Bucket) -> String {
    let short = |number: u64| match number {
        0..1024 => number.to_string(),
        _ if number.is_power_of_two() && number < 1 << 20 => format!("{}Ki", number >> 10),
        _ if number.is_power_of_two() => format!("{}Mi", number >> 20),
        _ => number::tokens(number),
    };
    if bucket.from == bucket.to { short(bucket.from) } else { format!("{}+", short(bucket.from)) }
}

fn bucket_bars(buckets: &[Bucket], what: &str) -> Vec<Bar> {
    let bar = |bucket: &Bucket| {
        let range = if bucket.from == bucket.to {
            number::count(bucket.from)
        } else {
            format!("{} to {}", number::count(bucket.from), number::count(bucket.to))
        };
        Bar {
            label: self::range(bucket),
            tip: format!("{range}: {} {what}", number::count(bucket.count)),
            count: bucket.count,
        }
    };
    buckets.iter().map(bar).collect()
}

fn charts(report: &MixReport) -> Vec<Chart> {
    let mut charts = Vec::new();
    let sampled = |part: f64| match part {
        1.0 => String::new(),
        part => format!(" Of one document in {}, chosen by key.", number::tokens_of(1.0 / part)),
    };
    if let Some(of) = &report.distributions {
        let bars = bucket_bars(&of.document_tokens.all, "documents");
        charts.push(Chart {
            title: "Length of documents",
            note: format!(
                "Tokens of a document as far as it is read; each bar is twice as wide as the one before.{}",
                sampled(of.sample)
            ),
            svg: bars::bars("lengths", "Length of documents", "tokens", &bars),
        });
        let bars = bucket_bars(&of.window_fragments.all, "windows");
        charts.push(Chart {
            title: "Documents in a window",
            note: "How many documents, or parts of them, share a window.".to_owned(),
            svg: bars::bars("fragments", "Documents in a window", "fragments", &bars),
        });
        let bars: Vec<Bar> = (of.times_read.iter())
            .map(|times| {
                let count = times.sources.iter().sum();
                let tip = format!("read in {} epochs: {} documents", times.times, number::count(count));
                Bar { label: times.times.to_string(), tip, count }
            })
            .collect();
        charts.push(Chart {
            title: "How often documents are read",
            note: format!("Epochs of its source in which some part of a document is read.{}", sampled(of.sample)),
            svg: bars::bars("times", "How often documents are read", "epochs", &bars),
        });
    }
    if let Some(of) = &report.evidence {
        for (id, title, note, buckets) in [
            (
                "exact-clusters",
                "Copies of one text",
                "Equal texts, the one that stayed among them.".to_owned(),
                &of.exact_clusters,
            ),
            (
                "near-clusters",
                "Texts like one that stayed",
                format!("Similar texts, the one that stayed among them.{}", sampled(of.cluster_sample)),
                &of.near_clusters,
            ),
        ] {
            if !buckets.is_empty() {
                let svg = bars::bars(id, title, "documents in the cluster", &bucket_bars(buckets, "clusters"));
                charts.push(Chart { title, note, svg });
            }
        }
        if !of.similarity.is_empty() {
            let bars: Vec<Bar> = (of.similarity.iter())
                .map(|bucket| Bar {
                    label: format!("{:.3}", bucket.from),
                    tip: format!("{:.3} to {:.3}: {} documents", bucket.from, bucket.to, number::count(bucket.count)),
                    count: bucket.count,
                })
                .collect();
            charts.push(Chart {
                title: "Similarity of near duplicates",
                note: "Measured Jaccard index with the document that stayed.".to_owned(),
                svg: bars::bars("similarity", "Similarity of near duplicates", "Jaccard index", &bars),
            });
        }
    }
    charts
}

fn facts(report: &MixReport) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(digest) = &report.dataset_digest {
        facts.push(("dataset digest", digest.clone()));
    }
    facts.push(("seed", report.seed.to_string()));
    facts.push(("scale", report.scale.clone()));
    if let Some(thin) = report.thin.as_ref().filter(|thin| *thin != "1") {
        facts.push(("thin", thin.clone()));
    }
    let id = |id: Option<u32>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
    if let Some(of) = &report.tokenizer {
        facts.push(("tokenizer", of.name.clone()));
        facts.push(("tokenizer digest", of.digest.clone()));
        let vocabulary = format!("{} ids, stored as {}", number::count(of.vocab_size.into()), report.token_dtype);
        facts.push(("vocabulary", vocabulary));
        facts.push(("largest id", number::count(of.max_token_id.into())));
        facts.push(("BOS, EOS, padding", format!("{}, {}, {}", id(of.bos_id), id(of.eos_id), of.pad_id)));
        facts.push(("encoded by", of.backend.clone()));
    }
    if let Some(plan) = &report.plan {
        facts.push(("output", number::bytes(plan.output_bytes.into())));
        facts.push(("scratch", number::bytes(plan.scratch_bytes.into())));
        facts.push(("least memory", number::bytes(plan.memory_floor_bytes.into())));
        if let Some(seconds) = plan.seconds {
            facts.push(("time", number::duration(seconds)));
        }
    }
    if let Some(run) = &report.run {
        facts.push(("compiled in", number::duration(run.seconds)));
        facts.push(("threads, memory", format!("{}, {}", run.threads, number::bytes(run.memory_bytes.into()))));
    }
    facts.push(("report by", format!("Syllabus {}, format {}", report.syllabus, report.format_version)));
    facts
}
