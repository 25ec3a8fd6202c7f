//! Windows read by calls instead of through maps: for who copies them anyway.
//!
//! A read that a cut file or a failing disk spoils is an error on every system and at any time, where a map would fault. And
//! nothing piles up over a pass of the whole dataset: no maps, no page tables, and a bounded number of open files.

use std::collections::VecDeque;
use std::ops::Range;

use crate::error::Result;
use crate::format::tokens::Tokens;
use crate::format::windows::{Row, WindowsFile};
use crate::read::read;
use crate::set::{Window, WindowSet};
use crate::shard::{OpenShard, Sources, corrupt};

/// Shards that one reader keeps open, of two files each. Reading goes forward, and what is behind does not come back.
const OPEN: usize = 4;

/// Bytes of tokens that are read by one call, where windows follow each other: they stay in the second-level cache until they
/// are written out as ids.
const RUN: u64 = 64 << 10;

/// A shard's open files.
struct Files {
    /// Which shard: its address. The dataset outlives its reader and does not move.
    shard: usize,
    bin: fs_err::File,
    rows: WindowsFile,
    sources: Sources,
}

/// Reads windows of one dataset, one after the other.
#[derive(Default)]
pub(crate) struct Copier {
    open: VecDeque<Files>,
    tokens: Vec<u8>,
    /// What `tokens` holds: a shard's address, its first window there and the one after the last, and where that begins.
    run: Option<(usize, Range<u64>, usize)>,
}

impl std::fmt::Debug for Copier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copier").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

impl Copier {
    /// Forgets what was read ahead: what comes next is read anew.
    pub(crate) fn forget(&mut self) {
        self.run = None;
    }

    /// Window `i` of `set`, from 0, in memory of this reader. The windows up to before `end` are wanted next, in order.
    pub(crate) fn window<'a>(&'a mut self, set: &'a WindowSet, i: u64, end: u64) -> Result<Window<'a>> {
        let shard = set.shard_of(i)?;
        let within = i - shard.first_window;
        let address = std::ptr::from_ref(shard).addr();
        let too_large = || corrupt(&shard.path, format!("window {within} is too large for memory"));
        let size = |bytes: u64| usize::try_from(bytes).map_err(|_| too_large());
        let each = shard.shape.window_bytes();
        let Self { open, tokens, run } = self;
        let files = files(open, set, shard)?;
        let (first, skip) = match run {
            Some((of, windows, skip)) if *of == address && windows.contains(&within) => (windows.start, *skip),
            _ => {
                *run = None;
                let wanted = (end.saturating_sub(i)).min(RUN / each.max(1)).min(shard.entry.windows - within).max(1);
                let range = shard.bytes_of(within)?.start..shard.bytes_of(within + wanted - 1)?.end;
                let length = size(range.end - range.start)?;
                // Room to begin at a multiple of a token's width.
                tokens.resize(length.saturating_add(4), 0);
                let skip = tokens.as_ptr().align_offset(4);
                let bytes = tokens.get_mut(skip..skip.saturating_add(length)).ok_or_else(too_large)?;
                read(&files.bin, &shard.path, range, bytes)?;
                *run = Some((address, within..within + wanted, skip));
                (within, skip)
            }
        };
        let start = size((within - first) * each)?.saturating_add(skip);
        let bytes = tokens.get(start..start.saturating_add(size(each)?)).ok_or_else(too_large)?;
        let tokens = Tokens::from_bytes(bytes, shard.shape.dtype).ok_or_else(too_large)?;
        let (row, source) = row(files, within)?;
        Ok(set.window_of(i, shard, row, source, tokens))
    }

    /// Documents and padding of window `i` of `set`, from 0. `source` of the row counts in the manifest's sources.
    pub(crate) fn row<'a>(&'a mut self, set: &WindowSet, i: u64) -> Result<Row<'a>> {
        let shard = set.shard_of(i)?;
        let (row, source) = row(files(&mut self.open, set, shard)?, i - shard.first_window)?;
        Ok(Row { source, ..row })
    }
}

/// The shard's files, opened unless they are.
fn files<'a>(open: &'a mut VecDeque<Files>, set: &WindowSet, shard: &OpenShard) -> Result<&'a mut Files> {
    let address = std::ptr::from_ref(shard).addr();
    let found = match open.iter().position(|files| files.shard == address) {
        Some(found) => found,
        None => {
            let (bin, rows, sources) = shard.files(&set.common.sources)?;
            if open.len() >= OPEN {
                open.pop_front();
            }
            open.push_back(Files { shard: address, bin, rows, sources });
            open.len() - 1
        }
    };
    open.get_mut(found).ok_or_else(|| corrupt(&shard.path, "not open".to_owned()))
}

/// Row `i` of a shard, and its source in the manifest.
fn row(files: &mut Files, i: u64) -> Result<(Row<'_>, u32)> {
    let (row, path) = files.rows.row_of(i)?;
    Ok((row, files.sources.of(row.source, path, i)?))
}
