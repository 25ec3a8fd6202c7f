//! Mixes: weights of sources and groups, nested where a group is divided.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{self, Item, Named, Raw, mismatch};
use super::scalars::{self, Factor, Text};
use crate::curriculum::checked::Weight;
use crate::curriculum::diagnostics::{Diagnostic, Diagnostics, Span};
use crate::curriculum::units;
use crate::curriculum::yaml::{Node, Value};

/// A mix: names and how much of each.
#[derive(Debug, Clone)]
pub struct RawMix {
    /// Where it stands.
    pub at: Span,
    /// Its lines.
    pub lines: Named<RawShare>,
}

impl Raw for RawMix {
    fn expecting() -> Cow<'static, str> {
        "a mix, such as `{web: 52%, code: 26.5%, books: rest}`".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        if !matches!(node.value, Value::Map(_)) {
            out.push(mismatch::<Self>(node));
            return None;
        }
        Named::read(node, out).map(|lines| Self { at: node.at.clone(), lines })
    }
}

impl JsonSchema for RawMix {
    fn schema_name() -> Cow<'static, str> {
        "Mix".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Named::<RawShare>::json_schema(generator);
        schema.insert("description".to_owned(), "names of sources and groups, and how much of each: absolute weights (`26.5%`, `50B`, `2x`) are taken first, bare numbers are relative within what is left, and `rest` takes the remainder".into());
        schema.insert("minProperties".to_owned(), 1.into());
        schema
    }
}

/// What stands behind a name in a mix.
#[derive(Debug, Clone)]
pub enum RawShare {
    /// A weight alone.
    Weight(Weight),
    /// A weight, and how it is divided.
    Part(Box<RawPart>),
}

object! {
    /// A share, and how it is divided among its members.
    RawPart, "a share, such as `{share: 20%, of: {github: 80, sql: 20}}`" {
        /// How much of this level it takes.
        required share: Weight,
        /// Its members: a mix, the name of a mix, or a list of sources that share by size. All sources of the group unless said.
        optional of: RawOf,
        /// `size`: members share by their unique tokens.
        optional by: By,
        /// Factors of single members, for sharing by size.
        optional boost: RawBoost,
    }
}

/// Factors of single members.
pub type RawBoost = Named<Factor>;

/// How a group is divided when it is not a mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By;

words! {
    By, "By", "`size`: members share by their unique tokens" {
        "size" => By,
    }
}

impl Raw for RawShare {
    fn expecting() -> Cow<'static, str> {
        "a weight (`26.5%`, `50B`, `2x`, `rest` or a bare number) or `{share: 20%, of: {github: 80, sql: 20}}`".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Map(_) => RawPart::read(node, out).map(|part| Self::Part(Box::new(part))),
            Value::Number(_) | Value::Text(_) => Weight::read(node, out).map(Self::Weight),
            _ => {
                out.push(mismatch::<Self>(node));
                None
            }
        }
    }
}

impl JsonSchema for RawShare {
    fn schema_name() -> Cow<'static, str> {
        "MixShare".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [generator.subschema_for::<Weight>(), generator.subschema_for::<RawPart>()] })
    }
}

impl Raw for Weight {
    fn expecting() -> Cow<'static, str> {
        "a weight: `26.5%` (of this level), `50B` (tokens), `2x` (epochs), `rest`, or a bare number (relative)".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        scalars::number::<Self, _>(node, units::weight, out)
    }
}

impl JsonSchema for Weight {
    fn schema_name() -> Cow<'static, str> {
        "Weight".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": Self::expecting(),
            "type": ["number", "string"],
            "minimum": 0,
            "pattern": "^(rest|[0-9.][0-9_.eE+-]*[TBMkx%]?)$",
            "examples": ["26.5%", "50B", "2x", "rest", 13.1],
        })
    }
}

/// What a share is divided among.
#[derive(Debug, Clone)]
pub enum RawOf {
    /// A nested mix.
    Mix(RawMix),
    /// The name of a mix.
    Name(Item<Text>),
    /// Sources that share by size.
    Members(Vec<Item<Text>>),
}

impl Raw for RawOf {
    fn expecting() -> Cow<'static, str> {
        "a mix (`{github: 80, sql: 20}`), the name of one, or a list of sources that share by size (`[github, sql]`)"
            .into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Map(_) => RawMix::read(node, out).map(Self::Mix),
            Value::Text(_) => Text::read(node, out).map(|value| Self::Name(Item { at: node.at.clone(), value })),
            Value::Seq(items) if items.is_empty() => {
                out.push(Diagnostic::error(node.at.clone(), "this list is empty"));
                None
            }
            Value::Seq(_) => Vec::read(node, out).map(Self::Members),
            _ => {
                out.push(read::mismatch::<Self>(node));
                None
            }
        }
    }
}

impl JsonSchema for RawOf {
    fn schema_name() -> Cow<'static, str> {
        "ShareMembers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                generator.subschema_for::<RawMix>(),
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 },
            ],
        })
    }
}
