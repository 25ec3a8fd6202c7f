//! Single values: text, numbers with units, truth values.

use std::borrow::Cow;

use num_rational::BigRational;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{Item, Raw, mismatch};
use crate::curriculum::diagnostics::{Diagnostic, Diagnostics};
use crate::curriculum::units;
use crate::curriculum::yaml::{Node, Value};

/// A doc comment as one line of prose.
pub(super) fn prose(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub String);

impl Raw for Text {
    fn expecting() -> Cow<'static, str> {
        "text".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        let written = match &node.value {
            Value::Text(text) if !text.is_empty() => return Some(Self(text.clone())),
            Value::Text(_) => {
                out.push(Diagnostic::error(node.at.clone(), "this text is empty"));
                return None;
            }
            Value::Number(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            _ => {
                out.push(mismatch::<Self>(node));
                return None;
            }
        };
        out.push(mismatch::<Self>(node).hint(format!("put it in quotes: `\"{written}\"`")));
        None
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag(pub bool);

impl Raw for Flag {
    fn expecting() -> Cow<'static, str> {
        "`true` or `false`".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Bool(flag) => Some(Self(*flag)),
            Value::Text(text) => {
                let meant = match text.to_ascii_lowercase().as_str() {
                    "yes" | "y" | "on" | "true" => Some("write `true`"),
                    "no" | "n" | "off" | "false" => Some("write `false`"),
                    _ => None,
                };
                out.push(
                    Diagnostic::error(node.at.clone(), format!("expected {}, found `{text}`", Self::expecting()))
                        .maybe_hint(meant.map(str::to_owned)),
                );
                None
            }
            _ => {
                out.push(mismatch::<Self>(node));
                None
            }
        }
    }
}

impl JsonSchema for Flag {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Flag".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

/// Reads the spelling of a number, plain or quoted.
pub(super) fn number<T: Raw, N>(
    node: &Node,
    parse: impl FnOnce(&str) -> Result<N, units::Problem>,
    out: &mut Diagnostics,
) -> Option<N> {
    let (Value::Number(text) | Value::Text(text)) = &node.value else {
        out.push(mismatch::<T>(node));
        return None;
    };
    match parse(text) {
        Ok(value) => Some(value),
        Err(problem) => {
            let hint = problem.hint.unwrap_or_else(|| format!("expected {}", T::expecting()));
            out.push(Diagnostic::error(node.at.clone(), problem.message).hint(hint));
            None
        }
    }
}

/// A kind of number: the type, what may be written, how it is read, and its schema.
macro_rules! numbers {
    ($( $(#[doc = $doc:literal])* $name:ident($inner:ty), $parse:path, $expecting:literal, $schema:tt; )*) => { $(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name(pub $inner);

        impl Raw for $name {
            fn expecting() -> Cow<'static, str> {
                $expecting.into()
            }

            fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
                number::<Self, _>(node, $parse, out).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = json_schema!($schema);
                schema.insert("description".to_owned(), $expecting.into());
                schema
            }
        }
    )* };
}

numbers! {
    /// A whole number.
    Count(u64), units::count, "a whole number, such as `4096`",
        { "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9][0-9_]*$", "examples": [4096] };
    /// A whole number that may be negative.
    Integer(i64), units::integer, "a whole number, such as `10` or `-3`",
        { "type": ["integer", "string"], "pattern": "^[+-]?[0-9][0-9_]*$", "examples": [10, -3] };
    /// A number of tokens.
    Tokens(u64), units::tokens, "a number of tokens, such as `1T`, `1.5B`, `250M`, `64k` or `4096`",
        { "type": ["number", "string"], "exclusiveMinimum": 0, "pattern": "^[0-9.][0-9_.eE+-]*[TBMk]?$", "examples": ["1T", "1.5B", 4096] };
    /// A size in bytes.
    Size(u64), units::size, "a size, such as `1GiB`, `64MiB`, `512KiB` or a whole number of bytes",
        { "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9.][0-9_.]*([TGMK]iB)?$", "examples": ["1GiB", "64MiB", 4096] };
    /// A share of a whole.
    Share(BigRational), units::share, "a share, such as `50%` or `0.5`",
        { "type": ["number", "string"], "minimum": 0, "maximum": 1, "pattern": "^[0-9.][0-9_.]*%?$", "examples": ["50%", 0.5] };
    /// A factor.
    Factor(BigRational), units::factor, "a factor, such as `5` or `2.5x`",
        { "type": ["number", "string"], "exclusiveMinimum": 0, "pattern": "^[0-9.][0-9_.]*x?$", "examples": [5, "2.5x"] };
}

/// One text or a list of them.
#[derive(Debug, Clone)]
pub struct OneOrMany {
    /// The texts in the order written.
    pub items: Vec<Item<String>>,
}

impl Raw for OneOrMany {
    fn expecting() -> Cow<'static, str> {
        "text or a list of texts".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        let nodes = match &node.value {
            Value::Seq(nodes) if nodes.is_empty() => {
                out.push(Diagnostic::error(node.at.clone(), "this list is empty"));
                return None;
            }
            Value::Seq(nodes) => nodes.as_slice(),
            Value::Text(_) | Value::Number(_) | Value::Bool(_) => std::slice::from_ref(node),
            _ => {
                out.push(mismatch::<Self>(node));
                return None;
            }
        };
        let items = nodes
            .iter()
            .filter_map(|node| Text::read(node, out).map(|text| Item { at: node.at.clone(), value: text.0 }))
            .collect();
        Some(Self { items })
    }
}

impl JsonSchema for OneOrMany {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"],
            "minLength": 1,
            "items": { "type": "string", "minLength": 1 },
            "minItems": 1,
        })
    }
}
