//! `packets-write --file FILE`: a pcap of many conversations at a time.
//!
//! `--packets`, `--conversations` alive at the same time, `--sizes mixed|small`, `--snaplen` (0: whole frames),
//! `--rate` packets a second of the packets' own clock, `--seed`.

use std::fs::File;
use std::io::{BufWriter, Write};

use crate::Outcome;
use crate::arguments::Arguments;
use crate::traffic::{Made, Sizes, Traffic};

/// pcap with times in nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
const ETHERNET: u32 = 1;
/// Of the first packet, seconds since the epoch.
const BEGIN: u64 = 1_795_000_000;

pub fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.text("file").ok_or("--file must name the pcap")?;
    let packets: u64 = arguments.number("packets", 3_000_000)?;
    let conversations: u32 = arguments.number("conversations", 100_000)?;
    let sizes = Sizes::named(arguments.text("sizes").unwrap_or("mixed"))?;
    let snaplen = match arguments.number("snaplen", 0)? {
        0 => u32::from(u16::MAX),
        some => some,
    };
    let rate: u64 = arguments.number("rate", 20_000)?;
    let mut traffic = Traffic::new(conversations.max(1), sizes, arguments.number("seed", 1)?);
    let file = File::create(path).map_err(|error| format!("{path}: {error}"))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    write(&mut out, &mut traffic, packets, snaplen, rate.max(1)).map_err(|error| format!("{path}: {error}"))?;
    let Made { packets, bytes, conversations, tcp, udp, echo, six } = traffic.made;
    println!(
        "{{\"packets\": {packets}, \"bytes\": {bytes}, \"conversations\": {conversations}, \"tcp\": {tcp}, \
         \"udp\": {udp}, \"echo\": {echo}, \"ipv6\": {six}}}"
    );
    Ok(())
}

fn write(out: &mut impl Write, traffic: &mut Traffic, packets: u64, snaplen: u32, rate: u64) -> std::io::Result<()> {
    for word in [MAGIC, 4 << 16 | 2, 0, 0, snaplen, ETHERNET] {
        out.write_all(&word.to_le_bytes())?;
    }
    let mut frame = Vec::new();
    for number in 0..packets {
        traffic.next(&mut frame);
        let time_ns = number.saturating_mul(1_000_000_000) / rate;
        let seconds = BEGIN + time_ns / 1_000_000_000;
        let len = frame.len() as u32;
        for word in [seconds as u32, (time_ns % 1_000_000_000) as u32, len.min(snaplen), len] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(frame.get(..snaplen as usize).unwrap_or(&frame))?;
    }
    out.flush()
}
