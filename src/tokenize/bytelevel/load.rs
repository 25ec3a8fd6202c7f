//! Which tokenizers are served here.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::added::AddedTokens;
use super::super::alphabet::{bytes_of, letter_of};
use super::super::decode::Decoder;
use super::super::file::AddedToken;
use super::super::merge::{ID_LIMIT, Pairs};
use super::super::opened::Opened;
use super::cuts::Cuts;
use super::letters::Letters;
use super::nfc::nfc;
use super::scan::Pattern;
use super::{ByteLevel, Bytes};

/// The normalizers that are known here.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Normalizer {
    Sequence {
        normalizers: Vec<Normalizer>,
    },
    #[serde(rename = "NFC")]
    Nfc,
    #[serde(other)]
    Other,
}

/// The pre-tokenizers that are known here.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum PreTokenizer {
    Sequence {
        pretokenizers: Vec<PreTokenizer>,
    },
    Split {
        pattern: Regex,
        behavior: Behavior,
        invert: bool,
    },
    ByteLevel {
        add_prefix_space: bool,
        /// Whether the text is split by GPT-2's pattern; older files do not say.
        use_regex: Option<bool>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
enum Regex {
    Regex(String),
    #[expect(dead_code, reason = "named so that it is told from a regular expression; what it holds is not looked at")]
    String(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Behavior {
    Isolated,
    Removed,
    #[serde(other)]
    Other,
}

impl ByteLevel {
    /// Loads a tokenizer, or says why it is not one for this backend.
    pub fn load(opened: &Opened<'_>, decoder: Option<Decoder>) -> Result<Self, String> {
        let Opened { parts, added, model, vocabulary, .. } = opened;
        let nfc = normalizes(parts.normalizer)?;
        let pattern = pattern(parts.pre_tokenizer)?;
        let decoder = decoder.ok_or("its decoder is not byte-level")?;
        let merges = opened.merges()?;
        if model.dropout.is_some_and(|dropout| dropout > 0.0) {
            return Err("its merges drop out at random".into());
        }
        let affix = |affix: &Option<String>| affix.as_deref().is_some_and(|affix| !affix.is_empty());
        if affix(&model.continuing_subword_prefix) || affix(&model.end_of_word_suffix) {
            return Err("its pieces carry a prefix or suffix within words".into());
        }
        if let Some((id, one, other)) = vocabulary.shared_id() {
            return Err(format!("its pieces {one:?} and {other:?} share id {id}"));
        }
        if let Some(piece) = vocabulary.twice() {
            return Err(format!("its piece {piece:?} comes twice"));
        }
        if vocabulary.largest().is_none_or(|largest| largest >= ID_LIMIT) {
            return Err(format!("it has ids of {ID_LIMIT} or more"));
        }
        let mut symbols = [None; 256];
        for (byte, symbol) in (0_u8..=255).zip(symbols.iter_mut()) {
            let letter = letter_of(byte);
            match vocabulary.place(letter.encode_utf8(&mut [0; 4])) {
                Some(place) => *symbol = Some(vocabulary.id(place)),
                // The others are in no text.
                None if matches!(byte, 0xC0 | 0xC1 | 0xF5..) => {}
                None => return Err(format!("it has no piece for the byte {byte:#04X}")),
            }
        }
        let mut results = Vec::new();
        let mut spans = Vec::with_capacity(merges.len());
        for merge in merges {
            // A piece with other characters than those of bytes is never made.
            let start = results.len();
            if !bytes_of(vocabulary.text(merge.result), &mut results) {
                results.truncate(start);
            }
            spans.push((start, results.len()));
        }
        let results = || spans.iter().map(|&(start, end)| &results[start..end]);
        let cuts = Cuts::new(results());
        let merges: Vec<(u32, u32, u32)> = merges
            .iter()
            .map(|merge| (vocabulary.id(merge.left), vocabulary.id(merge.right), vocabulary.id(merge.result)))
            .collect();
        let pairs = Pairs::new(&merges)?;
        let bytes = Bytes::new(&symbols, &pairs).ok_or("all pairs of its bytes have a merge")?;
        let letters = Letters::new(&bytes.symbols, &pairs, &merges, results());
        let (raw, normalized) = added_tokens(added, nfc)?;
        let whole = model.ignore_merges.unwrap_or(false).then(|| vocabulary.clone());
        Ok(Self { nfc, pattern, raw, normalized, bytes, letters, pairs, cuts, whole, decoder })
    }
}

fn parse<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<Option<T>, String> {
    raw.map_or(Ok(None), |raw| serde_json::from_str(raw.get())).map_err(|error| error.to_string())
}

/// Whether text is normalized to NFC, when nothing else is done to it.
fn normalizes(raw: Option<&RawValue>) -> Result<bool, String> {
    let steps = match parse(raw)? {
        None => Vec::new(),
        Some(Normalizer::Sequence { normalizers }) => normalizers,
        Some(step) => vec![step],
    };
    if steps.iter().any(|step| !matches!(step, Normalizer::Nfc)) {
        return Err("its normalizer is not NFC".into());
    }
    Ok(!steps.is_empty())
}

/// The pattern that splits text, when it is a known one.
fn pattern(raw: Option<&RawValue>) -> Result<Pattern, String> {
    let steps = match parse(raw)? {
        None => Vec::new(),
        Some(PreTokenizer::Sequence { pretokenizers }) => pretokenizers,
        Some(step) => vec![step],
    };
    let found = match steps.as_slice() {
        [PreTokenizer::ByteLevel { add_prefix_space: false, use_regex: None | Some(true) }] => Some(Pattern::Gpt2),
        [
            PreTokenizer::Split { pattern: Regex::Regex(regex), behavior, invert },
            PreTokenizer::ByteLevel { add_prefix_space: false, use_regex: Some(false) },
            // All that matches is a word, and there is nothing else: it may as well be removed.
        ] if matches!((behavior, invert), (Behavior::Isolated, false) | (Behavior::Removed, true)) => {
            Pattern::of(regex)
        }
        _ => return Err("its pre-tokenizer is not one of those known here".into()),
    };
    found.ok_or_else(|| "it splits text by a pattern that is not known here".into())
}

/// The tokens matched in the text as it is, and those matched in the normalized text.
fn added_tokens(added: &[AddedToken], nfc_first: bool) -> Result<(Option<AddedTokens>, Option<AddedTokens>), String> {
    let of = |normalized: bool| -> Result<Option<AddedTokens>, String> {
        let tokens: Vec<(&AddedToken, String)> = added
            .iter()
            .filter(|token| token.normalized == normalized)
            .map(|token| {
                let text = &token.content;
                (token, if normalized && nfc_first { nfc(text).into_owned() } else { text.clone() })
            })
            .collect();
        AddedTokens::new(&tokens, false)
    };
    Ok((of(false)?, of(true)?))
}
