//! YAML to a tree whose every node knows its place in the text. The only module that touches the YAML crate.
//!
//! The tree, and not serde's derives, feeds the raw types: serde stops at the first error, and numbers would pass through
//! `f64`. Here a number keeps its digits as written, and what is wrong with one value does not hide the next.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{Location, Spanned};

use super::diagnostics::{Diagnostic, Span};

/// How deep collections may nest; the recursion of everything downstream is bounded by it.
pub const MAX_DEPTH: usize = 48;

/// A YAML node and its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Byte range in the text; of an alias, the alias itself.
    pub at: Span,
    /// What it holds.
    pub value: Value,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A plain scalar that YAML reads as a number, as written.
    Number(String),
    /// Any other scalar.
    Text(String),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping in the order written; keys may repeat.
    Map(Vec<Entry>),
}

/// One line of a mapping.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Its place.
    pub key_at: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The node under a path of keys and (for sequences) indices.
    #[must_use]
    pub fn find(&self, path: &[&str]) -> Option<&Self> {
        self.find_entry(path).map(|(_, node)| node)
    }

    /// As [`Node::find`], with the place of the last key (of the node itself in a sequence).
    #[must_use]
    pub fn find_entry(&self, path: &[&str]) -> Option<(Span, &Self)> {
        let mut at = self.at.clone();
        let mut node = self;
        for part in path {
            node = match &node.value {
                Value::Map(entries) => {
                    let entry = entries.iter().find(|entry| entry.key == *part)?;
                    at = entry.key_at.clone();
                    &entry.value
                }
                Value::Seq(items) => {
                    let item = items.get(part.parse::<usize>().ok()?)?;
                    at = item.at.clone();
                    item
                }
                _ => return None,
            };
        }
        Some((at, node))
    }

    /// The tree as JSON, as an editor's YAML extension hands it to a schema validator (places are lost).
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            Value::Text(text) => text.as_str().into(),
            Value::Seq(items) => items.iter().map(Self::to_json).collect::<Vec<_>>().into(),
            Value::Map(entries) => {
                let map = entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json()));
                serde_json::Value::Object(map.collect())
            }
        }
    }
}

/// Reads one YAML document.
pub fn parse(text: &str) -> Result<Node, Diagnostic> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_events: 400_000,
            max_nodes: 200_000,
            max_aliases: 2_000,
            max_anchors: 2_000,
            max_documents: 2,
        },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 100_000, max_replay_stack_depth: 8 },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    match serde_yaml::from_str_with_options::<Spanned<Draft>>(text, options) {
        Ok(draft) => Ok(settle(draft, text)),
        Err(error) => Err(explain(&error, text)),
    }
}

/// A node while the YAML crate still reads.
enum Draft {
    Null,
    Bool(bool),
    /// The number's text is cut from the source later; this stands in where the place is unknown.
    Number(String),
    Text(String),
    Seq(Vec<Spanned<Draft>>),
    Map(Vec<(Spanned<Draft>, Spanned<Draft>)>),
}

impl<'de> Deserialize<'de> for Draft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DraftVisitor)
    }
}

struct DraftVisitor;

impl<'de> Visitor<'de> for DraftVisitor {
    type Value = Draft;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Draft, E> {
        Ok(Draft::Null)
    }

    fn visit_none<E>(self) -> Result<Draft, E> {
        Ok(Draft::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Draft, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Draft, E> {
        Ok(Draft::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Draft, E> {
        Ok(Draft::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Draft, E> {
        Ok(Draft::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Draft, E> {
        Ok(Draft::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Draft, E> {
        Ok(Draft::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Draft, E> {
        Ok(Draft::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Draft, E> {
        Ok(Draft::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Draft, E> {
        Ok(Draft::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Draft, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Draft::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Draft, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Draft::Map(entries))
    }
}

/// The byte range of a place; empty where the crate knows only line and column, or nothing (then at the text's end).
fn span(location: Location, text: &str) -> Span {
    let span = location.span();
    let start = span.byte_offset().and_then(|offset| usize::try_from(offset).ok());
    let length = span.byte_len().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let Some(start) = start else {
        let start = offset(text, location.line(), location.column());
        return start..start;
    };
    let start = start.min(text.len());
    let end = start.saturating_add(length).min(text.len());
    // Block scalars and collections may end in the white space that follows them: the caret should not.
    match text.get(start..end) {
        Some(part) => start..start + part.trim_end().len(),
        None => start..start,
    }
}

/// The byte at which a line and column (from 1, in characters) lie.
fn offset(text: &str, line: u64, column: u64) -> usize {
    let (Some(line), Some(column)) = (usize::try_from(line).ok(), usize::try_from(column).ok()) else {
        return text.len();
    };
    let Some(before) = line.checked_sub(1) else { return text.len() };
    let start: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let rest = text.get(start..).unwrap_or("");
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    start + within
}

fn settle(draft: Spanned<Draft>, text: &str) -> Node {
    let at = span(draft.referenced, text);
    let value = match draft.value {
        Draft::Null => Value::Null,
        Draft::Bool(flag) => Value::Bool(flag),
        Draft::Number(stand_in) => Value::Number(digits(text, span(draft.defined, text), stand_in)),
        Draft::Text(text) => Value::Text(text),
        Draft::Seq(items) => Value::Seq(items.into_iter().map(|item| settle(item, text)).collect()),
        Draft::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let key = settle(key, text);
                    Entry { key: key_text(&key, text), key_at: key.at, value: settle(value, text) }
                })
                .collect(),
        ),
    };
    Node { at, value }
}

/// A number as it stands in the text.
fn digits(text: &str, at: Range<usize>, stand_in: String) -> String {
    let written = text.get(at).unwrap_or("").trim_matches(['"', '\'']).trim();
    // A tag or an anchor before the digits is not part of the number.
    let last = written.rsplit(char::is_whitespace).next().unwrap_or("");
    if last.is_empty() { stand_in } else { last.to_owned() }
}

/// The text of a key; of one that is no scalar, what is written (it is reported as an unknown key or name).
fn key_text(key: &Node, text: &str) -> String {
    match &key.value {
        Value::Text(text) | Value::Number(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null => "null".to_owned(),
        Value::Seq(_) | Value::Map(_) => {
            let written = text.get(key.at.clone()).unwrap_or("");
            if written.is_empty() { "? ...".to_owned() } else { written.to_owned() }
        }
    }
}

/// What the YAML crate says, in this project's words where they are clearer.
fn explain(error: &serde_yaml::Error, text: &str) -> Diagnostic {
    let at = error.location().map_or(text.len()..text.len(), |location| span(location, text));
    // What goes wrong inside an alias is told of where the alias is used.
    let cause = match error.without_snippet() {
        serde_yaml::Error::AliasError { error, .. } => error.without_snippet(),
        cause => cause,
    };
    match cause {
        serde_yaml::Error::Budget { .. }
        | serde_yaml::Error::AliasReplayLimitExceeded { .. }
        | serde_yaml::Error::AliasExpansionLimitExceeded { .. }
        | serde_yaml::Error::AliasReplayStackDepthExceeded { .. } => {
            Diagnostic::error(at, "this YAML is too large or nested too deep")
                .hint("a curriculum is small: at most 200,000 nodes, 100,000 of them by aliases, in 48 levels")
        }
        serde_yaml::Error::MultipleDocuments { .. } => {
            Diagnostic::error(at, "a curriculum is one YAML document, and a second one begins here".to_owned())
                .hint("remove the `---` line, or split the file")
        }
        serde_yaml::Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Diagnostic::error(at, "an alias cannot stand inside what it names")
        }
        serde_yaml::Error::UnsupportedTag { .. } => Diagnostic::error(at, format!("not valid YAML: {}", plain(cause)))
            .hint("a value that begins with `!` is a YAML tag: put it in quotes"),
        _ => Diagnostic::error(at, format!("not valid YAML: {}", plain(cause))),
    }
}

/// The crate's message without its own place (the diagnostic shows a better one).
fn plain(error: &serde_yaml::Error) -> String {
    let message = error.to_string();
    let message = message.lines().next().unwrap_or("").trim();
    let cut = message.rfind(" at line ").or_else(|| message.rfind(" (line ")).unwrap_or(message.len());
    message.get(..cut).unwrap_or(message).trim_end_matches([':', ',']).to_owned()
}
