//! Near duplicates: which documents go because a similar one stays.
//!
//! Similarity is the Jaccard index of two documents' sets of word shingles (see [`super::words`]). Two documents are **candidates**
//! when they may be compared at all (same scope and not of a source and its declared subset, or one of them held out) and all values of at least one band of their
//! [signatures](signature) agree; candidates are [verified](verify) on their texts.
//!
//! With the order ≺ = (exempt first, smaller priority number, more bytes, smaller key) the rule is: **a document stays if and only if it
//! is exempt or no ≺-earlier document that stays is a candidate of it and similar to it.** That set is unique: it depends on nothing but
//! the documents. Evidence is the ≺-first similar candidate that stays.
//!
//! ```text
//! signatures ──► band records ──► partitions on disk ──► buckets of two and more ──► memberships sorted by ≺ ──► chunks ──► rounds
//!                (hash, number)   (by top bits)          (equal hash)                (document, bucket)           (memory)   (verify)
//! ```
//!
//! Everything that grows with the number of documents lies on disk; memory is divided between sorting, the chunk that is decided, and
//! the cache of shingles.

pub mod bands;
mod candidates;
mod chunk;
mod kept;
mod member;
mod select;
pub mod signature;
pub mod threshold;
pub mod verify;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use bands::Bands;
pub use signature::{Signature, Signer};
pub use threshold::Threshold;

use crate::curriculum::checked;
use crate::error::{Error, Result};

/// The documents among which near duplicates are sought: exact survivors, held-out ones too.
///
/// They are numbered from 0 in any order: which documents go does not depend on it (where two documents have equal ranks and equal
/// keys, so equal texts, the one with the smaller number stays).
pub trait NearDocuments: Sync {
    /// How many there are.
    fn count(&self) -> u64;

    /// What the order and the scope need to know of one. Asked at random.
    fn document(&self, number: u64) -> Result<NearDocument>;

    /// Whether documents of these two priorities may be compared, neither being held out: not when one source is a declared subset of
    /// the other, and keeps what both have.
    fn compared(&self, _one: u32, _other: u32) -> bool {
        true
    }

    /// In how many parts signatures are handed over.
    fn parts(&self) -> usize {
        1
    }

    /// Hands over number and signature of every document of a part, in any order; all parts together have each document once.
    /// Parts are asked for by several threads.
    fn signatures(&self, part: usize, each: &mut dyn FnMut(u64, &Signature) -> Result<()>) -> Result<()>;

    /// Appends to `text` what was signed: the text that the model reads. Asked at random, from several threads.
    fn text(&self, number: u64, text: &mut String) -> Result<()>;
}

/// What the order ≺ and the scope need to know of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearDocument {
    /// Documents are compared within a scope: a number for each source, for each group, or one for all.
    pub scope: u32,
    /// Held out: always stays, and is compared with documents of every scope.
    pub held_out: bool,
    /// Always stays.
    pub exempt: bool,
    /// Rank of its source: the smaller number wins.
    pub priority: u32,
    /// Bytes of its text: the longer one wins.
    pub bytes: u64,
    /// Its key: the smaller one wins.
    pub key: u128,
}

/// How near duplicates are sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearOptions {
    /// Similarity from which a document goes.
    pub threshold: Threshold,
    /// Words in a shingle: as in the signatures.
    pub shingle: u32,
    /// How signatures are cut.
    pub bands: Bands,
}

impl NearOptions {
    /// What a curriculum asks for.
    pub fn new(near: &checked::Near) -> Result<Self> {
        let threshold = Threshold::from_rational(&near.jaccard)?;
        if near.shingle == 0 {
            return Err(Error::Failed("near duplicates: a shingle needs at least one word".into()));
        }
        let bands = match near.bands_rows {
            Some((bands, rows)) => Bands::new(bands, rows)?,
            None => Bands::for_threshold(threshold),
        };
        Ok(Self { threshold, shingle: near.shingle, bands })
    }

    /// Bytes of scratch that so many documents need at most: the band records, and twice over a membership for each of them
    /// (reached only when every document shares every band with another).
    #[must_use]
    pub fn scratch_bytes(&self, documents: u64) -> u64 {
        let record = candidates::RECORD + 2 * member::RECORD;
        documents
            .saturating_mul(u64::from(self.bands.bands()))
            .saturating_mul(u64::try_from(record).unwrap_or(u64::MAX))
    }
}

/// A document that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removed {
    /// Its number.
    pub document: u64,
    /// Number of the ≺-first similar document that stays.
    pub kept: u64,
    /// Whether that one is held out.
    pub held_out: bool,
    /// Shingles in both.
    pub intersection: u64,
    /// Shingles in either.
    pub union: u64,
}

/// Hands over the documents that go, each once; which come first depends on nothing but the documents and their numbers.
///
/// Uses about `memory` bytes and one text per thread, `threads` threads (at least one), and a folder `near` in `scratch`, which is
/// gone afterwards. `each` is called from one thread.
pub fn remove(
    documents: &dyn NearDocuments,
    options: &NearOptions,
    scratch: &Path,
    memory: u64,
    threads: usize,
    each: &mut (dyn FnMut(Removed) -> Result<()> + Send),
) -> Result<()> {
    let folder = Folder::create(scratch.join("near"))?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .thread_name(|i| format!("near-{i}"))
        .build()
        .map_err(|e| Error::Failed(format!("near duplicates: cannot start {threads} threads: {e}")))?;
    pool.install(|| {
        let threads = pool.current_num_threads();
        let partitions = candidates::write(documents, options.bands, &folder.path, memory)?;
        let members = candidates::members(documents, partitions, &folder.path, memory, threads)?;
        // Half is left for one long document, of the longest that a compile takes in. The memberships, where they were sorted in
        // memory, have an eighth.
        let sets = verify::Sets::new(documents, options.shingle, memory / 16 * 3, memory / 16, threads);
        select::select(members, &sets, options.threshold, &folder.path, memory / 8, each)
    })
}

/// As [`remove`], gathered in memory, by number.
pub fn removed(
    documents: &dyn NearDocuments,
    options: &NearOptions,
    scratch: &Path,
    memory: u64,
    threads: usize,
) -> Result<Vec<Removed>> {
    let mut gathered = Vec::new();
    remove(documents, options, scratch, memory, threads, &mut |removed| {
        gathered.push(removed);
        Ok(())
    })?;
    gathered.sort_unstable();
    Ok(gathered)
}

/// A folder that goes when its owner does.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn create(path: PathBuf) -> Result<Self> {
        if path.try_exists()? {
            // Left by a run that was killed.
            crate::files::remove_folder(&path)?;
        }
        crate::files::make_folder(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is scratch: if it cannot go now, the next run removes it.
        let _ = crate::files::remove_folder(&self.path);
    }
}
