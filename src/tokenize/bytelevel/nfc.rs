//! The NFC normalizer, which leaves nearly all text as it is.
//!
//! Hugging Face's library normalizes by the tables of Unicode 9: characters that came later have no decomposition and do not
//! move there. So what has to be normalized is given to the library itself, but only the stretch about it. A stretch begins and
//! ends before a character that is at rest, whose combining class is 0 and which is always allowed in NFC: nothing joins it
//! from before or moves across it, neither by the newest tables nor by older ones, where it is either the same or unassigned.
//! And a text that is normalized by the newest tables is so by older ones: of what they know less, they change less.

use std::borrow::Cow;

use tokenizers::normalizers::NFC;
use tokenizers::{NormalizedString, Normalizer as _};
use unicode_normalization::{IsNormalized, is_nfc_quick};

use super::classes::{Classes, RESTLESS, character};

/// The first byte of U+0300, the first character that is not at rest.
const FIRST: u8 = 0xCC;

/// The text as the library normalizes it.
pub fn nfc(text: &str) -> Cow<'_, str> {
    let classes = Classes::get();
    let mut changed: Option<String> = None;
    let (mut done, mut at) = (0, 0);
    while let Some(restless) = find(text.as_bytes(), at, classes) {
        let start = text.floor_char_boundary(restless.saturating_sub(1));
        let mut end = restless;
        while end < text.len() {
            let (letter, width) = character(text.as_bytes(), end);
            if classes.of(letter) & RESTLESS == 0 {
                break;
            }
            end += width;
        }
        let stretch = &text[start..end];
        if is_nfc_quick(stretch.chars()) != IsNormalized::Yes {
            let normalized = library(stretch);
            if normalized != stretch {
                let changed = changed.get_or_insert_with(|| String::with_capacity(text.len()));
                changed.push_str(&text[done..start]);
                changed.push_str(&normalized);
                done = end;
            }
        }
        at = end;
    }
    match changed {
        None => Cow::Borrowed(text),
        Some(mut changed) => {
            changed.push_str(&text[done..]);
            Cow::Owned(changed)
        }
    }
}

/// The place of the first character from `at` on that is not at rest. `at` is the first byte of a character.
fn find(text: &[u8], mut at: usize, classes: &Classes) -> Option<usize> {
    while at < text.len() {
        if let Some(chunk) = text[at..].first_chunk::<32>()
            && chunk.iter().fold(0, |most, byte| most.max(*byte)) < FIRST
        {
            at += chunk.len();
            // Not in the middle of a character.
            while text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80) {
                at += 1;
            }
            continue;
        }
        let till = text.len().min(at + 32);
        while at < till {
            let byte = text[at];
            if byte < FIRST {
                at += if byte < 0x80 { 1 } else { 2 };
                continue;
            }
            let (letter, width) = character(text, at);
            if classes.of(letter) & RESTLESS != 0 {
                return Some(at);
            }
            at += width;
        }
    }
    None
}

fn library(text: &str) -> String {
    let mut normalized = NormalizedString::from(text);
    // It cannot fail: nothing in it does.
    match NFC.normalize(&mut normalized) {
        Ok(()) => normalized.get().to_owned(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_character_alone_and_beside_marks_is_normalized_as_the_library_does() {
        for letter in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let text = format!("{letter} a{letter}\u{301}\u{323}{letter}\u{1161}e\u{301}");
            assert_eq!(nfc(&text), library(&text), "{:x}", u32::from(letter));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn texts_of_marks_are_normalized_as_the_library_does(
            text in "([a-eé한ᄀ-나-ᅣᆨ-ᆪ]|[\u{300}-\u{36f}]|[\u{591}-\u{5c7}]|[\u{610}-\u{65f}]|[\u{6d6}-\u{6ed}]|[\u{7eb}-\u{7fd}]|[\u{898}-\u{8ff}]|[\u{93c}-\u{94d}]|[\u{1ab0}-\u{1ace}]|[\u{1dc0}-\u{1dff}]|[\u{20d0}-\u{20f0}]|[\u{2126}-\u{212b}]|[\u{f900}-\u{f90f}]|[\u{11300}-\u{11374}]|\\PC| ){0,40}",
        ) {
            prop_assert_eq!(nfc(&text), library(&text));
        }
    }

    #[test]
    fn normalized_text_is_not_copied() {
        for text in ["", "plain", "größe 語 привет", &"é".repeat(100), "नमस्ते", "שָׁלוֹם"]
        {
            assert!(matches!(nfc(text), Cow::Borrowed(_)), "{text}");
        }
        assert_eq!(nfc("xe\u{301}y\u{212b}z"), "xéyÅz");
    }
}
