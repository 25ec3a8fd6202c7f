//! What can be wrong with a dataset on disk.

use std::path::PathBuf;

/// The reader's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can be wrong with a dataset on disk. Each names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file is not what the manifest says: missing bytes, another digest, fields that contradict each other.
    #[error("{}: {message}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The dataset was written by a newer version.
    #[error("{}: format version {found} is newer than {supported}, the newest that this version reads; update syllabus-reader", file.display())]
    TooNew {
        /// The manifest.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that this crate reads.
        supported: u32,
    },
    /// The dataset does not keep the contract that the caller asked for.
    #[error("contract: {0}")]
    Contract(String),
    /// A window, phase or rank that does not exist.
    #[error("{0}")]
    OutOfRange(String),
}
