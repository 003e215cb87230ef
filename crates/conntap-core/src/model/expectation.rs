//! One expectation: a connection that a helper has announced (CTA_EXPECT_*).

use super::{Tuple, Unknowns};
use crate::wire::constants::*;
use crate::wire::{Attr, DecodeError, Message, Writer};

/// An expectation.
///
/// Source: net/netfilter/nf_conntrack_netlink.c, `ctnetlink_exp_dump_expect`.
#[derive(Clone, Debug, Default)]
pub struct Expectation<'a> {
    pub family: u8,
    /// Original tuple of the flow whose helper made it.
    pub master: Tuple,
    /// The connection that is expected.
    pub tuple: Tuple,
    /// Which bits of `tuple` count: all ones = exact, zero = any. Only the source mask is the helper's choice.
    pub mask: Tuple,
    /// Remaining seconds.
    pub timeout: Option<u32>,
    pub id: Option<u32>,
    pub helper: Option<&'a [u8]>,
    /// Requests only.
    pub zone: Option<u16>,
    /// NF_CT_EXPECT_*: PERMANENT 1, INACTIVE 2, USERSPACE 4.
    pub flags: Option<u32>,
    /// Index into the helper's policies.
    pub class: Option<u32>,
    /// NAT: 0 original, 1 reply direction.
    pub nat_dir: Option<u32>,
    /// Original source address and port before NAT.
    pub nat_tuple: Option<Tuple>,
    /// Name of the kernel function that treats the child (`nat-follow-master` …).
    pub function: Option<&'a [u8]>,
    /// There are attributes that this version does not know: see [`Expectation::unknown`].
    pub has_unknown: bool,
    /// The attributes as received, for [`Expectation::unknown`]; empty in values made by hand.
    pub raw: &'a [u8],
}

impl<'a> Expectation<'a> {
    /// Read an expectation message.
    pub fn decode(message: &Message<'a>) -> Result<Self, DecodeError> {
        let (family, _, _) = message.nfgen()?;
        let mut expectation = Self { family, raw: message.attr_bytes(), ..Self::default() };
        for attr in message.attrs() {
            expectation.decode_attr(&attr?)?;
        }
        Ok(expectation)
    }

    fn decode_attr(&mut self, attr: &Attr<'a>) -> Result<(), DecodeError> {
        match attr.kind {
            CTA_EXPECT_MASTER => self.master = Tuple::decode(attr, &mut self.has_unknown)?,
            CTA_EXPECT_TUPLE => self.tuple = Tuple::decode(attr, &mut self.has_unknown)?,
            CTA_EXPECT_MASK => self.mask = Tuple::decode(attr, &mut self.has_unknown)?,
            CTA_EXPECT_TIMEOUT => self.timeout = Some(attr.be32()?),
            CTA_EXPECT_ID => self.id = Some(attr.be32()?),
            CTA_EXPECT_HELP_NAME => self.helper = Some(attr.text()),
            CTA_EXPECT_ZONE => self.zone = Some(attr.be16()?),
            CTA_EXPECT_FLAGS => self.flags = Some(attr.be32()?),
            CTA_EXPECT_CLASS => self.class = Some(attr.be32()?),
            CTA_EXPECT_NAT => {
                for part in attr.nested() {
                    let part = part?;
                    match part.kind {
                        CTA_EXPECT_NAT_DIR => self.nat_dir = Some(part.be32()?),
                        CTA_EXPECT_NAT_TUPLE => self.nat_tuple = Some(Tuple::decode(&part, &mut self.has_unknown)?),
                        _ => self.has_unknown = true,
                    }
                }
            }
            CTA_EXPECT_FN => self.function = Some(attr.text()),
            _ => self.has_unknown = true, // kept: see `unknown`
        }
        Ok(())
    }

    /// Attributes that this version does not know, at any depth, with their numbers.
    #[must_use]
    pub fn unknown(&self) -> Unknowns<'a> {
        Unknowns::expectation(self.raw)
    }

    /// True when any host may use it: the source address is masked out.
    #[must_use]
    pub fn any_source(&self) -> bool {
        match self.mask.src {
            Some(mask) => mask.is_unspecified(),
            None => self.tuple.src.is_none_or(|src| src.is_unspecified()),
        }
    }

    /// Write every field that is set; top-level unknown attributes are written as they came.
    pub fn write(&self, writer: &mut Writer) {
        for (kind, tuple) in
            [(CTA_EXPECT_TUPLE, &self.tuple), (CTA_EXPECT_MASK, &self.mask), (CTA_EXPECT_MASTER, &self.master)]
        {
            if !tuple.is_empty() {
                tuple.write(writer, kind);
            }
        }
        if self.nat_dir.is_some() || self.nat_tuple.is_some() {
            writer.nest(CTA_EXPECT_NAT, |writer| {
                if let Some(dir) = self.nat_dir {
                    writer.be32(CTA_EXPECT_NAT_DIR, dir);
                }
                if let Some(tuple) = &self.nat_tuple {
                    tuple.write(writer, CTA_EXPECT_NAT_TUPLE);
                }
            });
        }
        for (kind, value) in [
            (CTA_EXPECT_TIMEOUT, self.timeout),
            (CTA_EXPECT_ID, self.id),
            (CTA_EXPECT_FLAGS, self.flags),
            (CTA_EXPECT_CLASS, self.class),
        ] {
            if let Some(value) = value {
                writer.be32(kind, value);
            }
        }
        if let Some(helper) = self.helper {
            writer.text(CTA_EXPECT_HELP_NAME, helper);
        }
        if let Some(function) = self.function {
            writer.text(CTA_EXPECT_FN, function);
        }
        if let Some(zone) = self.zone {
            writer.be16(CTA_EXPECT_ZONE, zone);
        }
        for unknown in self.unknown() {
            if let [number] = unknown.path() {
                writer.attr(*number, unknown.payload);
            }
        }
    }
}
