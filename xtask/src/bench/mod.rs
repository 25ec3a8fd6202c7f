//! `cargo xtask bench`: how much of the tokenizer's speed a whole compile keeps.
//!
//! Both sides use the same documents, tokenizer, backend and number of threads. *Tokenizing alone* encodes documents that
//! already lie in memory; *a whole compile* is the wall time of `syllabus compile` in an empty folder, from the start of
//! its process to its end, loading and proving of the tokenizer included.

pub mod corpus;
mod encoders;
mod near;
mod rivals;
mod rows;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use syllabus::curriculum::checked::{Backend, Bos, TokenizerSpec};
use syllabus::tokenize::fast::Fast;
use syllabus::tokenize::file::TokenizerFile;
use syllabus::tokenize::opened::Opened;

use crate::testing::{cargo, target};
use rows::{Row, Rows};

/// Names of rows.
const ALONE: &str = "tokenize";
const FASTOKENS: &str = "tokenize, fastokens";
const COMPILE: &str = "compile";
const REMIX: &str = "re-mix";

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Folder with a folder of documents for each source [default: the real corpus, or the fixtures repeated]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Tokenizers to measure with: names of folders under `tokenizers/` of the data, or paths of tokenizer.json
    #[arg(long = "tokenizer")]
    tokenizers: Vec<String>,
    /// Runs of each; the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Threads of both
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Folder that compiles are written under; one in memory measures the compile and not the disk [default: /dev/shm where
    /// there is one, else the target folder]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Megabytes of the documents that other tools are given, which are slow; 0 leaves them out
    #[arg(long, default_value_t = 10.0)]
    others: f64,
    /// File for the raw rows [default: bench.csv under the target folder]
    #[arg(long)]
    csv: Option<PathBuf>,
}

/// Builds the release profile and starts the measurement in it: this program is built for quick builds.
pub fn start(root: &Path) -> Result<()> {
    let build = Command::new(cargo())
        .args(["build", "--release", "--package", "syllabus", "--package", "xtask"])
        .current_dir(root)
        .status()?;
    if !build.success() {
        bail!("cargo build --release: {build}");
    }
    let status = Command::new(target(root).join("release/xtask")).args(std::env::args_os().skip(1)).status()?;
    if !status.success() {
        bail!("the benchmark failed: {status}");
    }
    Ok(())
}

fn data(root: &Path, arguments: &Arguments, scratch: &Path) -> Result<PathBuf> {
    if let Some(data) = &arguments.data {
        return Ok(fs_err::canonicalize(data)?);
    }
    let real = std::env::var_os("SYLLABUS_REALDATA").map_or_else(|| root.join("../shared/realdata"), PathBuf::from);
    if real.exists() {
        return Ok(fs_err::canonicalize(real)?);
    }
    eprintln!("xtask: no real corpus at {} (or $SYLLABUS_REALDATA): the fixtures, repeated", real.display());
    let folder = scratch.join("data");
    corpus::repeat_fixtures(root, &folder)?;
    Ok(folder)
}

/// The tokenizer files, and the end-of-document token of each: the first of the usual ones that it has.
fn tokenizers(root: &Path, data: &Path, arguments: &Arguments) -> Result<Vec<(PathBuf, String)>> {
    let names = if !arguments.tokenizers.is_empty() {
        arguments.tokenizers.clone()
    } else if data.join("tokenizers").exists() {
        vec!["phi-3".to_owned(), "gpt2".to_owned(), "qwen3".to_owned()]
    } else {
        vec!["llama-like".to_owned(), "byte-level".to_owned()]
    };
    names
        .iter()
        .map(|name| {
            let places = [data.join("tokenizers"), root.join("fixtures/tokenizers")];
            let inside = places.iter().map(|place| place.join(name).join("tokenizer.json"));
            let path = inside.chain([PathBuf::from(name)]).find(|path| path.is_file());
            let path = path.with_context(|| format!("no tokenizer `{name}`"))?;
            let text = fs_err::read_to_string(&path)?;
            let known = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>"];
            let eos = known.iter().find(|eos| text.contains(&format!("\"content\": \"{eos}\"")));
            let eos = eos.with_context(|| format!("{}: none of {known:?}", path.display()))?;
            Ok((fs_err::canonicalize(path)?, (*eos).to_owned()))
        })
        .collect()
}

fn curriculum(tokenizer: &Path, eos: &str, sources: &[corpus::Source], tokens: u64) -> Result<String> {
    let mut text = format!(
        "syllabus: 1\nname: bench\nsequence_length: 4096\non_exhausted: repeat\ntokenizer: {{file: {}, bos: none, eos: {}}}\nsources:\n",
        serde_json::to_string(tokenizer)?,
        serde_json::to_string(eos)?
    );
    for source in sources {
        text.push_str(&format!(
            "  {}: {{files: {}, group: all}}\n",
            source.name,
            serde_json::to_string(&source.files)?
        ));
    }
    text.push_str(&format!("phases:\n  - {{name: only, tokens: {tokens}, mix: {{all: {{share: 100%, by: size}}}}}}\n"));
    Ok(text)
}

/// Encodes all documents on `threads` threads; seconds and tokens.
fn tokenize(tokenizer: &dyn syllabus::tokenize::Tokenizer, documents: &[&str], threads: usize) -> Result<(f64, u64)> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let work = || -> Result<u64> {
        let mut encoder = tokenizer.encoder();
        let (mut ids, mut tokens) = (Vec::new(), 0);
        while let Some(text) = documents.get(next.fetch_add(1, Ordering::Relaxed)) {
            ids.clear();
            encoder.encode(text, &mut ids)?;
            tokens += ids.len() as u64;
        }
        Ok(tokens)
    };
    let tokens = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow::anyhow!("an encoder panicked"))?)
            .sum::<Result<u64>>()
    })?;
    Ok((start.elapsed().as_secs_f64(), tokens))
}

/// Of what is done twice, the second: it finds the caches, and a virtual machine's memory, as the first one left them. What comes
/// after a pause takes longer, most likely since free memory has gone back to the machine's host by then.
fn second<T>(mut measure: impl FnMut() -> Result<T>) -> Result<T> {
    measure()?;
    measure()
}

/// Seconds of a compile into `out/data`, whose store is in `out/work`; what was written there is removed.
fn timed(root: &Path, out: &Path, curriculum: &Path, threads: usize) -> Result<f64> {
    let start = Instant::now();
    let status = Command::new(target(root).join("release/syllabus"))
        .arg("compile")
        .arg(curriculum)
        .arg("--out")
        .arg(out.join("data"))
        .arg("--work")
        .arg(out.join("work"))
        .args(["--threads", &threads.to_string(), "--progress", "none"])
        .stdout(std::process::Stdio::null())
        .status()?;
    if !status.success() {
        bail!("syllabus compile {}: {status}", curriculum.display());
    }
    let seconds = start.elapsed().as_secs_f64();
    fs_err::remove_dir_all(out.join("data"))?;
    Ok(seconds)
}

/// Seconds of a compile from nothing.
fn compile(root: &Path, out: &Path, curriculum: &Path, threads: usize) -> Result<f64> {
    if out.exists() {
        fs_err::remove_dir_all(out)?;
    }
    timed(root, out, curriculum, threads)
}

/// Measures, prints a table, and keeps the raw rows.
pub fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let scratch = target(root).join("xtask/bench");
    fs_err::create_dir_all(&scratch)?;
    let memory = Path::new("/dev/shm");
    let under = arguments.out.as_deref().unwrap_or(if memory.is_dir() { memory } else { &scratch });
    let out = under.join(format!("syllabus-bench-{}", std::process::id()));
    let data = data(root, arguments, &scratch)?;
    let sources = corpus::read(&data)?;
    let documents: Vec<&str> = sources.iter().flat_map(|source| &source.documents).map(String::as_str).collect();
    let bytes: usize = documents.iter().map(|text| text.len()).sum();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let megabytes = bytes as f64 / 1e6;
    println!("{}: {} documents, {megabytes:.1} MB, {} threads", data.display(), documents.len(), arguments.threads);
    let others = arguments.others > 0.0;
    let slice = rivals::Slice::new(&documents, arguments.others / megabytes);
    let (mut rows, mut ours, mut gpt2) = (Rows::default(), None, None);
    for (path, eos) in tokenizers(root, &data, arguments)? {
        let name = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let spec = TokenizerSpec {
            file: path.to_string_lossy().into_owned(),
            bos: Bos::None,
            eos: Some(eos.clone()),
            pad: None,
            special: Vec::new(),
            backend: Backend::default(),
        };
        let start = Instant::now();
        let loaded = syllabus::tokenize::load(&path, &spec)?;
        let load = start.elapsed().as_secs_f64();
        rows.push(&name, "load", 0, load);
        let file = TokenizerFile::read(&path)?;
        let other = Fast::load(&Opened::of(&file, &[])?, None).ok();
        let yaml = scratch.join("bench.yaml");
        for run in 0..arguments.runs {
            let (seconds, tokens) = second(|| tokenize(loaded.tokenizer.as_ref(), &documents, arguments.threads))?;
            rows.push(&name, ALONE, run, seconds);
            if run == 0 {
                // Nearly all of what was tokenized is also mixed, packed and written.
                fs_err::write(&yaml, curriculum(&path, &eos, &sources, tokens / 10 * 9)?)?;
            }
            rows.push(&name, COMPILE, run, second(|| compile(root, &out, &yaml, arguments.threads))?);
            // The store is there: another order of the same documents.
            let remix = scratch.join("bench-remix.yaml");
            fs_err::write(&remix, format!("seed: 1\n{}", fs_err::read_to_string(&yaml)?))?;
            rows.push(&name, REMIX, run, second(|| timed(root, &out, &remix, arguments.threads))?);
            for (what, text) in near::variants(&fs_err::read_to_string(&yaml)?, &data)? {
                let yaml = scratch.join("bench-near.yaml");
                fs_err::write(&yaml, text)?;
                rows.push(&name, what, run, second(|| compile(root, &out, &yaml, arguments.threads))?);
            }
            if let Some(other) = &other {
                // Slow enough for once to do.
                let (seconds, _) = tokenize(other, &documents, arguments.threads)?;
                rows.push(&name, FASTOKENS, run, seconds);
            }
        }
        let seconds = |what| rows.seconds(&name, what).unwrap_or(f64::NAN);
        let ratio = |one, other| rows.ratio(&name, one, other).unwrap_or(f64::NAN);
        let (alone, whole) = (seconds(ALONE), seconds(COMPILE));
        println!(
            "{name} ({}): tokenizing alone {alone:.2} s, {:.1} MB/s; whole compile {whole:.2} s, {:.1} MB/s; ratio {:.2} \
             ({:.2} where tokenizing alone begins with loading and proving the tokenizer too, {load:.2} s)",
            loaded.contract.backend,
            megabytes / alone,
            megabytes / whole,
            ratio((ALONE, 0.0), COMPILE),
            ratio((ALONE, load), COMPILE),
        );
        if let Some(fastokens) = rows.seconds(&name, FASTOKENS) {
            println!(
                "{name}: `fastokens` tokenizing alone {fastokens:.2} s; whole compile {:.2} of its speed",
                ratio((FASTOKENS, 0.0), COMPILE)
            );
        }
        if others {
            encoders::compare(root, &scratch, (&name, &path), &loaded, &slice, arguments.runs)?;
        }
        println!("{name}: re-mix {:.2} s, {:.2} of a compile", seconds(REMIX), ratio((REMIX, 0.0), COMPILE));
        if name == "gpt2" {
            gpt2 = Some((path.clone(), eos.clone(), megabytes / whole));
        }
        let speed = near::say(&rows, &name, (megabytes, load));
        ours = ours.or(speed);
    }
    if let Some((path, eos, whole)) = gpt2.filter(|_| others) {
        rivals::tokenize(root, &scratch, &slice, arguments.threads, (&path, &eos, whole))?;
    }
    if others {
        near::datatrove(root, &scratch, &slice, arguments.threads, ours)?;
    }
    fs_err::remove_dir_all(&out)?;
    let mut table = "tokenizer,what,run,threads,documents,bytes,seconds,mb_per_s\n".to_owned();
    for Row { tokenizer, what, run, seconds } in rows.all() {
        table.push_str(&format!(
            "{tokenizer},\"{what}\",{run},{},{},{bytes},{seconds:.3},{:.1}\n",
            arguments.threads,
            documents.len(),
            megabytes / seconds
        ));
    }
    let csv = arguments.csv.clone().unwrap_or_else(|| target(root).join("bench.csv"));
    fs_err::write(&csv, table)?;
    println!("raw rows: {}", csv.display());
    Ok(())
}
