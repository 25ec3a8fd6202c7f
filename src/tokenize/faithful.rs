//! Which texts come back byte for byte when their ids are decoded, where not every text does.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use unicode_normalization::{IsNormalized, is_nfc_quick};

use super::decode::META;

/// What [`Faithful::meta`] looks for. Made once: a text is often shorter than what making them takes.
static METAS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [META.to_string().as_str(), "<0x"].map(|needle| Finder::new(needle).into_owned()));

/// What a text and its ids must not have, lest decoding gives back another text. It may say no to a text that does come back.
#[derive(Debug, Default)]
pub struct Faithful {
    /// The text is normalized: it must be in that form already.
    pub nfc: bool,
    /// `▁` stands for a space: it must not be in the text; nor must `<0x`, which begins the names of byte tokens.
    pub meta: bool,
    /// A first space may be taken for one that the tokenizer put there.
    pub first_space: bool,
    /// Tokens that stand for other text than they were made of, as ranges of ids, first and last.
    pub lossy: Vec<(u32, u32)>,
}

impl Faithful {
    /// Adds tokens that stand for other text than they were made of; `ids` ascend.
    pub fn forbid(&mut self, ids: &[u32]) {
        for &id in ids {
            match self.lossy.last_mut() {
                Some((_, last)) if id <= last.saturating_add(1) => *last = id.max(*last),
                _ => self.lossy.push((id, id)),
            }
        }
    }

    /// Whether the text has nothing that decoding its ids may give back otherwise.
    #[must_use]
    pub fn keeps(&self, text: &str) -> bool {
        let form = !self.nfc || text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes;
        form && !(self.first_space && text.starts_with(' '))
            && !(self.meta && METAS.iter().any(|meta| meta.find(text.as_bytes()).is_some()))
    }

    /// Whether all these ids stand for the text that they were made of.
    #[must_use]
    pub fn keeps_ids(&self, ids: &[u32]) -> bool {
        self.lossy.iter().all(|&(first, last)| {
            // Without a branch for each id: documents have many, and few of these.
            !ids.iter().fold(false, |any, id| any | (id.wrapping_sub(first) <= last - first))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change_is_told() {
        let mut meta = Faithful { meta: true, first_space: true, ..Faithful::default() };
        meta.forbid(&[0, 1, 2, 9, 12]);
        assert_eq!(meta.lossy, [(0, 2), (9, 9), (12, 12)]);
        assert!(meta.keeps("a b") && meta.keeps_ids(&[3, 8, 10, 11, 13]));
        assert!(!meta.keeps_ids(&[3, 9]) && !meta.keeps_ids(&[1]) && !meta.keeps_ids(&[12]));
        assert!(!meta.keeps(" a") && !meta.keeps("a▁b") && !meta.keeps("<0x41>"));
        let nfc = Faithful { nfc: true, ..Faithful::default() };
        assert!(nfc.keeps(" é▁") && nfc.keeps_ids(&[0]) && !nfc.keeps("e\u{301}"));
    }
}
