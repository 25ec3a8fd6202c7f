//! Megatron's GPTDataset, unmodified, replaying the curriculum's order: one prefix, and the three arrays of its cache.
//!
//! The index's sequences are the fragments (padding its own) in training order. `document_index` counts them; `sample_index` has
//! two rows for window k, (its first sequence, 0) and (its last sequence, that one's length - 1), so that a sample is those W
//! tokens and no others; `shuffle_index[k]` is 2k. `replay.py` gives the arrays the names under which Megatron looks for them,
//! which depend on how it is started.

use std::io::Write;

use syllabus_reader::format::idx;

use super::npy;
use super::part::{Part, Sequence};
use super::staging::{Piece, Staging};
use super::{Job, Wrote};
use crate::error::{Error, Result};

/// Puts the arrays where Megatron looks for them.
const REPLAY: &str = include_str!("megatron_replay.py");

pub(super) fn export(job: &Job<'_>, staging: &mut Staging) -> Result<Wrote> {
    staging.write("replay.py", |out| Ok(out.write_all(REPLAY.as_bytes())?))?;
    let mut files = Vec::new();
    let trained: Vec<&Part<'_>> = job.parts.iter().filter(|part| !part.held_out).collect();
    let runs: Vec<&[&Part<'_>]> = trained.chunk_by(|a, b| a.set.sequence_length() == b.set.sequence_length()).collect();
    for (number, run) in runs.iter().enumerate() {
        let prefix = match (runs.len(), run.first()) {
            (2.., Some(first)) => format!("train-{number}-{}", first.set.sequence_length()),
            _ => "train".to_owned(),
        };
        prefix_of(job, run, &prefix, staging)?;
        files.extend(run.iter().map(|_| vec![format!("{prefix}.bin")]));
    }
    for part in job.parts.iter().filter(|part| part.held_out) {
        prefix_of(job, &[part], &part.folder, staging)?;
        files.push(vec![format!("{}.bin", part.folder)]);
    }
    let note = "call `install` of replay.py before Megatron builds its datasets (docs/trainers.md)".to_owned();
    Ok(Wrote { files, notes: vec![note] })
}

/// One prefix: tokens, index and arrays of consecutive parts of one W.
fn prefix_of(job: &Job<'_>, parts: &[&Part<'_>], prefix: &str, staging: &mut Staging) -> Result<()> {
    let dtype = job.dataset.manifest().token_dtype;
    let all = |f: &mut dyn FnMut(Sequence) -> Result<()>| -> Result<()> {
        let mut before = 0;
        for part in parts {
            part.sequences(0..part.set.len(), &mut |sequence| {
                f(Sequence { start: before + sequence.start, ..sequence })
            })?;
            before += part.tokens();
        }
        Ok(())
    };
    let mut count = 0_u64;
    all(&mut |_| {
        count += 1;
        Ok(())
    })?;
    let windows: u64 = parts.iter().map(|part| part.set.len()).sum();
    let documents = i32::try_from(count).map_err(|_| Error::Infeasible {
        rendered: String::new(),
        summary: format!(
            "`{prefix}` has {count} fragments, and Megatron numbers them with 31 bits: compile phases into datasets of their own \
             (`--phase NAME`) and export each"
        ),
    })?;
    let mut pieces: Vec<Piece> = Vec::new();
    for part in parts {
        // Of a held-out set too the padding is kept: its last window is a whole sample.
        let whole = part.shards().filter(|(shard, _)| shard.windows > 0);
        pieces.extend(whole.map(|(shard, _)| Piece { path: part.path(shard), start: 0, bytes: shard.bytes }));
    }
    staging.join(&format!("{prefix}.bin"), &[], &pieces)?;
    staging.write(&format!("{prefix}.idx"), |out| {
        idx::write::<Error>(out, dtype, count, &mut |visit| all(&mut |sequence| visit(sequence.start, sequence.length)))
    })?;
    staging.write(&format!("{prefix}-document_index.npy"), |out| {
        npy::header(out, "<i4", &[count])?;
        for document in 0..documents {
            out.write_all(&document.to_le_bytes())?;
        }
        Ok(())
    })?;
    staging.write(&format!("{prefix}-sample_index.npy"), |out| {
        npy::header(out, "<i4", &[windows * 2, 2])?;
        let mut number = 0_i32;
        all(&mut |sequence| {
            let last = i32::try_from(sequence.length)
                .map_err(|_| Error::Failed(format!("a fragment of {} tokens is too long", sequence.length)))?
                - 1;
            for offset in [sequence.first.then_some(0), sequence.last.then_some(last)].into_iter().flatten() {
                out.write_all(&number.to_le_bytes())?;
                out.write_all(&offset.to_le_bytes())?;
            }
            number += 1;
            Ok(())
        })
    })?;
    staging.write(&format!("{prefix}-shuffle_index.npy"), |out| {
        npy::header(out, "<u4", &[windows])?;
        for window in 0..windows {
            let row = u32::try_from(window * 2).map_err(|_| Error::Failed("too many windows".to_owned()))?;
            out.write_all(&row.to_le_bytes())?;
        }
        Ok(())
    })
}
