//! Exact duplicates: equal texts meet in a merge over all segments of all sources, which are sorted by key.
//!
//! No hash table and no memory that grows with the corpus; the key space is cut into parts that threads merge apart.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use std::path::Path;

use rayon::prelude::*;

use super::removed::{Duplicate, Duplicates};
use crate::curriculum::checked::Source;
use crate::error::Result;
use crate::ingest::Watch;
use crate::store::documents::SourceStore;
use crate::store::fates::Fate;
use crate::store::segment::{Cursor, Row};

/// Who wins among equal texts.
#[derive(Debug, Clone)]
pub struct Ranks {
    /// For each source, its rank: smaller wins.
    rank: Vec<usize>,
    /// For each source, the source whose copies it keeps.
    copies_of: Vec<Option<usize>>,
}

impl Ranks {
    /// By `priority` (larger first), then by order of declaration.
    #[must_use]
    pub fn new(sources: &[Source]) -> Self {
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by_key(|&s| (Reverse(sources[s].priority), s));
        let mut rank = vec![0; sources.len()];
        for (place, &source) in order.iter().enumerate() {
            rank[source] = place;
        }
        Self { rank, copies_of: sources.iter().map(|s| s.copies_of).collect() }
    }

    /// A source's rank: smaller wins.
    #[must_use]
    pub fn of(&self, source: usize) -> usize {
        self.rank[source]
    }

    /// Whether one is a declared subset of the other, so that both keep what both have.
    #[must_use]
    pub fn may_share(&self, a: usize, b: usize) -> bool {
        self.copies_of[a] == Some(b) || self.copies_of[b] == Some(a)
    }
}

/// One stored document.
#[derive(Debug, Clone, Copy)]
struct Place {
    source: usize,
    segment: usize,
    number: u64,
    row: Row,
}

/// Rows that the merge holds in memory over all segments and parts: some 40 MB.
const MERGE_ROWS: u64 = 1 << 19;

/// Marks exact duplicates in the stores' fates. The removed documents, each with the source of the copy that was kept, go to
/// files in `scratch`, in the order of their keys. Stops when `watch` is told to.
pub fn remove(
    stores: &[SourceStore],
    ranks: &Ranks,
    parts: usize,
    scratch: &Path,
    watch: &Watch,
) -> Result<Duplicates> {
    let parts = parts.max(1);
    let step = u128::MAX / parts as u128;
    let bound = |part: usize| step * part as u128;
    let paths: Vec<_> = (0..parts).map(|part| scratch.join(format!("exact-{part}"))).collect();
    paths.par_iter().enumerate().try_for_each(|(part, path)| {
        let high = (part + 1 < parts).then(|| bound(part + 1));
        let mut out = Duplicates::writer(path)?;
        merge(stores, ranks, parts, bound(part), high, watch, &mut |duplicate| out.push(&duplicate))?;
        out.finish()
    })?;
    Ok(Duplicates::new(paths))
}

/// Merges the keys in `[low, high)`.
fn merge(
    stores: &[SourceStore],
    ranks: &Ranks,
    parts: usize,
    low: u128,
    high: Option<u128>,
    watch: &Watch,
    out: &mut dyn FnMut(Duplicate) -> Result<()>,
) -> Result<()> {
    // All parts are merged at once, and each holds a chunk of rows of every segment.
    let segments = stores.iter().map(|store| store.segments.len() as u64).sum::<u64>();
    let chunk = (MERGE_ROWS / (segments * parts as u64).max(1)).clamp(16, 1024);
    let mut cursors = Vec::new();
    for (source, store) in stores.iter().enumerate() {
        for (s, segment) in store.segments.iter().enumerate() {
            let first = segment.lower_bound(low)?;
            let end = high.map_or(Ok(segment.totals().documents), |high| segment.lower_bound(high))?;
            cursors.push((source, s, Cursor::new(segment, first..end, chunk)));
        }
    }
    let mut heap = BinaryHeap::new();
    let mut heads: Vec<Option<Place>> = vec![None; cursors.len()];
    let mut advance = |c: usize, heads: &mut Vec<Option<Place>>| -> Result<Option<(u128, usize, usize)>> {
        let (source, segment, cursor) = &mut cursors[c];
        let Some((number, row)) = cursor.next_row()? else { return Ok(None) };
        heads[c] = Some(Place { source: *source, segment: *segment, number, row });
        Ok(Some((row.key, ranks.of(*source), c)))
    };
    for c in 0..heads.len() {
        heap.extend(advance(c, &mut heads)?.map(Reverse));
    }
    let mut group: Vec<Place> = Vec::new();
    while let Some(Reverse((key, _, c))) = heap.pop() {
        watch.check()?;
        if group.first().is_some_and(|first| first.row.key != key) {
            settle(stores, ranks, &mut group, out)?;
        }
        group.extend(heads[c].take());
        heap.extend(advance(c, &mut heads)?.map(Reverse));
    }
    settle(stores, ranks, &mut group, out)
}

/// Decides who of one key stays, and empties the group. Places come in order of rank.
fn settle(
    stores: &[SourceStore],
    ranks: &Ranks,
    group: &mut Vec<Place>,
    out: &mut dyn FnMut(Duplicate) -> Result<()>,
) -> Result<()> {
    let mut gone = Vec::new();
    if group.len() > 1 {
        for class in by_tokens(stores, group)? {
            let mut kept: Vec<usize> = Vec::new();
            for place in class {
                let winner = kept.iter().find(|&&k| k == place.source || !ranks.may_share(k, place.source));
                let Some(&kept_in) = winner else {
                    kept.push(place.source);
                    continue;
                };
                stores[place.source].fates[place.segment].set(place.number, Fate::Exact)?;
                gone.push(Duplicate { document: place.row.key, source: place.source, kept_in });
            }
        }
    }
    group.clear();
    gone.sort_unstable();
    gone.into_iter().try_for_each(out)
}

/// Splits documents of one key by their tokens: unequal ones are a hash collision, and all stay.
fn by_tokens(stores: &[SourceStore], group: &[Place]) -> Result<Vec<Vec<Place>>> {
    let mut classes: Vec<(Vec<u8>, Vec<Place>)> = Vec::new();
    let mut tokens = Vec::new();
    for place in group {
        stores[place.source].segments[place.segment].row_tokens(&place.row, &mut tokens)?;
        match classes.iter_mut().find(|(of, _)| *of == tokens) {
            Some((_, class)) => class.push(*place),
            None => classes.push((tokens.clone(), vec![*place])),
        }
    }
    Ok(classes.into_iter().map(|(_, class)| class).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::builder::Builder;
    use crate::store::fates::Fates;
    use crate::store::segment::Segment;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use syllabus_reader::format::TokenDtype;

    fn ranks(priorities: &[usize], copies_of: &[Option<usize>]) -> Ranks {
        Ranks { rank: priorities.to_vec(), copies_of: copies_of.to_vec() }
    }

    /// `documents[source]` are (key, token); one segment per chunk of three.
    fn stores(folder: &std::path::Path, documents: &[Vec<(u128, u32)>]) -> Vec<SourceStore> {
        let mut stores = Vec::new();
        for (s, documents) in documents.iter().enumerate() {
            let mut store = SourceStore { name: format!("s{s}"), segments: Vec::new(), fates: Vec::new() };
            for (i, chunk) in documents.chunks(3).enumerate() {
                let mut builder = Builder::new(TokenDtype::U16, 1 << 20);
                for (key, token) in chunk {
                    builder.push(*key, &[*token], 1).unwrap();
                }
                let path = folder.join(format!("{s}-{i}.seg"));
                builder.write(&path).unwrap();
                store.segments.push(Segment::open(&path, TokenDtype::U16).unwrap());
                store.fates.push(Fates::create(&path.with_extension("fate"), chunk.len() as u64).unwrap());
            }
            stores.push(store);
        }
        stores
    }

    fn survivors(stores: &[SourceStore]) -> Vec<BTreeMap<(u128, u32), u32>> {
        stores
            .iter()
            .map(|store| {
                let mut left = BTreeMap::new();
                store
                    .walk(|s, _, row, fate| {
                        let mut bytes = Vec::new();
                        store.segments[s].row_tokens(row, &mut bytes)?;
                        if fate == Fate::Survives {
                            *left.entry((row.key, u32::from(bytes[0]))).or_default() += 1;
                        }
                        Ok(())
                    })
                    .unwrap();
                left
            })
            .collect()
    }

    #[test]
    fn a_collision_keeps_both_and_a_subset_keeps_its_copies() {
        let folder = tempfile::tempdir().unwrap();
        let stores = stores(folder.path(), &[vec![(7, 1), (7, 2), (7, 1)], vec![(7, 1), (9, 3)], vec![(9, 3), (7, 1)]]);
        // Source 2 is a declared subset of source 0; source 1 is nobody's.
        let removed =
            remove(&stores, &ranks(&[0, 1, 2], &[None, None, Some(0)]), 3, folder.path(), &Watch::default()).unwrap();
        let removed: Vec<Duplicate> = removed.iter().map(Result::unwrap).collect();
        let left = survivors(&stores);
        assert_eq!(left[0], BTreeMap::from([((7, 1), 1), ((7, 2), 1)]));
        assert_eq!(left[1], BTreeMap::from([((9, 3), 1)]));
        assert_eq!(left[2], BTreeMap::from([((7, 1), 1)]));
        assert_eq!(removed.len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn the_first_source_by_rank_keeps_one_copy(
            documents in prop::collection::vec(prop::collection::vec((0u128..12, 0u32..2), 0..12), 1..4),
            reverse: bool,
            parts in 1usize..5,
        ) {
            let documents: Vec<Vec<(u128, u32)>> =
                documents.into_iter().map(|d| d.into_iter().map(|(k, t)| (k << 124 | k, t)).collect()).collect();
            let n = documents.len();
            let rank: Vec<usize> = if reverse { (0..n).rev().collect() } else { (0..n).collect() };
            let folder = tempfile::tempdir().unwrap();
            let stores = stores(folder.path(), &documents);
            let removed = remove(&stores, &ranks(&rank, &vec![None; n]), parts, folder.path(), &Watch::default()).unwrap();
            let removed: Vec<Duplicate> = removed.iter().map(Result::unwrap).collect();
            let mut expected = vec![BTreeMap::new(); n];
            let mut all: Vec<(u128, u32)> = documents.iter().flatten().copied().collect();
            let total = all.len();
            all.sort_unstable();
            all.dedup();
            for document in &all {
                let winner = (0..n).filter(|s| documents[*s].contains(document)).min_by_key(|s| rank[*s]).unwrap();
                expected[winner].insert(*document, 1);
            }
            prop_assert_eq!(survivors(&stores), expected);
            prop_assert_eq!(removed.len(), total - all.len());
            prop_assert!(removed.is_sorted());
        }
    }
}
