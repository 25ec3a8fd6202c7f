//! Tables whose numbers are short to read, exact where the pointer rests, and sortable.

use askama::Template;

use super::bars::exact_percent;
use crate::plan::number;

/// A table.
#[derive(Template)]
#[template(path = "report/table.html")]
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) heads: Vec<Head>,
    pub(super) rows: Vec<Row>,
}

/// A column's head.
pub(super) struct Head {
    pub(super) name: &'static str,
    /// What the column holds, in a sentence.
    pub(super) title: &'static str,
    pub(super) number: bool,
}

/// A row.
#[derive(Default)]
pub(super) struct Row {
    /// `group`, `member`, `total` or nothing.
    pub(super) class: &'static str,
    pub(super) cells: Vec<Cell>,
}

/// A cell.
#[derive(Default)]
pub(super) struct Cell {
    /// What is read; escaped by the template unless `markup`.
    pub(super) text: String,
    /// All digits; empty where `text` has them.
    pub(super) exact: String,
    /// What the column is sorted by.
    pub(super) sort: String,
    pub(super) number: bool,
    pub(super) markup: bool,
    pub(super) class: &'static str,
}

impl Cell {
    /// Words.
    pub(super) fn words(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Words in the typeface of code.
    pub(super) fn code(text: impl Into<String>) -> Self {
        Self { class: "code", ..Self::words(text) }
    }

    /// Markup that is safe.
    pub(super) fn markup(text: String) -> Self {
        Self { text, markup: true, ..Self::default() }
    }

    /// A source's name after its colour.
    pub(super) fn source(name: &str, class: &str) -> Self {
        let name = super::svg::escaped(name);
        Self { sort: name.clone(), ..Self::markup(format!("<i class=\"key {class}\"></i>{name}")) }
    }

    fn figure(text: String, exact: String, sort: String) -> Self {
        let exact = if exact == text { String::new() } else { exact };
        Self { text, exact, sort, number: true, ..Self::default() }
    }

    /// A count or tokens: three digits, all of them on hover.
    pub(super) fn tokens(count: u64) -> Self {
        Self::figure(number::tokens(count), number::count(count), count.to_string())
    }

    /// A place, to be looked up: all digits.
    pub(super) fn place(number: u64) -> Self {
        let text = number::count(number);
        Self::figure(text.clone(), text, number.to_string())
    }

    /// A count that may be unknown.
    pub(super) fn maybe(count: Option<u64>) -> Self {
        count.map_or_else(Self::unknown, Self::tokens)
    }

    /// A count of which nothing is a dot, so that what is there stands out.
    pub(super) fn loss(count: u64) -> Self {
        if count == 0 { Self::figure("\u{b7}".to_owned(), "0".to_owned(), "0".to_owned()) } else { Self::tokens(count) }
    }

    /// A share.
    pub(super) fn share(share: f64) -> Self {
        Self::figure(number::percent(share), exact_percent(share), share.to_string())
    }

    /// A figure with two places.
    pub(super) fn decimal(figure: Option<f64>) -> Self {
        figure.map_or_else(Self::unknown, |figure| {
            Self::figure(number::decimal(figure), figure.to_string(), figure.to_string())
        })
    }

    /// A difference, with its sign.
    pub(super) fn signed(figure: f64) -> Self {
        // What rounds to nothing has no sign.
        let text =
            if figure.abs() < 0.005 { "0.00".to_owned() } else { format!("{figure:+.2}").replace('-', "\u{2212}") };
        Self::figure(text, figure.to_string(), figure.to_string())
    }

    /// Tokens that may be missing (below zero), or without bound.
    pub(super) fn left(left: Option<i64>) -> Self {
        let Some(left) = left else {
            return Self::figure("unbounded".to_owned(), String::new(), f64::INFINITY.to_string());
        };
        let (sign, class) = if left < 0 { ("\u{2212}", "bad") } else { ("", "") };
        let size = left.unsigned_abs();
        let exact = format!("{sign}{}", number::count(size));
        Self { class, ..Self::figure(format!("{sign}{}", number::tokens(size)), exact, left.to_string()) }
    }

    fn unknown() -> Self {
        Self { text: "\u{2013}".to_owned(), sort: "-1".to_owned(), number: true, ..Self::default() }
    }
}

/// A column of words.
pub(super) fn words(name: &'static str, title: &'static str) -> Head {
    Head { name, title, number: false }
}

/// A column of numbers.
pub(super) fn numbers(name: &'static str, title: &'static str) -> Head {
    Head { name, title, number: true }
}
