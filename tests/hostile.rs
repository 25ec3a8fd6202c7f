//! Promise 4: what cannot be read is an error that names the file, never skipped in silence; and what can be read oddly is
//! read as it says. The modules below try whole classes of input, case by case, and count them.

mod curricula;
mod sources;
mod tokenizers;

use crate::harness::{self, Outcome, Place};
use crate::rows;

/// Cases of one class. What did not come out as it must is told at the end, all of it.
struct Class {
    class: &'static str,
    what: &'static str,
    outcome: &'static str,
    tried: usize,
    wrong: Vec<String>,
}

impl Class {
    /// What is tried, on what, and what must come of each.
    fn new(class: &'static str, what: &'static str, outcome: &'static str) -> Self {
        Self { class, what, outcome, tried: 0, wrong: Vec::new() }
    }

    /// A case, and why it did not come out as it must.
    fn case(&mut self, name: &str, result: Result<(), String>) {
        self.tried += 1;
        self.wrong.extend(result.err().map(|why| format!("{name}: {why}")));
    }

    /// Keeps the count, and fails when a case did.
    #[track_caller]
    fn end(self) {
        let name = format!("hostile-{}-{}", self.class, self.what).replace([' ', ',', '`', '/'], "-");
        let row = harness::row(self.class, self.what, self.outcome, self.tried, self.wrong.len());
        harness::record("hostile", &name, &[row]);
        assert!(self.wrong.is_empty(), "{} of {}:\n{}", self.wrong.len(), self.tried, self.wrong.join("\n"));
    }
}

/// Whether a run failed as it should: with this code, no panic, nothing on stdout, and these words in its last line.
fn failed(outcome: &Outcome, code: i32, words: &[&str]) -> Result<(), String> {
    let last = outcome.last_line();
    let told = || format!("ended with {}: {}", outcome.code, outcome.stderr.trim_end());
    if outcome.code != code || outcome.stderr.contains("panicked") || !outcome.stdout.is_empty() {
        return Err(told());
    }
    match words.iter().find(|word| !last.contains(**word)) {
        Some(word) => Err(format!("`{word}` is not in the last line: {}", told())),
        None => Ok(()),
    }
}

/// Compiles one good file and one bad one; the error must name the bad one, and no dataset may come of it.
#[track_caller]
fn refused(name: &str, bytes: &[u8], words: &[&str]) {
    let place = Place::new();
    let good = rows::source("dialog");
    place.write("data/good.jsonl", rows::jsonl(&good));
    place.write(&format!("data/{name}"), bytes);
    place.write("curriculum.yaml", harness::small("data/*", "", "5k"));
    let outcome = place.compile("out", &[]).expect(1);
    assert!(outcome.last_line().contains(name), "the last line does not name {name}:\n{}", outcome.stderr);
    for word in words {
        assert!(outcome.stderr.contains(word), "`{word}` is not in:\n{}", outcome.stderr);
    }
    assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
    assert!(!place.path("out/manifest.json").exists(), "a dataset came of {name}");
}

fn dialog() -> Vec<rows::Row> {
    rows::source("dialog")
}

#[test]
fn truncated_parquet() {
    let bytes = rows::parquet(&dialog(), 50);
    refused("cut.parquet", &bytes[..bytes.len() - 40], &[]);
    refused("half.parquet", &bytes[..bytes.len() / 2], &[]);
    refused("magic.parquet", b"PAR1PAR1", &[]);
}

#[test]
fn altered_parquet() {
    let mut bytes = rows::parquet(&dialog(), 50);
    // Within the first data page: lengths or compressed text.
    for byte in &mut bytes[40..120] {
        *byte ^= 0xa5;
    }
    refused("altered.parquet", &bytes, &[]);
}

#[test]
fn truncated_streams() {
    let zst = rows::jsonl_zst(&dialog(), 1 << 20);
    refused("cut.jsonl.zst", &zst[..zst.len() - 100], &[]);
    let gz = rows::jsonl_gz(&dialog(), 1 << 20);
    refused("cut.jsonl.gz", &gz[..gz.len() - 100], &[]);
    let arrow = rows::arrow(&dialog());
    refused("cut.arrow", &arrow[..arrow.len() / 2], &[]);
}

#[test]
fn altered_streams() {
    let mut gz = rows::jsonl_gz(&dialog(), 1 << 20);
    let end = gz.len();
    gz[end - 8] ^= 1; // the checksum
    refused("checksum.jsonl.gz", &gz, &[]);
    let mut tail = rows::jsonl_gz(&dialog(), 1 << 20);
    tail.extend(b"not a gzip member");
    refused("tail.jsonl.gz", &tail, &[]);
}

#[test]
fn broken_lines() {
    refused("a.jsonl", b"{\"text\": \"good\"}\n{\"text\": \"no end\n", &["line 2"]);
    refused("b.jsonl", b"{\"text\": \"good\"}\n\n{\"text\": \"x\"} trailing\n", &["line 3"]);
    refused("c.jsonl", b"{\"text\": \"\xff\xfe\"}\n", &["line 1"]);
    refused("d.jsonl", b"{\"text\": \"lone surrogate \\ud800\"}\n", &["line 1"]);
    refused("e.jsonl", b"{\"text\": 5}\n", &["line 1"]);
    refused("f.jsonl", b"[1, 2]\n", &["line 1"]);
}

#[test]
fn a_column_that_is_not_there() {
    let mut rows = dialog();
    for row in &mut rows {
        let text = row.remove("text").unwrap();
        row.insert("words".to_owned(), text);
    }
    refused("words.parquet", &rows::parquet(&rows, 50), &["text", "words"]);
    refused("words.arrow", &rows::arrow(&rows), &["text", "words"]);
    refused("words.jsonl", &rows::jsonl(&rows), &["text"]);
}

#[test]
fn text_that_is_not_utf8() {
    refused("latin.txt", b"caf\xe9", &[]);
}

#[test]
fn nothing_to_read() {
    let place = Place::new();
    place.write("curriculum.yaml", harness::small("nowhere/*.jsonl", "", "5k"));
    place.compile("out", &[]).expect(2).says("nowhere/*.jsonl");
    place.write("blank/blank.jsonl", "{\"text\": \"  \"}\n");
    place.write("curriculum.yaml", harness::small("blank/*.jsonl", "", "5k"));
    let outcome = place.compile("out", &[]);
    assert!(matches!(outcome.code, 1 | 3), "a source without documents is an error\n{}", outcome.stderr);
    assert!(!place.path("out/manifest.json").exists());
}

#[test]
fn a_bad_row_is_counted_where_the_curriculum_says_so() {
    let place = Place::new();
    let mut lines = rows::jsonl(&dialog());
    lines.extend(b"{\"text\": \"no end\n{\"text\": 5}\n");
    place.write("data/some.jsonl", lines);
    place.write("curriculum.yaml", harness::small("data/*", ", on_bad_row: count", "5k"));
    place.compile("out", &[]).expect(0);
    let ledger = rows::read(&place.path("out/ledger.parquet"));
    let bad = ledger.iter().find(|row| rows::text(row, "outcome") == Some("bad")).expect("the ledger counts bad rows");
    assert_eq!(rows::number(bad, "documents"), Some(2));
    place.write("curriculum.yaml", harness::small("data/*", ", on_bad_row: {count: 1}", "5k"));
    place.compile("limited", &[]).expect(1).says("on_bad_row");
}
