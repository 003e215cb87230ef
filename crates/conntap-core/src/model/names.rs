//! Names of protocols, states and status bits, as the field spells them.

use crate::wire::constants::*;

/// TCP states 0…9 (nf_conntrack_tcp.h). 9 was LISTEN.
pub const TCP_STATES: [&str; 10] = [
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
];

/// SCTP states 0…9 (nf_conntrack_sctp.h).
pub const SCTP_STATES: [&str; 10] = [
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
    "HEARTBEAT_ACKED",
];

/// DCCP states 0…9 (kernels up to 6.16).
pub const DCCP_STATES: [&str; 10] =
    ["NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID"];

/// Status bits by name, lowest first (IPS_* of nf_conntrack_common.h).
pub const STATUS_BITS: [(&str, u32); 16] = [
    ("EXPECTED", IPS_EXPECTED),
    ("SEEN_REPLY", IPS_SEEN_REPLY),
    ("ASSURED", IPS_ASSURED),
    ("CONFIRMED", IPS_CONFIRMED),
    ("SRC_NAT", IPS_SRC_NAT),
    ("DST_NAT", IPS_DST_NAT),
    ("SEQ_ADJUST", IPS_SEQ_ADJUST),
    ("SRC_NAT_DONE", IPS_SRC_NAT_DONE),
    ("DST_NAT_DONE", IPS_DST_NAT_DONE),
    ("DYING", IPS_DYING),
    ("FIXED_TIMEOUT", IPS_FIXED_TIMEOUT),
    ("TEMPLATE", IPS_TEMPLATE),
    ("NAT_CLASH", IPS_NAT_CLASH),
    ("HELPER", IPS_HELPER),
    ("OFFLOAD", IPS_OFFLOAD),
    ("HW_OFFLOAD", IPS_HW_OFFLOAD),
];

/// The name of an IP protocol that has a tracker; None for the others.
#[must_use]
pub fn l4proto(number: u8) -> Option<&'static str> {
    Some(match number {
        IPPROTO_ICMP => "icmp",
        IPPROTO_TCP => "tcp",
        IPPROTO_UDP => "udp",
        IPPROTO_DCCP => "dccp",
        IPPROTO_GRE => "gre",
        IPPROTO_ICMPV6 => "icmpv6",
        IPPROTO_SCTP => "sctp",
        IPPROTO_UDPLITE => "udplite",
        _ => return None,
    })
}

/// The number behind [`l4proto`], any case.
#[must_use]
pub fn l4proto_number(name: &str) -> Option<u8> {
    (0..=u8::MAX).find(|number| l4proto(*number).is_some_and(|known| known.eq_ignore_ascii_case(name)))
}
