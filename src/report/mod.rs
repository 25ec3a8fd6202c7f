//! What was read, for people.

pub mod table;

pub use table::{Report, render, report};
