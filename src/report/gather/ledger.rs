//! The ledger's rows summed by source: flows, epochs, padding.

use std::collections::BTreeMap;

use polars::prelude::{Expr, col};

use super::frames::{optional, read_numbers, read_words, sums, table, words};
use crate::error::Result;
use crate::ledger::Row;
use crate::report::model::{EpochUse, Flow, Rule};

/// What the ledger says, by source.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Flow of each source.
    pub(super) flows: Vec<Flow>,
    /// Epochs of each source.
    pub(super) epochs: Vec<Vec<EpochUse>>,
    /// Tokens of epoch 0 emitted, by phase and source.
    pub(super) first_reads: BTreeMap<(String, usize), u64>,
    /// Whether phases of the curriculum were left out.
    pub(super) partial: bool,
}

/// Sums the ledger; sources by their place in `names`.
pub(super) fn accounts(rows: &[Row], names: &[String]) -> Result<Accounts> {
    let columns = || -> Result<_> {
        let phases: Vec<String> = rows.iter().map(|row| row.phase.clone().unwrap_or_default()).collect();
        let index = |row: &Row| names.iter().position(|name| *name == row.source).map(|index| index as u64);
        let whole = |row: &Row| Some(u64::from(row.phase.is_none() && row.epoch.is_none()));
        table(vec![
            optional("source", &rows.iter().map(index).collect::<Vec<_>>()),
            words("phase", &phases),
            optional("epoch", &rows.iter().map(|row| row.epoch.map(u64::from)).collect::<Vec<_>>()),
            words("outcome", &rows.iter().map(|row| row.outcome.clone()).collect::<Vec<_>>()),
            optional("whole", &rows.iter().map(whole).collect::<Vec<_>>()),
            optional("documents", &rows.iter().map(|row| row.documents).collect::<Vec<_>>()),
            optional("tokens", &rows.iter().map(|row| row.tokens).collect::<Vec<_>>()),
        ])
    };
    let mut found = Accounts {
        flows: vec![Flow::default(); names.len()],
        epochs: vec![Vec::new(); names.len()],
        ..Accounts::default()
    };
    let known: Expr = col("source").is_not_null();

    let whole = known.clone().and(col("whole").eq(1_u64));
    let before = sums(columns()?, Some(whole), &["source", "outcome"], &["documents", "tokens"])?;
    let (sources, outcomes) = (read_numbers(&before, "source")?, read_words(&before, "outcome")?);
    let (documents, tokens) = (read_numbers(&before, "documents")?, read_numbers(&before, "tokens")?);
    for (((source, outcome), documents), tokens) in sources.iter().zip(&outcomes).zip(documents).zip(tokens) {
        if let Some(flow) = usize::try_from(*source).ok().and_then(|source| found.flows.get_mut(source)) {
            before_mixing(flow, outcome, documents, tokens);
        }
    }

    let mixed = known.and(col("whole").eq(0_u64));
    let mixed = sums(columns()?, Some(mixed), &["source", "phase", "epoch", "outcome"], &["tokens"])?;
    let (sources, phases) = (read_numbers(&mixed, "source")?, read_words(&mixed, "phase")?);
    let (epochs, outcomes) = (read_numbers(&mixed, "epoch")?, read_words(&mixed, "outcome")?);
    let tokens = read_numbers(&mixed, "tokens")?;
    for ((((source, phase), epoch), outcome), tokens) in
        sources.iter().zip(&phases).zip(epochs).zip(&outcomes).zip(tokens)
    {
        let Ok(source) = usize::try_from(*source) else { continue };
        let (Some(flow), Some(uses)) = (found.flows.get_mut(source), found.epochs.get_mut(source)) else { continue };
        let sum = &mut flow.tokens;
        if outcome == "padding" {
            sum.padding += tokens;
            continue;
        }
        let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
        let at = uses.iter().position(|of| of.epoch == epoch).unwrap_or_else(|| {
            uses.push(EpochUse { epoch, emitted: 0, truncated: 0, unused: 0, other_phases: 0 });
            uses.len() - 1
        });
        let Some(of) = uses.get_mut(at) else { continue };
        let (sum, part) = match outcome.as_str() {
            "emitted" => (&mut sum.emitted, &mut of.emitted),
            "truncated" => (&mut sum.truncated, &mut of.truncated),
            "unused" => (&mut sum.unused, &mut of.unused),
            "other_phases" => (&mut sum.other_phases, &mut of.other_phases),
            _ => continue,
        };
        *sum += tokens;
        *part += tokens;
        if outcome == "emitted" && epoch == 0 {
            *found.first_reads.entry((phase.clone(), source)).or_default() += tokens;
        }
        found.partial |= outcome == "other_phases" && tokens > 0;
    }
    found.epochs.iter_mut().for_each(|uses| uses.sort_by_key(|of| of.epoch));
    Ok(found)
}

fn before_mixing(flow: &mut Flow, outcome: &str, documents: u64, tokens: u64) {
    if let Some(rule) = outcome.strip_prefix("filtered:") {
        flow.documents.filtered.push(Rule { rule: rule.to_owned(), documents });
        return;
    }
    let (of_documents, of_tokens) = (&mut flow.documents, &mut flow.tokens);
    match outcome {
        "read" => of_documents.read += documents,
        "bad" => of_documents.bad += documents,
        "empty" => of_documents.empty += documents,
        "contaminated" => of_documents.contaminated += documents,
        "emitted" => of_documents.emitted += documents,
        "unused" => of_documents.unused += documents,
        "tokenized" => of_tokens.tokenized += tokens,
        "exact" => (of_documents.exact, of_tokens.exact) = (documents, tokens),
        "near" => (of_documents.near, of_tokens.near) = (documents, tokens),
        "near_validation" => (of_documents.near_validation, of_tokens.near_validation) = (documents, tokens),
        "held_out" => (of_documents.held_out, of_tokens.held_out) = (documents, tokens),
        "survived" => (of_documents.survived, of_tokens.survived) = (documents, tokens),
        _ => {}
    }
}
