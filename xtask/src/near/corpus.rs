//! Real documents in memory.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use syllabus::dedup::near::{NearDocument, NearDocuments, Signature, Signer};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The domains that are looked at.
pub const DOMAINS: [&str; 8] = ["books", "code", "dialog", "maths", "multilingual", "sql", "stem", "web"];

/// A real document.
#[derive(Clone)]
pub struct Document {
    /// Where it is from: a repository's or a package's name.
    pub source: String,
    /// Its text.
    pub text: String,
}

/// All documents of a domain, files in the order of their names.
pub fn read(data: &Path, domain: &str) -> Result<Vec<Document>> {
    let mut files: Vec<PathBuf> =
        fs_err::read_dir(data.join(domain))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let mut documents = Vec::new();
    for file in files {
        let name = file.to_string_lossy().into_owned();
        let open = || Ok::<_, anyhow::Error>(fs_err::File::open(&file)?);
        if name.ends_with(".parquet") {
            parquet(open()?, &mut documents).with_context(|| name.clone())?;
        } else if name.ends_with(".jsonl.zst") {
            lines(zstd::Decoder::new(open()?)?, &mut documents).with_context(|| name.clone())?;
        } else if name.ends_with(".jsonl.gz") {
            lines(flate2::read::MultiGzDecoder::new(open()?), &mut documents).with_context(|| name.clone())?;
        }
    }
    Ok(documents)
}

#[derive(serde::Deserialize)]
struct Row {
    source: String,
    text: String,
}

fn lines(input: impl Read, documents: &mut Vec<Document>) -> Result<()> {
    for line in BufReader::new(input).lines() {
        let row: Row = serde_json::from_str(&line?)?;
        documents.push(Document { source: row.source, text: row.text });
    }
    Ok(())
}

fn parquet(file: fs_err::File, documents: &mut Vec<Document>) -> Result<()> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.into_file())?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["source", "text"]);
    for batch in builder.with_projection(mask).build()? {
        let batch = batch?;
        let column = |name: &str| -> Result<_> {
            Ok(cast(batch.column_by_name(name).with_context(|| format!("no column {name}"))?, &DataType::LargeUtf8)?)
        };
        let (sources, texts) = (column("source")?, column("text")?);
        let (sources, texts) = (sources.as_string::<i64>(), texts.as_string::<i64>());
        documents.extend(sources.iter().zip(texts).map(|(source, text)| Document {
            source: source.unwrap_or_default().to_owned(),
            text: text.unwrap_or_default().to_owned(),
        }));
    }
    Ok(())
}

/// Drops blank documents and repeated texts.
pub fn distinct(documents: &mut Vec<Document>) {
    let mut seen = std::collections::BTreeSet::new();
    documents.retain(|d| !d.text.trim().is_empty() && seen.insert(xxh3_128(d.text.as_bytes())));
}

/// Documents of one source, all of one rank.
pub struct Near<'a> {
    pub documents: &'a [Document],
    pub shingle: u32,
}

impl NearDocuments for Near<'_> {
    fn count(&self) -> u64 {
        self.documents.len() as u64
    }

    fn document(&self, number: u64) -> syllabus::Result<NearDocument> {
        let text = &self.at(number)?.text;
        let key = xxh3_128(text.as_bytes());
        Ok(NearDocument { scope: 0, held_out: false, exempt: false, priority: 0, bytes: text.len() as u64, key })
    }

    fn signatures(
        &self,
        _part: usize,
        each: &mut dyn FnMut(u64, &Signature) -> syllabus::Result<()>,
    ) -> syllabus::Result<()> {
        let mut signer = Signer::new(self.shingle);
        (0_u64..).zip(self.documents).try_for_each(|(number, document)| each(number, &signer.sign(&document.text)))
    }

    fn text(&self, number: u64, text: &mut String) -> syllabus::Result<()> {
        text.push_str(&self.at(number)?.text);
        Ok(())
    }
}

impl Near<'_> {
    fn at(&self, number: u64) -> syllabus::Result<&Document> {
        let document = usize::try_from(number).ok().and_then(|number| self.documents.get(number));
        document.ok_or_else(|| syllabus::Error::Failed(format!("no document {number}")))
    }
}

/// The sorted set of a text's shingles.
pub fn shingles(words: &mut syllabus::dedup::words::Words, text: &str, n: usize) -> Vec<u64> {
    let mut out = Vec::new();
    // Told apart by their words, not by the hashes that the search has of them.
    let mut all = Vec::new();
    words.each(text, |window| {
        if all.len() < n {
            all.push(window.last(1).unwrap_or_default().to_vec());
        }
        out.extend(window.last(n).map(xxh3_64));
    });
    if out.is_empty() && !all.is_empty() {
        out.push(xxh3_64(&all.join(&b' ')));
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// Shingles in both of two sorted sets.
pub fn common(a: &[u64], b: &[u64]) -> u64 {
    let (mut i, mut j, mut common) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        common += u64::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    common
}
