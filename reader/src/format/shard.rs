//! Writing a shard: `.bin`, `.idx` and `.arrow` together, hashed as they are written, visible only when whole.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use fs_err::File;

use super::digest::to_hex;
use super::manifest::Shard;
use super::windows::WindowsWriter;
use super::{Fragment, TokenDtype, idx, tokens};
use crate::error::{Error, Result};

/// Bytes gathered before a write.
const BUFFER: usize = 1 << 20;

/// The path of a shard's `.idx` or `.arrow`, from that of its `.bin`.
#[must_use]
pub fn beside(bin: &Path, extension: &str) -> PathBuf {
    bin.with_extension(extension)
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Writes one shard, window by window, into files ending in `.partial`; [`ShardWriter::finish`] syncs and renames them, the `.bin`
/// last: a `.bin` that is there has its two companions.
#[derive(Debug)]
pub struct ShardWriter {
    path: PathBuf,
    file: String,
    dtype: TokenDtype,
    window_tokens: u32,
    bin: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: Vec<u8>,
    size: u64,
    windows: u64,
    lengths: Vec<u32>,
    max_token_id: u32,
    rows: WindowsWriter<BufWriter<File>>,
}

impl ShardWriter {
    /// Begins the shard `file` (the `.bin`, relative to the dataset, with `/`) of the dataset in `dir`; its folder must exist.
    /// `sources` are all the curriculum's source names in its order.
    ///
    /// # Errors
    /// [`Error::Io`] when the files cannot be made.
    pub fn create(dir: &Path, file: &str, dtype: TokenDtype, window_tokens: u32, sources: &[String]) -> Result<Self> {
        let path = dir.join(file);
        let bin = BufWriter::with_capacity(BUFFER, File::create(temporary(&path))?);
        let rows = BufWriter::with_capacity(BUFFER, File::create(temporary(&beside(&path, "arrow")))?);
        Ok(Self {
            path,
            file: file.to_owned(),
            dtype,
            window_tokens,
            bin,
            hasher: blake3::Hasher::new(),
            bytes: Vec::new(),
            size: 0,
            windows: 0,
            lengths: Vec::new(),
            max_token_id: 0,
            rows: WindowsWriter::new(rows, sources)?,
        })
    }

    /// Adds the next window: its source (an index into `sources`), its W tokens (padding among them), how many of them are
    /// padding, and its fragments in order.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the window is not of W tokens, when fragments and padding do not tile it, or an id does not
    /// fit; [`Error::Io`] when the files cannot be written.
    pub fn push(&mut self, source: u32, window: &[u32], padding: u32, fragments: &[Fragment]) -> Result<()> {
        let wrong = |what: &str| Err(Error::OutOfRange(format!("{}: window {}: {what}", self.file, self.windows)));
        if u32::try_from(window.len()) != Ok(self.window_tokens) {
            return wrong(&format!("{} tokens, not {}", window.len(), self.window_tokens));
        }
        let mut next = 0_u32;
        for fragment in fragments {
            if fragment.start != next || fragment.length == 0 || fragment.length > self.window_tokens - next {
                return wrong("its fragments do not tile it");
            }
            next += fragment.length;
        }
        if self.window_tokens - next != padding {
            return wrong(&format!(
                "fragments of {next} tokens and {padding} of padding are not {}",
                self.window_tokens
            ));
        }
        self.bytes.clear();
        tokens::encode(window, self.dtype, &mut self.bytes)?;
        self.hasher.update(&self.bytes);
        self.bin.write_all(&self.bytes)?;
        self.size += u64::from(self.window_tokens) * u64::from(self.dtype.width_u8());
        self.windows += 1;
        self.max_token_id = window.iter().copied().fold(self.max_token_id, u32::max);
        self.lengths.extend(fragments.iter().map(|fragment| fragment.length));
        if padding > 0 {
            self.lengths.push(padding);
        }
        self.rows.push(source, padding, fragments)
    }

    /// The largest id so far, padding's included.
    #[must_use]
    pub fn max_token_id(&self) -> u32 {
        self.max_token_id
    }

    /// Windows so far.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// Syncs the three files and gives them their names. The folder itself is the caller's to sync.
    ///
    /// # Errors
    /// [`Error::Io`] when that fails.
    pub fn finish(self) -> Result<Shard> {
        let sync = |out: BufWriter<File>| {
            let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.sync_all()
        };
        sync(self.bin)?;
        let (rows, windows_digest) = self.rows.finish()?;
        sync(rows)?;
        let index = idx::encode(self.dtype, &self.lengths)?;
        let index_path = beside(&self.path, "idx");
        let mut out = File::create(temporary(&index_path))?;
        out.write_all(&index)?;
        out.sync_all()?;
        for path in [&index_path, &beside(&self.path, "arrow"), &self.path] {
            fs_err::rename(temporary(path), path)?;
        }
        Ok(Shard {
            file: self.file,
            windows: self.windows,
            bytes: self.size,
            digest: to_hex(self.hasher.finalize().as_bytes()),
            index_digest: to_hex(blake3::hash(&index).as_bytes()),
            windows_digest: to_hex(&windows_digest),
        })
    }
}
