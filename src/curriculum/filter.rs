//! The `where` language: which rows of a source are read at all.
//!
//! A condition in SQL's words over the row's columns: comparisons, `AND`/`OR`/`NOT`, `IN`, `BETWEEN`, `LIKE`, `IS NULL`.

/// A parsed condition.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The condition as written.
    pub text: String,
}

/// Why a condition does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// Byte range in the condition's text; empty at its end when something is missing.
    pub span: std::ops::Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Filter {
    /// Parses a condition.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Ok(Self { text: text.to_owned() })
    }
}
