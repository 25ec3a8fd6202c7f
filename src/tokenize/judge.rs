//! The judge of a backend: Hugging Face's ids on the probe texts and on samples of the corpus.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::probe::{Difference, compare, head};
use super::reference::Reference;
use super::{Encoder, Tokenizer};
use crate::curriculum::checked::Backend;
use crate::error::{Error, Result};

/// Longest part of a sample document that is compared, in bytes.
const SAMPLE_BYTES: usize = 64 << 10;

/// The reference with what it is asked.
#[derive(Debug)]
pub struct Judge {
    reference: Reference,
    probes: Vec<String>,
    backend: Backend,
    file: PathBuf,
}

impl Judge {
    pub(super) fn new(reference: Reference, probes: Vec<String>, backend: Backend, file: &Path) -> Self {
        Self { reference, probes, backend, file: file.to_owned() }
    }

    /// Whether a difference is an error, since no other backend may take over.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.backend != Backend::Auto
    }

    /// Compares the probe texts and the samples (pairs of source name and text, each cut to 64 KiB) on this thread alone.
    ///
    /// # Errors
    /// The first difference, or when a backend cannot encode.
    pub fn strictly(&self, tokenizer: &dyn Tokenizer, samples: &[(String, String)]) -> Result<()> {
        let mut encoder = tokenizer.encoder();
        for (what, text) in self.texts(samples) {
            if let Some(found) = self.differs(&mut *encoder, tokenizer.backend(), &what, text)? {
                return Err(self.refused(&found));
            }
        }
        Ok(())
    }

    /// The same on all threads of the current pool; what differs first in the texts' order.
    pub(super) fn on_all_threads(
        &self,
        tokenizer: &dyn Tokenizer,
        samples: &[(String, String)],
    ) -> Result<Option<String>> {
        let texts: Vec<(String, &str)> = self.texts(samples).collect();
        texts
            .par_iter()
            .map_init(
                || tokenizer.encoder(),
                |encoder, (what, text)| self.differs(&mut **encoder, tokenizer.backend(), what, text).transpose(),
            )
            .find_map_first(|found| found)
            .transpose()
    }

    /// The reference in place of the backend that differs, and a warning; an error where it may not take over.
    pub(super) fn take_over(self, difference: String) -> Result<(Reference, String)> {
        if self.is_strict() {
            return Err(self.refused(&difference));
        }
        Ok((self.reference, format!("{difference}; `tokenizers` encodes instead, many times slower")))
    }

    fn texts<'a>(&'a self, samples: &'a [(String, String)]) -> impl Iterator<Item = (String, &'a str)> {
        let probes = self.probes.iter().enumerate().map(|(n, text)| (format!("probe text {n}"), text.as_str()));
        let of = |source: &String| format!("a document of source `{source}`");
        probes.chain(samples.iter().map(move |(source, text)| (of(source), head(text, SAMPLE_BYTES))))
    }

    fn differs(&self, encoder: &mut dyn Encoder, backend: &str, what: &str, text: &str) -> Result<Option<String>> {
        let difference = compare(encoder, &self.reference, text)?;
        Ok(difference.map(|difference| said(backend, what, text, &difference)))
    }

    fn refused(&self, difference: &str) -> Error {
        Error::Tokenizer {
            file: self.file.clone(),
            message: format!("{difference}; say `backend: auto` to fall back to `tokenizers`, or `backend: reference`"),
        }
    }
}

fn said(backend: &str, what: &str, text: &str, difference: &Difference) -> String {
    let near = &text[text.floor_char_boundary(difference.at.saturating_sub(20))..];
    format!("{backend} differs from Hugging Face's `tokenizers` on {what}, {difference}, near {:?}", head(near, 48))
}
