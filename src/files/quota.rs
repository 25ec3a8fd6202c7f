//! A ceiling for the bytes below a folder: `--scratch`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::Result;
use crate::plan::number;

/// Folders with a ceiling, in this process.
static LIMITS: Mutex<Vec<Weak<Quota>>> = Mutex::new(Vec::new());

/// How much is, and may be, below a folder.
#[derive(Debug)]
pub(super) struct Quota {
    folder: PathBuf,
    most: u64,
    used: AtomicU64,
}

/// A ceiling; it holds as long as this lives.
#[derive(Debug)]
pub struct Limit(Arc<Quota>);

/// Keeps the files below `folder`, those that are there included, to so many bytes. Only files that are opened after this
/// count, by the path under which they are opened.
pub fn limit(folder: &Path, most: u64) -> Result<Limit> {
    let used = AtomicU64::new(crate::store::size_on_disk(folder)?);
    let quota = Arc::new(Quota { folder: folder.to_owned(), most, used });
    let mut limits = LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    limits.retain(|limit| limit.strong_count() > 0);
    limits.push(Arc::downgrade(&quota));
    Ok(Limit(quota))
}

impl Limit {
    /// Bytes below the folder now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }
}

/// The ceiling that a file counts against.
pub(super) fn of(path: &Path) -> Option<Arc<Quota>> {
    let limits = LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    limits.iter().filter_map(Weak::upgrade).find(|quota| path.starts_with(&quota.folder))
}

/// Bytes of a file, or of all files in a folder; none where there is nothing.
pub(super) fn size(path: &Path) -> u64 {
    match fs_err::symlink_metadata(path) {
        Ok(found) if found.is_dir() => crate::store::size_on_disk(path).unwrap_or(0),
        Ok(found) => found.len(),
        Err(_) => 0,
    }
}

impl Quota {
    pub(super) fn grow(&self, bytes: u64, path: &Path) -> io::Result<()> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.most {
            return Ok(());
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        Err(io::Error::new(
            io::ErrorKind::QuotaExceeded,
            format!(
                "{}: --scratch {} is used up (`syllabus plan` says how much a compile needs); give more and run the same \
                 command again: it goes on from what is committed",
                path.display(),
                number::bytes(self.most.into())
            ),
        ))
    }

    pub(super) fn shrink(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let _always = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::{File, NewFile, remove, remove_folder, rename};
    use super::*;

    #[test]
    fn what_is_there_counts_and_what_goes_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs_err::write(place("old"), [0; 40]).unwrap();
        let limit = limit(folder.path(), 100).unwrap();
        let mut file = File::create(&place("new")).unwrap();
        file.write_all(&[0; 60]).unwrap();
        let error = file.write_all(&[0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        assert!(error.to_string().contains("new: --scratch 100 B is used up"), "{error}");
        remove(&place("old")).unwrap();
        file.write_all(&[0; 30]).unwrap();
        assert_eq!(limit.used(), 90);
        // A file that is emptied or replaced makes room too.
        let mut again = NewFile::create(&place("new")).unwrap();
        assert!(again.write_all(&[0; 11]).is_err());
        again.write_all(&[0; 10]).unwrap();
        again.commit().unwrap();
        assert_eq!(limit.used(), 10);
        fs_err::create_dir(place("sub")).unwrap();
        File::create(&place("sub/a")).unwrap().write_all(&[0; 50]).unwrap();
        rename(&place("new"), &place("renamed")).unwrap();
        assert_eq!(limit.used(), 60);
        remove_folder(&place("sub")).unwrap();
        let readable = File::create_readable(&place("renamed")).unwrap();
        readable.grow(100).unwrap();
        assert!(readable.grow(101).is_err());
        readable.cut(5).unwrap();
        assert_eq!(limit.used(), 5);
        // Elsewhere there is none, nor after it.
        let elsewhere = tempfile::tempdir().unwrap();
        File::create(&elsewhere.path().join("a")).unwrap().write_all(&[0; 1000]).unwrap();
        drop((file, readable, limit));
        File::create(&place("b")).unwrap().write_all(&[0; 1000]).unwrap();
    }
}
