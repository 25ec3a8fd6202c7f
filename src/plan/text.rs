//! Plain tables for a terminal: no colour, no wider than [`WIDTH`].

/// Columns of a terminal that everything fits into.
pub const WIDTH: usize = 100;

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    heads: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    indent: usize,
}

impl Table {
    /// A table with these columns, indented by two.
    #[must_use]
    pub fn new(heads: &[(&str, Align)]) -> Self {
        Self {
            heads: heads.iter().map(|(head, align)| ((*head).to_owned(), *align)).collect(),
            rows: Vec::new(),
            indent: 2,
        }
    }

    /// Adds a row; missing cells are empty.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its width in columns when nothing is shortened.
    #[must_use]
    pub fn width(&self) -> usize {
        let widths = self.widths();
        self.indent + widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heads.iter().map(|(head, _)| head.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    /// The table as text, one line a row. When it would be too wide, cells of the first column are shortened in their middle.
    #[must_use]
    pub fn render(&self) -> String {
        let mut widths = self.widths();
        let others: usize = widths.iter().skip(1).map(|width| width + 2).sum();
        if let Some(first) = widths.first_mut() {
            *first = (*first).min(WIDTH.saturating_sub(others + self.indent).max(12));
        }
        let mut out = String::new();
        let heads: Vec<String> = self.heads.iter().map(|(head, _)| head.clone()).collect();
        if heads.iter().any(|head| !head.is_empty()) {
            self.line(&heads, &widths, &mut out);
        }
        for row in &self.rows {
            self.line(row, &widths, &mut out);
        }
        out
    }

    fn line(&self, cells: &[String], widths: &[usize], out: &mut String) {
        let mut line = " ".repeat(self.indent);
        for (index, ((_, align), width)) in self.heads.iter().zip(widths).enumerate() {
            if index > 0 {
                line.push_str("  ");
            }
            let cell = cells.get(index).map(String::as_str).unwrap_or_default();
            let cell = if index == 0 { shortened(cell, *width) } else { cell.to_owned() };
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            match align {
                Align::Left => line.extend([cell.as_str(), &padding]),
                Align::Right => line.extend([padding.as_str(), &cell]),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// `text` in at most `width` characters, its middle left out where it is longer.
#[must_use]
pub fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let tail = width.saturating_sub(1) / 2;
    let head = width.saturating_sub(1) - tail;
    text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

/// Words filled into lines no wider than [`WIDTH`], the first after `first`, the others after as many blanks.
#[must_use]
pub fn filled(first: &str, words: &str) -> String {
    let indent = first.chars().count();
    let mut out = first.to_owned();
    let mut column = indent;
    let mut fresh = true;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if !fresh && column + 1 + length > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
            fresh = true;
        }
        if !fresh {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        fresh = false;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_long_names_are_shortened() {
        let mut table = Table::new(&[("source", Align::Left), ("windows", Align::Right)]);
        table.row(vec!["web".into(), "1,234".into()]);
        table.row(vec!["a".repeat(120), "9".into()]);
        let text = table.render();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() == WIDTH), "{text}");
        assert!(lines[2].contains("aaa…aaa"));
        assert!(lines[1].ends_with("  1,234"));
    }

    #[test]
    fn words_are_filled() {
        let text = filled("warning: ", &"word ".repeat(60));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.lines().skip(1).all(|line| line.starts_with("         word")));
    }
}
