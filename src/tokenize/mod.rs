//! Text to ids: one trait, several backends, and the contract that the ids are Hugging Face's.

mod added;
mod alphabet;
pub mod bytelevel;
pub mod contract;
pub mod decode;
pub mod faithful;
pub mod fast;
pub mod file;
pub mod judge;
mod long;
mod merge;
pub mod merges;
pub mod opened;
mod pool;
pub mod probe;
pub mod reference;
pub mod sentencepiece;
#[cfg(test)]
mod tests;
pub mod vocabulary;

pub use contract::{Loaded, load};

use syllabus_reader::format::TokenDtype;

use crate::error::{Result, contain};

/// A call into a tokenizer library. Some panic at what a file says (Hugging Face's `Strip` decoder, where it is to cut more than a
/// token has): that is an error too.
fn within<T, E: std::fmt::Display>(call: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    contain(call).map_err(|what| format!("it panicked: {what}"))?.map_err(|error| error.to_string())
}

/// A loaded tokenizer, shared by all workers.
pub trait Tokenizer: Send + Sync {
    /// An encoder of one worker's own (caches, scratch buffers).
    fn encoder(&self) -> Box<dyn Encoder + Send + '_>;

    /// The text that these ids stand for (ids of BOS/EOS must not be among them); lossy where the tokenizer is.
    fn decode(&self, ids: &[u32]) -> Result<String>;

    /// Whether decoding a document's ids gives back its text byte for byte, for every text.
    fn lossless(&self) -> bool;

    /// Whether decoding `ids`, which are the text's without BOS and EOS, is sure to give back this text byte for byte.
    /// It may say no to a text that does come back.
    fn gives_back(&self, text: &str, ids: &[u32]) -> bool {
        self.keeps(text) && self.keeps_ids(ids)
    }

    /// What [`Self::gives_back`] asks of the text.
    fn keeps(&self, _text: &str) -> bool {
        self.lossless()
    }

    /// What [`Self::gives_back`] asks of the ids; of some of them at a time, too.
    fn keeps_ids(&self, _ids: &[u32]) -> bool {
        true
    }

    /// Name of the backend and its version, for the manifest: `fastokens 0.3.5`.
    fn backend(&self) -> &str;

    /// Bytes that one worker's encoder holds at most, long documents aside.
    fn encoder_bytes(&self) -> u64;
}

/// Ids that come at once, about, from an encoder that gives them in parts. Few in tests, so that short texts give several parts.
pub const PART: usize = if cfg!(test) { 16 } else { 1 << 14 };

/// May take the ids that are there; what it leaves stays before those that follow.
pub type Take<'t> = dyn FnMut(&mut Vec<u32>) -> Result<()> + 't;

/// One worker's encoder.
pub trait Encoder {
    /// Appends the ids of `text` to `ids`, as Hugging Face's `encode` gives them with no special tokens added and
    /// special strings taken as text (but for those that the curriculum lists).
    fn encode(&mut self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        self.encode_in_parts(text, ids, &mut |_| Ok(()))
    }

    /// The same ids in parts, so that those of a long text need no room at once: `take` is called when about [`PART`] of them
    /// are there, what was in `ids` before among them, and at the end. A backend that cannot do it gives them all at the end.
    fn encode_in_parts(&mut self, text: &str, ids: &mut Vec<u32>, take: &mut Take<'_>) -> Result<()>;
}

/// Where ids go while a text is encoded.
struct Sink<'i, 't> {
    ids: &'i mut Vec<u32>,
    take: &'i mut Take<'t>,
}

impl Sink<'_, '_> {
    /// A place in the text where ids may be taken out.
    #[inline(always)]
    fn passed(&mut self) -> Result<()> {
        if self.ids.len() >= PART { self.end() } else { Ok(()) }
    }

    /// The end of the text.
    #[inline(never)]
    fn end(&mut self) -> Result<()> {
        (self.take)(self.ids)
    }
}

/// What the probe proved of the tokenizer; it goes into the manifest, and the reader holds trainers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The tokenizer's folder or file name, for people.
    pub name: String,
    /// BLAKE3 of `tokenizer.json`.
    pub digest: [u8; 32],
    /// 1 + the largest id of model and added tokens.
    pub vocab_size: u32,
    /// Width of a token on disk: u16 if `vocab_size` < 65,500, else u32.
    pub dtype: TokenDtype,
    /// Id put before each document.
    pub bos_id: Option<u32>,
    /// Id put after each document.
    pub eos_id: Option<u32>,
    /// Id that fills padding (the EOS unless said; 0 when there is neither).
    pub pad_id: u32,
    /// Backend that encoded.
    pub backend: String,
}

impl Contract {
    /// A document's ids without the BOS and EOS that frame it.
    #[must_use]
    pub fn unframed<'i>(&self, ids: &'i [u32]) -> &'i [u32] {
        let start = usize::from(self.bos_id.is_some());
        let end = ids.len().saturating_sub(usize::from(self.eos_id.is_some()));
        ids.get(start..end).unwrap_or_default()
    }

    /// Ids from bytes as they lie on disk.
    #[must_use]
    pub fn ids(&self, bytes: &[u8]) -> Vec<u32> {
        match self.dtype {
            TokenDtype::U16 => bytes.as_chunks::<2>().0.iter().map(|id| u32::from(u16::from_le_bytes(*id))).collect(),
            TokenDtype::U32 => bytes.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id)).collect(),
        }
    }
}
