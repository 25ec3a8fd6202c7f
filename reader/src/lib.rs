//! The on-disk format of Syllabus datasets, and the reader that trainers link.
//!
//! A dataset is a folder: a manifest, and shards of tokens in training order. The reader maps shards into memory and hands out
//! *windows*: W tokens of one source, borrowed from the map, with the documents that they come from.
//!
//! ```no_run
//! use syllabus_reader::{BatchOptions, BatchSize, Buffers, Dataset, FillOptions};
//!
//! # fn main() -> syllabus_reader::Result<()> {
//! let dataset = Dataset::open("out")?;
//!
//! // One window: tokens, source, documents.
//! let window = dataset.window(0)?;
//! println!("{} tokens of {} in phase {}", window.tokens.len(), window.source, window.phase);
//! for fragment in window.fragments {
//!     println!("{:?}: {} tokens from {}", fragment.document, fragment.length, fragment.offset);
//! }
//!
//! // Rank 1 of 2, four windows a global batch, from window 0 (or from where the last run stopped).
//! let options = BatchOptions { size: BatchSize::Constant(4), rank: 1, world: 2, start: 0 };
//! for batch in dataset.batches(options)? {
//!     let s = batch.set().sequence_length() as usize;
//!     let (mut inputs, mut labels) = (vec![0_i64; batch.len() * s], vec![0_i64; batch.len() * s]);
//!     let mut borders = Vec::new();
//!     let mut buffers = Buffers {
//!         input_ids: Some(&mut inputs[..]),
//!         labels: Some(&mut labels),
//!         cu_seqlens: Some(&mut borders),
//!         ..Buffers::default()
//!     };
//!     batch.fill(&mut buffers, &FillOptions::default())?;
//!     // … train …; a checkpoint needs `batch.end()` and no more.
//! }
//! # Ok(())
//! # }
//! ```
//!
//! For a training run, [`loader`] fills such batches ahead by threads, knows steps and phases, and gives a state to resume from.
//!
//! # What it costs
//!
//! [`Dataset::open`] reads the manifest and asks for the size of every shard: O(shards), no index is built, nothing is mapped.
//! A shard is mapped when its first window is asked for; from then on a window costs a few additions and the pages it touches.
//! Memory is one small record for each 4,096 windows touched. A batch is a pure function of (dataset, first window), so a run
//! resumes anywhere at once, with any number of ranks.
//!
//! # What it checks
//!
//! At open: the manifest's checksum, its digests against its own fields, the sizes of all shards, and whatever the caller relies
//! on ([`OpenOptions`]). At the first touch of a shard: its size again, the `.arrow`'s columns, and on request the digests. At
//! each window: that its row points into its file. In [`Batch::fill`]: that fragments tile the window, and that no id is above
//! the manifest's largest. On demand ([`Dataset::verify_all`]): every byte. What is wrong is an [`Error`] that names the file.
//!
//! The pages of a window are brought in by a call that can fail, so a `.bin` that was cut since it was mapped is an error at its
//! next window and no fault (Linux 5.14 or newer). A slice that was handed out before must not be read once its file is cut, nor
//! an `.arrow` be cut while it is in use; Syllabus never changes a shard once it has its name.
//!
//! # The format
//!
//! [`format`] defines each file once, for the compiler that writes it and for this reader; `docs/format.md` has it byte by byte.

#[cfg(test)]
extern crate self as syllabus_reader;

mod batches;
mod copy;
mod dataset;
mod error;
mod fill;
pub mod format;
mod lanes;
pub mod loader;
mod map;
mod once;
mod read;
mod set;
mod shard;
#[cfg(test)]
mod tests;

pub use batches::{Batch, BatchOptions, BatchSize, Batches};
pub use dataset::{Dataset, OpenOptions};
pub use error::{Error, Result};
pub use fill::{Buffers, FillOptions, Filled, Id};
pub use set::{Window, WindowSet};
pub use shard::hash_file;
