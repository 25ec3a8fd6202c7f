//! What a table file says of itself, kept between cutting it into units and reading them, or read again.
//!
//! A footer names every column of every row group, needed or not. A few of them are nothing; those of a hundred thousand files
//! would be most of memory.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::Result;

/// A file's footer.
pub struct Footer<T>(Mutex<Kept<T>>);

enum Kept<T> {
    Here(Arc<T>),
    /// Whoever reads the file has it.
    Elsewhere(Weak<T>),
}

impl<T> Footer<T> {
    /// One that was read.
    pub fn new(footer: Arc<T>) -> Self {
        Self(Mutex::new(Kept::Here(footer)))
    }

    /// Lets it go: from now on it is there as long as somebody reads the file.
    pub fn forget(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Kept::Here(footer) = &*kept {
            *kept = Kept::Elsewhere(Arc::downgrade(footer));
        }
    }

    /// The footer; `read` reads it where nobody has it.
    pub fn get(&self, read: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match &*kept {
            Kept::Here(footer) => Some(Arc::clone(footer)),
            Kept::Elsewhere(footer) => footer.upgrade(),
        };
        if let Some(footer) = known {
            return Ok(footer);
        }
        let footer = Arc::new(read()?);
        *kept = Kept::Elsewhere(Arc::downgrade(&footer));
        Ok(footer)
    }
}

impl<T> fmt::Debug for Footer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Footer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_again_only_when_nobody_has_it() {
        let footer = Footer::new(Arc::new(1));
        let never = || panic!("it is there");
        assert_eq!(*footer.get(never).unwrap(), 1);
        let held = footer.get(never).unwrap();
        footer.forget();
        assert_eq!(*footer.get(never).unwrap(), 1);
        drop(held);
        let again = footer.get(|| Ok(2)).unwrap();
        assert_eq!((*again, *footer.get(never).unwrap()), (2, 2));
    }
}
