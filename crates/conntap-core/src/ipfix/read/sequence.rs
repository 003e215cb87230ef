//! Sequence numbers: what was lost on the way, also from exporters that count in ways of their own.
//!
//! Source: RFC 7011 3.1 (data records sent before this message), RFC 3954 5.1 (messages). Seen in the field: counts that
//! include the message itself, counts of messages in IPFIX and of records in v9, options records not counted.

use super::Header;
use super::counters::{Counters, add};
use crate::model::{Cause, Gap};

/// How an exporter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Data records before this message (IPFIX as it should be).
    Before,
    /// Messages (NetFlow v9 as it should be).
    Messages,
    /// Data records, those of this message included.
    Including,
    /// As the first, but options records are not counted.
    WithoutOptions,
    /// Not at all.
    Constant,
}

const STYLES: [Style; 5] = [Style::Before, Style::Messages, Style::Including, Style::WithoutOptions, Style::Constant];

/// So often in a row another style must fit, and the present one not.
const EVIDENCE: u8 = 3;
/// What came in the wrong order is waited for so long before it is called lost.
const PATIENCE_NS: i64 = 2_000_000_000;
/// Holes that are waited for; the oldest is given up for a new one.
const MAX_HOLES: usize = 16;
/// Nobody loses so many at once: the exporter began anew.
const FAR: u32 = 1 << 24;

/// What a message says of the sequence.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    pub seq: u32,
    pub records: u32,
    pub options: u32,
    /// All of its sets could be read, so that the counts are right.
    pub whole: bool,
    pub export_ns: i64,
    pub received_ns: i64,
    pub uptime_ms: Option<u32>,
}

/// Numbers that did not come (yet).
#[derive(Clone, Copy, Debug)]
struct Hole {
    start: u32,
    count: u32,
    after_ns: i64,
    before_ns: i64,
    noted_ns: i64,
}

/// The sequence of one session and observation domain.
#[derive(Debug)]
pub struct Sequence {
    style: Style,
    evidence: [u8; STYLES.len()],
    /// The message furthest ahead, and the one that came last.
    front: Option<Numbered>,
    last: Option<Numbered>,
    holes: Vec<Hole>,
    behind: u8,
}

impl Style {
    /// The number with which a message begins, and the one with which the next must begin; None where nobody knows.
    fn span(self, message: &Numbered) -> (Option<u32>, Option<u32>) {
        let seq = message.seq;
        let records = message.whole.then(|| message.records.wrapping_add(message.options));
        match self {
            Self::Before => (Some(seq), records.map(|records| seq.wrapping_add(records))),
            Self::Messages => (Some(seq), Some(seq.wrapping_add(1))),
            Self::Including => (records.map(|records| seq.wrapping_sub(records)), Some(seq)),
            Self::WithoutOptions => (Some(seq), message.whole.then(|| seq.wrapping_add(message.records))),
            Self::Constant => (Some(seq), Some(seq)),
        }
    }

    /// Does `next` follow on `before`? None where nobody knows.
    fn follows(self, before: &Numbered, next: &Numbered) -> Option<bool> {
        Some(self.span(before).1? == self.span(next).0?)
    }
}

impl Sequence {
    #[must_use]
    pub fn new(v9: bool) -> Self {
        Self {
            style: if v9 { Style::Messages } else { Style::Before },
            evidence: [0; STYLES.len()],
            front: None,
            last: None,
            holes: Vec::new(),
            behind: 0,
        }
    }

    /// Take in the numbers of one message; gaps that are sure by now go to `gaps`.
    pub fn take(&mut self, message: Numbered, counters: &mut Counters, gaps: &mut Vec<Gap>) {
        self.settle(message.received_ns, counters, gaps);
        let (front, last) = (self.front, self.last.replace(message));
        let (Some(front), Some(last)) = (front, last) else {
            self.front = Some(message);
            return;
        };
        if message.uptime_ms.zip(front.uptime_ms).is_some_and(|(now, then)| restarted(then, now)) {
            return self.restart(message, &front, counters, gaps);
        }
        let (Some(expected), Some(begins)) = (self.style.span(&front).1, self.style.span(&message).0) else {
            self.front = Some(message); // a message with unknown records: nothing can be told
            return;
        };
        let fits = begins == expected;
        if self.learn(fits, &last, &message, counters) {
            self.front = Some(message);
            return;
        }
        let ahead = begins.wrapping_sub(expected);
        if fits {
            (self.front, self.behind) = (Some(message), 0);
        } else if ahead <= FAR {
            if self.holes.len() == MAX_HOLES {
                let oldest = self.holes.remove(0);
                self.tell(oldest, counters, gaps);
            }
            self.holes.push(Hole {
                start: expected,
                count: ahead,
                after_ns: front.export_ns,
                before_ns: message.export_ns,
                noted_ns: message.received_ns,
            });
            (self.front, self.behind) = (Some(message), 0);
        } else if ahead.wrapping_neg() <= FAR {
            let on = self.style.follows(&last, &message) == Some(true);
            self.behind = if on { self.behind.saturating_add(1) } else { 0 };
            if self.behind >= EVIDENCE {
                return self.restart(message, &front, counters, gaps);
            }
            if self.fill(begins, self.style.span(&message).1.map_or(0, |end| end.wrapping_sub(begins))) {
                add(&mut counters.late, 1);
            } else {
                add(&mut counters.repeated, 1);
            }
        } else {
            self.restart(message, &front, counters, gaps);
        }
    }

    /// Learn how the exporter counts; true where that has just become clear, and what seemed lost was not.
    fn learn(&mut self, fits: bool, last: &Numbered, message: &Numbered, counters: &mut Counters) -> bool {
        // It follows on the message before, by the present style too: they are behind, and that proves nothing.
        let fits = fits || self.style.follows(last, message) == Some(true);
        for (style, evidence) in STYLES.iter().zip(&mut self.evidence) {
            match (fits, style.follows(last, message)) {
                (false, Some(true)) => *evidence = evidence.saturating_add(1),
                (_, Some(false)) => *evidence = 0,
                _ => {}
            }
        }
        let present = self.style;
        let proven = STYLES.iter().zip(self.evidence).find(|(style, sure)| **style != present && *sure >= EVIDENCE);
        let Some((style, _)) = proven else { return false };
        self.style = *style;
        self.evidence = [0; STYLES.len()];
        self.holes.clear();
        self.behind = 0;
        add(&mut counters.miscounting, 1);
        true
    }

    fn restart(&mut self, message: Numbered, front: &Numbered, counters: &mut Counters, gaps: &mut Vec<Gap>) {
        self.settle(i64::MAX, counters, gaps);
        add(&mut counters.restarts, 1);
        gaps.push(Gap {
            cause: Cause::Restart,
            after_ns: front.export_ns,
            before_ns: message.export_ns.max(front.export_ns),
            ..Gap::default()
        });
        self.front = Some(message);
        self.behind = 0;
        self.evidence = [0; STYLES.len()];
    }

    /// Take `count` numbers from the hole that has them; false where none has.
    fn fill(&mut self, begins: u32, count: u32) -> bool {
        let found = self.holes.iter().position(|hole| {
            let at = begins.wrapping_sub(hole.start);
            count > 0 && at < hole.count && count <= hole.count.wrapping_sub(at)
        });
        let Some(found) = found else { return false };
        let hole = self.holes.remove(found);
        let at = begins.wrapping_sub(hole.start);
        let rest =
            Hole { start: begins.wrapping_add(count), count: hole.count.wrapping_sub(at).wrapping_sub(count), ..hole };
        self.holes.extend([Hole { count: at, ..hole }, rest].into_iter().filter(|hole| hole.count > 0));
        self.holes.truncate(MAX_HOLES); // one became two of many: cannot be more than one too many
        true
    }

    /// Call lost what has not come by now.
    pub fn settle(&mut self, now_ns: i64, counters: &mut Counters, gaps: &mut Vec<Gap>) {
        if self.holes.is_empty() {
            return;
        }
        let (sure, open) = std::mem::take(&mut self.holes)
            .into_iter()
            .partition(|hole| hole.noted_ns.saturating_add(PATIENCE_NS) <= now_ns);
        self.holes = open;
        for hole in sure {
            self.tell(hole, counters, gaps);
        }
    }

    /// A gap; in v9 messages are counted, and how many records they had is not known.
    fn tell(&self, hole: Hole, counters: &mut Counters, gaps: &mut Vec<Gap>) {
        let by_message = self.style == Style::Messages;
        add(if by_message { &mut counters.lost_messages } else { &mut counters.lost_records }, hole.count.into());
        gaps.push(Gap {
            lost: (!by_message).then_some(hole.count.into()),
            after_ns: hole.after_ns,
            // Export times are whole seconds, cut off.
            before_ns: hole.before_ns.saturating_add(1_000_000_000),
            ..Gap::default()
        });
    }
}

/// Went the exporter's uptime back by more than what messages out of order explain, and not by its wrap?
fn restarted(then_ms: u32, now_ms: u32) -> bool {
    let back = then_ms.saturating_sub(now_ms);
    back > 10_000 && back < 1 << 31
}

impl Numbered {
    #[must_use]
    pub fn of(header: &Header, records: u32, options: u32, whole: bool) -> Self {
        Self {
            seq: header.seq,
            records,
            options,
            whole,
            export_ns: header.export_ns,
            received_ns: header.received_ns,
            uptime_ms: header.uptime_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages as (seq, records, options), one a second; returns (lost, restarts, miscounting) and the gaps.
    fn run(v9: bool, messages: &[(u32, u32, u32)]) -> (Counters, Vec<Gap>) {
        let (mut sequence, mut counters, mut gaps) = (Sequence::new(v9), Counters::default(), Vec::new());
        for (at, (seq, records, options)) in messages.iter().enumerate() {
            let ns = 1_000_000_000 * i64::try_from(at).unwrap();
            let header = Header { seq: *seq, export_ns: ns, received_ns: ns / 10, ..Header::default() };
            sequence.take(Numbered::of(&header, *records, *options, true), &mut counters, &mut gaps);
        }
        sequence.settle(i64::MAX, &mut counters, &mut gaps);
        (counters, gaps)
    }

    #[test]
    fn lost_records_are_counted_between_their_messages() {
        let (counters, gaps) = run(false, &[(0, 10, 1), (11, 10, 0), (41, 3, 0), (44, 1, 0)]);
        assert_eq!((counters.lost_records, gaps.len()), (20, 1));
        assert_eq!((gaps[0].lost, gaps[0].after_ns, gaps[0].before_ns), (Some(20), 1_000_000_000, 3_000_000_000));
    }

    #[test]
    fn v9_counts_messages_and_nobody_knows_how_many_records_they_had() {
        let (counters, gaps) = run(true, &[(7, 10, 0), (8, 30, 0), (11, 30, 0), (12, 1, 0)]);
        assert_eq!((counters.lost_messages, counters.lost_records), (2, 0));
        assert_eq!((gaps.len(), gaps[0].lost), (1, None));
    }

    #[test]
    fn the_number_may_wrap() {
        let (counters, gaps) = run(false, &[(u32::MAX - 4, 10, 0), (5, 10, 0), (15, 1, 0)]);
        assert_eq!((counters.lost_records, counters.restarts, gaps.len()), (0, 0, 0));
    }

    #[test]
    fn messages_out_of_order_are_not_lost() {
        let (counters, gaps) = run(false, &[(0, 10, 0), (30, 10, 0), (20, 10, 0), (10, 10, 0), (40, 10, 0)]);
        assert_eq!((counters.late, counters.lost_records, gaps.len()), (2, 0, 0));
    }

    #[test]
    fn a_message_that_comes_twice_is_counted() {
        let (counters, gaps) = run(false, &[(0, 10, 0), (10, 10, 0), (10, 10, 0), (20, 10, 0)]);
        assert_eq!((counters.repeated, counters.lost_records, gaps.len()), (1, 0, 0));
    }

    #[test]
    fn exporters_that_count_wrong_lose_nothing() {
        let sizes = [3, 7, 2, 9, 4, 4, 1, 8, 5];
        let options = [0, 1, 0, 1, 1, 0, 1, 0, 1];
        let all = |next: &dyn Fn(u32, u32, u32) -> (u32, u32)| {
            let mut seq = 0;
            let mut messages = Vec::new();
            for (size, option) in sizes.into_iter().zip(options) {
                let (told, after) = next(seq, size, option);
                messages.push((told, size, option));
                seq = after;
            }
            messages
        };
        let including = all(&|seq, size, option| (seq + size + option, seq + size + option));
        let by_message = all(&|seq, _, _| (seq, seq + 1));
        let without_options = all(&|seq, size, _| (seq, seq + size));
        let constant = all(&|_, _, _| (0, 0));
        let records = all(&|seq, size, option| (seq, seq + size + option));
        for (v9, name, messages) in [
            (false, "including", &including),
            (false, "messages", &by_message),
            (false, "without options", &without_options),
            (false, "constant", &constant),
            (true, "records", &records),
            (true, "including", &including),
            (true, "constant", &constant),
        ] {
            let (counters, gaps) = run(v9, messages);
            assert_eq!((counters.miscounting, gaps.len(), counters.restarts), (1, 0, 0), "{name}: {counters:?}");
        }
        for (v9, messages) in [(false, &records), (true, &by_message)] {
            assert_eq!(run(v9, messages).0, Counters::default());
        }
    }

    #[test]
    fn an_exporter_that_begins_anew_leaves_a_gap_of_unknown_size() {
        let (counters, gaps) =
            run(false, &[(5000, 10, 0), (5010, 10, 0), (0, 9, 0), (9, 7, 0), (16, 9, 0), (25, 9, 0)]);
        assert_eq!((counters.restarts, counters.lost_records), (1, 0));
        assert_eq!((gaps.len(), gaps[0].cause, gaps[0].lost), (1, Cause::Restart, None));
    }

    #[test]
    fn an_uptime_that_goes_back_tells_a_restart_at_once() {
        let (mut sequence, mut counters, mut gaps) = (Sequence::new(true), Counters::default(), Vec::new());
        for (seq, uptime) in [(4, 50_000), (5, 60_000), (0, 1_000), (1, 2_000)] {
            let header = Header { seq, uptime_ms: Some(uptime), ..Header::default() };
            sequence.take(Numbered::of(&header, 1, 0, true), &mut counters, &mut gaps);
        }
        assert_eq!((counters.restarts, counters.lost_messages, gaps.len()), (1, 0, 1));
    }

    #[test]
    fn a_message_that_could_not_be_read_whole_is_not_judged_by() {
        let (mut sequence, mut counters, mut gaps) = (Sequence::new(false), Counters::default(), Vec::new());
        for (seq, records, whole) in [(0, 10, true), (10, 0, false), (25, 5, true), (30, 1, true)] {
            let header = Header { seq, ..Header::default() };
            sequence.take(Numbered::of(&header, records, 0, whole), &mut counters, &mut gaps);
        }
        sequence.settle(i64::MAX, &mut counters, &mut gaps);
        assert_eq!(counters, Counters::default());
    }
}
