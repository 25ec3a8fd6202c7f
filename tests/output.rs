//! Exit codes, and what goes where: data to stdout, all else to stderr, the error in one line last.

use crate::harness::{self, Place};
use crate::rows;

fn corpora() -> String {
    harness::fixtures().join("corpora").to_str().unwrap().to_owned()
}

fn small_place(tokens: &str) -> Place {
    let place = Place::new();
    place.write("data/some.jsonl", rows::jsonl(&rows::source("dialog")));
    place.write("curriculum.yaml", harness::small("data/*", "", tokens));
    place
}

#[test]
fn check_and_plan_say_yes_to_the_demo() {
    let place = Place::new();
    place.write("curriculum.yaml", harness::demo(&corpora()));
    place.run(&["check", "curriculum.yaml"]).expect(0);
    let plan = place.run(&["plan", "curriculum.yaml"]).expect(0);
    for word in ["foundation", "enterprise", "late", "web", "github", "notes", "19.2"] {
        assert!(plan.stdout.contains(word), "`{word}` is not in the plan:\n{}", plan.stdout);
    }
    place.run(&["plan", "curriculum.yaml", "--json"]).expect(0).json();
    assert!(!place.path("out").exists());
}

#[test]
fn a_wrong_curriculum_ends_with_2_and_shows_every_error() {
    let place = Place::new();
    let text =
        harness::demo(&corpora()).replace("packing: concat", "pakcing: concat").replace("tokens: 150k", "tokens: -1");
    place.write("curriculum.yaml", text);
    for command in [
        &["check", "curriculum.yaml"][..],
        &["plan", "curriculum.yaml"],
        &["compile", "curriculum.yaml", "--out", "out"],
    ] {
        let outcome = place.run(command).expect(2);
        for words in ["curriculum.yaml:", "pakcing", "packing", "tokens: -1", "^"] {
            assert!(outcome.stderr.contains(words), "`{words}` is not in:\n{}", outcome.stderr);
        }
        assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
        assert!(outcome.last_line().contains("curriculum.yaml"), "{}", outcome.last_line());
    }
    assert!(!place.path("out/manifest.json").exists());
}

#[test]
fn wrong_usage_ends_with_2() {
    let place = Place::new();
    for arguments in [
        &["compile"][..],
        &["compile", "curriculum.yaml", "--out", "out", "--memory", "lots"],
        &["compile", "curriculum.yaml", "--out", "out", "--scale", "-1"],
        &["frobnicate"],
        &["check", "nowhere.yaml"],
    ] {
        let outcome = place.run(arguments).expect(2);
        assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{arguments:?}");
    }
    assert!(place.run(&["--help"]).expect(0).stdout.contains("compile"));
    assert!(place.run(&["--version"]).expect(0).stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_cannot_be_done_ends_with_3_and_a_patch() {
    let place = Place::new();
    place.write("data/some.jsonl", rows::jsonl(&rows::source("dialog")));
    let text = harness::small("data/*", ", max_epochs: 2", "1M").replace("on_exhausted: repeat\n", "");
    place.write("curriculum.yaml", text);
    let outcome = place.compile("out", &[]).expect(3).says("max_epochs");
    assert!(outcome.last_line().contains('s'), "{}", outcome.last_line());
    assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
    assert!(!place.path("out/manifest.json").exists());
}

#[test]
fn compile_says_where_the_results_are() {
    let place = small_place("5k");
    let outcome = place.compile("out", &[]).expect(0);
    assert!(outcome.stdout.contains("out"), "{}", outcome.stdout);
    place.run(&["verify", "out"]).expect(0);
    place.run(&["verify", "out", "--quick"]).expect(0);
    place.run(&["verify", "out", "--json"]).expect(0).json();
}

#[test]
fn progress_for_machines_is_json_lines_on_stderr() {
    let place = small_place("5k");
    let outcome = place.run(&["compile", "curriculum.yaml", "--out", "out", "--progress", "json"]).expect(0);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert!(!lines.is_empty());
    for line in lines {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|value| value.is_object()), "{line}");
    }
}

#[test]
fn an_altered_dataset_ends_with_4_and_names_the_file() {
    let place = small_place("20k");
    place.compile("out", &[]).expect(0);
    for ending in ["bin", "idx", "arrow"] {
        let path = place.path(&format!("out/only/00000.{ending}"));
        let whole = fs_err::read(&path).unwrap();
        let mut altered = whole.clone();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        fs_err::write(&path, &altered).unwrap();
        let outcome = place.run(&["verify", "out"]).expect(4);
        assert!(outcome.stderr.contains(&format!("00000.{ending}")), "{}", outcome.stderr);
        fs_err::write(&path, &whole[..whole.len() - 7]).unwrap();
        for command in [&["verify", "out"][..], &["verify", "out", "--quick"]] {
            let outcome = place.run(command).expect(4);
            assert!(outcome.stderr.contains(&format!("00000.{ending}")), "{}", outcome.stderr);
        }
        fs_err::write(&path, whole).unwrap();
    }
    place.run(&["verify", "out"]).expect(0);
    place.run(&["verify", "nowhere"]).says("nowhere");
}

#[test]
fn a_finished_dataset_is_checked_and_not_made_again() {
    let place = small_place("20k");
    place.compile("out", &[]).expect(0);
    let stamps = |place: &Place| -> Vec<_> {
        let out = place.path("out");
        harness::dataset_files(&out)
            .into_iter()
            .map(|file| (fs_err::metadata(out.join(&file)).unwrap().modified().unwrap(), file))
            .collect()
    };
    let before = stamps(&place);
    place.compile("out", &["--threads", "1", "--memory", "1GiB"]).expect(0);
    assert_eq!(before, stamps(&place));
    // One that is no longer whole is not passed off as done.
    let shard = place.path("out/only/00000.bin");
    let whole = fs_err::read(&shard).unwrap();
    fs_err::write(&shard, &whole[..whole.len() / 2]).unwrap();
    let outcome = place.compile("out", &[]);
    assert!(
        outcome.code == 4 || (outcome.code == 0 && fs_err::read(&shard).unwrap() == whole),
        "{}: {}",
        outcome.code,
        outcome.stderr
    );
}

#[test]
fn clean_keeps_the_dataset() {
    let place = small_place("5k");
    place.compile("out", &[]).expect(0);
    let digest = place.digest("out");
    assert!(place.path("out/.work").exists(), "the store is kept for the next mix");
    place.run(&["clean", "out"]).expect(0);
    assert!(!place.path("out/.work").exists());
    place.run(&["verify", "out"]).expect(0);
    place.compile("out", &[]).expect(0);
    assert_eq!(place.digest("out"), digest);
}

#[test]
fn inspect_and_report_show_what_was_compiled() {
    let place = small_place("20k");
    place.compile("out", &[]).expect(0);
    let window = place.run(&["inspect", "out", "--window", "3"]).expect(0).stdout;
    for word in ["only", "ASSISTANT"] {
        assert!(window.contains(word), "`{word}` is not in:\n{window}");
    }
    place.run(&["inspect", "out", "--windows", "0..8"]).expect(0);
    place.run(&["inspect", "out", "--window", "100000"]).says("100000");
    let report = place.run(&["report", "out"]).expect(0).stdout;
    assert!(report.contains("only") && report.contains("100"), "{report}");
    place.run(&["report", "out", "--json"]).expect(0).json();
}

#[test]
fn schemas_are_current() {
    let place = Place::new();
    for name in ["curriculum", "report"] {
        let printed = place.run(&["schema", name]).expect(0).json();
        let path = harness::root().join(format!("schemas/{name}.schema.json"));
        let kept: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
        assert_eq!(printed, kept, "run `cargo xtask schemas`");
    }
}
