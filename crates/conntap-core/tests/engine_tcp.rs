//! TCP as Linux 6.18 tracks it, in scripts: who sends what, and what is said of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod engine_support;

use conntap_core::engine::Direction::{Original, Reply};
use conntap_core::engine::{Reason, Settings, State};
use conntap_core::model::Kind::{Destroy, New, Update};
use conntap_core::wire::constants::{IPS_ASSURED, IPS_SEEN_REPLY};
use engine_support::*;

const SYN_SENT: Option<u8> = Some(1);
const SYN_RECV: Option<u8> = Some(2);
const ESTABLISHED: Option<u8> = Some(3);
const FIN_WAIT: Option<u8> = Some(4);
const CLOSE_WAIT: Option<u8> = Some(5);
const LAST_ACK: Option<u8> = Some(6);
const TIME_WAIT: Option<u8> = Some(7);
const CLOSE: Option<u8> = Some(8);

#[test]
fn a_connection_opens_and_closes_with_one_event_a_step() {
    let mut bench = Bench::new();
    bench.pass(&tcp(Original, SYN, 1000, 0, 0));
    bench.pass(&tcp(Reply, SYN | ACK, 5000, 1001, 0));
    bench.pass(&tcp(Original, ACK, 1001, 5001, 0));
    bench.pass(&tcp(Original, ACK, 1001, 5001, 100));
    bench.pass(&tcp(Reply, ACK, 5001, 1101, 0));
    bench.pass(&tcp(Original, FIN | ACK, 1101, 5001, 0));
    bench.pass(&tcp(Reply, ACK, 5001, 1102, 0));
    bench.pass(&tcp(Reply, FIN | ACK, 5001, 1102, 0));
    bench.pass(&tcp(Original, ACK, 1102, 5002, 0));
    let told = bench.told();
    let seen: Vec<_> = told.iter().map(|told| (told.kind, told.state, told.timeout)).collect();
    assert_eq!(
        seen,
        [
            (New, SYN_SENT, Some(120)),
            (Update, SYN_RECV, Some(60)),
            (Update, ESTABLISHED, Some(432_000)),
            (Update, FIN_WAIT, Some(120)),
            (Update, CLOSE_WAIT, Some(60)),
            (Update, LAST_ACK, Some(30)),
            (Update, TIME_WAIT, Some(120)),
        ]
    );
    assert_eq!(told[1].status & IPS_SEEN_REPLY, IPS_SEEN_REPLY);
    assert_eq!(told[1].status & IPS_ASSURED, 0);
    assert_eq!(told[2].status & IPS_ASSURED, IPS_ASSURED);
    bench.wait(120.0).pass(&udp((A, 1), (B, 2), b""));
    assert_eq!(bench.states(), [(Destroy, TIME_WAIT), (New, None)]);
}

#[test]
fn a_segment_above_the_window_is_invalid_and_says_by_how_much() {
    let mut bench = Bench::new();
    bench.handshake();
    let far = bench.pass(&tcp(Original, ACK, 1001 + 20_000_000, 5001, 10));
    assert_eq!(far.state, State::Invalid);
    assert!(far.reason.to_string().contains("above the window"), "{}", far.reason);
    let unsent = bench.pass(&tcp(Original, ACK, 1001, 5001 + 70_000, 0));
    assert_eq!((unsent.state, unsent.reason), (State::Invalid, Reason::AckOver { by: 70_000 }));
    assert_eq!(bench.told(), []);
}

#[test]
fn a_liberal_gateway_lets_what_is_out_of_window_pass() {
    let mut bench = Bench::with(Settings { tcp_be_liberal: true, ..Settings::default() });
    bench.handshake();
    let far = bench.pass(&tcp(Original, ACK, 1001 + 20_000_000, 5001, 10));
    assert_eq!((far.state, far.reason), (State::Established, Reason::Liberal));
}

#[test]
fn flags_that_never_go_together_are_invalid_before_any_lookup() {
    let mut bench = Bench::new();
    for flags in [0, FIN, SYN | FIN, SYN | RST, 0x3f, 0x29] {
        let outcome = bench.pass(&tcp(Original, flags, 1, 0, 0));
        assert_eq!((outcome.state, outcome.reason), (State::Invalid, Reason::FlagsImpossible { flags }));
    }
    assert_eq!(bench.engine.flow_count(), 0);
}

#[test]
fn an_answer_opens_nothing_and_an_acknowledgement_only_where_pickup_is_allowed() {
    let mut bench = Bench::new();
    assert_eq!(bench.pass(&tcp(Original, SYN | ACK, 1, 1, 0)).reason, Reason::CannotOpen);
    assert_eq!(bench.pass(&tcp(Original, RST, 1, 0, 0)).reason, Reason::CannotOpen);
    assert_eq!(bench.pass(&tcp(Original, ACK, 1, 1, 0)).reason, Reason::PickedUp);
    let told = bench.told();
    assert_eq!((told[0].kind, told[0].state, told[0].timeout), (New, ESTABLISHED, Some(300)));
    let mut strict = Bench::with(Settings { tcp_loose: false, ..Settings::default() });
    assert_eq!(strict.pass(&tcp(Original, ACK, 1, 1, 0)).reason, Reason::NotLoose);
}

#[test]
fn a_syn_sent_again_does_not_renew_the_time_left() {
    let mut bench = Bench::new();
    bench.pass(&tcp(Original, SYN, 1000, 0, 0));
    bench.wait(100.0).pass(&tcp(Original, SYN, 1000, 0, 0));
    bench.told();
    bench.wait(21.0).pass(&tcp(Original, SYN, 1000, 0, 0));
    assert_eq!(bench.states(), [(Destroy, SYN_SENT), (New, SYN_SENT)]);
}

#[test]
fn a_reset_before_any_answer_ends_the_entry_at_once() {
    let mut bench = Bench::new();
    bench.pass(&tcp(Original, SYN, 1000, 0, 0));
    bench.told();
    let outcome = bench.pass(&tcp(Reply, RST | ACK, 0, 1001, 0));
    assert_eq!(outcome.reason, Reason::ResetBeforeAnswer);
    let told = bench.told();
    assert_eq!((told[0].kind, told[0].state, told[0].timeout), (Destroy, CLOSE, Some(120)));
    assert_eq!(told[0].status & IPS_SEEN_REPLY, 0);
    assert_eq!(bench.engine.flow_count(), 0);
}

#[test]
fn resets_are_exact_inexact_or_below_what_was_acknowledged() {
    let mut bench = Bench::new();
    bench.handshake();
    bench.pass(&tcp(Original, ACK, 1001, 5001, 100));
    bench.pass(&tcp(Reply, ACK, 5001, 1101, 0));
    let below = bench.pass(&tcp(Original, RST, 1050, 0, 0));
    assert_eq!((below.state, below.reason), (State::Invalid, Reason::ResetBelow { by: 51 }));
    let inexact = bench.pass(&tcp(Original, RST, 1200, 0, 0));
    assert_eq!((inexact.state, inexact.reason), (State::Established, Reason::ResetInexact));
    assert_eq!(bench.told(), [], "it stays ESTABLISHED, for a few seconds");
    bench.pass(&tcp(Original, RST, 1101, 0, 0));
    assert_eq!(bench.states(), [(Update, CLOSE)]);
}

#[test]
fn an_inexact_reset_leaves_ten_seconds_and_the_next_segment_gives_them_back() {
    let mut bench = Bench::new();
    bench.handshake();
    bench.pass(&tcp(Original, ACK, 1001, 5001, 100));
    bench.pass(&tcp(Reply, ACK, 5001, 1101, 0));
    bench.pass(&tcp(Original, RST, 1200, 0, 0));
    bench.wait(9.0).pass(&tcp(Original, ACK, 1101, 5001, 0));
    bench.wait(200.0).pass(&tcp(Original, ACK, 1101, 5001, 0));
    assert_eq!(bench.told(), []);
    bench.pass(&tcp(Original, RST, 1200, 0, 0));
    bench.wait(10.0).pass(&udp((A, 1), (B, 2), b""));
    assert_eq!(bench.states(), [(Destroy, ESTABLISHED), (New, None)]);
}

#[test]
fn a_new_syn_reopens_a_closed_connection_from_either_side() {
    for from in [Original, Reply] {
        let mut bench = Bench::new();
        bench.handshake();
        bench.pass(&tcp(Original, FIN | ACK, 1001, 5001, 0));
        bench.pass(&tcp(Reply, FIN | ACK, 5001, 1002, 0));
        bench.pass(&tcp(Original, ACK, 1002, 5002, 0));
        bench.told();
        let outcome = bench.pass(&tcp(from, SYN, 90_000, 0, 0));
        assert_eq!((outcome.state, outcome.reason), (State::New, Reason::Reopened));
        assert_eq!(bench.states(), [(Destroy, TIME_WAIT), (New, SYN_SENT)]);
    }
}

#[test]
fn a_syn_into_a_live_connection_changes_nothing_until_it_is_answered() {
    let mut bench = Bench::new();
    bench.handshake();
    let ignored = bench.pass(&tcp(Original, SYN, 70_000, 0, 0));
    assert_eq!(ignored.reason, Reason::Ignored { state: 3 });
    assert_eq!(bench.told(), []);
    let answer = bench.pass(&tcp(Reply, SYN | ACK, 80_000, 70_001, 0));
    assert_eq!(answer.reason, Reason::Resynchronised);
    assert_eq!(bench.states(), [(Update, SYN_RECV)]);
}

#[test]
fn what_is_sent_too_often_or_never_acknowledged_lives_shorter() {
    let mut bench = Bench::new();
    bench.handshake();
    bench.pass(&tcp(Original, ACK, 1001, 5001, 100)); // not acknowledged
    bench.wait(300.0).pass(&udp((A, 1), (B, 2), b""));
    assert_eq!(bench.states(), [(Destroy, ESTABLISHED), (New, None)]);
}

#[test]
fn sequence_numbers_go_round() {
    let mut bench = Bench::new();
    bench.pass(&tcp(Original, SYN, u32::MAX - 10, 0, 0));
    bench.pass(&tcp(Reply, SYN | ACK, u32::MAX, u32::MAX - 9, 0));
    bench.pass(&tcp(Original, ACK, u32::MAX - 9, 0, 0));
    let across = bench.pass(&tcp(Original, ACK, u32::MAX - 9, 0, 100));
    assert_eq!(across.reason, Reason::InWindow);
    assert_eq!(bench.pass(&tcp(Reply, ACK, 0, 90, 0)).reason, Reason::InWindow);
}

#[test]
fn a_packet_cut_by_the_capture_is_tracked_by_its_header() {
    let mut bench = Bench::new();
    bench.handshake();
    let whole = tcp(Original, ACK, 1001, 5001, 1000);
    let packet = conntap_core::packet::decode_ip(&whole[..60], 1040).unwrap();
    bench.engine.packet(&conntap_core::engine::Input::new(bench.now_ns, &packet));
    assert_eq!(bench.engine.counters().cut, 1);
    let next = bench.pass(&tcp(Reply, ACK, 5001, 2001, 0));
    assert_eq!(next.reason, Reason::InWindow, "all 1,000 bytes were counted");
}
