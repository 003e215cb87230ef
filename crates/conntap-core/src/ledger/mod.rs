//! The flow ledger: joins events and dumps into records, one for each connection, and says what it does not know.
//!
//! A stage between batches: [`Ledger::feed`] takes a batch of events and writes records into another batch. What it
//! writes follows from the rows alone, so that a journal of them, fed again, gives the same records with the same
//! numbers.

mod ended;
mod entry;
pub mod find;
mod flush;
pub mod lines;
mod record;
pub mod segment;
mod table;
mod until;

pub use record::Counters;
pub use until::until;

use ended::Ended;
use entry::Entry;
use flush::Flush;
use table::Table;

use crate::batch::{Batch, Row};
use crate::model::record::{From, Record, end_reason};
use crate::model::{Cause, Content, Flow, Gap, Kind};
use crate::wire::Message;

/// Is it a record of this ledger's own, which it has numbered?
fn is_finished(content: &Content<'_>) -> bool {
    match content {
        Content::Flow(flow) => flow.record.is_some_and(|record| record.seq != 0),
        Content::Gap(gap) => gap.seq != 0,
        Content::Expectation(_) => false,
    }
}

/// For which flows a record is made when they begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bindings {
    #[default]
    None,
    /// Those whose addresses or ports are translated.
    Nat,
    All,
}

/// What a ledger is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Makes flow ids differ between machines, boots and namespaces.
    pub seed: [u64; 2],
    pub bindings: Bindings,
    /// How long an end that was not seen is waited for, nanoseconds of the rows' receive times: a reliable listener's
    /// DESTROY may come late.
    pub grace_ns: i64,
    /// Number of the last record written before.
    pub seq: u64,
}

/// The stage.
#[derive(Debug)]
pub struct Ledger {
    options: Options,
    seq: u64,
    table: Table,
    ended: Ended,
    /// Ends that nobody saw, to be told when the grace is over: a flow's place in the table.
    missing: Vec<u32>,
    flush: Flush,
    /// A dump is under way: flows of an earlier generation have not been seen in it.
    generation: u8,
    dump_ns: i64,
    found_by_dump: u64,
    counters: Counters,
}

impl Ledger {
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            seq: options.seq,
            table: Table::new(options.seed),
            ended: Ended::default(),
            missing: Vec::new(),
            flush: Flush::default(),
            generation: 0,
            dump_ns: i64::MAX,
            found_by_dump: 0,
            counters: Counters::default(),
        }
    }

    /// Number of the last record.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Flows held open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Bytes of memory that the open flows take.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.table.memory()
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Something waits for time to go by: feed a row now and then ([`Cause::Tick`]).
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.missing.is_empty() || self.flush.is_running()
    }

    /// Take in events, gaps, and records of other ledgers; append records to `out`.
    pub fn feed(&mut self, batch: &Batch, out: &mut Batch) {
        for (row, message, content) in batch.iter() {
            self.row(row, &message, &content, out);
        }
    }

    fn row(&mut self, row: &Row, message: &Message<'_>, content: &Content<'_>, out: &mut Batch) {
        // A record of ours, out of a journal: what came of its row, and of the time that went by, stands beside it there.
        // A flow that was open: nothing happens while a ledger is filled.
        if !is_finished(content) && row.kind != Kind::Open {
            if !self.missing.is_empty() {
                self.tell_missing(row.received_ns, out);
            }
            if let Some(gap) = self.flush.note(row, message.port, self.table.len()) {
                self.write_gap(gap, out);
            }
        }
        match (row.kind, content) {
            (Kind::New, Content::Flow(flow)) => self.began(row, message, flow, out),
            (Kind::Update, Content::Flow(flow)) => self.changed(row, message, flow, out),
            (Kind::Destroy, Content::Flow(flow)) => self.over(row, message, flow, out),
            (Kind::Entry, Content::Flow(flow)) => self.seen(row, message, flow, i64::MAX, out),
            (Kind::Open, Content::Flow(flow)) => self.restore_one(row, flow),
            (Kind::Flow | Kind::Interim | Kind::Binding, Content::Flow(flow)) => self.pass_on(row, message, flow, out),
            (Kind::Gap, Content::Gap(gap)) => self.gap(*gap, out),
            _ => self.counters.other = self.counters.other.saturating_add(1),
        }
    }

    fn began(&mut self, row: &Row, message: &Message<'_>, flow: &Flow<'_>, out: &mut Batch) {
        let Some(mut entry) = Entry::of(row, flow, self.generation) else { return self.refuse() };
        let hash = self.table.hash(&entry.orig, entry.id);
        let place = self.table.find(hash, &entry.orig, entry.id);
        let grace = self.options.grace_ns;
        if let Some(held) = place.and_then(|place| self.table.get_mut(place))
            && held.began_with(&entry, grace)
        {
            // A dump had shown it while this waited in the socket.
            held.generation = self.generation;
            self.counters.updates = self.counters.updates.saturating_add(1);
            return;
        }
        if self.ended.outran(hash, entry.start_ns) {
            self.counters.duplicates = self.counters.duplicates.saturating_add(1);
            return;
        }
        self.counters.new = self.counters.new.saturating_add(1);
        if let Some(place) = place {
            // The old one's end has not been seen yet: it lies before this beginning.
            self.lose_sight(place, hash, entry.seen_ns);
        }
        entry.flow_id = self.table.flow_id(hash, entry.start_ns);
        self.bind(row, message, flow, &entry, out);
        self.table.insert(hash, entry);
    }

    fn changed(&mut self, row: &Row, message: &Message<'_>, flow: &Flow<'_>, out: &mut Batch) {
        self.counters.updates = self.counters.updates.saturating_add(1);
        self.seen(row, message, flow, i64::MAX, out);
    }

    /// A flow is alive: in a dump, or by an UPDATE.
    fn seen(&mut self, row: &Row, message: &Message<'_>, flow: &Flow<'_>, interim_before_ns: i64, out: &mut Batch) {
        let Some(mut entry) = Entry::of(row, flow, self.generation) else { return self.refuse() };
        let hash = self.table.hash(&entry.orig, entry.id);
        if let Some(place) = self.table.find(hash, &entry.orig, entry.id) {
            let same = self.table.get(place).is_some_and(|held| held.can_be(&entry));
            if same {
                self.refresh(place, row, message, flow, interim_before_ns, out);
                return;
            }
            self.lose_sight(place, hash, entry.start_ns);
        } else if self.ended.holds(hash, entry.start_ns) {
            return; // it ended while the dump went on
        }
        if row.kind == Kind::Entry {
            entry.seen_ns = entry.seen_ns.min(self.dump_ns).max(entry.start_ns);
        }
        self.counters.found = self.counters.found.saturating_add(1);
        self.found_by_dump = self.found_by_dump.saturating_add(1);
        entry.flow_id = self.table.flow_id(hash, entry.start_ns);
        self.bind(row, message, flow, &entry, out);
        self.table.insert(hash, entry);
    }

    fn refresh(
        &mut self,
        place: u32,
        row: &Row,
        message: &Message<'_>,
        flow: &Flow<'_>,
        interim_before_ns: i64,
        out: &mut Batch,
    ) {
        let (generation, dump_ns) = (self.generation, self.dump_ns);
        let Some(held) = self.table.get_mut(place) else { return };
        held.refresh(row, flow, generation, dump_ns);
        if held.reported_ns >= interim_before_ns || row.kind != Kind::Entry {
            return;
        }
        let Some(totals) = held.totals else { return };
        let mut record = held.record(self.seq.saturating_add(1));
        record.end_reason = Some(end_reason::ACTIVE_TIMEOUT);
        held.prior = totals;
        held.record_no = held.record_no.saturating_add(1);
        held.reported_ns = row.received_ns;
        self.seq = record.seq;
        self.counters.interims = self.counters.interims.saturating_add(1);
        let held = &*held;
        record::from_message(Kind::Interim, row, message, flow, held, &record, out);
    }

    fn bind(&mut self, row: &Row, message: &Message<'_>, flow: &Flow<'_>, entry: &Entry, out: &mut Batch) {
        let wanted = match self.options.bindings {
            Bindings::None => false,
            Bindings::Nat => entry.is_translated(),
            Bindings::All => true,
        };
        if wanted {
            self.seq = self.seq.saturating_add(1);
            self.counters.bindings = self.counters.bindings.saturating_add(1);
            record::from_message(Kind::Binding, row, message, flow, entry, &entry.record(self.seq), out);
        }
    }

    fn over(&mut self, row: &Row, message: &Message<'_>, flow: &Flow<'_>, out: &mut Batch) {
        let Some(mut entry) = Entry::of(row, flow, self.generation) else { return self.refuse() };
        let hash = self.table.hash(&entry.orig, entry.id);
        let mut place = self.table.find(hash, &entry.orig, entry.id);
        if place.is_none_or(|place| self.table.get(place).is_none_or(|held| !held.can_be(&entry))) {
            // Not the one that is open, but perhaps one whose end came late.
            let late = self.missing.iter().copied().find(|late| {
                self.table.get(*late).is_some_and(|held| {
                    held.superseded && held.id == entry.id && held.orig == entry.orig && held.can_be(&entry)
                })
            });
            if late.is_some() {
                place = late;
            } else if let Some(other) =
                place.take_if(|other| self.table.get(*other).is_some_and(|held| held.start_ns < entry.start_ns))
            {
                self.lose_sight(other, hash, entry.start_ns); // a later one has ended: this one's end was missed
            } else {
                place = None;
            }
        }
        if let Some(held) = place.and_then(|place| self.table.remove(place, hash)) {
            self.counters.ended = self.counters.ended.saturating_add(1);
            entry.join(&held);
        } else if self.ended.holds(hash, entry.start_ns) {
            self.counters.duplicates = self.counters.duplicates.saturating_add(1);
            return;
        } else {
            self.counters.ended_unannounced = self.counters.ended_unannounced.saturating_add(1);
            entry.flow_id = self.table.flow_id(hash, entry.start_ns);
        }
        self.missing.retain(|missing| Some(*missing) != place);
        let stop = flow.stop_ns.or(flow.event_ns).and_then(|stop| i64::try_from(stop).ok());
        self.ended.add(hash, entry.start_ns, stop.unwrap_or(entry.start_ns));
        self.seq = self.seq.saturating_add(1);
        self.counters.flows = self.counters.flows.saturating_add(1);
        let mut record = entry.record(self.seq);
        record.end_reason = Some(record::reason(flow, message.port, entry.state));
        record.stop_from = if flow.stop_ns.is_some() {
            From::Kernel
        } else if flow.event_ns.is_some() {
            From::Event
        } else {
            From::Received
        };
        record::from_message(Kind::Flow, row, message, flow, &entry, &record, out);
    }

    /// A flow is no longer to be found under its tuple, and its end was not seen.
    fn lose_sight(&mut self, place: u32, hash: u64, until_ns: i64) {
        self.table.hide(place, hash);
        if let Some(held) = self.table.get_mut(place) {
            held.superseded = true;
            if held.missing_ns == 0 {
                held.missing_ns = until_ns.max(held.seen_ns); // a dump that did not show it says more
            }
        }
        if !self.missing.contains(&place) {
            self.missing.push(place);
        }
    }

    /// Begin to compare with a dump; follow with [`Self::dump`] for its batches and [`Self::end_dump`]. Events may be
    /// fed between them.
    ///
    /// `at_ns`: just before; what a dump shows was alive then, and may have ended when its rows are read.
    pub fn begin_dump(&mut self, at_ns: i64) {
        self.generation = self.generation.wrapping_add(1);
        self.dump_ns = at_ns;
        self.found_by_dump = 0;
    }

    /// Take in a part of a dump. Flows whose last record (or beginning) is older than `interim_before_ns` get an
    /// interim record; `i64::MIN` for none.
    pub fn dump(&mut self, batch: &Batch, interim_before_ns: i64, out: &mut Batch) {
        for (row, message, content) in batch.iter() {
            if let (Kind::Entry, Content::Flow(flow)) = (row.kind, &content) {
                self.seen(row, &message, flow, interim_before_ns, out);
            }
        }
    }

    /// The dump is over and the events that were queued meanwhile are fed: what it did not show is gone.
    ///
    /// `after_ns`: up to here no end can have been missed of a flow that reports. `before_ns`: when the dump began. Writes a
    /// [`Cause::Reconcile`] row.
    pub fn end_dump(&mut self, after_ns: i64, before_ns: i64, out: &mut Batch) {
        let gone: Vec<u32> = self.table.places().filter(|place| self.is_gone(*place, before_ns)).collect();
        for place in &gone {
            if let Some(held) = self.table.get_mut(*place) {
                if held.reports {
                    held.seen_ns = held.seen_ns.max(after_ns).min(before_ns);
                }
                held.missing_ns = before_ns;
            }
            self.missing.push(*place);
        }
        let gap = Gap {
            lost: Some(0),
            after_ns,
            before_ns,
            cause: Cause::Reconcile,
            alive: self.found_by_dump,
            ended: u64::try_from(gone.len()).unwrap_or(u64::MAX),
            ..Gap::default()
        };
        if gap.alive > 0 || gap.ended > 0 {
            self.write_gap(gap, out);
        }
    }

    fn is_gone(&self, place: u32, before_ns: i64) -> bool {
        self.table
            .get(place)
            .is_some_and(|held| held.generation != self.generation && held.missing_ns == 0 && held.seen_ns < before_ns)
    }

    /// Write the flows whose end nobody saw and will see.
    fn tell_missing(&mut self, now_ns: i64, out: &mut Batch) {
        let mut waiting = std::mem::take(&mut self.missing);
        // In an order that a snapshot does not change.
        waiting.sort_unstable_by_key(|place| self.table.get(*place).map(|held| (held.missing_ns, held.flow_id)));
        waiting.retain(|place| {
            let Some(held) = self.table.get(*place) else { return false };
            if now_ns < held.missing_ns.saturating_add(self.options.grace_ns) {
                return true;
            }
            let hash = self.table.hash(&held.orig, held.id);
            if let Some(held) = self.table.remove(*place, hash) {
                self.ended.add(hash, held.start_ns, held.start_ns);
                self.seq = self.seq.saturating_add(1);
                self.counters.flows = self.counters.flows.saturating_add(1);
                self.counters.missed_ends = self.counters.missed_ends.saturating_add(1);
                record::of_missing(&held, self.seq, now_ns, out);
            }
            false
        });
        self.missing = waiting;
    }

    fn gap(&mut self, gap: Gap, out: &mut Batch) {
        if gap.seq != 0 {
            self.seq = self.seq.max(gap.seq); // our own, out of a journal
            out.push_gap(&gap);
        } else if gap.cause != Cause::Tick {
            self.counters.lost = self.counters.lost.saturating_add(gap.lost.unwrap_or_default());
            self.write_gap(gap, out);
        }
    }

    fn write_gap(&mut self, gap: Gap, out: &mut Batch) {
        self.seq = self.seq.saturating_add(1);
        self.counters.gaps = self.counters.gaps.saturating_add(1);
        out.push_gap(&Gap { seq: self.seq, ..gap });
    }

    /// Another exporter's record gets a number of ours. One that has a number is our own, out of a journal: it is told
    /// as it is, and what it says is known from here on.
    fn pass_on(&mut self, row: &Row, message: &Message<'_>, flow: &Flow<'_>, out: &mut Batch) {
        let known = flow.record.unwrap_or_default();
        let entry = Entry::of(row, flow, self.generation);
        let hash = entry.as_ref().map(|entry| self.table.hash(&entry.orig, entry.id));
        if known.seq != 0 {
            self.seq = self.seq.max(known.seq);
            if let (Some(entry), Some(hash)) = (entry, hash) {
                self.settle(row.kind, entry, hash, &known);
            }
            record::renumbered(row, message, flow, &known, out);
            return;
        }
        self.seq = self.seq.saturating_add(1);
        self.counters.passed_on = self.counters.passed_on.saturating_add(1);
        let made = entry.zip(hash).map_or(0, |(entry, hash)| self.table.flow_id(hash, entry.start_ns));
        let flow_id = if known.flow_id == 0 { made } else { known.flow_id };
        record::renumbered(row, message, flow, &Record { seq: self.seq, flow_id, ..known }, out);
    }

    /// The flow has this record already.
    fn settle(&mut self, kind: Kind, mut entry: Entry, hash: u64, known: &Record<'_>) {
        let is_it = |held: &Entry| held.flow_id == known.flow_id;
        let place = self
            .table
            .find(hash, &entry.orig, entry.id)
            .filter(|place| self.table.get(*place).is_some_and(is_it))
            .or_else(|| self.missing.iter().copied().find(|place| self.table.get(*place).is_some_and(is_it)));
        let told = if kind == Kind::Interim { entry.totals } else { None };
        match (kind, place) {
            (Kind::Flow, Some(place)) => {
                if self.table.remove(place, hash).is_some() {
                    self.missing.retain(|missing| *missing != place);
                    self.ended.add(hash, entry.start_ns, entry.start_ns);
                    self.counters.flows = self.counters.flows.saturating_add(1);
                }
            }
            (Kind::Flow, None) => {}
            (_, Some(place)) => {
                if let Some(held) = self.table.get_mut(place) {
                    held.told(known, told, entry.seen_ns);
                }
            }
            (_, None) => {
                // It was first seen while a dump was compared.
                entry.flow_id = known.flow_id;
                entry.start_from = known.start_from;
                entry.told(known, told, entry.seen_ns);
                self.counters.restored = self.counters.restored.saturating_add(1);
                if let Some(other) = self.table.find(hash, &entry.orig, entry.id) {
                    self.lose_sight(other, hash, entry.start_ns);
                }
                self.table.insert(hash, entry);
            }
        }
    }

    fn refuse(&mut self) {
        self.counters.without_tuple = self.counters.without_tuple.saturating_add(1);
    }

    /// From here on what is written follows from [`Self::open`] and the rows fed: what no snapshot holds is forgotten, and
    /// told before.
    pub fn close_epoch(&mut self, out: &mut Batch) {
        self.ended = Ended::default();
        if let Some(gap) = self.flush.end() {
            self.write_gap(gap, out);
        }
    }

    /// What is open, as OPEN rows: up to `limit` from the place `from` on, and where to go on.
    pub fn open(&self, from: u32, limit: usize, now_ns: i64, out: &mut Batch) -> Option<u32> {
        let mut written = 0_usize;
        for place in self.table.places_from(from) {
            if written >= limit {
                return Some(place);
            }
            if let Some(held) = self.table.get(place) {
                record::of_open(held, now_ns, out);
                written = written.saturating_add(1);
            }
        }
        None
    }

    fn restore_one(&mut self, row: &Row, flow: &Flow<'_>) {
        let Some(mut entry) = Entry::of(row, flow, self.generation) else { return self.refuse() };
        entry.restore(flow);
        self.counters.restored = self.counters.restored.saturating_add(1);
        let hash = self.table.hash(&entry.orig, entry.id);
        let waits = entry.missing_ns != 0;
        // Of two with one tuple and id the later one is to be found by them, in whatever order they come.
        let other = self.table.find(hash, &entry.orig, entry.id);
        let later = other.and_then(|other| self.table.get(other)).is_some_and(|held| held.start_ns > entry.start_ns);
        let place = if later {
            entry.superseded = true;
            self.table.keep(entry)
        } else {
            if let Some(other) = other {
                self.lose_sight(other, hash, entry.start_ns);
            }
            self.table.insert(hash, entry)
        };
        if waits {
            self.missing.push(place);
        }
    }

    /// Do the books balance? Every flow that was ever told of is open or has its record.
    #[must_use]
    pub fn balanced(&self) -> bool {
        let c = &self.counters;
        let came =
            [c.new, c.found, c.restored, c.ended_unannounced].iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
        let open = u64::try_from(self.table.len()).unwrap_or(u64::MAX);
        came == c.flows.saturating_add(open)
    }
}
