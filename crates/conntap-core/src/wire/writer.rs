//! Writes one netlink message: header, nfgenmsg, attributes, nests.

use super::constants::{NFGENMSG_LEN, NLA_F_NESTED, NLMSG_HDRLEN};

/// The longest payload whose attribute length still fits 16 bits.
const MAX_PAYLOAD: usize = 65_531;

/// Room for a usual message, so that the memory does not grow attribute by attribute.
const USUAL_LEN: usize = 384;

/// A netlink message in the making. Lengths are patched when a nest or the message ends.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    /// Where this message begins: others may stand before it.
    start: usize,
}

impl Writer {
    /// Begin a message to a netfilter subsystem; `res_id` is sent big-endian.
    #[must_use]
    pub fn new(kind: u16, flags: u16, seq: u32, port: u32, family: u8, version: u8, res_id: u16) -> Self {
        let mut writer = Self::control(kind, flags, seq, port);
        writer.bytes.extend_from_slice(&[family, version]);
        writer.bytes.extend_from_slice(&res_id.to_be_bytes());
        writer
    }

    /// Begin a message behind others, in the memory that holds them (aligned to 4 bytes).
    #[must_use]
    pub fn behind(bytes: Vec<u8>, kind: u16, flags: u16, family: u8) -> Self {
        let start = bytes.len();
        let mut writer = Self { bytes, start };
        writer.bytes.reserve(USUAL_LEN);
        writer.header(kind, flags, 0, 0);
        writer.bytes.extend_from_slice(&[family, 0, 0, 0]);
        writer
    }

    /// Begin a control message: no nfgenmsg.
    #[must_use]
    pub fn control(kind: u16, flags: u16, seq: u32, port: u32) -> Self {
        let mut writer = Self { bytes: Vec::with_capacity(256), start: 0 };
        writer.header(kind, flags, seq, port);
        writer
    }

    fn header(&mut self, kind: u16, flags: u16, seq: u32, port: u32) {
        let ([k0, k1], [f0, f1]) = (kind.to_ne_bytes(), flags.to_ne_bytes());
        let ([s0, s1, s2, s3], [p0, p1, p2, p3]) = (seq.to_ne_bytes(), port.to_ne_bytes());
        self.bytes.extend_from_slice(&[0, 0, 0, 0, k0, k1, f0, f1, s0, s1, s2, s3, p0, p1, p2, p3]);
    }

    /// Append bytes as they are (the body of a control message).
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Append attributes as another message has them.
    pub fn attrs(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.pad();
    }

    /// Append one attribute. A payload too long for an attribute (65,531 bytes) is cut: no caller has one.
    pub fn attr(&mut self, kind: u16, payload: &[u8]) {
        let payload = payload.get(..MAX_PAYLOAD).unwrap_or(payload);
        let len = u16::try_from(payload.len().saturating_add(4)).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        self.pad();
    }

    #[inline]
    pub fn u8(&mut self, kind: u16, value: u8) {
        self.word(5, kind, [value, 0, 0, 0]);
    }

    #[inline]
    pub fn be16(&mut self, kind: u16, value: u16) {
        let [high, low] = value.to_be_bytes();
        self.word(6, kind, [high, low, 0, 0]);
    }

    #[inline]
    pub fn be32(&mut self, kind: u16, value: u32) {
        self.word(8, kind, value.to_be_bytes());
    }

    /// An attribute of up to four bytes, padding included: all at once.
    #[inline]
    fn word(&mut self, len: u16, kind: u16, [a, b, c, d]: [u8; 4]) {
        let ([l0, l1], [k0, k1]) = (len.to_ne_bytes(), kind.to_ne_bytes());
        self.bytes.extend_from_slice(&[l0, l1, k0, k1, a, b, c, d]);
    }

    pub fn host32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_ne_bytes());
    }

    #[inline]
    pub fn be64(&mut self, kind: u16, value: u64) {
        let [k0, k1] = kind.to_ne_bytes();
        let [l0, l1] = 12_u16.to_ne_bytes();
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        self.bytes.extend_from_slice(&[l0, l1, k0, k1, a, b, c, d, e, f, g, h]);
    }

    /// A text with its NUL.
    pub fn text(&mut self, kind: u16, value: &[u8]) {
        let mut bytes = Vec::with_capacity(value.len().saturating_add(1));
        bytes.extend_from_slice(value);
        bytes.push(0);
        self.attr(kind, &bytes);
    }

    /// Append a nest; `fill` writes what is inside.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        fill(self);
        let len = u16::try_from(self.bytes.len().saturating_sub(at)).unwrap_or(u16::MAX);
        if let Some(field) = self.bytes.get_mut(at..at.saturating_add(2)) {
            field.copy_from_slice(&len.to_ne_bytes());
        }
    }

    fn pad(&mut self) {
        let len = self.bytes.len().next_multiple_of(4); // messages begin aligned
        self.bytes.resize(len, 0);
    }

    /// The finished message.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.bytes.len().saturating_sub(self.start)).unwrap_or(u32::MAX);
        if let Some(field) = self.bytes.get_mut(self.start..self.start.saturating_add(4)) {
            field.copy_from_slice(&len.to_ne_bytes());
        }
        self.bytes
    }
}

/// Bytes of a message without any attribute.
pub const EMPTY_LEN: usize = NLMSG_HDRLEN + NFGENMSG_LEN;
