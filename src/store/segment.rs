//! A segment: tokenized documents of one source, sorted by key, in one immutable file.
//!
//! All fields little-endian. A row is a document; rows are sorted by key, equal keys (a hash collision, or copies of one
//! text) by their token bytes.
//!
//! | offset | field | width |
//! | --- | --- | --- |
//! | 0 | magic `SYLSEG01` | 8 |
//! | 8 | token width in bytes (2 or 4) | 4 |
//! | 12 | zero | 4 |
//! | 16 | rows R | 8 |
//! | 24 | tokens T | 8 |
//! | 32 | bytes of text of all rows | 8 |
//! | 40 | XXH3-64 of bytes 0..40 and of the three tables below | 8 |
//! | 48 | zero | 16 |
//! | 64 | keys, as u128 | 16 R |
//! | 64 + 16 R | first token of each row, then T | 8 (R + 1) |
//! | 72 + 24 R | bytes of text of each row | 4 R |
//! | 72 + 28 R | tokens | width x T |

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fs_err::File;
use fs_err::os::unix::fs::FileExt;
use memmap2::Mmap;
use syllabus_reader::format::TokenDtype;
use xxhash_rust::xxh3::Xxh3Default;

use crate::error::{Error, Result};
use crate::prefetch::prefetch;

const MAGIC: &[u8; 8] = b"SYLSEG01";
const HEADER: u64 = 64;

/// Bytes of a document that are asked for before they are copied; the processor sees by itself that more will be.
const FETCHED: usize = 512;

/// A document of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// XXH3-128 of its text.
    pub key: u128,
    /// Its first token, counted in the segment.
    pub start: u64,
    /// Its tokens, BOS and EOS counted.
    pub tokens: u32,
    /// Bytes of its text.
    pub bytes: u32,
}

/// What a segment holds in sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Documents.
    pub documents: u64,
    /// Tokens.
    pub tokens: u64,
    /// Bytes of text.
    pub bytes: u64,
}

/// Writes all but the tokens: the head and the tables of `rows`, in their order.
pub(super) fn write_index(out: &mut impl Write, width: usize, totals: Totals, rows: &[Row]) -> Result<()> {
    let mut head = [0u8; 40];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&u32::try_from(width).unwrap_or_default().to_le_bytes());
    head[16..24].copy_from_slice(&totals.documents.to_le_bytes());
    head[24..32].copy_from_slice(&totals.tokens.to_le_bytes());
    head[32..40].copy_from_slice(&totals.bytes.to_le_bytes());
    // The tables are encoded twice, once for the checksum before them: cheaper than keeping them all in memory.
    let mut hash = Xxh3Default::new();
    hash.update(&head);
    write_tables(&mut Hashing(&mut hash), rows, totals.tokens)?;
    out.write_all(&head)?;
    out.write_all(&hash.digest().to_le_bytes())?;
    out.write_all(&[0; 16])?;
    write_tables(out, rows, totals.tokens)
}

fn write_tables(out: &mut impl Write, rows: &[Row], tokens: u64) -> Result<()> {
    for row in rows {
        out.write_all(&row.key.to_le_bytes())?;
    }
    let mut start = 0u64;
    for row in rows {
        out.write_all(&start.to_le_bytes())?;
        start += u64::from(row.tokens);
    }
    out.write_all(&tokens.to_le_bytes())?;
    for row in rows {
        out.write_all(&row.bytes.to_le_bytes())?;
    }
    Ok(())
}

struct Hashing<'a>(&'a mut Xxh3Default);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A segment on disk. Reads go through `pread`, so any number of threads share one reader, and what was read does not
/// count as this process's memory; or from a map of the file, after [`Segment::map`] and [`Segment::map_tokens`].
#[derive(Debug)]
pub struct Segment {
    file: File,
    path: PathBuf,
    width: u64,
    totals: Totals,
    map: OnceLock<Mmap>,
    /// Whether the tokens may be read from the map, too.
    has_tokens: OnceLock<()>,
}

impl Segment {
    /// Opens a segment, checking its header and size (not its checksum: [`Segment::check`]).
    pub fn open(path: &Path, dtype: TokenDtype) -> Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut head = [0u8; 64];
        file.read_exact_at(&mut head, 0)?;
        let field = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
        let totals = Totals { documents: field(16), tokens: field(24), bytes: field(32) };
        let width = dtype.width() as u64;
        let expected = (28 * u128::from(totals.documents)) + 72 + u128::from(width) * u128::from(totals.tokens);
        if &head[..8] != MAGIC || field(8) != width || u128::from(size) != expected {
            return Err(corrupt(path, "is not a whole segment of this store"));
        }
        Ok(Self { file, path: path.to_owned(), width, totals, map: OnceLock::new(), has_tokens: OnceLock::new() })
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tokens_at() + self.width * self.totals.tokens
    }

    /// Maps the file and reads its tables from their start to their end, so that looking at a row takes no call. Where that cannot be,
    /// reads stay as they are, and say what is wrong.
    pub fn map(&self) {
        if self.map.get().is_none()
            && let Some(map) = self.mapped()
        {
            // Nobody else maps it; if somebody did, one map is as good as the other.
            let _ = self.map.set(map);
        }
    }

    /// Maps the file and reads its tokens, too, so that copying them takes no call for each document.
    pub fn map_tokens(&self) {
        self.map();
        if self.has_tokens.get().is_none()
            && let Some(map) = self.map.get()
            && brought_in(map, self.tokens_at(), self.size())
        {
            let _ = self.has_tokens.set(());
        }
    }

    fn mapped(&self) -> Option<Mmap> {
        // SAFETY: a map is sound as long as nobody changes or cuts the file. A segment is whole before it has its name, nothing writes
        // to it again, and the lock of the work folder keeps other compiles away.
        let map = unsafe { Mmap::map(self.file.file()) }.ok()?;
        (u64::try_from(map.len()) == Ok(self.size()) && brought_in(&map, 0, self.tokens_at())).then_some(map)
    }

    /// Bytes of the tables: of the map, or read into `buffer`.
    fn table<'a>(&'a self, at: u64, bytes: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        if let Some(bytes) = self.map.get().and_then(|map| part(map, at, bytes)) {
            return Ok(bytes);
        }
        buffer.resize(bytes, 0);
        self.file.read_exact_at(buffer, at)?;
        Ok(buffer)
    }

    /// Where the tokens start.
    fn tokens_at(&self) -> u64 {
        HEADER + 28 * self.totals.documents + 8
    }

    /// Recomputes the checksum of header and tables.
    pub fn check(&self) -> Result<()> {
        let mut hash = Xxh3Default::new();
        let mut buffer = vec![0u8; 1 << 16];
        let end = self.tokens_at();
        self.file.read_exact_at(&mut buffer[..48], 0)?;
        hash.update(&buffer[..40]);
        let stored = u64::from_le_bytes(std::array::from_fn(|i| buffer[40 + i]));
        let mut at = HEADER;
        while at < end {
            let n = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            self.file.read_exact_at(&mut buffer[..n], at)?;
            hash.update(&buffer[..n]);
            at += n as u64;
        }
        if hash.digest() == stored {
            Ok(())
        } else {
            Err(corrupt(&self.path, "its tables do not match their checksum"))
        }
    }

    /// What it holds in sum.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first row whose key is at least `key`.
    pub fn lower_bound(&self, key: u128) -> Result<u64> {
        let (mut low, mut high) = (0, self.totals.documents);
        let mut buffer = Vec::new();
        while low < high {
            let middle = low + (high - low) / 2;
            let bytes = self.table(HEADER + 16 * middle, 16, &mut buffer)?;
            if u128::from_le_bytes(std::array::from_fn(|i| bytes[i])) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Reads rows into `rows` (cleared first).
    pub fn rows(&self, range: Range<u64>, rows: &mut Vec<Row>) -> Result<()> {
        rows.clear();
        let (first, count) = (range.start, range.end.min(self.totals.documents).saturating_sub(range.start));
        if count == 0 {
            return Ok(());
        }
        let n = usize::try_from(count).map_err(|_| corrupt(&self.path, "has too many rows"))?;
        let tables = HEADER + 16 * self.totals.documents;
        let [mut keys, mut starts, mut bytes] = [const { Vec::new() }; 3];
        let keys = self.table(HEADER + 16 * first, 16 * n, &mut keys)?;
        let starts = self.table(tables + 8 * first, 8 * (n + 1), &mut starts)?;
        let bytes = self.table(tables + 8 * (self.totals.documents + 1) + 4 * first, 4 * n, &mut bytes)?;
        let start_at = |i: usize| u64::from_le_bytes(std::array::from_fn(|k| starts[8 * i + k]));
        rows.reserve(n);
        for i in 0..n {
            let (start, end) = (start_at(i), start_at(i + 1));
            let tokens = end.checked_sub(start).and_then(|t| u32::try_from(t).ok());
            let tokens = tokens.filter(|_| end <= self.totals.tokens);
            rows.push(Row {
                key: u128::from_le_bytes(std::array::from_fn(|k| keys[16 * i + k])),
                start,
                tokens: tokens.ok_or_else(|| corrupt(&self.path, "its table of tokens is not in order"))?,
                bytes: u32::from_le_bytes(std::array::from_fn(|k| bytes[4 * i + k])),
            });
        }
        Ok(())
    }

    /// Reads token bytes (as they lie on disk), from token `start` on, filling `out`.
    pub fn tokens(&self, start: u64, out: &mut [u8]) -> Result<()> {
        let at = self.tokens_at() + self.width * start;
        let map = self.has_tokens.get().and_then(|()| self.map.get());
        match map.and_then(|map| part(map, at, out.len())) {
            Some(bytes) => out.copy_from_slice(bytes),
            None => self.file.read_exact_at(out, at)?,
        }
        Ok(())
    }

    /// Asks the memory for the first of so many token bytes from token `start` on, if they are mapped: they are about to be read.
    pub fn fetch_tokens(&self, start: u64, bytes: usize) {
        let map = self.has_tokens.get().and_then(|()| self.map.get());
        let at = self.tokens_at() + self.width * start;
        if let Some(bytes) = map.and_then(|map| part(map, at, bytes.min(FETCHED))) {
            prefetch(bytes);
        }
    }

    /// The token bytes of a row.
    pub fn row_tokens(&self, row: &Row, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        out.resize(row.tokens as usize * usize::try_from(self.width).unwrap_or(4), 0);
        self.tokens(row.start, out)
    }
}

/// Reads a part of a map, by a call that can fail: the first touch of a page that cannot be read would end the process.
fn brought_in(map: &Mmap, start: u64, end: u64) -> bool {
    let range = usize::try_from(start).ok().zip(usize::try_from(end.saturating_sub(start)).ok());
    #[cfg(target_os = "linux")]
    return range.is_some_and(|(start, bytes)| map.advise_range(memmap2::Advice::PopulateRead, start, bytes).is_ok());
    #[cfg(not(target_os = "linux"))]
    return range.is_none() && map.is_empty();
}

fn part(map: &Mmap, at: u64, bytes: usize) -> Option<&[u8]> {
    map.get(usize::try_from(at).ok()?..)?.get(..bytes)
}

/// Walks a segment's rows in order with a small buffer.
#[derive(Debug)]
pub struct Cursor<'a> {
    segment: &'a Segment,
    buffer: Vec<Row>,
    position: usize,
    next: u64,
    end: u64,
    chunk: u64,
}

impl<'a> Cursor<'a> {
    /// Rows `range`, read `chunk` at a time.
    #[must_use]
    pub fn new(segment: &'a Segment, range: Range<u64>, chunk: u64) -> Self {
        Self {
            segment,
            buffer: Vec::new(),
            position: 0,
            next: range.start,
            end: range.end.min(segment.totals.documents),
            chunk: chunk.max(1),
        }
    }

    /// The next row and its number, or `None` after the last.
    pub fn next_row(&mut self) -> Result<Option<(u64, Row)>> {
        if self.position == self.buffer.len() {
            if self.next >= self.end {
                return Ok(None);
            }
            let upto = self.end.min(self.next + self.chunk);
            self.segment.rows(self.next..upto, &mut self.buffer)?;
            self.next = upto;
            self.position = 0;
        }
        let Some(row) = self.buffer.get(self.position).copied() else { return Ok(None) };
        let number = self.next - (self.buffer.len() - self.position) as u64;
        self.position += 1;
        Ok(Some((number, row)))
    }
}

fn corrupt(path: &Path, what: &str) -> Error {
    Error::Failed(format!("{}: {what}; remove the work folder (`syllabus clean`) and compile again", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::builder::Builder;
    use super::*;

    fn build(folder: &Path, documents: &[(u128, Vec<u32>)], dtype: TokenDtype) -> Segment {
        let mut builder = Builder::new(dtype, 1 << 20);
        for (key, ids) in documents {
            builder.push(*key, ids, ids.len() * 3).unwrap();
        }
        let path = folder.join("s.seg");
        builder.write(&path).unwrap();
        assert!(builder.is_empty());
        Segment::open(&path, dtype).unwrap()
    }

    #[test]
    fn rows_are_sorted_and_keep_their_tokens() {
        let folder = tempfile::tempdir().unwrap();
        for dtype in [TokenDtype::U16, TokenDtype::U32] {
            let documents: Vec<(u128, Vec<u32>)> =
                (0..50u32).map(|i| (u128::from(i * 7919 % 101) << 100, (0..i % 9).map(|t| i + t).collect())).collect();
            let segment = build(folder.path(), &documents, dtype);
            segment.check().unwrap();
            let mut sorted = documents.clone();
            sorted.sort();
            let tables = Segment::open(segment.path(), dtype).unwrap();
            tables.map();
            let whole = Segment::open(segment.path(), dtype).unwrap();
            whole.map_tokens();
            // A kernel that cannot read maps in by a call leaves all as it is.
            assert_eq!(whole.has_tokens.get().is_some(), whole.map.get().is_some());
            for segment in [&segment, &tables, &whole] {
                all_are_there(segment, &sorted, dtype);
            }
        }
    }

    fn all_are_there(segment: &Segment, sorted: &[(u128, Vec<u32>)], dtype: TokenDtype) {
        let mut cursor = Cursor::new(segment, 0..u64::MAX, 7);
        let mut bytes = Vec::new();
        for (i, (key, ids)) in sorted.iter().enumerate() {
            let (number, row) = cursor.next_row().unwrap().unwrap();
            assert_eq!((number, row.key), (i as u64, *key));
            segment.row_tokens(&row, &mut bytes).unwrap();
            let read: Vec<u32> =
                bytes.chunks(dtype.width()).map(|c| c.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b))).collect();
            assert_eq!(&read, ids);
            assert_eq!(segment.lower_bound(row.key).unwrap(), i as u64);
        }
        assert_eq!(cursor.next_row().unwrap(), None);
        assert_eq!(segment.lower_bound(u128::MAX).unwrap(), 50);
    }

    #[test]
    fn a_cut_or_altered_segment_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let segment = build(folder.path(), &[(5, vec![1, 2, 3]), (9, vec![4])], TokenDtype::U16);
        let bytes = fs_err::read(segment.path()).unwrap();
        for length in 0..bytes.len() {
            fs_err::write(segment.path(), &bytes[..length]).unwrap();
            assert!(Segment::open(segment.path(), TokenDtype::U16).is_err(), "cut to {length} bytes");
        }
        for at in (0..40).chain(64..bytes.len() - 8) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            fs_err::write(segment.path(), &bytes).unwrap();
            let read = Segment::open(segment.path(), TokenDtype::U16).and_then(|s| s.check());
            assert!(read.is_err(), "byte {at} altered unseen");
        }
    }
}
