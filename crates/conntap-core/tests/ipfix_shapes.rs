//! Every shape of a record: its template says what the record has, octet for octet, and no two shapes share a number.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use conntap_core::batch::Batch;
use conntap_core::ipfix::shape::{Count, Ports, Post, Shape, Times};
use conntap_core::ipfix::{Exporter, Messages, NatEvents, Options, Version, ids, shapes};
use conntap_core::model::{Counters, Flow, Kind, Record, Tuple};
use conntap_core::wire::constants::*;

const NOW_NS: i64 = 1_795_474_031_123_456_789;
const VARIABLE: usize = 65_535;

fn options(version: Version, nanoseconds: bool, extended: bool) -> Options {
    Options { version, limit: 1400, domain: 1, nanoseconds, extended, nat_events: NatEvents::Standard }
}

fn address(v6: bool, last: u8) -> IpAddr {
    if v6 {
        IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
    } else {
        IpAddr::from([10, 0, 0, last])
    }
}

/// A translated flow of that shape.
fn flow(shape: Shape) -> Flow<'static> {
    let tuple = |src, dst, ports: (u16, u16)| {
        let plain = Tuple { src, dst, l4proto: Some(6), ..Tuple::default() };
        match shape.ports {
            Ports::Ports => Tuple { sport: Some(ports.0), dport: Some(ports.1), ..plain },
            Ports::Icmp => Tuple { icmp_id: Some(ports.0), icmp_type: Some(8), icmp_code: Some(0), ..plain },
            Ports::None => plain,
        }
    };
    let seen = |v6, last| (!shape.no_destination).then(|| address(v6, last));
    let post = (shape.post != Post::None).then(|| address(shape.post_v6(), 3));
    let counted = |wanted: bool| wanted.then_some(Counters { packets: Some(5), bytes: Some(500) });
    Flow {
        family: AF_INET,
        orig: tuple(Some(address(shape.v6, 1)), seen(shape.v6, 2), (1000, 80)),
        reply: tuple(post.and_then(|_| seen(shape.post_v6(), 4)), post, (80, 2000)),
        counters_orig: counted(shape.count != Count::None),
        counters_reply: counted(shape.count == Count::Both),
        start_ns: (shape.times != Times::None).then_some(NOW_NS.cast_unsigned()),
        stop_ns: (shape.times != Times::None).then_some(NOW_NS.cast_unsigned()),
        helper: Some(b"ftp"),
        labels: Some(&[1, 2, 3, 4]),
        record: Some(Record { seq: 1, flow_id: 77, ..Record::default() }),
        ..Flow::default()
    }
}

fn batch(flow: &Flow<'_>) -> Batch {
    let mut batch = Batch::default();
    batch.push_with(Kind::Flow, RECORD_FLOW, 0, flow.family, NOW_NS, |writer| flow.write(writer));
    batch
}

fn be16(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

type Templates = HashMap<usize, Vec<(usize, u32, usize)>>;

/// The data records of the messages, whose templates are put into `templates`; every length is checked.
fn read(messages: &Messages, version: Version, templates: &mut Templates) -> Vec<(usize, usize)> {
    let mut records = Vec::new();
    for message in messages.iter() {
        let mut rest = match version {
            Version::Ipfix => {
                assert_eq!(be16(message, 2), message.len());
                &message[16..]
            }
            Version::NetFlow9 => &message[20..],
        };
        while !rest.is_empty() {
            let (set, len) = (be16(rest, 0), be16(rest, 2));
            let body = &rest[4..len];
            rest = &rest[len..];
            match set {
                0 | 2 => read_template(body, templates),
                3 => {}
                _ => records.push((set, read_record(body, &templates[&set]))),
            }
        }
    }
    records
}

fn read_template(mut body: &[u8], templates: &mut Templates) {
    while body.len() >= 4 {
        let (id, count) = (be16(body, 0), be16(body, 2));
        body = &body[4..];
        let mut fields = Vec::new();
        for _ in 0..count {
            let (number, len) = (be16(body, 0), be16(body, 2));
            body = &body[4..];
            let mut enterprise = 0;
            if number & 0x8000 != 0 {
                enterprise = u32::from_be_bytes(body[..4].try_into().unwrap());
                body = &body[4..];
            }
            fields.push((number & 0x7fff, enterprise, len));
        }
        let said: HashSet<_> = fields.iter().map(|(number, enterprise, _)| (number, enterprise)).collect();
        assert_eq!(said.len(), fields.len(), "an element stands twice in {id}");
        assert_eq!(templates.entry(id).or_insert_with(|| fields.clone()), &fields);
    }
}

/// Octets left over behind one record.
fn read_record(body: &[u8], fields: &[(usize, u32, usize)]) -> usize {
    let mut at = 0;
    for (_, _, len) in fields {
        at += if *len == VARIABLE { 1 + usize::from(body[at]) } else { *len };
    }
    body.len() - at
}

#[test]
fn every_shape_has_a_number_of_its_own_and_a_template_that_fits() {
    let mut numbers = HashSet::new();
    for shape in shapes() {
        let flow = flow(shape);
        let nanoseconds = shape.times == Times::Nanoseconds;
        let seen = Shape::of(&flow, shape.times != Times::None, nanoseconds, shape.extended).unwrap();
        assert_eq!(seen, shape);
        assert!(numbers.insert(shape.id()));
        assert!((ids::FLOWS..ids::NAT_EVENTS).contains(&shape.id()));
        assert!((ids::NAT_EVENTS..ids::GAP).contains(&shape.event_id()));

        let mut exporter = Exporter::new(options(Version::Ipfix, nanoseconds, shape.extended));
        let streams = exporter.encode(&batch(&flow), NOW_NS);
        let [flows, events, _] = streams.map(|messages| read(&messages, Version::Ipfix, &mut Templates::new()));
        assert_eq!(flows, [(usize::from(shape.id()), 0)]);
        if shape.post == Post::None {
            assert_eq!(events, []);
        } else if shape.ports != Ports::None || shape.post == Post::Same {
            assert_eq!(events, [(usize::from(shape.event_id()), 0)]);
        }
    }
    assert_eq!(numbers.len(), 2 * 3 * 3 * 3 * 3 * 2 * 2);
}

#[test]
fn the_templates_announced_are_those_that_records_come_with() {
    for version in [Version::Ipfix, Version::NetFlow9] {
        for shape in shapes().filter(|shape| !shape.extended && shape.times != Times::Nanoseconds) {
            let mut exporter = Exporter::new(options(version, false, false));
            let mut templates = Templates::new();
            exporter.encode(&batch(&flow(shape)), NOW_NS).iter().for_each(|messages| {
                read(messages, version, &mut templates);
            });
            let with_records = templates.len();
            // `read_template` compares what is announced again with what was known.
            exporter.templates(NOW_NS).iter().for_each(|messages| {
                if version == Version::NetFlow9 {
                    read(messages, version, &mut templates);
                } else {
                    templates.insert(usize::from(ids::TYPE_INFO), vec![(0, 0, VARIABLE)]);
                    read_templates_only(messages, &mut templates);
                }
            });
            assert!(templates.len() > with_records);
        }
    }
}

fn read_templates_only(messages: &Messages, templates: &mut Templates) {
    for message in messages.iter().filter(|message| be16(message, 16) == 2) {
        read_template(&message[20..16 + be16(message, 18)], templates);
    }
}

#[test]
fn what_was_taken_back_comes_again_with_the_same_bytes() {
    let batch = batch(&flow(Shape::PLAIN));
    let mut exporter = Exporter::new(options(Version::Ipfix, false, false));
    exporter.templates(NOW_NS);
    let (before, counted) = (exporter.totals(), exporter.counters());
    let first = exporter.encode(&batch, NOW_NS);
    assert_ne!(exporter.totals(), before);
    exporter.take_back();
    assert_eq!((exporter.totals(), exporter.counters()), (before, counted));
    assert_eq!(exporter.encode(&batch, NOW_NS), first);
}
