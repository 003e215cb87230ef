//! Reassembly as Linux 6.18 does it: each case of [`CASES`] was sent to the kernel, which tracked what `whole` says and
//! counted what `dropped` says (`ct state` counters, ReasmFails and ReasmOverlaps of /proc/net/snmp and netstat).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod packet_support;

use conntap_core::packet::{
    Checksum, Datagram, FragmentError, Limits, Packet, Piece, Reassembled, Reassembler, decode_ip, decode_rebuilt,
    verify_l4,
};
use packet_support::*;
use proptest::prelude::*;

use FragmentError::{Duplicate, Empty, End, Overlap};

/// What became of a fragment, and how long the datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Whole(usize),
    Queued,
    AsIs,
    Dropped(FragmentError),
}

fn told(done: Reassembled) -> Told {
    match done {
        Reassembled::Whole(datagram) => Told::Whole(datagram.bytes.len()),
        Reassembled::Queued => Told::Queued,
        Reassembled::AsIs => Told::AsIs,
        Reassembled::Dropped(error) => Told::Dropped(error),
    }
}

fn packet(bytes: &[u8]) -> Packet<'_> {
    decode_ip(bytes, bytes.len() as u32).unwrap()
}

fn push(reassembler: &mut Reassembler, bytes: &[u8]) -> Reassembled {
    reassembler.push(&packet(bytes), 0)
}

/// UDP of 64 bytes.
fn datagram(six: bool) -> Vec<u8> {
    udp(six, 2000, &(0..56).collect::<Vec<u8>>())
}

/// The part of the datagram from `start` to `end`.
fn part(six: bool, (start, end, more): (u16, u16, bool)) -> Vec<u8> {
    let data = &datagram(six)[usize::from(start)..usize::from(end)];
    if six {
        v6(44, 0, &[&fragment_header(17, start, more, 7), data].concat())
    } else {
        V4 { id: 7, offset: start, more, ..V4 }.packet(data)
    }
}

struct Case {
    what: &'static str,
    parts: &'static [(u16, u16, bool)],
    ipv4: &'static [Told],
    ipv6: &'static [Told],
}

const QUEUED: Told = Told::Queued;
const WHOLE4: Told = Told::Whole(84);
const WHOLE6: Told = Told::Whole(104);
const DUPLICATE: Told = Told::Dropped(Duplicate);
const OVERLAP: Told = Told::Dropped(Overlap);
const END: Told = Told::Dropped(End);
const EMPTY: Told = Told::Dropped(Empty);

const CASES: &[Case] = &[
    Case {
        what: "in order",
        parts: &[(0, 24, true), (24, 64, false)],
        ipv4: &[QUEUED, WHOLE4],
        ipv6: &[QUEUED, WHOLE6],
    },
    Case {
        what: "backwards",
        parts: &[(24, 64, false), (0, 24, true)],
        ipv4: &[QUEUED, WHOLE4],
        ipv6: &[QUEUED, WHOLE6],
    },
    Case {
        what: "the middle first",
        parts: &[(16, 32, true), (0, 16, true), (32, 64, false)],
        ipv4: &[QUEUED, QUEUED, WHOLE4],
        ipv6: &[QUEUED, QUEUED, WHOLE6],
    },
    Case {
        what: "one twice",
        parts: &[(0, 24, true), (0, 24, true), (24, 64, false)],
        ipv4: &[QUEUED, DUPLICATE, WHOLE4],
        ipv6: &[QUEUED, DUPLICATE, WHOLE6],
    },
    Case {
        what: "one within another is a duplicate, whatever it holds",
        parts: &[(0, 24, true), (8, 16, true), (24, 64, false)],
        ipv4: &[QUEUED, DUPLICATE, WHOLE4],
        ipv6: &[QUEUED, DUPLICATE, WHOLE6],
    },
    Case {
        what: "one within two that came in order is a duplicate",
        parts: &[(0, 16, true), (16, 32, true), (8, 24, true), (32, 64, false)],
        ipv4: &[QUEUED, QUEUED, DUPLICATE, WHOLE4],
        ipv6: &[QUEUED, QUEUED, DUPLICATE, WHOLE6],
    },
    Case {
        what: "one within two that came the other way round is an overlap",
        parts: &[(16, 32, true), (0, 16, true), (8, 24, true), (32, 64, false)],
        ipv4: &[QUEUED, QUEUED, OVERLAP, QUEUED],
        ipv6: &[QUEUED, QUEUED, OVERLAP, QUEUED],
    },
    Case {
        what: "an overlap loses the datagram, and the next fragment begins another",
        parts: &[(0, 24, true), (16, 64, false), (0, 24, true), (24, 64, false)],
        ipv4: &[QUEUED, OVERLAP, QUEUED, WHOLE4],
        ipv6: &[QUEUED, OVERLAP, QUEUED, WHOLE6],
    },
    Case {
        what: "the last fragment twice",
        parts: &[(24, 64, false), (24, 64, false), (0, 24, true)],
        ipv4: &[QUEUED, DUPLICATE, WHOLE4],
        ipv6: &[QUEUED, DUPLICATE, WHOLE6],
    },
    Case {
        what: "two ends: IPv4 gives the datagram up, IPv6 keeps the first",
        parts: &[(24, 56, false), (48, 64, false), (0, 24, true)],
        ipv4: &[QUEUED, END, QUEUED],
        ipv6: &[QUEUED, END, Told::Whole(96)],
    },
    Case {
        what: "an end before what is there",
        parts: &[(0, 32, true), (8, 24, false), (32, 64, false)],
        ipv4: &[QUEUED, END, QUEUED],
        ipv6: &[QUEUED, END, WHOLE6],
    },
    Case {
        what: "more behind the end",
        parts: &[(24, 56, false), (56, 64, true), (0, 24, true)],
        ipv4: &[QUEUED, END, QUEUED],
        ipv6: &[QUEUED, END, Told::Whole(96)],
    },
    Case {
        what: "a fragment of nothing",
        parts: &[(0, 24, true), (24, 24, true), (24, 64, false)],
        ipv4: &[QUEUED, EMPTY, QUEUED],
        ipv6: &[QUEUED, EMPTY, WHOLE6],
    },
    Case {
        what: "a last fragment of nothing: IPv6 keeps the end that it told",
        parts: &[(0, 24, true), (24, 24, false), (24, 64, false)],
        ipv4: &[QUEUED, EMPTY, QUEUED],
        ipv6: &[QUEUED, EMPTY, END],
    },
    Case {
        what: "more to follow at no multiple of 8: IPv4 cuts it, IPv6 gives up and hands it on",
        parts: &[(24, 64, false), (0, 27, true), (0, 24, true)],
        ipv4: &[QUEUED, WHOLE4, QUEUED],
        ipv6: &[QUEUED, Told::AsIs, QUEUED],
    },
    Case {
        what: "less than 8 bytes with more to follow",
        parts: &[(0, 5, true), (0, 24, true), (24, 64, false)],
        ipv4: &[EMPTY, QUEUED, WHOLE4],
        ipv6: &[Told::AsIs, QUEUED, WHOLE6],
    },
];

#[test]
fn fragments_are_put_together_as_the_kernel_does() {
    for case in CASES {
        for (six, expected) in [(false, case.ipv4), (true, case.ipv6)] {
            let mut reassembler = Reassembler::default();
            let found: Vec<_> = case.parts.iter().map(|it| told(push(&mut reassembler, &part(six, *it)))).collect();
            assert_eq!(found, expected, "{}, IPv{}", case.what, if six { 6 } else { 4 });
        }
    }
}

#[test]
fn the_datagram_is_what_was_fragmented() {
    for six in [false, true] {
        let mut reassembler = Reassembler::default();
        push(&mut reassembler, &part(six, (24, 64, false)));
        let Reassembled::Whole(Datagram { bytes, .. }) = push(&mut reassembler, &part(six, (0, 24, true))) else {
            panic!()
        };
        let whole = if six { v6(17, 0, &datagram(true)) } else { V4 { id: 7, ..V4 }.packet(&datagram(false)) };
        assert_eq!(bytes, whole, "length, fragment field and header checksum; no fragment header");
        let packet = decode_rebuilt(&bytes).unwrap();
        assert_eq!((verify_l4(&packet), packet.needs_reassembly()), (Checksum::Good, false));
        assert_eq!((reassembler.incomplete(), reassembler.deadline_ns()), (0, None));
    }
}

#[test]
fn the_header_is_that_of_the_first_fragment() {
    let data = datagram(false);
    let mut reassembler = Reassembler::default();
    push(&mut reassembler, &V4 { id: 7, offset: 24, ..V4 }.packet(&data[24..]));
    let first = V4 { id: 7, more: true, options: &[7, 3, 4, 0], ..V4 }.packet(&data[..24]);
    let Reassembled::Whole(Datagram { bytes, .. }) = push(&mut reassembler, &first) else { panic!() };
    assert_eq!(bytes, V4 { id: 7, options: &[7, 3, 4, 0], ..V4 }.packet(&data));

    let data = datagram(true);
    let options = extension(44, &[1, 4, 0, 0, 0, 0]);
    push(&mut reassembler, &v6(44, 0, &[&fragment_header(6, 24, false, 7), &data[24..]].concat()));
    let first = v6(60, 0, &[&options, &fragment_header(17, 0, true, 7), &data[..24]].concat());
    let Reassembled::Whole(Datagram { bytes, .. }) = push(&mut reassembler, &first) else { panic!() };
    assert_eq!(bytes, v6(60, 0, &[extension(17, &[1, 4, 0, 0, 0, 0]), data].concat()));
}

#[test]
fn the_pieces_are_told_by_their_offsets_however_they_came() {
    for six in [false, true] {
        let mut reassembler = Reassembler::default();
        let parts = [(48, 64, false), (24, 48, true), (0, 24, true)];
        let [_, _, Reassembled::Whole(found)] = parts.map(|it| push(&mut reassembler, &part(six, it))) else {
            panic!()
        };
        let head = if six { 48 } else { 20 };
        assert_eq!(found.pieces.pieces, [24, 24, 16].map(|len| Piece { len, head }));
        assert_eq!((found.pieces.longest, found.pieces.id), (u32::from(head) + 24, 7));
    }
    // What IPv4 cuts from a fragment to make it a multiple of 8 does not count.
    let mut reassembler = Reassembler::default();
    push(&mut reassembler, &part(false, (0, 28, true)));
    let Reassembled::Whole(found) = push(&mut reassembler, &part(false, (24, 64, false))) else { panic!() };
    assert_eq!(found.pieces.pieces, [24, 40].map(|len| Piece { len, head: 20 }));
}

#[test]
fn df_stays_where_the_longest_fragment_had_it() {
    for (first, second, kept) in [(true, true, true), (false, true, true), (true, false, false)] {
        let data = datagram(false);
        let mut reassembler = Reassembler::default();
        push(&mut reassembler, &V4 { id: 7, more: true, df: first, ..V4 }.packet(&data[..24]));
        let last = V4 { id: 7, offset: 24, df: second, ..V4 }.packet(&data[24..]);
        let Reassembled::Whole(Datagram { bytes, .. }) = push(&mut reassembler, &last) else { panic!() };
        assert_eq!(bytes, V4 { id: 7, df: kept, ..V4 }.packet(&data));
    }
}

#[test]
fn congestion_bits_are_merged_and_contradictions_dropped() {
    let cases = [
        ([0, 0], Some(0)),
        ([1, 2], Some(1)),
        ([1, 3], Some(3)),
        ([2, 3], Some(3)),
        ([3, 3], Some(3)),
        ([0, 1], None),
        ([0, 2], None),
        ([0, 3], None),
    ];
    for (bits, expected) in cases {
        for six in [false, true] {
            let mut reassembler = Reassembler::default();
            let data = datagram(six);
            let mut send = |bits: u8, start: usize, end: usize, more: bool| {
                let fragment = if six {
                    let header = fragment_header(17, start as u16, more, 7);
                    v6(44, bits, &[&header, &data[start..end]].concat())
                } else {
                    V4 { id: 7, tos: bits, offset: start as u16, more, ..V4 }.packet(&data[start..end])
                };
                push(&mut reassembler, &fragment)
            };
            send(bits[0], 0, 24, true);
            let expected = expected.map(|tos| match six {
                true => v6(17, tos, &data),
                false => V4 { id: 7, tos, ..V4 }.packet(&data),
            });
            match send(bits[1], 24, 64, false) {
                Reassembled::Whole(found) => assert_eq!(Some(found.bytes), expected, "{bits:?}"),
                other => {
                    assert_eq!((other, expected), (Reassembled::Dropped(FragmentError::Ecn), None), "{bits:?}");
                }
            }
        }
    }
}

#[test]
fn a_datagram_longer_than_ip_allows_is_dropped() {
    let mut reassembler = Reassembler::default();
    let parts = [(0, 30_000, true), (30_000, 30_000, true), (60_000, 6_000, false)];
    let done = parts.map(|(offset, len, more)| {
        let fragment = V4 { offset, more, ..V4 }.packet(&vec![0; usize::from(len as u16)]);
        told(push(&mut reassembler, &fragment))
    });
    assert_eq!(done, [QUEUED, QUEUED, Told::Dropped(FragmentError::TooLong)]);
    let behind = v6(44, 0, &[fragment_header(17, 65_528, false, 7), vec![0; 16]].concat());
    assert_eq!(told(push(&mut reassembler, &behind)), Told::Dropped(FragmentError::TooLong));
}

#[test]
fn ipv4_tells_datagrams_apart_by_protocol_and_ipv6_does_not() {
    let mut reassembler = Reassembler::default();
    push(&mut reassembler, &part(false, (0, 24, true)));
    let other = V4 { id: 7, proto: 6, offset: 24, ..V4 }.packet(&datagram(false)[24..]);
    assert_eq!(told(push(&mut reassembler, &other)), QUEUED);
    push(&mut reassembler, &part(true, (0, 24, true)));
    let other = v6(44, 0, &[&fragment_header(6, 24, false, 7), &datagram(true)[24..]].concat());
    assert_eq!(told(push(&mut reassembler, &other)), WHOLE6);
}

#[test]
fn a_first_fragment_without_its_whole_header_is_handed_on() {
    let mut reassembler = Reassembler::default();
    let mut first = |next: u8, data: &[u8]| {
        told(push(&mut reassembler, &v6(44, 0, &[&fragment_header(next, 0, true, 7), data].concat())))
    };
    assert_eq!(first(6, &[0; 16]), Told::AsIs);
    assert_eq!(first(6, &[0; 24]), QUEUED);
    assert_eq!(first(17, &[]), Told::AsIs);
    assert_eq!(first(200, &[]), Told::AsIs);
    assert_eq!(reassembler.counters().as_is, 3);
}

#[test]
fn an_atomic_fragment_falls_victim_to_fragments_of_its_id() {
    let whole = part(true, (0, 64, false));
    assert_eq!(packet(&whole).fragment, None);
    let mut reassembler = Reassembler::default();
    assert_eq!(told(push(&mut reassembler, &whole)), WHOLE6);
    push(&mut reassembler, &part(true, (0, 24, true)));
    assert_eq!(told(push(&mut reassembler, &whole)), OVERLAP);
}

#[test]
fn what_is_no_fragment_is_left_alone() {
    let mut reassembler = Reassembler::default();
    assert_eq!(told(push(&mut reassembler, &V4.packet(&datagram(false)))), Told::AsIs);
    assert_eq!(reassembler.counters().fragments, 0);
}

#[test]
fn incomplete_datagrams_are_given_up_after_their_time() {
    let mut reassembler = Reassembler::default();
    let second = 1_000_000_000;
    reassembler.push(&packet(&part(false, (0, 24, true))), 0);
    reassembler.push(&packet(&part(true, (0, 24, true))), 0);
    reassembler.push(&packet(&part(false, (24, 32, true))), 29 * second); // does not prolong it
    assert_eq!(reassembler.deadline_ns(), Some(30 * second));
    assert_eq!(told(reassembler.push(&packet(&part(false, (32, 64, false))), 30 * second)), QUEUED);
    assert_eq!((reassembler.counters().expired, reassembler.incomplete()), (1, 2));
    assert_eq!((reassembler.expire(59 * second), reassembler.expire(60 * second)), (0, 2));
    assert_eq!(reassembler.deadline_ns(), None);
}

#[test]
fn too_many_fragments_of_one_source_in_between_throw_away_what_was_there() {
    for (between, expected) in [(63, WHOLE4), (64, QUEUED)] {
        let mut reassembler = Reassembler::default();
        push(&mut reassembler, &part(false, (0, 24, true)));
        for id in 0..between {
            push(&mut reassembler, &V4 { id: 1000 + id, more: true, ..V4 }.packet(&[0; 8]));
        }
        assert_eq!(told(push(&mut reassembler, &part(false, (24, 64, false)))), expected);
        // What came now has begun the datagram anew.
        let again = told(push(&mut reassembler, &part(false, (0, 24, true))));
        assert_eq!(again, if between == 64 { WHOLE4 } else { QUEUED });
        assert_eq!(reassembler.counters().restarted, u64::from(between == 64));
    }
}

#[test]
fn memory_is_bounded_and_free_again_when_the_time_is_over() {
    let mut reassembler = Reassembler::new(Limits { ipv4_high_bytes: 100_000, ..Limits::default() });
    let mut taken = 0;
    for id in 0..1000 {
        let fragment = V4 { id, more: true, ..V4 }.packet(&[0; 1000]);
        match told(push(&mut reassembler, &fragment)) {
            QUEUED => taken += 1,
            done => assert_eq!(done, Told::Dropped(FragmentError::Memory)),
        }
    }
    assert_eq!(taken, 53, "1896 bytes each by the kernel's accounting, and one above the limit");
    assert_eq!(reassembler.counters().dropped[FragmentError::Memory.counter()], 947);
    assert_eq!(told(push(&mut reassembler, &part(true, (0, 24, true)))), QUEUED, "IPv6 has room of its own");
    reassembler.expire(i64::MAX);
    assert_eq!(told(push(&mut reassembler, &part(false, (0, 24, true)))), QUEUED);
}

#[test]
fn a_datagram_is_cut_where_one_of_its_fragments_was() {
    let mut reassembler = Reassembler::default();
    let first = part(false, (0, 24, true));
    let cut = decode_ip(&first[..36], first.len() as u32).unwrap();
    assert_eq!(told(reassembler.push(&cut, 0)), QUEUED);
    let Reassembled::Whole(Datagram { bytes, .. }) = push(&mut reassembler, &part(false, (24, 64, false))) else {
        panic!()
    };
    let found = decode_rebuilt(&bytes).unwrap();
    assert_eq!((found.ip.len(), found.total_len, found.is_cut()), (36, 84, true));
    assert_eq!(verify_l4(&found), Checksum::Unknown);
}

#[test]
fn what_was_put_together_is_not_checked_again() {
    // Options that the IP layer refuses, in the part that was fragmented: there it does not look.
    let data = [extension(17, &[0x5e, 4, 0, 0, 0, 0]), datagram(true)].concat();
    let mut reassembler = Reassembler::default();
    push(&mut reassembler, &v6(44, 0, &[&fragment_header(0, 0, true, 7), &data[..24]].concat()));
    let last = v6(44, 0, &[&fragment_header(0, 24, false, 7), &data[24..]].concat());
    let Reassembled::Whole(Datagram { bytes, .. }) = push(&mut reassembler, &last) else { panic!() };
    assert!(decode_ip(&bytes, bytes.len() as u32).is_err());
    let found = decode_rebuilt(&bytes).unwrap();
    assert_eq!((found.l4proto, found.l4_at, found.no_l4), (17, 48, None));
}

#[test]
fn every_error_has_a_counter_of_its_own() {
    let errors = [Overlap, Duplicate, End, Empty, FragmentError::TooLong, FragmentError::Ecn, FragmentError::Memory];
    let counters: Vec<_> = errors.iter().map(|error| error.counter()).collect();
    assert_eq!(counters, (0..FragmentError::COUNTERS.len()).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn any_fragmentation_in_any_order_gives_the_datagram(
        six in any::<bool>(), cuts in prop::collection::btree_set(1_u16..50, 0..8), len in 400_usize..1000,
        order in prop::collection::vec(any::<prop::sample::Index>(), 10),
    ) {
        let data = udp(six, 2000, &vec![0x5a; len]);
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| usize::from(cut) * 8).collect();
        ends.push(data.len());
        let mut start = 0;
        let mut parts = Vec::new();
        for end in ends {
            let (offset, more) = (start as u16, end < data.len());
            parts.push(if six {
                v6(44, 0, &[&fragment_header(17, offset, more, 9), &data[start..end]].concat())
            } else {
                V4 { id: 9, offset, more, ..V4 }.packet(&data[start..end])
            });
            start = end;
        }
        if !six && parts.len() == 1 {
            return Ok(()); // not fragmented
        }
        let mut reassembler = Reassembler::default();
        let mut done = Reassembled::Queued;
        for at in order {
            if parts.is_empty() { break }
            prop_assert_eq!(&done, &Reassembled::Queued);
            let next = parts.swap_remove(at.index(parts.len()));
            done = push(&mut reassembler, &next);
        }
        let whole = if six { v6(17, 0, &data) } else { V4 { id: 9, ..V4 }.packet(&data) };
        let Reassembled::Whole(found) = done else { panic!("incomplete") };
        prop_assert_eq!(found.bytes, whole);
        let sizes = found.pieces.pieces.iter().map(|piece| piece.len);
        prop_assert_eq!(sizes.sum::<u32>() as usize, data.len());
    }

    #[test]
    fn any_fragments_are_counted_once_and_leave_nothing(
        parts in prop::collection::vec(
            (any::<bool>(), 0_u16..4, 0_u16..20, 0_usize..40, any::<bool>(), 0_i64..100), 0..60),
    ) {
        let mut reassembler = Reassembler::new(Limits { ipv4_max_distance: 8, ..Limits::default() });
        let (mut now, mut pushed) = (0, 0);
        for (six, id, offset, len, more, seconds) in parts {
            now += seconds * 200_000_000;
            let data = vec![id as u8; len];
            let bytes = if six {
                v6(44, 0, &[&fragment_header(17, offset * 8, more, id.into()), &data[..]].concat())
            } else {
                V4 { id, offset: offset * 8, more, ..V4 }.packet(&data)
            };
            let packet = packet(&bytes);
            pushed += u64::from(packet.needs_reassembly());
            if let Reassembled::Whole(Datagram { bytes, .. }) = reassembler.push(&packet, now) {
                prop_assert!(!decode_rebuilt(&bytes).unwrap().is_cut());
            }
        }
        let counters = *reassembler.counters();
        prop_assert_eq!(counters.fragments, pushed);
        prop_assert!(counters.dropped.iter().sum::<u64>() + counters.datagrams + counters.as_is <= pushed);
        reassembler.expire(i64::MAX);
        prop_assert_eq!((reassembler.incomplete(), reassembler.deadline_ns()), (0, None));
    }
}
