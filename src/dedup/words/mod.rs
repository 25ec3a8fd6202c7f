//! Text to words: what near duplicates and benchmark leaks are measured in.
//!
//! # What a word is
//!
//! Every character (Unicode scalar value) of the text has one class, the first that fits:
//!
//! | class | characters | what it does |
//! | --- | --- | --- |
//! | ignored | U+00AD, U+200C to U+200F, U+202A to U+202E, U+2060 to U+2064, U+FEFF | nothing: it is as if it were not there |
//! | gap | `White_Space`, control characters (`Cc`, NUL among them), U+200B | ends a word |
//! | mark | general category `M` | continues the word before it, or starts one after a gap |
//! | single | alphabetic characters of scripts written without spaces, see [`UNSPACED`] | is a word, with the marks that follow it |
//! | letter | alphabetic or numeric (`Alphabetic`, `Nd`, `Nl`, `No`) | continues a word of letters, or starts one |
//! | sign | everything else: punctuation, symbols, unassigned | with [`Signs::Kept`] as a letter, with [`Signs::Dropped`] as a gap |
//!
//! Words are folded: each character becomes its full, context-free lower case, and the final sigma `ς` becomes `σ`. Nothing else is
//! folded: no normalization form, no accents, no width. So with [`Signs::Kept`] words are what stands between white space (and
//! each Han character, kana or Thai consonant with its vowel signs is one); with [`Signs::Dropped`] they are runs of letters and digits.
//!
//! An **n-gram** is n consecutive words. A text of at least one and fewer than n words has a single shingle, all its words; a
//! text without words has none. [`Words`] gives the words of an n-gram joined by one U+0020, [`Runs`] gives hashes of n-grams and
//! never joins them.
//!
//! The properties are those of [`UNICODE_VERSION`] (letters, case, white space: the Rust standard library's) and
//! [`MARKS_UNICODE_VERSION`] (marks: `unicode-normalization`'s); new versions class characters that were unassigned before.

mod ascii;
mod runs;

use std::sync::LazyLock;

pub use runs::{Block, Runs};

/// Version of Unicode for letters, digits, case and white space.
pub const UNICODE_VERSION: (u8, u8, u8) = char::UNICODE_VERSION;

/// Version of Unicode for marks.
pub const MARKS_UNICODE_VERSION: (u8, u8, u8) = unicode_normalization::UNICODE_VERSION;

/// Code points of scripts that are written without spaces between words, first and last; only their alphabetic characters are words of
/// their own.
pub const UNSPACED: &[(u32, u32)] = &[
    (0x0E00, 0x0EFF),   // Thai, Lao
    (0x0F00, 0x0FFF),   // Tibetan
    (0x1000, 0x109F),   // Myanmar
    (0x1780, 0x17FF),   // Khmer
    (0x1950, 0x19DF),   // Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),   // Tai Tham
    (0x1B00, 0x1B7F),   // Balinese
    (0x2E80, 0x2FDF),   // Han radicals
    (0x3005, 0x3007),   // Han iteration mark, closing mark, zero
    (0x3021, 0x303B),   // Hangzhou numerals, iteration marks
    (0x3041, 0x312F),   // Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),   // Bopomofo extended
    (0x31F0, 0x31FF),   // Katakana phonetic extensions
    (0x3400, 0x4DBF),   // Han extension A
    (0x4E00, 0x9FFF),   // Han
    (0xA000, 0xA4CF),   // Yi
    (0xA980, 0xA9DF),   // Javanese
    (0xA9E0, 0xA9FF),   // Myanmar extended B
    (0xAA60, 0xAADF),   // Myanmar extended A, Tai Viet
    (0xF900, 0xFAFF),   // Han compatibility
    (0xFF66, 0xFF9F),   // half-width Katakana
    (0x16FE0, 0x18DFF), // Tangut, Khitan, Nushu marks
    (0x1AFF0, 0x1B2FF), // kana supplements, Nushu
    (0x20000, 0x3FFFF), // Han extensions B and later
];

/// What punctuation and symbols are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// Part of words: near duplicates.
    Kept,
    /// Gaps between words: benchmark leaks.
    Dropped,
}

/// Class of a character, as the module's table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Ignored,
    Gap,
    Mark,
    Single,
    Letter,
    Sign,
}

fn classify(c: char) -> Class {
    let code = u32::from(c);
    match code {
        0xAD | 0x200C..=0x200F | 0x202A..=0x202E | 0x2060..=0x2064 | 0xFEFF => return Class::Ignored,
        0x200B => return Class::Gap,
        _ => {}
    }
    if c.is_whitespace() || c.is_control() {
        Class::Gap
    } else if unicode_normalization::char::is_combining_mark(c) {
        Class::Mark
    } else if c.is_alphabetic() && UNSPACED.iter().any(|&(first, last)| (first..=last).contains(&code)) {
        Class::Single
    } else if c.is_alphanumeric() {
        Class::Letter
    } else {
        Class::Sign
    }
}

/// Classes of the Basic Multilingual Plane: a text in Russian or Chinese asks for every character.
static CLASSES: LazyLock<Vec<Class>> =
    LazyLock::new(|| (0..=0xFFFF_u32).map(|code| char::from_u32(code).map_or(Class::Sign, classify)).collect());

/// Takes the words of a text as they are cut.
trait Sink {
    /// A word starts at this byte of the text.
    fn start(&mut self, at: usize);
    /// It goes on with the first `length` of these folded bytes; the others mean nothing.
    fn put(&mut self, bytes: [u8; 8], length: usize);
    /// It is over: this is the byte of the text after it.
    fn end(&mut self, at: usize);

    /// A whole word of ASCII characters, `start..end` of the text, not yet folded; at least fifteen bytes follow it.
    #[inline]
    fn ascii<const KEPT: bool>(&mut self, text: &[u8], start: usize, end: usize) {
        self.start(start);
        let mut at = start;
        while at < end {
            self.put(ascii::eight::<KEPT>(text, at).to_le_bytes(), (end - at).min(8));
            at += 8;
        }
        self.end(end);
    }

    /// The whole ASCII words of a block, which starts at this byte of the text.
    #[inline]
    fn block<const KEPT: bool>(&mut self, text: &[u8], (base, _): (usize, &ascii::Window), words: ascii::Whole) {
        for (start, end) in words {
            self.ascii::<KEPT>(text, base + start, base + end);
        }
    }
}

/// Cuts a text into folded words.
#[inline]
fn cut(text: &str, signs: Signs, sink: &mut impl Sink) {
    match signs {
        Signs::Kept => cut_with::<true>(text, sink),
        Signs::Dropped => cut_with::<false>(text, sink),
    }
}

/// The same; whether signs are [kept](Signs::Kept) is known when this is compiled, since it is asked for every few bytes.
#[inline]
fn cut_with<const KEPT: bool>(text: &str, sink: &mut impl Sink) {
    let (classes, lower) = (CLASSES.as_slice(), LOWER.as_slice());
    let bytes = text.as_bytes();
    let mut open = Open::Nothing;
    let (mut at, mut from) = (0, 0);
    loop {
        if at >= from && open == Open::Nothing {
            (at, from) = ascii::words::<KEPT>(bytes, at, sink);
        }
        let Some(&byte) = bytes.get(at) else { break };
        if byte < 0x80 {
            let rest = bytes.get(at..).unwrap_or_default();
            let (lower, length) = match rest.first_chunk::<8>() {
                Some(&chunk) => ascii::head::<KEPT>(chunk),
                None => {
                    // Zeros are gaps.
                    let mut chunk = [0; 8];
                    chunk.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                    ascii::head::<KEPT>(chunk)
                }
            };
            if length > 0 {
                if open == Open::Single {
                    sink.end(at);
                }
                if open != Open::Letters {
                    sink.start(at);
                    open = Open::Letters;
                }
                sink.put(lower, length);
                at += length;
                // Within eight bytes: what follows is a gap, or not ASCII.
                if length == 8 || rest.get(length).is_none_or(|&next| next >= 0x80) {
                    continue;
                }
            }
            if open != Open::Nothing {
                open = Open::Nothing;
                sink.end(at);
            }
            at += 1;
            continue;
        }
        let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else { break };
        let code = usize::try_from(u32::from(c)).unwrap_or(usize::MAX);
        let mut class = classes.get(code).copied().unwrap_or_else(|| classify(c));
        if class == Class::Sign {
            class = if KEPT { Class::Letter } else { Class::Gap };
        }
        let (ends, starts) = match class {
            Class::Ignored => (false, false),
            Class::Gap => (open != Open::Nothing, false),
            Class::Mark => (false, open == Open::Nothing),
            Class::Single => (open != Open::Nothing, true),
            Class::Letter | Class::Sign => (open == Open::Single, open != Open::Letters),
        };
        if ends {
            sink.end(at);
        }
        if starts {
            sink.start(at);
        }
        match class {
            Class::Ignored => {}
            Class::Gap => open = Open::Nothing,
            Class::Mark if open != Open::Nothing => {}
            Class::Single => open = Open::Single,
            Class::Mark | Class::Letter | Class::Sign => open = Open::Letters,
        }
        let length = c.len_utf8();
        if !matches!(class, Class::Ignored | Class::Gap) {
            // Most letters outside ASCII are what they fold to: their bytes are the text's. (Singles have no case.)
            let same = class == Class::Single || lower.get(code).is_some_and(|&lower| u32::from(lower) == u32::from(c));
            if same && let Some(utf8) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
                sink.put(*utf8, length);
            } else {
                fold(sink, c);
            }
        }
        at += length;
    }
    if open != Open::Nothing {
        sink.end(at);
    }
}

fn put_character(sink: &mut impl Sink, c: char) {
    let mut utf8 = [0; 8];
    let length = c.encode_utf8(&mut utf8).len();
    sink.put(utf8, length);
}

fn fold(sink: &mut impl Sink, c: char) {
    let code = usize::try_from(u32::from(c)).unwrap_or(usize::MAX);
    match LOWER.get(code).and_then(|&lower| char::from_u32(u32::from(lower))) {
        Some(lower) if lower != '\0' => put_character(sink, lower),
        _ => folded(c).for_each(|c| put_character(sink, c)),
    }
}

fn folded(c: char) -> std::char::ToLowercase {
    if c == 'ς' { 'σ' } else { c }.to_lowercase()
}

/// What the characters of the Basic Multilingual Plane fold to, where that is one of them; else 0.
static LOWER: LazyLock<Vec<u16>> = LazyLock::new(|| {
    let fold = |code| {
        let mut lower = folded(char::from_u32(code)?);
        let (first, rest) = (lower.next()?, lower.next());
        u16::try_from(u32::from(first)).ok().filter(|_| rest.is_none())
    };
    (0..=0xFFFF_u32).map(|code| fold(code).unwrap_or(0)).collect()
});

/// Gathers words, and shows them at the end of each.
struct Gather<'w, F> {
    words: &'w mut Words,
    count: u64,
    each: F,
}

impl<F: FnMut(Window<'_>)> Sink for Gather<'_, F> {
    #[inline]
    fn start(&mut self, at: usize) {
        self.words.start(at);
    }

    #[inline]
    fn put(&mut self, bytes: [u8; 8], length: usize) {
        self.words.put(bytes, length);
    }

    #[inline]
    fn end(&mut self, _: usize) {
        self.count += 1;
        (self.each)(self.words.window(self.count));
    }
}

/// Folded bytes that are gathered before the words no longer looked back at are dropped: with their starts they fit into a core's
/// first cache.
const BUFFER: usize = 8 * 1024;

/// Where a word starts.
#[derive(Debug, Clone, Copy)]
struct Start {
    /// In the folded bytes.
    folded: usize,
    /// In the text.
    text: usize,
}

/// Cuts texts into folded words; keeps its buffers from one text to the next. Memory does not grow with the text, only with its
/// longest words.
#[derive(Debug)]
pub struct Words {
    signs: Signs,
    /// How many words are looked back at.
    reach: usize,
    /// Folded words joined by one space, in the first `used` bytes.
    folded: Vec<u8>,
    used: usize,
    starts: Vec<Start>,
    /// Bytes used at which old words are dropped.
    limit: usize,
}

/// The words that end with the newest one.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    folded: &'a [u8],
    starts: &'a [Start],
    /// Words of the text so far, the newest counted.
    pub count: u64,
}

impl<'a> Window<'a> {
    /// The last `n` words joined by one space; `None` when the text has not had so many (or `n` is 0, or more than the words looked back at).
    #[inline]
    #[must_use]
    pub fn last(&self, n: usize) -> Option<&'a [u8]> {
        let start = self.starts.get(self.starts.len().checked_sub(n)?)?;
        self.folded.get(start.folded..)
    }

    /// Byte of the text where the last `n` words start; the text's start where there are not so many.
    #[must_use]
    pub fn offset(&self, n: usize) -> usize {
        self.starts.len().checked_sub(n).and_then(|at| self.starts.get(at)).map_or(0, |start| start.text)
    }
}

impl Words {
    /// Looks back at up to `reach` words (at least one).
    #[must_use]
    pub fn new(signs: Signs, reach: usize) -> Self {
        Self { signs, reach: reach.max(1), folded: Vec::new(), used: 0, starts: Vec::new(), limit: BUFFER }
    }

    /// Calls `each` at the end of every word.
    pub fn each(&mut self, text: &str, each: impl FnMut(Window<'_>)) {
        self.used = 0;
        self.starts.clear();
        self.limit = BUFFER;
        let signs = self.signs;
        cut(text, signs, &mut Gather { words: self, count: 0, each });
    }

    #[inline]
    fn window(&self, count: u64) -> Window<'_> {
        Window { folded: self.folded.get(..self.used).unwrap_or_default(), starts: &self.starts, count }
    }

    /// Starts a word: the separator, and room.
    #[inline]
    fn start(&mut self, text: usize) {
        if self.used >= self.limit {
            self.forget();
        }
        if !self.starts.is_empty() {
            self.put([b' '; 8], 1);
        }
        self.starts.push(Start { folded: self.used, text });
    }

    /// Appends the first `length` of eight bytes.
    #[inline]
    fn put(&mut self, bytes: [u8; 8], length: usize) {
        if self.folded.len() < self.used + 8 {
            self.folded.resize((self.used + 8).next_power_of_two().max(BUFFER), 0);
        }
        if let Some(to) = self.folded.get_mut(self.used..).and_then(|rest| rest.first_chunk_mut::<8>()) {
            *to = bytes;
        }
        self.used += length;
    }

    /// Drops the words that nobody looks back at any more.
    #[cold]
    fn forget(&mut self) {
        let old = self.starts.len().saturating_sub(self.reach);
        let Some(cut) = self.starts.get(old).map(|start| start.folded) else { return };
        self.folded.copy_within(cut..self.used, 0);
        self.used -= cut;
        self.starts.drain(..old);
        for start in &mut self.starts {
            start.folded -= cut;
        }
        // Twice what is left: dropping stays cheap when a few words are longer than the buffer.
        self.limit = BUFFER.max(self.used.saturating_mul(2));
    }
}

/// What kind of word is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Letters,
    Single,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(signs: Signs, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        Words::new(signs, 1)
            .each(text, |window| out.push(String::from_utf8(window.last(1).unwrap().to_vec()).unwrap()));
        out
    }

    #[test]
    fn white_space_and_case_fold() {
        assert_eq!(
            words(Signs::Kept, "  Hello,\tWORLD!\r\n\u{a0}\u{3000}It's\0fine "),
            ["hello,", "world!", "it's", "fine"]
        );
        assert_eq!(
            words(Signs::Dropped, "Hello, WORLD! It's foo_bar(3.14)"),
            ["hello", "world", "it", "s", "foo", "bar", "3", "14"]
        );
        assert_eq!(words(Signs::Kept, "ΟΔΟΣ οδος Straße İ"), ["οδοσ", "οδοσ", "straße", "i\u{307}"]);
        assert_eq!(words(Signs::Dropped, "—…“”"), [""; 0]);
        assert_eq!(words(Signs::Kept, " \n\u{feff}"), [""; 0]);
    }

    #[test]
    fn scripts_without_spaces() {
        assert_eq!(words(Signs::Dropped, "我们GPT模型,3个。"), ["我", "们", "gpt", "模", "型", "3", "个"]);
        assert_eq!(words(Signs::Kept, "東京。カタカナー"), ["東", "京", "。", "カ", "タ", "カ", "ナ", "ー"]);
        // A Thai consonant keeps its vowel and tone marks.
        assert_eq!(words(Signs::Dropped, "ที่นี่"), ["ที่", "นี่"]);
        // Spaced scripts keep their words: Korean, Hindi with virama and vowel signs.
        assert_eq!(words(Signs::Dropped, "한국어 문장"), ["한국어", "문장"]);
        assert_eq!(words(Signs::Dropped, "हिन्दी में।"), ["हिन्दी", "में"]);
        assert_eq!(words(Signs::Dropped, "co\u{ad}operate\u{200d}s"), ["cooperates"]);
        // A mark after a gap starts a word; one in Kept mode after a single belongs to it.
        assert_eq!(words(Signs::Dropped, " \u{301}a は\u{3099}b"), ["\u{301}a", "は\u{3099}", "b"]);
    }

    /// Cutting takes their bytes as they are.
    #[test]
    fn singles_have_no_case() {
        let singles = (0..=0x10_FFFF_u32).filter_map(char::from_u32).filter(|c| classify(*c) == Class::Single);
        let mut seen = 0;
        for c in singles {
            assert!(folded(c).eq([c]), "{c}");
            seen += 1;
        }
        assert!(seen > 100_000);
    }

    /// The definition, written down a second time without tables, runs or windows.
    fn slow(signs: Signs, text: &str) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut open = Open::Nothing;
        for c in text.chars() {
            let class = match classify(c) {
                Class::Sign if signs == Signs::Kept => Class::Letter,
                Class::Sign => Class::Gap,
                class => class,
            };
            let joins = match class {
                Class::Ignored => continue,
                Class::Gap => {
                    open = Open::Nothing;
                    continue;
                }
                Class::Mark => open != Open::Nothing,
                Class::Single => false,
                _ => open == Open::Letters,
            };
            if !joins {
                out.push(String::new());
            }
            if class == Class::Single {
                open = Open::Single;
            } else if class != Class::Mark || open == Open::Nothing {
                open = Open::Letters;
            }
            let word = out.last_mut().unwrap();
            if c == 'ς' { word.push('σ') } else { word.extend(c.to_lowercase()) }
        }
        out
    }

    #[test]
    fn long_texts_and_long_words_do_not_gather() {
        let word = "x".repeat(5000);
        let text = vec![word.as_str(); 200].join(" ");
        let mut words = Words::new(Signs::Kept, 3);
        let mut seen = 0_usize;
        words.each(&text, |window| {
            seen += 1;
            assert_eq!(window.count, u64::try_from(seen).unwrap());
            if seen >= 3 {
                assert_eq!(window.last(3).unwrap().len(), 15002);
                assert_eq!(window.offset(3), (seen - 3) * 5001);
            }
        });
        assert_eq!(seen, 200);
        assert!(words.folded.capacity() < 200_000);
    }

    /// Words, looked back at, and hashes against the definition.
    fn equal_the_definition(text: &str, n: usize) {
        for signs in [Signs::Kept, Signs::Dropped] {
            let expected = slow(signs, text);
            assert_eq!(words(signs, text), expected);
            let mut seen = 0;
            Words::new(signs, n).each(text, |window| {
                seen += 1;
                let joined = (seen >= n).then(|| expected[seen - n..seen].join(" ").into_bytes());
                assert_eq!(window.last(n).map(<[u8]>::to_vec), joined);
            });
            assert_eq!(seen, expected.len());
            // A short text is cut without blocks: its hash is that of the word within blocks.
            let alone = |word: &str| {
                let mut hash = None;
                Runs::new(signs, 1, 0).blocks(word, |block| hash = block.hashes().last().copied());
                hash
            };
            let mut words = expected.iter().filter(|word| word.len() < 64);
            Runs::new(signs, 1, 0).blocks(text, |block| {
                for (i, hash) in block.hashes().iter().enumerate() {
                    let word = slow(signs, &text[block.offset(i, 1)..block.end(i)]).concat();
                    if word.len() < 64 {
                        assert_eq!(Some(&word), words.next());
                        assert_eq!(Some(*hash), alone(&word));
                    }
                }
            });
        }
    }

    proptest! {
        #[test]
        fn blocks_equal_the_definition(text in "([a-cA-C_,. \\[@`{/:\u{0}\u{7f}]{0,90}|[a-z0-9]{0,20} |\\PC|\u{ad}|\u{301}|\n){0,14}", n in 1_usize..4) {
            equal_the_definition(&text, n);
        }

        #[test]
        fn equals_the_definition(text in "([a-cA-C_, .]|[ก-๎]|[一-三]|[あ-ヶ]|[़-ो]|\\PC|\\s){0,60}", n in 1_usize..6) {
            for signs in [Signs::Kept, Signs::Dropped] {
                let expected = slow(signs, &text);
                prop_assert_eq!(words(signs, &text), expected.clone());
                let mut seen = 0;
                Words::new(signs, n).each(&text, |window| {
                    seen += 1;
                    let joined = (seen >= n).then(|| expected[seen - n..seen].join(" ").into_bytes());
                    assert_eq!(window.last(n).map(<[u8]>::to_vec), joined);
                    if let Some(joined) = joined {
                        // The offset points at text that starts with the same words.
                        let again = slow(signs, &text[window.offset(n)..]);
                        assert_eq!(again[..n].join(" ").into_bytes(), joined);
                    }
                });
                prop_assert_eq!(seen, expected.len());
            }
        }
    }
}
