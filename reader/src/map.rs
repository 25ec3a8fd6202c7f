//! Mapping files into memory.

use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps a whole file for reading. An empty file cannot be mapped on every system and none of this format's is empty.
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let file = fs_err::File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Err(Error::Corrupt { file: path.to_owned(), message: "it is empty".to_owned() });
    }
    // SAFETY: a mapping is sound as long as nobody changes or cuts the file under it. Datasets are written once, under
    // temporary names, and renamed when whole; nothing in this project writes to a shard again. Who cuts a shard of a dataset in
    // use breaks this contract, as with every memory map. What we can check, we do: the map has the length that the file has
    // now, and its user compares that with the manifest before reading.
    let map = unsafe { Mmap::map(file.file()) };
    map.map_err(|error| std::io::Error::new(error.kind(), format!("cannot map {}: {error}", path.display())).into())
}

/// Brings a part of a map into memory by a call that can fail: a file that was cut, or whose disk fails, is an error here and no
/// fault at the first touch. `range` lies within the map.
pub(crate) fn populate(map: &Mmap, range: std::ops::Range<usize>, path: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        /// `EINVAL`: a kernel before 5.14 does not know the call.
        const UNKNOWN: i32 = 22;
        let length = range.end.saturating_sub(range.start);
        if let Err(error) = map.advise_range(memmap2::Advice::PopulateRead, range.start, length)
            && error.raw_os_error() != Some(UNKNOWN)
        {
            let message = format!("cannot read bytes {} to {}: {error}; was it cut?", range.start, range.end);
            return Err(Error::Corrupt { file: path.to_owned(), message });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (map, range, path);
    Ok(())
}
