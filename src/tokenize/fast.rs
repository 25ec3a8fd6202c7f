//! `fastokens`: the fast path of byte-level BPE.

use fastokens::AddedTokenPolicy;

use super::decode::Decoder;
use super::opened::Opened;
use super::{Encoder, Take, Tokenizer, within};
use crate::error::{Error, Result};

/// Name and version for the manifest.
pub const BACKEND: &str = "fastokens 0.3.5";

/// A tokenizer in `fastokens`.
///
/// Under [`AddedTokenPolicy::SkipSpecial`] it passes over special strings and still splits out the other added tokens, as
/// Hugging Face's `encode_special_tokens` does. (Its `encode_ordinary` splits out none, which is something else.)
/// Its segment cache is for chats, whose turns come again between control tokens; for documents it stays off. Its cache
/// of words, which does the work here, is kept by thread and bounded.
pub struct Fast {
    inner: fastokens::Tokenizer,
    decoder: Option<Decoder>,
}

impl std::fmt::Debug for Fast {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Fast").finish_non_exhaustive()
    }
}

impl Fast {
    /// Loads a tokenizer.
    ///
    /// # Errors
    /// Says why the library does not load it.
    pub fn load(opened: &Opened<'_>, decoder: Option<Decoder>) -> Result<Self, String> {
        let json = opened.json().map_err(|error| error.to_string())?;
        // The library reads a file together with a `tokenizer_config.json` beside it, whose tokens the reference does not
        // know; a tree of the JSON is its other way in.
        let tree: serde_json::Value = serde_json::from_str(&json).map_err(|error| error.to_string())?;
        let mut inner = within(|| fastokens::Tokenizer::from_json(tree))?;
        inner.enable_segment_cache(0);
        inner.set_post_processor(None);
        Ok(Self { inner, decoder })
    }
}

impl Tokenizer for Fast {
    fn encoder(&self) -> Box<dyn Encoder + Send + '_> {
        Box::new(Worker(self))
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        match &self.decoder {
            Some(decoder) => decoder.decode(ids).ok_or_else(|| Error::Failed("an id is not in the vocabulary".into())),
            None => within(|| self.inner.decode(ids, false))
                .map_err(|error| Error::Failed(format!("`fastokens` cannot decode: {error}"))),
        }
    }

    fn lossless(&self) -> bool {
        self.decoder.as_ref().is_some_and(Decoder::lossless)
    }

    fn keeps(&self, text: &str) -> bool {
        self.decoder.as_ref().is_some_and(|decoder| decoder.keeps(text))
    }

    fn keeps_ids(&self, ids: &[u32]) -> bool {
        self.decoder.as_ref().is_some_and(|decoder| decoder.keeps_ids(ids))
    }

    fn backend(&self) -> &str {
        BACKEND
    }

    fn encoder_bytes(&self) -> u64 {
        // Its caches of a thread: 2^21 words of 32 bytes, doubled while they grow, and 32 MiB of long ones.
        120 << 20
    }
}

/// The library keeps its caches by thread; there is nothing of a worker's own.
struct Worker<'t>(&'t Fast);

impl Encoder for Worker<'_> {
    fn encode_in_parts(&mut self, text: &str, ids: &mut Vec<u32>, take: &mut Take<'_>) -> Result<()> {
        let encode = || self.0.inner.encode_with_policy(text, false, AddedTokenPolicy::SkipSpecial);
        let encoded = within(encode).map_err(|error| Error::Failed(format!("`fastokens` cannot encode: {error}")))?;
        // The library makes its own list; an empty one of the caller's takes it over.
        if ids.capacity() == 0 {
            *ids = encoded;
        } else {
            ids.extend_from_slice(&encoded);
        }
        take(ids)
    }
}
