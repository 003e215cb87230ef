//! UDP and UDP-Lite: single datagrams and streams.
//!
//! Source: kernel net/netfilter/nf_conntrack_proto_udp.c; RFC 768, 3828.

use super::flow::{Flow, Proto};
use super::seconds;
use super::track::{Track, Verdict, again, assure, stream_timeout};
use super::verdict::Reason;
use crate::packet::Packet;
use crate::wire::constants::*;

/// A flow that is still alive after so many seconds is a stream.
const STREAM_AFTER: u32 = 2;

struct Header {
    length: u32,
    checksum: u16,
    have: u32,
}

fn header(packet: &Packet<'_>) -> Result<Header, Reason> {
    let have = packet.l4_len();
    let Some([_, _, _, _, l0, l1, c0, c1]) = packet.l4().first_chunk::<8>() else {
        return Err(Reason::ShortHeader { have: have.min(7), need: 8 });
    };
    Ok(Header { length: u32::from(u16::from_be_bytes([*l0, *l1])), checksum: u16::from_be_bytes([*c0, *c1]), have })
}

/// Source: udp_error, nf_conntrack_udp_packet.
#[inline]
pub fn packet(flow: &mut Flow, packet: &Packet<'_>, track: &Track<'_>) -> Verdict {
    let udp = match header(packet) {
        Ok(udp) => udp,
        Err(reason) => return Verdict::Invalid(reason),
    };
    if udp.length > udp.have || udp.length < 8 {
        return Verdict::Invalid(Reason::BadLength { field: udp.length, have: udp.have });
    }
    if udp.checksum != 0 && !track.checksum_is_good(packet) {
        return Verdict::Invalid(Reason::BadChecksum);
    }
    if !flow.has(IPS_CONFIRMED) {
        flow.proto = Proto::Udp(track.now_ns.saturating_add(seconds(STREAM_AFTER)));
    }
    let mut timeout = track.settings.udp_timeout;
    if flow.has(IPS_SEEN_REPLY)
        && let Proto::Udp(stream_ns) = flow.proto
        && track.now_ns > stream_ns
    {
        timeout = track.settings.udp_timeout_stream;
        if !flow.has(IPS_NAT_CLASH) {
            assure(flow);
        }
    }
    Verdict::Accept { reason: again(flow), timeout }
}

/// Source: udplite_error, nf_conntrack_udplite_packet.
pub fn packet_lite(flow: &mut Flow, packet: &Packet<'_>, track: &Track<'_>) -> Verdict {
    let udp = match header(packet) {
        Ok(udp) => udp,
        Err(reason) => return Verdict::Invalid(reason),
    };
    let coverage = if udp.length == 0 { udp.have } else { udp.length };
    if coverage < 8 || coverage > udp.have {
        return Verdict::Invalid(Reason::BadLength { field: coverage, have: udp.have });
    }
    if udp.checksum == 0 {
        return Verdict::Invalid(Reason::NoChecksum);
    }
    if !track.checksum_is_good(packet) {
        return Verdict::Invalid(Reason::BadChecksum);
    }
    let timeout = stream_timeout(flow, track.settings.udp_timeout, track.settings.udp_timeout_stream);
    Verdict::Accept { reason: again(flow), timeout }
}
