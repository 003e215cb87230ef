//! What the engine met, by name.

use crate::packet::PacketError;

/// Numbers of packets unless said otherwise. Nothing is left out in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Handed in, frames that no IP layer would take included.
    pub packets: u64,
    pub invalid: u64,
    pub untracked: u64,
    /// Fragments that were kept, and those that were thrown away.
    pub fragments_queued: u64,
    pub fragments_dropped: u64,
    /// Frames that hold no IP, or that the IP layer drops: by [`PacketError::counter`].
    pub refused: [u64; PacketError::COUNTERS.len()],
    /// Truncated by the capture: tracked as far as the bytes go.
    pub cut: u64,
    /// Flows entered.
    pub flows: u64,
    /// Entries that gave way to others in a full table.
    pub early_dropped: u64,
    /// New connections refused since the table was full.
    pub table_full: u64,
    /// New connections refused since their tuple was taken.
    pub insert_failed: u64,
    /// Dropped by helpers.
    pub helper_dropped: u64,
    /// Dropped by rules.
    pub rule_dropped: u64,
    /// Packets older than the one before; the clock stays.
    pub time_backwards: u64,
    /// Packets more than a day ahead of all others; the clock stays.
    pub time_ahead: u64,
    /// Expectations entered and refused.
    pub expectations: u64,
    pub expectations_refused: u64,
}

impl Counters {
    /// Every counter with its name.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        let mut named = vec![
            ("packets", self.packets),
            ("invalid", self.invalid),
            ("untracked", self.untracked),
            ("fragments_queued", self.fragments_queued),
            ("fragments_dropped", self.fragments_dropped),
            ("cut", self.cut),
            ("flows", self.flows),
            ("early_dropped", self.early_dropped),
            ("table_full", self.table_full),
            ("insert_failed", self.insert_failed),
            ("helper_dropped", self.helper_dropped),
            ("rule_dropped", self.rule_dropped),
            ("time_backwards", self.time_backwards),
            ("time_ahead", self.time_ahead),
            ("expectations", self.expectations),
            ("expectations_refused", self.expectations_refused),
        ];
        named.extend(PacketError::COUNTERS.into_iter().zip(self.refused));
        named
    }
}

/// One more.
pub fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
