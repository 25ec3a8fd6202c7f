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
        let max = self.shared.spec.limits().max_document_bytes;
        let mut bytes = Vec::new();
        // One byte more than is allowed shows that there are too many.
        let bound = max.saturating_add(u64::try_from(BOM.len()).unwrap_or(3)).saturating_add(1);
        let read = Stream::open(&self.source, self.compression)?.take(bound).read_to_end(&mut bytes);
        if let Err(e) = read {
            return Err(self.source.fault(format!("byte {}", bytes.len()), stream::explain(&e, self.compression)));
        }
        if bytes.starts_with(BOM) {
            bytes.drain(..BOM.len());
        }
        let body = if u64::try_from(bytes.len()).is_ok_and(|read| read > max) {
            Body::Bad { line: None, why: format!("the file is longer than max_document_bytes ({max} bytes)") }
        } else {
            Body::Text(bytes)
        };
        Ok(Some(self.shared.batch(0, 1, body)))
    }
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
