//! A file as one stream of bytes, decompressed.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::format::Compression;
use super::source::{SourceBytes, SourceReader};
use crate::Result;

/// Largest window of Zstandard: 2^27 bytes, 128 MiB, which is also what `zstd` itself accepts unasked.
const WINDOW_LOG_MAX: u32 = 27;
const BUFFER: usize = 256 << 10;
const HEAD_BUFFER: usize = 8 << 10;

/// A decompressing reader. What is wrong with its content shows when it is read; see [`explain`].
pub enum Stream {
    Plain(SourceReader),
    Gzip(Box<MultiGzDecoder<BufReader<SourceReader>>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<SourceReader>>),
}

impl Stream {
    /// Opens a file from its start.
    pub fn open(source: &SourceBytes, compression: Compression) -> Result<Self> {
        Self::buffered(source, compression, BUFFER)
    }

    /// The same for a look at its first bytes.
    pub fn open_head(source: &SourceBytes, compression: Compression) -> Result<Self> {
        Self::buffered(source, compression, HEAD_BUFFER)
    }

    fn buffered(source: &SourceBytes, compression: Compression, buffer: usize) -> Result<Self> {
        let raw = source.reader_at(0);
        Ok(match compression {
            Compression::Plain => Self::Plain(raw),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(buffer, raw)))),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(buffer, raw))?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Self::Zstd(decoder)
            }
        })
    }

    /// Bytes of the file that were decompressed so far.
    pub fn stored_bytes(&self) -> u64 {
        let taken = |input: &BufReader<SourceReader>| {
            input.get_ref().offset().saturating_sub(u64::try_from(input.buffer().len()).unwrap_or(0))
        };
        match self {
            Self::Plain(raw) => raw.offset(),
            Self::Gzip(decoder) => taken(decoder.get_ref()),
            Self::Zstd(decoder) => taken(decoder.get_ref()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// An error of such a stream, in words.
pub fn explain(error: &io::Error, compression: Compression) -> String {
    let name = match compression {
        Compression::Plain => return error.to_string(),
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    };
    let text = error.to_string();
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return format!("the {name} stream ends in the middle: the file is truncated");
    }
    if text.contains("too much memory") {
        return "the zstd stream needs a window above 128 MiB, which is refused: compress it again without --ultra or --long"
            .to_owned();
    }
    format!("the {name} stream is damaged: {text}")
}
