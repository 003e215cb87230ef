//! Integers in the byte order of the file, and the options behind a block's fixed part.

use super::OPT_END;

/// The byte order of a section or file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) const NATIVE: Self = if cfg!(target_endian = "little") { Self::Little } else { Self::Big };

    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let value = *bytes.get(at..)?.first_chunk::<2>()?;
        Some(if self == Self::Little { u16::from_le_bytes(value) } else { u16::from_be_bytes(value) })
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let value = *bytes.get(at..)?.first_chunk::<4>()?;
        Some(if self == Self::Little { u32::from_le_bytes(value) } else { u32::from_be_bytes(value) })
    }

    pub(super) fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let value = *bytes.get(at..)?.first_chunk::<8>()?;
        Some(if self == Self::Little { u64::from_le_bytes(value) } else { u64::from_be_bytes(value) })
    }

    /// A timestamp: high half first, each half in the file's order.
    pub(super) fn halves(self, bytes: &[u8], at: usize) -> Option<u64> {
        let (high, low) = (self.u32(bytes, at)?, self.u32(bytes, at.checked_add(4)?)?);
        Some(u64::from(high).wrapping_shl(32) | u64::from(low))
    }

    /// A length that is used as an index.
    pub(super) fn size(self, bytes: &[u8], at: usize) -> Option<usize> {
        self.u32(bytes, at).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
    }
}

/// A walk over options: code and value. A broken length ends the walk: options never decide where a block ends.
#[derive(Clone, Debug)]
pub(super) struct OptionsOf<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> OptionsOf<'a> {
    pub(super) fn new(order: Order, bytes: &'a [u8]) -> Self {
        Self { order, rest: bytes }
    }
}

impl<'a> Iterator for OptionsOf<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        let (code, len) = (self.order.u16(rest, 0)?, usize::from(self.order.u16(rest, 2)?));
        if code == OPT_END {
            return None;
        }
        let value = rest.get(4..len.checked_add(4)?)?;
        self.rest = rest.get(len.next_multiple_of(4).checked_add(4)?..).unwrap_or_default();
        Some((code, value))
    }
}
