//! What the compiler survives: `cargo xtask faults`, `fuzz`, `large`, and `reliability`, which writes their results down.
//!
//! Each leaves its results as JSON in `target/reliability/`; the table in `docs/reliability.md` is made of those alone.

mod fuzz;
mod large;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use crate::testing::{cargo, succeed, target};

fn results(root: &Path) -> PathBuf {
    target(root).join("reliability")
}

fn record(root: &Path, name: &str, result: &Value) -> Result<()> {
    fs_err::create_dir_all(results(root))?;
    Ok(fs_err::write(results(root).join(format!("{name}.json")), result.to_string())?)
}

/// What of the integration tests bears on this, all of it rather than a sample. `modes` are those of the fault layer.
pub fn faults(root: &Path, modes: Option<&str>) -> Result<()> {
    let mut command = Command::new(cargo());
    command.args(["test", "--quiet", "-p", "syllabus", "--test", "cli", "--", "--nocapture", "faults::"]);
    match modes {
        Some(modes) => {
            command.env("SYLLABUS_FAULT_MODES", modes);
        }
        None => {
            command.arg("altered::");
        }
    }
    succeed(command.current_dir(root).env("SYLLABUS_FAULTS", "all").env("SYLLABUS_RESULTS", results(root)))
}

pub fn fuzz(root: &Path, seconds: u32, only: &[String]) -> Result<()> {
    fuzz::run(root, seconds, only)
}

pub fn large(root: &Path, only: &[String]) -> Result<()> {
    succeed(Command::new(cargo()).args(["build", "--quiet", "-p", "syllabus"]).current_dir(root))?;
    large::run(root, &target(root).join("debug/syllabus"), only)
}

/// Runs everything, unless the results that are there will do, and writes the table.
pub fn reliability(root: &Path, from_results: bool) -> Result<()> {
    if !from_results {
        if results(root).exists() {
            fs_err::remove_dir_all(results(root))?;
        }
        // What fails is in the results, and the table says it.
        for failed in [faults(root, None), fuzz(root, 60, &[]), large(root, &[])].into_iter().filter_map(Result::err) {
            eprintln!("xtask: {failed:#}");
        }
    }
    table::write(root, &results(root))
}
