//! Candidates: documents whose signatures agree in a band, found by sorting.
//!
//! Band records (band hash, document) are divided by the hash's top bits into partitions, on disk unless there are few; each partition
//! is sorted by itself, and a run of equal hashes is a bucket. Buckets of one are dropped. A bucket is divided by scope, held-out documents standing in
//! each part; parts with the same documents (near-identical ones share every band) become one.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::bands::Bands;
use super::member::{self, UNKNOWN};
use super::signature;
use super::{NearDocument, NearDocuments};
use crate::dedup::sort::{Records, Sorted, Sorter};
use crate::error::{Error, Result};

/// Bytes of a band record.
pub(super) const RECORD: usize = 16;

/// Fewest partitions, which threads share, where there are so many bytes of records.
const FEWEST_PARTITIONS: u64 = 16;
const WORTHWHILE: u64 = 1 << 20;

/// Most partitions: each is an open file with a buffer while they are written.
const MOST_PARTITIONS: u64 = 256;

/// Bytes of a partition's write buffer.
const WRITE: u64 = 32 * 1024;

/// Bytes that a member of a bucket costs while the bucket is ordered.
const MEMBER: u64 = 160;

/// Records of a partition, and memberships, that a thread gathers before it takes the lock.
const TOGETHER: usize = 128;
const BATCH: usize = 4096;

/// Part of the band records.
pub(super) enum Partition {
    /// Few: hash and number of each.
    Memory(Vec<(u64, u64)>),
    /// A file of records, both numbers big-endian.
    File(PathBuf, BufWriter<crate::files::File>),
}

/// Divides the band records.
pub(super) fn write(documents: &dyn NearDocuments, bands: Bands, folder: &Path, memory: u64) -> Result<Vec<Partition>> {
    let count = documents.count();
    let records = count.saturating_mul(u64::from(bands.bands()));
    let bytes = records.saturating_mul(u64::try_from(RECORD).unwrap_or(u64::MAX));
    // A partition should fit into a thread's share of memory several times over.
    let least = if bytes < WORTHWHILE { 1 } else { FEWEST_PARTITIONS };
    let wanted = bytes.div_ceil((memory / 32).max(1 << 16)).max(least);
    let partitions = wanted.clamp(1, (memory / 4 / WRITE).clamp(1, MOST_PARTITIONS)).next_power_of_two();
    let shift = u64::BITS - partitions.ilog2();
    let mut parts = Vec::new();
    for partition in 0..partitions {
        // Lists that grow hold up to three times what is in them: those that outgrow their share.
        parts.push(Mutex::new(if bytes.saturating_mul(3) <= memory / 8 {
            let share = records / partitions;
            Partition::Memory(Vec::with_capacity(usize::try_from(share + share / 8).unwrap_or(0)))
        } else {
            let path = folder.join(format!("bands.{partition}"));
            let file = crate::files::File::create(&path)?;
            Partition::File(path, BufWriter::with_capacity(usize::try_from(WRITE).unwrap_or(1 << 15), file))
        }));
    }
    let divide = |part| {
        let mut gathered: Vec<Vec<(u64, u64)>> = vec![Vec::with_capacity(TOGETHER); parts.len()];
        documents.signatures(part, &mut |number, signature| {
            if number >= count {
                return Err(Error::Failed(format!("near duplicates: document {number} of {count}")));
            }
            if *signature == signature::EMPTY {
                return Ok(());
            }
            bands.hashes(signature).try_for_each(|hash| {
                let partition = usize::try_from(hash.checked_shr(shift).unwrap_or(0)).unwrap_or(0);
                let (Some(records), Some(of)) = (gathered.get_mut(partition), parts.get(partition)) else {
                    return Ok(());
                };
                records.push((hash, number));
                if records.len() < TOGETHER { Ok(()) } else { hand_over(records, of) }
            })
        })?;
        gathered.iter_mut().zip(&parts).try_for_each(|(records, of)| hand_over(records, of))
    };
    // The first error, whatever the threads. In which order a partition has its records means nothing.
    let done: Vec<Result<()>> = (0..documents.parts()).into_par_iter().map(divide).collect();
    done.into_iter().collect::<Result<()>>()?;
    let mut parts: Vec<Partition> =
        parts.into_iter().map(|part| part.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    for partition in &mut parts {
        if let Partition::File(_, file) = partition {
            file.flush()?;
        }
    }
    Ok(parts)
}

/// Adds records to a partition.
fn hand_over(gathered: &mut Vec<(u64, u64)>, partition: &Mutex<Partition>) -> Result<()> {
    match &mut *partition.lock().unwrap_or_else(PoisonError::into_inner) {
        Partition::Memory(records) => records.append(gathered),
        Partition::File(_, file) => gathered.drain(..).try_for_each(|(hash, number)| {
            file.write_all(&hash.to_be_bytes())?;
            file.write_all(&number.to_be_bytes())
        })?,
    }
    Ok(())
}

/// The memberships of all buckets, sorted by ≺; the partitions are removed on the way.
pub(super) fn members(
    documents: &dyn NearDocuments,
    partitions: Vec<Partition>,
    folder: &Path,
    memory: u64,
    threads: usize,
) -> Result<Sorted<{ member::RECORD }>> {
    let share = memory / 4 / u64::try_from(threads.max(1)).unwrap_or(u64::MAX);
    let sorter = Mutex::new(Sorter::new(folder, "members", memory / 8));
    partitions.into_par_iter().try_for_each(|partition| {
        let (largest, batch, bucket) = (share / MEMBER, Vec::new(), Vec::new());
        let mut buckets = Buckets { documents, largest, batch, out: &sorter, bucket, current: 0, mixed: None };
        match partition {
            Partition::Memory(mut records) => {
                records.sort_unstable();
                records.into_iter().try_for_each(|(hash, number)| buckets.take(hash, number))?;
            }
            Partition::File(path, _) => {
                buckets.file(&path, folder, share)?;
                crate::files::remove(&path)?;
            }
        }
        buckets.end()
    })?;
    sorter.into_inner().unwrap_or_else(PoisonError::into_inner).finish_parallel()
}

/// Turns one partition's runs of equal hashes into memberships.
struct Buckets<'a> {
    documents: &'a dyn NearDocuments,
    /// Most members of a bucket that is ordered in memory.
    largest: u64,
    batch: Vec<[u8; member::RECORD]>,
    out: &'a Mutex<Sorter<{ member::RECORD }>>,
    /// The documents of the bucket being read, and its hash.
    bucket: Vec<u64>,
    current: u64,
    /// Name of the bucket being read when it has outgrown memory.
    mixed: Option<u64>,
}

impl Buckets<'_> {
    /// All records of a file.
    fn file(&mut self, path: &Path, folder: &Path, memory: u64) -> Result<()> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut sorter = Sorter::<RECORD>::new(folder, &format!("{name}.run"), memory);
        for record in Records::<RECORD>::open(path)? {
            sorter.push(record?)?;
        }
        for record in sorter.finish()? {
            let record = record?;
            let hash = u64::from_be_bytes(member::bytes(&record, 0));
            self.take(hash, u64::from_be_bytes(member::bytes(&record, 8)))?;
        }
        Ok(())
    }

    /// The next record in order.
    fn take(&mut self, hash: u64, number: u64) -> Result<()> {
        if hash != self.current {
            self.close()?;
            self.current = hash;
        }
        if let Some(name) = self.mixed {
            return self.push_mixed(number, name);
        }
        // Two bands of one document may agree in their hash.
        if self.bucket.last() == Some(&number) {
            return Ok(());
        }
        self.bucket.push(number);
        if u64::try_from(self.bucket.len()).unwrap_or(u64::MAX) > self.largest.max(2) {
            let mut named = b"mixed".to_vec();
            named.extend_from_slice(&hash.to_be_bytes());
            let name = xxh3_64(&named);
            self.mixed = Some(name);
            for number in std::mem::take(&mut self.bucket) {
                self.push_mixed(number, name)?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.close()?;
        self.flush()
    }

    /// A member of a bucket that outgrew memory: neither ordered nor divided by scope.
    fn push_mixed(&mut self, number: u64, bucket: u64) -> Result<()> {
        let document = self.documents.document(number)?;
        self.push(member::record(number, &document, bucket, UNKNOWN))
    }

    fn close(&mut self) -> Result<()> {
        if self.mixed.take().is_some() || self.bucket.len() < 2 {
            self.bucket.clear();
            return Ok(());
        }
        let mut ranked = Vec::with_capacity(self.bucket.len());
        for number in self.bucket.drain(..) {
            let document = self.documents.document(number)?;
            ranked.push((member::rank(number, &document), number, document));
        }
        ranked.sort_unstable_by_key(|&(rank, ..)| rank);
        let mut scopes: Vec<u32> =
            ranked.iter().filter(|(_, _, d)| !d.held_out && !d.exempt).map(|(_, _, d)| d.scope).collect();
        scopes.sort_unstable();
        scopes.dedup();
        for scope in scopes {
            let part: Vec<(u64, NearDocument)> = ranked
                .iter()
                .filter(|(_, _, document)| document.held_out || document.scope == scope)
                .map(|&(_, number, document)| (number, document))
                .collect();
            if part.len() < 2 {
                continue;
            }
            // Named by its documents' keys: equal parts of other bands get the same name and meet in the sort.
            let mut name = Xxh3::new();
            name.update(&scope.to_be_bytes());
            for (_, document) in &part {
                name.update(&document.key.to_be_bytes());
            }
            let name = name.digest();
            let mut later = u32::try_from(part.len()).unwrap_or(UNKNOWN);
            for (number, document) in part {
                if later != UNKNOWN {
                    later = later.saturating_sub(1);
                }
                self.push(member::record(number, &document, name, later))?;
            }
        }
        Ok(())
    }

    fn push(&mut self, record: [u8; member::RECORD]) -> Result<()> {
        self.batch.push(record);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        self.batch.drain(..).try_for_each(|record| out.push(record))
    }
}
