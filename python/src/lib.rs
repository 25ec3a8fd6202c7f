//! The native part of the Python package `syllabus`: datasets, windows and the loader of `syllabus-reader`, and the compiler.
//!
//! It hands out numbers, strings and memory. What a Python programmer sees beside windows (arrays of batches, dictionaries,
//! classes) is made of them in `syllabus/`. No method relies on the GIL; those that read files or wait release it.

mod arrays;
#[cfg(feature = "compiler")]
mod compiler;
mod dataset;
mod errors;
mod loader;
mod memory;
mod window;

use pyo3::prelude::*;

/// Filled in for Python by `PyInit__native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<dataset::Dataset>()?;
    module.add_class::<dataset::Windows>()?;
    module.add_class::<window::Window>()?;
    module.add_class::<window::Fragment>()?;
    module.add_class::<loader::Loader>()?;
    module.add_class::<loader::Batch>()?;
    module.add_class::<memory::Memory>()?;
    module.add("SyllabusError", py.get_type::<errors::SyllabusError>())?;
    module.add("CorruptError", py.get_type::<errors::CorruptError>())?;
    module.add("ContractError", py.get_type::<errors::ContractError>())?;
    module.add("CurriculumError", py.get_type::<errors::CurriculumError>())?;
    module.add("InfeasibleError", py.get_type::<errors::InfeasibleError>())?;
    module.add("VerificationError", py.get_type::<errors::VerificationError>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    #[cfg(feature = "compiler")]
    compiler::add(module)?;
    Ok(())
}
