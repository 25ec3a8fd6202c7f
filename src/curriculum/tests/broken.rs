//! A table of what can be wrong, and the words for it.

use super::super::{diagnostics, load, parse, yaml};
use super::{BASE, base, told};

/// Each case changes one part of the base curriculum; one error comes of it, `line:column message (hint)`.
#[test]
fn one_mistake_one_error() {
    let mut wrong = String::new();
    for (old, new, expected) in [
        // Keys.
        ("sources:", "sorces:", "5:1 unknown key `sorces` (did you mean `sources`?)"),
        ("name: base", "name: base\nname: other", "3:1 `name` is given twice (keep one of the two)"),
        ("name: base\n", "", "1:1 the key `name` is missing"),
        ("bos: none, eos: \"</s>\"", "bos: none", "3:12 the key `eos` is missing"),
        ("group: code}\n  books", "groop: code}\n  books", "8:23 unknown key `groop` (did you mean `group`?)"),
        ("syllabus: 1", "syllabus: 2", "1:11 version 2 of the format is not known (this Syllabus reads `syllabus: 1`)"),
        // Kinds and spellings.
        ("name: base", "name: 7", "2:7 expected text (put it in quotes: `\"7\"`)"),
        ("name: base", "name:", "2:1 `name` has no value (write text, or remove the key)"),
        ("name: base", "name: base\nlabel_token: yes", "3:14 expected `true` or `false`, found `yes` (write `true`)"),
        (
            "name: base",
            "name: base\npacking: bestfit",
            "3:10 expected `concat` or `best_fit`, found `bestfit` (did you mean `best_fit`?)",
        ),
        (
            "name: base",
            "name: base\nseed: 1.5",
            "3:7 `1.5` is not a whole number (expected a whole number, such as `4096`)",
        ),
        ("1024", "1k", "4:18 `1k` is not a whole number (write it out: `1000`)"),
        ("1024", "0", "4:18 the sequence length is from 1 to 16777216, not 0"),
        ("1B", "1G", "13:25 `1G` is not a number of tokens (write `1B`)"),
        (
            "1B",
            "1e30",
            "13:25 `1e30` is more than a curriculum can hold (at most 10^18 tokens) (expected a number of tokens, such as `1T`, `1.5B`, `250M`, `64k` or `4096`)",
        ),
        (
            "1B",
            "-5",
            "13:25 `-5` is negative (expected a number of tokens, such as `1T`, `1.5B`, `250M`, `64k` or `4096`)",
        ),
        (
            "1B",
            ".inf",
            "13:25 `.inf` is not a finite number (expected a number of tokens, such as `1T`, `1.5B`, `250M`, `64k` or `4096`)",
        ),
        ("1B", "0", "13:25 a phase reads at least a token"),
        ("1B", "500", "13:25 500 tokens come to no window of 1024 (raise the budget, or lower `sequence_length`)"),
        (
            "sequence_length: 1024\n",
            "",
            "12:5 neither this phase nor the curriculum has a `sequence_length` (write, for example, `sequence_length: 4096` at the top)",
        ),
        // Names.
        (
            "name: one",
            "name: ../one",
            "13:12 the phase name \"../one\" does not begin with a letter or a digit (names hold letters, digits, `_`, `.` and `-`, and begin with a letter or a digit: they become folders)",
        ),
        (
            "name: one",
            "name: a/b",
            "13:12 the phase name \"a/b\" contains '/' (names hold letters, digits, `_`, `.` and `-`, and begin with a letter or a digit: they become folders)",
        ),
        (
            "name: one",
            "name: Validation",
            "13:12 a phase cannot be named `Validation`: the folder is for held-out documents (choose another name)",
        ),
        (
            "name: one",
            "name: manifest.json",
            "13:12 a phase cannot be named `manifest.json`: a file of the dataset is (choose another name)",
        ),
        (
            "- {name: one",
            "- {name: ONE, tokens: 1B, mix: early}\n  - {name: one",
            "14:12 there are two phases named `one` (names of phases become folders, whatever their case)",
        ),
        (
            "web/*}",
            "web/*}\n  Web: {files: x}",
            "7:3 `Web` and `web` differ only in case (both become folders, and some file systems do not tell them apart)",
        ),
        (
            "books/*}",
            "books/*, group: web}",
            "9:34 `web` is the name of a source, so no group can have it (sources and groups share one namespace: rename one of them)",
        ),
        ("web: 60%", "wbe: 60%", "11:11 no source or group is named `wbe` (did you mean `web`?)"),
        ("mix: early", "mix: eraly", "13:34 no mix is named `eraly` (did you mean `early`?)"),
        (
            "mix: early",
            "mix: web",
            "13:34 no mix is named `web` (`web` is a source or group: a mix of it alone is `{web: 100%}`)",
        ),
        // Weights.
        (
            "web: 60%",
            "web: 90%",
            "11:27 the percentages sum to 110 % (lower them, or write bare numbers: these are normalised)",
        ),
        (
            "web: 60%",
            "web: 80%",
            "11:39 the percentages sum to 100 %, so nothing is left for this (lower a percentage, or remove this line)",
        ),
        (
            "web: 60%",
            "web: rest",
            "11:40 `rest` stands twice in one mix (only one line can take what is left; bare numbers divide it)",
        ),
        (
            "web: 60%",
            "web: 60",
            "11:38 bare numbers already divide all that is left, so `rest` gets nothing (write the bare numbers as percentages, or `rest` as a bare number)",
        ),
        (
            "books: rest",
            "books: 10%",
            "11:10 the percentages sum to 90 %, and 10 % are given to nothing (give one line `rest`, or write bare numbers: these are normalised)",
        ),
        (
            "web: 60%",
            "web: -1",
            "11:16 `-1` is negative (expected a weight: `26.5%` (of this level), `50B` (tokens), `2x` (epochs), `rest`, or a bare number (relative))",
        ),
        (
            "web: 60%",
            "web: .nan",
            "11:16 `.nan` is not a finite number (expected a weight: `26.5%` (of this level), `50B` (tokens), `2x` (epochs), `rest`, or a bare number (relative))",
        ),
        (
            "web: 60%",
            "web: 6O%",
            "11:16 `6O%` is not a weight (write `26.5%` (of this level), `50B` (tokens), `2x` (epochs), `rest`, or a bare number (relative))",
        ),
        ("{web: 60%, code: 20%, books: rest}", "{web: 0, books: 0}", "11:10 nothing in this mix has a share"),
        (
            "{web: 60%, code: 20%, books: rest}",
            "{}",
            "11:10 this mix is empty (write, for example, `{web: 75%, books: rest}`)",
        ),
        (
            "web: 60%",
            "web: 2B",
            "13:34 the absolute weights come to 2.2B tokens, but there are 1B (lower them, or raise the phase's budget)",
        ),
        (
            "web: 60%",
            "web: 800M",
            "13:34 the absolute weights take all of the 1B tokens, so nothing is left for the other lines (lower them, or remove the other lines)",
        ),
        (
            "web: 60%, code: 20%, books: rest",
            "web: 60%, code: 20%, books: 100M",
            "13:34 the weights come to 900M of 1B tokens: 100M are given to nothing (give one line `rest`)",
        ),
        (
            "code: 20%",
            "code: {share: 20%, of: {github: 150M, sql: 100M}}",
            "13:34 the absolute weights come to 250M tokens, but there are 200M (lower them, or raise the phase's budget)",
        ),
        // Groups and nesting.
        ("code: 20%", "code: 20%, sql: 1%", "11:32 `sql` is in this mix twice, directly or through a group"),
        ("code: 20%", "code: {share: 20%, of: {github: 1, books: 1}}", "11:56 `books` is not in the group `code`"),
        ("code: 20%", "code: {share: 20%, of: [github, books]}", "11:53 `books` is not in the group `code`"),
        ("code: 20%", "code: {share: 20%, of: []}", "11:44 this list is empty"),
        ("code: 20%", "code: {share: 20%, of: [sql, sql]}", "11:50 `sql` is listed twice"),
        (
            "code: 20%",
            "code: {share: 20%, of: {sql: 1}, by: size}",
            "11:58 `by` and `boost` share by size, but `of` already gives weights (list the members instead, as in `of: [github, sql]`, or drop `by` and `boost`)",
        ),
        ("code: 20%", "code: {share: 20%, by: size, boost: {web: 2}}", "11:58 `web` is no member of `code`"),
        (
            "code: 20%",
            "code: {share: 20%, by: size, boost: {sql: 0}}",
            "11:63 a factor is above 0 (to leave a member out, list the others: `of: [...]`)",
        ),
        ("code: 20%", "code: {share: 20%, by: tokens}", "11:44 expected `size`, found `tokens`"),
        (
            "web: 60%",
            "web: {share: 60%, of: {sql: 1}}",
            "11:11 `web` is a source, so there is nothing to divide (remove `of`, `by` and `boost`)",
        ),
        (
            "code: 20%",
            "cod: {share: 20%, of: {github: 1}}",
            "11:21 no source or group is named `cod` (did you mean `code`? A share with members of its own needs a name less like it)",
        ),
        ("code: 20%", "programs: {share: 20%, of: early}", "11:48 mixes in a circle: early → early"),
        // Budgets.
        (
            "tokens: 1B",
            "tokens: 1B, until: 1B",
            "13:36 a phase has `tokens` or `until`, not both (`tokens` is the phase's own length, `until` counts from the curriculum's start)",
        ),
        (
            "tokens: 1B, ",
            "",
            "13:5 this phase has no budget (give it `tokens: 1T`, or `until: 3.5T` counted from the curriculum's start)",
        ),
        (
            "mix: early}",
            "mix: early}\n  - {name: two, until: 1B, mix: early}",
            "14:24 the phases before this one already reach 1B tokens (`until` counts from the curriculum's start: raise it, or use `tokens` for the phase's own length)",
        ),
        (
            "1B, mix: early}",
            "999999T, mix: early}\n  - {name: two, tokens: 2T, mix: early}",
            "14:25 the phases together are longer than 10^18 tokens",
        ),
        // Expectations.
        (
            "mix: early}",
            "mix: early, expect: \"wbe > 5%\"}",
            "13:50 no source or group is named `wbe` (did you mean `web`?)",
        ),
        (
            "mix: early}",
            "mix: early, expect: [web > 5%, \"code = 5%\"]}",
            "13:66 expected `==`, `<`, `<=`, `>` or `>=` (write `==`)",
        ),
        // Sources.
        (
            "web/*",
            "\"a[b\"",
            "6:18 not a file pattern: invalid range pattern (`*` and `?` match within a name, `[a-z]` one of several characters, `**` between slashes any folders; `[[]` is a plain bracket)",
        ),
        ("web/*", "[]", "6:16 this list is empty"),
        (
            "web/*}",
            "web/*, max_epochs: 1.5}",
            "6:35 `1.5` is not a whole number (expected a whole number, such as `4096`)",
        ),
        ("web/*}", "web/*, max_epochs: 0}", "6:35 max_epochs is from 1 to 4294967295, not 0"),
        (
            "web/*}",
            "web/*, tokens: 0}",
            "6:31 a source of no tokens cannot be read (remove the key when the size is not known)",
        ),
        (
            "web/*}",
            "web/*, text: \"{a}\\n{b\"}",
            "6:35 this brace is not closed (write `{column}`, or `{{` for a brace)",
        ),
        ("web/*}", "web/*, text: a}}\n", "6:31 not valid YAML: misplaced bracket"),
        ("web/*}", "web/*, on_bad_row: skip}", "6:35 expected `error`, `count` or `{count: 100}`, found `skip`"),
        ("web/*}", "web/*, on_bad_row: {limit: 3}}", "6:36 unknown key `limit` (this mapping has the keys `count`)"),
        (
            "web/*}",
            "web/*, min_chars: 9, max_chars: 8}",
            "6:48 `max_chars` is less than `min_chars`: no text would pass",
        ),
        (
            "web/*}",
            "web/*, min_bytes: 65MiB}",
            "6:34 no text would pass: documents of more than 67108864 bytes are bad rows (raise `max_document_bytes` of this source)",
        ),
        ("web/*}", "web/*, copies_of: web}", "6:34 `web` cannot be a copy of itself"),
        ("web/*}", "web/*, copies_of: code}", "6:34 `code` is a group (`copies_of` names one source)"),
        (
            "web/*}\n  github: {files: github/*",
            "web/*, copies_of: github}\n  github: {files: github/*, copies_of: web",
            "6:34 copies in a circle: web → github → web (a declared subset has a parent that is not a subset of it)",
        ),
        // Duplicates, leaks, holdout.
        ("name: base", "name: base\ndedup: {near: {jaccard: 80}}", "3:25 `80` is more than the whole (write `80%`)"),
        (
            "name: base",
            "name: base\ndedup: {near: {bands: 4}}",
            "3:23 `rows` is missing: bands and rows are given together (give both, or none: they then follow from `jaccard`)",
        ),
        (
            "name: base",
            "name: base\ndedup: {near: {max_removed: {wbe: 4%}}}",
            "3:30 no source is named `wbe` (did you mean `web`?)",
        ),
        (
            "name: base",
            "name: base\ndedup: {near: {bands: 100, rows: 100}}",
            "3:23 bands times rows is at most 128, not 10000",
        ),
        (
            "name: base",
            "name: base\ndecontaminate: {files: e, coverage: 0%}",
            "3:37 the coverage is above 0 (write `any` when one n-gram suffices)",
        ),
        (
            "name: base",
            "name: base\nholdout: {v: {share: 1%}, w: {share: 1%}}",
            "3:27 one set can be held out, and this is the second",
        ),
        ("name: base", "name: base\nholdout: {v: {share: 1}}", "3:22 nothing would be left for training"),
        (
            "name: base",
            "name: base\nholdout: {one: {share: 1%}}",
            "14:12 a phase cannot be named `one`: the folder is for held-out documents (choose another name)",
        ),
        (", books: rest", ", sql: rest", "11:32 `sql` is in this mix twice, directly or through a group"),
        (
            "{web: 60%, code: 20%, books: rest}",
            "{web: 60%, code: rest}",
            "warning 9:3 no phase reads the source `books` (it still takes part in dedup; name it in a mix, or remove it)",
        ),
    ] {
        let said = told(&base(old, new));
        let said = match said.as_slice() {
            [one] => one.as_str(),
            more => &format!("{more:#?}"),
        };
        if said != expected {
            wrong.push_str(&format!("{new}\n  told     {said}\n  expected {expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn all_errors_of_a_run_are_told() {
    let text = "\
syllabus: 1
nmae: base
tokenizer: {file: t.json, eos: 3, backend: fastest}
sequence_lenght: 16k
sources:
  web: {files: [], tokens: lots}
  books: {files: b, copies_of: wbe, max_epoch: 0}
phases:
  - {name: a, tokens: 1B, mix: {web: -5, boks: 3}, expect: \"web = 3\"}
  - {name: a, mix: none, packing: tight}
";
    assert_eq!(
        told(text),
        [
            "2:1 unknown key `nmae` (did you mean `name`?)",
            "3:32 expected text (put it in quotes: `\"3\"`)",
            "3:44 expected `fast`, `auto` or `reference`, found `fastest`",
            "4:1 unknown key `sequence_lenght` (did you mean `sequence_length`?)",
            "4:18 `16k` is not a whole number (write it out: `16000`)",
            "6:16 this list is empty",
            "6:28 `lots` is not a number of tokens (write `1T`, `1.5B`, `250M`, `64k` or a whole number)",
            "7:32 no source is named `wbe` (did you mean `web`?)",
            "7:37 unknown key `max_epoch` (did you mean `max_epochs`?)",
            "7:48 max_epochs is from 1 to 4294967295, not 0",
            "9:38 `-5` is negative (expected a weight: `26.5%` (of this level), `50B` (tokens), `2x` (epochs), `rest`, or a bare number (relative))",
            "9:42 no source or group is named `boks` (did you mean `books`?)",
            "9:65 expected `==`, `<`, `<=`, `>` or `>=` (write `==`)",
            "10:5 this phase has no budget (give it `tokens: 1T`, or `until: 3.5T` counted from the curriculum's start)",
            "10:12 there are two phases named `a` (names of phases become folders, whatever their case)",
            "10:20 no mix is named `none`",
            "10:35 expected `concat` or `best_fit`, found `tight`",
        ]
    );
}

/// The whole of what a person sees, for a few.
#[test]
fn rendered() {
    let text = base("code: 20%", "code: 20%, sql: 1%");
    let Err(crate::Error::Curriculum { rendered, summary }) = parse(&text, "c.yaml", false) else { panic!("an error") };
    assert_eq!(summary, "c.yaml:11:32: `sql` is in this mix twice, directly or through a group");
    assert_eq!(
        rendered,
        "\
error: `sql` is in this mix twice, directly or through a group
  --> c.yaml:11:32
   |
11 |   early: {web: 60%, code: 20%, sql: 1%, books: rest}
   |                     ----       ^^^ again here
   |                     |
   |                     first here"
    );
    let text = base("web: 60%", "web: 2B");
    let Err(crate::Error::Curriculum { rendered, .. }) = parse(&text, "c.yaml", false) else { panic!("an error") };
    assert_eq!(
        rendered,
        "\
error: the absolute weights come to 2.2B tokens, but there are 1B
  --> c.yaml:13:33
   |
11 |   early: {web: 2B, code: 20%, books: rest}
   |          - these weights
12 | phases:
13 |   - {name: one, tokens: 1B, mix: early}
   |                                 ^^^^^
   |
   = help: lower them, or raise the phase's budget"
            .replace("13:33", "13:34")
            .replace("|                                 ^^^^^", "|                                  ^^^^^")
    );
    let text = base("name: base", "nmae: a b");
    let Err(error @ crate::Error::Curriculum { .. }) = parse(&text, "c.yaml", false) else { panic!("an error") };
    assert_eq!(error.to_string(), "c.yaml:2:1: unknown key `nmae` (and 1 more error)");
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn yaml_that_is_none() {
    for (text, expected) in [
        ("", "1:1 this curriculum is empty (begin with `syllabus: 1`)"),
        ("# only a comment\n", "1:1 this curriculum is empty (begin with `syllabus: 1`)"),
        ("a: b: c", "1:5 not valid YAML: mapping values are not allowed in this context"),
        ("a: *nothing", "1:4 not valid YAML: alias references unknown anchor"),
        (
            "a: 1\n---\nb: 2",
            "3:1 a curriculum is one YAML document, and a second one begins here (remove the `---` line, or split the file)",
        ),
        ("a: &x [*x]", "1:8 an alias cannot stand inside what it names"),
        (
            "a: !special 3",
            "1:13 not valid YAML: unsupported tag `!special` (a value that begins with `!` is a YAML tag: put it in quotes)",
        ),
        (
            "- 1",
            "1:1 expected a curriculum: a mapping with the keys `syllabus`, `name`, `tokenizer`, `sources` and `phases`",
        ),
    ] {
        assert_eq!(told(text), [expected], "{text}");
    }
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", ")));
    }
    let said = told(&bomb);
    assert!(said.len() == 1 && said[0].contains("too large or nested too deep"), "{said:?}");
    for deep in [
        "[".repeat(100_000),
        "{a: ".repeat(10_000),
        format!("{}1", "- ".repeat(400)),
        (0..100).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>(),
    ] {
        assert!(yaml::parse(&deep).is_err());
    }
    // As deep as is allowed is no trouble.
    let depth = yaml::MAX_DEPTH - 2;
    assert!(yaml::parse(&format!("{}1{}", "[".repeat(depth), "]".repeat(depth))).is_ok());
}

#[test]
fn mixes_cannot_nest_without_end() {
    let mut mixes = "  m0: {web: 1}\n".to_owned();
    for level in 1..40 {
        mixes.push_str(&format!("  m{level}: {{part: {{share: 1, of: m{}}}}}\n", level - 1));
    }
    let text = base("mix: early", "mix: m39").replace("phases:", &format!("{mixes}phases:"));
    let said = told(&text);
    assert!(said.iter().any(|line| line.contains("mixes nest more than 16 deep")), "{said:?}");
}

#[test]
fn bytes_that_are_no_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.yaml");
    fs_err::write(&path, b"syllabus: 1\nname: \xff\xfe\n").expect("written");
    let Err(crate::Error::Curriculum { summary, .. }) = load(&path, false) else { panic!("an error") };
    assert_eq!(summary, format!("{}:2:7: these bytes are not UTF-8", path.display()));
    fs_err::write(&path, vec![b' '; (4 << 20) + 1]).expect("written");
    let Err(crate::Error::Curriculum { summary, .. }) = load(&path, false) else { panic!("an error") };
    assert!(summary.ends_with("larger than 4 MiB: this is no curriculum"), "{summary}");
    let Err(error) = load(&folder.path().join("none.yaml"), false) else { panic!("an error") };
    assert!(error.exit_code() == 2 && error.to_string().contains("none.yaml"), "{error}");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is done to a curriculum's text, the check ends with a curriculum or with errors that can be shown.
        #[test]
        fn no_text_breaks_the_check(at in 0usize..BASE.len(), cut in 0usize..30, new in "(\\PC{0,6}|[ \n:{}\\[\\]&*\"',-]{0,4})") {
            let mut text = BASE.to_owned();
            text.replace_range(at..(at + cut).min(BASE.len()), &new);
            if let Err(list) = super::super::understand(&text, "c.yaml") {
                prop_assert!(!list.is_empty());
                prop_assert!(!diagnostics::render(&list, &text, "c.yaml", false).is_empty());
            }
        }
    }
}
