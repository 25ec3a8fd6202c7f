//! Patterns of `LIKE` and `ILIKE`: `%` is any run of characters, `_` is exactly one.

use memchr::memmem;

/// A compiled pattern. There is no escape character unless the condition names one (`ESCAPE '\'`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Parts between the `%`s: one part means no `%` at all.
    parts: Vec<Part>,
    /// Compares characters without regard to case.
    fold: bool,
}

/// What stands between two `%`s.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Plain text.
    Plain(String),
    /// Characters, where `None` is any one.
    Mixed(Vec<Option<char>>),
}

impl Part {
    fn new(chars: Vec<Option<char>>) -> Self {
        match chars.iter().copied().collect::<Option<String>>() {
            Some(plain) => Self::Plain(plain),
            None => Self::Mixed(chars),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Plain(text) if text.is_empty())
    }

    /// Bytes of `text` that the part takes when it matches at its start.
    fn at_start(&self, text: &str) -> Option<usize> {
        match self {
            Self::Plain(plain) => text.starts_with(plain.as_str()).then_some(plain.len()),
            Self::Mixed(chars) => {
                let mut left = text.chars();
                for want in chars {
                    let have = left.next()?;
                    if want.is_some_and(|want| want != have) {
                        return None;
                    }
                }
                Some(text.len() - left.as_str().len())
            }
        }
    }

    /// Whether it matches at the text's end.
    fn at_end(&self, text: &str) -> bool {
        match self {
            Self::Plain(plain) => text.ends_with(plain.as_str()),
            Self::Mixed(chars) => {
                let mut left = text.chars();
                chars.iter().rev().all(|want| left.next_back().is_some_and(|have| want.is_none_or(|want| want == have)))
            }
        }
    }

    /// Where it ends at its first occurrence.
    fn first_end(&self, text: &str) -> Option<usize> {
        match self {
            Self::Plain(plain) => memmem::find(text.as_bytes(), plain.as_bytes()).map(|at| at + plain.len()),
            Self::Mixed(_) => text
                .char_indices()
                .map(|(at, _)| at)
                .find_map(|at| text.get(at..).and_then(|rest| self.at_start(rest)).map(|taken| at + taken)),
        }
    }
}

/// Lower case where that is one character; so a text has as many characters folded as not, and `_` keeps its meaning.
fn fold(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

impl Pattern {
    /// Compiles a pattern. `Err` says what is wrong with it.
    pub fn new(pattern: &str, escape: Option<char>, ignore_case: bool) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut part = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            if Some(c) == escape {
                match chars.next() {
                    Some(next) if next == '%' || next == '_' || Some(next) == escape => part.push(Some(next)),
                    Some(_) => return Err("the escape character may only stand before `%`, `_` or itself"),
                    None => return Err("the pattern ends with its escape character"),
                }
            } else if c == '%' {
                parts.push(Part::new(std::mem::take(&mut part)));
            } else if c == '_' {
                part.push(None);
            } else {
                part.push(Some(if ignore_case { fold(c) } else { c }));
            }
        }
        parts.push(Part::new(part));
        Ok(Self { parts, fold: ignore_case })
    }

    /// Whether the whole of `text` looks like the pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        if self.fold {
            let folded: String = text.chars().map(fold).collect();
            return self.matches_exactly(&folded);
        }
        self.matches_exactly(text)
    }

    fn matches_exactly(&self, text: &str) -> bool {
        let (Some((first, rest)), Some(last)) = (self.parts.split_first(), self.parts.last()) else {
            return false;
        };
        let Some(taken) = first.at_start(text) else { return false };
        if rest.is_empty() {
            return taken == text.len();
        }
        let Some(mut text) = text.get(taken..) else { return false };
        // The first occurrence of each middle part leaves most for the parts after it, so no choice need be undone.
        for part in rest.iter().take(rest.len() - 1).filter(|part| !part.is_empty()) {
            let Some(end) = part.first_end(text) else { return false };
            let Some(left) = text.get(end..) else { return false };
            text = left;
        }
        last.at_end(text)
    }
}
