//! Names of sources, groups, mixes and phases, and what a misspelt one was meant to be.

use std::collections::BTreeMap;

use super::checked::SourceId;
use super::diagnostics::{Diagnostic, Diagnostics, Span};

/// What the names of sources and groups mean: one namespace.
#[derive(Debug, Clone, Default)]
pub struct Names {
    meanings: BTreeMap<String, Meaning>,
}

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// A source.
    Source(SourceId),
    /// A group, with its sources in declaration order.
    Group(Vec<SourceId>),
}

impl Names {
    /// Adds a source. A name that is already taken keeps its meaning.
    pub fn add_source(&mut self, name: &str, source: SourceId) {
        self.meanings.entry(name.to_owned()).or_insert(Meaning::Source(source));
    }

    /// Adds a source to a group, unless a source has the group's name: then `false`.
    pub fn add_to_group(&mut self, group: &str, source: SourceId) -> bool {
        match self.meanings.entry(group.to_owned()).or_insert_with(|| Meaning::Group(Vec::new())) {
            Meaning::Group(members) => {
                members.push(source);
                true
            }
            Meaning::Source(_) => false,
        }
    }

    /// What a name means.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Meaning> {
        self.meanings.get(name)
    }

    /// All names.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.meanings.keys().map(String::as_str)
    }

    /// The names of sources alone.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.meanings.iter().filter(|(_, meaning)| matches!(meaning, Meaning::Source(_))).map(|(name, _)| name.as_str())
    }
}

/// Longest name in bytes: it becomes a folder.
const MAX_LENGTH: usize = 100;

/// Words that a mix or an `expect` line already gives a meaning.
const RESERVED: [&str; 3] = ["from", "to", "rest"];

/// What is wrong with a name, if anything is.
fn problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".to_owned());
    }
    if name.len() > MAX_LENGTH {
        return Some(format!("is longer than {MAX_LENGTH} bytes"));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Some("does not begin with a letter or a digit".to_owned());
    }
    let stranger = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))?;
    Some(format!("contains {stranger:?}"))
}

/// Checks a name's spelling and says what is wrong with it; `what` is `source`, `phase` and so on.
pub fn check(name: &str, what: &str, at: &Span, out: &mut Diagnostics) {
    let diagnostic = if let Some(problem) = problem(name) {
        Diagnostic::error(at.clone(), format!("the {what} name {name:?} {problem}")).hint(
            "names hold letters, digits, `_`, `.` and `-`, and begin with a letter or a digit: they become folders",
        )
    } else if RESERVED.contains(&name) {
        Diagnostic::error(at.clone(), format!("a {what} cannot be named `{name}`: mixes use the word"))
            .hint("choose another name")
    } else {
        return;
    };
    out.push(diagnostic);
}

/// The candidate that `name` was most likely meant to be; of several, the first.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '.', ' '], "_");
    let name = plain(name);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other = plain(candidate);
        let length = name.chars().count().max(other.chars().count());
        // A third of the letters may differ; of very short names, one in three or more.
        let allowed = length / 3;
        if length > MAX_LENGTH {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&name, &other);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `did you mean` the nearest candidate, or else the list of all there are (when few).
#[must_use]
pub fn suggestion<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = nearest(name, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    match candidates.len() {
        0 => None,
        1..=30 => {
            let list: Vec<String> = candidates.iter().map(|candidate| format!("`{candidate}`")).collect();
            Some(format!("there are {}", list.join(", ")))
        }
        _ => None,
    }
}

/// Words as a choice: `a`, `b` or `c`, each in back-quotes.
#[must_use]
pub fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        for good in ["web", "A-1_b.c", "0", "olmo2.dolmino"] {
            assert_eq!(problem(good), None, "{good}");
        }
        for bad in ["", ".hidden", "..", "a/b", "a\\b", "a b", "é", "-x", "a\0", &"x".repeat(101)] {
            assert!(problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn near_misses() {
        let names = ["web", "github", "sql", "max_epochs"];
        assert_eq!(nearest("gihtub", names), Some("github"));
        assert_eq!(nearest("maxEpochs", names), Some("max_epochs"));
        assert_eq!(nearest("max-epochs", names), Some("max_epochs"));
        assert_eq!(nearest("wbe", names), Some("web"));
        assert_eq!(nearest("books", names), None);
        assert_eq!(nearest("", names), None);
    }
}
