//! Promise 6 under attack: at any file operation the process may die, or the operation fail, or the power go; the same command
//! then ends with the same bytes.
//!
//! The compiler's file layer (`src/files/fault.rs`) counts the operations and makes the faults. A few are tried here; with
//! `SYLLABUS_FAULTS=all` (`cargo xtask faults`) every one.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::{self, Place, assert_same_dataset};
use crate::rows;

/// Three kinds of sources, duplicates of both kinds, benchmark leaks, held-out documents, both packings: every stage writes.
fn curriculum() -> String {
    let (corpora, tokenizers) = (harness::fixtures().join("corpora"), harness::fixtures().join("tokenizers"));
    format!(
        "syllabus: 1
name: faults
tokenizer: {{file: {tokenizers}/byte-level/tokenizer.json, eos: \"<|endoftext|>\"}}
sequence_length: 128
on_exhausted: repeat
dedup: {{exact: true, near: {{jaccard: 0.7, shingle: 3, scope: all, max_removed: 100%}}}}
decontaminate: {{files: [eval.jsonl], ngram: 8, coverage: 50%}}
holdout: {{validation: {{share: 5%, max_tokens_per_source: 2k}}}}
sources:
  sql:    {{files: {corpora}/sql/*.jsonl.gz}}
  dialog: {{files: some.jsonl}}
  books:  {{files: {corpora}/books/*.parquet, text: \"{{title}}\\n\\n{{body}}\"}}
phases:
  - {{name: early, tokens: 20k, mix: {{sql: 1, dialog: 2, books: 1}}}}
  - {{name: late, tokens: 10k, mix: {{sql: 2, dialog: 1, books: 1}}, packing: best_fit}}
",
        corpora = corpora.display(),
        tokenizers = tokenizers.display(),
    )
}

/// A fresh place with the curriculum, and sources with something to remove for every reason.
fn place() -> Place {
    let place = Place::new();
    place.write("curriculum.yaml", curriculum());
    let mut dialog: Vec<rows::Row> = rows::source("dialog").into_iter().take(120).collect();
    let texts: Vec<String> = dialog.iter().map(|row| rows::text(row, "text").unwrap().to_owned()).collect();
    for (at, text) in texts.iter().enumerate().filter(|(at, _)| at % 8 == 0) {
        let again = if at % 16 == 0 { text.clone() } else { format!("{text} and so on") };
        dialog.push(rows::Row::from_iter([("text".to_owned(), serde_json::Value::from(again))]));
    }
    place.write("some.jsonl", rows::jsonl(&dialog));
    place.write("eval.jsonl", rows::jsonl(&dialog[..2]));
    place
}

const ARGUMENTS: [&str; 11] = [
    "compile",
    "curriculum.yaml",
    "--out",
    "out",
    "--progress",
    "none",
    "--segment-bytes",
    "40KiB",
    "--threads",
    "1",
    "--memory=2GiB",
];

/// Runs with a fault asked for; the exit code (none when a signal ended it), standard error, and what the log was told.
fn run(place: &Place, fault: &str) -> (Option<i32>, String, String) {
    let log = place.path("fault.log");
    let output = Command::new(env!("CARGO_BIN_EXE_syllabus"))
        .args(ARGUMENTS)
        .current_dir(place.path("."))
        .env("NO_COLOR", "1")
        .env("SYLLABUS_FAULT", fault)
        .env("SYLLABUS_FAULT_LOG", &log)
        .output()
        .unwrap();
    let told = fs_err::read_to_string(log).unwrap_or_default();
    (output.status.code(), String::from_utf8(output.stderr).unwrap(), told)
}

/// Does `fault`, runs the same command again, and compares with `whole`. What went wrong, if anything.
fn survives(mode: &str, at: usize, whole: &Path) -> Result<(), String> {
    let place = place();
    let (code, stderr, told) = run(&place, &format!("{mode}@{at}"));
    let operation = told.lines().next().unwrap_or("").to_owned();
    let wrong = |what: &str| Err(format!("{mode}@{at} ({operation}): {what}\n{stderr}"));
    if !operation.starts_with(&format!("{at} ")) {
        return wrong("the fault was not made");
    }
    match (mode, code) {
        ("kill" | "tear" | "power" | "blackout", Some(_)) => return wrong("it did not die"),
        ("fail" | "full", None) => return wrong("it died"),
        // Scratch that cannot be removed at the end is none of the dataset's.
        ("fail", Some(0)) if !operation.contains(" remove ") => return wrong("nobody noticed"),
        ("full", Some(0)) => return wrong("nobody noticed"),
        ("fail", Some(1)) if !stderr.contains("input/output error") => return wrong("the error does not say why"),
        ("full", Some(1)) if !stderr.contains("no space left") => return wrong("the error does not say why"),
        ("fail" | "full", Some(code)) if code > 1 => return wrong("another exit code"),
        _ => {}
    }
    if stderr.contains("panicked") {
        return wrong("a panic");
    }
    if place.path("out/manifest.json").exists() {
        let verified = place.run(&["verify", "out"]);
        if verified.code != 0 {
            return wrong(&format!("a manifest of what is not whole: {}", verified.stderr));
        }
    }
    let again = place.run(&ARGUMENTS);
    if again.code != 0 {
        return wrong(&format!("the second run failed: {}", again.stderr));
    }
    let out = place.path("out");
    match std::panic::catch_unwind(|| assert_same_dataset(whole, &out)) {
        Ok(()) => Ok(()),
        Err(why) => wrong(&format!("another dataset: {:?}", why.downcast_ref::<String>())),
    }
}

/// The names of the modes, each with how many faults of it are tried when not all are.
const MODES: [(&str, usize); 6] = [("kill", 12), ("tear", 6), ("fail", 6), ("full", 5), ("power", 5), ("blackout", 5)];

#[test]
fn any_operation_may_be_the_last() {
    let whole = place();
    let (code, stderr, told) = run(&whole, "trace@0");
    assert_eq!(code, Some(0), "{stderr}");
    let operations = told.lines().count();
    for kind in ["create", "write", "sync", "rename", "remove", "sync-folder", "folder", "resize"] {
        assert!(told.lines().any(|line| line.split(' ').nth(1) == Some(kind)), "no {kind} among {operations}");
    }
    let ledger = rows::read(&whole.path("out/ledger.parquet"));
    for outcome in ["exact", "near", "contaminated", "held_out"] {
        assert!(ledger.iter().any(|row| rows::text(row, "outcome") == Some(outcome)), "nothing is {outcome}");
    }
    let all = std::env::var("SYLLABUS_FAULTS").is_ok_and(|asked| asked == "all");
    let only = std::env::var("SYLLABUS_FAULT_MODES").ok();
    let whole = whole.path("out");
    let mut failures = Vec::new();
    for (number, (mode, some)) in MODES.into_iter().enumerate() {
        if only.as_ref().is_some_and(|only| !only.split(',').any(|name| name == mode)) {
            continue;
        }
        let step = if all { 1 } else { operations.div_ceil(some) };
        // Each mode begins elsewhere, so that together they see more.
        let points: Vec<usize> =
            (1 + if all { 0 } else { number * step / MODES.len() }..=operations).step_by(step).collect();
        assert!(points.len() >= some - 1, "{mode}: {} of {operations}", points.len());
        let before = failures.len();
        let next = AtomicUsize::new(0);
        let found = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while let Some(&at) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                        found.lock().unwrap().extend(survives(mode, at, &whole).err());
                    }
                });
            }
        });
        failures.extend(found.into_inner().unwrap());
        let failed = failures.len() - before;
        println!("{mode}: {} of {operations} operations, {failed} not survived", points.len());
        harness::record(
            "faults",
            &format!("faults-{mode}"),
            &[serde_json::json!({"mode": mode, "tried": points.len(), "operations": operations, "failed": failed})],
        );
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn bytes_below(folder: &Path) -> u64 {
    harness::files(folder).iter().map(|file| fs_err::metadata(folder.join(file)).unwrap().len()).sum()
}

#[test]
fn scratch_is_a_ceiling() {
    let whole = place();
    whole.run(&ARGUMENTS).expect(0);
    let needed = bytes_below(&whole.path("out/.work"));
    let place = place();
    let mut refused = 0;
    for (most, bytes) in [("10KiB", 10 << 10), ("100KiB", 100 << 10), ("300KiB", 300 << 10)] {
        assert!(bytes < needed, "{needed} bytes are all it takes");
        let mut arguments = ARGUMENTS.to_vec();
        arguments.extend(["--scratch", most]);
        let outcome = place.run(&arguments).expect(1).says(&format!("--scratch {}", most.replace("KiB", " KiB")));
        assert!(outcome.last_line().contains("run the same command again"), "{}", outcome.stderr);
        let used = bytes_below(&place.path("out/.work"));
        assert!(used <= bytes + 16, "{used} of {bytes} bytes; 16 are the lock's");
        refused += 1;
    }
    let mut arguments = ARGUMENTS.to_vec();
    arguments.extend(["--scratch", "1GiB"]);
    place.run(&arguments).expect(0);
    assert_same_dataset(&whole.path("out"), &place.path("out"));
    harness::record("faults", "scratch", &[serde_json::json!({"tried": refused, "needed": needed})]);
}

/// A file system of a certain size, while it lives.
struct Disk<'a>(&'a Path);

impl Disk<'_> {
    fn mount(path: &Path, kib: u64, again: bool) -> bool {
        let size = format!("{}size={kib}k", if again { "remount," } else { "" });
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(path)
            .output()
            .is_ok_and(|o| o.status.success())
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _left = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_says_what_is_missing_and_more_room_goes_on() {
    let whole = place();
    whole.run(&ARGUMENTS).expect(0);
    let needed = bytes_below(&whole.path("out")) / 1024;
    let place = place();
    let folder = place.path("out");
    fs_err::create_dir(&folder).unwrap();
    let steps: Vec<u64> = (1..12).map(|step| (needed * step / 12).max(16)).collect();
    if !Disk::mount(&folder, steps[0], false) {
        println!("NOT RUN: a full disk: a tmpfs can be mounted by root alone, where mounting is allowed");
        harness::record("faults", "full-disk", &[serde_json::json!({"not_run": "a tmpfs cannot be mounted here"})]);
        return;
    }
    let disk = Disk(&folder);
    let mut full = 0;
    for (number, kib) in steps.iter().enumerate() {
        assert!(number == 0 || Disk::mount(&folder, *kib, true), "remounting");
        let outcome = place.run(&ARGUMENTS);
        if outcome.code == 0 {
            break;
        }
        let outcome = outcome.expect(1).says("No space left on device");
        for words in ["the disk is full", "takes up to", "free", "run the same command again"] {
            assert!(outcome.last_line().contains(words), "{kib} KiB: `{words}` is not in {}", outcome.stderr);
        }
        assert!(!folder.join("manifest.json").exists());
        full += 1;
    }
    assert!(full >= 4, "full {full} times");
    assert!(Disk::mount(&folder, needed * 4 + 1024, true));
    place.run(&ARGUMENTS).expect(0);
    assert_same_dataset(&whole.path("out"), &folder);
    drop(disk);
    harness::record("faults", "full-disk", &[serde_json::json!({"tried": full})]);
}

/// SIGKILL at moments that nobody chose; each run goes on from what the one before left.
#[test]
fn kills_in_a_row() {
    let whole = place();
    let started = std::time::Instant::now();
    whole.run(&ARGUMENTS).expect(0);
    let takes = started.elapsed();
    let all = std::env::var("SYLLABUS_FAULTS").is_ok_and(|asked| asked == "all");
    let (wanted, place) = (if all { 100 } else { 8 }, place());
    let (mut killed, mut started, mut random) = (0, 0, 20_240_424_u64);
    while killed < wanted {
        started += 1;
        assert!(started <= 20 * wanted, "{killed} of {started} kills came in time");
        let mut child = place.start(&ARGUMENTS);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(takes.mul_f64((random >> 40) as f64 / (1 << 24) as f64) + Duration::from_millis(1));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            // It went on from what the kills left, to the same bytes; begin anew.
            assert_same_dataset(&whole.path("out"), &place.path("out"));
            fs_err::remove_dir_all(place.path("out")).unwrap();
        } else {
            killed += 1;
        }
    }
    place.run(&ARGUMENTS).expect(0);
    assert_same_dataset(&whole.path("out"), &place.path("out"));
    harness::record("faults", "kills", &[serde_json::json!({"tried": started, "killed": killed})]);
}
