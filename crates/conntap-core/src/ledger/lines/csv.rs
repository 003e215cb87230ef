//! CSV (RFC 4180): a header, a record a line, CRLF behind each. What a row lacks is empty, an empty text is `""`.

use std::net::IpAddr;

use super::chosen::{self, Chosen};
use crate::batch::Row;
use crate::columns::{COUNT, Field, Visitor, visit};
use crate::json;
use crate::model::Content;
use crate::text::bytes;
use crate::wire::Message;

/// Scratch memory of the style: the cells of a row, found in schema order and written in the chosen one.
#[derive(Clone, Debug)]
pub struct Csv {
    cells: Cells,
}

impl Default for Csv {
    fn default() -> Self {
        Self { cells: Cells { text: Vec::new(), places: [(0, 0); COUNT] } }
    }
}

#[derive(Clone, Debug)]
struct Cells {
    text: Vec<u8>,
    places: [(usize, usize); COUNT],
}

/// The line of names.
pub(super) fn head(chosen: &Chosen, out: &mut Vec<u8>) {
    let names: Vec<&str> = chosen.order().iter().map(|field| chosen::name(*field)).collect();
    out.extend_from_slice(names.join(",").as_bytes());
    out.extend_from_slice(b"\r\n");
}

impl Csv {
    pub(super) fn row(
        &mut self,
        out: &mut Vec<u8>,
        row: &Row,
        message: &Message<'_>,
        content: &Content<'_>,
        chosen: &Chosen,
    ) {
        let Cells { text, places } = &mut self.cells;
        text.clear();
        *places = [(0, 0); COUNT];
        visit(row, message, content, &mut self.cells);
        let Cells { text, places } = &self.cells;
        for (at, field) in chosen.order().iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let (start, end) = places.get(*field as usize).copied().unwrap_or_default();
            out.extend_from_slice(text.get(start..end).unwrap_or_default());
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl Cells {
    #[inline(always)]
    fn put(&mut self, field: Field, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        if let Some(place) = self.places.get_mut(field as usize) {
            *place = (start, self.text.len());
        }
    }
}

impl Visitor for Cells {
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
    }

    #[inline(always)]
    fn u64(&mut self, field: Field, value: u64) {
        self.put(field, |out| bytes::decimal(out, value));
    }

    fn i32(&mut self, field: Field, value: i32) {
        self.time(field, value.into());
    }

    #[inline]
    fn time(&mut self, field: Field, value: i64) {
        self.put(field, |out| {
            if value < 0 {
                out.push(b'-');
            }
            bytes::decimal(out, value.unsigned_abs());
        });
    }

    #[inline]
    fn address(&mut self, field: Field, value: IpAddr) {
        self.put(field, |out| bytes::address(out, value));
    }

    fn labels(&mut self, field: Field, value: &[u8]) {
        self.put(field, |out| {
            let mut list = Vec::new();
            json::labels(&mut list, value);
            out.extend(list.iter().filter(|byte| !b"[]".contains(byte)).map(|byte| match byte {
                b',' => b' ',
                other => *other,
            }));
        });
    }

    fn text(&mut self, field: Field, value: &[u8]) {
        self.put(field, |out| cell(out, &String::from_utf8_lossy(value)));
    }

    #[inline]
    fn word(&mut self, field: Field, value: &str) {
        self.put(field, |out| cell(out, value));
    }

    fn json(&mut self, field: Field, value: &str) {
        self.put(field, |out| cell(out, value));
    }
}

/// A text, in quotes where it must be.
#[inline]
fn cell(out: &mut Vec<u8>, text: &str) {
    if !text.is_empty() && !text.bytes().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n')) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        cell(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn quotes_stand_where_they_must() {
        assert_eq!(written("tcp"), "tcp");
        assert_eq!(written("snat,dnat"), "\"snat,dnat\"");
        assert_eq!(written("a\"b"), "\"a\"\"b\"");
        assert_eq!(written("a\nb"), "\"a\nb\"");
    }

    #[test]
    fn an_empty_text_differs_from_a_missing_one() {
        assert_eq!(written(""), "\"\"");
    }
}
