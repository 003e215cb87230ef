//! Up to when everything is told: what waits in the socket when a logger dies is older than the time of the last read.

use crate::batch::Batch;
use crate::model::record::From;
use crate::model::{Cause, Content, Kind};

/// The time up to which the kernel had told what happened when it sent the last of these rows: by its own timestamps,
/// where there are any, else by when a row was received. `known` is what earlier rows said; only the last `rows` rows
/// are looked at.
#[must_use]
pub fn until(batch: &Batch, known: i64, rows: usize) -> i64 {
    let mut found = i64::MIN;
    for row in batch.rows().iter().rev().take(rows) {
        let Some((_, content)) = batch.content(row) else { continue };
        let time = match content {
            // Times before and behind it cannot be compared.
            Content::Gap(gap) if gap.cause == Cause::Clock => return found.max(gap.before_ns),
            Content::Gap(gap) if gap.cause == Cause::Restart => gap.before_ns,
            Content::Flow(flow) => {
                let own = match row.kind {
                    Kind::New => flow.event_ns.or(flow.start_ns),
                    Kind::Destroy => flow.event_ns.or(flow.stop_ns),
                    Kind::Flow if flow.record.is_some_and(|record| record.stop_from != From::Seen) => {
                        flow.event_ns.or(flow.stop_ns)
                    }
                    _ => continue,
                };
                own.and_then(|time| i64::try_from(time).ok()).unwrap_or(row.received_ns).min(row.received_ns)
            }
            _ => continue,
        };
        found = found.max(time);
    }
    found.max(known)
}
