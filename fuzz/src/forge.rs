//! Packets made from a script's bytes: few hosts and ports, so that packets meet, and sequence numbers near the window,
//! so that they matter.

use conntap_core::engine::Key;
use conntap_core::packet::{checksum, decode_ip};
use conntap_core::wire::constants::*;

/// Bytes that are read one after the other; behind the end stand zeros.
#[derive(Debug)]
pub struct Script<'a>(pub &'a [u8]);

impl<'a> Script<'a> {
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn u8(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    pub fn u32(&mut self) -> u32 {
        (u32::from(self.u16()) << 16) | u32::from(self.u16())
    }

    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// The ends of a packet, as four bits each choose them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ends {
    pub v6: bool,
    pub src: u8,
    pub dst: u8,
    pub sport: u8,
    pub dport: u8,
}

impl Ends {
    pub fn read(script: &mut Script<'_>, v6: bool, reverse: bool) -> Self {
        let (hosts, ports) = (script.u8(), script.u8());
        let (src, dst, sport, dport) = (hosts & 15, hosts >> 4, ports & 15, ports >> 4);
        if reverse {
            Self { v6, src: dst, dst: src, sport: dport, dport: sport }
        } else {
            Self { v6, src, dst, sport, dport }
        }
    }

    /// The tuple of a packet between them.
    pub fn key(self, l4proto: u8) -> Key {
        Key {
            src: address(self.v6, self.src),
            dst: address(self.v6, self.dst),
            sport: port(self.sport),
            dport: port(self.dport),
            l4proto,
            family: if self.v6 { AF_INET6 } else { AF_INET },
            zone: 0,
        }
    }

    pub fn reverse(self) -> Self {
        Self { v6: self.v6, src: self.dst, dst: self.src, sport: self.dport, dport: self.sport }
    }
}

/// Ports by number: those of helpers, low and high ones, both ends of the range.
pub const PORTS: [u16; 16] =
    [40_000, 21, 5060, 1723, 69, 80, 1000, 1001, 40_001, 0, 65_535, 600, 1024, 5001, 443, 1719];

pub fn port(number: u8) -> u16 {
    PORTS[usize::from(number & 15)]
}

/// An address by number: 0 to 3 inside, 4 to 7 outside, 8 the gateway's, then odd ones.
pub fn address(v6: bool, number: u8) -> [u8; 16] {
    let mut out = [0; 16];
    if v6 {
        out[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        out[5] = number / 4;
        out[15] = number % 4 + 1;
        if number == 12 {
            out = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        }
        return out;
    }
    let four = match number {
        0..=3 => [10, 0, 1, number + 1],
        4..=7 => [192, 0, 2, number - 3],
        8 | 9 => [198, 51, 100, number - 7],
        10 => [10, 0, 1, 255],
        11 => [0, 0, 0, 0],
        12 => [127, 0, 0, 1],
        13 => [224, 0, 0, 1],
        _ => [255, 255, 255, number],
    };
    out[..4].copy_from_slice(&four);
    out
}

/// A packet around a layer 4 whose checksum is made right.
pub fn packet(ends: Ends, l4proto: u8, l4: &[u8], id: u16) -> Vec<u8> {
    let (src, dst) = (address(ends.v6, ends.src), address(ends.v6, ends.dst));
    let mut out =
        if ends.v6 { header6(&src, &dst, l4proto, l4.len()) } else { header4(&src, &dst, l4proto, l4.len(), id) };
    out.extend_from_slice(l4);
    fix_l4(&mut out);
    out
}

fn header4(src: &[u8; 16], dst: &[u8; 16], l4proto: u8, len: usize, id: u16) -> Vec<u8> {
    let mut out = vec![0x45, 0];
    out.extend(((len + 20) as u16).to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend([0, 0, 64, l4proto, 0, 0]);
    out.extend(&src[..4]);
    out.extend(&dst[..4]);
    fix_ip(&mut out);
    out
}

fn header6(src: &[u8; 16], dst: &[u8; 16], l4proto: u8, len: usize) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0];
    out.extend((len as u16).to_be_bytes());
    out.extend([l4proto, if dst[0] == 0xfe || src[0] == 0xfe { 255 } else { 64 }]);
    out.extend(src);
    out.extend(dst);
    out
}

/// The IPv4 header's checksum.
pub fn fix_ip(bytes: &mut [u8]) {
    let len = usize::from(bytes.first().copied().unwrap_or_default() & 15) * 4;
    if bytes.first().is_some_and(|first| first >> 4 == 4) && bytes.len() >= len && len >= 20 {
        bytes[10..12].fill(0);
        let sum = !checksum::sum(&bytes[..len]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The layer-4 checksum, where the packet has one.
pub fn fix_l4(bytes: &mut [u8]) {
    let Ok(packet) = decode_ip(bytes, bytes.len() as u32) else { return };
    if packet.no_l4.is_some() || packet.fragment.is_some() {
        return;
    }
    let (at, l4proto, len) = (usize::from(packet.l4_at), packet.l4proto, packet.ip.len());
    let field = match (l4proto, packet.family) {
        (IPPROTO_TCP, _) => at + 16,
        (IPPROTO_UDP | IPPROTO_UDPLITE, _) => at + 6,
        (IPPROTO_ICMP, AF_INET) | (IPPROTO_ICMPV6, AF_INET6) => at + 2,
        (IPPROTO_SCTP, _) if len >= at + 12 => {
            let sum = checksum::sctp_sum(&bytes[at..len]);
            bytes[at + 8..at + 12].copy_from_slice(&sum.to_le_bytes());
            return;
        }
        _ => return,
    };
    if len < field + 2 {
        return;
    }
    bytes[field..field + 2].fill(0);
    let Ok(packet) = decode_ip(bytes, bytes.len() as u32) else { return };
    let sum = if l4proto == IPPROTO_ICMP { !checksum::sum(packet.l4()) } else { !checksum::l4_sum(&packet) };
    bytes[field..field + 2].copy_from_slice(&if sum == 0 { 0xffff } else { sum }.to_be_bytes());
}

/// A packet that goes back to where this one came from: addresses and ports change places.
pub fn answer(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let (width, at) = if bytes.first().is_some_and(|first| first >> 4 == 6) { (16, 8) } else { (4, 12) };
    let Ok(packet) = decode_ip(bytes, bytes.len() as u32) else { return out };
    out[at..at + width].copy_from_slice(&packet.dst[..width]);
    out[at + width..at + 2 * width].copy_from_slice(&packet.src[..width]);
    let l4_at = usize::from(packet.l4_at);
    if let Some(field) = out.get_mut(l4_at..l4_at + 4) {
        match packet.l4proto {
            IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP => field.rotate_left(2),
            IPPROTO_ICMP => {
                field[0] = match field[0] {
                    8 => 0,
                    13 => 14,
                    other => other,
                }
            }
            IPPROTO_ICMPV6 => field[0] = if field[0] == 128 { 129 } else { field[0] },
            _ => {}
        }
    }
    fix_ip(&mut out);
    fix_l4(&mut out);
    out
}

/// The parts of a packet as fragments of `size` bytes each, the last one rest.
pub fn fragments(bytes: &[u8], size: usize, id: u16) -> Vec<Vec<u8>> {
    let v6 = bytes.first().is_some_and(|first| first >> 4 == 6);
    let header_len = if v6 { 40 } else { usize::from(bytes.first().copied().unwrap_or_default() & 15) * 4 };
    let Some((header, payload)) = bytes.split_at_checked(header_len.max(20)) else { return Vec::new() };
    let count = payload.len().div_ceil(size);
    payload
        .chunks(size)
        .enumerate()
        .map(|(number, part)| {
            let (offset, more) = ((number * size) as u16, u16::from(number + 1 < count));
            let mut out = header.to_vec();
            if v6 {
                out[4..6].copy_from_slice(&((part.len() + 8) as u16).to_be_bytes());
                out.extend([header[6], 0]);
                out[6] = 44;
                out.extend(((offset & !7) | more).to_be_bytes());
                out.extend(u32::from(id).to_be_bytes());
            } else {
                out[2..4].copy_from_slice(&((part.len() + header.len()) as u16).to_be_bytes());
                out[4..6].copy_from_slice(&id.to_be_bytes());
                out[6..8].copy_from_slice(&((offset / 8) | (more << 13)).to_be_bytes());
                fix_ip(&mut out);
            }
            out.extend_from_slice(part);
            out
        })
        .collect()
}

/// An ICMP error of that type and code that quotes `bytes`, sent to its sender.
pub fn error_about(bytes: &[u8], sender: u8, kind: u8, code: u8, quoted: usize) -> Vec<u8> {
    let Ok(packet) = decode_ip(bytes, bytes.len() as u32) else { return bytes.to_vec() };
    let v6 = packet.family == AF_INET6;
    let mut l4 = vec![kind, code, 0, 0, 0, 0, 5, 0];
    l4.extend(&bytes[..quoted.min(bytes.len())]);
    let (src, dst) = (address(v6, sender), packet.src);
    let mut out =
        if v6 { header6(&src, &dst, IPPROTO_ICMPV6, l4.len()) } else { header4(&src, &dst, IPPROTO_ICMP, l4.len(), 1) };
    out.extend(l4);
    fix_l4(&mut out);
    out
}
