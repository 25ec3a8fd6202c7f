//! Proof that a dataset is what it says: everything that its files claim is recomputed from its tokens and fragments.
//!
//! - `manifest`: the manifest's fields against each other and against its own digests.
//! - `shard`: each shard's three files against their digests and against each other, window by window; ids, BOS, padding.
//! - `coverage`: over all windows, no token of a document is read twice in an epoch and none is missing in a finished one.
//! - `ledger`: the ledger's equations, and its figures against the windows; `removed.parquet` against the ledger.
//! - `expect`: the curriculum's `expect` lines, judged anew.
//! - `shares`: budgets to the window, and each source within one window of its share at every block border.

mod coverage;
mod expect;
mod findings;
mod ledger;
mod manifest;
pub(crate) mod removed;
mod shard;
mod shares;
#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::Serialize;
use syllabus_reader::Dataset;
use syllabus_reader::format::manifest::{Manifest, Shard};

use crate::curriculum;
use crate::error::{Error, Result};
pub use findings::Finding;
use findings::Findings;
use shard::Totals;

/// How much is checked, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Read no tokens and no rows: only the manifest, sizes, headers and the ledger.
    pub quick: bool,
    /// Bytes for the table of fragments. When they do not fit, the fragments are read in several passes.
    pub memory: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { quick: false, memory: 512 << 20 }
    }
}

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// `shards` (bytes of `.bin`), then `documents` (windows, over all passes), then `shares` (windows).
    pub stage: &'static str,
    /// Done so far.
    pub done: u64,
    /// Out of.
    pub total: u64,
}

/// What was checked and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Everything that is off, sorted by file. Empty: the dataset is what it says.
    pub findings: Vec<Finding>,
    /// Whether only the quick checks were made.
    pub quick: bool,
    /// The dataset's digest, as the manifest says it.
    pub dataset_digest: String,
    /// Shards looked at.
    pub shards: u64,
    /// Windows read.
    pub windows: u64,
    /// Tokens read.
    pub tokens: u64,
    /// Fragments followed.
    pub fragments: u64,
    /// Different documents met in windows, per source and held-out set.
    pub documents: u64,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
}

impl VerifyReport {
    /// The error for a caller that wants one: `None` when nothing was found.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        let first = self.findings.first()?;
        let more = match self.findings.len() - 1 {
            0 => String::new(),
            1 => " (and 1 more finding)".to_owned(),
            n => format!(" (and {n} more findings)"),
        };
        Some(Error::Verification(format!("{}: {}{more}", first.file, first.message)))
    }
}

/// A phase or held-out set, as its manifest describes it.
pub(crate) struct Set<'a> {
    /// Its place among all sets: phases first.
    index: u32,
    name: String,
    held_out: bool,
    window_tokens: u32,
    shards: &'a [Shard],
}

fn sets(manifest: &Manifest) -> Vec<Set<'_>> {
    let phases =
        manifest.phases.iter().map(|phase| (phase.name.clone(), false, phase.window_tokens, phase.shards.as_slice()));
    let held_out = manifest.validation.iter().map(|set| (set.path(), true, set.window_tokens, set.shards.as_slice()));
    (0..)
        .zip(phases.chain(held_out))
        .map(|(index, (name, held_out, window_tokens, shards))| Set { index, name, held_out, window_tokens, shards })
        .collect()
}

/// Checks the dataset in `dir` with [`Options::default`], but for `quick`.
///
/// # Errors
/// As [`run_with`].
pub fn run(dir: &Path, quick: bool, progress: &(dyn Fn(Progress) + Sync)) -> Result<VerifyReport> {
    run_with(dir, &Options { quick, ..Options::default() }, progress)
}

/// Checks the dataset in `dir`. What is off is in the report's findings, not an error.
///
/// # Errors
/// When there is no manifest in `dir`, or it was written by a newer version: then there is nothing that could be checked.
pub fn run_with(dir: &Path, options: &Options, progress: &(dyn Fn(Progress) + Sync)) -> Result<VerifyReport> {
    let findings = Findings::default();
    let manifest = match Manifest::read(dir) {
        Ok(manifest) => manifest,
        Err(syllabus_reader::Error::Corrupt { message, .. }) => {
            findings.add("manifest.json", message);
            let not_checked = vec!["everything else: the manifest cannot be trusted".to_owned()];
            let findings = findings.into_sorted();
            return Ok(VerifyReport { findings, quick: options.quick, not_checked, ..VerifyReport::default() });
        }
        Err(error) => return Err(error.into()),
    };
    let mut report = VerifyReport {
        quick: options.quick,
        dataset_digest: manifest.dataset_digest.clone(),
        ..VerifyReport::default()
    };
    manifest::check(&manifest, &findings);
    manifest::check_strays(dir, &manifest, &findings)?;
    let sets = sets(&manifest);
    let (totals, whole) = check_shards(dir, &manifest, &sets, options.quick, &findings, progress);
    report.shards = sets.iter().map(|set| u64::try_from(set.shards.len()).unwrap_or(u64::MAX)).sum();
    let ledger = ledger::read(dir, &manifest, &findings);
    let curriculum = match curriculum::parse(&manifest.curriculum, "the curriculum in manifest.json", false) {
        Ok(curriculum) => Some(curriculum),
        Err(error) => {
            report.not_checked.push(format!("`expect` lines: the curriculum in the manifest is not readable: {error}"));
            None
        }
    };
    if let Some(curriculum) = &curriculum {
        // Windows as counted, where they were; as claimed, where not all could be.
        let counted = whole && !options.quick;
        let windows = if counted { totals.windows.clone() } else { expect::claimed(&manifest) };
        expect::check(&manifest, curriculum, &windows, &findings);
    }
    let plan = curriculum.as_ref().and_then(|curriculum| match shares::plan(&manifest, curriculum) {
        Ok(plan) => Some(plan),
        Err(why) => {
            report
                .not_checked
                .push(format!("shares: the curriculum cannot be planned on what the manifest says: {why}"));
            None
        }
    });
    if let Some(plan) = &plan {
        shares::check_counts(&manifest, plan, &findings);
    }
    if options.quick {
        report.not_checked.push("tokens, fragments and digests of shards (--quick)".to_owned());
    } else {
        report.windows = totals.windows.values().sum();
        report.tokens = totals.tokens;
        report.fragments = totals.fragments;
        manifest::check_windows(&manifest, &totals, whole, &findings);
        if let Some(ledger) = &ledger {
            ledger::check_windows(&manifest, ledger, &totals, whole, &findings);
        }
        match Dataset::open(dir) {
            Ok(dataset) if whole => {
                let (ledger, curriculum) = (ledger.as_ref(), curriculum.as_ref());
                let job = coverage::Job { dataset: &dataset, sets: &sets, ledger, curriculum, totals: &totals };
                report.documents = job.check(options.memory, &findings, progress);
                if let Some(plan) = &plan {
                    shares::check_borders(&dataset, plan, &findings, progress);
                }
            }
            _ => report
                .not_checked
                .push("whether documents are read whole and once, and shares: some shards cannot be read".to_owned()),
        }
    }
    report.findings = findings.into_sorted();
    Ok(report)
}

/// Checks every shard, several at once; gives what they hold, and whether all could be read whole.
fn check_shards(
    dir: &Path,
    manifest: &Manifest,
    sets: &[Set<'_>],
    quick: bool,
    findings: &Findings,
    progress: &(dyn Fn(Progress) + Sync),
) -> (Totals, bool) {
    let jobs: Vec<(&Set<'_>, &Shard)> =
        sets.iter().flat_map(|set| set.shards.iter().map(move |shard| (set, shard))).collect();
    let total = jobs.iter().fold(0_u64, |sum, (_, shard)| sum.saturating_add(shard.bytes));
    let done = AtomicU64::new(0);
    let sources = manifest.sources.iter().map(|source| source.name.clone()).collect::<Arc<[String]>>();
    jobs.par_iter()
        .map(|(set, entry)| {
            let job = shard::Job { dir, manifest, set, shard: entry, sources: &sources, findings };
            let mut totals = Totals::default();
            let whole = if quick { job.check_headers() } else { job.check(&mut totals) };
            let done = done.fetch_add(entry.bytes, Ordering::Relaxed).saturating_add(entry.bytes);
            progress(Progress { stage: "shards", done, total });
            (totals, whole)
        })
        .reduce(|| (Totals::default(), true), |a, b| (a.0.merge(b.0), a.1 && b.1))
}
