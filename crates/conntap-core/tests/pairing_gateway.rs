//! A masquerading gateway that is played: what pairing concludes is compared with what it did.
//!
//! Losses, equal payloads, packets without IP ids, crossing order and wrong clocks are all there. Numbers are printed:
//! `cargo test --release --test pairing_gateway -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, HashMap};

use conntap_core::packet::linktype;
use conntap_core::pairing::{Limits, Pairing, Verdict};

mod packet_support;
use packet_support::checksum;

const TCP: u8 = 6;
const UDP: u8 = 17;
const GATEWAY: [u8; 4] = [203, 0, 113, 1];
const US: i64 = 1_000;
const MS: i64 = 1_000_000;

/// Numbers that look random and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// What makes it hard.
#[derive(Clone, Copy)]
struct Trouble {
    connections: u64,
    /// Of captured frames that are missing, on either side.
    loss: u64,
    /// Percent of UDP packets without an IP id.
    no_id: u64,
    /// Percent of UDP conversations that all say the same.
    same: u64,
    /// Percent of packets that take milliseconds.
    slow: u64,
    outside_clock_ns: i64,
    millis: u64,
}

const EASY: Trouble =
    Trouble { connections: 2_000, loss: 0, no_id: 0, same: 0, slow: 0, outside_clock_ns: 0, millis: 2_000 };

type End = ([u8; 4], u16);

#[derive(Clone)]
struct Packet {
    src: End,
    dst: End,
    proto: u8,
    id: u16,
    ttl: u8,
    flags: u8,
    seq: u32,
    payload: Vec<u8>,
}

impl Packet {
    fn bytes(&self) -> Vec<u8> {
        let mut l4 = [self.src.1.to_be_bytes(), self.dst.1.to_be_bytes()].concat();
        if self.proto == TCP {
            l4.extend(self.seq.to_be_bytes());
            l4.extend([0, 0, 0, 0, 0x50, self.flags, 0x72, 0x10, 0, 0, 0, 0]);
        } else {
            l4.extend((8 + self.payload.len() as u16).to_be_bytes());
            l4.extend([0, 0]);
        }
        l4.extend(&self.payload);
        let mut ip = vec![0x45, 0];
        ip.extend((20 + l4.len() as u16).to_be_bytes());
        ip.extend(self.id.to_be_bytes());
        ip.extend([0x40, 0, self.ttl, self.proto, 0, 0]);
        ip.extend([self.src.0, self.dst.0].concat());
        let sum = checksum(&[&ip]);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip.extend(l4);
        ip
    }
}

/// A frame in a capture, and what it is.
struct Frame {
    input: u32,
    time_ns: i64,
    bytes: Vec<u8>,
    departs: bool,
}

struct Gateway {
    dice: Dice,
    trouble: Trouble,
    frames: Vec<Frame>,
    /// Protocol, client, server → port outside.
    ports: BTreeMap<(u8, End, End), u16>,
    taken: HashMap<(u8, End, u16), End>,
    /// First packet on both sides: the binding can be found.
    visible: HashMap<(u8, End, End), bool>,
}

impl Gateway {
    fn port(&mut self, proto: u8, client: End, server: End) -> u16 {
        if let Some(port) = self.ports.get(&(proto, client, server)) {
            return *port;
        }
        let mut port = client.1;
        while self.taken.contains_key(&(proto, server, port)) {
            port = 1024 + self.dice.roll(60_000) as u16;
        }
        self.taken.insert((proto, server, port), client);
        self.ports.insert((proto, client, server), port);
        port
    }

    /// Forward a packet; returns when it has left.
    fn forward(&mut self, time_ns: i64, inside: bool, came: &Packet, left: &Packet) -> i64 {
        let delay = if self.dice.chance(self.trouble.slow) {
            self.dice.roll(8_000) as i64 * US
        } else {
            (10 + self.dice.roll(60) as i64) * US
        };
        let left_ns = time_ns + delay;
        let seen = (!self.dice.chance(self.trouble.loss), !self.dice.chance(self.trouble.loss));
        let (came_by, went_by) = if inside { (0, 1) } else { (1, 0) };
        let clock = |input, time| if input == 1 { time + self.trouble.outside_clock_ns } else { time };
        for (seen, input, time, packet, departs) in
            [(seen.0, came_by, time_ns, came, false), (seen.1, went_by, left_ns, left, true)]
        {
            if seen {
                self.frames.push(Frame { input, time_ns: clock(input, time), bytes: packet.bytes(), departs });
            }
        }
        let (client, server) = if inside { (came.src, came.dst) } else { (left.dst, left.src) };
        *self.visible.entry((came.proto, client, server)).or_default() |= seen.0 && seen.1;
        left_ns
    }

    fn converse(&mut self, at_ns: i64) {
        let proto = if self.dice.chance(50) { TCP } else { UDP };
        // Few clients, few servers, few ports: they get in each other's way.
        let client = ([10, 0, 0, 5 + self.dice.roll(40) as u8], 5000 + self.dice.roll(2000) as u16);
        let server = ([198, 51, 100, 1 + self.dice.roll(4) as u8], 53);
        if self.ports.contains_key(&(proto, client, server)) {
            return;
        }
        let outside = (GATEWAY, self.port(proto, client, server));
        let same = self.dice.chance(self.trouble.same);
        let mut now = at_ns;
        let (mut seq, mut back) = (self.dice.roll(1 << 32) as u32, self.dice.roll(1 << 32) as u32);
        for turn in 0..4_u8 {
            for inside in [true, false] {
                let no_id = proto == UDP && self.dice.chance(self.trouble.no_id) || turn == 0 && !inside;
                let id = if no_id { 0 } else { 1 + self.dice.roll(65_535) as u16 };
                let payload = match (proto, turn) {
                    (TCP, 0) => Vec::new(),
                    _ if same => format!("hello {turn}").into_bytes(),
                    _ => format!("{:016x} {turn}", self.dice.roll(u64::MAX)).into_bytes(),
                };
                let flags = match (proto, turn, inside) {
                    (TCP, 0, true) => 2,
                    (TCP, 0, false) => 0x12,
                    _ => 0x18,
                };
                let number = if inside { &mut seq } else { &mut back };
                let sent = *number;
                *number = number.wrapping_add(payload.len().max(usize::from(turn == 0)) as u32);
                let (src, dst) = if inside { (client, server) } else { (server, outside) };
                let came = Packet { src, dst, proto, id, ttl: if inside { 64 } else { 57 }, flags, seq: sent, payload };
                let (src, dst) = if inside { (outside, server) } else { (server, client) };
                let left = Packet { src, dst, ttl: came.ttl - 1, ..came.clone() };
                now = self.forward(now, inside, &came, &left) + self.dice.roll(3_000) as i64 * US;
            }
        }
    }
}

/// What came of it.
#[derive(Debug, Default, PartialEq)]
struct Score {
    right: usize,
    /// Of these, `doubted` were said to be guesses.
    wrong: usize,
    doubted: usize,
    /// A pair was there, and no binding was made.
    missed: usize,
    misjudged: usize,
    frames: usize,
    offset_ns: i64,
}

fn play(trouble: Trouble) -> Score {
    let mut gateway = Gateway {
        dice: Dice(0x9e37_79b9_7f4a_7c15),
        trouble,
        frames: Vec::new(),
        ports: BTreeMap::new(),
        taken: HashMap::new(),
        visible: HashMap::new(),
    };
    for _ in 0..trouble.connections {
        let at = gateway.dice.roll(trouble.millis * 1000) as i64 * US;
        gateway.converse(at);
    }
    let mut frames = std::mem::take(&mut gateway.frames);
    frames.sort_by_key(|frame| (frame.time_ns, frame.input));
    let mut pairing = Pairing::new(Limits::default(), [7, 9]);
    for frame in &frames {
        pairing.frame(frame.input, frame.time_ns, linktype::RAW, &frame.bytes, frame.bytes.len() as u32);
    }
    pairing.finish();
    let mut score = Score { frames: frames.len(), offset_ns: pairing.clock_offset_ns(1), ..Score::default() };
    let mut found: HashMap<(u8, End, End), ()> = HashMap::new();
    for bound in pairing.bindings() {
        let end = |address: [u8; 16], port| ([address[0], address[1], address[2], address[3]], port);
        let (mut original, mut left) = (bound.original, bound.left);
        if bound.came_by == 1 {
            // The first pair was an answer: the same connection from its other end.
            (original, left) = (bound.left.inverse().unwrap(), bound.original.inverse().unwrap());
        }
        let of = (original.l4proto, end(original.src, original.sport), end(original.dst, original.dport));
        let right = gateway.ports.get(&of) == Some(&left.sport) && end(left.src, 0).0 == GATEWAY;
        if right {
            score.right += usize::from(found.insert(of, ()).is_none());
        } else {
            score.wrong += 1;
            score.doubted += usize::from(bound.ambiguous);
        }
    }
    score.missed = gateway.visible.iter().filter(|(of, seen)| **seen && !found.contains_key(of)).count();
    for frame in &frames {
        let verdict = pairing.take(frame.input).unwrap();
        score.misjudged += usize::from(frame.departs != (verdict == Verdict::Departed));
    }
    score
}

fn say(name: &str, score: &Score) {
    println!("{name:<44} {score:?}");
}

#[test]
fn an_orderly_gateway_is_understood_entirely() {
    let score = play(EASY);
    say("orderly", &score);
    assert!(score.right > 1_900);
    assert_eq!((score.wrong, score.missed, score.misjudged), (0, 0, 0));
}

#[test]
fn payloads_that_are_all_the_same_are_told_apart_by_their_ids() {
    let score = play(Trouble { same: 100, slow: 10, ..EASY });
    say("equal payloads, delays", &score);
    assert_eq!((score.wrong, score.missed, score.misjudged), (0, 0, 0));
}

#[test]
fn lost_frames_cost_no_more_than_themselves() {
    let score = play(Trouble { loss: 5, same: 50, ..EASY });
    say("5 % of frames lost", &score);
    assert_eq!((score.wrong, score.missed), (0, 0));
    assert!(score.misjudged * 1000 < score.frames, "below 0.1 %");
}

#[test]
fn clocks_that_differ_are_set_right() {
    for offset in [-300 * MS, 40 * MS] {
        let score = play(Trouble { outside_clock_ns: offset, slow: 5, ..EASY });
        say(&format!("outside clock {} ms off", offset / MS), &score);
        assert_eq!((score.wrong, score.missed, score.misjudged), (0, 0, 0));
        assert!((score.offset_ns - offset).abs() < MS, "{}", score.offset_ns);
    }
}

#[test]
fn where_nothing_tells_packets_apart_order_does() {
    let score = play(Trouble { no_id: 100, same: 100, ..EASY });
    say("no ids, equal payloads", &score);
    assert!(score.wrong * 200 < score.right, "below 0.5 %");
}

#[test]
fn what_cannot_be_known_is_said_to_be_a_guess() {
    for (name, trouble) in [
        ("3 % lost, half without ids, half equal", Trouble { loss: 3, no_id: 50, same: 50, ..EASY }),
        ("10 % lost, no ids, all equal", Trouble { loss: 10, no_id: 100, same: 100, ..EASY }),
    ] {
        let trouble = Trouble { slow: 5, outside_clock_ns: 20 * MS, millis: 500, ..trouble };
        let score = play(trouble);
        say(name, &score);
        assert!((score.wrong - score.doubted) * 500 < score.right, "below 0.2 %");
        assert!(score.missed * 20 < score.right, "below 5 %");
    }
}
