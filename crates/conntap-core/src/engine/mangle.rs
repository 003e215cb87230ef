//! Payload rewriting by helpers: bytes, lengths, checksums, sequence numbers.
//!
//! Source: kernel net/netfilter/nf_nat_helper.c, nf_conntrack_seqadj.c; RFC 1624.

use super::Engine;
use super::flow::SeqAdj;
use super::helper::Suspended;
use super::tcp::before;
use crate::packet::checksum;
use crate::packet::decode_rebuilt;
use crate::wire::constants::*;

impl Suspended {
    /// Replace `length` bytes at `start` of the payload; false where they are not there or the packet grows too long.
    fn replace(&mut self, start: usize, length: usize, replacement: &[u8]) -> bool {
        let from = self.payload_at.saturating_add(start);
        let to = from.saturating_add(length);
        let grown = self.bytes.len().saturating_sub(length).saturating_add(replacement.len());
        if to > self.bytes.len() || grown > usize::from(u16::MAX) {
            return false;
        }
        self.bytes.splice(from..to, replacement.iter().copied());
        self.fix_lengths();
        self.fix_checksum();
        self.mangled = true;
        true
    }

    /// Lengths in the IP and UDP headers, and the IPv4 header's checksum.
    fn fix_lengths(&mut self) {
        let total = self.bytes.len();
        let l4_len = u16::try_from(total.saturating_sub(self.l4_at)).unwrap_or(u16::MAX).to_be_bytes();
        if self.family == AF_INET {
            put(&mut self.bytes, 2, &u16::try_from(total).unwrap_or(u16::MAX).to_be_bytes());
            put(&mut self.bytes, 10, &[0, 0]);
            let header = usize::from(self.bytes.first().copied().unwrap_or_default() & 0x0f).wrapping_mul(4);
            let sum = !checksum::sum(self.bytes.get(..header).unwrap_or_default());
            put(&mut self.bytes, 10, &sum.to_be_bytes());
        } else {
            let payload = u16::try_from(total.saturating_sub(40)).unwrap_or(u16::MAX);
            put(&mut self.bytes, 4, &payload.to_be_bytes());
        }
        if self.l4proto == IPPROTO_UDP {
            put(&mut self.bytes, self.l4_at.saturating_add(4), &l4_len);
        }
    }

    /// The layer-4 checksum over what the packet holds now. UDP without one stays without.
    pub(super) fn fix_checksum(&mut self) {
        let at = self.l4_at.saturating_add(if self.l4proto == IPPROTO_TCP { 16 } else { 6 });
        let old = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()).copied();
        if self.l4proto == IPPROTO_UDP && old == Some([0, 0]) {
            return;
        }
        put(&mut self.bytes, at, &[0, 0]);
        let Ok(packet) = decode_rebuilt(&self.bytes) else { return };
        let sum = match !checksum::l4_sum(&packet) {
            0 => 0xffff, // TCP's as well: skb_checksum_help
            sum => sum,
        };
        put(&mut self.bytes, at, &sum.to_be_bytes());
    }
}

/// Overwrite bytes in place, where they are.
pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(field) = bytes.get_mut(at..at.saturating_add(value.len())) {
        field.copy_from_slice(value);
    }
}

impl Engine {
    /// Replace bytes of the waiting packet's payload; `adjust`: later sequence numbers follow. False: it cannot be.
    pub fn mangle(&mut self, start: usize, length: usize, replacement: &[u8], adjust: bool) -> bool {
        let Some(call) = self.suspended.as_mut() else { return false };
        if !call.replace(start, length, replacement) {
            return false;
        }
        let tcp = call.l4proto == IPPROTO_TCP;
        let difference = replacement.len().cast_signed().wrapping_sub(length.cast_signed());
        if tcp && adjust && difference != 0 {
            self.adjust_sequence(i32::try_from(difference).unwrap_or_default());
        }
        true
    }

    /// Shift the sequence numbers behind the waiting packet. Source: nf_ct_seqadj_set.
    pub fn adjust_sequence(&mut self, difference: i32) {
        let Some((direction, seq)) = self.call().map(|call| (call.direction, call.seq)) else { return };
        let Some(flow) = self.call_flow_mut() else { return };
        if difference == 0 || flow.orig.l4proto != IPPROTO_TCP {
            return;
        }
        flow.status |= IPS_SEQ_ADJUST;
        let adjust = flow.extra().seq_adj.get_or_insert_with(|| [SeqAdj::default(); 2]);
        let Some(way) = adjust.get_mut(direction.index()) else { return };
        if way.offset_before == way.offset_after || before(way.correction_pos, seq) {
            way.correction_pos = seq;
            way.offset_before = way.offset_after;
            way.offset_after = way.offset_after.wrapping_add(difference);
        }
    }

    /// Change the destination port of the waiting packet.
    pub fn set_dport(&mut self, port: u16) {
        let Some(call) = self.suspended.as_mut() else { return };
        let at = call.l4_at.saturating_add(2);
        put(&mut call.bytes, at, &port.to_be_bytes());
        call.fix_checksum();
        call.mangled = true;
    }
}
