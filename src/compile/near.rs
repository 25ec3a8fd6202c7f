//! Near duplicates among the stored documents: what the search needs to know of them, and what it decided.

use std::collections::BTreeMap;

use num_rational::BigRational;
use num_traits::ToPrimitive;

use crate::curriculum::Curriculum;
use crate::curriculum::checked::{Near, NearScope};
use crate::dedup::exact::Ranks;
use crate::dedup::near::{self, NearDocument, NearDocuments, NearOptions, Signature};
use crate::dedup::removed::{Reason, Removed};
use crate::error::{Error, Result};
use crate::plan::number;
use crate::store::documents::SourceStore;
use crate::store::fates::Fate;
use crate::store::segment::Row;
use crate::store::signatures;
use crate::tokenize::{Contract, Tokenizer};

/// Finds near duplicates among exact survivors and held-out documents, marks them, and returns them with their evidence
/// and with warnings.
#[expect(clippy::too_many_arguments, reason = "what the run has and what it may use; no two belong together")]
pub fn remove(
    curriculum: &Curriculum,
    near: &Near,
    stores: &[SourceStore],
    tokenizer: &dyn Tokenizer,
    contract: &Contract,
    work: &std::path::Path,
    memory: u64,
    threads: usize,
) -> Result<(Vec<Removed>, Vec<String>)> {
    let stored = Stored::new(curriculum, near.scope, stores, tokenizer, contract);
    let found = near::remove(&stored, &NearOptions::new(near)?, work, memory, threads)?;
    let mut removed = Vec::with_capacity(found.len());
    let mut gone = vec![0u64; stores.len()];
    for of in found {
        let (place, kept) = (stored.place(of.document)?, stored.place(of.kept)?);
        let fate = if of.held_out { Fate::NearValidation } else { Fate::Near };
        stores[place.source].fates[place.segment].set(place.row, fate)?;
        gone[place.source] += 1;
        removed.push(Removed {
            document: stored.row(&place)?.key,
            source: place.source,
            reason: Reason::Near {
                kept: stored.row(&kept)?.key,
                kept_in: kept.source,
                intersection: of.intersection,
                union: of.union,
                validation: of.held_out,
            },
        });
    }
    let warnings = guard(curriculum, near, &stored, &gone)?;
    Ok((removed, warnings))
}

/// Shares of a source's documents from which a removal is remarkable, and from which it is taken for a mistake.
const WARN: (u64, u64) = (1, 2);
const FAIL: (u64, u64) = (19, 20);

/// A source that loses most of its documents is more likely a mistake than a finding.
fn guard(curriculum: &Curriculum, near: &Near, stored: &Stored<'_>, gone: &[u64]) -> Result<Vec<String>> {
    let ratio = |(above, below): (u64, u64)| BigRational::new(above.into(), below.into());
    let mut warnings = Vec::new();
    for (s, source) in curriculum.sources.iter().enumerate() {
        let before = stored.unique[s];
        if before == 0 {
            continue;
        }
        let share = ratio((gone[s], before));
        let said = near.max_removed_of.get(&s).or(near.max_removed.as_ref());
        let percent = number::percent(share.to_f64().unwrap_or(1.0));
        let what = format!(
            "source `{}`: near-duplicate removal takes {} of {} documents ({percent})",
            source.name,
            number::count(gone[s]),
            number::count(before)
        );
        if share > said.cloned().unwrap_or_else(|| ratio(FAIL)) {
            return Err(Error::Infeasible {
                rendered: format!(
                    "{what}.\nLook at them with `syllabus dedup`. If they are to go, allow it: `dedup: {{near: {{max_removed: {{{}: 100%}}}}}}`.",
                    source.name
                ),
                summary: format!("{what}, more than `max_removed` allows"),
            });
        }
        if said.is_none() && share >= ratio(WARN) {
            warnings.push(what);
        }
    }
    Ok(warnings)
}

/// A stored document's place.
struct Place {
    source: usize,
    segment: usize,
    row: u64,
}

/// The stored documents, numbered segment by segment.
struct Stored<'a> {
    stores: &'a [SourceStore],
    /// First number of each segment, and its source and place in it.
    segments: Vec<(u64, usize, usize)>,
    count: u64,
    /// Documents of each source that are not exact duplicates.
    unique: Vec<u64>,
    scopes: Vec<u32>,
    ranks: Vec<u32>,
    exempt: Vec<bool>,
    tokenizer: &'a dyn Tokenizer,
    contract: &'a Contract,
}

impl<'a> Stored<'a> {
    fn new(
        curriculum: &Curriculum,
        scope: NearScope,
        stores: &'a [SourceStore],
        tokenizer: &'a dyn Tokenizer,
        contract: &'a Contract,
    ) -> Self {
        let (mut segments, mut count) = (Vec::new(), 0);
        for (source, store) in stores.iter().enumerate() {
            for (segment, of) in store.segments.iter().enumerate() {
                segments.push((count, source, segment));
                count += of.totals().documents;
            }
        }
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut groups: BTreeMap<&str, u32> = BTreeMap::new();
        let scopes = curriculum.sources.iter().enumerate().map(|(s, source)| match (scope, &source.group) {
            (NearScope::All, _) => 0,
            (NearScope::Group, Some(group)) => *groups.entry(group).or_insert(small(s)),
            _ => small(s),
        });
        let scopes = scopes.collect();
        let ranks = Ranks::new(&curriculum.sources);
        Self {
            stores,
            segments,
            count,
            unique: Vec::new(),
            scopes,
            ranks: (0..stores.len()).map(|s| small(ranks.of(s))).collect(),
            exempt: curriculum.sources.iter().map(|source| source.exempt).collect(),
            tokenizer,
            contract,
        }
        .counted()
    }

    /// How many documents of each source take part. What cannot be read here is an error soon after.
    fn counted(mut self) -> Self {
        self.unique = self
            .stores
            .iter()
            .map(|store| {
                let mut unique = 0;
                let walked = store.walk(|_, _, _, fate| {
                    unique += u64::from(fate != Fate::Exact);
                    Ok(())
                });
                walked.map_or(0, |()| unique)
            })
            .collect();
        self
    }

    fn place(&self, number: u64) -> Result<Place> {
        let after = self.segments.partition_point(|(first, ..)| *first <= number);
        let (first, source, segment) = *after
            .checked_sub(1)
            .and_then(|at| self.segments.get(at))
            .filter(|_| number < self.count)
            .ok_or_else(|| Error::Failed(format!("there is no document {number}")))?;
        Ok(Place { source, segment, row: number - first })
    }

    fn row(&self, place: &Place) -> Result<Row> {
        let mut rows = Vec::new();
        self.stores[place.source].segments[place.segment].rows(place.row..place.row + 1, &mut rows)?;
        rows.pop().ok_or_else(|| Error::Failed(format!("there is no row {}", place.row)))
    }

    fn fate(&self, place: &Place) -> Result<Fate> {
        let mut fates = Vec::new();
        self.stores[place.source].fates[place.segment].read(place.row..place.row + 1, &mut fates)?;
        Ok(fates.pop().unwrap_or(Fate::Survives))
    }
}

impl NearDocuments for Stored<'_> {
    fn count(&self) -> u64 {
        self.count
    }

    fn document(&self, number: u64) -> Result<NearDocument> {
        let place = self.place(number)?;
        let row = self.row(&place)?;
        Ok(NearDocument {
            scope: self.scopes[place.source],
            held_out: self.fate(&place)? == Fate::HeldOut,
            exempt: self.exempt[place.source],
            priority: self.ranks[place.source],
            bytes: u64::from(row.bytes),
            key: row.key,
        })
    }

    fn signatures(&self, each: &mut dyn FnMut(u64, &Signature) -> Result<()>) -> Result<()> {
        let mut fates = Vec::new();
        for &(first, source, segment) in &self.segments {
            let store = &self.stores[source];
            let of = &store.segments[segment];
            store.fates[segment].read(0..of.totals().documents, &mut fates)?;
            signatures::read(of.path(), of.totals().documents, &mut |row, signature| {
                // Exact duplicates are gone already; who kept them speaks for them.
                match usize::try_from(row).ok().and_then(|row| fates.get(row)) {
                    Some(Fate::Exact) => Ok(()),
                    _ => each(first + row, signature),
                }
            })?;
        }
        Ok(())
    }

    fn text(&self, number: u64, text: &mut String) -> Result<()> {
        let place = self.place(number)?;
        let row = self.row(&place)?;
        let mut bytes = Vec::new();
        self.stores[place.source].segments[place.segment].row_tokens(&row, &mut bytes)?;
        let ids = self.contract.ids(&bytes);
        text.push_str(&self.tokenizer.decode(self.contract.unframed(&ids))?);
        Ok(())
    }
}
