//! Ids to text, the same for every backend.

use std::sync::Arc;

use serde::Deserialize;

use super::alphabet::bytes_of;
use super::bytelevel::CL100K;
use super::faithful::Faithful;
use super::opened::Opened;
use crate::error::Result;

/// What stands for a space inside SentencePiece's pieces.
pub const META: char = '▁';

/// Ids to text for the two kinds of tokenizers that cover nearly all models.
#[derive(Debug, Clone)]
pub struct Decoder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    /// Bytes of all tokens, one after the other.
    pool: Vec<u8>,
    /// Token `i` is `pool[ends[i] .. ends[i + 1]]`; ids without a token are empty.
    ends: Vec<u32>,
    /// What each id is.
    classes: Vec<Class>,
    lossless: bool,
    /// Where not every text comes back: which do.
    faithful: Option<Faithful>,
}

/// What an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    /// A piece of text.
    Piece,
    /// A byte, `<0x00>` to `<0xFF>`.
    Byte,
    /// Split out of the text before all else.
    Added,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Tokens are bytes.
    ByteLevel,
    /// Tokens are characters, `▁` is a space and `<0xE2>` a byte.
    SentencePiece {
        /// Takes one space off the front.
        strip: bool,
        /// Takes one space off after each token that was split out: the prefix was put before each piece.
        strip_after_added: bool,
    },
}

/// As much of a normalizer's, pre-tokenizer's or decoder's JSON as tells its kind.
#[derive(Debug, Deserialize)]
struct Step {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, alias = "decoders", alias = "normalizers", alias = "pretokenizers")]
    steps: Vec<Step>,
    #[serde(default)]
    add_prefix_space: Option<bool>,
    #[serde(default)]
    behavior: Option<String>,
    #[serde(default)]
    invert: bool,
    #[serde(default)]
    pattern: Option<Pattern>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    prepend: Option<String>,
    #[serde(default)]
    replacement: Option<String>,
    #[serde(default)]
    start: usize,
    #[serde(default)]
    stop: usize,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
enum Pattern {
    String(String),
    Regex(String),
}

impl Step {
    fn is_meta_to_space(&self) -> bool {
        self.kind == "Replace"
            && self.pattern == Some(Pattern::String(META.to_string()))
            && self.content.as_deref() == Some(" ")
    }

    fn flat(&self) -> Vec<&Step> {
        if self.kind == "Sequence" { self.steps.iter().flat_map(Step::flat).collect() } else { vec![self] }
    }
}

impl Decoder {
    /// The decoder of a file, or `None` when it is of another kind and the backend must decode.
    ///
    /// # Errors
    /// When a token's id is out of range.
    pub fn build(opened: &Opened<'_>) -> Result<Option<Self>> {
        let Opened { file, parts, model, vocabulary, .. } = opened;
        let step = |raw: Option<&serde_json::value::RawValue>| {
            raw.and_then(|raw| serde_json::from_str::<Step>(raw.get()).ok())
        };
        let Some(decoder) = step(parts.decoder) else { return Ok(None) };
        let normalizer = step(parts.normalizer);
        let kind = match decoder.flat().as_slice() {
            [only] if only.kind == "ByteLevel" => Kind::ByteLevel,
            [replace, fallback, fuse, rest @ ..]
                if replace.is_meta_to_space()
                    && fallback.kind == "ByteFallback"
                    && fuse.kind == "Fuse"
                    && rest.len() <= 1 =>
            {
                let strip = match rest {
                    [] => false,
                    [strip]
                        if strip.kind == "Strip"
                            && strip.content.as_deref() == Some(" ")
                            && (strip.start, strip.stop) == (1, 0) =>
                    {
                        true
                    }
                    _ => return Ok(None),
                };
                let prepended = normalizer
                    .as_ref()
                    .is_some_and(|step| step.flat().iter().any(|step| step.prepend.as_deref() == Some("▁")));
                Kind::SentencePiece { strip, strip_after_added: strip && prepended }
            }
            _ => return Ok(None),
        };
        let size = vocabulary.largest().into_iter().chain(parts.added_tokens.iter().map(|token| token.id)).max();
        let size = size.map_or(0, |largest| largest as usize + 1);
        // An id far beyond the number of tokens would make a table of holes.
        if size > (1 << 20).max(64 * (vocabulary.len() + parts.added_tokens.len())) {
            return Err(file.error(format!(
                "its largest id, {}, is far beyond its {} tokens",
                size - 1,
                vocabulary.len()
            )));
        }
        let mut spans: Vec<(u32, u32)> = vec![(0, 0); size];
        let mut pool = Vec::new();
        let mut bytes = Vec::new();
        let mut alphabet = [false; 256];
        let mut put = |id: u32, token: &[u8], pool: &mut Vec<u8>| {
            let start = u32::try_from(pool.len()).unwrap_or(u32::MAX);
            pool.extend_from_slice(token);
            spans[id as usize] = (start, u32::try_from(pool.len()).unwrap_or(u32::MAX));
        };
        let mut scratch = Vec::new();
        for (id, piece) in vocabulary.iter() {
            scratch.clear();
            match kind {
                Kind::ByteLevel => {
                    if !bytes_of(piece, &mut scratch) {
                        scratch.clear();
                        scratch.extend_from_slice(piece.as_bytes());
                    } else if let [byte] = scratch.as_slice() {
                        alphabet[usize::from(*byte)] = true;
                    }
                }
                Kind::SentencePiece { .. } => match byte_token(piece) {
                    Some(byte) => {
                        bytes.push(id);
                        scratch.push(byte);
                    }
                    None => scratch.extend_from_slice(piece.replace(META, " ").as_bytes()),
                },
            }
            put(id, &scratch, &mut pool);
        }
        for token in &parts.added_tokens {
            put(token.id, token.content.as_bytes(), &mut pool);
        }
        // Lay the tokens out by id, so that one array of ends tells where each lies.
        let mut ordered = Vec::with_capacity(pool.len());
        let mut ends = Vec::with_capacity(size + 1);
        ends.push(0);
        for (start, end) in spans {
            ordered.extend_from_slice(&pool[start as usize..end as usize]);
            ends.push(u32::try_from(ordered.len()).map_err(|_| file.error("its tokens exceed 4 GiB"))?);
        }
        let mut added: Vec<u32> = parts.added_tokens.iter().map(|token| token.id).collect();
        added.sort_unstable();
        bytes.sort_unstable();
        bytes.retain(|id| added.binary_search(id).is_err());
        let bpe = model.is_bpe()
            && model.continuing_subword_prefix.as_deref().unwrap_or_default().is_empty()
            && model.end_of_word_suffix.as_deref().unwrap_or_default().is_empty();
        let pre_tokenizer = step(parts.pre_tokenizer);
        let (mut lossless, mut faithful) = (false, None);
        match kind {
            Kind::ByteLevel => {
                let keeps = bpe
                    // The others are in no text.
                    && alphabet.iter().enumerate().all(|(byte, is)| *is || matches!(byte, 0xC0 | 0xC1 | 0xF5..))
                    && pre_tokenizer.is_some_and(|step| step.flat().iter().all(|step| keeps_all(step)))
                    && parts.added_tokens.iter().all(|token| !token.lstrip && !token.rstrip);
                lossless = keeps && parts.normalizer.is_none();
                let nfc = normalizer.is_some_and(|step| step.flat().iter().all(|step| step.kind == "NFC"));
                faithful = (keeps && nfc).then(|| Faithful { nfc, ..Faithful::default() });
            }
            Kind::SentencePiece { strip, .. } => {
                if bpe && model.byte_fallback == Some(true) && bytes.len() == 256 {
                    let normalizer = Some(normalizer).filter(|step| step.is_some() == parts.normalizer.is_some());
                    let before = Some(pre_tokenizer).filter(|step| step.is_some() == parts.pre_tokenizer.is_some());
                    faithful = normalizer.zip(before).and_then(|(n, p)| sentencepiece(n.as_ref(), p.as_ref(), strip));
                    let unknown = model.unk_token.iter().flat_map(|unknown| vocabulary.ids(unknown));
                    let mut lossy: Vec<u32> = added.iter().copied().chain(unknown).collect();
                    lossy.sort_unstable();
                    faithful.iter_mut().for_each(|faithful| faithful.forbid(&lossy));
                }
            }
        }
        let mut classes = vec![Class::Piece; size];
        for (of, class) in [(&bytes, Class::Byte), (&added, Class::Added)] {
            of.iter().for_each(|&id| classes[id as usize] = class);
        }
        Ok(Some(Self(Arc::new(Inner { kind, pool: ordered, ends, classes, lossless, faithful }))))
    }

    /// Whether the text has nothing that decoding its ids may give back otherwise.
    #[must_use]
    pub fn keeps(&self, text: &str) -> bool {
        self.0.lossless || self.0.faithful.as_ref().is_some_and(|faithful| faithful.keeps(text))
    }

    /// Whether these ids stand for the text that they were made of, all of them.
    #[must_use]
    pub fn keeps_ids(&self, ids: &[u32]) -> bool {
        self.0.lossless || self.0.faithful.as_ref().is_some_and(|faithful| faithful.keeps_ids(ids))
    }

    /// Whether decoding gives back every text byte for byte: byte-level tokens, no normalizer, and a pre-tokenizer that
    /// drops nothing.
    ///
    /// SentencePiece's kind never is, for a `▁` in a text comes back as a space. It does give back every text that has no
    /// `▁`, no character that became the unknown token and no listed special token that takes the white space about it,
    /// and that, with `Metaspace`, does not begin with a space.
    #[must_use]
    pub fn lossless(&self) -> bool {
        self.0.lossless
    }

    /// The text of `ids`. Bytes that are no UTF-8 become U+FFFD; `None` when an id is no token.
    #[must_use]
    pub fn decode(&self, ids: &[u32]) -> Option<String> {
        let inner = &*self.0;
        let token = |id: u32| {
            let id = id as usize;
            Some(*inner.ends.get(id)? as usize..*inner.ends.get(id + 1)? as usize)
        };
        let mut out = Bytes::new(ids.len());
        match inner.kind {
            Kind::ByteLevel => {
                for &id in ids {
                    out.put(&inner.pool, token(id)?);
                }
            }
            Kind::SentencePiece { strip, strip_after_added } => {
                // Where a run of byte tokens that has not ended began.
                let mut run = None;
                let mut at_start = strip;
                for &id in ids {
                    let mut token = token(id)?;
                    match *inner.classes.get(id as usize)? {
                        Class::Byte => {
                            run = run.or(Some(out.used));
                            at_start = false;
                        }
                        class => {
                            if let Some(start) = run.take() {
                                out.end_run(start);
                            }
                            if class == Class::Added {
                                at_start = strip_after_added;
                            } else if std::mem::take(&mut at_start) {
                                token.start += usize::from(inner.pool[token.clone()].starts_with(b" "));
                            }
                        }
                    }
                    out.put(&inner.pool, token);
                }
                if let Some(start) = run {
                    out.end_run(start);
                }
            }
        }
        out.bytes.truncate(out.used);
        // Pieces are text, and so is what is left of runs.
        Some(
            String::from_utf8(out.bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }
}

/// Bytes that are copied at once: most tokens are shorter, and a copy of a length that is known takes a few steps.
const STRETCH: usize = 16;

/// A text while its tokens are put together: the first `used` bytes, and room after them.
struct Bytes {
    bytes: Vec<u8>,
    used: usize,
}

impl Bytes {
    /// Room for so many tokens of usual length.
    fn new(tokens: usize) -> Self {
        Self { bytes: vec![0; tokens * 4 + STRETCH], used: 0 }
    }

    /// Appends a part of the pool.
    #[inline]
    fn put(&mut self, pool: &[u8], part: std::ops::Range<usize>) {
        let length = part.len();
        let from = pool.get(part.start..).and_then(|rest| rest.first_chunk::<STRETCH>());
        let to = self.bytes.get_mut(self.used..).and_then(|rest| rest.first_chunk_mut::<STRETCH>());
        if let (Some(from), Some(to), true) = (from, to, length <= STRETCH) {
            *to = *from;
        } else {
            self.put_long(&pool[part]);
        }
        self.used += length;
    }

    #[cold]
    fn put_long(&mut self, token: &[u8]) {
        let end = self.used + token.len();
        if self.bytes.len() < end + STRETCH {
            self.bytes.resize((end + STRETCH).max(self.bytes.len().saturating_mul(2)), 0);
        }
        self.bytes[self.used..end].copy_from_slice(token);
    }

    /// Ends a run of byte tokens that began at `start`: its text, or one U+FFFD a byte when it is none, as Hugging Face does.
    fn end_run(&mut self, start: usize) {
        let run = &self.bytes[start..self.used];
        if str::from_utf8(run).is_err() {
            let replaced = "\u{FFFD}".repeat(run.len());
            self.used = start;
            self.put_long(replaced.as_bytes());
            self.used += replaced.len();
        }
    }
}

/// Which texts come back from SentencePiece's kind, where its normalizer and pre-tokenizer do no more than put a `▁` in front
/// and write spaces as `▁`.
fn sentencepiece(normalizer: Option<&Step>, pre_tokenizer: Option<&Step>, strip: bool) -> Option<Faithful> {
    let meta = META.to_string();
    let mut prepended = false;
    for step in normalizer.map_or_else(Vec::new, Step::flat) {
        match step.kind.as_str() {
            "Prepend" if step.prepend.as_ref() == Some(&meta) && !prepended => prepended = true,
            "Replace" if step.pattern == Some(Pattern::String(" ".into())) && step.content.as_ref() == Some(&meta) => {}
            _ => return None,
        }
    }
    let split = match pre_tokenizer {
        None => false,
        Some(step) if step.kind == "Metaspace" && step.replacement.as_ref() == Some(&meta) => true,
        Some(_) => return None,
    };
    // What was put in front must be taken off again, and only that.
    ((strip || !(prepended || split)) && !(prepended && split)).then(|| Faithful {
        meta: true,
        first_space: strip && !prepended,
        ..Faithful::default()
    })
}

/// The byte of a byte token, `<0xE2>`.
#[must_use]
pub fn byte_token(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}

fn keeps_all(step: &Step) -> bool {
    match step.kind.as_str() {
        "ByteLevel" => step.add_prefix_space == Some(false),
        "Digits" => true,
        "Split" => match step.behavior.as_deref() {
            // Every character falls under one of the pattern's alternatives: what does not match is nothing.
            Some("Removed") => step.invert && step.pattern == Some(Pattern::Regex(CL100K.into())),
            Some(_) => true,
            None => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is copied at once, at the pool's end, beyond a stretch, or where room is short.
    #[test]
    fn bytes_are_put_together() {
        let pool: Vec<u8> = (0..100).collect();
        let (mut bytes, mut plain) = (Bytes::new(0), Vec::new());
        for start in 0..100 {
            for length in [0, 1, 3, 15, 16, 17, 40].map(|length: usize| length.min(100 - start)) {
                bytes.put(&pool, start..start + length);
                plain.extend_from_slice(&pool[start..start + length]);
            }
        }
        assert_eq!(bytes.bytes[..bytes.used], plain);
        let start = bytes.used;
        bytes.put(&[0xFF; 300], 0..300);
        bytes.end_run(start);
        bytes.put(b"a", 0..1);
        assert_eq!(bytes.bytes[start..bytes.used], *("\u{FFFD}".repeat(300) + "a").as_bytes());
    }

    #[test]
    fn byte_tokens_are_told_from_text() {
        assert_eq!(byte_token("<0xE2>"), Some(0xE2));
        assert_eq!(byte_token("<0x0a>"), Some(0x0A));
        for piece in ["<0x+1>", "<0xE>", "0xE2", "<0xE2", "<0xE2 >"] {
            assert_eq!(byte_token(piece), None, "{piece}");
        }
    }
}
