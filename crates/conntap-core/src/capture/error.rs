//! Why a capture, or a part of it, was refused.

use super::{FileKind, sniff};

/// Why bytes of a capture were refused. `at` is the offset in the file of the block or packet at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureError {
    /// Neither pcap nor pcapng; the first bytes, as far as there are any.
    NotACapture { first: [u8; 4], have: usize },
    /// The file ends within a block.
    Truncated { at: u64, need: usize, have: usize },
    /// A length smaller than the block's fixed part, not a multiple of 4, or unlike the one at the block's end.
    BlockLength { at: u64, len: usize },
    /// Longer than [`super::MAX_BLOCK`].
    TooLong { at: u64, len: usize },
    /// A section without a valid byte-order magic or of another major version.
    Section { at: u64 },
    /// A packet longer than its block.
    PacketLength { at: u64, len: usize, have: usize },
    /// A packet of an interface that was not described.
    Interface { at: u64, interface: u32 },
    /// A frame that does not fit the file that is written: classic files have one link type.
    Linktype { linktype: u16, file: u16 },
}

impl CaptureError {
    /// All counter names, in the order in which they are reported.
    pub const COUNTERS: [&'static str; 8] = [
        "capture_not_a_capture",
        "capture_truncated",
        "capture_bad_block_length",
        "capture_too_long",
        "capture_bad_section",
        "capture_bad_packet_length",
        "capture_unknown_interface",
        "capture_other_linktype",
    ];

    /// The position of this error's counter in [`Self::COUNTERS`].
    #[must_use]
    pub fn counter(self) -> usize {
        match self {
            Self::NotACapture { .. } => 0,
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

impl std::fmt::Display for CaptureError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotACapture { have: 0, .. } => write!(f, "is empty"),
            Self::NotACapture { first, have } => {
                let first = first.get(..*have).unwrap_or(first);
                match sniff(first) {
                    FileKind::Gzip => return write!(f, "is compressed with gzip; unpack it first (gzip -d)"),
                    FileKind::Zstd => return write!(f, "is compressed with zstd; unpack it first (zstd -d)"),
                    _ => write!(f, "is neither pcap, pcapng nor a recording (it begins with")?,
                }
                for byte in first {
                    write!(f, " {byte:02x}")?;
                }
                write!(f, ")")
            }
            Self::Truncated { at, need, have } => {
                write!(f, "ends within the block at byte {at}: {need} bytes needed, {have} there")
            }
            Self::BlockLength { at, len } => write!(f, "the block at byte {at} has the impossible length {len}"),
            Self::TooLong { at, len } => write!(f, "the block at byte {at} claims {len} bytes, more than any has"),
            Self::Section { at } => write!(f, "the section at byte {at} is of an unknown byte order or version"),
            Self::PacketLength { at, len, have } => {
                write!(f, "the packet at byte {at} has the impossible length {len} ({have} bytes there)")
            }
            Self::Interface { at, interface } => {
                write!(f, "the packet at byte {at} is of interface {interface}, which the file does not describe")
            }
            Self::Linktype { linktype, file } => write!(f, "link type {linktype} in a file of link type {file}"),
        }
    }
}

impl std::error::Error for CaptureError {}
