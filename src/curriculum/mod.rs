//! The curriculum file: raw (as YAML says it) → checked (as it must mean) → resolved (as the disk has it).

pub mod checked;
pub mod expect;
pub mod filter;
pub mod resolved;

pub use checked::Curriculum;
pub use resolved::Resolved;
