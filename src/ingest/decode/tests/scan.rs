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
