//! One line of JSON: the raw text of the members that are needed, and their values.
//!
//! A line is checked to be one JSON object, but only the needed members are looked into, and a string without escapes is
//! borrowed from the line. When a key occurs twice, the last one counts, as with `serde_json` and Python's `json`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::value::Value;
use crate::curriculum::filter::Number;

/// The needed members of an object, as a tree of keys. A column `a.b` is the member `a.b` itself where the row has it,
/// and else the member `b` of the object `a`.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Keys of needed members and their nodes.
    children: Vec<(String, usize)>,
    /// The column that this member is, and whether the member's key is the column's whole name.
    column: Option<(usize, bool)>,
    /// Columns at deeper nodes.
    below: Vec<usize>,
}

/// The raw JSON of a column in one row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slot<'a> {
    raw: Option<&'a str>,
    exact: bool,
}

impl<'a> Slot<'a> {
    /// Whether the row has the column, be it null.
    pub fn is_present(&self) -> bool {
        self.raw.is_some()
    }

    /// Its value.
    pub fn value(&self) -> Value<'a> {
        let Some(raw) = self.raw else { return Value::Absent };
        match raw.as_bytes().first() {
            Some(b'"') => match raw.get(1..raw.len() - 1) {
                Some(inner) => string(inner),
                None => Value::Broken("an open string".to_owned()),
            },
            Some(b'n') => Value::Null,
            Some(b't') => Value::Boolean(true),
            Some(b'f') => Value::Boolean(false),
            Some(b'{') => Value::Other("an object"),
            Some(b'[') => Value::Other("a list"),
            _ => match Number::parse(raw) {
                Some(number) => Value::Number(number),
                None => Value::Broken(format!("`{raw}` is not a number")),
            },
        }
    }
}

impl Tree {
    /// A tree of these columns.
    pub fn new(columns: &[String]) -> Self {
        let mut tree = Self { nodes: vec![Node::default()] };
        for (column, name) in columns.iter().enumerate() {
            let whole = tree.child(0, name);
            tree.node_mut(whole, |node| node.column = Some((column, true)));
            if name.contains('.') {
                let mut at = 0;
                for key in name.split('.') {
                    if at != 0 {
                        tree.node_mut(at, |node| node.below.push(column));
                    }
                    at = tree.child(at, key);
                }
                tree.node_mut(at, |node| node.column = Some((column, false)));
            }
        }
        tree
    }

    fn node_mut(&mut self, at: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(at) {
            change(node);
        }
    }

    fn child(&mut self, parent: usize, key: &str) -> usize {
        let known = self.nodes.get(parent).and_then(|node| node.children.iter().find(|(have, _)| have == key));
        if let Some(&(_, child)) = known {
            return child;
        }
        let child = self.nodes.len();
        self.nodes.push(Node::default());
        self.node_mut(parent, |node| node.children.push((key.to_owned(), child)));
        child
    }

    /// Reads one line. `slots` has one entry a column; all are set anew.
    ///
    /// # Errors
    /// A line that is not one JSON object: why, with the byte in the line.
    pub fn read<'a>(&self, line: &'a str, slots: &mut [Slot<'a>]) -> Result<(), String> {
        slots.fill(Slot::default());
        self.read_object(0, line, slots).map_err(|e| {
            let place = format!(" at line {} column {}", e.line(), e.column());
            let message = e.to_string();
            let message = message.strip_suffix(&place).unwrap_or(&message);
            format!("not a JSON object: {message}, at byte {} of the line", e.column())
        })
    }

    fn read_object<'a>(&self, at: usize, json: &'a str, slots: &mut [Slot<'a>]) -> serde_json::Result<()> {
        let mut input = serde_json::Deserializer::from_str(json);
        input.deserialize_map(Members { tree: self, at, slots })?;
        input.end()
    }

    fn take<'a>(&self, at: usize, raw: &'a str, slots: &mut [Slot<'a>]) -> serde_json::Result<()> {
        let Some(node) = self.nodes.get(at) else { return Ok(()) };
        for &column in &node.below {
            if let Some(slot) = slots.get_mut(column)
                && !slot.exact
            {
                slot.raw = None;
            }
        }
        if let Some((column, exact)) = node.column
            && let Some(slot) = slots.get_mut(column)
            && (exact || !slot.exact)
        {
            *slot = Slot { raw: Some(raw), exact };
        }
        if !node.children.is_empty() && raw.starts_with('{') {
            self.read_object(at, raw, slots)?;
        }
        Ok(())
    }
}

struct Members<'t, 's, 'a> {
    tree: &'t Tree,
    at: usize,
    slots: &'s mut [Slot<'a>],
}

impl<'a> Visitor<'a> for Members<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut members: M) -> Result<(), M::Error> {
        let children = self.tree.nodes.get(self.at).map(|node| node.children.as_slice()).unwrap_or_default();
        while let Some(child) = members.next_key_seed(Key { children })? {
            match child {
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
                Some(child) => {
                    let raw: &'a RawValue = members.next_value()?;
                    self.tree.take(child, raw.get(), self.slots).map_err(serde::de::Error::custom)?;
                }
            }
        }
        Ok(())
    }
}

/// Finds a key among the needed ones.
struct Key<'t> {
    children: &'t [(String, usize)],
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.children.iter().find(|(have, _)| have == key).map(|&(_, child)| child))
    }
}

/// The text between the quotes of a string that is known to be JSON.
fn string(inner: &str) -> Value<'_> {
    match memchr::memchr(b'\\', inner.as_bytes()) {
        None => Value::Text(Cow::Borrowed(inner)),
        Some(_) => match unescape(inner) {
            Ok(text) => Value::Text(Cow::Owned(text)),
            Err(why) => Value::Broken(why),
        },
    }
}

/// Bytes that are copied at once, up to the next escape or past it.
const STRETCH: usize = 32;

/// Escapes stand close together in most texts, so looking for each and copying up to it would be mostly calls.
fn unescape(inner: &str) -> Result<String, String> {
    let broken = || "an escape that is cut off".to_owned();
    let bytes = inner.as_bytes();
    // An escape is never shorter than what it stands for.
    let mut text = vec![0; bytes.len() + STRETCH];
    let (mut at, mut end) = (0, 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let to = text.get_mut(end..).and_then(|to| to.first_chunk_mut::<STRETCH>()).ok_or_else(broken)?;
        let plain = if let Some(stretch) = rest.first_chunk::<STRETCH>() {
            *to = *stretch;
            before_escape(stretch)
        } else {
            to.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            rest.iter().position(|byte| *byte == b'\\').unwrap_or(rest.len())
        };
        (at, end) = (at + plain, end + plain);
        if plain == STRETCH || plain == rest.len() {
            continue;
        }
        let plain = match rest.get(plain + 1).copied().ok_or_else(broken)? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let (c, left) = escaped_unit(inner.get(at + 2..).unwrap_or_default())?;
                let mut utf8 = [0; 4];
                let c = c.encode_utf8(&mut utf8).as_bytes();
                text.get_mut(end..end + c.len()).ok_or_else(broken)?.copy_from_slice(c);
                (at, end) = (inner.len() - left.len(), end + c.len());
                continue;
            }
            other if other.is_ascii() => other,
            _ => return Err("an escape that is none".to_owned()),
        };
        if let Some(to) = text.get_mut(end) {
            *to = plain;
        }
        (at, end) = (at + 2, end + 1);
    }
    text.truncate(end);
    debug_assert!(std::str::from_utf8(&text).is_ok());
    // SAFETY: these are the bytes of a `str` in which ASCII characters, a backslash and what follows it, were replaced by whole
    // characters: by ASCII ones, or by one that `\u` names, encoded as it should be.
    Ok(unsafe { String::from_utf8_unchecked(text) })
}

/// Bytes before the first escape; all, if there is none.
#[inline]
fn before_escape(stretch: &[u8; STRETCH]) -> usize {
    let ones = u64::from_le_bytes([1; 8]);
    for (part, eight) in stretch.as_chunks::<8>().0.iter().enumerate() {
        let differs = u64::from_le_bytes(*eight) ^ (ones * u64::from(b'\\'));
        // The lowest high bit that is set is that of the first zero byte.
        let zeros = differs.wrapping_sub(ones) & !differs & (ones << 7);
        if zeros != 0 {
            return part * 8 + usize::try_from(zeros.trailing_zeros() / 8).unwrap_or(0);
        }
    }
    STRETCH
}

/// The character of `\uXXXX` or of a pair of them, after the first `\u`.
fn escaped_unit(rest: &str) -> Result<(char, &str), String> {
    let hex = |text: &str| text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let first = hex(rest).ok_or("an escape that is not four hexadecimal digits")?;
    let rest = rest.get(4..).unwrap_or_default();
    if let Some(c) = char::from_u32(first) {
        return Ok((c, rest));
    }
    if first < 0xDC00
        && let Some(second) = rest.strip_prefix("\\u").and_then(hex)
        && (0xDC00..0xE000).contains(&second)
        && let Some(c) = char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    {
        return Ok((c, rest.get(6..).unwrap_or_default()));
    }
    Err(format!("a lone surrogate (\\u{first:04x}), which is no character"))
}
