//! Panics of the decoding crates on damaged files, turned into errors.
//!
//! The Parquet crate slices pages by numbers that it takes from them, and some damaged files make it panic rather than
//! return an error (changing single bytes of small files shows it: `tests::hostile`). What can be checked before is checked
//! before; what is left is caught here, around the call that decodes and nothing else. The decoder is given up after it.

use crate::error;

/// Runs `decode`; `Err` says that it panicked, and of what.
pub(super) fn contain<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    error::contain(decode).map_err(|what| format!("the file is damaged: {what}"))
}
