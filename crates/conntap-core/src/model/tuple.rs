//! A tuple: addresses, protocol and ports of one direction (CTA_TUPLE_*).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::constants::*;
use crate::wire::{Attr, DecodeError, Writer};

/// One direction of a flow, or one side of an expectation. A field that was not sent is None.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tuple {
    pub src: Option<IpAddr>,
    pub dst: Option<IpAddr>,
    /// IP protocol number.
    pub l4proto: Option<u8>,
    /// Source port; for GRE the source key.
    pub sport: Option<u16>,
    pub dport: Option<u16>,
    /// ICMP and ICMPv6: identifier, type, code. Which of the two it is follows from `l4proto`.
    pub icmp_id: Option<u16>,
    pub icmp_type: Option<u8>,
    pub icmp_code: Option<u8>,
    /// A zone that is valid for this direction only (CTA_TUPLE_ZONE).
    pub zone: Option<u16>,
}

impl Tuple {
    #[inline]
    pub(crate) fn decode(attr: &Attr<'_>, unknown: &mut bool) -> Result<Self, DecodeError> {
        let mut tuple = Self::default();
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_TUPLE_IP => tuple.decode_ip(&part, unknown)?,
                CTA_TUPLE_PROTO => tuple.decode_proto(&part, unknown)?,
                CTA_TUPLE_ZONE => tuple.zone = Some(part.be16()?),
                _ => *unknown = true,
            }
        }
        Ok(tuple)
    }

    #[inline]
    fn decode_ip(&mut self, attr: &Attr<'_>, unknown: &mut bool) -> Result<(), DecodeError> {
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_IP_V4_SRC => self.src = Some(Ipv4Addr::from(part.ipv4()?).into()),
                CTA_IP_V4_DST => self.dst = Some(Ipv4Addr::from(part.ipv4()?).into()),
                CTA_IP_V6_SRC => self.src = Some(Ipv6Addr::from(part.ipv6()?).into()),
                CTA_IP_V6_DST => self.dst = Some(Ipv6Addr::from(part.ipv6()?).into()),
                _ => *unknown = true,
            }
        }
        Ok(())
    }

    #[inline]
    fn decode_proto(&mut self, attr: &Attr<'_>, unknown: &mut bool) -> Result<(), DecodeError> {
        for part in attr.nested() {
            let part = part?;
            match part.kind {
                CTA_PROTO_NUM => self.l4proto = Some(part.u8()?),
                CTA_PROTO_SRC_PORT => self.sport = Some(part.be16()?),
                CTA_PROTO_DST_PORT => self.dport = Some(part.be16()?),
                CTA_PROTO_ICMP_ID | CTA_PROTO_ICMPV6_ID => self.icmp_id = Some(part.be16()?),
                CTA_PROTO_ICMP_TYPE | CTA_PROTO_ICMPV6_TYPE => self.icmp_type = Some(part.u8()?),
                CTA_PROTO_ICMP_CODE | CTA_PROTO_ICMPV6_CODE => self.icmp_code = Some(part.u8()?),
                _ => *unknown = true,
            }
        }
        Ok(())
    }

    /// Write this tuple as a nest with the number `kind`.
    pub fn write(&self, writer: &mut Writer, kind: u16) {
        writer.nest(kind, |writer| {
            if self.src.is_some() || self.dst.is_some() {
                writer.nest(CTA_TUPLE_IP, |writer| {
                    write_address(writer, self.src, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
                    write_address(writer, self.dst, CTA_IP_V4_DST, CTA_IP_V6_DST);
                });
            }
            if self.has_proto() {
                writer.nest(CTA_TUPLE_PROTO, |writer| self.write_proto(writer));
            }
            if let Some(zone) = self.zone {
                writer.be16(CTA_TUPLE_ZONE, zone);
            }
        });
    }

    fn has_proto(&self) -> bool {
        self.l4proto.is_some()
            || self.sport.is_some()
            || self.dport.is_some()
            || self.icmp_id.is_some()
            || self.icmp_type.is_some()
            || self.icmp_code.is_some()
    }

    fn write_proto(&self, writer: &mut Writer) {
        if let Some(number) = self.l4proto {
            writer.u8(CTA_PROTO_NUM, number);
        }
        if let Some(port) = self.sport {
            writer.be16(CTA_PROTO_SRC_PORT, port);
        }
        if let Some(port) = self.dport {
            writer.be16(CTA_PROTO_DST_PORT, port);
        }
        let v6 = self.l4proto == Some(IPPROTO_ICMPV6);
        let pick = |v4: u16, other: u16| if v6 { other } else { v4 };
        if let Some(id) = self.icmp_id {
            writer.be16(pick(CTA_PROTO_ICMP_ID, CTA_PROTO_ICMPV6_ID), id);
        }
        if let Some(kind) = self.icmp_type {
            writer.u8(pick(CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMPV6_TYPE), kind);
        }
        if let Some(code) = self.icmp_code {
            writer.u8(pick(CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMPV6_CODE), code);
        }
    }

    /// True when nothing at all was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The tuple of the other direction without NAT: ends swapped, ICMP type inverted.
    ///
    /// Source: net/netfilter/nf_conntrack_proto_icmp.c, nf_conntrack_proto_icmpv6.c, `invmap`.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            sport: self.dport,
            dport: self.sport,
            icmp_type: self.icmp_type.map(|kind| icmp_inverse(self.l4proto, kind).unwrap_or(kind)),
            zone: None,
            ..*self
        }
    }
}

/// The ICMP type that answers `kind`; None where the kernel knows none.
#[must_use]
pub fn icmp_inverse(l4proto: Option<u8>, kind: u8) -> Option<u8> {
    Some(match (l4proto, kind) {
        (Some(IPPROTO_ICMPV6), 128) => 129,
        (Some(IPPROTO_ICMPV6), 129) => 128,
        (Some(IPPROTO_ICMPV6), 139) => 140,
        (Some(IPPROTO_ICMPV6), 140) => 139,
        (Some(IPPROTO_ICMPV6), _) => return None,
        (_, 8) => 0,
        (_, 0) => 8,
        (_, 13) => 14,
        (_, 14) => 13,
        (_, 15) => 16,
        (_, 16) => 15,
        (_, 17) => 18,
        (_, 18) => 17,
        _ => return None,
    })
}

pub(crate) fn write_address(writer: &mut Writer, address: Option<IpAddr>, v4: u16, v6: u16) {
    match address {
        Some(IpAddr::V4(address)) => writer.attr(v4, &address.octets()),
        Some(IpAddr::V6(address)) => writer.attr(v6, &address.octets()),
        None => {}
    }
}
