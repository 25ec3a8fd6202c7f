//! The store: committed segments of tokenized documents, and the journal that says which count.

pub mod documents;
pub mod fates;
pub mod journal;
pub mod segment;
