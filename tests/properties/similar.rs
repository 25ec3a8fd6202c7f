//! Near duplicates and benchmark leaks, by brute force over all pairs, from the rules as they are documented.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::generate::{Benchmarks, Case, Near};
use super::model::{Document, Fate, Gone, Key};

/// Words of the texts that the generator makes: what stands between white space, each Han character alone; with `signs` or
/// without them.
fn words(text: &str, signs: bool) -> Vec<String> {
    let mut spaced = String::new();
    for c in text.chars() {
        let han = ('\u{4e00}'..='\u{9fff}').contains(&c);
        match c {
            _ if c.is_control() || c.is_whitespace() || !(signs || c.is_alphanumeric()) => spaced.push(' '),
            _ if han => spaced.extend([' ', c, ' ']),
            _ => spaced.extend(c.to_lowercase()),
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// Items that a document may hold.
pub struct Items {
    benchmarks: Benchmarks,
    /// Distinct texts as words, with the n-grams of each that count; a short text is one n-gram.
    texts: Vec<(Vec<String>, BTreeSet<Vec<String>>)>,
}

impl Items {
    pub fn new(benchmarks: &Benchmarks) -> Self {
        let items: Vec<Vec<Vec<String>>> =
            benchmarks.items.iter().map(|texts| texts.iter().map(|text| words(text, false)).collect()).collect();
        let texts: BTreeSet<&Vec<String>> = items.iter().flatten().collect();
        let counts = |ngram: &[String]| {
            let joined = ngram.join(" ");
            let letters = |pair: &[u8]| pair.iter().all(u8::is_ascii_alphabetic);
            let tells = !joined.is_ascii() || joined.as_bytes().windows(2).any(letters);
            let within = |text: &Vec<String>| text.windows(ngram.len()).any(|words| words == ngram);
            tells && items.iter().filter(|texts| texts.iter().any(within)).count() <= 10
        };
        let texts = (texts.into_iter().filter(|text| text.len() >= 5))
            .map(|text| {
                let length = if text.len() < benchmarks.ngram { text.len() } else { benchmarks.ngram };
                let ngrams = text.windows(length).filter(|ngram| counts(ngram)).map(<[String]>::to_vec).collect();
                (text.clone(), ngrams)
            })
            .collect();
        Self { benchmarks: benchmarks.clone(), texts }
    }

    /// The largest share of an item's n-grams that occur in a text, where it has leaked.
    pub fn leak(&self, text: &str) -> Option<f64> {
        let document = words(text, false);
        let shares = self.texts.iter().filter(|(_, ngrams)| !ngrams.is_empty()).filter_map(|(_, ngrams)| {
            let occurs = |ngram: &&Vec<String>| document.windows(ngram.len()).any(|words| words == ngram.as_slice());
            let matched = ngrams.iter().filter(occurs).count();
            let enough = match self.benchmarks.coverage {
                None => matched > 0,
                Some(tenths) => matched > 0 && 10 * matched as u64 >= tenths * ngrams.len() as u64,
            };
            enough.then(|| matched as f64 / ngrams.len() as f64)
        });
        shares.max_by(f64::total_cmp)
    }
}

/// A row that exact dedup left.
struct Entry {
    source: usize,
    key: Key,
    held_out: bool,
    shingles: BTreeSet<Vec<String>>,
    document: Document,
}

/// Takes near duplicates from the survivors: in order, a document goes if one before it that stays is similar to it. `read` is
/// the text that the model reads of a document.
pub fn remove(case: &Case, near: &Near, ranks: &[usize], fates: &mut [Fate], read: &dyn Fn(&Document) -> String) {
    let shingles = |document: &Document| -> BTreeSet<Vec<String>> {
        let words = words(&read(document), true);
        if words.is_empty() {
            return BTreeSet::new();
        }
        words.windows(near.shingle.min(words.len())).map(<[String]>::to_vec).collect()
    };
    let mut entries = Vec::new();
    for (source, fate) in fates.iter().enumerate() {
        for (held_out, documents) in [(false, &fate.survivors), (true, &fate.held_out)] {
            for (key, document) in documents {
                for _ in 0..document.copies {
                    let (document, shingles) = (document.clone(), shingles(document));
                    entries.push(Entry { source, key: *key, held_out, shingles, document });
                }
            }
        }
    }
    let stays = |entry: &Entry| entry.held_out || case.sources[entry.source].exempt;
    entries.sort_by_key(|entry| (!stays(entry), ranks[entry.source], Reverse(entry.document.bytes), entry.key));
    let group = |source: usize| if case.sources[source].grouped { usize::MAX } else { source };
    let comparable = |one: &Entry, other: &Entry| {
        let (a, b) = (one.source, other.source);
        let scope = match near.scope {
            "source" => a == b,
            "group" => group(a) == group(b),
            _ => true,
        };
        let subset = case.sources[a].copies_of == Some(b) || case.sources[b].copies_of == Some(a);
        one.held_out || other.held_out || scope && !subset
    };
    let mut kept: Vec<&Entry> = Vec::new();
    for entry in &entries {
        let similarity = |other: &&Entry| {
            let both = entry.shingles.intersection(&other.shingles).count();
            let either = entry.shingles.len() + other.shingles.len() - both;
            let similar = both > 0 && 10 * both as u64 >= near.jaccard * either as u64;
            similar.then(|| both as f64 / either as f64)
        };
        let first = kept
            .iter()
            .filter(|other| comparable(entry, other))
            .find_map(|other| similarity(other).map(|similarity| (*other, similarity)))
            .filter(|_| !stays(entry));
        let Some((other, similarity)) = first else {
            kept.push(entry);
            continue;
        };
        let reason = if other.held_out { "near_validation" } else { "near" };
        let fate = &mut fates[entry.source];
        fate.count(reason, 1);
        fate.weigh(reason, entry.document.ids.len() as u64);
        fate.removed.push(Gone { document: entry.key, reason, kept: Some(other.key), similarity });
    }
    // What stays, by source and key.
    let mut left: BTreeMap<(usize, Key), u64> = BTreeMap::new();
    for entry in kept.iter().filter(|entry| !entry.held_out) {
        *left.entry((entry.source, entry.key)).or_default() += 1;
    }
    for (source, fate) in fates.iter_mut().enumerate() {
        fate.survivors.retain(|key, document| {
            document.copies = left.get(&(source, *key)).copied().unwrap_or(0);
            document.copies > 0
        });
    }
}
