//! What a compile tells whoever watches. How it is shown is the command line's.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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
    /// Drawing the mix report.
    Report,
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
            Self::Report => "report",
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

/// Passes everything on, and keeps the time of each stage for the report. Nothing else may depend on these times.
pub struct Timed<'a> {
    to: &'a dyn Progress,
    started: Instant,
    times: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    running: Option<(Stage, Instant)>,
    done: Vec<(Stage, f64)>,
}

impl<'a> Timed<'a> {
    /// The clock starts.
    #[must_use]
    pub fn new(to: &'a dyn Progress) -> Self {
        Self { to, started: Instant::now(), times: Mutex::default() }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Stages that are done, in order, and their seconds.
    #[must_use]
    pub fn stages(&self) -> Vec<(Stage, f64)> {
        self.times().done.clone()
    }
}

impl Progress for Timed<'_> {
    fn begin(&self, stage: Stage, total: Option<u64>) {
        self.times().running = Some((stage, Instant::now()));
        self.to.begin(stage, total);
    }

    fn ingest(&self, units: u64, of: u64, documents: u64, bytes: u64) {
        self.to.ingest(units, of, documents, bytes);
    }

    fn advance(&self, windows: u64) {
        self.to.advance(windows);
    }

    fn end(&self) {
        let mut times = self.times();
        if let Some((stage, since)) = times.running.take() {
            times.done.push((stage, since.elapsed().as_secs_f64()));
        }
        drop(times);
        self.to.end();
    }

    fn note(&self, line: &str) {
        self.to.note(line);
    }

    fn warn(&self, line: &str) {
        self.to.warn(line);
    }
}
