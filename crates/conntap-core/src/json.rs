//! Rows as JSON, one object a line (NDJSON), under the names of schema/fields.toml and in its order. Fields that were
//! not sent are left out; integers above 2^53 stay integers.

use std::net::IpAddr;

use crate::batch::Row;
use crate::columns::fields::KEYS;
use crate::columns::{Field, Visitor, visit};
use crate::model::{Content, names};
use crate::text::bytes;
use crate::wire::Message;

/// Append one row and a line end.
pub fn write_row(out: &mut Vec<u8>, row: &Row, message: &Message<'_>, content: &Content<'_>) {
    object(out, |writer| visit(row, message, content, writer));
}

/// Append one row and a line end: only of the fields that are wanted.
pub fn write_chosen(
    out: &mut Vec<u8>,
    row: &Row,
    message: &Message<'_>,
    content: &Content<'_>,
    wanted: impl Fn(Field) -> bool,
) {
    object(out, |writer| visit(row, message, content, &mut Only { wanted, to: writer }));
}

#[inline(always)]
fn object(out: &mut Vec<u8>, members: impl FnOnce(&mut Writer<'_>)) {
    out.reserve(1024); // more than a usual row needs: one growth a row at most
    let start = out.len();
    members(&mut Writer(out));
    // Every member was written with a comma in front; the first one's becomes the brace.
    match out.get_mut(start) {
        Some(first) => *first = b'{',
        None => out.push(b'{'),
    }
    out.extend_from_slice(b"}\n");
}

struct Writer<'o>(&'o mut Vec<u8>);

impl Writer<'_> {
    #[inline(always)]
    fn key(&mut self, field: Field) {
        if let Some(key) = KEYS.get(field as usize) {
            self.0.extend_from_slice(key);
        }
    }
}

impl Visitor for Writer<'_> {
    #[inline(always)]
    fn u8(&mut self, field: Field, value: u8) {
        self.u64(field, value.into());
    }

    #[inline(always)]
    fn u16(&mut self, field: Field, value: u16) {
        self.u64(field, value.into());
    }

    #[inline(always)]
    fn u32(&mut self, field: Field, value: u32) {
        self.u64(field, value.into());
        if field == Field::Status {
            self.0.extend_from_slice(b",\"status_names\":");
            status_names(self.0, value);
        }
    }

    #[inline(always)]
    fn u64(&mut self, field: Field, value: u64) {
        self.key(field);
        bytes::decimal(self.0, value);
    }

    fn i32(&mut self, field: Field, value: i32) {
        self.time(field, value.into());
    }

    #[inline]
    fn time(&mut self, field: Field, value: i64) {
        self.key(field);
        if value < 0 {
            self.0.push(b'-');
        }
        bytes::decimal(self.0, value.unsigned_abs());
    }

    #[inline]
    fn address(&mut self, field: Field, value: IpAddr) {
        self.key(field);
        self.0.push(b'"');
        bytes::address(self.0, value);
        self.0.push(b'"');
    }

    fn labels(&mut self, field: Field, value: &[u8]) {
        self.key(field);
        labels(self.0, value);
    }

    fn text(&mut self, field: Field, value: &[u8]) {
        self.key(field);
        string(self.0, value);
    }

    #[inline]
    fn word(&mut self, field: Field, value: &str) {
        self.key(field);
        self.0.push(b'"');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
    }

    fn json(&mut self, field: Field, value: &str) {
        self.key(field);
        self.0.extend_from_slice(value.as_bytes());
    }
}

/// Hands on the fields that are wanted.
pub(crate) struct Only<'v, F, V> {
    pub(crate) wanted: F,
    pub(crate) to: &'v mut V,
}

macro_rules! only {
    ($($method:ident: $kind:ty),*) => {$(
        #[inline(always)]
        fn $method(&mut self, field: Field, value: $kind) {
            if (self.wanted)(field) {
                self.to.$method(field, value);
            }
        }
    )*};
}

impl<F: Fn(Field) -> bool, V: Visitor> Visitor for Only<'_, F, V> {
    only!(
        u8: u8, u16: u16, u32: u32, u64: u64, i32: i32, time: i64, address: IpAddr, labels: &[u8], text: &[u8],
        word: &str, json: &str
    );
}

/// The numbers of the bits that are set: words in host order (CTA_LABELS).
pub(crate) fn labels(out: &mut Vec<u8>, labels: &[u8]) {
    let mut separator = b'[';
    for (index, word) in labels.chunks_exact(4).enumerate() {
        let word = u32::from_ne_bytes(word.try_into().unwrap_or_default());
        let base = u64::try_from(index).unwrap_or_default().saturating_mul(32);
        for bit in (0..32_u64).filter(|bit| word & (1 << bit) != 0) {
            out.push(std::mem::replace(&mut separator, b','));
            bytes::decimal(out, base.saturating_add(bit));
        }
    }
    end_list(out, separator);
}

#[inline]
fn status_names(out: &mut Vec<u8>, bits: u32) {
    let mut separator = b'[';
    for (name, bit) in names::STATUS_BITS {
        if bits & bit != 0 {
            out.push(std::mem::replace(&mut separator, b','));
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.push(b'"');
        }
    }
    end_list(out, separator);
}

#[inline]
fn end_list(out: &mut Vec<u8>, separator: u8) {
    if separator == b'[' {
        out.push(separator); // nothing was listed
    }
    out.push(b']');
}

/// Any bytes as a JSON string; what is no UTF-8 becomes U+FFFD.
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_escape_whatever_a_name_holds() {
        let text = written(|out| string(out, b"a\"b\\c\n\x00\xff\xc3\xa9"));
        assert_eq!(text, "\"a\\\"b\\\\c\\u000a\\u0000\u{fffd}é\"");
    }

    #[test]
    fn negative_offsets_keep_their_sign() {
        assert_eq!(written(|out| Writer(out).i32(Field::SeqAdjOrigBefore, -10)), ",\"seq_adj_orig_before\":-10");
    }

    #[test]
    fn labels_are_the_numbers_of_the_bits() {
        let mut words = 5_u32.to_ne_bytes().to_vec();
        words.extend_from_slice(&2_u32.to_ne_bytes());
        assert_eq!(written(|out| labels(out, &words)), "[0,2,33]");
        assert_eq!(written(|out| labels(out, &[])), "[]");
    }

    #[test]
    fn status_bits_without_a_name_are_in_the_number_only() {
        assert_eq!(written(|out| status_names(out, 0x8000_0005)), r#"["EXPECTED","ASSURED"]"#);
        assert_eq!(written(|out| status_names(out, 0)), "[]");
    }
}
