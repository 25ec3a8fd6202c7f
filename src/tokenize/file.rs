//! `tokenizer.json`, read once and taken apart without building a tree of its whole content.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// No tokenizer file is nearly as large; a larger one is a mistake.
const MAX_BYTES: u64 = 512 << 20;

/// A `tokenizer.json` in memory.
#[derive(Debug)]
pub struct TokenizerFile {
    path: PathBuf,
    text: String,
    digest: [u8; 32],
}

/// The file's parts, borrowed; what is a `RawValue` has not been looked into.
#[derive(Debug, Deserialize)]
pub struct Parts<'a> {
    /// Format version; Hugging Face knows `1.0` alone.
    #[serde(default)]
    pub version: Option<String>,
    /// Tokens matched in the text before the model sees it.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub added_tokens: Vec<AddedToken>,
    /// Text to text.
    #[serde(borrow, default)]
    pub normalizer: Option<&'a RawValue>,
    /// Text to words.
    #[serde(borrow, default)]
    pub pre_tokenizer: Option<&'a RawValue>,
    /// Ids to ids: what adds BOS and EOS when asked to.
    #[serde(borrow, default)]
    pub post_processor: Option<&'a RawValue>,
    /// Ids to text.
    #[serde(borrow, default)]
    pub decoder: Option<&'a RawValue>,
    /// Words to ids.
    #[serde(borrow)]
    pub model: &'a RawValue,
}

/// An entry of `added_tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedToken {
    /// Its id, as the file says.
    pub id: u32,
    /// The string that is matched.
    pub content: String,
    /// Matches whole words only.
    #[serde(default)]
    pub single_word: bool,
    /// Takes the white space on its left.
    #[serde(default)]
    pub lstrip: bool,
    /// Takes the white space on its right.
    #[serde(default)]
    pub rstrip: bool,
    /// Matched in the normalized text, by its normalized content.
    #[serde(default)]
    pub normalized: bool,
    /// A control token: text, unless the curriculum lists it.
    #[serde(default)]
    pub special: bool,
}

/// The model, its large parts not looked into.
#[derive(Debug, Deserialize)]
pub struct Model<'a> {
    /// `BPE`, `Unigram`, `WordPiece`, `WordLevel`; older files do not say.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Piece to id, or a list of pieces with their scores.
    #[serde(borrow)]
    pub vocab: &'a RawValue,
    /// Pairs in the order of their rank.
    #[serde(borrow, default)]
    pub merges: Option<&'a RawValue>,
    /// Chance that a merge is passed over.
    #[serde(default)]
    pub dropout: Option<f64>,
    /// Piece that stands for characters without a piece.
    #[serde(default)]
    pub unk_token: Option<String>,
    /// Put before pieces that do not begin a word.
    #[serde(default)]
    pub continuing_subword_prefix: Option<String>,
    /// Put after pieces that end a word.
    #[serde(default)]
    pub end_of_word_suffix: Option<String>,
    /// Neighbouring unknown characters become one token.
    #[serde(default)]
    pub fuse_unk: Option<bool>,
    /// Unknown characters become their bytes, `<0xE2>`.
    #[serde(default)]
    pub byte_fallback: Option<bool>,
    /// A word that is a piece is that piece, whatever the merges say.
    #[serde(default)]
    pub ignore_merges: Option<bool>,
}

impl Model<'_> {
    /// Whether this is byte-pair encoding (files of 2019 do not name the type, but have merges).
    #[must_use]
    pub fn is_bpe(&self) -> bool {
        match &self.kind {
            Some(kind) => kind == "BPE",
            None => self.merges.is_some(),
        }
    }
}

impl TokenizerFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is over 512 MiB, or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self> {
        let file = fs_err::File::open(path)?;
        let length = file.metadata()?.len();
        let fail = |message: String| Error::Tokenizer { file: path.to_path_buf(), message };
        if length > MAX_BYTES {
            return Err(fail(format!(
                "{length} bytes is more than the {MAX_BYTES} that a tokenizer may have; is this a tokenizer.json?"
            )));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        let digest = *blake3::hash(&bytes).as_bytes();
        let text = String::from_utf8(bytes).map_err(|error| {
            fail(format!("not UTF-8 at byte {}; is this a tokenizer.json?", error.utf8_error().valid_up_to()))
        })?;
        Ok(Self { path: path.to_path_buf(), text, digest })
    }

    /// A file that is not on disk.
    #[cfg(test)]
    pub(super) fn from_text(text: &str) -> Self {
        Self { path: "test/tokenizer.json".into(), text: text.to_owned(), digest: [0; 32] }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of its bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The tokenizer's name for people: the folder of a `tokenizer.json`, else the file's stem.
    #[must_use]
    pub fn name(&self) -> String {
        let stem = self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if stem != "tokenizer" {
            return stem;
        }
        let folder = self.path.parent().and_then(Path::file_name);
        folder.map_or(stem, |folder| folder.to_string_lossy().into_owned())
    }

    /// An error about this file.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::Tokenizer { file: self.path.clone(), message: message.into() }
    }

    /// Its parts.
    ///
    /// # Errors
    /// When it is not a `tokenizer.json`.
    pub fn parts(&self) -> Result<Parts<'_>> {
        serde_json::from_str(&self.text)
            .map_err(|error| self.error(format!("not a tokenizer.json of Hugging Face's `tokenizers`: {error}")))
    }

    /// The same tokenizer as JSON for a library to load: without truncation and padding, which have no place in a
    /// corpus, and with the strings in `listed` no longer marked special.
    ///
    /// Hugging Face's `encode_special_tokens` passes over a match if and only if its token is marked special. So an
    /// unmarked token is split out exactly as it would be without that switch, with its own `lstrip`, `normalized` and
    /// so on, while all others stay text.
    ///
    /// # Errors
    /// When a listed string is no added token.
    pub fn for_library(&self, listed: &[String]) -> Result<String> {
        #[derive(Serialize)]
        struct Out<'a> {
            version: &'a str,
            truncation: Option<()>,
            padding: Option<()>,
            added_tokens: Vec<AddedToken>,
            normalizer: Option<&'a RawValue>,
            pre_tokenizer: Option<&'a RawValue>,
            post_processor: Option<&'a RawValue>,
            decoder: Option<&'a RawValue>,
            model: &'a RawValue,
        }
        let parts = self.parts()?;
        let version = parts.version.as_deref().unwrap_or("1.0");
        let added_tokens = unmark(self, parts.added_tokens, listed)?;
        let out = Out {
            version,
            truncation: None,
            padding: None,
            added_tokens,
            normalizer: parts.normalizer,
            pre_tokenizer: parts.pre_tokenizer,
            post_processor: parts.post_processor,
            decoder: parts.decoder,
            model: parts.model,
        };
        serde_json::to_string(&out).map_err(|error| self.error(error.to_string()))
    }
}

/// `added` with the strings in `listed` no longer marked special.
pub fn unmark(file: &TokenizerFile, mut added: Vec<AddedToken>, listed: &[String]) -> Result<Vec<AddedToken>> {
    for string in listed {
        let Some(token) = added.iter_mut().find(|token| token.content == *string) else {
            let near = nearest(string, added.iter().map(|token| token.content.as_str()));
            return Err(file.error(format!("`special` lists {string:?}, which is no added token of it{near}")));
        };
        token.special = false;
    }
    Ok(added)
}

/// `; did you mean "..."?` with the strings most like `wanted`, or nothing when none is near.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut near: Vec<(usize, &str)> = names
        .map(|name| (strsim::damerau_levenshtein(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 2.max(wanted.chars().count().max(name.chars().count()) / 3))
        .collect();
    near.sort_unstable();
    near.dedup();
    let names: Vec<String> = near.iter().take(3).map(|(_, name)| format!("{name:?}")).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("; did you mean {one}?"),
        many => format!("; did you mean one of {}?", many.join(", ")),
    }
}

/// All pieces of the model, by id.
#[derive(Debug, Default)]
pub struct Vocabulary {
    pool: String,
    /// Id, start and end in the pool; by id, then in file order.
    pieces: Vec<(u32, u32, u32)>,
}

impl Vocabulary {
    /// Reads the `vocab` of a model: an object of piece to id, or a list of piece and score.
    ///
    /// # Errors
    /// When it is neither, or an id does not fit 32 bits.
    pub fn parse(raw: &RawValue) -> serde_json::Result<Self> {
        let mut vocabulary = Self::default();
        serde_json::Deserializer::from_str(raw.get()).deserialize_any(VocabularyVisitor(&mut vocabulary))?;
        vocabulary.pieces.sort_by_key(|piece| piece.0);
        Ok(vocabulary)
    }

    fn push(&mut self, id: u32, piece: &str) -> Result<(), String> {
        let start = u32::try_from(self.pool.len()).map_err(|_| "the vocabulary's strings exceed 4 GiB".to_owned())?;
        self.pool.push_str(piece);
        let end = u32::try_from(self.pool.len()).map_err(|_| "the vocabulary's strings exceed 4 GiB".to_owned())?;
        self.pieces.push((id, start, end));
        Ok(())
    }

    /// Ids with their pieces, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.pieces.iter().map(|&(id, start, end)| (id, &self.pool[start as usize..end as usize]))
    }

    /// Ids of a piece (one, unless the file is odd).
    pub fn ids(&self, piece: &str) -> impl Iterator<Item = u32> {
        self.iter().filter(move |(_, name)| *name == piece).map(|(id, _)| id)
    }

    /// The largest id.
    #[must_use]
    pub fn largest(&self) -> Option<u32> {
        self.pieces.last().map(|piece| piece.0)
    }

    /// Number of pieces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there is no piece.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// An id that two pieces share, with both.
    #[must_use]
    pub fn shared_id(&self) -> Option<(u32, &str, &str)> {
        let text = |piece: &(u32, u32, u32)| &self.pool[piece.1 as usize..piece.2 as usize];
        self.pieces
            .windows(2)
            .find(|pair| pair[0].0 == pair[1].0)
            .map(|pair| (pair[0].0, text(&pair[0]), text(&pair[1])))
    }
}

/// Fills a vocabulary entry by entry, with no tree of the whole in between.
struct VocabularyVisitor<'v>(&'v mut Vocabulary);

impl<'de> Visitor<'de> for VocabularyVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a vocabulary: an object of piece to id, or a list of [piece, score]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(id) = map.next_key_seed(Piece(self.0))? {
            let (start, end) = id;
            let id: u32 = map.next_value()?;
            self.0.pieces.push((id, start, end));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut id = 0_u32;
        while let Some((piece, _score)) = list.next_element::<(std::borrow::Cow<'de, str>, f64)>()? {
            self.0.push(id, &piece).map_err(serde::de::Error::custom)?;
            id += 1;
        }
        Ok(())
    }
}

/// Appends a string to the pool and gives its place.
struct Piece<'v>(&'v mut Vocabulary);

impl<'de> DeserializeSeed<'de> for Piece<'_> {
    type Value = (u32, u32);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(u32, u32), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Piece<'_> {
    type Value = (u32, u32);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a piece")
    }

    fn visit_str<E: serde::de::Error>(self, piece: &str) -> Result<(u32, u32), E> {
        self.0.push(0, piece).map_err(E::custom)?;
        let (_, start, end) = self.0.pieces.pop().unwrap_or_default();
        Ok((start, end))
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AddedToken>, D::Error> {
    Ok(Option::<Vec<AddedToken>>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> TokenizerFile {
        TokenizerFile { path: "x/tokenizer.json".into(), text: text.into(), digest: [0; 32] }
    }

    const SMALL: &str = r#"{"version": "1.0", "truncation": {"max_length": 3}, "padding": null,
        "added_tokens": [{"id": 2, "content": "</s>", "special": true}, {"id": 3, "content": "<fim>", "special": true, "lstrip": true}],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "vocab": {"b": 1, "a\u0041": 0, "\u2581": 7}, "merges": []}}"#;

    #[test]
    fn the_vocabulary_is_sorted_by_id() {
        let file = file(SMALL);
        let parts = file.parts().unwrap();
        let model: Model<'_> = serde_json::from_str(parts.model.get()).unwrap();
        assert!(model.is_bpe());
        let vocabulary = Vocabulary::parse(model.vocab).unwrap();
        assert_eq!(vocabulary.iter().collect::<Vec<_>>(), [(0, "aA"), (1, "b"), (7, "▁")]);
        assert_eq!((vocabulary.largest(), vocabulary.len(), vocabulary.shared_id()), (Some(7), 3, None));
    }

    #[test]
    fn a_list_of_scored_pieces_is_numbered() {
        let raw = RawValue::from_string(r#"[["<pad>", 0.0], ["▁a", -2.5]]"#.into()).unwrap();
        let vocabulary = Vocabulary::parse(&raw).unwrap();
        assert_eq!(vocabulary.iter().collect::<Vec<_>>(), [(0, "<pad>"), (1, "▁a")]);
    }

    #[test]
    fn two_pieces_with_one_id_are_found() {
        let raw = RawValue::from_string(r#"{"a": 1, "b": 2, "c": 1}"#.into()).unwrap();
        assert_eq!(Vocabulary::parse(&raw).unwrap().shared_id(), Some((1, "a", "c")));
    }

    #[test]
    fn a_library_gets_no_truncation_and_listed_strings_are_not_special() {
        let file = file(SMALL);
        let json: serde_json::Value = serde_json::from_str(&file.for_library(&["<fim>".into()]).unwrap()).unwrap();
        assert_eq!(json["truncation"], serde_json::Value::Null);
        assert_eq!(json["added_tokens"][0]["special"], true);
        assert_eq!(json["added_tokens"][1]["special"], false);
        assert_eq!(json["added_tokens"][1]["lstrip"], true);
        let error = file.for_library(&["<fin>".into()]).unwrap_err().to_string();
        assert!(error.contains("did you mean") && error.contains("<fim>"), "{error}");
    }

    #[test]
    fn the_name_is_the_folders() {
        assert_eq!(file("").name(), "x");
        assert_eq!(TokenizerFile { path: "t/phi.json".into(), text: String::new(), digest: [0; 32] }.name(), "phi");
    }
}
