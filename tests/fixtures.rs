//! The fixtures are what they are said to be.

use crate::harness;
use crate::rows;

/// Sources in the order in which the demo declares them.
pub const SOURCES: [&str; 7] = ["web", "github", "sql", "books", "stem", "dialog", "notes"];

/// A row's document as the demo's curriculum puts it together.
pub fn document(source: &str, row: &rows::Row) -> String {
    let column = |name| rows::text(row, name).unwrap();
    match source {
        "github" => column("content").to_owned(),
        "books" => format!("{}\n\n{}", column("title"), column("body")),
        _ => column("text").to_owned(),
    }
}

/// Hugging Face's tokenizer, with special strings as text: what every id is held to.
pub fn reference(name: &str) -> tokenizers::Tokenizer {
    let path = harness::fixtures().join("tokenizers").join(name).join("tokenizer.json");
    let mut tokenizer = tokenizers::Tokenizer::from_file(path).unwrap();
    tokenizer.set_encode_special_tokens(true);
    tokenizer
}

#[test]
fn every_format_holds_the_rows_that_were_planted() {
    let planted: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(harness::fixtures().join("planted.json")).unwrap()).unwrap();
    let found: Vec<(String, u64)> =
        SOURCES.iter().map(|name| ((*name).to_owned(), rows::source(name).len() as u64)).collect();
    let said: Vec<(String, u64)> = planted
        .as_array()
        .unwrap()
        .iter()
        .map(|source| (source["source"].as_str().unwrap().to_owned(), source["rows"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, said);
}

#[test]
fn both_tokenizers_load_and_spell_every_document() {
    for name in ["llama-like", "byte-level"] {
        let tokenizer = reference(name);
        assert_eq!(tokenizer.get_vocab_size(true), 2048, "{name}");
        for source in SOURCES {
            let (mut bytes, mut tokens) = (0, 0);
            for row in rows::source(source) {
                let text = document(source, &row);
                let ids = tokenizer.encode_fast(text.as_str(), false).unwrap();
                assert!(ids.get_ids().iter().all(|&id| id < 2048), "{name}");
                // SentencePiece writes a space as U+2581, so that character itself comes back as a space.
                if name == "byte-level" || !text.contains('\u{2581}') {
                    assert_eq!(tokenizer.decode(ids.get_ids(), false).unwrap(), text, "{name}, {source}");
                }
                bytes += text.len();
                tokens += ids.get_ids().len();
            }
            println!("{name} {source}: {bytes} bytes, {tokens} tokens");
            assert!(
                bytes > 2 * tokens || source == "notes",
                "{name} spells {source} with {tokens} tokens for {bytes} bytes"
            );
        }
    }
}
