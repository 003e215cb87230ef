//! An engine under watch: every packet's outcome and every event is held against what came before.

use std::collections::BTreeSet;

use conntap_core::batch::{Batch, Scan};
use conntap_core::engine::expect::{ExpectNat, Function, Wanted};
use conntap_core::engine::helper::{Assignment, Handle, Helper, Policy, Stage};
use conntap_core::engine::nat::{Manip, Range, Rule};
use conntap_core::engine::{Counters, Direction, Engine, Input, Key, Outcome, Reason, Settings, State, Step};
use conntap_core::filter::{Filter, NoNames};
use conntap_core::model::{Content, Kind};
use conntap_core::packet::{Checksum, Packet, PacketError, decode, decode_ip, decode_rebuilt, verify_l4};
use conntap_core::wire::constants::*;

use super::forge::{PORTS, Script, address, port};

/// An engine, and what it has said so far.
#[derive(Debug)]
pub struct Gateway {
    pub engine: Engine,
    /// The time of the next packet.
    pub now_ns: i64,
    pub zone: u16,
    pub interfaces: (u32, u32),
    /// Checksums are not looked at.
    pub verified: bool,
    forwards: bool,
    /// The script has changed sequence numbers, or a packet at a stage that must not.
    spoiled: bool,
    handles: Vec<Handle>,
    tally: Counters,
    flows: BTreeSet<u32>,
    expectations: BTreeSet<u32>,
    last_flow: u32,
    destroyed: u64,
    removed: u64,
    scratch: Batch,
}

impl Gateway {
    /// An engine as four bytes choose it: sizes, switches, NAT, helpers.
    pub fn new(script: &mut Script<'_>) -> Self {
        let [sizes, switches, nat, helpers] = [script.u8(), script.u8(), script.u8(), script.u8()];
        let on = |bits: u8, bit: u8| bits & (1 << bit) != 0;
        let settings = Settings {
            max_entries: 4 + u32::from(sizes & 31),
            expect_max: 1 + 3 * u32::from(sizes >> 5),
            acct: on(switches, 2),
            timestamp: on(switches, 3),
            checksum: !on(switches, 4),
            tcp_loose: !on(switches, 5),
            tcp_be_liberal: on(switches, 6),
            tcp_ignore_invalid_rst: on(switches, 7),
            ..Settings::default()
        };
        let mut engine = Engine::new(settings, [u64::from(sizes), u64::from(switches)]);
        if on(switches, 0) {
            engine.ask_rules();
        }
        if on(switches, 1) {
            engine.forward_packets();
        }
        add_rules(&mut engine, nat);
        add_helpers(&mut engine, helpers);
        Self {
            forwards: on(switches, 1) || nat != 0,
            engine,
            now_ns: 1_700_000_000_000_000_000,
            zone: 0,
            interfaces: (1, 2),
            verified: false,
            spoiled: false,
            handles: Vec::new(),
            tally: Counters::default(),
            flows: BTreeSet::new(),
            expectations: BTreeSet::new(),
            last_flow: 0,
            destroyed: 0,
            removed: 0,
            scratch: Batch::default(),
        }
    }

    /// Packets handed in so far.
    pub fn packets(&self) -> u64 {
        self.tally.packets
    }

    /// Let a frame pass, of which `bytes` were captured; where the engine asks, `script` answers.
    pub fn frame(&mut self, linktype: u16, bytes: &[u8], original_len: u32, script: &mut Script<'_>) {
        self.tally.packets += 1;
        match decode(linktype, bytes, original_len) {
            Ok(packet) => self.packet(&packet, script),
            Err(error) => self.refused(error),
        }
        self.hear();
    }

    fn refused(&mut self, error: PacketError) {
        let outcome = self.engine.refused(error);
        assert!(outcome.dropped && outcome.flow.is_none());
        self.tally.refused[error.counter()] += 1;
    }

    fn packet(&mut self, packet: &Packet<'_>, script: &mut Script<'_>) {
        let (came_by, goes_by) = self.interfaces;
        let (zone, verified) = (self.zone, self.verified);
        let input = Input { zone, came_by, goes_by, verified, ..Input::new(self.now_ns, packet) };
        let before = self.engine.now_ns();
        let mut step = self.engine.packet(&input);
        assert!(self.engine.now_ns() >= before, "the clock never goes back");
        let mut asked = 0;
        let outcome = loop {
            match step {
                Step::Done(outcome) => break outcome,
                Step::Ask => {
                    asked += 1;
                    assert!(asked <= 2, "rules, then the helper, and no one else");
                    let accept = self.answer(script);
                    step = self.engine.resume(accept).expect("a packet waits");
                }
            }
        };
        assert!(self.engine.call().is_none() && self.engine.resume(true).is_none());
        if let (Some((id, _)), Some(flow)) = (outcome.flow, self.engine.last_flow()) {
            assert_eq!(flow.id, id);
        }
        self.count(&outcome);
        self.look_at_forwarded(packet, &outcome);
    }

    /// What the counters are to say of this outcome.
    fn count(&mut self, outcome: &Outcome) {
        assert!(!outcome.reason.to_string().is_empty() && !outcome.reason.name().is_empty());
        let counter = match outcome.reason {
            Reason::TableFull => &mut self.tally.table_full,
            Reason::TupleTaken => &mut self.tally.insert_failed,
            Reason::HelperDropped => &mut self.tally.helper_dropped,
            Reason::RuleDropped => &mut self.tally.rule_dropped,
            Reason::WaitingForFragments => &mut self.tally.fragments_queued,
            Reason::Fragment(_) => &mut self.tally.fragments_dropped,
            Reason::Ip(error) => &mut self.tally.refused[error.counter()],
            Reason::NeighbourDiscovery => &mut self.tally.untracked,
            _ if outcome.state == State::Invalid => &mut self.tally.invalid,
            _ => return,
        };
        *counter += 1;
    }

    /// What leaves the gateway is a packet, and right where it came in right; or the fragments of one.
    fn look_at_forwarded(&self, packet: &Packet<'_>, outcome: &Outcome) {
        let sent: Vec<_> = self.engine.forwarded().collect();
        if !self.forwards || outcome.dropped {
            assert!(self.forwards || sent.is_empty());
            return;
        }
        if packet.needs_reassembly() && outcome.state != State::Unseen {
            assert!(sent.iter().all(|bytes| decode_rebuilt(bytes).is_ok()), "{outcome:?} sends {sent:02x?}");
            return;
        }
        let bytes: &[u8] = sent.first().map_or(&[], |bytes| bytes);
        assert_eq!(sent.len(), 1, "{outcome:?} sends {sent:02x?}");
        let as_it_came = !self.spoiled;
        let sent = if as_it_came { decode_ip(bytes, packet.total_len) } else { decode_rebuilt(bytes) };
        let sent = sent.unwrap_or_else(|error| panic!("{outcome:?} sends {bytes:02x?}: {error}"));
        if !as_it_came {
            return;
        }
        assert_eq!((sent.family, sent.l4proto, sent.total_len), (packet.family, packet.l4proto, packet.total_len));
        if verify_l4(packet) == Checksum::Good {
            assert_ne!(verify_l4(&sent), Checksum::Bad, "{outcome:?} sends {bytes:02x?} for {:02x?}", packet.ip);
        }
    }

    /// Take the events, and hold them against those before.
    fn hear(&mut self) {
        let events = self.engine.take_events();
        for row in events.rows() {
            let mut scan = Scan::default();
            self.scratch.clear();
            self.scratch.append(events.row_bytes(row), row.received_ns, &mut |_, _, _| true, &mut scan);
            assert_eq!((scan.kept, scan.malformed_total()), (1, 0), "{:02x?}", events.row_bytes(row));
        }
        for (row, message, content) in events.iter() {
            assert_eq!(Kind::of(&message), Some(row.kind));
            let id = match &content {
                Content::Flow(flow) => flow.id.expect("every flow has an id"),
                Content::Expectation(expectation) => expectation.id.expect("every expectation has an id"),
                Content::Gap(_) => panic!("the engine loses nothing"),
            };
            self.event(row.kind, id);
        }
        assert_eq!(events.iter().count(), events.len());
        self.engine.give_memory(events);
    }

    fn event(&mut self, kind: Kind, id: u32) {
        match kind {
            Kind::New => {
                assert!(id > self.last_flow, "flow {id} is new, and {} came before", self.last_flow);
                self.last_flow = id;
                self.flows.insert(id);
                self.tally.flows += 1;
            }
            Kind::Update => assert!(self.flows.contains(&id), "flow {id} changes, and is not there"),
            Kind::Destroy => {
                assert!(self.flows.remove(&id), "flow {id} ends, and is not there");
                self.destroyed += 1;
            }
            Kind::ExpNew => {
                assert!(self.expectations.insert(id), "expectation {id} comes twice");
                self.tally.expectations += 1;
            }
            Kind::ExpDestroy => {
                assert!(self.expectations.remove(&id), "expectation {id} ends, and is not there");
                self.removed += 1;
            }
            _ => panic!("no such event"),
        }
    }

    /// Tables, counters and events say the same.
    pub fn check(&self) {
        let engine = &self.engine;
        assert_eq!(engine.check(), Ok(()));
        assert_eq!((engine.flow_count(), engine.expectation_count()), (self.flows.len(), self.expectations.len()));
        assert!(engine.flow_count() <= engine.settings().max_entries as usize);
        assert!(engine.expectation_count() <= engine.settings().expect_max as usize);
        let told = engine.counters();
        assert_eq!(told.flows - self.destroyed, self.flows.len() as u64);
        assert_eq!(told.expectations - self.removed, self.expectations.len() as u64);
        // Not seen from outside: how time went, what was cut, who gave way, what was refused.
        let Counters { time_backwards, time_ahead, cut, early_dropped, expectations_refused, .. } = *told;
        let tally = Counters { time_backwards, time_ahead, cut, early_dropped, expectations_refused, ..self.tally };
        assert_eq!(*told, tally);
    }

    /// Dumps decode, and are as long as the tables.
    pub fn dump(&mut self) {
        for (batch, len) in
            [(self.engine.flows(), self.flows.len()), (self.engine.expectations(), self.expectations.len())]
        {
            assert_eq!((batch.len(), batch.iter().count()), (len, len));
        }
    }

    /// Without a packet, time goes on.
    pub fn turn_clock(&mut self) {
        self.engine.turn_clock(self.now_ns);
        self.hear();
    }

    /// Everything ends: by time or at once.
    pub fn end(&mut self, at_once: bool) {
        if at_once {
            self.engine.flush();
        } else {
            self.engine.drain();
        }
        self.hear();
        self.check();
        assert_eq!((self.engine.flow_count(), self.engine.expectation_count()), (0, 0));
    }

    /// Answer for rules or helper, as the script says; false: drop.
    fn answer(&mut self, script: &mut Script<'_>) -> bool {
        let call = self.engine.call().expect("a packet waits");
        let (stage, len) = (call.stage, call.payload().len());
        let actions = script.u8();
        for _ in 0..actions & 3 {
            self.act(stage, len, script);
        }
        actions >> 4 != 15
    }

    fn act(&mut self, stage: Stage, len: usize, script: &mut Script<'_>) {
        let action = script.u8();
        let of_old = || usize::from(action >> 4);
        match action & 15 {
            0..=3 => {
                let wanted = self.wanted(script);
                if let Ok(handle) = self.engine.expect(&wanted) {
                    self.handles.push(handle);
                }
            }
            4 => {
                let (start, length, by) = (script.u8(), script.u8(), script.u8());
                let start = if start > 250 { len } else { usize::from(start) };
                self.spoiled |=
                    self.engine.mangle(start, usize::from(length), &vec![b'x'; usize::from(by)], action & 16 != 0);
            }
            5 => self.engine.refresh_call(seconds(script.u8())),
            6 => {
                let key = self.key(script);
                let _ = self.engine.kill(&key);
            }
            7 => {
                let keys = [self.key(script), self.key(script)].map(|key| Key { l4proto: IPPROTO_GRE, ..key });
                let _ = self.engine.map_gre(keys);
            }
            8 => self.engine.unmap_gre(),
            9 => {
                self.engine.adjust_sequence(i32::from(script.u8().cast_signed()));
                self.spoiled = true;
            }
            10 if stage == Stage::Helper => {
                self.engine.set_dport(script.u16());
                self.spoiled = true;
            }
            11 => self.engine.set_mark(u32::from(script.u8())),
            12 => {
                if let Some(handle) = self.handles.iter().rev().nth(of_old()).copied() {
                    let _ = self.engine.remove_expectation(&handle);
                }
            }
            13 => {
                if let Some(handle) = self.handles.iter().rev().nth(of_old()).copied() {
                    let _ = self.engine.refresh_expectation(&handle, seconds(script.u8()), action & 16 != 0);
                }
            }
            14 => {
                if let Some(handle) = self.engine.own_expectations().get(of_old() & 3) {
                    assert!(handle.mine && self.engine.remove_expectation(handle));
                }
            }
            _ => {
                let key = self.key(script);
                if let Some(handle) = self.engine.find_expectation(&key) {
                    assert!(self.engine.remove_expectation(&handle));
                }
            }
        }
    }

    /// A tuple: one of the flow at hand, or any.
    fn key(&self, script: &mut Script<'_>) -> Key {
        let choice = script.u8();
        let flow = self.engine.call_flow();
        let own = flow.map(|flow| flow.tuple(if choice & 8 == 0 { Direction::Original } else { Direction::Reply }));
        let own = own.unwrap_or_default();
        if choice & 7 < 3 {
            return own;
        }
        let (hosts, ports) = (script.u8(), script.u8());
        let v6 = own.family == AF_INET6;
        Key {
            src: if choice & 16 == 0 { own.src } else { address(v6, hosts & 15) },
            dst: if choice & 32 == 0 { own.dst } else { address(v6, hosts >> 4) },
            sport: port(ports & 15),
            dport: port(ports >> 4),
            l4proto: [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_GRE, own.l4proto][usize::from(choice >> 6)],
            ..own
        }
    }

    fn wanted(&self, script: &mut Script<'_>) -> Wanted {
        let (key, how, more) = (self.key(script), script.u8(), script.u8());
        let on = |bits: u8, bit: u8| bits & (1 << bit) != 0;
        let width = if key.family == AF_INET { 4 } else { 16 };
        let mut src_mask = [0; 16];
        let exact = match how & 3 {
            0 => 0,
            1 => width - 1,
            _ => width,
        };
        src_mask[..exact].fill(0xff);
        let mut src = key.src;
        src[exact..].fill(0);
        let any_port = on(how, 2);
        let functions =
            [Function::FollowMaster, Function::Sip, Function::Q931, Function::CallForwarding, Function::Pptp];
        let nat = on(more, 0).then(|| ExpectNat {
            direction: if on(more, 1) { Direction::Reply } else { Direction::Original },
            saved_port: PORTS[usize::from(more >> 4)],
            saved_addr: on(more, 2).then_some(key.src),
            function: functions[usize::from(more >> 3) % 5],
        });
        Wanted {
            key: Key { src, sport: if any_port { 0 } else { key.sport }, ..key },
            src_mask,
            sport_mask: if any_port { 0 } else { u16::MAX },
            class: how >> 3 & 1,
            flags: u32::from(how >> 4 & 3),
            timeout: on(how, 6).then(|| seconds(script.u8())),
            helper: on(how, 7).then(|| u16::from(more >> 1 & 3)),
            nat,
            removes_inverse: on(more, 7),
            any_master: on(more, 6),
        }
    }
}

/// Seconds of many sizes.
fn seconds(byte: u8) -> u32 {
    [u32::from(byte >> 2), 30, 3600, u32::MAX][usize::from(byte & 3)]
}

fn add_rules(engine: &mut Engine, nat: u8) {
    let gateway = |v6| Some((address(v6, 8), address(v6, 8)));
    let mut add = |bit: u8, manip, v6: bool, filter: &str, range| {
        if nat & (1 << bit) != 0 {
            let filter = (!filter.is_empty()).then(|| Filter::parse(filter, &NoNames).expect("is a filter"));
            let family = if v6 { AF_INET6 } else { AF_INET };
            engine.add_nat_rule(Rule { manip, family, filter, interface: None, range });
        }
    };
    let plain = Range { addresses: gateway(false), ports: None, persistent: false };
    let inside = Some((address(false, 1), address(false, 1)));
    add(
        0,
        Manip::Destination,
        false,
        "proto tcp",
        Range { addresses: inside, ports: Some((21, 21)), persistent: false },
    );
    add(1, Manip::Source, false, "proto udp", Range { ports: Some((40_000, 40_002)), ..plain });
    add(2, Manip::Source, false, "", plain);
    add(3, Manip::Source, true, "", Range { addresses: gateway(true), ..plain });
    add(4, Manip::Destination, true, "", Range { addresses: Some((address(true, 0), address(true, 3))), ..plain });
    add(
        5,
        Manip::Source,
        false,
        "",
        Range { addresses: Some((address(false, 8), address(false, 9))), ports: None, persistent: true },
    );
    add(6, Manip::Source, false, "proto icmp", Range { addresses: None, ports: Some((1, 2)), persistent: false });
    add(7, Manip::Destination, false, "", Range { addresses: Some((address(false, 0), address(false, 3))), ..plain });
}

fn add_helpers(engine: &mut Engine, helpers: u8) {
    let policy = |max_expected, timeout| Policy { max_expected, timeout };
    for (name, policies) in
        [("few", vec![policy(1, 300)]), ("two", vec![policy(4, 30), policy(0, 0)]), ("none", vec![])]
    {
        engine.add_helper(Helper { name: name.into(), policies });
    }
    let ports = [(IPPROTO_TCP, 21), (IPPROTO_UDP, 5060), (IPPROTO_TCP, 1723), (IPPROTO_UDP, 69), (IPPROTO_TCP, 80)];
    for (at, (l4proto, dport)) in ports.into_iter().enumerate() {
        if helpers & (1 << at) != 0 {
            // One number more than there are helpers.
            engine.assign(Assignment { helper: u16::from(helpers >> 5 & 3), l4proto, dport, family: 0 });
        }
    }
}
