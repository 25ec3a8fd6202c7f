//! Batches keep to their bounds.

use super::write::{self, TextType};
use super::*;

#[test]
fn batches_are_near_their_budget() {
    let folder = tempfile::tempdir().unwrap();
    // Long documents among short ones: no mean foretells them.
    let docs: Vec<Doc> = (0..3000)
        .map(|i| Doc { text: Some("x".repeat(if i % 500 == 77 { 60_000 } else { 40 })), ..Doc::default() })
        .collect();
    let budget = 20_000;
    let spec = spec_with(&["{text}"], None, Limits { batch_bytes: budget, ..Limits::default() });
    let layout = || {
        ::parquet::file::properties::WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_data_page_size_limit(8_000)
            .set_write_batch_size(16)
    };
    let path = folder.path().join("x.parquet");
    write::parquet(&path, &docs, TextType::Utf8, layout());
    let mut batches = 0;
    for unit in units(&source_file(&path), &spec).unwrap() {
        let mut reader = unit.open(&spec).unwrap();
        while let Some(batch) = reader.next_batch().unwrap() {
            assert!(batch.bytes() < budget + 80_000, "{}", batch.bytes());
            batches += 1;
        }
    }
    assert!((5..60).contains(&batches), "{batches}");
}

#[test]
fn a_page_above_the_bound_is_refused_before_it_is_inflated() {
    let folder = tempfile::tempdir().unwrap();
    let docs = vec![Doc { text: Some("a".repeat(3 << 20)), ..Doc::default() }];
    let limits = Limits { max_page_bytes: 1 << 20, ..Limits::default() };
    let spec = spec_with(&["{text}"], None, limits);
    let path = folder.path().join("x.parquet");
    write::parquet(&path, &docs, TextType::Utf8, write::parquet_layouts().remove(1).1);
    let error = read(&path, &spec).unwrap_err().to_string();
    assert!(error.contains("row group 0, column text") && error.contains("--memory"), "{error}");
    assert!(fs_err::metadata(&path).unwrap().len() < 20_000);
    for compression in [None, Some(arrow::ipc::CompressionType::ZSTD)] {
        let path = folder.path().join("x.arrow");
        write::arrow_file(&path, &docs, TextType::Utf8, 10, compression);
        let error = read(&path, &spec).unwrap_err().to_string();
        assert!(error.contains("record batch 0") && error.contains("--memory"), "{error}");
    }
    let roomy = spec_with(&["{text}"], None, Limits { max_page_bytes: 4 << 20, ..Limits::default() });
    assert_eq!(outcomes(&path, &roomy), [Outcome::Text("a".repeat(3 << 20))]);
}

#[test]
fn a_repeated_dictionary_value_is_not_copied_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let docs = vec![Doc { text: Some("a".repeat(1 << 20)), ..Doc::default() }; 500];
    let path = folder.path().join("x.parquet");
    let layout = ::parquet::file::properties::WriterProperties::builder().set_dictionary_page_size_limit(4 << 20);
    write::parquet(&path, &docs, TextType::Utf8, layout);
    let spec = spec_with(&["{text}"], None, Limits::default());
    let rows = read_lengths(&path, &spec);
    assert_eq!(rows, vec![1 << 20; 500]);
}

fn read_lengths(path: &Path, spec: &Arc<ReadSpec>) -> Vec<usize> {
    let mut lengths = Vec::new();
    for unit in units(&source_file(path), spec).unwrap() {
        let mut reader = unit.open(spec).unwrap();
        while let Some(batch) = reader.next_batch().unwrap() {
            batch
                .visit(&mut |_, row| {
                    if let Row::Text(text) = row {
                        assert!(matches!(text, Cow::Borrowed(_)));
                        lengths.push(text.len());
                    }
                    Ok(())
                })
                .unwrap();
        }
    }
    lengths
}

#[test]
fn plain_texts_are_borrowed() {
    let folder = tempfile::tempdir().unwrap();
    let docs: Vec<Doc> = (0..50).map(|i| Doc { text: Some(format!("no escapes {i}")), ..Doc::default() }).collect();
    let expected: Vec<usize> = docs.iter().map(|doc| doc.text.as_ref().unwrap().len()).collect();
    for path in write::everything(folder.path(), &docs) {
        if !path.to_string_lossy().contains("ascii") {
            assert_eq!(read_lengths(&path, &spec(None)), expected);
        }
    }
}

#[test]
fn values_that_share_prefixes_stay_within_the_bound() {
    let folder = tempfile::tempdir().unwrap();
    // Two thousand texts of 50 kB in a page of some 60 kB.
    let prefix = "x".repeat(50_000);
    let docs: Vec<Doc> = (0..2000).map(|i| Doc { text: Some(format!("{prefix}{i}")), ..Doc::default() }).collect();
    let path = folder.path().join("x.parquet");
    let layout = ::parquet::file::properties::WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding("text".into(), ::parquet::basic::Encoding::DELTA_BYTE_ARRAY);
    write::parquet(&path, &docs, TextType::Utf8, layout);
    assert!(fs_err::metadata(&path).unwrap().len() < 300_000);
    let limits = Limits { batch_bytes: 1 << 20, max_page_bytes: 1 << 20, ..Limits::default() };
    let spec = spec_with(&["{text}"], None, limits);
    let mut rows = 0;
    for unit in units(&source_file(&path), &spec).unwrap() {
        let mut reader = unit.open(&spec).unwrap();
        while let Some(batch) = reader.next_batch().unwrap() {
            assert!(batch.bytes() < 3 << 20, "{}", batch.bytes());
            rows += batch.rows;
        }
    }
    assert_eq!(rows, 2000);
}

#[test]
fn text_of_rows_that_are_left_out_is_not_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let docs: Vec<Doc> = (0..26)
        .map(|i| Doc { text: Some(format!("text {i}").repeat(100)), stars: Some(i), ..Doc::default() })
        .collect();
    let path = folder.path().join("x.parquet");
    write::parquet(&path, &docs, TextType::Utf8, write::parquet_layouts().remove(3).1);
    // Damage the first page of the text: rows 0 to 4 or so.
    let mut bytes = fs_err::read(&path).unwrap();
    let at = bytes.windows(6).position(|window| window == b"text 0").unwrap();
    bytes[at - 8..at + 40].fill(0xFF);
    fs_err::write(&path, &bytes).unwrap();
    assert!(read(&path, &spec(None)).is_err());
    let rows = outcomes(&path, &spec(Some("stars >= 6")));
    for (row, (got, doc)) in rows.iter().zip(&docs).enumerate() {
        let expected = if row < 6 { Outcome::Excluded } else { Outcome::Text(doc.text.clone().unwrap()) };
        assert_eq!(*got, expected, "row {row}");
    }
    // With the text in the condition it has to be read.
    assert!(read(&path, &spec(Some("stars >= 6 AND text <> ''"))).is_err());
}

#[test]
fn batches_go_from_thread_to_thread() {
    fn may_travel<T: Send + Sync>() {}
    fn may_move<T: Send + ?Sized>() {}
    may_travel::<Batch>();
    may_travel::<Unit>();
    may_move::<dyn UnitReader + Send>();
}
