//! The C library of Syllabus, over `syllabus-reader`.
//!
//! `include/syllabus.h` is made from this crate's sources by cbindgen; the comments here are the header's, so they speak C. What
//! Rust adds: every function catches panics, checks every pointer and number that it is given, and keeps whatever a handle points
//! to alive by reference counts. Numbers that C passes (flags, choices) are plain integers and are checked: a Rust `bool` or
//! `enum` with another bit pattern would be undefined.

mod argument;
mod batch;
mod dataset;
mod error;
mod loader;
mod memory;
mod options;
mod schedule;
mod window;

use std::ffi::c_char;

/// Number of this interface. It changes whenever a struct or a function of this header changes; compare it with
/// `syllabus_abi()` when the library is loaded at run time.
pub const SYLLABUS_ABI: u32 = 1;

/// The interface of the library that is linked: `SYLLABUS_ABI` of its header.
#[unsafe(no_mangle)]
pub extern "C" fn syllabus_abi() -> u32 {
    SYLLABUS_ABI
}

/// The version of the library, as "0.1.0". Static.
#[unsafe(no_mangle)]
pub extern "C" fn syllabus_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
