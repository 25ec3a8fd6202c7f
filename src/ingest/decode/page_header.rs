//! Headers of Parquet pages: Thrift structures (compact protocol) whose leading fields are kind and sizes. What is not asked for
//! is passed over, as is all of a footer, to know that it ends where it should.

use std::io::Read;

use parquet::errors::{ParquetError, Result};

/// Deepest structure in a header.
const MAX_DEPTH: u32 = 8;
/// Deepest structure in a footer: what is known today nests half as deeply.
const MAX_FOOTER_DEPTH: u32 = 16;
/// The type of a structure.
const STRUCTURE: u8 = 12;

/// The kind of a data page of version 1.
pub const DATA_PAGE: i64 = 0;
/// The kind of a page of indexes.
pub const INDEX_PAGE: i64 = 1;
/// The kind of a dictionary page.
pub const DICTIONARY_PAGE: i64 = 2;

/// What a page's header says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Header {
    /// What the page holds.
    pub kind: i64,
    /// Bytes of the header itself.
    pub header_bytes: u64,
    /// Bytes of the page once inflated.
    pub inflated: i64,
    /// Bytes of the page as stored, without its header.
    pub stored: i64,
    /// Values, nulls among them.
    pub values: i64,
    /// Of a data page of version 1, the encodings of values, definition levels and repetition levels; of a dictionary page, that
    /// of its values.
    pub encodings: [i64; 3],
}

/// The error of a page that is not as it should be.
pub fn damaged(message: &str) -> ParquetError {
    ParquetError::General(message.to_owned())
}

/// Bytes after a footer that is signed (Parquet's modular encryption): a nonce and a tag.
const SIGNATURE: u64 = 28;

/// Whether a footer of so many bytes is one structure and nothing more, but for a signature. The Parquet crate goes through as many
/// elements as a list says that it has, and booleans take no byte there: a few bytes would keep it busy for hours. What ends too
/// early is read on by it, where it takes a field for another than it is.
pub fn ends(footer: impl Read, bytes: u64) -> bool {
    let mut reader = HeaderReader::new(footer, bytes);
    reader.skip(STRUCTURE, MAX_FOOTER_DEPTH).is_ok() && matches!(reader.max - reader.read, 0 | SIGNATURE)
}

/// Reads one page header.
pub struct HeaderReader<R> {
    input: R,
    read: u64,
    max: u64,
}

impl<R: Read> HeaderReader<R> {
    /// Reads from `input`, `max` bytes at most.
    pub fn new(input: R, max: u64) -> Self {
        Self { input, read: 0, max }
    }

    /// The header.
    pub fn read(mut self) -> Result<Header> {
        let mut header = Header::default();
        let mut seen = 0_u32;
        let mut id = 0;
        while let Some((next, kind)) = self.field(id)? {
            id = next;
            match (id, kind) {
                (1..=3, 5) => {
                    let value = self.zigzag()?;
                    seen |= 1 << id;
                    match id {
                        1 => header.kind = value,
                        2 => header.inflated = value,
                        _ => header.stored = value,
                    }
                }
                // The headers of data pages (both versions) and dictionary pages start with their number of values.
                (5 | 7 | 8, STRUCTURE) => {
                    let [values, encoding, definitions, repetitions] = self.integers()?;
                    header.values = values;
                    header.encodings = [encoding, definitions, repetitions];
                }
                _ => self.skip(kind, MAX_DEPTH)?,
            }
        }
        if seen != 0b1110 {
            return Err(damaged("a page header lacks its kind or sizes"));
        }
        header.header_bytes = self.read;
        Ok(header)
    }

    fn byte(&mut self) -> Result<u8> {
        if self.read >= self.max {
            return Err(damaged("a page header goes beyond its column chunk"));
        }
        let mut one = [0];
        self.input.read_exact(&mut one).map_err(|e| ParquetError::EOF(e.to_string()))?;
        self.read += 1;
        Ok(one[0])
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged("a page header has a number that does not end"))
    }

    fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        let half = i64::try_from(value >> 1).map_err(|_| damaged("a page header has a number that is too large"))?;
        Ok(if value & 1 == 0 { half } else { -half - 1 })
    }

    /// The id and type of the next field of a structure; `None` at its end.
    fn field(&mut self, previous: i64) -> Result<Option<(i64, u8)>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        let id = match byte >> 4 {
            0 => self.zigzag()?,
            delta => previous.saturating_add(i64::from(delta)),
        };
        Ok(Some((id, byte & 0xF)))
    }

    /// Fields 1 to 4 of a structure as far as they are integers; 0 where they are not.
    fn integers(&mut self) -> Result<[i64; 4]> {
        let mut values = [0; 4];
        let mut id = 0;
        while let Some((next, kind)) = self.field(id)? {
            id = next;
            match (id.checked_sub(1).and_then(|at| values.get_mut(usize::try_from(at).ok()?)), kind) {
                (Some(value), 5) => *value = self.zigzag()?,
                _ => self.skip(kind, MAX_DEPTH)?,
            }
        }
        Ok(values)
    }

    fn pass(&mut self, bytes: u64) -> Result<()> {
        if bytes > self.max - self.read {
            return Err(damaged("a page header goes beyond its column chunk"));
        }
        let passed = std::io::copy(&mut self.input.by_ref().take(bytes), &mut std::io::sink());
        if passed.ok() != Some(bytes) {
            return Err(damaged("the file ends within a page header"));
        }
        self.read += bytes;
        Ok(())
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(damaged("a page header nests too deeply"));
        };
        match kind {
            1 | 2 => Ok(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(length)
            }
            9 | 10 => {
                let byte = self.byte()?;
                let count = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                for _ in 0..count {
                    match byte & 0xF {
                        // In a list a boolean takes a byte.
                        1 | 2 => self.pass(1)?,
                        element => self.skip(element, depth)?,
                    }
                }
                Ok(())
            }
            STRUCTURE => {
                let mut id = 0;
                while let Some((next, kind)) = self.field(id)? {
                    id = next;
                    self.skip(kind, depth)?;
                }
                Ok(())
            }
            _ => Err(damaged("a page header has a field of an unknown type")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_whose_numbers_are_absurd_is_an_error() {
        // A data page's structure (field 5) with a field whose id is the least number there is: kind, sizes, then it.
        let least = [0x05, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        let bytes = [&[0x15, 0x00, 0x15, 0x02, 0x15, 0x02, 0x2C][..], &least, &[0x02, 0x00, 0x00]].concat();
        let header = HeaderReader::new(&bytes[..], 1000).read().unwrap();
        assert_eq!((header.kind, header.inflated, header.stored, header.values), (0, 1, 1, 0));
    }

    #[test]
    fn a_footer_ends_where_it_says() {
        let long = |count: &[u8]| [&[0x19, 0xF1][..], count, &[0x00]].concat();
        // A list of 2^31 booleans that are not there; one of fifteen that are; a structure that has no end.
        assert!(!ends(&long(&[0x80, 0x80, 0x80, 0x80, 0x08])[..], 8));
        let fifteen = long(&[&[15][..], &[1; 15]].concat());
        assert!(ends(&fifteen[..], 19));
        assert!(ends(&[&fifteen[..], &[7; 28]].concat()[..], 47), "signed");
        assert!(!ends(&[&fifteen[..], &[7; 27]].concat()[..], 46), "it ends too early");
        assert!(!ends(&[0x15, 0x02][..], 2));
        assert!(!ends(&[0x15, 0x02, 0x00][..], 2), "its end lies beyond it");
        assert!(ends(&[0x15, 0x02, 0x00][..], 3));
        let deep = [vec![0x1C; 40], vec![0; 41]].concat();
        assert!(!ends(&deep[..], 81));
    }
}
