//! Best-fit-decreasing packing of one run of documents into windows.
//!
//! Documents longer than a window are cut into full windows and a tail. Documents and tails are then taken from the longest to
//! the shortest, each put into the window in which it leaves the least room, or into a new one. Which windows result (not which
//! of several documents of one length lies where) depends on the lengths alone, so a range makes as many in every epoch.
//! Best-fit needs at most 11/9 of the windows of the best packing, and a few (D. S. Johnson, 1973); on documents hardly any are lost.

use std::sync::Arc;

use super::Piece;
use super::run::Run;
use crate::error::{Error, Result};

/// No window, in lists of windows.
const NONE: u32 = u32::MAX;

/// A run packed into windows.
#[derive(Debug)]
pub(super) struct Packed {
    run: Arc<Run>,
    /// First item of each window, and at the end the number of items.
    starts: Vec<u32>,
    /// In each window in line order.
    items: Vec<Item>,
}

/// A part of a document of the run: `from` and `length` in tokens of that part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    part: u32,
    from: u32,
    length: u32,
}

impl Packed {
    pub(super) fn new(run: Arc<Run>, window_tokens: u32) -> Result<Self> {
        let fit = Fit::new(run.lengths(), window_tokens)?;
        // Full windows first, then those with several items; items go in by line order, and stay so within each window.
        let windows = fit.full + fit.packed;
        let mut starts = vec![0_u32; windows as usize + 1];
        let mut next_full = 0;
        let mut place = |visit: &mut dyn FnMut(u32, Item)| {
            next_full = 0;
            for ((part, length), &window) in (0_u32..).zip(run.lengths()).zip(&fit.window) {
                let mut from = 0;
                while length - from >= window_tokens {
                    visit(next_full, Item { part, from, length: window_tokens });
                    next_full += 1;
                    from += window_tokens;
                }
                if window != NONE {
                    visit(fit.full + window, Item { part, from, length: length - from });
                }
            }
        };
        place(&mut |window, _| starts[window as usize + 1] += 1);
        for window in 0..windows as usize {
            starts[window + 1] += starts[window];
        }
        let mut filled = starts.clone();
        let nothing = Item { part: 0, from: 0, length: 0 };
        let mut items = vec![nothing; starts.last().map_or(0, |&items| items as usize)];
        place(&mut |window, item| {
            let slot = &mut filled[window as usize];
            items[*slot as usize] = item;
            *slot += 1;
        });
        Ok(Self { run, starts, items })
    }

    fn items(&self, window: u32) -> &[Item] {
        let window = window as usize;
        &self.items[self.starts[window] as usize..self.starts[window + 1] as usize]
    }

    /// Appends a window's pieces; answers the tokens in it.
    pub(super) fn pieces(&self, window: u32, epoch: u32, pieces: &mut Vec<Piece>) -> u32 {
        let mut tokens = 0;
        for item in self.items(window) {
            let start = self.run.start(item.part as usize) + u64::from(item.from);
            self.run.pieces(start, u64::from(item.length), epoch, pieces);
            tokens += item.length;
        }
        tokens
    }

    /// What lies in the given windows, as a run in line order.
    pub(super) fn rest(&self, windows: &[u32]) -> Run {
        let mut items: Vec<Item> = windows.iter().flat_map(|&window| self.items(window)).copied().collect();
        items.sort_unstable_by_key(|item| (item.part, item.from));
        let mut rest = Run::default();
        for item in items {
            let start = self.run.start(item.part as usize) + u64::from(item.from);
            rest.extend(&self.run, start, start + u64::from(item.length));
        }
        rest
    }
}

/// Windows that parts of these lengths are packed into, in any order of the parts.
pub(super) fn count(lengths: impl Iterator<Item = u32>, window_tokens: u32) -> Result<u32> {
    let fit = Fit::new(lengths, window_tokens)?;
    Ok(fit.full + fit.packed)
}

/// The packing itself.
struct Fit {
    /// Full windows cut from long documents.
    full: u32,
    /// Windows of documents and tails.
    packed: u32,
    /// Which of the latter holds each part's tail (or the part, where it is short); `NONE` where nothing is left.
    window: Vec<u32>,
}

impl Fit {
    fn new(lengths: impl Iterator<Item = u32>, window_tokens: u32) -> Result<Self> {
        let too_many = || Error::Failed("a range of more than 2^32 documents or windows cannot be packed".to_owned());
        let mut full = 0_u64;
        // Longest first, then in line order: both in one number.
        let mut tails = Vec::new();
        let mut parts = 0_u64;
        for length in lengths {
            full += u64::from(length / window_tokens);
            let tail = length % window_tokens;
            if tail > 0 {
                tails.push((u64::from(window_tokens - tail) << 32) | parts);
            }
            parts += 1;
        }
        if full + parts >= u64::from(NONE) {
            return Err(too_many());
        }
        tails.sort_unstable();
        let full = u32::try_from(full).map_err(|_| too_many())?;
        let mut window = vec![NONE; usize::try_from(parts).map_err(|_| too_many())?];
        let mut room = Room::new(window_tokens);
        for tail in tails {
            #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
            let (gap, part) = ((tail >> 32) as u32, tail as u32);
            window[part as usize] = room.put(window_tokens - gap, window_tokens);
        }
        Ok(Self { full, packed: room.windows(), window })
    }
}

/// Windows by the room left in them.
struct Room {
    /// For each amount of room the window that came to it last.
    last: Vec<u32>,
    /// For each window the one that had come to the same room before it.
    before: Vec<u32>,
    /// Which amounts of room some window has: bits, then bits of non-zero words, and so on up to one word.
    levels: Vec<Vec<u64>>,
}

impl Room {
    fn new(window_tokens: u32) -> Self {
        let mut levels = Vec::new();
        let mut bits = window_tokens as usize + 1;
        loop {
            bits = bits.div_ceil(64);
            levels.push(vec![0_u64; bits]);
            if bits == 1 {
                break;
            }
        }
        Self { last: vec![NONE; window_tokens as usize + 1], before: Vec::new(), levels }
    }

    fn windows(&self) -> u32 {
        u32::try_from(self.before.len()).unwrap_or(NONE)
    }

    /// Puts an item of `length` tokens where it leaves the least room; answers the window.
    fn put(&mut self, length: u32, window_tokens: u32) -> u32 {
        let (window, room) = match self.least(length as usize) {
            Some(room) => {
                let window = self.last[room];
                self.last[room] = self.before[window as usize];
                if self.last[room] == NONE {
                    self.clear(room);
                }
                (window, room)
            }
            None => {
                self.before.push(NONE);
                (self.windows() - 1, window_tokens as usize)
            }
        };
        let left = room - length as usize;
        if left > 0 {
            self.before[window as usize] = self.last[left];
            self.last[left] = window;
            self.set(left);
        }
        window
    }

    fn set(&mut self, mut index: usize) {
        for level in &mut self.levels {
            level[index / 64] |= 1 << (index % 64);
            index /= 64;
        }
    }

    fn clear(&mut self, mut index: usize) {
        for level in &mut self.levels {
            level[index / 64] &= !(1 << (index % 64));
            if level[index / 64] != 0 {
                break;
            }
            index /= 64;
        }
    }

    /// The smallest amount of room of at least `from`.
    fn least(&self, from: usize) -> Option<usize> {
        let mut index = from;
        for (height, level) in self.levels.iter().enumerate() {
            if let Some(word) = level.get(index / 64) {
                let word = word & (!0 << (index % 64));
                if word != 0 {
                    let mut found = (index / 64) * 64 + word.trailing_zeros() as usize;
                    for below in self.levels[..height].iter().rev() {
                        found = found * 64 + below[found].trailing_zeros() as usize;
                    }
                    return Some(found);
                }
            }
            index = index / 64 + 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mix::Entry;

    fn run(lengths: &[u32]) -> Arc<Run> {
        let entry = |(key, &tokens)| Entry { key, tokens, segment: 0, start: 0 };
        Arc::new(Run::of_documents((0..).zip(lengths).map(entry).collect()))
    }

    fn windows(lengths: &[u32], window_tokens: u32) -> Vec<Vec<(u128, u32, u32)>> {
        let packed = Packed::new(run(lengths), window_tokens).unwrap();
        (0..u32::try_from(packed.starts.len()).unwrap() - 1)
            .map(|window| {
                let mut pieces = Vec::new();
                let tokens = packed.pieces(window, 0, &mut pieces);
                assert_eq!(tokens, pieces.iter().map(|piece| piece.length).sum::<u32>());
                pieces.iter().map(|piece| (piece.entry.key, piece.offset, piece.length)).collect()
            })
            .collect()
    }

    /// Best-fit-decreasing the slow way: rooms left, sorted.
    fn naive(lengths: &[u32], window_tokens: u32) -> Vec<u32> {
        let mut rooms: Vec<u32> = Vec::new();
        let mut tails: Vec<u32> =
            lengths.iter().map(|length| length % window_tokens).filter(|&tail| tail > 0).collect();
        tails.sort_unstable_by(|a, b| b.cmp(a));
        for tail in tails {
            match rooms.iter_mut().filter(|room| **room >= tail).min() {
                Some(room) => *room -= tail,
                None => rooms.push(window_tokens - tail),
            }
        }
        rooms.extend(lengths.iter().flat_map(|length| std::iter::repeat_n(0, (length / window_tokens) as usize)));
        rooms.sort_unstable();
        rooms
    }

    #[test]
    fn a_small_case() {
        // 10 = 7 + 3, 10 = 5 + 4 (+ 1 free), 2 alone would open a third: it fits nowhere but there.
        assert_eq!(
            windows(&[5, 3, 7, 4, 2, 23], 10),
            [
                vec![(5, 0, 10)],
                vec![(5, 10, 10)],
                vec![(1, 0, 3), (2, 0, 7)],
                vec![(0, 0, 5), (3, 0, 4)],
                vec![(4, 0, 2), (5, 20, 3)]
            ]
        );
        assert_eq!(windows(&[], 10), Vec::<Vec<_>>::new());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn packs_as_the_slow_way_does(
            lengths in prop::collection::vec(1_u32..300, 0..80),
            window_tokens in prop_oneof![1_u32..80, 100_u32..10_000],
        ) {
            let windows = windows(&lengths, window_tokens);
            let mut rooms: Vec<u32> =
                windows.iter().map(|items| window_tokens - items.iter().map(|item| item.2).sum::<u32>()).collect();
            rooms.sort_unstable();
            prop_assert_eq!(&rooms, &naive(&lengths, window_tokens));
            prop_assert_eq!(rooms.len(), count(lengths.iter().copied(), window_tokens).unwrap() as usize);
            let mut reversed = lengths.clone();
            reversed.reverse();
            prop_assert_eq!(rooms.len(), count(reversed.into_iter(), window_tokens).unwrap() as usize);

            // Every token once; what fits is whole; items stand in line order.
            let mut items: Vec<_> = windows.iter().flatten().copied().collect();
            for items in &windows {
                prop_assert!(items.is_sorted());
            }
            items.sort_unstable();
            for (key, &length) in (0..).zip(&lengths) {
                let parts: Vec<_> = items.iter().filter(|item| item.0 == key).collect();
                prop_assert_eq!(parts.len(), length.div_ceil(window_tokens) as usize);
                let mut at = 0;
                for part in parts {
                    prop_assert_eq!(part.1, at);
                    at += part.2;
                }
                prop_assert_eq!(at, length);
            }
        }

        #[test]
        fn room_finds_the_least(rooms in prop::collection::btree_set(1_usize..9_000, 0..40), from in 1_usize..9_000) {
            let mut index = Room::new(9_000);
            for &room in &rooms {
                index.set(room);
            }
            prop_assert_eq!(index.least(from), rooms.range(from..).next().copied());
            for &room in &rooms {
                index.clear(room);
            }
            prop_assert_eq!(index.least(0), None);
        }
    }

    /// `cargo test --release -p syllabus --lib speed_of_packing -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement, not a check"]
    fn speed_of_packing() {
        for (documents, mean) in [(130_000_u32, 500_u64), (3_000_000, 20)] {
            let lengths: Vec<u32> = (0..u64::from(documents))
                .map(|i| {
                    let hash = xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes());
                    u32::try_from(1 + hash % mean + if hash >> 60 == 0 { hash % (10 * mean) } else { 0 }).unwrap()
                })
                .collect();
            let run = run(&lengths);
            let start = std::time::Instant::now();
            let windows = count(lengths.iter().copied(), 4_097).unwrap();
            let counted = start.elapsed();
            Packed::new(Arc::clone(&run), 4_097).unwrap();
            let filled = run.tokens() as f64 / (f64::from(windows) * 4_097.0);
            println!(
                "{documents} documents, {windows} windows {:.3} % full: counted in {counted:?}, packed in {:?}",
                100.0 * filled,
                start.elapsed() - counted
            );
        }
    }
}
