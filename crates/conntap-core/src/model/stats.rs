//! Counters of the kernel's tracking core: per CPU, global, and of expectations (CTA_STATS_*).

use crate::wire::constants::{CT_GET_STATS, CT_GET_STATS_CPU, EXP_STATS_REPLY};
use crate::wire::{DecodeError, Message, Writer};

/// Which counters a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsKind {
    Cpu,
    Global,
    Expect,
}

/// One statistics message. All values are 32 bits and wrap; per CPU where the kind says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    pub kind: StatsKind,
    /// CPU number (nfgenmsg.res_id); 0 for [`StatsKind::Global`].
    pub cpu: u16,
    /// Attribute number and value, in the order sent.
    pub values: Vec<(u16, u32)>,
}

/// Names of CTA_STATS_* 1…15. The kernel sends 2, 4, 8 … 15 (6.18); older ones sent all up to 13.
const CPU_NAMES: [&str; 15] = [
    "searched",
    "found",
    "new",
    "invalid",
    "ignore",
    "delete",
    "delete_list",
    "insert",
    "insert_failed",
    "drop",
    "early_drop",
    "error",
    "search_restart",
    "clash_resolve",
    "chaintoolong",
];
const GLOBAL_NAMES: [&str; 2] = ["entries", "max_entries"];
const EXPECT_NAMES: [&str; 3] = ["expect_new", "expect_create", "expect_delete"];

impl StatsKind {
    /// The kind of a reply message.
    ///
    /// 0x0103 is also CT_GET_CTRZERO, but that is a request: its replies are flows (seen on 6.18).
    #[must_use]
    pub fn of(kind: u16) -> Option<Self> {
        match kind {
            CT_GET_STATS_CPU => Some(Self::Cpu),
            CT_GET_STATS => Some(Self::Global),
            EXP_STATS_REPLY => Some(Self::Expect),
            _ => None,
        }
    }

    /// The name of counter `number`, or None for one that a newer kernel added.
    #[must_use]
    pub fn name(self, number: u16) -> Option<&'static str> {
        let names: &[&str] = match self {
            Self::Cpu => &CPU_NAMES,
            Self::Global => &GLOBAL_NAMES,
            Self::Expect => &EXPECT_NAMES,
        };
        names.get(usize::from(number).checked_sub(1)?).copied()
    }

    fn message(self) -> u16 {
        match self {
            Self::Cpu => CT_GET_STATS_CPU,
            Self::Global => CT_GET_STATS,
            Self::Expect => EXP_STATS_REPLY,
        }
    }
}

impl Stats {
    /// Read a statistics message of kind `kind`.
    pub fn decode(kind: StatsKind, message: &Message<'_>) -> Result<Self, DecodeError> {
        let (_, _, cpu) = message.nfgen()?;
        let mut values = Vec::with_capacity(16);
        for attr in message.attrs() {
            let attr = attr?;
            values.push((attr.kind, attr.be32()?));
        }
        Ok(Self { kind, cpu, values })
    }

    /// The message that [`Self::decode`] reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(self.kind.message(), 0, 0, 0, 0, 0, self.cpu);
        for (number, value) in &self.values {
            writer.be32(*number, *value);
        }
        writer.finish()
    }
}
