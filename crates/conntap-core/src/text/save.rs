//! `conntrack -o save`: a flow as the command line that makes it again.
//!
//! Lost on the way, as in the original: mark, labels, helper, counters, times, id, offload bits.

use std::net::IpAddr;

use super::Place;
use super::bytes::{address, decimal};
use super::conntrack::state_name;
use crate::model::names::l4proto;
use crate::model::{Flow, Kind, ProtoInfo};
use crate::wire::constants::*;

/// The command that a line begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveWord {
    /// `-A`: lists, answers of GET and UPDATE.
    #[default]
    Add,
    /// `-U`
    Update,
    /// `-D`: what DELETE has deleted.
    Delete,
}

/// How `-o save` writes rows.
#[derive(Clone, Debug)]
pub struct SaveStyle {
    /// For table entries; events say by themselves what they are.
    pub entry: SaveWord,
    /// ` [USERSPACE] portid=` behind events that a program caused (the original writes it here too).
    pub userspace: bool,
}

impl Default for SaveStyle {
    fn default() -> Self {
        Self { entry: SaveWord::Add, userspace: true }
    }
}

/// The status bits that `-u` can set, lowest first.
const STATUS: [(u32, &str); 4] = [
    (IPS_EXPECTED, "EXPECTED"),
    (IPS_SEEN_REPLY, "SEEN_REPLY"),
    (IPS_ASSURED, "ASSURED"),
    (IPS_FIXED_TIMEOUT, "FIXED_TIMEOUT"),
];

/// Append the line of a flow. One of an unknown family is an empty line, as in the original.
pub fn write(style: &SaveStyle, flow: &Flow<'_>, place: &mut Place<'_, '_>, out: &mut Vec<u8>) {
    if !matches!(flow.family, AF_INET | AF_INET6) {
        out.push(b'\n');
        return;
    }
    let word = match place.row.kind {
        Kind::New => SaveWord::Add,
        Kind::Update => SaveWord::Update,
        Kind::Destroy => SaveWord::Delete,
        _ => style.entry,
    };
    out.extend_from_slice(match word {
        SaveWord::Add => b"-A",
        SaveWord::Update => b"-U",
        SaveWord::Delete => b"-D",
    });
    number(out, " -t ", flow.timeout.map(u64::from));
    if let Some(status) = flow.status {
        status_words(out, status);
    }
    number(out, " -c ", flow.secmark.map(u64::from));
    number(out, " -w ", flow.zone.map(u64::from));
    number(out, " --orig-zone ", flow.orig.zone.map(u64::from));
    number(out, " --reply-zone ", flow.reply.zone.map(u64::from));
    let (source_nat, dest_nat) = nat(flow);
    host(out, " -s ", flow.orig.src);
    host(out, " -d ", flow.orig.dst);
    host(out, if dest_nat { " -g " } else { " -r " }, flow.reply.src);
    host(out, if source_nat { " -n " } else { " -q " }, flow.reply.dst);
    protocol(out, flow);
    if style.userspace && place.row.kind != Kind::Entry {
        place.userspace(out);
    }
    out.push(b'\n');
}

fn status_words(out: &mut Vec<u8>, status: u32) {
    out.extend_from_slice(b" -u ");
    let mut any = false;
    for (_, word) in STATUS.into_iter().filter(|(bit, _)| status & bit != 0) {
        if any {
            out.push(b',');
        }
        out.extend_from_slice(word.as_bytes());
        any = true;
    }
    if !any {
        out.extend_from_slice(b"UNSET");
    }
}

/// Source and destination NAT by address: done according to the status, and seen in the mirrored tuples.
fn nat(flow: &Flow<'_>) -> (bool, bool) {
    let done = flow.status.unwrap_or(IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE);
    let differ = |one: Option<IpAddr>, other: Option<IpAddr>| one.is_some() && other.is_some() && one != other;
    (
        done & IPS_SRC_NAT_DONE != 0 && differ(flow.reply.dst, flow.orig.src),
        done & IPS_DST_NAT_DONE != 0 && differ(flow.reply.src, flow.orig.dst),
    )
}

fn protocol(out: &mut Vec<u8>, flow: &Flow<'_>) {
    let Some(l4) = flow.orig.l4proto else { return };
    out.extend_from_slice(b" -p ");
    match l4proto(l4) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => decimal(out, l4.into()),
    }
    let port = |port: Option<u16>| port.map(u64::from);
    let (orig, reply) = (&flow.orig, &flow.reply);
    match l4 {
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_DCCP => {
            number(out, " --sport ", port(orig.sport));
            number(out, " --dport ", port(orig.dport));
            number(out, " --reply-port-src ", port(reply.sport));
            number(out, " --reply-port-dst ", port(reply.dport));
        }
        IPPROTO_ICMP => icmp(out, flow, [" --icmp-type ", " --icmp-code ", " --icmp-id "]),
        IPPROTO_ICMPV6 => icmp(out, flow, [" --icmpv6-type ", " --icmpv6-code ", " --icmpv6-id "]),
        IPPROTO_GRE => {
            number(out, " --srckey ", port(orig.sport));
            number(out, " --dstkey ", port(orig.dport));
            number(out, " --reply-key-src ", port(reply.sport));
            number(out, " --reply-key-dst ", port(reply.dport));
        }
        _ => {}
    }
    if let Some(info) = &flow.protoinfo {
        protocol_state(out, info);
    }
}

fn icmp(out: &mut Vec<u8>, flow: &Flow<'_>, [kind, code, id]: [&str; 3]) {
    number(out, kind, flow.orig.icmp_type.map(u64::from));
    number(out, code, flow.orig.icmp_code.map(u64::from));
    number(out, id, flow.orig.icmp_id.map(u64::from));
}

fn protocol_state(out: &mut Vec<u8>, info: &ProtoInfo) {
    if let Some(name) = state_name(info) {
        out.extend_from_slice(b" --state ");
        out.extend_from_slice(name.as_bytes());
    }
    match info {
        ProtoInfo::Tcp { .. } => {}
        ProtoInfo::Sctp { vtag_orig, vtag_reply, .. } => {
            // The original prints the wire's bytes as a number of this machine; so do we, and files can be exchanged.
            number(out, " --orig-vtag ", vtag_orig.map(|tag| u32::from_be(tag).into()));
            number(out, " --reply-vtag ", vtag_reply.map(|tag| u32::from_be(tag).into()));
        }
        ProtoInfo::Dccp { role, .. } => out.extend_from_slice(match role {
            Some(0) => b" --role client".as_slice(),
            Some(1) => b" --role server",
            _ => b"",
        }),
    }
}

fn number(out: &mut Vec<u8>, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        out.extend_from_slice(name.as_bytes());
        decimal(out, value);
    }
}

fn host(out: &mut Vec<u8>, name: &str, value: Option<IpAddr>) {
    if let Some(value) = value {
        out.extend_from_slice(name.as_bytes());
        address(out, value);
    }
}
