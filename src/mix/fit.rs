//! `best_fit`: every chunk is packed alone, and its windows are read in a permuted order.
//!
//! How many windows a range makes depends on the lengths of its documents alone, so it is counted once and holds in every epoch;
//! prefix sums of these counts locate a window. Ranges are counted only as far as the stretch reaches.

use std::sync::Arc;

use super::Piece;
use super::cache::Cache;
use super::line::Line;
use super::pack::{self, Packed};
use super::run::Run;
use super::stretch::{Chunk, Cursor, Frame, KEPT};
use crate::error::{Error, Result};

pub(super) struct Fit {
    frame: Frame,
    rest_windows: u64,
    head: Option<Head>,
    /// Epoch in which the line is taken up.
    first_epoch: u32,
    /// Its first whole range.
    first_position: usize,
    /// Windows before each range of that epoch, from `first_position` on as far as counted, and at the end their sum.
    first: Vec<u64>,
    /// Windows of each range, once the stretch goes beyond its first epoch.
    ranges: Vec<u32>,
    /// Their sum.
    per_epoch: u64,
    capacity: u64,
    /// Windows before each range of a later epoch, and at the end their sum.
    epochs: Cache<u32, Vec<u64>>,
    chunks: Cache<Chunk, Loaded>,
}

/// The range in the middle of which the line is taken up.
struct Head {
    epoch: u32,
    position: usize,
    /// Tokens of the range that are taken.
    taken: u64,
    windows: u64,
}

/// A chunk and its windows.
struct Span {
    chunk: Chunk,
    first: u64,
    count: u64,
}

/// A chunk packed, and the order of its windows.
struct Loaded {
    packed: Packed,
    order: Vec<u32>,
}

impl Fit {
    pub(super) fn new(line: &Line<'_>, frame: Frame, need: u64) -> Result<Self> {
        let window_tokens = frame.window_tokens;
        let rest_windows = u64::from(pack::count(frame.cursor.rest.lengths(), window_tokens)?);
        let mut fit = Self {
            rest_windows,
            head: None,
            first_epoch: 0,
            first_position: 0,
            first: vec![0],
            ranges: Vec::new(),
            per_epoch: 0,
            capacity: rest_windows,
            epochs: Cache::new(KEPT),
            chunks: Cache::new(KEPT),
            frame,
        };
        if fit.frame.cursor.resume < fit.frame.end(line) && fit.capacity < need {
            fit.count(line, need)?;
        }
        Ok(fit)
    }

    /// Counts windows from where the line is taken up until there are `need`, or no more.
    fn count(&mut self, line: &Line<'_>, need: u64) -> Result<()> {
        let window_tokens = self.frame.window_tokens;
        let place = line.locate(self.frame.cursor.resume)?;
        let order = line.order(place.epoch)?;
        (self.first_epoch, self.first_position) = (place.epoch, place.position);
        let taken = place.at - place.range_start;
        if taken > 0 {
            let run = tail(&*line.run(place.epoch, order.ranges[place.position])?, taken);
            let windows = u64::from(pack::count(run.lengths(), window_tokens)?);
            self.head = Some(Head { epoch: place.epoch, position: place.position, taken, windows });
            self.first_position += 1;
            self.capacity += windows;
        }
        let mut counted: Vec<Option<u32>> = vec![None; line.range_count()];
        let count_range = |range: u32| -> Result<u32> {
            let entries = line.entries(range)?;
            pack::count(entries.iter().map(|entry| entry.tokens), window_tokens)
        };
        let mut sum = 0;
        for &range in &order.ranges[self.first_position..] {
            if self.capacity >= need {
                return Ok(());
            }
            let windows = count_range(range)?;
            counted[range as usize] = Some(windows);
            sum += u64::from(windows);
            self.first.push(sum);
            self.capacity += u64::from(windows);
        }
        let more = self.frame.epochs - 1 - self.first_epoch;
        if self.capacity >= need || more == 0 {
            return Ok(());
        }
        for (range, windows) in (0..).zip(&counted) {
            let windows = match windows {
                Some(windows) => *windows,
                None => count_range(range)?,
            };
            self.ranges.push(windows);
            self.per_epoch += u64::from(windows);
        }
        self.capacity = self.capacity.saturating_add(self.per_epoch.saturating_mul(u64::from(more)));
        Ok(())
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The chunk of the k-th window.
    fn span(&self, line: &Line<'_>, k: u64) -> Result<Span> {
        if k < self.rest_windows {
            return Ok(Span { chunk: Chunk::Rest, first: 0, count: self.rest_windows });
        }
        let mut before = self.rest_windows;
        if let Some(head) = &self.head {
            if k - before < head.windows {
                let chunk = Chunk::Range { epoch: head.epoch, position: head.position };
                return Ok(Span { chunk, first: before, count: head.windows });
            }
            before += head.windows;
        }
        let in_epoch = |starts: &[u64], before: u64, epoch: u32, from: usize| {
            // The last range that starts at or before it; ranges without windows start there too, but earlier.
            let index = starts.partition_point(|&start| start <= k - before).saturating_sub(1);
            let chunk = Chunk::Range { epoch, position: from + index };
            Span { chunk, first: before + starts[index], count: starts[index + 1] - starts[index] }
        };
        let first: u64 = self.first.last().copied().unwrap_or(0);
        if k - before < first {
            return Ok(in_epoch(&self.first, before, self.first_epoch, self.first_position));
        }
        before += first;
        let beyond = || Error::Failed("a window beyond those of its source was asked for".to_owned());
        let whole = (k - before).checked_div(self.per_epoch).ok_or_else(beyond)?;
        let epoch = u32::try_from(whole + u64::from(self.first_epoch) + 1).map_err(|_| beyond())?;
        before += whole * self.per_epoch;
        let starts = self.epochs.get(epoch, || {
            let mut sum = 0;
            let order = line.order(epoch)?;
            let sums = order.ranges.iter().map(|&range| {
                sum += u64::from(self.ranges[range as usize]);
                sum
            });
            Ok(std::iter::once(0).chain(sums).collect())
        })?;
        Ok(in_epoch(&starts, before, epoch, 0))
    }

    fn load(&self, line: &Line<'_>, span: &Span) -> Result<Arc<Loaded>> {
        self.chunks.get(span.chunk, || {
            let count = u32::try_from(span.count).unwrap_or(u32::MAX);
            let (run, order) = match span.chunk {
                Chunk::Rest => (Arc::clone(&self.frame.cursor.rest), line.hash.rest(self.frame.number, count)),
                Chunk::Range { epoch, position } => {
                    let range = line.order(epoch)?.ranges[position];
                    let run = line.run(epoch, range)?;
                    let run = match &self.head {
                        Some(head) if (head.epoch, head.position) == (epoch, position) => {
                            Arc::new(tail(&run, head.taken))
                        }
                        _ => run,
                    };
                    (run, line.hash.windows(epoch, range, count))
                }
            };
            Ok(Loaded { packed: Packed::new(run, self.frame.window_tokens)?, order })
        })
    }

    pub(super) fn window(&self, line: &Line<'_>, k: u64, pieces: &mut Vec<Piece>) -> Result<u32> {
        let span = self.span(line, k)?;
        let loaded = self.load(line, &span)?;
        let tokens = loaded.packed.pieces(loaded.order[index(k - span.first)], self.epoch(&span), pieces);
        Ok(self.frame.window_tokens - tokens)
    }

    fn epoch(&self, span: &Span) -> u32 {
        match span.chunk {
            Chunk::Rest => self.frame.cursor.rest_epoch,
            Chunk::Range { epoch, .. } => epoch,
        }
    }

    pub(super) fn cursor_after(&self, line: &Line<'_>, taken: u64) -> Result<Cursor> {
        let Some(last) = taken.checked_sub(1) else { return Ok(self.frame.cursor.clone()) };
        let span = self.span(line, last)?;
        let loaded = self.load(line, &span)?;
        let rest = loaded.packed.rest(&loaded.order[index(taken - span.first)..]);
        let resume = match span.chunk {
            Chunk::Rest => self.frame.cursor.resume,
            Chunk::Range { epoch, position } => {
                u128::from(epoch) * u128::from(line.tokens()) + u128::from(line.order(epoch)?.starts[position + 1])
            }
        };
        Ok(Cursor { rest: Arc::new(rest), rest_epoch: self.epoch(&span), resume })
    }
}

/// A range without its first `taken` tokens.
fn tail(run: &Run, taken: u64) -> Run {
    let mut tail = Run::default();
    tail.extend(run, taken, run.tokens());
    tail
}

/// A window's number within one chunk: below 2^32 by construction.
fn index(window: u64) -> usize {
    usize::try_from(window).unwrap_or(usize::MAX)
}
