//! Which windows each step trains on: a table that finds any step at once.

use super::skip::{Kept, Skips};
use crate::batches::BatchSize;
use crate::error::{Error, Result};
use crate::set::WindowSet;

/// What becomes of the last windows of a phase when they do not fill a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PhaseEnd {
    /// They are a shorter batch.
    #[default]
    Short,
    /// They are left out.
    Drop,
}

/// Steps in a row within one set, all of one batch size.
#[derive(Debug, Clone, Copy)]
struct Run {
    set: usize,
    /// Its first step.
    step: u64,
    steps: u64,
    /// First kept window of its first step.
    start: u64,
    /// Kept window after its last; the last batch may be short.
    end: u64,
    size: u64,
    /// Trained positions of all steps before it.
    positions: u64,
}

#[derive(Debug, Clone)]
struct SetShape {
    name: String,
    first_window: u64,
    first_position: u64,
    windows: u64,
    sequence_length: u32,
    kept: Kept,
}

/// The steps of a run: step, windows and tokens determine each other.
///
/// A step is a global batch: a run of consecutive windows that are not skipped, none across phases. Batch sizes are looked up at
/// the batch's first window, whose position in the curriculum no skip changes.
#[derive(Debug, Clone)]
pub struct Schedule {
    sets: Vec<SetShape>,
    runs: Vec<Run>,
    first_step: u64,
    steps: u64,
    size: BatchSize,
    phase_end: PhaseEnd,
}

/// One step of a [`Schedule`].
#[derive(Debug, Clone, PartialEq)]
pub struct Step<'a> {
    /// Its number.
    pub step: u64,
    /// Name of its phase (or held-out set).
    pub phase: &'a str,
    /// Its phase, counted from 0 among the sets that are read.
    pub phase_index: usize,
    /// S of its phase.
    pub sequence_length: u32,
    /// First global window.
    pub start: u64,
    /// The global window after its last. With skips, `start..end` may hold windows that are left out.
    pub end: u64,
    /// Number of its windows, over all ranks.
    pub windows: u64,
    /// Part of its phase that lies before its first window: 0 to below 1.
    pub progress: f64,
    /// Place of its first window in the curriculum, in trained positions: what batch sizes by token refer to.
    pub position: u64,
    /// Trained positions of all steps before it. Differs from `position` by what was skipped or dropped.
    pub tokens: u64,
}

/// A step as the loader needs it: kept windows `start..end` of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) set: usize,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Schedule {
    /// The steps over consecutive `sets`, from their first window.
    pub(crate) fn new(sets: &[WindowSet], size: &BatchSize, skips: &Skips, phase_end: PhaseEnd) -> Result<Self> {
        size.check()?;
        let shape = |set: &WindowSet| SetShape {
            name: set.name().to_owned(),
            first_window: set.first_window(),
            first_position: set.first_position(),
            windows: set.len(),
            sequence_length: set.sequence_length(),
            kept: Kept::new(skips, set.first_window(), set.len()),
        };
        let sets = sets.iter().map(shape).collect();
        let mut schedule = Self { sets, runs: Vec::new(), first_step: 0, steps: 0, size: size.clone(), phase_end };
        schedule.build(0, 0);
        Ok(schedule)
    }

    /// Builds the runs from kept window `from` of `set` on; its first step is `first_step`.
    fn build(&mut self, set: usize, from: u64) {
        self.runs.clear();
        let mut step = self.first_step;
        let before = |shape: &SetShape, count: u64| count.saturating_mul(u64::from(shape.sequence_length));
        let mut positions = self.sets.iter().take(set).map(|shape| before(shape, shape.kept.count())).sum::<u64>();
        positions += self.sets.get(set).map_or(0, |shape| before(shape, from));
        let steps = self.size.steps();
        for (index, shape) in self.sets.iter().enumerate().skip(set) {
            let count = shape.kept.count();
            let mut at = if index == set { from } else { 0 };
            // Where in this set each size begins, in kept windows.
            let borders: Vec<(u64, u64)> = steps
                .iter()
                .map(|&(border, size)| {
                    let windows = match self.size {
                        BatchSize::Constant(_) => 0,
                        BatchSize::ByWindow(_) => border.saturating_sub(shape.first_window),
                        BatchSize::ByToken(_) => border
                            .saturating_sub(shape.first_position)
                            .div_ceil(u64::from(shape.sequence_length.max(1))),
                    };
                    (shape.kept.before(shape.first_window.saturating_add(windows)), size)
                })
                .collect();
            // The border that holds is the last at or before a batch's first window, whatever lies between.
            while at < count {
                let active = borders.partition_point(|border| border.0 <= at).saturating_sub(1);
                let size = borders.get(active).map_or(1, |border| border.1).max(1);
                let until = borders.get(active + 1).map_or(count, |border| border.0.min(count));
                let mut number = (until - at).div_ceil(size);
                let mut end = at.saturating_add(number.saturating_mul(size));
                // Only the last of these batches can reach past the end.
                let cut = end > count;
                if cut {
                    match self.phase_end {
                        PhaseEnd::Short => end = count,
                        PhaseEnd::Drop => {
                            number -= 1;
                            end = at + number * size;
                        }
                    }
                }
                if number > 0 {
                    self.runs.push(Run { set: index, step, steps: number, start: at, end, size, positions });
                    step += number;
                    positions = positions.saturating_add(before(shape, end - at));
                }
                if cut {
                    break;
                }
                at = end;
            }
        }
        self.steps = step;
    }

    /// The number after the last step.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The first step: 0, unless a run was resumed in the middle of what these batch sizes would make a step.
    #[must_use]
    pub fn first_step(&self) -> u64 {
        self.first_step
    }

    /// Step `step`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when there is no such step.
    pub fn at(&self, step: u64) -> Result<Step<'_>> {
        let found = self.run_of(step).and_then(|run| Some((run, self.span(step)?, self.sets.get(run.set)?)));
        let (run, span, set) = found.ok_or_else(|| {
            let (first, end) = (self.first_step, self.steps);
            Error::OutOfRange(format!("there is no step {step}: there are {first} to before {end}"))
        })?;
        let start = set.kept.global(span.start);
        let within = start - set.first_window;
        let s = u64::from(set.sequence_length);
        #[expect(clippy::cast_precision_loss, reason = "a fraction for people and learning rates")]
        let progress = within as f64 / set.windows.max(1) as f64;
        Ok(Step {
            step,
            phase: &set.name,
            phase_index: run.set,
            sequence_length: set.sequence_length,
            start,
            end: set.kept.global(span.end - 1) + 1,
            windows: span.end - span.start,
            progress,
            position: set.first_position + within * s,
            tokens: run.positions + (span.start - run.start) * s,
        })
    }

    /// The step that trains on global window `window`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when none does: it is skipped, dropped, or does not exist.
    pub fn step_of(&self, window: u64) -> Result<u64> {
        let none =
            || Error::OutOfRange(format!("no step trains on window {window}: it is skipped, dropped, or not there"));
        let set = self.set_of(window).ok_or_else(none)?;
        let kept = &self.sets.get(set).ok_or_else(none)?.kept;
        let k = kept.before(window);
        if k >= kept.count() || kept.global(k) != window {
            return Err(none());
        }
        let run = self.runs.iter().find(|run| run.set == set && run.start <= k && k < run.end).ok_or_else(none)?;
        Ok(run.step + (k - run.start) / run.size)
    }

    fn set_of(&self, window: u64) -> Option<usize> {
        let holds = |set: &SetShape| set.first_window <= window && window - set.first_window < set.windows;
        self.sets.iter().position(holds)
    }

    fn run_of(&self, step: u64) -> Option<&Run> {
        let run = self.runs.partition_point(|run| run.step <= step).checked_sub(1)?;
        self.runs.get(run).filter(|run| step - run.step < run.steps)
    }

    /// The kept windows of a step.
    pub(crate) fn span(&self, step: u64) -> Option<Span> {
        let run = self.run_of(step)?;
        let start = run.start + (step - run.step).saturating_mul(run.size);
        Some(Span { set: run.set, start, end: start.saturating_add(run.size).min(run.end) })
    }

    /// The set and the number of windows of the largest step of each run of equal steps.
    pub(crate) fn largest(&self) -> impl Iterator<Item = Span> {
        self.runs.iter().map(|run| Span {
            set: run.set,
            start: run.start,
            end: run.start.saturating_add(run.size).min(run.end),
        })
    }

    /// Global number of a kept window.
    pub(crate) fn global(&self, set: usize, kept: u64) -> u64 {
        self.sets.get(set).map_or(0, |set| set.kept.global(kept))
    }

    /// Goes on from global window `window`; the step that comes next. Where that is the start of a step, the table stays as it
    /// is. Else the steps are counted anew from there: batches of full size, numbered after the steps that began before.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the windows end before it.
    pub(crate) fn resume(&mut self, window: u64) -> Result<u64> {
        let first = self.sets.first().map_or(0, |set| set.first_window);
        let end = self.sets.last().map_or(0, |set| set.first_window + set.windows);
        if window > end || (window < first && window != 0) {
            return Err(Error::OutOfRange(format!("start {window}: the windows are {first}..{end}")));
        }
        let window = window.max(first);
        let Some(set) = self.set_of(window) else { return Ok(self.steps) };
        let Some(shape) = self.sets.get(set) else { return Ok(self.steps) };
        let k = shape.kept.before(window);
        let begun = self.runs.iter().map(|run| match run.set.cmp(&set) {
            std::cmp::Ordering::Less => run.steps,
            std::cmp::Ordering::Equal if run.start < k => (k - run.start).div_ceil(run.size).min(run.steps),
            _ => 0,
        });
        let next = self.first_step + begun.sum::<u64>();
        let span = self.span(next);
        let in_order = span.is_none_or(|span| span.set > set || span.start == k);
        // A step that begins here, or what is left of the set is no step (skipped, or dropped as it would be now).
        let left = shape.kept.count() - k;
        if in_order && (span.is_some_and(|span| span.set == set) || left == 0 || !self.would_step(set, k)) {
            return Ok(next);
        }
        self.first_step = next;
        self.build(set, k);
        Ok(next)
    }

    /// Whether a batch that starts at kept window `k` of `set` would be a step.
    fn would_step(&self, set: usize, k: u64) -> bool {
        let mut trial = self.clone();
        trial.build(set, k);
        trial.runs.first().is_some_and(|run| run.set == set)
    }
}
