//! The loader and its batches.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use syllabus_reader::loader::{
    Allocate, Array, Borders, Context, Cut, IdType, LoaderOptions, LoaderState, Memory as Block, MicroBatch, Outputs,
    PhaseEnd, Reads, heap,
};
use syllabus_reader::{BatchSize, FillOptions};

use crate::dataset::Dataset;
use crate::errors::{raise, raise_index};
use crate::memory::Memory;

/// A block of memory that Python made: pinned memory of torch.
struct Blocks {
    pointer: usize,
    length: usize,
    /// What the block belongs to.
    _owner: Py<PyAny>,
}

impl Blocks {
    /// `allocate(bytes)` gives the owner and the address of at least so many bytes.
    fn made(allocate: &Py<PyAny>, bytes: usize) -> syllabus_reader::Result<Box<dyn Block>> {
        let made = Python::attach(|py| allocate.call1(py, (bytes,))?.extract::<(Py<PyAny>, usize)>(py));
        let (owner, pointer) = made.map_err(|error| syllabus_reader::Error::Io(std::io::Error::other(error)))?;
        Ok(Box::new(Self { pointer, length: bytes, _owner: owner }))
    }
}

// SAFETY: `allocate` is the package's own; it gives writable memory that its owner keeps where it is, and that is used for nothing
// else. The loader compares the alignment before it writes.
unsafe impl Block for Blocks {
    fn pointer(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.pointer)
    }

    fn length(&self) -> usize {
        self.length
    }
}

/// Hands out one rank's micro-batches.
#[pyclass(frozen)]
pub(crate) struct Loader {
    inner: Mutex<syllabus_reader::loader::Loader>,
}

fn one_of<T: Copy>(what: &str, given: &str, known: &[(&str, T)]) -> PyResult<T> {
    let found = known.iter().find(|(name, _)| *name == given).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|(name, _)| format!("{name:?}")).collect();
        PyValueError::new_err(format!("{what} is {given:?}, not one of {}", names.join(", ")))
    })
}

/// Phase, its number, S, first window, the one after the last, windows, progress, position, tokens before.
type Step = (String, usize, u32, u64, u64, u64, f64, u64, u64);

impl Loader {
    fn lock(&self) -> MutexGuard<'_, syllabus_reader::loader::Loader> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Loader {
    #[new]
    #[pyo3(signature = (
        dataset, *, sizes, by, rank, world, micro, start, skip, phase_end, cp, phase, validation, ids, outputs, max_docs,
        mask_document_starts, ignore_index, threads, prefetch_bytes, allocate, rest
    ))]
    #[expect(clippy::too_many_arguments, reason = "each is a keyword in Python")]
    fn new(
        py: Python<'_>,
        dataset: &Bound<'_, Dataset>,
        sizes: Vec<(u64, u64)>,
        by: &str,
        rank: u32,
        world: u32,
        micro: Option<u64>,
        start: u64,
        skip: Vec<(u64, u64)>,
        phase_end: &str,
        cp: Option<(u32, u32, String)>,
        phase: Option<String>,
        validation: Option<String>,
        ids: &str,
        outputs: Vec<String>,
        max_docs: Option<usize>,
        mask_document_starts: bool,
        ignore_index: Option<i32>,
        threads: usize,
        prefetch_bytes: usize,
        allocate: Option<Py<PyAny>>,
        rest: u64,
    ) -> PyResult<Self> {
        let of = |name: &str| outputs.iter().any(|output| output == name);
        let by_token = one_of("by", by, &[("tokens", true), ("windows", false)])?;
        let context = match cp {
            None => None,
            Some((rank, ranks, cut)) => {
                let cut = one_of("cp", &cut, &[("contiguous", Cut::Contiguous), ("zigzag", Cut::Zigzag)])?;
                Some(Context { rank, ranks, cut })
            }
        };
        let options = LoaderOptions {
            size: if by_token { BatchSize::ByToken(sizes) } else { BatchSize::ByWindow(sizes) },
            rank,
            world,
            micro,
            start,
            skip,
            phase_end: one_of("phase_end", phase_end, &[("short", PhaseEnd::Short), ("drop", PhaseEnd::Drop)])?,
            context,
            reads: match (phase, validation) {
                (None, None) => Reads::Phases,
                (Some(name), None) => Reads::Phase(name),
                (None, Some(name)) => Reads::Validation(name),
                (Some(_), Some(_)) => return Err(PyValueError::new_err("a phase or a held-out set, not both")),
            },
            outputs: Outputs {
                ids: one_of("ids", ids, &[("int32", IdType::I32), ("int64", IdType::I64)])?,
                labels: of("labels"),
                position_ids: of("position_ids"),
                segment_ids: of("segment_ids"),
                loss_mask: of("loss_mask"),
                cu_seqlens: match (of("cu_seqlens"), max_docs) {
                    (false, _) => Borders::None,
                    (true, None) => Borders::Exact,
                    (true, Some(most)) => Borders::Padded(most),
                },
            },
            fill: FillOptions { mask_document_starts, ignore_index },
            threads,
            prefetch_bytes,
        };
        let dataset = Arc::clone(&dataset.get().inner);
        let memory: Box<Allocate> = match allocate {
            None => Box::new(heap),
            Some(allocate) => Box::new(move |bytes| Blocks::made(&allocate, bytes)),
        };
        let make = || syllabus_reader::loader::Loader::with_memory(dataset, options, memory, rest);
        let inner = py.detach(make).map_err(raise)?;
        Ok(Self { inner: Mutex::new(inner) })
    }

    /// The next micro-batch, or `None`.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let batch = py.detach(|| self.lock().next_batch()).map_err(raise)?;
        Ok(batch.map(|batch| Batch { inner: Arc::new(batch) }))
    }

    fn remaining(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.lock().remaining())
    }

    /// The state as JSON.
    fn state(&self, py: Python<'_>) -> PyResult<String> {
        let state = py.detach(|| self.lock().state()).map_err(raise)?;
        serde_json::to_string(&state).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn load_state(&self, py: Python<'_>, state: &str) -> PyResult<()> {
        let state: LoaderState = serde_json::from_str(state)
            .map_err(|error| PyValueError::new_err(format!("this is no state of a loader: {error}")))?;
        py.detach(|| self.lock().load_state(&state)).map_err(raise)
    }

    /// First step, number after the last, next step.
    fn steps(&self, py: Python<'_>) -> (u64, u64, u64) {
        py.detach(|| {
            let loader = self.lock();
            (loader.schedule().first_step(), loader.schedule().steps(), loader.next_step())
        })
    }

    fn at(&self, py: Python<'_>, step: u64) -> PyResult<Step> {
        let at = || {
            let loader = self.lock();
            let s = loader.schedule().at(step)?;
            let phase = s.phase.to_owned();
            let shape = (s.sequence_length, s.start, s.end, s.windows);
            Ok((phase, s.phase_index, shape.0, shape.1, shape.2, shape.3, s.progress, s.position, s.tokens))
        };
        py.detach(at).map_err(raise_index)
    }

    fn step_of(&self, py: Python<'_>, window: u64) -> PyResult<u64> {
        py.detach(|| self.lock().schedule().step_of(window)).map_err(raise_index)
    }
}

/// One micro-batch. Its memory goes back to the loader when it and all arrays of it are gone.
#[pyclass(frozen)]
pub(crate) struct Batch {
    inner: Arc<MicroBatch>,
}

#[pymethods]
impl Batch {
    /// Rows, width, longest sequence, targets of the whole step, step, number of the piece, pieces.
    fn shape(&self) -> PyResult<(usize, usize, usize, u64, u64, u64, u64)> {
        let batch = &*self.inner;
        let step = batch.step().map_err(raise)?.step;
        let (micro, micros) = batch.micro();
        Ok((batch.rows(), batch.width(), batch.max_seqlen(), batch.num_targets_global(), step, micro, micros))
    }

    /// An array's memory, to read and write; `None` when it was not asked for.
    fn array(&self, name: &str) -> PyResult<Option<Memory>> {
        let array = one_of(
            "an array",
            name,
            &[
                ("input_ids", Array::InputIds),
                ("labels", Array::Labels),
                ("position_ids", Array::PositionIds),
                ("segment_ids", Array::SegmentIds),
                ("loss_mask", Array::LossMask),
                ("window_ids", Array::WindowIds),
                ("source_ids", Array::SourceIds),
                ("epochs", Array::Epochs),
            ],
        )?;
        let Some((pointer, length)) = self.inner.pointer(array) else { return Ok(None) };
        let Some(pointer) = NonNull::new(pointer) else { return Ok(None) };
        // SAFETY: a batch has its block to itself until it is dropped; arrays of a block do not overlap.
        Ok(Some(unsafe { Memory::new(pointer, length, true, Box::new(Arc::clone(&self.inner))) }))
    }

    /// The borders, copied.
    fn cu_seqlens(&self) -> Memory {
        Memory::writable(self.inner.cu_seqlens().to_vec())
    }
}
