//! Documents removed because of a similar text or a benchmark item, with their evidence, on scratch disk: there may be more of them
//! than memory holds.
//!
//! A record sorts as [`Removed`] does; all numbers are big-endian:
//!
//! ```text
//!  0 16  document      near:         21 16  kept           contaminated:  21  8  XXH3-64 of the detail
//! 16  4  source                      37  4  its source                    29  8  where the detail is in a file beside
//! 20  1  reason                      41  8  intersection                  37  4  its bytes
//!                                    49  8  union                         41  8  matched
//!                                    57  1  1 held out                    49  8  total
//! ```

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use fs_err::File;
use fs_err::os::unix::fs::FileExt;
use xxhash_rust::xxh3::xxh3_64;

use super::removed::{Reason, Removed};
use super::sort::{Records, Sorter};
use crate::error::{Error, Result};
use crate::files;

const RECORD: usize = 58;

const CONTAMINATED: u8 = 0;
const NEAR: u8 = 2;

/// Gathers removed documents.
pub struct EvidenceWriter {
    folder: PathBuf,
    sorter: Sorter<RECORD>,
    details: BufWriter<files::File>,
    /// Bytes of details so far.
    at: u64,
}

/// Removed documents, sorted.
#[derive(Debug)]
pub struct Evidence {
    sorted: PathBuf,
    details: PathBuf,
}

impl EvidenceWriter {
    /// Holds about `memory` bytes; files go to `folder`.
    pub fn create(folder: &Path, memory: u64) -> Result<Self> {
        let details = BufWriter::new(files::File::create(&folder.join("evidence.details"))?);
        Ok(Self { folder: folder.to_owned(), sorter: Sorter::new(folder, "evidence", memory), details, at: 0 })
    }

    /// Adds a document. Exact duplicates are kept elsewhere.
    pub fn push(&mut self, removed: &Removed) -> Result<()> {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
        let mut record = [0; RECORD];
        record[..16].copy_from_slice(&removed.document.to_be_bytes());
        record[16..20].copy_from_slice(&small(removed.source));
        match &removed.reason {
            Reason::Contaminated { detail, matched, total } => {
                self.details.write_all(detail.as_bytes())?;
                record[20] = CONTAMINATED;
                record[21..29].copy_from_slice(&xxh3_64(detail.as_bytes()).to_be_bytes());
                record[29..37].copy_from_slice(&self.at.to_be_bytes());
                record[37..41].copy_from_slice(&small(detail.len()));
                record[41..49].copy_from_slice(&matched.to_be_bytes());
                record[49..57].copy_from_slice(&total.to_be_bytes());
                self.at += detail.len() as u64;
            }
            Reason::Near { kept, kept_in, intersection, union, validation } => {
                record[20] = NEAR;
                record[21..37].copy_from_slice(&kept.to_be_bytes());
                record[37..41].copy_from_slice(&small(*kept_in));
                record[41..49].copy_from_slice(&intersection.to_be_bytes());
                record[49..57].copy_from_slice(&union.to_be_bytes());
                record[57] = u8::from(*validation);
            }
            Reason::Exact { .. } => {
                return Err(Error::Failed("an exact duplicate among other removals (a defect of Syllabus)".into()));
            }
        }
        self.sorter.push(record)
    }

    /// Sorts them.
    pub fn finish(mut self) -> Result<Evidence> {
        self.details.flush()?;
        let (sorted, details) = (self.folder.join("evidence"), self.folder.join("evidence.details"));
        let mut out = BufWriter::with_capacity(1 << 16, files::File::create(&sorted)?);
        for record in self.sorter.finish()? {
            out.write_all(&record?)?;
        }
        out.flush()?;
        Ok(Evidence { sorted, details })
    }
}

impl Evidence {
    /// All of them, in order.
    pub fn iter(&self) -> Result<impl Iterator<Item = Result<Removed>> + use<>> {
        let details = File::open(&self.details)?;
        Ok(Records::<RECORD>::open(&self.sorted)?.map(move |record| parse(&record?, &details)))
    }

    /// Removes the files.
    pub fn discard(self) -> Result<()> {
        files::remove(&self.sorted)?;
        Ok(files::remove(&self.details)?)
    }
}

fn parse(record: &[u8; RECORD], details: &File) -> Result<Removed> {
    fn field<const N: usize>(record: &[u8; RECORD], at: usize) -> [u8; N] {
        std::array::from_fn(|i| record[at + i])
    }
    let small = |at: usize| u32::from_be_bytes(field(record, at)) as usize;
    let large = |at: usize| u64::from_be_bytes(field(record, at));
    let reason = match record[20] {
        CONTAMINATED => {
            let mut detail = vec![0; small(37)];
            details.read_exact_at(&mut detail, large(29))?;
            let detail = String::from_utf8_lossy(&detail).into_owned();
            Reason::Contaminated { detail, matched: large(41), total: large(49) }
        }
        _ => Reason::Near {
            kept: u128::from_be_bytes(field(record, 21)),
            kept_in: small(37),
            intersection: large(41),
            union: large(49),
            validation: record[57] == 1,
        },
    };
    Ok(Removed { document: u128::from_be_bytes(field(record, 0)), source: small(16), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_sorted_whatever_memory_holds() {
        let removed = |i: u64| {
            let document = u128::from(i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 3001) << 77;
            let source = usize::try_from(i % 3).unwrap();
            let reason = if i.is_multiple_of(4) {
                Reason::Contaminated { detail: format!("item {document} \"é\""), matched: 1 + i % 5, total: 9 }
            } else {
                let kept = u128::MAX - u128::from(i);
                Reason::Near { kept, kept_in: 2, intersection: 80 + i, union: 100 + i, validation: i.is_multiple_of(7) }
            };
            Removed { document, source, reason }
        };
        let mut expected: Vec<Removed> = (0..5000).map(removed).collect();
        for memory in [0, 1 << 20] {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = EvidenceWriter::create(folder.path(), memory).unwrap();
            expected.iter().for_each(|removed| writer.push(removed).unwrap());
            let evidence = writer.finish().unwrap();
            let found: Vec<Removed> = evidence.iter().unwrap().map(Result::unwrap).collect();
            let key = |r: &Removed| (r.document, r.source, matches!(r.reason, Reason::Near { .. }));
            assert!(found.is_sorted_by_key(key));
            let again: Vec<Removed> = evidence.iter().unwrap().map(Result::unwrap).collect();
            assert_eq!(found, again);
            let mut found = found;
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected);
            evidence.discard().unwrap();
            assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn exact_duplicates_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EvidenceWriter::create(folder.path(), 0).unwrap();
        let exact = Removed { document: 1, source: 0, reason: Reason::Exact { kept_in: 0 } };
        assert!(writer.push(&exact).is_err());
    }
}
