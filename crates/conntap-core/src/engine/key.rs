//! `Key`: one direction of a connection as the table looks it up, and its keyed hash.

use crate::wire::Writer;
use crate::wire::constants::*;

/// Directions of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    Original = 0,
    Reply = 1,
}

impl Direction {
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        match self {
            Self::Original => 0,
            Self::Reply => 1,
        }
    }

    #[must_use]
    #[inline]
    pub fn other(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }
}

/// One direction of a connection. Source: kernel nf_conntrack_tuple.h.
///
/// For ICMP `sport` is the id and `dport` type × 256 + code; for GRE both are keys; 0 for protocols without ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key {
    /// IPv4 addresses stand in the first four bytes, the rest is zero.
    pub src: [u8; 16],
    pub dst: [u8; 16],
    pub sport: u16,
    pub dport: u16,
    pub l4proto: u8,
    /// AF_INET or AF_INET6.
    pub family: u8,
    /// The zone that is valid for this direction.
    pub zone: u16,
}

impl Key {
    /// What the answer looks like where nothing is translated; None where the kernel knows no answer (ICMP).
    #[must_use]
    #[inline]
    pub fn inverse(&self) -> Option<Self> {
        let (sport, dport) = match self.l4proto {
            IPPROTO_ICMP | IPPROTO_ICMPV6 => {
                let [kind, code] = self.dport.to_be_bytes();
                let answer = crate::model::tuple::icmp_inverse(Some(self.l4proto), kind)?;
                (self.sport, u16::from_be_bytes([answer, code]))
            }
            _ => (self.dport, self.sport),
        };
        Some(Self { src: self.dst, dst: self.src, sport, dport, ..*self })
    }

    /// SipHash-1-3 of the 40 bytes: who chooses addresses and ports cannot choose the bucket.
    #[must_use]
    #[inline]
    pub fn hash(&self, seed: [u64; 2]) -> u64 {
        let [s0, s1] = words(&self.src);
        let [d0, d1] = words(&self.dst);
        let rest = (u64::from(self.sport) << 48)
            | (u64::from(self.dport) << 32)
            | (u64::from(self.zone) << 16)
            | (u64::from(self.l4proto) << 8)
            | u64::from(self.family);
        let mut sip = Sip::new(seed);
        if self.family == AF_INET {
            // Four bytes each, the rest is zero.
            sip.word(s0 | d0.rotate_left(32));
        } else {
            sip.word(s0);
            sip.word(d0);
            sip.word(s1);
            sip.word(d1);
        }
        sip.word(rest);
        sip.finish()
    }

    /// Write it as the kernel does (CTA_TUPLE_ORIG and friends); `zone` where it holds for this direction only.
    pub(super) fn write(&self, writer: &mut Writer, kind: u16, zone: Option<u16>) {
        if zone.is_none() && self.family == AF_INET && self.has_ports() {
            writer.raw(&self.usual(kind));
            return;
        }
        writer.nest(kind, |writer| {
            writer.nest(CTA_TUPLE_IP, |writer| {
                if self.family == AF_INET {
                    writer.attr(CTA_IP_V4_SRC, self.src.first_chunk::<4>().unwrap_or(&[0; 4]));
                    writer.attr(CTA_IP_V4_DST, self.dst.first_chunk::<4>().unwrap_or(&[0; 4]));
                } else {
                    writer.attr(CTA_IP_V6_SRC, &self.src);
                    writer.attr(CTA_IP_V6_DST, &self.dst);
                }
            });
            writer.nest(CTA_TUPLE_PROTO, |writer| self.write_proto(writer));
            if let Some(zone) = zone {
                writer.be16(CTA_TUPLE_ZONE, zone);
            }
        });
    }

    fn has_ports(&self) -> bool {
        matches!(self.l4proto, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_GRE)
    }

    /// The nest of an IPv4 tuple with ports, whose shape never varies, at once.
    fn usual(&self, kind: u16) -> [u8; 52] {
        let nested = |kind: u16| (kind | NLA_F_NESTED).to_ne_bytes();
        let (k, ip, proto) = (nested(kind), nested(CTA_TUPLE_IP), nested(CTA_TUPLE_PROTO));
        let [s0, s1, s2, s3, ..] = self.src;
        let [d0, d1, d2, d3, ..] = self.dst;
        let ([p0, p1], [q0, q1]) = (self.sport.to_be_bytes(), self.dport.to_be_bytes());
        let n = |value: u16| value.to_ne_bytes();
        let (l52, l20, l28, l8, l5, l6) = (n(52), n(20), n(28), n(8), n(5), n(6));
        let (a_src, a_dst, a_num, a_sport, a_dport) =
            (n(CTA_IP_V4_SRC), n(CTA_IP_V4_DST), n(CTA_PROTO_NUM), n(CTA_PROTO_SRC_PORT), n(CTA_PROTO_DST_PORT));
        #[rustfmt::skip]
        let nest = [
            l52[0], l52[1], k[0], k[1],
            l20[0], l20[1], ip[0], ip[1],
            l8[0], l8[1], a_src[0], a_src[1], s0, s1, s2, s3,
            l8[0], l8[1], a_dst[0], a_dst[1], d0, d1, d2, d3,
            l28[0], l28[1], proto[0], proto[1],
            l5[0], l5[1], a_num[0], a_num[1], self.l4proto, 0, 0, 0,
            l6[0], l6[1], a_sport[0], a_sport[1], p0, p1, 0, 0,
            l6[0], l6[1], a_dport[0], a_dport[1], q0, q1, 0, 0,
        ];
        nest
    }

    fn write_proto(&self, writer: &mut Writer) {
        writer.u8(CTA_PROTO_NUM, self.l4proto);
        let [kind, code] = self.dport.to_be_bytes();
        match self.l4proto {
            IPPROTO_ICMP => {
                writer.be16(CTA_PROTO_ICMP_ID, self.sport);
                writer.u8(CTA_PROTO_ICMP_TYPE, kind);
                writer.u8(CTA_PROTO_ICMP_CODE, code);
            }
            IPPROTO_ICMPV6 => {
                writer.be16(CTA_PROTO_ICMPV6_ID, self.sport);
                writer.u8(CTA_PROTO_ICMPV6_TYPE, kind);
                writer.u8(CTA_PROTO_ICMPV6_CODE, code);
            }
            _ if self.has_ports() => {
                writer.be16(CTA_PROTO_SRC_PORT, self.sport);
                writer.be16(CTA_PROTO_DST_PORT, self.dport);
            }
            _ => {}
        }
    }
}

fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_ne_bytes(*bytes);
    #[allow(clippy::cast_possible_truncation)] // the halves
    [both as u64, (both >> 64) as u64]
}

/// SipHash-1-3 (Aumasson, Bernstein: SipHash: a fast short-input PRF) over 64-bit words.
pub(crate) struct Sip([u64; 4]);

impl Sip {
    #[inline]
    pub(crate) fn new([k0, k1]: [u64; 2]) -> Self {
        Self([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    #[inline]
    pub(crate) fn word(&mut self, word: u64) {
        let [v0, v1, v2, v3] = self.0;
        let [v0, v1, v2, v3] = round([v0, v1, v2, v3 ^ word]);
        self.0 = [v0 ^ word, v1, v2, v3];
    }

    #[inline]
    pub(crate) fn finish(self) -> u64 {
        let [v0, v1, v2, v3] = self.0;
        let [v0, v1, v2, v3] = round(round(round([v0, v1, v2 ^ 0xff, v3])));
        v0 ^ v1 ^ v2 ^ v3
    }
}

#[inline]
fn round([v0, v1, v2, v3]: [u64; 4]) -> [u64; 4] {
    let v0 = v0.wrapping_add(v1);
    let v1 = v1.rotate_left(13) ^ v0;
    let v0 = v0.rotate_left(32);
    let v2 = v2.wrapping_add(v3);
    let v3 = v3.rotate_left(16) ^ v2;
    let v0 = v0.wrapping_add(v3);
    let v3 = v3.rotate_left(21) ^ v0;
    let v2 = v2.wrapping_add(v1);
    let v1 = v1.rotate_left(17) ^ v2;
    let v2 = v2.rotate_left(32);
    [v0, v1, v2, v3]
}
