//! The plan as data: what `plan --json` prints, and what the tables for a terminal are made of.
//!
//! The shape is stable: fields are added, none renamed; `format` counts changes that break a reader.

use num_rational::BigRational;
use num_traits::{One, ToPrimitive};
use serde::Serialize;
use syllabus_reader::format::TokenDtype;

use crate::curriculum::checked::{Curriculum, Packing};

use super::exports::Export;
use super::predict::Prediction;
use super::simulate::{Drift, Simulation};
use super::{Basis, PhasePlan, Plan};

/// Version of the shape.
pub const FORMAT: u32 = 1;

/// The whole plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanView {
    /// [`FORMAT`].
    pub format: u32,
    /// The curriculum's name.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// `--scale` as an exact fraction.
    pub scale: String,
    /// Width of a token.
    pub token_dtype: TokenDtype,
    /// Trained positions of all phases.
    pub tokens: u64,
    /// Windows of all phases.
    pub windows: u64,
    /// Sources in declaration order.
    pub sources: Vec<SourceView>,
    /// Phases in training order.
    pub phases: Vec<PhaseView>,
    /// Whether every source suffices and every `expect` line holds, on these sizes.
    pub feasible: bool,
    /// Forms it can be exported in, and why not.
    pub exports: Vec<Export>,
    /// Disk, memory and time.
    pub prediction: Option<Prediction>,
    /// What a careful reader should know.
    pub warnings: Vec<String>,
}

/// A source over the whole curriculum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceView {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// Unique tokens.
    pub unique_tokens: u64,
    /// Documents, where known.
    pub documents: Option<u64>,
    /// How the size is known.
    pub basis: Basis,
    /// Half-width of an estimate's 95 % interval as a part of it; `null` when unknown, 0 when not estimated.
    pub spread: Option<f64>,
    /// How often it may be read; `null` without bound.
    pub max_epochs: Option<u64>,
    /// Windows in all phases.
    pub windows: u64,
    /// Stored tokens read in all phases.
    pub stored_tokens: u64,
    /// Stored tokens read, divided by unique tokens; `null` for a source without tokens.
    pub epochs: Option<f64>,
    /// Stored tokens that may still be read (below zero: missing); `null` without bound.
    pub left: Option<i64>,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseView {
    /// Its name.
    pub name: String,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// `concat` or `best_fit`.
    pub packing: &'static str,
    /// Windows.
    pub windows: u64,
    /// Trained positions: windows × S.
    pub tokens: u64,
    /// Windows of a full shard.
    pub shard_windows: u64,
    /// Shards.
    pub shards: u64,
    /// Whether the sources' windows are exact, or within one.
    pub exact: bool,
    /// Whether some share changes in the phase.
    pub ramp: bool,
    /// Sources with a share, in declaration order.
    pub sources: Vec<PhaseSourceView>,
    /// Its `expect` lines.
    pub expect: Vec<ExpectView>,
}

/// A source in a phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseSourceView {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// Share asked at the phase's start.
    pub share_from: f64,
    /// Share asked at its end.
    pub share_to: f64,
    /// Share asked over the phase as an exact fraction.
    pub share: String,
    /// Windows given.
    pub windows: u64,
    /// Trained positions given: windows × S.
    pub tokens: u64,
    /// Unique tokens.
    pub unique_tokens: u64,
    /// Epochs read by the phase's end.
    pub epochs: Option<f64>,
    /// Stored tokens that may still be read after the phase (below zero: missing); `null` without bound.
    pub left: Option<i64>,
    /// Its drift, where the schedule was walked.
    pub drift: Option<DriftView>,
}

/// How far a source strays from its share in a phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftView {
    /// At block borders: windows given less windows due.
    pub at_borders: f64,
    /// After so many windows of the phase.
    pub at_borders_after: u64,
    /// After any window.
    pub anywhere: f64,
    /// After so many windows of the phase.
    pub anywhere_after: u64,
}

/// An `expect` line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExpectView {
    /// As written.
    pub text: String,
    /// The measured share or epochs.
    pub value: f64,
    /// The same for people.
    pub value_text: String,
    /// Whether it holds.
    pub holds: bool,
}

/// What else belongs to a plan, where it is known.
#[derive(Debug, Clone, Default)]
pub struct Extras<'a> {
    /// Exports, or none.
    pub exports: Vec<Export>,
    /// Disk, memory and time.
    pub prediction: Option<Prediction>,
    /// The walked schedule.
    pub simulation: Option<&'a Simulation>,
}

/// Puts a plan into its stable shape.
#[must_use]
pub fn view(curriculum: &Curriculum, plan: &Plan, dtype: TokenDtype, extras: Extras<'_>) -> PlanView {
    let sources: Vec<SourceView> =
        (0..plan.sources.len()).map(|source| source_view(curriculum, plan, source)).collect();
    let phases: Vec<PhaseView> =
        (0..plan.phases.len()).map(|phase| phase_view(curriculum, plan, phase, extras.simulation)).collect();
    let suffice = sources.iter().all(|source| source.left.is_none_or(|left| left >= 0));
    PlanView {
        format: FORMAT,
        name: curriculum.name.clone(),
        seed: curriculum.seed,
        scale: plan.scale.to_string(),
        token_dtype: dtype,
        tokens: saturated(plan.phases.iter().map(PhasePlan::tokens).sum()),
        windows: plan.phases.iter().map(|phase| phase.windows).sum(),
        feasible: suffice && phases.iter().flat_map(|phase| &phase.expect).all(|line| line.holds),
        sources,
        phases,
        exports: extras.exports,
        prediction: extras.prediction,
        warnings: curriculum.warnings.iter().chain(&plan.warnings).cloned().collect(),
    }
}

fn source_view(curriculum: &Curriculum, plan: &Plan, source: usize) -> SourceView {
    let of = &plan.sources[source];
    let stored = plan.phases.last().map_or(0, |phase| phase.stored[source]);
    SourceView {
        name: of.name.clone(),
        group: curriculum.sources[source].group.clone(),
        unique_tokens: of.size.tokens,
        documents: of.size.documents,
        basis: of.size.basis,
        spread: Some(of.size.spread).filter(|spread| spread.is_finite()),
        max_epochs: of.max_epochs,
        windows: plan.phases.iter().map(|phase| phase.source_windows[source]).sum(),
        stored_tokens: stored,
        epochs: epochs(stored, of.size.tokens),
        left: left(of.permitted(), stored),
    }
}

fn phase_view(curriculum: &Curriculum, plan: &Plan, index: usize, simulation: Option<&Simulation>) -> PhaseView {
    let phase = &plan.phases[index];
    let walk = simulation.and_then(|simulation| simulation.phases.get(index));
    let zero = BigRational::default();
    let sources = (0..plan.sources.len())
        .filter(|source| phase.shares[*source].from > zero || phase.shares[*source].to > zero)
        .map(|source| {
            let of = &plan.sources[source];
            let ramp = &phase.shares[source];
            PhaseSourceView {
                name: of.name.clone(),
                group: curriculum.sources[source].group.clone(),
                share_from: float(&ramp.from),
                share_to: float(&ramp.to),
                share: ((&ramp.from + &ramp.to) / (BigRational::one() + BigRational::one())).to_string(),
                windows: phase.source_windows[source],
                tokens: saturated(u128::from(phase.source_windows[source]) * u128::from(phase.sequence_length)),
                unique_tokens: of.size.tokens,
                epochs: epochs(phase.stored[source], of.size.tokens),
                left: left(of.permitted(), phase.stored[source]),
                drift: walk.map(|walk| drift_view(&walk.at_borders[source], &walk.anywhere[source])),
            }
        })
        .collect();
    PhaseView {
        name: phase.name.clone(),
        sequence_length: phase.sequence_length,
        window_tokens: phase.window_tokens,
        packing: match phase.packing {
            Packing::Concat => "concat",
            Packing::BestFit => "best_fit",
        },
        windows: phase.windows,
        tokens: saturated(phase.tokens()),
        shard_windows: phase.shard_windows,
        shards: phase.shards(),
        exact: phase.exact,
        ramp: phase.shares.iter().any(|ramp| ramp.from != ramp.to),
        sources,
        expect: phase
            .expect
            .iter()
            .map(|line| ExpectView {
                text: line.text.clone(),
                value: float(&line.value),
                value_text: line.value_text(),
                holds: line.holds,
            })
            .collect(),
    }
}

fn drift_view(border: &Drift, anywhere: &Drift) -> DriftView {
    DriftView {
        at_borders: float(&border.windows),
        at_borders_after: border.after,
        anywhere: float(&anywhere.windows),
        anywhere_after: anywhere.after,
    }
}

fn float(number: &BigRational) -> f64 {
    number.to_f64().unwrap_or(f64::NAN)
}

fn epochs(stored: u64, unique: u64) -> Option<f64> {
    (unique > 0).then(|| stored as f64 / unique as f64)
}

/// Permitted less stored; what passes 63 bits is as good as the largest number that does not.
fn left(permitted: Option<u128>, stored: u64) -> Option<i64> {
    let left = |permitted: u128| {
        let left = i128::try_from(permitted).unwrap_or(i128::MAX) - i128::from(stored);
        i64::try_from(left).unwrap_or(if left < 0 { i64::MIN } else { i64::MAX })
    };
    permitted.map(left)
}

fn saturated(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
