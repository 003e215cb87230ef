//! Netlink and nfnetlink framing: one datagram holds one or more messages.

use super::constants::{NFGENMSG_LEN, NLMSG_HDRLEN};
use super::{Attrs, DecodeError};

/// A netlink message: header fields and everything behind the 16-byte header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Subsystem × 256 + message number; values below 0x10 are control messages.
    pub kind: u16,
    pub flags: u16,
    pub seq: u32,
    /// Port id: of the requester that caused an event, 0 for packets and timers.
    pub port: u32,
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Read the one message at the start of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match Messages::new(bytes).next() {
            Some(found) => found.map(|(_, message)| message),
            None => Err(DecodeError::Truncated { at: 0, need: NLMSG_HDRLEN, have: 0 }),
        }
    }

    /// nfgenmsg's family, version and res_id (big-endian).
    pub fn nfgen(&self) -> Result<(u8, u8, u16), DecodeError> {
        match self.body.first_chunk::<NFGENMSG_LEN>() {
            Some([family, version, hi, lo]) => Ok((*family, *version, u16::from_be_bytes([*hi, *lo]))),
            None => Err(DecodeError::Truncated { at: NLMSG_HDRLEN, need: NFGENMSG_LEN, have: self.body.len() }),
        }
    }

    /// The attributes behind nfgenmsg.
    #[must_use]
    pub fn attrs(&self) -> Attrs<'a> {
        Attrs::new(self.attr_bytes())
    }

    /// The bytes of [`Self::attrs`].
    #[must_use]
    pub fn attr_bytes(&self) -> &'a [u8] {
        self.body.get(NFGENMSG_LEN..).unwrap_or_default()
    }
}

/// A walk over the messages of a datagram: offset and message. An error is given once and ends the walk.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Messages<'a> {
    #[must_use]
    pub fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram, at: 0 }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<(usize, Message<'a>), DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (rest, at) = (std::mem::take(&mut self.rest), self.at);
        if rest.is_empty() {
            return None;
        }
        let Some((head, _)) = rest.split_first_chunk::<NLMSG_HDRLEN>() else {
            return Some(Err(DecodeError::Truncated { at, need: NLMSG_HDRLEN, have: rest.len() }));
        };
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, p0, p1, p2, p3] = *head;
        let len = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let Some(body) = rest.get(NLMSG_HDRLEN..len) else {
            return Some(Err(DecodeError::BadLength { at, len, have: rest.len() }));
        };
        let step = len.next_multiple_of(4);
        self.rest = rest.get(step..).unwrap_or_default();
        self.at = at.saturating_add(step);
        let message = Message {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            seq: u32::from_ne_bytes([s0, s1, s2, s3]),
            port: u32::from_ne_bytes([p0, p1, p2, p3]),
            body,
        };
        Some(Ok((at, message)))
    }
}
