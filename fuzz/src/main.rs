//! What is fuzzed: `SYLLABUS_FUZZ` names which reader of foreign bytes this process gives them to.
//!
//! One program for all, so that what they stand on is built with coverage once. `cargo xtask fuzz` runs each in turn on the
//! seeds in `fuzz/seeds/TARGET/`. A finding is a panic, one allocation or a whole above the limit, or an input that takes
//! too long: an error, or a row that is counted as bad, is what such bytes deserve.

#![no_main]

mod bounded;
mod dataset;
mod repeatable;
mod sources;
mod text;
mod tokenizer;
mod work;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use syllabus::error::panic_is_contained;

#[global_allocator]
static ALLOCATOR: bounded::Bounded = bounded::Bounded;

/// Reads the bytes; the path is free for a file of them.
type Target = fn(&[u8], &Path);

struct Running {
    target: Target,
    file: PathBuf,
}

fn find(name: &str) -> Option<(Target, &'static str)> {
    Some(match name {
        "curriculum" => (text::curriculum, "yaml"),
        "where" => (text::condition, "txt"),
        "manifest" => (dataset::manifest, "json"),
        "idx" => (dataset::idx, "idx"),
        "windows" => (dataset::windows, "arrow"),
        "journal" => (work::journal, "journal"),
        "segment" => (work::segment, "seg"),
        "tokenizer" => (tokenizer::tokenizer, "json"),
        "jsonl" => (sources::texts, "jsonl"),
        "jsonl.gz" => (sources::texts, "jsonl.gz"),
        "jsonl.zst" => (sources::texts, "jsonl.zst"),
        "txt" => (sources::texts, "txt"),
        "parquet" => (sources::texts, "parquet"),
        "arrow" => (sources::texts, "arrow"),
        "arrows" => (sources::texts, "arrows"),
        "lists" => (sources::lists, "parquet"),
        "megatron" => (sources::megatron, "bin"),
        "datatrove" => (sources::datatrove, "ds"),
        "olmo" => (sources::olmo, "npy"),
        _ => return None,
    })
}

fn running() -> &'static Running {
    static RUNNING: OnceLock<Running> = OnceLock::new();
    RUNNING.get_or_init(|| {
        let name = std::env::var("SYLLABUS_FUZZ").expect("SYLLABUS_FUZZ names a target");
        let Some((target, extension)) = find(&name) else { panic!("there is no target `{name}`") };
        // Some panics of the crates below are turned into errors; any other is a finding.
        std::panic::set_hook(Box::new(|panic| {
            if !panic_is_contained() {
                eprintln!("{panic}\n{}", std::backtrace::Backtrace::force_capture());
                std::process::abort();
            }
        }));
        // Nobody drops what is static: whoever starts this process sets TMPDIR, and removes it.
        let folder = tempfile::tempdir().expect("a folder").keep();
        Running { target, file: folder.join(format!("input.{extension}")) }
    })
}

fuzz_target!(|bytes: &[u8]| {
    let running = running();
    (running.target)(bytes, &running.file);
});
