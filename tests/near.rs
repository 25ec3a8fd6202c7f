//! Near duplicates and benchmark leaks in a whole compile: what goes depends on nothing but the rows, and the commands say so.

use crate::harness::{self, Place};
use crate::rows::{self, Row};

/// Rows of a source of the fixtures, and after each third one a twin with a few words changed.
fn twins(source: &str) -> Vec<Row> {
    let mut out = Vec::new();
    for (number, row) in rows::source(source).into_iter().enumerate() {
        let text = rows::text(&row, "text").unwrap().to_owned();
        if number.is_multiple_of(3) {
            let words = text.split(' ').enumerate();
            let other: Vec<String> =
                words.map(|(at, word)| if at % 40 == 7 { format!("x{at}") } else { word.to_owned() }).collect();
            let mut twin = row.clone();
            twin.insert("text".to_owned(), other.join(" ").into());
            out.push(twin);
        }
        out.push(row);
    }
    out
}

const SOURCES: [&str; 3] = ["web", "stem", "dialog"];

fn curriculum(more: &str) -> String {
    let tokenizer = harness::fixtures().join("tokenizers/llama-like/tokenizer.json");
    let sources: String =
        SOURCES.iter().map(|name| format!("  {name}: {{files: \"data/{name}/*\", group: all}}\n")).collect();
    format!(
        "syllabus: 1\nname: near\ntokenizer: {{file: {}, bos: none, eos: \"</s>\"}}\nsequence_length: 128\non_exhausted: repeat\n\
         dedup: {{near: {{jaccard: 60%, shingle: 2, scope: all{more}}}}}\n\
         decontaminate: {{files: eval/*.jsonl, ngram: 8, coverage: 50%}}\n\
         holdout: {{validation: {{share: 10%}}}}\n\
         sources:\n{sources}phases:\n  - {{name: only, tokens: 60k, mix: {{all: {{share: 100%, by: size}}}}}}\n",
        tokenizer.display()
    )
}

/// A place with the data in so many files each, in an order that depends on `salt`.
fn place(files: usize, salt: u64, more: &str) -> Place {
    let place = Place::new();
    for source in SOURCES {
        let mut all = twins(source);
        if salt > 0 {
            all.sort_by_key(|row| {
                xxhash_rust::xxh3::xxh3_64_with_seed(rows::text(row, "text").unwrap().as_bytes(), salt)
            });
        }
        for (number, part) in all.chunks(all.len().div_ceil(files)).enumerate() {
            let name = format!("data/{source}/{}", if salt > 1 { 99 - number } else { number });
            if number.is_multiple_of(2) {
                place.write(&format!("{name}.jsonl"), rows::jsonl(part));
            } else {
                place.write(&format!("{name}.parquet"), rows::parquet(part, 13));
            }
        }
    }
    // What every seventh document of the web begins with is a benchmark's item.
    let items: String = rows::source("web")
        .iter()
        .step_by(7)
        .enumerate()
        .map(|(number, row)| {
            let words: Vec<&str> = rows::text(row, "text").unwrap().split_whitespace().skip(3).take(15).collect();
            serde_json::json!({"id": number, "text": words.join(", ").to_uppercase()}).to_string() + "\n"
        })
        .collect();
    place.write("eval/items.jsonl", items);
    place.write("curriculum.yaml", curriculum(more));
    place
}

#[test]
fn what_goes_depends_on_nothing_but_the_rows() {
    let one = place(1, 0, "");
    one.compile("out", &["--threads", "1"]).expect(0);
    let count = |reason: &str| {
        let removed = rows::read(&one.path("out/removed.parquet"));
        removed.iter().filter(|row| rows::text(row, "reason") == Some(reason)).count()
    };
    assert!(count("near") > 50 && count("near_validation") > 5 && count("contaminated") > 20);
    // Memory decides how many partitions, runs and chunks there are.
    one.compile("small", &["--threads", "1", "--memory", "200MiB"]).expect(0);
    harness::assert_same_dataset(&one.path("out"), &one.path("small"));
    for (files, salt, more) in [
        (1, 0, ["--threads", "4", "--memory", "8GiB"]),
        (5, 1, ["--threads", "2", "--segment-bytes", "20KiB"]),
        (9, 2, ["--threads", "3", "--segment-bytes", "1KiB"]),
    ] {
        let other = place(files, salt, "");
        other.compile("out", &more).expect(0);
        harness::assert_same_dataset(&one.path("out"), &other.path("out"));
    }
}

#[test]
fn plan_and_report_speak_of_near_duplicates() {
    let place = place(1, 0, ", bands: 20, rows: 5");
    let plan = place.run(&["plan", "curriculum.yaml"]).expect(0).stdout;
    for part in ["20 bands of 5 rows", "80.19 % at 0.60", "97.48 % at 0.70", "99.96 % at 0.80", "search"] {
        assert!(plan.contains(part), "`{part}` is not in:\n{plan}");
    }
    let near = &place.run(&["plan", "curriculum.yaml", "--json"]).expect(0).json()["prediction"]["near"];
    assert_eq!((near["bands"].as_u64(), near["curve"].as_array().unwrap().len()), (Some(20), 4));
    place.compile("out", &[]).expect(0);
    place.run(&["verify", "out"]).expect(0);
    let text = place.run(&["report", "out"]).expect(0).stdout;
    assert!(text.contains("natural mix") && text.contains("near validation") && !text.contains("BALANCE"), "{text}");
}

/// A source that loses too much stops the compile; `dedup` shows what goes before it says so, too.
#[test]
fn a_source_that_loses_too_much_is_refused_and_can_be_looked_at() {
    let place = place(1, 0, ", max_removed: {web: 1%}");
    let outcome = place.compile("out", &[]).expect(3).says("max_removed").says("syllabus dedup");
    assert!(outcome.last_line().contains("source `web`"), "{}", outcome.last_line());
    let shown = place.run(&["dedup", "curriculum.yaml", "--progress", "none", "--examples", "2"]).expect(3);
    for part in ["near held out", "goes, ", "similar to", "| stays", "of the item's n-grams"] {
        assert!(shown.stdout.contains(part), "`{part}` is not in:\n{}", shown.stdout);
    }
    place.write("curriculum.yaml", curriculum(", max_removed: {web: 100%}"));
    place.run(&["dedup", "curriculum.yaml", "--progress", "none"]).expect(0);
}
