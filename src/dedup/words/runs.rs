//! Hashes of n-grams, which are rolled from word to word.
//!
//! A word's hash is made of its folded bytes, eight at a time: `h = fold((h ^ bytes) · K)` from a fixed start, where `fold` is the
//! exclusive or of both halves of the product of 128 bits (the step of wyhash). The hash of a run of n words w1 ... wn is
//! `fold(((w1·Bⁿ⁻¹ + ... + wn) mod 2^64 ^ K) · L)`: a polynomial, so that the next run takes two multiplications and no joined text
//! (Karp and Rabin, 1987). The words' hashes are as good as random, so two different runs of a few words meet with a probability of
//! about 2^-64. Modulo 2^64, long regular runs meet (of two words in the order of Thue and Morse, from 256 on, and theirs swapped):
//! who must not take one for another compares the words.
//! The constants are odd and fixed for ever: signatures and what was compared must not differ between machines.
//!
//! Who compares the words of whatever is found, and keeps no hash, needs less: [`Runs::brief_blocks`] makes a word's hash of its first
//! eight folded bytes and its length.

use super::{Signs, Sink, ascii, cut};

const START: u64 = 0x2545_F491_4F6C_DD1D;
const K: u64 = 0x9E37_79B9_7F4A_7C15;
const L: u64 = 0xD6E8_FEB8_6659_FD93;
const BASE: u64 = 0xC2B2_AE3D_27D4_EB4F;

/// Hashes of runs of words; keeps its buffers from one text to the next.
#[derive(Debug)]
pub struct Runs {
    signs: Signs,
    run: usize,
    /// `BASE` to the power of the run's words.
    power: u64,
    /// Words before the newest ones that are looked back at.
    reach: usize,
    words: Cut,
    /// Room for the hashes of the runs that end with words that were cut.
    hashes: Vec<u64>,
}

/// Words that were cut and not yet looked at, after those that are looked back at: cutting and looking are loops of their own,
/// each of few steps that do not wait for one another.
#[derive(Debug, Default)]
struct Cut {
    /// Of the first `filled`.
    hashes: Vec<u64>,
    /// Where each starts and ends in the text; nobody knows while [`Hasher`] is not told to note it.
    places: Vec<(usize, usize)>,
    filled: usize,
}

impl Cut {
    fn hashes(&self) -> &[u64] {
        self.hashes.get(..self.filled).unwrap_or_default()
    }
}

/// Words that are cut before they are looked at.
const WORDS: usize = 512;

/// Some words of a text, side by side, and the run that ends with each.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    hashes: &'a [u64],
    /// Places of the words that are looked back at, and then of the block's own.
    places: &'a [(usize, usize)],
    /// Words of the text before the block's.
    pub before: u64,
}

impl<'a> Block<'a> {
    /// For each word the hash of the run that ends with it: of all words there are where the text has not had as many as a run has.
    #[inline]
    #[must_use]
    pub fn hashes(&self) -> &'a [u64] {
        self.hashes
    }

    /// Byte of the text after word `i` of the block.
    #[inline]
    #[must_use]
    pub fn end(&self, i: usize) -> usize {
        self.place(i, 0).map_or(0, |(_, end)| end)
    }

    /// Byte of the text where the last `n` words up to word `i` of the block start, of those that are looked back at; the text's
    /// start where there are not so many.
    #[inline]
    #[must_use]
    pub fn offset(&self, i: usize, n: usize) -> usize {
        n.checked_sub(1).and_then(|back| self.place(i, back)).map_or(0, |(start, _)| start)
    }

    #[inline]
    fn place(&self, i: usize, back: usize) -> Option<(usize, usize)> {
        let reach = self.places.len().checked_sub(self.hashes.len())?;
        self.places.get((reach + i).checked_sub(back)?).copied()
    }
}

impl Runs {
    /// Runs of `run` words (at least one); looks back at `reach` words or at those of a run, whichever is more.
    #[must_use]
    pub fn new(signs: Signs, run: usize, reach: usize) -> Self {
        let run = run.max(1);
        let power = (0..run).fold(1_u64, |power, _| power.wrapping_mul(BASE));
        Self { signs, run, power, reach: run.max(reach), words: Cut::default(), hashes: vec![0; WORDS] }
    }

    /// Calls `each` with all words, some at a time.
    #[inline]
    pub fn blocks(&mut self, text: &str, each: impl FnMut(Block<'_>)) {
        self.rolled::<true, false>(text, each);
    }

    /// As [`Self::blocks`], with hashes that do not tell long words from others of the same length and beginning.
    #[inline]
    pub fn brief_blocks(&mut self, text: &str, each: impl FnMut(Block<'_>)) {
        self.rolled::<true, true>(text, each);
    }

    /// Calls `each` with the hashes of all shingles, repeated ones too, some at a time.
    #[inline]
    pub fn shingles(&mut self, text: &str, mut each: impl FnMut(&[u64])) {
        let last = u64::try_from(self.run - 1).unwrap_or(u64::MAX);
        let (mut count, mut whole) = (0_u64, 0);
        self.rolled::<false, false>(text, |block| {
            count = block.before.saturating_add(u64::try_from(block.hashes.len()).unwrap_or(u64::MAX));
            whole = block.hashes.last().copied().unwrap_or(0);
            // The first words end no shingle.
            let first = usize::try_from(last.saturating_sub(block.before)).unwrap_or(usize::MAX);
            each(block.hashes.get(first..).unwrap_or_default());
        });
        if count > 0 && count <= last {
            each(&[whole]);
        }
    }

    #[inline]
    fn rolled<const PLACES: bool, const BRIEF: bool>(&mut self, text: &str, mut each: impl FnMut(Block<'_>)) {
        let (mut sum, mut before) = (0_u64, 0_u64);
        let mut hashes = std::mem::take(&mut self.hashes);
        hashes.resize(WORDS, 0);
        let (power, reach, run) = (self.power, self.reach, self.run);
        self.cut::<PLACES, BRIEF>(text, |words| {
            let new = words.hashes().get(reach..).unwrap_or_default();
            sum = roll(sum, power, new.iter().zip(leaving(words, reach, run)), &mut hashes);
            let hashes = hashes.get(..new.len()).unwrap_or_default();
            let places = if PLACES { words.places.get(..words.filled).unwrap_or_default() } else { &[] };
            each(Block { hashes, places, before });
            before = before.saturating_add(u64::try_from(new.len()).unwrap_or(u64::MAX));
        });
        self.hashes = hashes;
    }

    /// Hands over the words some at a time, never none, after as many as are looked back at (zeros where the text has not had so
    /// many).
    #[inline]
    fn cut<const PLACES: bool, const BRIEF: bool>(&mut self, text: &str, each: impl FnMut(&Cut)) {
        let Self { words, reach, signs, .. } = self;
        words.hashes.resize(*reach + WORDS, 0);
        words.places.resize(*reach + WORDS, (0, 0));
        words.hashes.iter_mut().take(*reach).for_each(|hash| *hash = 0);
        words.places.iter_mut().take(*reach).for_each(|place| *place = (0, 0));
        words.filled = *reach;
        let mut hasher =
            Hasher::<_, PLACES, BRIEF> { start: 0, hash: START, tail: 0, length: 0, words, reach: *reach, each };
        cut(text, *signs, &mut hasher);
        hasher.hand_over();
    }
}

/// Rolls a run's polynomial on, over new words and those that leave: their runs' hashes. Its values stay in registers, and only what
/// hangs on the run before waits for it.
#[inline]
fn roll<'w>(mut sum: u64, power: u64, words: impl Iterator<Item = (&'w u64, &'w u64)>, hashes: &mut [u64]) -> u64 {
    for ((new, old), hash) in words.zip(hashes) {
        let change = new.wrapping_sub(old.wrapping_mul(power));
        sum = sum.wrapping_mul(BASE).wrapping_add(change);
        *hash = folded(sum ^ K, L);
    }
    sum
}

/// For each new word the one that leaves the run.
#[inline]
fn leaving(words: &Cut, reach: usize, run: usize) -> &[u64] {
    words.hashes().get(reach - run..).unwrap_or_default()
}

/// Both halves of a product.
#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    u64::try_from(product & u128::from(u64::MAX)).unwrap_or(0) ^ u64::try_from(product >> 64).unwrap_or(0)
}

/// A word by its first eight bytes and its length.
#[inline]
fn brief(first: u64, length: usize) -> u64 {
    // Lengths are small: the product has no bits that would be missed.
    first ^ u64::try_from(length).unwrap_or(0).wrapping_mul(K)
}

/// Hashes words as they are cut; notes their places too, or leaves them. In brief, the tail is the first eight bytes, and the length all.
struct Hasher<'w, F, const PLACES: bool, const BRIEF: bool> {
    start: usize,
    /// Of whole eights of bytes.
    hash: u64,
    /// Fewer than eight bytes after them, and zeros.
    tail: u64,
    length: usize,
    words: &'w mut Cut,
    reach: usize,
    each: F,
}

impl<F: FnMut(&Cut), const PLACES: bool, const BRIEF: bool> Hasher<'_, F, PLACES, BRIEF> {
    #[inline]
    fn push(&mut self, word: u64, start: usize, end: usize) {
        if self.words.filled >= self.words.hashes.len() {
            self.hand_over();
        }
        let Cut { hashes, places, filled } = &mut *self.words;
        if let Some(hash) = hashes.get_mut(*filled) {
            *hash = word;
        }
        if PLACES && let Some(place) = places.get_mut(*filled) {
            *place = (start, end);
        }
        *filled += 1;
    }

    #[inline(never)]
    fn hand_over(&mut self) {
        let old = self.words.filled - self.reach;
        if old > 0 {
            (self.each)(self.words);
            self.words.hashes.copy_within(old..self.words.filled, 0);
            if PLACES {
                self.words.places.copy_within(old..self.words.filled, 0);
            }
            self.words.filled = self.reach;
        }
    }
}

// Inlined wherever words are cut, or their state would go through memory for every one.
#[expect(clippy::inline_always, reason = "measured: a third of the time of signing")]
impl<F: FnMut(&Cut), const PLACES: bool, const BRIEF: bool> Sink for Hasher<'_, F, PLACES, BRIEF> {
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
        if BRIEF {
            if self.length < 8 {
                self.tail |= bytes << (8 * self.length);
            }
            self.length = all;
            return;
        }
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
        let word = if BRIEF { brief(self.tail, self.length) } else { folded(self.hash ^ self.tail, K) };
        self.push(word, self.start, at);
        self.hash = START;
        self.tail = 0;
        self.length = 0;
    }

    #[inline(always)]
    fn ascii<const KEPT: bool>(&mut self, text: &[u8], start: usize, end: usize) {
        self.push(ascii_word::<KEPT, BRIEF>(text, start, end), start, end);
    }

    #[inline(always)]
    fn block<const KEPT: bool>(&mut self, text: &[u8], (base, window): (usize, &ascii::Window), words: ascii::Whole) {
        if self.words.filled + MOST > self.words.hashes.len() {
            self.hand_over();
        }
        let Cut { hashes, places, filled } = &mut *self.words;
        let hashes = hashes.get_mut(*filled..).and_then(|rest| rest.first_chunk_mut::<MOST>());
        let places = places.get_mut(*filled..).and_then(|rest| rest.first_chunk_mut::<MOST>());
        let (Some(hashes), Some(places)) = (hashes, places) else {
            return words.for_each(|(start, end)| self.ascii::<KEPT>(text, base + start, base + end));
        };
        // Where the next word goes is known without asking the memory.
        let mut count = 0;
        for (start, end) in words {
            hashes[count % MOST] = ascii_word::<KEPT, BRIEF>(window, start, end);
            if PLACES {
                places[count % MOST] = (base + start, base + end);
            }
            count += 1;
        }
        *filled += count;
    }
}

/// Most words in a block of ASCII: each is a byte and a gap.
const MOST: usize = ascii::BLOCK / 2;

/// The hash of an ASCII word, `start..end` of these bytes, sixteen more than which can be read.
#[inline]
fn ascii_word<const KEPT: bool, const BRIEF: bool>(text: &[u8], start: usize, end: usize) -> u64 {
    let mut length = end.saturating_sub(start);
    if BRIEF {
        // The other bytes are shifted out.
        let kept = u64::MAX >> ((64 - 8 * length.min(8)) % 64);
        return brief(ascii::eight::<KEPT>(text, start) & kept, length);
    }
    let (mut hash, mut at) = (START, start);
    while length >= 16 {
        hash = folded(hash ^ ascii::eight::<KEPT>(text, at), K);
        (at, length) = (at + 8, length - 8);
    }
    // Up to fifteen bytes are left. Whether there are eight is as good as chance: both ways are taken, without a branch.
    let (first, second) = ascii::sixteen::<KEPT>(text, at, length);
    let eight = folded(hash ^ first, K);
    let (hash, tail) = if length >= 8 { (eight, second) } else { (hash, first) };
    folded(hash ^ tail, K)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::Words;
    use super::*;

    fn shingles(text: &str, n: usize) -> Vec<u64> {
        let mut out = Vec::new();
        Runs::new(Signs::Kept, n, n).shingles(text, |hashes| out.extend_from_slice(hashes));
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

    /// Whether runs are shorter or longer than what is cut at once, and wherever they end in it.
    #[test]
    fn long_texts_and_long_runs() {
        let word = |i: usize| format!("w{}", i * i % 977);
        let text = |words: std::ops::Range<usize>| words.map(word).collect::<Vec<_>>().join(" ");
        for n in [1, 7, 511, 512, 513, 700] {
            for count in [1, 511, 512, 513, 1024, 1025, 1300] {
                let found = shingles(&text(0..count), n);
                assert_eq!(found.len(), (count + 1).saturating_sub(n).max(1), "{count} words, n = {n}");
                for start in (0..found.len()).step_by(97) {
                    assert_eq!([found[start]], *shingles(&text(start..(start + n).min(count)), n));
                }
            }
        }
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

    /// Briefly, words are their beginnings and lengths, however they are cut.
    #[test]
    fn brief_hashes_are_of_beginnings_and_lengths() {
        let briefly = |text: &str, n| {
            let mut hashes = Vec::new();
            Runs::new(Signs::Dropped, n, 0).brief_blocks(text, |block| hashes.extend_from_slice(block.hashes()));
            hashes
        };
        let same = ["internationally", "INTERNATionalLY", "internatxxxxxxx", "internatéxxxxx"];
        for n in [1, 3] {
            let text = |word: &str| format!("a b, {word} -- {} of", "long".repeat(40));
            let hashes = briefly(&text(same[0]), n);
            // At the text's end, and where characters outside ASCII are near, words are cut by other means.
            assert_eq!(hashes.len(), 5);
            for word in same {
                assert_eq!(briefly(&text(word), n), hashes, "{word}");
                assert_eq!(briefly(&format!("{} é", text(word)), n)[..5], hashes, "{word}");
            }
            for word in ["internationall", "internaxxxxxxxx", "i", "ınternationally"] {
                assert_ne!(briefly(&text(word), n), hashes, "{word}");
            }
        }
        let places = |brief: bool, text: &str| {
            let (mut runs, mut places) = (Runs::new(Signs::Dropped, 2, 5), Vec::new());
            let mut note = |block: Block<'_>| {
                places.extend((0..block.hashes().len()).map(|i| (block.offset(i, 2), block.end(i))));
            };
            if brief {
                runs.brief_blocks(text, &mut note)
            } else {
                runs.blocks(text, &mut note)
            };
            places
        };
        let text = "One, two -- three 东京 four's fünf ".repeat(300);
        assert_eq!(places(true, &text), places(false, &text));
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
                Runs::new(signs, n, 0).blocks(&text, |block| for (i, hash) in block.hashes().iter().enumerate() {
                    let (joined, offset, count) = words.next().unwrap();
                    assert_eq!(block.before + u64::try_from(i).unwrap() + 1, *count);
                    let Some(joined) = joined else { continue };
                    assert_eq!(block.offset(i, n), *offset);
                    assert_eq!(seen.entry(*hash).or_insert_with(|| joined.clone()), joined);
                    // Alone it has the same hash.
                    let mut alone = None;
                    let text = String::from_utf8(joined.clone()).unwrap();
                    Runs::new(signs, n, 0).blocks(&text, |block| alone = block.hashes().last().copied());
                    assert_eq!(alone, Some(*hash));
                });
                prop_assert!(words.next().is_none());
                let distinct: std::collections::BTreeSet<&Vec<u8>> = seen.values().collect();
                prop_assert_eq!(distinct.len(), seen.len());
            }
        }
    }
}
