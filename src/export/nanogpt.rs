//! nanoGPT: all phases in one `train.bin`, all held-out sets in one `val.bin`, headerless u16.

use super::part::Part;
use super::staging::{Piece, Staging};
use super::{Job, Wrote};
use crate::error::Result;

pub(super) fn export(job: &Job<'_>, staging: &mut Staging) -> Result<Wrote> {
    let width = u64::from(job.dataset.manifest().token_dtype.width_u8());
    let mut files = Vec::new();
    let (mut train, mut val) = (Vec::new(), Vec::new());
    for part in job.parts {
        let (pieces, name) = if part.held_out { (&mut val, "val.bin") } else { (&mut train, "train.bin") };
        pieces.extend(pieces_of(part, width)?);
        files.push(vec![name.to_owned()]);
    }
    staging.join("train.bin", &[], &train)?;
    let mut notes = vec![format!(
        "set `vocab_size` of the model to {} or more: nanoGPT takes 50,304 unless `meta.pkl` says otherwise",
        job.dataset.manifest().tokenizer.vocab_size
    )];
    if val.is_empty() {
        notes.push(
            "there are no held-out documents, so no `val.bin`, which nanoGPT's train.py wants: add `holdout`"
                .to_owned(),
        );
    } else {
        staging.join("val.bin", &[], &val)?;
    }
    Ok(Wrote { files, notes })
}

/// A part's tokens, without the padding at its end.
pub(super) fn pieces_of(part: &Part<'_>, width: u64) -> Result<Vec<Piece>> {
    let mut pieces: Vec<Piece> = part
        .shards()
        .filter(|(shard, _)| shard.windows > 0)
        .map(|(shard, _)| Piece { path: part.path(shard), start: 0, bytes: shard.bytes })
        .collect();
    if part.held_out
        && let Some(last) = pieces.last_mut()
    {
        last.bytes -= u64::from(part.padding_at_end()?) * width;
    }
    Ok(pieces)
}
