//! The same rows, whatever they are stored in.

use super::write::{self, Spelling, TextType, json_lines};
use super::*;

#[test]
fn every_format_gives_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let docs = docs(97);
    let expected: Vec<Outcome> = docs.iter().map(|doc| Outcome::Text(doc.text.clone().unwrap())).collect();
    for batch_bytes in [1, 700, 1 << 20] {
        let spec = spec_with(&["{text}"], None, Limits { batch_bytes, ..Limits::default() });
        for path in write::everything(folder.path(), &docs) {
            assert_eq!(outcomes(&path, &spec), expected, "{} at {batch_bytes}", path.display());
        }
    }
}

#[test]
fn templates_join_columns_and_bad_rows_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut docs = docs(60);
    docs[3].text = None;
    let expected: Vec<Result<String, &str>> = docs
        .iter()
        .map(|doc| match (doc.meta.clone().flatten(), &doc.text) {
            (Some(title), Some(text)) => Ok(format!("# {title}\n\n{text}")),
            (None, _) => Err("meta.title"),
            (_, None) => Err("`text`"),
        })
        .collect();
    let spec =
        spec_with(&["# ", "{meta.title}", "\n\n", "{text}"], None, Limits { batch_bytes: 900, ..Limits::default() });
    for path in write::everything(folder.path(), &docs) {
        for (row, (got, want)) in outcomes(&path, &spec).into_iter().zip(&expected).enumerate() {
            match (got, want) {
                (Outcome::Text(text), Ok(want)) => assert_eq!(text, *want),
                (Outcome::Bad(why), Err(column)) => assert!(why.contains(column), "{why}"),
                (got, want) => panic!("{} row {row}: {got:?}, not {want:?}", path.display()),
            }
        }
    }
}

#[test]
fn columns_that_are_no_text_are_bad_rows_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let docs = docs(20);
    for (column, why) in [
        ("stars", "`stars` is"),
        ("meta", "`meta` is"),
        ("clean", "`clean` is"),
        ("nothing", "no column `nothing`"),
        ("meta.nothing", "no column `meta.nothing`"),
        ("text.nothing", "no column `text.nothing`"),
    ] {
        let spec = spec_with(&[&format!("{{{column}}}")], None, Limits::default());
        for path in write::everything(folder.path(), &docs) {
            let rows = outcomes(&path, &spec);
            assert_eq!(rows.len(), docs.len());
            for row in rows {
                // A null is bad too, and in JSON a member that is left out is absent.
                let absent = format!("no column `{column}`");
                assert!(
                    matches!(&row, Outcome::Bad(got) if got.contains(why) || got.contains(&absent)),
                    "{} {column}: {row:?}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn reading_goes_on_from_any_row() {
    let folder = tempfile::tempdir().unwrap();
    let docs = docs(41);
    for condition in [None, Some("stars >= 0")] {
        let spec = spec(condition);
        for path in write::everything(folder.path(), &docs) {
            let whole = read(&path, &spec).unwrap();
            for unit in units(&source_file(&path), &spec).unwrap() {
                let rows = unit.rows.unwrap_or(whole.len() as u64 - unit.first_row);
                for skip in 0..=rows {
                    let mut reader = unit.open(&spec).unwrap();
                    reader.skip_rows(skip).unwrap();
                    let mut rest = Vec::new();
                    while let Some(batch) = reader.next_batch().unwrap() {
                        visit(&batch, &mut rest).unwrap();
                    }
                    let from = usize::try_from(unit.first_row + skip).unwrap();
                    let to = usize::try_from(unit.first_row + rows).unwrap();
                    assert_eq!(rest, whole[from..to], "{} from row {skip}", path.display());
                }
                let mut reader = unit.open(&spec).unwrap();
                reader.skip_rows(rows + 1).unwrap();
                assert!(reader.next_batch().is_err(), "{}", path.display());
            }
        }
    }
}

#[test]
fn the_format_is_told_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let docs = docs(5);
    let expected: Vec<Outcome> = docs.iter().map(|doc| Outcome::Text(doc.text.clone().unwrap())).collect();
    let spec = spec(None);
    let lines = json_lines(&docs, Spelling::default());
    let place = |name: &str| folder.path().join(name);
    for name in ["x", "x.parquet", "x.jsonl.gz", "x.txt", "x.arrow"] {
        write::parquet(&place(name), &docs, TextType::Utf8, write::parquet_layouts().remove(0).1);
        assert_eq!(outcomes(&place(name), &spec), expected, "Parquet as {name}");
        write::arrow_file(&place(name), &docs, TextType::Utf8, 3, None);
        assert_eq!(outcomes(&place(name), &spec), expected, "Arrow file as {name}");
        write::arrow_stream(&place(name), &docs, TextType::Utf8, 3, None);
        assert_eq!(outcomes(&place(name), &spec), expected, "Arrow stream as {name}");
    }
    for name in ["x", "x.json", "x.parquet", "x.jsonl.gz", "x.zst", "x.data"] {
        for bytes in [lines.clone(), write::gzip(&lines, 50), write::zstd(&lines, 50)] {
            fs_err::write(place(name), bytes).unwrap();
            assert_eq!(outcomes(&place(name), &spec), expected, "JSON Lines as {name}");
        }
    }
    // What an ending promises and the content is not, is an error and never a text.
    for (name, bytes) in [
        ("x.parquet", &b"some text"[..]),
        ("x.arrow", b""),
        ("x.txt.gz", b"\x1f"),
        ("x.jsonl.zst", b"some text"),
        ("x", b"\xFD7zXZ\0 and so on"),
        ("x.jsonl", b"PK\x03\x04"),
    ] {
        fs_err::write(place(name), bytes).unwrap();
        assert!(matches!(read(&place(name), &spec), Err(Error::Source { .. })), "{name}");
    }
    fs_err::write(place("x.gz"), write::gzip(&fs_err::read(folder.path().join("x.parquet")).unwrap(), 1000)).unwrap();
    write::parquet(&place("y.parquet"), &docs, TextType::Utf8, write::parquet_layouts().remove(0).1);
    fs_err::write(place("y.parquet.gz"), write::gzip(&fs_err::read(place("y.parquet")).unwrap(), 100_000)).unwrap();
    let error = read(&place("y.parquet.gz"), &spec).unwrap_err().to_string();
    assert!(error.contains("compressed table"), "{error}");
}

#[test]
fn a_text_file_is_one_document() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("a.md");
    for (bytes, text) in [
        (&b"# Title\r\n\r\nbody"[..], "# Title\r\n\r\nbody"),
        (b"\xEF\xBB\xBFx\n", "x\n"),
        (b"", ""),
        (b"{\"a\": 1}", "{\"a\": 1}"),
    ] {
        for stored in [bytes.to_vec(), write::gzip(bytes, 3), write::zstd(bytes, 3)] {
            if stored.is_empty() && !bytes.is_empty() {
                continue;
            }
            fs_err::write(&place, &stored).unwrap();
            for column in ["{text}", "{content}"] {
                let spec = spec_with(&[column], None, Limits::default());
                assert_eq!(outcomes(&place, &spec), [Outcome::Text(text.to_owned())]);
            }
        }
    }
    fs_err::write(&place, b"caf\xE9").unwrap();
    assert!(matches!(&outcomes(&place, &spec(None))[..], [Outcome::Bad(why)] if why.contains("byte 3")));
    let templated = spec_with(&["{title}", "{text}"], None, Limits::default());
    assert!(matches!(&outcomes(&place, &templated)[..], [Outcome::Bad(why)] if why.contains("title")));
    let limits = Limits { max_document_bytes: 5, ..Limits::default() };
    fs_err::write(&place, b"123456").unwrap();
    assert!(
        matches!(&outcomes(&place, &spec_with(&["{text}"], None, limits))[..], [Outcome::Bad(why)] if why.contains("max_document_bytes"))
    );
    fs_err::write(&place, b"12345").unwrap();
    assert_eq!(outcomes(&place, &spec_with(&["{text}"], None, limits)), [Outcome::Text("12345".to_owned())]);
}

#[test]
fn samples_see_a_part_and_count_what_they_saw() {
    let folder = tempfile::tempdir().unwrap();
    let docs = docs(400);
    let bytes: u64 = docs.iter().map(|doc| doc.text.as_ref().unwrap().len() as u64).sum();
    for path in write::everything(folder.path(), &docs) {
        let file = source_file(&path);
        let whole = estimate(&file, &spec(Some("stars >= 0 OR nowhere = 1")), u64::MAX, &mut |_| Ok(())).unwrap();
        assert_eq!(whole.share, 1.0);
        assert_eq!((whole.rows, whole.texts + whole.excluded), (400, 400), "{}", path.display());
        assert_eq!(whole.presence.missing(&spec(Some("stars >= 0 OR nowhere = 1"))), ["nowhere"], "{}", path.display());
        let part = estimate(&file, &spec(None), 6000, &mut |_| Ok(())).unwrap();
        assert!(part.share > 0.0 && part.share <= 1.0);
        let guess = part.estimated_text_bytes() / bytes as f64;
        assert!((0.3..3.0).contains(&guess), "{}: {guess} of {part:?}", path.display());
        let texts = texts(&file, &spec(None), 5, 1 << 20).unwrap();
        let first: Vec<String> = docs.iter().take(5).map(|doc| doc.text.clone().unwrap()).collect();
        assert_eq!(texts, first);
    }
}
