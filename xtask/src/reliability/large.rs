//! Inputs that are large in one way: what became of each, and the most memory it took.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use fs_err::File;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::json;

use super::record;

const GIB: u64 = 1 << 30;
/// What the compiler is given.
const MEMORY: &str = "1GiB";

/// How a case may end.
enum Ends {
    /// With a dataset.
    Compiled,
    /// With an error that holds these words.
    Refused(&'static str),
}

/// Makes the input in the folder.
type Make = fn(&Path) -> Result<()>;

/// Lines for the source, beyond its files.
type Case = (&'static str, Make, &'static str, Ends);

const CASES: [Case; 10] = [
    ("a document of 2 GB in Parquet", document, "data/*", Ends::Refused("document.parquet")),
    ("a line of 2 GB", line, "data/*", Ends::Refused("line.jsonl")),
    ("a line of 2 GB, bad rows counted", line_among_good, "data/*\", on_bad_row: \"count", Ends::Compiled),
    ("a text file of 2 GB", text, "data/*", Ends::Refused("text.txt")),
    ("a row group of 2 GB", row_group, "data/*", Ends::Compiled),
    ("a Parquet page that inflates a thousandfold", page, "data/*", Ends::Refused("page.parquet")),
    ("a gzip bomb of 4 GB in one line", bomb, "data/*", Ends::Refused("bomb.jsonl.gz")),
    ("a zstd window of 2 GB", window, "data/*", Ends::Refused("window.jsonl.zst")),
    ("100,000 input files", many_files, "data/*", Ends::Compiled),
    ("60 sources at once", many_sources, "", Ends::Compiled),
];

/// How many cases there are.
pub const COUNT: usize = CASES.len();

/// The name of one.
pub fn name(number: usize) -> &'static str {
    CASES[number].0
}

pub fn run(root: &Path, binary: &Path, only: &[String]) -> Result<()> {
    for (number, (name, make, files, ends)) in CASES.iter().enumerate() {
        if !only.is_empty() && !only.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let place = tempfile::tempdir()?;
        fs_err::create_dir(place.path().join("data"))?;
        make(place.path())?;
        let sources = match *files {
            "" => (0..60).map(|i| format!("  s{i}: {{files: \"data/{i}.jsonl\"}}\n")).collect(),
            files => format!("  s0: {{files: \"{files}\"}}\n"),
        };
        let mix: Vec<String> = (0..sources.lines().count()).map(|i| format!("s{i}: 1")).collect();
        let curriculum = format!(
            "syllabus: 1\nname: large\ntokenizer: {{file: {}, eos: \"<|endoftext|>\"}}\nsequence_length: 64\n\
             on_exhausted: repeat\nsources:\n{sources}phases:\n  - {{name: only, tokens: 50k, mix: {{{}}}}}\n",
            root.join("fixtures/tokenizers/byte-level/tokenizer.json").display(),
            mix.join(", ")
        );
        fs_err::write(place.path().join("curriculum.yaml"), curriculum)?;
        let started = std::time::Instant::now();
        let (code, stderr, peak) = watched(
            Command::new(binary)
                .args(["compile", "curriculum.yaml", "--out", "out", "--progress", "none", "--memory", MEMORY])
                .current_dir(place.path()),
        )?;
        let seconds = started.elapsed().as_secs_f64();
        let last = stderr.lines().last().unwrap_or_default().to_owned();
        println!("{name}: exit code {code:?}, peak {} MiB, {seconds:.0} s: {last}", peak >> 20);
        let as_meant = match ends {
            Ends::Compiled => code == Some(0),
            Ends::Refused(words) => code.is_some_and(|code| code > 0) && stderr.contains(words),
        };
        let said = last.replace(&place.path().display().to_string(), "…");
        record(
            root,
            &format!("large-{number:02}"),
            &json!({
                "case": name, "compiled": code == Some(0), "said": said, "peak_bytes": peak, "seconds": seconds,
                "limit_bytes": GIB, "as_meant": as_meant && peak <= GIB,
            }),
        )?;
    }
    Ok(())
}

/// Runs a command; its exit code, what it said, and the most memory that it held at once.
fn watched(command: &mut Command) -> Result<(Option<i32>, String, u64)> {
    let said = tempfile::NamedTempFile::new()?;
    let mut child = command.stdout(Stdio::null()).stderr(said.reopen()?).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let code = loop {
        // The system keeps the high-water mark: only what a last moment before the end adds can be missed.
        if let Ok(text) = fs_err::read_to_string(&status) {
            let found =
                text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok());
            peak = found.map_or(peak, |kib: u64| peak.max(kib * 1024));
        }
        if let Some(status) = child.try_wait()? {
            break status.code();
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    ensure!(peak > 0, "{status} says nothing of memory");
    Ok((code, fs_err::read_to_string(said.path())?, peak))
}

/// Words, so that they are not one token.
fn words(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    let mut number = 1_u64;
    while text.len() < bytes {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push_str(["the ", "sea ", "of ", "grass ", "is ", "green ", "and ", "old "][(number >> 61) as usize]);
    }
    text
}

fn repeated(mut out: impl Write, before: &str, after: &str, bytes: u64) -> Result<()> {
    let piece = words(1 << 20);
    out.write_all(before.as_bytes())?;
    for _ in 0..bytes.div_ceil(piece.len() as u64) {
        out.write_all(piece.as_bytes())?;
    }
    out.write_all(after.as_bytes())?;
    Ok(out.flush()?)
}

fn line(place: &Path) -> Result<()> {
    let file = File::create(place.join("data/line.jsonl"))?;
    repeated(file, "{\"text\": \"", "\"}\n", 2 * GIB)
}

fn line_among_good(place: &Path) -> Result<()> {
    let good = format!("{{\"text\": \"{}\"}}\n", words(2_000));
    let file = File::create(place.join("data/line.jsonl"))?;
    repeated(file, &format!("{good}{{\"text\": \""), &format!("\"}}\n{good}"), 2 * GIB)
}

fn text(place: &Path) -> Result<()> {
    repeated(File::create(place.join("data/text.txt"))?, "", "", 2 * GIB)
}

fn table(path: &Path, rows: usize, each: usize, at_once: usize, dictionary: bool) -> Result<()> {
    let text = words(each);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(dictionary)
        .set_max_row_group_row_count(Some(rows))
        .build();
    let make = |first: usize, count: usize| {
        let values = (first..first + count).map(|i| format!("{i} {text}"));
        RecordBatch::try_from_iter([("text", Arc::new(StringArray::from_iter_values(values)) as ArrayRef)])
    };
    let mut writer = ArrowWriter::try_new(File::create(path)?, make(0, 1)?.schema(), Some(properties))?;
    for first in (0..rows).step_by(at_once) {
        writer.write(&make(first, at_once.min(rows - first))?)?;
    }
    writer.close().map(drop).context("writing Parquet")
}

fn document(place: &Path) -> Result<()> {
    // An array of 32-bit offsets holds just under 2 GiB.
    table(&place.join("data/document.parquet"), 1, (2 * GIB - (1 << 22)) as usize, 1, false)
}

fn row_group(place: &Path) -> Result<()> {
    table(&place.join("data/group.parquet"), 2_048, 1 << 20, 8, false)
}

fn page(place: &Path) -> Result<()> {
    // All values of a batch go into one page: it is full only when it is looked at.
    table(&place.join("data/page.parquet"), 700, 1 << 20, 700, false)
}

fn bomb(place: &Path) -> Result<()> {
    let file = File::create(place.join("data/bomb.jsonl.gz"))?;
    let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    out.write_all(b"{\"text\": \"")?;
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..4096 {
        out.write_all(&zeros)?;
    }
    out.write_all(b"\"}\n")?;
    out.finish().map(drop).context("writing gzip")
}

fn window(place: &Path) -> Result<()> {
    // A frame whose header asks for a window of 2 GiB: magic, descriptor without sizes, window descriptor, one raw block.
    let text = format!("{{\"text\": \"{}\"}}\n", words(1_000));
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (31 - 10) << 3];
    let block = u32::try_from(text.len())? << 3 | 1;
    bytes.extend(&block.to_le_bytes()[..3]);
    bytes.extend(text.as_bytes());
    Ok(fs_err::write(place.join("data/window.jsonl.zst"), bytes)?)
}

fn many_files(place: &Path) -> Result<()> {
    (0..100_000).try_for_each(|i| {
        Ok(fs_err::write(place.join(format!("data/{i:06}.jsonl")), format!("{{\"text\": \"file {i} of many\"}}\n"))?)
    })
}

fn many_sources(place: &Path) -> Result<()> {
    let text = words(4_000);
    (0..60).try_for_each(|source| {
        let mut out = File::create(place.join(format!("data/{source}.jsonl")))?;
        (0..50).try_for_each(|row| Ok(writeln!(out, "{{\"text\": \"{source} {row} {text}\"}}")?))
    })
}
