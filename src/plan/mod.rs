//! What a curriculum will read, before it is compiled: budgets, shares, windows, feasibility.

use crate::curriculum::checked::Packing;
use crate::mix::Ramp;

/// How large a source is, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceSize {
    /// Unique tokens (BOS and EOS counted).
    pub tokens: u64,
    /// Documents, where known.
    pub documents: Option<u64>,
    /// How it is known.
    pub basis: Basis,
}

/// How a size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Counted after ingest and dedup: exact.
    Counted,
    /// Estimated from samples of the files.
    Estimated,
    /// Taken from the curriculum's `tokens:`.
    Declared,
}

/// The whole plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// One for each phase of the curriculum, in order.
    pub phases: Vec<PhasePlan>,
    /// What a careful reader should know, one line each.
    pub warnings: Vec<String>,
}

/// What one phase reads.
#[derive(Debug, Clone)]
pub struct PhasePlan {
    /// Its name.
    pub name: String,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// Packing.
    pub packing: Packing,
    /// Windows of the phase: round(tokens × scale / S).
    pub windows: u64,
    /// Windows of a full shard: whole blocks of 256.
    pub shard_windows: u64,
    /// Share of each source (by source index), at the phase's start and end; they sum to one.
    pub shares: Vec<Ramp>,
    /// Windows of each source: the interleave's end counts.
    pub source_windows: Vec<u64>,
    /// Whether `source_windows` is the interleave's exact result, or the nearest integers to the quotas (within one window)
    /// because walking the phase would take too long for a plan.
    pub exact: bool,
}
