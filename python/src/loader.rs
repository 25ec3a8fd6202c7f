//! The loader and its batches.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use numpy::ToPyArray;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use syllabus_reader::loader::{
    Allocate, Array, Borders, Context, Cut, IdType, LoaderOptions, LoaderState, Memory as Block, MicroBatch, Outputs,
    PhaseEnd, Reads, heap,
};
use syllabus_reader::{BatchSize, FillOptions};

use crate::arrays::{Bytes, view};
use crate::dataset::Dataset;
use crate::errors::{raise, raise_index};

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
    ids: IdType,
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
        let ids = options.outputs.ids;
        let dataset = Arc::clone(&dataset.get().inner);
        let memory: Box<Allocate> = match allocate {
            None => Box::new(heap),
            Some(allocate) => Box::new(move |bytes| Blocks::made(&allocate, bytes)),
        };
        let make = || syllabus_reader::loader::Loader::with_memory(dataset, options, memory, rest);
        let inner = py.detach(make).map_err(raise)?;
        Ok(Self { inner: Mutex::new(inner), ids })
    }

    /// The next micro-batch as a dictionary of arrays and numbers, or `None`.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let batch = py.detach(|| self.lock().next_batch()).map_err(raise)?;
        batch.map(|batch| Bound::new(py, Batch { inner: batch, ids: self.ids })?.dictionary()).transpose()
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
    inner: MicroBatch,
    ids: IdType,
}

/// What an array holds.
#[derive(Clone, Copy)]
enum Values {
    Bool,
    I32,
    I64,
}

trait Arrays<'py> {
    /// The batch's arrays by their names, and its numbers.
    fn dictionary(&self) -> PyResult<Bound<'py, PyDict>>;

    /// An array to read and write, of rows alone or of rows × width; `None` when it was not asked for.
    fn array(&self, array: Array, values: Values, width: Option<usize>) -> PyResult<Option<Bound<'py, PyAny>>>;
}

impl<'py> Arrays<'py> for Bound<'py, Batch> {
    fn dictionary(&self) -> PyResult<Bound<'py, PyDict>> {
        let (py, batch) = (self.py(), &self.get().inner);
        let ids = match self.get().ids {
            IdType::I32 => Values::I32,
            IdType::I64 => Values::I64,
        };
        let out = PyDict::new(py);
        let width = Some(batch.width());
        let arrays = [
            (intern!(py, "input_ids"), Array::InputIds, ids, width),
            (intern!(py, "labels"), Array::Labels, ids, width),
            (intern!(py, "position_ids"), Array::PositionIds, ids, width),
            (intern!(py, "segment_ids"), Array::SegmentIds, Values::I32, width),
            (intern!(py, "loss_mask"), Array::LossMask, Values::Bool, width),
            (intern!(py, "window_ids"), Array::WindowIds, Values::I64, None),
            (intern!(py, "source_ids"), Array::SourceIds, Values::I32, None),
            (intern!(py, "epochs"), Array::Epochs, Values::I32, None),
        ];
        for (name, array, values, width) in arrays {
            if let Some(array) = self.array(array, values, width)? {
                out.set_item(name, array)?;
            }
        }
        // They have no fixed number, hence no place in the block.
        if !batch.cu_seqlens().is_empty() {
            out.set_item(intern!(py, "cu_seqlens"), batch.cu_seqlens().to_pyarray(py))?;
        }
        let (micro, micros) = batch.micro();
        out.set_item(intern!(py, "max_seqlen"), batch.max_seqlen())?;
        out.set_item(intern!(py, "num_targets_global"), batch.num_targets_global())?;
        out.set_item(intern!(py, "step"), batch.step().map_err(raise)?.step)?;
        out.set_item(intern!(py, "micro"), micro)?;
        out.set_item(intern!(py, "micros"), micros)?;
        Ok(out)
    }

    fn array(&self, array: Array, values: Values, width: Option<usize>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let batch = &self.get().inner;
        let Some((pointer, length)) = batch.pointer(array) else { return Ok(None) };
        let each = batch.value_bytes(array);
        let right = each
            == match values {
                Values::Bool => 1,
                Values::I32 => 4,
                Values::I64 => 8,
            };
        let rows = batch.rows();
        let bytes = rows.checked_mul(width.unwrap_or(1)).and_then(|values| values.checked_mul(each));
        let Some(pointer) = NonNull::new(pointer).filter(|_| right && bytes == Some(length)) else {
            return Err(PyRuntimeError::new_err(format!("{array:?} has another shape; this is a bug")));
        };
        let bytes = Bytes { pointer, shape: (rows, width), writable: true };
        let owner = self.clone().into_any();
        // SAFETY: a batch has its block to itself until it is dropped, and the array keeps it; arrays of a block do not overlap and
        // begin at multiples of 64; its length is that of the shape, as compared above; the mask holds nothing but 0 and 1.
        let made = unsafe {
            match values {
                Values::Bool => view::<bool>(bytes, owner),
                Values::I32 => view::<i32>(bytes, owner),
                Values::I64 => view::<i64>(bytes, owner),
            }
        };
        made.map(Some)
    }
}
