//! Capture files, pcap and pcapng, of whatever link type: read piece by piece, written, merged in order of time.
//!
//! [`Reader`] and [`Writer`] work on bytes in memory: the caller owns the file. Netlink recordings
//! ([`crate::recording`]) are captures of one link type and use the same code.
//!
//! Source: draft-ietf-opsawg-pcapng (blocks, options), draft-ietf-opsawg-pcap (classic files).

pub(crate) mod block;
mod bytes;
mod error;
mod merge;
mod pcap;
mod pcapng;
mod reader;
mod writer;

pub use error::CaptureError;
pub use merge::{Merge, Next};
pub use reader::{At, Counters, Frame, Reader};
pub use writer::{Format, Options, Writer};

pub(crate) use reader::Found;

/// A block or packet longer than this is refused: no writer makes one, and a broken length must not fill memory.
pub const MAX_BLOCK: usize = 16 << 20;

const BLOCK_SECTION: u32 = 0x0a0d_0d0a;
const BLOCK_INTERFACE: u32 = 1;
const BLOCK_PACKET: u32 = 2;
const BLOCK_SIMPLE: u32 = 3;
const BLOCK_STATISTICS: u32 = 5;
const BLOCK_ENHANCED: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_HARDWARE: u16 = 2;
const SHB_OS: u16 = 3;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const IF_FILTER: u16 = 11;
const IF_TSOFFSET: u16 = 14;
const EPB_DROPCOUNT: u16 = 4;
const ISB_STARTTIME: u16 = 2;
const ISB_ENDTIME: u16 = 3;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;
const ISB_FILTERACCEPT: u16 = 6;

const PCAP_MICRO: u32 = 0xa1b2_c3d4;
const PCAP_NANO: u32 = 0xa1b2_3c4d;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    PcapNg,
    Pcap,
    Gzip,
    Zstd,
    Unknown,
}

/// Tell what a file is; four bytes suffice.
#[must_use]
pub fn sniff(first: &[u8]) -> FileKind {
    match first {
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => FileKind::PcapNg,
        [0xa1, 0xb2, 0xc3, 0xd4, ..]
        | [0xd4, 0xc3, 0xb2, 0xa1, ..]
        | [0xa1, 0xb2, 0x3c, 0x4d, ..]
        | [0x4d, 0x3c, 0xb2, 0xa1, ..] => FileKind::Pcap,
        [0x1f, 0x8b, ..] => FileKind::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => FileKind::Zstd,
        _ => FileKind::Unknown,
    }
}

/// Totals that a capture keeps of itself: what [`Writer::finish`] writes and [`Reader::statistics`] gives back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub start_ns: Option<i64>,
    pub end_ns: Option<i64>,
    /// Packets received, before the filter.
    pub received: Option<u64>,
    /// Packets that were dropped for want of room.
    pub lost: Option<u64>,
    /// Packets that passed the filter.
    pub accepted: Option<u64>,
}
