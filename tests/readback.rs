//! Promise 3 and 8 from outside: what the reader gives back is, token for token, what Hugging Face's tokenizer says of the
//! rows, each document once an epoch.

use std::collections::BTreeMap;
use std::path::Path;

use syllabus_reader::Dataset;

use crate::fixtures::{SOURCES, document, reference};
use crate::harness::{self, Place};
use crate::rows;

type Key = [u8; 16];

/// Documents of each source that the demo keeps, with their ids and the end-of-document token.
fn expected(tokenizer: &str, eos: &str) -> BTreeMap<&'static str, BTreeMap<Key, Vec<u32>>> {
    let tokenizer = reference(tokenizer);
    let eos = tokenizer.token_to_id(eos).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut kept = BTreeMap::new();
    for source in SOURCES {
        let documents: &mut BTreeMap<Key, Vec<u32>> = kept.entry(source).or_default();
        for row in rows::source(source) {
            let taken = match source {
                "web" => row["score"].as_f64().unwrap() >= 0.1,
                "sql" => row["stars"].as_u64().unwrap() >= 3,
                _ => true,
            };
            let text = document(source, &row);
            if taken && !text.trim().is_empty() {
                let key = xxhash_rust::xxh3::xxh3_128(text.as_bytes()).to_be_bytes();
                if seen.insert(key) {
                    let mut ids = tokenizer.encode_fast(text.as_str(), false).unwrap().get_ids().to_vec();
                    ids.push(eos);
                    documents.insert(key, ids);
                }
            }
        }
    }
    kept
}

/// How often each token of a document was read in an epoch.
type Reads = BTreeMap<(String, u32, Key), Vec<u8>>;

/// Holds every fragment of the phases to the expected ids; counts what was read.
fn read(dataset: &Dataset, expected: &BTreeMap<&str, BTreeMap<Key, Vec<u32>>>) -> Reads {
    let pad = dataset.manifest().tokenizer.pad_id;
    let mut reads = Reads::new();
    for at in 0..dataset.len() {
        let window = dataset.window(at).unwrap();
        let tokens = window.tokens.to_vec();
        let mut end = 0;
        for number in 0..window.fragments.len() {
            let fragment = window.fragments.get(number).unwrap();
            assert_eq!(fragment.start, end, "window {at}: fragments tile the window");
            end += fragment.length;
            let key = fragment.document.0;
            let ids =
                expected[window.source].get(&key).unwrap_or_else(|| panic!("window {at}: a document that is not kept"));
            let (start, offset) = (usize::try_from(fragment.start).unwrap(), usize::try_from(fragment.offset).unwrap());
            let length = usize::try_from(fragment.length).unwrap();
            assert_eq!(tokens[start..start + length], ids[offset..offset + length], "window {at}, fragment {number}");
            let count =
                reads.entry((window.source.to_owned(), fragment.epoch, key)).or_insert_with(|| vec![0; ids.len()]);
            for count in &mut count[offset..offset + length] {
                *count += 1;
            }
        }
        assert_eq!(end + window.padding, u32::try_from(tokens.len()).unwrap(), "window {at}");
        assert!(tokens[usize::try_from(end).unwrap()..].iter().all(|&id| id == pad), "window {at}: padding");
    }
    reads
}

/// Keys of the documents held out, all of them whole.
fn held_out(dataset: &Dataset, expected: &BTreeMap<&str, BTreeMap<Key, Vec<u32>>>) -> BTreeMap<String, Vec<Key>> {
    let mut held: BTreeMap<String, Vec<Key>> = BTreeMap::new();
    for set in dataset.validation() {
        let mut found: BTreeMap<(String, Key), Vec<u32>> = BTreeMap::new();
        for at in 0..set.len() {
            let window = set.window(at).unwrap();
            let tokens = window.tokens.to_vec();
            for fragment in (0..window.fragments.len()).filter_map(|number| window.fragments.get(number)) {
                let start = usize::try_from(fragment.start).unwrap();
                let ids = found.entry((window.source.to_owned(), fragment.document.0)).or_default();
                assert_eq!(
                    ids.len(),
                    usize::try_from(fragment.offset).unwrap(),
                    "held-out documents are read in order"
                );
                ids.extend(&tokens[start..start + usize::try_from(fragment.length).unwrap()]);
            }
        }
        for ((source, key), ids) in found {
            assert_eq!(ids, expected[source.as_str()][&key], "a held-out document of {source}");
            held.entry(source).or_default().push(key);
        }
    }
    held
}

fn check(out: &Path, tokenizer: &str, eos: &str, truncates: bool) {
    let dataset = Dataset::open(out).unwrap();
    let expected = expected(tokenizer, eos);
    let reads = read(&dataset, &expected);
    let held = held_out(&dataset, &expected);
    assert!(!held.is_empty() && held.len() <= SOURCES.len());
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    for ((source, epoch, key), counts) in &reads {
        assert!(counts.iter().all(|&count| count <= 1), "{source}: a token is read twice in epoch {epoch}");
        assert!(
            !held.get(source).is_some_and(|keys| keys.contains(key)),
            "{source}: a held-out document is trained on"
        );
        let last = last.entry(source).or_default();
        *last = (*last).max(*epoch);
    }
    assert!(last["notes"] >= 1, "the demo reads notes more than once");
    for (source, last) in last {
        for epoch in 0..last {
            for (key, ids) in &expected[source] {
                let counts = reads.get(&(source.to_owned(), epoch, *key));
                if held.get(source).is_some_and(|keys| keys.contains(key)) {
                    assert!(counts.is_none());
                } else if !truncates {
                    let whole = counts.is_some_and(|counts| counts.iter().all(|&count| count == 1));
                    assert!(
                        whole,
                        "{source}: epoch {epoch} is finished, but a document of {} tokens is missing",
                        ids.len()
                    );
                }
            }
        }
    }
}

#[test]
fn the_demo_reads_back_as_hugging_face_encodes_it() {
    let place = Place::new();
    let text = harness::demo(harness::fixtures().join("corpora").to_str().unwrap());
    place.write("curriculum.yaml", &text);
    place.compile("llama", &[]).expect(0);
    place.run(&["verify", "llama"]).expect(0);
    check(&place.path("llama"), "llama-like", "</s>", false);

    let text = text.replace("llama-like", "byte-level").replace("\"</s>\"", "\"<|endoftext|>\"");
    place.write("curriculum.yaml", &text);
    place.compile("bytes", &[]).expect(0);
    place.run(&["verify", "bytes"]).expect(0);
    check(&place.path("bytes"), "byte-level", "<|endoftext|>", false);
}

#[test]
fn best_fit_packing_reads_back_too() {
    let place = Place::new();
    let text = harness::demo(harness::fixtures().join("corpora").to_str().unwrap());
    place.write("curriculum.yaml", text.replace("packing: concat", "packing: best_fit"));
    place.compile("out", &[]).expect(0);
    place.run(&["verify", "out"]).expect(0);
    check(&place.path("out"), "llama-like", "</s>", true);
}
