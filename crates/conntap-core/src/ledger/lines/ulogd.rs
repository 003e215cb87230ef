//! JSON as ulogd2 writes it (NFCT, IP2STR, JSON): its keys, in its order, with its separators.
//!
//! A record that begins is its event 1 (NEW), one that goes on 2 (UPDATE), one that ended 4 (DESTROY). ulogd has no
//! gaps: ours go out as objects of their own, with keys that begin with `conntap.gap`.

use std::net::IpAddr;

use super::syslog::zoned;
use crate::batch::Row;
use crate::json;
use crate::model::{Content, Counters, Flow, Gap, Kind, Tuple};
use crate::text::bytes;

/// The style.
#[derive(Clone, Debug)]
pub struct Ulogd {
    /// Value of the key `dvc`, which ulogd calls device.
    pub device: Vec<u8>,
}

const NS: u64 = 1_000_000_000;

impl Ulogd {
    pub(super) fn row(&self, out: &mut Vec<u8>, row: &Row, content: &Content<'_>, utc_offset_seconds: i32) {
        out.extend_from_slice(b"{\"timestamp\": \"");
        zoned(out, row.received_ns, utc_offset_seconds);
        out.extend_from_slice(b"\", \"dvc\": ");
        json::string(out, &self.device);
        match content {
            Content::Flow(flow) => self::flow(out, row.kind, flow),
            Content::Gap(gap) => self::gap(out, gap),
            Content::Expectation(_) => {}
        }
        out.extend_from_slice(b"}\n");
    }
}

fn flow(out: &mut Vec<u8>, kind: Kind, flow: &Flow<'_>) {
    let protocol = flow.orig.l4proto.unwrap_or_default();
    number(out, "orig.ip.protocol", protocol.into());
    ports(out, protocol, &flow.orig, ["orig.l4.sport", "orig.l4.dport"]);
    counters(out, flow.counters_orig.as_ref(), ["orig.raw.pktlen", "orig.raw.pktcount"]);
    number(out, "reply.ip.protocol", flow.reply.l4proto.unwrap_or(protocol).into());
    ports(out, protocol, &flow.reply, ["reply.l4.sport", "reply.l4.dport"]);
    counters(out, flow.counters_reply.as_ref(), ["reply.raw.pktlen", "reply.raw.pktcount"]);
    if protocol == 1 {
        number(out, "icmp.code", flow.orig.icmp_code.unwrap_or_default().into());
        number(out, "icmp.type", flow.orig.icmp_type.unwrap_or_default().into());
    }
    number(out, "ct.mark", flow.mark.unwrap_or_default().into());
    number(out, "ct.id", flow.id.unwrap_or_default().into());
    number(out, "ct.event", event(kind));
    time(out, flow.start_ns, ["flow.start.sec", "flow.start.usec"]);
    time(out, flow.stop_ns, ["flow.end.sec", "flow.end.usec"]);
    number(out, "oob.family", flow.family.into());
    number(out, "oob.protocol", 0);
    address(out, "src_ip", flow.orig.src);
    address(out, "dest_ip", flow.orig.dst);
    address(out, "reply.ip.saddr.str", flow.reply.src);
    address(out, "reply.ip.daddr.str", flow.reply.dst);
}

fn gap(out: &mut Vec<u8>, gap: &Gap) {
    key(out, "conntap.gap");
    json::string(out, gap.cause.name().as_bytes());
    number(out, "conntap.gap.seq", gap.seq);
    if let Some(lost) = gap.lost {
        number(out, "conntap.gap.lost", lost);
    }
    number(out, "conntap.gap.alive", gap.alive);
    number(out, "conntap.gap.ended", gap.ended);
    let after = u64::try_from(gap.after_ns).ok();
    let before = u64::try_from(gap.before_ns).ok();
    time(out, after, ["conntap.gap.after.sec", "conntap.gap.after.usec"]);
    time(out, before, ["conntap.gap.before.sec", "conntap.gap.before.usec"]);
}

/// ulogd's bits of an event.
fn event(kind: Kind) -> u64 {
    match kind {
        Kind::New | Kind::Binding => 1,
        Kind::Destroy | Kind::Flow => 4,
        _ => 2,
    }
}

/// Only of the protocols of which ulogd knows them.
fn ports(out: &mut Vec<u8>, protocol: u8, tuple: &Tuple, [source, destination]: [&str; 2]) {
    if matches!(protocol, 6 | 17 | 33 | 132 | 136) {
        number(out, source, tuple.sport.unwrap_or_default().into());
        number(out, destination, tuple.dport.unwrap_or_default().into());
    }
}

/// Zero where nothing is known, as there.
fn counters(out: &mut Vec<u8>, counters: Option<&Counters>, [length, count]: [&str; 2]) {
    number(out, length, counters.and_then(|counters| counters.bytes).unwrap_or_default());
    number(out, count, counters.and_then(|counters| counters.packets).unwrap_or_default());
}

fn time(out: &mut Vec<u8>, ns: Option<u64>, [seconds, micros]: [&str; 2]) {
    if let Some(ns) = ns {
        number(out, seconds, ns / NS);
        number(out, micros, ns % NS / 1_000);
    }
}

fn address(out: &mut Vec<u8>, name: &str, value: Option<IpAddr>) {
    if let Some(value) = value {
        key(out, name);
        out.push(b'"');
        bytes::address(out, value);
        out.push(b'"');
    }
}

#[inline]
fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b", \"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\": ");
}

#[inline]
fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    bytes::decimal(out, value);
}
