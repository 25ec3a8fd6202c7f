//! Windows that are left out.

use crate::error::{Error, Result};

/// Spans of global windows that are left out, half-open. The rest keeps its numbers and its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skips {
    /// Sorted, disjoint, none empty, none touching the next.
    spans: Vec<(u64, u64)>,
}

impl Skips {
    /// Joins `spans`, in any order and overlapping or not.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a span that ends before it starts.
    pub fn new(spans: &[(u64, u64)]) -> Result<Self> {
        if let Some((from, to)) = spans.iter().find(|(from, to)| from > to) {
            return Err(Error::OutOfRange(format!(
                "cannot skip windows {from} to {to}: the end lies before the start"
            )));
        }
        let mut sorted: Vec<_> = spans.iter().copied().filter(|(from, to)| from < to).collect();
        sorted.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
        for (from, to) in sorted {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        Ok(Self { spans: joined })
    }

    /// These and those.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let spans: Vec<_> = self.spans.iter().chain(&other.spans).copied().collect();
        // Each span was checked when it was made.
        Self::new(&spans).unwrap_or_else(|_| self.clone())
    }

    /// The spans: sorted, disjoint, none touching the next.
    #[must_use]
    pub fn spans(&self) -> &[(u64, u64)] {
        &self.spans
    }
}

/// The windows of one set that are not left out, counted from 0.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Runs of kept windows: (kept windows before it, its first global window).
    runs: Vec<(u64, u64)>,
    /// Kept windows in all.
    count: u64,
    first: u64,
}

impl Kept {
    /// Of the set whose global windows are `first..first + length`.
    pub(crate) fn new(skips: &Skips, first: u64, length: u64) -> Self {
        let end = first.saturating_add(length);
        let (mut runs, mut count, mut at) = (Vec::new(), 0, first);
        let begin = skips.spans.partition_point(|span| span.1 <= first);
        for &(from, to) in skips.spans.get(begin..).unwrap_or_default().iter().take_while(|span| span.0 < end) {
            if from > at {
                runs.push((count, at));
                count += from - at;
            }
            at = to.min(end).max(at);
        }
        if at < end {
            runs.push((count, at));
            count += end - at;
        }
        Self { runs, count, first }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Global number of kept window `k`, which must exist.
    pub(crate) fn global(&self, k: u64) -> u64 {
        let run = self.runs.partition_point(|run| run.0 <= k).checked_sub(1);
        run.and_then(|run| self.runs.get(run)).map_or(self.first, |&(before, at)| at + (k - before))
    }

    /// Kept windows before global window `i`.
    pub(crate) fn before(&self, i: u64) -> u64 {
        let Some(run) = self.runs.partition_point(|run| run.1 <= i).checked_sub(1) else { return 0 };
        let Some(&(before, at)) = self.runs.get(run) else { return 0 };
        let next = self.runs.get(run + 1).map_or(self.count, |next| next.0);
        before.saturating_add(i - at).min(next)
    }
}
