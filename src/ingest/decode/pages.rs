//! Pages of a Parquet column chunk, their sizes checked before anything is allocated for them.
//!
//! The Parquet crate reserves what a page's header says it inflates to, up to 2 GiB. So headers are read here first. It also
//! holds a page as stored while it inflates it; large pages of Zstandard are inflated here, piece by piece ([`super::inflate`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::Result;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, SerializedPageReader};

use super::ReadSpec;
use super::inflate::Inflater;
use super::page_header::{DICTIONARY_PAGE, Header, HeaderReader, INDEX_PAGE, damaged};
use super::room::{Held, Shared};
use super::source::SourceBytes;

/// Longest page header; statistics of long values are in it.
const MAX_HEADER: u64 = 16 << 20;

/// What a reader of pages tells while a column reader owns it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Values (nulls among them) in all data pages so far handed out or passed over.
    values: AtomicU64,
    /// Size of the current page if its values share prefixes, so that they may be longer together than the page; else 0.
    shared_bytes: AtomicU64,
}

/// What all columns of a reader read under.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The limits and the room.
    pub spec: Arc<ReadSpec>,
    /// The reader's hold of the room.
    pub shared: Shared,
}

impl Progress {
    /// Values in all data pages so far handed out or passed over.
    pub fn values(&self) -> u64 {
        self.values.load(Ordering::Relaxed)
    }

    /// How long one value of the current page may be, where values may be longer together than their page; else `None`.
    pub fn longest_shared(&self) -> Option<u64> {
        Some(self.shared_bytes.load(Ordering::Relaxed)).filter(|&bytes| bytes > 0)
    }
}

/// Reads the pages of one column chunk, refusing any above a bound.
pub struct BoundedPages {
    inner: SerializedPageReader<SourceBytes>,
    source: SourceBytes,
    offset: u64,
    end: u64,
    max_bytes: u64,
    bounds: Bounds,
    /// Held while the current page is a large one.
    held: Option<Held>,
    next: Option<Header>,
    progress: Arc<Progress>,
    /// Where the chunk's pages are Zstandard's.
    inflater: Option<Inflater>,
    /// The dictionary was inflated here.
    gave_dictionary: bool,
}

/// Of the bytes that every worker may hold, the part up to which a page as stored lies beside what it becomes.
const AT_ONCE: u64 = 32;

impl BoundedPages {
    /// Opens a chunk; `progress` follows the pages that are taken.
    pub fn new(
        source: &SourceBytes,
        chunk: &ColumnChunkMetaData,
        rows: usize,
        bounds: &Bounds,
        progress: Arc<Progress>,
    ) -> Result<Self> {
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let (offset, length) = match (u64::try_from(start), u64::try_from(chunk.compressed_size())) {
            (Ok(offset), Ok(length)) => (offset, length),
            _ => return Err(damaged("the column chunk has a negative place or size")),
        };
        let end = offset.checked_add(length).filter(|&end| end <= source.size());
        let Some(end) = end else {
            return Err(damaged("the column chunk goes beyond the file's end: the file is truncated"));
        };
        let inner = SerializedPageReader::new(Arc::new(source.clone()), chunk, rows, None)?;
        let (source, bounds, held, next) = (source.clone(), bounds.clone(), None, None);
        let max_bytes = bounds.spec.limits().max_page_bytes;
        let limits = bounds.spec.limits();
        let at_once = usize::try_from(limits.small_piece_bytes / AT_ONCE).unwrap_or(usize::MAX);
        let inflater = matches!(chunk.compression(), Compression::ZSTD(_))
            .then(|| Inflater { least: limits.batch_bytes / 4, at_once });
        Ok(Self {
            inner,
            source,
            offset,
            end,
            max_bytes,
            bounds,
            held,
            next,
            progress,
            inflater,
            gave_dictionary: false,
        })
    }

    /// The next page's header, checked; pages of indexes are passed over, as the reader beneath does.
    fn look(&mut self) -> Result<Option<Header>> {
        loop {
            if let Some(header) = self.next {
                return Ok(Some(header));
            }
            if self.offset >= self.end {
                return Ok(None);
            }
            let left = self.end - self.offset;
            let header = HeaderReader::new(self.source.get_read(self.offset)?, left.min(MAX_HEADER)).read()?;
            let inflated = u64::try_from(header.inflated).map_err(|_| damaged("a page has a negative size"))?;
            let stored = u64::try_from(header.stored).map_err(|_| damaged("a page has a negative size"))?;
            if stored > left - header.header_bytes {
                return Err(damaged("a page goes beyond its column chunk"));
            }
            if inflated > self.max_bytes || stored > self.max_bytes {
                return Err(damaged(&format!(
                    "a page at byte {} has {} bytes, more than the {} that memory allows: raise --memory, or rewrite the file with smaller pages",
                    self.offset,
                    inflated.max(stored),
                    self.max_bytes
                )));
            }
            if header.kind == INDEX_PAGE {
                // The reader beneath passes over it only when it hands out the next page itself.
                self.inflater = None;
                self.offset += header.header_bytes + stored;
                continue;
            }
            self.next = Some(header);
        }
    }

    fn advance(&mut self) {
        if let Some(header) = self.next.take() {
            self.offset += header.header_bytes + u64::try_from(header.stored).unwrap_or(0);
            if header.kind != DICTIONARY_PAGE {
                self.progress.values.fetch_add(u64::try_from(header.values).unwrap_or(0), Ordering::Relaxed);
            }
        }
    }
}

/// Bytes that a value and its levels take once they are decoded, about.
const VALUE_BYTES: u64 = 12;

/// Looks at the headers of all pages of a chunk that another reader will read: the size of the largest, decoded. Repeated values
/// take little room in a page, however many they are; so they are counted too.
pub fn largest(source: &SourceBytes, chunk: &ColumnChunkMetaData, rows: usize, bounds: &Bounds) -> Result<u64> {
    let mut pages = BoundedPages::new(source, chunk, rows, bounds, Arc::default())?;
    let mut largest = 0;
    while let Some(header) = pages.look()? {
        let values = u64::try_from(header.values).map_err(|_| damaged("a page has a negative count"))?;
        let decoded = values.saturating_mul(VALUE_BYTES);
        if decoded > pages.max_bytes {
            return Err(damaged(&format!(
                "a page at byte {} has {values} values, which take {decoded} bytes, more than the {} that memory allows: raise --memory, or rewrite the file with smaller pages",
                pages.offset, pages.max_bytes
            )));
        }
        let bytes = u64::try_from(header.inflated.saturating_add(header.stored)).unwrap_or(u64::MAX);
        largest = largest.max(bytes.saturating_add(decoded));
        pages.advance();
    }
    Ok(largest)
}

impl Iterator for BoundedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for BoundedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(header) = self.look()? else { return Ok(None) };
        // Both forms are held while a page is inflated by the reader beneath.
        let bytes = u64::try_from(header.inflated.saturating_add(header.stored)).unwrap_or(u64::MAX);
        if bytes <= self.bounds.spec.limits().small_piece_bytes {
            self.held = None;
        } else if self.held.is_none() {
            self.held = Some(self.bounds.shared.enter(self.bounds.spec.room()));
        }
        let inflated = self.inflater.as_ref().and_then(|inflater| {
            // What cannot be inflated so is left to the crate, which also says what is wrong with it.
            inflater.page(&self.source, self.offset, &header)
        });
        let page = match inflated {
            Some(page) => {
                self.inner.skip_next_page()?;
                self.gave_dictionary |= header.kind == DICTIONARY_PAGE;
                Some(page)
            }
            None => self.inner.get_next_page()?,
        };
        let shares = page.as_ref().is_some_and(|page| page.encoding() == Encoding::DELTA_BYTE_ARRAY);
        let shared = if shares { u64::try_from(header.inflated).unwrap_or(u64::MAX) } else { 0 };
        self.progress.shared_bytes.store(shared, Ordering::Relaxed);
        self.advance();
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        if self.look()?.is_none() {
            return Ok(None);
        }
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        if self.look()?.is_some() {
            self.inner.skip_next_page()?;
            self.advance();
        }
        Ok(())
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.inner.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        // What was handed out already is for the reader beneath a page that was skipped.
        if self.gave_dictionary {
            return Ok(None);
        }
        self.inner.take_deferred_dictionary()
    }
}
