//! Files that are cut, damaged, changing or no files at all: an error or the rows that are there, never a panic.

use std::os::unix::fs::FileExt;

use super::write::{self, Spelling, TextType, json_lines};
use super::*;

fn small() -> Vec<(&'static str, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let docs = docs(9);
    let lines = json_lines(&docs, Spelling::default());
    let place = |name: &str| folder.path().join(name);
    let mut layouts = write::parquet_layouts();
    write::parquet(&place("v2.parquet"), &docs, TextType::Utf8, layouts.remove(2).1);
    write::parquet(&place("zstd.parquet"), &docs, TextType::Utf8, layouts.remove(1).1);
    write::parquet(&place("delta.parquet"), &docs, TextType::Binary, layouts.remove(2).1);
    write::arrow_file(&place("a.arrow"), &docs, TextType::Dictionary, 4, None);
    write::arrow_file(&place("zstd.arrow"), &docs, TextType::Utf8View, 4, Some(arrow::ipc::CompressionType::ZSTD));
    write::arrow_stream(&place("a.arrows"), &docs, TextType::Dictionary, 4, None);
    write::arrow_stream(&place("lz4.arrows"), &docs, TextType::Utf8, 4, Some(arrow::ipc::CompressionType::LZ4_FRAME));
    fs_err::write(place("a.jsonl"), &lines).unwrap();
    fs_err::write(place("a.jsonl.gz"), write::gzip(&lines, 100)).unwrap();
    fs_err::write(place("a.jsonl.zst"), write::zstd(&lines, 100)).unwrap();
    fs_err::write(place("a.txt.gz"), write::gzip("a text ü".repeat(30).as_bytes(), 100)).unwrap();
    fs_err::write(place("a.txt.zst"), write::zstd("a text ü".repeat(30).as_bytes(), 100)).unwrap();
    [
        "v2.parquet",
        "zstd.parquet",
        "delta.parquet",
        "a.arrow",
        "zstd.arrow",
        "a.arrows",
        "lz4.arrows",
        "a.jsonl",
        "a.jsonl.gz",
        "a.jsonl.zst",
        "a.txt.gz",
        "a.txt.zst",
    ]
    .map(|name| (name, fs_err::read(place(name)).unwrap()))
    .to_vec()
}

/// Keeps a count for `docs/reliability.md`, where somebody asked for it (`cargo xtask reliability`).
fn record(class: &str, what: &str, outcome: &str, tried: usize) {
    if let Some(results) = std::env::var_os("SYLLABUS_RESULTS") {
        let row = serde_json::json!({"class": class, "what": what, "outcome": outcome, "count": tried, "failed": 0});
        let results = std::path::PathBuf::from(results);
        fs_err::create_dir_all(&results).unwrap();
        let of = serde_json::json!({"part": "hostile", "rows": [row]});
        fs_err::write(results.join(format!("hostile-decoders-{class}.json")), of.to_string()).unwrap();
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_the_rows_there() {
    let mut tried = 0;
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(Some("stars IS NULL OR stars > -9"));
    for (name, bytes) in small() {
        let path = folder.path().join(name);
        fs_err::write(&path, &bytes).unwrap();
        let whole = read(&path, &spec).unwrap();
        // Where a member or frame ends the cut file is a whole one.
        let lines = name == "a.jsonl";
        let mut quiet = 0;
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        for cut in (0..bytes.len()).rev() {
            tried += 1;
            file.set_len(cut as u64).unwrap();
            match read(&path, &spec) {
                Err(Error::Source { place, message, .. }) => assert!(!place.is_empty() && !message.is_empty()),
                Err(other) => panic!("{name} cut at {cut}: {other}"),
                Ok(rows) => {
                    assert!(rows.len() <= whole.len(), "{name} cut at {cut}");
                    if lines {
                        // Only the last row, cut in the middle, may differ.
                        let same = rows.len().saturating_sub(1);
                        assert_eq!(rows[..same], whole[..same]);
                        let last = rows.last().map(|(_, outcome)| outcome);
                        assert!(
                            last.is_none() || last == Some(&whole[same].1) || matches!(last, Some(Outcome::Bad(_)))
                        );
                    } else {
                        quiet += 1;
                    }
                }
            }
        }
        // Ends of gzip members and zstd frames: nothing there tells that more should follow.
        let members = if name.ends_with("gz") || name.ends_with("zst") { bytes.len() / 50 + 1 } else { 0 };
        assert!(quiet <= members, "{name}: {quiet} cuts went unnoticed");
    }
    record(
        "truncated",
        "small files of every format, at every byte",
        "an error with file and place, or the rows before",
        tried,
    );
}

#[test]
fn a_damaged_byte_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let (mut errors, mut tried) = (0, 0_usize);
    for (turn, condition) in [None, Some("stars > 0 OR lang = 'en' OR meta.title IS NULL")].into_iter().enumerate() {
        let spec = spec_with(
            &["{text}"],
            condition,
            Limits { max_page_bytes: 1 << 20, batch_bytes: 700, ..Limits::default() },
        );
        for (name, bytes) in small() {
            let path = folder.path().join(name);
            fs_err::write(&path, &bytes).unwrap();
            let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
            let put = |at: usize, byte: u8| file.file().write_all_at(&[byte], at as u64).unwrap();
            for (at, &byte) in bytes.iter().enumerate() {
                {
                    // Each byte is changed in two ways of four.
                    let change = [0x01, 0x80, 0xFF, 0x10][(2 * turn + at % 2) % 4];
                    put(at, byte ^ change);
                    tried += 1;
                    let result = std::panic::catch_unwind(|| read(&path, &spec));
                    match result {
                        Ok(result) => errors += usize::from(result.is_err()),
                        Err(_) => panic!("{name}, byte {at} changed by {change:#x}"),
                    }
                }
                put(at, byte);
            }
        }
    }
    assert!(errors > tried / 10, "{errors} of {tried}");
    record(
        "damaged",
        "every byte of small files of every format, twice",
        "an error with file and place, or rows; no panic",
        tried,
    );
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("x.parquet");
    fs_err::create_dir(&directory).unwrap();
    let error = read(&directory, &spec(None)).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
    let pipe = folder.path().join("pipe.jsonl");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let error = units(&SourceFile { path: pipe, bytes: 0 }, &spec(None)).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
    let gone = SourceFile { path: folder.path().join("gone.jsonl"), bytes: 3 };
    assert!(units(&gone, &spec(None)).unwrap_err().to_string().contains("gone.jsonl"));
    let turning = folder.path().join("loop.jsonl");
    std::os::unix::fs::symlink(&turning, &turning).unwrap();
    assert!(units(&SourceFile { path: turning, bytes: 0 }, &spec(None)).is_err());
}

#[test]
fn a_file_that_changes_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let docs = docs(3000);
    let spec = spec(None);
    for (name, change) in [("grow", 1), ("shrink", 2), ("rewrite", 3), ("replace", 4)] {
        for format in ["jsonl", "jsonl.zst", "parquet", "arrow", "arrows"] {
            let path = folder.path().join(format!("{name}.{format}"));
            let lines = json_lines(&docs, Spelling::default());
            match format {
                "jsonl" => fs_err::write(&path, &lines).unwrap(),
                "jsonl.zst" => fs_err::write(&path, write::zstd(&lines, 100_000)).unwrap(),
                "parquet" => write::parquet(&path, &docs, TextType::Utf8, write::parquet_layouts().remove(1).1),
                "arrow" => write::arrow_file(&path, &docs, TextType::Utf8, 100, None),
                _ => write::arrow_stream(&path, &docs, TextType::Utf8, 100, None),
            }
            let file = source_file(&path);
            let unit = units(&file, &spec).unwrap().remove(0);
            let mut reader = unit.open(&spec).unwrap();
            reader.next_batch().unwrap();
            let bytes = fs_err::read(&path).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
            match change {
                1 => fs_err::write(&path, [bytes, b"\n".to_vec()].concat()).unwrap(),
                2 => fs_err::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                3 => fs_err::write(&path, &bytes).unwrap(),
                _ => {
                    let other = folder.path().join("other");
                    fs_err::write(&other, &bytes).unwrap();
                    fs_err::rename(&other, &path).unwrap();
                }
            }
            let rest = loop {
                match reader.next_batch() {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(e) => break Some(e.to_string()),
                }
            };
            // A file replaced by another is still read whole by who has it open; the next to open it is told.
            if change != 4 {
                let rest = rest.unwrap_or_else(|| panic!("{}", path.display()));
                assert!(rest.contains("changed while it was read"), "{rest}");
            }
            assert!(unit.open(&spec).is_err_and(|e| e.to_string().contains("changed")), "{}", path.display());
        }
    }
    record(
        "changing",
        "files that grow, shrink or are rewritten or replaced while they are read",
        "an error that says so",
        20,
    );
}

#[test]
fn counts_that_lie_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(None);
    let path = folder.path().join("x.arrows");
    write::arrow_stream(&path, &docs(9), TextType::Utf8, 4, None);
    let stream = fs_err::read(&path).unwrap();
    fs_err::write(&path, [stream.clone(), stream.clone()].concat()).unwrap();
    assert!(read(&path, &spec).unwrap_err().to_string().contains("follow the stream's end"));
    fs_err::write(&path, &stream[..stream.len() - 8]).unwrap();
    assert!(read(&path, &spec).unwrap_err().to_string().contains("no end marker"));
}
