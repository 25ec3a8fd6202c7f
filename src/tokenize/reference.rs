//! Hugging Face's `tokenizers`: what the ids of every other backend must equal.

use super::decode::Decoder;
use super::file::TokenizerFile;
use super::{Encoder, Tokenizer};
use crate::error::{Error, Result};

/// Name and version for the manifest.
pub const BACKEND: &str = "tokenizers 0.23.2";

/// A tokenizer in Hugging Face's library: no special tokens added, special strings taken as text (but for those the
/// curriculum lists), no truncation, no padding.
pub struct Reference {
    inner: tokenizers::Tokenizer,
    decoder: Option<Decoder>,
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reference").finish_non_exhaustive()
    }
}

impl Reference {
    /// Loads the JSON that [`TokenizerFile::for_library`] made.
    ///
    /// # Errors
    /// When the library does not load it.
    pub fn load(file: &TokenizerFile, json: &str, decoder: Option<Decoder>) -> Result<Self> {
        let mut inner: tokenizers::Tokenizer = json
            .parse()
            .map_err(|error| file.error(format!("Hugging Face's `tokenizers` does not load it: {error}")))?;
        inner.set_encode_special_tokens(true);
        Ok(Self { inner, decoder })
    }

    /// The same, which decodes with `decoder`.
    #[must_use]
    pub fn decoding(self, decoder: Option<Decoder>) -> Self {
        Self { decoder, ..self }
    }

    /// The id that the library gives a token.
    #[must_use]
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The ids that the tokenizer's own template puts before and after a text when special tokens are asked for.
    ///
    /// # Errors
    /// When the library cannot encode.
    pub fn template(&self) -> Result<(Vec<u32>, Vec<u32>)> {
        let plain = self.inner.encode_fast("a", false).map_err(failed)?;
        let framed = self.inner.encode_fast("a", true).map_err(failed)?;
        let (plain, framed) = (plain.get_ids(), framed.get_ids());
        let at = framed.windows(plain.len().max(1)).position(|window| window == plain).unwrap_or(framed.len());
        let after = framed.get(at + plain.len()..).unwrap_or_default();
        Ok((framed[..at].to_vec(), after.to_vec()))
    }

    /// The token strings that [`Self::template`] puts before a text.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Where in the text each token begins, in bytes.
    ///
    /// # Errors
    /// When the library cannot encode.
    pub fn offsets(&self, text: &str) -> Result<Vec<usize>> {
        let encoding = self.inner.encode(text, false).map_err(failed)?;
        Ok(encoding.get_offsets().iter().map(|offset| offset.0).collect())
    }
}

fn failed(error: tokenizers::Error) -> Error {
    Error::Failed(format!("Hugging Face's `tokenizers` cannot encode: {error}"))
}

impl Tokenizer for Reference {
    fn encoder(&self) -> Box<dyn Encoder + Send + '_> {
        Box::new(Worker(self))
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        match &self.decoder {
            Some(decoder) => decoder.decode(ids).ok_or_else(|| Error::Failed("an id is not in the vocabulary".into())),
            None => self
                .inner
                .decode(ids, false)
                .map_err(|error| Error::Failed(format!("Hugging Face's `tokenizers` cannot decode: {error}"))),
        }
    }

    fn lossless(&self) -> bool {
        self.decoder.as_ref().is_some_and(Decoder::lossless)
    }

    fn gives_back(&self, text: &str, ids: &[u32]) -> bool {
        self.decoder.as_ref().is_some_and(|decoder| decoder.gives_back(text, ids))
    }

    fn backend(&self) -> &str {
        BACKEND
    }

    fn encoder_bytes(&self) -> u64 {
        // Its cache of words is shared and small; the rest are the copies that normalizing and aligning make.
        48 << 20
    }
}

/// The library keeps its caches by thread; there is nothing of a worker's own.
struct Worker<'t>(&'t Reference);

impl Encoder for Worker<'_> {
    fn encode(&mut self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        let encoding = self.0.inner.encode_fast(text, false).map_err(failed)?;
        ids.extend_from_slice(encoding.get_ids());
        Ok(())
    }
}
