//! The columns of a segment: what they are called, their types, and the numbers that stand for words in them.

use crate::columns::Type;

/// Numbers of the kinds of records. No file on disk has OPEN.
pub const FLOW: u8 = 0;
pub const INTERIM: u8 = 1;
pub const BINDING: u8 = 2;
pub const OPEN: u8 = 3;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// [`FLOW`], [`INTERIM`], [`BINDING`], [`OPEN`].
    Kind,
    /// Bits: 1 source, 2 destination translated.
    Nat,
    Family,
    L4proto,
    /// The source as the world sees it: behind source NAT, or the plain source. IPv4 as a number, or else IPv6.
    OutAddr,
    OutAddr6,
    /// Its port; of ICMP the id.
    OutPort,
    /// The source inside, where it differs from the outside. Each of address and port is null where it is the same.
    InAddr,
    InAddr6,
    InPort,
    /// What was dialled; of ICMP the port is type × 256 + code.
    DstAddr,
    DstAddr6,
    DstPort,
    /// Who answered, where it differs from what was dialled.
    DnatAddr,
    DnatAddr6,
    DnatPort,
    StartNs,
    /// Stop less start. Of INTERIM: up to when it was seen alive.
    DurationNs,
    /// The end was not seen, and lies behind this.
    StopAfterNs,
    EndReason,
    StartFrom,
    StopFrom,
    OrigPackets,
    OrigBytes,
    ReplyPackets,
    ReplyBytes,
    PriorOrigPackets,
    PriorOrigBytes,
    PriorReplyPackets,
    PriorReplyBytes,
    Status,
    /// Number of the protocol's state (TCP, SCTP, DCCP).
    State,
    Mark,
    Zone,
    OrigZone,
    ReplyZone,
    Labels,
    Helper,
    Secctx,
    Portid,
    MasterL4proto,
    MasterSrc,
    MasterSrc6,
    MasterSport,
    MasterDst,
    MasterDst6,
    MasterDport,
    /// Only where a flow has several records, so that they can be joined; with `keep_ids` everywhere.
    FlowId,
    RecordNo,
    Exporter,
    Domain,
    Elements,
    Unknown,
    /// Only with `keep_ids`.
    Seq,
    Id,
}

pub const COUNT: usize = 55;

use Field as F;

/// All of them in their order: name, type, and whether a segment of translations alone has it.
#[rustfmt::skip]
pub const FIELDS: [(Field, &str, Type, bool); COUNT] = [
    (F::Kind, "kind", Type::U8, true),
    (F::Nat, "nat", Type::U8, true),
    (F::Family, "family", Type::U8, true),
    (F::L4proto, "l4proto", Type::U8, true),
    (F::OutAddr, "out_addr", Type::U32, true),
    (F::OutAddr6, "out_addr6", Type::Address, true),
    (F::OutPort, "out_port", Type::U16, true),
    (F::InAddr, "in_addr", Type::U32, true),
    (F::InAddr6, "in_addr6", Type::Address, true),
    (F::InPort, "in_port", Type::U16, true),
    (F::DstAddr, "dst_addr", Type::U32, true),
    (F::DstAddr6, "dst_addr6", Type::Address, true),
    (F::DstPort, "dst_port", Type::U16, true),
    (F::DnatAddr, "dnat_addr", Type::U32, true),
    (F::DnatAddr6, "dnat_addr6", Type::Address, true),
    (F::DnatPort, "dnat_port", Type::U16, true),
    (F::StartNs, "start_ns", Type::I64, true),
    (F::DurationNs, "duration_ns", Type::I64, true),
    (F::StopAfterNs, "stop_after_ns", Type::I64, true),
    (F::EndReason, "end_reason", Type::U8, false),
    (F::StartFrom, "start_from", Type::U8, true),
    (F::StopFrom, "stop_from", Type::U8, true),
    (F::OrigPackets, "orig_packets", Type::U64, false),
    (F::OrigBytes, "orig_bytes", Type::U64, false),
    (F::ReplyPackets, "reply_packets", Type::U64, false),
    (F::ReplyBytes, "reply_bytes", Type::U64, false),
    (F::PriorOrigPackets, "prior_orig_packets", Type::U64, false),
    (F::PriorOrigBytes, "prior_orig_bytes", Type::U64, false),
    (F::PriorReplyPackets, "prior_reply_packets", Type::U64, false),
    (F::PriorReplyBytes, "prior_reply_bytes", Type::U64, false),
    (F::Status, "status", Type::U32, false),
    (F::State, "state", Type::U8, false),
    (F::Mark, "mark", Type::U32, false),
    (F::Zone, "zone", Type::U16, true),
    (F::OrigZone, "orig_zone", Type::U16, false),
    (F::ReplyZone, "reply_zone", Type::U16, false),
    (F::Labels, "labels", Type::Labels, false),
    (F::Helper, "helper", Type::Text, false),
    (F::Secctx, "secctx", Type::Text, false),
    (F::Portid, "portid", Type::U32, false),
    (F::MasterL4proto, "master_l4proto", Type::U8, false),
    (F::MasterSrc, "master_src", Type::U32, false),
    (F::MasterSrc6, "master_src6", Type::Address, false),
    (F::MasterSport, "master_sport", Type::U16, false),
    (F::MasterDst, "master_dst", Type::U32, false),
    (F::MasterDst6, "master_dst6", Type::Address, false),
    (F::MasterDport, "master_dport", Type::U16, false),
    (F::FlowId, "flow_id", Type::U64, false),
    (F::RecordNo, "record_no", Type::U32, false),
    (F::Exporter, "exporter", Type::Text, true),
    (F::Domain, "domain", Type::U32, true),
    (F::Elements, "elements", Type::Text, false),
    (F::Unknown, "unknown", Type::Text, false),
    (F::Seq, "seq", Type::U64, false),
    (F::Id, "id", Type::U32, false),
];
