//! Syllabus compiles a training curriculum into token shards.
//!
//! One folder a stage, in the order of the data: [`curriculum`] → [`plan`] → [`ingest`] (with [`tokenize`]) → [`dedup`] →
//! [`store`] → [`mix`] → [`emit`] → [`ledger`] → [`report`]; [`preview`] looks ahead, [`verify`] proves what came out, [`inspect`] shows it,
//! and [`cli`] is the command line.

pub mod cli;
pub mod compile;
pub mod curriculum;
pub mod dedup;
pub mod emit;
pub mod error;
pub mod export;
pub mod files;
pub mod ingest;
pub mod inspect;
pub mod ledger;
pub mod mix;
pub mod plan;
mod prefetch;
pub mod preview;
pub mod report;
pub mod sample;
pub mod store;
pub mod tokenize;
pub mod verify;

pub use error::{Error, Result};
