//! `syllabus report`.

use syllabus_reader::format::manifest::Manifest;

use super::args::Report;
use crate::error::Result;
use crate::ledger;
use crate::plan::{self, SourceSize};
use crate::report;
use crate::{curriculum, mix};

/// Shows planned and realised mix, and where the documents went: in a terminal, as a page, as JSON or as Markdown.
pub fn run(args: &Report) -> Result<()> {
    let manifest = Manifest::read(&args.dir)?;
    #[cfg(feature = "report")]
    if args.json || args.markdown || args.html.is_some() {
        let found = gathered(&args.dir, &manifest)?;
        return match &args.html {
            Some(file) => Ok(crate::files::write_whole(file, report::page(&found)?.as_bytes())?),
            None if args.json => super::print_json(&found),
            None => super::print(&report::markdown(&found)),
        };
    }
    let rows = ledger::read(&args.dir.join("ledger.parquet"))?;
    let planned = planned(&manifest)?;
    let report = report::report(&manifest, &rows, Some(&planned));
    super::print(&report::render(&report))
}

/// The mix report of a dataset, after a quick verification.
#[cfg(feature = "report")]
pub fn gathered(dir: &std::path::Path, manifest: &Manifest) -> Result<report::model::MixReport> {
    const SHOWN: usize = 20;
    let verified = crate::verify::run(dir, true, &|_| {})?;
    let findings = verified.findings.iter().map(|finding| format!("{}: {}", finding.file, finding.message));
    let verification = report::model::Verification {
        quick: verified.quick,
        findings: findings.take(SHOWN).collect(),
        found: verified.findings.len() as u64,
    };
    report::of_dataset(report::Inputs {
        dir,
        manifest,
        verification: Some(verification),
        run: report::run_of(dir, &manifest.dataset_digest),
        memory: report::MEMORY,
    })
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
