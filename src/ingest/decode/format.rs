//! Which format a file has: by its content where that says so, else by its ending.

use std::io::Read;
use std::path::Path;

use super::source::SourceBytes;
use super::stream::{self, Stream};
use crate::{Error, Result};

/// How a stream of bytes is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip, of one or many members.
    Gzip,
    /// Zstandard, of one or many frames.
    Zstd,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC with a footer.
    ArrowFile,
    /// Arrow IPC without one.
    ArrowStream,
    /// One JSON object a line.
    Lines(Compression),
    /// The whole file is one document.
    Text(Compression),
}

/// What a file's ending promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Lines,
    Text,
    Table,
    Other,
}

fn ending(path: &Path) -> (Ending, bool) {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let packed = [".gz", ".gzip", ".zst", ".zstd"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let stem = packed.unwrap_or(&name);
    let kind = match stem.rsplit_once('.').map(|(_, extension)| extension) {
        Some("jsonl" | "ndjson" | "json" | "jl") => Ending::Lines,
        Some("txt" | "text" | "md" | "markdown" | "rst") => Ending::Text,
        Some("parquet" | "pq" | "arrow" | "arrows" | "ipc" | "feather") => Ending::Table,
        _ => Ending::Other,
    };
    (kind, packed.is_some())
}

/// Bytes of a file's head that are looked at.
const HEAD: u64 = 4096;
/// What starts a frame of Zstandard.
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];

/// Tells a file's format.
///
/// # Errors
/// A file whose content is none of the formats read, or is not what its ending promises.
pub fn detect(source: &SourceBytes) -> Result<Format> {
    let mut head = Vec::new();
    source.reader_at(0).take(HEAD).read_to_end(&mut head).map_err(|e| at_start(source, e.to_string()))?;
    let (ending, packed) = ending(source.path());
    if head.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    if head.starts_with(b"ARROW1") {
        return Ok(Format::ArrowFile);
    }
    if head.starts_with(&[0xFF; 4]) && head.len() >= 8 {
        return Ok(Format::ArrowStream);
    }
    if let Some(what) = foreign(&head) {
        return Err(at_start(
            source,
            format!("{what} is not read: rewrite the file as Parquet, or as JSON Lines with gzip or zstd"),
        ));
    }
    let compression = if head.starts_with(&[0x1F, 0x8B]) {
        Compression::Gzip
    } else if head.starts_with(ZSTD) || is_skippable_frame(&head) {
        Compression::Zstd
    } else {
        Compression::Plain
    };
    if compression != Compression::Plain {
        head.clear();
        let opened = Stream::open_head(source, compression)?;
        opened.take(HEAD).read_to_end(&mut head).map_err(|e| at_start(source, stream::explain(&e, compression)))?;
        if head.starts_with(b"PAR1") || head.starts_with(b"ARROW1") {
            return Err(at_start(source, "a compressed table: decompress it, its pages are compressed already"));
        }
    }
    let is_json = looks_like_json(&head);
    if packed && compression == Compression::Plain && !is_json {
        return Err(at_start(
            source,
            "neither a gzip nor a zstd stream, as its ending says: it is truncated or damaged; copy or write it again",
        ));
    }
    match ending {
        Ending::Lines => Ok(Format::Lines(compression)),
        Ending::Text => Ok(Format::Text(compression)),
        _ if is_json => Ok(Format::Lines(compression)),
        Ending::Table => Err(at_start(
            source,
            "neither Parquet nor Arrow IPC, as its ending says: it is truncated or damaged; copy or write it again",
        )),
        Ending::Other => Ok(Format::Text(compression)),
    }
}

fn at_start(source: &SourceBytes, message: impl Into<String>) -> Error {
    source.fault("byte 0", message)
}

fn is_skippable_frame(head: &[u8]) -> bool {
    matches!(head, [first, 0x2A, 0x4D, 0x18, ..] if (0x50..=0x5F).contains(first))
}

/// Formats that are known and not read.
fn foreign(head: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 7] = [
        (b"PARE", "Parquet with an encrypted footer"),
        (b"FEA1", "Feather version 1"),
        (b"\xFD7zXZ\0", "xz"),
        (b"\x04\x22\x4D\x18", "lz4"),
        (b"PK\x03\x04", "zip"),
        (b"7z\xBC\xAF\x27\x1C", "7-Zip"),
        (b"BZh91AY&SY", "bzip2"),
    ];
    known.iter().find(|(magic, _)| head.starts_with(magic)).map(|&(_, name)| name)
}

/// Whether the text starts as an object does: `{`, then a key or the end.
fn looks_like_json(head: &[u8]) -> bool {
    let head = head.strip_prefix(BOM).unwrap_or(head);
    let mut seen = head.iter().filter(|b| !b.is_ascii_whitespace());
    seen.next() == Some(&b'{') && matches!(seen.next(), Some(b'"' | b'}'))
}

/// The byte order mark of UTF-8, which is no part of a file's text.
pub const BOM: &[u8] = &[0xEF, 0xBB, 0xBF];
