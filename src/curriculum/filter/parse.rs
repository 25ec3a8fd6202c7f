//! From SQL's syntax tree to a [`Condition`]: what the language does not hold is refused here, with its place.

use std::cmp::Ordering;
use std::ops::Range;

use sqlparser::ast::{BinaryOperator, Expr, Ident, InTarget, Spanned, UnaryOperator, Value};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::pattern::Pattern;
use super::{Comparison, Condition, FilterError, Literal, Number, Operand};

/// Longest condition in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Most tokens that can nest; lists of literals do not count. The parser's trees are as deep as chains are long, and
/// dropping one recurses.
const MAX_STRUCTURE: usize = 1000;
/// Depth of nested brackets.
const MAX_DEPTH: usize = 64;
/// The language's own words.
const WORDS: [Keyword; 12] = [
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::IN,
    Keyword::BETWEEN,
    Keyword::LIKE,
    Keyword::ILIKE,
    Keyword::ESCAPE,
    Keyword::IS,
    Keyword::NULL,
    Keyword::TRUE,
    Keyword::FALSE,
];
const LANGUAGE: &str = "a condition holds comparisons (= <> < <= > >=), AND, OR, NOT, IN, BETWEEN, LIKE, ILIKE and IS [NOT] NULL over columns and literals";

/// SQL's plain words and double quotes, and no vendor's additions.
#[derive(Debug)]
struct Conditions;

impl Dialect for Conditions {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"'
    }
}

type Parsed<T> = Result<T, FilterError>;

pub(super) fn parse(text: &str) -> Parsed<(Vec<String>, Condition)> {
    let whole = 0..text.len();
    if text.trim().is_empty() {
        return Err(error(whole, "the condition is empty", Some("leave `where` out to read every row")));
    }
    if text.len() > MAX_BYTES {
        return Err(error(
            0..0,
            "the condition is longer than 1 MiB",
            Some("put the choice into a column of the data"),
        ));
    }
    let places = Places::new(text);
    let mut tokens = Tokenizer::new(&Conditions, text).tokenize_with_location().map_err(|e| {
        let at = places.byte(e.location);
        let hint = e.message.contains("Unterminated").then_some("a text stands in single quotes: 'like this'");
        error(at..text.len(), lower_first(&e.message), hint)
    })?;
    let structure = tokens.iter().filter(|t| counts_as_structure(&t.token));
    if structure.clone().count() > MAX_STRUCTURE {
        let at = structure.clone().nth(MAX_STRUCTURE).map_or(0, |t| places.byte(t.span.start));
        return Err(error(at..text.len(), "the condition is too long", Some("use IN (...) in place of many ORs")));
    }
    // A word that the language does not use is a column, whatever it means elsewhere in SQL: `date`, `interval`, `public`.
    for token in &mut tokens {
        if let Token::Word(word) = &mut token.token
            && !WORDS.contains(&word.keyword)
        {
            word.keyword = Keyword::NoKeyword;
        }
    }
    let found = tokens.clone();
    let mut parser = Parser::new(&Conditions).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let tree = match parser.parse_expr() {
        Ok(tree) => tree,
        Err(ParserError::RecursionLimitExceeded) => {
            return Err(error(whole, "the condition nests too deeply", Some("take brackets away")));
        }
        Err(e) => return Err(syntax(&e.to_string(), &places, &found, &parser.peek_token())),
    };
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let what = format!("`{}` was not expected here", next.token);
        let hint = match next.token {
            Token::SemiColon => "a condition ends without a semicolon",
            _ => {
                "join two conditions with AND or OR; a column name with other characters than letters, digits and _ stands in double quotes"
            }
        };
        return Err(error(places.range(next.span), what, Some(hint)));
    }
    let mut lowering = Lowering { places, columns: Vec::new() };
    let condition = lowering.condition(&tree)?;
    Ok((lowering.columns, condition))
}

fn counts_as_structure(token: &Token) -> bool {
    !matches!(token, Token::Comma | Token::Whitespace(_) | Token::Number(..) | Token::SingleQuotedString(_))
}

fn error(span: Range<usize>, message: impl Into<String>, hint: Option<&str>) -> FilterError {
    FilterError { span, message: message.into(), hint: hint.map(str::to_owned) }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// The parser's own error: its text ends with a place, which becomes a span.
fn syntax(text: &str, places: &Places<'_>, tokens: &[TokenWithSpan], next: &TokenWithSpan) -> FilterError {
    let text = text.trim_start_matches("sql parser error: ");
    let (message, location) = match text.rsplit_once(" at Line: ") {
        Some((message, place)) => (message, read_location(place)),
        None => (text, None),
    };
    let location = location.or((next.token != Token::EOF).then_some(next.span.start));
    let span = match location {
        Some(location) => match tokens.iter().find(|t| t.span.start == location) {
            Some(token) => places.range(token.span),
            None => places.byte(location)..places.byte(location),
        },
        None => places.text.len()..places.text.len(),
    };
    let message = message.replace("Expected: ", "expected ").replace("found: EOF", "found the end");
    let message = message.replace("found: ", "found ");
    error(span, lower_first(&message), Some("a text stands in single quotes, an unusual column name in double ones"))
}

fn read_location(place: &str) -> Option<Location> {
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

/// Turns the parser's lines and columns (in characters) into byte offsets.
struct Places<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines }
    }

    fn byte(&self, place: Location) -> usize {
        let before = |n: u64| usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(&start) = self.lines.get(before(place.line)) else { return self.text.len() };
        let line = self.text.get(start..).unwrap_or_default();
        line.char_indices().nth(before(place.column)).map_or(self.text.len(), |(at, _)| start + at)
    }

    fn range(&self, span: Span) -> Range<usize> {
        if span.start.line == 0 {
            return 0..self.text.len();
        }
        let start = self.byte(span.start);
        start..self.byte(span.end).max(start)
    }
}

struct Lowering<'a> {
    places: Places<'a>,
    columns: Vec<String>,
}

impl Lowering<'_> {
    fn at(&self, node: &impl Spanned) -> Range<usize> {
        self.places.range(node.span())
    }

    fn condition(&mut self, tree: &Expr) -> Parsed<Condition> {
        match tree {
            Expr::Nested(inner) => self.condition(inner),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(Condition::Not(Box::new(self.condition(expr)?))),
            Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => self.chain(tree, op),
            Expr::BinaryOp { left, op, right } => self.comparison(tree, left, op, right),
            Expr::Between { expr, negated, low, high } => {
                let at_least = self.compare(expr, Comparison::GreaterOrEqual, low)?;
                let at_most = self.compare(expr, Comparison::LessOrEqual, high)?;
                Ok(negate(*negated, Condition::All(vec![at_least, at_most])))
            }
            Expr::In { expr, target: InTarget::List(list), negated, global: false } => {
                Ok(negate(*negated, self.among(tree, expr, list)?))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                Ok(negate(*negated, self.like(expr, pattern, escape_char.as_deref(), false)?))
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                Ok(negate(*negated, self.like(expr, pattern, escape_char.as_deref(), true)?))
            }
            Expr::IsNull(expr) => Ok(Condition::IsNull { column: self.column(expr)? }),
            Expr::IsNotNull(expr) => Ok(negate(true, Condition::IsNull { column: self.column(expr)? })),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Ok(Condition::Flag(self.column(tree)?)),
            Expr::Value(value) => match value.value {
                Value::Boolean(constant) => Ok(Condition::Constant(constant)),
                _ => Err(error(
                    self.at(tree),
                    format!("`{tree}` alone says neither yes nor no"),
                    Some("compare it with a column"),
                )),
            },
            _ => Err(self.foreign(tree)),
        }
    }

    /// `a AND b AND c`, which the parser nests to the left, as one list.
    fn chain(&mut self, tree: &Expr, join: &BinaryOperator) -> Parsed<Condition> {
        let mut parts = Vec::new();
        let mut rest = tree;
        while let Expr::BinaryOp { left, op, right } = rest
            && op == join
        {
            parts.push(right.as_ref());
            rest = left;
        }
        parts.push(rest);
        let parts = parts.into_iter().rev().map(|part| self.condition(part)).collect::<Parsed<Vec<_>>>()?;
        Ok(if *join == BinaryOperator::And { Condition::All(parts) } else { Condition::Any(parts) })
    }

    fn comparison(&mut self, tree: &Expr, left: &Expr, op: &BinaryOperator, right: &Expr) -> Parsed<Condition> {
        let op = match op {
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            other => return Err(error(self.at(tree), format!("`{other}` is not part of conditions"), Some(LANGUAGE))),
        };
        self.compare(left, op, right)
    }

    fn compare(&mut self, left: &Expr, op: Comparison, right: &Expr) -> Parsed<Condition> {
        // In SQL double quotes name a column; one to the right of `=` after a column is nearly always meant as a text.
        if let (Expr::Identifier(Ident { value, quote_style: Some(_), .. }), Comparison::Equal | Comparison::NotEqual) =
            (right, op)
            && matches!(left, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        {
            let hint = format!("double quotes name a column; a text stands in single quotes: '{value}'");
            return Err(error(self.at(right), format!("\"{value}\" is a column here, not a text"), Some(&hint)));
        }
        let span = self.at(left).start..self.at(right).end;
        let left = self.operand(left)?;
        let right = self.operand(right)?;
        if let (Operand::Literal(_), Operand::Literal(_)) = (&left, &right) {
            return Err(error(span, "this compares two literals", Some("compare a column with a literal")));
        }
        Ok(Condition::Compare { left, op, right })
    }

    fn among(&mut self, tree: &Expr, value: &Expr, list: &[Expr]) -> Parsed<Condition> {
        let column = self.column(value)?;
        let mut literals = Vec::with_capacity(list.len());
        for item in list {
            match self.operand(item)? {
                Operand::Literal(literal) => literals.push(literal),
                Operand::Column(_) => {
                    return Err(error(
                        self.at(item),
                        format!("`{item}` is a column, and a list holds literals"),
                        Some("a text stands in single quotes"),
                    ));
                }
            }
        }
        let Some(first) = literals.first() else {
            return Err(error(self.at(tree), "the list is empty", None));
        };
        let kind = std::mem::discriminant(first);
        if let Some(at) = literals.iter().position(|literal| std::mem::discriminant(literal) != kind) {
            let span = list.get(at).map_or(0..0, |item| self.at(item));
            return Err(error(
                span,
                "the list mixes texts, numbers or booleans",
                Some("a column has values of one kind"),
            ));
        }
        literals.sort_by(|a, b| a.compare(b).unwrap_or(Ordering::Equal));
        Ok(Condition::Among { column, list: literals })
    }

    fn like(&mut self, value: &Expr, pattern: &Expr, escape: Option<&Expr>, ignore_case: bool) -> Parsed<Condition> {
        let column = self.column(value)?;
        let Operand::Literal(Literal::Text(text)) = self.operand(pattern)? else {
            return Err(error(self.at(pattern), "a pattern is a text", Some("for example LIKE '%.sql'")));
        };
        let escape = match escape {
            None => None,
            Some(given) => {
                let one = match self.operand(given)? {
                    Operand::Literal(Literal::Text(text)) => {
                        let mut chars = text.chars();
                        chars.next().filter(|_| chars.next().is_none())
                    }
                    _ => None,
                };
                Some(one.ok_or_else(|| {
                    error(self.at(given), "ESCAPE takes one character", Some("for example ESCAPE '\\'"))
                })?)
            }
        };
        let pattern = Pattern::new(&text, escape, ignore_case).map_err(|e| error(self.at(pattern), e, None))?;
        Ok(Condition::Like { column, pattern })
    }

    fn column(&mut self, tree: &Expr) -> Parsed<usize> {
        match self.operand(tree)? {
            Operand::Column(column) => Ok(column),
            Operand::Literal(_) => {
                Err(error(self.at(tree), format!("`{tree}` is a literal where a column is wanted"), None))
            }
        }
    }

    fn operand(&mut self, tree: &Expr) -> Parsed<Operand> {
        match tree {
            Expr::Nested(inner) => self.operand(inner),
            Expr::Identifier(name) => Ok(Operand::Column(self.column_index(name.value.clone()))),
            Expr::CompoundIdentifier(names) => {
                let path = names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".");
                Ok(Operand::Column(self.column_index(path)))
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match self.operand(expr)? {
                Operand::Literal(Literal::Number(number)) => Ok(Operand::Literal(Literal::Number(match number {
                    Number::Whole(whole) => Number::Whole(-whole),
                    Number::Real(real) => Number::Real(-real),
                }))),
                _ => Err(self.foreign(tree)),
            },
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => match self.operand(expr)? {
                number @ Operand::Literal(Literal::Number(_)) => Ok(number),
                _ => Err(self.foreign(tree)),
            },
            Expr::Value(value) => self.literal(tree, &value.value).map(Operand::Literal),
            _ => Err(self.foreign(tree)),
        }
    }

    fn literal(&self, tree: &Expr, value: &Value) -> Parsed<Literal> {
        match value {
            Value::SingleQuotedString(text) => Ok(Literal::Text(text.clone())),
            Value::Boolean(boolean) => Ok(Literal::Boolean(*boolean)),
            // `i128::MIN` cannot be spelt without its sign, so the negation of what is read here never overflows.
            Value::Number(number, _) => match Number::parse(number) {
                Some(Number::Real(real)) if real.is_infinite() => {
                    Err(error(self.at(tree), "the number is too large", None))
                }
                Some(number) => Ok(Literal::Number(number)),
                None => Err(error(self.at(tree), format!("`{number}` is not a number"), None)),
            },
            Value::Null => Err(error(
                self.at(tree),
                "nothing compares with NULL: this would be true for no row",
                Some("write IS NULL or IS NOT NULL"),
            )),
            _ => Err(self.foreign(tree)),
        }
    }

    fn column_index(&mut self, name: String) -> usize {
        if let Some(at) = self.columns.iter().position(|have| *have == name) {
            return at;
        }
        self.columns.push(name);
        self.columns.len() - 1
    }

    fn foreign(&self, tree: &Expr) -> FilterError {
        let what = match tree {
            Expr::Function(function) => format!("the function `{}` is not part of conditions", function.name),
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::In { .. } => "a query is not part of conditions".to_owned(),
            Expr::BinaryOp { op, .. } => format!("`{op}` is not part of conditions"),
            Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsNotTrue(_) | Expr::IsNotFalse(_) => {
                let hint = "write the column alone, or compare it: `flag`, `flag = FALSE`";
                return error(self.at(tree), "IS TRUE and IS FALSE are not part of conditions", Some(hint));
            }
            _ => format!("`{tree}` is not part of conditions"),
        };
        error(self.at(tree), what, Some(LANGUAGE))
    }
}

fn negate(negated: bool, condition: Condition) -> Condition {
    if negated { Condition::Not(Box::new(condition)) } else { condition }
}
