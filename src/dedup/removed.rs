//! `removed.parquet`: every document removed after it was read as a document, why, and by which kept one.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use crate::error::{Error, Result};

/// A removed document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removed {
    /// Its key.
    pub document: u128,
    /// Its source.
    pub source: usize,
    /// Why.
    pub reason: Reason,
    /// Its tokens (0 when it was never tokenized).
    pub tokens: u64,
    /// Bytes of its text.
    pub bytes: u64,
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

/// Writes the rows, sorted by document, source, reason; so equal sets give equal bytes.
pub fn write(path: &Path, removed: &mut [Removed], sources: &[String]) -> Result<()> {
    removed.sort_unstable();
    let schema = Arc::new(Schema::new(vec![
        Field::new("document", DataType::FixedSizeBinary(16), false),
        Field::new("source", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("kept", DataType::FixedSizeBinary(16), true),
        Field::new("similarity", DataType::Float64, true),
        Field::new("detail", DataType::Utf8, true),
    ]));
    let failed = |e: &dyn std::fmt::Display| Error::Failed(format!("{}: {e}", path.display()));
    let file = fs_err::File::create(path)?;
    let mut writer =
        ArrowWriter::try_new(file, Arc::clone(&schema), Some(crate::ledger::properties())).map_err(|e| failed(&e))?;
    for rows in removed.chunks(GROUP) {
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns(rows, sources)?).map_err(|e| failed(&e))?;
        writer.write(&batch).map_err(|e| failed(&e))?;
    }
    writer.into_inner().map_err(|e| failed(&e))?.sync_all()?;
    Ok(())
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
    fn similarity(&self) -> f64 {
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
