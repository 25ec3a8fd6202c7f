//! The natural mix: what share of all tokens each source has, before and after duplicates were removed.

use serde::Serialize;

use super::ReportSource;
use crate::plan::number;
use crate::plan::text::{Align, Table};

/// A source in the natural mix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Natural {
    /// Its name.
    pub source: String,
    /// Tokens of all its documents, before exact and near duplicates were removed.
    pub tokens_before: u64,
    /// Its share of all sources' tokens then.
    pub share_before: f64,
    /// Tokens of those that stayed, held-out ones too.
    pub tokens_after: u64,
    /// Its share of all sources' tokens after.
    pub share_after: f64,
}

/// All sources; none when the ledger does not say what was tokenized, or when there was nothing.
pub(super) fn natural_mix(sources: &[ReportSource]) -> Vec<Natural> {
    let of = |source: &ReportSource, outcome: &str| source.tokens.get(outcome).copied();
    let tokens: Option<Vec<(u64, u64)>> = (sources.iter())
        .map(|source| {
            let after = of(source, "survived")?.saturating_add(of(source, "held_out").unwrap_or(0));
            Some((of(source, "tokenized")?, after))
        })
        .collect();
    let tokens = tokens.unwrap_or_default();
    let sum = |part: fn(&(u64, u64)) -> u64| tokens.iter().map(part).fold(0, u64::saturating_add);
    let (before, after) = (sum(|tokens| tokens.0), sum(|tokens| tokens.1));
    if before == 0 || after == 0 {
        return Vec::new();
    }
    (sources.iter().zip(&tokens))
        .map(|(source, &(tokens_before, tokens_after))| Natural {
            source: source.name.clone(),
            tokens_before,
            share_before: tokens_before as f64 / before as f64,
            tokens_after,
            share_after: tokens_after as f64 / after as f64,
        })
        .collect()
}

/// As a table; nothing for one source, or when nothing was removed.
pub(super) fn render(mix: &[Natural]) -> String {
    if mix.len() < 2 || mix.iter().all(|source| source.tokens_before == source.tokens_after) {
        return String::new();
    }
    let mut table = Table::new(&[
        ("natural mix", Align::Left),
        ("tokens read", Align::Right),
        ("share", Align::Right),
        ("without duplicates", Align::Right),
        ("share", Align::Right),
        ("shift", Align::Right),
    ]);
    for source in mix {
        table.row(vec![
            source.source.clone(),
            number::tokens(source.tokens_before),
            number::percent(source.share_before),
            number::tokens(source.tokens_after),
            number::percent(source.share_after),
            format!("{:+.2}", 100.0 * (source.share_after - source.share_before)),
        ]);
    }
    format!("\n{}", table.render())
}
