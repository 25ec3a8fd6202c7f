//! The binary's allocator, as far as the command line steers it.
//!
//! An allocator that keeps what is freed for a while spares the system the handing back and forth, a fifth of a compile's
//! time; but under a tight ceiling it must not. Nor may the kernel hand out 2 MiB where a page of 4 KiB was touched: that comes
//! to a quarter more memory, and to more the longer a compile goes on.

use std::sync::OnceLock;

/// What the binary's allocator can do. (A library does not choose the allocator; the binary does.)
#[derive(Debug, Clone, Copy)]
pub struct Allocator {
    /// Whether what is freed is given back to the system at once.
    pub eager: fn(bool),
}

static ALLOCATOR: OnceLock<Allocator> = OnceLock::new();

/// Below this, free memory goes back at once.
const TIGHT: u64 = 1 << 30;

pub fn set(allocator: Allocator) {
    // There is one binary, and it sets its allocator once.
    let _first = ALLOCATOR.set(allocator);
}

/// A ceiling was asked for.
pub fn limit(bytes: u64) {
    let tight = bytes < TIGHT;
    if let Some(allocator) = ALLOCATOR.get() {
        (allocator.eager)(tight);
    }
    if tight {
        small_pages();
    }
}

/// Asks the kernel for small pages only. Where it cannot, memory is as it was.
fn small_pages() {
    #[cfg(target_os = "linux")]
    let _refused = rustix::thread::disable_transparent_huge_pages(true);
}
