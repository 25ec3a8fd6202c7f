//! Batches: which windows a rank reads at each step.
//!
//! A global batch is a run of consecutive windows; rank r of n reads every n-th of them from the r-th on. So all ranks together
//! read the one global order, whatever their number, and a batch is a pure function of (dataset, first window).

use crate::dataset;
use crate::error::{Error, Result};
use crate::fill::{Buffers, FillOptions, Filled, Id};
use crate::set::{Window, WindowSet};

/// Windows of a global batch (over all ranks together).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchSize {
    /// Always so many.
    Constant(u64),
    /// `(from, size)`, ascending: `size` from global window `from` on. The first `from` must be 0.
    ByWindow(Vec<(u64, u64)>),
    /// `(from, size)`, ascending: `size` windows from global trained position (token) `from` on. The first `from` must be 0.
    ByToken(Vec<(u64, u64)>),
}

/// Which batches to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOptions {
    /// Windows of a global batch.
    pub size: BatchSize,
    /// This rank, below `world`.
    pub rank: u32,
    /// Number of data-parallel ranks.
    pub world: u32,
    /// First global window: 0, or [`Batch::end`] of the last batch that was trained on.
    pub start: u64,
}

impl BatchOptions {
    /// Batches of `size` windows for a single rank, from the start.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size: BatchSize::Constant(size), rank: 0, world: 1, start: 0 }
    }
}

/// An iterator over one rank's part of each global batch. It never ends a phase within a batch: the last batch of a phase is
/// shorter when the phase's windows do not divide. Every rank sees every batch, if need be with no window in it, so that all
/// count the same steps.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    sets: &'a [WindowSet],
    size: BatchSize,
    rank: u64,
    world: u64,
    next: u64,
    end: u64,
}

impl BatchSize {
    /// The sizes as a schedule, in the unit of this variant.
    pub(crate) fn steps(&self) -> Vec<(u64, u64)> {
        match self {
            Self::Constant(size) => vec![(0, *size)],
            Self::ByWindow(steps) | Self::ByToken(steps) => steps.clone(),
        }
    }

    /// Whether it starts at 0, ascends, and has no empty batch.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |message: &str| Err(Error::OutOfRange(message.to_owned()));
        match self {
            Self::Constant(0) => wrong("a batch of no windows"),
            Self::Constant(_) => Ok(()),
            Self::ByWindow(steps) | Self::ByToken(steps) => {
                if steps.first().is_none_or(|step| step.0 != 0) || !steps.is_sorted_by(|a, b| a.0 < b.0) {
                    return wrong("a schedule of batch sizes must start at 0 and ascend");
                }
                if steps.iter().any(|step| step.1 == 0) {
                    return wrong("a schedule with a batch of no windows");
                }
                Ok(())
            }
        }
    }
}

impl<'a> Batches<'a> {
    pub(crate) fn new(sets: &'a [WindowSet], options: BatchOptions) -> Result<Self> {
        let BatchOptions { size, rank, world, start } = options;
        let wrong = |message: String| Err(Error::OutOfRange(message));
        if rank >= world {
            return wrong(format!("rank {rank} of {world}: ranks count from 0"));
        }
        size.check()?;
        let first = sets.first().map_or(0, WindowSet::first_window);
        let end = sets.last().map_or(0, |set| set.first_window() + set.len());
        if start > end || (start < first && start != 0) {
            return wrong(format!("start {start}: the windows are {first}..{end}"));
        }
        let (rank, world) = (u64::from(rank), u64::from(world));
        Ok(Self { sets, size, rank, world, next: start.max(first), end })
    }

    /// First window of the next batch: what to start from to go on from here.
    #[must_use]
    pub fn next_window(&self) -> u64 {
        self.next
    }

    fn size_at(&self, window: u64, set: &WindowSet) -> u64 {
        let at = |steps: &[(u64, u64)], position: u64| {
            let step = steps.partition_point(|step| step.0 <= position).saturating_sub(1);
            steps.get(step).map_or(1, |step| step.1)
        };
        match &self.size {
            BatchSize::Constant(size) => *size,
            BatchSize::ByWindow(steps) => at(steps, window),
            BatchSize::ByToken(steps) => {
                let within = (window - set.first_window()) * u64::from(set.sequence_length());
                at(steps, set.first_position() + within)
            }
        }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Batch<'a>;

    fn next(&mut self) -> Option<Batch<'a>> {
        if self.next >= self.end {
            return None;
        }
        let set = dataset::set_of(self.sets, self.next)?;
        let start = self.next;
        let end = start.saturating_add(self.size_at(start, set)).min(set.first_window() + set.len());
        self.next = end;
        Some(Batch { set, start, end, rank: self.rank, world: self.world })
    }
}

/// One rank's part of a global batch.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    set: &'a WindowSet,
    start: u64,
    end: u64,
    rank: u64,
    world: u64,
}

impl<'a> Batch<'a> {
    /// First global window of the whole batch.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The global window after the batch's last: where the next batch starts.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The phase (or held-out set).
    #[must_use]
    pub fn set(&self) -> &'a WindowSet {
        self.set
    }

    /// This rank's global windows, ascending.
    pub fn indices(&self) -> impl Iterator<Item = u64> + use<> {
        let (end, world) = (self.end, self.world);
        let first = Some(self.start.saturating_add(self.rank)).filter(|&first| first < end);
        std::iter::successors(first, move |&i| i.checked_add(world).filter(|&next| next < end))
    }

    /// Number of this rank's windows; may be 0 in a short batch.
    #[must_use]
    pub fn len(&self) -> usize {
        let windows = (self.end - self.start).saturating_sub(self.rank).div_ceil(self.world);
        usize::try_from(windows).unwrap_or(usize::MAX)
    }

    /// Whether this rank has no window in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// This rank's windows.
    pub fn windows(&self) -> impl Iterator<Item = Result<Window<'a>>> + use<'a> {
        let set = self.set;
        self.indices().map(move |i| {
            let mut window = set.window(i - set.first_window())?;
            window.index = i;
            Ok(window)
        })
    }

    /// Writes this rank's windows into `buffers`, one row each, in one pass.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when a buffer is too small; [`Error::Corrupt`] when a window is not what the manifest says.
    pub fn fill<I: Id>(&self, buffers: &mut Buffers<'_, I>, options: &FillOptions) -> Result<Filled> {
        crate::fill::fill(self.set, self.windows(), self.len(), buffers, options)
    }
}
