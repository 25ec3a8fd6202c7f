//! A worker that panics ends the ingest with an error, and keeps nobody waiting; documents that come in parts are stored whole.

use std::path::Path;
use std::time::Duration;

use num_traits::One;
use syllabus_reader::format::TokenDtype;

use super::*;
use crate::curriculum;
use crate::store::fates::Fate;
use crate::store::journal::Identity;
use crate::tokenize::{Encoder, Take};

/// Encodes every byte as its number, a few at a time, and panics at an exclamation mark.
struct Brittle;

impl Tokenizer for Brittle {
    fn encoder(&self) -> Box<dyn Encoder + Send + '_> {
        Box::new(Brittle)
    }

    fn decode(&self, _: &[u32]) -> Result<String> {
        Err(Error::Failed("encodes only".to_owned()))
    }

    fn lossless(&self) -> bool {
        true
    }

    fn backend(&self) -> &'static str {
        "brittle"
    }

    fn encoder_bytes(&self) -> u64 {
        0
    }
}

impl Encoder for Brittle {
    fn encode_in_parts(&mut self, text: &str, ids: &mut Vec<u32>, take: &mut Take<'_>) -> Result<()> {
        assert!(!text.contains('!'), "an exclamation mark");
        if text.len() > 1000 {
            // Others are to wait for the room meanwhile.
            std::thread::sleep(Duration::from_millis(5));
        }
        for part in text.as_bytes().chunks(7) {
            ids.extend(part.iter().copied().map(u32::from));
            take(ids)?;
        }
        take(ids)
    }
}

fn contract() -> Contract {
    Contract {
        name: "brittle".to_owned(),
        digest: [0; 32],
        vocab_size: 256,
        dtype: TokenDtype::U16,
        bos_id: None,
        eos_id: Some(0),
        pad_id: 0,
        backend: "brittle".to_owned(),
    }
}

/// A curriculum of all `*.jsonl` in `place`, and a store beside them.
fn opened(place: &Path) -> (Resolved, Store) {
    let text = "syllabus: 1\nname: brittle\ntokenizer: {file: tokenizer.json, eos: \"</s>\"}\nsequence_length: 16\nsources:\n  \
                s: {files: \"*.jsonl\"}\nphases:\n  - {name: only, tokens: 1k, mix: {s: 1}}\n";
    fs_err::write(place.join("curriculum.yaml"), text).unwrap();
    let loaded = curriculum::load(&place.join("curriculum.yaml"), false).unwrap();
    let resolved = loaded.resolve(None).unwrap();
    let identity =
        Identity { sources: [("s".to_owned(), Default::default())].into_iter().collect(), ..Identity::default() };
    let (store, _) = Store::open(&place.join("work"), TokenDtype::U16, &identity).unwrap();
    (resolved, store)
}

fn options(segment_bytes: usize) -> Options {
    Options {
        threads: 4,
        limits: Limits { batch_bytes: 1_000, small_piece_bytes: 1_000, ..Limits::default() },
        segment_bytes,
        document_bytes: 20_000,
        benchmarks: None,
        shingle: None,
        thin: Some(BigRational::one()),
    }
}

/// However often segments are committed while a document comes in parts, all are stored whole, and counted once.
#[test]
fn a_segment_may_end_within_a_document_that_comes_in_parts() {
    let place = tempfile::tempdir().unwrap();
    fs_err::write(place.path().join("tokenizer.json"), "{}").unwrap();
    let texts: Vec<String> = (0..300).map(|row| format!("{row} {}", "y".repeat(row * row % 241))).collect();
    let lines: String = texts.iter().map(|text| format!("{{\"text\": \"{text}\"}}\n")).collect();
    fs_err::write(place.path().join("a.jsonl"), &lines).unwrap();
    fs_err::write(place.path().join("b.jsonl"), lines.replace("\": \"", "\": \"again ")).unwrap();
    let mut all = Vec::new();
    for segment_bytes in [1 << 20, 300] {
        let _gone = fs_err::remove_dir_all(place.path().join("work"));
        let (resolved, store) = opened(place.path());
        let watch = Watch::default();
        ingest(&resolved, Some(&Brittle), &contract(), &store, &options(segment_bytes), None, &watch, &|_| {}).unwrap();
        let source = store.source("s").unwrap();
        let entries = source.entries(0, u128::MAX, Fate::Survives).unwrap();
        let mut found: Vec<(u128, Vec<u8>)> = Vec::new();
        source
            .walk(|segment, _, row, _| {
                let mut tokens = Vec::new();
                source.segments[segment].row_tokens(row, &mut tokens)?;
                found.push((row.key, tokens));
                Ok(())
            })
            .unwrap();
        found.sort();
        assert_eq!(entries.len(), found.len());
        let counts = store.counts("s");
        assert_eq!((counts.read, counts.tokenized.documents), (600, 600));
        assert_eq!(counts.tokenized.tokens, counts.tokenized.bytes + 600, "a token a byte, and the end of each");
        let rows: u64 = store.extents("s").iter().map(|extent| extent.rows).sum();
        assert_eq!(rows, 600);
        all.push((source.segments.len(), found));
    }
    let [(few, whole), (many, cut)] = &all[..] else { panic!() };
    assert!(*few <= 4 && *many > 200, "{few} and {many} segments");
    assert!(whole == cut);
    let of = |text: &str| -> Vec<u8> { text.bytes().map(u16::from).chain([0]).flat_map(u16::to_le_bytes).collect() };
    let mut expected: Vec<Vec<u8>> = texts.iter().flat_map(|text| [of(text), of(&format!("again {text}"))]).collect();
    expected.sort();
    let mut tokens: Vec<Vec<u8>> = whole.iter().map(|(_, tokens)| tokens.clone()).collect();
    tokens.sort();
    assert!(tokens == expected);
}

#[test]
fn a_worker_that_panics_is_an_error() {
    // Each row is a large piece, so that one worker at a time has the room, and its reader keeps it between batches.
    let rows = |last: &str| {
        (0..6).map(|row| format!("{{\"text\": \"{row} {}\"}}\n", "x".repeat(5_000))).collect::<String>() + last
    };
    for (bad, last) in [(None, ""), (Some(3), "{\"text\": \"!\"}\n{\"text\": \"more\"}\n")] {
        let place = tempfile::tempdir().unwrap();
        fs_err::write(place.path().join("tokenizer.json"), "{}").unwrap();
        for file in 0..8 {
            let text = rows(if bad == Some(file) { last } else { "" });
            fs_err::write(place.path().join(format!("{file}.jsonl")), text).unwrap();
        }
        let (resolved, store) = opened(place.path());
        let options = options(1 << 20);
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _place = place;
            let watch = Watch::default();
            let ended = ingest(&resolved, Some(&Brittle), &contract(), &store, &options, None, &watch, &|_| {});
            said.send(ended.map_err(|error| error.to_string())).unwrap();
        });
        let ended = heard.recv_timeout(Duration::from_secs(60)).expect("it ends");
        match bad {
            None => assert_eq!(ended, Ok(Vec::new())),
            Some(_) => {
                let error = ended.unwrap_err();
                assert!(error.contains("an exclamation mark") && error.contains("defect"), "{error}");
            }
        }
    }
}
