//! The pieces of a model, read entry by entry, and found by id or by text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

/// All pieces of the model, by id.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    pool: String,
    /// Id, start and end in the pool; by id, then in file order.
    pieces: Vec<(u32, u32, u32)>,
    /// Open addressing by text: the upper half of its hash, and 1 + its place in `pieces`; 0 where there is none.
    slots: Vec<(u32, u32)>,
    /// Place of a piece that comes more than once.
    twice: Option<usize>,
}

impl Vocabulary {
    /// Reads the `vocab` of a model: an object of piece to id, or a list of piece and score.
    ///
    /// # Errors
    /// When it is neither, or an id does not fit 32 bits.
    pub fn parse(raw: &RawValue) -> serde_json::Result<Self> {
        let mut vocabulary = Self::default();
        serde_json::Deserializer::from_str(raw.get()).deserialize_any(VocabularyVisitor(&mut vocabulary))?;
        if !vocabulary.pieces.is_sorted_by_key(|piece| piece.0) {
            vocabulary.pieces.sort_by_key(|piece| piece.0);
        }
        vocabulary.index();
        Ok(vocabulary)
    }

    fn push(&mut self, id: u32, piece: &str) -> Result<(), String> {
        let start = u32::try_from(self.pool.len()).map_err(|_| "the vocabulary's strings exceed 4 GiB".to_owned())?;
        self.pool.push_str(piece);
        let end = u32::try_from(self.pool.len()).map_err(|_| "the vocabulary's strings exceed 4 GiB".to_owned())?;
        self.pieces.push((id, start, end));
        Ok(())
    }

    /// Ids with their pieces, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.pieces.iter().map(|&(id, start, end)| (id, &self.pool[start as usize..end as usize]))
    }

    /// Lays out the table of texts.
    fn index(&mut self) {
        let mut slots = vec![(0, 0); (self.pieces.len() * 2).next_power_of_two()];
        for place in 0..self.pieces.len() {
            let piece = self.text(place);
            match probe(&slots, piece, |other| self.text(other) == piece) {
                Ok(_) => self.twice = Some(place),
                Err((slot, tag)) => slots[slot] = (tag, u32::try_from(place + 1).unwrap_or_default()),
            }
        }
        self.slots = slots;
    }

    /// The text of the piece at a place, which is its rank by id.
    #[must_use]
    pub fn text(&self, place: usize) -> &str {
        let (_, start, end) = self.pieces[place];
        &self.pool[start as usize..end as usize]
    }

    /// The id of the piece at a place.
    #[must_use]
    pub fn id(&self, place: usize) -> u32 {
        self.pieces[place].0
    }

    /// The place of a piece: of the first by id, if it comes more than once.
    #[must_use]
    pub fn place(&self, piece: &str) -> Option<usize> {
        probe(&self.slots, piece, |other| self.text(other) == piece).ok()
    }

    /// A piece that comes more than once.
    #[must_use]
    pub fn twice(&self) -> Option<&str> {
        self.twice.map(|place| self.text(place))
    }

    /// Ids of a piece (one, unless the file is odd).
    pub fn ids(&self, piece: &str) -> impl Iterator<Item = u32> {
        let from = self.place(piece);
        let till = if self.twice.is_some() { self.pieces.len() } else { from.map_or(0, |place| place + 1) };
        let places = from.map_or(0..0, |place| place..till);
        places.filter(move |&place| self.text(place) == piece).map(|place| self.id(place))
    }

    /// The largest id.
    #[must_use]
    pub fn largest(&self) -> Option<u32> {
        self.pieces.last().map(|piece| piece.0)
    }

    /// Number of pieces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there is no piece.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// An id that two pieces share, with both.
    #[must_use]
    pub fn shared_id(&self) -> Option<(u32, &str, &str)> {
        let text = |piece: &(u32, u32, u32)| &self.pool[piece.1 as usize..piece.2 as usize];
        self.pieces
            .windows(2)
            .find(|pair| pair[0].0 == pair[1].0)
            .map(|pair| (pair[0].0, text(&pair[0]), text(&pair[1])))
    }
}

/// The place of a text in a table, or, if it is not there, its slot and the upper half of its hash. `same` says whether the
/// piece at a place is the text.
fn probe(slots: &[(u32, u32)], text: &str, same: impl Fn(usize) -> bool) -> Result<usize, (usize, u32)> {
    let hash = xxh3_64(text.as_bytes());
    let tag = u32::try_from(hash >> 32).unwrap_or_default();
    let mask = slots.len().wrapping_sub(1);
    let mut slot = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or_default() & mask;
    while let Some(&(found, place)) = slots.get(slot) {
        let Some(place) = place.checked_sub(1) else { break };
        if found == tag && same(place as usize) {
            return Ok(place as usize);
        }
        slot = (slot + 1) & mask;
    }
    Err((slot, tag))
}

/// Fills a vocabulary entry by entry, with no tree of the whole in between.
struct VocabularyVisitor<'v>(&'v mut Vocabulary);

impl<'de> Visitor<'de> for VocabularyVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a vocabulary: an object of piece to id, or a list of [piece, score]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(id) = map.next_key_seed(Piece(self.0))? {
            let (start, end) = id;
            let id: u32 = map.next_value()?;
            self.0.pieces.push((id, start, end));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut id = 0_u32;
        while let Some((piece, _score)) = list.next_element::<(std::borrow::Cow<'de, str>, f64)>()? {
            self.0.push(id, &piece).map_err(serde::de::Error::custom)?;
            id += 1;
        }
        Ok(())
    }
}

/// Appends a string to the pool and gives its place.
struct Piece<'v>(&'v mut Vocabulary);

impl<'de> DeserializeSeed<'de> for Piece<'_> {
    type Value = (u32, u32);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(u32, u32), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Piece<'_> {
    type Value = (u32, u32);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a piece")
    }

    fn visit_str<E: serde::de::Error>(self, piece: &str) -> Result<(u32, u32), E> {
        self.0.push(0, piece).map_err(E::custom)?;
        let (_, start, end) = self.0.pieces.pop().unwrap_or_default();
        Ok((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Vocabulary {
        Vocabulary::parse(&RawValue::from_string(json.into()).unwrap()).unwrap()
    }

    #[test]
    fn pieces_are_sorted_by_id_and_found_by_text() {
        let vocabulary = parsed(r#"{"b": 1, "a\u0041": 0, "\u2581": 7}"#);
        assert_eq!(vocabulary.iter().collect::<Vec<_>>(), [(0, "aA"), (1, "b"), (7, "▁")]);
        assert_eq!((vocabulary.largest(), vocabulary.len(), vocabulary.shared_id()), (Some(7), 3, None));
        assert_eq!((vocabulary.place("▁"), vocabulary.place("aA"), vocabulary.place("a")), (Some(2), Some(0), None));
        assert_eq!((vocabulary.ids("▁").collect::<Vec<_>>(), vocabulary.ids("c").count()), (vec![7], 0));
        assert_eq!(vocabulary.twice(), None);
        assert_eq!(parsed("{}").place(""), None);
    }

    #[test]
    fn a_list_of_scored_pieces_is_numbered() {
        let vocabulary = parsed(r#"[["<pad>", 0.0], ["▁a", -2.5]]"#);
        assert_eq!(vocabulary.iter().collect::<Vec<_>>(), [(0, "<pad>"), (1, "▁a")]);
    }

    #[test]
    fn what_comes_twice_is_told() {
        assert_eq!(parsed(r#"{"a": 1, "b": 2, "c": 1}"#).shared_id(), Some((1, "a", "c")));
        let twice = parsed(r#"{"a": 1, "b": 2, "a": 5, "c": 3}"#);
        assert_eq!(
            (twice.twice(), twice.ids("a").collect::<Vec<_>>(), twice.place("a")),
            (Some("a"), vec![1, 5], Some(0))
        );
    }

    #[test]
    fn a_large_table_finds_all_and_nothing_else() {
        let entries: Vec<String> = (0..5000).map(|id| format!("\"p{id}\": {id}")).collect();
        let vocabulary = parsed(&format!("{{{}}}", entries.join(",")));
        for id in 0..5000_u32 {
            assert_eq!(vocabulary.place(&format!("p{id}")).map(|place| vocabulary.id(place)), Some(id));
            assert_eq!(vocabulary.place(&format!("q{id}")), None);
        }
    }
}
