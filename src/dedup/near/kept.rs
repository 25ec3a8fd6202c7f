//! The documents that stayed so far, by bucket: what one chunk hands to the next ones, on disk.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::member::{Member, bytes};
use crate::dedup::sort::Records;
use crate::error::Result;

/// Bytes of a record: bucket, place under ≺, document, scope, priority, bytes, flags; big-endian.
const RECORD: usize = 41;

/// A document that stayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) bucket: u64,
    /// Its place under ≺ among all documents with candidates.
    pub(super) place: u64,
    pub(super) member: Member,
}

/// A file of kept documents, sorted by bucket, then place.
pub(super) struct KeptFile {
    folder: PathBuf,
    generation: u64,
}

impl KeptFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), generation: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("kept.{}", self.generation))
    }

    /// Those of these buckets (sorted), in file order.
    pub(super) fn of(&self, buckets: &[u64]) -> Result<Vec<Kept>> {
        let mut found = Vec::new();
        let mut buckets = buckets.iter().peekable();
        self.each(|kept| {
            while buckets.next_if(|&&bucket| bucket < kept.bucket).is_some() {}
            if buckets.peek() == Some(&&kept.bucket) {
                found.push(kept);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Replaces what the file says of `buckets` (sorted) by `now` (sorted by bucket, then place).
    pub(super) fn replace(&mut self, buckets: &[u64], now: impl Iterator<Item = Kept>) -> Result<()> {
        let next = Self { folder: self.folder.clone(), generation: self.generation + 1 };
        let mut out = BufWriter::new(crate::files::File::create(&next.path())?);
        let mut buckets = buckets.iter().peekable();
        let mut now = now.peekable();
        self.each(|kept| {
            while buckets.next_if(|&&bucket| bucket < kept.bucket).is_some() {}
            if buckets.peek() == Some(&&kept.bucket) {
                return Ok(());
            }
            while let Some(new) = now.next_if(|new| new.bucket < kept.bucket) {
                out.write_all(&record(&new))?;
            }
            out.write_all(&record(&kept))?;
            Ok(())
        })?;
        for new in now {
            out.write_all(&record(&new))?;
        }
        out.flush()?;
        if self.generation > 0 {
            crate::files::remove(&self.path())?;
        }
        *self = next;
        Ok(())
    }

    fn each(&self, mut each: impl FnMut(Kept) -> Result<()>) -> Result<()> {
        if self.generation == 0 {
            return Ok(());
        }
        for record in Records::<RECORD>::open(&self.path())? {
            each(parse(&record?))?;
        }
        Ok(())
    }
}

fn record(kept: &Kept) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&kept.bucket.to_be_bytes());
    record[8..16].copy_from_slice(&kept.place.to_be_bytes());
    record[16..24].copy_from_slice(&kept.member.document.to_be_bytes());
    record[24..28].copy_from_slice(&kept.member.scope.to_be_bytes());
    record[28..32].copy_from_slice(&kept.member.priority.to_be_bytes());
    record[32..40].copy_from_slice(&kept.member.bytes.to_be_bytes());
    record[40] = u8::from(kept.member.held_out) | u8::from(kept.member.exempt) << 1;
    record
}

fn parse(record: &[u8; RECORD]) -> Kept {
    Kept {
        bucket: u64::from_be_bytes(bytes(record, 0)),
        place: u64::from_be_bytes(bytes(record, 8)),
        member: Member {
            document: u64::from_be_bytes(bytes(record, 16)),
            scope: u32::from_be_bytes(bytes(record, 24)),
            priority: u32::from_be_bytes(bytes(record, 28)),
            bytes: u64::from_be_bytes(bytes(record, 32)),
            held_out: record[40] & 1 != 0,
            exempt: record[40] & 2 != 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bucket: u64, place: u64) -> Kept {
        let member = Member {
            document: place * 10,
            scope: 2,
            priority: 3,
            bytes: place,
            held_out: place.is_multiple_of(2),
            exempt: bucket == 5,
        };
        Kept { bucket, place, member }
    }

    #[test]
    fn replaces_some_buckets_and_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = KeptFile::new(folder.path());
        assert_eq!(file.of(&[1, 2]).unwrap(), []);
        let first = [kept(1, 0), kept(3, 0), kept(3, 1), kept(5, 2)];
        file.replace(&[1, 3, 5], first.into_iter()).unwrap();
        assert_eq!(file.of(&[0, 3, 4, 5, 9]).unwrap(), first[1..]);
        // Bucket 3 grows, 5 is finished, 0 and 9 are new.
        let second = [kept(0, 7), kept(3, 0), kept(3, 1), kept(3, 8), kept(9, 8)];
        file.replace(&[0, 3, 5, 9], second.into_iter()).unwrap();
        let all = [kept(0, 7), kept(1, 0), kept(3, 0), kept(3, 1), kept(3, 8), kept(9, 8)];
        assert_eq!(file.of(&[0, 1, 3, 5, 9]).unwrap(), all);
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    }
}
