//! Benchmark items to what is looked up: all texts cut once, in parallel; nothing depends on the threads.

use num_rational::BigRational;
use rayon::prelude::*;

use super::index::{Filter, Index, Posting};
use super::load::Item;
use super::{Benchmarks, MANY_ITEMS, MIN_WORDS, MOST_WORDS, Summary, Text, at, digest, number, small};
use crate::dedup::near::Threshold;
use crate::dedup::words::{Runs, Signs, Words};
use crate::error::{Error, Result};

/// An item's text, cut.
struct Cut {
    /// Its words joined by one space.
    words: Vec<u8>,
    /// Byte at which each word starts, and one after the end and its space.
    starts: Vec<usize>,
    /// Hash of the n-gram that starts at each word; for the n - 1 last words there is none.
    ngrams: Vec<u64>,
}

impl Cut {
    fn new(words: &mut Words, runs: &mut Runs, text: &str, n: usize) -> Self {
        let mut cut = Self { words: Vec::new(), starts: Vec::new(), ngrams: Vec::new() };
        words.each(text, |window| {
            cut.starts.push(cut.words.len());
            cut.words.extend_from_slice(window.last(1).unwrap_or_default());
            cut.words.push(b' ');
        });
        cut.starts.push(cut.words.len());
        cut.words.pop();
        if let Some(ngrams) = cut.count().checked_sub(n).map(|more| more + 1) {
            cut.ngrams.reserve_exact(ngrams);
            // Folding folded words changes nothing, so the runs are of the text's own words.
            runs.shingles(&String::from_utf8_lossy(&cut.words), |hashes| cut.ngrams.extend_from_slice(hashes));
        }
        cut
    }

    fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// The bytes of `n` words.
    fn ngram(&self, word: usize, n: usize) -> Option<(usize, usize)> {
        let (&start, &end) = (self.starts.get(word)?, self.starts.get(word + n)?);
        Some((start, end - 1))
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

/// What a text's n-grams add to the index.
#[derive(Default)]
struct Grams {
    /// Each n-gram that counts, at its first place.
    postings: Vec<(u64, Posting)>,
    /// The runs inside them.
    inside: Vec<u64>,
}

impl Benchmarks {
    pub(super) fn new(mut items: Vec<Item>, ngram: u32, coverage: Option<&BigRational>) -> Result<Self> {
        if ngram == 0 || ngram > MOST_WORDS {
            return Err(Error::Failed(format!("decontaminate: an n-gram of {ngram} words; it has 1 to {MOST_WORDS}")));
        }
        let n = usize::try_from(ngram).unwrap_or(usize::MAX);
        let coverage = coverage.map(Threshold::from_rational).transpose()?;
        items.par_sort_unstable();
        let (digest, mut cuts) = rayon::join(|| digest(&items, ngram, coverage), || cuts(&items, n));
        if let Some(item) = cuts.iter().find(|(cut, _)| small(cut.words.len()).is_err()).and_then(|c| items.get(c.1)) {
            return Err(Error::Failed(format!(
                "decontaminate: item {} of {} has a text of more than 4 GiB",
                item.name, item.benchmark
            )));
        }
        let common = Common::new(&cuts);
        // The first item that has a text names it.
        cuts.par_sort_unstable_by(|a, b| (&a.0.words, a.1).cmp(&(&b.0.words, b.1)));
        cuts.dedup_by(|later, first| later.0.words == first.0.words);
        let grams: Vec<Grams> = cuts
            .par_iter()
            .enumerate()
            .map_init(
                || Runs::new(Signs::Dropped, n.min(MIN_WORDS), n),
                |runs, (number, (cut, _))| match cut.count() >= n.max(MIN_WORDS) {
                    true => grams(cut, number, n, &common, runs),
                    false => Ok(Grams::default()),
                },
            )
            .collect::<Result<_>>()?;
        let texts = cuts
            .into_iter()
            .zip(&grams)
            .filter_map(|((cut, number), grams)| {
                let item = items.get(number)?;
                Some(Text {
                    count: cut.count(),
                    words: cut.words,
                    total: u64::try_from(grams.postings.len()).unwrap_or(u64::MAX),
                    benchmark: item.benchmark.clone(),
                    item: item.name.clone(),
                })
            })
            .collect();
        let mut benchmarks = Self {
            ngram: n,
            coverage,
            texts,
            ngrams: Index::default(),
            shorts: Index::default(),
            runs: Filter::new(&[]),
            summary: Summary::default(),
            digest,
        };
        // While no n-gram is indexed yet: only short texts are looked for.
        benchmarks.index_shorts(&items)?;
        (benchmarks.ngrams, benchmarks.runs) = rayon::join(
            || Index::new(joined(&grams, |grams| &grams.postings)),
            || {
                let mut inside = joined(&grams, |grams| &grams.inside);
                inside.par_sort_unstable();
                inside.dedup();
                Filter::new(&inside)
            },
        );
        benchmarks.summary = benchmarks.summarize(items.len(), common.hashes.len());
        Ok(benchmarks)
    }

    fn summarize(&self, items: usize, common: usize) -> Summary {
        let nothing_left = self.texts.iter().filter(|text| text.count >= MIN_WORDS && text.total == 0).count();
        Summary {
            items: number(items),
            texts: number(self.texts.len()),
            too_short: number(self.texts.iter().filter(|text| text.count < MIN_WORDS).count()),
            nothing_left: number(nothing_left),
            ngrams: number(self.ngrams.hashes().len()),
            common_ngrams: number(common),
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
            runs.blocks(&String::from_utf8_lossy(&text.words), |block| last = block.hashes().last().copied());
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

/// One list of what all texts have, in their order.
fn joined<T: Copy>(grams: &[Grams], of: impl Fn(&Grams) -> &Vec<T>) -> Vec<T> {
    let mut all = Vec::with_capacity(grams.iter().map(|grams| of(grams).len()).sum());
    grams.iter().for_each(|grams| all.extend_from_slice(of(grams)));
    all
}

/// N-grams in many items, by their hashes: with a collision, the n-grams of more than [`MANY_ITEMS`] items would have to share one.
struct Common {
    /// How often a hash with these top bits occurs, up to 255: nearly all n-grams occur too seldom to be in many items.
    counts: Vec<u8>,
    /// Shift that leaves a hash's top bits.
    shift: u32,
    /// Sorted.
    hashes: Vec<u64>,
}

impl Common {
    fn new(cuts: &[(Cut, usize)]) -> Self {
        let ngrams: usize = cuts.iter().map(|(cut, _)| cut.ngrams.len()).sum();
        let room = ngrams.saturating_mul(2).next_power_of_two().max(2);
        let mut common = Self { counts: vec![0; room], shift: u64::BITS - room.ilog2(), hashes: Vec::new() };
        for &hash in cuts.iter().flat_map(|(cut, _)| &cut.ngrams) {
            let place = common.place(hash);
            if let Some(count) = common.counts.get_mut(place) {
                *count = count.saturating_add(1);
            }
        }
        let mut occurrences: Vec<(u64, usize)> = cuts
            .par_iter()
            .flat_map_iter(|(cut, item)| {
                cut.ngrams.iter().filter(|&&hash| common.may_hold(hash)).map(|&hash| (hash, *item))
            })
            .collect();
        occurrences.par_sort_unstable();
        occurrences.dedup();
        common.hashes = occurrences
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|items| items.len() > MANY_ITEMS)
            .filter_map(|items| items.first().map(|&(hash, _)| hash))
            .collect();
        common
    }

    fn place(&self, hash: u64) -> usize {
        usize::try_from(hash >> self.shift).unwrap_or(usize::MAX)
    }

    fn may_hold(&self, hash: u64) -> bool {
        self.counts.get(self.place(hash)).is_some_and(|&count| usize::from(count) > MANY_ITEMS)
    }

    fn holds(&self, hash: u64) -> bool {
        self.may_hold(hash) && self.hashes.binary_search(&hash).is_ok()
    }
}

/// The n-grams of text `number` that count, and the runs inside them.
fn grams(cut: &Cut, number: usize, n: usize, common: &Common, runs: &mut Runs) -> Result<Grams> {
    let text = small(number)?;
    let mut grams = Grams {
        postings: Vec::with_capacity(cut.ngrams.len()),
        inside: Vec::with_capacity(cut.ngrams.len() + n - n.min(MIN_WORDS)),
    };
    // The last word up to each that proves anything, counted from 1.
    let mut proving = Vec::with_capacity(cut.count());
    let mut last = 0;
    for word in 0..cut.count() {
        if cut.ngram(word, 1).and_then(|(start, end)| cut.words.get(start..end)).is_some_and(counts) {
            last = word + 1;
        }
        proving.push(last);
    }
    // The last n-gram that counts up to each word.
    let mut counted = Vec::with_capacity(cut.ngrams.len());
    let mut last = None;
    for (word, &hash) in cut.ngrams.iter().enumerate() {
        let proves = proving.get(word + n - 1).is_some_and(|&proving| proving > word);
        if proves
            && !common.holds(hash)
            && let Some((start, end)) = cut.ngram(word, n)
        {
            let posting = Posting { text, start: small(start)?, length: small(end - start)? };
            grams.postings.push((hash, posting));
            last = Some(word);
        }
        counted.push(last);
    }
    let of = |posting: &Posting| cut.words.get(at(posting.start)..at(posting.start) + at(posting.length));
    // Words too: rolled hashes of long, regular texts may be equal where the words are not.
    grams.postings.sort_unstable_by(|(a, one), (b, other)| {
        a.cmp(b).then_with(|| of(one).cmp(&of(other))).then_with(|| one.start.cmp(&other.start))
    });
    grams.postings.dedup_by(|(a, later), (b, first)| a == b && of(later) == of(first));
    let run = n.min(MIN_WORDS);
    let mut words = 0_usize;
    // Folding folded words changes nothing.
    runs.blocks(&String::from_utf8_lossy(&cut.words), |block| {
        for &hash in block.hashes() {
            words += 1;
            // An n-gram holds the run if it starts at the run's first word, or up to n - run words before.
            let Some(first) = words.checked_sub(run) else { continue };
            let around = counted.get(first).or(counted.last()).copied().flatten();
            if around.is_some_and(|ngram| first + run <= ngram + n) {
                grams.inside.push(hash);
            }
        }
    });
    Ok(grams)
}

/// Whether words prove anything: two ASCII letters side by side, or a character outside ASCII.
fn counts(words: &[u8]) -> bool {
    let letters = words.iter().map(u8::is_ascii_alphabetic);
    !words.is_ascii() || letters.clone().zip(letters.skip(1)).any(|pair| pair == (true, true))
}
