//! The `.arrow` beside each `.bin`: an Arrow IPC file (uncompressed) with one row a window.
//!
//! | column | type | meaning |
//! | --- | --- | --- |
//! | `source` | dictionary<i32, utf8> | the window's source; the dictionary holds all sources of the curriculum in its order |
//! | `padding` | u32 | padding tokens at the window's end |
//! | `fragments` | list<struct> | documents in the window, in order: |
//! | – `start` | u32 | first token, counted in the window |
//! | – `length` | u32 | tokens |
//! | – `document` | fixed_size_binary\[16\] | the document's key, big-endian |
//! | – `offset` | u32 | first token, counted in the document's tokens |
//! | – `epoch` | u32 | epoch of the source, from 0 |
//!
//! No column holds nulls. The reader takes the columns where they lie in the mapped file: opening costs O(row batches), a row O(1),
//! and nothing is trusted that was not compared with the file's size.

mod file;
mod layout;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int32Array, ListArray, RecordBatch, StringArray, StructArray,
    UInt32Array,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};

use super::digest::{Digest, RowsHasher};
use super::{DocumentKey, Fragment};
use crate::error::{Error, Result};
pub use file::WindowsFile;
use layout::Layout;

/// Windows in a row batch.
const BATCH_ROWS: usize = 4_096;
/// Fragments after which a row batch ends early: bounds the writer's memory to some 10 MB.
const BATCH_FRAGMENTS: usize = 1 << 18;

fn fragment_fields() -> Fields {
    Fields::from(vec![
        Field::new("start", DataType::UInt32, false),
        Field::new("length", DataType::UInt32, false),
        Field::new("document", DataType::FixedSizeBinary(16), false),
        Field::new("offset", DataType::UInt32, false),
        Field::new("epoch", DataType::UInt32, false),
    ])
}

fn fragment_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(fragment_fields()), false))
}

/// The Arrow schema of the file.
#[must_use]
pub fn schema() -> Schema {
    let source = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Schema::new(vec![
        Field::new("source", source, false),
        Field::new("padding", DataType::UInt32, false),
        Field::new("fragments", DataType::List(fragment_item()), false),
    ])
}

fn from_arrow(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => Error::Io(error),
        other => Error::Io(std::io::Error::other(other)),
    }
}

/// Columns of the row batch being gathered.
#[derive(Default)]
struct Columns {
    source: Vec<i32>,
    padding: Vec<u32>,
    ends: Vec<i32>,
    start: Vec<u32>,
    length: Vec<u32>,
    document: Vec<u8>,
    offset: Vec<u32>,
    epoch: Vec<u32>,
}

/// Writes an `.arrow` window by window.
///
/// The same rows give the same bytes; the digest covers the rows alone.
pub struct WindowsWriter<W: Write> {
    file: FileWriter<W>,
    names: Vec<String>,
    dictionary: ArrayRef,
    columns: Columns,
    rows: RowsHasher,
}

impl<W: Write> std::fmt::Debug for WindowsWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowsWriter").field("sources", &self.names).finish_non_exhaustive()
    }
}

impl<W: Write> WindowsWriter<W> {
    /// Begins a file; `sources` are all the curriculum's source names in its order. `out` should be buffered.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(out: W, sources: &[String]) -> Result<Self> {
        let file = FileWriter::try_new(out, &schema()).map_err(from_arrow)?;
        let dictionary: ArrayRef = Arc::new(StringArray::from_iter_values(sources));
        Ok(Self { file, names: sources.to_vec(), dictionary, columns: Columns::default(), rows: RowsHasher::default() })
    }

    /// Adds the next window: its source (an index into `sources`), padding tokens at its end, and fragments in order.
    ///
    /// # Errors
    /// A source that does not exist, or what the file says.
    pub fn push(&mut self, source: u32, padding: u32, fragments: &[Fragment]) -> Result<()> {
        let unknown = || Error::OutOfRange(format!("source {source}: there are {}", self.names.len()));
        let name = usize::try_from(source).ok().and_then(|i| self.names.get(i)).ok_or_else(unknown)?;
        let index = i32::try_from(source).map_err(|_| unknown())?;
        let ends = self.columns.start.len() + fragments.len();
        let ends = i32::try_from(ends)
            .map_err(|_| Error::OutOfRange(format!("a window of {} fragments is too large", fragments.len())))?;
        self.rows.push(name, padding, fragments.iter().copied());
        let columns = &mut self.columns;
        columns.source.push(index);
        columns.padding.push(padding);
        columns.ends.push(ends);
        for fragment in fragments {
            columns.start.push(fragment.start);
            columns.length.push(fragment.length);
            columns.document.extend_from_slice(&fragment.document.0);
            columns.offset.push(fragment.offset);
            columns.epoch.push(fragment.epoch);
        }
        if columns.source.len() >= BATCH_ROWS || columns.start.len() >= BATCH_FRAGMENTS {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the file. Gives back `out` (flushed, not synced) and the digest of the rows.
    ///
    /// # Errors
    /// What the file says.
    pub fn finish(mut self) -> Result<(W, Digest)> {
        self.flush()?;
        let out = self.file.into_inner().map_err(from_arrow)?;
        Ok((out, self.rows.finish()))
    }

    fn flush(&mut self) -> Result<()> {
        if self.columns.source.is_empty() {
            return Ok(());
        }
        let batch = self.batch().map_err(from_arrow)?;
        self.file.write(&batch).map_err(from_arrow)
    }

    fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns = std::mem::take(&mut self.columns);
        let source = Int32Array::from(columns.source);
        let source = DictionaryArray::<Int32Type>::try_new(source, Arc::clone(&self.dictionary))?;
        let document = FixedSizeBinaryArray::try_new(16, Buffer::from_vec(columns.document), None)?;
        let fragments = StructArray::try_new(
            fragment_fields(),
            vec![
                Arc::new(UInt32Array::from(columns.start)),
                Arc::new(UInt32Array::from(columns.length)),
                Arc::new(document),
                Arc::new(UInt32Array::from(columns.offset)),
                Arc::new(UInt32Array::from(columns.epoch)),
            ],
            None,
        )?;
        let mut offsets = Vec::with_capacity(columns.ends.len() + 1);
        offsets.push(0);
        offsets.extend(columns.ends);
        // The ends only grow: each is the former plus a length.
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let fragments = ListArray::try_new(fragment_item(), offsets, Arc::new(fragments), None)?;
        let padding = UInt32Array::from(columns.padding);
        RecordBatch::try_new(Arc::new(schema()), vec![Arc::new(source), Arc::new(padding), Arc::new(fragments)])
    }
}

/// One window's row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Index into [`WindowsReader::sources`].
    pub source: u32,
    /// Padding tokens at the window's end.
    pub padding: u32,
    /// Fragments, in order.
    pub fragments: Fragments<'a>,
}

/// A window's fragments, read where they lie. Itself an iterator; a copy starts anew.
#[derive(Clone, Copy)]
pub struct Fragments<'a> {
    start: &'a [[u8; 4]],
    length: &'a [[u8; 4]],
    document: &'a [[u8; 16]],
    offset: &'a [[u8; 4]],
    epoch: &'a [[u8; 4]],
}

impl Fragments<'_> {
    /// Number of fragments left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.start.len()
    }

    /// Whether there is none left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    /// Fragment `i` of those left.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<Fragment> {
        Some(Fragment {
            start: u32::from_le_bytes(*self.start.get(i)?),
            length: u32::from_le_bytes(*self.length.get(i)?),
            document: DocumentKey(*self.document.get(i)?),
            offset: u32::from_le_bytes(*self.offset.get(i)?),
            epoch: u32::from_le_bytes(*self.epoch.get(i)?),
        })
    }
}

impl Iterator for Fragments<'_> {
    type Item = Fragment;

    fn next(&mut self) -> Option<Fragment> {
        let first = self.get(0)?;
        self.start = self.start.get(1..)?;
        self.length = self.length.get(1..)?;
        self.document = self.document.get(1..)?;
        self.offset = self.offset.get(1..)?;
        self.epoch = self.epoch.get(1..)?;
        Some(first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl ExactSizeIterator for Fragments<'_> {}

impl std::fmt::Debug for Fragments<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// Reads an `.arrow` in memory or mapped.
pub struct WindowsReader<B> {
    file: PathBuf,
    bytes: B,
    layout: Layout,
}

impl<B> std::fmt::Debug for WindowsReader<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowsReader")
            .field("file", &self.file)
            .field("rows", &self.layout.rows())
            .finish_non_exhaustive()
    }
}

/// A mapped `.arrow`.
pub type MappedWindows = WindowsReader<memmap2::Mmap>;

impl MappedWindows {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be mapped, [`Error::Corrupt`] when it is not such a file.
    pub fn open(path: &Path) -> Result<Self> {
        let map = crate::map::map(path)?;
        let layout = Layout::parse(&map, &|range| crate::map::ready(&map, range, path));
        let layout = layout.map_err(|message| Error::Corrupt { file: path.to_owned(), message })?;
        Ok(Self { file: path.to_owned(), bytes: map, layout })
    }

    /// Brings all of it into memory by a call that can fail.
    pub(crate) fn populate(&self) -> Result<()> {
        crate::map::populate(&self.bytes, 0..self.bytes.len(), &self.file)
    }

    /// Brings the row batch with row `i` into memory by a call that can fail, unless `done` says that this was done.
    pub(crate) fn populate_row(&self, i: u64, done: &[AtomicBool]) -> Result<()> {
        let Some((number, body)) = self.layout.batch_of(i) else { return Ok(()) };
        let done = done.get(number);
        if !done.is_some_and(|done| done.load(Ordering::Relaxed)) {
            crate::map::populate(&self.bytes, body, &self.file)?;
            if let Some(done) = done {
                done.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

impl<B: AsRef<[u8]>> WindowsReader<B> {
    /// Reads the footer and the row batches' headers. `file` is named in errors.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are not an `.arrow` with this format's columns.
    pub fn new(file: PathBuf, bytes: B) -> Result<Self> {
        let layout = Layout::parse(bytes.as_ref(), &|_| Ok(()))
            .map_err(|message| Error::Corrupt { file: file.clone(), message })?;
        Ok(Self { file, bytes, layout })
    }

    /// The file, as named in errors.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Number of row batches.
    pub(crate) fn batches(&self) -> usize {
        self.layout.batches()
    }

    /// Keeps `names` instead of its own source names where both are equal.
    pub(crate) fn share(&mut self, names: &Arc<Vec<String>>) {
        self.layout.share(names);
    }

    /// Number of windows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.layout.rows()
    }

    /// Source names that rows refer to; empty in a file without rows.
    #[must_use]
    pub fn sources(&self) -> &[String] {
        self.layout.sources()
    }

    /// Row `i`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] past the last row, [`Error::Corrupt`] when the row points outside its batch.
    pub fn row(&self, i: u64) -> Result<Row<'_>> {
        within(&self.file, i, self.rows())?;
        self.layout.row(self.bytes.as_ref(), 0, i).ok_or_else(|| outside(&self.file, i))
    }

    /// The digest of all rows: what [`WindowsWriter::finish`] gave.
    ///
    /// # Errors
    /// The first row's that is [`Error::Corrupt`].
    pub fn digest(&self) -> Result<Digest> {
        let mut hasher = RowsHasher::default();
        for i in 0..self.rows() {
            let row = self.row(i)?;
            let name = self.layout.source(row.source).unwrap_or_default();
            hasher.push(name, row.padding, row.fragments);
        }
        Ok(hasher.finish())
    }
}

fn within(file: &Path, i: u64, rows: u64) -> Result<()> {
    if i < rows { Ok(()) } else { Err(Error::OutOfRange(format!("{}: window {i} of {rows}", file.display()))) }
}

fn outside(file: &Path, i: u64) -> Error {
    Error::Corrupt { file: file.to_owned(), message: format!("row {i} points outside its row batch") }
}

#[cfg(test)]
mod tests;
