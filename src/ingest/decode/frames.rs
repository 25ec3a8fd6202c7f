//! Messages of Arrow IPC, their sizes and places checked before anything is allocated for them.
//!
//! A message is a length, a flatbuffer that describes it, and a body of buffers. The Arrow crate trusts the offsets and
//! sizes in the flatbuffer, so they are checked here first.

use arrow::buffer::{Buffer, MutableBuffer};
use arrow::ipc;

use super::source::SourceBytes;

/// A message whose body is not yet read.
#[derive(Debug)]
pub struct Frame {
    /// The flatbuffer.
    bytes: Vec<u8>,
    /// Where the body starts in the file.
    body_at: u64,
    /// How long the body is.
    body_bytes: u64,
    max_bytes: u64,
}

const CONTINUATION: [u8; 4] = [0xFF; 4];

impl Frame {
    /// Reads the message at `offset`; `None` is the end marker.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    pub fn read(source: &SourceBytes, offset: u64, max_bytes: u64) -> Result<Option<Self>, String> {
        let word = |at: u64| -> Result<[u8; 4], String> {
            let bytes = source.read_at(at, 4).map_err(|e| e.to_string())?;
            bytes.try_into().map_err(|_| "the file is truncated".to_owned())
        };
        let mut at = offset;
        let mut length = word(at)?;
        // Before version 0.15 a message had no continuation mark.
        if length == CONTINUATION {
            at += 4;
            length = word(at)?;
        }
        at += 4;
        let length = u64::try_from(i32::from_le_bytes(length)).map_err(|_| "a message has a negative length")?;
        if length == 0 {
            return Ok(None);
        }
        if length > max_bytes {
            return Err(too_large("a message", length, max_bytes));
        }
        let bytes = source.read_at(at, length).map_err(|e| e.to_string())?;
        let mut frame = Self { bytes, body_at: at + length, body_bytes: 0, max_bytes };
        let body = u64::try_from(frame.message()?.bodyLength()).map_err(|_| "a message has a negative body")?;
        if frame.body_at.checked_add(body).is_none_or(|end| end > source.size()) {
            return Err(
                "a message goes beyond the file's end: the file is truncated or damaged; copy or write it again"
                    .to_owned(),
            );
        }
        frame.body_bytes = body;
        Ok(Some(frame))
    }

    /// Where the next message starts.
    pub fn end(&self) -> u64 {
        self.body_at + self.body_bytes
    }

    /// Length of the body.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// What the message says.
    pub fn message(&self) -> Result<ipc::Message<'_>, String> {
        ipc::root_as_message(&self.bytes).map_err(|e| format!("a message is damaged: {e}"))
    }

    /// Rows of a record batch.
    pub fn rows(&self) -> Result<u64, String> {
        let message = self.message()?;
        let batch = message.header_as_record_batch().ok_or("a record batch was expected")?;
        u64::try_from(batch.length()).map_err(|_| "a record batch has a negative length".to_owned())
    }

    /// Checks all that a record batch (alone or in a dictionary) says of itself; how many bytes its compressed buffers inflate
    /// to. Nothing is allocated for it.
    pub fn inflated_bytes(&self, source: &SourceBytes) -> Result<u64, String> {
        if self.body_bytes > self.max_bytes {
            return Err(too_large("a record batch", self.body_bytes, self.max_bytes));
        }
        let message = self.message()?;
        let batch = match message.header_type() {
            ipc::MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
            _ => message.header_as_record_batch(),
        };
        let batch = batch.ok_or("a record batch was expected")?;
        let impossible = || "a record batch says what is impossible: the file is damaged".to_owned();
        // A null array takes no room, so its rows are bounded by the numbers alone.
        let count = |value: i64| usize::try_from(value).ok().filter(|&count| count <= 1 << 40);
        count(batch.length()).ok_or_else(impossible)?;
        for node in batch.nodes().iter().flatten() {
            count(node.length()).and(count(node.null_count())).ok_or_else(impossible)?;
        }
        for variadic in batch.variadicBufferCounts().iter().flatten() {
            count(variadic).ok_or_else(impossible)?;
        }
        let mut inflated = 0_u64;
        for buffer in batch.buffers().iter().flatten() {
            let start = u64::try_from(buffer.offset()).map_err(|_| impossible())?;
            let end = u64::try_from(buffer.length()).ok().and_then(|length| start.checked_add(length));
            let end = end.filter(|&end| end <= self.body_bytes).ok_or_else(impossible)?;
            if !start.is_multiple_of(8) {
                return Err(impossible());
            }
            if batch.compression().is_some() && end > start {
                let mut prefix = [0; 8];
                if end - start < 8 {
                    return Err(impossible());
                }
                source.fill_at(self.body_at + start, &mut prefix).map_err(|e| e.to_string())?;
                // -1 marks a buffer that is stored as it stands.
                let size = match i64::from_le_bytes(prefix) {
                    -1 => 0,
                    size => u64::try_from(size).map_err(|_| impossible())?,
                };
                inflated = inflated.saturating_add(size);
            }
        }
        if inflated > self.max_bytes {
            return Err(too_large("a record batch", inflated, self.max_bytes));
        }
        Ok(inflated)
    }

    /// Reads the body of a record batch (alone or in a dictionary), after checking it.
    pub fn body(&self, source: &SourceBytes) -> Result<Buffer, String> {
        self.inflated_bytes(source)?;
        let length = usize::try_from(self.body_bytes).map_err(|e| e.to_string())?;
        // Arrow wants its buffers aligned as this type aligns them.
        let mut bytes = MutableBuffer::from_len_zeroed(length);
        source.fill_at(self.body_at, &mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes.into())
    }
}

/// The error of a piece that does not fit.
pub fn too_large(what: &str, bytes: u64, max_bytes: u64) -> String {
    format!(
        "{what} has {bytes} bytes, more than the {max_bytes} that memory allows: raise --memory, or rewrite the file with smaller record batches"
    )
}
