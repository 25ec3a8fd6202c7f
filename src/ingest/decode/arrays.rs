//! Values of Arrow arrays.

use arrow::array::{
    Array, AsArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, GenericBinaryArray, GenericStringArray,
    OffsetSizeTrait, PrimitiveArray, StringViewArray, StructArray,
};
use arrow::datatypes::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, Fields, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use std::borrow::Cow;

use super::scalar;
use super::value::Value;

/// Finds a column by its name: a field of that very name, else the path that its dots say. `None` when there is none.
/// Where names repeat the last one counts, as in JSON.
pub fn find(fields: &Fields, name: &str) -> Option<Vec<usize>> {
    let last = |fields: &Fields, key: &str| fields.iter().rposition(|field| field.name() == key);
    if let Some(at) = last(fields, name) {
        return Some(vec![at]);
    }
    let mut path = Vec::new();
    let mut fields = fields;
    let mut keys = name.split('.').peekable();
    while let Some(key) = keys.next() {
        let at = last(fields, key)?;
        path.push(at);
        if keys.peek().is_some() {
            let DataType::Struct(inner) = fields.get(at)?.data_type() else { return None };
            fields = inner;
        }
    }
    Some(path)
}

/// The value of a row, `path` leading from `array` through structs.
pub fn value<'a>(array: &'a dyn Array, path: &[usize], row: usize) -> Value<'a> {
    if array.is_null(row) {
        return Value::Null;
    }
    match path.split_first() {
        None => plain(array, row).unwrap_or(Value::Other("of a type that is not read")),
        Some((&field, rest)) => match array.as_any().downcast_ref::<StructArray>() {
            Some(outer) if field < outer.num_columns() => value(outer.column(field).as_ref(), rest, row),
            _ => Value::Absent,
        },
    }
}

fn plain(array: &dyn Array, row: usize) -> Option<Value<'_>> {
    Some(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Utf8 => string::<i32>(array, row)?,
        DataType::LargeUtf8 => string::<i64>(array, row)?,
        DataType::Utf8View => Value::Text(Cow::Borrowed(array.as_any().downcast_ref::<StringViewArray>()?.value(row))),
        DataType::Binary => bytes::<i32>(array, row)?,
        DataType::LargeBinary => bytes::<i64>(array, row)?,
        DataType::BinaryView => Value::Bytes(array.as_any().downcast_ref::<BinaryViewArray>()?.value(row)),
        DataType::FixedSizeBinary(_) => Value::Bytes(array.as_any().downcast_ref::<FixedSizeBinaryArray>()?.value(row)),
        DataType::Boolean => Value::Boolean(array.as_any().downcast_ref::<BooleanArray>()?.value(row)),
        DataType::Int8 => Value::whole(native::<Int8Type>(array, row)?),
        DataType::Int16 => Value::whole(native::<Int16Type>(array, row)?),
        DataType::Int32 => Value::whole(native::<Int32Type>(array, row)?),
        DataType::Int64 => Value::whole(native::<Int64Type>(array, row)?),
        DataType::UInt8 => Value::whole(native::<UInt8Type>(array, row)?),
        DataType::UInt16 => Value::whole(native::<UInt16Type>(array, row)?),
        DataType::UInt32 => Value::whole(native::<UInt32Type>(array, row)?),
        DataType::UInt64 => Value::whole(native::<UInt64Type>(array, row)?),
        DataType::Float16 => scalar::half(native::<Float16Type>(array, row)?.to_bits()),
        DataType::Float32 => Value::real(f64::from(native::<Float32Type>(array, row)?)),
        DataType::Float64 => Value::real(native::<Float64Type>(array, row)?),
        DataType::Decimal32(_, scale) => {
            scalar::decimal(i128::from(native::<Decimal32Type>(array, row)?), i32::from(*scale))
        }
        DataType::Decimal64(_, scale) => {
            scalar::decimal(i128::from(native::<Decimal64Type>(array, row)?), i32::from(*scale))
        }
        DataType::Decimal128(_, scale) => scalar::decimal(native::<Decimal128Type>(array, row)?, i32::from(*scale)),
        DataType::Decimal256(_, scale) => {
            scalar::decimal_bytes(&native::<Decimal256Type>(array, row)?.to_be_bytes(), i32::from(*scale))
        }
        DataType::Date32 => scalar::date(i64::from(native::<Date32Type>(array, row)?)),
        DataType::Date64 => scalar::date(native::<Date64Type>(array, row)?.div_euclid(86_400_000)),
        DataType::Timestamp(TimeUnit::Second, _) => scalar::instant(native::<TimestampSecondType>(array, row)?, 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            scalar::instant(native::<TimestampMillisecondType>(array, row)?, 1_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            scalar::instant(native::<TimestampMicrosecondType>(array, row)?, 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            scalar::instant(native::<TimestampNanosecondType>(array, row)?, 1_000_000_000)
        }
        DataType::Dictionary(key, _) => match key.as_ref() {
            DataType::Int8 => entry::<Int8Type>(array, row)?,
            DataType::Int16 => entry::<Int16Type>(array, row)?,
            DataType::Int32 => entry::<Int32Type>(array, row)?,
            DataType::Int64 => entry::<Int64Type>(array, row)?,
            DataType::UInt8 => entry::<UInt8Type>(array, row)?,
            DataType::UInt16 => entry::<UInt16Type>(array, row)?,
            DataType::UInt32 => entry::<UInt32Type>(array, row)?,
            DataType::UInt64 => entry::<UInt64Type>(array, row)?,
            _ => return None,
        },
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeList(..) => Value::Other("a list"),
        DataType::Struct(_) | DataType::Map(..) => Value::Other("an object"),
        DataType::Time32(_) | DataType::Time64(_) => Value::Other("a time of day"),
        DataType::Interval(_) | DataType::Duration(_) => Value::Other("an interval"),
        _ => return None,
    })
}

fn native<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Option<T::Native> {
    array.as_any().downcast_ref::<PrimitiveArray<T>>().map(|array| array.value(row))
}

fn string<O: OffsetSizeTrait>(array: &dyn Array, row: usize) -> Option<Value<'_>> {
    let array = array.as_any().downcast_ref::<GenericStringArray<O>>()?;
    Some(Value::Text(Cow::Borrowed(array.value(row))))
}

fn bytes<O: OffsetSizeTrait>(array: &dyn Array, row: usize) -> Option<Value<'_>> {
    Some(Value::Bytes(array.as_any().downcast_ref::<GenericBinaryArray<O>>()?.value(row)))
}

fn entry<K: ArrowDictionaryKeyType>(array: &dyn Array, row: usize) -> Option<Value<'_>> {
    let dictionary = array.as_dictionary_opt::<K>()?;
    Some(value(dictionary.values().as_ref(), &[], dictionary.key(row)?))
}
