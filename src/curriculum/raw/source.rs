//! `sources:`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{self, Raw, Slot, mismatch};
use super::scalars::{Count, Flag, Integer, OneOrMany, Size, Text, Tokens};
use super::tokenized::RawTokenized;
use crate::curriculum::diagnostics::{Diagnostic, Diagnostics};
use crate::curriculum::yaml::{Node, Value};

object! {
    /// A named set of files that hold documents of one kind.
    RawSource, "a source, such as `{files: data/web/*.parquet}`" {
        /// Files, as paths or patterns (`*`, `?`, `[a-z]`, `**`), from `--data` or else from the curriculum's folder. Parquet, JSON Lines (plain, gzip, zstd), Arrow IPC or plain text; one source may mix them.
        required files: OneOrMany,
        /// Group that the source belongs to; mixes and `expect` lines may name it.
        optional group: Text,
        /// Column that holds the text (`text` unless said; dots reach into structs), or a template such as `"{title}\n\n{body}"` (`{{` and `}}` are braces).
        optional text: Text,
        /// The files hold ids of this tokenizer and no text: `megatron`, `datatrove`, `olmo`, or `{column: input_ids}`.
        optional tokenized: RawTokenized,
        /// Size in unique tokens, for planning without data, for example 4.2T.
        optional tokens: Tokens,
        /// How often the source may be read in the whole curriculum: a whole number, for example 4.
        optional max_epochs: Count,
        /// Which rows are read: a condition over their columns, for example `stars >= 3 AND lang IN ('en', 'de')`.
        optional r#where: Text,
        /// Texts shorter than this are dropped (bytes of UTF-8).
        optional min_bytes: Size,
        /// Texts longer than this are dropped (bytes of UTF-8).
        optional max_bytes: Size,
        /// Texts shorter than this are dropped (characters).
        optional min_chars: Count,
        /// Texts longer than this are dropped (characters).
        optional max_chars: Count,
        /// What to do with a row that cannot be read: `error` (unless said), `count`, or `{count: 100}` for at most so many.
        optional on_bad_row: RawBadRow,
        /// A row whose text is longer than this is a bad row; 64MiB unless said.
        optional max_document_bytes: Size,
        /// This source is a declared subset of that one, and may keep what that one has too.
        optional copies_of: Text,
        /// Among equal documents, that of the source with the largest priority stays; 0 unless said, and ties go to the source declared first.
        optional priority: Integer,
        /// Whether near duplicates of this source always stay; false unless said.
        optional exempt: Flag,
    }
}

/// `error`, `count` or `{count: LIMIT}`.
#[derive(Debug, Clone)]
pub enum RawBadRow {
    /// `error`
    Error,
    /// `count`
    Count,
    /// `{count: 100}`
    Limited(Slot<Count>),
}

impl Raw for RawBadRow {
    fn expecting() -> Cow<'static, str> {
        "`error`, `count` or `{count: 100}`".into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == "error" => Some(Self::Error),
            Value::Text(text) if text == "count" => Some(Self::Count),
            Value::Text(text) => {
                out.push(Diagnostic::error(node.at.clone(), format!("expected {}, found `{text}`", Self::expecting())));
                None
            }
            Value::Map(entries) => {
                let limit = read::keyed(entries, &["count"], "this mapping", out).into_iter().next();
                match limit {
                    Some((_, entry)) => Some(Self::Limited(Slot::read(entry, out))),
                    None => {
                        // Where there are other keys, these have been told.
                        if entries.is_empty() {
                            out.push(mismatch::<Self>(node));
                        }
                        None
                    }
                }
            }
            _ => {
                out.push(mismatch::<Self>(node));
                None
            }
        }
    }
}

impl JsonSchema for RawBadRow {
    fn schema_name() -> Cow<'static, str> {
        "BadRow".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": Self::expecting(),
            "oneOf": [
                { "enum": ["error", "count"] },
                {
                    "type": "object",
                    "properties": { "count": generator.subschema_for::<Count>() },
                    "required": ["count"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
