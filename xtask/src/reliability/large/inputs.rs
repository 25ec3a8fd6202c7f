//! The inputs themselves, each made in the folder `data` of a fresh place.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, Int32Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use fs_err::File;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

const MIB: usize = 1 << 20;
const GIB: u64 = 1 << 30;

/// What the curriculum says of an input.
#[derive(Default)]
pub struct Options {
    /// Sources, name and content of the braces; one of all files when empty.
    pub sources: Vec<(String, String)>,
    /// Another tokenizer.
    pub tokenizer: Option<PathBuf>,
}

impl Options {
    fn with(more: &str) -> Self {
        Self { sources: vec![("s0".to_owned(), format!("files: \"data/*\", {more}"))], tokenizer: None }
    }
}

/// Makes an input.
pub type Make = fn(&Path) -> Result<Options>;

/// Words, so that they are not one token.
fn words(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    let mut number = 1_u64;
    while text.len() < bytes {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let word = usize::try_from(number >> 61).unwrap_or(0);
        text.push_str(["the ", "sea ", "of ", "grass ", "is ", "green ", "and ", "old "][word]);
    }
    text
}

/// Writes words, about so many bytes, between two texts.
fn repeated(mut out: impl Write, before: &str, after: &str, bytes: u64) -> Result<()> {
    let piece = words(MIB);
    out.write_all(before.as_bytes())?;
    for _ in 0..bytes / MIB as u64 {
        out.write_all(piece.as_bytes())?;
    }
    out.write_all(after.as_bytes())?;
    Ok(out.flush()?)
}

/// Some good rows.
fn good() -> String {
    (0..20).map(|row| format!("{{\"text\": \"{row} {}\"}}\n", words(2_000))).collect()
}

pub fn line(place: &Path) -> Result<Options> {
    repeated(File::create(place.join("data/x.jsonl"))?, "{\"text\": \"", "\"}\n", 2 * GIB)?;
    Ok(Options::default())
}

pub fn line_counted(place: &Path) -> Result<Options> {
    let (before, after) = (format!("{}{{\"text\": \"", good()), format!("\"}}\n{}", good()));
    repeated(File::create(place.join("data/x.jsonl"))?, &before, &after, 2 * GIB)?;
    Ok(Options::with("on_bad_row: count"))
}

pub fn text(place: &Path) -> Result<Options> {
    repeated(File::create(place.join("data/x.txt"))?, "", "", 2 * GIB)?;
    Ok(Options::default())
}

pub fn text_counted(place: &Path) -> Result<Options> {
    fs_err::write(place.join("data/good.jsonl"), good())?;
    repeated(File::create(place.join("data/x.txt"))?, "", "", 2 * GIB)?;
    Ok(Options::with("on_bad_row: count"))
}

/// A table of texts in one row group, and in one page where all rows are written at once.
fn table(path: &Path, rows: usize, each: usize, at_once: usize) -> Result<()> {
    let text = words(each);
    let page = if at_once >= rows { usize::MAX } else { 1 << 20 };
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_data_page_size_limit(page)
        .set_data_page_row_count_limit(if at_once >= rows { usize::MAX } else { 20_000 })
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
        .set_max_row_group_row_count(Some(rows))
        .build();
    let make = |first: usize, count: usize| {
        let values = (first..first + count).map(|row| format!("{row} {text}"));
        RecordBatch::try_from_iter([("text", Arc::new(StringArray::from_iter_values(values)) as ArrayRef)])
    };
    let mut writer = ArrowWriter::try_new(File::create(path)?, make(0, 1)?.schema(), Some(properties))?;
    for first in (0..rows).step_by(at_once) {
        writer.write(&make(first, at_once.min(rows - first))?)?;
    }
    writer.close().map(drop).context("writing Parquet")
}

pub fn document(place: &Path) -> Result<Options> {
    // An array of 32-bit offsets holds just under 2 GiB.
    table(&place.join("data/x.parquet"), 1, 2048 * MIB - 4 * MIB, 1)?;
    Ok(Options::default())
}

pub fn row_group(place: &Path) -> Result<Options> {
    table(&place.join("data/x.parquet"), 2_048, MIB, 8)?;
    Ok(Options::default())
}

pub fn page(place: &Path) -> Result<Options> {
    table(&place.join("data/x.parquet"), 700, MIB, 700)?;
    Ok(Options::default())
}

pub fn large_pages(place: &Path) -> Result<Options> {
    for file in 0..8 {
        table(&place.join(format!("data/{file}.parquet")), 120, MIB / 2 + file, 120)?;
    }
    Ok(Options::default())
}

pub fn page_of_ids(place: &Path) -> Result<Options> {
    let ids = Int32Array::from(vec![7; 160 << 20]);
    let item = Arc::new(Field::new("item", DataType::Int32, false));
    let offsets = OffsetBuffer::from_lengths([ids.len()]);
    let lists: ArrayRef = Arc::new(ListArray::try_new(item, offsets, Arc::new(ids), None)?);
    let batch = RecordBatch::try_from_iter([("ids", lists)])?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(usize::MAX)
        .set_write_batch_size(usize::MAX)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
        .build();
    let mut writer =
        ArrowWriter::try_new(File::create(place.join("data/x.parquet"))?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(Options::with("tokenized: {column: ids}"))
}

/// An Arrow file of one record batch for each of `batches`.
fn arrow(path: &Path, batches: usize, rows: usize, each: usize, compression: Option<CompressionType>) -> Result<()> {
    let text = words(each);
    let make = |at: usize| {
        let values = (0..rows).map(|row| format!("{at} {row} {text}"));
        RecordBatch::try_from_iter([("text", Arc::new(StringArray::from_iter_values(values)) as ArrayRef)])
    };
    let options = IpcWriteOptions::default().try_with_compression(compression)?;
    let mut writer = FileWriter::try_new_with_options(File::create(path)?, &make(0)?.schema(), options)?;
    for at in 0..batches {
        writer.write(&make(at)?)?;
    }
    Ok(writer.finish()?)
}

pub fn record_batch(place: &Path) -> Result<Options> {
    arrow(&place.join("data/x.arrow"), 1, 2_000, MIB, None)?;
    Ok(Options::default())
}

pub fn buffer(place: &Path) -> Result<Options> {
    arrow(&place.join("data/x.arrow"), 1, 700, MIB, Some(CompressionType::ZSTD))?;
    Ok(Options::default())
}

pub fn large_batches(place: &Path) -> Result<Options> {
    for file in 0..8 {
        arrow(&place.join(format!("data/{file}.arrow")), 2, 120, MIB / 2 + file, None)?;
    }
    Ok(Options::default())
}

fn gzip(place: &Path, name: &str, before: &str, piece: u8, after: &str) -> Result<()> {
    let mut out = flate2::write::GzEncoder::new(File::create(place.join(name))?, flate2::Compression::fast());
    out.write_all(before.as_bytes())?;
    let piece = vec![piece; MIB];
    for _ in 0..4096 {
        out.write_all(&piece)?;
    }
    out.write_all(after.as_bytes())?;
    out.finish().map(drop).context("writing gzip")
}

pub fn gzip_line(place: &Path) -> Result<Options> {
    gzip(place, "data/x.jsonl.gz", "{\"text\": \"", b'0', "\"}\n")?;
    Ok(Options::default())
}

pub fn gzip_text(place: &Path) -> Result<Options> {
    gzip(place, "data/x.txt.gz", "", b'0', "")?;
    Ok(Options::default())
}

pub fn gzip_blank(place: &Path) -> Result<Options> {
    gzip(place, "data/x.jsonl.gz", &good(), b'\n', &good())?;
    Ok(Options::default())
}

pub fn zstd_line(place: &Path) -> Result<Options> {
    let mut out = zstd::Encoder::new(File::create(place.join("data/x.jsonl.zst"))?, 1)?;
    out.write_all(format!("{}{{\"text\": \"", good()).as_bytes())?;
    let piece = vec![b'0'; MIB];
    for _ in 0..4096 {
        out.write_all(&piece)?;
    }
    out.write_all(format!("\"}}\n{}", good()).as_bytes())?;
    out.finish()?;
    Ok(Options::with("on_bad_row: count"))
}

pub fn window(place: &Path) -> Result<Options> {
    // A frame whose header asks for a window of 2 GiB: magic, descriptor without sizes, window descriptor, one raw block.
    let text = format!("{{\"text\": \"{}\"}}\n", words(1_000));
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (31 - 10) << 3];
    let block = u32::try_from(text.len())? << 3 | 1;
    bytes.extend(&block.to_le_bytes()[..3]);
    bytes.extend(text.as_bytes());
    fs_err::write(place.join("data/x.jsonl.zst"), bytes)?;
    Ok(Options::default())
}

pub fn deep(place: &Path) -> Result<Options> {
    let line = format!("{{\"a\": {}1{}, \"text\": 5}}\n", "[".repeat(1_000_000), "]".repeat(1_000_000));
    fs_err::write(place.join("data/x.jsonl"), line)?;
    Ok(Options::default())
}

pub fn long_documents(place: &Path) -> Result<Options> {
    for file in 0..8 {
        let before = format!("{{\"text\": \"{file} ");
        repeated(File::create(place.join(format!("data/{file}.jsonl")))?, &before, "\"}\n", 60 << 20)?;
    }
    Ok(Options::default())
}

pub fn long_lines(place: &Path) -> Result<Options> {
    for file in 0..8 {
        let before = format!("{}{{\"text\": \"{file} {}\", \"more\": \"", good(), words(1_000));
        repeated(File::create(place.join(format!("data/{file}.jsonl")))?, &before, "\"}\n", 190 << 20)?;
    }
    Ok(Options::default())
}

pub fn many_sources(place: &Path) -> Result<Options> {
    let text = words(4_000);
    let mut sources = Vec::new();
    for source in 0..60 {
        let mut out = File::create(place.join(format!("data/{source}.jsonl")))?;
        for row in 0..50 {
            writeln!(out, "{{\"text\": \"{source} {row} {text}\"}}")?;
        }
        sources.push((format!("s{source}"), format!("files: data/{source}.jsonl")));
    }
    Ok(Options { sources, tokenizer: None })
}

pub fn many_files(place: &Path) -> Result<Options> {
    for file in 0..100_000 {
        let path = place.join(format!("data/{file:06}.jsonl"));
        fs_err::write(path, format!("{{\"text\": \"file {file} of many\"}}\n"))?;
    }
    Ok(Options::default())
}

pub fn many_tables(place: &Path) -> Result<Options> {
    let fields = (0..40).map(|column| {
        let name = if column == 0 { "text".to_owned() } else { format!("column_{column}") };
        (name, Arc::new(StringArray::from_iter_values([format!("value {column}")])) as ArrayRef)
    });
    let batch = RecordBatch::try_from_iter(fields.collect::<Vec<_>>())?;
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    for file in 0..20_000 {
        fs_err::write(place.join(format!("data/{file:05}.parquet")), &bytes)?;
    }
    Ok(Options::default())
}

pub fn tokenizer(place: &Path) -> Result<Options> {
    fs_err::write(place.join("data/x.jsonl"), good())?;
    let path = place.join("tokenizer.json");
    let mut out = std::io::BufWriter::new(File::create(&path)?);
    write!(
        out,
        "{{\"version\": \"1.0\", \"added_tokens\": [{{\"id\": 0, \"content\": \"<|endoftext|>\", \"special\": true}}], "
    )?;
    write!(
        out,
        "\"pre_tokenizer\": {{\"type\": \"ByteLevel\", \"add_prefix_space\": false}}, \"decoder\": {{\"type\": \"ByteLevel\"}}, "
    )?;
    write!(out, "\"model\": {{\"type\": \"BPE\", \"merges\": [], \"vocab\": {{\"<|endoftext|>\": 0")?;
    for id in 1..14_000_000 {
        write!(out, ", \"piece number {id:07}\": {id}")?;
    }
    write!(out, "}}}}}}")?;
    out.flush()?;
    Ok(Options { sources: Vec::new(), tokenizer: Some(path) })
}
