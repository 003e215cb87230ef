//! The flow table: slots, a keyed index of both tuples, and one timer heap.
//!
//! A timer entry is never moved when a flow is refreshed: when its time comes, the flow's true expiry decides.

use hashbrown::HashTable;

use super::flow::Flow;
use super::key::{Direction, Key};
use super::timers::{Timer, Timers};
use crate::wire::constants::IPS_CONFIRMED;

/// A place in the table.
pub type Slot = u32;

#[derive(Debug)]
pub struct Table {
    seed: [u64; 2],
    slots: Vec<Option<Flow>>,
    free: Vec<Slot>,
    /// Slot × 2 + direction.
    index: HashTable<u32>,
    /// Stale where the flow's own note differs.
    timers: Timers,
    len: usize,
    next_id: u32,
    /// Where the next search for an entry to drop early begins.
    cursor: usize,
}

fn at(slot: Slot) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

impl Table {
    pub fn new(seed: [u64; 2]) -> Self {
        Self {
            seed,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            timers: Timers::default(),
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
        let slots = self.slots.capacity().saturating_mul(size_of::<Option<Flow>>());
        let extras = self.slots.iter().flatten().filter(|flow| flow.extra.is_some()).count();
        slots
            .saturating_add(self.free.capacity().saturating_mul(size_of::<Slot>()))
            .saturating_add(self.index.allocation_size())
            .saturating_add(self.timers.memory())
            .saturating_add(extras.saturating_mul(size_of::<super::flow::Extra>()))
    }

    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&Flow> {
        self.slots.get(at(slot)).and_then(Option::as_ref)
    }

    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Flow> {
        self.slots.get_mut(at(slot)).and_then(Option::as_mut)
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
        let found = self.index.find(hash, |entry| self.entry_key(*entry) == Some(*key))?;
        Some(parts(*found))
    }

    #[inline]
    fn entry_key(&self, entry: u32) -> Option<Key> {
        let (slot, direction) = parts(entry);
        self.get(slot).map(|flow| flow.tuple(direction))
    }

    /// An id for a flow or expectation to be made.
    pub fn take_id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1).max(1);
        self.next_id
    }

    /// Enter a flow. Its tuples must be free.
    pub fn insert(&mut self, mut flow: Flow) -> Slot {
        flow.timer_ns = flow.expires_ns;
        let (id, expires_ns, orig, reply) = (flow.id, flow.expires_ns, flow.orig, flow.reply());
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                Slot::try_from(self.slots.len().saturating_sub(1)).unwrap_or(Slot::MAX)
            }
        };
        if let Some(place) = self.slots.get_mut(at(slot)) {
            *place = Some(flow);
        }
        self.len = self.len.saturating_add(1);
        self.push_timer((expires_ns, id, slot));
        if orig != reply {
            self.add_to_index(&orig, entry(slot, Direction::Original));
        }
        // A host that talks to itself by one port: the kernel finds the reply direction (seen on 6.18).
        self.add_to_index(&reply, entry(slot, Direction::Reply));
        slot
    }

    fn push_timer(&mut self, timer: Timer) {
        let Self { timers, slots, len, .. } = self;
        timers.push(timer, *len, |timer| counts(slots, timer));
    }

    fn add_to_index(&mut self, key: &Key, entry: u32) {
        let Self { index, slots, seed, .. } = self;
        let rehash = |entry: &u32| {
            let (slot, direction) = parts(*entry);
            slots.get(at(slot)).and_then(Option::as_ref).map_or(0, |flow| flow.tuple(direction).hash(*seed))
        };
        index.insert_unique(key.hash(*seed), entry, rehash);
    }

    /// Take a flow out.
    pub fn remove(&mut self, slot: Slot) -> Option<Flow> {
        let (orig, reply) = self.get(slot).map(|flow| (flow.orig, flow.reply()))?;
        for (key, direction) in [(orig, Direction::Original), (reply, Direction::Reply)] {
            let wanted = entry(slot, direction);
            if let Ok(found) = self.index.find_entry(key.hash(self.seed), |entry| *entry == wanted) {
                found.remove();
            }
        }
        let flow = self.slots.get_mut(at(slot))?.take()?;
        self.free.push(slot);
        self.len = self.len.saturating_sub(1);
        Some(flow)
    }

    /// Let a flow end at another time.
    #[inline]
    pub fn set_expiry(&mut self, slot: Slot, expires_ns: i64) {
        let Some(flow) = self.slots.get_mut(at(slot)).and_then(Option::as_mut) else { return };
        flow.expires_ns = expires_ns;
        if expires_ns < flow.timer_ns {
            flow.timer_ns = expires_ns;
            let id = flow.id;
            self.push_timer((expires_ns, id, slot));
        }
    }

    /// The time of the next timer that may be due; not every one ends a flow.
    #[inline]
    pub fn next_timer_ns(&self) -> Option<i64> {
        self.timers.peek().map(|(at, ..)| at)
    }

    /// Take the next timer; returns the flow that it ends, with its time. `upto_ns`: nothing later.
    pub fn pop_expired(&mut self, upto_ns: i64) -> Option<Timer> {
        while let Some(timer) = self.timers.peek().filter(|(time, ..)| *time <= upto_ns) {
            self.timers.pop();
            if !counts(&self.slots, &timer) {
                continue;
            }
            let (time, id, slot) = timer;
            let Some(flow) = self.get_mut(slot) else { continue };
            if flow.expires_ns <= time {
                return Some(timer);
            }
            let again = flow.expires_ns;
            flow.timer_ns = again;
            self.push_timer((again, id, slot));
        }
        None
    }

    /// The next flow that is not ASSURED, searching at most `steps` slots from where the last search ended.
    pub fn early_drop(&mut self, steps: usize, droppable: impl Fn(&Flow) -> bool) -> Option<Slot> {
        for _ in 0..steps.min(self.slots.len()) {
            let here = self.cursor;
            self.cursor = self.cursor.wrapping_add(1);
            if self.cursor >= self.slots.len() {
                self.cursor = 0;
            }
            if self.slots.get(here).and_then(Option::as_ref).is_some_and(&droppable) {
                return Slot::try_from(here).ok();
            }
        }
        None
    }

    /// All flows, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Flow)> {
        self.slots.iter().enumerate().filter_map(|(slot, flow)| {
            let flow = flow.as_ref()?;
            Some((Slot::try_from(slot).ok()?, flow))
        })
    }

    /// Each flow is found by both its tuples and has its timer, and nothing else is held.
    pub fn verify(&self) -> Result<(), String> {
        let mut keys = 0_usize;
        for (slot, flow) in self.iter() {
            for direction in [Direction::Original, Direction::Reply] {
                if self.find(&flow.tuple(direction)).is_none_or(|(found, _)| found != slot) {
                    return Err(format!("not found by its {direction:?} tuple: {flow:?}"));
                }
            }
            keys = keys.saturating_add(if flow.orig == flow.reply() { 1 } else { 2 });
            if !flow.has(IPS_CONFIRMED) || flow.timer_ns > flow.expires_ns {
                return Err(format!("entered, and yet {flow:?}"));
            }
        }
        self.timers.verify(self.iter().map(|(slot, flow)| (flow.timer_ns, flow.id, slot)))?;
        let held = (self.iter().count(), self.index.len(), self.slots.len().saturating_sub(self.free.len()));
        if held == (self.len, keys, self.len) { Ok(()) } else { Err(format!("{} flows, {keys} keys: {held:?}", self.len)) }
    }
}

/// Is it the one timer that its flow goes by?
#[inline]
fn counts(slots: &[Option<Flow>], (time_ns, id, slot): &Timer) -> bool {
    let flow = slots.get(at(*slot)).and_then(Option::as_ref);
    flow.is_some_and(|flow| flow.id == *id && flow.timer_ns == *time_ns)
}

#[inline]
fn entry(slot: Slot, direction: Direction) -> u32 {
    (slot << 1) | u32::from(direction == Direction::Reply)
}

#[inline]
fn parts(entry: u32) -> (Slot, Direction) {
    (entry >> 1, if entry & 1 == 0 { Direction::Original } else { Direction::Reply })
}
