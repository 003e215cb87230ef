//! Packets in bulk through decode and engine, without coverage: scripts of the `engine` target made at random or from
//! the corpus, and the captures of tests/data/pcap with their frames changed, lost, doubled and out of time.
//!
//!   cargo run --release --example bulk [EXECUTIONS] [SEED]      default 10,000,000 and 1
//!
//! An execution is one frame through decode and engine. The same seed gives the same packets. Ends with 1 if the
//! invariant of the `engine` target broke; the script that did it lies in fuzz/artifacts/engine/ then.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use conntap_core::capture::{self, Options, Reader, Writer};
use conntap_core::engine::ahead::{Ahead, Stop};
use conntap_core::engine::{Engine, Input, Settings, Step};
use conntap_core::packet::decode;
use conntap_fuzz::engine::play;
use conntap_fuzz::forge::{Script, fix_ip, fix_l4};
use conntap_fuzz::gateway::Gateway;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

struct Frame {
    time_ns: i64,
    linktype: u16,
    bytes: Vec<u8>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Every capture of the samples; Ethernet all of them.
fn captures() -> Vec<Vec<Frame>> {
    let paths = files(&root().join("../tests/data/pcap"));
    let pcaps = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    pcaps
        .map(|path| {
            let mut reader = Reader::new();
            reader.feed(&std::fs::read(path).expect("a sample"));
            let mut frames = Vec::new();
            while let Some(Ok(frame)) = reader.next() {
                frames.push(Frame { time_ns: frame.time_ns, linktype: frame.linktype, bytes: frame.bytes.to_vec() });
            }
            frames
        })
        .filter(|frames| !frames.is_empty())
        .collect()
}

/// A script: random, or one of the corpus with bytes changed, moved and mixed.
fn script(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    if corpus.is_empty() || random.below(3) == 0 {
        let len = 8 + random.below(2000);
        return random.bytes(len);
    }
    let mut out = random.choose(corpus).clone();
    if random.below(3) == 0 {
        let other = random.choose(corpus);
        out.extend(other.get(4..).unwrap_or_default());
    }
    for _ in 0..=random.below(8) {
        let at = random.below(out.len());
        match random.below(5) {
            0 if !out.is_empty() => out[at] ^= 1 << random.below(8),
            1 => out.insert(at, random.byte()),
            2 if !out.is_empty() => drop(out.remove(at)),
            3 if !out.is_empty() => {
                let (from, len) = (random.below(out.len()), random.below(64));
                let piece: Vec<u8> = out.iter().skip(from).take(len).copied().collect();
                out.splice(at..at, piece);
            }
            _ => {
                if let Some(byte) = out.get_mut(at) {
                    *byte = random.byte();
                }
            }
        }
    }
    out.truncate(4096);
    out
}

/// A capture, frame by frame and in groups: the same outcomes and the same events.
fn both_ways(random: &mut Random, captures: &[Vec<Frame>]) -> u64 {
    let (mut writer, mut file) = Writer::new(&Options::default());
    let mut plain = Engine::new(Settings { max_entries: 8, ..Settings::default() }, [1, 2]);
    let mut outcomes = Vec::new();
    for _ in 0..=random.below(4) {
        for frame in random.choose(captures).iter().take(400) {
            let mut bytes = frame.bytes.clone();
            if random.below(8) == 0 {
                mutate(random, &mut bytes);
            }
            let original_len = bytes.len() as u32;
            match decode(frame.linktype, &bytes, original_len) {
                Ok(packet) => outcomes.push(plain.packet(&Input::new(frame.time_ns, &packet))),
                Err(error) => outcomes.push(Step::Done(plain.refused(error))),
            }
            let Frame { time_ns, linktype, .. } = *frame;
            let frame =
                capture::Frame { time_ns, linktype, interface: 0, original_len, bytes: &bytes, dropcount: None };
            writer.write(&mut file, &frame).expect("is short");
        }
    }
    let mut grouped = Engine::new(Settings { max_entries: 8, ..Settings::default() }, [1, 2]);
    let (mut reader, mut ahead, mut number) = (Reader::new(), Ahead::default(), 0);
    reader.feed(&file);
    let stop = ahead.walk(&mut grouped, &mut reader, |engine, (frame, packet, prepared)| {
        let step = match packet {
            Ok(packet) => engine.packet(&Input { prepared: prepared.as_ref(), ..Input::new(frame.time_ns, packet) }),
            Err(error) => Step::Done(engine.refused(*error)),
        };
        assert_eq!(step, outcomes[number]);
        number += 1;
        ControlFlow::<()>::Continue(())
    });
    assert_eq!((stop, number), (Stop::Need, outcomes.len()));
    assert_eq!(plain.events_from(0), grouped.events_from(0));
    assert_eq!(plain.counters(), grouped.counters());
    2 * number as u64
}

/// Some captures one after the other, with faults.
fn conversations(random: &mut Random, captures: &[Vec<Frame>]) -> u64 {
    if random.below(8) == 0 {
        return both_ways(random, captures);
    }
    let choices = random.bytes(4);
    let mut gateway = Gateway::new(&mut Script(&choices));
    let often = [2, 8, 64][random.below(3)];
    for _ in 0..=random.below(8) {
        conversation(random, captures, often, &mut gateway);
        gateway.check();
    }
    let packets = gateway.packets();
    gateway.end(random.below(2) == 0);
    packets
}

/// A capture, or two of them mixed, from now on; a fault at one of `often` frames.
fn conversation(random: &mut Random, captures: &[Vec<Frame>], often: usize, gateway: &mut Gateway) {
    let (one, other) = (random.choose(captures), random.choose(captures));
    let mut queue: Vec<&Frame> = one.iter().take(400).collect();
    if random.below(3) == 0 {
        for frame in other.iter().take(200) {
            queue.insert(random.below(queue.len() + 1), frame);
        }
    }
    if random.below(4) == 0 {
        let (a, b) = (random.below(queue.len()), random.below(queue.len()));
        queue.swap(a, b);
    }
    let (began, first) = (gateway.now_ns, queue.first().map_or(0, |frame| frame.time_ns));
    for frame in queue {
        let mut bytes = frame.bytes.clone();
        let mut captured = bytes.len();
        let mut times = 1;
        gateway.now_ns = began.saturating_add(frame.time_ns.saturating_sub(first));
        if random.below(often) == 0 {
            match random.below(6) {
                0 => times = 0,
                1 => times = 2,
                2 => captured = random.below(bytes.len()),
                3 => gateway.now_ns += (random.below(4_000) as i64 - 2_000) * 1_000_000_000,
                _ => mutate(random, &mut bytes),
            }
        }
        for _ in 0..times {
            let answers = random.bytes(12);
            let len = bytes.len() as u32;
            gateway.frame(frame.linktype, &bytes[..captured.min(bytes.len())], len, &mut Script(&answers));
        }
    }
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        // The headers, mostly.
        let at = if random.below(4) == 0 { random.below(bytes.len()) } else { random.below(bytes.len().min(74)) };
        let value = if random.below(2) == 0 { 1 << random.below(8) } else { random.byte() };
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= value;
        }
    }
    if random.below(8) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
    if random.below(4) != 0
        && let Some(packet) = bytes.get_mut(14..)
    {
        fix_ip(packet);
        fix_l4(packet);
    }
}

/// The most memory that this process has had, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|word| word.replace('_', "").parse::<u64>());
    let wanted = arguments.next().unwrap_or(Ok(10_000_000)).expect("a number of executions");
    let seed = arguments.next().unwrap_or(Ok(1)).expect("a seed");
    let folders = [root().join("corpus/engine"), root().join("corpus-run/engine")];
    let corpus: Vec<Vec<u8>> =
        folders.iter().flat_map(|folder| files(folder)).filter_map(|path| std::fs::read(path).ok()).collect();
    let captures = captures();
    println!("{} scripts to begin with, {} captures, seed {seed}", corpus.len(), captures.len());

    let began = Instant::now();
    let (mut done, mut runs, mut slowest, mut told) = ([0_u64; 2], 0_u64, Duration::ZERO, Instant::now());
    while done[0] + done[1] < wanted {
        let mut random =
            Random((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ runs.wrapping_mul(0xd1b5_4a32_d192_ed03)) | 1);
        random.next();
        let kind = usize::from(runs % 2 == 1);
        let data = if kind == 0 { script(&mut random, &corpus) } else { Vec::new() };
        let before = Instant::now();
        let played =
            catch_unwind(AssertUnwindSafe(
                || {
                    if kind == 0 { play(&data) } else { conversations(&mut random, &captures) }
                },
            ));
        let Ok(packets) = played else {
            let path = root().join("artifacts/engine").join(format!("bulk-{seed}-{runs}"));
            std::fs::create_dir_all(root().join("artifacts/engine")).expect("a folder");
            std::fs::write(&path, data).expect("a file");
            println!("BROKEN in run {runs} of seed {seed}: {}", path.display());
            std::process::exit(1);
        };
        slowest = slowest.max(before.elapsed());
        done[kind] += packets;
        runs += 1;
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            println!("{:>12} executions, {:.0} s", done[0] + done[1], began.elapsed().as_secs_f64());
            let _ = std::io::stdout().flush();
        }
    }
    let total = done[0] + done[1];
    println!(
        "bulk: {total} executions ({} scripted, {} of captures) in {runs} runs, {:.0} a second; slowest run {:.0} ms; \
         peak memory {} MiB; held",
        done[0],
        done[1],
        total as f64 / began.elapsed().as_secs_f64(),
        slowest.as_secs_f64() * 1000.0,
        peak_kib() / 1024,
    );
}
