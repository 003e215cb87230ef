//! The one place that knows where each field of the schema comes from.

use std::net::IpAddr;

use super::fields::Field;
use crate::batch::Row;
use crate::model::{Content, Counters, Expectation, Flow, ProtoInfo, SeqAdj, Tuple, Unknowns, names};
use crate::wire::Message;

/// A value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    /// Nanoseconds since the epoch.
    Time(i64),
    Address(IpAddr),
    Text(&'a [u8]),
    Labels(&'a [u8]),
}

/// Hand every field that the row has to `see`, in no particular order.
#[inline]
pub fn visit<'a>(row: &Row, message: &Message<'_>, content: &Content<'a>, see: &mut impl FnMut(Field, Value<'_>)) {
    see(Field::Kind, Value::Text(row.kind.name().as_bytes()));
    see(Field::ReceivedNs, Value::Time(row.received_ns));
    match content {
        Content::Flow(flow) => {
            port(message, see);
            visit_flow(flow, see);
        }
        Content::Expectation(expectation) => {
            port(message, see);
            visit_expectation(expectation, see);
        }
        Content::Gap(gap) => {
            number(Field::Lost, gap.lost, see);
            see(Field::GapAfterNs, Value::Time(gap.after_ns));
            see(Field::GapBeforeNs, Value::Time(gap.before_ns));
        }
    }
}

#[inline]
fn number<T: Into<u64>>(field: Field, value: Option<T>, see: &mut impl FnMut(Field, Value<'_>)) {
    if let Some(value) = value {
        see(field, Value::Unsigned(value.into()));
    }
}

#[inline]
fn time(field: Field, value: Option<u64>, see: &mut impl FnMut(Field, Value<'_>)) {
    if let Some(value) = value {
        see(field, Value::Time(i64::try_from(value).unwrap_or(i64::MAX)));
    }
}

#[inline]
fn address(field: Field, value: Option<IpAddr>, see: &mut impl FnMut(Field, Value<'_>)) {
    if let Some(value) = value {
        see(field, Value::Address(value));
    }
}

#[inline]
fn text(field: Field, value: Option<&[u8]>, see: &mut impl FnMut(Field, Value<'_>)) {
    if let Some(value) = value {
        see(field, Value::Text(value));
    }
}

fn port(message: &Message<'_>, see: &mut impl FnMut(Field, Value<'_>)) {
    number(Field::Portid, (message.port != 0).then_some(message.port), see);
}

/// Both tuples of a flow, or the expected tuple in the place of the original one.
#[inline]
fn protocol(tuple: &Tuple, see: &mut impl FnMut(Field, Value<'_>)) {
    number(Field::L4proto, tuple.l4proto, see);
    text(Field::Protocol, tuple.l4proto.and_then(names::l4proto).map(str::as_bytes), see);
}

#[inline]
fn original(tuple: &Tuple, see: &mut impl FnMut(Field, Value<'_>)) {
    address(Field::OrigSrc, tuple.src, see);
    address(Field::OrigDst, tuple.dst, see);
    number(Field::OrigSport, tuple.sport, see);
    number(Field::OrigDport, tuple.dport, see);
    number(Field::OrigIcmpType, tuple.icmp_type, see);
    number(Field::OrigIcmpCode, tuple.icmp_code, see);
    number(Field::OrigIcmpId, tuple.icmp_id, see);
}

fn master(tuple: &Tuple, see: &mut impl FnMut(Field, Value<'_>)) {
    address(Field::MasterSrc, tuple.src, see);
    address(Field::MasterDst, tuple.dst, see);
    number(Field::MasterL4proto, tuple.l4proto, see);
    number(Field::MasterSport, tuple.sport, see);
    number(Field::MasterDport, tuple.dport, see);
}

#[inline]
fn visit_flow(flow: &Flow<'_>, see: &mut impl FnMut(Field, Value<'_>)) {
    number(Field::Family, Some(flow.family), see);
    protocol(&flow.orig, see);
    original(&flow.orig, see);
    number(Field::OrigZone, flow.orig.zone, see);
    address(Field::ReplySrc, flow.reply.src, see);
    address(Field::ReplyDst, flow.reply.dst, see);
    number(Field::ReplySport, flow.reply.sport, see);
    number(Field::ReplyDport, flow.reply.dport, see);
    number(Field::ReplyIcmpType, flow.reply.icmp_type, see);
    number(Field::ReplyIcmpCode, flow.reply.icmp_code, see);
    number(Field::ReplyIcmpId, flow.reply.icmp_id, see);
    number(Field::ReplyZone, flow.reply.zone, see);
    if let Some(tuple) = &flow.master {
        master(tuple, see);
    }
    number(Field::Status, flow.status, see);
    if let Some(info) = &flow.protoinfo {
        proto_info(info, see);
    }
    number(Field::Timeout, flow.timeout, see);
    number(Field::Mark, flow.mark, see);
    number(Field::Zone, flow.zone, see);
    if let Some(labels) = flow.labels {
        see(Field::Labels, Value::Labels(labels));
    }
    number(Field::Id, flow.id, see);
    text(Field::Helper, flow.helper, see);
    number(Field::UseCount, flow.use_count, see);
    counters(flow.counters_orig, [Field::OrigPackets, Field::OrigBytes], see);
    counters(flow.counters_reply, [Field::ReplyPackets, Field::ReplyBytes], see);
    time(Field::EventNs, flow.event_ns, see);
    time(Field::StartNs, flow.start_ns, see);
    time(Field::StopNs, flow.stop_ns, see);
    number(Field::Secmark, flow.secmark, see);
    text(Field::Secctx, flow.secctx, see);
    seq_adj(flow.seq_adj_orig, [Field::SeqAdjOrigPos, Field::SeqAdjOrigBefore, Field::SeqAdjOrigAfter], see);
    seq_adj(flow.seq_adj_reply, [Field::SeqAdjReplyPos, Field::SeqAdjReplyBefore, Field::SeqAdjReplyAfter], see);
    if let Some(synproxy) = &flow.synproxy {
        number(Field::SynproxyIsn, synproxy.isn, see);
        number(Field::SynproxyIts, synproxy.its, see);
        number(Field::SynproxyTsoff, synproxy.tsoff, see);
    }
    if flow.has_unknown {
        unknown(flow.unknown(), see);
    }
}

#[inline]
fn counters(counters: Option<Counters>, [packets, bytes]: [Field; 2], see: &mut impl FnMut(Field, Value<'_>)) {
    if let Some(counters) = counters {
        number(packets, counters.packets, see);
        number(bytes, counters.bytes, see);
    }
}

fn seq_adj(adjust: Option<SeqAdj>, [position, before, after]: [Field; 3], see: &mut impl FnMut(Field, Value<'_>)) {
    let Some(adjust) = adjust else { return };
    number(position, adjust.correction_pos, see);
    for (field, offset) in [(before, adjust.offset_before), (after, adjust.offset_after)] {
        if let Some(offset) = offset {
            see(field, Value::Signed(offset.into()));
        }
    }
}

#[inline]
fn proto_info(info: &ProtoInfo, see: &mut impl FnMut(Field, Value<'_>)) {
    match info {
        ProtoInfo::Tcp { state: number_of, wscale_orig, wscale_reply, flags_orig, flags_reply } => {
            state(Field::TcpState, &names::TCP_STATES, *number_of, see);
            number(Field::TcpWscaleOrig, *wscale_orig, see);
            number(Field::TcpWscaleReply, *wscale_reply, see);
            number(Field::TcpFlagsOrig, flags_orig.map(|(flags, _)| flags), see);
            number(Field::TcpFlagsReply, flags_reply.map(|(flags, _)| flags), see);
        }
        ProtoInfo::Dccp { state: number_of, role, handshake_seq } => {
            state(Field::DccpState, &names::DCCP_STATES, *number_of, see);
            number(Field::DccpRole, *role, see);
            number(Field::DccpHandshakeSeq, *handshake_seq, see);
        }
        ProtoInfo::Sctp { state: number_of, vtag_orig, vtag_reply } => {
            state(Field::SctpState, &names::SCTP_STATES, *number_of, see);
            number(Field::SctpVtagOrig, *vtag_orig, see);
            number(Field::SctpVtagReply, *vtag_reply, see);
        }
    }
}

#[inline]
fn state(field: Field, names: &[&str], number: Option<u8>, see: &mut impl FnMut(Field, Value<'_>)) {
    let Some(number) = number else { return };
    match names.get(usize::from(number)) {
        Some(name) => see(field, Value::Text(name.as_bytes())),
        None => see(field, Value::Text(format!("UNKNOWN_{number}").as_bytes())), // a newer kernel's
    }
}

fn visit_expectation(expectation: &Expectation<'_>, see: &mut impl FnMut(Field, Value<'_>)) {
    number(Field::Family, Some(expectation.family), see);
    protocol(&expectation.tuple, see);
    original(&expectation.tuple, see);
    master(&expectation.master, see);
    address(Field::MaskSrc, expectation.mask.src, see);
    address(Field::MaskDst, expectation.mask.dst, see);
    number(Field::MaskSport, expectation.mask.sport, see);
    number(Field::MaskDport, expectation.mask.dport, see);
    number(Field::Timeout, expectation.timeout, see);
    number(Field::Id, expectation.id, see);
    text(Field::Helper, expectation.helper, see);
    number(Field::Zone, expectation.zone, see);
    number(Field::ExpFlags, expectation.flags, see);
    number(Field::Class, expectation.class, see);
    number(Field::NatDir, expectation.nat_dir, see);
    if let Some(tuple) = &expectation.nat_tuple {
        address(Field::NatSrc, tuple.src, see);
        number(Field::NatSport, tuple.sport, see);
    }
    text(Field::Function, expectation.function, see);
    if expectation.has_unknown {
        unknown(expectation.unknown(), see);
    }
}

/// `{"40":"0011","1.2.77":"ff"}`
fn unknown(found: Unknowns<'_>, see: &mut impl FnMut(Field, Value<'_>)) {
    let mut out = String::from("{");
    for attribute in found {
        let path: Vec<String> = attribute.path().iter().map(u16::to_string).collect();
        let hex: String = attribute.payload.iter().map(|byte| format!("{byte:02x}")).collect();
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&format!("\"{}\":\"{hex}\"", path.join(".")));
    }
    if out.len() > 1 {
        out.push('}');
        see(Field::Unknown, Value::Text(out.as_bytes()));
    }
}
