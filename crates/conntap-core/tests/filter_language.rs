//! The filter language: what parses to what, what is refused and where, what matches real kernel messages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::path::PathBuf;

use conntap_core::filter::{Filter, Resolve};
use conntap_core::model::{Content, Gap, Kind};
use conntap_core::wire::Message;
use proptest::prelude::*;

struct Names;

impl Resolve for Names {
    fn service(&self, name: &str) -> Option<u16> {
        match name {
            "http" => Some(80),
            "http-alt" => Some(8080),
            _ => None,
        }
    }

    fn label(&self, name: &str) -> Option<u16> {
        (name == "green").then_some(5)
    }
}

fn parse(text: &str) -> Filter {
    Filter::parse(text, &Names).unwrap_or_else(|error| panic!("{error}\n{}", error.caret(text)))
}

/// Text, and its canonical form.
const TEXTS: &[(&str, &str)] = &[
    ("", ""),
    ("  ", ""),
    ("tcp", "tcp"),
    ("TCP and DPORT 22", "tcp and dport 22"),
    ("tcp dport 22", "tcp and dport 22"),
    ("tcp && dport 22 || udp", "(tcp and dport 22) or udp"),
    ("tcp or udp and dport 53", "tcp or (udp and dport 53)"),
    ("new, destroy and udp", "(new or destroy) and udp"),
    ("not new, destroy", "not (new or destroy)"),
    ("!assured", "not assured"),
    ("not not assured", "assured"),
    ("not (tcp and (udp or icmp))", "not (tcp and (udp or icmp))"),
    ("(tcp and udp) and icmp", "tcp and udp and icmp"),
    ("dport 80,443,8000-8100", "dport 80,443,8000-8100"),
    ("dport 80 , 81", "dport 80-81"),
    ("dport http,http-alt", "dport 80,8080"),
    ("dport 80, udp", "dport 80 or udp"),
    ("dport > 1023", "dport >= 1024"),
    ("dport != 22", "dport != 22"),
    ("port < 1024", "port <= 1023"),
    ("src port 22", "sport 22"),
    ("dst port 22", "dport 22"),
    ("reply sport 22", "reply sport 22"),
    ("reply src port 22", "reply sport 22"),
    ("reply port 22", "reply port 22"),
    ("srckey 0x10", "sport 16"),
    ("src 10.0.0.1,10.2.0.0/16", "src 10.0.0.1,10.2.0.0/16"),
    ("src host 10.0.0.1", "src 10.0.0.1"),
    ("dst net 10.1.2.3/8", "dst 10.0.0.0/8"),
    ("net 10.0.0.0/255.0.0.0", "host 10.0.0.0/8"),
    ("src 10.1.2.3 mask 255.0.255.0", "src 10.0.2.0 mask 255.0.255.0"),
    ("src 10.1.2.3 mask 255.0.255.0,10.0.0.1", "src 10.0.2.0 mask 255.0.255.0,10.0.0.1"),
    ("src 2001:db8::1 mask ffff::ff", "src 2001::1 mask ffff::ff"),
    ("reply dst 2001:db8::/32", "reply dst 2001:db8::/32"),
    ("host 10.0.0.1", "host 10.0.0.1"),
    ("src 0.0.0.0/0", "src 0.0.0.0/0"),
    ("ip6", "ip6"),
    ("ipv6", "ip6"),
    ("proto 6", "tcp"),
    ("proto ospf", "proto 89"),
    ("proto tcp,17,47", "proto 6,17,47"),
    ("icmp6 icmptype 128", "icmp6 and icmptype 128"),
    ("icmp type 8 code 0", "icmp and icmptype 8 and icmpcode 0"),
    ("state established,syn_sent", "state established,syn_sent"),
    ("state SYN-SENT", "state syn_sent"),
    ("tcp_state 3", "tcp_state 3"),
    ("status 0x4/0x6", "status 0x4/0x6"),
    ("status 0x0/0x2", "unreplied"),
    ("status assured", "assured"),
    ("seen_reply", "replied"),
    ("related", "related"),
    ("helper", "helper"),
    ("helper ftp, sip and tcp", "(helper \"ftp\" or helper \"sip\") and tcp"),
    ("helper, assured", "helper or assured"),
    ("snat", "snat"),
    ("nat", "snat or dnat"),
    ("snat to 203.0.113.7", "snat and reply dst 203.0.113.7"),
    ("dnat to [2001:db8::1]:80", "dnat and reply src 2001:db8::1 and reply sport 80"),
    (
        "nat to 192.0.2.1:5-9",
        "(snat and reply dst 192.0.2.1 and reply dport 5-9) or (dnat and reply src 192.0.2.1 and reply sport 5-9)",
    ),
    ("mark 5", "mark 5"),
    ("mark 0x10/0xff", "mark 0x10/0xff"),
    ("mark != 0", "mark >= 1"),
    ("mark != 5/0xff", "mark != 0x5/0xff"),
    ("mark 1,2/2", "mark 1 or mark 0x2/0x2"),
    ("zone 3", "zone 3"),
    ("orig zone 3", "orig zone 3"),
    ("label 3,green", "label 3 or label 5"),
    ("id 0x10", "id 16"),
    ("from userspace", "portid >= 1"),
    ("from kernel", "portid 0"),
    ("timeout < 30", "timeout <= 29"),
    ("timeout < 0", "timeout < 0"),
    ("orig_bytes > 1M", "orig_bytes >= 1000001"),
    ("reply bytes >= 10k", "reply_bytes >= 10000"),
    ("packets <= 2Ki", "packets <= 2048"),
    ("bytes != 7", "bytes != 7"),
    ("class 0 and flags 1/1", "class 0 and flags 0x1/0x1"),
];

#[test]
fn every_text_has_its_canonical_form_and_that_parses_back() {
    for (text, canonical) in TEXTS {
        let filter = parse(text);
        assert_eq!(filter.to_string(), *canonical, "{text}");
        assert_eq!(parse(canonical), filter, "{text}");
    }
}

/// Text, column, length, message, hint.
const REFUSED: &[(&str, usize, usize, &str, &str)] = &[
    ("tcp and dprot 22", 8, 5, "unknown word 'dprot'", "did you mean 'dport'?"),
    ("tcp and", 7, 1, "the filter ends too early", "a test is missing here; for everything leave the filter empty"),
    ("(tcp", 0, 1, "'(' without ')'", ""),
    ("tcp)", 3, 1, "')' without '('", ""),
    ("()", 1, 1, "a test is missing before ')'", ""),
    ("or tcp", 0, 2, "a test is missing beside 'or'", ""),
    ("tcp and or udp", 8, 2, "a test is missing beside 'or'", ""),
    (", tcp", 0, 1, "a test is missing before ','", ""),
    ("tcp, not udp", 5, 3, "'not' inside a comma list could mean two things", "*"),
    ("tcp & udp", 4, 1, "'&' is no word of a filter", "write 'and' or '&&'"),
    ("dport", 5, 1, "a port is missing here", ""),
    ("dport 70000", 6, 5, "70000 is no port: they end at 65535", ""),
    ("dport 90-80", 6, 5, "'90-80' is no port", "*"),
    ("dport 80,", 9, 1, "*", "*"),
    ("dport gopherd", 6, 7, "unknown service 'gopherd'", "write the port's number"),
    ("port != 22", 5, 2, "'!=' would hold if any one of several ports differs", "write 'not port N'"),
    ("src 10.1", 4, 4, "'10.1' is no address", "write all four parts, and a prefix length for a net: 10.1.0.0/16"),
    ("src 10.0.0.0/33", 4, 11, "/33 is too long a prefix: this family ends at /32", ""),
    ("src 10.0.0.1:80", 4, 11, "'10.0.0.1:80' is no address", "ports are a test of their own: 'src A sport N'"),
    ("src example.org", 4, 11, "'example.org' is no address", "names are not looked up: write the address"),
    ("src 10.0.0.1 mask ffff::", 4, 8, "address and mask are of different families", ""),
    ("src 10.0.0.1 mask red", 18, 3, "'red' is no mask", "as in 255.0.255.0 or ffff::"),
    ("10.0.0.1", 0, 8, "'10.0.0.1' stands alone", "write 'src 10.0.0.1', 'dst 10.0.0.1' or 'host 10.0.0.1'"),
    ("tcp 22", 4, 2, "'22' stands alone", "say which field it is, as in 'port 22' or 'mark 22'"),
    ("state estabished", 6, 10, "unknown state 'estabished'", "did you mean 'established'?"),
    ("state new", 6, 3, "unknown state 'new'", "'new' is a test of its own, without 'state' before it"),
    ("established", 0, 11, "unknown word 'established'", "write 'state established'"),
    ("timeout < 1,2", 8, 1, "only one number can be compared by order", ""),
    ("zone 70000", 5, 5, "70000 is too large: 'zone' ends at 65535", ""),
    ("timeout 3/4", 8, 3, "'timeout' takes no mask", ""),
    ("label 128", 6, 3, "128 is no label: they end at 127", ""),
    ("label blue", 6, 4, "unknown label 'blue'", "*"),
    ("proto 256", 6, 3, "256 is too large: 'proto' ends at 255", ""),
    ("proto tpc", 6, 3, "unknown protocol 'tpc'", "*"),
    ("helper \"ftp", 7, 1, "a name in quotes does not end", "close it with '\"'"),
    ("reply tcp", 0, 5, "'reply' needs to know what of that direction", "*"),
    ("snat to 1.2.3.4:http", 8, 12, "'http' is no port", "*"),
    ("from 10.0.0.1", 5, 8, "'from' asks who caused an event", "*"),
    ("é and dprot 1", 0, 1, "unknown word 'é'", ""),
    ("assured = 1", 8, 1, "this does not belong here", "*"),
];

#[test]
fn every_refusal_says_what_where_and_what_instead() {
    for (text, at, len, message, hint) in REFUSED {
        let error = Filter::parse(text, &Names).expect_err(text);
        if *message != "*" {
            assert_eq!(error.message, *message, "{text}");
        }
        match *hint {
            "" => assert_eq!(error.hint, None, "{text}"),
            "*" => assert!(error.hint.is_some() || *message == "*", "{text}"),
            hint => assert_eq!(error.hint.as_deref(), Some(hint), "{text}"),
        }
        assert_eq!((error.at, error.len), (*at, *len), "{text}");
    }
}

#[test]
fn parentheses_nest_to_a_limit_and_not_chains_do_not_count() {
    let deep = |n: usize| format!("{}tcp{}", "(".repeat(n), ")".repeat(n));
    assert!(Filter::parse(&deep(64), &Names).is_ok());
    assert!(Filter::parse(&deep(65), &Names).is_err());
    assert!(Filter::parse(&deep(1_000_000), &Names).is_err());
    assert!(Filter::parse(&format!("{}tcp", "not ".repeat(1_000_000)), &Names).is_ok());
}

#[test]
fn event_kinds_are_told() {
    assert!(parse("tcp and (udp or not new)").uses_event_kinds());
    assert!(!parse("tcp, expectation, flow").uses_event_kinds());
}

fn sample(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/ctnetlink");
    std::fs::read(folder.join(name).with_extension("bin")).unwrap()
}

fn matches(text: &str, bytes: &[u8]) -> bool {
    let message = Message::parse(bytes).unwrap();
    let kind = Kind::of(&message).unwrap();
    parse(text).matches(kind, &Content::decode(kind, &message).unwrap(), &message)
}

/// Sample, tests that hold, tests that do not.
const REAL: &[(&str, &[&str], &[&str])] = &[
    (
        "ev_new_tcp_nat", // 192.0.2.1:40001 → 203.0.113.5:80, seen as 198.51.100.100:40000 → 192.0.2.10:8080
        &[
            "",
            "new",
            "flow",
            "new, destroy and tcp",
            "ip",
            "src 192.0.2.0/24 and dst 203.0.113.5",
            "reply src 192.0.2.10 and reply dst 198.51.100.100",
            "host 198.51.100.100",
            "src 192.0.9.1 mask 255.255.0.255",
            "sport 40001 dport http reply sport 8080 reply dport 40000",
            "port 8080",
            "state syn_sent",
            "tcp_state 1",
            "not assured",
            "unreplied",
            "not status 0/8",
            "snat",
            "dnat",
            "nat to 198.51.100.100:40000",
            "dnat to 192.0.2.10:8080",
            "mark 0",
            "zone 0 and orig zone 0",
            "not helper",
            "from kernel",
            "timeout 120",
            "status 0x1b8",
            "event_ns > 1000",
        ],
        &[
            "update",
            "expectation",
            "udp",
            "ip6",
            "src 192.0.3.0/24",
            "src ::/0",
            "port 81",
            "sport 80",
            "state established",
            "sctp_state 1",
            "replied",
            "assured",
            "snat to 192.0.2.10",
            "snat to 198.51.100.100:40001",
            "mark != 0",
            "helper",
            "master",
            "label 0",
            "bytes >= 0",
            "not (tcp or udp)",
            "from userspace",
            "icmptype 0",
            "class 0",
        ],
    ),
    (
        "ev_destroy_tcp_nat",
        &["destroy", "from userspace", "bytes 156", "orig bytes 104", "packets 3", "state time_wait", "dying"],
        &["new", "bytes > 156", "stop_ns < 5"],
    ),
    ("dump_tcp_nat", &["assured", "use 1", "not from kernel", "not from userspace"], &["new, update, destroy"]),
    ("ev_new_icmp", &["icmp and icmptype 8", "icmp type 8"], &["port 0-65535", "icmp6"]),
    ("ev_new_udp_mark", &["mark != 0"], &["mark 0"]),
    ("ev_new_udp_zone", &["zone > 0", "not zone 0"], &["orig zone > 0"]),
    ("ev_new_udp_origzone", &["orig zone > 0", "zone 0"], &["reply zone > 0"]),
    ("ev_new_udp_replyzone", &["reply zone > 0", "zone 0"], &["orig zone > 0"]),
    ("ev_new_tcp_helper", &["helper", "helper FTP", "helper sip,ftp"], &["helper tftp"]),
    ("ev_new_related_master", &["related", "master"], &["not master"]),
    ("ev_new_tcp6", &["ip6", "src ::/0"], &["ip", "src 0.0.0.0/0"]),
    (
        "ev_update_sctp_established",
        &["update", "sctp", "state established", "sctp_state 4"],
        &["tcp_state established"],
    ),
    ("ev_new_gre", &["gre", "proto 47"], &["tcp"]),
    (
        "ev_exp_new_ftp_nat", // any port of 192.0.2.10 → 198.51.100.100:51201
        &[
            "expectation",
            "exp_new",
            "tcp",
            "src 192.0.2.10",
            "dst 198.51.100.100",
            "dport 51201",
            "helper ftp",
            "timeout 300",
            "class 0",
            "zone 0",
            "master",
            "not assured",
        ],
        &["flow", "new", "exp_destroy", "reply src 0.0.0.0/0", "assured", "unreplied", "mark 0", "state none", "nat"],
    ),
];

#[test]
fn real_messages_match_what_they_are() {
    for (name, yes, no) in REAL {
        let bytes = sample(name);
        for text in *yes {
            assert!(matches(text, &bytes), "{name}: {text}");
            assert!(!matches(&format!("not ({})", if text.is_empty() { "flow" } else { text }), &bytes));
        }
        for text in *no {
            assert!(!matches(text, &bytes), "{name}: {text}");
        }
    }
}

#[test]
fn labels_are_found_by_bit() {
    let bytes = sample("ev_new_udp_label");
    let set: Vec<u32> = (0..128).filter(|bit| matches(&format!("label {bit}"), &bytes)).collect();
    assert_eq!(set.len(), 1, "{set:?}");
}

#[test]
fn gap_rows_always_pass() {
    let bytes = Gap { lost: Some(3), after_ns: 1, before_ns: 2, ..Gap::default() }.encode();
    assert!(matches("new and tcp and not tcp", &bytes));
}

#[test]
fn every_example_of_the_documentation_parses() {
    let text = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/filter.md")).unwrap();
    let mut examples = 0;
    for block in text.split("```filter\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            parse(line);
            examples += 1;
        }
    }
    assert!(examples > 30, "{examples}");
}

#[test]
fn filters_go_between_threads() {
    fn check<T: Send + Sync + Clone>() {}
    check::<Filter>();
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        if let Err(error) = Filter::parse(&text, &Names) {
            prop_assert!(error.len >= 1);
            prop_assert!(error.at <= text.chars().count());
            prop_assert!(error.caret(&text).contains('^'));
        }
    }

    #[test]
    fn no_sequence_of_words_panics_and_what_parses_is_stable(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "tcp", "not", "and", "or", "(", ")", ",", "!", "src", "dst", "reply", "10.0.0.1", "::1/64", "dport", "22",
                "80-90", "state", "established", "mark", "0x1/0xff", "<", ">=", "!=", "zone", "snat", "to", "1.2.3.4:80",
                "helper", "ftp", "mask", "255.0.255.0", "port", "bytes", "10k", "new", "label", "3", "from", "userspace",
            ]),
            0..14,
        )
    ) {
        let text = words.join(" ");
        if let Ok(filter) = Filter::parse(&text, &Names) {
            let canonical = filter.to_string();
            prop_assert_eq!(Filter::parse(&canonical, &Names).unwrap(), filter, "{}", canonical);
        }
    }
}
