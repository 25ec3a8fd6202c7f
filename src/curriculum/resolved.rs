//! A checked curriculum bound to the file system: globs are files, the tokenizer is a path.

use std::path::PathBuf;

use super::checked::Curriculum;

/// A curriculum with its files found.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What was asked.
    pub curriculum: Curriculum,
    /// The curriculum file's text, for the manifest.
    pub text: String,
    /// Path of `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// For each source, its files: absolute, each once, sorted by path; never empty.
    pub files: Vec<Vec<SourceFile>>,
    /// Benchmark files of `decontaminate`, sorted by path.
    pub benchmarks: Vec<PathBuf>,
}

/// One input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Absolute path.
    pub path: PathBuf,
    /// Size in bytes when it was found.
    pub bytes: u64,
}
