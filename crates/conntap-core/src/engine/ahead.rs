//! Packets in small groups, so that they wait for memory together and not one after the other.
//!
//! A table of many flows does not fit the processor's caches: each packet's flow must be fetched. The group's index
//! entries are asked for first, then its flows; by the time the first packet is tracked, all are on their way.

use std::ops::ControlFlow;

use super::{Engine, Key};
use crate::capture::{At, CaptureError, Frame, Reader};
use crate::packet::{Packet, PacketError, decode};
use crate::wire::constants::*;

/// Packets in a group.
const GROUP: usize = 32;

/// A packet's key and hash, found ahead of time.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    pub(super) key: Key,
    pub(super) hash: u64,
}

/// A frame with its packet, and what was found ahead.
pub type Decoded<'a> = (Frame<'a>, Result<Packet<'a>, PacketError>, Option<Prepared>);

/// Why a walk stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop<B> {
    /// The reader needs bytes, or has ended.
    Need,
    Fault(CaptureError),
    /// The caller's wish.
    Break(B),
}

/// Walks over a reader's frames, a group at a time.
#[derive(Debug, Default)]
pub struct Ahead {
    group: Vec<At>,
    /// The first of the group that has not been handed out.
    next: usize,
    fault: Option<CaptureError>,
}

impl Ahead {
    /// Hand each frame to `each`, until it breaks off or bytes are needed. What was not handed out stays.
    pub fn walk<B>(
        &mut self,
        engine: &mut Engine,
        reader: &mut Reader,
        mut each: impl FnMut(&mut Engine, &Decoded<'_>) -> ControlFlow<B>,
    ) -> Stop<B> {
        loop {
            if self.next >= self.group.len() {
                if let Some(fault) = self.fault.take() {
                    self.group.clear();
                    return Stop::Fault(fault);
                }
                self.group.clear();
                self.next = 0;
                self.fault = reader.ahead(GROUP, &mut self.group);
                if self.group.is_empty() && self.fault.is_none() {
                    return Stop::Need;
                }
            }
            let mut decoded: [Option<Decoded<'_>>; GROUP] = [const { None }; GROUP];
            let rest = self.group.get(self.next..).unwrap_or_default();
            for (place, at) in decoded.iter_mut().zip(rest) {
                let frame = reader.frame(at);
                let packet = decode(frame.linktype, frame.bytes, frame.original_len);
                let prepared = packet.as_ref().ok().and_then(|packet| engine.prepare(packet));
                *place = Some((frame, packet, prepared));
            }
            // In loops of their own: so short that the processor has all their loads under way at once.
            let mut hashes = [0; GROUP];
            for (hash, found) in hashes.iter_mut().zip(&decoded) {
                if let Some((_, _, Some(prepared))) = found {
                    *hash = prepared.hash;
                }
            }
            for hash in &hashes {
                engine.table.touch_index(*hash);
            }
            for hash in &hashes {
                engine.table.touch_flow(*hash);
            }
            for found in decoded.iter().flatten() {
                self.next = self.next.saturating_add(1);
                if let ControlFlow::Break(wish) = each(engine, found) {
                    return Stop::Break(wish);
                }
            }
        }
    }
}

impl Engine {
    /// Find a packet's key and its hash. None where tracking looks closer first.
    #[inline]
    fn prepare(&self, packet: &Packet<'_>) -> Option<Prepared> {
        let plain = matches!(packet.l4proto, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP);
        if !plain || packet.needs_reassembly() || packet.no_l4.is_some() {
            return None;
        }
        let key = super::extract::key(packet, 0, &|_| 0).ok()?;
        Some(Prepared { key, hash: self.table.hash(&key) })
    }
}
