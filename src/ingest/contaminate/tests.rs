//! Leaks planted by hand, and against brute force.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn item(name: &str, text: &str) -> Item {
    Item { benchmark: "b".into(), name: name.into(), texts: vec![text.into()] }
}

fn half() -> BigRational {
    BigRational::new(1.into(), 2.into())
}

fn numbered(words: std::ops::Range<u32>) -> String {
    words.map(|w| format!("word{w}")).collect::<Vec<_>>().join(" ")
}

fn check(benchmarks: &Benchmarks, text: &str) -> Option<Leak> {
    benchmarks.check(&mut benchmarks.scratch(), text)
}

#[test]
fn case_punctuation_and_white_space_do_not_hide() {
    let question = "Janet’s ducks lay 16 eggs per day. She eats three for breakfast every morning.";
    let benchmarks = Benchmarks::new(vec![item("1", question)], 13, None).unwrap();
    let text = "Here it is:\r\n\tJANET'S  ducks lay 16 eggs, per day! She eats **three** for breakfast";
    let leak = check(&benchmarks, text).unwrap();
    assert_eq!((leak.benchmark.as_str(), leak.item.as_str(), leak.matched, leak.total), ("b", "1", 1, 3));
    assert_eq!(leak.ngram, "janet s ducks lay 16 eggs per day she eats three for breakfast");
    assert!(text[usize::try_from(leak.offset).unwrap()..].starts_with("JANET'S"));
    assert_eq!(check(&benchmarks, &text.replace("three", "four")), None);
}

#[test]
fn coverage_is_exact() {
    // 20 words, 8 n-grams: half of them are 4, which 16 words hold.
    let benchmarks = Benchmarks::new(vec![item("1", &numbered(0..20))], 13, Some(&half())).unwrap();
    assert_eq!(check(&benchmarks, &numbered(0..15)), None);
    let leak = check(&benchmarks, &format!("and {}", numbered(3..19))).unwrap();
    assert_eq!((leak.matched, leak.total, leak.offset), (4, 8, 4));
    // The same four again and again are four.
    let repeated = vec![numbered(0..15); 9].join(" | ");
    assert_eq!(check(&benchmarks, &repeated), None);
}

#[test]
fn short_items_are_matched_whole_and_tiny_ones_never() {
    let items = vec![item("four", "What is it now?"), item("six", "What is the capital of Assyria?")];
    let benchmarks = Benchmarks::new(items, 13, Some(&half())).unwrap();
    assert_eq!(check(&benchmarks, "what is it now"), None);
    assert_eq!(check(&benchmarks, "is the capital of Assyria"), None);
    let leak = check(&benchmarks, "Asked: what is the capital of assyria, he died.").unwrap();
    assert_eq!((leak.item.as_str(), leak.matched, leak.total, leak.offset), ("six", 1, 1, 7));
    assert_eq!(leak.ngram, "what is the capital of assyria");
    assert_eq!(benchmarks.summary().too_short, 1);
}

#[test]
fn boilerplate_does_not_count() {
    let boilerplate = numbered(0..15);
    let many = |count: u32| -> Vec<Item> {
        (0..count)
            .flat_map(|i| {
                let own = 1000 * (i + 1);
                [
                    item(&format!("{i}"), &format!("{boilerplate} {}", numbered(own..own + 20))),
                    item(&format!("s{i}"), "Which of these is true?"),
                ]
            })
            .collect()
    };
    let (few, many) = (many(10), many(11));
    let few = Benchmarks::new(few, 13, None).unwrap();
    assert!(check(&few, &boilerplate).is_some() && check(&few, "which of these is true").is_some());
    let many = Benchmarks::new(many, 13, None).unwrap();
    assert!(check(&many, &boilerplate).is_none() && check(&many, "which of these is true").is_none());
    assert_eq!((many.summary().common_ngrams, many.summary().nothing_left), (3, 1));
    // 23 n-grams of an item, 3 of them common.
    let leak = check(&many, &format!("{boilerplate} {}", numbered(5000..5020))).unwrap();
    assert_eq!((leak.item.as_str(), leak.matched, leak.total), ("4", 20, 20));
}

/// A short text counts where it stands in longer items, too.
#[test]
fn short_texts_within_longer_items_are_boilerplate() {
    let mut items: Vec<Item> = (0..10)
        .map(|i| item(&format!("{i}"), &format!("which of these is true {}", numbered(100 * i..100 * i + 20))))
        .collect();
    items.push(item("short", "Which of these is true?"));
    let benchmarks = Benchmarks::new(items, 13, None).unwrap();
    assert_eq!(check(&benchmarks, "Which of these is true?"), None);
}

#[test]
fn the_choice_among_items_does_not_depend_on_their_order() {
    let mut items = vec![
        Item { benchmark: "z".into(), ..item("1", &numbered(0..20)) },
        Item { benchmark: "a".into(), ..item("2", &numbered(100..120)) },
        Item { benchmark: "a".into(), ..item("1", &numbered(200..220)) },
        // The same text in two items is named by the first.
        Item { benchmark: "0".into(), ..item("9", &numbered(200..220)) },
    ];
    let text = [numbered(0..20), numbered(100..120), numbered(200..219)].join(" x ");
    let mut digests = BTreeSet::new();
    for _ in 0..4 {
        items.rotate_left(1);
        let benchmarks = Benchmarks::new(items.clone(), 13, None).unwrap();
        let leak = check(&benchmarks, &text).unwrap();
        assert_eq!(
            (leak.benchmark.as_str(), leak.item.as_str(), leak.matched),
            ("a", "2", 8),
            "covered most, then first"
        );
        let leak = check(&benchmarks, &numbered(200..220)).unwrap();
        assert_eq!((leak.benchmark.as_str(), leak.item.as_str()), ("0", "9"));
        digests.insert(benchmarks.digest());
    }
    assert_eq!(digests.len(), 1);
    assert_ne!(digests.first(), Some(&Benchmarks::new(items.clone(), 12, None).unwrap().digest()));
    items.pop();
    assert_ne!(digests.first(), Some(&Benchmarks::new(items, 13, None).unwrap().digest()));
}

#[test]
fn numbers_and_single_letters_prove_nothing() {
    let counting = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 a 15 b 16";
    let items = vec![item("1", &format!("{counting} and so on")), item("2", "3 x 4 y 5 z"), item("3", "一二三四五六")];
    let benchmarks = Benchmarks::new(items, 13, None).unwrap();
    assert_eq!(check(&benchmarks, &format!("{counting} 3 x 4 y 5 z")), None);
    assert_eq!(benchmarks.summary().nothing_left, 1);
    let leak = check(&benchmarks, &format!("{counting} and so on")).unwrap();
    assert_eq!((leak.matched, leak.total), (3, 3), "of 9");
    assert_eq!(check(&benchmarks, "零一二三四五六七").unwrap().item, "3");
}

#[test]
fn fields_are_texts_of_their_own() {
    let texts = vec![numbered(0..13), numbered(50..150)];
    let benchmarks =
        Benchmarks::new(vec![Item { benchmark: "b".into(), name: "1".into(), texts }], 13, Some(&half())).unwrap();
    assert!(check(&benchmarks, &numbered(0..13)).is_some(), "the question alone is a leak");
    assert_eq!(check(&benchmarks, &format!("{} {}", numbered(1..13), numbered(50..60))), None);
}

/// Items in one file or two, in whatever order: the same digest and the same leak.
#[test]
fn files_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: u32| {
        let text = numbered(100 * id..100 * id + 20);
        format!("{{\"id\": {id}, \"benchmark\": \"b\", \"text\": \"{text}\"}}\n")
    };
    let write = |name: &str, ids: &[u32]| {
        let path = folder.path().join(name);
        fs_err::write(&path, ids.iter().map(|&id| line(id)).collect::<String>()).unwrap();
        path
    };
    let layouts = [vec![write("a", &[1, 2, 3])], vec![write("c", &[3]), write("b.jsonl", &[2, 1])]];
    let loaded = layouts.map(|files| Benchmarks::load(&files, &["text".into()], 13, Some(&half())).unwrap());
    assert_eq!(loaded[0].digest(), loaded[1].digest());
    assert_eq!(loaded[0].summary(), loaded[1].summary());
    assert_eq!((loaded[0].summary().items, loaded[0].summary().ngrams), (3, 24));
    let leaks = loaded.map(|benchmarks| check(&benchmarks, &numbered(200..220)).unwrap());
    assert_eq!((leaks[0].item.as_str(), &leaks[0]), ("2", &leaks[1]));
    assert!(Benchmarks::load(&[folder.path().join("none")], &["text".into()], 13, None).is_err());
}

#[test]
fn bad_options_are_refused() {
    assert!(Benchmarks::new(Vec::new(), 0, None).is_err() && Benchmarks::new(Vec::new(), 5000, None).is_err());
    let two = BigRational::from_integer(2.into());
    assert!(Benchmarks::new(Vec::new(), 13, Some(&two)).is_err());
    let none = Benchmarks::new(Vec::new(), 13, None).unwrap();
    assert_eq!(check(&none, &numbered(0..100)), None);
}

/// Words are looked at in blocks of 512: wherever an item stands, and however long its n-grams are.
#[test]
fn items_are_found_across_blocks() {
    for n in [5_u32, 6, 13, 100, 511, 512, 513, 600] {
        let items =
            vec![item("1", &numbered(0..n + 5)), item("2", &numbered(3000..3005)), item("3", &numbered(4000..4007))];
        let benchmarks = Benchmarks::new(items, n, Some(&half())).unwrap();
        let all: Vec<u32> = (0..1100).step_by(53).chain(500..520).chain([1023, 1024, 1025]).collect();
        for before in all {
            let pad = numbered(10_000..10_000 + before);
            let text = format!("{pad} {} {}", numbered(2..n + 5), numbered(20_000..20_100));
            let leak = check(&benchmarks, &text).unwrap();
            assert_eq!((leak.item.as_str(), leak.matched, leak.total), ("1", 4, 6), "{before} words, n = {n}");
            assert!(text[usize::try_from(leak.offset).unwrap()..].starts_with(&leak.ngram));
            let part = format!("{pad} {} x {}", numbered(0..n - 1), numbered(6..n + 5));
            assert_eq!(check(&benchmarks, &part), None, "{before} words, n = {n}");
            for (name, words) in [("2", 3000..3005), ("3", 4000..4007)] {
                let short = words.len() < usize::try_from(n).unwrap();
                let leak = check(&benchmarks, &format!("{pad} {} x", numbered(words)));
                assert!(
                    leak.is_some_and(|leak| leak.item == name && (!short || leak.total == 1)),
                    "{name}: {before}, {n}"
                );
            }
        }
    }
}

/// The order of Thue and Morse and its opposite have equal rolled hashes when they are long: both are looked for all the same.
#[test]
fn equal_hashes_of_other_words_are_told_apart() {
    let words = |odd: u32| -> String {
        let word = |i: u32| if i.count_ones() % 2 == odd { "foo" } else { "bar" };
        (0..512).map(word).collect::<Vec<_>>().join(" ")
    };
    let benchmarks = Benchmarks::new(vec![item("1", &format!("{} {}", words(0), words(1)))], 512, None).unwrap();
    let (one, other) = (check(&benchmarks, &words(0)).unwrap(), check(&benchmarks, &words(1)).unwrap());
    assert_eq!((one.matched, other.matched, one.ngram, other.ngram), (1, 1, words(0), words(1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Few words, so that everything overlaps.
    #[test]
    fn equals_brute_force(
        items in prop::collection::vec(prop::collection::vec(0_u8..4, 0..14), 0..14),
        document in prop::collection::vec(0_u8..5, 0..40),
        n in 1_u32..9, any in any::<bool>(), before in prop_oneof![Just(0), 490_usize..530, 1000_usize..1040], after in 0_usize..30,
    ) {
        let foreign = |count: usize| std::iter::repeat_n(9_u8, count);
        let document: Vec<u8> = foreign(before).chain(document).chain(foreign(after)).collect();
        let join = |words: &[u8]| words.iter().map(|w| format!("word{w}")).collect::<Vec<_>>().join(" ");
        let coverage = (!any).then(half);
        let named: Vec<Item> = items.iter().enumerate().map(|(i, w)| item(&format!("{i:02}"), &join(w))).collect();
        let benchmarks = Benchmarks::new(named, n, coverage.as_ref()).unwrap();
        let n = usize::try_from(n).unwrap();
        let has = |text: &[u8], words: &[u8]| text.windows(words.len()).any(|window| window == words);
        let mut best: Option<(u64, u64, String)> = None;
        for (i, words) in items.iter().enumerate() {
            if words.len() < 5 {
                continue;
            }
            let grams: BTreeSet<&[u8]> = if words.len() < n { [words.as_slice()].into() } else { words.windows(n).collect() };
            let counted: Vec<_> = grams.iter().filter(|gram| items.iter().filter(|text| has(text, gram)).count() <= 10).collect();
            let (matched, total) = (counted.iter().filter(|gram| has(&document, gram)).count() as u64, counted.len() as u64);
            let leaks = if any { matched > 0 } else { matched * 2 >= total && total > 0 };
            if leaks && best.as_ref().is_none_or(|(m, t, _)| matched * t > m * total) {
                best = Some((matched, total, format!("{i:02}")));
            }
        }
        let leak = check(&benchmarks, &join(&document));
        prop_assert_eq!(leak.as_ref().map(|leak| (leak.matched, leak.total, leak.item.clone())), best);
        if let Some(leak) = leak {
            prop_assert!(join(&document)[usize::try_from(leak.offset).unwrap()..].starts_with(&leak.ngram));
        }
    }
}
