//! Connection tracking in userspace: packets in, the kernel's events out.
//!
//! The engine has no clock and does no I/O: time is the packets' own. What it writes are netlink messages, so that
//! everything that reads the kernel's reads these. Protocol helpers live outside: where one has to be asked,
//! [`Engine::packet`] stops and [`Engine::resume`] goes on.
//!
//! Reading order: [`process`] (a packet's way) → [`track`] and the protocols ([`tcp`], `udp`, `icmp`, [`sctp`]) →
//! [`expect`] and [`helper`] → `nat` → `events` → `refragment`. Source of all rules: Linux 6.18,
//! net/netfilter/nf_conntrack_*.c.

pub mod ahead;
mod check;
mod counters;
mod events;
pub mod expect;
pub(crate) mod extract;
pub mod flow;
pub mod helper;
mod icmp;
pub(crate) mod index;
pub mod key;
mod lifetime;
mod mangle;
pub mod nat;
pub mod process;
mod refragment;
mod rewrite;
mod sctp;
mod seen;
pub mod settings;
mod table;
pub mod tcp;
mod timers;
pub mod trace;
mod track;
mod udp;
pub mod verdict;

use std::collections::BTreeMap;

use crate::batch::Batch;
use crate::packet::{Limits, Reassembler};
use crate::wire::constants::IPPROTO_GRE;

pub use counters::Counters;
use expect::Expects;
use helper::{Helper, Suspended};
pub use key::{Direction, Key};
pub use process::{Input, Step};
use refragment::Arrived;
pub use settings::Settings;
pub use table::Slot;
use table::Table;
pub use verdict::{Outcome, Reason, State};

/// A connection tracking table and all that belongs to it.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    table: Table,
    expects: Expects,
    /// PPTP: the sender's call id by the tuple that lacks it, and the control connection that said so, oldest first.
    gre_keys: BTreeMap<GreKey, Vec<(u16, u32)>>,
    helpers: Vec<Helper>,
    /// By protocol and destination port: family (0: both) and helper; the first that fits.
    assignments: BTreeMap<(u8, u16), Vec<(u8, u16)>>,
    fragments: Reassembler,
    now_ns: i64,
    /// A time far ahead of the clock that came once.
    ahead_ns: Option<i64>,
    counters: Counters,
    out: Batch,
    nat: nat::Nat,
    /// Packets are wanted as the gateway would send them.
    forward: bool,
    /// Somebody plays the rules.
    rules: bool,
    forwarded: Vec<u8>,
    /// How the packet at hand came, if it came in fragments.
    arrived: Option<Box<Arrived>>,
    /// By which the packet at hand comes and goes.
    interfaces: (u32, u32),
    /// The checksum of the packet at hand is looked at.
    verify: bool,
    /// The flow of the last packet, where it still lives.
    last: Option<Slot>,
    suspended: Option<Box<Suspended>>,
}

type GreKey = ([u8; 16], [u8; 16], u16, u8, u16);

impl Engine {
    /// An empty table. `seed` is random where packets come from strangers: it guards the hash table.
    #[must_use]
    pub fn new(settings: Settings, seed: [u64; 2]) -> Self {
        Self {
            settings,
            table: Table::new(seed),
            expects: Expects::new(seed),
            gre_keys: BTreeMap::new(),
            helpers: Vec::new(),
            assignments: BTreeMap::new(),
            fragments: Reassembler::new(Limits::default()),
            now_ns: i64::MIN,
            ahead_ns: None,
            counters: Counters::default(),
            out: Batch::default(),
            nat: nat::Nat::default(),
            forward: false,
            rules: false,
            forwarded: Vec::new(),
            arrived: None,
            interfaces: (0, 0),
            verify: true,
            last: None,
            suspended: None,
        }
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The virtual clock: the latest packet's time.
    #[must_use]
    pub fn now_ns(&self) -> i64 {
        self.now_ns
    }

    /// Entries of the flow table.
    #[must_use]
    pub fn flow_count(&self) -> usize {
        self.table.len()
    }

    /// Entries of the expectation table.
    #[must_use]
    pub fn expectation_count(&self) -> usize {
        self.expects.len()
    }

    /// Bytes of memory that the flow table holds.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.table.memory()
    }

    /// From now on make each packet as the gateway would send it: [`Self::forwarded`].
    pub fn forward_packets(&mut self) {
        self.forward = true;
    }

    /// The flow that the last packet belongs to, unless it has ended.
    #[must_use]
    pub fn last_flow(&self) -> Option<&flow::Flow> {
        self.last.and_then(|slot| self.table.get(slot))
    }

    /// Does a filter want this flow, as its NEW would tell it?
    fn flow_matches(&self, flow: &flow::Flow, filter: &crate::filter::Filter) -> bool {
        let mut probe = Batch::default();
        let mut flow = flow.clone();
        flow.pending |= flow::event::NEW;
        let helpers = &self.helpers;
        let name = |helper: u16| helpers.get(usize::from(helper)).map_or("", |helper| helper.name.as_str());
        events::Teller { settings: &self.settings, now_ns: self.now_ns, helpers: &name }.changed(&mut probe, &flow);
        probe.iter().any(|(row, message, content)| filter.matches(row.kind, &content, &message))
    }

    /// Take the events that have come since the last time.
    #[must_use]
    pub fn take_events(&mut self) -> Batch {
        std::mem::take(&mut self.out)
    }

    /// How many events wait to be taken.
    #[must_use]
    pub fn events_waiting(&self) -> usize {
        self.out.len()
    }

    /// The messages of the events that wait, without the first `skip`.
    #[must_use]
    pub fn events_from(&self, skip: usize) -> Vec<Vec<u8>> {
        let rows = self.out.rows().get(skip..).unwrap_or_default();
        rows.iter().map(|row| self.out.row_bytes(row).to_vec()).collect()
    }

    /// Packets were lost here, before they could be seen.
    pub fn gap(&mut self, gap: &crate::model::Gap) {
        self.out.push_gap(gap);
    }

    /// Events go here from now on: memory that can be used again.
    pub fn give_memory(&mut self, batch: Batch) {
        if self.out.is_empty() {
            self.out = batch;
            self.out.clear();
        }
    }

    fn gre_key_of(keys: &BTreeMap<GreKey, Vec<(u16, u32)>>, key: &Key) -> u16 {
        if key.l4proto != IPPROTO_GRE || keys.is_empty() {
            return 0;
        }
        keys.get(&gre_key(key)).and_then(|found| found.first()).map_or(0, |(key, _)| *key)
    }
}

fn gre_key(key: &Key) -> GreKey {
    (key.src, key.dst, key.dport, key.family, key.zone)
}

/// Seconds as nanoseconds.
#[must_use]
pub(crate) fn seconds(value: u32) -> i64 {
    i64::from(value).saturating_mul(1_000_000_000)
}

/// Whole seconds from `now_ns` until `expires_ns`, as the kernel tells them: truncated, never negative.
fn left_seconds(expires_ns: i64, now_ns: i64) -> u32 {
    let left = expires_ns.saturating_sub(now_ns).max(0);
    u32::try_from(left.checked_div(1_000_000_000).unwrap_or_default()).unwrap_or(u32::MAX)
}

/// A time as netlink carries it.
fn nanoseconds(time_ns: i64) -> u64 {
    u64::try_from(time_ns).unwrap_or_default()
}
