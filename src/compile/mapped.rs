//! A store that is small beside what memory leaves is mapped: dedup and the mix ask for rows, near duplicates and emitting for
//! documents in a permuted order, and a call for each takes longer than what it reads.

use rayon::prelude::*;

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

/// Maps the tables of the stores' segments, where there is room.
pub(super) fn tables(stores: &[&SourceStore], free: u64) {
    small(stores, free).par_iter().for_each(|segment| segment.map());
}

/// Maps the tokens, too, where there is room; the bytes of memory that maps may take now.
pub(super) fn tokens(stores: &[&SourceStore], free: u64) -> u64 {
    let segments = small(stores, free);
    segments.par_iter().for_each(|segment| segment.map_tokens());
    segments.iter().map(|segment| segment.size()).sum()
}
