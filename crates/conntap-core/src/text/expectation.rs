//! Expectations as `conntrack -L expect` and `-E expect` write them: text line and XML.

use super::Place;
use super::bytes::decimal;
use super::conntrack::{ConntrackStyle, addresses, l4_part, number, prefix, text};
use super::xml::{self, XmlStyle, element, element_text, tagged};
use crate::model::{Expectation, Kind};
use crate::wire::constants::*;

const FLAGS: [(u32, &str); 3] =
    [(NF_CT_EXPECT_PERMANENT, "PERMANENT"), (NF_CT_EXPECT_INACTIVE, "INACTIVE"), (NF_CT_EXPECT_USERSPACE, "USERSPACE")];

/// Append the text line of an expectation.
pub fn write(style: &ConntrackStyle, expectation: &Expectation<'_>, place: &mut Place<'_, '_>, out: &mut Vec<u8>) {
    if style.timestamp {
        stamp(place.received_ns(), out);
    }
    if style.events {
        out.extend_from_slice(prefix(place.row.kind));
    }
    let family = expectation.family;
    if let Some(timeout) = expectation.timeout {
        decimal(out, timeout.into());
        out.push(b' ');
    }
    number(out, b"proto=", Some(expectation.tuple.l4proto.unwrap_or(0).into()));
    for (tuple, before) in
        [(&expectation.tuple, b"".as_slice()), (&expectation.mask, b"mask-"), (&expectation.master, b"master-")]
    {
        addresses(out, family, tuple, before);
        l4_part(out, tuple);
    }
    number(out, b"zone=", expectation.zone.map(u64::from));
    let flags = expectation.flags.unwrap_or(0);
    let mut any = false;
    for (_, word) in FLAGS.into_iter().filter(|(bit, _)| flags & bit != 0) {
        if any {
            out.push(b',');
        }
        out.extend_from_slice(word.as_bytes());
        any = true;
    }
    if any {
        out.push(b' ');
    }
    number(out, b"class=", expectation.class.map(u64::from));
    text(out, b"helper=", expectation.helper);
    if out.last() == Some(&b' ') {
        out.pop();
    }
    out.push(b'\n');
}

/// `[1795474038.4821  ]` TAB: unlike those of flows, the microseconds are left-justified and padded with blanks.
fn stamp(ns: i64, out: &mut Vec<u8>) {
    out.push(b'[');
    left(out, ns.div_euclid(1_000_000_000).unsigned_abs(), 8);
    out.push(b'.');
    left(out, ns.rem_euclid(1_000_000_000).unsigned_abs() / 1_000, 6);
    out.extend_from_slice(b"]\t");
}

fn left(out: &mut Vec<u8>, n: u64, width: usize) {
    let end = out.len().saturating_add(width);
    decimal(out, n);
    if out.len() < end {
        out.resize(end, b' ');
    }
}

/// Append the XML element of an expectation, without root.
pub fn write_xml(style: &XmlStyle, expectation: &Expectation<'_>, place: &mut Place<'_, '_>, out: &mut Vec<u8>) {
    let tuples = [("expected", &expectation.tuple), ("mask", &expectation.mask), ("master", &expectation.master)];
    out.extend_from_slice(match place.row.kind {
        _ if !style.events => b"<flow>",
        Kind::ExpNew => b"<flow type=\"new\">".as_slice(),
        Kind::ExpUpdate => b"<flow type=\"update\">",
        Kind::ExpDestroy => b"<flow type=\"destroy\">",
        _ => b"<flow>",
    });
    xml::layer3(out, expectation.family);
    for (name, tuple) in tuples {
        tagged(out, name, |out| xml::addresses(out, expectation.family, tuple));
    }
    out.extend_from_slice(b"</layer3>");
    xml::layer4(out, expectation.tuple.l4proto);
    for (name, tuple) in tuples {
        tagged(out, name, |out| xml::l4_part(out, tuple));
    }
    out.extend_from_slice(b"</layer4><meta>");
    element_text(out, "helper-name", expectation.helper);
    element(out, "timeout", expectation.timeout.map(u64::from));
    element(out, "class", expectation.class.map(u64::from));
    element(out, "zone", expectation.zone.map(u64::from));
    if style.timestamp {
        let ns = place.received_ns();
        xml::when(out, ns, place);
    }
    let flags = expectation.flags.unwrap_or(0);
    for (bit, word) in FLAGS {
        if flags & bit != 0 {
            out.push(b'<');
            out.extend_from_slice(word.to_ascii_lowercase().as_bytes());
            out.extend_from_slice(b"/>");
        }
    }
    out.extend_from_slice(b"</meta></flow>\n");
}
