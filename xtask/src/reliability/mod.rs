//! What the compiler survives: `cargo xtask reliability` runs every part and makes `docs/reliability.md` of what they found.
//!
//! Each part leaves its [`Results`] as JSON in `<target>/reliability/NAME.json`. They are gathered in
//! `docs/reliability.json`, and the page is made of that file alone: nothing in it is typed by hand.

pub mod fuzz;
mod hostile;
pub mod large;
mod memory;
mod page;
mod supply;
mod tests;

pub use tests::golden;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::testing::{cargo, succeed, target};

/// What to run, and how much of it.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only these parts; the page keeps what is known of the others
    parts: Vec<String>,
    /// Few cases of each part: what CI has time for. Leaves docs/ alone
    #[arg(long)]
    quick: bool,
    /// Run nothing: make the page of the results that the last run left
    #[arg(long, conflicts_with_all = ["parts", "quick"])]
    from_results: bool,
    /// Run nothing: say whether docs/reliability.md is what docs/reliability.json makes
    #[arg(long, conflicts_with_all = ["parts", "quick", "from_results"])]
    check: bool,
}

/// What a part of the run found: the content of one JSON file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// The part, as [`PARTS`] names it. Several files may hold rows of one part.
    pub part: String,
    /// What was found; a row of the page each.
    #[serde(default)]
    pub rows: Vec<Row>,
    /// Why there are no rows, where something is missing on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
}

/// Cases of one class that came out alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What kind of attack it was: `kill`, `truncated`, `fuzz`.
    pub class: String,
    /// On what: `each of 512 file operations`, `a document of 2 GB`.
    pub what: String,
    /// What came of it, in words: `same bytes after a restart`, `refused: ...`.
    pub outcome: String,
    /// How many were tried.
    pub count: u64,
    /// How many of them did not come out as they must.
    #[serde(default)]
    pub failed: u64,
    /// The most memory that one of them took, where that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// A run: what its parts need to know.
pub struct Run<'a> {
    /// The repository.
    pub root: &'a Path,
    /// Few cases of each.
    pub quick: bool,
}

impl Run<'_> {
    /// Where the results go.
    pub fn results(&self) -> PathBuf {
        target(self.root).join("reliability")
    }

    /// Leaves results in `NAME.json`.
    pub fn record(&self, name: &str, results: &Results) -> Result<()> {
        fs_err::create_dir_all(self.results())?;
        let json = serde_json::to_string_pretty(results)?;
        Ok(fs_err::write(self.results().join(format!("{name}.json")), json)?)
    }

    /// Builds the `syllabus` binary of the profile `dev` (which has the fault layer) and says where it is.
    pub fn binary(&self) -> Result<PathBuf> {
        succeed(
            // With xtask named too, all is built with the features that it was built with: once.
            std::process::Command::new(cargo())
                .args(["build", "--quiet", "-p", "syllabus", "-p", "xtask"])
                .current_dir(self.root),
        )?;
        Ok(target(self.root).join("debug/syllabus"))
    }
}

/// A part of the run, and a section of the page.
pub struct Part {
    /// Its name on the command line and in its results.
    pub name: &'static str,
    /// The section's title.
    pub title: &'static str,
    /// What is done in it, in a sentence or two.
    pub about: &'static str,
    /// Runs it. What did not come out as it must is in the results, and an error too.
    pub run: fn(&Run<'_>) -> Result<()>,
}

/// All parts, in the order of the page.
const PARTS: &[Part] = &[
    tests::FAULTS,
    tests::RESTARTS,
    tests::ALTERED,
    hostile::PART,
    fuzz::PART,
    large::PART,
    tests::GOLDEN,
    memory::MEMORY,
    supply::SUPPLY,
];

/// Runs what is asked for and makes the page.
pub fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    if arguments.check {
        return page::check(root);
    }
    let run = Run { root, quick: arguments.quick };
    if arguments.from_results {
        return page::write(root, gather(&run)?);
    }
    for name in &arguments.parts {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        ensure!(names.contains(&name.as_str()), "there is no part `{name}`, but {}", names.join(", "));
    }
    if run.results().exists() {
        fs_err::remove_dir_all(run.results())?;
    }
    let mut failures = Vec::new();
    for part in PARTS {
        if arguments.parts.is_empty() || arguments.parts.iter().any(|name| name == part.name) {
            eprintln!("xtask: reliability: {}", part.name);
            failures.extend((part.run)(&run).err().map(|error| format!("{}: {error:#}", part.name)));
        }
    }
    let results = gather(&run)?;
    failures.extend(results.iter().flat_map(|of| &of.rows).filter(|row| row.failed > 0).map(|row| {
        format!("{}, {}: {} of {} did not come out as they must", row.class, row.what, row.failed, row.count)
    }));
    // What fails is in the results, and the page says it.
    if !run.quick {
        page::write(root, results)?;
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// The results that the parts left, in the order of the parts and of the files' names.
fn gather(run: &Run<'_>) -> Result<Vec<Results>> {
    let mut files: Vec<PathBuf> = fs_err::read_dir(run.results())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut gathered: Vec<Results> = Vec::new();
    for path in files {
        let results: Results = serde_json::from_str(&fs_err::read_to_string(&path)?)
            .with_context(|| format!("{} holds no results", path.display()))?;
        ensure!(
            PARTS.iter().any(|part| part.name == results.part),
            "{}: there is no part `{}`",
            path.display(),
            results.part
        );
        match gathered.iter_mut().find(|of| of.part == results.part) {
            Some(of) => {
                of.rows.extend(results.rows);
                of.not_run = of.not_run.take().or(results.not_run);
            }
            None => gathered.push(results),
        }
    }
    gathered.sort_by_key(|of| PARTS.iter().position(|part| part.name == of.part));
    Ok(gathered)
}
