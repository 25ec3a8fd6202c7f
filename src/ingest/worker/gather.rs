//! What one worker has gathered of a source and not yet committed: documents, the rows that they cover, and counts.

use std::sync::atomic::Ordering;

use super::super::Shared;
use super::super::contaminate::Leak;
use crate::dedup::near::Signature;
use crate::error::{Error, Result};
use crate::store::Gathered;
use crate::store::builder::Builder;
use crate::store::journal::{Extent, Leaked};

/// Leaks gathered before they are committed, with whatever documents there are: each is evidence of some hundred bytes.
const MOST_LEAKS: usize = 4096;

pub(super) struct Gather<'a> {
    shared: &'a Shared<'a>,
    /// The source that all of it is of.
    source: usize,
    builder: Builder,
    gathered: Gathered,
}

impl<'a> Gather<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Self {
        let builder = Builder::new(shared.contract.dtype, shared.segment_bytes(0));
        Self { shared, source: 0, builder, gathered: Gathered::default() }
    }

    /// The source that is gathered for.
    pub(super) fn source(&self) -> usize {
        self.source
    }

    /// Gathers for another source from now on.
    pub(super) fn turn_to(&mut self, source: usize) -> Result<()> {
        if source != self.source {
            self.flush()?;
            self.source = source;
            self.builder.set_limit(self.shared.segment_bytes(source));
        }
        Ok(())
    }

    /// The next row is judged from here on; what is committed before it is covered does not cover it.
    pub(super) fn next_row(&mut self) -> Result<()> {
        if self.gathered.leaks.len() >= MOST_LEAKS { self.flush() } else { Ok(()) }
    }

    /// A row has been judged. What goes over a segment's size with it is committed, so that a long document does not stay.
    pub(super) fn cover(&mut self, file: u32, row: u64) -> Result<()> {
        match self.gathered.extents.last_mut() {
            Some(last) if last.file == file && last.first + last.rows == row => last.rows += 1,
            _ => self.gathered.extents.push(Extent { file, first: row, rows: 1 }),
        }
        if self.builder.is_full(0) { self.flush() } else { Ok(()) }
    }

    /// A row that holds nothing.
    pub(super) fn empty(&mut self, bytes: u64) {
        self.read(bytes);
        self.gathered.counts.empty += 1;
    }

    /// A row that `where` does not let through, so that nothing was read of it.
    pub(super) fn excluded(&mut self) {
        self.gathered.counts.read += 1;
        self.gathered.counts.filtered.entry("where".to_owned()).or_default().0 += 1;
    }

    /// A document that a rule removes.
    pub(super) fn filtered(&mut self, rule: &str, bytes: u64) {
        self.read(bytes);
        let sum = self.gathered.counts.filtered.entry(rule.to_owned()).or_default();
        sum.0 += 1;
        sum.1 += bytes;
    }

    /// A row that cannot be read.
    pub(super) fn bad(&mut self, what: String) {
        self.read(0);
        self.gathered.counts.bad += 1;
        self.gathered.counts.note_bad(what);
    }

    /// A document that holds a benchmark's item.
    pub(super) fn contaminated(&mut self, key: u128, leak: Leak, bytes: u64) {
        self.read(bytes);
        self.gathered.counts.contaminated.0 += 1;
        self.gathered.counts.contaminated.1 += bytes;
        let Leak { benchmark, item, ngram, offset, matched, total } = leak;
        self.gathered.leaks.push(Leaked {
            document: format!("{key:032x}"),
            benchmark,
            item,
            ngram,
            offset,
            matched,
            total,
        });
    }

    /// Takes ids of the document that is being read. What was gathered before it is committed when they go over a segment's
    /// size.
    pub(super) fn add(&mut self, ids: &[u32]) -> Result<()> {
        let size = self.shared.contract.vocab_size;
        if are_above(ids, size.wrapping_sub(1))
            && let Some(most) = ids.iter().max().filter(|most| **most >= size)
        {
            return Err(Error::Failed(format!("token id {most} is not below {size}")));
        }
        if self.builder.is_full(ids.len()) {
            self.flush()?;
        }
        self.builder.add(ids)
    }

    /// Ids taken of the document that is being read, framing counted.
    pub(super) fn open_tokens(&self) -> usize {
        self.builder.open_tokens()
    }

    /// The same as they lie on disk.
    pub(super) fn open_bytes(&self) -> &[u8] {
        self.builder.open_bytes()
    }

    /// The document is whole.
    pub(super) fn document(&mut self, key: u128, bytes: u64, signature: Option<&Signature>) -> Result<()> {
        let tokens = self.builder.open_tokens() as u64;
        self.builder.end(key, bytes)?;
        if let Some(signature) = signature {
            self.builder.sign(signature);
        }
        self.read(bytes);
        self.gathered.counts.tokenized.documents += 1;
        self.gathered.counts.tokenized.tokens += tokens;
        self.gathered.counts.tokenized.bytes += bytes;
        self.shared.watch.documents.fetch_add(1, Ordering::Relaxed);
        self.shared.watch.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn read(&mut self, bytes: u64) {
        self.gathered.counts.read += 1;
        self.gathered.counts.bytes += bytes;
    }

    /// Commits what was gathered.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.gathered.extents.is_empty() {
            return Ok(());
        }
        let name = &self.shared.resolved.curriculum.sources[self.source].name;
        self.shared.store.commit(name, &mut self.builder, std::mem::take(&mut self.gathered))?;
        self.shared.segments[self.source].fetch_add(1, Ordering::Relaxed);
        self.builder.set_limit(self.shared.segment_bytes(self.source));
        Ok(())
    }
}

/// Whether any id may be above `last`: where that is below 2^31, exactly. In fewer steps than their maximum takes.
fn are_above(ids: &[u32], last: u32) -> bool {
    // The top bit: of what is below zero, and of what is not below 2^31.
    ids.iter().fold(last, |any, id| any | last.wrapping_sub(*id) | id) >> 31 != 0
}

#[cfg(test)]
mod tests {
    use super::are_above;

    #[test]
    fn what_is_above_is_told() {
        for last in [0, 1, 99, 65_535, 0x7FFF_FFFF] {
            assert!(!are_above(&[], last) && !are_above(&[0, last, last / 2], last));
            for above in [last + 1, last + 2, 0x8000_0000, 0x8000_0001, u32::MAX] {
                assert!(are_above(&[0, above, last], last), "{above} above {last}");
            }
        }
    }
}
