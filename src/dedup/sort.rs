//! Sorting fixed-size records under a memory limit: sorted runs on disk, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use rayon::slice::ParallelSliceMut;

use crate::error::Result;

/// Runs merged at a time: each costs an open file and a buffer.
const FAN_IN: usize = 64;

/// Bytes of a run's read buffer.
const READ: usize = 64 * 1024;

/// Gathers records and gives them back sorted by their bytes.
pub(crate) struct Sorter<const N: usize> {
    folder: PathBuf,
    name: String,
    capacity: usize,
    buffer: Vec<[u8; N]>,
    runs: Vec<PathBuf>,
    /// Runs written so far, merged ones included: their names are never used twice.
    written: usize,
}

impl<const N: usize> Sorter<N> {
    /// Holds about `memory` bytes of records; runs go to `folder`, under names that start with `name`.
    pub(crate) fn new(folder: &Path, name: &str, memory: u64) -> Self {
        let record = u64::try_from(N).unwrap_or(u64::MAX).max(1);
        let capacity = usize::try_from(memory / record).unwrap_or(usize::MAX).max(256);
        Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            capacity,
            buffer: Vec::new(),
            runs: Vec::new(),
            written: 0,
        }
    }

    pub(crate) fn push(&mut self, record: [u8; N]) -> Result<()> {
        if self.buffer.len() >= self.capacity {
            self.spill()?;
        }
        if self.buffer.len() == self.buffer.capacity() {
            // Doubling, but never beyond the limit.
            let more = self.buffer.len().max(1024).min(self.capacity - self.buffer.len());
            self.buffer.reserve_exact(more);
        }
        self.buffer.push(record);
        Ok(())
    }

    /// All records in order; sorted on all threads of the pool, so not to be called while holding a lock or inside a parallel loop.
    pub(crate) fn finish_parallel(mut self) -> Result<Sorted<N>> {
        self.buffer.par_sort_unstable();
        self.finish()
    }

    /// All records in order.
    pub(crate) fn finish(mut self) -> Result<Sorted<N>> {
        if self.runs.is_empty() {
            self.buffer.sort_unstable();
            return Ok(Sorted { memory: std::mem::take(&mut self.buffer).into_iter(), merge: None });
        }
        if !self.buffer.is_empty() {
            self.spill()?;
        }
        self.buffer = Vec::new();
        while self.runs.len() > FAN_IN {
            let first: Vec<PathBuf> = self.runs.drain(..FAN_IN).collect();
            let path = self.next_run();
            let mut out = BufWriter::with_capacity(READ, crate::files::File::create(&path)?);
            for record in Merge::<N>::open(first)? {
                out.write_all(&record?)?;
            }
            out.flush()?;
            self.runs.push(path);
        }
        let merge = Merge::open(std::mem::take(&mut self.runs))?;
        Ok(Sorted { memory: Vec::new().into_iter(), merge: Some(merge) })
    }

    fn spill(&mut self) -> Result<()> {
        self.buffer.sort_unstable();
        let path = self.next_run();
        let mut out = BufWriter::with_capacity(READ, crate::files::File::create(&path)?);
        for record in &self.buffer {
            out.write_all(record)?;
        }
        out.flush()?;
        self.runs.push(path);
        self.buffer.clear();
        Ok(())
    }

    fn next_run(&mut self) -> PathBuf {
        self.written += 1;
        self.folder.join(format!("{}.{}", self.name, self.written))
    }
}

/// Sorted records.
pub(crate) struct Sorted<const N: usize> {
    memory: std::vec::IntoIter<[u8; N]>,
    merge: Option<Merge<N>>,
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.merge {
            Some(merge) => merge.next(),
            None => self.memory.next().map(Ok),
        }
    }
}

/// Merges sorted files and removes them when done.
struct Merge<const N: usize> {
    runs: Vec<Records<N>>,
    heads: BinaryHeap<Reverse<([u8; N], usize)>>,
    paths: Vec<PathBuf>,
}

impl<const N: usize> Merge<N> {
    fn open(paths: Vec<PathBuf>) -> Result<Self> {
        let mut runs = Vec::with_capacity(paths.len());
        let mut heads = BinaryHeap::with_capacity(paths.len());
        for (at, path) in paths.iter().enumerate() {
            let mut run = Records::open(path)?;
            if let Some(head) = run.next() {
                heads.push(Reverse((head?, at)));
            }
            runs.push(run);
        }
        Ok(Self { runs, heads, paths })
    }
}

impl<const N: usize> Iterator for Merge<N> {
    type Item = Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((record, at)) = self.heads.pop()?;
        match self.runs.get_mut(at).and_then(Iterator::next) {
            Some(Ok(head)) => self.heads.push(Reverse((head, at))),
            Some(Err(error)) => return Some(Err(error)),
            None => {}
        }
        Some(Ok(record))
    }
}

impl<const N: usize> Drop for Merge<N> {
    fn drop(&mut self) {
        for path in &self.paths {
            // The folder goes as a whole in the end; what cannot be removed now goes then.
            let _ = crate::files::remove(path);
        }
    }
}

/// The records of a file, in file order.
pub(crate) struct Records<const N: usize> {
    file: BufReader<fs_err::File>,
}

impl<const N: usize> Records<N> {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self { file: BufReader::with_capacity(READ, fs_err::File::open(path)?) })
    }
}

impl<const N: usize> Iterator for Records<N> {
    type Item = Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = [0; N];
        let mut filled = 0;
        while let Some(rest) = record.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read(rest) {
                Ok(0) if filled == 0 => return None,
                Ok(0) => {
                    let path = self.file.get_ref().path().display().to_string();
                    return Some(Err(crate::error::Error::Failed(format!("{path}: ends within a record"))));
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
        Some(Ok(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: u64) -> Vec<[u8; 8]> {
        (0..count).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1000).to_be_bytes()).collect()
    }

    #[test]
    fn sorts_in_memory_and_on_disk_alike() {
        let folder = tempfile::tempdir().unwrap();
        for (count, memory) in [(0, 0), (100, 1 << 20), (5000, 0), (40_000, 0)] {
            let mut sorter = Sorter::<8>::new(folder.path(), "t", memory);
            let mut expected = numbers(count);
            for &record in &expected {
                sorter.push(record).unwrap();
            }
            expected.sort_unstable();
            let sorted: Result<Vec<_>> = sorter.finish().unwrap().collect();
            assert_eq!(sorted.unwrap(), expected);
            assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0, "runs are removed");
        }
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs_err::write(&path, [1, 2, 3]).unwrap();
        let mut records = Records::<2>::open(&path).unwrap();
        assert_eq!(records.next().unwrap().unwrap(), [1, 2]);
        assert!(records.next().unwrap().unwrap_err().to_string().contains("within a record"));
    }
}
