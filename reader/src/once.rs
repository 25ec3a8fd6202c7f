//! A value that is made once, without a lock.

use std::sync::atomic::{AtomicPtr, Ordering};

/// Like `std::sync::OnceLock`, but two threads that come at once may both make the value, and one of them stays. There is no
/// lock, so a process that forks while another thread makes a value does not leave its child waiting for ever.
pub(crate) struct OnceBox<T> {
    value: AtomicPtr<T>,
    owns: std::marker::PhantomData<T>,
}

impl<T> OnceBox<T> {
    pub(crate) const fn new() -> Self {
        Self { value: AtomicPtr::new(std::ptr::null_mut()), owns: std::marker::PhantomData }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: the pointer is null or came from `Box::into_raw` in `set`, was published with release ordering, and is freed
        // by `drop` alone, which has the cell to itself.
        unsafe { self.value.load(Ordering::Acquire).as_ref() }
    }

    /// Keeps `value` unless there is one already.
    pub(crate) fn set(&self, value: T) {
        let new = Box::into_raw(Box::new(value));
        let null = std::ptr::null_mut();
        if self.value.compare_exchange(null, new, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: `new` came from `Box::into_raw` above and was not published.
            drop(unsafe { Box::from_raw(new) });
        }
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let value = *self.value.get_mut();
        if !value.is_null() {
            // SAFETY: it came from `Box::into_raw` in `set`; nobody else can see the cell any more.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

// SAFETY: it hands out `&T` to all threads, and a `T` made by one may be dropped by another.
unsafe impl<T: Send + Sync> Sync for OnceBox<T> {}

impl<T> std::fmt::Debug for OnceBox<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnceBox").field("made", &self.get().is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_stays_and_all_are_dropped() {
        let count = std::sync::Arc::new(());
        let cell = OnceBox::new();
        assert!(cell.get().is_none());
        std::thread::scope(|scope| {
            for i in 0..8 {
                let (cell, count) = (&cell, std::sync::Arc::clone(&count));
                scope.spawn(move || cell.set((i, count)));
            }
        });
        let first = cell.get().unwrap().0;
        cell.set((99, std::sync::Arc::clone(&count)));
        assert_eq!(cell.get().unwrap().0, first);
        assert_eq!(std::sync::Arc::strong_count(&count), 2);
        drop(cell);
        assert_eq!(std::sync::Arc::strong_count(&count), 1);
    }
}
