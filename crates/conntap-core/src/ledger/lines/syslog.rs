//! Syslog: RFC 5424 with structured data, and the older RFC 3164 with `key=value` text.
//!
//! The structured data's id is `conntap@32473`: 32473 is the enterprise number that RFC 5612 sets aside for examples,
//! since conntap has none of its own. A gap is a warning, whatever the severity of records.

use super::chosen::Chosen;
use super::params::{Form, Params, Scratch};
use super::sentence::sentence;
use crate::batch::Row;
use crate::columns::visit;
use crate::model::{Content, Kind};
use crate::text::bytes::{decimal, padded, two};
use crate::text::clock::Civil;
use crate::wire::Message;
use crate::wire::constants::AF_INET6;

/// Which of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    #[default]
    Rfc5424,
    Rfc3164,
}

/// The style, and what stands in every header.
#[derive(Clone, Debug)]
pub struct Syslog {
    pub layout: Layout,
    pub facility: u8,
    pub severity: u8,
    /// Printable ASCII without spaces, or `-`: the caller checks.
    pub host: Vec<u8>,
    pub app: Vec<u8>,
    pub procid: Vec<u8>,
    /// Longest message; optional parameters that do not fit are left out.
    pub limit: usize,
}

/// `<134>`, of a gap with severity 4 (warning) at least.
pub(super) fn severity_of(row: &Row, severity: u8) -> u8 {
    if row.kind == Kind::Gap { severity.min(4) } else { severity }
}

impl Syslog {
    pub(super) fn row(
        &self,
        out: &mut Vec<u8>,
        (row, message, content): (&Row, &Message<'_>, &Content<'_>),
        chosen: &Chosen,
        scratch: &mut Scratch,
        utc_offset_seconds: i32,
    ) {
        let start = out.len();
        let priority = u64::from(self.facility).saturating_mul(8);
        out.push(b'<');
        decimal(out, priority.saturating_add(severity_of(row, self.severity).into()));
        out.push(b'>');
        let (nat, ipv6) = match content {
            Content::Flow(flow) => (flow.nat_kind().is_some(), flow.family == AF_INET6),
            _ => (false, false),
        };
        let mut tail = std::mem::take(&mut scratch.sentence);
        tail.clear();
        match self.layout {
            Layout::Rfc5424 => {
                out.extend_from_slice(b"1 ");
                utc(out, row.received_ns);
                for word in [&self.host, &self.app, &self.procid] {
                    out.push(b' ');
                    out.extend_from_slice(word);
                }
                out.push(b' ');
                out.extend_from_slice(row.kind.name().as_bytes());
                out.extend_from_slice(b" [conntap@32473");
                let mut params = Params::new(out, scratch, Form::Structured, chosen, nat, ipv6);
                visit(row, message, content, &mut params);
                if nat && !ipv6 {
                    match row.kind {
                        Kind::Binding => params.number("natEvent", 4), // NAT44 session create (RFC 8158)
                        Kind::Flow => params.number("natEvent", 5),    // … delete
                        _ => {}
                    }
                }
                tail.extend_from_slice(b"] ");
                sentence(&mut tail, row, content);
            }
            Layout::Rfc3164 => {
                local(out, row.received_ns, utc_offset_seconds);
                out.push(b' ');
                out.extend_from_slice(&self.host);
                out.push(b' ');
                out.extend_from_slice(&self.app);
                if self.procid != b"-" {
                    out.push(b'[');
                    out.extend_from_slice(&self.procid);
                    out.push(b']');
                }
                out.push(b':');
                visit(row, message, content, &mut Params::new(out, scratch, Form::Text, chosen, nat, ipv6));
            }
        }
        let used = out.len().saturating_sub(start).saturating_add(tail.len());
        if !scratch.append_optional(out, self.limit.saturating_sub(used)) {
            scratch.shortened = scratch.shortened.saturating_add(1);
        }
        out.extend_from_slice(&tail);
        scratch.sentence = tail;
    }
}

/// `2026-11-25T22:31:35.123456Z`
fn utc(out: &mut Vec<u8>, ns: i64) {
    let civil = Civil::new(ns.div_euclid(1_000_000_000));
    civil.date(out);
    out.push(b'T');
    civil.clock(out);
    out.push(b'.');
    padded(out, ns.rem_euclid(1_000_000_000).unsigned_abs() / 1_000, 6);
    out.push(b'Z');
}

/// `Nov  5 22:31:35`
fn local(out: &mut Vec<u8>, ns: i64, utc_offset_seconds: i32) {
    let civil = Civil::new(ns.div_euclid(1_000_000_000).saturating_add(utc_offset_seconds.into()));
    let mut text = Vec::with_capacity(32);
    civil.ctime(&mut text); // `Thu Nov  5 22:31:35 2026`
    out.extend_from_slice(text.get(4..19).unwrap_or_default());
}

/// `2026-11-25T22:31:35`, and the zone unless it is UTC: as ulogd writes it.
pub(super) fn zoned(out: &mut Vec<u8>, ns: i64, utc_offset_seconds: i32) {
    let civil = Civil::new(ns.div_euclid(1_000_000_000).saturating_add(utc_offset_seconds.into()));
    civil.date(out);
    out.push(b'T');
    civil.clock(out);
    if utc_offset_seconds != 0 {
        let minutes = utc_offset_seconds.unsigned_abs() / 60;
        out.push(if utc_offset_seconds < 0 { b'-' } else { b'+' });
        two(out, minutes / 60);
        two(out, minutes % 60);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: i64 = 1_795_474_031_000_456_789;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_as_each_format_wants_them() {
        assert_eq!(written(|out| utc(out, NS)), "2026-11-23T22:07:11.000456Z");
        assert_eq!(written(|out| local(out, NS, 7200)), "Nov 24 00:07:11");
        assert_eq!(written(|out| local(out, NS - 20 * 86_400_000_000_000, 0)), "Nov  3 22:07:11");
        assert_eq!(written(|out| zoned(out, NS, 0)), "2026-11-23T22:07:11");
        assert_eq!(written(|out| zoned(out, NS, 7200)), "2026-11-24T00:07:11+0200");
        assert_eq!(written(|out| zoned(out, NS, -12_600)), "2026-11-23T18:37:11-0330");
    }
}
