//! Which fields a record has, and the number of the template that has them.
//!
//! A number always means the same fields, in every session and domain: nothing is ever redefined.

use std::net::IpAddr;

use crate::model::{Counters, Flow, Tuple};

/// What identifies the ends beyond their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Ports, or the keys of GRE.
    Ports = 0,
    /// The identifier stands for the source port; type and code have a field.
    Icmp = 1,
    None = 2,
}

/// Addresses and ports behind NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    /// Of the same family.
    Same = 0,
    /// IPv4 behind IPv6, or the reverse.
    Other = 1,
    /// The reply's tuple is not known.
    None = 2,
}

/// Packets and octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Both = 0,
    /// Of the original direction only.
    Forward = 1,
    None = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    Milliseconds = 0,
    Nanoseconds = 1,
    None = 2,
}

/// What a record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is a bit of the template's number
pub struct Shape {
    pub v6: bool,
    pub ports: Ports,
    pub post: Post,
    pub count: Count,
    pub times: Times,
    pub extended: bool,
    /// The destination was left out, for privacy.
    pub no_destination: bool,
}

/// Numbers of templates.
pub mod ids {
    /// Flow records: 2,048 numbers, whose bits say which fields there are.
    pub const FLOWS: u16 = 256;
    /// NAT events: 256 numbers.
    pub const NAT_EVENTS: u16 = 2_304;
    /// What a ledger does not know.
    pub const GAP: u16 = 2_560;
    /// Options: what the exporter has sent.
    pub const STATISTICS: u16 = 2_561;
    /// Options: what our own elements are (RFC 5610).
    pub const TYPE_INFO: u16 = 2_562;
}

impl Shape {
    /// The commonest: what a template's number is counted from.
    pub const PLAIN: Self = Self {
        v6: false,
        ports: Ports::Ports,
        post: Post::Same,
        count: Count::Both,
        times: Times::Milliseconds,
        extended: false,
        no_destination: false,
    };

    /// What a flow has; None without a source address.
    #[inline]
    #[must_use]
    pub fn of(flow: &Flow<'_>, has_times: bool, nanoseconds: bool, extended: bool) -> Option<Self> {
        let (src, dst) = (flow.orig.src?, flow.orig.dst);
        let v6 = src.is_ipv6();
        let post = match (flow.reply.dst, flow.reply.src) {
            (Some(post_src), Some(post_dst)) if post_src.is_ipv6() == post_dst.is_ipv6() => Some(post_src),
            (Some(post_src), _) if dst.is_none() => Some(post_src),
            _ => None,
        };
        Some(Self {
            v6,
            ports: ports(&flow.orig),
            post: match post {
                Some(post) if post.is_ipv6() == v6 => Post::Same,
                Some(_) => Post::Other,
                None => Post::None,
            },
            count: match (whole(flow.counters_orig), whole(flow.counters_reply)) {
                (true, true) => Count::Both,
                (true, false) => Count::Forward,
                (false, _) => Count::None,
            },
            times: match (has_times, nanoseconds) {
                (true, false) => Times::Milliseconds,
                (true, true) => Times::Nanoseconds,
                (false, _) => Times::None,
            },
            extended,
            no_destination: dst.is_none_or(|dst| dst.is_ipv6() != v6),
        })
    }

    /// The template's number.
    #[inline]
    #[must_use]
    pub fn id(self) -> u16 {
        let bits = u16::from(self.v6)
            | (self.ports as u16) << 1
            | (self.post as u16) << 3
            | (self.count as u16) << 5
            | (self.times as u16) << 7
            | u16::from(self.extended) << 9
            | u16::from(self.no_destination) << 10;
        ids::FLOWS.saturating_add(bits)
    }

    /// The number of the template for NAT events of such flows.
    #[inline]
    #[must_use]
    pub fn event_id(self) -> u16 {
        let bits = u16::from(self.v6)
            | (self.ports as u16) << 1
            | u16::from(self.post == Post::Other) << 3
            | (self.times as u16) << 4
            | u16::from(self.no_destination) << 6;
        ids::NAT_EVENTS.saturating_add(bits)
    }

    /// Are the addresses behind NAT of IPv6?
    #[inline]
    #[must_use]
    pub fn post_v6(self) -> bool {
        self.v6 != (self.post == Post::Other)
    }
}

#[inline]
fn ports(tuple: &Tuple) -> Ports {
    if tuple.sport.is_some() || tuple.dport.is_some() {
        Ports::Ports
    } else if tuple.icmp_type.is_some() {
        Ports::Icmp
    } else {
        Ports::None
    }
}

#[inline]
fn whole(counters: Option<Counters>) -> bool {
    counters.is_some_and(|counters| counters.packets.is_some() && counters.bytes.is_some())
}

/// Is an address or a port translated? Destinations count only where both are known.
#[inline]
#[must_use]
pub fn is_translated(flow: &Flow<'_>) -> bool {
    let (orig, reply) = (&flow.orig, &flow.reply);
    let differ = |a: Option<IpAddr>, b: Option<IpAddr>| a.is_some() && b.is_some() && a != b;
    let ports = |a: Option<u16>, b: Option<u16>| a.is_some() && b.is_some() && a != b;
    differ(orig.src, reply.dst)
        || differ(orig.dst, reply.src)
        || ports(orig.sport, reply.dport)
        || ports(orig.dport, reply.sport)
        || ports(orig.icmp_id, reply.icmp_id)
}
