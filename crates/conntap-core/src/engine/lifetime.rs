//! How flows and expectations end: by time, by force, with their master.

use super::counters::count;
use super::events::Teller;
use super::expect::Expect;
use super::flow::Flow;
use super::key::Key;
use super::table::Slot;
use super::{Engine, gre_key, seconds};
use crate::batch::Batch;
use crate::model::Kind;
use crate::wire::constants::*;

/// A packet that is so far ahead of all others has a wrong time.
const AHEAD_LIMIT: u32 = 86_400;

impl Engine {
    /// Turn the clock to a packet's time, and end what ends by then: DESTROY at its own time, in order of expiry.
    #[inline]
    pub(super) fn advance(&mut self, time_ns: i64) {
        if time_ns < self.now_ns {
            count(&mut self.counters.time_backwards);
            return;
        }
        if time_ns > self.now_ns.saturating_add(seconds(AHEAD_LIMIT)) && self.table.len() > 0 {
            // Once may be a fault; twice in a row it is the time.
            let again =
                self.ahead_ns.is_some_and(|ahead| time_ns.abs_diff(ahead) < seconds(AHEAD_LIMIT).unsigned_abs());
            self.ahead_ns = Some(time_ns);
            if !again {
                count(&mut self.counters.time_ahead);
                return;
            }
        }
        self.ahead_ns = None;
        self.expire(time_ns);
        self.now_ns = time_ns;
    }

    /// Let time go by until `time_ns` without a packet.
    pub fn turn_clock(&mut self, time_ns: i64) {
        if time_ns > self.now_ns {
            self.expire(time_ns);
            self.now_ns = time_ns;
        }
    }

    #[inline]
    fn expire(&mut self, upto_ns: i64) {
        let due = |timer: Option<i64>| timer.is_some_and(|at| at <= upto_ns);
        while due(self.table.next_timer_ns()) || due(self.expects.next_timer_ns()) {
            self.expire_next(upto_ns);
        }
    }

    fn expire_next(&mut self, upto_ns: i64) {
        match (self.table.next_timer_ns(), self.expects.next_timer_ns()) {
            (flow_ns, Some(expect_ns)) if flow_ns.is_none_or(|flow_ns| expect_ns <= flow_ns) => {
                if let Some((time_ns, slot)) = self.expects.pop_expired(expect_ns.min(upto_ns)) {
                    self.now_ns = self.now_ns.max(time_ns);
                    self.unexpect(slot, None);
                }
            }
            (flow_ns, _) => {
                if let Some((time_ns, _, slot)) = self.table.pop_expired(flow_ns.unwrap_or(upto_ns).min(upto_ns)) {
                    self.now_ns = self.now_ns.max(time_ns);
                    self.destroy(slot);
                }
            }
        }
    }

    /// End everything that is left, as a flush does: each DESTROY tells the time that was left.
    pub fn flush(&mut self) {
        let mut slots: Vec<(u32, Slot)> = self.table.iter().map(|(slot, flow)| (flow.id, slot)).collect();
        slots.sort_unstable();
        for (_, slot) in slots {
            self.destroy(slot);
        }
    }

    /// Let time go by until nothing is left: the end of a capture, with every DESTROY at its own time.
    pub fn drain(&mut self) {
        self.expire(i64::MAX);
    }

    /// End a flow: DESTROY, then what hangs on it. Source: nf_ct_delete, nf_ct_destroy.
    pub(super) fn destroy(&mut self, slot: Slot) -> Option<Flow> {
        let mut flow = self.table.remove(slot)?;
        self.tell(|teller, out| teller.ended(out, &flow));
        self.forget_dependents(&mut flow);
        Some(flow)
    }

    /// What hangs on a flow that goes: its mapping, expectations (newest first), GRE connections of a PPTP session.
    pub(super) fn forget_dependents(&mut self, flow: &mut Flow) {
        self.nat.forget(flow);
        let Some(extra) = flow.extra.as_mut() else { return };
        let gre = extra.gre.take();
        let master = (flow.orig.l4proto == IPPROTO_GRE).then_some(extra.master).flatten();
        let mut expects = std::mem::take(&mut extra.expects);
        if let Some(keys) = gre {
            for key in keys {
                self.forget_gre(&key, flow.id);
            }
            for key in keys {
                // The siblings: a GRE connection, or the expectation for one.
                if let Some((sibling, _)) = self.table.find(&key) {
                    self.destroy(sibling);
                } else if let Some(slot) = self.expects.find(&key, |found| found.master.1 == flow.id) {
                    expects.retain(|other| *other != slot);
                    self.unexpect(slot, None);
                }
            }
        }
        while let Some(slot) = expects.pop() {
            self.unexpect(slot, None);
        }
        // A GRE connection takes its master's keys with it. Source: destroy_gre_conntrack.
        if let Some((orig, id)) = master
            && let Some(slot) = self.table.slot_of(&orig, id)
            && let Some(keys) = self.table.get_mut(slot).and_then(|master| master.extra().gre.take())
        {
            for key in keys {
                self.forget_gre(&key, id);
            }
        }
    }

    pub(super) fn forget_gre(&mut self, key: &Key, master: u32) {
        let place = gre_key(key);
        if let Some(found) = self.gre_keys.get_mut(&place) {
            found.retain(|(_, id)| *id != master);
            if found.is_empty() {
                self.gre_keys.remove(&place);
            }
        }
    }

    /// Take an expectation out and tell it. `holder`: the flow at hand, not in the table yet, which may be its master.
    pub(super) fn unexpect(&mut self, slot: u32, holder: Option<&mut Flow>) -> Option<Expect> {
        let expect = self.expects.remove(slot)?;
        let master = match holder {
            Some(flow) if flow.id == expect.master.1 => Some(flow),
            _ => self.table.slot_of(&expect.master.0, expect.master.1).and_then(|slot| self.table.get_mut(slot)),
        };
        if let Some(extra) = master.and_then(|flow| flow.extra.as_mut()) {
            extra.expects.retain(|other| *other != slot);
        }
        self.tell(|teller, out| teller.expectation(out, Kind::ExpDestroy, &expect));
        Some(expect)
    }

    /// Write an event.
    #[inline]
    pub(super) fn tell(&mut self, write: impl FnOnce(&Teller<'_>, &mut Batch)) {
        let helpers = &self.helpers;
        let name = |helper: u16| helpers.get(usize::from(helper)).map_or("", |helper| helper.name.as_str());
        let teller = Teller { settings: &self.settings, now_ns: self.now_ns, helpers: &name };
        write(&teller, &mut self.out);
    }

    /// The flow table as a dump tells it.
    #[must_use]
    pub fn flows(&mut self) -> Batch {
        let mut out = Batch::default();
        std::mem::swap(&mut out, &mut self.out);
        let mut flows: Vec<(u32, Slot)> = self.table.iter().map(|(slot, flow)| (flow.id, slot)).collect();
        flows.sort_unstable();
        for (_, slot) in flows {
            if let Some(flow) = self.table.get(slot).cloned() {
                self.tell(|teller, out| teller.entry(out, &flow));
            }
        }
        std::mem::swap(&mut out, &mut self.out);
        out
    }

    /// The expectation table as a dump tells it.
    #[must_use]
    pub fn expectations(&mut self) -> Batch {
        let mut out = Batch::default();
        std::mem::swap(&mut out, &mut self.out);
        let expects: Vec<Expect> = self.expects.iter().cloned().collect();
        for expect in expects {
            self.tell(|teller, out| teller.expectation(out, Kind::ExpEntry, &expect));
        }
        std::mem::swap(&mut out, &mut self.out);
        out
    }
}
