//! IPv6 headers as the kernel's `ip6_rcv_core` (net/ipv6/ip6_input.c) checks them, and the way over the extension
//! headers that tracking goes (`ipv6_skip_exthdr` in net/ipv6/exthdrs_core.c).

use super::{Fragment, NoL4, Packet, PacketError};
use crate::wire::constants::AF_INET6;

pub(super) const HEADER_LEN: usize = 40;
pub(super) const FRAGMENT_LEN: usize = 8;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NONE: u8 = 59;
const DESTINATION: u8 = 60;

const OPTION_PAD1: u8 = 0;
const OPTION_PADN: u8 = 1;
const OPTION_ROUTER_ALERT: u8 = 5;
const OPTION_CALIPSO: u8 = 7;
const OPTION_JUMBO: u8 = 0xc2;
/// Longest run of padding, and most options in one header (net.ipv6.max_hbh_opts_number).
const PADDING_MAX: usize = 7;
const OPTIONS_MAX: usize = 8;

#[inline]
pub(super) fn ipv6(ip: &[u8], original_len: u32) -> Result<Packet<'_>, PacketError> {
    let Some((header, behind)) = ip.split_first_chunk::<HEADER_LEN>() else {
        return Err(PacketError::short(HEADER_LEN, ip.len(), original_len));
    };
    let [first, _, _, _, l0, l1, next, ..] = *header;
    if first >> 4 != 6 {
        return Err(PacketError::Version { version: first >> 4 });
    }
    let (src, dst) = ends(header);
    if !may_be_on_a_wire(&src, &dst) {
        return Err(PacketError::Address);
    }
    let payload_len = u16::from_be_bytes([l0, l1]);
    let mut total_len = u32::from(payload_len).saturating_add(HEADER_LEN as u32);
    if payload_len == 0 && next == HOP_BY_HOP {
        // Perhaps a jumbogram; its option says how long it is.
        total_len = original_len;
    }
    if total_len > original_len {
        return Err(PacketError::TotalLength { len: total_len, have: original_len });
    }
    let mut ip = ip.get(..usize::try_from(total_len).unwrap_or(usize::MAX)).unwrap_or(ip);
    if next == HOP_BY_HOP {
        let behind = behind.get(..ip.len().saturating_sub(HEADER_LEN)).unwrap_or(behind);
        if let Some(jumbo) = hop_by_hop(behind, payload_len, total_len.saturating_sub(HEADER_LEN as u32))? {
            total_len = jumbo.saturating_add(HEADER_LEN as u32);
            ip = ip.get(..usize::try_from(total_len).unwrap_or(usize::MAX)).unwrap_or(ip);
        }
    }
    Ok(walk(header, ip, total_len, src, dst))
}

/// A packet that was put together from fragments: no checks.
pub(super) fn rebuilt(ip: &[u8]) -> Result<Packet<'_>, PacketError> {
    let Some(header) = ip.first_chunk::<HEADER_LEN>() else {
        return Err(PacketError::short(HEADER_LEN, ip.len(), 0));
    };
    let [_, _, _, _, l0, l1, ..] = *header;
    let total_len = u32::from(u16::from_be_bytes([l0, l1])).saturating_add(HEADER_LEN as u32);
    let (src, dst) = ends(header);
    Ok(walk(header, ip, total_len, src, dst))
}

/// The packet that an ICMPv6 error quotes: no checks.
pub(super) fn quoted(ip: &[u8], total_len: u32) -> Option<Packet<'_>> {
    let header = ip.first_chunk::<HEADER_LEN>()?;
    let (src, dst) = ends(header);
    Some(walk(header, ip, total_len, src, dst))
}

#[inline]
fn ends(header: &[u8; HEADER_LEN]) -> ([u8; 16], [u8; 16]) {
    let [_, _, _, _, _, _, _, _, ends @ ..] = header;
    let (src, dst) = ends.split_at(16);
    let address = |bytes: &[u8]| bytes.first_chunk::<16>().copied().unwrap_or_default();
    (address(src), address(dst))
}

/// RFC 4291, 2.5.3 and 2.7. The kernel lets a loopback device have loopback addresses; a capture does not say which
/// device it was made on, but there both ends are loopback.
#[inline]
fn may_be_on_a_wire(src: &[u8; 16], dst: &[u8; 16]) -> bool {
    const LOOPBACK: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let ([s, ..], [d, scope, ..]) = (src, dst);
    if *s == 0xff {
        return false;
    }
    if *d == 0xff {
        return match scope & 0x0f {
            0 => false,
            1 => *src == LOOPBACK,
            _ => *src != LOOPBACK,
        };
    }
    (*src == LOOPBACK) == (*dst == LOOPBACK)
}

/// Go over the extension headers. `ip` may be cut by the capture, `total_len` says how long the packet was.
#[inline]
fn walk<'a>(header: &[u8; HEADER_LEN], ip: &'a [u8], total_len: u32, src: [u8; 16], dst: [u8; 16]) -> Packet<'a> {
    let [_, _, _, _, _, _, next, ttl, ..] = *header;
    let mut packet = Packet {
        ip,
        total_len,
        family: AF_INET6,
        src,
        dst,
        l4proto: next,
        l4_at: HEADER_LEN as u16,
        ttl,
        fragment: None,
        atomic: None,
        no_l4: None,
    };
    if matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | NONE | DESTINATION) {
        extensions(&mut packet);
    }
    packet
}

fn extensions(packet: &mut Packet<'_>) {
    let mut at = HEADER_LEN;
    // Each turn goes on by eight bytes at least.
    let no_l4 = loop {
        let len = match packet.l4proto {
            NONE => break Some(NoL4::NoNextHeader),
            HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION => {
                let Some([next, len, rest @ ..]) = packet.ip.get(at..) else { break Some(lost(packet, at, 2)) };
                match packet.l4proto {
                    FRAGMENT => {
                        let Some(fragment) = fragment(rest, at) else { break Some(lost(packet, at, FRAGMENT_LEN)) };
                        match fragment {
                            _ if packet.needs_reassembly() => {}
                            Fragment { offset: 0, more: false, .. } => packet.atomic = Some(fragment),
                            _ => packet.fragment = Some(fragment),
                        }
                        packet.l4proto = *next;
                        if fragment.offset != 0 {
                            at = at.saturating_add(FRAGMENT_LEN);
                            break Some(NoL4::LaterFragment);
                        }
                        FRAGMENT_LEN
                    }
                    protocol => {
                        packet.l4proto = *next;
                        extension_len(protocol, *len)
                    }
                }
            }
            _ => break None,
        };
        at = at.saturating_add(len);
    };
    packet.no_l4 = no_l4;
    match u16::try_from(at) {
        Ok(at) => packet.l4_at = at,
        Err(_) => {
            // The walk ended behind any packet.
            packet.l4_at = u16::MAX;
            packet.no_l4 = packet.no_l4.or(Some(NoL4::HeaderWalk));
        }
    }
}

/// The length of an extension header from its length field; an authentication header counts in four bytes
/// (RFC 4302, 2.2).
fn extension_len(protocol: u8, field: u8) -> usize {
    let field = usize::from(field);
    if protocol == AUTHENTICATION { field.saturating_add(2) << 2 } else { field.saturating_add(1) << 3 }
}

/// The fragment header at `at`, without its first two bytes (RFC 8200, 4.5).
fn fragment(rest: &[u8], at: usize) -> Option<Fragment> {
    let [o0, o1, i0, i1, i2, i3, ..] = *rest else { return None };
    let field = u16::from_be_bytes([o0, o1]);
    Some(Fragment {
        id: u32::from_be_bytes([i0, i1, i2, i3]),
        offset: u32::from(field & 0xfff8),
        more: field & 1 != 0,
        header_at: u16::try_from(at).ok()?,
    })
}

/// Why the `need` bytes at `at` are not there.
#[cold]
fn lost(packet: &Packet<'_>, at: usize, need: usize) -> NoL4 {
    let in_packet = u32::try_from(at.saturating_add(need)).is_ok_and(|end| end <= packet.total_len);
    if in_packet { NoL4::Cut } else { NoL4::HeaderWalk }
}

/// Check hop-by-hop options as `ipv6_parse_hopopts` and `ip6_parse_tlv` (net/ipv6/exthdrs.c) do; gives the payload
/// length of a jumbogram. `original` is the length of `behind` on the wire.
#[cold]
fn hop_by_hop(behind: &[u8], payload_len: u16, original: u32) -> Result<Option<u32>, PacketError> {
    let len = match behind {
        [_, len, ..] => extension_len(HOP_BY_HOP, *len),
        _ => return Err(PacketError::short(8, behind.len(), original)),
    };
    let Some(mut options) = behind.get(2..len) else {
        return Err(PacketError::short(len, behind.len(), original));
    };
    let (mut padding, mut count, mut jumbo, mut at) = (0_usize, 0_usize, None, 2_usize);
    while let [kind, rest @ ..] = options {
        if *kind == OPTION_PAD1 {
            padding = padding.saturating_add(1);
            if padding > PADDING_MAX {
                return Err(PacketError::HopByHop);
            }
            (options, at) = (rest, at.saturating_add(1));
            continue;
        }
        let Some((len, value)) =
            rest.split_first().and_then(|(len, rest)| Some((usize::from(*len), rest.get(..usize::from(*len))?)))
        else {
            return Err(PacketError::HopByHop);
        };
        let step = len.saturating_add(2);
        if *kind == OPTION_PADN {
            padding = padding.saturating_add(step);
            if padding > PADDING_MAX || value.iter().any(|byte| *byte != 0) {
                return Err(PacketError::HopByHop);
            }
        } else {
            (padding, count) = (0, count.saturating_add(1));
            let fine = match (*kind, value) {
                (OPTION_ROUTER_ALERT, [_, _]) => true,
                (OPTION_JUMBO, [j0, j1, j2, j3]) => {
                    let len = u32::from_be_bytes([*j0, *j1, *j2, *j3]);
                    jumbo = Some(len);
                    at & 3 == 2 && len > 0xffff && payload_len == 0 && len <= original
                }
                (OPTION_ROUTER_ALERT | OPTION_JUMBO, _) => false,
                // The checksum within a CALIPSO option is not looked at.
                (OPTION_CALIPSO, value) => value.len() >= 8,
                // An unknown option says itself what to do.
                (kind, _) => kind & 0xc0 == 0,
            };
            if !fine || count > OPTIONS_MAX {
                return Err(PacketError::HopByHop);
            }
        }
        (options, at) = (rest.get(step.saturating_sub(1)..).unwrap_or_default(), at.saturating_add(step));
    }
    Ok(jumbo)
}
