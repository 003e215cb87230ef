//! Reads recordings piece by piece, as the bytes come.

use std::collections::BTreeSet;

use super::swap::swap;
use super::writer::gap_of;
use super::*;
use crate::capture::{self, Found};
use crate::model::Gap;
use crate::wire::constants::{NLM_F_REQUEST, NLMSG_HDRLEN};

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

/// Reads a recording: hand in bytes with [`Self::feed`], take packets with [`Self::next`], end with [`Self::finish`].
#[derive(Debug, Default)]
pub struct Reader {
    capture: capture::Reader,
    counters: Counters,
    /// Interfaces of the present section of which it has been said that they are no netlink.
    refused: BTreeSet<u32>,
    section: u64,
    /// The last packet was a GAP row, so that the next one's drop count says nothing new.
    after_gap: bool,
    last_ns: Option<i64>,
}

impl Reader {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hand in the next bytes of the file, as many as there are.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.capture.feed(bytes);
    }

    /// The next packet. None: feed more, or, at the end of the file, [`Self::finish`].
    ///
    /// An error is given once; reading goes on behind it where that can be done.
    #[allow(clippy::should_implement_trait)] // lends from itself, which Iterator cannot
    pub fn next(&mut self) -> Option<Result<Packet<'_>, RecordingError>> {
        let (start, found) = loop {
            let taken = self.capture.take();
            self.counters.other_blocks = self.capture.counters().other_blocks;
            // A classic file has one link type for all packets, so nothing behind its header can be read.
            if let Some(linktype) = self.capture.pcap_linktype().filter(|linktype| *linktype != LINKTYPE_NETLINK) {
                self.capture.give_up();
                return Some(Err(self.refuse(RecordingError::Linktype { at: 0, linktype })));
            }
            let wanted = taken?
                .map_err(RecordingError::from)
                .and_then(|(start, found)| self.netlink(start, &found).map(|wanted| wanted.then_some((start, found))));
            match wanted {
                Ok(Some(packet)) => break packet,
                Ok(None) => {}
                Err(error) => return Some(Err(self.refuse(error))),
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
        self.capture.finish().map_err(|error| self.refuse(error.into()))
    }

    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The recording's own totals, once the block that holds them has been read.
    #[must_use]
    pub fn statistics(&self) -> Option<Statistics> {
        self.capture.statistics()
    }

    /// How many bytes of the file have been read.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.capture.at()
    }

    /// Whether a packet is a message from netfilter to a program; counts what is not.
    fn netlink(&mut self, start: usize, found: &Found) -> Result<bool, RecordingError> {
        let at = self.capture.offset_of(start, found);
        if found.linktype != LINKTYPE_NETLINK {
            if std::mem::replace(&mut self.section, self.capture.section()) != self.capture.section() {
                self.refused.clear();
            }
            if self.refused.insert(found.interface) {
                return Err(RecordingError::Linktype { at, linktype: found.linktype });
            }
            self.counters.other_linktypes = self.counters.other_linktypes.saturating_add(1);
            return Ok(false);
        }
        let bytes = self.capture.bytes(start, found.len);
        let Some((cooked, datagram)) = bytes.split_first_chunk::<COOKED_LEN>() else {
            return Err(RecordingError::PacketLength { at, len: found.len, have: found.len });
        };
        let [t0, t1, .., p0, p1] = *cooked;
        let (kind, protocol) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([p0, p1]));
        if protocol != NETLINK_NETFILTER {
            self.counters.other_protocols = self.counters.other_protocols.saturating_add(1);
            return Ok(false);
        }
        // tcpdump gives one packet type for both ways; there the request flag, which no event has, must tell.
        if kind == PACKET_KERNEL || (kind != PACKET_USER && is_request(datagram, self.capture.is_foreign())) {
            self.counters.requests = self.counters.requests.saturating_add(1);
            return Ok(false);
        }
        Ok(true)
    }

    fn packet(&mut self, start: usize, found: &Found) -> Packet<'_> {
        let cut = found.cut();
        self.counters.packets = self.counters.packets.saturating_add(1);
        self.counters.cut = self.counters.cut.saturating_add(u64::from(cut > 0));
        let foreign = self.capture.is_foreign();
        let bytes = self.capture.bytes_mut(start, found.len);
        let datagram = bytes.get_mut(COOKED_LEN..).unwrap_or_default();
        if foreign {
            swap(datagram);
        }
        let datagram = &*datagram;
        let gap = found.dropcount.filter(|lost| *lost > 0 && !self.after_gap).map(|lost| Gap {
            lost: Some(lost),
            after_ns: self.last_ns.unwrap_or(found.time_ns),
            before_ns: found.time_ns,
            ..Gap::default()
        });
        // Each loss is counted once: by its GAP row, or by the drop count where there is no such row.
        let row = gap_of(datagram);
        for said in [gap, row].into_iter().flatten() {
            self.counters.lost = self.counters.lost.saturating_add(said.lost.unwrap_or_default());
        }
        self.after_gap = row.is_some();
        self.last_ns = Some(found.time_ns);
        Packet {
            received_ns: found.time_ns,
            datagram,
            dropcount: found.dropcount,
            gap,
            interface: found.interface,
            cut,
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
