//! A data record as a row.

use std::net::IpAddr;

use super::counters::{Counters, add};
use super::element::{Address, Number};
use super::times::Times;
use super::values::Values;
use super::{Header, Peer};
use crate::batch::Batch;
use crate::model::record::{From, Record, end_reason};
use crate::model::{Counters as Counted, Flow, Kind, Tuple};
use crate::wire::constants::*;

/// natEvent: a session, binding or block of ports begins. Source: RFC 8158 4.4, IANA registry "NAT Event Type".
const NAT_BEGINS: [u64; 7] = [1, 4, 6, 8, 10, 14, 16];
/// It ends.
const NAT_ENDS: [u64; 7] = [2, 5, 7, 9, 11, 15, 17];

/// What kind of row a record is; None for an event that is about no flow.
fn kind_of(values: &Values) -> Option<Kind> {
    match (values.get(Number::NatEvent).filter(|event| *event != 0), values.get(Number::FirewallEvent)) {
        (Some(event), _) if NAT_BEGINS.contains(&event) => Some(Kind::Binding),
        (Some(event), _) if NAT_ENDS.contains(&event) => Some(Kind::Flow),
        (Some(_), _) => None, // pools, quotas, thresholds
        (None, Some(1)) => Some(Kind::Binding),
        (None, Some(5)) => Some(Kind::Interim),
        (None, Some(3 | 4)) => None, // denied, alert: there is no connection
        _ if values.get(Number::EndReason) == Some(end_reason::ACTIVE_TIMEOUT.into()) => Some(Kind::Interim),
        _ => Some(Kind::Flow),
    }
}

/// Both tuples, and their family.
fn tuples(values: &Values) -> (u8, Tuple, Tuple) {
    use Address::*;
    let (src4, dst4) = (values.address_of(Source4), values.address_of(Destination4));
    let (src6, dst6) = (values.address_of(Source6), values.address_of(Destination6));
    let v6 = src4.is_none() && dst4.is_none() && (src6.is_some() || dst6.is_some());
    let (family, src, dst) = if v6 { (AF_INET6, src6, dst6) } else { (AF_INET, src4, dst4) };
    let l4proto = values.get(Number::Protocol).and_then(|number| u8::try_from(number).ok());
    let mut orig = Tuple { src, dst, l4proto, ..Tuple::default() };
    let (sport, dport) = (values.get_u16(Number::SourcePort), values.get_u16(Number::DestinationPort));
    let port = |field| values.get_u16(field).filter(|port| *port != 0); // 0: none
    let (post_sport, post_dport) = (port(Number::PostSourcePort), port(Number::PostDestinationPort));
    let icmp = matches!((l4proto, family), (Some(IPPROTO_ICMP), AF_INET) | (Some(IPPROTO_ICMPV6), AF_INET6));
    if icmp {
        let [kind, code] = icmp_of(values, v6).unwrap_or(dport.unwrap_or_default()).to_be_bytes();
        (orig.icmp_type, orig.icmp_code) = (Some(kind), Some(code));
        orig.icmp_id = sport.filter(|id| *id != 0);
    } else {
        (orig.sport, orig.dport) = (sport, dport);
    }
    let mut reply = orig.mirrored();
    let outside = values.address_of(PostSource4).or_else(|| values.address_of(PostSource6));
    let inside = values.address_of(PostDestination4).or_else(|| values.address_of(PostDestination6));
    reply.dst = outside.or(reply.dst);
    reply.src = inside.or(reply.src);
    // Where families are translated the other end is known only by its own element.
    let family_of = |address: Option<IpAddr>| address.map(|address| address.is_ipv6());
    if family_of(reply.src) != family_of(reply.dst) && reply.src.is_some() && reply.dst.is_some() {
        (reply.src, reply.dst) = (inside, outside);
    }
    if icmp {
        reply.icmp_id = post_sport.or(reply.icmp_id);
    } else {
        reply.dport = post_sport.or(reply.dport);
        reply.sport = post_dport.or(reply.sport);
    }
    (family, orig, reply)
}

/// ICMP type × 256 + code.
fn icmp_of(values: &Values, v6: bool) -> Option<u16> {
    use Number::*;
    let (both, kind, code) =
        if v6 { (IcmpTypeCode6, IcmpType6, IcmpCode6) } else { (IcmpTypeCode4, IcmpType4, IcmpCode4) };
    values.get_u16(both).or_else(|| {
        let kind = values.get_u16(kind)?;
        Some((kind << 8) | values.get_u16(code).unwrap_or_default())
    })
}

/// Totals of one direction, and what earlier records told of them.
#[derive(Clone, Copy, Default)]
struct Direction {
    packets: Option<u64>,
    bytes: Option<u64>,
    prior: Option<[u64; 2]>,
}

impl Direction {
    /// `delta` since the last record; `total` and `other` since the flow's beginning.
    fn of(values: &Values, delta: [Number; 2], total: [Number; 2], other: [Number; 2]) -> Self {
        let [packets, bytes] = [0, 1].map(|at| {
            let get = |fields: &[Number; 2]| fields.get(at).and_then(|field| values.get(*field));
            let (delta, whole) = (get(&delta), get(&total).or_else(|| get(&other)));
            (whole.or(delta), whole.zip(delta).map(|(whole, delta)| whole.saturating_sub(delta)))
        });
        let prior = match (packets.1, bytes.1) {
            (None, None) => None,
            (packets, bytes) => Some([packets.unwrap_or_default(), bytes.unwrap_or_default()]),
        };
        Self { packets: packets.0, bytes: bytes.0, prior }
    }

    fn counted(&self) -> Option<Counted> {
        (self.packets.is_some() || self.bytes.is_some()).then_some(Counted { packets: self.packets, bytes: self.bytes })
    }
}

/// Append the row of a record, if it is about a flow; count it in any case.
pub fn append(
    values: &mut Values,
    header: &Header,
    peer: &Peer<'_>,
    init_ms: Option<u64>,
    counters: &mut Counters,
    out: &mut Batch,
) {
    use Number::*;
    add(&mut counters.records, 1);
    let Some(kind) = kind_of(values) else { return add(&mut counters.records_of_other_events, 1) };
    if !values.has_ends() {
        return add(&mut counters.records_without_address, 1);
    }
    values.take_others();
    let (family, orig, reply) = tuples(values);
    let there =
        Direction::of(values, [Packets, Octets], [PacketsTotal, OctetsTotal], [InitiatorPackets, InitiatorOctets]);
    let back = Direction::of(
        values,
        [ReversePackets, ReverseOctets],
        [ReversePacketsTotal, ReverseOctetsTotal],
        [ResponderPackets, ResponderOctets],
    );
    let prior = (there.prior.is_some() || back.prior.is_some()).then(|| {
        let [[packets, bytes], [back_packets, back_bytes]] = [there, back].map(|way| way.prior.unwrap_or_default());
        [packets, bytes, back_packets, back_bytes]
    });
    let times = Times::of(values, header, init_ms);
    let said = |time: Option<i64>| if time.is_some() { From::Exporter } else { From::Nothing };
    let begins = kind == Kind::Binding;
    let start = if begins { times.observed_ns.or(times.start_ns) } else { times.start_ns };
    let (mut start, mut start_from) = (start, said(start));
    let (mut stop, mut stop_from) = (None, From::Nothing);
    if kind == Kind::Flow {
        stop = times.stop_ns.or(times.observed_ns);
        stop_from = said(stop);
        if stop.is_none() {
            // It ended before the message left.
            (stop, stop_from) = (Some(header.export_ns), From::Received);
        }
    } else if begins && start.is_none() {
        (start, start_from) = (Some(header.export_ns), From::Received);
    }
    let reason = values.get(EndReason).and_then(|reason| u8::try_from(reason).ok());
    let named = [Address::OriginalExporter4, Address::OriginalExporter6, Address::Exporter4, Address::Exporter6]
        .into_iter()
        .find_map(|field| values.address_of(field));
    let mut exporter = Vec::new();
    match named {
        Some(address) => crate::text::bytes::address(&mut exporter, address),
        None => exporter.extend_from_slice(peer.exporter.as_bytes()),
    }
    let domain = values.get(Domain).and_then(|domain| u32::try_from(domain).ok()).unwrap_or(header.domain);
    let flow = Flow {
        family,
        orig,
        reply,
        counters_orig: there.counted(),
        counters_reply: back.counted(),
        zone: values.get_u16(Zone).filter(|zone| *zone != 0),
        helper: values.application(),
        start_ns: start.and_then(|time| u64::try_from(time).ok()),
        stop_ns: stop.and_then(|time| u64::try_from(time).ok()),
        record: Some(Record {
            flow_id: values.get(FlowId).unwrap_or_default(),
            end_reason: reason.filter(|_| !begins),
            start_from,
            stop_from,
            prior,
            exporter: Some(exporter.as_slice()).filter(|exporter| !exporter.is_empty()),
            domain: Some(domain),
            elements: values.others(),
            ..Record::default()
        }),
        ..Flow::default()
    };
    let (message, count) = match kind {
        Kind::Binding => (RECORD_BINDING, &mut counters.bindings),
        Kind::Interim => (RECORD_INTERIM, &mut counters.interims),
        _ => (RECORD_FLOW, &mut counters.flows),
    };
    add(count, 1);
    out.push_with(kind, message, 0, family, header.received_ns, |writer| flow.write(writer));
}
