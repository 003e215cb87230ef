//! Rows as JSON, one object a line (NDJSON), under the names of schema/fields.toml. Fields that were not sent are
//! left out; integers above 2^53 stay integers.

use std::net::IpAddr;

use crate::batch::Row;
use crate::columns::{FIELDS, Field, Value, visit};
use crate::model::{Content, names};
use crate::text::bytes;
use crate::wire::Message;

/// Append one row and a line end.
pub fn write_row(out: &mut Vec<u8>, row: &Row, message: &Message<'_>, content: &Content<'_>) {
    let mut separator = b'{';
    visit(row, message, content, &mut |field, value| {
        let Some((_, name, _)) = FIELDS.get(field as usize) else { return };
        out.push(separator);
        separator = b',';
        key(out, name);
        match (field, value) {
            (Field::Unknown, Value::Text(object)) => out.extend_from_slice(object), // is JSON already
            (_, value) => write_value(out, value),
        }
        if let (Field::Status, Value::Unsigned(bits)) = (field, value) {
            out.push(b',');
            key(out, "status_names");
            status_names(out, bits);
        }
    });
    out.extend_from_slice(b"}\n");
}

#[inline]
fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Unsigned(number) => bytes::decimal(out, number),
        Value::Signed(number) | Value::Time(number) => {
            if number < 0 {
                out.push(b'-');
            }
            bytes::decimal(out, number.unsigned_abs());
        }
        Value::Address(address) => {
            out.push(b'"');
            match address {
                IpAddr::V4(address) => bytes::ipv4(out, address),
                IpAddr::V6(address) => bytes::ipv6(out, address),
            }
            out.push(b'"');
        }
        Value::Text(text) => string(out, text),
        Value::Labels(labels) => {
            out.push(b'[');
            let mut first = true;
            for (index, word) in labels.chunks_exact(4).enumerate() {
                let word = u32::from_ne_bytes(word.try_into().unwrap_or_default());
                for bit in (0..32_u64).filter(|bit| word & (1 << bit) != 0) {
                    if !std::mem::take(&mut first) {
                        out.push(b',');
                    }
                    let base = u64::try_from(index).unwrap_or_default().saturating_mul(32);
                    bytes::decimal(out, base.saturating_add(bit));
                }
            }
            out.push(b']');
        }
    }
}

fn status_names(out: &mut Vec<u8>, bits: u64) {
    let mut separator = b'[';
    for (name, bit) in names::STATUS_BITS {
        if bits & u64::from(bit) != 0 {
            out.push(separator);
            separator = b',';
            string(out, name.as_bytes());
        }
    }
    if separator == b'[' {
        out.push(separator);
    }
    out.push(b']');
}

/// Any bytes as a JSON string; what is no UTF-8 becomes U+FFFD.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                0..0x20 => {
                    out.extend_from_slice(b"\\u00");
                    out.extend_from_slice(format!("{byte:02x}").as_bytes());
                }
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

    #[test]
    fn strings_escape_whatever_a_name_holds() {
        let mut out = Vec::new();
        string(&mut out, b"a\"b\\c\n\x00\xff\xc3\xa9");
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"b\\\\c\\u000a\\u0000\u{fffd}é\"");
    }

    #[test]
    fn negative_offsets_keep_their_sign() {
        let mut out = Vec::new();
        write_value(&mut out, Value::Signed(-10));
        assert_eq!(out, b"-10");
    }

    #[test]
    fn labels_are_the_numbers_of_the_bits() {
        let mut out = Vec::new();
        let mut labels = 5_u32.to_ne_bytes().to_vec();
        labels.extend_from_slice(&2_u32.to_ne_bytes());
        write_value(&mut out, Value::Labels(&labels));
        assert_eq!(out, b"[0,2,33]");
    }
}
