//! `phases:`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::mix::RawMix;
use super::read::{Item, Raw, mismatch};
use super::scalars::{Count, Flag, OneOrMany, Size, Text, Tokens};
use crate::curriculum::checked::Packing;
use crate::curriculum::diagnostics::Diagnostics;
use crate::curriculum::yaml::{Node, Value};

object! {
    /// A stretch of training with a budget and a mix.
    RawPhase, "a phase, such as `{name: foundation, tokens: 1T, mix: early}`" {
        /// Its name; it becomes a folder of the dataset.
        required name: Text,
        /// Its budget in trained tokens, for example 1.5T. Either this or `until`.
        optional tokens: Tokens,
        /// Trained tokens from the curriculum's start to this phase's end, for example 3.5T. Either this or `tokens`.
        optional until: Tokens,
        /// What it reads: the name of a mix, a mix, or `{from: MIX, to: MIX}` for a linear ramp.
        required mix: RawPhaseMix,
        /// What must hold of it, for example `code == 19.2% ± 0.1%`, `web + books >= 80%` or `epochs(github) <= 4`.
        optional expect: OneOrMany,
        /// Trained positions in a window, where not the curriculum's.
        optional sequence_length: Count,
        /// How documents become windows, where not as in the curriculum.
        optional packing: Packing,
        /// Target size of a shard in bytes, where not the curriculum's.
        optional shard_size: Size,
        /// Whether a positive share may come to no window at all; false unless said.
        optional allow_zero: Flag,
    }
}

/// What a phase reads.
#[derive(Debug, Clone)]
pub enum RawPhaseMix {
    /// One mix from start to end.
    Constant(RawMixRef),
    /// A line from one mix to another.
    Ramp(RawRamp),
}

/// A mix, or the name of one.
#[derive(Debug, Clone)]
pub enum RawMixRef {
    /// The name of one of `mixes:`.
    Name(Item<Text>),
    /// A mix written out.
    Mix(RawMix),
}

object! {
    /// A linear ramp between two mixes.
    RawRamp, "a ramp, such as `{from: early, to: late}`" {
        /// The mix at the phase's start.
        required from: RawMixRef,
        /// The mix at its end.
        required to: RawMixRef,
    }
}

impl Raw for RawMixRef {
    fn expecting() -> Cow<'static, str> {
        "the name of a mix, or a mix such as `{web: 52%, code: 26.5%, books: rest}`".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Map(_) => RawMix::read(node, out).map(Self::Mix),
            Value::Text(_) => Text::read(node, out).map(|value| Self::Name(Item { at: node.at.clone(), value })),
            _ => {
                out.push(mismatch::<Self>(node));
                None
            }
        }
    }
}

impl JsonSchema for RawMixRef {
    fn schema_name() -> Cow<'static, str> {
        "MixRef".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "type": "string", "minLength": 1 }, generator.subschema_for::<RawMix>()] })
    }
}

impl Raw for RawPhaseMix {
    fn expecting() -> Cow<'static, str> {
        "the name of a mix, a mix such as `{web: 75%, books: rest}`, or a ramp such as `{from: early, to: late}`".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            // No source can be named `from` or `to`, so these keys tell a ramp from a mix.
            Value::Map(entries) if entries.iter().any(|entry| matches!(entry.key.as_str(), "from" | "to")) => {
                RawRamp::read(node, out).map(Self::Ramp)
            }
            Value::Map(_) | Value::Text(_) => RawMixRef::read(node, out).map(Self::Constant),
            _ => {
                out.push(mismatch::<Self>(node));
                None
            }
        }
    }
}

impl JsonSchema for RawPhaseMix {
    fn schema_name() -> Cow<'static, str> {
        "PhaseMix".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "minLength": 1 },
                generator.subschema_for::<RawRamp>(),
                {
                    "allOf": [
                        generator.subschema_for::<RawMix>(),
                        { "not": { "anyOf": [{ "required": ["from"] }, { "required": ["to"] }] } },
                    ],
                },
            ],
        })
    }
}
