//! The ledger's equations, its figures against the windows, and the other tables against it.

use std::collections::BTreeMap;
use std::path::Path;

use syllabus_reader::format::manifest::Manifest;

use super::findings::Findings;
use super::removed;
use super::shard::Totals;
use crate::ledger::{self, Row};

const FILE: &str = "ledger.parquet";

/// Outcomes of an epoch that are not in this dataset's windows.
const LEFT: [&str; 3] = ["truncated", "unused", "other_phases"];

/// The ledger, with sources by the manifest's index.
#[derive(Debug)]
pub(super) struct Ledger {
    rows: Vec<(u32, Row)>,
    /// Whether phases of the curriculum were left out of the dataset.
    partial: bool,
}

impl Ledger {
    /// Tokens of an epoch that are not in this dataset's windows.
    pub(super) fn left(&self, source: u32, epoch: u32) -> u64 {
        let of_epoch =
            |row: &Row| row.phase.is_none() && row.epoch == Some(epoch) && LEFT.contains(&row.outcome.as_str());
        self.rows.iter().filter(|(s, row)| *s == source && of_epoch(row)).filter_map(|(_, row)| row.tokens).sum()
    }

    /// Documents with a fragment in some window; `None` when windows of other phases count too.
    pub(super) fn emitted_documents(&self, source: u32) -> Option<u64> {
        (!self.partial).then(|| self.whole(source, "emitted").0)
    }

    /// Documents and tokens of an outcome before mixing.
    fn whole(&self, source: u32, outcome: &str) -> (u64, u64) {
        let of = |row: &Row| row.phase.is_none() && row.epoch.is_none() && row.outcome == outcome;
        let rows = self.rows.iter().filter(|(s, row)| *s == source && of(row));
        rows.fold((0, 0), |sum, (_, row)| (sum.0 + row.documents.unwrap_or(0), sum.1 + row.tokens.unwrap_or(0)))
    }
}

/// Reads the ledger, checks its equations (with the windows that the manifest says) and the tables that must agree with it.
/// `None` when it cannot be read.
pub(super) fn read(dir: &Path, manifest: &Manifest, findings: &Findings) -> Option<Ledger> {
    let rows = match ledger::read(&dir.join(FILE)) {
        Ok(rows) => rows,
        Err(error) => {
            findings.add(FILE, error.to_string());
            return None;
        }
    };
    let mut windows = BTreeMap::new();
    for phase in &manifest.phases {
        for source in &phase.sources {
            let stored = source.windows.saturating_mul(u64::from(phase.window_tokens));
            windows.insert((phase.name.clone(), source.name.clone()), stored);
        }
    }
    for imbalance in ledger::balance(&rows, &windows) {
        findings.add(FILE, imbalance.to_string());
    }
    check_totals(manifest, &rows, findings);
    let partial = rows.iter().any(|row| row.outcome == "other_phases" && row.tokens.unwrap_or(0) > 0);
    let mut known = Vec::with_capacity(rows.len());
    for row in rows {
        match (0_u32..).zip(&manifest.sources).find(|(_, source)| source.name == row.source) {
            Some((index, _)) => known.push((index, row)),
            None => findings.add(FILE, format!("source `{}` is not in the manifest", row.source)),
        }
    }
    let ledger = Ledger { rows: known, partial };
    for (index, source) in (0_u32..).zip(&manifest.sources) {
        let (documents, tokens) = ledger.whole(index, "survived");
        if (documents, tokens) != (source.documents, source.tokens) {
            let (d, t) = (source.documents, source.tokens);
            let message = format!(
                "source `{}`: {documents} documents and {tokens} tokens survived, but the manifest says {d} and {t}",
                source.name
            );
            findings.add(FILE, message);
        }
        let (documents, tokens) = ledger.whole(index, "held_out");
        let sets = manifest.validation.iter().filter(|set| set.source == source.name);
        let said = sets.fold((0, 0), |sum, set| (sum.0 + set.documents, sum.1 + set.tokens));
        if (documents, tokens) != said {
            let (d, t) = said;
            let message = format!(
                "source `{}`: {documents} documents and {tokens} tokens held out, but the manifest says {d} and {t}",
                source.name
            );
            findings.add(FILE, message);
        }
    }
    check_removed(dir, manifest, &ledger, findings);
    Some(ledger)
}

/// The manifest's totals by outcome.
fn check_totals(manifest: &Manifest, rows: &[Row], findings: &Findings) {
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(&row.outcome).or_default();
        sum.0 += row.documents.unwrap_or(0);
        sum.1 += row.tokens.unwrap_or(0);
    }
    for total in &manifest.ledger.outcomes {
        let found = sums.remove(total.outcome.as_str()).unwrap_or_default();
        for (what, said, found) in [("documents", total.documents, found.0), ("tokens", total.tokens, found.1)] {
            if said.is_some_and(|said| said != found) {
                let said = said.unwrap_or(0);
                findings.add(
                    "manifest.json",
                    format!("{said} {what} are `{}`, but the ledger says {found}", total.outcome),
                );
            }
        }
    }
}

/// Removed documents by source and reason.
fn check_removed(dir: &Path, manifest: &Manifest, ledger: &Ledger, findings: &Findings) {
    const REMOVED: &str = "removed.parquet";
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    let read = removed::for_each(&dir.join(REMOVED), |row| *counts.entry((row.source, row.reason)).or_default() += 1);
    if let Err(error) = read {
        findings.add(REMOVED, error.to_string());
        return;
    }
    for (index, source) in (0_u32..).zip(&manifest.sources) {
        for reason in ["exact", "near", "near_validation", "contaminated"] {
            let found = counts.remove(&(source.name.clone(), reason.to_owned())).unwrap_or(0);
            let said = ledger.whole(index, reason).0;
            if found != said {
                let message =
                    format!("source `{}`: {found} documents are `{reason}`, but the ledger says {said}", source.name);
                findings.add(REMOVED, message);
            }
        }
    }
    for ((source, reason), count) in counts {
        findings.add(REMOVED, format!("{count} documents of `{source}` are `{reason}`: no such source or reason"));
    }
}

/// The ledger's tokens by phase, source and epoch against the windows.
pub(super) fn check_windows(manifest: &Manifest, ledger: &Ledger, totals: &Totals, whole: bool, findings: &Findings) {
    if !whole {
        return;
    }
    let phases: Vec<&str> = manifest.phases.iter().map(|phase| phase.name.as_str()).collect();
    let phase_index = |name: &str| (0_u32..).zip(&phases).find(|(_, phase)| **phase == name).map(|(index, _)| index);
    let mut said: BTreeMap<(u32, u32, Option<u32>), u64> = BTreeMap::new();
    for (source, row) in &ledger.rows {
        let Some(phase) = &row.phase else { continue };
        let Some(phase) = phase_index(phase) else {
            findings.add(FILE, format!("phase `{phase}` is not in the manifest"));
            continue;
        };
        let key = match (row.outcome.as_str(), row.epoch) {
            ("emitted", Some(epoch)) => Some(epoch),
            ("padding", None) => None,
            _ => continue,
        };
        *said.entry((phase, *source, key)).or_default() += row.tokens.unwrap_or(0);
    }
    let is_phase = |set: u32| usize::try_from(set).is_ok_and(|set| set < phases.len());
    let emitted = totals.emitted.iter().map(|(&(set, source, epoch), &tokens)| ((set, source, Some(epoch)), tokens));
    let padding = totals.padding.iter().map(|(&(set, source), &tokens)| ((set, source, None), tokens));
    let mut found: BTreeMap<(u32, u32, Option<u32>), u64> =
        emitted.chain(padding).filter(|((set, ..), _)| is_phase(*set)).collect();
    for key in said.keys() {
        found.entry(*key).or_default();
    }
    for ((phase, source, epoch), found) in found {
        let said = said.get(&(phase, source, epoch)).copied().unwrap_or(0);
        if found != said {
            let phase = usize::try_from(phase).ok().and_then(|phase| phases.get(phase)).copied().unwrap_or("");
            let source = usize::try_from(source).ok().and_then(|source| manifest.sources.get(source));
            let source = source.map_or("", |source| source.name.as_str());
            let what = epoch.map_or("padding".to_owned(), |epoch| format!("epoch {epoch}"));
            let message =
                format!("phase `{phase}`, source `{source}`, {what}: {said} tokens, but its windows hold {found}");
            findings.add(FILE, message);
        }
    }
}
