//! Threads that fill micro-batches ahead of the trainer, into blocks that are used again.
//!
//! Pieces are taken in order, each with a block in the same breath, so the next piece to hand out is always among those being
//! filled. A block is lent with its batch and comes back when that is dropped; a trainer that keeps many batches makes the ring
//! grow, never overwrites them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::slot::Slot;
use super::work::{Reading, Task, Work, Written};
use crate::error::{Error, Result};

pub(crate) struct Ring {
    state: Mutex<State>,
    /// Somebody may fill: a block came back, or all is over.
    fill: Condvar,
    /// Something is filled.
    filled: Condvar,
    /// The process that the threads run in.
    process: u32,
}

struct State {
    /// The next piece that nobody has taken: (step, micro).
    next: (u64, u64),
    /// Number of the next piece to take, and to hand out.
    taken: u64,
    handed: u64,
    /// Pieces taken and not handed out.
    ahead: usize,
    /// Bound on `ahead`.
    limit: usize,
    /// Blocks, and the number of pieces handed out from which on each may be used.
    free: VecDeque<(Slot, u64)>,
    /// Pieces handed out after which a block that came back is used again.
    rest: u64,
    ready: BTreeMap<u64, (Task, Result<(Written, Slot)>)>,
    closed: bool,
}

impl State {
    /// Takes a block that has rested: the one that came back last, since it may still be in the processor's cache.
    fn block(&mut self) -> Option<Slot> {
        let last = self.free.iter().rposition(|(_, from)| *from <= self.handed)?;
        self.free.remove(last).map(|(slot, _)| slot)
    }

    fn has_block(&self) -> bool {
        self.free.front().is_some_and(|(_, from)| *from <= self.handed)
    }

    fn take(&mut self, work: &Work) -> Option<(u64, Task)> {
        let (step, micro) = self.next;
        let task = work.task(step, micro)?;
        self.next = if micro + 1 < task.micros { (step, micro + 1) } else { (step + 1, 0) };
        let number = self.taken;
        self.taken += 1;
        Some((number, task))
    }
}

/// What the consumer does next.
#[expect(clippy::large_enum_variant, reason = "one is made for each micro-batch, and moved once")]
pub(crate) enum Next {
    /// A piece.
    Piece(Task, Result<(Written, Slot)>),
    /// Nothing is left.
    End,
    /// All blocks are lent: another one is needed.
    NeedsBlock,
}

impl Ring {
    pub(crate) fn new(next: (u64, u64), limit: usize, rest: u64, blocks: Vec<Slot>) -> Self {
        let free = blocks.into_iter().map(|slot| (slot, 0)).collect();
        let ready = BTreeMap::new();
        let state = State { next, taken: 0, handed: 0, ahead: 0, limit, free, rest, ready, closed: false };
        let state = Mutex::new(state);
        Self { state, fill: Condvar::new(), filled: Condvar::new(), process: std::process::id() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process is the one that the ring was made in, and not a fork of it, where its threads do not run and its
    /// lock may be held for ever.
    pub(crate) fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.fill.notify_all();
        self.filled.notify_all();
    }

    /// Gives a block back.
    pub(crate) fn give(&self, slot: Slot) {
        if !self.is_here() {
            return;
        }
        let mut state = self.state();
        if !state.closed {
            let from = state.handed.saturating_add(state.rest);
            state.free.push_back((slot, from));
            drop(state);
            self.fill.notify_one();
        }
    }

    /// For who fills without threads: takes a block that has rested, if there is one, and counts a piece as handed out.
    pub(crate) fn spare(&self) -> Option<Slot> {
        let mut state = self.state();
        let block = state.block();
        state.handed += 1;
        block
    }

    /// Adds a block that may be used at once.
    pub(crate) fn add(&self, slot: Slot) {
        self.state().free.push_front((slot, 0));
        self.fill.notify_one();
    }

    /// One thread's life: fills until the ring is closed or nothing is left.
    pub(crate) fn run(&self, work: &Work) {
        let mut reading = Reading::default();
        let mut state = self.state();
        loop {
            if state.closed {
                return;
            }
            let (step, micro) = state.next;
            if work.task(step, micro).is_none() {
                self.filled.notify_all();
                return;
            }
            let block = if state.ahead < state.limit { state.block() } else { None };
            let Some(block) = block else {
                state = self.fill.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let Some((number, task)) = state.take(work) else { return };
            state.ahead += 1;
            drop(state);
            let filled =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fill(work, &task, block, &mut reading)));
            let filled = filled.unwrap_or_else(|_| {
                Err(Error::Io(std::io::Error::other(format!("filling step {} panicked; this is a bug", task.step))))
            });
            state = self.state();
            state.ready.insert(number, (task, filled));
            self.filled.notify_all();
        }
    }

    /// The next piece, in order: waits for the threads.
    pub(crate) fn next(&self, work: &Work) -> Next {
        let mut state = self.state();
        loop {
            let wanted = state.handed;
            if let Some((task, result)) = state.ready.remove(&wanted) {
                state.handed += 1;
                state.ahead -= 1;
                drop(state);
                self.fill.notify_all();
                return Next::Piece(task, result);
            }
            if state.ahead == 0 {
                let (step, micro) = state.next;
                if state.closed || work.task(step, micro).is_none() {
                    return Next::End;
                }
                if !state.has_block() {
                    return Next::NeedsBlock;
                }
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Fills one piece, with the files that `reading` has open.
pub(crate) fn fill(work: &Work, task: &Task, mut slot: Slot, reading: &mut Reading) -> Result<(Written, Slot)> {
    let layout = work.layout(task)?;
    if !slot.fits(&layout) {
        return Err(Error::OutOfRange(format!("a block of memory does not fit step {}", task.step)));
    }
    match work.fill(task, &mut slot, reading) {
        Ok(written) => Ok((written, slot)),
        Err(error) => {
            // A file that failed may be another one when it is asked for again.
            *reading = Reading::default();
            Err(error)
        }
    }
}

/// A lent block: goes back when it is dropped.
pub(crate) struct Lent {
    pub(crate) slot: Option<Slot>,
    pub(crate) ring: Option<Arc<Ring>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(slot), Some(ring)) = (self.slot.take(), &self.ring) {
            ring.give(slot);
        }
    }
}
