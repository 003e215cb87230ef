//! The sample recording: real kernel events in the order of their own timestamps, with one made-up gap.
//!
//! `UPDATE_GOLDEN=1 cargo test -p conntap-core --test recording_samples` writes it anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use conntap_core::batch::{Batch, Scan};
use conntap_core::model::{Flow, Gap, Kind};
use conntap_core::recording::{Options, Reader, Statistics, Writer};
use conntap_core::wire::Message;

/// Events without a time of their own: what they came with, and how long after it.
const BESIDE: [(&str, &str, i64); 6] = [
    ("ev_exp_new_ftp_nat", "ev_new_related_master", -1_000_000),
    ("ev_exp_destroy", "ev_new_related_master", -1_000),
    ("ev_exp_new_created", "ev_new_created_helper", 1_000_000),
    ("ev_echo_new", "ev_new_created_label", 1_000_000),
    ("ev_destroy_plain", "ev_destroy_expired", 1_000_000),
    ("ev_new_udplite", "ev_destroy_expired", 2_000_000),
];

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name)
}

/// Time and bytes of each event, in order of time.
fn events() -> Vec<(i64, Vec<u8>)> {
    let mut times = BTreeMap::new();
    let mut messages = BTreeMap::new();
    for entry in std::fs::read_dir(data("ctnetlink")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("ev_") {
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        let message = Message::parse(&bytes).unwrap();
        if Kind::of(&message).unwrap().is_flow()
            && let Some(time) = Flow::decode(&message).unwrap().event_ns
        {
            times.insert(name.clone(), i64::try_from(time).unwrap());
        }
        messages.insert(name, bytes);
    }
    for (name, beside, after_ns) in BESIDE {
        times.insert(name.to_owned(), times[beside] + after_ns);
    }
    let mut events: Vec<_> = messages.into_iter().map(|(name, bytes)| (times[&name], bytes)).collect();
    events.sort();
    events
}

fn recording(events: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let options = Options {
        os: "Linux 6.18.44",
        application: "conntap",
        comment: "kernel events of tests/data/ctnetlink and one made-up gap",
        ..Options::default()
    };
    let (mut writer, mut file) = Writer::new(&options);
    for (number, (time, message)) in events.iter().enumerate() {
        if number == events.len() / 2 {
            let gap = Gap { lost: Some(1024), after_ns: events[number - 1].0, before_ns: *time, ..Gap::default() };
            writer.write(&mut file, &gap.encode(), *time, None).unwrap();
        }
        writer.write(&mut file, message, *time, None).unwrap();
    }
    let (first, last) = (events.first().unwrap().0, events.last().unwrap().0);
    let count = Some(events.len() as u64);
    let statistics =
        Statistics { start_ns: Some(first), end_ns: Some(last), received: count, lost: Some(1024), accepted: count };
    writer.finish(&mut file, &statistics);
    file
}

#[test]
#[cfg(target_endian = "little")] // messages and file are those of a little-endian machine
fn the_committed_recording_is_what_the_writer_makes() {
    let (path, made) = (data("recordings/samples.pcapng"), recording(&events()));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(std::fs::read(&path).unwrap() == made, "{} differs: UPDATE_GOLDEN=1 writes it anew", path.display());
}

#[test]
fn the_committed_recording_reads_back_into_rows() {
    let (mut reader, mut batch, mut scan) = (Reader::new(), Batch::default(), Scan::default());
    reader.feed(&std::fs::read(data("recordings/samples.pcapng")).unwrap());
    while let Some(packet) = reader.next() {
        let packet = packet.unwrap();
        assert_eq!(packet.gap, None, "the gap is a row of its own");
        batch.append(packet.datagram, packet.received_ns, &mut |_, _, _| true, &mut scan);
    }
    assert_eq!(reader.finish(), Ok(()));
    let events = events();
    assert_eq!((scan.malformed_total(), batch.len()), (0, events.len() + 1));
    let rows: Vec<_> = batch
        .iter()
        .filter(|(row, ..)| row.kind != Kind::Gap)
        .map(|(row, ..)| (row.received_ns, batch.row_bytes(row).to_vec()))
        .collect();
    assert_eq!(rows, events);
    assert_eq!(batch.rows()[events.len() / 2].kind, Kind::Gap);
    assert_eq!(reader.statistics().unwrap().lost, Some(1024));
}
