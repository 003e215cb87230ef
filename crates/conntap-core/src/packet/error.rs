//! Why a frame does not reach connection tracking.

/// Why a frame was refused, as the kernel's IP layer refuses it before tracking. Each has a counter name, so that
/// no packet goes missing in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketError {
    /// A link type that is not read here.
    Linktype { linktype: u16 },
    /// A frame that carries something else (ARP, LLDP, MPLS …).
    NotIp { ethertype: u16 },
    /// A frame of IEEE 802.2 without an ethertype (spanning tree …): its service access point.
    NotIpLlc { dsap: u8 },
    /// The frame itself ends within a link or IP header.
    Truncated { need: u32, have: u32 },
    /// The capture cut the frame (snap length) within a header that is needed.
    Cut { need: u32, have: u32 },
    /// An IP version that is neither 4 nor 6, or not the one that the link header announced.
    Version { version: u8 },
    /// An IPv4 header length below 20 bytes.
    HeaderLength { len: u8 },
    /// A wrong IPv4 header checksum.
    HeaderChecksum,
    /// A total length shorter than the header or longer than the frame.
    TotalLength { len: u32, have: u32 },
    /// IPv6 hop-by-hop options that the IP layer refuses (RFC 8200, 4.2 and 4.3).
    HopByHop,
    /// IPv6 addresses that must not be on a wire (RFC 4291, 2.5.3 and 2.7).
    Address,
    /// A PPPoE session frame with another version, type or code than RFC 2516 has.
    Pppoe,
}

impl PacketError {
    /// All counter names, in the order in which they are reported.
    pub const COUNTERS: [&'static str; 12] = [
        "packet_unknown_linktype",
        "packet_not_ip",
        "packet_not_ip_llc",
        "packet_truncated",
        "packet_cut",
        "packet_bad_version",
        "packet_bad_header_length",
        "packet_bad_header_checksum",
        "packet_bad_total_length",
        "packet_bad_hop_by_hop",
        "packet_bad_address",
        "packet_bad_pppoe",
    ];

    /// The position of this error's counter in [`Self::COUNTERS`].
    #[must_use]
    pub fn counter(self) -> usize {
        match self {
            Self::Linktype { .. } => 0,
            Self::NotIp { .. } => 1,
            Self::NotIpLlc { .. } => 2,
            Self::Truncated { .. } => 3,
            Self::Cut { .. } => 4,
            Self::Version { .. } => 5,
            Self::HeaderLength { .. } => 6,
            Self::HeaderChecksum => 7,
            Self::TotalLength { .. } => 8,
            Self::HopByHop => 9,
            Self::Address => 10,
            Self::Pppoe => 11,
        }
    }

    /// A header of which `need` bytes are needed and `have` were captured, of `original` that the frame had.
    #[cold]
    pub(super) fn short(need: usize, have: usize, original: u32) -> Self {
        let size = |size| u32::try_from(size).unwrap_or(u32::MAX);
        let (need, have) = (size(need), size(have));
        if original > have { Self::Cut { need, have } } else { Self::Truncated { need, have } }
    }
}

impl std::fmt::Display for PacketError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Linktype { linktype } => write!(f, "link type {linktype} is not read"),
            Self::NotIp { ethertype } => write!(f, "not IP: ethertype 0x{ethertype:04x}{}", ethertype_name(*ethertype)),
            Self::NotIpLlc { dsap } => write!(f, "not IP: an 802.2 frame for service access point 0x{dsap:02x}"),
            Self::Truncated { need, have } => write!(f, "truncated: {need} bytes needed, {have} there"),
            Self::Cut { need, have } => write!(f, "cut by the capture: {need} bytes needed, {have} captured"),
            Self::Version { version } => write!(f, "IP version {version} where another was due"),
            Self::HeaderLength { len } => write!(f, "an IPv4 header of {len} bytes: it has 20 at least"),
            Self::HeaderChecksum => write!(f, "wrong IPv4 header checksum"),
            Self::TotalLength { len, have } => write!(f, "the IP header says {len} bytes, the frame has {have}"),
            Self::HopByHop => write!(f, "IPv6 hop-by-hop options that the IP layer refuses"),
            Self::Address => write!(f, "IPv6 addresses that must not be on a wire"),
            Self::Pppoe => write!(f, "a PPPoE frame of another version or code"),
        }
    }
}

impl std::error::Error for PacketError {}

/// What people are likely to meet beside IP.
fn ethertype_name(ethertype: u16) -> &'static str {
    match ethertype {
        0x0806 => " (ARP)",
        0x8035 => " (RARP)",
        0x8847 | 0x8848 => " (MPLS)",
        0x8863 => " (PPPoE discovery)",
        0x888e => " (802.1X)",
        0x88cc => " (LLDP)",
        0x88e5 => " (MACsec)",
        0x88f7 => " (PTP)",
        _ => "",
    }
}
