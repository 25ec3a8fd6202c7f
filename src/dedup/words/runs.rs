//! Hashes of n-grams, which are rolled from word to word.
//!
//! A word's hash is made of its folded bytes, eight at a time: `h = fold((h ^ bytes) · K)` from a fixed start, where `fold` is the
//! exclusive or of both halves of the product of 128 bits (the step of wyhash). The hash of a run of n words w1 ... wn is
//! `fold(((w1·Bⁿ⁻¹ + ... + wn) mod 2^64 ^ K) · L)`: a polynomial, so that the next run takes two multiplications and no joined text
//! (Karp and Rabin, 1987). The words' hashes are as good as random, so two different runs meet with a probability of about 2^-64.
//! The constants are odd and fixed for ever: signatures and what was compared must not differ between machines.

use super::{Signs, Sink, cut};

const START: u64 = 0x2545_F491_4F6C_DD1D;
const K: u64 = 0x9E37_79B9_7F4A_7C15;
const L: u64 = 0xD6E8_FEB8_6659_FD93;
const BASE: u64 = 0xC2B2_AE3D_27D4_EB4F;

/// Hashes of runs of words; keeps its buffers from one text to the next.
#[derive(Debug)]
pub struct Runs {
    signs: Signs,
    run: u64,
    /// `BASE` to the power of the run's words.
    power: u64,
    /// Hashes of the last words, and where they start in the text; as many as a power of two.
    last: Vec<(u64, usize)>,
}

/// The run that ends with the newest word.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    sum: u64,
    last: &'a [(u64, usize)],
    /// Words of the text so far, the newest counted.
    pub count: u64,
    /// Byte of the text after the newest word.
    pub end: usize,
}

impl Run<'_> {
    /// The hash of the last words: as many as a run has, all there are where the text has not had so many.
    #[inline]
    #[must_use]
    pub fn hash(&self) -> u64 {
        folded(self.sum ^ K, L)
    }

    /// Byte of the text where the last `n` words start, of those that are looked back at; the text's start where there are not so
    /// many.
    #[must_use]
    pub fn offset(&self, n: u64) -> usize {
        let word = self.count.checked_sub(n);
        word.and_then(|word| self.last.get(slot(word, self.last))).map_or(0, |&(_, start)| start)
    }
}

impl Runs {
    /// Runs of `run` words (at least one); looks back at `reach` words or at those of a run, whichever is more.
    #[must_use]
    pub fn new(signs: Signs, run: usize, reach: usize) -> Self {
        let run = run.max(1);
        let slots = run.max(reach).checked_next_power_of_two().unwrap_or(run);
        let run = u64::try_from(run).unwrap_or(u64::MAX);
        let power = (0..run).fold(1_u64, |power, _| power.wrapping_mul(BASE));
        Self { signs, run, power, last: vec![(0, 0); slots] }
    }

    /// Calls `each` at the end of every word.
    #[inline]
    pub fn each(&mut self, text: &str, mut each: impl FnMut(Run<'_>)) {
        let Self { signs, run, power, last } = self;
        let (mut count, mut sum) = (0_u64, 0_u64);
        let words = |word: u64, start: usize, end: usize| {
            let old = count.checked_sub(*run).and_then(|old| last.get(slot(old, last))).map_or(0, |&(old, _)| old);
            sum = sum.wrapping_mul(BASE).wrapping_add(word).wrapping_sub(old.wrapping_mul(*power));
            let to = slot(count, last);
            if let Some(slot) = last.get_mut(to) {
                *slot = (word, start);
            }
            count += 1;
            each(Run { sum, last, count, end });
        };
        cut(text, *signs, &mut Hasher { start: 0, hash: START, tail: 0, length: 0, words });
    }

    /// Calls `each` with the hash of every shingle, repeated ones too.
    #[inline]
    pub fn shingles(&mut self, text: &str, mut each: impl FnMut(u64)) {
        let run = self.run;
        let mut short = None;
        self.each(text, |words| {
            if words.count >= run {
                each(words.hash());
            } else {
                short = Some(words.hash());
            }
            if words.count == run {
                short = None;
            }
        });
        short.into_iter().for_each(each);
    }
}

/// Where a word, counted from 0, is kept.
#[inline]
fn slot(word: u64, last: &[(u64, usize)]) -> usize {
    usize::try_from(word & (u64::try_from(last.len()).unwrap_or(1).wrapping_sub(1))).unwrap_or(0)
}

/// Both halves of a product.
#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    u64::try_from(product & u128::from(u64::MAX)).unwrap_or(0) ^ u64::try_from(product >> 64).unwrap_or(0)
}

/// Hashes words as they are cut.
struct Hasher<F> {
    start: usize,
    /// Of whole eights of bytes.
    hash: u64,
    /// Fewer than eight bytes after them, and zeros.
    tail: u64,
    length: usize,
    words: F,
}

// Inlined wherever words are cut, or their state would go through memory for every one.
#[expect(clippy::inline_always, reason = "measured: a third of the time of signing")]
impl<F: FnMut(u64, usize, usize)> Sink for Hasher<F> {
    #[inline(always)]
    fn start(&mut self, at: usize) {
        self.start = at;
    }

    #[inline(always)]
    fn put(&mut self, bytes: [u8; 8], length: usize) {
        let mut bytes = u64::from_le_bytes(bytes);
        if length < 8 {
            bytes &= (1 << (8 * length)) - 1;
        }
        let all = self.length + length;
        // No shift by 64: `length` is below 8.
        self.tail |= bytes << (8 * self.length);
        if all >= 8 {
            self.hash = folded(self.hash ^ self.tail, K);
            self.tail = if self.length == 0 { 0 } else { bytes >> (8 * (8 - self.length)) };
            self.length = all - 8;
        } else {
            self.length = all;
        }
    }

    #[inline(always)]
    fn end(&mut self, at: usize) {
        let word = folded(self.hash ^ self.tail, K);
        (self.words)(word, self.start, at);
        self.hash = START;
        self.tail = 0;
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::Words;
    use super::*;

    fn shingles(text: &str, n: usize) -> Vec<u64> {
        let mut out = Vec::new();
        Runs::new(Signs::Kept, n, n).shingles(text, |hash| out.push(hash));
        out
    }

    #[test]
    fn short_texts_are_one_shingle() {
        assert_eq!(shingles("", 5), [0_u64; 0]);
        assert_eq!(shingles("One two", 5), shingles("one  TWO", 2));
        assert_eq!(shingles("a b c d e", 5).len(), 1);
        let (all, parts) = (shingles("a b c d e f", 5), [shingles("a b c d e", 5), shingles("b c d e f", 5)]);
        assert_eq!(all, parts.concat());
        assert_ne!(shingles("a b", 5), shingles("b a", 5));
    }

    /// The recipe is part of what is on disk.
    #[test]
    fn hashes_never_change() {
        let hashes: Vec<u64> =
            ["a", "abcdefgh", "abcdefghi jk 東京"].iter().flat_map(|text| shingles(text, 2)).collect();
        // Computed by the recipe in another language.
        let known = [
            0x3978_e010_5634_9768,
            0xae95_94dd_e1fd_4cbf,
            0xf418_086b_22ee_721c,
            0xad97_35b2_5156_cab5,
            0x1cb7_c227_60aa_8000,
        ];
        assert_eq!(hashes, known);
    }

    proptest! {
        /// Equal runs have equal hashes, others do not, whatever was before them and however long their words are.
        #[test]
        fn hashes_are_of_the_words(text in "([a-c]{1,20}|[A-C ]{0,4}|[ก-๎]|[一-三]|\\PC|\\s){0,40}", n in 1_usize..6) {
            for signs in [Signs::Kept, Signs::Dropped] {
                let mut joined = Vec::new();
                Words::new(signs, n).each(&text, |window| {
                    joined.push((window.last(n).map(<[u8]>::to_vec), window.offset(n), window.count));
                });
                let mut seen: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
                let mut words = joined.iter();
                Runs::new(signs, n, 0).each(&text, |run| {
                    let (joined, offset, count) = words.next().unwrap();
                    assert_eq!(run.count, *count);
                    let Some(joined) = joined else { return };
                    assert_eq!(run.offset(n as u64), *offset);
                    assert_eq!(seen.entry(run.hash()).or_insert_with(|| joined.clone()), joined);
                    // Alone it has the same hash.
                    let mut alone = None;
                    let text = String::from_utf8(joined.clone()).unwrap();
                    Runs::new(signs, n, 0).each(&text, |run| alone = Some(run.hash()));
                    assert_eq!(alone, Some(run.hash()));
                });
                prop_assert!(words.next().is_none());
                let distinct: std::collections::BTreeSet<&Vec<u8>> = seen.values().collect();
                prop_assert_eq!(distinct.len(), seen.len());
            }
        }
    }
}
