//! pcapng: sections, interfaces and packets. Says what stands at the front of the unread bytes; keeps no bytes.

use super::bytes::{OptionsOf, Order};
use super::reader::{Found, Step};
use super::*;

/// The fixed part of a section header block, trailing length included.
const SECTION_MIN: usize = 28;
/// Type, length, and the length again.
const BLOCK_MIN: usize = 12;
/// Time units of an interface that does not say: microseconds.
const TSRESOL_DEFAULT: u8 = 6;

/// An interface description block.
#[derive(Clone, Copy, Debug)]
struct Interface {
    linktype: u16,
    snaplen: u32,
    tsresol: u8,
    tsoffset_s: i64,
}

/// A section: byte order and the interfaces described so far.
#[derive(Debug)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
    /// The time of the last packet; a simple packet block, which has none, takes it.
    last_ns: i64,
    pub statistics: Option<Statistics>,
    /// How many sections began before this one.
    pub number: u64,
}

impl Section {
    pub fn new() -> Self {
        Self { order: Order::NATIVE, interfaces: Vec::new(), last_ns: 0, statistics: None, number: 0 }
    }

    /// Whether this section was written by a machine of the other byte order.
    pub fn is_foreign(&self) -> bool {
        self.order != Order::NATIVE
    }

    /// Read the block at the front of `bytes`; `at` is its offset in the file.
    pub fn step(&mut self, bytes: &[u8], at: u64) -> Step {
        let Some(kind) = self.order.u32(bytes, 0) else { return Step::Need(BLOCK_MIN) };
        if kind == BLOCK_SECTION {
            // The type reads alike in both orders; the magic behind the length tells which it is.
            let Some(magic) = Order::Little.u32(bytes, 8) else { return Step::Need(BLOCK_MIN) };
            self.order = match magic {
                BYTE_ORDER_MAGIC => Order::Little,
                magic if magic.swap_bytes() == BYTE_ORDER_MAGIC => Order::Big,
                _ => return Step::Broken(CaptureError::Section { at }),
            };
        }
        let Some(len) = self.order.size(bytes, 4) else { return Step::Need(BLOCK_MIN) };
        let min = if kind == BLOCK_SECTION { SECTION_MIN } else { BLOCK_MIN };
        if len < min || !len.is_multiple_of(4) {
            return Step::Broken(CaptureError::BlockLength { at, len });
        }
        if len > MAX_BLOCK {
            return Step::Broken(CaptureError::TooLong { at, len });
        }
        let Some(block) = bytes.get(..len) else { return Step::Need(len) };
        if self.order.size(block, len.saturating_sub(4)) != Some(len) {
            return Step::Broken(CaptureError::BlockLength { at, len });
        }
        let body = block.get(8..len.saturating_sub(4)).unwrap_or_default();
        let found = match kind {
            BLOCK_SECTION => {
                if self.order.u16(body, 4) != Some(1) {
                    return Step::Broken(CaptureError::Section { at });
                }
                self.interfaces.clear();
                self.number = self.number.saturating_add(1);
                return Step::Skip(len);
            }
            BLOCK_INTERFACE => self.interface(body),
            BLOCK_STATISTICS => self.statistics(body),
            BLOCK_ENHANCED => return self.packet(len, at, self.enhanced(body)),
            BLOCK_SIMPLE => return self.packet(len, at, self.simple(body)),
            BLOCK_PACKET => return self.packet(len, at, self.obsolete(body)),
            _ => return Step::Unknown(len),
        };
        match found {
            Some(()) => Step::Skip(len),
            None => Step::Refused(len, CaptureError::BlockLength { at, len }),
        }
    }

    fn interface(&mut self, body: &[u8]) -> Option<()> {
        let mut interface = Interface {
            linktype: self.order.u16(body, 0)?,
            snaplen: self.order.u32(body, 4)?,
            tsresol: TSRESOL_DEFAULT,
            tsoffset_s: 0,
        };
        for (code, value) in OptionsOf::new(self.order, body.get(8..)?) {
            match (code, value) {
                (IF_TSRESOL, [resolution, ..]) => interface.tsresol = *resolution,
                (IF_TSOFFSET, value) => {
                    interface.tsoffset_s = self.order.u64(value, 0).map_or(0, u64::cast_signed);
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Some(())
    }

    fn statistics(&mut self, body: &[u8]) -> Option<()> {
        let order = self.order;
        let interface = self.interfaces.get(usize::try_from(order.u32(body, 0)?).ok()?).copied();
        let time = |value| interface.zip(order.halves(value, 0)).map(|(interface, time)| interface.nanoseconds(time));
        let mut statistics = Statistics::default();
        for (code, value) in OptionsOf::new(order, body.get(12..)?) {
            match code {
                ISB_STARTTIME => statistics.start_ns = time(value),
                ISB_ENDTIME => statistics.end_ns = time(value),
                ISB_IFRECV => statistics.received = order.u64(value, 0),
                ISB_IFDROP => statistics.lost = order.u64(value, 0),
                ISB_FILTERACCEPT => statistics.accepted = order.u64(value, 0),
                _ => {}
            }
        }
        self.statistics = Some(statistics);
        Some(())
    }

    /// Enhanced packet block: interface, time, both lengths, the packet, options.
    fn enhanced(&self, body: &[u8]) -> Option<Raw> {
        let len = self.order.size(body, 12)?;
        let options = body.get(20_usize.checked_add(len.checked_next_multiple_of(4)?)?..).unwrap_or_default();
        let dropcount = OptionsOf::new(self.order, options)
            .find(|(code, _)| *code == EPB_DROPCOUNT)
            .and_then(|(_, value)| self.order.u64(value, 0));
        Some(Raw {
            interface: self.order.u32(body, 0)?,
            time: Some(self.order.halves(body, 4)?),
            at: 20,
            len,
            original_len: self.order.u32(body, 16)?,
            have: body.len().saturating_sub(20),
            dropcount,
        })
    }

    /// Simple packet block: original length and the packet; interface 0; no time.
    fn simple(&self, body: &[u8]) -> Option<Raw> {
        let original_len = self.order.u32(body, 0)?;
        let snaplen = match self.interfaces.first().map(|interface| interface.snaplen) {
            Some(0) | None => u32::MAX,
            Some(snaplen) => snaplen,
        };
        let len = usize::try_from(original_len.min(snaplen)).unwrap_or(usize::MAX);
        let have = body.len().saturating_sub(4);
        Some(Raw { interface: 0, time: None, at: 4, len, original_len, have, dropcount: None })
    }

    /// The packet block of old files: interface and drop count share four bytes.
    fn obsolete(&self, body: &[u8]) -> Option<Raw> {
        Some(Raw {
            interface: self.order.u16(body, 0)?.into(),
            time: Some(self.order.halves(body, 4)?),
            at: 20,
            len: self.order.size(body, 12)?,
            original_len: self.order.u32(body, 16)?,
            have: body.len().saturating_sub(20),
            // 0xffff: not known.
            dropcount: self.order.u16(body, 2).filter(|drops| !matches!(drops, 0 | 0xffff)).map(u64::from),
        })
    }

    /// Check a packet against its interface.
    fn packet(&mut self, block: usize, at: u64, raw: Option<Raw>) -> Step {
        let Some(raw) = raw else { return Step::Refused(block, CaptureError::BlockLength { at, len: block }) };
        if raw.len > raw.have {
            return Step::Refused(block, CaptureError::PacketLength { at, len: raw.len, have: raw.have });
        }
        let known = usize::try_from(raw.interface).ok().and_then(|index| self.interfaces.get(index));
        let Some(interface) = known else {
            return Step::Refused(block, CaptureError::Interface { at, interface: raw.interface });
        };
        let time_ns = raw.time.map_or(self.last_ns, |time| interface.nanoseconds(time));
        self.last_ns = time_ns;
        Step::Packet(Found {
            block,
            at: raw.at.saturating_add(8), // behind the block's type and length
            len: raw.len,
            original_len: raw.original_len,
            time_ns,
            dropcount: raw.dropcount,
            interface: raw.interface,
            linktype: interface.linktype,
        })
    }
}

/// A packet block's fields before they are checked.
struct Raw {
    interface: u32,
    time: Option<u64>,
    /// Where the packet begins within the block's body.
    at: usize,
    len: usize,
    original_len: u32,
    have: usize,
    dropcount: Option<u64>,
}

impl Interface {
    /// Nanoseconds since the epoch; what does not fit is cut to the nearest that does.
    #[inline]
    fn nanoseconds(&self, time: u64) -> i64 {
        if let (9, 0, Ok(time)) = (self.tsresol, self.tsoffset_s, i64::try_from(time)) {
            return time;
        }
        self.scaled(time)
    }

    fn scaled(&self, time: u64) -> i64 {
        let time = u128::from(time);
        let power = u32::from(self.tsresol & 0x7f);
        // Both products fit 128 bits: 64 bits of time by 30 bits of 10^9.
        let ns = if self.tsresol & 0x80 != 0 {
            time.saturating_mul(1_000_000_000).checked_shr(power).unwrap_or_default()
        } else {
            let units = 10_u128.checked_pow(power).unwrap_or(u128::MAX);
            time.saturating_mul(1_000_000_000).checked_div(units).unwrap_or_default()
        };
        let offset = i128::from(self.tsoffset_s).saturating_mul(1_000_000_000);
        let ns = i128::try_from(ns).unwrap_or(i128::MAX).saturating_add(offset);
        i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
    }
}
