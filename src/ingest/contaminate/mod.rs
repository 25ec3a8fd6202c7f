//! Benchmark leaks: documents in which an item of a benchmark stands.
//!
//! Items and documents are cut into words without case, punctuation and white space ([`Signs::Dropped`]). Each field of an item is a
//! text of its own (each string of a list, too):
//!
//! - With at least n words, it has leaked into a document when at least `coverage` of its distinct n-grams (`any`: one) occur there.
//! - With fewer, but at least [`MIN_WORDS`], it has leaked when all its words occur there, side by side.
//! - With still fewer words it is not looked for.
//!
//! Two kinds of n-grams (and of short texts as a whole) do not count, neither as matched nor in the total: those in more than
//! [`MANY_ITEMS`] items are the benchmark's own boilerplate; and those without a word of two letters, such as `1 2 3 4 5` or
//! `a 1 a 2 a 3`, stand anywhere. (A letter outside ASCII is enough: a Chinese word is one character.) A text of which nothing is left
//! is not looked for; [`Benchmarks::summary`] says how many there are.
//!
//! One pass over a document's words. An n-gram of n words holds n - 4 runs of five words, so of every n - 4 runs in a document one is
//! asked for: a filter says whether it stands inside an n-gram of any item. Only where n - 4 side by side do (or may, at the border of
//! the words that are looked at together), n-grams are cut out and looked up. Short texts, which are few, are asked for at every word,
//! by the run they end with. What is found is compared word by word, so a collision of hashes is never taken for a leak.

mod build;
mod index;
mod load;
mod ngrams;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::path::PathBuf;

use num_rational::BigRational;
use rayon::prelude::*;

use self::index::{Filter, Index};
use self::load::Item;
use self::ngrams::Ngrams;
use crate::dedup::near::Threshold;
use crate::dedup::words::{Runs, Signs, Words};
use crate::error::{Error, Result};

/// Fewer words are no evidence of anything.
pub const MIN_WORDS: usize = 5;

/// An n-gram in more items than these is boilerplate.
pub const MANY_ITEMS: usize = 10;

/// Most words of an n-gram.
const MOST_WORDS: u32 = 1000;

/// All benchmark items, ready to be looked for. Shared by all workers.
#[derive(Debug)]
pub struct Benchmarks {
    ngram: usize,
    /// `None`: one n-gram suffices.
    coverage: Option<Threshold>,
    /// Distinct texts of items, by their words.
    texts: Vec<Text>,
    /// N-grams of texts with at least n words.
    ngrams: Ngrams,
    /// The last run of words of shorter texts.
    shorts: Index,
    /// All runs of [`Self::run`] words inside those n-grams.
    runs: Filter,
    summary: Summary,
    digest: [u8; 32],
}

/// A distinct text.
#[derive(Debug)]
struct Text {
    /// Its words joined by one space.
    words: Vec<u8>,
    count: usize,
    /// Distinct n-grams that count; 1 for a short text.
    total: u64,
    /// The first item (by benchmark, then name) that has it.
    benchmark: String,
    item: String,
}

/// What was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Items (rows) read.
    pub items: u64,
    /// Distinct texts in their fields.
    pub texts: u64,
    /// Texts of fewer than [`MIN_WORDS`] words: not looked for.
    pub too_short: u64,
    /// Longer texts of which no n-gram counts: not looked for.
    pub nothing_left: u64,
    /// Distinct n-grams looked for.
    pub ngrams: u64,
    /// Distinct n-grams in more than [`MANY_ITEMS`] items.
    pub common_ngrams: u64,
}

/// An item that a document contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Its benchmark.
    pub benchmark: String,
    /// Its name in the benchmark.
    pub item: String,
    /// The first matching n-gram: its words, folded.
    pub ngram: String,
    /// Byte of the document's text where that n-gram starts.
    pub offset: u64,
    /// Distinct n-grams of the item in the document.
    pub matched: u64,
    /// Distinct n-grams of the item.
    pub total: u64,
}

/// One worker's buffers.
#[derive(Debug)]
pub struct Scratch {
    runs: Runs,
    ngrams: Runs,
    words: Words,
    hits: Vec<Hit>,
}

/// A text's n-gram in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    text: u32,
    /// Place of the n-gram among the text's own: where it starts.
    ngram: u32,
    /// Byte of the document.
    offset: usize,
    /// Bytes of the n-gram's words, folded.
    length: u32,
}

/// Hits gathered before repetitions are dropped.
const HITS: usize = 1 << 16;

impl Benchmarks {
    /// Reads benchmark files: JSON Lines (plain, gzip, zstd) or Parquet, told by content. `fields` are the columns that are matched (dots
    /// reach into objects); every row must have one of them. An item is named by its column `id`, `task_id` or `question_id`, or else by
    /// its row; a benchmark by its column `benchmark`, or else by its file.
    pub fn load(files: &[PathBuf], fields: &[String], ngram: u32, coverage: Option<&BigRational>) -> Result<Self> {
        let read = |file: &PathBuf| {
            let mut items = Vec::new();
            load::read(file, fields, &mut items).map(|()| items)
        };
        // The first error in the files' order, whatever the threads.
        let read: Vec<Result<Vec<Item>>> = files.par_iter().map(read).collect();
        let items: Vec<Vec<Item>> = read.into_iter().collect::<Result<_>>()?;
        Self::new(items.into_iter().flatten().collect(), ngram, coverage)
    }

    /// Words of a run that is asked for first.
    fn run(&self) -> usize {
        self.ngram.min(MIN_WORDS)
    }

    /// Buffers for [`Self::check`], one for each worker.
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        let words = Words::new(Signs::Dropped, self.ngram.max(MIN_WORDS));
        let ngrams = Runs::new(Signs::Dropped, self.ngram, 0);
        Scratch { runs: self.rolling(), ngrams, words, hits: Vec::new() }
    }

    /// Runs, looking back at an n-gram.
    fn rolling(&self) -> Runs {
        Runs::new(Signs::Dropped, self.run(), self.ngram)
    }

    /// What was loaded.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// BLAKE3 of all that decides which documents go: items, n and coverage; not of how they lie in files.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The item that has leaked into a text; of several, the one covered most, then the first by benchmark and name.
    pub fn check(&self, scratch: &mut Scratch, text: &str) -> Option<Leak> {
        self.find(scratch, text);
        let mut best: Option<(&Text, u64, Hit)> = None;
        for hits in scratch.hits.chunk_by(|a, b| a.text == b.text) {
            let matched = u64::try_from(hits.len()).unwrap_or(u64::MAX);
            let Some(item) = hits.first().and_then(|hit| self.texts.get(at(hit.text))) else { continue };
            let Some(&first) = hits.iter().min_by_key(|hit| (hit.offset, hit.ngram)) else { continue };
            if self.coverage.is_some_and(|coverage| !coverage.reached(matched, item.total)) {
                continue;
            }
            let better = best.is_none_or(|(than, covered, _)| {
                let more =
                    (u128::from(matched) * u128::from(than.total)).cmp(&(u128::from(covered) * u128::from(item.total)));
                more.then_with(|| {
                    (&than.benchmark, &than.item, &than.words).cmp(&(&item.benchmark, &item.item, &item.words))
                }) == Ordering::Greater
            });
            if better {
                best = Some((item, matched, first));
            }
        }
        let (item, matched, first) = best?;
        let start = at(first.ngram);
        let ngram = item.words.get(start..start + at(first.length)).unwrap_or_default();
        Some(Leak {
            benchmark: item.benchmark.clone(),
            item: item.item.clone(),
            ngram: String::from_utf8_lossy(ngram).into_owned(),
            offset: u64::try_from(first.offset).unwrap_or(u64::MAX),
            matched,
            total: item.total,
        })
    }

    /// Leaves all hits in `scratch`, by text and n-gram, each at its first place.
    fn find(&self, scratch: &mut Scratch, text: &str) {
        let Scratch { runs, ngrams, words, hits } = scratch;
        hits.clear();
        let run = self.run();
        let around = self.ngram - run;
        let mut limit = HITS;
        // Which word of the block ends the next run that is asked for; the byte from which n-grams are to be cut out.
        let (mut next, mut suspect): (usize, Option<usize>) = (run - 1, None);
        runs.brief_blocks(text, |block| {
            let hashes = block.hashes();
            let asked = || (next..hashes.len()).step_by(around + 1).filter_map(|i| Some((i, *hashes.get(i)?)));
            // The filter is larger than a core's caches: all answers of a block are on their way before the first is read.
            asked().for_each(|(_, hash)| self.runs.fetch(hash));
            // There are short texts only where n-grams are longer than a run. (The first words end no whole run; should the hash of
            // one be that of a text, comparing the words refuses it.)
            self.shorts.each_passing(hashes, |i, posting| {
                let Some(item) = self.texts.get(at(posting.text)) else { return };
                let from = block.offset(i, item.count);
                let there = block.before.saturating_add(number(i + 1));
                if there >= number(item.count) && is(words, text.get(from..block.end(i)), item) {
                    let hit = Hit { text: posting.text, ngram: 0, offset: from, length: posting.length };
                    note(hits, &mut limit, hit);
                }
            });
            // Those beside one that passes are asked for next. Phrases that everybody uses are many.
            for (i, hash) in asked() {
                if self.runs.passes(hash) {
                    let beside = [i.checked_sub(1), Some(i + 1)].into_iter().flatten();
                    beside.filter_map(|i| hashes.get(i)).for_each(|&hash| self.runs.fetch(hash));
                }
            }
            for (i, hash) in asked() {
                if self.runs.passes(hash) && self.around_passes(hashes, i) {
                    // It may be of an item: a part of the text begins that is to be looked up, or goes on.
                    suspect.get_or_insert(block.offset(i, self.ngram));
                } else if let Some(from) = suspect.take() {
                    self.look_up((&mut *ngrams, &mut *words), (text, (from, block.offset(i, 1))), hits, &mut limit);
                }
            }
            // The next one is a step after the last, counted from the next block's first word.
            let asked = hashes.len().saturating_sub(next).div_ceil(around + 1);
            next = next + asked * (around + 1) - hashes.len();
        });
        if let Some(from) = suspect {
            self.look_up((ngrams, words), (text, (from, text.len())), hits, &mut limit);
        }
        first_of_each(hits);
    }

    /// Whether as many runs side by side as an n-gram holds may be of items, run `i`, which may, among them. What lies beyond the
    /// block may be too. Phrases of five words that everybody uses are many, and stand alone.
    #[cold]
    fn around_passes(&self, hashes: &[u64], i: usize) -> bool {
        let held = self.ngram - self.run() + 1;
        let (before, from) = hashes.split_at_checked(i).unwrap_or_default();
        let passes = |hash: &&u64| self.runs.passes(**hash);
        let left = before.iter().rev().take(held).take_while(passes).count();
        let right = from.iter().take(held).take_while(passes).count();
        left + right >= held || left == before.len() || right == from.len()
    }

    /// Looks up all n-grams in a part of a text.
    #[cold]
    fn look_up(
        &self,
        (ngrams, words): (&mut Runs, &mut Words),
        (text, (from, to)): (&str, (usize, usize)),
        hits: &mut Vec<Hit>,
        limit: &mut usize,
    ) {
        let n = self.ngram;
        let part = text.get(from..to).unwrap_or_default();
        ngrams.blocks(part, |block| {
            for (i, &hash) in block.hashes().iter().enumerate() {
                let mut found = self.ngrams.get(hash).peekable();
                if found.peek().is_none() {
                    continue;
                }
                let place = block.offset(i, n);
                words.each(part.get(place..block.end(i)).unwrap_or_default(), |window| {
                    // The first words of the part end no n-gram.
                    let Some(words) = window.last(n) else { return };
                    for (text, start) in found.by_ref() {
                        let item = self.texts.get(at(text)).map(|text| text.words.as_slice()).unwrap_or_default();
                        if starts_with(item, start, words) {
                            let length = u32::try_from(words.len()).unwrap_or(u32::MAX);
                            note(hits, limit, Hit { text, ngram: start, offset: from + place, length });
                        }
                    }
                });
            }
        });
    }
}

/// Whether whole words start at a byte of a text's folded words, where one of its own starts.
fn starts_with(text: &[u8], start: u32, words: &[u8]) -> bool {
    text.get(at(start)..)
        .and_then(|rest| rest.strip_prefix(words))
        .is_some_and(|rest| rest.first().is_none_or(|&next| next == b' '))
}

fn note(hits: &mut Vec<Hit>, limit: &mut usize, hit: Hit) {
    hits.push(hit);
    if hits.len() >= *limit {
        first_of_each(hits);
        // Twice what is left, or hits that are all different would be sorted again and again.
        *limit = HITS.max(hits.len().saturating_mul(2));
    }
}

/// Whether a part of a document has the words of an item's text, and no others.
#[cold]
fn is(words: &mut Words, part: Option<&str>, item: &Text) -> bool {
    let mut same = false;
    words.each(part.unwrap_or_default(), |window| {
        same = window.count == number(item.count) && window.last(item.count) == Some(&item.words);
    });
    same
}

/// Keeps each n-gram's first place.
fn first_of_each(hits: &mut Vec<Hit>) {
    hits.sort_unstable();
    hits.dedup_by_key(|hit| (hit.text, hit.ngram));
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn small(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::Failed("decontaminate: more than 4 GiB of benchmark items".into()))
}

/// Bytes that are gathered before they are hashed, about.
const GATHERED: usize = 1 << 17;

/// Of sorted items.
fn digest(items: &[Item], ngram: u32, coverage: Option<Threshold>) -> [u8; 32] {
    // Gathered: hashing many bytes at a time is several times as fast.
    let (mut hasher, mut gathered) = (blake3::Hasher::new(), Vec::with_capacity(GATHERED));
    let mut field = |bytes: &[u8]| {
        if gathered.len() + bytes.len() > GATHERED {
            hasher.update(&gathered);
            gathered.clear();
        }
        gathered.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        gathered.extend_from_slice(bytes);
    };
    field(&ngram.to_le_bytes());
    let (numerator, denominator) = coverage.map_or((0, 0), Threshold::parts);
    field(&numerator.to_le_bytes());
    field(&denominator.to_le_bytes());
    for item in items {
        field(item.benchmark.as_bytes());
        field(item.name.as_bytes());
        field(&u64::try_from(item.texts.len()).unwrap_or(u64::MAX).to_le_bytes());
        for text in &item.texts {
            field(text.as_bytes());
        }
    }
    hasher.update(&gathered);
    *hasher.finalize().as_bytes()
}
