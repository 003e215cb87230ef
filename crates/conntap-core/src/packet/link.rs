//! Link headers: what comes before the IP header in a captured frame.

use super::ip::{decode_ip, ipv4};
use super::ipv6::ipv6;
use super::{Packet, PacketError, linktype};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and two numbers that older QinQ equipment uses for the outer tag.
const ETHERTYPES_VLAN: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];
const ETHERTYPE_PPPOE: u16 = 0x8864;
/// Below this an ethertype field is the length of an 802.3 frame.
const ETHERTYPE_MIN: u16 = 0x0600;
/// 802.2 in a Linux cooked header (ETH_P_802_2, linux/if_ether.h): there a length would have no place.
const ETHERTYPE_LLC: u16 = 4;
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
/// SNAP with an ethertype behind it (RFC 1042).
const SNAP: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];

/// Decode a captured frame.
///
/// `original_len` is the length that the frame had, of which `frame` may be the beginning (snap length). Pass
/// `frame.len()` where nothing was cut.
///
/// # Errors
/// What the kernel would not have given to connection tracking.
#[inline]
pub fn decode(linktype: u16, frame: &[u8], original_len: u32) -> Result<Packet<'_>, PacketError> {
    match linktype {
        linktype::ETHERNET => match frame {
            [_, _, _, _, _, _, _, _, _, _, _, _, hi, lo, rest @ ..] => {
                by_ethertype(u16::from_be_bytes([*hi, *lo]), rest, original_len.saturating_sub(14))
            }
            _ => Err(PacketError::short(14, frame.len(), original_len)),
        },
        linktype::RAW | linktype::RAW_BSD | linktype::RAW_OPENBSD => decode_ip(frame, original_len),
        linktype::IPV4 => ipv4(frame, original_len),
        linktype::IPV6 => ipv6(frame, original_len),
        linktype::LINUX_SLL => match frame.split_first_chunk::<16>() {
            Some(([.., hi, lo], rest)) => {
                by_ethertype(u16::from_be_bytes([*hi, *lo]), rest, original_len.saturating_sub(16))
            }
            None => Err(PacketError::short(16, frame.len(), original_len)),
        },
        linktype::LINUX_SLL2 => match frame.split_first_chunk::<20>() {
            Some(([hi, lo, ..], rest)) => {
                by_ethertype(u16::from_be_bytes([*hi, *lo]), rest, original_len.saturating_sub(20))
            }
            None => Err(PacketError::short(20, frame.len(), original_len)),
        },
        linktype::NULL | linktype::LOOP => by_family(frame, original_len),
        _ => Err(PacketError::Linktype { linktype }),
    }
}

/// What stands behind an ethertype; `original` is the length of `rest` on the wire.
#[inline]
fn by_ethertype(ethertype: u16, rest: &[u8], original: u32) -> Result<Packet<'_>, PacketError> {
    match ethertype {
        ETHERTYPE_IPV4 => ipv4(rest, original),
        ETHERTYPE_IPV6 => ipv6(rest, original),
        _ => wrapped(ethertype, rest, original),
    }
}

/// Everything that wraps IP once more, any number of times.
fn wrapped(mut ethertype: u16, mut rest: &[u8], mut original: u32) -> Result<Packet<'_>, PacketError> {
    // Each turn takes two bytes at least from the frame.
    loop {
        match ethertype {
            ETHERTYPE_IPV4 => return ipv4(rest, original),
            ETHERTYPE_IPV6 => return ipv6(rest, original),
            ETHERTYPE_PPPOE => return pppoe(rest, original),
            _ if ETHERTYPES_VLAN.contains(&ethertype) => {
                let [_, _, hi, lo, behind @ ..] = rest else {
                    return Err(PacketError::short(4, rest.len(), original));
                };
                (ethertype, rest, original) = (u16::from_be_bytes([*hi, *lo]), behind, original.saturating_sub(4));
            }
            _ if ethertype < ETHERTYPE_MIN => {
                if ethertype != ETHERTYPE_LLC {
                    // The length of an 802.3 frame: what is behind it is padding.
                    original = original.min(u32::from(ethertype));
                    rest = rest.get(..usize::from(ethertype)).unwrap_or(rest);
                }
                let Some((snap, behind)) = rest.split_first_chunk::<8>() else {
                    return Err(PacketError::short(8, rest.len(), original));
                };
                let [dsap, .., hi, lo] = *snap;
                if !snap.starts_with(&SNAP) {
                    return Err(PacketError::NotIpLlc { dsap });
                }
                (ethertype, rest, original) = (u16::from_be_bytes([hi, lo]), behind, original.saturating_sub(8));
                if ethertype < ETHERTYPE_MIN {
                    return Err(PacketError::NotIp { ethertype });
                }
            }
            _ => return Err(PacketError::NotIp { ethertype }),
        }
    }
}

/// PPPoE session frames (RFC 2516, 4): the length field bounds the payload, as in the kernel's `pppoe_rcv`.
fn pppoe(rest: &[u8], original: u32) -> Result<Packet<'_>, PacketError> {
    let [kind, code, _, _, l0, l1, payload @ ..] = rest else {
        return Err(PacketError::short(6, rest.len(), original));
    };
    if (*kind, *code) != (0x11, 0) {
        return Err(PacketError::Pppoe);
    }
    let (len, have) = (u16::from_be_bytes([*l0, *l1]), original.saturating_sub(6));
    if u32::from(len) > have {
        return Err(PacketError::TotalLength { len: u32::from(len), have });
    }
    let payload = payload.get(..usize::from(len)).unwrap_or(payload);
    let [hi, lo, rest @ ..] = payload else {
        return Err(PacketError::short(2, payload.len(), u32::from(len)));
    };
    let original = u32::from(len).saturating_sub(2);
    match u16::from_be_bytes([*hi, *lo]) {
        PPP_IPV4 => ipv4(rest, original),
        PPP_IPV6 => ipv6(rest, original),
        protocol => Err(PacketError::NotIp { ethertype: protocol }),
    }
}

/// The BSD loopback header: an address family of the system that captured, in either byte order.
fn by_family(frame: &[u8], original_len: u32) -> Result<Packet<'_>, PacketError> {
    let Some((family, rest)) = frame.split_first_chunk::<4>() else {
        return Err(PacketError::short(4, frame.len(), original_len));
    };
    let original = original_len.saturating_sub(4);
    // No family is above 255, so the order shows by where the byte is.
    match family {
        [2, 0, 0, 0] | [0, 0, 0, 2] => ipv4(rest, original),
        // AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS.
        [10 | 24 | 28 | 30, 0, 0, 0] | [0, 0, 0, 10 | 24 | 28 | 30] => ipv6(rest, original),
        [lo, hi, 0, 0] | [0, 0, hi, lo] => Err(PacketError::NotIp { ethertype: u16::from_be_bytes([*hi, *lo]) }),
        [_, _, hi, lo] => Err(PacketError::NotIp { ethertype: u16::from_be_bytes([*hi, *lo]) }),
    }
}
