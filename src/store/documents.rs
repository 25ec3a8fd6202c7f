//! A source's documents over all its segments: the survivors by ranges of the key space, and the held-out ones.

use std::ops::Range;

use crate::error::Result;
use crate::mix::{Documents, Entry, range_of};

use super::fates::{Fate, Fates};
use super::segment::{Cursor, Row, Segment, Totals};

/// All segments of one source, with the fates of their rows.
#[derive(Debug)]
pub struct SourceStore {
    /// The source's name.
    pub name: String,
    /// Its segments; their order means nothing.
    pub segments: Vec<Segment>,
    /// The fates of each segment's rows.
    pub fates: Vec<Fates>,
}

/// Rows read at a time when walking a segment.
const CHUNK: u64 = 4096;

impl SourceStore {
    /// Calls `f` with segment, row number, row and fate of every document, segment by segment in stored order.
    pub fn walk(&self, mut f: impl FnMut(usize, u64, &Row, Fate) -> Result<()>) -> Result<()> {
        let mut fates = Vec::new();
        for (s, (segment, of)) in self.segments.iter().zip(&self.fates).enumerate() {
            let mut cursor = Cursor::new(segment, 0..u64::MAX, CHUNK);
            while let Some((number, row)) = cursor.next_row()? {
                let at = number % CHUNK;
                if at == 0 {
                    of.read(number..number + CHUNK, &mut fates)?;
                }
                let fate = usize::try_from(at).ok().and_then(|at| fates.get(at).copied()).unwrap_or(Fate::Survives);
                f(s, number, &row, fate)?;
            }
        }
        Ok(())
    }

    /// What became of all documents.
    pub fn tally(&self) -> Result<Tally> {
        let mut tally = Tally::default();
        self.walk(|_, _, row, fate| {
            tally.add(fate, row);
            Ok(())
        })?;
        Ok(tally)
    }

    /// Documents of one fate whose keys lie in `[low, high]`, sorted by key (equal keys by their tokens).
    pub fn entries(&self, low: u128, high: u128, fate: Fate) -> Result<Vec<Entry>> {
        let mut spans = Vec::with_capacity(self.segments.len());
        let mut most = 0;
        for segment in &self.segments {
            let first = segment.lower_bound(low)?;
            let end = match high.checked_add(1) {
                Some(above) => segment.lower_bound(above)?,
                None => segment.totals().documents,
            };
            spans.push(first..end);
            most += end.saturating_sub(first);
        }
        // At once: a list that grows takes three times its room on the way. (Mostly all survive, and few have another fate.)
        let room = if fate == Fate::Survives { usize::try_from(most).unwrap_or(0) } else { 0 };
        let mut found = Vec::with_capacity(room);
        let (mut rows, mut fates) = (Vec::new(), Vec::new());
        for ((s, (segment, of)), span) in self.segments.iter().zip(&self.fates).enumerate().zip(spans) {
            let Range { start: mut at, end } = span;
            while at < end {
                let upto = end.min(at + CHUNK);
                segment.rows(at..upto, &mut rows)?;
                of.read(at..upto, &mut fates)?;
                found.extend(rows.iter().zip(&fates).filter(|(_, f)| **f == fate).map(|(row, _)| Entry {
                    key: row.key,
                    tokens: row.tokens,
                    segment: u32::try_from(s).unwrap_or(u32::MAX),
                    start: row.start,
                }));
                at = upto;
            }
        }
        found.shrink_to_fit();
        found.sort_unstable_by_key(|entry| entry.key);
        self.order_equal_keys(&mut found)?;
        Ok(found)
    }

    /// Two texts of one key (a hash collision) are ordered by their tokens, which do not depend on segments.
    fn order_equal_keys(&self, entries: &mut [Entry]) -> Result<()> {
        let mut failed = None;
        for run in entries.chunk_by_mut(|a, b| a.key == b.key).filter(|run| run.len() > 1) {
            run.sort_by_cached_key(|entry| {
                let row = Row { key: entry.key, start: entry.start, tokens: entry.tokens, bytes: 0 };
                let mut tokens = Vec::new();
                if let Some(segment) = self.segments.get(entry.segment as usize)
                    && let Err(error) = segment.row_tokens(&row, &mut tokens)
                {
                    failed = Some(error);
                }
                tokens
            });
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Documents, tokens and bytes by what became of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally([Totals; Fate::COUNT]);

impl Tally {
    fn add(&mut self, fate: Fate, row: &Row) {
        if let Some(sum) = self.0.get_mut(fate as usize) {
            sum.documents += 1;
            sum.tokens += u64::from(row.tokens);
            sum.bytes += u64::from(row.bytes);
        }
    }

    /// Those of this fate.
    #[must_use]
    pub fn of(&self, fate: Fate) -> Totals {
        self.0.get(fate as usize).copied().unwrap_or_default()
    }
}

/// The survivors of a source, cut into ranges: what the mix reads.
#[derive(Debug)]
pub struct Survivors<'a> {
    store: &'a SourceStore,
    bits: u32,
    range_tokens: Vec<u64>,
    range_documents: Vec<u64>,
    tally: Tally,
}

impl<'a> Survivors<'a> {
    /// Counts a source's survivors by range. `bits_for` gives b from their tokens, never less from more.
    pub fn count(store: &'a SourceStore, bits_for: impl Fn(u64) -> u32) -> Result<Self> {
        // In one pass, by as many ranges as if all survived.
        let most = bits_for(store.segments.iter().map(|segment| segment.totals().tokens).sum());
        let (mut range_tokens, mut range_documents) = (vec![0; 1 << most], vec![0; 1 << most]);
        let mut tally = Tally::default();
        store.walk(|_, _, row, fate| {
            tally.add(fate, row);
            if fate == Fate::Survives {
                let range = range_of(row.key, most) as usize;
                range_tokens[range] += u64::from(row.tokens);
                range_documents[range] += 1;
            }
            Ok(())
        })?;
        let bits = bits_for(tally.of(Fate::Survives).tokens).min(most);
        if bits < most {
            let joined =
                |ranges: Vec<u64>| ranges.chunks(1 << (most - bits)).map(|ranges| ranges.iter().sum()).collect();
            (range_tokens, range_documents) = (joined(range_tokens), joined(range_documents));
        }
        Ok(Self { store, bits, range_tokens, range_documents, tally })
    }

    /// What became of all documents of a store: these survivors' own has been counted.
    pub fn tally_of(&self, store: &SourceStore) -> Result<Tally> {
        if std::ptr::eq(self.store, store) { Ok(self.tally) } else { store.tally() }
    }

    /// Documents, tokens and bytes that survive.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.tally.of(Fate::Survives)
    }
}

impl Documents for Survivors<'_> {
    fn bits(&self) -> u32 {
        self.bits
    }

    fn range_tokens(&self) -> &[u64] {
        &self.range_tokens
    }

    fn range_documents(&self, range: u32) -> Result<u64> {
        Ok(self.range_documents.get(range as usize).copied().unwrap_or(0))
    }

    fn range(&self, range: u32) -> Result<Vec<Entry>> {
        if self.bits == 0 {
            return self.store.entries(0, u128::MAX, Fate::Survives);
        }
        let shift = 128 - self.bits;
        let low = u128::from(range) << shift;
        self.store.entries(low, low | ((1 << shift) - 1), Fate::Survives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::builder::Builder;
    use syllabus_reader::format::TokenDtype;

    fn key(i: u32) -> u128 {
        u128::from(i.wrapping_mul(2_654_435_761)) << 96 | u128::from(i)
    }

    fn store(folder: &std::path::Path, segments: u32) -> SourceStore {
        let mut store = SourceStore { name: "web".into(), segments: Vec::new(), fates: Vec::new() };
        for s in 0..segments {
            let mut builder = Builder::new(TokenDtype::U16, 1 << 20);
            for i in (0..300).filter(|i| i % segments == s) {
                builder.push(key(i), &vec![i; 1 + (i as usize % 5)], 7).unwrap();
            }
            let path = folder.join(format!("{segments}-{s}.seg"));
            builder.write(&path).unwrap();
            let segment = Segment::open(&path, TokenDtype::U16).unwrap();
            let fates = Fates::create(&path.with_extension("fate"), segment.totals().documents).unwrap();
            store.segments.push(segment);
            store.fates.push(fates);
        }
        // Every seventh document is a duplicate, wherever it lies.
        let mut gone = Vec::new();
        store
            .walk(|s, number, row, _| {
                if row.key.is_multiple_of(7) {
                    gone.push((s, number));
                }
                Ok(())
            })
            .unwrap();
        for (s, number) in gone {
            store.fates[s].set(number, Fate::Exact).unwrap();
        }
        store
    }

    #[test]
    fn ranges_do_not_depend_on_segments() {
        let folder = tempfile::tempdir().unwrap();
        let (one, nine) = (store(folder.path(), 1), store(folder.path(), 9));
        for bits in [0, 1, 4] {
            let (a, b) = (Survivors::count(&one, |_| bits).unwrap(), Survivors::count(&nine, |_| bits).unwrap());
            assert_eq!(a.range_tokens(), b.range_tokens());
            assert_eq!(a.totals(), b.totals());
            // If all survived, there were more ranges.
            let survive = a.totals().tokens;
            let fewer = Survivors::count(&nine, |tokens| if tokens > survive { bits + 2 } else { bits }).unwrap();
            assert_eq!(fewer.range_tokens(), a.range_tokens());
            assert_eq!((fewer.bits, fewer.range_documents), (bits, a.range_documents.clone()));
            assert_eq!(a.totals().documents, (0..300).filter(|i| i % 7 != 0).count() as u64);
            let mut seen = 0;
            for range in 0..1 << bits {
                let (x, y) = (a.range(range).unwrap(), b.range(range).unwrap());
                let plain = |entries: &[Entry]| entries.iter().map(|e| (e.key, e.tokens)).collect::<Vec<_>>();
                assert_eq!(plain(&x), plain(&y));
                assert!(x.is_sorted_by_key(|e| e.key));
                assert!(x.iter().all(|e| range_of(e.key, bits) == range));
                assert_eq!(x.iter().map(|e| u64::from(e.tokens)).sum::<u64>(), a.range_tokens()[range as usize]);
                seen += x.len() as u64;
            }
            assert_eq!(seen, a.totals().documents);
        }
    }
}
