//! The merges of a BPE model, read entry by entry.

use std::fmt;

use rayon::prelude::*;
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

/// What merges join: the texts on the left and on the right, in the order of their rank.
#[derive(Debug, Default)]
pub struct Texts {
    pool: String,
    /// Where the left text of each ends in the pool, and where the right one does.
    ends: Vec<(u32, u32)>,
}

impl Texts {
    /// Reads the merges of a model: a list of pairs, or, in older files, of lines of two pieces.
    ///
    /// # Errors
    /// When the list is neither.
    pub fn read(model: &Model<'_>) -> Result<Self, String> {
        let raw: &RawValue = model.merges.ok_or("it has no merges")?;
        let mut list = List { texts: Self::default(), lines: None };
        serde_json::Deserializer::from_str(raw.get())
            .deserialize_seq(&mut list)
            .map_err(|error| format!("its merges cannot be read: {error}"))?;
        Ok(list.texts)
    }

    /// All pairs of texts, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        (0..self.ends.len()).map(|rank| self.pair(rank))
    }

    fn pair(&self, rank: usize) -> (&str, &str) {
        let text = |start: u32, end: u32| &self.pool[start as usize..end as usize];
        let start = rank.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let (middle, end) = self.ends[rank];
        (text(start, middle), text(middle, end))
    }

    /// The same as places in a vocabulary.
    ///
    /// # Errors
    /// When a merge names or makes what is no piece: the first by rank.
    pub fn places(&self, vocabulary: &Vocabulary) -> Result<Vec<Merge>, String> {
        let parts: Vec<Result<Vec<Merge>, String>> = (0..self.ends.len().div_ceil(TOGETHER))
            .into_par_iter()
            .map(|part| self.some(vocabulary, part * TOGETHER..self.ends.len().min((part + 1) * TOGETHER)))
            .collect();
        let mut all = Vec::with_capacity(self.ends.len());
        for part in parts {
            all.append(&mut part?);
        }
        Ok(all)
    }

    fn some(&self, vocabulary: &Vocabulary, ranks: std::ops::Range<usize>) -> Result<Vec<Merge>, String> {
        let find = |piece: &str| {
            vocabulary.place(piece).ok_or_else(|| format!("its merges name {piece:?}, which is no piece"))
        };
        let mut merges = Vec::with_capacity(ranks.len());
        let mut joined = String::new();
        let mut next = 0;
        for rank in ranks {
            let (left, right) = self.pair(rank);
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            let (left, right) = (find(left)?, find(right)?);
            // Mostly the results of merges are numbered in their order.
            let follows = next < vocabulary.len() && vocabulary.text(next) == joined;
            let result = if follows { next } else { find(&joined)? };
            next = result + 1;
            merges.push(Merge { left, right, result });
        }
        Ok(merges)
    }
}

/// Merges that one thread looks for at a time.
const TOGETHER: usize = 1 << 13;

struct List {
    texts: Texts,
    /// Whether the merges are lines; none before the first. The library takes no list of both.
    lines: Option<bool>,
}

impl List {
    fn push(&mut self, piece: &str) -> Result<u32, &'static str> {
        self.texts.pool.push_str(piece);
        u32::try_from(self.texts.pool.len()).map_err(|_| "their texts exceed 4 GiB")
    }

    fn form(&mut self, line: bool) -> Result<(), &'static str> {
        if *self.lines.get_or_insert(line) == line { Ok(()) } else { Err("pairs and lines in one list") }
    }
}

impl<'de> Visitor<'de> for &mut List {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of merges")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Entry(self))?.is_some() {}
        Ok(())
    }
}

struct Entry<'l>(&'l mut List);

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("two pieces")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<(), A::Error> {
        self.0.form(false).map_err(A::Error::custom)?;
        let mut next = || {
            let end = pair.next_element_seed(Piece(self.0))?;
            end.ok_or_else(|| A::Error::custom("a merge of fewer than two pieces"))
        };
        let ends = (next()?, next()?);
        self.0.texts.ends.push(ends);
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, line: &str) -> Result<(), E> {
        self.0.form(true).map_err(E::custom)?;
        if line.starts_with("#version") {
            return Ok(());
        }
        let pair = line.split_once(' ').filter(|(_, right)| !right.contains(' '));
        let (left, right) = pair.ok_or_else(|| E::custom(format!("the merge {line:?} is not a pair")))?;
        let ends = (self.0.push(left).map_err(E::custom)?, self.0.push(right).map_err(E::custom)?);
        self.0.texts.ends.push(ends);
        Ok(())
    }
}

/// Appends a piece to the pool and gives its end.
struct Piece<'l>(&'l mut List);

impl<'de> DeserializeSeed<'de> for Piece<'_> {
    type Value = u32;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u32, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Piece<'_> {
    type Value = u32;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a piece")
    }

    fn visit_str<E: serde::de::Error>(self, piece: &str) -> Result<u32, E> {
        self.0.push(piece).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merges(vocab: &str, merges: &str) -> Result<Vec<[usize; 3]>, String> {
        let text = format!(r#"{{"type": "BPE", "vocab": {vocab}, "merges": {merges}}}"#);
        let model: Model<'_> = serde_json::from_str(&text).unwrap();
        let vocabulary = Vocabulary::parse(model.vocab).unwrap();
        Ok(Texts::read(&model)?
            .places(&vocabulary)?
            .iter()
            .map(|merge| [merge.left, merge.right, merge.result])
            .collect())
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
