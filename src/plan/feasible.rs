//! Which sources cannot give what the phases ask of them.
//!
//! A source may be read `max_epochs` times (else once; else without bound under `on_exhausted: repeat`). In `concat`
//! packing n windows need exactly n × W stored tokens, so the answer is exact when sizes are counted. In `best_fit`
//! windows hold padding, and how much is known only once the documents are packed; but no two windows of a range can both be
//! at most half full (the later one's first document would have gone into the earlier), so n windows of r ranges hold more
//! than (n - r) × W / 2 tokens. The gate goes by that bound and never refuses what packing could still give; the mix has
//! the last word when it has packed.
//!
//! Before counting, a source is taken at the most it may have ([`SourceSize::at_most`]): what is refused then is not
//! feasible even if nothing is removed.
//!
//! [`SourceSize::at_most`]: super::SourceSize::at_most

use num_rational::BigRational;
use num_traits::ToPrimitive;

use crate::curriculum::checked::{Curriculum, Packing, SourceId};
use crate::error::Result;

use super::{Basis, PhasePlan, Plan, SourcePlan, number, patch, refuse};

/// Tokens that an average range holds at most: the mix cuts a source's key space by it.
const RANGE_TOKENS: u128 = 64 << 20;

/// A source that cannot give what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// The source.
    pub source: SourceId,
    /// The first phase (by index) by whose end it has been asked for more than it may give.
    pub phase: usize,
    /// Stored tokens that all phases together ask of it, at the least.
    pub asked: u128,
    /// Stored tokens that it may give: its size, at the most, times its permitted epochs.
    pub permitted: u128,
    /// What is missing, in windows of the first phase that falls short, rounded up.
    pub windows: u64,
    /// The most that it can give the first phase that falls short, in windows.
    pub sustained: u64,
}

impl Shortfall {
    /// What is missing, in stored tokens.
    #[must_use]
    pub fn tokens(&self) -> u128 {
        self.asked.saturating_sub(self.permitted)
    }
}

/// How the gate reads sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As favourably as can be: what falls short is certain to.
    Favourable,
    /// Sizes as they stand and windows full: what does not fall short will do, unless documents are removed.
    AsItStands,
}

/// All sources that fall short for certain, in declaration order.
#[must_use]
pub fn shortfalls(plan: &Plan) -> Vec<Shortfall> {
    read(plan, Reading::Favourable)
}

pub(super) fn read(plan: &Plan, reading: Reading) -> Vec<Shortfall> {
    (0..plan.sources.len()).filter_map(|source| shortfall(plan, source, reading)).collect()
}

fn shortfall(plan: &Plan, source: SourceId, reading: Reading) -> Option<Shortfall> {
    let of = &plan.sources[source];
    let size = u128::from(if reading == Reading::Favourable { of.size.at_most() } else { of.size.tokens });
    let permitted = if size == 0 { 0 } else { u128::from(of.max_epochs?) * size };
    let mut asked = 0_u128;
    let mut before = 0_u128;
    let mut first = None;
    for (index, phase) in plan.phases.iter().enumerate() {
        let windows = windows(phase, source, reading);
        let window = u128::from(phase.window_tokens);
        asked += match (phase.packing, reading) {
            (Packing::BestFit, Reading::Favourable) => {
                u128::from(windows).saturating_sub(ranges(of, size)) * window / 2
            }
            _ => u128::from(windows) * window,
        };
        if asked > permitted && first.is_none() {
            first = Some((index, before));
        }
        before = asked;
    }
    let (phase, before) = first?;
    let window = u128::from(plan.phases[phase].window_tokens);
    let saturated = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
    Some(Shortfall {
        source,
        phase,
        asked,
        permitted,
        windows: saturated((asked - permitted).div_ceil(window)),
        sustained: saturated(permitted.saturating_sub(before) / window),
    })
}

/// Windows that a phase asks of a source; where the count is known within one, the fewer or the more of both.
fn windows(phase: &PhasePlan, source: SourceId, reading: Reading) -> u64 {
    let count = phase.source_windows[source];
    if phase.exact {
        return count;
    }
    let quota = phase.quota(source);
    match reading {
        Reading::Favourable => quota.floor().to_integer().to_u64().map_or(count, |floor| floor.min(count)),
        Reading::AsItStands => quota.ceil().to_integer().to_u64().map_or(count, |ceiling| ceiling.max(count)),
    }
}

/// What all phases ask of a source in stored tokens, if windows are full and a count known within one is the larger.
pub(super) fn asked_at_most(plan: &Plan, source: SourceId) -> u128 {
    let stored =
        |phase: &PhasePlan| u128::from(windows(phase, source, Reading::AsItStands)) * u128::from(phase.window_tokens);
    plan.phases.iter().map(stored).sum()
}

/// Ranges that all permitted epochs of a source pass through, and one more for what a change of packing left over.
fn ranges(source: &SourcePlan, size: u128) -> u128 {
    let mut ranges = 1_u128;
    while size > ranges * RANGE_TOKENS {
        ranges *= 2;
    }
    ranges.saturating_mul(u128::from(source.max_epochs.unwrap_or(1))).saturating_add(1)
}

/// Refuses a plan in which a source falls short, with the whole story and patches that would be feasible.
///
/// # Errors
///
/// `Error::Infeasible`.
pub fn gate(curriculum: &Curriculum, plan: &Plan) -> Result<()> {
    let short = shortfalls(plan);
    let Some(first) = short.first() else { return Ok(()) };
    let patches = patch::patches(curriculum, plan, &short);
    let name = &plan.sources[first.source].name;
    let others = match short.len() - 1 {
        0 => String::new(),
        1 => ", as does 1 more source".to_owned(),
        others => format!(", as do {others} more sources"),
    };
    let remedy = patches.first().map_or_else(String::new, |patch| format!("; {} would do", patch.in_short(plan)));
    let summary = format!(
        "source `{name}` falls short by {} tokens ({} windows), first in phase `{}`{others}{remedy}",
        number::tokens_u128(first.tokens()),
        number::count(first.windows),
        plan.phases[first.phase].name,
    );
    let mut story: String = short.iter().map(|short| describe(plan, short)).collect();
    if patches.is_empty() {
        story.push_str("what would make it feasible: more data, or a mix without what has none\n");
    } else {
        story.push_str(if patches.len() == 1 {
            "what would make it feasible:\n\n"
        } else {
            "what would make it feasible (any one of these):\n\n"
        });
        story.push_str(&patches.iter().map(|patch| patch.in_full(plan)).collect::<Vec<_>>().join("\n"));
    }
    Err(refuse::infeasible(summary, &story))
}

fn describe(plan: &Plan, short: &Shortfall) -> String {
    let source = &plan.sources[short.source];
    let phase = &plan.phases[short.phase];
    let size = match source.size.basis {
        Basis::Counted => format!("{} unique tokens (counted)", number::tokens(source.size.tokens)),
        Basis::Declared => format!("{} unique tokens (declared)", number::tokens(source.size.tokens)),
        Basis::Estimated => format!(
            "at most {} unique tokens (estimated {} {})",
            number::tokens(source.size.at_most()),
            number::tokens(source.size.tokens),
            number::spread(source.size.spread)
        ),
    };
    let epochs = source.max_epochs.unwrap_or(1);
    let share = |windows: &BigRational| {
        let total = BigRational::from_integer(phase.windows.max(1).into());
        number::percent((windows / total).to_f64().unwrap_or(0.0))
    };
    let asked = BigRational::from_integer(phase.source_windows[short.source].into());
    format!(
        "  {}\n    asked      {} tokens over all phases\n    permitted  {} tokens: {size} × {epochs} {}\n    \
         short by   {} tokens, {} windows of {}; first in phase `{}`\n               \
         which asks {} of it and can have {}\n\n",
        source.name,
        number::tokens_u128(short.asked),
        number::tokens_u128(short.permitted),
        if epochs == 1 { "epoch" } else { "epochs" },
        number::tokens_u128(short.tokens()),
        number::count(short.windows),
        number::count(phase.window_tokens.into()),
        phase.name,
        share(&asked),
        share(&BigRational::from_integer(short.sustained.into())),
    )
}
