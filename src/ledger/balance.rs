//! The equations that a ledger must satisfy.

use std::collections::BTreeMap;

use super::Row;

/// An equation that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imbalance {
    /// The source.
    pub source: String,
    /// The equation, in words.
    pub equation: String,
    /// Its left side.
    pub left: u128,
    /// Its right side.
    pub right: u128,
}

impl std::fmt::Display for Imbalance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "source `{}`: {} does not hold: {} and {}", self.source, self.equation, self.left, self.right)
    }
}

/// Checks the equations per source; `windows` gives, for each phase that was compiled, source and stored tokens of its
/// windows (windows × W).
#[must_use]
pub fn balance(rows: &[Row], windows: &BTreeMap<(String, String), u64>) -> Vec<Imbalance> {
    let mut sources: Vec<&str> = rows.iter().map(|row| row.source.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    sources.into_iter().flat_map(|source| one_source(source, rows, windows)).collect()
}

fn one_source(source: &str, rows: &[Row], windows: &BTreeMap<(String, String), u64>) -> Vec<Imbalance> {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.source == source).collect();
    let whole = |outcome: &str, count: fn(&Row) -> Option<u64>| {
        rows.iter()
            .filter(|r| r.phase.is_none() && r.epoch.is_none() && r.outcome == outcome)
            .map(|r| u128::from(count(r).unwrap_or(0)))
            .sum::<u128>()
    };
    let documents = |outcome: &str| whole(outcome, |r| r.documents);
    let tokens = |outcome: &str| whole(outcome, |r| r.tokens);

    let mut found = Vec::new();
    let mut check = |equation: String, left: u128, right: u128| {
        if left != right {
            found.push(Imbalance { source: source.to_owned(), equation, left, right });
        }
    };

    let filtered: u128 = rows
        .iter()
        .filter(|r| r.phase.is_none() && r.epoch.is_none() && r.outcome.starts_with("filtered:"))
        .map(|r| u128::from(r.documents.unwrap_or(0)))
        .sum();
    let removed = ["exact", "near", "near_validation", "held_out"];
    let lost: u128 = ["bad", "empty", "contaminated"].iter().chain(&removed).map(|o| documents(o)).sum();
    check(
        "documents: read = bad + filtered + empty + contaminated + exact + near + held out + survived".to_owned(),
        documents("read"),
        filtered + lost + documents("survived"),
    );
    check(
        "documents: survived = emitted + unused".to_owned(),
        documents("survived"),
        documents("emitted") + documents("unused"),
    );
    check(
        "tokens: tokenized = exact + near + held out + survived".to_owned(),
        tokens("tokenized"),
        removed.iter().map(|o| tokens(o)).sum::<u128>() + tokens("survived"),
    );

    let unique = tokens("survived");
    let mut epochs: BTreeMap<u32, [u128; 4]> = BTreeMap::new();
    for row in &rows {
        let Some(epoch) = row.epoch else { continue };
        let place = match row.outcome.as_str() {
            "emitted" => 0,
            "truncated" => 1,
            "unused" => 2,
            "other_phases" => 3,
            _ => continue,
        };
        epochs.entry(epoch).or_default()[place] += u128::from(row.tokens.unwrap_or(0));
    }
    if unique > 0 && epochs.is_empty() {
        check("tokens: a source never drawn has all unused in epoch 0".to_owned(), unique, 0);
    }
    let last = epochs.keys().next_back().copied();
    for (&epoch, parts) in &epochs {
        check(format!("tokens of epoch {epoch}: U = emitted + truncated + unused"), unique, parts.iter().sum());
        if Some(epoch) != last {
            check(format!("tokens of epoch {epoch}: only the last may have unused"), parts[2], 0);
        }
    }

    let mut phases: Vec<&str> = rows.iter().filter_map(|r| r.phase.as_deref()).collect();
    phases.extend(windows.keys().filter(|(_, s)| s == source).map(|(phase, _)| phase.as_str()));
    phases.sort_unstable();
    phases.dedup();
    for phase in phases {
        let of = |outcome: &str| {
            rows.iter()
                .filter(|r| r.phase.as_deref() == Some(phase) && r.outcome == outcome)
                .map(|r| u128::from(r.tokens.unwrap_or(0)))
                .sum::<u128>()
        };
        let stored = windows.get(&(phase.to_owned(), source.to_owned())).copied().unwrap_or(0);
        check(
            format!("tokens of phase `{phase}`: emitted = windows x W - padding"),
            of("emitted") + of("padding"),
            u128::from(stored),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(phase: Option<&str>, epoch: Option<u32>, outcome: &str, documents: Option<u64>, tokens: Option<u64>) -> Row {
        Row {
            source: "web".to_owned(),
            phase: phase.map(str::to_owned),
            epoch,
            outcome: outcome.to_owned(),
            documents,
            tokens,
            bytes: None,
        }
    }

    fn balanced() -> (Vec<Row>, BTreeMap<(String, String), u64>) {
        let rows = vec![
            row(None, None, "read", Some(10), None),
            row(None, None, "bad", Some(1), None),
            row(None, None, "filtered:where", Some(2), None),
            row(None, None, "exact", Some(1), Some(30)),
            row(None, None, "tokenized", None, Some(330)),
            row(None, None, "survived", Some(6), Some(300)),
            row(None, None, "emitted", Some(6), None),
            row(None, None, "unused", Some(0), None),
            row(Some("a"), Some(0), "emitted", None, Some(300)),
            row(Some("a"), Some(1), "emitted", None, Some(100)),
            row(None, Some(1), "unused", None, Some(200)),
        ];
        (rows, BTreeMap::from([(("a".to_owned(), "web".to_owned()), 400)]))
    }

    #[test]
    fn a_balanced_ledger_has_no_findings() {
        let (rows, windows) = balanced();
        assert_eq!(balance(&rows, &windows), []);
    }

    #[test]
    fn any_count_changed_is_found() {
        let (rows, windows) = balanced();
        for i in 0..rows.len() {
            let mut rows = rows.clone();
            if let Some(n) = rows[i].tokens.as_mut() {
                *n += 1;
            } else if let Some(n) = rows[i].documents.as_mut() {
                *n += 1;
            }
            assert_ne!(balance(&rows, &windows), [], "row {i} changed unseen");
        }
    }

    #[test]
    fn unused_before_the_last_epoch_is_found() {
        let (mut rows, windows) = balanced();
        rows[8].tokens = Some(290);
        rows[9].tokens = Some(110);
        rows[10].tokens = Some(190);
        rows.push(row(None, Some(0), "unused", None, Some(10)));
        let found = balance(&rows, &windows);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains("only the last may have unused"));
    }
}
