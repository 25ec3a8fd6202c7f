//! Columns of lists of ids: a row's list from an Arrow array, and Parquet files read as Arrow for their sake.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, PrimitiveArray, StructArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Int16Type, Int32Type, Int64Type, SchemaRef, UInt16Type, UInt32Type, UInt64Type,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::contain::contain;
use super::footer::Footer;
use super::ipc::{Layout, Slice};
use super::pages::{self, Bounds};
use super::room::{self, Held};
use super::source::SourceBytes;
use super::{Batch, Body, Part, ReadSpec, Shared, Unit, UnitReader};
use crate::curriculum::resolved::SourceFile;
use crate::{Error, Result};

/// Bytes of needed columns, decompressed, at which a unit is full.
const UNIT_BYTES: u64 = 32 << 20;
/// Most rows in a batch.
const BATCH_ROWS: u64 = 1 << 14;

/// The ids of a row, `path` leading from `array` through structs. `Err` says why there are none.
pub fn ids(array: &dyn Array, path: &[usize], row: usize, out: &mut Vec<u32>) -> Result<(), String> {
    out.clear();
    if array.is_null(row) {
        return Err("the column of ids is null here".to_owned());
    }
    if let Some((&field, rest)) = path.split_first() {
        return match array.as_any().downcast_ref::<StructArray>() {
            Some(outer) if field < outer.num_columns() => ids(outer.column(field).as_ref(), rest, row, out),
            _ => Err("there is no column of ids here".to_owned()),
        };
    }
    let list = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        other => return Err(format!("the column of ids holds {other}, no lists of whole numbers")),
    };
    if list.null_count() > 0 {
        return Err("one of its ids is null".to_owned());
    }
    match list.data_type() {
        DataType::UInt16 => numbers::<UInt16Type>(&list, out),
        DataType::Int16 => numbers::<Int16Type>(&list, out),
        DataType::UInt32 => numbers::<UInt32Type>(&list, out),
        DataType::Int32 => numbers::<Int32Type>(&list, out),
        DataType::UInt64 => numbers::<UInt64Type>(&list, out),
        DataType::Int64 => numbers::<Int64Type>(&list, out),
        other => Err(format!("the column of ids holds lists of {other}, not of whole numbers")),
    }
}

fn numbers<T>(list: &dyn Array, out: &mut Vec<u32>) -> Result<(), String>
where
    T: ArrowPrimitiveType,
    T::Native: Copy + std::fmt::Display,
    u32: TryFrom<T::Native>,
{
    let Some(list) = list.as_any().downcast_ref::<PrimitiveArray<T>>() else { return Ok(()) };
    for &number in list.values() {
        out.push(u32::try_from(number).map_err(|_| format!("{number} is no id"))?);
    }
    Ok(())
}

/// A Parquet file's footer, and where the needed columns are.
pub struct Table {
    metadata: ArrowReaderMetadata,
    layout: Arc<Layout>,
    mask: ProjectionMask,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl Table {
    /// Reads the footer.
    pub fn open(source: &SourceBytes, spec: &ReadSpec) -> Result<Self> {
        let no = |message: String| source.fault("footer", message);
        let metadata = contain(|| ArrowReaderMetadata::load(source, ArrowReaderOptions::new()));
        let metadata = metadata.map_err(no)?.map_err(|error| no(error.to_string()))?;
        let schema: &SchemaRef = metadata.schema();
        let layout = Layout::new(schema.as_ref().clone(), spec);
        let roots = layout.projection().to_vec();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        Ok(Self { layout: Arc::new(layout), mask, metadata })
    }

    /// Rows and bytes of the needed columns of a row group, decompressed.
    fn group(&self, at: usize) -> (u64, u64) {
        let Some(group) = self.metadata.metadata().row_groups().get(at) else { return (0, 0) };
        let needed = group.columns().iter().enumerate().filter(|(leaf, _)| self.mask.leaf_included(*leaf));
        let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
        (size(group.num_rows()), needed.map(|(_, column)| size(column.uncompressed_size())).sum())
    }
}

/// Cuts a Parquet file into units of whole row groups.
pub fn units(file: &SourceFile, source: &SourceBytes, spec: &ReadSpec) -> Result<Vec<Unit>> {
    let table = Arc::new(Table::open(source, spec)?);
    let footer = Arc::new(Footer::new(Arc::clone(&table)));
    let groups = table.metadata.metadata().num_row_groups();
    let mut units = Vec::new();
    let (mut start, mut first_row, mut rows, mut bytes) = (0, 0, 0, 0);
    for at in 0..groups {
        let (group_rows, group_bytes) = table.group(at);
        rows += group_rows;
        bytes += group_bytes;
        if bytes >= UNIT_BYTES || at + 1 == groups {
            let (file, stamp) = (file.clone(), source.stamp());
            let part = Part::Lists(Arc::clone(&footer), start..at + 1);
            units.push(Unit { file, first_row, rows: Some(rows), bytes, stamp, part });
            first_row += rows;
            (start, rows, bytes) = (at + 1, 0, 0);
        }
    }
    Ok(units)
}

/// Reads lists of ids from Parquet.
pub struct ListsReader {
    shared: Shared,
    source: SourceBytes,
    table: Arc<Table>,
    groups: Range<usize>,
    reader: Option<ParquetRecordBatchReader>,
    /// Bytes of a row of the current row group, on average.
    mean: u64,
    next_row: u64,
    to_skip: u64,
    stored: u64,
    /// Memory's room, when the row group has large pages.
    held: Option<Held>,
}

impl ListsReader {
    pub fn new(shared: Shared, source: SourceBytes, table: Arc<Table>, groups: Range<usize>, first_row: u64) -> Self {
        let (reader, held) = (None, None);
        Self { shared, source, table, groups, reader, mean: 1, next_row: first_row, to_skip: 0, stored: 0, held }
    }

    fn fault(&self, message: impl Into<String>) -> Error {
        self.source.fault(format!("row {}", self.next_row), message)
    }

    /// Opens the next row group that has rows to read; `false` when there is none.
    fn open(&mut self) -> Result<bool> {
        while let Some(at) = self.groups.next() {
            let (rows, bytes) = self.table.group(at);
            self.stored += bytes;
            if self.to_skip >= rows {
                self.to_skip -= rows;
                self.next_row += rows;
                continue;
            }
            self.mean = bytes / rows.max(1) + 1;
            // The reader below trusts the pages' headers: look at them first.
            self.held = None;
            let bounds = Bounds { spec: Arc::clone(&self.shared.spec), shared: room::Shared::default() };
            let metadata = self.table.metadata.metadata();
            let columns = metadata.row_groups().get(at).map(|group| group.columns()).unwrap_or_default();
            let needed = columns.iter().enumerate().filter(|(leaf, _)| self.table.mask.leaf_included(*leaf));
            let group_rows = usize::try_from(rows).unwrap_or(usize::MAX);
            let mut largest = 0;
            for (_, column) in needed {
                let found = contain(|| pages::largest(&self.source, column, group_rows, &bounds));
                let found =
                    found.map_err(|e| self.fault(e))?.map_err(|error| self.fault(super::parquet::words(&error)))?;
                largest = largest.max(found);
            }
            self.shared.spec.enter(largest, &mut self.held);
            let share = u64::try_from(self.shared.spec.limits().batch_bytes).unwrap_or(u64::MAX) / self.mean;
            let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            let skip = std::mem::take(&mut self.to_skip);
            let reader = contain(|| {
                ParquetRecordBatchReaderBuilder::new_with_metadata(self.source.clone(), self.table.metadata.clone())
                    .with_projection(self.table.mask.clone())
                    .with_row_groups(vec![at])
                    .with_batch_size(size(share.clamp(1, BATCH_ROWS)))
                    .with_offset(size(skip))
                    .build()
            });
            self.next_row += skip;
            self.reader = Some(reader.map_err(|e| self.fault(e))?.map_err(|error| self.fault(error.to_string()))?);
            return Ok(true);
        }
        Ok(false)
    }
}

impl UnitReader for ListsReader {
    fn skip_rows(&mut self, rows: u64) -> Result<()> {
        self.to_skip += rows;
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        self.stored
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        loop {
            let Some(reader) = &mut self.reader else {
                if self.open()? {
                    continue;
                }
                if self.to_skip > 0 {
                    return Err(self.fault("the file ends before the row where reading was to go on: it changed"));
                }
                self.source.check_unchanged()?;
                return Ok(None);
            };
            let Some(batch) = contain(|| reader.next()).map_err(|e| self.fault(e))? else {
                self.reader = None;
                continue;
            };
            let batch = batch.map_err(|error| self.fault(error.to_string()))?;
            let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
            let bytes = usize::try_from(rows.saturating_mul(self.mean)).unwrap_or(usize::MAX);
            let body = Body::Arrow(Slice::new(batch, Arc::clone(&self.table.layout), bytes));
            let first = self.next_row;
            self.next_row += rows;
            return Ok(Some(self.shared.batch(first, rows, body).holding(self.held.clone())));
        }
    }
}
