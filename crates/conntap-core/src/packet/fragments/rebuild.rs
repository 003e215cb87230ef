//! The datagram that a complete queue makes, with the header of its first fragment.

use super::super::checksum::sum;
use super::super::ipv6::{FRAGMENT, HEADER_LEN};
use super::queue::Queue;
use super::{Datagram, FragmentError};

/// IPv4: length, fragment field and checksum are set anew (`ip_frag_reasm`). DF stays only where the longest fragment
/// had it.
pub(super) fn ipv4(queue: &Queue) -> Result<Datagram, FragmentError> {
    let congestion = congestion(queue.ecn)?;
    let head = u32::try_from(queue.head.len()).unwrap_or(u32::MAX);
    let total = u16::try_from(head.saturating_add(queue.len)).map_err(|_| FragmentError::TooLong)?;
    let mut out = Vec::with_capacity(usize::from(total));
    out.extend_from_slice(&queue.head);
    if let [_, tos, l0, l1, _, _, f0, f1, _, _, c0, c1, ..] = out.as_mut_slice() {
        *tos |= congestion;
        [*l0, *l1] = total.to_be_bytes();
        [*f0, *f1] = if queue.longest_df == queue.longest { [0x40, 0] } else { [0, 0] };
        [*c0, *c1] = [0, 0];
    }
    let checksum = !sum(&out);
    if let Some(field) = out.get_mut(10..12) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
    let pieces = queue.payload(&mut out);
    Ok(Datagram { bytes: out, pieces })
}

/// IPv6: the fragment header is taken out (`nf_ct_frag6_reasm`).
pub(super) fn ipv6(queue: &Queue) -> Result<Datagram, FragmentError> {
    let congestion = congestion(queue.ecn)?;
    let between = u32::try_from(queue.head.len().saturating_sub(HEADER_LEN)).unwrap_or(u32::MAX);
    let payload = u16::try_from(between.saturating_add(queue.len)).map_err(|_| FragmentError::TooLong)?;
    let mut out = Vec::with_capacity(usize::from(payload).saturating_add(HEADER_LEN));
    out.extend_from_slice(&queue.head);
    if let [_, class, _, _, l0, l1, ..] = out.as_mut_slice() {
        *class |= congestion << 4;
        [*l0, *l1] = payload.to_be_bytes();
    }
    let (at, next) = queue.next_header;
    if let Some(field) = out.get_mut(at) {
        *field = next;
    }
    let pieces = queue.payload(&mut out);
    Ok(Datagram { bytes: out, pieces })
}

/// Where the next-header field that announces the fragment header at `end` stands.
pub(super) fn next_header_at(ip: &[u8], end: usize) -> usize {
    const AUTHENTICATION: u8 = 51;
    let mut field_at = 6;
    let mut at = HEADER_LEN;
    while at < end {
        let kind = ip.get(field_at).copied().unwrap_or(FRAGMENT);
        let len = ip.get(at.saturating_add(1)).copied().map_or(0, usize::from);
        let len = if kind == AUTHENTICATION { len.saturating_add(2) << 2 } else { len.saturating_add(1) << 3 };
        (field_at, at) = (at, at.saturating_add(len));
    }
    field_at
}

/// The ECN bits to set in the datagram, from those of its fragments (RFC 3168, 5.3; `ip_frag_ecn_table`). Bit 0 of
/// `seen`: not capable; 1 and 2: capable; 3: congestion.
fn congestion(seen: u8) -> Result<u8, FragmentError> {
    match seen {
        0b0001 | 0b0010 | 0b0100 | 0b0110 | 0b1000 => Ok(0),
        0b1010 | 0b1100 | 0b1110 => Ok(3),
        _ => Err(FragmentError::Ecn),
    }
}
