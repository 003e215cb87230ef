//! Can two frames be one packet before and after the gateway, and how well do they fit?

use super::fingerprint::{Piece, Print};
use super::flows::Role;
use crate::wire::constants::*;

/// Lengths of TCP payload that differ by more were cut or joined by segmentation offload, not rewritten by a helper.
const REWRITTEN_MOST: u32 = 128;

/// One of two frames.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    pub print: &'a Print,
    pub input: u32,
    /// On the clock of the reference input.
    pub time_ns: i64,
    /// Whose packet it looks like.
    pub known: Option<(u32, Role)>,
    /// And that is beyond doubt: the connection lives.
    pub held: bool,
}

/// How well two frames fit: the greatest is the best. Time breaks ties ([`nearness`] is coarse: a gateway keeps order,
/// so of several within the same class the one that came first is meant).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    relation: Relation,
    exact: bool,
    /// Addresses with ports, and ports alone, that are the same.
    kept: u8,
    /// The TTL has gone down by one.
    step: bool,
    near: u8,
    /// More than chance speaks for it.
    sure: bool,
}

/// What is known of the two frames' connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Relation {
    /// One of them belongs to another connection.
    Contrary,
    Free,
    /// Arrival and departure of one connection, and direction.
    Same,
}

impl Fit {
    /// Both were known to be one connection's.
    pub fn is_known(&self) -> bool {
        self.relation == Relation::Same
    }

    /// Nothing but what translation changes differs, and forwarding has left its mark.
    pub fn is_certain(&self) -> bool {
        self.exact && self.step
    }

    /// Another packet may look the same, and neither a known connection nor a port that was kept speaks for this one.
    pub fn is_guess(&self) -> bool {
        !self.sure
    }
}

/// Which of two frames came, which left: true where it is `one` that came. None: they cannot be twins.
///
/// Forwarding takes one from the TTL, so that tells better than any clock. A bridge leaves it: then it is what is known
/// of the connection, or the time.
pub fn arrives(one: &Side<'_>, other: &Side<'_>) -> Option<bool> {
    let (ttl, others) = (one.print.ttl, other.print.ttl);
    if others.checked_add(1) == Some(ttl) {
        return Some(true);
    }
    if ttl.checked_add(1) == Some(others) {
        return Some(false);
    }
    if one.input == other.input {
        return None; // the same packet twice on one wire is a repetition
    }
    Some(match (one.known.filter(|_| one.held), other.known.filter(|_| other.held)) {
        (Some((_, role)), _) => role.arrives(),
        (_, Some((_, role))) => !role.arrives(),
        _ => one.time_ns < other.time_ns,
    })
}

/// Whether `came` and `left` can be one packet. `late`: nothing better has turned up within the window. Then a guess is
/// taken, and even a pair that speaks against what is known, if chance does not make such a one.
pub fn fit(came: &Side<'_>, left: &Side<'_>, window_ns: i64, late: bool) -> Option<Fit> {
    let (a, d) = (came.print, left.print);
    if a.lasting != d.lasting || a.error != d.error {
        return None;
    }
    let delay_ns = left.time_ns.saturating_sub(came.time_ns);
    if delay_ns.unsigned_abs() > window_ns.unsigned_abs() {
        return None;
    }
    let relation = relation(came, left);
    let step = d.ttl.checked_add(1) == Some(a.ttl);
    let exact = a.seq == d.seq && a.len == d.len && alike(a.head, d.head) && alike(a.tail, d.tail);
    let (ends, kept) = kept(a, d);
    let strong = a.strong && d.strong;
    // The kernel keeps a port where it can.
    let ports = (a.key.sport, a.key.dport) == (d.key.sport, d.key.dport);
    let sure = relation == Relation::Same || strong || ports;
    let accepted = match relation {
        Relation::Same => exact || (a.telling && d.telling) || a.seq == d.seq,
        // A helper rewrites payload, but then one end stays as it is.
        Relation::Free if !(sure || late) => false,
        Relation::Free if !exact => step && ends > 0 && a.seq == d.seq,
        Relation::Free if ends > 0 => step || strong,
        Relation::Free => step && strong,
        Relation::Contrary => late && exact && step && strong && ends > 0,
    };
    accepted.then_some(Fit { relation, exact, kept, step, near: nearness(delay_ns), sure })
}

fn relation(came: &Side<'_>, left: &Side<'_>) -> Relation {
    match (came.known, left.known) {
        (Some((flow, role)), Some((other, twin))) if flow == other && role.arrives() && role.twin() == twin => {
            Relation::Same
        }
        _ if came.held || left.held => Relation::Contrary,
        _ => Relation::Free,
    }
}

/// How many ends (address and port) are the same, and how much in all.
fn kept(a: &Print, d: &Print) -> (u8, u8) {
    let (a, d) = (&a.key, &d.key);
    let sport = a.sport == d.sport;
    // For ICMP this is type and code, the same always.
    let dport = a.dport == d.dport;
    let icmp = matches!(a.l4proto, IPPROTO_ICMP | IPPROTO_ICMPV6);
    let source = a.src == d.src && (sport || icmp);
    let destination = a.dst == d.dst && dport;
    let ends = u8::from(source).wrapping_add(u8::from(destination));
    let ports = u8::from(sport).wrapping_add(u8::from(dport));
    (ends, ends.wrapping_mul(2).wrapping_add(ports))
}

/// Pieces that were both captured must be equal.
fn alike(one: Piece, other: Piece) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// Coarse classes of delay; what leaves before it comes has a wrong clock, and is a class worse.
fn nearness(delay_ns: i64) -> u8 {
    let class = match delay_ns.unsigned_abs() {
        0..2_000_000 => 5_u8,
        2_000_000..20_000_000 => 4,
        20_000_000..200_000_000 => 3,
        _ => 2,
    };
    if delay_ns < 0 { class.saturating_sub(1) } else { class }
}

/// What happened to the payload between the sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    Same,
    /// By so many bytes longer (or shorter).
    Rewritten(i64),
    /// Cut into segments or joined, by offloading.
    Resegmented,
}

/// Compare the payloads of twins.
pub fn payload(came: &Print, left: &Print) -> Payload {
    if came.error {
        return Payload::Same; // what an error quotes is translated, not rewritten
    }
    let (Some(before), Some(after)) = (came.len, left.len) else { return Payload::Same };
    if before == after {
        let same = alike(came.head, left.head) && alike(came.tail, left.tail);
        return if same { Payload::Same } else { Payload::Rewritten(0) };
    }
    if came.key.l4proto == IPPROTO_TCP && before.abs_diff(after) > REWRITTEN_MOST {
        return Payload::Resegmented;
    }
    Payload::Rewritten(i64::from(after).saturating_sub(i64::from(before)))
}
