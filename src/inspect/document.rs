//! What became of a document.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;
use syllabus_reader::format::DocumentKey;
use syllabus_reader::{Dataset, WindowSet};

use super::{decode, ids_of, quoted};
use crate::error::Result;
use crate::tokenize::Tokenizer;
use crate::verify::removed;

/// Characters of a document's text that are shown on a terminal.
const SHOWN: usize = 2_000;

/// Everything that a dataset says of a document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DocumentView {
    /// Its key, 32 hex digits.
    pub document: String,
    /// Where it is read, in the order of windows; held-out sets after phases.
    pub readings: Vec<Reading>,
    /// Why it was removed, once for each time that it was.
    pub removed: Vec<Removal>,
    /// Documents that were removed in favour of it.
    pub stands_for: Vec<Removal>,
    /// Why there is nothing to show, when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absence: Option<Absence>,
    /// Its text from its first token on, as far as windows hold it in one piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A part of the document in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// The phase or held-out set.
    pub phase: String,
    /// Whether that is a held-out set.
    pub held_out: bool,
    /// The window: its global number, or its number in the held-out set.
    pub window: u64,
    /// The source.
    pub source: String,
    /// Epoch of the source, from 0.
    pub epoch: u32,
    /// First token, counted in the document's tokens.
    pub offset: u32,
    /// Number of tokens.
    pub length: u32,
    /// First token, counted in the window.
    pub start: u32,
}

/// A removed document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Removal {
    /// Its key.
    pub document: String,
    /// Its source.
    pub source: String,
    /// `exact`, `near`, `contaminated` or `near_validation`.
    pub reason: String,
    /// Key of the document that stayed in its place.
    pub kept: Option<String>,
    /// Measured similarity.
    pub similarity: Option<f64>,
    /// More, for people.
    pub detail: Option<String>,
}

/// Why a dataset says nothing of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// It is in no window and was not removed: it is unused, or was filtered, or no source has it.
    InNoWindow,
}

/// Looks a document up in all windows and in `removed.parquet`. Reads every `.arrow` of the dataset.
///
/// # Errors
/// When a shard, or `removed.parquet`, cannot be read.
pub fn document(dataset: &Dataset, key: u128, tokenizer: Option<&dyn Tokenizer>) -> Result<DocumentView> {
    let key = DocumentKey::from(key);
    let mut readings = Vec::new();
    let sets =
        dataset.phases().iter().map(|set| (set, false)).chain(dataset.validation().iter().map(|set| (set, true)));
    for (set, held_out) in sets {
        for i in 0..set.len() {
            let window = set.window(i)?;
            for fragment in window.fragments.filter(|fragment| fragment.document == key) {
                readings.push(Reading {
                    phase: set.name().to_owned(),
                    held_out,
                    window: set.first_window() + i,
                    source: window.source.to_owned(),
                    epoch: fragment.epoch,
                    offset: fragment.offset,
                    length: fragment.length,
                    start: fragment.start,
                });
            }
        }
    }
    let (removed, stands_for) = removals(&dataset.dir().join("removed.parquet"), key)?;
    let text = match tokenizer {
        Some(tokenizer) => text(dataset, key, &readings, tokenizer)?,
        None => None,
    };
    let absence = (readings.is_empty() && removed.is_empty()).then_some(Absence::InNoWindow);
    Ok(DocumentView { document: key.to_string(), readings, removed, stands_for, absence, text })
}

fn removals(file: &Path, key: DocumentKey) -> Result<(Vec<Removal>, Vec<Removal>)> {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    removed::for_each(file, |row| {
        let list = if row.document == key {
            &mut own
        } else if row.kept == Some(key) {
            &mut others
        } else {
            return;
        };
        list.push(Removal {
            document: row.document.to_string(),
            source: row.source,
            reason: row.reason,
            kept: row.kept.map(|kept| kept.to_string()),
            similarity: row.similarity,
            detail: row.detail,
        });
    })?;
    Ok((own, others))
}

/// The text of one reading-through: of the epoch (and source) whose parts reach furthest from the first token without a gap.
fn text(
    dataset: &Dataset,
    key: DocumentKey,
    readings: &[Reading],
    tokenizer: &dyn Tokenizer,
) -> Result<Option<String>> {
    let mut sorted: Vec<&Reading> = readings.iter().collect();
    sorted.sort_by_key(|r| (r.held_out, r.source.clone(), r.epoch, r.offset));
    let mut best: (u32, Vec<&Reading>) = (0, Vec::new());
    for group in sorted.chunk_by(|a, b| (a.held_out, &a.source, a.epoch) == (b.held_out, &b.source, b.epoch)) {
        let mut parts = Vec::new();
        let mut next = 0;
        for part in group {
            if part.offset == next {
                next = next.saturating_add(part.length);
                parts.push(*part);
            }
        }
        if next > best.0 {
            best = (next, parts);
        }
    }
    let mut ids = Vec::new();
    for part in &best.1 {
        let sets: &[WindowSet] = if part.held_out { dataset.validation() } else { dataset.phases() };
        let Some(set) = sets.iter().find(|set| set.name() == part.phase) else { continue };
        let window = set.window(part.window - set.first_window())?;
        let at = |f: &syllabus_reader::format::Fragment| f.document == key && f.start == part.start;
        if let Some(fragment) = window.fragments.into_iter().find(at) {
            ids.extend(ids_of(&window, &fragment));
        }
    }
    if ids.is_empty() {
        return Ok(None);
    }
    decode(tokenizer, &dataset.manifest().tokenizer, &ids, true).map(Some)
}

impl DocumentView {
    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "document {}", self.document);
        if self.absence.is_some() {
            let _ = writeln!(
                out,
                "  in no window, and not among the removed: it is unused, or was filtered out, or no source has it"
            );
        }
        for r in &self.readings {
            let (phase, window, source, epoch) = (&r.phase, r.window, &r.source, r.epoch);
            let (from, to) = (r.offset, u64::from(r.offset) + u64::from(r.length));
            let what = if r.held_out { "held out in" } else { "read in phase" };
            let _ = writeln!(
                out,
                "  {what} {phase}, window {window}, source {source}, epoch {epoch}: its tokens {from}..{to}"
            );
        }
        for r in &self.removed {
            let kept = r.kept.as_ref().map_or(String::new(), |kept| format!(", kept: {kept}"));
            let _ = writeln!(out, "  removed from {}: {}{kept}{}", r.source, r.reason, r.more());
        }
        for r in &self.stands_for {
            let _ = writeln!(out, "  stands for {} of {}: {}{}", r.document, r.source, r.reason, r.more());
        }
        if let Some(text) = &self.text {
            let shown =
                text.char_indices().nth(SHOWN).map_or(text.as_str(), |(end, _)| text.get(..end).unwrap_or(text));
            let _ = writeln!(out, "\n{}", quoted(shown));
            if shown.len() < text.len() {
                let _ = writeln!(out, "... {} bytes in all", text.len());
            }
        }
        out
    }
}

impl Removal {
    fn more(&self) -> String {
        let similarity = self.similarity.map_or(String::new(), |s| format!(", similarity {s:.3}"));
        let detail = self.detail.as_ref().map_or(String::new(), |detail| format!(" ({detail})"));
        similarity + &detail
    }
}
