//! Tokens that are split out of a text before the model sees it.

use aho_corasick::{AhoCorasick, MatchKind};

use super::file::AddedToken;

/// A stretch of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Text from one byte to another.
    Text(usize, usize),
    /// A token.
    Token(u32),
}

/// A set of tokens and how they match.
#[derive(Debug)]
pub struct AddedTokens {
    matcher: AhoCorasick,
    tokens: Vec<Token>,
    /// A space stands for `▁`, which is no white space.
    space_is_meta: bool,
}

#[derive(Debug)]
struct Token {
    id: u32,
    special: bool,
    lstrip: bool,
    rstrip: bool,
}

impl AddedTokens {
    /// The matcher of `tokens`, given with the text each matches; `None` when all are special: such a match is passed over,
    /// so nothing is ever split out. (Where some are not, all must be in the automaton: a special match that is passed over
    /// still hides what lies within it.)
    ///
    /// `space_is_meta`: the texts will have a space for each `▁`, which is no white space to strip.
    pub fn new(tokens: &[(&AddedToken, String)], space_is_meta: bool) -> Result<Option<Self>, String> {
        if tokens.iter().all(|(token, _)| token.special) {
            return Ok(None);
        }
        if let Some((token, _)) = tokens.iter().find(|(token, _)| token.single_word && !token.special) {
            return Err(format!("its added token {:?} matches single words only", token.content));
        }
        if let Some((token, _)) = tokens.iter().find(|(_, pattern)| pattern.is_empty()) {
            return Err(format!("its added token {:?} is empty after normalization", token.content));
        }
        let matcher = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(tokens.iter().map(|(_, pattern)| pattern))
            .map_err(|error| error.to_string())?;
        let tokens = tokens
            .iter()
            .map(|(token, _)| Token {
                id: token.id,
                special: token.special,
                lstrip: token.lstrip,
                rstrip: token.rstrip,
            })
            .collect();
        Ok(Some(Self { matcher, tokens, space_is_meta }))
    }

    /// Splits a text, as Hugging Face's library does: leftmost longest matches; special ones are passed over; the white
    /// space that a token strips on its left ends where the one before has ended.
    pub fn split(&self, text: &str) -> Vec<Part> {
        let blank = |letter: char| letter.is_whitespace() && !(self.space_is_meta && letter == ' ');
        let mut parts = Vec::new();
        let mut done = 0;
        for found in self.matcher.find_iter(text) {
            let token = &self.tokens[found.pattern().as_usize()];
            if token.special {
                continue;
            }
            let (mut start, mut end) = (found.start(), found.end());
            if token.lstrip {
                start = text[..start].trim_end_matches(blank).len().max(done);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start_matches(blank).len();
            }
            if done < start {
                parts.push(Part::Text(done, start));
            }
            // A token of white space within what the one before has stripped is nothing.
            if start < end {
                parts.push(Part::Token(token.id));
            }
            done = end;
        }
        if done != text.len() {
            parts.push(Part::Text(done, text.len()));
        }
        parts
    }
}
