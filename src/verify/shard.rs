//! One shard: its three files against their digests, against each other, and against the contract.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use syllabus_reader::format::digest::{RowsHasher, to_hex};
use syllabus_reader::format::idx::Idx;
use syllabus_reader::format::manifest::{Manifest, Shard};
use syllabus_reader::format::windows::{MappedWindows, Row};
use syllabus_reader::format::{Fragment, beside, tokens};

use super::Set;
use super::findings::Findings;

/// Top bits of a key by which fragments are counted, so that they can be taken in several passes.
pub(super) const KEY_BITS: u32 = 12;

/// Bytes of the `.bin` read at a time.
const CHUNK: usize = 1 << 20;

/// What shards hold, summed.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    /// Windows by set and source.
    pub(super) windows: BTreeMap<(u32, u32), u64>,
    /// Tokens of documents by set, source and epoch.
    pub(super) emitted: BTreeMap<(u32, u32, u32), u64>,
    /// Padding tokens by set and source.
    pub(super) padding: BTreeMap<(u32, u32), u64>,
    /// All tokens.
    pub(super) tokens: u64,
    /// All fragments.
    pub(super) fragments: u64,
    /// Fragments by the top bits of their document's key.
    pub(super) keys: Vec<u64>,
    /// Largest id.
    pub(super) max_token_id: u32,
}

impl Totals {
    pub(super) fn merge(mut self, other: Self) -> Self {
        fn add<K: Ord>(into: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
            for (key, count) in from {
                *into.entry(key).or_default() += count;
            }
        }
        add(&mut self.windows, other.windows);
        add(&mut self.emitted, other.emitted);
        add(&mut self.padding, other.padding);
        self.tokens += other.tokens;
        self.fragments += other.fragments;
        self.max_token_id = self.max_token_id.max(other.max_token_id);
        if self.keys.is_empty() {
            self.keys = other.keys;
        } else {
            for (into, count) in self.keys.iter_mut().zip(other.keys) {
                *into += count;
            }
        }
        self
    }

    fn count_key(&mut self, fragment: &Fragment) {
        if self.keys.is_empty() {
            self.keys = vec![0; 1 << KEY_BITS];
        }
        if let Some(count) = self.keys.get_mut(key_bucket(fragment.document.into())) {
            *count += 1;
        }
    }
}

/// The bucket of a key in [`Totals::keys`].
pub(super) fn key_bucket(key: u128) -> usize {
    usize::try_from(key >> (128 - KEY_BITS)).unwrap_or(usize::MAX)
}

/// A shard to check.
pub(super) struct Job<'a> {
    pub(super) dir: &'a Path,
    pub(super) manifest: &'a Manifest,
    pub(super) set: &'a Set<'a>,
    pub(super) shard: &'a Shard,
    pub(super) sources: &'a [String],
    pub(super) findings: &'a Findings,
}

/// A shard whose files are there and of the right sizes.
struct Opened {
    bin: PathBuf,
    rows: MappedWindows,
    idx: PathBuf,
    /// The manifest's index of each source in the file's dictionary.
    sources: Vec<u32>,
}

impl Job<'_> {
    fn name(&self, extension: &str) -> String {
        format!("{}.{extension}", self.shard.file.trim_end_matches(".bin"))
    }

    fn add(&self, extension: &str, message: impl Into<String>) {
        self.findings.add(&self.name(extension), message);
    }

    /// Opens the files and compares sizes and counts; `None` when the rest cannot be checked.
    fn open(&self) -> Option<Opened> {
        let relative = Path::new(&self.shard.file);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || relative.extension().is_none_or(|extension| extension != "bin") {
            self.findings.add("manifest.json", format!("`{}` is not the path of a shard", self.shard.file));
            return None;
        }
        let bin = self.dir.join(relative);
        match fs_err::metadata(&bin) {
            Ok(metadata) if metadata.len() == self.shard.bytes => {}
            Ok(metadata) => {
                self.add("bin", format!("{} bytes, but the manifest says {}", metadata.len(), self.shard.bytes));
                return None;
            }
            Err(error) => {
                self.add("bin", error.to_string());
                return None;
            }
        }
        let rows = match MappedWindows::open(&beside(&bin, "arrow")) {
            Ok(rows) => rows,
            Err(error) => {
                self.add("arrow", error.to_string());
                return None;
            }
        };
        if rows.rows() != self.shard.windows {
            self.add("arrow", format!("{} rows, but the manifest says {} windows", rows.rows(), self.shard.windows));
            return None;
        }
        let mut sources = Vec::with_capacity(rows.sources().len());
        for name in rows.sources() {
            let index = self.sources.iter().position(|source| source == name);
            let Some(index) = index.and_then(|index| u32::try_from(index).ok()) else {
                self.add("arrow", format!("source `{name}` is not in the manifest"));
                return None;
            };
            sources.push(index);
        }
        let idx = beside(&bin, "idx");
        Some(Opened { bin, rows, idx, sources })
    }

    /// Sizes and headers only.
    pub(super) fn check_headers(&self) -> bool {
        let Some(opened) = self.open() else { return false };
        let mut header = Vec::new();
        let read = fs_err::File::open(&opened.idx).and_then(|file| {
            let length = file.metadata()?.len();
            file.take(34).read_to_end(&mut header)?;
            Ok(length)
        });
        let length = match read {
            Ok(length) => length,
            Err(error) => {
                self.add("idx", error.to_string());
                return false;
            }
        };
        // The header says N; the size must be 34 + 12 N + 8 (N + 1).
        let sequences =
            header.get(18..26).and_then(|bytes| bytes.first_chunk::<8>()).map(|bytes| u64::from_le_bytes(*bytes));
        let size = sequences.and_then(|n| n.checked_mul(20)).and_then(|n| n.checked_add(42));
        if !header.starts_with(b"MMIDIDX\0\0") || size != Some(length) {
            self.add("idx", "not a Megatron index of the size that it says");
            return false;
        }
        true
    }

    /// Everything; gives whether the shard could be read to its end.
    pub(super) fn check(&self, totals: &mut Totals) -> bool {
        let Some(opened) = self.open() else { return false };
        let idx = match fs_err::read(&opened.idx) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.add("idx", error.to_string());
                return false;
            }
        };
        let hash = to_hex(blake3::hash(&idx).as_bytes());
        if hash != self.shard.index_digest {
            self.add("idx", format!("its digest is {hash}, but the manifest says {}", self.shard.index_digest));
        }
        let idx = match Idx::parse(&opened.idx, &idx) {
            Ok(idx) => idx,
            Err(error) => {
                self.add("idx", error.to_string());
                return false;
            }
        };
        if idx.dtype() != self.manifest.token_dtype {
            self.add(
                "idx",
                format!("its dtype is {}, but the manifest says {}", idx.dtype(), self.manifest.token_dtype),
            );
        }
        if !idx.documents().eq(0..=i64::try_from(idx.len()).unwrap_or(i64::MAX)) {
            self.add("idx", "its document indices are not 0, 1, ... N");
        }
        match self.check_windows(&opened, &idx, totals) {
            Ok(whole) => whole,
            Err(error) => {
                self.add("bin", error.to_string());
                false
            }
        }
    }

    fn check_windows(&self, opened: &Opened, idx: &Idx<'_>, totals: &mut Totals) -> std::io::Result<bool> {
        let window_bytes = usize::try_from(self.set.window_tokens)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.manifest.token_dtype.width());
        let mut file = BufReader::with_capacity(CHUNK, fs_err::File::open(&opened.bin)?);
        let mut bytes = vec![0; window_bytes];
        let mut ids = Vec::new();
        let mut bin = blake3::Hasher::new();
        let mut rows = RowsHasher::default();
        let mut sequences = Sequences::new(idx, self.manifest.token_dtype.width_u8());
        let mut whole = true;
        for i in 0..self.shard.windows {
            file.read_exact(&mut bytes)?;
            bin.update(&bytes);
            let row = match opened.rows.row(i) {
                Ok(row) => row,
                Err(error) => {
                    self.add("arrow", error.to_string());
                    whole = false;
                    continue;
                }
            };
            let dictionary = usize::try_from(row.source).ok();
            let name = dictionary.and_then(|source| opened.rows.sources().get(source)).map_or("", String::as_str);
            rows.push(name, row.padding, row.fragments);
            let source = dictionary.and_then(|source| opened.sources.get(source)).copied().unwrap_or(u32::MAX);
            ids.clear();
            tokens::decode(&bytes, self.manifest.token_dtype, &mut ids);
            if self.check_row(i, &row) {
                self.check_ids(i, &row, &ids);
                self.count(source, &row, &ids, totals);
                sequences.check(&row, |message| self.add("idx", format!("window {i}: {message}")));
            } else {
                whole = false;
            }
        }
        if whole {
            sequences.end(|message| self.add("idx", message));
        }
        let said = &self.shard;
        let hash = to_hex(bin.finalize().as_bytes());
        if hash != said.digest {
            self.add("bin", format!("its digest is {hash}, but the manifest says {}: it was altered", said.digest));
        }
        let hash = to_hex(&rows.finish());
        if whole && hash != said.windows_digest {
            self.add("arrow", format!("its rows' digest is {hash}, but the manifest says {}", said.windows_digest));
        } else if let Some(digest) = &said.arrow_digest {
            self.check_arrow_bytes(&beside(&opened.bin, "arrow"), digest);
        }
        Ok(whole)
    }

    /// The file's bytes: what Arrow says twice, or pads with, is in no row, and another reader may look at it.
    fn check_arrow_bytes(&self, path: &Path, digest: &str) {
        let mut hasher = blake3::Hasher::new();
        match fs_err::File::open(path).and_then(|file| hasher.update_reader(file).map(drop)) {
            Ok(()) => {
                let hash = to_hex(hasher.finalize().as_bytes());
                if hash != digest {
                    self.add("arrow", format!("its digest is {hash}, but the manifest says {digest}: it was altered"));
                }
            }
            Err(error) => self.add("arrow", error.to_string()),
        }
    }

    /// Whether fragments and padding tile the window.
    fn check_row(&self, i: u64, row: &Row<'_>) -> bool {
        let w = u64::from(self.set.window_tokens);
        let mut next = 0_u64;
        for fragment in row.fragments {
            if u64::from(fragment.start) != next || fragment.length == 0 {
                self.add("arrow", format!("window {i}: its fragments do not tile it at token {next}"));
                return false;
            }
            if fragment.offset.checked_add(fragment.length).is_none() {
                self.add("arrow", format!("window {i}: a fragment reaches past 2^32 tokens of its document"));
                return false;
            }
            next += u64::from(fragment.length);
        }
        if next + u64::from(row.padding) != w {
            let padding = row.padding;
            self.add("arrow", format!("window {i}: fragments of {next} tokens and {padding} of padding are not {w}"));
            return false;
        }
        true
    }

    /// Ids within the vocabulary, BOS at documents' starts, the padding id in the padding.
    fn check_ids(&self, i: u64, row: &Row<'_>, ids: &[u32]) {
        let tokenizer = &self.manifest.tokenizer;
        if let Some(id) = ids.iter().find(|&&id| id >= tokenizer.vocab_size) {
            self.add("bin", format!("window {i}: id {id} is outside the vocabulary of {}", tokenizer.vocab_size));
        }
        if let Some(bos) = tokenizer.bos_id {
            for fragment in row.fragments.filter(|fragment| fragment.offset == 0) {
                let first = usize::try_from(fragment.start).ok().and_then(|start| ids.get(start));
                if first != Some(&bos) {
                    self.add(
                        "bin",
                        format!("window {i}: the document at token {} does not begin with BOS", fragment.start),
                    );
                }
            }
        }
        let padding = usize::try_from(row.padding).unwrap_or(usize::MAX);
        let padding = ids.get(ids.len().saturating_sub(padding)..).unwrap_or_default();
        if padding.iter().any(|&id| id != tokenizer.pad_id) {
            self.add("bin", format!("window {i}: its padding is not {}", tokenizer.pad_id));
        }
    }

    fn count(&self, source: u32, row: &Row<'_>, ids: &[u32], totals: &mut Totals) {
        let set = self.set.index;
        *totals.windows.entry((set, source)).or_default() += 1;
        if row.padding > 0 {
            *totals.padding.entry((set, source)).or_default() += u64::from(row.padding);
        }
        for fragment in row.fragments {
            *totals.emitted.entry((set, source, fragment.epoch)).or_default() += u64::from(fragment.length);
            totals.count_key(&fragment);
            totals.fragments += 1;
        }
        totals.tokens += u64::from(self.set.window_tokens);
        totals.max_token_id = ids.iter().copied().fold(totals.max_token_id, u32::max);
    }
}

/// The `.idx`'s sequences, compared with the rows as these come.
struct Sequences<'a> {
    idx: Idx<'a>,
    next: usize,
    offset: i64,
    width: i64,
    broken: bool,
}

impl<'a> Sequences<'a> {
    fn new(idx: &Idx<'a>, width: u8) -> Self {
        Self { idx: *idx, next: 0, offset: 0, width: i64::from(width), broken: false }
    }

    fn check(&mut self, row: &Row<'_>, add: impl Fn(String)) {
        let padding = Some(row.padding).filter(|&padding| padding > 0);
        for length in row.fragments.map(|fragment| fragment.length).chain(padding) {
            // Once out of step, all that follows is out of step: one finding tells it.
            if self.broken {
                return;
            }
            let found = self.idx.sequence(self.next);
            let wanted = i32::try_from(length).ok().map(|length| (length, self.offset));
            if found != wanted || found.is_none() {
                self.broken = true;
                let told = found
                    .map_or("is missing".to_owned(), |(length, offset)| format!("is {length} tokens at byte {offset}"));
                add(format!(
                    "sequence {} {told}, but the .arrow has {length} tokens at byte {}",
                    self.next, self.offset
                ));
                return;
            }
            self.next += 1;
            self.offset = self.offset.saturating_add(i64::from(length).saturating_mul(self.width));
        }
    }

    fn end(&self, add: impl Fn(String)) {
        if !self.broken && self.next != self.idx.len() {
            add(format!("{} sequences, but the .arrow has {} fragments and paddings", self.idx.len(), self.next));
        }
    }
}
