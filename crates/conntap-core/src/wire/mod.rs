//! Netlink bytes: framing, attributes, and a writer. No meaning lives here.
//!
//! Header integers are in host order, attribute integers big-endian unless a constant says otherwise
//! (linux/netlink.h, linux/netfilter/nfnetlink.h).

pub mod attr;
pub mod constants;
pub mod message;
pub mod writer;

pub use attr::{Attr, Attrs};
pub use message::{Message, Messages};
pub use writer::Writer;

/// Why bytes were refused. Each variant has a counter name, so that no loss is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Fewer bytes than a header needs.
    Truncated { at: usize, need: usize, have: usize },
    /// A length field that is smaller than its header or larger than what is there.
    BadLength { at: usize, len: usize, have: usize },
    /// A scalar attribute shorter than its type.
    ShortValue { attribute: u16, need: usize, have: usize },
    /// An address of neither 4 nor 16 bytes, or a text longer than the kernel's own limit.
    BadValue { attribute: u16 },
}

impl DecodeError {
    /// All counter names, in the order in which they are reported.
    pub const COUNTERS: [&'static str; 4] =
        ["malformed_truncated", "malformed_bad_length", "malformed_short_value", "malformed_bad_value"];

    /// The position of this error's counter in [`Self::COUNTERS`].
    #[must_use]
    pub fn counter(self) -> usize {
        match self {
            Self::Truncated { .. } => 0,
            Self::BadLength { .. } => 1,
            Self::ShortValue { .. } => 2,
            Self::BadValue { .. } => 3,
        }
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated { at, need, have } => {
                write!(f, "truncated at byte {at}: {need} bytes needed, {have} there")
            }
            Self::BadLength { at, len, have } => write!(f, "bad length {len} at byte {at}: {have} bytes there"),
            Self::ShortValue { attribute, need, have } => {
                write!(f, "attribute {attribute} has {have} bytes, needs {need}")
            }
            Self::BadValue { attribute } => write!(f, "attribute {attribute} has an impossible value"),
        }
    }
}

impl std::error::Error for DecodeError {}
