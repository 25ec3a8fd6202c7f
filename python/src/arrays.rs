//! NumPy arrays over memory that something else keeps.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use numpy::npyffi::{NPY_ARRAY_CARRAY_RO, NPY_ARRAY_WRITEABLE, NpyTypes, get_type_object, npy_intp};
use numpy::{Element, PY_ARRAY_API, PyArrayDescrMethods, dtype};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

/// Bytes of at most two dimensions, row after row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) pointer: NonNull<u8>,
    /// Values in each dimension; one dimension when the second is `None`.
    pub(crate) shape: (usize, Option<usize>),
    pub(crate) writable: bool,
}

/// An array of `T` over `bytes`, which keeps `owner`.
///
/// # Safety
/// `bytes` has as many values of `T` as its shape says, aligned and initialised, and they stay where they are for as long as
/// `owner` lives. Unless it is writable nobody writes to them; if it is, only who has the array does.
pub(crate) unsafe fn view<'py, T: Element>(bytes: Bytes, owner: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = owner.py();
    let size =
        |n: usize| npy_intp::try_from(n).map_err(|_| PyOverflowError::new_err("more values than NumPy can count"));
    let (rows, width) = bytes.shape;
    let mut shape = [size(rows)?, width.map_or(Ok(0), size)?];
    let dimensions: c_int = if width.is_some() { 2 } else { 1 };
    let flags = if bytes.writable { NPY_ARRAY_CARRAY_RO | NPY_ARRAY_WRITEABLE } else { NPY_ARRAY_CARRAY_RO };
    // SAFETY: NumPy's own routine, with the GIL. It takes the reference to the type of the values, reads as many dimensions as it
    // is told of, and keeps the pointer, which the caller vouches for.
    let array = unsafe {
        PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            get_type_object(py, NpyTypes::PyArray_Type),
            dtype::<T>(py).into_dtype_ptr(),
            dimensions,
            shape.as_mut_ptr(),
            std::ptr::null_mut(),
            bytes.pointer.as_ptr().cast::<c_void>(),
            flags,
            std::ptr::null_mut(),
        )
    };
    // SAFETY: a new reference to an array, or null with an exception set.
    let array = unsafe { Bound::from_owned_ptr_or_err(py, array)? };
    // SAFETY: the array was just made and has no base; the reference to its owner is taken, whether that succeeds or not.
    let kept = unsafe { PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), owner.into_ptr()) };
    if kept == 0 { Ok(array) } else { Err(PyErr::fetch(py)) }
}
