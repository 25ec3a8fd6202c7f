//! Ids against Hugging Face's library: random tokenizers of every kind served here, and the real ones on odd texts.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::decode::Decoder;
use super::super::file::TokenizerFile;
use super::super::opened::Opened;
use super::super::probe::compare_both;
use super::super::reference::Reference;
use super::super::tests::{realdata, spec};
use super::super::{Tokenizer as _, load};
use super::*;
use crate::curriculum::checked::Bos;

/// Letters of the random vocabularies; `z`, `ж` and `🦀` have no piece.
const KNOWN: [&str; 9] = ["▁", "a", "b", "c", "é", "語", "😀", ".", "\n"];

/// A small generator of numbers, so that a tokenizer is a function of its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// A random tokenizer of one of the kinds, with or without byte fallback, added tokens, `ignore_merges`.
fn random(seed: u64) -> Value {
    let mut dice = Dice(seed);
    let mut pieces: Vec<String> = vec!["<unk>".into(), "<s>".into()];
    let bytes = dice.roll(2) == 0;
    if bytes {
        pieces.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    }
    let first = pieces.len();
    pieces.extend(KNOWN.iter().map(|letter| (*letter).to_owned()));
    let mut merges: Vec<Value> = Vec::new();
    let lines = dice.roll(2) == 0;
    for _ in 0..dice.roll(60) {
        let (left, right) = (first + dice.roll(pieces.len() - first), first + dice.roll(pieces.len() - first));
        let (left, right) = (pieces[left].clone(), pieces[right].clone());
        if left.chars().count() + right.chars().count() > 7 {
            continue;
        }
        merges.push(if lines { json!(format!("{left} {right}")) } else { json!([left, right]) });
        let result = left + &right;
        if !pieces.contains(&result) {
            pieces.push(result);
        }
    }
    let prepend = ["always", "first", "never"][dice.roll(3)];
    let (normalizer, pre_tokenizer) = match dice.roll(6) {
        0 => (
            json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}),
            Value::Null,
        ),
        1 => (
            json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
            json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false}),
        ),
        kind => (
            Value::Null,
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": prepend, "split": kind == 2}),
        ),
    };
    let split = pre_tokenizer["split"] == true;
    let mut added = vec![
        json!({"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}),
        json!({"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": dice.roll(2) == 0, "special": true}),
    ];
    for (place, content) in ["ab", "a c", "s>b", "▁▁"].iter().take(dice.roll(5)).enumerate() {
        added.push(
            json!({"id": pieces.len() + place, "content": content, "single_word": false, "lstrip": dice.roll(3) == 0,
            "rstrip": dice.roll(3) == 0, "normalized": dice.roll(2) == 0, "special": dice.roll(4) == 0}),
        );
    }
    // An added token that is a piece already keeps the piece's id, and the ones after it move up.
    let mut next = pieces.len();
    for token in added.iter_mut().skip(2) {
        let place = pieces.iter().position(|piece| token["content"] == **piece);
        token["id"] = json!(place.unwrap_or(next));
        next += usize::from(place.is_none());
    }
    let vocab: serde_json::Map<String, Value> =
        pieces.iter().enumerate().map(|(id, piece)| (piece.clone(), json!(id))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": dice.roll(2) == 0, "byte_fallback": bytes,
            "ignore_merges": !split && dice.roll(4) == 0, "vocab": vocab, "merges": merges}
    })
}

fn build(file: &TokenizerFile, listed: &[String]) -> Result<SentencePiece, String> {
    let opened = Opened::of(file, listed).unwrap();
    let decoder = Decoder::build(&opened).unwrap();
    SentencePiece::load(&opened, decoder)
}

/// Texts of letters known and unknown, spaces, `▁`, added tokens and what looks like them.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c", "é", "語", "😀", ".", "\n", " ", "▁"]),
        1 => prop::sample::select(vec!["z", "ж", "🦀", "\0", "\u{301}", "  ", "▁▁", "\t"]),
        1 => prop::sample::select(vec!["<s>", "<unk>", "ab", "a c", "s>b", "<s>b", " <s>", "<0x41>", "aaaaaaaaaaaaaaaa", "                  "]),
    ];
    // Long ones are laid into the buffer in several pieces.
    prop_oneof![4 => 0..60_usize, 1 => 60..700_usize]
        .prop_flat_map(move |length| prop::collection::vec(part.clone(), length))
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_tokenizers_give_the_references_ids(seed in any::<u64>(), texts in prop::collection::vec(text(), 1..6), listed in any::<bool>()) {
        let file = TokenizerFile::from_text(&random(seed).to_string());
        let listed = if listed { vec!["<s>".to_owned()] } else { Vec::new() };
        let ours = build(&file, &listed);
        prop_assert!(ours.is_ok(), "{:?}", ours.err());
        let ours = ours.unwrap();
        let reference = Reference::load(&Opened::of(&file, &listed).unwrap(), None).unwrap();
        let mut encoder = ours.encoder();
        for text in &texts {
            // Twice: from the merger and from the cache.
            for _ in 0..2 {
                let difference = compare_both(&mut *encoder, &reference, text).unwrap();
                prop_assert_eq!(difference, None, "{:?} with {}", text, random(seed));
            }
        }
    }
}

#[test]
fn random_texts_of_real_pieces_give_the_references_ids() {
    let Some(folder) = realdata() else { return };
    for name in ["phi-3", "mistral-v0.1"] {
        let path = folder.join("tokenizers").join(name).join("tokenizer.json");
        let file = TokenizerFile::read(&path).unwrap();
        let opened = Opened::of(&file, &[]).unwrap();
        let pieces: Vec<String> =
            opened.vocabulary.iter().map(|(_, piece)| piece.replace(super::super::decode::META, " ")).collect();
        let ours = build(&file, &[]).unwrap();
        let reference = Reference::load(&opened, None).unwrap();
        let mut encoder = ours.encoder();
        let mut dice = Dice(7);
        for round in 0..300 {
            let mut text = String::new();
            for _ in 0..1 + dice.roll(120) {
                match dice.roll(12) {
                    0 => text.push_str(
                        ["▁", " ", "  ", "\n", "\0", "é\u{301}", "🦀", "</s>", "<s>", "\u{3000}", "ﷺ"][dice.roll(11)],
                    ),
                    1 => text.extend(char::from_u32(u32::try_from(dice.roll(0x3000)).unwrap())),
                    // One region of the vocabulary a round, so that long ASCII, Cyrillic and Chinese words arise too.
                    2..=6 => text.push_str(pieces[(round * 107 + dice.roll(60)) % pieces.len()].trim_start()),
                    _ => text.push_str(&pieces[dice.roll(pieces.len())]),
                }
            }
            assert_eq!(compare_both(&mut *encoder, &reference, &text).unwrap(), None, "{name}: {text:?}");
        }
        // Words too long for the cache, which the heap merges.
        for word in ["a", "ab", "ing", "the", "ооо", "語", "▁", "=-", "é", "\u{301}", "<s>", "aaaaab"] {
            for times in [100, 257, 5000] {
                let text = word.repeat(times);
                assert_eq!(
                    compare_both(&mut *encoder, &reference, &text).unwrap(),
                    None,
                    "{name}: {word:?} {times} times"
                );
            }
        }
    }
}

#[test]
fn a_full_cache_is_emptied_and_goes_on() {
    let Some(folder) = realdata() else { return };
    let path = folder.join("tokenizers/phi-3/tokenizer.json");
    let loaded = load(&path, &spec(Bos::None, None, &[])).unwrap();
    assert_eq!(loaded.contract.backend, BACKEND);
    let (mut kept, mut fresh) = (loaded.tokenizer.encoder(), Vec::new());
    let mut dice = Dice(3);
    for _ in 0..300 {
        // Some 12 KB a text, nearly all segments new and longer than the first table takes: more than the pools hold.
        let text: String = (0..12_000)
            .map(|place| if place % 40 == 39 { ' ' } else { char::from(b'a' + u8::try_from(dice.roll(26)).unwrap()) })
            .collect();
        let mut ids = Vec::new();
        kept.encode(&text, &mut ids).unwrap();
        fresh.push((text, ids));
    }
    for (text, ids) in fresh.iter().step_by(37) {
        let mut again = Vec::new();
        loaded.tokenizer.encoder().encode(text, &mut again).unwrap();
        assert_eq!(again, *ids);
        assert_eq!(loaded.tokenizer.decode(ids).unwrap(), *text);
    }
}

#[test]
fn what_the_rule_does_not_cover_is_refused() {
    let base = random(11);
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut changed = base.clone();
        change(&mut changed);
        build(&TokenizerFile::from_text(&changed.to_string()), &[]).unwrap_err()
    };
    assert!(build(&TokenizerFile::from_text(&base.to_string()), &[]).is_ok());
    assert!(refused(&|json| json["model"]["dropout"] = json!(0.1)).contains("at random"));
    assert!(refused(&|json| json["model"]["continuing_subword_prefix"] = json!("##")).contains("prefix"));
    assert!(refused(&|json| json["normalizer"] = json!({"type": "NFC"})).contains("normalizer"));
    assert!(refused(&|json| json["decoder"] = Value::Null).contains("decoder"));
    let unknowable = refused(&|json| {
        json["model"]["byte_fallback"] = json!(false);
        json["model"]["unk_token"] = Value::Null;
    });
    assert!(unknowable.contains("yield no symbol"), "{unknowable}");
    let incomplete = refused(&|json| {
        json["model"]["byte_fallback"] = json!(true);
        json["model"]["vocab"].as_object_mut().unwrap().remove("<0xE2>");
    });
    assert!(incomplete.contains("<0xE2> is missing") || incomplete.contains("<0x00> is missing"), "{incomplete}");
    let shared = refused(&|json| json["model"]["vocab"]["b"] = json["model"]["vocab"]["a"].clone());
    assert!(shared.contains("share id"), "{shared}");
    let whole = refused(&|json| {
        json["added_tokens"].as_array_mut().unwrap().push(json!({"id": 999, "content": "word", "single_word": true}));
    });
    assert!(whole.contains("single words"), "{whole}");
    let unknown = refused(&|json| {
        json["model"]["byte_fallback"] = json!(false);
        json["model"]["vocab"]["<unk>a"] = json!(998);
        json["model"]["merges"].as_array_mut().unwrap().push(json!(["<unk>", "a"]));
    });
    assert!(unknown.contains("it merges \"<unk>\""), "{unknown}");
}
