//! `syllabus export` from outside: what it says, what it refuses, and that the files hold the windows.

use std::path::Path;

use syllabus_reader::Dataset;

use crate::harness::{self, Place};
use crate::rows;

fn small_place(more: &str) -> Place {
    let place = Place::new();
    place.write("data/some.jsonl", rows::jsonl(&rows::source("dialog")));
    place.write("curriculum.yaml", format!("{}{more}", harness::small("data/*", "", "20k")));
    place.compile("out", &[]).expect(0);
    place
}

/// The dataset's tokens, window after window, as they lie on disk.
fn tokens(out: &Path) -> Vec<u8> {
    let dataset = Dataset::open(out).unwrap();
    let mut bytes = Vec::new();
    for at in 0..dataset.len() {
        let ids = dataset.window(at).unwrap().tokens.to_vec();
        syllabus_reader::format::tokens::encode(&ids, dataset.manifest().token_dtype, &mut bytes).unwrap();
    }
    bytes
}

#[test]
fn exports_say_what_was_written_and_whether_order_is_kept() {
    let place = small_place("holdout: {validation: {share: 5%}}\n");
    let expected = tokens(&place.path("out"));
    for (target, file, skip, order) in [
        ("megatron", "train/0-only/00000.bin", 0, "NOT kept"),
        ("megatron-exact", "train.bin", 0, "kept"),
        ("datatrove", "train/0-only/00000.ds", 0, "kept"),
        ("nanogpt", "train.bin", 0, "NOT kept"),
        ("llmc", "train_000000.bin", 1024, "kept"),
        ("automodel", "train_000000.bin", 1024, "kept"),
    ] {
        let arguments = ["export", "out", "--for", target, "--out", target];
        let outcome = place.run(&arguments).expect(0);
        for words in [file, "order: ", order, "held out validation/s"] {
            assert!(outcome.stdout.contains(words), "{target}: `{words}` is not in:\n{}", outcome.stdout);
        }
        let found = fs_err::read(place.path(target).join(file)).unwrap();
        assert!(found[skip..] == expected, "{target}");
        let again = place.run(&arguments).expect(0);
        assert!(again.stdout.contains("already"), "{}", again.stdout);
        let json = place.run(&[&arguments[..], &["--json"]].concat()).expect(0).json();
        assert_eq!((&json["for"], &json["dataset_digest"]), (&target.into(), &place.digest("out").into()));
    }
    // Links add nothing to the dataset, and take nothing from it.
    place.run(&["verify", "out"]).expect(0);
    let refused = place.run(&["export", "out", "--for", "olmo", "--out", "olmo"]).expect(3);
    assert!(refused.last_line().contains("label_token: false"), "{}", refused.last_line());
    assert!(refused.stdout.is_empty() && !place.path("olmo").exists());
    place.run(&["export", "out", "--for", "olmo", "--out", "megatron"]).expect(3);
    place.run(&["export", "out", "--for", "nanogpt", "--out", "megatron"]).expect(1).says("another export");
    place.run(&["export", "out", "--for", "jax", "--out", "jax"]).expect(2).says("megatron-exact");
    place.run(&["export", "nowhere", "--for", "megatron", "--out", "x"]).expect(1).says("nowhere");
}

#[test]
fn windows_without_a_label_go_to_olmo_and_not_to_datatrove() {
    let place = small_place("label_token: false\n");
    let outcome = place.run(&["export", "out", "--for", "olmo", "--out", "olmo"]).expect(0);
    assert!(outcome.stdout.contains("while the trainer's own shuffling is off"), "{}", outcome.stdout);
    assert!(fs_err::read(place.path("olmo/train/0-only/part-00000.npy")).unwrap() == tokens(&place.path("out")));
    let mut csv = String::new();
    let packed = fs_err::File::open(place.path("olmo/train/0-only/part-00000.csv.gz")).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut csv).unwrap();
    let mut at = 0;
    for line in csv.lines() {
        let (start, end) = line.split_once(',').unwrap();
        assert_eq!(start.parse::<u64>().unwrap(), at, "documents tile the file");
        at = end.parse().unwrap();
    }
    assert_eq!(at * 2, fs_err::metadata(place.path("olmo/train/0-only/part-00000.npy")).unwrap().len());
    let paths = fs_err::read_to_string(place.path("olmo/paths.txt")).unwrap();
    assert!(paths.lines().count() == 1 && Path::new(paths.trim()).is_file(), "{paths}");
    for target in ["datatrove", "megatron-exact"] {
        place.run(&["export", "out", "--for", target, "--out", target]).expect(3).says("S + 1");
    }
}
