//! Parquet: only the columns needed, row group by row group.
//!
//! Where the condition looks at other columns than the text's, it is judged first, and the text of rows that are not read
//! is not decoded; pages without a single such row are not even decompressed.

use std::collections::VecDeque;
use std::io::BufReader;
use std::ops::Range;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy, RowGroupMetaData,
};

use super::contain::contain;
use super::footer::Footer;
use super::leaf::{self, Leaf, LeafReader, Values};
use super::page_header;
use super::pages::Bounds;
use super::room;
use super::source::SourceBytes;
use super::{At, Batch, Body, Part, Presence, ReadSpec, Row, Shared, Unit, UnitReader, Value};
use crate::curriculum::resolved::SourceFile;
use crate::{Error, Result};

/// Bytes of needed columns, decompressed, at which a unit is full.
const UNIT_BYTES: u64 = 32 << 20;
/// Most rows in a batch.
const BATCH_ROWS: usize = 1 << 16;
/// Most rows that are judged at once.
const JUDGED_ROWS: usize = 1 << 10;
/// Bytes at a file's end: the length of its footer, and the magic.
const TAIL: u64 = 8;

/// A file's footer, and where the needed columns are.
#[derive(Debug)]
pub struct Table {
    metadata: ParquetMetaData,
    /// For each column of the spec.
    leaves: Vec<Option<Leaf>>,
}

impl Table {
    /// Reads the footer.
    pub fn open(source: &SourceBytes, spec: &ReadSpec) -> Result<Self> {
        let at_footer = |message: String| source.fault("footer", message);
        let tail_at = source.size().checked_sub(TAIL).ok_or_else(|| at_footer(CUT.to_owned()))?;
        let tail = source.read_at(tail_at, TAIL).map_err(|e| at_footer(e.to_string()))?;
        let (length, magic) = tail.split_at(4);
        if magic == b"PARE" {
            return Err(at_footer("encrypted files are not read".to_owned()));
        }
        if magic != b"PAR1" {
            return Err(at_footer(CUT.to_owned()));
        }
        let length = length.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte));
        if length > spec.limits().max_page_bytes {
            return Err(at_footer(format!(
                "it has {length} bytes, more than the {} that memory allows: raise --memory, or split the file",
                spec.limits().max_page_bytes
            )));
        }
        let footer = tail_at.checked_sub(length).ok_or_else(|| at_footer(CUT.to_owned()))?;
        if !page_header::ends(BufReader::new(source.reader_at(footer)), length) {
            return Err(at_footer(UNENDED.to_owned()));
        }
        // Statistics are most of a footer, and nothing here asks for them.
        let options = ParquetMetaDataOptions::new()
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let reader = ParquetMetaDataReader::new().with_metadata_options(Some(options));
        let metadata =
            contain(|| reader.parse_and_finish(source)).map_err(at_footer)?.map_err(|e| at_footer(words(&e)))?;
        let schema = metadata.file_metadata().schema_descr();
        let leaves = spec.columns().iter().map(|name| leaf::find(schema, name)).collect();
        let table = Self { metadata, leaves };
        table.check(source)?;
        Ok(table)
    }

    /// What the footer says must agree with itself, so that no row is lost to a damaged count.
    fn check(&self, source: &SourceBytes) -> Result<()> {
        let mut rows = 0_i64;
        for (at, group) in self.metadata.row_groups().iter().enumerate() {
            let place = || format!("row group {at}");
            let columns = self.metadata.file_metadata().schema_descr().num_columns();
            if group.num_rows() < 0 || group.num_columns() != columns {
                return Err(source.fault(place(), "its row or column count is impossible: the footer is damaged"));
            }
            rows = rows.saturating_add(group.num_rows());
            for leaf in self.leaves.iter().flatten().filter(|leaf| !leaf.is_repeated()) {
                let values = group.column(leaf.index).num_values();
                if values != group.num_rows() {
                    let message =
                        format!("it has {} rows, and its column {values}: the file is damaged", group.num_rows());
                    return Err(source.fault(place(), message));
                }
            }
        }
        let all = self.metadata.file_metadata().num_rows();
        if rows != all {
            let message = format!("it says {all} rows, and the row groups have {rows}: the file is damaged");
            return Err(source.fault("footer", message));
        }
        Ok(())
    }

    fn group(&self, at: usize) -> Option<&RowGroupMetaData> {
        self.metadata.row_groups().get(at)
    }

    /// Bytes of the needed columns of a row group: as stored, and decompressed.
    fn group_bytes(&self, group: &RowGroupMetaData) -> (u64, u64) {
        let mut needed: Vec<usize> = self.leaves.iter().flatten().map(|leaf| leaf.index).collect();
        needed.sort_unstable();
        needed.dedup();
        let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
        needed.iter().filter_map(|&at| group.columns().get(at)).fold((0, 0), |(stored, inflated), column| {
            (stored + size(column.compressed_size()), inflated + size(column.uncompressed_size()))
        })
    }
}

const UNENDED: &str = "its lists and structures do not end where it does: the file is damaged; copy or write it again";
const CUT: &str = "the file does not end as Parquet does: it is truncated or damaged; copy or write it again";

/// What the crate says, without what every one of its errors begins with.
pub fn words(e: &ParquetError) -> String {
    let text = e.to_string();
    let mut text = text.as_str();
    for prefix in ["Parquet error: ", "EOF: ", "External: ", "Parquet argument error: "] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    text.to_owned()
}

/// Cuts a file into units of whole row groups.
pub fn units(file: &SourceFile, source: &SourceBytes, spec: &ReadSpec) -> Result<Vec<Unit>> {
    let table = Arc::new(Table::open(source, spec)?);
    let footer = Arc::new(Footer::new(Arc::clone(&table)));
    let mut units = Vec::new();
    let mut first_row = 0;
    let (mut start, mut rows, mut stored, mut inflated) = (0, 0, 0, 0);
    let groups = table.metadata.num_row_groups();
    for at in 0..groups {
        let Some(group) = table.group(at) else { break };
        let bytes = table.group_bytes(group);
        rows += u64::try_from(group.num_rows()).unwrap_or(0);
        stored += bytes.0;
        inflated += bytes.1;
        if inflated >= UNIT_BYTES || at + 1 == groups {
            units.push(Unit {
                file: file.clone(),
                first_row,
                rows: Some(rows),
                bytes: stored,
                stamp: source.stamp(),
                part: Part::Parquet(Arc::clone(&footer), start..at + 1),
            });
            first_row += rows;
            (start, rows, stored, inflated) = (at + 1, 0, 0, 0);
        }
    }
    Ok(units)
}

/// Reads row groups.
pub struct ParquetReader {
    shared: Shared,
    source: SourceBytes,
    table: Arc<Table>,
    groups: Range<usize>,
    open: Option<OpenGroup>,
    next_row: u64,
    to_skip: u64,
    /// Bytes as stored of the row groups that were opened.
    stored: u64,
    /// What the columns read under.
    bounds: Bounds,
}

struct OpenGroup {
    at: usize,
    rows: usize,
    rows_left: usize,
    /// For each column of the spec.
    leaves: Vec<Option<LeafReader>>,
    /// Rows to read at once; follows what rows measure.
    step: usize,
    /// What the condition said of the rows next in turn, as far as it has been asked.
    judged: VecDeque<Option<Row<'static>>>,
}

/// Some rows of a row group.
#[derive(Debug)]
pub struct Rows {
    table: Arc<Table>,
    /// For each column of the spec that is kept.
    columns: Vec<Option<Values>>,
    rows: usize,
    /// When the condition was judged already: what it said of each row, `None` for those whose text was read.
    verdicts: Option<Vec<Option<Row<'static>>>>,
}

impl ParquetReader {
    pub fn new(shared: Shared, source: SourceBytes, table: Arc<Table>, groups: Range<usize>, first_row: u64) -> Self {
        let bounds = Bounds { spec: Arc::clone(&shared.spec), shared: room::Shared::default() };
        Self { shared, source, table, groups, open: None, next_row: first_row, to_skip: 0, stored: 0, bounds }
    }

    fn fault(&self, group: usize, column: usize, e: &ParquetError) -> Error {
        let name = self.shared.spec.columns().get(column).map_or("", String::as_str);
        self.source.fault(format!("row group {group}, column {name}"), words(e))
    }

    /// Opens the next row group that has rows to read.
    fn open_group(&mut self) -> Result<Option<OpenGroup>> {
        while let Some(at) = self.groups.next() {
            let Some(group) = self.table.group(at) else { break };
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            self.stored += self.table.group_bytes(group).0;
            if self.to_skip >= rows {
                self.to_skip -= rows;
                self.next_row += rows;
                continue;
            }
            let skip = std::mem::take(&mut self.to_skip);
            let size = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
            let mut leaves = Vec::with_capacity(self.table.leaves.len());
            for (column, leaf) in self.table.leaves.iter().enumerate() {
                let opened = match leaf {
                    None => None,
                    Some(leaf) => {
                        let mut reader = LeafReader::open(&self.source, *leaf, group, &self.bounds)
                            .map_err(|e| self.fault(at, column, &e))?;
                        reader.skip(size(skip));
                        Some(reader)
                    }
                };
                leaves.push(opened);
            }
            self.next_row += skip;
            // A guess to start with: an eighth of a batch at the row group's mean.
            let mean = self.table.group_bytes(group).1 / rows.max(1) + 1;
            let eighth = u64::try_from(self.shared.spec.limits().batch_bytes / 8).unwrap_or(u64::MAX);
            let step = size(eighth / mean).clamp(1, 1024);
            return Ok(Some(OpenGroup {
                at,
                rows: size(rows),
                rows_left: size(rows - skip),
                leaves,
                step,
                judged: VecDeque::new(),
            }));
        }
        Ok(None)
    }

    /// A batch of rows whose condition, if there is one, looks at the text too: the worker judges.
    fn fill(&self, group: &mut OpenGroup) -> Result<Rows> {
        let budget = self.shared.spec.limits().batch_bytes.max(1);
        let mut columns: Vec<Option<Values>> =
            group.leaves.iter().map(|leaf| leaf.as_ref().map(LeafReader::values)).collect();
        let (mut rows, mut bytes) = (0, 0);
        while group.rows_left > 0 && rows < BATCH_ROWS && bytes < budget {
            // No step goes beyond a page, so a batch exceeds its budget by a page at most.
            let in_page = group.leaves.iter().flatten().map(LeafReader::rows_in_page).min().unwrap_or(usize::MAX);
            let step = group.step.min(group.rows_left).min(BATCH_ROWS - rows).min(in_page);
            for (column, (leaf, values)) in group.leaves.iter_mut().zip(&mut columns).enumerate() {
                if let (Some(leaf), Some(values)) = (leaf, values) {
                    leaf.read(step, values).map_err(|e| self.fault(group.at, column, &e))?;
                }
            }
            rows += step;
            group.rows_left -= step;
            group.follow(&columns, &mut bytes, step, budget);
        }
        Ok(Rows { table: Arc::clone(&self.table), columns, rows, verdicts: None })
    }

    /// A batch of rows that are judged before their text is read, as the condition does not look at it.
    fn fill_chosen(&self, group: &mut OpenGroup) -> Result<Rows> {
        let spec = &self.shared.spec;
        let budget = spec.limits().batch_bytes.max(1);
        let texts = spec.text_column_count();
        let mut columns: Vec<Option<Values>> =
            group.leaves.iter().take(texts).map(|leaf| leaf.as_ref().map(LeafReader::values)).collect();
        let mut verdicts = Vec::new();
        let mut bytes = 0;
        while verdicts.len() < BATCH_ROWS && bytes < budget {
            if group.judged.is_empty() {
                self.judge(group)?;
            }
            let Some(chosen) = group.judged.front().map(Option::is_none) else { break };
            let same = group.judged.iter().take_while(|verdict| verdict.is_none() == chosen).count();
            let mut run = same.min(BATCH_ROWS - verdicts.len());
            let leaves = || group.leaves.iter().take(texts).flatten();
            if chosen {
                run = run.min(group.step).min(leaves().map(LeafReader::rows_in_page).min().unwrap_or(usize::MAX));
            }
            for (column, (leaf, values)) in group.leaves.iter_mut().zip(&mut columns).enumerate() {
                if let (Some(leaf), Some(values)) = (leaf, values) {
                    if chosen {
                        leaf.read(run, values).map_err(|e| self.fault(group.at, column, &e))?;
                    } else {
                        leaf.skip(run);
                    }
                }
            }
            verdicts.extend(group.judged.drain(..run));
            group.rows_left -= run;
            if chosen {
                group.follow(&columns, &mut bytes, run, budget);
            }
        }
        Ok(Rows { table: Arc::clone(&self.table), columns, rows: verdicts.len(), verdicts: Some(verdicts) })
    }

    /// Judges some rows whose text is not yet read.
    fn judge(&self, group: &mut OpenGroup) -> Result<()> {
        let texts = self.shared.spec.text_column_count();
        let in_page = group.leaves.iter().skip(texts).flatten().map(LeafReader::rows_in_page).min();
        let step = in_page.unwrap_or(usize::MAX).min(group.rows_left).min(JUDGED_ROWS);
        let mut columns: Vec<Option<Values>> = Vec::with_capacity(group.leaves.len());
        for (column, leaf) in group.leaves.iter_mut().enumerate() {
            let read = match leaf {
                Some(leaf) if column >= texts => {
                    let mut values = leaf.values();
                    leaf.read(step, &mut values).map_err(|e| self.fault(group.at, column, &e))?;
                    Some(values)
                }
                _ => None,
            };
            columns.push(read);
        }
        let mut scratch = Vec::new();
        for row in 0..step {
            let verdict = self.shared.spec.refuse(&mut |column| value(&columns, column, row), &mut scratch);
            group.judged.push_back(verdict);
        }
        Ok(())
    }
}

impl OpenGroup {
    /// Notes what `step` rows measured, and chooses how many to read next.
    fn follow(&mut self, columns: &[Option<Values>], bytes: &mut usize, step: usize, budget: usize) {
        let total = columns.iter().flatten().map(Values::bytes).sum::<usize>();
        let mean = (total - *bytes) / step.max(1) + 1;
        *bytes = total;
        self.step = (budget / 8 / mean).clamp(1, self.step.saturating_mul(2).min(4096));
    }
}

fn value(columns: &[Option<Values>], column: usize, row: usize) -> Value<'_> {
    match columns.get(column) {
        Some(Some(values)) => values.get(row),
        _ => Value::Absent,
    }
}

impl UnitReader for ParquetReader {
    fn skip_rows(&mut self, rows: u64) -> Result<()> {
        self.to_skip += rows;
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        let left = self.open.as_ref().and_then(|open| {
            let bytes = u128::from(self.table.group_bytes(self.table.group(open.at)?).0);
            let rows = u128::try_from(open.rows.max(1)).ok()?;
            u64::try_from(bytes * u128::try_from(open.rows_left).ok()? / rows).ok()
        });
        self.stored.saturating_sub(left.unwrap_or(0))
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut group = match self.open.take() {
            Some(group) => group,
            None => match self.open_group()? {
                Some(group) => group,
                None if self.to_skip > 0 => {
                    let message = "the file ends before the row where reading was to go on: it changed";
                    return Err(self.source.fault(format!("row {}", self.next_row), message));
                }
                None => return Ok(None),
            },
        };
        let apart = self.shared.spec.filter_is_apart();
        let body = if apart { self.fill_chosen(&mut group)? } else { self.fill(&mut group)? };
        if group.rows_left > 0 {
            self.open = Some(group);
        } else {
            for (column, leaf) in group.leaves.iter_mut().enumerate() {
                if let Some(leaf) = leaf {
                    leaf.finish().map_err(|e| self.fault(group.at, column, &e))?;
                }
            }
            self.source.check_unchanged()?;
        }
        let first_row = self.next_row;
        let rows = u64::try_from(body.rows).unwrap_or(u64::MAX);
        self.next_row += rows;
        let held = self.bounds.shared.current();
        Ok(Some(self.shared.batch(first_row, rows, Body::Parquet(body)).holding(held)))
    }
}

impl Rows {
    pub fn bytes(&self) -> usize {
        self.columns.iter().flatten().map(Values::bytes).sum()
    }

    pub fn visit(
        &self,
        spec: &ReadSpec,
        first_row: u64,
        f: &mut dyn FnMut(At, Row<'_>) -> Result<()>,
    ) -> Result<Presence> {
        let mut presence = spec.presence();
        presence.note(spec, |column| self.table.leaves.get(column).is_some_and(Option::is_some));
        let mut scratch = Vec::new();
        let mut at = At { row: first_row, line: None };
        let mut read = 0;
        for row in 0..self.rows {
            let judged = self.verdicts.as_ref().map(|verdicts| verdicts.get(row).cloned().flatten());
            let result = match judged {
                Some(Some(verdict)) => verdict,
                Some(None) => {
                    read += 1;
                    spec.text(&mut |column| value(&self.columns, column, read - 1))
                }
                None => spec.read(&mut |column| value(&self.columns, column, row), &mut scratch),
            };
            f(at, result)?;
            at.row += 1;
        }
        Ok(presence)
    }
}
