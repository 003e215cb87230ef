//! One entry of the flow table, as small as it can be: what few flows have lies in [`Extra`].

use super::key::{Direction, Key};
use super::sctp::SctpTrack;
use super::tcp::TcpTrack;
use crate::wire::constants::*;

/// Event bits that wait for the end of the packet. Source: enum ip_conntrack_events.
pub mod event {
    pub const NEW: u16 = 1 << 0;
    pub const RELATED: u16 = 1 << 1;
    pub const REPLY: u16 = 1 << 3;
    pub const ASSURED: u16 = 1 << 4;
    pub const PROTOINFO: u16 = 1 << 5;
    pub const HELPER: u16 = 1 << 6;
    pub const MARK: u16 = 1 << 7;
}

/// State of the protocol's tracker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proto {
    None,
    Tcp(TcpTrack),
    /// When the flow counts as a stream, nanoseconds.
    Udp(i64),
    Sctp(SctpTrack),
}

/// Packets and layer-3 bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub packets: u64,
    pub bytes: u64,
}

/// Sequence adjustment of one direction. Source: struct nf_ct_seqadj.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeqAdj {
    pub correction_pos: u32,
    pub offset_before: i32,
    pub offset_after: i32,
}

/// A flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    pub orig: Key,
    pub counts: [Count; 2],
    /// When it ends if nothing more comes, nanoseconds.
    pub expires_ns: i64,
    /// When it was confirmed.
    pub start_ns: i64,
    /// The entry in the timer heap that counts.
    pub(super) timer_ns: i64,
    pub proto: Proto,
    /// CTA_ID; never used again, so it is the flow's identity.
    pub id: u32,
    /// IPS_* bits.
    pub status: u32,
    pub mark: u32,
    /// Event bits that wait for the end of a packet.
    pub(super) pending: u16,
    /// 0 both directions, 1 original, 2 reply: where the zone holds.
    pub zone_dir: u8,
    /// It ends before its timer and gets another in a moment.
    pub(super) waits_for_timer: bool,
    pub extra: Option<Box<Extra>>,
}

/// What few flows have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra {
    /// The reply tuple where it is not the plain inverse: NAT.
    pub reply: Option<Key>,
    /// Original tuple and id of the flow whose expectation this one fulfilled.
    pub master: Option<(Key, u32)>,
    /// Number of the helper in the engine's list.
    pub helper: Option<u16>,
    /// Slots of this flow's expectations, oldest first.
    pub expects: Vec<u32>,
    /// By direction.
    pub seq_adj: Option<[SeqAdj; 2]>,
    /// GRE tuples by direction that this control connection has announced (PPTP).
    pub gre: Option<[Key; 2]>,
}

impl Flow {
    /// A flow of which nothing but its tuple is known.
    #[must_use]
    pub fn bare(orig: Key) -> Self {
        Self {
            orig,
            counts: [Count::default(); 2],
            expires_ns: 0,
            start_ns: 0,
            timer_ns: 0,
            proto: Proto::None,
            id: 0,
            status: 0,
            mark: 0,
            pending: 0,
            zone_dir: 0,
            waits_for_timer: false,
            extra: None,
        }
    }

    /// The tuple of a direction.
    #[must_use]
    #[inline]
    pub fn tuple(&self, direction: Direction) -> Key {
        match direction {
            Direction::Original => self.orig,
            Direction::Reply => self.reply(),
        }
    }

    /// Is this the tuple of that direction?
    #[must_use]
    #[inline]
    pub fn is(&self, direction: Direction, key: &Key) -> bool {
        let own = &self.orig;
        match direction {
            Direction::Original => own == key,
            // Nearly every flow with ports is its own mirror.
            Direction::Reply if self.extra.is_none() && !matches!(own.l4proto, IPPROTO_ICMP | IPPROTO_ICMPV6) => {
                own.sport == key.dport
                    && own.dport == key.sport
                    && own.src == key.dst
                    && own.dst == key.src
                    && (own.l4proto, own.family) == (key.l4proto, key.family)
                    && key.zone == if self.zone_dir == 0 { own.zone } else { 0 }
            }
            Direction::Reply => self.reply() == *key,
        }
    }

    /// The reply tuple.
    #[must_use]
    #[inline]
    pub fn reply(&self) -> Key {
        match &self.extra {
            Some(extra) => extra.reply.unwrap_or_else(|| self.plain_reply()),
            None => self.plain_reply(),
        }
    }

    #[inline]
    fn plain_reply(&self) -> Key {
        // A flow is only made where the inverse exists.
        let mut key = self.orig.inverse().unwrap_or(self.orig);
        if self.zone_dir != 0 {
            key.zone = 0;
        }
        key
    }

    #[must_use]
    #[inline]
    pub fn has(&self, bits: u32) -> bool {
        self.status & bits != 0
    }

    #[must_use]
    pub fn is_natted(&self) -> bool {
        self.has(IPS_SRC_NAT | IPS_DST_NAT)
    }

    #[must_use]
    pub fn helper(&self) -> Option<u16> {
        self.extra.as_ref().and_then(|extra| extra.helper)
    }

    #[must_use]
    pub fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// What a packet of a direction needs to be shifted by so that it meets the other side's numbers.
    /// Source: nf_ct_seq_offset.
    #[must_use]
    pub fn seq_offset(&self, direction: Direction, seq: u32) -> i32 {
        let Some(adjust) = self.extra.as_ref().and_then(|extra| extra.seq_adj.as_ref()) else { return 0 };
        let Some(way) = adjust.get(direction.index()) else { return 0 };
        if super::tcp::after(seq, way.correction_pos) { way.offset_after } else { way.offset_before }
    }
}
