//! Tests of the text forms: every field, rare values, real kernel messages, and that nothing panics.

use std::net::IpAddr;

use proptest::prelude::*;

use super::human::{HumanStyle, Initiator, flow_ends};
use super::table::{ExpectationTable, FlowTable};
use super::*;
use crate::batch::Scan;
use crate::model::{Counters, Expectation, Flow, Gap, ProtoInfo, Tuple};
use crate::wire::Writer;
use crate::wire::constants::*;

const NS: i64 = 1_000_000_000;
/// Mon Nov 23 22:47:11 2026 UTC, and 4,821 microseconds.
const THEN: i64 = 1_795_474_031 * NS + 4_821_000;

/// One hour east of Greenwich, one program, one host, two services.
struct Here;

impl Environment for Here {
    fn now_ns(&self) -> i64 {
        THEN
    }
    fn utc_offset_seconds(&self, _: i64) -> i32 {
        3_600
    }
    fn program(&mut self, port: u32) -> Option<String> {
        (port == 77).then(|| "conntrack".to_owned())
    }
    fn host_name(&mut self, address: IpAddr) -> Option<String> {
        (address == IpAddr::from([198, 51, 100, 9])).then(|| "ftp.example\x1b[31m".to_owned())
    }
    fn service_name(&mut self, port: u16, _: u8) -> Option<String> {
        match port {
            21 => Some("ftp".to_owned()),
            80 => Some("http".to_owned()),
            _ => None,
        }
    }
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn tuple(src: &str, sport: u16, dst: &str, dport: u16, l4: u8) -> Tuple {
    Tuple { src: ip(src), dst: ip(dst), l4proto: Some(l4), sport: Some(sport), dport: Some(dport), ..Tuple::default() }
}

/// A TCP flow of 10.0.0.5 to an FTP server, without NAT.
fn ftp() -> Flow<'static> {
    let orig = tuple("10.0.0.5", 50122, "198.51.100.9", 21, IPPROTO_TCP);
    Flow { family: AF_INET, orig, reply: orig.mirrored(), status: Some(0), ..Flow::default() }
}

fn tcp(state: u8) -> Option<ProtoInfo> {
    Some(ProtoInfo::Tcp {
        state: Some(state),
        wscale_orig: Some(7),
        wscale_reply: Some(7),
        flags_orig: None,
        flags_reply: None,
    })
}

fn add(batch: &mut Batch, message: u16, flags: u16, port: u32, family: u8, fill: impl FnOnce(&mut Writer)) {
    let mut writer = Writer::new(message, flags, 0, port, family, 0, 0);
    fill(&mut writer);
    let mut scan = Scan::default();
    batch.append(&writer.finish(), THEN, &mut |_, _, _| true, &mut scan);
    assert_eq!(scan.kept, 1, "{scan:?}");
}

fn add_flow(batch: &mut Batch, kind: Kind, port: u32, flow: &Flow<'_>) {
    let (message, flags) = match kind {
        Kind::Entry => (CT_NEW, NLM_F_MULTI),
        Kind::New => (CT_NEW, NLM_F_CREATE),
        Kind::Update => (CT_NEW, 0),
        _ => (CT_DELETE, 0),
    };
    add(batch, message, flags, port, flow.family, |writer| flow.write(writer));
}

fn add_expectation(batch: &mut Batch, kind: Kind, expectation: &Expectation<'_>) {
    let (message, flags) = match kind {
        Kind::ExpEntry => (EXP_NEW, NLM_F_MULTI),
        Kind::ExpNew => (EXP_NEW, NLM_F_CREATE),
        Kind::ExpUpdate => (EXP_NEW, 0),
        _ => (EXP_DELETE, 0),
    };
    add(batch, message, flags, 0, expectation.family, |writer| expectation.write(writer));
}

fn format(style: Style, batch: &Batch) -> String {
    let mut formatter = Formatter::new(style);
    let mut out = Vec::new();
    formatter.format(batch, &mut Here, &mut out);
    formatter.finish(&mut out);
    String::from_utf8(out).unwrap()
}

fn one(style: Style, kind: Kind, flow: &Flow<'_>) -> String {
    let mut batch = Batch::default();
    add_flow(&mut batch, kind, 0, flow);
    format(style, &batch)
}

fn text(style: ConntrackStyle, kind: Kind, flow: &Flow<'_>) -> String {
    one(Style::Conntrack(style), kind, flow)
}

fn human(kind: Kind, flow: &Flow<'_>) -> String {
    one(Style::Human(HumanStyle::default()), kind, flow)
}

fn sample(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/data/ctnetlink/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

#[test]
fn every_field_stands_in_its_place() {
    let labels = [0b1110u32, 0, 0, 0].map(u32::to_ne_bytes).concat();
    let mut flow = ftp();
    flow.orig.zone = Some(7);
    flow.reply.zone = Some(8);
    flow.timeout = Some(431_999);
    flow.protoinfo = tcp(3);
    flow.counters_orig = Some(Counters { packets: Some(u64::MAX), bytes: Some(123_456_789_012) });
    flow.counters_reply = Some(Counters { packets: Some(1), bytes: Some(100_000_000) });
    flow.status = Some(IPS_ASSURED | IPS_SEEN_REPLY | IPS_SRC_NAT_DONE | IPS_DYING | IPS_TEMPLATE);
    flow.mark = Some(u32::MAX);
    flow.secmark = Some(3);
    flow.secctx = Some(b"system_u:object_r:unlabeled_t:s0");
    flow.zone = Some(9);
    flow.start_ns = Some(u64::try_from(THEN - 10 * NS - 5_000_000).unwrap());
    flow.stop_ns = Some(u64::try_from(THEN).unwrap());
    flow.helper = Some(b"ftp");
    flow.use_count = Some(2);
    flow.id = Some(u32::MAX);
    flow.labels = Some(&labels);
    let style = ConntrackStyle {
        extended: true,
        id: true,
        ktimestamp: true,
        timestamp: true,
        labels: Some(LabelMap::parse(b"1 red\n3 blue")),
        ..ConntrackStyle::default()
    };
    // Difference of the seconds: 10.005 s across a boundary of seconds are 11.
    assert_eq!(
        text(style, Kind::Update, &flow),
        "[1795474031.004821]\t [UPDATE] ipv4     2 tcp      6 431999 ESTABLISHED src=10.0.0.5 dst=198.51.100.9 \
         sport=50122 dport=21 zone-orig=7 packets=18446744073709551615 bytes=123456789012 src=198.51.100.9 \
         dst=10.0.0.5 sport=21 dport=50122 zone-reply=8 packets=1 bytes=100000000 [ASSURED] mark=4294967295 \
         secmark=3 secctx=system_u:object_r:unlabeled_t:s0 zone=9 delta-time=11 [start=Mon Nov 23 23:47:00 2026] \
         [stop=Mon Nov 23 23:47:11 2026] helper=ftp use=2 id=4294967295 labels=red,blue\n"
    );
    // Without options the same row says less.
    assert!(text(ConntrackStyle::default(), Kind::Entry, &flow).ends_with("delta-time=11 helper=ftp use=2\n"));
}

#[test]
fn real_messages_read_as_conntrack_writes_them() {
    for (name, want) in [
        (
            "ev_new_tcp_nat",
            "    [NEW] tcp      6 120 SYN_SENT src=192.0.2.1 dst=203.0.113.5 sport=40001 dport=80 [UNREPLIED] \
             src=192.0.2.10 dst=198.51.100.100 sport=8080 dport=40000\n",
        ),
        (
            "ev_new_icmpv6",
            "    [NEW] icmpv6   58 30 src=2001:db8::1 dst=2001:db8::2 type=128 code=0 id=24929 [UNREPLIED] \
             src=2001:db8::2 dst=2001:db8::1 type=129 code=0 id=24929\n",
        ),
        (
            "ev_new_gre",
            "    [NEW] gre      47 30 src=192.0.2.1 dst=192.0.2.10 srckey=0x0 dstkey=0x0 [UNREPLIED] \
             src=192.0.2.10 dst=192.0.2.1 srckey=0x0 dstkey=0x0\n",
        ),
        (
            "ev_new_generic",
            "    [NEW] unknown  253 600 src=192.0.2.1 dst=192.0.2.10 [UNREPLIED] src=192.0.2.10 dst=192.0.2.1\n",
        ),
        (
            "ev_new_udp_origzone",
            "    [NEW] udp      17 30 src=192.0.2.1 dst=192.0.2.10 sport=37009 dport=7009 zone-orig=9 [UNREPLIED] \
             src=192.0.2.10 dst=192.0.2.1 sport=7009 dport=37009\n",
        ),
        (
            "ev_new_udp_mark",
            "    [NEW] udp      17 30 src=192.0.2.1 dst=192.0.2.10 sport=35353 dport=5353 [UNREPLIED] \
             src=192.0.2.10 dst=192.0.2.1 sport=5353 dport=35353 mark=3735928559\n",
        ),
        (
            "ev_exp_new_ftp_nat",
            "    [NEW] 300 proto=6 src=192.0.2.10 dst=198.51.100.100 sport=0 dport=51201 mask-src=255.255.255.255 \
             mask-dst=255.255.255.255 sport=0 dport=65535 master-src=192.0.2.1 master-dst=192.0.2.10 sport=41021 \
             dport=21 class=0 helper=ftp\n",
        ),
    ] {
        let mut batch = Batch::default();
        batch.append(&sample(name), THEN, &mut |_, _, _| true, &mut Scan::default());
        assert_eq!(format(Style::Conntrack(ConntrackStyle::default()), &batch), want, "{name}");
    }
}

#[test]
fn marks_of_offload_hide_assured() {
    let mut flow = ftp();
    for (status, mark) in [
        (IPS_HW_OFFLOAD | IPS_OFFLOAD | IPS_ASSURED, " [HW_OFFLOAD]\n"),
        (IPS_OFFLOAD | IPS_ASSURED, " [OFFLOAD]\n"),
        (IPS_ASSURED, " [ASSURED]\n"),
        (0, " dport=50122\n"),
    ] {
        flow.status = Some(status | IPS_SEEN_REPLY);
        assert!(text(ConntrackStyle::default(), Kind::Entry, &flow).ends_with(mark));
    }
}

#[test]
fn numbers_without_names_are_shown_as_the_original_shows_them() {
    let mut flow = ftp();
    flow.protoinfo = tcp(99);
    let line = text(ConntrackStyle::default(), Kind::Entry, &flow);
    assert!(line.starts_with("tcp      6 NONE src="), "{line}");
    flow.family = 7;
    let extended = ConntrackStyle { extended: true, ..ConntrackStyle::default() };
    assert!(text(extended, Kind::Entry, &flow).starts_with("unknown  7 tcp"));
    assert_eq!(one(Style::Save(SaveStyle::default()), Kind::Entry, &flow), "\n");
    let empty = Flow { family: AF_INET6, ..Flow::default() };
    assert_eq!(text(ConntrackStyle::default(), Kind::Entry, &empty), "unknown  0 src=:: dst=:: src=:: dst=::\n");
    // Bits that have no name leave the bare word, as the original's cut of the last character does.
    let labels = [255; 4];
    flow.labels = Some(&labels);
    let style = ConntrackStyle { labels: Some(LabelMap::parse(b"99 far")), ..ConntrackStyle::default() };
    assert!(text(style, Kind::Entry, &flow).ends_with(" labels\n"));
}

#[test]
fn a_clock_that_was_set_back_gives_no_huge_age() {
    let mut flow = ftp();
    flow.start_ns = Some(u64::MAX);
    assert!(text(ConntrackStyle::default(), Kind::Entry, &flow).ends_with(" delta-time=0\n"));
}

#[test]
fn events_tell_which_program_caused_them() {
    for (port, tail) in [(77, " [USERSPACE] portid=77 progname=conntrack\n"), (78, " [USERSPACE] portid=78\n")] {
        let mut batch = Batch::default();
        add_flow(&mut batch, Kind::New, port, &ftp());
        for style in [Style::Conntrack(ConntrackStyle::default()), Style::Save(SaveStyle::default())] {
            assert!(format(style, &batch).ends_with(tail));
        }
        let quiet = ConntrackStyle { userspace: false, ..ConntrackStyle::default() };
        assert!(!format(Style::Conntrack(quiet), &batch).contains("USERSPACE"));
        assert!(!format(Style::Xml(XmlStyle::default()), &batch).contains("USERSPACE"));
    }
    let mut batch = Batch::default();
    add_flow(&mut batch, Kind::Entry, 77, &ftp());
    assert!(!format(Style::Conntrack(ConntrackStyle::default()), &batch).contains("USERSPACE"));
}

fn expected() -> Expectation<'static> {
    Expectation {
        family: AF_INET,
        tuple: tuple("198.51.100.9", 0, "203.0.113.7", 41222, IPPROTO_TCP),
        mask: tuple("255.255.255.255", 0, "255.255.255.255", 65535, IPPROTO_TCP),
        master: ftp().orig,
        timeout: Some(300),
        id: Some(5),
        helper: Some(b"ftp"),
        class: Some(0),
        ..Expectation::default()
    }
}

#[test]
fn expectations_flags_zone_and_their_own_timestamp() {
    let mut batch = Batch::default();
    let flags = NF_CT_EXPECT_PERMANENT | NF_CT_EXPECT_INACTIVE | NF_CT_EXPECT_USERSPACE;
    let expectation = Expectation { flags: Some(flags), zone: Some(4), ..expected() };
    add_expectation(&mut batch, Kind::ExpEntry, &expectation);
    let style = ConntrackStyle { timestamp: true, ..ConntrackStyle::default() };
    // Microseconds stand left-justified here, unlike those of flows.
    assert_eq!(
        format(Style::Conntrack(style), &batch),
        "[1795474031.4821  ]\t300 proto=6 src=198.51.100.9 dst=203.0.113.7 sport=0 dport=41222 \
         mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.0.0.5 \
         master-dst=198.51.100.9 sport=50122 dport=21 zone=4 PERMANENT,INACTIVE,USERSPACE class=0 helper=ftp\n"
    );
    let xml = format(Style::Xml(XmlStyle::default()), &batch);
    assert!(
        xml.ends_with(
            "<meta><helper-name>ftp</helper-name><timeout>300</timeout><class>0</class><zone>4</zone>\
                           <permanent/><inactive/><userspace/></meta></flow>\n</expect>\n"
        ),
        "{xml}"
    );
    assert_eq!(format(Style::Save(SaveStyle::default()), &batch), "");
}

#[test]
fn xml_escapes_texts_and_keeps_the_faults_that_are_read() {
    let mut flow = ftp();
    flow.helper = Some(b"a<b>&c");
    flow.protoinfo = Some(ProtoInfo::Sctp { state: Some(4), vtag_orig: None, vtag_reply: None });
    flow.counters_reply = Some(Counters { packets: Some(1), bytes: Some(2) });
    let xml = one(Style::Xml(XmlStyle::default()), Kind::Entry, &flow);
    assert!(xml.contains("<helper>a&lt;b&gt;&amp;c</helper>"));
    assert!(xml.contains("<state>FIN_WAIT</state>"), "SCTP's ESTABLISHED by TCP's list");
    assert!(!xml.contains("counters"), "the reply's counters need the original's");
    let style = XmlStyle { timestamp: true, ..XmlStyle::default() };
    let xml = one(Style::Xml(style), Kind::New, &flow);
    let when = "</meta><when><hour>23</hour><min>47</min><sec>11</sec><wday>2</wday><day>23</day><month>11</month>\
                <year>2026</year></when><helper>";
    assert!(xml.contains(when), "{xml}");
}

#[test]
fn xml_has_one_root_and_none_without_rows() {
    let mut batch = Batch::default();
    assert_eq!(format(Style::Xml(XmlStyle::default()), &batch), "");
    batch.push_gap(&Gap { lost: None, after_ns: 0, before_ns: 1, ..Gap::default() });
    assert_eq!(format(Style::Xml(XmlStyle::default()), &batch), "");
    for _ in 0..3 {
        add_flow(&mut batch, Kind::New, 0, &ftp());
    }
    let xml = format(Style::Xml(XmlStyle::default()), &batch);
    assert_eq!(xml.matches("<?xml").count(), 1);
    assert_eq!((xml.matches("<conntrack>").count(), xml.matches("</conntrack>").count()), (1, 1));
    assert_eq!(xml.matches("<flow type=\"new\">").count(), 3);
}

#[test]
fn a_day_of_ftp_for_people() {
    let world = "203.0.113.7";
    let mut control = ftp();
    control.reply.dst = ip(world);
    control.protoinfo = tcp(1);
    control.helper = Some(b"ftp");
    let data = Flow {
        family: AF_INET,
        orig: tuple("198.51.100.9", 20, world, 41222, IPPROTO_TCP),
        reply: tuple("10.0.0.5", 41222, "198.51.100.9", 20, IPPROTO_TCP),
        master: Some(control.orig),
        status: Some(IPS_EXPECTED),
        protoinfo: tcp(1),
        ..Flow::default()
    };
    let ended = Flow {
        master: None,
        status: Some(IPS_SEEN_REPLY),
        timeout: Some(119),
        start_ns: Some(u64::try_from(THEN - 6_149_000_000).unwrap()),
        counters_orig: Some(Counters { packets: Some(9), bytes: Some(3_400_000) }),
        counters_reply: Some(Counters { packets: Some(9), bytes: Some(1_200) }),
        ..data.clone()
    };
    let mut batch = Batch::default();
    add_flow(&mut batch, Kind::New, 0, &control);
    let inherits = Expectation {
        nat_dir: Some(1),
        nat_tuple: Some(Tuple { sport: Some(41222), ..Tuple::default() }),
        ..expected()
    };
    add_expectation(&mut batch, Kind::ExpNew, &inherits);
    add_expectation(&mut batch, Kind::ExpDestroy, &expected());
    add_flow(&mut batch, Kind::New, 0, &data);
    add_flow(&mut batch, Kind::Destroy, 0, &ended);
    batch.push_gap(&Gap { lost: Some(1024), after_ns: THEN - NS, before_ns: THEN, ..Gap::default() });
    let style = HumanStyle { width: 109, ..HumanStyle::default() };
    let want = "\
23:47:11.004  +  tcp    10.0.0.5:50122 ⇒ 203.0.113.7:50122 → 198.51.100.9:21 ftp      SYN_SENT     helper ftp
23:47:11.004  ⊕  ftp    198.51.100.9 (any port) may open tcp 203.0.113.7:41222 for 300 s, asked for by 10.0.0.5:50122 → 198.51.100.9:21, passed on to 10.0.0.5:41222
23:47:11.004  ⊖  ftp    tcp 203.0.113.7:41222: used after 0.00 s
23:47:11.004  +  tcp    198.51.100.9:20 → 203.0.113.7:41222 ⇒ 10.0.0.5:41222          SYN_SENT     related to ftp ↑
23:47:11.004  −  tcp    198.51.100.9:20 → 203.0.113.7:41222 ⇒ 10.0.0.5:41222          6.1 s   ↑ 1.2 kB  ↓ 3.4 MB
23:47:11.004  !  gap    1,024 events lost between 23:47:10.004 and 23:47:11.004: the reader was too slow
";
    assert_eq!(format(Style::Human(style), &batch), want);
    let ascii = HumanStyle { ascii: true, utc: true, date: true, ..HumanStyle::default() };
    let lines = format(Style::Human(ascii), &batch);
    assert!(lines.is_ascii());
    assert!(lines.starts_with("2026-11-23 22:47:11.004   +   tcp    10.0.0.5:50122 => 203.0.113.7:50122 -> "));
    let colour = HumanStyle { color: true, ..HumanStyle::default() };
    let coloured = format(Style::Human(colour), &batch);
    let plain = coloured.replace("\x1b[0m", "").replace("\x1b[1;31m", "");
    let plain = ["\x1b[31m", "\x1b[32m", "\x1b[35m"].iter().fold(plain, |text, code| text.replace(code, ""));
    assert_eq!(plain, format(Style::Human(HumanStyle::default()), &batch), "colour adds nothing but colour");
}

#[test]
fn who_anyone_is_is_said_aloud() {
    let mut expectation = expected();
    expectation.mask.src = ip("0.0.0.0");
    let said = explain_expectation(&expectation, true);
    assert!(said.starts_with("ftp: ! ANYONE (any port) may open tcp 203.0.113.7:41222 for 300 s"), "{said}");
    expectation.mask.src = ip("255.0.0.0");
    expectation.mask.sport = Some(65535);
    expectation.tuple.sport = Some(20);
    expectation.flags = Some(NF_CT_EXPECT_PERMANENT);
    let said = explain_expectation(&expectation, false);
    let want = "ftp: 198.51.100.9/8 (port 20) may open tcp 203.0.113.7:41222 any number of times for 300 s, \
                asked for by 10.0.0.5:50122 → 198.51.100.9:21";
    assert_eq!(said, want);
}

#[test]
fn an_expectations_end_is_told_as_far_as_it_is_known() {
    let end = |timeout, master_ended: bool| {
        let mut batch = Batch::default();
        add_expectation(&mut batch, Kind::ExpNew, &expected());
        if master_ended {
            add_flow(&mut batch, Kind::Destroy, 0, &ftp());
        }
        add_expectation(&mut batch, Kind::ExpDestroy, &Expectation { timeout, ..expected() });
        let text = format(Style::Human(HumanStyle::default()), &batch);
        text.lines().last().unwrap().split_once("41222: ").unwrap().1.to_owned()
    };
    assert_eq!(end(Some(200), false), "used after 0.00 s");
    assert_eq!(end(Some(0), false), "expired, never used after 0.00 s");
    assert_eq!(end(Some(200), true), "ended with its connection after 0.00 s");
}

#[test]
fn ends_in_all_directions() {
    let mut flow = ftp();
    let inside = |flow: &Flow<'_>| flow_ends(flow).inside.address;
    assert_eq!((inside(&flow), flow_ends(&flow).outside), (ip("10.0.0.5"), None));
    flow.reply.dport = Some(1024); // only the port is translated
    assert_eq!(flow_ends(&flow).outside.and_then(|end| end.port), Some(1024));
    // From the world to a private address, without NAT.
    flow.orig = tuple("198.51.100.9", 1, "10.0.0.5", 80, IPPROTO_TCP);
    flow.reply = flow.orig.mirrored();
    assert_eq!((inside(&flow), flow_ends(&flow).initiator), (ip("10.0.0.5"), Initiator::Remote));
    // Port forward.
    flow.orig.dst = ip("203.0.113.7");
    assert_eq!((inside(&flow), flow_ends(&flow).initiator), (ip("10.0.0.5"), Initiator::Remote));
    // Hairpin: both ends are private, the initiator is inside.
    flow.orig.src = ip("10.0.0.6");
    flow.reply.dst = ip("10.0.0.1");
    let ends = flow_ends(&flow);
    assert_eq!((ends.inside.address, ends.target.and_then(|end| end.address)), (ip("10.0.0.6"), ip("10.0.0.5")));
}

#[test]
fn names_of_hosts_are_cleaned_and_brackets_stand_around_ipv6() {
    let style = || Style::Human(HumanStyle { names: true, ..HumanStyle::default() });
    assert!(one(style(), Kind::New, &ftp()).contains("10.0.0.5:50122 → ftp.example?[31m:21 ftp"));
    let mut flow = ftp();
    flow.orig = tuple("2001:db8::1", 1, "2001:db8::2", 80, IPPROTO_TCP);
    flow.reply = flow.orig.mirrored();
    let line = human(Kind::New, &flow);
    assert!(line.contains("  [2001:db8::1]:1 → [2001:db8::2]:80 http"), "{line}");
    flow.orig.l4proto = Some(89);
    assert!(human(Kind::Update, &flow).contains(" ~  proto-89 2001:db8::1 → 2001:db8::2 "));
    flow.orig.l4proto = Some(IPPROTO_GRE);
    assert!(human(Kind::Update, &flow).contains(" [2001:db8::1]:0x1 → [2001:db8::2]:0x50 "));
}

#[test]
fn tables_leave_empty_columns_out_and_keep_the_rest_aligned() {
    let mut nat = ftp();
    nat.reply.dst = ip("203.0.113.7");
    nat.timeout = Some(431_999);
    nat.protoinfo = tcp(3);
    let mut out = Vec::new();
    table::write(&HumanStyle::default(), &[ftp(), nat.clone()], &mut Here, &mut out);
    let want = "\
PROTO  INSIDE          OUTSIDE               REMOTE               STATE        LEFT
tcp    10.0.0.5:50122                     →  198.51.100.9:21 ftp  unreplied
tcp    10.0.0.5:50122  203.0.113.7:50122  →  198.51.100.9:21 ftp  ESTABLISHED  119 h
";
    assert_eq!(String::from_utf8(out).unwrap(), want);
    let mut out = Vec::new();
    table::write(&HumanStyle::default(), &[ftp()], &mut Here, &mut out);
    assert!(!String::from_utf8(out).unwrap().contains("OUTSIDE"));
}

#[test]
fn the_table_of_expectations_marks_and_counts_the_open_ones() {
    let mut open = expected();
    open.mask.src = ip("0.0.0.0");
    open.helper = Some(b"irc");
    let mut out = Vec::new();
    let count = table::write_expectations(&HumanStyle::default(), &[expected(), open], &mut Here, &mut out);
    let want = "\x20  HELPER  WHO MAY CONNECT          TO                     LEFT   BECAUSE OF
   ftp     198.51.100.9 (any port)  203.0.113.7 tcp/41222  300 s  10.0.0.5:50122 → 198.51.100.9:21
!  irc     anyone (any port)        203.0.113.7 tcp/41222  300 s  10.0.0.5:50122 → 198.51.100.9:21
";
    assert_eq!((String::from_utf8(out).unwrap().as_str(), count), (want, 1));
}

/// Attributes of any numbers and payloads, nested or not: what decodes is formatted.
fn attributes(depth: u32) -> BoxedStrategy<Vec<u8>> {
    let encode = |kind: u16, payload: &[u8]| {
        let mut out = Vec::new();
        out.extend_from_slice(&u16::try_from(payload.len() + 4).unwrap().to_ne_bytes());
        out.extend_from_slice(&kind.to_ne_bytes());
        out.extend_from_slice(payload);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    };
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        proptest::collection::vec(any::<u8>(), 4..=4),
        proptest::collection::vec(any::<u8>(), 16..=16),
        Just(vec![0; 16]),
        Just(vec![255; 8]),
    ];
    let inside = if depth == 0 { value.boxed() } else { prop_oneof![value, attributes(depth - 1)].boxed() };
    let attribute = (0u16..30, inside).prop_map(move |(kind, payload)| encode(kind, &payload));
    proptest::collection::vec(attribute, 0..8).prop_map(|parts| parts.concat()).boxed()
}

/// A real message with bytes changed: nearer to what decodes than random attributes.
fn bent() -> impl Strategy<Value = Vec<u8>> {
    let names =
        ["get_tcp_helper_seqadj", "ev_exp_new_ftp_nat", "ev_new_icmpv6", "ev_destroy_udp6", "ev_new_related_master"];
    let edits = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6);
    (proptest::sample::select(names.to_vec()), edits).prop_map(|(name, edits)| {
        let mut bytes = sample(name);
        for (at, value) in edits {
            let at = 20 + at.index(bytes.len() - 20);
            bytes[at] = value;
        }
        bytes
    })
}

fn all_styles() -> Vec<Style> {
    let map = Some(LabelMap::parse(b"0 zero\n1 one\n127 last"));
    vec![
        Style::Conntrack(ConntrackStyle::default()),
        Style::Conntrack(ConntrackStyle {
            extended: true,
            id: true,
            ktimestamp: true,
            timestamp: true,
            labels: map.clone(),
            ..ConntrackStyle::default()
        }),
        Style::Xml(XmlStyle { ktimestamp: true, timestamp: true, labels: map.clone(), ..XmlStyle::default() }),
        Style::Save(SaveStyle::default()),
        Style::Human(HumanStyle::default()),
        Style::Human(HumanStyle {
            color: true,
            ascii: true,
            names: true,
            date: true,
            width: 1,
            labels: map,
            ..HumanStyle::default()
        }),
    ]
}

/// The short way of entries and the long way write the same.
fn both_ways(batch: &Batch) -> usize {
    let mut short = 0;
    for style in all_styles() {
        let Style::Conntrack(conntrack) = &style else { continue };
        let (mut quick, mut slow, mut direct) = (Vec::new(), Vec::new(), Vec::new());
        let mut formatter = Formatter::new(style.clone());
        formatter.format(batch, &mut Here, &mut quick);
        for (row, message, content) in batch.iter() {
            formatter.row(row, &message, &content, &mut Here, &mut slow);
            short += usize::from(direct::write(conntrack, &message, || 0, &mut direct));
        }
        assert_eq!(String::from_utf8_lossy(&quick), String::from_utf8_lossy(&slow));
    }
    short
}

#[test]
fn the_short_way_writes_what_the_long_way_writes() {
    let mut batch = Batch::default();
    for name in ["datagram_dump_first", "dump_tcp_nat", "get_tcp_helper_seqadj", "get_tcp_nat_reply", "dump_dying"] {
        batch.append(&sample(name), THEN, &mut |_, _, _| true, &mut Scan::default());
    }
    for l4 in [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_GRE, 89] {
        for status in [None, Some(0), Some(IPS_ASSURED | IPS_SEEN_REPLY), Some(IPS_OFFLOAD), Some(IPS_HW_OFFLOAD)] {
            let mut flow = ftp();
            (flow.orig.l4proto, flow.reply.l4proto, flow.status) = (Some(l4), Some(l4), status);
            flow.protoinfo = tcp(if l4 == IPPROTO_TCP { 3 } else { 99 });
            flow.counters_reply = status.map(|status| Counters { packets: Some(1), bytes: Some(status.into()) });
            add_flow(&mut batch, Kind::Entry, 0, &flow);
        }
    }
    assert!(both_ways(&batch) > 60, "the short way is hardly used");
}

fn format_all(batch: &Batch) {
    both_ways(batch);
    for style in all_styles() {
        let human = matches!(style, Style::Human(_));
        let rows = batch.iter().filter(|(row, _, _)| row.kind.is_flow()).count();
        let mut formatter = Formatter::new(style);
        let mut out = Vec::new();
        formatter.format(batch, &mut Here, &mut out);
        formatter.finish(&mut out);
        assert!(out.is_empty() || out.ends_with(b"\n"));
        assert!(out.iter().filter(|byte| **byte == b'\n').count() >= rows);
        if human {
            assert!(std::str::from_utf8(&out).is_ok());
        }
    }
    let (mut flows, mut expectations) =
        (FlowTable::fixed(HumanStyle::default()), ExpectationTable::new(HumanStyle::default()));
    let mut out = Vec::new();
    for (_, _, content) in batch.iter() {
        match content {
            Content::Flow(flow) => flows.row(&flow, &mut Here, &mut out),
            Content::Expectation(expectation) => {
                expectations.row(&expectation, &mut Here, &mut out);
                let _ = explain_expectation(&expectation, false);
            }
            Content::Gap(_) => {}
        }
    }
}

proptest! {
    #[test]
    fn no_style_panics_on_any_attributes(
        kind in proptest::sample::select(vec![CT_NEW, CT_DELETE, EXP_NEW, EXP_DELETE]),
        flags in proptest::sample::select(vec![0, NLM_F_MULTI, NLM_F_CREATE]),
        family in any::<u8>(),
        received in any::<i64>(),
        body in attributes(3),
    ) {
        let mut writer = Writer::new(kind, flags, 0, 77, family, 0, 0);
        writer.raw(&body);
        let mut batch = Batch::default();
        batch.append(&writer.finish(), received, &mut |_, _, _| true, &mut Scan::default());
        format_all(&batch);
    }

    #[test]
    fn no_style_panics_on_bent_messages(bytes in bent(), received in any::<i64>()) {
        let mut batch = Batch::default();
        batch.append(&bytes, received, &mut |_, _, _| true, &mut Scan::default());
        format_all(&batch);
    }

    #[test]
    fn no_gap_is_too_strange(lost in any::<Option<u64>>(), after in any::<i64>(), before in any::<i64>()) {
        let mut batch = Batch::default();
        batch.push_gap(&Gap { lost, after_ns: after, before_ns: before, ..Gap::default() });
        format_all(&batch);
    }
}
