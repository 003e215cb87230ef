use std::net::Ipv4Addr;

use super::*;
use crate::engine::{Engine, Input, Key, Settings, State, Step};
use crate::model::Content;
use crate::packet::{decode_ip, linktype};
use crate::wire::constants::*;

const INSIDE: u32 = 0;
const OUTSIDE: u32 = 1;
const CLIENT: &str = "10.0.0.5";
const GATEWAY: &str = "203.0.113.1";
const SERVER: &str = "198.51.100.9";
const MS: i64 = 1_000_000;
const US: i64 = 1_000;

/// A packet as a test describes it.
#[derive(Clone, Debug)]
struct Made {
    src: (&'static str, u16),
    dst: (&'static str, u16),
    proto: u8,
    id: u16,
    ttl: u8,
    seq: u32,
    flags: u8,
    payload: Vec<u8>,
    /// Offset in bytes, and whether more follow.
    fragment: (u16, bool),
}

fn udp(src: (&'static str, u16), dst: (&'static str, u16), payload: &[u8]) -> Made {
    Made {
        src,
        dst,
        proto: IPPROTO_UDP,
        id: 0,
        ttl: 64,
        seq: 0,
        flags: 0,
        payload: payload.to_vec(),
        fragment: (0, false),
    }
}

fn tcp(src: (&'static str, u16), dst: (&'static str, u16), flags: u8, seq: u32, payload: &[u8]) -> Made {
    Made { proto: IPPROTO_TCP, seq, flags, ..udp(src, dst, payload) }
}

const SYN: u8 = 2;
const PSH_ACK: u8 = 0x18;

impl Made {
    fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// As it leaves: from and to elsewhere, one hop older.
    fn left(&self, src: (&'static str, u16), dst: (&'static str, u16)) -> Self {
        Self { src, dst, ttl: self.ttl - 1, ..self.clone() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut l4 = [self.src.1.to_be_bytes(), self.dst.1.to_be_bytes()].concat();
        match self.proto {
            IPPROTO_TCP => {
                l4.extend(self.seq.to_be_bytes());
                l4.extend([0, 0, 0, 0, 0x50, self.flags, 0x20, 0, 0, 0, 0, 0]);
            }
            IPPROTO_ICMP => l4 = [8, 0, 0, 0, self.src.1.to_be_bytes()[0], self.src.1.to_be_bytes()[1], 0, 1].to_vec(),
            _ => l4.extend([(8 + self.payload.len() as u16).to_be_bytes(), [0, 0]].concat()),
        }
        if self.fragment.0 == 0 {
            l4.extend(&self.payload);
        } else {
            l4 = self.payload.clone();
        }
        if self.fragment.1 {
            l4.truncate(l4.len() / 8 * 8);
        }
        self.ip(&l4)
    }

    fn ip(&self, l4: &[u8]) -> Vec<u8> {
        let mut ip = vec![0x45, 0];
        ip.extend((20 + l4.len() as u16).to_be_bytes());
        ip.extend(self.id.to_be_bytes());
        ip.extend(((self.fragment.0 / 8) | if self.fragment.1 { 0x2000 } else { 0 }).to_be_bytes());
        ip.extend([self.ttl, self.proto, 0, 0]);
        for (address, _) in [self.src, self.dst] {
            ip.extend(address.parse::<Ipv4Addr>().unwrap().octets());
        }
        let sum = !crate::packet::checksum::sum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip.extend(l4);
        ip
    }
}

/// An ICMP error (port unreachable) that quotes a packet.
fn unreachable(src: &'static str, dst: &'static str, id: u16, ttl: u8, quoted: &Made) -> Vec<u8> {
    let outer = Made { proto: IPPROTO_ICMP, id, ttl, ..udp((src, 0), (dst, 0), b"") };
    let mut l4 = vec![3, 3, 0, 0, 0, 0, 0, 0];
    l4.extend(&quoted.bytes()[..28]);
    outer.ip(&l4)
}

struct Captured(Pairing);

impl Captured {
    fn new() -> Self {
        Self(Pairing::new(Limits::default(), [1, 2]))
    }

    fn see(&mut self, input: u32, time_ns: i64, made: &Made) -> &mut Self {
        self.bytes(input, time_ns, &made.bytes())
    }

    fn bytes(&mut self, input: u32, time_ns: i64, bytes: &[u8]) -> &mut Self {
        self.0.frame(input, time_ns, linktype::RAW, bytes, bytes.len() as u32);
        self
    }

    /// It comes by one input, and 30 µs later leaves by the other.
    fn forward(&mut self, from: u32, time_ns: i64, came: &Made, left: &Made) -> &mut Self {
        self.see(from, time_ns, came).see(1 - from, time_ns + 30 * US, left)
    }

    /// All that is left of an input.
    fn verdicts(&mut self, input: u32) -> Vec<Verdict> {
        std::iter::from_fn(|| self.0.take(input)).collect()
    }

    fn bound(&self) -> Vec<String> {
        self.0.bindings().map(|bound| format!("{} → {}", text(&bound.original), text(&bound.left))).collect()
    }
}

fn text(key: &Key) -> String {
    let address = |bytes: &[u8; 16]| Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]);
    format!("{}:{}>{}:{}", address(&key.src), key.sport, address(&key.dst), key.dport)
}

use Verdict::{Alone, Arrived, Departed};

#[test]
fn a_syn_and_its_translated_twin_make_a_binding() {
    let syn = tcp((CLIENT, 40_000), (SERVER, 80), SYN, 0x1234_5678, b"");
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &syn, &syn.left((GATEWAY, 1025), (SERVER, 80)));
    assert_eq!(seen.bound(), ["10.0.0.5:40000>198.51.100.9:80 → 203.0.113.1:1025>198.51.100.9:80"]);
    assert_eq!((seen.verdicts(INSIDE), seen.verdicts(OUTSIDE)), (vec![Arrived], vec![Departed]));
    let bound = seen.0.bindings().next().unwrap();
    assert_eq!((bound.came_by, bound.went_by, bound.since_ns), (INSIDE, OUTSIDE, 0));
    assert!(bound.source_differs() && !bound.destination_differs() && !bound.ambiguous);
}

#[test]
fn the_ttl_tells_who_came_first_even_where_the_clock_says_otherwise() {
    let syn = tcp((SERVER, 4000), (GATEWAY, 8080), SYN, 77, b"");
    let mut seen = Captured::new();
    // The inside's clock is behind: the packet seems to leave before it comes.
    seen.see(INSIDE, 0, &syn.left((SERVER, 4000), (CLIENT, 80))).see(OUTSIDE, 50 * MS, &syn);
    assert_eq!(seen.bound(), ["198.51.100.9:4000>203.0.113.1:8080 → 198.51.100.9:4000>10.0.0.5:80"]);
    assert_eq!((seen.verdicts(INSIDE), seen.verdicts(OUTSIDE)), (vec![Departed], vec![Arrived]));
    assert_eq!(seen.0.clock_offset_ns(OUTSIDE), 50 * MS);
    assert_eq!(seen.0.bindings().next().unwrap().since_ns, 0, "on the inside's clock");
}

#[test]
fn without_translation_the_side_alone_tells_arrival_from_departure() {
    let ask = udp((CLIENT, 5000), (SERVER, 53), b"question");
    let answer = udp((SERVER, 53), (CLIENT, 5000), b"an answer");
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &ask, &ask.left(ask.src, ask.dst));
    seen.forward(OUTSIDE, MS, &answer, &answer.left(answer.src, answer.dst));
    assert_eq!((seen.verdicts(INSIDE), seen.verdicts(OUTSIDE)), (vec![Arrived, Departed], vec![Departed, Arrived]));
    assert_eq!(seen.0.bindings().count(), 1, "both directions are one connection");
    assert_eq!(seen.0.counters().translated, 0);
    assert_eq!(seen.0.bindings().next().unwrap().pairs, 2);
}

#[test]
fn equal_first_datagrams_of_two_clients_are_told_apart_by_order_and_said_to_be_ambiguous() {
    let (one, two) = (udp((CLIENT, 5000), (SERVER, 7), b"hello"), udp(("10.0.0.6", 5000), (SERVER, 7), b"hello"));
    let mut seen = Captured::new();
    seen.see(INSIDE, 0, &one).see(INSIDE, 10 * US, &two);
    seen.see(OUTSIDE, 40 * US, &one.left((GATEWAY, 5000), (SERVER, 7)));
    seen.see(OUTSIDE, 50 * US, &two.left((GATEWAY, 1024), (SERVER, 7)));
    seen.0.finish();
    assert_eq!(
        seen.bound(),
        [
            "10.0.0.5:5000>198.51.100.9:7 → 203.0.113.1:5000>198.51.100.9:7",
            "10.0.0.6:5000>198.51.100.9:7 → 203.0.113.1:1024>198.51.100.9:7"
        ]
    );
    assert_eq!(seen.0.counters().ambiguous, 2);
}

#[test]
fn an_ip_id_tells_equal_datagrams_apart_in_any_order() {
    let one = udp((CLIENT, 5000), (SERVER, 7), b"hello").id(10);
    let two = udp(("10.0.0.6", 5000), (SERVER, 7), b"hello").id(20);
    let mut seen = Captured::new();
    seen.see(INSIDE, 0, &one).see(INSIDE, 10 * US, &two);
    seen.see(OUTSIDE, 40 * US, &two.left((GATEWAY, 1024), (SERVER, 7)));
    seen.see(OUTSIDE, 50 * US, &one.left((GATEWAY, 5000), (SERVER, 7)));
    let bound = seen.bound();
    assert!(bound.contains(&"10.0.0.6:5000>198.51.100.9:7 → 203.0.113.1:1024>198.51.100.9:7".into()), "{bound:?}");
    assert_eq!(seen.0.counters().ambiguous, 0);
}

#[test]
fn a_guess_is_made_only_when_nothing_better_comes() {
    // The second one's arrival was not captured; its departure looks like that of the first, which comes later.
    let (one, two) = (udp((CLIENT, 5000), (SERVER, 7), b"hello"), udp(("10.0.0.6", 5000), (SERVER, 7), b"hello"));
    let mut seen = Captured::new();
    seen.see(INSIDE, 0, &one).see(OUTSIDE, 30 * US, &two.left((GATEWAY, 1024), (SERVER, 7)));
    seen.see(OUTSIDE, 90 * US, &one.left((GATEWAY, 5000), (SERVER, 7)));
    seen.0.finish();
    assert_eq!(seen.bound(), ["10.0.0.5:5000>198.51.100.9:7 → 203.0.113.1:5000>198.51.100.9:7"]);
}

#[test]
fn a_later_packet_corrects_a_guess_from_the_beginning_on() {
    // The first one's departure was not captured, so the second's is taken for it.
    let (one, two) = (udp((CLIENT, 5000), (SERVER, 7), b"hello"), udp(("10.0.0.6", 5000), (SERVER, 7), b"hello"));
    let mut seen = Captured::new();
    seen.see(INSIDE, 0, &one).see(INSIDE, 10 * US, &two);
    seen.see(OUTSIDE, 40 * US, &two.left((GATEWAY, 1024), (SERVER, 7)));
    let later = udp(("10.0.0.7", 1), (SERVER, 7), b"a window later");
    seen.forward(INSIDE, 3000 * MS, &later, &later.left((GATEWAY, 1), (SERVER, 7)));
    assert_eq!(seen.bound()[0], "10.0.0.5:5000>198.51.100.9:7 → 203.0.113.1:1024>198.51.100.9:7", "the guess");
    let next = udp(("10.0.0.6", 5000), (SERVER, 7), b"what nobody else says");
    seen.forward(INSIDE, 3005 * MS, &next, &next.left((GATEWAY, 1024), (SERVER, 7)));
    assert_eq!(seen.bound()[1], "10.0.0.6:5000>198.51.100.9:7 → 203.0.113.1:1024>198.51.100.9:7");
    assert_eq!((seen.0.counters().withdrawn, seen.0.counters().bindings), (1, 2));
}

#[test]
fn rewritten_payload_and_shifted_numbers_do_not_part_twins() {
    let (client, server, outside) = ((CLIENT, 40_000), (SERVER, 21), (GATEWAY, 40_000));
    let syn = tcp(client, server, SYN, 1000, b"");
    let port = tcp(client, server, PSH_ACK, 1001, b"PORT 10,0,0,5,156,65\r\n").id(9);
    let mut rewritten = port.left(outside, server);
    rewritten.payload = b"PORT 203,0,113,1,156,65\r\n".to_vec();
    let next = tcp(client, server, PSH_ACK, 1023, b"RETR file\r\n").id(10);
    let mut shifted = next.left(outside, server);
    shifted.seq += 3;
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &syn, &syn.left(outside, server));
    seen.forward(INSIDE, MS, &port, &rewritten).forward(INSIDE, 2 * MS, &next, &shifted);
    let bound: Vec<Binding> = seen.0.bindings().collect();
    assert_eq!(bound.len(), 1);
    assert_eq!((bound[0].pairs, bound[0].rewritten, bound[0].grown), (3, 1, 3));
    assert_eq!(seen.0.counters().rewritten, 1);
}

#[test]
fn a_first_datagram_that_a_helper_rewrites_is_known_by_the_end_that_stays() {
    let register = udp((CLIENT, 5060), (SERVER, 5060), b"REGISTER sip:example.com SIP/2.0\r\nVia: 10.0.0.5");
    let mut left = register.left((GATEWAY, 1024), (SERVER, 5060));
    left.payload = b"REGISTER sip:example.com SIP/2.0\r\nVia: 203.0.113.1:1024".to_vec();
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &register, &left);
    assert_eq!(seen.bound(), ["10.0.0.5:5060>198.51.100.9:5060 → 203.0.113.1:1024>198.51.100.9:5060"]);
    assert_eq!(seen.0.bindings().next().unwrap().rewritten, 1);
}

#[test]
fn a_packet_that_turns_back_on_one_wire_pairs_though_both_ends_change() {
    // An inside host asks for the outside address of another inside host.
    let syn = tcp((CLIENT, 4000), (GATEWAY, 8080), SYN, 99, b"");
    let mut seen = Captured::new();
    seen.see(INSIDE, 0, &syn).see(INSIDE, 30 * US, &syn.left(("10.0.0.1", 4000), ("10.0.0.6", 80)));
    assert_eq!(seen.bound(), ["10.0.0.5:4000>203.0.113.1:8080 → 10.0.0.1:4000>10.0.0.6:80"]);
    assert_eq!(seen.verdicts(INSIDE), [Arrived, Departed]);
}

#[test]
fn one_capture_of_all_interfaces_will_do() {
    let (ask, plain) = (udp((CLIENT, 5000), (SERVER, 53), b"translated"), udp((CLIENT, 5000), (SERVER, 54), b"not"));
    let answer = udp((SERVER, 53), (GATEWAY, 5000), b"an answer");
    let mut seen = Captured::new();
    seen.see(INSIDE, 0, &ask).see(INSIDE, 30 * US, &ask.left((GATEWAY, 5000), (SERVER, 53)));
    seen.see(INSIDE, MS, &answer).see(INSIDE, MS + 30 * US, &answer.left((SERVER, 53), (CLIENT, 5000)));
    seen.see(INSIDE, 2 * MS, &plain).see(INSIDE, 2 * MS + 30 * US, &plain.left(plain.src, plain.dst));
    assert_eq!(seen.verdicts(INSIDE), [Arrived, Departed, Arrived, Departed, Arrived, Departed]);
    assert_eq!(seen.bound(), ["10.0.0.5:5000>198.51.100.9:53 → 203.0.113.1:5000>198.51.100.9:53"]);
}

#[test]
fn a_gateway_that_leaves_the_ttl_is_understood_by_time() {
    let syn = tcp((CLIENT, 4000), (SERVER, 80), SYN, 99, b"");
    let data = tcp((CLIENT, 4000), (SERVER, 80), PSH_ACK, 100, b"data").id(7);
    let bridged = |made: &Made| Made { ttl: 64, ..made.left((GATEWAY, 4000), (SERVER, 80)) };
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &syn, &bridged(&syn));
    // Now that the connection is known, even a wrong clock does not matter.
    seen.see(OUTSIDE, MS, &bridged(&data)).see(INSIDE, 2 * MS, &data);
    assert_eq!((seen.verdicts(INSIDE), seen.verdicts(OUTSIDE)), (vec![Arrived; 2], vec![Departed; 2]));
    assert_eq!(seen.0.bindings().next().unwrap().pairs, 2);
}

#[test]
fn a_repetition_on_one_wire_is_no_twin() {
    let syn = tcp((CLIENT, 4000), (SERVER, 80), SYN, 99, b"");
    let mut seen = Captured::new();
    seen.see(INSIDE, 0, &syn).see(INSIDE, MS, &syn);
    seen.0.finish();
    assert_eq!(seen.verdicts(INSIDE), [Alone, Alone]);
}

#[test]
fn what_is_seen_on_one_side_alone_is_alone_once_a_window_and_a_quarter_have_passed() {
    let own = udp((GATEWAY, 123), (SERVER, 123), b"the gateway's own");
    let mut seen = Captured::new();
    seen.see(OUTSIDE, 0, &own);
    assert_eq!(seen.verdicts(OUTSIDE), [], "its twin may come yet");
    for time_ns in [2001 * MS, 2501 * MS] {
        seen.see(INSIDE, time_ns, &udp((CLIENT, 1), (SERVER, 1), b"later"));
    }
    assert_eq!(seen.verdicts(OUTSIDE), [Alone]);
    seen.0.finish();
    assert_eq!((seen.0.counters().alone, seen.0.counters().pairs), (3, 0));
}

#[test]
fn packets_of_a_known_connection_are_told_at_once_though_their_twin_is_lost() {
    let syn = tcp((CLIENT, 4000), (SERVER, 80), SYN, 99, b"");
    let data = tcp((CLIENT, 4000), (SERVER, 80), PSH_ACK, 100, b"one");
    let more = tcp((CLIENT, 4000), (SERVER, 80), PSH_ACK, 103, b"two").left((GATEWAY, 4000), (SERVER, 80));
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &syn, &syn.left((GATEWAY, 4000), (SERVER, 80)));
    seen.see(INSIDE, MS, &data).see(OUTSIDE, 2 * MS, &more);
    assert_eq!((seen.verdicts(INSIDE), seen.verdicts(OUTSIDE)), (vec![Arrived, Arrived], vec![Departed, Departed]));
    seen.0.finish();
    assert_eq!((seen.0.counters().arrived_unpaired, seen.0.counters().departed_unpaired), (1, 1));
}

#[test]
fn ports_that_are_used_again_are_bound_again() {
    let first = tcp((CLIENT, 4000), (SERVER, 80), SYN, 99, b"");
    let again = tcp((CLIENT, 4000), (SERVER, 80), SYN, 12_345, b"");
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &first, &first.left((GATEWAY, 4000), (SERVER, 80)));
    seen.forward(INSIDE, 5000 * MS, &again, &again.left((GATEWAY, 1024), (SERVER, 80)));
    let since: Vec<(i64, u16)> = seen.0.bindings().map(|bound| (bound.since_ns, bound.left.sport)).collect();
    assert_eq!(since, [(0, 4000), (5000 * MS, 1024)]);
}

#[test]
fn a_mapping_that_went_to_another_client_is_noticed_by_datagrams_that_chance_does_not_make() {
    // The gateway's entry has timed out sooner than is known here, and another client got its port.
    let one = udp((CLIENT, 5000), (SERVER, 7), b"sixteen bytes: 1").id(1);
    let two = udp(("10.0.0.6", 5000), (SERVER, 7), b"sixteen bytes: 2").id(2);
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &one, &one.left((GATEWAY, 5000), (SERVER, 7)));
    seen.forward(INSIDE, 10_000 * MS, &two, &two.left((GATEWAY, 5000), (SERVER, 7)));
    seen.0.finish();
    assert_eq!(seen.bound()[1], "10.0.0.6:5000>198.51.100.9:7 → 203.0.113.1:5000>198.51.100.9:7");
    assert_eq!((seen.verdicts(INSIDE), seen.verdicts(OUTSIDE)), (vec![Arrived; 2], vec![Departed; 2]));
}

#[test]
fn an_echo_request_is_bound_by_its_id() {
    let ping = Made { proto: IPPROTO_ICMP, id: 3, ..udp((CLIENT, 0x1dea), (SERVER, 0), b"conntap lab") };
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &ping, &ping.left((GATEWAY, 7), (SERVER, 0)));
    assert_eq!(seen.bound(), ["10.0.0.5:7658>198.51.100.9:2048 → 203.0.113.1:7>198.51.100.9:2048"]);
}

#[test]
fn an_error_that_is_forwarded_is_seen_once_and_the_gateways_own_is_alone() {
    let ask = udp((CLIENT, 5000), (SERVER, 9), b"anybody there?");
    let left = ask.left((GATEWAY, 5000), (SERVER, 9));
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &ask, &left);
    seen.bytes(OUTSIDE, MS, &unreachable(SERVER, GATEWAY, 8, 64, &left));
    seen.bytes(INSIDE, MS + 30 * US, &unreachable(SERVER, CLIENT, 8, 63, &ask));
    seen.bytes(INSIDE, 2 * MS, &unreachable("10.0.0.1", CLIENT, 9, 64, &ask));
    seen.0.finish();
    assert_eq!(seen.verdicts(INSIDE), [Arrived, Departed, Alone]);
    assert_eq!(seen.verdicts(OUTSIDE), [Departed, Arrived]);
    assert_eq!(seen.0.bindings().count(), 1);
}

#[test]
fn fragments_go_the_way_of_their_first() {
    let mut first = udp((CLIENT, 5000), (SERVER, 9), &[7; 64]).id(31);
    first.fragment = (0, true);
    let mut second = udp((CLIENT, 0), (SERVER, 0), &[8; 64]).id(31);
    second.fragment = (72, false);
    let mut seen = Captured::new();
    // The later one comes first, as some senders have it.
    seen.see(INSIDE, 0, &second).see(INSIDE, US, &first);
    seen.see(OUTSIDE, 40 * US, &first.left((GATEWAY, 5000), (SERVER, 9)));
    seen.see(OUTSIDE, 41 * US, &second.left((GATEWAY, 0), (SERVER, 0)));
    assert_eq!((seen.verdicts(INSIDE), seen.verdicts(OUTSIDE)), (vec![Arrived; 2], vec![Departed; 2]));
}

#[test]
fn captures_that_cut_at_different_lengths_still_pair() {
    let ask = udp((CLIENT, 5000), (SERVER, 9), &[5; 200]);
    let (came, left) = (ask.bytes(), ask.left((GATEWAY, 5000), (SERVER, 9)).bytes());
    let mut seen = Captured::new();
    seen.0.frame(INSIDE, 0, linktype::RAW, &came[..60], came.len() as u32);
    seen.0.frame(OUTSIDE, 30 * US, linktype::RAW, &left, left.len() as u32);
    assert_eq!((seen.0.counters().pairs, seen.0.counters().rewritten), (1, 0));
}

#[test]
fn what_is_no_ip_is_alone_and_counted() {
    let mut seen = Captured::new();
    seen.bytes(INSIDE, 0, &[0x60, 1, 2]);
    assert_eq!(seen.verdicts(INSIDE), [Alone]);
    assert_eq!(seen.0.counters().not_ip, 1);
}

#[test]
fn a_flood_of_equal_packets_is_bounded() {
    let limits = Limits { waiting: 100, flows: 10, ..Limits::default() };
    let mut pairing = Pairing::new(limits, [3, 4]);
    for port in 0..2_000_u16 {
        let made = udp((CLIENT, port), (SERVER, 7), b"hello").bytes();
        pairing.frame(INSIDE, i64::from(port), linktype::RAW, &made, made.len() as u32);
    }
    assert_eq!(pairing.counters().window_full, 1900);
    for port in 0..20_u16 {
        let syn = tcp((CLIENT, port), (SERVER, 80), SYN, u32::from(port), b"");
        for (input, made) in [(INSIDE, syn.clone()), (OUTSIDE, syn.left((GATEWAY, port), (SERVER, 80)))] {
            let bytes = made.bytes();
            pairing.frame(input, 3_000, linktype::RAW, &bytes, bytes.len() as u32);
        }
    }
    assert_eq!((pairing.counters().bindings, pairing.counters().flows_refused), (10, 10));
}

/// The tuples of the flow that a packet makes, and its status.
fn flow_of(engine: &mut Engine, made: &Made, time_ns: i64) -> (State, String, String, u32) {
    let bytes = made.bytes();
    let step = engine.packet(&Input::new(time_ns, &decode_ip(&bytes, u32::MAX).unwrap()));
    let Step::Done(outcome) = step else { panic!("nobody is asked") };
    let batch = engine.flows();
    let mut found = None;
    for (_, _, content) in batch.iter() {
        if let Content::Flow(flow) = content {
            found = Some((flow.orig, flow.reply, flow.status));
        }
    }
    let (original, reply, status) = found.unwrap();
    let side = |tuple: &crate::model::Tuple| {
        format!("{}:{}", tuple.src.unwrap(), tuple.sport.unwrap())
            + &format!(">{}:{}", tuple.dst.unwrap(), tuple.dport.unwrap())
    };
    (outcome.state, side(&original), side(&reply), status.unwrap())
}

#[test]
fn the_engine_translates_as_was_seen_and_leaves_alone_what_was_not() {
    let settings = Settings { checksum: false, ..Settings::default() };
    let mut engine = Engine::new(settings, [0, 0]);
    let syn = tcp((CLIENT, 40_000), (SERVER, 80), SYN, 5, b"");
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &syn, &syn.left((GATEWAY, 1025), (SERVER, 80)));
    for bound in seen.0.bindings() {
        engine.learn(&bound.original, &bound.left, bound.since_ns);
    }
    let (state, original, reply, status) = flow_of(&mut engine, &syn, 0);
    assert_eq!(state, State::New);
    assert_eq!(original, "10.0.0.5:40000>198.51.100.9:80");
    assert_eq!(reply, "198.51.100.9:80>203.0.113.1:1025");
    let done = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
    assert_eq!(status, IPS_CONFIRMED | IPS_SRC_NAT | done);
    let own = udp((GATEWAY, 123), (SERVER, 123), b"own");
    let (_, _, reply, status) = flow_of(&mut engine, &own, MS);
    assert_eq!((reply.as_str(), status), ("198.51.100.9:123>203.0.113.1:123", IPS_CONFIRMED | done));
}

#[test]
fn a_gateway_that_translates_nothing_leaves_no_marks_of_nat() {
    let mut engine = Engine::new(Settings { checksum: false, ..Settings::default() }, [0, 0]);
    let ask = udp((CLIENT, 5000), (SERVER, 53), b"question");
    let mut seen = Captured::new();
    seen.forward(INSIDE, 0, &ask, &ask.left(ask.src, ask.dst));
    for bound in seen.0.bindings() {
        engine.learn(&bound.original, &bound.left, bound.since_ns);
    }
    assert_eq!(flow_of(&mut engine, &ask, 0).3, IPS_CONFIRMED);
}

#[test]
fn the_engine_takes_the_binding_of_the_time() {
    let mut engine = Engine::new(Settings { checksum: false, ..Settings::default() }, [0, 0]);
    let ask = udp((CLIENT, 5000), (SERVER, 9), b"x");
    let key = |src: &str, sport| Key {
        src: address(src),
        dst: address(SERVER),
        sport,
        dport: 9,
        l4proto: IPPROTO_UDP,
        family: AF_INET,
        zone: 0,
    };
    engine.learn(&key(CLIENT, 5000), &key(GATEWAY, 2222), 500_000 * MS);
    engine.learn(&key(CLIENT, 5000), &key(GATEWAY, 1111), 1_000 * MS);
    let replies: Vec<String> = [0, 100_000, 500_000]
        .map(|at| flow_of(&mut engine, &ask, at * MS).2.split('>').next_back().unwrap().into())
        .into();
    assert_eq!(replies, ["203.0.113.1:1111", "203.0.113.1:1111", "203.0.113.1:2222"]);
}

fn address(text: &str) -> [u8; 16] {
    let mut out = [0; 16];
    out[..4].copy_from_slice(&text.parse::<Ipv4Addr>().unwrap().octets());
    out
}

#[test]
fn every_frame_gets_its_verdict_whatever_it_holds() {
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = move |below: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % below
    };
    let mut seen = Captured::new();
    let mut shown = [0_usize; 2];
    for _ in 0..20_000 {
        let proto = [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_GRE, IPPROTO_SCTP, 50][roll(6) as usize];
        let made = Made {
            proto,
            id: roll(3) as u16,
            ttl: 60 + roll(4) as u8,
            seq: roll(4) as u32,
            flags: roll(64) as u8,
            fragment: ([0, 0, 0, 8, 72][roll(5) as usize], roll(4) == 0),
            ..udp(([CLIENT, SERVER][roll(2) as usize], roll(3) as u16), (GATEWAY, roll(3) as u16), &[3; 40])
        };
        let mut bytes = made.bytes();
        if roll(2) == 0 {
            let at = 20 + roll((bytes.len() - 20) as u64) as usize;
            bytes[at] = roll(256) as u8;
            bytes.truncate(20 + roll((bytes.len() - 19) as u64) as usize);
        }
        let input = roll(2) as u32;
        shown[input as usize] += 1;
        let time_ns = roll(40) as i64 * 100 * MS + if roll(1000) == 0 { i64::MAX / 2 } else { 0 };
        seen.0.frame(input, time_ns, linktype::RAW, &bytes, 200);
    }
    seen.0.finish();
    assert_eq!([seen.verdicts(0).len(), seen.verdicts(1).len()], shown);
    let counters = seen.0.counters();
    assert_eq!(counters.frames, 20_000);
    assert_eq!(seen.0.untaken(), 0);
}
