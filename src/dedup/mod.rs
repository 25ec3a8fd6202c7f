//! Which documents stay.

pub mod exact;
pub mod holdout;
pub mod near;
pub mod removed;
pub mod words;
