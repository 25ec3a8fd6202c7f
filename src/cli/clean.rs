//! `syllabus clean`.

use std::path::Path;

use super::args::Clean;
use crate::compile::work_folder;
use crate::error::{Error, Result};
use crate::plan::number;
use crate::{files, store};

/// Removes the work folder, unless a compile is using it, or it is not one.
pub fn run(args: &Clean) -> Result<()> {
    let work = work_folder(&args.dir);
    if !work.try_exists()? {
        super::say(&format!("{}: nothing to clean", args.dir.display()));
        return Ok(());
    }
    if !is_work_folder(&work)? {
        return Err(Error::Failed(format!("{}: is not a work folder (it has no journal); left alone", work.display())));
    }
    let lock = store::lock(&work)?;
    let bytes = store::size_on_disk(&work)?;
    // The journal last: what says that this is a work folder must not go while there is something else in it.
    for entry in fs_err::read_dir(&work)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Some("journal" | "lock") => {}
            _ if entry.file_type()?.is_dir() => files::remove_folder(&entry.path())?,
            _ => files::remove(&entry.path())?,
        }
    }
    files::remove_folder(&work)?;
    drop(lock);
    super::say(&format!("removed {} ({})", work.display(), number::bytes(bytes.into())));
    Ok(())
}

/// Whether it has a journal, or nothing else that could be lost: then a `clean` was stopped here.
fn is_work_folder(folder: &Path) -> Result<bool> {
    if folder.join("journal").try_exists()? {
        return Ok(true);
    }
    for entry in fs_err::read_dir(folder)? {
        if entry?.file_name() != "lock" {
            return Ok(false);
        }
    }
    Ok(true)
}
