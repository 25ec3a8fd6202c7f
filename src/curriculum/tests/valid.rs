//! Curricula that are right, and what they come to.

use std::collections::BTreeMap;

use num_rational::BigRational;

use super::super::checked::{
    Backend, Bos, Mix, MixPart, NearScope, OnBadRow, OnExhausted, Packing, Split, TemplatePiece, TextRule, Weight,
};
use super::super::diagnostics::{Level, Place};
use super::super::{load, schema};
use super::{BASE, base, good};
use crate::curriculum::yaml;

fn ratio(numerator: i64, denominator: i64) -> BigRational {
    BigRational::new(numerator.into(), denominator.into())
}

/// Every key there is.
pub(super) const EVERYTHING: &str = r#"
syllabus: 1
name: everything
seed: 20240424
tokenizer: {file: t/tokenizer.json, bos: "<s>", eos: none, pad: "<pad>", special: ["<fim>"], backend: auto}
sequence_length: 4096
label_token: false
packing: best_fit
shard_size: 64MiB
on_exhausted: repeat
dedup:
  exact: false
  near: {jaccard: 85%, shingle: 7, bands: 11, rows: 11, scope: group, max_removed: {web: 99%}}
decontaminate: {files: [eval/*.jsonl], fields: [question, answer], ngram: 8, coverage: any}
holdout: {validation: {share: 0.01%, max_tokens_per_source: 5M}}
sources:
  web: {files: data/web/*.parquet, tokens: 4.2T, exempt: true, priority: -3}
  github:
    files: [data/code/*.jsonl.zst, data/more/**/*.json]
    group: code
    text: content
    max_epochs: 4
    where: "stars >= 3"
    max_chars: 100_000
    min_chars: 10
    min_bytes: 1KiB
    max_bytes: 1MiB
    on_bad_row: {count: 100}
    max_document_bytes: 16MiB
  sql: {files: data/sql/*, group: code, on_bad_row: count, copies_of: github}
  books: {files: data/books/*, text: "{title}\n\n{meta.body}"}
mixes:
  early: {web: 75, code: {share: 11.9, of: {github: 80, sql: 20}}, books: 13.1}
  late: {web: 52%, code: {share: 26.5%, by: size, boost: {sql: 5x}}, books: rest}
  mixed: {base: {share: 50%, of: early}}
phases:
  - {name: foundation, tokens: 1T, mix: early}
  - {name: enterprise, tokens: 1.5T, mix: {from: early, to: {web: 1}}, expect: ["code == 19.2% ± 0.1%"]}
  - {name: late, until: 3.5T, mix: late, expect: code > 26%}
  - name: long
    tokens: 50B
    mix: {books: 2x, web: 10B, others: {share: rest, of: [code]}}
    sequence_length: 16384
    packing: concat
    shard_size: 1_000_000
    allow_zero: true
"#;

#[test]
fn everything_is_understood() {
    let text = EVERYTHING.replace("{share: 50%, of: early}", "{share: 100%, of: early}");
    let curriculum = good(&text).curriculum;
    assert_eq!((curriculum.name.as_str(), curriculum.seed), ("everything", 20_240_424));
    assert_eq!(curriculum.tokenizer.bos, Bos::Token("<s>".into()));
    assert_eq!(curriculum.tokenizer.eos, None);
    assert_eq!(curriculum.tokenizer.pad.as_deref(), Some("<pad>"));
    assert_eq!(
        (curriculum.tokenizer.special.as_slice(), curriculum.tokenizer.backend),
        (&["<fim>".to_owned()][..], Backend::Auto)
    );
    assert_eq!((curriculum.sequence_length, curriculum.label_token, curriculum.shard_bytes), (4096, false, 64 << 20));
    assert_eq!((curriculum.packing, curriculum.on_exhausted), (Packing::BestFit, OnExhausted::Repeat));
    let near = curriculum.dedup.near.expect("near");
    assert_eq!(
        (near.jaccard, near.shingle, near.bands_rows, near.scope),
        (ratio(85, 100), 7, Some((11, 11)), NearScope::Group)
    );
    assert_eq!((near.max_removed, near.max_removed_of), (None, BTreeMap::from([(0, ratio(99, 100))])));
    assert!(!curriculum.dedup.exact);
    let leaks = curriculum.decontaminate.expect("decontaminate");
    assert_eq!((leaks.files.len(), leaks.fields.len(), leaks.ngram, leaks.coverage), (1, 2, 8, None));
    let holdout = curriculum.holdout.expect("holdout");
    assert_eq!(
        (holdout.name.as_str(), holdout.share, holdout.max_tokens_per_source),
        ("validation", ratio(1, 10_000), Some(5_000_000))
    );

    let [web, github, sql, books] = curriculum.sources.as_slice() else { panic!("four sources") };
    assert_eq!((web.tokens, web.exempt, web.priority, web.group.as_deref()), (Some(4_200_000_000_000), true, -3, None));
    assert_eq!((github.files.len(), github.max_epochs, github.max_document_bytes), (2, Some(4), 16 << 20));
    assert_eq!(github.filter.as_ref().map(|filter| filter.text.as_str()), Some("stars >= 3"));
    // In a fixed order, whatever the order of the keys.
    assert_eq!(
        github.rules,
        [TextRule::MinBytes(1024), TextRule::MaxBytes(1 << 20), TextRule::MinChars(10), TextRule::MaxChars(100_000)]
    );
    assert_eq!(github.on_bad_row, OnBadRow::Count { limit: Some(100) });
    assert_eq!(
        (&sql.on_bad_row, sql.copies_of, sql.group.as_deref()),
        (&OnBadRow::Count { limit: None }, Some(1), Some("code"))
    );
    assert_eq!(sql.max_document_bytes, 64 << 20);
    assert_eq!(
        books.text.pieces,
        [
            TemplatePiece::Column("title".into()),
            TemplatePiece::Literal("\n\n".into()),
            TemplatePiece::Column("meta.body".into())
        ]
    );

    let [foundation, enterprise, late, long] = curriculum.phases.as_slice() else { panic!("four phases") };
    assert_eq!(
        (foundation.tokens, enterprise.tokens, late.tokens, long.tokens),
        (1_000_000_000_000, 1_500_000_000_000, 1_000_000_000_000, 50_000_000_000)
    );
    assert_eq!(
        (late.sequence_length, late.packing, late.shard_bytes, late.allow_zero),
        (4096, Packing::BestFit, 64 << 20, false)
    );
    assert_eq!(
        (long.sequence_length, long.packing, long.shard_bytes, long.allow_zero),
        (16384, Packing::Concat, 1_000_000, true)
    );
    assert_eq!(
        (enterprise.from.name.as_deref(), enterprise.to.as_ref().and_then(|to| to.name.as_deref())),
        (Some("early"), None)
    );
    assert_eq!(enterprise.expect.len() + late.expect.len(), 2);
    assert!(
        matches!(group(&foundation.from, "code"), (Weight::Relative(share), Split::Mix(_)) if *share == ratio(119, 10))
    );
    assert!(matches!(group(&late.from, "code"), (Weight::Percent(_), Split::Size { members, boost })
        if *members == [1, 2] && *boost == BTreeMap::from([(2, ratio(5, 1))])));
    assert!(matches!(group(&long.from, "others"), (Weight::Rest, Split::Size { members, .. }) if *members == [1, 2]));
    assert_eq!(long.from.entries[0].weight, Weight::Epochs(ratio(2, 1)));
    assert_eq!(long.from.entries[1].weight, Weight::Tokens(10_000_000_000));
}

fn group<'a>(mix: &'a Mix, wanted: &str) -> (&'a Weight, &'a Split) {
    mix.entries
        .iter()
        .find_map(|entry| match &entry.of {
            MixPart::Group { name, split } if name == wanted => Some((&entry.weight, split)),
            _ => None,
        })
        .expect("the group is in the mix")
}

#[test]
fn defaults() {
    let curriculum = good(BASE).curriculum;
    assert_eq!((curriculum.seed, curriculum.label_token, curriculum.shard_bytes), (0, true, 1 << 30));
    assert_eq!((curriculum.packing, curriculum.on_exhausted), (Packing::Concat, OnExhausted::Error));
    assert!(curriculum.dedup.exact && curriculum.dedup.near.is_none());
    assert!(curriculum.decontaminate.is_none() && curriculum.holdout.is_none());
    assert_eq!(curriculum.tokenizer.bos, Bos::None);
    assert_eq!(curriculum.tokenizer.backend, Backend::Fast);
    assert!(curriculum.warnings.is_empty());
    // A group named without more is shared by size.
    assert!(matches!(group(&curriculum.phases[0].from, "code").1, Split::Size { boost, .. } if boost.is_empty()));
    let unsaid = good(&base("bos: none, ", "")).curriculum;
    assert_eq!(unsaid.tokenizer.bos, Bos::Unsaid);
    let near = good(&base("name: base", "name: base\ndedup: {near: {}}")).curriculum.dedup.near.expect("near");
    assert_eq!((near.jaccard, near.shingle, near.scope), (ratio(4, 5), 5, NearScope::Source));
}

#[test]
fn aliases_merges_and_line_breaks() {
    let text = base("  web: {files: web/*}", "  web: &shared {files: web/*, tokens: 1_000}")
        .replace("{files: books/*}", "{<<: *shared, files: books/*}")
        .replace('\n', "\r\n");
    let curriculum = good(&format!("\u{feff}{text}")).curriculum;
    assert_eq!(curriculum.sources[3].tokens, Some(1000));
    assert_eq!(curriculum.sources[3].files, ["books/*"]);
}

#[test]
fn zero_weights_are_weights() {
    let text = base("mix: early", "mix: {from: {web: 0, books: 1}, to: {web: 1, books: 0%}}");
    assert_eq!(good(&text).curriculum.phases[0].from.entries[0].weight, Weight::Relative(ratio(0, 1)));
}

#[test]
fn a_budget_in_tokens_is_filled_exactly() {
    good(&base("web: 60%, code: 20%, books: rest", "web: 60%, code: 20%, books: 200M"));
    good(&base(
        "web: 60%, code: 20%, books: rest",
        "web: 600M, books: 2x, code: {share: 10, of: {sql: 50%, github: 50%}}",
    ));
}

#[test]
fn phases_may_all_have_lengths_of_their_own() {
    let text = base("sequence_length: 1024\n", "").replace("mix: early}", "mix: early, sequence_length: 512}");
    assert_eq!(good(&text).curriculum.sequence_length, 512);
}

#[test]
fn places_of_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.yaml");
    fs_err::write(&path, BASE).expect("written");
    let loaded = load(&path, false).expect("loads");
    assert_eq!(loaded.source_place(2), Place { line: 8, column: 3 });
    assert_eq!(loaded.phase_place(0), Place { line: 13, column: 6 });
    assert_eq!(loaded.place(&["sources", "sql", "group"]), Some(Place { line: 8, column: 23 }));
    assert_eq!(loaded.place(&["sources", "sql", "max_epochs"]), None);
    assert_eq!(loaded.folder(), folder.path());
    // A key that is not there: the nearest above it.
    let shown = loaded.point(Level::Error, &["sources", "sql", "max_epochs"], "read too often", Some("max_epochs: 4"));
    let expected = "  |\n8 |   sql: {files: sql/*, group: code}\n  |   ^^^\n  |\n  = help: max_epochs: 4";
    assert!(shown.starts_with("error: read too often\n") && shown.ends_with(expected), "{shown}");
    let shown = loaded.point(Level::Warning, &["phases", "0", "tokens"], "long", None);
    assert!(
        shown.starts_with("warning: long\n") && shown.ends_with("mix: early}\n   |                         ^^"),
        "{shown}"
    );
}

#[test]
fn the_schema_knows_every_key() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let json = |text: &str| yaml::parse(text).expect("YAML").to_json();
    let errors: Vec<String> = validator
        .iter_errors(&json(EVERYTHING))
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(validator.is_valid(&json(BASE)));
    for (old, new) in [
        ("sources:", "sorces:"),
        ("name: base\n", ""),
        ("group: code", "groop: code"),
        ("tokens: 1B", "tokens: 1G"),
        ("tokens: 1B", "tokens: -1"),
        ("web: 60%", "web: [60]"),
        ("web: 60%", "web: -60"),
        ("mix: early", "mix: {from: early}"),
        ("code: 20%", "code: {share: 20%, by: tokens}"),
        ("  web:", "  we b:"),
        ("web/*", "[]"),
        ("sequence_length: 1024", "sequence_length: 1k"),
        ("name: base", "name: base\npacking: bestfit"),
    ] {
        assert!(!validator.is_valid(&json(&base(old, new))), "{new}");
    }
}
