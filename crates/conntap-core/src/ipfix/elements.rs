//! Information elements: those of IANA's registry that records use, and ours.

/// An information element: its number, and whose number it is (0: IANA's registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Element {
    pub enterprise: u32,
    pub number: u16,
}

/// Of an element of the registry, the same for packets of the other direction (RFC 5103 section 6.1).
pub const REVERSE_ENTERPRISE: u32 = 29_305;

/// Enterprise number of our own elements. **Nobody has assigned it**: IANA gives enterprise numbers in order and is
/// billions away from it. A collector that was not told of it skips these elements by their length, and the records
/// of [`TYPE_INFO`](super::ids::TYPE_INFO) say what they are.
pub const OUR_ENTERPRISE: u32 = 4_200_000_006;

const fn iana(number: u16) -> Element {
    Element { enterprise: 0, number }
}

const fn own(number: u16) -> Element {
    Element { enterprise: OUR_ENTERPRISE, number }
}

const fn reverse(element: Element) -> Element {
    Element { enterprise: REVERSE_ENTERPRISE, number: element.number }
}

pub const OCTET_DELTA: Element = iana(1);
pub const PACKET_DELTA: Element = iana(2);
pub const REVERSE_OCTET_DELTA: Element = reverse(OCTET_DELTA);
pub const REVERSE_PACKET_DELTA: Element = reverse(PACKET_DELTA);
/// NetFlow v9 has no reverse elements; these two are what its collectors take for them.
pub const OUT_BYTES: Element = iana(23);
pub const OUT_PACKETS: Element = iana(24);
pub const PROTOCOL: Element = iana(4);
pub const SOURCE_PORT: Element = iana(7);
pub const SOURCE_V4: Element = iana(8);
pub const DESTINATION_PORT: Element = iana(11);
pub const DESTINATION_V4: Element = iana(12);
pub const SOURCE_V6: Element = iana(27);
pub const DESTINATION_V6: Element = iana(28);
pub const ICMP_TYPE_CODE_V4: Element = iana(32);
pub const EXPORTED_OCTETS: Element = iana(40);
pub const EXPORTED_MESSAGES: Element = iana(41);
pub const EXPORTED_RECORDS: Element = iana(42);
pub const APPLICATION_NAME: Element = iana(96);
pub const FLOW_END_REASON: Element = iana(136);
pub const ICMP_TYPE_CODE_V6: Element = iana(139);
pub const FLOW_ID: Element = iana(148);
pub const OBSERVATION_DOMAIN: Element = iana(149);
pub const START_MILLISECONDS: Element = iana(152);
pub const END_MILLISECONDS: Element = iana(153);
pub const START_NANOSECONDS: Element = iana(156);
pub const END_NANOSECONDS: Element = iana(157);
pub const NOT_SENT_FLOWS: Element = iana(166);
pub const POST_SOURCE_V4: Element = iana(225);
pub const POST_DESTINATION_V4: Element = iana(226);
pub const POST_SOURCE_PORT: Element = iana(227);
pub const POST_DESTINATION_PORT: Element = iana(228);
pub const NAT_EVENT: Element = iana(230);
pub const BIFLOW_DIRECTION: Element = iana(239);
pub const POST_SOURCE_V6: Element = iana(281);
pub const POST_DESTINATION_V6: Element = iana(282);
pub const NAT_TYPE: Element = iana(297);
pub const ELEMENT_NUMBER: Element = iana(303);
pub const OBSERVATION_TIME_MILLISECONDS: Element = iana(323);
pub const ELEMENT_DATA_TYPE: Element = iana(339);
pub const ELEMENT_NAME: Element = iana(341);
pub const ELEMENT_SEMANTICS: Element = iana(344);
pub const ELEMENT_UNITS: Element = iana(345);
pub const ENTERPRISE_NUMBER: Element = iana(346);

pub const MARK: Element = own(1);
pub const LABELS: Element = own(2);
pub const STATUS: Element = own(3);
pub const ZONE: Element = own(4);
pub const STATE: Element = own(5);
pub const RECORD_SEQ: Element = own(6);
pub const RECORD_NO: Element = own(7);
pub const END_AFTER: Element = own(8);
pub const GAP_CAUSE: Element = own(9);
pub const GAP_LOST: Element = own(10);
pub const GAP_AFTER: Element = own(11);
pub const GAP_BEFORE: Element = own(12);
pub const GAP_ALIVE: Element = own(13);
pub const GAP_ENDED: Element = own(14);
pub const EVENTS_LOST: Element = own(15);

/// What RFC 5610 says of an element: its type, semantics and units by the numbers of that RFC's registries.
#[derive(Clone, Copy, Debug)]
pub struct TypeInfo {
    pub element: Element,
    pub name: &'static str,
    pub data_type: u8,
    pub semantics: u8,
    pub units: u16,
}

const OCTET_ARRAY: u8 = 0;
const UNSIGNED8: u8 = 1;
const UNSIGNED16: u8 = 2;
const UNSIGNED32: u8 = 3;
const UNSIGNED64: u8 = 4;
const DATE_TIME_NANOSECONDS: u8 = 17;

const DEFAULT: u8 = 0;
const TOTAL_COUNTER: u8 = 2;
const IDENTIFIER: u8 = 4;
const FLAGS: u8 = 5;

const FLOWS: u16 = 4;

const fn info(element: Element, name: &'static str, data_type: u8, semantics: u8, units: u16) -> TypeInfo {
    TypeInfo { element, name, data_type, semantics, units }
}

/// Our own elements.
pub const OURS: [TypeInfo; 15] = [
    info(MARK, "conntrackMark", UNSIGNED32, IDENTIFIER, 0),
    info(LABELS, "conntrackLabels", OCTET_ARRAY, FLAGS, 0),
    info(STATUS, "conntrackStatus", UNSIGNED32, FLAGS, 0),
    info(ZONE, "conntrackZone", UNSIGNED16, IDENTIFIER, 0),
    info(STATE, "conntrackProtocolState", UNSIGNED8, IDENTIFIER, 0),
    info(RECORD_SEQ, "ledgerRecordSequence", UNSIGNED64, IDENTIFIER, 0),
    info(RECORD_NO, "ledgerRecordOfFlow", UNSIGNED32, IDENTIFIER, 0),
    info(END_AFTER, "ledgerFlowEndAfter", DATE_TIME_NANOSECONDS, DEFAULT, 0),
    info(GAP_CAUSE, "ledgerGapCause", UNSIGNED8, IDENTIFIER, 0),
    info(GAP_LOST, "ledgerGapEventsLost", UNSIGNED64, DEFAULT, 0),
    info(GAP_AFTER, "ledgerGapAfter", DATE_TIME_NANOSECONDS, DEFAULT, 0),
    info(GAP_BEFORE, "ledgerGapBefore", DATE_TIME_NANOSECONDS, DEFAULT, 0),
    info(GAP_ALIVE, "ledgerGapFlowsAlive", UNSIGNED64, DEFAULT, FLOWS),
    info(GAP_ENDED, "ledgerGapFlowsEnded", UNSIGNED64, DEFAULT, FLOWS),
    info(EVENTS_LOST, "ledgerEventsLostTotal", UNSIGNED64, TOTAL_COUNTER, 0),
];
