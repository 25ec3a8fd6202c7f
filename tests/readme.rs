//! The README's commands and files, followed to the letter.

use std::collections::BTreeSet;

use crate::harness::{self, Place};
use crate::rows;

#[path = "../examples/read_dataset.rs"]
#[expect(dead_code, reason = "the example's main is for the command line")]
mod read_dataset;

fn readme() -> String {
    fs_err::read_to_string(harness::root().join("README.md")).unwrap()
}

/// The fenced blocks of a kind, in order.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(&format!("```{kind}\n")) {
        let block = &rest[start + kind.len() + 4..];
        let end = block.find("```").unwrap();
        found.push(block[..end].to_owned());
        rest = &block[end + 3..];
    }
    found
}

/// The arguments of each command line that runs the binary.
fn commands(block: &str) -> Vec<Vec<String>> {
    block
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .filter_map(|line| {
            line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("target/release/syllabus "))
        })
        .map(|arguments| arguments.split(' ').map(str::to_owned).collect())
        .collect()
}

fn follow(place: &Place, block: &str) -> usize {
    let commands = commands(block);
    for arguments in &commands {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let outcome = place.run(&arguments).expect(0);
        if arguments[0] == "compile" {
            assert!(outcome.stdout.contains(arguments[3]), "it says where the results are:\n{}", outcome.stdout);
        }
    }
    commands.len()
}

#[test]
fn the_demo_command_compiles() {
    let place = Place::new();
    let copy = |folder: &str| {
        for file in harness::files(&harness::root().join(folder)) {
            let name = format!("{folder}/{}", file.display());
            place.write(&name, fs_err::read(harness::root().join(&name)).unwrap());
        }
    };
    copy("curricula");
    copy("fixtures");
    assert_eq!(follow(&place, &blocks(&readme(), "console")[0]), 1);
    assert!(place.path("out/demo/manifest.json").exists());
}

#[test]
fn ones_own_parquet_files_compile_and_are_read_from_rust() {
    let readme = readme();
    let place = Place::new();
    let web = rows::source("web");
    for (number, part) in web.chunks(300).enumerate() {
        place.write(&format!("data/web/part-{number}.parquet"), rows::parquet(part, 100));
    }
    place.write("data/code/all.parquet", rows::parquet(&rows::source("github"), 100));
    let tokenizer = harness::fixtures().join("tokenizers/byte-level/tokenizer.json");
    place.write("tokenizer.json", fs_err::read(tokenizer).unwrap());
    place.write("mine.yaml", &blocks(&readme, "yaml")[0]);
    assert_eq!(follow(&place, &blocks(&readme, "console")[2]), 6);

    let example = fs_err::read_to_string(harness::root().join("examples/read_dataset.rs")).unwrap();
    let shown = &blocks(&readme, "rust")[0];
    assert!(example.ends_with(shown.as_str()), "the README's Rust is the end of examples/read_dataset.rs");
    let trained = read_dataset::read(place.path("out/mine").to_str().unwrap()).unwrap();
    // Rank 0 of 2 has half of the windows, or one more in each phase's last batch.
    let all = 1024 * usize::try_from(syllabus_reader::Dataset::open(place.path("out/mine")).unwrap().len()).unwrap();
    assert!((all / 2..=all / 2 + 2 * 1024).contains(&trained), "{trained} of {all}");

    // The tree of files that the README shows is there.
    let tree = &blocks(&readme, "text")[0];
    let shown: BTreeSet<&str> = tree.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(shown.len() >= 6);
    for file in shown {
        assert!(place.path("out/mine").join(file).exists(), "{file}");
    }
}

#[test]
fn every_dependency_is_there_for_a_reason() {
    let reasons = fs_err::read_to_string(harness::root().join("CONTRIBUTING.md")).unwrap();
    for package in ["Cargo.toml", "reader/Cargo.toml", "xtask/Cargo.toml"] {
        let text = fs_err::read_to_string(harness::root().join(package)).unwrap();
        let section = text.split_once("\n[dependencies]\n").unwrap().1.split("\n[").next().unwrap();
        let names =
            section.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['.', ' ']).next());
        for name in names.filter(|name| !name.is_empty() && !name.starts_with("syllabus")) {
            let known = reasons
                .split(|letter: char| !(letter.is_alphanumeric() || "-_".contains(letter)))
                .any(|word| word == name);
            assert!(known, "CONTRIBUTING.md does not say why {package} needs {name}");
        }
    }
}
