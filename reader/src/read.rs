//! Reading at a place of a file, on every system.

use std::ops::Range;
use std::path::Path;

use crate::error::{Error, Result};
use crate::shard::corrupt;

/// Fills `bytes`, which are as many as `range`, from the file at `path`.
pub(crate) fn read(file: &fs_err::File, path: &Path, range: Range<u64>, bytes: &mut [u8]) -> Result<()> {
    #[cfg(unix)]
    let done = std::os::unix::fs::FileExt::read_exact_at(file.file(), bytes, range.start);
    #[cfg(windows)]
    let done = {
        let (mut rest, mut at) = (bytes, range.start);
        loop {
            if rest.is_empty() {
                break Ok(());
            }
            match std::os::windows::fs::FileExt::seek_read(file.file(), rest, at) {
                Ok(0) => break Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    rest = rest.get_mut(n..).unwrap_or_default();
                    at += n as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        }
    };
    done.map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            corrupt(path, format!("bytes {} to {} are not there: it was cut", range.start, range.end))
        }
        kind => Error::Io(std::io::Error::new(kind, format!("cannot read {}: {error}", path.display()))),
    })
}
