//! Packets as the gateway sends them: addresses, ports, sequence numbers, quoted packets, checksums.
//!
//! Source: kernel net/netfilter/nf_nat_proto.c, nf_conntrack_seqadj.c.

use super::flow::{Flow, SeqAdj};
use super::key::{Direction, Key};
use super::mangle::put;
use super::tcp::after;
use crate::packet::checksum;
use crate::packet::{Packet, decode_quoted, decode_rebuilt};
use crate::wire::constants::*;

/// Where what is in a packet.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Where the IP header begins.
    ip_at: usize,
    l4_at: usize,
    family: u8,
    l4proto: u8,
}

/// What a packet of that direction shows behind the gateway.
fn target(flow: &Flow, direction: Direction) -> Option<Key> {
    flow.tuple(direction.other()).inverse()
}

/// Translate a packet of a flow: both ends, as far as the flow is translated; gives how far into the packet that
/// reached. None: it is too short for that, and the gateway drops it. Source: nf_nat_packet.
pub fn translate(bytes: &mut [u8], packet: &Packet<'_>, flow: &Flow, direction: Direction) -> Option<usize> {
    if !flow.is_natted() {
        return Some(0);
    }
    let target = target(flow, direction)?;
    let layout = Layout { ip_at: 0, l4_at: usize::from(packet.l4_at), family: packet.family, l4proto: packet.l4proto };
    let (source, destination) = ends(flow, direction);
    let mut end = 0;
    // In the order of the hooks: the destination before routing, the source behind it.
    if destination {
        end = apply(bytes, layout, &target, false)?;
    }
    if source {
        end = apply(bytes, layout, &target, true)?;
    }
    Some(end)
}

/// Which ends of a packet of that direction are translated.
fn ends(flow: &Flow, direction: Direction) -> (bool, bool) {
    let (source, destination) = (flow.has(IPS_SRC_NAT), flow.has(IPS_DST_NAT));
    match direction {
        Direction::Original => (source, destination),
        Direction::Reply => (destination, source),
    }
}

/// Translate an ICMP error and what it quotes; gives how far into the packet that reached. None: the gateway drops it.
/// `direction` is the error's own. Source: nf_nat_icmp_reply_translation.
pub fn translate_error(bytes: &mut [u8], packet: &Packet<'_>, flow: &Flow, direction: Direction) -> Option<usize> {
    if !flow.is_natted() {
        return Some(0);
    }
    let l4_at = usize::from(packet.l4_at);
    let kind = bytes.get(l4_at).copied()?;
    if (packet.family, kind) == (AF_INET, 5) || (packet.family, kind) == (AF_INET6, 137) {
        return None; // a redirect would not fit the other side
    }
    let target = target(flow, direction)?;
    let quoted_target = flow.tuple(direction.other());
    let ip_at = l4_at.checked_add(8)?;
    let inner = {
        let quoted = decode_quoted(packet.family, bytes.get(ip_at..)?)?;
        let l4_at = ip_at.checked_add(usize::from(quoted.l4_at))?;
        Layout { ip_at, l4_at, family: packet.family, l4proto: quoted.l4proto }
    };
    let outer = Layout { ip_at: 0, l4_at, family: packet.family, l4proto: packet.l4proto };
    let (source, destination) = ends(flow, direction);
    let mut end = inner.l4_at;
    for (wanted, is_source) in [(destination, false), (source, true)] {
        if wanted {
            // The quoted packet went the other way: its other end is what is translated.
            end = apply(bytes, inner, &quoted_target, !is_source)?;
            put(bytes, l4_at.saturating_add(2), &[0, 0]);
            rewrite_address(bytes, outer, &target, is_source);
            sum_icmp(bytes, l4_at);
        }
    }
    Some(end)
}

/// The checksum of an ICMP message, over what the packet holds now.
fn sum_icmp(bytes: &mut [u8], l4_at: usize) {
    put(bytes, l4_at.saturating_add(2), &[0, 0]);
    let Ok(packet) = decode_rebuilt(bytes) else { return };
    let sum = if packet.family == AF_INET { !checksum::sum(packet.l4()) } else { !checksum::l4_sum(&packet) };
    put(bytes, l4_at.saturating_add(2), &sum.to_be_bytes());
}

/// Rewrite one end of a packet: port, then address; gives where the headers end that this touches.
/// Source: nf_nat_manip_pkt.
fn apply(bytes: &mut [u8], layout: Layout, target: &Key, source: bool) -> Option<usize> {
    let needs = match layout.l4proto {
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_ICMP | IPPROTO_ICMPV6 | IPPROTO_GRE => 8,
        _ => 0,
    };
    let have = bytes.len().checked_sub(layout.l4_at).filter(|have| *have >= needs)?;
    let touched = match layout.l4proto {
        IPPROTO_TCP if have >= 20 => 20,
        IPPROTO_SCTP if have >= 12 => 12,
        _ => needs,
    };
    let (old, new) = address_change(bytes, layout, target, source);
    if layout.l4proto == IPPROTO_GRE && !source && bytes.get(layout.l4_at.saturating_add(1))? & 7 > 1 {
        return None; // a version that nobody knows to translate
    }
    rewrite_port(bytes, layout, target, source, &old, &new);
    rewrite_address(bytes, layout, target, source);
    Some(layout.l4_at.saturating_add(touched))
}

fn address_at(layout: Layout, source: bool) -> (usize, usize) {
    let (at, len) = match (layout.family, source) {
        (AF_INET, true) => (12, 4),
        (AF_INET, false) => (16, 4),
        (_, true) => (8, 16),
        (_, false) => (24, 16),
    };
    (layout.ip_at.saturating_add(at), len)
}

fn address_change(bytes: &[u8], layout: Layout, target: &Key, source: bool) -> (Vec<u8>, Vec<u8>) {
    let (at, len) = address_at(layout, source);
    let old = bytes.get(at..at.saturating_add(len)).unwrap_or_default().to_vec();
    let address = if source { &target.src } else { &target.dst };
    (old, address.get(..len).unwrap_or_default().to_vec())
}

fn rewrite_address(bytes: &mut [u8], layout: Layout, target: &Key, source: bool) {
    let (old, new) = address_change(bytes, layout, target, source);
    let (at, _) = address_at(layout, source);
    put(bytes, at, &new);
    if layout.family == AF_INET {
        update_sum(bytes, layout.ip_at.saturating_add(10), &old, &new);
    }
}

/// Update a checksum in place (RFC 1624).
fn update_sum(bytes: &mut [u8], at: usize, old: &[u8], new: &[u8]) {
    let Some(field) = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()).copied() else { return };
    let sum = checksum::update(u16::from_be_bytes(field), old, new);
    put(bytes, at, &sum.to_be_bytes());
}

fn rewrite_port(bytes: &mut [u8], layout: Layout, target: &Key, source: bool, old_ip: &[u8], new_ip: &[u8]) {
    let l4 = layout.l4_at;
    let have = bytes.len().saturating_sub(l4);
    let port = if source { target.sport } else { target.dport }.to_be_bytes();
    let port_at = if source { l4 } else { l4.saturating_add(2) };
    let old_port = bytes.get(port_at..).and_then(|rest| rest.first_chunk::<2>()).copied();
    match layout.l4proto {
        IPPROTO_TCP => {
            put(bytes, port_at, &port);
            if have >= 20 {
                let at = l4.saturating_add(16);
                update_sum(bytes, at, old_ip, new_ip);
                update_sum(bytes, at, &old_port.unwrap_or_default(), &port);
            }
        }
        IPPROTO_UDP | IPPROTO_UDPLITE => {
            put(bytes, port_at, &port);
            let at = l4.saturating_add(6);
            let sum = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()).copied();
            if sum.is_some_and(|sum| sum != [0, 0]) {
                update_sum(bytes, at, old_ip, new_ip);
                update_sum(bytes, at, &old_port.unwrap_or_default(), &port);
                if bytes.get(at..at.saturating_add(2)) == Some(&[0, 0]) {
                    put(bytes, at, &[0xff, 0xff]);
                }
            }
        }
        IPPROTO_SCTP => {
            put(bytes, port_at, &port);
            if have >= 12
                && let Some(sum) = bytes.get(l4..).map(checksum::sctp_sum)
            {
                put(bytes, l4.saturating_add(8), &sum.to_le_bytes());
            }
        }
        IPPROTO_ICMP | IPPROTO_ICMPV6 => rewrite_icmp(bytes, layout, target, old_ip, new_ip),
        IPPROTO_GRE if !source => {
            let version = bytes.get(l4.saturating_add(1)).map(|flags| flags & 7);
            if version == Some(1) {
                put(bytes, l4.saturating_add(6), &target.dport.to_be_bytes());
            }
        }
        _ => {}
    }
}

/// ICMP has its id for a port; ICMPv6 sums the addresses as well.
fn rewrite_icmp(bytes: &mut [u8], layout: Layout, target: &Key, old_ip: &[u8], new_ip: &[u8]) {
    let l4 = layout.l4_at;
    let (sum_at, id_at) = (l4.saturating_add(2), l4.saturating_add(4));
    let Some(kind) = bytes.get(l4).copied() else { return };
    let has_id = if layout.l4proto == IPPROTO_ICMP {
        matches!(kind, 0 | 8 | 13..=18)
    } else {
        update_sum(bytes, sum_at, old_ip, new_ip);
        matches!(kind, 128 | 129)
    };
    if !has_id {
        return;
    }
    let old = bytes.get(id_at..).and_then(|rest| rest.first_chunk::<2>()).copied().unwrap_or_default();
    let new = target.sport.to_be_bytes();
    update_sum(bytes, sum_at, &old, &new);
    put(bytes, id_at, &new);
}

/// Shift a segment's numbers as the flow's adjustments say; gives how far into the packet that reached.
/// Source: nf_ct_seq_adjust.
pub fn adjust_sequence(bytes: &mut [u8], l4_at: usize, flow: &Flow, direction: Direction) -> usize {
    let Some([original, reply]) = flow.extra.as_ref().and_then(|extra| extra.seq_adj) else { return 0 };
    let (this, other) = match direction {
        Direction::Original => (original, reply),
        Direction::Reply => (reply, original),
    };
    let Some(header) = bytes.get(l4_at..).and_then(|rest| rest.first_chunk::<20>()).copied() else { return 0 };
    let [_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, ..] = header;
    let seq = u32::from_be_bytes([s0, s1, s2, s3]);
    let shift = if after(seq, this.correction_pos) { this.offset_after } else { this.offset_before };
    replace32(bytes, l4_at, l4_at.saturating_add(4), seq.wrapping_add(shift.cast_unsigned()));
    if flags & 0x10 == 0 {
        return l4_at.saturating_add(20);
    }
    let ack = u32::from_be_bytes([a0, a1, a2, a3]);
    replace32(bytes, l4_at, l4_at.saturating_add(8), unshifted(ack, &other));
    let end = l4_at.saturating_add(usize::from(offset >> 4).saturating_mul(4));
    adjust_sack(bytes, l4_at, end.min(bytes.len()), &other);
    end
}

/// A number that acknowledges the other side's shifted ones, as that side knows it.
fn unshifted(ack: u32, other: &SeqAdj) -> u32 {
    let behind = after(ack.wrapping_sub(other.offset_before.cast_unsigned()), other.correction_pos);
    let shift = if behind { other.offset_after } else { other.offset_before };
    ack.wrapping_sub(shift.cast_unsigned())
}

/// Overwrite 32 bits of a TCP header and update its checksum.
fn replace32(bytes: &mut [u8], l4_at: usize, at: usize, value: u32) {
    let Some(old) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied() else { return };
    let new = value.to_be_bytes();
    put(bytes, at, &new);
    let sum_at = l4_at.saturating_add(16);
    let Some(field) = bytes.get(sum_at..).and_then(|rest| rest.first_chunk::<2>()).copied() else { return };
    // Also where a SACK block lies at an odd place, whose bytes count for the other half: so the kernel does it.
    let sum = checksum::update(u16::from_be_bytes(field), &old, &new);
    put(bytes, sum_at, &sum.to_be_bytes());
}

/// Source: nf_ct_sack_adjust.
fn adjust_sack(bytes: &mut [u8], l4_at: usize, end: usize, other: &SeqAdj) {
    let mut at = l4_at.saturating_add(20);
    while at < end {
        let kind = bytes.get(at).copied().unwrap_or_default();
        match kind {
            0 => return,
            1 => at = at.saturating_add(1),
            _ => {
                let Some(len) = bytes.get(at.saturating_add(1)).copied().map(usize::from) else { return };
                let next = at.saturating_add(len);
                if len < 2 || next > end {
                    return;
                }
                if kind == 5 && len >= 10 && len.wrapping_sub(2) % 8 == 0 {
                    let mut edge = at.saturating_add(2);
                    while edge < next {
                        let old = bytes.get(edge..).and_then(|rest| rest.first_chunk::<4>()).copied();
                        let value = u32::from_be_bytes(old.unwrap_or_default());
                        replace32(bytes, l4_at, edge, unshifted(value, other));
                        edge = edge.saturating_add(4);
                    }
                }
                at = next;
            }
        }
    }
}
