//! Promise 6 under attack: at any file operation the process may die, or the operation fail, or the power go; the same command
//! then ends with the same bytes.
//!
//! The compiler's file layer (`src/files/fault.rs`) counts the operations and makes the faults. A few are tried here; with
//! `SYLLABUS_FAULTS=all` (`cargo xtask reliability`) every one, with a number so many of each mode.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

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
pub fn place() -> Place {
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

pub const ARGUMENTS: [&str; 11] = [
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

/// A command under attack.
struct Attack<'a> {
    /// What it is called in the results.
    name: &'a str,
    arguments: &'a [&'a str],
    /// A place where it has not run yet.
    fresh: &'a (dyn Fn() -> Place + Sync),
    /// What is wrong after a fault, before the command has run again.
    halfway: &'a (dyn Fn(&Place) -> Option<String> + Sync),
    /// Fails unless a place where the command has ended well holds what it should.
    whole: &'a (dyn Fn(&Place) + Sync),
}

/// What is done at an operation, in words, and how many operations of a compile meet it when not all do.
const MODES: [(&str, &str, usize); 6] = [
    ("kill", "the process ends before it", 12),
    ("tear", "half of a write is done, or all of another operation; then the process ends", 6),
    ("fail", "it fails (EIO)", 6),
    ("full", "it and all later ones that need room fail (ENOSPC)", 5),
    ("power", "the process ends, and bytes that were not synced are gone", 5),
    ("blackout", "the same, and names in folders that were not synced are as before", 5),
];

impl Attack<'_> {
    /// Runs with a fault asked for; the exit code (none when a signal ended it), standard error, and what the log was told.
    fn run(&self, place: &Place, fault: &str) -> (Option<i32>, String, String) {
        let log = place.path("fault.log");
        let output = Command::new(env!("CARGO_BIN_EXE_syllabus"))
            .args(self.arguments)
            .current_dir(place.path("."))
            .env("NO_COLOR", "1")
            .env("SYLLABUS_FAULT", fault)
            .env("SYLLABUS_FAULT_LOG", &log)
            .output()
            .unwrap();
        let told = fs_err::read_to_string(log).unwrap_or_default();
        (output.status.code(), String::from_utf8(output.stderr).unwrap(), told)
    }

    /// All file operations of an undisturbed run, a line each.
    fn operations(&self) -> Vec<String> {
        let place = (self.fresh)();
        let (code, stderr, told) = self.run(&place, "trace@0");
        assert_eq!(code, Some(0), "{}: {stderr}", self.name);
        (self.whole)(&place);
        told.lines().map(str::to_owned).collect()
    }

    /// Does `fault`, runs the same command again, and looks at what is there. What went wrong, if anything.
    fn survives(&self, mode: &str, at: usize) -> Result<(), String> {
        let place = (self.fresh)();
        let (code, stderr, told) = self.run(&place, &format!("{mode}@{at}"));
        let operation = told.lines().next().unwrap_or("").to_owned();
        let wrong = |what: &str| Err(format!("{}: {mode}@{at} ({operation}): {what}\n{stderr}", self.name));
        if !operation.starts_with(&format!("{at} ")) {
            return wrong("the fault was not made");
        }
        // Scratch that cannot be removed at the end is none of the result's, and a link that cannot be made is a copy.
        let harmless = operation.contains(" remove ") || operation.contains(" link ");
        match (mode, code) {
            ("kill" | "tear" | "power" | "blackout", Some(_)) => return wrong("it did not die"),
            ("fail" | "full", None) => return wrong("it died"),
            ("fail", Some(0)) if !harmless => return wrong("nobody noticed"),
            // Nothing after it needed room.
            ("full", Some(0)) if !(operation.contains(" remove ") || operation.contains(" sync-folder ")) => {
                return wrong("nobody noticed");
            }
            ("fail", Some(1)) if !stderr.contains("input/output error") => return wrong("the error does not say why"),
            ("full", Some(1)) if !stderr.contains("no space left") => return wrong("the error does not say why"),
            ("fail" | "full", Some(code)) if code > 1 => return wrong("another exit code"),
            _ => {}
        }
        if stderr.contains("panicked") {
            return wrong("a panic");
        }
        if let Some(what) = (self.halfway)(&place) {
            return wrong(&what);
        }
        let again = place.run(self.arguments);
        if again.code != 0 {
            return wrong(&format!("the second run failed: {}", again.stderr));
        }
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (self.whole)(&place))) {
            Ok(()) => Ok(()),
            Err(why) => wrong(&format!("not what it should be: {:?}", why.downcast_ref::<String>())),
        }
    }

    /// Tries the operations: all of them or so many of each mode, where that is asked for, else about `some(of the mode's sample)`.
    fn attack(&self, operations: usize, some: impl Fn(usize) -> usize) {
        let asked = std::env::var("SYLLABUS_FAULTS").ok();
        let all = asked.as_ref().is_some_and(|asked| asked == "all");
        let most = asked.and_then(|asked| asked.parse().ok());
        let only = std::env::var("SYLLABUS_FAULT_MODES").ok();
        let (mut failures, mut rows) = (Vec::new(), Vec::new());
        for (number, (mode, what, sample)) in MODES.into_iter().enumerate() {
            if only.as_ref().is_some_and(|only| !only.split(',').any(|name| name == mode)) {
                continue;
            }
            let step = if all { 1 } else { operations.div_ceil(most.unwrap_or_else(|| some(sample))) };
            // Each mode begins elsewhere, so that together they see more.
            let points: Vec<usize> =
                (1 + if all { 0 } else { number * step / MODES.len() }..=operations).step_by(step).collect();
            assert!(!points.is_empty(), "{}: {mode} of {operations}", self.name);
            let next = AtomicUsize::new(0);
            let found = Mutex::new(Vec::new());
            std::thread::scope(|scope| {
                for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                    scope.spawn(|| {
                        while let Some(&at) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                            found.lock().unwrap().extend(self.survives(mode, at).err());
                        }
                    });
                }
            });
            let found = found.into_inner().unwrap();
            println!(
                "{}: {mode}: {} of {operations} operations, {} not survived",
                self.name,
                points.len(),
                found.len()
            );
            let of = format!("{}: {} of its {operations} operations; {what}", self.name, points.len());
            rows.push(harness::row(mode, &of, "run again, it ended with the same bytes", points.len(), found.len()));
            failures.extend(found);
            harness::record("faults", &format!("faults-{}", self.name.replace(' ', "-")), &rows);
        }
        assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    }
}

#[test]
fn any_operation_of_a_compile_may_be_the_last() {
    let whole = place();
    whole.run(&ARGUMENTS).expect(0);
    let ledger = rows::read(&whole.path("out/ledger.parquet"));
    for outcome in ["exact", "near", "contaminated", "held_out"] {
        assert!(ledger.iter().any(|row| rows::text(row, "outcome") == Some(outcome)), "nothing is {outcome}");
    }
    let whole = whole.path("out");
    let attack = Attack {
        name: "compile",
        arguments: &ARGUMENTS,
        fresh: &place,
        halfway: &|place| {
            if !place.path("out/manifest.json").exists() {
                return None;
            }
            let verified = place.run(&["verify", "out"]);
            (verified.code != 0).then(|| format!("a manifest of what is not whole: {}", verified.stderr))
        },
        whole: &|place| assert_same_dataset(&whole, &place.path("out")),
    };
    let operations = attack.operations();
    for kind in ["create", "write", "sync", "rename", "remove", "sync-folder", "folder", "resize"] {
        let of_it = |line: &String| line.split(' ').nth(1) == Some(kind);
        assert!(operations.iter().any(of_it), "no {kind} among {}", operations.len());
    }
    attack.attack(operations.len(), |sample| sample);
}

/// A place with a finished dataset; another each time.
fn compiled(whole: &Path) -> Place {
    let place = Place::new();
    for file in harness::dataset_files(whole) {
        place.write(&format!("out/{}", file.display()), fs_err::read(whole.join(&file)).unwrap());
    }
    place
}

/// The files of a folder with their bytes; where these are text that names the folder, without its place.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let place = folder.parent().unwrap().to_str().unwrap();
    let read = |file: PathBuf| {
        let bytes = match String::from_utf8(fs_err::read(folder.join(&file)).unwrap()) {
            Ok(text) => text.replace(place, "…").into_bytes(),
            Err(binary) => binary.into_bytes(),
        };
        (file, bytes)
    };
    harness::files(folder).into_iter().map(read).collect()
}

fn assert_same_files(one: &Path, other: &Path) {
    let (one, other) = (contents(one), contents(other));
    let names = |of: &[(PathBuf, Vec<u8>)]| of.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other));
    for ((name, left), (_, right)) in one.iter().zip(&other) {
        assert!(left == right, "{} differs", name.display());
    }
}

#[test]
fn any_operation_of_an_export_may_be_the_last() {
    let place = place();
    // Megatron's index needs windows without padding; one packing does for the exports.
    let text = curriculum().replace(", packing: best_fit", "");
    place.write("curriculum.yaml", text);
    place.run(&ARGUMENTS).expect(0);
    let out = place.path("out");
    for trainer in ["megatron", "megatron-exact", "datatrove", "nanogpt", "llmc"] {
        let arguments = ["export", "out", "--for", trainer, "--out", "exported"];
        let whole = compiled(&out);
        whole.run(&arguments).expect(0);
        let whole = whole.path("exported");
        let attack = Attack {
            name: &format!("export for {trainer}"),
            arguments: &arguments,
            fresh: &|| compiled(&out),
            halfway: &|place| {
                let exported = place.path("exported");
                if !exported.exists() {
                    return None;
                }
                // What has its name is whole.
                std::panic::catch_unwind(|| assert_same_files(&whole, &exported))
                    .err()
                    .map(|why| format!("half an export has its name: {:?}", why.downcast_ref::<String>()))
            },
            whole: &|place| {
                assert_same_files(&whole, &place.path("exported"));
                assert!(!place.path("exported.partial").exists(), "something half-written is left");
            },
        };
        let operations = attack.operations();
        assert!(operations.len() > 10, "{operations:?}");
        attack.attack(operations.len(), |sample| sample.div_ceil(3));
    }
}

#[test]
fn any_operation_of_a_report_or_a_cleaning_may_be_the_last() {
    let place = place();
    place.run(&ARGUMENTS).expect(0);
    let (out, page) = (place.path("out"), place.path("page.html"));
    place.run(&["report", "out", "--html", "page.html"]).expect(0);
    let page = fs_err::read(page).unwrap();
    let attack = Attack {
        name: "report",
        arguments: &["report", "out", "--html", "page.html"],
        fresh: &|| compiled(&out),
        halfway: &|place| {
            let found = fs_err::read(place.path("page.html")).ok()?;
            (found != page).then(|| "half a page has its name".to_owned())
        },
        whole: &|place| assert!(fs_err::read(place.path("page.html")).unwrap() == page, "another page"),
    };
    attack.attack(attack.operations().len(), |_| 2);
    let with_work = || {
        let place = compiled(&out);
        for file in harness::files(&out.join(".work")) {
            place.write(&format!("out/.work/{}", file.display()), fs_err::read(out.join(".work").join(&file)).unwrap());
        }
        place
    };
    let cleaned = compiled(&out);
    let attack = Attack {
        name: "clean",
        arguments: &["clean", "out"],
        fresh: &with_work,
        halfway: &|_| None,
        whole: &|place| {
            assert!(!place.path("out/.work").exists(), "the work folder is there");
            assert_same_files(&cleaned.path("out"), &place.path("out"));
        },
    };
    attack.attack(attack.operations().len(), |_| 3);
}
