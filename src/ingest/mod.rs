//! Source files to judged, tokenized documents in segments.
//!
//! Work is cut into units (a run of Parquet row groups, a compressed file). A worker opens a unit, draws batches of raw rows
//! from it, and judges and tokenizes each row while it is hot in cache; when no unopened unit is left, workers draw from each
//! other's. Only the drawing (read, decompress, cut) is under a unit's lock. Nothing that is written depends on who did
//! what: segments are sorted by key, and what lies in which segment means nothing.

pub mod condition;
pub mod contaminate;
pub mod decode;

mod judge;

pub mod template;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use num_rational::BigRational;
use rayon::prelude::*;

use crate::curriculum::Resolved;
use crate::curriculum::resolved::SourceFile;
use crate::error::{Error, Result, or_defect};
use crate::store::Store;
use crate::store::journal::Extent;
use crate::tokenize::judge::Sampling;
use crate::tokenize::{Contract, Tokenizer};
use contaminate::Benchmarks;
use decode::{Limits, Presence, ReadSpec, Room, Unit, UnitReader};
pub use judge::{Thin, Verdict, judge, key};
use worker::Worker;

/// How to ingest.
#[derive(Debug, Clone)]
pub struct Options {
    /// Workers.
    pub threads: usize,
    /// Bounds on what reading holds in memory.
    pub limits: Limits,
    /// Most bytes of tokenized documents that one worker gathers before it writes a segment.
    pub segment_bytes: usize,
    /// Bytes of text of the longest document that memory allows.
    pub document_bytes: u64,
    /// Benchmark items that no document may hold.
    pub benchmarks: Option<Arc<Benchmarks>>,
    /// Words of a shingle, where near duplicates are sought: documents are then signed.
    pub shingle: Option<u32>,
    /// `--thin`: only documents whose key falls under this share are kept.
    pub thin: Option<BigRational>,
}

/// How far it is, for whoever watches.
#[derive(Debug, Default)]
pub struct Watch {
    /// Documents tokenized.
    pub documents: AtomicU64,
    /// Bytes of text tokenized.
    pub bytes: AtomicU64,
    /// Units done.
    pub units: AtomicU64,
    /// Set from outside to stop cleanly.
    pub stop: AtomicBool,
}

impl Watch {
    /// An error once somebody has asked to stop.
    pub fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Self::stopped());
        }
        Ok(())
    }

    /// What is said of a command that was asked to stop.
    #[must_use]
    pub fn stopped() -> Error {
        Error::Failed("stopped; the same command goes on from here".to_owned())
    }
}

/// Reads, judges and tokenizes all sources into the store. Sources that the store has whole are not opened; without a
/// tokenizer all of them must be. A `judge` compares the tokenizer with the reference on the way. Returns warnings.
#[expect(clippy::too_many_arguments, reason = "what is read, with what, to where, how, and who watches")]
pub fn ingest(
    resolved: &Resolved,
    tokenizer: Option<&dyn Tokenizer>,
    contract: &Contract,
    store: &Store,
    options: &Options,
    judge: Option<Sampling>,
    watch: &Watch,
    tick: &(dyn Fn(u64) + Sync),
) -> Result<Vec<String>> {
    let room = Room::default();
    let specs: Vec<Arc<ReadSpec>> = resolved
        .curriculum
        .sources
        .iter()
        .map(|source| Arc::new(ReadSpec::of_source(source, options.limits).sharing(&room)))
        .collect();
    let many = resolved.files.iter().map(Vec::len).sum::<usize>() > MOST_FOOTERS;
    let mut slots = Vec::new();
    let mut covered = Vec::new();
    for (s, source) in resolved.curriculum.sources.iter().enumerate() {
        let mut intervals = vec![Vec::new(); resolved.files[s].len()];
        if !store.is_complete(&source.name) {
            for Extent { file, first, rows } in store.extents(&source.name) {
                if let Some(of) = intervals.get_mut(file as usize) {
                    of.push((first, first + rows));
                }
            }
            intervals.iter_mut().for_each(|of: &mut Vec<(u64, u64)>| of.sort_unstable());
            let units = |file: &SourceFile| -> Result<Vec<Unit>> {
                let units = decode::units(file, &specs[s])?;
                if many {
                    units.iter().for_each(Unit::forget_footer);
                }
                Ok(units)
            };
            // The first error in the files' order, whatever the threads.
            let found: Vec<Result<Vec<Unit>>> = resolved.files[s].par_iter().map(units).collect();
            for (f, units) in found.into_iter().enumerate() {
                let slot = |unit| Arc::new(Slot { source: s, file: f, unit, reader: Mutex::new(State::Unopened) });
                slots.extend(units?.into_iter().map(slot));
            }
        }
        covered.push(intervals);
    }
    let total = slots.len() as u64;
    let presence = specs.iter().map(|_| Mutex::default()).collect();
    let segments =
        resolved.curriculum.sources.iter().map(|source| AtomicU64::new(store.segments(&source.name))).collect();
    let shared = Shared {
        resolved,
        contract,
        store,
        options,
        watch,
        specs,
        covered,
        slots,
        next: AtomicU64::new(0),
        presence,
        segments,
        room,
        long_document: Mutex::new(()),
        judge,
    };
    let errors = Mutex::new(Vec::new());
    let workers = tokenizer.map_or(0, |_| options.threads);
    let running = AtomicU64::new(workers as u64);
    std::thread::scope(|scope| {
        for (number, tokenizer) in tokenizer.into_iter().cycle().take(workers).enumerate() {
            let watching = std::thread::current();
            let (shared, errors, running) = (&shared, &errors, &running);
            scope.spawn(move || {
                let ended = or_defect(|| {
                    if let (Some(judge), 0) = (&shared.judge, number) {
                        judge.probe(tokenizer)?;
                    }
                    Worker::new(shared, tokenizer)?.run()
                });
                if let Err(error) = ended {
                    watch.stop.store(true, Ordering::Relaxed);
                    errors.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                }
                running.fetch_sub(1, Ordering::Release);
                watching.unpark();
            });
        }
        while running.load(Ordering::Acquire) > 0 {
            tick(total);
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    tick(total);
    // Several workers may fail at once; which is said must not depend on which was first.
    let mut errors = errors.into_inner().unwrap_or_else(PoisonError::into_inner);
    errors.sort_by_key(ToString::to_string);
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    watch.check()?;
    for source in resolved.curriculum.sources.iter().filter(|s| !store.is_complete(&s.name)) {
        store.complete(&source.name)?;
    }
    check_counts(resolved, store)?;
    let warnings = shared.absent_columns();
    // A large one is hundreds of thousands of strings: nobody waits until they are freed.
    let judge = shared.judge;
    rayon::spawn(move || drop(judge));
    Ok(warnings)
}

/// What can only be judged once a source is read whole: its limit of bad rows, and that it holds documents at all.
fn check_counts(resolved: &Resolved, store: &Store) -> Result<()> {
    use crate::curriculum::checked::OnBadRow;
    for source in &resolved.curriculum.sources {
        let counts = store.counts(&source.name);
        if let OnBadRow::Count { limit: Some(limit) } = source.on_bad_row
            && counts.bad > limit
        {
            return Err(Error::Failed(format!(
                "source `{}`: {} rows could not be read, and `on_bad_row` allows {limit}; one of them: {}",
                source.name,
                counts.bad,
                counts.bad_place.unwrap_or_default()
            )));
        }
        if counts.tokenized.documents == 0 {
            let mut why = vec![format!("{} rows read", counts.read)];
            why.extend(counts.filtered.iter().map(|(rule, (n, _))| format!("{n} removed by `{rule}`")));
            why.extend((counts.bad > 0).then(|| format!("{} unreadable", counts.bad)));
            why.extend((counts.empty > 0).then(|| format!("{} empty", counts.empty)));
            why.extend((counts.contaminated.0 > 0).then(|| format!("{} contaminated", counts.contaminated.0)));
            return Err(Error::Infeasible {
                rendered: String::new(),
                summary: format!("source `{}` holds no documents: {}", source.name, why.join(", ")),
            });
        }
    }
    Ok(())
}

/// Of more files than this, what each says of itself is not kept until it is read.
const MOST_FOOTERS: usize = 64;

/// What all workers share.
struct Shared<'a> {
    resolved: &'a Resolved,
    contract: &'a Contract,
    store: &'a Store,
    options: &'a Options,
    watch: &'a Watch,
    /// How each source's rows are read.
    specs: Vec<Arc<ReadSpec>>,
    /// For each source and file, the rows that the store has already: sorted, half-open.
    covered: Vec<Vec<Vec<(u64, u64)>>>,
    slots: Vec<Arc<Slot>>,
    /// The next slot that nobody has opened.
    next: AtomicU64,
    /// For each source, which of its condition's columns any row had; nothing for a source that was not opened.
    presence: Vec<Mutex<Option<Presence>>>,
    /// Segments of each source.
    segments: Vec<AtomicU64>,
    /// Memory has room for one large piece at a time: what is read of a source, or a long document.
    room: Room,
    /// Held while a long document is tokenized: several may be in one large piece.
    long_document: Mutex<()>,
    /// What compares documents' ids with the reference's.
    judge: Option<Sampling>,
}

/// A source's first segments are of so many bytes at most: touching memory costs more than one more file, and a corpus some
/// times as large takes no more of it.
const FIRST_BYTES: usize = 8 << 20;
/// There are so many of them: a GiB of a source. Then segments grow, or large sources would come to too many files.
const FIRST_COUNT: u64 = 128;
/// After so many more the next ones are twice as large.
const SAME_SIZE: u64 = 32;

impl Shared<'_> {
    /// Bytes of the next segment of a source.
    fn segment_bytes(&self, source: usize) -> usize {
        let more = self.segments[source].load(Ordering::Relaxed).checked_sub(FIRST_COUNT);
        let doublings = more.map_or(0, |more| 1 + more / SAME_SIZE);
        let growing = u32::try_from(doublings).ok().and_then(|n| FIRST_BYTES.checked_mul(1usize.checked_shl(n)?));
        growing.map_or(self.options.segment_bytes, |growing| growing.min(self.options.segment_bytes))
    }

    /// Conditions on columns that no row has: most likely misspelt.
    fn absent_columns(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for ((source, spec), presence) in self.resolved.curriculum.sources.iter().zip(&self.specs).zip(&self.presence) {
            if let Some(presence) = &*presence.lock().unwrap_or_else(PoisonError::into_inner) {
                warnings.extend(presence.missing(spec).into_iter().map(|column| {
                    format!("source `{}`: no row has the column `{column}` that `where` asks for", source.name)
                }));
            }
        }
        warnings
    }

    fn note_presence(&self, source: usize, seen: &Presence) {
        let mut presence = self.presence[source].lock().unwrap_or_else(PoisonError::into_inner);
        presence.get_or_insert_default().merge(seen);
    }
}

/// A unit of work and its reader, which any worker may draw from.
struct Slot {
    source: usize,
    file: usize,
    unit: Unit,
    reader: Mutex<State>,
}

enum State {
    Unopened,
    Open(Box<dyn UnitReader + Send>),
    Done,
}

impl Slot {
    fn reader(&self) -> MutexGuard<'_, State> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
