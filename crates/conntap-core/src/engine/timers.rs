//! Timers in order: a small heap of those that are near, and the rest by the second in which they are due.
//!
//! One heap of all flows would not fit the processor's caches; most timers lie far ahead and are touched twice.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A bucket of far timers is 2^30 ns wide.
const BUCKET: u32 = 30;

/// Timers, earliest first.
#[derive(Debug)]
pub struct Timers<T> {
    /// All up to the bucket `near_to`; empty only if there is no timer at all.
    near: BinaryHeap<Reverse<T>>,
    near_to: i64,
    far: BTreeMap<i64, Vec<Reverse<T>>>,
    /// Timers set since the near ones were last put among the far ones.
    set: usize,
    time_of: fn(&T) -> i64,
}

impl<T: Ord> Timers<T> {
    pub fn new(time_of: fn(&T) -> i64) -> Self {
        Self { near: BinaryHeap::new(), near_to: i64::MIN, far: BTreeMap::new(), set: 0, time_of }
    }

    pub fn memory(&self) -> usize {
        let far: usize = self.far.values().map(|bucket| bucket.capacity().saturating_mul(size_of::<T>())).sum();
        let buckets = self.far.len().saturating_mul(size_of::<(i64, Vec<T>)>());
        self.near.capacity().saturating_mul(size_of::<T>()).saturating_add(far).saturating_add(buckets)
    }

    pub fn push(&mut self, timer: T) {
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
        if self.near.is_empty()
            && let Some((bucket, timers)) = self.far.pop_first()
        {
            self.near_to = bucket;
            self.near = timers.into();
        }
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
                        timers.push((time, number));
                        plain.push(Reverse((time, number)));
                    }
                    None => prop_assert_eq!(timers.pop(), plain.pop().map(|Reverse(timer)| timer)),
                }
                prop_assert_eq!(timers.first(), plain.peek().map(|Reverse(timer)| timer));
            }
        }
    }
}
