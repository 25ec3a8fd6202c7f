//! A source file as bytes at offsets, which notices when the file changes under it.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::curriculum::resolved::SourceFile;
use crate::{Error, Result};

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    inode: (u64, u64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            inode: (metadata.dev(), metadata.ino()),
        }
    }
}

/// An open source file. Reads name their offset, so clones of the handle do not disturb each other.
#[derive(Debug, Clone)]
pub struct SourceBytes {
    file: Arc<fs_err::File>,
    path: Arc<Path>,
    stamp: Stamp,
}

impl SourceBytes {
    /// Opens a file that must be the one that was found when the sources were listed, and with `stamp` also the one that
    /// was looked at before.
    ///
    /// # Errors
    /// A file that is gone, is no regular file, or has changed.
    pub fn open(source: &SourceFile, stamp: Option<Stamp>) -> Result<Self> {
        // Opening a pipe would wait for its writer: look before.
        let metadata = fs_err::metadata(&source.path)?;
        if !metadata.is_file() {
            return Err(fault(&source.path, "the file", "is not a regular file (a directory, a pipe or a device)"));
        }
        let file = fs_err::File::open(&source.path)?;
        let now = Stamp::of(&file.metadata()?);
        if now.bytes != source.bytes {
            let message = format!(
                "has {} bytes, and had {} when the sources were listed: it changed; start again when it is whole",
                now.bytes, source.bytes
            );
            return Err(fault(&source.path, "the file", message));
        }
        if stamp.is_some_and(|then| then != now) {
            return Err(fault(&source.path, "the file", CHANGED));
        }
        Ok(Self { file: Arc::new(file), path: Arc::from(source.path.as_path()), stamp: now })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.stamp.bytes
    }

    /// Its state when it was opened.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Whether it is still what it was when it was opened.
    pub fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| Stamp::of(&metadata) == self.stamp)
    }

    /// Refuses a file that has changed since it was opened.
    pub fn check_unchanged(&self) -> Result<()> {
        if self.is_unchanged() { Ok(()) } else { Err(fault(&self.path, "the file", CHANGED)) }
    }

    /// An error at a place in this file; that the file changed is said first, as it explains all others.
    pub fn fault(&self, place: impl Into<String>, message: impl Into<String>) -> Error {
        if self.is_unchanged() { fault(&self.path, place, message) } else { fault(&self.path, place, CHANGED) }
    }

    /// Fills `bytes` from `offset` on.
    pub fn fill_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.file().read_exact_at(bytes, offset)
    }

    /// Reads exactly `length` bytes at `offset`; nothing is allocated for a range that the file does not have.
    pub fn read_at(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let end = offset.checked_add(length).filter(|&end| end <= self.size());
        let Some(length) = usize::try_from(length).ok().filter(|_| end.is_some()) else {
            let message = format!(
                "the file has no {length} bytes at {offset}: it is truncated or damaged; copy or write it again"
            );
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        };
        let mut bytes = vec![0; length];
        self.fill_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The file from `offset` to its end, unbuffered.
    pub fn reader_at(&self, offset: u64) -> SourceReader {
        SourceReader { source: self.clone(), offset }
    }
}

const CHANGED: &str = "changed while it was read; start again when it is whole";

/// An error at a place in a source file.
pub fn fault(path: &Path, place: impl Into<String>, message: impl Into<String>) -> Error {
    Error::Source { file: PathBuf::from(path), place: place.into(), message: message.into() }
}

/// Reads a [`SourceBytes`] from an offset on. At the file's end it makes sure that the file is still the same.
#[derive(Debug)]
pub struct SourceReader {
    source: SourceBytes,
    offset: u64,
}

impl SourceReader {
    /// The offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.source.size().saturating_sub(self.offset);
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = match buffer.get_mut(..want) {
            Some(part) if want > 0 => self.source.file.file().read_at(part, self.offset)?,
            _ => 0,
        };
        let ended = left == 0 || (read == 0 && want > 0);
        if ended && !buffer.is_empty() && (left > 0 || !self.source.is_unchanged()) {
            return Err(io::Error::other(CHANGED));
        }
        self.offset += u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}

impl Length for SourceBytes {
    fn len(&self) -> u64 {
        self.size()
    }
}

impl ChunkReader for SourceBytes {
    type T = io::BufReader<SourceReader>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(io::BufReader::with_capacity(4096, self.reader_at(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.read_at(start, length).map(Bytes::from).map_err(|e| ParquetError::EOF(e.to_string()))
    }
}
