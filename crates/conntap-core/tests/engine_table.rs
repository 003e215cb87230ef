//! The table: expiry, limits, expectations, NAT, settings.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod engine_support;

use conntap_core::engine::Direction::{Original, Reply};
use conntap_core::engine::expect::{ExpectNat, Function, Refused, Wanted};
use conntap_core::engine::nat::{Manip, Range, Rule};
use conntap_core::engine::settings::SettingError;
use conntap_core::engine::{Direction, Reason, Settings, State, Step};
use conntap_core::model::Kind::{Destroy, ExpDestroy, ExpNew, New, Update};
use conntap_core::wire::constants::*;
use engine_support::*;

const C: [u8; 4] = [203, 0, 113, 1];

fn dns(sport: u16) -> Vec<u8> {
    udp((A, sport), (B, 53), b"question")
}

fn answer(sport: u16) -> Vec<u8> {
    udp((B, 53), (A, sport), b"answer")
}

#[test]
fn a_udp_flow_is_a_stream_after_two_seconds() {
    let mut bench = Bench::new();
    bench.pass(&dns(5000));
    bench.wait(0.1).pass(&answer(5000));
    bench.wait(1.9).pass(&dns(5000)); // exactly two seconds: not yet
    assert_eq!(bench.kinds(), [New, Update]);
    bench.wait(0.001).pass(&dns(5000));
    let told = bench.told();
    assert_eq!((told[0].kind, told[0].timeout), (Update, Some(120)));
    assert_eq!(told[0].status & IPS_ASSURED, IPS_ASSURED);
}

#[test]
fn ends_are_told_at_their_own_time_and_in_order() {
    let mut bench = Bench::new();
    let begun = bench.now_ns;
    bench.pass(&dns(1));
    bench.wait(5.0).pass(&dns(2));
    bench.wait(5.0).pass(&dns(1)); // renewed: ends after 2
    bench.told();
    bench.wait(100.0).pass(&dns(3));
    let told = bench.told();
    let ends: Vec<_> = told.iter().filter(|told| told.kind == Destroy).map(|told| told.received_ns - begun).collect();
    assert_eq!(ends, [35 * SECOND, 40 * SECOND]);
    assert!(told.iter().all(|told| told.kind != Destroy || told.timeout.is_none()));
}

#[test]
fn flushing_tells_the_time_that_was_left_and_draining_none() {
    let mut bench = Bench::new();
    bench.pass(&dns(1));
    bench.told();
    bench.wait(10.0).turn();
    bench.engine.flush();
    assert_eq!(bench.told()[0].timeout, Some(20));
    bench.pass(&dns(1));
    bench.engine.drain();
    let told = bench.told();
    assert_eq!((told[1].kind, told[1].timeout), (Destroy, None));
    assert_eq!(bench.engine.flow_count(), 0);
}

#[test]
fn the_clock_never_goes_back_and_one_wild_time_does_not_turn_it() {
    let mut bench = Bench::new();
    bench.pass(&dns(1));
    let now_ns = bench.now_ns;
    bench.wait(-5.0).pass(&dns(2));
    assert_eq!((bench.engine.now_ns(), bench.engine.counters().time_backwards), (now_ns, 1));
    bench.wait(10.0 * 365.0 * 86_400.0).pass(&dns(3));
    assert_eq!((bench.engine.now_ns(), bench.engine.counters().time_ahead), (now_ns, 1));
    assert_eq!(bench.engine.flow_count(), 3, "nothing ended for a single wrong time");
    bench.wait(1.0).pass(&dns(4));
    assert_eq!(bench.engine.now_ns(), bench.now_ns, "twice in a row it is the time");
    assert_eq!(bench.engine.flow_count(), 1);
}

#[test]
fn a_full_table_lets_go_of_what_is_not_assured_and_else_refuses() {
    let mut bench = Bench::with(Settings { max_entries: 100, ..Settings::default() });
    for sport in 0..1000 {
        assert_ne!(bench.pass(&dns(sport)).reason, Reason::TableFull);
    }
    assert_eq!(bench.engine.flow_count(), 100);
    assert_eq!(bench.engine.counters().early_dropped, 900);
    let mut assured = Bench::with(Settings { max_entries: 1, ..Settings::default() });
    assured.handshake();
    let refused = assured.pass(&dns(1));
    assert_eq!((refused.reason, refused.dropped), (Reason::TableFull, true));
    assert_eq!(assured.engine.counters().table_full, 1);
}

#[test]
fn a_flow_takes_less_than_250_bytes() {
    let mut bench = Bench::new();
    for number in 0..100_000_u32 {
        let [_, high, middle, low] = number.to_be_bytes();
        bench.pass(&udp(([10, high, middle, low], 1000), (B, 53), b""));
        if bench.engine.events_waiting() > 10_000 {
            bench.told();
        }
    }
    let each = bench.engine.memory() / bench.engine.flow_count();
    assert!(each <= 250, "{each} bytes a flow");
}

#[test]
fn an_icmp_error_belongs_to_the_flow_that_it_quotes() {
    let mut bench = Bench::new();
    let sent = dns(7000);
    let flow = bench.pass(&sent).flow.unwrap();
    bench.told();
    let quote = [&[0; 4], &sent[..28]].concat();
    let error = bench.pass(&icmp([192, 0, 2, 77], A, 3, 1, &quote));
    assert_eq!((error.state, error.flow), (State::Related, Some((flow.0, Reply))));
    let elsewhere = bench.pass(&icmp([192, 0, 2, 77], C, 3, 1, &quote));
    assert_eq!(elsewhere.reason, Reason::QuoteElsewhere);
    let unknown = bench.pass(&icmp([192, 0, 2, 77], A, 3, 1, &[&[0; 4], &dns(7001)[..28]].concat()));
    assert_eq!(unknown.reason, Reason::QuoteUnknown);
    assert_eq!(bench.told(), [], "an error is no event");
}

#[test]
fn an_echo_answer_needs_the_request_code_and_all() {
    let mut bench = Bench::new();
    assert!(matches!(bench.pass(&icmp(B, A, 0, 0, &[0, 7, 0, 1])).reason, Reason::IcmpCannotOpen { kind: 0 }));
    bench.pass(&icmp(A, B, 8, 3, &[0, 7, 0, 1]));
    assert!(matches!(bench.pass(&icmp(B, A, 0, 0, &[0, 7, 0, 1])).reason, Reason::IcmpCannotOpen { .. }));
    assert_eq!(bench.pass(&icmp(B, A, 0, 3, &[0, 7, 0, 1])).state, State::Established);
}

#[test]
fn wrong_checksums_are_invalid_unless_they_are_not_looked_at() {
    let mut packet = dns(1);
    packet[27] ^= 1;
    assert_eq!(Bench::new().pass(&packet).reason, Reason::BadChecksum);
    let mut bench = Bench::with(Settings { checksum: false, ..Settings::default() });
    assert_eq!(bench.pass(&packet).reason, Reason::FirstPacket);
}

// ---------------------------------------------------------------- expectations

/// The server may open a connection to a port of the client, from any of its own.
fn wanted(dport: u16) -> Wanted {
    Wanted {
        key: key((B, 0), (A, dport), 6),
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

fn control(flags: u8, seq: u32, ack: u32, len: usize) -> Vec<u8> {
    tcp_between(Original, (A, 40_000), (B, 21), flags, seq, ack, len)
}

/// A control connection with a helper, whose next packet waits for it.
fn asked(policies: &[(u32, u32)]) -> Bench {
    let mut bench = Bench::new();
    bench.helper("ftp", 6, 21, policies);
    bench.pass(&control(SYN, 1000, 0, 0));
    bench.pass(&tcp_between(Reply, (A, 40_000), (B, 21), SYN | ACK, 5000, 1001, 0));
    bench.pass(&control(ACK, 1001, 5001, 0));
    bench.told();
    assert_eq!(bench.begin(&control(ACK, 1001, 5001, 20)), Step::Ask);
    bench
}

fn data(dport: u16) -> Vec<u8> {
    tcp_between(Original, (B, 20), (A, dport), SYN, 7000, 0, 0)
}

#[test]
fn an_expected_connection_is_related_and_uses_the_expectation_up() {
    let mut bench = asked(&[(1, 300)]);
    bench.engine.set_mark(0x77);
    bench.engine.expect(&wanted(50_000)).unwrap();
    bench.engine.resume(true);
    assert_eq!(bench.kinds(), [ExpNew, Update]);
    let child = bench.wait(1.0).pass(&data(50_000));
    assert_eq!((child.state, child.reason), (State::Related, Reason::MatchesExpectation));
    let told = bench.told();
    assert_eq!((told[0].kind, told[0].timeout), (ExpDestroy, Some(299)));
    assert_eq!((told[1].kind, told[1].status & IPS_EXPECTED), (New, IPS_EXPECTED));
    assert_eq!(bench.engine.last_flow().unwrap().mark, 0x77, "the master's mark");
    assert_eq!(bench.pass(&tcp_between(Original, (B, 20), (A, 50_001), SYN, 7000, 0, 0)).state, State::New);
}

#[test]
fn the_same_again_is_replaced_and_one_too_many_evicts_the_oldest() {
    let mut bench = asked(&[(2, 300)]);
    bench.engine.expect(&wanted(1)).unwrap();
    bench.engine.expect(&wanted(1)).unwrap();
    assert_eq!(bench.kinds(), [ExpNew, ExpDestroy, ExpNew]);
    bench.engine.expect(&wanted(2)).unwrap();
    bench.engine.expect(&wanted(3)).unwrap();
    assert_eq!(bench.kinds(), [ExpNew, ExpDestroy, ExpNew]);
    let left: Vec<u16> = bench.engine.own_expectations().iter().map(|found| found.wanted.key.dport).collect();
    assert_eq!(left, [3, 2], "newest first");
}

#[test]
fn what_would_match_the_same_packets_is_refused() {
    let mut bench = asked(&[(8, 300)]);
    bench.engine.expect(&wanted(1)).unwrap();
    let anyone = Wanted { src_mask: [0; 16], key: key(([0; 4], 0), (A, 1), 6), ..wanted(1) };
    assert_eq!(bench.engine.expect(&anyone).err(), Some(Refused::Busy));
    let other_class = Wanted { class: 1, ..wanted(1) };
    assert_eq!(bench.engine.expect(&other_class).err(), Some(Refused::Already));
    assert_eq!(bench.engine.counters().expectations_refused, 2);
}

#[test]
fn expectations_end_by_time_and_with_their_master_newest_first() {
    let mut bench = asked(&[(8, 300)]);
    bench.engine.expect(&Wanted { timeout: Some(2), ..wanted(1) }).unwrap();
    bench.engine.expect(&wanted(2)).unwrap();
    bench.engine.expect(&wanted(3)).unwrap();
    bench.engine.resume(true);
    bench.told();
    bench.wait(2.0).turn();
    let told = bench.told();
    assert_eq!((told[0].kind, told[0].timeout), (ExpDestroy, Some(0)));
    bench.engine.flush();
    assert_eq!(bench.kinds(), [Destroy, ExpDestroy, ExpDestroy]);
    assert_eq!(bench.engine.expectation_count(), 0);
}

#[test]
fn a_permanent_one_stays_and_an_inactive_one_waits() {
    let mut bench = asked(&[(8, 300)]);
    let inactive = Wanted { flags: NF_CT_EXPECT_PERMANENT | NF_CT_EXPECT_INACTIVE, ..wanted(1) };
    let handle = bench.engine.expect(&inactive).unwrap();
    bench.engine.resume(true);
    bench.told();
    assert_eq!(bench.pass(&data(1)).state, State::New);
    bench.engine.flush();
    assert!(!bench.engine.remove_expectation(&handle), "it went with its master");
    let mut bench = asked(&[(8, 300)]);
    let handle = bench.engine.expect(&inactive).unwrap();
    assert!(bench.engine.refresh_expectation(&handle, 1800, true));
    bench.engine.resume(true);
    bench.told();
    assert_eq!(bench.pass(&data(1)).state, State::Related);
    assert_eq!(bench.kinds(), [New], "it stays");
}

#[test]
fn a_helper_that_drops_the_first_packet_leaves_no_flow() {
    let mut bench = Bench::new();
    bench.helper("tftp", 17, 69, &[(1, 300)]);
    let request = udp((A, 1069), (B, 69), b"\0\x01boot\0octet\0");
    assert_eq!(bench.begin(&request), Step::Ask);
    assert_eq!(bench.engine.call().unwrap().payload(), b"\0\x01boot\0octet\0");
    let Some(Step::Done(outcome)) = bench.engine.resume(false) else { unreachable!() };
    assert_eq!((outcome.reason, outcome.dropped), (Reason::HelperDropped, true));
    assert_eq!((bench.engine.flow_count(), bench.told()), (0, vec![]));
}

#[test]
fn an_expectation_of_the_first_packet_is_told_before_its_master() {
    let mut bench = Bench::new();
    bench.helper("tftp", 17, 69, &[(1, 300)]);
    bench.begin(&udp((A, 1069), (B, 69), b"\0\x01boot\0octet\0"));
    let answer = Wanted { key: key((B, 0), (A, 1069), 17), ..wanted(0) };
    bench.engine.expect(&answer).unwrap();
    bench.engine.resume(true);
    assert_eq!(bench.kinds(), [ExpNew, New]);
    assert_eq!(bench.pass(&udp((B, 2001), (A, 1069), b"\0\x03")).state, State::Related);
}

// ---------------------------------------------------------------- NAT

fn wide(address: [u8; 4]) -> [u8; 16] {
    key((address, 0), (address, 0), 17).src
}

fn rule(manip: Manip, address: [u8; 4], ports: Option<(u16, u16)>) -> Rule {
    let addresses = Some((wide(address), wide(address)));
    Rule { manip, family: AF_INET, filter: None, interface: None, range: Range { addresses, ports, persistent: false } }
}

fn gateway() -> Bench {
    let mut bench = Bench::new();
    bench.engine.add_nat_rule(rule(Manip::Source, C, None));
    bench
}

#[test]
fn source_nat_keeps_the_port_where_it_is_free_and_takes_the_next_where_not() {
    let mut bench = gateway();
    bench.pass(&dns(5000));
    let reply = bench.engine.last_flow().unwrap().reply();
    assert_eq!((reply.dst, reply.dport), (wide(C), 5000));
    assert_eq!(&bench.sent()[12..22], &[203, 0, 113, 1, 198, 51, 100, 9, 0x13, 0x88]);
    bench.pass(&udp(([10, 0, 0, 6], 5000), (B, 53), b""));
    assert_eq!(bench.engine.last_flow().unwrap().reply().dport, 1024);
    let back = bench.pass(&udp((B, 53), (C, 5000), b"answer"));
    assert_eq!(back.state, State::Established);
    assert_eq!(&bench.sent()[16..20], &A, "the answer finds its way inside");
}

#[test]
fn one_source_keeps_its_port_towards_others() {
    let mut bench = gateway();
    bench.pass(&udp(([10, 0, 0, 6], 5000), (B, 53), b""));
    bench.pass(&dns(5000)); // port taken: 1024
    bench.pass(&udp((A, 5000), ([198, 51, 100, 10], 53), b""));
    assert_eq!(bench.engine.last_flow().unwrap().reply().dport, 1024);
}

#[test]
fn destination_nat_changes_address_and_port_and_errors_are_translated_too() {
    let mut bench = Bench::new();
    bench.engine.add_nat_rule(rule(Manip::Destination, [192, 168, 1, 2], Some((5353, 5353))));
    bench.pass(&udp((B, 6000), (C, 53), b"question"));
    let out = bench.sent();
    assert_eq!((&out[16..20], &out[22..24]), (&[192, 168, 1, 2][..], &5353_u16.to_be_bytes()[..]));
    let quote = [&[0; 4], &out[..28]].concat();
    let error = bench.pass(&icmp([192, 168, 1, 2], B, 3, 3, &quote));
    assert_eq!(error.state, State::Related);
    let sent = bench.sent();
    assert_eq!(&sent[12..16], &C, "it comes from the address that was asked");
    assert_eq!((&sent[44..48], &sent[50..52]), (&C[..], &53_u16.to_be_bytes()[..]), "and quotes what was sent");
    let packet = conntap_core::packet::decode_ip(&sent, 56).unwrap();
    assert_eq!(conntap_core::packet::verify_l4(&packet), conntap_core::packet::Checksum::Good);
}

#[test]
fn nat_drops_an_error_with_a_wrong_sum_even_where_tracking_verifies_none() {
    let mut bench = Bench::with(Settings { checksum: false, ..Settings::default() });
    bench.engine.add_nat_rule(rule(Manip::Destination, [192, 168, 1, 2], Some((5353, 5353))));
    bench.pass(&udp((B, 6000), (C, 53), b"question"));
    let quote = [&[0; 4], &bench.sent()[..28]].concat();
    let mut error = icmp([192, 168, 1, 2], B, 3, 3, &quote);
    assert!(!bench.pass(&error).dropped);
    error[22] ^= 1;
    let outcome = bench.pass(&error);
    assert_eq!((outcome.state, outcome.dropped), (State::Related, true));
}

#[test]
fn a_child_inherits_its_masters_translation() {
    let mut bench = gateway();
    bench.helper("ftp", 6, 21, &[(1, 300)]);
    bench.pass(&control(SYN, 1000, 0, 0));
    bench.pass(&tcp_between(Reply, (C, 40_000), (B, 21), SYN | ACK, 5000, 1001, 0));
    assert_eq!(bench.begin(&control(ACK, 1001, 5001, 20)), Step::Ask);
    let nat = ExpectNat {
        direction: Direction::Reply,
        saved_port: 50_000,
        saved_addr: None,
        function: Function::FollowMaster,
    };
    bench.engine.expect(&Wanted { key: key((B, 0), (C, 50_000), 6), nat: Some(nat), ..wanted(0) }).unwrap();
    bench.engine.resume(true);
    let child = bench.pass(&tcp_between(Original, (B, 20), (C, 50_000), SYN, 1, 0, 0));
    assert_eq!(child.state, State::Related);
    let flow = bench.engine.last_flow().unwrap();
    assert_eq!((flow.reply().src, flow.reply().sport), (wide(A), 50_000));
    assert_eq!(flow.status & (IPS_SRC_NAT | IPS_DST_NAT), IPS_DST_NAT);
}

#[test]
fn payload_that_grows_shifts_the_sequence_numbers_behind_it() {
    let mut bench = gateway();
    bench.helper("ftp", 6, 21, &[(1, 300)]);
    bench.pass(&control(SYN, 1000, 0, 0));
    bench.pass(&tcp_between(Reply, (C, 40_000), (B, 21), SYN | ACK, 5000, 1001, 0));
    bench.begin(&control(ACK, 1001, 5001, 20));
    assert!(bench.engine.mangle(0, 5, b"seven!!", true));
    bench.engine.resume(true);
    let sent = bench.sent();
    assert_eq!((sent.len(), &sent[40..47]), (62, &b"seven!!"[..]));
    let packet = conntap_core::packet::decode_ip(&sent, 62).unwrap();
    assert_eq!(conntap_core::packet::verify_l4(&packet), conntap_core::packet::Checksum::Good);
    bench.pass(&control(ACK, 1021, 5001, 0));
    assert_eq!(&bench.sent()[24..28], &1023_u32.to_be_bytes(), "two more were sent than the client knows");
    bench.pass(&tcp_between(Reply, (C, 40_000), (B, 21), ACK, 5001, 1023, 0));
    assert_eq!(&bench.sent()[28..32], &1021_u32.to_be_bytes(), "and the client is told what it sent");
}

// ---------------------------------------------------------------- settings

#[test]
fn every_setting_has_a_name_and_takes_a_number() {
    let mut settings = Settings::default();
    for name in Settings::NAMES {
        assert_eq!(settings.set(name, 1), Ok(()), "{name}");
    }
    assert_eq!(settings.set("net.netfilter.nf_conntrack_udp_timeout", 7), Ok(()));
    assert_eq!(settings.udp_timeout, 7);
    assert_eq!(settings.set("no_such_thing", 1), Err(SettingError::Unknown));
    assert_eq!(settings.set("acct", 2), Err(SettingError::BadValue));
}

#[test]
fn a_zone_keeps_flows_apart_that_look_alike() {
    let mut bench = Bench::new();
    let packet = dns(1);
    for zone in [0, 7] {
        let packet = conntap_core::packet::decode_ip(&packet, u32::try_from(packet.len()).unwrap()).unwrap();
        let input = conntap_core::engine::Input { zone, ..conntap_core::engine::Input::new(bench.now_ns, &packet) };
        bench.engine.packet(&input);
    }
    assert_eq!(bench.engine.flow_count(), 2);
}

#[test]
fn keys_that_an_attacker_chooses_do_not_choose_their_hash() {
    let spread =
        |seed: [u64; 2]| -> Vec<u64> { (0..64).map(|port| key((A, port), (B, 53), 17).hash(seed) % 64).collect() };
    assert_ne!(spread([1, 2]), spread([3, 4]));
    let mut buckets = spread([5, 6]);
    buckets.sort_unstable();
    buckets.dedup();
    assert!(buckets.len() > 30, "{} of 64 buckets", buckets.len());
}
