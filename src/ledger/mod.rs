//! The ledger: the table in which all documents and tokens balance, written as `ledger.parquet`.
//!
//! | `phase` | `epoch` | outcomes | counts |
//! | --- | --- | --- | --- |
//! | null | null | `read`, `bad`, `filtered:RULE`, `empty`, `contaminated`, `exact`, `near`, `near_validation`, `held_out`, `survived` (U) | documents; tokens where tokenized; bytes where readable |
//! | null | null | `tokenized` | tokens only: all that went through the tokenizer |
//! | null | null | `emitted`, `unused` | documents only: those with a fragment in some window of the curriculum, and the rest |
//! | null | set | `truncated`, `unused`, `other_phases` | tokens only |
//! | set | set | `emitted` | tokens only |
//! | set | null | `padding` | tokens only |
//!
//! `other_phases` is what phases left out of this compile (`--phase`) read; it is zero, and left out, when all were compiled.

mod balance;
mod table;

pub use balance::{Imbalance, balance};
pub(crate) use table::{failed, properties};
pub use table::{read, write};

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The source.
    pub source: String,
    /// The phase; `None` before mixing.
    pub phase: Option<String>,
    /// The source's epoch.
    pub epoch: Option<u32>,
    /// What became of them: see the module's table.
    pub outcome: String,
    /// Documents.
    pub documents: Option<u64>,
    /// Tokens, BOS and EOS counted.
    pub tokens: Option<u64>,
    /// Bytes of text.
    pub bytes: Option<u64>,
}
