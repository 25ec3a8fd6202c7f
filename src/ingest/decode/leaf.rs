//! One needed column of a Parquet file: where it lies in the schema, and its values as they are read.
//!
//! Values are taken from pages as they stand: a string is a slice of its page, and no page is decoded twice or into
//! another layout first.

use std::ops::Deref;
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::schema::types::{SchemaDescriptor, Type};

use super::contain::contain;
use super::pages::{BoundedPages, Bounds, Progress};
use super::scalar;
use super::source::SourceBytes;
use super::value::Value;

/// Where a column lies, and what its values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// Index of the leaf column that is read.
    pub index: usize,
    /// Definition level from which on the column is not null.
    defined: i16,
    /// Whether one row may have several levels.
    repeated: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Signed,
    Unsigned,
    Real,
    Half,
    Bytes,
    Decimal(i32),
    Date,
    /// Ticks a second.
    Instant(i64),
    /// Neither text, number nor boolean.
    Other(&'static str),
}

impl Leaf {
    /// Whether one row may have several levels, so that a chunk has more of them than rows.
    pub fn is_repeated(&self) -> bool {
        self.repeated
    }
}

/// Finds a column by its name: a field of that very name, else the path that its dots say. `None` when the file has none.
/// Where names repeat the last one counts, as in JSON.
pub fn find(schema: &SchemaDescriptor, name: &str) -> Option<Leaf> {
    let root = schema.root_schema();
    if let Some(leaf) = walk(root, &mut std::iter::once(name), Place::default()) {
        return Some(leaf);
    }
    if name.contains('.') { walk(root, &mut name.split('.'), Place::default()) } else { None }
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    leaf: usize,
    level: i16,
}

fn walk(group: &Type, path: &mut dyn Iterator<Item = &str>, at: Place) -> Option<Leaf> {
    let key = path.next()?;
    let mut leaf = at.leaf;
    let mut found = None;
    for field in group.get_fields() {
        if field.name() == key {
            found = Some((field, leaf));
        }
        leaf += leaves(field);
    }
    let (field, leaf) = found?;
    let info = field.get_basic_info();
    let repetition = if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED };
    let here = Place { leaf, level: at.level + i16::from(repetition != Repetition::REQUIRED) };
    let mut rest = path.peekable();
    if rest.peek().is_some() {
        let is_plain = !is_list(field) && !is_map(field) && repetition != Repetition::REPEATED;
        return if field.is_group() && is_plain { walk(field, &mut rest, here) } else { None };
    }
    let kind = if repetition == Repetition::REPEATED || is_list(field) {
        Kind::Other("a list")
    } else if field.is_group() {
        Kind::Other("an object")
    } else {
        kind_of(field)
    };
    let repeated = repetition == Repetition::REPEATED || (field.is_group() && has_repeated_first_leaf(field));
    Some(Leaf { index: leaf, defined: here.level, repeated, kind })
}

fn leaves(field: &Type) -> usize {
    if field.is_group() { field.get_fields().iter().map(|field| leaves(field)).sum() } else { 1 }
}

fn has_repeated_first_leaf(field: &Type) -> bool {
    let info = field.get_basic_info();
    let repeats = info.has_repetition() && info.repetition() == Repetition::REPEATED;
    repeats || (field.is_group() && field.get_fields().first().is_some_and(|field| has_repeated_first_leaf(field)))
}

fn is_list(field: &Type) -> bool {
    let info = field.get_basic_info();
    info.logical_type_ref() == Some(&LogicalType::List) || info.converted_type() == ConvertedType::LIST
}

fn is_map(field: &Type) -> bool {
    let info = field.get_basic_info();
    info.logical_type_ref() == Some(&LogicalType::Map)
        || matches!(info.converted_type(), ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE)
}

fn kind_of(field: &Type) -> Kind {
    let info = field.get_basic_info();
    let physical = field.get_physical_type();
    match info.logical_type_ref() {
        Some(LogicalType::Unknown) => return Kind::Null,
        Some(LogicalType::Decimal(decimal)) => return Kind::Decimal(decimal.scale),
        Some(LogicalType::Date) => return Kind::Date,
        Some(LogicalType::Time(_)) => return Kind::Other("a time of day"),
        Some(LogicalType::Timestamp(stamp)) => {
            return Kind::Instant(match stamp.unit {
                TimeUnit::MILLIS => 1_000,
                TimeUnit::MICROS => 1_000_000,
                TimeUnit::NANOS => 1_000_000_000,
            });
        }
        Some(LogicalType::Integer(integer)) if !integer.is_signed => return Kind::Unsigned,
        Some(LogicalType::Float16) => return Kind::Half,
        Some(LogicalType::Uuid) => return Kind::Other("a UUID"),
        _ => {}
    }
    match info.converted_type() {
        ConvertedType::DECIMAL => return Kind::Decimal(field.get_scale()),
        ConvertedType::DATE => return Kind::Date,
        ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS => return Kind::Other("a time of day"),
        ConvertedType::TIMESTAMP_MILLIS => return Kind::Instant(1_000),
        ConvertedType::TIMESTAMP_MICROS => return Kind::Instant(1_000_000),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
            return Kind::Unsigned;
        }
        ConvertedType::INTERVAL => return Kind::Other("an interval"),
        _ => {}
    }
    match physical {
        Physical::BOOLEAN => Kind::Boolean,
        Physical::INT32 | Physical::INT64 => Kind::Signed,
        Physical::INT96 => Kind::Instant(1_000_000_000),
        Physical::FLOAT | Physical::DOUBLE => Kind::Real,
        Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => Kind::Bytes,
    }
}

/// Values of some rows of a column.
#[derive(Debug)]
pub struct Values {
    kind: Kind,
    store: Store,
    /// For each row, where its value is; `None` when every row has one.
    slots: Option<Vec<u32>>,
    /// Bytes of the strings.
    bytes: usize,
}

const NULL: u32 = u32::MAX;

#[derive(Debug)]
enum Store {
    Boolean(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<Int96>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

impl Values {
    /// Bytes of all strings read so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The value of a row, counted from the first that was read into these.
    pub fn get(&self, row: usize) -> Value<'_> {
        let at = match &self.slots {
            None => row,
            Some(slots) => match slots.get(row) {
                Some(&NULL) | None => return Value::Null,
                Some(&slot) => usize::try_from(slot).unwrap_or(usize::MAX),
            },
        };
        if let Kind::Other(what) = self.kind {
            return Value::Other(what);
        }
        self.stored(at).unwrap_or(Value::Null)
    }

    fn stored(&self, at: usize) -> Option<Value<'_>> {
        Some(match &self.store {
            Store::Boolean(all) => Value::Boolean(*all.get(at)?),
            Store::Int32(all) => {
                let value = *all.get(at)?;
                match self.kind {
                    Kind::Unsigned => Value::whole(value.cast_unsigned()),
                    kind => integer(kind, i64::from(value)),
                }
            }
            Store::Int64(all) => {
                let value = *all.get(at)?;
                match self.kind {
                    Kind::Unsigned => Value::whole(value.cast_unsigned()),
                    kind => integer(kind, value),
                }
            }
            Store::Int96(all) => scalar::instant(all.get(at)?.to_micros(), 1_000_000),
            Store::Float(all) => Value::real(f64::from(*all.get(at)?)),
            Store::Double(all) => Value::real(*all.get(at)?),
            Store::Bytes(all) => binary(self.kind, all.get(at)?.data()),
            Store::Fixed(all) => binary(self.kind, all.get(at)?.data()),
        })
    }
}

fn integer<'a>(kind: Kind, value: i64) -> Value<'a> {
    match kind {
        Kind::Null => Value::Null,
        Kind::Date => scalar::date(value),
        Kind::Instant(per_second) => scalar::instant(value, per_second),
        Kind::Decimal(scale) => scalar::decimal(i128::from(value), scale),
        _ => Value::whole(value),
    }
}

fn binary(kind: Kind, bytes: &[u8]) -> Value<'_> {
    match (kind, bytes) {
        (Kind::Null, _) => Value::Null,
        (Kind::Decimal(scale), _) => scalar::decimal_bytes(bytes, scale),
        (Kind::Half, &[low, high]) => scalar::half(u16::from_le_bytes([low, high])),
        _ => Value::Bytes(bytes),
    }
}

/// Reads one column of one row group.
pub struct LeafReader {
    leaf: Leaf,
    reader: ColumnReader,
    progress: Arc<Progress>,
    taken: u64,
    to_skip: usize,
    max_page: u64,
    nullable: bool,
    levels: Vec<i16>,
    repetitions: Vec<i16>,
}

impl LeafReader {
    /// Opens the column in a row group.
    pub fn open(source: &SourceBytes, leaf: Leaf, group: &RowGroupMetaData, bounds: &Bounds) -> Result<Self> {
        let descriptor = group.schema_descr().column(leaf.index);
        let rows = usize::try_from(group.num_rows()).map_err(|e| ParquetError::General(e.to_string()))?;
        let progress = Arc::new(Progress::default());
        let nullable = descriptor.max_def_level() > 0;
        let reader = decoded(|| {
            let pages = BoundedPages::new(source, group.column(leaf.index), rows, bounds, Arc::clone(&progress))?;
            Ok(get_column_reader(descriptor, Box::new(pages)))
        })?;
        Ok(Self {
            leaf,
            reader,
            progress,
            taken: 0,
            to_skip: 0,
            max_page: bounds.spec.limits().max_page_bytes,
            nullable,
            levels: Vec::new(),
            repetitions: Vec::new(),
        })
    }

    /// An empty store for its values.
    pub fn values(&self) -> Values {
        let store = match &self.reader {
            ColumnReader::BoolColumnReader(_) => Store::Boolean(Vec::new()),
            ColumnReader::Int32ColumnReader(_) => Store::Int32(Vec::new()),
            ColumnReader::Int64ColumnReader(_) => Store::Int64(Vec::new()),
            ColumnReader::Int96ColumnReader(_) => Store::Int96(Vec::new()),
            ColumnReader::FloatColumnReader(_) => Store::Float(Vec::new()),
            ColumnReader::DoubleColumnReader(_) => Store::Double(Vec::new()),
            ColumnReader::ByteArrayColumnReader(_) => Store::Bytes(Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(_) => Store::Fixed(Vec::new()),
        };
        let slots = (self.nullable || self.leaf.repeated).then(Vec::new);
        Values { kind: self.leaf.kind, store, slots, bytes: 0 }
    }

    /// Rows that can be read at once within bounds: no further than the current page, and where its values share prefixes
    /// no more than can be spelt out. At least 1, so that reading goes on.
    pub fn rows_in_page(&self) -> usize {
        // How many values a row has is not known, and all of a row's are read at once.
        if self.leaf.repeated {
            return 1;
        }
        let to_skip = u64::try_from(self.to_skip).unwrap_or(u64::MAX);
        let mut left = self.progress.values().saturating_sub(self.taken).saturating_sub(to_skip);
        if let Some(longest) = self.progress.longest_shared() {
            left = left.min(self.max_page / longest);
        }
        usize::try_from(left).unwrap_or(usize::MAX).max(1)
    }

    /// Reads exactly `rows` more rows.
    pub fn read(&mut self, rows: usize, values: &mut Values) -> Result<()> {
        let read = self.read_up_to(rows, values)?;
        if read != rows {
            return Err(ParquetError::General(format!("the column ends {} rows before its row group", rows - read)));
        }
        Ok(())
    }

    fn read_up_to(&mut self, rows: usize, values: &mut Values) -> Result<usize> {
        self.skip_now()?;
        self.levels.clear();
        self.repetitions.clear();
        let (reader, levels, repetitions) = (&mut self.reader, &mut self.levels, &mut self.repetitions);
        let before = values.store.len();
        let read = decoded(|| match (reader, &mut values.store) {
            (ColumnReader::BoolColumnReader(reader), Store::Boolean(store)) => {
                take(reader, rows, levels, repetitions, store)
            }
            (ColumnReader::Int32ColumnReader(reader), Store::Int32(store)) => {
                take(reader, rows, levels, repetitions, store)
            }
            (ColumnReader::Int64ColumnReader(reader), Store::Int64(store)) => {
                take(reader, rows, levels, repetitions, store)
            }
            (ColumnReader::Int96ColumnReader(reader), Store::Int96(store)) => {
                take(reader, rows, levels, repetitions, store)
            }
            (ColumnReader::FloatColumnReader(reader), Store::Float(store)) => {
                take(reader, rows, levels, repetitions, store)
            }
            (ColumnReader::DoubleColumnReader(reader), Store::Double(store)) => {
                take(reader, rows, levels, repetitions, store)
            }
            (ColumnReader::ByteArrayColumnReader(reader), Store::Bytes(store)) => {
                let read = take(reader, rows, levels, repetitions, store)?;
                values.bytes += size_of_all(store.iter().skip(before))?;
                Ok(read)
            }
            (ColumnReader::FixedLenByteArrayColumnReader(reader), Store::Fixed(store)) => {
                let read = take(reader, rows, levels, repetitions, store)?;
                values.bytes += size_of_all(store.iter().skip(before).map(Deref::deref))?;
                Ok(read)
            }
            _ => Err(ParquetError::General("the column changed its type between row groups".to_owned())),
        })?;
        self.taken += u64::try_from(read).unwrap_or(0);
        self.fill_slots(before, values)?;
        Ok(read)
    }

    /// Notes where the values of the rows just read are. Values start at `before` in the store.
    fn fill_slots(&self, before: usize, values: &mut Values) -> Result<()> {
        let Some(slots) = &mut values.slots else { return Ok(()) };
        if matches!(self.leaf.kind, Kind::Other(_)) {
            // Only whether the row has one matters: its first level says so, and the values go.
            let starts = |at: usize| self.repetitions.get(at).is_none_or(|&repetition| repetition == 0);
            let firsts = self.levels.iter().enumerate().filter(|&(at, _)| starts(at));
            slots.extend(firsts.map(|(_, &level)| if level >= self.leaf.defined { 0 } else { NULL }));
            values.store.clear();
            return Ok(());
        }
        let mut next = u32::try_from(before).ok().filter(|&at| at < NULL - (1 << 24));
        for &level in &self.levels {
            let Some(at) = next.as_mut() else {
                return Err(ParquetError::General("more rows in a batch than can be numbered".to_owned()));
            };
            if level >= self.leaf.defined {
                slots.push(*at);
                *at += 1;
            } else {
                slots.push(NULL);
            }
        }
        Ok(())
    }

    /// Passes over rows. They are passed over only when a row after them is read, all at once, so that pages without a
    /// wanted row are not inflated.
    pub fn skip(&mut self, rows: usize) {
        self.to_skip += rows;
    }

    fn skip_now(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.to_skip);
        if rows == 0 {
            return Ok(());
        }
        let reader = &mut self.reader;
        let skipped = decoded(|| match reader {
            ColumnReader::BoolColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int32ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int64ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int96ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::FloatColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::DoubleColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::ByteArrayColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => reader.skip_records(rows),
        })?;
        self.taken += u64::try_from(skipped).unwrap_or(0);
        if skipped != rows {
            return Err(ParquetError::General(format!("the column ends {} rows before its row group", rows - skipped)));
        }
        Ok(())
    }

    /// Makes sure that the column ends with its row group.
    pub fn finish(&mut self) -> Result<()> {
        let mut rest = self.values();
        if self.read_up_to(1, &mut rest)? != 0 {
            return Err(ParquetError::General("the column has more rows than its row group".to_owned()));
        }
        Ok(())
    }
}

impl Store {
    fn len(&self) -> usize {
        match self {
            Self::Boolean(all) => all.len(),
            Self::Int32(all) => all.len(),
            Self::Int64(all) => all.len(),
            Self::Int96(all) => all.len(),
            Self::Float(all) => all.len(),
            Self::Double(all) => all.len(),
            Self::Bytes(all) => all.len(),
            Self::Fixed(all) => all.len(),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Boolean(all) => all.clear(),
            Self::Int32(all) => all.clear(),
            Self::Int64(all) => all.clear(),
            Self::Int96(all) => all.clear(),
            Self::Float(all) => all.clear(),
            Self::Double(all) => all.clear(),
            Self::Bytes(all) => all.clear(),
            Self::Fixed(all) => all.clear(),
        }
    }
}

/// Runs a decoder, whose panics are errors.
fn decoded<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    contain(decode).unwrap_or_else(|what| Err(ParquetError::General(what)))
}

/// Bytes of strings. A damaged page can leave values unset, which may not be looked into.
fn size_of_all<'v>(values: impl Iterator<Item = &'v ByteArray>) -> Result<usize> {
    let unset = ByteArray::new();
    let mut bytes = 0;
    for value in values {
        if *value == unset {
            return Err(ParquetError::General("a value is missing: the page is damaged".to_owned()));
        }
        bytes += value.len();
    }
    Ok(bytes)
}

fn take<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    levels: &mut Vec<i16>,
    repetitions: &mut Vec<i16>,
    store: &mut Vec<T::T>,
) -> Result<usize> {
    let (records, _, _) = reader.read_records(rows, Some(levels), Some(repetitions), store)?;
    Ok(records)
}
