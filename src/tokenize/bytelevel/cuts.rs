//! Where a word may be cut without changing its ids: for scripts that write long words, or no blanks at all.
//!
//! **The rule.** *Between two characters that no merge result has side by side, whole or in part, a cut changes nothing.* A symbol
//! that spanned the cut would be a merge result, and its bytes about the cut would be an end of the one character and a
//! beginning of the other. So no pair across the cut ever has a merge, and the merges of either side happen in the same order as if
//! that side stood alone ([`super::super::sentencepiece`] has the proof at length; here the first symbols are bytes). Where pieces
//! are taken for words whatever the merges say, a word is not cut: its parts may be such pieces.
//!
//! Cutting at some of the allowed places is as exact as at all: pairs of characters are looked up in a hashed set of bits, where a
//! false hit merely joins two segments, and pairs of which one is there in part are told by the bytes next to the cut alone.

use super::classes::character;

/// The pairs of characters between which there is no cut.
pub struct Cuts {
    /// Pairs that some merge result has whole: a set of bits by hash.
    whole: Box<[u64]>,
    shift: u32,
    /// Pairs that some merge result has in part, by the last byte of the left and the first of the right.
    part: Box<[[u64; 4]; 256]>,
}

impl std::fmt::Debug for Cuts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cuts").finish_non_exhaustive()
    }
}

impl Cuts {
    /// From the bytes of all merge results.
    pub fn new<'r>(results: impl Iterator<Item = &'r [u8]>) -> Self {
        let mut part = Box::new([[0; 4]; 256]);
        let mut pairs = Vec::new();
        for result in results {
            for at in 1..result.len() {
                let (left, right) = (result[at - 1], result[at]);
                if !begins(right) {
                    continue;
                }
                match (before(&result[..at]), within(&result[at..])) {
                    (Some(left), Some(right)) => pairs.push(u64::from(left) << 32 | u64::from(right)),
                    _ => part[usize::from(left)][usize::from(right / 64)] |= 1 << (right % 64),
                }
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        // 16 bits a pair and more: 6 % at most of the pairs that may be cut are not.
        let bits = (pairs.len() * 16).next_power_of_two().max(64);
        let mut cuts = Self { whole: vec![0; bits / 64].into(), shift: 64 - bits.trailing_zeros(), part };
        for pair in pairs {
            let (word, bit) = cuts.bit(pair);
            cuts.whole[word] |= 1 << bit;
        }
        cuts
    }

    #[inline(always)]
    fn bit(&self, pair: u64) -> (usize, u64) {
        let hash = (pair ^ pair >> 27).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift;
        (usize::try_from(hash / 64).unwrap_or_default(), hash % 64)
    }

    /// Whether some merge result joins the last byte of one character and the first of the next, and has either of them in part.
    #[inline(always)]
    pub fn joins_in_part(&self, last: u8, first: u8) -> bool {
        self.part[usize::from(last)][usize::from(first / 64)] >> (first % 64) & 1 != 0
    }

    /// The end of the segment of `word` that begins at `start`. `word` is text.
    #[inline(always)]
    pub fn end(&self, word: &[u8], start: usize) -> usize {
        let (mut left, width) = character(word, start);
        let mut at = start + width;
        while at < word.len() {
            let (right, width) = character(word, at);
            let part = u64::from(self.joins_in_part(word[at - 1], word[at]));
            let (set, bit) = self.bit(u64::from(left) << 32 | u64::from(right));
            if (self.whole[set] >> bit | part) & 1 == 0 {
                return at;
            }
            left = right;
            at += width;
        }
        word.len()
    }
}

/// Whether a byte begins a character.
fn begins(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

/// The whole character that bytes begin with.
fn within(bytes: &[u8]) -> Option<u32> {
    let (letter, width) = character(bytes, 0);
    let tail = bytes.get(1..width)?;
    tail.iter().all(|byte| !begins(*byte)).then_some(letter)
}

/// The whole character that bytes end with.
fn before(bytes: &[u8]) -> Option<u32> {
    let start = bytes.iter().rposition(|byte| begins(*byte))?;
    (character(bytes, start).1 == bytes.len() - start).then(|| within(&bytes[start..])).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(cuts: &Cuts, word: &str) -> Vec<String> {
        let (mut segments, mut start) = (Vec::new(), 0);
        while start < word.len() {
            let end = cuts.end(word.as_bytes(), start);
            segments.push(word[start..end].to_owned());
            start = end;
        }
        segments
    }

    #[test]
    fn characters_side_by_side_in_a_result_are_not_cut_apart() {
        let cuts = Cuts::new(["語é", "ab"].iter().map(|result| result.as_bytes()));
        assert_eq!(segments(&cuts, "a語éab語"), ["a", "語é", "ab", "語"]);
        assert_eq!(segments(&cuts, "é語"), ["é", "語"]);
    }

    #[test]
    fn parts_of_characters_side_by_side_are_not_cut_apart() {
        let bytes = "語é".as_bytes();
        // The end of one and the other, one and the beginning of the other, and both in part.
        for result in [&bytes[1..], &bytes[..4], &bytes[2..4]] {
            let cuts = Cuts::new(std::iter::once(result));
            assert_eq!(segments(&cuts, "x語éx"), ["x", "語é", "x"], "{result:?}");
        }
        // Within a character there is no cut anyway.
        let cuts = Cuts::new(std::iter::once(&bytes[..3]));
        assert_eq!(segments(&cuts, "語語é"), ["語", "語", "é"]);
    }
}
