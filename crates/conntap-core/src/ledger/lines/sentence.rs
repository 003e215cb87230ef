//! A record in one short line, for people who read a log: `FLOW tcp 10.0.0.2:4000 > 192.0.2.1:80 as 203.0.113.5:5001`.

use std::net::IpAddr;

use crate::batch::Row;
use crate::model::record::end_reason;
use crate::model::{Content, names};
use crate::text::bytes;

/// Append it; printable ASCII only.
pub(super) fn sentence(out: &mut Vec<u8>, row: &Row, content: &Content<'_>) {
    out.extend_from_slice(row.kind.name().as_bytes());
    match content {
        Content::Flow(flow) => {
            out.push(b' ');
            match flow.orig.l4proto.and_then(names::l4proto) {
                Some(name) => out.extend_from_slice(name.as_bytes()),
                None => bytes::decimal(out, flow.orig.l4proto.unwrap_or_default().into()),
            }
            end(out, b" ", flow.orig.src, flow.orig.sport);
            end(out, b" > ", flow.orig.dst, flow.orig.dport);
            let nat = flow.nat_kind().unwrap_or_default();
            if nat.contains("snat") {
                end(out, b" as ", flow.reply.dst, flow.reply.dport);
            }
            if nat.contains("dnat") {
                end(out, b" to ", flow.reply.src, flow.reply.sport);
            }
            let reason = flow.record.as_ref().and_then(|record| record.end_reason);
            if let Some(reason) = reason.and_then(|number| end_reason::NAMES.get(usize::from(number))) {
                out.extend_from_slice(b", ");
                out.extend_from_slice(reason.as_bytes());
            }
        }
        Content::Gap(gap) => {
            out.push(b' ');
            out.extend_from_slice(gap.cause.name().as_bytes());
            if let Some(lost) = gap.lost {
                out.extend_from_slice(b", events lost: ");
                bytes::decimal(out, lost);
            }
        }
        Content::Expectation(_) => {}
    }
}

fn end(out: &mut Vec<u8>, before: &[u8], address: Option<IpAddr>, port: Option<u16>) {
    let Some(address) = address else { return };
    out.extend_from_slice(before);
    let brackets = address.is_ipv6() && port.is_some();
    if brackets {
        out.push(b'[');
    }
    bytes::address(out, address);
    if brackets {
        out.push(b']');
    }
    if let Some(port) = port {
        out.push(b':');
        bytes::decimal(out, port.into());
    }
}
