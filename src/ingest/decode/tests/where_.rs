//! Conditions against brute force, in Parquet, Arrow and JSON alike.

use proptest::prelude::*;

use super::write::{self, Spelling, TextType};
use super::*;

/// A condition, as a test means it.
#[derive(Debug, Clone)]
enum Meant {
    And(Vec<Meant>),
    Or(Vec<Meant>),
    Not(Box<Meant>),
    Stars(&'static str, i64),
    Score(&'static str, f64),
    Lang(&'static str, String),
    Title(&'static str, String),
    Clean,
    IsNull(&'static str, bool),
    StarsIn(Vec<i64>, bool),
    LangIn(Vec<String>, bool),
    StarsBetween(i64, i64, bool),
    LangStarts(char, bool),
    Text(&'static str, String),
}

const OPS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

fn compare<T: PartialOrd>(a: Option<T>, op: &str, b: T) -> Option<bool> {
    let a = a?;
    Some(match op {
        "=" => a == b,
        "<>" => a != b,
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        _ => a >= b,
    })
}

fn flip(truth: Option<bool>, negated: bool) -> Option<bool> {
    truth.map(|truth| truth != negated)
}

impl Meant {
    fn sql(&self) -> String {
        let join = |parts: &[Meant], word: &str| {
            parts.iter().map(|part| format!("({})", part.sql())).collect::<Vec<_>>().join(word)
        };
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        let texts = |list: &[String]| list.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ");
        match self {
            Self::And(parts) => join(parts, " AND "),
            Self::Or(parts) => join(parts, " OR "),
            Self::Not(part) => format!("NOT ({})", part.sql()),
            Self::Stars(op, n) => format!("stars {op} {n}"),
            Self::Score(op, n) => format!("score {op} {n:?}"),
            Self::Lang(op, text) => format!("lang {op} '{text}'"),
            Self::Title(op, text) => format!("meta.title {op} '{text}'"),
            Self::Clean => "clean".to_owned(),
            Self::IsNull(column, negated) => format!("{column} IS {}NULL", not(negated)),
            Self::StarsIn(list, negated) => {
                let list = list.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
                format!("stars {}IN ({list})", not(negated))
            }
            Self::LangIn(list, negated) => format!("lang {}IN ({})", not(negated), texts(list)),
            Self::StarsBetween(low, high, negated) => format!("stars {}BETWEEN {low} AND {high}", not(negated)),
            Self::LangStarts(c, negated) => format!("lang {}LIKE '{c}%'", not(negated)),
            Self::Text(op, text) => format!("text {op} '{text}'"),
        }
    }

    fn judge(&self, doc: &Doc) -> Option<bool> {
        match self {
            Self::And(parts) => {
                let all: Vec<Option<bool>> = parts.iter().map(|part| part.judge(doc)).collect();
                if all.contains(&Some(false)) { Some(false) } else { (!all.contains(&None)).then_some(true) }
            }
            Self::Or(parts) => {
                let all: Vec<Option<bool>> = parts.iter().map(|part| part.judge(doc)).collect();
                if all.contains(&Some(true)) { Some(true) } else { (!all.contains(&None)).then_some(false) }
            }
            Self::Not(part) => flip(part.judge(doc), true),
            Self::Stars(op, n) => compare(doc.stars, op, *n),
            Self::Score(op, n) => compare(doc.score, op, *n),
            Self::Lang(op, text) => compare(doc.lang.as_ref(), op, text),
            Self::Title(op, text) => compare(doc.meta.as_ref().and_then(Option::as_ref), op, text),
            Self::Clean => doc.clean,
            Self::IsNull(column, negated) => {
                let null = match *column {
                    "stars" => doc.stars.is_none(),
                    "score" => doc.score.is_none(),
                    "lang" => doc.lang.is_none(),
                    "clean" => doc.clean.is_none(),
                    "meta" => doc.meta.is_none(),
                    "meta.title" => doc.meta.as_ref().is_none_or(Option::is_none),
                    _ => doc.text.is_none(),
                };
                Some(null != *negated)
            }
            Self::StarsIn(list, negated) => flip(doc.stars.map(|stars| list.contains(&stars)), *negated),
            Self::LangIn(list, negated) => flip(doc.lang.as_ref().map(|lang| list.contains(lang)), *negated),
            Self::StarsBetween(low, high, negated) => {
                flip(doc.stars.map(|stars| (*low..=*high).contains(&stars)), *negated)
            }
            Self::LangStarts(c, negated) => flip(doc.lang.as_ref().map(|lang| lang.starts_with(*c)), *negated),
            Self::Text(op, text) => compare(doc.text.as_ref(), op, text),
        }
    }
}

fn condition() -> impl Strategy<Value = Meant> {
    let op = || proptest::sample::select(&OPS[..]);
    let lang = || "(en|de|zh|e|)".prop_map(|text: String| text);
    let leaf = prop_oneof![
        (op(), -3_i64..4).prop_map(|(op, n)| Meant::Stars(op, n)),
        (op(), -1_i32..9).prop_map(|(op, n)| Meant::Score(op, f64::from(n) / 2.0)),
        (op(), lang()).prop_map(|(op, text)| Meant::Lang(op, text)),
        (op(), "T[0-3]").prop_map(|(op, text)| Meant::Title(op, text)),
        Just(Meant::Clean),
        (
            proptest::sample::select(&["stars", "score", "lang", "clean", "meta", "meta.title", "text"][..]),
            any::<bool>()
        )
            .prop_map(|(column, negated)| Meant::IsNull(column, negated)),
        (proptest::collection::vec(-3_i64..4, 1..4), any::<bool>()).prop_map(|(list, not)| Meant::StarsIn(list, not)),
        (proptest::collection::vec(lang(), 1..4), any::<bool>()).prop_map(|(list, not)| Meant::LangIn(list, not)),
        (-3_i64..4, -3_i64..4, any::<bool>()).prop_map(|(low, high, not)| Meant::StarsBetween(low, high, not)),
        (proptest::char::range('d', 'f'), any::<bool>()).prop_map(|(c, not)| Meant::LangStarts(c, not)),
        (op(), "[a-c]{0,2}").prop_map(|(op, text)| Meant::Text(op, text)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Meant::And),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Meant::Or),
            inner.prop_map(|part| Meant::Not(Box::new(part))),
        ]
    })
}

fn doc() -> impl Strategy<Value = Doc> {
    let some = proptest::option::of::<BoxedStrategy<String>>;
    (
        some("[a-c]{0,2}".boxed()),
        proptest::option::of(-3_i64..4),
        proptest::option::of((-1_i32..9).prop_map(|n| f64::from(n) / 2.0)),
        some("(en|de|zh)".boxed()),
        proptest::option::of(any::<bool>()),
        proptest::option::of(some("T[0-3]".boxed())),
    )
        .prop_map(|(text, stars, score, lang, clean, meta)| Doc { text, stars, score, lang, clean, meta })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn rows_are_chosen_alike_everywhere(docs in proptest::collection::vec(doc(), 1..60), meant in condition()) {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let mut layouts = write::parquet_layouts();
        write::parquet(&place("a.parquet"), &docs, TextType::Utf8, layouts.remove(1).1);
        write::parquet(&place("b.parquet"), &docs, TextType::Binary, layouts.remove(1).1);
        write::arrow_stream(&place("c.arrows"), &docs, TextType::Dictionary, 7, None);
        let sparse = Spelling { sparse: true, ..Spelling::default() };
        fs_err::write(place("d.jsonl"), write::json_lines(&docs, Spelling::default())).unwrap();
        fs_err::write(place("e.jsonl"), write::json_lines(&docs, sparse)).unwrap();
        let spec = spec(Some(&meant.sql()));
        for name in ["a.parquet", "b.parquet", "c.arrows", "d.jsonl", "e.jsonl"] {
            let got = outcomes(&place(name), &spec);
            prop_assert_eq!(got.len(), docs.len());
            for (row, (got, doc)) in got.iter().zip(&docs).enumerate() {
                let fits = match (meant.judge(doc), &doc.text) {
                    (Some(true), Some(text)) => matches!(got, Outcome::Text(got) if got == text),
                    (Some(true), None) => matches!(got, Outcome::Bad(_)),
                    _ => *got == Outcome::Excluded,
                };
                prop_assert!(fits, "{} row {}: {:?} of {:?} under {}", name, row, got, doc, meant.sql());
            }
        }
    }
}

#[test]
fn a_value_of_another_kind_is_a_bad_row_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let docs = docs(30);
    for (condition, column) in [
        ("stars = 'x' OR clean = TRUE", "stars"),
        ("clean = TRUE OR stars = 'x'", "stars"),
        ("lang > 3", "lang"),
        ("meta = 'x'", "meta"),
        ("stars", "stars"),
        ("score LIKE '%'", "score"),
        ("stars IN ('a', 'b')", "stars"),
    ] {
        for path in write::everything(folder.path(), &docs) {
            for (got, doc) in outcomes(&path, &spec(Some(condition))).iter().zip(&docs) {
                let null = match column {
                    "stars" => doc.stars.is_none(),
                    "lang" => doc.lang.is_none(),
                    "meta" => doc.meta.is_none(),
                    _ => doc.score.is_none(),
                };
                let bad = matches!(got, Outcome::Bad(why) if why.contains(&format!("`{column}` is")));
                assert_eq!(bad, !null, "{} {condition}: {got:?} of {doc:?}", path.display());
            }
        }
    }
}
