//! Where a text may be cut without changing its ids.
//!
//! **The rule.** *Between two characters that no merge result has side by side, a cut changes nothing.*
//!
//! **Why.** The model begins with one symbol a character (or several byte symbols, or an unknown symbol) and then, again and
//! again, takes of all neighbouring pairs that have a merge the one of least (rank, place) and joins it. Let `xy` be two
//! adjacent characters that no merge result contains as neighbours, and call the text up to and including `x` left, the rest
//! right.
//!
//! 1. No symbol ever spans the cut. Each symbol covers a stretch of the text, and one made by a merge covers exactly the
//!    merge result's characters (operands are never byte or unknown symbols, whose name is not what they cover: checked at
//!    load). The first symbol to span the cut would be a merge result with `x` and `y` side by side: there is none.
//! 2. So no pair across the cut ever has a merge (its result would span the cut), and every candidate lies wholly left or
//!    wholly right. A join changes only pairs that touch it, hence only candidates of its own side.
//! 3. Candidates are ordered by (rank, place). Encoding a side alone shifts places by a constant, which keeps the order among
//!    that side's candidates. By induction over the joins, those of each side happen in the same order, to the same symbols,
//!    as if that side were encoded alone: the least of all candidates is the least of its side.
//!
//! The joins end when no candidate is left on either side, so the ids are those of left followed by those of right. ∎
//!
//! Cutting at some of the allowed places is as exact as at all, which is used twice: pairs with a character beyond ASCII are
//! looked up in a hashed set of bits, where a false hit merely joins two segments; and longer stretches than the cache
//! keeps are merged as they are.
//!
//! **What else must hold** ([`super::load`] checks it): no dropout (the order would be random); no prefix or suffix on pieces
//! inside words (the first symbol of a segment would be another); each character gives at least one symbol, by itself: so
//! byte fallback with all 256 bytes, or an unknown token. Where neighbouring unknown characters fuse into one token
//! (`fuse_unk`), there is no cut between two of them.

use std::collections::BTreeSet;

use super::index;

/// The places where a text may be cut, by the characters on either side.
pub struct Cuts {
    /// For ASCII pairs, as the two bytes are read at once (`right << 8 | left`): 1 to cut, 0 not to. Of no account for others.
    ascii: Box<[u8; 1 << 16]>,
    /// For all other pairs: a set of bits by hash.
    bits: Box<[u64]>,
    /// How far a hash is shifted to become the number of a bit.
    shift: u32,
    /// The character before which there is always a cut; `u32::MAX` when there is none.
    opener: u32,
    /// Where unknown characters fuse: the characters that are known, sorted.
    known: Option<Box<[u32]>>,
}

impl std::fmt::Debug for Cuts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cuts").finish_non_exhaustive()
    }
}

impl Cuts {
    /// Builds the table from all pairs that merge results have side by side. `known`: the characters that have a symbol,
    /// given when neighbouring unknown ones fuse. `opener`: a character that begins a word of its own wherever it stands (no
    /// pair may end in it). No pair may have a NUL, which is never joined to a character that is known.
    pub fn new(pairs: &BTreeSet<(char, char)>, known: Option<&BTreeSet<char>>, opener: Option<char>) -> Self {
        let others = pairs.iter().filter(|(left, right)| !(left.is_ascii() && right.is_ascii())).count();
        // 32 bits a pair: 3 % of the pairs that may be cut are not.
        let bits = (others * 32).next_power_of_two().max(1 << 10);
        let shift = 64 - bits.trailing_zeros();
        let mut cuts = Self {
            ascii: Box::new([1; 1 << 16]),
            bits: vec![0; bits / 64].into(),
            shift,
            opener: opener.map_or(u32::MAX, u32::from),
            known: known.map(|known| known.iter().map(|&letter| u32::from(letter)).collect()),
        };
        for &(left, right) in pairs {
            let (left, right) = (u32::from(left), u32::from(right));
            if left < 128 && right < 128 {
                cuts.ascii[(right << 8 | left) as usize] = 0;
            } else {
                let bit = hash(left, right) >> shift;
                cuts.bits[index(bit / 64)] |= 1 << (bit % 64);
            }
        }
        if let Some(known) = known {
            let unknown: Vec<u8> = (0..128).filter(|&byte| !known.contains(&char::from(byte))).collect();
            for &left in &unknown {
                for &right in &unknown {
                    cuts.ascii[usize::from(u16::from_le_bytes([left, right]))] = 0;
                }
            }
        }
        cuts
    }

    /// Whether there is a cut between two characters of which one at least is beyond ASCII: 1, or 0.
    #[inline(always)]
    fn beyond(&self, left: u32, right: u32) -> u64 {
        let bit = hash(left, right) >> self.shift;
        let mut joined = self.bits[index(bit / 64)] >> (bit % 64) & 1;
        if left == 0 || right == 0 || right == self.opener {
            joined = 0;
        }
        if self.known.is_some() && joined == 0 && self.unknown(left) && self.unknown(right) {
            return 0;
        }
        joined ^ 1
    }

    fn unknown(&self, letter: u32) -> bool {
        self.known.as_ref().is_some_and(|known| known.binary_search(&letter).is_err())
    }

    /// The cuts in the 64 bytes of `text` from `at`: bit `i` is a cut before byte `at + i`. `before` is the character before
    /// `at`, and becomes the last one of the block. `text` is UTF-8 with at least 64 + 3 bytes from `at` on (zeros after
    /// its end).
    #[inline]
    pub fn block(&self, text: &[u8], at: usize, before: &mut u32) -> u64 {
        let Some(bytes) = text[at..].first_chunk::<65>() else { return 0 };
        if bytes[..64].iter().fold(0, |all, byte| all | byte) >= 0x80 {
            return self.mixed(text, at, before);
        }
        let first = match u8::try_from(*before) {
            Ok(left) if left < 128 => self.ascii(left, bytes[0]),
            _ => self.beyond(*before, u32::from(bytes[0])),
        };
        // Bit `i`: a cut before byte `i + 1`; the last is the next block's. By eights, so that all is unrolled.
        let mut cuts = 0;
        for eight in 0..8 {
            let mut bits = 0;
            for i in 0..8 {
                bits |= self.ascii(bytes[8 * eight + i], bytes[8 * eight + i + 1]) << i;
            }
            cuts |= bits << (8 * eight);
        }
        *before = u32::from(bytes[63]);
        first | cuts << 1
    }

    /// Whether there is a cut between two ASCII characters: 1, or 0.
    #[inline(always)]
    fn ascii(&self, left: u8, right: u8) -> u64 {
        u64::from(self.ascii[usize::from(u16::from_le_bytes([left, right]))])
    }

    /// The same for a block that is not all ASCII.
    fn mixed(&self, text: &[u8], at: usize, before: &mut u32) -> u64 {
        let mut cuts = 0;
        let mut left = *before;
        let mut i = 0;
        while i < 64 {
            let (right, width) = character(&text[at + i..]);
            if width == 0 {
                // The tail of a character that began in the block before.
                i += 1;
                continue;
            }
            let cut = if left | right < 128 {
                u64::from(self.ascii[(right << 8 | left) as usize & 0xFFFF])
            } else {
                self.beyond(left, right)
            };
            cuts |= cut << i;
            left = right;
            i += width;
        }
        *before = left;
        cuts
    }
}

/// The character that UTF-8 text begins with, and its width; width 0 in the middle of a character.
#[inline(always)]
pub fn character(text: &[u8]) -> (u32, usize) {
    let tail = |i: usize| text.get(i).map_or(0, |byte| u32::from(byte & 0x3F));
    match text.first().copied() {
        None => (0, 0),
        Some(byte @ ..=0x7F) => (u32::from(byte), 1),
        Some(0x80..=0xBF) => (0, 0),
        Some(byte @ 0xC0..=0xDF) => (u32::from(byte & 0x1F) << 6 | tail(1), 2),
        Some(byte @ 0xE0..=0xEF) => (u32::from(byte & 0x0F) << 12 | tail(1) << 6 | tail(2), 3),
        Some(byte) => (u32::from(byte & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4),
    }
}

#[inline(always)]
fn hash(left: u32, right: u32) -> u64 {
    (u64::from(left) << 32 | u64::from(right)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ u64::from(left).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Cuts of a text by the rule itself.
    fn plain(text: &str, pairs: &BTreeSet<(char, char)>, known: Option<&BTreeSet<char>>) -> Vec<usize> {
        let letters: Vec<(usize, char)> = text.char_indices().collect();
        let fused = |letter: char| known.is_some_and(|known| !known.contains(&letter));
        letters
            .windows(2)
            .filter(|pair| !(pairs.contains(&(pair[0].1, pair[1].1)) || fused(pair[0].1) && fused(pair[1].1)))
            .map(|pair| pair[1].0)
            .collect()
    }

    fn found(cuts: &Cuts, text: &str) -> Vec<usize> {
        let mut padded = text.as_bytes().to_vec();
        padded.resize(text.len() + 80, 0);
        let (mut before, mut places) = (0, Vec::new());
        for at in (0..text.len()).step_by(64) {
            let block = cuts.block(&padded, at, &mut before);
            places.extend(
                (0..64).filter(|i| block >> i & 1 == 1).map(|i| at + i).filter(|place| (1..text.len()).contains(place)),
            );
        }
        places
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_cut_joins_a_pair_and_ascii_is_exact(
            text in "[a-e é語😀\u{7f}]{0,300}",
            pairs in proptest::collection::btree_set((proptest::char::any().prop_map(narrow), proptest::char::any().prop_map(narrow)), 0..30),
            known in proptest::option::of(proptest::collection::btree_set(proptest::char::any().prop_map(narrow), 0..9)),
        ) {
            let cuts = Cuts::new(&pairs, known.as_ref(), None);
            for place in found(&Cuts::new(&BTreeSet::new(), None, Some(' ')), &text) {
                prop_assert!(text.is_char_boundary(place));
            }
            let opened = found(&Cuts::new(&pairs.iter().copied().filter(|pair| pair.1 != ' ').collect(), None, Some(' ')), &text);
            prop_assert!(text.match_indices(' ').all(|(place, _)| place == 0 || opened.contains(&place)));
            let (found, plain) = (found(&cuts, &text), plain(&text, &pairs, known.as_ref()));
            prop_assert!(found.iter().all(|place| plain.contains(place)), "{found:?} {plain:?}");
            // The set of bits may miss some cuts, but none between ASCII characters.
            for place in plain {
                if text.as_bytes()[place - 1] < 128 && text.as_bytes()[place] < 128 {
                    prop_assert!(found.contains(&place));
                }
            }
        }
    }

    fn narrow(letter: char) -> char {
        let letters = ['a', 'b', 'c', 'd', 'e', ' ', 'é', '語', '😀', '\u{7f}'];
        letters[letter as usize % letters.len()]
    }

    #[test]
    fn characters_are_decoded() {
        for letter in ['a', '\u{7f}', '\u{80}', 'é', '\u{7ff}', '\u{800}', '語', '\u{ffff}', '😀', '\u{10ffff}', '\0']
        {
            let text = letter.to_string();
            assert_eq!(character(text.as_bytes()), (u32::from(letter), letter.len_utf8()));
        }
        assert_eq!(character(&[0x96]).1, 0);
    }
}
