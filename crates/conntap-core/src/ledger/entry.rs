//! One open flow, as small as it can be.

use crate::batch::Row;
use crate::engine::key::Key;
use crate::model::record::{From, Record};
use crate::model::{Counters, Flow, Tuple};
use crate::wire::constants::*;

/// Beginnings by event or receive time may differ from the kernel's by this much.
const NEAR_NS: u64 = 100_000_000;

/// What few flows have.
#[derive(Clone, Debug, PartialEq)]
pub struct Rare {
    pub master: Option<Tuple>,
    pub helper: Option<Box<[u8]>>,
    pub labels: Option<Box<[u8]>>,
}

/// A flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub orig: Key,
    pub reply: Key,
    pub flow_id: u64,
    pub start_ns: i64,
    /// When it was last known alive.
    pub seen_ns: i64,
    /// Its end was not seen, and lies before this; 0 where it is open.
    pub missing_ns: i64,
    /// When its last record was made, or when it began.
    pub reported_ns: i64,
    /// Packets and bytes, original and reply, as last seen.
    pub totals: Option<[u64; 4]>,
    /// What its records told so far.
    pub prior: [u64; 4],
    pub record_no: u32,
    pub id: u32,
    pub mark: u32,
    pub status: u32,
    pub state: Option<u8>,
    pub start_from: From,
    /// The dump in which it was last seen.
    pub generation: u8,
    /// A zone holds for both directions.
    pub zoned: bool,
    /// Another flow has its tuple now.
    pub superseded: bool,
    /// An event of it came, so that its end will be told: not so of one from before the listener, which a dump found.
    pub reports: bool,
    pub rare: Option<Box<Rare>>,
}

impl Entry {
    /// What a message tells of its flow; None without both tuples.
    #[inline]
    pub fn of(row: &Row, flow: &Flow<'_>, generation: u8) -> Option<Self> {
        let zone = flow.zone.unwrap_or_default();
        let orig = key(&flow.orig, flow.family, zone)?;
        let reply = key(&flow.reply, flow.family, zone)?;
        let time = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        let (start_ns, start_from) = match (flow.start_ns, flow.event_ns, row.kind) {
            (Some(start), _, _) => (time(start), From::Kernel),
            (None, Some(event), crate::model::Kind::New) => (time(event), From::Event),
            (None, None, crate::model::Kind::New) => (row.received_ns, From::Received),
            _ => (row.received_ns, From::Seen),
        };
        // A message may have waited in the socket for long: what it tells was so when it was made.
        let seen_ns = match (row.kind, flow.event_ns) {
            (crate::model::Kind::New, _) => start_ns,
            (crate::model::Kind::Update, Some(event)) => time(event),
            // Out of a journal; it may have ended before its row was read.
            (crate::model::Kind::Binding | crate::model::Kind::Interim, _) => {
                start_ns.max(row.received_ns.saturating_sub(NEAR_NS.cast_signed()))
            }
            _ => row.received_ns,
        };
        let totals = both(flow.counters_orig, flow.counters_reply);
        let rare = (flow.master.is_some() || flow.helper.is_some() || flow.labels.is_some()).then(|| {
            Box::new(Rare {
                master: flow.master,
                helper: flow.helper.map(Box::from),
                labels: flow.labels.map(Box::from),
            })
        });
        Some(Self {
            orig,
            reply,
            flow_id: 0,
            start_ns,
            seen_ns,
            missing_ns: 0,
            reported_ns: start_ns,
            totals,
            prior: [0; 4],
            record_no: 0,
            id: flow.id.unwrap_or_default(),
            mark: flow.mark.unwrap_or_default(),
            status: flow.status.unwrap_or_default(),
            state: flow.protoinfo.as_ref().and_then(crate::model::ProtoInfo::state),
            start_from,
            generation,
            zoned: flow.zone.is_some(),
            superseded: false,
            reports: row.kind != crate::model::Kind::Entry,
            rare,
        })
    }

    /// Can both be the same flow? They have tuple, zone and id in common; beginnings tell them apart where known.
    #[inline]
    pub fn can_be(&self, other: &Self) -> bool {
        match (self.start_from, other.start_from) {
            (From::Kernel, From::Kernel) => self.start_ns == other.start_ns,
            (From::Event, From::Kernel) | (From::Kernel, From::Event) => {
                self.start_ns.abs_diff(other.start_ns) < NEAR_NS
            }
            _ => true,
        }
    }

    /// Is this, which a dump showed, the flow whose beginning is told now? Without the kernel's times it is one that was
    /// seen less than `grace_ns` before.
    pub fn began_with(&self, new: &Self, grace_ns: i64) -> bool {
        let near = match self.start_from {
            From::Kernel => NEAR_NS,
            From::Seen => grace_ns.unsigned_abs(),
            _ => return false,
        };
        match new.start_from {
            From::Kernel => self.start_from == From::Seen || self.start_ns == new.start_ns,
            From::Event => self.start_ns.abs_diff(new.start_ns) < near,
            // When it was received says little.
            _ => self.start_ns <= new.start_ns && self.start_ns.abs_diff(new.start_ns) < grace_ns.unsigned_abs(),
        }
    }

    /// Is an address or port translated?
    #[inline]
    pub fn is_translated(&self) -> bool {
        let same = self.orig.inverse().is_none_or(|plain| {
            (plain.src, plain.dst, plain.sport, plain.dport)
                == (self.reply.src, self.reply.dst, self.reply.sport, self.reply.dport)
        });
        !same
    }

    /// It is alive: take over what has changed.
    pub fn refresh(&mut self, row: &Row, flow: &Flow<'_>, generation: u8, dump_ns: i64) {
        self.generation = generation;
        self.reports |= row.kind != crate::model::Kind::Entry;
        let entry = row.kind == crate::model::Kind::Entry;
        self.seen_ns = self.seen_ns.max(if entry { row.received_ns.min(dump_ns) } else { row.received_ns });
        if let Some(status) = flow.status {
            self.status = status;
        }
        if let Some(mark) = flow.mark {
            self.mark = mark;
        }
        if let Some(state) = flow.protoinfo.as_ref().and_then(crate::model::ProtoInfo::state) {
            self.state = Some(state);
        }
        if let Some(totals) = both(flow.counters_orig, flow.counters_reply) {
            self.totals = Some(totals);
        }
        if let (Some(start), true) = (flow.start_ns, self.start_from != From::Kernel) {
            self.start_ns = i64::try_from(start).unwrap_or(i64::MAX);
            self.start_from = From::Kernel;
        }
        if flow.helper.is_some() || flow.labels.is_some() {
            let rare = self.rare.get_or_insert_with(|| Box::new(Rare { master: None, helper: None, labels: None }));
            rare.helper = flow.helper.map(Box::from).or(rare.helper.take());
            rare.labels = flow.labels.map(Box::from).or(rare.labels.take());
        }
    }

    /// This is the end of what was held open as `held`.
    #[inline]
    pub fn join(&mut self, held: &Self) {
        self.flow_id = held.flow_id;
        self.record_no = held.record_no;
        self.prior = held.prior;
        if self.start_from != From::Kernel {
            self.start_ns = held.start_ns;
            self.start_from = held.start_from;
        }
        self.state = self.state.or(held.state);
        self.rare.clone_from(&held.rare);
    }

    /// Take over what an OPEN row has besides.
    pub fn restore(&mut self, flow: &Flow<'_>) {
        let record = flow.record.unwrap_or_default();
        self.flow_id = record.flow_id;
        self.record_no = record.record_no;
        self.prior = record.prior.unwrap_or_default();
        self.start_from = record.start_from;
        self.reports = record.stop_from != From::Seen;
        self.reported_ns = self.start_ns;
        self.mark = flow.mark.unwrap_or_default();
        if let Some(seen) = record.stop_after_ns {
            self.seen_ns = seen;
        }
        if let Some(stop) = flow.stop_ns {
            self.missing_ns = i64::try_from(stop).unwrap_or(i64::MAX);
        }
    }

    /// It has had this record; `totals` are what an interim one told.
    pub fn told(&mut self, record: &Record<'_>, totals: Option<[u64; 4]>, at_ns: i64) {
        if let Some(totals) = totals {
            self.totals = Some(totals);
            self.prior = totals;
            self.record_no = record.record_no.saturating_add(1);
        }
        self.seen_ns = self.seen_ns.max(at_ns);
        self.reported_ns = at_ns;
    }

    /// The ledger's part of a record of it.
    #[inline]
    pub fn record(&self, seq: u64) -> Record<'static> {
        Record {
            seq,
            flow_id: self.flow_id,
            record_no: self.record_no,
            start_from: self.start_from,
            prior: (self.record_no > 0).then_some(self.prior),
            ..Record::default()
        }
    }

    /// The flow, as far as it is known.
    pub fn flow(&self) -> Flow<'_> {
        let counters = |packets: u64, bytes: u64| Counters { packets: Some(packets), bytes: Some(bytes) };
        let rare = self.rare.as_deref();
        let state = self.state.and_then(|state| protoinfo(self.orig.l4proto, state));
        let per_direction = |key: &Key| (!self.zoned && key.zone != 0).then_some(key.zone);
        Flow {
            family: self.orig.family,
            orig: Tuple { zone: per_direction(&self.orig), ..tuple(&self.orig) },
            reply: Tuple { zone: per_direction(&self.reply), ..tuple(&self.reply) },
            zone: self.zoned.then_some(self.orig.zone),
            master: rare.and_then(|rare| rare.master),
            helper: rare.and_then(|rare| rare.helper.as_deref()),
            labels: rare.and_then(|rare| rare.labels.as_deref()),
            status: Some(self.status),
            mark: (self.mark != 0).then_some(self.mark),
            id: Some(self.id),
            protoinfo: state,
            counters_orig: self.totals.map(|[packets, bytes, _, _]| counters(packets, bytes)),
            counters_reply: self.totals.map(|[_, _, packets, bytes]| counters(packets, bytes)),
            start_ns: u64::try_from(self.start_ns).ok(),
            ..Flow::default()
        }
    }
}

#[inline]
fn both(orig: Option<Counters>, reply: Option<Counters>) -> Option<[u64; 4]> {
    let (orig, reply) = (orig?, reply?);
    Some([orig.packets?, orig.bytes?, reply.packets?, reply.bytes?])
}

/// A tuple as the table's key: of ICMP the id stands for the source port, type and code for the other.
#[inline]
fn key(tuple: &Tuple, family: u8, zone: u16) -> Option<Key> {
    use std::net::IpAddr;
    let bytes = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    };
    let (sport, dport) = match tuple.icmp_type {
        Some(kind) => {
            let code = tuple.icmp_code.unwrap_or_default();
            (tuple.icmp_id.unwrap_or_default(), u16::from_be_bytes([kind, code]))
        }
        None => (tuple.sport.unwrap_or_default(), tuple.dport.unwrap_or_default()),
    };
    Some(Key {
        src: bytes(tuple.src?),
        dst: bytes(tuple.dst?),
        sport,
        dport,
        l4proto: tuple.l4proto.unwrap_or_default(),
        family,
        zone: tuple.zone.unwrap_or(zone),
    })
}

fn tuple(key: &Key) -> Tuple {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let address = |bytes: [u8; 16]| {
        let [a, b, c, d, ..] = bytes;
        if key.family == AF_INET { IpAddr::V4(Ipv4Addr::new(a, b, c, d)) } else { IpAddr::V6(Ipv6Addr::from(bytes)) }
    };
    let plain = Tuple {
        src: Some(address(key.src)),
        dst: Some(address(key.dst)),
        l4proto: Some(key.l4proto),
        ..Tuple::default()
    };
    let [kind, code] = key.dport.to_be_bytes();
    match key.l4proto {
        IPPROTO_ICMP | IPPROTO_ICMPV6 => {
            Tuple { icmp_id: Some(key.sport), icmp_type: Some(kind), icmp_code: Some(code), ..plain }
        }
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_DCCP | IPPROTO_GRE => {
            Tuple { sport: Some(key.sport), dport: Some(key.dport), ..plain }
        }
        _ => plain,
    }
}

/// The state of a protocol alone.
pub fn protoinfo(l4proto: u8, state: u8) -> Option<crate::model::ProtoInfo> {
    use crate::model::ProtoInfo;
    let state = Some(state);
    Some(match l4proto {
        IPPROTO_TCP => {
            ProtoInfo::Tcp { state, wscale_orig: None, wscale_reply: None, flags_orig: None, flags_reply: None }
        }
        IPPROTO_SCTP => ProtoInfo::Sctp { state, vtag_orig: None, vtag_reply: None },
        IPPROTO_DCCP => ProtoInfo::Dccp { state, role: None, handshake_seq: None },
        _ => return None,
    })
}
