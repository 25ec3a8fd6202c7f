//! Which documents stay.

pub mod evidence;
pub mod exact;
pub mod holdout;
pub mod near;
pub mod removed;
mod sort;
pub mod words;
