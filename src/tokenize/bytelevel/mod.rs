//! Byte-level BPE (GPT-2, GPT-NeoX, OLMo-2, Qwen, Llama-3).
//!
//! A text is split into words by a pattern, and each word's bytes are merged. Words are found block by block from sets of bits
//! ([`masks`], [`scan`]), looked up in a cache ([`cache`]), and only new ones are merged, beginning with whole characters where
//! that is as good ([`letters`]). [`load`] knows which files are served here, and refuses the others, so that another backend
//! serves them.

mod cache;
mod classes;
mod cuts;
mod letters;
mod load;
mod masks;
mod nfc;
mod scan;
mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use self::scan::CL100K;

use self::cache::{Cache, Found, Key, SHORT};
use self::cuts::Cuts;
use self::letters::Letters;
use self::masks::BLOCK;
use self::scan::{Pattern, Scanner};
use super::added::{AddedTokens, Part};
use super::alphabet::letter_of;
use super::decode::Decoder;
use super::merge::{Merger, NONE, Pairs, SCAN};
use super::vocabulary::Vocabulary;
use super::{Encoder, Sink, Take, Tokenizer};
use crate::error::{Error, Result};

/// Name and version for the manifest: this crate's own.
pub const BACKEND: &str = concat!("syllabus byte-level ", env!("CARGO_PKG_VERSION"));

/// A byte-level BPE tokenizer.
#[derive(Debug)]
pub struct ByteLevel {
    /// Whether text is normalized to NFC.
    nfc: bool,
    pattern: Pattern,
    /// Tokens that are split out of the text as it is.
    raw: Option<AddedTokens>,
    /// Tokens that are split out of the normalized text.
    normalized: Option<AddedTokens>,
    bytes: Bytes,
    letters: Letters,
    pairs: Pairs,
    cuts: Cuts,
    /// Words that are pieces are those pieces whatever the merges say (`ignore_merges`).
    whole: Option<Vocabulary>,
    decoder: Decoder,
}

impl Tokenizer for ByteLevel {
    fn encoder(&self) -> Box<dyn Encoder + Send + '_> {
        Box::new(Worker { tokenizer: self, cache: Cache::new(), merger: Merger::default(), piece: String::new() })
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        self.decoder.decode(ids).ok_or_else(|| Error::Failed("an id is not in the vocabulary".into()))
    }

    fn lossless(&self) -> bool {
        self.decoder.lossless()
    }

    fn keeps(&self, text: &str) -> bool {
        self.decoder.keeps(text)
    }

    fn keeps_ids(&self, ids: &[u32]) -> bool {
        self.decoder.keeps_ids(ids)
    }

    fn backend(&self) -> &str {
        BACKEND
    }

    fn encoder_bytes(&self) -> u64 {
        // The rest are the merger's tables of ranks and its lists for long words.
        Cache::BYTES + (2 << 20)
    }
}

/// What single bytes are, and what pairs of them become.
struct Bytes {
    /// Symbol of each byte; that of a byte which is in no text is of no account.
    symbols: [u32; 256],
    /// For pairs, `left << 8 | right`: 1 + the place of their rank in `ranks`; 0 when they have none.
    pairs: Box<[u16; 1 << 16]>,
    ranks: Vec<u32>,
}

impl Bytes {
    /// From the symbols of bytes, `None` for one that is in no text. `None` when all pairs of bytes have a merge, which is more
    /// than the table has numbers for.
    fn new(of: &[Option<u32>; 256], pairs: &Pairs) -> Option<Self> {
        let symbols = of.map(|symbol| symbol.unwrap_or(u32::MAX));
        let mut bytes = Self { symbols, pairs: Box::new([0; 1 << 16]), ranks: Vec::new() };
        for (left, &one) in of.iter().enumerate() {
            for (right, &other) in of.iter().enumerate() {
                let rank = one.zip(other).map_or(NONE, |(one, other)| pairs.rank(one, other));
                if rank != NONE {
                    bytes.ranks.push(rank);
                    bytes.pairs[left << 8 | right] = u16::try_from(bytes.ranks.len()).ok()?;
                }
            }
        }
        Some(bytes)
    }

    /// The rank of a pair of bytes.
    #[inline(always)]
    fn rank(&self, left: u8, right: u8) -> u32 {
        match usize::from(self.pairs[usize::from(left) << 8 | usize::from(right)]).checked_sub(1) {
            Some(place) => self.ranks[place],
            None => NONE,
        }
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Bytes").finish_non_exhaustive()
    }
}

/// One worker's buffers and cache.
struct Worker<'t> {
    tokenizer: &'t ByteLevel,
    cache: Cache,
    merger: Merger,
    /// A word in the alphabet of pieces.
    piece: String,
}

impl Encoder for Worker<'_> {
    fn encode_in_parts(&mut self, text: &str, ids: &mut Vec<u32>, take: &mut Take<'_>) -> Result<()> {
        let sink = &mut Sink { ids, take };
        match &self.tokenizer.raw {
            None => self.normalize(text, sink)?,
            Some(raw) => {
                for part in raw.split(text) {
                    match part {
                        Part::Token(id) => sink.ids.push(id),
                        Part::Text(start, end) => self.normalize(&text[start..end], sink)?,
                    }
                }
            }
        }
        sink.end()
    }
}

impl Worker<'_> {
    /// Encodes a piece of text between tokens that were split out of it.
    fn normalize(&mut self, piece: &str, sink: &mut Sink<'_, '_>) -> Result<()> {
        let tokenizer = self.tokenizer;
        let text = if tokenizer.nfc { nfc::nfc(piece) } else { Cow::Borrowed(piece) };
        let Some(normalized) = &tokenizer.normalized else { return self.words(text.as_bytes(), sink) };
        for part in normalized.split(&text) {
            match part {
                Part::Token(id) => sink.ids.push(id),
                Part::Text(start, end) => self.words(&text.as_bytes()[start..end], sink)?,
            }
        }
        Ok(())
    }

    /// Encodes a text word by word.
    fn words(&mut self, text: &[u8], sink: &mut Sink<'_, '_>) -> Result<()> {
        let mut scanner = Scanner::new(self.tokenizer.pattern);
        let mut out = Out { buffer: [0; Out::ROOM], filled: 0 };
        let (mut word, mut at) = (0, 0);
        while at < text.len() {
            let mut starts = scanner.block(text, at);
            if at == 0 {
                starts &= !1;
            }
            while starts != 0 {
                let end = at + starts.trailing_zeros() as usize;
                starts &= starts - 1;
                self.word(text, word, end, &mut out, sink.ids);
                word = end;
            }
            out.flush(sink.ids);
            sink.passed()?;
            at += BLOCK;
        }
        if word < text.len() {
            self.word(text, word, text.len(), &mut out, sink.ids);
        }
        out.flush(sink.ids);
        Ok(())
    }

    /// Encodes the word `start..end` of a text.
    #[inline(always)]
    fn word(&mut self, text: &[u8], start: usize, end: usize, out: &mut Out, ids: &mut Vec<u32>) {
        let length = end - start;
        if length <= SHORT {
            let key = match text[start..].first_chunk::<16>() {
                Some(bytes) => Key::new(bytes, length),
                None => Key::of(&text[start..end]),
            };
            if let Some(found) = self.cache.short(key) {
                return out.put(found);
            }
        }
        out.flush(ids);
        self.missed(&text[start..end], ids);
    }

    /// A word that is long, or has many ids, or is new.
    #[inline(never)]
    fn missed(&mut self, word: &[u8], ids: &mut Vec<u32>) {
        if self.cache.long(word, ids) {
            return;
        }
        let from = ids.len();
        let tokenizer = self.tokenizer;
        match &tokenizer.whole {
            Some(whole) => {
                self.piece.clear();
                self.piece.extend(word.iter().map(|byte| letter_of(*byte)));
                match whole.place(&self.piece) {
                    Some(place) => ids.push(whole.id(place)),
                    None => self.merge(word, ids),
                }
            }
            None if word.is_ascii() => self.merge(word, ids),
            None => self.segments(word, ids),
        }
        self.cache.insert(word, &ids[from..]);
    }

    /// Encodes a word that may be cut.
    fn segments(&mut self, word: &[u8], ids: &mut Vec<u32>) {
        let mut start = 0;
        while start < word.len() {
            let end = self.tokenizer.cuts.end(word, start);
            let segment = &word[start..end];
            if segment.len() == word.len() {
                self.merge(segment, ids);
                return;
            }
            if segment.len() > SHORT {
                self.merge(segment, ids);
            } else if let Some(found) = self.cache.short(Key::of(segment)) {
                ids.extend_from_slice(&found.ids[..found.count as usize]);
            } else {
                let from = ids.len();
                self.merge(segment, ids);
                self.cache.insert(segment, &ids[from..]);
            }
            start = end;
        }
    }

    fn merge(&mut self, word: &[u8], ids: &mut Vec<u32>) {
        let ByteLevel { bytes, letters, pairs, cuts, .. } = self.tokenizer;
        self.merger.symbols.clear();
        if !word.is_ascii() {
            letters.begin(word, &bytes.symbols, cuts, &mut self.merger.symbols);
            return self.merger.merge(pairs, ids);
        }
        self.merger.symbols.extend(word.iter().map(|byte| bytes.symbols[usize::from(*byte)]));
        if word.len() <= SCAN {
            let ranks = word.windows(2).map(|two| bytes.rank(two[0], two[1]));
            self.merger.merge_ranked(pairs, ranks, ids);
        } else {
            self.merger.merge(pairs, ids);
        }
    }
}

/// Ids on their way to the caller: three are written whatever the count, so that there is no branch on it.
struct Out {
    buffer: [u32; Self::ROOM],
    filled: usize,
}

impl Out {
    /// A block ends at most 64 words of at most three ids.
    const ROOM: usize = BLOCK * 3 + 8;

    #[inline(always)]
    fn put(&mut self, found: &Found) {
        self.buffer[self.filled..self.filled + found.ids.len()].copy_from_slice(&found.ids);
        self.filled += found.count as usize;
    }

    #[inline(always)]
    fn flush(&mut self, ids: &mut Vec<u32>) {
        ids.extend_from_slice(&self.buffer[..self.filled]);
        self.filled = 0;
    }
}
