//! `syllabus clean`.

use super::args::Clean;
use crate::compile::work_folder;
use crate::error::{Error, Result};
use crate::plan::number;
use crate::store;

/// Removes the work folder, unless a compile is using it, or it is not one.
pub fn run(args: &Clean) -> Result<()> {
    let work = work_folder(&args.dir);
    if !work.try_exists()? {
        super::say(&format!("{}: nothing to clean", args.dir.display()));
        return Ok(());
    }
    if !work.join("journal").try_exists()? {
        return Err(Error::Failed(format!("{}: is not a work folder (it has no journal); left alone", work.display())));
    }
    let lock = store::lock(&work)?;
    let bytes = store::size_on_disk(&work)?;
    crate::files::remove_folder(&work)?;
    drop(lock);
    super::say(&format!("removed {} ({})", work.display(), number::bytes(bytes.into())));
    Ok(())
}
