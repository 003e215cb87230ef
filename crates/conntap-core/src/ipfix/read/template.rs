//! Templates: how the records of a set are laid out.

use super::ReadError;
use super::element::{Field, IANA, NETFLOW9_SCOPE, OURS};
use crate::ipfix::ids;

/// The length of a field that says its length itself (RFC 7011 7).
const VARIABLE: u16 = u16::MAX;
/// The first id of a data set, and so of a template.
pub const FIRST_ID: u16 = 256;
/// Fields of one template: more than exporters use, and few enough that a hostile one costs little.
pub const MAX_FIELDS: usize = 1024;

/// One field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    pub enterprise: u32,
    pub number: u16,
    len: u16,
    /// The same element stands so many times before this one.
    pub repeat: u16,
    pub field: Field,
}

/// The layout of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub specs: Box<[Spec]>,
    /// Its records are about the exporter.
    pub options: bool,
    /// conntap's own exporter wrote it.
    pub ours: bool,
    /// No record is shorter.
    pub min_len: usize,
}

/// What a template set holds, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Template(u16, Template),
    /// This template, or with the id of the set all of its kind, will not be used any more.
    Withdrawal(u16),
    /// Sound, but larger than is kept.
    TooLarge(u16),
}

/// In which way templates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Ipfix { options: bool },
    NetFlow9 { options: bool },
}

impl Spec {
    /// Take this field's bytes from the front.
    #[inline]
    pub fn take<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        if self.len != VARIABLE {
            return bytes.split_at_checked(self.len.into());
        }
        let (short, rest) = bytes.split_first()?;
        if *short < u8::MAX {
            return rest.split_at_checked((*short).into());
        }
        let (long, rest) = rest.split_first_chunk::<2>()?;
        rest.split_at_checked(u16::from_be_bytes(*long).into())
    }
}

/// Take a number from the front.
pub fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    let (word, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    Some(u16::from_be_bytes(*word))
}

impl Item {
    /// Read the next one; None at the end of the set (what is left is padding).
    pub fn next(set: &mut &[u8], form: Form) -> Option<Result<Self, ReadError>> {
        if set.len() < 4 || set.iter().all(|byte| *byte == 0) {
            return None;
        }
        let id = take_u16(set)?;
        Some(match form {
            Form::Ipfix { options } => Self::ipfix(set, id, options),
            Form::NetFlow9 { options: false } => Self::netflow9(set, id),
            Form::NetFlow9 { options: true } => Self::netflow9_options(set, id),
        })
    }

    fn ipfix(set: &mut &[u8], id: u16, options: bool) -> Result<Self, ReadError> {
        let bad = ReadError::Template { id };
        let count = usize::from(take_u16(set).ok_or(bad)?);
        if count == 0 {
            let set_id = if options { 3 } else { 2 };
            return if id >= FIRST_ID || id == set_id { Ok(Self::Withdrawal(id)) } else { Err(bad) };
        }
        if options {
            let scopes = take_u16(set).ok_or(bad)?;
            if scopes == 0 || usize::from(scopes) > count {
                return Err(bad);
            }
        }
        Self::fields(set, id, options, count, true, 0)
    }

    fn netflow9(set: &mut &[u8], id: u16) -> Result<Self, ReadError> {
        let count = take_u16(set).ok_or(ReadError::Template { id })?;
        Self::fields(set, id, false, count.into(), false, 0)
    }

    fn netflow9_options(set: &mut &[u8], id: u16) -> Result<Self, ReadError> {
        let bad = ReadError::Template { id };
        let scopes = usize::from(take_u16(set).ok_or(bad)?) / 4; // lengths in bytes
        let options = usize::from(take_u16(set).ok_or(bad)?) / 4;
        Self::fields(set, id, true, scopes.saturating_add(options), false, scopes)
    }

    fn fields(
        set: &mut &[u8],
        id: u16,
        options: bool,
        count: usize,
        enterprises: bool,
        scopes: usize,
    ) -> Result<Self, ReadError> {
        let bad = ReadError::Template { id };
        if id < FIRST_ID || count == 0 || set.len() / 4 < count {
            return Err(bad);
        }
        let mut specs: Vec<Spec> = Vec::with_capacity(count.min(MAX_FIELDS));
        let mut min_len = 0_usize;
        for at in 0..count {
            let mut number = take_u16(set).ok_or(bad)?;
            let len = take_u16(set).ok_or(bad)?;
            let mut enterprise = if at < scopes { NETFLOW9_SCOPE } else { IANA };
            if enterprises && number & 0x8000 != 0 {
                let (word, rest) = set.split_first_chunk::<4>().ok_or(bad)?;
                (enterprise, number, *set) = (u32::from_be_bytes(*word), number & 0x7fff, rest);
            }
            if len == 0 || (len == VARIABLE && !enterprises) {
                return Err(bad); // a field without bytes would make records without end
            }
            min_len = min_len.saturating_add(if len == VARIABLE { 1 } else { len.into() });
            if specs.len() == MAX_FIELDS {
                continue;
            }
            let repeat = specs.iter().filter(|other| (other.enterprise, other.number) == (enterprise, number)).count();
            let field = if repeat == 0 { Field::of(enterprise, number, len, !enterprises) } else { Field::Other };
            specs.push(Spec { enterprise, number, len, repeat: u16::try_from(repeat).unwrap_or(u16::MAX), field });
        }
        if count > MAX_FIELDS {
            return Ok(Self::TooLarge(id));
        }
        let ours = specs.iter().any(|spec| spec.enterprise == OURS) || is_our_nat_event(id, &specs);
        Ok(Self::Template(id, Template { specs: specs.into(), options, ours, min_len }))
    }
}

/// Our exporter's NAT events have none of our elements; number and layout give them away.
fn is_our_nat_event(id: u16, specs: &[Spec]) -> bool {
    let number = |spec: Option<&Spec>| spec.map(|spec| (spec.enterprise, spec.number));
    (ids::NAT_EVENTS..ids::GAP).contains(&id)
        && number(specs.first()) == Some((IANA, 323))
        && number(specs.get(1)) == Some((IANA, 230))
        && number(specs.last()) == Some((IANA, 148))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Form = Form::Ipfix { options: false };

    fn words(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn all(bytes: &[u8], form: Form) -> Vec<Result<Item, ReadError>> {
        let mut set = bytes;
        std::iter::from_fn(|| Item::next(&mut set, form)).take(10).collect()
    }

    #[test]
    fn a_set_may_hold_several_templates_and_padding() {
        let found = all(&words(&[256, 1, 8, 4, 257, 2, 8, 4, 12, 4, 0]), PLAIN);
        assert_eq!(found.len(), 2);
        assert!(matches!(&found[1], Ok(Item::Template(257, template)) if template.min_len == 8));
    }

    #[test]
    fn an_enterprise_follows_its_element() {
        let found = all(&words(&[256, 2, 0x8001, 8, 0, 29305, 12, 4]), PLAIN);
        let Ok(Item::Template(_, template)) = &found[0] else { panic!("{found:?}") };
        assert_eq!((template.specs[0].enterprise, template.specs[0].number), (29305, 1));
        assert_eq!((template.specs[1].enterprise, template.specs[1].number), (0, 12));
    }

    #[test]
    fn an_element_that_comes_again_is_kept_as_bytes() {
        let found = all(&words(&[256, 2, 8, 4, 8, 4]), PLAIN);
        let Ok(Item::Template(_, template)) = &found[0] else { panic!("{found:?}") };
        assert_eq!((template.specs[1].repeat, template.specs[1].field), (1, Field::Other));
    }

    #[test]
    fn withdrawals_name_one_or_all() {
        assert_eq!(all(&words(&[300, 0, 2, 0]), PLAIN), [Ok(Item::Withdrawal(300)), Ok(Item::Withdrawal(2))]);
        assert_eq!(all(&words(&[3, 0]), Form::Ipfix { options: true }), [Ok(Item::Withdrawal(3))]);
        assert_eq!(all(&words(&[3, 0]), PLAIN), [Err(ReadError::Template { id: 3 })]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let bad = |id| Err(ReadError::Template { id });
        assert_eq!(all(&words(&[256, 2, 8, 4]), PLAIN)[0], bad(256)); // cut
        assert_eq!(all(&words(&[256, 1, 8, 0]), PLAIN)[0], bad(256)); // no length
        assert_eq!(all(&words(&[255, 1, 8, 4]), PLAIN)[0], bad(255)); // a reserved id
        assert_eq!(all(&words(&[256, 1, 0x8001, 4]), PLAIN)[0], bad(256)); // no enterprise
        assert_eq!(all(&words(&[256, 1, 0, 8, 4]), Form::Ipfix { options: true })[0], bad(256)); // no scope
        assert_eq!(all(&words(&[256, 1, 8, 65535]), Form::NetFlow9 { options: false })[0], bad(256));
    }

    #[test]
    fn netflow9_scopes_are_no_elements() {
        let found = all(&words(&[256, 4, 4, 1, 4, 34, 4]), Form::NetFlow9 { options: true });
        let Ok(Item::Template(_, template)) = &found[0] else { panic!("{found:?}") };
        assert_eq!(template.specs[0].enterprise, NETFLOW9_SCOPE);
        assert_eq!((template.specs[1].enterprise, template.specs[1].number), (IANA, 34));
    }

    #[test]
    fn a_template_with_too_many_fields_is_skipped_whole() {
        let mut bytes = words(&[256, 1025]);
        bytes.extend(words(&[8, 4]).repeat(1025));
        bytes.extend(words(&[257, 1, 8, 4]));
        let found = all(&bytes, PLAIN);
        assert_eq!(found[0], Ok(Item::TooLarge(256)));
        assert!(matches!(found[1], Ok(Item::Template(257, _))));
    }

    #[test]
    fn lengths_of_variable_fields_come_in_one_byte_or_three() {
        let spec = Spec { enterprise: 0, number: 82, len: VARIABLE, repeat: 0, field: Field::Other };
        assert_eq!(spec.take(&[2, 7, 8, 9]), Some((&[7, 8][..], &[9][..])));
        assert_eq!(spec.take(&[255, 0, 1, 7, 8]), Some((&[7][..], &[8][..])));
        assert_eq!(spec.take(&[0]), Some((&[][..], &[][..])));
        assert_eq!(spec.take(&[2, 7]), None);
        assert_eq!(spec.take(&[255, 0]), None);
        assert_eq!(spec.take(&[]), None);
    }
}
