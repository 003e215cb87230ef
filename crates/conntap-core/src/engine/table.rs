//! The flow table: slots, a keyed index of both tuples, and timers.
//!
//! A timer entry is never moved when a flow is refreshed: when its time comes, the flow's true expiry decides. A flow
//! that ends before its timer gets another a second later, unless it ends by then: handshakes and closes pass through
//! short timeouts within moments.

use std::collections::{BTreeSet, VecDeque};

use super::flow::Flow;
use super::index::Index;
use super::key::{Direction, Key};
use super::timers::Timers;
use crate::wire::constants::IPS_CONFIRMED;

/// A place in the table.
pub type Slot = u32;

#[derive(Debug)]
pub struct Table {
    seed: [u64; 2],
    /// In chunks, so that a growing table never moves and holds no more than it needs.
    chunks: Vec<Box<Chunk>>,
    /// Slots handed out so far.
    used: u32,
    free: Vec<Slot>,
    /// Slot × 2 + direction.
    index: Index,
    /// (time, flow id, slot); stale where the flow's own note differs.
    timers: Timers<Timer>,
    /// Flows that end before their timers, by when they get another, earliest first.
    soon: VecDeque<Timer>,
    len: usize,
    next_id: u32,
    /// Where the next search for an entry to drop early begins.
    cursor: Slot,
}

/// Time, flow id, slot.
type Timer = (i64, u32, Slot);

/// How long a flow that ends later than that waits for a timer.
const SOON_NS: i64 = 1_000_000_000;
const CHUNK: usize = 1024;
type Chunk = [Option<Flow>; CHUNK];

/// A slot's chunk and its place there.
#[inline]
fn at(slot: Slot) -> (usize, usize) {
    let slot = slot as usize; // 32 bits fit
    (slot / CHUNK, slot % CHUNK)
}

impl Table {
    pub fn new(seed: [u64; 2]) -> Self {
        Self {
            seed,
            chunks: Vec::new(),
            used: 0,
            free: Vec::new(),
            index: Index::new(),
            timers: Timers::new(|(time, ..)| *time),
            soon: VecDeque::new(),
            len: 0,
            next_id: 0,
            cursor: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes held, index and timers included.
    pub fn memory(&self) -> usize {
        let extras = self.iter().filter(|(_, flow)| flow.extra.is_some()).count();
        self.chunks
            .len()
            .saturating_mul(size_of::<Chunk>())
            .saturating_add(self.free.capacity().saturating_mul(size_of::<Slot>()))
            .saturating_add(self.index.memory())
            .saturating_add(self.timers.memory())
            .saturating_add(self.soon.capacity().saturating_mul(size_of::<Timer>()))
            .saturating_add(extras.saturating_mul(size_of::<super::flow::Extra>()))
    }

    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&Flow> {
        get(&self.chunks, slot)
    }

    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Flow> {
        self.place(slot)?.as_mut()
    }

    #[inline]
    fn place(&mut self, slot: Slot) -> Option<&mut Option<Flow>> {
        let (chunk, place) = at(slot);
        self.chunks.get_mut(chunk)?.get_mut(place)
    }

    /// The slot of a flow that still lives.
    pub fn slot_of(&self, orig: &Key, id: u32) -> Option<Slot> {
        let (slot, _) = self.find(orig)?;
        self.get(slot).filter(|flow| flow.id == id).map(|_| slot)
    }

    /// The flow that has this tuple, and in which direction.
    #[inline]
    pub fn find(&self, key: &Key) -> Option<(Slot, Direction)> {
        self.find_hashed(key, key.hash(self.seed))
    }

    #[inline]
    pub fn hash(&self, key: &Key) -> u64 {
        key.hash(self.seed)
    }

    #[inline]
    pub fn find_hashed(&self, key: &Key, hash: u64) -> Option<(Slot, Direction)> {
        let found = self.index.find(hash, |entry| {
            let (slot, direction) = parts(entry);
            self.get(slot).is_some_and(|flow| flow.is(direction, key))
        })?;
        Some(parts(found))
    }

    /// Ask for the memory that a lookup will need: first the index's, then the flow's.
    #[inline]
    pub fn touch_index(&self, hash: u64) {
        self.index.touch(hash);
    }

    #[inline]
    pub fn touch_flow(&self, hash: u64) {
        if let Some(flow) = self.index.guess(hash).and_then(|entry| self.get(parts(entry).0)) {
            // One field of each line that it lies on.
            std::hint::black_box((flow.counts[0].packets, flow.orig.src[0], flow.orig.sport, flow.expires_ns, flow.id));
        }
    }

    /// An id for a flow or expectation to be made.
    pub fn take_id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1).max(1);
        self.next_id
    }

    /// Enter a flow. Its tuples must be free.
    pub fn insert(&mut self, mut flow: Flow, now_ns: i64) -> Slot {
        flow.timer_ns = i64::MAX;
        let (orig, reply) = (flow.orig, flow.reply());
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.new_slot(),
        };
        if let Some(place) = self.place(slot) {
            *place = Some(flow);
        }
        self.len = self.len.saturating_add(1);
        self.need_timer(slot, now_ns);
        if orig != reply {
            self.index.insert(orig.hash(self.seed), entry(slot, Direction::Original));
        }
        // A host that talks to itself by one port: the kernel finds the reply direction (seen on 6.18).
        self.index.insert(reply.hash(self.seed), entry(slot, Direction::Reply));
        slot
    }

    fn set_timer(&mut self, slot: Slot) {
        let Some(flow) = self.get_mut(slot) else { return };
        flow.timer_ns = flow.expires_ns;
        let timer = (flow.timer_ns, flow.id, slot);
        let Self { timers, chunks, len, .. } = self;
        timers.push(timer, *len, |timer| counts(chunks, timer));
    }

    fn new_slot(&mut self) -> Slot {
        let slot = self.used;
        if at(slot).0 >= self.chunks.len() {
            let empty: Vec<Option<Flow>> = (0..CHUNK).map(|_| None).collect();
            if let Ok(chunk) = <Box<Chunk>>::try_from(empty.into_boxed_slice()) {
                self.chunks.push(chunk);
            }
        }
        self.used = self.used.saturating_add(1);
        slot
    }

    /// Take a flow out.
    pub fn remove(&mut self, slot: Slot) -> Option<Flow> {
        let (orig, reply) = self.get(slot).map(|flow| (flow.orig, flow.reply()))?;
        for (key, direction) in [(orig, Direction::Original), (reply, Direction::Reply)] {
            self.index.remove(key.hash(self.seed), entry(slot, direction));
        }
        let flow = self.place(slot)?.take()?;
        self.free.push(slot);
        self.len = self.len.saturating_sub(1);
        Some(flow)
    }

    /// Let a flow end at another time.
    #[inline]
    pub fn set_expiry(&mut self, slot: Slot, expires_ns: i64, now_ns: i64) {
        let Some(flow) = self.get_mut(slot) else { return };
        flow.expires_ns = expires_ns;
        if expires_ns < flow.timer_ns {
            self.need_timer(slot, now_ns);
        }
    }

    /// A flow ends before its timer.
    fn need_timer(&mut self, slot: Slot, now_ns: i64) {
        let Some(flow) = self.get_mut(slot) else { return };
        let soon_ns = now_ns.saturating_add(SOON_NS);
        if flow.expires_ns <= soon_ns {
            self.set_timer(slot);
        } else if !flow.waits_for_timer {
            flow.waits_for_timer = true;
            let wait = (soon_ns, flow.id, slot);
            self.soon.push_back(wait);
            if self.soon.len() > self.len.saturating_mul(2).saturating_add(CHUNK) {
                let Self { soon, chunks, .. } = self;
                soon.retain(|wait| waits(chunks, wait));
                soon.shrink_to_fit();
            }
        }
    }

    /// The time of the next timer that may be due; not every one ends a flow.
    #[inline]
    pub fn next_timer_ns(&self) -> Option<i64> {
        let timer = self.timers.first().map(|(time, ..)| *time);
        match self.soon.front() {
            Some((soon, ..)) => Some(timer.map_or(*soon, |timer| timer.min(*soon))),
            None => timer,
        }
    }

    /// Take the next timer; returns the flow that it ends, with its time. `upto_ns`: nothing later.
    pub fn pop_expired(&mut self, upto_ns: i64) -> Option<(i64, u32, Slot)> {
        while let Some((_, id, slot)) = self.soon.front().copied().filter(|(time, ..)| *time <= upto_ns) {
            self.soon.pop_front();
            if let Some(flow) = self.get_mut(slot).filter(|flow| flow.id == id) {
                flow.waits_for_timer = false;
                if flow.expires_ns < flow.timer_ns || flow.timer_ns == i64::MAX {
                    self.set_timer(slot);
                }
            }
        }
        while let Some((time, id, slot)) = self.timers.first().copied() {
            if time > upto_ns {
                return None;
            }
            self.timers.pop();
            let Some(flow) = self.get_mut(slot).filter(|flow| flow.id == id && flow.timer_ns == time) else { continue };
            if flow.expires_ns <= time {
                return Some((time, id, slot));
            }
            self.set_timer(slot);
        }
        None
    }

    /// The next flow that may be dropped, searching at most `steps` slots from where the last search ended.
    pub fn early_drop(&mut self, steps: u32, droppable: impl Fn(&Flow) -> bool) -> Option<Slot> {
        for _ in 0..steps.min(self.used) {
            let here = self.cursor;
            self.cursor = here.wrapping_add(1);
            if self.cursor >= self.used {
                self.cursor = 0;
            }
            if self.get(here).is_some_and(&droppable) {
                return Some(here);
            }
        }
        None
    }

    /// All flows, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Flow)> {
        (0..self.used).filter_map(|slot| Some((slot, self.get(slot)?)))
    }

    /// Each flow is found by both its tuples and has its timer, and nothing else is held.
    pub fn verify(&self) -> Result<(), String> {
        let (mut flows, mut keys) = (0_usize, 0_usize);
        for (slot, flow) in self.iter() {
            for direction in [Direction::Original, Direction::Reply] {
                if self.find(&flow.tuple(direction)).is_none_or(|(found, _)| found != slot) {
                    return Err(format!("not found by its {direction:?} tuple: {flow:?}"));
                }
            }
            flows = flows.saturating_add(1);
            keys = keys.saturating_add(if flow.orig == flow.reply() { 1 } else { 2 });
            if !flow.has(IPS_CONFIRMED) || (flow.timer_ns > flow.expires_ns && !flow.waits_for_timer) {
                return Err(format!("entered, and yet {flow:?}"));
            }
        }
        let timed = self.iter().filter(|(_, flow)| flow.timer_ns != i64::MAX || !flow.waits_for_timer);
        self.timers.verify(timed.map(|(slot, flow)| (flow.timer_ns, flow.id, slot)))?;
        let waiting: BTreeSet<_> = self.soon.iter().map(|(_, id, slot)| (*id, *slot)).collect();
        if let Some((_, flow)) =
            self.iter().find(|(slot, flow)| flow.waits_for_timer && !waiting.contains(&(flow.id, *slot)))
        {
            return Err(format!("waits for no timer: {flow:?}"));
        }
        let held = (flows, self.index.len(), (self.used as usize).saturating_sub(self.free.len()));
        if held == (self.len, keys, self.len) {
            Ok(())
        } else {
            Err(format!("{} flows, {keys} keys: {held:?}", self.len))
        }
    }
}

#[inline]
fn get(chunks: &[Box<Chunk>], slot: Slot) -> Option<&Flow> {
    let (chunk, place) = at(slot);
    chunks.get(chunk)?.get(place)?.as_ref()
}

/// Is it the one timer that its flow goes by?
fn counts(chunks: &[Box<Chunk>], (time_ns, id, slot): &Timer) -> bool {
    get(chunks, *slot).is_some_and(|flow| flow.id == *id && flow.timer_ns == *time_ns)
}

/// Does its flow still wait for a timer?
fn waits(chunks: &[Box<Chunk>], (_, id, slot): &Timer) -> bool {
    get(chunks, *slot).is_some_and(|flow| flow.id == *id && flow.waits_for_timer)
}

#[inline]
fn entry(slot: Slot, direction: Direction) -> u32 {
    (slot << 1) | u32::from(direction == Direction::Reply)
}

#[inline]
fn parts(entry: u32) -> (Slot, Direction) {
    (entry >> 1, if entry & 1 == 0 { Direction::Original } else { Direction::Reply })
}
