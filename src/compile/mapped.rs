//! A store that is small beside what memory leaves is mapped: dedup and the mix ask for rows, near duplicates and emitting for
//! documents in a permuted order, and a call for each takes longer than what it reads.

use rayon::prelude::*;

use crate::error::Result;
use crate::ingest::Watch;
use crate::store::documents::SourceStore;
use crate::store::segment::Segment;

/// Of what memory leaves, the part up to which a store is mapped.
const SHARE: u64 = 4;

/// The segments, if they are small; else none.
fn small<'a>(stores: &[&'a SourceStore], free: u64) -> Vec<&'a Segment> {
    let segments: Vec<&Segment> = stores.iter().flat_map(|store| &store.segments).collect();
    let bytes = segments.iter().fold(0, |sum: u64, segment| sum.saturating_add(segment.size()));
    if bytes <= free / SHARE { segments } else { Vec::new() }
}

fn each(segments: &[&Segment], watch: &Watch, map: fn(&Segment)) -> Result<()> {
    segments.par_iter().try_for_each(|segment| {
        watch.check()?;
        map(segment);
        Ok(())
    })
}

/// Maps the tables of the stores' segments, where there is room.
pub(super) fn tables(stores: &[&SourceStore], free: u64, watch: &Watch) -> Result<()> {
    each(&small(stores, free), watch, Segment::map)
}

/// Maps the tokens, too, where there is room; the bytes of memory that maps may take now.
pub(super) fn tokens(stores: &[&SourceStore], free: u64, watch: &Watch) -> Result<u64> {
    let segments = small(stores, free);
    each(&segments, watch, Segment::map_tokens)?;
    Ok(segments.iter().map(|segment| segment.size()).sum())
}
