//! The expectation table: who may open which connection because of which other.
//!
//! Source: kernel net/netfilter/nf_conntrack_expect.c.

use hashbrown::HashTable;

use super::key::{Direction, Key};
use super::timers::Timers;

/// How the child of an expectation is translated. Source: the kernel's expectfn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// As its master is: nf_nat_follow_master.
    FollowMaster,
    Sip,
    Q931,
    CallForwarding,
    Pptp,
}

impl Function {
    /// The name that netlink reports; None where the kernel registers none.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::FollowMaster => Some("nat-follow-master"),
            Self::Sip => Some("sip"),
            Self::Q931 => Some("Q.931"),
            Self::CallForwarding => Some("callforwarding"),
            Self::Pptp => None,
        }
    }

    /// The function of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "nat-follow-master" => Self::FollowMaster,
            "sip" => Self::Sip,
            "Q.931" => Self::Q931,
            "callforwarding" => Self::CallForwarding,
            "pptp" => Self::Pptp,
            _ => return None,
        })
    }
}

/// What an expectation remembers for its child's translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectNat {
    /// The child's direction with respect to the master.
    pub direction: Direction,
    /// Destination before translation.
    pub saved_port: u16,
    pub saved_addr: Option<[u8; 16]>,
    pub function: Function,
}

/// What a helper asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The connection that will come; masked fields are zero.
    pub key: Key,
    pub src_mask: [u8; 16],
    pub sport_mask: u16,
    pub class: u8,
    /// NF_CT_EXPECT_*.
    pub flags: u32,
    /// Seconds; None: the policy's.
    pub timeout: Option<u32>,
    /// Helper of the child.
    pub helper: Option<u16>,
    pub nat: Option<ExpectNat>,
    /// When used, the one for the other direction goes too (PPTP).
    pub removes_inverse: bool,
    /// The same one of another master is no clash (SIP).
    pub any_master: bool,
}

/// Why an expectation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another one would match the same packets.
    Busy,
    /// The same one is there, of another master or class.
    Already,
    /// The table is full.
    Full,
}

/// An expectation in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    pub wanted: Wanted,
    pub id: u32,
    pub expires_ns: i64,
    /// The master's original tuple and id.
    pub master: (Key, u32),
    /// Number of the master's helper; None for a rule's own expectation.
    pub master_helper: Option<u16>,
    /// The master is in the flow table: before that nothing can match.
    pub confirmed: bool,
}

impl Expect {
    /// Would a connection with this tuple fulfil it? Source: nf_ct_tuple_mask_cmp.
    #[must_use]
    pub fn matches(&self, key: &Key) -> bool {
        let wanted = &self.wanted;
        same_destination(&wanted.key, key)
            && wanted.key.zone == key.zone
            && masked(&key.src, &wanted.src_mask) == masked(&wanted.key.src, &wanted.src_mask)
            && (key.sport ^ wanted.key.sport) & wanted.sport_mask == 0
    }

    /// Do both match some packet? Source: expect_clash.
    fn clashes(&self, other: &Wanted) -> bool {
        let mine = &self.wanted;
        let mut mask = mine.src_mask;
        mask.iter_mut().zip(other.src_mask).for_each(|(byte, theirs)| *byte &= theirs);
        same_destination(&mine.key, &other.key)
            && mine.key.zone == other.key.zone
            && masked(&mine.key.src, &mask) == masked(&other.key.src, &mask)
            && (mine.key.sport ^ other.key.sport) & mine.sport_mask & other.sport_mask == 0
    }

    /// Source: expect_matches.
    fn is_same(&self, other: &Wanted) -> bool {
        let mine = &self.wanted;
        mine.key == other.key && mine.src_mask == other.src_mask && mine.sport_mask == other.sport_mask
    }
}

fn same_destination(a: &Key, b: &Key) -> bool {
    (a.dst, a.dport, a.l4proto, a.family) == (b.dst, b.dport, b.l4proto, b.family)
}

fn masked(address: &[u8; 16], mask: &[u8; 16]) -> [u8; 16] {
    let mut out = *address;
    out.iter_mut().zip(mask).for_each(|(byte, mask)| *byte &= mask);
    out
}

/// What has to be done before a new expectation can be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Free,
    /// The same one of the same master: it is replaced.
    Replace(u32),
    Refuse(Refused),
}

/// Time, id, slot; stale where the expectation's own note differs.
type Timer = (i64, u32, u32);

/// All expectations.
#[derive(Debug)]
pub struct Expects {
    seed: [u64; 2],
    slots: Vec<Option<Expect>>,
    free: Vec<u32>,
    /// By destination: slots, newest first.
    index: HashTable<(Key, Vec<u32>)>,
    timers: Timers<Timer>,
    len: usize,
}

fn at(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

fn destination(key: &Key) -> Key {
    Key { src: [0; 16], sport: 0, ..*key }
}

impl Expects {
    pub fn new(seed: [u64; 2]) -> Self {
        Self {
            seed,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            timers: Timers::new(|(time_ns, ..)| *time_ns),
            len: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, slot: u32) -> Option<&Expect> {
        self.slots.get(at(slot)).and_then(Option::as_ref)
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Expect> {
        self.slots.get_mut(at(slot)).and_then(Option::as_mut)
    }

    fn chain(&self, key: &Key) -> &[u32] {
        let wanted = destination(key);
        self.index.find(wanted.hash(self.seed), |(key, _)| *key == wanted).map_or(&[], |(_, chain)| chain)
    }

    /// The first one, newest first, that this tuple matches and that `accept` takes.
    pub fn find(&self, key: &Key, accept: impl Fn(&Expect) -> bool) -> Option<u32> {
        self.chain(key)
            .iter()
            .copied()
            .find(|slot| self.get(*slot).is_some_and(|found| found.matches(key) && accept(found)))
    }

    /// Source: __nf_ct_expect_check, without the limits.
    pub fn check(&self, wanted: &Wanted, master: u32) -> Check {
        for slot in self.chain(&wanted.key) {
            let Some(found) = self.get(*slot) else { continue };
            let master_counts = !wanted.any_master;
            if (!master_counts || found.master.1 == master) && found.is_same(wanted) {
                if found.wanted.class != wanted.class || found.master.1 != master {
                    return Check::Refuse(Refused::Already);
                }
                return Check::Replace(*slot);
            }
            if found.clashes(wanted) {
                return Check::Refuse(Refused::Busy);
            }
        }
        Check::Free
    }

    pub fn insert(&mut self, expect: Expect) -> u32 {
        let (key, expires_ns, id) = (destination(&expect.wanted.key), expect.expires_ns, expect.id);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.slots.get_mut(at(slot)) {
            *place = Some(expect);
        }
        self.len = self.len.saturating_add(1);
        self.push_timer((expires_ns, id, slot));
        let (seed, hash) = (self.seed, key.hash(self.seed));
        match self.index.find_mut(hash, |(known, _)| *known == key) {
            Some((_, chain)) => chain.insert(0, slot),
            None => {
                self.index.insert_unique(hash, (key, vec![slot]), |(key, _)| key.hash(seed));
            }
        }
        slot
    }

    pub fn remove(&mut self, slot: u32) -> Option<Expect> {
        let expect = self.slots.get_mut(at(slot))?.take()?;
        self.free.push(slot);
        self.len = self.len.saturating_sub(1);
        let key = destination(&expect.wanted.key);
        if let Ok(mut found) = self.index.find_entry(key.hash(self.seed), |(known, _)| *known == key) {
            found.get_mut().1.retain(|other| *other != slot);
            if found.get().1.is_empty() {
                found.remove();
            }
        }
        Some(expect)
    }

    /// Let one end at another time.
    pub fn set_expiry(&mut self, slot: u32, expires_ns: i64) {
        let Some(expect) = self.get_mut(slot) else { return };
        expect.expires_ns = expires_ns;
        let id = expect.id;
        self.push_timer((expires_ns, id, slot));
    }

    fn push_timer(&mut self, timer: Timer) {
        let Self { timers, slots, len, .. } = self;
        timers.push(timer, *len, |timer| counts(slots, timer));
    }

    #[inline]
    pub fn next_timer_ns(&self) -> Option<i64> {
        self.timers.first().map(|(at, ..)| *at)
    }

    /// Take the next timer that is due; returns the expectation that it ends.
    pub fn pop_expired(&mut self, upto_ns: i64) -> Option<(i64, u32)> {
        while let Some(timer) = self.timers.first().copied().filter(|(time, ..)| *time <= upto_ns) {
            self.timers.pop();
            if counts(&self.slots, &timer) {
                let (time, _, slot) = timer;
                return Some((time, slot));
            }
        }
        None
    }

    pub fn iter(&self) -> impl Iterator<Item = &Expect> {
        self.slots.iter().flatten()
    }

    /// Each one is found by its destination and has its timer, and nothing else is held.
    pub fn verify(&self) -> Result<(), String> {
        let mut chained = 0_usize;
        for (key, chain) in &self.index {
            chained = chained.saturating_add(chain.len());
            let belongs = |slot: &u32| self.get(*slot).is_some_and(|found| destination(&found.wanted.key) == *key);
            let mut slots = chain.clone();
            slots.sort_unstable();
            slots.dedup();
            if chain.is_empty() || slots.len() != chain.len() || !chain.iter().all(belongs) {
                return Err(format!("the chain of {key:?} is {chain:?}"));
            }
        }
        let entries = self.slots.iter().zip(0_u32..).filter_map(|(found, slot)| Some((found.as_ref()?, slot)));
        self.timers.verify(entries.map(|(found, slot)| (found.expires_ns, found.id, slot)))?;
        let held = (self.iter().count(), chained, self.slots.len().saturating_sub(self.free.len()));
        if held == (self.len, self.len, self.len) {
            Ok(())
        } else {
            Err(format!("{} expectations: {held:?}", self.len))
        }
    }
}

/// Is it the one timer that its expectation goes by?
fn counts(slots: &[Option<Expect>], (time_ns, id, slot): &Timer) -> bool {
    let found = slots.get(at(*slot)).and_then(Option::as_ref);
    found.is_some_and(|found| found.id == *id && found.expires_ns == *time_ns)
}
