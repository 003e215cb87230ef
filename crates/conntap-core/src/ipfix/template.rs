//! Fields of records, said once: the same function that writes a record makes its template.

use std::net::IpAddr;

use super::elements::Element;

/// What fields are put into: a record's bytes, or a template.
pub trait Put {
    fn bytes<const N: usize>(&mut self, element: Element, value: [u8; N]);
    /// A field of variable length, at most [`MAX_TEXT`] bytes of it.
    fn text(&mut self, element: Element, value: &[u8]);

    #[inline]
    fn u8(&mut self, element: Element, value: u8) {
        self.bytes(element, [value]);
    }
    #[inline]
    fn u16(&mut self, element: Element, value: u16) {
        self.bytes(element, value.to_be_bytes());
    }
    #[inline]
    fn u32(&mut self, element: Element, value: u32) {
        self.bytes(element, value.to_be_bytes());
    }
    #[inline]
    fn u64(&mut self, element: Element, value: u64) {
        self.bytes(element, value.to_be_bytes());
    }
    /// An address of the family that the template has.
    #[inline]
    fn address(&mut self, v6: bool, elements: (Element, Element), value: Option<IpAddr>) {
        match (v6, value) {
            (false, Some(IpAddr::V4(address))) => self.bytes(elements.0, address.octets()),
            (true, Some(IpAddr::V6(address))) => self.bytes(elements.1, address.octets()),
            (false, _) => self.bytes(elements.0, [0; 4]), // templates only: a shape follows from the addresses
            (true, _) => self.bytes(elements.1, [0; 16]),
        }
    }
}

/// Of a text of variable length no more is sent, so that every record fits the smallest message.
pub const MAX_TEXT: usize = 64;

/// Length in a template of a field whose records say how long it is.
pub const VARIABLE: u16 = u16::MAX;

impl Put for Vec<u8> {
    #[inline]
    fn bytes<const N: usize>(&mut self, _: Element, value: [u8; N]) {
        self.extend_from_slice(&value);
    }
    #[inline]
    fn text(&mut self, _: Element, value: &[u8]) {
        let value = value.get(..MAX_TEXT).unwrap_or(value);
        self.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        self.extend_from_slice(value);
    }
}

/// The field specifiers of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(Element, u16)>);

impl Fields {
    /// The fields that `put` puts.
    pub fn of(put: impl FnOnce(&mut Self)) -> Self {
        let mut fields = Self::default();
        put(&mut fields);
        fields
    }

    #[must_use]
    pub fn all(&self) -> &[(Element, u16)] {
        &self.0
    }

    fn count(&self) -> u16 {
        u16::try_from(self.0.len()).unwrap_or(u16::MAX)
    }

    /// Write the template record; `scope`: of an options template, how many of the fields are its scope.
    pub fn write(&self, id: u16, scope: Option<u16>, out: &mut Vec<u8>) {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&self.count().to_be_bytes());
        if let Some(scope) = scope {
            out.extend_from_slice(&scope.to_be_bytes());
        }
        for (element, length) in &self.0 {
            let ours = if element.enterprise == 0 { 0 } else { 0x8000 };
            out.extend_from_slice(&(element.number | ours).to_be_bytes());
            out.extend_from_slice(&length.to_be_bytes());
            if element.enterprise != 0 {
                out.extend_from_slice(&element.enterprise.to_be_bytes());
            }
        }
    }
}

impl Put for Fields {
    fn bytes<const N: usize>(&mut self, element: Element, _: [u8; N]) {
        self.0.push((element, u16::try_from(N).unwrap_or(VARIABLE)));
    }
    fn text(&mut self, element: Element, _: &[u8]) {
        self.0.push((element, VARIABLE));
    }
}
