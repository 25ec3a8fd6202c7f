//! What a dataset's windows hold, and what became of a document: for people, and as JSON.

mod document;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::ops::Range;

use serde::Serialize;
use syllabus_reader::format::Fragment;
use syllabus_reader::format::manifest::TokenizerContract;
use syllabus_reader::{Dataset, Window};

use crate::error::{Error, Result};
use crate::tokenize::Tokenizer;
pub use document::{Absence, DocumentView, Reading, Removal, document};

/// A part of a document in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The document's key, 32 hex digits.
    pub document: String,
    /// First token, counted in the window.
    pub start: u32,
    /// Number of tokens.
    pub length: u32,
    /// First token, counted in the document's tokens (BOS and EOS counted).
    pub offset: u32,
    /// Epoch of the source, from 0.
    pub epoch: u32,
    /// The decoded text, without BOS and EOS; absent without a tokenizer. A character that is cut at the window's border shows as
    /// U+FFFD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowView {
    /// Its global number.
    pub window: u64,
    /// Its phase.
    pub phase: String,
    /// Its source.
    pub source: String,
    /// The `.bin` that holds it, relative to the dataset.
    pub file: String,
    /// W.
    pub tokens: usize,
    /// Padding tokens at its end.
    pub padding: u32,
    /// Documents in it, in order.
    pub documents: Vec<Part>,
}

/// Windows of a training step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowsView {
    /// First window.
    pub from: u64,
    /// The window after the last.
    pub to: u64,
    /// Each window's documents, without text.
    pub windows: Vec<WindowView>,
}

/// Checks that a tokenizer's file is the dataset's: its BLAKE3 in hex must be the manifest's.
///
/// # Errors
/// When it is another: its text would be nonsense.
pub fn check_tokenizer(contract: &TokenizerContract, digest: &str) -> Result<()> {
    if contract.digest == digest {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "this is not the dataset's tokenizer (`{}`): its digest is {digest}, not {}",
        contract.name, contract.digest
    )))
}

/// Decodes ids, leaving out a BOS at a document's start and an EOS at the end of a part.
fn decode(tokenizer: &dyn Tokenizer, contract: &TokenizerContract, mut ids: &[u32], starts: bool) -> Result<String> {
    if let (true, Some((first, rest))) = (starts, ids.split_first())
        && Some(*first) == contract.bos_id
    {
        ids = rest;
    }
    if let Some((last, rest)) = ids.split_last()
        && Some(*last) == contract.eos_id
    {
        ids = rest;
    }
    tokenizer.decode(ids)
}

fn ids_of(window: &Window<'_>, fragment: &Fragment) -> Vec<u32> {
    let range = usize::try_from(fragment.start).ok().zip(usize::try_from(fragment.length).ok());
    let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
    range.and_then(|range| window.tokens.slice(range)).map(|tokens| tokens.to_vec()).unwrap_or_default()
}

fn view(dataset: &Dataset, window: &Window<'_>, tokenizer: Option<&dyn Tokenizer>) -> Result<WindowView> {
    let contract = &dataset.manifest().tokenizer;
    let mut documents = Vec::with_capacity(window.fragments.len());
    for fragment in window.fragments {
        let text = match tokenizer {
            Some(tokenizer) => Some(decode(tokenizer, contract, &ids_of(window, &fragment), fragment.offset == 0)?),
            None => None,
        };
        documents.push(Part {
            document: fragment.document.to_string(),
            start: fragment.start,
            length: fragment.length,
            offset: fragment.offset,
            epoch: fragment.epoch,
            text,
        });
    }
    Ok(WindowView {
        window: window.index,
        phase: window.phase.to_owned(),
        source: window.source.to_owned(),
        file: relative(dataset, window.file),
        tokens: window.tokens.len(),
        padding: window.padding,
        documents,
    })
}

fn relative(dataset: &Dataset, file: &std::path::Path) -> String {
    file.strip_prefix(dataset.dir()).unwrap_or(file).display().to_string()
}

/// Window `n`, counted over all phases, with its text when there is a tokenizer.
///
/// # Errors
/// When there is no such window, or its shard is not what the manifest says.
pub fn window(dataset: &Dataset, n: u64, tokenizer: Option<&dyn Tokenizer>) -> Result<WindowView> {
    view(dataset, &dataset.window(n)?, tokenizer)
}

/// Windows `range`: what a training step read.
///
/// # Errors
/// As [`window`]; an empty range is one too.
pub fn windows(dataset: &Dataset, range: Range<u64>) -> Result<WindowsView> {
    if range.is_empty() || range.end > dataset.len() {
        let message = format!("windows {}..{}: the dataset has 0..{}", range.start, range.end, dataset.len());
        return Err(syllabus_reader::Error::OutOfRange(message).into());
    }
    let windows = range.clone().map(|n| window(dataset, n, None)).collect::<Result<_>>()?;
    Ok(WindowsView { from: range.start, to: range.end, windows })
}

impl WindowView {
    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let (window, phase, source, file) = (self.window, &self.phase, &self.source, &self.file);
        let _ = writeln!(out, "window {window} of phase {phase}, source {source}, in {file}");
        let _ = writeln!(out, "{} tokens, {} documents, {} padding", self.tokens, self.documents.len(), self.padding);
        for part in &self.documents {
            let _ = writeln!(out, "\n{}", part.line());
            if let Some(text) = &part.text {
                let _ = writeln!(out, "{}", quoted(text));
            }
        }
        out
    }
}

impl Part {
    fn line(&self) -> String {
        let (start, end) = (self.start, u64::from(self.start) + u64::from(self.length));
        let (from, to) = (self.offset, u64::from(self.offset) + u64::from(self.length));
        let (document, epoch) = (&self.document, self.epoch);
        format!("{document}  epoch {epoch}  its tokens {from}..{to} at {start}..{end}")
    }
}

impl WindowsView {
    /// For a terminal: one line a window, and one for each document in it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for window in &self.windows {
            let padding = if window.padding > 0 { format!("  {} padding", window.padding) } else { String::new() };
            let _ = writeln!(out, "window {}  {}  {}{padding}", window.window, window.phase, window.source);
            for part in &window.documents {
                let _ = writeln!(out, "  {}", part.line());
            }
        }
        out
    }
}

/// Text as a block that stands out and cannot move the terminal: lines begin with `| `, control characters are escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        out.push_str("| ");
        for c in line.chars() {
            if c.is_control() && c != '\t' {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
    }
    out
}
