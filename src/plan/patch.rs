//! Changes to a curriculum that make it feasible. Every one that is offered has been planned and found to do.

use num_rational::BigRational;
use num_traits::ToPrimitive;

use crate::curriculum::checked::{Curriculum, OnExhausted, SourceId};
use crate::mix::Ramp;
use crate::mix::interleave::end_counts;

use super::feasible::{Reading, Shortfall, asked_at_most, read};
use super::{Plan, SourceSize, draft_with, number, size};

/// How many scales are tried before none is offered.
const TRIES: u32 = 12;

/// A change after which the same plan is feasible, if sizes are as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch {
    /// Read these sources more often: source and its `max_epochs`.
    MaxEpochs(Vec<(SourceId, u32)>),
    /// `on_exhausted: repeat`.
    Repeat,
    /// A smaller run: `--scale`.
    Scale(BigRational),
}

impl Patch {
    /// Makes the change.
    pub fn apply(&self, curriculum: &mut Curriculum, scale: &mut BigRational) {
        match self {
            Self::MaxEpochs(sources) => {
                for (source, epochs) in sources {
                    curriculum.sources[*source].max_epochs = Some(*epochs);
                }
            }
            Self::Repeat => curriculum.on_exhausted = OnExhausted::Repeat,
            Self::Scale(to) => *scale = to.clone(),
        }
    }

    /// In a few words for the one-line error.
    pub(super) fn in_short(&self, plan: &Plan) -> String {
        match self {
            Self::MaxEpochs(sources) => sources
                .iter()
                .map(|(source, epochs)| format!("`{}: {{max_epochs: {epochs}}}`", plan.sources[*source].name))
                .collect::<Vec<_>>()
                .join(" and "),
            Self::Repeat => "`on_exhausted: repeat`".to_owned(),
            Self::Scale(scale) => format!("`--scale {}`", number::scale(scale)),
        }
    }

    /// As lines to be put into the file, or typed.
    pub(super) fn in_full(&self, plan: &Plan) -> String {
        match self {
            Self::MaxEpochs(sources) => {
                let mut out = "  read more often:\n    sources:\n".to_owned();
                for (source, epochs) in sources {
                    out.push_str(&format!("      {}: {{max_epochs: {epochs}}}\n", plan.sources[*source].name));
                }
                out
            }
            Self::Repeat => "  begin another epoch wherever a source without `max_epochs` runs out:\n    \
                             on_exhausted: repeat\n"
                .to_owned(),
            Self::Scale(scale) => format!("  read less of everything:\n    --scale {}\n", number::scale(scale)),
        }
    }
}

/// Patches for the sources that fall short, the gentlest first; each, alone, is enough.
#[must_use]
pub fn patches(curriculum: &Curriculum, plan: &Plan, short: &[Shortfall]) -> Vec<Patch> {
    let mut candidates = Vec::new();
    candidates.extend(more_epochs(plan, short));
    let capped = short.iter().any(|short| curriculum.sources[short.source].max_epochs.is_some());
    if !capped && curriculum.on_exhausted == OnExhausted::Error {
        candidates.push(Patch::Repeat);
    }
    let mut patches: Vec<Patch> = candidates.into_iter().filter(|patch| suffices(curriculum, plan, patch)).collect();
    patches.extend(smaller_scale(curriculum, plan));
    patches
}

/// Enough epochs for each source that falls short, going by sizes as they stand and windows without padding.
fn more_epochs(plan: &Plan, short: &[Shortfall]) -> Option<Patch> {
    let mut sources = Vec::new();
    for short in short {
        let size = plan.sources[short.source].size.tokens;
        let asked = asked_at_most(plan, short.source);
        let epochs = (size > 0).then(|| asked.div_ceil(size.into()))?;
        sources.push((short.source, u32::try_from(epochs).ok()?));
    }
    Some(Patch::MaxEpochs(sources))
}

/// The largest scale, to three digits, at which every source suffices.
fn smaller_scale(curriculum: &Curriculum, plan: &Plan) -> Option<Patch> {
    let mut scale = plan.scale.clone();
    for _ in 0..TRIES {
        // Counts within one window do, as the larger is taken: nothing is walked.
        let counts = |_, shares: &[Ramp], windows| end_counts(shares, windows, 0);
        let at = draft_with(curriculum, &sizes(plan), &scale, plan.token_width, counts).ok()?;
        let short = read(&at, Reading::AsItStands);
        if short.is_empty() {
            return (scale < plan.scale).then_some(Patch::Scale(scale));
        }
        let mut factor = BigRational::new(999.into(), 1000.into());
        for short in short {
            factor = factor.min(BigRational::new(short.permitted.into(), short.asked.into()));
        }
        scale = number::three_digit_decimal(&(&scale * factor), false);
        if scale.to_f64().is_none_or(|scale| scale < 1e-12) {
            return None;
        }
    }
    None
}

/// Whether nothing falls short for certain after a patch that changes how often sources are read, not how much is asked.
fn suffices(curriculum: &Curriculum, plan: &Plan, patch: &Patch) -> bool {
    let mut curriculum = curriculum.clone();
    let mut scale = plan.scale.clone();
    patch.apply(&mut curriculum, &mut scale);
    let patched = Plan { sources: size::source_plans(&curriculum, &sizes(plan)), ..plan.clone() };
    read(&patched, Reading::Favourable).is_empty()
}

fn sizes(plan: &Plan) -> Vec<SourceSize> {
    plan.sources.iter().map(|source| source.size).collect()
}
