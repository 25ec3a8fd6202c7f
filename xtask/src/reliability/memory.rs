//! The reader's tests where every access of memory is looked at: under valgrind, and built with AddressSanitizer.
//!
//! Miri cannot run them: they map files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

use super::{Part, Results, Row, Run};
use crate::testing::{cargo, starts, target};

pub const MEMORY: Part = Part {
    name: "memory",
    title: "Unsafe code of the reader",
    about: "The unit and property tests of the reader, which hold all `unsafe` of its crate to account, run where every access \
            of memory is checked. Each `unsafe` has its reason written beside it; a lint asks for it. The C library's tests \
            do the same with C programs (`capi/tests/c.rs`).",
    run,
};

fn run(run: &Run<'_>) -> Result<()> {
    let mut failed = Vec::new();
    for (name, result) in [("valgrind", valgrind(run)), ("sanitizer", sanitizer(run))] {
        match result {
            Ok(results) => run.record(&format!("memory-{name}"), &results)?,
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

fn not_run(why: &str) -> Results {
    Results { part: MEMORY.name.to_owned(), rows: Vec::new(), not_run: Some(why.to_owned()) }
}

fn found(class: &str, what: &str, tests: u64, errors: u64) -> Results {
    let outcome = if errors == 0 { "no error" } else { "ERRORS" };
    let (class, what, outcome) = (class.to_owned(), what.to_owned(), outcome.to_owned());
    let row = Row { class, what, outcome, count: tests, failed: errors, peak_memory_bytes: None };
    Results { part: MEMORY.name.to_owned(), rows: vec![row], not_run: None }
}

/// Property tests try fewer cases where everything takes fifty times as long.
const CASES: (&str, &str) = ("PROPTEST_CASES", "16");

fn valgrind(run: &Run<'_>) -> Result<Results> {
    if !starts(Command::new("valgrind").arg("--version")) {
        return Ok(not_run("valgrind is not installed"));
    }
    // Optimized code may compare what an `Option` without a value would hold before it looks whether there is one, and leave the
    // outcome out of account; memcheck takes that for a finding.
    let plain = ["--config", "profile.dev.opt-level=0"];
    let binary = build(run.root, &plain, &[])?;
    let output = Command::new("valgrind")
        .args(["--quiet", "--error-exitcode=99", "--num-callers=30", "--child-silent-after-fork=yes"])
        .arg(binary)
        .arg("--test-threads=1")
        .current_dir(run.root.join("reader"))
        .env(CASES.0, CASES.1)
        .output()
        .context("starting valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    // A line `==PID== Invalid read of size 4` begins each of its findings; what stands below is indented.
    let errors = said.lines().filter(|line| {
        line.strip_prefix("==")
            .and_then(|line| line.split_once("== "))
            .is_some_and(|(_, said)| !said.starts_with(' ') && !said.is_empty())
    });
    let errors = errors.count() as u64;
    if errors > 0 {
        eprintln!("{said}");
    }
    let tests = passed(&output, errors > 0)?;
    Ok(found("valgrind memcheck", &format!("the reader's {tests} tests"), tests, errors))
}

fn sanitizer(run: &Run<'_>) -> Result<Results> {
    let output = Command::new("rustc").arg("-vV").output().context("asking rustc for its host")?;
    let version = String::from_utf8(output.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    // A released compiler has the sanitizers and hides the option. The flags go to what is tested, not to build scripts: that
    // is what naming the target does.
    let options = ["--config", "profile.dev.package.\"*\".opt-level=1", "--target", host];
    let folder = target(run.root).join("sanitizer");
    let variables: [(&str, &OsStr); 3] = [
        ("RUSTC_BOOTSTRAP", "1".as_ref()),
        ("RUSTFLAGS", "-Zsanitizer=address -Cforce-frame-pointers=yes".as_ref()),
        ("CARGO_TARGET_DIR", folder.as_os_str()),
    ];
    let binary = match build(run.root, &options, &variables) {
        Ok(binary) => binary,
        Err(error) => {
            return Ok(not_run(&format!("AddressSanitizer: the tests cannot be built with it here ({error:#})")));
        }
    };
    let output = Command::new(binary).current_dir(run.root.join("reader")).output().context("starting the tests")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let errors =
        said.matches("ERROR: AddressSanitizer").count() as u64 + said.matches("ERROR: LeakSanitizer").count() as u64;
    if errors > 0 {
        eprintln!("{said}");
    }
    let tests = passed(&output, errors > 0)?;
    Ok(found("AddressSanitizer, with leaks", &format!("the reader's {tests} tests"), tests, errors))
}

/// Builds the reader's unit tests with more options and variables for cargo; the program.
fn build(root: &Path, options: &[&str], variables: &[(&str, &OsStr)]) -> Result<PathBuf> {
    let mut command = Command::new(cargo());
    command.args(["test", "-p", "syllabus-reader", "--lib", "--no-run", "--message-format=json"]).args(options);
    command.envs(variables.iter().copied());
    let output = command.current_dir(root).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("cargo failed"));
    }
    let messages = String::from_utf8(output.stdout)?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let program = messages.filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?))).next_back();
    program.context("cargo names no program")
}

/// How many tests passed; an error unless all did, or memory is what is wrong.
fn passed(output: &Output, broken: bool) -> Result<u64> {
    let said = String::from_utf8_lossy(&output.stdout);
    let count = said.lines().find_map(|line| {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        counts.split(' ').next()?.parse().ok()
    });
    if !output.status.success() && !broken {
        bail!("the tests did not pass: {said}");
    }
    let count = count.unwrap_or(0);
    ensure!(count > 0 || broken, "no test ran: {said}");
    Ok(count)
}
