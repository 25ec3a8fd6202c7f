//! Selection: the lexicographically first maximal independent set, chunk by chunk under ≺, in rounds within a chunk.
//!
//! A document is *undecided* at first. In each round the documents that stand before all other undecided ones in every one of their
//! buckets stay: everything ≺-earlier that could remove them is decided, and has been compared with them. Each of them is then compared
//! with the ≺-later undecided documents of its buckets; those that are similar go. So a cluster of any size around one document takes
//! one round and one comparison a document, and no two documents of which one went are compared without need. A document that went is
//! compared again only with documents that stay and come before its evidence: the ≺-first one is the evidence in the end.

use std::path::Path;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::Removed;
use super::chunk::{COST, Chunk};
use super::kept::{Kept, KeptFile};
use super::member::{self, Member};
use super::threshold::Threshold;
use super::verify::{Overlap, Reader, Sets, overlap};
use crate::dedup::sort::Sorted;
use crate::error::{Error, Result};

/// Decides all documents; hands over those that go, by ≺.
pub(super) fn select(
    members: Sorted<{ member::RECORD }>,
    sets: &Sets<'_>,
    threshold: Threshold,
    folder: &Path,
    memory: u64,
    each: &mut (dyn FnMut(Removed) -> Result<()> + Send),
) -> Result<()> {
    // Places within a chunk are 32 bits wide.
    let capacity = usize::try_from((memory / COST).clamp(1024, 1 << 31)).unwrap_or(1 << 31);
    let mut records = members.peekable();
    let mut kept = KeptFile::new(folder);
    let mut first = 0;
    while let Some(mut chunk) = Chunk::read(&mut records, first, capacity)? {
        first += u64::try_from(chunk.documents.len()).unwrap_or(0);
        chunk.set_before(kept.of(&chunk.names)?);
        let mut rounds = Rounds::new(&chunk, sets, threshold);
        rounds.against_before()?;
        rounds.run()?;
        rounds.removed().try_for_each(&mut *each)?;
        if records.peek().is_some() {
            kept.replace(&chunk.names, chunk.kept(&|document| rounds.stays(document)))?;
        }
    }
    Ok(())
}

/// Why a document goes.
#[derive(Debug, Clone, Copy)]
struct Evidence {
    /// Place under ≺ of the one that stays.
    place: u64,
    kept: Member,
    overlap: Overlap,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Undecided,
    Stays,
    Goes(Evidence),
}

/// The rounds of one chunk. Documents and buckets are the chunk's numbers.
struct Rounds<'a> {
    chunk: &'a Chunk,
    sets: &'a Sets<'a>,
    threshold: Threshold,
    states: Vec<State>,
    /// For each bucket, how many of its first members are decided.
    heads: Vec<usize>,
    /// For each document, in how many buckets an undecided document stands before it.
    waiting: Vec<u32>,
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl<'a> Rounds<'a> {
    fn new(chunk: &'a Chunk, sets: &'a Sets<'a>, threshold: Threshold) -> Self {
        let states =
            chunk.documents.iter().map(|member| if member.exempt { State::Stays } else { State::Undecided }).collect();
        let waiting = vec![0; chunk.documents.len()];
        Self { chunk, sets, threshold, states, heads: vec![0; chunk.names.len()], waiting }
    }

    fn stays(&self, document: u32) -> bool {
        matches!(self.states.get(at(document)), Some(State::Stays))
    }

    fn undecided(&self, document: u32) -> bool {
        matches!(self.states.get(at(document)), Some(State::Undecided))
    }

    fn member(&self, document: u32) -> Result<Member> {
        let missing = || Error::Failed(format!("near duplicates: no document {document} in its chunk"));
        self.chunk.documents.get(at(document)).copied().ok_or_else(missing)
    }

    fn removed(&self) -> impl Iterator<Item = Removed> {
        self.chunk.documents.iter().zip(&self.states).filter_map(|(member, state)| match state {
            State::Goes(evidence) => Some(Removed {
                document: member.document,
                kept: evidence.kept.document,
                held_out: evidence.kept.held_out,
                intersection: evidence.overlap.intersection,
                union: evidence.overlap.union,
            }),
            _ => None,
        })
    }

    /// Decides what the documents of earlier chunks decide.
    fn against_before(&mut self) -> Result<()> {
        let documents = u32::try_from(self.chunk.documents.len()).unwrap_or(u32::MAX);
        let found: Vec<(u32, Evidence)> = (0..documents)
            .into_par_iter()
            .filter(|&document| self.undecided(document))
            .map_init(
                || self.sets.reader(),
                |reader, document| {
                    let member = self.member(document)?;
                    let buckets = self.chunk.buckets.get(at(document)).iter();
                    let mut with: Vec<(u64, Member)> = buckets
                        .flat_map(|&bucket| self.chunk.before(at(bucket)))
                        .filter(|kept| kept.member.comparable(member, self.sets.documents()))
                        .map(|&Kept { place, member, .. }| (place, member))
                        .collect();
                    with.sort_unstable_by_key(|&(place, _)| place);
                    with.dedup_by_key(|&mut (place, _)| place);
                    self.compare(document, with.into_iter(), reader)
                },
            )
            .filter_map(Result::transpose)
            .collect::<Result<_>>()?;
        self.apply(&found);
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        // Exempt documents stay without being asked, and are compared first.
        let documents = u32::try_from(self.chunk.documents.len()).unwrap_or(u32::MAX);
        let exempt: Vec<u32> = (0..documents).filter(|&document| self.stays(document)).collect();
        self.compare_later(&exempt)?;
        let mut ready = self.line_up();
        while !ready.is_empty() {
            for &document in &ready {
                if let Some(state) = self.states.get_mut(at(document)) {
                    *state = State::Stays;
                }
            }
            let mut decided = self.compare_later(&ready)?;
            decided.append(&mut ready);
            ready = self.advance(&decided);
        }
        if self.states.iter().any(|state| matches!(state, State::Undecided)) {
            return Err(Error::Failed("near duplicates: a document was left undecided (a bug)".into()));
        }
        Ok(())
    }

    /// Finds the first undecided document of each bucket; gives back those that wait for none.
    fn line_up(&mut self) -> Vec<u32> {
        for bucket in 0..self.chunk.names.len() {
            let members = self.chunk.members.get(bucket);
            let head = members.iter().position(|&document| self.undecided(document)).unwrap_or(members.len());
            if let Some(slot) = self.heads.get_mut(bucket) {
                *slot = head;
            }
            for &document in members.get(head + 1..).unwrap_or_default() {
                if let Some(waiting) = self.waiting.get_mut(at(document)) {
                    *waiting += 1;
                }
            }
        }
        let documents = u32::try_from(self.chunk.documents.len()).unwrap_or(u32::MAX);
        (0..documents).filter(|&d| self.undecided(d) && self.waiting.get(at(d)) == Some(&0)).collect()
    }

    /// Moves the buckets on past what was decided; gives back the documents that now wait for none, by ≺.
    fn advance(&mut self, decided: &[u32]) -> Vec<u32> {
        let mut ready = Vec::new();
        for &document in decided {
            for &bucket in self.chunk.buckets.get(at(document)) {
                let members = self.chunk.members.get(at(bucket));
                let Some(&head) = self.heads.get(at(bucket)) else { continue };
                if members.get(head) != Some(&document) {
                    continue;
                }
                let rest = members.get(head..).unwrap_or_default();
                let head = head + rest.iter().position(|&d| self.undecided(d)).unwrap_or(rest.len());
                if let Some(slot) = self.heads.get_mut(at(bucket)) {
                    *slot = head;
                }
                let next = members.get(head).copied();
                if let Some((next, waiting)) = next.and_then(|next| Some((next, self.waiting.get_mut(at(next))?))) {
                    *waiting -= 1;
                    if *waiting == 0 {
                        ready.push(next);
                    }
                }
            }
        }
        ready.sort_unstable();
        ready
    }

    /// Compares documents that stay with the later ones of their buckets; gives back those that were undecided and now go.
    fn compare_later(&mut self, staying: &[u32]) -> Result<Vec<u32>> {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for &stays in staying {
            let member = self.member(stays)?;
            let place = self.chunk.first + u64::from(stays);
            let mine = pairs.len();
            for &bucket in self.chunk.buckets.get(at(stays)) {
                let members = self.chunk.members.get(at(bucket));
                let later = members.partition_point(|&document| document <= stays);
                for &document in members.get(later..).unwrap_or_default() {
                    let open = match self.states.get(at(document)) {
                        Some(State::Undecided) => true,
                        Some(State::Goes(evidence)) => evidence.place > place,
                        _ => false,
                    };
                    if open && self.member(document)?.comparable(member, self.sets.documents()) {
                        pairs.push((document, stays));
                    }
                }
            }
            // Near-identical documents share many buckets.
            if let Some(mine) = pairs.get_mut(mine..) {
                mine.sort_unstable();
            }
            dedup_from(&mut pairs, mine);
        }
        pairs.sort_unstable();
        let comparisons: Vec<&[(u32, u32)]> = pairs.chunk_by(|a, b| a.0 == b.0).collect();
        let found: Vec<(u32, Evidence)> = comparisons
            .into_par_iter()
            .map_init(
                || self.sets.reader(),
                |reader, pairs| {
                    let Some(&(document, _)) = pairs.first() else { return Ok(None) };
                    let with = pairs.iter().filter_map(|&(_, stays)| {
                        let member = *self.chunk.documents.get(at(stays))?;
                        Some((self.chunk.first + u64::from(stays), member))
                    });
                    self.compare(document, with, reader)
                },
            )
            .filter_map(Result::transpose)
            .collect::<Result<_>>()?;
        Ok(self.apply(&found))
    }

    /// The first of the others (by ≺) that is similar.
    fn compare(
        &self,
        document: u32,
        with: impl Iterator<Item = (u64, Member)>,
        reader: &mut Reader,
    ) -> Result<Option<(u32, Evidence)>> {
        let mut with = with.peekable();
        if with.peek().is_none() {
            return Ok(None);
        }
        let set = self.sets.get(self.member(document)?, reader)?;
        for (place, kept) in with {
            let other = self.sets.get(kept, reader)?;
            if let Some(overlap) = overlap(&set, &other, self.threshold) {
                return Ok(Some((document, Evidence { place, kept, overlap })));
            }
        }
        Ok(None)
    }

    /// Notes what was found; gives back those that were undecided.
    fn apply(&mut self, found: &[(u32, Evidence)]) -> Vec<u32> {
        let mut decided = Vec::new();
        for &(document, evidence) in found {
            if let Some(state) = self.states.get_mut(at(document)) {
                if matches!(state, State::Undecided) {
                    decided.push(document);
                }
                *state = State::Goes(evidence);
            }
        }
        decided
    }
}

/// Removes repetitions from a vector's sorted tail.
fn dedup_from(pairs: &mut Vec<(u32, u32)>, start: usize) {
    let mut write = start;
    for read in start..pairs.len() {
        let Some(&pair) = pairs.get(read) else { break };
        if write == start || write.checked_sub(1).and_then(|last| pairs.get(last)) != Some(&pair) {
            if let Some(slot) = pairs.get_mut(write) {
                *slot = pair;
            }
            write += 1;
        }
    }
    pairs.truncate(write);
}
