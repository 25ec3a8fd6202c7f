//! `--memory` divided among those who need it.

use super::Options;
use crate::error::{Error, Result};
use crate::plan::number;

/// Shares of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of raw rows in one batch.
    pub batch_bytes: usize,
    /// Bytes of tokenized documents that one worker gathers.
    pub segment_bytes: usize,
}

/// What a batch may take beyond its own size: decoding holds pages, columns and line buffers at once.
const BATCH_FACTOR: u64 = 8;
/// Everything that is small: journals, tables, stacks.
const FIXED: u64 = 24 << 20;
const LEAST_SEGMENT: u64 = 4 << 20;
const MOST_SEGMENT: u64 = 512 << 20;

/// Divides what the tokenizer (already loaded: `resident` bytes) leaves.
pub fn split(options: &Options, resident: u64) -> Result<Budget> {
    let threads = options.threads as u64;
    let left = options.memory.saturating_sub(resident + FIXED) / threads.max(1);
    // A batch is a small part of a worker's share; the rest gathers documents, with room for what an encoder caches.
    let batch = (left / (4 * BATCH_FACTOR)).clamp(64 << 10, 1 << 20);
    let segment = (left.saturating_sub(batch * BATCH_FACTOR) / 2).min(MOST_SEGMENT);
    if segment < LEAST_SEGMENT {
        let floor = resident + FIXED + threads * (2 * LEAST_SEGMENT + BATCH_FACTOR * (64 << 10));
        return Err(Error::Curriculum {
            rendered: String::new(),
            summary: format!(
                "--memory {} is below the floor of {} (tokenizer {}, {} threads); give more, or fewer --threads",
                number::bytes(options.memory.into()),
                number::bytes(floor.into()),
                number::bytes(resident.into()),
                threads
            ),
        });
    }
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let segment = options.segment_bytes.map_or(segment, |asked| asked.clamp(1, segment));
    Ok(Budget { batch_bytes: size(batch), segment_bytes: size(segment) })
}

/// Resident memory of this process in bytes, where the system tells (Linux); else a cautious guess.
pub fn resident() -> u64 {
    let pages = fs_err::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.map_or(256 << 20, |pages| pages * 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_with_memory_and_a_floor_is_kept() {
        let options = |memory: u64, threads| Options {
            out: "out".into(),
            data: None,
            phases: Vec::new(),
            scale: num_traits::One::one(),
            thin: None,
            memory,
            threads,
            work: None,
            segment_bytes: None,
        };
        let small = split(&options(256 << 20, 2), 100 << 20).unwrap();
        let large = split(&options(4 << 30, 2), 100 << 20).unwrap();
        assert!(small.segment_bytes < large.segment_bytes && small.batch_bytes <= large.batch_bytes);
        let error = split(&options(130 << 20, 2), 120 << 20).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("below the floor"), "{error}");
    }
}
