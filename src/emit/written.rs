//! Which shards are whole: a compile that was stopped while it wrote them does not write them again.
//!
//! `shards` in the work folder holds the lines of [`lines`]: the request that is being written, then each shard once its files
//! are whole, synced and renamed. A shard is left as it is only if its files have the digests that its record says.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use syllabus_reader::format::manifest::Shard;

use super::phase::Emitted;
use crate::error::Result;
use crate::files;
use crate::ingest::Watch;
use crate::store::lines;

/// A shard whose files are whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeShard {
    /// What the manifest will say of it.
    pub shard: Shard,
    /// Tokens by source and epoch.
    pub tokens: Vec<(usize, u32, u64)>,
    /// Padding by source.
    pub padding: Vec<(usize, u64)>,
    /// Largest token id.
    pub max_id: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Begun {
        /// The program's version, since another one may order or write otherwise.
        version: String,
        /// What the shards are a function of.
        request: String,
        /// Where they are.
        out: PathBuf,
    },
    Shard(WholeShard),
}

/// The record of whole shards.
#[derive(Debug)]
pub struct WholeShards {
    path: PathBuf,
    request: String,
    out: PathBuf,
    /// None until writing has begun.
    file: Option<files::File>,
    /// By the `.bin`'s name.
    known: BTreeMap<String, WholeShard>,
    /// How many were left as they are.
    reused: usize,
    /// Shards in OUT that an earlier run wrote for another request.
    stale: Vec<String>,
}

impl WholeShards {
    /// What an earlier run has recorded, for this request and this OUT.
    pub fn read(work: &Path, out: &Path, request: &str) -> Result<Self> {
        let path = work.join("shards");
        let (out, mut same, mut same_out) = (std::path::absolute(out)?, false, false);
        let (mut known, mut stale) = (BTreeMap::new(), Vec::new());
        if path.try_exists()? {
            lines::read(&path, &mut |record, _| {
                match record {
                    Record::Begun { version, request: of, out: place } => {
                        same_out = place == out;
                        same = same_out && version == env!("CARGO_PKG_VERSION") && of == request;
                    }
                    Record::Shard(whole) if same => drop(known.insert(whole.shard.file.clone(), whole)),
                    Record::Shard(whole) if same_out => stale.push(whole.shard.file),
                    Record::Shard(_) => {}
                }
                Ok(())
            })?;
        }
        Ok(Self { path, request: request.to_owned(), out, file: None, known, reused: 0, stale })
    }

    /// Whether a shard of this request is on record.
    #[must_use]
    pub fn knows(&self, file: &str) -> bool {
        self.known.contains_key(file)
    }

    /// From here on shards are written. Those of another request go, and the record ends in a whole line.
    pub fn begin(&mut self) -> Result<()> {
        for file in std::mem::take(&mut self.stale) {
            remove(&self.out, &file)?;
        }
        let begun = Record::Begun {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            request: self.request.clone(),
            out: self.out.clone(),
        };
        let mut text = lines::line(&begun)?;
        for whole in self.known.values() {
            text.extend(lines::line(&Record::Shard(whole.clone()))?);
        }
        files::write_whole(&self.path, &text)?;
        self.file = Some(files::File::append(&self.path)?);
        Ok(())
    }

    /// Those of these shards, each a name and its windows, whose files are as recorded. What is not is forgotten.
    pub fn check(&mut self, shards: &[(String, u64)], watch: &Watch) -> Result<BTreeMap<String, WholeShard>> {
        let recorded: Vec<WholeShard> = shards
            .iter()
            .filter_map(|(name, windows)| self.known.remove(name).filter(|whole| whole.shard.windows == *windows))
            .collect();
        let checked = recorded.par_iter().map(|whole| Ok(as_recorded(&self.out, whole, watch)?.then_some(whole)));
        let checked: Vec<Option<&WholeShard>> = checked.collect::<Result<_>>()?;
        let there: BTreeMap<String, WholeShard> =
            checked.into_iter().flatten().map(|whole| (whole.shard.file.clone(), whole.clone())).collect();
        self.reused += there.len();
        Ok(there)
    }

    /// How many shards were found whole.
    #[must_use]
    pub fn reused(&self) -> usize {
        self.reused
    }

    /// Records a shard whose files are whole, synced and renamed.
    pub fn push(&mut self, shard: &WholeShard) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        std::io::Write::write_all(file, &lines::line(&Record::Shard(shard.clone()))?)?;
        Ok(file.sync()?)
    }

    /// The dataset is whole: its manifest says what its shards are.
    pub fn end(self) -> Result<()> {
        drop(self.file);
        Ok(files::remove(&self.path)?)
    }
}

impl WholeShard {
    /// A shard and what was counted while it was written.
    #[must_use]
    pub fn new(shard: Shard, emitted: &Emitted) -> Self {
        Self {
            shard,
            tokens: emitted.tokens.iter().map(|(&(source, epoch), &tokens)| (source, epoch, tokens)).collect(),
            padding: emitted.padding.iter().map(|(&source, &padding)| (source, padding)).collect(),
            max_id: emitted.max_id,
        }
    }

    /// Adds what was counted to `sum`.
    pub fn count(&self, sum: &mut Emitted) {
        for &(source, epoch, tokens) in &self.tokens {
            *sum.tokens.entry((source, epoch)).or_default() += tokens;
        }
        for &(source, padding) in &self.padding {
            *sum.padding.entry(source).or_default() += padding;
        }
        sum.max_id = sum.max_id.max(self.max_id);
    }
}

/// Removes a shard's files, as far as they are there.
pub fn remove(out: &Path, file: &str) -> Result<()> {
    let path = out.join(file);
    for extension in ["bin", "idx", "arrow"] {
        match files::remove_aside(&path.with_extension(extension)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a shard's files are there and hash to what is recorded.
fn as_recorded(out: &Path, whole: &WholeShard, watch: &Watch) -> Result<bool> {
    let path = out.join(&whole.shard.file);
    if fs_err::metadata(&path).map_or(0, |found| found.len()) != whole.shard.bytes {
        return Ok(false);
    }
    let Some(table) = &whole.shard.arrow_digest else { return Ok(false) };
    for (extension, digest) in [("idx", &whole.shard.index_digest), ("arrow", table), ("bin", &whole.shard.digest)] {
        if hash(&path.with_extension(extension), watch)?.as_ref() != Some(digest) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// BLAKE3 of a file in hex; none where there is no file.
fn hash(path: &Path, watch: &Watch) -> Result<Option<String>> {
    let mut file = match fs_err::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let (mut hash, mut chunk) = (blake3::Hasher::new(), vec![0; 1 << 20]);
    loop {
        watch.check()?;
        match file.read(&mut chunk)? {
            0 => return Ok(Some(hash.finalize().to_hex().to_string())),
            read => drop(hash.update(&chunk[..read])),
        }
    }
}
