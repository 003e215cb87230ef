//! Netlink messages from a machine of the other byte order, turned into this one's.
//!
//! Netlink headers and attribute headers are in host order, the attributes of ctnetlink in network order, so
//! only headers change. A recording from a big-endian router thus replays on a little-endian desk.
//!
//! Left as they are: labels (CTA_LABELS, a bitmap of the kernel's own words) and extended-ack offsets.

use crate::wire::constants::{NFGENMSG_LEN, NLA_F_NESTED, NLMSG_DONE, NLMSG_ERROR, NLMSG_HDRLEN};

/// ctnetlink nests four deep; deeper ones stay as they are.
const DEPTH: usize = 8;

/// Swap the headers of all messages of a datagram. What is broken stays as it is, for the decoder to refuse.
pub(super) fn swap(mut datagram: &mut [u8]) {
    while let Some(head) = datagram.first_chunk_mut::<NLMSG_HDRLEN>() {
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, p0, p1, p2, p3] = *head;
        *head = [l3, l2, l1, l0, k1, k0, f1, f0, s3, s2, s1, s0, p3, p2, p1, p0];
        let len = usize::try_from(u32::from_ne_bytes([l3, l2, l1, l0])).unwrap_or(usize::MAX);
        let kind = u16::from_ne_bytes([k1, k0]);
        let Some(body) = datagram.get_mut(NLMSG_HDRLEN..len) else { return };
        match kind {
            NLMSG_ERROR | NLMSG_DONE => {
                if let Some(status) = body.first_chunk_mut::<4>() {
                    status.reverse();
                }
            }
            0..=0x0f => {} // control messages without fields; a GAP is written in network order
            _ => attributes(body.get_mut(NFGENMSG_LEN..).unwrap_or_default(), DEPTH),
        }
        datagram = datagram.get_mut(len.next_multiple_of(4)..).unwrap_or_default();
    }
}

fn attributes(mut bytes: &mut [u8], depth: usize) {
    while let Some(head) = bytes.first_chunk_mut::<4>() {
        let [l0, l1, k0, k1] = *head;
        *head = [l1, l0, k1, k0];
        let len = usize::from(u16::from_ne_bytes([l1, l0]));
        let Some(payload) = bytes.get_mut(4..len) else { return };
        if let (true, Some(depth)) = (u16::from_ne_bytes([k1, k0]) & NLA_F_NESTED != 0, depth.checked_sub(1)) {
            attributes(payload, depth);
        }
        bytes = bytes.get_mut(len.next_multiple_of(4)..).unwrap_or_default();
    }
}
