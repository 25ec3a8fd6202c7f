//! `ledger.parquet`: columns `source`, `phase`, `epoch`, `outcome`, `documents`, `tokens`, `bytes`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, UInt32Type, UInt64Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::Row;
use crate::error::{Error, Result};
use crate::files::NewFile;

/// The properties of every Parquet file that the compiler writes: no date, no version, so that equal rows give equal bytes.
pub(crate) fn properties() -> WriterProperties {
    WriterProperties::builder().set_created_by("syllabus".to_owned()).set_compression(Compression::SNAPPY).build()
}

/// An error of writing a Parquet file: where it is the disk's, that one, which names the file.
pub(crate) fn failed(path: &Path, error: ParquetError) -> Error {
    let words = error.to_string();
    if let ParquetError::External(inner) = error
        && let Ok(inner) = inner.downcast::<std::io::Error>()
    {
        return Error::Io(*inner);
    }
    Error::Failed(format!("{}: {words}", path.display()))
}

/// Writes the rows in the order given.
pub fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("source", DataType::Utf8, false),
        Field::new("phase", DataType::Utf8, true),
        Field::new("epoch", DataType::UInt32, true),
        Field::new("outcome", DataType::Utf8, false),
        Field::new("documents", DataType::UInt64, true),
        Field::new("tokens", DataType::UInt64, true),
        Field::new("bytes", DataType::UInt64, true),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.source.as_str()))),
        Arc::new(rows.iter().map(|r| r.phase.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.epoch).collect::<UInt32Array>()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.outcome.as_str()))),
        Arc::new(rows.iter().map(|r| r.documents).collect::<UInt64Array>()),
        Arc::new(rows.iter().map(|r| r.tokens).collect::<UInt64Array>()),
        Arc::new(rows.iter().map(|r| r.bytes).collect::<UInt64Array>()),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|e| failed(path, e.into()))?;
    let file = NewFile::create(path)?;
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties())).map_err(|e| failed(path, e))?;
    writer.write(&batch).map_err(|e| failed(path, e))?;
    writer.into_inner().map_err(|e| failed(path, e))?.commit()
}

/// Reads the rows in stored order.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let corrupt = |message: String| Error::Source { file: path.to_owned(), place: "ledger".to_owned(), message };
    let file = fs_err::File::open(path)?.into_parts().0;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|e| corrupt(e.to_string()))?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| corrupt(e.to_string()))?;
        let column = |name: &str, wanted: &DataType| {
            batch
                .column_by_name(name)
                .filter(|column| column.data_type() == wanted)
                .ok_or_else(|| corrupt(format!("column `{name}` of type {wanted} is missing")))
        };
        let text = |name| column(name, &DataType::Utf8).map(|c| c.as_string::<i32>());
        let counts = |name| column(name, &DataType::UInt64).map(|c| c.as_primitive::<UInt64Type>());
        let (source, phase, outcome) = (text("source")?, text("phase")?, text("outcome")?);
        let epoch = column("epoch", &DataType::UInt32)?.as_primitive::<UInt32Type>();
        let (documents, tokens, bytes) = (counts("documents")?, counts("tokens")?, counts("bytes")?);
        let count = |array: &UInt64Array, i: usize| array.is_valid(i).then(|| array.value(i));
        for i in 0..batch.num_rows() {
            rows.push(Row {
                source: source.value(i).to_owned(),
                phase: phase.is_valid(i).then(|| phase.value(i).to_owned()),
                epoch: epoch.is_valid(i).then(|| epoch.value(i)),
                outcome: outcome.value(i).to_owned(),
                documents: count(documents, i),
                tokens: count(tokens, i),
                bytes: count(bytes, i),
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.parquet");
        let rows = vec![
            Row {
                source: "web".into(),
                phase: None,
                epoch: None,
                outcome: "read".into(),
                documents: Some(3),
                tokens: None,
                bytes: Some(99),
            },
            Row {
                source: "web".into(),
                phase: Some("early".into()),
                epoch: Some(0),
                outcome: "emitted".into(),
                documents: None,
                tokens: Some(1 << 40),
                bytes: None,
            },
        ];
        write(&path, &rows).unwrap();
        assert_eq!(read(&path).unwrap(), rows);
        let first = fs_err::read(&path).unwrap();
        write(&path, &rows).unwrap();
        assert_eq!(first, fs_err::read(&path).unwrap());
    }
}
