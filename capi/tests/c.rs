//! C programs against the library: the example, many wrong uses, forks and threads; plain, with sanitizers, under valgrind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here is a test")]
#![cfg(unix)]

#[path = "../../reader/src/tests/fixture.rs"]
mod fixture;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use fixture::SetSpec;
use syllabus_reader::Dataset;
use syllabus_reader::format::TokenDtype;
use syllabus_reader::loader::{Array, IdType, Loader, LoaderOptions};

const PHASES: [SetSpec<'_>; 3] = [("a", 16, 17, &[10, 8]), ("b", 16, 17, &[]), ("c", 32, 33, &[7, 0, 5])];
const MODES: [&str; 5] = ["wrong", "outlive", "memory", "threads", "forks"];

fn dataset() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fixture::write(dir.path(), TokenDtype::U16, &PHASES, &[("validation/web", 16, 17, &[2])]);
    dir
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The library of this build: beside the tests, or one folder up.
fn library(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let found = [tests.join(name), tests.parent().unwrap().join(name)].into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} was not built"))
}

/// Compiles a C program against the static library; its path, or what the compiler said.
fn compile(source: &str, to: &Path, flags: &[&str]) -> Result<PathBuf, String> {
    let out = to.join("program");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-O1"]).args(flags);
    cc.arg("-I").arg(root().join("include")).arg(root().join(source)).arg("-o").arg(&out);
    cc.arg(library("libsyllabus_c.a")).args(["-lpthread", "-lm", "-ldl"]);
    let output = cc.output().expect("the tests need a C compiler, as the library's dependencies do");
    if output.status.success() { Ok(out) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{error}", output.status);
    out.into_owned()
}

/// What the example prints, found with the reader.
fn expected(dir: &Path) -> String {
    let dataset = Arc::new(Dataset::open(dir).unwrap());
    let mut options = LoaderOptions { threads: 0, ..LoaderOptions::new(4) };
    options.outputs.ids = IdType::I32;
    let mut lines = vec![format!("fixture: {} windows in 3 phases, 3 sources", dataset.len())];
    for set in dataset.phases() {
        let (name, windows, s, first) = (set.name(), set.len(), set.sequence_length(), set.first_window());
        lines.push(format!("  {name}: {windows} windows of {s} tokens from window {first}"));
    }
    let window = dataset.window(0).unwrap();
    let (source, first) = (window.source, window.tokens.get(0).unwrap());
    let fragments = window.fragments.len();
    lines.push(format!("window 0 of a: {source}, 17 tokens, {fragments} documents, first token {first}"));
    let mut batches = 0;
    for batch in Loader::new(dataset, options).unwrap() {
        let batch = batch.unwrap();
        let step = batch.step().unwrap();
        let sum: i64 = batch.i32(Array::InputIds).unwrap().iter().map(|&id| i64::from(id)).sum();
        let targets = batch.i32(Array::Labels).unwrap().iter().filter(|&&label| label != -100).count();
        lines.push(format!(
            "step {} in {} ({:.3}): {} rows, {targets} of {} targets, ids add up to {sum}, {} borders",
            step.step,
            step.phase,
            step.progress,
            batch.rows(),
            batch.num_targets_global(),
            batch.cu_seqlens().len()
        ));
        batches += 1;
    }
    lines.push(format!("{batches} batches\n"));
    lines.join("\n")
}

#[test]
fn the_example_reads_what_the_reader_reads() {
    let (data, place) = (dataset(), tempfile::tempdir().unwrap());
    let program = compile("../examples/read.c", place.path(), &[]).unwrap();
    let found = run(Command::new(&program).arg(data.path()));
    assert_eq!(found, expected(data.path()));
    let state = place.path().join("state.json");
    assert_eq!(run(Command::new(&program).arg(data.path()).arg(&state)), found, "resumed half-way");
    assert!(fs_err::read_to_string(state).unwrap().contains("next_window"));
    // A dataset that is not there.
    let output = Command::new(&program).arg(place.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("manifest.json"));
    // The shared library.
    let shared = library("libsyllabus_c.so");
    let out = place.path().join("shared");
    let mut cc = Command::new("cc");
    cc.arg("-I").arg(root().join("include")).arg(root().join("../examples/read.c")).arg("-o").arg(&out).arg(&shared);
    run(&mut cc);
    let found_shared = run(Command::new(&out).arg(data.path()).env("LD_LIBRARY_PATH", shared.parent().unwrap()));
    assert_eq!(found_shared, found);
}

#[test]
fn wrong_uses_threads_and_forks() {
    let (data, place) = (dataset(), tempfile::tempdir().unwrap());
    let program = compile("tests/use.c", place.path(), &[]).unwrap();
    for mode in MODES {
        run(Command::new(&program).arg(mode).arg(data.path()));
    }
}

#[test]
fn a_shard_that_is_cut_is_named_and_raises_no_signal() {
    let (data, place) = (dataset(), tempfile::tempdir().unwrap());
    let program = compile("tests/use.c", place.path(), &[]).unwrap();
    run(Command::new(&program).arg("cut").arg(data.path()).arg(data.path().join("a/00000.bin")));
}

/// The C side with the address and undefined-behaviour sanitizers, which also watch the library's heap, and for leaks.
#[test]
fn sanitizers_find_nothing() {
    let (data, place) = (dataset(), tempfile::tempdir().unwrap());
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let trial = place.path().join("trial.c");
    fs_err::write(&trial, "int main(void) { return 0; }\n").unwrap();
    let mut cc = Command::new("cc");
    cc.args(flags).arg(&trial).arg("-o").arg(place.path().join("trial"));
    let built = cc.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !built || !Command::new(place.path().join("trial")).status().is_ok_and(|status| status.success()) {
        println!("NOT RUN: this C compiler has no sanitizers");
        return;
    }
    let program = compile("../examples/read.c", place.path(), &flags).unwrap();
    assert_eq!(run(Command::new(&program).arg(data.path())), expected(data.path()));
    let program = compile("tests/use.c", place.path(), &flags).unwrap();
    // GCC 12's sanitizers leave their allocator's locks closed in a child of a process with threads, so children may wait for ever;
    // without sanitizers they are tested above.
    for mode in MODES.into_iter().filter(|mode| *mode != "forks") {
        run(Command::new(&program).arg(mode).arg(data.path()));
    }
    run(Command::new(&program).arg("cut").arg(data.path()).arg(data.path().join("a/00000.bin")));
}

#[test]
fn valgrind_finds_nothing() {
    if !Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("NOT RUN: there is no valgrind");
        return;
    }
    let (data, place) = (dataset(), tempfile::tempdir().unwrap());
    let valgrind = |program: &Path| {
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
        command.arg(program);
        command
    };
    let program = compile("../examples/read.c", place.path(), &[]).unwrap();
    assert_eq!(run(valgrind(&program).arg(data.path())), expected(data.path()));
    let program = compile("tests/use.c", place.path(), &[]).unwrap();
    for mode in ["wrong", "outlive", "memory"] {
        run(valgrind(&program).arg(mode).arg(data.path()));
    }
}

#[test]
fn the_header_is_cplusplus_too() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("header.cpp");
    fs_err::write(&source, "#include \"syllabus.h\"\nint main() { return syllabus_abi() == SYLLABUS_ABI; }\n").unwrap();
    let mut command = Command::new("c++");
    command.args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"]).arg(root().join("include"));
    match command.arg(&source).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("NOT RUN: no C++ compiler: {error}"),
    }
}
