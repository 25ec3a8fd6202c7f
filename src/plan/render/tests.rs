use num_rational::BigRational;
use num_traits::One;
use syllabus_reader::format::TokenDtype;

use super::*;
use crate::curriculum::checked::*;
use crate::curriculum::expect::Op;
use crate::plan::fixture::*;
use crate::plan::predict::{Conditions, Volume, predict};
use crate::plan::text::WIDTH;
use crate::plan::view::{Extras, PlanView, view};
use crate::plan::{Basis, Plan, SourceSize, declared_sizes, draft, exports, simulate};

fn conditions(sources: usize) -> Conditions {
    Conditions {
        dtype: TokenDtype::U16,
        volumes: vec![Volume::default(); sources],
        tokenizer_bytes: 2_000_000,
        threads: 2,
        encoder_bytes: 12 << 20,
        ingest_rate: Some(60e6),
        emit_rate: Some(500e6),
        near: None,
    }
}

fn seen(curriculum: &Curriculum, plan: &Plan, walked: bool) -> PlanView {
    let walk = walked.then(|| simulate::simulate(plan, 2, &|_| ()).unwrap());
    let extras = Extras {
        exports: exports::exports(curriculum, plan, TokenDtype::U16, Some(32_000)),
        prediction: Some(predict(plan, &conditions(plan.sources.len()))),
        simulation: walk.as_ref(),
    };
    view(curriculum, plan, TokenDtype::U16, extras)
}

fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "{line}");
        assert_eq!(line.trim_end(), line);
    }
}

/// Sixty languages and domains, names of all lengths, two groups, a ramp, estimates.
fn sixty() -> (Curriculum, Vec<SourceSize>) {
    let mut sources = Vec::new();
    let mut sizes = Vec::new();
    for index in 0..60_u64 {
        let group = match index {
            10..30 => Some("multilingual"),
            40..45 => Some("code"),
            _ => None,
        };
        let name = match index {
            7 => "a-very-long-source-name.that-nobody-should-have-written.but-someone-did-anyway".to_owned(),
            10..30 => format!("fineweb2-language-{index}"),
            _ => format!("source-{index}"),
        };
        let tokens = 1_000_000_000 * (1 + index * index * 7 % 400);
        sources.push(source(&name, group, tokens));
        let spread = if index == 12 { f64::INFINITY } else { 0.01 * (index % 7) as f64 };
        sizes.push(SourceSize { tokens, documents: Some(tokens / 800), basis: Basis::Estimated, spread });
    }
    let of = |first: &'static str| {
        let mut entries = vec![
            (first, by_size("multilingual", &(10..30).collect::<Vec<_>>(), &[(12, 3)])),
            ("14", by_size("code", &[40, 41, 42, 43, 44], &[])),
            ("0.01", MixPart::Source(0)),
        ];
        entries.extend((1..10).chain(30..40).chain(45..58).map(|source| ("1.25", MixPart::Source(source))));
        mix(entries)
    };
    let mut second = phase("second-phase-with-ramp", 700_000_000_000, of("12"), Some(of("30")));
    second.expect = vec![
        share_expect("multilingual > 25%", &(10..30).collect::<Vec<_>>(), Op::Gt, "25", None),
        epochs_expect("epochs(source-3) <= 0.5", 3, Op::Le, "0.5"),
    ];
    let mut curriculum = curriculum(sources, vec![phase("first", 2_000_000_000_000, of("12"), None), second]);
    curriculum.on_exhausted = OnExhausted::Repeat;
    curriculum.sources[3].max_epochs = Some(2);
    curriculum.warnings =
        vec!["sources `source-58` and `source-59` stand in no mix; they still take part in dedup".into()];
    (curriculum, sizes)
}

#[test]
fn arctic_fits_a_terminal() {
    let curriculum = arctic();
    let sizes = declared_sizes(&curriculum).unwrap();
    let plan = draft(&curriculum, &sizes, &BigRational::one(), 2).unwrap();
    let text = render(&seen(&curriculum, &plan, false));
    println!("{text}");
    fits(&text);
    for part in ["3 phases, 3.5T tokens in 854,492,188 windows", "11.90 → 26.50 %", "code == 19.2% ± 0.1%  19.20 %  ok"]
    {
        assert!(text.contains(part), "{part}");
    }
    let scaled = draft(&curriculum, &sizes, &fraction(1, 1_000_000), 2).unwrap();
    let text = render(&seen(&curriculum, &scaled, true));
    println!("{text}");
    fits(&text);
    assert!(text.contains("Drift over 854 windows walked"));
}

#[test]
fn sixty_sources_fit_a_terminal() {
    let (curriculum, sizes) = sixty();
    let plan = draft(&curriculum, &sizes, &BigRational::one(), 2).unwrap();
    let text = render(&seen(&curriculum, &plan, false));
    println!("{text}");
    fits(&text);
    for name in curriculum.sources.iter().map(|source| &source.name).filter(|name| name.len() < 30) {
        assert!(text.contains(name.as_str()), "{name}");
    }
    assert!(text.contains("FAILS"));
}

#[test]
fn refusals_fit_a_terminal() {
    let mut curriculum = arctic();
    curriculum.sources[1].max_epochs = None;
    curriculum.sources[2].max_epochs = None;
    let sizes = declared_sizes(&curriculum).unwrap();
    let error = crate::plan::plan(&curriculum, &sizes, &BigRational::one(), 2).unwrap_err();
    let crate::Error::Infeasible { rendered, .. } = error else { panic!() };
    println!("{rendered}");
}

/// Programs read this: names stay.
#[test]
fn json_keeps_its_shape() {
    let curriculum = arctic();
    let sizes = declared_sizes(&curriculum).unwrap();
    let plan = draft(&curriculum, &sizes, &fraction(1, 1_000_000), 2).unwrap();
    let json = serde_json::to_value(seen(&curriculum, &plan, true)).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys(&json),
        "exports feasible format name phases prediction scale seed sources token_dtype tokens warnings windows"
    );
    assert_eq!(json["format"], 1);
    assert_eq!(json["scale"], "1/1000000");
    assert_eq!(
        keys(&json["phases"][0]),
        "exact expect name packing ramp sequence_length shard_windows shards sources tokens window_tokens windows"
    );
    assert_eq!(
        keys(&json["phases"][0]["sources"][0]),
        "drift epochs group left name share share_from share_to tokens unique_tokens windows"
    );
    assert_eq!(json["phases"][1]["sources"][0]["share"], "127/200");
    assert_eq!(
        keys(&json["sources"][0]),
        "basis documents epochs group left max_epochs name spread stored_tokens unique_tokens windows"
    );
}
