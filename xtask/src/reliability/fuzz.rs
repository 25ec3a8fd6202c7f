//! Each reader of foreign bytes in turn, guided by coverage: libFuzzer, on a stable toolchain.
//!
//! The targets are those of `fuzz/src/main.rs`, the seeds `fuzz/seeds/TARGET/`. What a run found worth keeping stays in the
//! build folder and is where the next run begins; what it found to be wrong lies in `artifacts/` there, and is to be fixed and
//! then kept as a seed (`found-...`).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};

use super::{Part, Results, Row, Run};
use crate::testing::{cargo, succeed, target};

/// The targets, and what each reads.
pub const TARGETS: [(&str, &str); 19] = [
    ("curriculum", "curricula, checked and planned"),
    ("where", "conditions on metadata"),
    ("manifest", "`manifest.json`, and the dataset opened and verified by it"),
    ("idx", "`.idx`, and the dataset verified with it"),
    ("windows", "`.arrow`, and the dataset read and verified with it"),
    ("journal", "the store's journal"),
    ("segment", "the store's segments"),
    ("tokenizer", "`tokenizer.json`, loaded by all backends and used"),
    ("jsonl", "JSON Lines"),
    ("jsonl.gz", "JSON Lines in gzip"),
    ("jsonl.zst", "JSON Lines in zstd"),
    ("txt", "plain text"),
    ("parquet", "Parquet, with and without a condition"),
    ("arrow", "Arrow IPC files"),
    ("arrows", "Arrow IPC streams"),
    ("lists", "Parquet with a column of ids"),
    ("megatron", "Megatron's `.bin` with `.idx`, as a source"),
    ("datatrove", "datatrove's `.ds` with `.ds.index`"),
    ("olmo", "OLMo's `.npy` with `.csv.gz`"),
];

/// What `cargo fuzz` asks the compiler of Rust for too; sanitizers apart, a stable one can do it.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Seconds for each target, where nobody says.
const SECONDS: u32 = 60;
const QUICK_SECONDS: u32 = 20;

/// The part of the page.
pub const PART: Part = Part {
    name: "fuzz",
    title: "Fuzzing",
    about: "Each reader of foreign bytes is given mutations of small good inputs, guided by the coverage of all code below \
        it. A panic, one allocation above 256 MiB, more than 2 GiB in all or an input that takes more than 20 s fails.",
    run: |run| {
        let seconds = std::env::var("SYLLABUS_FUZZ_SECONDS").ok().map(|text| text.parse()).transpose()?;
        let seconds = seconds.unwrap_or(if run.quick { QUICK_SECONDS } else { SECONDS });
        fuzz(run, Bounds { seconds, executions: None, seed: None }, &[])
    },
};

/// What to fuzz.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only these targets
    targets: Vec<String>,
    /// Seconds for each
    #[arg(long, default_value_t = SECONDS)]
    seconds: u32,
    /// End after this many inputs for each, if its seconds last
    #[arg(long)]
    executions: Option<u32>,
    /// Begin with this seed and the committed inputs alone: nearly the same mutations each time
    #[arg(long)]
    seed: Option<u32>,
}

/// `cargo xtask fuzz`.
pub fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    if let Some(unknown) = arguments.targets.iter().find(|name| TARGETS.iter().all(|(known, _)| known != name)) {
        bail!("there is no target `{unknown}`, but {}", TARGETS.map(|(name, _)| name).join(", "));
    }
    let Arguments { ref targets, seconds, executions, seed } = *arguments;
    fuzz(&Run { root, quick: false }, Bounds { seconds, executions, seed }, targets)
}

/// How far a target is fuzzed, and from where.
#[derive(Clone, Copy)]
struct Bounds {
    seconds: u32,
    executions: Option<u32>,
    seed: Option<u32>,
}

/// Where the targets are built and run.
struct Place {
    folder: PathBuf,
    binary: PathBuf,
}

/// Builds the targets, all they stand on with coverage.
fn build(root: &Path) -> Result<Place> {
    let output = Command::new("rustc").arg("-vV").output().context("asking rustc for its host")?;
    let version = String::from_utf8(output.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let folder = target(root).join("fuzz");
    // The flags go to what is fuzzed, not to build scripts and macros: naming the target sees to it.
    succeed(
        Command::new(cargo())
            .args(["build", "--quiet", "--locked", "--target", host])
            .current_dir(root.join("fuzz"))
            .env("CARGO_TARGET_DIR", &folder)
            .env("RUSTFLAGS", FLAGS),
    )?;
    let binary = folder.join(host).join("debug/syllabus-fuzz");
    Ok(Place { folder, binary })
}

fn fuzz(run: &Run<'_>, bounds: Bounds, only: &[String]) -> Result<()> {
    let place = build(run.root)?;
    let chosen: Vec<(&str, &str)> =
        TARGETS.into_iter().filter(|(name, _)| only.is_empty() || only.iter().any(|asked| asked == name)).collect();
    // Each is one process of one thread: as many at once as there are cores.
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&(name, what)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = one(run.root, &place, name, what, bounds);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((name, found));
                }
            });
        }
    });
    let mut rows = Vec::new();
    let mut findings = Vec::new();
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (name, _) in chosen {
        let Some((_, found)) = done.iter().find(|(of, _)| *of == name) else { continue };
        match found {
            Ok((row, finding)) => {
                rows.push(row.clone());
                findings.extend(finding.clone());
            }
            Err(error) => bail!("{name}: {error:#}"),
        }
    }
    run.record("fuzz", &Results { part: PART.name.to_owned(), rows, not_run: None })?;
    if !findings.is_empty() {
        bail!("findings:\n{}", findings.join("\n"));
    }
    Ok(())
}

/// The program, at the same addresses each time where that is asked for and the system lets it: some hash maps take their keys
/// from addresses, and compared numbers that become part of mutations may be some.
fn at_fixed_addresses(binary: &Path, asked: bool) -> Command {
    let mut fixed = Command::new("setarch");
    fixed.arg("--addr-no-randomize");
    let quiet = |command: &mut Command| command.arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !asked || !quiet(Command::new("setarch").arg("--addr-no-randomize")).is_ok_and(|status| status.success()) {
        return Command::new(binary);
    }
    fixed.arg(binary);
    fixed
}

/// Fuzzes one target; its row, and what was found.
fn one(root: &Path, place: &Place, name: &str, what: &str, bounds: Bounds) -> Result<(Row, Option<String>)> {
    let Bounds { seconds, executions, seed } = bounds;
    let seeds = root.join("fuzz/seeds").join(name);
    let corpus = place.folder.join("corpus").join(name);
    let artifacts = place.folder.join("artifacts").join(name);
    fs_err::create_dir_all(&corpus)?;
    fs_err::create_dir_all(&artifacts)?;
    // In memory, where there is a place for it: every input becomes a file.
    let memory = Path::new("/dev/shm");
    let temporary = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
    // What earlier runs kept would change what a seed gives.
    let fresh = temporary.path().join("corpus");
    fs_err::create_dir(&fresh)?;
    let corpus = if seed.is_some() { fresh } else { corpus };
    let log_file = place.folder.join(format!("{name}.log"));
    let status = at_fixed_addresses(&place.binary, seed.is_some())
        .arg(format!("-max_total_time={seconds}"))
        .args(["-rss_limit_mb=2048", "-timeout=20", "-max_len=65536", "-print_final_stats=1", "-reload=0"])
        .args(executions.map(|executions| format!("-runs={executions}")))
        .args(seed.map(|seed| format!("-seed={seed}")))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(&corpus)
        .arg(&seeds)
        .env("SYLLABUS_FUZZ", name)
        .env("RAYON_NUM_THREADS", "1")
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs_err::File::create(&log_file)?.into_parts().0)
        .status()
        .with_context(|| format!("starting {}", place.binary.display()))?;
    let log = String::from_utf8_lossy(&fs_err::read(&log_file)?).into_owned();
    let stat = |key: &str| {
        let line = log.lines().find_map(|line| line.strip_prefix(&format!("stat::{key}:")))?;
        line.trim().parse::<u64>().ok()
    };
    let covered = log.lines().rev().find_map(|line| {
        let (_, rest) = line.split_once(" cov: ")?;
        rest.split(' ').next()?.parse::<u64>().ok()
    });
    // A process that was ended by a finding says how far it was in its last line of progress.
    let executed = stat("number_of_executed_units")
        .or_else(|| log.lines().rev().find_map(|line| line.strip_prefix('#')?.split(['\t', ' ']).next()?.parse().ok()));
    let fine = status.success() && stat("number_of_executed_units").is_some_and(|executions| executions > 0);
    let count = executed.unwrap_or(0);
    println!(
        "{name}: {count} executions, {} places covered, {}",
        covered.unwrap_or(0),
        if fine { "no finding" } else { "A FINDING" }
    );
    let outcome = format!(
        "{} in {seconds} s from {} seeds, {} places covered",
        if fine { "no finding" } else { "a finding" },
        fs_err::read_dir(&seeds)?.count(),
        covered.unwrap_or(0)
    );
    let row = Row {
        class: name.to_owned(),
        what: what.to_owned(),
        outcome,
        count,
        failed: u64::from(!fine),
        peak_memory_bytes: stat("peak_rss_mb").map(|mib| mib << 20),
    };
    let finding = (!fine).then(|| format!("{name}: see {} and {}", log_file.display(), artifacts.display()));
    Ok((row, finding))
}
