//! Checksums by tracking's own rules. The verdicts are those of Linux 6.18 (`ct state invalid` or not).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod packet_support;

use conntap_core::packet::checksum::{is_partial, sum, update, update16};
use conntap_core::packet::{Checksum, decode_ip, verify_l4};
use packet_support::*;
use proptest::prelude::*;

fn verify(packet: &[u8]) -> Checksum {
    verify_l4(&decode_ip(packet, packet.len() as u32).unwrap())
}

/// The verdict on `l4`, and on it with one bit flipped at `at`.
fn both(proto: u8, six: bool, l4: &[u8], at: usize) -> (Checksum, Checksum) {
    let wrap = |l4: &[u8]| if six { v6(proto, 0, l4) } else { V4 { proto, ..V4 }.packet(l4) };
    let mut spoilt = l4.to_vec();
    spoilt[at] ^= 0x10;
    (verify(&wrap(l4)), verify(&wrap(&spoilt)))
}

const CHECKED: (Checksum, Checksum) = (Checksum::Good, Checksum::Bad);

fn icmp(six: bool, data: &[u8]) -> Vec<u8> {
    let mut message = [&[if six { 128 } else { 8 }, 0, 0, 0, 0, 9, 0, 1][..], data].concat();
    let head = if six { pseudo(true, 58, message.len()) } else { Vec::new() };
    let sum = checksum(&[&head, &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// UDP-Lite over `covered` bytes, with the protocol number `proto` in the pseudo header.
fn udplite(covered: u16, proto: u8, data: &[u8]) -> Vec<u8> {
    let mut packet = [&[0, 1, 0, 2][..], &covered.to_be_bytes(), &[0, 0], data].concat();
    let end = if covered == 0 { packet.len() } else { usize::from(covered) };
    let sum = checksum(&[&pseudo(false, proto, packet.len()), &packet[..end]]);
    packet[6..8].copy_from_slice(&sum.to_be_bytes());
    packet
}

#[test]
fn tcp_udp_and_both_icmp_are_summed_in_every_length() {
    for len in 0..70 {
        let data: Vec<u8> = (0..len).map(|byte| byte * 3).collect();
        for six in [false, true] {
            assert_eq!(both(6, six, &tcp(six, &data), 4), CHECKED, "TCP, {len} bytes");
            assert_eq!(both(17, six, &udp(six, 1000, &data), 0), CHECKED, "UDP, {len} bytes");
            assert_eq!(both(if six { 58 } else { 1 }, six, &icmp(six, &data), 5), CHECKED, "ICMP, {len} bytes");
        }
    }
}

#[test]
fn udp_without_checksum_is_good_in_ipv6_as_well() {
    for six in [false, true] {
        let mut packet = udp(six, 1000, b"data");
        packet[6..8].copy_from_slice(&[0, 0]);
        assert_eq!(both(17, six, &packet, 0), (Checksum::Good, Checksum::Good));
    }
}

#[test]
fn bytes_behind_the_udp_length_are_summed_too() {
    let sender = [udp(false, 1000, b"data"), b"more".to_vec()].concat();
    assert_eq!(verify(&V4.packet(&sender)), Checksum::Bad, "as its sender summed it");
    let mut all = sender;
    all[6..8].copy_from_slice(&[0, 0]);
    let sum = checksum(&[&pseudo(false, 17, all.len()), &all]);
    all[6..8].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(verify(&V4.packet(&all)), Checksum::Good);
}

#[test]
fn udplite_is_summed_over_its_coverage_and_with_the_protocol_number_of_udp() {
    assert_eq!(both(136, false, &udplite(0, 17, b"data"), 9), CHECKED);
    assert_eq!(both(136, false, &udplite(8, 17, b"data"), 9), (Checksum::Good, Checksum::Good), "not covered");
    assert_eq!(both(136, false, &udplite(8, 17, b"data"), 1), CHECKED);
    assert_eq!(verify(&V4 { proto: 136, ..V4 }.packet(&udplite(0, 136, b"data"))), Checksum::Bad, "RFC 3828");
    for (covered, why) in [(7_u16, "less than the header"), (13, "more than there is")] {
        let mut packet = udplite(0, 17, b"data");
        packet[4..6].copy_from_slice(&covered.to_be_bytes());
        assert_eq!(verify(&V4 { proto: 136, ..V4 }.packet(&packet)), Checksum::Bad, "{why}");
    }
    let none = [&udplite(0, 17, b"data")[..6], &[0, 0], b"data"].concat();
    assert_eq!(verify(&V4 { proto: 136, ..V4 }.packet(&none)), Checksum::Bad, "it must have one");
}

#[test]
fn sctp_has_a_crc() {
    // An INIT.
    let init = [
        0x13, 0x88, 0x17, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20, 0, 0, 0, 0x11, 0, 0, 0xff, 0xff, 0, 10, 0, 10, 0,
        0, 0, 1,
    ];
    let mut packet = init.to_vec();
    packet[8..12].copy_from_slice(&slow_crc32c(&init).to_le_bytes());
    for six in [false, true] {
        assert_eq!(both(132, six, &packet, 30), CHECKED);
    }
    assert_eq!(verify(&V4 { proto: 132, ..V4 }.packet(&packet[..11])), Checksum::Bad);
}

fn slow_crc32c(bytes: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for byte in bytes {
        remainder ^= u32::from(*byte);
        for _ in 0..8 {
            remainder = (remainder >> 1) ^ if remainder & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !remainder
}

#[test]
fn other_protocols_have_nothing_to_check() {
    for (proto, six) in [(47, false), (50, true), (33, false), (1, true), (58, false)] {
        assert_eq!(both(proto, six, &[0x55; 24], 3), (Checksum::Good, Checksum::Good), "{proto}");
    }
}

#[test]
fn what_was_cut_is_not_known() {
    for (proto, l4) in [(6, tcp(false, b"data")), (17, udp(false, 1, b"data")), (132, vec![1; 20])] {
        let packet = V4 { proto, ..V4 }.packet(&l4);
        let cut = decode_ip(&packet[..packet.len() - 1], packet.len() as u32).unwrap();
        assert_eq!(verify_l4(&cut), Checksum::Unknown, "{proto}");
    }
    let lite = V4 { proto: 136, ..V4 }.packet(&udplite(8, 17, b"data"));
    assert_eq!(verify_l4(&decode_ip(&lite[..28], 32).unwrap()), Checksum::Good, "all that is covered is there");
    let later = V4 { offset: 8, ..V4 }.packet(&[0; 8]);
    assert_eq!(verify(&later), Checksum::Unknown);
}

#[test]
fn a_checksum_left_to_the_network_card_is_known_as_such() {
    for six in [false, true] {
        let wrap = |l4: &[u8]| if six { v6(6, 0, l4) } else { V4 { proto: 6, ..V4 }.packet(l4) };
        let mut segment = tcp(six, b"data");
        let whole = wrap(&segment);
        assert!(!is_partial(&decode_ip(&whole, whole.len() as u32).unwrap()));
        let head = !checksum(&[&pseudo(six, 6, segment.len())]);
        segment[16..18].copy_from_slice(&head.to_be_bytes());
        let partial = wrap(&segment);
        assert!(is_partial(&decode_ip(&partial, partial.len() as u32).unwrap()));
        assert_eq!(verify(&partial), Checksum::Bad);
    }
}

#[test]
fn the_example_of_rfc_1624() {
    assert_eq!(update16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

proptest! {
    #[test]
    fn the_fast_sum_is_the_slow_sum(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert_eq!(!sum(&bytes), checksum(&[&bytes]));
    }

    #[test]
    fn an_updated_checksum_verifies(
        data in prop::collection::vec(any::<u8>(), 2..200), new in prop::collection::vec(any::<u8>(), 16),
        at in any::<prop::sample::Index>(), len in prop::sample::select(&[2_usize, 4, 16][..]),
    ) {
        // A non-zero word that stays, as every header has: the two zeros of one's complement do not meet.
        let mut data = [&[0x45, 0][..], &data].concat();
        let at = at.index(data.len() - 1) / 2 * 2;
        let len = if at < 2 { return Ok(()) } else { len.min((data.len() - at) / 2 * 2) };
        let before = checksum(&[&data]);
        let old = data[at..at + len].to_vec();
        data[at..at + len].copy_from_slice(&new[..len]);
        prop_assert_eq!(update(before, &old, &new[..len]), checksum(&[&data]));
    }
}
