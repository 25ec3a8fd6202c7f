//! A source's line of tokens: every epoch's ranges in that epoch's order, every range's documents in theirs.
//!
//! Positions on the line are counted from the first token of epoch 0, so the token at `epoch * tokens + i` is the i-th of that
//! epoch. Nothing is walked to find one: an epoch's order of ranges and its prefix sums are made anew, from hashes, when needed.

use std::sync::{Arc, OnceLock};

use super::cache::Cache;
use super::hash::SourceHash;
use super::run::Run;
use super::{Documents, Entry, Piece};
use crate::error::{Error, Result};

/// An average range holds at most so many tokens.
const RANGE_TOKENS: u64 = 64 << 20;
/// A key space is cut into at most 2^24 ranges.
const MAX_BITS: u32 = 24;
/// Orders and range indexes kept: the range being read and the next, into which windows reach; one to spare for threads that lag.
const KEPT: usize = 3;
/// A source of one range with at most so many tokens is kept whole: its epochs are short and its documents read often.
const SMALL: u64 = 1 << 17;

/// b for a source of `tokens` surviving tokens: its key space is cut into 2^b ranges, the fewest of which the average holds at
/// most 64Mi tokens; at most 2^24.
#[must_use]
pub fn bits_for(tokens: u64) -> u32 {
    (0..MAX_BITS).find(|bits| tokens <= RANGE_TOKENS << bits).unwrap_or(MAX_BITS)
}

/// The range that holds a key, of 2^`bits`.
#[must_use]
pub fn range_of(key: u128, bits: u32) -> u32 {
    if bits == 0 {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 24 bits are left")]
    let range = (key >> (128 - bits.min(MAX_BITS))) as u32;
    range
}

/// The order of the ranges in one epoch.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) ranges: Vec<u32>,
    /// Tokens of the epoch before each range, and at the end all of them.
    pub(super) starts: Vec<u64>,
}

/// A token's place on the line.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) epoch: u32,
    /// Which range of the epoch, in its order.
    pub(super) position: usize,
    /// Where the range begins, in the epoch.
    pub(super) range_start: u64,
    /// Where it ends.
    pub(super) range_end: u64,
    /// Where the token is, in the epoch.
    pub(super) at: u64,
}

pub(super) struct Line<'a> {
    documents: &'a dyn Documents,
    pub(super) hash: SourceHash,
    tokens: u64,
    small: OnceLock<Vec<Entry>>,
    orders: Cache<u32, Order>,
    runs: Cache<(u32, u32), Run>,
}

impl<'a> Line<'a> {
    pub(super) fn new(documents: &'a dyn Documents, hash: SourceHash) -> Result<Self> {
        let (bits, ranges) = (documents.bits(), documents.range_tokens());
        if bits > MAX_BITS || ranges.len() != 1 << bits {
            return Err(Error::Failed(format!(
                "source {}: {} ranges are not 2^{bits}, b at most {MAX_BITS}: the store is not what this version writes",
                hash.source(),
                ranges.len()
            )));
        }
        let tokens = ranges
            .iter()
            .try_fold(0_u64, |sum, &tokens| sum.checked_add(tokens))
            .ok_or_else(|| Error::Failed(format!("source {}: its tokens pass 64 bits", hash.source())))?;
        Ok(Self { documents, hash, tokens, small: OnceLock::new(), orders: Cache::new(KEPT), runs: Cache::new(KEPT) })
    }

    /// Tokens of an epoch.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    pub(super) fn documents(&self) -> &dyn Documents {
        self.documents
    }

    pub(super) fn range_count(&self) -> usize {
        self.documents.range_tokens().len()
    }

    pub(super) fn order(&self, epoch: u32) -> Result<Arc<Order>> {
        self.orders.get(epoch, || {
            let tokens = self.documents.range_tokens();
            let ranges = self.hash.ranges(epoch, 1 << self.documents.bits());
            let mut starts = Vec::with_capacity(ranges.len() + 1);
            let mut sum = 0;
            starts.push(0);
            for &range in &ranges {
                sum += tokens[range as usize];
                starts.push(sum);
            }
            Ok(Order { ranges, starts })
        })
    }

    /// A range's documents in the order of an epoch.
    pub(super) fn run(&self, epoch: u32, range: u32) -> Result<Arc<Run>> {
        self.runs.get((epoch, range), || {
            let mut entries = self.entries(range)?;
            let mut hash = self.hash.documents(epoch);
            // Stable: equal hashes stay in the order of their keys, equal keys in stored order.
            entries.sort_by_cached_key(|entry| hash(entry.key));
            Ok(Run::of_documents(entries))
        })
    }

    /// A range's documents that have tokens, by key; checked against the range's count.
    pub(super) fn entries(&self, range: u32) -> Result<Vec<Entry>> {
        if let Some(entries) = self.small.get() {
            return Ok(entries.clone());
        }
        let mut entries = self.documents.range(range)?;
        entries.retain(|entry| entry.tokens > 0);
        let found: u64 = entries.iter().map(|entry| u64::from(entry.tokens)).sum();
        let counted = self.documents.range_tokens()[range as usize];
        if found != counted {
            return Err(Error::Failed(format!(
                "source {}: range {range} holds {found} tokens, but {counted} were counted: the store is damaged",
                self.hash.source()
            )));
        }
        if self.range_count() == 1 && self.tokens <= SMALL {
            // Should two threads come here at once, both found the same.
            return Ok(self.small.get_or_init(|| entries).clone());
        }
        Ok(entries)
    }

    /// Where the token at `at` is. The caller has made sure that there are tokens, and that its epoch is permitted.
    pub(super) fn locate(&self, at: u128) -> Result<Place> {
        let tokens = u128::from(self.tokens.max(1));
        let epoch = u32::try_from(at / tokens)
            .map_err(|_| Error::Failed(format!("source {}: an epoch beyond 2^32 was asked for", self.hash.source())))?;
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of a 64-bit divisor")]
        let at = (at % tokens) as u64;
        let order = self.order(epoch)?;
        // The last range that starts at or before it: where empty ranges start there too, the one that holds it.
        let position = order.starts.partition_point(|&start| start <= at).saturating_sub(1);
        Ok(Place { epoch, position, range_start: order.starts[position], range_end: order.starts[position + 1], at })
    }

    /// Appends the pieces of `length` tokens from `at`.
    pub(super) fn read(&self, mut at: u128, mut length: u64, pieces: &mut Vec<Piece>) -> Result<()> {
        while length > 0 {
            let place = self.locate(at)?;
            let range = self.order(place.epoch)?.ranges[place.position];
            let run = self.run(place.epoch, range)?;
            let taken = length.min(place.range_end - place.at);
            run.pieces(place.at - place.range_start, taken, place.epoch, pieces);
            at += u128::from(taken);
            length -= taken;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_a_source() {
        let range = 64 << 20;
        assert_eq!([0, 1, range].map(bits_for), [0, 0, 0]);
        assert_eq!([range + 1, 2 * range, 2 * range + 1].map(bits_for), [1, 1, 2]);
        assert_eq!(bits_for(4_200_000_000_000), 16);
        assert_eq!(bits_for(u64::MAX), 24);
        assert_eq!((range_of(u128::MAX, 0), range_of(u128::MAX, 3), range_of(1 << 125, 3)), (0, 7, 1));
    }
}
