//! The merging itself, for segments that are not in the cache.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cuts::character;
use super::index;

/// Up to so many symbols the least pair is found by looking at all; beyond, by a heap.
const SCAN: usize = 64;

/// No merge.
const NONE: Merge = Merge { rank: u32::MAX, id: 0 };

/// What a pair of symbols becomes.
#[derive(Debug, Clone, Copy)]
struct Merge {
    rank: u32,
    id: u32,
}

/// Symbols of characters and merges of pairs.
pub struct Merges {
    /// Symbol of each ASCII character; `u32::MAX` when it has none.
    ascii: [u32; 128],
    /// Symbols of the other characters, by character.
    others: Vec<(u32, u32)>,
    fallback: Fallback,
    /// Open addressing on `left << 32 | right`.
    keys: Box<[u64]>,
    values: Box<[Merge]>,
    shift: u32,
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
    /// From the symbols of characters (sorted by character) and merges in the order of their rank: left, right, result. A
    /// pair that comes twice has its last rank, as in Hugging Face's library.
    pub fn new(letters: &[(char, u32)], fallback: Fallback, merges: &[(u32, u32, u32)]) -> Self {
        let size = (merges.len() * 2).next_power_of_two().max(16);
        let mut table = Self {
            ascii: [u32::MAX; 128],
            others: Vec::new(),
            fallback,
            keys: vec![u64::MAX; size].into(),
            values: vec![NONE; size].into(),
            shift: 64 - size.trailing_zeros(),
        };
        for &(letter, id) in letters {
            match table.ascii.get_mut(letter as usize) {
                Some(slot) => *slot = id,
                None => table.others.push((u32::from(letter), id)),
            }
        }
        for (rank, &(left, right, id)) in (0_u32..).zip(merges) {
            let key = u64::from(left) << 32 | u64::from(right);
            let mut at = table.slot(key);
            while table.keys[at] != u64::MAX && table.keys[at] != key {
                at = (at + 1) & (size - 1);
            }
            table.keys[at] = key;
            table.values[at] = Merge { rank, id };
        }
        table
    }

    #[inline(always)]
    fn slot(&self, key: u64) -> usize {
        // The multiplier's high half mixes both ids into the top bits.
        index((key ^ key >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift)
    }

    #[inline(always)]
    fn find(&self, left: u32, right: u32) -> Merge {
        let key = u64::from(left) << 32 | u64::from(right);
        let mask = self.keys.len() - 1;
        let mut at = self.slot(key) & mask;
        loop {
            let found = self.keys[at];
            if found == key {
                return self.values[at];
            }
            if found == u64::MAX {
                return NONE;
            }
            at = (at + 1) & mask;
        }
    }

    /// Appends the symbols of a segment's characters.
    fn symbols(&self, segment: &[u8], symbols: &mut Vec<u32>) {
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
}

/// Buffers of one worker.
#[derive(Debug, Default)]
pub struct Merger {
    symbols: Vec<u32>,
    /// The merge of each symbol with the next.
    pairs: Vec<(u32, u32)>,
    heap: BinaryHeap<Reverse<(u32, u32)>>,
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl Merger {
    /// Appends the ids of a segment.
    pub fn merge(&mut self, merges: &Merges, segment: &[u8], ids: &mut Vec<u32>) {
        self.symbols.clear();
        merges.symbols(segment, &mut self.symbols);
        match self.symbols.len() {
            0 => {}
            1 => ids.push(self.symbols[0]),
            2..=SCAN => self.scan(merges, ids),
            _ => self.heap(merges, ids),
        }
    }

    /// Takes the least pair, the leftmost of equals, until none has a merge.
    fn scan(&mut self, merges: &Merges, ids: &mut Vec<u32>) {
        let symbols = &mut self.symbols;
        let pairs = &mut self.pairs;
        let look = |left: u32, right: u32| {
            let merge = merges.find(left, right);
            (merge.rank, merge.id)
        };
        pairs.clear();
        pairs.extend(symbols.windows(2).map(|pair| look(pair[0], pair[1])));
        loop {
            let mut least = (u32::MAX, 0);
            for (at, pair) in pairs.iter().enumerate() {
                if pair.0 < least.0 {
                    least = (pair.0, at);
                }
            }
            let (rank, at) = least;
            if rank == u32::MAX {
                break;
            }
            symbols[at] = pairs[at].1;
            symbols.remove(at + 1);
            pairs.remove(at);
            if at > 0 {
                pairs[at - 1] = look(symbols[at - 1], symbols[at]);
            }
            if at + 1 < symbols.len() {
                pairs[at] = look(symbols[at], symbols[at + 1]);
            }
        }
        ids.extend_from_slice(symbols);
    }

    /// The same by a heap of (rank, place) over a linked list, for long segments.
    fn heap(&mut self, merges: &Merges, ids: &mut Vec<u32>) {
        const END: u32 = u32::MAX;
        let Self { symbols, heap, next, previous, .. } = self;
        let length = u32::try_from(symbols.len()).unwrap_or(END);
        next.clear();
        next.extend((1..=length).map(|i| if i == length { END } else { i }));
        previous.clear();
        previous.extend((0..length).map(|i| i.checked_sub(1).unwrap_or(END)));
        heap.clear();
        for (at, pair) in (0_u32..).zip(symbols.windows(2)) {
            let merge = merges.find(pair[0], pair[1]);
            if merge.rank != u32::MAX {
                heap.push(Reverse((merge.rank, at)));
            }
        }
        // A symbol that was joined to the one on its left points at itself.
        while let Some(Reverse((rank, at))) = heap.pop() {
            let right = next[at as usize];
            if right == END || right == at {
                continue;
            }
            let merge = merges.find(symbols[at as usize], symbols[right as usize]);
            // An entry whose pair has changed since.
            if merge.rank != rank {
                continue;
            }
            symbols[at as usize] = merge.id;
            let after = next[right as usize];
            next[at as usize] = after;
            next[right as usize] = right;
            if after != END {
                previous[after as usize] = at;
                let merge = merges.find(symbols[at as usize], symbols[after as usize]);
                if merge.rank != u32::MAX {
                    heap.push(Reverse((merge.rank, at)));
                }
            }
            let before = previous[at as usize];
            if before != END {
                let merge = merges.find(symbols[before as usize], symbols[at as usize]);
                if merge.rank != u32::MAX {
                    heap.push(Reverse((merge.rank, before)));
                }
            }
        }
        let mut at = 0;
        while at != END {
            ids.push(symbols[at as usize]);
            at = next[at as usize];
        }
    }
}
