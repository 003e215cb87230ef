//! A record's fields as parameters: structured data of syslog, `key=value` text, fields of the journal.
//!
//! Some are essential; the others follow as far as the datagram has room.

use std::net::IpAddr;

use super::chosen::{self, Chosen};
use crate::columns::fields::ELEMENTS;
use crate::columns::{Field, Visitor};
use crate::json;
use crate::model::record::end_reason;
use crate::text::bytes;

/// How a parameter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// ` name="value"` (RFC 5424), named as IPFIX names the element, else as the field.
    Structured,
    /// ` name=value`, times in milliseconds.
    Text,
    /// `CONNTAP_NAME=value` and a line end.
    Journal,
}

/// Memory that rows share, and what had no room.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    optional: Vec<u8>,
    ends: Vec<usize>,
    pub(super) sentence: Vec<u8>,
    pub(super) shortened: u64,
}

impl Scratch {
    /// Append the optional parameters that fit into `room` bytes; true when all did.
    pub(super) fn append_optional(&self, out: &mut Vec<u8>, mut room: usize) -> bool {
        let mut start = 0;
        let mut all = true;
        for end in &self.ends {
            let piece = self.optional.get(start..*end).unwrap_or_default();
            start = *end;
            match room.checked_sub(piece.len()) {
                Some(left) => {
                    out.extend_from_slice(piece);
                    room = left;
                }
                None => all = false,
            }
        }
        all
    }
}

/// Writes essential parameters to `out`, the others to the scratch memory.
pub(super) struct Params<'p> {
    out: &'p mut Vec<u8>,
    scratch: &'p mut Scratch,
    form: Form,
    chosen: &'p Chosen,
    /// The reply tuple tells something that the original one does not.
    nat: bool,
    ipv6: bool,
}

impl<'p> Params<'p> {
    pub(super) fn new(
        out: &'p mut Vec<u8>,
        scratch: &'p mut Scratch,
        form: Form,
        chosen: &'p Chosen,
        nat: bool,
        ipv6: bool,
    ) -> Self {
        scratch.optional.clear();
        scratch.ends.clear();
        Self { out, scratch, form, chosen, nat, ipv6 }
    }

    #[inline(always)]
    fn put(&mut self, field: Field, ipv6: bool, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.chosen.has(field) || (!self.nat && is_mirror(field)) {
            return;
        }
        let essential = is_essential(field);
        let form = self.form;
        let out = if essential { &mut *self.out } else { &mut self.scratch.optional };
        name(out, form, field, ipv6);
        write(out);
        close(out, form);
        if !essential {
            self.scratch.ends.push(self.scratch.optional.len());
        }
    }

    /// A parameter that is no field of its own.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.out.push(b' ');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"=\"");
        bytes::decimal(self.out, value);
        self.out.push(b'"');
    }
}

/// The reply's half of what the original tuple says already, unless addresses are translated.
#[inline(always)]
fn is_mirror(field: Field) -> bool {
    matches!(
        field,
        Field::ReplySrc
            | Field::ReplyDst
            | Field::ReplySport
            | Field::ReplyDport
            | Field::ReplyIcmpType
            | Field::ReplyIcmpCode
            | Field::ReplyIcmpId
    )
}

/// What a record must tell: its number, who with whom, as whom, when, how much and why it ended; of a gap all.
#[inline(always)]
fn is_essential(field: Field) -> bool {
    !matches!(
        field,
        Field::EventNs
            | Field::Portid
            | Field::Family
            | Field::Protocol
            | Field::OrigZone
            | Field::ReplyZone
            | Field::ReplyIcmpType
            | Field::ReplyIcmpCode
            | Field::MasterSrc
            | Field::MasterDst
            | Field::MasterL4proto
            | Field::MasterSport
            | Field::MasterDport
            | Field::Status
            | Field::TcpState
            | Field::SctpState
            | Field::DccpState
            | Field::Timeout
            | Field::Mark
            | Field::Labels
            | Field::Id
            | Field::Helper
            | Field::HelperInfo
            | Field::UseCount
            | Field::Secmark
            | Field::Secctx
            | Field::TcpWscaleOrig
            | Field::TcpWscaleReply
            | Field::TcpFlagsOrig
            | Field::TcpFlagsReply
            | Field::SctpVtagOrig
            | Field::SctpVtagReply
            | Field::DccpRole
            | Field::DccpHandshakeSeq
            | Field::SeqAdjOrigPos
            | Field::SeqAdjOrigBefore
            | Field::SeqAdjOrigAfter
            | Field::SeqAdjReplyPos
            | Field::SeqAdjReplyBefore
            | Field::SeqAdjReplyAfter
            | Field::SynproxyIsn
            | Field::SynproxyIts
            | Field::SynproxyTsoff
            | Field::Elements
            | Field::Unknown
    )
}

#[inline(always)]
fn name(out: &mut Vec<u8>, form: Form, field: Field, ipv6: bool) {
    let own = chosen::name(field);
    match form {
        Form::Structured => {
            out.push(b' ');
            // These elements have numbers of their own for what we say in a word, or would name two fields.
            let ours = matches!(field, Field::Kind | Field::Id | Field::Nat | Field::EndReason);
            let [v4, v6] = ELEMENTS.get(field as usize).copied().unwrap_or_default();
            let element = if ipv6 { v6 } else { v4 };
            out.extend_from_slice(if ours || element.is_empty() { own } else { element }.as_bytes());
            out.extend_from_slice(b"=\"");
        }
        Form::Text => {
            out.push(b' ');
            match own.strip_suffix("_ns") {
                Some(stem) => {
                    out.extend_from_slice(stem.as_bytes());
                    out.extend_from_slice(b"_ms");
                }
                None => out.extend_from_slice(own.as_bytes()),
            }
            out.push(b'=');
        }
        Form::Journal => {
            out.extend_from_slice(b"CONNTAP_");
            out.extend(own.bytes().map(|byte| byte.to_ascii_uppercase()));
            out.push(b'=');
        }
    }
}

#[inline(always)]
fn close(out: &mut Vec<u8>, form: Form) {
    match form {
        Form::Structured => out.push(b'"'),
        Form::Text => {}
        Form::Journal => out.push(b'\n'),
    }
}

/// A text that may hold anything. Control characters become `#` and three octal digits, as syslog daemons write them:
/// a line stays a line.
fn text(out: &mut Vec<u8>, form: Form, value: &str) {
    let quoted = form == Form::Text && value.bytes().any(|byte| matches!(byte, b' ' | b'"' | b'=' | b'\\'));
    if quoted {
        out.push(b'"');
    }
    for byte in value.bytes() {
        match byte {
            0..0x20 | 0x7f => out.extend_from_slice(format!("#{byte:03o}").as_bytes()),
            b'"' | b'\\' if quoted || form == Form::Structured => out.extend_from_slice(&[b'\\', byte]),
            b']' if form == Form::Structured => out.extend_from_slice(b"\\]"),
            _ => out.push(byte),
        }
    }
    if quoted {
        out.push(b'"');
    }
}

impl Visitor for Params<'_> {
    #[inline(always)]
    fn u8(&mut self, field: Field, value: u8) {
        if field == Field::Family && self.form == Form::Structured {
            return self.u64(field, if value == 2 { 4 } else { 6 }); // ipVersion, not an address family
        }
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
        self.put(field, self.ipv6, |out| bytes::decimal(out, value));
    }

    fn i32(&mut self, field: Field, value: i32) {
        self.put(field, self.ipv6, |out| signed(out, value.into()));
    }

    #[inline]
    fn time(&mut self, field: Field, value: i64) {
        let value = if self.form == Form::Text { value.div_euclid(1_000_000) } else { value };
        self.put(field, self.ipv6, |out| signed(out, value));
    }

    #[inline]
    fn address(&mut self, field: Field, value: IpAddr) {
        self.put(field, value.is_ipv6(), |out| bytes::address(out, value));
    }

    fn labels(&mut self, field: Field, value: &[u8]) {
        let mut list = Vec::new();
        json::labels(&mut list, value);
        let list = String::from_utf8_lossy(&list).replace(['[', ']'], "");
        self.put(field, self.ipv6, |out| out.extend_from_slice(list.as_bytes()));
    }

    fn text(&mut self, field: Field, value: &[u8]) {
        let form = self.form;
        let value = String::from_utf8_lossy(value);
        let ipv6 = if field == Field::Exporter { value.contains(':') } else { self.ipv6 };
        self.put(field, ipv6, |out| text(out, form, &value));
    }

    #[inline]
    fn word(&mut self, field: Field, value: &str) {
        self.put(field, self.ipv6, |out| out.extend_from_slice(value.as_bytes()));
        if field == Field::EndReason
            && self.form == Form::Structured
            && self.chosen.has(field)
            && let Some(number @ 1..) = end_reason::NAMES.iter().position(|name| *name == value)
        {
            self.number("flowEndReason", u64::try_from(number).unwrap_or_default());
        }
    }

    fn json(&mut self, field: Field, value: &str) {
        self.text(field, value.as_bytes());
    }
}

#[inline]
fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    bytes::decimal(out, value.unsigned_abs());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form, value: &str) -> String {
        let mut out = Vec::new();
        text(&mut out, form, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn structured_data_escapes_what_would_end_it() {
        assert_eq!(written(Form::Structured, "a\"b\\c]d\ne=f"), "a\\\"b\\\\c\\]d#012e=f");
    }

    #[test]
    fn text_is_quoted_only_where_it_would_be_read_wrong() {
        assert_eq!(written(Form::Text, "ftp"), "ftp");
        assert_eq!(written(Form::Text, "a \"b\""), "\"a \\\"b\\\"\"");
    }

    #[test]
    fn optional_parameters_go_as_far_as_there_is_room_and_never_in_part() {
        let mut scratch = Scratch::default();
        scratch.optional.extend_from_slice(b" a=1 long=12345 b=2");
        scratch.ends.extend([4, 15, 19]);
        let mut out = Vec::new();
        assert!(!scratch.append_optional(&mut out, 8));
        assert_eq!(out, b" a=1 b=2");
        out.clear();
        assert!(scratch.append_optional(&mut out, 19));
    }
}
