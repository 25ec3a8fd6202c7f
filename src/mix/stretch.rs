//! A stretch: windows of one length and one packing, taken from a source one after another.
//!
//! A stretch begins with the *rest*, what an earlier stretch left of the range it was reading, and goes on with the line. Rest
//! and ranges are its *chunks*: what is permuted, or packed, together.

use std::sync::Arc;

use super::Piece;
use super::concat::Concat;
use super::fit::Fit;
use super::line::Line;
use super::run::Run;
use crate::curriculum::checked::Packing;
use crate::error::Result;

/// Orders and packings kept by a stretch: the chunk being read, and one or two for threads that are ahead or lag.
pub(super) const KEPT: usize = 3;

/// What of the line has not been taken: the rest, then everything from `resume` on.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    pub(super) rest: Arc<Run>,
    /// Epoch of the rest's tokens. While there is a rest, `resume` is not beyond that epoch's end.
    pub(super) rest_epoch: u32,
    pub(super) resume: u128,
}

/// A chunk of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    Rest,
    /// A range, by its place in an epoch's order; its head is missing where an earlier window had taken it.
    Range {
        epoch: u32,
        position: usize,
    },
}

/// What every stretch needs to know.
#[derive(Debug)]
pub(super) struct Frame {
    /// Number of the stretch, from 0.
    pub(super) number: u32,
    pub(super) window_tokens: u32,
    /// Where it begins.
    pub(super) cursor: Cursor,
    /// Epochs that may be read.
    pub(super) epochs: u32,
}

impl Frame {
    /// Where the line ends, in tokens.
    pub(super) fn end(&self, line: &Line<'_>) -> u128 {
        u128::from(self.epochs) * u128::from(line.tokens())
    }
}

pub(super) enum Stretch {
    Concat(Concat),
    Fit(Fit),
}

impl Stretch {
    /// `need`: windows that will be asked for.
    pub(super) fn new(line: &Line<'_>, frame: Frame, packing: Packing, need: u64) -> Result<Self> {
        Ok(match packing {
            Packing::Concat => Self::Concat(Concat::new(line, frame)),
            Packing::BestFit => Self::Fit(Fit::new(line, frame, need)?),
        })
    }

    /// Windows that there are; at least `need` if there are as many, exact if not.
    pub(super) fn capacity(&self) -> u64 {
        match self {
            Self::Concat(concat) => concat.capacity(),
            Self::Fit(fit) => fit.capacity(),
        }
    }

    /// Appends the pieces of the k-th window (below `need` and capacity); answers its padding.
    pub(super) fn window(&self, line: &Line<'_>, k: u64, pieces: &mut Vec<Piece>) -> Result<u32> {
        match self {
            Self::Concat(concat) => concat.window(line, k, pieces).map(|()| 0),
            Self::Fit(fit) => fit.window(line, k, pieces),
        }
    }

    /// What is left once `taken` windows have been taken.
    pub(super) fn cursor_after(&self, line: &Line<'_>, taken: u64) -> Result<Cursor> {
        match self {
            Self::Concat(concat) => concat.cursor_after(line, taken),
            Self::Fit(fit) => fit.cursor_after(line, taken),
        }
    }
}
