//! What ctnetlink messages mean: [`Flow`], [`Expectation`], [`Stats`], kernel errors, and requests.
//!
//! `decode` and `write` are inverses (a property test says so); unknown attributes are carried by number.
//! Values borrow texts and labels from the message: decoding allocates nothing.

pub mod error;
pub mod expectation;
pub mod flow;
pub mod gap;
pub mod names;
pub mod record;
pub mod request;
pub mod stats;
mod translation;
pub mod tuple;
pub mod unknown;

pub use error::KernelError;
pub use expectation::Expectation;
pub use flow::{Counters, Flow, NatRange, ProtoInfo, SeqAdj, Synproxy};
pub use gap::{Cause, Gap};
pub use record::Record;
pub use stats::{Stats, StatsKind};
pub use tuple::Tuple;
pub use unknown::{Unknown, Unknowns};

use crate::wire::constants::*;
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
    /// The ledger's record of a flow that has ended.
    Flow,
    /// Its record of a flow that goes on.
    Interim,
    /// Its record of a translation that began.
    Binding,
    /// A flow that it holds open.
    Open,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::Entry,
        Self::New,
        Self::Update,
        Self::Destroy,
        Self::ExpEntry,
        Self::ExpNew,
        Self::ExpUpdate,
        Self::ExpDestroy,
        Self::Gap,
        Self::Flow,
        Self::Interim,
        Self::Binding,
        Self::Open,
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
            RECORD_FLOW => Self::Flow,
            RECORD_INTERIM => Self::Interim,
            RECORD_BINDING => Self::Binding,
            RECORD_OPEN => Self::Open,
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
            Self::Flow => "FLOW",
            Self::Interim => "INTERIM",
            Self::Binding => "BINDING",
            Self::Open => "OPEN",
        }
    }

    #[must_use]
    pub fn is_flow(self) -> bool {
        matches!(self, Self::Entry | Self::New | Self::Update | Self::Destroy) || self.is_record()
    }

    /// One of the ledger's records of a flow.
    #[must_use]
    pub fn is_record(self) -> bool {
        matches!(self, Self::Flow | Self::Interim | Self::Binding | Self::Open)
    }

    #[must_use]
    pub fn is_expectation(self) -> bool {
        matches!(self, Self::ExpEntry | Self::ExpNew | Self::ExpUpdate | Self::ExpDestroy)
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
