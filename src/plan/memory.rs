//! What a compile needs of memory: the same figures for the plan that predicts it and the compile that divides it.
//!
//! While documents are read, memory holds the tokenizer, for each thread its encoder's caches, a batch and a segment, and room
//! for one long document or page at a time. Later it holds the tokenizer and, for each source, indexes of some ranges.

/// Everything that is small: journals, tables, stacks, blocks of windows on their way to disk.
pub const FIXED: u64 = 32 << 20;
/// What a batch may take beyond its own size: decoding holds pages, columns and line buffers at once.
pub const BATCH_FACTOR: u64 = 8;
/// The same for one long document: its line, its text, what the encoder makes of it, its ids, its tokens.
pub const DOCUMENT_FACTOR: u64 = 8;
/// Raw rows of a batch, at least.
pub const LEAST_BATCH: u64 = 64 << 10;
/// Documents that a thread gathers, at least.
pub const LEAST_SEGMENT: u64 = 4 << 20;
/// Left at least for long documents and large pages.
pub const LEAST_LARGE: u64 = 16 << 20;
/// Ranges of a source whose indexes are kept.
const RANGES: u64 = 3;
/// Bytes of a document in the index of a range.
const RANGE_ENTRY: u64 = 40;

/// What is taken before anything is divided: the tokenizer as loaded, and the encoders.
#[must_use]
pub fn taken(tokenizer: u64, encoder: u64, threads: u64) -> u64 {
    tokenizer.saturating_add(FIXED).saturating_add(threads.saturating_mul(encoder))
}

/// What there must be to divide, for documents up to so many bytes of text.
#[must_use]
pub fn least(threads: u64, largest_document: u64) -> u64 {
    let batches = threads.saturating_mul(BATCH_FACTOR * LEAST_BATCH);
    // Segments and long documents share the rest by halves.
    let large = LEAST_LARGE.max(largest_document.saturating_mul(DOCUMENT_FACTOR));
    batches.saturating_add(large.saturating_add(large.max(threads.saturating_mul(LEAST_SEGMENT))))
}

/// The smallest `--memory`: for reading, or for mixing sources of which one range each holds so many documents together.
#[must_use]
pub fn floor(tokenizer: u64, encoder: u64, threads: u64, largest_document: u64, range_documents: u64) -> u64 {
    let reading = taken(tokenizer, encoder, threads).saturating_add(least(threads, largest_document));
    let indexes = range_documents.saturating_mul(RANGES * RANGE_ENTRY);
    reading.max(tokenizer.saturating_add(FIXED).saturating_add(indexes))
}
