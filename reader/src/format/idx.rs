//! Megatron's `.idx`: where each fragment lies in the `.bin`, for the trainers that read that format.
//!
//! Its sequences are the fragments of a shard in order (the padding at a window's end is a sequence of its own), and each
//! sequence is a document of its own. Layout (little-endian, arrays unaligned): 9 bytes `MMIDIDX\0\0`; u64 version 1; u8 dtype
//! code (8 for u16, 4 for u32 ids below 2^31); u64 N sequences; u64 D = N + 1; i32\[N\] lengths in tokens; i64\[N\] byte offsets
//! into the `.bin`; i64\[D\] document indices 0, 1, … N.

use std::io::Write;
use std::path::Path;

use super::TokenDtype;
use crate::error::{Error, Result};

const MAGIC: [u8; 9] = *b"MMIDIDX\0\0";
const VERSION: u64 = 1;
const HEADER: usize = 34;

const fn code(dtype: TokenDtype) -> u8 {
    match dtype {
        TokenDtype::U16 => 8,
        TokenDtype::U32 => 4,
    }
}

/// The `.idx` for sequences of these lengths (in tokens), which lie one after the other from the start of the `.bin`.
///
/// # Errors
/// A sequence of 2^31 tokens or more, or a `.bin` of 2^63 bytes or more, cannot be written in this format.
pub fn encode(dtype: TokenDtype, lengths: &[u32]) -> Result<Vec<u8>> {
    let too_large = || {
        Error::OutOfRange("a Megatron index holds sequences below 2^31 tokens and files below 2^63 bytes".to_owned())
    };
    let count = u64::try_from(lengths.len()).map_err(|_| too_large())?;
    let width = u64::from(dtype.width_u8());
    let mut bytes = Vec::with_capacity(HEADER + lengths.len() * 20 + 8);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.push(code(dtype));
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&(count + 1).to_le_bytes());
    for &length in lengths {
        bytes.extend_from_slice(&i32::try_from(length).map_err(|_| too_large())?.to_le_bytes());
    }
    let mut offset = 0_u64;
    for &length in lengths {
        bytes.extend_from_slice(&i64::try_from(offset).map_err(|_| too_large())?.to_le_bytes());
        offset = offset.checked_add(u64::from(length) * width).ok_or_else(too_large)?;
    }
    for document in 0..=count {
        bytes.extend_from_slice(&i64::try_from(document).map_err(|_| too_large())?.to_le_bytes());
    }
    Ok(bytes)
}

/// Who hands out sequences, each by its first token in the `.bin` and its length in tokens.
pub type Visit<'a, E> = dyn FnMut(u64, u32) -> Result<(), E> + 'a;

/// Writes the `.idx` of sequences that lie wherever they lie in the `.bin`, without holding any of it: `sequences` hands all of
/// them, `count` in number, to its argument, and is called twice.
///
/// # Errors
/// As [`encode`]; what `out` or `sequences` says; [`Error::OutOfRange`] when there are not `count` sequences.
pub fn write<E: From<Error>>(
    out: &mut dyn Write,
    dtype: TokenDtype,
    count: u64,
    sequences: &mut dyn FnMut(&mut Visit<'_, E>) -> Result<(), E>,
) -> Result<(), E> {
    let too_large = || {
        Error::OutOfRange("a Megatron index holds sequences below 2^31 tokens and files below 2^63 bytes".to_owned())
    };
    let width = u64::from(dtype.width_u8());
    let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(Error::Io);
    put(&MAGIC)?;
    put(&VERSION.to_le_bytes())?;
    put(&[code(dtype)])?;
    put(&count.to_le_bytes())?;
    put(&count.checked_add(1).ok_or_else(too_large)?.to_le_bytes())?;
    let mut seen = 0_u64;
    sequences(&mut |_, length| {
        seen += 1;
        Ok(put(&i32::try_from(length).map_err(|_| too_large())?.to_le_bytes())?)
    })?;
    if seen != count {
        return Err(Error::OutOfRange(format!("{seen} sequences, not {count}")).into());
    }
    sequences(&mut |start, _| {
        let offset = start.checked_mul(width).and_then(|offset| i64::try_from(offset).ok());
        Ok(put(&offset.ok_or_else(too_large)?.to_le_bytes())?)
    })?;
    for document in 0..=count {
        put(&i64::try_from(document).map_err(|_| too_large())?.to_le_bytes())?;
    }
    Ok(())
}

/// A parsed `.idx`, borrowing its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Idx<'a> {
    dtype: TokenDtype,
    lengths: &'a [[u8; 4]],
    offsets: &'a [[u8; 8]],
    documents: &'a [[u8; 8]],
}

impl<'a> Idx<'a> {
    /// Reads the header and the table sizes: O(1). `file` is named in errors.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are not an index of version 1 with u16 or i32 tokens, or not of the size they claim.
    pub fn parse(file: &Path, bytes: &'a [u8]) -> Result<Self> {
        let corrupt = |message: String| Error::Corrupt { file: file.to_owned(), message };
        let short = || corrupt(format!("a Megatron index has at least {HEADER} bytes, this one {}", bytes.len()));
        let (magic, rest) = bytes.split_first_chunk::<9>().ok_or_else(short)?;
        let (version, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (&[dtype], rest) = rest.split_first_chunk::<1>().ok_or_else(short)?;
        let (sequences, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (documents, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        if *magic != MAGIC {
            return Err(corrupt("not a Megatron index: it does not begin with MMIDIDX".to_owned()));
        }
        if u64::from_le_bytes(*version) != VERSION {
            return Err(corrupt(format!("Megatron index of version {}, not 1", u64::from_le_bytes(*version))));
        }
        let dtype = match dtype {
            8 => TokenDtype::U16,
            4 => TokenDtype::U32,
            other => return Err(corrupt(format!("dtype code {other}, neither 8 (u16) nor 4 (i32)"))),
        };
        let (sequences, documents) = (u64::from_le_bytes(*sequences), u64::from_le_bytes(*documents));
        let wrong = || {
            let length = bytes.len();
            corrupt(format!("{sequences} sequences and {documents} document indices do not fit its {length} bytes"))
        };
        let n = usize::try_from(sequences).map_err(|_| wrong())?;
        let d = usize::try_from(documents).map_err(|_| wrong())?;
        let lengths_bytes = n.checked_mul(4).ok_or_else(wrong)?;
        let offsets_bytes = n.checked_mul(8).ok_or_else(wrong)?;
        let (lengths, rest) = rest.split_at_checked(lengths_bytes).ok_or_else(wrong)?;
        let (offsets, rest) = rest.split_at_checked(offsets_bytes).ok_or_else(wrong)?;
        if Some(rest.len()) != d.checked_mul(8) {
            return Err(wrong());
        }
        Ok(Self {
            dtype,
            lengths: lengths.as_chunks().0,
            offsets: offsets.as_chunks().0,
            documents: rest.as_chunks().0,
        })
    }

    /// Width of a token.
    #[must_use]
    pub fn dtype(&self) -> TokenDtype {
        self.dtype
    }

    /// Number of sequences.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is no sequence.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Length of sequence `i` in tokens, and its byte offset in the `.bin`; `None` past the last.
    #[must_use]
    pub fn sequence(&self, i: usize) -> Option<(i32, i64)> {
        Some((i32::from_le_bytes(*self.lengths.get(i)?), i64::from_le_bytes(*self.offsets.get(i)?)))
    }

    /// All sequences in order: length in tokens, byte offset in the `.bin`.
    pub fn sequences(&self) -> impl ExactSizeIterator<Item = (i32, i64)> + use<'a> {
        self.lengths
            .iter()
            .zip(self.offsets)
            .map(|(length, offset)| (i32::from_le_bytes(*length), i64::from_le_bytes(*offset)))
    }

    /// Document indices, in sequences.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = i64> + use<'a> {
        self.documents.iter().map(|index| i64::from_le_bytes(*index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let bytes = encode(TokenDtype::U16, &[3, 1]).unwrap();
        let mut expected = b"MMIDIDX\0\0".to_vec();
        expected.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 8]);
        expected.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&[3, 0, 0, 0, 1, 0, 0, 0]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn written_sequence_by_sequence() {
        let lengths = [3_u32, 1, 70_000];
        let mut bytes = Vec::new();
        let mut all = |visit: &mut Visit<'_, Error>| {
            let mut start = 0;
            for length in lengths {
                visit(start, length)?;
                start += u64::from(length);
            }
            Ok(())
        };
        write(&mut bytes, TokenDtype::U32, 3, &mut all).unwrap();
        assert_eq!(bytes, encode(TokenDtype::U32, &lengths).unwrap());
        assert!(write(&mut bytes, TokenDtype::U32, 2, &mut all).is_err());
        let mut far = |visit: &mut Visit<'_, Error>| visit(1 << 62, 1);
        assert!(write(&mut bytes, TokenDtype::U32, 1, &mut far).is_err());
        bytes.clear();
        write(&mut bytes, TokenDtype::U16, 1, &mut |visit: &mut Visit<'_, Error>| visit(5, 2)).unwrap();
        let idx = Idx::parse(Path::new("a.idx"), &bytes).unwrap();
        assert_eq!(idx.sequences().collect::<Vec<_>>(), [(2, 10)]);
    }

    #[test]
    fn parses_what_it_wrote() {
        let bytes = encode(TokenDtype::U32, &[5, 7, 1]).unwrap();
        let idx = Idx::parse(Path::new("a.idx"), &bytes).unwrap();
        assert_eq!(idx.dtype(), TokenDtype::U32);
        assert_eq!(idx.sequences().collect::<Vec<_>>(), [(5, 0), (7, 20), (1, 48)]);
        assert_eq!(idx.sequence(1), Some((7, 20)));
        assert_eq!(idx.sequence(3), None);
        assert_eq!(idx.documents().collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn refuses_what_cannot_be_written() {
        assert!(encode(TokenDtype::U16, &[1 << 31]).is_err());
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = encode(TokenDtype::U16, &[3, 1]).unwrap();
        for cut in 0..bytes.len() {
            let error = Idx::parse(Path::new("x/0.idx"), &bytes[..cut]).unwrap_err();
            assert!(error.to_string().contains("0.idx"), "{error}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(Idx::parse(Path::new("x/0.idx"), &longer).is_err());
    }

    #[test]
    fn huge_counts_are_errors() {
        let mut bytes = encode(TokenDtype::U16, &[3]).unwrap();
        bytes[18..26].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(Idx::parse(Path::new("x"), &bytes).is_err());
    }
}
