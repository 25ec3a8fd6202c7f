//! Reading `removed.parquet`.

use std::path::Path;

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use syllabus_reader::format::DocumentKey;

use crate::error::{Error, Result};

/// A removed document, as the file has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) document: DocumentKey,
    pub(crate) source: String,
    pub(crate) reason: String,
    pub(crate) kept: Option<DocumentKey>,
    pub(crate) similarity: Option<f64>,
    pub(crate) detail: Option<String>,
}

/// Calls `each` with every row, batch by batch.
pub(crate) fn for_each(path: &Path, mut each: impl FnMut(Row)) -> Result<()> {
    let corrupt =
        |message: String| Error::Source { file: path.to_owned(), place: "removed documents".to_owned(), message };
    let file = fs_err::File::open(path)?.into_parts().0;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| corrupt(error.to_string()))?;
    for batch in reader {
        let batch = batch.map_err(|error| corrupt(error.to_string()))?;
        let key = DataType::FixedSizeBinary(16);
        let keys = |name| column(&batch, name, &key).map(|column| column.as_fixed_size_binary()).map_err(corrupt);
        let texts =
            |name| column(&batch, name, &DataType::Utf8).map(|column| column.as_string::<i32>()).map_err(corrupt);
        let (document, kept) = (keys("document")?, keys("kept")?);
        let (source, reason, detail) = (texts("source")?, texts("reason")?, texts("detail")?);
        let similarity =
            column(&batch, "similarity", &DataType::Float64).map_err(corrupt)?.as_primitive::<Float64Type>();
        for i in 0..batch.num_rows() {
            each(Row {
                document: key_at(document, i).ok_or_else(|| corrupt(format!("row {i} names no document")))?,
                source: source.value(i).to_owned(),
                reason: reason.value(i).to_owned(),
                kept: key_at(kept, i),
                similarity: similarity.is_valid(i).then(|| similarity.value(i)),
                detail: detail.is_valid(i).then(|| detail.value(i).to_owned()),
            });
        }
    }
    Ok(())
}

fn column<'a>(batch: &'a RecordBatch, name: &str, wanted: &DataType) -> Result<&'a dyn Array, String> {
    let column = batch.column_by_name(name).filter(|column| column.data_type() == wanted);
    column.map(AsRef::as_ref).ok_or_else(|| format!("column `{name}` of type {wanted} is missing"))
}

fn key_at(array: &FixedSizeBinaryArray, i: usize) -> Option<DocumentKey> {
    array.is_valid(i).then(|| <[u8; 16]>::try_from(array.value(i)).ok()).flatten().map(DocumentKey)
}
