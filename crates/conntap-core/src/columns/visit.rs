//! The one place that knows where each field of the schema comes from.

use std::net::IpAddr;

use super::fields::Field;
use crate::batch::Row;
use crate::model::record::{Record, end_reason};
use crate::model::{Content, Counters, Expectation, Flow, Gap, Kind, ProtoInfo, SeqAdj, Tuple, Unknowns, names};
use crate::wire::Message;

/// Takes the fields of a row, each by a method of its type. All calls are inlined, so that a field's number is a
/// constant where it is used: this is what makes columns and JSON cheap.
pub trait Visitor {
    fn u8(&mut self, field: Field, value: u8);
    fn u16(&mut self, field: Field, value: u16);
    fn u32(&mut self, field: Field, value: u32);
    fn u64(&mut self, field: Field, value: u64);
    fn i32(&mut self, field: Field, value: i32);
    /// Nanoseconds since the epoch.
    fn time(&mut self, field: Field, value: i64);
    fn address(&mut self, field: Field, value: IpAddr);
    fn labels(&mut self, field: Field, value: &[u8]);
    /// Bytes from outside, as they came.
    fn text(&mut self, field: Field, value: &[u8]);
    /// A word of ours: ASCII, nothing to be escaped.
    fn word(&mut self, field: Field, value: &str);
    /// A text that is JSON already.
    fn json(&mut self, field: Field, value: &str);
}

/// A value that knows its visitor's method.
trait Give {
    fn give(self, field: Field, to: &mut impl Visitor);
}

macro_rules! give {
    ($($kind:ty => $method:ident),*) => {$(
        impl Give for $kind {
            #[inline(always)]
            fn give(self, field: Field, to: &mut impl Visitor) {
                to.$method(field, self);
            }
        }
    )*};
}
give!(u8 => u8, u16 => u16, u32 => u32, u64 => u64, i32 => i32, IpAddr => address, &[u8] => text, &str => word);

/// Nanoseconds as the kernel sends them; what i64 cannot hold (the year 2262) becomes its greatest value.
struct Time(u64);

impl Give for Time {
    #[inline(always)]
    fn give(self, field: Field, to: &mut impl Visitor) {
        to.time(field, i64::try_from(self.0).unwrap_or(i64::MAX));
    }
}

#[inline(always)]
fn put<V: Give>(field: Field, value: Option<V>, to: &mut impl Visitor) {
    if let Some(value) = value {
        value.give(field, to);
    }
}

/// Hand every field that the row has to `to`, in schema order.
#[inline]
pub fn visit(row: &Row, message: &Message<'_>, content: &Content<'_>, to: &mut impl Visitor) {
    to.word(Field::Kind, row.kind.name());
    to.time(Field::ReceivedNs, row.received_ns);
    match content {
        Content::Flow(flow) => {
            put(Field::EventNs, flow.event_ns.map(Time), to);
            put(Field::Portid, causer(row, message), to);
            visit_flow(flow, to);
        }
        Content::Expectation(expectation) => {
            put(Field::Portid, causer(row, message), to);
            visit_expectation(expectation, to);
        }
        Content::Gap(gap) => visit_gap(gap, to),
    }
}

/// In a table's rows the port is that of our own socket.
#[inline]
fn causer(row: &Row, message: &Message<'_>) -> Option<u32> {
    (message.port != 0 && !matches!(row.kind, Kind::Entry | Kind::ExpEntry)).then_some(message.port)
}

fn visit_gap(gap: &Gap, to: &mut impl Visitor) {
    put(Field::Lost, gap.lost, to);
    to.time(Field::GapAfterNs, gap.after_ns);
    to.time(Field::GapBeforeNs, gap.before_ns);
    if gap.seq > 0 {
        to.word(Field::GapCause, gap.cause.name());
        to.u64(Field::GapAlive, gap.alive);
        to.u64(Field::GapEnded, gap.ended);
        to.u64(Field::Seq, gap.seq);
    }
}

/// Family, protocol and the original tuple; of an expectation the expected tuple stands in its place.
#[inline]
fn original(family: u8, tuple: &Tuple, to: &mut impl Visitor) {
    to.u8(Field::Family, family);
    put(Field::L4proto, tuple.l4proto, to);
    put(Field::Protocol, tuple.l4proto.and_then(names::l4proto), to);
    put(Field::OrigSrc, tuple.src, to);
    put(Field::OrigDst, tuple.dst, to);
    put(Field::OrigSport, tuple.sport, to);
    put(Field::OrigDport, tuple.dport, to);
    put(Field::OrigIcmpType, tuple.icmp_type, to);
    put(Field::OrigIcmpCode, tuple.icmp_code, to);
    put(Field::OrigIcmpId, tuple.icmp_id, to);
}

fn master(tuple: &Tuple, to: &mut impl Visitor) {
    put(Field::MasterSrc, tuple.src, to);
    put(Field::MasterDst, tuple.dst, to);
    put(Field::MasterL4proto, tuple.l4proto, to);
    put(Field::MasterSport, tuple.sport, to);
    put(Field::MasterDport, tuple.dport, to);
}

#[inline]
fn visit_flow(flow: &Flow<'_>, to: &mut impl Visitor) {
    original(flow.family, &flow.orig, to);
    put(Field::OrigZone, flow.orig.zone, to);
    put(Field::ReplySrc, flow.reply.src, to);
    put(Field::ReplyDst, flow.reply.dst, to);
    put(Field::ReplySport, flow.reply.sport, to);
    put(Field::ReplyDport, flow.reply.dport, to);
    put(Field::ReplyIcmpType, flow.reply.icmp_type, to);
    put(Field::ReplyIcmpCode, flow.reply.icmp_code, to);
    put(Field::ReplyIcmpId, flow.reply.icmp_id, to);
    put(Field::ReplyZone, flow.reply.zone, to);
    if let Some(tuple) = &flow.master {
        master(tuple, to);
    }
    put(Field::Status, flow.status, to);
    if let Some(info) = &flow.protoinfo {
        state(info, to);
    }
    put(Field::Timeout, flow.timeout, to);
    put(Field::Mark, flow.mark, to);
    put(Field::Zone, flow.zone, to);
    if let Some(labels) = flow.labels {
        to.labels(Field::Labels, labels);
    }
    put(Field::Id, flow.id, to);
    put(Field::Helper, flow.helper, to);
    if let Some(info) = flow.helper_info {
        to.word(Field::HelperInfo, &hex(info));
    }
    put(Field::UseCount, flow.use_count, to);
    counters(flow.counters_orig.as_ref(), [Field::OrigPackets, Field::OrigBytes], to);
    counters(flow.counters_reply.as_ref(), [Field::ReplyPackets, Field::ReplyBytes], to);
    put(Field::StartNs, flow.start_ns.map(Time), to);
    put(Field::StopNs, flow.stop_ns.map(Time), to);
    put(Field::Secmark, flow.secmark, to);
    put(Field::Secctx, flow.secctx, to);
    if let Some(info) = &flow.protoinfo {
        details(info, to);
    }
    seq_adj(flow.seq_adj_orig, [Field::SeqAdjOrigPos, Field::SeqAdjOrigBefore, Field::SeqAdjOrigAfter], to);
    seq_adj(flow.seq_adj_reply, [Field::SeqAdjReplyPos, Field::SeqAdjReplyBefore, Field::SeqAdjReplyAfter], to);
    if let Some(synproxy) = &flow.synproxy {
        put(Field::SynproxyIsn, synproxy.isn, to);
        put(Field::SynproxyIts, synproxy.its, to);
        put(Field::SynproxyTsoff, synproxy.tsoff, to);
    }
    if let Some(record) = &flow.record {
        visit_record(record, flow, to);
    }
    if flow.has_unknown {
        unknown(flow.unknown(), to);
    }
}

fn visit_record(record: &Record<'_>, flow: &Flow<'_>, to: &mut impl Visitor) {
    to.u64(Field::Seq, record.seq);
    to.u64(Field::FlowId, record.flow_id);
    to.u32(Field::RecordNo, record.record_no);
    put(Field::Nat, flow.nat_kind(), to);
    put(Field::EndReason, record.end_reason.and_then(|number| end_reason::NAMES.get(usize::from(number)).copied()), to);
    put(Field::StartFrom, record.start_from.name(), to);
    put(Field::StopFrom, record.stop_from.name(), to);
    if let Some(time) = record.stop_after_ns {
        to.time(Field::StopAfterNs, time);
    }
    if let Some([orig_packets, orig_bytes, reply_packets, reply_bytes]) = record.prior {
        to.u64(Field::PriorOrigPackets, orig_packets);
        to.u64(Field::PriorOrigBytes, orig_bytes);
        to.u64(Field::PriorReplyPackets, reply_packets);
        to.u64(Field::PriorReplyBytes, reply_bytes);
    }
    put(Field::Exporter, record.exporter, to);
    put(Field::Domain, record.domain, to);
    put(Field::Elements, record.elements, to);
}

#[inline]
fn counters(counters: Option<&Counters>, [packets, bytes]: [Field; 2], to: &mut impl Visitor) {
    if let Some(counters) = counters {
        put(packets, counters.packets, to);
        put(bytes, counters.bytes, to);
    }
}

fn seq_adj(adjust: Option<SeqAdj>, [position, before, after]: [Field; 3], to: &mut impl Visitor) {
    if let Some(adjust) = adjust {
        put(position, adjust.correction_pos, to);
        put(before, adjust.offset_before, to);
        put(after, adjust.offset_after, to);
    }
}

#[inline]
fn state(info: &ProtoInfo, to: &mut impl Visitor) {
    let (field, names) = match info {
        ProtoInfo::Tcp { .. } => (Field::TcpState, &names::TCP_STATES),
        ProtoInfo::Sctp { .. } => (Field::SctpState, &names::SCTP_STATES),
        ProtoInfo::Dccp { .. } => (Field::DccpState, &names::DCCP_STATES),
    };
    let Some(number) = info.state() else { return };
    match names.get(usize::from(number)) {
        Some(name) => to.word(field, name),
        None => to.word(field, &format!("UNKNOWN_{number}")), // a newer kernel's
    }
}

/// What protocols tell besides their state.
#[inline]
fn details(info: &ProtoInfo, to: &mut impl Visitor) {
    match info {
        ProtoInfo::Tcp { wscale_orig, wscale_reply, flags_orig, flags_reply, .. } => {
            put(Field::TcpWscaleOrig, *wscale_orig, to);
            put(Field::TcpWscaleReply, *wscale_reply, to);
            put(Field::TcpFlagsOrig, flags_orig.map(|(flags, _)| flags), to);
            put(Field::TcpFlagsReply, flags_reply.map(|(flags, _)| flags), to);
        }
        ProtoInfo::Sctp { vtag_orig, vtag_reply, .. } => {
            put(Field::SctpVtagOrig, *vtag_orig, to);
            put(Field::SctpVtagReply, *vtag_reply, to);
        }
        ProtoInfo::Dccp { role, handshake_seq, .. } => {
            put(Field::DccpRole, *role, to);
            put(Field::DccpHandshakeSeq, *handshake_seq, to);
        }
    }
}

fn visit_expectation(expectation: &Expectation<'_>, to: &mut impl Visitor) {
    original(expectation.family, &expectation.tuple, to);
    master(&expectation.master, to);
    put(Field::Timeout, expectation.timeout, to);
    put(Field::Zone, expectation.zone, to);
    put(Field::Id, expectation.id, to);
    put(Field::Helper, expectation.helper, to);
    put(Field::MaskSrc, expectation.mask.src, to);
    put(Field::MaskDst, expectation.mask.dst, to);
    put(Field::MaskSport, expectation.mask.sport, to);
    put(Field::MaskDport, expectation.mask.dport, to);
    put(Field::ExpFlags, expectation.flags, to);
    put(Field::Class, expectation.class, to);
    put(Field::Function, expectation.function, to);
    put(Field::NatDir, expectation.nat_dir, to);
    if let Some(tuple) = &expectation.nat_tuple {
        put(Field::NatSrc, tuple.src, to);
        put(Field::NatSport, tuple.sport, to);
    }
    if expectation.has_unknown {
        unknown(expectation.unknown(), to);
    }
}

/// `{"40":"0011","1.2.77":"ff"}`
#[cold]
fn unknown(found: Unknowns<'_>, to: &mut impl Visitor) {
    if let Some(text) = unknown_json(found) {
        to.json(Field::Unknown, &text);
    }
}

/// Attributes without a field as a JSON object; None where there is none.
pub(crate) fn unknown_json(found: Unknowns<'_>) -> Option<String> {
    let mut out = String::from("{");
    for attribute in found {
        let path: Vec<String> = attribute.path().iter().map(u16::to_string).collect();
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&format!("\"{}\":\"{}\"", path.join("."), hex(attribute.payload)));
    }
    out.push('}');
    (out.len() > 2).then_some(out)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
