//! Which tokenizers are served here: the conditions of the rule, checked.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::added::AddedTokens;
use super::super::decode::{Decoder, META, byte_token};
use super::super::file::{AddedToken, Model, Parts};
use super::super::merges::Merge;
use super::super::opened::Opened;
use super::super::vocabulary::Vocabulary;
use super::cache::ID_LIMIT;
use super::cuts::Cuts;
use super::merge::{Fallback, Merges};
use super::{PIECE, SentencePiece};

/// How a text gets its `▁`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The normalizer writes `▁` for each space, after putting one before each piece when `prepend`.
    Normalizer {
        /// Whether a piece gets a `▁` before it.
        prepend: bool,
    },
    /// The pre-tokenizer does.
    Metaspace {
        /// Which pieces get a `▁` before them, unless they have one.
        prepend: Prepend,
        /// Whether each `▁` begins a word.
        split: bool,
    },
}

/// Which pieces `Metaspace` puts a `▁` before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prepend {
    /// Each.
    Always,
    /// The one that begins the text.
    First,
    /// None.
    Never,
}

impl Prepend {
    /// Whether a piece gets one.
    pub fn applies(self, first: bool) -> bool {
        match self {
            Self::Always => true,
            Self::First => first,
            Self::Never => false,
        }
    }
}

/// The normalizers that are known here.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Normalizer {
    Sequence {
        normalizers: Vec<Normalizer>,
    },
    Prepend {
        prepend: String,
    },
    Replace {
        pattern: Pattern,
        content: String,
    },
    #[serde(other)]
    Other,
}

/// The pre-tokenizers that are known here.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum PreTokenizer {
    Metaspace {
        replacement: char,
        add_prefix_space: Option<bool>,
        prepend_scheme: Option<Prepend>,
        split: Option<bool>,
    },
    Split {
        pattern: Pattern,
        #[serde(default)]
        invert: bool,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
enum Pattern {
    String(String),
    #[expect(dead_code, reason = "named so that it is told from a string; what it holds is not looked at")]
    Regex(String),
}

impl SentencePiece {
    /// Loads a tokenizer, or says why it is not one for this backend.
    pub fn load(opened: &Opened<'_>, decoder: Option<Decoder>) -> Result<Self, String> {
        let Opened { parts, added, model, vocabulary, .. } = opened;
        let scheme = scheme(parts)?;
        if decoder.is_none() {
            return Err("its decoder is not SentencePiece's".into());
        }
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
        if vocabulary.largest().is_none_or(|largest| largest >= ID_LIMIT) {
            return Err(format!("it has ids of {ID_LIMIT} or more"));
        }
        if let Some(piece) = vocabulary.twice() {
            return Err(format!("its piece {piece:?} comes twice"));
        }
        let fallback = fallback(model, vocabulary)?;
        let operands = Operands { fallback: &fallback };
        let (merges, pairs) = operands.merges(vocabulary, merges, scheme)?;
        if pairs.iter().any(|pair| pair.0 == '\0' || pair.1 == '\0') {
            return Err("it has merges with a NUL".into());
        }
        let letters: Vec<(char, u32)> = letters(vocabulary);
        let known: BTreeSet<char> = letters.iter().map(|letter| letter.0).collect();
        let fuses = matches!(fallback, Fallback::Unknown { fuse: true, .. });
        let split = matches!(scheme, Scheme::Metaspace { split: true, .. });
        if split && !known.contains(&' ') {
            return Err("it has no piece for `▁` alone".into());
        }
        let cuts = Cuts::new(&pairs, fuses.then_some(&known), split.then_some(' '));
        let whole = model.ignore_merges.unwrap_or(false).then(|| whole(vocabulary));
        if whole.is_some() && split {
            return Err("it ignores merges for words that `Metaspace` splits".into());
        }
        // A `▁` is three bytes of a text, and one of what is looked up.
        if whole.iter().flatten().any(|(piece, _)| piece.len() >= PIECE / META.len_utf8()) {
            return Err("it ignores merges for words that are longer than what is read at once".into());
        }
        let (raw, normalized) = added_tokens(added, scheme)?;
        let merges = Merges::new(&letters, fallback, &merges)?;
        Ok(Self { scheme, raw, normalized, cuts, merges, whole, decoder })
    }
}

fn parse<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<Option<T>, String> {
    raw.map(|raw| serde_json::from_str(raw.get())).transpose().map_err(|error| error.to_string())
}

/// How the text gets its `▁`, when it is one of the known ways.
fn scheme(parts: &Parts<'_>) -> Result<Scheme, String> {
    let normalizer: Option<Normalizer> = parse(parts.normalizer)?;
    let pre_tokenizer: Option<PreTokenizer> = parse(parts.pre_tokenizer)?;
    let is_replace = |step: &Normalizer| matches!(step, Normalizer::Replace { pattern: Pattern::String(from), content } if from == " " && content == "▁");
    let is_prepend = |step: &Normalizer| matches!(step, Normalizer::Prepend { prepend } if prepend == "▁");
    let steps = match normalizer {
        None => Vec::new(),
        Some(Normalizer::Sequence { normalizers }) => normalizers,
        Some(step) => vec![step],
    };
    let normalized = match steps.as_slice() {
        [] => None,
        [replace] if is_replace(replace) => Some(false),
        [prepend, replace] if is_prepend(prepend) && is_replace(replace) => Some(true),
        _ => return Err("its normalizer does more than write `▁` for spaces".into()),
    };
    match (normalized, pre_tokenizer) {
        // A text without spaces is not split at spaces.
        (Some(prepend), None) => Ok(Scheme::Normalizer { prepend }),
        (Some(prepend), Some(PreTokenizer::Split { pattern: Pattern::String(at), invert: false })) if at == " " => {
            Ok(Scheme::Normalizer { prepend })
        }
        (None, Some(PreTokenizer::Metaspace { replacement: META, add_prefix_space, prepend_scheme, split })) => {
            let prepend = if add_prefix_space == Some(false) {
                Prepend::Never
            } else {
                prepend_scheme.unwrap_or(Prepend::Always)
            };
            Ok(Scheme::Metaspace { prepend, split: split.unwrap_or(true) })
        }
        _ => Err("its pre-tokenizer is not SentencePiece's".into()),
    }
}

/// What becomes of characters without a piece.
fn fallback(model: &Model<'_>, vocabulary: &Vocabulary) -> Result<Fallback, String> {
    let id = |piece: &str| vocabulary.place(piece).map(|place| vocabulary.id(place));
    if model.byte_fallback.unwrap_or(false) {
        let mut bytes = Box::new([0; 256]);
        for (byte, slot) in (0_u8..=255).zip(bytes.iter_mut()) {
            let name = format!("<0x{byte:02X}>");
            *slot = id(&name).ok_or_else(|| format!("its bytes are not complete: {name} is missing"))?;
        }
        return Ok(Fallback::Bytes(bytes));
    }
    let unknown = model
        .unk_token
        .as_deref()
        .ok_or("unknown characters yield no symbol: it has neither bytes nor an unknown token")?;
    let id = id(unknown).ok_or_else(|| format!("its unknown token {unknown:?} is not in the vocabulary"))?;
    Ok(Fallback::Unknown { id, fuse: model.fuse_unk.unwrap_or(false) })
}

/// Merges as ids, and what they put side by side.
type Merged = (Vec<(u32, u32, u32)>, BTreeSet<(char, char)>);

struct Operands<'a> {
    fallback: &'a Fallback,
}

impl Operands<'_> {
    /// All merges by rank, and all pairs of characters that their results have side by side (a space for `▁`).
    fn merges(&self, vocabulary: &Vocabulary, merges: &[Merge], scheme: Scheme) -> Result<Merged, String> {
        let mut found: Merged = Default::default();
        for merge in merges {
            let operand = |place: usize| self.operand(vocabulary.text(place), vocabulary.id(place));
            found.0.push((operand(merge.left)?, operand(merge.right)?, vocabulary.id(merge.result)));
            let result = vocabulary.text(merge.result);
            // A normalized text has no space, so such a piece is never made.
            if result.contains(' ') {
                continue;
            }
            let space = |letter: char| if letter == META { ' ' } else { letter };
            let split = matches!(scheme, Scheme::Metaspace { split: true, .. });
            let mut letters = result.chars().map(space);
            let mut before = letters.next();
            for letter in letters {
                if let Some(left) = before
                    // Each `▁` begins a word of its own.
                    && !(split && letter == ' ')
                {
                    found.1.insert((left, letter));
                }
                before = Some(letter);
            }
        }
        Ok(found)
    }

    /// An operand must be text: what a byte or unknown symbol covers is not what it is called.
    fn operand(&self, piece: &str, id: u32) -> Result<u32, String> {
        let named = match self.fallback {
            Fallback::Bytes(_) => byte_token(piece).is_some(),
            Fallback::Unknown { id: unknown, .. } => id == *unknown,
        };
        if named { Err(format!("it merges {piece:?}")) } else { Ok(id) }
    }
}

/// Symbols of single characters, a space for `▁`, sorted.
fn letters(vocabulary: &Vocabulary) -> Vec<(char, u32)> {
    let mut letters: Vec<(char, u32)> = vocabulary
        .iter()
        .filter_map(|(id, piece)| {
            let mut letters = piece.chars();
            let letter = letters.next().filter(|letter| *letter != ' ')?;
            letters.next().is_none().then_some((if letter == META { ' ' } else { letter }, id))
        })
        .collect();
    letters.sort_unstable();
    letters
}

/// Pieces as texts, a space for `▁`, sorted.
fn whole(vocabulary: &Vocabulary) -> Vec<(Box<[u8]>, u32)> {
    let mut whole: Vec<(Box<[u8]>, u32)> = vocabulary
        .iter()
        .filter(|(_, piece)| !piece.contains(' '))
        .map(|(id, piece)| (piece.replace(META, " ").into_bytes().into_boxed_slice(), id))
        .collect();
    whole.sort_unstable();
    whole
}

/// The tokens matched in the text as it is, and those matched in the normalized text.
fn added_tokens(added: &[AddedToken], scheme: Scheme) -> Result<(Option<AddedTokens>, Option<AddedTokens>), String> {
    let raw: Vec<(&AddedToken, String)> =
        added.iter().filter(|token| !token.normalized).map(|token| (token, token.content.clone())).collect();
    let normalized: Vec<(&AddedToken, String)> = added
        .iter()
        .filter(|token| token.normalized)
        .map(|token| {
            let pattern = match scheme {
                Scheme::Normalizer { prepend } => {
                    let prefix = if prepend && !token.content.is_empty() { " " } else { "" };
                    format!("{prefix}{}", token.content.replace(META, " "))
                }
                Scheme::Metaspace { .. } => token.content.clone(),
            };
            (token, pattern)
        })
        .collect();
    let space_is_meta = matches!(scheme, Scheme::Normalizer { .. });
    Ok((AddedTokens::new(&raw, false)?, AddedTokens::new(&normalized, space_is_meta)?))
}
