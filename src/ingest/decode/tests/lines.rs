//! What lines of JSON may hold.

use super::write::{self, gzip};
use super::*;

fn read_bytes(bytes: &[u8], spec: &Arc<ReadSpec>) -> Vec<(At, Outcome)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    fs_err::write(&path, bytes).unwrap();
    read(&path, spec).unwrap()
}

fn one(line: &str) -> Outcome {
    let mut rows = read_bytes(line.as_bytes(), &spec(None));
    assert_eq!(rows.len(), 1, "{line}");
    rows.remove(0).1
}

#[test]
fn lines_are_numbered_as_an_editor_does() {
    let rows =
        read_bytes(b"\xEF\xBB\xBF\n{\"text\":\"a\"}\r\n  \n\n{\"text\":\"b\"}\noops\n{\"text\":\"c\"}", &spec(None));
    let places: Vec<(u64, Option<u64>)> = rows.iter().map(|(at, _)| (at.row, at.line)).collect();
    assert_eq!(places, [(0, Some(2)), (1, Some(5)), (2, Some(6)), (3, Some(7))]);
    assert!(matches!(&rows[2].1, Outcome::Bad(why) if why.contains("byte 1")));
    assert_eq!(rows[3].1, Outcome::Text("c".to_owned()));
    assert_eq!(rows[3].0.to_string(), "line 7");
}

#[test]
fn the_last_of_equal_keys_counts() {
    assert_eq!(one(r#"{"text":"a","text":"b"}"#), Outcome::Text("b".to_owned()));
    assert!(matches!(one(r#"{"text":"a","text":null}"#), Outcome::Bad(why) if why.contains("null")));
    let nested = spec_with(&["{a.b}"], None, Limits::default());
    let outcome = |line: &str| read_bytes(line.as_bytes(), &nested).remove(0).1;
    assert_eq!(outcome(r#"{"a":{"b":"1"},"a":{"b":"2"}}"#), Outcome::Text("2".to_owned()));
    assert!(matches!(outcome(r#"{"a":{"b":"1"},"a":{}}"#), Outcome::Bad(_)));
    assert!(matches!(outcome(r#"{"a":{"b":"1"},"a":7}"#), Outcome::Bad(_)));
    // The member of that very name goes before the path, wherever it stands.
    assert_eq!(outcome(r#"{"a.b":"x","a":{"b":"1"}}"#), Outcome::Text("x".to_owned()));
    assert_eq!(outcome(r#"{"a":{"b":"1"},"a.b":"x"}"#), Outcome::Text("x".to_owned()));
    assert_eq!(one(r#"{"te\u0078t":"escaped key"}"#), Outcome::Text("escaped key".to_owned()));
}

#[test]
fn strings_mean_what_serde_json_says() {
    let escapes = [
        "\\n",
        "\\t",
        "\\\"",
        "\\\\",
        "\\/",
        "\\b",
        "\\f",
        "\\r",
        "\\u00e9",
        "\\uD83D\\uDE00",
        "\\u0000",
        "é",
        "x",
        "日",
    ];
    for a in escapes {
        for b in escapes {
            for c in escapes {
                let json = format!("\"{a}{b}{c}\"");
                let expected: String = serde_json::from_str(&json).unwrap();
                assert_eq!(one(&format!("{{\"text\":{json}}}")), Outcome::Text(expected), "{json}");
            }
        }
    }
    for lone in ["\\uD83D", "\\uDE00", "\\uD83D\\uD83D", "\\uD83Dx", "\\uD83D\\n", "\\uD83D\\u0041", "\\uDE00\\uD83D"] {
        assert!(serde_json::from_str::<String>(&format!("\"{lone}\"")).is_err());
        assert!(
            matches!(one(&format!("{{\"text\":\"{lone}\"}}")), Outcome::Bad(why) if why.contains("surrogate")),
            "{lone}"
        );
        // Where the text is not wanted, what is in it does not matter.
        assert!(matches!(one(&format!("{{\"text\":\"ok\",\"other\":\"{lone}\"}}")), Outcome::Text(_)));
    }
}

#[test]
fn lines_that_are_not_one_object_are_bad() {
    for line in [
        "null",
        "1",
        "\"text\"",
        "[]",
        "[{\"text\":\"a\"}]",
        "{\"text\":\"a\"",
        "{\"text\":\"a\"}}",
        "{\"text\":\"a\"} {\"text\":\"b\"}",
        "{\"text\":'a'}",
        "{text:\"a\"}",
        "{\"text\":\"a\",}",
        "{\"text\":\"a\u{0}\"}",
        "{\"text\":\"a\tb\"}",
        "{\"text\":\"\\x\"}",
        "{\"text\":\"a\",\"n\":01}",
        "{\"text\":\"a\",\"n\":NaN}",
        "{\"text\":\"a\",\"n\":tru}",
        "\u{0}",
        "{\"text\":\"\\u12\"}",
    ] {
        assert!(matches!(one(line), Outcome::Bad(why) if why.contains("not a JSON object")), "{line:?}");
    }
    let rows = read_bytes(b"{\"text\":\"a\xFF\"}\n{\"text\":\"b\"}\n{\"text\":\"c\",\"o\":\"\xC3\"}", &spec(None));
    assert!(matches!(&rows[0].1, Outcome::Bad(why) if why.contains("UTF-8")));
    assert_eq!(rows[1].1, Outcome::Text("b".to_owned()));
    assert!(matches!(&rows[2].1, Outcome::Bad(why) if why.contains("UTF-8")));
}

#[test]
fn deep_json_is_no_danger() {
    let deep = "[".repeat(200_000);
    assert!(matches!(one(&format!("{{\"text\":\"a\",\"x\":{deep}}}")), Outcome::Bad(_)));
    let closed = format!("{{\"x\":{}{},\"text\":\"a\"}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(one(&closed), Outcome::Text("a".to_owned()));
    let objects = format!("{}\"x\"{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let nested = spec_with(&["{a.a.a}"], Some("a IS NOT NULL"), Limits::default());
    assert!(matches!(&read_bytes(objects.as_bytes(), &nested)[0].1, Outcome::Bad(why) if why.contains("an object")));
}

#[test]
fn a_line_beyond_the_bound_is_one_bad_row() {
    let limits = Limits { batch_bytes: 4096, max_document_bytes: 1000, ..Limits::default() };
    let bound = usize::try_from(limits.max_line_bytes()).unwrap();
    let line = |length: usize| format!("{{\"text\":\"short\",\"pad\":\"{}\"}}", "x".repeat(length - 25));
    assert_eq!(line(bound).len(), bound);
    let rows = [line(bound), line(bound + 1), line(100), line(bound * 3), line(bound - 1), line(bound * 2)];
    for batch_bytes in [100, 4096, bound, bound + 1, 16 << 20] {
        let spec = spec_with(&["{text}"], None, Limits { batch_bytes, ..limits });
        for open_end in [false, true] {
            let mut text = rows.join("\n");
            if !open_end {
                text.push('\n');
            }
            let got = read_bytes(text.as_bytes(), &spec);
            let good: Vec<bool> = got.iter().map(|(_, outcome)| matches!(outcome, Outcome::Text(_))).collect();
            assert_eq!(good, [true, false, true, false, true, false], "batches of {batch_bytes}");
            let lines: Vec<Option<u64>> = got.iter().map(|(at, _)| at.line).collect();
            assert_eq!(lines, (1..=6).map(Some).collect::<Vec<_>>());
            let why = format!("{:?}", got[3].1);
            assert!(why.contains(&format!("has {} bytes", bound * 3)), "{why}");
        }
    }
    let spec = spec_with(&["{text}"], None, limits);
    let text = |length: usize| format!("{{\"text\":\"{}\"}}", "é".repeat(length / 2));
    let got = read_bytes(format!("{}\n{}", text(1000), text(1002)).as_bytes(), &spec);
    assert!(matches!(&got[0].1, Outcome::Text(text) if text.len() == 1000));
    assert!(matches!(&got[1].1, Outcome::Bad(why) if why.contains("max_document_bytes")));
}

#[test]
fn a_bomb_is_read_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.jsonl.gz");
    let zeros = vec![b'0'; 40 << 20];
    fs_err::write(&path, gzip(&zeros, usize::MAX)).unwrap();
    let limits = Limits { batch_bytes: 1 << 16, max_document_bytes: 1000, ..Limits::default() };
    let rows = read(&path, &spec_with(&["{text}"], None, limits)).unwrap();
    assert!(matches!(&rows[..], [(_, Outcome::Bad(why))] if why.contains(&(40 << 20).to_string())));
    // A window of 256 MiB, which a decoder would have to hold.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    std::io::Write::write_all(&mut encoder, b"{\"text\":\"a\"}\n").unwrap();
    let path = folder.path().join("window.jsonl.zst");
    fs_err::write(&path, encoder.finish().unwrap()).unwrap();
    let error = read(&path, &spec(None)).unwrap_err().to_string();
    assert!(error.contains("128 MiB"), "{error}");
    assert_eq!(write::zstd(b"", 1).len(), 0);
}

#[test]
fn what_follows_a_stream_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let line = b"{\"text\":\"a\"}\n";
    let skippable = [&[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    for (packed, rows) in [
        ([gzip(line, 5), gzip(line, 100)].concat(), Some(2)),
        ([gzip(line, 100), b"garbage".to_vec()].concat(), None),
        ([write::zstd(line, 5), skippable.clone(), write::zstd(line, 100)].concat(), Some(2)),
        ([skippable, write::zstd(line, 100)].concat(), Some(1)),
        ([write::zstd(line, 100), b"garbage".to_vec()].concat(), None),
    ] {
        fs_err::write(&path, packed).unwrap();
        match (read(&path, &spec(None)), rows) {
            (Ok(got), Some(rows)) => assert_eq!(got.len(), rows),
            (Err(Error::Source { message, .. }), None) => assert!(message.contains("stream"), "{message}"),
            (got, want) => panic!("{got:?}, not {want:?}"),
        }
    }
}

mod columns {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::super::super::json::{Slot, Tree};
    use super::super::super::value::Value;
    use crate::curriculum::filter::Number;

    /// Objects over few keys, so that they repeat and cross.
    fn object() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            (-20_i32..20).prop_map(|n| n.to_string()),
            (-20_i32..20).prop_map(|n| format!("{}.5", n)),
            "[a-c\\\\n]{0,3}".prop_map(|text| format!("{:?}", text)),
            Just("[{\"a\": 1}, \"x\"]".to_owned()),
        ];
        let value = leaf.prop_recursive(3, 16, 4, |inner| members(inner.boxed()));
        members(value.boxed())
    }

    fn members(value: BoxedStrategy<String>) -> impl Strategy<Value = String> {
        let key = proptest::sample::select(&["a", "b", "a.b", "a.b.c", "c", "b.c", "x"][..]);
        proptest::collection::vec((key, value), 0..5).prop_map(|members| {
            let members: Vec<String> = members.iter().map(|(key, value)| format!(" \"{key}\" : {value}")).collect();
            format!("{{{} }}", members.join(","))
        })
    }

    fn look_up<'j>(row: &'j Json, name: &str) -> Option<&'j Json> {
        row.get(name).or_else(|| name.split('.').try_fold(row, |at, key| at.as_object()?.get(key)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn are_found_as_by_a_whole_parse(line in object()) {
            let columns = ["a", "a.b", "a.b.c", "b.c", "c"].map(str::to_owned);
            let tree = Tree::new(&columns);
            let mut slots = vec![Slot::default(); columns.len()];
            tree.read(&line, &mut slots).unwrap();
            let row: Json = serde_json::from_str(&line).unwrap();
            for (name, slot) in columns.iter().zip(&slots) {
                let expected = match look_up(&row, name) {
                    None => Value::Absent,
                    Some(Json::Null) => Value::Null,
                    Some(Json::Bool(truth)) => Value::Boolean(*truth),
                    Some(Json::Number(number)) => Value::Number(Number::parse(&number.to_string()).unwrap()),
                    Some(Json::String(text)) => Value::Text(text.as_str().into()),
                    Some(Json::Array(_)) => Value::Other("a list"),
                    Some(Json::Object(_)) => Value::Other("an object"),
                };
                prop_assert_eq!(slot.value(), expected, "{} of {}", name, line);
            }
        }
    }
}
