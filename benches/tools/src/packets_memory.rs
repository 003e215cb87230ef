//! `packets-memory --kind established|flood --flows N --max M`: what a table of so many flows holds.
//!
//! `established`: 70 % TCP connections with data both ways, 25 % UDP with an answer, 5 % pings, one in five over IPv6.
//! `flood`: SYN and single datagrams in turn. Sampled ten times on the way; resident memory is the increase since the
//! engine was made.

use conntap_core::capture::Frame;
use conntap_core::engine::{Engine, Settings};
use conntap_core::packet::linktype::ETHERNET;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::frames::{ACK, Ends, PSH, SYN, Tcp};
use crate::packets_run::{pass, settings};
use crate::resources::resident_bytes;

/// Events that may wait.
const ROWS: usize = 4096;
/// Between two packets: a microsecond, so that nothing ends by time.
const STEP_NS: i64 = 1000;

pub fn run(arguments: &Arguments) -> Outcome {
    let flows: u32 = arguments.number("flows", 1_000_000)?;
    let max_entries = arguments.number("max", flows)?;
    let kind = arguments.text("kind").unwrap_or("established");
    let make = match kind {
        "established" => established,
        "flood" => flood,
        _ => return Err(format!("--kind: '{kind}' is neither established nor flood")),
    };
    let before = resident_bytes()?;
    let mut table = Filled::new(max_entries);
    let mut samples = Vec::new();
    for number in 0..flows {
        make(&mut table, number);
        if (number + 1) % (flows / 10).max(1) == 0 {
            let (entries, memory) = (table.engine.flow_count(), table.engine.memory());
            let resident = resident_bytes()?.saturating_sub(before);
            samples.push(format!(
                "{{\"flows\": {}, \"entries\": {entries}, \"memory\": {memory}, \"resident\": {resident}}}",
                number + 1
            ));
        }
    }
    let counters: Vec<_> =
        table.engine.counters().named().iter().map(|(name, count)| format!("\"{name}\": {count}")).collect();
    println!(
        "{{\"kind\": \"{kind}\", \"flows\": {flows}, \"max\": {max_entries}, \"entries\": {}, \"events\": {}, \
         \"samples\": [{}], \"counters\": {{{}}}}}",
        table.engine.flow_count(),
        table.events + table.engine.events_waiting(),
        samples.join(", "),
        counters.join(", ")
    );
    Ok(())
}

/// An engine, and the packet at hand.
struct Filled {
    engine: Engine,
    frame: Vec<u8>,
    time_ns: i64,
    events: usize,
}

impl Filled {
    fn new(max_entries: u32) -> Self {
        let engine = Engine::new(Settings { max_entries, ..settings() }, [1, 2]);
        Self { engine, frame: Vec::new(), time_ns: 1_795_000_000_000_000_000, events: 0 }
    }

    fn pass(&mut self) {
        self.time_ns += STEP_NS;
        let bytes = self.frame.as_slice();
        let original_len = bytes.len() as u32;
        let frame =
            Frame { time_ns: self.time_ns, linktype: ETHERNET, interface: 0, original_len, bytes, dropcount: None };
        pass(&mut self.engine, &frame);
        if self.engine.events_waiting() >= ROWS {
            self.events += self.engine.take_events().len();
        }
    }

    fn tcp(&mut self, ends: &Ends, from_client: bool, tcp: &Tcp, payload: &[u8]) {
        ends.tcp(&mut self.frame, from_client, tcp, payload);
        self.pass();
    }

    fn udp(&mut self, ends: &Ends, from_client: bool) {
        ends.udp(&mut self.frame, from_client, &[0; 32]);
        self.pass();
    }
}

fn established(table: &mut Filled, number: u32) {
    let ends = Ends::new(number, number.is_multiple_of(5), 443);
    match number % 20 {
        0..14 => {
            table.tcp(&ends, true, &Tcp { seq: 0, ack: 0, flags: SYN }, &[]);
            table.tcp(&ends, false, &Tcp { seq: 0, ack: 1, flags: SYN | ACK }, &[]);
            table.tcp(&ends, true, &Tcp { seq: 1, ack: 1, flags: ACK }, &[]);
            table.tcp(&ends, true, &Tcp { seq: 1, ack: 1, flags: PSH | ACK }, &[0; 100]);
            table.tcp(&ends, false, &Tcp { seq: 1, ack: 101, flags: PSH | ACK }, &[0; 100]);
        }
        14..19 => {
            table.udp(&ends, true);
            table.udp(&ends, false);
        }
        _ => {
            ends.echo(&mut table.frame, true, 1, &[0; 56]);
            table.pass();
        }
    }
}

fn flood(table: &mut Filled, number: u32) {
    let ends = Ends::new(number, number.is_multiple_of(5), 443);
    if number.is_multiple_of(2) {
        table.tcp(&ends, true, &Tcp { seq: 0, ack: 0, flags: SYN }, &[]);
    } else {
        table.udp(&ends, true);
    }
}
