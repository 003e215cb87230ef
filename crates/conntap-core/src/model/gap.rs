//! A gap: a stretch of time of which not everything is known, in its place among the rows.

use crate::wire::constants::NLMSG_OVERRUN;
use crate::wire::{DecodeError, Message, Writer};

/// What made a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// The receive buffer was full.
    #[default]
    Overrun = 0,
    /// Nobody listened: the logger was not running.
    Restart = 1,
    /// The clock was set: `after_ns` by the old one is `before_ns` by the new.
    Clock = 2,
    /// A program ended many flows at once; their ends are known.
    Flush = 3,
    /// A dump was compared with what was known.
    Reconcile = 4,
    /// Bytes of a journal or spool could not be read.
    Damage = 5,
    /// Nothing: time went by. Never written to a ledger.
    Tick = 6,
}

impl Cause {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Overrun, "overrun"),
        (Self::Restart, "restart"),
        (Self::Clock, "clock"),
        (Self::Flush, "flush"),
        (Self::Reconcile, "reconcile"),
        (Self::Damage, "damage"),
        (Self::Tick, "tick"),
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// The cause of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(cause, _)| *cause)
    }

    /// The cause of that number.
    #[must_use]
    pub fn of(number: u8) -> Self {
        Self::ALL.iter().map(|(known, _)| *known).find(|known| *known as u8 == number).unwrap_or_default()
    }
}

/// Events lost: how many (None where nobody can tell) and between which times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    pub lost: Option<u64>,
    /// The last time before which nothing was lost, nanoseconds since the epoch.
    pub after_ns: i64,
    /// The first time from which on nothing was lost.
    pub before_ns: i64,
    pub cause: Cause,
    /// Its number among a ledger's records; 0 elsewhere.
    pub seq: u64,
    /// [`Cause::Reconcile`]: flows that were found alive and had not been known.
    pub alive: u64,
    /// [`Cause::Reconcile`]: flows that are gone and whose end was not seen. [`Cause::Flush`]: flows ended.
    pub ended: u64,
}

impl Gap {
    const UNKNOWN: u64 = u64::MAX;
    /// Bytes of a gap of events; behind them stands what a ledger adds.
    const SHORT: usize = 24;

    /// The gap as an NLMSG_OVERRUN message, so that it travels in batches and recordings in its place.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::control(NLMSG_OVERRUN, 0, 0, 0);
        writer.raw(&self.lost.unwrap_or(Self::UNKNOWN).to_be_bytes());
        writer.raw(&self.after_ns.to_be_bytes());
        writer.raw(&self.before_ns.to_be_bytes());
        if self.cause != Cause::Overrun || self.seq != 0 {
            writer.raw(&self.seq.to_be_bytes());
            writer.raw(&self.alive.to_be_bytes());
            writer.raw(&self.ended.to_be_bytes());
            writer.raw(&[self.cause as u8, 0, 0, 0]);
        }
        writer.finish()
    }

    /// Read what [`Self::encode`] wrote.
    pub fn decode(message: &Message<'_>) -> Result<Self, DecodeError> {
        let body = message.body;
        let word =
            |at: usize| body.get(at..).and_then(|rest| rest.first_chunk::<8>()).map(|word| u64::from_be_bytes(*word));
        let (Some(lost), Some(after), Some(before)) = (word(0), word(8), word(16)) else {
            return Err(DecodeError::Truncated { at: 16, need: Self::SHORT, have: body.len() });
        };
        let signed = |word: u64| i64::from_be_bytes(word.to_be_bytes());
        Ok(Self {
            lost: (lost != Self::UNKNOWN).then_some(lost),
            after_ns: signed(after),
            before_ns: signed(before),
            seq: word(24).unwrap_or_default(),
            alive: word(32).unwrap_or_default(),
            ended: word(40).unwrap_or_default(),
            cause: Cause::of(body.get(48).copied().unwrap_or_default()),
        })
    }
}
