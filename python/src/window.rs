//! Windows: tokens where they are mapped, and what they are made of.

use std::ffi::{CStr, c_int, c_void};
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;

use numpy::IntoPyArray;
use pyo3::exceptions::{PyBufferError, PyOverflowError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use syllabus_reader::format::TokenDtype;
use syllabus_reader::{BatchOptions, Buffers, FillOptions, WindowSet};

use crate::arrays::{Bytes, view};
use crate::errors::{raise, raise_index};

/// Where a window is: a phase or a held-out set, and its number in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) held_out: bool,
    pub(crate) set: usize,
    pub(crate) index: u64,
}

/// The part of one document that lies in one window.
///
/// Attributes: `start`, its first token in the window; `length` in tokens; `document`, the document's key (32 hex digits, XXH3-128
/// of its text); `offset`, its first token in the document, BOS and EOS counted; `epoch`, how often the document was read before.
#[pyclass(frozen, eq, get_all, module = "syllabus")]
#[derive(PartialEq)]
pub(crate) struct Fragment {
    start: u32,
    length: u32,
    document: String,
    offset: u32,
    epoch: u32,
}

#[pymethods]
impl Fragment {
    fn __repr__(&self) -> String {
        let Self { start, length, document, offset, epoch } = self;
        format!("Fragment(start={start}, length={length}, document='{document}', offset={offset}, epoch={epoch})")
    }
}

/// One window of W tokens, all of one source. `memoryview(window)`, `numpy.asarray(window)` and DLPack read its tokens where they
/// are mapped, without a copy. It keeps the map alive, and may outlive the dataset.
#[pyclass(frozen, module = "syllabus")]
pub(crate) struct Window {
    dataset: Arc<syllabus_reader::Dataset>,
    place: Place,
    tokens: NonNull<u8>,
    dtype: TokenDtype,
    /// Tokens, and bytes of one: what a view's shape and strides point to.
    shape: [ffi::Py_ssize_t; 1],
    strides: [ffi::Py_ssize_t; 1],
    padding: u32,
    source: u32,
}

// SAFETY: the pointer is into a map that `dataset` keeps, which is never written to.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Window {
    pub(crate) fn new(dataset: &Arc<syllabus_reader::Dataset>, place: Place) -> syllabus_reader::Result<Self> {
        let window = set(dataset, place)?.window(place.index)?;
        let bytes = window.tokens.bytes();
        let tokens = NonNull::new(bytes.as_ptr().cast_mut()).unwrap_or(NonNull::dangling());
        let size = |n: usize| ffi::Py_ssize_t::try_from(n).unwrap_or(ffi::Py_ssize_t::MAX);
        let dtype = window.tokens.dtype();
        Ok(Self {
            tokens,
            dtype,
            shape: [size(window.tokens.len())],
            strides: [size(dtype.width())],
            padding: window.padding,
            source: window.source_index,
            dataset: Arc::clone(dataset),
            place,
        })
    }

    fn set(&self) -> syllabus_reader::Result<&WindowSet> {
        set(&self.dataset, self.place)
    }

    fn format(&self) -> &'static CStr {
        match self.dtype {
            TokenDtype::U16 => c"H",
            TokenDtype::U32 => c"I",
        }
    }

    /// Position ids, segment ids and borders of the S inputs.
    fn laid_out(&self) -> syllabus_reader::Result<(Vec<i32>, Vec<i32>, Vec<i32>)> {
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
    }

    fn layout<'py>(
        &self,
        py: Python<'py>,
        choose: impl Fn((Vec<i32>, Vec<i32>, Vec<i32>)) -> Vec<i32> + Send,
    ) -> PyResult<Bound<'py, PyAny>> {
        let values = py.detach(|| self.laid_out().map(choose)).map_err(raise)?;
        Ok(values.into_pyarray(py).into_any())
    }
}

fn set(dataset: &syllabus_reader::Dataset, place: Place) -> syllabus_reader::Result<&WindowSet> {
    let sets = if place.held_out { dataset.validation() } else { dataset.phases() };
    sets.get(place.set).ok_or_else(|| syllabus_reader::Error::OutOfRange(format!("there is no set {}", place.set)))
}

#[pymethods]
impl Window {
    /// Its number: over all phases in training order, or within its held-out set.
    #[getter]
    fn index(&self) -> PyResult<u64> {
        let first = if self.place.held_out { 0 } else { self.set().map_err(raise)?.first_window() };
        Ok(first + self.place.index)
    }

    /// All W tokens, padding among them: uint16 or uint32, read-only, in mapped memory. No copy; keeps the map alive.
    #[getter]
    fn tokens<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let window = slf.get();
        let shape = (window.shape[0].unsigned_abs(), None);
        let bytes = Bytes { pointer: window.tokens, shape, writable: false };
        // SAFETY: the pointer is to so many tokens of this type in a map that the window keeps and nobody writes to.
        unsafe {
            match window.dtype {
                TokenDtype::U16 => view::<u16>(bytes, slf.clone().into_any()),
                TokenDtype::U32 => view::<u32>(bytes, slf.clone().into_any()),
            }
        }
    }

    /// Name of its source.
    #[getter]
    fn source(&self) -> String {
        let sources = &self.dataset.manifest().sources;
        let source = usize::try_from(self.source).ok().and_then(|i| sources.get(i));
        source.map_or_else(String::new, |source| source.name.clone())
    }

    /// Its source's place in `Dataset.sources`.
    #[getter]
    fn source_id(&self) -> u32 {
        self.source
    }

    /// Name of its phase, or of its held-out set.
    #[getter]
    fn phase(&self) -> PyResult<String> {
        Ok(self.set().map_err(raise)?.name().to_owned())
    }

    /// Padding tokens at its end.
    #[getter]
    fn padding(&self) -> u32 {
        self.padding
    }

    /// The `.bin` file that holds it, as a `pathlib.Path`.
    #[getter]
    fn file(&self, py: Python<'_>) -> PyResult<PathBuf> {
        let file = py.detach(|| self.set()?.window(self.place.index).map(|window| window.file.to_owned()));
        file.map_err(raise_index)
    }

    /// Its documents, in order; they tile the tokens before the padding.
    #[getter]
    fn fragments(&self) -> PyResult<Vec<Fragment>> {
        let row = self.set().and_then(|set| set.row(self.place.index)).map_err(raise)?;
        let plain = |f: syllabus_reader::format::Fragment| Fragment {
            start: f.start,
            length: f.length,
            document: f.document.to_string(),
            offset: f.offset,
            epoch: f.epoch,
        };
        Ok(row.fragments.map(plain).collect())
    }

    /// Positions of the S inputs, from 0 at each document's start: int32 of shape (S,).
    fn position_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.layout(py, |(positions, _, _)| positions)
    }

    /// Number of each input's document in the window, from 1; padding is 0: int32 of shape (S,).
    fn segment_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.layout(py, |(_, segments, _)| segments)
    }

    /// Borders of the documents in the S inputs, from 0 to S: int32 of shape (documents + 1,).
    fn cu_seqlens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.layout(py, |(_, _, borders)| borders)
    }

    fn __len__(&self) -> usize {
        self.shape[0].unsigned_abs()
    }

    fn __repr__(&self) -> PyResult<String> {
        let (index, phase) = (self.index()?, self.phase()?);
        Ok(format!("<Window {index}: {} tokens of {} in {phase}>", self.shape[0], self.source()))
    }

    /// The tokens for `from_dlpack` of torch and others. A consumer that cannot be told of read-only memory (before DLPack 1.0)
    /// gets a copy, or with `copy=False` a BufferError. Torch ignores the mark: a write into its tensor ends the process.
    #[pyo3(signature = (*, stream = None, max_version = None, dl_device = None, copy = None))]
    fn __dlpack__<'py>(
        slf: &Bound<'py, Self>,
        stream: Option<Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if stream.is_some_and(|stream| !stream.is_none()) || dl_device.is_some_and(|(kind, _)| kind != 1) {
            return Err(PyBufferError::new_err("the tokens are in the memory of the CPU"));
        }
        let versioned = max_version.is_some_and(|(major, _)| major >= 1);
        let options = PyDict::new(py);
        let mut tokens = Self::tokens(slf)?;
        if copy == Some(true) || !versioned {
            if copy == Some(false) {
                return Err(PyBufferError::new_err("read-only memory needs DLPack 1.0, or a copy"));
            }
            tokens = tokens.call_method0(intern!(py, "copy"))?;
        } else {
            options.set_item(intern!(py, "max_version"), max_version)?;
        }
        tokens.call_method(intern!(py, "__dlpack__"), (), Some(&options))
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        (1, 0)
    }

    /// # Safety
    /// Python calls it, with a view to fill in.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let window = slf.get();
        if flags & ffi::PyBUF_WRITABLE == ffi::PyBUF_WRITABLE {
            return Err(PyBufferError::new_err("the tokens of a window are read-only; copy them to change them"));
        }
        let bytes = window.shape[0].checked_mul(window.strides[0]);
        let bytes = bytes.ok_or_else(|| PyOverflowError::new_err("more bytes than Python can count"))?;
        let asked = |flag: c_int| flags & flag == flag;
        // SAFETY: Python gives a view to fill in. Buffer, format, shape and strides live as long as the window, which the view
        // takes a reference to; Python never writes through shape or strides.
        unsafe {
            (*view).buf = window.tokens.as_ptr().cast::<c_void>();
            (*view).len = bytes;
            (*view).readonly = 1;
            (*view).itemsize = window.strides[0];
            (*view).format =
                if asked(ffi::PyBUF_FORMAT) { window.format().as_ptr().cast_mut() } else { std::ptr::null_mut() };
            (*view).ndim = 1;
            (*view).shape = if asked(ffi::PyBUF_ND) { window.shape.as_ptr().cast_mut() } else { std::ptr::null_mut() };
            (*view).strides =
                if asked(ffi::PyBUF_STRIDES) { window.strides.as_ptr().cast_mut() } else { std::ptr::null_mut() };
            (*view).suboffsets = std::ptr::null_mut();
            (*view).internal = std::ptr::null_mut();
            (*view).obj = slf.into_ptr();
        }
        Ok(())
    }
}
