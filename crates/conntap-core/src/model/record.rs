//! What the ledger adds to a flow: its number, identity, and how its times and its end are known.
//!
//! A record travels as any other row does: the flow's own attributes and one of ours behind them. The kernel has no
//! subsystem 127 and no attributes of these numbers.

use crate::wire::constants::{CTA_RECORD, CTA_RECORD_DOMAIN, CTA_RECORD_ELEMENTS, CTA_RECORD_EXPORTER};
use crate::wire::{Attr, DecodeError, Writer};

/// How a time is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum From {
    /// Not at all.
    #[default]
    Nothing = 0,
    /// The kernel's flow timestamp (nf_conntrack_timestamp).
    Kernel = 1,
    /// The kernel's event timestamp (Linux 6.14).
    Event = 2,
    /// When the event was received.
    Received = 3,
    /// First or last seen in a dump: the flow is older than that, or ended at some time up to this.
    Seen = 4,
    /// Another exporter said so.
    Exporter = 5,
}

impl From {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Nothing, ""),
        (Self::Kernel, "kernel"),
        (Self::Event, "event"),
        (Self::Received, "received"),
        (Self::Seen, "seen"),
        (Self::Exporter, "exporter"),
    ];

    /// Its name; None for [`Self::Nothing`].
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Self::ALL.iter().find(|(known, name)| *known == self && !name.is_empty()).map(|(_, name)| *name)
    }

    fn of(number: u8) -> Self {
        Self::ALL.iter().map(|(known, _)| *known).find(|known| *known as u8 == number).unwrap_or_default()
    }
}

/// Why a record was made: the numbers of flowEndReason (IPFIX element 136).
pub mod end_reason {
    /// Nobody saw it end.
    pub const UNKNOWN: u8 = 0;
    pub const IDLE_TIMEOUT: u8 = 1;
    /// It goes on: an interim record.
    pub const ACTIVE_TIMEOUT: u8 = 2;
    pub const END_DETECTED: u8 = 3;
    pub const FORCED_END: u8 = 4;
    pub const LACK_OF_RESOURCES: u8 = 5;

    /// Names by number.
    pub const NAMES: [&str; 6] =
        ["unknown", "idle_timeout", "active_timeout", "end_detected", "forced_end", "lack_of_resources"];
}

/// The ledger's part of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// Counts the records of a ledger from 1, without holes.
    pub seq: u64,
    /// The same in every record of a flow, and in no other flow's.
    pub flow_id: u64,
    /// 0 in a flow's first record.
    pub record_no: u32,
    /// A number of [`end_reason`]; None where nothing ended.
    pub end_reason: Option<u8>,
    pub start_from: From,
    pub stop_from: From,
    /// The end was not seen: it lies between this and `stop_ns`.
    pub stop_after_ns: Option<i64>,
    /// What earlier records of this flow told already: packets and bytes of original and reply direction.
    pub prior: Option<[u64; 4]>,
    /// Who sent it, where that was another exporter.
    pub exporter: Option<&'a [u8]>,
    /// Its observation domain.
    pub domain: Option<u32>,
    /// Information elements without a field: a JSON object.
    pub elements: Option<&'a [u8]>,
}

const NONE: u8 = u8::MAX;
const SHORT: usize = 32;

impl<'a> Record<'a> {
    /// Take in one attribute; false when it is none of a record's.
    pub(super) fn decode(found: &mut Option<Self>, attr: &Attr<'a>) -> Result<bool, DecodeError> {
        match attr.kind {
            CTA_RECORD => {
                let bad = DecodeError::BadValue { attribute: attr.kind };
                let (head, rest) = attr.payload.split_first_chunk::<SHORT>().ok_or(bad)?;
                let word = |at: usize| {
                    let bytes = head.get(at..).and_then(|rest| rest.first_chunk::<8>());
                    bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes))
                };
                let byte = |at: usize| head.get(at).copied().unwrap_or_default();
                let record = found.get_or_insert_default();
                record.seq = word(0);
                record.flow_id = word(8);
                record.record_no = u32::try_from(word(16) >> 32).unwrap_or_default();
                record.end_reason = Some(byte(20)).filter(|reason| *reason != NONE);
                record.start_from = From::of(byte(21));
                record.stop_from = From::of(byte(22));
                record.stop_after_ns = Some(i64::from_be_bytes(word(24).to_be_bytes())).filter(|time| *time != 0);
                record.prior = match rest.as_chunks::<8>() {
                    ([a, b, c, d], []) => Some([*a, *b, *c, *d].map(u64::from_be_bytes)),
                    ([], []) => None,
                    _ => return Err(bad),
                };
            }
            CTA_RECORD_EXPORTER => found.get_or_insert_default().exporter = Some(attr.text()),
            CTA_RECORD_DOMAIN => found.get_or_insert_default().domain = Some(attr.be32()?),
            CTA_RECORD_ELEMENTS => found.get_or_insert_default().elements = Some(attr.payload),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Append it to a message.
    #[inline]
    pub fn write(&self, writer: &mut Writer) {
        let mut bytes = [0_u8; SHORT + 32];
        let mut put = |at: usize, value: u64| {
            if let Some(field) = bytes.get_mut(at..at.saturating_add(8)) {
                field.copy_from_slice(&value.to_be_bytes());
            }
        };
        let [n0, n1, n2, n3] = self.record_no.to_be_bytes();
        let reason = self.end_reason.unwrap_or(NONE);
        put(0, self.seq);
        put(8, self.flow_id);
        put(16, u64::from_be_bytes([n0, n1, n2, n3, reason, self.start_from as u8, self.stop_from as u8, 0]));
        put(24, u64::from_be_bytes(self.stop_after_ns.unwrap_or_default().to_be_bytes()));
        let mut len = SHORT;
        if let Some(prior) = self.prior {
            for value in prior {
                put(len, value);
                len = len.saturating_add(8);
            }
        }
        writer.attr(CTA_RECORD, bytes.get(..len).unwrap_or_default());
        if let Some(exporter) = self.exporter {
            writer.text(CTA_RECORD_EXPORTER, exporter);
        }
        if let Some(domain) = self.domain {
            writer.be32(CTA_RECORD_DOMAIN, domain);
        }
        if let Some(elements) = self.elements {
            writer.attr(CTA_RECORD_ELEMENTS, elements);
        }
    }
}
