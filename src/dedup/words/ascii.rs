//! Words of ASCII text, which nearly all text is: told apart by sixty-four bytes at a time.
//!
//! A block becomes a mask with a bit for each byte that belongs to a word. Where the mask changes, a word starts or ends, so the
//! work is done by the word and not by the byte. (The idea is that of simdjson: Langdale and Lemire, 2019.) Whatever holds a character
//! outside ASCII is left to the definition in the folder's root, from the start of the word that it stands in.

use super::Sink;
#[cfg(not(target_arch = "x86_64"))]
use plain::{lower_sixteen, masks};

/// One in every byte.
const ONES: u64 = u64::from_le_bytes([1; 8]);

/// The high bit of every byte.
const HIGH: u64 = ONES << 7;

/// High bits of the bytes from `first` to `last`. All are ASCII, and no byte of the sums carries into the next.
#[inline]
fn between(bytes: u64, first: u8, last: u8) -> u64 {
    let from_first = bytes + ONES * u64::from(0x80 - first);
    let after_last = bytes + ONES * u64::from(0x7F - last);
    (from_first ^ after_last) & HIGH
}

/// Eight bytes of text: lower case, and how many come before the first that is not an ASCII character of a word.
#[inline]
pub(super) fn head<const KEPT: bool>(bytes: [u8; 8]) -> ([u8; 8], usize) {
    let bytes = u64::from_le_bytes(bytes);
    let ascii = bytes & !HIGH;
    let stop = (!in_words::<KEPT>(ascii) | bytes) & HIGH;
    // At most 64 bits: 8 bytes.
    (lower(ascii).to_le_bytes(), usize::try_from(stop.trailing_zeros() / 8).unwrap_or(0))
}

/// High bits of the bytes that belong to words; all are ASCII.
#[inline]
fn in_words<const KEPT: bool>(ascii: u64) -> u64 {
    if KEPT { between(ascii, b'!', b'~') } else { between(lower(ascii), b'a', b'z') | between(ascii, b'0', b'9') }
}

/// Lower case; all are ASCII.
#[inline]
fn lower(ascii: u64) -> u64 {
    ascii | between(ascii, b'A', b'Z') >> 2
}

/// Eight bytes of the text from a place on, those of ASCII words in lower case (of others something else); something else where there
/// are not so many.
#[inline]
pub(super) fn eight<const KEPT: bool>(text: &[u8], at: usize) -> u64 {
    let bytes = text.get(at..).and_then(|rest| rest.first_chunk::<8>());
    let bytes = bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    // Without signs there are letters and digits alone, and digits have the bit already.
    if KEPT { lower(bytes & !HIGH) } else { bytes | ONES << 5 }
}

/// Ones for as many bytes as are kept, before zeros.
static KEPT_BYTES: [u8; 32] = {
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < 16 {
        bytes[at] = 0xFF;
        at += 1;
    }
    bytes
};

/// The first `length` of the sixteen bytes of the text from a place on, those of ASCII words in lower case, in two halves; the others are
/// zero. Zeros where there are not so many in the text.
#[inline]
pub(super) fn sixteen<const KEPT: bool>(text: &[u8], at: usize, length: usize) -> (u64, u64) {
    let bytes = text.get(at..).and_then(|rest| rest.first_chunk::<16>());
    let mask = KEPT_BYTES.get(16_usize.saturating_sub(length)..).and_then(|rest| rest.first_chunk::<16>());
    let (Some(bytes), Some(mask)) = (bytes, mask) else { return (0, 0) };
    lower_sixteen::<KEPT>(halves(bytes), halves(mask))
}

#[inline]
fn halves(bytes: &[u8; 16]) -> (u64, u64) {
    let half = |from: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[from + i]));
    (half(0), half(8))
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn lower_sixteen<const KEPT: bool>(bytes: (u64, u64), mask: (u64, u64)) -> (u64, u64) {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_and_si128, _mm_cmplt_epi8, _mm_cvtsi128_si64, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8, _mm_unpackhi_epi64,
    };
    #[target_feature(enable = "sse2")]
    fn joined((low, high): (u64, u64)) -> __m128i {
        _mm_set_epi64x(high.cast_signed(), low.cast_signed())
    }
    #[target_feature(enable = "sse2")]
    #[inline]
    fn lower<const KEPT: bool>(bytes: (u64, u64), mask: (u64, u64)) -> (u64, u64) {
        let bytes = joined(bytes);
        let case = _mm_set1_epi8(0x20);
        let case = if KEPT {
            // The twenty-six capitals become the smallest of signed bytes.
            let from_a = _mm_add_epi8(bytes, _mm_set1_epi8(0x80_u8.wrapping_sub(b'A').cast_signed()));
            _mm_and_si128(_mm_cmplt_epi8(from_a, _mm_set1_epi8(-128 + 26)), case)
        } else {
            // Letters and digits alone, and digits have the bit already.
            case
        };
        let bytes = _mm_and_si128(_mm_or_si128(bytes, case), joined(mask));
        let high = _mm_unpackhi_epi64(bytes, bytes);
        (_mm_cvtsi128_si64(bytes).cast_unsigned(), _mm_cvtsi128_si64(high).cast_unsigned())
    }
    // SAFETY: every processor of this kind has SSE2.
    unsafe { lower::<KEPT>(bytes, mask) }
}

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

/// Bytes that are read from each byte of a word.
const AHEAD: usize = 16;

/// A block, and the bytes that may be read with it.
pub(super) type Window = [u8; BLOCK + AHEAD];

/// The words that start and end in a block: where, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    starts: u64,
    ends: u64,
}

impl Iterator for Whole {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // Bounds that the compiler sees, so that it does not check what hangs on them.
        let word = (self.ends != 0).then(|| (place(self.starts) % BLOCK, place(self.ends) % BLOCK));
        self.starts &= self.starts.wrapping_sub(1);
        self.ends &= self.ends.wrapping_sub(1);
        word
    }
}

/// A bit for each byte of a block: whether it belongs to a word, and whether it is not ASCII.
#[cfg_attr(test, derive(Debug, PartialEq))]
struct Masks {
    word: u64,
    foreign: u64,
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn masks<const KEPT: bool>(block: &[u8; BLOCK]) -> Masks {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpgt_epi8, _mm_cmplt_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8,
    };
    #[target_feature(enable = "sse2")]
    fn within(bytes: __m128i, before: i8, after: i8) -> __m128i {
        _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(before)), _mm_cmplt_epi8(bytes, _mm_set1_epi8(after)))
    }
    /// A bit for each of sixteen bytes. Signed: bytes outside ASCII are below all bounds.
    #[target_feature(enable = "sse2")]
    #[inline]
    fn bits<const KEPT: bool>(low: i64, high: i64) -> (i32, i32) {
        let bytes = _mm_set_epi64x(high, low);
        let word = if KEPT {
            within(bytes, 0x20, 0x7F)
        } else {
            let lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
            _mm_or_si128(within(lower, 0x60, 0x7B), within(bytes, 0x2F, 0x3A))
        };
        (_mm_movemask_epi8(word), _mm_movemask_epi8(bytes))
    }
    let mut masks = Masks { word: 0, foreign: 0 };
    for (part, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
        let half = |from: usize| i64::from_le_bytes(std::array::from_fn(|i| bytes[from + i]));
        // SAFETY: every processor of this kind has SSE2.
        let (word, foreign) = unsafe { bits::<KEPT>(half(0), half(8)) };
        masks.word |= u64::from(word.cast_unsigned()) << (16 * part);
        masks.foreign |= u64::from(foreign.cast_unsigned()) << (16 * part);
    }
    masks
}

/// What other processors do instead; here it is held against what this one does.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod plain {
    use super::{BLOCK, HIGH, Masks, ONES, in_words, lower};

    #[inline]
    pub(super) fn lower_sixteen<const KEPT: bool>(bytes: (u64, u64), mask: (u64, u64)) -> (u64, u64) {
        let half = |bytes: u64, mask: u64| (if KEPT { lower(bytes & !HIGH) } else { bytes | ONES << 5 }) & mask;
        (half(bytes.0, mask.0), half(bytes.1, mask.1))
    }

    #[inline]
    pub(super) fn masks<const KEPT: bool>(block: &[u8; BLOCK]) -> Masks {
        // The high bits of eight bytes, side by side.
        let gathered = |high: u64| (high & HIGH).wrapping_mul(0x0002_0408_1020_4081) >> 56;
        let mut masks = Masks { word: 0, foreign: 0 };
        for (part, bytes) in block.as_chunks::<8>().0.iter().enumerate() {
            let bytes = u64::from_le_bytes(*bytes);
            masks.word |= gathered(in_words::<KEPT>(bytes & !HIGH) & !bytes) << (8 * part);
            masks.foreign |= gathered(bytes) << (8 * part);
        }
        masks
    }
}

/// Hands over the whole words from byte `at` on, which is in no word, as far as the text is ASCII and whole blocks. Gives the byte
/// from which to go on otherwise, in no word either; and the first one from which asking again may help.
#[inline]
pub(super) fn words<const KEPT: bool>(text: &[u8], at: usize, sink: &mut impl Sink) -> (usize, usize) {
    let mut base = at;
    // Where the word that is being read starts.
    let mut open = None;
    loop {
        let window = text.get(base..).and_then(|rest| rest.first_chunk::<{ BLOCK + AHEAD }>());
        let Some((window, block)) = window.and_then(|window| Some((window, window.first_chunk::<BLOCK>()?))) else {
            return (open.unwrap_or(base), usize::MAX);
        };
        let Masks { word, foreign } = masks::<KEPT>(block);
        let ascii = foreign.trailing_zeros();
        // A word that goes on to a foreign byte must not end there.
        let word = word | foreign;
        let before = word << 1 | u64::from(open.is_some());
        let (mut starts, mut ends) = (word & !before, !word & before);
        if ascii < u64::BITS {
            starts &= (1 << ascii) - 1;
            ends &= (1 << ascii) - 1;
        }
        if ends != 0
            && let Some(start) = open.take()
        {
            sink.ascii::<KEPT>(text, start, base + place(ends));
            ends &= ends - 1;
        }
        sink.block::<KEPT>(text, (base, window), Whole { starts, ends });
        // Starts and ends take turns.
        if starts > ends {
            open = Some(base + place(1 << starts.ilog2()));
        }
        if ascii < u64::BITS {
            let foreign = base + place(foreign);
            return (open.unwrap_or(foreign), foreign + 1);
        }
        base += BLOCK;
    }
}

/// Number of the lowest bit.
#[inline]
fn place(bits: u64) -> usize {
    // At most 64.
    usize::try_from(bits.trailing_zeros()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn processors_agree_on_masks(bytes in proptest::array::uniform32(any::<[u8; 2]>())) {
            let block: [u8; BLOCK] = bytes.as_flattened().try_into().unwrap();
            prop_assert_eq!(masks::<true>(&block), plain::masks::<true>(&block));
            prop_assert_eq!(masks::<false>(&block), plain::masks::<false>(&block));
        }

        #[test]
        fn processors_agree_on_lower_case(
            word in proptest::array::uniform16(0x21_u8..0x7F),
            plain_word in proptest::array::uniform16(prop_oneof![b'0'..=b'9', b'A'..=b'Z', b'a'..=b'z']),
            length in 0_usize..=16,
        ) {
            let mask = halves(KEPT_BYTES[16 - length..].first_chunk().unwrap());
            let (kept, dropped) = (halves(&word), halves(&plain_word));
            prop_assert_eq!(lower_sixteen::<true>(kept, mask), plain::lower_sixteen::<true>(kept, mask));
            prop_assert_eq!(lower_sixteen::<false>(dropped, mask), plain::lower_sixteen::<false>(dropped, mask));
            let lower: Vec<u8> = word.iter().take(length).map(u8::to_ascii_lowercase).collect();
            let (low, high) = sixteen::<true>(&word, 0, length);
            prop_assert_eq!(&[low.to_le_bytes(), high.to_le_bytes()].concat()[..length], &lower[..]);
        }
    }
}
