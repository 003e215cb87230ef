//! A packet's way through the engine, in the order of the kernel's hooks.
//!
//! Defragment → find or make the flow → track → (rules) → helper → confirm → tell.
//! Source: nf_conntrack_in, resolve_normal_ct, init_conntrack, nf_confirm.

use super::Engine;
use super::ahead::Prepared;
use super::counters::count;
use super::flow::{Flow, event};
use super::helper::{Stage, Suspended};
use super::icmp::{self, Class};
use super::key::{Direction, Key};
use super::refragment::Arrived;
use super::rewrite;
use super::seconds;
use super::table::Slot;
use super::track::{self, Track, Verdict};
use super::verdict::{Outcome, Reason, State};
use crate::packet::checksum::{Checksum, verify_l4};
use crate::packet::{Packet, PacketError, Reassembled, decode_rebuilt};
use crate::wire::constants::*;

/// How far a search for an entry to drop early goes.
const EARLY_DROP_STEPS: u32 = 128;

/// A packet with what is not in it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Nanoseconds since the epoch.
    pub time_ns: i64,
    pub packet: &'a Packet<'a>,
    /// Zone in both directions.
    pub zone: u16,
    /// The interfaces by which it comes and goes, numbered as the caller likes; NAT rules may ask.
    pub came_by: u32,
    pub goes_by: u32,
    /// Somebody knows that the layer-4 checksum is right, or will be.
    pub verified: bool,
    /// What was found of it ahead of time; only for zone 0.
    pub prepared: Option<&'a Prepared>,
}

impl<'a> Input<'a> {
    /// A packet of zone 0 whose interfaces do not matter.
    #[must_use]
    pub fn new(time_ns: i64, packet: &'a Packet<'a>) -> Self {
        Self { time_ns, packet, zone: 0, came_by: 0, goes_by: 0, verified: false, prepared: None }
    }
}

/// How far a packet has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    Done(Outcome),
    /// A helper, or whoever plays the rules, has to be asked: see [`Engine::call`], then [`Engine::resume`].
    Ask,
}

/// Where a packet's flow is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Table(Slot),
    /// Not confirmed yet.
    Fresh(Box<Flow>),
}

/// A packet that found its flow.
pub(super) struct Found {
    pub place: Place,
    pub direction: Direction,
    pub state: State,
}

impl Engine {
    /// A frame that holds no packet for the IP layer.
    pub fn refused(&mut self, error: PacketError) -> Outcome {
        count(&mut self.counters.packets);
        if let Some(refused) = self.counters.refused.get_mut(error.counter()) {
            count(refused);
        }
        self.forwarded.clear();
        self.arrived = None;
        self.last = None;
        Outcome { state: State::Unseen, reason: Reason::Ip(error), dropped: true, flow: None }
    }

    /// Let one packet pass.
    #[inline]
    pub fn packet(&mut self, input: &Input<'_>) -> Step {
        count(&mut self.counters.packets);
        self.advance(input.time_ns);
        if input.packet.is_cut() {
            count(&mut self.counters.cut);
        }
        self.forwarded.clear();
        self.arrived = None;
        self.last = None;
        self.interfaces = (input.came_by, input.goes_by);
        self.verify = self.settings.checksum && !input.verified;
        if input.packet.needs_reassembly() {
            return self.fragment(input);
        }
        if let Some(Prepared { key, hash }) = input.prepared {
            return self.tracked(input.packet, key, *hash);
        }
        self.whole(input.packet, input.zone)
    }

    /// Packets that nobody translates leave as they came.
    #[inline]
    fn pass_on(&mut self, packet: &Packet<'_>) {
        if self.forward {
            self.forwarded = packet.ip.to_vec();
        }
    }

    fn fragment(&mut self, input: &Input<'_>) -> Step {
        let unseen = |reason| Step::Done(Outcome { state: State::Unseen, reason, dropped: true, flow: None });
        match self.fragments.push(input.packet, self.now_ns) {
            Reassembled::Whole(datagram) => match decode_rebuilt(&datagram.bytes) {
                Ok(packet) => {
                    if self.forward {
                        let arrived = Arrived::new(datagram.pieces, &packet, self.verify);
                        self.arrived = Some(Box::new(arrived));
                    }
                    self.whole(&packet, input.zone)
                }
                Err(error) => unseen(Reason::Ip(error)),
            },
            Reassembled::Queued => {
                count(&mut self.counters.fragments_queued);
                unseen(Reason::WaitingForFragments)
            }
            Reassembled::AsIs => self.whole(input.packet, input.zone),
            Reassembled::Dropped(error) => {
                count(&mut self.counters.fragments_dropped);
                unseen(Reason::Fragment(error))
            }
        }
    }

    fn invalid(&mut self, packet: &Packet<'_>, reason: Reason) -> Step {
        count(&mut self.counters.invalid);
        self.pass_on(packet);
        Step::Done(Outcome { state: State::Invalid, reason, dropped: false, flow: None })
    }

    #[inline]
    fn whole(&mut self, packet: &Packet<'_>, zone: u16) -> Step {
        if packet.no_l4.is_some() {
            return self.invalid(packet, Reason::NoTransport);
        }
        if matches!((packet.l4proto, packet.family), (IPPROTO_ICMP, AF_INET) | (IPPROTO_ICMPV6, AF_INET6)) {
            let track =
                Track { settings: &self.settings, now_ns: self.now_ns, verify: self.verify, shorten_to_ns: None };
            let gre_keys = &self.gre_keys;
            match icmp::classify(packet, zone, &|key| Self::gre_key_of(gre_keys, key), &track) {
                Class::Query => {}
                Class::Error(quoted) => return self.icmp_error(packet, &quoted),
                Class::Invalid(reason) => return self.invalid(packet, reason),
                Class::Untracked => {
                    count(&mut self.counters.untracked);
                    self.pass_on(packet);
                    let reason = Reason::NeighbourDiscovery;
                    return Step::Done(Outcome { state: State::Untracked, reason, dropped: false, flow: None });
                }
            }
        }
        let gre_keys = &self.gre_keys;
        let key = match super::extract::key(packet, zone, &|key| Self::gre_key_of(gre_keys, key)) {
            Ok(key) => key,
            Err(reason) => return self.invalid(packet, reason),
        };
        let hash = self.table.hash(&key);
        self.tracked(packet, &key, hash)
    }

    /// An ICMP error belongs to the flow whose packet it quotes. Source: nf_conntrack_inet_error.
    fn icmp_error(&mut self, packet: &Packet<'_>, quoted: &Key) -> Step {
        let Some(inverse) = quoted.inverse() else { return self.invalid(packet, Reason::QuoteUnknown) };
        let Some((slot, direction)) = self.table.find(&inverse) else {
            return self.invalid(packet, Reason::QuoteUnknown);
        };
        let Some(flow) = self.table.get(slot) else { return self.invalid(packet, Reason::QuoteUnknown) };
        if packet.dst != flow.tuple(direction).dst {
            return self.invalid(packet, Reason::QuoteElsewhere);
        }
        // NAT looks at the sum itself, whatever nf_conntrack_checksum says. Source: nf_nat_icmp_reply_translation.
        let unchecked = self.nat.is_on() && !self.settings.checksum;
        let (id, mut dropped) = (flow.id, unchecked && verify_l4(packet) == Checksum::Bad);
        self.last = Some(slot);
        if self.forward && !dropped {
            let mut bytes = packet.ip.to_vec();
            match rewrite::translate_error(&mut bytes, packet, flow, direction) {
                Some(written) => {
                    self.wrote(written);
                    self.forwarded = bytes;
                }
                None => dropped = true,
            }
        }
        let flow = Some((id, direction));
        Step::Done(Outcome { state: State::Related, reason: Reason::ErrorAboutFlow, dropped, flow })
    }

    /// Find or make the flow, and track. A reopened connection goes round twice.
    #[inline]
    fn tracked(&mut self, packet: &Packet<'_>, key: &Key, hash: u64) -> Step {
        let mut reopened = false;
        loop {
            let mut found = match self.table.find_hashed(key, hash) {
                Some((slot, direction)) => Found { place: Place::Table(slot), direction, state: State::New },
                None => match self.fresh(key) {
                    Ok(found) => found,
                    Err(outcome) => {
                        if !outcome.dropped {
                            self.pass_on(packet);
                        }
                        return Step::Done(outcome);
                    }
                },
            };
            let mut track =
                Track { settings: &self.settings, now_ns: self.now_ns, verify: self.verify, shorten_to_ns: None };
            let in_table = match found.place {
                Place::Table(slot) => Some(slot),
                Place::Fresh(_) => None,
            };
            let flow = match &mut found.place {
                Place::Table(slot) => match self.table.get_mut(*slot) {
                    Some(flow) => {
                        found.state = standing(flow, found.direction);
                        flow
                    }
                    None => return self.invalid(packet, Reason::NoTransport),
                },
                Place::Fresh(flow) => flow,
            };
            let verdict = track::packet(flow, packet, found.direction, &mut track);
            let shorten_to_ns = track.shorten_to_ns;
            match verdict {
                Verdict::Accept { mut reason, timeout } => {
                    add(flow, found.direction, packet);
                    if let Some(slot) = in_table
                        && !self.forward
                        && !self.rules
                        && flow.extra.is_none()
                    {
                        // Nobody but the tracker has a say: all that is left of the way, without looking the flow up again.
                        let direction = found.direction;
                        answer(flow, direction, &mut reason);
                        let expires_ns = self.now_ns.saturating_add(seconds(timeout));
                        let (flow_id, pending) = (flow.id, flow.pending);
                        if !flow.has(IPS_FIXED_TIMEOUT) {
                            if expires_ns < flow.timer_ns {
                                self.table.set_expiry(slot, expires_ns, self.now_ns);
                            } else {
                                flow.expires_ns = expires_ns;
                            }
                        }
                        self.last = Some(slot);
                        if pending != 0 {
                            self.tell_changes(slot);
                        }
                        let flow = Some((flow_id, direction));
                        return Step::Done(Outcome { state: found.state, reason, dropped: false, flow });
                    }
                    self.refresh(&mut found.place, timeout);
                    if reopened {
                        reason = Reason::Reopened;
                    } else if matches!(reason, Reason::FirstPacket) && found.state == State::Related {
                        reason = Reason::MatchesExpectation;
                    }
                    return self.accepted(packet, found, reason);
                }
                Verdict::Ignore(reason) => return self.accepted(packet, found, reason),
                Verdict::Kill(reason) => {
                    add(flow, found.direction, packet);
                    return self.killed(packet, found, reason);
                }
                Verdict::Repeat => {
                    if let Place::Table(slot) = found.place {
                        self.destroy(slot);
                    }
                    reopened = true;
                }
                Verdict::Invalid(reason) => {
                    let mut about = None;
                    match found.place {
                        Place::Table(slot) => {
                            if let Some(time_ns) = shorten_to_ns {
                                self.table.set_expiry(slot, time_ns, self.now_ns);
                            }
                            self.last = Some(slot);
                            about = self.table.get(slot).map(|flow| (flow.id, found.direction));
                        }
                        Place::Fresh(mut flow) => self.forget_dependents(&mut flow),
                    }
                    self.invalid(packet, reason);
                    return Step::Done(Outcome { state: State::Invalid, reason, dropped: false, flow: about });
                }
            }
        }
    }

    /// Make a flow for a tuple that none has. Source: init_conntrack.
    fn fresh(&mut self, key: &Key) -> Result<Found, Outcome> {
        let invalid = |engine: &mut Self, reason| {
            count(&mut engine.counters.invalid);
            Outcome { state: State::Invalid, reason, dropped: false, flow: None }
        };
        if key.inverse().is_none() {
            return Err(invalid(self, Reason::NoInverse));
        }
        let limit = usize::try_from(self.settings.max_entries).unwrap_or(usize::MAX);
        if limit > 0 && self.table.len() >= limit && !self.drop_early() {
            count(&mut self.counters.table_full);
            return Err(Outcome { state: State::Invalid, reason: Reason::TableFull, dropped: true, flow: None });
        }
        let mut flow = Box::new(Flow { id: self.table.take_id(), expires_ns: self.now_ns, ..Flow::bare(*key) });
        let mut state = State::New;
        if !self.expects.is_empty() && self.fulfil(&mut flow) {
            state = State::Related;
        }
        Ok(Found { place: Place::Fresh(flow), direction: Direction::Original, state })
    }

    /// A full table: let go an entry that nobody would miss. Source: early_drop; which one it meets is chance there too.
    fn drop_early(&mut self) -> bool {
        let Some(slot) = self.table.early_drop(EARLY_DROP_STEPS, |flow| !flow.has(IPS_ASSURED)) else { return false };
        count(&mut self.counters.early_dropped);
        self.destroy(slot);
        true
    }

    /// Let a flow live for so long from now on.
    #[inline]
    pub(super) fn refresh(&mut self, place: &mut Place, timeout: u32) {
        let expires_ns = self.now_ns.saturating_add(seconds(timeout));
        match place {
            Place::Fresh(flow) => flow.expires_ns = expires_ns,
            Place::Table(slot) => {
                if self.table.get(*slot).is_some_and(|flow| !flow.has(IPS_FIXED_TIMEOUT)) {
                    self.table.set_expiry(*slot, expires_ns, self.now_ns);
                }
            }
        }
    }

    pub(super) fn flow_mut<'f>(&'f mut self, place: &'f mut Place) -> Option<&'f mut Flow> {
        match place {
            Place::Table(slot) => self.table.get_mut(*slot),
            Place::Fresh(flow) => Some(flow),
        }
    }

    fn killed(&mut self, packet: &Packet<'_>, found: Found, reason: Reason) -> Step {
        let Place::Table(slot) = found.place else { return self.invalid(packet, reason) };
        if self.forward {
            self.forwarded = packet.ip.to_vec();
            if let Some(flow) = self.table.get(slot) {
                let translated = rewrite::translate(&mut self.forwarded, packet, flow, found.direction);
                self.wrote(translated.unwrap_or_default());
            }
        }
        let id = self.destroy(slot).map_or(0, |flow| flow.id);
        Step::Done(Outcome { state: found.state, reason, dropped: false, flow: Some((id, found.direction)) })
    }

    /// The tracker has let it pass: what rules do, then the helper, then the end of the way.
    #[inline]
    fn accepted(&mut self, packet: &Packet<'_>, mut found: Found, mut reason: Reason) -> Step {
        let direction = found.direction;
        if let Some(flow) = self.flow_mut(&mut found.place) {
            answer(flow, direction, &mut reason);
        }
        if let Place::Fresh(flow) = &mut found.place
            && (self.nat.is_on() || !self.assignments.is_empty())
        {
            let mut fresh = std::mem::replace(flow, Box::new(Flow::bare(flow.orig)));
            self.apply_rules(&mut fresh);
            found.place = Place::Fresh(fresh);
        }
        let mut adjust = false;
        if self.forward {
            let mut bytes = packet.ip.to_vec();
            let translated = self.flow_mut(&mut found.place).and_then(|flow| {
                adjust = flow.has(IPS_SEQ_ADJUST);
                rewrite::translate(&mut bytes, packet, flow, direction)
            });
            let Some(written) = translated else { return self.untranslated(found) };
            self.wrote(written);
            self.forwarded = bytes;
        }
        let helper = self.flow_mut(&mut found.place).and_then(|flow| flow.helper());
        if self.rules || helper.is_some() {
            let stage = if self.rules { Stage::Rules } else { Stage::Helper };
            let mut suspended = Suspended::new(packet, direction, found.state, stage, reason);
            if self.forward {
                suspended.bytes = std::mem::take(&mut self.forwarded);
            }
            suspended.adjust = adjust;
            if stage == Stage::Rules || suspended.is_readable() {
                self.suspended = Some(Box::new(suspended.of(found.place)));
                return Step::Ask;
            }
            if self.forward {
                self.forwarded = suspended.bytes;
            }
        }
        if adjust {
            self.adjust_forwarded(&mut found.place, direction, usize::from(packet.l4_at));
        }
        self.confirm(found, reason)
    }

    /// What rules do with a new flow: its translation, and its helper by the port to which it goes then.
    fn apply_rules(&mut self, flow: &mut Flow) {
        if self.nat.is_on() {
            let (came_by, goes_by) = self.interfaces;
            self.nat_new(flow, came_by, goes_by);
        }
        if flow.helper().is_none()
            && let Some(seen) = flow.reply().inverse()
            && let Some(number) = self.assigned(&seen)
        {
            flow.extra().helper = Some(number);
            flow.status |= IPS_HELPER;
        }
    }

    /// A packet too short to be translated goes no further.
    fn untranslated(&mut self, found: Found) -> Step {
        let flow = match found.place {
            Place::Fresh(mut flow) => {
                self.forget_dependents(&mut flow);
                None
            }
            Place::Table(slot) => self.table.get(slot).map(|flow| (flow.id, found.direction)),
        };
        Step::Done(Outcome { state: found.state, reason: Reason::Untranslatable, dropped: true, flow })
    }

    /// Shift the sequence numbers of the packet that is about to leave.
    pub(super) fn adjust_forwarded(&mut self, place: &mut Place, direction: Direction, l4_at: usize) {
        let mut bytes = std::mem::take(&mut self.forwarded);
        if let Some(flow) = self.flow_mut(place) {
            let written = rewrite::adjust_sequence(&mut bytes, l4_at, flow, direction);
            self.wrote(written);
        }
        self.forwarded = bytes;
    }

    /// The end of the way: enter a new flow, tell what changed. Source: __nf_conntrack_confirm.
    #[inline]
    pub(super) fn confirm(&mut self, found: Found, reason: Reason) -> Step {
        let slot = match found.place {
            Place::Table(slot) => slot,
            Place::Fresh(flow) => match self.enter(flow) {
                Some(slot) => slot,
                None => {
                    count(&mut self.counters.insert_failed);
                    self.forwarded.clear();
                    let reason = Reason::TupleTaken;
                    return Step::Done(Outcome { state: found.state, reason, dropped: true, flow: None });
                }
            },
        };
        let Some(flow) = self.table.get(slot) else {
            return Step::Done(Outcome { state: found.state, reason, dropped: false, flow: None });
        };
        let flow_id = flow.id;
        self.last = Some(slot);
        if flow.pending != 0 {
            self.tell_changes(slot);
        }
        Step::Done(Outcome { state: found.state, reason, dropped: false, flow: Some((flow_id, found.direction)) })
    }

    fn enter(&mut self, mut flow: Box<Flow>) -> Option<Slot> {
        // Another may have come by the same translated tuple.
        if self.table.find(&flow.reply()).is_some() {
            self.forget_dependents(&mut flow);
            return None;
        }
        flow.status |= IPS_CONFIRMED;
        flow.start_ns = self.now_ns;
        let extra = flow.extra.as_deref();
        let expects = extra.map(|extra| extra.expects.clone()).unwrap_or_default();
        let is_child = extra.is_some_and(|extra| extra.master.is_some());
        flow.pending |= if is_child { event::RELATED } else { event::NEW };
        if flow.helper().is_some() {
            flow.pending |= event::HELPER;
        }
        count(&mut self.counters.flows);
        let slot = self.table.insert(*flow, self.now_ns);
        for expect in expects {
            if let Some(expect) = self.expects.get_mut(expect) {
                expect.confirmed = true;
            }
        }
        Some(slot)
    }

    fn tell_changes(&mut self, slot: Slot) {
        let helpers = &self.helpers;
        let name = |helper: u16| helpers.get(usize::from(helper)).map_or("", |helper| helper.name.as_str());
        let teller = super::events::Teller { settings: &self.settings, now_ns: self.now_ns, helpers: &name };
        if let Some(flow) = self.table.get_mut(slot) {
            teller.changed(&mut self.out, flow);
            flow.pending = 0;
        }
    }
}

/// What rules see of a packet of a flow that stands.
#[inline]
fn standing(flow: &Flow, direction: Direction) -> State {
    match direction {
        Direction::Reply => State::Established,
        Direction::Original if flow.has(IPS_SEEN_REPLY) => State::Established,
        Direction::Original if flow.has(IPS_EXPECTED) => State::Related,
        Direction::Original => State::New,
    }
}

/// Note the first packet that comes back.
#[inline]
fn answer(flow: &mut Flow, direction: Direction, reason: &mut Reason) {
    if direction == Direction::Reply && !flow.has(IPS_SEEN_REPLY) {
        flow.status |= IPS_SEEN_REPLY;
        flow.pending |= event::REPLY;
        if matches!(reason, Reason::Again | Reason::InWindow) {
            *reason = Reason::Answer;
        }
    }
}

/// Count a packet of a flow.
#[inline]
fn add(flow: &mut Flow, direction: Direction, packet: &Packet<'_>) {
    if let Some(counted) = flow.counts.get_mut(direction.index()) {
        counted.packets = counted.packets.wrapping_add(1);
        counted.bytes = counted.bytes.wrapping_add(u64::from(packet.total_len));
    }
}
