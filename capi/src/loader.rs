//! The loader: one rank's batches, filled ahead.

use std::cell::UnsafeCell;
use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use syllabus_reader::loader::{Loader as Inner, LoaderState, heap};

use crate::argument::{self, Out};
use crate::batch::Batch;
use crate::dataset::{Dataset, Shared};
use crate::error::{Failure, Result, Status, c_text, guard};
use crate::memory::{Memory, Provider};
use crate::options::LoaderOptions;
use crate::schedule::Schedule;

/// Hands out one rank's batches in order. One thread may use it at a time: a call that comes while another runs gives
/// SYLLABUS_STATUS_BUSY and does nothing. Of one dataset there may be any number of loaders. After fork() parent and child may both
/// go on with it, unless another thread was within a call on it.
pub struct Loader {
    busy: AtomicBool,
    inner: UnsafeCell<Inner>,
    pub(crate) shared: Arc<Shared>,
}

// SAFETY: the inner loader is reached through `Use` alone, which one thread has at a time; it may move between threads.
unsafe impl Sync for Loader {}

/// The loader while one thread uses it. No lock: whoever comes second is told so, also in a forked child, which would wait for
/// ever.
struct Use<'a>(&'a Loader);

impl<'a> Use<'a> {
    fn new(loader: &'a Loader) -> Result<Self> {
        if loader.busy.swap(true, Ordering::Acquire) {
            let message = "the loader is in use by another thread, or a former call on it panicked".to_owned();
            return Err(Failure { status: Status::Busy, message });
        }
        Ok(Self(loader))
    }

    fn get(&mut self) -> &mut Inner {
        // SAFETY: `busy` was free and is ours until this is dropped.
        unsafe { &mut *self.0.inner.get() }
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        // A loader that a panic left half changed stays closed.
        if !std::thread::panicking() {
            self.0.busy.store(false, Ordering::Release);
        }
    }
}

/// A loader over `dataset`, in memory of the library's own or, where `memory` is not NULL, of the caller's. `options` must not be
/// NULL. On success `*out` is a handle to be freed with `syllabus_loader_free()`; else it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_loader_new(
    dataset: *const Dataset,
    options: *const LoaderOptions,
    memory: *const Memory,
    out: *mut *mut Loader,
) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (out, shared, options, memory) = unsafe {
            let out = Out::handle(out, "out")?;
            let shared = &argument::get(dataset, "dataset")?.0;
            let options = argument::get(options, "options")?.checked()?;
            (out, shared, options, argument::optional(memory, "memory")?)
        };
        let dataset = Arc::clone(&shared.dataset);
        let inner = match memory {
            None => Inner::with_memory(dataset, options, Box::new(heap), 0)?,
            Some(memory) => {
                let none = |name| Failure::argument(format!("`memory->{name}` is NULL"));
                let allocate = memory.allocate.ok_or_else(|| none("allocate"))?;
                let release = memory.release.ok_or_else(|| none("release"))?;
                let provider = Provider { context: memory.context, allocate, release };
                Inner::with_memory(dataset, options, Box::new(move |bytes| provider.block(bytes)), memory.rest)?
            }
        };
        let (busy, inner) = (AtomicBool::new(false), UnsafeCell::new(inner));
        out.put_box(Loader { busy, inner, shared: Arc::clone(shared) });
        Ok(Status::Ok)
    })
}

/// Ends the loader's threads and frees it; NULL is allowed. No call on it may be running. Batches that were handed out stay
/// valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_loader_free(loader: *mut Loader) {
    // SAFETY: as the header asks.
    unsafe { argument::free(loader) };
}

/// The next batch: a handle in `*out`, to be freed with `syllabus_batch_free()`. After the last, SYLLABUS_STATUS_END and NULL. Every
/// rank gets the same number of batches, if need be without rows. After an error the loader stays where it is: the next call
/// tries the same batch again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_loader_next(loader: *mut Loader, out: *mut *mut Batch) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (out, loader) = unsafe { (Out::handle(out, "out")?, argument::get(loader, "loader")?) };
        let Some(batch) = Use::new(loader)?.get().next_batch()? else { return Ok(Status::End) };
        out.put_box(Batch::new(batch, Arc::clone(&loader.shared))?);
        Ok(Status::Ok)
    })
}

/// Sets `*remaining` to the number of batches that are left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_loader_remaining(loader: *const Loader, remaining: *mut u64) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (out, loader) = unsafe { (Out::new(remaining, "remaining")?, argument::get(loader, "loader")?) };
        out.put(Use::new(loader)?.get().remaining());
        Ok(Status::Ok)
    })
}

/// Sets `*json` to where the run stands: a text to keep in a checkpoint, freed with `syllabus_string_free()`. It counts what was
/// handed out and not what was filled ahead, holds no batch size, and is the same on all ranks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_loader_state(loader: *const Loader, json: *mut *mut c_char) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (out, loader) = unsafe { (Out::handle(json, "json")?, argument::get(loader, "loader")?) };
        let state = Use::new(loader)?.get().state()?;
        let text = serde_json::to_string(&state).map_err(|error| Failure {
            status: Status::Internal,
            message: format!("cannot write the state: {error}"),
        })?;
        out.put(c_text(&text).into_raw());
        Ok(Status::Ok)
    })
}

/// Goes on from a state, which may come from a run with other ranks, other batch sizes, or a dataset that this one extends.
/// Refused with SYLLABUS_STATUS_CONTRACT when it is of another dataset; the loader is then as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_loader_load_state(loader: *mut Loader, json: *const c_char) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (loader, json) = unsafe { (argument::get(loader, "loader")?, argument::text(json, "json")?) };
        let state: LoaderState = serde_json::from_str(json)
            .map_err(|error| Failure::argument(format!("`json` is no state of a loader: {error}")))?;
        Use::new(loader)?.get().load_state(&state)?;
        Ok(Status::Ok)
    })
}

/// The loader's steps, in a handle to be freed with `syllabus_schedule_free()`. It is a copy: loading another state does not
/// change it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_loader_schedule(loader: *const Loader, out: *mut *mut Schedule) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (out, loader) = unsafe { (Out::handle(out, "out")?, argument::get(loader, "loader")?) };
        out.put_box(Schedule::new(Use::new(loader)?.get()));
        Ok(Status::Ok)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the sharing of handles between threads rests on.
    #[test]
    fn handles_may_cross_threads() {
        fn shared<T: Send + Sync>() {}
        fn sent<T: Send>() {}
        shared::<Dataset>();
        shared::<Shared>();
        sent::<Inner>();
        shared::<syllabus_reader::loader::MicroBatch>();
        shared::<syllabus_reader::loader::Schedule>();
    }
}
