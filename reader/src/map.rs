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
