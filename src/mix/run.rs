//! A run of tokens: documents, or what is left of them, one after another.

use super::{Entry, Piece};

/// Parts of documents in line order, with prefix sums of their tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Run {
    entries: Vec<Entry>,
    /// Where each part begins in the run, and at the end the run's tokens; empty for an empty run.
    starts: Vec<u64>,
    /// Where each part begins in its document; empty while all are 0, as in a whole range.
    offsets: Vec<u32>,
}

impl Run {
    /// Whole documents, none of them empty.
    pub(super) fn of_documents(entries: Vec<Entry>) -> Self {
        let mut starts = Vec::with_capacity(entries.len() + 1);
        let mut tokens = 0_u64;
        starts.push(0);
        starts.extend(entries.iter().map(|entry| {
            tokens += u64::from(entry.tokens);
            tokens
        }));
        Self { entries, starts, offsets: Vec::new() }
    }

    pub(super) fn tokens(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Number of parts.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Lengths of the parts, in tokens. Each fits 32 bits, as it is part of one document.
    pub(super) fn lengths(&self) -> impl Iterator<Item = u32> {
        self.starts.windows(2).map(|pair| {
            #[expect(clippy::cast_possible_truncation, reason = "a part of a document of at most u32::MAX tokens")]
            let length = (pair[1] - pair[0]) as u32;
            length
        })
    }

    /// Where part `part` begins in the run.
    pub(super) fn start(&self, part: usize) -> u64 {
        self.starts[part]
    }

    fn offset(&self, part: usize) -> u32 {
        self.offsets.get(part).copied().unwrap_or(0)
    }

    /// Appends the pieces of `from..from + length`, which lies within the run.
    pub(super) fn pieces(&self, from: u64, length: u64, epoch: u32, pieces: &mut Vec<Piece>) {
        let end = from + length;
        let mut at = from;
        let mut part = self.starts.partition_point(|&start| start <= from).saturating_sub(1);
        while at < end {
            let stop = self.starts[part + 1].min(end);
            #[expect(clippy::cast_possible_truncation, reason = "within one document of at most u32::MAX tokens")]
            let (skipped, length) = ((at - self.starts[part]) as u32, (stop - at) as u32);
            pieces.push(Piece { entry: self.entries[part], offset: self.offset(part) + skipped, length, epoch });
            at = stop;
            part += 1;
        }
    }

    /// Appends `from..to` of another run; what continues the last part of this one is joined to it.
    pub(super) fn extend(&mut self, other: &Self, from: u64, to: u64) {
        let mut pieces = Vec::new();
        other.pieces(from, to - from, 0, &mut pieces);
        for Piece { entry, offset, length, .. } in pieces {
            if self.starts.is_empty() {
                self.starts.push(0);
            }
            let tokens = self.tokens();
            let last = self.len().wrapping_sub(1);
            let continues = self.entries.last() == Some(&entry)
                && u64::from(offset) == u64::from(self.offset(last)) + (tokens - self.starts[last]);
            if continues {
                self.starts[last + 1] += u64::from(length);
            } else {
                self.entries.push(entry);
                self.starts.push(tokens + u64::from(length));
                self.offsets.push(offset);
            }
        }
    }

    /// Parts that begin at or after `from`.
    pub(super) fn parts_from(&self, from: u64) -> u64 {
        (self.len() - self.starts[..self.len()].partition_point(|&start| start < from)) as u64
    }

    /// Documents of which the run holds every token.
    pub(super) fn whole_documents(&self) -> u64 {
        // Parts of one document stand side by side; only a single part can be the whole of it.
        self.entries.iter().zip(self.lengths()).filter(|(entry, length)| entry.tokens == *length).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u128, tokens: u32) -> Entry {
        Entry { key, tokens, segment: 0, start: u64::try_from(key).unwrap() * 1_000 }
    }

    #[test]
    fn pieces_cross_documents_and_parts_join() {
        let run = Run::of_documents(vec![entry(1, 4), entry(2, 1), entry(3, 10)]);
        assert_eq!((run.tokens(), run.len()), (15, 3));
        let mut pieces = Vec::new();
        run.pieces(2, 6, 9, &mut pieces);
        let brief: Vec<_> = pieces.iter().map(|p| (p.entry.key, p.offset, p.length, p.epoch)).collect();
        assert_eq!(brief, [(1, 2, 2, 9), (2, 0, 1, 9), (3, 0, 3, 9)]);

        let mut rest = Run::default();
        assert_eq!(rest.tokens(), 0);
        rest.extend(&run, 1, 3);
        rest.extend(&run, 3, 6);
        rest.extend(&run, 8, 10);
        rest.extend(&run, 10, 11);
        assert_eq!(rest.lengths().collect::<Vec<_>>(), [3, 1, 1, 3]);
        assert_eq!(rest.whole_documents(), 1);
        pieces.clear();
        rest.pieces(0, rest.tokens(), 0, &mut pieces);
        let brief: Vec<_> = pieces.iter().map(|p| (p.entry.key, p.offset, p.length)).collect();
        assert_eq!(brief, [(1, 1, 3), (2, 0, 1), (3, 0, 1), (3, 3, 3)]);

        // Taking from parts of parts keeps the documents' own offsets.
        let mut again = Run::default();
        again.extend(&rest, 2, 6);
        pieces.clear();
        again.pieces(0, again.tokens(), 0, &mut pieces);
        let brief: Vec<_> = pieces.iter().map(|p| (p.entry.key, p.offset, p.length)).collect();
        assert_eq!(brief, [(1, 3, 1), (2, 0, 1), (3, 0, 1), (3, 3, 1)]);
    }
}
