//! The few file operations by which things become true on disk: whole, synced, renamed, and the folder synced too.

use std::io::Write;
use std::path::{Path, PathBuf};

use fs_err::File;

use crate::error::{Error, Result};

/// A file that is not there until [`NewFile::commit`]: written under another name, then renamed.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    partial: PathBuf,
    path: PathBuf,
}

impl NewFile {
    /// Begins a file that will be at `path`; what an earlier process left half-written there is overwritten.
    pub fn create(path: &Path) -> Result<Self> {
        let partial = partial_name(path);
        let file = File::create(&partial)?;
        Ok(Self { file, partial, path: path.to_owned() })
    }

    /// Where the bytes are until the commit.
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Syncs the bytes, renames the file to its name and syncs the folder: after this it is there, whole, whatever happens.
    pub fn commit(self) -> Result<()> {
        self.file.sync_all()?;
        drop(self.file);
        fs_err::rename(&self.partial, &self.path)?;
        sync_folder(&self.path)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Writes a small file whole, or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Syncs the folder that holds `path`, so that a rename in it lasts.
pub fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().ok_or_else(|| Error::Failed(format!("{}: has no folder", path.display())))?;
    // A bare name lies in the folder that the process is in.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// The name under which a file is written until it is whole.
pub fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}
