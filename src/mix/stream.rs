//! One source as an endless stream of windows, through all epochs and phases.

use super::hash::SourceHash;
use super::line::Line;
use super::stretch::{Cursor, Frame, Stretch};
use super::{Documents, Piece};
use crate::curriculum::checked::Packing;
use crate::error::{Error, Result};

/// Epochs that a source without `max_epochs` may be read. More would mean a source of a handful of tokens.
pub const MAX_EPOCHS: u32 = 1 << 24;

/// What one phase takes from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Windows that the phase takes; 0 where the source is not in its mix.
    pub windows: u64,
    /// W: tokens of a window.
    pub window_tokens: u32,
    /// How documents become windows.
    pub packing: Packing,
}

/// What became of one epoch's tokens: together the source's unique tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochUse {
    /// The epoch, from 0.
    pub epoch: u32,
    /// Tokens in windows.
    pub emitted: u64,
    /// Tokens not read; positive in the last epoch begun only.
    pub unused: u64,
    /// Tokens dropped by packing. Neither packing drops any; the ledger has a place for one that would.
    pub truncated: u64,
}

/// Why a source's stream cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The source's permitted epochs do not hold what is asked of it.
    #[error(
        "source `{source_name}` has {available} windows left for phase {} but {asked} are asked of it \
         ({tokens} tokens, at most {epochs} epochs)",
        draw + 1
    )]
    Exhausted {
        /// The source.
        source_name: String,
        /// The first draw (phase, from 0) that falls short.
        draw: usize,
        /// Windows it asks for.
        asked: u64,
        /// Windows it can have once all draws before it are served: asking for so many would do.
        available: u64,
        /// The source's unique tokens.
        tokens: u64,
        /// Epochs permitted.
        epochs: u32,
    },
    /// The store cannot be read, or is not what it says.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<StreamError> for Error {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Exhausted { .. } => {
                Self::Infeasible { rendered: error.to_string(), summary: error.to_string() }
            }
            StreamError::Failed(error) => error,
        }
    }
}

/// A source's windows. Any of them can be had at once, from any thread.
///
/// # The order
///
/// The line of tokens runs through the epochs; in each, ranges and the documents of a range follow their hashes. Each draw takes
/// up the line where the one before left it. Consecutive draws of equal W and packing are one *stretch*; so are those with only
/// empty draws between them. Where W or packing changes, what was not yet taken of the current range is packed anew, alone, as
/// the next stretch's first chunk; if one of the windows taken reached into the next range, that range begins after it.
/// Nothing that a draw holds depends on the draws after it.
pub struct SourceStream<'a> {
    line: Line<'a>,
    stretches: Vec<Stretch>,
    draws: Vec<Placed>,
    /// What is left after the last draw.
    cursor: Cursor,
}

/// Where a draw's windows are.
struct Placed {
    windows: u64,
    stretch: usize,
    /// Windows of the stretch before this draw's.
    first: u64,
}

impl<'a> SourceStream<'a> {
    /// Lays out a source's windows for all phases; one draw for each, in order. `max_epochs: None` permits [`MAX_EPOCHS`].
    ///
    /// For `best_fit` this reads the documents' lengths, as far as windows are asked for; else at most one range a stretch.
    ///
    /// # Errors
    ///
    /// [`StreamError::Exhausted`], exactly when the permitted epochs do not hold the windows; else when documents cannot be read.
    pub fn new(
        documents: &'a dyn Documents,
        seed: u64,
        source_name: &str,
        max_epochs: Option<u32>,
        draws: &[Draw],
    ) -> Result<Self, StreamError> {
        let line = Line::new(documents, SourceHash::new(seed, source_name))?;
        let epochs = max_epochs.unwrap_or(MAX_EPOCHS).min(MAX_EPOCHS);
        let mut stream = Self { line, stretches: Vec::new(), draws: Vec::new(), cursor: Cursor::default() };
        let mut from = 0;
        while from < draws.len() {
            let to = from + stretch_length(&draws[from..]);
            stream.add(&draws[from..to], from, epochs)?;
            from = to;
        }
        Ok(stream)
    }

    /// Adds a stretch of draws, of which the first is number `from`.
    fn add(&mut self, draws: &[Draw], from: usize, epochs: u32) -> Result<(), StreamError> {
        let stretch = self.stretches.len();
        let Some(shape) = draws.iter().find(|draw| draw.windows > 0) else {
            self.draws.extend(draws.iter().map(|_| Placed { windows: 0, stretch, first: 0 }));
            return Ok(());
        };
        let failed = |what: &str| Error::Failed(format!("source {}: {what}", self.line.hash.source()));
        if shape.window_tokens == 0 {
            return Err(failed("a window of no tokens was asked for").into());
        }
        let asked = draws
            .iter()
            .try_fold(0_u64, |sum, draw| sum.checked_add(draw.windows))
            .ok_or_else(|| failed("the windows asked for pass 64 bits"))?;
        let frame = Frame {
            number: u32::try_from(stretch).map_err(|_| failed("too many phases"))?,
            window_tokens: shape.window_tokens,
            cursor: std::mem::take(&mut self.cursor),
            epochs,
        };
        let laid = Stretch::new(&self.line, frame, shape.packing, asked)?;
        let capacity = laid.capacity();
        let mut first = 0;
        for (draw, number) in draws.iter().zip(from..) {
            if draw.windows > capacity - first {
                return Err(StreamError::Exhausted {
                    source_name: self.line.hash.source().to_owned(),
                    draw: number,
                    asked: draw.windows,
                    available: capacity - first,
                    tokens: self.line.tokens(),
                    epochs,
                });
            }
            self.draws.push(Placed { windows: draw.windows, stretch, first });
            first += draw.windows;
        }
        self.cursor = laid.cursor_after(&self.line, asked)?;
        self.stretches.push(laid);
        Ok(())
    }

    /// The k-th window (from 0) that this source contributes to a draw: puts its pieces, in order, in place of what `pieces`
    /// held, and answers the tokens of padding at its end.
    ///
    /// # Errors
    ///
    /// When there is no such window, or documents cannot be read.
    pub fn window(&self, draw: usize, k: u64, pieces: &mut Vec<Piece>) -> Result<u32> {
        pieces.clear();
        match self.draws.get(draw) {
            Some(placed) if k < placed.windows => {
                self.stretches[placed.stretch].window(&self.line, placed.first + k, pieces)
            }
            _ => Err(Error::Failed(format!(
                "source {}: window {k} of phase {} was asked for, but there is none",
                self.line.hash.source(),
                draw + 1
            ))),
        }
    }

    /// What became of each epoch begun, from 0; a source never drawn has all of epoch 0 unused.
    #[must_use]
    pub fn usage(&self) -> Vec<EpochUse> {
        let tokens = self.line.tokens();
        let last = self.last_epoch();
        let whole = |epoch| EpochUse { epoch, emitted: tokens, unused: 0, truncated: 0 };
        let mut usage: Vec<EpochUse> = (0..=last).map(whole).collect();
        let unused =
            (u128::from(last) + 1) * u128::from(tokens) + u128::from(self.cursor.rest.tokens()) - self.cursor.resume;
        let unused = u64::try_from(unused).unwrap_or(u64::MAX);
        if let Some(last) = usage.last_mut() {
            (last.emitted, last.unused) = (tokens - unused, unused);
        }
        usage
    }

    /// The last epoch begun; 0 where none is.
    fn last_epoch(&self) -> u32 {
        if self.cursor.rest.tokens() > 0 {
            return self.cursor.rest_epoch;
        }
        let begun = self.cursor.resume.saturating_sub(1).checked_div(u128::from(self.line.tokens())).unwrap_or(0);
        u32::try_from(begun).unwrap_or(u32::MAX)
    }

    /// Documents of which no token is in any window, not counting those that have no tokens.
    ///
    /// # Errors
    ///
    /// When documents cannot be read.
    pub fn untouched_documents(&self) -> Result<u64> {
        let tokens = u128::from(self.line.tokens());
        if self.last_epoch() > 0 {
            return Ok(0);
        }
        let mut untouched = self.cursor.rest.whole_documents();
        if self.cursor.resume < tokens {
            let place = self.line.locate(self.cursor.resume)?;
            let order = self.line.order(place.epoch)?;
            let run = self.line.run(place.epoch, order.ranges[place.position])?;
            untouched += run.parts_from(place.at - place.range_start);
            for &range in &order.ranges[place.position + 1..] {
                untouched += self.line.documents().range_documents(range)?;
            }
        }
        Ok(untouched)
    }
}

/// Draws at the head of `draws` (not empty) that are one stretch: of one W and packing, but for those of no windows.
fn stretch_length(draws: &[Draw]) -> usize {
    let shape = |draw: &Draw| (draw.window_tokens, draw.packing);
    let first = draws.iter().find(|draw| draw.windows > 0).map(shape);
    draws.iter().position(|draw| draw.windows > 0 && Some(shape(draw)) != first).unwrap_or(draws.len())
}
