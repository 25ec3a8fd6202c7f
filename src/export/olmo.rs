//! OLMo-core: raw tokens in files named `.npy` (which are not NumPy's format), and `start,end` of documents in `.csv.gz`.
//!
//! Instance i of a file is its tokens i S to (i + 1) S, so W must be S. Documents are the fragments: a window's last one may go
//! on elsewhere, and OLMo-core takes each instance's documents by scanning for the EOS anyway.

use std::io::Write;

use flate2::{Compression, GzBuilder};

use super::staging::Staging;
use super::{Job, Wrote};
use crate::error::Result;

/// The files in training order, one a line.
const PATHS: &str = "paths.txt";

pub(super) fn export(job: &Job<'_>, staging: &mut Staging) -> Result<Wrote> {
    let (mut files, mut paths) = (Vec::new(), String::new());
    let out = std::path::absolute(job.out)?;
    for part in job.parts {
        let mut of = Vec::new();
        for (number, (shard, windows)) in part.shards().enumerate() {
            if shard.windows == 0 {
                continue;
            }
            let name = format!("{}/part-{number:05}", part.folder);
            staging.link(&part.path(shard), &format!("{name}.npy"))?;
            staging.write(&format!("{name}.csv.gz"), |out| {
                // No name and no time: the same dataset gives the same bytes.
                let mut csv = GzBuilder::new().mtime(0).write(out, Compression::default());
                part.sequences(windows, &mut |sequence| {
                    if !sequence.padding {
                        writeln!(csv, "{},{}", sequence.start, sequence.start + u64::from(sequence.length))?;
                    }
                    Ok(())
                })?;
                csv.finish()?;
                Ok(())
            })?;
            if !part.held_out {
                paths.push_str(&format!("{}\n", out.join(format!("{name}.npy")).display()));
            }
            of.push(format!("{name}.npy"));
        }
        files.push(of);
    }
    staging.write(PATHS, |out| Ok(out.write_all(paths.as_bytes())?))?;
    Ok(Wrote { files, notes: Vec::new() })
}
