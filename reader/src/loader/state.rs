//! Where a run stands: what a checkpoint keeps.

use serde::{Deserialize, Serialize};

use super::skip::Skips;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::format::digest::to_hex;
use crate::set::WindowSet;

/// What a loader reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reads {
    /// All phases, one after the other.
    #[default]
    Phases,
    /// The phase of this name alone; its windows keep their global numbers.
    Phase(String),
    /// The held-out set of this name (`HOLDOUT/SOURCE`); its windows count from 0.
    Validation(String),
}

impl Reads {
    /// The sets of `dataset`.
    pub(crate) fn sets<'a>(&self, dataset: &'a Dataset) -> Result<&'a [WindowSet]> {
        match self {
            Self::Phases => Ok(dataset.phases()),
            Self::Phase(name) => dataset.phase(name).map(std::slice::from_ref),
            Self::Validation(name) => dataset.validation_set(name).map(std::slice::from_ref),
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            Self::Phases => None,
            Self::Phase(name) => Some(format!("phase {name}")),
            Self::Validation(name) => Some(format!("validation {name}")),
        }
    }
}

/// Where a run stands. The same on all ranks and without any batch shape: it may go on with another number of ranks and other
/// batch sizes, and then sees exactly the windows that it has not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderState {
    /// Version of this record: 1.
    pub version: u32,
    /// What is read: `null` for all phases, `phase NAME` or `validation NAME`.
    pub reads: Option<String>,
    /// Hex digests: the dataset's chain before its first phase and after each up to the one reached; for a held-out set, its own.
    pub digests: Vec<String>,
    /// The next global window.
    pub next_window: u64,
    /// Spans of windows that are left out, half-open, sorted.
    pub skip: Vec<(u64, u64)>,
}

impl LoaderState {
    /// The state of a run that reads `reads` of `dataset` and has handed out all before `next_window`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when there is no such set.
    pub fn new(dataset: &Dataset, reads: &Reads, next_window: u64, skips: &Skips) -> Result<Self> {
        Ok(Self {
            version: 1,
            reads: reads.name(),
            digests: digests(dataset, reads, next_window)?,
            next_window,
            skip: skips.spans().to_vec(),
        })
    }

    /// Whether a run over `dataset` may go on from here: its digests up to the phase reached must be those of the state.
    ///
    /// # Errors
    /// [`Error::Contract`] when they are not, or the state is of another set.
    pub fn check(&self, dataset: &Dataset, reads: &Reads) -> Result<()> {
        let refuse = |message: String| Err(Error::Contract(message));
        if self.version != 1 {
            return refuse(format!("the state has version {}, not 1", self.version));
        }
        if self.reads != reads.name() {
            let name = |reads: Option<&String>| reads.map_or("all phases".to_owned(), |name| format!("`{name}`"));
            return refuse(format!(
                "the state is of a run over {}, not {}",
                name(self.reads.as_ref()),
                name(reads.name().as_ref())
            ));
        }
        let found = match reads {
            Reads::Validation(_) => digests(dataset, reads, self.next_window)?,
            Reads::Phases | Reads::Phase(_) => dataset.digest_chain()?.iter().map(to_hex).collect(),
        };
        if self.digests.is_empty() || !found.starts_with(&self.digests) {
            let same = found.iter().zip(&self.digests).take_while(|(found, kept)| found == kept).count();
            let what = match same.checked_sub(1) {
                None => "its tokenizer or format is another".to_owned(),
                Some(phases) => match dataset.phases().get(phases) {
                    Some(phase) => format!("phase `{}`, which the run had reached, is another", phase.name()),
                    None => "the run had reached a phase that this dataset does not have".to_owned(),
                },
            };
            return refuse(format!("{} is not the dataset of this state: {what}", dataset.dir().display()));
        }
        Ok(())
    }
}

/// The chain up to the last phase that has a window before `next_window`.
fn digests(dataset: &Dataset, reads: &Reads, next_window: u64) -> Result<Vec<String>> {
    if let Reads::Validation(name) = reads {
        let sets = dataset.manifest().validation.iter();
        return Ok(sets.filter(|set| set.path() == *name).map(|set| set.digest.clone()).collect());
    }
    let reached = match reads {
        Reads::Phase(name) => dataset.phases().iter().position(|phase| phase.name() == name).map_or(0, |i| i + 1),
        _ => dataset.phases().partition_point(|phase| phase.first_window() < next_window),
    };
    Ok(dataset.digest_chain()?.iter().take(reached + 1).map(to_hex).collect())
}
