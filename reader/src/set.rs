//! A run of windows of one shape: a phase, or a source's held-out documents.

use std::path::Path;

use crate::batches::{BatchOptions, Batches};
use crate::error::{Error, Result};
use crate::format::TokenDtype;
use crate::format::manifest::{PhaseSummary, Shard, ValidationSummary};
use crate::format::tokens::Tokens;
use crate::format::windows::{Fragments, Row};
use crate::shard::{OpenShard, Shape};

/// What all sets of a dataset share.
#[derive(Debug)]
pub(crate) struct Common {
    /// The manifest's source names.
    pub(crate) sources: std::sync::Arc<Vec<String>>,
    pub(crate) dtype: TokenDtype,
    pub(crate) max_token_id: u32,
    pub(crate) pad_id: u32,
    pub(crate) hash_on_first_touch: bool,
}

/// A phase, or a held-out set: windows in order, all of one length.
#[derive(Debug)]
pub struct WindowSet {
    name: String,
    sequence_length: u32,
    window_tokens: u32,
    windows: u64,
    first_window: u64,
    first_position: u64,
    shards: Vec<OpenShard>,
    pub(crate) common: std::sync::Arc<Common>,
}

/// One window: tokens borrowed from the mapped shard.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// Its number, as asked for.
    pub index: u64,
    /// All W tokens, padding among them.
    pub tokens: Tokens<'a>,
    /// Documents in it, in order; they tile the tokens before the padding.
    pub fragments: Fragments<'a>,
    /// Padding tokens at its end.
    pub padding: u32,
    /// Its source.
    pub source: &'a str,
    /// Its source, as an index into the manifest's `sources`.
    pub source_index: u32,
    /// Name of the phase or held-out set (`HOLDOUT/SOURCE`).
    pub phase: &'a str,
    /// The `.bin` that holds it.
    pub file: &'a Path,
}

impl WindowSet {
    pub(crate) fn phase(
        dir: &Path,
        phase: &PhaseSummary,
        first: (u64, u64),
        common: &std::sync::Arc<Common>,
    ) -> Result<Self> {
        let shape = (phase.sequence_length, phase.window_tokens, phase.windows);
        Self::open(dir, phase.name.clone(), shape, &phase.shards, first, common)
    }

    pub(crate) fn validation(dir: &Path, set: &ValidationSummary, common: &std::sync::Arc<Common>) -> Result<Self> {
        let shape = (set.sequence_length, set.window_tokens, set.windows);
        Self::open(dir, set.path(), shape, &set.shards, (0, 0), common)
    }

    fn open(
        dir: &Path,
        name: String,
        (sequence_length, window_tokens, windows): (u32, u32, u64),
        entries: &[Shard],
        (first_window, first_position): (u64, u64),
        common: &std::sync::Arc<Common>,
    ) -> Result<Self> {
        let corrupt = |message| Error::Corrupt { file: dir.join("manifest.json"), message };
        let label_tokens = window_tokens.checked_sub(sequence_length);
        if sequence_length == 0 || !matches!(label_tokens, Some(0 | 1)) {
            return Err(corrupt(format!(
                "`{name}`: windows of {window_tokens} tokens for sequences of {sequence_length}"
            )));
        }
        let shape = Shape { dtype: common.dtype, window_tokens };
        let mut shards = Vec::with_capacity(entries.len());
        let mut count = 0_u64;
        for entry in entries {
            let shard = OpenShard::open(dir, entry.clone(), shape, count, common.hash_on_first_touch)?;
            count = count.checked_add(entry.windows).ok_or_else(|| corrupt(format!("`{name}`: too many windows")))?;
            shards.push(shard);
        }
        if count != windows {
            return Err(corrupt(format!("`{name}`: {windows} windows, but its shards hold {count}")));
        }
        check_files(&shards)?;
        let common = std::sync::Arc::clone(common);
        Ok(Self { name, sequence_length, window_tokens, windows, first_window, first_position, shards, common })
    }

    /// The phase's name; `HOLDOUT/SOURCE` for a held-out set.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// S: trained positions of a window.
    #[must_use]
    pub fn sequence_length(&self) -> u32 {
        self.sequence_length
    }

    /// W: tokens of a window, S + 1 or S.
    #[must_use]
    pub fn window_tokens(&self) -> u32 {
        self.window_tokens
    }

    /// Number of windows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.windows
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows == 0
    }

    /// Global number of its first window; 0 for a held-out set.
    #[must_use]
    pub fn first_window(&self) -> u64 {
        self.first_window
    }

    /// Trained positions in all phases before it; 0 for a held-out set.
    #[must_use]
    pub fn first_position(&self) -> u64 {
        self.first_position
    }

    /// Number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Window `i` of the set, from 0. Maps its shard when that is touched for the first time.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] past the last; [`Error::Corrupt`] or [`Error::Io`] when its shard is not what the manifest says.
    pub fn window(&self, i: u64) -> Result<Window<'_>> {
        let shard = self.shard_of(i)?;
        let (row, source_index) = shard.row(i - shard.first_window, &self.common.sources)?;
        let tokens = shard.tokens(i - shard.first_window, &self.common.sources)?;
        Ok(self.window_of(i, shard, row, source_index, tokens))
    }

    /// Window `i` from its parts.
    pub(crate) fn window_of<'a>(
        &'a self,
        i: u64,
        shard: &'a OpenShard,
        row: Row<'a>,
        source_index: u32,
        tokens: Tokens<'a>,
    ) -> Window<'a> {
        let source = usize::try_from(source_index).ok().and_then(|index| self.common.sources.get(index));
        Window {
            index: i,
            tokens,
            fragments: row.fragments,
            padding: row.padding,
            source: source.map_or("", String::as_str),
            source_index,
            phase: &self.name,
            file: &shard.path,
        }
    }

    /// Tokens of window `i` of the set, from 0, without its documents.
    ///
    /// # Errors
    /// As [`WindowSet::window`].
    pub fn tokens(&self, i: u64) -> Result<Tokens<'_>> {
        let shard = self.shard_of(i)?;
        shard.tokens(i - shard.first_window, &self.common.sources)
    }

    /// Documents, padding and source of window `i` of the set, from 0, without touching its tokens. `source` of the row counts
    /// in the manifest's sources.
    ///
    /// # Errors
    /// As [`WindowSet::window`].
    pub fn row(&self, i: u64) -> Result<Row<'_>> {
        let shard = self.shard_of(i)?;
        let (row, source) = shard.row(i - shard.first_window, &self.common.sources)?;
        Ok(Row { source, ..row })
    }

    pub(crate) fn shard_of(&self, i: u64) -> Result<&OpenShard> {
        if i >= self.windows {
            return Err(Error::OutOfRange(format!(
                "`{}` has {} windows: there is no window {i}",
                self.name, self.windows
            )));
        }
        // Shards without windows share their first window with the next: the last that starts here has it.
        let shard = self.shards.partition_point(|shard| shard.first_window <= i).checked_sub(1);
        let shard = shard.and_then(|shard| self.shards.get(shard));
        shard.ok_or_else(|| Error::OutOfRange(format!("`{}` has no shard for window {i}", self.name)))
    }

    /// Batches over this set alone; positions count from its own [`WindowSet::first_window`].
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a rank, size or start that does not exist.
    pub fn batches(&self, options: BatchOptions) -> Result<Batches<'_>> {
        Batches::new(std::slice::from_ref(self), options)
    }

    /// Reads shard `i` whole and compares its three files with the manifest's digests.
    ///
    /// # Errors
    /// [`Error::Corrupt`] naming the file that was altered; [`Error::OutOfRange`] when there is no such shard.
    pub fn verify_shard(&self, i: usize) -> Result<()> {
        let shard = self.shards.get(i);
        shard.ok_or_else(|| Error::OutOfRange(format!("`{}` has {} shards", self.name, self.shards.len())))?.verify()
    }
}

/// Compares the sizes of all shards' files with the manifest; by threads where there are many, since a file system may take its
/// time for each. The first shard that is wrong is the one that is named.
fn check_files(shards: &[OpenShard]) -> Result<()> {
    const EACH: usize = 256;
    const THREADS: usize = 16;
    let check = |part: &[OpenShard]| part.iter().try_for_each(OpenShard::check_files);
    if shards.len() <= EACH {
        return check(shards);
    }
    let each = shards.len().div_ceil(THREADS).max(EACH);
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for part in shards.chunks(each) {
            let thread = std::thread::Builder::new().spawn_scoped(scope, move || check(part));
            running.push(thread.map_err(|_| part));
        }
        let mut first = Ok(());
        for part in running {
            let found = match part {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err(std::io::Error::other("a thread panicked").into())),
                // No more threads are to be had: it is done here.
                Err(part) => check(part),
            };
            first = first.and(found);
        }
        first
    })
}
