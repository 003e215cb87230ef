//! One conntrack entry, as sent in dumps, events and requests (CTA_*).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::tuple::write_address;
use super::{Record, Tuple, Unknowns};
use crate::wire::constants::*;
use crate::wire::{Attr, DecodeError, Message, Writer};

/// A flow. Every field may be missing: what the kernel sends depends on the message, sysctls and protocol.
///
/// Source: net/netfilter/nf_conntrack_netlink.c, `ctnetlink_fill_info`, `ctnetlink_conntrack_event`.
#[derive(Clone, Debug, Default)]
pub struct Flow<'a> {
    pub family: u8,
    pub orig: Tuple,
    pub reply: Tuple,
    /// Original tuple of the flow whose expectation this one fulfilled. Events: only in NEW.
    pub master: Option<Tuple>,
    /// IPS_* bits.
    pub status: Option<u32>,
    pub status_mask: Option<u32>,
    pub protoinfo: Option<ProtoInfo>,
    pub helper: Option<&'a [u8]>,
    pub helper_info: Option<&'a [u8]>,
    /// Requests only: the kernel never reports NAT but by the tuples.
    pub nat_src: Option<NatRange>,
    pub nat_dst: Option<NatRange>,
    /// Remaining seconds; in DESTROY only when ended before its time.
    pub timeout: Option<u32>,
    /// Absent from events while 0.
    pub mark: Option<u32>,
    pub mark_mask: Option<u32>,
    /// Accounting (sysctl nf_conntrack_acct): dumps and DESTROY only.
    pub counters_orig: Option<Counters>,
    pub counters_reply: Option<Counters>,
    pub use_count: Option<u32>,
    /// Repeats when a tuple is made anew: no generation counter.
    pub id: Option<u32>,
    pub seq_adj_orig: Option<SeqAdj>,
    pub seq_adj_reply: Option<SeqAdj>,
    pub secmark: Option<u32>,
    /// Zone valid in both directions; 0 is never sent.
    pub zone: Option<u16>,
    pub secctx: Option<&'a [u8]>,
    /// Nanoseconds since the epoch (sysctl nf_conntrack_timestamp).
    pub start_ns: Option<u64>,
    pub stop_ns: Option<u64>,
    /// When the kernel recorded the event (since 6.14, needs nf_conntrack_timestamp).
    pub event_ns: Option<u64>,
    /// Up to 16 bytes, host-order words.
    pub labels: Option<&'a [u8]>,
    pub labels_mask: Option<&'a [u8]>,
    pub synproxy: Option<Synproxy>,
    /// CTA_FILTER flags of a request, original and reply.
    pub filter_orig: Option<u32>,
    pub filter_reply: Option<u32>,
    /// What the ledger adds, in its records.
    pub record: Option<Record<'a>>,
    /// There are attributes that this version does not know: see [`Flow::unknown`].
    pub has_unknown: bool,
    /// The attributes as received, for [`Flow::unknown`]; empty in values made by hand.
    pub raw: &'a [u8],
}

/// Protocol state (CTA_PROTOINFO).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtoInfo {
    Tcp {
        state: Option<u8>,
        wscale_orig: Option<u8>,
        wscale_reply: Option<u8>,
        /// Flags and mask; the kernel sends mask 0.
        flags_orig: Option<(u8, u8)>,
        flags_reply: Option<(u8, u8)>,
    },
    /// Kernels up to 6.16.
    Dccp {
        state: Option<u8>,
        role: Option<u8>,
        handshake_seq: Option<u64>,
    },
    Sctp {
        state: Option<u8>,
        vtag_orig: Option<u32>,
        vtag_reply: Option<u32>,
    },
}

impl ProtoInfo {
    /// The protocol's state number.
    #[must_use]
    pub fn state(&self) -> Option<u8> {
        match self {
            Self::Tcp { state, .. } | Self::Dccp { state, .. } | Self::Sctp { state, .. } => *state,
        }
    }
}

/// Packets and layer-3 bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub packets: Option<u64>,
    pub bytes: Option<u64>,
}

/// Sequence number adjustment of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeqAdj {
    pub correction_pos: Option<u32>,
    /// Signed.
    pub offset_before: Option<i32>,
    pub offset_after: Option<i32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synproxy {
    pub isn: Option<u32>,
    pub its: Option<u32>,
    pub tsoff: Option<u32>,
}

/// A NAT range of a create request (CTA_NAT_SRC, CTA_NAT_DST).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatRange {
    pub min: Option<IpAddr>,
    /// The kernel takes `min` when missing.
    pub max: Option<IpAddr>,
    pub port_min: Option<u16>,
    pub port_max: Option<u16>,
}

impl<'a> Flow<'a> {
    /// Read a flow message.
    #[inline]
    pub fn decode(message: &Message<'a>) -> Result<Self, DecodeError> {
        let (family, _, _) = message.nfgen()?;
        let mut flow = Self { family, raw: message.attr_bytes(), ..Self::default() };
        for attr in message.attrs() {
            flow.decode_attr(&attr?)?;
        }
        Ok(flow)
    }

    #[inline]
    fn decode_attr(&mut self, attr: &Attr<'a>) -> Result<(), DecodeError> {
        match attr.kind {
            CTA_TUPLE_ORIG => self.orig = Tuple::decode(attr, &mut self.has_unknown)?,
            CTA_TUPLE_REPLY => self.reply = Tuple::decode(attr, &mut self.has_unknown)?,
            CTA_TUPLE_MASTER => self.master = Some(Tuple::decode(attr, &mut self.has_unknown)?),
            CTA_STATUS => self.status = Some(attr.be32()?),
            CTA_STATUS_MASK => self.status_mask = Some(attr.be32()?),
            CTA_PROTOINFO => self.protoinfo = ProtoInfo::decode(attr, &mut self.has_unknown)?,
            CTA_HELP => self.decode_help(attr)?,
            CTA_NAT_SRC => self.nat_src = Some(NatRange::decode(attr, &mut self.has_unknown)?),
            CTA_NAT_DST => self.nat_dst = Some(NatRange::decode(attr, &mut self.has_unknown)?),
            CTA_TIMEOUT => self.timeout = Some(attr.be32()?),
            CTA_MARK => self.mark = Some(attr.be32()?),
            CTA_MARK_MASK => self.mark_mask = Some(attr.be32()?),
            CTA_COUNTERS_ORIG => self.counters_orig = Some(Counters::decode(attr, &mut self.has_unknown)?),
            CTA_COUNTERS_REPLY => self.counters_reply = Some(Counters::decode(attr, &mut self.has_unknown)?),
            CTA_USE => self.use_count = Some(attr.be32()?),
            CTA_ID => self.id = Some(attr.be32()?),
            CTA_SEQ_ADJ_ORIG => self.seq_adj_orig = Some(SeqAdj::decode(attr, &mut self.has_unknown)?),
            CTA_SEQ_ADJ_REPLY => self.seq_adj_reply = Some(SeqAdj::decode(attr, &mut self.has_unknown)?),
            CTA_SECMARK => self.secmark = Some(attr.be32()?),
            CTA_ZONE => self.zone = Some(attr.be16()?),
            CTA_SECCTX => {
                for part in attr.nested() {
                    let part = part?;
                    match part.kind {
                        CTA_SECCTX_NAME => self.secctx = Some(part.text()),
                        _ => self.has_unknown = true,
                    }
                }
            }
            CTA_TIMESTAMP => {
                for part in attr.nested() {
                    let part = part?;
                    match part.kind {
                        CTA_TIMESTAMP_START => self.start_ns = Some(part.be64()?),
                        CTA_TIMESTAMP_STOP => self.stop_ns = Some(part.be64()?),
                        CTA_TIMESTAMP_PAD => {}
                        _ => self.has_unknown = true,
                    }
                }
            }
            CTA_TIMESTAMP_EVENT => self.event_ns = Some(attr.be64()?),
            CTA_LABELS => self.labels = Some(labels(attr)?),
            CTA_LABELS_MASK => self.labels_mask = Some(labels(attr)?),
            CTA_SYNPROXY => self.synproxy = Some(Synproxy::decode(attr, &mut self.has_unknown)?),
            CTA_FILTER => {
                for part in attr.nested() {
                    let part = part?;
                    match part.kind {
                        CTA_FILTER_ORIG_FLAGS => self.filter_orig = Some(part.host32()?),
                        CTA_FILTER_REPLY_FLAGS => self.filter_reply = Some(part.host32()?),
                        _ => self.has_unknown = true,
                    }
                }
            }
            _ => {
                if !Record::decode(&mut self.record, attr)? {
                    self.has_unknown = true; // kept: see `unknown`
                }
            }
        }
        Ok(())
    }

    fn decode_help(&mut self, attr: &Attr<'a>) -> Result<(), DecodeError> {
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_HELP_NAME => self.helper = Some(part.text()),
                CTA_HELP_INFO => self.helper_info = Some(part.payload),
                _ => self.has_unknown = true,
            }
        }
        Ok(())
    }

    /// Attributes that this version does not know, at any depth, with their numbers.
    #[must_use]
    pub fn unknown(&self) -> Unknowns<'a> {
        Unknowns::flow(self.raw)
    }

    /// Write every field that is set; top-level unknown attributes are written as they came.
    pub fn write(&self, writer: &mut Writer) {
        if !self.orig.is_empty() {
            self.orig.write(writer, CTA_TUPLE_ORIG);
        }
        if !self.reply.is_empty() {
            self.reply.write(writer, CTA_TUPLE_REPLY);
        }
        let be32 = |writer: &mut Writer, kind, value: Option<u32>| {
            if let Some(value) = value {
                writer.be32(kind, value);
            }
        };
        if let Some(zone) = self.zone {
            writer.be16(CTA_ZONE, zone);
        }
        be32(writer, CTA_STATUS, self.status);
        be32(writer, CTA_STATUS_MASK, self.status_mask);
        be32(writer, CTA_MARK, self.mark);
        be32(writer, CTA_MARK_MASK, self.mark_mask);
        be32(writer, CTA_SECMARK, self.secmark);
        if let Some(name) = self.secctx {
            writer.nest(CTA_SECCTX, |writer| writer.text(CTA_SECCTX_NAME, name));
        }
        be32(writer, CTA_ID, self.id);
        be32(writer, CTA_USE, self.use_count);
        if let Some(master) = self.master {
            master.write(writer, CTA_TUPLE_MASTER);
        }
        be32(writer, CTA_TIMEOUT, self.timeout);
        if let Some(info) = &self.protoinfo {
            info.write(writer);
        }
        if let Some(counters) = self.counters_orig {
            counters.write(writer, CTA_COUNTERS_ORIG);
        }
        if let Some(counters) = self.counters_reply {
            counters.write(writer, CTA_COUNTERS_REPLY);
        }
        self.write_times(writer);
        self.write_rest(writer);
    }

    fn write_times(&self, writer: &mut Writer) {
        if self.start_ns.is_some() || self.stop_ns.is_some() {
            writer.nest(CTA_TIMESTAMP, |writer| {
                if let Some(time) = self.start_ns {
                    writer.be64(CTA_TIMESTAMP_START, time);
                }
                if let Some(time) = self.stop_ns {
                    writer.be64(CTA_TIMESTAMP_STOP, time);
                }
            });
        }
        if let Some(time) = self.event_ns {
            writer.be64(CTA_TIMESTAMP_EVENT, time);
        }
    }

    fn write_rest(&self, writer: &mut Writer) {
        if self.helper.is_some() || self.helper_info.is_some() {
            writer.nest(CTA_HELP, |writer| {
                if let Some(name) = self.helper {
                    writer.text(CTA_HELP_NAME, name);
                }
                if let Some(info) = self.helper_info {
                    writer.attr(CTA_HELP_INFO, info);
                }
            });
        }
        if let Some(range) = &self.nat_src {
            range.write(writer, CTA_NAT_SRC);
        }
        if let Some(range) = &self.nat_dst {
            range.write(writer, CTA_NAT_DST);
        }
        if let Some(labels) = self.labels {
            writer.attr(CTA_LABELS, labels);
        }
        if let Some(mask) = self.labels_mask {
            writer.attr(CTA_LABELS_MASK, mask);
        }
        if let Some(adjust) = &self.seq_adj_orig {
            adjust.write(writer, CTA_SEQ_ADJ_ORIG);
        }
        if let Some(adjust) = &self.seq_adj_reply {
            adjust.write(writer, CTA_SEQ_ADJ_REPLY);
        }
        if let Some(synproxy) = &self.synproxy {
            synproxy.write(writer);
        }
        if self.filter_orig.is_some() || self.filter_reply.is_some() {
            writer.nest(CTA_FILTER, |writer| {
                if let Some(flags) = self.filter_orig {
                    writer.host32(CTA_FILTER_ORIG_FLAGS, flags);
                }
                if let Some(flags) = self.filter_reply {
                    writer.host32(CTA_FILTER_REPLY_FLAGS, flags);
                }
            });
        }
        if let Some(record) = &self.record {
            record.write(writer);
        }
        for unknown in self.unknown() {
            if let [number] = unknown.path() {
                writer.attr(*number, unknown.payload);
            }
        }
    }
}

/// Labels are at most 128 bits (XT_CONNLABEL_MAXBIT).
fn labels<'a>(attr: &Attr<'a>) -> Result<&'a [u8], DecodeError> {
    if attr.payload.len() > 16 {
        return Err(DecodeError::BadValue { attribute: attr.kind });
    }
    Ok(attr.payload)
}

impl ProtoInfo {
    fn decode(attr: &Attr<'_>, unknown: &mut bool) -> Result<Option<Self>, DecodeError> {
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_PROTOINFO_TCP => return Self::decode_tcp(&part, unknown).map(Some),
                CTA_PROTOINFO_DCCP => return Self::decode_dccp(&part, unknown).map(Some),
                CTA_PROTOINFO_SCTP => return Self::decode_sctp(&part, unknown).map(Some),
                _ => *unknown = true,
            }
        }
        Ok(None)
    }

    fn decode_tcp(attr: &Attr<'_>, unknown: &mut bool) -> Result<Self, DecodeError> {
        let (mut state, mut wscale_orig, mut wscale_reply, mut flags_orig, mut flags_reply) =
            (None, None, None, None, None);
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_PROTOINFO_TCP_STATE => state = Some(part.u8()?),
                CTA_PROTOINFO_TCP_WSCALE_ORIGINAL => wscale_orig = Some(part.u8()?),
                CTA_PROTOINFO_TCP_WSCALE_REPLY => wscale_reply = Some(part.u8()?),
                CTA_PROTOINFO_TCP_FLAGS_ORIGINAL => flags_orig = Some(part.pair()?),
                CTA_PROTOINFO_TCP_FLAGS_REPLY => flags_reply = Some(part.pair()?),
                _ => *unknown = true,
            }
        }
        Ok(Self::Tcp { state, wscale_orig, wscale_reply, flags_orig, flags_reply })
    }

    fn decode_dccp(attr: &Attr<'_>, unknown: &mut bool) -> Result<Self, DecodeError> {
        let (mut state, mut role, mut handshake_seq) = (None, None, None);
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_PROTOINFO_DCCP_STATE => state = Some(part.u8()?),
                CTA_PROTOINFO_DCCP_ROLE => role = Some(part.u8()?),
                CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ => handshake_seq = Some(part.be64()?),
                CTA_PROTOINFO_DCCP_PAD => {}
                _ => *unknown = true,
            }
        }
        Ok(Self::Dccp { state, role, handshake_seq })
    }

    fn decode_sctp(attr: &Attr<'_>, unknown: &mut bool) -> Result<Self, DecodeError> {
        let (mut state, mut vtag_orig, mut vtag_reply) = (None, None, None);
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_PROTOINFO_SCTP_STATE => state = Some(part.u8()?),
                CTA_PROTOINFO_SCTP_VTAG_ORIGINAL => vtag_orig = Some(part.be32()?),
                CTA_PROTOINFO_SCTP_VTAG_REPLY => vtag_reply = Some(part.be32()?),
                _ => *unknown = true,
            }
        }
        Ok(Self::Sctp { state, vtag_orig, vtag_reply })
    }

    fn write(&self, writer: &mut Writer) {
        writer.nest(CTA_PROTOINFO, |writer| match *self {
            Self::Tcp { state, wscale_orig, wscale_reply, flags_orig, flags_reply } => {
                writer.nest(CTA_PROTOINFO_TCP, |writer| {
                    for (kind, value) in [
                        (CTA_PROTOINFO_TCP_STATE, state),
                        (CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, wscale_orig),
                        (CTA_PROTOINFO_TCP_WSCALE_REPLY, wscale_reply),
                    ] {
                        if let Some(value) = value {
                            writer.u8(kind, value);
                        }
                    }
                    for (kind, value) in
                        [(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, flags_orig), (CTA_PROTOINFO_TCP_FLAGS_REPLY, flags_reply)]
                    {
                        if let Some((flags, mask)) = value {
                            writer.attr(kind, &[flags, mask]);
                        }
                    }
                });
            }
            Self::Dccp { state, role, handshake_seq } => writer.nest(CTA_PROTOINFO_DCCP, |writer| {
                if let Some(state) = state {
                    writer.u8(CTA_PROTOINFO_DCCP_STATE, state);
                }
                if let Some(role) = role {
                    writer.u8(CTA_PROTOINFO_DCCP_ROLE, role);
                }
                if let Some(seq) = handshake_seq {
                    writer.be64(CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ, seq);
                }
            }),
            Self::Sctp { state, vtag_orig, vtag_reply } => writer.nest(CTA_PROTOINFO_SCTP, |writer| {
                if let Some(state) = state {
                    writer.u8(CTA_PROTOINFO_SCTP_STATE, state);
                }
                if let Some(tag) = vtag_orig {
                    writer.be32(CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, tag);
                }
                if let Some(tag) = vtag_reply {
                    writer.be32(CTA_PROTOINFO_SCTP_VTAG_REPLY, tag);
                }
            }),
        });
    }
}

impl Counters {
    #[inline]
    fn decode(attr: &Attr<'_>, unknown: &mut bool) -> Result<Self, DecodeError> {
        let mut counters = Self::default();
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_COUNTERS_PACKETS => counters.packets = Some(part.be64()?),
                CTA_COUNTERS_BYTES => counters.bytes = Some(part.be64()?),
                CTA_COUNTERS32_PACKETS => counters.packets = Some(part.be32()?.into()),
                CTA_COUNTERS32_BYTES => counters.bytes = Some(part.be32()?.into()),
                CTA_COUNTERS_PAD => {}
                _ => *unknown = true,
            }
        }
        Ok(counters)
    }

    fn write(&self, writer: &mut Writer, kind: u16) {
        writer.nest(kind, |writer| {
            if let Some(packets) = self.packets {
                writer.be64(CTA_COUNTERS_PACKETS, packets);
            }
            if let Some(bytes) = self.bytes {
                writer.be64(CTA_COUNTERS_BYTES, bytes);
            }
        });
    }
}

impl SeqAdj {
    fn decode(attr: &Attr<'_>, unknown: &mut bool) -> Result<Self, DecodeError> {
        let mut adjust = Self::default();
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_SEQADJ_CORRECTION_POS => adjust.correction_pos = Some(part.be32()?),
                CTA_SEQADJ_OFFSET_BEFORE => adjust.offset_before = Some(part.be32()?.cast_signed()),
                CTA_SEQADJ_OFFSET_AFTER => adjust.offset_after = Some(part.be32()?.cast_signed()),
                _ => *unknown = true,
            }
        }
        Ok(adjust)
    }

    fn write(&self, writer: &mut Writer, kind: u16) {
        writer.nest(kind, |writer| {
            for (kind, value) in [
                (CTA_SEQADJ_CORRECTION_POS, self.correction_pos),
                (CTA_SEQADJ_OFFSET_BEFORE, self.offset_before.map(i32::cast_unsigned)),
                (CTA_SEQADJ_OFFSET_AFTER, self.offset_after.map(i32::cast_unsigned)),
            ] {
                if let Some(value) = value {
                    writer.be32(kind, value);
                }
            }
        });
    }
}

impl Synproxy {
    fn decode(attr: &Attr<'_>, unknown: &mut bool) -> Result<Self, DecodeError> {
        let mut synproxy = Self::default();
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_SYNPROXY_ISN => synproxy.isn = Some(part.be32()?),
                CTA_SYNPROXY_ITS => synproxy.its = Some(part.be32()?),
                CTA_SYNPROXY_TSOFF => synproxy.tsoff = Some(part.be32()?),
                _ => *unknown = true,
            }
        }
        Ok(synproxy)
    }

    fn write(&self, writer: &mut Writer) {
        writer.nest(CTA_SYNPROXY, |writer| {
            for (kind, value) in
                [(CTA_SYNPROXY_ISN, self.isn), (CTA_SYNPROXY_ITS, self.its), (CTA_SYNPROXY_TSOFF, self.tsoff)]
            {
                if let Some(value) = value {
                    writer.be32(kind, value);
                }
            }
        });
    }
}

impl NatRange {
    fn decode(attr: &Attr<'_>, unknown: &mut bool) -> Result<Self, DecodeError> {
        let mut range = Self::default();
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_NAT_V4_MINIP => range.min = Some(Ipv4Addr::from(part.ipv4()?).into()),
                CTA_NAT_V4_MAXIP => range.max = Some(Ipv4Addr::from(part.ipv4()?).into()),
                CTA_NAT_V6_MINIP => range.min = Some(Ipv6Addr::from(part.ipv6()?).into()),
                CTA_NAT_V6_MAXIP => range.max = Some(Ipv6Addr::from(part.ipv6()?).into()),
                CTA_NAT_PROTO => {
                    for port in part.nested() {
                        let port = port?;
                        match port.kind {
                            CTA_PROTONAT_PORT_MIN => range.port_min = Some(port.be16()?),
                            CTA_PROTONAT_PORT_MAX => range.port_max = Some(port.be16()?),
                            _ => *unknown = true,
                        }
                    }
                }
                _ => *unknown = true,
            }
        }
        Ok(range)
    }

    fn write(&self, writer: &mut Writer, kind: u16) {
        writer.nest(kind, |writer| {
            write_address(writer, self.min, CTA_NAT_V4_MINIP, CTA_NAT_V6_MINIP);
            write_address(writer, self.max, CTA_NAT_V4_MAXIP, CTA_NAT_V6_MAXIP);
            if self.port_min.is_some() || self.port_max.is_some() {
                writer.nest(CTA_NAT_PROTO, |writer| {
                    if let Some(port) = self.port_min {
                        writer.be16(CTA_PROTONAT_PORT_MIN, port);
                    }
                    if let Some(port) = self.port_max {
                        writer.be16(CTA_PROTONAT_PORT_MAX, port);
                    }
                });
            }
        });
    }
}
