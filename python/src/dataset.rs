//! Datasets.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyInt;
use syllabus_reader::{OpenOptions, WindowSet};

use crate::errors::{raise, raise_index};
use crate::memory::Memory;
use crate::window::{Place, Window};

/// An opened dataset.
#[pyclass(frozen)]
pub(crate) struct Dataset {
    pub(crate) inner: Arc<syllabus_reader::Dataset>,
}

/// One held-out set, or all phases.
fn sets(dataset: &syllabus_reader::Dataset, held_out: Option<usize>) -> &[WindowSet] {
    match held_out {
        None => dataset.phases(),
        Some(set) => dataset.validation().get(set..=set).unwrap_or_default(),
    }
}

/// The windows of all phases, or of one held-out set.
#[pyclass(subclass, frozen)]
pub(crate) struct Windows {
    dataset: Arc<syllabus_reader::Dataset>,
    held_out: Option<usize>,
    length: u64,
}

#[pymethods]
impl Windows {
    #[new]
    fn new(dataset: &Bound<'_, Dataset>, held_out: Option<usize>) -> Self {
        let dataset = Arc::clone(&dataset.get().inner);
        let length = sets(&dataset, held_out).iter().map(WindowSet::len).sum();
        Self { dataset, held_out, length }
    }

    fn __len__(&self) -> PyResult<usize> {
        usize::try_from(self.length).map_err(|_| PyOverflowError::new_err("more windows than Python can count"))
    }

    /// Plain integers take the short way; what else may be asked for is known to `_select`.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if index.is_exact_instance_of::<PyInt>() {
            let window = slf.get().at(slf.py(), index.extract()?)?;
            return Ok(Bound::new(slf.py(), window)?.into_any());
        }
        slf.call_method1(intern!(slf.py(), "_select"), (index,))
    }

    /// Window `index`, from the end below zero.
    #[pyo3(name = "_at")]
    fn at(&self, py: Python<'_>, index: isize) -> PyResult<Window> {
        let place = place(&self.dataset, self.held_out, self.length, index)?;
        py.detach(|| Window::new(&self.dataset, place)).map_err(raise_index)
    }
}

/// Where window `index` is: counted over all phases, or in one held-out set of `length` windows; below zero from the end.
fn place(dataset: &syllabus_reader::Dataset, held_out: Option<usize>, length: u64, index: isize) -> PyResult<Place> {
    let counted = u64::try_from(index).ok();
    let counted = counted.or_else(|| length.checked_sub(u64::try_from(index.unsigned_abs()).ok()?));
    let i = counted.filter(|i| *i < length);
    let i = i.ok_or_else(|| PyIndexError::new_err(format!("there is no window {index}: there are {length}")))?;
    if let Some(set) = held_out {
        return Ok(Place { held_out: true, set, index: i });
    }
    // Of sets without windows, which share their first with the next one, the last that starts here has it.
    let phases = dataset.phases();
    let set = phases.partition_point(|set| set.first_window() <= i).saturating_sub(1);
    let first = phases.get(set).map_or(0, WindowSet::first_window);
    Ok(Place { held_out: false, set, index: i - first })
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

    /// Name, first window, windows, S and W of each phase, or of each held-out set.
    fn sets(&self, held_out: bool) -> Vec<(String, u64, u64, u32, u32)> {
        let sets = if held_out { self.inner.validation() } else { self.inner.phases() };
        let shape = |set: &WindowSet| {
            (set.name().to_owned(), set.first_window(), set.len(), set.sequence_length(), set.window_tokens())
        };
        sets.iter().map(shape).collect()
    }

    /// Tokens of windows, one after the other, and W.
    fn gather(&self, py: Python<'_>, held_out: Option<usize>, indices: Vec<isize>) -> PyResult<(Memory, u32)> {
        let sets = sets(&self.inner, held_out);
        let length = sets.iter().map(WindowSet::len).sum();
        let places = indices.iter().map(|i| place(&self.inner, held_out, length, *i)).collect::<PyResult<Vec<_>>>()?;
        let set = |place: &Place| sets.get(if place.held_out { 0 } else { place.set });
        let lengths = || places.iter().filter_map(|place| set(place).map(WindowSet::window_tokens));
        let (least, most) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
        if least < most {
            return Err(PyValueError::new_err(format!("windows of {least} and of {most} tokens do not fit one array")));
        }
        let gathered = py.detach(|| {
            let mut out = Vec::new();
            for place in &places {
                let Some(set) = set(place) else { continue };
                let bytes = set.tokens(place.index)?.bytes();
                if out.is_empty() {
                    out.reserve_exact(bytes.len().saturating_mul(places.len()));
                }
                out.extend_from_slice(bytes);
            }
            Ok(out)
        });
        Ok((Memory::writable(gathered.map_err(raise_index)?), most))
    }

    /// Reads every byte and compares it with the manifest.
    fn verify(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.inner.verify_all()).map_err(raise)
    }
}
