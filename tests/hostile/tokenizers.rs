//! Tokenizer files: what cannot be used says why, before anything is encoded.

use serde_json::{Value, json};

use super::{Class, failed};
use crate::harness::{self, Place};

/// The byte-level fixture, changed.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let path = harness::fixtures().join("tokenizers/byte-level/tokenizer.json");
    let mut file: Value = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    change(&mut file);
    file.to_string()
}

/// Compiles with such a tokenizer, which must be refused by name.
fn refused(class: &mut Class, name: &str, text: impl AsRef<[u8]>, words: &[&str]) {
    let place = Place::new();
    place.write("data/a.jsonl", "{\"text\": \"some text to encode\"}\n");
    place.write("tokenizer.json", text);
    let curriculum = harness::small("data/*", "", "300");
    let fixture = harness::fixtures().join("tokenizers/byte-level/tokenizer.json");
    place.write("curriculum.yaml", curriculum.replace(fixture.to_str().unwrap(), "tokenizer.json"));
    let outcome = place.compile("out", &[]);
    let mut all = vec!["tokenizer.json"];
    all.extend(words);
    let silent = place.path("out/manifest.json").exists().then(|| "a dataset came of it".to_owned());
    class.case(name, failed(&outcome, 1, &all).and(silent.map_or(Ok(()), Err)));
}

#[test]
fn files_that_are_none() {
    let mut class = Class::new("tokenizers", "files that are no tokenizer", "refused by name, exit code 1");
    let whole = changed(|_| {});
    refused(&mut class, "nothing", "", &[]);
    refused(&mut class, "an empty object", "{}", &["model"]);
    refused(&mut class, "null", "null", &[]);
    refused(&mut class, "a list", "[]", &[]);
    refused(&mut class, "not JSON", "syllabus: 1", &[]);
    refused(&mut class, "not UTF-8", b"{\"model\": \"\xff\"}", &["UTF-8"]);
    refused(&mut class, "UTF-16", whole.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), &[]);
    refused(&mut class, "a NUL", format!("{whole}\0"), &[]);
    for part in 1..20 {
        let cut = whole.floor_char_boundary(whole.len() * part / 20);
        refused(&mut class, &format!("cut at byte {cut}"), &whole[..cut], &[]);
    }
    refused(&mut class, "nested deep", format!("{{\"model\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)), &[]);
    let deep = format!(
        "{{\"type\": \"Sequence\", \"normalizers\": [{}",
        "{\"type\": \"Sequence\", \"normalizers\": [".repeat(5_000)
    );
    let deep = format!("{deep}{}", "]}".repeat(5_001));
    let nested = changed(|_| {}).replacen("\"normalizer\":null", &format!("\"normalizer\":{deep}"), 1);
    assert!(nested.len() > 100_000, "the fixture has no normalizer");
    refused(&mut class, "a normalizer nested deep", nested, &[]);
    class.end();
}

#[test]
fn vocabularies() {
    let mut class = Class::new("tokenizers", "vocabularies that contradict themselves", "refused by name, exit code 1");
    let eos = "<|endoftext|>";
    refused(
        &mut class,
        "no EOS",
        changed(|file| {
            file["added_tokens"] = json!([]);
            file["model"]["vocab"].as_object_mut().unwrap().remove(eos);
        }),
        &["eos", eos],
    );
    refused(
        &mut class,
        "the EOS with two ids",
        changed(|file| {
            let id = file["added_tokens"][0]["id"].as_u64().unwrap();
            file["model"]["vocab"][eos] = json!(id + 1);
        }),
        &[eos],
    );
    refused(
        &mut class,
        "two pieces with the EOS's id",
        changed(|file| {
            let id =
                file["added_tokens"].as_array().unwrap().iter().find(|token| token["content"] == eos).unwrap()["id"]
                    .clone();
            file["model"]["vocab"]["another piece"] = id.clone();
            file["model"]["vocab"][eos] = id;
        }),
        &[],
    );
    refused(&mut class, "no pieces", changed(|file| file["model"]["vocab"] = json!({})), &[]);
    for id in [
        json!(-1),
        json!(1.5),
        json!(4_294_967_296_u64),
        json!(4_294_967_295_u64),
        json!("7"),
        json!(null),
        json!(1e300),
    ] {
        refused(&mut class, &format!("the id {id}"), changed(|file| file["model"]["vocab"]["zzz"] = id.clone()), &[]);
    }
    refused(
        &mut class,
        "an id of two thousand million",
        changed(|file| file["model"]["vocab"]["zzz"] = json!(2_000_000_000)),
        &[],
    );
    refused(
        &mut class,
        "an added token far behind the vocabulary",
        changed(|file| {
            let token = json!({"id": 2_000_000_000, "content": "<far>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
            file["added_tokens"].as_array_mut().unwrap().push(token);
        }),
        &[],
    );
    refused(
        &mut class,
        "a merge of pieces that are not there",
        changed(|file| {
            file["model"]["merges"].as_array_mut().unwrap().push(json!("no such pieces"));
        }),
        &[],
    );
    refused(
        &mut class,
        "merges that are no pairs",
        changed(|file| file["model"]["merges"] = json!([["a"], ["a", "b", "c"]])),
        &[],
    );
    refused(&mut class, "merges that are numbers", changed(|file| file["model"]["merges"] = json!([1, 2])), &[]);
    refused(&mut class, "dropout", changed(|file| file["model"]["dropout"] = json!(0.1)), &["dropout"]);
    refused(&mut class, "a model of no known kind", changed(|file| file["model"]["type"] = json!("Magic")), &[]);
    refused(
        &mut class,
        "a step of no known kind",
        changed(|file| file["pre_tokenizer"] = json!({"type": "Magic"})),
        &[],
    );
    refused(
        &mut class,
        "an expression that is none",
        changed(|file| {
            file["pre_tokenizer"] =
                json!({"type": "Split", "pattern": {"Regex": "(((("}, "behavior": "Isolated", "invert": false});
        }),
        &[],
    );
    refused(&mut class, "added tokens that are no list", changed(|file| file["added_tokens"] = json!({"a": 1})), &[]);
    refused(
        &mut class,
        "an added token without content",
        changed(|file| file["added_tokens"] = json!([{"id": 1}])),
        &[],
    );
    class.end();
}

/// Holes in the vocabulary are no fault: the ids are what they are, and the size follows the largest.
#[test]
fn holes() {
    let mut class = Class::new("tokenizers", "holes in the vocabulary", "compiled, the size follows the largest id");
    for hole in [1_u64, 1_000, 70_000] {
        let place = Place::new();
        place.write("data/a.jsonl", "{\"text\": \"some text to encode\"}\n");
        let mut size = 0;
        let text = changed(|file| {
            let vocabulary = file["model"]["vocab"].as_object_mut().unwrap();
            size = vocabulary.values().filter_map(Value::as_u64).max().unwrap() + 1 + hole;
            vocabulary.insert("far away".to_owned(), json!(size - 1));
        });
        place.write("tokenizer.json", text);
        let fixture = harness::fixtures().join("tokenizers/byte-level/tokenizer.json");
        let curriculum = harness::small("data/*", "", "300");
        place.write("curriculum.yaml", curriculum.replace(fixture.to_str().unwrap(), "tokenizer.json"));
        let outcome = place.compile("out", &[]);
        let result = if outcome.code == 0 {
            let found = place.manifest("out")["tokenizer"]["vocab_size"].as_u64();
            if found == Some(size) { Ok(()) } else { Err(format!("{found:?} instead of {size}")) }
        } else {
            Err(outcome.stderr)
        };
        class.case(&format!("a hole of {hole}"), result);
    }
    class.end();
}
