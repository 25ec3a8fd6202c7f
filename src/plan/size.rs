//! How large a source is, and how that is known.

use crate::curriculum::checked::{Curriculum, OnExhausted};
use crate::error::Result;

use super::{SourcePlan, number, refuse, shares};

/// How large a source is, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceSize {
    /// Unique tokens (BOS and EOS counted).
    pub tokens: u64,
    /// Documents, where known.
    pub documents: Option<u64>,
    /// How it is known.
    pub basis: Basis,
    /// Half-width of a 95 % interval round an estimate, as a part of `tokens` (0.02 for ± 2 %); zero where `tokens` is
    /// counted or declared, infinite where a single sample says nothing of its spread.
    pub spread: f64,
}

/// How a size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Counted after ingest and dedup: exact.
    Counted,
    /// Estimated from samples of the files.
    Estimated,
    /// Taken from the curriculum's `tokens:`.
    Declared,
}

impl SourceSize {
    /// A size that was counted.
    #[must_use]
    pub fn counted(tokens: u64, documents: u64) -> Self {
        Self { tokens, documents: Some(documents), basis: Basis::Counted, spread: 0.0 }
    }

    /// A size that the curriculum declares.
    #[must_use]
    pub fn declared(tokens: u64) -> Self {
        Self { tokens, documents: None, basis: Basis::Declared, spread: 0.0 }
    }

    /// The most the source can plausibly hold, in tokens: what the gate before ingest goes by, so that an estimate a little
    /// too low refuses nothing. Equal to `tokens` unless estimated; an estimate is widened by twice its spread.
    #[must_use]
    pub fn at_most(&self) -> u64 {
        let most = (self.tokens as f64) * 2.0_f64.mul_add(self.spread, 1.0);
        if self.basis != Basis::Estimated {
            self.tokens
        } else if most < 1.8e19 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within u64's range by the line above, and an estimate needs no last bits"
            )]
            let most = most.ceil() as u64;
            most.max(self.tokens)
        } else {
            u64::MAX
        }
    }
}

/// The sizes that the curriculum declares, for planning without data. A source that no phase reads may leave its size out.
///
/// # Errors
///
/// `Error::Curriculum` naming every source that is read and declares no `tokens:`.
pub fn declared_sizes(curriculum: &Curriculum) -> Result<Vec<SourceSize>> {
    let read = shares::sources_read(curriculum);
    let missing: Vec<String> = (curriculum.sources.iter().zip(&read))
        .filter(|(source, read)| **read && source.tokens.is_none())
        .map(|(source, _)| format!("`{}`", source.name))
        .collect();
    if !missing.is_empty() {
        return Err(refuse::curriculum(format!(
            "{} cannot be planned without data: add `tokens: SIZE` (its unique tokens), or point --data at the files",
            missing.join(", ")
        )));
    }
    Ok(curriculum.sources.iter().map(|source| SourceSize::declared(source.tokens.unwrap_or(0))).collect())
}

pub(super) fn source_plans(curriculum: &Curriculum, sizes: &[SourceSize]) -> Vec<SourcePlan> {
    (curriculum.sources.iter().zip(sizes))
        .map(|(source, size)| SourcePlan {
            name: source.name.clone(),
            size: *size,
            max_epochs: match (source.max_epochs, curriculum.on_exhausted) {
                (Some(epochs), _) => Some(u64::from(epochs)),
                (None, OnExhausted::Repeat) => None,
                (None, OnExhausted::Error) => Some(1),
            },
        })
        .collect()
}

/// A source that fits only if its estimate is not too high deserves a word.
pub(super) fn warn_of_estimates(sources: &[SourcePlan], stored: &[u64], warnings: &mut Vec<String>) {
    for (source, stored) in sources.iter().zip(stored) {
        let Some(epochs) = source.max_epochs.filter(|_| source.size.basis == Basis::Estimated) else { continue };
        let need = *stored as f64;
        let have = source.size.tokens as f64 * epochs as f64;
        if need > have {
            warnings.push(format!(
                "`{}` may fall short: {} tokens asked, about {} permitted by an estimate {}; ingest will tell",
                source.name,
                number::tokens(*stored),
                number::tokens_of(have),
                number::spread(source.size.spread),
            ));
        } else if need > have * (1.0 - source.size.spread).max(0.0) {
            warnings.push(format!(
                "`{}` is close to its limit: {} tokens asked, about {} permitted by an estimate {}; ingest will tell",
                source.name,
                number::tokens(*stored),
                number::tokens_of(have),
                number::spread(source.size.spread),
            ));
        }
    }
}
