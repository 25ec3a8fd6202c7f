//! `tokenizer.json`, read once and taken apart without building a tree of its whole content.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// No tokenizer file is nearly as large; a larger one is a mistake.
const MAX_BYTES: u64 = 512 << 20;

/// A `tokenizer.json`.
#[derive(Debug)]
pub struct TokenizerFile {
    path: PathBuf,
    /// Not looked into, and perhaps not in memory, before somebody asks for [`Self::parts`].
    bytes: OnceLock<Vec<u8>>,
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
    /// When it cannot be read, or is over 512 MiB.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = whole(path)?;
        Ok(Self { path: path.to_path_buf(), digest: *blake3::hash(&bytes).as_bytes(), bytes: OnceLock::from(bytes) })
    }

    /// Hashes a file, which is read again only if somebody asks for [`Self::parts`]: who has it proved already needs no more.
    ///
    /// # Errors
    /// As those of [`Self::read`].
    pub fn hashed(path: &Path) -> Result<Self> {
        let (file, _) = open(path)?;
        let mut hash = blake3::Hasher::new();
        hash.update_reader(file)?;
        Ok(Self { path: path.to_path_buf(), bytes: OnceLock::new(), digest: *hash.finalize().as_bytes() })
    }

    /// Its bytes, read if they are not there yet.
    fn bytes(&self) -> Result<&[u8]> {
        if let Some(bytes) = self.bytes.get() {
            return Ok(bytes);
        }
        let bytes = whole(&self.path)?;
        if *blake3::hash(&bytes).as_bytes() != self.digest {
            return Err(self.error("changed while it was read; start again when it is whole"));
        }
        Ok(self.bytes.get_or_init(|| bytes))
    }

    /// A file that is not on disk.
    #[cfg(test)]
    pub(super) fn from_text(text: &str) -> Self {
        Self { path: "test/tokenizer.json".into(), bytes: OnceLock::from(text.as_bytes().to_vec()), digest: [0; 32] }
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
    /// When it cannot be read, is not UTF-8, or not a `tokenizer.json`.
    pub fn parts(&self) -> Result<Parts<'_>> {
        let text = simdutf8::compat::from_utf8(self.bytes()?).map_err(|error| {
            self.error(format!("not UTF-8 at byte {}; is this a tokenizer.json?", error.valid_up_to()))
        })?;
        serde_json::from_str(text)
            .map_err(|error| self.error(format!("not a tokenizer.json of Hugging Face's `tokenizers`: {error}")))
    }
}

/// Opens a file that is not too long to be a tokenizer; its length.
fn open(path: &Path) -> Result<(fs_err::File, u64)> {
    let file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    if length > MAX_BYTES {
        let message =
            format!("{length} bytes is more than the {MAX_BYTES} that a tokenizer may have; is this a tokenizer.json?");
        return Err(Error::Tokenizer { file: path.to_path_buf(), message });
    }
    Ok((file, length))
}

/// All bytes of a file.
fn whole(path: &Path) -> Result<Vec<u8>> {
    let (file, length) = open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
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

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AddedToken>, D::Error> {
    Ok(Option::<Vec<AddedToken>>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_folders() {
        let file = |path: &str| TokenizerFile { path: path.into(), bytes: OnceLock::new(), digest: [0; 32] };
        assert_eq!(file("x/tokenizer.json").name(), "x");
        assert_eq!(file("t/phi.json").name(), "phi");
    }

    #[test]
    fn a_file_that_was_hashed_is_read_when_it_is_asked_for_and_must_be_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let text = format!(r#"{{"model": {{}}, "padding": "{}"}}"#, "x".repeat(300_000));
        fs_err::write(&path, &text).unwrap();
        let (read, hashed, late) =
            (TokenizerFile::read(&path), TokenizerFile::hashed(&path), TokenizerFile::hashed(&path));
        let (read, hashed, late) = (read.unwrap(), hashed.unwrap(), late.unwrap());
        assert_eq!(read.digest(), hashed.digest());
        assert_eq!(hashed.parts().unwrap().model.get(), "{}");
        fs_err::write(&path, text.replace("{}", "[]")).unwrap();
        assert_eq!(hashed.parts().unwrap().model.get(), "{}");
        let message = late.parts().unwrap_err().to_string();
        assert!(message.contains("changed while it was read"), "{message}");
    }
}
