//! What is fuzzed: `SYLLABUS_FUZZ` names which reader of foreign bytes this process gives them to.
//!
//! One program for all, so that what they stand on is built with coverage once. `cargo xtask fuzz` runs each in turn on the
//! seeds in `fuzz/seeds/TARGET/`. A finding is a panic, more memory than the limit, or an input that takes too long: errors are
//! what such bytes deserve.

#![no_main]

use std::path::Path;
use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use syllabus::curriculum::checked::{TemplatePiece, TextTemplate};
use syllabus::curriculum::filter::Filter;
use syllabus::curriculum::resolved::SourceFile;
use syllabus::ingest::decode::{Limits, ReadSpec, panic_is_contained, units};
use syllabus_reader::format::idx::Idx;
use syllabus_reader::format::manifest::Manifest;
use syllabus_reader::format::windows::WindowsReader;

type Target = fn(&[u8], &Path);

fn target() -> &'static (Target, tempfile::TempDir, String) {
    static TARGET: OnceLock<(Target, tempfile::TempDir, String)> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("SYLLABUS_FUZZ").expect("SYLLABUS_FUZZ names a target");
        let target: Target = match name.as_str() {
            "curriculum" => curriculum,
            "where" => condition,
            "manifest" => manifest,
            "idx" => idx,
            "windows" => windows,
            "jsonl" | "jsonl.gz" | "jsonl.zst" | "txt" | "parquet" | "arrow" | "arrows" => source,
            other => panic!("no target `{other}`"),
        };
        // The decoder turns some panics of the crates below it into errors; any other is a finding.
        std::panic::set_hook(Box::new(|panic| {
            if !panic_is_contained() {
                eprintln!("{panic}");
                std::process::abort();
            }
        }));
        (target, tempfile::tempdir().expect("a folder"), name)
    })
}

fuzz_target!(|bytes: &[u8]| {
    let (target, folder, name) = target();
    target(bytes, &folder.path().join(format!("input.{name}")));
});

fn curriculum(bytes: &[u8], _: &Path) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _refused = syllabus::curriculum::parse(text, "fuzz.yaml", false);
    }
}

fn condition(bytes: &[u8], _: &Path) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _refused = Filter::parse(text);
    }
}

fn manifest(bytes: &[u8], file: &Path) {
    if let Ok(manifest) = Manifest::from_json(file, bytes) {
        let _off = manifest.recompute_digest();
    }
}

fn idx(bytes: &[u8], file: &Path) {
    if let Ok(index) = Idx::parse(file, bytes) {
        let lengths: i64 = index.sequences().map(|(length, _)| i64::from(length)).fold(0, i64::wrapping_add);
        std::hint::black_box((lengths, index.documents().last(), index.dtype()));
    }
}

fn windows(bytes: &[u8], file: &Path) {
    if let Ok(windows) = WindowsReader::new(file.to_owned(), bytes) {
        for row in 0..windows.rows().min(10_000) {
            if let Ok(row) = windows.row(row) {
                std::hint::black_box((row.source, row.padding, row.fragments.into_iter().count()));
            }
        }
    }
}

/// A source's file, read to its end as the ingest does.
fn source(bytes: &[u8], path: &Path) {
    static SPEC: OnceLock<Arc<ReadSpec>> = OnceLock::new();
    let spec = SPEC.get_or_init(|| {
        let template = TextTemplate { pieces: vec![TemplatePiece::Column("text".to_owned())] };
        let filter = Filter::parse("stars IS NULL OR stars > 3").expect("a condition");
        let limits = Limits { batch_bytes: 1 << 16, ..Limits::default() };
        Arc::new(ReadSpec::new(&template, Some(&filter), limits))
    });
    fs_err::write(path, bytes).expect("written");
    let file = SourceFile { path: path.to_owned(), bytes: bytes.len() as u64 };
    let Ok(units) = units(&file, spec) else { return };
    for unit in units {
        let Ok(mut reader) = unit.open(spec) else { continue };
        while let Ok(Some(batch)) = reader.next_batch() {
            let _refused = batch.visit(&mut |at, row| {
                std::hint::black_box((at, row));
                Ok(())
            });
        }
    }
}
