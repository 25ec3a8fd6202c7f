//! How a row becomes text: a column alone, borrowed where it can be, or several pieces joined.

use std::borrow::Cow;

use super::decode::Value;
use crate::curriculum::checked::{TemplatePiece, TextTemplate};

/// A template whose columns are numbered.
#[derive(Debug, Clone)]
pub struct Template {
    columns: Vec<String>,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    Column(usize),
}

impl Template {
    /// Numbers the columns of a template in the order of their first mention.
    #[must_use]
    pub fn new(template: &TextTemplate) -> Self {
        let mut columns: Vec<String> = Vec::new();
        let pieces = template
            .pieces
            .iter()
            .map(|piece| match piece {
                TemplatePiece::Literal(text) => Piece::Literal(text.clone()),
                TemplatePiece::Column(name) => {
                    let at = columns.iter().position(|have| have == name).unwrap_or_else(|| {
                        columns.push(name.clone());
                        columns.len() - 1
                    });
                    Piece::Column(at)
                }
            })
            .collect();
        Self { columns, pieces }
    }

    /// The columns it needs, each once.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether it is one column and nothing else.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Column(_)])
    }

    /// The text of one row; `value` gives the values of [`Template::columns`]. Borrowed when the template is one column
    /// whose text is borrowed.
    ///
    /// # Errors
    /// A row that has no text: why, in words.
    pub fn render<'a>(
        &self,
        max_bytes: u64,
        value: &mut dyn FnMut(usize) -> Value<'a>,
    ) -> Result<Cow<'a, str>, String> {
        if let [Piece::Column(column)] = self.pieces.as_slice() {
            let text = self.text(*column, value(*column))?;
            return within(text.len(), max_bytes).map(|()| text);
        }
        let mut texts = Vec::with_capacity(self.pieces.len());
        let mut total = 0;
        for piece in &self.pieces {
            let text = match piece {
                Piece::Literal(text) => Cow::Owned(text.clone()),
                Piece::Column(column) => self.text(*column, value(*column))?,
            };
            total += text.len();
            within(total, max_bytes)?;
            texts.push(text);
        }
        Ok(Cow::Owned(texts.concat()))
    }

    fn text<'a>(&self, column: usize, value: Value<'a>) -> Result<Cow<'a, str>, String> {
        let name = self.columns.get(column).map_or("", String::as_str);
        match value {
            Value::Absent => Err(format!("there is no column `{name}`")),
            Value::Null => Err(format!("`{name}` is null")),
            Value::Text(text) => Ok(text),
            Value::Bytes(bytes) => match simdutf8::compat::from_utf8(bytes) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(e) => Err(format!("`{name}` is not UTF-8 at its byte {}", e.valid_up_to())),
            },
            Value::Broken(why) => Err(format!("`{name}`: {why}")),
            other => Err(format!("`{name}` is {}, not a text", other.kind())),
        }
    }
}

fn within(bytes: usize, max_bytes: u64) -> Result<(), String> {
    if u64::try_from(bytes).is_ok_and(|bytes| bytes <= max_bytes) {
        return Ok(());
    }
    Err(format!("the document is longer than max_document_bytes ({max_bytes} bytes)"))
}
