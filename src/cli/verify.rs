//! `syllabus verify`.

use super::args::Verify;
use crate::error::Result;
use crate::plan::number;
use crate::verify;

/// Lists everything that is off, and fails with the first.
pub fn run(args: &Verify) -> Result<()> {
    let report = verify::run(&args.dir, args.quick, &|_| {})?;
    if args.json {
        super::print_json(&report)?;
    } else {
        for finding in &report.findings {
            super::print(&format!("{}: {}", finding.file, finding.message))?;
        }
        for line in &report.not_checked {
            super::print(&format!("not checked: {line}"))?;
        }
        if report.findings.is_empty() {
            let how = if report.quick { "quick check, no token was read" } else { "every byte hashed and counted" };
            super::print(&format!(
                "{}: ok ({how}): {} shards, {} windows, {} tokens, {} fragments\ndigest {}",
                args.dir.display(),
                number::count(report.shards),
                number::count(report.windows),
                number::tokens(report.tokens),
                number::count(report.fragments),
                report.dataset_digest
            ))?;
        }
    }
    report.error().map_or(Ok(()), Err)
}
