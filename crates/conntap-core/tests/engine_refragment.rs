//! How a gateway sends on what came in fragments: each case of [`CASES`] was sent through Linux 6.18, which sent what
//! `out` says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod packet_support;

use std::borrow::Cow;

use conntap_core::engine::helper::{Assignment, Helper};
use conntap_core::engine::nat::{Manip, Range, Rule};
use conntap_core::engine::{Engine, Input, Settings, Step};
use conntap_core::packet::{Datagram, Reassembled, Reassembler, decode_ip};
use packet_support::*;
use proptest::prelude::*;

fn engine() -> Engine {
    let mut engine = Engine::new(Settings::default(), [0, 0]);
    engine.forward_packets();
    engine
}

/// Show one packet; what the gateway sends then.
fn send(engine: &mut Engine, bytes: &[u8]) -> Vec<Vec<u8>> {
    let packet = decode_ip(bytes, bytes.len() as u32).unwrap();
    while engine.packet(&Input::new(1_000_000_000, &packet)) == Step::Ask {
        if let Some(Step::Done(_)) = engine.resume(true) {
            break;
        }
    }
    engine.forwarded().map(Cow::into_owned).collect()
}

/// Show several; what the gateway sends of them.
fn send_all(engine: &mut Engine, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    packets.iter().flat_map(|packet| send(engine, packet)).collect()
}

/// What cases look at: where a fragment begins, its data's length, and flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    offset: u16,
    len: u16,
    more: bool,
    df: bool,
    /// IPv4: options. IPv6: the chain of header numbers, ending with what follows the fragment header.
    head: Vec<u8>,
}

fn read(packet: &[u8]) -> Part {
    if packet[0] >> 4 == 6 {
        let (mut next, mut at, mut head) = (packet[6], 40_usize, vec![packet[6]]);
        let (mut offset, mut more) = (0, false);
        while [0, 43, 44, 60].contains(&next) {
            let header = &packet[at..];
            at += if next == 44 { 8 } else { usize::from(header[1]) * 8 + 8 };
            head.push(header[0]);
            if next == 44 {
                let field = u16::from_be_bytes([header[2], header[3]]);
                (offset, more) = (field & !7, field & 1 != 0);
                break;
            }
            next = header[0];
        }
        assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len() - 40);
        return Part { offset, len: (packet.len() - at) as u16, more, df: false, head };
    }
    let header = usize::from(packet[0] & 15) * 4;
    let field = u16::from_be_bytes([packet[6], packet[7]]);
    assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
    assert_eq!(checksum(&[&packet[..header]]), 0);
    Part {
        offset: (field & 0x1fff) * 8,
        len: (packet.len() - header) as u16,
        more: field & 0x2000 != 0,
        df: field & 0x4000 != 0,
        head: packet[20..header].to_vec(),
    }
}

/// Cut a payload into pieces of these sizes; `head` before each says what IPv4 options or IPv6 headers it has.
fn cut(proto: u16, payload: &[u8], sizes: &[usize], head: &dyn Fn(usize) -> (Vec<u8>, bool)) -> Vec<Vec<u8>> {
    let mut start = 0;
    let (six, l4proto) = (proto & SIX != 0, proto as u8);
    let each = |(number, size): (usize, &usize)| {
        let (offset, data) = (start as u16, &payload[start..start + size]);
        start += size;
        let more = start < payload.len();
        let (options, df) = head(number);
        if six {
            let fragment = fragment_header(l4proto, offset, more, 7);
            let first = options.first().copied();
            let chain: Vec<u8> = options.iter().skip(1).copied().collect();
            v6(first.unwrap_or(44), 0, &[&chain[..], &fragment, data].concat())
        } else {
            V4 { proto: l4proto, id: 7, offset, more, df, options: &options, ..V4 }.packet(data)
        }
    };
    sizes.iter().enumerate().map(each).collect()
}

/// Marks a protocol number as IPv6's.
const SIX: u16 = 0x100;
const UDP: u16 = 17;
const TCP: u16 = 6;
const SCTP: u16 = 132;
/// Options: one that belongs to the first fragment, one to all.
const FIRST: [u8; 4] = [0x1e, 4, 0, 0];
const ALL: [u8; 4] = [0x9e, 4, 1, 2];

/// What one fragment looks like: offset, length, more to follow.
type Shape = (u16, u16, bool);

struct Case {
    what: &'static str,
    proto: u16,
    sizes: &'static [usize],
    /// DF of each fragment.
    df: &'static [bool],
    out: &'static [Shape],
    df_out: bool,
}

const CASES: &[Case] = &[
    Case {
        what: "pieces leave as they came, the longest wherever it is; DF is forgotten",
        proto: UDP,
        sizes: &[64, 128, 20],
        df: &[true, true, true],
        out: &[(0, 64, true), (64, 128, true), (192, 20, false)],
        df_out: false,
    },
    Case {
        what: "the whole TCP header was looked at: cut anew, as long as the longest, and DF stays",
        proto: TCP,
        sizes: &[8, 64, 20],
        df: &[true, true, true],
        out: &[(0, 64, true), (64, 28, false)],
        df_out: true,
    },
    Case {
        what: "DF only on a shorter piece is forgotten in either case",
        proto: TCP,
        sizes: &[16, 64, 20],
        df: &[true, false, true],
        out: &[(0, 64, true), (64, 36, false)],
        df_out: false,
    },
    Case {
        what: "a TCP header within the first piece",
        proto: TCP,
        sizes: &[24, 64, 20],
        df: &[false, false, false],
        out: &[(0, 24, true), (24, 64, true), (88, 20, false)],
        df_out: false,
    },
    Case {
        what: "the whole SCTP header was looked at, to check the sum",
        proto: SCTP,
        sizes: &[8, 16],
        df: &[false, false],
        out: &[(0, 16, true), (16, 8, false)],
        df_out: false,
    },
    Case {
        what: "IPv6 too",
        proto: UDP | SIX,
        sizes: &[64, 128, 20],
        df: &[false, false, false],
        out: &[(0, 64, true), (64, 128, true), (192, 20, false)],
        df_out: false,
    },
    Case {
        what: "an IPv6 datagram no longer than its longest fragment leaves whole",
        proto: UDP | SIX,
        sizes: &[64, 8],
        df: &[false, false],
        out: &[(0, 72, false)],
        df_out: false,
    },
    Case {
        what: "one byte more, and it does not",
        proto: UDP | SIX,
        sizes: &[64, 9],
        df: &[false, false],
        out: &[(0, 64, true), (64, 9, false)],
        df_out: false,
    },
];

fn payload(proto: u16, len: usize) -> Vec<u8> {
    let six = proto & SIX != 0;
    if proto & 0xff == TCP {
        let mut segment = tcp(six, &vec![b'x'; len - 20]);
        // A SYN, so that tracking takes it.
        segment[13] = 2;
        segment[8..12].fill(0);
        segment[16..18].fill(0);
        let sum = checksum(&[&pseudo(six, 6, len), &segment]);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        return segment;
    }
    if proto == SCTP {
        return vec![b'x'; len];
    }
    udp(six, 2000, &(0..len - 8).map(|byte| byte as u8).collect::<Vec<_>>())
}

fn shape(part: &Part) -> Shape {
    (part.offset, part.len, part.more)
}

#[test]
fn what_came_in_fragments_leaves_in_fragments() {
    for case in CASES {
        let payload = payload(case.proto, case.sizes.iter().sum());
        let packets = cut(case.proto, &payload, case.sizes, &|at| (Vec::new(), case.df[at]));
        for turned in [false, true] {
            let packets = if turned { packets.iter().rev().cloned().collect() } else { packets.clone() };
            let sent: Vec<Part> = send_all(&mut engine(), &packets).iter().map(|packet| read(packet)).collect();
            assert_eq!(sent.iter().map(shape).collect::<Vec<_>>(), case.out, "{}", case.what);
            assert!(sent.iter().all(|part| part.df == case.df_out), "{}", case.what);
        }
    }
}

#[test]
fn fragments_that_fit_leave_byte_for_byte_as_they_came() {
    for proto in [UDP, UDP | SIX] {
        let packets = cut(proto, &payload(proto, 300), &[96, 160, 44], &|_| (Vec::new(), false));
        assert_eq!(send_all(&mut engine(), &packets), packets);
    }
}

#[test]
fn options_that_are_not_copied_are_blanked_in_later_fragments() {
    let packets = cut(UDP, &payload(UDP, 212), &[64, 128, 20], &|_| ([ALL, FIRST].concat(), false));
    let sent: Vec<Part> = send_all(&mut engine(), &packets).iter().map(|packet| read(packet)).collect();
    let later = [ALL, [1; 4]].concat();
    assert_eq!(sent.iter().map(|part| &part.head).collect::<Vec<_>>(), [&[ALL, FIRST].concat(), &later, &later]);
}

#[test]
fn a_longer_header_in_the_first_fragment_leaves_no_room_in_the_others() {
    let head = |at| (if at == 0 { FIRST.to_vec() } else { Vec::new() }, false);
    let packets = cut(UDP, &payload(UDP, 212), &[64, 128, 20], &head);
    let sent: Vec<Part> = send_all(&mut engine(), &packets).iter().map(|packet| read(packet)).collect();
    assert_eq!(sent.iter().map(shape).collect::<Vec<_>>(), [(0, 120, true), (120, 92, false)]);
    assert_eq!(sent[1].head, [1; 4]);
}

#[test]
fn ipv6_headers_before_the_fragment_header_stand_in_every_fragment() {
    let options = |kind: u8| [&[kind][..], &extension(44, &[1, 4, 0, 0, 0, 0])].concat();
    for kind in [0, 60] {
        let packets = cut(UDP | SIX, &payload(UDP | SIX, 148), &[64, 64, 20], &|_| (options(kind), false));
        let sent = send_all(&mut engine(), &packets);
        assert_eq!(sent, packets);
        assert_eq!(read(&sent[2]).head, [kind, 44, 17]);
    }
    // In the first fragment only: the others have no room for it, and IPv6 cuts none shorter than 1280 bytes.
    let first = |at| (if at == 0 { options(0) } else { Vec::new() }, false);
    let packets = cut(UDP | SIX, &payload(UDP | SIX, 148), &[64, 64, 20], &first);
    let sent: Vec<Part> = send_all(&mut engine(), &packets).iter().map(|packet| read(packet)).collect();
    assert_eq!((sent.len(), shape(&sent[0])), (1, (0, 148, false)));
    let packets = cut(UDP | SIX, &payload(UDP | SIX, 2820), &[1400, 1400, 20], &first);
    let sent: Vec<Part> = send_all(&mut engine(), &packets).iter().map(|packet| read(packet)).collect();
    assert_eq!(sent.iter().map(shape).collect::<Vec<_>>(), [(0, 1400, true), (1400, 1400, true), (2800, 20, false)]);
    assert!(sent.iter().all(|part| part.head == [0, 44, 17]));
}

#[test]
fn destination_options_behind_the_fragment_header_come_before_it() {
    let data = [extension(17, &[1, 4, 0, 0, 0, 0]), payload(UDP | SIX, 2812)].concat();
    let packets = cut(60 | SIX, &data, &[1400, 1400, 20], &|_| (Vec::new(), false));
    let sent: Vec<Part> = send_all(&mut engine(), &packets).iter().map(|packet| read(packet)).collect();
    assert_eq!(sent.iter().map(shape).collect::<Vec<_>>(), [(0, 1392, true), (1392, 1392, true), (2784, 28, false)]);
    assert!(sent.iter().all(|part| part.head == [60, 44, 17]));
    // Behind a routing header they are the destination's own, and stay where they were.
    let routing = [&[43][..], &extension(44, &[4, 0, 0, 0, 0, 0])].concat();
    let packets = cut(60 | SIX, &data, &[1400, 1400, 20], &|_| (routing.clone(), false));
    assert_eq!(send_all(&mut engine(), &packets), packets);
}

#[test]
fn headers_that_go_on_behind_the_first_fragment_cannot_be_sent() {
    let options = |next| extension(next, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let data = [options(60), options(17), payload(UDP | SIX, 100)].concat();
    let packets = cut(60 | SIX, &data, &[8, 64, 60], &|_| (Vec::new(), false));
    let mut engine = engine();
    assert_eq!(send_all(&mut engine, &packets), Vec::<Vec<u8>>::new());
    assert_eq!(engine.flow_count(), 1, "tracking has seen it all the same");
}

/// An engine whose flows to port 53 have a helper of that name.
fn helped(name: &str, l4proto: u8) -> Engine {
    let mut engine = engine();
    let helper = engine.add_helper(Helper { name: name.to_owned(), policies: Vec::new() });
    engine.assign(Assignment { helper, l4proto, dport: 53, family: 0 });
    engine
}

#[test]
fn a_rewritten_payload_is_cut_anew() {
    let packets = cut(UDP, &payload(UDP, 148), &[40, 88, 20], &|_| (Vec::new(), false));
    let (last, before) = packets.split_last().unwrap();
    let mut engine = helped("some", 17);
    assert!(send_all(&mut engine, before).is_empty());
    let packet = decode_ip(last, last.len() as u32).unwrap();
    assert_eq!(engine.packet(&Input::new(1_000_000_000, &packet)), Step::Ask);
    assert!(engine.mangle(0, 2, b"longer", false));
    assert!(matches!(engine.resume(true), Some(Step::Done(_))));
    let sent: Vec<Part> = engine.forwarded().map(|packet| read(&packet)).collect();
    assert_eq!(sent.iter().map(shape).collect::<Vec<_>>(), [(0, 88, true), (88, 64, false)]);
}

#[test]
fn a_helper_that_only_reads_leaves_the_pieces_unless_it_wants_them_in_one() {
    for (name, expected) in [("some", vec![40, 88, 20]), ("sip", vec![88, 60])] {
        let packets = cut(UDP, &payload(UDP, 148), &[40, 88, 20], &|_| (Vec::new(), false));
        let sent = send_all(&mut helped(name, 17), &packets);
        assert_eq!(sent.iter().map(|packet| read(packet).len).collect::<Vec<_>>(), expected, "{name}");
    }
}

#[test]
fn translated_fragments_have_the_new_address_and_one_right_checksum() {
    let mut engine = engine();
    let mut address = [0; 16];
    address[..4].copy_from_slice(&[203, 0, 113, 1]);
    let range = Range { addresses: Some((address, address)), ports: Some((4000, 4000)), persistent: false };
    engine.add_nat_rule(Rule { manip: Manip::Source, family: 2, filter: None, interface: None, range });
    let packets = cut(UDP, &payload(UDP, 212), &[64, 128, 20], &|_| (Vec::new(), false));
    let sent = send_all(&mut engine, &packets);
    assert_eq!(sent.iter().map(|packet| shape(&read(packet))).collect::<Vec<_>>(), CASES[0].out);
    assert!(sent.iter().all(|packet| packet[12..16] == address[..4]));
    let data = sent.iter().flat_map(|packet| &packet[20..]).copied().collect::<Vec<u8>>();
    assert_eq!(data[..2], 4000_u16.to_be_bytes());
    let ends = [&sent[0][12..20], &212_u32.to_be_bytes(), &17_u32.to_be_bytes()].concat();
    assert_eq!(checksum(&[&ends, &data]), 0);
}

#[test]
fn a_packet_that_is_no_fragment_leaves_as_it_is() {
    let mut engine = engine();
    let whole = V4.packet(&payload(UDP, 100));
    // A datagram in pieces before it makes no difference.
    send_all(&mut engine, &cut(UDP, &payload(UDP, 212), &[64, 128, 20], &|_| (Vec::new(), false)));
    let packet = decode_ip(&whole, whole.len() as u32).unwrap();
    engine.packet(&Input::new(1_000_000_000, &packet));
    let sent: Vec<_> = engine.forwarded().collect();
    assert!(matches!(sent[..], [Cow::Borrowed(found)] if found == whole));
    engine.refused(conntap_core::packet::PacketError::HeaderChecksum);
    assert_eq!(engine.forwarded().count(), 0);
}

proptest! {
    #[test]
    fn whatever_is_cut_can_be_put_together_again(
        proto in prop::sample::select(vec![UDP, TCP, UDP | SIX, TCP | SIX]),
        sizes in prop::collection::vec((1_usize..40).prop_map(|eights| eights * 8), 1..8),
        last in 1_usize..200,
        options in prop::collection::vec(prop::sample::select(vec![FIRST, ALL]), 0..4),
        longer in any::<bool>(), df in any::<bool>(),
        order in any::<prop::sample::Index>(),
    ) {
        let six = proto & SIX != 0;
        let mut sizes = sizes;
        if six && proto & 0xff == TCP {
            sizes[0] = sizes[0].max(24);
        }
        sizes.push(last);
        if sizes.iter().sum::<usize>() < 20 {
            sizes[0] = 24;
        }
        let head = |at: usize| {
            let options = if longer && at > 0 { Vec::new() } else { options.concat() };
            let before = if options.is_empty() { Vec::new() } else { [&[0][..], &extension(44, &[1, 4, 0, 0, 0, 0])].concat() };
            (if six { before } else { options }, df)
        };
        let mut packets = cut(proto, &payload(proto, sizes.iter().sum()), &sizes, &head);
        let longest = packets.iter().map(Vec::len).max().unwrap();
        let turn = order.index(packets.len());
        packets.rotate_left(turn);
        let together = |packets: &[Vec<u8>]| -> Vec<u8> {
            let mut reassembler = Reassembler::default();
            for packet in packets {
                match reassembler.push(&decode_ip(packet, packet.len() as u32).unwrap(), 0) {
                    Reassembled::Whole(Datagram { bytes, .. }) => return bytes,
                    Reassembled::AsIs => return packet.clone(),
                    _ => {}
                }
            }
            panic!("incomplete");
        };
        let sent = send_all(&mut engine(), &packets);
        let limit = if six { longest.max(1280) } else { longest };
        prop_assert!(sent.iter().all(|packet| packet.len() <= limit));
        let (mut found, mut expected) = (together(&sent), together(&packets));
        if !six {
            for bytes in [&mut found, &mut expected] {
                bytes[6] &= 0xbf; // DF, and with it the checksum
                bytes[10..12].fill(0);
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn no_fragments_make_the_gateway_send_without_end(
        packets in prop::collection::vec((any::<bool>(), 0_u16..12, any::<bool>(), prop::collection::vec(any::<u8>(), 0..64)), 1..40),
    ) {
        let mut engine = engine();
        for (six, offset, more, data) in packets {
            let next = data.first().copied().unwrap_or_default();
            let packet = if six {
                v6(44, 0, &[&fragment_header([0, 43, 60, 17][usize::from(next % 4)], offset * 8, more, 7), &data[..]].concat())
            } else {
                V4 { proto: [6, 17, 132, 1][usize::from(next % 4)], id: 7, offset: offset * 8, more, ..V4 }.packet(&data)
            };
            prop_assert!(send(&mut engine, &packet).len() <= 12);
        }
    }
}
