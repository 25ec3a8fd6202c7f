//! Compaction: a source of many segments is merged into few, dropping what was removed, so that reading a range touches few
//! files.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use syllabus_reader::format::TokenDtype;

use super::builder::Builder;
use super::documents::SourceStore;
use super::fates::{Fate, Fates};
use super::segment::{Cursor, Row, Segment};
use crate::error::Result;
use crate::files;

/// A source of more segments than this is compacted.
pub const MOST_SEGMENTS: usize = 256;

/// Rows that the merge holds in memory over all segments: some 20 MB.
const MERGE_ROWS: u64 = 1 << 18;

/// The survivors of `store` in segments of about `limit` bytes, written to `folder` (emptied first); each holds a stretch
/// of the key space.
pub fn compact(store: &SourceStore, folder: &Path, dtype: TokenDtype, limit: usize) -> Result<SourceStore> {
    if folder.try_exists()? {
        files::remove_folder(folder)?;
    }
    files::make_folder(folder)?;
    let mut compacted = SourceStore { name: store.name.clone(), segments: Vec::new(), fates: Vec::new() };
    let mut builder = Builder::new(dtype, limit);
    let mut write = |builder: &mut Builder| -> Result<()> {
        let path = folder.join(format!("{:08}.seg", compacted.segments.len()));
        builder.write(&path)?;
        let segment = Segment::open(&path, dtype)?;
        compacted.fates.push(Fates::create(&path.with_extension("fate"), segment.totals().documents)?);
        compacted.segments.push(segment);
        Ok(())
    };
    let mut tokens = Vec::new();
    merge(store, &mut |segment, row| {
        if builder.is_full(row.tokens as usize) {
            write(&mut builder)?;
        }
        store.segments[segment].row_tokens(&row, &mut tokens)?;
        builder.push_stored(&row, &tokens);
        Ok(())
    })?;
    if !builder.is_empty() {
        write(&mut builder)?;
    }
    Ok(compacted)
}

/// Calls `f` with segment and row of every survivor in the order of their keys.
fn merge(store: &SourceStore, f: &mut dyn FnMut(usize, Row) -> Result<()>) -> Result<()> {
    let chunk = (MERGE_ROWS / store.segments.len().max(1) as u64).clamp(16, 1024);
    let mut cursors: Vec<Cursor<'_>> = store.segments.iter().map(|s| Cursor::new(s, 0..u64::MAX, chunk)).collect();
    let mut fate = Vec::new();
    let mut next_survivor = |s: usize| -> Result<Option<Row>> {
        while let Some((number, row)) = cursors[s].next_row()? {
            store.fates[s].read(number..number + 1, &mut fate)?;
            if fate == [Fate::Survives] {
                return Ok(Some(row));
            }
        }
        Ok(None)
    };
    let mut heap = BinaryHeap::new();
    let mut heads: Vec<Option<Row>> = Vec::new();
    for s in 0..store.segments.len() {
        let row = next_survivor(s)?;
        heap.extend(row.map(|row| Reverse((row.key, s))));
        heads.push(row);
    }
    while let Some(Reverse((_, s))) = heap.pop() {
        if let Some(row) = heads[s].take() {
            f(s, row)?;
        }
        heads[s] = next_survivor(s)?;
        heap.extend(heads[s].map(|row| Reverse((row.key, s))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survivors_stay_as_they_were_in_fewer_segments() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SourceStore { name: "web".into(), segments: Vec::new(), fates: Vec::new() };
        for s in 0..20u32 {
            let mut builder = Builder::new(TokenDtype::U16, 1 << 20);
            for i in 0..30 {
                builder.push(u128::from((i * 20 + s) * 7919 % 601) << 100, &vec![i; 1 + i as usize % 4], 3).unwrap();
            }
            let path = folder.path().join(format!("{s}.seg"));
            builder.write(&path).unwrap();
            store.segments.push(Segment::open(&path, TokenDtype::U16).unwrap());
            store.fates.push(Fates::create(&path.with_extension("fate"), 30).unwrap());
            store.fates[s as usize].set(u64::from(s), Fate::HeldOut).unwrap();
        }
        let compacted = compact(&store, &folder.path().join("compact"), TokenDtype::U16, 4000).unwrap();
        assert!((2..15).contains(&compacted.segments.len()), "{}", compacted.segments.len());
        let read = |store: &SourceStore| {
            let mut all = Vec::new();
            for entry in store.entries(0, u128::MAX, Fate::Survives).unwrap() {
                let mut tokens = vec![0; entry.tokens as usize * 2];
                store.segments[entry.segment as usize].tokens(entry.start, &mut tokens).unwrap();
                all.push((entry.key, tokens));
            }
            all
        };
        assert_eq!(read(&compacted), read(&store));
        assert_eq!(read(&compacted).len(), 580);
    }
}
