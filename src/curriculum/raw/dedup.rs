//! `dedup:`, `decontaminate:` and `holdout:`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{Named, Raw, mismatch};
use super::scalars::{Count, Flag, OneOrMany, Share, Tokens};
use crate::curriculum::checked::NearScope;
use crate::curriculum::diagnostics::Diagnostics;
use crate::curriculum::yaml::{Node, Value};

object! {
    /// Which duplicates are dropped.
    RawDedup, "`{exact: true}`, with `near: {jaccard: 0.8}` where near duplicates go too" {
        /// Drop documents whose text was already kept; true unless said.
        optional exact: Flag,
        /// Drop documents similar to one that stays; off unless given.
        optional near: RawNear,
    }
}

object! {
    /// Near duplicates: documents similar to one that stays are dropped.
    RawNear, "`{jaccard: 0.8, shingle: 5, scope: source}`" {
        /// Similarity from which a document goes: the Jaccard index of word n-grams; 0.8 unless said.
        optional jaccard: Share,
        /// Words in an n-gram; 5 unless said.
        optional shingle: Count,
        /// Bands of the search for candidates; they follow from `jaccard` unless given with `rows`.
        optional bands: Count,
        /// Rows of a band.
        optional rows: Count,
        /// Among which documents duplicates are sought; `source` unless said.
        optional scope: NearScope,
        /// Largest share of a source's documents that may go: one share for all, or by source, as in `{web: 60%}`. Warns at 50% and fails at 95% unless said.
        optional max_removed: RawMaxRemoved,
    }
}

words! {
    NearScope, "NearScope", "among which documents near duplicates are sought: within each `source`, within each `group`, or over `all`" {
        "source" => NearScope::Source,
        "group" => NearScope::Group,
        "all" => NearScope::All,
    }
}

/// One limit for all sources, or limits by source.
#[derive(Debug, Clone)]
pub enum RawMaxRemoved {
    /// For all.
    All(Share),
    /// For single sources.
    Of(Named<Share>),
}

impl Raw for RawMaxRemoved {
    fn expecting() -> Cow<'static, str> {
        "a share, such as `60%`, or shares by source, such as `{web: 60%}`".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Map(_) => Named::read(node, out).map(Self::Of),
            Value::Number(_) | Value::Text(_) => Share::read(node, out).map(Self::All),
            _ => {
                out.push(mismatch::<Self>(node));
                None
            }
        }
    }
}

impl JsonSchema for RawMaxRemoved {
    fn schema_name() -> Cow<'static, str> {
        "MaxRemoved".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = Named::<Share>::json_schema(generator);
        json_schema!({ "oneOf": [generator.subschema_for::<Share>(), named] })
    }
}

object! {
    /// Benchmarks whose items must not be in the training data: a document that an item has leaked into is dropped.
    RawDecontaminate, "`{files: [eval/*.jsonl], ngram: 13, coverage: 50%}`" {
        /// Benchmark files (JSON Lines or Parquet), as paths or patterns.
        required files: OneOrMany,
        /// Columns whose text is matched; `text` unless said.
        optional fields: OneOrMany,
        /// Words in an n-gram; 13 unless said.
        optional ngram: Count,
        /// Share of an item's n-grams that must occur in a document, or `any` (one suffices); 50% unless said.
        optional coverage: RawCoverage,
    }
}

/// A share, or `any`.
#[derive(Debug, Clone)]
pub enum RawCoverage {
    /// One n-gram suffices.
    Any,
    /// So large a share of them.
    Share(Share),
}

impl Raw for RawCoverage {
    fn expecting() -> Cow<'static, str> {
        "a share, such as `50%`, or `any`".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == "any" => Some(Self::Any),
            Value::Number(_) | Value::Text(_) => Share::read(node, out).map(Self::Share),
            _ => {
                out.push(mismatch::<Self>(node));
                None
            }
        }
    }
}

impl JsonSchema for RawCoverage {
    fn schema_name() -> Cow<'static, str> {
        "Coverage".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": Self::expecting(), "oneOf": [{ "const": "any" }, generator.subschema_for::<Share>()] })
    }
}

object! {
    /// Documents kept for validation: chosen by their keys, the same whatever the seed.
    RawHoldout, "a holdout, such as `{share: 0.01%, max_tokens_per_source: 5M}`" {
        /// Share of each source's documents.
        required share: Share,
        /// At most so many tokens of each source.
        optional max_tokens_per_source: Tokens,
    }
}
