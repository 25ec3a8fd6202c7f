//! Documents gathered in memory until they become a segment.

use std::io::{BufWriter, Write};
use std::path::Path;

use syllabus_reader::format::TokenDtype;
use syllabus_reader::format::tokens::encode;

use super::segment::{Row, Totals, write_index};
use super::signatures;
use crate::dedup::near::Signature;
use crate::error::{Error, Result};
use crate::files::NewFile;

/// Bytes of a segment that are written at once: a core's second cache holds them until the system has taken them.
const WRITTEN_AT_ONCE: usize = 256 << 10;

/// Documents gathered in memory. The last may be open: its tokens come in parts, and it is no row until [`Builder::end`].
#[derive(Debug)]
pub struct Builder {
    dtype: TokenDtype,
    width: usize,
    limit: usize,
    rows: Vec<Row>,
    /// Tokens as they will lie on disk.
    tokens: Vec<u8>,
    /// Bytes of `tokens` that are of rows; those after them are the open document's.
    closed: usize,
    bytes: u64,
    /// Near-duplicate signatures, one a row when there are any.
    signatures: Vec<Signature>,
}

impl Builder {
    /// Gathers up to about `limit` bytes.
    #[must_use]
    pub fn new(dtype: TokenDtype, limit: usize) -> Self {
        Self {
            dtype,
            width: dtype.width(),
            limit,
            rows: Vec::new(),
            tokens: Vec::new(),
            closed: 0,
            bytes: 0,
            signatures: Vec::new(),
        }
    }

    /// Another limit, while there is no row.
    pub fn set_limit(&mut self, limit: usize) {
        if limit == self.limit || !self.rows.is_empty() {
            return;
        }
        self.limit = limit;
        if self.tokens.is_empty() {
            self.tokens = Vec::new();
        } else {
            self.tokens.reserve_exact(limit.saturating_sub(self.tokens.len()));
        }
    }

    /// Whether so many tokens more, of the open document, go over the limit that there is for it and the rows before it.
    #[must_use]
    pub fn is_full(&self, tokens: usize) -> bool {
        let signature = if self.signatures.is_empty() { 0 } else { std::mem::size_of::<Signature>() };
        let row = std::mem::size_of::<Row>() + signature;
        !self.rows.is_empty() && self.tokens.len() + tokens * self.width + (self.rows.len() + 1) * row > self.limit
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds tokens to the open document. Ids must fit the token width; the contract's vocabulary size makes sure of it.
    pub fn add(&mut self, ids: &[u32]) -> Result<()> {
        let (bytes, length) = (ids.len() * self.width, self.tokens.len());
        if self.tokens.capacity() == 0 {
            // At once, so that growing never holds two copies; pages are taken only when they are written to.
            self.tokens.reserve_exact(self.limit.max(bytes));
        } else if self.tokens.capacity() - length < bytes {
            // A document beyond the limit: by half at a time, and with room for what ends it.
            self.tokens.reserve_exact(bytes.max(length / 2) + self.width);
        }
        encode(ids, self.dtype, &mut self.tokens)?;
        Ok(())
    }

    /// Tokens of the open document.
    #[must_use]
    pub fn open_tokens(&self) -> usize {
        (self.tokens.len() - self.closed) / self.width
    }

    /// The open document's tokens as they will lie on disk.
    #[must_use]
    pub fn open_bytes(&self) -> &[u8] {
        self.tokens.get(self.closed..).unwrap_or_default()
    }

    /// Makes the open document a row; `bytes` are those of its text.
    pub fn end(&mut self, key: u128, bytes: u64) -> Result<()> {
        let too_long = || Error::Failed(format!("a document of {} tokens is too long", self.open_tokens()));
        let start = u64::try_from(self.closed / self.width).map_err(|_| too_long())?;
        let tokens = u32::try_from(self.open_tokens()).map_err(|_| too_long())?;
        let bytes = u32::try_from(bytes).map_err(|_| too_long())?;
        self.rows.push(Row { key, start, tokens, bytes });
        self.closed = self.tokens.len();
        self.bytes += u64::from(bytes);
        Ok(())
    }

    /// Adds a document.
    pub fn push(&mut self, key: u128, ids: &[u32], bytes: usize) -> Result<()> {
        self.add(ids)?;
        self.end(key, bytes as u64)
    }

    /// Adds the signature of the document added last. Either every document has one, or none.
    pub fn sign(&mut self, signature: &Signature) {
        self.signatures.push(*signature);
    }

    /// Adds a document whose tokens are bytes as they lie on disk.
    pub fn push_stored(&mut self, row: &Row, tokens: &[u8]) {
        let start = (self.closed / self.width) as u64;
        self.tokens.extend_from_slice(tokens);
        self.closed = self.tokens.len();
        self.rows.push(Row { start, ..*row });
        self.bytes += u64::from(row.bytes);
    }

    /// Writes the rows to `path`, committed, and forgets them. A document that is open stays so, the first of what comes next.
    pub fn write(&mut self, path: &Path) -> Result<Totals> {
        let (tokens, width) = (&self.tokens, self.width);
        let slice = |row: &Row| {
            let start = usize::try_from(row.start).unwrap_or(usize::MAX) * width;
            tokens.get(start..start + row.tokens as usize * width).unwrap_or_default()
        };
        // The signatures follow their rows: they are told apart by where their tokens began.
        let mut signed: Vec<(u64, Signature)> = Vec::new();
        if self.signatures.len() == self.rows.len() {
            signed = self.rows.iter().map(|row| row.start).zip(self.signatures.drain(..)).collect();
        }
        self.rows.sort_unstable_by(|a, b| a.key.cmp(&b.key).then_with(|| slice(a).cmp(slice(b))));
        if !signed.is_empty() {
            signatures::write(path, self.rows.iter().map(|row| row.start), &signed)?;
        }
        let totals =
            Totals { documents: self.rows.len() as u64, tokens: (self.closed / self.width) as u64, bytes: self.bytes };
        let mut out = BufWriter::with_capacity(WRITTEN_AT_ONCE, NewFile::create(path)?);
        write_index(&mut out, self.width, totals, &self.rows)?;
        for row in &self.rows {
            out.write_all(slice(row))?;
        }
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.commit()?;
        self.rows.clear();
        self.signatures.clear();
        self.bytes = 0;
        self.tokens.drain(..self.closed);
        self.closed = 0;
        if self.tokens.is_empty() && self.tokens.capacity() > self.limit {
            // One document took more than the limit: its room is not kept for the others.
            self.tokens = Vec::new();
        }
        Ok(totals)
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::Segment;
    use super::*;

    fn stored(path: &Path, dtype: TokenDtype) -> Vec<(u128, Vec<u8>)> {
        let segment = Segment::open(path, dtype).unwrap();
        segment.check().unwrap();
        let mut rows = Vec::new();
        segment.rows(0..segment.totals().documents, &mut rows).unwrap();
        rows.iter()
            .map(|row| {
                let mut tokens = Vec::new();
                segment.row_tokens(row, &mut tokens).unwrap();
                (row.key, tokens)
            })
            .collect()
    }

    /// A document that comes in parts is whole in the next segment, whatever was written meanwhile.
    #[test]
    fn an_open_document_outlives_a_write() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("1"), folder.path().join("2"));
        for dtype in [TokenDtype::U16, TokenDtype::U32] {
            let bytes = |ids: &[u32]| {
                let mut bytes = Vec::new();
                encode(ids, dtype, &mut bytes).unwrap();
                bytes
            };
            let mut builder = Builder::new(dtype, 200);
            builder.push(9, &[1, 2, 3], 5).unwrap();
            builder.push(7, &[4], 1).unwrap();
            builder.add(&[5, 6]).unwrap();
            assert!(!builder.is_full(1) && builder.is_full(200) && !builder.is_empty());
            let totals = builder.write(&first).unwrap();
            assert_eq!((totals.documents, totals.tokens, totals.bytes), (2, 4, 6));
            assert!(builder.is_empty() && !builder.is_full(1000), "alone a document is never too much");
            assert_eq!(builder.open_bytes(), bytes(&[5, 6]));
            builder.set_limit(300);
            assert_eq!(builder.limit, 300, "a limit holds for what is open, too");
            let long: Vec<u32> = (0..500).collect();
            builder.add(&long).unwrap();
            assert_eq!(builder.open_tokens(), 502);
            let capacity = builder.tokens.capacity();
            builder.add(&[7]).unwrap();
            assert_eq!(builder.tokens.capacity(), capacity, "there is room for what ends a document");
            builder.end(8, 3).unwrap();
            builder.push(2, &[], 0).unwrap();
            let totals = builder.write(&second).unwrap();
            assert_eq!((totals.documents, totals.tokens, totals.bytes), (2, 503, 3));
            assert_eq!(stored(&first, dtype), [(7, bytes(&[4])), (9, bytes(&[1, 2, 3]))]);
            assert_eq!(
                stored(&second, dtype),
                [(2, Vec::new()), (8, [bytes(&[5, 6]), bytes(&long), bytes(&[7])].concat())]
            );
            assert_eq!(builder.tokens.capacity(), 0, "what is above the limit is given back");
        }
    }
}
