//! Benchmark files to items.

use std::fmt::Formatter;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A benchmark's item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    pub(super) benchmark: String,
    pub(super) name: String,
    /// Texts of the fields that are matched.
    pub(super) texts: Vec<String>,
}

/// Column that names the benchmark.
const BENCHMARK: &str = "benchmark";

/// Columns that name an item: the first that a row has.
const NAMES: [&str; 3] = ["id", "task_id", "question_id"];

/// Appends a file's items.
pub(super) fn read(file: &Path, fields: &[String], items: &mut Vec<Item>) -> Result<()> {
    let before = items.len();
    let mut input = fs_err::File::open(file)?;
    let mut magic = Vec::new();
    Read::by_ref(&mut input).take(4).read_to_end(&mut magic)?;
    if magic.as_slice() == b"PAR1" {
        read_parquet(file, fields, items)?;
    } else {
        let input = fs_err::File::open(file)?;
        let lines: Box<dyn Read> = if magic.starts_with(&[0x1F, 0x8B]) {
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(input)))
        } else if magic.as_slice() == [0x28, 0xB5, 0x2F, 0xFD] {
            Box::new(zstd::Decoder::new(input)?)
        } else {
            Box::new(input)
        };
        read_lines(file, BufReader::with_capacity(1 << 18, lines), fields, items)?;
    }
    if items.len() == before {
        return Err(error(file, "the whole file".into(), "has no benchmark items".into()));
    }
    Ok(())
}

fn error(file: &Path, place: String, message: String) -> Error {
    Error::Source { file: file.to_owned(), place, message }
}

fn read_lines(file: &Path, mut input: impl BufRead, fields: &[String], items: &mut Vec<Item>) -> Result<()> {
    let stem = stem(file);
    let roots = wanted(fields);
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        number += 1;
        let place = || format!("line {number}");
        let read =
            input.read_until(b'\n', &mut line).map_err(|e| error(file, place(), format!("cannot be read: {e}")))?;
        if read == 0 {
            return Ok(());
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let broken =
            |e| error(file, place(), format!("is not a JSON object: {e}; a benchmark file is JSON Lines or Parquet"));
        // What is read past is text, too.
        let text = simdutf8::compat::from_utf8(&line)
            .map_err(|e| error(file, place(), format!("is not UTF-8 at its byte {}", e.valid_up_to())))?;
        let mut parser = serde_json::Deserializer::from_str(text);
        let row =
            Columns(&roots).deserialize(&mut parser).and_then(|row| parser.end().map(|()| row)).map_err(broken)?;
        let item = match item(&row, fields, &stem, number) {
            Ok(item) => item,
            // What else it has may say what is meant.
            Err(_) => item(&serde_json::from_str(text).map_err(broken)?, fields, &stem, number)
                .map_err(|message| error(file, place(), message))?,
        };
        items.push(item);
    }
}

/// The columns that an item is made of. A name with dots may be that of a column, too.
fn wanted(fields: &[String]) -> Vec<String> {
    let root = |name: &String| name.split('.').next().unwrap_or_default().to_owned();
    let own = [BENCHMARK].into_iter().chain(NAMES).map(str::to_owned);
    fields.iter().flat_map(|field| [field.clone(), root(field)]).chain(own).collect()
}

/// An object's values under these names: the others are read past.
struct Columns<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Columns<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Columns<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut row = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            if self.0.contains(&name) {
                row.insert(name, object.next_value()?);
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(row)
    }
}

fn item(row: &Map<String, Value>, fields: &[String], stem: &str, number: u64) -> Result<Item, String> {
    let mut texts = Vec::new();
    let mut found = false;
    for field in fields {
        match reach(row, field) {
            None | Some(Value::Null) => {}
            Some(value) => {
                found = true;
                gather(value, field, &mut texts)?;
            }
        }
    }
    if !found {
        let has = row.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(format!("has none of the fields {}; it has {has}", fields.join(", ")));
    }
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let name = NAMES.iter().find_map(|name| row.get(*name).and_then(text)).unwrap_or_else(|| format!("row {number}"));
    let benchmark = row.get(BENCHMARK).and_then(text).unwrap_or_else(|| stem.to_owned());
    Ok(Item { benchmark, name, texts })
}

/// A field by its name, or by a path of names joined by dots.
fn reach<'a>(row: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    row.get(field).or_else(|| {
        let (first, rest) = field.split_once('.')?;
        reach(row.get(first)?.as_object()?, rest)
    })
}

fn gather(value: &Value, field: &str, texts: &mut Vec<String>) -> Result<(), String> {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().try_for_each(|value| gather(value, field, texts))?,
        _ => return Err(format!("field {field} is neither text nor a list of texts")),
    }
    Ok(())
}

fn read_parquet(file: &Path, fields: &[String], items: &mut Vec<Item>) -> Result<()> {
    let failed = |message: &dyn std::fmt::Display| error(file, "as Parquet".into(), message.to_string());
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(fs_err::File::open(file)?.into_file()).map_err(|e| failed(&e))?;
    let wanted = wanted(fields);
    let schema = Arc::clone(builder.schema());
    let roots: Vec<usize> = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| wanted.contains(field.name()))
        .map(|(at, _)| at)
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let reader = builder.with_projection(mask).build().map_err(|e| failed(&e))?;
    let stem = stem(file);
    let mut first = 1_u64;
    for batch in reader {
        let batch = batch.map_err(|e| failed(&e))?;
        let columns = columns(&batch, fields).map_err(|message| error(file, format!("rows from {first}"), message))?;
        for row in 0..batch.num_rows() {
            let number = first + u64::try_from(row).unwrap_or(0);
            // As a JSON row, so that both formats are judged by the same code.
            let object = columns.iter().map(|(name, column)| (name.clone(), column.value(row))).collect();
            let item = item(&object, fields, &stem, number)
                .map_err(|message| error(file, format!("row {number}"), message))?;
            items.push(item);
        }
        first += u64::try_from(batch.num_rows()).unwrap_or(0);
    }
    Ok(())
}

/// A column as text.
enum Column {
    Text(ArrayRef),
    List(ArrayRef),
    Other,
}

impl Column {
    fn new(array: &ArrayRef) -> Result<Self, String> {
        let to = |to: &DataType| cast(array, to).map_err(|e| e.to_string());
        Ok(match array.data_type() {
            DataType::List(_) | DataType::LargeList(_) => {
                let item = Arc::new(arrow::datatypes::Field::new_list_field(DataType::LargeUtf8, true));
                to(&DataType::LargeList(item)).map_or(Self::Other, Self::List)
            }
            DataType::Struct(_) | DataType::Map(..) => Self::Other,
            DataType::Dictionary(..) | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(to(&DataType::LargeUtf8)?)
            }
            other if other.is_integer() => Self::Text(to(&DataType::LargeUtf8)?),
            _ => Self::Other,
        })
    }

    fn value(&self, row: usize) -> Value {
        let text = |array: &ArrayRef, row: usize| match array.as_string_opt::<i64>() {
            Some(texts) if texts.is_valid(row) => Value::String(texts.value(row).to_owned()),
            _ => Value::Null,
        };
        match self {
            Self::Text(array) => text(array, row),
            Self::List(array) => match array.as_list_opt::<i64>() {
                Some(lists) if lists.is_valid(row) => {
                    let values = lists.value(row);
                    Value::Array((0..values.len()).map(|at| text(&values, at)).filter(|v| !v.is_null()).collect())
                }
                _ => Value::Null,
            },
            Self::Other => Value::Bool(true),
        }
    }
}

/// The columns of a batch that are asked for, under the names they are asked by.
fn columns(batch: &RecordBatch, fields: &[String]) -> Result<Vec<(String, Column)>, String> {
    let mut columns = Vec::new();
    for name in fields.iter().map(String::as_str).chain([BENCHMARK]).chain(NAMES) {
        let array = batch.column_by_name(name).cloned().or_else(|| {
            let mut parts = name.split('.');
            let mut array = Arc::clone(batch.column_by_name(parts.next()?)?);
            for part in parts {
                array = Arc::clone(array.as_struct_opt()?.column_by_name(part)?);
            }
            Some(array)
        });
        if let Some(array) = array {
            columns.push((name.to_owned(), Column::new(&array).map_err(|e| format!("column {name}: {e}"))?));
        }
    }
    Ok(columns)
}

/// A file's name without its endings.
fn stem(file: &Path) -> String {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut stem = name.as_str();
    for ending in [".gz", ".zst", ".jsonl", ".json", ".parquet"] {
        stem = stem.strip_suffix(ending).unwrap_or(stem);
    }
    stem.to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use arrow::array::{DictionaryArray, Int32Array, ListBuilder, StringArray, StringBuilder};
    use arrow::datatypes::Int8Type;
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn load(name: &str, bytes: &[u8], fields: &[&str]) -> Result<Vec<Item>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        let mut items = Vec::new();
        let fields: Vec<String> = fields.iter().map(|&f| f.to_owned()).collect();
        read(&path, &fields, &mut items)?;
        Ok(items)
    }

    fn item(benchmark: &str, name: &str, texts: &[&str]) -> Item {
        Item { benchmark: benchmark.into(), name: name.into(), texts: texts.iter().map(|&t| t.into()).collect() }
    }

    const LINES: &str = "{\"id\": 7, \"benchmark\": \"b\", \"q\": \"one\", \"extra\": null}\n\n{\"q\": null, \"choices\": [\"x\", \"y\"], \"in\": {\"a\": \"deep\"}}\n";

    #[test]
    fn json_lines_plain_and_compressed() {
        let fields = ["q", "choices", "in.a"];
        let expected = [item("b", "7", &["one"]), item("eval", "row 3", &["x", "y", "deep"])];
        assert_eq!(load("eval.jsonl", LINES.as_bytes(), &fields).unwrap(), expected);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(LINES.as_bytes()).unwrap();
        assert_eq!(load("eval.jsonl.gz", &gz.finish().unwrap(), &fields).unwrap(), expected);
        let zst = zstd::encode_all(LINES.as_bytes(), 1).unwrap();
        assert_eq!(load("eval.jsonl.zst", &zst, &fields).unwrap(), expected);
    }

    #[test]
    fn parquet() {
        let mut choices = ListBuilder::new(StringBuilder::new());
        choices.append_value([Some("x"), Some("y")]);
        choices.append_null();
        let benchmark: DictionaryArray<Int8Type> = ["b", "b"].into_iter().collect();
        let batch = RecordBatch::try_from_iter([
            ("question_id", Arc::new(Int32Array::from(vec![5, 6])) as ArrayRef),
            ("benchmark", Arc::new(benchmark)),
            ("q", Arc::new(StringArray::from(vec![None, Some("one")]))),
            ("choices", Arc::new(choices.finish())),
            ("unread", Arc::new(Int32Array::from(vec![1, 2]))),
        ])
        .unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let expected = [item("b", "5", &["x", "y"]), item("b", "6", &["one"])];
        assert_eq!(load("x.parquet", &bytes, &["q", "choices"]).unwrap(), expected);
        let message = load("x.parquet", &bytes, &["question"]).unwrap_err().to_string();
        assert!(message.contains("row 1: has none of the fields question"), "{message}");
    }

    #[test]
    fn errors_name_the_place() {
        let message = |text: &str, fields: &[&str]| load("e.jsonl", text.as_bytes(), fields).unwrap_err().to_string();
        assert!(message(LINES, &["text"]).contains("e.jsonl: line 1: has none of the fields text; it has"));
        let latin1 = load("e.jsonl", b"{\"text\": \"a\", \"other\": \"\xFF\"}", &["text"]).unwrap_err().to_string();
        assert!(latin1.contains("line 1: is not UTF-8 at its byte 24"), "{latin1}");
        assert!(message("{\"text\": \"a\"}\n[1]", &["text"]).contains("line 2: is not a JSON object"));
        assert!(message("{\"text\": 5}", &["text"]).contains("field text is neither text"));
        assert!(message("\n \n", &["text"]).contains("no benchmark items"));
        let cut = zstd::encode_all(LINES.repeat(50).as_bytes(), 1).unwrap();
        let error = load("c.zst", &cut[..cut.len() - 5], &["q", "choices"]).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
