//! Whether a row is read: a `where` condition over the row's values, in SQL's three-valued logic.
//!
//! Rows of all formats are judged here, value by value, so that the same row has the same fate in Parquet and in JSON.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::decode::Value;
use crate::curriculum::filter::{Comparison, Condition, Filter, Literal, Operand};

/// Judges one row; `values` holds the values of [`Filter::columns`], in that order. `Ok(None)` is SQL's unknown; only
/// `Ok(Some(true))` reads the row.
///
/// # Errors
/// A value of a kind that the condition does not compare with (a text with a number): why, in words. Every part of the
/// condition is looked at, so whether a row fails so does not depend on the order of its parts.
pub fn judge(filter: &Filter, values: &[Value<'_>]) -> Result<Option<bool>, String> {
    Row { names: filter.columns(), values }.judge(filter.condition())
}

struct Row<'a> {
    names: &'a [String],
    values: &'a [Value<'a>],
}

impl<'a> Row<'a> {
    fn judge(&self, condition: &Condition) -> Result<Option<bool>, String> {
        match condition {
            Condition::All(parts) => self.gather(parts, false),
            Condition::Any(parts) => self.gather(parts, true),
            Condition::Not(part) => Ok(self.judge(part)?.map(|truth| !truth)),
            Condition::Constant(truth) => Ok(Some(*truth)),
            Condition::Flag(column) => match self.value(*column) {
                Value::Absent | Value::Null => Ok(None),
                Value::Boolean(truth) => Ok(Some(*truth)),
                value => Err(self.mismatch(*column, value, "a boolean")),
            },
            Condition::Compare { left, op, right } => self.compare(left, *op, right),
            Condition::Among { column, list } => {
                let value = self.value(*column);
                let text = value.text()?.map(Value::Text);
                let value = text.as_ref().unwrap_or(value);
                // The list is of one kind, so the first literal tells whether the value can be compared with any.
                match list.first().map(|literal| self.order(*column, value, literal)).transpose()?.flatten() {
                    None => Ok(None),
                    Some(_) => {
                        let order = |literal: &Literal| self.order(*column, value, literal).ok().flatten();
                        let found = list.binary_search_by(|l| order(l).map_or(Ordering::Less, Ordering::reverse));
                        Ok(Some(found.is_ok()))
                    }
                }
            }
            Condition::Like { column, pattern } => match self.value(*column) {
                Value::Absent | Value::Null => Ok(None),
                value => match value.text()? {
                    Some(text) => Ok(Some(pattern.matches(&text))),
                    None => Err(self.mismatch(*column, value, "a pattern of text")),
                },
            },
            Condition::IsNull { column } => Ok(Some(matches!(self.value(*column), Value::Absent | Value::Null))),
        }
    }

    /// `AND` (`decisive` false) or `OR` (`decisive` true) over all parts.
    fn gather(&self, parts: &[Condition], decisive: bool) -> Result<Option<bool>, String> {
        let mut truth = Some(!decisive);
        for part in parts {
            match self.judge(part)? {
                Some(one) if one == decisive => truth = Some(decisive),
                None if truth != Some(decisive) => truth = None,
                _ => {}
            }
        }
        Ok(truth)
    }

    fn compare(&self, left: &Operand, op: Comparison, right: &Operand) -> Result<Option<bool>, String> {
        let ordering = match (left, right) {
            (Operand::Column(column), Operand::Literal(literal)) => {
                self.order(*column, self.value(*column), literal)?
            }
            (Operand::Literal(literal), Operand::Column(column)) => {
                self.order(*column, self.value(*column), literal)?.map(Ordering::reverse)
            }
            (Operand::Column(a), Operand::Column(b)) => self.order_columns(*a, *b)?,
            (Operand::Literal(_), Operand::Literal(_)) => None,
        };
        Ok(ordering.map(|ordering| op.holds(ordering)))
    }

    fn order(&self, column: usize, value: &Value<'_>, literal: &Literal) -> Result<Option<Ordering>, String> {
        match (value, literal) {
            (Value::Absent | Value::Null, _) => Ok(None),
            (Value::Boolean(a), Literal::Boolean(b)) => Ok(Some(a.cmp(b))),
            (Value::Number(a), Literal::Number(b)) => Ok(Some(a.compare(*b))),
            (value, Literal::Text(b)) => match value.text()? {
                Some(a) => Ok(Some(a.as_ref().cmp(b.as_str()))),
                None => Err(self.mismatch(column, value, "a text")),
            },
            (value, Literal::Boolean(_)) => Err(self.mismatch(column, value, "a boolean")),
            (value, Literal::Number(_)) => Err(self.mismatch(column, value, "a number")),
        }
    }

    fn order_columns(&self, a: usize, b: usize) -> Result<Option<Ordering>, String> {
        match (self.value(a), self.value(b)) {
            (Value::Absent | Value::Null, _) | (_, Value::Absent | Value::Null) => Ok(None),
            (Value::Boolean(a), Value::Boolean(b)) => Ok(Some(a.cmp(b))),
            (Value::Number(a), Value::Number(b)) => Ok(Some(a.compare(*b))),
            (left, right) => match (left.text()?, right.text()?) {
                (Some(a), Some(b)) => Ok(Some(Cow::cmp(&a, &b))),
                _ => Err(self.mismatch(a, left, right.kind())),
            },
        }
    }

    fn value(&self, column: usize) -> &'a Value<'a> {
        self.values.get(column).unwrap_or(&Value::Absent)
    }

    fn mismatch(&self, column: usize, value: &Value<'_>, with: &str) -> String {
        let name = self.names.get(column).map_or("", String::as_str);
        format!("`{name}` is {}, and `where` compares it with {with}", value.kind())
    }
}
