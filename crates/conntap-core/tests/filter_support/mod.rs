//! For the filter's property tests: a classic BPF machine, random rows, random filters.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use conntap_core::filter::Insn;
use conntap_core::model::{Counters, Expectation, Flow, ProtoInfo, Tuple};
use conntap_core::wire::Writer;
use proptest::prelude::*;

/// Run a program as the kernel does (net/core/filter.c); None for a fault that the kernel's checker would refuse.
pub fn run(program: &[Insn], data: &[u8]) -> Option<u32> {
    let (mut a, mut x, mut memory) = (0u32, 0u32, [None; 16]);
    let mut at = 0usize;
    loop {
        let insn = program.get(at)?;
        at += 1;
        let load = |offset: u32, size: usize| -> Option<u32> {
            let bytes = data.get(offset as usize..(offset as usize).checked_add(size)?)?;
            Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
        };
        let indirect = x.wrapping_add(insn.k);
        let loaded = match insn.code {
            0x20 if insn.k == 0xffff_f00c => Some(nla_find(data, a, data.len(), x)),
            0x20 if insn.k == 0xffff_f010 => Some(nla_find_nested(data, a, x)),
            0x20 => load(insn.k, 4),
            0x28 => load(insn.k, 2),
            0x30 => load(insn.k, 1),
            0x40 => load(indirect, 4),
            0x48 => load(indirect, 2),
            0x50 => load(indirect, 1),
            0x00 => Some(insn.k),
            0x87 => Some(x),
            0x54 => Some(a & insn.k),
            0x64 => Some(a << insn.k),
            0x4c => Some(a | x),
            _ => {
                match insn.code {
                    0x01 => x = insn.k,
                    0x61 => x = memory[insn.k as usize]?, // the checker refuses reads of unset memory
                    0x02 => memory[insn.k as usize] = Some(a),
                    0x07 => x = a,
                    0x05 => at += insn.k as usize,
                    0x15 | 0x25 | 0x35 | 0x45 | 0x1d => {
                        let yes = match insn.code {
                            0x15 => a == insn.k,
                            0x25 => a > insn.k,
                            0x35 => a >= insn.k,
                            0x45 => a & insn.k != 0,
                            _ => a == x,
                        };
                        at += usize::from(if yes { insn.jt } else { insn.jf });
                    }
                    0x06 => return Some(insn.k),
                    _ => return None,
                }
                continue;
            }
        };
        match loaded {
            Some(value) => a = value,
            None => return Some(0), // a load beyond the end drops the message
        }
    }
}

fn nla_find(data: &[u8], from: u32, end: usize, kind: u32) -> u32 {
    let mut at = from as usize;
    while at + 4 <= end {
        let len = usize::from(u16::from_ne_bytes([data[at], data[at + 1]]));
        let found = u16::from_ne_bytes([data[at + 2], data[at + 3]]) & 0x3fff;
        if len < 4 || at + len > end {
            return 0;
        }
        if u32::from(found) == kind {
            return at as u32;
        }
        at += len.next_multiple_of(4);
    }
    0
}

fn nla_find_nested(data: &[u8], nest: u32, kind: u32) -> u32 {
    let at = nest as usize;
    if at + 4 > data.len() {
        return 0;
    }
    let len = usize::from(u16::from_ne_bytes([data[at], data[at + 1]]));
    if at + len > data.len() {
        return 0;
    }
    nla_find(data, nest + 4, at + len, kind)
}

pub fn samples() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/ctnetlink");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let keep = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "bin");
    paths.into_iter().filter(keep).map(|path| std::fs::read(path).unwrap()).collect()
}

// Few values, so that filters and rows meet.
const V4: [Ipv4Addr; 4] =
    [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(192, 0, 2, 10)];
const V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99),
];

fn some<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = Option<T>> + use<T> {
    proptest::option::weighted(0.8, proptest::sample::select(values.to_vec()))
}

fn address(v6: bool) -> BoxedStrategy<Option<IpAddr>> {
    if v6 { some(&V6.map(IpAddr::from)).boxed() } else { some(&V4.map(IpAddr::from)).boxed() }
}

fn tuple(v6: bool, l4proto: Option<u8>) -> BoxedStrategy<Tuple> {
    let ports = (some(&[22u16, 80, 443, 8080]), some(&[22u16, 53, 80, 40000]));
    let icmp = (some(&[0u16, 7]), some(&[0u8, 8, 128]), some(&[0u8, 1]));
    let zone = proptest::option::weighted(0.2, 0u16..3);
    (address(v6), address(v6), ports, icmp, zone)
        .prop_map(move |(src, dst, (sport, dport), icmp, zone)| {
            let mut tuple = Tuple { src, dst, l4proto, zone, ..Tuple::default() };
            if matches!(l4proto, Some(1 | 58)) {
                (tuple.icmp_id, tuple.icmp_type, tuple.icmp_code) = icmp;
            } else {
                (tuple.sport, tuple.dport) = (sport, dport);
            }
            tuple
        })
        .boxed()
}

fn protoinfo() -> BoxedStrategy<Option<ProtoInfo>> {
    let state = || proptest::option::weighted(0.9, 0u8..5);
    proptest::option::of(prop_oneof![
        state().prop_map(|state| ProtoInfo::Tcp {
            state,
            wscale_orig: None,
            wscale_reply: None,
            flags_orig: None,
            flags_reply: None
        }),
        (state(), some(&[1u32, 2])).prop_map(|(state, vtag_orig)| ProtoInfo::Sctp {
            state,
            vtag_orig,
            vtag_reply: Some(9)
        }),
        state().prop_map(|state| ProtoInfo::Dccp { state, role: None, handshake_seq: None }),
    ])
    .boxed()
}

/// Any flow; `sound` ones as the kernel makes them in dumps: nothing missing that it always sends.
pub fn flow(sound: bool) -> BoxedStrategy<Flow<'static>> {
    let head = (any::<bool>(), some(&[1u8, 6, 17, 58, 132, 47]));
    head.prop_flat_map(move |(v6, l4proto)| {
        let l4proto = if sound { Some(l4proto.unwrap_or(6)) } else { l4proto };
        let numbers = (
            some(&[0u32, 1, 5, 0x10, 0x1f5]),
            some(&[1u16, 2, 3]),
            some(&[1u32, 29, 30, 300]),
            some(&[7u32, 0xffff_ffff]),
        );
        let status = prop_oneof![Just(None), (0u32..0x400).prop_map(Some), Just(Some(0x18e)), Just(Some(0x1b8))];
        let rest = (
            proptest::option::weighted(0.3, tuple(v6, l4proto)),
            protoinfo(),
            some(&[&b"ftp"[..], &b"sip"[..]]),
            some(&[&[0x21u8, 0, 0, 0x80][..], &[1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0x80][..]]),
            proptest::option::of((some(&[3u64, 9]), some(&[10u64, 2000]))),
            any::<bool>(),
        );
        (tuple(v6, l4proto), tuple(v6, l4proto), numbers, status, rest).prop_map(
            move |(mut orig, mut reply, (mark, zone, timeout, id), status, rest)| {
                let (master, protoinfo, helper, labels, counters, mirror) = rest;
                if mirror {
                    reply = orig.mirrored();
                }
                let mut flow = Flow {
                    family: if v6 { 10 } else { 2 },
                    mark,
                    zone,
                    timeout,
                    id,
                    status,
                    master,
                    protoinfo,
                    helper,
                    labels,
                    counters_orig: counters.map(|(packets, bytes)| Counters { packets, bytes }),
                    ..Flow::default()
                };
                if sound {
                    let fill = |tuple: &mut Tuple| {
                        let any: IpAddr = if v6 { V6[0].into() } else { V4[0].into() };
                        tuple.src = tuple.src.or(Some(any));
                        tuple.dst = tuple.dst.or(Some(any));
                        if matches!(l4proto, Some(6 | 17 | 132 | 47)) {
                            tuple.sport = tuple.sport.or(Some(1));
                            tuple.dport = tuple.dport.or(Some(2));
                        }
                    };
                    fill(&mut orig);
                    fill(&mut reply);
                    // A zone is of both directions or of one.
                    reply.zone = None;
                    orig.zone = orig.zone.filter(|zone| *zone != 0);
                    if orig.zone.is_some() {
                        flow.zone = None;
                    }
                    flow.status = Some(flow.status.unwrap_or(0));
                    flow.mark = Some(flow.mark.unwrap_or(0));
                }
                (flow.orig, flow.reply) = (orig, reply);
                flow
            },
        )
    })
    .boxed()
}

fn expectation() -> BoxedStrategy<Expectation<'static>> {
    (any::<bool>(), some(&[6u8, 17]))
        .prop_flat_map(|(v6, l4proto)| {
            (tuple(v6, l4proto), tuple(v6, l4proto), some(&[29u32, 300]), some(&[0u32, 1]), some(&[&b"ftp"[..]]))
                .prop_map(move |(tuple, master, timeout, flags, helper)| Expectation {
                    family: if v6 { 10 } else { 2 },
                    tuple,
                    master,
                    timeout,
                    flags,
                    class: flags,
                    zone: Some(2).filter(|_| timeout.is_none()),
                    helper,
                    ..Expectation::default()
                })
        })
        .boxed()
}

/// A message: kinds, flags and port ids at random.
pub fn message() -> BoxedStrategy<Vec<u8>> {
    let flags = proptest::sample::select(vec![0u16, 0x600, 0x002, 0x602]);
    let port = proptest::sample::select(vec![0u32, 1, 0x0102_0304]);
    prop_oneof![
        6 => (proptest::sample::select(vec![0x100u16, 0x102]), flags.clone(), port.clone(), flow(false)).prop_map(
            |(kind, flags, port, flow)| {
                let mut writer = Writer::new(kind, flags, 0, port, flow.family, 0, 0);
                flow.write(&mut writer);
                writer.finish()
            }
        ),
        2 => (proptest::sample::select(vec![0x200u16, 0x202]), flags, port, expectation()).prop_map(
            |(kind, flags, port, expectation)| {
                let mut writer = Writer::new(kind, flags, 0, port, expectation.family, 0, 0);
                expectation.write(&mut writer);
                writer.finish()
            }
        ),
        2 => proptest::sample::select(samples()),
    ]
    .boxed()
}

/// Tests over the values above; the first ones can all be decided by a socket filter.
const PUSHED: usize = 74;
const TESTS: [&str; 82] = [
    "new",
    "update",
    "destroy",
    "flow",
    "expectation",
    "exp_new",
    "ip",
    "ip6",
    "tcp",
    "udp",
    "icmp",
    "icmpv6",
    "proto 6-20",
    "proto != 6",
    "src 10.0.0.1",
    "dst 10.0.0.0/8",
    "src 10.0.0.1 mask 255.0.255.255",
    "host 192.0.2.10,2001:db8::1",
    "reply src 10.0.0.2",
    "reply dst 10.0.0.0/30,192.0.2.10",
    "src ::/0",
    "dst 2001:db8::/32",
    "host fe80::99",
    "src 2001:db8::1 mask ffff:ffff::ffff",
    "src 0.0.0.0/0",
    "orig host 10.9.0.1",
    "reply host 10.9.0.1",
    "sport 22",
    "dport 80,443,8000-9000",
    "port 53",
    "reply sport 22",
    "reply dport > 1023",
    "dport != 80",
    "dport <= 80",
    "icmptype 8",
    "icmpcode 0",
    "icmpid 7",
    "type 128",
    "state established",
    "state none,syn_sent",
    "tcp_state 2",
    "sctp_state 1-1",
    "assured",
    "replied",
    "unreplied",
    "related",
    "status 0x18e",
    "status 0/0x3",
    "nat",
    "snat",
    "dnat",
    "snat to 10.0.0.1",
    "dnat to 192.0.2.10:80",
    "mark 0",
    "mark 5",
    "mark 0x10/0xf0",
    "mark != 0",
    "mark 1-16",
    "zone 0",
    "zone 2",
    "zone > 1",
    "orig zone 1",
    "reply zone 0",
    "label 0",
    "label 31",
    "label 99",
    "label 127",
    "helper",
    "from userspace",
    "from kernel",
    "timeout < 30",
    "timeout 29,300",
    "id 0xffffffff",
    "orig_vtag 1",
    // Decided in part or not at all:
    "helper ftp",
    "helper SIP",
    "master",
    "bytes > 100",
    "packets 3",
    "orig_bytes < 100",
    "flags 0/1",
    "class 1",
];

/// A filter text; `pushed` ones use only tests that BPF decides exactly.
pub fn filter(pushed: bool) -> impl Strategy<Value = String> {
    let tests = if pushed { TESTS[..PUSHED].to_vec() } else { TESTS.to_vec() };
    let leaf = proptest::sample::select(tests).prop_map(|text| text.replace("1-1", "1"));
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|text| format!("not ({text})")),
            proptest::collection::vec(inner.clone(), 2..5).prop_map(|parts| format!("({})", parts.join(" and "))),
            proptest::collection::vec(inner, 2..5).prop_map(|parts| format!("({})", parts.join(" or "))),
        ]
    })
}

/// Conjunctions: what dump requests can say something about.
pub fn conjunction() -> impl Strategy<Value = String> {
    let test = (proptest::sample::select(TESTS.to_vec()), proptest::bool::weighted(0.2))
        .prop_map(|(text, negated)| format!("{}({text})", if negated { "not " } else { "" }).replace("1-1", "1"));
    proptest::collection::vec(test, 1..6).prop_map(|parts| parts.join(" and "))
}
