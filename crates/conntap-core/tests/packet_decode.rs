//! What the IP layer lets through, what it drops and why, and where tracking finds layer 4. The verdicts are those of
//! Linux 6.18, asked with crafted frames on a veth pair (`ct state` counters and /proc/net/snmp).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod packet_support;

use conntap_core::packet::{NoL4, Packet, PacketError, decode, decode_ip, decode_quoted, linktype};
use conntap_core::wire::constants::{AF_INET, AF_INET6};
use packet_support::*;
use proptest::prelude::*;

fn whole(linktype: u16, frame: &[u8]) -> Result<Packet<'_>, PacketError> {
    decode(linktype, frame, frame.len() as u32)
}

fn ip(bytes: &[u8]) -> Result<Packet<'_>, PacketError> {
    decode_ip(bytes, bytes.len() as u32)
}

/// Protocol, offset of layer 4 and why there is none.
fn l4(bytes: &[u8]) -> (u8, u16, Option<NoL4>) {
    let packet = ip(bytes).unwrap();
    (packet.l4proto, packet.l4_at, packet.no_l4)
}

#[test]
fn an_ipv4_packet_gives_its_fields_and_loses_the_ethernet_padding() {
    let packet = V4.packet(&udp(false, 1000, b"query"));
    let frame = ethernet(0x0800, &[&packet[..], &[0; 13]].concat());
    let found = whole(linktype::ETHERNET, &frame).unwrap();
    assert_eq!(found.ip, packet);
    assert_eq!((found.family, found.l4proto, found.l4_at, found.ttl, found.total_len), (AF_INET, 17, 20, 64, 33));
    assert_eq!((&found.src[..4], &found.dst[..4], found.src[4..] == [0; 12]), (&SRC4[..], &DST4[..], true));
    assert_eq!((found.l4(), found.l4_len(), found.is_cut()), (&packet[20..], 13, false));
    assert_eq!((found.fragment, found.no_l4, found.needs_reassembly()), (None, None, false));
}

#[test]
fn an_ipv6_packet_gives_its_fields() {
    let packet = v6(6, 0, &tcp(true, b"data"));
    let frame = ethernet(0x86dd, &packet);
    let found = whole(linktype::ETHERNET, &frame).unwrap();
    assert_eq!((found.family, found.l4proto, found.l4_at, found.ttl, found.total_len), (AF_INET6, 6, 40, 64, 64));
    assert_eq!((found.src, found.dst, found.l4()), (SRC6, DST6, &packet[40..]));
}

#[test]
fn ipv4_options_are_passed_over() {
    let packet = V4 { options: &[1, 1, 1, 0], ..V4 }.packet(&udp(false, 1000, b""));
    assert_eq!(l4(&packet), (17, 24, None));
}

#[test]
fn every_link_layer_leads_to_the_same_packet() {
    let four = V4.packet(&udp(false, 1000, b"query"));
    let six = v6(17, 0, &udp(true, 1000, b"query"));
    let ppp = |protocol: u16, packet: &[u8]| {
        let len = (packet.len() as u16 + 2).to_be_bytes();
        [&[0x11, 0, 0, 9][..], &len, &protocol.to_be_bytes(), packet].concat()
    };
    let tag = |ethertype: u16, rest: &[u8]| [&[0, 7][..], &ethertype.to_be_bytes(), rest].concat();
    let sll = |ethertype: u16, packet: &[u8]| {
        [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &ethertype.to_be_bytes(), packet].concat()
    };
    let sll2 = |ethertype: u16, packet: &[u8]| {
        [&ethertype.to_be_bytes()[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], packet].concat()
    };
    let snap = |packet: &[u8]| {
        let frame = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], packet].concat();
        ethernet(frame.len() as u16, &frame)
    };
    let null = |family: [u8; 4], packet: &[u8]| [&family[..], packet].concat();
    let frames = [
        (linktype::ETHERNET, ethernet(0x8100, &tag(0x0800, &four)), &four),
        (linktype::ETHERNET, ethernet(0x88a8, &tag(0x8100, &tag(0x0800, &four))), &four),
        (linktype::ETHERNET, ethernet(0x9100, &tag(0x8100, &tag(0x86dd, &six))), &six),
        (linktype::ETHERNET, ethernet(0x8864, &ppp(0x0021, &four)), &four),
        (linktype::ETHERNET, ethernet(0x8100, &tag(0x8864, &ppp(0x0057, &six))), &six),
        (linktype::ETHERNET, snap(&four), &four),
        (linktype::LINUX_SLL, sll(0x0800, &four), &four),
        (linktype::LINUX_SLL, sll(0x8100, &tag(0x86dd, &six)), &six),
        (linktype::LINUX_SLL2, sll2(0x86dd, &six), &six),
        (linktype::RAW, four.clone(), &four),
        (linktype::RAW_BSD, six.clone(), &six),
        (linktype::RAW_OPENBSD, four.clone(), &four),
        (linktype::IPV4, four.clone(), &four),
        (linktype::IPV6, six.clone(), &six),
        (linktype::NULL, null([2, 0, 0, 0], &four), &four),
        (linktype::NULL, null([0, 0, 0, 30], &six), &six),
        (linktype::NULL, null([10, 0, 0, 0], &six), &six),
        (linktype::LOOP, null([0, 0, 0, 2], &four), &four),
        (linktype::LOOP, null([0, 0, 0, 24], &six), &six),
    ];
    for (linktype, frame, packet) in frames {
        let found = whole(linktype, &frame).unwrap_or_else(|error| panic!("{linktype}: {error}: {frame:02x?}"));
        assert_eq!(found, ip(packet).unwrap(), "{linktype}: {frame:02x?}");
    }
}

#[test]
fn what_is_no_ip_says_what_it_is() {
    let texts = [
        (linktype::ETHERNET, ethernet(0x0806, &[0; 28]), "not IP: ethertype 0x0806 (ARP)"),
        (linktype::ETHERNET, ethernet(0x8100, &[0, 7, 0x88, 0xcc, 0]), "not IP: ethertype 0x88cc (LLDP)"),
        (linktype::ETHERNET, ethernet(38, &[0x42; 38]), "not IP: an 802.2 frame for service access point 0x42"),
        (
            linktype::LINUX_SLL,
            [[0; 14].as_slice(), &[0, 4], &[0x42; 38]].concat(),
            "not IP: an 802.2 frame for service access point 0x42",
        ),
        (linktype::ETHERNET, ethernet(0x8864, &[0x11, 0, 0, 1, 0, 4, 0xc0, 0x21, 1, 1]), "not IP: ethertype 0xc021"),
        (linktype::NULL, vec![17, 0, 0, 0, 0x45], "not IP: ethertype 0x0011"),
        (linktype::ETHERNET, ethernet(0x8864, &[0x11, 9, 0, 0, 0, 0]), "a PPPoE frame of another version or code"),
        (105, vec![0; 64], "link type 105 is not read"),
    ];
    for (linktype, frame, text) in texts {
        assert_eq!(whole(linktype, &frame).unwrap_err().to_string(), text);
    }
}

#[test]
fn the_ip_layer_drops_bad_ipv4_headers() {
    let good = V4.packet(&udp(false, 1000, b"query"));
    let spoilt = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        packet
    };
    assert_eq!(ip(&spoilt(11, 0xff)), Err(PacketError::HeaderChecksum));
    assert_eq!(ip(&spoilt(0, 0x55)), Err(PacketError::Version { version: 5 }));
    assert_eq!(ip(&spoilt(0, 0x44)), Err(PacketError::HeaderLength { len: 16 }));
    assert_eq!(ip(&spoilt(0, 0x46)), Err(PacketError::HeaderChecksum), "the options are summed too");
    let long = V4 { total: Some(34), ..V4 }.packet(&good[20..]);
    assert_eq!(ip(&long), Err(PacketError::TotalLength { len: 34, have: 33 }));
    let short = V4 { total: Some(19), ..V4 }.packet(&good[20..]);
    assert_eq!(ip(&short), Err(PacketError::TotalLength { len: 19, have: 33 }));
    let frame = ethernet(0x86dd, &[&good[..], &[0; 13]].concat());
    assert_eq!(whole(linktype::ETHERNET, &frame), Err(PacketError::Version { version: 4 }));
}

#[test]
fn the_ip_layer_drops_bad_ipv6_headers_and_addresses() {
    let good = v6(17, 0, &udp(true, 1000, b"query"));
    let with = |at: usize, bytes: &[u8]| {
        let mut packet = good.clone();
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        packet
    };
    assert_eq!(ip(&with(4, &[0, 14])), Err(PacketError::TotalLength { len: 54, have: 53 }));
    let loopback = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(ip(&with(8, &loopback)), Err(PacketError::Address));
    assert_eq!(ip(&with(24, &loopback)), Err(PacketError::Address));
    assert!(ip(&with(8, &[loopback, loopback].concat())).is_ok(), "a capture of the loopback device");
    assert_eq!(ip(&with(8, &[0xff, 2])), Err(PacketError::Address));
    assert_eq!(ip(&with(24, &[0xff, 0])), Err(PacketError::Address));
    assert_eq!(ip(&with(24, &[0xff, 1])), Err(PacketError::Address));
    assert!(ip(&with(24, &[0xff, 2])).is_ok());
}

#[test]
fn a_length_of_zero_is_no_error_where_something_else_says_the_length() {
    let mut jumbo = v6(0, 0, &[extension(17, &[0xc2, 4, 0, 1, 0, 8]), vec![0; 65_536]].concat());
    jumbo[4..6].copy_from_slice(&[0, 0]);
    let found = ip(&jumbo).unwrap();
    assert_eq!((found.total_len, found.l4_len(), found.l4_at), (40 + 65_544, 65_536, 48));

    let big = V4 { proto: 6, total: Some(0), ..V4 }.packet(&vec![0; 70_000]);
    assert_eq!(ip(&big).unwrap().total_len, 70_020, "a segment that offloading made");
    let small = V4 { proto: 6, total: Some(0), ..V4 }.packet(&[0; 100]);
    assert_eq!(ip(&small), Err(PacketError::TotalLength { len: 0, have: 120 }));
}

#[test]
fn hop_by_hop_options_are_checked_as_the_kernel_does() {
    let eight: Vec<u8> = [0x1e, 0].repeat(8).into_iter().chain([1, 4, 0, 0, 0, 0]).collect();
    let nine: Vec<u8> = [0x1e, 0].repeat(9).into_iter().chain([1, 2, 0, 0]).collect();
    let cases: [(&str, &[u8], bool); 13] = [
        ("PadN", &[1, 4, 0, 0, 0, 0], true),
        ("Pad1, six times", &[0; 6], true),
        ("PadN that is not zero", &[1, 4, 0, 0, 1, 0], false),
        ("padding of eight bytes", &[1, 6, 0, 0, 0, 0, 0, 0, 0x1e, 4, 0, 0, 0, 0], false),
        ("an option that runs out of the header", &[1, 5, 0, 0, 0, 0], false),
        ("unknown, to be skipped", &[0x1e, 4, 1, 2, 3, 4], true),
        ("unknown, to be discarded", &[0x5e, 4, 1, 2, 3, 4], false),
        ("router alert", &[5, 2, 0, 0, 1, 0], true),
        ("router alert of another length", &[5, 3, 0, 0, 0, 0], false),
        ("a jumbo length that is none", &[0xc2, 4, 0, 0, 0, 16], false),
        ("eight options", &eight, true),
        ("nine options", &nine, false),
        ("an option of no length", &[1, 2, 0, 0, 0, 0x1e], false),
    ];
    for (what, options, passes) in cases {
        let packet = v6(0, 0, &[extension(17, options), udp(true, 1000, b"query")].concat());
        let expected = if passes { Ok((17, 42 + options.len() as u16, None)) } else { Err(PacketError::HopByHop) };
        assert_eq!(ip(&packet).map(|packet| (packet.l4proto, packet.l4_at, packet.no_l4)), expected, "{what}");
    }
    let beyond = v6(0, 0, &[17, 9, 1, 4, 0, 0, 0, 0]);
    assert_eq!(ip(&beyond), Err(PacketError::Truncated { need: 80, have: 8 }));
}

#[test]
fn extension_headers_are_skipped_as_tracking_does() {
    let inner = udp(true, 1000, b"query");
    let over = |next: u8, headers: &[u8]| v6(next, 0, &[headers, &inner].concat());
    let pad = [1, 4, 0, 0, 0, 0];
    assert_eq!(l4(&over(60, &extension(17, &pad))), (17, 48, None), "destination options");
    assert_eq!(l4(&over(43, &extension(17, &[4, 0, 0, 0, 0, 0]))), (17, 48, None), "routing");
    assert_eq!(l4(&over(51, &[17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])), (17, 52, None), "AH counts in four bytes");
    let three = [extension(43, &pad), extension(60, &pad), extension(17, &pad)].concat();
    assert_eq!(l4(&over(0, &three)), (17, 64, None));
    assert_eq!(l4(&over(50, &[])), (50, 40, None), "ESP is a layer 4");
    assert_eq!(l4(&over(135, &[])), (135, 40, None), "so is mobility");
    assert_eq!(l4(&over(59, &[])), (59, 40, Some(NoL4::NoNextHeader)));
    assert_eq!(l4(&over(60, &extension(59, &pad))), (59, 48, Some(NoL4::NoNextHeader)));
    assert_eq!(l4(&v6(200, 0, &[])), (200, 40, None), "tracked without a byte of layer 4");
    assert_eq!(l4(&v6(60, 0, &[200, 5, 1, 4, 0, 0, 0, 0])), (200, 88, None), "even where it lies behind the packet");
    assert_eq!(l4(&v6(60, 0, &[60, 5, 1, 4, 0, 0, 0, 0])), (60, 88, Some(NoL4::HeaderWalk)));
    assert_eq!(l4(&v6(44, 0, &[17, 0, 0, 0])), (44, 40, Some(NoL4::HeaderWalk)), "half a fragment header");
}

#[test]
fn fragments_are_told_by_their_headers() {
    let first = V4 { id: 7, more: true, ..V4 }.packet(&[1; 16]);
    let found = ip(&first).unwrap();
    let fragment = found.fragment.unwrap();
    assert_eq!((fragment.id, fragment.offset, fragment.more, found.no_l4), (7, 0, true, None));
    let later = V4 { id: 7, offset: 16, ..V4 }.packet(&[1; 16]);
    let found = ip(&later).unwrap();
    let fragment = found.fragment.unwrap();
    assert_eq!((fragment.offset, fragment.more, found.no_l4), (16, false, Some(NoL4::LaterFragment)));

    let later = v6(60, 0, &[extension(44, &[1, 4, 0, 0, 0, 0]), fragment_header(17, 24, true, 9), vec![3; 8]].concat());
    let found = ip(&later).unwrap();
    let fragment = found.fragment.unwrap();
    assert_eq!((fragment.id, fragment.offset, fragment.more, fragment.header_at), (9, 24, true, 48));
    assert_eq!((found.l4proto, found.l4(), found.no_l4), (17, &[3; 8][..], Some(NoL4::LaterFragment)));
}

#[test]
fn an_atomic_fragment_is_a_whole_packet_that_counts_without_its_header() {
    let packet = v6(44, 0, &[fragment_header(17, 0, false, 7), udp(true, 1000, b"abc")].concat());
    let found = ip(&packet).unwrap();
    assert_eq!((found.fragment, found.l4proto, found.l4_at, found.no_l4), (None, 17, 48, None));
    assert_eq!((found.total_len, found.counted_len(), found.needs_reassembly()), (59, 51, true));
}

#[test]
fn only_the_first_fragment_header_counts() {
    let two = [fragment_header(44, 0, false, 7), fragment_header(17, 8, false, 8), vec![1; 8]].concat();
    let packet = v6(44, 0, &two);
    let found = ip(&packet).map(|packet| (packet.fragment, packet.atomic.map(|it| it.id), packet.no_l4));
    assert_eq!(found, Ok((None, Some(7), Some(NoL4::LaterFragment))));
}

#[test]
fn a_capture_that_cuts_packets_gives_what_it_has() {
    let packet = V4.packet(&udp(false, 1000, &[7; 100]));
    let frame = ethernet(0x0800, &packet);
    let found = decode(linktype::ETHERNET, &frame[..50], frame.len() as u32).unwrap();
    assert_eq!((found.ip.len(), found.total_len, found.l4_len(), found.is_cut()), (36, 128, 108, true));
    let short = decode(linktype::ETHERNET, &frame[..30], frame.len() as u32);
    assert_eq!(short, Err(PacketError::Cut { need: 20, have: 16 }), "the capture is to blame");
    assert_eq!(whole(linktype::ETHERNET, &frame[..30]), Err(PacketError::Truncated { need: 20, have: 16 }));
    let six = v6(60, 0, &[extension(17, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), udp(true, 1, b"")].concat());
    let found = decode_ip(&six[..41], six.len() as u32).unwrap();
    assert_eq!(found.no_l4, Some(NoL4::Cut));
}

#[test]
fn a_quoted_packet_is_read_without_checks() {
    let mut quoted = V4 { proto: 6, total: Some(1500), ..V4 }.packet(&[0x30, 0x39, 0, 80, 0, 0, 0, 1]);
    quoted[10] ^= 0xff; // a router has rewritten the header and not its checksum
    let found = decode_quoted(AF_INET, &quoted).unwrap();
    assert_eq!((found.l4proto, found.l4(), &found.dst[..4]), (6, &quoted[20..], &DST4[..]));
    assert_eq!(decode_quoted(AF_INET, &quoted[..19]), None);
    assert_eq!(decode_quoted(AF_INET, &V4 { offset: 8, ..V4 }.packet(&[0; 8])), None, "a later fragment");
    let six = v6(60, 0, &[extension(17, &[1, 4, 0, 0, 0, 0]), udp(true, 1000, b"")].concat());
    assert_eq!(decode_quoted(AF_INET6, &six).unwrap().l4_at, 48);
    assert_eq!(decode_quoted(AF_INET6, &six[..41]), None);
    assert_eq!(decode_quoted(AF_INET6, &v6(59, 0, &[])), None);
}

#[test]
fn every_error_has_a_counter_of_its_own() {
    let errors = [
        PacketError::Linktype { linktype: 0 },
        PacketError::NotIp { ethertype: 0 },
        PacketError::NotIpLlc { dsap: 0 },
        PacketError::Truncated { need: 0, have: 0 },
        PacketError::Cut { need: 0, have: 0 },
        PacketError::Version { version: 0 },
        PacketError::HeaderLength { len: 0 },
        PacketError::HeaderChecksum,
        PacketError::TotalLength { len: 0, have: 0 },
        PacketError::HopByHop,
        PacketError::Address,
        PacketError::Pppoe,
    ];
    let counters: Vec<_> = errors.iter().map(|error| error.counter()).collect();
    assert_eq!(counters, (0..PacketError::COUNTERS.len()).collect::<Vec<_>>());
}

const LINKTYPES: [u16; 11] = [0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 999];

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(
        linktype in prop::sample::select(&LINKTYPES[..]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        more in 0_u32..2000,
    ) {
        let original = bytes.len() as u32 + more;
        if let Ok(packet) = decode(linktype, &bytes, original) {
            prop_assert!(packet.ip.len() <= bytes.len() && packet.total_len <= original);
            prop_assert!(packet.ip.len() as u32 <= packet.total_len);
        }
        let _ = (decode_quoted(AF_INET, &bytes), decode_quoted(AF_INET6, &bytes));
    }

    #[test]
    fn what_was_encoded_decodes_whatever_is_cut(
        proto in any::<u8>(), tos in any::<u8>(), id in any::<u16>(), df in any::<bool>(), more in any::<bool>(),
        offset in (0_u16..8000).prop_map(|offset| offset * 8), words in 0_usize..=10,
        payload in prop::collection::vec(any::<u8>(), 0..100), cut in 0_usize..100,
    ) {
        let options = vec![1; words * 4];
        let packet = V4 { proto, tos, id, offset, more, df, options: &options, total: None }.packet(&payload);
        let kept = &packet[..packet.len() - cut.min(payload.len())];
        let found = decode_ip(kept, packet.len() as u32).unwrap();
        prop_assert_eq!((found.ip, found.total_len), (kept, packet.len() as u32));
        prop_assert_eq!((found.l4proto, usize::from(found.l4_at)), (proto, 20 + options.len()));
        let fragment = found.fragment.map(|it| (it.id, it.offset, it.more));
        prop_assert_eq!(fragment, (more || offset > 0).then_some((id.into(), offset.into(), more)));
        prop_assert_eq!(found.no_l4.is_some(), offset > 0);
    }
}
