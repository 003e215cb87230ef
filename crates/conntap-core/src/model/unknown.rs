//! Attributes that this version does not know: carried with their numbers, never dropped in silence.

use crate::wire::constants::*;
use crate::wire::{Attr, Attrs};

/// How deep ctnetlink nests attributes (TUPLE_ORIG → TUPLE_PROTO → port; EXPECT_NAT → TUPLE → IP → source).
const DEPTH: usize = 4;

/// An attribute that is not known here: where it stood, and its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown<'a> {
    path: [u16; DEPTH],
    depth: usize,
    pub payload: &'a [u8],
}

impl Unknown<'_> {
    /// Attribute numbers from the top: `[40]`, or `[1, 2, 77]` inside TUPLE_ORIG → TUPLE_PROTO.
    #[must_use]
    pub fn path(&self) -> &[u16] {
        self.path.get(..self.depth).unwrap_or_default()
    }
}

/// What stands behind an attribute number at some place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Known,
    Unknown,
    Nest(Nest),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nest {
    Flow,
    Expectation,
    Tuple,
    Ip,
    Proto,
    ProtoInfo,
    ExpectNat,
    /// A nest whose children 1..=n are plain values.
    Leaves(u16),
}

fn shape(nest: Nest, kind: u16) -> Shape {
    use Shape::{Known, Nest as In};
    let plain = |last: u16| if (1..=last).contains(&kind) { Known } else { Shape::Unknown };
    match (nest, kind) {
        (Nest::Flow, CTA_TUPLE_ORIG | CTA_TUPLE_REPLY | CTA_TUPLE_MASTER) => In(Nest::Tuple),
        (Nest::Flow, CTA_PROTOINFO) => In(Nest::ProtoInfo),
        (Nest::Flow, CTA_COUNTERS_ORIG | CTA_COUNTERS_REPLY) => In(Nest::Leaves(CTA_COUNTERS_PAD)),
        (Nest::Flow, CTA_TIMESTAMP) => In(Nest::Leaves(CTA_TIMESTAMP_PAD)),
        (Nest::Flow, CTA_HELP) => In(Nest::Leaves(CTA_HELP_INFO)),
        (Nest::Flow, CTA_SECCTX) => In(Nest::Leaves(CTA_SECCTX_NAME)),
        (Nest::Flow, CTA_NAT_SRC | CTA_NAT_DST) => In(Nest::Leaves(CTA_NAT_V6_MAXIP)),
        (Nest::Flow, CTA_SEQ_ADJ_ORIG | CTA_SEQ_ADJ_REPLY) => In(Nest::Leaves(CTA_SEQADJ_OFFSET_AFTER)),
        (Nest::Flow, CTA_SYNPROXY) => In(Nest::Leaves(CTA_SYNPROXY_TSOFF)),
        (Nest::Flow, CTA_FILTER) => In(Nest::Leaves(CTA_FILTER_REPLY_FLAGS)),
        (Nest::Flow, CTA_RECORD..=CTA_RECORD_ELEMENTS) => Known,
        (Nest::Flow, _) => plain(CTA_TIMESTAMP_EVENT),
        (Nest::Expectation, CTA_EXPECT_MASTER | CTA_EXPECT_TUPLE | CTA_EXPECT_MASK) => In(Nest::Tuple),
        (Nest::Expectation, CTA_EXPECT_NAT) => In(Nest::ExpectNat),
        (Nest::Expectation, _) => plain(CTA_EXPECT_FN),
        (Nest::ExpectNat, CTA_EXPECT_NAT_TUPLE) => In(Nest::Tuple),
        (Nest::ExpectNat, _) => plain(CTA_EXPECT_NAT_DIR),
        (Nest::Tuple, CTA_TUPLE_IP) => In(Nest::Ip),
        (Nest::Tuple, CTA_TUPLE_PROTO) => In(Nest::Proto),
        (Nest::Tuple, _) => plain(CTA_TUPLE_ZONE),
        (Nest::Ip, _) => plain(CTA_IP_V6_DST),
        (Nest::Proto, _) => plain(CTA_PROTO_ICMPV6_CODE),
        (Nest::ProtoInfo, CTA_PROTOINFO_TCP) => In(Nest::Leaves(CTA_PROTOINFO_TCP_FLAGS_REPLY)),
        (Nest::ProtoInfo, CTA_PROTOINFO_DCCP) => In(Nest::Leaves(CTA_PROTOINFO_DCCP_PAD)),
        (Nest::ProtoInfo, CTA_PROTOINFO_SCTP) => In(Nest::Leaves(CTA_PROTOINFO_SCTP_VTAG_REPLY)),
        (Nest::ProtoInfo, _) => Shape::Unknown,
        (Nest::Leaves(last), _) => plain(last),
    }
}

/// A walk over the unknown attributes of a message, depth first.
#[derive(Clone)]
pub struct Unknowns<'a> {
    walks: [Option<(Nest, Attrs<'a>)>; DEPTH],
    path: [u16; DEPTH],
    depth: usize,
}

impl<'a> Unknowns<'a> {
    pub(crate) fn flow(raw: &'a [u8]) -> Self {
        Self::new(Nest::Flow, raw)
    }

    pub(crate) fn expectation(raw: &'a [u8]) -> Self {
        Self::new(Nest::Expectation, raw)
    }

    fn new(nest: Nest, raw: &'a [u8]) -> Self {
        let mut walks = [const { None }; DEPTH];
        walks[0] = Some((nest, Attrs::new(raw)));
        Self { walks, path: [0; DEPTH], depth: 0 }
    }

    fn found(&mut self, attr: Attr<'a>) -> Unknown<'a> {
        Unknown { path: self.path, depth: self.depth.saturating_add(1), payload: attr.payload }
    }
}

impl<'a> Iterator for Unknowns<'a> {
    type Item = Unknown<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (nest, walk) = self.walks.get_mut(self.depth)?.as_mut()?;
            let nest = *nest;
            let Some(attr) = walk.next() else {
                self.depth = self.depth.checked_sub(1)?;
                continue;
            };
            let Ok(attr) = attr else { continue }; // the walk has ended; decoding has reported it
            if let Some(slot) = self.path.get_mut(self.depth) {
                *slot = attr.kind;
            }
            match shape(nest, attr.kind) {
                Shape::Known => {}
                Shape::Unknown => return Some(self.found(attr)),
                Shape::Nest(inner) => {
                    let below = self.depth.saturating_add(1);
                    if let Some(slot) = self.walks.get_mut(below) {
                        *slot = Some((inner, attr.nested()));
                        self.depth = below;
                    }
                }
            }
        }
    }
}

impl std::fmt::Debug for Unknowns<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
