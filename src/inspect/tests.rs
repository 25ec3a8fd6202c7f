use syllabus_reader::Dataset;

use super::*;
use crate::tokenize::Encoder;
use crate::verify::tests::fixture::{BOS, EOS, Small};

/// Every id is one letter.
struct Letters;

impl Tokenizer for Letters {
    fn encoder(&self) -> Box<dyn Encoder + Send + '_> {
        panic!("decodes only")
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        assert!(!ids.contains(&BOS) && !ids.contains(&EOS));
        Ok(ids.iter().map(|&id| char::from_u32(0x4E00 + id).unwrap()).collect())
    }

    fn lossless(&self) -> bool {
        true
    }

    fn backend(&self) -> &str {
        "letters"
    }

    fn encoder_bytes(&self) -> u64 {
        0
    }
}

fn small() -> (tempfile::TempDir, Small, Dataset) {
    let dir = tempfile::tempdir().unwrap();
    let small = Small::new();
    small.write(dir.path());
    let dataset = Dataset::open(dir.path()).unwrap();
    (dir, small, dataset)
}

fn letters(ids: &[u32]) -> String {
    let text: Vec<u32> = ids.iter().copied().filter(|&id| id != BOS && id != EOS).collect();
    Letters.decode(&text).unwrap()
}

#[test]
fn a_window_shows_its_documents_and_their_text() {
    let (_dir, small, dataset) = small();
    let expected = &small.sets[1][2];
    let n = small.sets[0].len() as u64 + 2;
    let view = window(&dataset, n, Some(&Letters)).unwrap();
    assert_eq!((view.window, view.phase.as_str(), view.file.as_str()), (n, "late", "late/00000.bin"));
    assert_eq!(view.documents.len(), expected.fragments.len());
    for (part, fragment) in view.documents.iter().zip(&expected.fragments) {
        let ids = &expected.tokens[fragment.start as usize..(fragment.start + fragment.length) as usize];
        assert_eq!(part.text.as_deref(), Some(letters(ids).as_str()));
        assert_eq!(part.document, fragment.document.to_string());
        assert!(view.to_text().contains(&part.document));
    }
    let json = serde_json::to_value(window(&dataset, n, None).unwrap()).unwrap();
    assert_eq!(json["source"], view.source);
    assert!(json["documents"][0].get("text").is_none());
    assert!(window(&dataset, dataset.len(), None).is_err());
}

#[test]
fn a_step_lists_its_windows() {
    let (_dir, small, dataset) = small();
    let step = windows(&dataset, 16..20).unwrap();
    let expected: Vec<usize> = small.sets.concat()[16..20].iter().map(|window| window.fragments.len()).collect();
    assert_eq!(step.windows.iter().map(|window| window.documents.len()).collect::<Vec<_>>(), expected);
    assert_eq!(step.to_text().lines().count(), 4 + expected.iter().sum::<usize>());
    assert!(windows(&dataset, 4..4).is_err());
    assert!(windows(&dataset, 40..60).is_err());
}

#[test]
fn a_documents_fate() {
    let (_dir, small, dataset) = small();
    // One of the source that goes through several epochs: read whole in each finished one.
    let fragments = || small.sets[..2].iter().flatten().filter(|w| w.source == 1).flat_map(|w| &w.fragments);
    let key = fragments().next().unwrap().document;
    let view = document(&dataset, key.into(), Some(&Letters)).unwrap();
    assert_eq!(view.readings.len(), fragments().filter(|f| f.document == key).count());
    let first: u32 = view.readings.iter().filter(|r| r.epoch == 0).map(|r| r.length).sum();
    assert_eq!(view.text.as_ref().unwrap().chars().count(), first as usize - 2);
    assert!(view.absence.is_none());

    let held_out = small.sets[2][0].fragments[0].document;
    let view = document(&dataset, held_out.into(), None).unwrap();
    assert!(view.readings.iter().all(|reading| reading.held_out) && !view.readings.is_empty());
    assert!(view.to_text().contains("held out in validation/web, window 0"));

    let removed = document(&dataset, 5, None).unwrap();
    assert_eq!((removed.removed.len(), removed.removed[0].reason.as_str()), (1, "exact"));
    assert!(removed.to_text().contains("removed from web: exact"));

    let nothing = document(&dataset, 77, None).unwrap();
    assert_eq!(nothing.absence, Some(Absence::InNoWindow));
    assert_eq!(serde_json::to_value(&nothing).unwrap()["absence"], "in_no_window");
}

#[test]
fn text_cannot_move_the_terminal() {
    assert_eq!(quoted("a\nb\u{1b}[2Jc\r\td"), "| a\n| b\\u{1b}[2Jc\\r\td");
}

#[test]
fn another_tokenizer_is_refused() {
    let (_dir, small, _dataset) = small();
    let contract = &small.manifest.tokenizer;
    assert!(check_tokenizer(contract, &contract.digest).is_ok());
    assert!(check_tokenizer(contract, "00").is_err());
}
