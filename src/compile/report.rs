//! The last thing before the manifest: `report.json` and `report.html`. They are about the dataset and no part of it.

use std::sync::atomic::Ordering;

use syllabus_reader::format::manifest::Manifest;

use super::Options;
use super::progress::{Progress, Stage, Timed};
use crate::error::Result;
use crate::ingest::Watch;
use crate::report::model::{Run, StageTime};
use crate::report::{self, Inputs};

/// Makes the report of what was written and puts it beside; at most `memory` bytes are used, less if less will do.
pub fn write(manifest: &Manifest, options: &Options, watch: &Watch, progress: &Timed<'_>, memory: u64) -> Result<()> {
    progress.begin(Stage::Report, None);
    let stages = progress.stages().into_iter();
    let shards = || manifest.phases.iter().flat_map(|phase| &phase.shards);
    let run = Run {
        seconds: progress.seconds(),
        stages: stages.map(|(stage, seconds)| StageTime { stage: stage.name().to_owned(), seconds }).collect(),
        threads: options.threads as u64,
        memory_bytes: options.memory,
        documents: watch.documents.load(Ordering::Relaxed),
        bytes: watch.bytes.load(Ordering::Relaxed),
        windows: shards().map(|shard| shard.windows).sum(),
        written_bytes: shards().map(|shard| shard.bytes).sum(),
    };
    let memory = (memory / 2).min(report::MEMORY);
    let found = report::of_dataset(Inputs { dir: &options.out, manifest, verification: None, run: Some(run), memory })?;
    report::write(&options.out, &found)?;
    progress.end();
    Ok(())
}
