//! Opening a dataset, and what it is.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use syllabus_reader as reader;
use syllabus_reader::WindowSet;
use syllabus_reader::format::TokenDtype;

use crate::argument::{self, Out};
use crate::error::{Failure, Result, Status, c_text, guard};

/// An opened dataset. Any number of threads may use it at once.
pub struct Dataset(pub(crate) Arc<Shared>);

/// What datasets, windows, loaders and batches share: it lives as long as the last of them.
pub(crate) struct Shared {
    pub(crate) dataset: Arc<reader::Dataset>,
    name: CString,
    digest: CString,
    pub(crate) sources: Vec<CString>,
    pub(crate) phases: Vec<CString>,
    pub(crate) validation: Vec<CString>,
}

impl Shared {
    fn new(dataset: reader::Dataset) -> Self {
        let names = |sets: &[WindowSet]| sets.iter().map(|set| c_text(set.name())).collect();
        let manifest = dataset.manifest();
        Self {
            name: c_text(&manifest.name),
            digest: c_text(&manifest.dataset_digest),
            sources: manifest.sources.iter().map(|source| c_text(&source.name)).collect(),
            phases: names(dataset.phases()),
            validation: names(dataset.validation()),
            dataset: Arc::new(dataset),
        }
    }
}

/// What the caller relies on: opening fails with SYLLABUS_STATUS_CONTRACT when something does not hold. Start from
/// `syllabus_open_options_default()`, which relies on nothing.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// Lower-case hex BLAKE3 of the trainer's `tokenizer.json`; NULL: any.
    tokenizer_digest: *const c_char,
    /// Lower-case hex digest of the dataset; NULL: any.
    dataset_digest: *const c_char,
    /// Rows of the trainer's embedding table, in which the vocabulary must fit; 0: any.
    vocab_size: u32,
    /// S of every phase; 0: any.
    sequence_length: u32,
    /// Bytes of a token, 2 or 4; 0: any.
    token_bytes: u32,
    /// Id before each document; -1: there must be none; -2: any.
    bos_id: i64,
    /// Id after each document; -1: there must be none; -2: any.
    eos_id: i64,
    /// Not 0: each shard is hashed when it is first read, and one that was altered is an error. Costs one read of the shard.
    hash_on_first_touch: u8,
}

/// Relies on nothing, hashes nothing.
#[unsafe(no_mangle)]
pub extern "C" fn syllabus_open_options_default() -> OpenOptions {
    OpenOptions {
        tokenizer_digest: std::ptr::null(),
        dataset_digest: std::ptr::null(),
        vocab_size: 0,
        sequence_length: 0,
        token_bytes: 0,
        bos_id: -2,
        eos_id: -2,
        hash_on_first_touch: 0,
    }
}

impl OpenOptions {
    /// # Safety
    /// Its texts are NULL or end with NUL.
    unsafe fn checked(&self) -> Result<reader::OpenOptions> {
        let id = |id: i64, name: &str| match id {
            -2 => Ok(None),
            -1 => Ok(Some(None)),
            id => u32::try_from(id)
                .map(|id| Some(Some(id)))
                .map_err(|_| Failure::argument(format!("`{name}` is {id}: an id, -1 for none, or -2 for any"))),
        };
        // SAFETY: the caller's word.
        let text =
            |pointer, name| unsafe { argument::optional_text(pointer, name) }.map(|text| text.map(str::to_owned));
        Ok(reader::OpenOptions {
            tokenizer_digest: text(self.tokenizer_digest, "tokenizer_digest")?,
            dataset_digest: text(self.dataset_digest, "dataset_digest")?,
            vocab_size: Some(self.vocab_size).filter(|&size| size > 0),
            sequence_length: Some(self.sequence_length).filter(|&s| s > 0),
            token_dtype: match self.token_bytes {
                0 => None,
                2 => Some(TokenDtype::U16),
                4 => Some(TokenDtype::U32),
                other => return Err(Failure::argument(format!("`token_bytes` is {other}: 2, 4, or 0 for any"))),
            },
            bos_id: id(self.bos_id, "bos_id")?,
            eos_id: id(self.eos_id, "eos_id")?,
            hash_on_first_touch: self.hash_on_first_touch != 0,
        })
    }
}

/// Opens the dataset in folder `path`: reads its manifest and compares the size of every shard with it. Nothing is mapped yet.
/// `options` may be NULL. On success `*out` is a handle to be freed with `syllabus_dataset_free()`; else it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_open(
    path: *const c_char,
    options: *const OpenOptions,
    out: *mut *mut Dataset,
) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (out, path, options) = unsafe {
            let out = Out::handle(out, "out")?;
            let options = argument::optional(options, "options")?.map(|options| options.checked()).transpose()?;
            (out, argument::path(path, "path")?, options.unwrap_or_default())
        };
        out.put_box(Dataset(Arc::new(Shared::new(options.open(path)?))));
        Ok(Status::Ok)
    })
}

/// Frees the handle; NULL is allowed. Windows, loaders, batches and schedules that were made from it stay valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_dataset_free(dataset: *mut Dataset) {
    // SAFETY: as the header asks.
    unsafe { argument::free(dataset) };
}

/// What a dataset is. The texts are valid as long as the handle.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct DatasetInfo {
    /// Name of the curriculum.
    name: *const c_char,
    /// Hex digest.
    digest: *const c_char,
    /// Windows of all phases.
    windows: u64,
    /// Phases, in training order: see `syllabus_dataset_phase()`.
    phases: usize,
    /// Held-out sets: see `syllabus_dataset_validation()`.
    validation: usize,
    /// Sources: see `syllabus_dataset_source()`.
    sources: usize,
    /// Bytes of a token on disk and in `syllabus_window_info.tokens`: 2 or 4, unsigned.
    token_bytes: u32,
    /// 1 + the largest id of the tokenizer.
    vocab_size: u32,
    /// Largest id in the dataset.
    max_token_id: u32,
    /// Id of padding.
    pad_id: u32,
    /// Id before each document; -1: none.
    bos_id: i64,
    /// Id after each document; -1: none.
    eos_id: i64,
}

/// Writes what the dataset is to `*out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_dataset_describe(dataset: *const Dataset, out: *mut DatasetInfo) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (shared, out) = unsafe { (&argument::get(dataset, "dataset")?.0, Out::new(out, "out")?) };
        let (dataset, id) = (&shared.dataset, |id: Option<u32>| id.map_or(-1, i64::from));
        let manifest = dataset.manifest();
        out.put(DatasetInfo {
            name: shared.name.as_ptr(),
            digest: shared.digest.as_ptr(),
            windows: dataset.len(),
            phases: shared.phases.len(),
            validation: shared.validation.len(),
            sources: shared.sources.len(),
            token_bytes: u32::from(manifest.token_dtype.width_u8()),
            vocab_size: manifest.tokenizer.vocab_size,
            max_token_id: manifest.max_token_id,
            pad_id: manifest.tokenizer.pad_id,
            bos_id: id(manifest.tokenizer.bos_id),
            eos_id: id(manifest.tokenizer.eos_id),
        });
        Ok(Status::Ok)
    })
}

/// A phase or a held-out set. The name is valid as long as the dataset's handle.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SetInfo {
    /// Name of the phase, or HOLDOUT/SOURCE.
    name: *const c_char,
    /// Windows.
    windows: u64,
    /// Global number of its first window; 0 for a held-out set.
    first_window: u64,
    /// Trained positions of all phases before it; 0 for a held-out set.
    first_position: u64,
    /// S: trained positions of a window.
    sequence_length: u32,
    /// W: tokens of a window, S + 1 or S.
    window_tokens: u32,
    /// Shards.
    shards: usize,
}

fn set_info(sets: &[WindowSet], names: &[CString], i: usize, kind: &str) -> Result<SetInfo> {
    let found = sets.get(i).zip(names.get(i));
    let (set, name) = found.ok_or_else(|| Failure {
        status: Status::Range,
        message: format!("there is no {kind} {i}: there are {}", sets.len()),
    })?;
    Ok(SetInfo {
        name: name.as_ptr(),
        windows: set.len(),
        first_window: set.first_window(),
        first_position: set.first_position(),
        sequence_length: set.sequence_length(),
        window_tokens: set.window_tokens(),
        shards: set.shards(),
    })
}

/// Writes what phase `index` is to `*out`, counted from 0 in training order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_dataset_phase(dataset: *const Dataset, index: usize, out: *mut SetInfo) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (shared, out) = unsafe { (&argument::get(dataset, "dataset")?.0, Out::new(out, "out")?) };
        out.put(set_info(shared.dataset.phases(), &shared.phases, index, "phase")?);
        Ok(Status::Ok)
    })
}

/// Writes what held-out set `index` is to `*out`, counted from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_dataset_validation(
    dataset: *const Dataset,
    index: usize,
    out: *mut SetInfo,
) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (shared, out) = unsafe { (&argument::get(dataset, "dataset")?.0, Out::new(out, "out")?) };
        out.put(set_info(shared.dataset.validation(), &shared.validation, index, "held-out set")?);
        Ok(Status::Ok)
    })
}

/// Sets `*name` to the name of source `index`, counted from 0; valid as long as the dataset's handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_dataset_source(
    dataset: *const Dataset,
    index: usize,
    name: *mut *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (shared, out) = unsafe { (&argument::get(dataset, "dataset")?.0, Out::new(name, "name")?) };
        let source = shared.sources.get(index).ok_or_else(|| Failure {
            status: Status::Range,
            message: format!("there is no source {index}: there are {}", shared.sources.len()),
        })?;
        out.put(source.as_ptr());
        Ok(Status::Ok)
    })
}

/// Reads every byte of every shard and compares it with the manifest's digests. Takes as long as reading all of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_dataset_verify(dataset: *const Dataset) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        unsafe { argument::get(dataset, "dataset")? }.0.dataset.verify_all()?;
        Ok(Status::Ok)
    })
}
