//! Asking the memory for what will be read soon.

/// Bytes that memory hands over at once.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Asks for values without waiting for them; nothing changes but how soon they are there. Does nothing on processors where it
/// was not tried.
#[inline]
pub fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..size_of_val(values)).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address is that of a live value, and a prefetch reads nothing that the program sees.
        unsafe { _mm_prefetch(values.as_ptr().cast::<i8>().wrapping_add(at), _MM_HINT_T0) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}
