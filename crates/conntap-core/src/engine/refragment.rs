//! What came in fragments leaves in fragments.
//!
//! The kernel keeps the buffers in which the fragments of a datagram came, and sends each of them on where they can
//! still be told to be fragments; otherwise it cuts anew, no longer than the longest that came. Source: ip_do_fragment
//! and ip_fragment in net/ipv4/ip_output.c, ip6_fragment in net/ipv6/ip6_output.c, checked on Linux 6.18.
//!
//! One thing the kernel draws at random: the identification of IPv6 fragments. Here it is the sender's.

use std::borrow::Cow;

use super::Engine;
use super::helper::{Stage, Suspended};
use super::mangle::put;
use super::verdict::State;
use crate::packet::checksum;
use crate::packet::{Packet, Pieces};
use crate::wire::constants::*;

const IPV6_LEN: usize = 40;
const FRAGMENT_LEN: usize = 8;
/// No link of IPv6 takes less (RFC 8200, 5), so the kernel cuts no shorter.
const IPV6_LEAST: usize = 1280;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;

/// A datagram between its reassembly and its way out.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pieces: Pieces,
    /// Up to here, from the IP header on, it was moved into one buffer.
    joined: usize,
}

/// A buffer behind the first: bytes of data, and room for headers before them. The room is what the fragment's own
/// headers took: behind a veth there is no more, a card's driver may leave some.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    len: usize,
    room: usize,
}

impl Arrived {
    /// `sums`: checksums are looked at.
    pub fn new(pieces: Pieces, packet: &Packet<'_>, sums: bool) -> Self {
        let looked_at = match (packet.family, packet.l4proto) {
            // To find a local socket before it routes (tcp_v4_early_demux). IPv6 does that too, but no first fragment
            // of IPv6 comes without the whole header.
            (AF_INET, IPPROTO_TCP) => 20_u16,
            // Before the sum is checked (sctp_error).
            (_, IPPROTO_SCTP) if sums => 12,
            _ => return Self { pieces, joined: 0 },
        };
        let fits = u32::from(looked_at) <= packet.l4_len();
        let joined = if fits { usize::from(packet.l4_at.saturating_add(looked_at)) } else { 0 };
        Self { pieces, joined }
    }

    /// Where the data of the first fragment begin in the datagram, and end by now; the other buffers.
    fn buffers(&self, six: bool) -> Option<(usize, Vec<Buffer>)> {
        let mut pieces = self.pieces.pieces.iter().map(|piece| (as_usize(piece.len), usize::from(piece.head)));
        let (len, head) = pieces.next()?;
        let mut end = head.saturating_sub(if six { FRAGMENT_LEN } else { 0 }).saturating_add(len);
        let mut wanted = self.joined.saturating_sub(end);
        let mut others = Vec::new();
        for (len, head) in pieces {
            let moved = len.min(wanted);
            (end, wanted) = (end.saturating_add(moved), wanted.saturating_sub(moved));
            if moved < len {
                others.push(Buffer { len: len.saturating_sub(moved), room: head.saturating_add(moved) });
            }
        }
        Some((end, others))
    }

    /// Take the datagram apart; None: it cannot be, and the gateway drops it.
    fn cut<'a>(&self, bytes: &'a [u8]) -> Option<Cut<'a>> {
        let six = bytes.first()? >> 4 == 6;
        let (first_end, others) = self.buffers(six)?;
        let longest = as_usize(self.pieces.longest);
        let (head_len, total, most, header) = if six {
            let (head_len, field_at) = unfragmentable(bytes, first_end)?;
            let most = longest.max(IPV6_LEAST).checked_sub(head_len.saturating_add(FRAGMENT_LEN))?;
            let mut header = bytes.get(..head_len)?.to_vec();
            let next = std::mem::replace(header.get_mut(field_at)?, IPPROTO_FRAGMENT);
            header.extend_from_slice(&[next, 0, 0, 0]);
            header.extend_from_slice(&self.pieces.id.to_be_bytes());
            (head_len, IPV6_LEN.saturating_add(field(bytes, 4)?), most, header)
        } else {
            let head_len = usize::from(bytes.first()? & 0x0f).saturating_mul(4);
            (head_len, field(bytes, 2)?, longest.checked_sub(head_len)?, bytes.get(..head_len)?.to_vec())
        };
        if most < 8 {
            return None;
        }
        let kept = as_they_are(first_end.checked_sub(head_len)?, &others, header.len(), most);
        // The kernel forgets DF where it keeps the buffers.
        let df = !six && kept.is_none() && field(bytes, 6)? & usize::from(DONT_FRAGMENT) != 0;
        let (data, left) = (bytes.get(head_len..)?, total.checked_sub(head_len)?);
        Some(Cut { six, df, header, data, left, offset: 0, sizes: kept.map(Vec::into_iter), most })
    }
}

/// The lengths of the data in each buffer, if these can be sent as fragments: each takes the headers and begins at a
/// multiple of eight.
fn as_they_are(first: usize, others: &[Buffer], header_len: usize, most: usize) -> Option<Vec<usize>> {
    let (last, between) = others.split_last()?;
    let fits = |buffer: &Buffer| buffer.len <= most && buffer.room >= header_len;
    let whole = |buffer: &Buffer| buffer.len.is_multiple_of(8);
    let can = first <= most && first.is_multiple_of(8) && fits(last) && between.iter().all(|it| fits(it) && whole(it));
    can.then(|| std::iter::once(first).chain(others.iter().map(|buffer| buffer.len)).collect())
}

/// Where the part ends that every IPv6 fragment has, and where the field stands that names what follows it. None: not
/// within the first buffer. Source: ip6_find_1stfragopt, without Mobile IPv6's home address option.
fn unfragmentable(bytes: &[u8], first_end: usize) -> Option<(usize, usize)> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;
    let (mut at, mut field_at, mut routed) = (IPV6_LEN, 6, false);
    while at <= first_end {
        match *bytes.get(field_at)? {
            HOP_BY_HOP => {}
            ROUTING => routed = true,
            DESTINATION if !routed => {}
            _ => return Some((at, field_at)),
        }
        let len = usize::from(*bytes.get(at.saturating_add(1))?).saturating_add(1).saturating_mul(8);
        (field_at, at) = (at, at.saturating_add(len));
    }
    None
}

/// Blank the IPv4 options that belong to the first fragment only (RFC 791, 3.1). Source: ip_options_fragment.
fn blank_options(header: &mut [u8]) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const COPIED: u8 = 0x80;
    let mut at = 20_usize;
    while let Some(kind) = header.get(at).copied() {
        let len = match kind {
            END => return,
            NO_OPERATION => 1,
            _ => header.get(at.saturating_add(1)).copied().map_or(0, usize::from),
        };
        let Some(option) = header.get_mut(at..at.saturating_add(len)) else { return };
        if kind != NO_OPERATION {
            if len < 2 {
                return;
            }
            if kind & COPIED == 0 {
                option.fill(NO_OPERATION);
            }
        }
        at = at.saturating_add(len);
    }
}

/// The fragments of a datagram, made one by one. Where a capture cut the datagram, its fragments end there as well.
#[derive(Clone, Debug)]
struct Cut<'a> {
    six: bool,
    df: bool,
    /// Of the next fragment; lengths, offsets and checksums are still to be set.
    header: Vec<u8>,
    /// What is still to be sent, as far as it was captured.
    data: &'a [u8],
    /// How much is still to be sent.
    left: usize,
    offset: usize,
    /// As they came; None: cut anew, `most` bytes of data each.
    sizes: Option<std::vec::IntoIter<usize>>,
    most: usize,
}

impl Cut<'_> {
    /// Set what the next fragment's header says of it.
    fn fill_header(&mut self, len: usize, more: bool) {
        let total = self.header.len().saturating_add(len);
        let offset = as_u16(self.offset);
        if self.six {
            put(&mut self.header, 4, &as_u16(total.saturating_sub(IPV6_LEN)).to_be_bytes());
            let at = self.header.len().saturating_sub(FRAGMENT_LEN).saturating_add(2);
            put(&mut self.header, at, &((offset & !7) | u16::from(more)).to_be_bytes());
            return;
        }
        let flags = if more { MORE_FRAGMENTS } else { 0 } | if self.df { DONT_FRAGMENT } else { 0 };
        put(&mut self.header, 2, &as_u16(total).to_be_bytes());
        put(&mut self.header, 6, &((offset >> 3) | flags).to_be_bytes());
        put(&mut self.header, 10, &[0, 0]);
        let sum = !checksum::sum(&self.header);
        put(&mut self.header, 10, &sum.to_be_bytes());
    }
}

impl Iterator for Cut<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let len = match &mut self.sizes {
            Some(sizes) => sizes.next()?,
            None if self.left <= self.most => self.left,
            None => self.most & !7,
        };
        let (data, rest) = self.data.split_at(len.min(self.data.len()));
        if data.is_empty() && (len > 0 || self.sizes.is_none()) {
            return None;
        }
        self.fill_header(len, len < self.left);
        let sent = [&self.header, data].concat();
        if self.offset == 0 && !self.six {
            blank_options(&mut self.header);
        }
        (self.data, self.left) = (rest, self.left.saturating_sub(len));
        self.offset = self.offset.saturating_add(len);
        Some(sent)
    }
}

/// The packets that one packet became.
#[derive(Clone, Debug)]
enum Sent<'a> {
    Whole(Option<&'a [u8]>),
    Cut(Cut<'a>),
}

impl<'a> Sent<'a> {
    fn new(bytes: &'a [u8], arrived: Option<&Arrived>) -> Self {
        let whole = Self::Whole((!bytes.is_empty()).then_some(bytes));
        let Some(arrived) = arrived else { return whole };
        // IPv6 leaves together what has become short enough; IPv4 goes by that it was fragmented.
        let six = bytes.first().is_some_and(|first| first >> 4 == 6);
        if six && field(bytes, 4).is_none_or(|len| len.saturating_add(IPV6_LEN) <= as_usize(arrived.pieces.longest)) {
            return whole;
        }
        arrived.cut(bytes).map_or(Self::Whole(None), Self::Cut)
    }
}

impl<'a> Iterator for Sent<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Whole(bytes) => bytes.take().map(Cow::Borrowed),
            Self::Cut(cut) => cut.next().map(Cow::Owned),
        }
    }
}

impl Engine {
    /// The last packet as the gateway sends it, from the IP header on: nothing where it sends none, several where it
    /// came in fragments.
    pub fn forwarded(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        Sent::new(&self.forwarded, self.arrived.as_deref())
    }

    /// The packet at hand was written to, up to there: what is written must lie in one buffer (skb_ensure_writable).
    #[inline]
    pub(super) fn wrote(&mut self, end: usize) {
        if let Some(arrived) = &mut self.arrived {
            arrived.joined = arrived.joined.max(end);
        }
    }

    /// What a helper does to the buffers: it wants all bytes in one to rewrite them, and some want that to read.
    pub(super) fn helped(&mut self, call: &Suspended, helper: Option<u16>) {
        if self.arrived.is_none() {
            return;
        }
        let name = helper.and_then(|helper| self.helpers.get(usize::from(helper))).map(|helper| helper.name.as_str());
        let established = call.state == State::Established;
        let reads = match name {
            // Source: help in nf_conntrack_ftp.c, before it looks for data.
            Some("ftp") => established,
            // Source: sip_help_tcp, sip_help_udp.
            Some("sip") => !call.payload().is_empty() && (established || call.l4proto == IPPROTO_UDP),
            _ => false,
        };
        if call.mangled || (reads && call.stage == Stage::Helper) {
            self.wrote(usize::MAX);
        }
    }
}

/// The 16-bit field at `at`.
fn field(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..)?.first_chunk::<2>()?;
    Some(usize::from(u16::from_be_bytes(*field)))
}

fn as_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn as_u16(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
