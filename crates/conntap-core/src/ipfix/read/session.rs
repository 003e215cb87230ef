//! What is remembered of an exporter: templates, sequence, and sets that wait for their template. All of it bounded.

use std::collections::{BTreeMap, VecDeque};

use super::counters::{Counters, add};
use super::sequence::Sequence;
use super::template::Template;
use super::{Header, Limits};

/// A waiting set takes so much besides its bytes.
const WAITING_COST: usize = 128;

/// One transport session's observation domain.
#[derive(Debug)]
pub struct Session {
    templates: BTreeMap<u16, Held>,
    /// Fields of all templates.
    fields: usize,
    pub sequence: Sequence,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// When the exporter started, as an options record told.
    pub init_ms: Option<u64>,
    seen_ns: i64,
}

#[derive(Debug)]
struct Held {
    template: Template,
    refreshed_ns: i64,
}

/// A set that came before its template.
#[derive(Debug)]
pub struct Waiting {
    pub id: u16,
    pub header: Header,
    pub bytes: Box<[u8]>,
}

impl Session {
    fn new(v9: bool, now_ns: i64) -> Self {
        Self {
            templates: BTreeMap::new(),
            fields: 0,
            sequence: Sequence::new(v9),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            init_ms: None,
            seen_ns: now_ns,
        }
    }

    /// The template of that id; None where there is none, or none that is still valid.
    pub fn template(&mut self, id: u16, now_ns: i64, lifetime_ns: i64, counters: &mut Counters) -> Option<&Template> {
        let held = self.templates.get(&id)?;
        if held.refreshed_ns.saturating_add(lifetime_ns) < now_ns {
            self.withdraw(id);
            add(&mut counters.templates_expired, 1);
            return None;
        }
        self.templates.get(&id).map(|held| &held.template)
    }

    /// Learn a template.
    pub fn learn(&mut self, id: u16, template: Template, now_ns: i64, limits: &Limits, counters: &mut Counters) {
        add(&mut counters.templates, 1);
        if let Some(held) = self.templates.get_mut(&id)
            && held.template == template
        {
            held.refreshed_ns = now_ns;
            return;
        }
        if self.withdraw(id) {
            add(&mut counters.templates_redefined, 1);
        }
        let fields = self.fields.saturating_add(template.specs.len());
        if self.templates.len() >= limits.templates || fields > limits.fields {
            add(&mut counters.templates_refused, 1);
            return;
        }
        self.fields = fields;
        self.templates.insert(id, Held { template, refreshed_ns: now_ns });
    }

    /// Forget a template; false where there was none.
    pub fn withdraw(&mut self, id: u16) -> bool {
        let Some(held) = self.templates.remove(&id) else { return false };
        self.fields = self.fields.saturating_sub(held.template.specs.len());
        true
    }

    /// Forget all templates of data, or of options.
    pub fn withdraw_all(&mut self, options: bool) -> u64 {
        let before = self.templates.len();
        self.templates.retain(|_, held| held.template.options != options);
        self.fields = self.templates.values().map(|held| held.template.specs.len()).sum();
        u64::try_from(before.saturating_sub(self.templates.len())).unwrap_or_default()
    }

    /// Keep a set until its template comes; older ones give way.
    pub fn wait(&mut self, set: Waiting, limits: &Limits, counters: &mut Counters) {
        add(&mut counters.waited, 1);
        self.waiting_bytes = self.waiting_bytes.saturating_add(set.bytes.len()).saturating_add(WAITING_COST);
        self.waiting.push_back(set);
        while self.waiting_bytes > limits.waiting_bytes {
            self.drop_oldest(counters);
        }
    }

    fn drop_oldest(&mut self, counters: &mut Counters) {
        match self.waiting.pop_front() {
            Some(set) => {
                self.waiting_bytes = self.waiting_bytes.saturating_sub(set.bytes.len()).saturating_sub(WAITING_COST);
                add(&mut counters.dropped_sets, 1);
                add(&mut counters.dropped_bytes, u64::try_from(set.bytes.len()).unwrap_or_default());
            }
            None => self.waiting_bytes = 0,
        }
    }

    /// The sets that waited for this template, in order.
    pub fn awaited(&mut self, id: u16) -> Vec<Waiting> {
        if !self.waiting.iter().any(|set| set.id == id) {
            return Vec::new();
        }
        let (found, left): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|set| set.id == id);
        self.waiting = left;
        self.waiting_bytes =
            self.waiting.iter().fold(0, |sum, set| sum.saturating_add(set.bytes.len()).saturating_add(WAITING_COST));
        found.into()
    }

    /// Give up sets that have waited too long.
    pub fn expire(&mut self, now_ns: i64, limits: &Limits, counters: &mut Counters) {
        let since = now_ns.saturating_sub(limits.waiting_ns);
        while self.waiting.front().is_some_and(|set| set.header.received_ns < since) {
            self.drop_oldest(counters);
        }
    }

    fn give_up(&mut self, counters: &mut Counters) {
        while !self.waiting.is_empty() {
            self.drop_oldest(counters);
        }
    }

    /// Templates held, and bytes of sets that wait.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.templates.len(), self.waiting_bytes)
    }
}

/// Port, domain, and whether it is NetFlow v9.
type Part = (u16, u32, bool);

/// All sessions, by exporter.
#[derive(Debug, Default)]
pub struct Sessions {
    exporters: BTreeMap<Box<str>, BTreeMap<Part, Session>>,
    count: usize,
}

impl Sessions {
    /// The session of a message; makes one where there is none, and room for it.
    pub fn enter(
        &mut self,
        exporter: &str,
        part: Part,
        now_ns: i64,
        limits: &Limits,
        counters: &mut Counters,
    ) -> Option<&mut Session> {
        if !self.exporters.get(exporter).is_some_and(|parts| parts.contains_key(&part)) {
            if self.count >= limits.sessions {
                self.make_room(counters);
            }
            self.count = self.count.saturating_add(1);
            let parts = self.exporters.entry(exporter.into()).or_default();
            parts.insert(part, Session::new(part.2, now_ns));
        }
        let session = self.exporters.get_mut(exporter)?.get_mut(&part)?;
        session.seen_ns = now_ns;
        Some(session)
    }

    /// Forget the quarter that has been silent longest: so many at once that a flood of new ones stays cheap.
    fn make_room(&mut self, counters: &mut Counters) {
        let mut times: Vec<i64> = self.all().map(|session| session.seen_ns).collect();
        let quarter = times.len() / 4;
        if quarter >= times.len() {
            return;
        }
        let (_, limit, _) = times.select_nth_unstable(quarter);
        let limit = *limit;
        let mut least = quarter.saturating_add(1); // of several seen at the same time only as many as needed
        self.forget(counters, |_, _, session| {
            let old = session.seen_ns <= limit && least > 0;
            least = least.saturating_sub(usize::from(old));
            old
        });
    }

    /// Forget the sessions of a port of an exporter: its connection has ended.
    pub fn leave(&mut self, exporter: &str, port: u16, counters: &mut Counters) {
        let before = counters.sessions_dropped;
        self.forget(counters, |name, part, _| name == exporter && part.0 == port);
        counters.sessions_dropped = before;
    }

    fn forget(&mut self, counters: &mut Counters, mut which: impl FnMut(&str, &Part, &Session) -> bool) {
        let count = &mut self.count;
        self.exporters.retain(|name, parts| {
            parts.retain(|part, session| {
                let goes = which(name, part, session);
                if goes {
                    session.give_up(counters);
                    add(&mut counters.sessions_dropped, 1);
                    *count = count.saturating_sub(1);
                }
                !goes
            });
            !parts.is_empty()
        });
    }

    pub fn all(&self) -> impl Iterator<Item = &Session> {
        self.exporters.values().flat_map(BTreeMap::values)
    }

    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.exporters.values_mut().flat_map(BTreeMap::values_mut)
    }

    /// The sessions of one port of an exporter.
    pub fn of_mut(&mut self, exporter: &str, port: u16) -> impl Iterator<Item = &mut Session> {
        let parts = self.exporters.get_mut(exporter).into_iter().flatten();
        parts.filter(move |(part, _)| part.0 == port).map(|(_, session)| session)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }
}
