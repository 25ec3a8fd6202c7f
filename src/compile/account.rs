//! The ledger of a compile: what the journal counted, what dedup decided, what the windows hold.

use std::collections::BTreeMap;

use rayon::prelude::*;
use syllabus_reader::format::manifest::{LedgerTotals, OutcomeTotal, PhaseSummary};

use crate::curriculum::Curriculum;
use crate::emit::phase::Emitted;
use crate::error::Result;
use crate::ledger::Row;
use crate::mix::SourceStream;
use crate::plan::Plan;
use crate::store::Store;
use crate::store::documents::{SourceStore, Survivors, Tally};
use crate::store::fates::Fate;
use crate::store::journal::Counts;

/// All rows, source by source.
pub fn rows(
    curriculum: &Curriculum,
    store: &Store,
    stores: &[SourceStore],
    survivors: &[Survivors<'_>],
    streams: &[SourceStream<'_>],
    plan: &Plan,
    emitted: &[(usize, Emitted)],
) -> Result<Vec<Row>> {
    let of_source = |s: usize| {
        let name = &curriculum.sources[s].name;
        let mut rows = Vec::new();
        let mut table = Table { source: name, rows: &mut rows };
        before_mixing(&mut table, &store.counts(name), survivors[s].tally_of(&stores[s])?);
        let survived = survivors[s].totals();
        table.whole("survived", Some(survived.documents), Some(survived.tokens), Some(survived.bytes));
        let untouched = streams[s].untouched_documents()?;
        table.whole("emitted", Some(survived.documents - untouched), None, None);
        table.whole("unused", Some(untouched), None, None);
        for epoch in streams[s].usage() {
            let here: u64 = emitted.iter().filter_map(|(_, e)| e.tokens.get(&(s, epoch.epoch))).sum();
            table.epoch(epoch.epoch, "truncated", epoch.truncated);
            table.epoch(epoch.epoch, "unused", epoch.unused);
            if emitted.len() < plan.phases.len() {
                table.epoch(epoch.epoch, "other_phases", epoch.emitted.saturating_sub(here));
            }
        }
        for (number, of) in emitted {
            let phase = &plan.phases[*number].name;
            for (&(_, epoch), &tokens) in of.tokens.range((s, 0)..=(s, u32::MAX)) {
                table.push(Some(phase), Some(epoch), "emitted", None, Some(tokens), None);
            }
            if let Some(&padding) = of.padding.get(&s) {
                table.push(Some(phase), None, "padding", None, Some(padding), None);
            }
        }
        Ok(rows)
    };
    let sources: Vec<Result<Vec<Row>>> = (0..curriculum.sources.len()).into_par_iter().map(of_source).collect();
    // The first error, whatever the threads.
    Ok(sources.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

fn before_mixing(table: &mut Table<'_>, counts: &Counts, tally: Tally) {
    table.whole("read", Some(counts.read), None, Some(counts.bytes));
    table.whole("bad", Some(counts.bad), None, None);
    table.whole("empty", Some(counts.empty), None, None);
    for (rule, (documents, bytes)) in &counts.filtered {
        table.whole(&format!("filtered:{rule}"), Some(*documents), None, Some(*bytes));
    }
    let (documents, bytes) = counts.contaminated;
    table.whole("contaminated", Some(documents), None, Some(bytes));
    table.whole("tokenized", None, Some(counts.tokenized.tokens), Some(counts.tokenized.bytes));
    for fate in [Fate::Exact, Fate::Near, Fate::NearValidation, Fate::HeldOut] {
        let sum = tally.of(fate);
        table.whole(fate.outcome(), Some(sum.documents), Some(sum.tokens), Some(sum.bytes));
    }
}

struct Table<'a> {
    source: &'a str,
    rows: &'a mut Vec<Row>,
}

impl Table<'_> {
    fn whole(&mut self, outcome: &str, documents: Option<u64>, tokens: Option<u64>, bytes: Option<u64>) {
        self.push(None, None, outcome, documents, tokens, bytes);
    }

    fn epoch(&mut self, epoch: u32, outcome: &str, tokens: u64) {
        self.push(None, Some(epoch), outcome, None, Some(tokens), None);
    }

    fn push(
        &mut self,
        phase: Option<&str>,
        epoch: Option<u32>,
        outcome: &str,
        documents: Option<u64>,
        tokens: Option<u64>,
        bytes: Option<u64>,
    ) {
        self.rows.push(Row {
            source: self.source.to_owned(),
            phase: phase.map(str::to_owned),
            epoch,
            outcome: outcome.to_owned(),
            documents,
            tokens,
            bytes,
        });
    }
}

/// Stored tokens (windows × W) of each phase and source, from the shards' own counts.
pub fn stored_windows(phases: &[PhaseSummary]) -> BTreeMap<(String, String), u64> {
    let mut stored = BTreeMap::new();
    for phase in phases {
        for source in &phase.sources {
            let tokens = source.windows * u64::from(phase.window_tokens);
            stored.insert((phase.name.clone(), source.name.clone()), tokens);
        }
    }
    stored
}

/// Sums over all sources, by outcome.
pub fn totals(rows: &[Row]) -> LedgerTotals {
    let mut sums: BTreeMap<&str, (Option<u64>, Option<u64>)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(&row.outcome).or_default();
        let add = |sum: &mut Option<u64>, value: Option<u64>| {
            if let Some(value) = value {
                *sum = Some(sum.unwrap_or(0) + value);
            }
        };
        add(&mut sum.0, row.documents);
        add(&mut sum.1, row.tokens);
    }
    let outcomes = sums
        .into_iter()
        .map(|(outcome, (documents, tokens))| OutcomeTotal { outcome: outcome.to_owned(), documents, tokens })
        .collect();
    LedgerTotals { outcomes }
}
