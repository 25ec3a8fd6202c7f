//! `concat`: the line is cut every W tokens, and the windows that start in one chunk are read in a permuted order.
//!
//! A window that reaches into the next epoch stays last in its chunk. So no epoch begins before all windows of the one before
//! have been read, and of the epochs begun only the last can have tokens that nobody read.

use std::sync::Arc;

use super::Piece;
use super::cache::Cache;
use super::line::Line;
use super::run::Run;
use super::stretch::{Chunk, Cursor, Frame, KEPT};
use crate::error::{Error, Result};

/// Positions are counted from the stretch's first token.
pub(super) struct Concat {
    frame: Frame,
    /// Tokens up to the end of the last permitted epoch.
    tokens: u128,
    capacity: u64,
    orders: Cache<Chunk, Vec<u32>>,
}

/// A chunk and the windows that start in it.
struct Span {
    chunk: Chunk,
    epoch: u32,
    /// The range, where the chunk is one.
    range: u32,
    /// Where the chunk ends.
    end: u128,
    /// Where its epoch ends.
    epoch_end: u128,
    /// Where the range begins on the line, be its head taken or not; 0 for the rest.
    origin: u128,
    /// First window that starts in it.
    first: u64,
    /// Windows that start in it and can be filled.
    count: u64,
}

impl Concat {
    pub(super) fn new(line: &Line<'_>, frame: Frame) -> Self {
        let tokens = u128::from(frame.cursor.rest.tokens()) + frame.end(line).saturating_sub(frame.cursor.resume);
        let capacity = u64::try_from(tokens / u128::from(frame.window_tokens)).unwrap_or(u64::MAX);
        Self { frame, tokens, capacity, orders: Cache::new(KEPT) }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    fn rest(&self) -> u128 {
        u128::from(self.frame.cursor.rest.tokens())
    }

    fn start_of(&self, window: u64) -> u128 {
        u128::from(window) * u128::from(self.frame.window_tokens)
    }

    /// Position on the line of a token behind the rest.
    fn on_line(&self, at: u128) -> u128 {
        self.frame.cursor.resume + (at - self.rest())
    }

    /// The chunk that holds the token at `at`, which is before the end.
    fn span(&self, line: &Line<'_>, at: u128) -> Result<Span> {
        let (rest, resume) = (self.rest(), self.frame.cursor.resume);
        let from_line = |position: u128| position + rest - resume;
        let epoch_end = |epoch: u32| from_line((u128::from(epoch) + 1) * u128::from(line.tokens()));
        let (mut span, start) = if at < rest {
            let epoch = self.frame.cursor.rest_epoch;
            let chunk = Chunk::Rest;
            let span =
                Span { chunk, epoch, range: 0, end: rest, epoch_end: epoch_end(epoch), origin: 0, first: 0, count: 0 };
            (span, 0)
        } else {
            let place = line.locate(self.on_line(at))?;
            let epoch = place.epoch;
            let epoch_start = u128::from(epoch) * u128::from(line.tokens());
            let origin = epoch_start + u128::from(place.range_start);
            let span = Span {
                chunk: Chunk::Range { epoch, position: place.position },
                epoch,
                range: line.order(epoch)?.ranges[place.position],
                end: from_line(epoch_start + u128::from(place.range_end)),
                epoch_end: epoch_end(epoch),
                origin,
                first: 0,
                count: 0,
            };
            (span, from_line(origin.max(resume)))
        };
        let from = |position: u128| {
            u64::try_from(position.div_ceil(u128::from(self.frame.window_tokens)))
                .unwrap_or(u64::MAX)
                .min(self.capacity)
        };
        span.first = from(start);
        span.count = from(span.end) - span.first;
        Ok(span)
    }

    /// The windows of a chunk in the order in which they are read, counted from its first.
    fn order(&self, line: &Line<'_>, span: &Span) -> Result<Arc<Vec<u32>>> {
        self.orders.get(span.chunk, || {
            let count = u32::try_from(span.count).map_err(|_| {
                Error::Failed("more than 2^32 windows start in one range: windows are too short".to_owned())
            })?;
            let crosses = self.start_of(span.first + span.count) > span.epoch_end;
            let permuted = count.saturating_sub(u32::from(crosses));
            let mut order = match span.chunk {
                Chunk::Rest => line.hash.rest(self.frame.number, permuted),
                Chunk::Range { epoch, .. } => line.hash.windows(epoch, span.range, permuted),
            };
            order.extend(permuted..count);
            Ok(order)
        })
    }

    pub(super) fn window(&self, line: &Line<'_>, k: u64, pieces: &mut Vec<Piece>) -> Result<()> {
        let span = self.span(line, self.start_of(k))?;
        let index = self.order(line, &span)?[index(k - span.first)?];
        let mut at = self.start_of(span.first + u64::from(index));
        let mut length = u64::from(self.frame.window_tokens);
        if at < self.rest() {
            let cursor = &self.frame.cursor;
            let taken = length.min(cursor.rest.tokens() - small(at));
            cursor.rest.pieces(small(at), taken, cursor.rest_epoch, pieces);
            at += u128::from(taken);
            length -= taken;
        }
        if length > 0 { line.read(self.on_line(at), length, pieces) } else { Ok(()) }
    }

    pub(super) fn cursor_after(&self, line: &Line<'_>, taken: u64) -> Result<Cursor> {
        if taken == 0 {
            return Ok(self.frame.cursor.clone());
        }
        let at = self.start_of(taken);
        let resume_at = |at: u128| Cursor { rest: Arc::default(), rest_epoch: 0, resume: self.on_line(at) };
        if at >= self.tokens {
            return Ok(resume_at(self.tokens));
        }
        let span = self.span(line, at)?;
        if taken == span.first {
            // Nothing that starts in this chunk is taken; only its head may be, by a window from before.
            return Ok(resume_at(at));
        }
        let order = self.order(line, &span)?;
        let mut left = vec![true; order.len()];
        for &window in &order[..index(taken - span.first)?] {
            left[window as usize] = false;
        }
        let run = match span.chunk {
            Chunk::Rest => Arc::clone(&self.frame.cursor.rest),
            Chunk::Range { epoch, .. } => line.run(epoch, span.range)?,
        };
        let in_run = |at: u128| match span.chunk {
            Chunk::Rest => small(at),
            Chunk::Range { .. } => small(self.on_line(at) - span.origin),
        };
        let mut rest = Run::default();
        let mut keep = |from: u128, to: u128| rest.extend(&run, in_run(from), in_run(to));
        let mut window = span.first;
        for left in left.iter().copied() {
            if left {
                keep(self.start_of(window), self.start_of(window + 1).min(span.end));
            }
            window += 1;
        }
        let last_end = self.start_of(window);
        if last_end < span.end {
            // What would not fill a window before the line's end.
            keep(last_end, span.end);
        }
        let reached = if left.last() == Some(&false) { last_end.max(span.end) } else { span.end };
        Ok(Cursor { rest: Arc::new(rest), rest_epoch: span.epoch, resume: self.on_line(reached) })
    }
}

fn index(window: u64) -> Result<usize> {
    usize::try_from(window).map_err(|_| Error::Failed("a window beyond this machine's memory was asked for".to_owned()))
}

/// A length within one run: below 2^64 by construction.
fn small(length: u128) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
