//! Signatures of a segment's documents, in a file beside it: one a row, each its values as u16, little-endian.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::dedup::near::Signature;
use crate::dedup::near::signature::{EMPTY, VALUES};
use crate::error::{Error, Result};
use crate::files::NewFile;

/// Where the signatures of a segment are.
#[must_use]
pub fn path_of(segment: &Path) -> PathBuf {
    segment.with_extension("sig")
}

/// Writes the signatures in the order of `rows`, each named by its place in the unsorted segment; `signed` ascends by it.
pub(super) fn write(segment: &Path, rows: impl Iterator<Item = u64>, signed: &[(u64, Signature)]) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, NewFile::create(&path_of(segment))?);
    for start in rows {
        // Documents have tokens, so places ascend strictly.
        let found = signed.binary_search_by_key(&start, |(start, _)| *start).ok().and_then(|at| signed.get(at));
        let signature = found.map_or(&EMPTY, |(_, signature)| signature);
        let mut bytes = [0; 2 * VALUES];
        bytes.as_chunks_mut::<2>().0.iter_mut().zip(signature).for_each(|(to, value)| *to = value.to_le_bytes());
        out.write_all(&bytes)?;
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.commit()
}

/// Hands every row's number and signature to `each`.
pub fn read(segment: &Path, rows: u64, each: &mut dyn FnMut(u64, &Signature) -> Result<()>) -> Result<()> {
    let path = path_of(segment);
    let file = fs_err::File::open(&path)?;
    let size = file.metadata()?.len();
    if size != rows * 2 * VALUES as u64 {
        return Err(Error::Failed(format!(
            "{}: has {size} bytes, not those of {rows} signatures; remove the work folder (`syllabus clean`) and compile again",
            path.display()
        )));
    }
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut bytes = [0u8; 2 * VALUES];
    for row in 0..rows {
        file.read_exact(&mut bytes)?;
        let signature: Signature = std::array::from_fn(|i| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]));
        each(row, &signature)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::builder::Builder;
    use syllabus_reader::format::TokenDtype;

    #[test]
    fn signatures_follow_their_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.seg");
        let mut builder = Builder::new(TokenDtype::U16, 1 << 20);
        for i in 0..50u16 {
            let key = u128::from(i) * 7919 % 101;
            builder.push(key, &vec![1; 1 + usize::from(i) % 3], 1).unwrap();
            builder.sign(&[u16::try_from(key).unwrap(); VALUES]);
        }
        builder.write(&path).unwrap();
        let segment = crate::store::segment::Segment::open(&path, TokenDtype::U16).unwrap();
        let mut rows = Vec::new();
        segment.rows(0..50, &mut rows).unwrap();
        let mut seen = 0;
        read(&path, 50, &mut |row, signature| {
            assert_eq!(u128::from(signature[5]), rows[usize::try_from(row).unwrap()].key);
            seen += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, 50);
        assert!(read(&path, 49, &mut |_, _| Ok(())).is_err());
    }
}
