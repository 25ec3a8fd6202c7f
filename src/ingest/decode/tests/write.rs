//! The same rows written in every format.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, StringViewArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use serde_json::json;

use super::Doc;

/// How the text column is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextType {
    Utf8,
    LargeUtf8,
    Utf8View,
    Binary,
    Dictionary,
}

pub const TEXT_TYPES: [TextType; 5] =
    [TextType::Utf8, TextType::LargeUtf8, TextType::Utf8View, TextType::Binary, TextType::Dictionary];

pub fn batch(docs: &[Doc], kind: TextType) -> RecordBatch {
    let texts = || docs.iter().map(|doc| doc.text.as_deref());
    let text: ArrayRef = match kind {
        TextType::Utf8 => Arc::new(texts().collect::<StringArray>()),
        TextType::LargeUtf8 => Arc::new(texts().collect::<LargeStringArray>()),
        TextType::Utf8View => Arc::new(texts().collect::<StringViewArray>()),
        TextType::Binary => Arc::new(texts().map(|text| text.map(str::as_bytes)).collect::<BinaryArray>()),
        TextType::Dictionary => Arc::new(texts().collect::<DictionaryArray<Int32Type>>()),
    };
    let titles: ArrayRef =
        Arc::new(docs.iter().map(|doc| doc.meta.as_ref().and_then(Option::as_deref)).collect::<StringArray>());
    let noise: ArrayRef = Arc::new(docs.iter().map(|_| Some("never read")).collect::<StringArray>());
    let fields =
        Fields::from(vec![Field::new("noise", DataType::Utf8, true), Field::new("title", DataType::Utf8, true)]);
    let nulls = docs.iter().map(|doc| doc.meta.is_some()).collect::<Vec<_>>();
    let meta: ArrayRef = Arc::new(StructArray::new(fields, vec![noise.clone(), titles], Some(nulls.into())));
    let stars: ArrayRef = Arc::new(docs.iter().map(|doc| doc.stars).collect::<Int64Array>());
    let score: ArrayRef = Arc::new(docs.iter().map(|doc| doc.score).collect::<Float64Array>());
    let lang: ArrayRef = Arc::new(docs.iter().map(|doc| doc.lang.as_deref()).collect::<DictionaryArray<Int32Type>>());
    let clean: ArrayRef = Arc::new(docs.iter().map(|doc| doc.clean).collect::<BooleanArray>());
    let columns = [
        ("noise", noise),
        ("stars", stars),
        ("meta", meta),
        ("text", text),
        ("score", score),
        ("lang", lang),
        ("clean", clean),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

/// Ways of laying out the same Parquet rows.
pub fn parquet_layouts() -> Vec<(&'static str, WriterPropertiesBuilder)> {
    let small = || {
        WriterProperties::builder()
            .set_max_row_group_row_count(Some(13))
            .set_data_page_row_count_limit(5)
            .set_write_batch_size(3)
    };
    vec![
        ("default", WriterProperties::builder()),
        ("small-zstd", small().set_compression(Compression::ZSTD(ZstdLevel::default()))),
        (
            "small-snappy-v2",
            small().set_compression(Compression::SNAPPY).set_writer_version(WriterVersion::PARQUET_2_0),
        ),
        ("plain-lz4", small().set_dictionary_enabled(false).set_compression(Compression::LZ4_RAW)),
        ("delta", small().set_dictionary_enabled(false).set_column_encoding("text".into(), Encoding::DELTA_BYTE_ARRAY)),
        (
            "delta-length-gzip",
            small()
                .set_dictionary_enabled(false)
                .set_column_encoding("text".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                .set_compression(Compression::GZIP(parquet::basic::GzipLevel::default())),
        ),
    ]
}

pub fn parquet(path: &Path, docs: &[Doc], kind: TextType, layout: WriterPropertiesBuilder) {
    write_parquet(path, &batch(docs, kind), layout);
}

pub fn write_parquet(path: &Path, rows: &RecordBatch, layout: WriterPropertiesBuilder) {
    let file = fs_err::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(layout.build())).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn pieces<'a>(rows: &'a RecordBatch, size: usize) -> impl Iterator<Item = RecordBatch> + 'a {
    (0..rows.num_rows()).step_by(size).map(move |at| rows.slice(at, size.min(rows.num_rows() - at)))
}

pub fn arrow_file(path: &Path, docs: &[Doc], kind: TextType, size: usize, compression: Option<CompressionType>) {
    let rows = batch(docs, kind);
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let file = fs_err::File::create(path).unwrap();
    let mut writer = FileWriter::try_new_with_options(file, &rows.schema(), options).unwrap();
    for piece in pieces(&rows, size) {
        writer.write(&piece).unwrap();
    }
    writer.finish().unwrap();
}

pub fn arrow_stream(path: &Path, docs: &[Doc], kind: TextType, size: usize, compression: Option<CompressionType>) {
    let rows = batch(docs, kind);
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let file = fs_err::File::create(path).unwrap();
    let mut writer = StreamWriter::try_new_with_options(file, &rows.schema(), options).unwrap();
    for piece in pieces(&rows, size) {
        writer.write(&piece).unwrap();
    }
    writer.finish().unwrap();
}

/// Ways of spelling the same JSON Lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spelling {
    pub ascii: bool,
    pub crlf: bool,
    pub blank_lines: bool,
    pub bom: bool,
    pub open_end: bool,
    /// Leave null members out.
    pub sparse: bool,
}

pub fn json_line(doc: &Doc, spelling: Spelling) -> String {
    let meta = doc.meta.as_ref().map(|title| json!({ "title": title, "noise": [1, { "title": "no" }] }));
    let mut row = json!({
        "noise": { "text": "never read", "deep": [[[{}]]] }, "stars": doc.stars, "meta": meta, "text": doc.text,
        "score": doc.score, "lang": doc.lang, "clean": doc.clean,
    });
    if spelling.sparse {
        row.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    let line = row.to_string();
    if !spelling.ascii {
        return line;
    }
    let mut ascii = String::new();
    for c in line.chars() {
        let mut units = [0; 2];
        match c {
            ' '..='~' => ascii.push(c),
            _ => c.encode_utf16(&mut units).iter().for_each(|unit| ascii.push_str(&format!("\\u{unit:04X}"))),
        }
    }
    ascii
}

pub fn json_lines(docs: &[Doc], spelling: Spelling) -> Vec<u8> {
    let mut bytes = Vec::new();
    if spelling.bom {
        bytes.extend_from_slice(&[0xEF, 0xBB, 0xBF]);
    }
    let end = if spelling.crlf { "\r\n" } else { "\n" };
    for (at, doc) in docs.iter().enumerate() {
        bytes.extend_from_slice(json_line(doc, spelling).as_bytes());
        if at + 1 < docs.len() || !spelling.open_end {
            bytes.extend_from_slice(end.as_bytes());
        }
        if spelling.blank_lines && at % 3 == 0 {
            bytes.extend_from_slice(format!(" \t{end}{end}").as_bytes());
        }
    }
    bytes
}

pub fn gzip(bytes: &[u8], member: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in bytes.chunks(member.max(1)) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(piece).unwrap();
        all.extend(encoder.finish().unwrap());
    }
    all
}

pub fn zstd(bytes: &[u8], frame: usize) -> Vec<u8> {
    bytes.chunks(frame.max(1)).flat_map(|piece| zstd::encode_all(piece, 1).unwrap()).collect()
}

/// The rows in every format and layout, with a name for each file.
pub fn everything(folder: &Path, docs: &[Doc]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut path = |name: String| {
        let path = folder.join(name);
        paths.push(path.clone());
        path
    };
    for kind in TEXT_TYPES {
        for (name, layout) in parquet_layouts() {
            if kind == TextType::Utf8 || name == "default" || name == "small-zstd" {
                parquet(&path(format!("{name}-{kind:?}.parquet")), docs, kind, layout);
            }
        }
        arrow_file(&path(format!("{kind:?}.arrow")), docs, kind, 13, None);
        arrow_stream(&path(format!("{kind:?}.arrows")), docs, kind, 13, None);
    }
    arrow_file(&path("zstd.arrow".to_owned()), docs, TextType::Utf8, 1000, Some(CompressionType::ZSTD));
    arrow_stream(&path("lz4.arrows".to_owned()), docs, TextType::Dictionary, 1000, Some(CompressionType::LZ4_FRAME));
    let spellings = [
        ("plain", Spelling::default()),
        ("ascii", Spelling { ascii: true, open_end: true, ..Spelling::default() }),
        ("crlf", Spelling { crlf: true, bom: true, sparse: true, ..Spelling::default() }),
        ("blank", Spelling { blank_lines: true, crlf: true, ..Spelling::default() }),
    ];
    for (name, spelling) in spellings {
        let bytes = json_lines(docs, spelling);
        fs_err::write(path(format!("{name}.jsonl")), &bytes).unwrap();
        fs_err::write(path(format!("{name}.jsonl.gz")), gzip(&bytes, 333)).unwrap();
        fs_err::write(path(format!("{name}.jsonl.zst")), zstd(&bytes, 333)).unwrap();
    }
    paths
}
