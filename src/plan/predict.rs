//! What a compile will need: disk for output and scratch, memory, and time.
//!
//! Output:
//! - `.bin`: windows × W × the token's width
//! - `.idx`: 34 bytes a shard, and 20 for each fragment (length, offset, document); a window begins one fragment and every
//!   document one more
//! - `.arrow`: 12 bytes a window and 32 a fragment
//!
//! Scratch: every source's tokens once, at the token's width, with [`DOCUMENT_BYTES`] a document, and its signature where near
//! duplicates are sought; beside that, one after the other, what the search for them sorts, and the largest source once more
//! while its many segments are compacted.
//!
//! Memory floor: see [`memory`]; the tokenizer is taken for as many times its file as [`TOKENIZER_TIMES`].

use serde::Serialize;
use syllabus_reader::format::TokenDtype;

use super::{Plan, memory};
use crate::dedup::near::NearOptions;
use crate::dedup::near::signature::Signature;

/// Bytes that a document adds to its segment's index: key, place, length.
pub const DOCUMENT_BYTES: u64 = 32;
/// The process itself, with nothing loaded.
pub const PROCESS_BYTES: u64 = 28 << 20;
/// A loaded tokenizer measures about so many times its file (vocabulary, merges, caches, both backends at the probe).
pub const TOKENIZER_TIMES: u64 = 12;
/// Tokens that a range holds at most, on average.
pub const RANGE_TOKENS: u64 = 64 << 20;
/// A document's mean length in tokens where nothing was read.
const MEAN_DOCUMENT: u64 = 1000;
/// Bytes of text of a token where nothing was read.
const TEXT_BYTES: u64 = 4;

/// What is known of a source's bulk; `None` where nothing was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Documents that will be tokenized.
    pub documents: Option<u64>,
    /// Their text in bytes.
    pub text_bytes: Option<u64>,
    /// The largest document seen, in bytes of text.
    pub largest_document: Option<u64>,
}

/// What is to be predicted with.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Width of a token.
    pub dtype: TokenDtype,
    /// What is known of each source, in declaration order.
    pub volumes: Vec<Volume>,
    /// Size of `tokenizer.json` in bytes.
    pub tokenizer_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// What one thread's encoder holds at most, in bytes.
    pub encoder_bytes: u64,
    /// Text that one thread ingests in a second, in bytes, where it was measured.
    pub ingest_rate: Option<f64>,
    /// Output that one thread writes in a second, in bytes, where it was measured.
    pub emit_rate: Option<f64>,
    /// How near duplicates are sought.
    pub near: Option<NearOptions>,
}

/// How near duplicates are found, and what that takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NearPrediction {
    /// Bands of a signature.
    pub bands: u32,
    /// Values of a band.
    pub rows: u32,
    /// With which probability a pair of documents is found, by its similarity.
    pub curve: [Found; 4],
    /// Signatures of all documents, in bytes.
    pub signature_bytes: u64,
    /// What the search sorts on disk at most, in bytes.
    pub search_bytes: u64,
}

/// A point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Found {
    /// Similarity of two documents.
    pub similarity: f64,
    /// Probability that they are compared.
    pub probability: f64,
}

/// What a compile will need.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Prediction {
    /// `.bin` files, in bytes.
    pub bin_bytes: u64,
    /// `.idx` files, in bytes.
    pub idx_bytes: u64,
    /// `.arrow` files, in bytes.
    pub arrow_bytes: u64,
    /// Scratch at its fullest, in bytes.
    pub scratch_bytes: u64,
    /// The smallest `--memory` that can be given, in bytes.
    pub memory_floor: u64,
    /// Text that will be tokenized, in bytes.
    pub text_bytes: u64,
    /// Time from start to end in seconds, where it was measured.
    pub seconds: Option<f64>,
    /// The search for near duplicates, where they are sought.
    pub near: Option<NearPrediction>,
}

impl Prediction {
    /// All files of the dataset but the small ones.
    #[must_use]
    pub fn output_bytes(&self) -> u64 {
        self.bin_bytes.saturating_add(self.idx_bytes).saturating_add(self.arrow_bytes)
    }
}

/// Predicts what a compile of a plan will need.
#[must_use]
pub fn predict(plan: &Plan, with: &Conditions) -> Prediction {
    let width = with.dtype.width() as u128;
    let volume = |source: usize| with.volumes.get(source).copied().unwrap_or_default();
    let documents = |source: usize| {
        let size = plan.sources[source].size;
        u128::from(volume(source).documents.or(size.documents).unwrap_or(size.tokens / MEAN_DOCUMENT).max(1))
    };
    let mut bin = 0_u128;
    let mut idx = 0_u128;
    let mut arrow = 0_u128;
    for phase in &plan.phases {
        let mut fragments = 0_u128;
        for (source, windows) in phase.source_windows.iter().enumerate() {
            let tokens = u128::from(*windows) * u128::from(phase.window_tokens);
            let unique = u128::from(plan.sources[source].size.tokens).max(1);
            fragments += u128::from(*windows) + (tokens * documents(source)).div_ceil(unique);
        }
        let windows = u128::from(phase.windows);
        bin += windows * u128::from(phase.window_tokens) * width;
        idx += u128::from(phase.shards()) * 34 + fragments * 20;
        arrow += windows * 12 + fragments * 32;
    }
    let mut scratch = 0_u128;
    let mut largest_source = 0;
    let mut text = 0_u128;
    let mut in_ranges = 0_u128;
    let mut all_documents = 0_u128;
    for (source, of) in plan.sources.iter().enumerate() {
        let tokens = u128::from(of.size.tokens);
        let bytes = tokens * width + documents(source) * u128::from(DOCUMENT_BYTES);
        scratch += bytes;
        all_documents += documents(source);
        largest_source = bytes.max(largest_source);
        text += volume(source).text_bytes.map_or(tokens * u128::from(TEXT_BYTES), u128::from);
        let range = u128::from(RANGE_TOKENS);
        let in_range = if tokens <= range { documents(source) } else { (documents(source) * range).div_ceil(tokens) };
        in_ranges += in_range;
    }
    let bounded = |bytes: u128| u64::try_from(bytes).unwrap_or(u64::MAX);
    let near = with.near.map(|options| {
        let documents = bounded(all_documents);
        NearPrediction {
            bands: options.bands.bands(),
            rows: options.bands.rows(),
            curve: options.bands.curve().map(|(similarity, probability)| Found { similarity, probability }),
            signature_bytes: documents.saturating_mul(size_of::<Signature>() as u64),
            search_bytes: options.scratch_bytes(documents),
        }
    });
    scratch += near.map_or(0, |near| u128::from(near.signature_bytes));
    let passing = largest_source.max(near.map_or(0, |near| u128::from(near.search_bytes)));
    let threads = with.threads.max(1);
    let floor = memory::floor(
        with.tokenizer_bytes.saturating_mul(TOKENIZER_TIMES).saturating_add(PROCESS_BYTES),
        with.encoder_bytes,
        threads,
        with.volumes.iter().filter_map(|volume| volume.largest_document).max().unwrap_or(0),
        bounded(in_ranges),
    );
    let spent = |bytes: u128, rate: Option<f64>| {
        rate.filter(|rate| *rate > 0.0).map(|rate| bytes as f64 / (rate * threads as f64))
    };
    let seconds =
        spent(text, with.ingest_rate).map(|ingest| ingest + spent(bin + idx + arrow, with.emit_rate).unwrap_or(0.0));
    Prediction {
        bin_bytes: bounded(bin),
        idx_bytes: bounded(idx),
        arrow_bytes: bounded(arrow),
        scratch_bytes: bounded(scratch + passing),
        memory_floor: floor,
        text_bytes: bounded(text),
        seconds,
        near,
    }
}

#[cfg(test)]
mod tests {
    use num_rational::BigRational;
    use num_traits::One;

    use super::*;
    use crate::plan::fixture::{curriculum, flat, phase, source};
    use crate::plan::{SourceSize, draft};

    /// Every figure worked out by hand.
    #[test]
    fn figures_follow_from_their_formulas() {
        let mut phase = phase("p", 64_000, flat(&[(0, "3"), (1, "1")]), None);
        phase.sequence_length = 64;
        let curriculum = curriculum(vec![source("a", None, 0), source("b", None, 0)], vec![phase]);
        let sizes = [SourceSize::counted(100_000, 500), SourceSize::counted(50_000, 100)];
        let plan = draft(&curriculum, &sizes, &BigRational::one(), 2).unwrap();
        assert_eq!(plan.phases[0].source_windows, [750, 250]);
        let seen = Volume { documents: Some(500), text_bytes: Some(400_000), largest_document: Some(9_000) };
        let mut conditions = Conditions {
            dtype: TokenDtype::U16,
            volumes: vec![seen],
            tokenizer_bytes: 1000,
            threads: 2,
            encoder_bytes: 5000,
            ingest_rate: Some(1000.0),
            emit_rate: Some(100.0),
            near: None,
        };
        let found = predict(&plan, &conditions);
        // 750 and 250 windows begin fragments; so do 750 × 65 / 200 and 250 × 65 / 500 documents, rounded up.
        let fragments = 750 + 244 + 250 + 33;
        assert_eq!(found.bin_bytes, 1000 * 65 * 2);
        assert_eq!(found.idx_bytes, 34 + fragments * 20);
        assert_eq!(found.arrow_bytes, 1000 * 12 + fragments * 32);
        assert_eq!(found.scratch_bytes, 2 * (100_000 * 2 + 500 * 32) + 50_000 * 2 + 100 * 32);
        let mib = 1 << 20;
        assert_eq!(found.memory_floor, 12 * 1000 + (28 + 32) * mib + 2 * (5000 + mib / 2) + 2 * 16 * mib);
        assert_eq!(found.text_bytes, 400_000 + 200_000);
        let seconds = 600_000.0 / 2000.0 + found.output_bytes() as f64 / 200.0;
        assert_eq!(found.seconds, Some(seconds));

        let threshold = crate::dedup::near::Threshold::new(8, 10).unwrap();
        let bands = crate::dedup::near::Bands::for_threshold(threshold);
        conditions.near = Some(NearOptions { threshold, shingle: 5, bands });
        let sought = predict(&plan, &conditions);
        let near = sought.near.unwrap();
        assert_eq!((near.bands, near.rows), (16, 8));
        let curve = near.curve.map(|found| (found.similarity, (found.probability * 1000.0).round() / 1000.0));
        assert_eq!(curve, [(0.6, 0.237), (0.7, 0.613), (0.8, 0.947), (0.9, 1.0)]);
        // 600 documents of 128 values of two bytes; a record of 16 bytes for each band, and twice one of 54.
        assert_eq!(near.signature_bytes, 600 * 256);
        assert_eq!(near.search_bytes, 600 * 16 * (16 + 2 * 54));
        let largest = 100_000 * 2 + 500 * 32;
        assert_eq!(sought.scratch_bytes, found.scratch_bytes - largest + near.signature_bytes + near.search_bytes);
    }
}
