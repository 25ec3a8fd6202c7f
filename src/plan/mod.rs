//! What a curriculum will read, before it is compiled: budgets, shares, windows, epochs, feasibility.
//!
//! [`plan`] is pure arithmetic on exact rationals: no file is opened. It takes the checked curriculum, the size of every
//! source and `--scale`, and says how many windows each source gives to each phase. The same function runs three times in a
//! compile: on declared or estimated sizes (then only what no removal could mend is refused), after ingest, and after
//! dedup, when sizes are counted and the answer is exact.
//!
//! `shares` turns a mix into shares, `budget` turns tokens into windows, `expect` judges what the curriculum expects,
//! `feasible` finds sources that fall short and `patch` what would mend it; `estimate` and `predict` work on samples of the
//! data; `simulate` walks the window schedule; `view` is the result as data (`--json`) and `render` the same for a terminal.

pub mod budget;
pub mod estimate;
pub mod expect;
pub mod exports;
pub mod feasible;
pub mod memory;
pub mod number;
pub mod patch;
pub mod predict;
mod refuse;
pub mod render;
pub mod shares;
pub mod simulate;
pub mod size;
pub mod text;
pub mod view;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;

use num_rational::BigRational;
use num_traits::{One, Zero};

use crate::curriculum::checked::{Curriculum, Packing, SourceId};
use crate::error::Result;
use crate::mix::Ramp;
use crate::mix::interleave::end_counts;

pub use expect::Judged;
pub use feasible::Shortfall;
pub use shares::hang_on_sizes;
pub use size::{Basis, SourceSize, declared_sizes};

/// A plan walks a phase of at most so many windows to know its counts exactly; a longer one is walked by `simulate`.
const WALK_WINDOWS: u64 = 1 << 20;

/// The whole plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What multiplied budgets and absolute weights.
    pub scale: BigRational,
    /// Bytes of a stored token.
    pub token_width: usize,
    /// One for each source of the curriculum, in its order.
    pub sources: Vec<SourcePlan>,
    /// One for each phase of the curriculum, in order.
    pub phases: Vec<PhasePlan>,
    /// What a careful reader should know, one line each. The curriculum's own warnings are not among them.
    pub warnings: Vec<String>,
}

/// A source as the plan sees it.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    /// Its name.
    pub name: String,
    /// How large it is.
    pub size: SourceSize,
    /// How often it may be read: `max_epochs`, else without bound under `on_exhausted: repeat` (`None`), else once.
    pub max_epochs: Option<u64>,
}

impl SourcePlan {
    /// Stored tokens that may be read of it over the whole curriculum; `None` without bound.
    #[must_use]
    pub fn permitted(&self) -> Option<u128> {
        if self.size.tokens == 0 {
            return Some(0);
        }
        self.max_epochs.map(|epochs| u128::from(epochs) * u128::from(self.size.tokens))
    }
}

/// What one phase reads.
#[derive(Debug, Clone)]
pub struct PhasePlan {
    /// Its name.
    pub name: String,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// Packing.
    pub packing: Packing,
    /// Windows of the phase: round(tokens × scale / S), a half rounded up.
    pub windows: u64,
    /// Windows of a full shard: whole blocks of 256.
    pub shard_windows: u64,
    /// Share of each source (by source index), at the phase's start and end; they sum to one.
    pub shares: Vec<Ramp>,
    /// Windows of each source: the interleave's end counts.
    pub source_windows: Vec<u64>,
    /// Whether `source_windows` is the interleave's exact result, or the nearest integers to the quotas (within one window)
    /// because walking the phase would take too long for a plan.
    pub exact: bool,
    /// Stored tokens read of each source from the first phase's start to this phase's end: windows × W.
    pub stored: Vec<u64>,
    /// Its `expect` lines on these figures.
    pub expect: Vec<Judged>,
}

impl PhasePlan {
    /// Trained positions: windows × S.
    #[must_use]
    pub fn tokens(&self) -> u128 {
        u128::from(self.windows) * u128::from(self.sequence_length)
    }

    /// Quota of a source over the whole phase, in windows: the exact number its count is the floor or ceiling of.
    #[must_use]
    pub fn quota(&self, source: SourceId) -> BigRational {
        let ramp = &self.shares[source];
        (&ramp.from + &ramp.to) * BigRational::new(self.windows.into(), 2.into())
    }

    /// Shards of the phase.
    #[must_use]
    pub fn shards(&self) -> u64 {
        self.windows.div_ceil(self.shard_windows.max(1))
    }
}

/// Plans a curriculum and refuses what cannot be done: a source that falls short, or an `expect` line that cannot hold.
///
/// `sizes` has one entry for each source, in declaration order. `token_width` is 2 or 4 bytes.
///
/// # Errors
///
/// `Error::Curriculum` where the mix does not come out whatever the data, `Error::Infeasible` where it does not with these
/// sizes or at this scale; the latter carries a patch.
pub fn plan(curriculum: &Curriculum, sizes: &[SourceSize], scale: &BigRational, token_width: usize) -> Result<Plan> {
    let plan = draft(curriculum, sizes, scale, token_width)?;
    feasible::gate(curriculum, &plan)?;
    expect::gate(curriculum, &plan)?;
    Ok(plan)
}

/// Plans a curriculum without the gates: sources may fall short and `expect` lines may fail, so that a person can be shown
/// the whole table before the refusal. [`feasible::gate`] and [`expect::gate`] are what [`plan`] adds.
///
/// # Errors
///
/// As [`plan`], where not even a table can be made: shares that do not sum, a share or phase below one window.
pub fn draft(curriculum: &Curriculum, sizes: &[SourceSize], scale: &BigRational, token_width: usize) -> Result<Plan> {
    draft_with(curriculum, sizes, scale, token_width, |_, shares, windows| end_counts(shares, windows, WALK_WINDOWS))
}

/// As [`draft`], with windows of each source from `counts` (phase index, shares, windows), which says whether they are exact.
fn draft_with(
    curriculum: &Curriculum,
    sizes: &[SourceSize],
    scale: &BigRational,
    token_width: usize,
    counts: impl Fn(usize, &[Ramp], u64) -> Result<(Vec<u64>, bool)>,
) -> Result<Plan> {
    if sizes.len() != curriculum.sources.len() {
        return Err(refuse::failed(format!(
            "the plan was given {} sizes for {} sources",
            sizes.len(),
            curriculum.sources.len()
        )));
    }
    if *scale <= BigRational::zero() {
        return Err(refuse::curriculum(format!("--scale must be above zero, not {scale}")));
    }
    let sources = size::source_plans(curriculum, sizes);
    let mut warnings = Vec::new();
    let mut stored = vec![0; sources.len()];
    let mut phases = Vec::with_capacity(curriculum.phases.len());
    for (index, phase) in curriculum.phases.iter().enumerate() {
        let windows = budget::windows(phase, scale)?;
        let window_tokens = budget::window_tokens(phase.sequence_length, curriculum.label_token)?;
        let level = shares::Level { curriculum, sources: &sources, phase, windows, window_tokens, scale };
        let shares = shares::shares(&level)?;
        let (source_windows, exact) = counts(index, &shares, windows)?;
        let planned = phase_plan(&level, shares, source_windows, exact, token_width, &mut stored)?;
        budget::below_one_window(&planned, phase, &sources, scale.is_one(), &mut warnings)?;
        phases.push(planned);
    }
    size::warn_of_estimates(&sources, &stored, &mut warnings);
    Ok(Plan { scale: scale.clone(), token_width, sources, phases, warnings })
}

fn phase_plan(
    level: &shares::Level<'_>,
    shares: Vec<Ramp>,
    source_windows: Vec<u64>,
    exact: bool,
    token_width: usize,
    stored: &mut [u64],
) -> Result<PhasePlan> {
    let &shares::Level { phase, windows, window_tokens, .. } = level;
    for (total, count) in stored.iter_mut().zip(&source_windows) {
        *total = count
            .checked_mul(u64::from(window_tokens))
            .and_then(|tokens| total.checked_add(tokens))
            .ok_or_else(|| refuse::curriculum(format!("phase `{}`: more than 2^64 tokens", phase.name)))?;
    }
    let mut plan = PhasePlan {
        name: phase.name.clone(),
        sequence_length: phase.sequence_length,
        window_tokens,
        packing: phase.packing,
        windows,
        shard_windows: budget::shard_windows(phase.shard_bytes, window_tokens, token_width),
        shares,
        source_windows,
        exact,
        stored: stored.to_vec(),
        expect: Vec::new(),
    };
    let unique: Vec<u64> = level.sources.iter().map(|source| source.size.tokens).collect();
    plan.expect = phase
        .expect
        .iter()
        .map(|line| expect::judge(line, window_tokens, &plan.source_windows, &plan.stored, &unique))
        .collect();
    Ok(plan)
}
