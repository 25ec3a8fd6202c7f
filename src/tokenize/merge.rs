//! The merging itself: of all neighbouring symbols that have a merge, the pair of least rank becomes one, and so on.

use super::long::Long;

/// Up to so many symbols the least pair is found by looking at all; beyond, as [`Long`] does.
pub const SCAN: usize = 64;

/// The rank of a pair without a merge.
pub const NONE: u32 = u32::MAX;

/// Bits of a symbol in a slot.
const SYMBOL_BITS: u32 = 22;

/// Symbols must be below this.
pub const ID_LIMIT: u32 = (1 << SYMBOL_BITS) - 1;

/// Bits of a rank in a slot.
const RANK_BITS: u32 = 20;

/// No slot's content: no symbol is so large.
const EMPTY: u64 = u64::MAX;

/// The merges of pairs of symbols.
pub struct Pairs {
    /// Open addressing: left, right and rank in one number, so that a look-up is one trip to memory, and many lie near.
    slots: Box<[u64]>,
    shift: u32,
    /// A set of bits by the same hash: most pairs without a merge are told by it, near at hand.
    filter: Box<[u64]>,
    filter_shift: u32,
    /// Result of each rank.
    results: Box<[u32]>,
    /// Left and right of each rank.
    operands: Box<[(u32, u32)]>,
}

impl std::fmt::Debug for Pairs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pairs").finish_non_exhaustive()
    }
}

impl Pairs {
    /// From merges in the order of their rank: left, right, result. A pair that comes twice has its last rank, as in Hugging
    /// Face's library.
    ///
    /// # Errors
    /// When there are more, or larger ones, than a slot has room for.
    pub fn new(merges: &[(u32, u32, u32)]) -> Result<Self, String> {
        let largest = merges.iter().map(|merge| merge.0.max(merge.1)).max().unwrap_or(0);
        if merges.len() > 1 << RANK_BITS || largest >= ID_LIMIT {
            return Err(format!("it has more than {} merges, or ids of {ID_LIMIT} or more", 1 << RANK_BITS));
        }
        // Between 1.7 and 3.4 slots a merge.
        let size = (merges.len() * 17 / 10).next_power_of_two().max(16);
        let mut pairs = Self {
            slots: vec![EMPTY; size].into(),
            shift: 64 - size.trailing_zeros(),
            filter: vec![0; size * 8 / 64 + 1].into(),
            filter_shift: 64 - (size * 8).trailing_zeros(),
            results: merges.iter().map(|merge| merge.2).collect(),
            operands: merges.iter().map(|merge| (merge.0, merge.1)).collect(),
        };
        for (rank, &(left, right, _)) in (0_u64..).zip(merges) {
            let pair = pair(left, right);
            let hash = hash(pair);
            let bit = hash >> pairs.filter_shift;
            pairs.filter[index(bit / 64)] |= 1 << (bit % 64);
            let mut at = index(hash >> pairs.shift);
            while pairs.slots[at] != EMPTY && pairs.slots[at] >> RANK_BITS != pair {
                at = (at + 1) & (size - 1);
            }
            pairs.slots[at] = pair << RANK_BITS | rank;
        }
        Ok(pairs)
    }

    /// The rank of a pair; [`NONE`] when it has no merge. Both are symbols of the model.
    #[inline(always)]
    pub fn rank(&self, left: u32, right: u32) -> u32 {
        let pair = pair(left, right);
        let hash = hash(pair);
        let bit = hash >> self.filter_shift;
        if self.filter[index(bit / 64)] >> (bit % 64) & 1 == 0 {
            return NONE;
        }
        let mask = self.slots.len() - 1;
        let mut at = index(hash >> self.shift) & mask;
        loop {
            let slot = self.slots[at];
            if slot >> RANK_BITS == pair {
                return u32::try_from(slot & ((1 << RANK_BITS) - 1)).unwrap_or(NONE);
            }
            if slot == EMPTY {
                return NONE;
            }
            at = (at + 1) & mask;
        }
    }

    /// The result of a rank; 0 for [`NONE`].
    #[inline(always)]
    pub fn result(&self, rank: u32) -> u32 {
        self.results.get(rank as usize).copied().unwrap_or(0)
    }

    /// Left and right of a rank.
    #[inline(always)]
    pub fn operands(&self, rank: u32) -> (u32, u32) {
        self.operands[rank as usize]
    }
}

#[inline(always)]
fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << SYMBOL_BITS | u64::from(right)
}

/// Mixes both symbols into the top bits.
#[inline(always)]
fn hash(pair: u64) -> u64 {
    (pair ^ pair >> 19).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A number known to be small, as an index.
#[expect(clippy::cast_possible_truncation, reason = "the callers shift all but the low bits out")]
#[inline(always)]
fn index(number: u64) -> usize {
    number as usize
}

/// Keys that are compared at once.
const LANES: usize = 8;

/// Bits of a place among up to [`SCAN`] symbols.
const PLACE_BITS: u32 = SCAN.trailing_zeros();

/// A rank and a place in one number, the rank first: the least is the leftmost of the least rank. [`i32::MAX`] for [`NONE`].
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "20 bits of a rank and 6 of a place")]
#[inline(always)]
fn key(rank: u32, at: usize) -> i32 {
    if rank == NONE { i32::MAX } else { (rank << PLACE_BITS) as i32 | at as i32 }
}

/// The place of a key.
#[expect(clippy::cast_sign_loss, reason = "no key is negative")]
#[inline(always)]
fn place(key: i32) -> usize {
    key as usize & (SCAN - 1)
}

/// The first symbol alive after a place.
#[inline(always)]
fn after(alive: u64, at: usize) -> Option<usize> {
    let later = alive & (u64::MAX << 1 << at);
    (later != 0).then_some(later.trailing_zeros() as usize)
}

/// The last symbol alive before a place.
#[inline(always)]
fn before(alive: u64, at: usize) -> Option<usize> {
    let earlier = alive & !(u64::MAX << at);
    (earlier != 0).then(|| 63 - earlier.leading_zeros() as usize)
}

/// Buffers of one worker.
#[derive(Debug, Default)]
pub struct Merger {
    /// The symbols to merge.
    pub symbols: Vec<u32>,
    /// The key of each symbol with the next, of up to [`SCAN`].
    keys: [[i32; LANES]; SCAN / LANES],
    /// What it becomes with the next, where that has a rank: looked up with the rank, so that a join need not wait for it.
    joined: [[u32; LANES]; SCAN / LANES],
    long: Long,
}

impl Merger {
    /// Appends the ids of the symbols.
    pub fn merge(&mut self, pairs: &Pairs, ids: &mut Vec<u32>) {
        if self.symbols.len() > SCAN {
            return self.long.merge(pairs, &mut self.symbols, ids);
        }
        for (at, two) in self.symbols.windows(2).enumerate() {
            let rank = pairs.rank(two[0], two[1]);
            self.keys[at / LANES][at % LANES] = key(rank, at);
            self.joined[at / LANES][at % LANES] = pairs.result(rank);
        }
        self.end_keys();
        self.scan(pairs, ids);
    }

    /// What stands behind the keys of pairs, up to the end of the last group, is the key of none.
    fn end_keys(&mut self) {
        let length = self.symbols.len();
        for at in length.saturating_sub(1)..length.next_multiple_of(LANES) {
            self.keys[at / LANES][at % LANES] = i32::MAX;
        }
    }

    /// The same for up to [`SCAN`] symbols whose ranks with the next are known already.
    pub fn merge_ranked(&mut self, pairs: &Pairs, ranks: impl Iterator<Item = u32>, ids: &mut Vec<u32>) {
        for (at, rank) in ranks.enumerate() {
            self.keys[at / LANES][at % LANES] = key(rank, at);
            self.joined[at / LANES][at % LANES] = pairs.result(rank);
        }
        self.end_keys();
        self.scan(pairs, ids);
    }

    /// Takes the least pair, the leftmost of equals, until none has a merge. Symbols stay where they are: one that was joined to
    /// the one before it is no longer alive.
    fn scan(&mut self, pairs: &Pairs, ids: &mut Vec<u32>) {
        let Self { symbols, keys, joined, .. } = self;
        if symbols.is_empty() {
            return;
        }
        let groups = &mut keys[..symbols.len().div_ceil(LANES)];
        let mut alive = u64::MAX >> (SCAN - symbols.len());
        loop {
            // All lanes at once, with no branch on which is less.
            let mut least = [i32::MAX; LANES];
            for group in groups.iter() {
                for (least, key) in least.iter_mut().zip(group) {
                    *least = (*least).min(*key);
                }
            }
            let least = least.into_iter().fold(i32::MAX, i32::min);
            if least == i32::MAX {
                break;
            }
            let at = place(least);
            // There is one: the pair has a right symbol.
            let right = after(alive, at).unwrap_or(at);
            alive &= !(1 << right);
            let symbol = joined[at / LANES][at % LANES];
            symbols[at] = symbol;
            groups[right / LANES][right % LANES] = i32::MAX;
            let rank = after(alive, at).map_or(NONE, |next| pairs.rank(symbol, symbols[next]));
            groups[at / LANES][at % LANES] = key(rank, at);
            joined[at / LANES][at % LANES] = pairs.result(rank);
            if let Some(before) = before(alive, at) {
                let rank = pairs.rank(symbols[before], symbol);
                groups[before / LANES][before % LANES] = key(rank, before);
                joined[before / LANES][before % LANES] = pairs.result(rank);
            }
        }
        while alive != 0 {
            ids.push(symbols[alive.trailing_zeros() as usize]);
            alive &= alive - 1;
        }
    }
}
