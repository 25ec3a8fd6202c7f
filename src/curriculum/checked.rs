//! A curriculum that has been checked: every name exists, every number is in its range, and nothing is left to guess.
//!
//! These are plain data types. They hold what the author asked for, in declaration order, with defaults filled in;
//! they know nothing of the file system (see `resolved`) nor of YAML (see `raw`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use num_rational::BigRational;
use syllabus_reader::format::TokenDtype;

use super::expect::Expect;
use super::filter::Filter;

/// Index of a source in [`Curriculum::sources`] (declaration order).
pub type SourceId = usize;

/// A whole curriculum.
#[derive(Debug, Clone)]
pub struct Curriculum {
    /// Name of the dataset.
    pub name: String,
    /// Seed of every permutation.
    pub seed: u64,
    /// The tokenizer and its contract.
    pub tokenizer: TokenizerSpec,
    /// S: trained positions in a window, unless a phase says otherwise.
    pub sequence_length: u32,
    /// Whether a window stores S + 1 tokens (the default) or S.
    pub label_token: bool,
    /// How documents become windows, unless a phase says otherwise.
    pub packing: Packing,
    /// Target size of a shard's `.bin` in bytes, unless a phase says otherwise.
    pub shard_bytes: u64,
    /// Duplicates.
    pub dedup: Dedup,
    /// Benchmark leaks.
    pub decontaminate: Option<Decontaminate>,
    /// Held-out sets; at most one in this format version, conventionally named `validation`.
    pub holdout: Option<Holdout>,
    /// What happens to a source whose permitted epochs are used up.
    pub on_exhausted: OnExhausted,
    /// Sources in declaration order.
    pub sources: Vec<Source>,
    /// Phases in training order.
    pub phases: Vec<Phase>,
    /// Warnings that the check gathered (for example a source in no mix), one line each.
    pub warnings: Vec<String>,
}

/// Which tokenizer, and which of its tokens frame a document.
#[derive(Debug, Clone)]
pub struct TokenizerSpec {
    /// Path of `tokenizer.json` as written.
    pub file: String,
    /// Token put before each document; an unsaid one is told from `bos: none`.
    pub bos: Bos,
    /// Token put after each document; `None` for `eos: none`.
    pub eos: Option<String>,
    /// Token that fills padding; the EOS unless said.
    pub pad: Option<String>,
    /// Special strings that may become their control ids inside documents.
    pub special: Vec<String>,
    /// Which implementation encodes.
    pub backend: Backend,
}

/// What the curriculum says of the beginning-of-document token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bos {
    /// Not said: allowed only when the tokenizer's own template adds none.
    Unsaid,
    /// `bos: none`.
    None,
    /// The token's string.
    Token(String),
}

/// Which tokenizer implementation encodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// The fastest that loads the file; a difference to the reference stops the compile.
    #[default]
    Fast,
    /// The fastest whose ids equal the reference's on the probes; falls back to the reference with a warning.
    Auto,
    /// Hugging Face `tokenizers`.
    Reference,
}

/// How documents become windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// Documents joined to one line of tokens, cut every W.
    #[default]
    Concat,
    /// Documents whole where they fit; padding is named and masked.
    BestFit,
}

/// What happens when a source's permitted epochs are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExhausted {
    /// Refuse, and print a patch that would be feasible.
    #[default]
    Error,
    /// Start another epoch (sources with `max_epochs` still stop there).
    Repeat,
}

/// Duplicate removal.
#[derive(Debug, Clone)]
pub struct Dedup {
    /// Drop documents whose text was already kept.
    pub exact: bool,
    /// Drop documents similar to one that stays.
    pub near: Option<Near>,
}

/// Near-duplicate removal.
#[derive(Debug, Clone)]
pub struct Near {
    /// Similarity (Jaccard index of word n-grams) from which a document goes, in (0, 1].
    pub jaccard: BigRational,
    /// Words in a shingle.
    pub shingle: u32,
    /// Bands and rows when given.
    pub bands_rows: Option<(u32, u32)>,
    /// Among which documents.
    pub scope: NearScope,
    /// Largest share of a source's documents that may go, where said for all sources.
    pub max_removed: Option<BigRational>,
    /// The same for single sources; it goes before `max_removed`.
    pub max_removed_of: BTreeMap<SourceId, BigRational>,
}

/// Among which documents near duplicates are sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NearScope {
    /// Within each source.
    #[default]
    Source,
    /// Within each group.
    Group,
    /// Over everything.
    All,
}

/// Benchmark decontamination.
#[derive(Debug, Clone)]
pub struct Decontaminate {
    /// Globs of benchmark files (JSON Lines or Parquet).
    pub files: Vec<String>,
    /// Columns whose text is matched; `text` unless said.
    pub fields: Vec<String>,
    /// Words in an n-gram.
    pub ngram: u32,
    /// Share of an item's n-grams that must occur; `None` for `any` (one suffices).
    pub coverage: Option<BigRational>,
}

/// A set of documents kept for validation.
#[derive(Debug, Clone)]
pub struct Holdout {
    /// Its name: salt of the choice and name of the folder.
    pub name: String,
    /// Share of each source's documents.
    pub share: BigRational,
    /// At most so many tokens of each source.
    pub max_tokens_per_source: Option<u64>,
}

/// A named set of files holding documents of one kind.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name: `[A-Za-z0-9][A-Za-z0-9_.-]*`, unique among sources and groups.
    pub name: String,
    /// The group it belongs to.
    pub group: Option<String>,
    /// Globs as written.
    pub files: Vec<String>,
    /// Where the text comes from.
    pub text: TextTemplate,
    /// How the files hold ids, when they hold no texts.
    pub tokenized: Option<Tokenized>,
    /// Declared size in tokens, for planning without data.
    pub tokens: Option<u64>,
    /// How often it may be read in the whole curriculum.
    pub max_epochs: Option<u32>,
    /// Rows that are read at all.
    pub filter: Option<Filter>,
    /// Text rules, judged in this order; the first failing rule is named.
    pub rules: Vec<TextRule>,
    /// Rows that cannot be read.
    pub on_bad_row: OnBadRow,
    /// A document longer than this is a bad row (bytes of text).
    pub max_document_bytes: u64,
    /// A subset of this source may keep what its parent has too.
    pub copies_of: Option<SourceId>,
    /// Larger wins among equal documents; ties go to the source declared first.
    pub priority: i64,
    /// Near duplicates of this source always stay.
    pub exempt: bool,
}

/// A source whose documents are tokenized already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokenized {
    /// Where the ids are.
    pub format: IdFormat,
    /// What becomes of documents without BOS or EOS.
    pub frame: Frame,
}

/// Where ids are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdFormat {
    /// In files of a trainer's, with the width where it was said.
    Files(TokenFiles, Option<TokenDtype>),
    /// In a column of lists.
    Column(String),
}

/// Forms of files that hold ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFiles {
    /// `.bin` and `.idx`.
    Megatron,
    /// `.ds` and `.ds.index`.
    Datatrove,
    /// `.npy` (raw ids) and `.csv.gz`.
    Olmo,
}

/// What becomes of documents without BOS or EOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frame {
    /// They are bad rows.
    #[default]
    Check,
    /// They get what they lack.
    Complete,
}

/// How a row becomes text: `content`, or `"{title}\n\n{body}"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTemplate {
    /// Literal and column pieces in order; a plain column name is one `Column` piece.
    pub pieces: Vec<TemplatePiece>,
}

/// A piece of a text template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePiece {
    /// Text as it stands.
    Literal(String),
    /// The value of a column; dots reach into structs (`meta.title`).
    Column(String),
}

/// A bound on the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextRule {
    /// At least so many bytes of UTF-8.
    MinBytes(u64),
    /// At most so many bytes of UTF-8.
    MaxBytes(u64),
    /// At least so many characters (Unicode scalar values).
    MinChars(u64),
    /// At most so many characters.
    MaxChars(u64),
}

/// What to do with a row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnBadRow {
    /// Stop.
    Error,
    /// Count it in the ledger, up to a limit in rows (`None`: no limit).
    Count {
        /// Largest number of bad rows.
        limit: Option<u64>,
    },
}

/// A stretch of training with a budget and a mix.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Its name: as for sources.
    pub name: String,
    /// Its budget in trained positions before `--scale`: exact, already turned from `until:` into a length.
    pub tokens: u64,
    /// The mix at its start.
    pub from: Mix,
    /// The mix at its end when it ramps linearly.
    pub to: Option<Mix>,
    /// S in this phase.
    pub sequence_length: u32,
    /// Packing in this phase.
    pub packing: Packing,
    /// Target size of a shard's `.bin` in bytes.
    pub shard_bytes: u64,
    /// A positive share may come to no window at all.
    pub allow_zero: bool,
    /// What must hold of it.
    pub expect: Vec<Expect>,
}

/// Shares of sources and groups; what stands at the same level is taken in the order absolute, relative, rest.
#[derive(Debug, Clone)]
pub struct Mix {
    /// Its name, when it has one.
    pub name: Option<String>,
    /// What it mixes, in the order written.
    pub entries: Vec<MixEntry>,
}

/// One line of a mix.
#[derive(Debug, Clone)]
pub struct MixEntry {
    /// How much.
    pub weight: Weight,
    /// Of what.
    pub of: MixPart,
}

/// How much of a mix a line takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Weight {
    /// `26.5%` of the level it stands in: absolute, taken first.
    Percent(BigRational),
    /// `50B`: tokens of the phase, absolute, scaled by `--scale`.
    Tokens(u64),
    /// `2x`: epochs of the source's (or group's) unique tokens, absolute, scaled by `--scale`.
    Epochs(BigRational),
    /// A bare number: relative within what is left.
    Relative(BigRational),
    /// `rest`.
    Rest,
}

/// What a line of a mix names.
#[derive(Debug, Clone)]
pub enum MixPart {
    /// A source.
    Source(SourceId),
    /// A group, divided among its sources.
    Group {
        /// Its name.
        name: String,
        /// How it is divided.
        split: Split,
    },
}

/// How a group's share is divided among its sources.
#[derive(Debug, Clone)]
pub enum Split {
    /// By unique tokens times a factor (`by: size`, `boost:`); members in declaration order. Also the default of a group named without `of`.
    Size {
        /// The group's sources.
        members: Vec<SourceId>,
        /// Factor of each member that has one.
        boost: BTreeMap<SourceId, BigRational>,
    },
    /// As a nested mix (`of:`).
    Mix(Mix),
}

impl Tokenized {
    /// The files that may lie beside one that holds ids: the first must.
    #[must_use]
    pub fn sidecars(&self, file: &Path) -> Vec<PathBuf> {
        let appended = |ending: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        match self.format {
            IdFormat::Files(TokenFiles::Megatron, _) => vec![file.with_extension("idx")],
            IdFormat::Files(TokenFiles::Datatrove, _) => vec![appended(".index"), appended(".metadata")],
            IdFormat::Files(TokenFiles::Olmo, _) => vec![file.with_extension("csv.gz")],
            IdFormat::Column(_) => Vec::new(),
        }
    }
}
