//! The sample captures: every frame decodes as the kernel took it, and the transcripts' INVALID packets are those with
//! a bad checksum.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::path::PathBuf;

use conntap_core::capture::Reader;
use conntap_core::packet::{Checksum, Packet, Reassembled, Reassembler, decode, decode_rebuilt, verify_l4};

/// Give each packet of a sample that reaches tracking to `each`, and its number from 1.
fn packets(name: &str, mut each: impl FnMut(usize, &Packet<'_>)) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/pcap").join(name);
    let (mut reader, mut reassembler, mut number) = (Reader::new(), Reassembler::default(), 0);
    reader.feed(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    while let Some(frame) = reader.next() {
        let frame = frame.unwrap();
        number += 1;
        let packet = decode(frame.linktype, frame.bytes, frame.original_len)
            .unwrap_or_else(|error| panic!("{name}, packet {number}: {error}"));
        match reassembler.push(&packet, frame.time_ns) {
            Reassembled::Whole(found) => each(number, &decode_rebuilt(&found.bytes).unwrap()),
            Reassembled::AsIs => each(number, &packet),
            Reassembled::Queued => {}
            Reassembled::Dropped(error) => panic!("{name}, packet {number}: {error}"),
        }
    }
    assert_eq!(reader.finish(), Ok(()), "{name}");
}

#[test]
fn every_sample_decodes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/pcap");
    let mut samples = 0;
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".pcap") {
            packets(&name, |number, packet| {
                assert!(packet.no_l4.is_none() || name == "icmp6_corner.pcap", "{name}, packet {number}");
            });
            samples += 1;
        }
    }
    assert!(samples > 40, "{samples}");
}

#[test]
fn the_kernel_tracked_after_the_third_fragment() {
    let mut whole = Vec::new();
    packets("fragments.pcap", |number, packet| whole.push((number, packet.total_len, verify_l4(packet))));
    assert_eq!(whole, [(3, 3028, Checksum::Good), (8, 3048, Checksum::Good)]);
}

#[test]
fn a_bad_checksum_is_what_the_transcripts_call_invalid() {
    for (name, expected) in [
        ("udp_corner.pcap", &[1, 7][..]), // the last has no whole header
        ("icmp_corner.pcap", &[11]),
        ("icmp6_corner.pcap", &[9]),
        ("sctp.pcap", &[1]),
        ("gre_generic.pcap", &[]),
        ("tcp_basic.pcap", &[]),
    ] {
        let mut bad = Vec::new();
        packets(name, |number, packet| {
            if verify_l4(packet) == Checksum::Bad {
                bad.push(number);
            }
        });
        assert_eq!(bad, expected, "{name}");
    }
}
