//! What was read, for people.
//!
//! `table` shows a dataset in a terminal. With the feature `report`, `model` is the mix report as data (`report.json`),
//! `gather` makes it from a dataset or a plan, and `page` draws it (`report.html`).

#[cfg(feature = "report")]
use std::path::Path;

#[cfg(feature = "report")]
use crate::error::{Error, Result};

#[cfg(feature = "report")]
mod diff;
#[cfg(feature = "report")]
mod gather;
#[cfg(feature = "report")]
mod markdown;
#[cfg(feature = "report")]
pub mod model;
#[cfg(feature = "report")]
mod page;
pub mod table;

#[cfg(feature = "report")]
pub use diff::diff;
#[cfg(feature = "report")]
pub use gather::{Inputs, MEMORY, of_dataset, of_plan};
#[cfg(feature = "report")]
pub use markdown::markdown;
#[cfg(feature = "report")]
pub use page::page;
pub use table::{Report, render, report};

/// Name of the model's file in a dataset.
#[cfg(feature = "report")]
pub const JSON_FILE: &str = "report.json";
/// Name of the page's file in a dataset.
#[cfg(feature = "report")]
pub const HTML_FILE: &str = "report.html";

/// Writes `report.json` and `report.html` into `dir`.
///
/// # Errors
///
/// What the disk says.
#[cfg(feature = "report")]
pub fn write(dir: &Path, report: &model::MixReport) -> Result<()> {
    let json = serde_json::to_string_pretty(report).map_err(|error| Error::Failed(format!("report.json: {error}")))?;
    crate::files::write_whole(&dir.join(JSON_FILE), (json + "\n").as_bytes())?;
    crate::files::write_whole(&dir.join(HTML_FILE), page(report)?.as_bytes())
}

/// How the compile of the dataset in `dir` went, if its own `report.json` is there and is about this digest.
#[cfg(feature = "report")]
#[must_use]
pub fn run_of(dir: &Path, digest: &str) -> Option<model::Run> {
    let text = fs_err::read_to_string(dir.join(JSON_FILE)).ok()?;
    let report: model::MixReport = serde_json::from_str(&text).ok()?;
    report.run.filter(|_| report.dataset_digest.as_deref() == Some(digest))
}
