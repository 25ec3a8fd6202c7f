//! Tests of the whole: they run the `syllabus` binary as a person would, in fresh folders, on the fixtures.
//!
//! One binary holds them all, so that the compiler and what it stands on are linked once.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test says what it looked at, and what it could not")]

mod altered;
mod export;
mod faults;
mod fixtures;
mod golden;
mod harness;
mod hostile;
mod ledger;
mod near;
mod output;
mod phases;
mod properties;
mod purity;
mod python;
mod readback;
mod readme;
mod realdata;
mod report;
mod restarts;
mod resume;
mod rows;
mod seeds;
mod tokenized;
