//! Inputs that are large in one way: what becomes of each, and the most memory and scratch disk that it takes.
//!
//! The real binary compiles each under `--memory` and `--scratch`; the system says how much memory it held at most. What a
//! case may come to is said here, and anything else fails, as does a byte above the ceilings.

mod inputs;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{Part, Results, Row, Run};
use inputs::{Make, Options};

const MIB: u64 = 1 << 20;
/// What the compiler is given.
const SCRATCH: u64 = 8 << 30;
/// A compile that takes longer hangs.
const MOST: Duration = Duration::from_secs(900);

/// How a case may end.
#[derive(Clone, Copy)]
enum Ends {
    /// With a dataset.
    Compiled,
    /// With a dataset, and so many rows counted as bad.
    Counted(u64),
    /// With an error whose last line holds these words.
    Refused(&'static [&'static str]),
}

/// An input, and what must become of it.
struct Case {
    name: &'static str,
    /// `--memory` in MiB.
    memory: u64,
    /// Seconds of work are few: CI has time for it.
    quick: bool,
    make: Make,
    ends: Ends,
}

const fn case(name: &'static str, memory: u64, make: Make, ends: Ends) -> Case {
    Case { name, memory, quick: false, make, ends }
}

const fn quick(name: &'static str, memory: u64, make: Make, ends: Ends) -> Case {
    Case { name, memory, quick: true, make, ends }
}

use Ends::{Compiled, Counted, Refused};

/// All that the bounds are for. Where a limit of the curriculum decides (`max_document_bytes`, 64 MiB unless said), rows may
/// be counted; where memory decides, it is an error, since memory must not change what comes out.
const CASES: &[Case] = &[
    case("a document of 2 GB in Parquet", 1024, inputs::document, Refused(&["x.parquet", "row group 0", "--memory"])),
    case("a line of 2 GB", 1024, inputs::line, Refused(&["x.jsonl", "line 1", "max_document_bytes"])),
    case("a line of 2 GB among others, bad rows counted", 1024, inputs::line_counted, Counted(1)),
    case("a text file of 2 GB", 1024, inputs::text, Refused(&["x.txt", "max_document_bytes"])),
    case("a text file of 2 GB, bad rows counted", 1024, inputs::text_counted, Counted(1)),
    case("a row group of 2 GB", 1024, inputs::row_group, Compiled),
    case("a record batch of 2 GB", 1024, inputs::record_batch, Refused(&["x.arrow", "record batch 0", "--memory"])),
    quick("a Parquet page that inflates a thousandfold", 1024, inputs::page, Refused(&["x.parquet", "--memory"])),
    quick("a page of ids that inflates a thousandfold", 1024, inputs::page_of_ids, Refused(&["x.parquet", "--memory"])),
    quick("an Arrow buffer that inflates a thousandfold", 1024, inputs::buffer, Refused(&["x.arrow", "--memory"])),
    quick("a gzip bomb of 4 GB in one line", 1024, inputs::gzip_line, Refused(&["x.jsonl.gz", "max_document_bytes"])),
    quick("a gzip bomb of 4 GB in one text", 1024, inputs::gzip_text, Refused(&["x.txt.gz", "max_document_bytes"])),
    quick("a gzip bomb of 4 GB of blank lines", 1024, inputs::gzip_blank, Compiled),
    quick("a zstd bomb of 4 GB in one line, bad rows counted", 1024, inputs::zstd_line, Counted(1)),
    quick("a zstd window of 2 GB", 1024, inputs::window, Refused(&["x.jsonl.zst", "128 MiB"])),
    quick("a JSON line nested a million deep", 1024, inputs::deep, Refused(&["x.jsonl", "line 1"])),
    case("documents of 60 MiB in eight files, memory for them", 3072, inputs::long_documents, Compiled),
    case("documents of 60 MiB in eight files, too little memory", 512, inputs::long_documents, Refused(&["--memory"])),
    case("lines of 190 MiB with short texts, memory for them", 3072, inputs::long_lines, Compiled),
    case("lines of 190 MiB with short texts, too little memory", 512, inputs::long_lines, Refused(&["--memory"])),
    case("pages of 60 MiB in eight Parquet files", 1536, inputs::large_pages, Compiled),
    case("record batches of 60 MiB in eight Arrow files", 1536, inputs::large_batches, Compiled),
    quick("60 sources at once", 512, inputs::many_sources, Compiled),
    case("100,000 files of JSON Lines", 512, inputs::many_files, Compiled),
    case("20,000 files of Parquet", 512, inputs::many_tables, Compiled),
    quick("a tokenizer.json of 500 MB", 1024, inputs::tokenizer, Refused(&["tokenizer.json"])),
];

/// The part of the page.
pub const PART: Part = Part {
    name: "large",
    title: "Large inputs",
    about: "Inputs that are large in one way, compiled by the real binary (profile `dev`) under `--memory` and \
        `--scratch 8GiB`, with two threads: handled, or refused by a bound that is read before anything is allocated.",
    run: |run| large(run, &[]),
};

/// What to try.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only cases whose names hold one of these
    names: Vec<String>,
    /// Only those that take seconds
    #[arg(long)]
    quick: bool,
}

/// `cargo xtask large`.
pub fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    large(&Run { root, quick: arguments.quick }, &arguments.names)
}

fn large(run: &Run<'_>, only: &[String]) -> Result<()> {
    let binary = run.binary()?;
    let mut rows = Vec::new();
    for case in CASES {
        let chosen = only.is_empty() || only.iter().any(|part| case.name.contains(part.as_str()));
        if chosen && (case.quick || !run.quick) {
            let row = one(run.root, &binary, case).with_context(|| case.name.to_owned())?;
            let peak = row.peak_memory_bytes.unwrap_or(0) / MIB;
            println!("{}: peak {peak} of {} MiB; {}", case.name, case.memory, row.outcome);
            rows.push(row);
        }
    }
    let failed: Vec<String> =
        rows.iter().filter(|row| row.failed > 0).map(|row| format!("{}: {}", row.what, row.outcome)).collect();
    run.record("large", &Results { part: PART.name.to_owned(), rows, not_run: None })?;
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

fn one(root: &Path, binary: &Path, case: &Case) -> Result<Row> {
    let place = tempfile::tempdir()?;
    fs_err::create_dir(place.path().join("data"))?;
    let Options { sources, tokenizer } = (case.make)(place.path())?;
    let sources = if sources.is_empty() { vec![("s0".to_owned(), "files: \"data/*\"".to_owned())] } else { sources };
    let declared: String = sources.iter().map(|(name, what)| format!("  {name}: {{{what}}}\n")).collect();
    let mix: Vec<String> = sources.iter().map(|(name, _)| format!("{name}: 1")).collect();
    let tokenizer = tokenizer.unwrap_or_else(|| root.join("fixtures/tokenizers/byte-level/tokenizer.json"));
    let curriculum = format!(
        "syllabus: 1\nname: large\ntokenizer: {{file: {}, eos: \"<|endoftext|>\"}}\nsequence_length: 64\n\
         on_exhausted: repeat\nsources:\n{declared}phases:\n  - {{name: only, tokens: 50k, mix: {{{}}}}}\n",
        tokenizer.display(),
        mix.join(", ")
    );
    fs_err::write(place.path().join("curriculum.yaml"), curriculum)?;
    let (memory, scratch) = (format!("{}MiB", case.memory), format!("{}MiB", SCRATCH / MIB));
    let arguments = ["compile", "curriculum.yaml", "--out", "out", "--work", "work", "--progress", "none"];
    let started = Instant::now();
    let watched = watch(
        Command::new(binary)
            .args(arguments)
            .args(["--memory", &memory, "--scratch", &scratch, "--threads", "2"])
            .current_dir(place.path()),
        &place.path().join("work"),
    )?;
    let seconds = started.elapsed().as_secs();
    let last = watched.stderr.lines().last().unwrap_or_default().to_owned();
    let said = last.replace(&place.path().display().to_string(), "…").replace(&root.display().to_string(), "…");
    let bad = if watched.code == Some(0) { Some(bad_rows(&place.path().join("out"))?) } else { None };
    let (ended, outcome) = match case.ends {
        Ends::Compiled => (bad == Some(0), "compiled".to_owned()),
        Ends::Counted(rows) => (bad == Some(rows), format!("compiled, {rows} bad row counted")),
        Ends::Refused(words) => {
            let refused = watched.code.is_some_and(|code| (1..=4).contains(&code));
            let code = watched.code.unwrap_or(-1);
            (refused && words.iter().all(|word| last.contains(word)), format!("refused with {code}: {said}"))
        }
    };
    let within = watched.peak <= case.memory * MIB && watched.scratch <= SCRATCH;
    let outcome = match (ended, within) {
        (true, true) => outcome,
        (false, _) => format!("NOT AS IT MUST ({:?}): {said}", watched.code),
        (true, false) => {
            format!("ABOVE A CEILING ({} MiB, scratch {} MiB): {outcome}", watched.peak / MIB, watched.scratch / MIB)
        }
    };
    Ok(Row {
        class: format!("--memory {memory}"),
        what: case.name.to_owned(),
        outcome: format!("{outcome} ({seconds} s)"),
        count: 1,
        failed: u64::from(!(ended && within)),
        peak_memory_bytes: Some(watched.peak),
    })
}

/// Bad rows of a dataset, as its manifest counts them.
fn bad_rows(out: &Path) -> Result<u64> {
    let manifest = syllabus_reader::format::manifest::Manifest::read(out)?;
    let bad = manifest.ledger.outcomes.iter().filter(|total| total.outcome == "bad");
    Ok(bad.filter_map(|total| total.documents).sum())
}

struct Watched {
    code: Option<i32>,
    stderr: String,
    /// Most memory that it held at once.
    peak: u64,
    /// Most bytes that were seen in its work folder.
    scratch: u64,
}

/// Runs a command and watches what it takes.
fn watch(command: &mut Command, work: &Path) -> Result<Watched> {
    let said = tempfile::NamedTempFile::new()?;
    let mut child = command.stdout(Stdio::null()).stderr(said.reopen()?).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, mut scratch, mut turn) = (0, 0, 0_u32);
    let started = Instant::now();
    let code = loop {
        // The system keeps the high-water mark: only what the last moment before the end adds can be missed.
        if let Ok(text) = fs_err::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
            peak = kib.map_or(peak, |kib| peak.max(kib * 1024));
        }
        if turn.is_multiple_of(64) {
            scratch = scratch.max(size(work));
        }
        turn = turn.wrapping_add(1);
        if let Some(status) = child.try_wait()? {
            break status.code();
        }
        if started.elapsed() > MOST {
            child.kill()?;
            child.wait()?;
            bail!("it did not end within {} s", MOST.as_secs());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    scratch = scratch.max(size(work));
    ensure!(peak > 0, "{status} says nothing of memory: this needs Linux");
    Ok(Watched { code, stderr: fs_err::read_to_string(said.path())?, peak, scratch })
}

/// Bytes in a folder; files may go while it is looked at.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
