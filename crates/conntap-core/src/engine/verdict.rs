//! What the engine says of a packet, and why.

use std::fmt;

use super::key::Direction;
use crate::packet::PacketError;

/// What rules see of a packet (ctstate). Source: enum ip_conntrack_info.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    New,
    Established,
    Related,
    Invalid,
    Untracked,
    /// The IP layer drops it, or keeps it until its datagram is whole: tracking never sees it.
    Unseen,
}

impl State {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Established => "ESTABLISHED",
            Self::Related => "RELATED",
            Self::Invalid => "INVALID",
            Self::Untracked => "UNTRACKED",
            Self::Unseen => "UNSEEN",
        }
    }
}

/// Why. The numbers are what a person needs to follow it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    // accepted
    FirstPacket,
    MatchesExpectation,
    PickedUp,
    InWindow,
    Answer,
    Again,
    ErrorAboutFlow,
    SynAgain,
    Reopened,
    ResetBeforeAnswer,
    Liberal,
    SkippedWindow,
    ResetInexact,
    Resynchronised,
    // accepted, nothing changes
    Ignored { state: u8 },
    ChallengeAck,
    Overshot { bytes: u32 },
    SeqUnder { below: u32 },
    AckUnder { below: u32 },
    HeartbeatTag,
    InitAgain,
    // invalid
    NoTransport,
    ShortHeader { have: u32, need: u32 },
    BadHeaderLength { header: u32, have: u32 },
    BadLength { field: u32, have: u32 },
    BadChecksum,
    NoChecksum,
    FlagsImpossible { flags: u8 },
    CannotOpen,
    NotLoose,
    StateForbids { state: u8 },
    SeqOver { by: u32 },
    AckOver { by: u32 },
    ResetBelow { by: u32 },
    UnknownIcmpType { kind: u8 },
    IcmpCannotOpen { kind: u8 },
    NoInverse,
    RedirectFromAfar,
    QuoteUnreadable,
    QuoteUnknown,
    QuoteElsewhere,
    ChunksMisplaced,
    ChunkCannotOpen,
    TagMismatch,
    TagNotZero,
    GreProtocol,
    // untracked
    NeighbourDiscovery,
    // never tracked
    WaitingForFragments,
    Fragment(crate::packet::FragmentError),
    Ip(PacketError),
    // dropped
    TableFull,
    TupleTaken,
    HelperDropped,
    RuleDropped,
    Untranslatable,
}

impl Reason {
    /// What stands in machine output: one word, stable.
    #[must_use]
    pub fn name(&self) -> String {
        let debug = format!("{self:?}");
        let word = debug.split([' ', '{', '(']).next().unwrap_or_default();
        let mut out = String::with_capacity(24);
        for (at, letter) in word.chars().enumerate() {
            if letter.is_ascii_uppercase() && at > 0 {
                out.push('_');
            }
            out.push(letter.to_ascii_lowercase());
        }
        out
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state =
            |state: &u8| *crate::model::names::TCP_STATES.get(usize::from(*state)).unwrap_or(&"an unknown state");
        match self {
            Self::FirstPacket => f.write_str("first packet of a connection, no expectation matched"),
            Self::MatchesExpectation => f.write_str("an expectation was waiting for it: child of another connection"),
            Self::PickedUp => f.write_str("picked up in the middle of a connection (tcp_loose)"),
            Self::InWindow => f.write_str("in window"),
            Self::Answer => f.write_str("the first answer"),
            Self::Again => f.write_str("one more packet of a known connection"),
            Self::ErrorAboutFlow => f.write_str("an ICMP error that quotes a known connection"),
            Self::SynAgain => f.write_str("SYN again before any answer: the time left is not renewed"),
            Self::Reopened => f.write_str("SYN for a connection that had ended: the old entry gives way to a new one"),
            Self::ResetBeforeAnswer => f.write_str("RST before any answer: the entry is gone at once"),
            Self::Liberal => f.write_str("outside of the window, let pass (liberal)"),
            Self::SkippedWindow => f.write_str("RST that ends it; the window is not looked at"),
            Self::ResetInexact => {
                f.write_str("RST whose sequence number is not exact: stays ESTABLISHED, but for a few seconds only")
            }
            Self::Resynchronised => f.write_str("answers a SYN that was let pass before: in step again"),
            Self::Ignored { state: old } => write!(f, "let pass without effect in {}: may be out of step", state(old)),
            Self::ChallengeAck => f.write_str("challenge ACK to a late SYN: does not end the connection"),
            Self::Overshot { bytes } => {
                write!(f, "{bytes} bytes more than the receiver's window: let pass, not counted")
            }
            Self::SeqUnder { below } => {
                write!(f, "old data: ends {below} bytes below the window; let pass, not counted")
            }
            Self::AckUnder { below } => {
                write!(f, "ACK is {below} bytes below what may be acknowledged; let pass, not counted")
            }
            Self::HeartbeatTag => f.write_str("heartbeat with another verification tag: let pass, not counted"),
            Self::InitAgain => f.write_str("INIT again: the time left is not renewed"),
            Self::NoTransport => f.write_str("no transport header to be found"),
            Self::ShortHeader { have, need } => write!(f, "header cut short: {have} of {need} bytes"),
            Self::BadHeaderLength { header, have } => {
                write!(f, "says that its header has {header} bytes; {have} are there")
            }
            Self::BadLength { field, have } => write!(f, "says that it has {field} bytes; {have} are there"),
            Self::BadChecksum => f.write_str("wrong checksum"),
            Self::NoChecksum => f.write_str("no checksum where one must be"),
            Self::FlagsImpossible { flags } => write!(f, "TCP flags 0x{flags:02x} never go together"),
            Self::CannotOpen => f.write_str("no connection is known for it, and such a packet opens none"),
            Self::NotLoose => f.write_str("in the middle of an unknown connection, and tcp_loose is off"),
            Self::StateForbids { state: old } => write!(f, "cannot come in {}", state(old)),
            Self::SeqOver { by } => write!(f, "begins {by} bytes above the window that the receiver offered"),
            Self::AckOver { by } => write!(f, "ACK is {by} bytes above what the other side has sent"),
            Self::ResetBelow { by } => write!(f, "RST {by} bytes below what was acknowledged already"),
            Self::UnknownIcmpType { kind } => write!(f, "ICMP type {kind} is not known"),
            Self::IcmpCannotOpen { kind } => write!(f, "ICMP type {kind} answers no request that was seen"),
            Self::NoInverse => f.write_str("nothing can answer it"),
            Self::RedirectFromAfar => f.write_str("an ICMPv6 redirect that does not come from a neighbour"),
            Self::QuoteUnreadable => f.write_str("an ICMP error whose quoted packet cannot be read"),
            Self::QuoteUnknown => f.write_str("an ICMP error about a connection that is not known"),
            Self::QuoteElsewhere => f.write_str("an ICMP error sent to another than the quoted packet's sender"),
            Self::ChunksMisplaced => f.write_str("SCTP chunks that may not stand together"),
            Self::ChunkCannotOpen => f.write_str("SCTP chunks that open no association"),
            Self::TagMismatch => f.write_str("wrong SCTP verification tag"),
            Self::TagNotZero => f.write_str("SCTP INIT with a verification tag"),
            Self::GreProtocol => f.write_str("GRE version 1 that carries no PPP"),
            Self::NeighbourDiscovery => f.write_str("neighbour or multicast discovery is not tracked"),
            Self::WaitingForFragments => f.write_str("a fragment: waits until the datagram is whole"),
            Self::Fragment(error) => write!(f, "{error}"),
            Self::Ip(error) => write!(f, "{error}"),
            Self::TableFull => f.write_str("the table is full and no entry could be dropped early"),
            Self::TupleTaken => f.write_str("another connection has its tuple already"),
            Self::HelperDropped => f.write_str("the helper drops it"),
            Self::Untranslatable => f.write_str("too short to be translated"),
            Self::RuleDropped => f.write_str("a rule drops it"),
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    pub state: State,
    pub reason: Reason,
    /// The gateway does not send it on.
    pub dropped: bool,
    /// The flow it belongs to (an id that is never used again), or would if it were valid, and in which direction.
    pub flow: Option<(u32, Direction)>,
}
