//! What each character is to the splitting patterns, and whether it may take part in normalization.

use std::sync::LazyLock;

use super::table::RUNS;

/// Neither a letter, a number nor white space.
pub const OTHER: u8 = 0;
/// `\p{L}`
pub const LETTER: u8 = 1;
/// `\p{N}`
pub const NUMBER: u8 = 2;
/// `\s`
pub const SPACE: u8 = 3;
/// The bits of those.
pub const CLASS: u8 = 3;
/// Set where NFC may change the character or what stands beside it: its combining class is not 0, or it is not always
/// allowed in normalized text.
pub const RESTLESS: u8 = 4;

/// A byte for each character, in pages of 256; pages of one byte are shared.
pub struct Classes {
    pages: Vec<[u8; 256]>,
    page: Box<[u16; 0x1100]>,
}

static CLASSES: LazyLock<Classes> = LazyLock::new(|| Classes::new(&RUNS));

impl Classes {
    /// The table.
    pub fn get() -> &'static Self {
        &CLASSES
    }

    /// From runs of characters alike, `length << 3 | byte`.
    fn new(runs: &[u32]) -> Self {
        let mut classes = Self { pages: (0..8).map(|byte| [byte; 256]).collect(), page: Box::new([0; 0x1100]) };
        let mut runs = runs.iter().map(|run| (run >> 3, u8::try_from(run & 7).unwrap_or(OTHER)));
        let (mut left, mut byte) = (0, OTHER);
        for page in classes.page.iter_mut() {
            if left >= 256 {
                left -= 256;
                *page = u16::from(byte);
                continue;
            }
            let mut bytes = [OTHER; 256];
            for slot in &mut bytes {
                while left == 0 {
                    (left, byte) = runs.next().unwrap_or((u32::MAX, OTHER));
                }
                *slot = byte;
                left -= 1;
            }
            *page = u16::try_from(classes.pages.len()).unwrap_or_default();
            classes.pages.push(bytes);
        }
        classes
    }

    /// The class of a character, with [`RESTLESS`].
    #[inline(always)]
    pub fn of(&self, letter: u32) -> u8 {
        let page = self.page.get((letter >> 8) as usize).copied().unwrap_or_default();
        self.pages.get(usize::from(page)).map_or(OTHER, |page| page[(letter & 0xFF) as usize])
    }
}

/// The character at a place of a text, and its width. The place is the first byte of one.
#[inline(always)]
pub fn character(text: &[u8], at: usize) -> (u32, usize) {
    let byte = |i: usize| text.get(at + i).map_or(0, |byte| u32::from(*byte));
    let tail = |i: usize| byte(i) & 0x3F;
    let first = byte(0);
    match first {
        ..0xC0 => (first, 1),
        0xC0..0xE0 => ((first & 0x1F) << 6 | tail(1), 2),
        0xE0..0xF0 => ((first & 0x0F) << 12 | tail(1) << 6 | tail(2), 3),
        _ => ((first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4),
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _, SplitDelimiterBehavior};
    use unicode_normalization::char::canonical_combining_class;
    use unicode_normalization::{IsNormalized, is_nfc_quick};

    use super::*;

    /// All characters that a class of the reference's regular expressions has.
    fn members(pattern: &str) -> Vec<bool> {
        let pattern = tokenizers::pre_tokenizers::split::SplitPattern::Regex(pattern.into());
        let split =
            tokenizers::pre_tokenizers::split::Split::new(pattern, SplitDelimiterBehavior::Removed, true).unwrap();
        let mut members = vec![false; 0x11_0000];
        let all: Vec<char> = (0..0x11_0000).filter_map(char::from_u32).collect();
        for letters in all.chunks(4096) {
            let mut text = PreTokenizedString::from(letters.iter().collect::<String>());
            split.pre_tokenize(&mut text).unwrap();
            for (kept, _, _) in text.get_splits(OffsetReferential::Original, OffsetType::Byte) {
                kept.chars().for_each(|letter| members[letter as usize] = true);
            }
        }
        members
    }

    /// The table is what the reference says of every character. When it is not, the right one is printed.
    #[test]
    fn every_character_is_what_the_reference_takes_it_for() {
        let (letters, numbers, spaces) = (members(r"\p{L}"), members(r"\p{N}"), members(r"\s"));
        let mut runs: Vec<(u32, u32)> = Vec::new();
        let mut wrong = 0;
        for code in 0..0x11_0000_u32 {
            let at = code as usize;
            let letter = char::from_u32(code);
            let restless = letter.is_some_and(|letter| {
                canonical_combining_class(letter) != 0 || is_nfc_quick(std::iter::once(letter)) != IsNormalized::Yes
            });
            let class = [(&letters, LETTER), (&numbers, NUMBER), (&spaces, SPACE)];
            let found: Vec<u8> = class.iter().filter(|(members, _)| members[at]).map(|(_, class)| *class).collect();
            assert!(found.len() <= 1, "{code:x} is in two classes");
            let byte = found.first().copied().unwrap_or(OTHER) | if restless { RESTLESS } else { 0 };
            wrong += usize::from(Classes::get().of(code) != byte);
            match runs.last_mut() {
                Some((length, last)) if *last == u32::from(byte) => *length += 1,
                _ => runs.push((1, u32::from(byte))),
            }
        }
        if wrong > 0 {
            let runs: Vec<String> = runs.iter().map(|(length, byte)| (length << 3 | byte).to_string()).collect();
            println!("pub const RUNS: [u32; {}] = [{}];", runs.len(), runs.join(", "));
        }
        assert_eq!(wrong, 0, "characters have another class");
    }

    #[test]
    fn characters_are_decoded() {
        for letter in ['a', '\u{7f}', '\u{80}', 'é', '\u{7ff}', '\u{800}', '語', '\u{ffff}', '😀', '\u{10ffff}', '\0']
        {
            assert_eq!(character(format!("x{letter}").as_bytes(), 1), (u32::from(letter), letter.len_utf8()));
        }
    }
}
