//! One value of one row, whatever format it came from.

use std::borrow::Cow;

use crate::curriculum::filter::Number;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// The row has no such column.
    Absent,
    /// The column is null in this row. A floating-point NaN counts as null: JSON has none, and tables use it for "missing".
    Null,
    /// A boolean.
    Boolean(bool),
    /// A number.
    Number(Number),
    /// A text. Dates and times are texts too: `YYYY-MM-DD` and `YYYY-MM-DDTHH:MM:SS` with a fraction where there is one,
    /// in UTC, so that they compare as JSON's do.
    Text(Cow<'a, str>),
    /// Bytes that are a text if they are UTF-8.
    Bytes(&'a [u8]),
    /// Something that is neither text, number nor boolean; what, with its article.
    Other(&'static str),
    /// A text that cannot be spelt; why.
    Broken(String),
}

impl Value<'_> {
    /// A double; NaN is null.
    #[must_use]
    pub fn real(real: f64) -> Self {
        if real.is_nan() { Self::Null } else { Self::Number(Number::Real(real)) }
    }

    /// A whole number.
    #[must_use]
    pub fn whole(whole: impl Into<i128>) -> Self {
        Self::Number(Number::Whole(whole.into()))
    }

    /// The text, if it is one; `Err` when it should be one and is not.
    pub fn text(&self) -> Result<Option<Cow<'_, str>>, String> {
        match self {
            Self::Text(text) => Ok(Some(Cow::Borrowed(text))),
            Self::Bytes(bytes) => match simdutf8::compat::from_utf8(bytes) {
                Ok(text) => Ok(Some(Cow::Borrowed(text))),
                Err(e) => Err(format!("a column of `where` is not UTF-8 at its byte {}", e.valid_up_to())),
            },
            Self::Broken(why) => Err(format!("a column of `where`: {why}")),
            _ => Ok(None),
        }
    }

    /// What kind of value it is, with its article.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) | Self::Broken(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::Other(what) => what,
        }
    }
}
