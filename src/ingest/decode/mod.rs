//! Source files to rows: Parquet, JSON Lines, Arrow IPC, plain text; plain or compressed.
//!
//! A file is cut into [`Unit`]s, which may be read in parallel (row groups of Parquet, record batches of an Arrow file;
//! other formats are one unit a file). A unit's [`UnitReader`] does what must be done in serial: read, decompress, cut into
//! [`Batch`]es of about `batch_bytes`. [`Batch::visit`] does the rest and needs no lock: it parses, judges `where`, checks
//! and hands out each row's text, borrowed where that can be.
//!
//! Every row is visited exactly once, in the file's order, and keeps its number however the file is cut.

mod arrays;
mod contain;
mod footer;
mod format;
mod frames;
mod inflate;
mod ipc;
mod json;
mod leaf;
mod lines;
mod lists;
mod page_header;
mod pages;
mod parquet;
mod room;
mod sample;
mod scalar;
mod source;
mod spec;
mod stream;
mod text;
mod tokens;
mod value;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::curriculum::checked::IdFormat;
use crate::curriculum::resolved::SourceFile;
use crate::{Error, Result};

pub use format::{Compression, Format};
pub use room::{Held, Room};
pub use sample::{Content, FileSample, estimate, texts};
pub use source::Stamp;
pub use spec::{Limits, ReadSpec};
pub use value::Value;

use footer::Footer;
use source::SourceBytes;

/// Where a row stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Number of the row in the file, from 0. Blank lines of JSON Lines are not rows.
    pub row: u64,
    /// Number of its line in a text format, from 1.
    pub line: Option<u64>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}"),
            None => write!(f, "row {}", self.row),
        }
    }
}

/// What a row came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Row<'a> {
    /// The condition is not true of it.
    Excluded,
    /// It cannot be read; why, in words.
    Bad(String),
    /// Its text; it may be empty.
    Text(Cow<'a, str>),
    /// Its ids, as the file has them; there may be none.
    Ids(&'a [u32]),
}

/// Which columns of the condition the rows had at all, null or not. A column that no row of a source has is most likely
/// misspelt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presence {
    seen: Vec<bool>,
}

impl Presence {
    /// Adds what other rows had.
    pub fn merge(&mut self, other: &Self) {
        if self.seen.len() < other.seen.len() {
            self.seen.resize(other.seen.len(), false);
        }
        for (mine, theirs) in self.seen.iter_mut().zip(&other.seen) {
            *mine |= theirs;
        }
    }

    /// The condition's columns that no row had.
    pub fn missing<'s>(&self, spec: &'s ReadSpec) -> Vec<&'s str> {
        let seen = |at: usize| self.seen.get(at).copied().unwrap_or(false);
        spec.filter_columns().iter().enumerate().filter(|&(at, _)| !seen(at)).map(|(_, name)| name.as_str()).collect()
    }

    fn note(&mut self, spec: &ReadSpec, has: impl Fn(usize) -> bool) {
        for (seen, &column) in self.seen.iter_mut().zip(spec.filter_indices()) {
            *seen = *seen || has(column);
        }
    }
}

/// A part of a file that can be read on its own.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The file.
    pub file: SourceFile,
    /// Number of its first row in the file.
    pub first_row: u64,
    /// How many rows it has, where the format says so before they are read.
    pub rows: Option<u64>,
    /// Its size in bytes as stored; for tables, of the columns that are needed.
    pub bytes: u64,
    stamp: Stamp,
    part: Part,
}

#[derive(Debug, Clone)]
enum Part {
    Lines(Compression),
    Text(Compression),
    Parquet(Arc<Footer<parquet::Table>>, Range<usize>),
    ArrowFile(Arc<Footer<ipc::Footer>>, Range<usize>),
    ArrowStream,
    Tokens(Arc<tokens::TokenFile>, Range<u64>),
    Lists(Arc<Footer<lists::Table>>, Range<usize>),
}

/// The serial part of reading a unit. One worker at a time.
pub trait UnitReader {
    /// Passes over rows at the start of what is left; used before the first batch, to go on where a run stopped.
    ///
    /// # Errors
    /// Here or at the next batch: the unit has not so many rows.
    fn skip_rows(&mut self, rows: u64) -> Result<()>;

    /// How many of the unit's [`Unit::bytes`] went into the batches handed out so far; an estimate within a compressed
    /// stream or a row group, exact at its end.
    fn stored_bytes(&self) -> u64;

    /// The next batch, or `None` at the unit's end.
    ///
    /// # Errors
    /// A file that cannot be read on: truncated, damaged, changed, or above a bound.
    fn next_batch(&mut self) -> Result<Option<Batch>>;
}

/// Some rows of a file, read but not yet looked at.
#[derive(Debug)]
pub struct Batch {
    /// Number of its first row in the file.
    pub first_row: u64,
    /// How many rows it has; each is visited once.
    pub rows: u64,
    body: Body,
    shared: Shared,
    /// Memory's room for large pieces, while this batch is one.
    held: Option<Held>,
}

#[derive(Debug)]
enum Body {
    Lines(lines::Lines),
    Text(Vec<u8>),
    Parquet(parquet::Rows),
    Arrow(ipc::Slice),
    Tokens(tokens::Documents),
    Bad { line: Option<u64>, why: String },
}

/// What all batches of a unit know.
#[derive(Debug, Clone)]
struct Shared {
    spec: Arc<ReadSpec>,
    path: Arc<Path>,
}

impl Shared {
    fn batch(&self, first_row: u64, rows: u64, body: Body) -> Batch {
        Batch { first_row, rows, body, shared: self.clone(), held: None }
    }
}

impl Batch {
    /// Bytes of source data that it holds. Texts of Parquet are borrowed from their pages, which a batch keeps alive: as
    /// long as one batch of a page lives, the whole page does (at most `max_page_bytes`).
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.body {
            Body::Lines(lines) => lines.bytes(),
            Body::Text(bytes) => bytes.len(),
            Body::Parquet(rows) => rows.bytes(),
            Body::Arrow(slice) => slice.bytes(),
            Body::Tokens(documents) => documents.bytes(),
            Body::Bad { .. } => 0,
        }
    }

    /// Whether it holds the room for large pieces: who works on it has that room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.held.is_some()
    }

    fn holding(self, held: Option<Held>) -> Self {
        Self { held, ..self }
    }

    /// Hands every row to `f`, in order.
    ///
    /// # Errors
    /// What `f` returns; reading itself cannot fail any more, as a row that cannot be read is [`Row::Bad`].
    pub fn visit(&self, f: &mut dyn FnMut(At, Row<'_>) -> Result<()>) -> Result<Presence> {
        let spec = &self.shared.spec;
        match &self.body {
            Body::Lines(lines) => lines.visit(spec, self.first_row, f),
            Body::Text(bytes) => text::visit(spec, bytes, f),
            Body::Parquet(rows) => rows.visit(spec, self.first_row, f),
            Body::Arrow(slice) => slice.visit(spec, self.first_row, f),
            Body::Tokens(documents) => documents.visit(spec, self.first_row, f),
            Body::Bad { line, why } => {
                f(At { row: self.first_row, line: *line }, Row::Bad(why.clone()))?;
                Ok(spec.presence())
            }
        }
    }

    /// The error of a row of this batch that cannot be read.
    #[must_use]
    pub fn fault(&self, at: At, why: &str) -> Error {
        source::fault(&self.shared.path, at.to_string(), why)
    }
}

/// Cuts a file into units. Where they are cut depends on the file and the columns needed, and on nothing else.
///
/// # Errors
/// A file that is gone, has changed since the sources were listed, or is of no format that is read.
pub fn units(file: &SourceFile, spec: &ReadSpec) -> Result<Vec<Unit>> {
    let source = SourceBytes::open(file, None)?;
    let whole =
        |part| Unit { file: file.clone(), first_row: 0, rows: None, bytes: file.bytes, stamp: source.stamp(), part };
    let column = match spec.tokenized().map(|tokenized| (tokenized, &tokenized.format)) {
        Some((tokenized, IdFormat::Files(files, dtype))) => {
            return tokens::units(file, &source, *files, *dtype, tokenized);
        }
        Some((_, IdFormat::Column(_))) => true,
        None => false,
    };
    Ok(match format::detect(&source)? {
        Format::Parquet if column => lists::units(file, &source, spec)?,
        Format::Lines(_) | Format::Text(_) if column => {
            return Err(source.fault("byte 0", "neither Parquet nor Arrow IPC, where a column of ids could be"));
        }
        Format::Lines(compression) => vec![whole(Part::Lines(compression))],
        Format::Text(compression) => vec![Unit { rows: Some(1), ..whole(Part::Text(compression)) }],
        Format::Parquet => parquet::units(file, &source, spec)?,
        Format::ArrowFile => ipc::units(file, &source, spec)?,
        Format::ArrowStream => vec![whole(Part::ArrowStream)],
    })
}

impl Unit {
    /// Lets go of what the file says of itself, which is read again when the unit is opened.
    pub fn forget_footer(&self) {
        match &self.part {
            Part::Parquet(table, _) => table.forget(),
            Part::ArrowFile(footer, _) => footer.forget(),
            Part::Lists(table, _) => table.forget(),
            Part::Lines(_) | Part::Text(_) | Part::ArrowStream | Part::Tokens(..) => {}
        }
    }

    /// Opens the unit for reading.
    ///
    /// # Errors
    /// A file that is gone or has changed since it was cut into units.
    pub fn open(&self, spec: &Arc<ReadSpec>) -> Result<Box<dyn UnitReader + Send>> {
        let source = SourceBytes::open(&self.file, Some(self.stamp))?;
        let shared = Shared { spec: Arc::clone(spec), path: Arc::from(source.path()) };
        Ok(match &self.part {
            Part::Lines(compression) => Box::new(lines::LinesReader::new(shared, source, *compression)?),
            Part::Text(compression) => Box::new(text::TextReader::new(shared, source, *compression)),
            Part::Parquet(table, groups) => {
                let table = table.get(|| parquet::Table::open(&source, spec))?;
                Box::new(parquet::ParquetReader::new(shared, source, table, groups.clone(), self.first_row))
            }
            Part::ArrowFile(footer, batches) => {
                let footer = footer.get(|| ipc::Footer::open(&source, spec))?;
                Box::new(ipc::ArrowReader::of_file(shared, source, footer, batches.clone(), self.first_row))
            }
            Part::ArrowStream => Box::new(ipc::ArrowReader::of_stream(shared, source)),
            Part::Tokens(file, documents) => {
                Box::new(tokens::TokensReader::new(shared, source, Arc::clone(file), documents.clone(), self.bytes)?)
            }
            Part::Lists(table, groups) => {
                let table = table.get(|| lists::Table::open(&source, spec))?;
                Box::new(lists::ListsReader::new(shared, source, table, groups.clone(), self.first_row))
            }
        })
    }
}

#[cfg(test)]
mod tests;
