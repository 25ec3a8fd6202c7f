//! Datasets of every format version that there was, in `fixtures/golden/vN/`: what a released version wrote, all later ones
//! read, to the token.
//!
//! `cargo xtask golden` writes those of the current version, once: what is there is never written again.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use syllabus_reader::format::idx::Idx;
use syllabus_reader::format::manifest::FORMAT_VERSION;
use syllabus_reader::{Dataset, Error, WindowSet};

use crate::harness::{self, Place};
use crate::rows;

fn golden() -> PathBuf {
    harness::fixtures().join("golden")
}

/// All that a dataset says, by its readers: windows, index, ledger, what was removed.
fn describe(dir: &Path) -> Value {
    let dataset = Dataset::open(dir).unwrap();
    let manifest = dataset.manifest();
    let sets = dataset.phases().iter().chain(dataset.validation()).map(set);
    let shards =
        manifest.phases.iter().flat_map(|p| &p.shards).chain(manifest.validation.iter().flat_map(|v| &v.shards));
    let indices = shards.map(|shard| index(&dir.join(&shard.file).with_extension("idx")));
    json!({
        "dataset_digest": manifest.dataset_digest,
        "token_dtype": manifest.token_dtype.to_string(),
        "max_token_id": manifest.max_token_id,
        "sources": manifest.sources.iter().map(|s| json!([s.name, s.documents, s.tokens])).collect::<Vec<_>>(),
        "sets": sets.collect::<Vec<_>>(),
        "indices": indices.collect::<Vec<_>>(),
        "ledger": rows::read(&dir.join("ledger.parquet")),
        "removed": rows::read(&dir.join("removed.parquet")),
    })
}

fn set(set: &WindowSet) -> Value {
    let windows = (0..set.len()).map(|i| {
        let window = set.window(i).unwrap();
        let fragments = window
            .fragments
            .map(|f| json!([f.start, f.length, f.document.to_string(), f.offset, f.epoch]))
            .collect::<Vec<_>>();
        json!({
            "source": window.source, "padding": window.padding, "tokens": window.tokens.to_vec(), "fragments": fragments,
        })
    });
    json!({
        "name": set.name(), "sequence_length": set.sequence_length(), "window_tokens": set.window_tokens(),
        "windows": windows.collect::<Vec<_>>(),
    })
}

fn index(path: &Path) -> Value {
    let bytes = fs_err::read(path).unwrap();
    let index = Idx::parse(path, &bytes).unwrap();
    json!({
        "dtype": index.dtype().to_string(),
        "sequences": index.sequences().map(|(length, place)| json!([length, place])).collect::<Vec<_>>(),
        "documents": index.documents().collect::<Vec<_>>(),
    })
}

/// The folders of all datasets: `vN/NAME`.
fn datasets() -> Vec<PathBuf> {
    let folders = |path: &Path| {
        let mut found: Vec<PathBuf> = fs_err::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    };
    folders(&golden()).iter().flat_map(|version| folders(version)).collect()
}

#[test]
fn every_version_is_read_to_the_token() {
    let current = golden().join(format!("v{FORMAT_VERSION}"));
    assert!(current.is_dir(), "the current format version has no golden datasets: run `cargo xtask golden`");
    let place = Place::new();
    let (mut dtypes, mut tokens) = (Vec::new(), 0);
    for dir in datasets() {
        let expected: Value = serde_json::from_slice(&fs_err::read(dir.join("expected.json")).unwrap()).unwrap();
        let found = describe(&dir);
        for (name, value) in expected.as_object().unwrap() {
            assert!(found[name] == *value, "{}: another `{name}`", dir.display());
        }
        place.run(&["verify", dir.to_str().unwrap()]).expect(0);
        place.run(&["report", dir.to_str().unwrap()]).expect(0);
        place.run(&["inspect", dir.to_str().unwrap(), "--window", "0"]).expect(0);
        dtypes.push(found["token_dtype"].as_str().unwrap().to_owned());
        let sets = found["sets"].as_array().unwrap().iter();
        let windows = sets.flat_map(|set| set["windows"].as_array().unwrap());
        tokens += windows.map(|window| window["tokens"].as_array().unwrap().len()).sum::<usize>();
    }
    dtypes.sort();
    dtypes.dedup();
    assert_eq!(dtypes, ["u16", "u32"]);
    let what = format!("{} datasets of format versions 1 to {FORMAT_VERSION}", datasets().len());
    let outcome = "windows, tokens, index, ledger and removals are those of the day they were written";
    let row = harness::row("golden", &what, &format!("{tokens} tokens: {outcome}"), datasets().len(), 0);
    harness::record("golden", "golden", &[row]);
}

/// They hold what a reader may meet; else they would prove little.
#[test]
fn the_current_ones_hold_every_kind_of_thing() {
    let text =
        datasets().iter().map(|dir| fs_err::read_to_string(dir.join("expected.json")).unwrap()).collect::<String>();
    for outcome in ["emitted", "unused", "exact", "near", "contaminated", "held_out", "near_validation"] {
        assert!(text.contains(&format!("\"{outcome}\"")), "nothing is {outcome}");
    }
    let expected = fs_err::read(golden().join(format!("v{FORMAT_VERSION}/u16/expected.json"))).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let names: Vec<&str> =
        expected["sets"].as_array().unwrap().iter().map(|set| set["name"].as_str().unwrap()).collect();
    assert!(names.len() > 3 && names[..2] == ["joined", "fitted"], "{names:?}");
    let padded = |set: &Value| set["windows"].as_array().unwrap().iter().any(|window| window["padding"] != 0);
    assert!(padded(&expected["sets"][1]) && !padded(&expected["sets"][0]));
}

#[test]
fn a_newer_version_is_refused() {
    let place = Place::new();
    let dir = &datasets()[0];
    for file in harness::files(dir) {
        place.write(&format!("newer/{}", file.display()), fs_err::read(dir.join(&file)).unwrap());
    }
    let manifest = fs_err::read_to_string(place.path("newer/manifest.json")).unwrap();
    let (was, newer) =
        (format!("\"format_version\": {FORMAT_VERSION},"), format!("\"format_version\": {},", FORMAT_VERSION + 1));
    assert!(manifest.contains(&was));
    place.write("newer/manifest.json", manifest.replace(&was, &newer));
    let error = Dataset::open(place.path("newer")).unwrap_err();
    assert!(matches!(error, Error::TooNew { found, .. } if found == FORMAT_VERSION + 1), "{error}");
    for command in ["verify", "report", "inspect"] {
        let mut arguments = vec![command, "newer"];
        arguments.extend(["--window", "0"].iter().filter(|_| command == "inspect"));
        let run = place.run(&arguments);
        assert_ne!(run.code, 0);
        for words in ["manifest.json", &format!("version {}", FORMAT_VERSION + 1), "newer"] {
            assert!(run.last_line().contains(words), "{command}: `{words}` is not in {}", run.stderr);
        }
    }
}

/// The byte-level tokenizer with more pieces than 16 bits count, the end of text among the last.
fn wide() -> Vec<u8> {
    let text = fs_err::read(harness::fixtures().join("tokenizers/byte-level/tokenizer.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_slice(&text).unwrap();
    let end = 70_000;
    let was = tokenizer["model"]["vocab"]["<|endoftext|>"].as_u64().unwrap();
    let first = tokenizer["model"]["vocab"].as_object().unwrap().len() as u64;
    for id in (first..end).chain([was]) {
        tokenizer["model"]["vocab"][format!("piece {id}")] = id.into();
    }
    tokenizer["model"]["vocab"]["<|endoftext|>"] = end.into();
    tokenizer["added_tokens"][0]["id"] = end.into();
    tokenizer.to_string().into_bytes()
}

/// Not a test: `cargo xtask golden` asks for it, to write the datasets of the current version.
#[test]
#[ignore = "writes the golden datasets of the current format version"]
fn write() {
    let folder = golden().join(format!("v{FORMAT_VERSION}"));
    assert!(!folder.exists(), "{} is there: what was written once stays as it is", folder.display());
    for (name, tokenizer, lines) in [
        (
            "u16",
            fs_err::read(harness::fixtures().join("tokenizers/byte-level/tokenizer.json")).unwrap(),
            "sequence_length: 48
phases:
  - {name: joined, tokens: 1500, mix: {dialog: 2, sql: 1}}
  - {name: fitted, tokens: 1k, mix: {dialog: 1, sql: 1}, packing: best_fit, sequence_length: 160, expect: [\"sql <= 60%\"]}
",
        ),
        (
            "u32",
            wide(),
            "sequence_length: 64
label_token: false
phases:
  - {name: only, tokens: 2k, mix: {dialog: 1, sql: 1}}
",
        ),
    ] {
        let place = Place::new();
        place.write("tokenizer.json", tokenizer);
        let mut dialog: Vec<rows::Row> = rows::source("dialog").into_iter().take(60).collect();
        let texts: Vec<String> = dialog.iter().map(|row| rows::text(row, "text").unwrap().to_owned()).collect();
        for (at, text) in texts.iter().enumerate() {
            let again = if at % 10 == 0 { text.clone() } else { format!("{text} and so on") };
            dialog.push(rows::Row::from_iter([("text".to_owned(), Value::from(again))]));
        }
        place.write("dialog.jsonl", rows::jsonl(&dialog));
        place.write("sql.jsonl", rows::jsonl(&rows::source("sql")[..20]));
        place.write("eval.jsonl", rows::jsonl(&dialog[..2]));
        place.write(
            "curriculum.yaml",
            format!(
                "syllabus: 1
name: golden-{name}
seed: 11
tokenizer: {{file: tokenizer.json, eos: \"<|endoftext|>\"}}
on_exhausted: repeat
dedup: {{exact: true, near: {{jaccard: 0.7, shingle: 3, max_removed: 100%}}}}
decontaminate: {{files: [eval.jsonl], ngram: 8, coverage: 50%}}
holdout: {{validation: {{share: 10%, max_tokens_per_source: 400}}}}
sources:
  dialog: {{files: dialog.jsonl}}
  sql:    {{files: sql.jsonl}}
{lines}"
            ),
        );
        place.compile("out", &["--work", "work"]).expect(0);
        let out = place.path("out");
        let to = folder.join(name);
        for file in harness::files(&out).iter().filter(|file| !file.to_str().unwrap().starts_with("report.")) {
            fs_err::create_dir_all(to.join(file).parent().unwrap()).unwrap();
            fs_err::copy(out.join(file), to.join(file)).unwrap();
        }
        fs_err::write(to.join("expected.json"), describe(&to).to_string() + "\n").unwrap();
    }
}
