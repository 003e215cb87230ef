//! Timers in order: a small heap of those that are near, and the rest by the second in which they are due.
//!
//! One heap of all flows would not fit the processor's caches; most timers lie far ahead and are touched twice.
//!
//! A timer is never moved: it counts or it does not when its time comes. In a flood entries end long before their
//! timers do, so those that count no more are thrown away once they are the larger part.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// A bucket of far timers is 2^30 ns wide.
const BUCKET: u32 = 30;
/// Stale timers that do not matter.
const SLACK: usize = 1024;

/// Timers, earliest first.
#[derive(Debug)]
pub struct Timers<T> {
    /// All up to the bucket `near_to`; empty only if there is no timer at all.
    near: BinaryHeap<Reverse<T>>,
    near_to: i64,
    far: BTreeMap<i64, Vec<Reverse<T>>>,
    /// Timers set since the near ones were last put among the far ones.
    set: usize,
    /// Timers held.
    len: usize,
    time_of: fn(&T) -> i64,
}

impl<T: Ord> Timers<T> {
    pub fn new(time_of: fn(&T) -> i64) -> Self {
        Self { near: BinaryHeap::new(), near_to: i64::MIN, far: BTreeMap::new(), set: 0, len: 0, time_of }
    }

    pub fn memory(&self) -> usize {
        let far: usize = self.far.values().map(|bucket| bucket.capacity().saturating_mul(size_of::<T>())).sum();
        let buckets = self.far.len().saturating_mul(size_of::<(i64, Vec<T>)>());
        self.near.capacity().saturating_mul(size_of::<T>()).saturating_add(far).saturating_add(buckets)
    }

    /// Add a timer to those of a table with so many `entries`; `counts` tells which of the old ones still do.
    #[inline]
    pub fn push(&mut self, timer: T, entries: usize, counts: impl Fn(&T) -> bool) {
        if self.len > entries.saturating_mul(2).saturating_add(SLACK) {
            self.prune(counts);
        }
        self.put(timer);
    }

    #[cold]
    fn prune(&mut self, counts: impl Fn(&T) -> bool) {
        let keep = |timers: &mut Vec<Reverse<T>>| {
            timers.retain(|Reverse(timer)| counts(timer));
            timers.sort_unstable();
            timers.dedup(); // an entry whose time went to and fro
            timers.shrink_to_fit();
            timers.len()
        };
        let mut near = std::mem::take(&mut self.near).into_vec();
        self.len = keep(&mut near);
        self.near = near.into();
        self.far.retain(|_, timers| {
            let kept = keep(timers);
            self.len = self.len.saturating_add(kept);
            kept > 0
        });
        self.refill();
    }

    /// There are near ones if there are any.
    fn refill(&mut self) {
        if self.near.is_empty()
            && let Some((bucket, timers)) = self.far.pop_first()
        {
            self.near_to = bucket;
            self.near = timers.into();
        }
    }

    fn put(&mut self, timer: T) {
        self.len = self.len.saturating_add(1);
        let bucket = (self.time_of)(&timer) >> BUCKET;
        self.set = self.set.saturating_add(1);
        if bucket < self.near_to && self.set > self.near.len() {
            self.spill(bucket);
        }
        if self.near.is_empty() {
            self.near_to = bucket;
        }
        if bucket <= self.near_to {
            self.near.push(Reverse(timer));
        } else {
            self.far.entry(bucket).or_default().push(Reverse(timer));
        }
    }

    /// Near was too far: the first connection ends in five days, the next in a minute.
    fn spill(&mut self, near_to: i64) {
        self.set = 0;
        self.near_to = near_to;
        for timer in std::mem::take(&mut self.near) {
            let bucket = (self.time_of)(&timer.0) >> BUCKET;
            if bucket <= near_to {
                self.near.push(timer);
            } else {
                self.far.entry(bucket).or_default().push(timer);
            }
        }
    }

    #[inline]
    pub fn first(&self) -> Option<&T> {
        self.near.peek().map(|Reverse(timer)| timer)
    }

    pub fn pop(&mut self) -> Option<T> {
        let Reverse(timer) = self.near.pop()?;
        self.len = self.len.saturating_sub(1);
        self.refill();
        Some(timer)
    }

    /// Every entry has its timer.
    pub fn verify(&self, mut entries: impl Iterator<Item = T>) -> Result<(), String>
    where
        T: std::fmt::Debug,
    {
        let all = self.near.iter().chain(self.far.values().flatten());
        let held: BTreeSet<&T> = all.map(|Reverse(timer)| timer).collect();
        entries.find(|timer| !held.contains(timer)).map_or(Ok(()), |timer| Err(format!("no timer {timer:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stale_timers_are_thrown_away_and_those_that_count_come_in_order() {
        let mut timers = Timers::new(|(time, _): &(i64, u32)| *time);
        let seconds = |turn: u32| i64::from(turn) << BUCKET;
        // Ten entries, whose timers are set anew again and again.
        for turn in 0..100_000_u32 {
            timers.push((seconds(turn), turn), 10, |(time, _)| *time > seconds(turn) - seconds(11));
            assert!(timers.len <= 10 * 2 + SLACK + 1);
        }
        assert!(timers.memory() < 200_000, "{} bytes", timers.memory());
        let popped: Vec<u32> = std::iter::from_fn(|| timers.pop()).map(|(_, turn)| turn).collect();
        assert!(popped.is_sorted());
        assert!(popped.ends_with(&(99_990..100_000).collect::<Vec<_>>()));
    }

    proptest! {
        #[test]
        fn timers_come_in_order_whenever_they_are_set(
            steps in prop::collection::vec(prop::option::weighted(0.7, prop_oneof![0_i64..20_000_000_000, Just(1 << 50)]), 1..200)
        ) {
            let mut timers = Timers::new(|(time, _): &(i64, usize)| *time);
            let mut plain = BinaryHeap::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Some(time) => {
                        timers.push((time, number), usize::MAX, |_| true);
                        plain.push(Reverse((time, number)));
                    }
                    None => prop_assert_eq!(timers.pop(), plain.pop().map(|Reverse(timer)| timer)),
                }
                prop_assert_eq!(timers.first(), plain.peek().map(|Reverse(timer)| timer));
            }
        }
    }
}
