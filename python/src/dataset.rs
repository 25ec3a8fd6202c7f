//! Datasets and windows.

use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;

use pyo3::prelude::*;
use syllabus_reader::{BatchOptions, Buffers, FillOptions, OpenOptions, WindowSet};

use crate::errors::{raise, raise_index};
use crate::memory::Memory;

/// An opened dataset.
#[pyclass(frozen)]
pub(crate) struct Dataset {
    pub(crate) inner: Arc<syllabus_reader::Dataset>,
}

#[pymethods]
impl Dataset {
    #[staticmethod]
    #[pyo3(signature = (path, *, tokenizer_digest, vocab_size, sequence_length, dataset_digest, first_touch))]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        tokenizer_digest: Option<String>,
        vocab_size: Option<u32>,
        sequence_length: Option<u32>,
        dataset_digest: Option<String>,
        first_touch: bool,
    ) -> PyResult<Self> {
        let options = OpenOptions {
            tokenizer_digest,
            vocab_size,
            sequence_length,
            dataset_digest,
            hash_on_first_touch: first_touch,
            ..OpenOptions::default()
        };
        let inner = py.detach(|| options.open(path)).map_err(raise)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The manifest as JSON.
    fn manifest(&self) -> PyResult<String> {
        let json = self.inner.manifest().to_json().map_err(raise)?;
        Ok(String::from_utf8_lossy(&json).into_owned())
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(usize::try_from(self.inner.len())?)
    }

    /// Name, first window, windows, S and W of each phase, or of each held-out set.
    fn sets(&self, held_out: bool) -> Vec<(String, u64, u64, u32, u32)> {
        let sets = if held_out { self.inner.validation() } else { self.inner.phases() };
        let shape = |set: &WindowSet| {
            (set.name().to_owned(), set.first_window(), set.len(), set.sequence_length(), set.window_tokens())
        };
        sets.iter().map(shape).collect()
    }

    /// Window `index` of a set, from 0.
    fn window(&self, py: Python<'_>, held_out: bool, set: usize, index: u64) -> PyResult<Window> {
        let dataset = &self.inner;
        py.detach(|| Window::new(dataset, Place { held_out, set, index })).map_err(raise_index)
    }

    /// Tokens of windows of one set, one after the other.
    fn gather(&self, py: Python<'_>, held_out: bool, set: usize, indices: Vec<u64>) -> PyResult<Memory> {
        let gathered = py.detach(|| {
            let set = set_of(&self.inner, held_out, set)?;
            let mut out = Vec::new();
            for index in indices {
                out.extend_from_slice(set.tokens(index)?.bytes());
            }
            Ok(out)
        });
        Ok(Memory::of(gathered.map_err(raise_index)?))
    }

    /// Reads every byte and compares it with the manifest.
    fn verify(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.inner.verify_all()).map_err(raise)
    }
}

/// Where a window is.
#[derive(Debug, Clone, Copy)]
struct Place {
    held_out: bool,
    set: usize,
    index: u64,
}

fn set_of(dataset: &syllabus_reader::Dataset, held_out: bool, set: usize) -> syllabus_reader::Result<&WindowSet> {
    let sets = if held_out { dataset.validation() } else { dataset.phases() };
    sets.get(set).ok_or_else(|| syllabus_reader::Error::OutOfRange(format!("there is no set {set}")))
}

/// One window.
#[pyclass(frozen)]
pub(crate) struct Window {
    dataset: Arc<syllabus_reader::Dataset>,
    place: Place,
    tokens: (NonNull<u8>, usize),
    #[pyo3(get)]
    padding: u32,
    #[pyo3(get)]
    source: String,
    #[pyo3(get)]
    phase: String,
    #[pyo3(get)]
    file: PathBuf,
}

// SAFETY: the pointer is into a map that `dataset` keeps, which is never written to.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Window {
    fn new(dataset: &Arc<syllabus_reader::Dataset>, place: Place) -> syllabus_reader::Result<Self> {
        let window = set_of(dataset, place.held_out, place.set)?.window(place.index)?;
        let bytes = window.tokens.bytes();
        let pointer = NonNull::new(bytes.as_ptr().cast_mut()).unwrap_or(NonNull::dangling());
        Ok(Self {
            tokens: (pointer, bytes.len()),
            padding: window.padding,
            source: window.source.to_owned(),
            phase: window.phase.to_owned(),
            file: window.file.to_owned(),
            dataset: Arc::clone(dataset),
            place,
        })
    }

    fn set(&self) -> syllabus_reader::Result<&WindowSet> {
        set_of(&self.dataset, self.place.held_out, self.place.set)
    }
}

#[pymethods]
impl Window {
    /// The tokens, where they are mapped.
    fn tokens(&self) -> Memory {
        let (pointer, length) = self.tokens;
        // SAFETY: a dataset keeps its maps until it is dropped.
        unsafe { Memory::new(pointer, length, false, Box::new(Arc::clone(&self.dataset))) }
    }

    /// Start, length, document's key, offset in the document, epoch.
    fn fragments(&self) -> PyResult<Vec<(u32, u32, String, u32, u32)>> {
        let row = self.set().and_then(|set| set.row(self.place.index)).map_err(raise)?;
        let plain = |f: syllabus_reader::format::Fragment| {
            (f.start, f.length, f.document.to_string(), f.offset, f.epoch)
        };
        Ok(row.fragments.map(plain).collect())
    }

    /// Position ids, segment ids (S values of 32 bits each) and borders of the inputs.
    fn layout(&self, py: Python<'_>) -> PyResult<(Memory, Memory, Memory)> {
        let written = py.detach(|| {
            let set = self.set()?;
            let s = usize::try_from(set.sequence_length()).unwrap_or(usize::MAX);
            let (mut positions, mut segments, mut borders) = (vec![0_i32; s], vec![0_i32; s], Vec::new());
            let start = set.first_window() + self.place.index;
            let mut batches = set.batches(BatchOptions { start, ..BatchOptions::new(1) })?;
            if let Some(batch) = batches.next() {
                let mut buffers = Buffers::<i32> {
                    position_ids: Some(&mut positions),
                    segment_ids: Some(&mut segments),
                    cu_seqlens: Some(&mut borders),
                    ..Buffers::default()
                };
                batch.fill(&mut buffers, &FillOptions::default())?;
            }
            Ok((positions, segments, borders))
        });
        let (positions, segments, borders) = written.map_err(raise)?;
        Ok((Memory::of(positions), Memory::of(segments), Memory::of(borders)))
    }
}
