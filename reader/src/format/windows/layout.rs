//! Where an `.arrow`'s columns lie in its bytes.
//!
//! The generic Arrow reader would build arrays and trust more than a mapped file deserves; this format has one schema, so the
//! columns' places are taken from the file's own headers, each compared with the bytes that are there.

use std::ops::Range;
use std::sync::Arc;

use arrow_ipc::{Block, Field, MessageHeader, RecordBatch, Schema, Type};

use super::{Fragments, Row};

const MAGIC: &[u8] = b"ARROW1";
/// The magic, padded to eight bytes.
const PREAMBLE: usize = 8;
/// Footer length (i32) and magic at the end.
const TRAILER: usize = 10;
/// The marker before each message's length.
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// Values that a dictionary of names may hold.
const MAX_SOURCES: usize = 1 << 24;

type Checked<T> = Result<T, String>;

/// Brings a range of the file's bytes into memory before it is looked at, or says why that failed.
pub(super) type Ready<'a> = &'a dyn Fn(Range<usize>) -> Checked<()>;

/// One row batch: byte positions of its columns.
#[derive(Debug, Clone)]
struct Batch {
    first_row: u64,
    /// Where its columns lie.
    body: Range<usize>,
    rows: usize,
    children: usize,
    source: usize,
    padding: usize,
    ends: usize,
    start: usize,
    length: usize,
    document: usize,
    offset: usize,
    epoch: usize,
}

impl Batch {
    /// The same in bytes that begin at `base`.
    fn moved(&self, base: usize) -> Option<Self> {
        if base == 0 {
            return Some(self.clone());
        }
        Some(Self {
            source: self.source.checked_sub(base)?,
            padding: self.padding.checked_sub(base)?,
            ends: self.ends.checked_sub(base)?,
            start: self.start.checked_sub(base)?,
            length: self.length.checked_sub(base)?,
            document: self.document.checked_sub(base)?,
            offset: self.offset.checked_sub(base)?,
            epoch: self.epoch.checked_sub(base)?,
            ..self.clone()
        })
    }
}

/// The file's layout.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    sources: Arc<Vec<String>>,
    batches: Vec<Batch>,
    rows: u64,
}

impl Layout {
    pub(super) fn parse(bytes: &[u8], ready: Ready<'_>) -> Checked<Self> {
        let not_arrow = || "not an Arrow IPC file, or cut short".to_owned();
        let end = bytes.len().checked_sub(TRAILER).filter(|&end| end >= PREAMBLE).ok_or_else(not_arrow)?;
        ready(0..PREAMBLE)?;
        ready(end..bytes.len())?;
        if !bytes.starts_with(MAGIC) || !bytes.ends_with(MAGIC) {
            return Err(not_arrow());
        }
        let length = bytes.get(end..).and_then(|trailer| trailer.first_chunk::<4>()).ok_or_else(not_arrow)?;
        let length = usize::try_from(i32::from_le_bytes(*length)).map_err(|_| not_arrow())?;
        let start = end.checked_sub(length).filter(|&start| start >= PREAMBLE).ok_or_else(not_arrow)?;
        ready(start..end)?;
        let footer = bytes.get(start..end).ok_or_else(not_arrow)?;
        let footer = arrow_ipc::root_as_footer(footer).map_err(|error| format!("its footer is not valid: {error}"))?;
        check_schema(footer.schema().ok_or("its footer has no schema")?)?;
        let mut sources = Vec::new();
        if let Some(blocks) = footer.dictionaries() {
            if blocks.len() > 1 {
                return Err(format!("{} dictionaries, not one", blocks.len()));
            }
            for block in blocks {
                sources = dictionary(bytes, block, ready)?;
            }
        }
        let mut batches = Vec::new();
        let mut rows = 0_u64;
        if let Some(blocks) = footer.recordBatches() {
            batches.reserve(blocks.len());
            for (i, block) in blocks.iter().enumerate() {
                let batch = batch(bytes, block, rows, ready).map_err(|message| format!("row batch {i}: {message}"))?;
                rows = u64::try_from(batch.rows).ok().and_then(|n| rows.checked_add(n)).ok_or("too many rows")?;
                batches.push(batch);
            }
        }
        Ok(Self { sources: Arc::new(sources), batches, rows })
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Fragments of all row batches.
    pub(super) fn fragments(&self) -> u64 {
        self.batches
            .iter()
            .fold(0, |sum: u64, batch| sum.saturating_add(u64::try_from(batch.children).unwrap_or(u64::MAX)))
    }

    pub(super) fn sources(&self) -> &[String] {
        &self.sources
    }

    pub(super) fn source(&self, index: u32) -> Option<&str> {
        self.sources.get(usize::try_from(index).ok()?).map(String::as_str)
    }

    /// Keeps `names` instead of its own where both are equal, so that many files share them.
    pub(super) fn share(&mut self, names: &Arc<Vec<String>>) {
        if self.sources == *names {
            self.sources = Arc::clone(names);
        }
    }

    /// Number of row batches.
    pub(super) fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Number of the row batch that holds row `i`, and where its columns lie.
    pub(super) fn batch_of(&self, i: u64) -> Option<(usize, Range<usize>)> {
        let number = self.batches.partition_point(|batch| batch.first_row <= i).checked_sub(1)?;
        let batch = self.batches.get(number)?;
        Some((number, batch.body.clone()))
    }

    /// Row `i`; `None` when it does not exist or points outside. `bytes` are the file's from `base` on.
    pub(super) fn row<'a>(&self, bytes: &'a [u8], base: usize, i: u64) -> Option<Row<'a>> {
        let batch = self.batches.partition_point(|batch| batch.first_row <= i).checked_sub(1)?;
        let batch = &self.batches.get(batch)?.moved(base)?;
        let row = usize::try_from(i - batch.first_row).ok()?;
        if row >= batch.rows {
            return None;
        }
        let source = u32::from_le_bytes(at(bytes, batch.source, row)?);
        self.source(source)?;
        let padding = u32::from_le_bytes(at(bytes, batch.padding, row)?);
        let from = usize::try_from(i32::from_le_bytes(at(bytes, batch.ends, row)?)).ok()?;
        let to = usize::try_from(i32::from_le_bytes(at(bytes, batch.ends, row + 1)?)).ok()?;
        if from > to || to > batch.children {
            return None;
        }
        let fragments = Fragments {
            start: values(bytes, batch.start, from, to)?,
            length: values(bytes, batch.length, from, to)?,
            document: values(bytes, batch.document, from, to)?,
            offset: values(bytes, batch.offset, from, to)?,
            epoch: values(bytes, batch.epoch, from, to)?,
        };
        Some(Row { source, padding, fragments })
    }
}

/// Values `from..to`, N bytes wide, of a column that begins at `base`.
fn values<const N: usize>(bytes: &[u8], base: usize, from: usize, to: usize) -> Option<&[[u8; N]]> {
    let start = from.checked_mul(N)?.checked_add(base)?;
    let end = to.checked_mul(N)?.checked_add(base)?;
    Some(bytes.get(start..end)?.as_chunks::<N>().0)
}

fn at<const N: usize>(bytes: &[u8], base: usize, i: usize) -> Option<[u8; N]> {
    values::<N>(bytes, base, i, i + 1)?.first().copied()
}

/// A message's flatbuffer and where its body lies.
fn message<'a>(
    bytes: &'a [u8],
    block: &Block,
    ready: Ready<'_>,
) -> Checked<(arrow_ipc::Message<'a>, std::ops::Range<usize>)> {
    let outside = || "its message lies outside the file".to_owned();
    let start = usize::try_from(block.offset()).map_err(|_| outside())?;
    let head = usize::try_from(block.metaDataLength()).map_err(|_| outside())?;
    let body = usize::try_from(block.bodyLength()).map_err(|_| outside())?;
    let body_start = start.checked_add(head).ok_or_else(outside)?;
    let body_end = body_start.checked_add(body).filter(|&end| end <= bytes.len()).ok_or_else(outside)?;
    let head = bytes.get(start..body_start).ok_or_else(outside)?;
    ready(start..body_start)?;
    let (marker, rest) = head.split_first_chunk::<4>().ok_or_else(outside)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(outside)?;
    let length = usize::try_from(i32::from_le_bytes(*length)).map_err(|_| outside())?;
    let flat = rest.get(..length).filter(|_| *marker == CONTINUATION).ok_or_else(outside)?;
    let message = arrow_ipc::root_as_message(flat).map_err(|error| format!("its header is not valid: {error}"))?;
    Ok((message, body_start..body_end))
}

/// Byte position of buffer `i`, which must hold `count` values of `width` bytes.
fn buffer(
    batch: &RecordBatch<'_>,
    body: &std::ops::Range<usize>,
    i: usize,
    count: usize,
    width: usize,
) -> Checked<usize> {
    let outside = || format!("buffer {i} lies outside the row batch");
    let buffers = batch.buffers().filter(|buffers| i < buffers.len()).ok_or_else(outside)?;
    let buffer = buffers.get(i);
    let offset = usize::try_from(buffer.offset()).map_err(|_| outside())?;
    let length = usize::try_from(buffer.length()).map_err(|_| outside())?;
    let needed = count.checked_mul(width).ok_or_else(outside)?;
    let start = body.start.checked_add(offset).ok_or_else(outside)?;
    let end = start.checked_add(length).ok_or_else(outside)?;
    if needed > length || end > body.end {
        return Err(outside());
    }
    Ok(start)
}

/// Checks a batch's nodes: their lengths, and that nothing is null.
fn check_nodes(batch: &RecordBatch<'_>, lengths: &[usize]) -> Checked<()> {
    if batch.compression().is_some() {
        return Err("compressed: it cannot be read in place".to_owned());
    }
    let nodes = batch.nodes().ok_or("it has no columns")?;
    if nodes.len() != lengths.len() {
        return Err(format!("{} columns, not {}", nodes.len(), lengths.len()));
    }
    for (node, &length) in nodes.iter().zip(lengths) {
        if node.null_count() != 0 || usize::try_from(node.length()) != Ok(length) {
            return Err("a column has nulls or another length than the rest".to_owned());
        }
    }
    Ok(())
}

fn batch(bytes: &[u8], block: &Block, first_row: u64, ready: Ready<'_>) -> Checked<Batch> {
    let (message, body) = message(bytes, block, ready)?;
    if message.header_type() != MessageHeader::RecordBatch {
        return Err("its message is not a row batch".to_owned());
    }
    let batch = message.header_as_record_batch().ok_or("its message is not a row batch")?;
    let rows = usize::try_from(batch.length()).map_err(|_| "a negative number of rows")?;
    let nodes = batch.nodes().filter(|nodes| nodes.len() == 9).ok_or("its columns are not this format's")?;
    let children = usize::try_from(nodes.get(3).length()).map_err(|_| "a negative number of fragments")?;
    let c = children;
    check_nodes(&batch, &[rows, rows, rows, c, c, c, c, c, c])?;
    let ends = rows.checked_add(1).ok_or("too many rows")?;
    // Buffers in the schema's order, each column's validity first: source 0-1, padding 2-3, list 4-5, struct 6, start 7-8,
    // length 9-10, document 11-12, offset 13-14, epoch 15-16.
    Ok(Batch {
        first_row,
        body: body.clone(),
        rows,
        children,
        source: buffer(&batch, &body, 1, rows, 4)?,
        padding: buffer(&batch, &body, 3, rows, 4)?,
        ends: buffer(&batch, &body, 5, ends, 4)?,
        start: buffer(&batch, &body, 8, c, 4)?,
        length: buffer(&batch, &body, 10, c, 4)?,
        document: buffer(&batch, &body, 12, c, 16)?,
        offset: buffer(&batch, &body, 14, c, 4)?,
        epoch: buffer(&batch, &body, 16, c, 4)?,
    })
}

fn dictionary(bytes: &[u8], block: &Block, ready: Ready<'_>) -> Checked<Vec<String>> {
    let (message, body) = message(bytes, block, ready)?;
    ready(body.clone())?;
    if message.header_type() != MessageHeader::DictionaryBatch {
        return Err("its dictionary's message is not a dictionary".to_owned());
    }
    let dictionary = message.header_as_dictionary_batch().ok_or("its dictionary's message is not a dictionary")?;
    let batch = dictionary.data().filter(|_| !dictionary.isDelta()).ok_or("its dictionary is not whole")?;
    let count =
        usize::try_from(batch.length()).ok().filter(|&n| n <= MAX_SOURCES).ok_or("its dictionary is too large")?;
    check_nodes(&batch, &[count])?;
    let ends = buffer(&batch, &body, 1, count + 1, 4)?;
    let text = buffer(&batch, &body, 2, 0, 1)?;
    let limit = batch.buffers().map_or(0, |buffers| buffers.get(2).length());
    let mut names = Vec::with_capacity(count);
    for i in 0..count {
        let name = || {
            let from = i32::from_le_bytes(at(bytes, ends, i)?);
            let to = i32::from_le_bytes(at(bytes, ends, i + 1)?);
            if i64::from(to) > limit {
                return None;
            }
            let from = text.checked_add(usize::try_from(from).ok()?)?;
            let to = text.checked_add(usize::try_from(to).ok()?)?;
            std::str::from_utf8(bytes.get(from..to)?).ok()
        };
        names.push(name().ok_or_else(|| format!("source name {i} is not valid"))?.to_owned());
    }
    Ok(names)
}

fn is_u32(field: &Field<'_>) -> bool {
    field.dictionary().is_none() && field.type_as_int().is_some_and(|int| int.bitWidth() == 32 && !int.is_signed())
}

/// Whether the schema is this format's: names, types, order.
fn check_schema(schema: Schema<'_>) -> Checked<()> {
    let wrong = "its columns are not this format's (source, padding, fragments)";
    let fields = schema.fields().filter(|fields| fields.len() == 3).ok_or(wrong)?;
    let (source, padding, fragments) = (fields.get(0), fields.get(1), fields.get(2));
    let index_is_i32 = source
        .dictionary()
        .and_then(|dictionary| dictionary.indexType())
        .is_some_and(|index| index.bitWidth() == 32 && index.is_signed());
    let item = fragments.children().filter(|children| children.len() == 1).ok_or(wrong)?.get(0);
    let parts = item.children().filter(|parts| parts.len() == 5).ok_or(wrong)?;
    let named = ["start", "length", "document", "offset", "epoch"];
    let key_is_16 = parts.get(2).type_as_fixed_size_binary().is_some_and(|binary| binary.byteWidth() == 16);
    let holds = source.name() == Some("source")
        && source.type_type() == Type::Utf8
        && index_is_i32
        && padding.name() == Some("padding")
        && is_u32(&padding)
        && fragments.name() == Some("fragments")
        && fragments.type_type() == Type::List
        && item.type_type() == Type::Struct_
        && parts.iter().zip(named).all(|(part, name)| part.name() == Some(name))
        && key_is_16
        && [0, 1, 3, 4].into_iter().all(|i| is_u32(&parts.get(i)));
    if holds { Ok(()) } else { Err(wrong.to_owned()) }
}
