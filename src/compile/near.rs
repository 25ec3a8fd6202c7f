//! Near duplicates among the stored documents: what the search needs to know of them, and what it decided.

use std::collections::BTreeMap;
use std::path::Path;

use num_rational::BigRational;
use num_traits::ToPrimitive;

use crate::curriculum::Curriculum;
use crate::curriculum::checked::{Near, NearScope};
use crate::dedup::exact::Ranks;
use crate::dedup::near::{self, NearDocument, NearDocuments, NearOptions, Signature};
use crate::dedup::removed::{Reason, Removed};
use crate::error::{Error, Result};
use crate::ingest::Watch;
use crate::plan::number;
use crate::store::documents::SourceStore;
use crate::store::fates::Fate;
use crate::store::segment::Row;
use crate::store::signatures;
use crate::tokenize::{Contract, Tokenizer};

/// Among what, and as what, near duplicates are sought.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// The curriculum: priorities, groups, exemptions.
    pub curriculum: &'a Curriculum,
    /// Its near-duplicate options.
    pub near: &'a Near,
    /// Each source's documents, exact duplicates and held-out ones marked.
    pub stores: &'a [SourceStore],
    /// Gives back the text that the model reads.
    pub tokenizer: &'a dyn Tokenizer,
    /// Its contract.
    pub contract: &'a Contract,
    /// Looked at whenever a document is: the search stops when asked to.
    pub watch: &'a Watch,
}

/// What the shares that went say.
#[derive(Debug, Default)]
pub struct Judged {
    /// Sources that lost remarkably much.
    pub warnings: Vec<String>,
    /// The first source that lost more than it may.
    pub refusal: Option<Error>,
}

/// Finds near duplicates among exact survivors and held-out documents, marks them, and hands them over with their evidence.
pub fn remove(
    search: &Search<'_>,
    scratch: &Path,
    memory: u64,
    threads: usize,
    each: &mut (dyn FnMut(Removed) -> Result<()> + Send),
) -> Result<Judged> {
    let Search { curriculum, near, stores, .. } = *search;
    let stored = Stored::new(search)?;
    let mut gone = vec![0u64; stores.len()];
    near::remove(&stored, &NearOptions::new(near)?, scratch, memory, threads, &mut |of| {
        let (place, kept) = (stored.place(of.document)?, stored.place(of.kept)?);
        let fate = if of.held_out { Fate::NearValidation } else { Fate::Near };
        stores[place.source].fates[place.segment].set(place.row, fate)?;
        gone[place.source] += 1;
        each(Removed {
            document: stored.row(&place)?.key,
            source: place.source,
            reason: Reason::Near {
                kept: stored.row(&kept)?.key,
                kept_in: kept.source,
                intersection: of.intersection,
                union: of.union,
                validation: of.held_out,
            },
        })
    })?;
    Ok(guard(curriculum, near, &stored.unique, &gone))
}

/// Shares of a source's documents from which a removal is remarkable, and from which it is taken for a mistake.
const WARN: (u64, u64) = (1, 2);
const FAIL: (u64, u64) = (19, 20);

/// A source that loses most of its documents is more likely a mistake than a finding.
fn guard(curriculum: &Curriculum, near: &Near, unique: &[u64], gone: &[u64]) -> Judged {
    let ratio = |(above, below): (u64, u64)| BigRational::new(above.into(), below.into());
    let mut judged = Judged::default();
    for (s, source) in curriculum.sources.iter().enumerate() {
        let before = unique[s];
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
        if said.map_or_else(|| share >= ratio(FAIL), |most| share > *most) {
            judged.refusal = judged.refusal.or(Some(Error::Infeasible {
                rendered: format!(
                    "{what}.\nLook at them with `syllabus dedup`. If they are to go, allow it: `dedup: {{near: {{max_removed: {{{}: 100%}}}}}}`.",
                    source.name
                ),
                summary: format!("{what}, more than `max_removed` allows"),
            }));
        } else if said.is_none() && share >= ratio(WARN) {
            judged.warnings.push(what);
        }
    }
    judged
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
    /// Pairs of ranks of a source and its declared subset, sorted, either way round.
    related: Vec<(u32, u32)>,
    exempt: Vec<bool>,
    tokenizer: &'a dyn Tokenizer,
    contract: &'a Contract,
    watch: &'a Watch,
}

impl<'a> Stored<'a> {
    fn new(search: &Search<'a>) -> Result<Self> {
        let Search { curriculum, stores, tokenizer, contract, watch, .. } = *search;
        let scope = search.near.scope;
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
        let mut unique = Vec::with_capacity(stores.len());
        for store in stores {
            let mut count = 0;
            store.walk(|_, _, _, fate| {
                watch.check()?;
                count += u64::from(fate != Fate::Exact);
                Ok(())
            })?;
            unique.push(count);
        }
        let rank = |source: usize| small(ranks.of(source));
        let pairs = (0..stores.len()).flat_map(|a| (0..stores.len()).map(move |b| (a, b)));
        let mut related: Vec<(u32, u32)> =
            pairs.filter(|&(a, b)| ranks.may_share(a, b)).map(|(a, b)| (rank(a), rank(b))).collect();
        related.sort_unstable();
        Ok(Self {
            stores,
            segments,
            count,
            unique,
            scopes,
            ranks: (0..stores.len()).map(rank).collect(),
            related,
            exempt: curriculum.sources.iter().map(|source| source.exempt).collect(),
            tokenizer,
            contract,
            watch,
        })
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
        self.watch.check()?;
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

    fn compared(&self, one: u32, other: u32) -> bool {
        self.related.binary_search(&(one, other)).is_err()
    }

    fn parts(&self) -> usize {
        self.segments.len()
    }

    fn signatures(&self, part: usize, each: &mut dyn FnMut(u64, &Signature) -> Result<()>) -> Result<()> {
        let Some(&(first, source, segment)) = self.segments.get(part) else { return Ok(()) };
        let store = &self.stores[source];
        let of = &store.segments[segment];
        let mut fates = Vec::new();
        store.fates[segment].read(0..of.totals().documents, &mut fates)?;
        signatures::read(of.path(), of.totals().documents, &mut |row, signature| {
            self.watch.check()?;
            // Exact duplicates are gone already; who kept them speaks for them.
            match usize::try_from(row).ok().and_then(|row| fates.get(row)) {
                Some(Fate::Exact) => Ok(()),
                _ => each(first + row, signature),
            }
        })
    }

    fn text(&self, number: u64, text: &mut String) -> Result<()> {
        self.watch.check()?;
        let place = self.place(number)?;
        let row = self.row(&place)?;
        let mut bytes = Vec::new();
        self.stores[place.source].segments[place.segment].row_tokens(&row, &mut bytes)?;
        let ids = self.contract.ids(&bytes);
        let decoded = self.tokenizer.decode(self.contract.unframed(&ids))?;
        if text.is_empty() {
            *text = decoded;
        } else {
            text.push_str(&decoded);
        }
        Ok(())
    }
}
