//! How far apart the clocks of the captures are, by what forwarding seems to take in either direction.
//!
//! Forwarding takes about as long in both directions; what one direction seems to take longer is the difference of the
//! clocks (as in RFC 5905, section 8). Captures of one machine have one clock, and then nothing is corrected.

/// Delays of one way that are kept; the median of these counts.
const KEPT: usize = 255;
/// Ways between inputs that are kept.
const WAYS: usize = 256;

/// Delays from one input to another.
#[derive(Clone, Debug)]
struct Way {
    from: u32,
    to: u32,
    delays: Vec<i64>,
    next: usize,
    median: i64,
}

/// What pairs have told about the inputs' clocks.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    ways: Vec<Way>,
    /// Offset against the reference, by input.
    offsets: Vec<(u32, i64)>,
}

impl Clocks {
    /// A packet came by one input and went by another; the times are as captured.
    pub fn note(&mut self, from: u32, to: u32, delay_ns: i64) {
        if from == to {
            return;
        }
        let found = self.ways.iter().position(|way| (way.from, way.to) == (from, to));
        let at = found.unwrap_or_else(|| {
            if self.ways.len() < WAYS {
                self.ways.push(Way { from, to, delays: Vec::new(), next: 0, median: 0 });
            }
            self.ways.len().saturating_sub(1)
        });
        let Some(way) = self.ways.get_mut(at).filter(|way| (way.from, way.to) == (from, to)) else { return };
        if let Some(old) = way.delays.get_mut(way.next) {
            *old = delay_ns;
        } else {
            way.delays.push(delay_ns);
        }
        way.next = way.next.wrapping_add(1) % KEPT;
        // Often at first, then now and then: sorting is not free.
        if way.delays.len() < 32 || way.next.is_multiple_of(32) {
            let mut sorted = way.delays.clone();
            sorted.sort_unstable();
            way.median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
            self.settle();
        }
    }

    /// By how much an input's clock is ahead of the reference: the input of the lowest number that it has pairs with.
    #[inline]
    pub fn offset_ns(&self, input: u32) -> i64 {
        self.offsets.iter().find(|(known, _)| *known == input).map_or(0, |(_, offset)| *offset)
    }

    fn settle(&mut self) {
        let mut inputs: Vec<u32> = self.ways.iter().flat_map(|way| [way.from, way.to]).collect();
        inputs.sort_unstable();
        inputs.dedup();
        let Some(reference) = inputs.first().copied() else { return };
        let offsets = inputs.iter().map(|input| (*input, self.between(reference, *input))).collect();
        self.offsets = offsets;
    }

    /// By how much the clock of `input` is ahead of that of `reference`.
    fn between(&self, reference: u32, input: u32) -> i64 {
        let median = |from, to| self.ways.iter().find(|way| (way.from, way.to) == (from, to)).map(|way| way.median);
        match (median(reference, input), median(input, reference)) {
            // Nothing leaves before it comes: the clocks are as good as one.
            (Some(there), Some(back)) if there >= 0 && back >= 0 => 0,
            (Some(there), Some(back)) => there.saturating_sub(back) / 2,
            (Some(there), None) => there.min(0),
            (None, Some(back)) => back.min(0).saturating_neg(),
            (None, None) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_clock_needs_no_correction_however_unequal_the_delays() {
        let mut clocks = Clocks::default();
        for _ in 0..10 {
            clocks.note(0, 1, 30_000);
            clocks.note(1, 0, 900_000);
        }
        assert_eq!((clocks.offset_ns(0), clocks.offset_ns(1)), (0, 0));
    }

    #[test]
    fn half_the_difference_of_both_ways_is_the_offset() {
        let mut clocks = Clocks::default();
        for _ in 0..10 {
            clocks.note(0, 1, 20_000 - 5_000_000); // input 1 is 5 ms behind
            clocks.note(1, 0, 20_000 + 5_000_000);
        }
        assert_eq!((clocks.offset_ns(0), clocks.offset_ns(1)), (0, -5_000_000));
    }

    #[test]
    fn one_way_alone_corrects_what_cannot_be() {
        let mut clocks = Clocks::default();
        clocks.note(1, 0, -1_000_000); // what left by 0 came by 1 a millisecond later: 1 is ahead
        assert_eq!(clocks.offset_ns(1), 1_000_000);
        let mut late = Clocks::default();
        late.note(0, 1, 70_000);
        assert_eq!(late.offset_ns(1), 0);
    }

    #[test]
    fn a_wrong_pair_does_not_move_the_median() {
        let mut clocks = Clocks::default();
        for _ in 0..20 {
            clocks.note(0, 1, 10_000);
            clocks.note(1, 0, 10_000);
        }
        clocks.note(0, 1, -1_900_000_000);
        assert_eq!(clocks.offset_ns(1), 0);
    }
}
