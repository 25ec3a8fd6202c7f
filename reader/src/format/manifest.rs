//! `manifest.json`: what a dataset is and what its bytes hash to. Written last.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TokenDtype;
use super::digest::{self, Digest, HeaderFields, PhaseFields, ShardFields};
use crate::error::{Error, Result};

/// Its name in the dataset's folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The format this crate writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// `manifest.json`.
///
/// In the file one more field follows, `checksum`: the hex BLAKE3 of all bytes before its own line, so that no altered byte
/// goes unnoticed, whether or not the dataset's digest covers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the on-disk format.
    pub format_version: u32,
    /// The curriculum's name.
    pub name: String,
    /// Hex BLAKE3 over the dataset's canonical fields, chained by phase.
    pub dataset_digest: String,
    /// The curriculum file as compiled.
    pub curriculum: String,
    /// Its seed.
    pub seed: u64,
    /// `--scale` as an exact fraction, `1` or `1/1000000`.
    pub scale: String,
    /// `--thin` as an exact fraction; `1` when all documents were taken.
    pub thin: String,
    /// The tokenizer's contract.
    pub tokenizer: TokenizerContract,
    /// Width of a token.
    pub token_dtype: TokenDtype,
    /// Largest token id in the dataset.
    pub max_token_id: u32,
    /// Sources in declaration order.
    pub sources: Vec<SourceSummary>,
    /// Phases in training order.
    pub phases: Vec<PhaseSummary>,
    /// Held-out sets, one per source that has held-out documents.
    pub validation: Vec<ValidationSummary>,
    /// Totals of the ledger, by outcome.
    pub ledger: LedgerTotals,
    /// `expect` lines as judged on the emitted windows.
    pub expect: Vec<ExpectResult>,
}

/// The tokenizer as proved by the compiler's probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerContract {
    /// For people.
    pub name: String,
    /// Hex BLAKE3 of `tokenizer.json`.
    pub digest: String,
    /// 1 + the largest id of model and added tokens.
    pub vocab_size: u32,
    /// Id before each document.
    pub bos_id: Option<u32>,
    /// Id after each document.
    pub eos_id: Option<u32>,
    /// Id of padding.
    pub pad_id: u32,
    /// Implementation that encoded.
    pub backend: String,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSummary {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// Surviving documents.
    pub documents: u64,
    /// Their tokens, BOS and EOS counted.
    pub tokens: u64,
    /// Their bytes of text.
    pub bytes: u64,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// Its name: its folder.
    pub name: String,
    /// Hex BLAKE3 of the phase's canonical fields.
    pub digest: String,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// Number of windows.
    pub windows: u64,
    /// Trained positions: windows × S.
    pub tokens: u64,
    /// Windows of each source, in declaration order; sources without windows are left out.
    pub sources: Vec<PhaseSource>,
    /// Shards in training order.
    pub shards: Vec<Shard>,
}

/// A source's part of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSource {
    /// Its name.
    pub name: String,
    /// Its windows.
    pub windows: u64,
}

/// A shard: three files beside each other, `.bin`, `.idx` and `.arrow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The `.bin`, relative to the dataset, with `/`.
    pub file: String,
    /// Windows in it.
    pub windows: u64,
    /// Size of the `.bin`.
    pub bytes: u64,
    /// Hex BLAKE3 of the `.bin`.
    pub digest: String,
    /// Hex BLAKE3 of the `.idx`.
    pub index_digest: String,
    /// Hex BLAKE3 of the logical rows of the `.arrow`.
    pub windows_digest: String,
    /// Hex BLAKE3 of the `.arrow` as it lies on disk, for `verify`; absent in manifests written before there was this field.
    /// No other digest covers it, since the same rows may be laid out in more than one way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrow_digest: Option<String>,
}

/// A source's held-out documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationSummary {
    /// The held-out set's name.
    pub name: String,
    /// The source.
    pub source: String,
    /// Hex BLAKE3 of its canonical fields, as for a phase.
    pub digest: String,
    /// Documents held out.
    pub documents: u64,
    /// Their tokens.
    pub tokens: u64,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// Windows; the last may be padded.
    pub windows: u64,
    /// Shards.
    pub shards: Vec<Shard>,
}

/// Documents and tokens by outcome, over all sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerTotals {
    /// One line per outcome.
    pub outcomes: Vec<OutcomeTotal>,
}

/// An outcome's totals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeTotal {
    /// `read`, `bad`, `filtered:RULE`, `empty`, `contaminated`, `exact`, `near`, `held_out`, `emitted`, `truncated`, `unused`.
    pub outcome: String,
    /// Documents; `null` where the outcome counts tokens only.
    pub documents: Option<u64>,
    /// Tokens; `null` for rows never tokenized.
    pub tokens: Option<u64>,
}

/// An `expect` line and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectResult {
    /// The phase.
    pub phase: String,
    /// The line as written.
    pub text: String,
    /// The measured value: a share (0.192) or epochs.
    pub value: f64,
    /// Whether it holds.
    pub holds: bool,
}

/// What of any version's manifest can be read.
#[derive(Deserialize)]
struct Version {
    format_version: u32,
}

impl Manifest {
    /// Where the manifest of the dataset in `dir` lies.
    #[must_use]
    pub fn path(dir: &Path) -> PathBuf {
        dir.join(MANIFEST_FILE)
    }

    /// The file's bytes: JSON, two spaces of indentation, fields in the order of this type, then `checksum`, one newline at the end.
    ///
    /// # Errors
    /// A number that JSON cannot hold (an `expect` value that is not finite).
    pub fn to_json(&self) -> Result<Vec<u8>> {
        if let Some(line) = self.expect.iter().find(|line| !line.value.is_finite()) {
            return Err(Error::OutOfRange(format!(
                "the value of `{}` is {}: JSON holds finite numbers",
                line.text, line.value
            )));
        }
        let mut json = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        json.truncate(json.len().saturating_sub(b"\n}".len()));
        json.extend_from_slice(b",\n");
        let end = checksum_line(&json);
        json.extend_from_slice(end.as_bytes());
        Ok(json)
    }

    /// Reads the file's bytes. `file` is named in errors.
    ///
    /// # Errors
    /// [`Error::TooNew`] for a newer format; [`Error::Corrupt`] when it is no manifest, or its checksum is not that of its bytes.
    pub fn from_json(file: &Path, json: &[u8]) -> Result<Self> {
        let corrupt = |message: String| Error::Corrupt { file: file.to_owned(), message };
        let end = checksum_line(b"").len();
        let (body, end) = json.split_at_checked(json.len().saturating_sub(end)).unwrap_or((json, b""));
        let whole = checksum_line(body).as_bytes() == end;
        // A manifest of many shards is read once where all is well; what is wrong is looked for after that.
        if whole
            && let Ok(manifest) = serde_json::from_slice::<Self>(json)
            && manifest.format_version == FORMAT_VERSION
        {
            return Ok(manifest);
        }
        let version: Version =
            serde_json::from_slice(json).map_err(|error| corrupt(format!("not a manifest: {error}")))?;
        if version.format_version > FORMAT_VERSION {
            let (found, supported) = (version.format_version, FORMAT_VERSION);
            return Err(Error::TooNew { file: file.to_owned(), found, supported });
        }
        if version.format_version != FORMAT_VERSION {
            return Err(corrupt(format!("there is no format version {}", version.format_version)));
        }
        if !whole {
            return Err(corrupt("its checksum is not that of its bytes: it was altered or cut short".to_owned()));
        }
        serde_json::from_slice(json).map_err(|error| corrupt(format!("not a manifest: {error}")))
    }

    /// Reads the manifest of the dataset in `dir`.
    ///
    /// # Errors
    /// As [`Manifest::from_json`], and [`Error::Io`] when it is not there.
    pub fn read(dir: &Path) -> Result<Self> {
        let file = Self::path(dir);
        Self::from_json(&file, &fs_err::read(&file)?)
    }

    /// Writes it into `dir` under a temporary name, syncs it, and renames it: a manifest that is there is whole.
    ///
    /// # Errors
    /// [`Error::Io`] when that fails.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let file = Self::path(dir);
        let temporary = dir.join(format!("{MANIFEST_FILE}.partial"));
        let mut out = fs_err::File::create(&temporary)?;
        out.write_all(&self.to_json()?)?;
        out.sync_all()?;
        drop(out);
        fs_err::rename(&temporary, &file)?;
        // The rename itself lasts once the folder is synced; where folders cannot be opened (Windows) there is nothing to do.
        if let Ok(folder) = fs_err::File::open(dir) {
            folder.sync_all()?;
        }
        Ok(())
    }

    /// The dataset's digest before its first phase and after each: d\[0\], d\[1\], … Computed from the manifest's fields alone.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a digest in it is not 64 hex digits.
    pub fn digest_chain(&self) -> Result<Vec<Digest>> {
        let phases = self.phases.iter().map(PhaseSummary::recompute_digest).collect::<Result<Vec<_>>>()?;
        self.chain(&phases)
    }

    /// The chain over the digests of the phases.
    pub(crate) fn chain(&self, phases: &[Digest]) -> Result<Vec<Digest>> {
        let mut digest = digest::header_digest(&HeaderFields {
            format_version: self.format_version,
            dtype: self.token_dtype,
            tokenizer: parse_digest("tokenizer", &self.tokenizer.digest)?,
            bos_id: self.tokenizer.bos_id,
            eos_id: self.tokenizer.eos_id,
            pad_id: self.tokenizer.pad_id,
        });
        let mut chain = vec![digest];
        for phase in phases {
            digest = digest::chain(digest, phase);
            chain.push(digest);
        }
        Ok(chain)
    }

    /// The dataset's digest, computed from the manifest's fields alone.
    ///
    /// # Errors
    /// As [`Manifest::digest_chain`].
    pub fn recompute_digest(&self) -> Result<Digest> {
        Ok(self.digest_chain()?.last().copied().unwrap_or_default())
    }
}

impl PhaseSummary {
    /// The phase's digest, computed from its fields.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a digest in it is not 64 hex digits.
    pub fn recompute_digest(&self) -> Result<Digest> {
        let shards = shard_fields(&self.shards)?;
        let (sequence_length, window_tokens) = (self.sequence_length, self.window_tokens);
        Ok(digest::phase_digest(&PhaseFields { name: &self.name, sequence_length, window_tokens, shards: &shards }))
    }
}

impl ValidationSummary {
    /// Its name in digests, and its folder: `HOLDOUT/SOURCE`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.name, self.source)
    }

    /// The set's digest, computed from its fields as for a phase named `HOLDOUT/SOURCE`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a digest in it is not 64 hex digits.
    pub fn recompute_digest(&self) -> Result<Digest> {
        let shards = shard_fields(&self.shards)?;
        let (sequence_length, window_tokens) = (self.sequence_length, self.window_tokens);
        Ok(digest::phase_digest(&PhaseFields { name: &self.path(), sequence_length, window_tokens, shards: &shards }))
    }
}

/// The file's end, for the bytes before it. Of one length always.
fn checksum_line(body: &[u8]) -> String {
    format!("  \"checksum\": \"{}\"\n}}\n", blake3::hash(body).to_hex())
}

fn parse_digest(of: &str, hex: &str) -> Result<Digest> {
    digest::from_hex(hex).ok_or_else(|| Error::Corrupt {
        file: MANIFEST_FILE.into(),
        message: format!("the digest of {of} is not 64 lower-case hex digits: `{hex}`"),
    })
}

fn shard_fields(shards: &[Shard]) -> Result<Vec<ShardFields>> {
    let fields = |shard: &Shard| {
        let bin = parse_digest(&shard.file, &shard.digest)?;
        Ok(ShardFields { windows: shard.windows, bin, rows: parse_digest(&shard.file, &shard.windows_digest)? })
    };
    shards.iter().map(fields).collect()
}

#[cfg(test)]
mod tests;
