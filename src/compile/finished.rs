//! Whether OUT holds the finished dataset of this very request.
//!
//! The work folder's `finished` names the request that OUT was last finished for. It is removed before anything in OUT is
//! touched and written after the manifest, so it is never there for a dataset that is not whole.

use std::path::{Path, PathBuf};

use syllabus_reader::Dataset;
use syllabus_reader::format::manifest::Manifest;

use super::progress::{Progress, Stage};
use crate::emit::written;
use crate::error::Result;
use crate::files;

fn marker(work: &Path) -> PathBuf {
    work.join("finished")
}

/// The manifest of a finished dataset of this request, its files' presence and sizes checked.
pub fn check(out: &Path, work: &Path, request: &str, progress: &dyn Progress) -> Result<Option<Manifest>> {
    let marker = marker(work);
    if !Manifest::path(out).try_exists()? || !marker.try_exists()? || fs_err::read_to_string(&marker)?.trim() != request
    {
        return Ok(None);
    }
    progress.begin(Stage::Verify, None);
    let checked = Dataset::open(out);
    progress.end();
    match checked {
        Ok(_) => Ok(Some(Manifest::read(out)?)),
        Err(error) => {
            progress.warn(&format!("the finished dataset is damaged and is made again: {error}"));
            Ok(None)
        }
    }
}

/// OUT is about to change: from here until the end it is no dataset. Shards of the one that was there go, but for those that
/// are `wanted`.
pub fn begin(out: &Path, work: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
    // Neither may come back after a loss of power, beside shards of another compile.
    remove_if_there(&marker(work))?;
    files::sync_folder(work)?;
    let Ok(old) = Manifest::read(out) else { return remove_if_there(&Manifest::path(out)) };
    remove_if_there(&Manifest::path(out))?;
    files::sync_folder(out)?;
    let shards = old.phases.iter().flat_map(|p| &p.shards).chain(old.validation.iter().flat_map(|v| &v.shards));
    for shard in shards.filter(|shard| !wanted(&shard.file)) {
        written::remove(out, &shard.file)?;
    }
    for name in ["ledger.parquet", "removed.parquet", "report.html", "report.json"] {
        remove_if_there(&out.join(name))?;
    }
    Ok(())
}

/// OUT is whole.
pub fn end(work: &Path, request: &str) -> Result<()> {
    files::write_whole(&marker(work), format!("{request}\n").as_bytes())
}

fn remove_if_there(path: &Path) -> Result<()> {
    match files::remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
