//! Verification: the true Jaccard index of two documents' sets of shingles, and a bounded cache of those sets.

use std::cmp::Ordering;
#[expect(clippy::disallowed_types, reason = "looked up by document alone; nothing walks it")]
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::NearDocuments;
use super::member::Member;
use super::threshold::Threshold;
use crate::dedup::words::{Runs, Signs};
use crate::error::Result;

/// Shingles in both and in either of two sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// In both.
    pub intersection: u64,
    /// In either.
    pub union: u64,
}

/// The overlap of two sorted sets if it reaches the threshold.
#[must_use]
pub fn overlap(a: &[u64], b: &[u64], threshold: Threshold) -> Option<Overlap> {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let (mut a, mut b) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let total = count(a.len()) + count(b.len());
    // No more than all of the smaller one can be in both.
    if !threshold.reached(count(a.len()), count(b.len())) {
        return None;
    }
    let mut common = 0_u64;
    let mut steps = 0_u32;
    while let (Some((x, more_a)), Some((y, more_b))) = (a.split_first(), b.split_first()) {
        match x.cmp(y) {
            Ordering::Less => a = more_a,
            Ordering::Greater => b = more_b,
            Ordering::Equal => {
                common += 1;
                (a, b) = (more_a, more_b);
            }
        }
        steps = steps.wrapping_add(1);
        // Now and then: what may still come does not suffice.
        if steps.is_multiple_of(64) {
            let most = common + count(a.len().min(b.len()));
            if !threshold.reached(most, total - most) {
                return None;
            }
        }
    }
    let union = total - common;
    threshold.reached(common, union).then_some(Overlap { intersection: common, union })
}

/// Parts of the cache, each behind a lock of its own.
const SHARDS: usize = 32;

/// Bytes a cached set costs beside its shingles.
const ENTRY: u64 = 96;

/// Sets of shingles by document, the recently used ones in memory.
pub(super) struct Sets<'a> {
    documents: &'a dyn NearDocuments,
    shingle: usize,
    shards: Vec<Mutex<Shard>>,
    /// Bytes that one shard may hold.
    limit: u64,
    /// Bytes of text from which one document is read at a time.
    long: u64,
    /// Held while such a document is read.
    alone: Mutex<()>,
}

/// Bytes that reading a document takes at most for each byte of its text: tokens, ids, text and shingles.
const READING: u64 = 8;

#[derive(Default)]
#[expect(clippy::disallowed_types, reason = "looked up by document alone; nothing walks it")]
struct Shard {
    sets: HashMap<u64, Entry>,
    /// Documents in the order of the clock's hand.
    hand: VecDeque<u64>,
    bytes: u64,
}

struct Entry {
    set: Arc<[u64]>,
    used: bool,
}

/// One thread's buffers.
pub(super) struct Reader {
    words: Runs,
    text: String,
    shingles: Vec<u64>,
}

/// Buffers above this are given back after a long document.
const LARGE: usize = 1 << 20;

impl<'a> Sets<'a> {
    /// Keeps up to `cache` bytes of sets; `threads` threads that read documents use up to `reading` bytes, a long one aside.
    pub(super) fn new(
        documents: &'a dyn NearDocuments,
        shingle: u32,
        cache: u64,
        reading: u64,
        threads: usize,
    ) -> Self {
        let threads = u64::try_from(threads.max(1)).unwrap_or(u64::MAX);
        Self {
            documents,
            shingle: usize::try_from(shingle).unwrap_or(usize::MAX),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            limit: cache / u64::try_from(SHARDS).unwrap_or(1),
            long: reading / READING / threads,
            alone: Mutex::default(),
        }
    }

    pub(super) fn documents(&self) -> &'a dyn NearDocuments {
        self.documents
    }

    pub(super) fn reader(&self) -> Reader {
        Reader { words: Runs::new(Signs::Kept, self.shingle, 0), text: String::new(), shingles: Vec::new() }
    }

    /// A document's shingles, sorted, each once.
    pub(super) fn get(&self, member: Member, reader: &mut Reader) -> Result<Arc<[u64]>> {
        let document = member.document;
        let part = usize::try_from(document % u64::try_from(SHARDS).unwrap_or(1)).unwrap_or(0);
        let Some(shard) = self.shards.get(part) else { return self.load(document, reader) };
        // A panic elsewhere leaves at worst a set that is not counted.
        if let Some(entry) = shard.lock().unwrap_or_else(PoisonError::into_inner).sets.get_mut(&document) {
            entry.used = true;
            return Ok(Arc::clone(&entry.set));
        }
        let alone = (member.bytes > self.long).then(|| self.alone.lock().unwrap_or_else(PoisonError::into_inner));
        let set = self.load(document, reader)?;
        drop(alone);
        shard.lock().unwrap_or_else(PoisonError::into_inner).insert(document, &set, self.limit);
        Ok(set)
    }

    fn load(&self, document: u64, reader: &mut Reader) -> Result<Arc<[u64]>> {
        let Reader { words, text, shingles } = reader;
        text.clear();
        shingles.clear();
        self.documents.text(document, text)?;
        words.shingles(text, |hashes| shingles.extend_from_slice(hashes));
        shingles.sort_unstable();
        shingles.dedup();
        let set = Arc::from(shingles.as_slice());
        text.shrink_to(LARGE);
        shingles.shrink_to(LARGE);
        Ok(set)
    }
}

impl Shard {
    fn insert(&mut self, document: u64, set: &Arc<[u64]>, limit: u64) {
        let bytes = cost(set);
        if bytes > limit || self.sets.contains_key(&document) {
            return;
        }
        while self.bytes + bytes > limit {
            let Some(oldest) = self.hand.pop_front() else { break };
            match self.sets.get_mut(&oldest) {
                Some(entry) if entry.used => {
                    entry.used = false;
                    self.hand.push_back(oldest);
                }
                Some(entry) => {
                    self.bytes -= cost(&entry.set);
                    self.sets.remove(&oldest);
                }
                None => {}
            }
        }
        self.sets.insert(document, Entry { set: Arc::clone(set), used: false });
        self.hand.push_back(document);
        self.bytes += bytes;
    }
}

fn cost(set: &[u64]) -> u64 {
    ENTRY + u64::try_from(set.len()).unwrap_or(u64::MAX / 16) * 8
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn overlap_is_the_jaccard_index(
            a in prop::collection::btree_set(0_u64..300, 0..200), b in prop::collection::btree_set(0_u64..300, 0..200),
            numerator in 1_u64..20,
        ) {
            let threshold = Threshold::new(numerator, 20).unwrap();
            let both = a.intersection(&b).count() as u64;
            let either = a.union(&b).count() as u64;
            let expected = threshold.reached(both, either).then_some(Overlap { intersection: both, union: either });
            let sorted = |set: &BTreeSet<u64>| set.iter().copied().collect::<Vec<_>>();
            prop_assert_eq!(overlap(&sorted(&a), &sorted(&b), threshold), expected);
        }
    }

    #[test]
    fn near_the_border_of_large_sets() {
        let threshold = Threshold::new(8, 10).unwrap();
        let a: Vec<u64> = (0..900).collect();
        let b: Vec<u64> = (100..1000).collect();
        assert_eq!(overlap(&a, &b, threshold), Some(Overlap { intersection: 800, union: 1000 }));
        let c: Vec<u64> = (101..1001).collect();
        assert_eq!(overlap(&a, &c, threshold), None);
    }

    #[test]
    fn cache_stays_within_its_limit() {
        let mut shard = Shard::default();
        let limit = 10 * (ENTRY + 80);
        for document in 0..100 {
            shard.insert(document, &Arc::from([document; 10].as_slice()), limit);
            assert!(shard.bytes <= limit && shard.hand.len() == shard.sets.len());
            if let Some(entry) = shard.sets.get_mut(&0) {
                entry.used = true;
            }
        }
        assert_eq!(shard.sets.len(), 10);
        assert!(shard.sets.contains_key(&0), "what is used again and again stays");
        shard.insert(1000, &Arc::from(vec![0; 10_000].as_slice()), limit);
        assert!(!shard.sets.contains_key(&1000));
    }
}
