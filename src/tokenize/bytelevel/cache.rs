//! Ids of words seen before: one worker's own, bounded, nothing allocated on a hit.
//!
//! Nearly all words have up to 15 bytes and three ids: they lie in a table of 32 bytes an entry, told by their bytes and their
//! length. The rest, up to [`LONG`] bytes, lies in a [`Pool`].

use super::super::pool::Pool;

/// Longest word of the table, in bytes.
pub const SHORT: usize = 15;

/// Most ids of a word of the table.
const IDS: usize = 3;

/// Longest word that is kept at all, in bytes.
const LONG: usize = 1024;

/// Two-way sets of the table: 2^17 of 64 bytes, 8 MiB.
const SET_BITS: u32 = 17;

/// A word of up to [`SHORT`] bytes: zeros after them, its length in the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u64; 2]);

/// The bits of words by their length.
const KEEP: [[u64; 2]; 16] = {
    let mut keep = [[0; 2]; 16];
    let mut length: usize = 0;
    while length < 16 {
        keep[length] = match length {
            ..8 => [(1 << (8 * length)) - 1, 0],
            _ => [u64::MAX, (1 << (8 * (length - 8))) - 1],
        };
        length += 1;
    }
    keep
};

impl Key {
    /// The key of the first `length` of these bytes; `length` is at most [`SHORT`].
    #[inline(always)]
    pub fn new(bytes: &[u8; 16], length: usize) -> Self {
        let [low, high] = *bytes.as_chunks::<8>().0 else { return Self([0; 2]) };
        let keep = KEEP[length & 15];
        let tag = (length as u64) << 56;
        Self([u64::from_le_bytes(low) & keep[0], u64::from_le_bytes(high) & keep[1] | tag])
    }

    /// The key of a word of up to [`SHORT`] bytes.
    #[inline(never)]
    pub fn of(word: &[u8]) -> Self {
        let mut bytes = [0; 16];
        bytes[..word.len()].copy_from_slice(word);
        Self::new(&bytes, word.len())
    }

    #[inline(always)]
    fn set(self) -> usize {
        let hash = self.0[0].wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.0[1].wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        index(hash >> (64 - SET_BITS))
    }
}

/// A number known to be small, as an index.
#[expect(clippy::cast_possible_truncation, reason = "the callers shift all but the low bits out")]
#[inline(always)]
fn index(number: u64) -> usize {
    number as usize
}

/// A word of the table.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct Entry {
    key: Key,
    found: Found,
}

/// The ids of a word of the table: those beyond their number are 0.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Found {
    /// Up to three.
    pub ids: [u32; IDS],
    /// How many.
    pub count: u32,
}

/// No word's key: its length is none.
const EMPTY: Entry = Entry { key: Key([u64::MAX; 2]), found: Found { ids: [0; IDS], count: 0 } };

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Set([Entry; 2]);

/// The cache.
#[derive(Debug)]
pub struct Cache {
    sets: Vec<Set>,
    pool: Pool,
}

impl Cache {
    /// What a cache holds at most, in bytes.
    pub const BYTES: u64 = (64 << SET_BITS) + Pool::BYTES;

    /// An empty cache.
    pub fn new() -> Self {
        Self { sets: vec![Set([EMPTY; 2]); 1 << SET_BITS], pool: Pool::new(LONG) }
    }

    /// The ids of a word of the table.
    #[inline(always)]
    pub fn short(&self, key: Key) -> Option<&Found> {
        let set = &self.sets[key.set()].0;
        // Both ways are looked at, so that there is one branch, nearly always taken.
        let same = |entry: &Entry| (entry.key.0[0] ^ key.0[0]) | (entry.key.0[1] ^ key.0[1]);
        let entry = &set[usize::from(same(&set[1]) == 0)];
        (same(entry) == 0).then_some(&entry.found)
    }

    /// Appends the ids of a word of the pool; whether it is there.
    pub fn long(&self, word: &[u8], ids: &mut Vec<u32>) -> bool {
        self.pool.get(word, ids)
    }

    /// Keeps the ids of a word, unless it is too long.
    pub fn insert(&mut self, word: &[u8], ids: &[u32]) {
        if word.len() > SHORT || ids.len() > IDS {
            return self.pool.insert(word, ids);
        }
        let Ok(count) = u32::try_from(ids.len()) else { return };
        if count == 0 {
            return;
        }
        let key = Key::of(word);
        let mut found = Found { ids: [0; IDS], count };
        found.ids[..ids.len()].copy_from_slice(ids);
        let set = &mut self.sets[key.set()].0;
        *set = [Entry { key, found }, set[0]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cache: &Cache, word: &[u8]) -> Option<Vec<u32>> {
        let mut ids = Vec::new();
        if word.len() <= SHORT {
            let mut bytes = [b'?'; 16];
            bytes[..word.len()].copy_from_slice(word);
            let key = Key::new(&bytes, word.len());
            assert_eq!(key, Key::of(word));
            if let Some(found) = cache.short(key) {
                return Some(found.ids[..found.count as usize].to_vec());
            }
        }
        cache.long(word, &mut ids).then_some(ids)
    }

    #[test]
    fn what_was_put_in_is_found_wherever_it_lies() {
        let mut cache = Cache::new();
        let words: Vec<String> = (0..400).map(|i| format!("{i}{}", "x".repeat(i % 40))).collect();
        let ids =
            |word: &str| -> Vec<u32> { (0..u32::try_from(word.len() % 9 + 1).unwrap()).map(|id| id << 29).collect() };
        for word in &words {
            cache.insert(word.as_bytes(), &ids(word));
        }
        let there: Vec<_> = words.iter().filter_map(|word| Some((word, found(&cache, word.as_bytes())?))).collect();
        // A set holds two; a third that falls into it drives the first out.
        assert!(there.len() > 390, "{}", there.len());
        assert!(there.iter().all(|(word, found)| *found == ids(word)));
        for word in ["", "never", "never seen", "never seen by the cache"] {
            assert_eq!(found(&cache, word.as_bytes()), None);
        }
    }

    #[test]
    fn words_that_end_in_nul_are_told_apart() {
        let mut cache = Cache::new();
        for length in 1..=15 {
            cache.insert(&vec![0; length], &[u32::try_from(length).unwrap()]);
        }
        for length in 1..=15 {
            assert_eq!(found(&cache, &vec![0; length]), Some(vec![u32::try_from(length).unwrap()]));
        }
    }
}
