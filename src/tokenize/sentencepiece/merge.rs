//! The symbols of segments that are not in the cache, and their merging.

use super::super::merge::{Merger, NONE, Pairs, SCAN};
use super::cuts::character;

/// Symbols of characters and merges of pairs.
pub struct Merges {
    /// Symbol of each ASCII character; `u32::MAX` when it has none.
    ascii: [u32; 128],
    /// Symbols of the other characters, by character.
    others: Vec<(u32, u32)>,
    fallback: Fallback,
    pairs: Pairs,
    /// For ASCII pairs, `left << 7 | right`: 1 + the place of their rank in `ascii_ranks`; 0 when they have none.
    ascii_pairs: Box<[u16; 1 << 14]>,
    ascii_ranks: Vec<u32>,
}

/// What becomes of a character without a symbol.
#[derive(Debug, Clone)]
pub enum Fallback {
    /// Its bytes: the ids of `<0x00>` to `<0xFF>`.
    Bytes(Box<[u32; 256]>),
    /// The unknown token; one for each run of them when `fuse`.
    Unknown {
        /// Its id.
        id: u32,
        /// Whether neighbours fuse.
        fuse: bool,
    },
}

impl std::fmt::Debug for Merges {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Merges").field("fallback", &self.fallback).finish_non_exhaustive()
    }
}

impl Merges {
    /// From the symbols of characters (sorted by character) and merges in the order of their rank: left, right, result.
    pub fn new(letters: &[(char, u32)], fallback: Fallback, merges: &[(u32, u32, u32)]) -> Result<Self, String> {
        let mut table = Self {
            ascii: [u32::MAX; 128],
            others: Vec::new(),
            fallback,
            pairs: Pairs::new(merges)?,
            ascii_pairs: Box::new([0; 1 << 14]),
            ascii_ranks: Vec::new(),
        };
        for &(letter, id) in letters {
            match table.ascii.get_mut(letter as usize) {
                Some(slot) => *slot = id,
                None => table.others.push((u32::from(letter), id)),
            }
        }
        for left in 0..128 {
            for right in 0..128 {
                let (one, other) = (table.ascii[left], table.ascii[right]);
                let rank = if one.max(other) == u32::MAX { NONE } else { table.pairs.rank(one, other) };
                if rank != NONE {
                    table.ascii_ranks.push(rank);
                    table.ascii_pairs[left << 7 | right] = u16::try_from(table.ascii_ranks.len()).unwrap_or(0);
                }
            }
        }
        Ok(table)
    }

    #[inline(always)]
    fn ascii_pair(&self, left: u8, right: u8) -> u32 {
        let place = self.ascii_pairs[(usize::from(left) << 7 | usize::from(right)) & 0x3FFF];
        match usize::from(place).checked_sub(1) {
            Some(place) => self.ascii_ranks[place],
            None => NONE,
        }
    }

    /// Appends the symbols of a segment's characters.
    fn symbols(&self, segment: &[u8], symbols: &mut Vec<u32>) {
        // Mostly a symbol a byte.
        symbols.reserve(segment.len());
        let mut at = 0;
        let mut fused = false;
        while at < segment.len() {
            let (letter, width) = character(&segment[at..]);
            let width = width.max(1);
            let known = match self.ascii.get(letter as usize) {
                Some(&id) => (id != u32::MAX).then_some(id),
                None => {
                    self.others.binary_search_by_key(&letter, |other| other.0).ok().map(|place| self.others[place].1)
                }
            };
            match (known, &self.fallback) {
                (Some(id), _) => symbols.push(id),
                (None, Fallback::Bytes(bytes)) => {
                    // Inside, a space stands for `▁`.
                    let spelled = if letter == 0x20 { super::META } else { &segment[at..at + width] };
                    symbols.extend(spelled.iter().map(|byte| bytes[usize::from(*byte)]));
                }
                (None, Fallback::Unknown { id, fuse }) => {
                    if !(*fuse && fused) {
                        symbols.push(*id);
                    }
                }
            }
            fused = known.is_none();
            at += width;
        }
    }
    /// Appends the ids of a segment.
    pub fn merge(&self, segment: &[u8], merger: &mut Merger, ids: &mut Vec<u32>) {
        merger.symbols.clear();
        self.symbols(segment, &mut merger.symbols);
        // One symbol a byte: all is ASCII, and most pairs of ASCII characters are at hand.
        if merger.symbols.len() == segment.len() && segment.len() <= SCAN && segment.is_ascii() {
            let ranks = segment.windows(2).map(|pair| self.ascii_pair(pair[0], pair[1]));
            merger.merge_ranked(&self.pairs, ranks, ids);
        } else {
            merger.merge(&self.pairs, ids);
        }
    }
}
