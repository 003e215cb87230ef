//! A record while its segment grows: one small piece for what nearly every record has, another for what few have.

use std::net::IpAddr;

use super::fields::{BINDING, FLOW, INTERIM, OPEN};
use super::privacy::Privacy;
use crate::batch::Row;
use crate::model::record::From;
use crate::model::{Flow, Kind, ProtoInfo, Tuple};

/// An address as it is held: IPv4 itself, IPv6 by its place in [`Wide`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Held {
    #[default]
    None,
    V4(u32),
    V6(u32),
}

/// IPv6 addresses of a segment.
pub type Wide = Vec<[u8; 16]>;

/// One end: address and port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
}

/// The four ends of a record. Those of `inside` and `answered` are None where they say nothing new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    pub outside: End,
    pub inside: End,
    pub dialled: End,
    pub answered: End,
    /// Bits: 1 source, 2 destination.
    pub nat: u8,
}

pub const SOURCE: u8 = 1;
pub const DESTINATION: u8 = 2;

/// Source and destination of a tuple: of ICMP the id is the port of the one, type and code that of the other.
#[inline]
fn ends(tuple: &Tuple) -> (End, End) {
    let (sport, dport) = match tuple.icmp_type {
        Some(kind) => (tuple.icmp_id, Some(u16::from_be_bytes([kind, tuple.icmp_code.unwrap_or_default()]))),
        None => (tuple.sport.or(tuple.icmp_id), tuple.dport),
    };
    (End { address: tuple.src, port: sport }, End { address: tuple.dst, port: dport })
}

impl Ends {
    #[inline]
    pub fn of(flow: &Flow<'_>) -> Self {
        let (source, dialled) = ends(&flow.orig);
        let plain = Self { outside: source, dialled, ..Self::default() };
        let reply = &flow.reply;
        let (Some(answered), Some(_)) = (reply.src, reply.dst) else { return plain };
        let icmp = flow.orig.icmp_type.is_some();
        // The answer of an ICMP request has the id alone in common with it.
        let outside = End { address: reply.dst, port: if icmp { reply.icmp_id } else { reply.dport } };
        let answered = End { address: Some(answered), port: if icmp { dialled.port } else { reply.sport } };
        let source_nat = outside != source;
        let destination_nat = answered != dialled;
        let differs = |one: End, other: End| End {
            address: one.address.filter(|_| one.address != other.address),
            port: one.port.filter(|_| one.port != other.port),
        };
        Self {
            outside,
            inside: differs(source, outside),
            dialled,
            answered: differs(answered, dialled),
            nat: if source_nat { SOURCE } else { 0 } | if destination_nat { DESTINATION } else { 0 },
        }
    }

    /// Leave out and disguise what shall not be told.
    pub fn protect(&mut self, privacy: &Privacy, no_destination: bool) {
        if no_destination && self.nat & DESTINATION == 0 {
            self.dialled = End::default();
        }
        if no_destination && self.nat == DESTINATION {
            self.outside = End::default(); // who dialled: the other party
        }
        let tell = |end: &mut End, hidden| end.address = end.address.map(|address| privacy.tell(address, hidden));
        tell(&mut self.outside, false);
        tell(&mut self.inside, true);
        tell(&mut self.dialled, false);
        tell(&mut self.answered, true);
    }
}

/// What nearly every record has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packed {
    pub start_ns: i64,
    pub duration_ns: i64,
    pub counters: [u64; 4],
    pub outside: Held,
    pub inside: Held,
    pub dialled: Held,
    pub answered: Held,
    pub status: u32,
    /// Place in the list of rarities.
    pub rare: Option<std::num::NonZeroU32>,
    pub ports: [u16; 4],
    pub kind: u8,
    pub nat: u8,
    pub family: u8,
    pub l4proto: u8,
    pub state: u8,
    pub end_reason: u8,
    pub start_from: u8,
    pub stop_from: u8,
    /// Which of the others have a value: the bits below.
    pub has: u16,
}

pub mod has {
    /// Four ports: outside, inside, dialled, answered.
    pub const PORT: [u16; 4] = [1, 1 << 1, 1 << 2, 1 << 3];
    pub const COUNTER: [u16; 4] = [1 << 4, 1 << 5, 1 << 6, 1 << 7];
    pub const START: u16 = 1 << 8;
    pub const DURATION: u16 = 1 << 9;
    pub const STATUS: u16 = 1 << 10;
    pub const STATE: u16 = 1 << 11;
    pub const END_REASON: u16 = 1 << 12;
    pub const L4PROTO: u16 = 1 << 13;
}

/// What few records have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rare {
    pub prior: Option<[u64; 4]>,
    pub stop_after_ns: Option<i64>,
    pub mark: Option<u32>,
    pub zone: Option<u16>,
    pub orig_zone: Option<u16>,
    pub reply_zone: Option<u16>,
    pub labels: Option<[u8; 16]>,
    pub helper: Option<u32>,
    pub secctx: Option<u32>,
    pub portid: Option<u32>,
    pub master: Option<Tuple>,
    pub flow_id: Option<u64>,
    pub record_no: Option<u32>,
    pub exporter: Option<u32>,
    pub domain: Option<u32>,
    pub elements: Option<Box<str>>,
    pub unknown: Option<Box<str>>,
    pub seq: Option<u64>,
    pub id: Option<u32>,
}

/// What a record says besides its ends and rarities.
#[inline]
pub fn pack(row: &Row, flow: &Flow<'_>, ends: &Ends) -> Packed {
    let record = flow.record.unwrap_or_default();
    let mut packed = Packed {
        kind: match row.kind {
            Kind::Interim => INTERIM,
            Kind::Binding => BINDING,
            Kind::Open => OPEN,
            _ => FLOW,
        },
        nat: ends.nat,
        family: flow.family,
        start_from: record.start_from as u8,
        stop_from: record.stop_from as u8,
        ..Packed::default()
    };
    let mut has = 0;
    let all = [ends.outside, ends.inside, ends.dialled, ends.answered];
    for ((end, bit), port) in all.iter().zip(has::PORT).zip(&mut packed.ports) {
        if let Some(value) = end.port {
            *port = value;
            has |= bit;
        }
    }
    let time = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
    let stop = match row.kind {
        Kind::Interim | Kind::Open => Some(row.received_ns), // alive up to here
        Kind::Binding => None,
        _ => flow.stop_ns.map(time),
    };
    // Without a beginning the end stands for it, or when it was seen: `start_from` says that nobody knows.
    let seen = (row.kind == Kind::Binding).then_some(row.received_ns);
    if let Some(start) = flow.start_ns.map(time).or(stop).or(seen) {
        packed.start_ns = start;
        has |= has::START;
        if let Some(stop) = stop {
            packed.duration_ns = stop.saturating_sub(start);
            has |= has::DURATION;
        }
    }
    let (orig, reply) = (flow.counters_orig.unwrap_or_default(), flow.counters_reply.unwrap_or_default());
    let counters = [orig.packets, orig.bytes, reply.packets, reply.bytes];
    for ((value, bit), counter) in counters.iter().zip(has::COUNTER).zip(&mut packed.counters) {
        if let Some(value) = value {
            *counter = *value;
            has |= bit;
        }
    }
    if let Some(status) = flow.status {
        packed.status = status;
        has |= has::STATUS;
    }
    if let Some(state) = flow.protoinfo.as_ref().and_then(ProtoInfo::state) {
        packed.state = state;
        has |= has::STATE;
    }
    if let Some(reason) = record.end_reason {
        packed.end_reason = reason;
        has |= has::END_REASON;
    }
    if let Some(number) = flow.orig.l4proto {
        packed.l4proto = number;
        has |= has::L4PROTO;
    }
    packed.has = has;
    packed
}

/// The order of records in a segment: outside address, port, protocol, start. IPv4 first.
#[inline]
pub fn order4(packed: &Packed, address: u32) -> u64 {
    let [outside, _, dialled, _] = packed.ports;
    let port = if packed.has & has::PORT[0] != 0 { outside } else { dialled };
    (u64::from(address) << 32) | (u64::from(port) << 16) | (u64::from(packed.l4proto) << 8)
}

/// Is there anything that [`Rare`] is for?
#[inline]
pub fn has_rarities(row: &Row, port: u32, flow: &Flow<'_>, keep_ids: bool) -> bool {
    let record = flow.record.as_ref();
    keep_ids
        || row.kind != Kind::Flow
        || flow.mark.is_some_and(|mark| mark != 0)
        || flow.zone.is_some()
        || flow.orig.zone.is_some()
        || flow.reply.zone.is_some()
        || flow.labels.is_some()
        || flow.helper.is_some()
        || flow.secctx.is_some()
        || flow.master.is_some()
        || flow.has_unknown
        || port != 0
        || record.is_some_and(|record| {
            record.prior.is_some()
                || record.stop_after_ns.is_some()
                || record.record_no != 0
                || record.exporter.is_some()
                || record.domain.is_some()
                || record.elements.is_some()
        })
}

/// How a time is known, as a number; None for not at all.
#[must_use]
pub fn from(number: u8) -> Option<u8> {
    (number != From::Nothing as u8).then_some(number)
}
