//! An `.arrow` read by calls, a row batch at a time.

use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::{MappedWindows, Row, outside};
use crate::error::{Error, Result};
use crate::read::read;

/// An open `.arrow` of which one row batch is in memory: no pages of a map pile up on the way through it, and once it is open, a
/// file that is cut is an error, where a map would fault. Rows are cheap in order.
pub struct WindowsFile {
    path: PathBuf,
    file: fs_err::File,
    layout: Layout,
    /// Number of the row batch in `body`.
    part: Option<usize>,
    body: Vec<u8>,
}

impl std::fmt::Debug for WindowsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowsFile").field("path", &self.path).field("part", &self.part).finish_non_exhaustive()
    }
}

impl WindowsFile {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened, [`Error::Corrupt`] when it is not such a file.
    pub fn open(path: &Path) -> Result<Self> {
        MappedWindows::open(path)?.into_file()
    }

    /// The file, as named in errors.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of windows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.layout.rows()
    }

    /// Fragments of all windows, as the headers of the row batches count them.
    #[must_use]
    pub fn fragments(&self) -> u64 {
        self.layout.fragments()
    }

    /// Source names that rows refer to; empty in a file without rows.
    #[must_use]
    pub fn sources(&self) -> &[String] {
        self.layout.sources()
    }

    /// Row `i`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] past the last row, [`Error::Io`] when its row batch cannot be read, [`Error::Corrupt`] when that was
    /// cut off or the row points outside.
    pub fn row(&mut self, i: u64) -> Result<Row<'_>> {
        self.row_of(i).map(|(row, _)| row)
    }

    /// Row `i`, and the file that it is of.
    pub(crate) fn row_of(&mut self, i: u64) -> Result<(Row<'_>, &Path)> {
        super::within(&self.path, i, self.rows())?;
        let (number, range) = self.layout.batch_of(i).ok_or_else(|| outside(&self.path, i))?;
        if self.part != Some(number) {
            self.part = None;
            self.body.resize(range.end - range.start, 0);
            let place = |at: usize| u64::try_from(at).unwrap_or(u64::MAX);
            read(&self.file, &self.path, place(range.start)..place(range.end), &mut self.body)?;
            self.part = Some(number);
        }
        let row = self.layout.row(&self.body, range.start, i).ok_or_else(|| outside(&self.path, i))?;
        Ok((row, &self.path))
    }
}

impl MappedWindows {
    /// The same file read by calls, without the map.
    pub(crate) fn into_file(self) -> Result<WindowsFile> {
        let Self { file: path, layout, bytes } = self;
        drop(bytes);
        let file = fs_err::File::open(&path).map_err(Error::Io)?;
        Ok(WindowsFile { path, file, layout, part: None, body: Vec::new() })
    }
}
