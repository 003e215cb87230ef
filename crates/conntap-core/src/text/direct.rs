//! The short way for the rows that make up a table dump: IPv4 entries with ports, written without decoding them.
//!
//! A dump of a million entries should cost little more than receiving it. Almost all of its rows are messages in one
//! form, in which the kernel always writes: here their attribute headers are compared as whole words, and values go
//! straight to text. Any row that is different in the least is refused before a byte is written and goes the long way
//! ([`super::conntrack`]); a test holds both ways to the same bytes.

use super::bytes::{decimal, ipv4};
use super::conntrack::ConntrackStyle;
use crate::model::names::{SCTP_STATES, TCP_STATES};
use crate::wire::Message;
use crate::wire::constants::*;

/// An attribute's header as it lies in memory.
const fn head(len: u16, kind: u16) -> [u8; 4] {
    let ([l0, l1], [k0, k1]) = (len.to_ne_bytes(), kind.to_ne_bytes());
    [l0, l1, k0, k1]
}

/// The headers of a tuple: IP (source, destination), PROTO (number, source port, destination port).
const TUPLE: [[u8; 4]; 7] = [
    head(20, CTA_TUPLE_IP | NLA_F_NESTED),
    head(8, CTA_IP_V4_SRC),
    head(8, CTA_IP_V4_DST),
    head(28, CTA_TUPLE_PROTO | NLA_F_NESTED),
    head(5, CTA_PROTO_NUM),
    head(6, CTA_PROTO_SRC_PORT),
    head(6, CTA_PROTO_DST_PORT),
];
const COUNTERS: [[u8; 4]; 2] = [head(12, CTA_COUNTERS_PACKETS), head(12, CTA_COUNTERS_BYTES)];
const START: [u8; 4] = head(12, CTA_TIMESTAMP_START);
const STATE: [u8; 4] = head(5, 1);

#[derive(Clone, Copy)]
struct Tuple4 {
    src: [u8; 4],
    dst: [u8; 4],
    l4proto: u8,
    sport: u16,
    dport: u16,
}

impl Tuple4 {
    #[inline]
    fn read(payload: &[u8]) -> Option<Self> {
        let (words, []) = payload.as_chunks::<4>() else { return None };
        let [ip, src_head, src, dst_head, dst, proto, number_head, number, sport_head, sport, dport_head, dport] =
            words
        else {
            return None;
        };
        if [*ip, *src_head, *dst_head, *proto, *number_head, *sport_head, *dport_head] != TUPLE {
            return None;
        }
        let port = |[high, low, _, _]: [u8; 4]| u16::from_be_bytes([high, low]);
        let [l4proto, ..] = *number;
        Some(Self { src: *src, dst: *dst, l4proto, sport: port(*sport), dport: port(*dport) })
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b" src=");
        ipv4(out, self.src.into());
        out.extend_from_slice(b" dst=");
        ipv4(out, self.dst.into());
        field(out, b" sport=", self.sport.into());
        field(out, b" dport=", self.dport.into());
    }
}

#[inline]
fn field<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: u64) {
    out.extend_from_slice(name);
    decimal(out, value);
}

/// Two 64-bit counters, nothing else.
#[inline]
fn counters(payload: &[u8]) -> Option<(u64, u64)> {
    let (words, []) = payload.as_chunks::<4>() else { return None };
    let [packets_head, p0, p1, bytes_head, b0, b1] = words else { return None };
    ([*packets_head, *bytes_head] == COUNTERS).then(|| (wide(*p0, *p1), wide(*b0, *b1)))
}

#[inline]
fn wide(high: [u8; 4], low: [u8; 4]) -> u64 {
    (u64::from(u32::from_be_bytes(high)) << 32) | u64::from(u32::from_be_bytes(low))
}

/// The start of a flow that has no end yet.
#[inline]
fn start(payload: &[u8]) -> Option<u64> {
    let (words, []) = payload.as_chunks::<4>() else { return None };
    let [head, high, low] = words else { return None };
    (*head == START).then(|| wide(*high, *low))
}

/// The state, if it is the first attribute inside and none behind it takes more than two words, as in every message
/// of the kernel.
#[inline]
fn state(payload: &[u8]) -> Option<&'static str> {
    let (words, []) = payload.as_chunks::<4>() else { return None };
    let [[l0, l1, k0, k1], state_head, [state, ..], rest @ ..] = words else { return None };
    let names = match u16::from_ne_bytes([*k0, *k1]) & NLA_TYPE_MASK {
        CTA_PROTOINFO_TCP => &TCP_STATES,
        CTA_PROTOINFO_SCTP => &SCTP_STATES,
        _ => return None,
    };
    let whole = usize::from(u16::from_ne_bytes([*l0, *l1])) == payload.len();
    let (pairs, []) = rest.as_chunks::<2>() else { return None };
    let other = |[[l0, l1, k0, k1], _]: &[[u8; 4]; 2]| {
        let (len, kind) = (u16::from_ne_bytes([*l0, *l1]), u16::from_ne_bytes([*k0, *k1]) & NLA_TYPE_MASK);
        (5..=8).contains(&len) && kind != 1 // 1 is the state, again
    };
    let usual = whole && *state_head == STATE && pairs.iter().all(other);
    usual.then(|| names.get(usize::from(*state)).copied().unwrap_or("NONE"))
}

/// What a row says.
#[derive(Default)]
struct Entry {
    orig: Option<Tuple4>,
    reply: Option<Tuple4>,
    timeout: Option<u32>,
    state: Option<&'static str>,
    status: Option<u32>,
    counters_orig: Option<(u64, u64)>,
    counters_reply: Option<(u64, u64)>,
    mark: Option<u32>,
    start_ns: Option<u64>,
    use_count: Option<u32>,
    id: Option<u32>,
}

impl Entry {
    #[inline]
    fn read(style: &ConntrackStyle, message: &Message<'_>) -> Option<Self> {
        if message.nfgen().ok()?.0 != AF_INET {
            return None;
        }
        let mut entry = Self::default();
        for attr in message.attrs() {
            let attr = attr.ok()?;
            match attr.kind {
                CTA_TUPLE_ORIG => entry.orig = Some(Tuple4::read(attr.payload)?),
                CTA_TUPLE_REPLY => entry.reply = Some(Tuple4::read(attr.payload)?),
                CTA_STATUS => entry.status = Some(attr.be32().ok()?),
                CTA_PROTOINFO => entry.state = Some(state(attr.payload)?),
                CTA_TIMEOUT => entry.timeout = Some(attr.be32().ok()?),
                CTA_MARK => entry.mark = Some(attr.be32().ok()?),
                CTA_COUNTERS_ORIG => entry.counters_orig = Some(counters(attr.payload)?),
                CTA_COUNTERS_REPLY => entry.counters_reply = Some(counters(attr.payload)?),
                CTA_USE => entry.use_count = Some(attr.be32().ok()?),
                CTA_ID => entry.id = Some(attr.be32().ok()?),
                CTA_TIMESTAMP if !style.ktimestamp => entry.start_ns = Some(start(attr.payload)?),
                // Written by the long way only.
                CTA_TIMESTAMP | CTA_HELP | CTA_SECMARK | CTA_ZONE | CTA_SECCTX => return None,
                CTA_LABELS if style.labels.is_some() => return None,
                _ => {} // never written
            }
        }
        Some(entry)
    }
}

/// Append the line of a table entry; false, with nothing written, if it must go the long way. `now_ns` is asked for
/// entries with a start time.
#[inline]
pub(super) fn write(
    style: &ConntrackStyle,
    message: &Message<'_>,
    now_ns: impl FnOnce() -> i64,
    out: &mut Vec<u8>,
) -> bool {
    let Some(entry) = Entry::read(style, message) else { return false };
    let (Some(orig), Some(reply)) = (entry.orig, entry.reply) else { return false };
    let name: &[u8] = match orig.l4proto {
        IPPROTO_TCP => b"tcp      6",
        IPPROTO_UDP => b"udp      17",
        IPPROTO_SCTP => b"sctp     132",
        _ => return false,
    };
    if reply.l4proto != orig.l4proto {
        return false;
    }
    out.reserve(512);
    if style.extended {
        out.extend_from_slice(b"ipv4     2 ");
    }
    out.extend_from_slice(name);
    if let Some(timeout) = entry.timeout {
        field(out, b" ", timeout.into());
    }
    if let Some(state) = entry.state {
        out.push(b' ');
        out.extend_from_slice(state.as_bytes());
    }
    let status = entry.status.unwrap_or(IPS_SEEN_REPLY);
    orig.write(out);
    traffic(out, entry.counters_orig);
    if status & IPS_SEEN_REPLY == 0 {
        out.extend_from_slice(b" [UNREPLIED]");
    }
    reply.write(out);
    traffic(out, entry.counters_reply);
    if status & IPS_HW_OFFLOAD != 0 {
        out.extend_from_slice(b" [HW_OFFLOAD]");
    } else if status & IPS_OFFLOAD != 0 {
        out.extend_from_slice(b" [OFFLOAD]");
    } else if status & IPS_ASSURED != 0 {
        out.extend_from_slice(b" [ASSURED]");
    }
    if let Some(mark) = entry.mark {
        field(out, b" mark=", mark.into());
    }
    if let Some(start) = entry.start_ns {
        let started = super::clock::seconds_of(start);
        let age = now_ns().div_euclid(1_000_000_000).saturating_sub(started);
        field(out, b" delta-time=", u64::try_from(age).unwrap_or(0));
    }
    if let Some(count) = entry.use_count {
        field(out, b" use=", count.into());
    }
    if let Some(id) = entry.id.filter(|_| style.id) {
        field(out, b" id=", id.into());
    }
    out.push(b'\n');
    true
}

#[inline]
fn traffic(out: &mut Vec<u8>, counters: Option<(u64, u64)>) {
    if let Some((packets, bytes)) = counters {
        field(out, b" packets=", packets);
        field(out, b" bytes=", bytes);
    }
}
