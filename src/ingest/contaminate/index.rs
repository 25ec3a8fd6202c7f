//! Hashes of n-grams and where they come from: a filter, read with one trip to memory, and sorted arrays behind it.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::prefetch::prefetch;

/// Where an n-gram stands in a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Posting {
    /// The text's number.
    pub(super) text: u32,
    /// First byte in the text's folded words.
    pub(super) start: u32,
    /// Bytes.
    pub(super) length: u32,
}

/// A set of hashes that may say yes to a hash which is not in it: three bits for each, in one word.
#[derive(Debug)]
pub(super) struct Filter {
    words: Vec<u64>,
    /// Shift that leaves the number of a hash's word.
    shift: u32,
}

/// Bits for each hash, at least: a filter of these says yes to another hash less than 1 time in 100.
pub(super) const FEW_BITS: usize = 12;
/// A filter of these, 1 time in 1,000.
const BITS: usize = 32;

impl Filter {
    /// Of hashes, better distinct ones: repeated ones take room.
    pub(super) fn new(hashes: &[u64], bits_each: usize) -> Self {
        let filling = Filling::new(hashes.len(), bits_each);
        hashes.iter().for_each(|&hash| filling.add(hash));
        filling.filled()
    }

    /// Whether a hash may be in the set.
    #[inline]
    pub(super) fn passes(&self, hash: u64) -> bool {
        let bits = bits(hash);
        self.words.get(self.place(hash)).is_some_and(|word| word & bits == bits)
    }

    /// Asks the memory for what [`Self::passes`] will read.
    #[inline]
    pub(super) fn fetch(&self, hash: u64) {
        if let Some(word) = self.words.get(self.place(hash)) {
            prefetch(std::slice::from_ref(word));
        }
    }

    #[inline]
    fn place(&self, hash: u64) -> usize {
        usize::try_from(hash >> self.shift).unwrap_or(usize::MAX)
    }
}

/// A filter that several threads fill.
pub(super) struct Filling {
    words: Vec<AtomicU64>,
    shift: u32,
}

impl Filling {
    /// For up to so many hashes.
    pub(super) fn new(most: usize, bits_each: usize) -> Self {
        let words = (most.saturating_mul(bits_each) / 64).next_power_of_two().max(2);
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect(), shift: u64::BITS - words.ilog2() }
    }

    pub(super) fn add(&self, hash: u64) {
        let word = usize::try_from(hash >> self.shift).ok().and_then(|place| self.words.get(place));
        if let Some(word) = word {
            // Nobody reads before all have filled.
            word.fetch_or(bits(hash), Ordering::Relaxed);
        }
    }

    pub(super) fn filled(self) -> Filter {
        Filter { words: self.words.into_iter().map(AtomicU64::into_inner).collect(), shift: self.shift }
    }
}

#[inline]
fn bits(hash: u64) -> u64 {
    1 << (hash & 63) | 1 << (hash >> 6 & 63) | 1 << (hash >> 12 & 63)
}

/// A bit for each hash of a set, found by the hash's top bits: small enough for a core's first cache where the set is small, and
/// read in few steps. It says yes to another hash about 1 time in 16.
#[derive(Debug)]
struct Bits {
    words: Vec<u64>,
    /// Shift that leaves the number of a hash's bit.
    shift: u32,
}

impl Bits {
    fn new(hashes: &[u64]) -> Self {
        let bits = (hashes.len() * 16).next_power_of_two().max(64);
        let mut set = Self { words: vec![0; bits / 64], shift: u64::BITS - bits.ilog2() };
        for &hash in hashes {
            let bit = hash >> set.shift;
            if let Some(word) = usize::try_from(bit / 64).ok().and_then(|word| set.words.get_mut(word)) {
                *word |= 1 << (bit % 64);
            }
        }
        set
    }

    /// 1 if the hash may be in the set, else 0.
    #[inline]
    fn bit(&self, hash: u64) -> u64 {
        let bit = hash >> self.shift;
        let word = usize::try_from(bit / 64).ok().and_then(|word| self.words.get(word));
        word.map_or(0, |word| word >> (bit % 64) & 1)
    }
}

/// Postings by hash.
#[derive(Debug)]
pub(super) struct Index {
    first: Bits,
    filter: Filter,
    /// Distinct hashes, sorted.
    hashes: Vec<u64>,
    /// Where the postings of each hash end.
    ends: Vec<u32>,
    postings: Vec<Posting>,
}

impl Default for Index {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Index {
    pub(super) fn new(mut entries: Vec<(u64, Posting)>) -> Self {
        entries.par_sort_unstable();
        entries.dedup();
        let mut hashes: Vec<u64> = Vec::new();
        let mut ends: Vec<u32> = Vec::new();
        let mut postings = Vec::with_capacity(entries.len());
        for (hash, posting) in entries {
            if hashes.last() != Some(&hash) {
                hashes.push(hash);
                ends.push(0);
            }
            postings.push(posting);
            if let Some(end) = ends.last_mut() {
                *end = u32::try_from(postings.len()).unwrap_or(u32::MAX);
            }
        }
        Self { first: Bits::new(&hashes), filter: Filter::new(&hashes, BITS), hashes, ends, postings }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Calls `each` with the index of each hash that has postings, and with each of these. No hash waits for the memory of
    /// another, and hardly any passes.
    #[inline]
    pub(super) fn each_passing(&self, hashes: &[u64], mut each: impl FnMut(usize, &Posting)) {
        if self.is_empty() {
            return;
        }
        for (part, hashes) in hashes.chunks(64).enumerate() {
            let passing = hashes.iter().rev().fold(0_u64, |passing, &hash| passing << 1 | self.first.bit(hash));
            let mut rest = passing;
            while rest != 0 {
                let i = usize::try_from(rest.trailing_zeros()).unwrap_or(0);
                rest &= rest - 1;
                let Some(&hash) = hashes.get(i).filter(|hash| self.filter.passes(**hash)) else { continue };
                self.look_up(hash).iter().for_each(|posting| each(part * 64 + i, posting));
            }
        }
    }

    fn look_up(&self, hash: u64) -> &[Posting] {
        let Ok(found) = self.hashes.binary_search(&hash) else { return &[] };
        let end = |number: usize| self.ends.get(number).map_or(0, |&end| usize::try_from(end).unwrap_or(usize::MAX));
        let start = found.checked_sub(1).map_or(0, end);
        self.postings.get(start..end(found)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(i: u64) -> u64 {
        i.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn finds_what_was_put_in_and_little_else() {
        let posting = |text| Posting { text, start: 1, length: 2 };
        let entries = (0_u32..3000).map(|i| (hash(u64::from(i / 3)), posting(i))).collect();
        let index = Index::new(entries);
        assert_eq!(index.hashes.len(), 1000);
        for i in 0_u32..1000 {
            assert_eq!(index.look_up(hash(u64::from(i))), [posting(3 * i), posting(3 * i + 1), posting(3 * i + 2)]);
        }
        assert!((1000..100_000).all(|i| index.look_up(hash(i)).is_empty()));
        let passing = (1000..100_000_u64).filter(|&i| index.filter.passes(hash(i))).count();
        assert!(passing < 500, "{passing}");
        assert!(Index::default().is_empty() && Index::default().look_up(0).is_empty());
    }
}
