//! What became of each document of a segment: one byte a row, in a file beside the segment.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::{self, File};

/// What became of a tokenized document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fate {
    /// It stays and is trained on.
    Survives = 0,
    /// An equal text was kept.
    Exact = 1,
    /// A similar text was kept.
    Near = 2,
    /// A similar text is held out.
    NearValidation = 3,
    /// It is held out.
    HeldOut = 4,
}

impl Fate {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// The fate that a byte stands for.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Survives, Self::Exact, Self::Near, Self::NearValidation, Self::HeldOut].get(usize::from(byte)).copied()
    }

    /// Its name in the ledger and in `removed.parquet`.
    #[must_use]
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Survives => "survived",
            Self::Exact => "exact",
            Self::Near => "near",
            Self::NearValidation => "near_validation",
            Self::HeldOut => "held_out",
        }
    }
}

/// The fates of one segment's rows. All survive until said otherwise. Rows may be set from several threads.
#[derive(Debug)]
pub struct Fates {
    file: File,
    path: PathBuf,
    rows: u64,
}

impl Fates {
    /// Begins anew: every row survives.
    pub fn create(path: &Path, rows: u64) -> Result<Self> {
        let partial = files::partial_name(path);
        let file = File::create_readable(&partial)?;
        file.grow(rows)?;
        files::rename(&partial, path)?;
        Ok(Self { file, path: path.to_owned(), rows })
    }

    /// Sets a row's fate.
    pub fn set(&self, row: u64, fate: Fate) -> Result<()> {
        debug_assert!(row < self.rows, "row {row} of {}", self.rows);
        self.file.write_over(&[fate as u8], row)?;
        Ok(())
    }

    /// Reads the fates of rows into `fates` (cleared first).
    pub fn read(&self, range: Range<u64>, fates: &mut Vec<Fate>) -> Result<()> {
        fates.clear();
        let count = range.end.min(self.rows).saturating_sub(range.start);
        let mut bytes = vec![0u8; usize::try_from(count).unwrap_or_default()];
        self.file.read_at(&mut bytes, range.start)?;
        for (i, byte) in bytes.iter().enumerate() {
            let fate = Fate::from_byte(*byte).ok_or_else(|| {
                Error::Failed(format!("{}: byte {} is no fate", self.path.display(), range.start + i as u64))
            })?;
            fates.push(fate);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fates_are_kept_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let fates = Fates::create(&folder.path().join("s.fate"), 5).unwrap();
        fates.set(1, Fate::HeldOut).unwrap();
        fates.set(4, Fate::Exact).unwrap();
        let mut read = Vec::new();
        fates.read(0..9, &mut read).unwrap();
        assert_eq!(read, [Fate::Survives, Fate::HeldOut, Fate::Survives, Fate::Survives, Fate::Exact]);
        fates.read(4..5, &mut read).unwrap();
        assert_eq!(read, [Fate::Exact]);
    }
}
