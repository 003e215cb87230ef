//! What a packet shows on both sides of a gateway that translates.
//!
//! NAT changes addresses, ports, ICMP ids, call ids and checksums; helpers change payload, its length and, behind such
//! a change, TCP's sequence and acknowledgement numbers. Forwarding takes one from the TTL. Everything else stays, and
//! is what twins are known by. Source: net/netfilter/nf_nat_proto.c, nf_nat_helper.c; RFC 1812, 5.3.1.

use crate::engine::extract;
use crate::engine::key::{Key, Sip};
use crate::packet::{Packet, decode_quoted};
use crate::wire::constants::*;

/// Bytes at either end of the payload that are compared.
const PIECE: usize = 64;
/// Bytes of the payload that decide where a twin is looked for: helpers do not touch the first word.
const BEGIN: usize = 8;
/// TCP flags that nothing on the way changes: all but the two of ECN.
const FLAGS: u8 = 0x3f;
const FIN_SYN_RST: u8 = 0x07;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A piece of payload as a keyed hash; None where the capture cut it.
pub type Piece = Option<u64>;

/// A packet's fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// As it stands in the packet. For an ICMP error: the tuple of the direction that the error goes.
    pub key: Key,
    /// Keyed hash of what neither translation nor helpers change: twins have the same.
    pub lasting: u64,
    /// TCP's sequence number; 0 elsewhere.
    pub seq: u32,
    /// Bytes of layer 4; None where a fragment does not tell.
    pub len: Option<u32>,
    pub head: Piece,
    pub tail: Piece,
    pub ttl: u8,
    /// A first packet by its own looks: TCP's SYN.
    pub opens: bool,
    /// An ICMP error: it belongs to the flow that it quotes and makes none.
    pub error: bool,
    /// Chance hardly makes two of these within a window: an IP id, a sequence number, or enough payload.
    pub strong: bool,
    /// What lasts says so much alone, whatever became of the payload.
    pub telling: bool,
}

/// The fingerprint of a packet with a layer 4; None for what is tracked by no tuple.
pub fn print(packet: &Packet<'_>, seed: [u64; 2]) -> Option<Print> {
    if packet.no_l4.is_some() {
        return None;
    }
    if let Some(quoted) = quoted(packet) {
        return error(packet, &quoted, seed);
    }
    let key = extract::key(packet, 0, &|_| 0).ok()?;
    let l4 = packet.l4();
    let Transport { words, header, seq, len, opens, syn } = transport(packet, l4);
    let payload = l4.get(header..).unwrap_or_default();
    let whole = packet.fragment.is_none();
    let payload_len = whole.then(|| packet.l4_len().saturating_sub(narrow(header)));
    let (id, tcp) = (ip_id(packet), packet.l4proto == IPPROTO_TCP);
    let mut sip = common(packet, id, seed);
    for word in words {
        sip.word(word);
    }
    if !tcp {
        sip.word(word(payload.get(..BEGIN).unwrap_or(payload)));
    }
    let [_, stamps] = words;
    Some(Print {
        key,
        lasting: sip.finish(),
        seq,
        len,
        head: head(payload, payload_len, seed),
        tail: payload_len.and_then(|len| tail(payload, len, seed)),
        ttl: packet.ttl,
        opens,
        error: false,
        strong: id != 0 || syn || payload.len() >= 16 || (tcp && !payload.is_empty()),
        telling: id != 0 || syn || (tcp && stamps != 0) || (!tcp && payload.len() >= BEGIN),
    })
}

/// What the protocols have that stays.
struct Transport {
    words: [u64; 2],
    /// Bytes before what counts as payload.
    header: usize,
    seq: u32,
    len: Option<u32>,
    opens: bool,
    syn: bool,
}

fn transport(packet: &Packet<'_>, l4: &[u8]) -> Transport {
    let len = packet.fragment.is_none().then(|| packet.l4_len());
    let bare = Transport { words: [0; 2], header: 0, seq: 0, len, opens: false, syn: false };
    match packet.l4proto {
        IPPROTO_TCP => tcp(l4, bare),
        IPPROTO_UDP => {
            // The header's own length: it is in the first fragment too.
            let len = l4.get(4..).and_then(|rest| rest.first_chunk::<2>());
            Transport { header: 8, len: len.map(|len| u32::from(u16::from_be_bytes(*len))), ..bare }
        }
        IPPROTO_UDPLITE => Transport { header: 8, ..bare },
        IPPROTO_ICMP | IPPROTO_ICMPV6 => {
            // Type and code, and the sequence number behind the id.
            let words = match l4.first_chunk::<8>() {
                Some([kind, code, _, _, _, _, s0, s1]) => [word(&[*kind, *code, *s0, *s1]), 0],
                None => [0; 2],
            };
            Transport { words, header: 8, ..bare }
        }
        IPPROTO_SCTP => Transport { words: [word(l4.get(4..8).unwrap_or_default()), 0], header: 12, ..bare },
        IPPROTO_GRE if l4.get(1).is_some_and(|version| version & 7 == 1) => {
            // The call id of PPTP is translated; around it stand flags, protocol, length, and the sequence number.
            let words = [word(l4.get(..6).unwrap_or_default()), word(l4.get(8..16).unwrap_or_default())];
            Transport { words, header: 16, ..bare }
        }
        _ => bare,
    }
}

fn tcp(l4: &[u8], bare: Transport) -> Transport {
    let Some([_, _, _, _, s0, s1, s2, s3, _, _, _, _, offset, flags, w0, w1, ..]) = l4.first_chunk::<20>() else {
        return bare;
    };
    let seq = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
    let header = usize::from(offset >> 4).saturating_mul(4);
    let syn = flags & SYN != 0;
    // No helper has shifted a SYN's number yet.
    let first = if syn { u64::from(seq) } else { 0 };
    let stamps = stamps(l4.get(20..header).unwrap_or_default());
    let fixed = word(&[flags & FLAGS, *w0, *w1]) | first << 32;
    Transport { words: [fixed, stamps], header, seq, opens: flags & (FIN_SYN_RST | ACK) == SYN, syn, ..bare }
}

/// TCP's timestamps (RFC 7323): they differ from packet to packet, and no translation touches them.
fn stamps(mut options: &[u8]) -> u64 {
    loop {
        match options {
            [1, rest @ ..] => options = rest,
            [8, 10, rest @ ..] => return word(rest.get(..8).unwrap_or_default()),
            [0, ..] | [] => return 0,
            [_, len, ..] => {
                // An option has two bytes at least.
                let Some(rest) = options.get(usize::from((*len).max(2))..) else { return 0 };
                options = rest;
            }
            [_] => return 0,
        }
    }
}

/// The packet that an ICMP error quotes.
fn quoted<'a>(packet: &Packet<'a>) -> Option<Packet<'a>> {
    let l4 = packet.l4();
    let kind = *l4.first()?;
    let is_error = match (packet.l4proto, packet.family) {
        (IPPROTO_ICMP, AF_INET) => matches!(kind, 3 | 4 | 5 | 11 | 12),
        (IPPROTO_ICMPV6, AF_INET6) => kind < 128,
        _ => false,
    };
    if is_error { decode_quoted(packet.family, l4.get(8..)?) } else { None }
}

fn error(packet: &Packet<'_>, quoted: &Packet<'_>, seed: [u64; 2]) -> Option<Print> {
    let key = extract::key(quoted, 0, &|_| 0).ok()?.inverse()?;
    let mut sip = common(packet, ip_id(packet), seed);
    sip.word(word(packet.l4().get(..2).unwrap_or_default()));
    // IPv4: length and id; IPv6: length, next header, hop limit.
    sip.word(word(quoted.ip.get(2..8).unwrap_or_default()));
    if quoted.l4proto == IPPROTO_TCP {
        sip.word(word(quoted.l4().get(4..8).unwrap_or_default()));
    }
    Some(Print {
        key,
        lasting: sip.finish(),
        seq: 0,
        len: packet.fragment.is_none().then(|| packet.l4_len()),
        head: None,
        tail: None,
        ttl: packet.ttl,
        opens: false,
        error: true,
        strong: true,
        telling: true,
    })
}

fn common(packet: &Packet<'_>, id: u16, seed: [u64; 2]) -> Sip {
    let mut sip = Sip::new(seed);
    sip.word(u64::from(id) << 16 | u64::from(packet.family) << 8 | u64::from(packet.l4proto));
    sip
}

/// IPv4's id, which forwarding keeps; 0 where there is none.
fn ip_id(packet: &Packet<'_>) -> u16 {
    if packet.family != AF_INET {
        return 0;
    }
    packet.ip.get(4..).and_then(|rest| rest.first_chunk::<2>()).map_or(0, |id| u16::from_be_bytes(*id))
}

fn head(payload: &[u8], len: Option<u32>, seed: [u64; 2]) -> Piece {
    let wanted = len.map_or(PIECE, |len| PIECE.min(wide(len)));
    payload.get(..wanted).map(|piece| hash(piece, seed))
}

fn tail(payload: &[u8], len: u32, seed: [u64; 2]) -> Piece {
    let payload = payload.get(..wide(len))?;
    Some(hash(payload.get(payload.len().saturating_sub(PIECE)..)?, seed))
}

fn hash(bytes: &[u8], seed: [u64; 2]) -> u64 {
    let mut sip = Sip::new(seed);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        sip.word(u64::from_ne_bytes(*word));
    }
    sip.word(word(rest));
    sip.word(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    sip.finish()
}

/// Up to eight bytes as a number.
fn word(bytes: &[u8]) -> u64 {
    let mut out = [0; 8];
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(out)
}

fn wide(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
