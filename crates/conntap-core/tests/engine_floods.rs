//! What somebody who chooses every packet can make the engine spend: memory, time, entries of its tables.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod engine_support;
mod packet_support;

use std::collections::BTreeMap;

use conntap_core::engine::Direction::{Original, Reply};
use conntap_core::engine::expect::{Refused, Wanted};
use conntap_core::engine::nat::{Manip, Range, Rule};
use conntap_core::engine::{Input, Reason, Settings, State, Step};
use conntap_core::model::Kind::{ExpDestroy, New, Update};
use conntap_core::packet::{Limits, Reassembler, decode_ip};
use conntap_core::wire::constants::*;
use engine_support::*;

const C: [u8; 4] = [203, 0, 113, 1];
const MIB: u64 = 1 << 20;

/// Memory that this process holds; each test of this file may add its own few MiB.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn host(number: u32) -> [u8; 4] {
    let [_, high, middle, low] = number.to_be_bytes();
    [10, high, middle, low]
}

fn syn(number: u32) -> Vec<u8> {
    tcp_between(Original, (host(number), 40_000), (B, 80), SYN, 1000, 0, 0)
}

/// How many of these keys share a bucket with so many others: the fullest bucket of as many buckets as keys.
fn fullest(keys: &[conntap_core::engine::Key], seed: [u64; 2]) -> usize {
    let mut buckets: BTreeMap<u64, usize> = BTreeMap::new();
    for key in keys {
        // The bits that the table goes by.
        *buckets.entry((key.hash(seed) >> 32) % keys.len() as u64).or_default() += 1;
    }
    buckets.into_values().max().unwrap()
}

#[test]
fn whatever_part_of_a_tuple_somebody_counts_up_the_buckets_fill_evenly() {
    let count = 0..1_u32 << 13;
    let by_port: Vec<_> = count.clone().map(|n| key((A, n as u16), (B, 53), 17)).collect();
    let by_address: Vec<_> = count.clone().map(|n| key((host(n), 1000), (B, 53), 17)).collect();
    let by_high_bits: Vec<_> = count.clone().map(|n| key(((n << 19).to_be_bytes(), 1000), (B, 53), 17)).collect();
    let of_both: Vec<_> = count.map(|n| key((host(n), n as u16), (host(!n), !n as u16), 6)).collect();
    for keys in [by_port, by_address, by_high_bits, of_both] {
        for seed in [[0, 0], [1, 0], [u64::MAX, 7], [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]] {
            // 8,192 balls in as many bins: more than 10 in one comes once in a million times.
            assert!(fullest(&keys, seed) <= 10, "{} in one bucket", fullest(&keys, seed));
        }
    }
}

#[test]
fn keys_that_collide_under_one_seed_spread_under_another() {
    let all = (0..1_u32 << 18).map(|n| key((host(n), 1000), (B, 53), 17));
    let chosen: Vec<_> = all.filter(|key| (key.hash([1, 2]) >> 32) % 1024 == 7).collect();
    assert!(chosen.len() > 200);
    assert!(fullest(&chosen, [3, 4]) <= 8);
}

#[test]
fn half_open_connections_stay_below_the_limit_and_leave_no_memory_behind() {
    let mut bench = Bench::with(Settings { max_entries: 1000, ..Settings::default() });
    for number in 0..30_000 {
        assert_eq!(bench.pass(&syn(number)).state, State::New);
        let _ = bench.engine.take_events();
    }
    let counters = bench.engine.counters();
    assert_eq!((bench.engine.flow_count(), counters.early_dropped), (1000, 29_000));
    assert!(bench.engine.memory() < 1 << 20, "{} bytes for 1,000 flows", bench.engine.memory());
    assert_eq!(bench.engine.check(), Ok(()));
}

#[test]
fn connections_that_end_at_once_leave_no_timer_behind() {
    let mut bench = Bench::new();
    for number in 0..30_000 {
        bench.pass(&syn(number));
        let reset = bench.pass(&tcp_between(Original, (host(number), 40_000), (B, 80), RST, 1001, 0, 0));
        assert_eq!(reset.reason, Reason::ResetBeforeAnswer);
        let _ = bench.engine.take_events();
    }
    assert_eq!(bench.engine.flow_count(), 0);
    assert!(bench.engine.memory() < 300_000, "{} bytes for no flow", bench.engine.memory());
}

#[test]
fn fragments_that_never_become_a_datagram_cost_bounded_memory() {
    let (mut reassembler, before) = (Reassembler::new(Limits::default()), resident());
    let data = [7_u8; 1400];
    for number in 0..60_000_u32 {
        let [a, b, c, d] = number.to_be_bytes();
        let mut packet = if number % 2 == 0 {
            let mut packet = packet_support::V4 { id: c.into(), more: true, ..packet_support::V4 }.packet(&data);
            packet[12..16].copy_from_slice(&[a, b, c, d]);
            packet[10..12].fill(0);
            let sum = packet_support::checksum(&[&packet[..20]]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            packet
        } else {
            packet_support::v6(44, 0, &[&packet_support::fragment_header(17, 0, true, number)[..], &data].concat())
        };
        if number % 8 == 7 {
            packet.truncate(packet.len() - 1000); // cut by the capture: counts as whole
        }
        let packet = decode_ip(&packet, if number % 2 == 0 { 1420 } else { 1448 }).unwrap();
        reassembler.push(&packet, i64::from(number));
    }
    assert!(reassembler.incomplete() < 10_000, "{} wait", reassembler.incomplete());
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 * MIB, "{grown} bytes more than before");
}

/// A control connection whose helper is asked.
fn asked(settings: Settings, policies: &[(u32, u32)]) -> Bench {
    let mut bench = Bench::with(settings);
    bench.helper("ftp", 6, 21, policies);
    let (client, server) = ((A, 40_000), (B, 21));
    bench.pass(&tcp_between(Original, client, server, SYN, 1000, 0, 0));
    bench.pass(&tcp_between(Reply, client, server, SYN | ACK, 5000, 1001, 0));
    assert_eq!(bench.begin(&tcp_between(Original, client, server, ACK, 1001, 5001, 20)), Step::Ask);
    bench
}

fn wanted(src: [u8; 4], dport: u16) -> Wanted {
    Wanted {
        key: key((src, 0), (A, dport), 6),
        src_mask: [0xff; 16],
        sport_mask: 0,
        class: 0,
        flags: 0,
        timeout: None,
        helper: None,
        nat: None,
        removes_inverse: false,
        any_master: false,
    }
}

#[test]
fn a_million_expectations_stay_below_the_limit() {
    let mut bench = asked(Settings { expect_max: 64, ..Settings::default() }, &[(0, 300)]);
    let before = resident();
    let mut refused = 0_u32;
    for number in 0..1_000_000_u32 {
        refused += u32::from(bench.engine.expect(&wanted(host(number), number as u16)).is_err());
        assert!(bench.engine.expectation_count() <= 64);
    }
    assert_eq!(refused, 1_000_000 - 64);
    assert_eq!(bench.engine.counters().expectations_refused, u64::from(refused));
    assert!(resident().saturating_sub(before) < 64 * MIB);
    assert_eq!(bench.engine.expect(&wanted(C, 1)), Err(Refused::Full));
    bench.engine.resume(true);
    assert_eq!(bench.engine.check(), Ok(()));
}

#[test]
fn expectations_that_replace_each_other_or_are_renewed_leave_no_timers_behind() {
    let mut bench = asked(Settings::default(), &[(1, 3600)]);
    let before = resident();
    for _ in 0..50_000 {
        bench.engine.expect(&wanted(B, 1)).unwrap();
        let _ = bench.engine.take_events();
    }
    let own = bench.engine.own_expectations();
    for seconds in 0..100_000 {
        assert!(bench.engine.refresh_expectation(&own[0], 7200 + seconds / 2, false));
    }
    assert_eq!(bench.engine.expectation_count(), 1);
    assert!(resident().saturating_sub(before) < 64 * MIB);
    bench.engine.resume(true);
    assert_eq!(bench.engine.check(), Ok(()));
}

#[test]
fn no_time_makes_the_clock_turn_for_ever() {
    for time_ns in [i64::MAX, i64::MAX - 1, i64::MIN, -1, 0] {
        let mut bench = Bench::new();
        bench.now_ns = time_ns;
        bench.pass(&syn(1));
        bench.pass(&syn(2));
        for again in [i64::MAX, 0, i64::MAX, i64::MAX, i64::MIN, i64::MAX] {
            bench.now_ns = again;
            bench.pass(&syn(3));
            bench.turn();
            assert_eq!(bench.engine.check(), Ok(()));
        }
        bench.engine.drain();
        assert_eq!(bench.engine.flow_count(), 0);
    }
}

#[test]
fn what_a_helper_drops_behind_nat_is_forgotten_as_a_whole() {
    let mut bench = Bench::new();
    bench.helper("tftp", 17, 69, &[(1, 300)]);
    bench.engine.add_nat_rule(masquerade());
    for number in 0..1000 {
        assert_eq!(bench.begin(&udp((host(number), 1000), (B, 69), b"\0\x01")), Step::Ask);
        bench.engine.resume(false);
    }
    assert_eq!(bench.engine.check(), Ok(()));
}

fn masquerade() -> Rule {
    let gateway = key((C, 0), (C, 0), 17).src;
    let range = Range { addresses: Some((gateway, gateway)), ..Range::default() };
    Rule { manip: Manip::Source, family: AF_INET, filter: None, interface: None, range }
}

#[test]
fn one_source_port_towards_everybody_costs_as_much_as_many_sources() {
    let mut bench = Bench::new();
    // Only what goes to TCP is translated, so no flow of this source answers for the next.
    bench.engine.add_nat_rule(Rule {
        filter: Some(conntap_core::filter::Filter::parse("proto tcp", &conntap_core::filter::NoNames).unwrap()),
        ..masquerade()
    });
    for number in 0..20_000 {
        bench.pass(&udp((A, 5000), (host(number), 53), b"question"));
        let _ = bench.engine.take_events();
    }
    bench.engine.flush(); // in a list of all flows of a source this would search 20,000 times 20,000 entries
    assert_eq!((bench.engine.flow_count(), bench.engine.check()), (0, Ok(())));
}

#[test]
fn a_host_that_talks_to_itself_by_one_port_is_found_in_the_reply_direction() {
    let mut bench = Bench::new();
    let packet = udp((A, 5555), (A, 5555), b"x");
    assert_eq!(bench.pass(&packet).flow.unwrap().1, Original);
    assert_eq!(bench.pass(&packet).flow.unwrap().1, Reply);
    assert_eq!(bench.kinds(), [New, Update]);
    assert_eq!(bench.engine.check(), Ok(()));
}

#[test]
fn a_connection_that_is_not_entered_yet_can_take_out_anothers_expectation() {
    let mut bench = asked(Settings::default(), &[(4, 300)]);
    let theirs = bench.engine.expect(&wanted(B, 1)).unwrap();
    bench.engine.resume(true);
    bench.helper("tftp", 17, 69, &[(4, 300)]);
    assert_eq!(bench.begin(&udp((A, 1069), (B, 69), b"\0\x01")), Step::Ask);
    assert!(bench.engine.remove_expectation(&theirs));
    bench.engine.expect(&wanted(B, 2)).unwrap(); // where the other one was
    bench.engine.resume(true);
    assert_eq!(bench.engine.check(), Ok(()));
    bench.told();
    let control = key((A, 40_000), (B, 21), 6);
    let packet = tcp_between(Original, (A, 40_000), (B, 21), ACK, 1021, 5001, 0);
    assert_eq!(bench.begin(&packet), Step::Ask);
    assert!(bench.engine.kill(&control));
    bench.engine.resume(true);
    assert!(!bench.kinds().contains(&ExpDestroy), "the other connection's stays");
    assert_eq!(bench.engine.expectation_count(), 1);
}

#[test]
fn a_session_can_name_only_gre_connections_as_its_own() {
    let mut bench = asked(Settings::default(), &[(1, 300)]);
    let (there, back) = (key((A, 1), (B, 2), 47), key((B, 2), (A, 1), 47));
    assert!(!bench.engine.map_gre([key((A, 1), (B, 80), 6), back]), "the end of one would be the end of the other");
    assert!(bench.engine.map_gre([there, back]));
    bench.engine.resume(true);
    assert_eq!(bench.engine.check(), Ok(()));
}

#[test]
fn a_long_way_of_headers_and_chunks_is_walked_once() {
    // 64 KiB of the shortest SCTP chunks and of the shortest IPv6 extension headers: as many steps as they can make.
    let mut bench = Bench::with(Settings { checksum: false, ..Settings::default() });
    let mut l4 = vec![0, 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];
    l4.extend([0, 0, 0, 4].repeat(16_000));
    let packet = packet_support::V4 { proto: 132, ..packet_support::V4 }.packet(&l4);
    let mut headers = packet_support::extension(60, &[0; 6]).repeat(8_000);
    let last = headers.len() - 8;
    headers[last] = 17;
    let six = packet_support::v6(60, 0, &[&headers[..], &packet_support::udp(true, 1000, b"x")].concat());
    for bytes in [&packet, &six] {
        for _ in 0..50 {
            if let Ok(packet) = decode_ip(bytes, bytes.len() as u32) {
                bench.engine.packet(&Input::new(bench.now_ns, &packet));
            }
        }
    }
    assert_eq!(bench.engine.counters().packets, 100);
}
