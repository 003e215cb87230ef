//! Many conversations at a time: 70 % of them TCP, 25 % UDP, 5 % ICMP echo; one in five over IPv6.
//!
//! Each packet is of a conversation drawn at random, so that nothing near in time is near in memory. One that has
//! ended is replaced by a new one of its kind.

use crate::Outcome;
use crate::frames::{ACK, Ends, FIN, PSH, RST, SYN, Tcp};
use crate::random::Random;

/// Mean packets of a TCP connection between its handshake and its end.
const TCP_DATA: f64 = 40.0;
/// Mean datagrams of a UDP conversation that is no single question and answer; half of them are that.
const UDP_DATA: f64 = 16.0;
/// Mean requests and replies of a ping.
const ECHOES: f64 = 8.0;
const LONGEST_FRAME: u32 = 1400;
const SERVER_PORTS: [u16; 4] = [443, 443, 80, 22];

/// Frame sizes of what carries data.
#[derive(Clone, Copy)]
pub enum Sizes {
    /// 40 % 60–100 bytes, 20 % 576, 40 % 1400.
    Mixed,
    /// 60–100 bytes.
    Small,
}

impl Sizes {
    pub fn named(name: &str) -> Outcome<Self> {
        match name {
            "mixed" => Ok(Self::Mixed),
            "small" => Ok(Self::Small),
            _ => Err(format!("--sizes: '{name}' is neither mixed nor small")),
        }
    }

    fn draw(self, random: &mut Random) -> u32 {
        let small = 60 + random.below(41);
        match self {
            Self::Small => small,
            Self::Mixed => match random.below(10) {
                0..4 => small,
                4..6 => 576,
                _ => LONGEST_FRAME,
            },
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Tcp,
    Udp,
    Echo,
}

#[derive(Clone, Copy)]
struct Conversation {
    kind: Kind,
    ends: Ends,
    /// Packets sent.
    sent: u32,
    /// Packets with data still to come.
    left: u32,
    /// Behind the last packet with data: packets of the end.
    ending: u32,
    /// Next sequence number of client and server.
    seq: [u32; 2],
    closes_from_client: bool,
    resets: bool,
}

/// What was made so far.
#[derive(Clone, Copy, Default)]
pub struct Made {
    pub packets: u64,
    pub bytes: u64,
    pub conversations: u64,
    pub tcp: u64,
    pub udp: u64,
    pub echo: u64,
    pub six: u64,
}

pub struct Traffic {
    random: Random,
    sizes: Sizes,
    live: Vec<Conversation>,
    filler: Vec<u8>,
    pub made: Made,
}

impl Traffic {
    pub fn new(conversations: u32, sizes: Sizes, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let filler = (0..2 * LONGEST_FRAME).map(|_| random.next() as u8).collect();
        let mut traffic = Self { random, sizes, live: Vec::new(), filler, made: Made::default() };
        for _ in 0..conversations {
            let kind = match traffic.random.below(100) {
                0..70 => Kind::Tcp,
                70..95 => Kind::Udp,
                _ => Kind::Echo,
            };
            let conversation = traffic.begin(kind);
            traffic.live.push(conversation);
        }
        traffic
    }

    fn begin(&mut self, kind: Kind) -> Conversation {
        let random = &mut self.random;
        let number = self.made.conversations as u32;
        self.made.conversations += 1;
        let port = SERVER_PORTS.get(random.below(4) as usize).copied().unwrap_or(443);
        let (port, left) = match kind {
            Kind::Tcp => (port, random.geometric(TCP_DATA)),
            Kind::Udp if random.percent(50) => (53, 2),
            Kind::Udp => (port, random.geometric(UDP_DATA)),
            Kind::Echo => (0, random.geometric(ECHOES)),
        };
        let ends = Ends::new(number, random.percent(20), port);
        let seq = [random.next() as u32, random.next() as u32];
        let (closes_from_client, resets) = (random.percent(50), random.percent(10));
        Conversation { kind, ends, sent: 0, left, ending: 0, seq, closes_from_client, resets }
    }

    /// The next packet of some conversation.
    pub fn next(&mut self, frame: &mut Vec<u8>) {
        let place = self.random.below(self.live.len() as u32) as usize;
        let Some(mut conversation) = self.live.get(place).copied() else { return };
        let going = match conversation.kind {
            Kind::Tcp => self.tcp(&mut conversation, frame),
            Kind::Udp => self.udp(&mut conversation, frame),
            Kind::Echo => self.echo(&mut conversation, frame),
        };
        conversation.sent += 1;
        self.count(&conversation, frame);
        let next = if going { conversation } else { self.begin(conversation.kind) };
        if let Some(place) = self.live.get_mut(place) {
            *place = next;
        }
    }

    fn count(&mut self, conversation: &Conversation, frame: &[u8]) {
        let made = &mut self.made;
        made.packets += 1;
        made.bytes += frame.len() as u64;
        made.six += u64::from(conversation.ends.six);
        *match conversation.kind {
            Kind::Tcp => &mut made.tcp,
            Kind::Udp => &mut made.udp,
            Kind::Echo => &mut made.echo,
        } += 1;
    }

    fn tcp(&mut self, it: &mut Conversation, frame: &mut Vec<u8>) -> bool {
        let (from_client, flags) = match it.sent {
            0 => (true, SYN),
            1 => (false, SYN | ACK),
            2 => (true, ACK),
            _ if it.left > 0 => {
                it.left -= 1;
                (self.random.percent(33), PSH | ACK)
            }
            _ => {
                it.ending += 1;
                match it.ending {
                    1 if it.resets => (it.closes_from_client, RST | ACK),
                    1 => (it.closes_from_client, FIN | ACK),
                    2 => (!it.closes_from_client, FIN | ACK),
                    _ => (it.closes_from_client, ACK),
                }
            }
        };
        let payload = if flags & PSH != 0 { self.payload(it, 20) } else { &[] };
        let [client, server] = it.seq;
        let (seq, ack) = if from_client { (client, server) } else { (server, client) };
        let ack = if flags & ACK != 0 { ack } else { 0 };
        it.ends.tcp(frame, from_client, &Tcp { seq, ack, flags }, payload);
        let moved = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        let [client, server] = &mut it.seq;
        let side = if from_client { client } else { server };
        *side = side.wrapping_add(moved);
        flags & RST == 0 && it.ending < 3
    }

    fn udp(&mut self, it: &mut Conversation, frame: &mut Vec<u8>) -> bool {
        let from_client = it.sent == 0 || (it.sent > 1 && self.random.percent(40));
        let payload = self.payload(it, 8);
        it.ends.udp(frame, from_client, payload);
        it.left = it.left.saturating_sub(1);
        it.left > 0
    }

    fn echo(&mut self, it: &mut Conversation, frame: &mut Vec<u8>) -> bool {
        let payload = self.filler.get(..56).unwrap_or_default();
        it.ends.echo(frame, it.sent.is_multiple_of(2), (it.sent / 2) as u16, payload);
        it.left = it.left.saturating_sub(1);
        it.left > 0
    }

    /// Data that fill a frame of a size that is drawn, behind a layer-4 header of `head` bytes.
    fn payload(&mut self, it: &Conversation, head: u32) -> &[u8] {
        let headers = 14 + if it.ends.six { 40 } else { 20 } + head;
        let len = self.sizes.draw(&mut self.random).saturating_sub(headers);
        let from = self.random.below(LONGEST_FRAME) as usize;
        self.filler.get(from..from + len as usize).unwrap_or_default()
    }
}
