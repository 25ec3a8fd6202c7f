//! Tokens on disk: u16 or u32, little-endian, no header.

use std::mem::MaybeUninit;

use super::TokenDtype;
use crate::error::{Error, Result};

#[cfg(target_endian = "big")]
compile_error!(
    "tokens are borrowed from mapped little-endian files: a big-endian host cannot read them without copying"
);

/// Appends `tokens` to `bytes` as the dtype writes them.
///
/// # Errors
/// [`Error::OutOfRange`] when an id does not fit: 65,536 or more for u16, 2^31 or more for u32. Nothing is appended then.
pub fn encode(tokens: &[u32], dtype: TokenDtype, bytes: &mut Vec<u8>) -> Result<()> {
    // All ones, so that whatever has other bits is larger: looking for these takes fewer steps than a maximum.
    let most = dtype.max_id();
    debug_assert!((most + 1).is_power_of_two());
    if tokens.iter().fold(0, |bits, token| bits | token) > most {
        let largest = tokens.iter().copied().fold(0, u32::max);
        return Err(Error::OutOfRange(format!(
            "token id {largest} does not fit {dtype}: the largest is {}",
            dtype.max_id()
        )));
    }
    match dtype {
        TokenDtype::U16 => append(tokens, bytes, |token| {
            #[expect(clippy::cast_possible_truncation, reason = "the largest id was compared with u16::MAX above")]
            let token = token as u16;
            token.to_le_bytes()
        }),
        TokenDtype::U32 => append(tokens, bytes, u32::to_le_bytes),
    }
    Ok(())
}

/// Appends what `convert` makes of each token, straight into room that need not be zeroed before.
fn append<const WIDTH: usize>(tokens: &[u32], bytes: &mut Vec<u8>, convert: impl Fn(u32) -> [u8; WIDTH]) {
    let more = tokens.len() * WIDTH;
    bytes.reserve(more);
    let room = bytes.spare_capacity_mut().as_chunks_mut::<WIDTH>().0;
    for (to, &token) in room.iter_mut().zip(tokens) {
        *to = convert(token).map(MaybeUninit::new);
    }
    // SAFETY: `reserve` made room for `more` bytes, which the loop has filled: it is as long as the shorter of its sides, and there are
    // at least as many chunks as tokens.
    unsafe { bytes.set_len(bytes.len() + more) };
}

/// Appends the ids in `bytes`, of whatever alignment, to `out`; bytes that make no whole token at the end are left out.
pub fn decode(bytes: &[u8], dtype: TokenDtype, out: &mut Vec<u32>) {
    match dtype {
        TokenDtype::U16 => {
            out.extend(bytes.as_chunks::<2>().0.iter().map(|token| u32::from(u16::from_le_bytes(*token))))
        }
        TokenDtype::U32 => out.extend(bytes.as_chunks::<4>().0.iter().map(|token| u32::from_le_bytes(*token))),
    }
}

/// Tokens borrowed from bytes in memory, without copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens<'a> {
    /// Two bytes each.
    U16(&'a [u16]),
    /// Four bytes each.
    U32(&'a [u32]),
}

impl<'a> Tokens<'a> {
    /// The tokens in `bytes`; `None` when these are not whole tokens or not aligned to their width.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8], dtype: TokenDtype) -> Option<Self> {
        match dtype {
            TokenDtype::U16 => {
                // SAFETY: every bit pattern is a u16, and `align_to` yields only the aligned, whole part.
                let (before, tokens, after) = unsafe { bytes.align_to::<u16>() };
                (before.is_empty() && after.is_empty()).then_some(Self::U16(tokens))
            }
            TokenDtype::U32 => {
                // SAFETY: every bit pattern is a u32, and `align_to` yields only the aligned, whole part.
                let (before, tokens, after) = unsafe { bytes.align_to::<u32>() };
                (before.is_empty() && after.is_empty()).then_some(Self::U32(tokens))
            }
        }
    }

    /// The tokens' bytes, where they lie, in the host's order (little-endian).
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        // SAFETY: every byte of a token is initialised, and `align_to` to bytes leaves nothing out.
        unsafe {
            match self {
                Self::U16(tokens) => tokens.align_to::<u8>().1,
                Self::U32(tokens) => tokens.align_to::<u8>().1,
            }
        }
    }

    /// Width of a token.
    #[must_use]
    pub fn dtype(&self) -> TokenDtype {
        match self {
            Self::U16(_) => TokenDtype::U16,
            Self::U32(_) => TokenDtype::U32,
        }
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::U16(tokens) => tokens.len(),
            Self::U32(tokens) => tokens.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Token `i`; `None` past the last.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<u32> {
        match self {
            Self::U16(tokens) => tokens.get(i).copied().map(u32::from),
            Self::U32(tokens) => tokens.get(i).copied(),
        }
    }

    /// A part; `None` when it reaches past the end.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Option<Self> {
        match self {
            Self::U16(tokens) => tokens.get(range).map(Self::U16),
            Self::U32(tokens) => tokens.get(range).map(Self::U32),
        }
    }

    /// The largest id; `None` when there is no token.
    #[must_use]
    pub fn max(&self) -> Option<u32> {
        match self {
            Self::U16(tokens) => tokens.iter().copied().max().map(u32::from),
            Self::U32(tokens) => tokens.iter().copied().max(),
        }
    }

    /// Appends the ids to `out`.
    pub fn extend_into(&self, out: &mut Vec<u32>) {
        match self {
            Self::U16(tokens) => out.extend(tokens.iter().copied().map(u32::from)),
            Self::U32(tokens) => out.extend_from_slice(tokens),
        }
    }

    /// The ids, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u32> {
        let mut out = Vec::with_capacity(self.len());
        self.extend_into(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let mut bytes = vec![9];
        encode(&[1, 0xABCD], TokenDtype::U16, &mut bytes).unwrap();
        assert_eq!(bytes, [9, 1, 0, 0xCD, 0xAB]);
        let mut ids = vec![8];
        decode(&bytes[1..], TokenDtype::U16, &mut ids);
        assert_eq!(ids, [8, 1, 0xABCD]);
        bytes.clear();
        encode(&[1, 0x7ABC_DEF0], TokenDtype::U32, &mut bytes).unwrap();
        assert_eq!(bytes, [1, 0, 0, 0, 0xF0, 0xDE, 0xBC, 0x7A]);
        ids.clear();
        decode(&bytes, TokenDtype::U32, &mut ids);
        assert_eq!(ids, [1, 0x7ABC_DEF0]);
    }

    #[test]
    fn ids_that_do_not_fit_are_errors() {
        let mut bytes = Vec::new();
        assert!(encode(&[1, 65_536], TokenDtype::U16, &mut bytes).is_err());
        assert!(encode(&[1 << 31], TokenDtype::U32, &mut bytes).is_err());
        assert!(bytes.is_empty());
        encode(&[65_535], TokenDtype::U16, &mut bytes).unwrap();
        encode(&[(1 << 31) - 1], TokenDtype::U32, &mut bytes).unwrap();
    }

    #[test]
    fn borrows_only_whole_aligned_tokens() {
        let words = [0x0201_0403_u32, 0x0605_0807];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        // A Vec<u8> promises no alignment: look for an aligned start within a larger buffer.
        let mut buffer = [0_u8; 16];
        let shift = buffer.as_ptr().align_offset(4);
        buffer[shift..shift + 8].copy_from_slice(&bytes);
        let aligned = &buffer[shift..shift + 8];
        assert_eq!(Tokens::from_bytes(aligned, TokenDtype::U32).unwrap().to_vec(), words);
        assert_eq!(Tokens::from_bytes(aligned, TokenDtype::U16).unwrap().to_vec(), [0x0403, 0x0201, 0x0807, 0x0605]);
        assert_eq!(Tokens::from_bytes(&aligned[1..5], TokenDtype::U32), None);
        assert_eq!(Tokens::from_bytes(&aligned[..3], TokenDtype::U16), None);
        assert_eq!(Tokens::from_bytes(&aligned[..0], TokenDtype::U16).map(|tokens| tokens.len()), Some(0));
    }
}
