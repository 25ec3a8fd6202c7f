//! Source files to judged, tokenized documents in segments.
//!
//! Work is cut into units (a run of Parquet row groups, a compressed file). A worker opens a unit, draws batches of raw rows
//! from it, and judges and tokenizes each row while it is hot in cache; when no unopened unit is left, workers draw from each
//! other's. Only the drawing (read, decompress, cut) is under a unit's lock. Nothing that is written depends on who did
//! what: segments are sorted by key, and what lies in which segment means nothing.

pub mod condition;
pub mod decode;
pub mod template;
