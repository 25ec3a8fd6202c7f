//! Curricula built by hand, for tests of this stage.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;

use crate::curriculum::checked::*;
use crate::curriculum::expect::{Expect, Op, Subject};

pub(crate) fn fraction(numerator: i64, denominator: i64) -> BigRational {
    BigRational::new(numerator.into(), denominator.into())
}

/// `26.5` → 53/2.
pub(crate) fn decimal(text: &str) -> BigRational {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits: BigInt = format!("{whole}{places}").parse().unwrap();
    BigRational::new(digits, BigInt::from(10).pow(u32::try_from(places.len()).unwrap()))
}

pub(crate) fn source(name: &str, group: Option<&str>, tokens: u64) -> Source {
    Source {
        name: name.to_owned(),
        group: group.map(str::to_owned),
        files: vec![format!("{name}/*.parquet")],
        text: TextTemplate { pieces: vec![TemplatePiece::Column("text".to_owned())] },
        tokenized: None,
        tokens: Some(tokens),
        max_epochs: None,
        filter: None,
        rules: Vec::new(),
        on_bad_row: OnBadRow::Error,
        max_document_bytes: 64 << 20,
        copies_of: None,
        priority: 0,
        exempt: false,
    }
}

pub(crate) fn phase(name: &str, tokens: u64, from: Mix, to: Option<Mix>) -> Phase {
    Phase {
        name: name.to_owned(),
        tokens,
        from,
        to,
        sequence_length: 4096,
        packing: Packing::Concat,
        shard_bytes: 1 << 30,
        allow_zero: false,
        expect: Vec::new(),
    }
}

pub(crate) fn curriculum(sources: Vec<Source>, phases: Vec<Phase>) -> Curriculum {
    Curriculum {
        name: "test".to_owned(),
        seed: 20_240_424,
        tokenizer: TokenizerSpec {
            file: "tokenizer.json".to_owned(),
            bos: Bos::None,
            eos: Some("</s>".to_owned()),
            pad: None,
            special: Vec::new(),
            backend: Backend::Fast,
        },
        sequence_length: 4096,
        label_token: true,
        packing: Packing::Concat,
        shard_bytes: 1 << 30,
        dedup: Dedup { exact: true, near: None },
        decontaminate: None,
        holdout: None,
        on_exhausted: OnExhausted::Error,
        sources,
        phases,
        warnings: Vec::new(),
    }
}

/// `75` relative, `52%`, `2x`, `50B`, `rest`.
pub(crate) fn weight(text: &str) -> Weight {
    if text == "rest" {
        return Weight::Rest;
    }
    if let Some(percent) = text.strip_suffix('%') {
        return Weight::Percent(decimal(percent) / BigRational::from_integer(100.into()));
    }
    if let Some(epochs) = text.strip_suffix('x') {
        return Weight::Epochs(decimal(epochs));
    }
    for (suffix, zeros) in [("k", 3), ("M", 6), ("B", 9), ("T", 12)] {
        if let Some(tokens) = text.strip_suffix(suffix) {
            let tokens = decimal(tokens) * BigRational::from_integer(BigInt::from(10).pow(zeros));
            return Weight::Tokens(u64::try_from(tokens.to_integer()).unwrap());
        }
    }
    Weight::Relative(decimal(text))
}

pub(crate) fn mix(entries: Vec<(&str, MixPart)>) -> Mix {
    Mix { name: None, entries: entries.into_iter().map(|(text, of)| MixEntry { weight: weight(text), of }).collect() }
}

/// Sources by index with their weights.
pub(crate) fn flat(weights: &[(SourceId, &str)]) -> Mix {
    mix(weights.iter().map(|(source, text)| (*text, MixPart::Source(*source))).collect())
}

pub(crate) fn group(name: &str, inner: Mix) -> MixPart {
    MixPart::Group { name: name.to_owned(), split: Split::Mix(inner) }
}

pub(crate) fn by_size(name: &str, members: &[SourceId], boost: &[(SourceId, i64)]) -> MixPart {
    MixPart::Group {
        name: name.to_owned(),
        split: Split::Size {
            members: members.to_vec(),
            boost: boost.iter().map(|(source, factor)| (*source, fraction(*factor, 1))).collect::<BTreeMap<_, _>>(),
        },
    }
}

pub(crate) fn share_expect(text: &str, sources: &[SourceId], op: Op, value: &str, tolerance: Option<&str>) -> Expect {
    let percent = |text: &str| decimal(text) / BigRational::from_integer(100.into());
    Expect {
        text: text.to_owned(),
        subject: Subject::Share(sources.to_vec()),
        op,
        value: percent(value),
        tolerance: tolerance.map(percent),
    }
}

pub(crate) fn epochs_expect(text: &str, source: SourceId, op: Op, value: &str) -> Expect {
    Expect { text: text.to_owned(), subject: Subject::Epochs(source), op, value: decimal(value), tolerance: None }
}

/// Arctic's three phases with made-up cells where none were published: web, github, sql, books, stem.
pub(crate) fn arctic() -> Curriculum {
    let mut github = source("github", Some("code"), 330_000_000_000);
    github.max_epochs = Some(3);
    let mut sql = source("sql", Some("code"), 70_000_000_000);
    sql.max_epochs = Some(3);
    let sources = vec![
        source("web", None, 4_200_000_000_000),
        github,
        sql,
        source("books", None, 500_000_000_000),
        source("stem", None, 400_000_000_000),
    ];
    let code = || group("code", flat(&[(1, "80"), (2, "20")]));
    let of = |web: &str, share: &str, books: &str, stem: &str| {
        mix(vec![(web, MixPart::Source(0)), (share, code()), (books, MixPart::Source(3)), (stem, MixPart::Source(4))])
    };
    let early = of("75", "11.9", "7.1", "6");
    let late = of("52%", "26.5%", "rest", "10%");
    let mut middle = phase("enterprise", 1_500_000_000_000, early.clone(), Some(late.clone()));
    middle.expect = vec![share_expect("code == 19.2% ± 0.1%", &[1, 2], Op::Eq, "19.2", Some("0.1"))];
    let mut last = phase("late", 1_000_000_000_000, late, None);
    last.expect = vec![
        share_expect("code > 26%", &[1, 2], Op::Gt, "26", None),
        epochs_expect("epochs(github) <= 4", 1, Op::Le, "4"),
    ];
    let mut curriculum = curriculum(sources, vec![phase("foundation", 1_000_000_000_000, early, None), middle, last]);
    curriculum.name = "arctic".to_owned();
    curriculum
}
