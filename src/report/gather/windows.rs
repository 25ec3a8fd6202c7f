//! One pass over all windows in training order: counts by run of windows, drift, fragments, and how documents come back.

use std::path::Path;

use syllabus_reader::format::beside;
use syllabus_reader::format::manifest::Manifest;
use syllabus_reader::format::windows::WindowsFile;

use super::buckets::Counted;
use super::drift::{BLOCK, Meter};
use super::frames::Running;
use super::near_by::{Most, NearBy};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::report::model::{Bin, SourceDrift};

/// Runs of windows that a chart is made of, at most, beside one more for each phase.
const BINS: u64 = 240;
/// Runs below which a run is shorter than a block.
const FEW: u64 = 24;

/// What the pass found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) phases: Vec<WalkedPhase>,
    pub(super) bins: Vec<Bin>,
    /// Fragments of a window, by source.
    pub(super) fragments: Vec<Counted>,
    /// Of each source.
    pub(super) most: Vec<Option<Most>>,
}

/// A phase as it lies in the shards.
#[derive(Debug, Default)]
pub(super) struct WalkedPhase {
    /// Windows of each source.
    pub(super) windows: Vec<u64>,
    /// Padding of each source.
    pub(super) padding: Vec<u64>,
    /// Drift of each source, where the phase is planned; and the windows of a span.
    pub(super) drift: Option<(Vec<SourceDrift>, u64)>,
}

/// The window table of a shard, of which a row batch at a time is in memory, and the manifest's index of each source in its dictionary.
pub(super) fn open(dir: &Path, file: &str, names: &[String]) -> Result<(WindowsFile, Vec<u32>)> {
    let path = beside(&dir.join(file), "arrow");
    let rows = WindowsFile::open(&path)?;
    let index = |name: &String| {
        let place = names.iter().position(|known| known == name).and_then(|index| u32::try_from(index).ok());
        place.ok_or_else(|| Error::Verification(format!("{}: source `{name}` is not in the manifest", path.display())))
    };
    let sources = rows.sources().iter().map(index).collect::<Result<Vec<u32>>>()?;
    Ok((rows, sources))
}

/// Windows of a run in a phase: whole blocks, or fewer where there are few windows.
fn run_windows(phase: u64, all: u64) -> u64 {
    let unit = if all >= BLOCK * FEW {
        BLOCK
    } else if all >= 64 * FEW {
        64
    } else {
        all.div_ceil(FEW).max(1)
    };
    // As many runs for a phase as its part of all windows deserves.
    let runs = (u128::from(BINS) * u128::from(phase) / u128::from(all.max(1))).max(1);
    let blocks = u128::from(phase.div_ceil(unit)).div_ceil(runs).max(1);
    u64::try_from(blocks).unwrap_or(u64::MAX).saturating_mul(unit)
}

/// Fragments of all windows of the dataset in `dir`, as its files count them.
pub(super) fn fragments(dir: &Path, manifest: &Manifest, names: &[String]) -> Result<u64> {
    let shards = manifest.phases.iter().flat_map(|phase| &phase.shards);
    let each = shards.map(|shard| open(dir, &shard.file, names).map(|(rows, _)| rows.fragments()));
    each.sum()
}

/// Walks all phases of the dataset in `dir`; `plan` is what drift is measured against.
pub(super) fn walk(dir: &Path, manifest: &Manifest, names: &[String], plan: &Plan) -> Result<Walked> {
    let all: u64 = manifest.phases.iter().map(|phase| phase.windows).sum();
    let mut sums = Running::new(&["phase", "run", "source"], &["windows", "padding"]);
    let mut fragments = Running::new(&["source", "fragments"], &["windows"]);
    let mut near_by = NearBy::new(names.len());
    let mut walked = Walked::default();
    let mut first_window = 0;
    for (number, phase) in (0_u64..).zip(&manifest.phases) {
        let planned = plan.phases.iter().find(|planned| planned.name == phase.name);
        let mut meter = planned.map(|planned| Meter::new(&planned.shares, phase.windows));
        let run = run_windows(phase.windows, all);
        let mut position = 0;
        for shard in &phase.shards {
            let (mut rows, sources) = open(dir, &shard.file, names)?;
            for row in 0..rows.rows() {
                let row = rows.row(row)?;
                let source = sources.get(row.source as usize).copied().unwrap_or(u32::MAX);
                sums.push(&[number, position / run, source.into(), 1, row.padding.into()])?;
                fragments.push(&[source.into(), row.fragments.len() as u64, 1])?;
                if let Some(meter) = &mut meter {
                    meter.push(source);
                }
                near_by.push(source, row.fragments.map(|fragment| fragment.document.into()));
                position += 1;
            }
        }
        let blank = || vec![0; names.len()];
        let drift = meter.map(|meter| {
            let span = meter.span;
            (meter.finish(), span)
        });
        walked.phases.push(WalkedPhase { windows: blank(), padding: blank(), drift });
        for bin in 0..position.div_ceil(run) {
            walked.bins.push(Bin {
                phase: number,
                first_window: first_window + bin * run,
                windows: run.min(position - bin * run),
                sources: blank(),
            });
        }
        first_window += position;
    }
    fill(&mut walked, &sums.finish()?)?;
    walked.fragments = vec![Counted::new(); names.len()];
    for row in fragments.finish()? {
        if let [source, count, windows] = row[..]
            && let Some(of) = usize::try_from(source).ok().and_then(|source| walked.fragments.get_mut(source))
        {
            of.insert(count, windows);
        }
    }
    walked.most = near_by.finish();
    Ok(walked)
}

/// Puts sums by phase, run and source where they belong.
fn fill(walked: &mut Walked, sums: &[Vec<u64>]) -> Result<()> {
    let lost = || Error::Failed("the report lost count of a run of windows".to_owned());
    let mut first_bins = Vec::new();
    for (index, bin) in walked.bins.iter().enumerate() {
        if first_bins.len() as u64 <= bin.phase {
            first_bins.resize(usize::try_from(bin.phase).map_err(|_| lost())? + 1, index);
        }
    }
    for row in sums {
        let [phase, run, source, windows, padding] = row[..] else { return Err(lost()) };
        let place = |number: u64| usize::try_from(number).map_err(|_| lost());
        let (phase, source) = (place(phase)?, place(source)?);
        let bin = first_bins.get(phase).ok_or_else(lost)? + place(run)?;
        let of = walked.phases.get_mut(phase).ok_or_else(lost)?;
        *of.windows.get_mut(source).ok_or_else(lost)? += windows;
        *of.padding.get_mut(source).ok_or_else(lost)? += padding;
        let bin = walked.bins.get_mut(bin).ok_or_else(lost)?;
        *bin.sources.get_mut(source).ok_or_else(lost)? += windows;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_whole_blocks_where_there_are_many() {
        for (phase, all) in [(1, 1), (1000, 3000), (500_000, 1_000_000), (244_140_625, 854_492_188), (7, 2_000_000)] {
            let run = run_windows(phase, all);
            assert!(run > 0 && phase.div_ceil(run) <= BINS * phase / all + 1, "{phase} of {all}: {run}");
            assert!(all < BLOCK * FEW || run.is_multiple_of(BLOCK));
        }
        assert_eq!(run_windows(2051, 2051), 64);
    }
}
