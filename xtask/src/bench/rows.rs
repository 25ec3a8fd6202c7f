//! What was measured.

/// Measurements of one tokenizer after the other.
#[derive(Default)]
pub struct Rows(Vec<Row>);

/// A measurement.
pub struct Row {
    /// The tokenizer's name.
    pub tokenizer: String,
    /// What was done with it.
    pub what: &'static str,
    /// In which run.
    pub run: usize,
    /// How long it took.
    pub seconds: f64,
}

impl Rows {
    /// Keeps a measurement.
    pub fn push(&mut self, tokenizer: &str, what: &'static str, run: usize, seconds: f64) {
        self.0.push(Row { tokenizer: tokenizer.to_owned(), what, run, seconds });
    }

    /// All of them.
    pub fn all(&self) -> &[Row] {
        &self.0
    }

    fn of<'a>(&'a self, tokenizer: &'a str, what: &'a str) -> impl Iterator<Item = &'a Row> {
        self.0.iter().filter(move |row| row.tokenizer == tokenizer && row.what == what)
    }

    /// The median of a tokenizer's runs.
    pub fn seconds(&self, tokenizer: &str, what: &str) -> Option<f64> {
        median(self.of(tokenizer, what).map(|row| row.seconds).collect())
    }

    /// The median of how one time compares to another of the same run: `more` is added to the first. The machine's speed
    /// changes from minute to minute, and what was measured side by side is changed alike.
    pub fn ratio(&self, tokenizer: &str, (one, more): (&str, f64), other: &str) -> Option<f64> {
        let beside = |row: &Row| self.of(tokenizer, other).find(|than| than.run == row.run).map(|than| than.seconds);
        median(self.of(tokenizer, one).filter_map(|row| Some((row.seconds + more) / beside(row)?)).collect())
    }
}

/// The median of some numbers; nothing of none.
pub fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}
