//! The exporter: batches of records in, messages out.

use super::elements::OURS;
use super::message::{Messages, Stream, Totals, Version};
use super::record::{
    Deltas, FlowRecord, Statistics, nat_event, put_flow, put_gap, put_nat_event, put_statistics, put_type_info,
};
use super::shape::{Count, Ports, Post, Shape, Times, ids, is_translated};
use super::template::Fields;
use crate::batch::{Batch, Row};
use crate::model::{Content, Flow, Gap, Kind};

/// Are translations told of in records of their own?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatEvents {
    None,
    /// Numbers of RFC 8158.
    #[default]
    Standard,
    /// 1 and 2 for all, which old collectors know.
    Historic,
}

/// What an exporter is told.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub version: Version,
    /// Octets that a message may have: at least [`MIN_LIMIT`].
    pub limit: usize,
    /// Observation domain of flow records; NAT events have the next one, options the one after that.
    pub domain: u32,
    pub nanoseconds: bool,
    pub extended: bool,
    pub nat_events: NatEvents,
}

/// The least that a message may be limited to: every record and template fits (RFC 7011 section 10.3.3).
pub const MIN_LIMIT: usize = 512;

/// What an exporter counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flow records.
    pub flows: u64,
    pub nat_events: u64,
    pub gaps: u64,
    /// BINDING rows that no NAT event was made of: nothing is translated, or no NAT events are wanted.
    pub bindings_left_out: u64,
    /// GAP rows that NetFlow v9 cannot express.
    pub gaps_left_out: u64,
    /// Rows without a source address.
    pub without_tuple: u64,
    /// Records with a counter below what earlier records had told: that delta is 0.
    pub backwards: u64,
    /// Rows that are no records.
    pub other: u64,
}

impl Counters {
    /// All of them by name.
    #[must_use]
    pub fn all(&self) -> [(&'static str, u64); 8] {
        [
            ("flows", self.flows),
            ("nat_events", self.nat_events),
            ("gaps", self.gaps),
            ("bindings_left_out", self.bindings_left_out),
            ("gaps_left_out", self.gaps_left_out),
            ("without_tuple", self.without_tuple),
            ("backwards", self.backwards),
            ("other", self.other),
        ]
    }
}

/// How far an exporter has come; kept aside so that what was not sent can be taken back.
#[derive(Clone, Debug, Default)]
struct Progress {
    counters: Counters,
    seq: u64,
    lost: u64,
    /// Templates of the running session, by number, in the order in which they were announced.
    announced: Vec<u16>,
    known: Vec<bool>,
    options_announced: bool,
    /// Of each stream.
    sent: [(u32, Totals); 3],
}

/// Writes records as IPFIX or NetFlow v9.
#[derive(Clone, Debug)]
pub struct Exporter {
    options: Options,
    flows: Stream,
    nat: Stream,
    side: Stream,
    now: Progress,
    before: Progress,
}

impl Exporter {
    #[must_use]
    pub fn new(mut options: Options) -> Self {
        options.extended &= options.version == Version::Ipfix; // NetFlow v9 has neither elements of ours nor texts
        let limit = options.limit.max(MIN_LIMIT);
        let stream = |number: u32| Stream::new(options.version, options.domain.wrapping_add(number), limit);
        Self {
            options,
            flows: stream(0),
            nat: stream(1),
            side: stream(2),
            now: Progress { known: vec![false; usize::from(ids::GAP)], ..Progress::default() },
            before: Progress::default(),
        }
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        self.now.counters
    }

    /// Number of the last record written.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.now.seq
    }

    /// Templates announced in this session: when the number grows, a new one has just been sent for the first time.
    #[must_use]
    pub fn announced(&self) -> usize {
        self.now.announced.len()
    }

    /// Messages, octets and data records of all domains.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for totals in [self.flows.totals, self.nat.totals, self.side.totals] {
            sum.messages = sum.messages.saturating_add(totals.messages);
            sum.octets = sum.octets.saturating_add(totals.octets);
            sum.records = sum.records.saturating_add(totals.records);
        }
        sum
    }

    /// A new session: sequence numbers begin at 0, and nothing is announced. Counters go on.
    pub fn restart(&mut self) {
        for stream in [&mut self.flows, &mut self.nat, &mut self.side] {
            stream.rewind((0, stream.progress().1));
        }
        self.now.announced.clear();
        self.now.known.fill(false);
        self.now.options_announced = false;
    }

    /// What the last call gave was not sent: everything is as it was before.
    pub fn take_back(&mut self) {
        self.now.clone_from(&self.before);
        for (stream, sent) in [&mut self.flows, &mut self.nat, &mut self.side].into_iter().zip(self.before.sent) {
            stream.rewind(sent);
        }
    }

    fn begin(&mut self, now_ns: i64) {
        self.now.sent = [self.flows.progress(), self.nat.progress(), self.side.progress()];
        self.before.clone_from(&self.now);
        for stream in [&mut self.flows, &mut self.nat, &mut self.side] {
            stream.at(now_ns);
        }
    }

    fn take(&mut self) -> [Messages; 3] {
        [self.flows.take(), self.nat.take(), self.side.take()]
    }

    /// Write the batch's records. Templates that were not announced yet go before the first record that has them.
    pub fn encode(&mut self, batch: &Batch, now_ns: i64) -> [Messages; 3] {
        self.begin(now_ns);
        for (row, _, content) in batch.iter() {
            match (row.kind, &content) {
                (Kind::Flow | Kind::Interim, Content::Flow(flow)) => self.flow(row, flow),
                (Kind::Binding, Content::Flow(flow)) => self.binding(row, flow),
                (Kind::Gap, Content::Gap(gap)) => self.gap(gap),
                _ => self.now.counters.other = self.now.counters.other.saturating_add(1),
            }
        }
        self.take()
    }

    #[inline]
    fn flow(&mut self, row: &Row, flow: &Flow<'_>) {
        // An interim record's counters are those of the moment in which they were read.
        let end = if row.kind == Kind::Interim { u64::try_from(row.received_ns).ok() } else { flow.stop_ns };
        let times = flow.start_ns.zip(end);
        let Some(shape) = Shape::of(flow, times.is_some(), self.options.nanoseconds, self.options.extended) else {
            return self.refuse();
        };
        let (start_ns, end_ns) = times.unwrap_or_default();
        let record = FlowRecord { flow, start_ns, end_ns, observed_ns: end.unwrap_or_else(|| received(row)) };
        let deltas = Deltas::of(flow);
        let id = shape.id();
        if !self.is_known(id) {
            self.announce(id, shape);
        }
        let version = self.options.version;
        self.flows.record(id, |out| put_flow(version, shape, &record, &deltas, out));
        let counters = &mut self.now.counters;
        counters.flows = counters.flows.saturating_add(1);
        counters.backwards = counters.backwards.saturating_add(deltas.backwards.into());
        self.note(flow);
        if row.kind == Kind::Flow && self.options.nat_events != NatEvents::None && has_event(shape, flow) {
            self.nat_event(shape, &record, false);
        }
    }

    fn binding(&mut self, row: &Row, flow: &Flow<'_>) {
        let began = flow.start_ns.unwrap_or_else(|| received(row));
        let Some(shape) = Shape::of(flow, true, self.options.nanoseconds, self.options.extended) else {
            return self.refuse();
        };
        self.note(flow);
        if self.options.nat_events == NatEvents::None || !has_event(shape, flow) {
            let left_out = &mut self.now.counters.bindings_left_out;
            *left_out = left_out.saturating_add(1);
            return;
        }
        let record = FlowRecord { flow, start_ns: began, end_ns: began, observed_ns: began };
        self.nat_event(shape, &record, true);
    }

    fn nat_event(&mut self, shape: Shape, record: &FlowRecord<'_>, created: bool) {
        let id = shape.event_id();
        if !self.is_known(id) {
            self.announce(id, shape);
        }
        let event = nat_event(shape, created, self.options.nat_events == NatEvents::Historic);
        let version = self.options.version;
        self.nat.record(id, |out| put_nat_event(version, shape, record, event, out));
        self.now.counters.nat_events = self.now.counters.nat_events.saturating_add(1);
    }

    fn gap(&mut self, gap: &Gap) {
        self.now.seq = self.now.seq.max(gap.seq);
        self.now.lost = self.now.lost.saturating_add(gap.lost.unwrap_or_default());
        let counters = &mut self.now.counters;
        if self.options.version == Version::NetFlow9 {
            counters.gaps_left_out = counters.gaps_left_out.saturating_add(1);
            return;
        }
        counters.gaps = counters.gaps.saturating_add(1);
        if !self.now.announced.contains(&ids::GAP) {
            self.flows.template(ids::GAP, &Fields::of(|fields| put_gap(&Gap::default(), fields)));
            self.now.announced.push(ids::GAP);
        }
        self.flows.record(ids::GAP, |out| put_gap(gap, out));
    }

    fn note(&mut self, flow: &Flow<'_>) {
        self.now.seq = self.now.seq.max(flow.record.map_or(0, |record| record.seq));
    }

    fn refuse(&mut self) {
        self.now.counters.without_tuple = self.now.counters.without_tuple.saturating_add(1);
    }

    #[inline]
    fn is_known(&self, id: u16) -> bool {
        self.now.known.get(usize::from(id)).copied().unwrap_or_default()
    }

    /// Send a template for the first time in this session.
    #[cold]
    fn announce(&mut self, id: u16, shape: Shape) {
        if let Some(known) = self.now.known.get_mut(usize::from(id)) {
            *known = true;
        }
        self.now.announced.push(id);
        let fields = fields_of(id, shape, self.options.version);
        if id < ids::NAT_EVENTS {
            self.flows.template(id, &fields);
        } else {
            self.nat.template(id, &fields);
        }
    }

    /// Every template that this session has used or will probably use, and what goes with them: to be sent when a
    /// session begins and, over UDP, again and again.
    pub fn templates(&mut self, now_ns: i64) -> [Messages; 3] {
        self.begin(now_ns);
        let times = if self.options.nanoseconds { Times::Nanoseconds } else { Times::Milliseconds };
        for ports in [Ports::Ports, Ports::Icmp, Ports::None] {
            for v6 in [false, true] {
                let shape = Shape { v6, ports, times, extended: self.options.extended, ..Shape::PLAIN };
                self.expect(shape.id());
                if self.options.nat_events != NatEvents::None {
                    self.expect(shape.event_id());
                }
            }
        }
        if self.options.version == Version::Ipfix {
            self.expect(ids::GAP);
        }
        for id in std::mem::take(&mut self.now.announced) {
            self.now.announced.push(id);
            match id {
                ids::GAP => self.flows.template(id, &Fields::of(|fields| put_gap(&Gap::default(), fields))),
                id if id < ids::NAT_EVENTS => {
                    if let Some(shape) = shape_of(id) {
                        self.flows.template(id, &fields_of(id, shape, self.options.version));
                    }
                }
                id => {
                    if let Some(shape) = event_shape_of(id) {
                        self.nat.template(id, &fields_of(id, shape, self.options.version));
                    }
                }
            }
        }
        if self.options.version == Version::Ipfix {
            self.options_templates();
            for info in &OURS {
                self.side.record(ids::TYPE_INFO, |out| put_type_info(info, out));
            }
        }
        self.take()
    }

    fn expect(&mut self, id: u16) {
        if !self.now.announced.contains(&id) {
            self.now.announced.push(id);
            if let Some(known) = self.now.known.get_mut(usize::from(id)) {
                *known = true;
            }
        }
    }

    fn options_templates(&mut self) {
        self.now.options_announced = true;
        let statistics = Fields::of(|fields| put_statistics(&Statistics::default(), fields));
        self.side.options_template(ids::STATISTICS, 1, &statistics);
        if let Some(any) = OURS.first() {
            self.side.options_template(ids::TYPE_INFO, 2, &Fields::of(|fields| put_type_info(any, fields)));
        }
    }

    /// What was sent so far, one record a domain. `not_sent`: flows that were given up before they came here.
    /// NetFlow v9 has no such record.
    pub fn statistics(&mut self, not_sent: u64, now_ns: i64) -> [Messages; 3] {
        self.begin(now_ns);
        if self.options.version == Version::Ipfix {
            if !self.now.options_announced {
                self.options_templates();
            }
            let (seq, events_lost) = (self.now.seq, self.now.lost);
            for (stream, not_sent) in [(&self.flows, not_sent), (&self.nat, 0)] {
                let statistics =
                    Statistics { domain: stream.domain(), totals: stream.totals, not_sent, events_lost, seq };
                self.side.record(ids::STATISTICS, |out| put_statistics(&statistics, out));
            }
        }
        self.take()
    }
}

fn received(row: &Row) -> u64 {
    u64::try_from(row.received_ns).unwrap_or_default()
}

/// Is there a translation, and is it known whole?
#[inline]
fn has_event(shape: Shape, flow: &Flow<'_>) -> bool {
    shape.post != Post::None && is_translated(flow)
}

/// The fields of a template for flows or NAT events of that shape.
#[must_use]
pub fn fields_of(id: u16, shape: Shape, version: Version) -> Fields {
    let flow = Flow::default();
    let record = FlowRecord { flow: &flow, start_ns: 0, end_ns: 0, observed_ns: 0 };
    if id < ids::NAT_EVENTS {
        Fields::of(|fields| put_flow(version, shape, &record, &Deltas::default(), fields))
    } else {
        Fields::of(|fields| put_nat_event(version, shape, &record, 0, fields))
    }
}

/// The shape that a template's number says.
#[must_use]
pub fn shape_of(id: u16) -> Option<Shape> {
    shapes().find(|shape| shape.id() == id)
}

/// Likewise of a NAT event's template.
#[must_use]
pub fn event_shape_of(id: u16) -> Option<Shape> {
    shapes().find(|shape| shape.event_id() == id)
}

/// Every shape.
pub fn shapes() -> impl Iterator<Item = Shape> {
    const BITS: u16 = 1 << 11;
    (0..BITS).filter_map(|bits| {
        let bit = |at: u32| bits.checked_shr(at).unwrap_or_default() & 1 == 1;
        let two = |at: u32| bits.checked_shr(at).unwrap_or_default() & 3;
        Some(Shape {
            v6: bit(0),
            ports: match two(1) {
                0 => Ports::Ports,
                1 => Ports::Icmp,
                2 => Ports::None,
                _ => return None,
            },
            post: match two(3) {
                0 => Post::Same,
                1 => Post::Other,
                2 => Post::None,
                _ => return None,
            },
            count: match two(5) {
                0 => Count::Both,
                1 => Count::Forward,
                2 => Count::None,
                _ => return None,
            },
            times: match two(7) {
                0 => Times::Milliseconds,
                1 => Times::Nanoseconds,
                2 => Times::None,
                _ => return None,
            },
            extended: bit(9),
            no_destination: bit(10),
        })
    })
}
