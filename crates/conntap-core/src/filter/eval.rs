//! Tests put to a row. Runs for every row: no allocation, no lookup.

use super::ast::{Ends, Field, Node, States, Test, kind_bit};
use crate::model::{Content, Counters, Expectation, Flow, Kind, ProtoInfo, Tuple};
use crate::wire::Message;
use crate::wire::constants::{IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE};

/// Does the row pass?
pub(crate) fn matches(node: &Node, kind: Kind, content: &Content<'_>, message: &Message<'_>) -> bool {
    match content {
        Content::Flow(flow) => eval(node, &|test| on_flow(test, kind, flow, message)),
        Content::Expectation(expectation) => eval(node, &|test| on_expectation(test, kind, expectation, message)),
        Content::Gap(_) => true,
    }
}

/// Depth is bounded by the parser.
fn eval(node: &Node, ask: &impl Fn(&Test) -> bool) -> bool {
    match node {
        Node::Const(value) => *value,
        Node::Not(inner) => !eval(inner, ask),
        Node::And(parts) => parts.iter().all(|part| eval(part, ask)),
        Node::Or(parts) => parts.iter().any(|part| eval(part, ask)),
        Node::Test(test) => ask(test),
    }
}

#[inline]
fn on_flow(test: &Test, kind: Kind, flow: &Flow<'_>, message: &Message<'_>) -> bool {
    match test {
        Test::Kinds(kinds) => kinds & kind_bit(kind) != 0,
        Test::Family(family) => flow.family == *family,
        Test::Number { field, mask, ranges } => {
            flow_number(*field, kind, flow, message).is_some_and(|value| ranges.contains(value & mask))
        }
        Test::Port { ends, ranges } => {
            ends.each().any(|end| port(flow_tuple(flow, end), end).is_some_and(|port| ranges.contains(port)))
        }
        Test::Address { ends, nets } => ends.each().any(|end| address(flow_tuple(flow, end), end, nets)),
        Test::State(states) => match flow.protoinfo {
            Some(ProtoInfo::Tcp { state: Some(state), .. }) => States::has(states.tcp, state),
            Some(ProtoInfo::Sctp { state: Some(state), .. }) => States::has(states.sctp, state),
            Some(ProtoInfo::Dccp { state: Some(state), .. }) => States::has(states.dccp, state),
            _ => false,
        },
        Test::Label(bit) => flow.labels.is_some_and(|labels| has_label(labels, *bit)),
        Test::Helper(None) => flow.helper.is_some(),
        Test::Helper(Some(name)) => flow.helper.is_some_and(|helper| helper.eq_ignore_ascii_case(name.as_bytes())),
        Test::Master => flow.master.is_some(),
        Test::Nat { dst } => nat(flow, *dst),
    }
}

fn on_expectation(test: &Test, kind: Kind, expectation: &Expectation<'_>, message: &Message<'_>) -> bool {
    let ours = |end: Ends| !end.is_reply(); // an expectation expects one direction
    match test {
        Test::Kinds(kinds) => kinds & kind_bit(kind) != 0,
        Test::Family(family) => expectation.family == *family,
        Test::Number { field, mask, ranges } => {
            expectation_number(*field, kind, expectation, message).is_some_and(|value| ranges.contains(value & mask))
        }
        Test::Port { ends, ranges } => {
            ends.each().any(|end| ours(end) && port(&expectation.tuple, end).is_some_and(|port| ranges.contains(port)))
        }
        Test::Address { ends, nets } => ends.each().any(|end| ours(end) && address(&expectation.tuple, end, nets)),
        Test::Helper(None) => expectation.helper.is_some(),
        Test::Helper(Some(name)) => expectation.helper.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes())),
        Test::Master => !expectation.master.is_empty(),
        Test::State(_) | Test::Label(_) | Test::Nat { .. } => false,
    }
}

fn flow_tuple<'f>(flow: &'f Flow<'_>, end: Ends) -> &'f Tuple {
    if end.is_reply() { &flow.reply } else { &flow.orig }
}

fn port(tuple: &Tuple, end: Ends) -> Option<u64> {
    if end.is_dst() { tuple.dport } else { tuple.sport }.map(u64::from)
}

fn address(tuple: &Tuple, end: Ends, nets: &[super::ast::Net]) -> bool {
    let found = if end.is_dst() { tuple.dst } else { tuple.src };
    found.is_some_and(|found| nets.iter().any(|net| net.contains(found)))
}

fn tuple_number(field: Field, tuple: &Tuple) -> Option<u64> {
    match field {
        Field::L4proto => tuple.l4proto.map(u64::from),
        Field::IcmpType => tuple.icmp_type.map(u64::from),
        Field::IcmpCode => tuple.icmp_code.map(u64::from),
        Field::IcmpId => tuple.icmp_id.map(u64::from),
        _ => None,
    }
}

fn flow_number(field: Field, kind: Kind, flow: &Flow<'_>, message: &Message<'_>) -> Option<u64> {
    match field {
        Field::L4proto | Field::IcmpType | Field::IcmpCode | Field::IcmpId => tuple_number(field, &flow.orig),
        Field::Status => flow.status.map(u64::from),
        Field::Timeout => flow.timeout.map(u64::from),
        Field::Mark => Some(flow.mark.unwrap_or(0).into()),
        Field::Secmark => flow.secmark.map(u64::from),
        Field::Zone => Some(flow.zone.unwrap_or(0).into()),
        Field::OrigZone => Some(flow.orig.zone.unwrap_or(0).into()),
        Field::ReplyZone => Some(flow.reply.zone.unwrap_or(0).into()),
        Field::Id => flow.id.map(u64::from),
        Field::Use => flow.use_count.map(u64::from),
        Field::Portid => portid(kind, message),
        Field::OrigPackets => flow.counters_orig.and_then(|counters| counters.packets),
        Field::OrigBytes => flow.counters_orig.and_then(|counters| counters.bytes),
        Field::ReplyPackets => flow.counters_reply.and_then(|counters| counters.packets),
        Field::ReplyBytes => flow.counters_reply.and_then(|counters| counters.bytes),
        Field::Packets => both(flow, |counters| counters.packets),
        Field::Bytes => both(flow, |counters| counters.bytes),
        Field::OrigVtag => vtags(flow).0,
        Field::ReplyVtag => vtags(flow).1,
        Field::StartNs => flow.start_ns,
        Field::StopNs => flow.stop_ns,
        Field::EventNs => flow.event_ns,
        Field::Class | Field::Flags => None,
    }
}

fn expectation_number(field: Field, kind: Kind, expectation: &Expectation<'_>, message: &Message<'_>) -> Option<u64> {
    match field {
        Field::L4proto | Field::IcmpType | Field::IcmpCode | Field::IcmpId => tuple_number(field, &expectation.tuple),
        Field::Timeout => expectation.timeout.map(u64::from),
        Field::Zone => Some(expectation.zone.unwrap_or(0).into()),
        Field::Id => expectation.id.map(u64::from),
        Field::Portid => portid(kind, message),
        Field::Class => expectation.class.map(u64::from),
        Field::Flags => expectation.flags.map(u64::from),
        _ => None,
    }
}

/// In a dump the header's port id is the reader's own and says nothing about the row.
fn portid(kind: Kind, message: &Message<'_>) -> Option<u64> {
    (!matches!(kind, Kind::Entry | Kind::ExpEntry)).then_some(message.port.into())
}

/// The sum of both directions; missing only if both are.
fn both(flow: &Flow<'_>, part: impl Fn(&Counters) -> Option<u64>) -> Option<u64> {
    let orig = flow.counters_orig.as_ref().and_then(&part);
    let reply = flow.counters_reply.as_ref().and_then(&part);
    match (orig, reply) {
        (None, None) => None,
        (orig, reply) => Some(orig.unwrap_or(0).saturating_add(reply.unwrap_or(0))),
    }
}

fn vtags(flow: &Flow<'_>) -> (Option<u64>, Option<u64>) {
    match flow.protoinfo {
        Some(ProtoInfo::Sctp { vtag_orig, vtag_reply, .. }) => (vtag_orig.map(u64::from), vtag_reply.map(u64::from)),
        _ => (None, None),
    }
}

/// Bit n is bit n % 32 of host-order word n / 32.
fn has_label(labels: &[u8], bit: u8) -> bool {
    let word = labels.chunks_exact(4).nth(usize::from(bit >> 5)).and_then(|word| word.first_chunk::<4>());
    word.is_some_and(|word| u32::from_ne_bytes(*word).checked_shr(u32::from(bit & 31)).is_some_and(|w| w & 1 == 1))
}

/// NAT in the sense of `conntrack -n` and `-g`: the kernel is done with it, and address or port (ICMP: id) differ.
///
/// The DONE bits alone say nothing: every flow in a namespace with a NAT chain has them.
fn nat(flow: &Flow<'_>, dst: bool) -> bool {
    let done = if dst { IPS_DST_NAT_DONE } else { IPS_SRC_NAT_DONE };
    if flow.status.is_none_or(|status| status & done == 0) {
        return false;
    }
    let (orig, reply) = (&flow.orig, &flow.reply);
    if dst {
        differ(orig.dst, reply.src) || differ(orig.dport, reply.sport)
    } else {
        differ(orig.src, reply.dst) || differ(orig.sport, reply.dport) || differ(orig.icmp_id, reply.icmp_id)
    }
}

fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}
