//! What the trackers of all protocols share: what they are given and what they answer.

use super::flow::Flow;
use super::key::Direction;
use super::settings::Settings;
use super::verdict::Reason;
use super::{icmp, sctp, tcp, udp};
use crate::packet::Packet;
use crate::packet::checksum::{Checksum, verify_l4};
use crate::wire::constants::*;

/// A tracker's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Counted, and the flow lives for `timeout` seconds from now.
    Accept {
        reason: Reason,
        timeout: u32,
    },
    /// Let pass: neither counted nor refreshed.
    Ignore(Reason),
    Invalid(Reason),
    /// The old entry gives way; look the packet up again.
    Repeat,
    /// Counted, and the entry is gone at once.
    Kill(Reason),
}

/// What a tracker is given beside flow and packet.
#[derive(Debug)]
pub struct Track<'s> {
    pub settings: &'s Settings,
    pub now_ns: i64,
    /// Checksums are looked at.
    pub verify: bool,
    /// Set by a tracker that finds a packet INVALID and yet shortens the flow's life.
    pub shorten_to_ns: Option<i64>,
}

impl Track<'_> {
    /// Bytes that the capture cut off cannot be verified, and pass.
    #[inline]
    pub fn checksum_is_good(&self, packet: &Packet<'_>) -> bool {
        !self.verify || verify_l4(packet) != Checksum::Bad
    }
}

/// Track a packet of a flow that exists or is about to.
#[inline]
pub fn packet(flow: &mut Flow, packet: &Packet<'_>, direction: Direction, track: &mut Track<'_>) -> Verdict {
    match flow.orig.l4proto {
        IPPROTO_TCP => tcp::packet(flow, packet, direction, track),
        IPPROTO_UDP => udp::packet(flow, packet, track),
        IPPROTO_UDPLITE => udp::packet_lite(flow, packet, track),
        IPPROTO_ICMP | IPPROTO_ICMPV6 => icmp::packet(flow, packet, track),
        IPPROTO_SCTP => sctp::packet(flow, packet, direction, track),
        IPPROTO_GRE => gre(flow, track),
        _ => Verdict::Accept { reason: again(flow), timeout: track.settings.generic_timeout },
    }
}

/// Source: nf_conntrack_gre_packet.
fn gre(flow: &mut Flow, track: &Track<'_>) -> Verdict {
    let timeout = stream_timeout(flow, track.settings.gre_timeout, track.settings.gre_timeout_stream);
    Verdict::Accept { reason: again(flow), timeout }
}

/// The timeout of protocols without states: a longer one once an answer came, and then the flow is worth keeping.
pub fn stream_timeout(flow: &mut Flow, alone: u32, answered: u32) -> u32 {
    if !flow.has(IPS_SEEN_REPLY) {
        return alone;
    }
    if !flow.has(IPS_NAT_CLASH) {
        assure(flow);
    }
    answered
}

/// Mark a flow that is worth keeping.
pub fn assure(flow: &mut Flow) {
    if !flow.has(IPS_ASSURED) {
        flow.status |= IPS_ASSURED;
        flow.pending |= super::flow::event::ASSURED;
    }
}

/// The reason where there is nothing more to say.
pub fn again(flow: &Flow) -> Reason {
    if flow.has(IPS_CONFIRMED) { Reason::Again } else { Reason::FirstPacket }
}
