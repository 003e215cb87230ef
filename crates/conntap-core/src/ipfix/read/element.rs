//! Information elements that have a meaning here, by their numbers.
//!
//! Source: IANA registry "IPFIX Information Elements"; reverse elements: RFC 5103 6.1.

use crate::ipfix::elements::{
    END_AFTER, GAP_AFTER, GAP_ALIVE, GAP_BEFORE, GAP_CAUSE, GAP_ENDED, GAP_LOST, LABELS, MARK, RECORD_NO, STATE,
    STATUS, ZONE,
};
pub use crate::ipfix::elements::{OUR_ENTERPRISE as OURS, REVERSE_ENTERPRISE as REVERSE};

/// Elements of the IANA registry have enterprise 0 here.
pub const IANA: u32 = 0;
/// In NetFlow v9 these two are the other direction; in IPFIX what a middlebox made of the same one.
const NETFLOW9_ONLY: u32 = u32::MAX - 1;
/// Scope fields of NetFlow v9 have types of their own, which are no elements.
pub const NETFLOW9_SCOPE: u32 = u32::MAX;

/// What a number of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Number {
    Octets,
    Packets,
    OctetsTotal,
    PacketsTotal,
    ReverseOctets,
    ReversePackets,
    ReverseOctetsTotal,
    ReversePacketsTotal,
    InitiatorOctets,
    ResponderOctets,
    InitiatorPackets,
    ResponderPackets,
    Protocol,
    SourcePort,
    DestinationPort,
    PostSourcePort,
    PostDestinationPort,
    IpVersion,
    IcmpTypeCode4,
    IcmpTypeCode6,
    IcmpType4,
    IcmpCode4,
    IcmpType6,
    IcmpCode6,
    StartUptime,
    EndUptime,
    StartSeconds,
    EndSeconds,
    StartMilliseconds,
    EndMilliseconds,
    StartMicroseconds,
    EndMicroseconds,
    StartNanoseconds,
    EndNanoseconds,
    StartDeltaMicroseconds,
    EndDeltaMicroseconds,
    InitMilliseconds,
    DurationMilliseconds,
    DurationMicroseconds,
    ObservedSeconds,
    ObservedMilliseconds,
    ObservedMicroseconds,
    ObservedNanoseconds,
    EndReason,
    FlowId,
    Domain,
    NatEvent,
    FirewallEvent,
    Zone,
    BiflowDirection,
    NatType,
    OutOctets,
    OutPackets,
    Mark,
    Status,
    OwnZone,
    State,
    RecordNo,
    EndAfter,
    GapCause,
    GapLost,
    GapAfter,
    GapBefore,
    GapAlive,
    GapEnded,
}

impl Number {
    /// How many there are: one more than the last.
    pub const COUNT: usize = Self::GapEnded as usize + 1;
}

/// What an address of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Address {
    Source4,
    Destination4,
    Source6,
    Destination6,
    PostSource4,
    PostDestination4,
    PostSource6,
    PostDestination6,
    Exporter4,
    Exporter6,
    OriginalExporter4,
    OriginalExporter6,
}

impl Address {
    pub const COUNT: usize = Self::OriginalExporter6 as usize + 1;
}

/// What an element means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Number(Number),
    Address(Address),
    /// applicationName: the helper's name, of our own records.
    Application,
    Labels,
    Padding,
    /// Nothing: it is kept by number.
    Other,
}

use Address as A;
use Number as N;

/// Numbers, and in how many bytes at most they come (fewer is always allowed: RFC 7011 6.2).
const NUMBERS: [(u32, u16, Number, u16); Number::COUNT] = [
    (IANA, 1, N::Octets, 8),
    (IANA, 2, N::Packets, 8),
    (IANA, 85, N::OctetsTotal, 8),
    (IANA, 86, N::PacketsTotal, 8),
    (REVERSE, 1, N::ReverseOctets, 8),
    (REVERSE, 2, N::ReversePackets, 8),
    (REVERSE, 85, N::ReverseOctetsTotal, 8),
    (REVERSE, 86, N::ReversePacketsTotal, 8),
    (IANA, 231, N::InitiatorOctets, 8),
    (IANA, 232, N::ResponderOctets, 8),
    (IANA, 298, N::InitiatorPackets, 8),
    (IANA, 299, N::ResponderPackets, 8),
    (IANA, 4, N::Protocol, 1),
    (IANA, 7, N::SourcePort, 2),
    (IANA, 11, N::DestinationPort, 2),
    (IANA, 227, N::PostSourcePort, 2),
    (IANA, 228, N::PostDestinationPort, 2),
    (IANA, 60, N::IpVersion, 1),
    (IANA, 32, N::IcmpTypeCode4, 2),
    (IANA, 139, N::IcmpTypeCode6, 2),
    (IANA, 176, N::IcmpType4, 1),
    (IANA, 177, N::IcmpCode4, 1),
    (IANA, 178, N::IcmpType6, 1),
    (IANA, 179, N::IcmpCode6, 1),
    (IANA, 22, N::StartUptime, 4),
    (IANA, 21, N::EndUptime, 4),
    (IANA, 150, N::StartSeconds, 4),
    (IANA, 151, N::EndSeconds, 4),
    (IANA, 152, N::StartMilliseconds, 8),
    (IANA, 153, N::EndMilliseconds, 8),
    (IANA, 154, N::StartMicroseconds, 8),
    (IANA, 155, N::EndMicroseconds, 8),
    (IANA, 156, N::StartNanoseconds, 8),
    (IANA, 157, N::EndNanoseconds, 8),
    (IANA, 158, N::StartDeltaMicroseconds, 4),
    (IANA, 159, N::EndDeltaMicroseconds, 4),
    (IANA, 160, N::InitMilliseconds, 8),
    (IANA, 161, N::DurationMilliseconds, 4),
    (IANA, 162, N::DurationMicroseconds, 4),
    (IANA, 322, N::ObservedSeconds, 4),
    (IANA, 323, N::ObservedMilliseconds, 8),
    (IANA, 324, N::ObservedMicroseconds, 8),
    (IANA, 325, N::ObservedNanoseconds, 8),
    (IANA, 136, N::EndReason, 1),
    (IANA, 148, N::FlowId, 8),
    (IANA, 149, N::Domain, 4),
    (IANA, 230, N::NatEvent, 1),
    (IANA, 233, N::FirewallEvent, 1),
    (IANA, 234, N::Zone, 4),
    (IANA, 239, N::BiflowDirection, 1),
    (IANA, 297, N::NatType, 1),
    (NETFLOW9_ONLY, 23, N::OutOctets, 8),
    (NETFLOW9_ONLY, 24, N::OutPackets, 8),
    (OURS, MARK.number, N::Mark, 4),
    (OURS, STATUS.number, N::Status, 4),
    (OURS, ZONE.number, N::OwnZone, 2),
    (OURS, STATE.number, N::State, 1),
    (OURS, RECORD_NO.number, N::RecordNo, 4),
    (OURS, END_AFTER.number, N::EndAfter, 8),
    (OURS, GAP_CAUSE.number, N::GapCause, 1),
    (OURS, GAP_LOST.number, N::GapLost, 8),
    (OURS, GAP_AFTER.number, N::GapAfter, 8),
    (OURS, GAP_BEFORE.number, N::GapBefore, 8),
    (OURS, GAP_ALIVE.number, N::GapAlive, 8),
    (OURS, GAP_ENDED.number, N::GapEnded, 8),
];

const ADDRESSES: [(u16, Address, u16); Address::COUNT] = [
    (8, A::Source4, 4),
    (12, A::Destination4, 4),
    (27, A::Source6, 16),
    (28, A::Destination6, 16),
    (225, A::PostSource4, 4),
    (226, A::PostDestination4, 4),
    (281, A::PostSource6, 16),
    (282, A::PostDestination6, 16),
    (130, A::Exporter4, 4),
    (131, A::Exporter6, 16),
    (403, A::OriginalExporter4, 4),
    (404, A::OriginalExporter6, 16),
];

const APPLICATION_NAME: u16 = 96;
const PADDING_OCTETS: u16 = 210;

impl Field {
    /// The meaning of an element that comes in `len` bytes; [`Self::Other`] where none, or where that length is wrong.
    #[must_use]
    pub fn of(enterprise: u32, number: u16, len: u16, v9: bool) -> Self {
        let enterprise = if v9 && enterprise == IANA && matches!(number, 23 | 24) { NETFLOW9_ONLY } else { enterprise };
        let numeric = NUMBERS.iter().find(|known| (known.0, known.1) == (enterprise, number));
        if let Some((.., field, most)) = numeric {
            return if (1..=*most).contains(&len) { Self::Number(*field) } else { Self::Other };
        }
        if enterprise == OURS && number == LABELS.number {
            return Self::Labels;
        }
        if enterprise != IANA {
            return Self::Other;
        }
        match (ADDRESSES.iter().find(|known| known.0 == number), number) {
            (Some((_, address, size)), _) if len == *size => Self::Address(*address),
            (None, APPLICATION_NAME) => Self::Application,
            (None, PADDING_OCTETS) => Self::Padding,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_and_address_has_an_element() {
        assert_eq!(NUMBERS.len(), Number::COUNT);
        for (at, known) in NUMBERS.iter().enumerate() {
            assert_eq!(known.2 as usize, at);
        }
        for (at, known) in ADDRESSES.iter().enumerate() {
            assert_eq!(known.1 as usize, at);
        }
    }

    #[test]
    fn a_length_that_cannot_be_leaves_the_element_as_bytes() {
        assert_eq!(Field::of(IANA, 8, 4, false), Field::Address(Address::Source4));
        assert_eq!(Field::of(IANA, 8, 16, false), Field::Other);
        assert_eq!(Field::of(IANA, 1, 4, false), Field::Number(Number::Octets));
        assert_eq!(Field::of(IANA, 1, 9, false), Field::Other);
        assert_eq!(Field::of(IANA, 1, u16::MAX, false), Field::Other);
        assert_eq!(Field::of(9, 1, 4, false), Field::Other);
        assert_eq!(Field::of(IANA, 23, 4, false), Field::Other);
        assert_eq!(Field::of(IANA, 23, 4, true), Field::Number(Number::OutOctets));
        assert_eq!(Field::of(NETFLOW9_SCOPE, 1, 4, false), Field::Other);
    }
}
