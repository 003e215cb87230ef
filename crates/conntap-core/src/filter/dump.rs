//! A filter as criteria of a dump request: the kernel leaves out entries before they are sent.
//!
//! A dump request holds one value per field, all of which must hold. Each criterion here lets through every entry
//! that its conjunct does; a kernel that does not know one ignores it, so the rows stay right (net/netfilter/
//! nf_conntrack_netlink.c, `ctnetlink_filter_match`).

use std::net::IpAddr;

use super::ast::{Ends, Field, Net, Node, Test, kind_bit};
use super::reduce::{Goal, reduce};
use crate::model::{Flow, Kind, Tuple};
use crate::wire::constants::*;

/// What can be asked of the kernel at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// CTA_FILTER compares IPv6 addresses the right way round. From 5.8 to at least 6.18 it drops what matches.
    pub ipv6_addresses: bool,
    /// CTA_FILTER (5.8), STATUS (5.15), ZONE (6.8) are known. Older kernels ignore them, which is safe in a dump
    /// and not in a flush.
    pub tuples: bool,
    pub status: bool,
    pub zone: bool,
}

impl Default for Quirks {
    /// What is safe for dumps on every kernel.
    fn default() -> Self {
        Self { ipv6_addresses: false, tuples: true, status: true, zone: true }
    }
}

/// What a dump request asks for.
#[derive(Clone, Debug)]
pub struct DumpPlan {
    /// For [`crate::model::request::dump`].
    pub criteria: Flow<'static>,
    /// Conjuncts that the kernel decides, wholly or in part, as filter texts.
    pub kernel: Vec<String>,
    /// Conjuncts that it does not decide wholly, and why.
    pub here: Vec<(String, &'static str)>,
    /// No entry can pass: there is nothing to ask for.
    pub nothing: bool,
}

impl DumpPlan {
    /// True when the criteria select exactly the wanted entries, on a kernel that knows them all.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.here.is_empty()
    }
}

/// Why a conjunct stays here.
const OR: &str = "a dump request cannot say 'or' or 'not'";
const SET: &str = "a dump request compares with one value: no ranges, lists, prefixes";
const NOT_ASKED: &str = "dump requests have no such criterion";
const TWICE: &str = "a dump request holds one value a field, and another was taken";
const FAMILY: &str = "comparing tuples needs one family: add 'ip' or 'ip6'";
const INVERTED: &str = "the kernel's IPv6 address filter drops what it should keep (5.8 to 6.18)";
const PORTS: &str = "the kernel compares ports of tcp and udp only: add one of them";
const ZONE_ZERO: &str = "asking for zone 0 would lose entries whose zone is of one direction";
const OLD: &str = "this kernel cannot filter by it";
const PART: &str = "the kernel decides a part";

pub(crate) fn flows(node: &Node, quirks: &Quirks) -> DumpPlan {
    let goal = reduce(node, kind_bit(Kind::Entry));
    let mut builder = Builder { quirks, criteria: Flow::default(), l4proto: None };
    builder.criteria.family = family(&goal);
    // Ports wait for the protocol, wherever it stands.
    builder.l4proto = goal.conjuncts().iter().find_map(|part| match part {
        Goal::Ask { test: Test::Number { field: Field::L4proto, mask: u64::MAX, ranges }, negated: false } => {
            ranges.single().and_then(|number| u8::try_from(number).ok())
        }
        _ => None,
    });
    let (mut kernel, mut here) = (Vec::new(), Vec::new());
    for part in goal.conjuncts() {
        match builder.push(part) {
            Ok(()) => kernel.push(part.to_string()),
            Err(why) => {
                if why == PART {
                    kernel.push(part.to_string());
                }
                here.push((part.to_string(), why));
            }
        }
    }
    DumpPlan { criteria: builder.criteria, kernel, here, nothing: goal == Goal::Const(false) }
}

/// Dumps of expectations know one criterion: the family.
pub(crate) fn expectations(node: &Node) -> DumpPlan {
    let goal = reduce(node, kind_bit(Kind::ExpEntry));
    let criteria = Flow { family: family(&goal), ..Flow::default() };
    let (mut kernel, mut here) = (Vec::new(), Vec::new());
    for part in goal.conjuncts() {
        match part {
            Goal::Ask { test: Test::Family(_), .. } => kernel.push(part.to_string()),
            _ => here.push((part.to_string(), NOT_ASKED)),
        }
    }
    DumpPlan { criteria, kernel, here, nothing: goal == Goal::Const(false) }
}

/// The one family whose entries can pass, or AF_UNSPEC.
fn family(goal: &Goal<'_>) -> u8 {
    match families(goal) {
        (true, false) => AF_INET,
        (false, true) => AF_INET6,
        _ => AF_UNSPEC,
    }
}

/// Can an IPv4 entry pass, can an IPv6 one? Tables hold no other families.
fn families(goal: &Goal<'_>) -> (bool, bool) {
    match goal {
        Goal::Const(value) => (*value, *value),
        Goal::All(parts) => parts.iter().map(families).fold((true, true), |a, b| (a.0 && b.0, a.1 && b.1)),
        Goal::Any(parts) => parts.iter().map(families).fold((false, false), |a, b| (a.0 || b.0, a.1 || b.1)),
        Goal::Ask { test: Test::Family(number), negated } => {
            ((*number == AF_INET) != *negated, (*number == AF_INET6) != *negated)
        }
        Goal::Ask { test: Test::Address { nets, .. }, negated: false } => {
            (nets.iter().any(Net::is_v4), nets.iter().any(|net| !net.is_v4()))
        }
        Goal::Ask { .. } => (true, true),
    }
}

struct Builder<'q> {
    quirks: &'q Quirks,
    criteria: Flow<'static>,
    /// The protocol that some conjunct asks for.
    l4proto: Option<u8>,
}

impl Builder<'_> {
    /// Add one conjunct to the criteria; Err says why it (or a part) stays here.
    fn push(&mut self, part: &Goal<'_>) -> Result<(), &'static str> {
        let (test, negated) = match part {
            Goal::Ask { test, negated } => (*test, *negated),
            // An `or` whose parts are all of one family is decided in part by the family.
            _ if self.criteria.family != AF_UNSPEC && family(part) != AF_UNSPEC => return Err(PART),
            _ => return Err(OR),
        };
        match test {
            Test::Family(number) => match (self.criteria.family == *number) != negated {
                true if self.criteria.family != AF_UNSPEC => Ok(()),
                _ => Err(TWICE),
            },
            Test::Number { field: field @ (Field::Mark | Field::Status), mask, ranges } => {
                let value = ranges.single().ok_or(SET)?;
                self.bits(*field, *mask, value, negated)
            }
            _ if negated => Err(OR),
            // The kernel compares the entry's one zone, whatever its direction.
            Test::Number { field: Field::Zone | Field::OrigZone | Field::ReplyZone, mask: u64::MAX, ranges } => {
                self.zone(ranges.single().ok_or(SET)?).and(Err(PART))
            }
            Test::Number { field: Field::L4proto, mask: u64::MAX, ranges } => {
                let number = ranges.single().and_then(|number| u8::try_from(number).ok()).ok_or(SET)?;
                self.tuples()?;
                put(&mut self.criteria.orig.l4proto, number)?;
                self.flag(Ends::SRC, CTA_FILTER_F_PROTO_NUM);
                Ok(())
            }
            Test::Port { ends, ranges } => {
                let port = ranges.single().and_then(|port| u16::try_from(port).ok()).ok_or(SET)?;
                self.port(*ends, port)
            }
            Test::Address { ends, nets } => self.address(*ends, nets),
            _ => Err(NOT_ASKED),
        }
    }

    fn tuples(&self) -> Result<(), &'static str> {
        match (self.quirks.tuples, self.criteria.family) {
            (false, _) => Err(OLD),
            (true, AF_UNSPEC) => Err(FAMILY),
            (true, _) => Ok(()),
        }
    }

    fn tuple(&mut self, end: Ends) -> &mut Tuple {
        if end.is_reply() { &mut self.criteria.reply } else { &mut self.criteria.orig }
    }

    fn flag(&mut self, end: Ends, flag: u32) {
        let flags = if end.is_reply() { &mut self.criteria.filter_reply } else { &mut self.criteria.filter_orig };
        *flags = Some(flags.unwrap_or(0) | flag);
    }

    fn port(&mut self, ends: Ends, port: u16) -> Result<(), &'static str> {
        if !ends.is_single() {
            return Err(OR);
        }
        self.tuples()?;
        let number = self.l4proto.filter(|number| matches!(*number, IPPROTO_TCP | IPPROTO_UDP)).ok_or(PORTS)?;
        let (source, flag) = match ends.is_dst() {
            false => (true, CTA_FILTER_F_SRC_PORT),
            true => (false, CTA_FILTER_F_DST_PORT),
        };
        let tuple = self.tuple(ends);
        put(if source { &mut tuple.sport } else { &mut tuple.dport }, port)?;
        // A port flag without the protocol flag of the same tuple is refused (EINVAL).
        put(&mut self.tuple(ends).l4proto, number)?;
        self.flag(ends, flag | CTA_FILTER_F_PROTO_NUM);
        Ok(())
    }

    fn address(&mut self, ends: Ends, nets: &[Net]) -> Result<(), &'static str> {
        let [net] = nets else { return Err(if self.criteria.family == AF_UNSPEC { SET } else { PART }) };
        if self.criteria.family == AF_UNSPEC {
            return Err(TWICE);
        }
        // `src 0.0.0.0/0` says no more than the family.
        if matches!(net, Net::V4 { mask: 0, .. } | Net::V6 { mask: 0, .. }) {
            return Ok(());
        }
        let address = net.single().ok_or(PART)?;
        if !ends.is_single() {
            return Err(PART);
        }
        self.tuples()?;
        if matches!(address, IpAddr::V6(_)) && !self.quirks.ipv6_addresses {
            return Err(INVERTED);
        }
        let dst = ends.is_dst();
        let tuple = self.tuple(ends);
        put(if dst { &mut tuple.dst } else { &mut tuple.src }, address)?;
        self.flag(ends, if dst { CTA_FILTER_F_IP_DST } else { CTA_FILTER_F_IP_SRC });
        Ok(())
    }

    fn zone(&mut self, number: u64) -> Result<(), &'static str> {
        match u16::try_from(number) {
            Ok(0) => Err(ZONE_ZERO),
            _ if !self.quirks.zone => Err(OLD),
            Ok(number) => put(&mut self.criteria.zone, number),
            Err(_) => Err(SET),
        }
    }

    /// Mark and status: bits of a mask have these values. Several conjuncts add up where they agree.
    fn bits(&mut self, field: Field, mask: u64, value: u64, negated: bool) -> Result<(), &'static str> {
        let low = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0);
        let (mask, mut value) = (low(mask), u32::try_from(value).map_err(|_| SET)?);
        if negated {
            // Not a bit set means the bit clear; of several bits nobody knows which.
            if mask.count_ones() != 1 {
                return Err(OR);
            }
            value ^= mask;
        }
        // No row has such bits (and the kernel refuses a mask of 0).
        if value & !mask != 0 || mask == 0 {
            return Err(SET);
        }
        let (have, have_mask) = match field {
            Field::Mark => (&mut self.criteria.mark, &mut self.criteria.mark_mask),
            _ if !self.quirks.status => return Err(OLD),
            _ => (&mut self.criteria.status, &mut self.criteria.status_mask),
        };
        let (old, old_mask) = (have.unwrap_or(0), have_mask.unwrap_or(0));
        if (old ^ value) & old_mask & mask != 0 {
            return Err(TWICE);
        }
        (*have, *have_mask) = (Some(old | value), Some(old_mask | mask));
        Ok(())
    }
}

/// Set a field that is free or has the same value already.
fn put<T: PartialEq>(field: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if field.as_ref().is_some_and(|have| *have != value) {
        return Err(TWICE);
    }
    *field = Some(value);
    Ok(())
}
