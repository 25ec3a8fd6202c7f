//! The contract, on real tokenizers and real documents where they lie beside the repository.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::contract::{Loaded, load, unjudged};
use super::file::TokenizerFile;
use super::judge::{Judge, Sampling};
use super::opened::Opened;
use super::probe::compare_both;
use super::reference::Reference;
use crate::curriculum::checked::{Backend, Bos, TokenizerSpec};
use syllabus_reader::format::TokenDtype;

/// Tokenizers of the real data with their size and EOS.
const ALL: [(&str, u32, &str); 7] = [
    ("gpt2", 50_257, "<|endoftext|>"),
    ("gpt-neox-20b", 50_277, "<|endoftext|>"),
    ("olmo-2-dolma2", 100_278, "<|endoftext|>"),
    ("qwen3", 151_669, "<|endoftext|>"),
    ("phi-3", 32_011, "</s>"),
    ("mistral-v0.1", 32_000, "</s>"),
    ("t5-small-unigram", 32_100, "</s>"),
];

/// The real data, or `None` with a loud word when it is absent.
pub fn realdata() -> Option<PathBuf> {
    let folder = std::env::var_os("SYLLABUS_REALDATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/realdata"), PathBuf::from);
    let folder = Some(folder).filter(|folder| folder.join("tokenizers").is_dir());
    if folder.is_none() {
        eprintln!("\n*** NOT TESTED: no real data at ../shared/realdata nor in $SYLLABUS_REALDATA ***\n");
    }
    folder
}

pub fn spec(bos: Bos, eos: Option<&str>, special: &[&str]) -> TokenizerSpec {
    TokenizerSpec {
        file: "tokenizer.json".into(),
        bos,
        eos: eos.map(str::to_owned),
        pad: None,
        special: special.iter().map(|special| (*special).to_owned()).collect(),
        backend: Backend::Fast,
    }
}

fn tokenizer(folder: &Path, name: &str) -> PathBuf {
    folder.join("tokenizers").join(name).join("tokenizer.json")
}

/// Every `every`th document of the JSON Lines files (code, edge, maths, SQL), each cut to `bytes`.
pub fn documents(folder: &Path, every: usize, bytes: usize) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let pattern = folder.join("*/*.jsonl.zst").to_string_lossy().into_owned();
    let mut paths: Vec<PathBuf> = glob::glob(&pattern).unwrap().map(|path| path.unwrap()).collect();
    paths.sort();
    for path in paths {
        let source = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let reader = BufReader::new(zstd::Decoder::new(fs_err::File::open(&path).unwrap()).unwrap());
        for line in reader.lines().step_by(if source == "edge" { 1 } else { every }) {
            let row: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let text = super::probe::head(row["text"].as_str().unwrap(), bytes);
            found.push((source.clone(), text.to_owned()));
        }
    }
    found
}

#[test]
fn ids_are_the_references_on_probes_and_on_real_documents() {
    let Some(folder) = realdata() else { return };
    let samples = documents(&folder, 600, 8 << 10);
    assert!(samples.len() > 90, "{} documents", samples.len());
    for (name, size, eos) in ALL {
        // Judging compares the probe texts too.
        let all = || Ok(samples.clone());
        let mut loaded =
            unjudged(&TokenizerFile::read(&tokenizer(&folder, name)).unwrap(), &spec(Bos::None, Some(eos), &[]), &all)
                .unwrap();
        loaded.judge().unwrap();
        assert_eq!(loaded.contract.vocab_size, size, "{name}");
        assert_eq!(loaded.contract.dtype, TokenDtype::for_vocabulary(size), "{name}");
        assert_eq!(loaded.contract.bos_id, None);
        assert_eq!(Some(loaded.contract.pad_id), loaded.contract.eos_id);
        assert_eq!(loaded.contract.name, name);
        eprintln!("{name}: {} {:?}", loaded.contract.backend, loaded.warnings);
        check_decoding(name, &loaded, &samples);
    }
}

/// Decoding gives the text back wherever the tokenizer promises it.
fn check_decoding(name: &str, loaded: &Loaded, samples: &[(String, String)]) {
    let lossless = matches!(name, "gpt2" | "olmo-2-dolma2");
    assert_eq!(loaded.tokenizer.lossless(), lossless, "{name}");
    let plain = |text: &str| match name {
        "phi-3" => !text.contains('▁'),
        "mistral-v0.1" => !text.contains('▁') && !text.starts_with(' '),
        "gpt-neox-20b" | "qwen3" => unicode_normalization::is_nfc(text),
        "t5-small-unigram" => false,
        _ => true,
    };
    let mut encoder = loaded.tokenizer.encoder();
    let (mut ids, mut checked, mut told) = (Vec::new(), 0, 0);
    for (_, text) in samples {
        ids.clear();
        encoder.encode(text, &mut ids).unwrap();
        assert!(ids.iter().all(|id| *id < loaded.contract.vocab_size));
        let back = loaded.tokenizer.decode(&ids).unwrap() == *text;
        assert!(back || !plain(text), "{name}: {text}");
        checked += usize::from(plain(text));
        let says = loaded.tokenizer.gives_back(text, &ids);
        assert!(back || !says, "{name} says that this comes back: {text}");
        told += usize::from(says);
    }
    assert!(checked > 40 || name == "t5-small-unigram", "{name}: {checked}");
    // It says so of nearly all that do: a few hold `<0x` or a token that is split out.
    assert!(10 * told >= 9 * checked, "{name}: {told} of {checked}");
}

/// What is said to come back does, for texts made of all that may not.
#[test]
fn texts_that_are_said_to_come_back_do() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tokenizers");
    let parts = [
        "a",
        " ",
        "  ",
        "▁",
        "<0x41>",
        "<0x",
        "</s>",
        "<s>",
        "<unk>",
        "<|endoftext|>",
        "é",
        "e\u{301}",
        "海",
        "\u{1f642}",
        "\n",
        "the",
        "\u{0}",
        "\u{fffd}",
        "of",
    ];
    for (name, eos, special) in [
        ("llama-like", "</s>", vec![]),
        ("llama-like", "</s>", vec!["<s>"]),
        ("byte-level", "<|endoftext|>", vec![]),
        ("byte-level", "<|endoftext|>", vec!["<|endoftext|>"]),
    ] {
        let file = fixtures.join(name).join("tokenizer.json");
        let loaded = load(&file, &spec(Bos::None, Some(eos), &special)).unwrap();
        let mut encoder = loaded.tokenizer.encoder();
        let (mut ids, mut told, mut state) = (Vec::new(), 0, 1_u64);
        for length in (0..4000).map(|i| i % 7) {
            let mut text = String::new();
            for _ in 0..length {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(parts[usize::try_from((state >> 33) % parts.len() as u64).unwrap()]);
            }
            ids.clear();
            encoder.encode(&text, &mut ids).unwrap();
            if loaded.tokenizer.gives_back(&text, &ids) {
                assert_eq!(loaded.tokenizer.decode(&ids).unwrap(), text, "{name}");
                told += 1;
            }
        }
        assert!(told > 1000, "{name}: {told}");
    }
}

#[test]
fn listed_special_strings_become_their_ids_and_others_stay_text() {
    let Some(folder) = realdata() else { return };
    for (name, special) in
        [("phi-3", "<|user|>"), ("mistral-v0.1", "</s>"), ("qwen3", "<|im_end|>"), ("gpt2", "<|endoftext|>")]
    {
        let path = tokenizer(&folder, name);
        let loaded = load(&path, &spec(Bos::None, None, &[special])).unwrap();
        let file = TokenizerFile::read(&path).unwrap();
        let id = file.parts().unwrap().added_tokens.iter().find(|token| token.content == special).unwrap().id;
        let text = format!("a {special} b<|im_start|>{special}{special}\n<|end|>c");
        let mut ids = Vec::new();
        loaded.tokenizer.encoder().encode(&text, &mut ids).unwrap();
        assert_eq!(ids.iter().filter(|found| **found == id).count(), 3, "{name}");
        // The same as Hugging Face's plain encode, where no other special string occurs.
        let plain: tokenizers::Tokenizer = fs_err::read_to_string(&path).unwrap().parse().unwrap();
        let text = format!("x{special}\n  {special} y {special}");
        ids.clear();
        loaded.tokenizer.encoder().encode(&text, &mut ids).unwrap();
        assert_eq!(ids, plain.encode(text.as_str(), false).unwrap().get_ids(), "{name}");
        assert_eq!(loaded.tokenizer.decode(&ids).unwrap(), text, "{name}");
        // Unlisted, none of them.
        let loaded = load(&path, &spec(Bos::None, None, &[])).unwrap();
        ids.clear();
        loaded.tokenizer.encoder().encode(&text, &mut ids).unwrap();
        assert!(!ids.contains(&id), "{name}");
        assert_eq!(loaded.tokenizer.decode(&ids).unwrap(), text, "{name}");
    }
}

#[test]
fn framing_tokens_must_be_one_id_each() {
    let Some(folder) = realdata() else { return };
    let mistral = tokenizer(&folder, "mistral-v0.1");
    let error = load(&mistral, &spec(Bos::Unsaid, Some("</s>"), &[])).unwrap_err().to_string();
    assert!(error.contains("bos: \"<s>\"") && error.contains("bos: none"), "{error}");
    let loaded = load(&mistral, &spec(Bos::Token("<s>".into()), Some("</s>"), &[])).unwrap();
    assert_eq!((loaded.contract.bos_id, loaded.contract.eos_id, loaded.contract.pad_id), (Some(1), Some(2), 2));
    let error = load(&mistral, &spec(Bos::None, Some("<s/>"), &[])).unwrap_err().to_string();
    assert!(error.contains("`eos`") && error.contains("did you mean") && error.contains("</s>"), "{error}");
    // T5's template adds a token after the text, none before it.
    let t5 = load(&tokenizer(&folder, "t5-small-unigram"), &spec(Bos::Unsaid, None, &[])).unwrap();
    assert_eq!((t5.contract.bos_id, t5.contract.eos_id, t5.contract.pad_id), (None, None, 0));
    assert!(t5.warnings.iter().any(|warning| warning.contains("\"</s>\"")), "{:?}", t5.warnings);
}

#[test]
fn a_backend_that_differs_is_an_error_or_with_auto_falls_back() {
    let Some(folder) = realdata() else { return };
    // A reference of another tokenizer stands for a backend that is wrong.
    let file = TokenizerFile::read(&tokenizer(&folder, "gpt2")).unwrap();
    let other = Reference::load(&Opened::of(&file, &[]).unwrap(), None).unwrap();
    let loaded = load(&tokenizer(&folder, "phi-3"), &spec(Bos::None, None, &[])).unwrap();
    let text = "same same\nbut different";
    let difference = compare_both(&mut *loaded.tokenizer.encoder(), &other, text).unwrap().unwrap();
    assert_eq!((difference.token, difference.at), (0, 0));
    let sample = [("web".to_owned(), "some text".to_owned())];
    // It may have asked the reference already, or not.
    let judge = |reference, backend, enough| {
        let mut judge =
            Judge::begin(reference, &[], &|| Ok(sample.to_vec()), backend, Path::new("t.json"), &|| enough).unwrap();
        judge.forget_probes();
        judge
    };
    let again = judge(other, Backend::Fast, true).strictly(&*loaded.tokenizer).unwrap_err().to_string();
    let other = Reference::load(&Opened::of(&file, &[]).unwrap(), None).unwrap();
    let mut strict = loaded.with_judge(judge(other, Backend::Fast, false));
    let error = strict.judge().unwrap_err().to_string();
    assert!(error.contains("source `web`") && error.contains("at byte 0"), "{error}");
    assert_eq!(error, again);
    // Beside the ingest: the first document of a source, then those whose key says so, until enough were seen.
    let other = Reference::load(&Opened::of(&file, &[]).unwrap(), None).unwrap();
    let sampling = Sampling::new(judge(other, Backend::Fast, true), &[100, 100]);
    let (mut encoder, long) = (strict.tokenizer.encoder(), text.repeat(10));
    let mut see = |source, key, text| {
        sampling.document((source, "code"), key, text, &mut *encoder, "fast").map_err(|error| error.to_string())
    };
    assert!(see(0, 1, text).unwrap_err().contains("source `code`"));
    see(0, 1, text).unwrap();
    see(0, 16, &long).unwrap_err();
    see(0, 16, text).unwrap();
    see(1, 3, text).unwrap_err();
    sampling.probe(&*strict.tokenizer).unwrap_err();
    drop(encoder);
    let other = Reference::load(&Opened::of(&file, &[]).unwrap(), None).unwrap();
    let mut auto = strict.with_judge(judge(other, Backend::Auto, false));
    auto.judge().unwrap();
    assert_eq!(auto.contract.backend, super::reference::BACKEND);
    assert_eq!(auto.tokenizer.backend(), super::reference::BACKEND);
    assert!(auto.warnings.last().unwrap().contains("source `web`"));
}

/// A source's bytes are counted over its documents: the one that goes beyond them is looked at as far as they go.
#[test]
fn a_document_is_judged_as_far_as_its_sources_bytes_go() {
    let (_folder, path) = small(&|_| {});
    // The same but for `ab`, which its reference does not join.
    let (_other_folder, other_path) = small(&|json| json["model"]["merges"] = serde_json::json!([]));
    let loaded = load(&path, &spec(Bos::None, None, &[])).unwrap();
    let other = TokenizerFile::read(&other_path).unwrap();
    let sampling = || {
        let reference = Reference::load(&Opened::of(&other, &[]).unwrap(), None).unwrap();
        let judge = Judge::begin(reference, &[], &|| Ok(Vec::new()), Backend::Fast, &other_path, &|| true).unwrap();
        Sampling::new(judge, &[100])
    };
    let differs = |sampling: &Sampling, text: &str| {
        let mut encoder = loaded.tokenizer.encoder();
        sampling.document((0, "web"), 0, text, &mut *encoder, "fast").is_err()
    };
    let first = "b".repeat(60);
    for (before, found) in [(38, true), (39, false), (40, false)] {
        let sampling = sampling();
        assert!(!differs(&sampling, &first));
        assert_eq!(differs(&sampling, &("b".repeat(before) + "abbb")), found, "{before}");
        assert!(!differs(&sampling, "ab"), "enough was seen");
    }
}

#[test]
fn the_versions_named_in_manifests_are_those_locked() {
    let lock = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    for backend in [super::reference::BACKEND, super::fast::BACKEND] {
        let (name, version) = backend.split_once(' ').unwrap();
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")), "{backend}");
    }
}

/// A small SentencePiece-like tokenizer in a folder of its own, changed as a test wants.
fn small(change: &dyn Fn(&mut serde_json::Value)) -> (tempfile::TempDir, PathBuf) {
    let mut json = serde_json::json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": null,
        "added_tokens": [
            {"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 5, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, "pre_tokenizer": null,
        "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": false,
            "vocab": {"<unk>": 0, "a": 1, "b": 2, "▁": 3, "ab": 4}, "merges": ["a b"]}
    });
    change(&mut json);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs_err::write(&path, json.to_string()).unwrap();
    (folder, path)
}

#[test]
fn truncation_in_the_file_has_no_effect() {
    let (_folder, path) = small(&|_| {});
    for backend in [Backend::Fast, Backend::Reference] {
        let loaded = load(&path, &TokenizerSpec { backend, ..spec(Bos::Unsaid, Some("</s>"), &[]) }).unwrap();
        let mut ids = Vec::new();
        loaded.tokenizer.encoder().encode("ab ab bab", &mut ids).unwrap();
        assert_eq!(ids, [4, 3, 4, 3, 2, 4], "{backend:?}");
        assert_eq!(loaded.tokenizer.decode(&ids).unwrap(), "ab ab bab");
        assert_eq!((loaded.contract.eos_id, loaded.contract.vocab_size), (Some(5), 6));
        assert_eq!(loaded.warnings, Vec::<String>::new());
    }
}

#[test]
fn a_decoder_at_which_the_library_panics_is_an_error() {
    // Its `Strip` looks at as many characters of a token as it is to cut, whether or not the token has them.
    let (_folder, path) = small(&|json| {
        json["decoder"]["decoders"][2] = serde_json::json!({"type": "Strip", "content": " ", "start": 0, "stop": 5});
    });
    let loaded =
        load(&path, &TokenizerSpec { backend: Backend::Reference, ..spec(Bos::Unsaid, Some("</s>"), &[]) }).unwrap();
    assert!(!loaded.tokenizer.lossless());
    assert_eq!(loaded.tokenizer.decode(&[4, 1]).unwrap(), "aba");
    let error = loaded.tokenizer.decode(&[3]).unwrap_err().to_string();
    assert!(error.contains("it panicked"), "{error}");
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let error = |change: &dyn Fn(&mut serde_json::Value), eos: &str| {
        let (_folder, path) = small(change);
        load(&path, &spec(Bos::None, Some(eos), &[])).unwrap_err().to_string()
    };
    let hole = error(&|json| json["added_tokens"][1]["id"] = 9.into(), "</s>");
    assert!(hole.contains("\"</s>\" has id 9 in the file") && hole.contains("gives it 5"), "{hole}");
    let dropout = error(&|json| json["model"]["dropout"] = 0.1.into(), "</s>");
    assert!(dropout.contains("dropout"), "{dropout}");
    let shared = error(&|json| json["model"]["vocab"]["▁"] = 1.into(), "a");
    assert!(shared.contains("whose id 1") && shared.contains("has too"), "{shared}");
    let far = error(&|json| json["model"]["vocab"]["b"] = 4_000_000_000_u32.into(), "</s>");
    assert!(far.contains("largest id"), "{far}");
    let version = error(&|json| json["version"] = "2.0".into(), "</s>");
    assert!(version.contains("2.0"), "{version}");
    let (_folder, path) = small(&|_| {});
    fs_err::write(&path, b"not JSON").unwrap();
    let error = load(&path, &spec(Bos::None, None, &[])).unwrap_err().to_string();
    assert!(error.contains("not a tokenizer.json") && error.contains("tokenizer.json: "), "{error}");
    fs_err::write(&path, b"\xff\xfe").unwrap();
    let error = load(&path, &spec(Bos::None, None, &[])).unwrap_err().to_string();
    assert!(error.contains("not UTF-8 at byte 0"), "{error}");
    assert!(
        load(Path::new("no/such/tokenizer.json"), &spec(Bos::None, None, &[]))
            .unwrap_err()
            .to_string()
            .contains("no/such")
    );
}

#[test]
fn a_vocabulary_between_the_two_widths_is_warned_of() {
    let sized = |size: u32| {
        let (_folder, path) = small(&|json| {
            for id in 5..size {
                json["model"]["vocab"][format!("piece{id}")] = id.into();
            }
            json["added_tokens"].as_array_mut().unwrap().pop();
        });
        load(&path, &spec(Bos::None, None, &[])).unwrap()
    };
    let (below, within, beyond) = (sized(65_499), sized(65_500), sized(65_537));
    assert_eq!((below.contract.dtype, below.warnings.len()), (TokenDtype::U16, 0));
    assert_eq!((within.contract.dtype, within.warnings.len()), (TokenDtype::U32, 1));
    assert!(within.warnings[0].contains("Megatron"), "{:?}", within.warnings);
    assert_eq!((beyond.contract.dtype, beyond.warnings.len()), (TokenDtype::U32, 0));
}
