//! Invariant: any text is a filter or an error that points into the text; a filter's canonical text parses back to an
//! equal filter, and both decide alike on every row. What its socket program refuses in the kernel is never wanted.

use conntap_core::batch::{Batch, Scan};
use conntap_core::filter::{Filter, Quirks, Resolve};

/// The BPF machine of the property tests.
#[path = "../../crates/conntap-core/tests/filter_support/mod.rs"]
mod support;

/// Some names, so that the ways through them are tried.
struct Names;

impl Resolve for Names {
    fn service(&self, name: &str) -> Option<u16> {
        (name == "ssh").then_some(22)
    }

    fn label(&self, name: &str) -> Option<u16> {
        (name == "vpn").then_some(9)
    }

    fn protocol(&self, name: &str) -> Option<u8> {
        (name == "ospf").then_some(89)
    }
}

/// Rows of many kinds: a NAT flow, IPv6, ICMP, zones, labels, helpers, ends, expectations.
const ROWS: [&[u8]; 10] = [
    include_bytes!("../../tests/data/ctnetlink/ev_new_tcp_nat.bin"),
    include_bytes!("../../tests/data/ctnetlink/ev_update_tcp6_assured.bin"),
    include_bytes!("../../tests/data/ctnetlink/ev_destroy_udp6.bin"),
    include_bytes!("../../tests/data/ctnetlink/ev_new_icmpv6.bin"),
    include_bytes!("../../tests/data/ctnetlink/ev_new_udp_origzone.bin"),
    include_bytes!("../../tests/data/ctnetlink/ev_new_udp_label.bin"),
    include_bytes!("../../tests/data/ctnetlink/ev_new_tcp_helper.bin"),
    include_bytes!("../../tests/data/ctnetlink/ev_update_sctp_established.bin"),
    include_bytes!("../../tests/data/ctnetlink/ev_exp_new_ftp_nat.bin"),
    include_bytes!("../../tests/data/ctnetlink/dump_tcp_nat.bin"),
];

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let filter = match Filter::parse(text, &Names) {
        Ok(filter) => filter,
        Err(error) => {
            let len = text.chars().count();
            assert!(error.len >= 1 && error.at <= len, "{error:?} in {len} characters");
            assert!(error.at + error.len <= len.max(error.at + 1), "{error:?} in {len} characters");
            assert!(!error.message.is_empty() && error.caret(text).ends_with('^'));
            return;
        }
    };
    let canonical = filter.to_string();
    let again = match Filter::parse(&canonical, &Names) {
        Ok(again) => again,
        Err(error) => panic!("{text:?} gives {canonical:?}, which is refused: {error:?}"),
    };
    assert_eq!(filter, again, "{text:?} gives {canonical:?}");
    assert_eq!(canonical, again.to_string());

    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    for row in ROWS {
        batch.append(row, 1, &mut |_, _, _| true, &mut scan);
    }
    let program = filter.bpf();
    for (row, message, content) in batch.iter() {
        let wanted = filter.matches(row.kind, &content, &message);
        assert_eq!(wanted, again.matches(row.kind, &content, &message));
        assert!(wanted || !filter.is_everything());
        if let Some(program) = &program {
            let passes = support::run(&program.insns, batch.row_bytes(row)).expect("the kernel takes the program") != 0;
            assert!(passes || !wanted, "{text:?} loses a row");
            assert!(passes == wanted || !program.complete, "{text:?} is said to be exact");
        }
    }
    for sound in [false, true] {
        let quirks = Quirks { ipv6_addresses: sound, tuples: sound, status: sound, zone: sound };
        let _ = filter.dump_plan(&quirks);
    }
    let _ = (filter.expectation_dump_plan(), filter.groups(), filter.uses_event_kinds());
    assert!(!filter.explain().is_empty());
}
