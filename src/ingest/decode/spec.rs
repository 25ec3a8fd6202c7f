//! What is read of each row, and within which bounds.

use super::json::Tree;
use super::room::{Held, Room};
use super::value::Value;
use super::{Presence, Row};
use crate::curriculum::checked::{IdFormat, Source, TemplatePiece, TextTemplate, Tokenized};
use crate::curriculum::filter::Filter;
use crate::ingest::condition::judge;
use crate::ingest::template::Template;

/// Bounds on what one read may hold in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of source data that a batch aims at; one long document may exceed it.
    pub batch_bytes: usize,
    /// Longest document in bytes of text; a longer one is a bad row.
    pub max_document_bytes: u64,
    /// Largest piece that a table file may make the decoder hold at once, in bytes after decompression: a page of Parquet,
    /// a record batch of Arrow, a file's metadata. A larger one is an error before any of it is allocated.
    pub max_page_bytes: u64,
    /// Longest document in bytes of text that memory has room for, whatever `max_document_bytes` allows. A longer one is an
    /// error and no bad row: memory decides whether a compile can be done, never what comes out of it.
    pub held_document_bytes: u64,
    /// Pieces above this size wait until memory has room for a large one.
    pub small_piece_bytes: u64,
}

/// Bytes of a line for each byte of its text, at most.
const LINE_FACTOR: u64 = 3;

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_bytes: 1 << 20,
            max_document_bytes: 64 << 20,
            max_page_bytes: 512 << 20,
            held_document_bytes: u64::MAX,
            small_piece_bytes: 4 << 20,
        }
    }
}

impl Limits {
    /// Longest line of JSON. Escapes make a text up to three times as long in practice (`\u0431` for two bytes), and the
    /// row's other members need room too.
    #[must_use]
    pub fn max_line_bytes(&self) -> u64 {
        self.max_document_bytes.saturating_mul(LINE_FACTOR).saturating_add(1 << 20)
    }

    /// Longest line that memory has room for.
    #[must_use]
    pub fn held_line_bytes(&self) -> u64 {
        self.held_document_bytes.saturating_mul(LINE_FACTOR).saturating_add(1 << 20)
    }

    /// The error of a piece that is allowed, but that memory has no room for.
    #[must_use]
    pub fn no_room(&self, what: &str, bytes: u64, most: u64) -> String {
        format!(
            "{what} of {bytes} bytes is longer than the {most} that memory allows; give more --memory or fewer --threads, or \
             lower `max_document_bytes` of its source and count it as a bad row"
        )
    }
}

/// What is read of each row of a source: its text, and the columns that its condition looks at.
#[derive(Debug)]
pub struct ReadSpec {
    limits: Limits,
    template: Template,
    /// Ids and no texts: then the first column holds them, where there are columns.
    tokenized: Option<Tokenized>,
    filter: Option<Filter>,
    /// Columns of the template, then those that only the filter needs.
    columns: Vec<String>,
    /// For each column of the filter, its index in `columns`.
    filter_columns: Vec<usize>,
    tree: Tree,
    room: Room,
}

impl ReadSpec {
    /// Says what to read.
    #[must_use]
    pub fn new(text: &TextTemplate, filter: Option<&Filter>, limits: Limits) -> Self {
        let template = Template::new(text);
        let mut columns = template.columns().to_vec();
        let mut filter_columns = Vec::new();
        for name in filter.map(Filter::columns).unwrap_or_default() {
            let at = columns.iter().position(|have| have == name).unwrap_or_else(|| {
                columns.push(name.clone());
                columns.len() - 1
            });
            filter_columns.push(at);
        }
        let tree = Tree::new(&columns);
        let (filter, room) = (filter.cloned(), Room::default());
        Self { limits, template, tokenized: None, filter, columns, filter_columns, tree, room }
    }

    /// What a curriculum's source asks for; its own `max_document_bytes` replaces the one in `limits`.
    #[must_use]
    pub fn of_source(source: &Source, limits: Limits) -> Self {
        let limits = Limits { max_document_bytes: source.max_document_bytes, ..limits };
        let Some(tokenized) = &source.tokenized else {
            return Self::new(&source.text, source.filter.as_ref(), limits);
        };
        let pieces = match &tokenized.format {
            IdFormat::Column(name) => vec![TemplatePiece::Column(name.clone())],
            IdFormat::Files(..) => Vec::new(),
        };
        let spec = Self::new(&TextTemplate { pieces }, source.filter.as_ref(), limits);
        Self { tokenized: Some(tokenized.clone()), ..spec }
    }

    /// The same, which shares its room for large pieces with others.
    #[must_use]
    pub fn sharing(self, room: &Room) -> Self {
        Self { room: room.clone(), ..self }
    }

    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// Waits for room for a piece of so many bytes, unless it is small or the room is `held` already.
    pub(super) fn enter(&self, bytes: u64, held: &mut Option<Held>) {
        if bytes > self.limits.small_piece_bytes && held.is_none() {
            *held = Some(self.room.enter());
        }
    }

    #[cfg(test)]
    pub(super) fn tokenize(&mut self, tokenized: Tokenized) {
        self.tokenized = Some(tokenized);
    }

    #[cfg(test)]
    pub(super) fn limit_documents(&mut self, bytes: u64) {
        self.limits.max_document_bytes = bytes;
    }

    /// How the files hold ids, when they hold no texts.
    #[must_use]
    pub fn tokenized(&self) -> Option<&Tokenized> {
        self.tokenized.as_ref()
    }

    pub(super) fn is_ids(&self) -> bool {
        self.tokenized.is_some()
    }

    /// A document of these ids, which count four bytes each whatever their width in the file, or the bad row of one too long.
    pub(super) fn within<'i>(&self, ids: &'i [u32]) -> Row<'i> {
        let bytes = u64::try_from(ids.len()).unwrap_or(u64::MAX).saturating_mul(4);
        if bytes > self.limits.max_document_bytes { Row::Bad(self.too_long(bytes)) } else { Row::Ids(ids) }
    }

    /// Why a document of so many bytes, at four an id, is a bad row.
    pub(super) fn too_long(&self, bytes: u64) -> String {
        let most = self.limits.max_document_bytes;
        format!("{} ids take {bytes} bytes, and `max_document_bytes` is {most}", bytes / 4)
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// All columns needed, each once: first those of the text.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The columns that the condition looks at.
    #[must_use]
    pub fn filter_columns(&self) -> &[String] {
        self.filter.as_ref().map(Filter::columns).unwrap_or_default()
    }

    pub(super) fn text_column_count(&self) -> usize {
        self.template.columns().len()
    }

    pub(super) fn filter_indices(&self) -> &[usize] {
        &self.filter_columns
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn template(&self) -> &Template {
        &self.template
    }

    /// Whether no column of the condition is a column of the text: then rows can be chosen before any text is read.
    pub(super) fn filter_is_apart(&self) -> bool {
        self.filter.is_some() && self.filter_columns.iter().all(|&column| column >= self.text_column_count())
    }

    /// `where`: `None` reads the row.
    pub(super) fn refuse<'a>(
        &self,
        value: &mut dyn FnMut(usize) -> Value<'a>,
        scratch: &mut Vec<Value<'a>>,
    ) -> Option<Row<'static>> {
        let filter = self.filter.as_ref()?;
        scratch.clear();
        scratch.extend(self.filter_columns.iter().map(|&column| value(column)));
        match judge(filter, scratch) {
            Ok(Some(true)) => None,
            Ok(_) => Some(Row::Excluded),
            Err(why) => Some(Row::Bad(why)),
        }
    }

    /// The text of a row that `where` lets through.
    pub(super) fn text<'a>(&self, value: &mut dyn FnMut(usize) -> Value<'a>) -> Row<'a> {
        match self.template.render(self.limits.max_document_bytes, value) {
            Ok(text) => Row::Text(text),
            Err(why) => Row::Bad(why),
        }
    }

    /// `where`, then the text.
    pub(super) fn read<'a>(&self, value: &mut dyn FnMut(usize) -> Value<'a>, scratch: &mut Vec<Value<'a>>) -> Row<'a> {
        match self.refuse(value, scratch) {
            Some(row) => row,
            None => self.text(value),
        }
    }

    pub(super) fn presence(&self) -> Presence {
        Presence { seen: vec![false; self.filter_columns.len()] }
    }
}
