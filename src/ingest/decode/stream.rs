//! A file as one stream of bytes, decompressed.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::format::Compression;
use super::source::SourceBytes;
use crate::Result;

/// Largest window of Zstandard: 2^27 bytes, 128 MiB, which is also what `zstd` itself accepts unasked.
const WINDOW_LOG_MAX: u32 = 27;
const BUFFER: usize = 256 << 10;

/// Opens the stream. What is wrong with its content shows when it is read; see [`explain`].
pub fn open(source: &SourceBytes, compression: Compression) -> Result<Box<dyn Read + Send>> {
    let raw = source.reader_at(0);
    Ok(match compression {
        Compression::Plain => Box::new(raw),
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, raw))),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(BUFFER, raw))?;
            decoder.window_log_max(WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    })
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
