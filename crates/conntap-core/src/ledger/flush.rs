//! One program ends many flows at once (`conntrack -F`): the record says so, beside the flows' own.

use crate::batch::Row;
use crate::model::{Cause, Gap, Kind};

/// Ends further apart than this are not of one flush.
const APART_NS: i64 = 1_000_000_000;

/// A run of ends by one program.
#[derive(Debug, Default)]
pub struct Flush {
    /// Its netlink port.
    port: u32,
    ended: u64,
    open_before: usize,
    first_ns: i64,
    last_ns: i64,
}

impl Flush {
    pub fn is_running(&self) -> bool {
        self.ended > 0
    }

    /// Take in a row; the record of a flush that is over. At least two flows, and half of those that were open.
    pub fn note(&mut self, row: &Row, port: u32, open: usize) -> Option<Gap> {
        let goes_on = row.kind == Kind::Destroy && port != 0 && port == self.port;
        let soon = row.received_ns.saturating_sub(self.last_ns) <= APART_NS;
        let over = if self.is_running() && !(goes_on && soon) && !(soon && row.kind != Kind::Destroy) {
            std::mem::take(self).finish()
        } else {
            None
        };
        if row.kind == Kind::Destroy && port != 0 {
            if !self.is_running() {
                *self = Self { port, open_before: open, first_ns: row.received_ns, ..Self::default() };
            }
            self.ended = self.ended.saturating_add(1);
            self.last_ns = row.received_ns;
        }
        over
    }

    /// The run ends here.
    pub fn end(&mut self) -> Option<Gap> {
        std::mem::take(self).finish()
    }

    fn finish(self) -> Option<Gap> {
        let half = u64::try_from(self.open_before / 2).unwrap_or(u64::MAX);
        (self.ended >= 2 && self.ended >= half).then(|| Gap {
            lost: Some(0),
            after_ns: self.first_ns,
            before_ns: self.last_ns,
            cause: Cause::Flush,
            ended: self.ended,
            ..Gap::default()
        })
    }
}
