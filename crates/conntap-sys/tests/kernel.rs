//! The sockets against the real kernel, each test in a network namespace of its own.
//!
//! Needs the right to make one: as root, or under `python -m conntap.lab.sandbox -- cargo test -p conntap-sys`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::net::Ipv4Addr;
use std::time::Duration;

use conntap_core::batch::{Batch, Control, Scan};
use conntap_core::model::{Content, Flow, Gap, Kind, Tuple, request};
use conntap_core::wire::constants::*;
use conntap_sys::clock::now_ns;
use conntap_sys::dump::Next;
use conntap_sys::listener::{Listener, Options, Outcome};
use conntap_sys::request::Requests;

/// Move this test's thread into a fresh network namespace; it goes when the thread ends.
fn fresh_namespace() {
    // SAFETY: unshare takes no pointers.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(done, 0, "no right to make a network namespace: run under conntap.lab.sandbox");
    // Entries shall report although nobody listened when they were made.
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_events", "1").unwrap();
}

fn udp(sport: u16) -> Flow<'static> {
    let orig = Tuple {
        src: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
        dst: Some(Ipv4Addr::new(198, 51, 100, 9).into()),
        l4proto: Some(IPPROTO_UDP),
        sport: Some(sport),
        dport: Some(53),
        ..Tuple::default()
    };
    Flow { family: AF_INET, orig, reply: orig.mirrored(), timeout: Some(300), ..Flow::default() }
}

fn create(requests: &mut Requests, count: u16) {
    let answers = requests
        .ask_many(count.into(), |index, seq| {
            let flow = udp(u16::try_from(index).unwrap() + 1);
            request::flow(CT_NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &flow, seq)
        })
        .unwrap();
    assert!(answers.iter().all(|answer| answer.errno == 0), "{answers:?}");
}

fn drain(listener: &mut Listener) -> (Batch, Scan) {
    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    while listener.receive(&mut batch, Duration::from_millis(50), &mut |_, _, _| true, &mut scan).unwrap()
        != Outcome::Idle
    {}
    (batch, scan)
}

fn only_gap(batch: &Batch) -> Gap {
    let gaps: Vec<_> = batch
        .iter()
        .filter_map(|(_, _, content)| match content {
            Content::Gap(gap) => Some(gap),
            _ => None,
        })
        .collect();
    let [gap] = gaps[..] else { panic!("{gaps:?}") };
    gap
}

fn all_groups() -> Options<'static> {
    Options { groups: &[1, 2, 3, 4, 5, 6], buffer_bytes: 8 << 20, ..Options::default() }
}

#[test]
fn a_dump_returns_every_entry_once_and_ends() {
    fresh_namespace();
    let mut requests = Requests::open(None).unwrap();
    create(&mut requests, 5000);
    let mut dump = requests.dump(|seq| request::dump(request::Table::Flows, &Flow::default(), seq)).unwrap();
    let (mut ports, mut ended) = (Vec::new(), false);
    loop {
        match dump.next(Duration::from_secs(5)) {
            Next::Chunk(chunk) => {
                let mut scan = Scan::default();
                let batch = Batch::adopt(chunk.bytes, &chunk.parts, 1, &mut |_, _, _| true, &mut scan);
                ended |= scan.controls.iter().any(|control| matches!(control, Control::Done(end) if end.errno == 0));
                ports.extend(batch.iter().map(|(_, _, content)| match content {
                    Content::Flow(flow) => flow.orig.sport.unwrap(),
                    other => panic!("{other:?}"),
                }));
            }
            Next::End => break,
            other => panic!("{other:?}"),
        }
    }
    ports.sort_unstable();
    assert_eq!(ports, (1..=5000).collect::<Vec<_>>());
    assert!(ended);
}

#[test]
fn creation_and_deletion_are_heard_in_order() {
    fresh_namespace();
    let mut listener = Listener::open(&all_groups()).unwrap();
    let mut requests = Requests::open(None).unwrap();
    create(&mut requests, 3);
    let (_, _, answer) = requests.ask(|seq| request::flow(CT_DELETE, NLM_F_ACK, &udp(2), seq)).unwrap();
    assert_eq!(answer.errno, 0);
    let (batch, _) = drain(&mut listener);
    let kinds: Vec<_> = batch.rows().iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [Kind::New, Kind::New, Kind::New, Kind::Destroy]);
    assert_eq!(listener.counters().lost, 0);
}

#[test]
fn an_overrun_becomes_a_gap_row_with_the_exact_count_and_the_stream_goes_on() {
    fresh_namespace();
    let mut listener = Listener::open(&Options { buffer_bytes: 4096, ..all_groups() }).unwrap();
    let mut requests = Requests::open(None).unwrap();
    create(&mut requests, 200);
    let (batch, _) = drain(&mut listener);
    let heard = batch.rows().iter().filter(|row| row.kind == Kind::New).count() as u64;
    let gap = only_gap(&batch);
    assert_eq!(gap.lost, Some(200 - heard));
    assert!(heard > 0);
    assert_eq!(batch.rows().last().unwrap().kind, Kind::Gap, "older events that were queued come before the gap");
    assert_eq!(listener.counters().lost, 200 - heard);
    // The congested state has ended: what comes now is heard.
    requests.ask(|seq| request::flow(CT_DELETE, NLM_F_ACK, &udp(7), seq)).unwrap();
    assert_eq!(drain(&mut listener).0.rows()[0].kind, Kind::Destroy);
}

#[test]
fn a_gap_spans_all_the_time_in_which_events_were_lost() {
    for reliable in [false, true] {
        fresh_namespace();
        let mut listener = Listener::open(&Options { buffer_bytes: 4096, reliable, ..all_groups() }).unwrap();
        let mut requests = Requests::open(None).unwrap();
        let began_ns = now_ns();
        create(&mut requests, 200);
        let ended_ns = now_ns();
        let gap = only_gap(&drain(&mut listener).0);
        assert!(gap.after_ns <= began_ns && gap.before_ns >= ended_ns, "reliable {reliable}: {gap:?}");
    }
}

#[test]
fn reliable_delivery_brings_every_destroy_although_the_buffer_is_far_too_small() {
    fresh_namespace();
    let mut listener =
        Listener::open(&Options { buffer_bytes: 4096, reliable: true, groups: &[3], ..Options::default() }).unwrap();
    let mut requests = Requests::open(None).unwrap();
    create(&mut requests, 60);
    let (_, _, answer) = requests.ask(|seq| request::flush(AF_UNSPEC, seq)).unwrap();
    assert_eq!(answer.errno, 0);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut heard = std::collections::BTreeSet::new();
    while heard.len() < 60 {
        assert!(std::time::Instant::now() < deadline, "only {} came", heard.len());
        for (_, _, content) in drain(&mut listener).0.iter() {
            if let Content::Flow(flow) = content {
                heard.insert(flow.orig.sport);
            }
        }
    }
}

#[test]
fn a_socket_filter_keeps_unwanted_events_out_of_the_queue() {
    fresh_namespace();
    // Accept nothing: BPF_RET | BPF_K with 0.
    let program = [conntap_sys::socket::Instruction { code: 0x06, jt: 0, jf: 0, k: 0 }];
    let mut listener = Listener::open(&Options { program: Some(&program), ..all_groups() }).unwrap();
    create(&mut Requests::open(None).unwrap(), 10);
    let (batch, _) = drain(&mut listener);
    assert!(batch.is_empty());
    assert_eq!(listener.counters().lost, 0, "what a filter refuses is no loss");
}

#[test]
fn a_refusal_carries_the_kernels_own_words() {
    fresh_namespace();
    let mut requests = Requests::open(None).unwrap();
    let (_, _, answer) = requests
        .ask(|seq| {
            let mut writer = conntap_core::wire::Writer::new(CT_NEW, NLM_F_REQUEST | NLM_F_ACK, seq, 0, AF_INET, 0, 0);
            writer.attr(CTA_STATUS, &[0, 0]); // two bytes where four are due
            writer.finish()
        })
        .unwrap();
    assert_eq!(answer.errno, libc::ERANGE);
    assert_eq!(answer.text.as_deref(), Some("Attribute failed policy validation"));
    assert_eq!(answer.offset, Some(20));
}

#[test]
fn a_dump_of_a_master_without_helper_ends_although_the_kernel_never_says_done() {
    fresh_namespace();
    let mut requests = Requests::open(None).unwrap();
    create(&mut requests, 1);
    let flow = udp(1);
    let mut dump = requests.dump(|seq| request::dump_expectations_of(&flow.orig, AF_INET, None, seq)).unwrap();
    let mut chunks = 0;
    loop {
        match dump.next(Duration::from_secs(5)) {
            Next::Chunk(_) => chunks += 1,
            Next::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(chunks, 1);
}

#[test]
fn ids_repeat_when_a_tuple_is_made_anew_so_identity_needs_more() {
    fresh_namespace();
    let mut listener = Listener::open(&all_groups()).unwrap();
    let mut requests = Requests::open(None).unwrap();
    for _ in 0..50 {
        create(&mut requests, 1);
        requests.ask(|seq| request::flow(CT_DELETE, NLM_F_ACK, &udp(1), seq)).unwrap();
    }
    let ids: std::collections::BTreeSet<_> = drain(&mut listener)
        .0
        .iter()
        .filter_map(|(row, _, content)| match content {
            Content::Flow(flow) if row.kind == Kind::New => flow.id,
            _ => None,
        })
        .collect();
    assert!(ids.len() < 50, "the kernel has changed: ids of one tuple no longer repeat ({} of 50)", ids.len());
}
