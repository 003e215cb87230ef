//! NAT seen: captures of both sides of a gateway, put together.
//!
//! Where both sides are captured, each packet that is forwarded shows twice: as it arrives, and as it leaves, translated.
//! [`Pairing`] is shown the frames of all captures in order of time and finds the twins. From them follow
//!
//! - **bindings** ([`Binding`]): each connection's tuple as it arrived and as it left, which
//!   [`crate::engine::Engine::learn`] takes, so that its flows are translated as the gateway translated them;
//! - **a verdict** for each frame ([`Verdict`]): those that leave are to be skipped, since the gateway's own tracking
//!   saw the packet once, when it came.
//!
//! For files that is a first pass: show all frames, [`Pairing::finish`], then ask for the [`Pairing::verdict`] of each
//! frame while the engine is run. Live it is a delay: a verdict that can be taken ([`Pairing::take`]) is final,
//! and it takes a window and a quarter at most to become known (no time at all for packets of connections that were seen
//! on both sides).
//!
//! How twins are found: `fingerprint` has what stays the same, `waiting` the frames whose twin has not come,
//! `judge` decides between several, `flows` knows the connections: once a connection has been seen on both sides its
//! packets are told apart by their tuples alone, so that helpers may rewrite their payload and shift their numbers.
//! What little speaks for is not taken before the window has passed, and then is marked as a guess; packets that tell
//! better withdraw it. `clock` corrects clocks that differ, `trains` gives fragments the verdict of their first one.

mod clock;
mod counters;
mod fingerprint;
mod flows;
mod judge;
mod lanes;
mod trains;
mod waiting;

#[cfg(test)]
mod tests;

pub use counters::Counters;
pub use flows::Binding;
pub use lanes::Verdict;

use clock::Clocks;
use counters::count;
use fingerprint::{Print, print};
use flows::{Bound, Flows, Role};
use judge::{Fit, Payload, Side, arrives, fit, payload};
use lanes::{Lanes, Place};
use trains::{Train, Trains, train_of};
use waiting::{Frame, Waiting};

use crate::packet::{Packet, decode};
use crate::wire::constants::IPPROTO_TCP;

/// Without packets for so long a connection's ports may be another's. The kernel's shortest timeout that counts:
/// `nf_conntrack_udp_timeout`.
const IDLE_NS: u64 = 30_000_000_000;
/// Without packets for so long what looks like a connection's departure is the gateway's own (`udp_timeout_stream`).
const OVER_NS: u64 = 120_000_000_000;

/// Limits of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How far apart twins may be, nanoseconds.
    pub window_ns: i64,
    /// Frames that wait for a twin at once.
    pub waiting: usize,
    /// Connections that are remembered.
    pub flows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { window_ns: 2_000_000_000, waiting: 1 << 20, flows: 4 << 20 }
    }
}

/// Finds the twins of packets in captures of several sides of one gateway.
#[derive(Debug)]
pub struct Pairing {
    seed: [u64; 2],
    limits: Limits,
    /// By what lasts and by their connections, or by their ports where little lasts.
    waiting: Waiting,
    /// Those whose twin has not come in the window: by what lasts alone.
    left_over: Waiting,
    flows: Flows,
    lanes: Lanes,
    trains: Trains,
    clocks: Clocks,
    counters: Counters,
    now_ns: i64,
}

impl Pairing {
    /// `seed` is random where packets come from strangers: it guards the hash tables.
    #[must_use]
    pub fn new(limits: Limits, seed: [u64; 2]) -> Self {
        Self {
            seed,
            limits,
            waiting: Waiting::default(),
            left_over: Waiting::default(),
            flows: Flows::new(seed, limits.flows),
            lanes: Lanes::default(),
            trains: Trains::default(),
            clocks: Clocks::default(),
            counters: Counters::default(),
            now_ns: i64::MIN,
        }
    }

    /// The number by which a frame of several files is shown, where a file may have several interfaces.
    #[must_use]
    pub fn input_of(files: u32, file: u32, interface: u32) -> u32 {
        interface.saturating_mul(files).saturating_add(file)
    }

    /// Show the next frame. `input` is a number for the file or interface that has it.
    pub fn frame(&mut self, input: u32, time_ns: i64, linktype: u16, frame: &[u8], original_len: u32) {
        self.packet(input, time_ns, decode(linktype, frame, original_len).ok().as_ref());
    }

    /// Show the next packet; None: a frame without one.
    pub fn packet(&mut self, input: u32, time_ns: i64, packet: Option<&Packet<'_>>) {
        self.turn_clock(time_ns);
        count(&mut self.counters.frames);
        let place = self.lanes.begin(input);
        let Some(packet) = packet else {
            count(&mut self.counters.not_ip);
            return self.conclude(place, Verdict::Alone, None);
        };
        let train = train_of(input, packet);
        if let Some(train) = train
            && packet.fragment.is_some_and(|fragment| fragment.offset != 0)
        {
            if let Some(verdict) = self.trains.follow(train, place, time_ns) {
                self.conclude(place, verdict, None);
            }
            return;
        }
        match print(packet, self.seed) {
            Some(print) => self.place(Frame { print, place, time_ns, train: train.map(Box::new) }),
            None => self.conclude(place, Verdict::Alone, train.as_ref()),
        }
    }

    /// No more frames will come: whatever waits is settled.
    pub fn finish(&mut self) {
        while let Some(frame) = self.waiting.pop(0, |_| true) {
            self.guess(frame);
        }
        while let Some(frame) = self.left_over.pop(0, |_| true) {
            self.give_up(&frame);
        }
        for place in self.trains.finish() {
            self.conclude(place, Verdict::Alone, None);
        }
    }

    /// Take the verdict of an input's next frame. None: it is not known yet, or no frame is left.
    #[inline]
    pub fn take(&mut self, input: u32) -> Option<Verdict> {
        self.lanes.take(input)
    }

    /// The verdict of an input's frame by its number, from 0 on: for a second pass, which may be made again.
    #[inline]
    #[must_use]
    pub fn verdict(&self, input: u32, number: u64) -> Option<Verdict> {
        self.lanes.get(Place { input, number })
    }

    /// Frames whose verdict has not been taken.
    #[must_use]
    pub fn untaken(&self) -> usize {
        self.lanes.waiting()
    }

    /// The connections that were seen on both sides, translated or not, in order of their first pairs.
    pub fn bindings(&self) -> impl Iterator<Item = Binding> {
        self.flows.iter().filter(|bound| !bound.withdrawn).map(|bound| {
            let binding = bound.binding;
            let since_ns = binding.since_ns.saturating_sub(self.clocks.offset_ns(binding.came_by));
            Binding { since_ns, ..binding }
        })
    }

    /// By how much an input's clock is ahead of the reference; 0 unless packets seemed to leave before they came. To be
    /// subtracted from the times of its frames before they are merged for the engine.
    #[must_use]
    pub fn clock_offset_ns(&self, input: u32) -> i64 {
        self.clocks.offset_ns(input)
    }

    /// What was met, by name.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let bindings = || self.flows.iter().filter(|bound| !bound.withdrawn);
        let size = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Counters {
            bindings: size(bindings().count()),
            translated: size(bindings().filter(|bound| bound.binding.is_translated()).count()),
            ambiguous: size(bindings().filter(|bound| bound.binding.ambiguous).count()),
            ..self.counters
        }
    }

    /// Give up what has waited for longer than the window. The clock is the last frame's: one with a wrong time costs
    /// a window of pairs.
    fn turn_clock(&mut self, time_ns: i64) {
        self.now_ns = time_ns;
        let window = self.limits.window_ns.unsigned_abs();
        while let Some(frame) = self.waiting.pop(self.limits.waiting, |then| then.abs_diff(time_ns) > window) {
            if frame.time_ns.abs_diff(time_ns) <= window {
                count(&mut self.counters.window_full);
            }
            self.guess(frame);
        }
        // Twins are left over at about the same time.
        let patience = window.saturating_add(window / 4);
        while let Some(frame) = self.left_over.pop(self.limits.waiting, |then| then.abs_diff(time_ns) > patience) {
            self.give_up(&frame);
        }
        for place in self.trains.expire(time_ns) {
            self.conclude(place, Verdict::Alone, None);
        }
    }

    /// Find the frame's twin, or let it wait.
    fn place(&mut self, frame: Frame) {
        let side = self.side(&frame);
        if let Some((number, _)) = side.known.filter(|_| side.held)
            && let Some(bound) = self.flows.get_mut(number)
        {
            bound.last_ns = bound.last_ns.max(side.time_ns);
        }
        let (known, held, bucket) = (side.known, side.held, bucket_of(&side));
        if let Some(found) = self.best(&self.waiting, bucket, &frame, false)
            && let Some(other) = self.waiting.remove(found.slot)
        {
            return self.join(frame, other, &found);
        }
        // Its connection says what it is, twin or not. An error may be the gateway's own.
        if let Some((_, role)) = known.filter(|_| held && !frame.print.error) {
            self.conclude(frame.place, verdict_of(role), frame.train.as_deref());
        }
        self.waiting.add(bucket, frame);
    }

    /// The window has passed: take what fits at all.
    fn guess(&mut self, frame: Frame) {
        let bucket = frame.print.lasting;
        if let Some(found) = self.best(&self.left_over, bucket, &frame, true)
            && let Some(other) = self.left_over.remove(found.slot)
        {
            return self.join(frame, other, &found);
        }
        self.left_over.add(bucket, frame);
    }

    /// A frame as one of a possible pair.
    fn side<'a>(&self, frame: &'a Frame) -> Side<'a> {
        let input = frame.place.input;
        let time_ns = frame.time_ns.saturating_sub(self.clocks.offset_ns(input));
        let known = self.flows.find(input, &frame.print.key);
        let held = known.is_some_and(|(number, _)| {
            self.flows.get(number).is_some_and(|bound| {
                !bound.replaced
                    && !bound.binding.ambiguous
                    && !frame.print.opens
                    && (frame.print.key.l4proto == IPPROTO_TCP || time_ns.abs_diff(bound.last_ns) <= IDLE_NS)
            })
        });
        Side { print: &frame.print, input, time_ns, known, held }
    }

    /// The twin that fits best among those that wait.
    fn best(&self, among: &Waiting, bucket: u64, frame: &Frame, late: bool) -> Option<Found> {
        let side = self.side(frame);
        let mut best: Option<Found> = None;
        for (slot, candidate) in among.in_bucket(bucket) {
            let other = self.side(candidate);
            let Some(arrived) = arrives(&side, &other) else { continue };
            let (came, left) = if arrived { (&side, &other) } else { (&other, &side) };
            let Some(fit) = fit(came, left, self.limits.window_ns, late) else { continue };
            let same_place = |found: &Found| (found.key, found.input) == (candidate.print.key, other.input);
            match best.as_mut() {
                Some(found) if fit < found.fit => {}
                Some(found) if fit == found.fit => {
                    // The one that has waited longer, for a gateway keeps order; but there is a doubt.
                    found.ambiguous |= !same_place(found);
                    if other.time_ns <= found.time_ns {
                        let ambiguous = found.ambiguous;
                        *found = Found::new(slot, candidate, &other, arrived, fit);
                        found.ambiguous = ambiguous;
                    }
                }
                _ => best = Some(Found::new(slot, candidate, &other, arrived, fit)),
            }
        }
        best
    }

    /// Two frames are one packet.
    fn join(&mut self, frame: Frame, other: Frame, found: &Found) {
        let (came, left) = if found.arrived { (frame, other) } else { (other, frame) };
        count(&mut self.counters.pairs);
        self.conclude(came.place, Verdict::Arrived, came.train.as_deref());
        self.conclude(left.place, Verdict::Departed, left.train.as_deref());
        let certain = found.fit.is_certain() && !found.ambiguous && came.print.strong && left.print.strong;
        if certain {
            let delay_ns = left.time_ns.saturating_sub(came.time_ns);
            self.clocks.note(came.place.input, left.place.input, delay_ns);
        }
        let changed = payload(&came.print, &left.print);
        match changed {
            Payload::Same => {}
            Payload::Rewritten(_) => count(&mut self.counters.rewritten),
            Payload::Resegmented => count(&mut self.counters.resegmented),
        }
        if came.print.error {
            return; // of a connection that it quotes: it makes none
        }
        let number = if found.fit.is_known() {
            self.flows.find(came.place.input, &came.print.key).map(|(number, _)| number)
        } else {
            self.bind(&came, &left, found.ambiguous)
        };
        if let Some(bound) = number.and_then(|number| self.flows.get_mut(number)) {
            let time_ns = came.time_ns.max(left.time_ns);
            bound.last_ns = bound.last_ns.max(time_ns);
            bound.binding.pairs = bound.binding.pairs.saturating_add(1);
            if certain {
                bound.binding.ambiguous = false; // no chance makes such a pair
            }
            if let Payload::Rewritten(by) = changed {
                bound.binding.rewritten = bound.binding.rewritten.saturating_add(1);
                bound.binding.grown = bound.binding.grown.saturating_add(by);
            }
        }
    }

    /// A connection has been seen on both sides for the first time.
    fn bind(&mut self, came: &Frame, left: &Frame, ambiguous: bool) -> Option<u32> {
        let (came_by, went_by) = (came.place.input, left.place.input);
        if (came_by, came.print.key) == (went_by, left.print.key) {
            return None; // a router on one wire: tuples do not tell its sides apart, each pair does
        }
        let mut since_ns = came.time_ns;
        for (input, key) in [(came_by, came.print.key), (went_by, left.print.key)] {
            let Some((number, role)) = self.flows.find(input, &key) else { continue };
            let Some(doubted) = self.flows.get_mut(number).filter(|bound| bound.binding.ambiguous) else { continue };
            // What was a guess is known better now.
            doubted.withdrawn = true;
            count(&mut self.counters.withdrawn);
            if role == Role::Arrival && key == came.print.key {
                since_ns = since_ns.min(doubted.binding.since_ns);
            }
        }
        let binding = Binding {
            original: came.print.key,
            left: left.print.key,
            came_by,
            went_by,
            since_ns,
            pairs: 0,
            rewritten: 0,
            grown: 0,
            ambiguous,
        };
        let last_ns = came.time_ns;
        let number = self.flows.enter(Bound { binding, last_ns, replaced: false, withdrawn: false });
        if number.is_none() {
            count(&mut self.counters.flows_refused);
        }
        number
    }

    /// No twin has come.
    fn give_up(&mut self, frame: &Frame) {
        let side = self.side(frame);
        let role = side.known.filter(|(number, _)| self.is_fresh(*number, &side)).map(|(_, role)| role);
        let verdict = match role {
            Some(role) if !frame.print.error || role.arrives() => verdict_of(role),
            _ => Verdict::Alone,
        };
        count(match verdict {
            Verdict::Arrived => &mut self.counters.arrived_unpaired,
            Verdict::Departed => &mut self.counters.departed_unpaired,
            Verdict::Alone => &mut self.counters.alone,
        });
        self.conclude(frame.place, verdict, frame.train.as_deref());
    }

    /// Is what is known of a connection still good for a packet without a twin?
    fn is_fresh(&self, number: u32, side: &Side<'_>) -> bool {
        self.flows.get(number).is_some_and(|bound| {
            !bound.replaced
                && ((side.print.key.l4proto == IPPROTO_TCP && !side.print.opens)
                    || side.time_ns.abs_diff(bound.last_ns) <= OVER_NS)
        })
    }

    fn conclude(&mut self, place: Place, verdict: Verdict, train: Option<&Train>) {
        self.lanes.set(place, verdict);
        if let Some(train) = train {
            for follower in self.trains.decide(*train, verdict, self.now_ns) {
                self.lanes.set(follower, verdict);
            }
        }
    }
}

/// Where a frame waits, and its twin looks for it: packets of a connection that is known are apart from all others.
fn bucket_of(side: &Side<'_>) -> u64 {
    let Print { lasting, key, strong, .. } = side.print;
    let apart = match side.known.filter(|_| side.held) {
        Some((number, role)) => 1 << 63 | u64::from(number) << 1 | u64::from(role.is_reply()),
        // Little lasts: it is the ports that tell, which the kernel keeps where it can.
        None if !strong => 1 << 62 | u64::from(key.sport) << 16 | u64::from(key.dport),
        None => 0,
    };
    lasting ^ apart.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn verdict_of(role: Role) -> Verdict {
    if role.arrives() { Verdict::Arrived } else { Verdict::Departed }
}

/// A twin among those that wait.
struct Found {
    slot: u32,
    /// It is the frame at hand that came, and this one that left.
    arrived: bool,
    fit: Fit,
    ambiguous: bool,
    key: crate::engine::Key,
    input: u32,
    time_ns: i64,
}

impl Found {
    fn new(slot: u32, frame: &Frame, side: &Side<'_>, arrived: bool, fit: Fit) -> Self {
        let Print { key, .. } = frame.print;
        Self { slot, arrived, fit, ambiguous: fit.is_guess(), key, input: side.input, time_ns: side.time_ns }
    }
}
