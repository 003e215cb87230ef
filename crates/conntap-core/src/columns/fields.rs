//! Made by scripts/generate.py from schema/fields.toml; do not edit.

use super::Type;

/// A field of a row, in schema order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Field {
    /// ENTRY, NEW, UPDATE, DESTROY; EXP_ENTRY, EXP_NEW, EXP_UPDATE, EXP_DESTROY; GAP. ENTRY is a row of a table.
    Kind,
    /// When conntap took the message from the socket. Never missing; later than what it reports.
    ReceivedNs,
    /// When the kernel recorded the event. Events of Linux 6.14 and later with nf_conntrack_timestamp=1; never in tables.
    EventNs,
    /// Netlink port of the program that caused the event; missing when packets or timers did, and in tables.
    Portid,
    /// 2 for IPv4, 10 for IPv6 (AF_INET, AF_INET6).
    Family,
    /// IP protocol number of the original (or expected) tuple.
    L4proto,
    /// Name of a protocol that has a tracker (tcp, udp, icmp …); missing for the others.
    Protocol,
    /// Source of the first packet. Of an expectation: the expected source, see mask_src.
    OrigSrc,
    /// Destination of the first packet, before destination NAT.
    OrigDst,
    /// Source port; of GRE the key. Missing for protocols without ports.
    OrigSport,
    /// Destination port; of GRE the key.
    OrigDport,
    /// ICMP type of the request.
    OrigIcmpType,
    /// ICMP code.
    OrigIcmpCode,
    /// ICMP identifier.
    OrigIcmpId,
    /// Zone that holds for the original direction only.
    OrigZone,
    /// Who answers: differs from orig_dst under destination NAT.
    ReplySrc,
    /// Whom answers are sent to: differs from orig_src under source NAT, and is then what the world sees.
    ReplyDst,
    /// Source port of answers.
    ReplySport,
    /// Destination port of answers.
    ReplyDport,
    /// ICMP type of the answer.
    ReplyIcmpType,
    /// ICMP code of the answer.
    ReplyIcmpCode,
    /// ICMP identifier of the answer: differs under NAT.
    ReplyIcmpId,
    /// Zone that holds for the reply direction only.
    ReplyZone,
    /// Source of the flow whose helper announced this one. Events of flows: only in NEW.
    MasterSrc,
    /// Destination of the master.
    MasterDst,
    /// IP protocol number of the master.
    MasterL4proto,
    /// Source port of the master.
    MasterSport,
    /// Destination port of the master.
    MasterDport,
    /// IPS_* bits; JSON adds their names as status_names.
    Status,
    /// State of the TCP tracker. In events when it changed, and in DESTROY.
    TcpState,
    /// State of the SCTP tracker.
    SctpState,
    /// State of the DCCP tracker (kernels up to 6.16).
    DccpState,
    /// Seconds left. In DESTROY only when it was ended before its time; missing for offloaded flows.
    Timeout,
    /// Connection mark. In events only when not 0 or just changed.
    Mark,
    /// Zone of both directions; missing means 0.
    Zone,
    /// Connection labels: 128 bits, in columns 16 bytes as the kernel sends them (words in host order); JSON lists the numbers of those set.
    Labels,
    /// The kernel's id. Repeats when a tuple is made anew: with tuple, zone and start_ns it names a flow.
    Id,
    /// Name of the helper attached.
    Helper,
    /// What the helper itself tells of the flow, in hex. No helper of the kernel's own tree does (6.18).
    HelperInfo,
    /// References that the kernel holds. Tables only.
    UseCount,
    /// Packets in the original direction. Tables and DESTROY, with nf_conntrack_acct=1.
    OrigPackets,
    /// Bytes in the original direction, IP headers included.
    OrigBytes,
    /// Packets in the reply direction.
    ReplyPackets,
    /// Bytes in the reply direction, IP headers included.
    ReplyBytes,
    /// When the flow began. Tables and DESTROY, with nf_conntrack_timestamp=1.
    StartNs,
    /// When the flow ended. DESTROY only; the arrival of that event may be minutes later.
    StopNs,
    /// Security mark as a number; current kernels send secctx instead.
    Secmark,
    /// Security context, with a security module that has them.
    Secctx,
    /// TCP window scale of the original direction.
    TcpWscaleOrig,
    /// TCP window scale of the reply direction.
    TcpWscaleReply,
    /// IP_CT_TCP_FLAG_* of the original direction.
    TcpFlagsOrig,
    /// IP_CT_TCP_FLAG_* of the reply direction.
    TcpFlagsReply,
    /// Verification tag of packets of the original direction.
    SctpVtagOrig,
    /// Verification tag of packets of the reply direction.
    SctpVtagReply,
    /// 0 client, 1 server (kernels up to 6.16).
    DccpRole,
    /// Sequence number of the handshake (kernels up to 6.16).
    DccpHandshakeSeq,
    /// Original direction: from which sequence number on it is adjusted (NAT helpers that rewrite payload).
    SeqAdjOrigPos,
    /// Offset before that position.
    SeqAdjOrigBefore,
    /// Offset behind it.
    SeqAdjOrigAfter,
    /// Reply direction: from which sequence number on it is adjusted.
    SeqAdjReplyPos,
    /// Offset before that position.
    SeqAdjReplyBefore,
    /// Offset behind it.
    SeqAdjReplyAfter,
    /// SYNPROXY: initial sequence number. Zeros show on flows that programs created.
    SynproxyIsn,
    /// SYNPROXY: initial timestamp.
    SynproxyIts,
    /// SYNPROXY: timestamp offset.
    SynproxyTsoff,
    /// Which bits of orig_src count; all zero: anyone may use the expectation.
    MaskSrc,
    /// Always all ones.
    MaskDst,
    /// Which bits of orig_sport count; 0: any port.
    MaskSport,
    /// Always all ones.
    MaskDport,
    /// 1 stays after its first use, 2 does not match, 4 made by a program.
    ExpFlags,
    /// Index into the helper's policies.
    Class,
    /// Kernel function that treats the child: nat-follow-master and others.
    Function,
    /// Which direction of the master NAT follows: 0 original, 1 reply.
    NatDir,
    /// Expected source before NAT.
    NatSrc,
    /// Expected source port before NAT.
    NatSport,
    /// Events lost in the gap, by the kernel's drop counter; missing where the kernel cannot tell.
    Lost,
    /// Up to here nothing was lost.
    GapAfterNs,
    /// From here on nothing was lost.
    GapBeforeNs,
    /// In a ledger: overrun, restart, clock, flush, reconcile, damage.
    GapCause,
    /// In a ledger, of reconcile: flows that were found alive and had not been known.
    GapAlive,
    /// In a ledger: flows that had gone unseen (reconcile), or that a program ended (flush).
    GapEnded,
    /// Number of the record in its ledger, from 1 and without holes; gaps have one too.
    Seq,
    /// The same in every record of a flow, and in no other flow's.
    FlowId,
    /// 0 in a flow's first record; interim records count up. With flow_id it names a record.
    RecordNo,
    /// Which ends were translated (snat, dnat or snat,dnat), by the tuples; missing where none was.
    Nat,
    /// Why: idle_timeout, active_timeout (an interim record), end_detected, forced_end, lack_of_resources; unknown where nobody saw the end.
    EndReason,
    /// How start_ns is known: kernel (flow timestamp), event, received, seen (began before that), exporter.
    StartFrom,
    /// How stop_ns is known, likewise; seen: it ended at some time between stop_after_ns and stop_ns.
    StopFrom,
    /// When the flow was last known alive; only where its end was not seen.
    StopAfterNs,
    /// Of orig_packets, what earlier records of the flow told; missing in the first.
    PriorOrigPackets,
    /// Of orig_bytes, what earlier records told.
    PriorOrigBytes,
    /// Of reply_packets, what earlier records told.
    PriorReplyPackets,
    /// Of reply_bytes, what earlier records told.
    PriorReplyBytes,
    /// Address of the exporter that sent the record; missing where conntap saw the flow itself.
    Exporter,
    /// The exporter's observation domain.
    Domain,
    /// Information elements that have no field here: a JSON object, enterprise.number or number → hex.
    Elements,
    /// Attributes that this version does not know: a JSON object, path of attribute numbers → payload in hex.
    Unknown,
}

/// Number of fields.
pub const COUNT: usize = 97;

/// All fields: name and type.
pub const FIELDS: [(Field, &str, Type); COUNT] = [
    (Field::Kind, "kind", Type::Text),
    (Field::ReceivedNs, "received_ns", Type::Time),
    (Field::EventNs, "event_ns", Type::Time),
    (Field::Portid, "portid", Type::U32),
    (Field::Family, "family", Type::U8),
    (Field::L4proto, "l4proto", Type::U8),
    (Field::Protocol, "protocol", Type::Text),
    (Field::OrigSrc, "orig_src", Type::Address),
    (Field::OrigDst, "orig_dst", Type::Address),
    (Field::OrigSport, "orig_sport", Type::U16),
    (Field::OrigDport, "orig_dport", Type::U16),
    (Field::OrigIcmpType, "orig_icmp_type", Type::U8),
    (Field::OrigIcmpCode, "orig_icmp_code", Type::U8),
    (Field::OrigIcmpId, "orig_icmp_id", Type::U16),
    (Field::OrigZone, "orig_zone", Type::U16),
    (Field::ReplySrc, "reply_src", Type::Address),
    (Field::ReplyDst, "reply_dst", Type::Address),
    (Field::ReplySport, "reply_sport", Type::U16),
    (Field::ReplyDport, "reply_dport", Type::U16),
    (Field::ReplyIcmpType, "reply_icmp_type", Type::U8),
    (Field::ReplyIcmpCode, "reply_icmp_code", Type::U8),
    (Field::ReplyIcmpId, "reply_icmp_id", Type::U16),
    (Field::ReplyZone, "reply_zone", Type::U16),
    (Field::MasterSrc, "master_src", Type::Address),
    (Field::MasterDst, "master_dst", Type::Address),
    (Field::MasterL4proto, "master_l4proto", Type::U8),
    (Field::MasterSport, "master_sport", Type::U16),
    (Field::MasterDport, "master_dport", Type::U16),
    (Field::Status, "status", Type::U32),
    (Field::TcpState, "tcp_state", Type::Text),
    (Field::SctpState, "sctp_state", Type::Text),
    (Field::DccpState, "dccp_state", Type::Text),
    (Field::Timeout, "timeout", Type::U32),
    (Field::Mark, "mark", Type::U32),
    (Field::Zone, "zone", Type::U16),
    (Field::Labels, "labels", Type::Labels),
    (Field::Id, "id", Type::U32),
    (Field::Helper, "helper", Type::Text),
    (Field::HelperInfo, "helper_info", Type::Text),
    (Field::UseCount, "use_count", Type::U32),
    (Field::OrigPackets, "orig_packets", Type::U64),
    (Field::OrigBytes, "orig_bytes", Type::U64),
    (Field::ReplyPackets, "reply_packets", Type::U64),
    (Field::ReplyBytes, "reply_bytes", Type::U64),
    (Field::StartNs, "start_ns", Type::Time),
    (Field::StopNs, "stop_ns", Type::Time),
    (Field::Secmark, "secmark", Type::U32),
    (Field::Secctx, "secctx", Type::Text),
    (Field::TcpWscaleOrig, "tcp_wscale_orig", Type::U8),
    (Field::TcpWscaleReply, "tcp_wscale_reply", Type::U8),
    (Field::TcpFlagsOrig, "tcp_flags_orig", Type::U8),
    (Field::TcpFlagsReply, "tcp_flags_reply", Type::U8),
    (Field::SctpVtagOrig, "sctp_vtag_orig", Type::U32),
    (Field::SctpVtagReply, "sctp_vtag_reply", Type::U32),
    (Field::DccpRole, "dccp_role", Type::U8),
    (Field::DccpHandshakeSeq, "dccp_handshake_seq", Type::U64),
    (Field::SeqAdjOrigPos, "seq_adj_orig_pos", Type::U32),
    (Field::SeqAdjOrigBefore, "seq_adj_orig_before", Type::I32),
    (Field::SeqAdjOrigAfter, "seq_adj_orig_after", Type::I32),
    (Field::SeqAdjReplyPos, "seq_adj_reply_pos", Type::U32),
    (Field::SeqAdjReplyBefore, "seq_adj_reply_before", Type::I32),
    (Field::SeqAdjReplyAfter, "seq_adj_reply_after", Type::I32),
    (Field::SynproxyIsn, "synproxy_isn", Type::U32),
    (Field::SynproxyIts, "synproxy_its", Type::U32),
    (Field::SynproxyTsoff, "synproxy_tsoff", Type::U32),
    (Field::MaskSrc, "mask_src", Type::Address),
    (Field::MaskDst, "mask_dst", Type::Address),
    (Field::MaskSport, "mask_sport", Type::U16),
    (Field::MaskDport, "mask_dport", Type::U16),
    (Field::ExpFlags, "exp_flags", Type::U32),
    (Field::Class, "class", Type::U32),
    (Field::Function, "function", Type::Text),
    (Field::NatDir, "nat_dir", Type::U32),
    (Field::NatSrc, "nat_src", Type::Address),
    (Field::NatSport, "nat_sport", Type::U16),
    (Field::Lost, "lost", Type::U64),
    (Field::GapAfterNs, "gap_after_ns", Type::Time),
    (Field::GapBeforeNs, "gap_before_ns", Type::Time),
    (Field::GapCause, "gap_cause", Type::Text),
    (Field::GapAlive, "gap_alive", Type::U64),
    (Field::GapEnded, "gap_ended", Type::U64),
    (Field::Seq, "seq", Type::U64),
    (Field::FlowId, "flow_id", Type::U64),
    (Field::RecordNo, "record_no", Type::U32),
    (Field::Nat, "nat", Type::Text),
    (Field::EndReason, "end_reason", Type::Text),
    (Field::StartFrom, "start_from", Type::Text),
    (Field::StopFrom, "stop_from", Type::Text),
    (Field::StopAfterNs, "stop_after_ns", Type::Time),
    (Field::PriorOrigPackets, "prior_orig_packets", Type::U64),
    (Field::PriorOrigBytes, "prior_orig_bytes", Type::U64),
    (Field::PriorReplyPackets, "prior_reply_packets", Type::U64),
    (Field::PriorReplyBytes, "prior_reply_bytes", Type::U64),
    (Field::Exporter, "exporter", Type::Text),
    (Field::Domain, "domain", Type::U32),
    (Field::Elements, "elements", Type::Text),
    (Field::Unknown, "unknown", Type::Text),
];

/// Which of the columns of its type a field has.
#[rustfmt::skip]
pub(super) const SLOTS: [usize; COUNT] = [
    0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 4,
    5, 6, 8, 9, 1, 2, 3, 4, 2, 3, 10, 0, 4, 5, 6, 5, 0, 1, 2, 3, 2, 3, 6, 7,
    7, 8, 9, 10, 7, 8, 11, 4, 9, 0, 1, 10, 2, 3, 11, 12, 13, 6, 7, 11, 12, 14, 15, 8,
    16, 8, 13, 5, 4, 5, 9, 6, 7, 8, 9, 17, 10, 11, 12, 13, 6, 10, 11, 12, 13, 14, 18, 15,
    16,
];

/// Number of columns of each type.
pub(super) const U8_COLUMNS: usize = 12;
pub(super) const U16_COLUMNS: usize = 14;
pub(super) const U32_COLUMNS: usize = 19;
pub(super) const U64_COLUMNS: usize = 14;
pub(super) const I32_COLUMNS: usize = 4;
pub(super) const TIME_COLUMNS: usize = 7;
pub(super) const ADDRESS_COLUMNS: usize = 9;
pub(super) const TEXT_COLUMNS: usize = 17;
pub(super) const LABELS_COLUMNS: usize = 1;

/// Fields as keys of a JSON object, behind another member.
pub(crate) const KEYS: [&[u8]; COUNT] = [
    b",\"kind\":",
    b",\"received_ns\":",
    b",\"event_ns\":",
    b",\"portid\":",
    b",\"family\":",
    b",\"l4proto\":",
    b",\"protocol\":",
    b",\"orig_src\":",
    b",\"orig_dst\":",
    b",\"orig_sport\":",
    b",\"orig_dport\":",
    b",\"orig_icmp_type\":",
    b",\"orig_icmp_code\":",
    b",\"orig_icmp_id\":",
    b",\"orig_zone\":",
    b",\"reply_src\":",
    b",\"reply_dst\":",
    b",\"reply_sport\":",
    b",\"reply_dport\":",
    b",\"reply_icmp_type\":",
    b",\"reply_icmp_code\":",
    b",\"reply_icmp_id\":",
    b",\"reply_zone\":",
    b",\"master_src\":",
    b",\"master_dst\":",
    b",\"master_l4proto\":",
    b",\"master_sport\":",
    b",\"master_dport\":",
    b",\"status\":",
    b",\"tcp_state\":",
    b",\"sctp_state\":",
    b",\"dccp_state\":",
    b",\"timeout\":",
    b",\"mark\":",
    b",\"zone\":",
    b",\"labels\":",
    b",\"id\":",
    b",\"helper\":",
    b",\"helper_info\":",
    b",\"use_count\":",
    b",\"orig_packets\":",
    b",\"orig_bytes\":",
    b",\"reply_packets\":",
    b",\"reply_bytes\":",
    b",\"start_ns\":",
    b",\"stop_ns\":",
    b",\"secmark\":",
    b",\"secctx\":",
    b",\"tcp_wscale_orig\":",
    b",\"tcp_wscale_reply\":",
    b",\"tcp_flags_orig\":",
    b",\"tcp_flags_reply\":",
    b",\"sctp_vtag_orig\":",
    b",\"sctp_vtag_reply\":",
    b",\"dccp_role\":",
    b",\"dccp_handshake_seq\":",
    b",\"seq_adj_orig_pos\":",
    b",\"seq_adj_orig_before\":",
    b",\"seq_adj_orig_after\":",
    b",\"seq_adj_reply_pos\":",
    b",\"seq_adj_reply_before\":",
    b",\"seq_adj_reply_after\":",
    b",\"synproxy_isn\":",
    b",\"synproxy_its\":",
    b",\"synproxy_tsoff\":",
    b",\"mask_src\":",
    b",\"mask_dst\":",
    b",\"mask_sport\":",
    b",\"mask_dport\":",
    b",\"exp_flags\":",
    b",\"class\":",
    b",\"function\":",
    b",\"nat_dir\":",
    b",\"nat_src\":",
    b",\"nat_sport\":",
    b",\"lost\":",
    b",\"gap_after_ns\":",
    b",\"gap_before_ns\":",
    b",\"gap_cause\":",
    b",\"gap_alive\":",
    b",\"gap_ended\":",
    b",\"seq\":",
    b",\"flow_id\":",
    b",\"record_no\":",
    b",\"nat\":",
    b",\"end_reason\":",
    b",\"start_from\":",
    b",\"stop_from\":",
    b",\"stop_after_ns\":",
    b",\"prior_orig_packets\":",
    b",\"prior_orig_bytes\":",
    b",\"prior_reply_packets\":",
    b",\"prior_reply_bytes\":",
    b",\"exporter\":",
    b",\"domain\":",
    b",\"elements\":",
    b",\"unknown\":",
];

/// Fields as information elements of IPFIX, of IPv4 and of IPv6 rows; empty where there is none.
pub(crate) const ELEMENTS: [[&str; 2]; COUNT] = [
    ["natEvent", "natEvent"],
    ["", ""],
    ["observationTimeNanoseconds", "observationTimeNanoseconds"],
    ["", ""],
    ["ipVersion", "ipVersion"],
    ["protocolIdentifier", "protocolIdentifier"],
    ["", ""],
    ["sourceIPv4Address", "sourceIPv6Address"],
    ["destinationIPv4Address", "destinationIPv6Address"],
    ["sourceTransportPort", "sourceTransportPort"],
    ["destinationTransportPort", "destinationTransportPort"],
    ["icmpTypeIPv4", "icmpTypeIPv6"],
    ["icmpCodeIPv4", "icmpCodeIPv6"],
    ["", ""],
    ["", ""],
    ["postNATDestinationIPv4Address", "postNATDestinationIPv6Address"],
    ["postNATSourceIPv4Address", "postNATSourceIPv6Address"],
    ["postNAPTDestinationTransportPort", "postNAPTDestinationTransportPort"],
    ["postNAPTSourceTransportPort", "postNAPTSourceTransportPort"],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["flowId", "flowId"],
    ["applicationName", "applicationName"],
    ["", ""],
    ["", ""],
    ["initiatorPackets", "initiatorPackets"],
    ["initiatorOctets", "initiatorOctets"],
    ["responderPackets", "responderPackets"],
    ["responderOctets", "responderOctets"],
    ["flowStartNanoseconds", "flowStartNanoseconds"],
    ["flowEndNanoseconds", "flowEndNanoseconds"],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["flowId", "flowId"],
    ["", ""],
    ["natType", "natType"],
    ["flowEndReason", "flowEndReason"],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["", ""],
    ["exporterIPv4Address", "exporterIPv6Address"],
    ["observationDomainId", "observationDomainId"],
    ["", ""],
    ["", ""],
];
