//! The documents to measure on: the real corpus where there is one, else the fixtures, repeated.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use arrow::array::{Array, AsArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// How often the fixtures are repeated, each time with another first line, so that no copy is a duplicate.
const COPIES: usize = 20;

/// A source: its name, its files, and their texts.
pub struct Source {
    /// Its name: the folder's.
    pub name: String,
    /// A pattern for its files.
    pub files: String,
    /// Its documents; blank ones, which a compile leaves out, are not among them.
    pub documents: Vec<String>,
}

/// A row as JSON: only the text matters.
#[derive(serde::Deserialize)]
struct Line {
    text: String,
}

fn parquet_texts(path: &Path, column: &str, texts: &mut Vec<String>) -> Result<()> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs_err::File::open(path)?.into_parts().0)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
    for batch in builder.with_projection(mask).build()? {
        let array = arrow::compute::cast(batch?.column(0), &arrow::datatypes::DataType::LargeUtf8)?;
        let array = array.as_string::<i64>();
        texts.extend((0..array.len()).map(|row| array.value(row).to_owned()));
    }
    Ok(())
}

fn texts(path: &Path) -> Result<Vec<String>> {
    let name = path.to_string_lossy();
    let mut texts = Vec::new();
    let mut lines = String::new();
    if name.ends_with(".parquet") {
        parquet_texts(path, "text", &mut texts)?;
    } else if name.ends_with(".jsonl.zst") {
        zstd::Decoder::new(fs_err::File::open(path)?)?.read_to_string(&mut lines)?;
    } else if name.ends_with(".jsonl.gz") {
        flate2::read::MultiGzDecoder::new(fs_err::File::open(path)?).read_to_string(&mut lines)?;
    } else if name.ends_with(".jsonl") {
        lines = fs_err::read_to_string(path)?;
    } else {
        bail!("{name}: a benchmark reads .parquet and .jsonl, .jsonl.gz, .jsonl.zst");
    }
    for line in lines.lines() {
        texts.push(serde_json::from_str::<Line>(line).with_context(|| name.clone().into_owned())?.text);
    }
    texts.retain(|text| !text.trim().is_empty());
    Ok(texts)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs_err::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// Reads every source under `data`: one folder each.
pub fn read(data: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for folder in sorted(data)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !folder.is_dir() || ["eval", "tokenizers"].contains(&name.as_str()) {
            continue;
        }
        let mut documents = Vec::new();
        for path in sorted(&folder)? {
            documents.extend(texts(&path)?);
        }
        sources.push(Source { files: format!("{}/*", folder.display()), name, documents });
    }
    if sources.is_empty() {
        bail!("{}: no folder with documents", data.display());
    }
    Ok(sources)
}

/// Writes the fixtures' web and books many times over into `folder`, a line for each document.
pub fn repeat_fixtures(root: &Path, folder: &Path) -> Result<()> {
    for (source, column) in [("web", "text"), ("books", "body")] {
        let mut documents = Vec::new();
        for path in sorted(&root.join("fixtures/corpora").join(source))? {
            parquet_texts(&path, column, &mut documents)?;
        }
        let mut lines = String::new();
        for copy in 0..COPIES {
            for document in &documents {
                let text = serde_json::to_string(&format!("{copy}\n{document}"))?;
                lines.push_str(&format!("{{\"text\": {text}}}\n"));
            }
        }
        fs_err::create_dir_all(folder.join(source))?;
        fs_err::write(folder.join(source).join("all.jsonl"), lines)?;
    }
    Ok(())
}
