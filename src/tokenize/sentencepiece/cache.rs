//! Ids of segments seen before: one worker's own, bounded, nothing allocated on a hit.
//!
//! Segments of up to 16 bytes with up to three ids, nearly all, lie in a table of two-way sets, 64 bytes a set, found by
//! one hash of two multiplications. Those that are longer or have more ids lie in pools behind a second table; when the
//! pools are full, both are emptied.

use xxhash_rust::xxh3::xxh3_64;

use super::index;

/// Longest segment of the first table, in bytes.
pub const SHORT: usize = 16;

/// Longest segment that is kept at all, in bytes.
const LONG: usize = 256;

/// Sets of the first table: 2^16 of 64 bytes, 4 MiB.
const SET_BITS: u32 = 16;

/// Slots of the second table.
const SLOT_BITS: u32 = 15;

/// Bytes of the pool of texts.
const POOL: usize = 1 << 20;

/// A segment of the first table.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(32))]
struct Entry {
    key: [u64; 2],
    ids: [u32; 3],
    /// Bytes of the segment; 0 when the entry is empty.
    length: u16,
    count: u16,
}

#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
struct Set([Entry; 2]);

/// A segment of the pools.
#[derive(Debug, Clone, Copy, Default)]
struct Pooled {
    hash: u64,
    text: u32,
    ids: u32,
    length: u16,
    /// 0 when the slot is empty.
    count: u16,
}

/// The cache.
#[derive(Debug)]
pub struct Cache {
    sets: Vec<Set>,
    slots: Vec<Pooled>,
    used: usize,
    texts: Vec<u8>,
    ids: Vec<u32>,
}

/// For each length, which bits of a key are the segment's.
const MASKS: [[u64; 2]; 32] = {
    let mut masks = [[0; 2]; 32];
    let mut length = 1;
    while length <= SHORT {
        masks[length] =
            if length <= 8 { [u64::MAX >> (64 - 8 * length), 0] } else { [u64::MAX, u64::MAX >> (128 - 8 * length)] };
        length += 1;
    }
    masks
};

#[inline(always)]
fn key_of(bytes: &[u8; SHORT], length: usize) -> [u64; 2] {
    let whole = u128::from_le_bytes(*bytes);
    let mask = MASKS[length & 31];
    [low(whole) & mask[0], low(whole >> 64) & mask[1]]
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
#[inline(always)]
fn low(whole: u128) -> u64 {
    whole as u64
}

#[inline(always)]
fn set_of(key: [u64; 2]) -> usize {
    let hash = key[0].wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ key[1].wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    index(hash >> (64 - SET_BITS))
}

impl Cache {
    /// An empty cache. It takes 5 MiB, up to 8 when full.
    pub fn new() -> Self {
        Self {
            sets: vec![Set::default(); 1 << SET_BITS],
            slots: vec![Pooled::default(); 1 << SLOT_BITS],
            used: 0,
            texts: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// The ids of a segment of `length` bytes, at most [`SHORT`], with which `bytes` begin, and their number.
    #[inline(always)]
    pub fn short(&self, bytes: &[u8; SHORT], length: usize) -> Option<([u32; 3], usize)> {
        let key = key_of(bytes, length);
        let set = &self.sets[set_of(key)].0;
        let is = |entry: &Entry| entry.key == key && usize::from(entry.length) == length;
        if is(&set[0]) {
            return Some((set[0].ids, usize::from(set[0].count)));
        }
        is(&set[1]).then(|| (set[1].ids, usize::from(set[1].count)))
    }

    /// The ids of a segment that is not in the first table.
    pub fn long(&self, segment: &[u8]) -> Option<&[u32]> {
        if segment.len() > LONG {
            return None;
        }
        let hash = xxh3_64(segment);
        let mut at = slot_of(hash);
        loop {
            let slot = &self.slots[at];
            if slot.count == 0 {
                return None;
            }
            if slot.hash == hash && self.texts[slot.text as usize..][..usize::from(slot.length)] == *segment {
                return Some(&self.ids[slot.ids as usize..][..usize::from(slot.count)]);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Keeps the ids of a segment, unless it is too long.
    pub fn insert(&mut self, segment: &[u8], ids: &[u32]) {
        let (Ok(length), Ok(count)) = (u16::try_from(segment.len()), u16::try_from(ids.len())) else { return };
        if segment.len() > LONG || count == 0 {
            return;
        }
        if segment.len() <= SHORT && ids.len() <= 3 {
            let mut bytes = [0; SHORT];
            bytes[..segment.len()].copy_from_slice(segment);
            let key = key_of(&bytes, segment.len());
            let mut entry = Entry { key, ids: [0; 3], length, count };
            entry.ids[..ids.len()].copy_from_slice(ids);
            let set = &mut self.sets[set_of(key)].0;
            set[1] = set[0];
            set[0] = entry;
            return;
        }
        if self.used * 2 >= self.slots.len() || self.texts.len() + segment.len() > POOL {
            self.slots.fill(Pooled::default());
            self.used = 0;
            self.texts.clear();
            self.ids.clear();
        }
        let (Ok(text), Ok(first)) = (u32::try_from(self.texts.len()), u32::try_from(self.ids.len())) else { return };
        let hash = xxh3_64(segment);
        let mut at = slot_of(hash);
        while self.slots[at].count != 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = Pooled { hash, text, ids: first, length, count };
        self.used += 1;
        self.texts.extend_from_slice(segment);
        self.ids.extend_from_slice(ids);
    }
}

fn slot_of(hash: u64) -> usize {
    index(hash >> (64 - SLOT_BITS))
}
