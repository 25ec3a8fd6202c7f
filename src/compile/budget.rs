//! `--memory` divided among those who need it.

use std::path::Path;

use super::Options;
use crate::error::{Error, Result};
use crate::ingest::decode::Limits;
use crate::plan::memory::{BATCH_FACTOR, DOCUMENT_FACTOR, LEAST_BATCH, LEAST_SEGMENT, least, taken};
use crate::plan::number;
use crate::sample;

/// Shares of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of raw rows in one batch.
    pub batch_bytes: usize,
    /// Bytes of tokenized documents that one worker gathers.
    pub segment_bytes: usize,
    /// Bytes of text of the longest document that can be taken in.
    pub document_bytes: u64,
    /// Bytes of the largest page of a table file that can be taken in.
    pub page_bytes: u64,
    /// Bytes of a line, page, record batch or text that every worker may hold at once; of larger ones there is one at a time.
    pub small_bytes: u64,
    /// Bytes for what comes after ingest, when encoders and batches are gone.
    pub free_bytes: u64,
}

const MOST_SEGMENT: u64 = 512 << 20;
const MOST_PAGE: u64 = 512 << 20;

/// Divides what the tokenizer leaves: `resident` bytes are taken, and each worker's encoder takes up to `encoder` more.
pub fn split(options: &Options, resident: u64, encoder: u64) -> Result<Budget> {
    let threads = (options.threads as u64).max(1);
    let (taken, least) = (taken(resident, encoder, threads), least(threads, 0));
    let Some(left) = options.memory.checked_sub(taken).filter(|left| *left >= least) else {
        return Err(Error::Curriculum {
            rendered: String::new(),
            summary: format!(
                "--memory {} is below the floor of {} (tokenizer {}, {} for each of {threads} threads); give more, or fewer --threads",
                number::bytes(options.memory.into()),
                number::bytes((taken + least).into()),
                number::bytes(resident.into()),
                number::bytes((encoder + LEAST_SEGMENT).into()),
            ),
        });
    };
    let batch = (left / (threads * 4 * BATCH_FACTOR)).clamp(LEAST_BATCH, 1 << 20);
    let rest = left - threads * batch * BATCH_FACTOR;
    let segments = (rest / 2).min(threads * MOST_SEGMENT).max(threads * LEAST_SEGMENT);
    let large = rest - segments;
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let segment = options.segment_bytes.map_or(segments / threads, |asked| asked.clamp(1, segments / threads));
    Ok(Budget {
        batch_bytes: size(batch),
        segment_bytes: size(segment),
        document_bytes: large / DOCUMENT_FACTOR,
        page_bytes: (large / 2).min(MOST_PAGE),
        small_bytes: (large / (4 * threads)).max(2 * batch),
        free_bytes: left,
    })
}

/// Bytes that loading a tokenizer takes for each byte of its file, about: the tree of its JSON, and the tables of two backends.
const TOKENIZER_FACTOR: u64 = 12;

/// Refuses a tokenizer file that memory has no room to load: what it takes is known only when it is loaded, and then it is
/// too late.
pub fn check_tokenizer(file: &Path, memory: u64) -> Result<()> {
    let bytes = fs_err::metadata(file)?.len();
    let taken = bytes.saturating_mul(TOKENIZER_FACTOR);
    if taken <= memory {
        return Ok(());
    }
    Err(Error::Tokenizer {
        file: file.to_owned(),
        message: format!(
            "to load its {} takes about {}, more than --memory {}; give more, or is this no tokenizer.json?",
            number::bytes(bytes.into()),
            number::bytes(taken.into()),
            number::bytes(memory.into())
        ),
    })
}

/// Bounds for looking into the sources' files with what `memory` has left.
#[must_use]
pub fn sampling_limits(memory: u64) -> Limits {
    sample::limits(Some(memory.saturating_sub(resident())))
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
            scratch: None,
            threads,
            work: None,
            segment_bytes: None,
        };
        let (resident, encoder) = (100 << 20, 10 << 20);
        let small = split(&options(256 << 20, 2), resident, encoder).unwrap();
        let large = split(&options(4 << 30, 2), resident, encoder).unwrap();
        assert!(small.segment_bytes < large.segment_bytes && small.batch_bytes <= large.batch_bytes);
        for (memory, threads) in [(256 << 20, 2), (300 << 20, 7), (4 << 30, 2), (64 << 30, 16)] {
            let b = split(&options(memory, threads), resident, encoder).unwrap();
            let workers = threads as u64 * (b.segment_bytes as u64 + BATCH_FACTOR * b.batch_bytes as u64 + encoder);
            let large = b.document_bytes * DOCUMENT_FACTOR;
            assert!(resident + crate::plan::memory::FIXED + workers + large <= memory, "{b:?} in {memory}");
        }
        let error = split(&options(160 << 20, 2), resident, encoder).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("below the floor"), "{error}");
    }
}
