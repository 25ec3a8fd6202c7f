//! Verdict, sources, phases, flow: what the report says of the mix.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether it came out as asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// `expect` lines, phase by phase.
    pub expect: Vec<Expect>,
    /// Whether the ledger's equations hold; `null` for a plan.
    pub ledger_balances: Option<bool>,
    /// What `syllabus verify` found when the report was made; `null` where it was not asked, as at the end of a compile.
    pub verification: Option<Verification>,
    /// Whether every source suffices for what is asked of it; `null` for a dataset, where it did.
    pub sources_suffice: Option<bool>,
}

/// An `expect` line and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The phase.
    pub phase: String,
    /// The line as written.
    pub text: String,
    /// A share of the phase's windows, or epochs.
    pub value: f64,
    /// Whether `value` counts epochs.
    pub epochs: bool,
    /// Whether it holds.
    pub holds: bool,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Whether only sizes, the manifest and the ledger were looked at; no token was read.
    pub quick: bool,
    /// Everything that is off, as `FILE: what`; at most 20 of them.
    pub findings: Vec<String>,
    /// How many there are in all.
    pub found: u64,
}

/// The tokenizer as the dataset's manifest states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tokenizer {
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
    /// Largest id in the dataset.
    pub max_token_id: u32,
}

/// How large a source is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Unique tokens.
    pub tokens: u64,
    /// Documents, where known.
    pub documents: Option<u64>,
    /// Bytes of their text, where known.
    pub bytes: Option<u64>,
    /// `counted`, `estimated` or `declared`.
    pub basis: String,
    /// Half-width of an estimate's 95 % interval as a part of it; `null` when unknown, 0 when not estimated.
    pub spread: Option<f64>,
}

/// A source over the whole curriculum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// What it holds, duplicates and all else that was removed not counted.
    pub size: Size,
    /// Unique tokens divided by bytes of text.
    pub tokens_per_byte: Option<f64>,
    /// How often it may be read; `null` without bound.
    pub max_epochs: Option<u64>,
    /// Its windows in all phases.
    pub windows: u64,
    /// Trained positions.
    pub tokens: u64,
    /// Part of all trained positions.
    pub share: f64,
    /// Stored tokens: windows × W.
    pub stored_tokens: u64,
    /// Stored tokens divided by unique tokens; `null` for a source without tokens.
    pub epochs: Option<f64>,
    /// Unique tokens that no phase reads; `null` where that is not known.
    pub unseen_tokens: Option<u64>,
    /// Stored tokens that may still be read (below zero: missing); `null` without bound.
    pub left: Option<i64>,
    /// Where its documents and tokens went; `null` for a plan.
    pub flow: Option<Flow>,
    /// Each epoch begun; empty for a plan.
    pub epoch_use: Vec<EpochUse>,
    /// Its part of the corpus before and after documents were removed; `null` for a plan.
    pub natural: Option<Natural>,
    /// Its held-out set.
    pub held_out: Option<HeldOut>,
}

/// Tokens of one epoch of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EpochUse {
    /// From 0.
    pub epoch: u32,
    /// In windows.
    pub emitted: u64,
    /// Cut off where windows or padding did not hold them.
    pub truncated: u64,
    /// Not yet read.
    pub unused: u64,
    /// Read by phases that this compile left out.
    pub other_phases: u64,
}

/// A source's part of all tokens of the corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Natural {
    /// Of what was tokenized.
    pub before: f64,
    /// Of what stayed.
    pub after: f64,
}

/// A held-out set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldOut {
    /// The set's name.
    pub name: String,
    /// Documents.
    pub documents: u64,
    /// Tokens.
    pub tokens: u64,
    /// Windows.
    pub windows: u64,
}

/// Documents and tokens by outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Documents.
    pub documents: DocumentFlow,
    /// Tokens.
    pub tokens: TokenFlow,
}

/// Documents by outcome: `read` is the sum of all but `survived`, and `survived` is `emitted` and `unused`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentFlow {
    /// Rows read.
    pub read: u64,
    /// Rows that could not be read, where the curriculum allows them.
    pub bad: u64,
    /// Filtered, by the first rule that failed.
    pub filtered: Vec<Rule>,
    /// Without text.
    pub empty: u64,
    /// Holding a benchmark item.
    pub contaminated: u64,
    /// The same text was kept elsewhere.
    pub exact: u64,
    /// A similar text was kept.
    pub near: u64,
    /// A similar text is held out.
    pub near_validation: u64,
    /// Held out.
    pub held_out: u64,
    /// Left after all of these.
    pub survived: u64,
    /// Of those, in some window.
    pub emitted: u64,
    /// Of those, in none.
    pub unused: u64,
}

/// Documents that one rule filtered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `where`, or the text rule's name.
    pub rule: String,
    /// Documents.
    pub documents: u64,
}

/// Tokens by outcome: `tokenized` is the sum of `exact`, `near`, `near_validation`, `held_out` and `survived`. Those read
/// several times are emitted several times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenFlow {
    /// All that went through the tokenizer.
    pub tokenized: u64,
    /// Of exact duplicates.
    pub exact: u64,
    /// Of near duplicates.
    pub near: u64,
    /// Of near duplicates of held-out documents.
    pub near_validation: u64,
    /// Held out.
    pub held_out: u64,
    /// Unique tokens of what stayed.
    pub survived: u64,
    /// In windows, over all epochs.
    pub emitted: u64,
    /// Padding in windows.
    pub padding: u64,
    /// Cut off, over all epochs.
    pub truncated: u64,
    /// Not read in the last epoch.
    pub unused: u64,
    /// Read by phases that this compile left out.
    pub other_phases: u64,
}

impl DocumentFlow {
    /// Filtered by any rule.
    #[must_use]
    pub fn filtered_all(&self) -> u64 {
        self.filtered.iter().map(|rule| rule.documents).sum()
    }

    /// Adds another source's.
    pub fn add(&mut self, other: &Self) {
        for rule in &other.filtered {
            match self.filtered.iter_mut().find(|known| known.rule == rule.rule) {
                Some(known) => known.documents += rule.documents,
                None => self.filtered.push(rule.clone()),
            }
        }
        for (sum, more) in [
            (&mut self.read, other.read),
            (&mut self.bad, other.bad),
            (&mut self.empty, other.empty),
            (&mut self.contaminated, other.contaminated),
            (&mut self.exact, other.exact),
            (&mut self.near, other.near),
            (&mut self.near_validation, other.near_validation),
            (&mut self.held_out, other.held_out),
            (&mut self.survived, other.survived),
            (&mut self.emitted, other.emitted),
            (&mut self.unused, other.unused),
        ] {
            *sum += more;
        }
    }
}

impl TokenFlow {
    /// Adds another source's.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.tokenized, other.tokenized),
            (&mut self.exact, other.exact),
            (&mut self.near, other.near),
            (&mut self.near_validation, other.near_validation),
            (&mut self.held_out, other.held_out),
            (&mut self.survived, other.survived),
            (&mut self.emitted, other.emitted),
            (&mut self.padding, other.padding),
            (&mut self.truncated, other.truncated),
            (&mut self.unused, other.unused),
            (&mut self.other_phases, other.other_phases),
        ] {
            *sum += more;
        }
    }
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Its digest; `null` for a plan.
    pub digest: Option<String>,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// `concat` or `best_fit`.
    pub packing: String,
    /// Global number of its first window.
    pub first_window: u64,
    /// Windows.
    pub windows: u64,
    /// Trained positions.
    pub tokens: u64,
    /// Shards.
    pub shards: u64,
    /// Whether the planned windows of each source are exact, or within one.
    pub exact: bool,
    /// Whether some share changes within the phase.
    pub ramp: bool,
    /// Sources that were planned or read, in declaration order.
    pub sources: Vec<PhaseSource>,
    /// How far the windows stray from the shares; `null` where they were not walked.
    pub drift: Option<PhaseDrift>,
}

/// A source's part of a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseSource {
    /// Its name.
    pub name: String,
    /// Share asked at the phase's start.
    pub share_from: f64,
    /// Share asked at its end.
    pub share_to: f64,
    /// Share asked over the whole phase.
    pub share: f64,
    /// Share of the phase's windows that it got; for a plan, that it will get.
    pub got: f64,
    /// Windows got less windows due.
    pub windows_off: f64,
    /// Windows.
    pub windows: u64,
    /// Trained positions.
    pub tokens: u64,
    /// Different documents with a fragment in the phase; `null` for a plan, and where they were only sampled.
    pub documents: Option<u64>,
    /// Padding in its windows; `null` for a plan.
    pub padding: Option<u64>,
    /// Epochs read by the phase's end.
    pub epochs: Option<f64>,
    /// Unique tokens that no phase up to this one reads; `null` where that is not known.
    pub unseen_tokens: Option<u64>,
    /// Stored tokens that may still be read after the phase (below zero: missing); `null` without bound.
    pub left: Option<i64>,
    /// How far it strays from its share; `null` where the windows were not walked.
    pub drift: Option<SourceDrift>,
}

/// The largest drift of any source in a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseDrift {
    /// Windows in a block; borders lie between blocks and at the phase's end.
    pub block: u64,
    /// The source that strays furthest at a border.
    pub border_source: String,
    /// By how many windows: got less due.
    pub border: f64,
    /// After so many windows of the phase.
    pub border_after: u64,
    /// Consecutive windows looked at together: 1,024, or the whole phase where it is shorter. 0 for a plan.
    pub span: u64,
    /// The source that strays furthest in any span; `null` for a plan.
    pub span_source: Option<String>,
    /// By how many windows.
    pub span_windows: Option<f64>,
    /// From this window of the phase on.
    pub span_from: Option<u64>,
}

/// How far a source strays from its share in a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceDrift {
    /// At block borders: windows got less windows due.
    pub border: f64,
    /// After so many windows of the phase.
    pub border_after: u64,
    /// In any span: windows got in it less windows due in it; `null` for a plan.
    pub span: Option<f64>,
    /// From this window of the phase on.
    pub span_from: Option<u64>,
}

/// A run of consecutive windows of one phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// The phase, as an index into `phases`.
    pub phase: u64,
    /// Global number of its first window.
    pub first_window: u64,
    /// Windows.
    pub windows: u64,
    /// Windows of each source, by its index in `sources`.
    pub sources: Vec<u64>,
}

/// What only a plan says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanPart {
    /// Bytes of all files of the dataset.
    pub output_bytes: u64,
    /// Bytes of intermediate files at their most.
    pub scratch_bytes: u64,
    /// Least `--memory`, in bytes.
    pub memory_floor_bytes: u64,
    /// Seconds that a compile takes, where a rate was measured.
    pub seconds: Option<f64>,
    /// Forms in which it can be handed to trainers.
    pub exports: Vec<TrainerForm>,
}

/// A form in which a dataset can be handed to a trainer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainerForm {
    /// What follows `--for`.
    pub name: String,
    /// Trainers that read it.
    pub trainers: String,
    /// Whether this curriculum can be exported so.
    pub allowed: bool,
    /// Why not, or what to know.
    pub note: Option<String>,
}

/// How a compile went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Seconds from the start to the report.
    pub seconds: f64,
    /// Stages in order.
    pub stages: Vec<StageTime>,
    /// Threads.
    pub threads: u64,
    /// `--memory` in bytes.
    pub memory_bytes: u64,
    /// Documents that this run tokenized; what was stored before is not among them.
    pub documents: u64,
    /// Bytes of their text.
    pub bytes: u64,
    /// Windows that it wrote.
    pub windows: u64,
    /// Bytes of `.bin` that it wrote.
    pub written_bytes: u64,
}

/// Seconds that a stage took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageTime {
    /// Its name.
    pub stage: String,
    /// Seconds.
    pub seconds: f64,
}
