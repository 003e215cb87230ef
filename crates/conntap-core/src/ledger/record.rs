//! Writes records: the message's own attributes where there is one, and the ledger's behind them.

use super::entry::Entry;
use crate::batch::{Batch, Row};
use crate::model::record::{From, Record, end_reason};
use crate::model::{Flow, Kind};
use crate::wire::Message;
use crate::wire::constants::*;

/// What a ledger counts. Each loss has a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// NEW events.
    pub new: u64,
    pub updates: u64,
    /// DESTROY events of flows that were open.
    pub ended: u64,
    /// DESTROY events of flows of which nothing was known.
    pub ended_unannounced: u64,
    /// DESTROY events that came again.
    pub duplicates: u64,
    /// Flows found in a dump (or by an UPDATE) that had not been known.
    pub found: u64,
    /// Flows taken over from an earlier run.
    pub restored: u64,
    /// Records of flows that have ended, those whose end was not seen included.
    pub flows: u64,
    /// Of these, those whose end was not seen.
    pub missed_ends: u64,
    pub interims: u64,
    pub bindings: u64,
    pub gaps: u64,
    /// Records of others that were numbered and passed on.
    pub passed_on: u64,
    /// Events lost, where the kernel said how many.
    pub lost: u64,
    /// Rows about expectations: not part of a ledger.
    pub other: u64,
    /// Rows without both tuples.
    pub without_tuple: u64,
}

impl Counters {
    /// All of them by name.
    #[must_use]
    pub fn all(&self) -> [(&'static str, u64); 16] {
        [
            ("new", self.new),
            ("updates", self.updates),
            ("ended", self.ended),
            ("ended_unannounced", self.ended_unannounced),
            ("duplicates", self.duplicates),
            ("found", self.found),
            ("restored", self.restored),
            ("flows", self.flows),
            ("missed_ends", self.missed_ends),
            ("interims", self.interims),
            ("bindings", self.bindings),
            ("gaps", self.gaps),
            ("passed_on", self.passed_on),
            ("lost", self.lost),
            ("other", self.other),
            ("without_tuple", self.without_tuple),
        ]
    }
}

fn message_type(kind: Kind) -> u16 {
    match kind {
        Kind::Interim => RECORD_INTERIM,
        Kind::Binding => RECORD_BINDING,
        Kind::Open => RECORD_OPEN,
        _ => RECORD_FLOW,
    }
}

/// A record of the flow that a message is about.
#[inline]
pub fn from_message(
    kind: Kind,
    row: &Row,
    message: &Message<'_>,
    flow: &Flow<'_>,
    entry: &Entry,
    record: &Record<'_>,
    out: &mut Batch,
) {
    out.push_with(kind, message_type(kind), 0, flow.family, row.received_ns, |writer| {
        writer.attrs(message.attr_bytes());
        let stop = record.stop_from != From::Nothing && flow.stop_ns.is_none();
        if flow.start_ns.is_none() || stop {
            // Behind the kernel's own, if any: the last one of an attribute is the one that counts.
            writer.nest(CTA_TIMESTAMP, |writer| {
                writer.be64(CTA_TIMESTAMP_START, u64::try_from(entry.start_ns).unwrap_or_default());
                if stop {
                    let received = u64::try_from(row.received_ns).unwrap_or_default();
                    writer.be64(CTA_TIMESTAMP_STOP, flow.event_ns.unwrap_or(received));
                }
            });
        }
        if let Some(rare) = entry.rare.as_deref() {
            let missing = Flow {
                master: rare.master.filter(|_| flow.master.is_none()),
                helper: rare.helper.as_deref().filter(|_| flow.helper.is_none()),
                labels: rare.labels.as_deref().filter(|_| flow.labels.is_none()),
                ..Flow::default()
            };
            missing.write(writer);
        }
        if let (None, Some(state)) = (&flow.protoinfo, entry.state)
            && let Some(protoinfo) = super::entry::protoinfo(entry.orig.l4proto, state)
        {
            Flow { protoinfo: Some(protoinfo), ..Flow::default() }.write(writer);
        }
        record.write(writer);
    });
}

/// A record of a flow whose end nobody saw.
pub fn of_missing(held: &Entry, seq: u64, now_ns: i64, out: &mut Batch) {
    let flow = Flow {
        stop_ns: u64::try_from(held.missing_ns).ok(),
        record: Some(Record {
            end_reason: Some(end_reason::UNKNOWN),
            stop_from: From::Seen,
            stop_after_ns: Some(held.seen_ns),
            ..held.record(seq)
        }),
        ..held.flow()
    };
    push(Kind::Flow, &flow, now_ns, out);
}

/// A flow that is open. One whose end was missed has a `stop_ns`.
pub fn of_open(held: &Entry, now_ns: i64, out: &mut Batch) {
    let flow = Flow {
        stop_ns: u64::try_from(held.missing_ns).ok().filter(|time| *time != 0),
        record: Some(Record {
            stop_after_ns: Some(held.seen_ns),
            // Its end will not be told: a dump must find it.
            stop_from: if held.reports { From::Nothing } else { From::Seen },
            ..held.record(0)
        }),
        ..held.flow()
    };
    push(Kind::Open, &flow, now_ns, out);
}

/// Another's record under a number of ours.
pub fn renumbered(row: &Row, message: &Message<'_>, flow: &Flow<'_>, record: &Record<'_>, out: &mut Batch) {
    out.push_with(row.kind, message_type(row.kind), 0, flow.family, row.received_ns, |writer| {
        writer.attrs(message.attr_bytes()); // of two records the last one counts
        record.write(writer);
    });
}

fn push(kind: Kind, flow: &Flow<'_>, now_ns: i64, out: &mut Batch) {
    out.push_with(kind, message_type(kind), 0, flow.family, now_ns, |writer| flow.write(writer));
}

/// Why a flow ended. The kernel does not say; what it tells beside it does.
///
/// Source: RFC 5102 5.11.3 (flowEndReason); a DESTROY has CTA_TIMEOUT only where the flow was ended before its time
/// (net/netfilter/nf_conntrack_netlink.c, `ctnetlink_conntrack_event`).
#[must_use]
pub fn reason(flow: &Flow<'_>, port: u32, state: Option<u8>) -> u8 {
    let closing = match (flow.orig.l4proto, state) {
        // LAST_ACK, TIME_WAIT, CLOSE
        (Some(IPPROTO_TCP), Some(6..=8)) => true,
        // CLOSED, SHUTDOWN_ACK_SENT
        (Some(IPPROTO_SCTP), Some(1 | 7)) => true,
        _ => false,
    };
    if port != 0 {
        end_reason::FORCED_END // a program asked for it
    } else if closing {
        end_reason::END_DETECTED
    } else if flow.timeout.is_some_and(|left| left > 0) {
        end_reason::FORCED_END
    } else {
        end_reason::IDLE_TIMEOUT
    }
}
