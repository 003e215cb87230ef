//! A filter as a condition in SQL, so that a ledger's segments are filtered by who reads them (DuckDB), which skips
//! what cannot hold a wanted row.
//!
//! The columns are those of a ledger's segments: an IPv4 address is a number (`orig_src`), an IPv6 address 16 bytes
//! (`orig_src6`), and a column of the reply is null where it mirrors the original direction. A test of a field that a
//! row lacks is NULL, which counts as false; under `not` stands `IS NOT TRUE`, so there is no third value here either.

use std::fmt::Write as _;

use super::ast::{Ends, FLOW_KINDS, Field, Net, Node, Ranges, States, Test, kind_bit};
use super::reduce::{Goal, reduce};
use crate::model::{Kind, names};
use crate::wire::constants::AF_INET;

/// A part of a filter that has no form in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// The part, as a filter text.
    pub part: String,
    /// Why it has none.
    pub reason: &'static str,
}

const NOT_KEPT: &str = "a ledger does not keep it";
const MASK: &str = "an IPv6 mask that is no prefix has no form in SQL";

/// Kinds of records, and the kind of event that each counts as.
const RECORDS: [(Kind, &str); 4] =
    [(Kind::Flow, "FLOW"), (Kind::Interim, "INTERIM"), (Kind::Binding, "BINDING"), (Kind::Open, "OPEN")];

/// A condition over a ledger's columns that holds for the records that pass.
pub(crate) fn condition(node: &Node) -> Result<String, SqlError> {
    let mut out = String::new();
    goal(&reduce(node, FLOW_KINDS), &mut out)?;
    Ok(out)
}

fn goal(goal_: &Goal<'_>, out: &mut String) -> Result<(), SqlError> {
    let (parts, by) = match goal_ {
        Goal::Const(value) => return put(out, format_args!("{value}")),
        Goal::Ask { test, negated: false } => return ask(test, out),
        Goal::Ask { test, negated: true } => {
            out.push_str("((");
            ask(test, out)?;
            return put(out, format_args!(") IS NOT TRUE)"));
        }
        Goal::All(parts) => (parts, " AND "),
        Goal::Any(parts) => (parts, " OR "),
    };
    join(parts, by, out, goal)
}

/// `(a AND b)`.
fn join<T>(
    parts: &[T],
    by: &str,
    out: &mut String,
    mut each: impl FnMut(&T, &mut String) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    out.push('(');
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push_str(by);
        }
        each(part, out)?;
    }
    out.push(')');
    Ok(())
}

/// Writing to a String cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) -> Result<(), SqlError> {
    out.write_fmt(text).map_err(|_| SqlError { part: String::new(), reason: "" })
}

fn refuse(test: &Test, reason: &'static str) -> Result<(), SqlError> {
    Err(SqlError { part: test.to_string(), reason })
}

fn ask(test: &Test, out: &mut String) -> Result<(), SqlError> {
    match test {
        Test::Kinds(kinds) => {
            let wanted: Vec<_> = RECORDS.iter().filter(|(kind, _)| kinds & kind_bit(*kind) != 0).collect();
            if wanted.is_empty() {
                return put(out, format_args!("false"));
            }
            put(out, format_args!("kind IN "))?;
            join(&wanted, ", ", out, |(_, name), out| put(out, format_args!("'{name}'")))
        }
        Test::Family(number) => {
            let sign = if *number == AF_INET { "IS NOT NULL" } else { "IS NULL" };
            put(out, format_args!("orig_src {sign}"))
        }
        Test::Number { field, mask, ranges } => match number(*field) {
            Some(column) if *mask == u64::MAX => within(&column, ranges, out),
            Some(column) => within(&format!("({column} & {mask})"), ranges, out),
            None => refuse(test, NOT_KEPT),
        },
        Test::Port { ends, ranges } => {
            let ends: Vec<_> = ends.each().collect();
            join(&ends, " OR ", out, |end, out| within(port(*end), ranges, out))
        }
        Test::Address { ends, nets } => {
            if nets.iter().any(|net| matches!(net, Net::V6 { mask, .. } if !is_prefix(*mask))) {
                return refuse(test, MASK);
            }
            let pairs: Vec<_> = ends.each().flat_map(|end| nets.iter().map(move |net| (end, net))).collect();
            join(&pairs, " OR ", out, |(end, net), out| address(*end, net, out))
        }
        Test::State(states) => state(states, out),
        Test::Label(bit) => {
            // Words in host order: on a little-endian machine byte n holds bits 8n to 8n + 7, and BIT counts from the left.
            let (byte, within) = (bit >> 3, bit & 7);
            let at = u16::from(byte).saturating_mul(8).saturating_add(7_u16.saturating_sub(within.into()));
            put(out, format_args!("get_bit(labels::BIT, {at}) = 1"))
        }
        Test::Helper(None) => put(out, format_args!("helper IS NOT NULL")),
        Test::Helper(Some(name)) => {
            let name = name.to_ascii_lowercase().replace('\'', "''");
            put(out, format_args!("lower(helper) = '{name}'"))
        }
        Test::Master => put(out, format_args!("master_l4proto IS NOT NULL")),
        Test::Nat { dst: false } => put(out, format_args!("nat IN ('snat', 'snat,dnat')")),
        Test::Nat { dst: true } => put(out, format_args!("nat IN ('dnat', 'snat,dnat')")),
    }
}

/// The expression of a number that a ledger keeps.
fn number(field: Field) -> Option<String> {
    let column = match field {
        Field::L4proto => "l4proto",
        Field::Status => "status",
        Field::Timeout => "timeout",
        Field::Mark => "coalesce(mark, 0)",
        Field::Secmark => "secmark",
        Field::Zone => "coalesce(zone, 0)",
        Field::OrigZone => "coalesce(orig_zone, 0)",
        Field::ReplyZone => "coalesce(reply_zone, 0)",
        Field::Id => "id",
        Field::OrigPackets => "orig_packets",
        Field::OrigBytes => "orig_bytes",
        Field::ReplyPackets => "reply_packets",
        Field::ReplyBytes => "reply_bytes",
        Field::Packets => return Some(both("packets")),
        Field::Bytes => return Some(both("bytes")),
        Field::IcmpType => "orig_icmp_type",
        Field::IcmpCode => "orig_icmp_code",
        Field::IcmpId => "orig_icmp_id",
        Field::OrigVtag => "sctp_vtag_orig",
        Field::ReplyVtag => "sctp_vtag_reply",
        Field::StartNs => "epoch_ns(start_ns)",
        Field::StopNs => "epoch_ns(stop_ns)",
        Field::EventNs | Field::Use | Field::Portid | Field::Class | Field::Flags => return None,
    };
    Some(column.to_owned())
}

/// The sum of both directions; NULL only if both are.
fn both(what: &str) -> String {
    format!("coalesce(orig_{what}::HUGEINT + reply_{what}, orig_{what}, reply_{what})")
}

fn port(end: Ends) -> &'static str {
    match end {
        Ends::SRC => "orig_sport",
        Ends::DST => "orig_dport",
        Ends::REPLY_SRC => "coalesce(reply_sport, orig_dport)",
        _ => "coalesce(reply_dport, orig_sport)",
    }
}

/// One of the ranges holds the value.
fn within(column: &str, ranges: &Ranges, out: &mut String) -> Result<(), SqlError> {
    if ranges.as_slice().is_empty() {
        return put(out, format_args!("false"));
    }
    join(ranges.as_slice(), " OR ", out, |(low, high), out| match (*low, *high) {
        (low, high) if low == high => put(out, format_args!("{column} = {low}")),
        (0, u64::MAX) => put(out, format_args!("{column} IS NOT NULL")),
        (low, u64::MAX) => put(out, format_args!("{column} >= {low}")),
        (0, high) => put(out, format_args!("{column} <= {high}")),
        (low, high) => put(out, format_args!("{column} BETWEEN {low} AND {high}")),
    })
}

fn is_prefix(mask: u128) -> bool {
    mask.leading_ones().saturating_add(mask.trailing_zeros()) >= 128
}

fn address(end: Ends, net: &Net, out: &mut String) -> Result<(), SqlError> {
    let (column, mirrored) = match end {
        Ends::SRC => ("orig_src", None),
        Ends::DST => ("orig_dst", None),
        Ends::REPLY_SRC => ("reply_src", Some("orig_dst")),
        _ => ("reply_dst", Some("orig_src")),
    };
    let wide = matches!(net, Net::V6 { .. });
    let six = if wide { "6" } else { "" };
    let expression = match mirrored {
        Some(other) => format!("coalesce({column}{six}, {other}{six})"),
        None => format!("{column}{six}"),
    };
    match *net {
        Net::V4 { address, mask: u32::MAX } => put(out, format_args!("{expression} = {address}")),
        Net::V4 { address, mask } if mask.leading_ones().saturating_add(mask.trailing_zeros()) >= 32 => {
            put(out, format_args!("{expression} BETWEEN {address} AND {}", address | !mask))
        }
        Net::V4 { address, mask } => put(out, format_args!("({expression} & {mask}) = {address}")),
        Net::V6 { address, mask: u128::MAX } => put(out, format_args!("{expression} = {}", blob(address))),
        Net::V6 { address, mask } => {
            put(out, format_args!("{expression} BETWEEN {} AND {}", blob(address), blob(address | !mask)))
        }
    }
}

fn blob(address: u128) -> String {
    let mut text = String::from("'");
    for byte in address.to_be_bytes() {
        let _ = write!(text, "\\x{byte:02X}");
    }
    text.push_str("'::BLOB");
    text
}

/// The names of the wanted states, protocol by protocol, as columns have them.
fn state(states: &States, out: &mut String) -> Result<(), SqlError> {
    let columns: [(u16, &str, &[&str]); 3] = [
        (states.tcp, "tcp_state", &names::TCP_STATES),
        (states.sctp, "sctp_state", &names::SCTP_STATES),
        (states.dccp, "dccp_state", &names::DCCP_STATES),
    ];
    let wanted: Vec<_> = columns.iter().filter(|(mask, ..)| *mask != 0).collect();
    if wanted.is_empty() {
        return put(out, format_args!("false"));
    }
    join(&wanted, " OR ", out, |(mask, column, known), out| {
        let numbers: Vec<_> = (0..16).filter(|state| States::has(*mask, *state)).collect();
        put(out, format_args!("{column} IN "))?;
        join(&numbers, ", ", out, |number, out| match known.get(usize::from(*number)) {
            Some(name) => put(out, format_args!("'{name}'")),
            None => put(out, format_args!("'UNKNOWN_{number}'")),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Filter, NoNames};

    fn sql(text: &str) -> String {
        Filter::parse(text, &NoNames).expect("a filter").sql().expect("a form in SQL")
    }

    fn refused(text: &str) -> (String, &'static str) {
        let error = Filter::parse(text, &NoNames).expect("a filter").sql().expect_err("no form in SQL");
        (error.part, error.reason)
    }

    #[test]
    fn single_values_are_comparisons_that_a_reader_can_skip_by() {
        assert_eq!(sql("tcp and dport 443"), "((l4proto = 6) AND ((orig_dport = 443)))");
        assert_eq!(sql("src 10.0.0.0/8"), "(orig_src BETWEEN 167772160 AND 184549375)");
        assert_eq!(sql(""), "true");
    }

    #[test]
    fn a_field_that_is_missing_answers_no_and_not_turns_it_round() {
        assert_eq!(sql("not dport 22"), "((((orig_dport = 22))) IS NOT TRUE)");
        assert_eq!(
            sql("not (tcp and nat)"),
            "((((l4proto = 6)) IS NOT TRUE) OR (((nat IN ('snat', 'snat,dnat')) IS NOT TRUE) AND ((nat IN ('dnat', 'snat,dnat')) IS NOT TRUE)))"
        );
    }

    #[test]
    fn a_side_that_mirrors_the_original_is_read_from_it() {
        assert_eq!(sql("reply dst 203.0.113.7"), "(coalesce(reply_dst, orig_src) = 3405803783)");
        assert_eq!(sql("reply sport 80"), "((coalesce(reply_sport, orig_dport) = 80))");
    }

    #[test]
    fn addresses_of_16_bytes_are_compared_as_bytes() {
        let low = "'\\x20\\x01\\x0D\\xB8\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'::BLOB";
        let high = "'\\x20\\x01\\x0D\\xB8\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF'::BLOB";
        assert_eq!(sql("dst 2001:db8::/32"), format!("(orig_dst6 BETWEEN {low} AND {high})"));
    }

    #[test]
    fn a_quote_in_a_helpers_name_ends_no_text() {
        assert_eq!(sql("helper \"o'b\""), "lower(helper) = 'o''b'");
    }

    #[test]
    fn states_have_the_columns_names() {
        assert_eq!(sql("state established"), "(tcp_state IN ('ESTABLISHED') OR sctp_state IN ('ESTABLISHED'))");
        assert_eq!(sql("tcp_state 12"), "(tcp_state IN ('UNKNOWN_12'))");
    }

    #[test]
    fn kinds_are_those_of_records_and_expectations_are_none() {
        assert_eq!(sql("destroy"), "kind IN ('FLOW')");
        assert_eq!(sql("expectation"), "false");
        assert_eq!(sql("flow"), "true");
    }

    #[test]
    fn what_has_no_form_is_named_with_its_reason() {
        assert_eq!(refused("tcp and portid 5"), ("portid 5".to_owned(), super::NOT_KEPT));
        assert_eq!(refused("src 2001:db8::1 mask ffff::ffff").1, super::MASK);
    }
}
