//! Invariant: any messages are read or counted, alike in a stream however it is cut; every row can be read again and
//! its other elements are JSON; what is remembered stays within its limits.
//!
//! The input is messages, each behind its length (two bytes).

use conntap_core::batch::Batch;
use conntap_core::ipfix::read::{Counters, Limits, Peer, Reader};
use conntap_core::model::Content;

const LIMITS: Limits = Limits {
    sessions: 3,
    templates: 20,
    fields: 200,
    waiting_bytes: 2000,
    waiting_ns: 1_000_000_000,
    lifetime_ns: 3_000_000_000,
};

pub fn run(data: &[u8]) {
    let (mut reader, mut out) = (Reader::new(LIMITS), Batch::default());
    let (mut rest, mut turn) = (data, 0_u16);
    while let Some((len, behind)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len)).min(behind.len());
        let (message, behind) = behind.split_at(len);
        let peer = Peer { exporter: "192.0.2.1", port: turn % 5, datagram: true };
        let _ = reader.feed(message, &peer, Some(i64::from(turn) * 1_000_000_000), &mut out);
        (rest, turn) = (behind, turn.wrapping_add(1));
    }
    reader.settle(i64::MAX, &mut out);
    check(&reader, &out);

    let whole = stream(data, data.len().max(1));
    let piece = data.iter().fold(0, |sum, byte| sum ^ usize::from(*byte)) % 61 + 1;
    assert_eq!(whole, stream(data, piece));
}

/// Read it as a stream that comes in pieces; what was counted, and the rows.
fn stream(data: &[u8], piece: usize) -> (Counters, usize) {
    let (mut reader, mut out, mut held) = (Reader::new(LIMITS), Batch::default(), Vec::new());
    let peer = Peer { exporter: "192.0.2.1", port: 0, datagram: false };
    'pieces: for part in data.chunks(piece) {
        held.extend_from_slice(part);
        loop {
            match Reader::framed(&held) {
                Ok(Some(len)) => {
                    let _ = reader.feed(&held[..len], &peer, None, &mut out);
                    held.drain(..len);
                }
                Ok(None) => break,
                Err(error) => {
                    reader.refuse(error, &held);
                    break 'pieces;
                }
            }
        }
    }
    reader.end("192.0.2.1", 0, &mut out);
    check(&reader, &out);
    assert_eq!(reader.held(), (0, 0, 0));
    (*reader.counters(), out.len())
}

fn check(reader: &Reader, out: &Batch) {
    let counters = reader.counters();
    assert_eq!(out.len() as u64, counters.flows + counters.interims + counters.bindings + counters.gaps);
    let mut rows = 0;
    for (_, _, content) in out.iter() {
        rows += 1;
        let Content::Flow(flow) = content else { continue };
        let record = flow.record.expect("a record");
        if let Some(elements) = record.elements {
            let json: serde_json::Value = serde_json::from_slice(elements).expect("JSON");
            assert!(json.as_object().is_some_and(|members| !members.is_empty()));
        }
    }
    assert_eq!(rows, out.len());
    let (sessions, templates, waiting) = reader.held();
    assert!(sessions <= LIMITS.sessions && templates <= sessions * LIMITS.templates);
    assert!(waiting <= sessions * LIMITS.waiting_bytes);
}
