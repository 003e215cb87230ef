//! The border to protocol helpers: which connections carry one, what it is shown, what it may ask for.
//!
//! Source: kernel net/netfilter/nf_conntrack_helper.c, nf_conntrack_expect.c.

use super::counters::count;
use super::expect::{Check, Expect, Refused, Wanted};
use super::flow::{Flow, event};
use super::key::{Direction, Key};
use super::process::{Found, Place, Step};
use super::verdict::{Outcome, Reason, State};
use super::{Engine, gre_key, seconds};
use crate::model::Kind;
use crate::packet::Packet;
use crate::wire::constants::*;

/// Expectations of one class: how many a master may have, and how many seconds each lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub max_expected: u32,
    pub timeout: u32,
}

/// A helper that connections can carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    pub name: String,
    /// By class.
    pub policies: Vec<Policy>,
}

/// Which new connections get a helper, as a rule would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub helper: u16,
    pub l4proto: u8,
    /// Destination port of the original direction.
    pub dport: u16,
    /// AF_INET, AF_INET6, or 0 for both.
    pub family: u8,
}

/// Who is asked about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Whoever plays the gateway's rules: mark, drop, expect.
    Rules,
    Helper,
}

/// A packet that waits.
#[derive(Clone, Debug)]
pub struct Suspended {
    pub stage: Stage,
    /// From the IP header on.
    pub bytes: Vec<u8>,
    pub family: u8,
    pub l4proto: u8,
    pub l4_at: usize,
    /// Where the payload begins: behind the TCP or UDP header, else at the layer-4 header.
    pub payload_at: usize,
    pub direction: Direction,
    pub state: State,
    /// Sequence number of the payload's first byte (TCP).
    pub seq: u32,
    /// The helper has changed bytes.
    pub mangled: bool,
    /// The flow's sequence numbers were shifted before this packet.
    pub(super) adjust: bool,
    reason: Reason,
    pub(super) place: Option<Place>,
}

impl Suspended {
    pub(super) fn new(packet: &Packet<'_>, direction: Direction, state: State, stage: Stage, reason: Reason) -> Self {
        let (header, seq) = match (packet.l4proto, packet.l4().first_chunk::<20>()) {
            (IPPROTO_TCP, Some([_, _, _, _, s0, s1, s2, s3, _, _, _, _, offset, ..])) => {
                (usize::from(offset >> 4).wrapping_mul(4), u32::from_be_bytes([*s0, *s1, *s2, *s3]))
            }
            (IPPROTO_UDP, _) => (8, 0),
            _ => (0, 0),
        };
        let l4_at = usize::from(packet.l4_at);
        Self {
            stage,
            bytes: packet.ip.to_vec(),
            family: packet.family,
            l4proto: packet.l4proto,
            l4_at,
            payload_at: l4_at.saturating_add(header),
            direction,
            state,
            seq,
            mangled: false,
            adjust: false,
            reason,
            place: None,
        }
    }

    /// Is there a whole header of a protocol that helpers read?
    pub(super) fn is_readable(&self) -> bool {
        self.payload_at > self.l4_at && self.bytes.len() >= self.payload_at
    }

    pub(super) fn of(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// What the helper reads.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(self.payload_at..).unwrap_or_default()
    }
}

/// An expectation as a helper sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    pub slot: u32,
    pub id: u32,
    /// Made by the connection at hand.
    pub mine: bool,
    /// Its master carries the same helper, over the same protocol and family.
    pub same_helper: bool,
    pub wanted: Wanted,
}

impl Engine {
    /// Make a helper known; returns its number.
    pub fn add_helper(&mut self, helper: Helper) -> u16 {
        self.helpers.push(helper);
        u16::try_from(self.helpers.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// The number of the helper of that name.
    #[must_use]
    pub fn helper_number(&self, name: &str) -> Option<u16> {
        self.helpers.iter().position(|helper| helper.name == name).and_then(|at| u16::try_from(at).ok())
    }

    /// New connections to that port carry the helper.
    pub fn assign(&mut self, assignment: Assignment) {
        let Assignment { helper, l4proto, dport, family } = assignment;
        self.assignments.entry((l4proto, dport)).or_default().push((family, helper));
    }

    pub(super) fn assigned(&self, orig: &Key) -> Option<u16> {
        let rules = self.assignments.get(&(orig.l4proto, orig.dport))?;
        rules.iter().find(|(family, _)| *family == 0 || *family == orig.family).map(|(_, helper)| *helper)
    }

    /// Ids of the flows that carry a helper: O(table).
    #[must_use]
    pub fn helped_flows(&self) -> Vec<u32> {
        self.table.iter().filter(|(_, flow)| flow.helper().is_some()).map(|(_, flow)| flow.id).collect()
    }

    /// The packet that waits for its helper.
    #[must_use]
    pub fn call(&self) -> Option<&Suspended> {
        self.suspended.as_deref()
    }

    /// The flow whose packet waits.
    #[must_use]
    pub fn call_flow(&self) -> Option<&Flow> {
        match self.suspended.as_ref()?.place.as_ref()? {
            Place::Table(slot) => self.table.get(*slot),
            Place::Fresh(flow) => Some(flow),
        }
    }

    pub(super) fn call_flow_mut(&mut self) -> Option<&mut Flow> {
        match self.suspended.as_mut()?.place.as_mut()? {
            Place::Table(slot) => self.table.get_mut(*slot),
            Place::Fresh(flow) => Some(flow),
        }
    }

    /// Go on; `accept` false: the packet is dropped, and a new flow is not entered.
    pub fn resume(&mut self, accept: bool) -> Option<Step> {
        let mut suspended = self.suspended.take()?;
        let place = suspended.place.take()?;
        if !accept {
            return Some(Step::Done(self.dropped(&suspended, place)));
        }
        let helper = match &place {
            Place::Table(slot) => self.table.get(*slot).and_then(Flow::helper),
            Place::Fresh(flow) => flow.helper(),
        };
        if suspended.stage == Stage::Rules && helper.is_some() && suspended.is_readable() {
            suspended.stage = Stage::Helper;
            suspended.place = Some(place);
            self.suspended = Some(suspended);
            return Some(Step::Ask);
        }
        self.helped(&suspended, helper);
        let Suspended { direction, state, reason, bytes, adjust, l4_at, .. } = *suspended;
        let mut place = place;
        if self.forward {
            self.forwarded = bytes;
            if adjust {
                self.adjust_forwarded(&mut place, direction, l4_at);
            }
        }
        Some(self.confirm(Found { place, direction, state }, reason))
    }

    fn dropped(&mut self, suspended: &Suspended, place: Place) -> Outcome {
        let (counter, reason) = match suspended.stage {
            Stage::Rules => (&mut self.counters.rule_dropped, Reason::RuleDropped),
            Stage::Helper => (&mut self.counters.helper_dropped, Reason::HelperDropped),
        };
        count(counter);
        let mut flow_id = None;
        match place {
            Place::Fresh(mut flow) => self.forget_dependents(&mut flow),
            Place::Table(slot) => flow_id = self.table.get(slot).map(|flow| (flow.id, suspended.direction)),
        }
        Outcome { state: suspended.state, reason, dropped: true, flow: flow_id }
    }

    /// Enter an expectation of the flow at hand. Source: nf_ct_expect_related_report.
    ///
    /// # Errors
    /// [`Refused`]: the table does not take it.
    pub fn expect(&mut self, wanted: &Wanted) -> Result<Handle, Refused> {
        let refuse = |engine: &mut Self, why| {
            count(&mut engine.counters.expectations_refused);
            Err(why)
        };
        let Some(flow) = self.call_flow() else { return refuse(self, Refused::Full) };
        let mut as_announced = *wanted;
        if let Some(port) = self.announced(wanted) {
            as_announced.key.dport = port;
        }
        let wanted = &as_announced;
        let (master, helper) = ((flow.orig, flow.id), flow.helper());
        match self.expects.check(wanted, master.1) {
            Check::Free => {}
            Check::Replace(slot) => self.unexpect_own(slot),
            Check::Refuse(why) => return refuse(self, why),
        }
        let policies = helper.and_then(|helper| self.helpers.get(usize::from(helper)));
        let policy = policies.and_then(|helper| helper.policies.get(usize::from(wanted.class))).copied();
        // Without a helper (a rule's own expectation) there is no limit but the table's.
        let policy = policy.unwrap_or(Policy { max_expected: 0, timeout: 0 });
        let of_class: Vec<u32> = {
            let expects = self.call_flow().and_then(|flow| flow.extra.as_ref()).map(|extra| extra.expects.as_slice());
            let same = |slot: &&u32| self.expects.get(**slot).is_some_and(|found| found.wanted.class == wanted.class);
            expects.unwrap_or_default().iter().filter(same).copied().collect()
        };
        let limit = usize::try_from(policy.max_expected).unwrap_or(usize::MAX);
        if limit > 0
            && of_class.len() >= limit
            && let Some(oldest) = of_class.first()
        {
            self.unexpect_own(*oldest);
        }
        if self.expects.len() >= usize::try_from(self.settings.expect_max).unwrap_or(usize::MAX) {
            return refuse(self, Refused::Full);
        }
        let timeout = wanted.timeout.unwrap_or(policy.timeout);
        let confirmed = self.call_flow().is_some_and(|flow| flow.has(IPS_CONFIRMED));
        let id = self.table.take_id();
        let expect = Expect {
            wanted: *wanted,
            id,
            expires_ns: self.now_ns.saturating_add(seconds(timeout)),
            master,
            master_helper: helper,
            confirmed,
        };
        self.tell(|teller, out| teller.expectation(out, Kind::ExpNew, &expect));
        let slot = self.expects.insert(expect);
        if let Some(flow) = self.call_flow_mut() {
            flow.extra().expects.push(slot);
        }
        count(&mut self.counters.expectations);
        Ok(Handle { slot, id, mine: true, same_helper: true, wanted: *wanted })
    }

    /// Take out one of the flow at hand, which need not be in the table.
    fn unexpect_own(&mut self, slot: u32) {
        let mut suspended = self.suspended.take();
        let holder = match suspended.as_mut().and_then(|suspended| suspended.place.as_mut()) {
            Some(Place::Fresh(flow)) => Some(&mut **flow),
            _ => None,
        };
        self.unexpect(slot, holder);
        self.suspended = suspended;
    }

    /// The expectations of the flow at hand, newest first.
    #[must_use]
    pub fn own_expectations(&self) -> Vec<Handle> {
        let Some(extra) = self.call_flow().and_then(|flow| flow.extra.as_ref()) else { return Vec::new() };
        extra.expects.iter().rev().filter_map(|slot| self.handle(*slot)).collect()
    }

    fn handle(&self, slot: u32) -> Option<Handle> {
        let found = self.expects.get(slot)?;
        let flow = self.call_flow();
        let mine = flow.is_some_and(|flow| flow.id == found.master.1);
        let of = |key: &Key| (key.l4proto, key.family);
        let same_helper =
            flow.is_some_and(|flow| flow.helper() == found.master_helper && of(&flow.orig) == of(&found.master.0));
        Some(Handle { slot, id: found.id, mine, same_helper, wanted: found.wanted })
    }

    /// The expectation, active or not, that a connection with this tuple would match. Source: __nf_ct_expect_find.
    #[must_use]
    pub fn find_expectation(&self, key: &Key) -> Option<Handle> {
        self.expects.find(key, |_| true).and_then(|slot| self.handle(slot))
    }

    fn is(&self, handle: &Handle) -> bool {
        self.expects.get(handle.slot).is_some_and(|found| found.id == handle.id)
    }

    /// Take an expectation out; false if it is gone already.
    pub fn remove_expectation(&mut self, handle: &Handle) -> bool {
        if !self.is(handle) {
            return false;
        }
        self.unexpect_own(handle.slot);
        true
    }

    /// Let an expectation live so long from now on, and be matched from now on if `activate`.
    pub fn refresh_expectation(&mut self, handle: &Handle, timeout: u32, activate: bool) -> bool {
        if !self.is(handle) {
            return false;
        }
        self.expects.set_expiry(handle.slot, self.now_ns.saturating_add(seconds(timeout)));
        if activate && let Some(found) = self.expects.get_mut(handle.slot) {
            found.wanted.flags &= !NF_CT_EXPECT_INACTIVE;
        }
        true
    }

    /// Let the flow at hand live so long from now on.
    pub fn refresh_call(&mut self, timeout: u32) {
        let Some(mut suspended) = self.suspended.take() else { return };
        if let Some(place) = suspended.place.as_mut() {
            self.refresh(place, timeout);
        }
        self.suspended = Some(suspended);
    }

    /// PPTP: GRE packets of these tuples can be told apart from now on. False: the flow at hand has said otherwise.
    /// Source: nf_ct_gre_keymap_add.
    pub fn map_gre(&mut self, keys: [Key; 2]) -> bool {
        let Some(flow) = self.call_flow_mut() else { return false };
        // Anything else could name a flow that names another, and their end would go on and on.
        if flow.orig.l4proto != IPPROTO_TCP || keys.iter().any(|key| key.l4proto != IPPROTO_GRE) {
            return false;
        }
        let id = flow.id;
        if let Some(known) = flow.extra().gre {
            return known.iter().zip(&keys).all(|(known, key)| gre_key(known) == gre_key(key));
        }
        flow.extra().gre = Some(keys);
        for key in keys {
            self.gre_keys.entry(gre_key(&key)).or_default().push((key.sport, id));
        }
        true
    }

    /// PPTP: forget what [`Self::map_gre`] said of the flow at hand.
    pub fn unmap_gre(&mut self) {
        let Some(flow) = self.call_flow_mut() else { return };
        let (id, keys) = (flow.id, flow.extra().gre.take());
        for key in keys.into_iter().flatten() {
            self.forget_gre(&key, id);
        }
    }

    /// End the flow with this original tuple; false if there is none.
    pub fn kill(&mut self, key: &Key) -> bool {
        match self.table.find(key) {
            Some((slot, _)) => self.destroy(slot).is_some(),
            None => false,
        }
    }

    /// A new flow may be expected: then it takes what its master has to give. Source: nf_ct_find_expectation.
    pub(super) fn fulfil(&mut self, flow: &mut Flow) -> bool {
        let active = |found: &Expect| found.wanted.flags & NF_CT_EXPECT_INACTIVE == 0;
        let Some(slot) = self.expects.find(&flow.orig, active) else { return false };
        let Some(expect) = self.expects.get(slot).filter(|found| found.confirmed).cloned() else { return false };
        if expect.wanted.flags & NF_CT_EXPECT_PERMANENT == 0 {
            self.unexpect(slot, None);
        }
        flow.status |= IPS_EXPECTED;
        let master = self.table.slot_of(&expect.master.0, expect.master.1).and_then(|slot| self.table.get(slot));
        flow.mark = master.map_or(0, |master| master.mark);
        let extra = flow.extra();
        extra.master = Some(expect.master);
        extra.helper = expect.wanted.helper;
        if expect.wanted.removes_inverse
            && let Some(inverse) = self.inverse_of(flow, &expect)
            && let Some(other) = self.expects.find(&inverse, |found| found.master.1 == expect.master.1)
        {
            self.unexpect(other, None);
        }
        self.translate_child(flow, &expect);
        true
    }

    /// What the expectation for a call's other direction waits for. Source: pptp_expectfn, pptp_nat_expected.
    fn inverse_of(&self, flow: &Flow, expect: &Expect) -> Option<Key> {
        let Some(nat) = expect.wanted.nat else { return flow.orig.inverse() };
        let master = self.table.get(self.table.slot_of(&expect.master.0, expect.master.1)?)?.reply();
        let (src, dst) = (master.src, master.dst);
        Some(Key { src, dst, sport: expect.wanted.key.dport, dport: nat.saved_port, ..flow.orig })
    }

    /// Set the mark of the flow at hand. Source: nft_ct_set_eval.
    pub fn set_mark(&mut self, mark: u32) {
        if let Some(flow) = self.call_flow_mut()
            && flow.mark != mark
        {
            flow.mark = mark;
            flow.pending |= event::MARK;
        }
    }

    /// Ask about every packet of a flow, before its helper: [`Stage::Rules`].
    pub fn ask_rules(&mut self) {
        self.rules = true;
    }
}
