//! Frames as the IP layer and connection tracking see them: link header, IP header, the way to the layer-4 header.
//!
//! [`decode`] takes a captured frame, [`decode_ip`] a packet without link header, [`decode_rebuilt`] what
//! [`Reassembler`] made of fragments, [`decode_quoted`] the packet that an ICMP error carries. None of them
//! allocates. A [`PacketError`] is what the kernel drops before connection tracking sees it (`ip_rcv_core` in
//! net/ipv4/ip_input.c, `ip6_rcv_core` in net/ipv6/ip6_input.c): no flow, no event. What tracking itself cannot use,
//! and calls INVALID, decodes: [`Packet::no_l4`] says why.

pub mod checksum;
mod crc32c;
mod error;
mod fragments;
mod ip;
mod ipv6;
mod link;

pub use checksum::{Checksum, verify_l4};
pub use error::PacketError;
pub use fragments::{Datagram, FragmentCounters, FragmentError, Limits, Piece, Pieces, Reassembled, Reassembler};
pub use ip::{decode_ip, decode_quoted, decode_rebuilt};
pub use link::decode;

/// Link types by the numbers that pcap and pcapng files use (tcpdump.org/linktypes.html).
pub mod linktype {
    /// BSD loopback: the address family in the byte order of the machine that captured.
    pub const NULL: u16 = 0;
    pub const ETHERNET: u16 = 1;
    /// Raw IP; files have three numbers for it, since DLT_RAW is not the same on every system.
    pub const RAW_BSD: u16 = 12;
    pub const RAW_OPENBSD: u16 = 14;
    pub const RAW: u16 = 101;
    /// As [`NULL`], in network byte order.
    pub const LOOP: u16 = 108;
    /// Linux cooked capture, versions 1 and 2 (`tcpdump -i any`).
    pub const LINUX_SLL: u16 = 113;
    pub const LINUX_SLL2: u16 = 276;
    pub const IPV4: u16 = 228;
    pub const IPV6: u16 = 229;
}

/// What the IP layer sees of a frame. Positions count from the first byte of the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// From the IP header on, cut at the length that the header gives (Ethernet padding is gone). Shorter than
    /// [`Self::total_len`] where the capture cut the packet (snap length).
    pub ip: &'a [u8],
    /// The packet's length by its header, IP header included (IPv6: 40 and the payload length).
    pub total_len: u32,
    /// AF_INET or AF_INET6 ([`crate::wire::constants`]).
    pub family: u8,
    /// IPv4: the first four bytes, the others zero.
    pub src: [u8; 16],
    pub dst: [u8; 16],
    /// The protocol behind the IPv6 extension headers that tracking skips. See [`Self::no_l4`].
    pub l4proto: u8,
    /// Where the layer-4 header begins; for a later fragment, where its data begins. May be the packet's end: a packet
    /// without a layer 4 is tracked too, for a protocol that needs no header.
    pub l4_at: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// None for a whole packet, an atomic fragment (offset 0, nothing more) included. In IPv6 the first fragment
    /// header counts.
    pub fragment: Option<Fragment>,
    /// An IPv6 packet whose fragment header fragments nothing. It goes through reassembly too, where it may fall victim
    /// to fragments of the same id, and comes out without that header ([`Self::counted_len`]).
    pub atomic: Option<Fragment>,
    /// Why tracking finds no layer-4 header and calls the packet INVALID; None where it finds one.
    pub no_l4: Option<NoL4>,
}

/// What a fragment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// IPv4 has 16 bits, IPv6 32.
    pub id: u32,
    /// Bytes of the datagram's payload before this fragment: a multiple of 8.
    pub offset: u32,
    /// More fragments follow.
    pub more: bool,
    /// IPv6: where the fragment header begins. IPv4 has none: 0.
    pub header_at: u16,
}

/// Why a packet has no layer-4 header to track by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoL4 {
    /// A fragment other than the first. Tracking meets none on its own path: reassembly comes first.
    LaterFragment,
    /// IPv6 next header 59: nothing follows.
    NoNextHeader,
    /// An IPv6 extension header ends behind the packet.
    HeaderWalk,
    /// The capture cut the packet within its IPv6 extension headers. The kernel saw all of it and may have tracked it.
    Cut,
}

impl<'a> Packet<'a> {
    /// The bytes from the layer-4 header on, as far as they were captured.
    #[inline]
    #[must_use]
    pub fn l4(&self) -> &'a [u8] {
        self.ip.get(usize::from(self.l4_at)..).unwrap_or_default()
    }

    /// The length of layer 4 by the IP header, whatever was captured.
    #[inline]
    #[must_use]
    pub fn l4_len(&self) -> u32 {
        self.total_len.saturating_sub(u32::from(self.l4_at))
    }

    /// Whether the capture holds less than the packet had.
    #[inline]
    #[must_use]
    pub fn is_cut(&self) -> bool {
        u32::try_from(self.ip.len()).is_ok_and(|have| have < self.total_len)
    }

    /// Whether the kernel's reassembly looks at this packet: [`Reassembler::push`] is to have it.
    #[inline]
    #[must_use]
    pub fn needs_reassembly(&self) -> bool {
        self.fragment.is_some() || self.atomic.is_some()
    }

    /// The length that the kernel's accounting adds: an atomic fragment's header is taken out before tracking.
    #[inline]
    #[must_use]
    pub fn counted_len(&self) -> u32 {
        if self.atomic.is_some() { self.total_len.saturating_sub(8) } else { self.total_len }
    }
}
