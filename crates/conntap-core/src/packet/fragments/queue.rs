//! The fragments of one datagram. Which of them overlap is decided as in `inet_frag_queue_insert`
//! (net/ipv4/inet_fragment.c), whose answer depends on the order in which they came.

use super::super::{Fragment, Packet};
use super::{FragmentError, Piece, Pieces, QUEUE_COST, fragment_cost};

/// Fragments that came in order, each right behind the one before: start and end within the datagram's payload.
///
/// A fragment within one run is a duplicate; one that touches a run otherwise is an overlap. Only a fragment that
/// comes behind everything joins a run, so runs may lie side by side and are then told apart.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: u32,
    end: u32,
}

/// Bytes of the payload: where they belong, how many there are by the header, and where in [`Queue::bytes`] those
/// that were captured lie.
#[derive(Clone, Copy, Debug)]
struct Part {
    offset: u32,
    len: u32,
    /// The length of the headers before them.
    head: u16,
    at: usize,
    captured: usize,
}

/// What became of a fragment within its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    Waiting,
    Complete,
    Duplicate,
    Overlap,
}

/// An incomplete datagram.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub id: u32,
    /// The time at which it is given up, and its age.
    pub deadline: (i64, u64),
    /// How many fragments its source had sent at its own last one.
    pub source_fragments: u32,
    /// Sorted, disjoint.
    runs: Vec<Run>,
    parts: Vec<Part>,
    bytes: Vec<u8>,
    /// The headers of the first fragment, as far as they go unfragmented.
    pub head: Vec<u8>,
    /// IPv6: where the next-header field before the fragment header stands, and what it is to say.
    pub next_header: (usize, u8),
    /// The highest end so far; the datagram's, once its last fragment has come.
    pub len: u32,
    pub last_came: bool,
    /// Bytes there.
    present: u32,
    /// A bit for each ECN value that came.
    pub ecn: u8,
    /// The longest fragment, its headers included; IPv4: and the longest with DF set.
    pub longest: u32,
    pub longest_df: u32,
}

impl Queue {
    pub fn new(id: u32, deadline: (i64, u64)) -> Self {
        Self {
            id,
            deadline,
            source_fragments: 0,
            runs: Vec::new(),
            parts: Vec::new(),
            bytes: Vec::new(),
            head: Vec::new(),
            next_header: (0, 0),
            len: 0,
            last_came: false,
            present: 0,
            ecn: 0,
            longest: 0,
            longest_df: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What it costs in the kernel's accounting.
    pub fn cost(&self) -> u64 {
        self.parts.iter().fold(QUEUE_COST, |cost, part| cost.saturating_add(fragment_cost(part.len)))
    }

    /// Check a fragment's end against what is known of the datagram's, and remember it.
    pub fn bounds(&mut self, end: u32, more: bool) -> Result<(), FragmentError> {
        if !more {
            if end < self.len || (self.last_came && end != self.len) {
                return Err(FragmentError::End);
            }
            self.last_came = true;
            self.len = end;
        } else if end > self.len {
            if self.last_came {
                return Err(FragmentError::End);
            }
            self.len = end;
        }
        Ok(())
    }

    /// Take `len` bytes of a fragment's data.
    pub fn add(&mut self, packet: &Packet<'_>, fragment: Fragment, len: u32, ecn: u8) -> Added {
        match self.place(fragment.offset, fragment.offset.saturating_add(len)) {
            Added::Waiting => {}
            refused => return refused,
        }
        let head = match fragment.header_at {
            0 => packet.l4_at,
            at => at.saturating_add(super::ipv6::FRAGMENT_LEN as u16),
        };
        let data = packet.ip.get(usize::from(head)..).unwrap_or_default();
        let data = data.get(..usize::try_from(len).unwrap_or(usize::MAX)).unwrap_or(data);
        let (at, captured) = (self.bytes.len(), data.len());
        self.parts.push(Part { offset: fragment.offset, len, head, at, captured });
        self.bytes.extend_from_slice(data);
        if fragment.offset == 0 {
            self.keep_head(packet, fragment);
        }
        self.present = self.present.saturating_add(len);
        self.ecn |= ecn;
        let size = len.saturating_add(u32::from(head));
        self.longest = self.longest.max(size);
        if fragment.header_at == 0 && packet.ip.get(6).is_some_and(|flags| flags & 0x40 != 0) {
            self.longest_df = self.longest_df.max(size);
        }
        let first_came = !self.head.is_empty();
        if first_came && self.last_came && self.present == self.len { Added::Complete } else { Added::Waiting }
    }

    /// Find the place of the bytes from `start` to `end`.
    fn place(&mut self, start: u32, end: u32) -> Added {
        match self.last_piece_end() {
            // The common case: it goes to the end.
            Some((tail_end, run)) if tail_end < end => {
                if start < tail_end {
                    return Added::Overlap;
                }
                match self.runs.get_mut(run) {
                    Some(run) if start == tail_end => run.end = end,
                    _ => self.runs.push(Run { start, end }),
                }
            }
            _ => {
                let behind = self.runs.partition_point(|run| run.end <= start);
                match self.runs.get(behind) {
                    Some(run) if run.start <= start && end <= run.end => return Added::Duplicate,
                    Some(run) if run.start < end => return Added::Overlap,
                    _ => self.runs.insert(behind, Run { start, end }),
                }
            }
        }
        Added::Waiting
    }

    /// The end of the run that lies last, and its number.
    fn last_piece_end(&self) -> Option<(u32, usize)> {
        let last = self.runs.len().checked_sub(1)?;
        self.runs.get(last).map(|run| (run.end, last))
    }

    /// Keep the first fragment's headers; IPv6: those before the fragment header.
    fn keep_head(&mut self, packet: &Packet<'_>, fragment: Fragment) {
        let at = match fragment.header_at {
            0 => usize::from(packet.l4_at),
            at => usize::from(at),
        };
        self.head.clear();
        self.head.extend_from_slice(packet.ip.get(..at).unwrap_or_default());
        if fragment.header_at != 0 {
            let next = packet.ip.get(at).copied().unwrap_or_default();
            self.next_header = (super::rebuild::next_header_at(packet.ip, at), next);
        }
    }

    /// Append the payload, up to the first byte that no capture has; gives how it came.
    pub fn payload(&self, out: &mut Vec<u8>) -> Pieces {
        let mut parts = self.parts.clone();
        parts.sort_unstable_by_key(|part| part.offset);
        let mut whole = true;
        for part in &parts {
            if whole {
                let end = part.at.saturating_add(part.captured);
                out.extend_from_slice(self.bytes.get(part.at..end).unwrap_or_default());
            }
            whole = whole && u32::try_from(part.captured).is_ok_and(|captured| captured == part.len);
        }
        let pieces = parts.iter().map(|part| Piece { len: part.len, head: part.head }).collect();
        Pieces { pieces, longest: self.longest, id: self.id }
    }
}
