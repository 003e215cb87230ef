//! Why a recording, or a part of it, was refused.

use crate::capture::CaptureError;

/// Why bytes of a recording were refused. `at` is the offset in the file of the block or packet at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordingError {
    /// Neither pcap nor pcapng; the first bytes, as far as there are any.
    NotARecording { first: [u8; 4], have: usize },
    /// The file ends within a block.
    Truncated { at: u64, need: usize, have: usize },
    /// A length smaller than the block's fixed part, not a multiple of 4, or unlike the one at the block's end.
    BlockLength { at: u64, len: usize },
    /// Longer than [`super::MAX_BLOCK`].
    TooLong { at: u64, len: usize },
    /// A section without a valid byte-order magic or of another major version.
    Section { at: u64 },
    /// A packet longer than its block, or shorter than the netlink header.
    PacketLength { at: u64, len: usize, have: usize },
    /// A packet of an interface that was not described.
    Interface { at: u64, interface: u32 },
    /// Packets that are not netlink messages. Said once for each interface.
    Linktype { at: u64, linktype: u16 },
}

impl RecordingError {
    /// All counter names, in the order in which they are reported.
    pub const COUNTERS: [&'static str; 8] = [
        "recording_not_a_recording",
        "recording_truncated",
        "recording_bad_block_length",
        "recording_too_long",
        "recording_bad_section",
        "recording_bad_packet_length",
        "recording_unknown_interface",
        "recording_other_linktype",
    ];

    /// The position of this error's counter in [`Self::COUNTERS`].
    #[must_use]
    pub fn counter(self) -> usize {
        match self {
            Self::NotARecording { .. } => 0,
            Self::Truncated { .. } => 1,
            Self::BlockLength { .. } => 2,
            Self::TooLong { .. } => 3,
            Self::Section { .. } => 4,
            Self::PacketLength { .. } => 5,
            Self::Interface { .. } => 6,
            Self::Linktype { .. } => 7,
        }
    }
}

impl From<CaptureError> for RecordingError {
    fn from(error: CaptureError) -> Self {
        match error {
            CaptureError::NotACapture { first, have } => Self::NotARecording { first, have },
            CaptureError::Truncated { at, need, have } => Self::Truncated { at, need, have },
            CaptureError::BlockLength { at, len } => Self::BlockLength { at, len },
            CaptureError::TooLong { at, len } => Self::TooLong { at, len },
            CaptureError::Section { at } => Self::Section { at },
            CaptureError::PacketLength { at, len, have } => Self::PacketLength { at, len, have },
            CaptureError::Interface { at, interface } => Self::Interface { at, interface },
            CaptureError::Linktype { linktype, .. } => Self::Linktype { at: 0, linktype },
        }
    }
}

impl std::fmt::Display for RecordingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let error = match *self {
            Self::NotARecording { first, have } => CaptureError::NotACapture { first, have },
            Self::Truncated { at, need, have } => CaptureError::Truncated { at, need, have },
            Self::BlockLength { at, len } => CaptureError::BlockLength { at, len },
            Self::TooLong { at, len } => CaptureError::TooLong { at, len },
            Self::Section { at } => CaptureError::Section { at },
            Self::PacketLength { at, len, have } => CaptureError::PacketLength { at, len, have },
            Self::Interface { at, interface } => CaptureError::Interface { at, interface },
            Self::Linktype { at, linktype } => {
                let name = linktype_name(linktype);
                return write!(f, "the packet at byte {at} has link type {linktype}{name}, not netlink (253)");
            }
        };
        error.fmt(f)
    }
}

impl std::error::Error for RecordingError {}

/// The link types that people are likely to hand in (tcpdump.org/linktypes.html).
fn linktype_name(linktype: u16) -> &'static str {
    match linktype {
        1 => " (Ethernet)",
        101 => " (raw IP)",
        113 | 276 => " (Linux cooked)",
        228 => " (raw IPv4)",
        229 => " (raw IPv6)",
        239 => " (nflog)",
        _ => "",
    }
}
