//! `manifest.json`: what a dataset is and what its bytes hash to. Written last.

use serde::{Deserialize, Serialize};

use super::TokenDtype;

/// The format this crate writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the on-disk format.
    pub format_version: u32,
    /// The curriculum's name.
    pub name: String,
    /// Hex BLAKE3 over the dataset's canonical fields, chained by phase.
    pub dataset_digest: String,
    /// The curriculum file as compiled.
    pub curriculum: String,
    /// Its seed.
    pub seed: u64,
    /// `--scale` as an exact fraction, `1` or `1/1000000`.
    pub scale: String,
    /// `--thin` as an exact fraction; `1` when all documents were taken.
    pub thin: String,
    /// The tokenizer's contract.
    pub tokenizer: TokenizerContract,
    /// Width of a token.
    pub token_dtype: TokenDtype,
    /// Largest token id in the dataset.
    pub max_token_id: u32,
    /// Sources in declaration order.
    pub sources: Vec<SourceSummary>,
    /// Phases in training order.
    pub phases: Vec<PhaseSummary>,
    /// Held-out sets, one per source that has held-out documents.
    pub validation: Vec<ValidationSummary>,
    /// Totals of the ledger, by outcome.
    pub ledger: LedgerTotals,
    /// `expect` lines as judged on the emitted windows.
    pub expect: Vec<ExpectResult>,
}

/// The tokenizer as proved by the compiler's probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerContract {
    /// For people.
    pub name: String,
    /// Hex BLAKE3 of `tokenizer.json`.
    pub digest: String,
    /// 1 + the largest id of model and added tokens.
    pub vocab_size: u32,
    /// Id before each document.
    pub bos_id: Option<u32>,
    /// Id after each document.
    pub eos_id: Option<u32>,
    /// Id of padding.
    pub pad_id: u32,
    /// Implementation that encoded.
    pub backend: String,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSummary {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// Surviving documents.
    pub documents: u64,
    /// Their tokens, BOS and EOS counted.
    pub tokens: u64,
    /// Their bytes of text.
    pub bytes: u64,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// Its name: its folder.
    pub name: String,
    /// Hex BLAKE3 of the phase's canonical fields.
    pub digest: String,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// Number of windows.
    pub windows: u64,
    /// Trained positions: windows × S.
    pub tokens: u64,
    /// Windows of each source, in declaration order; sources without windows are left out.
    pub sources: Vec<PhaseSource>,
    /// Shards in training order.
    pub shards: Vec<Shard>,
}

/// A source's part of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSource {
    /// Its name.
    pub name: String,
    /// Its windows.
    pub windows: u64,
}

/// A shard: three files beside each other, `.bin`, `.idx` and `.arrow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The `.bin`, relative to the dataset, with `/`.
    pub file: String,
    /// Windows in it.
    pub windows: u64,
    /// Size of the `.bin`.
    pub bytes: u64,
    /// Hex BLAKE3 of the `.bin`.
    pub digest: String,
    /// Hex BLAKE3 of the `.idx`.
    pub index_digest: String,
    /// Hex BLAKE3 of the logical rows of the `.arrow`.
    pub windows_digest: String,
}

/// A source's held-out documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationSummary {
    /// The held-out set's name.
    pub name: String,
    /// The source.
    pub source: String,
    /// Hex BLAKE3 of its canonical fields, as for a phase.
    pub digest: String,
    /// Documents held out.
    pub documents: u64,
    /// Their tokens.
    pub tokens: u64,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// Windows; the last may be padded.
    pub windows: u64,
    /// Shards.
    pub shards: Vec<Shard>,
}

/// Documents and tokens by outcome, over all sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerTotals {
    /// One line per outcome.
    pub outcomes: Vec<OutcomeTotal>,
}

/// An outcome's totals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeTotal {
    /// `read`, `bad`, `filtered:RULE`, `empty`, `contaminated`, `exact`, `near`, `held_out`, `emitted`, `truncated`, `unused`.
    pub outcome: String,
    /// Documents; `null` where the outcome counts tokens only.
    pub documents: Option<u64>,
    /// Tokens; `null` for rows never tokenized.
    pub tokens: Option<u64>,
}

/// An `expect` line and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectResult {
    /// The phase.
    pub phase: String,
    /// The line as written.
    pub text: String,
    /// The measured value: a share (0.192) or epochs.
    pub value: f64,
    /// Whether it holds.
    pub holds: bool,
}
