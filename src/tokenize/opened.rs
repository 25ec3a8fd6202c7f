//! A tokenizer file taken apart, once for all who load it.

use std::sync::OnceLock;

use serde::Serialize;
use serde_json::value::RawValue;

use super::file::{AddedToken, Model, Parts, TokenizerFile, unmark};
use super::merges::{Merge, Texts};
use super::vocabulary::Vocabulary;
use crate::error::Result;

/// A tokenizer file with its large parts read into tables.
#[derive(Debug)]
pub struct Opened<'f> {
    /// The file.
    pub file: &'f TokenizerFile,
    /// Its parts, as they are in the file.
    pub parts: Parts<'f>,
    /// Its added tokens: those that the curriculum lists are no longer marked special.
    ///
    /// Hugging Face's `encode_special_tokens` passes over a match if and only if its token is marked special. So an
    /// unmarked token is split out exactly as it would be without that switch, with its own `lstrip`, `normalized` and
    /// so on, while all others stay text.
    pub added: Vec<AddedToken>,
    /// Its model.
    pub model: Model<'f>,
    /// The model's pieces.
    pub vocabulary: Vocabulary,
    /// What the model's merges join, or why there are none.
    pub merge_texts: Result<Texts, String>,
    /// The same as places in the vocabulary, once somebody has asked.
    merges: OnceLock<Result<Vec<Merge>, String>>,
}

impl<'f> Opened<'f> {
    /// Takes a file apart; `listed` are the special strings that become their ids.
    ///
    /// # Errors
    /// When it is not a `tokenizer.json`, its vocabulary cannot be read, or a listed string is no added token.
    pub fn of(file: &'f TokenizerFile, listed: &[String]) -> Result<Self> {
        let parts = file.parts()?;
        let added = unmark(file, parts.added_tokens.clone(), listed)?;
        let model: Model<'_> = serde_json::from_str(parts.model.get())
            .map_err(|error| file.error(format!("its model is not one of Hugging Face's `tokenizers`: {error}")))?;
        let (vocabulary, merge_texts) = rayon::join(
            || Vocabulary::parse(model.vocab),
            || if model.is_bpe() { Texts::read(&model) } else { Err("its model is not BPE".into()) },
        );
        let vocabulary = vocabulary.map_err(|error| file.error(format!("its vocabulary cannot be read: {error}")))?;
        Ok(Self { file, parts, added, model, vocabulary, merge_texts, merges: OnceLock::new() })
    }

    /// The model's merges, in the order of their rank.
    ///
    /// # Errors
    /// Why there are none.
    pub fn merges(&self) -> Result<&[Merge], String> {
        let find = || self.merge_texts.as_ref().map_err(Clone::clone)?.places(&self.vocabulary);
        self.merges.get_or_init(find).as_deref().map_err(Clone::clone)
    }

    /// The same tokenizer as JSON for a library to load: without truncation and padding, which have no place in a corpus.
    ///
    /// # Errors
    /// None, but for want of memory.
    pub fn json(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Out<'a> {
            version: &'a str,
            truncation: Option<()>,
            padding: Option<()>,
            added_tokens: &'a [AddedToken],
            normalizer: Option<&'a RawValue>,
            pre_tokenizer: Option<&'a RawValue>,
            post_processor: Option<&'a RawValue>,
            decoder: Option<&'a RawValue>,
            model: &'a RawValue,
        }
        let parts = &self.parts;
        let out = Out {
            version: parts.version.as_deref().unwrap_or(VERSION),
            truncation: None,
            padding: None,
            added_tokens: &self.added,
            normalizer: parts.normalizer,
            pre_tokenizer: parts.pre_tokenizer,
            post_processor: parts.post_processor,
            decoder: parts.decoder,
            model: parts.model,
        };
        serde_json::to_string(&out).map_err(|error| self.file.error(error.to_string()))
    }
}

/// The one format version there is.
pub const VERSION: &str = "1.0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_gets_no_truncation_and_listed_strings_are_not_special() {
        let file = TokenizerFile::from_text(
            r#"{"version": "1.0", "truncation": {"max_length": 3}, "padding": null,
            "added_tokens": [{"id": 2, "content": "</s>", "special": true}, {"id": 3, "content": "<fim>", "special": true, "lstrip": true}],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "vocab": {"b": 1, "a": 0}, "merges": []}}"#,
        );
        let opened = Opened::of(&file, &["<fim>".into()]).unwrap();
        let json: serde_json::Value = serde_json::from_str(&opened.json().unwrap()).unwrap();
        assert_eq!(json["truncation"], serde_json::Value::Null);
        assert_eq!(json["added_tokens"][0]["special"], true);
        assert_eq!(json["added_tokens"][1]["special"], false);
        assert_eq!(json["added_tokens"][1]["lstrip"], true);
        assert_eq!(json["model"]["vocab"]["b"], 1);
        let error = Opened::of(&file, &["<fin>".into()]).unwrap_err().to_string();
        assert!(error.contains("did you mean") && error.contains("<fim>"), "{error}");
    }
}
