//! The store: committed segments of tokenized documents, and the journal that says which count.
//!
//! ```text
//! work/
//!   lock                 held by the process that works here; holds its id
//!   journal              what counts
//!   segments/00000000.seg
//!   fates/00000000.fate  what became of each row; made anew by each compile
//!   shards               which shards are whole, while a dataset is being written
//! ```

pub mod builder;
pub mod compact;
pub mod documents;
pub mod fates;
pub mod journal;
pub(crate) mod lines;
pub mod segment;
pub mod signatures;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use syllabus_reader::format::TokenDtype;

use crate::error::{Error, Result};
use crate::files;
use builder::Builder;
use documents::SourceStore;
use fates::Fates;
use journal::{Commit, Counts, Extent, Identity, Journal, Leaked, Reuse};
use segment::{Segment, Totals};

/// An open store. One process at a time.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    dtype: TokenDtype,
    journal: Mutex<Journal>,
    next: AtomicU64,
    /// Held until the store is dropped.
    _lock: files::File,
}

/// What is committed with a segment.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The rows it covers.
    pub extents: Vec<Extent>,
    /// How they were judged.
    pub counts: Counts,
    /// Those that hold a benchmark item.
    pub leaks: Vec<Leaked>,
}

impl Store {
    /// Opens or begins the store in a work folder, drops what is not of this identity, and removes files that no record
    /// names.
    pub fn open(folder: &Path, dtype: TokenDtype, identity: &Identity) -> Result<(Self, Reuse)> {
        files::make_folder(&folder.join("segments"))?;
        files::make_folder(&folder.join("fates"))?;
        let lock = lock(folder)?;
        let (journal, reuse) = Journal::open(folder, identity)?;
        let named: BTreeSet<u64> = journal.commits().iter().filter_map(|c| c.segment).collect();
        for entry in fs_err::read_dir(folder.join("segments"))? {
            let path = entry?.path();
            let whole = path.extension().is_some_and(|extension| extension == "seg" || extension == "sig");
            let number = path.file_stem().filter(|_| whole).and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            if !number.is_some_and(|number| named.contains(&number)) {
                files::remove(&path)?;
            }
        }
        let next = AtomicU64::new(named.last().map_or(0, |last| last + 1));
        Ok((Self { folder: folder.to_owned(), dtype, journal: Mutex::new(journal), next, _lock: lock }, reuse))
    }

    /// Whether an earlier run has begun a store in this folder.
    #[must_use]
    pub fn exists(folder: &Path) -> bool {
        Journal::exists(folder)
    }

    /// Writes what a builder gathered (when anything) as a segment and commits the extents it covers.
    pub fn commit(&self, source: &str, builder: &mut Builder, gathered: Gathered) -> Result<()> {
        let segment = if builder.is_empty() {
            None
        } else {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            builder.write(&self.segment_path(number))?;
            Some(number)
        };
        let Gathered { extents, counts, leaks } = gathered;
        self.journal().commit(Commit { source: source.to_owned(), segment, extents, counts, leaks })
    }

    /// Records that all rows of a source are covered.
    pub fn complete(&self, source: &str) -> Result<()> {
        self.journal().complete(source)
    }

    /// Whether all rows of a source are covered.
    #[must_use]
    pub fn is_complete(&self, source: &str) -> bool {
        self.journal().is_complete(source)
    }

    /// The committed extents of a source.
    #[must_use]
    pub fn extents(&self, source: &str) -> Vec<Extent> {
        self.journal().commits().iter().filter(|c| c.source == source).flat_map(|c| c.extents.iter().copied()).collect()
    }

    /// How a source's rows were judged, in sum.
    #[must_use]
    pub fn counts(&self, source: &str) -> Counts {
        let mut sum = Counts::default();
        self.journal().commits().iter().filter(|c| c.source == source).for_each(|c| sum.add(&c.counts));
        sum
    }

    /// How many segments a source has.
    #[must_use]
    pub fn segments(&self, source: &str) -> u64 {
        self.journal().commits().iter().filter(|c| c.source == source && c.segment.is_some()).count() as u64
    }

    /// Opens a source's segments, every document surviving.
    pub fn source(&self, source: &str) -> Result<SourceStore> {
        let numbers: Vec<u64> =
            self.journal().commits().iter().filter(|c| c.source == source).filter_map(|c| c.segment).collect();
        let mut store = SourceStore { name: source.to_owned(), segments: Vec::new(), fates: Vec::new() };
        for number in numbers {
            let segment = Segment::open(&self.segment_path(number), self.dtype)?;
            let path = self.folder.join("fates").join(format!("{number:08}.fate"));
            store.fates.push(Fates::create(&path, segment.totals().documents)?);
            store.segments.push(segment);
        }
        Ok(store)
    }

    /// Hands over all documents that hold a benchmark item, each with its source.
    pub fn leaks(&self, each: &mut dyn FnMut(&str, Leaked) -> Result<()>) -> Result<()> {
        self.journal().leaks(each)
    }

    /// What a source's segments hold in sum, before any removal.
    #[must_use]
    pub fn tokenized(&self, source: &str) -> Totals {
        self.counts(source).tokenized
    }

    /// The work folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn segment_path(&self, number: u64) -> PathBuf {
        self.folder.join("segments").join(format!("{number:08}.seg"))
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        // A thread that panicked while holding it left at worst a line that was not appended.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a work folder for this process until the file is dropped, or says who has it.
pub fn lock(folder: &Path) -> Result<files::File> {
    let path = folder.join("lock");
    let file = files::File::open_or_create(&path)?;
    if !file.try_lock()? {
        let holder = fs_err::read_to_string(&path)?;
        return Err(Error::Failed(format!(
            "{} is in use by process {}; wait for it, or give another folder with --work",
            folder.display(),
            holder.trim()
        )));
    }
    file.cut(0)?;
    file.write_over(format!("{}\n", std::process::id()).as_bytes(), 0)?;
    Ok(file)
}

/// Bytes of all files in a folder and those below it.
pub fn size_on_disk(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let is = entry.file_type()?;
        sum += if is.is_dir() { size_on_disk(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_user_is_refused_and_orphans_go() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path(), TokenDtype::U16, &Identity::default()).unwrap();
        let error = Store::open(folder.path(), TokenDtype::U16, &Identity::default()).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        let mut builder = Builder::new(TokenDtype::U16, 100);
        builder.push(1, &[1, 2], 4).unwrap();
        builder.write(&store.segment_path(5)).unwrap();
        drop(store);
        let (store, _) = Store::open(folder.path(), TokenDtype::U16, &Identity::default()).unwrap();
        assert!(!store.segment_path(5).exists());
    }
}
