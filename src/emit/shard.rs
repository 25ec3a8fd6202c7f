//! One shard: `.bin`, `.idx` and `.arrow`, hashed on their way to the disk and committed by rename.

use std::io::{BufWriter, Write};
use std::path::Path;

use syllabus_reader::format::digest::to_hex;
use syllabus_reader::format::manifest::Shard;
use syllabus_reader::format::windows::WindowsWriter;
use syllabus_reader::format::{Fragment, TokenDtype, idx};

use crate::error::{Error, Result};
use crate::files::NewFile;

/// Whole windows, filled in memory and ready to be written.
#[derive(Debug, Default)]
pub struct Filled {
    /// Their tokens as they lie on disk.
    pub bytes: Vec<u8>,
    /// One per window: source, padding, and the end of its fragments in `fragments`.
    pub rows: Vec<(u32, u32, usize)>,
    /// The fragments of all windows, window after window.
    pub fragments: Vec<Fragment>,
    /// Largest token id.
    pub max_id: u32,
}

/// The name of a folder's shard: its `.bin`, relative to OUT.
#[must_use]
pub fn shard_name(folder: &str, number: u64) -> String {
    format!("{folder}/{number:05}.bin")
}

/// A shard that is being written.
pub struct ShardWriter {
    name: String,
    folder: std::path::PathBuf,
    dtype: TokenDtype,
    bin: NewFile,
    windows: WindowsWriter<BufWriter<Hashed<NewFile>>>,
    /// Lengths of the Megatron index's sequences.
    lengths: Vec<u32>,
    count: u64,
    size: u64,
}

impl ShardWriter {
    /// Begins the `.bin` of this name, relative to `out`, and the files beside it.
    pub fn create(out: &Path, name: &str, dtype: TokenDtype, sources: &[String]) -> Result<Self> {
        let path = out.join(name);
        let windows = Hashed { out: NewFile::create(&path.with_extension("arrow"))?, hash: blake3::Hasher::new() };
        // Outside, so that what is hashed is not the few bytes of a number.
        let windows = BufWriter::with_capacity(1 << 18, windows);
        Ok(Self {
            bin: NewFile::create(&path)?,
            name: name.to_owned(),
            folder: out.to_owned(),
            dtype,
            windows: WindowsWriter::new(windows, sources)?,
            lengths: Vec::new(),
            count: 0,
            size: 0,
        })
    }

    /// Appends windows; the bytes of the `.bin` are for others to hash.
    pub fn push(&mut self, filled: &Filled) -> Result<()> {
        // As large as a task makes them: a buffer would copy them once more.
        self.bin.write_all(&filled.bytes)?;
        self.size += filled.bytes.len() as u64;
        let mut first = 0;
        for &(source, padding, end) in &filled.rows {
            let fragments = filled.fragments.get(first..end).unwrap_or_default();
            self.windows.push(source, padding, fragments)?;
            self.lengths.extend(fragments.iter().map(|f| f.length));
            self.lengths.extend((padding > 0).then_some(padding));
            first = end;
        }
        self.count += filled.rows.len() as u64;
        Ok(())
    }

    /// Commits the three files; `bytes` has hashed those of the `.bin`.
    pub fn finish(self, bytes: &blake3::Hasher) -> Result<Shard> {
        let (windows, rows) = self.windows.finish()?;
        let Hashed { out: windows, hash } = windows.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        windows.commit()?;
        let index_digest = write_index(&self.folder.join(&self.name).with_extension("idx"), self.dtype, &self.lengths)?;
        self.bin.commit()?;
        Ok(Shard {
            file: self.name,
            windows: self.count,
            bytes: self.size,
            digest: bytes.finalize().to_hex().to_string(),
            index_digest,
            windows_digest: to_hex(&rows),
            arrow_digest: Some(hash.finalize().to_hex().to_string()),
        })
    }
}

/// Writes an index of sequences that lie one after the other, of these lengths, without holding it; gives its digest.
fn write_index(path: &Path, dtype: TokenDtype, lengths: &[u32]) -> Result<String> {
    let out = Hashed { out: NewFile::create(path)?, hash: blake3::Hasher::new() };
    let mut out = BufWriter::with_capacity(1 << 18, out);
    idx::write::<Error>(&mut out, dtype, lengths.len() as u64, &mut |visit| {
        let mut start = 0_u64;
        lengths.iter().try_for_each(|&length| {
            visit(start, length)?;
            start += u64::from(length);
            Ok(())
        })
    })?;
    let Hashed { out, hash } = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    out.commit()?;
    Ok(hash.finalize().to_hex().to_string())
}

/// Hashes what passes.
struct Hashed<W> {
    out: W,
    hash: blake3::Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// The largest token id among bytes as they lie on disk.
#[must_use]
pub fn largest_id(bytes: &[u8], dtype: TokenDtype) -> u32 {
    match dtype {
        TokenDtype::U16 => {
            let ids = bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b));
            u32::from(ids.fold(0, u16::max))
        }
        TokenDtype::U32 => {
            // They are below 2^31, and signed numbers are compared in fewer steps.
            let ids = bytes.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b));
            ids.fold(0, i32::max).cast_unsigned()
        }
    }
}

/// Fills `bytes` with a token.
pub fn fill_with(bytes: &mut [u8], id: u32, dtype: TokenDtype) -> Result<()> {
    match dtype {
        TokenDtype::U16 => {
            let id = u16::try_from(id).map_err(|_| Error::Failed(format!("padding id {id} does not fit 16 bits")))?;
            bytes.as_chunks_mut::<2>().0.fill(id.to_le_bytes());
        }
        TokenDtype::U32 => bytes.as_chunks_mut::<4>().0.fill(id.to_le_bytes()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_on_disk() {
        assert_eq!(largest_id(&[1, 0, 0, 2, 255, 1], TokenDtype::U16), 512);
        assert_eq!(largest_id(&[1, 0, 0, 2, 0, 1, 0, 0], TokenDtype::U32), 0x0200_0001);
        let mut bytes = [9; 4];
        fill_with(&mut bytes, 0x0201, TokenDtype::U16).unwrap();
        assert_eq!(bytes, [1, 2, 1, 2]);
        assert!(fill_with(&mut bytes, 70_000, TokenDtype::U16).is_err());
    }
}
