//! What a call came to, and the message of the last one that failed.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a call came to. All but OK and END are errors, and `syllabus_last_error()` says what is wrong.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// There are no more batches. Not an error.
    End = 1,
    /// An argument is NULL where it must not be, not UTF-8, or not one of the values that it may have.
    Argument = 2,
    /// A file is missing or cannot be read.
    Io = 3,
    /// A file is not what the manifest says: cut, altered, or not of this format.
    Corrupt = 4,
    /// The dataset was written by a newer version.
    TooNew = 5,
    /// The dataset, or the state, is not the one that the caller relies on.
    Contract = 6,
    /// A window, phase, rank or step that does not exist, or a number that is too large.
    Range = 7,
    /// Another thread is using this loader, or a former call on it ended in SYLLABUS_STATUS_INTERNAL.
    Busy = 8,
    /// A bug in this library.
    Internal = 9,
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self { status: Status::Argument, message: message.into() }
    }
}

impl From<syllabus_reader::Error> for Failure {
    fn from(error: syllabus_reader::Error) -> Self {
        use syllabus_reader::Error;
        let status = match &error {
            Error::Io(_) => Status::Io,
            Error::Corrupt { .. } => Status::Corrupt,
            Error::TooNew { .. } => Status::TooNew,
            Error::Contract(_) => Status::Contract,
            Error::OutOfRange(_) => Status::Range,
            _ => Status::Internal,
        };
        Self { status, message: error.to_string() }
    }
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// The text as C has it; a NUL within it becomes a question mark.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "?")).unwrap_or_default()
}

fn remember(message: &str) {
    // A thread that is ending has no message any more, and none is asked for.
    let _ended = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = c_text(message);
        }
    });
}

/// Runs the body of a function of the interface: no panic leaves it, and a failure's message is kept for this thread.
pub(crate) fn guard(body: impl FnOnce() -> Result<Status>) -> Status {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => return status,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            // What was thrown may itself panic when dropped.
            std::mem::forget(panic);
            Failure { status: Status::Internal, message: format!("syllabus panicked, which is a bug: {text}") }
        }
    };
    let _kept = catch_unwind(AssertUnwindSafe(|| remember(&failure.message)));
    failure.status
}

/// The message of this thread's last call that failed; "" when none did. It says what is wrong and names the file. It is
/// replaced by this thread's next call that fails and gone when the thread ends: copy what is to be kept. Never NULL, not to be
/// freed.
#[unsafe(no_mangle)]
pub extern "C" fn syllabus_last_error() -> *const c_char {
    let text = catch_unwind(|| LAST.try_with(|last| last.try_borrow().map(|last| last.as_ptr()).ok()).ok().flatten());
    text.ok().flatten().unwrap_or(c"".as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn last() -> String {
        // SAFETY: the text lives until this thread's next failure.
        unsafe { CStr::from_ptr(syllabus_last_error()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn panics_and_failures_become_statuses_of_their_thread() {
        assert_eq!(last(), "");
        assert_eq!(guard(|| Ok(Status::End)), Status::End);
        assert_eq!(guard(|| panic!("at {}", 1)), Status::Internal);
        assert!(last().contains("at 1"), "{}", last());
        assert_eq!(guard(|| Err(Failure::argument("a\0b"))), Status::Argument);
        assert_eq!(last(), "a?b");
        std::thread::spawn(|| assert_eq!(last(), "")).join().unwrap();
        assert_eq!(last(), "a?b");
    }
}
