//! One window: tokens where they lie in the mapped shard, and the documents that they come from.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use syllabus_reader as reader;
use syllabus_reader::format::tokens::Tokens;

use crate::argument::{self, Out};
use crate::dataset::{Dataset, Shared};
use crate::error::{Failure, Result, Status, guard};

/// One window. It keeps the mapped shard alive, so it may outlive the dataset's handle. Any number of threads may use it.
pub struct Window {
    info: WindowInfo,
    /// What `info` points into.
    _fragments: Box<[Fragment]>,
    _shared: Arc<Shared>,
}

/// The part of one document that lies in one window.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Fragment {
    /// First token, counted in the window.
    start: u32,
    /// Number of tokens.
    length: u32,
    /// First token, counted in the document's tokens (its BOS and EOS counted).
    offset: u32,
    /// Epoch of the source, from 0.
    epoch: u32,
    /// The document's key: XXH3-128 of its UTF-8 bytes, big-endian.
    document: [u8; 16],
}

/// What a window is. All pointers are valid until the window is freed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct WindowInfo {
    /// Its number, as asked for.
    index: u64,
    /// Its W tokens, padding among them, in the mapped file: `uint16_t` or `uint32_t`, as `token_bytes` says. Read-only.
    tokens: *const c_void,
    /// Number of tokens.
    tokens_count: usize,
    /// Bytes of a token: 2 or 4.
    token_bytes: u32,
    /// Padding tokens at its end.
    padding: u32,
    /// Its source, as an index for `syllabus_dataset_source()`.
    source_index: u32,
    /// Its source's name.
    source: *const c_char,
    /// Name of its phase or held-out set.
    phase: *const c_char,
    /// Documents in it, in order; they tile the tokens before the padding.
    fragments: *const Fragment,
    /// Number of fragments.
    fragments_count: usize,
}

impl Window {
    fn new(shared: &Arc<Shared>, window: &reader::Window<'_>, phase: *const c_char) -> Result<Self> {
        let (tokens, token_bytes) = match window.tokens {
            Tokens::U16(tokens) => (tokens.as_ptr().cast(), 2),
            Tokens::U32(tokens) => (tokens.as_ptr().cast(), 4),
        };
        let source = usize::try_from(window.source_index).ok().and_then(|i| shared.sources.get(i));
        let source = source.ok_or_else(|| Failure {
            status: Status::Corrupt,
            message: format!("{}: window {} has no source", window.file.display(), window.index),
        })?;
        let fragment = |fragment: reader::format::Fragment| Fragment {
            start: fragment.start,
            length: fragment.length,
            offset: fragment.offset,
            epoch: fragment.epoch,
            document: fragment.document.0,
        };
        let fragments: Box<[Fragment]> = window.fragments.map(fragment).collect();
        let info = WindowInfo {
            index: window.index,
            tokens,
            tokens_count: window.tokens.len(),
            token_bytes,
            padding: window.padding,
            source_index: window.source_index,
            source: source.as_ptr(),
            phase,
            fragments: fragments.as_ptr(),
            fragments_count: fragments.len(),
        };
        Ok(Self { info, _fragments: fragments, _shared: Arc::clone(shared) })
    }
}

/// Window `index`, counted from 0 over all phases in training order. Its pages are brought into memory by a call that can fail:
/// a shard that was cut is an error that names it. On success `*out` is a handle to be freed with `syllabus_window_free()`; else
/// it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_dataset_window(dataset: *const Dataset, index: u64, out: *mut *mut Window) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (out, shared) = unsafe { (Out::handle(out, "out")?, &argument::get(dataset, "dataset")?.0) };
        let window = shared.dataset.window(index)?;
        let sets = shared.dataset.phases();
        let set = sets.partition_point(|set| set.first_window() <= index).saturating_sub(1);
        let phase = shared.phases.get(set).map_or(c"".as_ptr(), |name| name.as_ptr());
        out.put_box(Window::new(shared, &window, phase)?);
        Ok(Status::Ok)
    })
}

/// Window `index`, counted from 0, of held-out set `set`; as `syllabus_dataset_window()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_dataset_validation_window(
    dataset: *const Dataset,
    set: usize,
    index: u64,
    out: *mut *mut Window,
) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (out, shared) = unsafe { (Out::handle(out, "out")?, &argument::get(dataset, "dataset")?.0) };
        let sets = shared.dataset.validation();
        let (of, name) = sets.get(set).zip(shared.validation.get(set)).ok_or_else(|| Failure {
            status: Status::Range,
            message: format!("there is no held-out set {set}: there are {}", sets.len()),
        })?;
        out.put_box(Window::new(shared, &of.window(index)?, name.as_ptr())?);
        Ok(Status::Ok)
    })
}

/// Writes what the window is to `*out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_window_describe(window: *const Window, out: *mut WindowInfo) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (window, out) = unsafe { (argument::get(window, "window")?, Out::new(out, "out")?) };
        out.put(window.info);
        Ok(Status::Ok)
    })
}

/// Frees the window; NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_window_free(window: *mut Window) {
    // SAFETY: as the header asks.
    unsafe { argument::free(window) };
}
