//! Errors as Python exceptions, with the words of the reader and the command line.

use pyo3::PyErr;
use pyo3::exceptions::{PyException, PyIndexError, PyValueError};
use syllabus_reader::Error;

pyo3::create_exception!(syllabus, SyllabusError, PyException, "What can go wrong with a dataset or a compile.");
pyo3::create_exception!(
    syllabus,
    CorruptError,
    SyllabusError,
    "A file of a dataset is not what the manifest says; the message names it."
);
pyo3::create_exception!(
    syllabus,
    ContractError,
    SyllabusError,
    "The dataset is not the one that was asked for, or that a state was made with."
);
pyo3::create_exception!(
    syllabus,
    CurriculumError,
    SyllabusError,
    "The curriculum, or an argument, is wrong. All errors of the file with their lines; `summary` is one line."
);
pyo3::create_exception!(
    syllabus,
    InfeasibleError,
    SyllabusError,
    "What the curriculum asks for cannot be done with these sources. Source, shortfall and a patch; `summary` is one line."
);
pyo3::create_exception!(syllabus, VerificationError, SyllabusError, "A dataset is not what it says it is.");

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
