#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;
use crate::columns::{Column, Data};
use crate::ledger::{Bindings, Ledger, Options as LedgerOptions};
use crate::model::{Cause, Counters, Tuple};
use crate::wire::constants::{CT_DELETE, CT_NEW, NLM_F_CREATE};

type End = (&'static str, u16);

/// A connection as the kernel tells it: who dialled whom, and how its answers are addressed.
#[derive(Clone, Copy)]
struct Conn {
    l4proto: u8,
    source: End,
    dialled: End,
    /// Where the answer comes from, and where it goes.
    answered: End,
    outside: End,
    start: u64,
}

const PLAIN: Conn = Conn {
    l4proto: 6,
    source: ("192.0.2.7", 40000),
    dialled: ("198.51.100.9", 443),
    answered: ("198.51.100.9", 443),
    outside: ("192.0.2.7", 40000),
    start: 1_000,
};
const SNAT: Conn = Conn { source: ("10.0.0.5", 40000), outside: ("203.0.113.1", 50510), ..PLAIN };
const DNAT: Conn = Conn { dialled: ("203.0.113.1", 80), answered: ("10.0.0.8", 8080), ..PLAIN };

fn tuple(l4proto: u8, from: End, to: End, icmp: Option<(u8, u8)>) -> Tuple {
    let ports = icmp.is_none();
    Tuple {
        src: from.0.parse().ok(),
        dst: to.0.parse().ok(),
        l4proto: Some(l4proto),
        sport: ports.then_some(from.1),
        dport: ports.then_some(to.1),
        icmp_id: icmp.map(|_| from.1),
        icmp_type: icmp.map(|(kind, _)| kind),
        icmp_code: icmp.map(|(_, code)| code),
        ..Tuple::default()
    }
}

impl Conn {
    fn flow(&self, end: bool) -> Flow<'static> {
        let (request, reply) = if self.l4proto == 1 { (Some((8, 0)), Some((0, 0))) } else { (None, None) };
        let answer_id = if self.l4proto == 1 { (self.answered.0, self.outside.1) } else { self.answered };
        let count = |bytes| Some(Counters { packets: Some(5), bytes: Some(bytes) }).filter(|_| end);
        Flow {
            family: if self.source.0.contains(':') { 10 } else { 2 },
            orig: tuple(self.l4proto, self.source, self.dialled, request),
            reply: tuple(self.l4proto, answer_id, self.outside, reply),
            status: Some(0x18e),
            id: Some(u32::from(self.source.1)),
            start_ns: Some(self.start),
            stop_ns: end.then_some(self.start + 500),
            counters_orig: count(700),
            counters_reply: count(900),
            ..Flow::default()
        }
    }
}

fn add(batch: &mut Batch, conn: &Conn, end: bool) {
    let (message, flags) = if end { (CT_DELETE, 0) } else { (CT_NEW, NLM_F_CREATE) };
    let flow = conn.flow(end);
    let mut writer = crate::wire::Writer::new(message, flags, 0, 0, flow.family, 0, 0);
    flow.write(&mut writer);
    let time = i64::try_from(conn.start + if end { 500 } else { 0 }).unwrap();
    batch.append(&writer.finish(), time, &mut |_, _, _| true, &mut Default::default());
}

fn ledger(bindings: Bindings) -> Ledger {
    Ledger::new(LedgerOptions { seed: [1, 2], bindings, grace_ns: 0, seq: 0 })
}

fn fed(mut ledger: Ledger, batch: &Batch) -> Batch {
    let mut out = Batch::default();
    ledger.feed(batch, &mut out);
    out
}

fn records(conns: &[Conn]) -> Batch {
    let mut batch = Batch::default();
    for conn in conns {
        add(&mut batch, conn, true);
    }
    fed(ledger(Bindings::None), &batch)
}

fn built(options: Options, batch: &Batch) -> Builder {
    let mut builder = Builder::new(options);
    builder.append(batch);
    builder
}

/// One column's values as numbers, over all parts; None where there is none.
fn column(builder: &Builder, wanted: Field) -> Vec<Option<u128>> {
    let fields: Vec<_> = FIELDS.iter().filter(|field| has_field(&builder.options, field)).collect();
    let at = fields.iter().position(|(field, ..)| *field == wanted).unwrap();
    let mut found = Vec::new();
    for part in builder.parts(2) {
        assert!(part.rows <= 2);
        match &part.columns[at] {
            None => found.extend(std::iter::repeat_n(None, part.rows)),
            Some(column) => found.extend((0..part.rows).map(|row| value(column, row))),
        }
    }
    found
}

fn value(column: &Column, row: usize) -> Option<u128> {
    if column.validity.as_ref().is_some_and(|bits| bits[row / 8] >> (row % 8) & 1 == 0) {
        return None;
    }
    Some(match &column.data {
        Data::U8(all) => all[row].into(),
        Data::U16(all) => all[row].into(),
        Data::U32(all) => all[row].into(),
        Data::U64(all) => all[row].into(),
        Data::Time(all) => u128::try_from(all[row]).unwrap(),
        Data::Bytes16(all) => u128::from_be_bytes(all[row]),
        other => panic!("no number: {other:?}"),
    })
}

fn v4(text: &str) -> Option<u128> {
    Some(text.parse::<Ipv4Addr>().unwrap().to_bits().into())
}

fn v6(text: &str) -> Option<u128> {
    Some(text.parse::<Ipv6Addr>().unwrap().to_bits())
}

/// The ends of the only row: outside, inside, dialled, answered; address and port of each.
fn ends(conn: Conn) -> ([Option<u128>; 4], [Option<u128>; 4], u128) {
    let builder = built(Options::default(), &records(&[conn]));
    let one = |field| column(&builder, field)[0];
    (
        [Field::OutAddr, Field::InAddr, Field::DstAddr, Field::DnatAddr].map(one),
        [Field::OutPort, Field::InPort, Field::DstPort, Field::DnatPort].map(one),
        one(Field::Nat).unwrap(),
    )
}

#[test]
fn what_is_not_translated_is_told_once() {
    let told = ends(PLAIN);
    assert_eq!(told.0, [v4("192.0.2.7"), None, v4("198.51.100.9"), None]);
    assert_eq!((told.1, told.2), ([Some(40000), None, Some(443), None], 0));
}

#[test]
fn source_nat_has_an_inside() {
    let told = ends(SNAT);
    assert_eq!(told.0, [v4("203.0.113.1"), v4("10.0.0.5"), v4("198.51.100.9"), None]);
    assert_eq!((told.1, told.2), ([Some(50510), Some(40000), Some(443), None], 1));
}

#[test]
fn a_port_that_stays_is_told_once() {
    assert_eq!(ends(Conn { outside: ("203.0.113.1", 40000), ..SNAT }).1, [Some(40000), None, Some(443), None]);
}

#[test]
fn destination_nat_has_one_who_answered() {
    let told = ends(DNAT);
    assert_eq!(told.0, [v4("192.0.2.7"), None, v4("203.0.113.1"), v4("10.0.0.8")]);
    assert_eq!((told.1, told.2), ([Some(40000), None, Some(80), Some(8080)], 2));
}

#[test]
fn of_icmp_the_id_is_the_port_and_type_and_code_what_was_dialled() {
    let ping = Conn { l4proto: 1, source: ("10.0.0.5", 77), outside: ("203.0.113.1", 78), ..PLAIN };
    let told = ends(ping);
    assert_eq!((told.1, told.2), ([Some(78), Some(77), Some(8 << 8), None], 1));
}

#[test]
fn ipv6_has_columns_of_its_own() {
    let conn = Conn {
        source: ("fd00::5", 1),
        dialled: ("2001:db8::9", 2),
        answered: ("2001:db8::9", 2),
        outside: ("2001:db8::1", 1),
        ..PLAIN
    };
    let builder = built(Options::default(), &records(&[conn]));
    assert_eq!(column(&builder, Field::OutAddr6), [v6("2001:db8::1")]);
    assert_eq!(column(&builder, Field::InAddr6), [v6("fd00::5")]);
    assert_eq!(column(&builder, Field::OutAddr), [None]);
    assert!(builder.stats().wide);
    assert_eq!(builder.stats().out4, None);
}

#[test]
fn rows_are_sorted_by_outside_address_port_protocol_and_start_ipv4_first() {
    let six = Conn {
        source: ("2001:db8::1", 1),
        dialled: ("2001:db8::9", 2),
        answered: ("2001:db8::9", 2),
        outside: ("2001:db8::1", 1),
        ..PLAIN
    };
    let conns = [
        six,
        Conn { source: ("10.0.0.1", 9), start: 7, ..SNAT },
        Conn { source: ("10.0.0.2", 9), start: 5, ..SNAT },
        Conn { source: ("10.0.0.3", 9), l4proto: 17, start: 1, ..SNAT },
        Conn { source: ("10.0.0.4", 9), outside: ("203.0.113.1", 443), start: 9, ..SNAT },
        PLAIN,
    ];
    let builder = built(Options::default(), &records(&conns));
    assert_eq!(column(&builder, Field::StartNs), [1000, 9, 5, 7, 1, 1000].map(Some));
    assert_eq!(column(&builder, Field::OutAddr6)[5], v6("2001:db8::1"));
}

#[test]
fn times_and_counters_are_exact() {
    let builder = built(Options::default(), &records(&[SNAT]));
    for (field, value) in [
        (Field::StartNs, 1000),
        (Field::DurationNs, 500),
        (Field::OrigPackets, 5),
        (Field::OrigBytes, 700),
        (Field::ReplyPackets, 5),
        (Field::ReplyBytes, 900),
        (Field::Status, 0x18e),
        (Field::Kind, 0),
    ] {
        assert_eq!(column(&builder, field), [Some(value)], "{field:?}");
    }
    assert_eq!((builder.stats().min_start_ns, builder.stats().max_stop_ns), (Some(1000), Some(1500)));
}

#[test]
fn a_segment_of_translations_has_no_more_than_these() {
    let builder = built(Options { nat_only: true, ..Options::default() }, &records(&[SNAT, PLAIN, DNAT]));
    assert_eq!((builder.len(), builder.stats().without_nat, builder.stats().numbered), (2, 1, 3));
    assert!(FIELDS.iter().all(|field| has_field(&builder.options, field) == field.3));
    // Of source NAT nobody learns the other party, of destination NAT not who came.
    assert_eq!(column(&builder, Field::DstAddr), [v4("203.0.113.1"), None]);
    assert!(column(&builder, Field::OutAddr).contains(&v4("203.0.113.1")));
    assert!(!column(&builder, Field::OutAddr).contains(&v4("192.0.2.7")));
}

#[test]
fn privacy_leaves_out_and_disguises() {
    let with = |privacy| built(Options { privacy, ..Options::default() }, &records(&[SNAT]));
    let none = with(Privacy { no_destination: true, ..Privacy::default() });
    assert_eq!((column(&none, Field::DstAddr), column(&none, Field::DstPort)), (vec![None], vec![None]));
    let cut = with(Privacy { inside: Inside::Truncate(24, 56), ..Privacy::default() });
    assert_eq!(column(&cut, Field::InAddr), [v4("10.0.0.0")]);
    assert_eq!(column(&cut, Field::OutAddr), [v4("203.0.113.1")]);
    let other = with(Privacy { inside: Inside::Pseudonym([1, 2]), ..Privacy::default() });
    assert_ne!(column(&other, Field::InAddr), [v4("10.0.0.5")]);
    let network = Privacy {
        inside: Inside::Truncate(24, 56),
        networks: vec![("192.0.2.0".parse::<IpAddr>().unwrap(), 24)],
        ..Privacy::default()
    };
    let plain = built(Options { privacy: network, ..Options::default() }, &records(&[PLAIN]));
    assert_eq!(column(&plain, Field::OutAddr), [v4("192.0.2.0")]);
}

#[test]
fn bindings_begin_and_open_flows_go_on() {
    let mut batch = Batch::default();
    add(&mut batch, &SNAT, false);
    let mut ledger = ledger(Bindings::Nat);
    let mut told = Batch::default();
    ledger.feed(&batch, &mut told);
    let builder = built(Options::default(), &told);
    assert_eq!(builder.stats().kinds, [0, 0, 1, 0]);
    assert_eq!((column(&builder, Field::StartNs), column(&builder, Field::DurationNs)), (vec![Some(1000)], vec![None]));
    let mut open = Batch::default();
    assert_eq!(ledger.open(0, 10, 1900, &mut open), None);
    let builder = built(Options::default(), &open);
    assert_eq!((builder.stats().kinds, builder.stats().numbered), ([0, 0, 0, 1], 0));
    assert_eq!((column(&builder, Field::Kind), column(&builder, Field::DurationNs)), (vec![Some(3)], vec![Some(900)]));
}

#[test]
fn what_comes_again_is_counted_and_gaps_are_kept_apart() {
    let mut batch = Batch::default();
    add(&mut batch, &SNAT, true);
    batch.push_gap(&Gap { cause: Cause::Overrun, lost: Some(3), after_ns: 1600, before_ns: 1700, ..Gap::default() });
    let records = fed(ledger(Bindings::None), &batch);
    let mut builder = Builder::new(Options::default());
    builder.append(&records);
    builder.append(&records);
    assert_eq!((builder.len(), builder.gaps().len()), (1, 1));
    assert_eq!((builder.stats().numbered, builder.stats().repeated), (2, 2));
    let taken = builder.take();
    assert_eq!((taken.len(), builder.len(), builder.gaps().len()), (1, 0, 0));
    builder.append(&records);
    assert_eq!((builder.len(), builder.stats().repeated), (0, 2));
}
