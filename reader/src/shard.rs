//! A shard as the reader sees it: mapped when first touched, compared with the manifest before anything is read.

use std::path::{Component, Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Error, Result};
use crate::format::digest::{Digest, to_hex};
use crate::format::manifest::Shard;
use crate::format::windows::{Row, WindowsReader};
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
    fn window_bytes(self) -> u64 {
        u64::from(self.window_tokens) * u64::from(self.dtype.width_u8())
    }
}

#[derive(Debug)]
struct Mapped {
    bin: Mmap,
    rows: WindowsReader<Mmap>,
    /// Source of each entry of the file's dictionary, as an index into the manifest's sources.
    sources: Vec<u32>,
}

/// A shard of an opened dataset.
#[derive(Debug)]
pub(crate) struct OpenShard {
    /// The `.bin`.
    pub(crate) path: PathBuf,
    pub(crate) entry: Shard,
    /// Windows of its set before it.
    pub(crate) first_window: u64,
    shape: Shape,
    hash_on_first_touch: bool,
    mapped: OnceBox<Mapped>,
}

fn corrupt(file: &Path, message: String) -> Error {
    Error::Corrupt { file: file.to_owned(), message }
}

impl OpenShard {
    /// Compares the files' sizes with the manifest. Maps nothing.
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
        check_size(&path, fs_err::metadata(&path)?.len(), entry.bytes)?;
        fs_err::metadata(beside(&path, "arrow"))?;
        Ok(Self { path, entry, first_window, shape, hash_on_first_touch, mapped: OnceBox::new() })
    }

    fn mapped(&self) -> Result<&Mapped> {
        self.mapped.get().map_or_else(|| Err(corrupt(&self.path, "not mapped".to_owned())), Ok)
    }

    /// Maps the shard unless that was done. Two threads may both map it; one map stays.
    pub(crate) fn touch(&self, sources: &[String]) -> Result<()> {
        if self.mapped.get().is_some() {
            return Ok(());
        }
        let rows = WindowsReader::open(&beside(&self.path, "arrow"))?;
        if rows.rows() != self.entry.windows {
            let message = format!("{} rows, but the manifest says {} windows", rows.rows(), self.entry.windows);
            return Err(corrupt(rows.file(), message));
        }
        let index = |name: &String| {
            let position = sources.iter().position(|source| source == name);
            position
                .and_then(|i| u32::try_from(i).ok())
                .ok_or_else(|| corrupt(rows.file(), format!("source `{name}` is not in the manifest")))
        };
        let sources = rows.sources().iter().map(index).collect::<Result<Vec<_>>>()?;
        let bin = map(&self.path)?;
        check_size(&self.path, u64::try_from(bin.len()).unwrap_or(u64::MAX), self.entry.bytes)?;
        if self.hash_on_first_touch {
            populate(&bin, 0..bin.len(), &self.path)?;
            check_digest(&self.path, *blake3::hash(&bin).as_bytes(), &self.entry.digest)?;
            check_digest(rows.file(), rows.digest()?, &self.entry.windows_digest)?;
        }
        self.mapped.set(Mapped { bin, rows, sources });
        Ok(())
    }

    /// Window `i` of the shard: its row, and its source as an index into the manifest's sources.
    pub(crate) fn row(&self, i: u64, sources: &[String]) -> Result<(Row<'_>, u32)> {
        self.touch(sources)?;
        let mapped = self.mapped()?;
        let row = mapped.rows.row(i)?;
        let source = usize::try_from(row.source).ok().and_then(|source| mapped.sources.get(source)).copied();
        let source = source.ok_or_else(|| corrupt(mapped.rows.file(), format!("row {i} names no source")))?;
        Ok((row, source))
    }

    /// Tokens of window `i` of the shard, brought into memory by a checked call.
    pub(crate) fn tokens(&self, i: u64, sources: &[String]) -> Result<Tokens<'_>> {
        self.touch(sources)?;
        let mapped = self.mapped()?;
        let outside = || corrupt(&self.path, format!("window {i} lies outside the file"));
        let each = self.shape.window_bytes();
        let start = i.checked_mul(each).ok_or_else(outside)?;
        let end = start.checked_add(each).ok_or_else(outside)?;
        let range = usize::try_from(start).map_err(|_| outside())?..usize::try_from(end).map_err(|_| outside())?;
        let bytes = mapped.bin.get(range.clone()).ok_or_else(outside)?;
        populate(&mapped.bin, range, &self.path)?;
        // A map begins at a page and windows are whole tokens, so this never fails.
        Tokens::from_bytes(bytes, self.shape.dtype).ok_or_else(outside)
    }

    /// Reads and hashes all three files.
    pub(crate) fn verify(&self) -> Result<()> {
        let (size, digest) = hash_file(&self.path)?;
        check_size(&self.path, size, self.entry.bytes)?;
        check_digest(&self.path, digest, &self.entry.digest)?;
        let index = beside(&self.path, "idx");
        check_digest(&index, hash_file(&index)?.1, &self.entry.index_digest)?;
        let rows = beside(&self.path, "arrow");
        check_digest(&rows, WindowsReader::open(&rows)?.digest()?, &self.entry.windows_digest)
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
