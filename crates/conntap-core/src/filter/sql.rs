//! A filter as a condition in SQL, so that a ledger's segments are filtered by who reads them (DuckDB), which skips
//! what cannot hold a wanted row.
//!
//! The columns are those of a segment (`ledger/segment/fields.rs`): ends in four pairs, an IPv4 address a number
//! (`out_addr`), an IPv6 address 16 bytes (`out_addr6`), null where it is the same as that of its counterpart. A test of
//! a field that a row lacks is NULL, which counts as false; under `not` stands `IS NOT TRUE`: no third value here either.

use std::fmt::Write as _;

use super::ast::{Ends, FLOW_KINDS, Field, Net, Node, Ranges, States, Test, kind_bit};
use super::reduce::{Goal, reduce};
use crate::model::Kind;
use crate::wire::constants::{IPPROTO_DCCP, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_TCP};

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

/// Kinds of records, and their numbers in a segment.
const RECORDS: [(Kind, u8); 4] = [(Kind::Flow, 0), (Kind::Interim, 1), (Kind::Binding, 2), (Kind::Open, 3)];

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
            join(&wanted, ", ", out, |(_, number), out| put(out, format_args!("{number}")))
        }
        Test::Family(number) => put(out, format_args!("family = {number}")),
        Test::Number { field, mask, ranges } => match number(*field) {
            Some(column) if *mask == u64::MAX => within(&column, ranges, out),
            Some(column) => within(&format!("({column} & {mask})"), ranges, out),
            None => refuse(test, NOT_KEPT),
        },
        Test::Port { ends, ranges } => {
            let ends: Vec<_> = ends.each().collect();
            put(out, format_args!("(l4proto NOT IN ({IPPROTO_ICMP}, {IPPROTO_ICMPV6}) AND "))?;
            join(&ends, " OR ", out, |end, out| within(&value_of(*end, "port"), ranges, out))?;
            put(out, format_args!(")"))
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
        Test::Nat { dst: false } => put(out, format_args!("nat IN (1, 3)")),
        Test::Nat { dst: true } => put(out, format_args!("nat IN (2, 3)")),
    }
}

/// The expression of a number that a ledger keeps.
fn number(field: Field) -> Option<String> {
    let column = match field {
        Field::L4proto => "l4proto",
        Field::Status => "status",
        Field::Mark => "coalesce(mark, 0)",
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
        Field::IcmpType => return Some(icmp("dst_port >> 8")),
        Field::IcmpCode => return Some(icmp("dst_port & 255")),
        Field::IcmpId => return Some(icmp("coalesce(in_port, out_port)")),
        Field::Portid => "coalesce(portid, 0)",
        Field::StartNs => "start_ns",
        Field::StopNs => "(start_ns + duration_ns)",
        Field::EventNs
        | Field::Timeout
        | Field::Secmark
        | Field::Use
        | Field::OrigVtag
        | Field::ReplyVtag
        | Field::Class
        | Field::Flags => return None,
    };
    Some(column.to_owned())
}

/// The sum of both directions; NULL only if both are.
fn both(what: &str) -> String {
    format!("coalesce(orig_{what}::HUGEINT + reply_{what}, orig_{what}, reply_{what})")
}

/// What a segment keeps in the place of ports.
fn icmp(expression: &str) -> String {
    format!("CASE WHEN l4proto IN ({IPPROTO_ICMP}, {IPPROTO_ICMPV6}) THEN {expression} END")
}

/// Where an end's address or port stands: in one column, or in another where that is null.
fn columns(end: Ends) -> (&'static str, Option<&'static str>) {
    match end {
        Ends::SRC => ("in", Some("out")),
        Ends::DST => ("dst", None),
        Ends::REPLY_SRC => ("dnat", Some("dst")),
        _ => ("out", None),
    }
}

fn value_of(end: Ends, what: &str) -> String {
    match columns(end) {
        (column, Some(other)) => format!("coalesce({column}_{what}, {other}_{what})"),
        (column, None) => format!("{column}_{what}"),
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
    let expression = value_of(end, if net.is_v4() { "addr" } else { "addr6" });
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

/// The wanted states, protocol by protocol.
fn state(states: &States, out: &mut String) -> Result<(), SqlError> {
    let protocols = [(states.tcp, IPPROTO_TCP), (states.sctp, IPPROTO_SCTP), (states.dccp, IPPROTO_DCCP)];
    let wanted: Vec<_> = protocols.iter().filter(|(mask, _)| *mask != 0).collect();
    if wanted.is_empty() {
        return put(out, format_args!("false"));
    }
    join(&wanted, " OR ", out, |(mask, protocol), out| {
        let numbers: Vec<_> = (0..16).filter(|state| States::has(*mask, *state)).collect();
        put(out, format_args!("(l4proto = {protocol} AND state IN "))?;
        join(&numbers, ", ", out, |number, out| put(out, format_args!("{number}")))?;
        put(out, format_args!(")"))
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
        assert_eq!(sql("tcp and reply dst 203.0.113.7"), "((l4proto = 6) AND (out_addr = 3405803783))");
        assert_eq!(sql("dst 10.0.0.0/8"), "(dst_addr BETWEEN 167772160 AND 184549375)");
        assert_eq!(sql(""), "true");
    }

    #[test]
    fn ports_are_none_of_icmp_which_keeps_other_things_there() {
        assert_eq!(sql("dport 443"), "(l4proto NOT IN (1, 58) AND ((dst_port = 443)))");
        assert_eq!(sql("icmptype 8"), "(CASE WHEN l4proto IN (1, 58) THEN dst_port >> 8 END = 8)");
    }

    #[test]
    fn a_field_that_is_missing_answers_no_and_not_turns_it_round() {
        assert_eq!(sql("not udp"), "(((l4proto = 17)) IS NOT TRUE)");
        assert_eq!(
            sql("not (tcp and nat)"),
            "((((l4proto = 6)) IS NOT TRUE) OR (((nat IN (1, 3)) IS NOT TRUE) AND ((nat IN (2, 3)) IS NOT TRUE)))"
        );
    }

    #[test]
    fn an_end_that_was_not_translated_is_read_from_the_other() {
        assert_eq!(sql("src 10.0.0.5"), "(coalesce(in_addr, out_addr) = 167772165)");
        assert_eq!(sql("reply src 10.0.0.5"), "(coalesce(dnat_addr, dst_addr) = 167772165)");
    }

    #[test]
    fn addresses_of_16_bytes_are_compared_as_bytes() {
        let head = r"'\x20\x01\x0D\xB8";
        let (low, high) = (r"\x00".repeat(12), r"\xFF".repeat(12));
        let want = format!("(dst_addr6 BETWEEN {head}{low}'::BLOB AND {head}{high}'::BLOB)");
        assert_eq!(sql("dst 2001:db8::/32"), want);
    }

    #[test]
    fn a_quote_in_a_helpers_name_ends_no_text() {
        assert_eq!(sql("helper \"o'b\""), "lower(helper) = 'o''b'");
    }

    #[test]
    fn states_are_numbers_of_their_protocol() {
        let want = "((l4proto = 6 AND state IN (3)) OR (l4proto = 132 AND state IN (4)))";
        assert_eq!(sql("state established"), want);
        assert_eq!(sql("tcp_state 12"), "((l4proto = 6 AND state IN (12)))");
    }

    #[test]
    fn kinds_are_those_of_records_and_expectations_are_none() {
        assert_eq!(sql("destroy"), "kind IN (0)");
        assert_eq!(sql("expectation"), "false");
        assert_eq!(sql("flow"), "true");
    }

    #[test]
    fn what_has_no_form_is_named_with_its_reason() {
        assert_eq!(refused("tcp and timeout 5"), ("timeout 5".to_owned(), super::NOT_KEPT));
        assert_eq!(refused("src 2001:db8::1 mask ffff::ffff").1, super::MASK);
    }
}
