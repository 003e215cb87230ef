//! The text line of `conntrack` (libnetfilter_conntrack's default form), byte for byte.
//!
//! Every field is followed by a blank and the last blank is cut, as the original does. Never written: synproxy,
//! sequence adjustment, window scale, SCTP tags, DCCP role, and status bits other than the three marks below.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bytes::{address, decimal, hex, padded};
use super::clock::seconds_of;
use super::labels::{LabelMap, set_bits};
use super::{Environment, Place};
use crate::model::names::{DCCP_STATES, SCTP_STATES, TCP_STATES, l4proto};
use crate::model::{Counters, Flow, Kind, ProtoInfo, Tuple};
use crate::wire::constants::*;

/// The `-o` words of the text form, and what else decides about a line.
#[derive(Clone, Debug)]
pub struct ConntrackStyle {
    /// `-o extended`: the layer-3 protocol in front.
    pub extended: bool,
    /// `-o id`
    pub id: bool,
    /// `-o ktimestamp`: start and stop as the kernel recorded them.
    pub ktimestamp: bool,
    /// `-o timestamp`: `[SECONDS.MICROSECONDS]` in front of events, and of expectations in lists too.
    pub timestamp: bool,
    /// Writes `labels=` when there is a map.
    pub labels: Option<LabelMap>,
    /// `    [NEW] ` in front of events.
    pub events: bool,
    /// ` [USERSPACE] portid=` behind events that a program caused.
    pub userspace: bool,
}

impl Default for ConntrackStyle {
    fn default() -> Self {
        Self {
            extended: false,
            id: false,
            ktimestamp: false,
            timestamp: false,
            labels: None,
            events: true,
            userspace: true,
        }
    }
}

/// Append the line of a flow.
#[inline]
pub fn write(style: &ConntrackStyle, flow: &Flow<'_>, place: &mut Place<'_, '_>, out: &mut Vec<u8>) {
    out.reserve(512); // once for most lines; longer ones grow
    let kind = place.row.kind;
    if style.timestamp && kind != Kind::Entry {
        let ns = place.event_ns(flow.event_ns);
        out.push(b'[');
        padded(out, ns.div_euclid(1_000_000_000).unsigned_abs(), 8);
        out.push(b'.');
        padded(out, ns.rem_euclid(1_000_000_000).unsigned_abs() / 1_000, 6);
        out.extend_from_slice(b"]\t");
    }
    if style.events {
        out.extend_from_slice(prefix(kind));
    }
    fields(style, flow, place, out);
    if out.last() == Some(&b' ') {
        out.pop();
    }
    if style.userspace && kind != Kind::Entry {
        place.userspace(out);
    }
    out.push(b'\n');
}

/// The event's name, right-aligned to nine columns; nothing for entries.
#[must_use]
pub fn prefix(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::New | Kind::ExpNew | Kind::Binding => b"    [NEW] ",
        Kind::Update | Kind::ExpUpdate | Kind::Interim => b" [UPDATE] ",
        Kind::Destroy | Kind::ExpDestroy | Kind::Flow => b"[DESTROY] ",
        Kind::Entry | Kind::ExpEntry | Kind::Gap | Kind::Open => b"",
    }
}

#[inline]
fn fields(style: &ConntrackStyle, flow: &Flow<'_>, place: &mut Place<'_, '_>, out: &mut Vec<u8>) {
    if style.extended {
        l3_column(out, flow.family);
    }
    l4_column(out, flow.orig.l4proto.unwrap_or(0));
    if let Some(timeout) = flow.timeout {
        decimal(out, timeout.into());
        out.push(b' ');
    }
    if let Some(state) = flow.protoinfo.as_ref().and_then(state_name) {
        out.extend_from_slice(state.as_bytes());
        out.push(b' ');
    }
    addresses(out, flow.family, &flow.orig, b"");
    l4_part(out, &flow.orig);
    number(out, b"zone-orig=", flow.orig.zone.map(u64::from));
    counters(out, flow.counters_orig);
    let status = flow.status.unwrap_or(IPS_SEEN_REPLY); // not sent: no mark either way
    if status & IPS_SEEN_REPLY == 0 {
        out.extend_from_slice(b"[UNREPLIED] ");
    }
    addresses(out, flow.family, &flow.reply, b"");
    l4_part(out, &flow.reply);
    number(out, b"zone-reply=", flow.reply.zone.map(u64::from));
    counters(out, flow.counters_reply);
    // One mark only: an offloaded flow hides that it is assured.
    if status & IPS_HW_OFFLOAD != 0 {
        out.extend_from_slice(b"[HW_OFFLOAD] ");
    } else if status & IPS_OFFLOAD != 0 {
        out.extend_from_slice(b"[OFFLOAD] ");
    } else if status & IPS_ASSURED != 0 {
        out.extend_from_slice(b"[ASSURED] ");
    }
    number(out, b"mark=", flow.mark.map(u64::from));
    number(out, b"secmark=", flow.secmark.map(u64::from));
    text(out, b"secctx=", flow.secctx);
    number(out, b"zone=", flow.zone.filter(|zone| *zone != 0).map(u64::from));
    if flow.start_ns.is_some() {
        times(style, flow, place, out);
    }
    text(out, b"helper=", flow.helper);
    number(out, b"use=", flow.use_count.map(u64::from));
    if style.id {
        number(out, b"id=", flow.id.map(u64::from));
    }
    if let (Some(map), Some(labels)) = (&style.labels, flow.labels) {
        label_names(out, map, labels);
    }
}

/// `ipv4     2 `
fn l3_column(out: &mut Vec<u8>, family: u8) {
    match family {
        AF_INET => out.extend_from_slice(b"ipv4     2 "),
        AF_INET6 => out.extend_from_slice(b"ipv6     10 "),
        other => {
            out.extend_from_slice(b"unknown  ");
            decimal(out, other.into());
            out.push(b' ');
        }
    }
}

/// `tcp      6 `
#[inline]
fn l4_column(out: &mut Vec<u8>, number: u8) {
    out.extend_from_slice(match number {
        IPPROTO_TCP => b"tcp      6 ",
        IPPROTO_UDP => b"udp      17 ",
        IPPROTO_ICMP => b"icmp     1 ",
        _ => return other_l4_column(out, number),
    });
}

fn other_l4_column(out: &mut Vec<u8>, number: u8) {
    let name = l4proto(number).unwrap_or("unknown");
    let end = out.len().saturating_add(9);
    out.extend_from_slice(name.as_bytes());
    out.resize(end, b' ');
    decimal(out, number.into());
    out.push(b' ');
}

/// The state's name; a number without a name reads NONE. None when no state was sent.
#[inline]
pub(crate) fn state_name(info: &ProtoInfo) -> Option<&'static str> {
    let names: &'static [&'static str; 10] = match info {
        ProtoInfo::Tcp { .. } => &TCP_STATES,
        ProtoInfo::Sctp { .. } => &SCTP_STATES,
        ProtoInfo::Dccp { .. } => &DCCP_STATES,
    };
    let state = usize::from(info.state()?);
    Some(names.get(state).copied().unwrap_or("NONE"))
}

/// `src=A dst=A `, with something before both names. What was not sent is the family's zero address.
#[inline]
pub(crate) fn addresses(out: &mut Vec<u8>, family: u8, tuple: &Tuple, before: &[u8]) {
    let none: IpAddr = match family {
        AF_INET => Ipv4Addr::UNSPECIFIED.into(),
        AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
        _ if tuple.src.is_none() && tuple.dst.is_none() => return,
        _ => Ipv4Addr::UNSPECIFIED.into(),
    };
    out.extend_from_slice(before);
    out.extend_from_slice(b"src=");
    address(out, tuple.src.unwrap_or(none));
    out.push(b' ');
    out.extend_from_slice(before);
    out.extend_from_slice(b"dst=");
    address(out, tuple.dst.unwrap_or(none));
    out.push(b' ');
}

/// Ports, keys or ICMP numbers; nothing for other protocols. What was not sent is 0.
#[inline]
pub(crate) fn l4_part(out: &mut Vec<u8>, tuple: &Tuple) {
    let port = |port: Option<u16>| u64::from(port.unwrap_or(0));
    match tuple.l4proto {
        Some(IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_DCCP) => {
            number(out, b"sport=", Some(port(tuple.sport)));
            number(out, b"dport=", Some(port(tuple.dport)));
        }
        Some(IPPROTO_ICMP | IPPROTO_ICMPV6) => {
            number(out, b"type=", Some(tuple.icmp_type.unwrap_or(0).into()));
            number(out, b"code=", Some(tuple.icmp_code.unwrap_or(0).into()));
            number(out, b"id=", Some(port(tuple.icmp_id)));
        }
        Some(IPPROTO_GRE) => {
            out.extend_from_slice(b"srckey=0x");
            hex(out, port(tuple.sport));
            out.extend_from_slice(b" dstkey=0x");
            hex(out, port(tuple.dport));
            out.push(b' ');
        }
        _ => {}
    }
}

/// Both counters of a direction, or nothing.
#[inline]
fn counters(out: &mut Vec<u8>, counters: Option<Counters>) {
    if let Some(Counters { packets: Some(packets), bytes: Some(bytes) }) = counters {
        number(out, b"packets=", Some(packets));
        number(out, b"bytes=", Some(bytes));
    }
}

/// `name=N `, if there is one.
#[inline]
pub(crate) fn number<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: Option<u64>) {
    if let Some(value) = value {
        out.extend_from_slice(name);
        decimal(out, value);
        out.push(b' ');
    }
}

/// `name=TEXT `, if there is one.
#[inline]
pub(crate) fn text<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: Option<&[u8]>) {
    if let Some(value) = value {
        out.extend_from_slice(name);
        out.extend_from_slice(value);
        out.push(b' ');
    }
}

/// `delta-time=N [start=…] [stop=…] `
fn times(style: &ConntrackStyle, flow: &Flow<'_>, place: &mut Place<'_, '_>, out: &mut Vec<u8>) {
    number(out, b"delta-time=", delta_seconds(flow, place));
    if !style.ktimestamp {
        return;
    }
    for (name, time) in [(b"[start=".as_slice(), flow.start_ns), (b"[stop=", flow.stop_ns)] {
        if let Some(time) = time {
            out.extend_from_slice(name);
            let environment: &dyn Environment = place.environment;
            place.clock.local(seconds_of(time), environment).ctime(out);
            out.extend_from_slice(b"] ");
        }
    }
}

/// Whole seconds from start to stop, or to now: the difference of the seconds, not the seconds of the difference.
pub(crate) fn delta_seconds(flow: &Flow<'_>, place: &Place<'_, '_>) -> Option<u64> {
    let stop = match flow.stop_ns {
        Some(stop) if stop != 0 => seconds_of(stop),
        _ => place.received_ns().div_euclid(1_000_000_000),
    };
    // A clock that was set back would give a negative time.
    Some(u64::try_from(stop.saturating_sub(seconds_of(flow.start_ns?))).unwrap_or(0))
}

/// `labels=a,b `: named bits only. Bits without any name give the bare word `labels`, as in the original.
fn label_names(out: &mut Vec<u8>, map: &LabelMap, labels: &[u8]) {
    out.extend_from_slice(b"labels");
    let mut before = b'=';
    for name in set_bits(labels).filter_map(|bit| map.name(bit)) {
        out.push(before);
        out.extend_from_slice(name);
        before = b',';
    }
    out.push(b' ');
}
