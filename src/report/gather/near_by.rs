//! How often one document comes back within 1,024 consecutive windows: one pass, memory for 1,024 windows.

use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, Hasher};

use super::drift::SPAN;

/// Keys are hashes already.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = self.0.rotate_left(17) ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of a hash")]
    fn write_u128(&mut self, number: u128) {
        self.0 ^= number as u64;
    }
}

#[expect(clippy::disallowed_types, reason = "looked up by key alone; never walked, so its order reaches nothing")]
type Counts = std::collections::HashMap<(u128, u32), Count, BuildHasherDefault<KeyHasher>>;

#[derive(Debug, Clone, Copy)]
struct Count {
    windows: u32,
    last: u64,
}

/// The most windows of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Most {
    pub(super) windows: u64,
    pub(super) document: u128,
    pub(super) first_window: u64,
}

/// Counts windows of each document within the last [`SPAN`].
pub(super) struct NearBy {
    counts: Counts,
    recent: VecDeque<Vec<(u128, u32)>>,
    window: u64,
    most: Vec<Option<Most>>,
}

impl NearBy {
    pub(super) fn new(sources: usize) -> Self {
        Self { counts: Counts::default(), recent: VecDeque::new(), window: 0, most: vec![None; sources] }
    }

    /// The next window: its source and the keys of its fragments.
    pub(super) fn push(&mut self, source: u32, keys: impl Iterator<Item = u128>) {
        let full = self.recent.len() as u64 >= SPAN;
        let mut list = if full { self.recent.pop_front().unwrap_or_default() } else { Vec::new() };
        for key in list.drain(..) {
            if let std::collections::hash_map::Entry::Occupied(mut entry) = self.counts.entry(key) {
                if entry.get().windows > 1 {
                    entry.get_mut().windows -= 1;
                } else {
                    entry.remove();
                }
            }
        }
        for key in keys {
            let count = self.counts.entry((key, source)).or_insert(Count { windows: 0, last: u64::MAX });
            if count.last == self.window {
                continue;
            }
            count.last = self.window;
            count.windows += 1;
            list.push((key, source));
            let windows = u64::from(count.windows);
            if let Some(most) = self.most.get_mut(source as usize)
                && most.is_none_or(|most| windows > most.windows)
            {
                let first_window = (self.window + 1).saturating_sub(SPAN);
                *most = Some(Most { windows, document: key, first_window });
            }
        }
        self.recent.push_back(list);
        self.window += 1;
    }

    pub(super) fn finish(self) -> Vec<Option<Most>> {
        self.most
    }
}
