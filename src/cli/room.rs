//! What to say when a disk is full.

use std::path::Path;

use crate::compile::Options;
use crate::curriculum::Loaded;
use crate::dedup::near::NearOptions;
use crate::error::{Error, Result};
use crate::plan::number;
use crate::plan::predict::{Conditions, predict};
use crate::{plan, sample, store};

/// The error of a full disk, with how much more the compile will want, where that can be known.
pub fn explain(error: &std::io::Error, loaded: &Loaded, options: &Options) -> Error {
    let work = options.work.clone().unwrap_or_else(|| crate::compile::work_folder(&options.out));
    let free = |path: &Path| rustix::fs::statvfs(path).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).ok();
    let mut parts = vec![format!("the disk is full: {error}")];
    match needs(loaded, options) {
        Ok((scratch, output)) => {
            let there = |path: &Path| store::size_on_disk(path).unwrap_or(0);
            // A work folder in OUT is no part of the dataset.
            let inside = if work.starts_with(&options.out) { there(&work) } else { 0 };
            let output_left = output.saturating_sub(there(&options.out).saturating_sub(inside));
            let scratch_left = scratch.saturating_sub(there(&work));
            for (what, path, left) in
                [("the work folder", &work, scratch_left), ("the dataset", &options.out, output_left)]
            {
                let free = free(path).map_or_else(String::new, |free| {
                    format!(", and {} has {} free", path.display(), number::bytes(free.into()))
                });
                parts.push(format!("{what} takes up to {} more{free}", number::bytes(left.into())));
            }
        }
        // The disk's error comes first; this one is about the prediction alone.
        Err(why) => parts.push(format!("how much is missing cannot be told ({why})")),
    }
    parts.push("free space and run the same command again: it goes on from what is committed".to_owned());
    Error::Failed(parts.join("; "))
}

/// Bytes of scratch and of output, as `syllabus plan` predicts them.
fn needs(loaded: &Loaded, options: &Options) -> Result<(u64, u64)> {
    let curriculum = &loaded.curriculum;
    let resolved = loaded.resolve(options.data.as_deref())?;
    let sampled = sample::sample(&resolved, options.threads, crate::compile::sampling_limits(options.memory))?;
    let dtype = sampled.contract.dtype;
    let plan = plan::draft(curriculum, &sampled.sizes, &options.scale, dtype.width())?;
    let conditions = Conditions {
        dtype,
        volumes: sampled.volumes,
        tokenizer_bytes: 0,
        threads: options.threads as u64,
        encoder_bytes: sampled.encoder_bytes,
        ingest_rate: None,
        emit_rate: None,
        near: curriculum.dedup.near.as_ref().map(NearOptions::new).transpose()?,
    };
    let prediction = predict(&plan, &conditions);
    Ok((prediction.scratch_bytes, prediction.output_bytes()))
}
