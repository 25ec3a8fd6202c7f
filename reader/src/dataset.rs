//! Opening a dataset, and finding windows in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::batches::{BatchOptions, Batches};
use crate::error::{Error, Result};
use crate::format::TokenDtype;
use crate::format::digest::{Digest, to_hex};
use crate::format::manifest::{Manifest, PhaseSummary};
use crate::set::{Common, Window, WindowSet};

/// How a dataset is opened, and what the caller relies on: whatever is `Some` must hold, or opening fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Hex BLAKE3 of the trainer's `tokenizer.json`.
    pub tokenizer_digest: Option<String>,
    /// Rows of the trainer's embedding table: the tokenizer's vocabulary must fit.
    pub vocab_size: Option<u32>,
    /// Width of a token.
    pub token_dtype: Option<TokenDtype>,
    /// Id before each document; `Some(None)` when there must be none.
    pub bos_id: Option<Option<u32>>,
    /// Id after each document; `Some(None)` when there must be none.
    pub eos_id: Option<Option<u32>>,
    /// S of every phase.
    pub sequence_length: Option<u32>,
    /// Hex digest of the dataset.
    pub dataset_digest: Option<String>,
    /// Hash each shard when its first window is asked for. Costs one read of the shard.
    pub hash_on_first_touch: bool,
}

impl OpenOptions {
    /// Opens the dataset in `dir`.
    ///
    /// # Errors
    /// As [`Dataset::open`], and [`Error::Contract`] when something does not hold.
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<Dataset> {
        let manifest = Manifest::read(dir.as_ref())?;
        self.check(&manifest)?;
        Dataset::from_manifest(dir.as_ref(), manifest, self.hash_on_first_touch)
    }

    fn check(&self, manifest: &Manifest) -> Result<()> {
        let tokenizer = &manifest.tokenizer;
        let mut broken = Vec::new();
        let mut same = |what: &str, asked: Option<String>, found: String| {
            if let Some(asked) = asked.filter(|asked| *asked != found) {
                broken.push(format!("{what} is {found}, not {asked}"));
            }
        };
        let id = |id: Option<u32>| id.map_or("none".to_owned(), |id| id.to_string());
        same("the tokenizer's digest", self.tokenizer_digest.clone(), tokenizer.digest.clone());
        same("the token dtype", self.token_dtype.map(|d| d.to_string()), manifest.token_dtype.to_string());
        same("the BOS id", self.bos_id.map(id), id(tokenizer.bos_id));
        same("the EOS id", self.eos_id.map(id), id(tokenizer.eos_id));
        same("the dataset's digest", self.dataset_digest.clone(), manifest.dataset_digest.clone());
        for phase in &manifest.phases {
            let found = phase.sequence_length.to_string();
            same(
                &format!("the sequence length of `{}`", phase.name),
                self.sequence_length.map(|s| s.to_string()),
                found,
            );
        }
        if let Some(size) = self.vocab_size.filter(|&size| size < tokenizer.vocab_size) {
            broken.push(format!("the vocabulary of {} ids does not fit {size}", tokenizer.vocab_size));
        }
        if broken.is_empty() { Ok(()) } else { Err(Error::Contract(broken.join("; "))) }
    }
}

/// An opened dataset. Shards are mapped when first touched; all methods may be called from many threads.
#[derive(Debug)]
pub struct Dataset {
    dir: PathBuf,
    manifest: Manifest,
    phases: Vec<WindowSet>,
    validation: Vec<WindowSet>,
    windows: u64,
}

impl Dataset {
    /// Opens the dataset in `dir`: reads the manifest, checks its digests against its fields, and every shard's size against
    /// it. Costs O(shards); nothing is mapped and no index is built.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that is missing, [`Error::TooNew`] for a newer format, [`Error::Corrupt`] for anything that
    /// contradicts the manifest.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::default().open(dir)
    }

    fn from_manifest(dir: &Path, manifest: Manifest, hash_on_first_touch: bool) -> Result<Self> {
        let corrupt = |message| Error::Corrupt { file: Manifest::path(dir), message };
        let digests = manifest.phases.iter().map(PhaseSummary::recompute_digest).collect::<Result<Vec<_>>>()?;
        if manifest.chain(&digests)?.last().map(to_hex).as_ref() != Some(&manifest.dataset_digest) {
            return Err(corrupt("its dataset_digest is not that of its fields".to_owned()));
        }
        let common = Arc::new(Common {
            sources: Arc::new(manifest.sources.iter().map(|source| source.name.clone()).collect()),
            dtype: manifest.token_dtype,
            max_token_id: manifest.max_token_id,
            pad_id: manifest.tokenizer.pad_id,
            hash_on_first_touch,
        });
        let (mut windows, mut position) = (0_u64, 0_u64);
        let mut phases = Vec::with_capacity(manifest.phases.len());
        for (phase, digest) in manifest.phases.iter().zip(&digests) {
            if to_hex(digest) != phase.digest {
                return Err(corrupt(format!("the digest of `{}` is not that of its fields", phase.name)));
            }
            let set = WindowSet::phase(dir, phase, (windows, position), &common)?;
            let positions = set.len().checked_mul(u64::from(set.sequence_length()));
            let overflow = || corrupt("more than 2^64 tokens".to_owned());
            windows = windows.checked_add(set.len()).ok_or_else(overflow)?;
            position = positions.and_then(|n| position.checked_add(n)).ok_or_else(overflow)?;
            phases.push(set);
        }
        let mut validation = Vec::with_capacity(manifest.validation.len());
        for set in &manifest.validation {
            if to_hex(&set.recompute_digest()?) != set.digest {
                return Err(corrupt(format!("the digest of `{}` is not that of its fields", set.path())));
            }
            validation.push(WindowSet::validation(dir, set, &common)?);
        }
        Ok(Self { dir: dir.to_owned(), manifest, phases, validation, windows })
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Windows of all phases.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.windows
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows == 0
    }

    /// The dataset's digest before its first phase and after each.
    ///
    /// # Errors
    /// None that opening has not already found.
    pub fn digest_chain(&self) -> Result<Vec<Digest>> {
        self.manifest.digest_chain()
    }

    /// Phases in training order.
    #[must_use]
    pub fn phases(&self) -> &[WindowSet] {
        &self.phases
    }

    /// The phase of this name.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when there is none.
    pub fn phase(&self, name: &str) -> Result<&WindowSet> {
        find(&self.phases, name, "phase")
    }

    /// Held-out sets, one for each source that has held-out documents.
    #[must_use]
    pub fn validation(&self) -> &[WindowSet] {
        &self.validation
    }

    /// The held-out set of this name (`HOLDOUT/SOURCE`, as `validation/web`).
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when there is none.
    pub fn validation_set(&self, name: &str) -> Result<&WindowSet> {
        find(&self.validation, name, "held-out set")
    }

    /// Window `i`, counted from 0 over all phases in training order.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] past the last; [`Error::Corrupt`] or [`Error::Io`] when its shard is not what the manifest says.
    pub fn window(&self, i: u64) -> Result<Window<'_>> {
        window(&self.phases, i)
    }

    /// Batches over all phases.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a rank, size or start that does not exist.
    pub fn batches(&self, options: BatchOptions) -> Result<Batches<'_>> {
        Batches::new(&self.phases, options)
    }

    /// Reads every shard of every phase and held-out set and compares its files with the manifest's digests.
    ///
    /// # Errors
    /// [`Error::Corrupt`] naming the first file that was altered.
    pub fn verify_all(&self) -> Result<()> {
        for set in self.phases.iter().chain(&self.validation) {
            for shard in 0..set.shards() {
                set.verify_shard(shard)?;
            }
        }
        Ok(())
    }
}

/// The set that has global window `i`.
pub(crate) fn set_of(sets: &[WindowSet], i: u64) -> Option<&WindowSet> {
    let set = sets.partition_point(|set| set.first_window() <= i).checked_sub(1)?;
    sets.get(set).filter(|set| i - set.first_window() < set.len())
}

/// Global window `i` of consecutive sets.
pub(crate) fn window(sets: &[WindowSet], i: u64) -> Result<Window<'_>> {
    let set = set_of(sets, i).ok_or_else(|| {
        let end = sets.last().map_or(0, |set| set.first_window() + set.len());
        Error::OutOfRange(format!("there is no window {i}: the last is before {end}"))
    })?;
    let mut window = set.window(i - set.first_window())?;
    window.index = i;
    Ok(window)
}

fn find<'a>(sets: &'a [WindowSet], name: &str, kind: &str) -> Result<&'a WindowSet> {
    sets.iter().find(|set| set.name() == name).ok_or_else(|| {
        let names: Vec<_> = sets.iter().map(WindowSet::name).collect();
        Error::OutOfRange(format!("there is no {kind} `{name}`; there are: {}", names.join(", ")))
    })
}
