//! Messages of one observation domain: sets are opened and closed as records come, and no message grows beyond a limit.

use super::template::Fields;
use super::time::seconds;

/// The protocol spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// NetFlow v9 (RFC 3954).
    NetFlow9,
    #[default]
    Ipfix,
}

/// Finished messages, back to back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Messages {
    /// Each message's bytes.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(*start..*end))
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub messages: u64,
    pub octets: u64,
    pub records: u64,
}

/// One observation domain's stream.
#[derive(Clone, Debug)]
pub struct Stream {
    version: Version,
    domain: u32,
    limit: usize,
    /// Data records sent before the message under way; of NetFlow v9: messages.
    sequence: u32,
    pub totals: Totals,
    done: Messages,
    /// Where the message under way begins.
    start: Option<usize>,
    /// Where its open set begins, and the set's number.
    set: Option<(usize, u16)>,
    /// Data records in it, and records of every kind.
    data: u32,
    items: u16,
    now_ns: i64,
    began_ns: i64,
    tail: Vec<u8>,
}

const SET_HEADER: usize = 4;

impl Stream {
    /// `limit`: octets that a message may have.
    #[must_use]
    pub fn new(version: Version, domain: u32, limit: usize) -> Self {
        Self {
            version,
            domain,
            limit: match version {
                Version::Ipfix => limit.min(usize::from(u16::MAX)),
                Version::NetFlow9 => limit.min(usize::from(u16::MAX)).saturating_sub(3), // sets are padded
            },
            sequence: 0,
            totals: Totals::default(),
            done: Messages::default(),
            start: None,
            set: None,
            data: 0,
            items: 0,
            now_ns: 0,
            began_ns: 0,
            tail: Vec::new(),
        }
    }

    #[must_use]
    pub fn domain(&self) -> u32 {
        self.domain
    }

    /// The time that messages finished from now on say.
    pub fn at(&mut self, now_ns: i64) {
        if self.began_ns == 0 {
            self.began_ns = now_ns;
        }
        self.now_ns = now_ns;
    }

    /// How far it has come: the next sequence number, and what was sent.
    #[must_use]
    pub fn progress(&self) -> (u32, Totals) {
        (self.sequence, self.totals)
    }

    /// Be there again. What is unfinished is forgotten.
    pub fn rewind(&mut self, (sequence, totals): (u32, Totals)) {
        (self.sequence, self.totals) = (sequence, totals);
        self.done = Messages::default();
        (self.start, self.set, self.data, self.items) = (None, None, 0, 0);
    }

    /// Write a data record with that template.
    #[inline]
    pub fn record(&mut self, template: u16, write: impl FnOnce(&mut Vec<u8>)) {
        self.item(template, write);
        self.data = self.data.saturating_add(1);
    }

    /// Write a template.
    pub fn template(&mut self, id: u16, fields: &Fields) {
        let set = match self.version {
            Version::Ipfix => 2,
            Version::NetFlow9 => 0,
        };
        self.item(set, |out| fields.write(id, None, out));
    }

    /// Write an options template, `scope` fields of which are its scope. IPFIX only.
    pub fn options_template(&mut self, id: u16, scope: u16, fields: &Fields) {
        self.item(3, |out| fields.write(id, Some(scope), out));
    }

    #[inline]
    fn item(&mut self, set: u16, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.begin();
        let same = self.set.is_some_and(|(_, open)| open == set);
        if !same {
            self.close_set();
        }
        let before = self.done.bytes.len();
        if !same {
            self.open_set(set);
        }
        let body = self.done.bytes.len();
        write(&mut self.done.bytes);
        if self.done.bytes.len().saturating_sub(start) > self.limit && self.items > 0 {
            self.carry_over(before, body, set);
        }
        self.items = self.items.saturating_add(1);
    }

    /// The message is too long by what was written last, which goes into one of its own.
    #[cold]
    fn carry_over(&mut self, before: usize, body: usize, set: u16) {
        let mut tail = std::mem::take(&mut self.tail);
        tail.clear();
        tail.extend_from_slice(self.done.bytes.get(body..).unwrap_or_default());
        self.done.bytes.truncate(before);
        if self.set.is_some_and(|(at, _)| at >= before) {
            self.set = None; // opened for this record alone
        }
        self.finish();
        self.begin();
        self.open_set(set);
        self.done.bytes.extend_from_slice(&tail);
        self.tail = tail;
    }

    #[inline]
    fn begin(&mut self) -> usize {
        if let Some(start) = self.start {
            return start;
        }
        let start = self.done.bytes.len();
        let header = match self.version {
            Version::Ipfix => 16,
            Version::NetFlow9 => 20,
        };
        self.done.bytes.reserve(self.limit);
        self.done.bytes.resize(start.saturating_add(header), 0);
        self.start = Some(start);
        start
    }

    fn open_set(&mut self, set: u16) {
        self.set = Some((self.done.bytes.len(), set));
        self.done.bytes.extend_from_slice(&set.to_be_bytes());
        self.done.bytes.extend_from_slice(&[0; 2]);
    }

    fn close_set(&mut self) {
        let Some((at, _)) = self.set.take() else { return };
        if self.version == Version::NetFlow9 {
            let len = self.done.bytes.len().saturating_sub(at).next_multiple_of(4);
            self.done.bytes.resize(at.saturating_add(len), 0);
        }
        let len = self.done.bytes.len().saturating_sub(at);
        let header: Option<&mut [u8]> = self.done.bytes.get_mut(at..at.saturating_add(SET_HEADER));
        if let Some([_, _, high, low]) = header {
            [*high, *low] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
        }
    }

    /// End the message under way, if there is one.
    pub fn finish(&mut self) {
        self.close_set();
        let Some(start) = self.start.take() else { return };
        let len = self.done.bytes.len().saturating_sub(start);
        let header = match self.version {
            Version::Ipfix => self.ipfix_header(len),
            Version::NetFlow9 => self.v9_header(),
        };
        for (place, byte) in self.done.bytes.iter_mut().skip(start).zip(header) {
            *place = byte;
        }
        self.done.ends.push(self.done.bytes.len());
        self.sequence = self.sequence.wrapping_add(match self.version {
            Version::Ipfix => self.data,
            Version::NetFlow9 => 1,
        });
        self.totals.messages = self.totals.messages.saturating_add(1);
        self.totals.octets = self.totals.octets.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        self.totals.records = self.totals.records.saturating_add(self.data.into());
        (self.data, self.items) = (0, 0);
    }

    /// RFC 7011 section 3.1.
    fn ipfix_header(&self, len: usize) -> Vec<u8> {
        let mut header = Vec::with_capacity(16);
        header.extend_from_slice(&10_u16.to_be_bytes());
        header.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        header.extend_from_slice(&seconds(self.now_ns).to_be_bytes());
        header.extend_from_slice(&self.sequence.to_be_bytes());
        header.extend_from_slice(&self.domain.to_be_bytes());
        header
    }

    /// RFC 3954 section 5.1.
    fn v9_header(&self) -> Vec<u8> {
        let up_ms = self.now_ns.saturating_sub(self.began_ns).max(0).checked_div(1_000_000).unwrap_or_default();
        let mut header = Vec::with_capacity(20);
        header.extend_from_slice(&9_u16.to_be_bytes());
        header.extend_from_slice(&self.items.to_be_bytes());
        header.extend_from_slice(&u32::try_from(up_ms).unwrap_or(u32::MAX).to_be_bytes());
        header.extend_from_slice(&seconds(self.now_ns).to_be_bytes());
        header.extend_from_slice(&self.sequence.to_be_bytes());
        header.extend_from_slice(&self.domain.to_be_bytes());
        header
    }

    /// End the message under way and hand out all that are finished.
    pub fn take(&mut self) -> Messages {
        self.finish();
        let room = self.done.bytes.len();
        let next = Messages { bytes: Vec::with_capacity(room), ends: Vec::new() };
        std::mem::replace(&mut self.done, next)
    }
}
