//! Hugging Face's `tokenizers`: what the ids of every other backend must equal.

use serde::Deserialize;
use serde_json::value::RawValue;
use tokenizers::models::bpe::BPE;
use tokenizers::{
    DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerBuilder,
};

use super::decode::Decoder;
use super::opened::{Opened, VERSION};
use super::{Encoder, Take, Tokenizer, within};
use crate::error::{Error, Result};

/// Name and version for the manifest.
pub const BACKEND: &str = "tokenizers 0.23.2";

/// Words of which the library keeps the ids, in each thread, where nobody says otherwise.
const WORDS: usize = 10_000;

/// The same while it only judges: a sample has many that never come again.
const JUDGED_WORDS: usize = 1000;

/// A tokenizer in Hugging Face's library: no special tokens added, special strings taken as text (but for those the
/// curriculum lists), no truncation, no padding.
pub struct Reference {
    inner: tokenizers::Tokenizer,
    /// It remembers fewer words than the library does by itself.
    few_words: bool,
    decoder: Option<Decoder>,
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reference").finish_non_exhaustive()
    }
}

impl Reference {
    /// Loads a tokenizer.
    ///
    /// # Errors
    /// When the library does not load it.
    pub fn load(opened: &Opened<'_>, decoder: Option<Decoder>) -> Result<Self> {
        Self::with_words(opened, decoder, WORDS)
    }

    /// Loads a tokenizer that encodes samples only, and so need not remember many words (but for a file that is left to the library).
    ///
    /// # Errors
    /// When the library does not load it.
    pub fn load_to_judge(opened: &Opened<'_>) -> Result<Self> {
        Self::with_words(opened, None, JUDGED_WORDS)
    }

    fn with_words(opened: &Opened<'_>, decoder: Option<Decoder>, words: usize) -> Result<Self> {
        let (mut inner, few_words) = match within(|| assembled(opened, words)) {
            Ok(inner) => (inner, words < WORDS),
            // Its own way of loading knows all kinds, and says what is wrong.
            Err(_) => {
                let json = opened.json()?;
                let failed = |error| format!("Hugging Face's `tokenizers` does not load it: {error}");
                (
                    within(|| json.parse::<tokenizers::Tokenizer>())
                        .map_err(|error| opened.file.error(failed(error)))?,
                    false,
                )
            }
        };
        inner.set_encode_special_tokens(true);
        Ok(Self { inner, few_words, decoder })
    }

    /// The same, which encodes more than samples: it remembers as many words as the library does by itself.
    #[must_use]
    pub fn encoding(mut self) -> Self {
        if !self.few_words {
            return self;
        }
        self.few_words = false;
        let mut model = self.inner.get_model().clone();
        model.resize_cache(WORDS);
        self.inner.with_model(model);
        self
    }

    /// The same, which decodes with `decoder`.
    #[must_use]
    pub fn decoding(self, decoder: Option<Decoder>) -> Self {
        Self { decoder, ..self }
    }

    /// The id that the library gives a token.
    #[must_use]
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The ids that the tokenizer's own template puts before and after a text when special tokens are asked for.
    ///
    /// # Errors
    /// When the library cannot encode.
    pub fn template(&self) -> Result<(Vec<u32>, Vec<u32>)> {
        let plain = within(|| self.inner.encode_fast("a", false)).map_err(failed)?;
        let framed = within(|| self.inner.encode_fast("a", true)).map_err(failed)?;
        let (plain, framed) = (plain.get_ids(), framed.get_ids());
        let at = framed.windows(plain.len().max(1)).position(|window| window == plain).unwrap_or(framed.len());
        let after = framed.get(at + plain.len()..).unwrap_or_default();
        Ok((framed[..at].to_vec(), after.to_vec()))
    }

    /// The token strings that [`Self::template`] puts before a text.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Where in the text each token begins, in bytes.
    ///
    /// # Errors
    /// When the library cannot encode.
    pub fn offsets(&self, text: &str) -> Result<Vec<usize>> {
        let encoding = within(|| self.inner.encode(text, false)).map_err(failed)?;
        Ok(encoding.get_offsets().iter().map(|offset| offset.0).collect())
    }
}

/// Puts a BPE tokenizer of the library together from its parts, through the library's own builders.
///
/// The library reads a model three times, through trees of all it holds, since its type may stand anywhere in it: for a large
/// vocabulary that takes most of a second. Here the vocabulary and the merges are those that are read already, and only the
/// small parts go through the library's JSON. What comes out is equal, or this is an error: a file with anything odd about it is
/// left to the library.
fn assembled(opened: &Opened<'_>, words: usize) -> Result<tokenizers::Tokenizer, tokenizers::Error> {
    let Opened { parts, added, model, vocabulary, merge_texts, .. } = opened;
    if parts.version.as_deref().is_some_and(|version| version != VERSION) {
        return Err("another version".into());
    }
    // With two of one text or id, what the library keeps hangs on the order in which it reads them.
    if vocabulary.twice().is_some() || vocabulary.shared_id().is_some() {
        return Err("pieces that are not distinct".into());
    }
    let whole = |affix: &Option<String>| affix.as_deref().is_none_or(str::is_empty);
    if model.dropout.is_some() || !whole(&model.continuing_subword_prefix) {
        return Err("rare settings".into());
    }
    let merges = merge_texts.as_ref().map_err(Clone::clone)?;
    let (pieces, merges) = rayon::join(
        || {
            let mut pieces = tokenizers::models::bpe::Vocab::with_capacity(vocabulary.len());
            pieces.extend(vocabulary.iter().map(|(id, piece)| (piece.to_owned(), id)));
            pieces
        },
        || merges.iter().map(|(left, right)| (left.to_owned(), right.to_owned())).collect(),
    );
    let mut builder = BPE::builder().vocab_and_merges(pieces, merges);
    if let Some(unknown) = &model.unk_token {
        builder = builder.unk_token(unknown.clone());
    }
    if let Some(prefix) = &model.continuing_subword_prefix {
        builder = builder.continuing_subword_prefix(prefix.clone());
    }
    if let Some(suffix) = &model.end_of_word_suffix {
        builder = builder.end_of_word_suffix(suffix.clone());
    }
    let model = builder
        .fuse_unk(model.fuse_unk.unwrap_or(false))
        .byte_fallback(model.byte_fallback.unwrap_or(false))
        .ignore_merges(model.ignore_merges.unwrap_or(false))
        .cache_capacity(words)
        .build()?;
    let assembled = TokenizerBuilder::<ModelWrapper, _, _, _, _>::new()
        .with_model(model.into())
        .with_normalizer(part::<NormalizerWrapper>(parts.normalizer)?)
        .with_pre_tokenizer(part::<PreTokenizerWrapper>(parts.pre_tokenizer)?)
        .with_post_processor(part::<PostProcessorWrapper>(parts.post_processor)?)
        .with_decoder(part::<DecoderWrapper>(parts.decoder)?)
        .build()?;
    let mut tokenizer = tokenizers::Tokenizer::from(assembled);
    tokenizer.add_tokens(added.iter().map(|token| {
        tokenizers::AddedToken::from(token.content.clone(), token.special)
            .single_word(token.single_word)
            .lstrip(token.lstrip)
            .rstrip(token.rstrip)
            .normalized(token.normalized)
    }))?;
    Ok(tokenizer)
}

fn part<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> serde_json::Result<Option<T>> {
    // `null` is no part, as for the library.
    raw.map_or(Ok(None), |raw| serde_json::from_str(raw.get()))
}

fn failed(error: String) -> Error {
    Error::Failed(format!("Hugging Face's `tokenizers` cannot encode: {error}"))
}

impl Tokenizer for Reference {
    fn encoder(&self) -> Box<dyn Encoder + Send + '_> {
        Box::new(Worker(self))
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        match &self.decoder {
            Some(decoder) => decoder.decode(ids).ok_or_else(|| Error::Failed("an id is not in the vocabulary".into())),
            None => within(|| self.inner.decode(ids, false))
                .map_err(|error| Error::Failed(format!("Hugging Face's `tokenizers` cannot decode: {error}"))),
        }
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
        // Its cache of words is shared and small; the rest are the copies that normalizing and aligning make.
        48 << 20
    }
}

/// The library keeps its caches by thread; there is nothing of a worker's own.
struct Worker<'t>(&'t Reference);

impl Encoder for Worker<'_> {
    fn encode_in_parts(&mut self, text: &str, ids: &mut Vec<u32>, take: &mut Take<'_>) -> Result<()> {
        let encoding = within(|| self.0.inner.encode_fast(text, false)).map_err(failed)?;
        ids.extend_from_slice(encoding.get_ids());
        take(ids)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::file::TokenizerFile;
    use super::super::probe::texts;
    use super::super::tests::realdata;
    use super::*;

    /// The tokenizers of the fixtures and of the real data.
    fn files() -> Vec<PathBuf> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tokenizers");
        let folders = [Some(fixtures), realdata().map(|folder| folder.join("tokenizers"))];
        let entries = folders.into_iter().flatten().flat_map(|folder| fs_err::read_dir(folder).unwrap());
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path().join("tokenizer.json")).collect();
        files.sort();
        files
    }

    /// Compares the tokenizer put together with the one that the library loads itself; whether it was put together at all.
    fn check(file: &TokenizerFile, listed: &[String]) -> bool {
        let opened = Opened::of(file, listed).unwrap();
        let Ok(mut assembled) = assembled(&opened, JUDGED_WORDS) else { return false };
        let mut whole: tokenizers::Tokenizer = opened.json().unwrap().parse().unwrap();
        let what = file.path().display();
        // As JSON, pieces and tokens ascend by id, and merges by rank.
        let (ours, theirs) = (serde_json::to_string(&assembled).unwrap(), serde_json::to_string(&whole).unwrap());
        assert!(ours == theirs, "{what}");
        for special in [true, false] {
            assembled.set_encode_special_tokens(special);
            whole.set_encode_special_tokens(special);
            for text in texts(&opened.added) {
                let ids = |tokenizer: &tokenizers::Tokenizer| {
                    tokenizer.encode(text.as_str(), true).unwrap().get_ids().to_vec()
                };
                assert_eq!(ids(&assembled), ids(&whole), "{what}: {text:?}");
            }
        }
        true
    }

    #[test]
    fn what_is_put_together_is_what_the_library_loads() {
        let mut kinds = Vec::new();
        for path in files() {
            let file = TokenizerFile::read(&path).unwrap();
            kinds.push((file.name(), check(&file, &[])));
        }
        assert!(kinds.iter().any(|(name, assembled)| name == "byte-level" && *assembled), "{kinds:?}");
        assert!(kinds.iter().all(|(name, assembled)| *assembled != name.contains("unigram")), "{kinds:?}");
    }

    #[test]
    fn settings_of_all_kinds_are_kept_and_odd_files_left_to_the_library() {
        let base = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [{"id": 5, "content": "<s>", "special": true}, {"id": 6, "content": "b a", "lstrip": true, "normalized": true},
                {"id": 0, "content": "a", "single_word": true, "rstrip": true}],
            "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [5], "tokens": ["<s>"]}}},
            "decoder": {"type": "BPEDecoder", "suffix": "</w>"},
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "?": 2, "ab": 3, "aab": 4}, "merges": [["a", "b"], ["a", "ab"]]}
        });
        let checked = |change: &dyn Fn(&mut serde_json::Value), listed: &[&str]| {
            let mut json = base.clone();
            change(&mut json);
            let listed: Vec<String> = listed.iter().map(|listed| (*listed).to_owned()).collect();
            check(&TokenizerFile::from_text(&json.to_string()), &listed)
        };
        assert!(checked(&|_| {}, &[]) && checked(&|_| {}, &["<s>"]));
        assert!(checked(&|json| json["model"]["unk_token"] = "?".into(), &[]));
        assert!(checked(
            &|json| {
                json["model"]["unk_token"] = "?".into();
                json["model"]["fuse_unk"] = true.into();
            },
            &[]
        ));
        assert!(checked(&|json| json["model"]["ignore_merges"] = true.into(), &[]));
        assert!(checked(&|json| json["model"]["byte_fallback"] = true.into(), &[]));
        assert!(checked(&|json| json["model"]["end_of_word_suffix"] = "b".into(), &[]));
        assert!(checked(&|json| json["model"]["merges"] = serde_json::json!(["#version: 0.2", "a b", "a ab"]), &[]));
        assert!(checked(&|json| drop(json["model"].as_object_mut().unwrap().remove("type")), &[]));
        for part in ["normalizer", "pre_tokenizer", "post_processor", "decoder"] {
            assert!(checked(&|json| json[part] = serde_json::Value::Null, &[]), "{part}");
            assert!(checked(&|json| drop(json.as_object_mut().unwrap().remove(part)), &[]), "{part}");
        }
        // What the quick way does not know goes through the library's own.
        let left = |change: &dyn Fn(&mut serde_json::Value)| !checked(change, &[]);
        assert!(left(&|json| json["model"]["vocab"]["?"] = 1.into()));
        assert!(left(&|json| json["model"]["dropout"] = serde_json::json!(0.0)));
        assert!(left(&|json| json["model"]["continuing_subword_prefix"] = "##".into()));
        assert!(left(&|json| json["model"]["merges"] = serde_json::json!([["b", "a"]])));
        assert!(left(&|json| json["version"] = "2.0".into()));
        assert!(left(
            &|json| json["model"] = serde_json::json!({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"})
        ));
    }
}
