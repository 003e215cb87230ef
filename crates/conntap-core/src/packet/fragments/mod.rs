//! Fragments put together as the kernel does before it tracks: IPv4 as net/ipv4/ip_fragment.c, IPv6 as
//! net/ipv6/netfilter/nf_conntrack_reasm.c, both on net/ipv4/inet_fragment.c.

mod error;
mod queue;
mod rebuild;

use std::collections::BTreeMap;

pub use error::FragmentError;
use queue::{Added, Queue};

use super::{Fragment, Packet, ipv6};
use crate::wire::constants::{AF_INET, AF_INET6, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP};

/// IPv6's longest payload; no fragment may end behind it.
const PAYLOAD_MAX: u32 = 65_535;
/// What an incomplete datagram and a fragment cost beside the fragment's bytes, in the kernel's accounting on a small
/// machine (sizes of `struct ipq`, `struct sk_buff` and `struct skb_shared_info` and the headroom of a frame).
const QUEUE_COST: u64 = 256;
const FRAGMENT_COST: u64 = 640;

/// How long and how much to keep. The defaults are the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// net.ipv4.ipfrag_time, in nanoseconds.
    pub ipv4_timeout_ns: i64,
    /// net.netfilter.nf_conntrack_frag6_timeout, in nanoseconds.
    pub ipv6_timeout_ns: i64,
    /// net.ipv4.ipfrag_high_thresh: above this no fragment of IPv4 is taken any more.
    pub ipv4_high_bytes: u64,
    /// net.netfilter.nf_conntrack_frag6_high_thresh.
    pub ipv6_high_bytes: u64,
    /// net.ipv4.ipfrag_max_dist: so many fragments from the same source between two of one datagram, and its older
    /// ones are thrown away, since the 16-bit id may have come round. 0: never.
    pub ipv4_max_distance: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ipv4_timeout_ns: 30_000_000_000,
            ipv6_timeout_ns: 60_000_000_000,
            ipv4_high_bytes: 4 << 20,
            ipv6_high_bytes: 4 << 20,
            ipv4_max_distance: 64,
        }
    }
}

/// A fragment as it lay in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of data.
    pub len: u32,
    /// Bytes of headers before them, an IPv6 fragment header included.
    pub head: u16,
}

/// How a datagram came, which decides how a router sends it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// In the order of their offsets; together they are the datagram's payload.
    pub pieces: Vec<Piece>,
    /// The length of the longest fragment, its headers included.
    pub longest: u32,
    /// The identification that all had: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
}

/// Fragments put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// For [`super::decode_rebuilt`]. Cut where one of the fragments was.
    pub bytes: Vec<u8>,
    pub pieces: Pieces,
}

/// What became of a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reassembled {
    /// It was the last one missing.
    Whole(Datagram),
    /// It waits for others.
    Queued,
    /// Tracking sees this packet as it is: it is no fragment, or an IPv6 fragment that reassembly hands on (a first one
    /// without its whole header chain, RFC 8200, 4.5; one with more to follow whose length is no multiple of 8).
    AsIs,
    /// The kernel drops it here; tracking does not see it.
    Dropped(FragmentError),
}

/// What a reassembler met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentCounters {
    /// Fragments handed in.
    pub fragments: u64,
    /// Datagrams completed.
    pub datagrams: u64,
    /// Fragments that tracking sees as they are.
    pub as_is: u64,
    /// Incomplete datagrams given up after their time.
    pub expired: u64,
    /// Incomplete datagrams whose older fragments were thrown away because of [`Limits::ipv4_max_distance`].
    pub restarted: u64,
    /// By [`FragmentError::counter`].
    pub dropped: [u64; FragmentError::COUNTERS.len()],
}

/// Which datagram a fragment belongs to. IPv6 has no protocol here: RFC 8200, 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    family: u8,
    protocol: u8,
    id: u32,
    src: [u8; 16],
    dst: [u8; 16],
}

/// A source of IPv4 fragments while it has an incomplete datagram.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    /// Fragments that came from it; wraps.
    fragments: u32,
    incomplete: u32,
}

/// Puts fragments together. Time comes from the caller, and what one fragment costs is bounded whatever came before.
#[derive(Clone, Debug, Default)]
pub struct Reassembler {
    limits: Limits,
    queues: BTreeMap<Key, Queue>,
    /// By the time at which they end, then by age.
    deadlines: BTreeMap<(i64, u64), Key>,
    sources: BTreeMap<[u8; 16], Source>,
    ages: u64,
    /// By the kernel's accounting: IPv4, IPv6.
    ipv4_bytes: u64,
    ipv6_bytes: u64,
    counters: FragmentCounters,
}

impl Reassembler {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Take a packet. One that is no fragment comes back [`Reassembled::AsIs`] and is not counted.
    ///
    /// `now_ns` is the packet's time; datagrams whose time has come are given up first.
    pub fn push(&mut self, packet: &Packet<'_>, now_ns: i64) -> Reassembled {
        let Some(fragment) = packet.fragment.or(packet.atomic) else { return Reassembled::AsIs };
        self.counters.fragments = self.counters.fragments.saturating_add(1);
        self.expire(now_ns);
        let done = if packet.family == AF_INET6 {
            self.ipv6(packet, fragment, now_ns)
        } else {
            self.ipv4(packet, fragment, now_ns)
        };
        match &done {
            Reassembled::Whole(_) => self.counters.datagrams = self.counters.datagrams.saturating_add(1),
            Reassembled::AsIs => self.counters.as_is = self.counters.as_is.saturating_add(1),
            Reassembled::Dropped(error) => {
                if let Some(count) = self.counters.dropped.get_mut(error.counter()) {
                    *count = count.saturating_add(1);
                }
            }
            Reassembled::Queued => {}
        }
        done
    }

    /// Give up the incomplete datagrams whose time has come; gives their number.
    pub fn expire(&mut self, now_ns: i64) -> u64 {
        let mut expired = 0_u64;
        while let Some(entry) = self.deadlines.first_entry() {
            if entry.key().0 > now_ns {
                break;
            }
            let key = *entry.get();
            self.remove(&key);
            expired = expired.saturating_add(1);
        }
        self.counters.expired = self.counters.expired.saturating_add(expired);
        expired
    }

    /// When [`Self::expire`] next has something to do.
    #[must_use]
    pub fn deadline_ns(&self) -> Option<i64> {
        self.deadlines.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Incomplete datagrams.
    #[must_use]
    pub fn incomplete(&self) -> usize {
        self.queues.len()
    }

    #[must_use]
    pub fn counters(&self) -> &FragmentCounters {
        &self.counters
    }

    fn ipv4(&mut self, packet: &Packet<'_>, fragment: Fragment, now_ns: i64) -> Reassembled {
        if self.ipv4_bytes > self.limits.ipv4_high_bytes {
            return Reassembled::Dropped(FragmentError::Memory);
        }
        let key = Key { family: AF_INET, protocol: packet.l4proto, id: fragment.id, src: packet.src, dst: packet.dst };
        if self.too_far(&key) {
            self.restart(&key, now_ns);
        }
        let end = fragment.offset.saturating_add(packet.l4_len());
        // A length that is no multiple of 8 is cut to one where more is to follow.
        let end = if fragment.more { end & !7 } else { end };
        let queue = self.queue(key, self.limits.ipv4_timeout_ns, now_ns);
        if let Err(error) = queue.bounds(end, fragment.more) {
            return self.discard(&key, error);
        }
        if end <= fragment.offset {
            return self.discard(&key, FragmentError::Empty);
        }
        let len = end.saturating_sub(fragment.offset);
        match queue.add(packet, fragment, len, ecn(packet)) {
            Added::Duplicate => Reassembled::Dropped(FragmentError::Duplicate),
            Added::Overlap => self.discard(&key, FragmentError::Overlap),
            Added::Waiting => {
                self.ipv4_bytes = self.ipv4_bytes.saturating_add(fragment_cost(len));
                Reassembled::Queued
            }
            Added::Complete => match self.remove(&key) {
                Some(queue) => rebuild::ipv4(&queue).map_or_else(Reassembled::Dropped, Reassembled::Whole),
                None => Reassembled::Queued,
            },
        }
    }

    fn ipv6(&mut self, packet: &Packet<'_>, fragment: Fragment, now_ns: i64) -> Reassembled {
        // A jumbogram cannot be a fragment.
        if matches!(packet.ip, [_, _, _, _, 0, 0, ..]) || first_is_short(packet, fragment) {
            return Reassembled::AsIs;
        }
        if self.ipv6_bytes > self.limits.ipv6_high_bytes {
            return Reassembled::Dropped(FragmentError::Memory);
        }
        let key = Key { family: AF_INET6, protocol: 0, id: fragment.id, src: packet.src, dst: packet.dst };
        let data_at = u32::from(fragment.header_at).saturating_add(ipv6::FRAGMENT_LEN as u32);
        let len = packet.total_len.saturating_sub(data_at);
        let end = fragment.offset.saturating_add(len);
        let queue = self.queue(key, self.limits.ipv6_timeout_ns, now_ns);
        if end > PAYLOAD_MAX {
            return Reassembled::Dropped(FragmentError::TooLong);
        }
        if fragment.more && end & 7 != 0 {
            // The kernel gives the datagram up and lets this packet go on.
            self.remove(&key);
            return Reassembled::AsIs;
        }
        // Unlike IPv4, what was queued stays.
        if let Err(error) = queue.bounds(end, fragment.more) {
            return Reassembled::Dropped(error);
        }
        if len == 0 {
            return Reassembled::Dropped(FragmentError::Empty);
        }
        match queue.add(packet, fragment, len, ecn(packet)) {
            Added::Duplicate => Reassembled::Dropped(FragmentError::Duplicate),
            Added::Overlap => self.discard(&key, FragmentError::Overlap),
            Added::Waiting => {
                self.ipv6_bytes = self.ipv6_bytes.saturating_add(fragment_cost(len));
                Reassembled::Queued
            }
            Added::Complete => match self.remove(&key) {
                Some(queue) => rebuild::ipv6(&queue).map_or_else(Reassembled::Dropped, Reassembled::Whole),
                None => Reassembled::Queued,
            },
        }
    }

    /// Count a fragment of its source; whether too many came since the last one of this datagram.
    fn too_far(&mut self, key: &Key) -> bool {
        let most = self.limits.ipv4_max_distance;
        if most == 0 {
            return false;
        }
        let Some(source) = self.sources.get_mut(&key.src) else { return false };
        source.fragments = source.fragments.wrapping_add(1);
        let Some(queue) = self.queues.get_mut(key) else { return false };
        let before = std::mem::replace(&mut queue.source_fragments, source.fragments);
        !queue.is_empty() && source.fragments.wrapping_sub(before) > most
    }

    /// Throw away what a datagram has so far; its time begins anew.
    fn restart(&mut self, key: &Key, now_ns: i64) {
        self.remove(key);
        self.queue(*key, self.limits.ipv4_timeout_ns, now_ns);
        self.counters.restarted = self.counters.restarted.saturating_add(1);
    }

    /// The datagram's queue, made where there is none.
    fn queue(&mut self, key: Key, timeout_ns: i64, now_ns: i64) -> &mut Queue {
        let Self { queues, deadlines, sources, ages, ipv4_bytes, ipv6_bytes, .. } = self;
        queues.entry(key).or_insert_with(|| {
            *ages = ages.wrapping_add(1);
            let deadline = (now_ns.saturating_add(timeout_ns), *ages);
            deadlines.insert(deadline, key);
            let mut queue = Queue::new(key.id, deadline);
            if key.family == AF_INET6 {
                *ipv6_bytes = ipv6_bytes.saturating_add(QUEUE_COST);
            } else {
                *ipv4_bytes = ipv4_bytes.saturating_add(QUEUE_COST);
                let source = sources.entry(key.src).or_default();
                source.incomplete = source.incomplete.saturating_add(1);
                queue.source_fragments = source.fragments;
            }
            queue
        })
    }

    fn remove(&mut self, key: &Key) -> Option<Queue> {
        let queue = self.queues.remove(key)?;
        self.deadlines.remove(&queue.deadline);
        let cost = queue.cost();
        if key.family == AF_INET6 {
            self.ipv6_bytes = self.ipv6_bytes.saturating_sub(cost);
        } else {
            self.ipv4_bytes = self.ipv4_bytes.saturating_sub(cost);
            if let Some(source) = self.sources.get_mut(&key.src) {
                source.incomplete = source.incomplete.saturating_sub(1);
                if source.incomplete == 0 {
                    self.sources.remove(&key.src);
                }
            }
        }
        Some(queue)
    }

    fn discard(&mut self, key: &Key, error: FragmentError) -> Reassembled {
        self.remove(key);
        Reassembled::Dropped(error)
    }
}

fn fragment_cost(len: u32) -> u64 {
    FRAGMENT_COST.saturating_add(u64::from(len))
}

/// A bit for each value of the two ECN bits (RFC 3168).
fn ecn(packet: &Packet<'_>) -> u8 {
    let [_, field, ..] = packet.ip else { return 1 };
    let bits = if packet.family == AF_INET6 { field >> 4 } else { *field };
    1_u8.wrapping_shl(u32::from(bits & 3))
}

/// Whether a first IPv6 fragment lacks part of its header chain (`ipv6frag_thdr_truncated`, net/ipv6/reassembly.c).
fn first_is_short(packet: &Packet<'_>, fragment: Fragment) -> bool {
    if fragment.offset != 0 || packet.no_l4.is_some() {
        return false;
    }
    let header = match packet.l4proto {
        IPPROTO_TCP => 20,
        // The kernel's NEXTHDR_ICMP is ICMPv6.
        IPPROTO_UDP | IPPROTO_ICMPV6 => 8,
        _ => 1,
    };
    packet.l4_len() < header
}
