//! A shard as the reader sees it: mapped when first touched, compared with the manifest before anything is read.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use memmap2::Mmap;

use crate::error::{Error, Result};
use crate::format::digest::{Digest, to_hex};
use crate::format::manifest::Shard;
use crate::format::windows::{Row, WindowsFile, WindowsReader};
use crate::format::{TokenDtype, beside, tokens::Tokens};
use crate::map::{map, populate};
use crate::once::OnceBox;

/// What a shard's reader needs to know of its dataset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) dtype: TokenDtype,
    pub(crate) window_tokens: u32,
}

impl Shape {
    /// Bytes of a window.
    pub(crate) fn window_bytes(self) -> u64 {
        u64::from(self.window_tokens) * u64::from(self.dtype.width_u8())
    }
}

#[derive(Debug)]
struct Mapped {
    bin: Mmap,
    rows: WindowsReader<Mmap>,
    /// Which row batches are known to be in memory.
    populated: Box<[AtomicBool]>,
    sources: Sources,
}

/// Which of the manifest's sources each entry of a file's dictionary is; `None`: the dictionary is the manifest's list.
#[derive(Debug, Clone)]
pub(crate) struct Sources(Option<Box<[u32]>>);

impl Sources {
    fn new(names: &[String], all: &[String], file: &Path) -> Result<Self> {
        if names == all {
            return Ok(Self(None));
        }
        let index = |name: &String| {
            let position = all.iter().position(|source| source == name);
            position
                .and_then(|i| u32::try_from(i).ok())
                .ok_or_else(|| corrupt(file, format!("source `{name}` is not in the manifest")))
        };
        Ok(Self(Some(names.iter().map(index).collect::<Result<_>>()?)))
    }

    /// The manifest's source for row `i` of `file`, which names `source` of its dictionary.
    pub(crate) fn of(&self, source: u32, file: &Path, i: u64) -> Result<u32> {
        let Some(sources) = &self.0 else { return Ok(source) };
        let found = usize::try_from(source).ok().and_then(|source| sources.get(source)).copied();
        found.ok_or_else(|| corrupt(file, format!("row {i} names no source")))
    }
}

/// A shard of an opened dataset.
#[derive(Debug)]
pub(crate) struct OpenShard {
    /// The `.bin`.
    pub(crate) path: PathBuf,
    pub(crate) entry: Shard,
    /// Windows of its set before it.
    pub(crate) first_window: u64,
    pub(crate) shape: Shape,
    hash_on_first_touch: bool,
    /// Its digests were compared, by whoever came first.
    hashed: AtomicBool,
    mapped: OnceBox<Mapped>,
}

pub(crate) fn corrupt(file: &Path, message: String) -> Error {
    Error::Corrupt { file: file.to_owned(), message }
}

impl OpenShard {
    /// A shard as the manifest has it. Looks at no file.
    pub(crate) fn open(
        dir: &Path,
        entry: Shard,
        shape: Shape,
        first_window: u64,
        hash_on_first_touch: bool,
    ) -> Result<Self> {
        let relative = Path::new(&entry.file);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || relative.extension().is_none_or(|extension| extension != "bin") {
            return Err(corrupt(&dir.join("manifest.json"), format!("`{}` is not the path of a shard", entry.file)));
        }
        let path = dir.join(relative);
        if entry.windows.checked_mul(shape.window_bytes()) != Some(entry.bytes) {
            let (windows, bytes, each) = (entry.windows, entry.bytes, shape.window_bytes());
            return Err(corrupt(
                &path,
                format!("the manifest says {windows} windows of {each} bytes, and {bytes} bytes"),
            ));
        }
        let (hashed, mapped) = (AtomicBool::new(false), OnceBox::new());
        Ok(Self { path, entry, first_window, shape, hash_on_first_touch, hashed, mapped })
    }

    /// Compares the files' sizes with the manifest.
    pub(crate) fn check_files(&self) -> Result<()> {
        check_size(&self.path, fs_err::metadata(&self.path)?.len(), self.entry.bytes)?;
        fs_err::metadata(beside(&self.path, "arrow"))?;
        Ok(())
    }

    fn mapped(&self) -> Result<&Mapped> {
        self.mapped.get().map_or_else(|| Err(corrupt(&self.path, "not mapped".to_owned())), Ok)
    }

    /// Opens the `.arrow`, whose rows must be as many as the manifest says.
    fn open_rows(&self, sources: &Arc<Vec<String>>) -> Result<(WindowsReader<Mmap>, Sources)> {
        let mut rows = WindowsReader::open(&beside(&self.path, "arrow"))?;
        if rows.rows() != self.entry.windows {
            let message = format!("{} rows, but the manifest says {} windows", rows.rows(), self.entry.windows);
            return Err(corrupt(rows.file(), message));
        }
        rows.share(sources);
        let of = Sources::new(rows.sources(), sources, rows.file())?;
        Ok((rows, of))
    }

    /// Compares the digests where that was asked for and not yet done; `hash` reads the `.bin`.
    fn hash_once(&self, rows: &WindowsReader<Mmap>, hash: impl FnOnce() -> Result<Digest>) -> Result<()> {
        if self.hash_on_first_touch && !self.hashed.load(Ordering::Acquire) {
            check_digest(&self.path, hash()?, &self.entry.digest)?;
            rows.populate()?;
            check_digest(rows.file(), rows.digest()?, &self.entry.windows_digest)?;
            self.hashed.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Maps the shard unless that was done. Two threads may both map it; one map stays.
    pub(crate) fn touch(&self, sources: &Arc<Vec<String>>) -> Result<()> {
        if self.mapped.get().is_some() {
            return Ok(());
        }
        let (rows, of) = self.open_rows(sources)?;
        let bin = map(&self.path)?;
        check_size(&self.path, u64::try_from(bin.len()).unwrap_or(u64::MAX), self.entry.bytes)?;
        self.hash_once(&rows, || {
            populate(&bin, 0..bin.len(), &self.path)?;
            Ok(*blake3::hash(&bin).as_bytes())
        })?;
        let populated = (0..rows.batches()).map(|_| AtomicBool::new(false)).collect();
        self.mapped.set(Mapped { bin, rows, populated, sources: of });
        Ok(())
    }

    /// Opens the shard's files for reading by calls, beside and without its maps.
    pub(crate) fn files(&self, sources: &Arc<Vec<String>>) -> Result<(fs_err::File, WindowsFile, Sources)> {
        let (rows, of) = self.open_rows(sources)?;
        let bin = fs_err::File::open(&self.path)?;
        check_size(&self.path, bin.metadata()?.len(), self.entry.bytes)?;
        self.hash_once(&rows, || {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(&bin)?;
            Ok(*hasher.finalize().as_bytes())
        })?;
        Ok((bin, rows.into_file()?, of))
    }

    /// Window `i` of the shard: its row, and its source as an index into the manifest's sources.
    pub(crate) fn row(&self, i: u64, sources: &Arc<Vec<String>>) -> Result<(Row<'_>, u32)> {
        self.touch(sources)?;
        let mapped = self.mapped()?;
        mapped.rows.populate_row(i, &mapped.populated)?;
        let row = mapped.rows.row(i)?;
        Ok((row, mapped.sources.of(row.source, mapped.rows.file(), i)?))
    }

    /// Tokens of window `i` of the shard, brought into memory by a checked call.
    pub(crate) fn tokens(&self, i: u64, sources: &Arc<Vec<String>>) -> Result<Tokens<'_>> {
        self.touch(sources)?;
        let mapped = self.mapped()?;
        let outside = || corrupt(&self.path, format!("window {i} lies outside the file"));
        let range = self.bytes_of(i)?;
        let range =
            usize::try_from(range.start).map_err(|_| outside())?..usize::try_from(range.end).map_err(|_| outside())?;
        let bytes = mapped.bin.get(range.clone()).ok_or_else(outside)?;
        populate(&mapped.bin, range, &self.path)?;
        // A map begins at a page and windows are whole tokens, so this never fails.
        Tokens::from_bytes(bytes, self.shape.dtype).ok_or_else(outside)
    }

    /// The bytes of the `.bin` that hold window `i` of the shard.
    pub(crate) fn bytes_of(&self, i: u64) -> Result<std::ops::Range<u64>> {
        let each = self.shape.window_bytes();
        let end = i.checked_add(1).and_then(|next| next.checked_mul(each)).filter(|&end| end <= self.entry.bytes);
        let end = end.ok_or_else(|| corrupt(&self.path, format!("window {i} lies outside the file")))?;
        Ok(end - each..end)
    }

    /// Reads and hashes all three files.
    pub(crate) fn verify(&self) -> Result<()> {
        let (size, digest) = hash_file(&self.path)?;
        check_size(&self.path, size, self.entry.bytes)?;
        check_digest(&self.path, digest, &self.entry.digest)?;
        let index = beside(&self.path, "idx");
        check_digest(&index, hash_file(&index)?.1, &self.entry.index_digest)?;
        let rows = beside(&self.path, "arrow");
        let reader = WindowsReader::open(&rows)?;
        reader.populate()?;
        check_digest(&rows, reader.digest()?, &self.entry.windows_digest)
    }
}

fn check_size(file: &Path, found: u64, said: u64) -> Result<()> {
    if found == said { Ok(()) } else { Err(corrupt(file, format!("{found} bytes, but the manifest says {said}"))) }
}

fn check_digest(file: &Path, found: Digest, said: &str) -> Result<()> {
    let found = to_hex(&found);
    if found == said {
        Ok(())
    } else {
        Err(corrupt(file, format!("its digest is {found}, but the manifest says {said}: it was altered")))
    }
}

/// Size and BLAKE3 of a file, read as a stream: a file that shrinks meanwhile is an error, not a fault.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub fn hash_file(path: &Path) -> Result<(u64, Digest)> {
    let file = fs_err::File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok((hasher.count(), *hasher.finalize().as_bytes()))
}
