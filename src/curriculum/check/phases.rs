//! `phases:`: budgets, mixes, expectations.

use std::collections::{BTreeMap, BTreeSet};

use num_rational::BigRational;

use super::mixes::{self, Mixes, Tree};
use super::{Check, MAX_SEQUENCE_LENGTH};
use crate::curriculum::checked::{Mix, Packing, Phase, Source};
use crate::curriculum::diagnostics::{Diagnostic, Span};
use crate::curriculum::expect::Expect;
use crate::curriculum::names;
use crate::curriculum::raw::{Item, RawCurriculum, RawMixRef, RawPhase, RawPhaseMix};
use crate::curriculum::units;

/// Files that lie beside the phases' folders in a dataset.
const OUTPUT_FILES: [&str; 6] =
    ["manifest.json", "ledger.parquet", "removed.parquet", "report.html", "report.json", "report.md"];

/// The folder of held-out documents.
const VALIDATION: &str = "validation";

/// Whether a name is that of a file of the dataset.
pub(super) fn is_output_file(name: &str) -> bool {
    OUTPUT_FILES.contains(&name.to_lowercase().as_str())
}

/// What a phase takes from the curriculum where it says nothing itself.
pub(super) struct Defaults {
    pub(super) sequence_length: Option<u32>,
    /// The curriculum has no `sequence_length` at all.
    pub(super) unsaid: bool,
    pub(super) packing: Packing,
    pub(super) shard_bytes: u64,
}

/// Checks all phases and mixes.
pub(super) fn check(raw: &RawCurriculum, sources: &[Source], defaults: &Defaults, check: &mut Check<'_>) -> Vec<Phase> {
    let mut mixes = Mixes::new(raw, check);
    let Some(phases) = raw.phases.given() else {
        mixes.finish(check);
        return Vec::new();
    };
    if phases.value.is_empty() && !raw.phases.is_broken() {
        check.error(&phases.at, "there are no phases");
    }
    let mut checked = Vec::with_capacity(phases.value.len());
    let mut folders: BTreeMap<String, &Span> = BTreeMap::new();
    // Tokens up to the phase at hand; `None` once a budget could not be read.
    let mut total = Some(0u64);
    let mut mixed: BTreeSet<usize> = BTreeSet::new();
    for phase in &phases.value {
        name(&phase.value, raw, &mut folders, check);
        let tokens = budget(phase, &mut total, check);
        let sequence_length = sequence_length(phase, defaults, check);
        if let (Some(tokens), Some(length)) = (tokens, sequence_length)
            && tokens.saturating_mul(2) < u64::from(length)
        {
            check.push(
                Diagnostic::error(
                    phase
                        .value
                        .tokens
                        .given()
                        .or_else(|| phase.value.until.given())
                        .map_or_else(|| phase.at.clone(), |item| item.at.clone()),
                    format!("{} tokens come to no window of {length}", units::tokens_text(tokens)),
                )
                .hint("raise the budget, or lower `sequence_length`"),
            );
        }
        let (from, to) = mix(&phase.value, &mut mixes, check);
        for tree in [&from, &to].into_iter().flatten() {
            mixed.extend(tree.0.sources().iter().map(|(source, _)| *source));
            if let Some(tokens) = tokens {
                mixes::spread(&tree.0, &BigRational::from_integer(tokens.into()), tree.1, check);
            }
        }
        let expect = expectations(&phase.value, check);
        let nothing = || Mix { name: None, entries: Vec::new() };
        checked.push(Phase {
            name: phase.value.name.value().map(|name| name.0.clone()).unwrap_or_default(),
            tokens: tokens.unwrap_or_default(),
            from: from.map_or_else(nothing, |tree| tree.0.to_mix()),
            to: to.map(|tree| tree.0.to_mix()),
            sequence_length: sequence_length.unwrap_or(1),
            packing: phase.value.packing.value().copied().unwrap_or(defaults.packing),
            shard_bytes: super::shard_size(&phase.value.shard_size, check).unwrap_or(defaults.shard_bytes),
            allow_zero: phase.value.allow_zero.value().is_some_and(|flag| flag.0),
            expect,
        });
    }
    mixes.finish(check);
    if !check.out.has_errors() {
        unmixed(raw, sources, &mixed, check);
    }
    checked
}

/// Sources that no phase reads.
fn unmixed(raw: &RawCurriculum, sources: &[Source], mixed: &BTreeSet<usize>, check: &mut Check<'_>) {
    let entries = raw.sources.value().map_or(&[][..], |sources| &sources.entries);
    for (id, (source, entry)) in sources.iter().zip(entries).enumerate() {
        if !mixed.contains(&id) {
            check.push(
                Diagnostic::warning(entry.name_at.clone(), format!("no phase reads the source `{}`", source.name))
                    .hint("it still takes part in dedup; name it in a mix, or remove it"),
            );
        }
    }
}

fn name<'a>(phase: &'a RawPhase, raw: &RawCurriculum, folders: &mut BTreeMap<String, &'a Span>, check: &mut Check<'_>) {
    let Some(name) = phase.name.given() else { return };
    let text = &name.value.0;
    names::check(text, "phase", &name.at, check.out);
    let folder = text.to_lowercase();
    let holdouts = raw.holdout.value().map_or(&[][..], |holdout| &holdout.entries);
    if folder == VALIDATION || holdouts.iter().any(|entry| entry.name.to_lowercase() == folder) {
        check.push(
            Diagnostic::error(
                name.at.clone(),
                format!("a phase cannot be named `{text}`: the folder is for held-out documents"),
            )
            .hint("choose another name"),
        );
    } else if is_output_file(text) {
        check.push(
            Diagnostic::error(name.at.clone(), format!("a phase cannot be named `{text}`: a file of the dataset is"))
                .hint("choose another name"),
        );
    }
    if let Some(first) = folders.insert(folder, &name.at) {
        check.push(
            Diagnostic::error(name.at.clone(), format!("there are two phases named `{text}`"))
                .also(first.clone(), "the first")
                .hint("names of phases become folders, whatever their case"),
        );
    }
}

/// A phase's length in tokens; `total` grows by it.
fn budget(phase: &Item<RawPhase>, total: &mut Option<u64>, check: &mut Check<'_>) -> Option<u64> {
    let raw = &phase.value;
    let before = total.take();
    match (raw.tokens.given(), raw.until.given()) {
        (Some(tokens), Some(until)) => {
            check.push(
                Diagnostic::error(until.at.clone(), "a phase has `tokens` or `until`, not both")
                    .also(tokens.at.clone(), "the other")
                    .hint("`tokens` is the phase's own length, `until` counts from the curriculum's start"),
            );
            None
        }
        (Some(tokens), None) => {
            let length = tokens.value.0;
            if length == 0 {
                check.error(&tokens.at, "a phase reads at least a token");
                return None;
            }
            if let Some(before) = before {
                *total = before.checked_add(length).filter(|sum| *sum <= units::MAX_TOKENS);
                if total.is_none() {
                    check.error(&tokens.at, "the phases together are longer than 10^18 tokens");
                }
            }
            Some(length)
        }
        (None, Some(until)) => {
            let end = until.value.0;
            *total = Some(end);
            let before = before?;
            if end <= before {
                check.push(
                    Diagnostic::error(
                        until.at.clone(),
                        format!("the phases before this one already reach {} tokens", units::tokens_text(before)),
                    )
                    .hint("`until` counts from the curriculum's start: raise it, or use `tokens` for the phase's own length"),
                );
                return None;
            }
            Some(end - before)
        }
        (None, None) => {
            if raw.tokens.is_absent() && raw.until.is_absent() {
                check.push(
                    Diagnostic::error(phase.at.clone(), "this phase has no budget")
                        .hint("give it `tokens: 1T`, or `until: 3.5T` counted from the curriculum's start"),
                );
            }
            None
        }
    }
}

fn sequence_length(phase: &Item<RawPhase>, defaults: &Defaults, check: &mut Check<'_>) -> Option<u32> {
    let own = &phase.value.sequence_length;
    if !own.is_absent() {
        return check.bounded(own, "the sequence length", 1, MAX_SEQUENCE_LENGTH);
    }
    if defaults.unsaid {
        check.push(
            Diagnostic::error(phase.at.clone(), "neither this phase nor the curriculum has a `sequence_length`")
                .hint("write, for example, `sequence_length: 4096` at the top"),
        );
    }
    defaults.sequence_length
}

/// The phase's mix, or both of a ramp, each with the place where the phase names it.
type Ends<'a> = (Option<(Tree, &'a Span)>, Option<(Tree, &'a Span)>);

fn mix<'a>(phase: &'a RawPhase, mixes: &mut Mixes<'a>, check: &mut Check<'_>) -> Ends<'a> {
    fn place(mix: &RawMixRef) -> &Span {
        match mix {
            RawMixRef::Name(name) => &name.at,
            RawMixRef::Mix(mix) => &mix.at,
        }
    }
    match phase.mix.value() {
        Some(RawPhaseMix::Constant(mix)) => (mixes.get(mix, check).map(|tree| (tree, place(mix))), None),
        Some(RawPhaseMix::Ramp(ramp)) => {
            let mut end =
                |mix: Option<&'a RawMixRef>| mix.and_then(|mix| mixes.get(mix, check).map(|tree| (tree, place(mix))));
            (end(ramp.from.value()), end(ramp.to.value()))
        }
        None => (None, None),
    }
}

fn expectations(phase: &RawPhase, check: &mut Check<'_>) -> Vec<Expect> {
    let mut parsed = Vec::new();
    for line in phase.expect.value().map_or(&[][..], |lines| &lines.items) {
        match Expect::parse(&line.value, &check.names) {
            Ok(expect) => parsed.push(expect),
            Err(error) => {
                let at = check.inside(line, &error.span);
                check.push(Diagnostic::error(at, error.message).maybe_hint(error.hint));
            }
        }
    }
    parsed
}
