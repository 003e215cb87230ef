//! Packets between two hosts, and an engine that is shown them: scripts of a few lines.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)] // each test takes what it needs

use conntap_core::engine::helper::{Assignment, Helper, Policy};
use conntap_core::engine::{Direction, Engine, Input, Key, Outcome, Settings, Step};
use conntap_core::model::{Content, Kind, ProtoInfo};
use conntap_core::packet::{checksum, decode_ip};

pub const SECOND: i64 = 1_000_000_000;
pub const A: [u8; 4] = [10, 0, 0, 5];
pub const B: [u8; 4] = [198, 51, 100, 9];

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// An event as a test compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub kind: Kind,
    pub state: Option<u8>,
    pub status: u32,
    pub timeout: Option<u32>,
    pub received_ns: i64,
}

/// An engine with a clock that tests turn.
pub struct Bench {
    pub engine: Engine,
    pub now_ns: i64,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        Self { engine: Engine::new(settings, [1, 2]), now_ns: 1_700_000_000 * SECOND }
    }

    /// A helper that announces nothing by itself: tests do, on its behalf.
    pub fn helper(&mut self, name: &str, l4proto: u8, dport: u16, policies: &[(u32, u32)]) -> u16 {
        let policies =
            policies.iter().map(|(max_expected, timeout)| Policy { max_expected: *max_expected, timeout: *timeout });
        let number = self.engine.add_helper(Helper { name: name.to_owned(), policies: policies.collect() });
        self.engine.assign(Assignment { helper: number, l4proto, dport, family: 0 });
        number
    }

    /// The packet that the gateway sends.
    pub fn sent(&self) -> Vec<u8> {
        self.engine.forwarded().next().unwrap().into_owned()
    }

    /// Let time go by.
    pub fn wait(&mut self, seconds: f64) -> &mut Self {
        #[allow(clippy::cast_possible_truncation)]
        let ns = (seconds * 1e9) as i64;
        self.now_ns += ns;
        self
    }

    /// Tell the engine that time has gone by, without a packet.
    pub fn turn(&mut self) {
        self.engine.turn_clock(self.now_ns);
    }

    /// Show a packet; a helper that is asked lets it pass.
    pub fn pass(&mut self, ip: &[u8]) -> Outcome {
        match self.begin(ip) {
            Step::Done(outcome) => outcome,
            Step::Ask => match self.engine.resume(true).unwrap() {
                Step::Done(outcome) => outcome,
                Step::Ask => unreachable!("asked twice"),
            },
        }
    }

    /// Show a packet and stop where a helper is asked.
    pub fn begin(&mut self, ip: &[u8]) -> Step {
        let packet = decode_ip(ip, u32::try_from(ip.len()).unwrap()).unwrap();
        self.engine.packet(&Input::new(self.now_ns, &packet))
    }

    /// The events since the last time.
    pub fn told(&mut self) -> Vec<Told> {
        let batch = self.engine.take_events();
        batch
            .iter()
            .map(|(row, _, content)| match content {
                Content::Flow(flow) => Told {
                    kind: row.kind,
                    state: flow.protoinfo.as_ref().and_then(ProtoInfo::state),
                    status: flow.status.unwrap_or_default(),
                    timeout: flow.timeout,
                    received_ns: row.received_ns,
                },
                Content::Expectation(expectation) => Told {
                    kind: row.kind,
                    state: None,
                    status: 0,
                    timeout: expectation.timeout,
                    received_ns: row.received_ns,
                },
                Content::Gap(_) => unreachable!("nothing is lost here"),
            })
            .collect()
    }

    /// Kinds of the events since the last time.
    pub fn kinds(&mut self) -> Vec<Kind> {
        self.told().iter().map(|told| told.kind).collect()
    }

    /// Kind and TCP state of the events since the last time.
    pub fn states(&mut self) -> Vec<(Kind, Option<u8>)> {
        self.told().iter().map(|told| (told.kind, told.state)).collect()
    }

    /// The three packets that open a connection from port 40000 to port 80; numbers begin at 1000 and 5000.
    pub fn handshake(&mut self) -> &mut Self {
        self.pass(&tcp(Direction::Original, SYN, 1000, 0, 0));
        self.pass(&tcp(Direction::Reply, SYN | ACK, 5000, 1001, 0));
        self.pass(&tcp(Direction::Original, ACK, 1001, 5001, 0));
        self.told();
        self
    }
}

fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, l4: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + l4.len()).unwrap().to_be_bytes();
    let mut ip = vec![0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    ip.extend_from_slice(&src);
    ip.extend_from_slice(&dst);
    let sum = (!checksum::sum(&ip)).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    ip.extend_from_slice(l4);
    ip
}

fn fill_sum(mut ip: Vec<u8>, at: usize) -> Vec<u8> {
    let packet = decode_ip(&ip, u32::try_from(ip.len()).unwrap()).unwrap();
    let sum = if packet.l4proto == 1 { !checksum::sum(packet.l4()) } else { !checksum::l4_sum(&packet) };
    ip[20 + at..22 + at].copy_from_slice(&sum.to_be_bytes());
    ip
}

/// A segment of the connection 10.0.0.5:40000 → 198.51.100.9:80, window 64,000.
pub fn tcp(direction: Direction, flags: u8, seq: u32, ack: u32, len: usize) -> Vec<u8> {
    tcp_between(direction, (A, 40_000), (B, 80), flags, seq, ack, len)
}

pub fn tcp_between(
    direction: Direction,
    client: ([u8; 4], u16),
    server: ([u8; 4], u16),
    flags: u8,
    seq: u32,
    ack: u32,
    len: usize,
) -> Vec<u8> {
    let (from, to) = if direction == Direction::Original { (client, server) } else { (server, client) };
    let mut l4 = Vec::new();
    l4.extend_from_slice(&from.1.to_be_bytes());
    l4.extend_from_slice(&to.1.to_be_bytes());
    l4.extend_from_slice(&seq.to_be_bytes());
    l4.extend_from_slice(&ack.to_be_bytes());
    l4.extend_from_slice(&[0x50, flags, 0xfa, 0, 0, 0, 0, 0]);
    l4.resize(20 + len, b'x');
    fill_sum(ipv4(from.0, to.0, 6, &l4), 16)
}

pub fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let mut l4 = Vec::new();
    l4.extend_from_slice(&from.1.to_be_bytes());
    l4.extend_from_slice(&to.1.to_be_bytes());
    l4.extend_from_slice(&u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    l4.extend_from_slice(&[0, 0]);
    l4.extend_from_slice(payload);
    fill_sum(ipv4(from.0, to.0, 17, &l4), 6)
}

pub fn icmp(src: [u8; 4], dst: [u8; 4], kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut l4 = vec![kind, code, 0, 0];
    l4.extend_from_slice(rest);
    fill_sum(ipv4(src, dst, 1, &l4), 2)
}

/// A key of IPv4 hosts.
pub fn key(src: ([u8; 4], u16), dst: ([u8; 4], u16), l4proto: u8) -> Key {
    let wide = |address: [u8; 4]| {
        let mut out = [0; 16];
        out[..4].copy_from_slice(&address);
        out
    };
    Key { src: wide(src.0), dst: wide(dst.0), sport: src.1, dport: dst.1, l4proto, family: 2, zone: 0 }
}
