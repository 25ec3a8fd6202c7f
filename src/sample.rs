//! Sources measured by samples of their files, for planning before anything is compiled.

use std::sync::Arc;
use std::time::Instant;

use crate::curriculum::Resolved;
use crate::curriculum::checked::TextRule;
use crate::curriculum::resolved::SourceFile;
use crate::error::{Error, Result};
use crate::ingest::decode::{self, Content, Limits, ReadSpec, Room};
use crate::ingest::{Thin, Verdict, judge};
use crate::plan::SourceSize;
use crate::plan::estimate::{Sample, estimate};
use crate::plan::memory::{DOCUMENT_FACTOR, LEAST_LARGE};
use crate::plan::predict::Volume;
use crate::tokenize::contract::{self, Loaded};
use crate::tokenize::file::TokenizerFile;
use crate::tokenize::{Contract, Tokenizer};

/// Files of a source that are looked into.
const FILES: usize = 8;
/// Bytes of rows read of each.
const BYTES: u64 = 1 << 20;
/// Texts of a source that the tokenizer's judge sees, and from how many files and how many of each they are chosen.
const JUDGED: usize = 16;
/// Bytes of them: a share of the source's files (one in so many), and its bounds. The judge encodes some
/// two million bytes a second, so a small corpus should not wait for it.
const JUDGED_SHARE: u64 = 1 << 10;
const JUDGED_LEAST: u64 = 16 << 10;
const JUDGED_MOST: u64 = 128 << 10;
const JUDGED_FILES: usize = 4;
const JUDGED_TEXTS: usize = 32;

/// What samples tell.
#[derive(Debug)]
pub struct Sampled {
    /// Estimated sizes, in declaration order.
    pub sizes: Vec<SourceSize>,
    /// What they weigh.
    pub volumes: Vec<Volume>,
    /// Bytes of text that one thread reads and tokenizes in a second.
    pub ingest_rate: Option<f64>,
    /// What one thread's encoder holds at most, in bytes.
    pub encoder_bytes: u64,
    /// The tokenizer's contract.
    pub contract: Contract,
}

/// Loads the tokenizer and lets the reference judge it on texts of every source.
pub fn tokenizer(resolved: &Resolved, limits: Limits) -> Result<Loaded> {
    let samples = || Ok(judged(resolved, limits));
    let file = TokenizerFile::read(&resolved.tokenizer)?;
    let mut loaded = contract::unjudged(&file, &resolved.curriculum.tokenizer, &samples)?;
    loaded.judge()?;
    Ok(loaded)
}

/// Texts of every source for the tokenizer's judge, each with its source's name: the first of a few files, of those the ones
/// with the smallest keys. A file that cannot be read, or not within `limits`, has none: whoever reads all of it says why.
#[must_use]
pub fn judged(resolved: &Resolved, limits: Limits) -> Vec<(String, String)> {
    let mut samples = Vec::new();
    for (source, files) in resolved.curriculum.sources.iter().zip(&resolved.files) {
        let spec = Arc::new(ReadSpec::of_source(source, limits));
        let most = judged_bytes(files);
        let mut texts = Vec::new();
        // Ids that were there before are not the backend's.
        if source.tokenized.is_some() {
            continue;
        }
        for file in files.iter().step_by(files.len().div_ceil(JUDGED_FILES).max(1)) {
            // They are chosen among four times as much.
            texts.extend(decode::texts(file, &spec, JUDGED_TEXTS, most * 4).unwrap_or_default());
        }
        texts.sort_by_cached_key(|text| crate::ingest::key(text));
        texts.truncate(JUDGED);
        let mut left = usize::try_from(most).unwrap_or(usize::MAX);
        texts.retain_mut(|text| {
            text.truncate(text.floor_char_boundary(left));
            left -= text.len();
            !text.is_empty()
        });
        samples.extend(texts.into_iter().map(|text| (source.name.clone(), text)));
    }
    samples
}

/// Bytes of a source that the judge should see.
#[must_use]
pub fn judged_bytes(files: &[SourceFile]) -> u64 {
    let stored: u64 = files.iter().map(|file| file.bytes).sum();
    (stored / JUDGED_SHARE).clamp(JUDGED_LEAST, JUDGED_MOST)
}

/// Bounds for reading the heads of files; where memory is limited, with so many bytes of it left.
#[must_use]
pub fn limits(left: Option<u64>) -> Limits {
    let usual = Limits { batch_bytes: 256 << 10, ..Limits::default() };
    let Some(left) = left else { return usual };
    // One large piece at a time, in half of what is left: the rest is for what is made of it.
    let large = (left / 2).max(LEAST_LARGE);
    Limits {
        max_page_bytes: usual.max_page_bytes.min(large / 2),
        held_document_bytes: large / DOCUMENT_FACTOR,
        small_piece_bytes: usual.small_piece_bytes.min(large / 16),
        ..usual
    }
}

/// Samples every source.
pub fn sample(resolved: &Resolved, threads: usize, limits: Limits) -> Result<Sampled> {
    let loaded = tokenizer(resolved, limits)?;
    let room = Room::default();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::Failed(format!("cannot start {threads} threads: {e}")))?;
    let mut sampled = Sampled {
        sizes: Vec::new(),
        volumes: Vec::new(),
        ingest_rate: None,
        encoder_bytes: loaded.tokenizer.encoder_bytes(),
        contract: loaded.contract.clone(),
    };
    let (mut bytes, mut seconds) = (0u64, 0f64);
    for (source, files) in resolved.curriculum.sources.iter().zip(&resolved.files) {
        let spec = Arc::new(ReadSpec::of_source(source, limits).sharing(&room));
        let chosen: Vec<_> = files.iter().step_by(files.len().div_ceil(FILES).max(1)).collect();
        let measured: Vec<Result<Measured>> = pool.install(|| {
            use rayon::prelude::*;
            chosen
                .par_iter()
                .map(|file| measure(file, &spec, &source.rules, &*loaded.tokenizer, &loaded.contract))
                .collect()
        });
        let measured = measured.into_iter().collect::<Result<Vec<Measured>>>()?;
        let samples: Vec<Sample> = measured.iter().filter_map(|m| m.sample).collect();
        let file_bytes = files.iter().map(|file| file.bytes).sum();
        let estimate = estimate(&samples, file_bytes)
            .ok_or_else(|| Error::Failed(format!("source `{}`: no document in its first rows", source.name)))?;
        bytes += measured.iter().map(|m| m.text_bytes).sum::<u64>();
        seconds += measured.iter().map(|m| m.seconds).sum::<f64>();
        sampled.sizes.push(estimate.size);
        sampled.volumes.push(Volume {
            documents: estimate.size.documents,
            text_bytes: Some(estimate.text_bytes),
            largest_document: measured.iter().map(|m| m.largest).max(),
        });
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate that is shown with three digits")]
    let rate = bytes as f64 / seconds.max(1e-6);
    sampled.ingest_rate = (bytes > 0).then_some(rate);
    Ok(sampled)
}

struct Measured {
    sample: Option<Sample>,
    text_bytes: u64,
    largest: u64,
    seconds: f64,
}

/// Reads, judges and tokenizes the first rows of a file.
fn measure(
    file: &SourceFile,
    spec: &Arc<ReadSpec>,
    rules: &[TextRule],
    tokenizer: &dyn Tokenizer,
    contract: &Contract,
) -> Result<Measured> {
    let started = Instant::now();
    let mut encoder = tokenizer.encoder();
    let framing = u64::from(contract.bos_id.is_some()) + u64::from(contract.eos_id.is_some());
    let mut ids = Vec::new();
    let mut sum = Sample { file_bytes: 0, rows: 0, text_bytes: 0, tokens: 0, documents: 0 };
    let mut largest = 0;
    let seen = decode::estimate(file, spec, BYTES, &mut |content| {
        let text = match content {
            Content::Text(text) => text,
            Content::Ids(ids) => {
                // Some may get a BOS or EOS that they lack: not worth a look at each.
                sum.documents += 1;
                sum.tokens += ids.len() as u64;
                let bytes = (ids.len() * contract.dtype.width()) as u64;
                sum.text_bytes += bytes;
                largest = largest.max(bytes);
                return Ok(());
            }
        };
        if let Verdict::Document(_) = judge(text, rules, Thin::new(None)) {
            ids.clear();
            encoder.encode(text, &mut ids)?;
            sum.documents += 1;
            sum.text_bytes += text.len() as u64;
            sum.tokens += ids.len() as u64 + framing;
            largest = largest.max(text.len() as u64);
        }
        Ok(())
    })?;
    sum.rows = seen.rows;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the file's size, from 0 to all of it"
    )]
    let file_bytes = (seen.share * file.bytes as f64).round() as u64;
    sum.file_bytes = file_bytes;
    Ok(Measured {
        sample: (sum.file_bytes > 0).then_some(sum),
        text_bytes: sum.text_bytes,
        largest,
        seconds: started.elapsed().as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curriculum;

    #[test]
    fn bounds_follow_memory() {
        assert_eq!(limits(None).held_document_bytes, u64::MAX);
        for left in [0, 64 << 20, 1 << 30, u64::MAX] {
            let Limits { max_page_bytes, held_document_bytes, small_piece_bytes, .. } = limits(Some(left));
            let large = (left / 2).max(LEAST_LARGE);
            assert!(max_page_bytes <= large / 2 && held_document_bytes <= large / DOCUMENT_FACTOR);
            assert!(small_piece_bytes < large / DOCUMENT_FACTOR);
        }
    }

    /// What is too large for memory is left to whoever reads all; the judge sees the rest.
    #[test]
    fn the_judge_sees_what_memory_has_room_for() {
        let place = tempfile::tempdir().unwrap();
        let files = [
            ("tokenizer.json", "{}".to_owned()),
            ("long.jsonl", format!("{{\"text\": \"{}\"}}\n", "x".repeat(20 << 20))),
            ("short.jsonl", "{\"text\": \"short\"}\n".to_owned()),
            (
                "curriculum.yaml",
                "syllabus: 1\nname: judged\ntokenizer: {file: tokenizer.json, eos: \"</s>\"}\nsequence_length: 16\nsources:\n  \
                 s: {files: \"*.jsonl\"}\nphases:\n  - {name: only, tokens: 1k, mix: {s: 1}}\n"
                    .to_owned(),
            ),
        ];
        files.iter().for_each(|(name, text)| fs_err::write(place.path().join(name), text).unwrap());
        let resolved = curriculum::load(&place.path().join("curriculum.yaml"), false).unwrap().resolve(None).unwrap();
        let seen =
            |left| -> Vec<usize> { judged(&resolved, limits(left)).iter().map(|(_, text)| text.len()).collect() };
        assert_eq!(seen(Some(32 << 20)), [5]);
        // All of the bytes that it should see and no more, though the one text has thousands of times as many.
        assert_eq!(seen(None).iter().sum::<usize>() as u64, judged_bytes(&resolved.files[0]));
    }
}
