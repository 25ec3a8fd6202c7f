//! A batch that a loader handed out.

use std::ffi::c_void;
use std::sync::Arc;

use syllabus_reader::loader::{Array, MicroBatch};

use crate::argument::{self, Out};
use crate::dataset::Shared;
use crate::error::{Result, Status, guard};

/// One rank's piece of one step. Its memory goes back to the loader when it is freed. It may outlive loader and dataset, and any
/// number of threads may use it.
pub struct Batch {
    info: BatchInfo,
    /// What `info` points into.
    _batch: MicroBatch,
    _shared: Arc<Shared>,
}

/// What a batch holds. Arrays of rows x `width` lie row after row; one that was not asked for is NULL. All pointers are valid until
/// the batch is freed; arrays begin at multiples of 64 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BatchInfo {
    /// Its step: see `syllabus_schedule_at()`.
    step: u64,
    /// Its number among the pieces of its step, from 0.
    micro: u64,
    /// Pieces of its step.
    micros: u64,
    /// Labels that are trained on in the whole step, over all ranks and pieces: what a summed loss is divided by.
    num_targets_global: u64,
    /// Rows; may be 0 in a short batch.
    rows: usize,
    /// Values in a row: S, or a context-parallel rank's part of it.
    width: usize,
    /// S.
    sequence_length: usize,
    /// The longest sequence between two borders of `cu_seqlens`.
    max_seqlen: usize,
    /// Bytes of `input_ids`, `labels` and `position_ids`: 4 (`int32_t`) or 8 (`int64_t`).
    id_bytes: usize,
    /// Rows x width: the input ids.
    input_ids: *const c_void,
    /// Rows x width: the id that follows each input.
    labels: *const c_void,
    /// Rows x width: position within the document's part, from 0 at its start.
    position_ids: *const c_void,
    /// Rows x width: number of the document's part in its row, from 1; padding is 0.
    segment_ids: *const i32,
    /// Rows x width: 1 where the label is trained on, else 0.
    loss_mask: *const u8,
    /// Rows: global number of the window.
    window_ids: *const i64,
    /// Rows: the window's source, as an index for `syllabus_dataset_source()`.
    source_ids: *const i32,
    /// Rows: epoch of the window's first document, from 0.
    epochs: *const i32,
    /// Borders of all sequences in the flattened rows, from 0; NULL when not asked for.
    cu_seqlens: *const i32,
    /// Number of borders.
    cu_seqlens_count: usize,
}

impl Batch {
    pub(crate) fn new(batch: MicroBatch, shared: Arc<Shared>) -> Result<Self> {
        fn array<T>(batch: &MicroBatch, array: Array) -> *const T {
            batch.bytes(array).map_or(std::ptr::null(), |bytes| bytes.as_ptr().cast())
        }
        let (micro, micros) = batch.micro();
        let borders = batch.cu_seqlens();
        let info = BatchInfo {
            step: batch.step()?.step,
            micro,
            micros,
            num_targets_global: batch.num_targets_global(),
            rows: batch.rows(),
            width: batch.width(),
            sequence_length: batch.sequence_length(),
            max_seqlen: batch.max_seqlen(),
            id_bytes: batch.value_bytes(Array::InputIds),
            input_ids: array(&batch, Array::InputIds),
            labels: array(&batch, Array::Labels),
            position_ids: array(&batch, Array::PositionIds),
            segment_ids: array(&batch, Array::SegmentIds),
            loss_mask: array(&batch, Array::LossMask),
            window_ids: array(&batch, Array::WindowIds),
            source_ids: array(&batch, Array::SourceIds),
            epochs: array(&batch, Array::Epochs),
            cu_seqlens: if borders.is_empty() { std::ptr::null() } else { borders.as_ptr() },
            cu_seqlens_count: borders.len(),
        };
        Ok(Self { info, _batch: batch, _shared: shared })
    }
}

/// Writes what the batch holds to `*out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_batch_describe(batch: *const Batch, out: *mut BatchInfo) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (batch, out) = unsafe { (argument::get(batch, "batch")?, Out::new(out, "out")?) };
        out.put(batch.info);
        Ok(Status::Ok)
    })
}

/// Frees the batch; NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_batch_free(batch: *mut Batch) {
    // SAFETY: as the header asks.
    unsafe { argument::free(batch) };
}
