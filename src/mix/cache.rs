//! A small cache, shared by threads, of things that are costly to build.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

/// Keeps the last `capacity` values used. Two threads that need the same value build it once; other values are not held up.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    /// Least recently used first.
    slots: Mutex<Vec<(K, Arc<Slot<V>>)>>,
    capacity: usize,
}

type Slot<V> = Mutex<Option<Arc<V>>>;

impl<K: Copy + PartialEq, V> Cache<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { slots: Mutex::new(Vec::with_capacity(capacity + 1)), capacity }
    }

    /// The value of `key`, built now if it is not kept. An error is not kept: the next call tries again.
    pub(super) fn get(&self, key: K, build: impl FnOnce() -> Result<V>) -> Result<Arc<V>> {
        let slot = {
            let mut slots = lock(&self.slots);
            let slot = match slots.iter().position(|(other, _)| *other == key) {
                Some(index) => slots.remove(index).1,
                None => Arc::default(),
            };
            slots.push((key, Arc::clone(&slot)));
            if slots.len() > self.capacity {
                slots.remove(0);
            }
            slot
        };
        let mut value = lock(&slot);
        if let Some(value) = &*value {
            return Ok(Arc::clone(value));
        }
        let built = Arc::new(build()?);
        *value = Some(Arc::clone(&built));
        Ok(built)
    }
}

/// A panic elsewhere leaves these values whole: they are replaced in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn keeps_the_last_used() {
        let cache = Cache::new(2);
        let build = |key: u32| move || Ok(key * 10);
        assert_eq!((*cache.get(1, build(1)).unwrap(), *cache.get(2, build(2)).unwrap()), (10, 20));
        let not_built = || Err(Error::Failed("built again".to_owned()));
        assert_eq!(*cache.get(1, not_built).unwrap(), 10);
        assert_eq!(*cache.get(3, build(3)).unwrap(), 30);
        assert_eq!(*cache.get(1, not_built).unwrap(), 10);
        assert!(cache.get(2, not_built).is_err());
        assert_eq!(*cache.get(2, build(2)).unwrap(), 20);
    }

    #[test]
    fn threads_build_once() {
        let cache = Cache::new(2);
        let built = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    cache.get(7, || {
                        std::thread::yield_now();
                        Ok(built.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
                    })
                });
            }
        });
        assert_eq!(built.into_inner(), 1);
    }
}
