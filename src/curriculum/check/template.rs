//! Text templates: `content`, `meta.body`, `"{title}\n\n{body}"`.

use std::ops::Range;

use crate::curriculum::checked::{TemplatePiece, TextTemplate};

/// Why a template does not parse.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Byte range in the template.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: &'static str,
    /// What to do.
    pub hint: &'static str,
}

/// Parses a template. Text without braces is the name of one column.
pub fn parse(text: &str) -> Result<TextTemplate, TemplateError> {
    if !text.contains(['{', '}']) {
        column(text, 0)?;
        return Ok(TextTemplate { pieces: vec![TemplatePiece::Column(text.to_owned())] });
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let doubled = characters.peek().is_some_and(|(_, next)| *next == character);
        match character {
            '{' | '}' if doubled => {
                characters.next();
                literal.push(character);
            }
            '{' => {
                let rest = text.get(at + 1..).unwrap_or("");
                let Some(length) = rest.find('}') else {
                    return Err(TemplateError {
                        span: at..at + 1,
                        message: "this brace is not closed",
                        hint: "write `{column}`, or `{{` for a brace",
                    });
                };
                let name = rest.get(..length).unwrap_or("");
                column(name, at + 1)?;
                if !literal.is_empty() {
                    pieces.push(TemplatePiece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(TemplatePiece::Column(name.to_owned()));
                while characters.next_if(|(next, _)| *next <= at + 1 + length).is_some() {}
            }
            '}' => {
                return Err(TemplateError {
                    span: at..at + 1,
                    message: "this brace closes nothing",
                    hint: "write `}}` for a brace",
                });
            }
            other => literal.push(other),
        }
    }
    if !literal.is_empty() {
        pieces.push(TemplatePiece::Literal(literal));
    }
    if !pieces.iter().any(|piece| matches!(piece, TemplatePiece::Column(_))) {
        return Err(TemplateError {
            span: 0..text.len(),
            message: "this template names no column",
            hint: "write `{column}` where a column's value goes",
        });
    }
    Ok(TextTemplate { pieces })
}

/// Checks a column's path.
fn column(name: &str, start: usize) -> Result<(), TemplateError> {
    let span = start..start + name.len();
    if name.trim().is_empty() {
        return Err(TemplateError {
            // The braces of `{}` are shown too.
            span: start.saturating_sub(1)..span.end + usize::from(start > 0),
            message: "the name of a column is missing",
            hint: "write `{column}`",
        });
    }
    if let Some(brace) = name.find('{') {
        return Err(TemplateError {
            span: start + brace..start + brace + 1,
            message: "a brace within a column's name",
            hint: "write `{column}`, or `{{` for a brace",
        });
    }
    if name.split('.').any(str::is_empty) {
        return Err(TemplateError {
            span,
            message: "a part of this path is empty",
            hint: "dots reach into structs: `meta.title`",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn literal(text: &str) -> TemplatePiece {
        TemplatePiece::Literal(text.to_owned())
    }

    fn named(text: &str) -> TemplatePiece {
        TemplatePiece::Column(text.to_owned())
    }

    #[test]
    fn templates() {
        for (text, pieces) in [
            ("content", vec![named("content")]),
            ("meta.body", vec![named("meta.body")]),
            ("{title}\n\n{body}", vec![named("title"), literal("\n\n"), named("body")]),
            ("{{{a.b}}} é", vec![literal("{"), named("a.b"), literal("} é")]),
            ("{a}{b}", vec![named("a"), named("b")]),
        ] {
            assert_eq!(parse(text).map(|template| template.pieces), Ok(pieces), "{text}");
        }
        for (text, span) in
            [("{a", 0..1), ("a}", 1..2), ("{}", 0..2), ("{{a}}", 0..5), ("x{a.}", 2..4), ("{a{b}", 2..3), (" ", 0..1)]
        {
            assert_eq!(parse(text).map_err(|error| error.span), Err(span), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_literal_survives_its_escaping(before in "\\PC{0,8}", after in "\\PC{0,8}") {
            let escape = |text: &str| text.replace('{', "{{").replace('}', "}}");
            let template = parse(&format!("{}{{column}}{}", escape(&before), escape(&after))).expect("parses");
            let mut pieces = vec![literal(&before), named("column"), literal(&after)];
            pieces.retain(|piece| *piece != literal(""));
            prop_assert_eq!(template.pieces, pieces);
        }

        #[test]
        fn spans_lie_in_the_template(text in "[{}.aé]{0,8}") {
            if let Err(error) = parse(&text) {
                prop_assert!(text.get(error.span).is_some());
            }
        }
    }
}
