//! From survivors to windows: which source owns each window position, and which tokens a source's k-th window holds.

mod cache;
mod concat;
mod fit;
mod hash;
pub mod interleave;
pub mod labels;
mod line;
mod pack;
mod run;
mod stream;
mod stretch;
#[cfg(test)]
mod tests;

pub use interleave::{Drift, Interleave, Simulation, end_counts, simulate};
pub use line::{bits_for, range_of};
pub use stream::{Draw, EpochUse, MAX_EPOCHS, SourceStream, StreamError};

use num_rational::BigRational;

use crate::error::Result;

/// A source's share over a phase: constant, or a line from one share to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ramp {
    /// Share at the phase's first position.
    pub from: BigRational,
    /// Share at its last; equal to `from` when constant.
    pub to: BigRational,
}

/// One surviving document of a source, as the mix needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// XXH3-128 of the text.
    pub key: u128,
    /// Its length in tokens, BOS and EOS counted.
    pub tokens: u32,
    /// Segment that holds it (index within the source).
    pub segment: u32,
    /// Where its tokens begin in the segment, in tokens.
    pub start: u64,
}

/// The surviving documents of one source, by ranges of its key space.
pub trait Documents: Sync {
    /// b: the key space is cut into 2^b ranges by the key's top bits.
    fn bits(&self) -> u32;

    /// Unique tokens in each of the 2^b ranges.
    fn range_tokens(&self) -> &[u64];

    /// The documents of a range, sorted by key (equal keys of unequal texts: by their tokens, in stored order).
    fn range(&self, range: u32) -> Result<Vec<Entry>>;

    /// Number of documents of a range that have tokens. A store that has counted them need not read the range.
    fn range_documents(&self, range: u32) -> Result<u64> {
        Ok(self.range(range)?.iter().filter(|entry| entry.tokens > 0).count() as u64)
    }
}

/// A part of one document in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The document.
    pub entry: Entry,
    /// First token taken, counted in the document's tokens.
    pub offset: u32,
    /// Tokens taken.
    pub length: u32,
    /// Epoch of the source in which it is read, from 0.
    pub epoch: u32,
}
