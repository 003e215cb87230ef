//! Requests to the kernel, as messages ready to send.

use super::{Expectation, Flow, Tuple};
use crate::wire::Writer;
use crate::wire::constants::*;

/// Which table a dump reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Flows,
    /// Flows, zeroing their counters as they are read.
    FlowsZero,
    /// Flows that wait for the delivery of their DESTROY event.
    Dying,
    /// Always empty since 5.19.
    Unconfirmed,
    Expectations,
    StatsCpu,
    StatsExpect,
}

impl Table {
    fn message(self) -> u16 {
        match self {
            Self::Flows => CT_GET,
            Self::FlowsZero => CT_GET_CTRZERO,
            Self::Dying => CT_GET_DYING,
            Self::Unconfirmed => CT_GET_UNCONFIRMED,
            Self::Expectations => EXP_GET,
            Self::StatsCpu => CT_GET_STATS_CPU,
            Self::StatsExpect => EXP_GET_STATS_CPU,
        }
    }
}

/// A dump request. `criteria` holds the kernel-side filter: mark, status, zone, CTA_FILTER with tuples.
#[must_use]
pub fn dump(table: Table, criteria: &Flow<'_>, seq: u32) -> Vec<u8> {
    let flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut writer = Writer::new(table.message(), flags, seq, 0, criteria.family, 0, 0);
    criteria.write(&mut writer);
    writer.finish()
}

/// A dump of one master's expectations.
///
/// A master without a helper extension gets no DONE at all (seen on 6.18): the ACK flag makes the kernel say
/// something that ends the wait.
#[must_use]
pub fn dump_expectations_of(master: &Tuple, family: u8, zone: Option<u16>, seq: u32) -> Vec<u8> {
    let flags = NLM_F_REQUEST | NLM_F_DUMP | NLM_F_ACK;
    let mut writer = Writer::new(EXP_GET, flags, seq, 0, family, 0, 0);
    master.write(&mut writer, CTA_EXPECT_MASTER);
    if let Some(zone) = zone {
        writer.be16(CTA_EXPECT_ZONE, zone);
    }
    writer.finish()
}

/// A request about one flow: `kind` is CT_NEW, CT_GET or CT_DELETE; `flags` beside REQUEST.
#[must_use]
pub fn flow(kind: u16, flags: u16, flow: &Flow<'_>, seq: u32) -> Vec<u8> {
    let mut writer = Writer::new(kind, NLM_F_REQUEST | flags, seq, 0, flow.family, 0, 0);
    flow.write(&mut writer);
    writer.finish()
}

/// A request about one expectation: `kind` is EXP_NEW, EXP_GET or EXP_DELETE; `flags` beside REQUEST.
#[must_use]
pub fn expectation(kind: u16, flags: u16, expectation: &Expectation<'_>, seq: u32) -> Vec<u8> {
    let mut writer = Writer::new(kind, NLM_F_REQUEST | flags, seq, 0, expectation.family, 0, 0);
    expectation.write(&mut writer);
    writer.finish()
}

/// Empty the flow table: everything (`family` 0), or one family.
///
/// Version 1 makes the kernel respect the family (4.20 and later); version 0 flushes all of them.
#[must_use]
pub fn flush(family: u8, seq: u32) -> Vec<u8> {
    let version = u8::from(family != AF_UNSPEC);
    Writer::new(CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, seq, 0, family, version, 0).finish()
}

/// Empty the expectation table. The kernel ignores family and zone here.
#[must_use]
pub fn flush_expectations(seq: u32) -> Vec<u8> {
    Writer::new(EXP_DELETE, NLM_F_REQUEST | NLM_F_ACK, seq, 0, AF_UNSPEC, 0, 0).finish()
}

/// Ask for the number of entries and the limit. The answer has no end of its own: the acknowledgement ends it.
#[must_use]
pub fn stats_global(seq: u32) -> Vec<u8> {
    Writer::new(CT_GET_STATS, NLM_F_REQUEST | NLM_F_ACK, seq, 0, AF_UNSPEC, 0, 0).finish()
}
