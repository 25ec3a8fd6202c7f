//! `syllabus diff`.

use std::path::Path;

use syllabus_reader::format::manifest::Manifest;

use super::args::Diff;
use crate::error::Result;
use crate::report::{self, model::MixReport};

/// Shows what changed from one curriculum or dataset to another.
pub fn run(args: &Diff) -> Result<()> {
    let data = args.data.as_deref();
    super::print(&report::diff(&of(&args.a, data)?, &of(&args.b, data)?))
}

/// A folder is a dataset, a file a curriculum.
fn of(path: &Path, data: Option<&Path>) -> Result<MixReport> {
    if path.is_dir() {
        super::report::gathered(path, &Manifest::read(path)?)
    } else {
        super::plan::report_of(path, data)
    }
}
