//! Files that hold ids: Megatron's `.bin` with `.idx`, datatrove's `.ds` with `.ds.index`, OLMo's `.npy` with `.csv.gz`.
//!
//! What lies beside the ids says where documents begin and end. It is read piece by piece (a large one is gigabytes), and held
//! to the file: a document outside it, or ids that belong to none, are an error and never left out.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use syllabus_reader::format::{TokenDtype, tokens};

use super::format::Compression;
use super::source::{SourceBytes, fault};
use super::stream::{self, Stream};
use super::{At, Batch, Body, Part, Presence, ReadSpec, Row, Shared, Stamp, Unit, UnitReader};
use crate::curriculum::checked::{TokenFiles, Tokenized};
use crate::curriculum::resolved::SourceFile;
use crate::{Error, Result};

/// Bytes of ids at which a unit is full.
const UNIT_BYTES: u64 = 32 << 20;
/// Documents whose places are read at once, and the most sequences of them.
const PLACES: u64 = 4096;
const MOST_SEQUENCES: u64 = 1 << 20;
/// Most documents in a batch.
const BATCH_ROWS: usize = 1 << 16;
/// Longest line of a `.csv`.
const MOST_LINE: u64 = 1 << 20;
/// Bytes of a Megatron index before its tables.
const HEADER: u64 = 34;

/// A file of ids and what lies beside it.
#[derive(Debug)]
pub struct TokenFile {
    dtype: TokenDtype,
    beside: SourceFile,
    stamp: Stamp,
    ends: Ends,
}

/// How documents are told apart.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// Tables of so many sequences; documents are runs of them.
    Megatron { sequences: u64 },
    /// The end of each document, as u64.
    Datatrove,
    /// Lines `start,end`.
    Olmo,
}

/// The part of a document that lies together: first byte, and bytes.
type Place = (u64, u64);

/// Cuts a file of ids into units of whole documents.
pub fn units(
    file: &SourceFile,
    source: &SourceBytes,
    files: TokenFiles,
    said: Option<TokenDtype>,
    of: &Tokenized,
) -> Result<Vec<Unit>> {
    let beside = of.sidecars(&file.path);
    let [first, more @ ..] = beside.as_slice() else { return Ok(Vec::new()) };
    let bytes = fs_err::metadata(first).map_err(|error| missing(&file.path, first, &error))?.len();
    let sidecar = SourceFile { path: first.clone(), bytes };
    let index = SourceBytes::open(&sidecar, None)?;
    let (dtype, ends, documents) = match files {
        TokenFiles::Megatron => {
            let (dtype, sequences, documents) = megatron_header(&index)?;
            same_dtype(&index, said, dtype)?;
            (dtype, Ends::Megatron { sequences }, Some(documents))
        }
        TokenFiles::Datatrove => {
            let dtype = match (more.first().map(|path| metadata_width(path)).transpose()?.flatten(), said) {
                (Some(found), said) => {
                    same_dtype(source, said, found)?;
                    found
                }
                (None, Some(said)) => said,
                (None, None) => {
                    let message =
                        "how wide an id is is not said: there is no `.metadata` beside it; give `tokenized` a `dtype`";
                    return Err(source.fault("the file", message));
                }
            };
            if !bytes.is_multiple_of(8) {
                return Err(index.fault("its end", "it is cut: it holds numbers of 8 bytes"));
            }
            (dtype, Ends::Datatrove, Some(bytes / 8))
        }
        TokenFiles::Olmo => {
            let no = || source.fault("the file", "how wide an id is is not said: give `tokenized` a `dtype`");
            (said.ok_or_else(no)?, Ends::Olmo, None)
        }
    };
    let stamp = index.stamp();
    let tokens = Arc::new(TokenFile { dtype, beside: sidecar, stamp, ends });
    let unit = |first_row: u64, rows: Option<u64>, bytes: u64, documents: Range<u64>| Unit {
        file: file.clone(),
        first_row,
        rows,
        bytes,
        stamp: source.stamp(),
        part: Part::Tokens(Arc::clone(&tokens), documents),
    };
    let Some(documents) = documents else { return Ok(vec![unit(0, None, file.bytes, 0..0)]) };
    if documents == 0 && file.bytes > 0 && matches!(ends, Ends::Datatrove) {
        return Err(index.fault("its end", "it names no document, and the file beside it is not empty"));
    }
    let count = file.bytes.div_ceil(UNIT_BYTES).clamp(1, documents.max(1));
    let cut = |i: u64| u64::try_from(u128::from(documents) * u128::from(i) / u128::from(count)).unwrap_or(documents);
    Ok((0..count)
        .map(|i| (cut(i), cut(i + 1)))
        .filter(|(from, to)| from < to)
        .map(|(from, to)| unit(from, Some(to - from), file.bytes / count, from..to))
        .collect())
}

fn missing(file: &Path, beside: &Path, error: &std::io::Error) -> Error {
    let message = match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{} is not there: where its documents end is not known", beside.display())
        }
        _ => error.to_string(),
    };
    fault(file, "the file", message)
}

fn same_dtype(source: &SourceBytes, said: Option<TokenDtype>, found: TokenDtype) -> Result<()> {
    match said {
        Some(said) if said != found => {
            Err(source.fault("the file", format!("its ids are {found}, and the curriculum says `dtype: {said}`")))
        }
        _ => Ok(()),
    }
}

/// Width of ids, number of sequences, number of documents.
fn megatron_header(index: &SourceBytes) -> Result<(TokenDtype, u64, u64)> {
    let no = |message: String| index.fault("byte 0", message);
    let head = index.read_at(0, HEADER).map_err(|error| no(error.to_string()))?;
    let (magic, rest) = head.split_at(9);
    let number =
        |at: usize| rest.get(at..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |n| u64::from_le_bytes(*n));
    if magic != b"MMIDIDX\0\0" || number(0) != 1 {
        return Err(no("not a Megatron index of version 1".to_owned()));
    }
    let dtype = match rest.get(8) {
        Some(8) => TokenDtype::U16,
        Some(4) => TokenDtype::U32,
        other => {
            let code = other.copied().unwrap_or_default();
            return Err(no(format!("its ids have dtype code {code}; 8 (u16) and 4 (i32) are read")));
        }
    };
    let (sequences, bounds) = (number(9), number(17));
    let size = u128::from(HEADER) + 12 * u128::from(sequences) + 8 * u128::from(bounds);
    if bounds == 0 || size != u128::from(index.size()) {
        return Err(no(format!(
            "{sequences} sequences and {bounds} bounds of documents do not fit its {} bytes: it is cut, or of another kind \
             (multimodal indices are not read)",
            index.size()
        )));
    }
    Ok((dtype, sequences, bounds - 1))
}

/// Bytes of an id, as datatrove's `.metadata` says: `tokenizer|bytes` on its first line. `None` when there is none.
fn metadata_width(path: &Path) -> Result<Option<TokenDtype>> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let width = text.lines().next().and_then(|line| line.rsplit_once('|')).map(|(_, width)| width.trim());
    match width {
        Some("2") => Ok(Some(TokenDtype::U16)),
        Some("4") => Ok(Some(TokenDtype::U32)),
        _ => Err(fault(path, "line 1", "it does not say how many bytes an id has (`tokenizer|2` or `|4`)")),
    }
}

/// Reads documents of ids.
pub struct TokensReader {
    shared: Shared,
    source: SourceBytes,
    index: SourceBytes,
    file: Arc<TokenFile>,
    /// Documents whose places are not read yet; of no use for lines, which are not counted.
    left: Range<u64>,
    lines: Option<BufReader<Stream>>,
    /// Places of the documents next in turn.
    places: VecDeque<Vec<Place>>,
    next_row: u64,
    /// Where the former document ended, in ids; `None` before the first.
    end: Option<u64>,
    stored: u64,
    /// Bytes of the unit.
    bytes: u64,
}

impl TokensReader {
    pub fn new(
        shared: Shared,
        source: SourceBytes,
        file: Arc<TokenFile>,
        documents: Range<u64>,
        bytes: u64,
    ) -> Result<Self> {
        let index = SourceBytes::open(&file.beside, Some(file.stamp))?;
        let lines = match file.ends {
            Ends::Olmo => Some(BufReader::new(Stream::open(&index, Compression::Gzip)?)),
            _ => None,
        };
        let next_row = documents.start;
        let places = VecDeque::new();
        Ok(Self { shared, source, index, file, left: documents, lines, places, next_row, end: None, stored: 0, bytes })
    }

    /// Reads the places of some more documents, unless there are none.
    fn look_ahead(&mut self) -> Result<()> {
        match self.file.ends {
            Ends::Megatron { sequences } => self.megatron(sequences),
            Ends::Datatrove => self.datatrove(),
            Ends::Olmo => self.olmo(),
        }
    }

    /// Numbers of 8 bytes at an offset of the index.
    fn numbers(&self, offset: u64, count: u64) -> Result<Vec<u64>> {
        let bytes = count.checked_mul(8).ok_or(()).and_then(|bytes| self.index.read_at(offset, bytes).map_err(|_| ()));
        let bytes = bytes.map_err(|()| self.index.fault(format!("byte {offset}"), "it cannot be read there"))?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number)).collect())
    }

    fn megatron(&mut self, sequences: u64) -> Result<()> {
        let mut count = PLACES.min(self.left.end - self.left.start);
        if count == 0 {
            return Ok(());
        }
        let start = self.left.start;
        let mut bounds = self.numbers(HEADER + 12 * sequences + 8 * start, count + 1)?;
        let wrong = |document: u64, message: &str| self.index.fault(format!("document {document}"), message);
        if bounds.windows(2).any(|pair| pair[0] > pair[1]) || bounds.last().is_some_and(|last| *last > sequences) {
            return Err(wrong(
                start,
                "it or one soon after it does not point at sequences in order: the index is damaged",
            ));
        }
        // A document in sentences has many sequences: as many documents as keep their tables small, one at least.
        let first = bounds.first().copied().unwrap_or(0);
        let within = bounds.iter().skip(1).take_while(|bound| **bound - first <= MOST_SEQUENCES).count();
        count = count.min(u64::try_from(within.max(1)).unwrap_or(1));
        bounds.truncate(usize::try_from(count).unwrap_or(0) + 1);
        let last = bounds.last().copied().unwrap_or(first);
        if start == 0 && first != 0 {
            return Err(wrong(0, "sequences before it belong to no document: the index is damaged"));
        }
        if start + count == self.left.end && self.is_last(start + count, sequences) && last != sequences {
            return Err(wrong(start + count, "sequences after it belong to no document: the index is damaged"));
        }
        let lengths = self.index.read_at(HEADER + 4 * first, 4 * (last - first));
        let lengths = lengths.map_err(|error| self.index.fault("its lengths", error.to_string()))?;
        let lengths: Vec<i32> = lengths.as_chunks::<4>().0.iter().map(|n| i32::from_le_bytes(*n)).collect();
        let offsets = self.numbers(HEADER + 4 * sequences + 8 * first, last - first)?;
        let width = u64::from(self.file.dtype.width_u8());
        let mut all = lengths.into_iter().zip(offsets);
        for pair in bounds.windows(2) {
            let mut places: Vec<Place> = Vec::new();
            for _ in pair[0]..pair[1] {
                let Some((length, offset)) = all.next() else { break };
                let bytes = u64::try_from(length).ok().map(|length| length * width);
                let end = bytes.and_then(|bytes| offset.checked_add(bytes)).filter(|end| *end <= self.source.size());
                let (Some(bytes), Some(_)) = (bytes, end) else {
                    let message = format!(
                        "a sequence of {length} ids at byte {offset} lies outside the {} bytes of {}: one of the files is cut",
                        self.source.size(),
                        self.source.path().display()
                    );
                    return Err(self.index.fault(format!("document {}", self.left.start), message));
                };
                match places.last_mut() {
                    Some(last) if last.0 + last.1 == offset => last.1 += bytes,
                    _ => places.push((offset, bytes)),
                }
            }
            self.places.push_back(places);
            self.left.start += 1;
        }
        Ok(())
    }

    /// Whether a bound is the table's last.
    fn is_last(&self, bound: u64, sequences: u64) -> bool {
        self.index.size() == HEADER + 12 * sequences + 8 * (bound + 1)
    }

    fn datatrove(&mut self) -> Result<()> {
        let count = PLACES.min(self.left.end - self.left.start);
        if count == 0 {
            return Ok(());
        }
        let mut start = match (self.end, self.left.start) {
            (Some(end), _) => end,
            (None, 0) => 0,
            (None, document) => self.numbers(8 * (document - 1), 1)?.first().copied().unwrap_or(0),
        };
        for end in self.numbers(8 * self.left.start, count)? {
            self.push(start, end, |document| format!("document {document}"))?;
            start = end;
            self.left.start += 1;
        }
        if self.left.is_empty() && self.index.size() == 8 * self.left.end {
            self.whole(start)?;
        }
        Ok(())
    }

    fn olmo(&mut self) -> Result<()> {
        let Some(mut lines) = self.lines.take() else { return Ok(()) };
        let mut line = Vec::new();
        for _ in 0..PLACES {
            line.clear();
            let number = self.next_row + u64::try_from(self.places.len()).unwrap_or(0) + 1;
            let read = std::io::Read::take(&mut lines, MOST_LINE).read_until(b'\n', &mut line);
            let read =
                read.map_err(|e| self.index.fault(format!("line {number}"), stream::explain(&e, Compression::Gzip)))?;
            if read == 0 {
                return self.whole(self.end.unwrap_or(0));
            }
            let text = String::from_utf8_lossy(&line);
            let mut fields = text.trim_end().split(',').map(|field| field.trim().parse::<u64>().ok());
            let (Some(Some(start)), Some(Some(end))) = (fields.next(), fields.next()) else {
                return Err(self
                    .index
                    .fault(format!("line {number}"), "it does not begin with `start,end`, two numbers"));
            };
            if start != self.end.unwrap_or(0) {
                let message =
                    format!("a document begins at id {start}, and the former ends at {}", self.end.unwrap_or(0));
                return Err(self.index.fault(format!("line {number}"), message));
            }
            self.push(start, end, |_| format!("line {number}"))?;
        }
        self.lines = Some(lines);
        Ok(())
    }

    /// A document of ids `start` to `end`.
    fn push(&mut self, start: u64, end: u64, place: impl Fn(u64) -> String) -> Result<()> {
        let width = u64::from(self.file.dtype.width_u8());
        let inside = start <= end && end.checked_mul(width).is_some_and(|end| end <= self.source.size());
        if !inside {
            let ids = self.source.size() / width;
            let message = format!("ids {start} to {end} of {}, which holds {ids}", self.source.path().display());
            return Err(self.index.fault(place(self.left.start), message));
        }
        self.places.push_back(vec![(start * width, (end - start) * width)]);
        self.end = Some(end);
        Ok(())
    }

    /// Fails unless the last document ends where the file does.
    fn whole(&self, end: u64) -> Result<()> {
        if end * u64::from(self.file.dtype.width_u8()) == self.source.size() {
            return Ok(());
        }
        let message = format!(
            "documents end at id {end}, and {} has {} bytes: one of the files is cut, or ids have another width than {}",
            self.source.path().display(),
            self.source.size(),
            self.file.dtype
        );
        Err(self.index.fault("its end", message))
    }
}

impl UnitReader for TokensReader {
    fn skip_rows(&mut self, rows: u64) -> Result<()> {
        if self.lines.is_none() {
            self.left.start = self.left.end.min(self.left.start.saturating_add(rows));
            self.next_row += rows;
            return Ok(());
        }
        for _ in 0..rows {
            if self.places.is_empty() {
                self.look_ahead()?;
            }
            if self.places.pop_front().is_none() {
                let message = "the file ends before the document where reading was to go on: it changed";
                return Err(self.source.fault(format!("row {}", self.next_row), message));
            }
            self.next_row += 1;
        }
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        self.stored.min(self.bytes)
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let limits = self.shared.spec.limits();
        let (mut places, mut ends, mut bytes) = (Vec::<Place>::new(), Vec::new(), 0_u64);
        while ends.len() < BATCH_ROWS {
            if self.places.is_empty() {
                self.look_ahead()?;
            }
            let Some(document) = self.places.front() else { break };
            let size = document.iter().map(|place| place.1).sum::<u64>();
            let as_u32 = size / u64::from(self.file.dtype.width_u8()) * 4;
            let full = bytes.saturating_add(size) > u64::try_from(limits.batch_bytes).unwrap_or(u64::MAX);
            let large = as_u32 > limits.max_document_bytes.min(limits.held_document_bytes);
            if !ends.is_empty() && (full || large) {
                break;
            }
            let document = self.places.pop_front().unwrap_or_default();
            if as_u32 > limits.max_document_bytes {
                let why = self.shared.spec.too_long(as_u32);
                let batch = self.shared.batch(self.next_row, 1, Body::Bad { line: None, why });
                self.next_row += 1;
                self.stored += size;
                return Ok(Some(batch));
            }
            if large {
                let why = limits.no_room("a document", as_u32, limits.held_document_bytes);
                return Err(self.source.fault(format!("document {}", self.next_row), why));
            }
            bytes += size;
            ends.push(usize::try_from(bytes).unwrap_or(usize::MAX));
            for (offset, size) in document {
                match places.last_mut() {
                    Some(last) if last.0 + last.1 == offset => last.1 += size,
                    _ => places.push((offset, size)),
                }
            }
        }
        if ends.is_empty() {
            self.source.check_unchanged()?;
            self.index.check_unchanged()?;
            self.stored = self.bytes;
            return Ok(None);
        }
        let mut held = None;
        self.shared.spec.enter(bytes, &mut held);
        let mut ids = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        for (offset, size) in places {
            let start = ids.len();
            ids.resize(start + usize::try_from(size).unwrap_or(0), 0);
            let part = ids.get_mut(start..).unwrap_or_default();
            self.source
                .fill_at(offset, part)
                .map_err(|error| self.source.fault(format!("byte {offset}"), error.to_string()))?;
        }
        let rows = u64::try_from(ends.len()).unwrap_or(u64::MAX);
        let body = Body::Tokens(Documents { dtype: self.file.dtype, ids, ends });
        let batch = self.shared.batch(self.next_row, rows, body).holding(held);
        self.next_row += rows;
        self.stored += bytes;
        Ok(Some(batch))
    }
}

/// Some documents' ids.
#[derive(Debug)]
pub struct Documents {
    dtype: TokenDtype,
    /// As they lie in the file.
    ids: Vec<u8>,
    /// Where each document ends in them.
    ends: Vec<usize>,
}

impl Documents {
    pub fn bytes(&self) -> usize {
        self.ids.len()
    }

    pub fn visit(
        &self,
        spec: &ReadSpec,
        first_row: u64,
        f: &mut dyn FnMut(At, Row<'_>) -> Result<()>,
    ) -> Result<Presence> {
        let mut ids = Vec::new();
        let (mut start, mut at) = (0, At { row: first_row, line: None });
        for &end in &self.ends {
            ids.clear();
            tokens::decode(self.ids.get(start..end).unwrap_or_default(), self.dtype, &mut ids);
            f(at, Row::Ids(&ids))?;
            start = end;
            at.row += 1;
        }
        Ok(spec.presence())
    }
}
