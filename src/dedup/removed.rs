//! `removed.parquet`: every document removed after it was read as a document, why, and by which kept one.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use super::evidence::Evidence;
use crate::error::{Error, Result};
use crate::files::{self, NewFile};

/// An exact duplicate that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// Its key, and that of the copy which was kept.
    pub document: u128,
    /// Its source.
    pub source: usize,
    /// The source of the copy which was kept.
    pub kept_in: usize,
}

/// Exact duplicates in the order of their keys, on scratch disk: there may be more of them than memory holds.
///
/// A record is the key as u128 and two source numbers as u32, little-endian.
#[derive(Debug, Default)]
pub struct Duplicates {
    paths: Vec<PathBuf>,
}

const RECORD: usize = 24;

impl Duplicates {
    /// From files whose keys follow each other.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths }
    }

    /// Begins a file of records.
    pub fn writer(path: &Path) -> Result<DuplicatesWriter> {
        Ok(DuplicatesWriter(BufWriter::new(files::File::create(path)?)))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Duplicate>> + '_ {
        self.paths.iter().flat_map(|path| match fs_err::File::open(path) {
            Ok(file) => Records::Open(BufReader::new(file)),
            Err(error) => Records::Failed(Some(error)),
        })
    }

    /// Removes the files.
    pub fn discard(self) -> Result<()> {
        self.paths.iter().try_for_each(|path| Ok(files::remove(path)?))
    }
}

/// Writes records.
#[derive(Debug)]
pub struct DuplicatesWriter(BufWriter<files::File>);

impl DuplicatesWriter {
    /// Appends one.
    pub fn push(&mut self, duplicate: &Duplicate) -> Result<()> {
        let number = |source: usize| u32::try_from(source).unwrap_or(u32::MAX).to_le_bytes();
        self.0.write_all(&duplicate.document.to_le_bytes())?;
        self.0.write_all(&number(duplicate.source))?;
        self.0.write_all(&number(duplicate.kept_in))?;
        Ok(())
    }

    /// Writes out what is buffered.
    pub fn finish(mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

enum Records {
    Open(BufReader<fs_err::File>),
    Failed(Option<std::io::Error>),
}

impl Iterator for Records {
    type Item = Result<Duplicate>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = match self {
            Self::Open(reader) => reader,
            Self::Failed(error) => return error.take().map(|error| Err(error.into())),
        };
        let mut record = [0u8; RECORD];
        match reader.fill_buf() {
            Ok([]) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error.into())),
        }
        if let Err(error) = reader.read_exact(&mut record) {
            return Some(Err(error.into()));
        }
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| record[at + i])) as usize;
        let document = u128::from_le_bytes(std::array::from_fn(|i| record[i]));
        Some(Ok(Duplicate { document, source: number(16), kept_in: number(20) }))
    }
}

/// A removed document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removed {
    /// Its key.
    pub document: u128,
    /// Its source.
    pub source: usize,
    /// Why.
    pub reason: Reason,
}

/// Why a document went, and the evidence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A benchmark item is in it.
    Contaminated {
        /// Benchmark, item, a matching n-gram and where, for people.
        detail: String,
        /// Matched n-grams.
        matched: u64,
        /// The item's n-grams.
        total: u64,
    },
    /// The same text was kept.
    Exact {
        /// In this source.
        kept_in: usize,
    },
    /// A similar text was kept.
    Near {
        /// Its key.
        kept: u128,
        /// Its source.
        kept_in: usize,
        /// Shingles in both.
        intersection: u64,
        /// Shingles in either.
        union: u64,
        /// Whether the kept one is held out.
        validation: bool,
    },
}

/// Rows of one Parquet row group.
const GROUP: usize = 65_536;

/// Writes all removed documents, sorted by document, source, reason, so that equal sets give equal bytes: exact duplicates
/// and the others, both sorted on disk, merged.
pub fn write(path: &Path, exact: &Duplicates, others: &Evidence, sources: &[String]) -> Result<()> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("document", DataType::FixedSizeBinary(16), false),
        Field::new("source", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("kept", DataType::FixedSizeBinary(16), true),
        Field::new("similarity", DataType::Float64, true),
        Field::new("detail", DataType::Utf8, true),
    ]));
    let failed = |error| crate::ledger::failed(path, error);
    let file = NewFile::create(path)?;
    let mut writer =
        ArrowWriter::try_new(file, Arc::clone(&schema), Some(crate::ledger::properties())).map_err(failed)?;
    let mut rows: Vec<Removed> = Vec::new();
    let mut flush = |rows: &mut Vec<Removed>| -> Result<()> {
        let batch =
            RecordBatch::try_new(Arc::clone(&schema), columns(rows, sources)?).map_err(|error| failed(error.into()))?;
        rows.clear();
        writer.write(&batch).and_then(|()| writer.flush()).map_err(failed)
    };
    let mut exact = exact
        .iter()
        .map(|duplicate| {
            let Duplicate { document, source, kept_in } = duplicate?;
            Ok(Removed { document, source, reason: Reason::Exact { kept_in } })
        })
        .peekable();
    let mut others = others.iter()?.peekable();
    loop {
        let next = match (exact.peek(), others.peek()) {
            (Some(Ok(one)), Some(Ok(other))) if other < one => others.next(),
            (None, Some(_)) => others.next(),
            _ => exact.next(),
        };
        let Some(next) = next else { break };
        rows.push(next?);
        if rows.len() >= GROUP {
            flush(&mut rows)?;
        }
    }
    flush(&mut rows)?;
    writer.into_inner().map_err(failed)?.commit()
}

fn columns(rows: &[Removed], sources: &[String]) -> Result<Vec<ArrayRef>> {
    let name = |source: usize| sources.get(source).map_or("", String::as_str);
    let keys = |keys: Vec<Option<[u8; 16]>>| {
        FixedSizeBinaryArray::try_from_sparse_iter_with_size(keys.into_iter(), 16)
            .map_err(|e| Error::Failed(format!("removed.parquet: {e}")))
    };
    let documents = keys(rows.iter().map(|r| Some(r.document.to_be_bytes())).collect())?;
    let kept = keys(rows.iter().map(|r| r.kept().map(u128::to_be_bytes)).collect())?;
    Ok(vec![
        Arc::new(documents),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| name(r.source)))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.reason.name()))),
        Arc::new(kept),
        Arc::new(rows.iter().map(|r| Some(r.reason.similarity())).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| Some(r.reason.detail(sources))).collect::<StringArray>()),
    ])
}

impl Removed {
    /// The key of the document that was kept in its place.
    #[must_use]
    pub fn kept(&self) -> Option<u128> {
        match &self.reason {
            Reason::Contaminated { .. } => None,
            Reason::Exact { .. } => Some(self.document),
            Reason::Near { kept, .. } => Some(*kept),
        }
    }
}

impl Reason {
    /// Its name in the file: the ledger's outcome.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Contaminated { .. } => "contaminated",
            Self::Exact { .. } => "exact",
            Self::Near { validation: false, .. } => "near",
            Self::Near { validation: true, .. } => "near_validation",
        }
    }

    /// Jaccard index with the kept document, or the share of the benchmark item's n-grams that occur.
    #[must_use]
    pub fn similarity(&self) -> f64 {
        let ratio = |part: u64, whole: u64| {
            #[expect(clippy::cast_precision_loss, reason = "counts of n-grams in one document; the file holds a float")]
            if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
        };
        match self {
            Self::Contaminated { matched, total, .. } => ratio(*matched, *total),
            Self::Exact { .. } => 1.0,
            Self::Near { intersection, union, .. } => ratio(*intersection, *union),
        }
    }

    fn detail(&self, sources: &[String]) -> String {
        match self {
            Self::Contaminated { detail, .. } => detail.clone(),
            Self::Exact { kept_in } | Self::Near { kept_in, .. } => {
                format!("kept in {}", sources.get(*kept_in).map_or("", String::as_str))
            }
        }
    }
}
