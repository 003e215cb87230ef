//! Real kernel messages (tests/data/ctnetlink, kernel 6.18): every one decodes, and encodes to the same meaning.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::path::PathBuf;

use conntap_core::batch::{Batch, Control, Scan};
use conntap_core::model::{Content, Expectation, Flow, Kind};
use conntap_core::wire::{Message, Messages, Writer};

fn samples() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/ctnetlink");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "bin"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    found.sort();
    assert!(found.len() > 70, "samples are missing");
    found
}

fn sample(name: &str) -> Vec<u8> {
    samples().into_iter().find(|(stem, _)| stem == name).unwrap().1
}

/// The attributes of a message as a sorted multiset, nests taken apart, so that order does not matter.
fn shape(bytes: &[u8]) -> Vec<String> {
    fn walk(bytes: &[u8], path: &str, out: &mut Vec<String>) {
        let mut rest = bytes;
        while rest.len() >= 4 {
            let len = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
            let kind = u16::from_ne_bytes([rest[2], rest[3]]);
            let here = format!("{path}/{}", kind & 0x3fff);
            if kind & 0x8000 != 0 {
                walk(&rest[4..len], &here, out)
            } else {
                out.push(format!("{here}={:02x?}", &rest[4..len]))
            }
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
    }
    let mut out = Vec::new();
    walk(bytes, "", &mut out);
    out.sort();
    out
}

#[test]
fn every_row_encodes_to_the_attributes_it_was_decoded_from() {
    let mut rows = 0;
    for (name, bytes) in samples() {
        for found in Messages::new(&bytes) {
            let (_, message) = found.unwrap();
            let subsystem = message.kind >> 8;
            if message.kind < 0x10 || !(subsystem == 1 || subsystem == 2) || matches!(message.kind, 0x103..=0x105) {
                continue;
            }
            let mut writer =
                Writer::new(message.kind, message.flags, message.seq, message.port, message.nfgen().unwrap().0, 0, 0);
            if subsystem == 1 {
                let flow = Flow::decode(&message).unwrap();
                assert_eq!(flow.unknown().count(), 0, "{name}");
                flow.write(&mut writer);
            } else {
                let expectation = Expectation::decode(&message).unwrap();
                assert_eq!(expectation.unknown().count(), 0, "{name}");
                expectation.write(&mut writer);
            }
            let written = writer.finish();
            let again = Message::parse(&written).unwrap();
            assert_eq!(shape(again.attr_bytes()), shape(message.attr_bytes()), "{name}");
            rows += 1;
        }
    }
    assert!(rows > 90, "{rows}");
}

#[test]
fn a_dump_datagram_scans_into_rows_and_its_end_into_a_control() {
    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    batch.append(&sample("datagram_dump_first"), 1, &mut |_, _, _| true, &mut scan);
    batch.append(&sample("datagram_dump_last"), 2, &mut |_, _, _| true, &mut scan);
    assert_eq!((batch.len(), scan.kept, scan.malformed_total()), (41, 41, 0));
    assert!(matches!(scan.controls[..], [Control::Done(_)]));
    assert!(batch.iter().all(|(row, _, content)| row.kind == Kind::Entry && matches!(content, Content::Flow(_))));
}

#[test]
fn extended_acks_are_read_capped_and_not() {
    for name in ["err_extack_policy", "err_extack_policy_full"] {
        let (mut batch, mut scan) = (Batch::default(), Scan::default());
        batch.append(&sample(name), 1, &mut |_, _, _| true, &mut scan);
        let [Control::Error(error)] = &scan.controls[..] else { panic!("{name}: {scan:?}") };
        assert_eq!(error.errno, 34);
        assert_eq!(error.text.as_deref(), Some("Attribute failed policy validation"));
        assert_eq!(error.offset, Some(124));
    }
}

#[test]
fn every_cut_of_every_sample_is_refused_or_shorter_and_never_panics() {
    for (_, bytes) in samples() {
        for cut in 0..bytes.len() {
            let (mut batch, mut scan) = (Batch::default(), Scan::default());
            batch.append(&bytes[..cut], 1, &mut |_, _, _| true, &mut scan);
            assert!(batch.iter().count() == batch.len());
        }
    }
}
