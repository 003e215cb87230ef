//! The kernel's part of a filter never loses a row: socket filters run in a BPF machine, dump requests in a model.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod filter_support;

use std::net::IpAddr;

use conntap_core::filter::{Filter, NoNames, Quirks};
use conntap_core::model::{Content, Flow, Kind, Tuple};
use conntap_core::wire::{Message, Writer};
use filter_support::*;
use proptest::prelude::*;

fn parse(text: &str) -> Filter {
    Filter::parse(text, &NoNames).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// None for a message that is no row.
fn matches(filter: &Filter, bytes: &[u8]) -> Option<bool> {
    let message = Message::parse(bytes).unwrap();
    let kind = Kind::of(&message)?;
    Some(filter.matches(kind, &Content::decode(kind, &message).unwrap(), &message))
}

fn passes(filter: &Filter, bytes: &[u8]) -> bool {
    filter.bpf().is_none_or(|program| run(&program.insns, bytes).expect("the kernel would refuse the program") != 0)
}

/// CTA_FILTER comparison of one tuple, as 6.18 does it (ctnetlink_filter_match_tuple).
fn tuple_passes(flags: u32, have: &Tuple, want: &Tuple) -> bool {
    let same = |have: Option<IpAddr>, want: Option<IpAddr>| match want.expect("EINVAL: flag without attribute") {
        IpAddr::V4(_) => have == want,
        IpAddr::V6(_) => have != want, // the kernel's fault
    };
    assert_eq!(flags & !0x3b, 0, "EINVAL: unknown flag");
    assert!(flags & 0x30 == 0 || flags & 0x8 != 0, "EINVAL: port without protocol");
    assert!(flags & 0x8 == 0 || want.l4proto.is_some(), "EINVAL");
    assert!(flags & 0x10 == 0 || want.sport.is_some(), "EINVAL");
    assert!(flags & 0x20 == 0 || want.dport.is_some(), "EINVAL");
    let ports = matches!(have.l4proto, Some(6 | 17));
    (flags & 1 == 0 || same(have.src, want.src))
        && (flags & 2 == 0 || same(have.dst, want.dst))
        && (flags & 8 == 0 || have.l4proto == want.l4proto)
        && (flags & 0x10 == 0 || !ports || have.sport == want.sport)
        && (flags & 0x20 == 0 || !ports || have.dport == want.dport)
}

/// Does the kernel send this entry in a dump with these criteria (ctnetlink_filter_match)?
fn dumped(criteria: &Flow<'_>, flow: &Flow<'_>) -> bool {
    let bits = |value: Option<u32>, mask: Option<u32>, have: Option<u32>| {
        value.is_none_or(|value| {
            let mask = mask.unwrap_or(u32::MAX);
            assert!(mask != 0 && value & !mask == 0, "EINVAL, or nothing would match");
            have.unwrap() & mask == value
        })
    };
    let tuples = criteria.filter_orig.is_some() || criteria.filter_reply.is_some();
    assert!(!tuples || criteria.family != 0, "EOPNOTSUPP");
    // Whatever its direction, an entry has one zone.
    let zone = flow.zone.or(flow.orig.zone).or(flow.reply.zone).unwrap_or(0);
    (criteria.family == 0 || criteria.family == flow.family)
        && bits(criteria.mark, criteria.mark_mask, flow.mark)
        && bits(criteria.status, criteria.status_mask, flow.status)
        && criteria.zone.is_none_or(|wanted| wanted == zone)
        && tuple_passes(criteria.filter_orig.unwrap_or(0), &flow.orig, &criteria.orig)
        && tuple_passes(criteria.filter_reply.unwrap_or(0), &flow.reply, &criteria.reply)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_wanted_row_is_lost_in_the_kernel(text in filter(false), bytes in message()) {
        let filter = parse(&text);
        let passes = passes(&filter, &bytes);
        match matches(&filter, &bytes) {
            Some(true) | None => prop_assert!(passes, "{}", filter),
            Some(false) => {
                let complete = filter.bpf().is_some_and(|program| program.complete);
                prop_assert!(!(complete && passes), "{} claims to be complete", filter);
            }
        }
    }

    #[test]
    fn what_bpf_can_say_it_says_exactly(text in filter(true), bytes in message()) {
        let filter = parse(&text);
        if let Some(program) = filter.bpf() {
            prop_assert!(program.complete, "{}", filter);
        }
        if let Some(wanted) = matches(&filter, &bytes) {
            prop_assert_eq!(passes(&filter, &bytes), wanted, "{}", filter);
        }
    }

    #[test]
    fn groups_hold_every_event_that_can_pass(text in filter(false), bytes in message()) {
        let filter = parse(&text);
        let group = match Kind::of(&Message::parse(&bytes).unwrap()) {
            Some(Kind::New) => 1,
            Some(Kind::Update) => 2,
            Some(Kind::Destroy) => 3,
            Some(Kind::ExpNew) => 4,
            Some(Kind::ExpUpdate) => 5,
            Some(Kind::ExpDestroy) => 6,
            _ => return Ok(()),
        };
        if matches(&filter, &bytes) == Some(true) {
            prop_assert!(filter.groups() & (1 << (group - 1)) != 0);
        }
    }

    #[test]
    fn no_wanted_entry_is_lost_in_a_dump(text in conjunction(), flow in flow(true)) {
        let filter = parse(&text);
        let mut writer = Writer::new(0x100, 2, 0, 0, flow.family, 0, 0);
        flow.write(&mut writer);
        let wanted = matches(&filter, &writer.finish()).unwrap();
        let plan = filter.dump_plan(&Quirks::default());
        let dumped = !plan.nothing && dumped(&plan.criteria, &flow);
        prop_assert!(dumped || !wanted, "{}: {:?}", filter, plan.criteria);
        if plan.is_complete() {
            prop_assert_eq!(dumped, wanted, "{}: {:?}", filter, plan.criteria);
        }
    }

    #[test]
    fn explain_always_has_words(text in filter(false)) {
        prop_assert!(parse(&text).explain().lines().count() > 3);
    }
}

#[test]
fn messages_that_are_no_rows_pass_any_socket_filter() {
    let filter = parse("new and tcp and dport 1");
    let mut seen = 0;
    for bytes in samples() {
        if matches(&filter, &bytes).is_none() {
            assert!(passes(&filter, &bytes));
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn long_lists_jump_far_and_too_long_ones_stay_here() {
    let list = |count: u32| {
        let addresses: Vec<_> = (0..count).map(|n| format!("10.1.{}.{}", n / 256, n % 256)).collect();
        parse(&format!("new and src {} and dport 22", addresses.join(",")))
    };
    let filter = list(1500);
    let program = filter.bpf().unwrap();
    assert!(program.complete && program.insns.len() < 4096, "{}", program.insns.len());
    for (src, dport, wanted) in
        [("10.1.0.0", 22, true), ("10.1.5.219", 22, true), ("10.1.5.220", 22, false), ("10.1.0.0", 23, false)]
    {
        let tuple = Tuple { src: Some(src.parse().unwrap()), dport: Some(dport), ..Tuple::default() };
        let flow = Flow { family: 2, orig: tuple, ..Flow::default() };
        let mut writer = Writer::new(0x100, 0x600, 0, 0, 2, 0, 0);
        flow.write(&mut writer);
        let bytes = writer.finish();
        assert_eq!((passes(&filter, &bytes), matches(&filter, &bytes)), (wanted, Some(wanted)), "{src} {dport}");
    }
    assert_eq!(list(6000).bpf(), None);
}

#[test]
fn a_filter_that_refuses_nothing_needs_no_program() {
    for text in ["", "helper ftp or not helper ftp", "not (helper ftp and bytes > 5)"] {
        assert_eq!(parse(text).bpf(), None, "{text}");
    }
}

#[test]
fn groups_follow_the_kinds() {
    for (text, groups) in [
        ("", 0b111111),
        ("new, destroy and udp", 0b000101),
        ("expectation", 0b111000),
        ("not new", 0b111110),
        ("assured", 0b000111),
        ("mark 5 or exp_destroy", 0b100111),
        ("new and destroy", 0),
    ] {
        assert_eq!(parse(text).groups(), groups, "{text}");
    }
}

/// Filter, criteria, what stays here.
#[test]
fn dump_plans_ask_for_what_a_request_can_say() {
    let plan =
        parse("tcp and ip and dport 22 and not assured and mark 0x10/0xff and zone 3").dump_plan(&Quirks::default());
    let criteria = &plan.criteria;
    assert_eq!(plan.here, [("zone 3".to_owned(), "the kernel decides a part")]); // zones of one direction come along
    assert_eq!((criteria.family, criteria.orig.l4proto, criteria.orig.dport), (2, Some(6), Some(22)));
    assert_eq!((criteria.filter_orig, criteria.filter_reply), (Some(0x28), None));
    assert_eq!((criteria.status, criteria.status_mask), (Some(0), Some(4)));
    assert_eq!((criteria.mark, criteria.mark_mask, criteria.zone), (Some(0x10), Some(0xff), Some(3)));

    for (text, here) in [
        ("src 10.0.0.1 and reply dst 10.0.0.9", &[][..]),
        ("assured and replied", &[]),
        ("flow", &[]),
        ("src 10.0.0.0/8", &["src 10.0.0.0/8"]),
        ("src 2001:db8::1", &["src 2001:db8::1"]),
        ("tcp", &["tcp"]),
        ("ip and sctp and dport 5", &["dport 5"]),
        ("zone 0", &["zone 0"]),
        ("zone 3", &["zone 3"]),
        ("ip and ip6", &["ip", "ip6"]),
        ("tcp or udp", &["tcp or udp"]),
        ("expectation", &["nothing"]),
    ] {
        let plan = parse(text).dump_plan(&Quirks::default());
        let left: Vec<_> = plan.here.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(left, here, "{text}");
    }
    assert!(parse("new").dump_plan(&Quirks::default()).nothing);
    assert_eq!(parse("src 10.0.0.0/8 or dst 10.0.0.1").dump_plan(&Quirks::default()).criteria.family, 2);
    let trusted = Quirks { ipv6_addresses: true, ..Quirks::default() };
    assert!(parse("src 2001:db8::1").dump_plan(&trusted).is_complete());
    assert_eq!(parse("ip6 and helper ftp").expectation_dump_plan().criteria.family, 10);
}

#[test]
fn explain_says_where_each_part_runs() {
    let text = parse("new and src 10.0.0.0/8 and helper ftp").explain();
    for line in [
        "  asked for: NEW",
        "  flows: src 10.0.0.0/8: in the kernel",
        "  flows: helper \"ftp\": in the kernel in part, here exactly",
        "  no entry can pass: entries of a dump are no events",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
