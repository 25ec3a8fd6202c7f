//! The on-disk format: one definition, used by the compiler that writes it and the reader that maps it.

pub mod digest;
pub mod idx;
pub mod manifest;
pub mod tokens;
pub mod windows;

use std::path::{Path, PathBuf};

/// The path of a shard's `.idx` or `.arrow`, from that of its `.bin`.
#[must_use]
pub fn beside(bin: &Path, extension: &str) -> PathBuf {
    bin.with_extension(extension)
}

/// A document's key: XXH3-128 of its UTF-8 bytes, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey(pub [u8; 16]);

impl From<u128> for DocumentKey {
    fn from(key: u128) -> Self {
        Self(key.to_be_bytes())
    }
}

impl From<DocumentKey> for u128 {
    fn from(key: DocumentKey) -> Self {
        Self::from_be_bytes(key.0)
    }
}

/// 32 lower-case hex digits.
impl std::fmt::Display for DocumentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from(*self))
    }
}

impl std::str::FromStr for DocumentKey {
    type Err = String;

    /// Reads 32 hex digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let key = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        key.map(Self::from).ok_or_else(|| format!("`{text}` is no document key: 32 hex digits"))
    }
}

/// The part of one document that lies in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// First token, counted in the window.
    pub start: u32,
    /// Number of tokens.
    pub length: u32,
    /// The document.
    pub document: DocumentKey,
    /// First token, counted in the document's tokens (its BOS/EOS counted).
    pub offset: u32,
    /// Epoch of the source, from 0.
    pub epoch: u32,
}

/// Width of a token on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenDtype {
    /// Two bytes, unsigned.
    U16,
    /// Four bytes, unsigned, ids below 2^31.
    U32,
}

impl TokenDtype {
    /// Bytes of a token.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }

    /// Bytes of a token.
    #[must_use]
    pub const fn width_u8(self) -> u8 {
        match self {
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }

    /// Largest id that it holds.
    #[must_use]
    pub const fn max_id(self) -> u32 {
        match self {
            Self::U16 => 0xFFFF,
            Self::U32 => 0x7FFF_FFFF,
        }
    }

    /// The dtype for a vocabulary (1 + its largest id): Megatron's rule, u16 below 65,500.
    #[must_use]
    pub const fn for_vocabulary(vocab_size: u32) -> Self {
        if vocab_size < 65_500 { Self::U16 } else { Self::U32 }
    }
}

impl std::fmt::Display for TokenDtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::U16 => "u16",
            Self::U32 => "u32",
        })
    }
}
