//! The on-disk format of Syllabus datasets and the memory-mapped reader that trainers link.

mod error;
pub mod format;
mod map;

pub use error::{Error, Result};
