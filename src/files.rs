//! The file operations that the compiler makes for data: all that it creates, writes, syncs, renames and removes goes through
//! here.
//!
//! So there is one place where a new file becomes true (whole, synced, renamed, and the folder synced too), one where
//! `--scratch` is kept ([`limit`]), and one where tests stop the process, fail an operation or lose what was not synced
//! (`fault`, in builds with debug assertions only).

mod fault;
mod quota;
#[cfg(debug_assertions)]
mod unsynced;

use std::fs::TryLockError;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fs_err::os::unix::fs::FileExt;

use crate::error::{Error, Result};
use fault::Operation;
use quota::Quota;
pub use quota::{Limit, limit};

/// A file that is written. Errors name its path.
#[derive(Debug)]
pub struct File {
    file: fs_err::File,
    /// The ceiling that its bytes count against.
    quota: Option<Arc<Quota>>,
}

impl File {
    /// Begins an empty file for writing; one that is there is emptied.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::empty(path, fs_err::OpenOptions::new().write(true))
    }

    /// Begins an empty file for writing and reading; one that is there is emptied.
    pub fn create_readable(path: &Path) -> io::Result<Self> {
        Self::empty(path, fs_err::OpenOptions::new().read(true).write(true))
    }

    fn empty(path: &Path, options: &mut fs_err::OpenOptions) -> io::Result<Self> {
        let quota = quota::of(path);
        if let Some(quota) = &quota {
            quota.shrink(quota::size(path));
        }
        let file = fault::run(Operation::Create, path, || options.create(true).truncate(true).open(path))?;
        Ok(Self { file, quota })
    }

    /// Opens a file for writing and reading, as it is; an empty one where there was none.
    pub fn open_or_create(path: &Path) -> io::Result<Self> {
        let open = || fs_err::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        Ok(Self { file: fault::run(Operation::Create, path, open)?, quota: quota::of(path) })
    }

    /// Opens a file that is there, to write after its end.
    pub fn append(path: &Path) -> io::Result<Self> {
        let file = fs_err::OpenOptions::new().append(true).open(path)?;
        Ok(Self { file, quota: quota::of(path) })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Makes it so many bytes long, zeros after its end.
    pub fn grow(&self, bytes: u64) -> io::Result<()> {
        let more = bytes.saturating_sub(self.file.metadata()?.len());
        self.take(more)?;
        fault::run(Operation::Resize, self.path(), || self.file.set_len(bytes))
    }

    /// Cuts it to so many bytes: what follows was not meant to be there.
    pub fn cut(&self, bytes: u64) -> io::Result<()> {
        let less = self.file.metadata()?.len().saturating_sub(bytes);
        fault::run(Operation::Resize, self.path(), || self.file.set_len(bytes))?;
        if let Some(quota) = &self.quota {
            quota.shrink(less);
        }
        Ok(())
    }

    /// Appends bytes of another file, as far as it has them; how many it had. Between plain files this is a call of the system,
    /// which shares blocks where the file system can.
    pub fn fill_from(&mut self, path: &Path, start: u64, bytes: u64) -> io::Result<u64> {
        self.take(bytes)?;
        let mut source = fs_err::File::open(path)?;
        source.seek(SeekFrom::Start(start))?;
        let copy = |most: u64| {
            // The system's call wants plain files; the paths are put back into what it says.
            let mut part = io::Read::take(source.file(), most);
            let error = |error: io::Error| {
                let (from, to) = (path.display(), self.file.path().display());
                io::Error::new(error.kind(), format!("failed to copy `{from}` to `{to}`: {error}"))
            };
            io::copy(&mut part, &mut self.file.file()).map_err(error)
        };
        let copied = fault::write(self.file.path(), || copy(bytes / 2).map(drop), || copy(bytes));
        if let Some(quota) = &self.quota {
            quota.shrink(bytes - copied.as_ref().map_or(0, |copied| *copied));
        }
        copied
    }

    /// Writes over bytes that are there.
    pub fn write_over(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let half = || self.file.write_all_at(&bytes[..bytes.len() / 2], at);
        fault::write(self.path(), half, || self.file.write_all_at(bytes, at))
    }

    /// Takes the file for this process until it is closed; false when another process has it.
    pub fn try_lock(&self) -> io::Result<bool> {
        match self.file.file().try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Fills `bytes` from the place `at`.
    pub fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// Returns once its bytes and its length last.
    pub fn sync(&self) -> io::Result<()> {
        fault::run(Operation::Sync, self.path(), || self.file.sync_all())
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        self.quota.as_ref().map_or(Ok(()), |quota| quota.grow(bytes, self.path()))
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes.len() as u64)?;
        let half = || (&self.file).write_all(&bytes[..bytes.len() / 2]);
        let written = fault::write(self.file.path(), half, || (&self.file).write(bytes));
        if let Some(quota) = &self.quota {
            quota.shrink((bytes.len() - written.as_ref().map_or(0, |written| *written)) as u64);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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
        self.file.sync()?;
        drop(self.file);
        rename(&self.partial, &self.path)?;
        sync_folder(&self.path)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a small file whole, or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Gives a file another name in its folder; a file of that name is replaced.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(quota) = quota::of(to) {
        quota.shrink(quota::size(to));
    }
    fault::run(Operation::Rename { from }, to, || fs_err::rename(from, to))
}

/// Gives a file a second name, of a folder on the same file system; nothing may be there yet.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    fault::run(Operation::Link, to, || fs_err::hard_link(from, to))
}

/// Removes a file.
pub fn remove(path: &Path) -> io::Result<()> {
    let bytes = quota::of(path).map(|quota| (quota::size(path), quota));
    fault::run(Operation::Remove, path, || fs_err::remove_file(path))?;
    if let Some((bytes, quota)) = bytes {
        quota.shrink(bytes);
    }
    Ok(())
}

/// Removes a file like [`remove`], but leaves it to another thread of the pool to free what it took, which lasts a while for a
/// large one. Only where the disk has as much room: nobody who writes meanwhile may find it full.
pub fn remove_aside(path: &Path) -> io::Result<()> {
    let held = Held::of(path);
    remove(path)?;
    if let Some(held) = held {
        rayon::spawn(move || drop(held));
    }
    Ok(())
}

/// Files whose names are gone and which are still open.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Of so many at most: open files are few.
const MOST_HELD: usize = 16;

/// An open file: what it takes is freed once its name and this are gone.
struct Held {
    _file: fs_err::File,
}

impl Held {
    fn of(path: &Path) -> Option<Self> {
        let before = HELD.fetch_add(1, Ordering::Relaxed);
        let file = if before < MOST_HELD { fs_err::File::open(path).ok() } else { None };
        let has_room = |file: &fs_err::File| {
            let (disk, found) = (rustix::fs::fstatvfs(file.file()).ok()?, file.metadata().ok()?);
            Some(disk.f_bavail.saturating_mul(disk.f_frsize) >= found.len())
        };
        let held = file.filter(|file| has_room(file) == Some(true)).map(|file| Self { _file: file });
        if held.is_none() {
            HELD.fetch_sub(1, Ordering::Relaxed);
        }
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Removes a folder and all that is in it.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    let bytes = quota::of(path).map(|quota| (quota::size(path), quota));
    fault::run(Operation::Remove, path, || fs_err::remove_dir_all(path))?;
    if let Some((bytes, quota)) = bytes {
        quota.shrink(bytes);
    }
    Ok(())
}

/// Makes a folder, and those above it, unless it is there. The names last once [`sync_folder`] says so.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fault::run(Operation::Folder, path, || fs_err::create_dir_all(path))
}

/// Syncs the folder that holds `path`, so that a name made, changed or removed in it lasts.
pub fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().ok_or_else(|| Error::Failed(format!("{}: has no folder", path.display())))?;
    // A bare name lies in the folder that the process is in.
    sync_names(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}

/// Syncs a folder: the names in it last.
pub fn sync_names(folder: &Path) -> Result<()> {
    Ok(fault::run(Operation::SyncFolder, folder, || fs_err::File::open(folder)?.sync_all())?)
}

/// The name under which a file is written until it is whole.
pub fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_gone_at_once_and_files_are_held_for_a_while_and_few() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..3 * MOST_HELD).map(|i| folder.path().join(i.to_string())).collect();
        for path in &paths {
            fs_err::write(path, "x").unwrap();
        }
        let held: Vec<Held> = paths.iter().filter_map(|path| Held::of(path)).collect();
        assert!((1..=MOST_HELD).contains(&held.len()), "{}", held.len());
        drop(held);
        for path in &paths {
            remove_aside(path).unwrap();
            assert!(!path.exists());
        }
        assert_eq!(remove_aside(&paths[0]).unwrap_err().kind(), io::ErrorKind::NotFound);
        // The pool lets go of all of them.
        let start = std::time::Instant::now();
        while HELD.load(Ordering::Relaxed) > 0 {
            assert!(start.elapsed().as_secs() < 60, "{} are held", HELD.load(Ordering::Relaxed));
            std::thread::yield_now();
        }
    }
}
