//! The real corpus, where there is one (`../shared/realdata`, or `$SYLLABUS_REALDATA`): eight domains in three phases.
//!
//! Every fragment of the documents looked at must be that slice of Hugging Face's ids. Looked at are the documents whose key
//! is a multiple of `$SYLLABUS_REALDATA_EVERY` (16 unless said; 1 for all of them, which takes minutes).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use syllabus_reader::Dataset;

use crate::harness::{self, Place};
use crate::rows;

const SOURCES: [&str; 8] = ["web", "multilingual", "code", "sql", "books", "stem", "maths", "dialog"];

/// Where the corpus is, or nothing, loudly.
fn corpus() -> Option<PathBuf> {
    let folder =
        std::env::var_os("SYLLABUS_REALDATA").map_or_else(|| harness::root().join("../shared/realdata"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder.canonicalize().unwrap());
    }
    eprintln!("NOT RUN: there is no real corpus at {}", folder.display());
    None
}

fn key(text: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(text.as_bytes())
}

/// The texts looked at, by key.
fn texts(corpus: &std::path::Path) -> BTreeMap<u128, String> {
    let every: u128 = std::env::var("SYLLABUS_REALDATA_EVERY").map_or(16, |every| every.parse().unwrap());
    let mut texts = BTreeMap::new();
    for source in SOURCES {
        let folder = corpus.join(source);
        for file in harness::files(&folder) {
            for row in rows::read(&folder.join(file)) {
                let text = rows::text(&row, "text").unwrap();
                if key(text).is_multiple_of(every) {
                    texts.insert(key(text), text.to_owned());
                }
            }
        }
    }
    texts
}

/// Fragments of one document: start in its tokens, and the tokens.
type Fragments = BTreeMap<u128, Vec<(usize, Vec<u32>)>>;

fn fragments(dataset: &Dataset, texts: &BTreeMap<u128, String>) -> Fragments {
    let mut found = Fragments::new();
    for set in dataset.phases().iter().chain(dataset.validation()) {
        for at in 0..set.len() {
            let window = set.window(at).unwrap();
            let mut tokens = None;
            for fragment in window.fragments {
                let document = u128::from(fragment.document);
                if texts.contains_key(&document) {
                    let tokens = tokens.get_or_insert_with(|| window.tokens.to_vec());
                    let start = usize::try_from(fragment.start).unwrap();
                    let slice = &tokens[start..start + usize::try_from(fragment.length).unwrap()];
                    let offset = usize::try_from(fragment.offset).unwrap();
                    found.entry(document).or_default().push((offset, slice.to_vec()));
                }
            }
        }
    }
    found
}

/// Compiles, verifies, reads back; the number of documents and tokens compared.
fn compile_and_compare(tokenizer: &str, eos: &str) {
    let Some(corpus) = corpus() else { return };
    let place = Place::new();
    let text = fs_err::read_to_string(harness::root().join("curricula/realdata.yaml")).unwrap();
    let text = text
        .replace("tokenizers/phi-3/", &format!("tokenizers/{tokenizer}/"))
        .replace("\"</s>\"", &format!("\"{eos}\""));
    place.write("curriculum.yaml", text);
    place.compile("out", &["--data", corpus.to_str().unwrap()]).expect(0);
    place.run(&["verify", "out"]).expect(0);

    let texts = texts(&corpus);
    let dataset = Dataset::open(place.path("out")).unwrap();
    let found: Vec<_> = fragments(&dataset, &texts).into_iter().collect();
    let mut reference =
        tokenizers::Tokenizer::from_file(corpus.join("tokenizers").join(tokenizer).join("tokenizer.json")).unwrap();
    reference.set_encode_special_tokens(true);
    let eos = reference.token_to_id(eos).unwrap();
    let next = AtomicUsize::new(0);
    let compared = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((document, fragments)) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut ids = reference.encode_fast(texts[document].as_str(), false).unwrap().get_ids().to_vec();
                    ids.push(eos);
                    for (offset, tokens) in fragments {
                        assert_eq!(
                            ids.get(*offset..offset + tokens.len()),
                            Some(&tokens[..]),
                            "document {document:032x}"
                        );
                        compared.fetch_add(tokens.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(found.len() > 1000, "only {} documents were looked at", found.len());
    println!("{tokenizer}: {} documents, {} tokens compared", found.len(), compared.into_inner());
}

#[test]
fn the_real_corpus_with_a_sentencepiece_tokenizer() {
    compile_and_compare("phi-3", "</s>");
}

#[test]
fn the_real_corpus_with_a_byte_level_tokenizer() {
    compile_and_compare("qwen3", "<|endoftext|>");
}
