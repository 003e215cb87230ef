//! Which fields are written, and in which order.

use crate::columns::{COUNT, FIELDS, Field};

/// A name that is no field's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField(pub String);

/// The fields to write: all, or those of a list.
#[derive(Clone, Debug)]
pub struct Chosen {
    all: bool,
    mask: [bool; COUNT],
    order: Vec<Field>,
}

impl Chosen {
    #[must_use]
    pub fn all() -> Self {
        Self { all: true, mask: [true; COUNT], order: FIELDS.iter().map(|(field, ..)| *field).collect() }
    }

    /// Fields by name, in the order of a list; one said twice is written once.
    pub fn of<S: AsRef<str>>(names: &[S]) -> Result<Self, UnknownField> {
        let mut chosen = Self { all: false, mask: [false; COUNT], order: Vec::new() };
        for name in names {
            let name = name.as_ref();
            let Some((field, ..)) = FIELDS.iter().find(|(_, known, _)| *known == name) else {
                return Err(UnknownField(name.to_owned()));
            };
            if let Some(bit) = chosen.mask.get_mut(*field as usize)
                && !*bit
            {
                *bit = true;
                chosen.order.push(*field);
            }
        }
        Ok(chosen)
    }

    #[must_use]
    pub fn is_all(&self) -> bool {
        self.all
    }

    #[must_use]
    #[inline(always)]
    pub fn has(&self, field: Field) -> bool {
        self.mask.get(field as usize).copied().unwrap_or_default()
    }

    /// In the order in which they were chosen.
    #[must_use]
    pub fn order(&self) -> &[Field] {
        &self.order
    }
}

/// A field's name.
#[must_use]
pub fn name(field: Field) -> &'static str {
    FIELDS.get(field as usize).map_or("", |(_, name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_lists_and_twice_is_once() {
        let chosen = Chosen::of(&["seq", "kind", "seq"]).unwrap();
        assert_eq!(chosen.order(), [Field::Seq, Field::Kind]);
        assert!(chosen.has(Field::Seq) && !chosen.has(Field::Mark) && !chosen.is_all());
    }

    #[test]
    fn a_name_that_is_none_is_told() {
        assert_eq!(Chosen::of(&["sqe"]).unwrap_err(), UnknownField("sqe".into()));
    }
}
