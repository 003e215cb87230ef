//! Packets made by hand, with right checksums unless a test spoils them.
#![allow(dead_code)] // each test file uses a part

/// 192.0.2.1 → 198.51.100.2, 2001:db8::1 → 2001:db8::2.
pub const SRC4: [u8; 4] = [192, 0, 2, 1];
pub const DST4: [u8; 4] = [198, 51, 100, 2];
pub const SRC6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub const DST6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// The Internet checksum, the slow way.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut total = 0_u64;
    for pair in bytes.chunks(2) {
        total += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}

/// An IPv4 header's fields; the rest follows from them.
#[derive(Clone, Debug)]
pub struct V4<'a> {
    pub proto: u8,
    pub tos: u8,
    pub id: u16,
    pub offset: u16,
    pub more: bool,
    pub df: bool,
    pub options: &'a [u8],
    pub total: Option<u16>,
}

pub const V4: V4<'static> =
    V4 { proto: 17, tos: 0, id: 1, offset: 0, more: false, df: false, options: &[], total: None };

impl V4<'_> {
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let len = 20 + self.options.len();
        let total = self.total.unwrap_or((len + payload.len()) as u16);
        let flags = (u16::from(self.df) << 14) | (u16::from(self.more) << 13) | (self.offset / 8);
        let mut header = vec![0x40 | (len / 4) as u8, self.tos];
        header.extend(total.to_be_bytes());
        header.extend(self.id.to_be_bytes());
        header.extend(flags.to_be_bytes());
        header.extend([64, self.proto, 0, 0]);
        header.extend(SRC4);
        header.extend(DST4);
        header.extend(self.options);
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        [header, payload.to_vec()].concat()
    }
}

/// An IPv6 header before `payload`.
pub fn v6(next: u8, class: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60 | class >> 4, class << 4, 0, 0];
    header.extend((payload.len() as u16).to_be_bytes());
    header.extend([next, 64]);
    header.extend(SRC6);
    header.extend(DST6);
    header.extend(payload);
    header
}

/// An IPv6 extension header of `kind` (hop-by-hop, routing, destination) with `data`.
pub fn extension(next: u8, data: &[u8]) -> Vec<u8> {
    assert_eq!(data.len() % 8, 6);
    [&[next, (data.len() / 8) as u8][..], data].concat()
}

pub fn fragment_header(next: u8, offset: u16, more: bool, id: u32) -> Vec<u8> {
    [&[next, 0][..], &(offset | u16::from(more)).to_be_bytes(), &id.to_be_bytes()].concat()
}

/// What a pseudo header is made of.
pub fn pseudo(six: bool, proto: u8, len: usize) -> Vec<u8> {
    let ends = if six { [SRC6, DST6].concat() } else { [SRC4, DST4].concat() };
    [&ends[..], &(len as u32).to_be_bytes(), &u32::from(proto).to_be_bytes()].concat()
}

/// UDP from port `sport` to 53.
pub fn udp(six: bool, sport: u16, data: &[u8]) -> Vec<u8> {
    let len = 8 + data.len();
    let mut header = [sport.to_be_bytes(), 53_u16.to_be_bytes(), (len as u16).to_be_bytes(), [0, 0]].concat();
    let sum = checksum(&[&pseudo(six, 17, len), &header, data]);
    header[6..8].copy_from_slice(&(if sum == 0 { 0xffff } else { sum }).to_be_bytes());
    [header, data.to_vec()].concat()
}

/// A TCP segment without options.
pub fn tcp(six: bool, data: &[u8]) -> Vec<u8> {
    let mut header = vec![0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0];
    let sum = checksum(&[&pseudo(six, 6, 20 + data.len()), &header, data]);
    header[16..18].copy_from_slice(&sum.to_be_bytes());
    [header, data.to_vec()].concat()
}

pub fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &ethertype.to_be_bytes(), payload].concat()
}
