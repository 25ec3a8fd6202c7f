//! Loads a tokenizer, chooses the backend, and proves what the manifest says of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use syllabus_reader::format::TokenDtype;

use super::bytelevel::ByteLevel;
use super::decode::Decoder;
use super::fast::Fast;
use super::file::{AddedToken, TokenizerFile, nearest};
use super::judge::{Judge, Samples};
use super::opened::Opened;
use super::reference::Reference;
use super::sentencepiece::SentencePiece;
use super::vocabulary::Vocabulary;
use super::{Contract, Tokenizer};
use crate::curriculum::checked::{Backend, Bos, TokenizerSpec};
use crate::error::Result;

/// A tokenizer, ready to encode.
pub struct Loaded {
    /// The chosen backend.
    pub tokenizer: Box<dyn Tokenizer>,
    /// What was proved of it.
    pub contract: Contract,
    /// What its user should know, one line each.
    pub warnings: Vec<String>,
    /// What compares it with the reference; gone once it has, or when the reference itself encodes.
    judge: Option<Judge>,
}

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
/// The fastest backend that loads the file encodes, and gives the reference's ids on the probe texts.
///
/// # Errors
/// As [`unjudged`], and when the backend differs from the reference on a probe text (with `backend: auto` the reference
/// takes over instead, and a warning says so).
pub fn load(path: &Path, spec: &TokenizerSpec) -> Result<Loaded> {
    let mut loaded = unjudged(&TokenizerFile::read(path)?, spec, &|| Ok(Vec::new()))?;
    loaded.judge()?;
    Ok(loaded)
}

/// The same before the fast backend was compared with the reference, on the probe texts and on `samples`: its ids are not to be trusted until
/// [`Loaded::judge`], or the judge of [`Loaded::take_judge`], has spoken.
///
/// # Errors
/// When the file cannot be loaded, a named token is not exactly one id, or the BOS is unsaid though the tokenizer's
/// template adds one; and what `samples` fails with.
pub fn unjudged(file: &TokenizerFile, spec: &TokenizerSpec, samples: Samples<'_>) -> Result<Loaded> {
    let opened = Opened::of(file, &spec.special)?;
    let Opened { parts, model, vocabulary, .. } = &opened;
    if model.dropout.is_some_and(|dropout| dropout > 0.0) {
        return Err(file.error("its model has `dropout`, so its ids are random; set it to null"));
    }
    let mut warnings = Vec::new();
    // Neither needs the other; the reference goes on while a slow backend is still loading.
    let encodes = spec.backend != Backend::Reference;
    let there = AtomicBool::new(!encodes);
    let (fast, judge) = rayon::join(
        || -> Result<_> {
            let decoder = Decoder::build(&opened);
            let fast = match &decoder {
                Ok(decoder) if encodes => Some(fastest(&opened, decoder.clone())),
                _ => None,
            };
            there.store(true, Ordering::Relaxed);
            Ok((decoder?, fast))
        },
        || {
            let reference = if encodes { Reference::load_to_judge(&opened)? } else { Reference::load(&opened, None)? };
            let enough = || there.load(Ordering::Relaxed);
            Judge::begin(reference, &parts.added_tokens, samples, spec.backend, file.path(), &enough)
        },
    );
    let (decoder, fast) = fast?;
    let judge = judge?.decoding(decoder);
    let reference = judge.reference();
    let backend = match fast {
        None => None,
        Some(Ok(backend)) => Some(backend),
        Some(Err(why)) => {
            warnings
                .push(format!("no fast backend loads the tokenizer, so Hugging Face's `tokenizers` encodes: {why}"));
            None
        }
    };

    check_added_ids(file, &parts.added_tokens, reference)?;
    let names = Names { file, vocabulary, added: &parts.added_tokens, reference };
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
    if let Some(warning) = unspeakable(&parts.added_tokens, model.unk_token.as_deref(), &spec.special, reference)? {
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
    let (tokenizer, judge): (Box<dyn Tokenizer>, _) = match backend {
        Some(tokenizer) => (tokenizer, Some(judge)),
        None => (Box::new(judge.into_reference()), None),
    };
    let contract = Contract { backend: tokenizer.backend().to_owned(), ..contract };
    Ok(Loaded { tokenizer, contract, warnings, judge })
}

/// Loads a backend alone, which an earlier run has proved: the reference when that was the one, else the fastest.
///
/// # Errors
/// When the backend does not load it.
pub fn proved(file: &TokenizerFile, special: &[String], reference: bool) -> Result<Box<dyn Tokenizer>> {
    let opened = Opened::of(file, special)?;
    let decoder = Decoder::build(&opened)?;
    if reference {
        return Ok(Box::new(Reference::load(&opened, decoder)?));
    }
    fastest(&opened, decoder).map_err(|why| file.error(why))
}

/// The fastest backend that loads the file, or why none does.
fn fastest(opened: &Opened<'_>, decoder: Option<Decoder>) -> Result<Box<dyn Tokenizer>, String> {
    let pieces = match SentencePiece::load(opened, decoder.clone()) {
        Ok(tokenizer) => return Ok(Box::new(tokenizer)),
        Err(why) => why,
    };
    let bytes = match ByteLevel::load(opened, decoder.clone()) {
        Ok(tokenizer) => return Ok(Box::new(tokenizer)),
        Err(why) => why,
    };
    match Fast::load(opened, decoder) {
        Ok(tokenizer) => Ok(Box::new(tokenizer)),
        Err(why) => {
            Err(format!("`fastokens`: {why}; our own SentencePiece-BPE: {pieces}; our own byte-level BPE: {bytes}"))
        }
    }
}

impl Loaded {
    /// Compares the backend with the reference on all threads of the current pool; then lets the reference go.
    ///
    /// # Errors
    /// When they differ and the backend is not `auto`; with `auto` the reference takes over and a warning says so.
    pub fn judge(&mut self) -> Result<()> {
        let Some(judge) = self.judge.take() else { return Ok(()) };
        if let Some(difference) = judge.on_all_threads(&*self.tokenizer)? {
            let (reference, warning) = judge.take_over(&difference)?;
            self.tokenizer = Box::new(reference);
            self.contract.backend = self.tokenizer.backend().to_owned();
            self.warnings.push(warning);
        }
        Ok(())
    }

    /// Whether a judge is to be heard, and a difference would be an error.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.judge.as_ref().is_some_and(Judge::is_strict)
    }

    /// Gives the judge more texts to compare, pairs of source name and text.
    pub fn also_judge(&mut self, samples: Vec<(String, String)>) {
        if let Some(judge) = &mut self.judge {
            judge.also(samples);
        }
    }

    /// The judge, for whoever can hear it while the first documents are encoded; none when the reference itself encodes.
    pub fn take_judge(&mut self) -> Option<Judge> {
        self.judge.take()
    }

    /// The same with another judge.
    #[cfg(test)]
    pub(super) fn with_judge(self, judge: Judge) -> Self {
        Self { judge: Some(judge), ..self }
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
