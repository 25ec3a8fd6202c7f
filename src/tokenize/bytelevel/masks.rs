//! What the bytes of a block of 64 are, a bit for each.

use super::classes::{CLASS, Classes, LETTER, NUMBER, SPACE, character};

/// Bytes of a block.
pub const BLOCK: usize = 64;

/// Sets of the bytes of a block; all bytes of a character are in its sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Masks {
    /// Letters.
    pub letter: u64,
    /// Numbers.
    pub number: u64,
    /// All white space.
    pub space: u64,
    /// `' '`
    pub blank: u64,
    /// `'\n'` and `'\r'`
    pub newline: u64,
    /// `'\''`
    pub quote: u64,
    /// Bytes that are not ASCII.
    pub high: u64,
    /// Of those, all but the first of each character.
    pub tail: u64,
}

/// The end of a character that began in the block before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spill {
    class: u8,
    width: usize,
}

impl Masks {
    /// Of a block of ASCII; bytes beyond are only told.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "sse2")]
    fn ascii_sse2(block: &[u8; BLOCK]) -> Self {
        use std::arch::x86_64::{
            __m128i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
            _mm_set1_epi8,
        };
        let mut masks = Self::default();
        for (lane, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
            let [low, high] = [bytes.as_chunks::<8>().0[0], bytes.as_chunks::<8>().0[1]];
            let bytes = _mm_set_epi64x(i64::from_le_bytes(high), i64::from_le_bytes(low));
            // Bytes from `first` on, `count` of them: moved to the least of signed ones and compared.
            let range = |bytes: __m128i, first: u8, count: i8| {
                let moved = _mm_add_epi8(bytes, _mm_set1_epi8(i8::MIN.wrapping_sub_unsigned(first)));
                _mm_cmplt_epi8(moved, _mm_set1_epi8(i8::MIN + count))
            };
            let is = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()));
            let put = |found: __m128i| u64::from(_mm_movemask_epi8(found).cast_unsigned()) << (16 * lane);
            masks.letter |= put(range(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), b'a', 26));
            masks.number |= put(range(bytes, b'0', 10));
            let blank = is(b' ');
            masks.space |= put(_mm_or_si128(blank, range(bytes, b'\t', 5)));
            masks.blank |= put(blank);
            masks.newline |= put(_mm_or_si128(is(b'\n'), is(b'\r')));
            masks.quote |= put(is(b'\''));
            masks.high |= put(bytes);
        }
        masks
    }

    #[inline(always)]
    fn ascii(block: &[u8; BLOCK]) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: every x86-64 has SSE2, which is all that the function asks for.
            unsafe { Self::ascii_sse2(block) }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            Self::ascii_anywhere(block)
        }
    }

    /// The same for any machine.
    #[cfg(any(test, not(target_arch = "x86_64")))]
    fn ascii_anywhere(block: &[u8; BLOCK]) -> Self {
        let of = |is: fn(u8) -> bool| block.iter().rev().fold(0, |bits, byte| bits << 1 | u64::from(is(*byte)));
        Self {
            letter: of(|byte| byte.is_ascii_alphabetic()),
            number: of(|byte| byte.is_ascii_digit()),
            space: of(|byte| matches!(byte, b' ' | b'\t'..=b'\r')),
            blank: of(|byte| byte == b' '),
            newline: of(|byte| matches!(byte, b'\n' | b'\r')),
            quote: of(|byte| byte == b'\''),
            high: of(|byte| !byte.is_ascii()),
            tail: 0,
        }
    }

    /// Of the block of `text` at `at`, which is given in `block` too.
    #[inline(always)]
    pub fn of(block: &[u8; BLOCK], text: &[u8], at: usize, spill: &mut Spill) -> Self {
        let mut masks = Self::ascii(block);
        if masks.high != 0 {
            masks.beyond(text, at, spill);
        }
        masks
    }

    /// Adds the characters beyond ASCII.
    fn beyond(&mut self, text: &[u8], at: usize, spill: &mut Spill) {
        let classes = Classes::get();
        let mut sets = [0; 4];
        let mut left = self.high;
        let spilled = (1 << spill.width) - 1;
        sets[usize::from(spill.class & CLASS)] |= spilled;
        self.tail |= spilled;
        left &= !spilled;
        *spill = Spill::default();
        while left != 0 {
            let place = left.trailing_zeros() as usize;
            let (letter, width) = character(text, at + place);
            let class = classes.of(letter) & CLASS;
            let bits = ((1 << width) - 1) << place;
            sets[usize::from(class)] |= bits;
            self.tail |= bits << 1 & bits;
            left &= !bits;
            if place + width > BLOCK {
                *spill = Spill { class, width: place + width - BLOCK };
            }
        }
        self.letter |= sets[usize::from(LETTER)];
        self.number |= sets[usize::from(NUMBER)];
        self.space |= sets[usize::from(SPACE)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_alike_on_any_machine() {
        for start in 0..=255_u8 {
            let block: [u8; BLOCK] = std::array::from_fn(|i| start.wrapping_add(u8::try_from(i).unwrap()));
            assert_eq!(Masks::ascii(&block), Masks::ascii_anywhere(&block));
        }
    }

    #[test]
    fn characters_across_blocks_keep_their_sets() {
        // Two bytes before the border and two after it.
        let text = format!("{}\u{1d400}1\u{2003}é", "x".repeat(62));
        let text = format!("{text}{}", " ".repeat(64));
        let block = |at: usize| text.as_bytes()[at..].first_chunk::<BLOCK>().unwrap();
        let mut spill = Spill::default();
        let first = Masks::of(block(0), text.as_bytes(), 0, &mut spill);
        assert_eq!((first.letter, first.tail), (u64::MAX, 1 << 63));
        let second = Masks::of(block(64), text.as_bytes(), 64, &mut spill);
        assert_eq!(second.letter, 0b1100_0011);
        assert_eq!(second.number, 0b100);
        assert_eq!(second.space & 0xFF, 0b11_1000);
        assert_eq!(second.tail, 0b1011_0011);
        assert_eq!(second.blank & 0xFF, 0);
    }
}
