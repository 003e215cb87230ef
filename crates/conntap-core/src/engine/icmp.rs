//! ICMP and ICMPv6: requests and answers are flows, errors belong to the flow that they quote.
//!
//! Source: kernel net/netfilter/nf_conntrack_proto_icmp.c, nf_conntrack_proto_icmpv6.c; RFC 792, 4443.

use super::extract::key;
use super::flow::Flow;
use super::key::Key;
use super::track::{Track, Verdict, again};
use super::verdict::Reason;
use crate::packet::{Packet, decode_quoted};
use crate::wire::constants::*;

/// What a packet is, before any lookup.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Class {
    /// A request or an answer: tracked by its own tuple.
    Query,
    /// An error that quotes a packet with this tuple.
    Error(Key),
    Untracked,
    Invalid(Reason),
}

const ERRORS_V4: [u8; 5] = [3, 4, 5, 11, 12];
const HIGHEST_V4: u8 = 18;
const REDIRECT_V6: u8 = 137;

/// Tell what an ICMP packet is. Source: nf_conntrack_icmpv4_error, nf_conntrack_icmpv6_error.
pub fn classify(packet: &Packet<'_>, zone: u16, gre_key: &dyn Fn(&Key) -> u16, track: &Track<'_>) -> Class {
    let l4 = packet.l4();
    let Some([kind, code, ..]) = l4.first_chunk::<8>() else {
        let have = u32::try_from(l4.len()).unwrap_or(u32::MAX);
        return Class::Invalid(Reason::ShortHeader { have, need: 8 });
    };
    if !track.checksum_is_good(packet) {
        return Class::Invalid(Reason::BadChecksum);
    }
    let quote = |at: usize| {
        let quoted = l4.get(at..).and_then(|bytes| decode_quoted(packet.family, bytes));
        match quoted.and_then(|quoted| key(&quoted, zone, gre_key).ok()) {
            Some(key) => Class::Error(key),
            None => Class::Invalid(Reason::QuoteUnreadable),
        }
    };
    if packet.l4proto == IPPROTO_ICMP {
        return match *kind {
            kind if kind > HIGHEST_V4 => Class::Invalid(Reason::UnknownIcmpType { kind }),
            kind if ERRORS_V4.contains(&kind) => quote(8),
            _ => Class::Query,
        };
    }
    match *kind {
        130..=136 | 143 | 151 | 152 => Class::Untracked,
        REDIRECT_V6 => redirect(packet, *code, quote),
        kind if kind < 128 => quote(8),
        _ => Class::Query,
    }
}

/// An ICMPv6 redirect quotes its packet in an option. Source: nf_conntrack_icmpv6_redirect; RFC 4861, section 4.6.3.
fn redirect(packet: &Packet<'_>, code: u8, quote: impl Fn(usize) -> Class) -> Class {
    let l4 = packet.l4();
    if l4.len() < 40 {
        return Class::Invalid(Reason::ShortHeader { have: u32::try_from(l4.len()).unwrap_or(u32::MAX), need: 40 });
    }
    if code != 0 {
        return Class::Query;
    }
    let link_local = packet.src.first_chunk::<2>().is_some_and(|[a, b]| *a == 0xfe && b & 0xc0 == 0x80);
    if packet.ttl != 255 || !link_local {
        return Class::Invalid(Reason::RedirectFromAfar);
    }
    // Behind the fixed 40 bytes stands an option: its type (4: the redirected packet), its length, 6 bytes unused.
    match l4.get(40..42) {
        Some([4, length]) if *length > 0 => quote(48),
        Some([_, length]) if *length > 0 => Class::Query,
        _ => Class::Invalid(Reason::QuoteUnreadable),
    }
}

/// Source: nf_conntrack_icmp_packet, nf_conntrack_icmpv6_packet.
pub fn packet(flow: &Flow, packet: &Packet<'_>, track: &Track<'_>) -> Verdict {
    let [kind, _] = flow.orig.dport.to_be_bytes();
    let (opens, timeout) = match (flow.orig.l4proto, packet.family) {
        (IPPROTO_ICMP, AF_INET) => (matches!(kind, 8 | 13 | 15 | 17), track.settings.icmp_timeout),
        (IPPROTO_ICMPV6, AF_INET6) => (matches!(kind, 128 | 139), track.settings.icmpv6_timeout),
        _ => (false, 0),
    };
    if !opens {
        return Verdict::Invalid(Reason::IcmpCannotOpen { kind });
    }
    Verdict::Accept { reason: again(flow), timeout }
}
