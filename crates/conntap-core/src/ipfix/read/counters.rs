//! What a reader counts. Each loss has a name.

use super::ReadError;

/// Sums of a reader's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub messages_ipfix: u64,
    pub messages_netflow9: u64,
    /// Data records that were read, those of options templates not included.
    pub records: u64,
    /// Records of options templates: about the exporter, no rows.
    pub options_records: u64,
    /// Rows made, by kind.
    pub flows: u64,
    pub interims: u64,
    pub bindings: u64,
    pub gaps: u64,
    /// Records without any address: not about a flow, no row.
    pub records_without_address: u64,
    /// Records of events that are no flow (pools and quotas exhausted, denied connections): no row.
    pub records_of_other_events: u64,
    /// Ends of translations that conntap's own exporter tells in its flow records too: no row.
    pub nat_ends_told_twice: u64,
    /// Flows whose earlier interim records were forgotten to make room: totals begin anew.
    pub interims_forgotten: u64,
    /// Elements that did not fit a row.
    pub elements_dropped: u64,
    /// IPFIX: data records that never came, by the sequence numbers.
    pub lost_records: u64,
    /// NetFlow v9: messages that never came.
    pub lost_messages: u64,
    /// Messages that came after later ones; what was taken for lost is not.
    pub late: u64,
    /// Messages whose numbers had been seen: sent twice, perhaps.
    pub repeated: u64,
    /// Exporters that began anew: what they dropped then is not known.
    pub restarts: u64,
    /// Exporters found to count in a wrong way, which is followed.
    pub miscounting: u64,
    /// Template records that were read.
    pub templates: u64,
    /// Known template ids whose fields changed without a withdrawal.
    pub templates_redefined: u64,
    pub templates_withdrawn: u64,
    /// Over UDP there is no withdrawal.
    pub withdrawals_ignored: u64,
    /// Not refreshed in time.
    pub templates_expired: u64,
    /// More of them, or of their fields, than there is room for.
    pub templates_refused: u64,
    /// Sets that came before their template, and those of them whose template came in time.
    pub waited: u64,
    pub waited_read: u64,
    /// Sets, and their bytes, whose template did not come in time or for which there was no room.
    pub dropped_sets: u64,
    pub dropped_bytes: u64,
    /// Sets with ids that have no meaning.
    pub reserved_sets: u64,
    /// Bytes behind a message in its datagram.
    pub trailing_bytes: u64,
    /// Sessions forgotten to make room.
    pub sessions_dropped: u64,
    /// By [`ReadError::counter`].
    pub malformed: [u64; 5],
}

impl Counters {
    /// All of them by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let named = [
            ("messages_ipfix", self.messages_ipfix),
            ("messages_netflow9", self.messages_netflow9),
            ("records", self.records),
            ("options_records", self.options_records),
            ("flows", self.flows),
            ("interims", self.interims),
            ("bindings", self.bindings),
            ("gaps", self.gaps),
            ("records_without_address", self.records_without_address),
            ("records_of_other_events", self.records_of_other_events),
            ("nat_ends_told_twice", self.nat_ends_told_twice),
            ("interims_forgotten", self.interims_forgotten),
            ("elements_dropped", self.elements_dropped),
            ("lost_records", self.lost_records),
            ("lost_messages", self.lost_messages),
            ("late", self.late),
            ("repeated", self.repeated),
            ("restarts", self.restarts),
            ("miscounting", self.miscounting),
            ("templates", self.templates),
            ("templates_redefined", self.templates_redefined),
            ("templates_withdrawn", self.templates_withdrawn),
            ("withdrawals_ignored", self.withdrawals_ignored),
            ("templates_expired", self.templates_expired),
            ("templates_refused", self.templates_refused),
            ("waited", self.waited),
            ("waited_read", self.waited_read),
            ("dropped_sets", self.dropped_sets),
            ("dropped_bytes", self.dropped_bytes),
            ("reserved_sets", self.reserved_sets),
            ("trailing_bytes", self.trailing_bytes),
            ("sessions_dropped", self.sessions_dropped),
        ];
        named.into_iter().chain(ReadError::COUNTERS.into_iter().zip(self.malformed))
    }

    pub(super) fn refuse(&mut self, error: ReadError) {
        if let Some(count) = self.malformed.get_mut(error.counter()) {
            add(count, 1);
        }
    }
}

/// Counters never wrap.
pub(super) fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}
