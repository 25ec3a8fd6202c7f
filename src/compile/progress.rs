//! What a compile tells whoever watches. How it is shown is the command line's.

/// A stage of the compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Loading and probing the tokenizer.
    Tokenizer,
    /// Reading, judging and tokenizing the sources.
    Ingest,
    /// Finding duplicates.
    Dedup,
    /// Counting what is left, and the last gate.
    Settle,
    /// Writing shards.
    Emit,
    /// Balancing the ledger and writing the manifest.
    Ledger,
    /// Checking a dataset.
    Verify,
}

impl Stage {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokenizer => "tokenizer",
            Self::Ingest => "ingest",
            Self::Dedup => "dedup",
            Self::Settle => "settle",
            Self::Emit => "emit",
            Self::Ledger => "ledger",
            Self::Verify => "verify",
        }
    }
}

/// Receives what happens.
pub trait Progress: Sync {
    /// A stage begins; `total` in windows where it is known.
    fn begin(&self, stage: Stage, total: Option<u64>);
    /// How far ingest is: units done and in all, documents and bytes of text tokenized.
    fn ingest(&self, units: u64, of: u64, documents: u64, bytes: u64);
    /// So many more windows are written.
    fn advance(&self, windows: u64);
    /// The stage is done.
    fn end(&self);
    /// Something worth knowing.
    fn note(&self, line: &str);
    /// Something to look into.
    fn warn(&self, line: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Stage, _: Option<u64>) {}
    fn ingest(&self, _: u64, _: u64, _: u64, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
    fn warn(&self, _: &str) {}
}
