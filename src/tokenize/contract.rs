//! Loads a tokenizer, chooses the backend, and proves what the manifest says of it.

use std::path::Path;

use rayon::prelude::*;
use syllabus_reader::format::TokenDtype;

use super::decode::Decoder;
use super::fast::Fast;
use super::file::{AddedToken, Model, Parts, TokenizerFile, Vocabulary, nearest, unmark};
use super::probe::{compare, head, texts};
use super::reference::Reference;
use super::sentencepiece::SentencePiece;
use super::{Contract, Tokenizer};
use crate::curriculum::checked::{Backend, Bos, TokenizerSpec};
use crate::error::{Error, Result};

/// Longest part of a sample document that is compared, in bytes.
const SAMPLE_BYTES: usize = 64 << 10;

/// A tokenizer, ready to encode.
pub struct Loaded {
    /// The chosen backend.
    pub tokenizer: Box<dyn Tokenizer>,
    /// What was proved of it.
    pub contract: Contract,
    /// What its user should know, one line each.
    pub warnings: Vec<String>,
    /// The judge, while it is held and not itself the backend.
    reference: Option<Reference>,
    backend: Backend,
    file: TokenizerFileName,
}

/// The file's path, for errors.
type TokenizerFileName = std::path::PathBuf;

impl std::fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Loaded")
            .field("contract", &self.contract)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// Loads the tokenizer at `path` as the curriculum asks.
///
/// The fastest backend that loads the file encodes; it has given the reference's ids on the probe texts. Give it samples
/// of the corpus too ([`Loaded::judge`]), then let the reference go ([`Loaded::release_reference`]).
///
/// # Errors
/// When the file cannot be read or loaded, a named token is not exactly one id, the BOS is unsaid though the tokenizer's
/// template adds one, or the backend differs from the reference on a probe text (with `backend: auto` the reference
/// takes over instead, and a warning says so).
pub fn load(path: &Path, spec: &TokenizerSpec) -> Result<Loaded> {
    let file = TokenizerFile::read(path)?;
    let parts = file.parts()?;
    let model: Model<'_> = serde_json::from_str(parts.model.get())
        .map_err(|error| file.error(format!("its model is not one of Hugging Face's `tokenizers`: {error}")))?;
    if model.dropout.is_some_and(|dropout| dropout > 0.0) {
        return Err(file.error("its model has `dropout`, so its ids are random; set it to null"));
    }
    let vocabulary = Vocabulary::parse(model.vocab)
        .map_err(|error| file.error(format!("its vocabulary cannot be read: {error}")))?;
    let decoder = Decoder::build(&file, &parts, &model, &vocabulary)?;
    let mut warnings = Vec::new();

    let json = file.for_library(&spec.special)?;
    let backend: Option<Box<dyn Tokenizer>> = match spec.backend {
        Backend::Reference => None,
        Backend::Fast | Backend::Auto => {
            match fastest(&file, &parts, &model, &vocabulary, decoder.clone(), &json, &spec.special)? {
                Ok(backend) => Some(backend),
                Err(why) => {
                    warnings.push(format!(
                        "no fast backend loads the tokenizer, so Hugging Face's `tokenizers` encodes: {why}"
                    ));
                    None
                }
            }
        }
    };
    let reference = Reference::load(&file, &json, decoder)?;
    drop(json);

    check_added_ids(&file, &parts.added_tokens, &reference)?;
    let names = Names { file: &file, vocabulary: &vocabulary, added: &parts.added_tokens, reference: &reference };
    let bos_id = bos(&names, spec)?;
    let eos_id = spec.eos.as_deref().map(|eos| names.resolve("eos", eos)).transpose()?;
    let pad_id = match spec.pad.as_deref() {
        Some(pad) => names.resolve("pad", pad)?,
        None => eos_id.unwrap_or(0),
    };
    let largest = vocabulary.largest().into_iter().chain(parts.added_tokens.iter().map(|token| token.id)).max();
    let vocab_size = largest.and_then(|largest| largest.checked_add(1)).filter(|size| *size <= 1 << 31);
    let vocab_size = vocab_size.ok_or_else(|| file.error("its vocabulary is empty, or has an id of 2^31 or more"))?;
    if (65_500..=65_536).contains(&vocab_size) {
        warnings.push(format!(
            "the vocabulary of {vocab_size} would fit 16 bits, but Megatron-LM guesses the width of tokens from its size and takes 32 bits from 65,500 on; tokens are written as u32"
        ));
    }
    if let Some(warning) = unspeakable(&parts.added_tokens, model.unk_token.as_deref(), &spec.special, &reference)? {
        warnings.push(warning);
    }
    let contract = Contract {
        name: file.name(),
        digest: file.digest(),
        vocab_size,
        dtype: TokenDtype::for_vocabulary(vocab_size),
        bos_id,
        eos_id,
        pad_id,
        backend: String::new(),
    };
    let probes = texts(&parts.added_tokens);
    let mut loaded = match backend {
        Some(tokenizer) => Loaded {
            tokenizer,
            contract,
            warnings,
            reference: Some(reference),
            backend: spec.backend,
            file: path.to_path_buf(),
        },
        None => Loaded {
            tokenizer: Box::new(reference),
            contract,
            warnings,
            reference: None,
            backend: spec.backend,
            file: path.to_path_buf(),
        },
    };
    loaded.contract.backend = loaded.tokenizer.backend().to_owned();
    loaded
        .compare_all(probes.iter().enumerate().map(|(number, text)| (format!("probe text {number}"), text.as_str())))?;
    Ok(loaded)
}

/// The fastest backend that loads the file, or why none does.
fn fastest(
    file: &TokenizerFile,
    parts: &Parts<'_>,
    model: &Model<'_>,
    vocabulary: &Vocabulary,
    decoder: Option<Decoder>,
    json: &str,
    special: &[String],
) -> Result<Result<Box<dyn Tokenizer>, String>> {
    let added = unmark(file, parts.added_tokens.clone(), special)?;
    let own = match SentencePiece::load(parts, &added, model, vocabulary, decoder.clone()) {
        Ok(tokenizer) => return Ok(Ok(Box::new(tokenizer))),
        Err(why) => why,
    };
    Ok(match Fast::load(json, decoder) {
        Ok(tokenizer) => Ok(Box::new(tokenizer)),
        Err(why) => Err(format!("`fastokens`: {why}; our own SentencePiece-BPE: {own}")),
    })
}

impl Loaded {
    /// Compares the backend with the reference on documents of the corpus: pairs of source name and text. Each text is
    /// cut to 64 KiB.
    ///
    /// # Errors
    /// When they differ and the backend is not `auto`; with `auto` the reference takes over and a warning says so.
    pub fn judge(&mut self, samples: &[(String, String)]) -> Result<()> {
        self.compare_all(
            samples.iter().map(|(source, text)| (format!("a document of source `{source}`"), head(text, SAMPLE_BYTES))),
        )
    }

    /// Frees the reference once it has judged.
    pub fn release_reference(&mut self) {
        self.reference = None;
    }

    /// The same with another judge.
    #[cfg(test)]
    pub(super) fn with_reference(self, reference: Reference, backend: Backend) -> Self {
        Self { reference: Some(reference), backend, ..self }
    }

    /// Compares texts, each with what it is; a difference is an error, or makes the reference take over.
    fn compare_all<'a>(&mut self, texts: impl Iterator<Item = (String, &'a str)>) -> Result<()> {
        let Some(reference) = &self.reference else { return Ok(()) };
        // The reference is slow, so all threads take part; the first difference in the texts' order is the one that counts.
        let texts: Vec<(String, &str)> = texts.collect();
        let found = texts
            .par_iter()
            .map_init(
                || self.tokenizer.encoder(),
                |encoder, (what, text)| match compare(&mut **encoder, reference, text) {
                    Ok(difference) => difference.map(|difference| Ok((what, *text, difference))),
                    Err(error) => Some(Err(error)),
                },
            )
            .find_map_first(|found| found)
            .transpose()?;
        let Some((what, text, difference)) = found else { return Ok(()) };
        let near = &text[text.floor_char_boundary(difference.at.saturating_sub(20))..];
        let near = head(near, 48);
        let said = format!(
            "{} differs from Hugging Face's `tokenizers` on {what}, {difference}, near {near:?}",
            self.tokenizer.backend()
        );
        if self.backend != Backend::Auto {
            return Err(Error::Tokenizer {
                file: self.file.clone(),
                message: format!("{said}; say `backend: auto` to fall back to `tokenizers`, or `backend: reference`"),
            });
        }
        if let Some(reference) = self.reference.take() {
            self.tokenizer = Box::new(reference);
            self.contract.backend = self.tokenizer.backend().to_owned();
            self.warnings.push(format!("{said}; `tokenizers` encodes instead, many times slower"));
        }
        Ok(())
    }
}

/// The library numbers added tokens itself: the file's ids hold only where both agree.
fn check_added_ids(file: &TokenizerFile, added: &[AddedToken], reference: &Reference) -> Result<()> {
    for token in added {
        let given = reference.id_of(&token.content);
        if given != Some(token.id) {
            let given = given.map_or("none".to_owned(), |id| id.to_string());
            return Err(file.error(format!(
                "its added token {:?} has id {} in the file, but Hugging Face's `tokenizers` gives it {given} (added tokens must follow the vocabulary without holes)",
                token.content, token.id
            )));
        }
    }
    Ok(())
}

/// What it takes to find the id of a token's string.
struct Names<'a> {
    file: &'a TokenizerFile,
    vocabulary: &'a Vocabulary,
    added: &'a [AddedToken],
    reference: &'a Reference,
}

impl Names<'_> {
    /// The one id of `token`, which the curriculum names under `key`.
    fn resolve(&self, key: &str, token: &str) -> Result<u32> {
        let mut ids: Vec<u32> = self.vocabulary.ids(token).collect();
        ids.extend(self.added.iter().filter(|added| added.content == token).map(|added| added.id));
        ids.sort_unstable();
        ids.dedup();
        match ids.as_slice() {
            [] => {
                let framed =
                    self.vocabulary.iter().map(|(_, piece)| piece).filter(|piece| piece.starts_with(['<', '[', '|']));
                let near = nearest(token, self.added.iter().map(|added| added.content.as_str()).chain(framed));
                Err(self.file.error(format!("`{key}` is {token:?}, which is no token of it{near}")))
            }
            [id] if self.reference.id_of(token) == Some(*id) => {
                let mut others = self.vocabulary.iter().filter(|(other, piece)| other == id && *piece != token);
                match others.next() {
                    Some((_, other)) => {
                        Err(self.file.error(format!("`{key}` is {token:?}, whose id {id} {other:?} has too")))
                    }
                    None => Ok(*id),
                }
            }
            [id] => Err(self
                .file
                .error(format!("`{key}` is {token:?}, id {id} in the file, but not in Hugging Face's `tokenizers`"))),
            many => Err(self.file.error(format!("`{key}` is {token:?}, which has more than one id: {many:?}"))),
        }
    }
}

fn bos(names: &Names<'_>, spec: &TokenizerSpec) -> Result<Option<u32>> {
    match &spec.bos {
        Bos::Token(bos) => names.resolve("bos", bos).map(Some),
        Bos::None => Ok(None),
        Bos::Unsaid => {
            let (before, _) = names.reference.template()?;
            let Some(first) = before.first() else { return Ok(None) };
            let token = names.reference.token(*first).unwrap_or_default();
            Err(names.file.error(format!(
                "its template puts {token:?} before each text, so `bos` must be said: write `bos: {token:?}` to put it before each document, or `bos: none`"
            )))
        }
    }
}

/// A warning that names the special strings which, written in a document, become their control ids all the same, since
/// the model itself has them as pieces. (The unknown token is no control id: it stands for whatever has no piece.)
fn unspeakable(
    added: &[AddedToken],
    unknown: Option<&str>,
    listed: &[String],
    reference: &Reference,
) -> Result<Option<String>> {
    let mut names = Vec::new();
    let mut encoder = reference.encoder();
    let mut ids = Vec::new();
    let control =
        |token: &&AddedToken| token.special && unknown != Some(&token.content) && !listed.contains(&token.content);
    for token in added.iter().filter(control) {
        ids.clear();
        encoder.encode(&token.content, &mut ids)?;
        if ids.contains(&token.id) {
            names.push(format!("{:?}", token.content));
        }
    }
    let count = names.len();
    if count == 0 {
        return Ok(None);
    }
    names.truncate(8);
    let more = if count > names.len() { format!(" and {} more", count - names.len()) } else { String::new() };
    Ok(Some(format!(
        "the model cannot spell {count} of its special strings as text, so in documents they become their control ids: {}{more}",
        names.join(", ")
    )))
}
