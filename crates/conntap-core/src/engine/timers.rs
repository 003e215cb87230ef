//! The timer heap of a table: a timer is never moved, it counts or it does not when its time comes.
//!
//! Entries end long before their timers in a flood, so timers that count no more are thrown away once they are the
//! larger part: the heap stays as small as its table, at a constant price for each timer.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Time, id and slot of the entry that it ends.
pub type Timer = (i64, u32, u32);

/// Stale timers that do not matter.
const SLACK: usize = 64;

#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<Timer>>);

impl Timers {
    /// Add a timer to those of a table with so many `entries`; `counts` tells which of the old ones still do.
    #[inline]
    pub fn push(&mut self, timer: Timer, entries: usize, counts: impl Fn(&Timer) -> bool) {
        if self.0.len() > entries.saturating_mul(2).saturating_add(SLACK) {
            self.prune(counts);
        }
        self.0.push(Reverse(timer));
    }

    #[cold]
    fn prune(&mut self, counts: impl Fn(&Timer) -> bool) {
        let mut kept = std::mem::take(&mut self.0).into_vec();
        kept.retain(|Reverse(timer)| counts(timer));
        kept.sort_unstable();
        kept.dedup(); // an entry whose time went to and fro
        self.0 = kept.into();
    }

    #[inline]
    pub fn peek(&self) -> Option<Timer> {
        self.0.peek().map(|Reverse(timer)| *timer)
    }

    #[inline]
    pub fn pop(&mut self) -> Option<Timer> {
        self.0.pop().map(|Reverse(timer)| timer)
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.0.capacity().saturating_mul(size_of::<Reverse<Timer>>())
    }

    /// Every entry has its timer.
    pub fn verify(&self, mut entries: impl Iterator<Item = Timer>) -> Result<(), String> {
        let held: BTreeSet<Timer> = self.0.iter().map(|Reverse(timer)| *timer).collect();
        entries.find(|timer| !held.contains(timer)).map_or(Ok(()), |timer| Err(format!("no timer {timer:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_timers_are_thrown_away_and_those_that_count_come_in_order() {
        let mut timers = Timers::default();
        // Ten entries, whose timers are set anew again and again.
        for turn in 0..100_000_u32 {
            let latest = |timer: &Timer| timer.0 >= i64::from(turn) - 10;
            timers.push((i64::from(turn), turn % 10, 0), 10, latest);
            assert!(timers.0.len() <= 10 * 2 + SLACK + 1);
        }
        let popped: Vec<i64> = std::iter::from_fn(|| timers.pop()).map(|(time_ns, ..)| time_ns).collect();
        assert!(popped.is_sorted());
        assert!(popped.ends_with(&(99_990..100_000).collect::<Vec<_>>()));
    }
}
