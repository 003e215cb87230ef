//! Why a message, or a part of it, could not be read.

/// Each variant has a counter name, so that no loss is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// Neither IPFIX (10) nor NetFlow v9, or v9 in a stream, where it has no length.
    Version { found: u16 },
    /// The message is shorter than its header, or than it says itself.
    Length { said: usize, have: usize },
    /// A set whose length is smaller than its header or larger than the message.
    Set { id: u16, len: usize, have: usize },
    /// A template that is cut, or has an impossible number, no fields, or fields without length.
    Template { id: u16 },
    /// A record whose fields are longer than its set.
    Record { template: u16 },
}

impl ReadError {
    /// All counter names, in the order in which they are reported.
    pub const COUNTERS: [&'static str; 5] =
        ["malformed_version", "malformed_length", "malformed_set", "malformed_template", "malformed_record"];

    /// The position of this error's counter in [`Self::COUNTERS`].
    #[must_use]
    pub fn counter(self) -> usize {
        match self {
            Self::Version { .. } => 0,
            Self::Length { .. } => 1,
            Self::Set { .. } => 2,
            Self::Template { .. } => 3,
            Self::Record { .. } => 4,
        }
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version { found: 5 } => write!(f, "NetFlow v5 is not read: let the exporter send v9 or IPFIX"),
            Self::Version { found } => write!(f, "version {found} is neither IPFIX (10) nor a NetFlow v9 datagram"),
            Self::Length { said, have } => write!(f, "the message should have {said} bytes, and {have} are there"),
            Self::Set { id, len, have } => write!(f, "set {id} says {len} bytes, and {have} are there"),
            Self::Template { id } => write!(f, "template {id} cannot be right"),
            Self::Record { template } => write!(f, "a record of template {template} is longer than its set"),
        }
    }
}
