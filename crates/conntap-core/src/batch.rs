//! Many messages in one piece of memory: what travels from a source through stages to sinks.
//!
//! A batch is the messages' own bytes plus an index of its rows. [`Batch::scan`] checks each message once and
//! keeps the rows that are sound (and wanted); text, columns and Python objects are made from it on demand.

use crate::model::{Content, Gap, KernelError, Kind, Stats, StatsKind};
use crate::wire::constants::{NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_HDRLEN, NLMSG_NOOP};
use crate::wire::{DecodeError, Message, Messages, Writer};

/// A caller's test of a sound row: keep it?
pub type Wanted<'w> = &'w mut dyn FnMut(Kind, &Content<'_>, &Message<'_>) -> bool;

/// One row: where its message lies, what it reports, when it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    at: u32,
    len: u32,
    pub kind: Kind,
    /// Nanoseconds since the epoch, when the datagram was taken from the socket (or as the recording says).
    pub received_ns: i64,
}

/// A message that is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// End of a dump or answer to a request.
    Done(KernelError),
    Error(KernelError),
}

/// What [`Batch::scan`] met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    pub controls: Vec<Control>,
    /// Answers to a request for statistics.
    pub stats: Vec<Stats>,
    /// The kernel said that the dump was interrupted (NLM_F_DUMP_INTR).
    pub interrupted: bool,
    /// Sound rows that the caller's test refused.
    pub filtered: u64,
    /// Rows kept.
    pub kept: u64,
    /// Messages of other subsystems, and requests.
    pub foreign: u64,
    /// By [`DecodeError::counter`].
    pub malformed: [u64; 4],
    /// The first malformed message of this scan, for `--debug`.
    pub sample: Option<(DecodeError, Vec<u8>)>,
}

/// Rows and the bytes they lie in. Immutable once handed on.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    used: usize,
    rows: Vec<Row>,
}

impl Batch {
    /// A batch with room for `bytes` bytes of messages (at most 4 GiB).
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes], used: 0, rows: Vec::new() }
    }

    /// Forget all rows and keep the memory.
    pub fn clear(&mut self) {
        self.used = 0;
        self.rows.clear();
    }

    /// The unused part of the memory, to receive into; follow with [`Self::scan`].
    pub fn spare(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.used..).unwrap_or_default()
    }

    /// Keep the rows that `wanted` takes; returns how many it refused.
    pub fn retain(&mut self, wanted: Wanted<'_>) -> usize {
        let before = self.rows.len();
        let mut rows = std::mem::take(&mut self.rows);
        rows.retain(|row| self.content(row).is_some_and(|(message, content)| wanted(row.kind, &content, &message)));
        self.rows = rows;
        before.saturating_sub(self.rows.len())
    }

    /// Keep the first `rows` rows.
    pub fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// Bytes of messages held.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Take in `len` bytes that stand at the start of [`Self::spare`]: one datagram.
    ///
    /// Every message is decoded once. Malformed ones are counted in `scan` and left out; of the sound ones
    /// those that `wanted` refuses are counted as filtered. Memory behind the last row kept is free again.
    pub fn scan(&mut self, len: usize, received_ns: i64, wanted: Wanted<'_>, scan: &mut Scan) {
        let kept_to = self.index(self.used, len, received_ns, wanted, scan);
        self.used = kept_to.min(self.bytes.len());
    }

    /// Take over memory that holds whole datagrams at `parts` (start and length); index all of them.
    pub fn adopt(
        bytes: Vec<u8>,
        parts: &[(usize, usize)],
        received_ns: i64,
        wanted: Wanted<'_>,
        scan: &mut Scan,
    ) -> Self {
        let mut batch = Self { used: bytes.len(), bytes, rows: Vec::new() };
        for (start, len) in parts {
            batch.index(*start, *len, received_ns, wanted, scan);
        }
        batch
    }

    /// The memory itself, to be used again.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Index the datagram at `start`; returns the end of the last row kept.
    fn index(&mut self, start: usize, len: usize, received_ns: i64, wanted: Wanted<'_>, scan: &mut Scan) -> usize {
        let Some(datagram) = self.bytes.get(start..start.saturating_add(len)) else { return start };
        let mut kept_to = start;
        for found in Messages::new(datagram) {
            let (at, message) = match found {
                Ok(found) => found,
                Err(error) => {
                    scan.refuse(error, datagram);
                    break;
                }
            };
            if message.flags & NLM_F_DUMP_INTR != 0 {
                scan.interrupted = true;
            }
            let size = message.body.len().saturating_add(NLMSG_HDRLEN);
            if message.flags & NLM_F_REQUEST != 0 {
                scan.foreign = scan.foreign.saturating_add(1); // on its way to the kernel: nlmon hears both ways
                continue;
            }
            let Some(kind) = Kind::of(&message) else {
                scan.control(&message);
                continue;
            };
            match Content::decode(kind, &message) {
                Ok(content) if wanted(kind, &content, &message) => {
                    let at = start.saturating_add(at);
                    // Batches are far below 4 GiB; a row that would not fit the index is refused aloud.
                    let (Ok(at32), Ok(len32)) = (u32::try_from(at), u32::try_from(size)) else {
                        scan.refuse(DecodeError::BadLength { at, len: size, have: 0 }, &[]);
                        continue;
                    };
                    self.rows.push(Row { at: at32, len: len32, kind, received_ns });
                    scan.kept = scan.kept.saturating_add(1);
                    kept_to = at.saturating_add(size.next_multiple_of(4));
                }
                Ok(_) => scan.filtered = scan.filtered.saturating_add(1),
                Err(error) => {
                    let bytes = datagram.get(at..at.saturating_add(size)).unwrap_or_default();
                    scan.refuse(error, bytes);
                }
            }
        }
        kept_to
    }

    /// Append one datagram from memory; grows as needed.
    pub fn append(&mut self, datagram: &[u8], received_ns: i64, wanted: Wanted<'_>, scan: &mut Scan) {
        let end = self.used.saturating_add(datagram.len());
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(room) = self.bytes.get_mut(self.used..end) {
            room.copy_from_slice(datagram);
        }
        self.scan(datagram.len(), received_ns, wanted, scan);
    }

    /// Append a row that `write` makes: a message of that type, of netfilter's framing.
    pub fn push_with(
        &mut self,
        kind: Kind,
        message: u16,
        flags: u16,
        family: u8,
        received_ns: i64,
        write: impl FnOnce(&mut Writer),
    ) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.used);
        let start = bytes.len();
        let mut writer = Writer::behind(bytes, message, flags, family);
        write(&mut writer);
        self.bytes = writer.finish();
        self.used = self.bytes.len();
        let len = self.used.saturating_sub(start);
        if let (Ok(at), Ok(len)) = (u32::try_from(start), u32::try_from(len)) {
            self.rows.push(Row { at, len, kind, received_ns });
        }
    }

    /// Append a GAP row in its place.
    pub fn push_gap(&mut self, gap: &Gap) {
        self.append(&gap.encode(), gap.before_ns, &mut |_, _, _| true, &mut Scan::default());
    }

    /// Append the rows of another batch.
    pub fn extend(&mut self, other: &Self) {
        self.bytes.truncate(self.used);
        let start = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(start, 0);
        self.bytes.extend_from_slice(other.bytes.get(..other.used).unwrap_or_default());
        self.used = self.bytes.len();
        for row in &other.rows {
            let at = usize::try_from(row.at).unwrap_or(usize::MAX).saturating_add(start);
            if let Ok(at) = u32::try_from(at) {
                self.rows.push(Row { at, ..*row });
            }
        }
    }

    /// The message of a row.
    #[must_use]
    pub fn message(&self, row: &Row) -> Option<Message<'_>> {
        Message::parse(self.row_bytes(row)).ok()
    }

    /// The message's bytes, header included, as received.
    #[must_use]
    pub fn row_bytes(&self, row: &Row) -> &[u8] {
        let at = usize::try_from(row.at).unwrap_or(usize::MAX);
        let len = usize::try_from(row.len).unwrap_or(usize::MAX);
        self.bytes.get(at..at.saturating_add(len)).unwrap_or_default()
    }

    /// Message and content of a row. None only for a row of another batch: rows were checked by `scan`.
    #[must_use]
    pub fn content(&self, row: &Row) -> Option<(Message<'_>, Content<'_>)> {
        let message = self.message(row)?;
        let content = Content::decode(row.kind, &message).ok()?;
        Some((message, content))
    }

    /// All rows with their content.
    pub fn iter(&self) -> impl Iterator<Item = (&Row, Message<'_>, Content<'_>)> {
        self.rows.iter().filter_map(|row| self.content(row).map(|(message, content)| (row, message, content)))
    }
}

impl Scan {
    fn refuse(&mut self, error: DecodeError, bytes: &[u8]) {
        if let Some(count) = self.malformed.get_mut(error.counter()) {
            *count = count.saturating_add(1);
        }
        self.sample.get_or_insert_with(|| (error, bytes.to_vec()));
    }

    fn control(&mut self, message: &Message<'_>) {
        let read = match message.kind {
            NLMSG_NOOP => return,
            NLMSG_DONE => KernelError::decode(message).map(Control::Done),
            NLMSG_ERROR => KernelError::decode(message).map(Control::Error),
            kind => match StatsKind::of(kind) {
                Some(kind) => {
                    match Stats::decode(kind, message) {
                        Ok(stats) => self.stats.push(stats),
                        Err(error) => self.refuse(error, message.body),
                    }
                    return;
                }
                None => {
                    self.foreign = self.foreign.saturating_add(1);
                    return;
                }
            },
        };
        match read {
            Ok(control) => self.controls.push(control),
            Err(error) => self.refuse(error, message.body),
        }
    }

    /// Malformed messages of all causes.
    #[must_use]
    pub fn malformed_total(&self) -> u64 {
        self.malformed.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}
