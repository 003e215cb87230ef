//! A data record as a row.

use std::net::IpAddr;

use super::counters::{Counters, add};
use super::element::{Address, Number};
use super::going::Going;
use super::times::{Times, ntp};
use super::values::Values;
use super::{Header, Peer};
use crate::batch::Batch;
use crate::model::record::{From, Record, end_reason};
use crate::model::{Cause, Counters as Counted, Flow, Gap, Kind, ProtoInfo, Tuple};
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

/// Packets and bytes of both directions, and what earlier records told of them.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Original packets and bytes, reply packets and bytes.
    totals: [Option<u64>; 4],
    prior: Option<[u64; 4]>,
    /// They are counted from the record before this one.
    deltas: bool,
}

impl Counts {
    fn of(values: &Values) -> Self {
        use Number::*;
        let get = |field| values.get(field);
        // NetFlow v9's "out" counters are the other direction where there are "in" counters too.
        let lone = get(Packets).is_none() && get(Octets).is_none();
        let out = |field| get(field).filter(|_| !lone);
        let deltas = [
            get(Packets).or_else(|| get(OutPackets)),
            get(Octets).or_else(|| get(OutOctets)),
            get(ReversePackets).or_else(|| out(OutPackets)),
            get(ReverseOctets).or_else(|| out(OutOctets)),
        ];
        let wholes = [
            get(PacketsTotal).or_else(|| get(InitiatorPackets)),
            get(OctetsTotal).or_else(|| get(InitiatorOctets)),
            get(ReversePacketsTotal).or_else(|| get(ResponderPackets)),
            get(ReverseOctetsTotal).or_else(|| get(ResponderOctets)),
        ];
        if wholes.iter().all(Option::is_none) {
            return Self { totals: deltas, prior: None, deltas: deltas.iter().any(Option::is_some) };
        }
        let both = |at: usize| (wholes.get(at).copied().flatten(), deltas.get(at).copied().flatten());
        let pairs = [both(0), both(1), both(2), both(3)];
        let prior = pairs.iter().any(|(whole, delta)| whole.is_some() && delta.is_some());
        Self {
            totals: pairs.map(|(whole, delta)| whole.or(delta)),
            prior: prior.then(|| {
                pairs.map(|(whole, delta)| whole.zip(delta).map_or(0, |(whole, delta)| whole.saturating_sub(delta)))
            }),
            deltas: false,
        }
    }

    /// Add what earlier records of the flow told.
    fn behind(&mut self, prior: [u64; 4]) {
        for (total, before) in self.totals.iter_mut().zip(prior) {
            *total = total.map(|total| total.saturating_add(before)).or(Some(before).filter(|before| *before != 0));
        }
        self.prior = Some(prior);
    }

    fn counted(packets: Option<u64>, bytes: Option<u64>) -> Option<Counted> {
        (packets.is_some() || bytes.is_some()).then_some(Counted { packets, bytes })
    }
}

/// What is known of a record besides its values.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub header: &'a Header,
    pub peer: &'a Peer<'a>,
    /// When the exporter started, where it told so in another record.
    pub init_ms: Option<u64>,
}

/// Append the row of a record, if it is about a flow or a gap; count it in any case.
pub fn append(values: &mut Values, context: &Context<'_>, going: &mut Going, counters: &mut Counters, out: &mut Batch) {
    add(&mut counters.records, 1);
    if let Some(gap) = gap_of(values) {
        add(&mut counters.gaps, 1);
        return out.push_gap(&gap);
    }
    let Some(kind) = kind_of(values) else { return add(&mut counters.records_of_other_events, 1) };
    if !values.has_ends() {
        return add(&mut counters.records_without_address, 1);
    }
    if values.ours && kind == Kind::Flow && values.get(Number::NatEvent).is_some() {
        return add(&mut counters.nat_ends_told_twice, 1);
    }
    values.close_others();
    let mut exporter = Vec::new();
    match exporter_of(values) {
        Some(address) => crate::text::bytes::address(&mut exporter, address),
        None => exporter.extend_from_slice(context.peer.exporter.as_bytes()),
    }
    let header = context.header;
    let domain = values.get(Number::Domain).and_then(|domain| u32::try_from(domain).ok()).unwrap_or(header.domain);
    let (family, orig, reply) = tuples(values);
    let mut counts = Counts::of(values);
    let flow_id = values.get(Number::FlowId).unwrap_or_default();
    let said_no = values.get(Number::RecordNo).and_then(|number| u32::try_from(number).ok());
    let mut record_no = said_no.unwrap_or_default();
    if counts.deltas && flow_id != 0 && kind != Kind::Binding {
        let known = going.before(flow_id, &exporter, domain, &orig);
        if let Some((prior, number)) = known {
            counts.behind(prior);
            record_no = said_no.unwrap_or(number);
        }
        if kind == Kind::Interim {
            let totals = counts.totals.map(Option::unwrap_or_default);
            let next = record_no.saturating_add(1);
            add(&mut counters.interims_forgotten, going.keep(flow_id, &exporter, domain, &orig, totals, next));
        }
    }
    let [packets, bytes, reply_packets, reply_bytes] = counts.totals;
    let lifetime = Lifetime::of(kind, values, context);
    let state = values.get(Number::State).and_then(|state| u8::try_from(state).ok());
    let number = |field| values.get(field).and_then(|value| u32::try_from(value).ok()).filter(|value| *value != 0);
    let reason = values.get(Number::EndReason).and_then(|reason| u8::try_from(reason).ok());
    let flow = Flow {
        family,
        orig,
        reply,
        status: number(Number::Status),
        mark: number(Number::Mark),
        labels: values.labels_of(),
        protoinfo: state.filter(|state| *state != 0).and_then(|state| protoinfo(orig.l4proto, state)),
        counters_orig: Counts::counted(packets, bytes),
        counters_reply: Counts::counted(reply_packets, reply_bytes),
        zone: [Number::OwnZone, Number::Zone]
            .into_iter()
            .filter_map(|field| values.get_u16(field))
            .find(|zone| *zone != 0),
        helper: values.application(),
        start_ns: lifetime.start_ns.and_then(|time| u64::try_from(time).ok()),
        stop_ns: lifetime.stop_ns.and_then(|time| u64::try_from(time).ok()),
        record: Some(Record {
            flow_id,
            record_no,
            end_reason: reason.filter(|_| kind != Kind::Binding),
            start_from: lifetime.start_from,
            stop_from: lifetime.stop_from,
            stop_after_ns: lifetime.stop_after_ns,
            prior: counts.prior,
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

/// Who observed the flow, where a record says so: it was relayed.
fn exporter_of(values: &Values) -> Option<IpAddr> {
    use Address::*;
    [OriginalExporter4, OriginalExporter6, Exporter4, Exporter6].into_iter().find_map(|field| values.address_of(field))
}

/// Beginning and end of a row, and how they are known.
#[derive(Clone, Copy, Debug, Default)]
struct Lifetime {
    start_ns: Option<i64>,
    start_from: From,
    stop_ns: Option<i64>,
    stop_from: From,
    stop_after_ns: Option<i64>,
}

impl Lifetime {
    fn of(kind: Kind, values: &Values, context: &Context<'_>) -> Self {
        let Times { start_ns, stop_ns, observed_ns } = Times::of(values, context.header, context.init_ms);
        let export_ns = Some(context.header.export_ns);
        // What the record does not say lies before the moment in which it left.
        let known = |time: Option<i64>| match time {
            Some(_) => (time, From::Exporter),
            None => (export_ns, From::Received),
        };
        let mut found = Self { start_ns, ..Self::default() };
        if start_ns.is_some() {
            found.start_from = From::Exporter;
        }
        match kind {
            Kind::Binding => (found.start_ns, found.start_from) = known(start_ns.or(observed_ns)),
            Kind::Interim => found.stop_after_ns = stop_ns.or(observed_ns),
            _ => {
                (found.stop_ns, found.stop_from) = known(stop_ns.or(observed_ns));
                found.stop_after_ns = values.get(Number::EndAfter).filter(|time| *time != 0).map(ntp);
            }
        }
        found
    }
}

/// The gap that a record of conntap's own exporter tells of.
fn gap_of(values: &Values) -> Option<Gap> {
    let cause = values.get(Number::GapCause).and_then(|cause| u8::try_from(cause).ok())?;
    let number = |field| values.get(field).unwrap_or_default();
    Some(Gap {
        cause: Cause::of(cause),
        lost: values.get(Number::GapLost).filter(|lost| *lost != u64::MAX),
        after_ns: values.get(Number::GapAfter).map_or(0, ntp),
        before_ns: values.get(Number::GapBefore).map_or(0, ntp),
        alive: number(Number::GapAlive),
        ended: number(Number::GapEnded),
        seq: 0,
    })
}

fn protoinfo(l4proto: Option<u8>, state: u8) -> Option<ProtoInfo> {
    let state = Some(state);
    Some(match l4proto? {
        IPPROTO_TCP => {
            ProtoInfo::Tcp { state, wscale_orig: None, wscale_reply: None, flags_orig: None, flags_reply: None }
        }
        IPPROTO_SCTP => ProtoInfo::Sctp { state, vtag_orig: None, vtag_reply: None },
        IPPROTO_DCCP => ProtoInfo::Dccp { state, role: None, handshake_seq: None },
        _ => return None,
    })
}
