use proptest::prelude::*;

use super::*;

fn columns(text: &str) -> Vec<String> {
    Filter::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}")).columns().to_vec()
}

fn failure(text: &str) -> FilterError {
    let error = Filter::parse(text).expect_err(text);
    assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{text}: {error:?}");
    assert!(text.get(error.span.clone()).is_some(), "{text}: {error:?} cuts a character");
    error
}

fn marked<'a>(text: &'a str, error: &FilterError) -> &'a str {
    &text[error.span.clone()]
}

#[test]
fn the_whole_language_parses() {
    let text = "(stars >= 3 OR meta.score > -0.5e1) AND NOT lang IN ('en', 'de') AND \"group\" <> 'x' \
        AND path NOT LIKE '%.min.js' AND name ILIKE 'a_c%' AND year BETWEEN 1990 AND 2000 AND licence IS NOT NULL AND clean";
    assert_eq!(columns(text), ["stars", "meta.score", "lang", "group", "path", "name", "year", "licence", "clean"]);
    let filter = Filter::parse("a = 1 AND b = 2 AND c = 3").unwrap();
    assert!(matches!(filter.condition(), Condition::All(parts) if parts.len() == 3));
}

#[test]
fn likely_column_names_need_no_quotes() {
    for name in [
        "text",
        "date",
        "time",
        "timestamp",
        "year",
        "language",
        "lang",
        "source",
        "domain",
        "path",
        "licence",
        "license",
        "url",
        "id",
        "score",
        "quality",
        "tokens",
        "size",
        "length",
        "count",
        "type",
        "name",
        "title",
        "label",
        "class",
        "value",
        "key",
        "level",
        "version",
        "format",
        "content",
        "public",
        "user",
        "month",
        "day",
        "interval",
        "position",
        "select",
        "case",
        "from",
        "order",
        "group",
        "end",
        "cast",
        "exists",
        "array",
        "meta.date",
        "meta.type",
    ] {
        assert_eq!(columns(&format!("{name} >= '2020-01-01'")), [name]);
        assert_eq!(columns(&format!("{name} IS NULL OR {name} IN ('a')")), [name]);
        assert_eq!(columns(&format!("NOT {name} = 3")), [name]);
    }
    assert_eq!(columns("Ünïcode_列 = 'ü'"), ["Ünïcode_列"]);
}

#[test]
fn errors_have_a_place_and_a_hint() {
    let cases = [
        ("stars >= 3 AND lower(lang) = 'en'", "lower(lang", "function `lower`"),
        ("stars + 1 > 3", "stars + 1", "`+`"),
        ("lang = \"en\"", "\"en\"", "not a text"),
        ("ü = 'ü' AND lang = NULL", "NULL", "nothing compares"),
        ("lang IN ('en', 3)", "3", "mixes"),
        ("lang IN (en)", "en", "a list holds literals"),
        ("1 = 1", "1 = 1", "two literals"),
        ("lang LIKE 3", "3", "a pattern is a text"),
        ("lang LIKE 'a' ESCAPE 'ab'", "'ab'", "one character"),
        ("lang = 'en' lang = 'de'", "lang", "not expected"),
        ("stars >= 3;", ";", "not expected"),
        ("day > DATE '2020-01-01'", "'2020-01-01'", "not expected"),
        ("id IN (SELECT id FROM t)", "id", "xpected"),
        ("CASE WHEN a THEN b END", "WHEN", "not expected"),
        ("clean IS TRUE", "clean", "IS TRUE"),
        ("'x'", "'x'", "neither yes nor no"),
    ];
    for (text, place, message) in cases {
        let error = failure(text);
        assert!(error.message.contains(message), "{text}: {error:?}");
        assert!(marked(text, &error).contains(place), "{text}: {error:?} marks {:?}", marked(text, &error));
    }
    let open = failure("lang = 'en");
    assert!(open.message.contains("nterminated"), "{open:?}");
    let cut = failure("lang =");
    assert_eq!(cut.span, 6..6, "{cut:?}");
    assert!(failure("  ").message.contains("empty"));
    let second_line = "stars > 3\nAND ü ! 4";
    assert!(failure(second_line).span.start > 9);
}

#[test]
fn long_and_deep_conditions_are_refused_or_read_without_overflow() {
    let many = (0..20_000).map(|i| format!("'{i}'")).collect::<Vec<_>>().join(", ");
    assert!(Filter::parse(&format!("id IN ({many})")).is_ok());
    let chain = vec!["a = 1"; 100_000].join(" OR ");
    assert!(failure(&chain).message.contains("too long"));
    let deep = format!("{}a = 1{}", "(".repeat(400), ")".repeat(400));
    assert!(failure(&deep).message.contains("deep"), "{:?}", failure(&deep));
    let not = format!("{}a = 1", "NOT ".repeat(900));
    failure(&not);
    let longest = vec!["a = 1"; 330].join(" OR ");
    assert!(Filter::parse(&longest).is_ok());
}

#[test]
fn numbers_compare_by_exact_value() {
    let number = |text: &str| Number::parse(text).unwrap();
    assert!(number("9007199254740993").compare(number("9007199254740992.0")).is_gt());
    assert!(number("3").compare(number("3.0")).is_eq());
    assert!(number("-3").compare(number("-3.5")).is_gt());
    assert!(number("3").compare(number("3.5")).is_lt());
    assert!(number("1e300").compare(number("170141183460469231731687303715884105727")).is_gt());
    assert!(number("-1e300").compare(number("-170141183460469231731687303715884105728")).is_lt());
    assert!(Number::parse("inf").is_none() && Number::parse("NaN").is_none() && Number::parse("").is_none());
}

/// `LIKE` by its definition, exponential in the worst case.
fn like(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|skip| like(rest, &text[skip..])),
        Some(('_', rest)) => text.split_first().is_some_and(|(_, left)| like(rest, left)),
        Some((c, rest)) => text.split_first().is_some_and(|(have, left)| c == have && like(rest, left)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn patterns_match_as_defined(pattern in "[ab%_ü]{0,8}", text in "[abü]{0,10}") {
        let compiled = Pattern::new(&pattern, None, false).unwrap();
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(compiled.matches(&text), like(&chars(&pattern), &chars(&text)));
        let folded = Pattern::new(&pattern.to_uppercase(), None, true).unwrap();
        prop_assert_eq!(folded.matches(&text), compiled.matches(&text));
    }

    #[test]
    fn no_text_panics(text in "[a-c \\n'\"()=<>!.,;%0-9é-]{0,24}|(NOT |a |= |IN |\\(|\\)|'x' |, |AND |OR |BETWEEN |1 |LIKE |IS |NULL ){0,12}") {
        if let Err(error) = Filter::parse(&text) {
            prop_assert!(text.get(error.span).is_some());
        }
    }
}

#[test]
fn patterns_escape() {
    let pattern = Pattern::new(r"100\%\_%", Some('\\'), false).unwrap();
    assert!(pattern.matches("100%_ sure") && !pattern.matches("1000_"));
    assert!(Pattern::new(r"a\", Some('\\'), false).is_err());
    assert!(Pattern::new(r"a\b", Some('\\'), false).is_err());
}
