//! Mapping files into memory, and bringing parts of them in by calls that can fail.

use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Bytes of the largest page that this processor's systems use.
const PAGE: usize = if cfg!(target_arch = "x86_64") { 1 << 12 } else { 1 << 16 };

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
pub(crate) fn populate(map: &Mmap, range: Range<usize>, path: &Path) -> Result<()> {
    ready(map, range, path).map_err(|message| Error::Corrupt { file: path.to_owned(), message })
}

/// As [`populate`]; gives the message alone.
pub(crate) fn ready(map: &Mmap, range: Range<usize>, path: &Path) -> Result<(), String> {
    // A file that is cut within a page reads as zeros from there to the page's end. The page after the range tells: it is gone,
    // whatever was cut in the range's last page. Where there is no such page, the file's length tells.
    let end = range.end.saturating_add(PAGE).min(map.len());
    let known = advise(map, range.start..end)?;
    if known && end < map.len() { Ok(()) } else { same_length(map, path) }
}

/// Populates the pages; whether the system knows how.
#[cfg(target_os = "linux")]
fn advise(map: &Mmap, range: Range<usize>) -> Result<bool, String> {
    /// `EINVAL`: a kernel before 5.14 does not know the call.
    const UNKNOWN: i32 = 22;
    let length = range.end.saturating_sub(range.start);
    match map.advise_range(memmap2::Advice::PopulateRead, range.start, length) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(UNKNOWN) => Ok(false),
        Err(error) => Err(format!("cannot read bytes {} to {}: {error}; was it cut?", range.start, range.end)),
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &Mmap, _: Range<usize>) -> Result<bool, String> {
    Ok(false)
}

/// Compares the length that the file has now with that of the map.
fn same_length(map: &Mmap, path: &Path) -> Result<(), String> {
    // The error names the path, as the caller does.
    let found = path.metadata().map_err(|error| format!("cannot ask for its size: {error}"))?.len();
    if u64::try_from(map.len()) == Ok(found) {
        Ok(())
    } else {
        Err(format!("it has {found} bytes now and had {} when it was opened: it was cut or replaced", map.len()))
    }
}
