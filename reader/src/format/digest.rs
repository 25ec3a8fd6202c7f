//! Digests of shards' rows, phases and datasets: BLAKE3 over canonical fields.
//!
//! Every field is little-endian and of fixed width; strings are preceded by their length in bytes (u32); an optional id is one
//! byte (0 absent, 1 present) and a u32 (0 when absent). Nothing else goes in: no paths, no times, no versions of programs.
//!
//! - header: `"syllabus dataset"`, format version (u32), bytes of a token (u8), BLAKE3 of `tokenizer.json` (32 bytes), BOS
//!   (optional id), EOS (optional id), padding (u32).
//! - phase: `"syllabus phase"`, name, S (u32), W (u32), number of shards (u64), and of each shard its windows (u64), the BLAKE3
//!   of its `.bin` (32 bytes) and of its rows (32 bytes).
//! - chain: d\[0\] = H(header), d\[i\] = H(d\[i - 1\] ‖ H(phase i)). So the digest of a longer run extends that of a shorter one.

use super::{Fragment, TokenDtype};

/// A BLAKE3 digest.
pub type Digest = [u8; 32];

/// Lower-case hex of a digest, as manifests hold it.
#[must_use]
pub fn to_hex(digest: &Digest) -> String {
    blake3::Hash::from_bytes(*digest).to_hex().as_str().to_owned()
}

/// The digest that 64 lower-case hex digits spell; `None` for anything else.
#[must_use]
pub fn from_hex(text: &str) -> Option<Digest> {
    let digest = *blake3::Hash::from_hex(text).ok()?.as_bytes();
    (to_hex(&digest) == text).then_some(digest)
}

/// A hasher that takes canonical fields.
#[derive(Debug, Clone, Default)]
struct Fields(blake3::Hasher);

impl Fields {
    fn u8(&mut self, value: u8) {
        self.0.update(&[value]);
    }

    fn u32(&mut self, value: u32) {
        self.0.update(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.update(&value.to_le_bytes());
    }

    fn string(&mut self, value: &str) {
        // No name in a manifest reaches 4 GiB; one that did would still hash, to the digest of its cut length.
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.update(value.as_bytes());
    }

    fn digest(&mut self, value: &Digest) {
        self.0.update(value);
    }

    fn optional(&mut self, value: Option<u32>) {
        self.u8(u8::from(value.is_some()));
        self.u32(value.unwrap_or(0));
    }

    fn finish(&self) -> Digest {
        *self.0.finalize().as_bytes()
    }
}

/// What the chain starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderFields {
    /// Version of the on-disk format.
    pub format_version: u32,
    /// Width of a token.
    pub dtype: TokenDtype,
    /// BLAKE3 of `tokenizer.json`.
    pub tokenizer: Digest,
    /// Id before each document.
    pub bos_id: Option<u32>,
    /// Id after each document.
    pub eos_id: Option<u32>,
    /// Id of padding.
    pub pad_id: u32,
}

/// What a phase's digest covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseFields<'a> {
    /// The phase's name; `HOLDOUT/SOURCE` for a held-out set.
    pub name: &'a str,
    /// S.
    pub sequence_length: u32,
    /// W.
    pub window_tokens: u32,
    /// Its shards in training order.
    pub shards: &'a [ShardFields],
}

/// What of a shard goes into its phase's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardFields {
    /// Windows.
    pub windows: u64,
    /// BLAKE3 of the `.bin`.
    pub bin: Digest,
    /// Digest of the `.arrow`'s logical rows, as [`RowsHasher`] gives it.
    pub rows: Digest,
}

/// d\[0\]: the digest of a dataset without phases.
#[must_use]
pub fn header_digest(header: &HeaderFields) -> Digest {
    let mut fields = Fields::default();
    fields.string("syllabus dataset");
    fields.u32(header.format_version);
    fields.u8(match header.dtype {
        TokenDtype::U16 => 2,
        TokenDtype::U32 => 4,
    });
    fields.digest(&header.tokenizer);
    fields.optional(header.bos_id);
    fields.optional(header.eos_id);
    fields.u32(header.pad_id);
    fields.finish()
}

/// The digest of a phase by itself.
#[must_use]
pub fn phase_digest(phase: &PhaseFields<'_>) -> Digest {
    let mut fields = Fields::default();
    fields.string("syllabus phase");
    fields.string(phase.name);
    fields.u32(phase.sequence_length);
    fields.u32(phase.window_tokens);
    fields.u64(u64::try_from(phase.shards.len()).unwrap_or(u64::MAX));
    for shard in phase.shards {
        fields.u64(shard.windows);
        fields.digest(&shard.bin);
        fields.digest(&shard.rows);
    }
    fields.finish()
}

/// The dataset's digest after one more phase.
#[must_use]
pub fn chain(previous: Digest, phase: &Digest) -> Digest {
    let mut fields = Fields::default();
    fields.digest(&previous);
    fields.digest(phase);
    fields.finish()
}

/// Hashes the logical rows of an `.arrow` as they come: per window the source's name (string), padding (u32), the number of
/// fragments (u32), and per fragment start (u32), length (u32), document (16 bytes), offset (u32), epoch (u32).
///
/// Two files with the same rows have the same digest, however Arrow laid them out.
#[derive(Debug, Clone, Default)]
pub struct RowsHasher {
    fields: Fields,
    row: Vec<u8>,
}

impl RowsHasher {
    /// Takes the next window.
    pub fn push(&mut self, source: &str, padding: u32, fragments: impl ExactSizeIterator<Item = Fragment>) {
        self.row.clear();
        self.row.extend_from_slice(&u32::try_from(source.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.row.extend_from_slice(source.as_bytes());
        self.row.extend_from_slice(&padding.to_le_bytes());
        self.row.extend_from_slice(&u32::try_from(fragments.len()).unwrap_or(u32::MAX).to_le_bytes());
        for fragment in fragments {
            self.row.extend_from_slice(&fragment.start.to_le_bytes());
            self.row.extend_from_slice(&fragment.length.to_le_bytes());
            self.row.extend_from_slice(&fragment.document.0);
            self.row.extend_from_slice(&fragment.offset.to_le_bytes());
            self.row.extend_from_slice(&fragment.epoch.to_le_bytes());
        }
        self.fields.0.update(&self.row);
    }

    /// The digest of the rows taken so far.
    #[must_use]
    pub fn finish(&self) -> Digest {
        self.fields.finish()
    }
}
