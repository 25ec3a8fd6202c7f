//! Ids of long texts seen before: bounded, nothing allocated on a hit. Both fast backends keep there what their tables have no
//! room for.

use xxhash_rust::xxh3::xxh3_64;

/// Slots.
const SLOT_BITS: u32 = 16;

/// Bytes of all texts.
const TEXTS: usize = 1 << 20;

/// Where a text and its ids lie.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: u64,
    text: u32,
    ids: u32,
    length: u16,
    /// 0 when the slot is empty.
    count: u16,
}

/// The texts, emptied when they are full.
#[derive(Debug)]
pub struct Pool {
    slots: Vec<Slot>,
    used: usize,
    /// Bytes of the longest text that is kept.
    longest: usize,
    /// Bytes of the shortest text there is.
    shortest: usize,
    texts: Vec<u8>,
    ids: Vec<u32>,
}

impl Pool {
    /// What a pool takes at most, in bytes: an id is of a byte at least, and room grows by doubling.
    pub const BYTES: u64 = (24 << SLOT_BITS) + 2 * 5 * TEXTS as u64;

    /// An empty pool for texts of up to `longest` bytes, fewer than 2^16.
    pub fn new(longest: usize) -> Self {
        Self {
            slots: vec![Slot::default(); 1 << SLOT_BITS],
            used: 0,
            longest,
            shortest: usize::MAX,
            texts: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// Appends the ids of a text; whether it is there.
    #[inline]
    pub fn get(&self, text: &[u8], ids: &mut Vec<u32>) -> bool {
        if text.len() > self.longest || text.len() < self.shortest {
            return false;
        }
        let hash = xxh3_64(text);
        let mut at = slot_of(hash);
        loop {
            let slot = &self.slots[at];
            if slot.count == 0 {
                return false;
            }
            if slot.hash == hash && self.texts[slot.text as usize..][..usize::from(slot.length)] == *text {
                ids.extend_from_slice(&self.ids[slot.ids as usize..][..usize::from(slot.count)]);
                return true;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Keeps the ids of a text that is not there, unless it is too long or has none.
    pub fn insert(&mut self, text: &[u8], ids: &[u32]) {
        let (Ok(length), Ok(count)) = (u16::try_from(text.len()), u16::try_from(ids.len())) else { return };
        if text.len() > self.longest || count == 0 {
            return;
        }
        if self.used * 2 >= self.slots.len() || self.texts.len() + text.len() > TEXTS {
            self.slots.fill(Slot::default());
            self.used = 0;
            self.shortest = usize::MAX;
            self.texts.clear();
            self.ids.clear();
        }
        let (Ok(place), Ok(first)) = (u32::try_from(self.texts.len()), u32::try_from(self.ids.len())) else { return };
        let hash = xxh3_64(text);
        let mut at = slot_of(hash);
        while self.slots[at].count != 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = Slot { hash, text: place, ids: first, length, count };
        self.used += 1;
        self.shortest = self.shortest.min(text.len());
        self.texts.extend_from_slice(text);
        self.ids.extend_from_slice(ids);
    }
}

fn slot_of(hash: u64) -> usize {
    (hash >> (64 - SLOT_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids of text `i`.
    fn ids(i: u32) -> Vec<u32> {
        (0..i % 7 + 1).map(|id| i * 8 + id).collect()
    }

    #[test]
    fn what_was_put_in_is_there_until_the_pool_is_full() {
        let mut pool = Pool::new(40);
        let text = |i: u32| format!("{i}{}", "x".repeat(20));
        // Half of the slots, and one text more.
        let all = 1 << (SLOT_BITS - 1);
        let mut found = Vec::new();
        for i in 0..all {
            assert!(!pool.get(text(i).as_bytes(), &mut found));
            pool.insert(text(i).as_bytes(), &ids(i));
        }
        for i in 0..all {
            found.clear();
            assert!(pool.get(text(i).as_bytes(), &mut found) && found == ids(i), "{i}");
        }
        pool.insert(text(all).as_bytes(), &ids(all));
        found.clear();
        assert!(!pool.get(text(0).as_bytes(), &mut found) && pool.get(text(all).as_bytes(), &mut found));
        assert_eq!(found, ids(all));
        // Texts of a MiB in all are the other bound.
        for i in 0..all {
            pool.insert(format!("{i:040}").as_bytes(), &[i]);
        }
        assert!(pool.texts.capacity() <= 2 * TEXTS && pool.used < (TEXTS / 40) + 1);
    }

    #[test]
    fn what_is_too_long_or_has_no_ids_is_not_kept() {
        let mut pool = Pool::new(40);
        pool.insert(&[b'x'; 41], &[1]);
        pool.insert(b"nothing", &[]);
        pool.insert(b"many", &vec![1; 1 << 16]);
        assert_eq!(pool.used, 0);
        let mut found = Vec::new();
        pool.insert(&[b'x'; 40], &[1]);
        for length in [0, 1, 39, 41] {
            assert!(!pool.get(&vec![b'x'; length], &mut found));
        }
        assert!(pool.get(&[b'x'; 40], &mut found) && found == [1]);
    }
}
