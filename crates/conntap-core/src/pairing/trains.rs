//! Fragments: what their first one is, all of a datagram are. Only the first has ports to be known by.

use std::collections::{BTreeMap, VecDeque};

use super::lanes::{Place, Verdict};
use crate::packet::Packet;

/// As long as the kernel waits for the rest (`ipfrag_time`), nanoseconds.
const LIFE_NS: u64 = 30_000_000_000;
/// Datagrams at once, and fragments that wait for a first one.
const TRAINS: usize = 4096;
const WAITING: usize = 65_536;

/// Input, source, destination, id: whose fragments belong together.
pub type Train = (u32, [u8; 16], [u8; 16], u32);

/// The datagram that a fragment is of; None for a whole packet.
pub fn train_of(input: u32, packet: &Packet<'_>) -> Option<Train> {
    packet.fragment.map(|fragment| (input, packet.src, packet.dst, fragment.id))
}

#[derive(Debug, Default)]
struct Known {
    begun_ns: i64,
    verdict: Option<Verdict>,
    waiting: Vec<Place>,
}

/// Datagrams of which fragments have come.
#[derive(Debug, Default)]
pub struct Trains {
    known: BTreeMap<Train, Known>,
    order: VecDeque<Train>,
    waiting: usize,
}

impl Trains {
    /// A later fragment: the verdict of its first one, if it is known; else it waits for [`Self::decide`].
    pub fn follow(&mut self, train: Train, place: Place, now_ns: i64) -> Option<Verdict> {
        let full = self.waiting >= WAITING;
        let known = self.begin(train, now_ns);
        if known.verdict.is_some() || full {
            return Some(known.verdict.unwrap_or(Verdict::Alone));
        }
        known.waiting.push(place);
        self.waiting = self.waiting.saturating_add(1);
        None
    }

    /// The first fragment has its verdict; returns those that waited for it.
    pub fn decide(&mut self, train: Train, verdict: Verdict, now_ns: i64) -> Vec<Place> {
        let known = self.begin(train, now_ns);
        known.verdict = Some(verdict);
        let waiting = std::mem::take(&mut known.waiting);
        self.waiting = self.waiting.saturating_sub(waiting.len());
        waiting
    }

    /// Forget what is too old, or too much; returns fragments that waited in vain.
    pub fn expire(&mut self, now_ns: i64) -> Vec<Place> {
        let mut left = Vec::new();
        while let Some(train) = self.order.front() {
            let age = self.known.get(train).map_or(u64::MAX, |known| known.begun_ns.abs_diff(now_ns));
            if age <= LIFE_NS && self.order.len() <= TRAINS {
                break;
            }
            if let Some(known) = self.known.remove(train) {
                left.extend(known.waiting);
            }
            self.order.pop_front();
        }
        self.waiting = self.waiting.saturating_sub(left.len());
        left
    }

    /// No more will come; returns fragments that waited in vain.
    pub fn finish(&mut self) -> Vec<Place> {
        self.order.clear();
        self.waiting = 0;
        std::mem::take(&mut self.known).into_values().flat_map(|known| known.waiting).collect()
    }

    fn begin(&mut self, train: Train, now_ns: i64) -> &mut Known {
        let order = &mut self.order;
        self.known.entry(train).or_insert_with(|| {
            order.push_back(train);
            Known { begun_ns: now_ns, ..Known::default() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIN: Train = (0, [1; 16], [2; 16], 77);

    fn place(number: u64) -> Place {
        Place { input: 0, number }
    }

    #[test]
    fn fragments_share_the_verdict_of_their_first_whichever_comes_first() {
        let mut trains = Trains::default();
        assert_eq!(trains.follow(TRAIN, place(1), 0), None);
        assert_eq!(trains.decide(TRAIN, Verdict::Departed, 5), [place(1)]);
        assert_eq!(trains.follow(TRAIN, place(2), 6), Some(Verdict::Departed));
    }

    #[test]
    fn fragments_whose_first_never_comes_are_given_back() {
        let mut trains = Trains::default();
        trains.follow(TRAIN, place(3), 0);
        assert!(trains.expire(29_000_000_000).is_empty());
        assert_eq!(trains.expire(31_000_000_000), [place(3)]);
        trains.follow(TRAIN, place(4), 0);
        assert_eq!(trains.finish(), [place(4)]);
    }

    #[test]
    fn a_flood_of_fragments_is_bounded() {
        let mut trains = Trains::default();
        for id in 0..10_000 {
            trains.follow((0, [1; 16], [2; 16], id), place(u64::from(id)), 0);
            trains.expire(0);
        }
        assert!(trains.known.len() <= TRAINS + 1);
    }
}
