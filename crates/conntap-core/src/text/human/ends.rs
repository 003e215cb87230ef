//! Who talks to whom as seen from inside: the inside end, the address that the world sees, the remote end.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::{Flow, Tuple};

/// One end of a flow: address and port (or GRE key).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct End {
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
}

impl End {
    #[must_use]
    pub fn source(tuple: &Tuple) -> Self {
        Self { address: tuple.src, port: tuple.sport }
    }

    #[must_use]
    pub fn dest(tuple: &Tuple) -> Self {
        Self { address: tuple.dst, port: tuple.dport }
    }

    /// True when both were sent and something differs: NAT.
    fn translated(self, other: Self) -> bool {
        other.address.is_some() && (self.address != other.address || self.port != other.port)
    }
}

/// Which end began the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    Inside,
    Remote,
}

/// The ends of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub inside: End,
    /// What the world sees instead of `inside`, with NAT.
    pub outside: Option<End>,
    /// The other end as it is known in the world.
    pub remote: End,
    pub initiator: Initiator,
    /// The reply's source, where source NAT and destination NAT are both at work.
    pub target: Option<End>,
}

/// Sort a flow's addresses into inside, outside and remote.
///
/// Source NAT: the initiator is inside. Destination NAT: the responder is. Without NAT (or with both) the initiator
/// counts as inside, unless only the responder has a private address.
#[must_use]
pub fn flow_ends(flow: &Flow<'_>) -> Ends {
    let (source, dest) = (End::source(&flow.orig), End::dest(&flow.orig));
    let (answerer, answered) = (End::source(&flow.reply), End::dest(&flow.reply));
    let source_nat = source.translated(answered).then_some(answered);
    let dest_nat = dest.translated(answerer).then_some(answerer);
    let inward = |target: End| is_private(target.address) && !is_private(source.address);
    match (source_nat, dest_nat) {
        (None, Some(target)) => inbound(source, Some(dest), target),
        (Some(_), Some(target)) if inward(target) => inbound(source, Some(dest), target),
        (None, None) if inward(dest) => inbound(source, None, dest),
        (outside, target) => Ends {
            inside: source,
            outside,
            remote: dest,
            initiator: Initiator::Inside,
            target: target.filter(|_| outside.is_some()),
        },
    }
}

fn inbound(remote: End, outside: Option<End>, inside: End) -> Ends {
    Ends { inside, outside, remote, initiator: Initiator::Remote, target: None }
}

/// Addresses that are not routed in the Internet: RFC 1918, 6598, 3927, 4193, 4291, loopback.
fn is_private(address: Option<IpAddr>) -> bool {
    match address {
        Some(IpAddr::V4(address)) => {
            address.is_private() || address.is_loopback() || address.is_link_local() || is_shared(address)
        }
        Some(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        None => false,
    }
}

/// 100.64.0.0/10, carriers' own (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [100, 64..=127, ..])
}

/// The original tuple's two ends, each with what NAT makes of it.
#[derive(Clone, Copy)]
pub(in crate::text) struct Path {
    pub source: End,
    pub source_nat: Option<End>,
    pub dest: End,
    pub dest_nat: Option<End>,
}

pub(in crate::text) fn path(flow: &Flow<'_>) -> Path {
    let (source, dest) = (End::source(&flow.orig), End::dest(&flow.orig));
    let (answerer, answered) = (End::source(&flow.reply), End::dest(&flow.reply));
    Path {
        source,
        source_nat: source.translated(answered).then_some(answered),
        dest,
        dest_nat: dest.translated(answerer).then_some(answerer),
    }
}
