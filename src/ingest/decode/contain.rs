//! Panics of the decoding crates on damaged files, turned into errors.
//!
//! The Parquet crate slices pages by numbers that it takes from them, and some damaged files make it panic rather than
//! return an error (changing single bytes of small files shows it: `tests::hostile`). What can be checked before is checked
//! before; what is left is caught here, around the call that decodes and nothing else. The decoder is given up after it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::panic_text;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the current thread is within a call whose panics become errors: a panic hook has nothing to say then.
#[must_use]
pub fn panic_is_contained() -> bool {
    CONTAINED.with(Cell::get)
}

/// Runs `decode`; `Err` says that it panicked, and of what.
pub(super) fn contain<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    let before = CONTAINED.with(|contained| contained.replace(true));
    // What `decode` works on is dropped by the caller when this fails, so nothing half-changed is seen again.
    let result = catch_unwind(AssertUnwindSafe(decode));
    CONTAINED.with(|contained| contained.set(before));
    result.map_err(|payload| format!("the file is damaged: {}", panic_text(&*payload)))
}
