//! Curricula: whatever their text holds, `check` says what is wrong with it, where, and ends with 2.

use super::{Class, failed};
use crate::harness::{self, Place};

/// A curriculum that is right; each case replaces a part of it.
fn base() -> String {
    harness::small("data/*", "", "5k")
}

fn check(class: &mut Class, name: &str, text: impl AsRef<[u8]>, words: &[&str]) {
    let place = Place::new();
    place.write("c.yaml", text);
    let outcome = place.run(&["check", "c.yaml"]);
    let mut all = vec!["c.yaml:"];
    all.extend(words);
    class.case(name, failed(&outcome, 2, &all));
}

/// The base with a part replaced.
fn with(old: &str, new: &str) -> String {
    let base = base();
    assert!(base.contains(old), "`{old}` is not in the base");
    base.replace(old, new)
}

#[test]
fn bombs() {
    let mut class = Class::new("curricula", "bombs and nesting", "refused with the place, exit code 2");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", ")));
    }
    check(&mut class, "a billion aliases", &bomb, &["too large or nested too deep"]);
    check(&mut class, "an alias of itself", "a: &a [*a]", &["1:8"]);
    check(&mut class, "merge keys of themselves", "a: &a {<<: *a, b: 1}", &[]);
    for (name, deep) in [
        ("brackets", "[".repeat(100_000)),
        ("braces", "{a: ".repeat(100_000)),
        ("dashes", "- ".repeat(100_000)),
        ("question marks", "? ".repeat(100_000)),
        ("indents", (0..1_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
        ("quotes that do not end", format!("a: \"{}", "x".repeat(1 << 20))),
        ("a scalar of 3 MiB", format!("name: {}", "x".repeat(3 << 20))),
        ("tags", format!("a: {}", "!!str ".repeat(10_000))),
        ("anchors", (0..100_000).map(|i| format!("- &a{i} x\n")).collect()),
    ] {
        check(&mut class, name, deep, &[]);
    }
    let nested: String = (1..40).map(|n| format!("  m{n}: {{part: {{share: 1, of: m{}}}}}\n", n - 1)).collect();
    let mixes = format!("mixes:\n  m0: {{s: 1}}\n{nested}phases:");
    check(&mut class, "mixes in mixes", with("phases:", &mixes).replace("mix: {s: 100%}", "mix: m39"), &["nest"]);
    check(
        &mut class,
        "mixes in a circle",
        with("phases:", "mixes:\n  a: {x: {share: 1, of: b}}\n  b: {x: {share: 1, of: a}}\nphases:"),
        &["circle"],
    );
    check(&mut class, "more than 4 MiB", vec![b' '; (4 << 20) + 1], &["larger than 4 MiB"]);
    class.end();
}

#[test]
fn bytes() {
    let mut class = Class::new("curricula", "bytes that are no text", "refused with the place, exit code 2");
    check(&mut class, "Latin 1", b"syllabus: 1\nname: caf\xe9\n", &["2:", "UTF-8"]);
    check(&mut class, "UTF-16", base().encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), &[]);
    check(&mut class, "a NUL", with("name: small", "name: \"a\\0b\""), &["2:"]);
    check(&mut class, "a raw NUL", with("name: small", "name: a\0b"), &[]);
    check(&mut class, "nothing", "", &["empty"]);
    check(&mut class, "a binary", (0..=255_u8).collect::<Vec<u8>>(), &[]);
    class.end();
    // A mark at the start and line ends of Windows mean nothing.
    let place = Place::new();
    place.write("data/a.jsonl", "{\"text\": \"x\"}\n");
    place.write("c.yaml", format!("\u{feff}{}", base()).replace('\n', "\r\n"));
    place.run(&["check", "c.yaml"]).expect(0);
}

#[test]
fn numbers() {
    let mut class = Class::new("curricula", "absurd numbers", "refused with the place, exit code 2");
    let digits = "9".repeat(100_000);
    for number in [
        "-1",
        "0",
        ".nan",
        ".inf",
        "-.inf",
        "1e30",
        "1e400",
        "1e-9",
        "1000000000000000000000000000000",
        "0x10",
        "1,000",
        "5K",
        "5 k",
        "5kk",
        "1/2",
        "",
        "~",
        "true",
        "[5k]",
        "{a: 1}",
        "\"\"",
        "٣",
        &digits,
        "1e999999999999999999999",
        "0.000000000000000000000000000000000001T",
        "999999999T",
        "1%",
        "2x",
        "rest",
    ] {
        check(&mut class, &format!("tokens: {number:.40}"), with("tokens: 5k", &format!("tokens: {number}")), &["9:"]);
    }
    for number in ["-1", "0", "18446744073709551616", "4294967296", "1e9", ".nan", "64.5", "64k", &digits] {
        let text = with("sequence_length: 64", &format!("sequence_length: {number}"));
        check(&mut class, &format!("sequence_length: {number:.40}"), text, &["4:"]);
    }
    for weight in
        ["-1", "-5%", "101%", "1e400%", ".nan", "-.inf", ".nan%", "-2x", "1e20x", "4294967296x", "0", "%", &digits]
    {
        let text = with("{s: 100%}", &format!("{{s: {weight}}}"));
        check(&mut class, &format!("weight {weight:.40}"), text, &["9:"]);
    }
    for (key, values) in [
        ("max_epochs", ["0", "-1", "1.5", "4294967296"]),
        ("tokens", ["-1", "0", ".nan", "1e30"]),
        ("max_document_bytes", ["-1", "0", "16EiB", "1e30"]),
        ("min_chars", ["-1", "1.5", ".inf", "99999999999999999999"]),
        ("priority", ["1.5", ".nan", "1e30", "99999999999999999999"]),
    ] {
        for value in values {
            let text = with("files: \"data/*\"", &format!("files: \"data/*\", {key}: {value}"));
            check(&mut class, &format!("{key}: {value}"), text, &["7:"]);
        }
    }
    check(&mut class, "seed", with("name: small", "name: small\nseed: 18446744073709551616"), &["3:"]);
    check(&mut class, "a negative seed", with("name: small", "name: small\nseed: -1"), &["3:"]);
    class.end();
}

#[test]
fn names() {
    let mut class = Class::new("curricula", "names that would leave the folder", "refused with the place, exit code 2");
    let long = "x".repeat(300);
    for name in [
        "../x", "a/b", "/etc", "..", ".", ".hidden", "a\\\\b", "a\\0b", "a\\nb", "", " ", "-x", "~", "ü", "a:b",
        "CON/x", &long,
    ] {
        let phase = with("name: only", &format!("name: \"{name}\""));
        check(&mut class, &format!("phase {name:.20}"), phase, &["9:"]);
        let source =
            with("  s: {", &format!("  \"{name}\": {{")).replace("{s: 100%}", &format!("{{\"{name}\": 100%}}"));
        check(&mut class, &format!("source {name:.20}"), source, &["7:"]);
        let holdout = with("name: small", &format!("name: small\nholdout: {{\"{name}\": {{share: 1%}}}}"));
        check(&mut class, &format!("holdout {name:.20}"), holdout, &["3:"]);
    }
    for name in ["validation", "manifest.json", "ledger.parquet", ".work", "Manifest.JSON", "report.html"] {
        check(&mut class, &format!("phase {name}"), with("name: only", &format!("name: {name}")), &["9:"]);
    }
    class.end();
}

#[test]
fn expressions() {
    let mut class = Class::new("curricula", "conditions and expectations", "refused with the place, exit code 2");
    let condition = |condition: &str| with("files: \"data/*\"", &format!("files: \"data/*\", where: \"{condition}\""));
    for (name, text) in [
        ("parentheses", format!("{}a = 1{}", "(".repeat(10_000), ")".repeat(10_000))),
        ("NOT", format!("{}a = 1", "NOT ".repeat(10_000))),
        ("signs", format!("a = {}1", "- ".repeat(10_000))),
        ("a chain of thousands", vec!["a = 1"; 20_000].join(" AND ")),
        ("a subquery", "a IN (SELECT 1)".to_owned()),
        ("a function", "sleep(1000) = 0".to_owned()),
        ("two statements", "a = 1; DROP TABLE x".to_owned()),
        ("a comment", "a = 1 /* ".to_owned()),
        ("a string that does not end", "a = 'x".to_owned()),
        ("a comparison with null", "a = NULL".to_owned()),
        ("a number that is none", "a = 1e99999999999".to_owned()),
        ("nothing", String::new()),
        ("a NUL", "a = '\\0".to_owned()),
    ] {
        check(&mut class, &format!("where: {name}"), condition(&text), &["7:"]);
    }
    for (name, text) in [
        ("parentheses", "(".repeat(10_000)),
        ("a chain of sums", format!("{}s > 5%", "s + ".repeat(10_000))),
        ("nothing", String::new()),
        ("a division", "s / 0 > 5%".to_owned()),
        ("no comparison", "s".to_owned()),
        ("not a number", "s > nan".to_owned()),
        ("a huge number", "s > 1e400%".to_owned()),
        ("a share above the whole", "s > 200%".to_owned()),
        ("a call that does not end", "epochs(s".to_owned()),
    ] {
        let text = with("mix: {s: 100%}", &format!("mix: {{s: 100%}}, expect: [\"{text}\"]"));
        check(&mut class, &format!("expect: {name}"), text, &["9:"]);
    }
    for (name, pattern) in [
        ("many braces", "{".repeat(1_001)),
        ("a column without end", "{a".to_owned()),
        ("a closing brace alone", "a}".to_owned()),
        ("an empty column", "{}".to_owned()),
    ] {
        let text = with("files: \"data/*\"", &format!("files: \"data/*\", text: \"{pattern}\""));
        check(&mut class, &format!("text: {name}"), text, &["7:"]);
    }
    class.end();
}

/// Long ones that are right are no trouble: they are read without recursion, and in time.
#[test]
fn long_but_right() {
    let mut class = Class::new("curricula", "long expressions and lists that are right", "taken");
    let place = Place::new();
    place.write("data/a.jsonl", "{\"text\": \"x\", \"a\": 1}\n");
    let file = "a".repeat(100);
    place.write(&format!("data/{file}.jsonl"), "{\"text\": \"y\", \"a\": 1}\n");
    let stars = format!("data/{}b", "*a".repeat(40));
    let chain = vec!["a = 1"; 200].join(" AND ");
    let either = vec!["a = 1"; 200].join(" OR ");
    let list = (0..50_000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    for (name, text, code) in [
        ("AND", with("files: \"data/*\"", &format!("files: \"data/*\", where: \"{chain}\"")), 0),
        ("OR", with("files: \"data/*\"", &format!("files: \"data/*\", where: \"{either}\"")), 0),
        ("IN", with("files: \"data/*\"", &format!("files: \"data/*\", where: \"a IN ({list})\"")), 0),
        (
            "a text of many columns",
            with("files: \"data/*\"", &format!("files: \"data/*\", text: \"{}\"", "{text}".repeat(10_000))),
            0,
        ),
        (
            "LIKE",
            with(
                "files: \"data/*\"",
                &format!("files: \"data/*\", where: \"text LIKE '{}b' OR a = 1\"", "%a".repeat(50)),
            ),
            0,
        ),
        ("a pattern of many stars", with("data/*", &stars), 2),
    ] {
        place.write("c.yaml", &text);
        // Files are looked for by what reads them.
        let command: &[&str] = if code == 0 { &["check", "c.yaml"] } else { &["compile", "c.yaml", "--out", "none"] };
        let outcome = place.run(command);
        let good = outcome.code == code && !outcome.stderr.contains("panicked");
        class.case(name, if good { Ok(()) } else { Err(format!("{}: {:.300}", outcome.code, outcome.stderr)) });
        if code == 0 {
            place.write("curriculum.yaml", &text);
            let outcome = place.compile(&name.replace(' ', "-"), &[]);
            let good = outcome.code == 0;
            class.case(name, if good { Ok(()) } else { Err(format!("{}: {:.300}", outcome.code, outcome.stderr)) });
        }
    }
    class.end();
}
