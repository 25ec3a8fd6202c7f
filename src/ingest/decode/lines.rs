//! JSON Lines: one JSON object a line.
//!
//! Lines end with `\n` or `\r\n`; the last one need not. A byte order mark at the start is skipped. Blank lines (white
//! space alone) are not rows. The reader cuts at line ends, in serial; what a line holds is the worker's business.

use std::io::Read;

use super::format::{BOM, Compression};
use super::json::Slot;
use super::room::Held;
use super::source::SourceBytes;
use super::stream::{self, Stream};
use super::{At, Batch, Body, Presence, ReadSpec, Row, Shared, UnitReader};
use crate::{Error, Result};

/// Cuts a stream into batches of whole lines.
pub struct LinesReader {
    shared: Shared,
    source: SourceBytes,
    compression: Compression,
    input: Stream,
    /// What was read after the last line end.
    carry: Vec<u8>,
    at_start: bool,
    ended: bool,
    /// Bytes that came out of the stream.
    read: u64,
    next_row: u64,
    next_line: u64,
    to_skip: u64,
    /// Held for the lines that are being read.
    held: Option<Held>,
}

/// Whole lines.
#[derive(Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    first_line: u64,
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r'))
}

fn too_long(bytes: u64, spec: &ReadSpec) -> String {
    let max = spec.limits().max_line_bytes();
    format!("the line has {bytes} bytes, more than {max}: three times max_document_bytes and 1 MiB")
}

/// The lines of a text with their offsets, without their ends.
fn split(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', bytes)
        .chain((!bytes.is_empty() && bytes.last() != Some(&b'\n')).then_some(bytes.len()))
        .map(move |end| {
            let from = std::mem::replace(&mut start, end + 1);
            (from, bytes.get(from..end).unwrap_or_default())
        })
}

impl LinesReader {
    pub fn new(shared: Shared, source: SourceBytes, compression: Compression) -> Result<Self> {
        let input = Stream::open(&source, compression)?;
        Ok(Self {
            shared,
            source,
            compression,
            input,
            carry: Vec::new(),
            at_start: true,
            ended: false,
            read: 0,
            next_row: 0,
            next_line: 1,
            to_skip: 0,
            held: None,
        })
    }

    fn fault(&self, e: &std::io::Error, lines_since: usize) -> Error {
        let line = self.next_line + u64::try_from(lines_since).unwrap_or(0);
        self.source.fault(format!("line {line}"), stream::explain(e, self.compression))
    }

    /// Appends up to `want` bytes; fewer only at the end of the stream.
    fn fill(&mut self, buffer: &mut Vec<u8>, want: usize) -> Result<()> {
        buffer.reserve_exact(want);
        let before = buffer.len();
        let result = self.input.by_ref().take(u64::try_from(want).unwrap_or(u64::MAX)).read_to_end(buffer);
        if let Err(e) = result {
            return Err(self.fault(&e, memchr::memchr_iter(b'\n', buffer).count()));
        }
        self.ended = buffer.len() - before < want;
        self.read += u64::try_from(buffer.len() - before).unwrap_or(0);
        if self.at_start && (buffer.len() >= BOM.len() || self.ended) {
            if buffer.starts_with(BOM) {
                buffer.drain(..BOM.len());
            }
            self.at_start = false;
        }
        Ok(())
    }

    /// The next run of whole lines, or a line that is longer than is allowed.
    fn next_lines(&mut self) -> Result<Option<Body>> {
        let limits = self.shared.spec.limits();
        let batch_bytes = limits.batch_bytes.max(1);
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        // What is held of a line that goes on: as much as is allowed, and as memory has room for.
        let most = size(limits.max_line_bytes().min(limits.held_line_bytes()));
        let mut buffer = std::mem::take(&mut self.carry);
        let mut searched = 0;
        loop {
            if !self.ended {
                // Doubling keeps the copying linear; a line is never read past its bound.
                let want = batch_bytes.saturating_sub(buffer.len()).max(buffer.len()).max(4096);
                let want = if buffer.len() <= most { want.min(most - buffer.len() + 1) } else { 1 };
                if searched > 0 {
                    let bytes = buffer.len().saturating_add(want);
                    self.shared.spec.enter(u64::try_from(bytes).unwrap_or(u64::MAX), &mut self.held);
                }
                self.fill(&mut buffer, want)?;
            }
            let fresh = buffer.get(searched..).unwrap_or_default();
            let whole = match memchr::memrchr(b'\n', fresh) {
                Some(at) => Some(searched + at + 1),
                None if self.ended => Some(buffer.len()),
                None => None,
            };
            match whole {
                Some(0) => return Ok(None),
                Some(end) => {
                    // With less than a quarter left over, what is carried is cheap to copy.
                    self.carry = buffer.split_off(end);
                    return Ok(Some(Body::Lines(Lines { bytes: buffer, first_line: self.next_line })));
                }
                None if buffer.len() > most => return self.discard_line(buffer).map(Some),
                None => searched = buffer.len(),
            }
        }
    }

    /// Passes over the rest of a line that is too long, holding none of it.
    fn discard_line(&mut self, read: Vec<u8>) -> Result<Body> {
        let mut length = u64::try_from(read.len()).unwrap_or(u64::MAX);
        drop(read);
        self.held = None;
        let mut buffer = Vec::new();
        while !self.ended {
            buffer.clear();
            self.fill(&mut buffer, 1 << 16)?;
            if let Some(end) = memchr::memchr(b'\n', &buffer) {
                length += u64::try_from(end).unwrap_or(0);
                self.carry = buffer.split_off(end + 1);
                break;
            }
            length += u64::try_from(buffer.len()).unwrap_or(0);
        }
        let limits = self.shared.spec.limits();
        if length <= limits.max_line_bytes() {
            let why = limits.no_room("a line", length, limits.held_line_bytes());
            return Err(self.source.fault(format!("line {}", self.next_line), why));
        }
        Ok(Body::Bad { line: Some(self.next_line), why: too_long(length, &self.shared.spec) })
    }
}

impl UnitReader for LinesReader {
    fn skip_rows(&mut self, rows: u64) -> Result<()> {
        self.to_skip += rows;
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        // What is carried was read but not handed out; its part in the stored bytes is as its part in all that was read.
        let carried = u128::try_from(self.carry.len()).unwrap_or(0);
        let read = u128::from(self.read).max(1);
        let handed_out = u128::from(self.input.stored_bytes()) * read.saturating_sub(carried) / read;
        u64::try_from(handed_out).unwrap_or(u64::MAX)
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        while let Some(mut body) = self.next_lines()? {
            let (mut rows, lines) = body.count_lines();
            let mut first_row = self.next_row;
            self.next_row += rows;
            self.next_line += lines;
            if self.to_skip > 0 {
                let skipped = self.to_skip.min(rows);
                self.to_skip -= skipped;
                rows -= skipped;
                first_row += skipped;
                if let Body::Lines(lines) = &mut body
                    && rows > 0
                {
                    lines.drop_rows(skipped);
                }
            }
            // What is carried of a large piece is a part of it.
            let carried = u64::try_from(self.carry.len()).unwrap_or(u64::MAX);
            let still = carried > self.shared.spec.limits().small_piece_bytes;
            let held = if still { self.held.clone() } else { self.held.take() };
            if rows > 0 {
                return Ok(Some(self.shared.batch(first_row, rows, body).holding(held)));
            }
        }
        if self.to_skip > 0 {
            return Err(self.source.fault(
                format!("row {}", self.next_row),
                "the file ends before the row where reading was to go on: it changed",
            ));
        }
        Ok(None)
    }
}

impl Body {
    /// Rows and lines in a piece of a stream.
    fn count_lines(&self) -> (u64, u64) {
        match self {
            Self::Lines(lines) => {
                split(&lines.bytes).fold((0, 0), |(rows, all), (_, line)| (rows + u64::from(!is_blank(line)), all + 1))
            }
            _ => (1, 1),
        }
    }
}

impl Lines {
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn drop_rows(&mut self, rows: u64) {
        let mut left = rows;
        let mut passed = 0;
        let mut cut = 0;
        for (start, line) in split(&self.bytes) {
            cut = start;
            if left == 0 {
                break;
            }
            passed += 1;
            left -= u64::from(!is_blank(line));
        }
        self.bytes.drain(..cut);
        self.first_line += passed;
    }

    pub fn visit(
        &self,
        spec: &ReadSpec,
        first_row: u64,
        f: &mut dyn FnMut(At, Row<'_>) -> Result<()>,
    ) -> Result<Presence> {
        let mut presence = spec.presence();
        let mut slots = vec![Slot::default(); spec.columns().len()];
        let mut scratch = Vec::new();
        // One pass over the whole batch is much faster than one a line; only a batch that fails is looked at by lines.
        let whole = simdutf8::basic::from_utf8(&self.bytes).ok();
        let max_line = usize::try_from(spec.limits().max_line_bytes()).unwrap_or(usize::MAX);
        let mut at = At { row: first_row, line: Some(self.first_line) };
        for (start, line) in split(&self.bytes) {
            if !is_blank(line) {
                let text = match whole {
                    Some(whole) => whole.get(start..start + line.len()),
                    None => std::str::from_utf8(line).ok(),
                };
                let row = match text {
                    // Whether a line is too long may not depend on how it came to be read.
                    _ if line.len() > max_line => {
                        Row::Bad(too_long(u64::try_from(line.len()).unwrap_or(u64::MAX), spec))
                    }
                    None => Row::Bad("the line is not UTF-8".to_owned()),
                    Some(text) => match spec.tree().read(text, &mut slots) {
                        Err(why) => Row::Bad(why),
                        Ok(()) => {
                            presence.note(spec, |column| slots.get(column).is_some_and(Slot::is_present));
                            spec.read(
                                &mut |column| slots.get(column).map(Slot::value).unwrap_or(super::Value::Absent),
                                &mut scratch,
                            )
                        }
                    },
                };
                f(at, row)?;
                at.row += 1;
            }
            at.line = at.line.map(|line| line + 1);
        }
        Ok(presence)
    }
}
