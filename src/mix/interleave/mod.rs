//! Which source owns each window position of a phase: Tijdeman's chairman assignment, in integers.
//!
//! R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980) 323-330: m states each have a share of a
//! chair; whatever the shares (they may change over time, as long as they sum to one), chairs can be given so that no state is
//! ever further than 1 - 1/(2m - 2) from its cumulative share, and no smaller bound holds for all shares.
//!
//! # The rule
//!
//! Let Λ(n) be a source's quota after n windows, c the windows it has, δ = 1/(2m - 2) for the m ≥ 2 sources with a positive
//! share. Its next window may be given from the smallest n with Λ(n) - c ≥ δ (its *release*: afterwards it is at most 1 - δ
//! ahead) and must be given by the smallest n with Λ(n) - c > 1 - δ (its *deadline*: it would else be more than 1 - δ behind).
//! At each n, of the sources released, the one with the earliest deadline gets the window; ties go to the smaller index.
//! A source computes both numbers once, when it was last chosen. A single source gets everything.
//!
//! # Why no deadline is ever missed
//!
//! *There is always a released source*: before window n the differences Λ(n) - c sum to one, and m numbers below δ sum to less
//! than mδ ≤ 1.
//!
//! *Earliest deadline first* meets all deadlines of unit jobs whenever they can be met, and by Hall's theorem they can when no
//! interval [a, b] of positions is the whole life of more than b - a + 1 jobs. Let x = Λ(a - 1) and y = Λ(b) of a source. Its
//! window number c lives within [a, b] if x - δ < c < y - 1 + δ. Let N be how many such c there are; if N ≥ 1,
//! N < y - x + 2δ, as N integers within an open interval span N - 1. Over all sources Σ(y - x) = b - a + 1.
//!
//! - If at most m - 1 sources have N ≥ 1, then Σ N < b - a + 1 + 2δ(m - 1) = b - a + 2, so Σ N ≤ b - a + 1.
//! - If all m have, write y + δ = p + u and x - δ = q - v with p, q integers and u, v in (0, 1]; then c runs from q to p - 1,
//!   N = p - q, and Σ N = b - a + 1 + 2mδ - Σ(u + v). Σ y is an integer, so Σ u ≡ mδ modulo 1; mδ = 1/2 + 1/(2m - 2) lies in
//!   (1/2, 1] and Σ u > 0, so Σ u ≥ mδ; likewise Σ v ≥ mδ. Hence Σ N ≤ b - a + 1.
//!
//! It follows that |count - quota| ≤ 1 - δ < 1 at every position: end counts are the floor or the ceiling of the quotas, and
//! where a quota is whole the count equals it.

mod lane;
mod shares;
mod simulate;
#[cfg(test)]
mod tests;

pub use simulate::{Drift, Simulation, end_counts, simulate};

use super::Ramp;
use super::labels::BLOCK;
use crate::error::{Error, Result};
use lane::Lane;
use shares::Shares;

/// Release of a source that is never eligible again; also the key of a source not yet released.
const NEVER: u64 = u64::MAX;

/// The walk over one phase's window positions. Cloning it, or [`Interleave::seek`], restarts a walk anywhere.
#[derive(Debug, Clone)]
pub struct Interleave {
    /// The sources with a positive share, by source index.
    lanes: Vec<Lane>,
    /// First position (from 1) at which a lane may get its next window.
    release: Vec<u64>,
    /// Last position at which it must.
    deadline: Vec<u64>,
    /// Windows of each lane so far.
    given: Vec<u64>,
    sources: usize,
    position: u64,
    windows: u64,
    exact: bool,
}

impl Interleave {
    /// A walk from the first position of a phase of `windows` windows; one ramp for each source.
    ///
    /// Arithmetic is exact over the shares' common denominator. Should that be too large for 128 bits, shares are apportioned
    /// to a denominator of 2^k (largest remainder; k is the largest, at most 60, for which everything fits), which shifts a
    /// quota by less than windows / 2^k: below 1e-5 of a window for two thousand million windows and 64 sources.
    /// [`Interleave::exact`] says which.
    ///
    /// # Errors
    ///
    /// When shares are negative or do not sum to one, when there are more than 65,536 sources, or a ramped phase is so long
    /// (beyond 2^48 windows or so) that its quotas cannot be computed.
    pub fn new(ramps: &[Ramp], windows: u64) -> Result<Self> {
        let shares = Shares::new(ramps, windows)?;
        let lanes = shares.lanes(windows)?;
        let mut interleave = Self {
            release: vec![0; lanes.len()],
            deadline: vec![0; lanes.len()],
            given: vec![0; lanes.len()],
            lanes,
            sources: ramps.len(),
            position: 0,
            windows,
            exact: shares.exact,
        };
        interleave.restart();
        Ok(interleave)
    }

    /// Moves the walk to `position`, where the sources have `counts` windows (as [`Interleave::counts`] gave them there).
    ///
    /// # Errors
    ///
    /// When the counts cannot be those of this walk at that position.
    pub fn seek(&mut self, position: u64, counts: &[u64]) -> Result<()> {
        let fits = counts.len() == self.sources
            && position <= self.windows
            && counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count)) == Some(position)
            && self.lanes.iter().map(|lane| counts[usize::from(lane.source)]).sum::<u64>() == position
            && self.lanes.iter().all(|lane| lane.within_bound(position, counts[usize::from(lane.source)]));
        if !fits {
            return Err(Error::Failed(format!(
                "the counts kept for window {position} of a phase are not those of its mix: the plan and its checkpoint differ"
            )));
        }
        for (given, lane) in self.given.iter_mut().zip(&self.lanes) {
            *given = counts[usize::from(lane.source)];
        }
        self.position = position;
        self.restart();
        Ok(())
    }

    /// Appends the owners (source indexes) of the next block: 256, or what is left of the phase; none at its end. Labels are
    /// not yet permuted (see [`permute`](super::labels::permute)).
    pub fn next_block(&mut self, owners: &mut Vec<u16>) {
        let length = (self.windows - self.position).min(BLOCK - self.position % BLOCK);
        for _ in 0..length {
            let lane = self.step();
            owners.push(self.lanes[lane].source);
        }
    }

    /// Windows given so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Windows of the phase.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// Windows given so far to each source.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.sources];
        for (lane, &given) in self.lanes.iter().zip(&self.given) {
            counts[usize::from(lane.source)] = given;
        }
        counts
    }

    /// Whether quotas are those of the shares to the last bit, or of shares apportioned to a power of two.
    #[must_use]
    pub fn exact(&self) -> bool {
        self.exact
    }

    /// Computes every lane's release and deadline from its count.
    fn restart(&mut self) {
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            (self.release[index], self.deadline[index]) = lane.start(self.given[index]);
        }
    }

    /// Gives the next window; answers the lane that got it. Never called at the phase's end.
    #[inline]
    fn step(&mut self) -> usize {
        let position = self.position + 1;
        let (mut chosen, mut earliest) = (0, NEVER);
        for (index, (&release, &deadline)) in self.release.iter().zip(&self.deadline).enumerate() {
            let key = if release <= position { deadline } else { NEVER };
            if key < earliest {
                (chosen, earliest) = (index, key);
            }
        }
        debug_assert!(
            position <= earliest && earliest < NEVER,
            "a deadline is missed or nobody is released at {position}"
        );
        self.position = position;
        self.given[chosen] += 1;
        (self.release[chosen], self.deadline[chosen]) =
            self.lanes[chosen].next(self.given[chosen], self.release[chosen], self.deadline[chosen]);
        chosen
    }
}
