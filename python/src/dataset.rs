//! Datasets.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
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

impl Dataset {
    /// Where window `index` is: counted over all phases, or in one held-out set; below zero from the end.
    fn place(&self, held_out: Option<usize>, index: isize) -> PyResult<Place> {
        let sets = sets(&self.inner, held_out);
        let length: u64 = sets.iter().map(WindowSet::len).sum();
        let counted = u64::try_from(index).ok();
        let counted = counted.or_else(|| length.checked_sub(u64::try_from(index.unsigned_abs()).ok()?));
        let i = counted.filter(|i| *i < length);
        let i = i.ok_or_else(|| PyIndexError::new_err(format!("there is no window {index}: there are {length}")))?;
        if let Some(set) = held_out {
            return Ok(Place { held_out: true, set, index: i });
        }
        // Of sets without windows, which share their first with the next one, the last that starts here has it.
        let set = sets.partition_point(|set| set.first_window() <= i).saturating_sub(1);
        let first = sets.get(set).map_or(0, WindowSet::first_window);
        Ok(Place { held_out: false, set, index: i - first })
    }
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

    /// Window `index` of all phases, or of a held-out set.
    fn window(&self, py: Python<'_>, held_out: Option<usize>, index: isize) -> PyResult<Window> {
        let place = self.place(held_out, index)?;
        let dataset = &self.inner;
        py.detach(|| Window::new(dataset, place)).map_err(raise_index)
    }

    /// Tokens of windows, one after the other, and W.
    fn gather(&self, py: Python<'_>, held_out: Option<usize>, indices: Vec<isize>) -> PyResult<(Memory, u32)> {
        let places = indices.iter().map(|i| self.place(held_out, *i)).collect::<PyResult<Vec<_>>>()?;
        let sets = sets(&self.inner, held_out);
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
