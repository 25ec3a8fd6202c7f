//! Pointers and texts as C hands them over: checked before they are followed.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;

use crate::error::{Failure, Result};

fn check<T>(pointer: *const T, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(Failure::argument(format!("`{name}` is NULL")));
    }
    if !pointer.is_aligned() {
        return Err(Failure::argument(format!("`{name}` is not aligned: it is not what its type says")));
    }
    Ok(())
}

/// What a pointer that must not be NULL points to.
///
/// # Safety
/// It is NULL or points to a live `T` that nobody changes during the call.
pub(crate) unsafe fn get<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    check(pointer, name)?;
    // SAFETY: neither NULL nor unaligned; the rest is the caller's word.
    Ok(unsafe { &*pointer })
}

/// What a pointer that may be NULL points to.
///
/// # Safety
/// As [`get`].
pub(crate) unsafe fn optional<'a, T>(pointer: *const T, name: &str) -> Result<Option<&'a T>> {
    // SAFETY: the caller's word.
    if pointer.is_null() { Ok(None) } else { unsafe { get(pointer, name) }.map(Some) }
}

/// `count` values; none when `count` is 0, whatever the pointer.
///
/// # Safety
/// The pointer is NULL or points to so many values that nobody changes during the call.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    check(pointer, name)?;
    if count.checked_mul(size_of::<T>()).is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return Err(Failure::argument(format!("`{name}`: {count} values do not fit memory")));
    }
    // SAFETY: neither NULL, unaligned nor too long; the rest is the caller's word.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// A place for a result. Nothing is written before [`Out::put`].
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// The pointer is NULL or may be written to.
    pub(crate) unsafe fn new(pointer: *mut T, name: &str) -> Result<Self> {
        check(pointer, name)?;
        Ok(Self(pointer))
    }

    pub(crate) fn put(self, value: T) {
        // SAFETY: checked in `new`; the old value is plain data, or not initialised, and not dropped.
        unsafe { self.0.write(value) };
    }
}

impl<T> Out<*mut T> {
    /// A place for a handle: NULL until the call succeeds.
    ///
    /// # Safety
    /// As [`Out::new`].
    pub(crate) unsafe fn handle(pointer: *mut *mut T, name: &str) -> Result<Self> {
        // SAFETY: the caller's word.
        let out = unsafe { Self::new(pointer, name) }?;
        // SAFETY: as in `put`.
        unsafe { out.0.write(std::ptr::null_mut()) };
        Ok(out)
    }

    pub(crate) fn put_box(self, value: T) {
        self.put(Box::into_raw(Box::new(value)));
    }
}

/// Frees a handle; NULL is nothing to free.
///
/// # Safety
/// NULL, or a handle of this library that was not freed and is not in use.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    let _caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        if !pointer.is_null() && pointer.is_aligned() {
            // SAFETY: it came from `put_box`; the rest is the caller's word.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }));
}

/// A text that must be UTF-8.
///
/// # Safety
/// NULL, or a string that ends with NUL.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    check(pointer, name)?;
    // SAFETY: not NULL; the rest is the caller's word.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Failure::argument(format!("`{name}` is not UTF-8: {}", text.to_string_lossy())))
}

/// A text that must be UTF-8, or NULL for none.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional_text<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>> {
    // SAFETY: the caller's word.
    if pointer.is_null() { Ok(None) } else { unsafe { text(pointer, name) }.map(Some) }
}

/// A path: any bytes on Unix, where paths are bytes; UTF-8 elsewhere.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn path(pointer: *const c_char, name: &str) -> Result<PathBuf> {
    check(pointer, name)?;
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        // SAFETY: not NULL; the rest is the caller's word.
        let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
        Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
    }
    #[cfg(not(unix))]
    {
        // SAFETY: the caller's word.
        Ok(PathBuf::from(unsafe { text(pointer, name) }?))
    }
}
