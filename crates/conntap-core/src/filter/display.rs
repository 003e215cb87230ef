//! The canonical text of a filter: what [`super::Filter::parse`] reads back to the same filter.

use std::fmt::{Display, Formatter, Result};

use super::ast::{Ends, Field, Net, Node, Ranges, Test};
use super::words::{WORDS, Word};

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Const(true) => Ok(()), // empty text: everything
            Self::Const(false) => f.write_str("not flow and not expectation"),
            Self::Not(inner) => {
                f.write_str("not ")?;
                nested(inner, f)
            }
            Self::And(parts) => joined(parts, " and ", f),
            Self::Or(parts) => joined(parts, " or ", f),
            Self::Test(test) => test.fmt(f),
        }
    }
}

fn joined(parts: &[Node], by: &str, f: &mut Formatter<'_>) -> Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(by)?;
        }
        nested(part, f)?;
    }
    Ok(())
}

/// Every `and` and `or` inside another stands in parentheses, though `and` binds tighter: readers need not know.
fn nested(node: &Node, f: &mut Formatter<'_>) -> Result {
    match node {
        Node::And(_) | Node::Or(_) => write!(f, "({node})"),
        _ => node.fmt(f),
    }
}

/// The first keyword for which `is` holds.
fn keyword(is: impl Fn(Word) -> bool) -> Option<&'static str> {
    WORDS.iter().find(|(_, word)| is(*word)).map(|(name, _)| *name)
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Kinds(kinds) => f.write_str(keyword(|word| word == Word::Kinds(*kinds)).unwrap_or("flow")),
            Self::Family(family) => f.write_str(keyword(|word| word == Word::Family(*family)).unwrap_or("ip")),
            Self::Number { field, mask, ranges } => number(*field, *mask, ranges, f),
            Self::Port { ends, ranges } => {
                let name = match *ends {
                    Ends::SRC => "sport",
                    Ends::DST => "dport",
                    Ends::REPLY_SRC => "reply sport",
                    Ends::REPLY_DST => "reply dport",
                    Ends::ORIG => "orig port",
                    Ends::REPLY => "reply port",
                    _ => "port",
                };
                set(name, ranges, f)
            }
            Self::Address { ends, nets } => {
                f.write_str(match *ends {
                    Ends::SRC => "src",
                    Ends::DST => "dst",
                    Ends::REPLY_SRC => "reply src",
                    Ends::REPLY_DST => "reply dst",
                    Ends::ORIG => "orig host",
                    Ends::REPLY => "reply host",
                    _ => "host",
                })?;
                for (at, net) in nets.iter().enumerate() {
                    write!(f, "{}{net}", if at == 0 { " " } else { "," })?;
                }
                Ok(())
            }
            Self::State(states) => f.write_str(&states.text),
            Self::Label(bit) => write!(f, "label {bit}"),
            Self::Helper(None) => f.write_str("helper"),
            Self::Helper(Some(name)) => write!(f, "helper \"{name}\""),
            Self::Master => f.write_str("master"),
            Self::Nat { dst: false } => f.write_str("snat"),
            Self::Nat { dst: true } => f.write_str("dnat"),
        }
    }
}

fn number(field: Field, mask: u64, ranges: &Ranges, f: &mut Formatter<'_>) -> Result {
    let single = ranges.single();
    if field == Field::L4proto
        && let Some(value) = single
        && let Some(name) = keyword(|word| matches!(word, Word::Proto(number) if u64::from(number) == value))
    {
        return f.write_str(name);
    }
    if field == Field::Status
        && let Some(value) = single
        && let Some(name) =
            keyword(|word| matches!(word, Word::Status(m, v) if u64::from(m) == mask && u64::from(v) == value))
    {
        return f.write_str(name);
    }
    if mask == u64::MAX {
        return set(field.name(), ranges, f);
    }
    // Masked tests come from `= N/M` and `!= N/M` only.
    match (single, ranges.complement().single()) {
        (Some(value), _) => write!(f, "{} {value:#x}/{mask:#x}", field.name()),
        (None, Some(value)) => write!(f, "{} != {value:#x}/{mask:#x}", field.name()),
        (None, None) => write!(f, "{} < 0", field.name()),
    }
}

fn set(name: &str, ranges: &Ranges, f: &mut Formatter<'_>) -> Result {
    match ranges.as_slice() {
        [] => return write!(f, "{name} < 0"),
        [(low, high)] if low == high => return write!(f, "{name} {low}"),
        [(low, u64::MAX)] => return write!(f, "{name} >= {low}"),
        [(0, high)] => return write!(f, "{name} <= {high}"),
        _ => {}
    }
    let (sign, ranges) = match ranges.as_slice().last() {
        Some((_, u64::MAX)) => (" !=", ranges.complement()), // such sets come from `!=`
        _ => ("", ranges.clone()),
    };
    write!(f, "{name}{sign}")?;
    for (at, (low, high)) in ranges.as_slice().iter().enumerate() {
        f.write_str(if at == 0 { " " } else { "," })?;
        if low == high { write!(f, "{low}")? } else { write!(f, "{low}-{high}")? }
    }
    Ok(())
}

impl Display for Net {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match *self {
            Self::V4 { address, mask } => {
                write!(f, "{}", std::net::Ipv4Addr::from(address))?;
                match mask.leading_ones() {
                    32 => Ok(()),
                    ones if ones.saturating_add(mask.trailing_zeros()) == 32 => write!(f, "/{ones}"),
                    _ => write!(f, " mask {}", std::net::Ipv4Addr::from(mask)),
                }
            }
            Self::V6 { address, mask } => {
                write!(f, "{}", std::net::Ipv6Addr::from(address))?;
                match mask.leading_ones() {
                    128 => Ok(()),
                    ones if ones.saturating_add(mask.trailing_zeros()) == 128 => write!(f, "/{ones}"),
                    _ => write!(f, " mask {}", std::net::Ipv6Addr::from(mask)),
                }
            }
        }
    }
}
