//! What a file system may forget when the power goes, for `fault`: bytes of files and names in folders that were not synced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fault::Operation;

/// Bytes and names that do not last yet.
pub(super) struct Unsynced {
    /// Where what was removed or replaced is kept.
    attic: PathBuf,
    kept: u64,
    /// Bytes of each file that last.
    files: BTreeMap<PathBuf, u64>,
    /// Changes of names, in the order they were made.
    names: Vec<Change>,
}

/// A change of a name, and how it is undone.
pub(super) enum Change {
    Made(PathBuf),
    Renamed { from: PathBuf, to: PathBuf, replaced: Option<PathBuf> },
    Removed { path: PathBuf, kept: Option<PathBuf> },
}

impl Change {
    fn path(&self) -> &Path {
        match self {
            Self::Made(path) | Self::Renamed { to: path, .. } | Self::Removed { path, .. } => path,
        }
    }
}

fn length(path: &Path) -> Option<u64> {
    fs_err::metadata(path).ok().map(|found| found.len())
}

impl Unsynced {
    pub(super) fn new(attic: PathBuf) -> Self {
        Self { attic, kept: 0, files: BTreeMap::new(), names: Vec::new() }
    }

    /// Gives a file, or a folder with all in it, a second name in the attic.
    fn keep(&mut self, path: &Path) -> Option<PathBuf> {
        self.kept += 1;
        let kept = self.attic.join(self.kept.to_string());
        fs_err::create_dir_all(&self.attic).ok()?;
        link(path, &kept).then_some(kept)
    }

    pub(super) fn before(&mut self, operation: Operation<'_>, path: &Path) -> Option<Change> {
        match operation {
            Operation::Create | Operation::Link | Operation::Folder if !path.exists() => {
                Some(Change::Made(path.to_owned()))
            }
            Operation::Write | Operation::Resize => {
                if let Some(length) = length(path) {
                    self.files.entry(path.to_owned()).or_insert(length);
                }
                None
            }
            Operation::Rename { from } => {
                let replaced = self.keep(path);
                Some(Change::Renamed { from: from.to_owned(), to: path.to_owned(), replaced })
            }
            Operation::Remove => {
                let kept = self.keep(path);
                Some(Change::Removed { path: path.to_owned(), kept })
            }
            _ => None,
        }
    }

    pub(super) fn after(&mut self, operation: Operation<'_>, path: &Path, change: Option<Change>) {
        self.names.extend(change);
        match operation {
            Operation::Create => {
                self.files.insert(path.to_owned(), 0);
            }
            Operation::Sync => {
                if let Some(length) = length(path) {
                    self.files.insert(path.to_owned(), length);
                }
            }
            Operation::Rename { from } => {
                // A folder takes its files along.
                let moved: Vec<PathBuf> = self.files.keys().filter(|file| file.starts_with(from)).cloned().collect();
                for file in moved {
                    let below = file.strip_prefix(from).unwrap_or(Path::new(""));
                    let to = if below.as_os_str().is_empty() { path.to_owned() } else { path.join(below) };
                    let synced = self.files.remove(&file);
                    self.files.extend(synced.map(|synced| (to, synced)));
                }
            }
            Operation::Remove => self.files.retain(|file, _| !file.starts_with(path)),
            Operation::SyncFolder => self.names.retain(|change| change.path().parent() != Some(path)),
            Operation::Write | Operation::Resize | Operation::Link | Operation::Folder => {}
        }
    }

    /// The power goes. What cannot be undone stays: a test of this reads what is there.
    pub(super) fn lose(&mut self, names: bool) {
        for (path, synced) in &self.files {
            if length(path).is_some_and(|length| length > *synced)
                && let Ok(file) = fs_err::OpenOptions::new().write(true).open(path)
            {
                let _cut = file.set_len(*synced);
            }
        }
        while let Some(change) = self.names.pop().filter(|_| names) {
            let _undone = match change {
                Change::Made(path) if path.is_dir() => fs_err::remove_dir_all(path),
                Change::Made(path) => fs_err::remove_file(path),
                Change::Renamed { from, to, replaced } => fs_err::rename(&to, from)
                    .and_then(|()| replaced.map_or(Ok(()), |replaced| fs_err::rename(replaced, to))),
                Change::Removed { path, kept } => kept.map_or(Ok(()), |kept| fs_err::rename(kept, path)),
            };
        }
    }
}

fn link(from: &Path, to: &Path) -> bool {
    if !from.is_dir() {
        return fs_err::hard_link(from, to).is_ok();
    }
    let Ok(entries) = fs_err::read_dir(from) else { return false };
    fs_err::create_dir_all(to).is_ok()
        && entries.flatten().all(|entry| link(&entry.path(), &to.join(entry.file_name())))
}
