//! A packet with all that the engine thought of it: what `explain` tells.

use super::Engine;
use super::flow::Proto;
use super::tcp::Side;
use super::verdict::Outcome;
use crate::packet::Packet;
use crate::wire::constants::*;

/// How much of a payload is kept.
const PAYLOAD_MAX: usize = 256;

/// What a packet says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub family: u8,
    pub l4proto: u8,
    pub src: [u8; 16],
    pub dst: [u8; 16],
    /// Ports, where the protocol has them.
    pub ports: Option<(u16, u16)>,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    pub tcp: Option<TcpFacts>,
    /// Layer-3 bytes.
    pub length: u32,
    pub payload_len: u32,
    /// Its first bytes.
    pub payload: Vec<u8>,
    pub fragment: bool,
}

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFacts {
    /// FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32.
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    /// As it stands, not scaled.
    pub window: u16,
}

impl Facts {
    #[must_use]
    pub fn of(packet: &Packet<'_>) -> Self {
        let l4 = packet.l4();
        let later = packet.fragment.is_some_and(|fragment| fragment.offset > 0);
        let has_ports = matches!(packet.l4proto, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP);
        let ports = match l4.first_chunk::<4>() {
            Some([s0, s1, d0, d1]) if has_ports && !later => {
                Some((u16::from_be_bytes([*s0, *s1]), u16::from_be_bytes([*d0, *d1])))
            }
            _ => None,
        };
        let icmp = match l4 {
            [kind, code, ..] if matches!(packet.l4proto, IPPROTO_ICMP | IPPROTO_ICMPV6) && !later => {
                Some((*kind, *code))
            }
            _ => None,
        };
        let (tcp, header) = match l4.first_chunk::<20>() {
            Some([_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, w0, w1, ..])
                if packet.l4proto == IPPROTO_TCP && !later =>
            {
                let tcp = TcpFacts {
                    flags: flags & 0x3f,
                    seq: u32::from_be_bytes([*s0, *s1, *s2, *s3]),
                    ack: u32::from_be_bytes([*a0, *a1, *a2, *a3]),
                    window: u16::from_be_bytes([*w0, *w1]),
                };
                (Some(tcp), u32::from(offset >> 4).saturating_mul(4))
            }
            _ => (None, if ports.is_some() || icmp.is_some() { 8 } else { 0 }),
        };
        let payload_len = packet.l4_len().saturating_sub(header);
        let payload = l4.get(usize::try_from(header).unwrap_or(usize::MAX)..).unwrap_or_default();
        Self {
            family: packet.family,
            l4proto: packet.l4proto,
            src: packet.src,
            dst: packet.dst,
            ports,
            icmp,
            tcp,
            length: packet.total_len,
            payload_len,
            payload: payload.get(..PAYLOAD_MAX).unwrap_or(payload).to_vec(),
            fragment: packet.fragment.is_some(),
        }
    }
}

/// A packet and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// Of the frame in its capture, counted from 1.
    pub number: u64,
    pub time_ns: i64,
    /// Which capture.
    pub input: usize,
    /// None for frames that hold no packet.
    pub facts: Option<Facts>,
    pub outcome: Outcome,
    /// The tracker's state behind it (TCP, SCTP), by number.
    pub state: Option<u8>,
    /// TCP: both sides' windows behind it.
    pub sides: Option<[Side; 2]>,
    /// When the flow ends if nothing more comes.
    pub expires_ns: Option<i64>,
    /// IPS_* bits of the flow behind it.
    pub status: u32,
    /// Messages of the events that it caused.
    pub events: Vec<Vec<u8>>,
}

impl Traced {
    /// What the engine knows behind a packet; `events_before` is how many waited before it.
    #[must_use]
    pub fn of(
        engine: &Engine,
        (number, time_ns, input): (u64, i64, usize),
        facts: Option<Facts>,
        outcome: Outcome,
        events_before: usize,
    ) -> Self {
        let flow = engine.last_flow();
        let (state, sides) = match flow.map(|flow| &flow.proto) {
            Some(Proto::Tcp(tcp)) => (Some(tcp.state), Some(tcp.sides)),
            Some(Proto::Sctp(sctp)) => (Some(sctp.state), None),
            _ => (None, None),
        };
        Self {
            number,
            time_ns,
            input,
            facts,
            outcome,
            state,
            sides,
            expires_ns: flow.map(|flow| flow.expires_ns),
            status: flow.map_or(0, |flow| flow.status),
            events: engine.events_from(events_before),
        }
    }
}
