//! Reads captures piece by piece, as the bytes come.

use super::pcap::{self, Pcap};
use super::pcapng::Section;
use super::*;

/// What stands at the front of the unread bytes; the number is how many to pass over.
pub(super) enum Step {
    /// Not all there: so many bytes are needed.
    Need(usize),
    Skip(usize),
    /// A block of a kind that is not read here.
    Unknown(usize),
    Packet(Found),
    /// This block is refused, the next can be read.
    Refused(usize, CaptureError),
    /// Nothing behind this can be read.
    Broken(CaptureError),
}

/// A packet within a block: positions count from the block's first byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The whole block's length.
    pub block: usize,
    pub at: usize,
    pub len: usize,
    pub original_len: u32,
    pub time_ns: i64,
    pub dropcount: Option<u64>,
    pub interface: u32,
    pub linktype: u16,
}

impl Found {
    /// Bytes that the capture cut off.
    pub fn cut(&self) -> u32 {
        self.original_len.saturating_sub(u32::try_from(self.len).unwrap_or(u32::MAX))
    }
}

/// Where a frame lies in the reader's buffer.
#[derive(Clone, Copy, Debug)]
pub struct At {
    start: usize,
    found: Found,
}

/// One captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Nanoseconds since the epoch. A simple packet block has no time and takes that of the packet before it.
    pub time_ns: i64,
    pub linktype: u16,
    /// Number of the interface within its section; 0 in classic files.
    pub interface: u32,
    /// The frame's length before the capture cut it.
    pub original_len: u32,
    pub bytes: &'a [u8],
    /// `epb_dropcount`: packets lost between the one before and this, where the file says so.
    pub dropcount: Option<u64>,
}

/// What a reader met. Nothing is left out in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub frames: u64,
    /// Blocks of other kinds (name resolution, decryption secrets, custom …).
    pub other_blocks: u64,
    /// Frames that the capture cut short.
    pub cut: u64,
    /// The sum of the drop counts.
    pub lost: u64,
    /// By [`CaptureError::counter`].
    pub refused: [u64; CaptureError::COUNTERS.len()],
}

#[derive(Debug)]
enum Kind {
    /// Fewer than four bytes have come.
    Unknown,
    Pcap(Option<Pcap>),
    PcapNg(Section),
    /// An error behind which nothing can be read was given.
    Broken,
}

/// Reads a capture: hand in bytes with [`Self::feed`], take frames with [`Self::next`], end with [`Self::finish`].
#[derive(Debug)]
pub struct Reader {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that have been read.
    used: usize,
    /// Offset in the file of the buffer's first byte.
    base: u64,
    kind: Kind,
    /// Of a classic file whose header was read, until [`Self::give_up`]; an error behind it does not make it unknown.
    pcap_linktype: Option<u16>,
    /// The packet at `used`, if it was looked at already.
    ahead: Option<Found>,
    counters: Counters,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: Vec::new(),
            used: 0,
            base: 0,
            kind: Kind::Unknown,
            pcap_linktype: None,
            ahead: None,
            counters: Counters::default(),
        }
    }

    /// Hand in the next bytes of the file, as many as there are. They are copied once; take the frames in between,
    /// and nothing else is moved but the rest of one that is not whole yet.
    pub fn feed(&mut self, bytes: &[u8]) {
        if matches!(self.kind, Kind::Broken) {
            return;
        }
        self.buffer.drain(..self.used.min(self.buffer.len()));
        self.base = self.base.saturating_add(size64(self.used));
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame. None: feed more, or, at the end of the file, [`Self::finish`].
    ///
    /// An error is given once; reading goes on behind it where that can be done.
    #[allow(clippy::should_implement_trait)] // lends from itself, which Iterator cannot
    #[inline]
    pub fn next(&mut self) -> Option<Result<Frame<'_>, CaptureError>> {
        match self.take()? {
            Ok((start, found)) => {
                let Found { time_ns, linktype, interface, original_len, dropcount, .. } = found;
                let bytes = self.bytes(start, found.len);
                Some(Ok(Frame { time_ns, linktype, interface, original_len, bytes, dropcount }))
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Pass over up to `limit` frames and note in `out` where they lie: [`Self::frame`] has them until bytes are fed.
    /// An error ends the walk and is given.
    pub fn ahead(&mut self, limit: usize, out: &mut Vec<At>) -> Option<CaptureError> {
        if let (Kind::Pcap(Some(pcap)), None) = (&self.kind, &self.ahead) {
            let mut rest = self.buffer.get(self.used..).unwrap_or_default();
            while out.len() < limit
                && let Some(found) = pcap.record(rest)
            {
                out.push(At { start: self.used.saturating_add(found.at), found });
                self.used = self.used.saturating_add(found.block);
                rest = rest.get(found.block..).unwrap_or_default();
                self.counters.frames = self.counters.frames.saturating_add(1);
                self.counters.cut = self.counters.cut.saturating_add(u64::from(found.cut() > 0));
            }
        }
        while out.len() < limit {
            match self.take()? {
                Ok((start, found)) => out.push(At { start, found }),
                Err(error) => return Some(error),
            }
        }
        None
    }

    /// A frame that [`Self::ahead`] has noted.
    #[inline]
    #[must_use]
    pub fn frame(&self, at: &At) -> Frame<'_> {
        let Found { time_ns, linktype, interface, original_len, dropcount, len, .. } = at.found;
        Frame { time_ns, linktype, interface, original_len, bytes: self.bytes(at.start, len), dropcount }
    }

    /// The time of the next frame, which stays. None: as [`Self::next`].
    ///
    /// # Errors
    /// What [`Self::next`] would give; it is taken.
    pub fn peek_ns(&mut self) -> Option<Result<i64, CaptureError>> {
        Some(self.look()?.map(|found| found.time_ns))
    }

    /// Say that the file has ended.
    ///
    /// # Errors
    /// [`CaptureError::Truncated`] if it ended within a block, [`CaptureError::NotACapture`] if it was empty or too
    /// short to tell.
    pub fn finish(&mut self) -> Result<(), CaptureError> {
        let have = self.rest().len();
        let need = match self.step() {
            Step::Need(need) => need,
            _ => return Ok(()), // not everything was taken with `next`
        };
        let error = match self.kind {
            Kind::Broken => return Ok(()), // which was said
            Kind::Unknown => CaptureError::NotACapture { first: self.first(), have },
            _ if have == 0 => return Ok(()),
            _ => CaptureError::Truncated { at: self.at(), need, have },
        };
        self.kind = Kind::Broken;
        Err(self.refuse(error))
    }

    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The capture's own totals, once a block that holds them has been read: the last one.
    #[must_use]
    pub fn statistics(&self) -> Option<Statistics> {
        match &self.kind {
            Kind::PcapNg(section) => section.statistics,
            _ => None,
        }
    }

    /// How many bytes of the file have been read.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.base.saturating_add(size64(self.used))
    }

    /// The next packet, passed over, and where its block begins in the buffer. It stays there until bytes are fed.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Result<(usize, Found), CaptureError>> {
        let found = match self.look()? {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        let start = self.used;
        self.ahead = None;
        self.used = self.used.saturating_add(found.block);
        self.counters.frames = self.counters.frames.saturating_add(1);
        self.counters.cut = self.counters.cut.saturating_add(u64::from(found.cut() > 0));
        self.counters.lost = self.counters.lost.saturating_add(found.dropcount.unwrap_or_default());
        Some(Ok((start.saturating_add(found.at), found)))
    }

    /// The bytes of a packet that [`Self::take`] gave.
    #[inline]
    pub(crate) fn bytes(&self, start: usize, len: usize) -> &[u8] {
        self.buffer.get(start..start.saturating_add(len)).unwrap_or_default()
    }

    pub(crate) fn bytes_mut(&mut self, start: usize, len: usize) -> &mut [u8] {
        self.buffer.get_mut(start..start.saturating_add(len)).unwrap_or_default()
    }

    /// The offset in the file of the block of a packet that [`Self::take`] gave.
    pub(crate) fn offset_of(&self, start: usize, found: &Found) -> u64 {
        self.base.saturating_add(size64(start.saturating_sub(found.at)))
    }

    /// The link type of a classic file, once its header was read.
    pub(crate) fn pcap_linktype(&self) -> Option<u16> {
        self.pcap_linktype
    }

    /// Whether the present section or file is in the other byte order.
    pub(crate) fn is_foreign(&self) -> bool {
        match &self.kind {
            Kind::PcapNg(section) => section.is_foreign(),
            Kind::Pcap(Some(pcap)) => pcap.is_foreign(),
            _ => false,
        }
    }

    /// The number of the present section.
    pub(crate) fn section(&self) -> u64 {
        match &self.kind {
            Kind::PcapNg(section) => section.number,
            _ => 0,
        }
    }

    /// Give up: nothing is read any more.
    pub(crate) fn give_up(&mut self) {
        self.used = self.buffer.len();
        self.ahead = None;
        self.pcap_linktype = None;
        self.kind = Kind::Broken;
    }

    #[inline]
    fn look(&mut self) -> Option<Result<Found, CaptureError>> {
        if let Some(found) = self.ahead {
            return Some(Ok(found));
        }
        loop {
            let (len, error) = match self.step() {
                Step::Need(_) => return None,
                Step::Packet(found) => {
                    self.ahead = Some(found);
                    return Some(Ok(found));
                }
                Step::Skip(len) => (len, None),
                Step::Unknown(len) => {
                    self.counters.other_blocks = self.counters.other_blocks.saturating_add(1);
                    (len, None)
                }
                Step::Refused(len, error) => (len, Some(error)),
                Step::Broken(error) => {
                    self.kind = Kind::Broken;
                    (self.rest().len(), Some(error))
                }
            };
            self.used = self.used.saturating_add(len);
            if let Some(error) = error {
                return Some(Err(self.refuse(error)));
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or_default()
    }

    fn first(&self) -> [u8; 4] {
        let mut first = [0; 4];
        first.iter_mut().zip(self.rest()).for_each(|(to, from)| *to = *from);
        first
    }

    #[inline]
    fn step(&mut self) -> Step {
        let at = self.at();
        let rest = self.buffer.get(self.used..).unwrap_or_default();
        match &mut self.kind {
            Kind::Broken => Step::Need(usize::MAX),
            Kind::PcapNg(section) => section.step(rest, at),
            Kind::Pcap(Some(pcap)) => pcap.step(rest, at),
            Kind::Pcap(header @ None) => match Pcap::header(rest) {
                None => Step::Need(pcap::HEADER_LEN),
                Some(Err(error)) => Step::Broken(error),
                Some(Ok((len, pcap))) => {
                    self.pcap_linktype = Some(pcap.linktype);
                    *header = Some(pcap);
                    Step::Skip(len)
                }
            },
            Kind::Unknown if rest.len() < 4 => Step::Need(4),
            Kind::Unknown => {
                self.kind = match sniff(rest) {
                    FileKind::PcapNg => Kind::PcapNg(Section::new()),
                    FileKind::Pcap => Kind::Pcap(None),
                    _ => return Step::Broken(CaptureError::NotACapture { first: self.first(), have: 4 }),
                };
                Step::Skip(0)
            }
        }
    }

    fn refuse(&mut self, error: CaptureError) -> CaptureError {
        if let Some(count) = self.counters.refused.get_mut(error.counter()) {
            *count = count.saturating_add(1);
        }
        error
    }
}

fn size64(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
