//! What decoding and reassembly cost, for whoever changes them: `cargo test --release --test packet_speed -- --ignored
//! --nocapture`. Measures, asserts nothing: the machine may be busy.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod packet_support;

use std::hint::black_box;
use std::time::Instant;

use conntap_core::capture::{Format, Frame, Options, Reader, Writer};
use conntap_core::packet::{Reassembler, decode, linktype, verify_l4};
use packet_support::*;

fn time(what: &str, mut run: impl FnMut(u64)) {
    const TURNS: u64 = 2_000_000;
    let best = (0..5)
        .map(|_| {
            let start = Instant::now();
            (0..TURNS).for_each(&mut run);
            start.elapsed().as_secs_f64() * 1e9 / TURNS as f64
        })
        .fold(f64::MAX, f64::min);
    println!("{what:<48} {best:7.1} ns");
}

#[test]
#[ignore = "measures"]
fn nanoseconds() {
    let frames = [
        ("Ethernet, IPv4, TCP", ethernet(0x0800, &V4 { proto: 6, ..V4 }.packet(&tcp(false, &[7; 1400])))),
        (
            "Ethernet, VLAN, IPv4, UDP",
            ethernet(0x8100, &[&[0, 7, 8, 0][..], &V4.packet(&udp(false, 1, &[7; 64]))].concat()),
        ),
        ("Ethernet, IPv6, TCP", ethernet(0x86dd, &v6(6, 0, &tcp(true, &[7; 1400])))),
        (
            "Ethernet, IPv6, destination options, UDP",
            ethernet(0x86dd, &v6(60, 0, &[extension(17, &[1, 4, 0, 0, 0, 0]), udp(true, 1, b"")].concat())),
        ),
    ];
    for (what, frame) in &frames {
        time(&format!("decode: {what}"), |_| {
            let _ = black_box(decode(linktype::ETHERNET, black_box(frame), frame.len() as u32));
        });
    }
    for (what, frame) in &frames {
        let packet = decode(linktype::ETHERNET, frame, frame.len() as u32).unwrap();
        time(&format!("verify: {what}, {} bytes", packet.l4_len()), |_| {
            black_box(verify_l4(black_box(&packet)));
        });
    }
    let sctp = V4 { proto: 132, ..V4 }.packet(&[7; 1400]);
    let packet = decode(linktype::RAW, &sctp, sctp.len() as u32).unwrap();
    time("verify: SCTP, 1400 bytes", |_| {
        black_box(verify_l4(black_box(&packet)));
    });
    let data = udp(false, 1, &vec![7; 2900]);
    let parts: Vec<_> = [(0, 1480, true), (1480, 2908, false)]
        .map(|(start, end, more)| V4 { offset: start as u16, more, ..V4 }.packet(&data[start..end]))
        .into();
    let packets: Vec<_> = parts.iter().map(|part| decode(linktype::RAW, part, part.len() as u32).unwrap()).collect();
    let mut reassembler = Reassembler::default();
    time("reassembly: a datagram of 2 × 1480", |turn| {
        for packet in &packets {
            black_box(reassembler.push(packet, turn as i64));
        }
    });
    let parts: Vec<_> = (0..60_000_u16).map(|id| V4 { id, more: true, ..V4 }.packet(&[0; 8])).collect();
    let packets: Vec<_> = parts.iter().map(|part| decode(linktype::RAW, part, part.len() as u32).unwrap()).collect();
    let mut reassembler = Reassembler::default();
    time("reassembly: fragments that are never completed", |turn| {
        black_box(reassembler.push(&packets[turn as usize % packets.len()], turn as i64 * 10_000));
    });
    let parts: Vec<_> =
        (0..6000_u16).rev().map(|at| V4 { offset: at * 8 + 8, more: true, ..V4 }.packet(&[0; 8])).collect();
    let packets: Vec<_> = parts.iter().map(|part| decode(linktype::RAW, part, part.len() as u32).unwrap()).collect();
    let mut reassembler = Reassembler::default();
    time("reassembly: smallest fragments, backwards", |turn| {
        let at = turn as usize % packets.len();
        if at == 0 {
            reassembler = Reassembler::default();
        }
        black_box(reassembler.push(&packets[at], 0));
    });
    for format in [Format::PcapNg, Format::Pcap] {
        let frame = &frames[1].1;
        let (mut writer, mut file) = Writer::new(&Options { format, linktype: 1, ..Options::default() });
        for time_ns in 0..100_000 {
            let original_len = frame.len() as u32;
            let frame = Frame { time_ns, linktype: 1, interface: 0, original_len, bytes: frame, dropcount: None };
            writer.write(&mut file, &frame).unwrap();
        }
        let chunks: Vec<_> = file.chunks(1 << 20).collect();
        let (mut reader, mut next) = (Reader::new(), 0);
        time(&format!("read: {format:?}, {} bytes a frame", frame.len()), |_| {
            while black_box(reader.next()).is_none() {
                if next == chunks.len() {
                    (reader, next) = (Reader::new(), 0);
                }
                reader.feed(chunks[next]);
                next += 1;
            }
        });
    }
}
