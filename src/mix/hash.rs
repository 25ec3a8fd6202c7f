//! The hash behind every order of the mix.
//!
//! H(...) is XXH3-64 over canonical fields: a tag, then numbers little-endian and texts with their length in front, so that no
//! two uses and no two field lists ever hash the same bytes. Sources and phases go in by name: adding one changes no other's
//! order. A hash only orders; ties are broken by the things themselves, so a collision costs nothing but a little chance.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Which use a hash serves. The strings are part of the dataset's definition: changing one changes every dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    /// Order of the documents of a range.
    Document,
    /// Order of the ranges of an epoch.
    Range,
    /// Order of the windows of a range.
    Window,
    /// Order of the windows of what an earlier stretch left of its range.
    Rest,
    /// Order of the owner labels of a block.
    Labels,
}

impl Tag {
    const fn text(self) -> &'static str {
        match self {
            Self::Document => "syllabus.mix.document",
            Self::Range => "syllabus.mix.range",
            Self::Window => "syllabus.mix.window",
            Self::Rest => "syllabus.mix.rest",
            Self::Labels => "syllabus.mix.labels",
        }
    }
}

/// Fields under a hash; numbers that follow a fixed beginning are put on by [`Fields::with`] and taken off again.
#[derive(Debug, Clone)]
struct Fields(Vec<u8>);

impl Fields {
    fn new(tag: Tag, seed: u64, name: &str) -> Self {
        let mut fields = Self(Vec::with_capacity(128));
        fields.text(tag.text());
        fields.number(seed);
        fields.text(name);
        fields
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// The hash of these fields and one more.
    fn with(&mut self, last: &[u8]) -> u64 {
        let length = self.0.len();
        self.0.extend_from_slice(last);
        let hash = xxh3_64(&self.0);
        self.0.truncate(length);
        hash
    }
}

/// The orders of one source under one seed.
#[derive(Debug, Clone)]
pub(super) struct SourceHash {
    seed: u64,
    source: String,
}

impl SourceHash {
    pub(super) fn new(seed: u64, source: &str) -> Self {
        Self { seed, source: source.to_owned() }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Hash of a document in an epoch, by its key.
    pub(super) fn documents(&self, epoch: u32) -> impl FnMut(u128) -> u64 + use<> {
        let mut fields = Fields::new(Tag::Document, self.seed, &self.source);
        fields.number(u64::from(epoch));
        move |key| fields.with(&key.to_le_bytes())
    }

    /// Ranges 0..count in the order of an epoch.
    pub(super) fn ranges(&self, epoch: u32, count: u32) -> Vec<u32> {
        let mut fields = Fields::new(Tag::Range, self.seed, &self.source);
        fields.number(u64::from(epoch));
        order(fields, count)
    }

    /// Windows 0..count that start in a range, in the order in which they are read.
    pub(super) fn windows(&self, epoch: u32, range: u32, count: u32) -> Vec<u32> {
        let mut fields = Fields::new(Tag::Window, self.seed, &self.source);
        fields.number(u64::from(epoch));
        fields.number(u64::from(range));
        order(fields, count)
    }

    /// Windows 0..count that start in the rest with which a stretch begins, in the order in which they are read.
    pub(super) fn rest(&self, stretch: u32, count: u32) -> Vec<u32> {
        let mut fields = Fields::new(Tag::Rest, self.seed, &self.source);
        fields.number(u64::from(stretch));
        order(fields, count)
    }
}

/// 0..count sorted by hash, ties by number.
fn order(mut fields: Fields, count: u32) -> Vec<u32> {
    let mut keyed: Vec<(u64, u32)> =
        (0..count).map(|index| (fields.with(&u64::from(index).to_le_bytes()), index)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, index)| index).collect()
}

/// An endless stream of 64-bit numbers for one block of one phase: XXH3 of a counter, keyed by H(seed, phase, block).
#[derive(Debug, Clone)]
pub(super) struct BlockStream {
    key: u64,
    counter: u64,
}

impl BlockStream {
    pub(super) fn new(seed: u64, phase: &str, block: u64) -> Self {
        let key = Fields::new(Tag::Labels, seed, phase).with(&block.to_le_bytes());
        Self { key, counter: 0 }
    }

    fn next(&mut self) -> u64 {
        let value = xxh3_64_with_seed(&self.counter.to_le_bytes(), self.key);
        self.counter += 1;
        value
    }

    /// A number below `bound` (positive), each equally likely: the high half of a product, drawn again in the few cases that
    /// would favour some (Lemire, "Fast random integer generation in an interval", 2019).
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let reject_below = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product")]
            let (high, low) = ((product >> 64) as u64, product as u64);
            if low >= reject_below {
                return high;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_fixed_for_ever() {
        // Golden values: whoever changes one has changed every dataset, and the format version must say so.
        let hash = SourceHash::new(20_240_424, "web");
        assert_eq!(hash.ranges(0, 8), GOLDEN_RANGES);
        assert_eq!(hash.windows(1, 5, 8), GOLDEN_WINDOWS);
        assert_eq!(hash.documents(3)(7), GOLDEN_DOCUMENT);
        let mut stream = BlockStream::new(1, "late", 2);
        assert_eq!([stream.below(256), stream.below(255), stream.below(254)], GOLDEN_LABELS);
    }

    const GOLDEN_RANGES: [u32; 8] = [4, 0, 1, 7, 5, 2, 6, 3];
    const GOLDEN_WINDOWS: [u32; 8] = [6, 7, 4, 0, 3, 5, 2, 1];
    const GOLDEN_DOCUMENT: u64 = 15_982_551_444_083_150_584;
    const GOLDEN_LABELS: [u64; 3] = [25, 160, 187];

    #[test]
    fn uses_names_and_numbers_do_not_collide() {
        let web = SourceHash::new(1, "web");
        let order = web.windows(0, 0, 64);
        assert_ne!(order, web.ranges(0, 64));
        assert_ne!(order, web.rest(0, 64));
        assert_ne!(order, web.windows(0, 1, 64));
        assert_ne!(order, web.windows(1, 0, 64));
        assert_ne!(order, SourceHash::new(2, "web").windows(0, 0, 64));
        assert_ne!(order, SourceHash::new(1, "we").windows(0, 0, 64));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..64).collect::<Vec<u32>>());
    }

    #[test]
    fn bounded_draws_are_even() {
        // 3 does not divide 2^64; 30,000 draws, expected 10,000 each, standard deviation 82.
        let mut stream = BlockStream::new(3, "phase", 0);
        let mut seen = [0_u32; 3];
        for _ in 0..30_000 {
            seen[usize::try_from(stream.below(3)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&count| (9_600..10_400).contains(&count)), "{seen:?}");
        assert_eq!(stream.below(1), 0);
    }
}
