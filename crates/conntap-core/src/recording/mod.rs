//! Recordings: pcapng files of netlink messages (LINKTYPE_NETLINK), which Wireshark and tshark open and dissect.
//!
//! [`Writer`] makes them, [`Reader`] reads them and also what `tcpdump -i nlmon0 -w` writes (classic pcap, either
//! byte order, micro- or nanoseconds). Both work on bytes in memory: the caller owns the file. The files themselves
//! are [`crate::capture`]'s business; what is here is what a netlink message makes of a packet.
//!
//! A GAP row is a packet of its own (NLMSG_OVERRUN), so that it comes back in its place; the packet behind it
//! carries the count in `epb_dropcount` as well, where other programs look for it.
//!
//! Source: <https://www.tcpdump.org/linktypes/LINKTYPE_NETLINK.html> (the 16-byte header before each message).

mod error;
mod reader;
mod swap;
mod writer;

pub use crate::capture::{FileKind, MAX_BLOCK, Statistics, sniff};
pub use error::RecordingError;
pub use reader::{Counters, Packet, Reader};
pub use writer::{Options, Writer};

/// LINKTYPE_NETLINK.
pub const LINKTYPE_NETLINK: u16 = 253;

/// The header before each message: packet type, ARPHRD type, 10 unused bytes, netlink protocol, all big-endian.
const COOKED_LEN: usize = 16;
const ARPHRD_NETLINK: u16 = 824;
const NETLINK_NETFILTER: u16 = 12;
/// linux/if_packet.h: a message on its way to a program, and one on its way to the kernel.
const PACKET_USER: u16 = 6;
const PACKET_KERNEL: u16 = 7;
