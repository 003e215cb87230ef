//! The Internet checksum (RFC 1071), which checksums tracking verifies, and updates in place (RFC 1624).

use super::Packet;
use super::crc32c::crc32c;
use crate::wire::constants::{
    AF_INET, AF_INET6, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE,
};

/// What a layer-4 checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// Right, or none to check: UDP without one, protocols that tracking does not verify.
    Good,
    Bad,
    /// The capture cut what is summed, or there is no layer 4.
    Unknown,
}

/// The sum of `bytes` as 16-bit words in network order, folded to 16 bits and not complemented.
///
/// Over data that holds its own checksum it is 0xffff.
#[inline]
#[must_use]
pub fn sum(bytes: &[u8]) -> u16 {
    fold(raw(bytes))
}

/// Verify the layer-4 checksum by the rules of connection tracking (`nf_conntrack_checksum`=1, prerouting).
///
/// - TCP, UDP, ICMP, ICMPv6 are summed over all that the IP header counts, whatever a UDP length says
///   (`nf_ip_checksum`, net/netfilter/utils.c). UDP with checksum 0 has none, in IPv6 as well.
/// - UDP-Lite is summed over its coverage; 0 as checksum or an impossible coverage is bad. Tracking uses UDP's
///   protocol number in the pseudo header, against RFC 3828 (net/netfilter/nf_conntrack_proto_udp.c).
/// - SCTP has CRC32c over the whole packet.
/// - A first fragment is summed as if it were whole: tracking meets it only where reassembly hands it on, and finds it
///   bad ([`super::Reassembled::AsIs`]).
/// - The IPv6 pseudo header takes the destination as it stands, routing header or not.
///
/// A host that captures its own traffic sees checksums before the network card has made them: [`is_partial`].
#[must_use]
pub fn verify_l4(packet: &Packet<'_>) -> Checksum {
    if packet.no_l4.is_some() {
        return Checksum::Unknown;
    }
    let l4 = packet.l4();
    match (packet.l4proto, packet.family) {
        (IPPROTO_TCP, _) | (IPPROTO_ICMPV6, AF_INET6) => whole(packet, l4),
        (IPPROTO_UDP, _) => match l4 {
            [_, _, _, _, _, _, 0, 0, ..] => Checksum::Good,
            _ => whole(packet, l4),
        },
        (IPPROTO_ICMP, AF_INET) => whole(packet, l4),
        (IPPROTO_UDPLITE, _) => udplite(packet, l4),
        (IPPROTO_SCTP, _) => sctp(packet, l4),
        _ => Checksum::Good,
    }
}

/// Whether a TCP or UDP checksum is still what the stack left for the network card to finish: the sum of the pseudo
/// header alone (CHECKSUM_PARTIAL). Tracking takes such a packet for good.
#[must_use]
pub fn is_partial(packet: &Packet<'_>) -> bool {
    let field = match (packet.l4proto, packet.l4()) {
        (IPPROTO_TCP, [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, hi, lo, ..])
        | (IPPROTO_UDP, [_, _, _, _, _, _, hi, lo, ..]) => u16::from_be_bytes([*hi, *lo]),
        _ => return false,
    };
    packet.no_l4.is_none() && field == fold(pseudo(packet, packet.l4proto))
}

/// The checksum after 16 bits that it covers have changed from `old` to `new` (RFC 1624, equation 3).
///
/// For UDP a result of 0 must be sent as 0xffff, and a checksum of 0 must be left alone.
#[inline]
#[must_use]
pub fn update16(checksum: u16, old: u16, new: u16) -> u16 {
    update(checksum, &old.to_be_bytes(), &new.to_be_bytes())
}

/// The same for an address or any other piece of even length that begins at an even offset.
#[inline]
#[must_use]
pub fn update(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    let without = u64::from(!fold(raw(old)));
    let native = without.wrapping_add(u64::from(!checksum)).wrapping_add(u64::from(fold(raw(new))));
    !fold_words(native)
}

/// The sum of pseudo header and layer 4, not complemented: what a checksum of zero in its place becomes.
#[must_use]
pub fn l4_sum(packet: &Packet<'_>) -> u16 {
    fold(pseudo(packet, packet.l4proto).wrapping_add(raw(packet.l4())))
}

/// The CRC32c that belongs into an SCTP packet's header, to be written in little-endian order.
#[must_use]
pub fn sctp_sum(l4: &[u8]) -> u32 {
    let (ends, rest) = l4.split_at_checked(8).unwrap_or((l4, &[]));
    crc32c(&[ends, &[0; 4], rest.get(4..).unwrap_or_default()])
}

fn verdict(total: u64) -> Checksum {
    if fold(total) == 0xffff { Checksum::Good } else { Checksum::Bad }
}

fn whole(packet: &Packet<'_>, l4: &[u8]) -> Checksum {
    if packet.is_cut() {
        return Checksum::Unknown;
    }
    let head = if packet.l4proto == IPPROTO_ICMP { 0 } else { pseudo(packet, packet.l4proto) };
    verdict(head.wrapping_add(raw(l4)))
}

fn udplite(packet: &Packet<'_>, l4: &[u8]) -> Checksum {
    let [_, _, _, _, c0, c1, s0, s1, ..] = l4 else {
        return if packet.is_cut() { Checksum::Unknown } else { Checksum::Bad };
    };
    let covered = match u32::from(u16::from_be_bytes([*c0, *c1])) {
        0 => packet.l4_len(),
        covered => covered,
    };
    if covered < 8 || covered > packet.l4_len() || (*s0, *s1) == (0, 0) {
        return Checksum::Bad;
    }
    match l4.get(..usize::try_from(covered).unwrap_or(usize::MAX)) {
        Some(covered) => verdict(udplite_pseudo(packet).wrapping_add(raw(covered))),
        None => Checksum::Unknown,
    }
}

/// The pseudo header as `nf_ip_checksum_partial` makes it: for IPv4 it hands on length and protocol in each other's
/// place, where only 8 bits of the length fit (seen on 6.18; docs/kernel-faults.md).
fn udplite_pseudo(packet: &Packet<'_>) -> u64 {
    if packet.family != AF_INET {
        return pseudo(packet, IPPROTO_UDP);
    }
    raw(&packet.src)
        .wrapping_add(raw(&packet.dst))
        .wrapping_add(u64::from(u32::from(IPPROTO_UDP).to_be()))
        .wrapping_add(u64::from((packet.l4_len() & 0xff).to_be()))
}

fn sctp(packet: &Packet<'_>, l4: &[u8]) -> Checksum {
    if packet.is_cut() {
        return Checksum::Unknown;
    }
    let Some(([ends @ .., c0, c1, c2, c3], chunks)) = l4.split_first_chunk::<12>() else { return Checksum::Bad };
    let found = crc32c(&[ends.as_slice(), &[0; 4], chunks]);
    if found.to_le_bytes() == [*c0, *c1, *c2, *c3] { Checksum::Good } else { Checksum::Bad }
}

/// The sum of the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1).
fn pseudo(packet: &Packet<'_>, protocol: u8) -> u64 {
    // The unused bytes of an IPv4 address are zero.
    raw(&packet.src)
        .wrapping_add(raw(&packet.dst))
        .wrapping_add(u64::from(u32::from(protocol).to_be()))
        .wrapping_add(u64::from(packet.l4_len().to_be()))
}

/// The sum of 32-bit words in this machine's order: what overflows 16 bits is folded in later (RFC 1071, 2). 64 bits
/// hold the sum of 2^32 words.
#[inline]
fn raw(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let total = words.iter().fold(0_u64, |total, word| total.wrapping_add(u64::from(u32::from_ne_bytes(*word))));
    let mut last = [0; 4];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    total.wrapping_add(u64::from(u32::from_ne_bytes(last)))
}

/// Fold a sum of words in this machine's order to one in network order.
#[inline]
fn fold(total: u64) -> u16 {
    u16::from_be(fold_words(total))
}

#[inline]
fn fold_words(total: u64) -> u16 {
    let total = (total & 0xffff_ffff).wrapping_add(total >> 32);
    let total = (total & 0xffff).wrapping_add((total >> 16) & 0xffff).wrapping_add(total >> 32);
    let total = (total & 0xffff).wrapping_add(total >> 16);
    let total = (total & 0xffff).wrapping_add(total >> 16);
    u16::try_from(total).unwrap_or(u16::MAX)
}
