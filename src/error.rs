//! What can go wrong, sorted by what the caller must do about it: the exit code follows from the kind.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// The compiler's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that stops a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The curriculum or the command line is wrong (exit code 2). Holds the rendered diagnostics.
    #[error("{summary}")]
    Curriculum {
        /// All errors of the run, rendered with file, line, column, the line itself, a caret and hints.
        rendered: String,
        /// One line: the first error, and how many more there are.
        summary: String,
    },
    /// What was asked cannot be done with these sources (exit code 3).
    #[error("{summary}")]
    Infeasible {
        /// The whole story: source, shortfall, and a patch that would be feasible.
        rendered: String,
        /// One line.
        summary: String,
    },
    /// A dataset is not what it says it is (exit code 4).
    #[error("{0}")]
    Verification(String),
    /// A row, page or file of a source cannot be read.
    #[error("{}: {place}: {message}", file.display())]
    Source {
        /// The file.
        file: PathBuf,
        /// Where in it: `row 17`, `row group 3, column text`, `line 20`.
        place: String,
        /// What is wrong, and what to do where something can be done.
        message: String,
    },
    /// The tokenizer cannot be used as asked.
    #[error("tokenizer {}: {message}", file.display())]
    Tokenizer {
        /// Its file.
        file: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A file operation failed; the message names the path (`fs_err`).
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A compiled dataset cannot be opened or read.
    #[error(transparent)]
    Dataset(#[from] syllabus_reader::Error),
    /// Anything else, in words.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// The process's exit code: 1 failed, 2 usage or curriculum, 3 not feasible, 4 verification failed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Curriculum { .. } => 2,
            Self::Infeasible { .. } => 3,
            Self::Verification(_) => 4,
            _ => 1,
        }
    }
}

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the current thread is within a call whose panics become errors: a panic hook has nothing to say then.
#[must_use]
pub fn panic_is_contained() -> bool {
    CONTAINED.with(Cell::get)
}

/// Runs a call into a crate that panics on some foreign bytes; `Err` says of what it panicked.
///
/// For what cannot be checked before, and around that call alone. What the call works on may be half-changed when this fails,
/// and must not be used again.
pub(crate) fn contain<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let before = CONTAINED.with(|contained| contained.replace(true));
    let result = catch_unwind(AssertUnwindSafe(call));
    CONTAINED.with(|contained| contained.set(before));
    result.map_err(|payload| panic_text(&*payload).to_owned())
}

/// What a panic said.
#[must_use]
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}

/// Runs a thread's work; a panic in it is an error, so that whoever waits for the thread hears of it.
///
/// # Errors
/// Those of the work, and its panics. What it worked on may be half-changed then, and must not be used again.
pub(crate) fn or_defect<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        Err(Error::Failed(format!("a thread failed: {} (a defect of Syllabus)", panic_text(&*payload))))
    })
}
