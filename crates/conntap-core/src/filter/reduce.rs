//! A filter seen by one class of rows: what can be known beforehand is decided, `not` stands at single tests only.

use std::fmt::{Display, Formatter};

use super::ast::{EXPECTATION_KINDS, FLOW_KINDS, Field, Node, Test, kind_bit};
use crate::model::Kind;

/// What remains of a filter once the row's possible kinds are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal<'f> {
    Const(bool),
    All(Vec<Goal<'f>>),
    Any(Vec<Goal<'f>>),
    Ask { test: &'f Test, negated: bool },
}

/// What `node` asks of rows that are of one of `kinds` (bits of [`kind_bit`]).
pub(crate) fn reduce(node: &Node, kinds: u16) -> Goal<'_> {
    walk(node, false, kinds)
}

fn walk(node: &Node, negated: bool, kinds: u16) -> Goal<'_> {
    match node {
        Node::Const(value) => Goal::Const(*value != negated),
        Node::Not(inner) => walk(inner, !negated, kinds),
        // De Morgan: a negated `and` is an `or` of negated parts.
        Node::And(parts) => Goal::join(parts.iter().map(|part| walk(part, negated, kinds)), !negated),
        Node::Or(parts) => Goal::join(parts.iter().map(|part| walk(part, negated, kinds)), negated),
        Node::Test(test) => match known(test, kinds) {
            Some(value) => Goal::Const(value != negated),
            None => Goal::Ask { test, negated },
        },
    }
}

/// The answer to `test`, if it is the same for every row of these kinds.
fn known(test: &Test, kinds: u16) -> Option<bool> {
    let flow = kinds & !FLOW_KINDS == 0;
    let expectation = kinds & !EXPECTATION_KINDS == 0;
    let dump = kinds & !(kind_bit(Kind::Entry) | kind_bit(Kind::ExpEntry)) == 0;
    let no = |no: bool| no.then_some(false);
    match test {
        Test::Kinds(wanted) if wanted & kinds == 0 => Some(false),
        Test::Kinds(wanted) => (kinds & !wanted == 0).then_some(true),
        Test::Number { ranges, .. } if ranges.as_slice().is_empty() => Some(false),
        Test::Number { field: Field::Portid, .. } => no(dump),
        Test::Number { field: Field::Class | Field::Flags, .. } => no(flow),
        Test::Number {
            field:
                Field::L4proto
                | Field::IcmpType
                | Field::IcmpCode
                | Field::IcmpId
                | Field::Timeout
                | Field::Zone
                | Field::Id,
            ..
        } => None,
        Test::Number { .. } | Test::State(_) | Test::Label(_) | Test::Nat { .. } => no(expectation),
        Test::Port { ends, .. } | Test::Address { ends, .. } => no(expectation && ends.is_reply()),
        Test::Family(_) | Test::Helper(_) | Test::Master => None,
    }
}

impl<'f> Goal<'f> {
    /// `all`: everything must hold; otherwise one of them.
    pub fn join(parts: impl Iterator<Item = Self>, all: bool) -> Self {
        let mut out = Vec::new();
        for part in parts {
            match part {
                Self::Const(value) if value == all => {}
                Self::Const(value) => return Self::Const(value),
                Self::All(inner) if all => out.extend(inner),
                Self::Any(inner) if !all => out.extend(inner),
                other => out.push(other),
            }
        }
        match out.pop() {
            None => Self::Const(all),
            Some(only) if out.is_empty() => only,
            Some(last) => {
                out.push(last);
                if all { Self::All(out) } else { Self::Any(out) }
            }
        }
    }

    /// The parts that must all hold.
    pub fn conjuncts(&self) -> &[Self] {
        match self {
            Self::All(parts) => parts,
            Self::Const(true) => &[],
            other => std::slice::from_ref(other),
        }
    }
}

impl Display for Goal<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let (parts, by) = match self {
            Self::Const(true) => return f.write_str("everything"),
            Self::Const(false) => return f.write_str("nothing"),
            Self::Ask { test, negated } => return write!(f, "{}{test}", if *negated { "not " } else { "" }),
            Self::All(parts) => (parts, " and "),
            Self::Any(parts) => (parts, " or "),
        };
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                f.write_str(by)?;
            }
            match part {
                Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
                _ => write!(f, "{part}")?,
            }
        }
        Ok(())
    }
}
