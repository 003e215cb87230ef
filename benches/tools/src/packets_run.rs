//! `packets-run --file FILE --work read|frames|decode|engine`: how fast a capture goes through, on this thread.
//!
//! `read` only reads the file, `frames` finds the frames, `decode` decodes their headers (the floor), `engine` tracks
//! them with events on, which are taken 4096 at a time and counted. `--chunk`: bytes read at a time.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::ops::ControlFlow;
use std::time::Instant;

use conntap_core::capture::{Frame, Reader};
use conntap_core::engine::ahead::{Ahead, Stop};
use conntap_core::engine::{Engine, Input, Settings, Step};
use conntap_core::packet::decode;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::resources::{cpu_seconds, resident_bytes};

/// Events taken at a time.
const ROWS: usize = 4096;

pub fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.text("file").ok_or("--file must name a capture")?;
    let chunk: usize = arguments.number("chunk", 1 << 20)?;
    let mut source = Source::open(path, chunk)?;
    let work = arguments.text("work").unwrap_or("engine");
    let (started, before) = (Instant::now(), cpu_seconds());
    let done = match work {
        "read" => source.read_all()?,
        "frames" => source.each(|frame| {
            black_box(&frame);
        })?,
        "decode" => source.each(|frame| {
            black_box(&decode(frame.linktype, frame.bytes, frame.original_len));
        })?,
        "engine" => return track(&mut source, started, before),
        _ => return Err(format!("--work: '{work}' is none of read, frames, decode, engine")),
    };
    println!("{{\"work\": \"{work}\", {}}}", done.rates(started, before));
    Ok(())
}

fn track(source: &mut Source, started: Instant, before: f64) -> Outcome {
    let resident = resident_bytes()?;
    let mut engine = Engine::new(settings(), [1, 2]);
    let (mut events, mut most) = (0, 0);
    let done = source.walk(&mut engine, |engine| {
        let batch = engine.take_events();
        events += batch.len();
        most = most.max(engine.flow_count());
        engine.give_memory(batch);
    })?;
    events += engine.take_events().len();
    most = most.max(engine.flow_count());
    let rates = done.rates(started, before);
    let counters: Vec<_> =
        engine.counters().named().iter().map(|(name, count)| format!("\"{name}\": {count}")).collect();
    println!(
        "{{\"work\": \"engine\", {rates}, \"events\": {events}, \"entries\": {}, \"most_entries\": {most}, \
         \"memory\": {}, \"resident_more\": {}, \"counters\": {{{}}}}}",
        engine.flow_count(),
        engine.memory(),
        resident_bytes()?.saturating_sub(resident),
        counters.join(", ")
    );
    Ok(())
}

/// As `conntap replay` has it: counters and times on.
pub fn settings() -> Settings {
    Settings { acct: true, timestamp: true, ..Settings::default() }
}

pub fn pass(engine: &mut Engine, frame: &Frame<'_>) {
    match decode(frame.linktype, frame.bytes, frame.original_len) {
        Ok(packet) => {
            // There is neither helper nor rule that would have to be asked.
            let _: Step = engine.packet(&Input { came_by: frame.interface, ..Input::new(frame.time_ns, &packet) });
        }
        Err(error) => {
            engine.refused(error);
        }
    }
}

/// A file that is read piece by piece.
struct Source {
    path: String,
    file: File,
    room: Vec<u8>,
}

struct Done {
    packets: u64,
    bytes: u64,
}

impl Done {
    fn rates(&self, started: Instant, cpu_before: f64) -> String {
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
        let Self { packets, bytes } = self;
        format!(
            "\"packets\": {packets}, \"bytes\": {bytes}, \"seconds\": {seconds:.6}, \"cpu_seconds\": {cpu:.6}, \
             \"packets_a_second\": {:.0}, \"ns_a_packet\": {:.1}, \"bytes_a_second\": {:.0}",
            *packets as f64 / seconds,
            seconds * 1e9 / (*packets).max(1) as f64,
            *bytes as f64 / seconds
        )
    }
}

impl Source {
    fn open(path: &str, chunk: usize) -> Outcome<Self> {
        let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(Self { path: path.to_owned(), file, room: vec![0; chunk.max(1)] })
    }

    fn read(&mut self) -> Outcome<&[u8]> {
        let len = self.file.read(&mut self.room).map_err(|error| format!("{}: {error}", self.path))?;
        Ok(self.room.get(..len).unwrap_or_default())
    }

    fn read_all(&mut self) -> Outcome<Done> {
        let mut bytes = 0;
        loop {
            match black_box(self.read()?).len() {
                0 => return Ok(Done { packets: 0, bytes }),
                some => bytes += some as u64,
            }
        }
    }

    /// Let all packets through an engine as the binding does; `taken` is called when `ROWS` events wait.
    fn walk(&mut self, engine: &mut Engine, mut taken: impl FnMut(&mut Engine)) -> Outcome<Done> {
        let (mut reader, mut ahead) = (Reader::new(), Ahead::default());
        let mut bytes = 0;
        loop {
            let stop = ahead.walk(engine, &mut reader, |engine, (frame, packet, prepared)| {
                match packet {
                    Ok(packet) => {
                        let input = Input {
                            came_by: frame.interface,
                            prepared: prepared.as_ref(),
                            ..Input::new(frame.time_ns, packet)
                        };
                        let _: Step = engine.packet(&input);
                    }
                    Err(error) => {
                        engine.refused(*error);
                    }
                }
                if engine.events_waiting() >= ROWS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match stop {
                Stop::Break(()) => taken(engine),
                Stop::Fault(error) => return Err(error.to_string()),
                Stop::Need => {
                    let piece = self.read()?;
                    if piece.is_empty() {
                        reader.finish().map_err(|error| error.to_string())?;
                        return Ok(Done { packets: reader.counters().frames, bytes });
                    }
                    bytes += piece.len() as u64;
                    reader.feed(piece);
                }
            }
        }
    }

    fn each(&mut self, mut work: impl FnMut(Frame<'_>)) -> Outcome<Done> {
        let mut reader = Reader::new();
        let mut bytes = 0;
        loop {
            let piece = self.read()?;
            if piece.is_empty() {
                reader.finish().map_err(|error| error.to_string())?;
                return Ok(Done { packets: reader.counters().frames, bytes });
            }
            bytes += piece.len() as u64;
            reader.feed(piece);
            while let Some(frame) = reader.next() {
                work(frame.map_err(|error| error.to_string())?);
            }
        }
    }
}
