//! What pairing met, by name.

/// Numbers of frames unless said otherwise. Nothing is left out in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub frames: u64,
    /// Frames without an IP packet.
    pub not_ip: u64,
    /// Packets found on both sides: two frames each.
    pub pairs: u64,
    /// Of known connections, without a twin: not captured where they left, or not forwarded, or joined by offloading.
    pub arrived_unpaired: u64,
    /// Of known connections, without a twin: not captured where they came, or cut by offloading. Skipped.
    pub departed_unpaired: u64,
    /// Seen on one side alone: the gateway's own, for it, or not forwarded.
    pub alone: u64,
    /// Pairs whose payload was rewritten on the way.
    pub rewritten: u64,
    /// Pairs whose payload was cut into segments or joined by offloading.
    pub resegmented: u64,
    /// Frames given up before the window had passed: too many waited.
    pub window_full: u64,
    /// Connections seen on both sides.
    pub bindings: u64,
    /// Of these, those that are translated.
    pub translated: u64,
    /// Of these, those for which another twin had fitted as well.
    pub ambiguous: u64,
    /// Ambiguous ones that later packets have contradicted.
    pub withdrawn: u64,
    /// Connections that were not remembered: the table was full.
    pub flows_refused: u64,
}

impl Counters {
    /// Every counter with its name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 14] {
        [
            ("frames", self.frames),
            ("not_ip", self.not_ip),
            ("pairs", self.pairs),
            ("arrived_unpaired", self.arrived_unpaired),
            ("departed_unpaired", self.departed_unpaired),
            ("alone", self.alone),
            ("rewritten", self.rewritten),
            ("resegmented", self.resegmented),
            ("window_full", self.window_full),
            ("bindings", self.bindings),
            ("translated", self.translated),
            ("ambiguous", self.ambiguous),
            ("withdrawn", self.withdrawn),
            ("flows_refused", self.flows_refused),
        ]
    }
}

/// One more.
pub fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
