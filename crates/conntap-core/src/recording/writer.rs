//! Writes a recording: section, interface, one enhanced packet block a message, statistics at the end.
//!
//! Everything is in this machine's byte order, for so are the netlink headers inside, and readers conclude from
//! the section's order to theirs.

use super::*;
use crate::model::Gap;
use crate::wire::Message;
use crate::wire::constants::NLMSG_OVERRUN;

/// What a recording says about itself. Empty texts are left out.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The machine, e.g. `x86_64`.
    pub hardware: &'a str,
    /// The kernel, e.g. `Linux 6.18.44`.
    pub os: &'a str,
    pub application: &'a str,
    pub interface: &'a str,
    /// More about where the messages come from, e.g. the namespace.
    pub description: &'a str,
    /// The filter that was in force, as typed.
    pub filter: &'a str,
    pub comment: &'a str,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            hardware: "",
            os: "",
            application: concat!("conntap ", env!("CARGO_PKG_VERSION")),
            interface: "nfnetlink",
            description: "",
            filter: "",
            comment: "",
        }
    }
}

/// Totals of a recording: what [`Writer::finish`] writes and [`super::Reader::statistics`] gives back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub start_ns: Option<i64>,
    pub end_ns: Option<i64>,
    /// Messages received, before the filter.
    pub received: Option<u64>,
    /// Events that the kernel dropped.
    pub lost: Option<u64>,
    /// Messages that passed the filter.
    pub accepted: Option<u64>,
}

/// A recording in the making. Appends to the caller's buffer; holds no bytes itself.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// The last packet was a GAP with this count.
    lost: Option<u64>,
}

impl Writer {
    /// Begin a recording; the bytes are its head.
    #[must_use]
    pub fn new(options: &Options<'_>) -> (Self, Vec<u8>) {
        let mut out = Vec::with_capacity(256);
        let section = begin(&mut out, BLOCK_SECTION);
        out.extend_from_slice(&BYTE_ORDER_MAGIC.to_ne_bytes());
        out.extend_from_slice(&1u16.to_ne_bytes()); // version 1.0
        out.extend_from_slice(&0u16.to_ne_bytes());
        out.extend_from_slice(&u64::MAX.to_ne_bytes()); // section length: not given
        text(&mut out, OPT_COMMENT, options.comment);
        text(&mut out, SHB_HARDWARE, options.hardware);
        text(&mut out, SHB_OS, options.os);
        text(&mut out, SHB_USERAPPL, options.application);
        option(&mut out, OPT_END, &[]);
        end(&mut out, section);

        let interface = begin(&mut out, BLOCK_INTERFACE);
        out.extend_from_slice(&LINKTYPE_NETLINK.to_ne_bytes());
        out.extend_from_slice(&0u16.to_ne_bytes());
        out.extend_from_slice(&0u32.to_ne_bytes()); // no limit to a packet's length
        text(&mut out, IF_NAME, options.interface);
        text(&mut out, IF_DESCRIPTION, options.description);
        option(&mut out, IF_TSRESOL, &[9]); // nanoseconds
        if !options.filter.is_empty() {
            // The first byte says that a text follows, not BPF code.
            let filter: Vec<u8> = std::iter::once(0).chain(options.filter.bytes()).collect();
            option(&mut out, IF_FILTER, &filter);
        }
        option(&mut out, OPT_END, &[]);
        end(&mut out, interface);
        (Self::default(), out)
    }

    /// Append one message (or a whole datagram) to `out`.
    ///
    /// `lost_before` goes into `epb_dropcount`; None takes the count of the GAP message written last, if the
    /// last one was a GAP. Times before 1970 are written as 0.
    ///
    /// # Errors
    /// [`RecordingError::TooLong`] if the message does not fit a block; nothing is written then.
    pub fn write(
        &mut self,
        out: &mut Vec<u8>,
        message: &[u8],
        received_ns: i64,
        lost_before: Option<u64>,
    ) -> Result<(), RecordingError> {
        let len = message.len().saturating_add(COOKED_LEN);
        if len > MAX_BLOCK.saturating_sub(64) {
            return Err(RecordingError::TooLong { at: 0, len: message.len() });
        }
        let block = begin(out, BLOCK_ENHANCED);
        out.extend_from_slice(&0u32.to_ne_bytes()); // interface
        halves(out, received_ns);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_ne_bytes());
        out.extend_from_slice(&len.to_ne_bytes());
        out.extend_from_slice(&PACKET_USER.to_be_bytes());
        out.extend_from_slice(&ARPHRD_NETLINK.to_be_bytes());
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&NETLINK_NETFILTER.to_be_bytes());
        out.extend_from_slice(message);
        pad(out, block);
        if let Some(lost) = lost_before.or(self.lost) {
            option(out, EPB_DROPCOUNT, &lost.to_ne_bytes());
            option(out, OPT_END, &[]);
        }
        end(out, block);
        self.lost = gap_of(message).and_then(|gap| gap.lost);
        Ok(())
    }

    /// Append the interface statistics: the last block.
    pub fn finish(self, out: &mut Vec<u8>, statistics: &Statistics) {
        let block = begin(out, BLOCK_STATISTICS);
        out.extend_from_slice(&0u32.to_ne_bytes()); // interface
        halves(out, statistics.end_ns.unwrap_or_default());
        for (code, time) in [(ISB_STARTTIME, statistics.start_ns), (ISB_ENDTIME, statistics.end_ns)] {
            if let Some(time) = time {
                let mut value = Vec::with_capacity(8);
                halves(&mut value, time);
                option(out, code, &value);
            }
        }
        let counts =
            [(ISB_IFRECV, statistics.received), (ISB_IFDROP, statistics.lost), (ISB_FILTERACCEPT, statistics.accepted)];
        for (code, count) in counts {
            if let Some(count) = count {
                option(out, code, &count.to_ne_bytes());
            }
        }
        option(out, OPT_END, &[]);
        end(out, block);
    }
}

/// The gap that a message reports, if it is a GAP.
pub(super) fn gap_of(message: &[u8]) -> Option<Gap> {
    let message = Message::parse(message).ok().filter(|message| message.kind == NLMSG_OVERRUN)?;
    Gap::decode(&message).ok()
}

/// Begin a block; returns where.
fn begin(out: &mut Vec<u8>, kind: u32) -> usize {
    let at = out.len();
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&[0; 4]); // the length, patched by `end`
    at
}

/// End the block that began at `at`: its length goes to both ends.
fn end(out: &mut Vec<u8>, at: usize) {
    let len = out.len().saturating_sub(at).saturating_add(4);
    let len = u32::try_from(len).unwrap_or(u32::MAX).to_ne_bytes();
    if let Some(field) = out.get_mut(at.saturating_add(4)..at.saturating_add(8)) {
        field.copy_from_slice(&len);
    }
    out.extend_from_slice(&len);
}

/// Pad to a multiple of 4 from the block's start: the caller's buffer may hold anything before it.
fn pad(out: &mut Vec<u8>, block: usize) {
    let len = out.len().saturating_sub(block).next_multiple_of(4);
    out.resize(block.saturating_add(len), 0);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    out.extend_from_slice(&code.to_ne_bytes());
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_ne_bytes());
    out.extend_from_slice(value);
    let padding = value.len().next_multiple_of(4).saturating_sub(value.len());
    out.extend_from_slice([0; 3].get(..padding).unwrap_or_default());
}

fn text(out: &mut Vec<u8>, code: u16, value: &str) {
    if !value.is_empty() {
        option(out, code, value.as_bytes());
    }
}

/// A timestamp in nanoseconds: high half first.
fn halves(out: &mut Vec<u8>, time_ns: i64) {
    let time = u64::try_from(time_ns).unwrap_or_default();
    let high = u32::try_from(time.wrapping_shr(32)).unwrap_or(u32::MAX);
    let low = u32::try_from(time & 0xffff_ffff).unwrap_or(u32::MAX);
    out.extend_from_slice(&high.to_ne_bytes());
    out.extend_from_slice(&low.to_ne_bytes());
}
