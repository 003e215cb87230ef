//! Writes pcapng blocks: section, interface, packet, statistics. Everything is in this machine's byte order.

use super::*;

/// Begin a section. Empty texts are left out.
pub(crate) fn section(out: &mut Vec<u8>, comment: &str, hardware: &str, os: &str, application: &str) {
    let section = begin(out, BLOCK_SECTION);
    out.extend_from_slice(&BYTE_ORDER_MAGIC.to_ne_bytes());
    out.extend_from_slice(&1u16.to_ne_bytes()); // version 1.0
    out.extend_from_slice(&0u16.to_ne_bytes());
    out.extend_from_slice(&u64::MAX.to_ne_bytes()); // section length: not given
    text(out, OPT_COMMENT, comment);
    text(out, SHB_HARDWARE, hardware);
    text(out, SHB_OS, os);
    text(out, SHB_USERAPPL, application);
    option(out, OPT_END, &[]);
    end(out, section);
}

/// An interface whose packets have times in nanoseconds. Empty texts are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interface<'a> {
    pub linktype: u16,
    /// The most bytes of a packet that are captured; 0: no limit.
    pub snaplen: u32,
    pub name: &'a str,
    pub description: &'a str,
    /// The filter that was in force, as typed.
    pub filter: &'a str,
}

impl Interface<'_> {
    pub fn write(&self, out: &mut Vec<u8>) {
        let interface = begin(out, BLOCK_INTERFACE);
        out.extend_from_slice(&self.linktype.to_ne_bytes());
        out.extend_from_slice(&0u16.to_ne_bytes());
        out.extend_from_slice(&self.snaplen.to_ne_bytes());
        text(out, IF_NAME, self.name);
        text(out, IF_DESCRIPTION, self.description);
        option(out, IF_TSRESOL, &[9]); // nanoseconds
        if !self.filter.is_empty() {
            // The first byte says that a text follows, not BPF code.
            let filter: Vec<u8> = std::iter::once(0).chain(self.filter.bytes()).collect();
            option(out, IF_FILTER, &filter);
        }
        option(out, OPT_END, &[]);
        end(out, interface);
    }
}

/// Append a packet that lies in two pieces. `original_len`: its length before it was cut, None if it was not.
///
/// # Errors
/// [`CaptureError::TooLong`] if it does not fit a block; nothing is written then.
pub(crate) fn packet(
    out: &mut Vec<u8>,
    interface: u32,
    time_ns: i64,
    pieces: &[&[u8]; 2],
    original_len: Option<u32>,
    dropcount: Option<u64>,
) -> Result<(), CaptureError> {
    let [first, second] = pieces;
    let len = first.len().saturating_add(second.len());
    if len > MAX_BLOCK.saturating_sub(64) {
        return Err(CaptureError::TooLong { at: 0, len: second.len() });
    }
    let block = begin(out, BLOCK_ENHANCED);
    out.extend_from_slice(&interface.to_ne_bytes());
    halves(out, time_ns);
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_ne_bytes());
    out.extend_from_slice(&original_len.unwrap_or(len).to_ne_bytes());
    out.extend_from_slice(first);
    out.extend_from_slice(second);
    pad(out, block);
    if let Some(lost) = dropcount {
        option(out, EPB_DROPCOUNT, &lost.to_ne_bytes());
        option(out, OPT_END, &[]);
    }
    end(out, block);
    Ok(())
}

/// Append an interface's totals.
pub(crate) fn statistics(out: &mut Vec<u8>, interface: u32, statistics: &Statistics) {
    let block = begin(out, BLOCK_STATISTICS);
    out.extend_from_slice(&interface.to_ne_bytes());
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
