//! Fills windows in memory, in parallel, and hands them to one hasher and one writer in order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use syllabus_reader::format::Fragment;

use super::shard::{Filled, fill_with, largest_id};
use crate::error::{Error, Result};
use crate::mix::Piece;
use crate::store::documents::SourceStore;
use crate::tokenize::Contract;

/// About so many bytes of windows are filled by one task: they are read, looked through, hashed and written while they are in a
/// core's own cache.
const TASK_BYTES: usize = 1 << 18;

/// How many windows of W tokens one task fills.
pub fn task_windows(window_tokens: u32, contract: &Contract) -> usize {
    (TASK_BYTES / (window_tokens as usize * contract.dtype.width()).max(1)).max(1)
}

/// Fills the windows that `find` names: for window `i` it puts the pieces into its argument and returns source and padding.
/// The memory of `filled`, whatever it held, is used again.
pub fn fill<F>(
    mut filled: Filled,
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
    // Every byte is overwritten below.
    filled.bytes.resize(windows.len() * size, 0);
    filled.rows.clear();
    filled.fragments.clear();
    // Of all windows before the first is filled: documents lie anywhere, and the memory is asked for one while another is copied.
    let (mut pieces, mut found) = (Vec::new(), Vec::new());
    for i in windows {
        found.clear();
        let (source, padding) = find(i, &mut found)?;
        let segments = &stores[source].segments;
        pieces.extend(found.iter().map(|piece| (&segments[piece.entry.segment as usize], *piece)));
        filled.rows.push((u32::try_from(source).unwrap_or(u32::MAX), padding, pieces.len()));
    }
    let first_token = |piece: &Piece| piece.entry.start + u64::from(piece.offset);
    let mut ahead = pieces.iter().skip(1);
    let mut pieces = pieces.iter();
    for (window, &(_, padding, end)) in filled.bytes.chunks_exact_mut(size).zip(&filled.rows) {
        let mut start = 0u32;
        let mut rest = window;
        for (segment, piece) in pieces.by_ref().take(end - filled.fragments.len()) {
            if let Some((segment, next)) = ahead.next() {
                segment.fetch_tokens(first_token(next), next.length as usize * width);
            }
            let (tokens, after) = rest.split_at_mut((piece.length as usize * width).min(rest.len()));
            segment.tokens(first_token(piece), tokens)?;
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
    }
    filled.max_id = largest_id(&filled.bytes, contract.dtype);
    Ok(filled)
}

/// Runs `count` tasks on all threads of the pool; their results, in order, are seen by `hash` and then by `write`.
///
/// Whoever is free writes what is next, if it is ready and nobody else writes; else hashes what is next, if it is ready and nobody
/// else hashes; else makes the next result, if not too many wait already (twice as many as threads); else waits. What was written is
/// given to a later `make`, to use its memory again. The error that counts is the first in the tasks' order.
pub fn in_order<T: Default + Send>(
    count: usize,
    make: impl Fn(usize, T) -> Result<T> + Sync,
    hash: impl FnMut(&T) + Send,
    write: impl FnMut(&T) -> Result<()> + Send,
) -> Result<()> {
    let threads = rayon::current_num_threads();
    let line = Line { count, ahead: 2 * threads, state: Mutex::default(), moved: Condvar::new() };
    let (hash, write) = (Mutex::new(hash), Mutex::new(write));
    rayon::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|_| line.work(&make, &hash, &write));
        }
    });
    let state = line.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Results on their way to the writer.
struct Line<T> {
    count: usize,
    /// Most results that are made and not written.
    ahead: usize,
    state: Mutex<State<T>>,
    /// Something in the state has changed.
    moved: Condvar,
}

struct State<T> {
    /// The next to make.
    next: usize,
    made: Waiting<T>,
    hashed: Waiting<T>,
    spare: Vec<T>,
    failed: Option<Error>,
    /// A thread has panicked: the others must not wait for it.
    broken: bool,
}

/// Results that wait for a step which takes them in order, one at a time.
struct Waiting<T> {
    results: BTreeMap<usize, Result<T>>,
    /// How many the step has let go.
    done: usize,
    /// Whether somebody is at it.
    busy: bool,
}

impl<T> Waiting<T> {
    /// The next result, for whoever asks; it is not done before [`Self::let_go`].
    fn next(&mut self) -> Option<Result<T>> {
        let ready = !self.busy && self.results.first_key_value().is_some_and(|(first, _)| *first == self.done);
        self.busy |= ready;
        if ready { self.results.pop_first().map(|(_, result)| result) } else { None }
    }

    fn let_go(&mut self) {
        self.busy = false;
        self.done += 1;
    }
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { results: BTreeMap::new(), done: 0, busy: false }
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            next: 0,
            made: Waiting::default(),
            hashed: Waiting::default(),
            spare: Vec::new(),
            failed: None,
            broken: false,
        }
    }
}

impl<T: Default> Line<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(
        &self,
        make: &impl Fn(usize, T) -> Result<T>,
        hash: &Mutex<impl FnMut(&T)>,
        write: &Mutex<impl FnMut(&T) -> Result<()>>,
    ) {
        let _guard = Broken(self);
        let mut state = self.state();
        while state.failed.is_none() && !state.broken && state.hashed.done < self.count {
            if let Some(result) = state.hashed.next() {
                drop(state);
                let written = result.and_then(|result| {
                    let mut write = write.lock().unwrap_or_else(PoisonError::into_inner);
                    write(&result).map(|()| result)
                });
                state = self.state();
                state.hashed.let_go();
                match written {
                    Ok(used) => state.spare.push(used),
                    Err(error) => state.failed = Some(error),
                }
                self.moved.notify_all();
            } else if let Some(result) = state.made.next() {
                drop(state);
                if let Ok(result) = &result {
                    let mut hash = hash.lock().unwrap_or_else(PoisonError::into_inner);
                    hash(result);
                }
                state = self.state();
                let number = state.made.done;
                state.made.let_go();
                state.hashed.results.insert(number, result);
                self.moved.notify_all();
            } else if state.next < self.count && state.next - state.hashed.done < self.ahead {
                let task = state.next;
                state.next += 1;
                let spare = state.spare.pop().unwrap_or_default();
                drop(state);
                let made = make(task, spare);
                state = self.state();
                state.made.results.insert(task, made);
                self.moved.notify_all();
            } else {
                state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Tells the others when its thread panics.
struct Broken<'a, T: Default>(&'a Line<T>);

impl<T: Default> Drop for Broken<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().broken = true;
            self.0.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        for count in [0, 1, 7, 100] {
            let (mut hashed, mut seen): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
            let make = |i, mut memory: Vec<usize>| {
                memory.clear();
                memory.push(i);
                Ok(memory)
            };
            in_order(
                count,
                make,
                |made| hashed.extend_from_slice(made),
                |made| {
                    seen.extend_from_slice(made);
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
            assert_eq!(hashed, seen);
        }
    }

    #[test]
    fn the_first_error_in_order_counts_whether_in_making_or_in_writing() {
        fn failed<T>(at: usize) -> Result<T> {
            Err(Error::Failed(at.to_string()))
        }
        let mut written = 0;
        let make = |i, _| if i % 10 == 7 { failed(i) } else { Ok(i) };
        let error = in_order(
            100,
            make,
            |_| {},
            |_| {
                written += 1;
                Ok(())
            },
        );
        assert_eq!((error.unwrap_err().to_string(), written), ("7".to_owned(), 7));
        let error = in_order(100, |i, _| Ok(i), |_| {}, |&i| if i >= 3 { failed(i) } else { Ok(()) });
        assert_eq!(error.unwrap_err().to_string(), "3");
    }

    #[test]
    #[should_panic(expected = "in a task")]
    fn a_panic_ends_it() {
        let _never = in_order(100, |i, _| if i == 20 { panic!("in a task") } else { Ok(i) }, |_| {}, |_| Ok(()));
    }

    #[test]
    #[should_panic(expected = "in hashing")]
    fn a_panic_in_hashing_ends_it() {
        let _never = in_order(100, |i, _| Ok(i), |&i| assert!(i < 20, "in hashing"), |_| Ok(()));
    }
}
