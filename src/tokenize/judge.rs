//! The judge of a backend: Hugging Face's ids on the probe texts and on samples of the corpus.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::decode::Decoder;
use super::file::AddedToken;
use super::probe::{compare, head, texts};
use super::reference::Reference;
use super::{Encoder, Tokenizer};
use crate::curriculum::checked::Backend;
use crate::error::{Error, Result};

/// Longest part of a sample document that is compared, in bytes.
const SAMPLE_BYTES: usize = 64 << 10;

/// The texts of a corpus that a judge should see, pairs of source name and text. Each is cut to 64 KiB.
pub type Samples<'a> = &'a (dyn Fn() -> Result<Vec<(String, String)>> + Sync);

/// The reference with what it is asked and what it has answered so far.
#[derive(Debug)]
pub struct Judge {
    reference: Reference,
    backend: Backend,
    file: PathBuf,
    /// What each text is, and the text.
    texts: Vec<(String, String)>,
    /// The reference's ids of the first of them.
    wanted: Vec<Vec<u32>>,
}

impl Judge {
    /// The reference is slow, so it begins at once, on this thread, and goes on until `enough` says that nobody waits for
    /// something else any more.
    pub(super) fn begin(
        reference: Reference,
        added: &[AddedToken],
        samples: Samples<'_>,
        backend: Backend,
        file: &Path,
        enough: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let probes = texts(added).into_iter().enumerate().map(|(n, text)| (format!("probe text {n}"), text));
        let mut judge = Self { reference, backend, file: file.to_owned(), texts: probes.collect(), wanted: Vec::new() };
        judge.also(samples()?);
        while !enough()
            && let Some((_, text)) = judge.texts.get(judge.wanted.len())
        {
            judge.wanted.push(judge.ids(text)?);
        }
        Ok(judge)
    }

    /// More texts to compare, pairs of source name and text. Each is cut to 64 KiB.
    pub(super) fn also(&mut self, samples: Vec<(String, String)>) {
        self.texts.extend(samples.into_iter().map(|(source, mut text)| {
            text.truncate(head(&text, SAMPLE_BYTES).len());
            (of_source(&source), text)
        }));
    }

    /// Only the samples are left.
    #[cfg(test)]
    pub(super) fn forget_probes(&mut self) {
        let probes = self.texts.iter().take_while(|(what, _)| what.starts_with("probe")).count();
        self.texts.drain(..probes);
        self.wanted.drain(..probes.min(self.wanted.len()));
    }

    /// The same, whose reference decodes with `decoder`.
    pub(super) fn decoding(self, decoder: Option<Decoder>) -> Self {
        Self { reference: self.reference.decoding(decoder), ..self }
    }

    pub(super) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The reference, to encode with.
    pub(super) fn into_reference(self) -> Reference {
        self.reference.encoding()
    }

    fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.reference.encoder().encode(text, &mut ids)?;
        Ok(ids)
    }

    /// Whether a difference is an error, since no other backend may take over.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.backend != Backend::Auto
    }

    /// Compares a backend on this thread alone.
    ///
    /// # Errors
    /// The first difference, or when a backend cannot encode.
    pub fn strictly(&self, tokenizer: &dyn Tokenizer) -> Result<()> {
        let mut encoder = tokenizer.encoder();
        for (text, (what, of)) in self.texts.iter().enumerate() {
            self.refuse(&mut *encoder, tokenizer.backend(), what, of, self.wanted.get(text))?;
        }
        Ok(())
    }

    fn refuse(
        &self,
        encoder: &mut dyn Encoder,
        backend: &str,
        what: &str,
        text: &str,
        wanted: Option<&Vec<u32>>,
    ) -> Result<()> {
        let found = self.differs(encoder, backend, what, text, wanted)?;
        found.map_or(Ok(()), |found| Err(self.refused(&found)))
    }

    /// The same on all threads of the current pool; what differs first in the texts' order.
    pub(super) fn on_all_threads(&self, tokenizer: &dyn Tokenizer) -> Result<Option<String>> {
        self.texts
            .par_iter()
            .enumerate()
            .map_init(
                || tokenizer.encoder(),
                |encoder, (text, (what, of))| {
                    self.differs(&mut **encoder, tokenizer.backend(), what, of, self.wanted.get(text)).transpose()
                },
            )
            .find_map_first(|found| found)
            .transpose()
    }

    /// The reference in place of the backend that differs, and a warning; an error where it may not take over.
    pub(super) fn take_over(self, difference: &str) -> Result<(Reference, String)> {
        if self.is_strict() {
            return Err(self.refused(difference));
        }
        Ok((self.reference.encoding(), format!("{difference}; `tokenizers` encodes instead, many times slower")))
    }

    /// How the backend differs on a text, said for people.
    fn differs(
        &self,
        encoder: &mut dyn Encoder,
        backend: &str,
        what: &str,
        of: &str,
        wanted: Option<&Vec<u32>>,
    ) -> Result<Option<String>> {
        let asked;
        let wanted = match wanted {
            Some(ids) => ids,
            None => {
                asked = self.ids(of)?;
                &asked
            }
        };
        let Some(difference) = compare(encoder, &self.reference, wanted, of)? else { return Ok(None) };
        let near = &of[of.floor_char_boundary(difference.at.saturating_sub(20))..];
        let near = head(near, 48);
        Ok(Some(format!("{backend} differs from Hugging Face's `tokenizers` on {what}, {difference}, near {near:?}")))
    }

    fn refused(&self, difference: &str) -> Error {
        Error::Tokenizer {
            file: self.file.clone(),
            message: format!("{difference}; say `backend: auto` to fall back to `tokenizers`, or `backend: reference`"),
        }
    }
}

fn of_source(source: &str) -> String {
    format!("a document of source `{source}`")
}

/// A judge that sees documents of every source as they are encoded: an eighth of them by key, and the first one, until it
/// has seen enough of a source.
#[derive(Debug)]
pub struct Sampling {
    judge: Judge,
    /// For each source, the bytes that it should see, and those that it has.
    sources: Vec<(u64, AtomicU64)>,
}

impl Sampling {
    /// A strict judge who is to see so many bytes of each source.
    #[must_use]
    pub fn new(judge: Judge, bytes: &[u64]) -> Self {
        Self { judge, sources: bytes.iter().map(|&most| (most, AtomicU64::new(0))).collect() }
    }

    /// What does not hang on documents: the probe texts.
    ///
    /// # Errors
    /// The first difference, or when a backend cannot encode.
    pub fn probe(&self, tokenizer: &dyn Tokenizer) -> Result<()> {
        self.judge.strictly(tokenizer)
    }

    /// Compares a document of the source numbered `source` and called `name`, if it is one of the sample.
    ///
    /// # Errors
    /// A difference, or when a backend cannot encode.
    pub fn document(
        &self,
        (source, name): (usize, &str),
        key: u128,
        text: &str,
        encoder: &mut dyn Encoder,
        backend: &str,
    ) -> Result<()> {
        let Some((most, seen)) = self.sources.get(source) else { return Ok(()) };
        let so_far = seen.load(Ordering::Relaxed);
        if so_far >= *most || (so_far > 0 && key & 7 != 0) {
            return Ok(());
        }
        // What is left of the bytes, about: Hugging Face's tokenizer is slow, and a long text costs it more than several short ones.
        let most = SAMPLE_BYTES.min(usize::try_from(most - so_far).unwrap_or(usize::MAX));
        let part = head(text, most);
        // A character for which there was no room has taken it.
        let taken = if part.len() < text.len() { most } else { part.len() };
        seen.fetch_add(taken as u64, Ordering::Relaxed);
        self.judge.refuse(encoder, backend, &of_source(name), part, None)
    }
}
