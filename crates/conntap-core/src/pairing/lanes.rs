//! What was found out about each frame, in the order in which its input had it.

use std::collections::{BTreeMap, VecDeque};

/// What a frame is to the gateway's connection tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It came, and left by another input or translated: to be tracked.
    Arrived,
    /// It left: tracking has seen it when it came. To be skipped.
    Departed,
    /// Seen on one side alone: the gateway's own, for the gateway, not forwarded, or not captured on the other side. To be
    /// tracked.
    Alone,
}

impl Verdict {
    /// Short name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::Departed => "departed",
            Self::Alone => "alone",
        }
    }
}

/// A frame: its input, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub input: u32,
    pub number: u64,
}

/// Verdicts of one input.
#[derive(Debug, Default)]
struct Lane {
    /// Number of the first in `verdicts`.
    taken: u64,
    /// None: not known yet.
    verdicts: VecDeque<Option<Verdict>>,
}

/// The inputs' verdicts. They may be found in any order and are taken in that of the frames.
#[derive(Debug, Default)]
pub struct Lanes(BTreeMap<u32, Lane>);

impl Lanes {
    /// A frame has come.
    pub fn begin(&mut self, input: u32) -> Place {
        let lane = self.0.entry(input).or_default();
        let waiting = u64::try_from(lane.verdicts.len()).unwrap_or(u64::MAX);
        lane.verdicts.push_back(None);
        Place { input, number: lane.taken.saturating_add(waiting) }
    }

    pub fn set(&mut self, place: Place, verdict: Verdict) {
        let Some(lane) = self.0.get_mut(&place.input) else { return };
        let Some(at) = place.number.checked_sub(lane.taken).and_then(|at| usize::try_from(at).ok()) else { return };
        if let Some(known) = lane.verdicts.get_mut(at) {
            *known = Some(verdict);
        }
    }

    /// Take the verdict of an input's next frame; None: it is not known yet, or no frame is left.
    pub fn take(&mut self, input: u32) -> Option<Verdict> {
        let lane = self.0.get_mut(&input)?;
        let verdict = (*lane.verdicts.front()?)?;
        lane.verdicts.pop_front();
        lane.taken = lane.taken.saturating_add(1);
        Some(verdict)
    }

    /// The verdict of a frame that has not been taken; None: it is not known yet, or there is no such frame.
    pub fn get(&self, place: Place) -> Option<Verdict> {
        let lane = self.0.get(&place.input)?;
        let at = usize::try_from(place.number.checked_sub(lane.taken)?).ok()?;
        *lane.verdicts.get(at)?
    }

    /// How many verdicts have not been taken.
    pub fn waiting(&self) -> usize {
        self.0.values().map(|lane| lane.verdicts.len()).fold(0, usize::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_found_in_any_order_are_taken_in_that_of_the_frames() {
        let mut lanes = Lanes::default();
        let (first, other, second) = (lanes.begin(4), lanes.begin(9), lanes.begin(4));
        lanes.set(second, Verdict::Departed);
        assert_eq!(lanes.take(4), None, "the first is not known");
        lanes.set(first, Verdict::Alone);
        assert_eq!((lanes.take(4), lanes.take(4)), (Some(Verdict::Alone), Some(Verdict::Departed)));
        assert_eq!((lanes.take(4), lanes.take(9)), (None, None));
        lanes.set(other, Verdict::Arrived);
        let third = lanes.begin(4);
        lanes.set(third, Verdict::Arrived);
        assert_eq!((lanes.take(9), lanes.take(4)), (Some(Verdict::Arrived), Some(Verdict::Arrived)));
    }

    #[test]
    fn a_frame_that_was_taken_is_not_judged_again() {
        let mut lanes = Lanes::default();
        let place = lanes.begin(0);
        lanes.set(place, Verdict::Alone);
        lanes.take(0);
        let next = lanes.begin(0);
        lanes.set(place, Verdict::Departed);
        assert_eq!(lanes.take(0), None);
        lanes.set(next, Verdict::Arrived);
        assert_eq!(lanes.take(0), Some(Verdict::Arrived));
    }
}
