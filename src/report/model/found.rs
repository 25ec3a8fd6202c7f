//! Distributions and evidence: what the report says of documents.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most windows of one document of a source within any 1,024 consecutive windows of the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concentration {
    /// The source.
    pub source: String,
    /// Windows that hold a part of the document.
    pub windows: u64,
    /// The document's key in hex.
    pub document: String,
    /// Global number of the first of the 1,024 windows (fewer where the dataset is shorter).
    pub first_window: u64,
}

/// Distributions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Distributions {
    /// Part of the emitted documents that were looked at, chosen by key: 1 for all of them. Counts of documents below are of
    /// those looked at.
    pub sample: f64,
    /// Tokens of a document as far as it was read.
    pub document_tokens: DistributionOf,
    /// Fragments in a window.
    pub window_fragments: DistributionOf,
    /// Documents by the number of epochs in which some part of them is read.
    pub times_read: Vec<TimesRead>,
}

/// A distribution over all and by source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistributionOf {
    /// Over all sources.
    pub all: Vec<Bucket>,
    /// By source.
    pub sources: Vec<Histogram>,
}

/// A source's distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// The source.
    pub source: String,
    /// Its buckets, without empty ones at either end.
    pub buckets: Vec<Bucket>,
    /// Its quantiles.
    pub quantiles: Quantiles,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Least value.
    pub from: u64,
    /// Largest value, included.
    pub to: u64,
    /// How many.
    pub count: u64,
}

/// Quantiles: the least value that at least the named part does not exceed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    /// The least.
    pub least: u64,
    /// The middle.
    pub median: u64,
    /// 95 of 100.
    pub p95: u64,
    /// The largest.
    pub most: u64,
}

/// Documents read in so many epochs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimesRead {
    /// Epochs.
    pub times: u64,
    /// Documents, by the index of their source.
    pub sources: Vec<u64>,
}

/// What was removed, by what, and examples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Documents by source and reason.
    pub removals: Vec<Removals>,
    /// Removed documents by where the copy stayed.
    pub pairs: Vec<Pair>,
    /// Equal texts by their number, the one that stayed counted.
    pub exact_clusters: Vec<Bucket>,
    /// Documents removed as similar to one that stayed, by their number, the one that stayed counted.
    pub near_clusters: Vec<Bucket>,
    /// Part of the near duplicates' clusters that was counted, chosen by key: 1 for all of them.
    pub cluster_sample: f64,
    /// Near duplicates by measured Jaccard index.
    pub similarity: Vec<SimilarityBucket>,
    /// A few for each source and reason: those with the smallest keys.
    pub examples: Vec<Example>,
}

/// Documents of a source removed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Removals {
    /// The source.
    pub source: String,
    /// `exact`, `near`, `contaminated`, `near_validation`.
    pub reason: String,
    /// Documents.
    pub documents: u64,
}

/// Documents of one source removed for a copy in another, or in the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Whose documents went.
    pub source: String,
    /// Whose stayed.
    pub kept_in: String,
    /// `exact`, `near` or `near_validation`.
    pub reason: String,
    /// Documents.
    pub documents: u64,
}

/// Near duplicates within a run of similarities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarityBucket {
    /// Least similarity.
    pub from: f64,
    /// Similarity before which it ends; the last bucket holds 1 too.
    pub to: f64,
    /// Documents.
    pub count: u64,
}

/// A removed document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Its key in hex: `syllabus inspect --document KEY` shows more.
    pub document: String,
    /// Its source.
    pub source: String,
    /// Why it went.
    pub reason: String,
    /// Key of the document that stayed.
    pub kept: Option<String>,
    /// Measured similarity, or the part of the benchmark item's n-grams that occur in it.
    pub similarity: Option<f64>,
    /// For people.
    pub detail: Option<String>,
}
