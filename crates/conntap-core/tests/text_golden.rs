//! Every flow and expectation line of the transcripts of `conntrack` 1.4.9 and 1.4.7 (tests/data/conntrack-cli), read
//! into the message that it was made from and written again: byte for byte.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]
#![allow(clippy::field_reassign_with_default)] // the models have a private field

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use conntap_core::batch::{Batch, Scan};
use conntap_core::model::names::{DCCP_STATES, SCTP_STATES, TCP_STATES, l4proto_number};
use conntap_core::model::{Counters, Expectation, Flow, Kind, ProtoInfo, Tuple};
use conntap_core::text::{ConntrackStyle, Environment, Formatter, LabelMap, SaveStyle, SaveWord, Style, XmlStyle};
use conntap_core::wire::Writer;
use conntap_core::wire::constants::*;

/// The bytes of stdout of every transcript, as lines, with the transcript's name.
fn lines() -> Vec<(String, String)> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/conntrack-cli");
    let mut found = Vec::new();
    for folder in [data.clone(), data.join("1.4.9")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|kind| kind != "txt") {
                continue;
            }
            let text = std::fs::read(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let head = b"\nstdout: ";
            let at = text.windows(head.len()).position(|part| part == head).unwrap() + head.len();
            let end = at + text[at..].iter().position(|byte| *byte == b'\n').unwrap();
            let length: usize = std::str::from_utf8(&text[at..end]).unwrap().parse().unwrap();
            let stdout = String::from_utf8(text[end + 1..end + 1 + length].to_vec()).unwrap();
            found.extend(stdout.lines().map(|line| (name.clone(), line.to_owned())));
        }
    }
    assert!(found.len() > 300, "transcripts are missing");
    found
}

/// Names the program that the transcript shows; the clock stands still; the zone is UTC, as in the transcripts.
struct Known {
    program: Option<String>,
}

impl Environment for Known {
    fn now_ns(&self) -> i64 {
        0
    }
    fn utc_offset_seconds(&self, _: i64) -> i32 {
        0
    }
    fn program(&mut self, _: u32) -> Option<String> {
        self.program.clone()
    }
    fn host_name(&mut self, _: IpAddr) -> Option<String> {
        None
    }
    fn service_name(&mut self, _: u16, _: u8) -> Option<String> {
        None
    }
}

/// What a line is made from.
#[derive(Default)]
struct Source {
    kind: Option<Kind>,
    port: u32,
    program: Option<String>,
    received_ns: i64,
    style: ConntrackStyle,
}

fn kind_of(word: &str, expectation: bool) -> Kind {
    match (word.trim_matches(['[', ']']), expectation) {
        ("NEW", false) => Kind::New,
        ("UPDATE", false) => Kind::Update,
        ("DESTROY", false) => Kind::Destroy,
        ("NEW", true) => Kind::ExpNew,
        ("UPDATE", true) => Kind::ExpUpdate,
        ("DESTROY", true) => Kind::ExpDestroy,
        _ => panic!("{word}"),
    }
}

fn written(
    kind: Kind,
    flow: &Flow<'_>,
    expectation: Option<&Expectation<'_>>,
    source: &Source,
    style: Style,
) -> String {
    let (message, flags) = match kind {
        Kind::Entry => (CT_NEW, NLM_F_MULTI),
        Kind::New => (CT_NEW, NLM_F_CREATE),
        Kind::Update => (CT_NEW, 0),
        Kind::Destroy => (CT_DELETE, 0),
        Kind::ExpEntry => (EXP_NEW, NLM_F_MULTI),
        Kind::ExpNew => (EXP_NEW, NLM_F_CREATE),
        Kind::ExpUpdate => (EXP_NEW, 0),
        Kind::ExpDestroy => (EXP_DELETE, 0),
        _ => unreachable!(),
    };
    let family = expectation.map_or(flow.family, |expectation| expectation.family);
    let mut writer = Writer::new(message, flags, 0, source.port, family, 0, 0);
    match expectation {
        Some(expectation) => expectation.write(&mut writer),
        None => flow.write(&mut writer),
    }
    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    batch.append(&writer.finish(), source.received_ns, &mut |_, _, _| true, &mut scan);
    assert_eq!(scan.kept, 1);
    let mut out = Vec::new();
    Formatter::new(style).format(&batch, &mut Known { program: source.program.clone() }, &mut out);
    String::from_utf8(out).unwrap()
}

fn family(address: &str) -> u8 {
    if address.contains(':') { AF_INET6 } else { AF_INET }
}

/// Take off `[SECONDS.MICROSECONDS]`, the event's name and the tail.
fn envelope(line: &str, expectation: bool) -> (Source, Vec<String>) {
    let mut source = Source::default();
    let mut rest = line;
    if let Some((stamp, after)) = line.split_once('\t') {
        let (seconds, micros) = stamp.trim_matches(['[', ']']).split_once('.').unwrap();
        let micros: i64 = micros.trim_end().parse().unwrap();
        source.received_ns = seconds.parse::<i64>().unwrap() * 1_000_000_000 + micros * 1_000;
        source.style.timestamp = true;
        rest = after;
    }
    if let Some((body, tail)) = rest.split_once(" [USERSPACE] portid=") {
        let (port, program) = tail.split_once(" progname=").map_or((tail, None), |(port, name)| (port, Some(name)));
        source.port = port.parse().unwrap();
        source.program = program.map(str::to_owned);
        rest = body;
    }
    let mut words: Vec<String> = Vec::new();
    for word in rest.split(' ').filter(|word| !word.is_empty()) {
        // `[start=Mon Nov 23 …]` holds blanks
        match words.last_mut() {
            Some(last) if last.starts_with("[st") && !last.ends_with(']') => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    if matches!(words[0].as_str(), "[NEW]" | "[UPDATE]" | "[DESTROY]") {
        source.kind = Some(kind_of(&words.remove(0), expectation));
    }
    (source, words)
}

fn tuple_field(tuple: &mut Tuple, name: &str, value: &str) {
    let hex = |value: &str| u16::from_str_radix(value.trim_start_matches("0x"), 16).unwrap();
    match name {
        "src" => tuple.src = Some(value.parse().unwrap()),
        "dst" => tuple.dst = Some(value.parse().unwrap()),
        "sport" => tuple.sport = Some(value.parse().unwrap()),
        "dport" => tuple.dport = Some(value.parse().unwrap()),
        "srckey" => tuple.sport = Some(hex(value)),
        "dstkey" => tuple.dport = Some(hex(value)),
        "type" => tuple.icmp_type = Some(value.parse().unwrap()),
        "code" => tuple.icmp_code = Some(value.parse().unwrap()),
        "id" => tuple.icmp_id = Some(value.parse().unwrap()),
        "zone-orig" | "zone-reply" => tuple.zone = Some(value.parse().unwrap()),
        _ => panic!("{name}"),
    }
}

/// Seconds since the epoch of `Mon Nov 23 22:47:11 2026`; the transcripts are all of that day.
fn nov_23(text: &str) -> u64 {
    let clock: Vec<u64> = text.split(' ').nth(3).unwrap().split(':').map(|part| part.parse().unwrap()).collect();
    assert!(text.starts_with("Mon Nov 23 ") && text.ends_with(" 2026"));
    1_795_392_000 + clock[0] * 3600 + clock[1] * 60 + clock[2]
}

/// A text line → what writes it again.
fn reread(line: &str) -> String {
    let (mut source, mut words) = envelope(line, false);
    let mut flow = Flow::default();
    let mut status = IPS_SEEN_REPLY;
    let mut labels = [0u8; 16];
    if matches!(words[0].as_str(), "ipv4" | "ipv6") {
        source.style.extended = true;
        words.drain(..2);
    }
    let l4: u8 = words[1].parse().unwrap();
    if words[0] != "unknown" {
        assert_eq!(l4proto_number(&words[0]), Some(l4));
    }
    words.drain(..2);
    flow.orig.l4proto = Some(l4);
    flow.reply.l4proto = Some(l4);
    let mut helper = None;
    let (mut side, mut tuples, mut counts) = (0, [flow.orig, flow.reply], [Counters::default(); 2]);
    for word in &words {
        let Some((name, value)) = word.split_once('=') else {
            match word.as_str() {
                "[UNREPLIED]" => status &= !IPS_SEEN_REPLY,
                "[ASSURED]" => status |= IPS_ASSURED,
                number if number.parse::<u32>().is_ok() => flow.timeout = number.parse().ok(),
                state => {
                    let at = |names: &[&str]| names.iter().position(|name| *name == state).map(|at| at as u8);
                    flow.protoinfo = Some(match l4 {
                        IPPROTO_TCP => ProtoInfo::Tcp {
                            state: Some(at(&TCP_STATES).unwrap()),
                            wscale_orig: None,
                            wscale_reply: None,
                            flags_orig: None,
                            flags_reply: None,
                        },
                        IPPROTO_SCTP => ProtoInfo::Sctp {
                            state: Some(at(&SCTP_STATES).unwrap()),
                            vtag_orig: None,
                            vtag_reply: None,
                        },
                        _ => {
                            ProtoInfo::Dccp { state: Some(at(&DCCP_STATES).unwrap()), role: None, handshake_seq: None }
                        }
                    });
                }
            }
            continue;
        };
        let icmp = matches!(l4, IPPROTO_ICMP | IPPROTO_ICMPV6);
        match name {
            "src" if tuples[0].src.is_some() => {
                side = 1;
                tuple_field(&mut tuples[1], name, value);
            }
            "id" if !icmp || tuples[1].icmp_id.is_some() => {
                flow.id = value.parse().ok();
                source.style.id = true;
            }
            "src" | "dst" | "sport" | "dport" | "srckey" | "dstkey" | "type" | "code" | "id" | "zone-orig"
            | "zone-reply" => tuple_field(&mut tuples[side], name, value),
            "packets" => counts[side].packets = value.parse().ok(),
            "bytes" => counts[side].bytes = value.parse().ok(),
            "mark" => flow.mark = value.parse().ok(),
            "secmark" => flow.secmark = value.parse().ok(),
            "zone" => flow.zone = value.parse().ok(),
            "use" => flow.use_count = value.parse().ok(),
            "helper" => helper = Some(value.to_owned()),
            "delta-time" => {
                // Any start does, as long as the difference is right.
                let delta: u64 = value.parse().unwrap();
                let now = u64::try_from(source.received_ns / 1_000_000_000).unwrap().max(1_795_400_000);
                source.received_ns = i64::try_from(now * 1_000_000_000).unwrap();
                flow.start_ns = Some((now - delta) * 1_000_000_000);
            }
            "[start" => {
                source.style.ktimestamp = true;
                let delta = source.received_ns as u64 - flow.start_ns.unwrap();
                let start = nov_23(value.trim_end_matches(']')) * 1_000_000_000;
                flow.start_ns = Some(start);
                source.received_ns = (start + delta) as i64;
            }
            "[stop" => flow.stop_ns = Some(nov_23(value.trim_end_matches(']')) * 1_000_000_000),
            "labels" => {
                for name in value.split(',') {
                    let bit = usize::from(map().number(name.as_bytes()).unwrap());
                    labels[bit / 8] |= 1 << (bit % 8);
                }
                source.style.labels = Some(map());
            }
            _ => panic!("{name}: {line}"),
        }
    }
    [flow.orig, flow.reply] = tuples;
    flow.counters_orig = Some(counts[0]).filter(|counters| counters.packets.is_some());
    flow.counters_reply = Some(counts[1]).filter(|counters| counters.packets.is_some());
    flow.status = Some(status);
    flow.labels = Some(&labels).filter(|_| source.style.labels.is_some()).map(|labels| &labels[..]);
    let helper_text = helper;
    flow.helper = helper_text.as_deref().map(str::as_bytes);
    let v6 = matches!(flow.orig.src, Some(IpAddr::V6(_)));
    flow.family = if v6 { AF_INET6 } else { AF_INET };
    let style = Style::Conntrack(source.style.clone());
    written(source.kind.unwrap_or(Kind::Entry), &flow, None, &source, style)
}

fn map() -> LabelMap {
    LabelMap::parse(b"1 red\n2 green\n3 blue\n")
}

fn is_flow_line(line: &str) -> bool {
    let line = line.split('\t').next_back().unwrap().trim_start();
    let line = ["[NEW] ", "[UPDATE] ", "[DESTROY] "].iter().fold(line, |line, word| line.trim_start_matches(word));
    let mut words = line.split_whitespace();
    let (first, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    second.parse::<u8>().is_ok()
        && (first == "unknown" || first == "ipv4" || first == "ipv6" || l4proto_number(first).is_some())
        && line.contains(" src=")
}

#[test]
fn text_lines_are_written_again_byte_for_byte() {
    let mut seen = BTreeMap::<&str, usize>::new();
    for (name, line) in lines() {
        if is_flow_line(&line) {
            assert_eq!(reread(&line), line.clone() + "\n", "{name}");
            for field in
                ["[NEW]", "ipv6 ", "zone-orig", "zone=", "helper=", "labels=", "[stop=", "packets=", "progname"]
            {
                *seen.entry(field).or_default() += usize::from(line.contains(field));
            }
            *seen.entry("line").or_default() += 1;
        }
    }
    assert!(seen["line"] > 250, "{seen:?}");
    assert!(seen.values().all(|count| *count > 0), "{seen:?}");
}

/// An expectation's line → what writes it again.
fn reread_expectation(line: &str) -> String {
    let (source, words) = envelope(line, true);
    let mut expectation = Expectation::default();
    expectation.timeout = words[0].parse().ok();
    let (mut tuples, mut at, mut helper) = ([Tuple::default(); 3], 0, None);
    for word in &words[1..] {
        let (name, value) = word.split_once('=').unwrap();
        match name {
            "proto" => tuples.iter_mut().for_each(|tuple| tuple.l4proto = value.parse().ok()),
            "class" => expectation.class = value.parse().ok(),
            "helper" => helper = Some(value.to_owned()),
            _ => {
                let (table, name) = name.split_once('-').unwrap_or(("", name));
                at = match table {
                    "mask" => 1,
                    "master" => 2,
                    _ => at,
                };
                tuple_field(&mut tuples[at], name, value);
                if name == "sport" && tuples[at].l4proto == Some(19) {
                    tuples[at].l4proto = Some(IPPROTO_TCP); // 1.4.7 asked for a wrong protocol; the master's is TCP
                }
            }
        }
    }
    [expectation.tuple, expectation.mask, expectation.master] = tuples;
    expectation.family = AF_INET;
    expectation.helper = helper.as_deref().map(str::as_bytes);
    let style = Style::Conntrack(source.style.clone());
    written(source.kind.unwrap_or(Kind::ExpEntry), &Flow::default(), Some(&expectation), &source, style)
}

#[test]
fn expectation_lines_are_written_again_byte_for_byte() {
    let mut count = 0;
    for (name, line) in lines().iter().filter(|(_, line)| line.contains(" master-src=")) {
        assert_eq!(reread_expectation(line), line.clone() + "\n", "{name}");
        count += 1;
    }
    assert!(count > 15, "{count}");
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inside, _)| inside)
}

fn tag<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    between(text, &format!("<{name}>"), &format!("</{name}>"))
}

fn xml_tuple(text: &str) -> (Tuple, Option<Counters>) {
    let mut tuple = Tuple::default();
    for name in ["src", "dst", "sport", "dport", "srckey", "dstkey"] {
        if let Some(value) = tag(text, name) {
            tuple_field(&mut tuple, name, value);
        }
    }
    tuple.zone = tag(text, "zone").map(|zone| zone.parse().unwrap());
    tuple.l4proto = between(text, "<layer4 protonum=\"", "\"").map(|number| number.parse().unwrap());
    let counters = tag(text, "counters").map(|text| Counters {
        packets: tag(text, "packets").and_then(|number| number.parse().ok()),
        bytes: tag(text, "bytes").and_then(|number| number.parse().ok()),
    });
    (tuple, counters)
}

/// A `<flow>` of either table → what writes it again.
fn reread_xml(line: &str) -> String {
    let mut source = Source::default();
    // The tail of 1.4.7 is not written any more.
    let expectation = line.contains("<expected>");
    let kind = between(line, "<flow type=\"", "\"").map(|name| kind_of(&name.to_uppercase(), expectation));
    let mut style = XmlStyle { root: false, ..XmlStyle::default() };
    if let Some(when) = tag(line, "when") {
        style.timestamp = true;
        let part = |name| tag(when, name).unwrap().parse::<i64>().unwrap();
        assert_eq!((part("day"), part("month"), part("year")), (23, 11, 2026));
        source.received_ns = (1_795_392_000 + part("hour") * 3600 + part("min") * 60 + part("sec")) * 1_000_000_000;
    }
    let number = |name: &str| tag(line, name).map(|number| number.parse::<u32>().unwrap());
    if expectation {
        let mut tuples = [Tuple::default(); 3];
        for (tuple, name) in tuples.iter_mut().zip(["expected", "mask", "master"]) {
            let parts: String = line
                .split(&format!("<{name}>"))
                .skip(1)
                .map(|part| part.split_once(&format!("</{name}>")).unwrap().0)
                .collect();
            tuple.clone_from(&xml_tuple(&parts).0);
            tuple.l4proto = between(line, "<layer4 protonum=\"", "\"").map(|number| number.parse().unwrap());
        }
        let helper = tag(line, "helper-name").map(str::as_bytes);
        let mut made = Expectation::default();
        made.family = AF_INET;
        [made.tuple, made.mask, made.master] = tuples;
        made.timeout = number("timeout");
        made.class = number("class");
        made.helper = helper;
        return written(kind.unwrap_or(Kind::ExpEntry), &Flow::default(), Some(&made), &source, Style::Xml(style));
    }
    let mut flow = Flow::default();
    (flow.orig, flow.counters_orig) = xml_tuple(between(line, "<meta direction=\"original\">", "</meta>").unwrap());
    (flow.reply, flow.counters_reply) = xml_tuple(between(line, "<meta direction=\"reply\">", "</meta>").unwrap());
    let rest = between(line, "<meta direction=\"independent\">", "</meta>").unwrap();
    flow.family = between(line, "<layer3 protonum=\"", "\"").unwrap().parse().unwrap();
    flow.protoinfo = tag(rest, "state").map(|state| {
        let state = TCP_STATES.iter().position(|name| *name == state).map(|at| at as u8);
        match flow.orig.l4proto {
            Some(IPPROTO_SCTP) => ProtoInfo::Sctp { state, vtag_orig: None, vtag_reply: None },
            _ => ProtoInfo::Tcp { state, wscale_orig: None, wscale_reply: None, flags_orig: None, flags_reply: None },
        }
    });
    flow.zone = tag(rest, "zone").map(|zone| zone.parse().unwrap());
    (flow.timeout, flow.mark, flow.use_count, flow.id) =
        (number("timeout"), number("mark"), number("use"), number("id"));
    flow.status = Some(0);
    if !rest.contains("<unreplied/>") {
        flow.status = Some(IPS_SEEN_REPLY);
    }
    if rest.contains("<assured/>") {
        flow.status = flow.status.map(|status| status | IPS_ASSURED);
    }
    if let Some(delta) = tag(rest, "deltatime") {
        let start: u64 = tag(rest, "start").map_or(1_795_400_000_000_000_000, |start| start.parse().unwrap());
        style.ktimestamp = rest.contains("<start>");
        flow.start_ns = Some(start);
        flow.stop_ns = tag(rest, "stop").map(|stop| stop.parse().unwrap());
        source.received_ns = (start + delta.parse::<u64>().unwrap() * 1_000_000_000) as i64;
    }
    let mut labels = [0u8; 16];
    for name in rest.split("<label>").skip(1).map(|part| part.split('<').next().unwrap()) {
        let bit = usize::from(map().number(name.as_bytes()).unwrap());
        labels[bit / 8] |= 1 << (bit % 8);
        style.labels = Some(map());
    }
    flow.labels = style.labels.is_some().then_some(&labels[..]);
    flow.helper = tag(line, "helper").map(str::as_bytes);
    written(kind.unwrap_or(Kind::Entry), &flow, None, &source, Style::Xml(style))
}

#[test]
fn xml_lines_are_written_again_byte_for_byte() {
    let mut count = 0;
    for (name, line) in lines().iter().filter(|(_, line)| line.starts_with("<flow")) {
        let line = line.split(" [USERSPACE]").next().unwrap();
        assert_eq!(reread_xml(line), format!("{line}\n"), "{name}");
        count += 1;
    }
    assert!(count > 50, "{count}");
}

/// A saved line → what writes it again. NAT shows as `-n` and `-g`.
fn reread_save(line: &str) -> String {
    let (source, words) = envelope(line, false);
    let kinds = match words[0].as_str() {
        "-A" => (SaveWord::Add, Kind::New),
        "-U" => (SaveWord::Update, Kind::Update),
        "-D" => (SaveWord::Delete, Kind::Destroy),
        other => panic!("{other}"),
    };
    let mut flow = Flow::default();
    flow.family = family(between(line, " -s ", " ").unwrap());
    let (mut state, mut vtags) = (None, (None, None));
    for pair in words[1..].chunks(2) {
        let value = pair[1].as_str();
        match pair[0].as_str() {
            "-t" => flow.timeout = value.parse().ok(),
            "-u" => {
                let bit = |word: &str| match word {
                    "UNSET" => 0,
                    "EXPECTED" => IPS_EXPECTED,
                    "SEEN_REPLY" => IPS_SEEN_REPLY,
                    "ASSURED" => IPS_ASSURED,
                    "FIXED_TIMEOUT" => IPS_FIXED_TIMEOUT,
                    _ => panic!("{word}"),
                };
                flow.status = Some(value.split(',').fold(0, |status, word| status | bit(word)));
            }
            "-w" => flow.zone = value.parse().ok(),
            "--orig-zone" => flow.orig.zone = value.parse().ok(),
            "--reply-zone" => flow.reply.zone = value.parse().ok(),
            "-s" => flow.orig.src = value.parse().ok(),
            "-d" => flow.orig.dst = value.parse().ok(),
            "-r" => flow.reply.src = value.parse().ok(),
            "-q" => flow.reply.dst = value.parse().ok(),
            "-g" => {
                flow.reply.src = value.parse().ok();
                flow.status = flow.status.map(|status| status | IPS_DST_NAT_DONE);
            }
            "-n" => {
                flow.reply.dst = value.parse().ok();
                flow.status = flow.status.map(|status| status | IPS_SRC_NAT_DONE);
            }
            "-p" => {
                let number = value.parse().ok().or_else(|| l4proto_number(value));
                (flow.orig.l4proto, flow.reply.l4proto) = (number, number);
            }
            "--sport" | "--srckey" => flow.orig.sport = value.parse().ok(),
            "--dport" | "--dstkey" => flow.orig.dport = value.parse().ok(),
            "--reply-port-src" | "--reply-key-src" => flow.reply.sport = value.parse().ok(),
            "--reply-port-dst" | "--reply-key-dst" => flow.reply.dport = value.parse().ok(),
            "--icmp-type" | "--icmpv6-type" => flow.orig.icmp_type = value.parse().ok(),
            "--icmp-code" | "--icmpv6-code" => flow.orig.icmp_code = value.parse().ok(),
            "--icmp-id" | "--icmpv6-id" => flow.orig.icmp_id = value.parse().ok(),
            "--state" => state = Some(value),
            "--orig-vtag" => vtags.0 = value.parse().ok().map(u32::from_be),
            "--reply-vtag" => vtags.1 = value.parse().ok().map(u32::from_be),
            other => panic!("{other}"),
        }
    }
    let at = |names: &[&str], state: &str| names.iter().position(|name| *name == state).map(|at| at as u8);
    flow.protoinfo = match (state, flow.orig.l4proto) {
        (Some(state), Some(IPPROTO_SCTP)) => {
            Some(ProtoInfo::Sctp { state: at(&SCTP_STATES, state), vtag_orig: vtags.0, vtag_reply: vtags.1 })
        }
        (Some(state), _) => Some(ProtoInfo::Tcp {
            state: at(&TCP_STATES, state),
            wscale_orig: None,
            wscale_reply: None,
            flags_orig: None,
            flags_reply: None,
        }),
        _ => None,
    };
    // An event says by itself what it is; an entry is what the caller says. Both must give the line.
    let entry = Style::Save(SaveStyle { entry: kinds.0, userspace: true });
    let event = written(kinds.1, &flow, None, &source, Style::Save(SaveStyle::default()));
    if source.port == 0 {
        assert_eq!(written(Kind::Entry, &flow, None, &source, entry), event);
    }
    event
}

#[test]
fn saved_lines_are_written_again_byte_for_byte() {
    let mut count = 0;
    for (name, line) in lines() {
        if ["-A -t ", "-U -t ", "-D -t "].iter().any(|start| line.starts_with(start)) {
            assert_eq!(reread_save(&line), format!("{line}\n"), "{name}");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}
