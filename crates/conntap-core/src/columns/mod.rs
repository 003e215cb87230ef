//! Rows as columns, in the memory layout of Arrow but without depending on it: the binding hands them on as they are.
//!
//! A column allocates nothing until a row has its field; what no row of a batch has costs nothing.

pub mod fields;
pub mod visit;

use std::net::IpAddr;

pub use fields::{COUNT, FIELDS, Field};
pub use visit::{Value, visit};

use crate::batch::{Batch, Row};
use crate::model::Content;
use crate::wire::Message;

/// The type of a field's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    U8,
    U16,
    U32,
    U64,
    I32,
    /// Nanoseconds since the epoch, i64.
    Time,
    /// 16 bytes, IPv4 mapped.
    Address,
    /// 16 bytes.
    Labels,
    Text,
}

/// The values of one column. Rows that lack the field hold zero (or nothing, for texts).
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    I32(Vec<i32>),
    Time(Vec<i64>),
    Bytes16(Vec<[u8; 16]>),
    /// Offsets (one more than rows) and bytes, valid UTF-8.
    Text(Vec<i32>, Vec<u8>),
}

/// One column: values, and which rows have one.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub data: Data,
    /// Bit n (LSB first) is set where row n has a value; None when every row has one.
    pub validity: Option<Vec<u8>>,
    pub nulls: usize,
}

/// Rows, column by column. A column is None when no row has its field.
#[derive(Clone, Debug)]
pub struct Columns {
    columns: Vec<Option<Column>>,
    rows: usize,
    /// Rows to make room for when a column begins.
    expected: usize,
}

impl Columns {
    /// Columns for about `expected` rows.
    #[must_use]
    pub fn new(expected: usize) -> Self {
        Self { columns: vec![None; COUNT], rows: 0, expected }
    }

    /// All rows of a batch.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        let mut columns = Self::new(batch.len());
        for (row, message, content) in batch.iter() {
            columns.push(row, &message, &content);
        }
        columns
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in schema order.
    #[must_use]
    pub fn into_columns(mut self) -> Vec<Option<Column>> {
        for column in self.columns.iter_mut().flatten() {
            column.pad(self.rows);
        }
        self.columns
    }

    /// Append a row.
    pub fn push(&mut self, row: &Row, message: &Message<'_>, content: &Content<'_>) {
        let (at, expected, columns) = (self.rows, self.expected, &mut self.columns);
        visit(row, message, content, &mut |field, value| {
            let index = field as usize;
            let (Some(slot), Some((_, _, kind))) = (columns.get_mut(index), FIELDS.get(index)) else { return };
            let column = slot.get_or_insert_with(|| Column::new(*kind, expected));
            column.pad(at);
            column.push(value);
        });
        self.rows = at.saturating_add(1);
    }
}

impl Column {
    fn new(kind: Type, expected: usize) -> Self {
        let data = match kind {
            Type::U8 => Data::U8(Vec::with_capacity(expected)),
            Type::U16 => Data::U16(Vec::with_capacity(expected)),
            Type::U32 => Data::U32(Vec::with_capacity(expected)),
            Type::U64 => Data::U64(Vec::with_capacity(expected)),
            Type::I32 => Data::I32(Vec::with_capacity(expected)),
            Type::Time => Data::Time(Vec::with_capacity(expected)),
            Type::Address | Type::Labels => Data::Bytes16(Vec::with_capacity(expected)),
            Type::Text => {
                let mut offsets = Vec::with_capacity(expected.saturating_add(1));
                offsets.push(0);
                Data::Text(offsets, Vec::new())
            }
        };
        Self { data, validity: None, nulls: 0 }
    }

    fn len(&self) -> usize {
        match &self.data {
            Data::U8(values) => values.len(),
            Data::U16(values) => values.len(),
            Data::U32(values) => values.len(),
            Data::U64(values) => values.len(),
            Data::I32(values) => values.len(),
            Data::Time(values) => values.len(),
            Data::Bytes16(values) => values.len(),
            Data::Text(offsets, _) => offsets.len().saturating_sub(1),
        }
    }

    /// Fill up with nulls to `rows` rows.
    #[inline]
    fn pad(&mut self, rows: usize) {
        let len = self.len();
        if len < rows {
            self.fill(len, rows);
        }
    }

    #[cold]
    fn fill(&mut self, len: usize, rows: usize) {
        let validity = self.validity.get_or_insert_with(|| all_set(len));
        validity.resize(rows.div_ceil(8), 0);
        self.nulls = self.nulls.saturating_add(rows.saturating_sub(len));
        match &mut self.data {
            Data::U8(values) => values.resize(rows, 0),
            Data::U16(values) => values.resize(rows, 0),
            Data::U32(values) => values.resize(rows, 0),
            Data::U64(values) => values.resize(rows, 0),
            Data::I32(values) => values.resize(rows, 0),
            Data::Time(values) => values.resize(rows, 0),
            Data::Bytes16(values) => values.resize(rows, [0; 16]),
            Data::Text(offsets, _) => {
                let end = offsets.last().copied().unwrap_or_default();
                offsets.resize(rows.saturating_add(1), end);
            }
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // the schema gives each field the type that its attribute has
    fn push(&mut self, value: Value<'_>) {
        let row = self.len();
        match (&mut self.data, value) {
            (Data::U8(values), Value::Unsigned(value)) => values.push(value as u8),
            (Data::U16(values), Value::Unsigned(value)) => values.push(value as u16),
            (Data::U32(values), Value::Unsigned(value)) => values.push(value as u32),
            (Data::U64(values), Value::Unsigned(value)) => values.push(value),
            (Data::I32(values), Value::Signed(value)) => values.push(value as i32),
            (Data::Time(values), Value::Time(value)) => values.push(value),
            (Data::Bytes16(values), Value::Address(address)) => values.push(mapped(address)),
            (Data::Bytes16(values), Value::Labels(labels)) => {
                let mut bytes = [0; 16];
                for (to, from) in bytes.iter_mut().zip(labels) {
                    *to = *from;
                }
                values.push(bytes);
            }
            (Data::Text(offsets, bytes), Value::Text(text)) => {
                match std::str::from_utf8(text) {
                    Ok(text) => bytes.extend_from_slice(text.as_bytes()),
                    Err(_) => bytes.extend_from_slice(String::from_utf8_lossy(text).as_bytes()),
                }
                offsets.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
            }
            _ => {} // no field has two types: a test pushes every field once
        }
        if let Some(validity) = &mut self.validity {
            let index = row / 8;
            if index >= validity.len() {
                validity.push(0);
            }
            if let Some(byte) = validity.get_mut(index) {
                *byte |= 1 << (row % 8);
            }
        }
    }

    /// Is there a value in this row?
    #[must_use]
    pub fn is_valid(&self, row: usize) -> bool {
        match &self.validity {
            None => row < self.len(),
            Some(validity) => validity.get(row / 8).is_some_and(|byte| byte & (1 << (row % 8)) != 0),
        }
    }
}

/// A bitmap of `rows` set bits.
fn all_set(rows: usize) -> Vec<u8> {
    let mut bits = vec![0xff; rows / 8];
    if !rows.is_multiple_of(8) {
        bits.push((1_u8 << (rows % 8)).wrapping_sub(1));
    }
    bits
}

/// 16 bytes, IPv4 as ::ffff:a.b.c.d.
#[inline]
fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests;
