//! Benchmark items to what is looked up: all texts cut once, in parallel; nothing depends on the threads.

use num_rational::BigRational;
use rayon::prelude::*;

use super::index::{FEW_BITS, Filling, Filter, Index, Posting};
use super::load::Item;
use super::ngrams::Counted;
use super::{Benchmarks, MANY_ITEMS, MIN_WORDS, MOST_WORDS, Summary, Text, at, digest, number, small};
use crate::dedup::near::Threshold;
use crate::dedup::words::{Runs, Signs, Words};
use crate::error::{Error, Result};

/// An item's text, cut.
pub(super) struct Cut {
    /// Its words joined by one space.
    pub(super) words: Vec<u8>,
    /// Byte at which each word starts, and one after the end and its space.
    pub(super) starts: Vec<u32>,
    /// Hash of the n-gram that starts at each word; for the n - 1 last words there is none.
    pub(super) ngrams: Vec<u64>,
    /// Whether each of these n-grams proves anything.
    pub(super) proves: Vec<bool>,
    /// Whether the text is longer than a start can say; it is refused.
    too_long: bool,
}

impl Cut {
    fn new(words: &mut Words, runs: &mut Runs, text: &str, n: usize) -> Self {
        // A folded word is hardly ever longer than the word, and words have three letters or more in the mean.
        let (folded, starts) = (Vec::with_capacity(text.len() + 1), Vec::with_capacity(text.len() / 4 + 2));
        let mut cut = Self { words: folded, starts, ngrams: Vec::new(), proves: Vec::new(), too_long: false };
        words.each(text, |window| {
            cut.start();
            cut.words.extend_from_slice(window.last(1).unwrap_or_default());
            cut.words.push(b' ');
        });
        cut.start();
        cut.words.pop();
        if let Some(ngrams) = cut.count().checked_sub(n).map(|more| more + 1) {
            cut.ngrams.reserve_exact(ngrams);
            runs.shingles(text, |hashes| cut.ngrams.extend_from_slice(hashes));
            cut.proves = cut.prove(n);
        }
        cut
    }

    /// Which n-grams prove anything; none where n-grams are shorter than what does and the text is, too.
    fn prove(&self, n: usize) -> Vec<bool> {
        if self.count() < MIN_WORDS {
            return Vec::new();
        }
        // The last word up to the one that is looked at that proves anything, counted from 1.
        let mut proving = 0;
        let mut word = |number: usize| {
            if self.ngram(number, 1).is_some_and(counts) {
                proving = number + 1;
            }
            proving
        };
        for number in 0..n - 1 {
            word(number);
        }
        (0..self.ngrams.len()).map(|first| word(first + n - 1) > first).collect()
    }

    fn start(&mut self) {
        match small(self.words.len()) {
            Ok(start) => self.starts.push(start),
            Err(_) => self.too_long = true,
        }
    }

    fn count(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The bytes of `n` words.
    pub(super) fn ngram(&self, word: usize, n: usize) -> Option<&[u8]> {
        let (&start, &end) = (self.starts.get(word)?, self.starts.get(word + n)?);
        self.words.get(at(start)..at(end) - 1)
    }
}

/// All items' texts, cut, each with its item's number.
fn cuts(items: &[Item], n: usize) -> Vec<(Cut, usize)> {
    items
        .par_iter()
        .enumerate()
        .map_init(
            || (Words::new(Signs::Dropped, 1), Runs::new(Signs::Dropped, n, 0)),
            |(words, runs), (number, item)| {
                item.texts.iter().map(|text| (Cut::new(words, runs, text, n), number)).collect::<Vec<_>>()
            },
        )
        .flatten_iter()
        .collect()
}

impl Benchmarks {
    pub(super) fn new(mut items: Vec<Item>, ngram: u32, coverage: Option<&BigRational>) -> Result<Self> {
        if ngram == 0 || ngram > MOST_WORDS {
            return Err(Error::Failed(format!("decontaminate: an n-gram of {ngram} words; it has 1 to {MOST_WORDS}")));
        }
        let n = usize::try_from(ngram).unwrap_or(usize::MAX);
        let coverage = coverage.map(Threshold::from_rational).transpose()?;
        items.par_sort_unstable();
        let (digest, cuts) = rayon::join(|| digest(&items, ngram, coverage), || cuts(&items, n));
        if let Some(item) = cuts.iter().find(|(cut, _)| cut.too_long).and_then(|c| items.get(c.1)) {
            return Err(Error::Failed(format!(
                "decontaminate: item {} of {} has a text of more than 4 GiB",
                item.name, item.benchmark
            )));
        }
        let order = distinct(&cuts);
        let mut numbers = vec![None; cuts.len()];
        for (number, &place) in order.iter().enumerate() {
            if let Some(of) = numbers.get_mut(place) {
                *of = Some(small(number)?);
            }
        }
        let Counted { ngrams, common, totals } = Counted::new(&cuts, &numbers, n)?;
        let runs = inside(&cuts, &numbers, n, &common);
        let common = number(common.len());
        let mut benchmarks = Self {
            ngram: n,
            coverage,
            texts: texts(cuts, &order, totals, &items),
            ngrams,
            shorts: Index::default(),
            runs: Filter::new(&[], FEW_BITS),
            summary: Summary::default(),
            digest,
        };
        // While no run is asked for yet: only short texts are looked for.
        benchmarks.index_shorts(&items)?;
        benchmarks.runs = runs;
        benchmarks.summary = benchmarks.summarize(items.len(), common);
        Ok(benchmarks)
    }

    fn summarize(&self, items: usize, common: u64) -> Summary {
        let nothing_left = self.texts.iter().filter(|text| text.count >= MIN_WORDS && text.total == 0).count();
        Summary {
            items: number(items),
            texts: number(self.texts.len()),
            too_short: number(self.texts.iter().filter(|text| text.count < MIN_WORDS).count()),
            nothing_left: number(nothing_left),
            ngrams: self.ngrams.distinct(),
            common_ngrams: common,
        }
    }

    /// Texts shorter than an n-gram, but for those that stand in many items.
    fn index_shorts(&mut self, items: &[Item]) -> Result<()> {
        let n = self.ngram;
        let mut postings = Vec::new();
        let mut runs = self.rolling();
        let wanted = |text: &Text| (MIN_WORDS..n).contains(&text.count) && counts(&text.words);
        for (number, text) in self.texts.iter().enumerate().filter(|(_, text)| wanted(text)) {
            let number = small(number)?;
            let length = small(text.words.len())?;
            let mut last = None;
            // Folding folded words changes nothing, so the window's words are the text's.
            runs.brief_blocks(&String::from_utf8_lossy(&text.words), |block| last = block.hashes().last().copied());
            postings.extend(last.map(|hash| (hash, Posting { text: number, start: 0, length })));
        }
        self.shorts = Index::new(postings.clone());
        // In how many items does each stand?
        let mut found: Vec<(u32, usize)> = items
            .par_iter()
            .enumerate()
            .map_init(
                || self.scratch(),
                |scratch, (number, item)| {
                    let mut found = Vec::new();
                    for text in &item.texts {
                        self.find(scratch, text);
                        found.extend(scratch.hits.iter().map(|hit| (hit.text, number)));
                    }
                    found
                },
            )
            .flatten_iter()
            .collect();
        found.par_sort_unstable();
        found.dedup();
        let common: Vec<u32> = found
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|items| items.len() > MANY_ITEMS)
            .filter_map(|items| items.first().map(|&(text, _)| text))
            .collect();
        postings.retain(|(_, posting)| common.binary_search(&posting.text).is_err());
        for (_, posting) in &postings {
            if let Some(text) = self.texts.get_mut(at(posting.text)) {
                text.total = 1;
            }
        }
        self.shorts = Index::new(postings);
        Ok(())
    }
}

/// Places of the distinct texts, in their order. The first item that has a text names it.
fn distinct(cuts: &[(Cut, usize)]) -> Vec<usize> {
    let words = |place: usize| cuts.get(place).map(|(cut, _)| cut.words.as_slice());
    let mut order: Vec<usize> = (0..cuts.len()).collect();
    // Places ascend with their items.
    order.par_sort_unstable_by(|&a, &b| words(a).cmp(&words(b)).then(a.cmp(&b)));
    order.dedup_by(|&mut later, &mut first| words(later) == words(first));
    order
}

/// The distinct texts, in their order, each with how many of its n-grams count.
fn texts(cuts: Vec<(Cut, usize)>, order: &[usize], totals: Vec<u64>, items: &[Item]) -> Vec<Text> {
    let mut cuts: Vec<Option<(Cut, usize)>> = cuts.into_iter().map(Some).collect();
    let texts = order.iter().zip(totals).filter_map(|(&place, total)| {
        let (cut, item) = cuts.get_mut(place)?.take()?;
        let (count, item) = (cut.count(), items.get(item)?);
        let (benchmark, name) = (item.benchmark.clone(), item.name.clone());
        Some(Text { count, words: cut.words, total, benchmark, item: name })
    });
    texts.collect()
}

/// The runs inside all n-grams that count. `numbers` gives none to texts that are there already.
fn inside(cuts: &[(Cut, usize)], numbers: &[Option<u32>], n: usize, common: &[u64]) -> Filter {
    let run = n.min(MIN_WORDS);
    let may = Filter::new(common, FEW_BITS);
    let counts = |cut: &Cut, word: usize| {
        let hash = cut.ngrams.get(word).filter(|_| cut.proves.get(word) == Some(&true));
        hash.is_some_and(|hash| !(may.passes(*hash) && common.binary_search(hash).is_ok()))
    };
    let texts = cuts.par_iter().zip(numbers).filter_map(|((cut, _), number)| number.map(|_| cut));
    let most = texts.clone().filter(|cut| !cut.ngrams.is_empty()).map(|cut| cut.count() + 1 - run).sum();
    let filling = Filling::new(most, FEW_BITS);
    texts.filter(|cut| !cut.ngrams.is_empty()).for_each_init(
        || Runs::new(Signs::Dropped, run, n),
        |runs, cut| {
            let mut words = 0_usize;
            // The word after the last n-gram that counts and starts before what is looked at, or there.
            let mut after = 0;
            // Folding folded words changes nothing.
            runs.brief_blocks(&String::from_utf8_lossy(&cut.words), |block| {
                for &hash in block.hashes() {
                    words += 1;
                    // An n-gram holds the run if it starts at the run's first word, or up to n - run words before.
                    let Some(first) = words.checked_sub(run) else { continue };
                    if counts(cut, first) {
                        after = first + n;
                    }
                    if first + run <= after {
                        filling.add(hash);
                    }
                }
            });
        },
    );
    filling.filled()
}

/// Whether words prove anything: two ASCII letters side by side, or a character outside ASCII.
fn counts(words: &[u8]) -> bool {
    let letters = words.iter().map(u8::is_ascii_alphabetic);
    letters.clone().zip(letters.skip(1)).any(|pair| pair == (true, true)) || !words.is_ascii()
}
