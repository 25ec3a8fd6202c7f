//! Which documents stay.

pub mod exact;
pub mod holdout;
pub mod removed;
