//! Recordings: pcapng files of netlink messages (LINKTYPE_NETLINK), which Wireshark and tshark open and dissect.
//!
//! [`Writer`] makes them, [`Reader`] reads them and also what `tcpdump -i nlmon0 -w` writes (classic pcap, either
//! byte order, micro- or nanoseconds). Both work on bytes in memory: the caller owns the file.
//!
//! A GAP row is a packet of its own (NLMSG_OVERRUN), so that it comes back in its place; the packet behind it
//! carries the count in `epb_dropcount` as well, where other programs look for it.
//!
//! Source: draft-ietf-opsawg-pcapng (blocks, options), draft-ietf-opsawg-pcap (classic files),
//! <https://www.tcpdump.org/linktypes/LINKTYPE_NETLINK.html> (the 16-byte header before each message).

mod bytes;
mod error;
mod pcap;
mod pcapng;
mod reader;
mod swap;
mod writer;

pub use error::RecordingError;
pub use reader::{Counters, Packet, Reader};
pub use writer::{Options, Statistics, Writer};

/// LINKTYPE_NETLINK.
pub const LINKTYPE_NETLINK: u16 = 253;
/// A block or packet longer than this is refused: no writer makes one, and a broken length must not fill memory.
pub const MAX_BLOCK: usize = 16 << 20;

/// The header before each message: packet type, ARPHRD type, 10 unused bytes, netlink protocol, all big-endian.
const COOKED_LEN: usize = 16;
const ARPHRD_NETLINK: u16 = 824;
const NETLINK_NETFILTER: u16 = 12;
/// linux/if_packet.h: a message on its way to a program, and one on its way to the kernel.
const PACKET_USER: u16 = 6;
const PACKET_KERNEL: u16 = 7;

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
