//! Merging long segments: by sweeps while they make the segment much shorter, as where a character is repeated, then by a queue.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::merge::{NONE, Pairs};

/// A sweep is worth its way over the segment where one in so many pairs is joined.
const SWEPT: usize = 8;

/// Symbols that there is room for from one segment to the next. What longer ones take is given back, or in time every worker would
/// hold as much as the longest segment of all.
const KEPT: usize = 1 << 16;

/// Buffers for long segments.
#[derive(Debug, Default)]
pub struct Long {
    queue: Queue,
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl Long {
    /// Appends the ids of the symbols, of which it leaves nothing.
    pub fn merge(&mut self, pairs: &Pairs, symbols: &mut Vec<u32>, ids: &mut Vec<u32>) {
        let room = symbols.capacity().max(self.next.capacity());
        if sweeps(pairs, symbols) {
            self.queue(pairs, symbols, ids);
        } else {
            ids.extend_from_slice(symbols);
        }
        symbols.clear();
        if room.max(self.next.capacity()) > KEPT {
            symbols.shrink_to(KEPT);
            *self = Self::default();
        }
    }

    /// The merging in time near linear: places wait in one list a rank, ranks in a heap.
    ///
    /// A join makes a symbol longer than both it was made of, so a pair with the new symbol is not the pair just joined: the
    /// list being worked through never grows. It is left, and put back, when a pair of lesser rank has arisen.
    fn queue(&mut self, table: &Pairs, symbols: &mut [u32], ids: &mut Vec<u32>) {
        const END: u32 = u32::MAX;
        let Self { queue, next, previous } = self;
        let length = u32::try_from(symbols.len()).unwrap_or(END);
        next.clear();
        next.extend((1..=length).map(|i| if i == length { END } else { i }));
        previous.clear();
        previous.extend((0..length).map(|i| i.checked_sub(1).unwrap_or(END)));
        for (at, pair) in (0_u32..).zip(symbols.windows(2)) {
            queue.push(table.rank(pair[0], pair[1]), at);
        }
        while let Some((rank, mut places)) = queue.pop() {
            let ((left, right), id) = (table.operands(rank), table.result(rank));
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
                    queue.push(table.rank(id, symbols[beyond as usize]), at);
                }
                let before = previous[at as usize];
                if before != END {
                    queue.push(table.rank(symbols[before as usize], id), before);
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

/// Joins all pairs of the least rank, and again, as long as they are many. Gives whether pairs may be left that have a merge.
fn sweeps(pairs: &Pairs, symbols: &mut Vec<u32>) -> bool {
    loop {
        let (mut least, mut count) = (NONE, 0);
        for two in symbols.windows(2) {
            let rank = pairs.rank(two[0], two[1]);
            if rank < least {
                (least, count) = (rank, 0);
            }
            count += usize::from(rank == least);
        }
        if least == NONE {
            return false;
        }
        if count < symbols.len() / SWEPT || !sweep(pairs, least, symbols) {
            return true;
        }
    }
}

/// Joins the pairs of a rank, of which there are none less, from the left, until a pair of lesser rank arises: that one would be
/// next. Gives whether none did.
fn sweep(pairs: &Pairs, rank: u32, symbols: &mut Vec<u32>) -> bool {
    let ((left, right), id) = (pairs.operands(rank), pairs.result(rank));
    let (mut read, mut kept, mut least) = (0, 0, NONE);
    while read < symbols.len() && least >= rank {
        if symbols[read] == left && symbols.get(read + 1) == Some(&right) {
            symbols[kept] = id;
            let before = kept.checked_sub(1).map_or(NONE, |before| pairs.rank(symbols[before], id));
            let after = symbols.get(read + 2).map_or(NONE, |&after| pairs.rank(id, after));
            least = before.min(after);
            read += 2;
        } else {
            symbols[kept] = symbols[read];
            read += 1;
        }
        kept += 1;
    }
    let rest = symbols.len() - read;
    symbols.copy_within(read.., kept);
    symbols.truncate(kept + rest);
    least >= rank
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::merge::Merger;
    use super::*;

    /// By the definition: of all neighbours that have a merge the least rank, of several the leftmost, until none has one.
    fn defined(pairs: &Pairs, symbols: &[u32]) -> Vec<u32> {
        let mut symbols = symbols.to_vec();
        loop {
            let ranks = symbols.windows(2).map(|two| pairs.rank(two[0], two[1]));
            let Some((rank, at)) = ranks.zip(0..).min().filter(|least| least.0 != NONE) else { return symbols };
            symbols.splice(at..at + 2, [pairs.result(rank)]);
        }
    }

    /// Merges of symbols that are runs of the letters 0 to 3, in any order of ranks.
    fn merges() -> impl Strategy<Value = Vec<(u32, u32, u32)>> {
        prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..40).prop_flat_map(
            |picks| {
                let mut runs: Vec<Vec<u8>> = (0..4).map(|letter| vec![letter]).collect();
                let number = |runs: &[Vec<u8>], run: &[u8]| runs.iter().position(|have| have == run);
                let mut merges = Vec::new();
                for (left, right) in picks {
                    let (left, right) = (left.index(runs.len()), right.index(runs.len()));
                    let run = [runs[left].as_slice(), &runs[right]].concat();
                    if run.len() > 32 || merges.iter().any(|&(l, r, _)| (l, r) == (left, right)) {
                        continue;
                    }
                    let result = number(&runs, &run).unwrap_or_else(|| {
                        runs.push(run);
                        runs.len() - 1
                    });
                    merges.push((left, right, result));
                }
                let small = |number| u32::try_from(number).unwrap();
                let merges: Vec<_> = merges.into_iter().map(|(l, r, id)| (small(l), small(r), small(id))).collect();
                // As they were made half the time: so are those of a tokenizer that was trained.
                prop_oneof![Just(merges.clone()), Just(merges).prop_shuffle()]
            },
        )
    }

    /// Runs of a letter, a few letters over and over, and letters at random.
    fn letters() -> impl Strategy<Value = Vec<u32>> {
        let part = prop_oneof![
            (prop::collection::vec(0_u32..4, 1..4), 1_usize..60).prop_map(|(few, times)| few.repeat(times)),
            prop::collection::vec(0_u32..4, 1..40),
        ];
        prop::collection::vec(part, 1..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn merged_as_defined(merges in merges(), texts in prop::collection::vec(letters(), 1..4)) {
            let pairs = Pairs::new(&merges).unwrap();
            let (mut long, mut merger) = (Long::default(), Merger::default());
            for text in texts {
                let expected = defined(&pairs, &text);
                let (mut swept, mut ids) = (text.clone(), Vec::new());
                // The queue alone, sweeps before it, and whatever the length asks for.
                long.queue(&pairs, &mut text.clone(), &mut ids);
                prop_assert_eq!(&ids, &expected);
                let left = sweeps(&pairs, &mut swept);
                prop_assert!(left || swept == expected);
                ids.clear();
                long.merge(&pairs, &mut text.clone(), &mut ids);
                prop_assert_eq!(&ids, &expected);
                ids.clear();
                merger.symbols.clone_from(&text);
                merger.merge(&pairs, &mut ids);
                prop_assert_eq!(&ids, &expected);
            }
        }
    }

    #[test]
    fn a_repeated_letter_is_swept_and_leaves_no_memory() {
        // Two, four, eight letters.
        let pairs = Pairs::new(&[(0, 0, 1), (1, 1, 2), (2, 2, 3)]).unwrap();
        let (mut long, mut symbols, mut ids) = (Long::default(), vec![0; 1_000_003], Vec::new());
        let mut swept = symbols.clone();
        assert!(!sweeps(&pairs, &mut swept), "the queue has nothing to do");
        long.merge(&pairs, &mut symbols, &mut ids);
        assert_eq!((ids.len(), ids[0], &ids[ids.len() - 2..]), (125_002, 3, [1, 0].as_slice()));
        assert_eq!(ids, swept);
        assert!(symbols.capacity() <= KEPT && long.next.capacity() == 0);
        // One that is as good as random goes through the queue, whose buffers are given back too.
        let mut dice = 1_u32;
        symbols.extend(
            std::iter::repeat_with(|| {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                dice >> 31
            })
            .take(KEPT + 1),
        );
        let pairs = Pairs::new(&[(0, 1, 2), (2, 2, 3), (1, 0, 4)]).unwrap();
        let expected = {
            let mut ids = Vec::new();
            Long::default().queue(&pairs, &mut symbols.clone(), &mut ids);
            ids
        };
        ids.clear();
        long.merge(&pairs, &mut symbols, &mut ids);
        assert_eq!(ids, expected);
        assert!(symbols.capacity() <= KEPT && long.next.capacity() == 0);
    }
}
