//! The trainer's loader: micro-batches of one rank, filled ahead by threads into memory that is used again.
//!
//! All ranks read one global order. A *step* is a global batch of consecutive windows; rank r of n trains on every n-th of them
//! from the r-th on, in pieces of `micro` rows. Everything is a pure function of (dataset, options, next window): a run goes on
//! at once from anywhere, with other ranks and other batch sizes.
//!
//! ```no_run
//! use std::sync::Arc;
//! use syllabus_reader::loader::{Array, Loader, LoaderOptions};
//! use syllabus_reader::{BatchSize, Dataset};
//!
//! # fn main() -> syllabus_reader::Result<()> {
//! let dataset = Arc::new(Dataset::open("out")?);
//! // Rank 3 of 8, in pieces of 4 windows; 1,024 windows a step, and 3,072 from 2.8T trained positions on.
//! let size = BatchSize::ByToken(vec![(0, 1024), (2_800_000_000_000, 3072)]);
//! let options = LoaderOptions { size, rank: 3, world: 8, micro: Some(4), ..LoaderOptions::new(1) };
//! let mut loader = Loader::new(dataset, options)?;
//! while let Some(batch) = loader.next_batch()? {
//!     let (ids, labels) = (batch.i64(Array::InputIds), batch.i64(Array::Labels));
//!     // … forward and backward; the loss's sum is divided by what all ranks train on in this step …
//!     let (scale, step) = (batch.num_targets_global(), batch.step()?);
//!     println!("step {} is {} into {}", step.step, step.progress, step.phase);
//!     # let _ = (ids, labels, scale);
//! }
//! // A checkpoint keeps this; any other loader over the same phases goes on from it.
//! let state = loader.state()?;
//! # let _ = state;
//! # Ok(())
//! # }
//! ```
//!
//! What it holds in memory: the blocks filled ahead, bounded by [`LoaderOptions::prefetch_bytes`] (one piece at least), and
//! those that the trainer holds. Skipped windows move nothing else: the rest keeps its numbers, its order and its phase, and
//! batch sizes are looked up by a window's place in the curriculum, not by how many were read.

mod options;
mod ring;
mod schedule;
mod skip;
mod slot;
mod state;
mod work;

use std::sync::Arc;
use std::thread::JoinHandle;

pub use options::{Borders, Context, Cut, IdType, LoaderOptions, Outputs};
use ring::{Lent, Next, Ring};
pub use schedule::{PhaseEnd, Schedule, Step};
pub use skip::Skips;
use slot::Slot;
pub use slot::{Allocate, Array, Memory, heap};
pub use state::{LoaderState, Reads};
use work::{Reading, Task, Work, Written};

use crate::dataset::Dataset;
use crate::error::Result;

/// Most pieces that are filled ahead, however small they are.
const MOST_AHEAD: usize = 16;

/// Hands out one rank's micro-batches in order.
///
/// Of one dataset there may be any number of loaders. A loader may be sent to another thread. A process that forks may go on
/// with it in parent and child: the child starts threads of its own.
pub struct Loader {
    work: Arc<Work>,
    skips: Skips,
    allocate: Box<Allocate>,
    rest: u64,
    ring: Option<(Arc<Ring>, Vec<JoinHandle<()>>)>,
    /// What filling without threads goes on from.
    reading: Reading,
    /// The next piece to hand out: (step, micro).
    next: (u64, u64),
    /// The next window: after the last step of which all pieces were handed out.
    window: u64,
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader").field("options", &self.work.options).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Loader {
    /// A loader over `dataset`, with ordinary memory.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a rank, size, set, start, span or part of a sequence that does not exist.
    pub fn new(dataset: Arc<Dataset>, options: LoaderOptions) -> Result<Self> {
        Self::with_memory(dataset, options, Box::new(heap), 0)
    }

    /// A loader whose arrays lie in blocks that `allocate` makes. It is called on the thread that asks for batches, never on
    /// one of the loader's own. A block that came back rests until `rest` more pieces were handed out, for whoever copies from
    /// it asynchronously.
    ///
    /// # Errors
    /// As [`Loader::new`].
    pub fn with_memory(
        dataset: Arc<Dataset>,
        options: LoaderOptions,
        allocate: Box<Allocate>,
        rest: u64,
    ) -> Result<Self> {
        options.check()?;
        let skips = Skips::new(&options.skip)?;
        let sets = options.reads.sets(&dataset)?;
        let mut schedule = Schedule::new(sets, &options.size, &skips, options.phase_end)?;
        let step = schedule.resume(options.start)?;
        let window = options.start.max(sets.first().map_or(0, crate::WindowSet::first_window));
        let work = Arc::new(Work { dataset, options, schedule });
        work.check()?;
        Ok(Self { work, skips, allocate, rest, ring: None, reading: Reading::default(), next: (step, 0), window })
    }

    /// The dataset.
    #[must_use]
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.work.dataset
    }

    /// What it was asked for.
    #[must_use]
    pub fn options(&self) -> &LoaderOptions {
        &self.work.options
    }

    /// Its steps.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.work.schedule
    }

    /// The step of the next piece.
    #[must_use]
    pub fn next_step(&self) -> u64 {
        self.next.0
    }

    /// Pieces that are left. Takes a walk over the steps that are left.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        let (first, micro) = self.next;
        let steps = (first..self.work.schedule.steps()).filter_map(|step| self.work.task(step, 0));
        steps.map(|task| task.micros).sum::<u64>().saturating_sub(micro)
    }

    /// Where the run stands, counting what was handed out and not what was filled ahead. A step of which some pieces are still
    /// to be handed out counts as not done.
    ///
    /// # Errors
    /// None that opening has not already found.
    pub fn state(&self) -> Result<LoaderState> {
        LoaderState::new(&self.work.dataset, &self.work.options.reads, self.window, &self.skips)
    }

    /// Goes on from `state`; windows that the state or this loader skips are left out.
    ///
    /// # Errors
    /// [`Error::Contract`] when the state is not of this dataset, or of one that it extends. The loader is then as it was.
    pub fn load_state(&mut self, state: &LoaderState) -> Result<()> {
        let Work { dataset, options, .. } = &*self.work;
        state.check(dataset, &options.reads)?;
        let skips = self.skips.union(&Skips::new(&state.skip)?);
        let sets = options.reads.sets(dataset)?;
        let mut schedule = Schedule::new(sets, &options.size, &skips, options.phase_end)?;
        let step = schedule.resume(state.next_window)?;
        let (dataset, options) = (Arc::clone(dataset), options.clone());
        self.stop();
        self.work = Arc::new(Work { dataset, options, schedule });
        (self.skips, self.next, self.window) = (skips, (step, 0), state.next_window);
        self.reading = Reading::default();
        Ok(())
    }

    /// The next micro-batch; `None` after the last. Every rank gets the same number of them, if need be without rows.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::Io`] naming a shard that is not what the manifest says; [`Error::OutOfRange`] when
    /// `max_docs` is too small. The loader stays where it is: asked again, it tries again.
    pub fn next_batch(&mut self) -> Result<Option<MicroBatch>> {
        let Some(task) = self.work.task(self.next.0, self.next.1) else { return Ok(None) };
        let filled = if self.work.options.threads == 0 { self.fill_here(&task) } else { self.fill_ahead() };
        match filled {
            Ok(None) => Ok(None),
            Ok(Some(batch)) => {
                if task.micro + 1 < task.micros {
                    self.next = (task.step, task.micro + 1);
                } else {
                    self.next = (task.step + 1, 0);
                    self.window = self.work.schedule.global(task.span.set, task.span.end - 1) + 1;
                }
                Ok(Some(batch))
            }
            Err(error) => {
                // What was filled ahead is behind the one that failed.
                self.stop();
                Err(error)
            }
        }
    }

    fn block(&self, bytes: usize) -> Result<Slot> {
        Ok(Slot { memory: (self.allocate)(bytes)?, borders: Vec::new() })
    }

    fn fill_here(&mut self, task: &Task) -> Result<Option<MicroBatch>> {
        let ring = self.ring()?;
        let slot = match ring.spare() {
            Some(slot) => slot,
            None => self.block(self.work.block_bytes()?)?,
        };
        let (written, slot) = ring::fill(&self.work, task, slot, &mut self.reading)?;
        Ok(Some(self.batch(task, written, Lent { slot: Some(slot), ring: Some(ring) })))
    }

    fn fill_ahead(&mut self) -> Result<Option<MicroBatch>> {
        let ring = self.ring()?;
        loop {
            match ring.next(&self.work) {
                Next::End => return Ok(None),
                Next::NeedsBlock => ring.add(self.block(self.work.block_bytes()?)?),
                Next::Piece(task, filled) => {
                    let (written, slot) = filled?;
                    return Ok(Some(self.batch(&task, written, Lent { slot: Some(slot), ring: Some(ring) })));
                }
            }
        }
    }

    /// The blocks, and the threads that fill them, of this process.
    fn ring(&mut self) -> Result<Arc<Ring>> {
        if self.ring.as_ref().is_some_and(|(ring, _)| !ring.is_here()) {
            // A fork: the threads are the parent's, and its lock may be held by one of them for ever.
            std::mem::forget(self.ring.take());
        }
        let (ring, _) = match &self.ring {
            Some(ring) => ring,
            None => {
                let ring = self.start()?;
                self.ring.insert(ring)
            }
        };
        Ok(Arc::clone(ring))
    }

    fn start(&self) -> Result<(Arc<Ring>, Vec<JoinHandle<()>>)> {
        if self.work.options.threads == 0 {
            return Ok((Arc::new(Ring::new(self.next, 0, self.rest, Vec::new())), Vec::new()));
        }
        let bytes = self.work.block_bytes()?;
        let ahead = (self.work.options.prefetch_bytes / bytes.max(1)).clamp(1, MOST_AHEAD);
        let blocks = (0..ahead).map(|_| self.block(bytes)).collect::<Result<Vec<_>>>()?;
        let ring = Arc::new(Ring::new(self.next, ahead, self.rest, blocks));
        let mut threads = Vec::new();
        for _ in 0..self.work.options.threads.min(ahead) {
            let (of, work) = (Arc::clone(&ring), Arc::clone(&self.work));
            let thread = std::thread::Builder::new().name("syllabus-loader".to_owned());
            match thread.spawn(move || of.run(&work)) {
                Ok(thread) => threads.push(thread),
                Err(error) if threads.is_empty() => return Err(error.into()),
                // Fewer threads are slower and no less right.
                Err(_) => break,
            }
        }
        Ok((ring, threads))
    }

    /// Ends the threads and drops what they filled.
    fn stop(&mut self) {
        let Some((ring, threads)) = self.ring.take() else { return };
        if !ring.is_here() {
            std::mem::forget((ring, threads));
            return;
        }
        ring.close();
        for thread in threads {
            // A thread that panicked has said so in the piece that it was filling.
            let _ended = thread.join();
        }
    }

    fn batch(&self, task: &Task, written: Written, lent: Lent) -> MicroBatch {
        MicroBatch { work: Arc::clone(&self.work), task: *task, written, lent }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Iterator for Loader {
    type Item = Result<MicroBatch>;

    /// As [`Loader::next_batch`]. After an error the next item is the same micro-batch again.
    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

/// One rank's piece of one step. Its memory goes back to the loader when it is dropped.
pub struct MicroBatch {
    work: Arc<Work>,
    task: Task,
    written: Written,
    lent: Lent,
}

impl std::fmt::Debug for MicroBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MicroBatch").field("task", &self.task).field("written", &self.written).finish_non_exhaustive()
    }
}

impl MicroBatch {
    /// Its step.
    ///
    /// # Errors
    /// None: its step exists.
    pub fn step(&self) -> Result<Step<'_>> {
        self.work.schedule.at(self.task.step)
    }

    /// Number of the piece within its step, and how many there are.
    #[must_use]
    pub fn micro(&self) -> (u64, u64) {
        (self.task.micro, self.task.micros)
    }

    /// Rows; may be 0 in a short batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.written.rows
    }

    /// Values in a row: S, or a context-parallel rank's part of it.
    #[must_use]
    pub fn width(&self) -> usize {
        self.written.width
    }

    /// S.
    #[must_use]
    pub fn sequence_length(&self) -> usize {
        self.written.sequence_length
    }

    /// The longest sequence between two borders.
    #[must_use]
    pub fn max_seqlen(&self) -> usize {
        self.written.max_seqlen
    }

    /// Labels that are trained on in the whole step, over all ranks and pieces: what a loss summed on each rank is divided by.
    #[must_use]
    pub fn num_targets_global(&self) -> u64 {
        self.written.num_targets_global
    }

    /// Borders of all sequences in the flattened rows, from 0; empty when not asked for.
    #[must_use]
    pub fn cu_seqlens(&self) -> &[i32] {
        self.lent.slot.as_ref().map_or(&[], |slot| &slot.borders)
    }

    /// The bytes of an array, in the host's order (little-endian); `None` when it was not asked for.
    #[must_use]
    pub fn bytes(&self, array: Array) -> Option<&[u8]> {
        let (offset, bytes) = self.written.layout.place(array)?;
        let memory = &*self.lent.slot.as_ref()?.memory;
        // SAFETY: the block fits the layout, as `fill` compared; nobody writes to it before the batch is dropped.
        Some(unsafe { std::slice::from_raw_parts(memory.pointer().add(offset), bytes) })
    }

    /// An array's first byte, for writing, and its number of bytes. Arrays begin at multiples of 64 bytes and do not overlap.
    #[must_use]
    pub fn pointer(&self, array: Array) -> Option<(*mut u8, usize)> {
        let (offset, bytes) = self.written.layout.place(array)?;
        let memory = &*self.lent.slot.as_ref()?.memory;
        // SAFETY: the block fits the layout, as `fill` compared.
        Some((unsafe { memory.pointer().add(offset) }, bytes))
    }

    /// An array of i32: `SegmentIds`, `SourceIds`, `Epochs`, and the ids with [`IdType::I32`]. `None` for any other.
    #[must_use]
    pub fn i32(&self, array: Array) -> Option<&[i32]> {
        self.values(array)
    }

    /// An array of i64: `WindowIds`, and the ids with [`IdType::I64`]. `None` for any other.
    #[must_use]
    pub fn i64(&self, array: Array) -> Option<&[i64]> {
        self.values(array)
    }

    /// Bytes of a value of an array.
    #[must_use]
    pub fn value_bytes(&self, array: Array) -> usize {
        match array {
            Array::InputIds | Array::Labels | Array::PositionIds => self.work.options.outputs.ids.width(),
            Array::SegmentIds | Array::SourceIds | Array::Epochs => 4,
            Array::LossMask => 1,
            Array::WindowIds => 8,
        }
    }

    fn values<T: crate::Id>(&self, array: Array) -> Option<&[T]> {
        let bytes = self.bytes(array).filter(|_| self.value_bytes(array) == size_of::<T>())?;
        // SAFETY: arrays begin at multiples of 64 in a block that is aligned to 64, and every bit pattern is a value.
        let (before, values, after) = unsafe { bytes.align_to::<T>() };
        (before.is_empty() && after.is_empty()).then_some(values)
    }
}
