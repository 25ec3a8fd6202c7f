//! `syllabus report`.

use syllabus_reader::format::manifest::Manifest;

use super::args::Report;
use crate::error::Result;
use crate::ledger;
use crate::plan::{self, SourceSize};
use crate::report;
use crate::{curriculum, mix};

/// Shows planned and realised mix, and where the documents went.
pub fn run(args: &Report) -> Result<()> {
    let manifest = Manifest::read(&args.dir)?;
    let rows = ledger::read(&args.dir.join("ledger.parquet"))?;
    let planned = planned(&manifest)?;
    let report = report::report(&manifest, &rows, Some(&planned));
    if args.json { super::print_json(&report) } else { super::print(&report::render(&report)) }
}

/// The plan that the dataset was compiled from, made again from its own curriculum and counted sizes.
fn planned(manifest: &Manifest) -> Result<plan::Plan> {
    let curriculum = curriculum::parse(&manifest.curriculum, "the dataset's curriculum", false)?;
    let sizes: Vec<SourceSize> =
        manifest.sources.iter().map(|source| SourceSize::counted(source.tokens, source.documents)).collect();
    let scale = mix::ratio(&manifest.scale)
        .ok_or_else(|| crate::Error::Verification(format!("manifest.json: scale `{}` is no number", manifest.scale)))?;
    plan::draft(&curriculum, &sizes, &scale, manifest.token_dtype.width())
}
