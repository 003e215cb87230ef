//! NAT: which connections are translated, and to what.
//!
//! Either the engine is the gateway and decides by rules, or a gateway was captured on both sides and what it did is
//! known ([`Engine::learn`], from [`crate::pairing`]).
//!
//! Source: kernel net/netfilter/nf_nat_core.c (6.18), nf_nat_masquerade.c, nf_nat_helper.c.

use std::collections::BTreeMap;

use super::Engine;
use super::expect::{Expect, Function};
use super::flow::Flow;
use super::key::{Direction, Key};
use super::seen::Seen;
use crate::filter::Filter;
use crate::wire::constants::*;

/// How many ports are tried before the search begins anew elsewhere.
const ATTEMPTS: u32 = 128;
/// How many flows of one source are looked at for its mapping; the kernel looks at all, however many somebody makes.
const SAME_SOURCE: usize = 1024;

/// Which end of a connection is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manip {
    Source,
    Destination,
}

/// To what: an address out of these, and a port out of those. Source: struct nf_nat_range2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First and last; None: the address stays.
    pub addresses: Option<([u8; 16], [u8; 16])>,
    /// First and last; None: the port stays where it can.
    pub ports: Option<(u16, u16)>,
    /// The same source gets the same address, whatever its destination.
    pub persistent: bool,
}

/// A rule: the first that fits a new connection decides.
#[derive(Clone, Debug)]
pub struct Rule {
    pub manip: Manip,
    /// AF_INET or AF_INET6.
    pub family: u8,
    /// None: every new connection.
    pub filter: Option<Filter>,
    /// The interface by which its first packet comes (destination) or goes (source), as the caller numbers them.
    pub interface: Option<u32>,
    pub range: Range,
}

/// A source that is mapped already: address, port, protocol, family, zone.
type Source = ([u8; 16], u16, u8, u8, u16);

/// The rules, and what the search for free tuples needs.
#[derive(Debug, Default)]
pub(super) struct Nat {
    pub rules: Vec<Rule>,
    /// Flows by source and id, newest last.
    by_source: BTreeMap<(Source, u32), Key>,
    /// What a gateway was seen to do.
    pub seen: Option<Seen>,
}

fn source_of(orig: &Key) -> Source {
    (orig.src, orig.sport, orig.l4proto, orig.family, orig.zone)
}

impl Nat {
    #[inline]
    pub fn is_on(&self) -> bool {
        !self.rules.is_empty() || self.seen.as_ref().is_some_and(Seen::translates)
    }

    fn note(&mut self, flow: &Flow) {
        self.by_source.insert((source_of(&flow.orig), flow.id), flow.orig);
    }

    /// A flow has ended, or never came to be.
    pub fn forget(&mut self, flow: &Flow) {
        if flow.has(IPS_SRC_NAT_DONE) {
            self.by_source.remove(&(source_of(&flow.orig), flow.id));
        }
    }

    /// Which flows' sources are remembered.
    pub fn noted(&self) -> impl Iterator<Item = (&Key, u32)> {
        self.by_source.iter().map(|((_, id), orig)| (orig, *id))
    }
}

impl Engine {
    /// From now on the engine is a gateway that translates: every flow passes its NAT, fitting a rule or not.
    pub fn add_nat_rule(&mut self, rule: Rule) {
        self.nat.rules.push(rule);
        self.forward = true; // what cannot be translated is dropped, so it must be tried
    }

    /// Translate a new flow's destination, then its source. Source: nf_nat_inet_fn.
    pub(super) fn nat_new(&mut self, flow: &mut Flow, came_by: u32, goes_by: u32) {
        if let Some(left) = self.left_as(flow) {
            return self.translate_as(flow, &left);
        }
        for (manip, done, interface) in
            [(Manip::Destination, IPS_DST_NAT_DONE, came_by), (Manip::Source, IPS_SRC_NAT_DONE, goes_by)]
        {
            if flow.has(done) {
                continue; // its expectation said how
            }
            match self.rule_for(flow, manip, interface) {
                Some(range) => self.setup(flow, manip, &range),
                // The gateway did what it did: no port is looked for.
                None if self.nat.seen.is_some() => flow.status |= done,
                None => self.setup(flow, manip, &stay(flow, manip)),
            }
        }
    }

    /// A media stream comes from where the other party's own media is expected: its source is that expectation's.
    fn sip_pair(&self, flow: &Flow, expect: &Expect) -> Option<Range> {
        if expect.wanted.class == 0 {
            return None; // signalling
        }
        let master = self.table.get(self.table.slot_of(&expect.master.0, expect.master.1)?)?;
        let pair = master.extra.as_ref()?.expects.iter().rev().find_map(|slot| {
            let other = &self.expects.get(*slot)?.wanted;
            let saved = other.nat?;
            let fits = (other.key.family, other.key.l4proto) == (flow.orig.family, flow.orig.l4proto)
                && saved.saved_addr == Some(flow.orig.src)
                && saved.saved_port == flow.orig.sport;
            fits.then_some(other.key)
        })?;
        let (addresses, ports) = (Some((pair.dst, pair.dst)), Some((pair.dport, pair.dport)));
        Some(Range { addresses, ports, ..Range::default() })
    }

    fn rule_for(&self, flow: &Flow, manip: Manip, interface: u32) -> Option<Range> {
        let fits = |rule: &&Rule| {
            rule.manip == manip
                && rule.family == flow.orig.family
                && rule.interface.is_none_or(|wanted| wanted == interface)
                && rule.filter.as_ref().is_none_or(|filter| self.flow_matches(flow, filter))
        };
        self.nat.rules.iter().find(fits).map(|rule| rule.range)
    }

    /// Source: nf_nat_setup_info.
    fn setup(&mut self, flow: &mut Flow, manip: Manip, range: &Range) {
        let (translated, done) = match manip {
            Manip::Source => (IPS_SRC_NAT, IPS_SRC_NAT_DONE),
            Manip::Destination => (IPS_DST_NAT, IPS_DST_NAT_DONE),
        };
        if let Some(current) = flow.reply().inverse() {
            let wanted = self.unique(&current, range, flow, manip);
            if wanted != current
                && let Some(reply) = wanted.inverse()
            {
                flow.extra().reply = Some(reply);
                flow.status |= translated;
            }
        }
        if manip == Manip::Source {
            self.nat.note(flow);
        }
        flow.status |= done;
    }

    /// Is the tuple that answers `key` another flow's already? Source: nf_nat_used_tuple.
    fn is_used(&self, key: &Key, flow: &Flow) -> bool {
        let Some(reply) = key.inverse() else { return true };
        let Some((slot, _)) = self.table.find(&reply) else { return false };
        self.table.get(slot).is_some_and(|other| other.orig != flow.orig)
    }

    /// Source: get_unique_tuple.
    fn unique(&self, current: &Key, range: &Range, flow: &Flow, manip: Manip) -> Key {
        if manip == Manip::Source {
            if in_range(current, range) {
                if !self.is_used(current, flow) {
                    return *current;
                }
            } else if let Some(found) = self.same_source(current, range)
                && !self.is_used(&found, flow)
            {
                return found;
            }
        }
        let mut wanted = best_address(current, range, manip);
        match range.ports {
            Some((low, high))
                if port_in_range(&wanted, manip, low, high) && (low == high || !self.is_used(&wanted, flow)) =>
            {
                return wanted;
            }
            None if !self.is_used(&wanted, flow) => return wanted,
            _ => {}
        }
        self.free_port(&mut wanted, range, flow, manip);
        wanted
    }

    /// The mapping that this source has towards others. Source: find_appropriate_src.
    fn same_source(&self, current: &Key, range: &Range) -> Option<Key> {
        let source = source_of(current);
        let mut flows = self.nat.by_source.range((source, 0)..=(source, u32::MAX)).rev().take(SAME_SOURCE);
        flows.find_map(|((_, id), orig)| {
            let slot = self.table.slot_of(orig, *id)?;
            let mapped = self.table.get(slot)?.reply().inverse()?;
            let (dst, dport) = (current.dst, current.dport);
            let candidate = Key { dst, dport, ..mapped };
            in_range(&candidate, range).then_some(candidate)
        })
    }

    /// Search for a port that makes the tuple unique; upwards, where the kernel begins at random.
    /// Source: nf_nat_l4proto_unique_tuple.
    fn free_port(&self, wanted: &mut Key, range: &Range, flow: &Flow, manip: Manip) {
        let (low, size) = match (wanted.l4proto, range.ports) {
            (IPPROTO_ICMP | IPPROTO_ICMPV6, None) => (0, 65_536),
            (IPPROTO_GRE, _) if flow.extra.as_ref().is_none_or(|extra| extra.master.is_none()) => return,
            (IPPROTO_GRE, None) => (1, 65_535),
            (IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP, None) => {
                if manip == Manip::Destination {
                    return;
                }
                match wanted.sport {
                    0..512 => (1, 511),
                    512..1024 => (600, 424),
                    _ => (1024, 64_512),
                }
            }
            (
                IPPROTO_ICMP | IPPROTO_ICMPV6 | IPPROTO_GRE | IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE
                | IPPROTO_SCTP,
                Some((low, high)),
            ) => {
                let (low, high) = (low.min(high), low.max(high));
                (u32::from(low), u32::from(high.wrapping_sub(low)).wrapping_add(1))
            }
            _ => return,
        };
        let icmp = matches!(wanted.l4proto, IPPROTO_ICMP | IPPROTO_ICMPV6);
        for step in 0..size.min(ATTEMPTS.saturating_mul(16)) {
            let port = u16::try_from(low.wrapping_add(step)).unwrap_or(u16::MAX);
            if manip == Manip::Source || icmp {
                wanted.sport = port;
            } else {
                wanted.dport = port;
            }
            if !self.is_used(wanted, flow) {
                return;
            }
        }
    }

    /// Translate the child of an expectation as its function says.
    pub(super) fn translate_child(&mut self, flow: &mut Flow, expect: &Expect) {
        let Some(nat) = expect.wanted.nat else { return };
        let master = self.table.slot_of(&expect.master.0, expect.master.1).and_then(|slot| self.table.get(slot));
        let Some((to_child, from_child)) =
            master.map(|master| (master.tuple(nat.direction), master.tuple(nat.direction.other())))
        else {
            return;
        };
        let one = |address: [u8; 16]| Some((address, address));
        let saved_port = Some((nat.saved_port, nat.saved_port));
        match nat.function {
            // Source: nf_nat_follow_master.
            Function::FollowMaster => {
                let source = Range { addresses: one(from_child.dst), ..Range::default() };
                self.setup(flow, Manip::Source, &source);
                let destination = Range { addresses: one(from_child.src), ports: saved_port, ..Range::default() };
                self.setup(flow, Manip::Destination, &destination);
            }
            // Source: nf_nat_sip_expected.
            Function::Sip => {
                let saved = nat.saved_addr.unwrap_or(flow.orig.dst);
                let destination = Range { addresses: one(saved), ports: saved_port, ..Range::default() };
                self.setup(flow, Manip::Destination, &destination);
                let source = match self.sip_pair(flow, expect) {
                    Some(pair) => Some(pair),
                    None if flow.orig.src == to_child.src => {
                        Some(Range { addresses: one(from_child.dst), ..Range::default() })
                    }
                    None => None,
                };
                if let Some(source) = source {
                    self.setup(flow, Manip::Source, &source);
                }
            }
            // Source: nf_nat_q931_expect.
            Function::Q931 => {
                // Only a gatekeeper may call: then as the master.
                let anyone = expect.wanted.src_mask == [0; 16];
                let source = if anyone { flow.tuple(nat.direction.other()).src } else { from_child.dst };
                self.setup(flow, Manip::Source, &Range { addresses: one(source), ..Range::default() });
                let destination = Range { addresses: one(from_child.src), ports: saved_port, ..Range::default() };
                self.setup(flow, Manip::Destination, &destination);
            }
            // Source: nf_nat_callforwarding_expect.
            Function::CallForwarding => {
                let source = flow.tuple(nat.direction.other()).src;
                self.setup(flow, Manip::Source, &Range { addresses: one(source), ..Range::default() });
                let saved = nat.saved_addr.unwrap_or(flow.orig.dst);
                let destination = Range { addresses: one(saved), ports: saved_port, ..Range::default() };
                self.setup(flow, Manip::Destination, &destination);
            }
            // Source: pptp_nat_expected.
            Function::Pptp => {
                let original = nat.direction == Direction::Original;
                let port = |fixed: bool| if fixed { saved_port } else { None };
                let source = Range { addresses: one(from_child.dst), ports: port(original), ..Range::default() };
                self.setup(flow, Manip::Source, &source);
                let destination = Range { addresses: one(from_child.src), ports: port(!original), ..Range::default() };
                self.setup(flow, Manip::Destination, &destination);
            }
        }
    }
}

/// A range that leaves everything where it is. Source: __nf_nat_alloc_null_binding.
fn stay(flow: &Flow, manip: Manip) -> Range {
    let reply = flow.reply();
    let address = match manip {
        Manip::Source => reply.dst,
        Manip::Destination => reply.src,
    };
    Range { addresses: Some((address, address)), ..Range::default() }
}

/// Source: nf_in_range.
fn in_range(key: &Key, range: &Range) -> bool {
    let address = range.addresses.is_none_or(|(low, high)| (low..=high).contains(&key.src));
    let port = range.ports.is_none_or(|(low, high)| port_in_range(key, Manip::Source, low, high));
    address && port
}

/// Source: l4proto_in_range.
fn port_in_range(key: &Key, manip: Manip, low: u16, high: u16) -> bool {
    let port = match key.l4proto {
        IPPROTO_ICMP | IPPROTO_ICMPV6 => key.sport,
        IPPROTO_GRE | IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_DCCP | IPPROTO_SCTP => match manip {
            Manip::Source => key.sport,
            Manip::Destination => key.dport,
        },
        _ => return true,
    };
    (low..=high).contains(&port)
}

/// Choose an address of the range by the ends of the connection. Source: find_best_ips_proto.
fn best_address(current: &Key, range: &Range, manip: Manip) -> Key {
    let mut wanted = *current;
    let Some((low, high)) = range.addresses else { return wanted };
    let chosen = if low == high { low } else { spread(current, &low, &high, range.persistent) };
    match manip {
        Manip::Source => wanted.src = chosen,
        Manip::Destination => wanted.dst = chosen,
    }
    wanted
}

fn spread(current: &Key, low: &[u8; 16], high: &[u8; 16], persistent: bool) -> [u8; 16] {
    let words: usize = if current.family == AF_INET { 1 } else { 4 };
    let native = |bytes: &[u8; 16]| -> Vec<u32> {
        bytes.as_chunks::<4>().0.iter().map(|word| u32::from_ne_bytes(*word)).collect()
    };
    let (source, destination) = (native(&current.src), native(&current.dst));
    let last = destination.get(words.saturating_sub(1)).copied().unwrap_or_default();
    let mut hash = jhash2(&source, if persistent { 0 } else { last ^ u32::from(current.zone) });
    let mut out = [0_u8; 16];
    let mut full = false;
    let parts = out.as_chunks_mut::<4>().0.iter_mut().zip(low.as_chunks::<4>().0).zip(high.as_chunks::<4>().0);
    for (at, ((field, low), high)) in parts.take(words).enumerate() {
        let (first, size) = if full {
            (0, u32::MAX)
        } else {
            let (first, last) = (u32::from_be_bytes(*low), u32::from_be_bytes(*high));
            (first, last.wrapping_sub(first).wrapping_add(1))
        };
        let scaled = u64::from(hash).wrapping_mul(u64::from(size)) >> 32;
        *field = first.wrapping_add(u32::try_from(scaled).unwrap_or_default()).to_be_bytes();
        full |= field != high;
        if !persistent {
            hash ^= destination.get(at).copied().unwrap_or_default();
        }
    }
    out
}

/// Bob Jenkins' hash of 32-bit words (lookup3), as the kernel's include/linux/jhash.h has it.
fn jhash2(words: &[u32], seed: u32) -> u32 {
    let begin = 0xdead_beef_u32.wrapping_add(u32::try_from(words.len()).unwrap_or_default() << 2).wrapping_add(seed);
    let (mut a, mut b, mut c) = (begin, begin, begin);
    let mut rest = words;
    while let [x, y, z, behind @ ..] = rest
        && !behind.is_empty()
    {
        a = a.wrapping_add(*x);
        b = b.wrapping_add(*y);
        c = c.wrapping_add(*z);
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
        rest = behind;
    }
    if rest.is_empty() {
        return c;
    }
    if let Some(z) = rest.get(2) {
        c = c.wrapping_add(*z);
    }
    if let Some(y) = rest.get(1) {
        b = b.wrapping_add(*y);
    }
    if let Some(x) = rest.first() {
        a = a.wrapping_add(*x);
    }
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}
