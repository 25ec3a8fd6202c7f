//! datatrove and nanotron: `.ds` (raw tokens), `.ds.index` (where documents end), `.ds.metadata` (three lines of text).

use std::io::Write;

use super::staging::Staging;
use super::{Job, Wrote};
use crate::error::Result;
use crate::plan::number;

pub(super) fn export(job: &Job<'_>, staging: &mut Staging) -> Result<Wrote> {
    let manifest = job.dataset.manifest();
    let mut files = Vec::new();
    for part in job.parts {
        let mut of = Vec::new();
        for (number, (shard, windows)) in part.shards().enumerate() {
            if shard.windows == 0 {
                continue;
            }
            let name = format!("{}/{number:05}.ds", part.folder);
            staging.link(&part.path(shard), &name)?;
            staging.write(&format!("{name}.index"), |out| {
                part.sequences(windows, &mut |sequence| {
                    let end = sequence.start + u64::from(sequence.length);
                    Ok(out.write_all(&end.to_le_bytes())?)
                })
            })?;
            let tokens = shard.windows * u64::from(part.set.window_tokens());
            staging.write(&format!("{name}.metadata"), |out| {
                let (tokenizer, width) = (&manifest.tokenizer.name, manifest.token_dtype.width());
                // Three lines, so the name must not break one.
                let tokenizer = tokenizer.replace(['\n', '\r', '|'], " ");
                Ok(write!(out, "{tokenizer}|{width}\n{tokens}\n{}", number::tokens(tokens))?)
            })?;
            of.push(name);
        }
        files.push(of);
    }
    Ok(Wrote { files, notes: Vec::new() })
}
