//! The whole of near duplicates against brute force.

use std::collections::BTreeMap;

use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use super::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::dedup::words::{Signs, Words};

/// Documents in memory.
struct Memory {
    texts: Vec<String>,
    documents: Vec<NearDocument>,
    shingle: u32,
    /// Priorities of a source and its declared subset.
    related: Option<(u32, u32)>,
}

impl Memory {
    /// All in one scope, of one rank.
    fn new(texts: Vec<String>, shingle: u32) -> Self {
        let documents = texts.iter().map(|text| document(text)).collect();
        Self { texts, documents, shingle, related: None }
    }

    /// The same documents, document i at place `order[i]`.
    fn permuted(&self, order: &[usize]) -> Self {
        let mut texts = vec![String::new(); order.len()];
        let mut documents = self.documents.clone();
        for (from, &to) in order.iter().enumerate() {
            texts[to].clone_from(&self.texts[from]);
            documents[to] = self.documents[from];
        }
        Self { texts, documents, shingle: self.shingle, related: self.related }
    }

    fn remove(&self, options: &NearOptions, memory: u64, threads: usize) -> Vec<Removed> {
        let folder = tempfile::tempdir().unwrap();
        let removed = super::removed(self, options, folder.path(), memory, threads).unwrap();
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0, "scratch is removed");
        removed
    }
}

fn document(text: &str) -> NearDocument {
    let bytes = text.len() as u64;
    NearDocument { scope: 0, held_out: false, exempt: false, priority: 0, bytes, key: xxh3_128(text.as_bytes()) }
}

/// Parts that signatures come in.
const PARTS: usize = 3;

impl NearDocuments for Memory {
    fn parts(&self) -> usize {
        PARTS
    }

    fn count(&self) -> u64 {
        self.texts.len() as u64
    }

    fn document(&self, number: u64) -> Result<NearDocument> {
        Ok(self.documents[usize::try_from(number).unwrap()])
    }

    fn compared(&self, one: u32, other: u32) -> bool {
        self.related.is_none_or(|(a, b)| (one, other) != (a, b) && (one, other) != (b, a))
    }

    fn signatures(&self, part: usize, each: &mut dyn FnMut(u64, &Signature) -> Result<()>) -> Result<()> {
        let mut signer = Signer::new(self.shingle);
        let mut texts = (0_u64..).zip(&self.texts).skip(part).step_by(PARTS);
        texts.try_for_each(|(number, text)| each(number, &signer.sign(text)))
    }

    fn text(&self, number: u64, text: &mut String) -> Result<()> {
        text.push_str(&self.texts[usize::try_from(number).unwrap()]);
        Ok(())
    }
}

fn options(bands: u32, rows: u32, shingle: u32) -> NearOptions {
    NearOptions { threshold: Threshold::new(8, 10).unwrap(), shingle, bands: Bands::new(bands, rows).unwrap() }
}

/// The rule as it is stated, over all pairs that `candidate` allows.
fn brute_force(memory: &Memory, options: &NearOptions, candidate: impl Fn(usize, usize) -> bool) -> Vec<Removed> {
    let sets: Vec<Vec<u64>> = memory.texts.iter().map(|text| shingles(text, memory.shingle)).collect();
    let mut order: Vec<usize> = (0..memory.texts.len()).collect();
    order.sort_by_key(|&i| {
        let d = memory.documents[i];
        (!(d.exempt || d.held_out), d.priority, std::cmp::Reverse(d.bytes), d.key, i)
    });
    let (mut stay, mut removed): (Vec<usize>, Vec<Removed>) = (Vec::new(), Vec::new());
    for i in order {
        let d = memory.documents[i];
        let similar = |&k: &usize| {
            let other = memory.documents[k];
            let inside = d.scope == other.scope && memory.compared(d.priority, other.priority);
            if !(inside || d.held_out || other.held_out) || !candidate(i, k) {
                return None;
            }
            let both = sets[i].iter().filter(|shingle| sets[k].binary_search(shingle).is_ok()).count() as u64;
            let either = (sets[i].len() + sets[k].len()) as u64 - both;
            options.threshold.reached(both, either).then_some((k, both, either))
        };
        match stay.iter().find_map(similar).filter(|_| !d.exempt && !d.held_out) {
            Some((k, intersection, union)) => removed.push(Removed {
                document: i as u64,
                kept: k as u64,
                held_out: memory.documents[k].held_out,
                intersection,
                union,
            }),
            None => stay.push(i),
        }
    }
    removed.sort_unstable();
    removed
}

fn shingles(text: &str, n: u32) -> Vec<u64> {
    let n = usize::try_from(n).unwrap();
    let mut out = Vec::new();
    // Told apart by their words, not by the hashes that the search has of them.
    let mut all = Vec::new();
    Words::new(Signs::Kept, n).each(text, |window| {
        all.extend(window.last(1).map(<[u8]>::to_vec));
        out.extend(window.last(n).map(xxh3_64));
    });
    if out.is_empty() && !all.is_empty() {
        out.push(xxh3_64(&all.join(&b' ')));
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// Whether two documents share a band, from their signatures.
fn share_a_band(memory: &Memory, bands: Bands) -> impl Fn(usize, usize) -> bool {
    let mut signer = Signer::new(memory.shingle);
    let hashes: Vec<Option<Vec<u64>>> = memory
        .texts
        .iter()
        .map(|text| Some(signer.sign(text)).filter(|s| *s != signature::EMPTY).map(|s| bands.hashes(&s).collect()))
        .collect();
    move |a, b| match (&hashes[a], &hashes[b]) {
        (Some(a), Some(b)) => a.iter().any(|hash| b.contains(hash)),
        _ => false,
    }
}

/// Numbers that look random and are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

/// Texts of `words` words, some of them copies of earlier ones of which 1 to 60 % of the words were changed.
fn edited(count: usize, words: u64, dice: &mut Dice) -> Vec<String> {
    let mut texts: Vec<Vec<u64>> = Vec::new();
    for _ in 0..count {
        let mut text: Vec<u64>;
        if texts.len() > 5 && dice.below(3) > 0 {
            let of = usize::try_from(dice.below(texts.len() as u64)).unwrap();
            text = texts[of].clone();
            let length = text.len() as u64;
            // Runs of changes: the similarity falls less steeply than with scattered ones.
            let percent = [1, 2, 3, 5, 8, 12, 20, 40, 60][usize::try_from(dice.below(9)).unwrap()];
            let edits = (length * percent / 100).max(1);
            let mut done = 0;
            while done < edits {
                let start = dice.below(length);
                for word in start..(start + 8).min(length).min(start + edits - done) {
                    text[usize::try_from(word).unwrap()] = dice.below(1 << 40);
                    done += 1;
                }
            }
        } else {
            let length = words / 2 + dice.below(words);
            text = (0..length).map(|_| dice.below(1 << 40)).collect();
        }
        texts.push(text);
    }
    texts.iter().map(|text| text.iter().map(|w| format!("w{w}")).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn recall_and_survivors_against_brute_force() {
    let memory = Memory::new(edited(600, 120, &mut Dice(1)), 5);
    let options = options(16, 8, 5);
    let sets: Vec<Vec<u64>> = memory.texts.iter().map(|text| shingles(text, 5)).collect();
    let candidate = share_a_band(&memory, options.bands);
    // Found and all pairs, by similarity: from 0.8, 0.85, 0.9.
    let mut pairs = [(0_u32, 0_u32); 3];
    for a in 0..sets.len() {
        for b in 0..a {
            let both = sets[a].iter().filter(|shingle| sets[b].binary_search(shingle).is_ok()).count();
            let either = sets[a].len() + sets[b].len() - both;
            if both * 100 >= either * 80 {
                let class = [90, 85, 80].iter().position(|from| both * 100 >= either * from).unwrap();
                pairs[2 - class].0 += u32::from(candidate(a, b));
                pairs[2 - class].1 += 1;
            }
        }
    }
    let recall = pairs.map(|(found, all)| f64::from(found) / f64::from(all));
    assert!(pairs.iter().all(|&(_, all)| all > 50), "the corpus has such pairs: {pairs:?}");
    assert!(recall[2] >= 0.99 && recall[1] >= 0.95 && recall[0] >= 0.9, "{pairs:?} {recall:?}");
    let removed = memory.remove(&options, 64 << 20, 2);
    assert_eq!(removed, brute_force(&memory, &options, candidate));
    assert!(removed.len() > 50);
    assert!(removed.iter().all(|r| options.threshold.reached(r.intersection, r.union)));
}

#[test]
fn nothing_but_the_documents_decides() {
    let mut dice = Dice(7);
    let mut memory = Memory::new(edited(300, 60, &mut dice), 3);
    for (i, document) in memory.documents.iter_mut().enumerate() {
        document.scope = [0, 0, 0, 1][i % 4];
        document.priority = u32::from(i % 5 == 0);
        document.exempt = i % 17 == 0;
        document.held_out = i % 29 == 0;
    }
    // One band of one row: buckets and chains are large.
    for cut in [(128, 1), (16, 8), (1, 2)] {
        let options = options(cut.0, cut.1, 3);
        let expected = brute_force(&memory, &options, share_a_band(&memory, options.bands));
        assert!(expected.len() > 15, "{}", expected.len());
        assert_eq!(memory.remove(&options, 64 << 20, 1), expected);
        assert_eq!(memory.remove(&options, 64 << 20, 3), expected);
        assert_eq!(memory.remove(&options, 0, 2), expected, "one record at a time, mixed buckets, many chunks");
        let mut order: Vec<usize> = (0..memory.texts.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, usize::try_from(dice.below(i as u64 + 1)).unwrap());
        }
        let again = memory.permuted(&order).remove(&options, 1 << 20, 2);
        let back: BTreeMap<u64, u64> = order.iter().enumerate().map(|(from, &to)| (to as u64, from as u64)).collect();
        let mut again: Vec<Removed> =
            again.iter().map(|r| Removed { document: back[&r.document], kept: back[&r.kept], ..*r }).collect();
        again.sort_unstable();
        assert_eq!(again, expected);
    }
}

#[test]
fn small_cases() {
    let options = options(128, 1, 1);
    let none = Memory::new(Vec::new(), 1);
    assert_eq!(none.remove(&options, 0, 1), []);
    // Without words: similar to nothing, not even to each other.
    let blank = Memory::new(vec!["".into(), " ".into(), "\n".into()], 1);
    assert_eq!(blank.remove(&options, 0, 1), []);
    // Equal words, other spelling: the longer text stays.
    let equal = Memory::new(vec!["a b c".into(), "A  B\tC".into(), "a b d".into()], 1);
    let removed = Removed { document: 0, kept: 1, held_out: false, intersection: 3, union: 3 };
    assert_eq!(equal.remove(&options, 0, 1), [removed]);
}

#[test]
fn held_out_reaches_every_scope_and_exempt_stays() {
    let text = |end: &str| format!("one two three four five six seven eight nine {end}");
    let mut memory = Memory::new(vec![text("a"), text("bb"), text("ccc"), text("d"), text("e")], 1);
    for (i, document) in memory.documents.iter_mut().enumerate() {
        document.scope = u32::try_from(i).unwrap();
    }
    let options = options(128, 1, 1);
    assert_eq!(memory.remove(&options, 0, 1), [], "different scopes");
    memory.documents[0].held_out = true;
    let by_held_out = |document| Removed { document, kept: 0, held_out: true, intersection: 9, union: 11 };
    assert_eq!(memory.remove(&options, 1 << 20, 1), [1, 2, 3, 4].map(by_held_out));
    assert_eq!(memory.remove(&options, 0, 1), [1, 2, 3, 4].map(by_held_out));
    memory.documents[3].exempt = true;
    memory.documents[4].scope = 3;
    memory.documents[3].priority = 0;
    memory.documents[0].priority = 1;
    let mut expected = [1, 2].map(by_held_out).to_vec();
    // The exempt document comes before the held-out one: it is the evidence in its own scope.
    expected.push(Removed { document: 4, kept: 3, held_out: false, intersection: 9, union: 11 });
    assert_eq!(memory.remove(&options, 1 << 20, 1), expected);
}

/// Documents whose signatures are made by hand: band b of document d has the value `bands[d][b]`.
struct ByHand {
    memory: Memory,
    bands: Vec<[u16; 3]>,
}

impl NearDocuments for ByHand {
    fn parts(&self) -> usize {
        PARTS
    }

    fn count(&self) -> u64 {
        self.memory.count()
    }

    fn document(&self, number: u64) -> Result<NearDocument> {
        self.memory.document(number)
    }

    fn signatures(&self, part: usize, each: &mut dyn FnMut(u64, &Signature) -> Result<()>) -> Result<()> {
        (0_u64..).zip(&self.bands).skip(part).step_by(PARTS).try_for_each(|(number, bands)| {
            let mut signature = signature::EMPTY;
            signature[..3].copy_from_slice(bands);
            each(number, &signature)
        })
    }

    fn text(&self, number: u64, text: &mut String) -> Result<()> {
        self.memory.text(number, text)
    }
}

/// The evidence is the ≺-first one, also when that one is decided in a later round: document 2 stays in the first round, and 3 goes
/// because of it; 1 waits for 0, with which it shares a band, and stays in the second round.
#[test]
fn evidence_is_the_first_that_stays() {
    let text = |end: &str| format!("one two three four five six seven eight nine {end}");
    let texts =
        vec!["quite another text, and longer than any of the others is".into(), text("aaa"), text("bb"), text("c")];
    let bands = vec![[1, 10, 20], [1, 2, 21], [13, 14, 3], [15, 2, 3]];
    let by_hand = ByHand { memory: Memory::new(texts, 1), bands };
    let folder = tempfile::tempdir().unwrap();
    for memory in [0, 1 << 20] {
        let removed = super::removed(&by_hand, &options(3, 1, 1), folder.path(), memory, 1).unwrap();
        assert_eq!(removed, [Removed { document: 3, kept: 1, held_out: false, intersection: 9, union: 11 }]);
    }
}

/// None of them similar: every pair has to be compared, but the bookkeeping must not add to it.
#[test]
fn a_bucket_of_dissimilar_documents() {
    let common = (0..30).map(|w| format!("w{w}")).collect::<Vec<_>>().join(" ");
    let texts = (0..600).map(|i| (0..12).map(|w| format!(" d{i}x{w}")).fold(common.clone(), |a, b| a + &b)).collect();
    let by_hand = ByHand { memory: Memory::new(texts, 1), bands: vec![[1, 2, 3]; 600] };
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(super::removed(&by_hand, &options(3, 1, 1), folder.path(), 1 << 20, 2).unwrap(), []);
}

#[test]
fn a_bucket_of_twenty_thousand_is_fast() {
    let base = (0..40).map(|w| format!("w{w}")).collect::<Vec<_>>().join(" ");
    let texts = (0..20_000).map(|i| format!("{base} end{i}")).collect();
    let memory = Memory::new(texts, 1);
    let start = std::time::Instant::now();
    let removed = memory.remove(&options(16, 8, 1), 256 << 20, 2);
    assert!(removed.len() > 19_900, "{}", removed.len());
    // Quadratic: 200 million comparisons. Linear: about a second, unoptimised.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn errors_come_back() {
    struct Broken(Memory);
    impl NearDocuments for Broken {
        fn count(&self) -> u64 {
            self.0.count()
        }
        fn document(&self, number: u64) -> Result<NearDocument> {
            self.0.document(number)
        }
        fn parts(&self) -> usize {
            self.0.parts()
        }
        fn signatures(&self, part: usize, each: &mut dyn FnMut(u64, &Signature) -> Result<()>) -> Result<()> {
            self.0.signatures(part, each)
        }
        fn text(&self, number: u64, _: &mut String) -> Result<()> {
            Err(Error::Failed(format!("document {number} cannot be read")))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let broken = Broken(Memory::new(vec!["a b".into(), "a  b".into()], 1));
    let error = super::removed(&broken, &options(16, 8, 1), folder.path(), 1 << 20, 2).unwrap_err();
    assert!(error.to_string().contains("cannot be read"));
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Few words, few shingles: chains, ties and clusters of every shape.
    #[test]
    fn equals_brute_force(
        texts in prop::collection::vec(prop::collection::vec(0_u8..12, 0..12), 0..40),
        traits in prop::collection::vec((0_u32..3, 0_u8..12, 0_u32..2), 40),
        cut in prop::sample::select(vec![(128, 1), (40, 3), (1, 1)]),
        memory in prop::sample::select(vec![0_u64, 1 << 16, 1 << 22]),
        related: bool,
    ) {
        let texts: Vec<String> =
            texts.iter().map(|t| t.iter().map(|w| format!("w{w}")).collect::<Vec<_>>().join(" ")).collect();
        let mut documents = Memory::new(texts, 1);
        for (document, &(scope, flags, priority)) in documents.documents.iter_mut().zip(&traits) {
            (document.scope, document.priority) = (scope, priority);
            (document.exempt, document.held_out) = (flags == 0, flags == 1);
        }
        documents.related = related.then_some((1, 0));
        let mut options = options(cut.0, cut.1, 1);
        options.threshold = Threshold::new(6, 10).unwrap();
        let expected = brute_force(&documents, &options, share_a_band(&documents, options.bands));
        prop_assert_eq!(documents.remove(&options, memory, 2), expected);
    }
}
