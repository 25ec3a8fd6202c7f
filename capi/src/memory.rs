//! Memory that the caller provides for batches, and texts that the library hands over.

use std::ffi::{CString, c_char, c_void};

use syllabus_reader::loader::Memory as Block;

/// Memory for batches, made by the caller: pinned for a GPU, say.
///
/// `allocate` gives at least `bytes` bytes that begin at a multiple of 64, or NULL when there is no more; it is called only on a
/// thread that is within `syllabus_loader_next()`. `release` gets back what `allocate` gave, once; it is called on whichever
/// thread frees a batch or the loader. Both must not throw, jump out, or call into the loader. `context` is handed to both and
/// must live until the loader and all its batches are freed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Handed to both functions.
    pub(crate) context: *mut c_void,
    /// Makes a block.
    pub(crate) allocate: Option<unsafe extern "C" fn(context: *mut c_void, bytes: usize) -> *mut c_void>,
    /// Takes a block back.
    pub(crate) release: Option<unsafe extern "C" fn(context: *mut c_void, block: *mut c_void, bytes: usize)>,
    /// A block that came back rests until so many more batches were handed out, for whoever copies from it asynchronously.
    pub(crate) rest: u64,
}

type Release = unsafe extern "C" fn(context: *mut c_void, block: *mut c_void, bytes: usize);
type Allocate = unsafe extern "C" fn(context: *mut c_void, bytes: usize) -> *mut c_void;

/// The caller's functions, both there.
#[derive(Clone, Copy)]
pub(crate) struct Provider {
    pub(crate) context: *mut c_void,
    pub(crate) allocate: Allocate,
    pub(crate) release: Release,
}

// SAFETY: the header asks that the functions may be called with `context` on any thread.
unsafe impl Send for Provider {}
// SAFETY: as above.
unsafe impl Sync for Provider {}

struct Provided {
    of: Provider,
    pointer: *mut u8,
    bytes: usize,
}

// SAFETY: it owns its block as a vector does; `release` may be called on any thread.
unsafe impl Send for Provided {}
// SAFETY: as above.
unsafe impl Sync for Provided {}

impl Drop for Provided {
    fn drop(&mut self) {
        // SAFETY: the block came from `allocate` and is given back once.
        unsafe { (self.of.release)(self.of.context, self.pointer.cast(), self.bytes) };
    }
}

// SAFETY: `block` checked the alignment; the caller's word is that the bytes are its own until `release`.
unsafe impl Block for Provided {
    fn pointer(&self) -> *mut u8 {
        self.pointer
    }

    fn length(&self) -> usize {
        self.bytes
    }
}

impl Provider {
    pub(crate) fn block(self, bytes: usize) -> syllabus_reader::Result<Box<dyn Block>> {
        let bytes = bytes.max(1);
        // SAFETY: the header says how it is called.
        let pointer = unsafe { (self.allocate)(self.context, bytes) }.cast::<u8>();
        if pointer.is_null() {
            let error = std::io::Error::new(std::io::ErrorKind::OutOfMemory, "`allocate` gave NULL");
            return Err(syllabus_reader::Error::Io(error));
        }
        let block = Provided { of: self, pointer, bytes };
        if !pointer.addr().is_multiple_of(64) {
            let message = "`allocate` gave a block that does not begin at a multiple of 64";
            return Err(syllabus_reader::Error::OutOfRange(message.to_owned()));
        }
        // Arrays are slices of initialised values from the first on.
        // SAFETY: the block has so many bytes.
        unsafe { pointer.write_bytes(0, bytes) };
        Ok(Box::new(block))
    }
}

/// Frees a text that a function of this library handed over; NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: the header asks for a text of this library, which came from `CString::into_raw`.
        drop(unsafe { CString::from_raw(text) });
    }
}
