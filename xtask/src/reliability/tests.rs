//! Parts that are integration tests, run on all their cases rather than on a sample.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Part, Run};
use crate::testing::{cargo, succeed};

pub const FAULTS: Part = Part {
    name: "faults",
    title: "Faults at file operations",
    about: "A compile of small sources, with every kind of removal and both packings, an export for each trainer, a report and \
            the cleaning of a work folder meet a fault at one of their file operations; then the same command runs again \
            without it and must end with the same bytes: shards, ledger and report, the export, the page, or no work folder.",
    run: |run| suite(run, "faults::"),
};

pub const RESTARTS: Part = Part {
    name: "restarts",
    title: "Kills, full disks, second processes",
    about: "The binary itself is killed, starved and crowded; what is there after that goes on to the same bytes.",
    run: |run| suite(run, "restarts::"),
};

pub const ALTERED: Part = Part {
    name: "altered",
    title: "Altered datasets",
    about: "Every byte of a small dataset's files flipped in turn, and each file cut at every byte; then it is opened and \
            verified. Tokens and windows are hashed by content, so some bytes of Arrow's framing mean nothing.",
    run: |run| suite(run, "altered::"),
};

pub const GOLDEN: Part = Part {
    name: "golden",
    title: "Datasets of every format version",
    about: "What a version once wrote (`fixtures/golden/`) is read by this one; a newer version is refused.",
    run: |run| suite(run, "golden::"),
};

/// Writes the golden datasets of the current format version; the test that does it refuses to write over any.
pub fn golden(root: &Path) -> Result<()> {
    let write = ["test", "--quiet", "-p", "syllabus", "--test", "cli", "--", "--ignored", "--exact", "golden::write"];
    succeed(Command::new(cargo()).args(write).current_dir(root))
}

/// Runs the integration tests of one module; they leave their results themselves.
pub(super) fn suite(run: &Run<'_>, module: &str) -> Result<()> {
    // The tests would build it too, and say less of what went wrong.
    run.binary()?;
    let mut command = Command::new(cargo());
    // With xtask named too, all is built with the features that it was built with: once.
    command.args(["test", "--quiet", "-p", "syllabus", "-p", "xtask", "--test", "cli", "--", "--nocapture", module]);
    if !run.quick {
        command.env("SYLLABUS_FAULTS", "all");
    }
    // Syncs cost nothing in memory, and a thousand compiles do little else.
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        command.env("TMPDIR", memory);
    }
    succeed(command.current_dir(run.root).env("SYLLABUS_RESULTS", run.results()))
}
