//! Sources, through the whole compile: what is odd is read as it says, what is wrong is named, and nothing is left out in
//! silence. Which documents came through is told by their keys, the hashes of exactly the texts that were tokenized.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, NullArray, RecordBatch,
    StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use parquet::arrow::ArrowWriter;
use syllabus_reader::Dataset;
use xxhash_rust::xxh3::xxh3_128;

use super::{Class, failed};
use crate::harness::{self, Place};
use crate::rows;

/// The keys of a dataset's documents.
fn keys(place: &Place, out: &str) -> BTreeSet<u128> {
    let dataset = Dataset::open(place.path(out)).unwrap();
    let mut keys = BTreeSet::new();
    for window in 0..dataset.len() {
        keys.extend(
            dataset.window(window).unwrap().fragments.into_iter().map(|fragment| u128::from(fragment.document)),
        );
    }
    keys
}

/// How many rows the ledger calls bad.
fn bad(place: &Place, out: &str) -> u64 {
    let ledger = rows::read(&place.path(out).join("ledger.parquet"));
    let bad = ledger.iter().filter(|row| rows::text(row, "outcome") == Some("bad"));
    bad.filter_map(|row| rows::number(row, "documents")).sum()
}

/// Compiles a file and compares the documents with these texts, and the count of bad rows.
fn read_as(name: &str, bytes: &[u8], texts: &[&str], bad_rows: u64) -> Result<(), String> {
    let place = Place::new();
    place.write(&format!("data/{name}"), bytes);
    // Tokens enough that every document is in it.
    let count = if bad_rows > 0 { ", on_bad_row: count" } else { "" };
    place.write("curriculum.yaml", harness::small("data/*", count, "1k"));
    let outcome = place.compile("out", &[]);
    if outcome.code != 0 {
        return Err(outcome.stderr);
    }
    let expected: BTreeSet<u128> = texts.iter().map(|text| xxh3_128(text.as_bytes())).collect();
    let found = keys(&place, "out");
    if found != expected {
        return Err(format!("{} documents, {} of them as meant", found.len(), found.intersection(&expected).count()));
    }
    let found = bad(&place, "out");
    if found == bad_rows { Ok(()) } else { Err(format!("{found} bad rows instead of {bad_rows}")) }
}

/// Compiles a file, which must be refused by name.
fn refused(name: &str, bytes: &[u8], words: &[&str]) -> Result<(), String> {
    let place = Place::new();
    place.write("data/good.jsonl", rows::jsonl(&rows::source("dialog")[..4]));
    place.write(&format!("data/{name}"), bytes);
    place.write("curriculum.yaml", harness::small("data/*", "", "1k"));
    let outcome = place.compile("out", &[]);
    if place.path("out/manifest.json").exists() {
        return Err("a dataset came of it".to_owned());
    }
    let mut all = vec![name];
    all.extend(words);
    failed(&outcome, 1, &all)
}

#[test]
fn lines_that_are_odd() {
    let mut class = Class::new("sources", "JSON Lines that are odd and right", "read as they say");
    let one = r#"{"text": "one"}"#;
    let mut case = |name: &str, lines: &[u8], texts: &[&str]| class.case(name, read_as("x.jsonl", lines, texts, 0));
    case("no newline at the end", format!("{one}\n{{\"text\": \"two\"}}").as_bytes(), &["one", "two"]);
    case("line ends of Windows", format!("{one}\r\n{{\"text\": \"two\"}}\r\n").as_bytes(), &["one", "two"]);
    case("a byte order mark", format!("\u{feff}{one}\n").as_bytes(), &["one"]);
    case("blank lines", format!("\n\n  \n{one}\n\n\t\n").as_bytes(), &["one"]);
    case("a key twice", br#"{"text": "first", "text": "last"}"#, &["last"]);
    case("a NUL as an escape", br#"{"text": "a\u0000b"}"#, &["a\0b"]);
    case("a pair of surrogates", br#"{"text": "\ud83e\udd80"}"#, &["🦀"]);
    case("a lone surrogate elsewhere", br#"{"text": "one", "other": "\ud800"}"#, &["one"]);
    case("a control token as text", br#"{"text": "a <|endoftext|> b"}"#, &["a <|endoftext|> b"]);
    case("an escaped key", br#"{"te\u0078t": "one"}"#, &["one"]);
    case("a mark within a text", "{\"text\": \"a\u{feff}b\"}".as_bytes(), &["a\u{feff}b"]);
    case("line separators of Unicode", "{\"text\": \"a\u{2028}b\u{85}c\"}".as_bytes(), &["a\u{2028}b\u{85}c"]);
    case("a form feed", b"{\"text\": \"a\\fb\"}", &["a\u{c}b"]);
    case("not a normal form", "{\"text\": \"e\u{301}\"}".as_bytes(), &["e\u{301}"]);
    case("noncharacters", "{\"text\": \"\u{ffff}\u{10ffff}\"}".as_bytes(), &["\u{ffff}\u{10ffff}"]);
    class.end();
}

#[test]
fn rows_that_are_bad() {
    let mut class =
        Class::new("sources", "rows that cannot be read", "an error with file and line, or counted where allowed");
    for (name, line) in [
        ("not UTF-8", &b"{\"text\": \"\xff\xfe\"}"[..]),
        ("UTF-8 cut", b"{\"text\": \"\xe2\x82\"}"),
        ("surrogates as UTF-8", b"{\"text\": \"\xed\xa0\x80\"}"),
        ("UTF-8 that is too long", b"{\"text\": \"\xc0\x80\"}"),
        ("a raw NUL", b"{\"text\": \"a\0b\"}"),
        ("a lone high surrogate", br#"{"text": "\ud800"}"#),
        ("a lone low surrogate", br#"{"text": "x\udc00y"}"#),
        ("surrogates in the wrong order", br#"{"text": "\udc00\ud800"}"#),
        ("a number", br#"{"text": 5}"#),
        ("a boolean", br#"{"text": true}"#),
        ("null", br#"{"text": null}"#),
        ("a list", br#"{"text": ["a"]}"#),
        ("an object", br#"{"text": {"text": "a"}}"#),
        ("no text", br#"{"words": "a"}"#),
        ("a key in other case", br#"{"Text": "a"}"#),
        ("an open string", br#"{"text": "a"#),
        ("two objects", br#"{"text": "a"} {"text": "b"}"#),
        ("a comma too many", br#"{"text": "a",}"#),
        ("single quotes", br"{'text': 'a'}"),
        ("a comment", br#"{"text": "a"} // b"#),
        ("not a number", br#"{"text": "a", "n": NaN}"#),
        ("nested a million deep", format!("{{\"text\": {}}}", "[".repeat(1_000_000)).as_bytes()),
    ] {
        let good = |text: &str| format!("{{\"text\": \"{text}\"}}\n").into_bytes();
        let file = [good("one"), line.to_vec(), b"\n".to_vec(), good("two")].concat();
        class.case(name, refused("x.jsonl", &file, &["line 2", "on_bad_row"]));
        class.case(&format!("{name}, counted"), read_as("x.jsonl", &file, &["one", "two"], 1));
    }
    class.end();
}

/// A Parquet file of one column, and an Arrow file.
fn tables(column: ArrayRef) -> [(&'static str, Vec<u8>); 2] {
    let batch = RecordBatch::try_from_iter_with_nullable([("text", column, true)]).unwrap();
    let mut parquet = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut arrow = Vec::new();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut arrow, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    [("x.parquet", parquet), ("x.arrow", arrow)]
}

#[test]
fn columns_of_wrong_types() {
    let mut class =
        Class::new("sources", "text columns of wrong types", "an error with file and row, or counted where allowed");
    let fields = vec![Arc::new(Field::new("a", DataType::Utf8, true))];
    let inner: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let columns: [(&str, ArrayRef); 9] = [
        ("whole numbers", Arc::new(Int64Array::from(vec![5]))),
        ("numbers", Arc::new(Float64Array::from(vec![f64::NAN]))),
        ("booleans", Arc::new(BooleanArray::from(vec![true]))),
        ("dates", Arc::new(Date32Array::from(vec![i32::MIN]))),
        ("lists", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]))),
        ("structs", Arc::new(StructArray::new(fields.into(), vec![inner], None))),
        ("nulls of a type", Arc::new(StringArray::from(vec![None::<&str>]))),
        ("nulls of none", Arc::new(NullArray::new(1))),
        ("bytes that are not UTF-8", Arc::new(BinaryArray::from(vec![&b"\xff"[..]]))),
    ];
    for (name, column) in columns {
        for (file, bytes) in tables(column) {
            class.case(&format!("{name}, {file}"), refused(file, &bytes, &["row 0"]));
            let place = Place::new();
            place.write("data/good.jsonl", "{\"text\": \"one\"}\n");
            place.write(&format!("data/{file}"), &bytes);
            place.write("curriculum.yaml", harness::small("data/*", ", on_bad_row: count", "300"));
            let outcome = place.compile("out", &[]);
            let counted = outcome.code == 0 && bad(&place, "out") == 1 && keys(&place, "out").len() == 1;
            class.case(&format!("{name}, {file}, counted"), if counted { Ok(()) } else { Err(outcome.stderr) });
        }
    }
    for (file, bytes) in tables(Arc::new(BinaryArray::from(vec!["bytes that are ü".as_bytes()]))) {
        class.case(&format!("bytes that are UTF-8, {file}"), read_as(file, &bytes, &["bytes that are ü"], 0));
    }
    for (file, bytes) in tables(Arc::new(StringArray::from(vec!["a\0b"]))) {
        class.case(&format!("a NUL, {file}"), read_as(file, &bytes, &["a\0b"], 0));
    }
    class.end();
}

#[test]
fn files_of_other_kinds() {
    let mut class = Class::new("sources", "files that are not what they seem", "read by content, or refused by name");
    let some = &rows::source("dialog")[..4];
    let texts: Vec<&str> = some.iter().filter_map(|row| rows::text(row, "text")).collect();
    for (name, bytes) in [
        ("parquet.jsonl", rows::parquet(some, 2)),
        ("arrow.txt", rows::arrow(some)),
        ("gz.jsonl", rows::jsonl_gz(some, 1 << 20)),
        ("zst.jsonl.gz", rows::jsonl_zst(some, 1 << 20)),
        ("lines.gz", rows::jsonl(some)),
        ("lines.parquet", rows::jsonl(some)),
    ] {
        let place = Place::new();
        place.write(&format!("data/{name}"), &bytes);
        place.write("curriculum.yaml", harness::small("data/*", "", "5k"));
        let outcome = place.compile("out", &[]);
        let whole = outcome.code == 0 && keys(&place, "out").len() == texts.iter().collect::<BTreeSet<_>>().len();
        class.case(name, if whole { Ok(()) } else { Err(outcome.stderr) });
    }
    for (name, bytes) in [
        ("empty.parquet", &b""[..]),
        ("empty.arrow", b""),
        ("empty.jsonl.gz", b""),
        ("empty.jsonl.zst", b""),
        ("text.parquet", b"no table at all"),
        ("text.arrow", b"no table at all"),
        ("text.gz", b"not packed"),
        ("xz.jsonl", b"\xfd7zXZ\0 and more"),
        ("zip.jsonl", b"PK\x03\x04 and more"),
        ("bz2.jsonl", b"BZh91AY&SY and more"),
        ("lz4.jsonl", b"\x04\x22\x4d\x18 and more"),
        ("7z.jsonl", b"7z\xbc\xaf\x27\x1c and more"),
        ("encrypted.parquet", b"PARE and more"),
        ("feather.arrow", b"FEA1 and more"),
    ] {
        class.case(name, refused(name, bytes, &[]));
    }
    class.case(
        "utf-16.jsonl",
        refused(
            "utf-16.jsonl",
            &"\u{feff}{\"text\": \"a\"}\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
            &["line 1"],
        ),
    );
    class.case("latin.txt", refused("latin.txt", b"caf\xe9", &[]));
    let packed = rows::parquet(some, 2);
    class.case(
        "packed.parquet.zst",
        refused("packed.parquet.zst", &zstd::encode_all(&packed[..], 1).unwrap(), &["decompress"]),
    );
    class.case("nul.txt", read_as("nul.txt", b"a\0b", &["a\0b"], 0));
    class.case("bom.txt", read_as("bom.txt", "\u{feff}a\r\nb".as_bytes(), &["a\r\nb"], 0));
    class.end();
}

/// Puts something where a source's file would be.
type Make<'a> = &'a dyn Fn(&Place);

#[test]
fn what_is_no_file() {
    let mut class = Class::new(
        "sources",
        "folders, pipes, links in circles, devices",
        "refused by name, exit code 2; nothing hangs",
    );
    let cases: [(&str, Make<'_>); 7] = [
        ("x.parquet", &|place| fs_err::create_dir(place.path("data/x.parquet")).unwrap()),
        ("x.jsonl", &|place| {
            assert!(Command::new("mkfifo").arg(place.path("data/x.jsonl")).status().unwrap().success());
        }),
        ("loop.jsonl", &|place| symlink(place.path("data/loop.jsonl"), place.path("data/loop.jsonl")).unwrap()),
        ("gone.jsonl", &|place| symlink(place.path("nowhere"), place.path("data/gone.jsonl")).unwrap()),
        ("zero.jsonl", &|place| symlink("/dev/zero", place.path("data/zero.jsonl")).unwrap()),
        ("self.jsonl", &|place| symlink(place.path("data"), place.path("data/self.jsonl")).unwrap()),
        ("socket.jsonl", &|place| {
            drop(std::os::unix::net::UnixListener::bind(place.path("data/socket.jsonl")).unwrap())
        }),
    ];
    for (name, make) in cases {
        let place = Place::new();
        place.write("data/good.jsonl", "{\"text\": \"one\"}\n");
        make(&place);
        place.write("curriculum.yaml", harness::small("data/*", "", "300"));
        let outcome = place.compile("out", &[]);
        let named = outcome.stderr.contains(name) && !place.path("out/manifest.json").exists();
        class.case(name, failed(&outcome, 2, &[]).and(if named { Ok(()) } else { Err(outcome.stderr.clone()) }));
    }
    // A folder that links to itself is walked once.
    let place = Place::new();
    place.write("data/good.jsonl", "{\"text\": \"one\"}\n");
    symlink(place.path("data"), place.path("data/again")).unwrap();
    place.write("curriculum.yaml", harness::small("data/**/*.jsonl", "", "300"));
    let outcome = place.compile("out", &[]);
    let once = outcome.code == 0 && keys(&place, "out").len() == 1;
    class.case("a folder within itself", if once { Ok(()) } else { Err(outcome.stderr) });
    class.end();
}
