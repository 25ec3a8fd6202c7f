//! Rows of the fixtures read and written again in other formats, by code that shares nothing with the compiler's.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int32Type, Int64Type, UInt16Type, UInt32Type, UInt64Type,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};

use crate::harness;

/// A row: its columns by name.
pub type Row = Map<String, Value>;

/// A column's value as text; none where it is null.
pub fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    row.get(column).and_then(Value::as_str)
}

fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).into(),
        DataType::FixedSizeBinary(_) => {
            let bytes = array.as_fixed_size_binary().value(row);
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
        DataType::Dictionary(keys, _) => {
            let at = match **keys {
                DataType::Int8 => i64::from(array.as_dictionary::<Int8Type>().keys().value(row)),
                DataType::Int32 => i64::from(array.as_dictionary::<Int32Type>().keys().value(row)),
                DataType::UInt16 => i64::from(array.as_dictionary::<UInt16Type>().keys().value(row)),
                DataType::UInt32 => i64::from(array.as_dictionary::<UInt32Type>().keys().value(row)),
                ref other => panic!("a dictionary by {other}"),
            };
            value(array.as_any_dictionary().values(), usize::try_from(at).unwrap())
        }
        other => panic!("no test knows {other}"),
    }
}

fn batch_rows(batch: &RecordBatch, rows: &mut Vec<Row>) {
    for row in 0..batch.num_rows() {
        let columns = batch.schema();
        let names = columns.fields().iter().map(|field| field.name().clone());
        rows.push(names.zip(batch.columns()).map(|(name, array)| (name, value(array, row))).collect());
    }
}

fn json_rows(text: &str, rows: &mut Vec<Row>) {
    rows.extend(text.lines().map(|line| serde_json::from_str::<Row>(line).unwrap()));
}

/// The rows of a file.
pub fn read(path: &Path) -> Vec<Row> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let bytes = fs_err::read(path).unwrap();
    let mut rows = Vec::new();
    let mut text = String::new();
    match name.split_once('.').unwrap().1 {
        "parquet" => {
            let file = fs_err::File::open(path).unwrap().into_parts().0;
            for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
                batch_rows(&batch.unwrap(), &mut rows);
            }
        }
        "arrow" => {
            for batch in arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None).unwrap() {
                batch_rows(&batch.unwrap(), &mut rows);
            }
        }
        "jsonl" => json_rows(std::str::from_utf8(&bytes).unwrap(), &mut rows),
        "jsonl.zst" => {
            zstd::Decoder::new(&bytes[..]).unwrap().read_to_string(&mut text).unwrap();
            json_rows(&text, &mut rows);
        }
        "jsonl.gz" => {
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
            json_rows(&text, &mut rows);
        }
        "txt" => {
            let mut row = Row::new();
            row.insert("text".to_owned(), String::from_utf8(bytes).unwrap().into());
            rows.push(row);
        }
        other => panic!("the fixtures have no .{other}"),
    }
    rows
}

/// The whole number in a column; none where it is null.
pub fn number(row: &Row, column: &str) -> Option<u64> {
    row.get(column).and_then(Value::as_u64)
}

/// The rows of a source of the fixtures, in the order of its files.
pub fn source(name: &str) -> Vec<Row> {
    let folder = harness::fixtures().join("corpora").join(name);
    harness::files(&folder).iter().flat_map(|path| read(&folder.join(path))).collect()
}

fn batch(rows: &[Row]) -> RecordBatch {
    let mut names: Vec<&String> = rows.iter().flat_map(Map::keys).collect();
    names.sort();
    names.dedup();
    RecordBatch::try_from_iter_with_nullable(names.into_iter().map(|name| {
        let values: Vec<&Value> = rows.iter().map(|row| row.get(name).unwrap_or(&Value::Null)).collect();
        let array: ArrayRef = if values.iter().any(|value| value.is_f64()) {
            Arc::new(values.iter().map(|value| value.as_f64()).collect::<Float64Array>())
        } else if values.iter().any(|value| value.is_i64()) {
            Arc::new(values.iter().map(|value| value.as_i64()).collect::<Int64Array>())
        } else {
            Arc::new(values.iter().map(|value| value.as_str()).collect::<StringArray>())
        };
        (name, array, true)
    }))
    .unwrap()
}

/// Parquet, with row groups of so many rows.
pub fn parquet(rows: &[Row], group_rows: usize) -> Vec<u8> {
    let batch = batch(rows);
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    out
}

/// Arrow IPC.
pub fn arrow(rows: &[Row]) -> Vec<u8> {
    let batch = batch(rows);
    let mut out = Vec::new();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut out, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    out
}

/// JSON Lines.
pub fn jsonl(rows: &[Row]) -> Vec<u8> {
    rows.iter().flat_map(|row| (serde_json::to_string(row).unwrap() + "\n").into_bytes()).collect()
}

/// JSON Lines in zstd frames of so many bytes each, cut anywhere.
pub fn jsonl_zst(rows: &[Row], frame_bytes: usize) -> Vec<u8> {
    jsonl(rows).chunks(frame_bytes).flat_map(|bytes| zstd::encode_all(bytes, 1).unwrap()).collect()
}

/// JSON Lines in gzip members of so many bytes each, cut anywhere.
pub fn jsonl_gz(rows: &[Row], member_bytes: usize) -> Vec<u8> {
    jsonl(rows)
        .chunks(member_bytes)
        .flat_map(|bytes| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        })
        .collect()
}
