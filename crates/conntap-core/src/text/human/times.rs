//! When expectations came: the kernel stamps flows but not expectations.

use crate::batch::Batch;
use crate::model::{Content, Kind};

/// The time to show for each row of `batch`, if it holds expectations.
///
/// An expectation is stamped by its reader, which comes later than the kernel's own time of a flow behind it. What
/// stands before that flow happened before it, so its time is at most the flow's.
#[must_use]
pub fn shown(batch: &Batch) -> Option<Vec<i64>> {
    if !batch.rows().iter().any(|row| row.kind.is_expectation()) {
        return None;
    }
    let mut latest = i64::MAX;
    let mut times: Vec<i64> = batch
        .rows()
        .iter()
        .rev()
        .map(|row| {
            if matches!(row.kind, Kind::New | Kind::Update | Kind::Destroy)
                && let Some((_, Content::Flow(flow))) = batch.content(row)
                && let Some(Ok(ns)) = flow.event_ns.map(i64::try_from)
            {
                latest = latest.min(ns);
            }
            row.received_ns.min(latest)
        })
        .collect();
    times.reverse();
    Some(times)
}
