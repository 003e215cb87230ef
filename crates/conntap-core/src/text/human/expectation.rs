//! Expectations in words: who may open what, for how long, and because of which connection.

use std::net::IpAddr;

use super::flow::by_program;
use super::signs::ALARM;
use super::words::{clean, duration, pad};
use super::{HumanStyle, Recent};
use crate::model::{Expectation, Kind, Tuple};
use crate::text::bytes::{address, decimal};
use crate::text::{Environment, Nowhere, Place};
use crate::wire::constants::*;

use super::ends::End;

/// An expectation in plain words, for people: `ftp: 198.51.100.9 (any port) may open tcp 203.0.113.7:41222 for …`.
#[must_use]
pub fn explain_expectation(expectation: &Expectation<'_>, ascii: bool) -> String {
    let style = HumanStyle { ascii, ..HumanStyle::default() };
    let mut out = Vec::with_capacity(160);
    clean(&mut out, expectation.helper.unwrap_or(b"no helper"));
    out.extend_from_slice(b": ");
    sentence(&style, expectation, &mut Nowhere::default(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Everything behind time and sign.
pub(super) fn write(
    style: &HumanStyle,
    recent: &mut Recent,
    expectation: &Expectation<'_>,
    ns: i64,
    place: &mut Place<'_, '_>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    clean(out, expectation.helper.unwrap_or(b"-"));
    pad(out, start, 7);
    if let Some(helper) = expectation.helper {
        // Master's end is remembered by its DESTROY: a known one must not be made alive again here.
        if place.row.kind != Kind::ExpDestroy {
            recent.master(&expectation.master, helper);
        }
    }
    if place.row.kind == Kind::ExpDestroy {
        return ending(style, recent, expectation, ns, place, out);
    }
    if let Some(id) = expectation.id.filter(|_| place.row.kind == Kind::ExpNew) {
        recent.expectation(id, ns);
    }
    sentence(style, expectation, place.environment, out);
    if place.row.kind != Kind::ExpEntry && place.message.port != 0 {
        out.extend_from_slice(b", ");
        by_program(place.message.port, place.environment, out);
    }
}

/// `198.51.100.9 (any port) may open tcp 203.0.113.7:41222 for 300 s, asked for by A → B`
fn sentence(style: &HumanStyle, expectation: &Expectation<'_>, environment: &mut dyn Environment, out: &mut Vec<u8>) {
    if expectation.any_source() {
        // The loudest thing that this program says.
        style.paint().painted(out, ALARM, |out| {
            out.extend_from_slice(b"! ANYONE");
            source_port(expectation, out);
        });
    } else {
        who(style, expectation, environment, out);
    }
    let flags = expectation.flags.unwrap_or(0);
    let inactive = flags & NF_CT_EXPECT_INACTIVE != 0;
    out.extend_from_slice(if inactive { b" may later open " } else { b" may open " });
    target(style, expectation, environment, out);
    if flags & NF_CT_EXPECT_PERMANENT != 0 {
        out.extend_from_slice(b" any number of times");
    }
    if let Some(seconds) = expectation.timeout {
        out.extend_from_slice(b" for ");
        duration(out, u64::from(seconds).saturating_mul(1_000_000_000).max(1));
    }
    out.extend_from_slice(b", asked for by ");
    let l4 = expectation.master.l4proto.unwrap_or(0);
    super::end(style, End::source(&expectation.master), l4, environment, out);
    out.push(b' ');
    out.extend_from_slice(style.signs().to.as_bytes());
    out.push(b' ');
    super::end(style, End::dest(&expectation.master), l4, environment, out);
    nat(expectation, out);
    if inactive {
        out.extend_from_slice(b", inactive");
    }
    if flags & NF_CT_EXPECT_USERSPACE != 0 {
        out.extend_from_slice(b", made by a userspace helper");
    }
}

/// `198.51.100.9 (any port)`, `10.0.0.0/8 (port 20)`, `anyone (any port)`
pub(in crate::text) fn who(
    style: &HumanStyle,
    expectation: &Expectation<'_>,
    environment: &mut dyn Environment,
    out: &mut Vec<u8>,
) {
    if expectation.any_source() {
        out.extend_from_slice(b"anyone");
    } else {
        let host = End { address: expectation.tuple.src, port: None };
        super::end(style, host, 0, environment, out);
        if let Some(length) = expectation.mask.src.and_then(prefix_length) {
            out.push(b'/');
            decimal(out, length.into());
        } else if let Some(mask) = expectation.mask.src.filter(|mask| !is_full(*mask)) {
            out.extend_from_slice(b" mask ");
            address(out, mask);
        }
    }
    source_port(expectation, out);
}

fn is_full(mask: IpAddr) -> bool {
    match mask {
        IpAddr::V4(mask) => mask.to_bits() == u32::MAX,
        IpAddr::V6(mask) => mask.to_bits() == u128::MAX,
    }
}

/// The length of a mask that is a prefix, but not a whole address.
fn prefix_length(mask: IpAddr) -> Option<u32> {
    let (bits, full, is_prefix) = match mask {
        IpAddr::V4(mask) => (mask.to_bits().leading_ones(), 32, mask.to_bits().count_ones()),
        IpAddr::V6(mask) => (mask.to_bits().leading_ones(), 128, mask.to_bits().count_ones()),
    };
    (bits == is_prefix && bits < full).then_some(bits)
}

fn source_port(expectation: &Expectation<'_>, out: &mut Vec<u8>) {
    if expectation.mask.sport == Some(0) || expectation.tuple.sport.is_none() {
        out.extend_from_slice(b" (any port)");
    } else if let Some(port) = expectation.tuple.sport {
        out.extend_from_slice(b" (port ");
        decimal(out, port.into());
        out.push(b')');
    }
}

/// `tcp 203.0.113.7:41222`
fn target(style: &HumanStyle, expectation: &Expectation<'_>, environment: &mut dyn Environment, out: &mut Vec<u8>) {
    let tuple = &expectation.tuple;
    super::protocol(out, tuple.l4proto);
    out.push(b' ');
    let any_port = expectation.mask.dport == Some(0);
    let host = End { address: tuple.dst, port: tuple.dport.filter(|_| !any_port) };
    super::end(style, host, tuple.l4proto.unwrap_or(0), environment, out);
    if any_port {
        out.extend_from_slice(b" (any port)");
    }
}

/// What NAT will do with the connection, as far as the kernel says it.
///
/// Source: net/netfilter/nf_nat_helper.c, `nf_nat_follow_master`: an expectation in the reply direction goes to the
/// source of its master's original tuple, at the port that was saved when it was made.
fn nat(expectation: &Expectation<'_>, out: &mut Vec<u8>) {
    let saved = expectation.nat_tuple.unwrap_or_default();
    let address_known = saved.src.filter(|saved| !saved.is_unspecified());
    let inside = address_known.or(expectation.master.src.filter(|_| expectation.nat_dir == Some(1)));
    match (expectation.nat_tuple, inside) {
        (Some(Tuple { sport, .. }), Some(inside)) => {
            out.extend_from_slice(b", passed on to ");
            let host = End { address: Some(inside), port: sport.filter(|port| *port != 0) };
            let l4 = expectation.tuple.l4proto.unwrap_or(0);
            super::end(&HumanStyle::default(), host, l4, &mut Nowhere::default(), out);
        }
        (Some(_), None) => out.extend_from_slice(b", NAT as its master"),
        (None, _) if expectation.function.is_some() => out.extend_from_slice(b", NAT"),
        (None, _) => return,
    }
    if let Some(function) = expectation.function {
        out.extend_from_slice(b" (");
        clean(out, function);
        out.push(b')');
    }
}

/// Flag words for tables: `permanent, inactive, userspace`.
pub(in crate::text) fn flags(expectation: &Expectation<'_>, out: &mut Vec<u8>) {
    let set = expectation.flags.unwrap_or(0);
    for (bit, word) in [
        (NF_CT_EXPECT_PERMANENT, "permanent"),
        (NF_CT_EXPECT_INACTIVE, "inactive"),
        (NF_CT_EXPECT_USERSPACE, "userspace"),
    ] {
        if set & bit != 0 {
            out.extend_from_slice(word.as_bytes());
            out.extend_from_slice(b"  ");
        }
    }
}

/// `tcp 203.0.113.7:41222: used after 0.05 s`
///
/// The kernel does not say why an expectation ended. What is left: no time (it expired), a requester (deleted), its
/// master's end just before; otherwise it was used, or a signalling helper withdrew it.
fn ending(
    style: &HumanStyle,
    recent: &mut Recent,
    expectation: &Expectation<'_>,
    ns: i64,
    place: &mut Place<'_, '_>,
    out: &mut Vec<u8>,
) {
    target(style, expectation, place.environment, out);
    out.extend_from_slice(b": ");
    let withdraws = matches!(expectation.helper, Some(b"sip" | b"RAS" | b"Q.931" | b"H.245"));
    let began = expectation.id.and_then(|id| recent.take_expectation(id));
    if place.message.port != 0 {
        out.extend_from_slice(b"deleted ");
        by_program(place.message.port, place.environment, out);
    } else if expectation.timeout == Some(0) {
        out.extend_from_slice(b"expired, never used");
    } else if recent.has_ended(&expectation.master) {
        out.extend_from_slice(b"ended with its connection");
    } else {
        out.extend_from_slice(if withdraws { b"used or withdrawn" } else { b"used" });
    }
    if let Some(began) = began {
        out.extend_from_slice(b" after ");
        duration(out, u64::try_from(ns.saturating_sub(began)).unwrap_or(0));
    }
}
