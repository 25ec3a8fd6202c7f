//! An allocator that takes a single large allocation for a finding, whether or not its pages are ever touched.

use std::alloc::{GlobalAlloc, Layout, System};

/// The most that one allocation may ask for. What the readers are told to hold at once is far below.
const MOST: usize = 256 << 20;

/// The system's allocator with a bound.
pub struct Bounded;

fn check(bytes: usize) {
    if bytes > MOST {
        eprintln!("one allocation of {bytes} bytes\n{}", std::backtrace::Backtrace::force_capture());
        std::process::abort();
    }
}

// SAFETY: all is the system allocator's; the check returns or ends the process.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller's promises are those that the system allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        check(bytes);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, bytes) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
