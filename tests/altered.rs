//! A dataset that somebody altered: whatever byte of it is flipped, wherever a file is cut, `verify` finds it and names the
//! file, and the reader gives an error or what was there before; neither panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use syllabus::verify;
use syllabus_reader::{BatchOptions, Dataset};

use crate::harness::{self, Place};
use crate::rows;

/// A dataset of a few windows and two shards' worth of files.
fn dataset(place: &Place) {
    place.write("data/a.jsonl", rows::jsonl(&rows::source("dialog")[..12]));
    let text = harness::small("data/*", "", "600").replace("sequence_length: 64", "sequence_length: 32");
    place.write("curriculum.yaml", text);
    place.compile("out", &["--work", "work"]).expect(0);
}

/// Reads all that can be read, as a trainer does.
fn read(dir: &Path) -> syllabus_reader::Result<Vec<u32>> {
    let dataset = Dataset::open(dir)?;
    let mut tokens = Vec::new();
    for window in 0..dataset.len() {
        let window = dataset.window(window)?;
        window.tokens.extend_into(&mut tokens);
        std::hint::black_box((window.source, window.fragments.into_iter().count()));
    }
    for batch in dataset.batches(BatchOptions::new(2))? {
        for window in batch.windows() {
            window?;
        }
    }
    Ok(tokens)
}

struct Seen {
    tried: usize,
    silent: Vec<String>,
    panics: Vec<String>,
}

/// Puts `bytes` in a file's place and looks.
fn look(out: &Path, name: &str, bytes: &[u8], whole: &[u32], what: &str, seen: &mut Seen) {
    fs_err::write(out.join(name), bytes).unwrap();
    seen.tried += 1;
    match catch_unwind(AssertUnwindSafe(|| verify::run(out, false, &|_| {}))) {
        Err(_) => seen.panics.push(format!("verify: {what}")),
        Ok(Ok(report)) if report.findings.is_empty() => seen.silent.push(what.to_owned()),
        Ok(Ok(report)) => assert!(
            report.findings.iter().any(|finding| finding.file == name),
            "{what}: {:?} do not name it",
            report.findings
        ),
        Ok(Err(error)) => assert!(error.to_string().contains("manifest.json"), "{what}: {error}"),
    }
    match catch_unwind(AssertUnwindSafe(|| read(out))) {
        Err(_) => seen.panics.push(format!("reader: {what}")),
        // Without `verify`, tokens are read as they are; there are as many of them.
        Ok(Ok(tokens)) => assert_eq!(tokens.len(), whole.len(), "{what}"),
        Ok(Err(_)) => {}
    }
}

/// Each byte flipped in turn, and the file cut at each byte; of large files, so many of them.
fn every_byte(name: &str, most: usize) {
    let place = Place::new();
    dataset(&place);
    let out = place.path("out");
    let whole = read(&out).unwrap();
    assert!(!whole.is_empty() && verify::run(&out, false, &|_| {}).unwrap().findings.is_empty());
    let bytes = fs_err::read(out.join(name)).unwrap();
    let all = std::env::var("SYLLABUS_FAULTS").is_ok_and(|asked| asked == "all");
    let step = if all { 1 } else { bytes.len().div_ceil(most) };
    let mut seen = Seen { tried: 0, silent: Vec::new(), panics: Vec::new() };
    for at in (0..bytes.len()).step_by(step) {
        let mut flipped = bytes.clone();
        flipped[at] ^= if at % 2 == 0 { 0xff } else { 1 << (at / 2 % 8) };
        look(&out, name, &flipped, &whole, &format!("{name}: byte {at} flipped"), &mut seen);
        look(&out, name, &bytes[..at], &whole, &format!("{name}: cut at byte {at}"), &mut seen);
    }
    let extension = name.rsplit('.').next().unwrap();
    println!("{name}: {} bytes, {} alterations, {} not noticed by verify", bytes.len(), seen.tried, seen.silent.len());
    let outcome =
        "each noticed by `verify`, which names the file; the reader gives an error or as many tokens as there were";
    let what = format!("`{name}`, {} bytes", bytes.len());
    let row = harness::row("flipped or cut", &what, outcome, seen.tried, seen.panics.len() + seen.silent.len());
    harness::record("altered", &format!("altered-{extension}"), &[row]);
    assert!(seen.panics.is_empty(), "{:#?}", seen.panics);
    assert!(seen.silent.is_empty(), "{:#?}", seen.silent);
}

#[test]
fn the_manifest() {
    every_byte("manifest.json", 150);
}

#[test]
fn the_index() {
    every_byte("only/00000.idx", 150);
}

#[test]
fn the_windows() {
    every_byte("only/00000.arrow", 150);
}

#[test]
fn the_tokens() {
    every_byte("only/00000.bin", 150);
}
