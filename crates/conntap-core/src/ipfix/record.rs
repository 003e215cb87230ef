//! The fields of records: each list stands here once, and makes both the template and the record.

use super::elements::*;
use super::message::Version;
use super::shape::{Count, Ports, Post, Shape, Times, is_translated};
use super::template::Put;
use super::time::{milliseconds, nanoseconds};
use crate::model::{Flow, Gap};

/// A flow record: the flow, and what is not in it.
pub struct FlowRecord<'a> {
    pub flow: &'a Flow<'a>,
    pub start_ns: u64,
    pub end_ns: u64,
    /// When what it tells happened: its end, or its beginning.
    pub observed_ns: u64,
}

/// What was counted since the flow's last record: octets and packets of both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deltas {
    pub octets: u64,
    pub packets: u64,
    pub reply_octets: u64,
    pub reply_packets: u64,
    /// A total was below what earlier records had told: its delta is 0.
    pub backwards: bool,
}

impl Deltas {
    #[inline]
    #[must_use]
    pub fn of(flow: &Flow<'_>) -> Self {
        let (orig, reply) = (flow.counters_orig.unwrap_or_default(), flow.counters_reply.unwrap_or_default());
        let prior = flow.record.and_then(|record| record.prior).unwrap_or_default();
        let totals = [orig.packets, orig.bytes, reply.packets, reply.bytes].map(Option::unwrap_or_default);
        let [packets, octets, reply_packets, reply_octets] = totals;
        let [p0, p1, p2, p3] = prior;
        Self {
            octets: octets.saturating_sub(p1),
            packets: packets.saturating_sub(p0),
            reply_octets: reply_octets.saturating_sub(p3),
            reply_packets: reply_packets.saturating_sub(p2),
            backwards: totals.iter().zip(prior).any(|(total, prior)| *total < prior),
        }
    }
}

/// The addresses and ports that a flow and a NAT event have in common.
#[inline]
fn put_ends<P: Put>(version: Version, shape: Shape, flow: &Flow<'_>, put: &mut P) {
    let (orig, destination) = (&flow.orig, !shape.no_destination);
    put.address(shape.v6, (SOURCE_V4, SOURCE_V6), orig.src);
    if destination {
        put.address(shape.v6, (DESTINATION_V4, DESTINATION_V6), orig.dst);
    }
    match shape.ports {
        Ports::Ports => {
            put.u16(SOURCE_PORT, orig.sport.unwrap_or_default());
            if destination {
                put.u16(DESTINATION_PORT, orig.dport.unwrap_or_default());
            }
        }
        Ports::Icmp => {
            put.u16(SOURCE_PORT, orig.icmp_id.unwrap_or_default());
            // Collectors of NetFlow v9 know one element for both.
            let six = shape.v6 && version == Version::Ipfix;
            let element = if six { ICMP_TYPE_CODE_V6 } else { ICMP_TYPE_CODE_V4 };
            put.bytes(element, [orig.icmp_type.unwrap_or_default(), orig.icmp_code.unwrap_or_default()]);
        }
        Ports::None => {}
    }
    put.u8(PROTOCOL, orig.l4proto.unwrap_or_default());
}

#[inline]
fn put_post_ends<P: Put>(shape: Shape, flow: &Flow<'_>, put: &mut P) {
    if shape.post == Post::None {
        return;
    }
    let (reply, v6, destination) = (&flow.reply, shape.post_v6(), !shape.no_destination);
    put.address(v6, (POST_SOURCE_V4, POST_SOURCE_V6), reply.dst);
    if destination {
        put.address(v6, (POST_DESTINATION_V4, POST_DESTINATION_V6), reply.src);
    }
    match shape.ports {
        Ports::Ports => {
            put.u16(POST_SOURCE_PORT, reply.dport.unwrap_or_default());
            if destination {
                put.u16(POST_DESTINATION_PORT, reply.sport.unwrap_or_default());
            }
        }
        Ports::Icmp => put.u16(POST_SOURCE_PORT, reply.icmp_id.unwrap_or_default()),
        Ports::None => {}
    }
}

#[inline]
fn put_times<P: Put>(times: Times, start_ns: u64, end_ns: u64, put: &mut P) {
    match times {
        Times::Milliseconds => {
            put.u64(START_MILLISECONDS, milliseconds(start_ns));
            put.u64(END_MILLISECONDS, milliseconds(end_ns));
        }
        Times::Nanoseconds => {
            put.u64(START_NANOSECONDS, nanoseconds(start_ns));
            put.u64(END_NANOSECONDS, nanoseconds(end_ns));
        }
        Times::None => {}
    }
}

/// A flow record, or its template.
#[inline]
pub fn put_flow<P: Put>(version: Version, shape: Shape, record: &FlowRecord<'_>, deltas: &Deltas, put: &mut P) {
    let flow = record.flow;
    put_ends(version, shape, flow, put);
    put_post_ends(shape, flow, put);
    put_times(shape.times, record.start_ns, record.end_ns, put);
    if shape.count != Count::None {
        put.u64(OCTET_DELTA, deltas.octets);
        put.u64(PACKET_DELTA, deltas.packets);
    }
    if shape.count == Count::Both {
        let (octets, packets) = match version {
            Version::Ipfix => (REVERSE_OCTET_DELTA, REVERSE_PACKET_DELTA),
            Version::NetFlow9 => (OUT_BYTES, OUT_PACKETS),
        };
        put.u64(octets, deltas.reply_octets);
        put.u64(packets, deltas.reply_packets);
    }
    let ours = flow.record.unwrap_or_default();
    put.u8(FLOW_END_REASON, ours.end_reason.unwrap_or_default());
    put.u8(BIFLOW_DIRECTION, 1); // the original direction is the initiator's
    put_flow_id(version, ours.flow_id, put);
    if shape.extended {
        put_extended(shape, flow, put);
    }
}

/// Of NetFlow v9 that number is a firewall event's connection: a record with it is none of a flow to collectors.
#[inline]
fn put_flow_id<P: Put>(version: Version, flow_id: u64, put: &mut P) {
    if version == Version::Ipfix {
        put.u64(FLOW_ID, flow_id);
    }
}

fn put_extended<P: Put>(shape: Shape, flow: &Flow<'_>, put: &mut P) {
    let ours = flow.record.unwrap_or_default();
    put.u8(NAT_TYPE, nat_type(shape, flow));
    put.u32(MARK, flow.mark.unwrap_or_default());
    put.u16(ZONE, flow.zone.or(flow.orig.zone).unwrap_or_default());
    put.u32(STATUS, flow.status.unwrap_or_default());
    put.u8(STATE, flow.protoinfo.as_ref().and_then(crate::model::ProtoInfo::state).unwrap_or_default());
    put.u64(RECORD_SEQ, ours.seq);
    put.u32(RECORD_NO, ours.record_no);
    // 0 is no time: the end was seen.
    let after = ours.stop_after_ns.and_then(|time| u64::try_from(time).ok());
    put.u64(END_AFTER, after.map_or(0, nanoseconds));
    put.text(LABELS, flow.labels.unwrap_or_default());
    put.text(APPLICATION_NAME, flow.helper.unwrap_or_default());
}

/// natType of IANA's registry.
fn nat_type(shape: Shape, flow: &Flow<'_>) -> u8 {
    match (shape.post, shape.v6) {
        (Post::None, _) => 0,                            // unknown
        (Post::Other, true) => 2,                        // NAT64
        (Post::Other, false) => 3,                       // NAT46
        (Post::Same, false) if is_translated(flow) => 1, // NAT44
        (Post::Same, false) => 4,                        // IPv4 without NAT
        (Post::Same, true) if is_translated(flow) => 5,  // NAT66
        (Post::Same, true) => 6,                         // IPv6 without NAT
    }
}

/// What happened to a translation: natEvent of RFC 8158 where it has a number for it.
///
/// The RFC has none for NAT66 (and none for NAT46): those get the registry's historic numbers, which name no families.
#[must_use]
pub fn nat_event(shape: Shape, created: bool, historic: bool) -> u8 {
    let create = match (shape.v6, shape.post) {
        _ if historic => 1,
        (false, Post::Same) => 4,
        (true, Post::Other) => 6,
        _ => 1,
    };
    if created { create } else { create.saturating_add(1) }
}

/// A NAT event, or its template. Its start and end are the translation's; a beginning has them equal.
#[inline]
pub fn put_nat_event<P: Put>(version: Version, shape: Shape, record: &FlowRecord<'_>, event: u8, put: &mut P) {
    put.u64(OBSERVATION_TIME_MILLISECONDS, milliseconds(record.observed_ns));
    put.u8(NAT_EVENT, event);
    put_ends(version, shape, record.flow, put);
    put_post_ends(shape, record.flow, put);
    put_times(shape.times, record.start_ns, record.end_ns, put);
    put_flow_id(version, record.flow.record.unwrap_or_default().flow_id, put);
}

/// A gap, or its template.
pub fn put_gap<P: Put>(gap: &Gap, put: &mut P) {
    let time = |ns: i64| u64::try_from(ns).unwrap_or_default();
    put.u64(OBSERVATION_TIME_MILLISECONDS, milliseconds(time(gap.before_ns)));
    // Collectors that know nothing of gaps take a record without these two for one of 1970.
    put.u64(START_MILLISECONDS, milliseconds(time(gap.after_ns)));
    put.u64(END_MILLISECONDS, milliseconds(time(gap.before_ns)));
    put.u8(GAP_CAUSE, gap.cause as u8);
    put.u64(GAP_LOST, gap.lost.unwrap_or(u64::MAX));
    put.u64(GAP_AFTER, nanoseconds(time(gap.after_ns)));
    put.u64(GAP_BEFORE, nanoseconds(time(gap.before_ns)));
    put.u64(GAP_ALIVE, gap.alive);
    put.u64(GAP_ENDED, gap.ended);
    put.u64(RECORD_SEQ, gap.seq);
}

/// What one domain has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub domain: u32,
    pub totals: super::message::Totals,
    pub not_sent: u64,
    pub events_lost: u64,
    pub seq: u64,
}

/// Statistics, or their options template: the first field is the scope.
pub fn put_statistics<P: Put>(statistics: &Statistics, put: &mut P) {
    put.u32(OBSERVATION_DOMAIN, statistics.domain);
    put.u64(EXPORTED_MESSAGES, statistics.totals.messages);
    put.u64(EXPORTED_RECORDS, statistics.totals.records);
    put.u64(EXPORTED_OCTETS, statistics.totals.octets);
    put.u64(NOT_SENT_FLOWS, statistics.not_sent);
    put.u64(EVENTS_LOST, statistics.events_lost);
    put.u64(RECORD_SEQ, statistics.seq);
}

/// What RFC 5610 says of one element, or the options template: the first two fields are the scope.
pub fn put_type_info<P: Put>(info: &TypeInfo, put: &mut P) {
    put.u32(ENTERPRISE_NUMBER, info.element.enterprise);
    put.u16(ELEMENT_NUMBER, info.element.number);
    put.u8(ELEMENT_DATA_TYPE, info.data_type);
    put.u8(ELEMENT_SEMANTICS, info.semantics);
    put.u16(ELEMENT_UNITS, info.units);
    put.text(ELEMENT_NAME, info.name.as_bytes());
}
