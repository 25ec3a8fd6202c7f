//! A dataset that keeps its promises has no findings; one that breaks any of them has one that names the file.

pub(crate) mod fixture;

use std::path::Path;

use fixture::{EOS, Small};
use syllabus_reader::format::manifest::Manifest;

use super::{Options, VerifyReport, run, run_with};

fn verify(dir: &Path) -> VerifyReport {
    run(dir, false, &|_| {}).unwrap()
}

fn bent(bend: impl FnOnce(&mut Small)) -> VerifyReport {
    let dir = tempfile::tempdir().unwrap();
    let mut small = Small::new();
    bend(&mut small);
    small.write(dir.path());
    verify(dir.path())
}

/// Findings of a bent dataset: at least one, in this file, with these words.
#[track_caller]
fn found(file: &str, words: &str, bend: impl FnOnce(&mut Small)) {
    let report = bent(bend);
    let hit = report.findings.iter().any(|finding| finding.file == file && finding.message.contains(words));
    assert!(hit, "no `{words}` of {file} in {:#?}", report.findings);
}

#[test]
fn a_sound_dataset_has_no_findings() {
    let dir = tempfile::tempdir().unwrap();
    Small::new().write(dir.path());
    let report = verify(dir.path());
    assert_eq!(report.findings, []);
    assert_eq!(report.not_checked, Vec::<String>::new());
    assert_eq!(report.windows, 48 + Small::new().sets[2].len() as u64);
    assert_eq!(report.tokens, report.windows * u64::from(fixture::W));
    assert!(report.error().is_none());
    let quick = run(dir.path(), true, &|_| {}).unwrap();
    assert_eq!(quick.findings, []);
    assert_eq!(quick.not_checked.len(), 1);
}

#[test]
fn the_fixture_goes_through_epochs_and_leaves_some_unused() {
    let small = Small::new();
    let epoch = |source| {
        let windows = small.sets[..2].iter().flatten().filter(|window| window.source == source);
        windows.flat_map(|window| &window.fragments).map(|fragment| fragment.epoch).max().unwrap()
    };
    assert_eq!(epoch(0), 0);
    assert!(epoch(1) >= 2);
    assert!(small.ledger.iter().any(|row| row.outcome == "unused" && row.source == "web" && row.tokens > Some(0)));
}

#[test]
fn many_passes_find_what_one_finds() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = Small::new();
    let first = small.sets[0][0].clone();
    small.sets[0][3].fragments.clone_from(&first.fragments);
    small.sets[0][3].tokens.clone_from(&first.tokens);
    small.write(dir.path());
    let one = verify(dir.path());
    assert!(!one.findings.is_empty());
    let many = run_with(dir.path(), &Options { quick: false, memory: 1_000 }, &|_| {}).unwrap();
    assert_eq!(many, one);
}

#[test]
fn no_manifest_is_an_error_and_a_broken_one_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run(dir.path(), false, &|_| {}).is_err());
    Small::new().write(dir.path());
    let path = Manifest::path(dir.path());
    let json = fs_err::read_to_string(&path).unwrap().replace("\"small\"", "\"Small\"");
    fs_err::write(&path, json).unwrap();
    let report = verify(dir.path());
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].file, "manifest.json");
    assert_eq!(report.error().unwrap().exit_code(), 4);
}

/// One bit of any file of the dataset: found, unless it lies in Arrow's or Parquet's own bytes, which say nothing of the data.
#[test]
fn a_flipped_bit_is_found() {
    let dir = tempfile::tempdir().unwrap();
    Small::new().write(dir.path());
    let check = |name: &str, step: usize| {
        let path = dir.path().join(name);
        let bytes = fs_err::read(&path).unwrap();
        let mut unseen = 0;
        for i in (0..bytes.len()).step_by(step) {
            let mut flipped = bytes.clone();
            flipped[i] ^= 1 << (i % 8);
            fs_err::write(&path, flipped).unwrap();
            match run(dir.path(), false, &|_| {}) {
                Ok(report) if report.findings.is_empty() => unseen += 1,
                Ok(report) => {
                    let file = &report.findings[0].file;
                    assert!(report.findings.iter().any(|finding| finding.file == name), "{name} {i}: {file}");
                }
                // The format version, made newer.
                Err(error) => assert_eq!(name, "manifest.json", "{error}"),
            }
        }
        fs_err::write(&path, &bytes).unwrap();
        unseen
    };
    assert_eq!(check("early/00001.bin", 3), 0);
    assert_eq!(check("early/00001.idx", 5), 0);
    assert_eq!(check("validation/web/00000.bin", 7), 0);
    assert_eq!(check("manifest.json", 41), 0);
    // Reading a broken Parquet or Arrow file never panics; most of its bytes count.
    check("early/00001.arrow", 29);
    check("ledger.parquet", 31);
    check("removed.parquet", 31);
    assert_eq!(verify(dir.path()).findings, []);
}

#[test]
fn missing_cut_and_stray_files_are_named() {
    let files = [
        "early/00000.bin",
        "late/00001.arrow",
        "late/00000.idx",
        "validation/web/00000.bin",
        "ledger.parquet",
        "removed.parquet",
    ];
    for name in files {
        for quick in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            Small::new().write(dir.path());
            let path = dir.path().join(name);
            let bytes = fs_err::read(&path).unwrap();
            fs_err::write(&path, &bytes[..bytes.len() - 1]).unwrap();
            let report = run(dir.path(), quick, &|_| {}).unwrap();
            assert!(report.findings.iter().any(|finding| finding.file == name), "{name} cut: {:?}", report.findings);
            fs_err::remove_file(&path).unwrap();
            let report = run(dir.path(), quick, &|_| {}).unwrap();
            assert!(report.findings.iter().any(|finding| finding.file == name), "{name} gone: {:?}", report.findings);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    Small::new().write(dir.path());
    fs_err::write(dir.path().join("early/00009.bin"), b"left over").unwrap();
    let report = verify(dir.path());
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].file, "early/00009.bin");
}

#[test]
fn a_token_read_twice_is_found() {
    let report = bent(|small| {
        let again = small.sets[0][0].clone();
        small.sets[1][0] = Clone::clone(&again);
    });
    assert!(report.findings.iter().any(|finding| finding.message.contains("read twice in epoch 0")), "{report:#?}");
}

#[test]
fn a_token_missing_in_a_finished_epoch_is_found() {
    // Code's epoch 0 is finished: a window of it is replaced by one of a document that nobody knows.
    let report = bent(|small| {
        let of_code =
            |window: &&mut fixture::Window| window.source == 1 && window.fragments.iter().all(|f| f.epoch == 0);
        let window = small.sets[0].iter_mut().find(of_code).unwrap();
        for fragment in &mut window.fragments {
            fragment.document = (u128::from(fragment.document) ^ 1).into();
        }
    });
    let messages: Vec<_> = report.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert!(messages.iter().any(|message| message.contains("are missing in epoch 0")), "{messages:#?}");
    assert!(messages.iter().any(|message| message.contains("documents, but epoch 0 reads")), "{messages:#?}");
}

#[test]
fn a_document_without_its_bos_or_eos_is_found() {
    let whole = |fragment: &&syllabus_reader::format::Fragment| {
        fragment.offset == 0 && fragment.start + fragment.length < fixture::W
    };
    let place = |small: &Small| {
        let all = small.sets[0].iter().enumerate();
        let mut hits = all.filter_map(|(i, window)| Some((i, *window.fragments.iter().find(whole)?)));
        hits.next().unwrap()
    };
    found("early/00000.bin", "does not begin with BOS", |small| {
        let (i, fragment) = place(small);
        small.sets[0][i].tokens[fragment.start as usize] = 50;
    });
    found("early/00000.arrow", "does not end with EOS", |small| {
        let (i, fragment) = place(small);
        small.sets[0][i].tokens[(fragment.start + fragment.length - 1) as usize] = 50;
    });
    found("validation/web/00000.arrow", "does not end with EOS", |small| {
        let window = &mut small.sets[2][0];
        let at = window.tokens.iter().position(|&token| token == EOS).unwrap();
        window.tokens[at] = 50;
    });
}

#[test]
fn a_held_out_document_in_a_phase_is_found() {
    found("early/00000.arrow", "held out in `validation/web`", |small| {
        let key = small.sets[2][0].fragments[0].document;
        small.sets[0][0].fragments[0].document = key;
    });
}

#[test]
fn ids_outside_the_vocabulary_and_wrong_padding_are_found() {
    found("late/00001.bin", "id 100 is outside the vocabulary of 100", |small| small.sets[1][8].tokens[4] = 100);
    found("manifest.json", "max_token_id is", |small| small.manifest.max_token_id += 1);
    found("validation/web/00000.bin", "its padding is not 2", |small| {
        let last = small.sets[2].last_mut().unwrap();
        assert!(last.padding > 0);
        *last.tokens.last_mut().unwrap() = 50;
    });
}

#[test]
fn fragments_that_do_not_tile_are_found() {
    found("early/00000.arrow", "do not tile", |small| small.sets[0][1].fragments[0].start = 1);
    found("early/00000.arrow", "are not 9", |small| small.sets[0][1].fragments.last_mut().unwrap().length += 1);
    found("early/00000.arrow", "are not 9", |small| small.sets[0][1].padding = 1);
}

#[test]
fn an_index_that_differs_from_the_fragments_is_found() {
    let dir = tempfile::tempdir().unwrap();
    Small::new().write(dir.path());
    let path = dir.path().join("early/00000.idx");
    let lengths = vec![fixture::W; 7];
    let bytes = syllabus_reader::format::idx::encode(syllabus_reader::format::TokenDtype::U16, &lengths).unwrap();
    fs_err::write(&path, bytes).unwrap();
    let report = verify(dir.path());
    let of_idx: Vec<_> = report.findings.iter().filter(|finding| finding.file == "early/00000.idx").collect();
    assert_eq!(of_idx.len(), 2, "{of_idx:#?}");
    assert!(of_idx[1].message.contains("sequence 0 is 9 tokens"), "{of_idx:#?}");
}

#[test]
fn counts_that_differ_from_the_windows_are_found() {
    found("manifest.json", "windows of `web`, but its shards have", |small| {
        small.manifest.phases[0].sources[0].windows -= 1;
        small.manifest.phases[0].sources[1].windows += 1;
    });
    found("manifest.json", "are not its windows times S", |small| small.manifest.phases[1].tokens += 1);
    found("manifest.json", "documents of `web` are held out, but", |small| small.manifest.validation[0].documents += 1);
    found("ledger.parquet", "survived, but the manifest says", |small| small.manifest.sources[1].documents += 1);
    found("removed.parquet", "documents are `exact`, but the ledger says", |small| {
        small.removed.pop();
    });
    found("removed.parquet", "no such source or reason", |small| {
        small.removed.push((7, "web".to_owned(), "lost".to_owned()))
    });
}

#[test]
fn every_figure_of_the_ledger_is_held_to() {
    let rows = Small::new().ledger.len();
    for i in 0..rows {
        let report = bent(|small| {
            let row = &mut small.ledger[i];
            if let Some(tokens) = &mut row.tokens {
                *tokens += 1;
            } else if let Some(documents) = &mut row.documents {
                *documents += 1;
            }
        });
        assert!(
            report.findings.iter().any(|finding| finding.file == "ledger.parquet"),
            "row {i}: {:?}",
            report.findings
        );
    }
    // Documents moved between emitted and unused keep the equations, but not the windows.
    found("ledger.parquet", "documents emitted, but", |small| {
        *small.row("web", "emitted").documents.as_mut().unwrap() += 1;
        *small.row("web", "unused").documents.as_mut().unwrap() -= 1;
        small.manifest.ledger = fixture::totals(&small.ledger);
    });
}

#[test]
fn expect_lines_are_judged_anew() {
    found("manifest.json", "but the windows give", |small| small.manifest.expect[0].value = 0.51);
    found("manifest.json", "but the windows give", |small| small.manifest.expect[3].value += 0.01);
    found("manifest.json", "is not the curriculum's", |small| small.manifest.expect[1].text = "web >= 99%".to_owned());
    found("manifest.json", "`expect` lines, but the curriculum has 4", |small| {
        small.manifest.expect.pop();
    });
    found("manifest.json", "does not hold", |small| {
        small.manifest.curriculum = small.manifest.curriculum.replace("code >= 60%", "code >= 90%");
        small.manifest.expect[2].text = "code >= 90%".to_owned();
        small.manifest.expect[2].holds = false;
    });
    found("manifest.json", "S and W are not", |small| {
        small.manifest.curriculum = small.manifest.curriculum.replace("sequence_length: 8", "sequence_length: 16");
    });
    let report = bent(|small| small.manifest.curriculum = "nonsense".to_owned());
    assert_eq!(report.not_checked.len(), 1);
}

#[test]
fn sources_are_held_to_their_share_at_block_borders() {
    let mut small = Small::long();
    let dir = tempfile::tempdir().unwrap();
    small.write(dir.path());
    let report = verify(dir.path());
    let messages: Vec<_> = report.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["phase `early`: after 256 windows source `web` has 256, but its share is 128.000"]);
    let (web, code) = small.sets[0].split_at(300);
    small.sets[0] = web.iter().zip(code).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    let dir = tempfile::tempdir().unwrap();
    small.write(dir.path());
    assert_eq!(verify(dir.path()).findings, []);
}

#[test]
fn budgets_and_counts_are_held_to() {
    found("manifest.json", "windows, but its budget is", |small| {
        small.manifest.curriculum = small.manifest.curriculum.replace("tokens: 240", "tokens: 248");
    });
    found("manifest.json", "but its share comes to", |small| {
        small.manifest.curriculum = small.manifest.curriculum.replace("{web: 1, code: 2}", "{web: 1, code: 3}");
    });
}

#[test]
fn findings_are_the_same_each_time_and_many_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = Small::new();
    for window in small.sets.iter_mut().flatten() {
        window.tokens.fill(99);
    }
    small.write(dir.path());
    let first = verify(dir.path());
    assert!(first.findings.iter().any(|finding| finding.message.starts_with("and ")), "{first:#?}");
    for _ in 0..3 {
        assert_eq!(verify(dir.path()), first);
    }
}
