//! Reads recordings piece by piece, as the bytes come.

use super::pcap::Pcap;
use super::pcapng::Section;
use super::swap::swap;
use super::writer::gap_of;
use super::*;
use crate::model::Gap;
use crate::wire::constants::{NLM_F_REQUEST, NLMSG_HDRLEN};

/// What stands at the front of the unread bytes; the number is how many to pass over.
pub(super) enum Step {
    /// Not all there: so many bytes are needed.
    Need(usize),
    Skip(usize),
    /// A block of a kind that is not read here.
    Unknown(usize),
    /// A packet that is no netlink, of an interface about which that has been said.
    OtherLinktype(usize),
    Packet(usize, Found),
    /// This block is refused, the next can be read.
    Refused(usize, RecordingError),
    /// Nothing behind this can be read.
    Broken(RecordingError),
}

/// A packet within a block: positions count from the block's first byte.
pub(super) struct Found {
    pub at: usize,
    pub len: usize,
    pub original_len: u32,
    pub received_ns: i64,
    pub dropcount: Option<u64>,
    pub interface: u32,
}

/// One recorded datagram of NETLINK_NETFILTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Nanoseconds since the epoch. A simple packet block has no time and takes that of the packet before it.
    pub received_ns: i64,
    /// One or more netlink messages, in this machine's byte order whatever the file's is.
    pub datagram: &'a [u8],
    /// `epb_dropcount`: packets lost between the one before and this, where the file says so.
    pub dropcount: Option<u64>,
    /// The same as a GAP row, to be put before this packet; None where a recorded GAP row has said it already.
    pub gap: Option<Gap>,
    /// Number of the interface within its section.
    pub interface: u32,
    /// Bytes that the capture cut off.
    pub cut: u32,
}

/// What a reader met. Nothing is left out in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub packets: u64,
    /// Blocks of other kinds (name resolution, decryption secrets, custom …).
    pub other_blocks: u64,
    /// Packets of other netlink protocols (an nlmon device hears all).
    pub other_protocols: u64,
    /// Requests on their way to the kernel (an nlmon device hears both ways).
    pub requests: u64,
    /// Packets that are no netlink.
    pub other_linktypes: u64,
    /// Packets that the capture cut short.
    pub cut: u64,
    /// Events lost, as GAP rows and drop counts say.
    pub lost: u64,
    /// By [`RecordingError::counter`].
    pub refused: [u64; 8],
}

#[derive(Debug)]
enum Format {
    /// Fewer than four bytes have come.
    Unknown,
    Pcap(Option<Pcap>),
    PcapNg(Section),
    /// An error behind which nothing can be read was given.
    Broken,
}

/// Reads a recording: hand in bytes with [`Self::feed`], take packets with [`Self::next`], end with [`Self::finish`].
#[derive(Debug)]
pub struct Reader {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that have been read.
    used: usize,
    /// Offset in the file of the buffer's first byte.
    base: u64,
    format: Format,
    counters: Counters,
    /// The last packet was a GAP row, so that the next one's drop count says nothing new.
    after_gap: bool,
    last_ns: Option<i64>,
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
            format: Format::Unknown,
            counters: Counters::default(),
            after_gap: false,
            last_ns: None,
        }
    }

    /// Hand in the next bytes of the file, as many as there are.
    pub fn feed(&mut self, bytes: &[u8]) {
        if matches!(self.format, Format::Broken) {
            return;
        }
        self.buffer.drain(..self.used.min(self.buffer.len()));
        self.base = self.base.saturating_add(size64(self.used));
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next packet. None: feed more, or, at the end of the file, [`Self::finish`].
    ///
    /// An error is given once; reading goes on behind it where that can be done.
    #[allow(clippy::should_implement_trait)] // lends from itself, which Iterator cannot
    pub fn next(&mut self) -> Option<Result<Packet<'_>, RecordingError>> {
        let (start, found) = loop {
            let (len, error) = match self.step() {
                Step::Need(_) => return None,
                Step::Skip(len) => (len, None),
                Step::Unknown(len) => {
                    self.counters.other_blocks = self.counters.other_blocks.saturating_add(1);
                    (len, None)
                }
                Step::OtherLinktype(len) => {
                    self.counters.other_linktypes = self.counters.other_linktypes.saturating_add(1);
                    (len, None)
                }
                Step::Refused(len, error) => (len, Some(error)),
                Step::Broken(error) => {
                    self.format = Format::Broken;
                    (self.rest().len(), Some(error))
                }
                Step::Packet(len, found) => {
                    let start = self.used;
                    self.used = self.used.saturating_add(len);
                    match self.netlink(start, &found) {
                        Ok(true) => break (start.saturating_add(found.at), found),
                        Ok(false) => (0, None),
                        Err(error) => (0, Some(error)),
                    }
                }
            };
            self.used = self.used.saturating_add(len);
            if let Some(error) = error {
                return Some(Err(self.refuse(error)));
            }
        };
        Some(Ok(self.packet(start, &found)))
    }

    /// Say that the file has ended.
    ///
    /// # Errors
    /// [`RecordingError::Truncated`] if it ended within a block, [`RecordingError::NotARecording`] if it was empty
    /// or too short to tell.
    pub fn finish(&mut self) -> Result<(), RecordingError> {
        let have = self.rest().len();
        let need = match self.step() {
            Step::Need(need) => need,
            _ => return Ok(()), // broken, which was said; or not everything was taken with `next`
        };
        let error = match self.format {
            Format::Unknown => RecordingError::NotARecording { first: self.first(), have },
            _ if have == 0 => return Ok(()),
            _ => RecordingError::Truncated { at: self.at(), need, have },
        };
        self.format = Format::Broken;
        Err(self.refuse(error))
    }

    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The recording's own totals, once the block that holds them has been read.
    #[must_use]
    pub fn statistics(&self) -> Option<Statistics> {
        match &self.format {
            Format::PcapNg(section) => section.statistics,
            _ => None,
        }
    }

    /// How many bytes of the file have been read.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.base.saturating_add(size64(self.used))
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or_default()
    }

    fn first(&self) -> [u8; 4] {
        let mut first = [0; 4];
        first.iter_mut().zip(self.rest()).for_each(|(to, from)| *to = *from);
        first
    }

    fn step(&mut self) -> Step {
        let at = self.at();
        let rest = self.buffer.get(self.used..).unwrap_or_default();
        match &mut self.format {
            Format::Broken => Step::Need(usize::MAX),
            Format::PcapNg(section) => section.step(rest, at),
            Format::Pcap(Some(pcap)) => pcap.step(rest, at),
            Format::Pcap(header @ None) => match Pcap::header(rest) {
                None => Step::Need(24),
                Some(Err(error)) => Step::Broken(error),
                Some(Ok((len, pcap))) => {
                    *header = Some(pcap);
                    Step::Skip(len)
                }
            },
            Format::Unknown if rest.len() < 4 => Step::Need(4),
            Format::Unknown => {
                self.format = match sniff(rest) {
                    FileKind::PcapNg => Format::PcapNg(Section::new()),
                    FileKind::Pcap => Format::Pcap(None),
                    _ => return Step::Broken(RecordingError::NotARecording { first: self.first(), have: 4 }),
                };
                Step::Skip(0)
            }
        }
    }

    /// Whether a packet is a message from netfilter to a program; counts what is not.
    fn netlink(&mut self, start: usize, found: &Found) -> Result<bool, RecordingError> {
        let at = start.saturating_add(found.at);
        let bytes = self.buffer.get(at..at.saturating_add(found.len)).unwrap_or_default();
        let Some((cooked, datagram)) = bytes.split_first_chunk::<COOKED_LEN>() else {
            let at = self.base.saturating_add(size64(start));
            return Err(RecordingError::PacketLength { at, len: found.len, have: found.len });
        };
        let [t0, t1, .., p0, p1] = *cooked;
        let (kind, protocol) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([p0, p1]));
        if protocol != NETLINK_NETFILTER {
            self.counters.other_protocols = self.counters.other_protocols.saturating_add(1);
            return Ok(false);
        }
        // tcpdump gives one packet type for both ways; there the request flag, which no event has, must tell.
        if kind == PACKET_KERNEL || (kind != PACKET_USER && is_request(datagram, self.is_foreign())) {
            self.counters.requests = self.counters.requests.saturating_add(1);
            return Ok(false);
        }
        Ok(true)
    }

    fn packet(&mut self, start: usize, found: &Found) -> Packet<'_> {
        let cut = found.original_len.saturating_sub(u32::try_from(found.len).unwrap_or(u32::MAX));
        self.counters.packets = self.counters.packets.saturating_add(1);
        self.counters.cut = self.counters.cut.saturating_add(u64::from(cut > 0));
        let foreign = self.is_foreign();
        let from = start.saturating_add(COOKED_LEN);
        let datagram = self.buffer.get_mut(from..start.saturating_add(found.len)).unwrap_or_default();
        if foreign {
            swap(datagram);
        }
        let datagram = &*datagram;
        let gap = found.dropcount.filter(|lost| *lost > 0 && !self.after_gap).map(|lost| Gap {
            lost: Some(lost),
            after_ns: self.last_ns.unwrap_or(found.received_ns),
            before_ns: found.received_ns,
        });
        // Each loss is counted once: by its GAP row, or by the drop count where there is no such row.
        let row = gap_of(datagram);
        for said in [gap, row].into_iter().flatten() {
            self.counters.lost = self.counters.lost.saturating_add(said.lost.unwrap_or_default());
        }
        self.after_gap = row.is_some();
        self.last_ns = Some(found.received_ns);
        Packet {
            received_ns: found.received_ns,
            datagram,
            dropcount: found.dropcount,
            gap,
            interface: found.interface,
            cut,
        }
    }

    fn is_foreign(&self) -> bool {
        match &self.format {
            Format::PcapNg(section) => section.is_foreign(),
            Format::Pcap(Some(pcap)) => pcap.is_foreign(),
            _ => false,
        }
    }

    fn refuse(&mut self, error: RecordingError) -> RecordingError {
        if let Some(count) = self.counters.refused.get_mut(error.counter()) {
            *count = count.saturating_add(1);
        }
        error
    }
}

/// Whether the first message of a datagram asks the kernel for something.
fn is_request(datagram: &[u8], foreign: bool) -> bool {
    let Some(mut head) = datagram.first_chunk::<NLMSG_HDRLEN>().copied() else { return false };
    if foreign {
        swap(&mut head);
    }
    let [_, _, _, _, _, _, f0, f1, ..] = head;
    u16::from_ne_bytes([f0, f1]) & NLM_F_REQUEST != 0
}

fn size64(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
