//! Ethernet frames of TCP, UDP and ICMP echo over IPv4 and IPv6, with right checksums.

use conntap_core::packet::checksum;
use conntap_core::wire::constants::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP};

use crate::random::mix;

pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const FIN: u8 = 0x01;

const ETHERNET: usize = 14;
/// Without its check sequence.
const SHORTEST_FRAME: usize = 60;
/// Locally administered; the sender's first, then the receiver's.
const STATIONS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Who talks to whom. Distinct numbers below 2^24 give distinct tuples.
#[derive(Clone, Copy)]
pub struct Ends {
    number: u32,
    pub six: bool,
    client_port: u16,
    server_port: u16,
}

/// What stands in a TCP header.
pub struct Tcp {
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
}

impl Ends {
    pub fn new(number: u32, six: bool, server_port: u16) -> Self {
        let client_port = 1024 + (mix(u64::from(number)) % 64_000) as u16;
        Self { number, six, client_port, server_port }
    }

    /// Source and destination in the direction from the client or to it; as many bytes as the family has.
    fn addresses(&self, from_client: bool) -> ([[u8; 16]; 2], usize) {
        let [_, high, middle, low] = self.number.to_be_bytes();
        let [client, server] = if self.six {
            [
                [0x20, 0x01, 0x0d, 0xb8, 0, 0x10, 0, high, 0, 0, 0, 0, 0, 0, middle, low],
                [0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, low, high],
            ]
        } else {
            [four([10, high, middle, low]), four([198, 18, low, high])]
        };
        (if from_client { [client, server] } else { [server, client] }, if self.six { 16 } else { 4 })
    }

    fn ports(&self, from_client: bool) -> [u16; 2] {
        if from_client { [self.client_port, self.server_port] } else { [self.server_port, self.client_port] }
    }

    pub fn tcp(&self, frame: &mut Vec<u8>, from_client: bool, tcp: &Tcp, payload: &[u8]) {
        // A SYN offers a maximum segment and a window scale of 7.
        let options: &[u8] = if tcp.flags & SYN != 0 { &[2, 4, 5, 180, 1, 3, 3, 7] } else { &[] };
        let head = 20 + options.len();
        let at = self.network(frame, from_client, IPPROTO_TCP, head + payload.len());
        for port in self.ports(from_client) {
            frame.extend(port.to_be_bytes());
        }
        frame.extend(tcp.seq.to_be_bytes());
        frame.extend(tcp.ack.to_be_bytes());
        frame.extend([(head as u8 / 4) << 4, tcp.flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend(options);
        frame.extend(payload);
        self.finish(frame, at, 16, Some(IPPROTO_TCP));
    }

    pub fn udp(&self, frame: &mut Vec<u8>, from_client: bool, payload: &[u8]) {
        let len = 8 + payload.len();
        let at = self.network(frame, from_client, IPPROTO_UDP, len);
        for port in self.ports(from_client) {
            frame.extend(port.to_be_bytes());
        }
        frame.extend((len as u16).to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(payload);
        self.finish(frame, at, 6, Some(IPPROTO_UDP));
    }

    /// An echo request of the client, or the server's reply.
    pub fn echo(&self, frame: &mut Vec<u8>, from_client: bool, number: u16, payload: &[u8]) {
        let protocol = if self.six { IPPROTO_ICMPV6 } else { IPPROTO_ICMP };
        let at = self.network(frame, from_client, protocol, 8 + payload.len());
        let kind = match (self.six, from_client) {
            (false, true) => 8,
            (false, false) => 0,
            (true, true) => 128,
            (true, false) => 129,
        };
        frame.extend([kind, 0, 0, 0]);
        frame.extend(self.client_port.to_be_bytes());
        frame.extend(number.to_be_bytes());
        frame.extend(payload);
        self.finish(frame, at, 2, self.six.then_some(IPPROTO_ICMPV6));
    }

    /// Ethernet and IP header; returns where layer 4 begins.
    fn network(&self, frame: &mut Vec<u8>, from_client: bool, protocol: u8, len: usize) -> usize {
        frame.clear();
        frame.extend(STATIONS);
        let ([src, dst], width) = self.addresses(from_client);
        if self.six {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((len as u16).to_be_bytes());
            frame.extend([protocol, 64]);
        } else {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + len as u16).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        }
        frame.extend(src.iter().take(width));
        frame.extend(dst.iter().take(width));
        if !self.six {
            let sum = !checksum::sum(frame.get(ETHERNET..).unwrap_or_default());
            put(frame, ETHERNET + 10, sum);
        }
        frame.len()
    }

    /// Write the checksum at `field` behind `at`, over a pseudo header where there is one; pad to the shortest frame.
    fn finish(&self, frame: &mut Vec<u8>, at: usize, field: usize, pseudo: Option<u8>) {
        let len = (frame.len() - at) as u32;
        let mut total = u32::from(checksum::sum(frame.get(at..).unwrap_or_default()));
        if let Some(protocol) = pseudo {
            let addresses = at - if self.six { 32 } else { 8 };
            total += u32::from(checksum::sum(frame.get(addresses..at).unwrap_or_default()));
            total += u32::from(protocol) + len;
        }
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        let sum = !(total as u16);
        put(frame, at + field, if sum == 0 { 0xffff } else { sum });
        if frame.len() < SHORTEST_FRAME {
            frame.resize(SHORTEST_FRAME, 0);
        }
    }
}

fn four([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn put(frame: &mut [u8], at: usize, value: u16) {
    if let Some(field) = frame.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
