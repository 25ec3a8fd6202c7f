//! The merges of a BPE model, read entry by entry.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::file::Model;
use super::vocabulary::Vocabulary;

/// A merge, as places in the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// What is on its left.
    pub left: usize,
    /// What is on its right.
    pub right: usize,
    /// What both become.
    pub result: usize,
}

/// Reads the merges of a model in the order of their rank: a list of pairs, or, in older files, of lines of two pieces.
///
/// # Errors
/// When the list is neither, or a merge names or makes what is no piece.
pub fn read(model: &Model<'_>, vocabulary: &Vocabulary) -> Result<Vec<Merge>, String> {
    let raw: &RawValue = model.merges.ok_or("it has no merges")?;
    let mut list =
        List { vocabulary, merges: Vec::with_capacity(vocabulary.len()), lines: None, scratch: String::new() };
    serde_json::Deserializer::from_str(raw.get())
        .deserialize_seq(&mut list)
        .map_err(|error| format!("its merges cannot be read: {error}"))?;
    Ok(list.merges)
}

struct List<'v> {
    vocabulary: &'v Vocabulary,
    merges: Vec<Merge>,
    /// Whether the merges are lines; none before the first. The library takes no list of both.
    lines: Option<bool>,
    scratch: String,
}

impl List<'_> {
    fn push(&mut self, left: usize, right: usize) -> Result<(), String> {
        self.scratch.clear();
        self.scratch.push_str(self.vocabulary.text(left));
        self.scratch.push_str(self.vocabulary.text(right));
        // Mostly the results of merges are numbered in their order.
        let next = self.merges.last().map_or(0, |merge| merge.result + 1);
        let result = if next < self.vocabulary.len() && self.vocabulary.text(next) == self.scratch {
            next
        } else {
            place(self.vocabulary, &self.scratch)?
        };
        self.merges.push(Merge { left, right, result });
        Ok(())
    }

    fn form(&mut self, line: bool) -> Result<(), &'static str> {
        if *self.lines.get_or_insert(line) == line { Ok(()) } else { Err("pairs and lines in one list") }
    }
}

fn place(vocabulary: &Vocabulary, piece: &str) -> Result<usize, String> {
    vocabulary.place(piece).ok_or_else(|| format!("its merges name {piece:?}, which is no piece"))
}

impl<'de> Visitor<'de> for &mut List<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of merges")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Entry(self))?.is_some() {}
        Ok(())
    }
}

struct Entry<'l, 'v>(&'l mut List<'v>);

impl<'de> DeserializeSeed<'de> for Entry<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entry<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("two pieces")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<(), A::Error> {
        self.0.form(false).map_err(A::Error::custom)?;
        let mut next = || {
            let piece = pair.next_element_seed(Piece(self.0.vocabulary))?;
            piece.ok_or_else(|| A::Error::custom("a merge of fewer than two pieces"))
        };
        let (left, right) = (next()?, next()?);
        self.0.push(left, right).map_err(A::Error::custom)
    }

    fn visit_str<E: serde::de::Error>(self, line: &str) -> Result<(), E> {
        self.0.form(true).map_err(E::custom)?;
        if line.starts_with("#version") {
            return Ok(());
        }
        let pair = line.split_once(' ').filter(|(_, right)| !right.contains(' '));
        let (left, right) = pair.ok_or_else(|| E::custom(format!("the merge {line:?} is not a pair")))?;
        let (left, right) = (place(self.0.vocabulary, left), place(self.0.vocabulary, right));
        self.0.push(left.map_err(E::custom)?, right.map_err(E::custom)?).map_err(E::custom)
    }
}

/// Finds the place of a piece.
struct Piece<'v>(&'v Vocabulary);

impl<'de> DeserializeSeed<'de> for Piece<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Piece<'_> {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a piece")
    }

    fn visit_str<E: serde::de::Error>(self, piece: &str) -> Result<usize, E> {
        place(self.0, piece).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merges(vocab: &str, merges: &str) -> Result<Vec<[usize; 3]>, String> {
        let text = format!(r#"{{"type": "BPE", "vocab": {vocab}, "merges": {merges}}}"#);
        let model: Model<'_> = serde_json::from_str(&text).unwrap();
        let vocabulary = Vocabulary::parse(model.vocab).unwrap();
        Ok(read(&model, &vocabulary)?.iter().map(|merge| [merge.left, merge.right, merge.result]).collect())
    }

    #[test]
    fn pairs_and_lines_are_read() {
        let vocab = r#"{"a": 5, "b": 0, "ab": 9, "bab": 10, "é": 1, "aé": 4}"#;
        let wanted = [[3, 0, 4], [0, 4, 5], [3, 1, 2]];
        assert_eq!(merges(vocab, r#"[["a", "b"], ["b", "ab"], ["a", "\u00e9"]]"#).unwrap(), wanted);
        assert_eq!(merges(vocab, r##"["#version: 0.2", "a b", "b ab", "a é"]"##).unwrap(), wanted);
    }

    #[test]
    fn what_is_no_list_of_merges_is_an_error() {
        let vocab = r#"{"a": 0, "b": 1, "ab": 2}"#;
        for (list, says) in [
            (r#"[["a", "b"], "a b"]"#, "pairs and lines"),
            (r#"["a b c"]"#, "not a pair"),
            (r#"["ab"]"#, "not a pair"),
            (r#"[["a"]]"#, "fewer than two"),
            (r#"[["a", "b", "ab"]]"#, "cannot be read"),
            (r#"[["b", "a"]]"#, "\"ba\", which is no piece"),
            (r#"[["a", "c"]]"#, "\"c\", which is no piece"),
            (r#"[3]"#, "two pieces"),
            (r#"{}"#, "a list of merges"),
        ] {
            let error = merges(vocab, list).unwrap_err();
            assert!(error.contains(says), "{list}: {error}");
        }
    }
}
