//! Room in memory for large pieces: a long line, a large page or record batch, a whole text, and the document made of it.
//!
//! Memory is divided so that every worker has room for a batch of the usual size, and all workers together for one large
//! piece. Who needs that room waits for it before anything is allocated. It is held by the reader while its piece is what it
//! reads from, and by each batch cut from the piece; so a worker that takes such a batch need not ask again.
//!
//! Nobody who waits here is waited for: readers wait under the lock of their own unit, and whoever holds the room works on its
//! batch, or draws from its own unit. A worker that stops early must drop its unit's reader, or the others wait without end.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

/// The room, shared by all readers of a run. Clones are the same room.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    taken: Mutex<bool>,
    free: Condvar,
}

/// The room is held until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Held(Arc<Tenant>);

#[derive(Debug)]
struct Tenant(Arc<Inner>);

impl Room {
    /// Waits until nobody holds it.
    #[must_use]
    pub fn enter(&self) -> Held {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken {
            taken = self.0.free.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = true;
        Held(Arc::new(Tenant(Arc::clone(&self.0))))
    }
}

/// One hold of the room that the columns of a reader share: the first to need it waits for it.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Weak<Tenant>>>);

impl Shared {
    /// The hold, while any of those who share it has it.
    #[must_use]
    pub fn current(&self) -> Option<Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade().map(Held)
    }

    /// Joins the hold, or waits for the room.
    #[must_use]
    pub fn enter(&self, room: &Room) -> Held {
        self.current().unwrap_or_else(|| {
            let held = room.enter();
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&held.0);
            held
        })
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_until_the_last_clone_is_gone() {
        let room = Room::default();
        let first = room.enter();
        let clone = first.clone();
        let other = room.clone();
        let (said, heard) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || {
            let _held = other.enter();
            said.send("in").unwrap();
        });
        drop(first);
        assert!(heard.recv_timeout(std::time::Duration::from_millis(50)).is_err());
        drop(clone);
        assert_eq!(heard.recv().unwrap(), "in");
        waiting.join().unwrap();
        drop(room.enter());
    }
}
