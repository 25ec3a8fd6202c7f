//! The merging itself, for segments that are not in the cache.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cuts::character;
use super::index;

/// Up to so many symbols the least pair is found by looking at all; beyond, by a queue.
const SCAN: usize = 64;

/// No merge.
const NONE: Merge = Merge { rank: u32::MAX, id: 0 };

/// What a pair of symbols becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    slots: Box<[Slot]>,
    shift: u32,
    /// A set of bits by the same hash: most pairs without a merge are told by it, near at hand.
    filter: Box<[u64]>,
    filter_shift: u32,
    /// Left, right and result of each rank.
    by_rank: Box<[(u32, u32, u32)]>,
    /// For ASCII pairs, `left << 7 | right`: 1 + the place of their merge in `ascii_merges`; 0 when they have none.
    ascii_pairs: Box<[u16; 1 << 14]>,
    ascii_merges: Vec<Merge>,
}

/// A pair of symbols and its merge: in one place, so that a look-up is one trip to memory.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(16))]
struct Slot {
    /// `u64::MAX` when the slot is empty.
    pair: u64,
    merge: Merge,
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
            slots: vec![Slot { pair: u64::MAX, merge: NONE }; size].into(),
            shift: 64 - size.trailing_zeros(),
            filter: vec![0; size * 8 / 64 + 1].into(),
            filter_shift: 64 - (size * 8).trailing_zeros(),
            by_rank: merges.into(),
            ascii_pairs: Box::new([0; 1 << 14]),
            ascii_merges: Vec::new(),
        };
        for &(letter, id) in letters {
            match table.ascii.get_mut(letter as usize) {
                Some(slot) => *slot = id,
                None => table.others.push((u32::from(letter), id)),
            }
        }
        for (rank, &(left, right, id)) in (0_u32..).zip(merges) {
            let pair = u64::from(left) << 32 | u64::from(right);
            let hash = hash(pair);
            let bit = hash >> table.filter_shift;
            table.filter[index(bit / 64)] |= 1 << (bit % 64);
            let mut at = index(hash >> table.shift);
            while table.slots[at].pair != u64::MAX && table.slots[at].pair != pair {
                at = (at + 1) & (size - 1);
            }
            table.slots[at] = Slot { pair, merge: Merge { rank, id } };
        }
        for left in 0..128 {
            for right in 0..128 {
                let merge = table.find(table.ascii[left], table.ascii[right]);
                if merge.rank != u32::MAX {
                    table.ascii_merges.push(merge);
                    table.ascii_pairs[left << 7 | right] = u16::try_from(table.ascii_merges.len()).unwrap_or(0);
                }
            }
        }
        table
    }

    #[inline(always)]
    fn find(&self, left: u32, right: u32) -> Merge {
        let pair = u64::from(left) << 32 | u64::from(right);
        let hash = hash(pair);
        let bit = hash >> self.filter_shift;
        if self.filter[index(bit / 64)] >> (bit % 64) & 1 == 0 {
            return NONE;
        }
        let mask = self.slots.len() - 1;
        let mut at = index(hash >> self.shift) & mask;
        loop {
            let slot = &self.slots[at];
            if slot.pair == pair {
                return slot.merge;
            }
            if slot.pair == u64::MAX {
                return NONE;
            }
            at = (at + 1) & mask;
        }
    }

    #[inline(always)]
    fn ascii_pair(&self, left: u8, right: u8) -> Merge {
        let place = self.ascii_pairs[(usize::from(left) << 7 | usize::from(right)) & 0x3FFF];
        match usize::from(place).checked_sub(1) {
            Some(place) => self.ascii_merges[place],
            None => NONE,
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

/// Mixes both ids into the top bits.
#[inline(always)]
fn hash(pair: u64) -> u64 {
    (pair ^ pair >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Buffers of one worker.
#[derive(Debug, Default)]
pub struct Merger {
    symbols: Vec<u32>,
    /// The merge of each symbol with the next.
    pairs: Vec<Merge>,
    queue: Queue,
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl Merger {
    /// Appends the ids of a segment.
    pub fn merge(&mut self, merges: &Merges, segment: &[u8], ids: &mut Vec<u32>) {
        self.symbols.clear();
        merges.symbols(segment, &mut self.symbols);
        self.pairs.clear();
        // One symbol a byte: all is ASCII, and most pairs of ASCII characters are at hand.
        if self.symbols.len() == segment.len() && segment.len() <= SCAN && segment.is_ascii() {
            self.pairs.extend(segment.windows(2).map(|pair| merges.ascii_pair(pair[0], pair[1])));
        } else if self.symbols.len() <= SCAN {
            self.pairs.extend(self.symbols.windows(2).map(|pair| merges.find(pair[0], pair[1])));
        }
        match self.symbols.len() {
            0 => {}
            1 => ids.push(self.symbols[0]),
            2..=SCAN => self.scan(merges, ids),
            _ => self.queue(merges, ids),
        }
    }

    /// Takes the least pair, the leftmost of equals, until none has a merge.
    fn scan(&mut self, merges: &Merges, ids: &mut Vec<u32>) {
        let symbols = &mut self.symbols;
        let pairs = &mut self.pairs;
        loop {
            let mut least = (u32::MAX, 0);
            for (at, pair) in pairs.iter().enumerate() {
                if pair.rank < least.0 {
                    least = (pair.rank, at);
                }
            }
            let (rank, at) = least;
            if rank == u32::MAX {
                break;
            }
            symbols[at] = pairs[at].id;
            symbols.remove(at + 1);
            pairs.remove(at);
            if at > 0 {
                pairs[at - 1] = merges.find(symbols[at - 1], symbols[at]);
            }
            if at + 1 < symbols.len() {
                pairs[at] = merges.find(symbols[at], symbols[at + 1]);
            }
        }
        ids.extend_from_slice(symbols);
    }

    /// The same for long segments, in time near linear: places wait in one list a rank, ranks in a heap.
    ///
    /// A join makes a symbol longer than both it was made of, so a pair with the new symbol is not the pair just joined: the
    /// list being worked through never grows. It is left, and put back, when a pair of lesser rank has arisen.
    fn queue(&mut self, merges: &Merges, ids: &mut Vec<u32>) {
        const END: u32 = u32::MAX;
        let Self { symbols, queue, next, previous, .. } = self;
        let length = u32::try_from(symbols.len()).unwrap_or(END);
        next.clear();
        next.extend((1..=length).map(|i| if i == length { END } else { i }));
        previous.clear();
        previous.extend((0..length).map(|i| i.checked_sub(1).unwrap_or(END)));
        for (at, pair) in (0_u32..).zip(symbols.windows(2)) {
            queue.push(merges.find(pair[0], pair[1]).rank, at);
        }
        while let Some((rank, mut places)) = queue.pop() {
            let (left, right, id) = merges.by_rank[rank as usize];
            let mut done = 0;
            for &at in &places {
                if queue.least() < rank {
                    break;
                }
                done += 1;
                let after = next[at as usize];
                // Entries whose pair has changed since; a symbol that was joined to the one before it is END.
                if after == END || symbols[at as usize] != left || symbols[after as usize] != right {
                    continue;
                }
                symbols[at as usize] = id;
                symbols[after as usize] = END;
                let beyond = next[after as usize];
                next[at as usize] = beyond;
                if beyond != END {
                    previous[beyond as usize] = at;
                    queue.push(merges.find(id, symbols[beyond as usize]).rank, at);
                }
                let before = previous[at as usize];
                if before != END {
                    queue.push(merges.find(symbols[before as usize], id).rank, before);
                }
            }
            places.drain(..done);
            queue.put_back(rank, places);
        }
        let mut at = 0;
        while at != END {
            ids.push(symbols[at as usize]);
            at = next[at as usize];
        }
    }
}

/// Places by rank.
#[derive(Debug, Default)]
struct Queue {
    /// Ranks whose list is not empty, the least first.
    ranks: BinaryHeap<Reverse<u32>>,
    /// For each rank, 1 + the number of its list; 0 when it has none.
    lists_by_rank: Vec<u32>,
    lists: Vec<Vec<u32>>,
    /// Lists not in use.
    free: Vec<u32>,
}

impl Queue {
    /// The least rank; `u32::MAX` when there is none.
    fn least(&self) -> u32 {
        self.ranks.peek().map_or(u32::MAX, |rank| rank.0)
    }

    fn push(&mut self, rank: u32, at: u32) {
        if rank == u32::MAX {
            return;
        }
        let list = self.list(rank);
        self.lists[list].push(at);
    }

    /// The list of a rank, which joins the queue if it is not there.
    fn list(&mut self, rank: u32) -> usize {
        let place = rank as usize;
        if place >= self.lists_by_rank.len() {
            self.lists_by_rank.resize(place + 1, 0);
        }
        if let Some(list) = self.lists_by_rank[place].checked_sub(1) {
            return list as usize;
        }
        let list = self.free.pop().unwrap_or_else(|| {
            self.lists.push(Vec::new());
            u32::try_from(self.lists.len() - 1).unwrap_or(u32::MAX)
        });
        self.lists_by_rank[place] = list + 1;
        self.ranks.push(Reverse(rank));
        list as usize
    }

    /// Takes out the least rank with its places, ascending.
    fn pop(&mut self) -> Option<(u32, Vec<u32>)> {
        let rank = self.ranks.pop()?.0;
        let list = std::mem::take(&mut self.lists_by_rank[rank as usize]) - 1;
        let mut places = std::mem::take(&mut self.lists[list as usize]);
        self.free.push(list);
        // Mostly they are in order already.
        if !places.is_sorted() {
            places.sort_unstable();
        }
        Some((rank, places))
    }

    /// Puts back what is left of a list, or only its memory.
    fn put_back(&mut self, rank: u32, places: Vec<u32>) {
        if !places.is_empty() {
            let list = self.list(rank);
            let newer = std::mem::replace(&mut self.lists[list], places);
            self.lists[list].extend(newer);
        } else if let Some(&list) = self.free.last() {
            let slot = &mut self.lists[list as usize];
            if slot.capacity() < places.capacity() {
                *slot = places;
            }
        }
    }
}
