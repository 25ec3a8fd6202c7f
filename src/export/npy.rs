//! NumPy's `.npy`, version 1.0: a header that says dtype and shape, then the numbers.

use std::io::Write;

use crate::error::Result;

/// Writes the header of an array of `shape`, in C order; `descr` names the dtype, as `<i4`.
pub(super) fn header(out: &mut dyn Write, descr: &str, shape: &[u64]) -> Result<()> {
    let mut dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    if dims.len() == 1 {
        // A tuple of one.
        dims.push(String::new());
    }
    let dims = dims.join(", ");
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", dims.trim_end());
    // Magic, version and length take 10 bytes; all of it and a newline fill a multiple of 64.
    let whole = (10 + text.len() + 1).next_multiple_of(64);
    text.extend(std::iter::repeat_n(' ', whole - 11 - text.len()));
    text.push('\n');
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_aligned_and_say_the_shape() {
        for (shape, words) in [(&[5][..], "'shape': (5,), }"), (&[1 << 40, 2], "'shape': (1099511627776, 2), }")] {
            let mut bytes = Vec::new();
            header(&mut bytes, "<u4", shape).unwrap();
            assert_eq!(bytes.len() % 64, 0);
            assert_eq!(usize::from(u16::from_le_bytes([bytes[8], bytes[9]])) + 10, bytes.len());
            let text = std::str::from_utf8(&bytes[10..]).unwrap();
            assert!(text.starts_with("{'descr': '<u4', 'fortran_order': False, ") && text.ends_with('\n'), "{text}");
            assert!(text.contains(words), "{text}");
        }
    }
}
