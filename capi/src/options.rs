//! What a loader is asked for, in C.

use std::ffi::c_char;

use syllabus_reader as reader;
use syllabus_reader::loader::{Borders, Context, Cut, IdType, Outputs, PhaseEnd, Reads};

use crate::argument;
use crate::error::{Failure, Result};

/// `sizes_by`: `from` counts global windows.
pub const SYLLABUS_BY_WINDOW: u32 = 0;
/// `sizes_by`: `from` counts trained positions (tokens).
pub const SYLLABUS_BY_TOKEN: u32 = 1;

/// `phase_end`: the last windows of a phase that do not fill a batch are a shorter batch.
pub const SYLLABUS_PHASE_END_SHORT: u32 = 0;
/// `phase_end`: they are left out.
pub const SYLLABUS_PHASE_END_DROP: u32 = 1;

/// `context_cut`: rank r of n holds the r-th of n equal parts of each sequence.
pub const SYLLABUS_CUT_CONTIGUOUS: u32 = 0;
/// `context_cut`: rank r of n holds parts r and 2n - 1 - r of 2n.
pub const SYLLABUS_CUT_ZIGZAG: u32 = 1;

/// `cu_seqlens`: not written.
pub const SYLLABUS_BORDERS_NONE: u32 = 0;
/// `cu_seqlens`: as many borders as there are.
pub const SYLLABUS_BORDERS_EXACT: u32 = 1;
/// `cu_seqlens`: always `max_docs` + 1 borders, the last repeated. A batch with more sequences is an error.
pub const SYLLABUS_BORDERS_PADDED: u32 = 2;

/// Batches of `windows` windows from `from` on.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BatchSize {
    /// A global window, or a trained position.
    from: u64,
    /// Windows of a global batch.
    windows: u64,
}

/// Global windows from `from` to before `to`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The first.
    from: u64,
    /// The one after the last.
    to: u64,
}

/// What a loader hands out. Start from `syllabus_loader_options_default()`. What it points to is read during
/// `syllabus_loader_new()` and not kept. Flags are 0 or not 0.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct LoaderOptions {
    /// Windows of a global batch, over all ranks. Not read when `sizes_count` is not 0.
    batch: u64,
    /// A schedule of batch sizes, ascending from 0; NULL: always `batch`.
    sizes: *const BatchSize,
    /// Number of `sizes`.
    sizes_count: usize,
    /// What `sizes[i].from` counts: SYLLABUS_BY_WINDOW or SYLLABUS_BY_TOKEN.
    sizes_by: u32,
    /// This data-parallel rank, below `world`.
    rank: u32,
    /// Number of data-parallel ranks.
    world: u32,
    /// Windows of this rank in one batch that is handed out (a piece of the step); 0: all of its part of the step.
    micro: u64,
    /// First global window.
    start: u64,
    /// Windows to leave out; NULL: none.
    skip: *const Span,
    /// Number of `skip`.
    skip_count: usize,
    /// SYLLABUS_PHASE_END_SHORT or SYLLABUS_PHASE_END_DROP.
    phase_end: u32,
    /// This context-parallel rank, below `context_ranks`.
    context_rank: u32,
    /// Ranks that share each sequence; 0: sequences are whole.
    context_ranks: u32,
    /// SYLLABUS_CUT_CONTIGUOUS or SYLLABUS_CUT_ZIGZAG.
    context_cut: u32,
    /// Read this phase alone; NULL: all phases.
    phase: *const c_char,
    /// Read this held-out set (HOLDOUT/SOURCE) instead of phases; NULL: phases.
    validation: *const c_char,
    /// Bytes of `input_ids`, `labels` and `position_ids`: 4 (`int32_t`) or 8 (`int64_t`).
    id_bytes: u32,
    /// How `cu_seqlens` is written: SYLLABUS_BORDERS_...
    cu_seqlens: u32,
    /// Sequences that fit a batch with SYLLABUS_BORDERS_PADDED.
    max_docs: usize,
    /// Whether `labels` is written.
    labels: u8,
    /// Whether `position_ids` is written.
    position_ids: u8,
    /// Whether `segment_ids` is written.
    segment_ids: u8,
    /// Whether `loss_mask` is written.
    loss_mask: u8,
    /// Whether labels that begin another document are masked too: nothing in the window foretells them.
    mask_document_starts: u8,
    /// Whether masked labels are `ignore_index`; else they are the token that follows.
    mask_labels: u8,
    /// Value of masked labels.
    ignore_index: i32,
    /// Threads that fill ahead; 0: the call fills. At most 1,024.
    threads: usize,
    /// Bound on the bytes of batches that are filled ahead. One is always.
    prefetch_bytes: usize,
}

/// Batches of one window for a single rank over all phases, with all arrays, ids of 8 bytes, masked labels of -100, filled ahead
/// by one thread into at most 256 MiB.
#[unsafe(no_mangle)]
pub extern "C" fn syllabus_loader_options_default() -> LoaderOptions {
    LoaderOptions {
        batch: 1,
        sizes: std::ptr::null(),
        sizes_count: 0,
        sizes_by: SYLLABUS_BY_WINDOW,
        rank: 0,
        world: 1,
        micro: 0,
        start: 0,
        skip: std::ptr::null(),
        skip_count: 0,
        phase_end: SYLLABUS_PHASE_END_SHORT,
        context_rank: 0,
        context_ranks: 0,
        context_cut: SYLLABUS_CUT_CONTIGUOUS,
        phase: std::ptr::null(),
        validation: std::ptr::null(),
        id_bytes: 8,
        cu_seqlens: SYLLABUS_BORDERS_EXACT,
        max_docs: 0,
        labels: 1,
        position_ids: 1,
        segment_ids: 1,
        loss_mask: 1,
        mask_document_starts: 0,
        mask_labels: 1,
        ignore_index: -100,
        threads: 1,
        prefetch_bytes: 256 << 20,
    }
}

fn choice<T: Copy>(value: u32, name: &str, choices: &[(u32, T)]) -> Result<T> {
    let found = choices.iter().find(|(number, _)| *number == value);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let known: Vec<_> = choices.iter().map(|(number, _)| number.to_string()).collect();
        Failure::argument(format!("`{name}` is {value}: it may be {}", known.join(", ")))
    })
}

impl LoaderOptions {
    /// # Safety
    /// Its pointers are NULL or point to what the fields say.
    pub(crate) unsafe fn checked(&self) -> Result<reader::loader::LoaderOptions> {
        // SAFETY: the caller's word.
        let (sizes, skip, phase, validation) = unsafe {
            (
                argument::slice(self.sizes, self.sizes_count, "sizes")?,
                argument::slice(self.skip, self.skip_count, "skip")?,
                argument::optional_text(self.phase, "phase")?,
                argument::optional_text(self.validation, "validation")?,
            )
        };
        let by_token = choice(self.sizes_by, "sizes_by", &[(SYLLABUS_BY_WINDOW, false), (SYLLABUS_BY_TOKEN, true)])?;
        let steps = || sizes.iter().map(|size| (size.from, size.windows)).collect();
        let size = match (sizes.is_empty(), by_token) {
            (true, _) => reader::BatchSize::Constant(self.batch),
            (false, false) => reader::BatchSize::ByWindow(steps()),
            (false, true) => reader::BatchSize::ByToken(steps()),
        };
        let reads = match (phase, validation) {
            (None, None) => Reads::Phases,
            (Some(phase), None) => Reads::Phase(phase.to_owned()),
            (None, Some(set)) => Reads::Validation(set.to_owned()),
            (Some(_), Some(_)) => return Err(Failure::argument("`phase` and `validation` are both given: choose one")),
        };
        let cut = [(SYLLABUS_CUT_CONTIGUOUS, Cut::Contiguous), (SYLLABUS_CUT_ZIGZAG, Cut::Zigzag)];
        let cut = choice(self.context_cut, "context_cut", &cut)?;
        let context = Context { rank: self.context_rank, ranks: self.context_ranks, cut };
        let ends = [(SYLLABUS_PHASE_END_SHORT, PhaseEnd::Short), (SYLLABUS_PHASE_END_DROP, PhaseEnd::Drop)];
        let borders = [
            (SYLLABUS_BORDERS_NONE, Borders::None),
            (SYLLABUS_BORDERS_EXACT, Borders::Exact),
            (SYLLABUS_BORDERS_PADDED, Borders::Padded(self.max_docs)),
        ];
        Ok(reader::loader::LoaderOptions {
            size,
            rank: self.rank,
            world: self.world,
            micro: Some(self.micro).filter(|&micro| micro > 0),
            start: self.start,
            skip: skip.iter().map(|span| (span.from, span.to)).collect(),
            phase_end: choice(self.phase_end, "phase_end", &ends)?,
            context: Some(context).filter(|context| context.ranks > 0),
            reads,
            outputs: Outputs {
                ids: choice(self.id_bytes, "id_bytes", &[(4, IdType::I32), (8, IdType::I64)])?,
                labels: self.labels != 0,
                position_ids: self.position_ids != 0,
                segment_ids: self.segment_ids != 0,
                loss_mask: self.loss_mask != 0,
                cu_seqlens: choice(self.cu_seqlens, "cu_seqlens", &borders)?,
            },
            fill: reader::FillOptions {
                mask_document_starts: self.mask_document_starts != 0,
                ignore_index: Some(self.ignore_index).filter(|_| self.mask_labels != 0),
            },
            threads: self.threads,
            prefetch_bytes: self.prefetch_bytes,
        })
    }
}
