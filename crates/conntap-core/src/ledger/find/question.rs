//! The question, and which rows of a row group fit it.

use std::net::IpAddr;

use parquet::errors::Result;

use super::group::{Group, Value};
use crate::ledger::segment::fields::{FLOW, OPEN};

/// As what an address took part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The source, as the world saw it.
    Source,
    /// It was dialled, and another answered (destination NAT).
    Dialled,
    /// The source behind NAT.
    Inside,
    /// It answered in place of what was dialled.
    Server,
}

impl Role {
    /// The role of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "source" => Self::Source,
            "dialled" => Self::Dialled,
            "inside" => Self::Inside,
            "server" => Self::Server,
            _ => return None,
        })
    }

    /// The column of its address, and the one that has it where the first is null, for it is the same.
    const fn addresses(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Source => ("out", None),
            Self::Dialled => ("dst", None),
            Self::Inside => ("in", Some("out")),
            Self::Server => ("dnat", Some("dst")),
        }
    }
}

/// Who had an address (and port) in some time?
#[derive(Clone, Debug)]
pub struct Question {
    pub role: Role,
    pub address: IpAddr,
    /// Of ICMP the id.
    pub port: Option<u16>,
    pub l4proto: Option<u8>,
    /// What began later is not meant.
    pub late_ns: i64,
    /// What ended before is not meant; None: a beginning counts whatever is told of its end.
    pub low_ns: Option<i64>,
}

impl Question {
    /// The rows that fit, rising.
    pub(super) fn rows(&self, group: &Group<'_>) -> Result<Vec<usize>> {
        let mut rows = self.with_address(group)?;
        let mut keep = |columns: &[&str], fits: &dyn Fn(&[Value]) -> bool| -> Result<()> {
            let kept = group.rows(columns, &rows)?;
            rows = rows.iter().zip(kept).filter(|(_, values)| fits(values)).map(|(row, _)| *row).collect();
            Ok(())
        };
        if let Some(port) = self.port.map(i64::from) {
            let is = |value: &Value| value.number() == Some(port);
            match self.role {
                Role::Source => keep(&["out_port"], &|row| row.iter().all(is))?,
                Role::Inside => keep(&["in_port", "out_port"], &|row| first(row).is_some_and(is))?,
                // Of ICMP the id stands where others have the source's port, whichever way it was translated.
                Role::Dialled => keep(&["l4proto", "out_port", "dst_port"], &|row| by_protocol(row, is))?,
                Role::Server => keep(&["l4proto", "out_port", "dnat_port", "dst_port"], &|row| by_protocol(row, is))?,
            }
        }
        if let Some(l4proto) = self.l4proto {
            keep(&["l4proto"], &|row| row.iter().all(|value| value.number() == Some(l4proto.into())))?;
        }
        if self.role == Role::Dialled {
            keep(&["nat"], &|row| row.iter().all(|value| matches!(value.number(), Some(2 | 3))))?;
        }
        keep(&["kind", "start_ns", "duration_ns"], &|row| self.lived(row))?;
        Ok(rows)
    }

    /// The rows that have the address.
    fn with_address(&self, group: &Group<'_>) -> Result<Vec<usize>> {
        let version = if self.address.is_ipv6() { "6" } else { "" };
        let (name, same) = self.role.addresses();
        let column = format!("{name}_addr{version}");
        let mut rows = group.with_address(&column, self.address)?;
        if let Some(same) = same {
            // Its own column is null where only the port was translated.
            let others = group.with_address(&format!("{same}_addr{version}"), self.address)?;
            let values = group.rows(&[&column, &format!("{name}_port")], &others)?;
            let translated = |values: &[Value]| matches!(values, [Value::Null, port] if *port != Value::Null);
            rows.extend(others.into_iter().zip(values).filter(|(_, values)| translated(values)).map(|(row, _)| row));
            rows.sort_unstable();
        }
        Ok(rows)
    }

    /// Was it there between the two times? Of what is open, or has no end, nobody knows that it was not.
    fn lived(&self, row: &[Value]) -> bool {
        let [kind, start, duration] = row else { return false };
        let Some(start) = start.number().filter(|start| *start <= self.late_ns) else { return false };
        let Some(low) = self.low_ns else { return true };
        let stop = start.saturating_add(duration.number().unwrap_or(0));
        let kind = kind.number();
        stop >= low || kind == Some(OPEN.into()) || (*duration == Value::Null && kind == Some(FLOW.into()))
    }
}

/// The first that is not null.
fn first(row: &[Value]) -> Option<&Value> {
    row.iter().find(|value| **value != Value::Null)
}

/// Of a protocol, the id, and ports: the one that counts.
fn by_protocol(row: &[Value], is: impl Fn(&Value) -> bool) -> bool {
    let [l4proto, id, ports @ ..] = row else { return false };
    match l4proto.number() {
        None => false,
        Some(1 | 58) => is(id),
        Some(_) => first(ports).is_some_and(is),
    }
}
