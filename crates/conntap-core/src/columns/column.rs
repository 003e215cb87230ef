//! One column while it grows: values of one type, and which rows have one.

use super::{Column, Data};

/// Values of a fixed width. Rows without a value are filled in late: a column costs nothing until a row has its
/// field, and a row without the field costs nothing at all.
#[derive(Clone, Debug, Default)]
pub struct Fixed<T> {
    values: Vec<T>,
    validity: Validity,
}

impl<T: Copy + Default> Fixed<T> {
    /// Give row `row` a value. Rows come in order, each at most once. `expected`: rows to make room for at first.
    #[inline(always)]
    pub fn push(&mut self, row: usize, expected: usize, value: T) {
        if self.values.len() == row && row > 0 && self.validity.is_full() {
            self.values.push(value); // the usual case: every row has had one
            return;
        }
        self.push_sparse(row, expected, value);
    }

    #[inline(never)]
    fn push_sparse(&mut self, row: usize, expected: usize, value: T) {
        if self.values.is_empty() {
            self.values.reserve(expected.max(row));
        }
        self.validity.set(self.values.len(), row);
        self.values.resize(row, T::default());
        self.values.push(value);
    }

    /// The column of `rows` rows; None when no row has a value.
    pub fn finish(mut self, rows: usize, data: fn(Vec<T>) -> Data) -> Option<Column> {
        if self.values.is_empty() {
            return None;
        }
        let (validity, nulls) = self.validity.finish(self.values.len(), rows);
        self.values.resize(rows, T::default());
        self.values.shrink_to_fit();
        Some(Column { data: data(self.values), validity, nulls })
    }
}

/// Texts: where each ends, and their bytes, which are UTF-8.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// Starts with 0: one more than rows.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    validity: Validity,
}

impl Texts {
    /// Give row `row` a text.
    #[inline(always)]
    pub fn push(&mut self, row: usize, expected: usize, text: &str) {
        let rows = self.offsets.len().wrapping_sub(1); // no offsets yet: no row has so many
        if rows != row || !self.validity.is_full() {
            self.make_way(row, expected);
        }
        self.bytes.extend_from_slice(text.as_bytes());
        // A batch's memory is far below 2 GiB, and so are its texts.
        self.offsets.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }

    #[inline(never)]
    fn make_way(&mut self, row: usize, expected: usize) {
        if self.offsets.is_empty() {
            self.offsets.reserve(expected.max(row).saturating_add(1));
            self.offsets.push(0);
        }
        self.validity.set(self.offsets.len().saturating_sub(1), row);
        self.pad(row);
    }

    fn pad(&mut self, rows: usize) {
        let end = self.offsets.last().copied().unwrap_or_default();
        self.offsets.resize(rows.saturating_add(1), end);
    }

    /// The column of `rows` rows; None when no row has a text.
    pub fn finish(mut self, rows: usize) -> Option<Column> {
        if self.offsets.is_empty() {
            return None;
        }
        let have = self.offsets.len().saturating_sub(1);
        self.pad(rows);
        self.offsets.shrink_to_fit();
        self.bytes.shrink_to_fit();
        let (validity, nulls) = self.validity.finish(have, rows);
        Some(Column { data: Data::Text(self.offsets, self.bytes), validity, nulls })
    }
}

/// Which rows have a value: bit n (LSB first) of row n. No bits at all as long as every row has one.
#[derive(Clone, Debug, Default)]
struct Validity {
    bits: Vec<u8>,
    /// Rows without a value before the last one that has one.
    nulls: usize,
}

impl Validity {
    /// Has every row so far had a value?
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.bits.is_empty()
    }

    /// Row `row` has a value, rows `have`..`row` have none.
    fn set(&mut self, have: usize, row: usize) {
        if have == row && self.is_full() {
            return;
        }
        if self.is_full() {
            self.bits = ones(have);
        }
        self.nulls = self.nulls.saturating_add(row.saturating_sub(have));
        self.bits.resize((row / 8).saturating_add(1), 0);
        if let Some(byte) = self.bits.get_mut(row / 8) {
            *byte |= 1 << (row % 8);
        }
    }

    /// Bits of `rows` rows of which the first `have` are held, or None when all are set; and how many are not.
    fn finish(mut self, have: usize, rows: usize) -> (Option<Vec<u8>>, usize) {
        if have >= rows && self.is_full() {
            return (None, 0);
        }
        if self.is_full() {
            self.bits = ones(have);
        }
        self.bits.resize(rows.div_ceil(8), 0);
        self.bits.shrink_to_fit();
        (Some(self.bits), self.nulls.saturating_add(rows.saturating_sub(have)))
    }
}

/// `rows` set bits.
fn ones(rows: usize) -> Vec<u8> {
    let mut bits = vec![0xff; rows / 8];
    if !rows.is_multiple_of(8) {
        bits.push((1_u8 << (rows % 8)).wrapping_sub(1));
    }
    bits
}
