//! Fills windows in memory, in parallel, and hands them to one writer in order.

use std::ops::Range;

use rayon::prelude::*;
use syllabus_reader::format::Fragment;

use super::shard::{Filled, fill_with, largest_id};
use crate::error::Result;
use crate::mix::Piece;
use crate::store::documents::SourceStore;
use crate::tokenize::Contract;

/// About so many bytes of windows are filled by one task.
const TASK_BYTES: usize = 1 << 20;

/// How many windows of W tokens one task fills.
pub fn task_windows(window_tokens: u32, contract: &Contract) -> usize {
    (TASK_BYTES / (window_tokens as usize * contract.dtype.width()).max(1)).max(1)
}

/// Fills the windows that `find` names: for window `i` it puts the pieces into its argument and returns source and padding.
pub fn fill<F>(
    windows: Range<usize>,
    window_tokens: u32,
    contract: &Contract,
    stores: &[&SourceStore],
    find: F,
) -> Result<Filled>
where
    F: Fn(usize, &mut Vec<Piece>) -> Result<(usize, u32)>,
{
    let width = contract.dtype.width();
    let size = window_tokens as usize * width;
    let mut filled = Filled { bytes: vec![0; windows.len() * size], ..Filled::default() };
    let mut pieces = Vec::new();
    for (i, window) in windows.zip(filled.bytes.chunks_exact_mut(size)) {
        pieces.clear();
        let (source, padding) = find(i, &mut pieces)?;
        let mut start = 0u32;
        let mut rest = window;
        for piece in &pieces {
            let (tokens, after) = rest.split_at_mut((piece.length as usize * width).min(rest.len()));
            stores[source].segments[piece.entry.segment as usize]
                .tokens(piece.entry.start + u64::from(piece.offset), tokens)?;
            filled.fragments.push(Fragment {
                start,
                length: piece.length,
                document: piece.entry.key.into(),
                offset: piece.offset,
                epoch: piece.epoch,
            });
            start += piece.length;
            rest = after;
        }
        debug_assert_eq!(rest.len(), padding as usize * width);
        fill_with(rest, contract.pad_id, contract.dtype)?;
        let source = u32::try_from(source).unwrap_or(u32::MAX);
        filled.rows.push((source, padding, filled.fragments.len()));
    }
    filled.max_id = largest_id(&filled.bytes, contract.dtype);
    Ok(filled)
}

/// Runs `count` tasks on all threads and hands their results to `write` in order. While one round is written, the next is
/// filled; at most two rounds are in memory.
pub fn in_order<T: Send>(
    count: usize,
    make: impl Fn(usize) -> Result<T> + Sync,
    mut write: impl FnMut(T) -> Result<()> + Send,
) -> Result<()> {
    let round = (rayon::current_num_threads() * 2).max(2);
    let make_round =
        |first: usize| -> Vec<Result<T>> { (first..count.min(first + round)).into_par_iter().map(&make).collect() };
    let mut ready = make_round(0);
    let mut next = round;
    while !ready.is_empty() {
        let (following, written) = rayon::join(
            || make_round(next.min(count)),
            || ready.into_iter().try_for_each(|made| made.and_then(&mut write)),
        );
        written?;
        ready = following;
        next += round;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        for count in [0, 1, 7, 100] {
            let mut seen = Vec::new();
            in_order(count, Ok, |i| {
                seen.push(i);
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }
}
