//! Promise 1: a dataset is a function of its rows, its curriculum and its tokenizer, and of nothing else.

use std::path::Path;

use crate::harness::{self, Place};
use crate::rows::{self, Row};

/// Compiles the demo from the committed files, in a place of its own.
fn reference() -> Place {
    compiled(&harness::demo(harness::fixtures().join("corpora").to_str().unwrap()), &[])
}

fn compiled(curriculum: &str, more: &[&str]) -> Place {
    let place = Place::new();
    place.write("curriculum.yaml", curriculum);
    place.compile("out", more).expect(0);
    place
}

fn out(place: &Place) -> std::path::PathBuf {
    place.path("out")
}

/// A fixed shuffle: rows come in another order, the same in every run.
fn shuffled(mut rows: Vec<Row>, salt: u64) -> Vec<Row> {
    let mut state = salt | 1;
    for last in (1..rows.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap() % (last + 1);
        rows.swap(last, at);
    }
    rows
}

#[test]
fn threads_do_not_matter() {
    let one = compiled(&harness::demo(harness::fixtures().join("corpora").to_str().unwrap()), &["--threads", "1"]);
    for threads in ["2", "5"] {
        let other =
            compiled(&harness::demo(harness::fixtures().join("corpora").to_str().unwrap()), &["--threads", threads]);
        harness::assert_same_dataset(&out(&one), &out(&other));
    }
}

#[test]
fn memory_does_not_matter() {
    let text = harness::demo(harness::fixtures().join("corpora").to_str().unwrap());
    let large = compiled(&text, &["--memory", "8GiB"]);
    let small = compiled(&text, &["--memory", "256MiB", "--threads", "1"]);
    harness::assert_same_dataset(&out(&large), &out(&small));
}

/// From one segment a source to hundreds of them, past the number from which a source's segments are merged.
#[test]
fn segments_do_not_matter() {
    let text = harness::demo(harness::fixtures().join("corpora").to_str().unwrap());
    let one = compiled(&text, &["--threads", "1"]);
    let count = |place: &Place| harness::files(&place.path("out/.work/segments")).len();
    let mut counts = vec![count(&one)];
    for bytes in ["800KiB", "40KiB", "1KiB"] {
        let other = compiled(&text, &["--threads", "2", "--segment-bytes", bytes]);
        harness::assert_same_dataset(&out(&one), &out(&other));
        counts.push(count(&other));
    }
    assert_eq!(counts[0], 7, "one for each source");
    assert!(counts.is_sorted_by(|fewer, more| fewer < more) && counts[3] > 1000, "{counts:?}");
}

#[test]
fn names_and_order_of_files_do_not_matter() {
    let place = Place::new();
    let corpora = harness::fixtures().join("corpora");
    // The same files, in the reverse order of names.
    let files = harness::files(&corpora);
    for (number, file) in files.iter().enumerate() {
        let source = file.iter().next().unwrap().to_str().unwrap();
        let ending = file.file_name().unwrap().to_str().unwrap().split_once('.').unwrap().1;
        let name = format!("moved/{source}/{:04}.{ending}", files.len() - number);
        place.write(&name, fs_err::read(corpora.join(file)).unwrap());
    }
    place.write("curriculum.yaml", harness::demo("moved"));
    place.compile("out", &[]).expect(0);
    harness::assert_same_dataset(&out(&reference()), &out(&place));
}

#[test]
fn formats_splits_and_row_groups_do_not_matter() {
    let place = Place::new();
    let web = shuffled(rows::source("web"), 1);
    place.write("data/web/a.jsonl.zst", rows::jsonl_zst(&web[..400], 10_000));
    place.write("data/web/b.arrow", rows::arrow(&web[400..500]));
    place.write("data/web/c.jsonl", rows::jsonl(&web[500..501]));
    place.write("data/web/d.parquet", rows::parquet(&web[501..], 7));
    let github = shuffled(rows::source("github"), 2);
    place.write("data/github/one.parquet", rows::parquet(&github, 1000));
    let sql = shuffled(rows::source("sql"), 3);
    for (number, part) in sql.chunks(37).enumerate() {
        place.write(&format!("data/sql/{number}.jsonl.zst"), rows::jsonl_zst(part, 1 << 20));
    }
    let books = shuffled(rows::source("books"), 4);
    place.write("data/books/all.jsonl.gz", rows::jsonl_gz(&books, 5_000));
    place.write("data/stem/all.parquet", rows::parquet(&shuffled(rows::source("stem"), 5), 11));
    place.write("data/dialog/all.arrow", rows::arrow(&shuffled(rows::source("dialog"), 6)));
    place.write("data/notes/all.jsonl", rows::jsonl(&shuffled(rows::source("notes"), 7)));
    let text = harness::demo("data");
    let text = ["*.parquet", "*.jsonl.zst", "*.jsonl.gz", "*.arrow", "*.jsonl", "**/*.txt"]
        .into_iter()
        .fold(text, |text, pattern| {
            text.replace(&format!("/{pattern},"), "/*,").replace(&format!("/{pattern}}}"), "/*}")
        });
    place.write("curriculum.yaml", text);
    place.compile("out", &[]).expect(0);
    harness::assert_same_dataset(&out(&reference()), &out(&place));
}

#[test]
fn the_folder_and_the_work_folder_do_not_matter() {
    let place = Place::new();
    let corpora = harness::fixtures().join("corpora");
    place.write("deep/er/curriculum.yaml", harness::demo("corpora"));
    let data = corpora.parent().unwrap().to_str().unwrap().to_owned();
    place
        .run(&["compile", "deep/er/curriculum.yaml", "--data", &data, "--out", "deep/out", "--work", "elsewhere"])
        .expect(0);
    assert!(!place.path("deep/out/.work").exists(), "--work moves the work folder");
    harness::assert_same_dataset(&out(&reference()), &place.path("deep/out"));
}

#[test]
fn what_should_matter_does() {
    let corpora = harness::fixtures().join("corpora");
    let text = harness::demo(corpora.to_str().unwrap());
    let base = reference().digest("out");
    for (from, to) in [
        ("seed: 20240424", "seed: 20240425"),
        ("packing: concat", "packing: best_fit"),
        ("sequence_length: 256", "sequence_length: 128"),
        ("score >= 0.1", "score >= 0.11"),
        ("{github: 80, sql: 20}", "{github: 81, sql: 19}"),
    ] {
        assert!(text.contains(from), "{from}");
        assert_ne!(compiled(&text.replace(from, to), &[]).digest("out"), base, "{to}");
    }
}

/// A document more, wherever it stands, is another dataset; a file more that holds only duplicates is the same.
#[test]
fn rows_are_a_multiset_of_what_is_kept() {
    let place = Place::new();
    copy(&harness::fixtures().join("corpora"), &place.path("data"));
    place.write("data/notes/zzz.txt", fs_err::read(place.path("data/notes/001.txt")).unwrap());
    place.write("curriculum.yaml", harness::demo("data"));
    place.compile("out", &[]).expect(0);
    let base = reference().digest("out");
    assert_eq!(place.digest("out"), base);
    place.write("data/notes/zzz.txt", "Something that no other note says.\n");
    place.compile("other", &[]).expect(0);
    assert_ne!(place.digest("other"), base);
}

fn copy(from: &Path, to: &Path) {
    for file in harness::files(from) {
        let target = to.join(&file);
        fs_err::create_dir_all(target.parent().unwrap()).unwrap();
        fs_err::copy(from.join(&file), target).unwrap();
    }
}
