//! Tests of the whole: they run the `syllabus` binary as a person would, in fresh folders, on the fixtures.
//!
//! One binary holds them all, so that the compiler and what it stands on are linked once.

mod fixtures;
mod harness;
mod rows;
