//! The n-grams of items by their hashes: tables of chains, filled without sorting.
//!
//! There is a table for each value of a hash's top bits, so that one fits into a core's own caches while it is filled, and several
//! are filled at once.

use rayon::prelude::*;

use super::build::Cut;
use super::{MANY_ITEMS, at, small, starts_with};
use crate::error::Result;

/// Top bits that choose the table.
const TABLE_BITS: u32 = 6;

/// Texts that are divided together.
const TOGETHER: usize = 256;

/// Where each n-gram stands in its item's text.
#[derive(Debug, Default)]
pub(super) struct Ngrams {
    tables: Vec<Table>,
}

/// N-grams whose hashes have the same top bits.
#[derive(Debug)]
struct Table {
    /// For the next bits of a hash the newest n-gram that has them, numbered from 1; 0 where there is none.
    newest: Vec<u32>,
    /// Shift that leaves these bits.
    shift: u32,
    entries: Vec<Entry>,
    distinct: u64,
}

/// An n-gram.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The low bits of its hash. The top bits have led here.
    tag: u32,
    /// The one before it in the same place.
    before: u32,
    text: u32,
    /// Byte of the text's folded words.
    start: u32,
}

/// An n-gram on its way into a table.
#[derive(Debug, Clone, Copy)]
struct Record {
    hash: u64,
    /// Place of its text among the cut ones.
    cut: u32,
    /// Byte of the text's folded words; [`PROVES_NOTHING`] where it proves nothing. All else of a text lies elsewhere in memory.
    start: u32,
}

/// Instead of an n-gram's start, where no n-gram starts: there would be nothing after it.
const PROVES_NOTHING: u32 = u32::MAX;

/// What the n-grams of all texts come to.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) ngrams: Ngrams,
    /// Hashes of n-grams in more than [`MANY_ITEMS`] items, sorted.
    pub(super) common: Vec<u64>,
    /// Distinct n-grams that count, by text.
    pub(super) totals: Vec<u64>,
}

impl Counted {
    /// Of cut texts, each with its item's number. `texts` gives each its number as a text; none to one that is there already.
    pub(super) fn new(cuts: &[(Cut, usize)], texts: &[Option<u32>], n: usize) -> Result<Self> {
        let divided: Vec<Vec<Vec<Record>>> = cuts
            .par_chunks(TOGETHER)
            .enumerate()
            .map(|(chunk, cuts)| divide(cuts, chunk * TOGETHER))
            .collect::<Result<_>>()?;
        let parts: Vec<(Table, Vec<u64>)> = (0..1_usize << TABLE_BITS)
            .into_par_iter()
            .map(|part| {
                let records: Vec<&[Record]> =
                    divided.iter().filter_map(|parts| parts.get(part)).map(Vec::as_slice).collect();
                let (common, may) = common(&records, cuts);
                let table = fill(&records, cuts, texts, n, |hash| may(hash) && common.binary_search(&hash).is_ok())?;
                Ok((table, common))
            })
            .collect::<Result<_>>()?;
        let mut counted = Self { totals: vec![0; texts.iter().flatten().count()], ..Self::default() };
        for (table, common) in parts {
            for entry in &table.entries {
                if let Some(total) = counted.totals.get_mut(at(entry.text)) {
                    *total += 1;
                }
            }
            counted.ngrams.tables.push(table);
            counted.common.extend(common);
        }
        Ok(counted)
    }
}

/// The n-grams of some texts, of which the first has this place, by table.
fn divide(cuts: &[(Cut, usize)], first: usize) -> Result<Vec<Vec<Record>>> {
    let ngrams: usize = cuts.iter().map(|(cut, _)| cut.ngrams.len()).sum();
    let share = ngrams >> TABLE_BITS;
    let part = || Vec::with_capacity(share + share / 4);
    let mut parts: Vec<Vec<Record>> = std::iter::repeat_with(part).take(1 << TABLE_BITS).collect();
    for (place, (cut, _)) in cuts.iter().enumerate() {
        let place = small(first + place)?;
        // Where nothing is said of what proves, nothing does.
        let proves = cut.proves.iter().copied().chain(std::iter::repeat(false));
        for ((&hash, &start), proves) in cut.ngrams.iter().zip(&cut.starts).zip(proves) {
            if let Some(part) = parts.get_mut(table_of(hash)) {
                part.push(Record { hash, cut: place, start: if proves { start } else { PROVES_NOTHING } });
            }
        }
    }
    Ok(parts)
}

fn table_of(hash: u64) -> usize {
    usize::try_from(hash >> (u64::BITS - TABLE_BITS)).unwrap_or(usize::MAX)
}

/// Shift, after the table's bits are gone, to places for so many hashes, at least one for each; and the places.
fn places(hashes: usize) -> (u32, usize) {
    let places = hashes.next_power_of_two().max(2);
    (u64::BITS - places.ilog2(), places)
}

fn place(hash: u64, shift: u32) -> usize {
    usize::try_from(hash << TABLE_BITS >> shift).unwrap_or(usize::MAX)
}

/// Hashes that stand in many items, sorted; and what tells quickly of nearly all others that they do not. With a collision, the
/// n-grams of more than [`MANY_ITEMS`] items would have to share a hash.
fn common(records: &[&[Record]], cuts: &[(Cut, usize)]) -> (Vec<u64>, impl Fn(u64) -> bool) {
    let (shift, room) = places(records.iter().map(|records| records.len()).sum());
    // How often hashes of a place occur, up to 255.
    let mut counts = vec![0_u8; room];
    for record in records.iter().copied().flatten() {
        if let Some(count) = counts.get_mut(place(record.hash, shift)) {
            *count = count.saturating_add(1);
        }
    }
    let may = move |hash| counts.get(place(hash, shift)).is_some_and(|&count| usize::from(count) > MANY_ITEMS);
    let item = |record: &Record| cuts.get(at(record.cut)).map_or(usize::MAX, |(_, item)| *item);
    let often = records.iter().copied().flatten().filter(|record| may(record.hash));
    let mut occurrences: Vec<(u64, usize)> = often.map(|record| (record.hash, item(record))).collect();
    occurrences.sort_unstable();
    occurrences.dedup();
    let many = occurrences.chunk_by(|a, b| a.0 == b.0).filter(|items| items.len() > MANY_ITEMS);
    (many.filter_map(|items| items.first().map(|&(hash, _)| hash)).collect(), may)
}

/// A table of the n-grams that count, each of a text at its first place.
fn fill(
    records: &[&[Record]],
    cuts: &[(Cut, usize)],
    texts: &[Option<u32>],
    n: usize,
    common: impl Fn(u64) -> bool,
) -> Result<Table> {
    let all = records.iter().map(|records| records.len()).sum();
    let mut table = Table::new(all);
    for record in records.iter().copied().flatten() {
        let Some(&Some(text)) = texts.get(at(record.cut)) else { continue };
        if record.start == PROVES_NOTHING || common(record.hash) {
            continue;
        }
        // Words too: rolled hashes of long, regular texts may be equal where the words are not.
        let same = |start: u32| {
            cuts.get(at(record.cut)).is_some_and(|(cut, _)| {
                let words = cut.starts.binary_search(&record.start).ok().and_then(|word| cut.ngram(word, n));
                words.is_some_and(|words| starts_with(&cut.words, start, words))
            })
        };
        table.add(record.hash, text, record.start, same)?;
    }
    Ok(table)
}

impl Ngrams {
    /// Texts, and starts in them, of n-grams with this hash; hardly ever others.
    pub(super) fn get(&self, hash: u64) -> impl Iterator<Item = (u32, u32)> {
        let table = self.tables.get(table_of(hash));
        table.into_iter().flat_map(move |table| table.chain(hash)).map(|entry| (entry.text, entry.start))
    }

    /// How many different hashes there are, but for those that agree in their top and in their low bits.
    pub(super) fn distinct(&self) -> u64 {
        self.tables.iter().map(|table| table.distinct).sum()
    }
}

/// The low bits of a hash.
fn tag(hash: u64) -> u32 {
    u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0)
}

impl Table {
    /// With room for so many.
    fn new(most: usize) -> Self {
        let (shift, places) = places(most);
        Self { newest: vec![0; places], shift, entries: Vec::with_capacity(most), distinct: 0 }
    }

    /// Adds an n-gram of a text, unless `same` says of a start in this text that the same words start there. Texts come one after the
    /// other.
    fn add(&mut self, hash: u64, text: u32, start: u32, same: impl Fn(u32) -> bool) -> Result<()> {
        let newest = small(self.entries.len() + 1)?;
        let mut distinct = true;
        for entry in self.chain(hash) {
            distinct = false;
            // Those of earlier texts are all that is left.
            if entry.text != text {
                break;
            }
            if same(entry.start) {
                return Ok(());
            }
        }
        self.distinct += u64::from(distinct);
        if let Some(before) = self.newest.get_mut(place(hash, self.shift)) {
            let entry = Entry { tag: tag(hash), before: std::mem::replace(before, newest), text, start };
            self.entries.push(entry);
        }
        Ok(())
    }

    /// The n-grams of a hash, the newest first.
    fn chain(&self, hash: u64) -> impl Iterator<Item = Entry> {
        let entry = |number: u32| self.entries.get(at(number).checked_sub(1)?).copied();
        let first = self.newest.get(place(hash, self.shift)).and_then(|&newest| entry(newest));
        std::iter::successors(first, move |last| entry(last.before)).filter(move |entry| entry.tag == tag(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(i: u32) -> u64 {
        u64::from(i).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn finds_what_was_put_in_and_nothing_else() {
        let mut table = Table::new(3000);
        for i in 0..3000 {
            // Three texts have each hash; the third of them one of them twice, with other words.
            let (text, start) = (i / 1000, i);
            table.add(hash(i % 1000), text, start, |_| false).unwrap();
        }
        table.add(hash(7), 2, 9999, |start| start == 1).unwrap();
        // The same words again.
        table.add(hash(7), 2, 5, |start| start == 2007).unwrap();
        assert_eq!(table.distinct, 1000);
        for i in 0..1000 {
            let found: Vec<(u32, u32)> = table.chain(hash(i)).map(|entry| (entry.text, entry.start)).collect();
            let more = (i == 7).then_some((2, 9999)).into_iter();
            let expected = more.chain([(2, 2000 + i), (1, 1000 + i), (0, i)]);
            assert_eq!(found, expected.collect::<Vec<_>>());
        }
        assert!((1000..100_000).all(|i| table.chain(hash(i)).next().is_none()));
        assert!(Table::new(0).chain(hash(1)).next().is_none() && Ngrams::default().get(hash(1)).next().is_none());
    }
}
