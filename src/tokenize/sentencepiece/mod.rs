//! Byte-pair encoding of SentencePiece's kind (Llama-2, phi-3, Mistral, Gemma), many times faster than merging a whole text.
//!
//! Such a tokenizer has no pre-tokenizer to speak of: a document is one word, and Hugging Face's library merges it as a
//! whole. Here the text is cut where no merge can reach across ([`cuts`] has the rule and its proof), the segments between
//! cuts are looked up in a cache ([`cache`]), and only new ones are merged ([`merge`]). [`load`] checks that the rule's
//! conditions hold and refuses what it does not know, so that another backend serves it.
//!
//! Inside, a space stands for `▁`: after normalization a text has no space, so writing every `▁` as a space is a bijection,
//! saves two bytes of three and, for nearly all texts, the replacing.

mod cache;
mod cuts;
mod load;
mod merge;
#[cfg(test)]
mod tests;

use memchr::memmem;

use self::cache::{Cache, MEDIUM, Packed, SMALL, first};
use self::cuts::Cuts;
use self::load::Scheme;
use self::merge::Merges;
use super::added::{AddedTokens, Part};
use super::decode::Decoder;
use super::merge::Merger;
use super::{Encoder, Tokenizer};
use crate::error::{Error, Result};

/// Name and version for the manifest: this crate's own.
pub const BACKEND: &str = concat!("syllabus ", env!("CARGO_PKG_VERSION"));

/// UTF-8 of `▁`.
const META: &[u8] = "▁".as_bytes();

/// Zeros after a text, so that a block of 64 bytes or a key of 16 can be read from any place in it.
const PADDING: usize = 80;

/// A SentencePiece-BPE tokenizer.
#[derive(Debug)]
pub struct SentencePiece {
    scheme: Scheme,
    /// Tokens that are split out of the text as it is.
    raw: Option<AddedTokens>,
    /// Tokens that are split out of the normalized text.
    normalized: Option<AddedTokens>,
    cuts: Cuts,
    merges: Merges,
    /// Whole words that are pieces whatever the merges say (`ignore_merges`), by text; sorted.
    whole: Option<Vec<(Box<[u8]>, u32)>>,
    decoder: Option<Decoder>,
}

impl Tokenizer for SentencePiece {
    fn encoder(&self) -> Box<dyn Encoder + Send + '_> {
        Box::new(Worker {
            tokenizer: self,
            text: Vec::new(),
            cache: Cache::new(),
            merger: Merger::default(),
            meta: memmem::Finder::new(META),
        })
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        let decoder =
            self.decoder.as_ref().ok_or_else(|| Error::Failed("the tokenizer's decoder is not known".into()))?;
        decoder.decode(ids).ok_or_else(|| Error::Failed("an id is not in the vocabulary".into()))
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
        // Pools and tables of a worker, all bounded.
        12 << 20
    }
}

/// A number known to be small, as an index.
#[expect(clippy::cast_possible_truncation, reason = "the callers shift all but the low bits out")]
#[inline(always)]
fn index(number: u64) -> usize {
    number as usize
}

/// One worker's buffers and cache.
struct Worker<'t> {
    tokenizer: &'t SentencePiece,
    /// The piece being encoded, normalized, a space for each `▁`, and [`PADDING`].
    text: Vec<u8>,
    cache: Cache,
    merger: Merger,
    meta: memmem::Finder<'static>,
}

impl Encoder for Worker<'_> {
    fn encode(&mut self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        let Some(raw) = &self.tokenizer.raw else {
            self.piece(text, true, ids);
            return Ok(());
        };
        for part in raw.split(text) {
            match part {
                Part::Token(id) => ids.push(id),
                Part::Text(start, end) => self.piece(&text[start..end], start == 0, ids),
            }
        }
        Ok(())
    }
}

impl Worker<'_> {
    /// Encodes a piece of text between tokens that were split out of it; `first` when it begins the text.
    fn piece(&mut self, piece: &str, first: bool, ids: &mut Vec<u32>) {
        if piece.is_empty() {
            return;
        }
        let tokenizer = self.tokenizer;
        match tokenizer.scheme {
            Scheme::Normalizer { prepend } => {
                let Some(normalized) = &tokenizer.normalized else {
                    self.fill(piece.as_bytes(), prepend);
                    return self.word(ids);
                };
                let mut text = String::with_capacity(piece.len() + 1);
                if prepend {
                    text.push(' ');
                }
                text.push_str(&piece.replace(super::decode::META, " "));
                for part in normalized.split(&text) {
                    match part {
                        Part::Token(id) => ids.push(id),
                        Part::Text(start, end) => {
                            self.fill(&text.as_bytes()[start..end], false);
                            self.word(ids);
                        }
                    }
                }
            }
            Scheme::Metaspace { prepend, .. } => {
                let prefix =
                    |text: &str, first: bool| prepend.applies(first) && !text.starts_with([' ', super::decode::META]);
                let Some(normalized) = &tokenizer.normalized else {
                    self.fill(piece.as_bytes(), prefix(piece, first));
                    return self.word(ids);
                };
                for part in normalized.split(piece) {
                    match part {
                        Part::Token(id) => ids.push(id),
                        Part::Text(start, end) => {
                            let text = &piece[start..end];
                            self.fill(text.as_bytes(), prefix(text, first && start == 0));
                            self.word(ids);
                        }
                    }
                }
            }
        }
    }

    /// Lays a text into the buffer, after a space when `prefix`, with a space for each `▁`.
    fn fill(&mut self, text: &[u8], prefix: bool) {
        self.text.clear();
        self.text.reserve(text.len() + 1 + PADDING);
        if prefix {
            self.text.push(b' ');
        }
        let mut done = 0;
        for at in self.meta.find_iter(text) {
            self.text.extend_from_slice(&text[done..at]);
            self.text.push(b' ');
            done = at + META.len();
        }
        self.text.extend_from_slice(&text[done..]);
    }

    /// Encodes the buffer, which the model sees as one word.
    fn word(&mut self, ids: &mut Vec<u32>) {
        let length = self.text.len();
        if let Some(whole) = &self.tokenizer.whole
            && let Ok(at) = whole.binary_search_by(|(piece, _)| piece.as_ref().cmp(&self.text))
        {
            ids.push(whole[at].1);
            return;
        }
        self.text.resize(length + PADDING, 0);
        let cuts = &self.tokenizer.cuts;
        let mut start = 0;
        let mut before = 0;
        let mut block = 0;
        let mut out = Out { buffer: [0; Out::ROOM], filled: 0 };
        while block < length {
            let mut ends = cuts.block(&self.text, block, &mut before);
            if block == 0 {
                ends &= !1;
            }
            if length - block < 64 {
                ends &= (1 << (length - block)) - 1;
            }
            while ends != 0 {
                let end = block + ends.trailing_zeros() as usize;
                ends &= ends - 1;
                self.segment(start, end, &mut out, ids);
                start = end;
            }
            out.flush(ids);
            block += 64;
        }
        if start < length {
            self.segment(start, length, &mut out, ids);
        }
        out.flush(ids);
    }

    /// Encodes the segment `start..end` of the buffer.
    #[inline(always)]
    fn segment(&mut self, start: usize, end: usize, out: &mut Out, ids: &mut Vec<u32>) {
        let length = end - start;
        if let Some(bytes) = self.text[start..].first_chunk::<MEDIUM>() {
            let words = u128::from_le_bytes(*bytes);
            if length <= SMALL {
                if let Some(found) = self.cache.small(first(low(words), length)) {
                    return out.put(found);
                }
            } else if length <= MEDIUM
                && let Some(found) = self.cache.medium([low(words), first(low(words >> 64), length - SMALL)])
            {
                out.put(found[0]);
                return out.put(found[1]);
            }
        }
        out.flush(ids);
        self.missed(start, end, ids);
    }

    /// A segment that is long, or has many ids, or is new.
    #[inline(never)]
    fn missed(&mut self, start: usize, end: usize, ids: &mut Vec<u32>) {
        let segment = &self.text[start..end];
        if self.cache.rest(segment, ids) {
            return;
        }
        let from = ids.len();
        self.tokenizer.merges.merge(segment, &mut self.merger, ids);
        self.cache.insert(segment, &ids[from..]);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
#[inline(always)]
fn low(words: u128) -> u64 {
    words as u64
}

/// Ids on their way to the caller: three are written whatever the count, so that there is no branch on it.
struct Out {
    buffer: [u32; Self::ROOM],
    filled: usize,
}

impl Out {
    /// A block ends at most 64 segments of at most six ids.
    const ROOM: usize = 64 * 6 + 8;

    #[inline(always)]
    fn put(&mut self, packed: Packed) {
        let (ids, count) = packed.ids();
        self.buffer[self.filled..self.filled + 3].copy_from_slice(&ids);
        self.filled += count;
    }

    #[inline(always)]
    fn flush(&mut self, ids: &mut Vec<u32>) {
        ids.extend_from_slice(&self.buffer[..self.filled]);
        self.filled = 0;
    }
}
