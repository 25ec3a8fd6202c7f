//! What a loader is asked for.

use super::schedule::PhaseEnd;
use super::state::Reads;
use crate::batches::BatchSize;
use crate::error::{Error, Result};
use crate::fill::FillOptions;

/// Width of ids in the arrays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IdType {
    /// 32 bits.
    I32,
    /// 64 bits, as PyTorch's cross-entropy wants its targets.
    #[default]
    I64,
}

impl IdType {
    /// Bytes of an id.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::I32 => 4,
            Self::I64 => 8,
        }
    }
}

/// How `cu_seqlens` is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Borders {
    /// Not at all.
    None,
    /// As many borders as there are.
    #[default]
    Exact,
    /// Always so many sequences, hence one border more: the last border is repeated. A micro-batch with more is an error.
    Padded(usize),
}

/// Which arrays are written beside the input ids, the sources, the epochs and the window numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outputs {
    /// Width of `input_ids`, `labels` and `position_ids`.
    pub ids: IdType,
    /// `labels`.
    pub labels: bool,
    /// `position_ids`.
    pub position_ids: bool,
    /// `segment_ids`.
    pub segment_ids: bool,
    /// `loss_mask`.
    pub loss_mask: bool,
    /// `cu_seqlens`.
    pub cu_seqlens: Borders,
}

impl Default for Outputs {
    /// All of them, ids of 64 bits.
    fn default() -> Self {
        Self {
            ids: IdType::I64,
            labels: true,
            position_ids: true,
            segment_ids: true,
            loss_mask: true,
            cu_seqlens: Borders::Exact,
        }
    }
}

/// Which part of a sequence a context-parallel rank holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Rank r of n holds the r-th of n equal parts.
    Contiguous,
    /// Rank r of n holds parts r and 2n - 1 - r of 2n: all ranks then have the same work under a causal mask.
    Zigzag,
}

/// A rank's part in context parallelism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// This rank, below `ranks`.
    pub rank: u32,
    /// Ranks that share a sequence.
    pub ranks: u32,
    /// How they share it.
    pub cut: Cut,
}

impl Context {
    /// The parts of a sequence of length `s` that this rank holds, in order.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when there is no such rank, or the sequence cannot be cut evenly.
    pub fn parts(&self, s: usize) -> Result<Vec<std::ops::Range<usize>>> {
        let wrong = |message| Err(Error::OutOfRange(message));
        let Self { rank, ranks, cut } = *self;
        if rank >= ranks {
            return wrong(format!("context-parallel rank {rank} of {ranks}: ranks count from 0"));
        }
        let (r, n) = (usize::try_from(rank).unwrap_or(usize::MAX), usize::try_from(ranks).unwrap_or(usize::MAX));
        let pieces = if cut == Cut::Zigzag { n.saturating_mul(2) } else { n };
        if !s.is_multiple_of(pieces) {
            return wrong(format!("sequences of {s} cannot be cut into {pieces} equal parts for context parallelism"));
        }
        let piece = s / pieces;
        let part = |i: usize| i * piece..(i + 1) * piece;
        Ok(match cut {
            Cut::Contiguous => vec![part(r)],
            Cut::Zigzag => vec![part(r), part(pieces - 1 - r)],
        })
    }
}

/// What a [`Loader`](super::Loader) hands out, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderOptions {
    /// Windows of a global batch, over all ranks.
    pub size: BatchSize,
    /// This data-parallel rank, below `world`.
    pub rank: u32,
    /// Number of data-parallel ranks.
    pub world: u32,
    /// Windows of this rank in one piece; `None` for all of its part of the batch. Every rank gets the same number of pieces.
    pub micro: Option<u64>,
    /// First global window.
    pub start: u64,
    /// Spans of global windows to leave out, half-open.
    pub skip: Vec<(u64, u64)>,
    /// What becomes of a phase's last windows.
    pub phase_end: PhaseEnd,
    /// This rank's part of each sequence.
    pub context: Option<Context>,
    /// Which sets are read.
    pub reads: Reads,
    /// Which arrays are written.
    pub outputs: Outputs,
    /// What is masked.
    pub fill: FillOptions,
    /// Threads that fill ahead; 0: whoever asks for a batch fills it.
    pub threads: usize,
    /// Bound on the bytes of arrays that are filled ahead. One is always.
    pub prefetch_bytes: usize,
}

impl LoaderOptions {
    /// Batches of `size` windows for a single rank, from the start, with all arrays, filled ahead by one thread.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self {
            size: BatchSize::Constant(size),
            rank: 0,
            world: 1,
            micro: None,
            start: 0,
            skip: Vec::new(),
            phase_end: PhaseEnd::Short,
            context: None,
            reads: Reads::Phases,
            outputs: Outputs::default(),
            fill: FillOptions::default(),
            threads: 1,
            prefetch_bytes: 256 << 20,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.size.check()?;
        let wrong = |message: String| Err(Error::OutOfRange(message));
        if self.rank >= self.world {
            return wrong(format!("rank {} of {}: ranks count from 0", self.rank, self.world));
        }
        if self.micro == Some(0) {
            return wrong("micro-batches of no windows".to_owned());
        }
        if self.threads > 1024 {
            return wrong(format!("{} threads to fill batches", self.threads));
        }
        Ok(())
    }
}
