//! Memory that Python reads without a copy, through the buffer protocol.

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use pyo3::exceptions::PyOverflowError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Bytes of something that lives as long as this does. An array made of it keeps it alive.
#[pyclass(frozen)]
pub(crate) struct Memory {
    pointer: NonNull<u8>,
    length: usize,
    writable: bool,
    /// What the bytes belong to.
    _owner: Box<dyn Any + Send + Sync>,
}

// SAFETY: the bytes belong to `_owner`, which may be shared and sent; who writes to writable memory from several threads has the
// races that any array in Python has.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// # Safety
    /// `length` bytes from `pointer` are initialised and stay where they are for as long as `owner` lives; unless `writable`,
    /// nobody writes to them; if it is, they may be written to.
    pub(crate) unsafe fn new(
        pointer: NonNull<u8>,
        length: usize,
        writable: bool,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Self {
        Self { pointer, length, writable, _owner: owner }
    }

    /// Values of its own, to read and write.
    pub(crate) fn writable<T: Copy + Send + Sync + 'static>(values: Vec<T>) -> Self {
        let length = std::mem::size_of_val(values.as_slice());
        let pointer = values.as_ptr().cast_mut().cast::<u8>();
        let pointer = NonNull::new(pointer).unwrap_or(NonNull::dangling());
        // SAFETY: a vector's memory stays where it is when the vector is moved, and nobody else reads or writes it.
        unsafe { Self::new(pointer, length, true, Box::new(values)) }
    }
}

#[pymethods]
impl Memory {
    fn __len__(&self) -> usize {
        self.length
    }

    /// # Safety
    /// Python calls it, with a view to fill in.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let memory = slf.get();
        let length = ffi::Py_ssize_t::try_from(memory.length);
        let length = length.map_err(|_| PyOverflowError::new_err("more bytes than Python can count"))?;
        let pointer = memory.pointer.as_ptr().cast::<c_void>();
        // SAFETY: Python's own routine; the view takes a reference to `slf`, whose owner keeps the bytes. It says no where a
        // writable view of read-only memory is wanted.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), pointer, length, c_int::from(!memory.writable), flags)
        };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}
