//! Hashes of n-grams and where they come from: a filter that fits into a core's cache, and sorted arrays behind it.

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

/// Postings by hash.
#[derive(Debug)]
pub(super) struct Index {
    /// Two bits for each hash, in one word: about 1 in 60 other hashes passes.
    filter: Vec<u64>,
    /// Shift that leaves the number of a hash's word in the filter.
    shift: u32,
    /// Distinct hashes, sorted.
    hashes: Vec<u64>,
    /// Where the postings of each hash end.
    ends: Vec<u32>,
    postings: Vec<Posting>,
}

/// Bits of the filter for each hash, at least.
const BITS: usize = 16;

impl Default for Index {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Index {
    pub(super) fn new(mut entries: Vec<(u64, Posting)>) -> Self {
        entries.sort_unstable();
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
        let words = (hashes.len() * BITS / 64).next_power_of_two().max(2);
        let shift = u64::BITS - words.ilog2();
        let mut filter = vec![0; words];
        for &hash in &hashes {
            if let Some(word) = filter.get_mut(place(hash, shift)) {
                *word |= bits(hash);
            }
        }
        Self { filter, shift, hashes, ends, postings }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Distinct hashes.
    pub(super) fn hashes(&self) -> usize {
        self.hashes.len()
    }

    /// The postings of a hash.
    #[inline]
    pub(super) fn get(&self, hash: u64) -> &[Posting] {
        let bits = bits(hash);
        match self.filter.get(place(hash, self.shift)) {
            Some(word) if word & bits == bits => self.look_up(hash),
            _ => &[],
        }
    }

    fn look_up(&self, hash: u64) -> &[Posting] {
        let Ok(found) = self.hashes.binary_search(&hash) else { return &[] };
        let end = |number: usize| self.ends.get(number).map_or(0, |&end| usize::try_from(end).unwrap_or(usize::MAX));
        let start = found.checked_sub(1).map_or(0, end);
        self.postings.get(start..end(found)).unwrap_or_default()
    }
}

#[inline]
fn place(hash: u64, shift: u32) -> usize {
    usize::try_from(hash >> shift).unwrap_or(usize::MAX)
}

#[inline]
fn bits(hash: u64) -> u64 {
    1 << (hash & 63) | 1 << (hash >> 6 & 63)
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
        assert_eq!(index.hashes(), 1000);
        for i in 0_u32..1000 {
            assert_eq!(index.get(hash(u64::from(i))), [posting(3 * i), posting(3 * i + 1), posting(3 * i + 2)]);
        }
        assert!((1000..100_000).all(|i| index.get(hash(i)).is_empty()));
        let passing = (1000..100_000_u64)
            .filter(|&i| index.filter[place(hash(i), index.shift)] & bits(hash(i)) == bits(hash(i)))
            .count();
        assert!(passing < 5000, "{passing}");
        assert!(Index::default().is_empty() && Index::default().get(0).is_empty());
    }
}
