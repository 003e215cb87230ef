//! What the reader makes of messages written by hand, of those of our own exporter, and of rubbish.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::net::IpAddr;

use conntap_core::batch::Batch;
use conntap_core::ipfix::read::{Limits, Peer, ReadError, Reader};
use conntap_core::ipfix::{Exporter, NatEvents, Options, Version};
use conntap_core::model::record::From as Known;
use conntap_core::model::{Cause, Content, Counters, Flow, Gap, Kind, ProtoInfo, Record, Tuple};
use conntap_core::wire::constants::*;
use proptest::prelude::*;

const UDP: Peer<'static> = Peer { exporter: "192.0.2.250", port: 4000, datagram: true };
const TCP: Peer<'static> = Peer { exporter: "192.0.2.250", port: 4000, datagram: false };
const S: i64 = 1_000_000_000;
const EXPORT: u32 = 1_700_000_000;
const EXPORT_NS: i64 = EXPORT as i64 * S;

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes()[..], &(body.len() as u16 + 4).to_be_bytes(), body].concat()
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A template of elements as (number, length) of the registry.
fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let specs: Vec<u16> = fields.iter().flat_map(|(number, len)| [*number, *len]).collect();
    [words(&[id, fields.len() as u16]), words(&specs)].concat()
}

fn ipfix(seq: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    [
        &10_u16.to_be_bytes()[..],
        &(body.len() as u16 + 16).to_be_bytes(),
        &EXPORT.to_be_bytes(),
        &seq.to_be_bytes(),
        &7_u32.to_be_bytes(),
        &body,
    ]
    .concat()
}

fn netflow9(seq: u32, uptime_ms: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let numbers = [uptime_ms, EXPORT, seq, 7].map(u32::to_be_bytes).concat();
    [words(&[9, sets.len() as u16]), numbers, sets.concat()].concat()
}

fn read(messages: &[Vec<u8>], peer: &Peer<'_>) -> (Batch, Reader) {
    let (mut reader, mut out) = (Reader::default(), Batch::default());
    for message in messages {
        let _ = reader.feed(message, peer, Some(EXPORT_NS), &mut out);
    }
    reader.settle(i64::MAX, &mut out);
    (out, reader)
}

/// The only row, as (kind, flow) to look at.
fn only<T>(batch: &Batch, look: impl FnOnce(Kind, &Flow<'_>) -> T) -> T {
    assert_eq!(batch.len(), 1);
    match batch.content(&batch.rows()[0]).unwrap() {
        (_, Content::Flow(flow)) => look(batch.rows()[0].kind, &flow),
        other => panic!("{other:?}"),
    }
}

const FLOW: [(u16, u16); 9] = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (152, 8), (153, 8), (1, 4), (2, 4)];

fn flow_record(sport: u16, octets: u32) -> Vec<u8> {
    let ms = |seconds: u64| ((u64::from(EXPORT) - seconds) * 1000 + 5).to_be_bytes();
    [
        &[192, 0, 2, 1, 198, 51, 100, 9][..],
        &sport.to_be_bytes(),
        &[0, 53, 17],
        &ms(20),
        &ms(10),
        &octets.to_be_bytes(),
        &3_u32.to_be_bytes(),
    ]
    .concat()
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn a_flow_has_its_tuple_times_counters_and_where_it_is_from() {
    let message = ipfix(0, &[set(2, &template(300, &FLOW)), set(300, &flow_record(5353, 400))]);
    let (batch, reader) = read(&[message], &UDP);
    only(&batch, |kind, flow| {
        assert_eq!(kind, Kind::Flow);
        let orig = Tuple {
            src: ip("192.0.2.1"),
            dst: ip("198.51.100.9"),
            l4proto: Some(17),
            sport: Some(5353),
            dport: Some(53),
            ..Tuple::default()
        };
        assert_eq!((flow.orig, flow.reply, flow.nat_kind()), (orig, orig.mirrored(), None));
        assert_eq!(flow.start_ns, Some(((EXPORT_NS - 20 * S) + 5_000_000) as u64));
        assert_eq!(flow.stop_ns, Some(((EXPORT_NS - 10 * S) + 5_000_000) as u64));
        assert_eq!(flow.counters_orig, Some(Counters { packets: Some(3), bytes: Some(400) }));
        assert_eq!(flow.counters_reply, None);
        let record = flow.record.unwrap();
        assert_eq!((record.start_from, record.stop_from), (Known::Exporter, Known::Exporter));
        assert_eq!((record.exporter, record.domain, record.elements), (Some(&b"192.0.2.250"[..]), Some(7), None));
    });
    assert_eq!((reader.counters().flows, reader.counters().gaps), (1, 0));
}

#[test]
fn elements_without_a_field_are_kept_by_number() {
    let fields = [(8, 4), (12, 4), (6, 1), (10, 4), (10, 2), (82, 65535)];
    let mut spec = template(300, &fields);
    spec[2..4].copy_from_slice(&7_u16.to_be_bytes());
    spec.extend(words(&[0x8000 | 12232, 2, 0, 9])); // enterprise 9
    let record = [&[10, 0, 0, 1, 10, 0, 0, 2, 0x1b, 0, 0, 0, 3, 0, 4][..], b"\x04eth0", &[0xca, 0xfe]].concat();
    let (batch, _) = read(&[ipfix(0, &[set(2, &spec), set(300, &record)])], &UDP);
    only(&batch, |_, flow| {
        let kept = std::str::from_utf8(flow.record.unwrap().elements.unwrap()).unwrap();
        assert_eq!(kept, r##"{"6":"1b","10":"00000003","10#2":"0004","82":"65746830","9.12232":"cafe"}"##);
        serde_json::from_str::<serde_json::Value>(kept).unwrap();
    });
}

#[test]
fn nat_sessions_begin_as_bindings_and_end_as_flows_with_both_tuples() {
    let fields = [(323, 8), (230, 1), (8, 4), (225, 4), (4, 1), (7, 2), (227, 2), (234, 4)];
    let record = |event: u8, seconds: u32| {
        let ms = (u64::from(EXPORT - seconds) * 1000).to_be_bytes();
        [&ms[..], &[event, 10, 0, 0, 1, 203, 0, 113, 5, 6, 0x10, 0, 0x20, 0, 0, 0, 0, 3]].concat()
    };
    let records = [record(4, 9), record(5, 1)].concat();
    let (batch, _) = read(&[ipfix(0, &[set(2, &template(300, &fields)), set(300, &records)])], &UDP);
    let rows: Vec<_> = batch.iter().collect();
    for ((row, _, content), kind) in rows.iter().zip([Kind::Binding, Kind::Flow]) {
        let Content::Flow(flow) = content else { panic!("{content:?}") };
        assert_eq!((row.kind, flow.zone, flow.nat_kind()), (kind, Some(3), Some("snat")));
        assert_eq!((flow.orig.src, flow.orig.sport), (ip("10.0.0.1"), Some(0x1000)));
        assert_eq!((flow.reply.dst, flow.reply.dport), (ip("203.0.113.5"), Some(0x2000)));
        let (start, stop) = (flow.start_ns.map(u64::cast_signed), flow.stop_ns.map(u64::cast_signed));
        let begins = kind == Kind::Binding;
        assert_eq!(start, begins.then_some(EXPORT_NS - 9 * S));
        assert_eq!(stop, (!begins).then_some(EXPORT_NS - S));
    }
}

#[test]
fn nat64_has_a_tuple_of_each_family() {
    let fields =
        [(323, 8), (230, 1), (27, 16), (225, 4), (4, 1), (7, 2), (227, 2), (28, 16), (226, 4), (11, 2), (228, 2)];
    let (src, dst) = (
        "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap(),
        "64:ff9b::c633:6409".parse::<std::net::Ipv6Addr>().unwrap(),
    );
    let record = [
        &0_u64.to_be_bytes()[..],
        &[6],
        &src.octets(),
        &[203, 0, 113, 5, 6, 0x10, 0, 0x20, 0],
        &dst.octets(),
        &[198, 51, 100, 9, 0, 80, 0, 80],
    ]
    .concat();
    let (batch, _) = read(&[ipfix(0, &[set(2, &template(300, &fields)), set(300, &record)])], &UDP);
    only(&batch, |kind, flow| {
        assert_eq!((kind, flow.family), (Kind::Binding, AF_INET6));
        assert_eq!((flow.orig.src, flow.orig.dst), (Some(src.into()), Some(dst.into())));
        assert_eq!((flow.reply.src, flow.reply.dst), (ip("198.51.100.9"), ip("203.0.113.5")));
        assert_eq!((flow.reply.sport, flow.reply.dport), (Some(80), Some(0x2000)));
        assert_eq!(flow.record.unwrap().start_from, Known::Received); // no time: before it left
    });
}

#[test]
fn events_about_no_flow_and_records_without_addresses_are_counted() {
    let pool =
        [set(2, &template(300, &[(323, 8), (230, 1), (283, 4)])), set(300, &[&[0; 8][..], &[3, 0, 0, 0, 1]].concat())];
    let interface = [set(2, &template(301, &[(10, 4), (1, 8)])), set(301, &[0; 12])];
    let (batch, reader) = read(&[ipfix(0, &pool), ipfix(1, &interface)], &UDP);
    assert!(batch.is_empty());
    assert_eq!((reader.counters().records_of_other_events, reader.counters().records_without_address), (1, 1));
}

#[test]
fn netflow9_times_count_from_the_exporters_start() {
    let fields = [(8, 4), (12, 4), (22, 4), (21, 4), (1, 4), (2, 4), (23, 4), (24, 4), (4, 1), (32, 2), (7, 2)];
    let record = [
        &[10, 0, 0, 1, 10, 0, 0, 2][..],
        &[0, 0, 0x27, 0x10, 0, 0, 0x2a, 0xf8], // 10 s and 11 s
        &[0, 0, 0, 84, 0, 0, 0, 1, 0, 0, 0, 168, 0, 0, 0, 2, 1, 8, 0, 0, 9],
    ]
    .concat();
    let message = netflow9(0, 15_000, &[set(0, &template(260, &fields)), set(260, &record)]);
    let (batch, _) = read(&[message], &UDP);
    only(&batch, |_, flow| {
        assert_eq!(flow.start_ns, Some((EXPORT_NS - 5 * S) as u64));
        assert_eq!(flow.stop_ns, Some((EXPORT_NS - 4 * S) as u64));
        assert_eq!(flow.counters_reply, Some(Counters { packets: Some(2), bytes: Some(168) }));
        assert_eq!((flow.orig.icmp_type, flow.orig.icmp_code, flow.orig.icmp_id), (Some(8), Some(0), Some(9)));
        assert_eq!((flow.reply.icmp_type, flow.orig.sport), (Some(0), None));
    });
}

#[test]
fn what_comes_before_its_template_is_read_when_that_comes() {
    let early = ipfix(0, &[set(300, &flow_record(1, 1))]);
    let late = ipfix(1, &[set(2, &template(300, &FLOW)), set(300, &flow_record(2, 1))]);
    let (batch, reader) = read(&[early, late], &UDP);
    let ports: Vec<_> = batch
        .iter()
        .map(|(_, _, content)| match content {
            Content::Flow(flow) => flow.orig.sport.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ports, [1, 2]);
    let counters = reader.counters();
    assert_eq!((counters.waited, counters.waited_read, counters.dropped_sets, counters.gaps), (1, 1, 0, 0));
    assert_eq!(reader.held(), (1, 1, 0));
}

#[test]
fn what_waits_too_long_or_takes_too_much_is_dropped_and_counted() {
    let limits = Limits { waiting_bytes: 2000, waiting_ns: S, ..Limits::default() };
    let (mut reader, mut out) = (Reader::new(limits), Batch::default());
    for seq in 0..5 {
        reader.feed(&ipfix(seq, &[set(300, &[0; 500])]), &UDP, Some(0), &mut out).unwrap();
    }
    assert_eq!(
        (reader.counters().waited, reader.counters().dropped_sets, reader.counters().dropped_bytes),
        (5, 2, 1000)
    );
    assert!(reader.held().2 <= 2000);
    reader.settle(3 * S, &mut out);
    assert_eq!((reader.counters().dropped_sets, reader.held().2), (5, 0));
}

#[test]
fn templates_age_over_udp_and_not_over_tcp() {
    for (peer, read, expired) in [(UDP, 1, 1), (TCP, 2, 0)] {
        let (mut reader, mut out) = (Reader::new(Limits { lifetime_ns: S, ..Limits::default() }), Batch::default());
        let first = ipfix(0, &[set(2, &template(300, &FLOW)), set(300, &flow_record(1, 1))]);
        reader.feed(&first, &peer, Some(0), &mut out).unwrap();
        reader.feed(&ipfix(1, &[set(300, &flow_record(2, 1))]), &peer, Some(5 * S), &mut out).unwrap();
        assert_eq!((reader.counters().flows, reader.counters().templates_expired), (read, expired));
    }
}

#[test]
fn withdrawals_count_over_tcp_and_are_ignored_over_udp() {
    let messages = |set_of_all: bool| {
        let withdrawn = if set_of_all { words(&[2, 0]) } else { words(&[300, 0]) };
        [ipfix(0, &[set(2, &template(300, &FLOW))]), ipfix(0, &[set(2, &withdrawn)])]
    };
    for all in [false, true] {
        let (_, reader) = read(&messages(all), &TCP);
        assert_eq!((reader.held().1, reader.counters().templates_withdrawn), (0, 1));
        let (_, reader) = read(&messages(all), &UDP);
        assert_eq!((reader.held().1, reader.counters().withdrawals_ignored), (1, 1));
    }
}

#[test]
fn sessions_do_not_share_templates_and_the_silent_give_way() {
    let (mut reader, mut out) = (Reader::new(Limits { sessions: 8, ..Limits::default() }), Batch::default());
    let teach = ipfix(0, &[set(2, &template(300, &FLOW))]);
    for port in 0..100_u16 {
        let peer = Peer { port, ..UDP };
        reader.feed(&teach, &peer, Some(i64::from(port)), &mut out).unwrap();
        reader.feed(&ipfix(0, &[set(300, &flow_record(1, 1))]), &peer, Some(i64::from(port)), &mut out).unwrap();
        assert!(reader.held().0 <= 8);
    }
    assert_eq!(reader.counters().flows, 100);
    assert_eq!(reader.counters().sessions_dropped, 100 - reader.held().0 as u64);
    reader.feed(&ipfix(0, &[set(300, &flow_record(1, 1))]), &Peer { port: 999, ..UDP }, Some(0), &mut out).unwrap();
    assert_eq!(reader.counters().flows, 100);
}

#[test]
fn lost_messages_become_a_gap_between_export_times() {
    let teach = set(2, &template(300, &FLOW));
    let (batch, reader) = read(&[ipfix(0, &[teach, set(300, &flow_record(1, 1))]), ipfix(43, &[])], &UDP);
    let gap = batch.iter().find_map(|(_, _, content)| match content {
        Content::Gap(gap) => Some(gap),
        _ => None,
    });
    let expected = Gap { lost: Some(42), after_ns: EXPORT_NS, before_ns: EXPORT_NS + S, ..Gap::default() };
    assert_eq!(gap, Some(expected));
    assert_eq!((reader.counters().lost_records, reader.counters().gaps), (42, 1));
}

#[test]
fn faults_have_names_and_what_was_read_before_them_stays() {
    let good = ipfix(0, &[set(2, &template(300, &FLOW)), set(300, &flow_record(1, 1))]);
    let with = |tail: &[u8]| {
        let mut message = [&good[..], tail].concat();
        let len = message.len() as u16;
        message[2..4].copy_from_slice(&len.to_be_bytes());
        message
    };
    let variable = set(2, &template(301, &[(82, 65535), (8, 4)]));
    for (message, name, rows) in [
        (vec![0, 5, 0, 0], "malformed_version", 0),
        (good[..40].to_vec(), "malformed_length", 0),
        (vec![0, 10], "malformed_length", 0),
        (with(&[1, 44, 0, 3]), "malformed_set", 1),
        (with(&[1, 44, 255, 0]), "malformed_set", 1),
        (with(&set(2, &words(&[302, 9, 8, 4]))), "malformed_template", 1),
        (with(&[variable, set(301, &[200, 1, 2, 3, 4, 5])].concat()), "malformed_record", 1),
    ] {
        let (batch, reader) = read(&[message], &UDP);
        let counts: Vec<_> =
            reader.counters().all().filter(|(name, count)| name.starts_with("malformed") && *count > 0).collect();
        assert_eq!((counts, batch.len()), (vec![(name, 1)], rows));
        assert!(reader.sample().is_some());
    }
    assert_eq!(Reader::framed(&good[..10]), Ok(Some(good.len()).filter(|_| false)));
    assert_eq!(Reader::framed(&good), Ok(Some(good.len())));
    assert_eq!(Reader::framed(&[0, 9, 0, 40]), Err(ReadError::Version { found: 9 }));
}

/// A flow with all that an extended record of ours has.
fn ours(interim: u32) -> Flow<'static> {
    let orig = Tuple {
        src: ip("192.168.1.5"),
        dst: ip("198.51.100.9"),
        l4proto: Some(6),
        sport: Some(40000),
        dport: Some(21),
        ..Tuple::default()
    };
    let reply = Tuple { dst: ip("203.0.113.5"), dport: Some(1024), ..orig.mirrored() };
    let step = u64::from(interim) + 1;
    Flow {
        family: AF_INET,
        orig,
        reply,
        mark: Some(7),
        zone: Some(3),
        status: Some(IPS_ASSURED | IPS_SRC_NAT),
        labels: Some(&[1, 0, 0, 0]),
        helper: Some(b"ftp"),
        protoinfo: Some(ProtoInfo::Tcp {
            state: Some(7),
            wscale_orig: None,
            wscale_reply: None,
            flags_orig: None,
            flags_reply: None,
        }),
        counters_orig: Some(Counters { packets: Some(10 * step), bytes: Some(1000 * step) }),
        counters_reply: Some(Counters { packets: Some(20 * step), bytes: Some(9000 * step) }),
        start_ns: Some((EXPORT_NS - 60 * S + 123_456_789) as u64),
        stop_ns: Some((EXPORT_NS + 999_999_999) as u64),
        record: Some(Record {
            seq: u64::from(interim) + 1,
            flow_id: 0x1234_5678_9abc,
            record_no: interim,
            end_reason: Some(3),
            prior: (interim > 0).then(|| {
                let before = step - 1;
                [10 * before, 1000 * before, 20 * before, 9000 * before]
            }),
            ..Record::default()
        }),
        ..Flow::default()
    }
}

#[test]
fn our_own_exporters_records_come_back() {
    for (version, extended) in [(Version::Ipfix, true), (Version::Ipfix, false), (Version::NetFlow9, false)] {
        let mut exporter = Exporter::new(Options {
            version,
            limit: 1400,
            domain: 1,
            nanoseconds: version == Version::Ipfix,
            extended,
            nat_events: NatEvents::Standard,
        });
        let mut sent = Batch::default();
        for (kind, message, number) in [
            (Kind::Binding, RECORD_BINDING, 0),
            (Kind::Interim, RECORD_INTERIM, 0),
            (Kind::Interim, RECORD_INTERIM, 1),
            (Kind::Flow, RECORD_FLOW, 2),
        ] {
            let mut flow = ours(number);
            if kind == Kind::Interim {
                flow.record.as_mut().unwrap().end_reason = Some(2);
            }
            sent.push_with(kind, message, 0, AF_INET, EXPORT_NS, |writer| flow.write(writer));
        }
        let told = Gap {
            lost: Some(5),
            after_ns: EXPORT_NS - S,
            before_ns: EXPORT_NS,
            cause: Cause::Restart,
            seq: 9,
            ..Gap::default()
        };
        sent.push_gap(&told);
        let (mut reader, mut out) = (Reader::default(), Batch::default());
        let mut messages = exporter.templates(EXPORT_NS).to_vec();
        messages.extend(exporter.encode(&sent, EXPORT_NS));
        messages.extend(exporter.statistics(0, EXPORT_NS));
        for message in messages.iter().flat_map(|messages| messages.iter()) {
            reader.feed(message, &UDP, Some(EXPORT_NS), &mut out).unwrap();
        }
        reader.settle(i64::MAX, &mut out);
        let counters = reader.counters();
        assert_eq!((counters.flows, counters.interims, counters.bindings), (1, 2, 1), "{version:?}");
        assert_eq!((counters.nat_ends_told_twice, counters.lost_records, counters.miscounting), (1, 0, 0));
        let (mut flows, mut gaps) = (Vec::new(), Vec::new());
        for (row, _, content) in out.iter() {
            match content {
                Content::Flow(flow) => flows.push((row.kind, flow)),
                Content::Gap(gap) => gaps.push(gap),
                Content::Expectation(_) => panic!(),
            }
        }
        let expected: Vec<Gap> = if version == Version::Ipfix { vec![Gap { seq: 0, ..told }] } else { vec![] };
        assert_eq!(gaps, expected);
        let mut number = 0;
        for (kind, flow) in flows.iter().filter(|(kind, _)| *kind != Kind::Binding) {
            let wanted = ours(number);
            let (record, wanted_record) = (flow.record.unwrap(), wanted.record.unwrap());
            assert_eq!((flow.orig, flow.reply), (wanted.orig, wanted.reply));
            assert_eq!((flow.counters_orig, flow.counters_reply), (wanted.counters_orig, wanted.counters_reply));
            assert_eq!((record.flow_id, record.record_no), (wanted_record.flow_id, number));
            assert_eq!(record.prior, wanted_record.prior);
            if version == Version::Ipfix {
                assert_eq!(flow.start_ns, wanted.start_ns);
                assert_eq!(flow.stop_ns, wanted.stop_ns.filter(|_| *kind == Kind::Flow));
            }
            if extended {
                assert_eq!((flow.mark, flow.zone, flow.status), (wanted.mark, wanted.zone, wanted.status));
                assert_eq!(
                    (flow.labels, flow.helper, flow.protoinfo),
                    (wanted.labels, wanted.helper, wanted.protoinfo)
                );
            }
            number += 1;
        }
        assert_eq!(number, 3);
    }
}

fn any_set() -> impl Strategy<Value = Vec<u8>> {
    let ids = prop_oneof![Just(0_u16), Just(1), Just(2), Just(3), 250..262_u16, any::<u16>()];
    let number = prop_oneof![1..60_u16, 80..350_u16, Just(0x8001_u16), any::<u16>()];
    let len = prop_oneof![1..20_u16, Just(u16::MAX), any::<u16>()];
    let fields = proptest::collection::vec((number, len), 0..20);
    let taught = (250..262_u16, fields).prop_map(|(id, fields)| template(id, &fields));
    let body = prop_oneof![taught, proptest::collection::vec(any::<u8>(), 0..200)];
    (ids, body).prop_map(|(id, body)| set(id, &body))
}

proptest! {
    /// Nothing that is sent makes the reader fail, forget to count, or remember more than it may.
    #[test]
    fn rubbish_is_counted(
        messages in proptest::collection::vec((any::<bool>(), any::<u32>(), proptest::collection::vec(any_set(), 0..6)), 0..12),
        cut in any::<proptest::sample::Index>(),
        datagram in any::<bool>(),
    ) {
        let limits = Limits { sessions: 4, templates: 6, fields: 40, waiting_bytes: 700, ..Limits::default() };
        let (mut reader, mut out) = (Reader::new(limits), Batch::default());
        let peer = Peer { datagram, ..UDP };
        for (at, (v9, seq, sets)) in messages.iter().enumerate() {
            let mut message = if *v9 { netflow9(*seq, 1, sets) } else { ipfix(*seq, sets) };
            if at % 3 == 2 {
                message.truncate(cut.index(message.len()));
            }
            let _ = reader.feed(&message, &peer, Some(0), &mut out);
        }
        reader.settle(i64::MAX, &mut out);
        let counters = reader.counters();
        let rows = counters.flows + counters.interims + counters.bindings;
        prop_assert_eq!(out.len() as u64, rows + counters.gaps);
        prop_assert_eq!(out.iter().count(), out.len()); // all of them can be read
        let left_out = counters.records_without_address + counters.records_of_other_events + counters.nat_ends_told_twice;
        prop_assert_eq!(counters.records, rows + left_out);
        prop_assert!(counters.waited >= counters.waited_read + counters.dropped_sets);
        let (sessions, templates, waiting) = reader.held();
        prop_assert!(sessions <= 4 && templates <= 4 * 6 && waiting <= 4 * 700);
    }
}
