//! Walks the whole window schedule and measures how far each source strays from its share.
//!
//! Drift is windows given less windows due, after n windows of the phase. Between two windows of a source it only falls, so
//! its extremes lie right after a window of the source, right before the next, and at the end: one look for each window,
//! whatever the number of sources. The walk compares in floating point (the quota of 10^9 windows is good to 10^-6 of a
//! window) and then works out the exact figure at the place it found.

use std::sync::atomic::{AtomicUsize, Ordering};

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero};

use crate::curriculum::checked::Curriculum;
use crate::error::Result;
use crate::mix::Ramp;
use crate::mix::interleave::Interleave;

use super::budget::BLOCK;
use super::{Plan, draft_with, refuse};

/// Windows between two words on progress.
const PROGRESS: u64 = 1 << 20;

/// What the walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    /// One for each phase, in order.
    pub phases: Vec<PhaseWalk>,
}

/// What the walk found in one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseWalk {
    /// Windows of each source, exact.
    pub source_windows: Vec<u64>,
    /// For each source, its largest drift at the end of a block.
    pub at_borders: Vec<Drift>,
    /// For each source, its largest drift after any window.
    pub anywhere: Vec<Drift>,
}

/// How far a source was from its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Windows given less windows due: above zero, the source is ahead.
    pub windows: BigRational,
    /// After so many windows of the phase.
    pub after: u64,
}

/// Walks all phases on `threads` threads, at most one for each phase. Memory does not depend on the length. `progress` is
/// told now and then, on any thread, how many windows more were walked.
///
/// # Errors
///
/// What the interleave says of shares that do not sum to one.
pub fn simulate(plan: &Plan, threads: usize, progress: &(dyn Fn(u64) + Sync)) -> Result<Simulation> {
    let count = plan.phases.len();
    let mut longest_first: Vec<usize> = (0..count).collect();
    longest_first.sort_by_key(|index| std::cmp::Reverse(plan.phases[*index].windows));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(index) = longest_first.get(next.fetch_add(1, Ordering::Relaxed)) {
            let phase = &plan.phases[*index];
            done.push((*index, walk(&phase.shares, phase.windows, progress)));
        }
        done
    };
    let mut found: Vec<(usize, Result<PhaseWalk>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.clamp(1, count.max(1))).map(|_| scope.spawn(work)).collect();
        let mut found = work();
        for worker in workers {
            match worker.join() {
                Ok(done) => found.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    });
    found.sort_by_key(|(index, _)| *index);
    let phases = found.into_iter().map(|(_, walk)| walk).collect::<Result<_>>()?;
    Ok(Simulation { phases })
}

/// The plan with the exact counts that the walk found, in place of those known within a window.
///
/// # Errors
///
/// As [`super::draft`].
pub fn settled(curriculum: &Curriculum, plan: &Plan, simulation: &Simulation) -> Result<Plan> {
    let sizes: Vec<_> = plan.sources.iter().map(|source| source.size).collect();
    draft_with(curriculum, &sizes, &plan.scale, plan.token_width, |phase, _, _| {
        simulation
            .phases
            .get(phase)
            .map(|walk| (walk.source_windows.clone(), true))
            .ok_or_else(|| refuse::failed(format!("the walk has no phase {phase}")))
    })
}

fn walk(shares: &[Ramp], windows: u64, progress: &(dyn Fn(u64) + Sync)) -> Result<PhaseWalk> {
    let mut interleave = Interleave::new(shares, windows)?;
    let mut meter = Meter::new(shares, windows);
    let mut owners = Vec::with_capacity(256);
    while meter.placed < windows {
        owners.clear();
        interleave.next_block(&mut owners);
        if owners.is_empty() {
            return Err(refuse::failed(format!("the interleave ended after {} of {windows} windows", meter.placed)));
        }
        meter.block(&owners);
        if meter.placed.is_multiple_of(PROGRESS) {
            progress(PROGRESS);
        }
    }
    progress(windows % PROGRESS);
    Ok(meter.finish())
}

/// Follows the drift of every source.
struct Meter<'a> {
    shares: &'a [Ramp],
    windows: u64,
    placed: u64,
    sources: Vec<Followed>,
}

/// One source: its quota after n windows is `linear` × n + `square` × n².
struct Followed {
    linear: f64,
    square: f64,
    count: u64,
    anywhere: Peak,
    border: Peak,
}

#[derive(Clone, Copy, Default)]
struct Peak {
    drift: f64,
    after: u64,
    count: u64,
}

impl Peak {
    fn see(&mut self, drift: f64, after: u64, count: u64) {
        if drift.abs() > self.drift.abs() {
            *self = Self { drift, after, count };
        }
    }
}

impl Followed {
    fn drift(&self, after: u64) -> f64 {
        let n = after as f64;
        self.count as f64 - n * self.square.mul_add(n, self.linear)
    }
}

impl<'a> Meter<'a> {
    fn new(shares: &'a [Ramp], windows: u64) -> Self {
        let float = |number: BigRational| number.to_f64().unwrap_or(0.0);
        let twice = BigRational::from_integer(BigInt::from(windows.max(1)) * 2);
        let sources = shares
            .iter()
            .map(|ramp| Followed {
                linear: float(ramp.from.clone()),
                square: float((&ramp.to - &ramp.from) / &twice),
                count: 0,
                anywhere: Peak::default(),
                border: Peak::default(),
            })
            .collect();
        Self { shares, windows, placed: 0, sources }
    }

    fn block(&mut self, owners: &[u16]) {
        for owner in owners {
            let source = &mut self.sources[usize::from(*owner)];
            let before = source.drift(self.placed);
            source.anywhere.see(before, self.placed, source.count);
            source.count += 1;
            self.placed += 1;
            let after = source.drift(self.placed);
            source.anywhere.see(after, self.placed, source.count);
        }
        if self.placed.is_multiple_of(BLOCK) || self.placed == self.windows {
            for source in &mut self.sources {
                let drift = source.drift(self.placed);
                source.border.see(drift, self.placed, source.count);
                source.anywhere.see(drift, self.placed, source.count);
            }
        }
    }

    fn finish(self) -> PhaseWalk {
        let exact = |ramp: &Ramp, peak: &Peak| {
            let after = BigRational::from_integer(peak.after.into());
            let twice = BigRational::from_integer(BigInt::from(self.windows.max(1)) * 2);
            let due = &ramp.from * &after + (&ramp.to - &ramp.from) * &after * &after / twice;
            Drift { windows: BigRational::from_integer(peak.count.into()) - due, after: peak.after }
        };
        let of = |peak: fn(&Followed) -> &Peak| {
            self.shares.iter().zip(&self.sources).map(|(ramp, source)| exact(ramp, peak(source))).collect()
        };
        PhaseWalk {
            source_windows: self.sources.iter().map(|source| source.count).collect(),
            at_borders: of(|source| &source.border),
            anywhere: of(|source| &source.anywhere),
        }
    }
}

impl PhaseWalk {
    /// The largest drift of any source at the end of a block, and of any after any window, as distances.
    #[must_use]
    pub fn largest(&self) -> (BigRational, BigRational) {
        let largest =
            |drifts: &[Drift]| drifts.iter().map(|drift| drift.windows.abs()).max().unwrap_or_else(BigRational::zero);
        (largest(&self.at_borders), largest(&self.anywhere))
    }
}
