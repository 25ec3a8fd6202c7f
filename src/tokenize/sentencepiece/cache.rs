//! Ids of segments seen before: one worker's own, bounded, nothing allocated on a hit.
//!
//! Nearly all segments have up to 8 bytes and three ids: they lie in a table of 16 bytes an entry, so that what is frequent
//! stays near. A second table takes up to 16 bytes and six ids; the rest, up to [`LONG`] bytes, lies in a [`Pool`]. A segment of the tables is told by its bytes alone, zeros after them: a NUL stands alone or
//! among unknown characters that are one token together ([`super::cuts`]), so no two segments of unlike ids look alike.

use super::super::pool::Pool;
use super::index;

/// Longest segment of the first table, in bytes.
pub const SMALL: usize = 8;

/// Longest segment of the second table, in bytes.
pub const MEDIUM: usize = 16;

/// Longest segment that is kept at all, in bytes.
const LONG: usize = 4096;

/// Two-way sets of the first table: 2^15 of 32 bytes, 1 MiB.
const SMALL_BITS: u32 = 15;

/// Two-way sets of the second table: 2^14 of 64 bytes, 1 MiB.
const MEDIUM_BITS: u32 = 14;

/// A key that is no UTF-8, hence no segment's.
const EMPTY: u64 = u64::MAX;

/// Bits of an id in a [`Packed`].
const ID_BITS: u32 = 20;

/// Ids must be below this to be kept in the tables.
pub const ID_LIMIT: u32 = 1 << ID_BITS;

/// Up to three ids of 20 bits, and their number in the top 4.
#[derive(Debug, Clone, Copy, Default)]
#[repr(transparent)]
pub struct Packed(u64);

impl Packed {
    fn new(ids: &[u32]) -> Self {
        let bits = ids.iter().rev().fold(0, |bits, id| bits << ID_BITS | u64::from(id & (ID_LIMIT - 1)));
        Self(bits | (ids.len() as u64) << (3 * ID_BITS))
    }

    /// The ids (those beyond their number are 0), and their number.
    #[inline(always)]
    pub fn ids(self) -> ([u32; 3], usize) {
        let id = |shift: u32| u32::try_from(self.0 >> shift & u64::from(ID_LIMIT - 1)).unwrap_or_default();
        ([id(0), id(ID_BITS), id(2 * ID_BITS)], index(self.0 >> (3 * ID_BITS)))
    }
}

#[derive(Debug, Clone, Copy)]
#[repr(C, align(16))]
struct Small {
    key: u64,
    ids: Packed,
}

#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct SmallSet([Small; 2]);

#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct Medium {
    key: [u64; 2],
    ids: [Packed; 2],
}

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct MediumSet([Medium; 2]);

/// The cache.
#[derive(Debug)]
pub struct Cache {
    small: Vec<SmallSet>,
    medium: Vec<MediumSet>,
    pool: Pool,
}

/// The first `length` bytes of `word`, zeros after them. `length` is 1 to 8.
#[inline(always)]
pub fn first(word: u64, length: usize) -> u64 {
    word & u64::MAX >> ((64 - 8 * length) & 63)
}

#[inline(always)]
fn small_set(key: u64) -> usize {
    index(key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SMALL_BITS))
}

#[inline(always)]
fn medium_set(key: [u64; 2]) -> usize {
    let hash = key[0].wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ key[1].wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    index(hash >> (64 - MEDIUM_BITS))
}

/// The key of a segment of up to [`MEDIUM`] bytes.
fn key_of(segment: &[u8]) -> [u64; 2] {
    let mut bytes = [[0; 8]; 2];
    for (to, from) in bytes.as_flattened_mut().iter_mut().zip(segment) {
        *to = *from;
    }
    bytes.map(u64::from_le_bytes)
}

impl Cache {
    /// An empty cache. It takes 2 MiB, and up to [`Pool::BYTES`] more.
    pub fn new() -> Self {
        let small = Small { key: EMPTY, ids: Packed(0) };
        let medium = Medium { key: [EMPTY; 2], ids: [Packed(0); 2] };
        Self {
            small: vec![SmallSet([small; 2]); 1 << SMALL_BITS],
            medium: vec![MediumSet([medium; 2]); 1 << MEDIUM_BITS],
            pool: Pool::new(LONG),
        }
    }

    /// The ids of a segment of up to [`SMALL`] bytes.
    #[inline(always)]
    pub fn small(&self, key: u64) -> Option<Packed> {
        let set = &self.small[small_set(key)].0;
        // Both ways are looked at, so that there is one branch, nearly always taken.
        let entry = set[usize::from(set[1].key == key)];
        (entry.key == key).then_some(entry.ids)
    }

    /// The ids of a segment of up to [`MEDIUM`] bytes.
    #[inline(always)]
    pub fn medium(&self, key: [u64; 2]) -> Option<[Packed; 2]> {
        let set = &self.medium[medium_set(key)].0;
        let entry = set[usize::from(set[1].key == key)];
        (entry.key == key).then_some(entry.ids)
    }

    /// The ids of a segment that is not in the first table, nor, if it is longer than that takes, in the second.
    pub fn rest(&self, segment: &[u8], ids: &mut Vec<u32>) -> bool {
        if segment.len() <= SMALL
            && let Some(found) = self.medium(key_of(segment))
        {
            for packed in found {
                let (found, count) = packed.ids();
                ids.extend_from_slice(&found[..count]);
            }
            return true;
        }
        // Short ones of more than six ids are in the pool too.
        self.pool.get(segment, ids)
    }

    /// Keeps the ids of a segment, unless it is too long.
    pub fn insert(&mut self, segment: &[u8], ids: &[u32]) {
        if ids.is_empty() {
            return;
        }
        let key = key_of(segment);
        if segment.len() <= SMALL && ids.len() <= 3 {
            let set = &mut self.small[small_set(key[0])].0;
            *set = [Small { key: key[0], ids: Packed::new(ids) }, set[0]];
        } else if segment.len() <= MEDIUM && ids.len() <= 6 {
            let (front, back) = ids.split_at(ids.len().min(3));
            let set = &mut self.medium[medium_set(key)].0;
            *set = [Medium { key, ids: [Packed::new(front), Packed::new(back)] }, set[0]];
        } else {
            self.pool.insert(segment, ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_packed_and_unpacked() {
        for ids in [vec![], vec![0], vec![7, ID_LIMIT - 1], vec![1, 0, 2], vec![ID_LIMIT - 1; 3]] {
            let (found, count) = Packed::new(&ids).ids();
            assert_eq!(found[..count], ids);
        }
    }

    #[test]
    fn what_was_put_in_is_found_wherever_it_lies() {
        let mut cache = Cache::new();
        let segments: Vec<String> = (0..400).map(|i| format!("{i}{}", "x".repeat(i % 40))).collect();
        let ids = |segment: &str| -> Vec<u32> {
            (0..u32::try_from(segment.len() % 9 + 1).unwrap()).map(|id| id * 100_000).collect()
        };
        for segment in &segments {
            cache.insert(segment.as_bytes(), &ids(segment));
        }
        let mut found = 0;
        for segment in segments.iter().map(String::as_str).chain(["never", "never seen", "never seen by the cache"]) {
            let mut got = Vec::new();
            let key = key_of(segment.as_bytes());
            let put = |packed: Packed, got: &mut Vec<u32>| got.extend_from_slice(&packed.ids().0[..packed.ids().1]);
            match segment.len() {
                ..=SMALL if cache.small(key[0]).is_some() => put(cache.small(key[0]).unwrap(), &mut got),
                9..=MEDIUM if cache.medium(key).is_some() => {
                    cache.medium(key).unwrap().into_iter().for_each(|packed| put(packed, &mut got));
                }
                _ => drop(cache.rest(segment.as_bytes(), &mut got)),
            }
            if got.is_empty() {
                // A set holds two; a third that falls into it drives the first out.
                continue;
            }
            assert_eq!(got, ids(segment), "{segment}");
            found += 1;
        }
        assert!((390..=400).contains(&found), "{found}");
    }

    #[test]
    fn keys_are_the_first_bytes() {
        let word = u64::from_le_bytes(*b"abcdefgh");
        assert_eq!(first(word, 3), u64::from_le_bytes(*b"abc\0\0\0\0\0"));
        assert_eq!(first(word, 8), word);
    }
}
