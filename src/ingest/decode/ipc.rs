//! Arrow IPC, as a file (with a footer) and as a stream.
//!
//! Record batches are read whole, as that is how they are stored, and handed out in slices. A stream must end with its end
//! marker: without it nothing would tell a whole stream from a truncated one.

#![expect(clippy::disallowed_types, reason = "the Arrow crate takes dictionaries in a HashMap; it is never iterated")]

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::{read_dictionary, read_record_batch};
use arrow::ipc::{self, MetadataVersion};

use super::contain::contain;
use super::frames::{Frame, too_large};
use super::room::Held;
use super::source::SourceBytes;
use super::{At, Batch, Body, Part, Presence, ReadSpec, Row, Shared, Unit, UnitReader, Value, arrays, lists};
use crate::curriculum::resolved::SourceFile;
use crate::{Error, Result};

/// Bytes of record batches at which a unit is full.
const UNIT_BYTES: u64 = 32 << 20;
/// What starts and ends an Arrow file.
const MAGIC: &[u8] = b"ARROW1";
/// Bytes at its end: the length of the footer, and the magic.
const TAIL: u64 = 10;

/// The columns needed, as they lie in a schema.
#[derive(Debug)]
pub struct Layout {
    schema: SchemaRef,
    /// Top-level fields to decode, ascending.
    projection: Vec<usize>,
    /// For each column of the spec: its place in the projection, and the way through structs below.
    paths: Vec<Option<(usize, Vec<usize>)>>,
}

impl Layout {
    pub fn new(schema: Schema, spec: &ReadSpec) -> Self {
        let found: Vec<Option<Vec<usize>>> =
            spec.columns().iter().map(|name| arrays::find(schema.fields(), name)).collect();
        let mut projection: Vec<usize> = found.iter().flatten().filter_map(|path| path.first().copied()).collect();
        projection.sort_unstable();
        projection.dedup();
        let place = |path: Vec<usize>| {
            let (top, below) = path.split_first()?;
            Some((projection.binary_search(top).ok()?, below.to_vec()))
        };
        let paths = found.into_iter().map(|path| path.and_then(place)).collect();
        Self { schema: Arc::new(schema), projection, paths }
    }

    /// Top-level fields that are needed, ascending.
    pub fn projection(&self) -> &[usize] {
        &self.projection
    }
}

/// A file's footer, and where the needed columns are.
#[derive(Debug)]
pub struct Footer {
    layout: Arc<Layout>,
    version: MetadataVersion,
    /// Offsets of dictionaries.
    dictionaries: Vec<u64>,
    /// Offsets, rows and bytes of record batches.
    batches: Vec<(u64, u64, u64)>,
}

impl Footer {
    /// Reads the footer, and the head of each record batch.
    pub fn open(source: &SourceBytes, spec: &ReadSpec) -> Result<Self> {
        let at_footer = |message: String| source.fault("footer", message);
        let cut = || {
            at_footer(
                "the file does not end as Arrow files do: it is truncated or damaged; copy or write it again"
                    .to_owned(),
            )
        };
        let tail_at = source.size().checked_sub(TAIL).ok_or_else(cut)?;
        let tail = source.read_at(tail_at, TAIL).map_err(|e| at_footer(e.to_string()))?;
        let (length, magic) = tail.split_first_chunk::<4>().ok_or_else(cut)?;
        if magic != MAGIC {
            return Err(cut());
        }
        let length = u64::try_from(i32::from_le_bytes(*length)).map_err(|_| cut())?;
        let max = spec.limits().max_page_bytes;
        if length > max {
            return Err(at_footer(too_large("it", length, max)));
        }
        let start = tail_at.checked_sub(length).ok_or_else(cut)?;
        let bytes = source.read_at(start, length).map_err(|e| at_footer(e.to_string()))?;
        let footer = ipc::root_as_footer(&bytes).map_err(|e| at_footer(format!("it is damaged: {e}")))?;
        let schema = footer.schema().ok_or_else(|| at_footer("it has no schema".to_owned()))?;
        let layout = Arc::new(Layout::new(schema_of(schema).map_err(at_footer)?, spec));
        let offset = |block: &ipc::Block| {
            u64::try_from(block.offset()).map_err(|_| at_footer("a block has a negative place".to_owned()))
        };
        let dictionaries = footer.dictionaries().iter().flatten().map(offset).collect::<Result<Vec<_>>>()?;
        let mut batches = Vec::new();
        for (at, block) in footer.recordBatches().iter().flatten().enumerate() {
            let fault = |message: String| source.fault(format!("record batch {at}"), message);
            let offset = offset(block)?;
            let frame = Frame::read(source, offset, max).map_err(fault)?;
            let frame = frame.ok_or_else(|| fault("it is missing: the file is damaged".to_owned()))?;
            batches.push((offset, frame.rows().map_err(fault)?, frame.body_bytes()));
        }
        Ok(Self { layout, version: footer.version(), dictionaries, batches })
    }
}

fn schema_of(schema: ipc::Schema<'_>) -> Result<Schema, String> {
    if !schema.endianness().equals_to_target_endianness() {
        return Err("its numbers are in the other byte order, which is not read".to_owned());
    }
    ipc::convert::try_fb_to_schema(schema).map_err(|e| e.to_string())
}

/// Cuts an Arrow file into units of whole record batches.
pub fn units(file: &SourceFile, source: &SourceBytes, spec: &ReadSpec) -> Result<Vec<Unit>> {
    let footer = Arc::new(Footer::open(source, spec)?);
    let kept = Arc::new(super::footer::Footer::new(Arc::clone(&footer)));
    let mut units = Vec::new();
    let mut first_row = 0;
    let (mut start, mut rows, mut bytes) = (0, 0, 0);
    for (at, &(_, batch_rows, batch_bytes)) in footer.batches.iter().enumerate() {
        rows += batch_rows;
        bytes += batch_bytes;
        if bytes >= UNIT_BYTES || at + 1 == footer.batches.len() {
            units.push(Unit {
                file: file.clone(),
                first_row,
                rows: Some(rows),
                bytes,
                stamp: source.stamp(),
                part: Part::ArrowFile(Arc::clone(&kept), start..at + 1),
            });
            first_row += rows;
            (start, rows, bytes) = (at + 1, 0, 0);
        }
    }
    Ok(units)
}

/// Where record batches come from.
enum Feed {
    File { footer: Arc<Footer>, left: Range<usize> },
    Stream { offset: u64, count: usize },
}

/// Reads record batches.
pub struct ArrowReader {
    shared: Shared,
    source: SourceBytes,
    feed: Feed,
    layout: Option<Arc<Layout>>,
    version: MetadataVersion,
    dictionaries: HashMap<i64, ArrayRef>,
    /// What is left of the current record batch.
    current: Option<Current>,
    next_row: u64,
    to_skip: u64,
    /// Bytes as stored of the record batches that were read.
    stored: u64,
}

/// What is left of a record batch.
struct Current {
    batch: RecordBatch,
    /// Memory's room, when the record batch is a large piece.
    held: Option<Held>,
    /// Rows to hand out at once.
    share: usize,
    /// Bytes a row, as stored.
    mean: usize,
}

/// Some rows of a record batch.
#[derive(Debug)]
pub struct Slice {
    batch: RecordBatch,
    layout: Arc<Layout>,
    bytes: usize,
}

impl ArrowReader {
    pub fn of_file(
        shared: Shared,
        source: SourceBytes,
        footer: Arc<Footer>,
        part: Range<usize>,
        first_row: u64,
    ) -> Self {
        let layout = Some(Arc::clone(&footer.layout));
        let version = footer.version;
        Self::new(shared, source, Feed::File { footer, left: part }, layout, version, first_row)
    }

    pub fn of_stream(shared: Shared, source: SourceBytes) -> Self {
        Self::new(shared, source, Feed::Stream { offset: 0, count: 0 }, None, MetadataVersion::V5, 0)
    }

    fn new(
        shared: Shared,
        source: SourceBytes,
        feed: Feed,
        layout: Option<Arc<Layout>>,
        version: MetadataVersion,
        next_row: u64,
    ) -> Self {
        let dictionaries = HashMap::new();
        Self { shared, source, feed, layout, version, dictionaries, current: None, next_row, to_skip: 0, stored: 0 }
    }

    fn max_bytes(&self) -> u64 {
        self.shared.spec.limits().max_page_bytes
    }

    fn fault(&self, batch: usize, message: impl Into<String>) -> Error {
        self.source.fault(format!("record batch {batch}"), message)
    }

    fn take_dictionary(&mut self, frame: &Frame, batch: usize) -> Result<()> {
        let Some(layout) = self.layout.clone() else {
            return Err(self.fault(batch, "a dictionary stands before the schema"));
        };
        let body = frame.body(&self.source).map_err(|e| self.fault(batch, e))?;
        let message = frame.message().map_err(|e| self.fault(batch, e))?;
        let Some(dictionary) = message.header_as_dictionary_batch() else {
            return Err(self.fault(batch, "a dictionary was expected"));
        };
        let dictionaries = &mut self.dictionaries;
        contain(|| read_dictionary(&body, dictionary, &layout.schema, dictionaries, &message.version()))
            .map_err(|e| self.fault(batch, e))?
            .map_err(|e| self.fault(batch, format!("its dictionary: {e}")))?;
        // Each is within bounds, but there may be many, and each part of one may add to it.
        let all: usize = self.dictionaries.values().map(|values| values.get_buffer_memory_size()).sum();
        let all = u64::try_from(all).unwrap_or(u64::MAX);
        if all > self.max_bytes() {
            return Err(self.fault(batch, too_large("the dictionaries before it", all, self.max_bytes())));
        }
        Ok(())
    }

    /// The next record batch's message, its number and its rows, or `None` at the end.
    fn next_frame(&mut self) -> Result<Option<(Frame, usize, u64)>> {
        let max = self.max_bytes();
        if let Feed::File { footer, left } = &mut self.feed {
            let footer = Arc::clone(footer);
            let Some(at) = left.next() else { return Ok(None) };
            if self.dictionaries.is_empty() {
                for &offset in &footer.dictionaries {
                    let frame = Frame::read(&self.source, offset, max).map_err(|e| self.fault(at, e))?;
                    let frame = frame.ok_or_else(|| self.fault(at, "its dictionary is missing"))?;
                    self.take_dictionary(&frame, at)?;
                }
            }
            let Some(&(offset, rows, _)) = footer.batches.get(at) else { return Ok(None) };
            let frame = Frame::read(&self.source, offset, max).map_err(|e| self.fault(at, e))?;
            return match frame {
                Some(frame) if frame.rows().is_ok_and(|now| now == rows) => Ok(Some((frame, at, rows))),
                _ => Err(self.fault(at, "it changed while it was read")),
            };
        }
        loop {
            let Feed::Stream { offset, count } = &mut self.feed else { return Ok(None) };
            let at = *count;
            let here = *offset;
            let frame = match Frame::read(&self.source, here, max) {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    let end = here.saturating_add(8);
                    return if end < self.source.size() {
                        Err(self.fault(at, "bytes follow the stream's end: streams may not be joined in one file"))
                    } else if self.layout.is_none() {
                        Err(self.fault(at, "the stream has no schema"))
                    } else {
                        Ok(None)
                    };
                }
                Err(_) if here == self.source.size() => {
                    return Err(self.fault(at, "the stream has no end marker: the file is truncated"));
                }
                Err(e) => return Err(self.fault(at, e)),
            };
            *offset = frame.end();
            let kind = frame.message().map_err(|e| self.fault(at, e))?.header_type();
            match kind {
                ipc::MessageHeader::Schema if self.layout.is_none() => {
                    let message = frame.message().map_err(|e| self.fault(at, e))?;
                    let schema = message.header_as_schema().ok_or_else(|| self.fault(at, "its schema is damaged"))?;
                    let schema = schema_of(schema).map_err(|e| self.fault(at, e))?;
                    self.version = message.version();
                    self.layout = Some(Arc::new(Layout::new(schema, &self.shared.spec)));
                }
                ipc::MessageHeader::DictionaryBatch => self.take_dictionary(&frame, at)?,
                ipc::MessageHeader::RecordBatch if self.layout.is_some() => {
                    *count_of(&mut self.feed) += 1;
                    let rows = frame.rows().map_err(|e| self.fault(at, e))?;
                    return Ok(Some((frame, at, rows)));
                }
                _ => return Err(self.fault(at, "a record batch was expected")),
            }
        }
    }

    fn decode(&self, frame: &Frame, at: usize) -> Result<RecordBatch> {
        let Some(layout) = &self.layout else {
            return Err(self.fault(at, "the stream has no schema"));
        };
        let body = frame.body(&self.source).map_err(|e| self.fault(at, e))?;
        let message = frame.message().map_err(|e| self.fault(at, e))?;
        let Some(batch) = message.header_as_record_batch() else {
            return Err(self.fault(at, "a record batch was expected"));
        };
        let schema = Arc::clone(&layout.schema);
        let projection = Some(layout.projection.as_slice());
        contain(|| read_record_batch(&body, batch, schema, &self.dictionaries, projection, &self.version))
            .map_err(|e| self.fault(at, e))?
            .map_err(|e| self.fault(at, e.to_string()))
    }
}

fn count_of(feed: &mut Feed) -> &mut usize {
    match feed {
        Feed::Stream { count, .. } => count,
        Feed::File { left, .. } => &mut left.start,
    }
}

impl UnitReader for ArrowReader {
    fn skip_rows(&mut self, rows: u64) -> Result<()> {
        self.to_skip += rows;
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        let left = self.current.as_ref().map_or(0, |current| current.batch.num_rows().saturating_mul(current.mean));
        self.stored.saturating_sub(u64::try_from(left).unwrap_or(0))
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        while self.current.is_none() {
            let Some((frame, at, rows)) = self.next_frame()? else {
                if self.to_skip > 0 {
                    let message = "the file ends before the row where reading was to go on: it changed";
                    return Err(self.source.fault(format!("row {}", self.next_row), message));
                }
                self.source.check_unchanged()?;
                if matches!(self.feed, Feed::Stream { .. }) {
                    self.stored = self.source.size();
                }
                return Ok(None);
            };
            self.stored = match self.feed {
                Feed::File { .. } => self.stored + frame.body_bytes(),
                Feed::Stream { offset, .. } => offset,
            };
            if self.to_skip >= rows {
                self.to_skip -= rows;
                self.next_row += rows;
                continue;
            }
            let mut held = None;
            let inflated = frame.inflated_bytes(&self.source).map_err(|e| self.fault(at, e))?;
            self.shared.spec.enter(frame.body_bytes().saturating_add(inflated), &mut held);
            let batch = self.decode(&frame, at)?;
            let skip = usize::try_from(std::mem::take(&mut self.to_skip)).unwrap_or(usize::MAX);
            self.next_row += u64::try_from(skip).unwrap_or(0);
            let total = batch.num_rows();
            let bytes = usize::try_from(frame.body_bytes()).unwrap_or(usize::MAX).max(1);
            let mean = bytes / total.max(1) + 1;
            let share = (self.shared.spec.limits().batch_bytes / mean).max(1);
            self.current = Some(Current { batch: batch.slice(skip, total - skip), held, share, mean });
        }
        let (Some(current), Some(layout)) = (self.current.take(), &self.layout) else { return Ok(None) };
        let Current { batch, held, share, mean } = current;
        let rows = share.min(batch.num_rows());
        let slice = batch.slice(0, rows);
        if rows < batch.num_rows() {
            let batch = batch.slice(rows, batch.num_rows() - rows);
            self.current = Some(Current { batch, held: held.clone(), share, mean });
        }
        let first_row = self.next_row;
        let count = u64::try_from(rows).unwrap_or(u64::MAX);
        self.next_row += count;
        let body = Slice { batch: slice, layout: Arc::clone(layout), bytes: rows.saturating_mul(mean) };
        Ok(Some(self.shared.batch(first_row, count, Body::Arrow(body)).holding(held)))
    }
}

impl Slice {
    /// Rows whose columns are those of the layout's projection.
    pub fn new(batch: RecordBatch, layout: Arc<Layout>, bytes: usize) -> Self {
        Self { batch, layout, bytes }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn visit(
        &self,
        spec: &ReadSpec,
        first_row: u64,
        f: &mut dyn FnMut(At, Row<'_>) -> Result<()>,
    ) -> Result<Presence> {
        let mut presence = spec.presence();
        presence.note(spec, |column| self.layout.paths.get(column).is_some_and(Option::is_some));
        let (mut scratch, mut ids) = (Vec::new(), Vec::new());
        let mut at = At { row: first_row, line: None };
        for row in 0..self.batch.num_rows() {
            let mut value = |column: usize| match self.layout.paths.get(column) {
                Some(Some((top, below))) => arrays::value(self.batch.column(*top).as_ref(), below, row),
                _ => Value::Absent,
            };
            if spec.is_ids() {
                let row = match spec.refuse(&mut value, &mut scratch) {
                    Some(row) => row,
                    None => self.ids(spec, row, &mut ids),
                };
                f(at, row)?;
            } else {
                f(at, spec.read(&mut value, &mut scratch))?;
            }
            at.row += 1;
        }
        Ok(presence)
    }
    /// A row's list of ids, which is the spec's first column.
    fn ids<'i>(&self, spec: &ReadSpec, row: usize, ids: &'i mut Vec<u32>) -> Row<'i> {
        let found = match self.layout.paths.first() {
            Some(Some((top, below))) => lists::ids(self.batch.column(*top).as_ref(), below, row, ids),
            _ => Err(format!("there is no column `{}`", spec.columns().first().map_or("", String::as_str))),
        };
        match found {
            Ok(()) => spec.within(ids),
            Err(why) => Row::Bad(why),
        }
    }
}
