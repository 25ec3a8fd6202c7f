//! The reader's errors as Python exceptions, with the reader's words.

use pyo3::PyErr;
use pyo3::exceptions::{PyException, PyIndexError, PyValueError};
use syllabus_reader::Error;

pyo3::create_exception!(syllabus, SyllabusError, PyException, "What can be wrong with a dataset.");
pyo3::create_exception!(syllabus, CorruptError, SyllabusError, "A file is not what the manifest says; the message names it.");
pyo3::create_exception!(syllabus, ContractError, SyllabusError, "The dataset is not the one that was asked for.");

/// For calls that take options.
pub(crate) fn raise(error: Error) -> PyErr {
    match error {
        Error::Io(error) => error.into(),
        error @ Error::Corrupt { .. } => CorruptError::new_err(error.to_string()),
        error @ Error::Contract(_) => ContractError::new_err(error.to_string()),
        error @ Error::OutOfRange(_) => PyValueError::new_err(error.to_string()),
        error => SyllabusError::new_err(error.to_string()),
    }
}

/// For calls that take the number of a window, a shard or a step.
pub(crate) fn raise_index(error: Error) -> PyErr {
    match error {
        error @ Error::OutOfRange(_) => PyIndexError::new_err(error.to_string()),
        error => raise(error),
    }
}
