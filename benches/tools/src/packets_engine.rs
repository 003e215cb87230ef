//! `packets-engine`: nanoseconds a packet in the engine alone, frames in memory. `--rounds`, `--packets` a round.

use std::hint::black_box;

use conntap_core::capture::Frame;
use conntap_core::engine::Engine;
use conntap_core::packet::decode;
use conntap_core::packet::linktype::ETHERNET;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::frames::{ACK, Ends, FIN, PSH, SYN, Tcp};
use crate::packets_run::{pass, settings};
use crate::random::Random;
use crate::resources::cpu_seconds;

const ROWS: usize = 4096;
const BEGIN_NS: i64 = 1_795_000_000_000_000_000;
const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000_000;
/// Handshake, a question, its answer, the end.
const LIFE: [(bool, u8, usize); 8] = [
    (true, SYN, 0),
    (false, SYN | ACK, 0),
    (true, ACK, 0),
    (true, PSH | ACK, 46),
    (false, PSH | ACK, 46),
    (true, FIN | ACK, 0),
    (false, FIN | ACK, 0),
    (true, ACK, 0),
];
const HANDSHAKE: usize = 3;

/// Frames one behind the other.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    one: Vec<u8>,
}

impl Frames {
    fn push(&mut self, make: impl FnOnce(&mut Vec<u8>)) {
        make(&mut self.one);
        self.bytes.extend(&self.one);
        self.ends.push(self.bytes.len());
    }

    fn each(&self, mut work: impl FnMut(&[u8])) {
        let mut from = 0;
        for &end in &self.ends {
            work(self.bytes.get(from..end).unwrap_or_default());
            from = end;
        }
    }
}

/// TCP connections as far as they have come.
struct Connection {
    ends: Ends,
    seq: [u32; 2],
}

impl Connection {
    fn new(number: u32) -> Self {
        Self { ends: Ends::new(number, number.is_multiple_of(5), 443), seq: [1, 1_000_000] }
    }

    fn packet(&mut self, frames: &mut Frames, from_client: bool, flags: u8, payload: usize) {
        let [client, server] = &mut self.seq;
        let (side, other) = if from_client { (client, server) } else { (server, client) };
        let (seq, ack) = (*side, if flags & ACK != 0 { *other } else { 0 });
        *side = side.wrapping_add(payload as u32 + u32::from(flags & (SYN | FIN) != 0));
        let (ends, data) = (self.ends, vec![0x55; payload]);
        frames.push(|frame| ends.tcp(frame, from_client, &Tcp { seq, ack, flags }, &data));
    }
}

/// One kind of work: packets that go before, packets that are timed, and the time between two.
struct Work {
    name: String,
    before: Frames,
    frames: Frames,
    step_ns: i64,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let rounds: usize = arguments.number("rounds", 5)?;
    let packets: usize = arguments.number("packets", 200_000)?;
    let mut texts = Vec::new();
    for size in [60, 1400] {
        let frames = data(1, packets, size).frames;
        texts.push(summary(
            &format!("decode only, {size} bytes"),
            packets,
            0,
            || {
                let started = cpu_seconds();
                frames.each(|frame| {
                    black_box(&decode(ETHERNET, frame, frame.len() as u32));
                });
                (cpu_seconds() - started, 0)
            },
            rounds,
        ));
    }
    let mut all: Vec<Work> = Vec::new();
    for (connections, size) in [(1, 60), (100_000, 60), (1, 1400), (100_000, 1400)] {
        all.push(data(connections, packets, size));
    }
    all.push(datagrams("UDP, each a new flow", packets, MICROSECOND));
    all.push(datagrams("UDP, each a new flow, ends after 30 s", packets, MILLISECOND));
    all.push(lives(packets));
    for work in &all {
        texts.push(summary(&work.name, work.frames.ends.len(), work.before.ends.len(), || track(work), rounds));
    }
    println!("{{\"nanoseconds\": [{}]}}", texts.join(", "));
    Ok(())
}

/// Data both ways on connections drawn at random; the connections stand already.
fn data(connections: u32, packets: usize, size: usize) -> Work {
    let (mut before, mut frames) = (Frames::default(), Frames::default());
    let mut all: Vec<_> = (0..connections).map(Connection::new).collect();
    for connection in &mut all {
        for (from_client, flags, payload) in LIFE.into_iter().take(HANDSHAKE) {
            connection.packet(&mut before, from_client, flags, payload);
        }
    }
    let mut random = Random::new(1);
    for _ in 0..packets {
        let from_client = random.percent(50);
        if let Some(connection) = all.get_mut(random.below(connections) as usize) {
            // Headers of IPv6 are longer: the payload is what makes the frames equal where there is room.
            let headers = 34 + if connection.ends.six { 40 } else { 20 };
            connection.packet(&mut frames, from_client, PSH | ACK, size.saturating_sub(headers).max(1));
        }
    }
    let name = format!("TCP data, {size} bytes, {connections} connections");
    Work { name, before, frames, step_ns: MICROSECOND }
}

fn datagrams(name: &str, packets: usize, step_ns: i64) -> Work {
    let mut frames = Frames::default();
    for number in 0..packets as u32 {
        let ends = Ends::new(number, number.is_multiple_of(5), 53);
        frames.push(|frame| ends.udp(frame, true, &[0x55; 18]));
    }
    Work { name: name.to_owned(), before: Frames::default(), frames, step_ns }
}

/// 1,000 connections at a time, each from SYN to the last ACK.
fn lives(packets: usize) -> Work {
    let mut frames = Frames::default();
    let mut number = 0;
    while frames.ends.len() < packets {
        let mut all: Vec<_> = (number..number + 1000).map(Connection::new).collect();
        number += 1000;
        for (from_client, flags, payload) in LIFE {
            for connection in &mut all {
                connection.packet(&mut frames, from_client, flags, payload);
            }
        }
    }
    let name = "TCP, from SYN to the last ACK in 8 packets".to_owned();
    Work { name, before: Frames::default(), frames, step_ns: MICROSECOND }
}

/// CPU seconds for the timed packets, and how many events they made.
fn track(work: &Work) -> (f64, usize) {
    let mut engine = Engine::new(settings(), [1, 2]);
    let mut time_ns = BEGIN_NS;
    let mut events = 0;
    let mut go = |frames: &Frames| {
        events = 0;
        frames.each(|bytes| {
            time_ns += work.step_ns;
            let original_len = bytes.len() as u32;
            pass(
                &mut engine,
                &Frame { time_ns, linktype: ETHERNET, interface: 0, original_len, bytes, dropcount: None },
            );
            if engine.events_waiting() >= ROWS {
                events += engine.take_events().len();
            }
        });
        events += engine.take_events().len();
    };
    go(&work.before);
    let started = cpu_seconds();
    go(&work.frames);
    (cpu_seconds() - started, events)
}

fn summary(name: &str, packets: usize, before: usize, mut once: impl FnMut() -> (f64, usize), rounds: usize) -> String {
    let mut runs: Vec<(f64, usize)> = (0..rounds.max(1)).map(|_| once()).collect();
    runs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let nanoseconds = |run: Option<&(f64, usize)>| run.map_or(0.0, |run| run.0 * 1e9 / packets.max(1) as f64);
    let middle = runs.get(runs.len() / 2);
    let (seconds, events) = middle.copied().unwrap_or_default();
    format!(
        "{{\"name\": \"{name}\", \"packets\": {packets}, \"before\": {before}, \"median\": {:.1}, \"least\": {:.1}, \
         \"events\": {events}, \"events_a_second\": {:.0}}}",
        nanoseconds(middle),
        nanoseconds(runs.first()),
        events as f64 / seconds.max(1e-9)
    )
}
