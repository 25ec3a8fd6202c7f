//! From a dataset's files, or from a plan, to the report's model.
//!
//! Of a dataset, everything is recomputed from the window tables, the ledger and `removed.parquet`; only names, sizes and
//! digests come from the manifest.

mod buckets;
mod documents;
mod drift;
mod frames;
mod ledger;
mod near_by;
mod plan;
mod removed;
mod windows;

use std::collections::BTreeMap;
use std::path::Path;

use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};
use syllabus_reader::format::DocumentKey;
use syllabus_reader::format::manifest::{Manifest, PhaseSummary};

use self::documents::Found;
use self::ledger::Accounts;
use self::windows::{Walked, WalkedPhase};
use super::model::{
    Concentration, Distributions, Expect, FORMAT_VERSION, Flow, HeldOut, Kind, MixReport, Natural, Phase, PhaseDrift,
    PhaseSource, Run, Size, Source, TimesRead, Tokenizer, Verdict, Verification,
};
use crate::curriculum;
use crate::curriculum::checked::{Curriculum, Packing};
use crate::error::{Error, Result};
use crate::ledger::{self as rows, Row};
use crate::mix;
use crate::plan::{Plan, SourceSize, draft};

pub use plan::of_plan;

/// Bytes for the table of fragments, where the caller has no limit of its own.
pub const MEMORY: u64 = 448 << 20;

/// What a dataset's report is made from, beside its shards.
pub struct Inputs<'a> {
    /// The dataset's folder.
    pub dir: &'a Path,
    /// Its manifest, which need not be written yet.
    pub manifest: &'a Manifest,
    /// What a verification found, where there was one.
    pub verification: Option<Verification>,
    /// How the compile went, where that is known.
    pub run: Option<Run>,
    /// Bytes for the table of fragments: more passes with less, and the same report.
    pub memory: u64,
}

/// Gathers the report of a dataset.
///
/// # Errors
///
/// Files that are missing or not what they should be, and a curriculum in the manifest that cannot be planned.
pub fn of_dataset(inputs: Inputs<'_>) -> Result<MixReport> {
    let Inputs { dir, manifest, .. } = inputs;
    let curriculum = curriculum::parse(&manifest.curriculum, "the dataset's curriculum", false)?;
    let plan = planned(manifest, &curriculum)?;
    let names: Vec<String> = manifest.sources.iter().map(|source| source.name.clone()).collect();
    let ledger = rows::read(&dir.join("ledger.parquet"))?;
    let job = documents::Job {
        dir,
        manifest,
        names: &names,
        fragments: windows::fragments(dir, manifest, &names)?,
        most: documents::MOST_FRAGMENTS,
        memory: inputs.memory,
    };
    let (walked, found) = rayon::join(|| windows::walk(dir, manifest, &names, &plan), || job.run());
    let (walked, found) = (walked?, found?);
    let evidence = removed::evidence(dir, &names)?;
    let accounts = ledger::accounts(&ledger, &names)?;
    let gathered = Gathered { manifest, plan: &plan, curriculum: &curriculum, walked, found, accounts };
    Ok(MixReport {
        format_version: FORMAT_VERSION,
        kind: Kind::Dataset,
        name: manifest.name.clone(),
        dataset_digest: Some(manifest.dataset_digest.clone()),
        seed: manifest.seed,
        scale: manifest.scale.clone(),
        thin: Some(manifest.thin.clone()),
        tokens: gathered.tokens(),
        windows: gathered.walked.phases.iter().flat_map(|phase| &phase.windows).sum(),
        bytes: manifest.phases.iter().flat_map(|phase| &phase.shards).map(|shard| shard.bytes).sum(),
        token_dtype: manifest.token_dtype.to_string(),
        verdict: gathered.verdict(&ledger, inputs.verification),
        tokenizer: Some(tokenizer(manifest)),
        sources: gathered.sources(),
        phases: gathered.phases(),
        bins: gathered.walked.bins.clone(),
        flow: Some(gathered.flow()),
        concentration: gathered.concentration(),
        distributions: Some(gathered.distributions(&names)),
        evidence: Some(evidence),
        plan: None,
        warnings: curriculum.warnings.iter().chain(&plan.warnings).cloned().collect(),
        curriculum: manifest.curriculum.clone(),
        syllabus: env!("CARGO_PKG_VERSION").to_owned(),
        run: inputs.run,
    })
}

/// The plan that the dataset was compiled by, made again from its own curriculum and counted sizes.
fn planned(manifest: &Manifest, curriculum: &Curriculum) -> Result<Plan> {
    let sizes: Vec<SourceSize> =
        manifest.sources.iter().map(|source| SourceSize::counted(source.tokens, source.documents)).collect();
    let scale = mix::ratio(&manifest.scale)
        .ok_or_else(|| Error::Verification(format!("manifest.json: scale `{}` is no number", manifest.scale)))?;
    draft(curriculum, &sizes, &scale, manifest.token_dtype.width())
}

fn tokenizer(manifest: &Manifest) -> Tokenizer {
    let of = &manifest.tokenizer;
    Tokenizer {
        name: of.name.clone(),
        digest: of.digest.clone(),
        vocab_size: of.vocab_size,
        bos_id: of.bos_id,
        eos_id: of.eos_id,
        pad_id: of.pad_id,
        backend: of.backend.clone(),
        max_token_id: manifest.max_token_id,
    }
}

/// An `expect` line counts epochs when it says so in its first word.
fn counts_epochs(text: &str) -> bool {
    text.trim_start().starts_with("epochs")
}

fn packing(packing: Packing) -> String {
    match packing {
        Packing::Concat => "concat",
        Packing::BestFit => "best_fit",
    }
    .to_owned()
}

fn float(number: &BigRational) -> f64 {
    number.to_f64().unwrap_or(f64::NAN)
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Permitted less read; what passes 63 bits is as good as the largest number that does not.
fn left(permitted: Option<u128>, stored: u64) -> Option<i64> {
    let left = |permitted: u128| {
        let left = i128::try_from(permitted).unwrap_or(i128::MAX) - i128::from(stored);
        i64::try_from(left).unwrap_or(if left < 0 { i64::MIN } else { i64::MAX })
    };
    permitted.map(left)
}

/// The largest of some drifts, the first where several are equal.
fn largest<T: Copy>(drifts: impl Iterator<Item = (T, f64)>) -> Option<(T, f64)> {
    drifts.fold(None, |most: Option<(T, f64)>, (of, drift)| match most {
        Some((_, largest)) if drift.abs() <= largest.abs() => most,
        _ => Some((of, drift)),
    })
}

/// All that was read of a dataset.
struct Gathered<'a> {
    manifest: &'a Manifest,
    plan: &'a Plan,
    curriculum: &'a Curriculum,
    walked: Walked,
    found: Found,
    accounts: Accounts,
}

impl Gathered<'_> {
    /// Phases with what their windows hold.
    fn walked(&self) -> impl Iterator<Item = (usize, &PhaseSummary, &WalkedPhase)> {
        (0..).zip(&self.manifest.phases).zip(&self.walked.phases).map(|((index, phase), walked)| (index, phase, walked))
    }

    fn tokens(&self) -> u64 {
        self.walked()
            .map(|(_, phase, walked)| walked.windows.iter().sum::<u64>() * u64::from(phase.sequence_length))
            .sum()
    }

    fn verdict(&self, ledger: &[Row], verification: Option<Verification>) -> Verdict {
        let expect = self.manifest.expect.iter().map(|line| Expect {
            phase: line.phase.clone(),
            text: line.text.clone(),
            value: line.value,
            epochs: counts_epochs(&line.text),
            holds: line.holds,
        });
        let mut stored: BTreeMap<(String, String), u64> = BTreeMap::new();
        for (_, phase, walked) in self.walked() {
            for (source, windows) in self.manifest.sources.iter().zip(&walked.windows).filter(|(_, n)| **n > 0) {
                stored.insert((phase.name.clone(), source.name.clone()), windows * u64::from(phase.window_tokens));
            }
        }
        Verdict {
            expect: expect.collect(),
            ledger_balances: Some(rows::balance(ledger, &stored).is_empty()),
            verification,
            sources_suffice: None,
        }
    }

    fn flow(&self) -> Flow {
        let mut all = Flow::default();
        for flow in &self.accounts.flows {
            all.documents.add(&flow.documents);
            all.tokens.add(&flow.tokens);
        }
        all
    }

    fn sources(&self) -> Vec<Source> {
        let all = self.tokens();
        let flow = self.flow();
        let natural = |of: &Flow| {
            let before = ratio(of.tokens.tokenized, flow.tokens.tokenized)?;
            Some(Natural { before, after: ratio(of.tokens.survived, flow.tokens.survived).unwrap_or(0.0) })
        };
        let summaries = self.manifest.sources.iter().zip(&self.plan.sources);
        summaries
            .enumerate()
            .map(|(index, (source, planned))| {
                let windows = |walked: &WalkedPhase| walked.windows.get(index).copied().unwrap_or(0);
                let sum = |times: fn(&PhaseSummary) -> u64| {
                    self.walked().map(|(_, phase, walked)| windows(walked) * times(phase)).sum::<u64>()
                };
                let stored = sum(|phase| phase.window_tokens.into());
                let tokens = sum(|phase| phase.sequence_length.into());
                let flow = self.accounts.flows.get(index).cloned().unwrap_or_default();
                let uses = self.accounts.epochs.get(index).cloned().unwrap_or_default();
                let held_out = self.manifest.validation.iter().find(|set| set.source == source.name);
                Source {
                    name: source.name.clone(),
                    group: source.group.clone(),
                    size: Size {
                        tokens: source.tokens,
                        documents: Some(source.documents),
                        bytes: Some(source.bytes),
                        basis: "counted".to_owned(),
                        spread: Some(0.0),
                    },
                    tokens_per_byte: ratio(source.tokens, source.bytes),
                    max_epochs: planned.max_epochs,
                    windows: sum(|_| 1),
                    tokens,
                    share: ratio(tokens, all).unwrap_or(0.0),
                    stored_tokens: stored,
                    epochs: ratio(stored, source.tokens),
                    unseen_tokens: self.unseen(index, self.manifest.phases.len()),
                    left: left(planned.permitted(), stored).filter(|_| !self.accounts.partial),
                    natural: natural(&flow),
                    flow: Some(flow),
                    epoch_use: uses,
                    held_out: held_out.map(|set| HeldOut {
                        name: set.name.clone(),
                        documents: set.documents,
                        tokens: set.tokens,
                        windows: set.windows,
                    }),
                }
            })
            .collect()
    }

    /// Unique tokens that none of the first `phases` phases reads.
    fn unseen(&self, source: usize, phases: usize) -> Option<u64> {
        if self.accounts.partial {
            return None;
        }
        let phases = self.manifest.phases.iter().take(phases);
        let read = phases.filter_map(|phase| self.accounts.first_reads.get(&(phase.name.clone(), source))).sum::<u64>();
        Some(self.manifest.sources.get(source)?.tokens.saturating_sub(read))
    }

    fn phases(&self) -> Vec<Phase> {
        let mut stored = vec![0_u64; self.manifest.sources.len()];
        let mut first_window = 0;
        self.walked()
            .map(|(index, phase, walked)| {
                for (sum, windows) in stored.iter_mut().zip(&walked.windows) {
                    *sum += windows * u64::from(phase.window_tokens);
                }
                let windows: u64 = walked.windows.iter().sum();
                let asked = self.curriculum.phases.iter().zip(&self.plan.phases).find(|(of, _)| of.name == phase.name);
                let sources = (0..self.manifest.sources.len())
                    .filter_map(|source| self.phase_source(index, source, &stored))
                    .collect::<Vec<_>>();
                first_window += windows;
                Phase {
                    name: phase.name.clone(),
                    digest: Some(phase.digest.clone()),
                    sequence_length: phase.sequence_length,
                    window_tokens: phase.window_tokens,
                    packing: asked.map_or_else(String::new, |(of, _)| packing(of.packing)),
                    first_window: first_window - windows,
                    windows,
                    tokens: windows * u64::from(phase.sequence_length),
                    shards: phase.shards.len() as u64,
                    exact: true,
                    ramp: sources.iter().any(|source| source.share_from != source.share_to),
                    drift: phase_drift(&sources, walked.drift.as_ref().map_or(0, |(_, span)| *span)),
                    sources,
                }
            })
            .collect()
    }

    /// A source's part of phase `index`; `stored` counts to the phase's end. `None` when it was neither asked nor got.
    fn phase_source(&self, index: usize, source: usize, stored: &[u64]) -> Option<PhaseSource> {
        let (phase, walked) = (self.manifest.phases.get(index)?, self.walked.phases.get(index)?);
        let (summary, of) = (self.manifest.sources.get(source)?, self.plan.sources.get(source)?);
        let planned = self.plan.phases.iter().find(|planned| planned.name == phase.name);
        let ramp = planned.and_then(|planned| planned.shares.get(source));
        let windows = walked.windows.get(source).copied()?;
        let all: u64 = walked.windows.iter().sum();
        let asked = |share: fn(&mix::Ramp) -> &BigRational| ramp.map_or(0.0, |ramp| float(share(ramp)));
        if windows == 0 && ramp.is_none_or(|ramp| ramp.from.is_zero() && ramp.to.is_zero()) {
            return None;
        }
        let mean = |ramp: &mix::Ramp| (&ramp.from + &ramp.to) / BigRational::from_integer(2.into());
        let due = ramp.map_or_else(BigRational::zero, |ramp| mean(ramp) * BigRational::from_integer(all.into()));
        // What phases that this compile left out read is known from the plan alone.
        let stored = match planned.filter(|_| self.accounts.partial) {
            Some(planned) => planned.stored.get(source),
            None => stored.get(source),
        };
        let stored = stored.copied().unwrap_or(0);
        Some(PhaseSource {
            name: summary.name.clone(),
            share_from: asked(|ramp| &ramp.from),
            share_to: asked(|ramp| &ramp.to),
            share: ramp.map_or(0.0, |ramp| float(&mean(ramp))),
            got: ratio(windows, all).unwrap_or(0.0),
            windows_off: float(&(BigRational::from_integer(windows.into()) - due)),
            windows,
            tokens: windows * u64::from(phase.sequence_length),
            documents: self
                .found
                .in_phase
                .get(index)
                .and_then(|phase| phase.get(source))
                .copied()
                .filter(|_| self.found.sample == 1.0),
            padding: walked.padding.get(source).copied(),
            epochs: ratio(stored, summary.tokens),
            unseen_tokens: self.unseen(source, index + 1),
            left: left(of.permitted(), stored),
            drift: walked.drift.as_ref().and_then(|(drift, _)| drift.get(source)).cloned(),
        })
    }

    fn concentration(&self) -> Vec<Concentration> {
        let mut list: Vec<Concentration> = (self.manifest.sources.iter().zip(&self.walked.most))
            .filter_map(|(source, most)| {
                let most = most.as_ref()?;
                Some(Concentration {
                    source: source.name.clone(),
                    windows: most.windows,
                    document: DocumentKey::from(most.document).to_string(),
                    first_window: most.first_window,
                })
            })
            .collect();
        list.sort_by_key(|most| std::cmp::Reverse(most.windows));
        list
    }

    fn distributions(&self, names: &[String]) -> Distributions {
        let most = self.found.times.iter().filter_map(|times| times.last_key_value()).map(|(times, _)| *times).max();
        let at = |times: u64| self.found.times.iter().map(|of| of.get(&times).copied().unwrap_or(0)).collect();
        let times = (1..=most.unwrap_or(0)).map(|times| TimesRead { times, sources: at(times) });
        Distributions {
            sample: self.found.sample,
            document_tokens: buckets::distribution(&self.found.lengths, names),
            window_fragments: buckets::distribution(&self.walked.fragments, names),
            times_read: times.filter(|of| of.sources.iter().any(|count| *count > 0)).collect(),
        }
    }
}

/// The sources that stray furthest.
fn phase_drift(sources: &[PhaseSource], span: u64) -> Option<PhaseDrift> {
    let drifts = || sources.iter().filter_map(|source| Some((source, source.drift.as_ref()?)));
    let ((border_source, border), _) = largest(drifts().map(|(source, drift)| ((source, drift), drift.border)))?;
    let spans = drifts().filter_map(|(source, drift)| Some(((source, drift), drift.span?)));
    let widest = largest(spans).map(|(of, _)| of);
    Some(PhaseDrift {
        block: drift::BLOCK,
        border_source: border_source.name.clone(),
        border: border.border,
        border_after: border.border_after,
        span,
        span_source: widest.map(|(source, _)| source.name.clone()),
        span_windows: widest.and_then(|(_, drift)| drift.span),
        span_from: widest.and_then(|(_, drift)| drift.span_from),
    })
}
