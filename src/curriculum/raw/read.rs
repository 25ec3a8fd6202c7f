//! How a raw type is read from a YAML node.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::curriculum::diagnostics::{Diagnostic, Diagnostics, Span};
use crate::curriculum::names;
use crate::curriculum::yaml::{Entry, Node, Value};

/// A type that reads itself from a node.
pub trait Raw: Sized {
    /// What may stand here, with its legal spellings: the end of `expected ...`.
    fn expecting() -> Cow<'static, str>;

    /// Reads the node; what is wrong goes to `out`, and `None` comes back when nothing can be made of it.
    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self>;
}

/// A value and its place.
#[derive(Debug, Clone)]
pub struct Item<T> {
    /// Where the value stands.
    pub at: Span,
    /// The value.
    pub value: T,
}

/// What a key of a mapping holds.
#[derive(Debug, Clone, Default)]
pub enum Slot<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// It is there, but its value could not be read (this has been said).
    Broken,
    /// The value.
    Given(Item<T>),
}

impl<T> Slot<T> {
    /// The value with its place, if there is one.
    pub fn given(&self) -> Option<&Item<T>> {
        match self {
            Self::Given(item) => Some(item),
            _ => None,
        }
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        self.given().map(|item| &item.value)
    }

    /// Whether the key is not there at all.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether the key is there with a value that could not be read.
    pub fn is_broken(&self) -> bool {
        matches!(self, Self::Broken)
    }
}

impl<T: Raw> Slot<T> {
    /// Reads the value of a key.
    pub fn read(entry: &Entry, out: &mut Diagnostics) -> Self {
        if matches!(entry.value.value, Value::Null) {
            out.push(
                Diagnostic::error(entry.key_at.clone(), format!("`{}` has no value", entry.key))
                    .hint(format!("write {}, or remove the key", T::expecting())),
            );
            return Self::Broken;
        }
        match T::read(&entry.value, out) {
            Some(value) => Self::Given(Item { at: visible(&entry.value, &entry.key_at), value }),
            None => Self::Broken,
        }
    }
}

/// Where to point for a value: at itself, or at its key when it shows nothing of its own.
fn visible(node: &Node, key_at: &Span) -> Span {
    match node.value {
        Value::Map(_) | Value::Seq(_) | Value::Null => key_at.clone(),
        _ => node.at.clone(),
    }
}

/// A sequence is read item by item.
impl<T: Raw> Raw for Vec<Item<T>> {
    fn expecting() -> Cow<'static, str> {
        format!("a list, each item of it {}", T::expecting()).into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        let Value::Seq(items) = &node.value else {
            out.push(mismatch::<Self>(node));
            return None;
        };
        Some(
            items
                .iter()
                .filter_map(|node| T::read(node, out).map(|value| Item { at: node.at.clone(), value }))
                .collect(),
        )
    }
}

/// The error for a node of the wrong kind.
pub fn mismatch<T: Raw>(node: &Node) -> Diagnostic {
    Diagnostic::error(node.at.clone(), format!("expected {}", T::expecting())).label(format!("found {}", kind(node)))
}

/// A node's kind in words.
pub fn kind(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => format!("the truth value `{flag}`"),
        Value::Number(text) => format!("the number `{text}`"),
        Value::Text(_) => "text".to_owned(),
        Value::Seq(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

/// The entries of a mapping, each key once; a repeated key is an error.
pub fn distinct<'a>(entries: &'a [Entry], out: &mut Diagnostics) -> Vec<&'a Entry> {
    let mut seen: BTreeMap<&str, &Span> = BTreeMap::new();
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        match seen.get(entry.key.as_str()) {
            Some(first) => out.push(
                Diagnostic::error(entry.key_at.clone(), format!("`{}` is given twice", entry.key))
                    .label("again here")
                    .also((*first).clone(), "first here")
                    .hint("keep one of the two"),
            ),
            None => {
                seen.insert(&entry.key, &entry.key_at);
                kept.push(entry);
            }
        }
    }
    kept
}

/// Gives each entry the known key it stands for: its own, or, with an error said, the one it was meant to be.
pub fn keyed<'a>(
    entries: &'a [Entry],
    known: &[&'static str],
    what: &str,
    out: &mut Diagnostics,
) -> Vec<(&'static str, &'a Entry)> {
    let entries = distinct(entries, out);
    let mut keyed: Vec<(&'static str, &Entry)> = Vec::with_capacity(entries.len());
    for entry in &entries {
        if let Some(key) = known.iter().find(|key| **key == entry.key) {
            keyed.push((key, entry));
        }
    }
    for entry in &entries {
        if known.contains(&entry.key.as_str()) {
            continue;
        }
        let free: Vec<&'static str> =
            known.iter().copied().filter(|key| !keyed.iter().any(|(taken, _)| taken == key)).collect();
        let meant = names::nearest(&entry.key, free.iter().copied())
            .and_then(|near| free.iter().copied().find(|key| *key == near));
        let mut error = Diagnostic::error(entry.key_at.clone(), format!("unknown key `{}`", entry.key));
        if let Some(meant) = meant {
            error = error.hint(format!("did you mean `{meant}`?"));
            // Reading it as what it was meant to be finds the errors inside, and spares those for what would be missing.
            keyed.push((meant, entry));
        } else {
            let list: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
            error = error.hint(format!("{what} has the keys {}", list.join(", ")));
        }
        out.push(error);
    }
    keyed
}

/// A mapping from names that the author chooses.
#[derive(Debug, Clone)]
pub struct Named<T> {
    /// Its entries in the order written.
    pub entries: Vec<NamedEntry<T>>,
}

/// One entry of a [`Named`] mapping.
#[derive(Debug, Clone)]
pub struct NamedEntry<T> {
    /// The name.
    pub name: String,
    /// Where the name stands.
    pub name_at: Span,
    /// What it names; `Broken` when that could not be read.
    pub value: Slot<T>,
}

impl<T: Raw> Raw for Named<T> {
    fn expecting() -> Cow<'static, str> {
        format!("a mapping from names to {}", T::expecting()).into()
    }

    fn read(node: &Node, out: &mut Diagnostics) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            out.push(mismatch::<Self>(node));
            return None;
        };
        let entries = distinct(entries, out)
            .into_iter()
            .map(|entry| NamedEntry {
                name: entry.key.clone(),
                name_at: entry.key_at.clone(),
                value: Slot::read(entry, out),
            })
            .collect();
        Some(Self { entries })
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("NamesOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$" },
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}

impl<T: JsonSchema> JsonSchema for Item<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}
