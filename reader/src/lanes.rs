//! The loops that touch every value of a row. On x86-64 each is compiled twice, for any processor and for those with AVX2, whose
//! stores are twice as wide; which one runs is asked once a row.

use crate::fill::Id;
use crate::format::tokens::Tokens;

/// Writes the first tokens as inputs and those from the second on as labels, as many as each has room for; gives the largest of
/// all tokens.
pub(crate) fn ids<I: Id>(tokens: Tokens<'_>, inputs: &mut [I], labels: &mut [I]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as was asked in the line above.
        return unsafe { ids_avx2(tokens, inputs, labels) };
    }
    ids_any(tokens, inputs, labels)
}

/// Writes 0, 1, 2, … below 2^31.
pub(crate) fn count<I: Id>(out: &mut [I]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as was asked in the line above.
        return unsafe { count_avx2(out) };
    }
    count_any(out);
}

/// Writes one value everywhere.
pub(crate) fn set(out: &mut [i32], value: i32) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as was asked in the line above.
        return unsafe { set_avx2(out, value) };
    }
    out.fill(value);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn ids_avx2<I: Id>(tokens: Tokens<'_>, inputs: &mut [I], labels: &mut [I]) -> u32 {
    ids_any(tokens, inputs, labels)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn count_avx2<I: Id>(out: &mut [I]) {
    count_any(out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn set_avx2(out: &mut [i32], value: i32) {
    out.fill(value);
}

#[inline(always)]
fn ids_any<I: Id>(tokens: Tokens<'_>, inputs: &mut [I], labels: &mut [I]) -> u32 {
    match tokens {
        Tokens::U16(tokens) => ids_of(tokens, inputs, labels),
        Tokens::U32(tokens) => ids_of(tokens, inputs, labels),
    }
}

#[inline(always)]
fn ids_of<T: Copy + Ord + Into<u32>, I: Id>(tokens: &[T], inputs: &mut [I], labels: &mut [I]) -> u32 {
    widen(tokens, inputs);
    widen(tokens.get(1..).unwrap_or_default(), labels);
    tokens.iter().copied().max().map_or(0, Into::into)
}

#[inline(always)]
fn widen<T: Copy + Into<u32>, I: Id>(tokens: &[T], out: &mut [I]) {
    for (out, &token) in out.iter_mut().zip(tokens) {
        *out = I::from_token(token.into());
    }
}

#[inline(always)]
fn count_any<I: Id>(out: &mut [I]) {
    // By hand: a range would look for overflow at each value, and no vector would be made of it.
    let mut value = 0_u32;
    for out in out {
        *out = I::from_token(value);
        value = value.wrapping_add(1);
    }
}
