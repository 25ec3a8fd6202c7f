//! Megatron-core's IndexedDataset (Megatron-LM, NeMo, Megatron-DeepSpeed, GPT-NeoX): `.bin` and `.idx`, a prefix a shard.
//!
//! The shards are in that form already. Padding is a sequence of its own in a shard's `.idx`; here it is left out of the index,
//! so that it is not trained on: offsets are absolute, and what no sequence points at is never read.

use std::io::Write;

use syllabus_reader::format::{TokenDtype, beside, idx};

use super::part::{Part, Sequence};
use super::staging::Staging;
use super::{Job, Wrote};
use crate::error::{Error, Result};

/// What `--data-args-path` reads: a weight and a prefix for each shard.
const DATA_PATH: &str = "data-path.txt";

pub(super) fn export(job: &Job<'_>, staging: &mut Staging) -> Result<Wrote> {
    let dtype = job.dataset.manifest().token_dtype;
    let out = std::path::absolute(job.out)?;
    let (mut files, mut prefixes) = (Vec::new(), String::new());
    for part in job.parts {
        let mut of = Vec::new();
        for (number, (shard, windows)) in part.shards().enumerate() {
            if shard.windows == 0 {
                continue;
            }
            let prefix = format!("{}/{number:05}", part.folder);
            let bin = part.path(shard);
            staging.link(&bin, &format!("{prefix}.bin"))?;
            let mut padded = false;
            let (mut count, mut tokens) = (0, 0);
            part.sequences(windows.clone(), &mut |sequence| {
                padded = padded || sequence.padding;
                count += u64::from(!sequence.padding);
                tokens += if sequence.padding { 0 } else { u64::from(sequence.length) };
                Ok(())
            })?;
            let index = format!("{prefix}.idx");
            if padded {
                staging.write(&index, |out| without_padding(out, part, windows, count, dtype))?;
            } else {
                staging.link(&beside(&bin, "idx"), &index)?;
            }
            if !part.held_out {
                prefixes.push_str(&format!("{tokens} {}\n", out.join(&prefix).display()));
            }
            of.push(format!("{prefix}.bin"));
        }
        files.push(of);
    }
    staging.write(DATA_PATH, |out| Ok(out.write_all(prefixes.as_bytes())?))?;
    let note =
        format!("train with `--data-args-path {}`: each shard weighs what it holds", out.join(DATA_PATH).display());
    Ok(Wrote { files, notes: vec![note] })
}

fn without_padding(
    out: &mut dyn Write,
    part: &Part<'_>,
    windows: std::ops::Range<u64>,
    count: u64,
    dtype: TokenDtype,
) -> Result<()> {
    idx::write::<Error>(out, dtype, count, &mut |visit| {
        part.sequences(windows.clone(), &mut |sequence| match sequence {
            Sequence { padding: true, .. } => Ok(()),
            Sequence { start, length, .. } => visit(start, length),
        })
    })
}
