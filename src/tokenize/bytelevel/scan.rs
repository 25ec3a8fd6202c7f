//! Text to words, as the patterns of byte-level tokenizers split it.
//!
//! Two families of patterns are known, all of whose alternatives together match every text without a gap:
//!
//! - GPT-2's, from its encoder: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
//! - cl100k's, from `tiktoken`, also Llama-3's and OLMo-2's, and with single digits (`\p{N}`) Qwen's:
//!   `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
//!
//! A pattern is matched from left to right, but where words begin can be said of each character by its neighbours. Below, a
//! *mark* is `[^\s\p{L}\p{N}]`, a *blank* is `' '`, a run is as long as can be.
//!
//! **GPT-2.** A run of letters, numbers or marks is one word, and takes the blank before it. Of a run of white space before
//! something else all but the last character are one word (`\s+(?!\S)` gives one back), and the last is one of its own unless it
//! is a blank that is taken. White space that ends the text is one word. A `'` that begins a word makes one with `s`, `t`, `m`,
//! `d`, `re`, `ve` or `ll`, and another begins behind it. So words begin: at the first of a run that is not white space, unless a
//! blank is before it; at the first of a run of white space; at its last, unless it ends the text; behind a contraction, and
//! not behind its `'`.
//!
//! **cl100k.** As before, but:
//! - Letters take any one character before them but a newline or a number, if that begins a word: so any white space, which
//!   as the last of its run does; or a mark that is the first of its run and has no blank before it, which would take it.
//! - Numbers take no blank, and a word begins at each third of a run (Qwen's: at each).
//! - Marks take the newlines behind them.
//! - White space up to the last newline of its run is one word; what is behind it is as if the run began there.
//! - Contractions are told in either case, and `ſ` is an `s`.

use super::classes::{CLASS, Classes, OTHER, SPACE, character};
use super::masks::{BLOCK, Masks, Spill};

/// How numbers are cut in patterns of cl100k's family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// GPT-2's.
    Gpt2,
    /// cl100k's: up to three digits a word.
    Thirds,
    /// Qwen's: one digit a word.
    Digits,
}

/// GPT-2's pattern.
pub const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// cl100k's pattern.
pub const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Qwen's pattern.
pub const QWEN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Pattern {
    /// The pattern that is written so.
    pub fn of(regex: &str) -> Option<Self> {
        match regex {
            GPT2 => Some(Self::Gpt2),
            CL100K => Some(Self::Thirds),
            QWEN => Some(Self::Digits),
            _ => None,
        }
    }
}

/// Finds where words begin, block by block.
#[derive(Debug)]
pub struct Scanner {
    pattern: Pattern,
    /// What the byte before the block is: each 0 or 1.
    letter: u64,
    number: u64,
    space: u64,
    blank: u64,
    newline: u64,
    mark: u64,
    /// Whether the byte before the block ends a mark that letters may take.
    taken: u64,
    /// Numbers since the word began, of cl100k's.
    digits: u32,
    /// Places in the next block where a word begins, and where none does.
    begin: u64,
    join: u64,
    spill: Spill,
}

impl Scanner {
    /// A scanner at the start of a text.
    pub fn new(pattern: Pattern) -> Self {
        Self {
            pattern,
            letter: 0,
            number: 0,
            space: 0,
            blank: 0,
            newline: 0,
            mark: 0,
            taken: 0,
            digits: 0,
            begin: 0,
            join: 0,
            spill: Spill::default(),
        }
    }

    /// The places among the [`BLOCK`] bytes of `text` at `at` where words begin: bit `i` for byte `at + i`. Blocks are asked for in
    /// turn.
    #[inline(always)]
    pub fn block(&mut self, text: &[u8], at: usize) -> u64 {
        match text[at..].first_chunk::<BLOCK>() {
            Some(block) => {
                let next = text.get(at + BLOCK).is_some_and(|byte| {
                    if byte.is_ascii() { !is_space(*byte) } else { class(text, at + BLOCK) != SPACE }
                });
                self.starts(block, text, at, u64::from(next))
            }
            None => self.last(text, at),
        }
    }

    /// The same for a block that the text ends in: white space that ends a text is one word, so it may be longer.
    #[inline(never)]
    fn last(&mut self, text: &[u8], at: usize) -> u64 {
        let mut block = [b' '; BLOCK];
        let rest = &text[at..];
        block[..rest.len()].copy_from_slice(rest);
        self.starts(&block, text, at, 0) & ((1 << rest.len()) - 1)
    }

    /// `next`: 1 if the character behind the block is there and not white space.
    #[inline(always)]
    fn starts(&mut self, block: &[u8; BLOCK], text: &[u8], at: usize, next: u64) -> u64 {
        let masks = Masks::of(block, text, at, &mut self.spill);
        let Masks { letter, number, space, blank, newline, quote, high, tail } = masks;
        let mark = !(letter | number | space);
        // What is before each byte.
        let after_letter = letter << 1 | self.letter;
        let after_number = number << 1 | self.number;
        let after_space = space << 1 | self.space;
        let after_blank = blank << 1 | self.blank;
        let after_mark = mark << 1 | self.mark;
        let (first_letter, first_mark) = (letter & !after_letter, mark & !after_mark & !after_blank);
        let first_space = space & !after_space;
        // The last of a run of white space, if it is ASCII.
        let mut starts = space & !high & (!space >> 1 | next << 63);
        let quotes = quote & first_mark;
        if self.pattern == Pattern::Gpt2 {
            starts |= first_space | first_mark | (first_letter | number & !after_number) & !after_blank;
        } else {
            let after_newline = newline << 1 | self.newline;
            // A mark with its last byte told.
            let mut whole = first_mark;
            if tail != 0 {
                for _ in 0..3 {
                    whole |= (whole << 1 | self.taken) & tail;
                }
            }
            let takes = (whole << 1 | self.taken) | after_space & !after_newline;
            self.taken = whole >> 63;
            starts &= !newline;
            starts |= first_mark | first_letter & !takes | first_space & !(newline & after_mark);
            let behind = space & !newline & after_newline;
            starts |= behind;
            if behind != 0 {
                starts &= !self.within(text, at, space & !newline, newline, behind);
            }
            if self.pattern == Pattern::Digits {
                starts |= number & !tail;
            } else if number != 0 {
                starts |= self.thirds(number & !tail, after_number);
            }
            self.newline = newline >> 63;
        }
        if space & high & !tail != 0 {
            starts |= self.wide(text, at, space & high & !tail);
        }
        starts = (starts | self.begin) & !self.join;
        (self.begin, self.join) = (0, 0);
        if quotes != 0 {
            starts = self.contractions(text, at, quotes, starts);
        }
        self.letter = letter >> 63;
        self.number = number >> 63;
        self.space = space >> 63;
        self.blank = blank >> 63;
        self.mark = mark >> 63;
        starts
    }

    /// Of the white space behind newlines, `behind`, what is before another newline: there no word begins, for `\s*[\r\n]+` goes on,
    /// unless the newlines before it went to a mark.
    #[inline(always)]
    fn within(&self, text: &[u8], at: usize, other: u64, newline: u64, behind: u64) -> u64 {
        // Adding carries through each run to the place behind it.
        let (sum, beyond) = other.overflowing_add(behind);
        if !beyond && sum & !other & newline == 0 { 0 } else { Self::within_slowly(text, at, behind) }
    }

    #[inline(never)]
    fn within_slowly(text: &[u8], at: usize, mut behind: u64) -> u64 {
        let mut within = 0;
        while behind != 0 {
            let bit = behind & behind.wrapping_neg();
            behind &= !bit;
            let place = at + bit.trailing_zeros() as usize;
            let mut end = place;
            while end < text.len() && !is_newline(text[end]) && class(text, end) == SPACE {
                end += character(text, end).1;
            }
            if text.get(end).is_some_and(|byte| is_newline(*byte)) && !after_mark(text, place) {
                within |= bit;
            }
        }
        within
    }

    /// Where words begin among numbers: at each third.
    #[inline(always)]
    fn thirds(&mut self, mut numbers: u64, after_number: u64) -> u64 {
        let mut starts = 0;
        while numbers != 0 {
            let bit = numbers & numbers.wrapping_neg();
            numbers &= !bit;
            self.digits = if after_number & bit == 0 || self.digits == 3 { 0 } else { self.digits };
            if self.digits == 0 {
                starts |= bit;
            }
            self.digits += 1;
        }
        starts
    }

    /// The last of a run of white space that is not ASCII, and what is behind it.
    #[inline(never)]
    fn wide(&mut self, text: &[u8], at: usize, mut spaces: u64) -> u64 {
        let mut starts = 0;
        while spaces != 0 {
            let bit = spaces & spaces.wrapping_neg();
            spaces &= !bit;
            let place = at + bit.trailing_zeros() as usize;
            let end = place + character(text, place).1;
            if end < text.len() && class(text, end) != SPACE {
                starts |= bit;
            }
        }
        starts
    }

    /// Makes words of contractions; `quotes` begin words.
    #[inline(never)]
    fn contractions(&mut self, text: &[u8], at: usize, mut quotes: u64, mut starts: u64) -> u64 {
        while quotes != 0 {
            let place = quotes.trailing_zeros();
            quotes &= quotes - 1;
            let behind = &text[at + place as usize + 1..];
            let length = if self.pattern == Pattern::Gpt2 { plain(behind) } else { either_case(behind) };
            if length == 0 {
                continue;
            }
            let mut put = |place: u32, begins: bool| {
                let (bit, here) = (1 << (place % 64), place < 64);
                match (begins, here) {
                    (true, true) => starts |= bit,
                    (true, false) => self.begin |= bit,
                    (false, true) => starts &= !bit,
                    (false, false) => self.join |= bit,
                }
            };
            put(place + 1, false);
            if behind.len() > length as usize {
                put(place + 1 + length, true);
            }
        }
        starts
    }
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Of an ASCII character.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn class(text: &[u8], at: usize) -> u8 {
    Classes::get().of(character(text, at).0) & CLASS
}

/// Whether the newlines before a place have a mark before them.
fn after_mark(text: &[u8], place: usize) -> bool {
    let before = text[..place].iter().rposition(|byte| !is_newline(*byte));
    before.is_some_and(|mut before| {
        while before > 0 && text[before] & 0xC0 == 0x80 {
            before -= 1;
        }
        class(text, before) == OTHER
    })
}

/// The length of a contraction behind its `'`; 0 when there is none.
fn plain(text: &[u8]) -> u32 {
    match text {
        [b's' | b't' | b'm' | b'd', ..] => 1,
        [b'r' | b'v', b'e', ..] | [b'l', b'l', ..] => 2,
        _ => 0,
    }
}

/// The same in either case.
fn either_case(text: &[u8]) -> u32 {
    // `ſ`, the one other letter that is one of these without its case.
    if text.starts_with("ſ".as_bytes()) {
        return 2;
    }
    let lower = |at: usize| text.get(at).map_or(0, u8::to_ascii_lowercase);
    plain(&[lower(0), lower(1)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _, SplitDelimiterBehavior};

    use super::*;

    /// Where words begin, by the reference's regular expressions.
    struct Reference([(Pattern, Split); 3]);

    impl Reference {
        fn new() -> Self {
            Self([GPT2, CL100K, QWEN].map(|regex| {
                let pattern = SplitPattern::Regex(regex.into());
                let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).unwrap();
                (Pattern::of(regex).unwrap(), split)
            }))
        }

        fn check(&self, text: &str) {
            for (pattern, split) in &self.0 {
                let mut whole = PreTokenizedString::from(text);
                split.pre_tokenize(&mut whole).unwrap();
                let words = whole.get_splits(OffsetReferential::Original, OffsetType::Byte);
                let wanted: Vec<usize> =
                    words.iter().map(|(_, offsets, _)| offsets.0).filter(|_| !text.is_empty()).collect();
                assert_eq!(found(*pattern, text), wanted, "{pattern:?}: {text:?}");
            }
        }
    }

    fn found(pattern: Pattern, text: &str) -> Vec<usize> {
        let mut scanner = Scanner::new(pattern);
        let mut places = Vec::new();
        for at in (0..text.len()).step_by(BLOCK) {
            let starts = scanner.block(text.as_bytes(), at);
            places.extend((0..BLOCK).filter(|i| starts >> i & 1 == 1).map(|i| at + i));
        }
        places
    }

    /// Pieces that the patterns tell apart, and such as are near to them.
    const PARTS: [&str; 60] = [
        "a",
        "B",
        "s",
        "re",
        "LL",
        "ve",
        "d",
        "abc",
        "é",
        "ſ",
        "語",
        "ж",
        "𝐀",
        "1",
        "22",
        "٣",
        "½",
        "Ⅷ",
        "𝟙",
        " ",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\t",
        "\u{b}",
        "\u{c}",
        "\u{85}",
        "\u{a0}",
        "\u{2003}",
        "\u{3000}",
        "\u{2028}",
        "'",
        "'",
        "''",
        "'s",
        "'S",
        "'ſ",
        "'re",
        "'VE",
        "'lL",
        "'t",
        "'dx",
        "!",
        ".",
        "--",
        "—",
        "“",
        "\u{301}",
        "\0",
        "😀",
        "\u{200d}",
        "\u{e9}\u{301}",
        "\u{fffd}",
        "\u{10ffff}",
        "\u{feff}",
        "K",
        "\u{1c}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn words_are_the_references(parts in prop::collection::vec((0..PARTS.len(), 1..4_usize), 0..90), pad in 0..70_usize) {
            thread_local!(static REFERENCE: Reference = Reference::new());
            let parts: String = parts.iter().map(|(part, times)| PARTS[*part].repeat(1 + times / 3 * times)).collect();
            // The same at any place in a block.
            REFERENCE.with(|reference| reference.check(&format!("{}{parts}", "x".repeat(pad))));
        }

        #[test]
        fn any_characters_are_split_as_by_the_reference(text in "(\\PC|[ \\n\\r\\t']|\\p{Zs}|[a-z]|\\p{N}){0,200}") {
            thread_local!(static REFERENCE: Reference = Reference::new());
            REFERENCE.with(|reference| reference.check(&text));
        }
    }

    #[test]
    fn every_character_is_split_as_by_the_reference_whatever_is_beside_it() {
        let reference = Reference::new();
        let mut text = String::new();
        for letter in (0..=0x10_FFFF).filter_map(char::from_u32) {
            for part in ["a", " ", "1", "\n", "!", "'", "''", "' ", "'r", "'l", " '", "\t"] {
                text.push_str(part);
                text.push(letter);
            }
            if text.len() > 1 << 16 {
                reference.check(&text);
                text.clear();
            }
        }
        reference.check(&text);
    }

    #[test]
    fn all_short_texts_of_what_patterns_tell_apart_are_split_as_by_the_reference() {
        let reference = Reference::new();
        let letters = ["a", "1", " ", "\n", "\t", "!", "'", "s", "\u{2003}", "—"];
        for length in 0..=5_u32 {
            for number in 0..10_usize.pow(length) {
                let text: String = (0..length).map(|place| letters[number / 10_usize.pow(place) % 10]).collect();
                reference.check(&text);
            }
        }
    }

    #[test]
    fn runs_longer_than_blocks_are_split_as_by_the_reference() {
        let reference = Reference::new();
        for part in ["a", "1", " ", "\n", "\t", "!", "'", "é", "٣", "\u{2003}", "—", "\r\n", " \n", "語", "'s"] {
            for times in [62, 63, 64, 65, 66, 127, 128, 129, 200, 1000] {
                for (before, behind) in
                    [("", ""), ("a", "b"), ("!", "b"), (" ", "\n"), ("\n", "x"), ("'", "'s"), ("!\n", "\n")]
                {
                    reference.check(&format!("{before}{}{behind}", part.repeat(times)));
                }
            }
        }
    }
}
