//! The size of a source from samples of its files.
//!
//! Tokens per byte of file are taken as a ratio over all samples (the ratio estimator of survey sampling), multiplied by the
//! bytes of all files. What was read whole counts as it is. The spread is a 95 % interval from how much the samples differ,
//! with Student's factor for few of them, and shrinks as the part that was read grows; it says nothing of duplicates, which
//! only dedup can know.

use super::size::{Basis, SourceSize};

/// A run of rows read from one file, or a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Bytes of the file (as it lies on disk, compressed or not) that these rows came from.
    pub file_bytes: u64,
    /// Rows read.
    pub rows: u64,
    /// Bytes of text in the documents they gave.
    pub text_bytes: u64,
    /// Tokens, BOS and EOS counted.
    pub tokens: u64,
    /// Documents they gave.
    pub documents: u64,
}

/// What a source seems to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Its size in tokens and documents, with its spread.
    pub size: SourceSize,
    /// Rows in all its files.
    pub rows: u64,
    /// Bytes of text.
    pub text_bytes: u64,
    /// Bytes of all its files.
    pub file_bytes: u64,
    /// Part of those bytes that was read, from 0 to 1.
    pub seen: f64,
}

/// Estimates a source from samples that do not overlap. `file_bytes` are the bytes of all its files.
///
/// Samples should come from different places: several files, and head, middle and end of large ones. Where all bytes were
/// read the figures are exact (before dedup) and the spread is zero. Without a sample, or where the samples cover no byte,
/// nothing is known and the answer is `None`.
#[must_use]
pub fn estimate(samples: &[Sample], file_bytes: u64) -> Option<Estimate> {
    let sum = |of: fn(&Sample) -> u64| samples.iter().map(|sample| u128::from(of(sample))).sum::<u128>();
    let seen_bytes = sum(|sample| sample.file_bytes);
    if seen_bytes == 0 {
        return None;
    }
    let all = u128::from(file_bytes).max(seen_bytes);
    // Rounded half up; exact when everything was seen.
    let scaled = |seen: u128| {
        let product = seen.checked_mul(all);
        let total = product.map_or(u128::MAX, |product| (product + seen_bytes / 2) / seen_bytes);
        u64::try_from(total).unwrap_or(u64::MAX)
    };
    let seen = ratio(seen_bytes, all);
    Some(Estimate {
        size: SourceSize {
            tokens: scaled(sum(|sample| sample.tokens)),
            documents: Some(scaled(sum(|sample| sample.documents))),
            basis: Basis::Estimated,
            spread: if all == seen_bytes { 0.0 } else { spread(samples, seen) },
        },
        rows: scaled(sum(|sample| sample.rows)),
        text_bytes: scaled(sum(|sample| sample.text_bytes)),
        file_bytes: u64::try_from(all).unwrap_or(u64::MAX),
        seen,
    })
}

/// Half-width of a 95 % interval as a part of the estimate.
fn spread(samples: &[Sample], seen: f64) -> f64 {
    let count = samples.len();
    let bytes: f64 = samples.iter().map(|sample| sample.file_bytes as f64).sum();
    let tokens: f64 = samples.iter().map(|sample| sample.tokens as f64).sum();
    if count < 2 || tokens == 0.0 {
        return f64::INFINITY;
    }
    let ratio = tokens / bytes;
    let squares: f64 =
        samples.iter().map(|sample| (sample.tokens as f64 - ratio * sample.file_bytes as f64).powi(2)).sum();
    let variance = squares * count as f64 / (count as f64 - 1.0);
    student(count - 1) * variance.sqrt() / tokens * (1.0 - seen).max(0.0).sqrt()
}

/// Two-sided 95 % factor of Student's distribution.
fn student(freedom: usize) -> f64 {
    match freedom {
        0 => f64::INFINITY,
        1 => 12.71,
        2 => 4.30,
        3 => 3.18,
        4 => 2.78,
        5 => 2.57,
        6..=7 => 2.45,
        8..=9 => 2.31,
        10..=14 => 2.23,
        15..=29 => 2.13,
        _ => 2.05,
    }
}

fn ratio(part: u128, whole: u128) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(file_bytes: u64, tokens: u64) -> Sample {
        Sample { file_bytes, rows: file_bytes / 100, text_bytes: file_bytes * 3, tokens, documents: file_bytes / 200 }
    }

    #[test]
    fn what_was_read_whole_is_exact() {
        let estimate = estimate(&[sample(1000, 777), sample(3000, 2001)], 4000).unwrap();
        assert_eq!(estimate.size.tokens, 2778);
        assert_eq!(estimate.rows, 40);
        assert_eq!(estimate.size.spread, 0.0);
        assert_eq!(estimate.seen, 1.0);
        assert_eq!(estimate.size.at_most(), 2778);
    }

    #[test]
    fn samples_are_scaled_by_bytes() {
        let estimate = estimate(&[sample(1000, 500), sample(1000, 500)], 200_000).unwrap();
        assert_eq!(estimate.size.tokens, 100_000);
        assert_eq!(estimate.size.documents, Some(1000));
        assert_eq!(estimate.text_bytes, 600_000);
        assert_eq!(estimate.size.spread, 0.0);
    }

    #[test]
    fn one_sample_says_nothing_of_its_spread() {
        let estimate = estimate(&[sample(1000, 500)], 200_000).unwrap();
        assert!(estimate.size.spread.is_infinite());
        assert_eq!(estimate.size.at_most(), u64::MAX);
    }

    #[test]
    fn nothing_seen_is_nothing_known() {
        assert_eq!(estimate(&[], 10), None);
        assert_eq!(estimate(&[sample(0, 0)], 10), None);
    }

    /// Over many drawn populations the interval must hold the truth in about 95 of 100.
    #[test]
    fn the_interval_holds_the_truth() {
        let mut state = 7_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let mut held = 0;
        for _ in 0..400 {
            let blocks: Vec<Sample> = (0..200)
                .map(|_| {
                    let bytes = 500 + random() % 500;
                    sample(bytes, bytes * (50 + random() % 100) / 200)
                })
                .collect();
            let truth: u64 = blocks.iter().map(|block| block.tokens).sum();
            let bytes: u64 = blocks.iter().map(|block| block.file_bytes).sum();
            let found = estimate(&blocks[..8], bytes).unwrap();
            let distance = (found.size.tokens as f64 - truth as f64).abs();
            held += i32::from(distance <= found.size.spread * found.size.tokens as f64);
        }
        assert!((360..=400).contains(&held), "{held} of 400");
    }
}
