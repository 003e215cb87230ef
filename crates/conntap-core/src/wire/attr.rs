//! Netlink attributes: a checked walk, and scalar readers.

use super::DecodeError;
use super::constants::NLA_TYPE_MASK;

/// One attribute: its number without flag bits, and its payload without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr<'a> {
    pub kind: u16,
    pub payload: &'a [u8],
}

impl<'a> Attr<'a> {
    /// The attributes inside this one.
    #[must_use]
    pub fn nested(&self) -> Attrs<'a> {
        Attrs::new(self.payload)
    }

    fn head<const N: usize>(&self) -> Result<[u8; N], DecodeError> {
        // Longer scalars are accepted, first bytes used, as the kernel itself does.
        self.payload.first_chunk::<N>().copied().ok_or(DecodeError::ShortValue {
            attribute: self.kind,
            need: N,
            have: self.payload.len(),
        })
    }

    pub fn u8(&self) -> Result<u8, DecodeError> {
        self.head::<1>().map(u8::from_be_bytes)
    }

    pub fn be16(&self) -> Result<u16, DecodeError> {
        self.head::<2>().map(u16::from_be_bytes)
    }

    pub fn be32(&self) -> Result<u32, DecodeError> {
        self.head::<4>().map(u32::from_be_bytes)
    }

    /// A host-order integer (CTA_FILTER flags, extended-ack offsets).
    pub fn host32(&self) -> Result<u32, DecodeError> {
        self.head::<4>().map(u32::from_ne_bytes)
    }

    pub fn be64(&self) -> Result<u64, DecodeError> {
        self.head::<8>().map(u64::from_be_bytes)
    }

    pub fn ipv4(&self) -> Result<[u8; 4], DecodeError> {
        self.head::<4>()
    }

    pub fn ipv6(&self) -> Result<[u8; 16], DecodeError> {
        self.head::<16>()
    }

    /// Two bytes: value and mask (TCP flags).
    pub fn pair(&self) -> Result<(u8, u8), DecodeError> {
        self.head::<2>().map(|[value, mask]| (value, mask))
    }

    /// A text without its NUL, which may be missing.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.payload.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// A walk over attributes. An error is given once and ends the walk.
#[derive(Clone, Debug)]
pub struct Attrs<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Attrs<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Result<Attr<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (rest, at) = (std::mem::take(&mut self.rest), self.at); // taken: an error ends the walk
        if rest.is_empty() {
            return None;
        }
        let Some(([l0, l1, k0, k1], _)) = rest.split_first_chunk::<4>() else {
            return Some(Err(DecodeError::Truncated { at, need: 4, have: rest.len() }));
        };
        let len = usize::from(u16::from_ne_bytes([*l0, *l1]));
        let Some(payload) = rest.get(4..len) else {
            return Some(Err(DecodeError::BadLength { at, len, have: rest.len() }));
        };
        let step = len.next_multiple_of(4);
        self.rest = rest.get(step..).unwrap_or_default(); // the last attribute may lack its padding
        self.at = at.saturating_add(step);
        Some(Ok(Attr { kind: u16::from_ne_bytes([*k0, *k1]) & NLA_TYPE_MASK, payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_below_the_header_ends_the_walk_with_one_error() {
        let mut walk = Attrs::new(&[3, 0, 1, 0, 9, 9, 9, 9]);
        assert!(matches!(walk.next(), Some(Err(DecodeError::BadLength { len: 3, .. }))));
        assert!(walk.next().is_none());
    }

    #[test]
    fn the_last_attribute_may_lack_its_padding() {
        let attrs: Vec<_> = Attrs::new(&[5, 0, 1, 0, 7]).map(Result::unwrap).collect();
        assert_eq!(attrs, [Attr { kind: 1, payload: &[7] }]);
    }

    #[test]
    fn flag_bits_are_masked_off() {
        let attr = Attrs::new(&[4, 0, 1, 0x80]).next().unwrap().unwrap();
        assert_eq!(attr.kind, 1);
    }
}
