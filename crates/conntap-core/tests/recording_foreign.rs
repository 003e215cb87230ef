//! Files of other programs and machines: either byte order, classic pcap, many sections, odd clocks, broken blocks.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use conntap_core::recording::{Counters, FileKind, Reader, RecordingError, sniff};

/// Builds files in a byte order of choice.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

const LITTLE: Order = Order { big: false };
const BIG: Order = Order { big: true };
const FOREIGN: Order = Order { big: cfg!(target_endian = "little") };
const NATIVE: Order = Order { big: cfg!(target_endian = "big") };

impl Order {
    fn u16(self, value: u16) -> [u8; 2] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn block(self, kind: u32, body: &[&[u8]]) -> Vec<u8> {
        let mut body = body.concat();
        body.resize(body.len().next_multiple_of(4), 0);
        let len = self.u32(body.len() as u32 + 12);
        [&self.u32(kind)[..], &len, &body, &len].concat()
    }

    fn section(self) -> Vec<u8> {
        self.block(0x0a0d0d0a, &[&self.u32(0x1a2b3c4d), &self.u16(1), &self.u16(0), &[0xff; 8]])
    }

    fn interface(self, linktype: u16, snaplen: u32, options: &[u8]) -> Vec<u8> {
        self.block(1, &[&self.u16(linktype), &[0; 2], &self.u32(snaplen), options])
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut option = [&self.u16(code)[..], &self.u16(value.len() as u16), value].concat();
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }

    fn enhanced(self, interface: u32, time: u64, packet: &[u8]) -> Vec<u8> {
        let len = self.u32(packet.len() as u32);
        self.block(
            6,
            &[&self.u32(interface), &self.u32((time >> 32) as u32), &self.u32(time as u32), &len, &len, packet],
        )
    }

    fn pcap(self, magic: u32, linktype: u32, records: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
        let mut file = [&self.u32(magic)[..], &self.u16(2), &self.u16(4), &[0; 8], &self.u32(65535)].concat();
        file.extend(self.u32(linktype));
        for (seconds, fraction, packet) in records {
            let len = self.u32(packet.len() as u32);
            file.extend([&self.u32(*seconds)[..], &self.u32(*fraction), &len, &len, packet].concat());
        }
        file
    }

    /// A NEW event with one nested attribute, headers in this order.
    fn event(self, flags: u16) -> Vec<u8> {
        let inner = [&self.u16(8)[..], &self.u16(1), &[192, 0, 2, 1]].concat();
        let nest = [&self.u16(12)[..], &self.u16(0x8001), &inner].concat();
        let head = [&self.u32(32)[..], &self.u16(0x100), &self.u16(flags), &self.u32(5), &self.u32(6)].concat();
        [&head[..], &[2, 0, 0, 9], &nest].concat()
    }
}

/// The 16-byte header and a message.
fn cooked(packet_type: u16, protocol: u16, message: &[u8]) -> Vec<u8> {
    [&packet_type.to_be_bytes()[..], &824_u16.to_be_bytes(), &[0; 10], &protocol.to_be_bytes(), message].concat()
}

fn event(order: Order) -> Vec<u8> {
    cooked(6, 12, &order.event(0x600))
}

type Found = Result<(i64, Vec<u8>), RecordingError>;

fn read(file: &[u8]) -> (Vec<Found>, Counters) {
    let (mut reader, mut found) = (Reader::new(), Vec::new());
    reader.feed(file);
    while let Some(item) = reader.next() {
        found.push(item.map(|packet| (packet.received_ns, packet.datagram.to_vec())));
    }
    if let Err(error) = reader.finish() {
        found.push(Err(error));
    }
    (found, *reader.counters())
}

#[test]
fn both_byte_orders_give_messages_in_this_machines_order() {
    for order in [LITTLE, BIG] {
        let file = [order.section(), order.interface(253, 0, &[]), order.enhanced(0, 7, &event(order))].concat();
        assert_eq!(read(&file).0, [Ok((7_000, NATIVE.event(0x600)))]);
    }
}

#[test]
fn classic_pcap_in_both_orders_and_resolutions() {
    for order in [LITTLE, BIG] {
        for (magic, time) in [(0xa1b2c3d4, 3_000_005_000), (0xa1b23c4d, 3_000_000_005)] {
            let file = order.pcap(magic, 253, &[(3, 5, event(order))]);
            assert_eq!(read(&file).0, [Ok((time, NATIVE.event(0x600)))]);
        }
    }
}

#[test]
fn requests_and_other_protocols_of_an_nlmon_capture_are_counted_and_left_out() {
    let request = NATIVE.event(0x001);
    for order in [NATIVE, FOREIGN] {
        let records = [
            (1, 0, cooked(4, 12, &order.event(0x001))), // tcpdump: one packet type for both ways
            (1, 0, cooked(7, 12, &order.event(0x600))),
            (1, 0, cooked(4, 0, &order.event(0x600))), // rtnetlink
            (2, 0, cooked(4, 12, &order.event(0x600))),
            (3, 0, cooked(6, 12, &order.event(0x001))), // said to go to a program: kept
        ];
        let (found, counters) = read(&order.pcap(0xa1b2c3d4, 253, &records));
        assert_eq!(found, [Ok((2_000_000_000, NATIVE.event(0x600))), Ok((3_000_000_000, request.clone()))]);
        assert_eq!((counters.requests, counters.other_protocols, counters.packets), (2, 1, 2));
    }
}

#[test]
fn any_time_resolution_and_offset() {
    let cases: [(&[u8], u64, i64); 8] = [
        (&[0], 3, 3_000_000_000),
        (&[3], 3, 3_000_000),
        (&[9], 3, 3),
        (&[12], 3_999, 3),
        (&[0x7f], u64::MAX, 0),
        (&[0x81], 3, 1_500_000_000),
        (&[0xff], u64::MAX, 0),
        (&[0], u64::MAX, i64::MAX),
    ];
    for (resolution, time, expected) in cases {
        let options = NATIVE.option(9, resolution);
        let file = [NATIVE.section(), NATIVE.interface(253, 0, &options), NATIVE.enhanced(0, time, &event(NATIVE))];
        assert_eq!(read(&file.concat()).0[0].as_ref().unwrap().0, expected, "{resolution:?}");
    }
    let offset = [NATIVE.option(14, &(-2_i64).to_ne_bytes()), NATIVE.option(9, &[9])].concat();
    let file = [NATIVE.section(), NATIVE.interface(253, 0, &offset), NATIVE.enhanced(0, 1, &event(NATIVE))].concat();
    assert_eq!(read(&file).0[0].as_ref().unwrap().0, -1_999_999_999);
}

#[test]
fn sections_of_different_orders_have_interfaces_of_their_own() {
    let file = [
        LITTLE.section(),
        LITTLE.interface(253, 0, &LITTLE.option(9, &[9])),
        LITTLE.enhanced(0, 1, &event(LITTLE)),
        BIG.section(),
        BIG.enhanced(0, 2, &event(BIG)), // its interface is in the section before
        BIG.interface(253, 0, &[]),
        BIG.enhanced(0, 3, &event(BIG)),
    ];
    let at = file[..4].concat().len() as u64;
    let (found, _) = read(&file.concat());
    let message = NATIVE.event(0x600);
    assert_eq!(
        found,
        [Ok((1, message.clone())), Err(RecordingError::Interface { at, interface: 0 }), Ok((3_000, message))]
    );
}

#[test]
fn simple_and_obsolete_packet_blocks_are_read() {
    let packet = event(NATIVE);
    let len = NATIVE.u32(packet.len() as u32);
    let obsolete = NATIVE.block(2, &[&NATIVE.u16(0), &NATIVE.u16(4), &[0; 4], &NATIVE.u32(9), &len, &len, &packet]);
    let simple = NATIVE.block(3, &[&NATIVE.u32(500), &packet[..40]]);
    let mut reader = Reader::new();
    reader.feed(&[NATIVE.section(), NATIVE.interface(253, 40, &[]), obsolete, simple].concat());
    let first = reader.next().unwrap().unwrap();
    assert_eq!((first.received_ns, first.dropcount, first.cut), (9_000, Some(4), 0));
    let second = reader.next().unwrap().unwrap();
    assert_eq!((second.received_ns, second.datagram, second.cut), (9_000, &packet[16..40], 460));
    assert!(reader.next().is_none());
    assert_eq!((reader.counters().cut, reader.counters().lost), (1, 4));
}

#[test]
fn other_link_types_are_said_once_for_each_interface_and_counted() {
    let file = [
        NATIVE.section(),
        NATIVE.interface(1, 0, &[]),
        NATIVE.interface(253, 0, &NATIVE.option(9, &[9])),
        NATIVE.enhanced(0, 1, &[0; 60]),
        NATIVE.enhanced(0, 2, &[0; 60]),
        NATIVE.enhanced(1, 3, &event(NATIVE)),
        NATIVE.block(4, &[&[0; 4]]),
    ];
    let at = file[..3].concat().len() as u64;
    let (found, counters) = read(&file.concat());
    let refused = RecordingError::Linktype { at, linktype: 1 };
    assert_eq!(found, [Err(refused), Ok((3, NATIVE.event(0x600)))]);
    assert_eq!((counters.other_linktypes, counters.other_blocks), (1, 1));
    assert_eq!(refused.to_string(), format!("the packet at byte {at} has link type 1 (Ethernet), not netlink (253)"));

    let (found, _) = read(&LITTLE.pcap(0xa1b2c3d4, 1, &[(1, 1, vec![0; 60])]));
    assert_eq!(found, [Err(RecordingError::Linktype { at: 0, linktype: 1 })]);
}

#[test]
fn a_broken_packet_is_skipped_and_a_broken_block_ends_the_reading() {
    let (head, good) =
        ([NATIVE.section(), NATIVE.interface(253, 0, &[])].concat(), NATIVE.enhanced(0, 0, &event(NATIVE)));
    let at = head.len() as u64;
    let message = NATIVE.event(0x600);

    let mut long = good.clone();
    long[20..24].copy_from_slice(&NATIVE.u32(49)); // one more than the block has
    let (found, counters) = read(&[&head[..], &long, &good].concat());
    assert_eq!(found, [Err(RecordingError::PacketLength { at, len: 49, have: 48 }), Ok((0, message))]);
    assert_eq!(counters.refused, [0, 0, 0, 0, 0, 1, 0, 0]);

    let short = NATIVE.enhanced(0, 0, &[0; 15]);
    assert_eq!(read(&[&head[..], &short].concat()).0, [Err(RecordingError::PacketLength { at, len: 15, have: 15 })]);

    for (field, len) in [(4, 13_u32), (4, 8), (4, 0), (good.len() - 4, 999)] {
        let mut broken = good.clone();
        broken[field..field + 4].copy_from_slice(&NATIVE.u32(len));
        let (found, _) = read(&[&head[..], &broken, &good].concat());
        assert!(matches!(found[..], [Err(RecordingError::BlockLength { .. })]), "{field} {len}: {found:?}");
    }

    let mut huge = good.clone();
    huge[4..8].copy_from_slice(&NATIVE.u32(0x4000_0000));
    assert_eq!(read(&[&head[..], &huge].concat()).0, [Err(RecordingError::TooLong { at, len: 0x4000_0000 })]);
}

#[test]
fn what_is_no_recording_is_named() {
    let texts: [(&[u8], &str); 5] = [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "is neither pcap, pcapng nor a recording (it begins with ff d8 ff e0)"),
        (b"ab", "is neither pcap, pcapng nor a recording (it begins with 61 62)"),
        (b"", "is empty"),
        (b"\x1f\x8b\x08\x00", "is compressed with gzip; unpack it first (gzip -d)"),
        (b"\x28\xb5\x2f\xfd", "is compressed with zstd; unpack it first (zstd -d)"),
    ];
    for (bytes, text) in texts {
        let (found, _) = read(bytes);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].as_ref().unwrap_err().to_string(), text);
    }
    assert_eq!(sniff(&[0x0a, 0x0d, 0x0d, 0x0a]), FileKind::PcapNg);
    assert_eq!(sniff(&[0x4d, 0x3c, 0xb2, 0xa1]), FileKind::Pcap);
}

#[test]
fn a_classic_file_of_another_link_type_says_so_however_it_comes_and_whatever_is_behind_its_header() {
    let mut file = NATIVE.pcap(0xa1b2c3d4, 1, &[]);
    file.extend([0xff; 16]); // a packet that is too long
    for piece in [1, 24, file.len()] {
        let mut reader = Reader::new();
        let mut found = Vec::new();
        for part in file.chunks(piece) {
            reader.feed(part);
            while let Some(item) = reader.next() {
                found.push(item.map(|_| ()));
            }
        }
        assert_eq!(found, [Err(RecordingError::Linktype { at: 0, linktype: 1 })], "in pieces of {piece}");
    }
}

#[test]
fn every_error_has_a_counter_of_its_own() {
    let errors = [
        RecordingError::NotARecording { first: [0; 4], have: 0 },
        RecordingError::Truncated { at: 0, need: 0, have: 0 },
        RecordingError::BlockLength { at: 0, len: 0 },
        RecordingError::TooLong { at: 0, len: 0 },
        RecordingError::Section { at: 0 },
        RecordingError::PacketLength { at: 0, len: 0, have: 0 },
        RecordingError::Interface { at: 0, interface: 0 },
        RecordingError::Linktype { at: 0, linktype: 0 },
    ];
    let counters: Vec<_> = errors.iter().map(|error| error.counter()).collect();
    assert_eq!(counters, (0..RecordingError::COUNTERS.len()).collect::<Vec<_>>());
}
