//! The human line of a flow.

use std::net::IpAddr;

use super::ends::{Path, path};
use super::words::{clean, columns, duration, icmp_type, pad, size};
use super::{End, Ends, HumanStyle, Initiator, Recent, flow_ends};
use crate::model::names::l4proto;
use crate::model::record::end_reason;
use crate::model::{Flow, Kind, Tuple};
use crate::text::bytes::{address, decimal, hex};
use crate::text::labels::set_bits;
use crate::text::{Environment, Place, conntrack};
use crate::wire::constants::*;

/// Where the state stands on a wide terminal: columns of the two ends.
const ENDS: usize = 68;
/// Columns of a state: `ESTABLISHED` and two blanks.
const STATE: usize = 13;

/// Everything behind time and sign.
pub(super) fn write(
    style: &HumanStyle,
    recent: &mut Recent,
    flow: &Flow<'_>,
    ns: i64,
    place: &mut Place<'_, '_>,
    out: &mut Vec<u8>,
) {
    let kind = place.row.kind;
    remember(recent, kind, flow);
    let start = out.len();
    protocol(out, flow.orig.l4proto);
    pad(out, start, 7);
    let start = out.len();
    ends(style, flow, place.environment, out);
    let wanted = match style.width {
        0 => ENDS,
        width => width.saturating_sub(24 + 24).clamp(40, ENDS),
    };
    pad(out, start, wanted);
    out.push(b' ');
    let mut state_shown = true;
    if matches!(kind, Kind::Destroy | Kind::Flow) {
        state_shown = !summary(style, flow, ns, out);
    } else {
        let start = out.len();
        out.extend_from_slice(state(flow, kind).as_bytes());
        pad(out, start, STATE);
    }
    words(style, recent, flow, state_shown, place, out);
}

fn remember(recent: &mut Recent, kind: Kind, flow: &Flow<'_>) {
    if let Some(helper) = flow.helper {
        recent.master(&flow.orig, helper);
    }
    if matches!(kind, Kind::Destroy | Kind::Flow) {
        recent.ended(&flow.orig);
    }
}

/// `tcp`, `proto-89`
pub(in crate::text) fn protocol(out: &mut Vec<u8>, number: Option<u8>) {
    match number {
        Some(number) => match l4proto(number) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => {
                out.extend_from_slice(b"proto-");
                decimal(out, number.into());
            }
        },
        None => out.push(b'?'),
    }
}

/// `SOURCE [⇒ AS SEEN] → DEST [service] [⇒ TARGET]`, and what ICMP has instead of ports.
fn ends(style: &HumanStyle, flow: &Flow<'_>, environment: &mut dyn Environment, out: &mut Vec<u8>) {
    let signs = style.signs();
    let Path { source, source_nat, dest, dest_nat } = path(flow);
    let l4 = flow.orig.l4proto.unwrap_or(0);
    end(style, source, l4, environment, out);
    if let Some(seen) = source_nat {
        sign(out, signs.nat);
        end(style, seen, l4, environment, out);
    }
    sign(out, signs.to);
    end(style, dest, l4, environment, out);
    if style.services {
        service(dest, l4, environment, out);
    }
    if let Some(target) = dest_nat {
        sign(out, signs.nat);
        end(style, target, l4, environment, out);
    }
    if matches!(l4, IPPROTO_ICMP | IPPROTO_ICMPV6) {
        icmp(style, &flow.orig, flow.reply.icmp_id, out);
    }
}

fn sign(out: &mut Vec<u8>, sign: &str) {
    out.push(b' ');
    out.extend_from_slice(sign.as_bytes());
    out.push(b' ');
}

/// ` ssh`, if the port's service has a name.
pub(in crate::text) fn service(dest: End, l4: u8, environment: &mut dyn Environment, out: &mut Vec<u8>) {
    if has_ports(l4)
        && let Some(port) = dest.port
        && let Some(name) = environment.service_name(port, l4)
    {
        out.push(b' ');
        clean(out, name.as_bytes());
    }
}

fn has_ports(l4: u8) -> bool {
    matches!(l4, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_DCCP)
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`, `host:80`; GRE keys in hexadecimal; no port where the protocol has none.
pub(in crate::text) fn end(style: &HumanStyle, end: End, l4: u8, environment: &mut dyn Environment, out: &mut Vec<u8>) {
    let port = match l4 {
        IPPROTO_GRE => end.port.filter(|key| *key != 0),
        l4 if has_ports(l4) => end.port,
        _ => None,
    };
    let name = end.address.filter(|_| style.names).and_then(|address| environment.host_name(address));
    match (name, end.address) {
        (Some(name), _) => clean(out, name.as_bytes()),
        (None, Some(IpAddr::V6(v6))) if port.is_some() => {
            out.push(b'[');
            address(out, v6.into());
            out.push(b']');
        }
        (None, Some(plain)) => address(out, plain),
        (None, None) => out.push(b'?'),
    }
    if let Some(port) = port {
        out.push(b':');
        if l4 == IPPROTO_GRE {
            out.extend_from_slice(b"0x");
            hex(out, port.into());
        } else {
            decimal(out, port.into());
        }
    }
}

/// ` echo-request id 77`
fn icmp(style: &HumanStyle, tuple: &Tuple, reply_id: Option<u16>, out: &mut Vec<u8>) {
    if let Some(number) = tuple.icmp_type {
        out.push(b' ');
        match icmp_type(tuple.l4proto.unwrap_or(0), number) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => {
                out.extend_from_slice(b"type ");
                decimal(out, number.into());
            }
        }
    }
    if let Some(code) = tuple.icmp_code.filter(|code| *code != 0) {
        out.extend_from_slice(b" code ");
        decimal(out, code.into());
    }
    if let Some(id) = tuple.icmp_id {
        out.extend_from_slice(b" id ");
        decimal(out, id.into());
        if let Some(other) = reply_id.filter(|other| *other != id) {
            sign(out, style.signs().nat);
            decimal(out, other.into());
        }
    }
}

/// The protocol's state; for protocols without one, whether an answer was seen.
pub(in crate::text) fn state(flow: &Flow<'_>, kind: Kind) -> &'static str {
    if let Some(name) = flow.protoinfo.as_ref().and_then(conntrack::state_name) {
        return name;
    }
    match flow.status {
        _ if kind == Kind::New => "",
        Some(status) if status & IPS_SEEN_REPLY == 0 => "unreplied",
        Some(_) => "replied",
        None => "",
    }
}

/// `6.1 s  ↑ 1.2 kB  ↓ 3.4 MB  `; false if nothing of that is known and the state stands in its place.
fn summary(style: &HumanStyle, flow: &Flow<'_>, ns: i64, out: &mut Vec<u8>) -> bool {
    let begin = out.len();
    if let Some(start) = flow.start_ns {
        let stop = flow.stop_ns.unwrap_or(u64::try_from(ns).unwrap_or(0));
        let at = out.len();
        duration(out, stop.saturating_sub(start));
        pad(out, at, 8);
    }
    let (up, down) = traffic(flow, &flow_ends(flow));
    for (sign, bytes) in [(style.signs().up, up), (style.signs().down, down)] {
        if let Some(bytes) = bytes {
            let at = out.len();
            out.extend_from_slice(sign.as_bytes());
            out.push(b' ');
            size(out, bytes);
            pad(out, at, columns(sign.as_bytes()).saturating_add(9));
        }
    }
    let known = out.len() > begin;
    if !known {
        out.extend_from_slice(state(flow, Kind::Destroy).as_bytes());
        pad(out, begin, STATE);
    }
    known
}

/// Bytes from inside to outside, and from outside to inside.
pub(in crate::text) fn traffic(flow: &Flow<'_>, ends: &Ends) -> (Option<u64>, Option<u64>) {
    let forth = flow.counters_orig.and_then(|counters| counters.bytes);
    let back = flow.counters_reply.and_then(|counters| counters.bytes);
    match ends.initiator {
        Initiator::Inside => (forth, back),
        Initiator::Remote => (back, forth),
    }
}

/// What else there is to say, two blanks between.
fn words(
    style: &HumanStyle,
    recent: &Recent,
    flow: &Flow<'_>,
    state_shown: bool,
    place: &mut Place<'_, '_>,
    out: &mut Vec<u8>,
) {
    let kind = place.row.kind;
    let status = flow.status.unwrap_or(IPS_SEEN_REPLY);
    let has_state = flow.protoinfo.is_some_and(|info| info.state().is_some());
    // Without a protocol state the state column has said it; a NEW flow is always unreplied.
    if status & IPS_SEEN_REPLY == 0 && kind != Kind::New && (has_state || !state_shown) {
        out.extend_from_slice(b"unreplied  ");
    }
    if matches!(kind, Kind::Destroy | Kind::Flow) {
        let timed_out = match flow.record.and_then(|record| record.end_reason) {
            Some(reason) => reason == end_reason::IDLE_TIMEOUT,
            None => flow.timeout.is_none() && place.message.port == 0,
        };
        if timed_out {
            out.extend_from_slice(b"timed out  ");
        }
    } else {
        if status & IPS_ASSURED != 0 {
            out.extend_from_slice(b"assured  ");
        }
        if status & (IPS_OFFLOAD | IPS_HW_OFFLOAD) != 0 {
            let hardware = status & IPS_HW_OFFLOAD != 0;
            out.extend_from_slice(if hardware { b"offloaded to hardware  " } else { b"offloaded  " });
        }
    }
    if let Some(master) = &flow.master {
        related(style, recent, master, place.environment, out);
    }
    notes(style, flow, out);
    if kind != Kind::Entry && place.message.port != 0 {
        by_program(place.message.port, place.environment, out);
    }
}

/// `related to ftp ↑` where its line stands above, else the master's ends.
fn related(style: &HumanStyle, recent: &Recent, master: &Tuple, environment: &mut dyn Environment, out: &mut Vec<u8>) {
    out.extend_from_slice(b"related to ");
    if let Some(helper) = recent.helper(master) {
        clean(out, helper);
        out.push(b' ');
        out.extend_from_slice(style.signs().above.as_bytes());
    } else {
        let l4 = master.l4proto.unwrap_or(0);
        end(style, End::source(master), l4, environment, out);
        sign(out, style.signs().to);
        end(style, End::dest(master), l4, environment, out);
    }
    out.extend_from_slice(b"  ");
}

/// Helper, mark, zones, labels: each with two blanks behind.
pub(in crate::text) fn notes(style: &HumanStyle, flow: &Flow<'_>, out: &mut Vec<u8>) {
    if let Some(helper) = flow.helper {
        out.extend_from_slice(b"helper ");
        clean(out, helper);
        out.extend_from_slice(b"  ");
    }
    if let Some(mark) = flow.mark.filter(|mark| *mark != 0) {
        out.extend_from_slice(b"mark 0x");
        hex(out, mark.into());
        out.extend_from_slice(b"  ");
    }
    for (zone, which) in [(flow.zone, ""), (flow.orig.zone, " (original)"), (flow.reply.zone, " (reply)")] {
        if let Some(zone) = zone.filter(|zone| *zone != 0) {
            out.extend_from_slice(b"zone ");
            decimal(out, zone.into());
            out.extend_from_slice(which.as_bytes());
            out.extend_from_slice(b"  ");
        }
    }
    let mut before: &[u8] = b"labels ";
    for bit in flow.labels.into_iter().flat_map(set_bits) {
        out.extend_from_slice(before);
        match style.labels.as_ref().and_then(|map| map.name(bit)) {
            Some(name) => clean(out, name),
            None => decimal(out, bit.into()),
        }
        before = b",";
    }
    if before == b"," {
        out.extend_from_slice(b"  ");
    }
}

/// `by conntrack`: a program made, changed or deleted it.
pub(super) fn by_program(port: u32, environment: &mut dyn Environment, out: &mut Vec<u8>) {
    out.extend_from_slice(b"by ");
    match environment.program(port) {
        Some(name) => clean(out, name.as_bytes()),
        None => {
            out.extend_from_slice(b"port id ");
            decimal(out, port.into());
        }
    }
}
