//! The mix report as data: `report.json`. The page, the Markdown and the comparison show this and nothing else.
//!
//! One shape serves a compiled dataset and a plan; what a plan cannot know is `null`. The shape is versioned by
//! [`FORMAT_VERSION`] and published in `schemas/report.schema.json`: fields are added, none renamed.
//!
//! Units: *tokens* of a phase are trained positions (windows × S); *stored* tokens are windows × W; *unique* tokens are those
//! of the documents that stayed, once each. BOS and EOS count. Shares are parts of one.

mod found;
mod parts;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use found::{
    Bucket, Concentration, DistributionOf, Distributions, Evidence, Example, Histogram, Pair, Quantiles, Removals,
    SimilarityBucket, TimesRead,
};
pub use parts::{
    Bin, DocumentFlow, EpochUse, Expect, Flow, HeldOut, Natural, Phase, PhaseDrift, PhaseSource, PlanPart, Rule, Run,
    Size, Source, SourceDrift, StageTime, TokenFlow, Tokenizer, TrainerForm, Verdict, Verification,
};

/// Version of the shape.
pub const FORMAT_VERSION: u32 = 1;

/// A mix report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixReport {
    /// Version of this shape.
    pub format_version: u32,
    /// Of what.
    pub kind: Kind,
    /// The curriculum's name.
    pub name: String,
    /// The dataset's digest; `null` for a plan.
    pub dataset_digest: Option<String>,
    /// Seed.
    pub seed: u64,
    /// `--scale` as an exact fraction.
    pub scale: String,
    /// `--thin` as an exact fraction; `null` for a plan.
    pub thin: Option<String>,
    /// Trained positions of all phases.
    pub tokens: u64,
    /// Windows of all phases.
    pub windows: u64,
    /// Bytes of all `.bin` files of the phases; for a plan, what they will come to.
    pub bytes: u64,
    /// `u16` or `u32`.
    pub token_dtype: String,
    /// Whether it came out as asked.
    pub verdict: Verdict,
    /// The tokenizer's contract; `null` for a plan.
    pub tokenizer: Option<Tokenizer>,
    /// Sources in declaration order.
    pub sources: Vec<Source>,
    /// Phases in training order.
    pub phases: Vec<Phase>,
    /// The mix as it lies in the shards, in runs of windows in training order, none across phases; empty for a plan.
    pub bins: Vec<Bin>,
    /// Where all documents and tokens went; `null` for a plan.
    pub flow: Option<Flow>,
    /// Windows of one document within any 1,024 consecutive ones: the most for each source, most first; empty for a plan.
    pub concentration: Vec<Concentration>,
    /// Distributions of documents and windows; `null` for a plan.
    pub distributions: Option<Distributions>,
    /// What was removed as a duplicate or a leak; `null` for a plan.
    pub evidence: Option<Evidence>,
    /// What only a plan says: size on disk, time, exports; `null` for a dataset.
    pub plan: Option<PlanPart>,
    /// What a careful reader should know.
    pub warnings: Vec<String>,
    /// The curriculum file.
    pub curriculum: String,
    /// Version of Syllabus that made the report.
    pub syllabus: String,
    /// How the compile went; `null` where that is not known. It alone depends on the machine.
    pub run: Option<Run>,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A compiled dataset.
    Dataset,
    /// A plan, before any data is read.
    Plan,
}

/// The JSON Schema of `report.json`.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(MixReport);
    schema.insert("title".to_owned(), "Syllabus mix report".into());
    schema.to_value()
}

impl MixReport {
    /// Names of groups in the order of their first source, each with the indices of its sources; a source without a group is
    /// one of its own.
    #[must_use]
    pub fn groups(&self) -> Vec<(String, Vec<usize>)> {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            let name = source.group.as_ref().unwrap_or(&source.name);
            match groups.iter_mut().find(|(group, _)| group == name) {
                Some((_, members)) => members.push(index),
                None => groups.push((name.clone(), vec![index])),
            }
        }
        groups
    }

    /// Windows of each source over all phases, by its index.
    #[must_use]
    pub fn source_index(&self, name: &str) -> Option<usize> {
        self.sources.iter().position(|source| source.name == name)
    }
}
