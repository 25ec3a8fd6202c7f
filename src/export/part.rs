//! What is exported: the dataset's phases and held-out sets, and their sequences (fragments and padding) in order.

use std::path::PathBuf;

use syllabus_reader::format::manifest::Shard;
use syllabus_reader::{Dataset, WindowSet};

use crate::error::Result;

/// A phase or a held-out set.
pub(super) struct Part<'a> {
    /// Its name in the dataset.
    pub(super) name: String,
    /// Its folder in an export. Phases are numbered, so that paths in order are the training order.
    pub(super) folder: String,
    pub(super) held_out: bool,
    pub(super) set: &'a WindowSet,
    pub(super) shards: &'a [Shard],
    dataset: &'a Dataset,
}

/// Phases in training order, then held-out sets.
pub(super) fn parts(dataset: &Dataset) -> Vec<Part<'_>> {
    let manifest = dataset.manifest();
    let digits = manifest.phases.len().saturating_sub(1).to_string().len();
    let phases = dataset.phases().iter().zip(&manifest.phases).enumerate().map(|(i, (set, phase))| Part {
        name: phase.name.clone(),
        folder: format!("train/{i:0digits$}-{}", phase.name),
        held_out: false,
        set,
        shards: &phase.shards,
        dataset,
    });
    let held_out = dataset.validation().iter().zip(&manifest.validation).map(|(set, summary)| Part {
        name: summary.path(),
        folder: format!("held_out/{}", summary.path()),
        held_out: true,
        set,
        shards: &summary.shards,
        dataset,
    });
    phases.chain(held_out).collect()
}

/// A run of tokens that belong together: a fragment, or the padding at a window's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    /// First token, counted over the windows walked.
    pub(super) start: u64,
    /// Tokens.
    pub(super) length: u32,
    pub(super) padding: bool,
    /// Whether its window begins with it, and ends with it.
    pub(super) first: bool,
    pub(super) last: bool,
}

impl Part<'_> {
    /// The `.bin` of a shard.
    pub(super) fn path(&self, shard: &Shard) -> PathBuf {
        self.dataset.dir().join(&shard.file)
    }

    /// Whether a window has padding.
    pub(super) fn is_padded(&self) -> Result<bool> {
        for i in 0..self.set.len() {
            if self.set.row(i)?.padding > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Padding at its very end, in tokens.
    pub(super) fn padding_at_end(&self) -> Result<u32> {
        self.set.len().checked_sub(1).map_or(Ok(0), |last| Ok(self.set.row(last)?.padding))
    }

    /// Its tokens, padding counted.
    pub(super) fn tokens(&self) -> u64 {
        self.set.len() * u64::from(self.set.window_tokens())
    }

    /// Hands the sequences of windows `range` to `f`, in order; tokens count from the range's first window.
    pub(super) fn sequences(
        &self,
        range: std::ops::Range<u64>,
        f: &mut dyn FnMut(Sequence) -> Result<()>,
    ) -> Result<()> {
        let mut start = 0;
        for i in range {
            let row = self.set.row(i)?;
            let count = row.fragments.len();
            for (number, fragment) in row.fragments.enumerate() {
                let (length, last) = (fragment.length, number + 1 == count && row.padding == 0);
                f(Sequence { start, length, padding: false, first: number == 0, last })?;
                start += u64::from(length);
            }
            if row.padding > 0 {
                f(Sequence { start, length: row.padding, padding: true, first: count == 0, last: true })?;
                start += u64::from(row.padding);
            }
        }
        Ok(())
    }

    /// Each shard with the range of the set's windows in it.
    pub(super) fn shards(&self) -> impl Iterator<Item = (&Shard, std::ops::Range<u64>)> {
        let mut first = 0;
        self.shards.iter().map(move |shard| {
            let range = first..first + shard.windows;
            first = range.end;
            (shard, range)
        })
    }
}
