//! A compiled dataset in the form that a trainer reads: the same tokens, with that trainer's names and sidecars.
//!
//! One file a trainer. Where a shard can serve as it is, it is hard-linked (copied where links cannot reach, such as to another
//! file system); where a trainer wants several shards in one file, or a header before the tokens, they are copied, by a call
//! that shares blocks where the file system can. Everything is written to a folder of another name, which is renamed when it
//! is whole: an export that is there is whole.

mod datatrove;
mod llmc;
mod megatron;
mod megatron_exact;
mod nanogpt;
mod npy;
mod olmo;
mod part;
mod staging;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use syllabus_reader::Dataset;
use syllabus_reader::format::TokenDtype;

use crate::error::{Error, Result};
use crate::plan::exports::{Export, Facts, Order};
use crate::plan::number;
use part::Part;
use staging::Staging;

/// The file in an export's folder that says what it is; part of the export, and written before it gets its name.
pub const NOTE: &str = "export.json";

/// For which trainer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Megatron's IndexedDataset.
    Megatron,
    /// Megatron's GPTDataset, replaying the curriculum's order.
    MegatronExact,
    /// OLMo-core.
    Olmo,
    /// datatrove, nanotron.
    Datatrove,
    /// nanoGPT.
    Nanogpt,
    /// llm.c.
    Llmc,
    /// NeMo Automodel.
    Automodel,
}

impl Target {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Megatron => "megatron",
            Self::MegatronExact => "megatron-exact",
            Self::Olmo => "olmo",
            Self::Datatrove => "datatrove",
            Self::Nanogpt => "nanogpt",
            Self::Llmc => "llmc",
            Self::Automodel => "automodel",
        }
    }
}

/// What an export is: `export.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Version of this file.
    pub format_version: u32,
    /// What followed `--for`.
    #[serde(rename = "for")]
    pub target: String,
    /// Who reads it.
    pub trainers: String,
    /// The dataset's name.
    pub name: String,
    /// Hex digest of the dataset.
    pub dataset_digest: String,
    /// Hex digests of its held-out sets, in the manifest's order.
    pub held_out_digests: Vec<String>,
    /// Width of a token.
    pub token_dtype: TokenDtype,
    /// Rows that the model's embedding table needs.
    pub vocab_size: u32,
    /// What the trainer does with the curriculum's order.
    pub order: Order,
    /// What its user should know.
    pub notes: Vec<String>,
    /// Phases in training order, then held-out sets.
    pub parts: Vec<ExportedPart>,
    /// All files but this one, sorted.
    pub files: Vec<ExportedFile>,
}

/// A phase or a held-out set in an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedPart {
    /// Its name in the dataset: the phase's, or `HOLDOUT/SOURCE`.
    pub name: String,
    /// Whether it is a held-out set.
    pub held_out: bool,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// Its windows.
    pub windows: u64,
    /// Files that hold its tokens, in order.
    pub files: Vec<String>,
}

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExportedFile {
    /// Its path in the export's folder, with `/`.
    pub file: String,
    /// Its size.
    pub bytes: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The export.
    pub exported: Exported,
    /// Bytes that are hard links to the dataset's own; they take no room.
    pub linked: u64,
    /// Bytes that were copied or written.
    pub written: u64,
    /// The export was there already.
    pub reused: bool,
}

/// Exports a dataset to `out`, which must not exist yet, be empty, or hold this very export already.
///
/// # Errors
/// What the dataset's windows, dtype or size do not allow ([`Error::Infeasible`], with what to do); an `out` that holds something
/// else; what the file system says.
pub fn run(dataset: &Dataset, target: Target, out: &Path) -> Result<Outcome> {
    let manifest = dataset.manifest();
    let parts = part::parts(dataset);
    let mut padded = false;
    for part in parts.iter().filter(|part| !part.held_out) {
        padded = padded || part.is_padded()?;
    }
    let export = allowed(&Facts::of_manifest(manifest, padded), target)?;
    let mut exported = Exported {
        format_version: 1,
        target: target.name().to_owned(),
        trainers: export.trainers.to_owned(),
        name: manifest.name.clone(),
        dataset_digest: manifest.dataset_digest.clone(),
        held_out_digests: manifest.validation.iter().map(|set| set.digest.clone()).collect(),
        token_dtype: manifest.token_dtype,
        vocab_size: manifest.tokenizer.vocab_size,
        order: export.order,
        notes: export.note.into_iter().collect(),
        parts: Vec::new(),
        files: Vec::new(),
    };
    if let Some(found) = staging::finished(out)? {
        let same = found.target == exported.target
            && found.dataset_digest == exported.dataset_digest
            && found.held_out_digests == exported.held_out_digests;
        if !same {
            return Err(Error::Failed(format!(
                "{} holds another export (`{}` of dataset {}); give another --out, or remove it",
                out.display(),
                found.target,
                found.dataset_digest.get(..12).unwrap_or_default()
            )));
        }
        staging::check_files(out, &found)?;
        return Ok(Outcome { exported: found, linked: 0, written: 0, reused: true });
    }
    let mut staging = Staging::begin(out)?;
    let job = Job { dataset, parts: &parts, out };
    let wrote = match target {
        Target::Megatron => megatron::export(&job, &mut staging)?,
        Target::MegatronExact => megatron_exact::export(&job, &mut staging)?,
        Target::Olmo => olmo::export(&job, &mut staging)?,
        Target::Datatrove => datatrove::export(&job, &mut staging)?,
        Target::Nanogpt => nanogpt::export(&job, &mut staging)?,
        Target::Llmc => llmc::export(&job, llmc::Reader::LlmC, &mut staging)?,
        Target::Automodel => llmc::export(&job, llmc::Reader::Automodel, &mut staging)?,
    };
    exported.notes.extend(wrote.notes);
    exported.parts = parts
        .iter()
        .zip(wrote.files)
        .map(|(part, files)| ExportedPart {
            name: part.name.clone(),
            held_out: part.held_out,
            sequence_length: part.set.sequence_length(),
            window_tokens: part.set.window_tokens(),
            windows: part.set.len(),
            files,
        })
        .collect();
    exported.files = staging.files()?;
    let (linked, written) = staging.finish(&exported)?;
    Ok(Outcome { exported, linked, written, reused: false })
}

/// The row of the table of exports for a target, or why this dataset cannot have it.
fn allowed(facts: &Facts, target: Target) -> Result<Export> {
    let export = facts.exports().into_iter().find(|export| export.name == target.name());
    let export = export.ok_or_else(|| Error::Failed(format!("there is no export `{}`", target.name())))?;
    if export.allowed {
        return Ok(export);
    }
    let why = export.note.unwrap_or_default();
    let others: Vec<&str> = facts.exports().iter().filter(|export| export.allowed).map(|export| export.name).collect();
    Err(Error::Infeasible {
        rendered: format!(
            "Compiling again with another `label_token` reads what is stored and tokenizes nothing. This dataset can be \
             exported for: {}.",
            others.join(", ")
        ),
        summary: format!("no export for {}: it {why}", export.trainers),
    })
}

/// What an exporter works on.
struct Job<'a> {
    dataset: &'a Dataset,
    /// Phases in training order, then held-out sets.
    parts: &'a [Part<'a>],
    /// Where the export will be.
    out: &'a Path,
}

/// What an exporter did.
struct Wrote {
    /// For each part, the files that hold its tokens, in order.
    files: Vec<Vec<String>>,
    /// What the user should know, beyond the table's own note.
    notes: Vec<String>,
}

impl Outcome {
    /// For a terminal.
    #[must_use]
    pub fn to_text(&self, out: &Path) -> String {
        let exported = &self.exported;
        let mut text = String::new();
        let there = if self.reused { " (it was there already; sizes are right)" } else { "" };
        let _ = writeln!(text, "{}: for {}{there}", out.display(), exported.trainers);
        for part in &exported.parts {
            let files = match part.files.as_slice() {
                [] => "not part of this export".to_owned(),
                [one] => one.clone(),
                [first, .., last] => format!("{first} … {last} ({} files)", part.files.len()),
            };
            let kind = if part.held_out { "held out" } else { "phase" };
            let (name, windows) = (&part.name, number::count(part.windows));
            let _ = writeln!(text, "  {kind} {name}: {windows} windows of {} tokens: {files}", part.window_tokens);
        }
        let _ = writeln!(text, "order: {}", order(exported.order));
        for note in &exported.notes {
            let _ = writeln!(text, "note: {note}");
        }
        if !self.reused {
            let (linked, written) = (number::bytes(self.linked.into()), number::bytes(self.written.into()));
            let _ = writeln!(text, "{linked} hard-linked, {written} written");
        }
        text
    }
}

fn order(order: Order) -> &'static str {
    match order {
        Order::Kept => "kept",
        Order::KeptUnshuffled => "kept while the trainer's own shuffling is off",
        Order::Shuffled => "NOT kept: the trainer shuffles",
        Order::Sampled => "NOT kept: the trainer reads at random places",
    }
}
