//! The curriculum file: raw (as YAML says it) → checked (as it must mean) → resolved (as the disk has it).

mod check;
pub mod checked;
pub mod diagnostics;
pub mod expect;
mod files;
pub mod filter;
mod load;
mod names;
pub mod raw;
pub mod resolved;
mod schema;
pub mod units;
pub mod yaml;

pub use checked::Curriculum;
pub use load::{Loaded, load, parse};
pub use resolved::Resolved;
pub use schema::{schema, schema_text};

#[cfg(test)]
mod tests;
