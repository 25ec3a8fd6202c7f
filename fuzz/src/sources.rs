//! Source files, read to their end as the ingest reads them.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use syllabus::Error;
use syllabus::curriculum::resolved::SourceFile;
use syllabus::ingest::decode::{Limits, ReadSpec, units};

/// Rows after which a file is left: some formats can say a billion rows in a few bytes.
const MOST_ROWS: u64 = 1 << 16;

const CURRICULUM: &str = r#"
syllabus: 1
name: fuzz
tokenizer: {file: tokenizer.json, eos: "</s>"}
sequence_length: 16
sources:
  plain: {files: a, max_document_bytes: 64KiB}
  chosen: {files: b, text: "{meta.title}: {text}", where: "stars IS NULL OR stars > 3 AND lang IN ('en', 'de')", max_document_bytes: 64KiB}
  lists: {files: c, tokenized: {column: ids}, max_document_bytes: 64KiB}
  megatron: {files: d, tokenized: megatron, max_document_bytes: 64KiB}
  datatrove: {files: e, tokenized: {format: datatrove, dtype: u16}, max_document_bytes: 64KiB}
  olmo: {files: f, tokenized: {format: olmo, dtype: u16}, max_document_bytes: 64KiB}
phases:
  - {name: only, tokens: 1k, mix: {plain: 1, chosen: 1, lists: 1, megatron: 1, datatrove: 1, olmo: 1}}
"#;

fn spec(source: &str) -> Arc<ReadSpec> {
    static SPECS: OnceLock<Vec<(String, Arc<ReadSpec>)>> = OnceLock::new();
    let specs = SPECS.get_or_init(|| {
        let curriculum = syllabus::curriculum::parse(CURRICULUM, "fuzz.yaml", false);
        let curriculum = curriculum.unwrap_or_else(|error| panic!("{error}"));
        let limits = Limits { batch_bytes: 1 << 12, max_page_bytes: 1 << 20, ..Limits::default() };
        let spec = |source| Arc::new(ReadSpec::of_source(source, limits));
        curriculum.sources.iter().map(|source| (source.name.clone(), spec(source))).collect()
    });
    let found = specs.iter().find(|(name, _)| name == source);
    Arc::clone(&found.expect("a source of the curriculum").1)
}

fn read(path: &Path, spec: &Arc<ReadSpec>) {
    let Ok(metadata) = fs_err::metadata(path) else { return };
    let file = SourceFile { path: path.to_owned(), bytes: metadata.len() };
    let Ok(units) = units(&file, spec) else { return };
    for unit in units {
        let Ok(mut reader) = unit.open(spec) else { continue };
        let mut left = MOST_ROWS;
        while let Ok(Some(batch)) = reader.next_batch() {
            let visited = batch.visit(&mut |at, row| {
                std::hint::black_box((at, row));
                left = left.checked_sub(1).ok_or_else(|| Error::Failed("enough".to_owned()))?;
                Ok(())
            });
            if visited.is_err() {
                break;
            }
        }
        std::hint::black_box(reader.stored_bytes());
    }
}

/// A file of texts, read with and without a condition, and from its second row on.
pub fn texts(bytes: &[u8], path: &Path) {
    fs_err::write(path, bytes).expect("written");
    read(path, &spec("plain"));
    read(path, &spec("chosen"));
    let spec = spec("plain");
    let file = SourceFile { path: path.to_owned(), bytes: bytes.len() as u64 };
    for unit in units(&file, &spec).unwrap_or_default().into_iter().take(1) {
        let Ok(mut reader) = unit.open(&spec) else { continue };
        if reader.skip_rows(1).is_ok() {
            let _refused = reader.next_batch();
        }
    }
}

/// Lists of ids in a table.
pub fn lists(bytes: &[u8], path: &Path) {
    fs_err::write(path, bytes).expect("written");
    read(path, &spec("lists"));
}

/// What lies beside the ids, and the ids: two bytes say how long the first is.
fn parts(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return (bytes, bytes) };
    rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()))
}

/// Megatron's `.bin` and `.idx`.
pub fn megatron(bytes: &[u8], path: &Path) {
    let (index, ids) = parts(bytes);
    fs_err::write(path.with_extension("idx"), index).expect("written");
    fs_err::write(path, ids).expect("written");
    read(path, &spec("megatron"));
}

/// datatrove's `.ds` and `.ds.index`.
pub fn datatrove(bytes: &[u8], path: &Path) {
    let (index, ids) = parts(bytes);
    fs_err::write(path.with_extension("ds.index"), index).expect("written");
    fs_err::write(path, ids).expect("written");
    read(path, &spec("datatrove"));
}

/// OLMo's `.npy` and `.csv.gz`; the lines are packed here.
pub fn olmo(bytes: &[u8], path: &Path) {
    let (lines, ids) = parts(bytes);
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(lines).expect("packed");
    fs_err::write(path.with_extension("csv.gz"), out.finish().expect("packed")).expect("written");
    fs_err::write(path, ids).expect("written");
    read(path, &spec("olmo"));
}
