//! `expect` lines: what must hold of a phase.
//!
//! Grammar: `SUM OP VALUE [± VALUE]`, where `SUM` is names of sources or groups joined by `+`, or `epochs(SOURCE)`,
//! `OP` is one of `== < <= > >=`, and `VALUE` is a percentage (shares) or a number (epochs). `+-` may stand for `±`.

use std::collections::BTreeSet;
use std::ops::Range;

use num_rational::BigRational;
use num_traits::One;

use super::checked::SourceId;
use super::names::{self, Meaning, Names};
use super::units;

/// One parsed `expect` line.
#[derive(Debug, Clone)]
pub struct Expect {
    /// The line as written.
    pub text: String,
    /// What is measured.
    pub subject: Subject,
    /// How it is compared.
    pub op: Op,
    /// With what: a share (0.192 for 19.2 %) or a number of epochs.
    pub value: BigRational,
    /// Allowed distance for `==`, in the unit of `value`.
    pub tolerance: Option<BigRational>,
}

/// What an `expect` line measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Summed share of these sources in the phase's windows (groups are already spelt out; each source once).
    Share(Vec<SourceId>),
    /// Stored tokens read of this source up to the phase's end, divided by its unique tokens.
    Epochs(SourceId),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `==`
    Eq,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// Why an `expect` line does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectError {
    /// Byte range in the line; empty at its end when something is missing.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl ExpectError {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Expect {
    /// Parses a line; `names` gives names their meaning.
    pub(super) fn parse(text: &str, names: &Names) -> Result<Self, ExpectError> {
        let mut line = Line { text, at: 0 };
        let subject = line.subject(names)?;
        let op = line.op()?;
        let epochs = matches!(subject, Subject::Epochs(_));
        let value = line.value(epochs)?;
        let tolerance = line.tolerance(op, epochs)?;
        line.end()?;
        Ok(Self { text: text.to_owned(), subject, op, value, tolerance })
    }
}

/// A line while it is parsed.
struct Line<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Line<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let there = self.rest().starts_with(symbol);
        if there {
            self.at += symbol.len();
        }
        there
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> (Range<usize>, &'a str) {
        self.skip_space();
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        let start = self.at;
        self.at += length;
        (start..self.at, rest.get(..length).unwrap_or(""))
    }

    /// The next character as an error's place, or the end.
    fn here(&mut self) -> Range<usize> {
        self.skip_space();
        self.at..self.at + self.rest().chars().next().map_or(0, char::len_utf8)
    }

    fn name(&mut self) -> Result<(Range<usize>, &'a str), ExpectError> {
        let (span, name) = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if name.is_empty() {
            return Err(ExpectError::new(self.here(), "expected the name of a source or group")
                .hint("write, for example, `web + books >= 80%` or `epochs(github) <= 4`"));
        }
        Ok((span, name))
    }

    fn subject(&mut self, names: &Names) -> Result<Subject, ExpectError> {
        let (span, name) = self.name()?;
        if name == "epochs" && self.take("(") {
            let (span, name) = self.name()?;
            let source = match names.get(name) {
                Some(Meaning::Source(source)) => *source,
                Some(Meaning::Group(_)) => {
                    return Err(ExpectError::new(span, format!("`{name}` is a group: epochs are counted by source"))
                        .hint("write a line for each of its sources"));
                }
                None => return Err(unknown(span, name, names.sources())),
            };
            if !self.take(")") {
                return Err(ExpectError::new(self.here(), "expected `)`"));
            }
            return Ok(Subject::Epochs(source));
        }
        let mut sources = BTreeSet::new();
        let mut next = (span, name);
        loop {
            let (span, name) = next;
            let members = match names.get(name) {
                Some(Meaning::Source(source)) => std::slice::from_ref(source),
                Some(Meaning::Group(members)) => members.as_slice(),
                None => return Err(unknown(span, name, names.all())),
            };
            for source in members {
                if !sources.insert(*source) {
                    return Err(ExpectError::new(span, format!("`{name}` counts a source twice in this sum")));
                }
            }
            if !self.take("+") {
                return Ok(Subject::Share(sources.into_iter().collect()));
            }
            next = self.name()?;
        }
    }

    fn op(&mut self) -> Result<Op, ExpectError> {
        for (symbol, op) in [("==", Op::Eq), ("<=", Op::Le), (">=", Op::Ge), ("<", Op::Lt), (">", Op::Gt)] {
            if self.take(symbol) {
                return Ok(op);
            }
        }
        let span = self.here();
        let instead = match self.text.get(span.clone()) {
            Some("=") => Some("write `==`"),
            Some("≤") => Some("write `<=`"),
            Some("≥") => Some("write `>=`"),
            _ => None,
        };
        let error = ExpectError::new(span, "expected `==`, `<`, `<=`, `>` or `>=`");
        Err(match instead {
            Some(instead) => error.hint(instead),
            None => error,
        })
    }

    fn value(&mut self, epochs: bool) -> Result<BigRational, ExpectError> {
        let (span, number) = self.take_while(|c| c.is_ascii_digit() || matches!(c, '.' | '_'));
        if number.is_empty() {
            let what = if epochs { "expected a number of epochs" } else { "expected a percentage" };
            let example = if epochs { "for example `4` or `1.5`" } else { "for example `19.2%`" };
            return Err(ExpectError::new(self.here(), what).hint(example));
        }
        let value = units::decimal(number).map_err(|problem| ExpectError::new(span.clone(), problem.message))?;
        let percent = self.take("%");
        let whole = span.start..self.at.max(span.end);
        if epochs {
            if percent {
                return Err(ExpectError::new(whole, "epochs are a number, not a percentage"));
            }
            return Ok(value);
        }
        let hundred = BigRational::from_integer(100.into());
        if !percent {
            let meant = if value <= BigRational::one() { &value * &hundred } else { value };
            return Err(ExpectError::new(whole, "a share is a percentage")
                .hint(format!("write `{}%`", units::decimal_text(&meant))));
        }
        if value > hundred {
            return Err(ExpectError::new(whole, "a share is at most 100%"));
        }
        Ok(value / hundred)
    }

    fn tolerance(&mut self, op: Op, epochs: bool) -> Result<Option<BigRational>, ExpectError> {
        let sign = self.here();
        if !(self.take("±") || self.take("+-") || self.take("+/-")) {
            return Ok(None);
        }
        if op != Op::Eq {
            return Err(ExpectError::new(sign, "only `==` has a tolerance"));
        }
        self.value(epochs).map(Some)
    }

    fn end(&mut self) -> Result<(), ExpectError> {
        self.skip_space();
        if self.rest().is_empty() {
            return Ok(());
        }
        Err(ExpectError::new(self.at..self.text.len(), "expected the line to end here")
            .hint("write each expectation as a line of its own"))
    }
}

fn unknown<'a>(span: Range<usize>, name: &str, candidates: impl Iterator<Item = &'a str>) -> ExpectError {
    ExpectError {
        span,
        message: format!("no source or group is named `{name}`"),
        hint: names::suggestion(name, candidates),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        for (source, name) in ["web", "github", "sql", "books", "epochs"].into_iter().enumerate() {
            names.add_source(name, source);
        }
        assert!(names.add_to_group("code", 1) && names.add_to_group("code", 2));
        names
    }

    fn ratio(numerator: i64, denominator: i64) -> BigRational {
        BigRational::new(numerator.into(), denominator.into())
    }

    #[test]
    fn lines_that_parse() {
        let names = names();
        for (text, subject, op, value, tolerance) in [
            ("code == 19.2% ± 0.1%", Subject::Share(vec![1, 2]), Op::Eq, ratio(192, 1000), Some(ratio(1, 1000))),
            ("code==19.2%+-0.1 %", Subject::Share(vec![1, 2]), Op::Eq, ratio(192, 1000), Some(ratio(1, 1000))),
            ("web + books >= 80%", Subject::Share(vec![0, 3]), Op::Ge, ratio(80, 100), None),
            ("epochs(github) <= 4", Subject::Epochs(1), Op::Le, ratio(4, 1), None),
            (" epochs ( sql )== 1.5 +/- .5", Subject::Epochs(2), Op::Eq, ratio(3, 2), Some(ratio(1, 2))),
            ("epochs < 5%", Subject::Share(vec![4]), Op::Lt, ratio(5, 100), None),
            ("code > 26%", Subject::Share(vec![1, 2]), Op::Gt, ratio(26, 100), None),
        ] {
            let parsed = Expect::parse(text, &names).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!(
                (&parsed.subject, parsed.op, &parsed.value, &parsed.tolerance),
                (&subject, op, &value, &tolerance),
                "{text}"
            );
        }
    }

    #[test]
    fn lines_that_do_not() {
        let names = names();
        for (text, span, message, hint) in [
            ("cod > 26%", 0..3, "no source or group is named `cod`", "did you mean `code`?"),
            ("code + sql > 26%", 7..10, "`sql` counts a source twice in this sum", ""),
            ("code = 26%", 5..6, "expected `==`, `<`, `<=`, `>` or `>=`", "write `==`"),
            ("code ≥ 26%", 5..8, "expected `==`, `<`, `<=`, `>` or `>=`", "write `>=`"),
            ("code > 0.26", 7..11, "a share is a percentage", "write `26%`"),
            ("code > 126%", 7..11, "a share is at most 100%", ""),
            ("code >", 6..6, "expected a percentage", "for example `19.2%`"),
            ("code > 26% ± 1%", 11..13, "only `==` has a tolerance", ""),
            ("code > 26% sql", 11..14, "expected the line to end here", "write each expectation as a line of its own"),
            (
                "epochs(code) < 4",
                7..11,
                "`code` is a group: epochs are counted by source",
                "write a line for each of its sources",
            ),
            ("epochs(web < 4", 11..12, "expected `)`", ""),
            ("epochs(web) < 400%", 14..18, "epochs are a number, not a percentage", ""),
            (
                "",
                0..0,
                "expected the name of a source or group",
                "write, for example, `web + books >= 80%` or `epochs(github) <= 4`",
            ),
        ] {
            let error = Expect::parse(text, &names).expect_err(text);
            assert_eq!(
                (error.span, error.message.as_str(), error.hint.unwrap_or_default().as_str()),
                (span, message, hint),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn spans_lie_in_the_line(text in "(web|code|epochs|[(]|[)]|[+±<>=%. ]|[0-9]|é){0,12}") {
            if let Err(error) = Expect::parse(&text, &names()) {
                prop_assert!(text.get(error.span).is_some());
            }
        }
    }
}
