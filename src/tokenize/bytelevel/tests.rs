//! Ids against Hugging Face's library: random tokenizers of every kind served here, and the real ones on odd texts.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::file::TokenizerFile;
use super::super::opened::Opened;
use super::super::probe::compare_both;
use super::super::reference::Reference;
use super::super::tests::realdata;
use super::scan::{CL100K, GPT2, QWEN};
use super::*;

/// A small generator of numbers, so that a tokenizer is a function of its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// A random tokenizer of one of the kinds, with or without NFC, added tokens, `ignore_merges`.
fn random(seed: u64) -> Value {
    let mut dice = Dice(seed);
    let mut pieces: Vec<String> = (0..=255).map(|byte| letter_of(byte).to_string()).collect();
    // Bytes of common letters, so that merges have something to do.
    let common: Vec<String> = "ab 's\né語!1".bytes().map(|byte| letter_of(byte).to_string()).collect();
    let mut operands = common.clone();
    let mut merges: Vec<Value> = Vec::new();
    let lines = dice.roll(2) == 0;
    // Some make whole characters: at once, as trained ones do, or after pairs that take their bytes.
    let mut characters: Vec<(usize, String, String)> = Vec::new();
    if dice.roll(3) > 0 {
        let soon = if dice.roll(2) == 0 { 1 } else { 60 };
        let bytes = |range: std::ops::Range<usize>| common[range].concat();
        characters.push((dice.roll(soon), bytes(6..7), bytes(7..8)));
        let half = dice.roll(soon);
        let whole = half + dice.roll(soon);
        if dice.roll(2) == 0 {
            characters.extend([(half, bytes(8..9), bytes(9..10)), (whole, bytes(8..10), bytes(10..11))]);
        } else {
            characters.extend([(half, bytes(9..10), bytes(10..11)), (whole, bytes(8..9), bytes(9..11))]);
        }
    }
    for turn in 0..dice.roll(80) {
        let mut joins: Vec<(String, String)> =
            characters.extract_if(.., |of| of.0 <= turn).map(|(_, left, right)| (left, right)).collect();
        let mut operand = || operands[dice.roll(operands.len())].clone();
        joins.push((operand(), operand()));
        for (left, right) in joins {
            merges.push(if lines { json!(format!("{left} {right}")) } else { json!([left, right]) });
            let result = left + &right;
            if !pieces.contains(&result) {
                pieces.push(result.clone());
            }
            operands.push(result);
        }
    }
    // Some have merges before those that make their operands.
    if dice.roll(3) == 0 {
        for _ in 0..merges.len() {
            let (one, other) = (dice.roll(merges.len()), dice.roll(merges.len()));
            merges.swap(one, other);
        }
    }
    let whole = dice.roll(3) == 0;
    if whole {
        // Words that no merge makes.
        pieces.extend(["abba", "Ġba", "'s"].map(str::to_owned).into_iter().filter(|word| !operands.contains(word)));
        pieces.dedup();
    }
    let split = |regex: &str, removed: bool| {
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": if removed { "Removed" } else { "Isolated" }, "invert": removed},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})
    };
    let pre_tokenizer = match dice.roll(5) {
        0 => json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}),
        1 => split(GPT2, dice.roll(2) == 0),
        2 => split(QWEN, dice.roll(2) == 0),
        _ => split(CL100K, dice.roll(2) == 0),
    };
    let mut added = Vec::new();
    for (place, content) in ["<s>", "ab", "  ", "s>b", "e\u{301}"].iter().take(dice.roll(6)).enumerate() {
        // The library itself dies of a token of blanks that strips the blanks which the one before has stripped.
        let mut strips = || dice.roll(3) == 0 && *content != "  ";
        let (lstrip, rstrip) = (strips(), strips());
        added.push(json!({"id": pieces.len() + place, "content": content, "single_word": false, "lstrip": lstrip,
            "rstrip": rstrip, "normalized": dice.roll(2) == 0, "special": dice.roll(4) == 0}));
    }
    // An added token that is a piece already keeps the piece's id, and the ones after it move up.
    let mut next = pieces.len();
    for token in &mut added {
        let place = pieces.iter().position(|piece| token["content"] == **piece);
        token["id"] = json!(place.unwrap_or(next));
        next += usize::from(place.is_none());
    }
    let vocab: serde_json::Map<String, Value> =
        pieces.iter().enumerate().map(|(id, piece)| (piece.clone(), json!(id))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": if dice.roll(2) == 0 { json!({"type": "NFC"}) } else { Value::Null },
        "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": whole,
            "vocab": vocab, "merges": merges}
    })
}

fn build(file: &TokenizerFile, listed: &[String]) -> Result<ByteLevel, String> {
    let opened = Opened::of(file, listed).unwrap();
    let decoder = Decoder::build(&opened).unwrap();
    ByteLevel::load(&opened, decoder)
}

fn reference(file: &TokenizerFile, listed: &[String]) -> Reference {
    Reference::load(&Opened::of(file, listed).unwrap(), None).unwrap()
}

/// Texts of what tokenizers tell apart, added tokens, and what looks like them.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "ab", "ba", " ", "é", "語", "'s", "1", "!", "\n"]),
        2 => prop::sample::select(vec!["  ", "\t", "\r\n", "\u{a0}", "\u{2003}", "e\u{301}", "a\u{323}\u{307}", "\0", "ſ", "'ſ", "K", "٣", "½", "😀", "''", "—"]),
        1 => prop::sample::select(vec!["<s>", "s>b", "<s>b", " <s> ", "aaaaaaaaaaaaaaaaaaaaaaaaa", "                  ", "\u{1161}\u{11a8}", "\u{1100}"]),
    ];
    prop::collection::vec(part, 0..80).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_tokenizers_give_the_references_ids(seed in any::<u64>(), texts in prop::collection::vec(text(), 1..6), listed in any::<bool>()) {
        let json = random(seed);
        let file = TokenizerFile::from_text(&json.to_string());
        let there = json["added_tokens"].as_array().unwrap().iter().any(|token| token["content"] == "<s>");
        let listed = if listed && there { vec!["<s>".to_owned()] } else { Vec::new() };
        let ours = build(&file, &listed);
        prop_assert!(ours.is_ok(), "{:?}", ours.err());
        let ours = ours.unwrap();
        let reference = reference(&file, &listed);
        let mut encoder = ours.encoder();
        for text in &texts {
            // Twice: from the merger and from the cache.
            for _ in 0..2 {
                let difference = compare_both(&mut *encoder, &reference, text).unwrap();
                prop_assert_eq!(difference, None, "{:?} with {}", text, json);
            }
        }
    }
}

/// The real byte-level tokenizers, and one with Llama-3's settings made of them.
fn real() -> Option<Vec<(String, TokenizerFile)>> {
    let folder = realdata()?;
    let mut files = Vec::new();
    for name in ["gpt2", "gpt-neox-20b", "olmo-2-dolma2", "qwen3"] {
        let text = fs_err::read_to_string(folder.join("tokenizers").join(name).join("tokenizer.json")).unwrap();
        if name == "olmo-2-dolma2" {
            let mut json: Value = serde_json::from_str(&text).unwrap();
            json["model"]["ignore_merges"] = json!(true);
            files.push((format!("{name}, ignoring merges"), TokenizerFile::from_text(&json.to_string())));
        }
        files.push((name.to_owned(), TokenizerFile::from_text(&text)));
    }
    Some(files)
}

#[test]
fn random_texts_of_real_pieces_give_the_references_ids() {
    let Some(files) = real() else { return };
    for (name, file) in files {
        let opened = Opened::of(&file, &[]).unwrap();
        let mut pieces = Vec::new();
        for (_, piece) in opened.vocabulary.iter() {
            let mut bytes = Vec::new();
            if super::super::alphabet::bytes_of(piece, &mut bytes) {
                pieces.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        let added: Vec<&str> = opened.added.iter().map(|token| token.content.as_str()).collect();
        let ours = build(&file, &[]).unwrap();
        let reference = reference(&file, &[]);
        let mut encoder = ours.encoder();
        let mut dice = Dice(7);
        for round in 0..200 {
            let mut text = String::new();
            for _ in 0..1 + dice.roll(120) {
                match dice.roll(12) {
                    0 => text.push_str(["'S", "  ", "\n", "\0", "e\u{301}", "🦀", "'ſ", "\u{3000}", "ﷺ"][dice.roll(9)]),
                    1 => text.extend(char::from_u32(u32::try_from(dice.roll(0x3000)).unwrap())),
                    2 => text.push_str(added[dice.roll(added.len())]),
                    // One region of the vocabulary a round, so that long words of one script arise too.
                    3..=6 => text.push_str(pieces[(round * 107 + dice.roll(60)) % pieces.len()].trim_start()),
                    _ => text.push_str(&pieces[dice.roll(pieces.len())]),
                }
            }
            assert_eq!(compare_both(&mut *encoder, &reference, &text).unwrap(), None, "{name}: {text:?}");
        }
        // Words too long for the cache, which the queue merges.
        for word in ["a", "ab", "ing", "the", "ооо", "語", " ", "=-", "é", "\u{301}", "0", "aaaaab", "\n", "\0"] {
            for times in [14, 15, 16, 17, 63, 64, 65, 257, 5000] {
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
fn every_character_beside_letters_blanks_and_digits_gives_the_references_ids() {
    let Some(files) = real() else { return };
    for (name, file) in files {
        let ours = build(&file, &[]).unwrap();
        let reference = reference(&file, &[]);
        let mut encoder = ours.encoder();
        let letters: Vec<char> = (0..=0x10_FFFF).filter_map(char::from_u32).collect();
        // Beyond the planes in use all are alike: some are enough.
        let letters = letters.iter().filter(|letter| **letter < '\u{20000}' || (**letter as u32).is_multiple_of(997));
        for letters in letters.collect::<Vec<_>>().chunks(2048) {
            let text: String =
                letters.iter().map(|letter| format!("{letter}\na{letter}b {letter} 1{letter}2 '{letter}")).collect();
            assert_eq!(compare_both(&mut *encoder, &reference, &text).unwrap(), None, "{name}: {:?}", letters[0]);
        }
    }
}

#[test]
fn a_word_of_a_megabyte_is_merged_in_time_near_linear() {
    let Some(files) = real() else { return };
    for (name, file) in files.iter().filter(|(name, _)| matches!(name.as_str(), "gpt2" | "qwen3")) {
        let ours = build(file, &[]).unwrap();
        let mut dice = Dice(5);
        let letters: String = (0..1 << 20).map(|_| char::from(b'a' + u8::try_from(dice.roll(26)).unwrap())).collect();
        for text in [letters, "a".repeat(1 << 20), "語".repeat(1 << 18)] {
            let mut ids = Vec::new();
            ours.encoder().encode(&text, &mut ids).unwrap();
            assert_eq!(ours.decode(&ids).unwrap(), text, "{name}");
            let mut wanted = Vec::new();
            reference(file, &[]).encoder().encode(&text, &mut wanted).unwrap();
            assert!(ids == wanted, "{name}");
        }
    }
}

#[test]
fn a_full_cache_is_emptied_and_goes_on() {
    let Some(files) = real() else { return };
    let (_, file) = files.into_iter().find(|(name, _)| name == "gpt2").unwrap();
    let ours = build(&file, &[]).unwrap();
    let (mut kept, mut fresh) = (ours.encoder(), Vec::new());
    let mut dice = Dice(3);
    for _ in 0..300 {
        // Some 12 KB a text, nearly all words new and longer than the table takes: more than the pools hold.
        let text: String = (0..12_000)
            .map(|place| if place % 40 == 39 { ' ' } else { char::from(b'a' + u8::try_from(dice.roll(26)).unwrap()) })
            .collect();
        let mut ids = Vec::new();
        kept.encode(&text, &mut ids).unwrap();
        fresh.push((text, ids));
    }
    for (text, ids) in fresh.iter().step_by(37) {
        let mut again = Vec::new();
        ours.encoder().encode(text, &mut again).unwrap();
        assert_eq!(again, *ids);
        assert_eq!(ours.decode(ids).unwrap(), *text);
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let base = (0..).map(random).find(|json| json["pre_tokenizer"]["type"] == "Sequence").unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut changed = base.clone();
        change(&mut changed);
        build(&TokenizerFile::from_text(&changed.to_string()), &[]).unwrap_err()
    };
    assert!(build(&TokenizerFile::from_text(&base.to_string()), &[]).is_ok());
    assert!(refused(&|json| json["model"]["dropout"] = json!(0.1)).contains("at random"));
    assert!(refused(&|json| json["model"]["continuing_subword_prefix"] = json!("##")).contains("prefix"));
    assert!(refused(&|json| json["normalizer"] = json!({"type": "NFKC"})).contains("normalizer"));
    assert!(refused(&|json| json["decoder"] = Value::Null).contains("decoder"));
    assert!(refused(&|json| json["pre_tokenizer"] = Value::Null).contains("pre-tokenizer"));
    assert!(
        refused(&|json| json["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = json!(true))
            .contains("pre-tokenizer")
    );
    assert!(
        refused(&|json| json["pre_tokenizer"]["pretokenizers"][0]["pattern"] = json!({"Regex": r"\w+"}))
            .contains("pattern")
    );
    assert!(
        refused(&|json| json["pre_tokenizer"]["pretokenizers"][0]["behavior"] = json!("MergedWithNext"))
            .contains("pre-tokenizer")
    );
    let incomplete = refused(&|json| {
        json["model"]["vocab"].as_object_mut().unwrap().remove("Ġ");
        json["model"]["merges"] = json!([]);
    });
    assert!(incomplete.contains("0x20"), "{incomplete}");
    let shared = refused(&|json| json["model"]["vocab"]["b"] = json["model"]["vocab"]["a"].clone());
    assert!(shared.contains("share id"), "{shared}");
    let whole = refused(&|json| {
        json["added_tokens"].as_array_mut().unwrap().push(json!({"id": 999, "content": "word", "single_word": true}));
    });
    assert!(whole.contains("single words"), "{whole}");
}
