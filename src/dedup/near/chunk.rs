//! A chunk: a stretch of documents, consecutive under ≺, with all their buckets, as arrays.

use std::iter::Peekable;

use super::kept::Kept;
use super::member::{self, Member, UNKNOWN};
use crate::dedup::sort::Sorted;
use crate::error::Result;

/// Bytes that a membership costs in memory while its chunk is decided.
pub(super) const COST: u64 = 128;

/// Lists of numbers, one after the other in one array.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Where each list ends.
    ends: Vec<usize>,
    values: Vec<u32>,
}

impl Lists {
    fn close(&mut self) {
        self.ends.push(self.values.len());
    }

    fn start(&self, list: usize) -> usize {
        list.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    /// One list.
    pub(super) fn get(&self, list: usize) -> &[u32] {
        let end = self.ends.get(list).copied().unwrap_or(0);
        self.values.get(self.start(list)..end).unwrap_or_default()
    }
}

/// A stretch of documents and their buckets. Documents and buckets are numbered within the chunk; documents by ≺.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Place under ≺ of the first document.
    pub(super) first: u64,
    pub(super) documents: Vec<Member>,
    /// Buckets of each document.
    pub(super) buckets: Lists,
    /// Names of the buckets, sorted.
    pub(super) names: Vec<u64>,
    /// Whether no later chunk has a document in the bucket.
    finished: Vec<bool>,
    /// Documents of each bucket, by ≺.
    pub(super) members: Lists,
    /// Documents of earlier chunks that stayed, by bucket, then ≺.
    before: Vec<Kept>,
    /// Where each bucket's part of `before` ends.
    before_ends: Vec<usize>,
}

impl Chunk {
    /// Reads documents until `capacity` memberships are gathered: whole documents, at least one; `None` at the end.
    pub(super) fn read(
        records: &mut Peekable<Sorted<{ member::RECORD }>>,
        first: u64,
        capacity: usize,
    ) -> Result<Option<Self>> {
        let mut chunk = Self { first, ..Self::default() };
        // Buckets of each document by name, until names are numbered.
        let mut named: Vec<(u64, u32)> = Vec::new();
        let mut ends: Vec<usize> = Vec::new();
        loop {
            let last = chunk.documents.last().copied();
            let full = named.len() >= capacity;
            let record = records.next_if(|record| {
                // An error is taken out, to be returned.
                record.as_ref().map_or(true, |record| {
                    !full || last.is_some_and(|last| last.document == member::parse(record).0.document)
                })
            });
            let Some(record) = record.transpose()? else { break };
            let (document, bucket, later) = member::parse(&record);
            if last.is_none_or(|last| last.document != document.document) {
                if last.is_some() {
                    ends.push(named.len());
                }
                chunk.documents.push(document);
            } else if named.last() == Some(&(bucket, later)) {
                // The same bucket, from another band.
                continue;
            }
            named.push((bucket, later));
        }
        if chunk.documents.is_empty() {
            return Ok(None);
        }
        ends.push(named.len());
        chunk.number(&named, &ends);
        Ok(Some(chunk))
    }

    /// Numbers the buckets and turns the lists round.
    fn number(&mut self, named: &[(u64, u32)], ends: &[usize]) {
        self.names = named.iter().map(|&(name, _)| name).collect();
        self.names.sort_unstable();
        self.names.dedup();
        self.finished = vec![false; self.names.len()];
        let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(named.len());
        let mut start = 0;
        for (document, &end) in ends.iter().enumerate() {
            for &(name, later) in named.get(start..end).unwrap_or_default() {
                let Ok(bucket) = self.names.binary_search(&name) else { continue };
                if let Some(finished) = self.finished.get_mut(bucket) {
                    *finished |= later == 0;
                }
                let small = |number: usize| u32::try_from(number).unwrap_or(UNKNOWN);
                self.buckets.values.push(small(bucket));
                pairs.push((small(bucket), small(document)));
            }
            self.buckets.close();
            start = end;
        }
        pairs.sort_unstable();
        let mut pairs = pairs.into_iter().peekable();
        for bucket in 0..self.names.len() {
            while let Some((_, document)) = pairs.next_if(|&(of, _)| usize::try_from(of) == Ok(bucket)) {
                self.members.values.push(document);
            }
            self.members.close();
        }
    }

    /// Tells it which documents of earlier chunks stayed (sorted by bucket, then place).
    pub(super) fn set_before(&mut self, before: Vec<Kept>) {
        self.before_ends = self.names.iter().map(|name| before.partition_point(|kept| kept.bucket <= *name)).collect();
        self.before = before;
    }

    /// Documents of earlier chunks that stayed in a bucket, by ≺.
    pub(super) fn before(&self, bucket: usize) -> &[Kept] {
        let start = bucket.checked_sub(1).and_then(|b| self.before_ends.get(b)).copied().unwrap_or(0);
        let end = self.before_ends.get(bucket).copied().unwrap_or(0);
        self.before.get(start..end).unwrap_or_default()
    }

    /// Those that stayed in the buckets which go on in later chunks, by bucket, then ≺.
    pub(super) fn kept<'a>(&'a self, stays: &'a dyn Fn(u32) -> bool) -> impl Iterator<Item = Kept> + 'a {
        self.names.iter().enumerate().filter(|&(bucket, _)| self.finished.get(bucket) == Some(&false)).flat_map(
            move |(bucket, &name)| {
                let now = self.members.get(bucket).iter().filter(|&&document| stays(document)).filter_map(move |&d| {
                    let member = *self.documents.get(usize::try_from(d).ok()?)?;
                    Some(Kept { bucket: name, place: self.first + u64::from(d), member })
                });
                self.before(bucket).iter().copied().chain(now)
            },
        )
    }
}
