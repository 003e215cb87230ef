//! Rows as JSON: every line reads back by another's parser, has the schema's keys, and says what the row says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::net::IpAddr;

use conntap_core::batch::{Batch, Scan};
use conntap_core::columns::FIELDS;
use conntap_core::json;
use conntap_core::model::{Content, Counters, Expectation, Flow, Gap, ProtoInfo, SeqAdj, Tuple};
use conntap_core::wire::Writer;
use conntap_core::wire::constants::*;
use proptest::prelude::*;
use serde_json::{Value, json as value};

fn lines(batch: &Batch) -> Vec<Value> {
    let mut out = Vec::new();
    for (row, message, content) in batch.iter() {
        json::write_row(&mut out, row, &message, &content);
    }
    let text = String::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn batch(messages: &[Vec<u8>]) -> Batch {
    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    for message in messages {
        batch.append(message, 7, &mut |_, _, _| true, &mut scan);
    }
    assert_eq!(scan.malformed_total(), 0);
    batch
}

fn samples() -> Batch {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/ctnetlink");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let bin = files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "bin"));
    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    for file in bin {
        batch.append(&std::fs::read(file).unwrap(), 7, &mut |_, _, _| true, &mut scan);
    }
    batch
}

fn flow(kind: u16, flags: u16, port: u32, flow: &Flow<'_>) -> Vec<u8> {
    let mut writer = Writer::new(kind, flags, 0, port, flow.family, 0, 0);
    flow.write(&mut writer);
    writer.finish()
}

#[test]
fn every_sample_says_what_the_row_says() {
    let batch = samples();
    assert!(batch.len() > 90);
    for ((row, _, content), line) in batch.iter().zip(lines(&batch)) {
        assert_eq!(line["kind"], row.kind.name());
        assert_eq!(line["received_ns"], 7);
        match content {
            Content::Flow(flow) => {
                assert_eq!(line["family"], flow.family);
                tuple(&line, "orig", &flow.orig);
                tuple(&line, "reply", &flow.reply);
                tuple(&line, "master", &flow.master.unwrap_or_default());
                same(&line, "status", flow.status);
                same(&line, "timeout", flow.timeout);
                same(&line, "mark", flow.mark);
                same(&line, "zone", flow.zone);
                same(&line, "id", flow.id);
                same(&line, "use_count", flow.use_count);
                same(&line, "orig_packets", flow.counters_orig.and_then(|counters| counters.packets));
                same(&line, "reply_bytes", flow.counters_reply.and_then(|counters| counters.bytes));
                same(&line, "event_ns", flow.event_ns);
                same(&line, "start_ns", flow.start_ns);
                same(&line, "stop_ns", flow.stop_ns);
                same(&line, "helper", flow.helper.map(|text| String::from_utf8(text.to_vec()).unwrap()));
                assert_eq!(line.get("labels").is_some(), flow.labels.is_some());
            }
            Content::Expectation(expectation) => {
                tuple(&line, "orig", &expectation.tuple);
                tuple(&line, "master", &expectation.master);
                tuple(&line, "mask", &expectation.mask);
                same(&line, "exp_flags", expectation.flags);
                same(&line, "class", expectation.class);
                same(&line, "nat_dir", expectation.nat_dir);
            }
            Content::Gap(_) => panic!("no sample is a gap"),
        }
    }
}

fn same<T: Into<Value>>(line: &Value, key: &str, want: Option<T>) {
    assert_eq!(line.get(key).cloned(), want.map(Into::into), "{key} in {line}");
}

fn tuple(line: &Value, prefix: &str, tuple: &Tuple) {
    let text = |address: Option<IpAddr>| address.map(|address| address.to_string());
    same(line, &format!("{prefix}_src"), text(tuple.src));
    same(line, &format!("{prefix}_dst"), text(tuple.dst));
    same(line, &format!("{prefix}_sport"), tuple.sport);
    same(line, &format!("{prefix}_dport"), tuple.dport);
}

#[test]
fn keys_are_the_schemas_in_its_order() {
    let mut out = Vec::new();
    for (row, message, content) in samples().iter() {
        out.clear();
        json::write_row(&mut out, row, &message, &content);
        let text = String::from_utf8(out.clone()).unwrap();
        let mut at = 0;
        let line: Value = serde_json::from_str(&text).unwrap();
        let keys = line.as_object().unwrap().keys();
        let known = |key: &str| FIELDS.iter().any(|(_, name, _)| *name == key) || key == "status_names";
        assert!(keys.into_iter().all(|key| known(key)), "{text}");
        for (_, name, _) in FIELDS {
            if let Some(found) = text.find(&format!("\"{name}\":")) {
                assert!(found > at || at == 0, "{name} stands before its place: {text}");
                at = found;
            }
        }
    }
}

#[test]
fn numbers_have_their_names_beside_them() {
    let info = ProtoInfo::Tcp {
        state: Some(3),
        wscale_orig: Some(7),
        wscale_reply: None,
        flags_orig: Some((0x23, 0)),
        flags_reply: None,
    };
    let orig = Tuple { l4proto: Some(6), ..Tuple::default() };
    let established = Flow { family: 2, orig, status: Some(0x1e), protoinfo: Some(info), ..Flow::default() };
    let strange = Flow {
        protoinfo: Some(ProtoInfo::Sctp { state: Some(77), vtag_orig: None, vtag_reply: None }),
        ..Flow::default()
    };
    let made = batch(&[flow(CT_NEW, 0, 0, &established), flow(CT_NEW, 0, 0, &strange)]);
    let lines = lines(&made);
    assert_eq!(
        lines[0],
        value!({
            "kind": "UPDATE", "received_ns": 7, "family": 2, "l4proto": 6, "protocol": "tcp", "status": 0x1e,
            "status_names": ["SEEN_REPLY", "ASSURED", "CONFIRMED", "SRC_NAT"], "tcp_state": "ESTABLISHED",
            "tcp_wscale_orig": 7, "tcp_flags_orig": 0x23,
        })
    );
    assert_eq!(lines[1]["sctp_state"], "UNKNOWN_77");
}

#[test]
fn the_port_of_a_requester_is_in_events_and_not_in_tables() {
    let made = batch(&[
        flow(CT_NEW, NLM_F_CREATE, 4711, &Flow::default()),
        flow(CT_NEW, NLM_F_MULTI, 4711, &Flow::default()),
        flow(CT_DELETE, 0, 0, &Flow::default()),
    ]);
    let ports: Vec<_> = lines(&made).iter().map(|line| line.get("portid").cloned()).collect();
    assert_eq!(ports, [Some(value!(4711)), None, None]);
}

#[test]
fn a_gap_says_how_many_and_between_which_times() {
    let mut made = Batch::default();
    made.push_gap(&Gap { lost: Some(1024), after_ns: -5, before_ns: 9, ..Gap::default() });
    made.push_gap(&Gap { lost: None, after_ns: 1, before_ns: 2, ..Gap::default() });
    let lines = lines(&made);
    assert_eq!(
        lines[0],
        value!({"kind": "GAP", "received_ns": 9, "lost": 1024, "gap_after_ns": -5, "gap_before_ns": 9})
    );
    assert_eq!(lines[1], value!({"kind": "GAP", "received_ns": 2, "gap_after_ns": 1, "gap_before_ns": 2}));
}

#[test]
fn large_numbers_and_unknown_attributes_are_whole() {
    let mut writer = Writer::new(CT_DELETE, 0, 0, 0, AF_INET, 0, 0);
    let counters = Counters { packets: Some(u64::MAX), bytes: Some(1 << 53) };
    Flow { counters_orig: Some(counters), start_ns: Some(u64::MAX), ..Flow::default() }.write(&mut writer);
    writer.attr(40, &[0x0b, 0xad]);
    let lines = lines(&batch(&[writer.finish()]));
    assert_eq!(lines[0]["orig_packets"], u64::MAX);
    assert_eq!(lines[0]["orig_bytes"], 1_u64 << 53);
    assert_eq!(lines[0]["start_ns"], i64::MAX, "what a signed time cannot hold stops at its end");
    assert_eq!(lines[0]["unknown"], value!({"40": "0bad"}));
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    // No NUL: it ends a text. Quotes, controls and broken UTF-8 come often.
    prop::collection::vec(prop_oneof![1..=255_u8, Just(b'"'), Just(b'\\'), Just(b'\n'), Just(0xc3)], 0..40)
}

proptest! {
    #[test]
    fn whatever_stands_in_texts_a_line_parses(
        helper in text(), secctx in text(), info in text(), function in text(),
        labels in prop::collection::vec(any::<u8>(), 0..=16),
    ) {
        let made = Flow {
            helper: Some(&helper), helper_info: Some(&info), secctx: Some(&secctx), labels: Some(&labels),
            ..Flow::default()
        };
        let mut writer = Writer::new(EXP_NEW, NLM_F_CREATE, 0, 0, 2, 0, 0);
        Expectation { helper: Some(&helper), function: Some(&function), ..Expectation::default() }.write(&mut writer);
        let lines = lines(&batch(&[flow(CT_NEW, 0, 1, &made), writer.finish()]));
        prop_assert_eq!(&lines[0]["helper"], &value!(String::from_utf8_lossy(&helper)));
        prop_assert_eq!(&lines[0]["secctx"], &value!(String::from_utf8_lossy(&secctx)));
        prop_assert_eq!(&lines[1]["function"], &value!(String::from_utf8_lossy(&function)));
        let hex: String = info.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(&lines[0]["helper_info"], &value!(hex));
    }

    #[test]
    fn whatever_the_kernel_sends_a_line_parses(
        attributes in prop::collection::vec((1..50_u16, prop::collection::vec(any::<u8>(), 0..24)), 0..12),
        kind in prop::sample::select(vec![CT_NEW, CT_DELETE, EXP_NEW, EXP_DELETE]), flags in any::<u16>(),
    ) {
        let mut writer = Writer::new(kind, flags, 0, 9, 2, 0, 0);
        for (number, payload) in &attributes {
            writer.attr(*number, payload);
        }
        let (mut made, mut scan) = (Batch::default(), Scan::default());
        made.append(&writer.finish(), 7, &mut |_, _, _| true, &mut scan);
        prop_assert_eq!(lines(&made).len(), made.len());
    }

    #[test]
    fn signed_offsets_read_back(before in any::<i32>(), after in any::<i32>(), position in any::<u32>()) {
        let adjust = SeqAdj { correction_pos: Some(position), offset_before: Some(before), offset_after: Some(after) };
        let made = Flow { seq_adj_reply: Some(adjust), ..Flow::default() };
        let lines = lines(&batch(&[flow(CT_NEW, 0, 1, &made)]));
        prop_assert_eq!(&lines[0]["seq_adj_reply_pos"], &value!(position));
        prop_assert_eq!(&lines[0]["seq_adj_reply_before"], &value!(before));
        prop_assert_eq!(&lines[0]["seq_adj_reply_after"], &value!(after));
    }
}
