//! The ledger as a reader of its records sees it: every connection once, and what is not known in its place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::net::IpAddr;

use conntap_core::batch::Batch;
use conntap_core::ledger::{Bindings, Ledger, Options};
use conntap_core::model::record::{From, Record, end_reason};
use conntap_core::model::{Cause, Content, Counters, Flow, Gap, Kind, ProtoInfo, Tuple};
use conntap_core::wire::constants::{CT_DELETE, CT_NEW, NLM_F_CREATE, NLM_F_MULTI};

const S: i64 = 1_000_000_000;
const GRACE: i64 = 5 * S;

/// A connection of a client behind source NAT.
#[derive(Clone, Copy)]
struct Conn {
    sport: u16,
    id: u32,
    start: i64,
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

impl Conn {
    fn flow(&self) -> Flow<'static> {
        let tcp = |src, dst, sport, dport| Tuple {
            src: address(src),
            dst: address(dst),
            l4proto: Some(6),
            sport: Some(sport),
            dport: Some(dport),
            ..Tuple::default()
        };
        Flow {
            family: 2,
            orig: tcp("10.0.0.5", "198.51.100.9", self.sport, 443),
            reply: tcp("198.51.100.9", "203.0.113.1", 443, self.sport),
            status: Some(0x198),
            id: Some(self.id),
            ..Flow::default()
        }
    }
}

fn tcp_state(state: u8) -> Option<ProtoInfo> {
    Some(ProtoInfo::Tcp {
        state: Some(state),
        wscale_orig: None,
        wscale_reply: None,
        flags_orig: None,
        flags_reply: None,
    })
}

fn row(batch: &mut Batch, kind: Kind, flow: &Flow<'_>, port: u32, received_ns: i64) {
    let (message, flags) = match kind {
        Kind::New => (CT_NEW, NLM_F_CREATE),
        Kind::Entry => (CT_NEW, NLM_F_MULTI),
        Kind::Destroy => (CT_DELETE, 0),
        _ => panic!("not a row of the kernel"),
    };
    let mut writer = conntap_core::wire::Writer::new(message, flags, 0, port, flow.family, 0, 0);
    flow.write(&mut writer);
    batch.append(&writer.finish(), received_ns, &mut |_, _, _| true, &mut Default::default());
}

fn new(batch: &mut Batch, conn: &Conn) {
    let flow = Flow { event_ns: Some(conn.start as u64), protoinfo: tcp_state(1), ..conn.flow() };
    row(batch, Kind::New, &flow, 0, conn.start + 10);
}

fn with_counters<'a>(flow: Flow<'a>, conn: &Conn, packets: u64) -> Flow<'a> {
    let count = |packets: u64| Some(Counters { packets: Some(packets), bytes: Some(packets * 100) });
    Flow {
        counters_orig: count(packets),
        counters_reply: count(packets * 2),
        start_ns: Some(conn.start as u64 + 3),
        ..flow
    }
}

fn destroy(batch: &mut Batch, conn: &Conn, stop: i64) {
    let flow = with_counters(Flow { stop_ns: Some(stop as u64), protoinfo: tcp_state(7), ..conn.flow() }, conn, 10);
    row(batch, Kind::Destroy, &flow, 0, stop + 10);
}

fn entry(batch: &mut Batch, conn: &Conn, packets: u64, now: i64) {
    row(batch, Kind::Entry, &with_counters(conn.flow(), conn, packets), 77, now);
}

/// A record as a reader sees it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    kind: Kind,
    record: Record<'static>,
    start: Option<u64>,
    stop: Option<u64>,
    packets: Option<u64>,
}

fn flows(batch: &Batch) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (row, _, content) in batch.iter() {
        if let Content::Flow(flow) = content {
            let record = flow.record.expect("a record");
            seen.push(Seen {
                kind: row.kind,
                record: Record { exporter: None, elements: None, ..unborrowed(&record) },
                start: flow.start_ns,
                stop: flow.stop_ns,
                packets: flow.counters_orig.and_then(|count| count.packets),
            });
        }
    }
    seen
}

fn unborrowed(record: &Record<'_>) -> Record<'static> {
    Record {
        seq: record.seq,
        flow_id: record.flow_id,
        record_no: record.record_no,
        end_reason: record.end_reason,
        start_from: record.start_from,
        stop_from: record.stop_from,
        stop_after_ns: record.stop_after_ns,
        prior: record.prior,
        exporter: None,
        domain: record.domain,
        elements: None,
    }
}

fn gaps(batch: &Batch) -> Vec<Gap> {
    batch.iter().filter_map(|(_, _, content)| if let Content::Gap(gap) = content { Some(gap) } else { None }).collect()
}

fn ledger(bindings: Bindings) -> Ledger {
    Ledger::new(Options { seed: [1, 2], bindings, grace_ns: GRACE, seq: 0 })
}

fn fed(ledger: &mut Ledger, fill: impl FnOnce(&mut Batch)) -> Batch {
    let (mut events, mut records) = (Batch::default(), Batch::default());
    fill(&mut events);
    ledger.feed(&events, &mut records);
    assert!(ledger.balanced(), "{:?}", ledger.counters());
    records
}

fn dumped(ledger: &mut Ledger, interim: i64, after: i64, before: i64, fill: impl FnOnce(&mut Batch)) -> Batch {
    let (mut entries, mut records) = (Batch::default(), Batch::default());
    fill(&mut entries);
    ledger.begin_dump(i64::MAX);
    ledger.dump(&entries, interim, &mut records);
    ledger.end_dump(after, before, &mut records);
    assert!(ledger.balanced(), "{:?}", ledger.counters());
    records
}

fn tick(ledger: &mut Ledger, now: i64) -> Batch {
    fed(ledger, |batch| batch.push_gap(&Gap { cause: Cause::Tick, after_ns: now, before_ns: now, ..Gap::default() }))
}

const A: Conn = Conn { sport: 40_000, id: 7, start: 100 * S };
const B: Conn = Conn { sport: 40_001, id: 8, start: 101 * S };

#[test]
fn a_connection_is_one_record_with_the_kernels_times_and_totals() {
    let mut ledger = ledger(Bindings::None);
    assert!(fed(&mut ledger, |events| new(events, &A)).is_empty());
    let [seen] = flows(&fed(&mut ledger, |events| destroy(events, &A, 160 * S)))[..] else { panic!() };
    assert_eq!((seen.kind, seen.record.seq, seen.record.record_no), (Kind::Flow, 1, 0));
    assert_eq!((seen.start, seen.stop, seen.packets), (Some(100_000_000_003), Some(160_000_000_000), Some(10)));
    assert_eq!((seen.record.start_from, seen.record.stop_from), (From::Kernel, From::Kernel));
    assert_eq!(seen.record.end_reason, Some(end_reason::END_DETECTED));
    assert!(ledger.is_empty());
}

#[test]
fn a_translation_is_told_when_it_begins_under_the_same_flow_id() {
    let mut ledger = ledger(Bindings::Nat);
    let begun = flows(&fed(&mut ledger, |events| new(events, &A)));
    let ended = flows(&fed(&mut ledger, |events| destroy(events, &A, 160 * S)));
    assert_eq!((begun[0].kind, ended[0].kind), (Kind::Binding, Kind::Flow));
    assert_eq!(begun[0].record.flow_id, ended[0].record.flow_id);
    assert_eq!((begun[0].record.seq, ended[0].record.seq), (1, 2));
}

#[test]
fn an_end_that_comes_twice_is_one_record() {
    let mut ledger = ledger(Bindings::None);
    let records = fed(&mut ledger, |events| {
        new(events, &A);
        destroy(events, &A, 160 * S);
        destroy(events, &A, 160 * S);
    });
    assert_eq!((records.len(), ledger.counters().duplicates), (1, 1));
}

#[test]
fn a_tuple_used_again_under_the_same_id_is_another_flow() {
    let again = Conn { start: 200 * S, ..A };
    let mut ledger = ledger(Bindings::None);
    let records = fed(&mut ledger, |events| {
        new(events, &A);
        destroy(events, &A, 160 * S);
        new(events, &again);
        destroy(events, &again, 260 * S);
    });
    let seen = flows(&records);
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].record.flow_id, seen[1].record.flow_id);
}

#[test]
fn an_end_that_comes_behind_the_next_beginning_still_finds_its_flow() {
    let again = Conn { start: 200 * S, ..A };
    let mut ledger = ledger(Bindings::None);
    let records = fed(&mut ledger, |events| {
        new(events, &A);
        new(events, &again);
        destroy(events, &A, 160 * S);
        destroy(events, &again, 260 * S);
    });
    let stops: Vec<_> = flows(&records).iter().map(|seen| (seen.start, seen.stop)).collect();
    assert_eq!(stops, [(Some(100_000_000_003), Some(160 * S as u64)), (Some(200_000_000_003), Some(260 * S as u64))]);
    assert_eq!(ledger.counters().missed_ends, 0);
}

#[test]
fn an_end_without_a_beginning_is_a_whole_record_all_the_same() {
    let mut ledger = ledger(Bindings::None);
    let seen = flows(&fed(&mut ledger, |events| destroy(events, &A, 160 * S)));
    assert_eq!((seen[0].start, seen[0].packets), (Some(100_000_000_003), Some(10)));
    assert_eq!(ledger.counters().ended_unannounced, 1);
}

#[test]
fn what_a_dump_does_not_show_ended_unseen_between_two_times() {
    let mut ledger = ledger(Bindings::None);
    fed(&mut ledger, |events| {
        new(events, &A);
        new(events, &B);
    });
    let told = dumped(&mut ledger, i64::MIN, 150 * S, 200 * S, |entries| entry(entries, &B, 5, 200 * S));
    let [gap] = gaps(&told)[..] else { panic!() };
    assert_eq!((gap.cause, gap.alive, gap.ended, gap.lost), (Cause::Reconcile, 0, 1, Some(0)));
    assert!(flows(&tick(&mut ledger, 204 * S)).is_empty(), "its end may still come");
    let [seen] = flows(&tick(&mut ledger, 205 * S))[..] else { panic!() };
    assert_eq!((seen.record.end_reason, seen.record.stop_from), (Some(end_reason::UNKNOWN), From::Seen));
    assert_eq!((seen.record.stop_after_ns, seen.stop), (Some(150 * S), Some(200 * S as u64)));
    assert_eq!(ledger.len(), 1);
}

#[test]
fn of_a_flow_that_never_reports_only_what_was_seen_is_claimed() {
    let mut ledger = ledger(Bindings::None);
    dumped(&mut ledger, i64::MIN, 0, 120 * S, |entries| entry(entries, &A, 5, 120 * S));
    dumped(&mut ledger, i64::MIN, 150 * S, 200 * S, |_| {});
    let [seen] = flows(&tick(&mut ledger, 205 * S))[..] else { panic!() };
    assert_eq!((seen.record.stop_after_ns, seen.stop), (Some(120 * S), Some(200 * S as u64)));
}

#[test]
fn an_end_that_comes_late_behind_the_dump_is_known_after_all() {
    let mut ledger = ledger(Bindings::None);
    fed(&mut ledger, |events| new(events, &A));
    dumped(&mut ledger, i64::MIN, 150 * S, 200 * S, |_| {});
    let seen = flows(&fed(&mut ledger, |events| destroy(events, &A, 199 * S)));
    assert_eq!((seen[0].stop, seen[0].record.stop_from), (Some(199 * S as u64), From::Kernel));
    assert!(tick(&mut ledger, 300 * S).is_empty());
}

#[test]
fn a_dump_that_shows_what_ended_meanwhile_does_not_revive_it() {
    let mut ledger = ledger(Bindings::None);
    fed(&mut ledger, |events| new(events, &A));
    ledger.begin_dump(i64::MAX);
    fed(&mut ledger, |events| destroy(events, &A, 160 * S));
    let (mut entries, mut records) = (Batch::default(), Batch::default());
    entry(&mut entries, &A, 9, 160 * S);
    ledger.dump(&entries, i64::MIN, &mut records);
    ledger.end_dump(150 * S, 159 * S, &mut records);
    assert!(ledger.is_empty() && records.is_empty());
}

#[test]
fn interim_records_add_up_to_the_totals() {
    let mut ledger = ledger(Bindings::None);
    fed(&mut ledger, |events| new(events, &A));
    let mut told = Vec::new();
    for (packets, now) in [(3, 200), (8, 300)] {
        let part = dumped(&mut ledger, (now - 50) * S, 0, now * S, |entries| entry(entries, &A, packets, now * S));
        told.extend(flows(&part));
    }
    told.extend(flows(&fed(&mut ledger, |events| destroy(events, &A, 360 * S))));
    let numbers: Vec<_> = told.iter().map(|seen| (seen.kind, seen.record.record_no)).collect();
    assert_eq!(numbers, [(Kind::Interim, 0), (Kind::Interim, 1), (Kind::Flow, 2)]);
    let deltas: Vec<_> =
        told.iter().map(|seen| seen.packets.unwrap() - seen.record.prior.unwrap_or_default()[0]).collect();
    assert_eq!(deltas, [3, 5, 2]);
}

#[test]
fn a_flush_is_told_beside_the_flows() {
    let mut ledger = ledger(Bindings::None);
    fed(&mut ledger, |events| {
        new(events, &A);
        new(events, &B);
    });
    let flushed = fed(&mut ledger, |events| {
        for conn in [&A, &B] {
            let flow =
                with_counters(Flow { stop_ns: Some(160 * S as u64), timeout: Some(100), ..conn.flow() }, conn, 1);
            row(events, Kind::Destroy, &flow, 4242, 160 * S);
        }
    });
    assert!(flows(&flushed).iter().all(|seen| seen.record.end_reason == Some(end_reason::FORCED_END)));
    let [gap] = gaps(&tick(&mut ledger, 162 * S))[..] else { panic!() };
    assert_eq!((gap.cause, gap.ended, gap.lost), (Cause::Flush, 2, Some(0)));
}

#[test]
fn numbers_have_no_holes() {
    let mut ledger = ledger(Bindings::All);
    let mut numbers = Vec::new();
    for round in 0..50_u16 {
        let conn = Conn { sport: 1000 + round, id: u32::from(round), start: i64::from(round) * S };
        let records = fed(&mut ledger, |events| {
            new(events, &conn);
            events.push_gap(&Gap { lost: Some(1), after_ns: 1, before_ns: 2, ..Gap::default() });
            destroy(events, &conn, conn.start + S);
        });
        numbers.extend(records.iter().map(|(_, _, content)| match content {
            Content::Flow(flow) => flow.record.unwrap().seq,
            Content::Gap(gap) => gap.seq,
            Content::Expectation(_) => 0,
        }));
    }
    assert_eq!(numbers, (1..=150).collect::<Vec<u64>>());
}

/// What a restart does: open flows from the snapshot, then the journal's events again.
#[test]
fn a_journal_fed_again_gives_the_same_records() {
    let options = Options { seed: [1, 2], bindings: Bindings::Nat, grace_ns: GRACE, seq: 0 };
    let mut first = Ledger::new(options);
    fed(&mut first, |events| new(events, &A));
    dumped(&mut first, 150 * S, 0, 200 * S, |entries| entry(entries, &A, 3, 200 * S));
    let (mut snapshot, seq) = (Batch::default(), first.seq());
    assert_eq!(first.open(0, usize::MAX, 201 * S, &mut snapshot), None);

    let mut events = Batch::default();
    new(&mut events, &B);
    destroy(&mut events, &A, 260 * S);
    destroy(&mut events, &B, 261 * S);
    let mut told = Batch::default();
    first.feed(&events, &mut told);

    let mut second = Ledger::new(Options { seq, ..options });
    let mut again = Batch::default();
    second.feed(&snapshot, &mut again);
    assert!(again.is_empty() && second.len() == 1);
    second.feed(&events, &mut again);
    let bytes = |batch: &Batch| batch.rows().iter().map(|row| batch.row_bytes(row).to_vec()).collect::<Vec<_>>();
    assert_eq!(bytes(&told), bytes(&again));
    assert!(second.balanced());

    // Records that were journaled finished are told as they are, and the flow is not open any more.
    let mut third = Ledger::new(Options { seq, ..options });
    let mut passed = Batch::default();
    third.feed(&snapshot, &mut passed);
    third.feed(&told, &mut passed);
    assert_eq!(
        flows(&told).iter().map(|seen| seen.record).collect::<Vec<_>>(),
        flows(&passed).iter().map(|seen| seen.record).collect::<Vec<_>>()
    );
    assert!(third.is_empty() && third.seq() == first.seq() && third.balanced());
}

#[test]
fn open_flows_are_small() {
    let mut ledger = ledger(Bindings::None);
    let (mut events, mut records) = (Batch::default(), Batch::default());
    let mut sink = |_: Kind, _: &Content<'_>, _: &conntap_core::wire::Message<'_>| true;
    let template = A.flow();
    for number in 0..200_000_u32 {
        let [_, high, middle, low] = number.to_be_bytes();
        let orig = Tuple { src: Some(IpAddr::from([10, high, middle, low])), ..template.orig };
        let flow = Flow { orig, id: Some(number), event_ns: Some(1), ..template.clone() };
        let mut writer = conntap_core::wire::Writer::new(CT_NEW, NLM_F_CREATE, 0, 0, 2, 0, 0);
        flow.write(&mut writer);
        events.append(&writer.finish(), 5, &mut sink, &mut Default::default());
        if number % 1000 == 999 {
            ledger.feed(&events, &mut records);
            events.clear();
        }
    }
    assert_eq!(ledger.len(), 200_000);
    let each = ledger.memory() / 200_000;
    assert!(each <= 300, "{each} bytes");
}

#[test]
fn a_beginning_that_waited_while_a_dump_showed_the_flow_is_no_second_flow() {
    let mut ledger = ledger(Bindings::None);
    dumped(&mut ledger, i64::MIN, 99 * S, 101 * S, |entries| entry(entries, &A, 1, 101 * S));
    assert!(fed(&mut ledger, |events| new(events, &A)).is_empty());
    assert_eq!(flows(&fed(&mut ledger, |events| destroy(events, &A, 160 * S))).len(), 1);
    assert!(ledger.is_empty() && tick(&mut ledger, 300 * S).is_empty());
}

#[test]
fn a_beginning_that_is_told_behind_its_end_is_no_second_flow() {
    let mut ledger = ledger(Bindings::None);
    let later = Conn { start: A.start + 5, ..A }; // the event is stamped a little after the beginning
    assert_eq!(flows(&fed(&mut ledger, |events| destroy(events, &A, 160 * S))).len(), 1);
    assert!(fed(&mut ledger, |events| new(events, &later)).is_empty());
    assert!(ledger.is_empty());
}

#[test]
fn filling_a_ledger_tells_nothing() {
    let mut first = ledger(Bindings::None);
    fed(&mut first, |events| {
        new(events, &A);
        new(events, &B);
    });
    dumped(&mut first, i64::MIN, 150 * S, 200 * S, |_| {});
    let mut open = Batch::default();
    first.open(0, usize::MAX, 300 * S, &mut open); // their grace was over at 205 s
    let mut second = ledger(Bindings::None);
    let mut told = Batch::default();
    second.feed(&open, &mut told);
    assert!(told.is_empty());
    assert_eq!((second.seq(), second.len()), (0, 2));
    assert_eq!(flows(&tick(&mut second, 301 * S)).len(), 2);
}
