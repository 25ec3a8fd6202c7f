//! Plain text: the whole file is one document.

use std::io::Read;

use super::format::{BOM, Compression};
use super::source::SourceBytes;
use super::{
    At, Batch, Body, Presence, ReadSpec, Row, Shared, UnitReader, Value,
    stream::{self, Stream},
};
use crate::Result;

/// Reads the one document of a file.
pub struct TextReader {
    shared: Shared,
    source: SourceBytes,
    compression: Compression,
    to_skip: u64,
    done: bool,
}

impl TextReader {
    pub fn new(shared: Shared, source: SourceBytes, compression: Compression) -> Self {
        Self { shared, source, compression, to_skip: 0, done: false }
    }
}

impl UnitReader for TextReader {
    fn skip_rows(&mut self, rows: u64) -> Result<()> {
        self.to_skip += rows;
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        if self.done { self.source.size() } else { 0 }
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        if self.to_skip > 1 {
            return Err(self
                .source
                .fault("row 1", "a text file has one row, and reading was to go on after it: it changed"));
        }
        if std::mem::replace(&mut self.done, true) || self.to_skip == 1 {
            return Ok(None);
        }
        let limits = self.shared.spec.limits();
        let max = limits.max_document_bytes;
        let mark = u64::try_from(BOM.len()).unwrap_or(3);
        let mut stream = Stream::open(&self.source, self.compression)?;
        let (mut bytes, mut held) = (Vec::new(), None);
        // One byte more than is allowed shows that there are too many; a mark at the start does not count.
        let most = max.min(limits.held_document_bytes).saturating_add(mark).saturating_add(1);
        for bound in [most.min(limits.small_piece_bytes), most] {
            let left = bound.saturating_sub(size(&bytes));
            if left > 0 && size(&bytes) == limits.small_piece_bytes {
                self.shared.spec.enter(bound, &mut held);
            }
            if let Err(e) = stream.by_ref().take(left).read_to_end(&mut bytes) {
                return Err(self.source.fault(format!("byte {}", bytes.len()), stream::explain(&e, self.compression)));
            }
        }
        if bytes.starts_with(BOM) {
            bytes.drain(..BOM.len());
        }
        let too_long =
            Body::Bad { line: None, why: format!("the file is longer than max_document_bytes ({max} bytes)") };
        let mut length = size(&bytes);
        let body = if length > max {
            too_long
        } else if length > limits.held_document_bytes {
            // Whether it is allowed at all is known once so much of it was passed over.
            bytes = Vec::new();
            let mut rest = stream.take(max.saturating_sub(length).saturating_add(1));
            let passed = std::io::copy(&mut rest, &mut std::io::sink());
            let passed = passed
                .map_err(|e| self.source.fault(format!("byte {length}"), stream::explain(&e, self.compression)))?;
            length = length.saturating_add(passed);
            if length <= max {
                let why = limits.no_room("a text", length, limits.held_document_bytes);
                return Err(self.source.fault("the file", why));
            }
            too_long
        } else {
            Body::Text(std::mem::take(&mut bytes))
        };
        drop(bytes);
        Ok(Some(self.shared.batch(0, 1, body).holding(held)))
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A text file is a row with one column: the one that the template names, and `text`.
pub fn visit(spec: &ReadSpec, bytes: &[u8], f: &mut dyn FnMut(At, Row<'_>) -> Result<()>) -> Result<Presence> {
    let is_text = |column: usize| {
        let is_templates = spec.template().is_plain() && column == 0;
        is_templates || spec.columns().get(column).is_some_and(|name| name == "text")
    };
    let mut presence = spec.presence();
    presence.note(spec, is_text);
    let mut value = |column| if is_text(column) { Value::Bytes(bytes) } else { Value::Absent };
    let row = spec.read(&mut value, &mut Vec::new());
    f(At { row: 0, line: None }, row)?;
    Ok(presence)
}
