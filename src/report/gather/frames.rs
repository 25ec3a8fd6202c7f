//! Sums over tables, by polars. Columns are handed over as they were read; polars itself opens no file.

use polars::prelude::{Column, DataFrame, DataType, Expr, IntoLazy, NamedFrom, Series, SortMultipleOptions, col};

use crate::error::{Error, Result};

fn failed(error: polars::error::PolarsError) -> Error {
    Error::Failed(format!("the report's tables: {error}"))
}

/// A table of columns of equal length.
pub(super) fn table(columns: Vec<Column>) -> Result<DataFrame> {
    DataFrame::new_infer_height(columns).map_err(failed)
}

/// A column of numbers.
pub(super) fn numbers(name: &str, values: &[u64]) -> Column {
    Series::new(name.into(), values).into()
}

/// A column of numbers, some missing.
pub(super) fn optional(name: &str, values: &[Option<u64>]) -> Column {
    Series::new(name.into(), values).into()
}

/// A column of words.
pub(super) fn words(name: &str, values: &[String]) -> Column {
    Series::new(name.into(), values).into()
}

/// Sums of `values` for each combination of `keys`, sorted by them; rows for which `only` is false are left out.
pub(super) fn sums(table: DataFrame, only: Option<Expr>, keys: &[&str], values: &[&str]) -> Result<DataFrame> {
    let rows = match only {
        Some(only) => table.lazy().filter(only),
        None => table.lazy(),
    };
    let keys: Vec<Expr> = keys.iter().map(|key| col(*key)).collect();
    let values: Vec<Expr> = values.iter().map(|value| col(*value).sum()).collect();
    rows.group_by(keys.clone())
        .agg(values)
        .sort_by_exprs(keys, SortMultipleOptions::default())
        .collect()
        .map_err(failed)
}

/// A column's numbers; missing ones are 0.
pub(super) fn read_numbers(table: &DataFrame, name: &str) -> Result<Vec<u64>> {
    let column = table.column(name).and_then(|column| column.cast(&DataType::UInt64)).map_err(failed)?;
    Ok(column.u64().map_err(failed)?.iter().map(|value| value.unwrap_or(0)).collect())
}

/// A column's words.
pub(super) fn read_words(table: &DataFrame, name: &str) -> Result<Vec<String>> {
    let column = table.column(name).map_err(failed)?.str().map_err(failed)?;
    Ok(column.iter().map(|value| value.unwrap_or_default().to_owned()).collect())
}

/// Sums that come batch by batch: partial sums are summed again whenever they grow long.
pub(super) struct Running {
    keys: Vec<&'static str>,
    values: Vec<&'static str>,
    sums: Option<DataFrame>,
    names: Vec<&'static str>,
    columns: Vec<Vec<u64>>,
}

/// Rows gathered before they are summed.
const ROWS: usize = 1 << 15;

impl Running {
    /// Sums of `values` by `keys`.
    pub(super) fn new(keys: &[&'static str], values: &[&'static str]) -> Self {
        let names: Vec<&'static str> = keys.iter().chain(values).copied().collect();
        let columns = names.iter().map(|_| Vec::new()).collect();
        Self { keys: keys.to_vec(), values: values.to_vec(), sums: None, names, columns }
    }

    /// Adds a row: its keys, then its values.
    pub(super) fn push(&mut self, row: &[u64]) -> Result<()> {
        for (column, value) in self.columns.iter_mut().zip(row) {
            column.push(*value);
        }
        if self.columns.first().is_some_and(|column| column.len() >= ROWS) { self.fold() } else { Ok(()) }
    }

    fn fold(&mut self) -> Result<()> {
        let columns = self.names.iter().zip(&self.columns).map(|(name, values)| numbers(name, values)).collect();
        let fresh = sums(table(columns)?, None, &self.keys, &self.values)?;
        self.columns.iter_mut().for_each(Vec::clear);
        self.sums = Some(match self.sums.take() {
            None => fresh,
            Some(sums) => self::sums(sums.vstack(&fresh).map_err(failed)?, None, &self.keys, &self.values)?,
        });
        Ok(())
    }

    /// All rows' sums, sorted by the keys.
    pub(super) fn finish(mut self) -> Result<Vec<Vec<u64>>> {
        self.fold()?;
        let sums = self.sums.unwrap_or_default();
        let columns = self.names.iter().map(|name| read_numbers(&sums, name)).collect::<Result<Vec<_>>>()?;
        let rows = columns.first().map_or(0, Vec::len);
        Ok((0..rows).map(|row| columns.iter().map(|column| column.get(row).copied().unwrap_or(0)).collect()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_sums_are_those_of_all_rows() {
        let mut running = Running::new(&["a", "b"], &["n"]);
        let rows = ROWS * 2 + 77;
        for row in 0..rows as u64 {
            running.push(&[row % 3, row % 2, row]).unwrap();
        }
        let found = running.finish().unwrap();
        assert_eq!(found.len(), 6);
        for sum in &found {
            let expected: u64 = (0..rows as u64).filter(|row| (row % 3, row % 2) == (sum[0], sum[1])).sum();
            assert_eq!(sum[2], expected);
        }
        assert!(found.is_sorted());
        assert!(Running::new(&["a"], &["n"]).finish().unwrap().is_empty());
    }
}
