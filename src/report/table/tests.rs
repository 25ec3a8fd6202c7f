use num_rational::BigRational;
use num_traits::One;
use syllabus_reader::format::manifest::*;

use super::*;
use crate::plan::fixture::*;
use crate::plan::{SourceSize, draft};

/// A small compiled dataset as its manifest and ledger tell it: 3 phases, a group, several epochs.
fn compiled() -> (Manifest, Vec<Row>, Plan) {
    let mut curriculum = arctic();
    for phase in &mut curriculum.phases {
        phase.tokens /= 50_000;
        phase.sequence_length = 2048;
    }
    let sizes: Vec<SourceSize> = [11_000_000, 13_000_000, 8_000_000, 10_000_000, 7_000_000]
        .map(|tokens| SourceSize::counted(tokens, 9_000))
        .to_vec();
    let plan = draft(&curriculum, &sizes, &BigRational::one(), 2).unwrap();
    let sources: Vec<SourceSummary> = (curriculum.sources.iter().zip(&sizes))
        .map(|(source, size)| SourceSummary {
            name: source.name.clone(),
            group: source.group.clone(),
            documents: 9_000,
            tokens: size.tokens,
            bytes: size.tokens * 4,
        })
        .collect();
    let phases = (plan.phases.iter())
        .map(|phase| PhaseSummary {
            name: phase.name.clone(),
            digest: "5d".repeat(32),
            sequence_length: phase.sequence_length,
            window_tokens: phase.window_tokens,
            windows: phase.windows,
            tokens: phase.windows * u64::from(phase.sequence_length),
            sources: (sources.iter().zip(&phase.source_windows))
                .map(|(source, windows)| PhaseSource { name: source.name.clone(), windows: *windows })
                .collect(),
            shards: Vec::new(),
        })
        .collect();
    let mut ledger = Vec::new();
    let row = |source: &str, outcome: &str, documents, tokens| Row {
        source: source.to_owned(),
        phase: None,
        epoch: None,
        outcome: outcome.to_owned(),
        documents: Some(documents),
        tokens,
        bytes: Some(1),
    };
    for source in &sources {
        ledger.push(row(&source.name, "read", 12_345, None));
        ledger.push(row(&source.name, "filtered:min_chars", 1_000, None));
        ledger.push(row(&source.name, "filtered:where", 345, None));
        ledger.push(row(&source.name, "empty", 12, None));
        ledger.push(row(&source.name, "exact", 1_888, Some(2_000_000)));
        ledger.push(row(&source.name, "held_out", 100, Some(98_765)));
        ledger.push(row(&source.name, "emitted", 8_800, None));
        ledger.push(row(&source.name, "unused", if source.name == "stem" { 201 } else { 200 }, None));
        for (phase, epoch, tokens) in [("foundation", 0, 5_000_000), ("late", 0, 700_000), ("late", 1, 90_000)] {
            let mut emitted = row(&source.name, "emitted", 5_000, Some(tokens));
            emitted.phase = Some(phase.to_owned());
            emitted.epoch = Some(epoch);
            ledger.push(emitted);
        }
    }
    let judged =
        |phase: &str, text: &str, value, holds| ExpectResult { phase: phase.into(), text: text.into(), value, holds };
    let manifest = Manifest {
        format_version: 1,
        name: "arctic-small".to_owned(),
        dataset_digest: "0a1b2c3d".repeat(8),
        curriculum: String::new(),
        seed: 20_240_424,
        scale: "1/50000".to_owned(),
        thin: "1".to_owned(),
        tokenizer: TokenizerContract {
            name: "phi-3".to_owned(),
            digest: "00".repeat(32),
            vocab_size: 32_011,
            bos_id: None,
            eos_id: Some(2),
            pad_id: 2,
            backend: "fastokens".to_owned(),
        },
        token_dtype: TokenDtype::U16,
        max_token_id: 31_999,
        sources,
        phases,
        validation: vec![ValidationSummary {
            name: "validation".to_owned(),
            source: "web".to_owned(),
            digest: String::new(),
            documents: 100,
            tokens: 98_765,
            sequence_length: 2048,
            window_tokens: 2049,
            windows: 49,
            shards: Vec::new(),
        }],
        ledger: LedgerTotals::default(),
        expect: vec![
            judged("enterprise", "code == 19.2% ± 0.1%", 0.192, true),
            judged("late", "epochs(github) <= 1", 1.5, false),
        ],
    };
    (manifest, ledger, plan)
}

#[test]
fn a_report_fits_a_terminal() {
    let (manifest, ledger, plan) = compiled();
    let text = render(&report(&manifest, &ledger, Some(&plan)));
    println!("{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "{line}");
        assert_eq!(line.trim_end(), line);
    }
    for part in [
        "web filtered by: min_chars 1,000, where 345",
        "stem: DOES NOT BALANCE by -1 documents",
        "epochs(github) <= 1   late           1.50  FAILS",
        "19.20 %  ok",
        &"0a1b2c3d".repeat(8),
    ] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn figures_are_those_of_manifest_and_ledger() {
    let (manifest, ledger, plan) = compiled();
    let report = report(&manifest, &ledger, Some(&plan));
    let web = &report.sources[0];
    assert_eq!(web.documents["filtered"], 1_345);
    assert_eq!(web.documents["emitted"], 8_800, "documents of several phases are not added up");
    assert_eq!(web.tokens["emitted"], 5_790_000);
    assert_eq!(web.documents_missing, Some(0));
    assert_eq!(web.stored_tokens, plan.phases[2].stored[0]);
    for (phase, planned) in report.phases.iter().zip(&plan.phases) {
        for share in &phase.sources {
            assert!((share.planned.unwrap() - share.realised).abs() * (planned.windows as f64) < 1.0);
        }
        assert!((phase.sources.iter().map(|share| share.realised).sum::<f64>() - 1.0).abs() < 1e-9);
    }
}

/// Every outcome at once, of a corpus of trillions: numbers are shortened before names are.
#[test]
fn all_outcomes_of_a_large_corpus_fit() {
    let (manifest, mut ledger, plan) = compiled();
    for outcome in ["read", "bad", "filtered:where", "empty", "contaminated", "exact", "near", "held_out", "truncated"]
    {
        for source in ["web", "github"] {
            ledger.push(Row {
                source: source.to_owned(),
                phase: None,
                epoch: None,
                outcome: outcome.to_owned(),
                documents: Some(123_456_789_012),
                tokens: Some(98_765_432_109_876),
                bytes: None,
            });
        }
    }
    let text = render(&report(&manifest, &ledger, Some(&plan)));
    println!("{text}");
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    assert!(text.contains("contaminated"));
}

/// What goes because a similar text is held out is an outcome like all others, and shifts the natural mix as duplicates do.
#[test]
fn duplicates_shift_the_natural_mix() {
    let (manifest, _, _) = compiled();
    let mut ledger = Vec::new();
    let mut row = |source: &str, outcome: &str, documents: u64, tokens: Option<u64>| {
        let (source, outcome) = (source.to_owned(), outcome.to_owned());
        ledger.push(Row { source, phase: None, epoch: None, outcome, documents: Some(documents), tokens, bytes: None });
    };
    for source in &manifest.sources {
        let near = if source.name == "web" { 600 } else { 0 };
        row(&source.name, "read", 10, None);
        row(&source.name, "tokenized", 0, Some(1000));
        row(&source.name, "near", if near > 0 { 4 } else { 0 }, Some(near));
        row(&source.name, "near_validation", 1, Some(50));
        row(&source.name, "held_out", 1, Some(10));
        row(&source.name, "survived", 0, Some(940 - near));
        row(&source.name, "emitted", if near > 0 { 4 } else { 8 }, None);
    }
    let report = report(&manifest, &ledger, None);
    assert!(report.sources.iter().all(|source| source.documents_missing == Some(0)));
    let web = &report.natural_mix[0];
    let others = report.natural_mix.len() as f64 - 1.0;
    assert_eq!((web.tokens_before, web.tokens_after), (1000, 350));
    assert!((web.share_before - 1.0 / (others + 1.0)).abs() < 1e-12);
    assert!((web.share_after - 350.0 / (350.0 + 950.0 * others)).abs() < 1e-12);
    let text = render(&report);
    assert!(text.contains("natural mix") && text.contains("near validation") && !text.contains("BALANCE"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
}

/// Without ledger and plan the manifest's own figures still stand.
#[test]
fn a_manifest_alone_is_enough() {
    let (manifest, _, _) = compiled();
    let report = report(&manifest, &[], None);
    assert!(report.phases[0].sources.iter().all(|share| share.planned.is_none()));
    assert!(report.sources.iter().all(|source| source.documents_missing.is_none()));
    assert!(render(&report).contains("nothing is on record"));
}
