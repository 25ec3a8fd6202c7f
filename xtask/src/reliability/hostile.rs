//! Inputs that are wrong in one way each, through the real binary.

use std::process::Command;

use super::{Part, tests};
use crate::testing::{cargo, succeed};

/// The part of the page.
pub const PART: Part = Part {
    name: "hostile",
    title: "Hostile input",
    about: "Curricula, sources and tokenizers that are wrong in one way each: an error that names the file and the place \
            in it, with the exit code of its kind, or a row that is counted; no panic, no silence, no dataset made of it.",
    run: |run| {
        tests::suite(run, "hostile::")?;
        // The decoders' own tests of damaged files stand beside the decoders.
        let decoders =
            ["test", "--quiet", "-p", "syllabus", "-p", "xtask", "--lib", "ingest::decode::tests::hostile::"];
        succeed(Command::new(cargo()).args(decoders).current_dir(run.root).env("SYLLABUS_RESULTS", run.results()))
    },
};
