//! `tokenized:` of a source.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use syllabus_reader::format::TokenDtype;

use super::read::{Raw, mismatch};
use super::scalars::Text;
use crate::curriculum::checked::{Frame, TokenFiles};
use crate::curriculum::diagnostics::Diagnostics;
use crate::curriculum::yaml::{Node, Value};

/// The form of the files in a word, or more about them.
#[derive(Debug, Clone)]
pub enum RawTokenized {
    /// `megatron`
    Files(TokenFiles),
    /// `{format: olmo, dtype: u16}`
    Options(Box<RawTokenizedOptions>),
}

object! {
    /// How the ids lie in the files.
    RawTokenizedOptions, "`megatron`, `datatrove`, `olmo`, or a mapping such as `{column: input_ids}` or `{format: olmo, dtype: u16}`" {
        /// Form of the files: `megatron` (`.bin` with an `.idx` beside it), `datatrove` (`.ds` with `.ds.index`), or `olmo` (`.npy` without NumPy's header, with `.csv.gz`).
        optional format: TokenFiles,
        /// Column of Parquet or Arrow files that holds a list of ids for each document.
        optional column: Text,
        /// Width of an id: `u16` or `u32`. Needed for `olmo`, and for `datatrove` without `.ds.metadata`; the others say it themselves.
        optional dtype: RawDtype,
        /// Whether each document must have the tokenizer's BOS and EOS already (`check`, unless said), or gets those that it lacks (`complete`).
        optional frame: Frame,
    }
}

impl Raw for RawTokenized {
    fn expecting() -> Cow<'static, str> {
        RawTokenizedOptions::expecting()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Map(_) => RawTokenizedOptions::read(node, out).map(|options| Self::Options(Box::new(options))),
            Value::Text(_) => TokenFiles::read(node, out).map(Self::Files),
            _ => {
                out.push(mismatch::<Self>(node));
                None
            }
        }
    }
}

impl JsonSchema for RawTokenized {
    fn schema_name() -> Cow<'static, str> {
        "Tokenized".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [generator.subschema_for::<TokenFiles>(), generator.subschema_for::<RawTokenizedOptions>()]
        })
    }
}

words! {
    TokenFiles, "TokenFiles", "form of files that hold ids: `megatron`, `datatrove` or `olmo`" {
        "megatron" => TokenFiles::Megatron,
        "datatrove" => TokenFiles::Datatrove,
        "olmo" => TokenFiles::Olmo,
    }
}

words! {
    Frame, "Frame", "whether documents must have BOS and EOS already (`check`), or get those that they lack (`complete`)" {
        "check" => Frame::Check,
        "complete" => Frame::Complete,
    }
}

/// Width of an id.
#[derive(Debug, Clone, Copy)]
pub struct RawDtype(pub TokenDtype);

words! {
    RawDtype, "TokenDtype", "width of an id: `u16`, or `u32` with ids below 2^31" {
        "u16" => RawDtype(TokenDtype::U16),
        "u32" => RawDtype(TokenDtype::U32),
    }
}
