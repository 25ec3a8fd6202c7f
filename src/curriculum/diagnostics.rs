//! Errors and warnings that point into the curriculum: file, line, column, the line itself with a caret, and a hint.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level as Shown, Renderer, Snippet};

use crate::error::Error;

/// A byte range in the curriculum's text.
pub type Span = Range<usize>;

/// A place as people count: lines and columns from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The curriculum cannot be used.
    Error,
    /// It can, but look here.
    Warning,
}

/// One thing to say about a place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// Where.
    pub at: Span,
    /// What is wrong, in one line.
    pub message: String,
    /// A word at the caret.
    pub label: Option<String>,
    /// Other places that matter, each with a word.
    pub also: Vec<(Span, String)>,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(at: Span, message: impl Into<String>) -> Self {
        Self { level: Level::Error, at, message: visible(message), label: None, also: Vec::new(), hint: None }
    }

    /// A warning.
    #[must_use]
    pub fn warning(at: Span, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(at, message) }
    }

    /// Adds a word at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn also(mut self, at: Span, label: impl Into<String>) -> Self {
        self.also.push((at, label.into()));
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(visible(hint));
        self
    }

    /// Adds what to do, where something is known.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

/// Text that a message quotes may hold line breaks and escape sequences: neither may reach a terminal.
fn visible(text: impl Into<String>) -> String {
    let text: String = text.into();
    if text.chars().any(char::is_control) { text.replace(char::is_control, "\u{fffd}") } else { text }
}

/// Everything said in one run.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Whether any is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.level == Level::Error)
    }

    /// In the order of the text, each once.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by(|a, b| {
            (a.at.start, a.at.end, a.level, &a.message).cmp(&(b.at.start, b.at.end, b.level, &b.message))
        });
        self.list.dedup();
        self.list
    }
}

/// Line and column of a byte offset (of the text's end when it lies beyond).
#[must_use]
pub fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..floor(text, offset)).unwrap_or("");
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    Place { line, column: before.get(line_start..).unwrap_or("").chars().count() + 1 }
}

/// Renders diagnostics as text, one after another, with an empty line between.
#[must_use]
pub fn render(list: &[Diagnostic], text: &str, name: &str, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let shown: Vec<String> = list.iter().map(|diagnostic| render_one(diagnostic, text, name, &renderer)).collect();
    shown.join("\n\n")
}

fn render_one(diagnostic: &Diagnostic, text: &str, name: &str, renderer: &Renderer) -> String {
    let level = match diagnostic.level {
        Level::Error => Shown::ERROR,
        Level::Warning => Shown::WARNING,
    };
    let at = clamp(text, &diagnostic.at);
    let also: Vec<(Span, &str)> =
        diagnostic.also.iter().map(|(span, label)| (clamp(text, span), label.as_str())).collect();
    // Only the lines that are shown are handed over: the renderer would walk the whole text for each diagnostic.
    let first = also.iter().map(|(span, _)| span.start).chain([at.start]).min().unwrap_or(0);
    let last = also.iter().map(|(span, _)| span.end).chain([at.end]).max().unwrap_or(0);
    let start = text.get(..first).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let end = text.get(last..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| last + newline);
    let lines = text.get(start..end).unwrap_or("").trim_end_matches('\r');
    let within = |span: &Span| {
        let limit = lines.len();
        (span.start - start).min(limit)..(span.end - start).min(limit)
    };
    let mut primary = AnnotationKind::Primary.span(within(&at));
    if let Some(label) = &diagnostic.label {
        primary = primary.label(label.as_str());
    }
    let snippet = Snippet::source(lines)
        .path(name)
        .line_start(place(text, start).line)
        .annotation(primary)
        .annotations(also.iter().map(|(span, label)| AnnotationKind::Context.span(within(span)).label(*label)));
    let mut group: Group<'_> = level.primary_title(diagnostic.message.as_str()).element(snippet);
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Shown::HELP.message(hint.as_str()));
    }
    renderer.render(&[group])
}

/// The error of a run that found errors; `list` holds at least one.
#[must_use]
pub fn failure(list: &[Diagnostic], text: &str, name: &str, colour: bool) -> Error {
    let errors = list.iter().filter(|diagnostic| diagnostic.level == Level::Error).count();
    let first = list.iter().find(|diagnostic| diagnostic.level == Level::Error);
    let mut summary = first.map_or_else(|| name.to_owned(), |diagnostic| one_line(diagnostic, text, name));
    match errors {
        0 | 1 => {}
        2 => summary.push_str(" (and 1 more error)"),
        more => summary.push_str(&format!(" (and {} more errors)", more - 1)),
    }
    Error::Curriculum { rendered: render(list, text, name, colour), summary }
}

/// `file:line:column: message`.
#[must_use]
pub fn one_line(diagnostic: &Diagnostic, text: &str, name: &str) -> String {
    let Place { line, column } = place(text, diagnostic.at.start);
    format!("{name}:{line}:{column}: {}", diagnostic.message)
}

/// Where a byte range of a scalar's value lies in the text. Where escapes or line breaks make that hard to say, the whole scalar.
#[must_use]
pub fn inside(text: &str, scalar: &Span, value: &str, range: &Range<usize>) -> Span {
    let Some(written) = text.get(scalar.clone()) else { return scalar.clone() };
    let Some(map) = value_offsets(written, value) else { return scalar.clone() };
    let (Some(start), Some(end)) = (map.get(range.start), map.get(range.end)) else { return scalar.clone() };
    scalar.start + start..scalar.start + end.max(start)
}

/// For each byte of `value` and its end, the byte of `written` that says it.
fn value_offsets(written: &str, value: &str) -> Option<Vec<usize>> {
    if written == value {
        return Some((0..=value.len()).collect());
    }
    let quote = written.chars().next()?;
    let body = written.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut map = Vec::with_capacity(value.len() + 1);
    let mut rest = body.char_indices().peekable();
    let mut said = value.chars();
    while let Some((at, character)) = rest.next() {
        let expected = said.next()?;
        let escaped = match (quote, character) {
            ('"', '\\') => {
                let (_, kind) = rest.next()?;
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                for _ in 0..digits {
                    rest.next()?;
                }
                true
            }
            ('\'', '\'') => {
                rest.next()?;
                true
            }
            ('"' | '\'', _) => false,
            _ => return None,
        };
        if !escaped && character != expected {
            return None;
        }
        map.extend(std::iter::repeat_n(at + 1, expected.len_utf8()));
    }
    map.push(body.len() + 1);
    (said.next().is_none() && map.len() == value.len() + 1).then_some(map)
}

/// The nearest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn clamp(text: &str, span: &Span) -> Span {
    let start = floor(text, span.start);
    start..floor(text, span.end).max(start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_count_characters() {
        let text = "a: 1\r\nü: é\nlast";
        assert_eq!(place(text, 0), Place { line: 1, column: 1 });
        assert_eq!(place(text, text.find('é').expect("there")), Place { line: 2, column: 4 });
        assert_eq!(place(text, text.len()), Place { line: 3, column: 5 });
        assert_eq!(place(text, text.len() + 9), Place { line: 3, column: 5 });
        assert_eq!(place("é", 1), Place { line: 1, column: 1 });
    }

    #[test]
    fn rendered_plain_and_coloured() {
        let list = [Diagnostic::error(9..12, "no source is named `wbe`")
            .label("here")
            .also(0..3, "not here")
            .hint("did you mean `web`?")];
        let plain = "\
error: no source is named `wbe`
 --> c.yaml:2:4
  |
1 | web: 1
  | --- not here
2 | a: wbe
  |   ^^^ here
  |
  = help: did you mean `web`?";
        assert_eq!(render(&list, "web: 1\na: wbe\n", "c.yaml", false), plain.replace(":2:4", ":2:3"));
        assert!(render(&list, "web: 1\na: wbe\n", "c.yaml", true).contains("\u{1b}["));
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        let list = [Diagnostic::error(0..1, "named `\u{1b}[31m\n`").hint("\u{7}")];
        let shown = render(&list, "\u{1b}[31m: \u{7}\n", "c.yaml", false);
        assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown}");
    }

    #[test]
    fn places_inside_scalars() {
        for (written, value, range, expected) in [
            ("a = b", "a = b", 4..5, 4..5),
            ("'it''s x'", "it's x", 5..6, 7..8),
            (r#""{title}\n\n{body""#, "{title}\n\n{body", 9..10, 12..13),
            (r#""\u00e9\x41 é x""#, "éA é x", 6..7, 14..15),
            // Folded lines: the whole scalar.
            ("a\n  b", "a b", 2..3, 0..5),
            (">\n  a\n", "a\n", 0..1, 0..6),
        ] {
            assert_eq!(inside(written, &(0..written.len()), value, &range), expected, "{written}");
        }
    }

    proptest! {
        #[test]
        fn rendering_never_panics(
            text in "[a-zé\u{1F600}\u{301} \t\r\n:{}\u{0}\u{1b}]{0,40}",
            spans in proptest::collection::vec((0usize..60, 0usize..60), 1..4),
            colour: bool,
        ) {
            let mut diagnostic = Diagnostic::error(spans[0].0..spans[0].1, "message").label("here").hint("hint");
            for (start, end) in &spans[1..] {
                diagnostic = diagnostic.also(*start..*end, "there");
            }
            let rendered = render(&[diagnostic], &text, "c.yaml", colour);
            prop_assert!(rendered.contains("message"));
        }

        #[test]
        fn inside_lies_inside(written in "[\"'\\\\nxé{} ]{0,12}", value in "[nxé{} \"']{0,12}", start in 0usize..14, length in 0usize..4) {
            let at = inside(&written, &(0..written.len()), &value, &(start..start + length));
            prop_assert!(at.start <= at.end && at.end <= written.len());
        }
    }
}
