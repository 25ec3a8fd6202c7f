//! Documents put together from their fragments: how long they are, how often and in which phases they are read.
//!
//! Fragments are gathered and sorted by key. Keys are hashes, so a run of them is a fair part of the documents: what takes more than
//! a little memory is taken in several passes, and of a very large dataset only the documents whose key falls under a share
//! are looked at, so that the work stays bounded. The share follows from the number of fragments alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use syllabus_reader::format::manifest::Manifest;

use super::buckets::Counted;
use super::windows::open;
use crate::error::Result;

/// Fragments looked at, at most (about).
pub(super) const MOST_FRAGMENTS: u64 = 1 << 24;
/// Bytes of a table of fragments that is not taken in parts.
const SMALL: u64 = 8 << 20;
/// Parts that a larger one is taken in, at most, where memory does not ask for more. Each is a pass over all window tables: of more
/// fragments than this (2 GiB of tables) there are two.
const FEW_PASSES: u64 = 8;
const FEW_FRAGMENTS: u64 = 1 << 26;

/// What the fragments say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// Part of the documents that was looked at.
    pub(super) sample: f64,
    /// Tokens of a document as far as it was read, by source.
    pub(super) lengths: Vec<Counted>,
    /// Documents by the number of epochs that read them, by source.
    pub(super) times: Vec<Counted>,
    /// Documents with a fragment in the phase, by phase and source.
    pub(super) in_phase: Vec<Vec<u64>>,
}

impl Found {
    /// A document of a source, of so many tokens, read in so many epochs, and in these phases.
    fn count(&mut self, source: usize, (length, epochs): (u32, u64), phases: impl IntoIterator<Item = usize>) {
        if let (Some(lengths), Some(times)) = (self.lengths.get_mut(source), self.times.get_mut(source)) {
            *lengths.entry(length.into()).or_default() += 1;
            *times.entry(epochs).or_default() += 1;
        }
        for phase in phases {
            if let Some(count) = self.in_phase.get_mut(phase).and_then(|phase| phase.get_mut(source)) {
                *count += 1;
            }
        }
    }
}

/// A fragment: the halves of its document's key, where it ends in the document, and which [`Read`] it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    high: u64,
    low: u64,
    end: u32,
    read: u32,
}

/// Where a document was read: source, epoch, phase.
type Read = (u32, u32, usize);

/// All reads that occur, by number.
#[derive(Default)]
struct Reads {
    numbers: BTreeMap<Read, u32>,
    list: Vec<Read>,
}

impl Reads {
    fn number(&mut self, read: Read) -> u32 {
        let next = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(read).or_insert_with(|| {
            self.list.push(read);
            next
        })
    }
}

/// What is asked.
pub(super) struct Job<'a> {
    pub(super) dir: &'a Path,
    pub(super) manifest: &'a Manifest,
    pub(super) names: &'a [String],
    /// Fragments of all windows.
    pub(super) fragments: u64,
    /// See [`MOST_FRAGMENTS`].
    pub(super) most: u64,
    /// Bytes for the table of fragments.
    pub(super) memory: u64,
}

impl Job<'_> {
    /// Puts the documents together.
    pub(super) fn run(&self) -> Result<Found> {
        let shift = (0..63).find(|shift| self.fragments >> shift <= self.most).unwrap_or(63);
        let least = u64::MAX >> shift;
        let part = size_of::<Part>() as u64;
        let table = (self.fragments >> shift) * part;
        // A table beyond a few MiB comes in parts, so that it is not the report that a compile's memory is needed for.
        let few = if self.fragments <= FEW_FRAGMENTS { FEW_PASSES } else { 2 };
        let passes = table.div_ceil(self.memory.max(1 << 20)).max(table.div_ceil(SMALL).min(few)).max(1);
        let sources = self.names.len();
        let mut found = Found {
            sample: 1.0 / (1_u64 << shift) as f64,
            lengths: vec![Counted::new(); sources],
            times: vec![Counted::new(); sources],
            in_phase: vec![vec![0; sources]; self.manifest.phases.len()],
        };
        for pass in 0..passes {
            // The pass's run of keys, by their upper halves.
            let border = |pass: u64| u64::try_from((u128::from(pass) << 64) / u128::from(passes)).unwrap_or(u64::MAX);
            let (from, to) = (border(pass), if pass + 1 == passes { u64::MAX } else { border(pass + 1) - 1 });
            // Keys are hashes, so what is wanted comes to about its share; a table that grows would be held twice on the way.
            let share = (self.fragments >> shift) / passes;
            let room = usize::try_from(share + share / 16 + 1024).unwrap_or(0);
            let (mut parts, reads) = self.gather(room, |high, low| low <= least && (from..=to).contains(&high))?;
            parts.par_sort_unstable();
            for document in parts.chunk_by(|a, b| (a.high, a.low) == (b.high, b.low)) {
                one(document, &reads, &mut found);
            }
        }
        Ok(found)
    }

    fn gather(&self, room: usize, wanted: impl Fn(u64, u64) -> bool + Sync) -> Result<(Vec<Part>, Vec<Read>)> {
        let shards: Vec<(usize, &str)> = (self.manifest.phases.iter().enumerate())
            .flat_map(|(phase, of)| of.shards.iter().map(move |shard| (phase, shard.file.as_str())))
            .collect();
        let all = Mutex::new(Vec::with_capacity(room));
        let reads = Mutex::new(Reads::default());
        shards.par_iter().try_for_each(|&(phase, file)| -> Result<()> {
            let (mut rows, sources) = open(self.dir, file, self.names)?;
            let mut parts = Vec::new();
            // The read that each source was last seen in: it changes only when an epoch ends.
            let mut last: Vec<Option<(u32, u32)>> = vec![None; self.names.len()];
            for row in 0..rows.rows() {
                let row = rows.row(row)?;
                let Some(&source) = sources.get(row.source as usize) else { continue };
                let Some(last) = last.get_mut(source as usize) else { continue };
                for fragment in row.fragments {
                    let key = u128::from(fragment.document);
                    let (high, low) = halves(key);
                    if !wanted(high, low) {
                        continue;
                    }
                    let read = match *last {
                        Some((epoch, read)) if epoch == fragment.epoch => read,
                        _ => {
                            let read = (source, fragment.epoch, phase);
                            reads.lock().unwrap_or_else(PoisonError::into_inner).number(read)
                        }
                    };
                    *last = Some((fragment.epoch, read));
                    parts.push(Part { high, low, end: fragment.offset.saturating_add(fragment.length), read });
                }
                if parts.len() >= 1 << 16 {
                    all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut parts);
                }
            }
            all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut parts);
            Ok(())
        })?;
        let reads = reads.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((all.into_inner().unwrap_or_else(PoisonError::into_inner), reads.list))
    }
}

/// A key's upper and lower half.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn halves(key: u128) -> (u64, u64) {
    ((key >> 64) as u64, key as u64)
}

/// One document: all its fragments, in any order.
fn one(parts: &[Part], reads: &[Read], found: &mut Found) {
    let Some(first) = parts.first() else { return };
    // Nearly every document is read once, in one phase: there is nothing to sort.
    if parts.iter().all(|part| part.read == first.read) {
        let Some(&(source, _, phase)) = reads.get(first.read as usize) else { return };
        let length = parts.iter().map(|part| part.end).max().unwrap_or(0);
        return found.count(source as usize, (length, 1), [phase]);
    }
    let mut all: Vec<(Read, u32)> =
        parts.iter().filter_map(|part| Some((*reads.get(part.read as usize)?, part.end))).collect();
    all.sort_unstable();
    for of_source in all.chunk_by(|a, b| a.0.0 == b.0.0) {
        let Some(&((source, ..), _)) = of_source.first() else { continue };
        let source = source as usize;
        let length = of_source.iter().map(|(_, end)| *end).max().unwrap_or(0);
        let epochs = of_source.chunk_by(|a, b| a.0.1 == b.0.1).count() as u64;
        let mut phases: Vec<usize> = of_source.iter().map(|((.., phase), _)| *phase).collect();
        phases.sort_unstable();
        phases.dedup();
        found.count(source, (length, epochs), phases);
    }
}
