//! Classic pcap files: a header, then packets. Says what stands at the front of the unread bytes; keeps no bytes.

use super::bytes::Order;
use super::reader::{Found, Step};
use super::{CaptureError, MAX_BLOCK, PCAP_MICRO, PCAP_NANO};

pub(super) const HEADER_LEN: usize = 24;
const RECORD_LEN: usize = 16;

/// The file header's meaning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds in a unit of the fraction: 1 or 1000.
    unit_ns: i64,
    pub linktype: u16,
}

impl Pcap {
    /// Read the file header: None while it is not all there.
    pub fn header(bytes: &[u8]) -> Option<Result<(usize, Self), CaptureError>> {
        let header = bytes.get(..HEADER_LEN)?;
        let (order, unit_ns) = match (Order::Little.u32(header, 0)?, Order::Big.u32(header, 0)?) {
            (PCAP_MICRO, _) => (Order::Little, 1000),
            (PCAP_NANO, _) => (Order::Little, 1),
            (_, PCAP_MICRO) => (Order::Big, 1000),
            (_, PCAP_NANO) => (Order::Big, 1),
            _ => return Some(Err(CaptureError::Section { at: 0 })),
        };
        // Only the low 16 bits are the link type; those above tell of a frame check sequence.
        let linktype = u16::try_from(order.u32(header, 20)? & 0xffff).ok()?;
        Some(Ok((HEADER_LEN, Self { order, unit_ns, linktype })))
    }

    pub fn is_foreign(self) -> bool {
        self.order != Order::NATIVE
    }

    /// Read the record at the front of `bytes`; `at` is its offset in the file.
    pub fn step(self, bytes: &[u8], at: u64) -> Step {
        if let Some(found) = self.record(bytes) {
            return Step::Packet(found);
        }
        match self.order.size(bytes, 8) {
            Some(len) if len > MAX_BLOCK => Step::Broken(CaptureError::TooLong { at, len }),
            Some(len) if bytes.len() >= RECORD_LEN => Step::Need(len.saturating_add(RECORD_LEN)),
            _ => Step::Need(RECORD_LEN),
        }
    }

    /// The record at the front of `bytes`, if it is whole and of a length that can be.
    #[inline]
    pub fn record(self, bytes: &[u8]) -> Option<Found> {
        let [s0, s1, s2, s3, f0, f1, f2, f3, l0, l1, l2, l3, o0, o1, o2, o3] = *bytes.first_chunk::<RECORD_LEN>()?;
        let words = [[s0, s1, s2, s3], [f0, f1, f2, f3], [l0, l1, l2, l3], [o0, o1, o2, o3]];
        let [seconds, fraction, len, original_len] = match self.order {
            Order::Little => words.map(u32::from_le_bytes),
            Order::Big => words.map(u32::from_be_bytes),
        };
        let len = usize::try_from(len).ok().filter(|len| *len <= MAX_BLOCK)?;
        let block = len.saturating_add(RECORD_LEN);
        if bytes.len() < block {
            return None;
        }
        let fraction_ns = i64::from(fraction).saturating_mul(self.unit_ns);
        let time_ns = i64::from(seconds).saturating_mul(1_000_000_000).saturating_add(fraction_ns);
        Some(Found {
            block,
            at: RECORD_LEN,
            len,
            original_len,
            time_ns,
            dropcount: None,
            interface: 0,
            linktype: self.linktype,
        })
    }
}
