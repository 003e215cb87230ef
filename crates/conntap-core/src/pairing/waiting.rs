//! Frames that wait for their twins, found by their buckets: chains in the order in which they came.

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::fingerprint::Print;
use super::lanes::Place;
use super::trains::Train;

/// How many of a bucket are looked at: a flood of equal packets costs no more than this.
const LOOKED_AT: usize = 64;
const NONE: u32 = u32::MAX;

/// A frame that waits.
#[derive(Clone, Debug)]
pub struct Frame {
    pub print: Print,
    pub place: Place,
    /// As captured.
    pub time_ns: i64,
    pub train: Option<Box<Train>>,
}

#[derive(Debug)]
struct Slot {
    frame: Frame,
    bucket: u64,
    /// Neighbours in the bucket.
    older: u32,
    newer: u32,
    serial: u64,
}

/// All that wait.
#[derive(Debug, Default)]
pub struct Waiting {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    /// Bucket → its newest.
    buckets: HashTable<(u64, u32)>,
    /// In the order in which they came; stale where the serial differs.
    queue: VecDeque<(u32, u64)>,
    serial: u64,
    len: usize,
}

fn at(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

impl Waiting {
    fn slot(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(at(slot))?.as_ref()
    }

    fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(at(slot))?.as_mut()
    }

    /// The frames of a bucket, newest first.
    #[inline]
    pub fn in_bucket(&self, bucket: u64) -> impl Iterator<Item = (u32, &Frame)> {
        let mut next = self.buckets.find(bucket, |(known, _)| *known == bucket).map_or(NONE, |(_, newest)| *newest);
        std::iter::from_fn(move || {
            let (this, slot) = (next, self.slot(next)?);
            next = slot.older;
            Some((this, &slot.frame))
        })
        .take(LOOKED_AT)
    }

    pub fn add(&mut self, bucket: u64, frame: Frame) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(NONE)
        });
        let older = match self.buckets.find_mut(bucket, |(known, _)| *known == bucket) {
            Some((_, newest)) => std::mem::replace(newest, slot),
            None => {
                self.buckets.insert_unique(bucket, (bucket, slot), |(bucket, _)| *bucket);
                NONE
            }
        };
        if let Some(older) = self.slot_mut(older) {
            older.newer = slot;
        }
        self.serial = self.serial.wrapping_add(1);
        self.queue.push_back((slot, self.serial));
        self.len = self.len.saturating_add(1);
        let serial = self.serial;
        if let Some(place) = self.slots.get_mut(at(slot)) {
            *place = Some(Slot { frame, bucket, older, newer: NONE, serial });
        }
    }

    pub fn remove(&mut self, slot: u32) -> Option<Frame> {
        let Slot { frame, bucket, older, newer, .. } = self.slots.get_mut(at(slot))?.take()?;
        self.free.push(slot);
        self.len = self.len.saturating_sub(1);
        if let Some(older) = self.slot_mut(older) {
            older.newer = newer;
        }
        if let Some(newer) = self.slot_mut(newer) {
            newer.older = older;
        } else if let Ok(mut found) = self.buckets.find_entry(bucket, |(known, _)| *known == bucket) {
            if older == NONE {
                found.remove();
            } else {
                found.get_mut().1 = older;
            }
        }
        Some(frame)
    }

    /// Take the one that has waited longest, if `is_over` of its time, or if there is no room for one more in `limit`.
    pub fn pop(&mut self, limit: usize, is_over: impl Fn(i64) -> bool) -> Option<Frame> {
        while let Some((slot, serial)) = self.queue.front().copied() {
            let waits = self.slot(slot).filter(|found| found.serial == serial);
            if let Some(found) = waits
                && !is_over(found.frame.time_ns)
                && self.len < limit
            {
                return None;
            }
            let waits = waits.is_some();
            self.queue.pop_front();
            if waits {
                return self.remove(slot);
            }
        }
        None
    }
}
