//! IPv4 headers as the kernel's `ip_rcv_core` (net/ipv4/ip_input.c) checks them, and packets within ICMP errors.

use super::checksum::sum;
use super::ipv6::{self, ipv6};
use super::{Fragment, NoL4, Packet, PacketError};
use crate::wire::constants::{AF_INET, AF_INET6, IPPROTO_TCP};

const HEADER_LEN: usize = 20;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// Decode a packet that begins with its IP header.
///
/// `original_len` is the length that the packet had before the capture cut it, with whatever padding was behind it.
///
/// # Errors
/// What the IP layer drops before connection tracking.
#[inline]
pub fn decode_ip(ip: &[u8], original_len: u32) -> Result<Packet<'_>, PacketError> {
    match ip.first().map(|first| first >> 4) {
        Some(4) => ipv4(ip, original_len),
        Some(6) => ipv6(ip, original_len),
        Some(version) => Err(PacketError::Version { version }),
        None => Err(PacketError::short(HEADER_LEN, 0, original_len)),
    }
}

/// Decode a datagram that [`super::Reassembler`] made: it is cut where one of its fragments was. What the IP layer
/// checks it has checked in the fragments, and a second fragment header that it may have is passed over.
///
/// # Errors
/// None, for bytes that come from there.
pub fn decode_rebuilt(ip: &[u8]) -> Result<Packet<'_>, PacketError> {
    let packet = match ip.first().map(|first| first >> 4) {
        Some(6) => ipv6::rebuilt(ip)?,
        _ => decode_ip(ip, u32::MAX)?,
    };
    Ok(Packet { fragment: None, atomic: None, ..packet })
}

#[inline]
pub(super) fn ipv4(ip: &[u8], original_len: u32) -> Result<Packet<'_>, PacketError> {
    let Some(header) = ip.first_chunk::<HEADER_LEN>() else {
        return Err(PacketError::short(HEADER_LEN, ip.len(), original_len));
    };
    let [first, _, l0, l1, i0, i1, f0, f1, ttl, l4proto, _, _, ends @ ..] = *header;
    if first != 0x45 {
        return ipv4_options(ip, original_len);
    }
    if sum(header) != 0xffff {
        return Err(PacketError::HeaderChecksum);
    }
    let fields = Fields { len: [l0, l1], id: [i0, i1], flags: [f0, f1], ttl, l4proto, ends };
    fields.packet(ip, original_len, HEADER_LEN as u16)
}

/// A header with options, or with a wrong first byte.
#[cold]
fn ipv4_options(ip: &[u8], original_len: u32) -> Result<Packet<'_>, PacketError> {
    let Some([first, _, l0, l1, i0, i1, f0, f1, ttl, l4proto, _, _, ends @ ..]) =
        ip.first_chunk::<HEADER_LEN>().copied()
    else {
        return Err(PacketError::short(HEADER_LEN, ip.len(), original_len));
    };
    let (version, len) = (first >> 4, (first & 0x0f) << 2);
    if version != 4 {
        return Err(PacketError::Version { version });
    }
    if usize::from(len) < HEADER_LEN {
        return Err(PacketError::HeaderLength { len });
    }
    let Some(header) = ip.get(..usize::from(len)) else {
        return Err(PacketError::short(usize::from(len), ip.len(), original_len));
    };
    if sum(header) != 0xffff {
        return Err(PacketError::HeaderChecksum);
    }
    let fields = Fields { len: [l0, l1], id: [i0, i1], flags: [f0, f1], ttl, l4proto, ends };
    fields.packet(ip, original_len, u16::from(len))
}

/// The fields of an IPv4 header that are used.
struct Fields {
    len: [u8; 2],
    id: [u8; 2],
    flags: [u8; 2],
    ttl: u8,
    l4proto: u8,
    ends: [u8; 8],
}

impl Fields {
    #[inline]
    fn packet(self, ip: &[u8], original_len: u32, l4_at: u16) -> Result<Packet<'_>, PacketError> {
        let mut total_len = u32::from(u16::from_be_bytes(self.len));
        // A segment longer than the field can say, which only offloading makes (BIG TCP: iph_totlen in net/ip.h).
        if total_len == 0 && self.l4proto == IPPROTO_TCP && original_len > 0xffff && original_len != u32::MAX {
            total_len = original_len;
        }
        if total_len > original_len || total_len < u32::from(l4_at) {
            return Err(PacketError::TotalLength { len: total_len, have: original_len });
        }
        let ip = ip.get(..usize::try_from(total_len).unwrap_or(usize::MAX)).unwrap_or(ip);
        Ok(self.view(ip, total_len, l4_at))
    }

    #[inline]
    fn view(self, ip: &[u8], total_len: u32, l4_at: u16) -> Packet<'_> {
        let flags = u16::from_be_bytes(self.flags);
        let (offset, more) = (u32::from(flags & OFFSET) << 3, flags & MORE_FRAGMENTS != 0);
        let fragment = (offset != 0 || more).then(|| Fragment {
            id: u32::from(u16::from_be_bytes(self.id)),
            offset,
            more,
            header_at: 0,
        });
        let [s0, s1, s2, s3, d0, d1, d2, d3] = self.ends;
        Packet {
            ip,
            total_len,
            family: AF_INET,
            src: [s0, s1, s2, s3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            dst: [d0, d1, d2, d3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            l4proto: self.l4proto,
            l4_at,
            ttl: self.ttl,
            fragment,
            atomic: None,
            no_l4: (offset != 0).then_some(NoL4::LaterFragment),
        }
    }
}

/// Decode the packet that an ICMP error quotes, as tracking reads it: neither version, checksum nor total length are
/// looked at, and what was quoted is all there is (`nf_ct_get_tuplepr` in net/netfilter/nf_conntrack_core.c).
///
/// `quoted` begins at the quoted IP header; `family` is that of the outer packet. `total_len` of the result is what
/// was quoted. None where there is no whole header or no layer 4 to read.
#[must_use]
pub fn decode_quoted(family: u8, quoted: &[u8]) -> Option<Packet<'_>> {
    let total_len = u32::try_from(quoted.len()).ok()?;
    let packet = match family {
        AF_INET => {
            let [first, _, _, _, i0, i1, f0, f1, ttl, l4proto, _, _, ends @ ..] =
                quoted.first_chunk::<HEADER_LEN>().copied()?;
            let l4_at = u16::from(first & 0x0f) << 2;
            let fields = Fields { len: [0; 2], id: [i0, i1], flags: [f0, f1], ttl, l4proto, ends };
            (usize::from(l4_at) <= quoted.len()).then(|| fields.view(quoted, total_len, l4_at))?
        }
        AF_INET6 => ipv6::quoted(quoted, total_len)?,
        _ => return None,
    };
    packet.no_l4.is_none().then_some(packet)
}
