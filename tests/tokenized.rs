//! Sources that are tokenized already: the same documents in every form make the same dataset, a Megatron dataset imported, mixed
//! anew and exported again loses nothing, and what does not keep the tokenizer's contract is refused.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch};
use arrow::datatypes::Int64Type;
use syllabus_reader::Dataset;
use syllabus_reader::format::idx::{self, Idx};
use syllabus_reader::format::{TokenDtype, tokens};

use crate::fixtures::{document, reference};
use crate::harness::{self, Place};
use crate::rows;

const EOS: &str = "<|endoftext|>";

/// Distinct documents of a fixture source as ids, each with the EOS.
fn ids_of(source: &str) -> Vec<Vec<u32>> {
    let tokenizer = reference("byte-level");
    let eos = tokenizer.token_to_id(EOS).unwrap();
    let texts: std::collections::BTreeSet<String> =
        rows::source(source).iter().map(|row| document(source, row)).filter(|text| !text.trim().is_empty()).collect();
    let ids = |text: &String| {
        let mut ids = tokenizer.encode_fast(text.as_str(), false).unwrap().get_ids().to_vec();
        ids.push(eos);
        ids
    };
    texts.iter().map(ids).collect()
}

fn megatron(place: &Place, prefix: &str, documents: &[Vec<u32>], dtype: TokenDtype) {
    let mut bytes = Vec::new();
    tokens::encode(&documents.concat(), dtype, &mut bytes).unwrap();
    let lengths: Vec<u32> = documents.iter().map(|ids| u32::try_from(ids.len()).unwrap()).collect();
    place.write(&format!("{prefix}.bin"), bytes);
    place.write(&format!("{prefix}.idx"), idx::encode(dtype, &lengths).unwrap());
}

fn ends(documents: &[Vec<u32>]) -> Vec<u64> {
    let mut end = 0;
    let mut ends = Vec::new();
    for ids in documents {
        end += ids.len() as u64;
        ends.push(end);
    }
    ends
}

fn datatrove(place: &Place, name: &str, documents: &[Vec<u32>]) {
    let mut bytes = Vec::new();
    tokens::encode(&documents.concat(), TokenDtype::U16, &mut bytes).unwrap();
    place.write(name, bytes);
    place.write(&format!("{name}.index"), ends(documents).into_iter().flat_map(u64::to_le_bytes).collect::<Vec<u8>>());
    place.write(&format!("{name}.metadata"), "some/tokenizer|2\n1\n1");
}

fn olmo(place: &Place, name: &str, documents: &[Vec<u32>]) {
    let mut bytes = Vec::new();
    tokens::encode(&documents.concat(), TokenDtype::U32, &mut bytes).unwrap();
    place.write(&format!("{name}.npy"), bytes);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for (ids, end) in documents.iter().zip(ends(documents)) {
        writeln!(gz, "{},{end}", end - ids.len() as u64).unwrap();
    }
    place.write(&format!("{name}.csv.gz"), gz.finish().unwrap());
}

fn parquet(place: &Place, name: &str, documents: &[Vec<u32>]) {
    let lists = documents.iter().map(|ids| Some(ids.iter().map(|id| Some(i64::from(*id)))));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
    let stars = Int64Array::from_iter_values((0..documents.len()).map(|i| i64::try_from(i % 2).unwrap()));
    let batch = RecordBatch::try_from_iter([("stars", Arc::new(stars) as ArrayRef), ("input_ids", lists)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    place.write(name, bytes);
}

fn curriculum(place: &Place, files: &str, tokenized: &str, tokens: &str) {
    place.write("curriculum.yaml", harness::small(files, &format!(", tokenized: {tokenized}"), tokens));
}

#[test]
fn every_form_makes_the_same_dataset() {
    let documents = ids_of("stem");
    let place = Place::new();
    let mut reversed = documents.clone();
    reversed.reverse();
    let (first, second) = documents.split_at(documents.len() / 3);
    megatron(&place, "narrow/a", first, TokenDtype::U16);
    megatron(&place, "narrow/b", second, TokenDtype::U16);
    megatron(&place, "wide/all", &reversed, TokenDtype::U32);
    datatrove(&place, "trove/x.ds", &documents);
    olmo(&place, "olmo/part-0", second);
    olmo(&place, "olmo/part-1", first);
    parquet(&place, "table/ids.parquet", &reversed);
    let unframed: Vec<Vec<u32>> = documents.iter().map(|ids| ids[..ids.len() - 1].to_vec()).collect();
    megatron(&place, "bare/all", &unframed, TokenDtype::U16);
    let mut outs = Vec::new();
    for (out, files, tokenized) in [
        ("narrow-out", "narrow/*.bin", "megatron"),
        ("wide-out", "wide/*.bin", "{format: megatron, dtype: u32}"),
        ("trove-out", "trove/*.ds", "datatrove"),
        ("olmo-out", "olmo/*.npy", "{format: olmo, dtype: u32}"),
        ("table-out", "table/*.parquet", "{column: input_ids}"),
        ("bare-out", "bare/*.bin", "{format: megatron, frame: complete}"),
    ] {
        curriculum(&place, files, tokenized, "30k");
        place.compile(out, &["--threads", if out == "wide-out" { "1" } else { "2" }]).expect(0);
        place.run(&["verify", out]).expect(0);
        outs.push(out);
    }
    for out in &outs[1..] {
        assert_eq!(place.digest(outs[0]), place.digest(out), "{out}");
        let bytes = |out: &str| fs_err::read(place.path(out).join("only/00000.bin")).unwrap();
        assert!(bytes(outs[0]) == bytes(out), "{out}");
    }
    // The plan knows what is there, and inspect shows its text.
    let plan = place.run(&["plan", "curriculum.yaml", "--data", "."]).expect(0);
    assert!(plan.stdout.contains("only"), "{}", plan.stdout);
    place.run(&["inspect", "narrow-out", "--window", "0"]).expect(0);
    // A condition looks at the columns beside the ids.
    place.write(
        "curriculum.yaml",
        harness::small("table/*.parquet", ", tokenized: {column: input_ids}, where: \"stars = 1\"", "5k"),
    );
    place.compile("half", &[]).expect(0);
    let kept = place.manifest("half")["sources"][0]["documents"].as_u64().unwrap();
    assert_eq!(kept, documents.len() as u64 / 2);
}

/// The documents of a dataset that its first epoch read, put together again from an exported Megatron prefix.
fn exported(prefix: &Path, dataset: &Dataset) -> Vec<Vec<u32>> {
    let bytes = fs_err::read(prefix.with_extension("bin")).unwrap();
    let table = fs_err::read(prefix.with_extension("idx")).unwrap();
    let index = Idx::parse(prefix, &table).unwrap();
    let width = index.dtype().width();
    let mut sequences = index.sequences().map(|(length, offset)| {
        let (length, offset) = (usize::try_from(length).unwrap(), usize::try_from(offset).unwrap());
        let mut ids = Vec::new();
        tokens::decode(&bytes[offset..offset + length * width], index.dtype(), &mut ids);
        ids
    });
    let mut documents: BTreeMap<[u8; 16], BTreeMap<u32, Vec<u32>>> = BTreeMap::new();
    for at in 0..dataset.len() {
        for fragment in dataset.window(at).unwrap().fragments {
            let ids = sequences.next().unwrap();
            assert_eq!(ids.len(), usize::try_from(fragment.length).unwrap());
            if fragment.epoch == 0 {
                documents.entry(fragment.document.0).or_default().insert(fragment.offset, ids);
            }
        }
    }
    assert!(sequences.next().is_none());
    let mut all: Vec<Vec<u32>> =
        documents.into_values().map(|parts| parts.into_values().collect::<Vec<_>>().concat()).collect();
    all.sort();
    all
}

#[test]
fn a_megatron_dataset_imported_mixed_and_exported_loses_nothing() {
    for (source, dtype) in [("dialog", TokenDtype::U16), ("sql", TokenDtype::U32), ("notes", TokenDtype::U16)] {
        let mut documents = ids_of(source);
        let place = Place::new();
        megatron(&place, "old/set", &documents, dtype);
        let tokens: usize = documents.iter().map(Vec::len).sum();
        // Windows of 65 tokens train 64: somewhat more than an epoch, so that every document is read to its end.
        curriculum(&place, "old/*.bin", "megatron", &(tokens + tokens / 10 + 500).to_string());
        place.compile("out", &[]).expect(0);
        place.run(&["verify", "out"]).expect(0);
        place.run(&["export", "out", "--for", "megatron-exact", "--out", "new"]).expect(0);
        documents.sort();
        let found = exported(&place.path("new/train"), &Dataset::open(place.path("out")).unwrap());
        assert!(found == documents, "{source}: {} documents of {}", found.len(), documents.len());
    }
}

#[test]
fn ids_and_texts_are_mixed_and_cleaned_together() {
    let place = Place::new();
    let documents = ids_of("dialog");
    megatron(&place, "old/set", &documents, TokenDtype::U16);
    place.write("new/some.jsonl", rows::jsonl(&rows::source("dialog")));
    place.write("new/more.jsonl", rows::jsonl(&rows::source("stem")));
    let item = document("dialog", &rows::source("dialog")[3]);
    place.write("eval/items.jsonl", format!("{}\n", serde_json::json!({ "text": item })));
    let tokenizer = harness::fixtures().join("tokenizers/byte-level/tokenizer.json");
    place.write(
        "curriculum.yaml",
        format!(
            "syllabus: 1\nname: both\ntokenizer: {{file: {}, eos: \"{EOS}\"}}\nsequence_length: 64\non_exhausted: repeat\n\
             dedup: {{near: {{jaccard: 0.8, scope: all}}}}\ndecontaminate: {{files: [eval/*.jsonl], ngram: 8}}\nsources:\n  \
             old: {{files: old/*.bin, tokenized: megatron}}\n  new: {{files: new/*.jsonl}}\n\
             phases:\n  - {{name: only, tokens: 20k, mix: {{old: 50%, new: 50%}}}}\n",
            tokenizer.display()
        ),
    );
    place.compile("out", &[]).expect(0);
    place.run(&["verify", "out"]).expect(0);
    let removed = rows::read(&place.path("out/removed.parquet"));
    let count = |source: &str, reason: &str| {
        removed.iter().filter(|row| row["source"] == source && row["reason"] == reason).count()
    };
    // Keys of ids and of texts differ, so what is the same text goes as a near duplicate, by what the ids decode to.
    let lost: usize = ["exact", "near", "contaminated"].iter().map(|reason| count("old", reason)).sum();
    assert!(count("new", "near") + lost >= documents.len() / 2, "{} near", count("new", "near"));
    assert!(count("old", "contaminated") >= 1 && count("new", "contaminated") >= 1);
}

/// Bends a document.
type Bend<'a> = &'a dyn Fn(&mut Vec<u32>);

#[test]
fn what_breaks_the_contract_is_refused_or_counted() {
    let place = Place::new();
    let documents = ids_of("dialog");
    let eos = *documents[0].last().unwrap();
    let bent = |bend: Bend<'_>| {
        let mut bent = documents.clone();
        bend(&mut bent[5]);
        megatron(&place, "old/set", &bent, TokenDtype::U16);
    };
    let cases: [(Bend<'_>, &str); 3] = [
        (&|ids| ids.truncate(ids.len() - 1), "does not end with EOS"),
        (&|ids| ids.insert(1, 2048), "not below 2048"),
        (&|ids| ids.insert(1, eos), "stands within the document"),
    ];
    for (bend, words) in cases {
        bent(bend);
        curriculum(&place, "old/*.bin", "megatron", "5k");
        let outcome = place.compile("out", &[]).expect(1).says(words);
        for words in ["set.bin", "row 5", "source `s`", "on_bad_row"] {
            assert!(outcome.last_line().contains(words), "`{words}`: {}", outcome.last_line());
        }
        place.write(
            "curriculum.yaml",
            harness::small("old/*.bin", ", tokenized: megatron, on_bad_row: {count: 1}", "5k"),
        );
        place.compile("counted", &[]).expect(0);
        let outcomes = place.manifest("counted")["ledger"]["outcomes"].clone();
        let bad = outcomes.as_array().unwrap().iter().find(|row| row["outcome"] == "bad").unwrap().clone();
        assert_eq!(bad["documents"], 1);
        for folder in ["out", "counted"] {
            fs_err::remove_dir_all(place.path(folder)).unwrap();
        }
    }
    // A file that is cut, and one whose index is not there.
    megatron(&place, "old/set", &documents, TokenDtype::U16);
    let bin: PathBuf = place.path("old/set.bin");
    let whole = fs_err::read(&bin).unwrap();
    fs_err::write(&bin, &whole[..whole.len() - 2]).unwrap();
    curriculum(&place, "old/*.bin", "megatron", "5k");
    place.compile("out", &[]).expect(1).says("set.bin");
    fs_err::write(&bin, &whole).unwrap();
    fs_err::rename(place.path("old/set.idx"), place.path("set.idx")).unwrap();
    place.compile("out", &[]).expect(2).says("set.idx beside it");
    fs_err::rename(place.path("set.idx"), place.path("old/set.idx")).unwrap();
    curriculum(&place, "old/*", "megatron", "5k");
    place.compile("out", &[]).expect(2).says("narrow the pattern");
}

#[test]
fn keys_that_mean_nothing_for_ids_are_refused_in_one_run() {
    let place = Place::new();
    for (source, words) in [
        (
            ", tokenized: megatron, text: body, min_chars: 3, where: \"stars > 1\"",
            &["`text` is about texts", "`min_chars`", "`where` needs columns"][..],
        ),
        (", tokenized: olmo", &["how wide an id is"]),
        (", tokenized: {format: olmo}", &["how wide an id is"]),
        (", tokenized: {format: megatron, column: ids}", &["not both"]),
        (", tokenized: {frame: complete}", &["is not said"]),
        (", tokenized: {column: ids, dtype: u16}", &["says its own type"]),
        (", tokenized: megatorn", &["did you mean `megatron`"]),
    ] {
        place.write("curriculum.yaml", harness::small("old/*.bin", source, "5k"));
        let outcome = place.run(&["check", "curriculum.yaml"]).expect(2);
        for words in words {
            assert!(outcome.stderr.contains(words), "`{words}` is not in:\n{}", outcome.stderr);
        }
    }
}
