//! What is off, by file.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Findings of one file that are told; the rest are counted.
const TOLD: usize = 5;

/// Something that is off.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, relative to the dataset.
    pub file: String,
    /// What is wrong with it.
    pub message: String,
}

/// Gathers findings from many threads.
#[derive(Debug, Default)]
pub(super) struct Findings {
    files: Mutex<BTreeMap<String, (Vec<String>, u64)>>,
}

impl Findings {
    pub(super) fn add(&self, file: &str, message: impl Into<String>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, more) = files.entry(file.to_owned()).or_default();
        if told.len() < TOLD {
            told.push(message.into());
        } else {
            *more += 1;
        }
    }

    /// All, sorted by file; those of one file in the order in which they were found.
    pub(super) fn into_sorted(self) -> Vec<Finding> {
        let files = self.files.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut findings = Vec::new();
        for (file, (told, more)) in files {
            findings.extend(told.into_iter().map(|message| Finding { file: file.clone(), message }));
            if more > 0 {
                findings.push(Finding { file, message: format!("and {more} more like these") });
            }
        }
        findings
    }
}
