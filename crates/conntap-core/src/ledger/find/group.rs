//! One row group: which rows have an address, and the values of some rows.

use std::iter::repeat_n;
use std::net::IpAddr;

use parquet::basic::ConvertedType;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::RowGroupReader;

/// Rows that are looked through at a time.
const STEP: usize = 16_384;

/// What a row has in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Signed(i64),
    Unsigned(u64),
    Bytes(Vec<u8>),
    Text(String),
}

impl Value {
    /// A number of either kind.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Signed(number) => Some(*number),
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// A row group of a file.
pub struct Group<'a>(&'a dyn RowGroupReader);

impl<'a> Group<'a> {
    pub fn new(reader: &'a dyn RowGroupReader) -> Self {
        Self(reader)
    }

    fn len(&self) -> usize {
        usize::try_from(self.0.metadata().num_rows()).unwrap_or(0)
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.0.metadata().columns().iter().position(|column| column.column_descr().name() == name)
    }

    /// The rows that have an address in a column, rising: IPv4 as a number, IPv6 as bytes.
    pub fn with_address(&self, name: &str, wanted: IpAddr) -> Result<Vec<usize>> {
        let Some(column) = self.column(name) else { return Ok(Vec::new()) };
        if !self.may_have(column, wanted) {
            return Ok(Vec::new());
        }
        match (self.0.get_column_reader(column)?, wanted) {
            // The number's bits, whatever their sign.
            (ColumnReader::Int32ColumnReader(reader), IpAddr::V4(wanted)) => {
                equal(reader, self.len(), |value| value.cast_unsigned() == wanted.to_bits())
            }
            (ColumnReader::FixedLenByteArrayColumnReader(reader), IpAddr::V6(wanted)) => {
                equal(reader, self.len(), |value| value.data() == wanted.octets())
            }
            (ColumnReader::ByteArrayColumnReader(reader), IpAddr::V6(wanted)) => {
                equal(reader, self.len(), |value| value.data() == wanted.octets())
            }
            _ => Err(of_other_type(name)),
        }
    }

    fn may_have(&self, column: usize, wanted: IpAddr) -> bool {
        let Some(told) = self.0.metadata().column(column).statistics() else { return true };
        match (told.min_bytes_opt(), told.max_bytes_opt()) {
            (Some(least), Some(most)) if !told.is_min_max_deprecated() => within(wanted, least, most),
            _ => told.null_count_opt() != u64::try_from(self.len()).ok(),
        }
    }

    /// What some rows, rising, have in a column.
    pub fn values(&self, name: &str, rows: &[usize]) -> Result<Vec<Value>> {
        let Some(column) = self.column(name) else { return Ok(vec![Value::Null; rows.len()]) };
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let description = self.0.metadata().column(column).column_descr_ptr();
        let unsigned = matches!(
            description.converted_type(),
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
        );
        let text = description.converted_type() == ConvertedType::UTF8;
        match self.0.get_column_reader(column)? {
            ColumnReader::Int32ColumnReader(reader) => some::<Int32Type>(reader, rows, |value| match unsigned {
                true => Value::Unsigned(u64::from(value.cast_unsigned())),
                false => Value::Signed(i64::from(value)),
            }),
            ColumnReader::Int64ColumnReader(reader) => some::<Int64Type>(reader, rows, |value| match unsigned {
                true => Value::Unsigned(value.cast_unsigned()),
                false => Value::Signed(value),
            }),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                some::<FixedLenByteArrayType>(reader, rows, |value| Value::Bytes(value.data().to_vec()))
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                some::<ByteArrayType>(reader, rows, |value: ByteArray| match text {
                    true => Value::Text(String::from_utf8_lossy(value.data()).into_owned()),
                    false => Value::Bytes(value.data().to_vec()),
                })
            }
            _ => Err(of_other_type(name)),
        }
    }

    /// What some rows have in several columns, by row.
    pub fn rows(&self, columns: &[&str], rows: &[usize]) -> Result<Vec<Vec<Value>>> {
        let mut made = vec![Vec::with_capacity(columns.len()); rows.len()];
        for name in columns {
            for (row, value) in made.iter_mut().zip(self.values(name, rows)?) {
                row.push(value);
            }
        }
        Ok(made)
    }
}

/// Does an address lie between a column's least and most, as statistics have them?
fn within(wanted: IpAddr, least: &[u8], most: &[u8]) -> bool {
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
    match wanted {
        IpAddr::V4(wanted) => {
            let wanted = wanted.to_bits();
            number(least).is_none_or(|least| least <= wanted) && number(most).is_none_or(|most| wanted <= most)
        }
        IpAddr::V6(wanted) => (least..=most).contains(&wanted.octets().as_slice()),
    }
}

/// The rows whose value is wanted; null is no value.
fn equal<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    len: usize,
    wanted: impl Fn(&T::T) -> bool,
) -> Result<Vec<usize>> {
    let (mut levels, mut values, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = 0_usize;
    while first < len {
        levels.clear();
        values.clear();
        let (read, _, _) = reader.read_records(STEP, Some(&mut levels), None, &mut values)?;
        if read == 0 {
            return Err(too_short());
        }
        let rows = first..first.saturating_add(read);
        first = rows.end;
        if levels.is_empty() || values.len() == read {
            found.extend(rows.zip(&values).filter(|(_, value)| wanted(value)).map(|(row, _)| row));
        } else {
            let there = rows.zip(&levels).filter(|(_, level)| **level > 0).map(|(row, _)| row);
            found.extend(there.zip(&values).filter(|(_, value)| wanted(value)).map(|(row, _)| row));
        }
    }
    Ok(found)
}

/// The values of some rows; pages between them are passed over.
fn some<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: &[usize],
    value_of: impl Fn(T::T) -> Value,
) -> Result<Vec<Value>> {
    let mut found = Vec::with_capacity(rows.len());
    let mut at = 0_usize;
    for run in rows.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
        let first = run.first().copied().unwrap_or(at);
        let over = first.saturating_sub(at);
        if reader.skip_records(over)? != over {
            return Err(too_short());
        }
        let mut left = run.len();
        while left > 0 {
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            let (read, _, _) = reader.read_records(left, Some(&mut levels), None, &mut values)?;
            if read == 0 {
                return Err(too_short());
            }
            left = left.saturating_sub(read);
            let mut values = values.into_iter();
            if levels.is_empty() {
                levels.extend(repeat_n(1, read)); // a column that is never null
            }
            for level in levels {
                let value = if level > 0 { values.next() } else { None };
                found.push(value.map_or(Value::Null, &value_of));
            }
        }
        at = first.saturating_add(run.len());
    }
    Ok(found)
}

fn too_short() -> ParquetError {
    ParquetError::General("a column has fewer rows than its row group".into())
}

fn of_other_type(name: &str) -> ParquetError {
    ParquetError::General(format!("column {name} has a type that no segment's has"))
}
