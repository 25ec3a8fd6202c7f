//! A worker that panics ends the ingest with an error, and keeps nobody waiting.

use std::time::Duration;

use num_traits::One;
use syllabus_reader::format::TokenDtype;

use super::*;
use crate::curriculum;
use crate::store::journal::Identity;
use crate::tokenize::Encoder;

/// Encodes every byte as its number, and panics at an exclamation mark.
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
    fn encode(&mut self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        assert!(!text.contains('!'), "an exclamation mark");
        // Others are to wait for the room meanwhile.
        std::thread::sleep(Duration::from_millis(5));
        ids.extend(text.bytes().map(u32::from));
        Ok(())
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
        let text = "syllabus: 1\nname: brittle\ntokenizer: {file: tokenizer.json, eos: \"</s>\"}\nsequence_length: 16\nsources:\n  \
                    s: {files: \"*.jsonl\"}\nphases:\n  - {name: only, tokens: 1k, mix: {s: 1}}\n";
        fs_err::write(place.path().join("curriculum.yaml"), text).unwrap();
        let loaded = curriculum::load(&place.path().join("curriculum.yaml"), false).unwrap();
        let resolved = loaded.resolve(None).unwrap();
        let identity =
            Identity { sources: [("s".to_owned(), Default::default())].into_iter().collect(), ..Identity::default() };
        let (store, _) = Store::open(&place.path().join("work"), TokenDtype::U16, &identity).unwrap();
        let options = Options {
            threads: 4,
            limits: Limits { batch_bytes: 1_000, small_piece_bytes: 1_000, ..Limits::default() },
            segment_bytes: 1 << 20,
            document_bytes: 20_000,
            benchmarks: None,
            shingle: None,
            thin: Some(BigRational::one()),
        };
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
