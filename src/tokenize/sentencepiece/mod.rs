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
use super::{Encoder, Sink, Take, Tokenizer};
use crate::error::{Error, Result};

/// Name and version for the manifest: this crate's own.
pub const BACKEND: &str = concat!("syllabus ", env!("CARGO_PKG_VERSION"));

/// UTF-8 of `▁`.
const META: &[u8] = "▁".as_bytes();

/// Zeros after a text, so that a block of 64 bytes or a key of 16 can be read from any place in it.
const PADDING: usize = 80;

/// Bytes of text that are looked for cuts at once.
const BLOCK: usize = 64;

/// Bytes of text that are laid into the buffer at once: with their ids they stay in the nearest caches. Few in tests, so that
/// their short texts come in several pieces.
const PIECE: usize = if cfg!(test) { 256 } else { 16 << 10 };

/// Bytes of the buffer that are kept from one word to the next: a long segment must not stay in memory.
const KEPT: usize = 1 << 18;

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
    /// What is being encoded, normalized, a space for each `▁`, and [`PADDING`].
    text: Vec<u8>,
    cache: Cache,
    merger: Merger,
    meta: memmem::Finder<'static>,
}

impl Encoder for Worker<'_> {
    fn encode_in_parts(&mut self, text: &str, ids: &mut Vec<u32>, take: &mut Take<'_>) -> Result<()> {
        let sink = &mut Sink { ids, take };
        match &self.tokenizer.raw {
            None => self.piece(text, true, sink)?,
            Some(raw) => {
                for part in raw.split(text) {
                    match part {
                        Part::Token(id) => sink.ids.push(id),
                        Part::Text(start, end) => self.piece(&text[start..end], start == 0, sink)?,
                    }
                }
            }
        }
        sink.end()
    }
}

impl Worker<'_> {
    /// Encodes a piece of text between tokens that were split out of it; `first` when it begins the text.
    fn piece(&mut self, piece: &str, first: bool, sink: &mut Sink<'_, '_>) -> Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        let tokenizer = self.tokenizer;
        match tokenizer.scheme {
            Scheme::Normalizer { prepend } => {
                let Some(normalized) = &tokenizer.normalized else { return self.word(piece, prepend, sink) };
                let mut text = String::with_capacity(piece.len() + 1);
                if prepend {
                    text.push(' ');
                }
                text.push_str(&piece.replace(super::decode::META, " "));
                for part in normalized.split(&text) {
                    match part {
                        Part::Token(id) => sink.ids.push(id),
                        Part::Text(start, end) => self.word(&text[start..end], false, sink)?,
                    }
                }
            }
            Scheme::Metaspace { prepend, .. } => {
                let prefix =
                    |text: &str, first: bool| prepend.applies(first) && !text.starts_with([' ', super::decode::META]);
                let Some(normalized) = &tokenizer.normalized else {
                    return self.word(piece, prefix(piece, first), sink);
                };
                for part in normalized.split(piece) {
                    match part {
                        Part::Token(id) => sink.ids.push(id),
                        Part::Text(start, end) => {
                            let text = &piece[start..end];
                            self.word(text, prefix(text, first && start == 0), sink)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Lays a text into the buffer, behind what is there, with a space for each `▁`.
    fn fill(&mut self, text: &[u8]) {
        self.text.reserve(text.len() + PADDING);
        let mut done = 0;
        for at in self.meta.find_iter(text) {
            self.text.extend_from_slice(&text[done..at]);
            self.text.push(b' ');
            done = at + META.len();
        }
        self.text.extend_from_slice(&text[done..]);
    }

    /// Encodes a text, after a space when `prefix`, which the model sees as one word. The text comes through the buffer piece by
    /// piece; of one piece only what follows its last cut stays there for the next.
    fn word(&mut self, text: &str, prefix: bool, sink: &mut Sink<'_, '_>) -> Result<()> {
        let tokenizer = self.tokenizer;
        self.text.clear();
        if prefix {
            self.text.push(b' ');
        }
        let (mut start, mut block, mut before) = (0, 0, 0);
        let mut out = Out { buffer: [0; Out::ROOM], filled: 0 };
        let mut rest = text;
        loop {
            let piece;
            (piece, rest) = rest.split_at(rest.floor_char_boundary(PIECE));
            self.fill(piece.as_bytes());
            let last = rest.is_empty();
            let length = self.text.len();
            if last
                && piece.len() == text.len()
                && let Some(whole) = &tokenizer.whole
                && let Ok(at) = whole.binary_search_by(|(piece, _)| piece.as_ref().cmp(&self.text))
            {
                sink.ids.push(whole[at].1);
                return Ok(());
            }
            self.text.resize(length + PADDING, 0);
            // A block must be whole, with the character at its end, until nothing follows.
            let upto = if last { length } else { length.saturating_sub(BLOCK + 2) };
            while block < upto {
                let mut ends = tokenizer.cuts.block(&self.text, block, &mut before);
                if block == 0 {
                    ends &= !1;
                }
                if length - block < BLOCK {
                    ends &= (1 << (length - block)) - 1;
                }
                while ends != 0 {
                    let end = block + ends.trailing_zeros() as usize;
                    ends &= ends - 1;
                    self.segment(start, end, &mut out, sink.ids);
                    start = end;
                }
                if out.filled > Out::FULL {
                    out.flush(sink.ids);
                    sink.passed()?;
                }
                block += BLOCK;
            }
            if last {
                if start < length {
                    self.segment(start, length, &mut out, sink.ids);
                }
                out.flush(sink.ids);
                self.text.clear();
                self.text.shrink_to(KEPT);
                return Ok(());
            }
            self.text.truncate(length);
            self.text.drain(..start);
            // The block is beyond the cut, so it is never the first again.
            block -= start;
            start = 0;
        }
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
    /// When so many are there, they go to the caller. Few in tests, so that short texts come in several parts.
    const FULL: usize = if cfg!(test) { 8 } else { 512 };

    /// A block, which ends at most 64 segments of at most six ids, may begin when it is not yet full.
    const ROOM: usize = Self::FULL + 64 * 6 + 8;

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
