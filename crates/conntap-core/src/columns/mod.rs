//! Rows as columns, in the memory layout of Arrow but without depending on it: the binding hands them on as they are.
//!
//! A column allocates nothing until a row has its field; what no row of a batch has costs nothing.
//! [`visit`] knows where each field comes from, and writes JSON too; [`fields`] is made from schema/fields.toml.

pub(crate) mod column;
pub mod fields;
pub mod visit;

use std::array::from_fn;
use std::borrow::Cow;
use std::net::IpAddr;

use column::{Fixed, Texts};
use fields::{
    ADDRESS_COLUMNS, I32_COLUMNS, LABELS_COLUMNS, SLOTS, TEXT_COLUMNS, TIME_COLUMNS, U8_COLUMNS, U16_COLUMNS,
    U32_COLUMNS, U64_COLUMNS,
};
pub use fields::{COUNT, FIELDS, Field};
pub use visit::{Visitor, visit};

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
    /// Signed, in segments of a ledger only.
    I64,
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

/// Rows, column by column.
#[derive(Clone, Debug)]
pub struct Columns {
    rows: usize,
    /// Rows to make room for when a column begins.
    expected: usize,
    u8s: [Fixed<u8>; U8_COLUMNS],
    u16s: [Fixed<u16>; U16_COLUMNS],
    u32s: [Fixed<u32>; U32_COLUMNS],
    u64s: [Fixed<u64>; U64_COLUMNS],
    i32s: [Fixed<i32>; I32_COLUMNS],
    times: [Fixed<i64>; TIME_COLUMNS],
    addresses: [Fixed<[u8; 16]>; ADDRESS_COLUMNS],
    labels: [Fixed<[u8; 16]>; LABELS_COLUMNS],
    texts: [Texts; TEXT_COLUMNS],
}

impl Columns {
    /// Columns for about `expected` rows.
    #[must_use]
    pub fn new(expected: usize) -> Self {
        Self {
            rows: 0,
            expected,
            u8s: from_fn(|_| Fixed::default()),
            u16s: from_fn(|_| Fixed::default()),
            u32s: from_fn(|_| Fixed::default()),
            u64s: from_fn(|_| Fixed::default()),
            i32s: from_fn(|_| Fixed::default()),
            times: from_fn(|_| Fixed::default()),
            addresses: from_fn(|_| Fixed::default()),
            labels: from_fn(|_| Fixed::default()),
            texts: from_fn(|_| Texts::default()),
        }
    }

    /// All rows of a batch.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        let mut columns = Self::new(batch.len());
        columns.append(batch);
        columns
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Append all rows of a batch.
    pub fn append(&mut self, batch: &Batch) {
        for (row, message, content) in batch.iter() {
            self.push(row, &message, &content);
        }
    }

    /// Append a row.
    pub fn push(&mut self, row: &Row, message: &Message<'_>, content: &Content<'_>) {
        visit(row, message, content, self);
        self.rows = self.rows.saturating_add(1);
    }

    /// The columns in schema order; None where no row has the field.
    #[must_use]
    pub fn into_columns(self) -> Vec<Option<Column>> {
        let rows = self.rows;
        let mut u8s = self.u8s.into_iter().map(|column| column.finish(rows, Data::U8));
        let mut u16s = self.u16s.into_iter().map(|column| column.finish(rows, Data::U16));
        let mut u32s = self.u32s.into_iter().map(|column| column.finish(rows, Data::U32));
        let mut u64s = self.u64s.into_iter().map(|column| column.finish(rows, Data::U64));
        let mut i32s = self.i32s.into_iter().map(|column| column.finish(rows, Data::I32));
        let mut times = self.times.into_iter().map(|column| column.finish(rows, Data::Time));
        let mut addresses = self.addresses.into_iter().map(|column| column.finish(rows, Data::Bytes16));
        let mut labels = self.labels.into_iter().map(|column| column.finish(rows, Data::Bytes16));
        let mut texts = self.texts.into_iter().map(|column| column.finish(rows));
        // Columns of a type lie in schema order, so the next one is the right one.
        let next = |kind: Type| match kind {
            Type::U8 => u8s.next(),
            Type::U16 => u16s.next(),
            Type::U32 => u32s.next(),
            Type::U64 => u64s.next(),
            Type::I32 => i32s.next(),
            Type::I64 => None,
            Type::Time => times.next(),
            Type::Address => addresses.next(),
            Type::Labels => labels.next(),
            Type::Text => texts.next(),
        };
        FIELDS.iter().map(|(_, _, kind)| *kind).map(next).map(Option::flatten).collect()
    }
}

/// The place of a field among the columns of its type.
#[inline(always)]
fn slot(field: Field) -> usize {
    SLOTS.get(field as usize).copied().unwrap_or(usize::MAX)
}

impl Visitor for Columns {
    #[inline(always)]
    fn u8(&mut self, field: Field, value: u8) {
        if let Some(column) = self.u8s.get_mut(slot(field)) {
            column.push(self.rows, self.expected, value);
        }
    }

    #[inline(always)]
    fn u16(&mut self, field: Field, value: u16) {
        if let Some(column) = self.u16s.get_mut(slot(field)) {
            column.push(self.rows, self.expected, value);
        }
    }

    #[inline(always)]
    fn u32(&mut self, field: Field, value: u32) {
        if let Some(column) = self.u32s.get_mut(slot(field)) {
            column.push(self.rows, self.expected, value);
        }
    }

    #[inline(always)]
    fn u64(&mut self, field: Field, value: u64) {
        if let Some(column) = self.u64s.get_mut(slot(field)) {
            column.push(self.rows, self.expected, value);
        }
    }

    #[inline(always)]
    fn i32(&mut self, field: Field, value: i32) {
        if let Some(column) = self.i32s.get_mut(slot(field)) {
            column.push(self.rows, self.expected, value);
        }
    }

    #[inline(always)]
    fn time(&mut self, field: Field, value: i64) {
        if let Some(column) = self.times.get_mut(slot(field)) {
            column.push(self.rows, self.expected, value);
        }
    }

    #[inline(always)]
    fn address(&mut self, field: Field, value: IpAddr) {
        if let Some(column) = self.addresses.get_mut(slot(field)) {
            column.push(self.rows, self.expected, mapped(value));
        }
    }

    fn labels(&mut self, field: Field, value: &[u8]) {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(value) {
            *to = *from;
        }
        if let Some(column) = self.labels.get_mut(slot(field)) {
            column.push(self.rows, self.expected, bytes);
        }
    }

    #[inline]
    fn text(&mut self, field: Field, value: &[u8]) {
        // What is no UTF-8 becomes U+FFFD, as in JSON.
        let text: Cow<'_, str> = String::from_utf8_lossy(value);
        self.word(field, &text);
    }

    #[inline(always)]
    fn word(&mut self, field: Field, value: &str) {
        if let Some(column) = self.texts.get_mut(slot(field)) {
            column.push(self.rows, self.expected, value);
        }
    }

    fn json(&mut self, field: Field, value: &str) {
        self.word(field, value);
    }
}

impl Column {
    #[must_use]
    pub fn len(&self) -> usize {
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

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
