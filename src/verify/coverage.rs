//! Over all windows: every document once in an epoch, from its first token to its last.
//!
//! Fragments are gathered and sorted by document. Keys are hashes, so a document's key tells nothing of where it is read, and a
//! part of the key space is a fair part of the documents: what does not fit into memory is taken in several passes, each for one
//! run of key prefixes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use syllabus_reader::format::DocumentKey;
use syllabus_reader::format::manifest::Shard;
use syllabus_reader::{Dataset, WindowSet};

use super::findings::Findings;
use super::ledger::Ledger;
use super::shard::{Totals, key_bucket};
use super::{Progress, Set};
use crate::curriculum::Curriculum;
use crate::curriculum::checked::Phase;

/// Parts gathered by one thread before they join the rest.
const BATCH: usize = 4_096;

/// A fragment, as the sweep needs it. Sorts by document, then by where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    key: u128,
    held_out: bool,
    source: u32,
    epoch: u32,
    offset: u32,
    length: u32,
    set: u32,
    /// The window in its set.
    window: u64,
    /// Whether its last token is EOS.
    eos: bool,
    /// Whether only padding, if anything, follows it in its window.
    last: bool,
}

impl Part {
    fn end(&self) -> u32 {
        self.offset.saturating_add(self.length)
    }
}

/// All that the check needs.
pub(super) struct Job<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) sets: &'a [Set<'a>],
    pub(super) ledger: Option<&'a Ledger>,
    pub(super) curriculum: Option<&'a Curriculum>,
    pub(super) totals: &'a Totals,
}

/// Documents counted by the sweep.
#[derive(Debug, Default)]
struct Counts {
    /// Different documents of each source in phases.
    emitted: BTreeMap<u32, u64>,
    /// Different documents of each source that are held out.
    held_out: BTreeMap<u32, u64>,
    /// Documents of each source and epoch.
    epochs: BTreeMap<(u32, u32), u64>,
}

impl Job<'_> {
    /// Checks all documents; gives how many there are, per source.
    pub(super) fn check(&self, memory: u64, findings: &Findings, progress: &(dyn Fn(Progress) + Sync)) -> u64 {
        let passes = passes(&self.totals.keys, memory);
        let all: u64 = self.totals.windows.values().sum();
        let total = all.saturating_mul(u64::try_from(passes.len()).unwrap_or(u64::MAX));
        let done = AtomicU64::new(0);
        let mut counts = Counts::default();
        let complete = self.complete_epochs();
        for pass in passes {
            let mut parts = match self.gather(&pass, |windows| {
                let done = done.fetch_add(windows, Ordering::Relaxed).saturating_add(windows);
                progress(Progress { stage: "documents", done, total });
            }) {
                Ok(parts) => parts,
                Err((file, error)) => {
                    findings.add(&file, error.to_string());
                    return 0;
                }
            };
            parts.par_sort_unstable();
            for document in parts.chunk_by(|a, b| a.key == b.key) {
                self.sweep(document, &complete, &mut counts, findings);
            }
        }
        self.check_counts(&counts, &complete, findings);
        counts.emitted.values().chain(counts.held_out.values()).sum()
    }

    /// Epochs of which every token must have been read: by the ledger, or else by the count of tokens.
    fn complete_epochs(&self) -> BTreeSet<(u32, u32)> {
        let mut read: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for (&(set, source, epoch), tokens) in &self.totals.emitted {
            if self.sets.iter().any(|s| s.index == set && !s.held_out) {
                *read.entry((source, epoch)).or_default() += tokens;
            }
        }
        let whole = |&(source, epoch): &(u32, u32), tokens: u64| match self.ledger {
            Some(ledger) => ledger.left(source, epoch) == 0,
            None => {
                let source =
                    usize::try_from(source).ok().and_then(|source| self.dataset.manifest().sources.get(source));
                source.is_some_and(|source| source.tokens == tokens)
            }
        };
        read.into_iter().filter(|(key, tokens)| whole(key, *tokens)).map(|(key, _)| key).collect()
    }

    fn reader(&self, set: &Set<'_>) -> Option<&WindowSet> {
        let sets = self.dataset.phases().iter().chain(self.dataset.validation());
        sets.into_iter().nth(usize::try_from(set.index).ok()?)
    }

    /// The parts of all documents whose key bucket is in `buckets`.
    fn gather(
        &self,
        buckets: &Range<usize>,
        progress: impl Fn(u64) + Sync,
    ) -> Result<Vec<Part>, (String, syllabus_reader::Error)> {
        let eos_id = self.dataset.manifest().tokenizer.eos_id;
        let expected: u64 = self.totals.keys.get(buckets.clone()).unwrap_or_default().iter().sum();
        let all = Mutex::new(Vec::with_capacity(usize::try_from(expected).unwrap_or(0)));
        let jobs: Vec<(&Set<'_>, &Shard, u64)> = self.sets.iter().flat_map(shards_of).collect();
        jobs.par_iter().try_for_each(|&(set, shard, first)| {
            let named = |error| (shard.file.clone(), error);
            let Some(reader) = self.reader(set) else { return Ok(()) };
            let mut batch = Vec::new();
            for window in first..first + shard.windows {
                let read = reader.window(window).map_err(named)?;
                let text_end = set.window_tokens.saturating_sub(read.padding);
                for fragment in read.fragments {
                    let key = fragment.document.into();
                    if !buckets.contains(&key_bucket(key)) {
                        continue;
                    }
                    let end = fragment.start.saturating_add(fragment.length);
                    let token = usize::try_from(end).ok().and_then(|end| read.tokens.get(end.checked_sub(1)?));
                    batch.push(Part {
                        key,
                        held_out: set.held_out,
                        source: read.source_index,
                        epoch: fragment.epoch,
                        offset: fragment.offset,
                        length: fragment.length,
                        set: set.index,
                        window,
                        eos: token.is_some() && token == eos_id,
                        last: end == text_end,
                    });
                }
                if batch.len() >= BATCH {
                    all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut batch);
                }
            }
            all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut batch);
            progress(shard.windows);
            Ok(())
        })?;
        Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// One document: all parts with its key.
    fn sweep(&self, parts: &[Part], complete: &BTreeSet<(u32, u32)>, counts: &mut Counts, findings: &Findings) {
        if let (Some(first), Some(last)) = (parts.first(), parts.last())
            && first.held_out != last.held_out
        {
            let set = self.name(last);
            self.add(
                findings,
                first,
                format!("document {} is read here, but held out in `{set}`", key_text(first.key)),
            );
        }
        for source in parts.chunk_by(|a, b| (a.held_out, a.source) == (b.held_out, b.source)) {
            let Some(first) = source.first() else { continue };
            if !first.held_out {
                *counts.emitted.entry(first.source).or_default() += 1;
            }
            // The document's length, where an epoch says it.
            let mut length = None;
            for epoch in source.chunk_by(|a, b| a.epoch == b.epoch) {
                let Some(first) = epoch.first() else { continue };
                let whole = first.held_out || complete.contains(&(first.source, first.epoch));
                let (end, copies) = self.sweep_epoch(epoch, whole, findings);
                if first.held_out {
                    *counts.held_out.entry(first.source).or_default() += copies;
                } else {
                    *counts.epochs.entry((first.source, first.epoch)).or_default() += copies;
                }
                if whole && *length.get_or_insert(end) != end {
                    let said = length.unwrap_or(0);
                    let message = format!(
                        "document {} has {end} tokens in epoch {}, but {said} in another",
                        key_text(first.key),
                        first.epoch
                    );
                    self.add(findings, first, message);
                }
            }
            self.check_ends(source, length, complete, findings);
        }
    }

    /// Whether equal documents of a source all stay, so that one key may stand for several.
    fn copies_stay(&self) -> bool {
        self.curriculum.is_some_and(|curriculum| !curriculum.dedup.exact)
    }

    /// One epoch of one document: no token twice, and, if the epoch is whole, none missing. Gives where it ends, and how many
    /// copies of it were read.
    fn sweep_epoch(&self, parts: &[Part], whole: bool, findings: &Findings) -> (u32, u64) {
        if self.copies_stay() {
            return self.sweep_copies(parts, whole, findings);
        }
        let mut next = 0_u32;
        for part in parts {
            let (key, epoch) = (key_text(part.key), part.epoch);
            if part.offset < next {
                let message = format!(
                    "tokens {}..{} of document {key} are read twice in epoch {epoch}",
                    part.offset,
                    next.min(part.end())
                );
                self.add(findings, part, message);
            } else if part.offset > next && whole {
                let message = format!("tokens {next}..{} of document {key} are missing in epoch {epoch}", part.offset);
                self.add(findings, part, message);
            }
            next = next.max(part.end());
        }
        (next, 1)
    }

    /// The same where equal documents stay: in a whole epoch every token is read as often as the first.
    fn sweep_copies(&self, parts: &[Part], whole: bool, findings: &Findings) -> (u32, u64) {
        let mut changes: BTreeMap<u32, i64> = BTreeMap::new();
        for part in parts {
            *changes.entry(part.offset).or_default() += 1;
            *changes.entry(part.end()).or_default() -= 1;
        }
        let end = changes.keys().next_back().copied().unwrap_or(0);
        let copies = changes.get(&0).copied().unwrap_or(0);
        let uneven = changes.iter().find(|&(&at, &change)| at != 0 && at != end && change != 0);
        if let (true, Some(first)) = (whole && (copies <= 0 || uneven.is_some()), parts.first()) {
            let at = uneven.map_or(0, |(&at, _)| at);
            let (key, epoch) = (key_text(first.key), first.epoch);
            let message =
                format!("copies of document {key} are not all read whole in epoch {epoch}: they part at token {at}");
            self.add(findings, first, message);
        }
        (end, u64::try_from(copies).unwrap_or(0))
    }

    /// EOS at the document's end: `length` where it is known, else the furthest that was read.
    fn check_ends(&self, parts: &[Part], length: Option<u32>, complete: &BTreeSet<(u32, u32)>, findings: &Findings) {
        let eos = self.dataset.manifest().tokenizer.eos_id.is_some();
        for epoch in parts.chunk_by(|a, b| a.epoch == b.epoch) {
            let Some(furthest) = epoch.iter().max_by_key(|part| part.end()) else { continue };
            let whole = furthest.held_out || complete.contains(&(furthest.source, furthest.epoch));
            let key = key_text(furthest.key);
            if let Some(length) = length
                && furthest.end() > length
            {
                let message = format!("document {key} is read to token {}, but ends at {length}", furthest.end());
                self.add(findings, furthest, message);
            }
            // What is not last in its window is followed by another document, so it ends its own, unless its stretch was packed
            // anew: then a later part may lie in an earlier window, which the furthest part rules out only where that was read.
            let ends = whole || length == Some(furthest.end()) || (!furthest.last && !self.packed_anew());
            if eos && ends && !furthest.eos {
                self.add(findings, furthest, format!("document {key} does not end with EOS"));
            }
        }
    }

    /// Whether some source's documents may have been packed anew between phases.
    fn packed_anew(&self) -> bool {
        let Some(curriculum) = self.curriculum else { return true };
        let shape = |phase: &Phase| (phase.sequence_length, phase.packing);
        curriculum.phases.windows(2).any(|pair| matches!(pair, [a, b] if shape(a) != shape(b)))
    }

    fn check_counts(&self, counts: &Counts, complete: &BTreeSet<(u32, u32)>, findings: &Findings) {
        let manifest = self.dataset.manifest();
        for (source, summary) in (0_u32..).zip(&manifest.sources) {
            for &(_, epoch) in complete.iter().filter(|(s, _)| *s == source) {
                let found = counts.epochs.get(&(source, epoch)).copied().unwrap_or(0);
                if found != summary.documents {
                    let (name, said) = (&summary.name, summary.documents);
                    let message = format!("source `{name}` has {said} documents, but epoch {epoch} reads {found}");
                    findings.add("manifest.json", message);
                }
            }
            let found = counts.held_out.get(&source).copied().unwrap_or(0);
            let sets = manifest.validation.iter().filter(|set| set.source == summary.name);
            let said: u64 = sets.map(|set| set.documents).sum();
            if found != said {
                findings.add(
                    "manifest.json",
                    format!("{said} documents of `{}` are held out, but {found} are there", summary.name),
                );
            }
            let said = self.ledger.and_then(|ledger| ledger.emitted_documents(source));
            // Of documents with equal keys the windows do not tell how many an unfinished epoch touches.
            if let Some(said) = said.filter(|_| !self.copies_stay()) {
                let found = counts.emitted.get(&source).copied().unwrap_or(0);
                if found != said {
                    let message =
                        format!("source `{}`: {said} documents emitted, but {found} are in windows", summary.name);
                    findings.add("ledger.parquet", message);
                }
            }
        }
    }

    fn name(&self, part: &Part) -> &str {
        self.sets.iter().find(|set| set.index == part.set).map_or("", |set| set.name.as_str())
    }

    /// Adds a finding to the `.arrow` that holds the part.
    fn add(&self, findings: &Findings, part: &Part, message: String) {
        let set = self.sets.iter().find(|set| set.index == part.set);
        let shard = set.and_then(|set| shards_of(set).rfind(|(_, _, first)| *first <= part.window));
        match shard {
            Some((_, shard, first)) => {
                let file = format!("{}.arrow", shard.file.trim_end_matches(".bin"));
                findings.add(&file, format!("window {}: {message}", part.window - first));
            }
            None => findings.add("manifest.json", message),
        }
    }
}

fn key_text(key: u128) -> String {
    DocumentKey::from(key).to_string()
}

/// Shards of a set, each with its first window.
fn shards_of<'a>(set: &'a Set<'a>) -> std::vec::IntoIter<(&'a Set<'a>, &'a Shard, u64)> {
    let mut first = 0_u64;
    let mut shards = Vec::with_capacity(set.shards.len());
    for shard in set.shards {
        if shard.windows > 0 {
            shards.push((set, shard, first));
        }
        first = first.saturating_add(shard.windows);
    }
    shards.into_iter()
}

/// Runs of key buckets whose fragments fit into `memory` bytes, at least one bucket each.
fn passes(keys: &[u64], memory: u64) -> Vec<Range<usize>> {
    let limit = memory / u64::try_from(size_of::<Part>()).unwrap_or(u64::MAX).max(1);
    let mut passes: Vec<Range<usize>> = Vec::new();
    let mut held = 0_u64;
    for (bucket, &count) in keys.iter().enumerate() {
        match passes.last_mut() {
            Some(pass) if held.saturating_add(count) <= limit => {
                pass.end = bucket + 1;
                held += count;
            }
            _ => {
                passes.push(bucket..bucket + 1);
                held = count;
            }
        }
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_cover_all_buckets_within_the_limit() {
        let part = u64::try_from(size_of::<Part>()).unwrap();
        let keys = [3, 0, 4, 9, 1, 1, 1, 0];
        let passes = passes(&keys, 7 * part);
        assert_eq!(passes, [0..3, 3..4, 4..8]);
        assert!(super::passes(&[], 100).is_empty());
        assert_eq!(super::passes(&keys, u64::MAX), std::slice::from_ref(&(0..8)));
    }
}
