//! What ctnetlink messages mean: [`Flow`], [`Expectation`], [`Stats`], kernel errors, and requests.
//!
//! `decode` and `write` are inverses (a property test says so); unknown attributes are carried by number.
//! Values borrow texts and labels from the message: decoding allocates nothing.

pub mod error;
pub mod expectation;
pub mod flow;
pub mod names;
pub mod request;
pub mod stats;
pub mod tuple;
pub mod unknown;

pub use error::KernelError;
pub use expectation::Expectation;
pub use flow::{Counters, Flow, NatRange, ProtoInfo, SeqAdj, Synproxy};
pub use stats::{Stats, StatsKind};
pub use tuple::Tuple;
pub use unknown::{Unknown, Unknowns};

use crate::wire::constants::{CT_DELETE, CT_NEW, EXP_DELETE, EXP_NEW, NLM_F_CREATE, NLM_F_MULTI, NLMSG_OVERRUN};
use crate::wire::{DecodeError, Message};

/// What a row reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An entry of the flow table, from a dump or a GET.
    Entry,
    New,
    Update,
    Destroy,
    /// An entry of the expectation table.
    ExpEntry,
    ExpNew,
    ExpUpdate,
    ExpDestroy,
    /// A stretch of time in which events were lost.
    Gap,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Entry,
        Self::New,
        Self::Update,
        Self::Destroy,
        Self::ExpEntry,
        Self::ExpNew,
        Self::ExpUpdate,
        Self::ExpDestroy,
        Self::Gap,
    ];

    /// The kind of a message, or None for one that is no row (control messages, statistics, other subsystems).
    ///
    /// UPDATE and NEW share a message type and differ in NLM_F_CREATE; dump parts carry NLM_F_MULTI (seen on 6.18).
    #[must_use]
    pub fn of(message: &Message<'_>) -> Option<Self> {
        let multi = message.flags & NLM_F_MULTI != 0;
        let create = message.flags & NLM_F_CREATE != 0;
        Some(match message.kind {
            CT_NEW if multi => Self::Entry,
            CT_NEW if create => Self::New,
            CT_NEW => Self::Update,
            CT_DELETE => Self::Destroy,
            EXP_NEW if multi => Self::ExpEntry,
            EXP_NEW if create => Self::ExpNew,
            EXP_NEW => Self::ExpUpdate,
            EXP_DELETE => Self::ExpDestroy,
            NLMSG_OVERRUN => Self::Gap,
            _ => return None,
        })
    }

    /// The kind's name in every output: `ENTRY`, `NEW`, `UPDATE`, `DESTROY`, `EXP_NEW` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Entry => "ENTRY",
            Self::New => "NEW",
            Self::Update => "UPDATE",
            Self::Destroy => "DESTROY",
            Self::ExpEntry => "EXP_ENTRY",
            Self::ExpNew => "EXP_NEW",
            Self::ExpUpdate => "EXP_UPDATE",
            Self::ExpDestroy => "EXP_DESTROY",
            Self::Gap => "GAP",
        }
    }

    #[must_use]
    pub fn is_flow(self) -> bool {
        matches!(self, Self::Entry | Self::New | Self::Update | Self::Destroy)
    }

    #[must_use]
    pub fn is_expectation(self) -> bool {
        matches!(self, Self::ExpEntry | Self::ExpNew | Self::ExpUpdate | Self::ExpDestroy)
    }
}

/// Events lost: how many (None where nobody can tell) and between which times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub lost: Option<u64>,
    /// The last time before which nothing was lost, nanoseconds since the epoch.
    pub after_ns: i64,
    /// The first time from which on nothing was lost.
    pub before_ns: i64,
}

impl Gap {
    const UNKNOWN: u64 = u64::MAX;

    /// The gap as an NLMSG_OVERRUN message, so that it travels in batches and recordings in its place.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = crate::wire::Writer::control(NLMSG_OVERRUN, 0, 0, 0);
        writer.raw(&self.lost.unwrap_or(Self::UNKNOWN).to_be_bytes());
        writer.raw(&self.after_ns.to_be_bytes());
        writer.raw(&self.before_ns.to_be_bytes());
        writer.finish()
    }

    /// Read what [`Self::encode`] wrote.
    pub fn decode(message: &Message<'_>) -> Result<Self, DecodeError> {
        let Some((lost, rest)) = message.body.split_first_chunk::<8>() else {
            return Err(DecodeError::Truncated { at: 16, need: 24, have: message.body.len() });
        };
        let (Some((after, rest)), have) = (rest.split_first_chunk::<8>(), message.body.len()) else {
            return Err(DecodeError::Truncated { at: 24, need: 24, have: message.body.len() });
        };
        let Some(before) = rest.first_chunk::<8>() else {
            return Err(DecodeError::Truncated { at: 32, need: 24, have });
        };
        let lost = u64::from_be_bytes(*lost);
        Ok(Self {
            lost: (lost != Self::UNKNOWN).then_some(lost),
            after_ns: i64::from_be_bytes(*after),
            before_ns: i64::from_be_bytes(*before),
        })
    }
}

/// A row's decoded content.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // lives on the stack for the length of one row
pub enum Content<'a> {
    Flow(Flow<'a>),
    Expectation(Expectation<'a>),
    Gap(Gap),
}

impl<'a> Content<'a> {
    /// Decode a message of kind `kind`.
    pub fn decode(kind: Kind, message: &Message<'a>) -> Result<Self, DecodeError> {
        Ok(if kind.is_flow() {
            Self::Flow(Flow::decode(message)?)
        } else if kind.is_expectation() {
            Self::Expectation(Expectation::decode(message)?)
        } else {
            Self::Gap(Gap::decode(message)?)
        })
    }
}
