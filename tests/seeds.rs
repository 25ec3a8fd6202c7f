//! The seeds of the fuzz targets (`fuzz/seeds/TARGET/`) and the dataset that some of them alter (`fuzz/dataset/`): small
//! inputs that are good, of each kind, and inputs that once were findings (`found-*`, kept by hand).

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch};
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use syllabus_reader::format::{TokenDtype, idx};

use crate::harness::{self, Place};
use crate::rows;

/// A file below `fuzz/`.
type Made = (PathBuf, Vec<u8>);

fn seed(target: &str, name: &str, bytes: impl Into<Vec<u8>>) -> Made {
    (PathBuf::from("seeds").join(target).join(name), bytes.into())
}

fn curricula(made: &mut Vec<Made>) {
    for name in ["demo", "arctic", "realdata", "marin-8b", "olmo2-dolmino", "smollm3"] {
        let path = harness::root().join(format!("curricula/{name}.yaml"));
        made.push(seed("curriculum", &format!("{name}.yaml"), fs_err::read(path).unwrap()));
    }
    let conditions = [
        "stars >= 3",
        "score > 0.1 AND NOT lang IN ('en', 'de')",
        "meta.title IS NULL OR clean = true",
        "a BETWEEN -1 AND 1e3 AND NOT (b <> 'it''s' OR \"c d\" LIKE 'x%')",
    ];
    for (number, condition) in conditions.iter().enumerate() {
        made.push(seed("where", &number.to_string(), *condition));
    }
}

/// A compiled dataset, its files as seeds, and what the compile left in its work folder.
fn dataset(made: &mut Vec<Made>) {
    let place = Place::new();
    place.write("data/a.jsonl", rows::jsonl(&rows::source("dialog")[..4]));
    let text = harness::small("data/*", "", "300").replace("sequence_length: 64", "sequence_length: 32");
    place.write("curriculum.yaml", text);
    place.compile("out", &["--work", "work"]).expect(0);
    for (target, file) in [
        ("manifest", "manifest.json"),
        ("idx", "only/00000.idx"),
        ("windows", "only/00000.arrow"),
        ("", "only/00000.bin"),
    ] {
        let mut bytes = fs_err::read(place.path("out").join(file)).unwrap();
        if target == "manifest" {
            // Where the tokenizer lies is this machine's matter: that line goes, and the checksum is made anew.
            let text = String::from_utf8(bytes).unwrap();
            let root = harness::root().to_str().unwrap();
            let body = text.replace(root, "..");
            let body = &body[..body.rfind("  \"checksum\"").unwrap()];
            bytes = format!("{body}  \"checksum\": \"{}\"\n}}\n", blake3::hash(body.as_bytes()).to_hex()).into_bytes();
        }
        made.push((PathBuf::from("dataset").join(file), bytes.clone()));
        if !target.is_empty() {
            made.push(seed(target, "small", bytes));
        }
    }
    made.push(seed("segment", "small", fs_err::read(place.path("work/segments/00000000.seg")).unwrap()));
    let identity = r#"{"store":{"version":1,"identity":{"common":{},"sources":{"s":{}}}}}"#;
    let journal = fs_err::read_to_string(place.path("work/journal")).unwrap();
    // Each line is a checksum, a space and JSON; the target makes the checksums.
    let lines: Vec<&str> = journal.lines().skip(1).map(|line| &line[17..]).collect();
    assert!(lines.iter().any(|line| line.contains("\"commit\"")) && !lines.is_empty());
    made.push(seed("journal", "small", format!("{identity}\n{}\n", lines.join("\n"))));
    let leak = r#"{"commit":{"source":"s","segment":null,"extents":[{"file":0,"first":0,"rows":2}],"counts":{"read":2,"bad":1,"bad_place":"a: line 1","empty":0,"filtered":{"where":[1,2]},"contaminated":[1,9],"bytes":9,"tokenized":{"documents":0,"tokens":0,"bytes":0}},"leaks":[{"document":"00","benchmark":"b","item":"i","ngram":"n","offset":1,"matched":1,"total":2}]}}"#;
    made.push(seed("journal", "leak", format!("{identity}\n{leak}\n!half a line")));
}

fn sources(made: &mut Vec<Made>) {
    let dialog = &rows::source("dialog")[..3];
    let sql = &rows::source("sql")[..3];
    for (name, some) in [("dialog", dialog), ("sql", sql)] {
        made.push(seed("jsonl", name, rows::jsonl(some)));
        made.push(seed("jsonl.gz", name, rows::jsonl_gz(some, 500)));
        made.push(seed("jsonl.zst", name, rows::jsonl_zst(some, 500)));
        made.push(seed("parquet", name, rows::parquet(some, 2)));
        made.push(seed("arrow", name, rows::arrow(some)));
    }
    let odd = "\u{feff}{\"text\": \"a \\ud83e\\udd80 \\u0000\", \"stars\": 1e2, \"meta\": {\"title\": null}}\r\n\n{\"stars\": -0, \"text\": \"\"}";
    made.push(seed("jsonl", "odd", odd));
    made.push(seed("txt", "text", "\u{feff}a text ü\r\n"));
    // A stream is what a file holds between its magic and its footer.
    let file = rows::arrow(dialog);
    let length = i32::from_le_bytes(file[file.len() - 10..file.len() - 6].try_into().unwrap());
    let footer = usize::try_from(length).unwrap();
    made.push(seed("arrows", "dialog", &file[8..file.len() - 10 - footer]));

    for (name, compression, encoding) in [
        ("zstd", Compression::ZSTD(parquet::basic::ZstdLevel::default()), Encoding::PLAIN),
        ("snappy", Compression::SNAPPY, Encoding::DELTA_BYTE_ARRAY),
        ("lz4", Compression::LZ4_RAW, Encoding::DELTA_LENGTH_BYTE_ARRAY),
    ] {
        let texts = ["one", "", "once more ü"].map(Some).into_iter().chain([None]);
        let texts: ArrayRef = Arc::new(texts.collect::<arrow::array::StringArray>());
        let stars: ArrayRef =
            Arc::new([Some(1), None, Some(9), Some(4)].into_iter().collect::<arrow::array::Int64Array>());
        let batch = RecordBatch::try_from_iter_with_nullable([("text", texts, true), ("stars", stars, true)]).unwrap();
        let properties = WriterProperties::builder().set_compression(compression).set_dictionary_enabled(false);
        let properties = properties.set_column_encoding("text".into(), encoding).build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        made.push(seed("parquet", name, bytes));
    }
}

/// Ids as files hold them; what lies beside them comes first, after its length as two bytes.
fn ids(made: &mut Vec<Made>) {
    let ids: Vec<u8> = (0..40_u16).flat_map(u16::to_le_bytes).collect();
    let both = |beside: &[u8]| [&u16::try_from(beside.len()).unwrap().to_le_bytes(), beside, &ids].concat();
    made.push(seed("megatron", "small", both(&idx::encode(TokenDtype::U16, &[3, 30, 7]).unwrap())));
    let ends: Vec<u8> = [3_u64, 33, 40].into_iter().flat_map(u64::to_le_bytes).collect();
    made.push(seed("datatrove", "small", both(&ends)));
    made.push(seed("olmo", "small", both(b"0,3\n3,33,extra\n33,40\n")));
    let lists = [Some(vec![Some(1), Some(2)]), None, Some(vec![]), Some(vec![Some(-1), Some(70_000)])];
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
    let batch = RecordBatch::try_from_iter([("ids", lists)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    made.push(seed("lists", "small", bytes));
}

fn tokenizers(made: &mut Vec<Made>) {
    let added = r#""added_tokens": [{"id": 8, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}]"#;
    let byte_level = format!(
        r#"{{"version": "1.0", {added}, "normalizer": {{"type": "NFC"}},
"pre_tokenizer": {{"type": "Sequence", "pretokenizers": [{{"type": "Split", "pattern": {{"Regex": "\\s+|\\w+|\\d{{1,3}}"}}, "behavior": "Isolated", "invert": false}}, {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}}]}},
"post_processor": {{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}}, "decoder": {{"type": "ByteLevel"}},
"model": {{"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
"vocab": {{"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ċ": 4, "Ġa": 5, "1": 6, "2": 7}}, "merges": [["a", "b"], ["Ġ", "a"]]}}}}"#
    );
    made.push(seed("tokenizer", "byte-level.json", byte_level));
    let llama = format!(
        r#"{{"version": "1.0", {added}, "normalizer": {{"type": "Sequence", "normalizers": [{{"type": "Prepend", "prepend": "▁"}}, {{"type": "Replace", "pattern": {{"String": " "}}, "content": "▁"}}]}},
"pre_tokenizer": null, "post_processor": {{"type": "TemplateProcessing", "single": [{{"Sequence": {{"id": "A", "type_id": 0}}}}], "pair": [{{"Sequence": {{"id": "A", "type_id": 0}}}}, {{"Sequence": {{"id": "B", "type_id": 0}}}}], "special_tokens": {{}}}},
"decoder": {{"type": "Sequence", "decoders": [{{"type": "Replace", "pattern": {{"String": "▁"}}, "content": " "}}, {{"type": "ByteFallback"}}, {{"type": "Fuse"}}, {{"type": "Strip", "content": " ", "start": 1, "stop": 0}}]}},
"model": {{"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": {{"<unk>": 0, "<0x0A>": 1, "▁": 2, "a": 3, "b": 4, "ab": 5, "▁a": 6, "▁ab": 7}}, "merges": ["a b", "▁ a", "▁ ab"]}}}}"#
    );
    made.push(seed("tokenizer", "llama.json", llama));
    let words = r#"{"version": "1.0", "added_tokens": [], "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": {"type": "WordPiece", "prefix": "\u0023\u0023", "cleanup": true},
"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "\u0023\u0023", "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "a": 1, "\u0023\u0023b": 2, "b": 3}}}"#;
    made.push(seed("tokenizer", "word-piece.json", words));
    let unigram = r#"{"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}, "post_processor": null, "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["▁", -1.5], ["a", -2], ["b", -2.5], ["▁ab", -3]], "byte_fallback": false}}"#;
    made.push(seed("tokenizer", "unigram.json", unigram));
}

/// With `SYLLABUS_SEEDS=write` they are written; else each must be there.
#[test]
fn every_fuzz_target_has_seeds() {
    let write = std::env::var("SYLLABUS_SEEDS").is_ok_and(|asked| asked == "write");
    let mut made = Vec::new();
    curricula(&mut made);
    dataset(&mut made);
    sources(&mut made);
    ids(&mut made);
    tokenizers(&mut made);
    for (name, bytes) in made {
        let path = harness::root().join("fuzz").join(name);
        if write {
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::File::create(&path).unwrap().write_all(&bytes).unwrap();
        }
        assert!(!bytes.is_empty() && path.is_file(), "{} is missing: run with SYLLABUS_SEEDS=write", path.display());
    }
}
