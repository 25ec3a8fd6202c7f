//! The `where` language: which rows of a source are read at all.
//!
//! A condition in SQL's words over the row's columns: comparisons (`=`, `<>`, `<`, `<=`, `>`, `>=`), `AND`/`OR`/`NOT`,
//! `IN`, `BETWEEN`, `LIKE`/`ILIKE`, `IS [NOT] NULL`, and a column of booleans by its name alone. Literals are `'text'`,
//! numbers, `TRUE` and `FALSE`. A column is a name, dots reaching into structs (`meta.stars`), or any name at all in double
//! quotes (`"group"`).
//!
//! The logic is SQL's, with three values: a comparison with a missing value is neither true nor false, and a row is read
//! only where the condition is true. `ingest::condition` evaluates.

mod parse;
mod pattern;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

pub use pattern::Pattern;

/// A parsed condition.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The condition as written.
    pub text: String,
    columns: Vec<String>,
    condition: Condition,
}

/// Why a condition does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// Byte range in the condition's text; empty at its end when something is missing.
    pub span: std::ops::Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What must hold of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All of these (`AND`).
    All(Vec<Condition>),
    /// Any of these (`OR`).
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// `TRUE` or `FALSE`.
    Constant(bool),
    /// A column of booleans, by its index in [`Filter::columns`].
    Flag(usize),
    /// A comparison of two operands, of which at least one is a column.
    Compare {
        /// What stands to the left.
        left: Operand,
        /// How they are compared.
        op: Comparison,
        /// What stands to the right.
        right: Operand,
    },
    /// The column equals one of these (`IN`).
    Among {
        /// Index of the column.
        column: usize,
        /// The list; all of one kind, sorted.
        list: Vec<Literal>,
    },
    /// The column, a text, looks like the pattern (`LIKE`, `ILIKE`).
    Like {
        /// Index of the column.
        column: usize,
        /// The pattern.
        pattern: Pattern,
    },
    /// The column has no value in this row (`IS NULL`).
    IsNull {
        /// Index of the column.
        column: usize,
    },
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A column, by its index in [`Filter::columns`].
    Column(usize),
    /// A value written in the condition.
    Literal(Literal),
}

/// A value written in a condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `'text'`.
    Text(String),
    /// `3`, `-2.5`, `1e6`.
    Number(Number),
    /// `TRUE` or `FALSE`.
    Boolean(bool),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Whether two values that compare as `ordering` satisfy it.
    #[must_use]
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// A number of a condition or a row. Whole numbers and fractions are compared by their exact values: 2^53 + 1 is not 2^53.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// A whole number.
    Whole(i128),
    /// A double; never NaN.
    Real(f64),
}

impl Number {
    /// Reads a number in JSON's or SQL's spelling; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse::<i128>() {
            return Some(Self::Whole(whole));
        }
        // Rust's own spelling of infinities is no number here.
        if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
            return None;
        }
        text.parse::<f64>().ok().filter(|real| !real.is_nan()).map(Self::Real)
    }

    /// Compares by exact value.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            (Self::Real(a), Self::Real(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Self::Whole(a), Self::Real(b)) => compare_mixed(a, b),
            (Self::Real(a), Self::Whole(b)) => compare_mixed(b, a).reverse(),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other).is_eq()
    }
}

fn compare_mixed(whole: i128, real: f64) -> Ordering {
    // 2^127 is a double; every double below it in size has a whole part that an i128 holds.
    const LIMIT: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    if real >= LIMIT {
        return Ordering::Less;
    }
    if real < -LIMIT {
        return Ordering::Greater;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "truncated towards zero on purpose; the range was checked above"
    )]
    let part = real.trunc() as i128;
    whole.cmp(&part).then_with(|| 0.0_f64.partial_cmp(&real.fract()).unwrap_or(Ordering::Equal))
}

impl Literal {
    /// The order within one kind: bytes of texts, exact values of numbers, FALSE before TRUE.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => Some(a.compare(*b)),
            (Self::Boolean(a), Self::Boolean(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

impl Filter {
    /// Parses a condition.
    ///
    /// # Errors
    /// What does not parse, is not part of the language, or can never be meant (`x = NULL`), with its place and a hint.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let (columns, condition) = parse::parse(text)?;
        Ok(Self { text: text.to_owned(), columns, condition })
    }

    /// The columns that the condition looks at, each once, in the order of their first mention; dots reach into structs.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The condition itself; its column indices point into [`Filter::columns`].
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.condition
    }
}
