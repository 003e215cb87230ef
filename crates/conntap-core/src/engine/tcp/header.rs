//! A segment's header, checked, and its options.
//!
//! Source: tcp_error, tcp_options, tcp_sack of net/netfilter/nf_conntrack_proto_tcp.c; RFC 9293, 7323, 2018.

use super::{FLAG_SACK_PERM, FLAG_WINDOW_SCALE, after};
use crate::engine::verdict::Reason;
use crate::packet::Packet;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const URG: u8 = 0x20;

/// What a segment is to the transition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    Syn = 0,
    SynAck = 1,
    Fin = 2,
    Ack = 3,
    Rst = 4,
    None = 5,
}

/// The header fields that tracking reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<'a> {
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    pub flags: u8,
    pub options: &'a [u8],
    /// Sequence number behind the segment.
    pub end: u32,
}

impl Header<'_> {
    #[inline]
    pub fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    #[inline]
    pub fn class(&self) -> Class {
        if self.is(RST) {
            Class::Rst
        } else if self.is(SYN) {
            if self.is(ACK) { Class::SynAck } else { Class::Syn }
        } else if self.is(FIN) {
            Class::Fin
        } else if self.is(ACK) {
            Class::Ack
        } else {
            Class::None
        }
    }
}

/// Check a segment's header. Source: tcp_error.
#[inline]
pub(super) fn header<'a>(packet: &Packet<'a>, good_checksum: impl FnOnce() -> bool) -> Result<Header<'a>, Reason> {
    let l4 = packet.l4();
    let have = packet.l4_len();
    let Some((fixed, rest)) = l4.split_first_chunk::<20>() else {
        return Err(Reason::ShortHeader { have: have.min(u32::try_from(l4.len()).unwrap_or(u32::MAX)), need: 20 });
    };
    let [_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, w0, w1, _, _, _, _] = *fixed;
    let header = u32::from(offset >> 4).wrapping_mul(4);
    if header < 20 || have < header {
        return Err(Reason::BadHeaderLength { header, have });
    }
    if !good_checksum() {
        return Err(Reason::BadChecksum);
    }
    let flags = flags & (FIN | SYN | RST | PSH | ACK | URG);
    const SYN_URG: u8 = SYN | URG;
    const SYN_ACK: u8 = SYN | ACK;
    const RST_ACK: u8 = RST | ACK;
    const FIN_ACK: u8 = FIN | ACK;
    const FIN_ACK_URG: u8 = FIN | ACK | URG;
    const ACK_URG: u8 = ACK | URG;
    match flags & !PSH {
        SYN | SYN_URG | SYN_ACK | RST | RST_ACK | FIN_ACK | FIN_ACK_URG | ACK | ACK_URG => {}
        _ => return Err(Reason::FlagsImpossible { flags }),
    }
    let seq = u32::from_be_bytes([s0, s1, s2, s3]);
    let counted = u32::from(flags & SYN != 0).wrapping_add(u32::from(flags & FIN != 0));
    let options = usize::try_from(header.wrapping_sub(20)).unwrap_or_default();
    Ok(Header {
        seq,
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        window: u16::from_be_bytes([w0, w1]),
        flags,
        options: rest.get(..options).unwrap_or(rest),
        end: seq.wrapping_add(have.wrapping_sub(header)).wrapping_add(counted),
    })
}

/// Walk over options until the end or the first silly one.
fn options(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let (kind, behind) = rest.split_first()?;
            match kind {
                0 => return None,
                1 => rest = behind,
                _ => {
                    let len = usize::from(*behind.first()?);
                    let value = rest.get(2..len)?;
                    rest = rest.get(len..)?;
                    return Some((*kind, value));
                }
            }
        }
    })
}

/// Window scale and SACK permission of a SYN. Source: tcp_options.
pub(super) fn scale_and_flags(bytes: &[u8]) -> (u8, u8) {
    let (mut scale, mut flags) = (0, 0);
    for (kind, value) in options(bytes) {
        match (kind, value) {
            (4, []) => flags |= FLAG_SACK_PERM,
            (3, [shift]) => {
                scale = (*shift).min(14); // RFC 7323, section 2.3
                flags |= FLAG_WINDOW_SCALE;
            }
            _ => {}
        }
    }
    (scale, flags)
}

/// The highest right edge of the first SACK option, or `ack`. Source: tcp_sack.
pub(super) fn highest_sack(bytes: &[u8], ack: u32) -> u32 {
    let Some((_, blocks)) = options(bytes).find(|(kind, value)| *kind == 5 && value.len() >= 8 && value.len() % 8 == 0)
    else {
        return ack;
    };
    let edges = blocks.chunks_exact(8).filter_map(|block| block.last_chunk::<4>());
    edges.fold(ack, |highest, edge| {
        let edge = u32::from_be_bytes(*edge);
        if after(edge, highest) { edge } else { highest }
    })
}
