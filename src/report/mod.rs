//! What was read, for people.

pub mod table;

pub use table::{LedgerRow, Report, render, report};
