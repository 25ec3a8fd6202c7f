//! `cargo xtask ids`: compares the ids of every document of a corpus with Hugging Face's, for each tokenizer.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use arrow::array::{Array as _, AsArray as _};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use syllabus::curriculum::checked::{Backend, Bos, TokenizerSpec};
use syllabus::tokenize::fast::Fast;
use syllabus::tokenize::file::TokenizerFile;
use syllabus::tokenize::opened::Opened;
use syllabus::tokenize::reference::Reference;
use syllabus::tokenize::{Encoder, Tokenizer, load};

/// Compares the ids of every document of a corpus with Hugging Face's
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with `tokenizers/NAME/tokenizer.json` and one folder of Parquet or JSON Lines files a domain, field `text`
    #[arg(long)]
    data: PathBuf,
    /// Tokenizers to compare; all of them unless said
    #[arg(long)]
    tokenizer: Vec<String>,
    /// Only every Nth document
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Threads; all cores unless said
    #[arg(long)]
    threads: Option<usize>,
    /// What to compare with
    #[arg(long, value_enum, default_value_t = Against::HuggingFace)]
    against: Against,
    /// Encode everything so many times with the same encoders; times are of the last
    #[arg(long, default_value_t = 1)]
    passes: usize,
}

/// The other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Against {
    /// Hugging Face's `tokenizers`
    HuggingFace,
    /// `fastokens`
    Fastokens,
    /// Nothing: only measure
    Nothing,
}

/// A document.
struct Document {
    domain: String,
    id: String,
    text: String,
}

/// What one thread counted.
#[derive(Default)]
struct Count {
    tokens: u64,
    differences: Vec<String>,
    ours: Duration,
    theirs: Duration,
}

/// Runs the comparison.
///
/// # Errors
/// When a file cannot be read, a tokenizer cannot be loaded, or any document's ids differ.
pub fn run(args: &Args) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let documents = documents(&args.data, args.every.max(1))?;
    let bytes: usize = documents.iter().map(|document| document.text.len()).sum();
    let threads =
        args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    writeln!(out, "{} documents, {bytes} bytes, {threads} threads, against {:?}", documents.len(), args.against)?;
    writeln!(
        out,
        "{:<18} {:<18} {:>9} {:>11} {:>11} {:>10} {:>10} {:>8}",
        "tokenizer", "backend", "documents", "tokens", "differences", "ours MB/s", "their MB/s", "RSS MiB"
    )?;
    let mut differing = 0;
    for name in names(args)? {
        let path = args.data.join("tokenizers").join(&name).join("tokenizer.json");
        let spec = TokenizerSpec {
            file: path.to_string_lossy().into_owned(),
            bos: Bos::None,
            eos: None,
            pad: None,
            special: Vec::new(),
            backend: Backend::Fast,
        };
        let loaded = load(&path, &spec)?;
        let resident = resident();
        let file = TokenizerFile::read(&path)?;
        let opened = Opened::of(&file, &[])?;
        let other: Option<Box<dyn Tokenizer>> = match args.against {
            Against::HuggingFace => Some(Box::new(Reference::load(&opened, None)?)),
            Against::Fastokens => Fast::load(&opened, None).ok().map(|fast| Box::new(fast) as _),
            Against::Nothing => None,
        };
        drop(opened);
        let count = compare(&documents, &*loaded.tokenizer, other.as_deref(), threads, args.passes.max(1))?;
        let speed = |time: Duration| {
            if time.is_zero() { "-".to_owned() } else { format!("{:.1}", megabytes(bytes) / time.as_secs_f64()) }
        };
        writeln!(
            out,
            "{name:<18} {:<18} {:>9} {:>11} {:>11} {:>10} {:>10} {resident:>8}",
            loaded.contract.backend,
            documents.len(),
            count.tokens,
            if other.is_some() { count.differences.len().to_string() } else { "-".into() },
            speed(count.ours),
            speed(count.theirs),
        )?;
        for difference in count.differences.iter().take(20) {
            writeln!(out, "    {difference}")?;
        }
        out.flush()?;
        differing += count.differences.len();
    }
    if differing > 0 {
        bail!("{differing} documents differ");
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// The names asked for, or all there are.
fn names(args: &Args) -> Result<Vec<String>> {
    if !args.tokenizer.is_empty() {
        return Ok(args.tokenizer.clone());
    }
    let mut names = Vec::new();
    for entry in fs_err::read_dir(args.data.join("tokenizers"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Bytes of text that one side encodes before it is the other's turn: each finds its tables in the processor's caches, as it does
/// where it runs alone.
const TURN: usize = 4 << 20;

/// Encodes all documents on both sides; speeds are of one thread (times are summed over threads).
fn compare(
    documents: &[Document],
    ours: &dyn Tokenizer,
    theirs: Option<&dyn Tokenizer>,
    threads: usize,
    passes: usize,
) -> Result<Count> {
    let turns = turns(documents);
    let mut whole = Count::default();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Count> {
        let mut count = Count::default();
        let mut ours = Side::new(ours);
        let mut theirs = theirs.map(Side::new);
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let pass = turn / turns.len();
            if pass >= passes {
                return Ok(count);
            }
            let documents = turns[turn % turns.len()];
            let took = ours.encode(documents)?;
            let their_time = theirs.as_mut().map(|side| side.encode(documents)).transpose()?;
            if pass + 1 == passes {
                count.tokens += u64::try_from(ours.ids.len())?;
                count.ours += took;
                count.theirs += their_time.unwrap_or_default();
                count.differences.extend(theirs.iter().flat_map(|theirs| differences(documents, &ours, theirs)));
            }
        }
    };
    let counts: Vec<Result<Count>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked"))).collect()
    });
    for count in counts {
        let count = count?;
        whole.tokens += count.tokens;
        whole.ours += count.ours;
        whole.theirs += count.theirs;
        whole.differences.extend(count.differences);
    }
    whole.differences.sort();
    Ok(whole)
}

/// The documents in stretches of about [`TURN`] bytes.
fn turns(documents: &[Document]) -> Vec<&[Document]> {
    let mut turns = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, document) in documents.iter().enumerate() {
        bytes += document.text.len();
        if bytes >= TURN || at + 1 == documents.len() {
            turns.push(&documents[start..=at]);
            (start, bytes) = (at + 1, 0);
        }
    }
    turns
}

/// An encoder, and the ids of the documents that it encoded last.
struct Side<'t> {
    encoder: Box<dyn Encoder + Send + 't>,
    ids: Vec<u32>,
    /// Where each document's ids end.
    ends: Vec<usize>,
    one: Vec<u32>,
}

impl<'t> Side<'t> {
    fn new(tokenizer: &'t dyn Tokenizer) -> Self {
        Self { encoder: tokenizer.encoder(), ids: Vec::new(), ends: Vec::new(), one: Vec::new() }
    }

    /// Encodes documents one by one; gives back how long that took. Keeping their ids is not counted.
    fn encode(&mut self, documents: &[Document]) -> Result<Duration> {
        self.ids.clear();
        self.ends.clear();
        let mut took = Duration::ZERO;
        for document in documents {
            self.one.clear();
            let start = Instant::now();
            self.encoder.encode(&document.text, &mut self.one)?;
            took += start.elapsed();
            self.ids.extend_from_slice(&self.one);
            self.ends.push(self.ids.len());
        }
        Ok(took)
    }

    /// The ids of each document.
    fn documents(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.ids[start..end])
    }
}

/// The documents whose ids differ, and where.
fn differences(documents: &[Document], ours: &Side<'_>, theirs: &Side<'_>) -> Vec<String> {
    let pairs = documents.iter().zip(ours.documents().zip(theirs.documents()));
    pairs
        .filter(|(_, (found, wanted))| found != wanted)
        .map(|(document, (found, wanted))| {
            let at = found.iter().zip(wanted).take_while(|(ours, theirs)| ours == theirs).count();
            let Document { domain, id, .. } = document;
            format!("{domain} {id}: token {at}: {:?} against {:?}", found.get(at), wanted.get(at))
        })
        .collect()
}

/// Resident memory of this process in MiB, where the system tells.
fn resident() -> String {
    fs_err::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some((kib >> 10).to_string())
        })
        .unwrap_or_else(|| "-".into())
}

/// Every `every`th document of all domains, in the order of file names.
fn documents(data: &Path, every: usize) -> Result<Vec<Document>> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs_err::read_dir(data)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("eval") && !path.ends_with("tokenizers") {
            folders.push(path);
        }
    }
    folders.sort();
    let mut documents = Vec::new();
    let mut row = 0;
    for folder in folders {
        let domain = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs_err::read_dir(&folder)? {
            files.push(entry?.path());
        }
        files.sort();
        for file in files {
            let mut keep = |id: String, text: String| {
                if row % every == 0 {
                    documents.push(Document { domain: domain.clone(), id, text });
                }
                row += 1;
            };
            read(&file, &mut keep).with_context(|| file.display().to_string())?;
        }
    }
    if documents.is_empty() {
        bail!("no documents under {}", data.display());
    }
    Ok(documents)
}

/// Hands on the id and text of each row of a file.
fn read(path: &Path, keep: &mut dyn FnMut(String, String)) -> Result<()> {
    let name = path.to_string_lossy().into_owned();
    let file = fs_err::File::open(path)?;
    if name.ends_with(".parquet") {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.into_file())?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["id", "text"]);
        for batch in builder.with_projection(mask).build()? {
            let batch = batch?;
            let column = |name: &str| batch.column_by_name(name).with_context(|| format!("no column `{name}`"));
            let (ids, texts) = (column("id")?, column("text")?);
            let (ids, texts) = (arrow::compute::cast(ids, &UTF8)?, arrow::compute::cast(texts, &UTF8)?);
            let (ids, texts) = (ids.as_string::<i64>(), texts.as_string::<i64>());
            for row in 0..batch.num_rows() {
                if texts.is_valid(row) {
                    keep(ids.value(row).to_owned(), texts.value(row).to_owned());
                }
            }
        }
        return Ok(());
    }
    let reader: Box<dyn Read> = if name.ends_with(".zst") {
        Box::new(zstd::Decoder::new(file)?)
    } else if name.ends_with(".gz") {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    for line in BufReader::new(reader).lines() {
        #[derive(serde::Deserialize)]
        struct Row {
            id: String,
            text: String,
        }
        let row: Row = serde_json::from_str(&line?)?;
        keep(row.id, row.text);
    }
    Ok(())
}

/// Offsets of 64 bits, whatever the file has.
const UTF8: arrow::datatypes::DataType = arrow::datatypes::DataType::LargeUtf8;
