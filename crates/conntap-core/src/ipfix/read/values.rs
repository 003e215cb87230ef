//! What one data record says, by meaning; elements without one are collected as JSON.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::element::{Address, Field, IANA, NETFLOW9_SCOPE, Number};
use super::template::Template;

/// A row has room for so many bytes of other elements, as JSON.
const MAX_OTHERS: usize = 60_000;
/// The kernel's own limit for a helper's name (NF_CT_HELPER_NAME_LEN, with its NUL).
const MAX_NAME: usize = 15;

/// A record's values. Used again for the next one.
#[derive(Debug)]
pub struct Values {
    present: u128,
    numbers: [u64; Number::COUNT],
    addressed: u16,
    addresses: [IpAddr; Address::COUNT],
    application: Vec<u8>,
    labels: Vec<u8>,
    /// conntap's own exporter wrote it.
    pub ours: bool,
    /// JSON members of elements without a meaning, each with a comma or brace in front.
    others: Vec<u8>,
    /// Elements that did not fit.
    pub dropped: u64,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            present: 0,
            numbers: [0; Number::COUNT],
            addressed: 0,
            addresses: [IpAddr::V4(Ipv4Addr::UNSPECIFIED); Address::COUNT],
            application: Vec::new(),
            labels: Vec::new(),
            ours: false,
            others: Vec::new(),
            dropped: 0,
        }
    }
}

impl Values {
    /// Read the record at the front of `bytes`; returns what is behind it, None where it is cut.
    #[inline]
    pub fn read<'a>(&mut self, template: &Template, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.present = 0;
        self.addressed = 0;
        self.ours = template.ours;
        self.application.clear();
        self.labels.clear();
        self.others.clear();
        let mut rest = bytes;
        for spec in &template.specs {
            let value;
            (value, rest) = spec.take(rest)?;
            let kept = match spec.field {
                Field::Number(field) => self.number(field, value),
                Field::Address(field) => self.address(field, value),
                Field::Application => self.name(value),
                Field::Labels => self.labels(value),
                Field::Padding => true,
                Field::Other => spec.enterprise == NETFLOW9_SCOPE,
            };
            if !kept {
                self.other(spec.enterprise, spec.number, spec.repeat, value);
            }
        }
        Some(rest)
    }

    /// Keep a number; false where it says more than its field can hold.
    #[inline]
    fn number(&mut self, field: Number, bytes: &[u8]) -> bool {
        let value = bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        if let Some(place) = self.numbers.get_mut(field as usize) {
            *place = value;
            self.present |= 1 << field as usize;
        }
        match field {
            Number::Zone => value <= u64::from(u16::MAX),
            Number::BiflowDirection => value == 1,
            Number::NatEvent => matches!(value, 1 | 2 | 4..=7),
            Number::NatType => self.ours, // the tuples say it
            Number::FirewallEvent => matches!(value, 1 | 2 | 5),
            _ => true,
        }
    }

    #[inline]
    fn address(&mut self, field: Address, bytes: &[u8]) -> bool {
        let address: IpAddr = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
            (Ok(bytes), _) => Ipv4Addr::from(bytes).into(),
            (_, Ok(bytes)) => Ipv6Addr::from(bytes).into(),
            _ => return false,
        };
        if let Some(place) = self.addresses.get_mut(field as usize) {
            *place = address;
            self.addressed |= 1 << field as usize;
        }
        true
    }

    fn name(&mut self, bytes: &[u8]) -> bool {
        let padding = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        let name = bytes.get(..bytes.len().saturating_sub(padding)).unwrap_or_default();
        let plain = !name.is_empty() && name.len() <= MAX_NAME && name.iter().all(u8::is_ascii_graphic);
        if plain {
            self.application.extend_from_slice(name);
        }
        plain || name.is_empty()
    }

    fn labels(&mut self, bytes: &[u8]) -> bool {
        self.labels.extend_from_slice(bytes.get(..bytes.len().min(16)).unwrap_or_default());
        bytes.len() <= 16
    }

    /// Keep an element by number: `"number"`, `"enterprise.number"`, and behind `#` which one it is where it comes again.
    fn other(&mut self, enterprise: u32, number: u16, repeat: u16, bytes: &[u8]) {
        let start = self.others.len();
        if start.saturating_add(bytes.len().saturating_mul(2)).saturating_add(32) > MAX_OTHERS {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.others.extend_from_slice(if start == 0 { b"{\"" } else { b",\"" });
        if enterprise != IANA {
            crate::text::bytes::decimal(&mut self.others, enterprise.into());
            self.others.push(b'.');
        }
        crate::text::bytes::decimal(&mut self.others, number.into());
        if repeat > 0 {
            self.others.push(b'#');
            crate::text::bytes::decimal(&mut self.others, u64::from(repeat).saturating_add(1));
        }
        self.others.extend_from_slice(b"\":\"");
        for byte in bytes {
            self.others.extend([byte >> 4, byte & 15].map(|digit| {
                let first = if digit < 10 { b'0' } else { b'a'.wrapping_sub(10) };
                first.wrapping_add(digit)
            }));
        }
        self.others.push(b'"');
    }

    /// The value of a number; None where the record has none.
    #[inline]
    pub fn get(&self, field: Number) -> Option<u64> {
        (self.present & (1 << field as usize) != 0).then(|| self.numbers.get(field as usize).copied()).flatten()
    }

    /// The same, of a number that has at most 16 bits.
    #[inline]
    pub fn get_u16(&self, field: Number) -> Option<u16> {
        self.get(field).and_then(|value| u16::try_from(value).ok())
    }

    /// An address; None where the record has none, or the unspecified one, which exporters write for none.
    #[inline]
    pub fn address_of(&self, field: Address) -> Option<IpAddr> {
        (self.addressed & (1 << field as usize) != 0)
            .then(|| self.addresses.get(field as usize).copied())
            .flatten()
            .filter(|address| !address.is_unspecified())
    }

    /// Has it any address of a flow?
    #[must_use]
    pub fn has_ends(&self) -> bool {
        use Address::*;
        [Source4, Destination4, Source6, Destination6].iter().any(|field| self.addressed & (1 << *field as usize) != 0)
    }

    /// The application's name; None where it has none.
    #[must_use]
    pub fn application(&self) -> Option<&[u8]> {
        Some(self.application.as_slice()).filter(|name| !name.is_empty())
    }

    /// The labels' bits; None where the record has none.
    #[must_use]
    pub fn labels_of(&self) -> Option<&[u8]> {
        Some(self.labels.as_slice()).filter(|labels| labels.iter().any(|byte| *byte != 0))
    }

    /// End the list of other elements: see [`Self::others`].
    pub fn close_others(&mut self) {
        if !self.others.is_empty() {
            self.others.push(b'}');
        }
    }

    /// The other elements as a JSON object, behind [`Self::close_others`]; None where there are none.
    #[must_use]
    pub fn others(&self) -> Option<&[u8]> {
        Some(self.others.as_slice()).filter(|others| !others.is_empty())
    }
}
