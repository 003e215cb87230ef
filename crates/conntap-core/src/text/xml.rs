//! `conntrack -o xml`, byte for byte: one `<flow>` a line inside a root that opens with the first row.
//!
//! Two faults of the original are kept because programs read these bytes: SCTP and DCCP states are named from TCP's
//! list, and the reply's counters show only if the original's were sent. Not kept: texts are escaped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bytes::{address, decimal, hex, two};
use super::conntrack::delta_seconds;
use super::labels::{LabelMap, set_bits};
use super::{Environment, Place};
use crate::model::names::{TCP_STATES, l4proto};
use crate::model::{Counters, Flow, Kind, Tuple};
use crate::wire::constants::*;

/// The `-o` words of the XML form.
#[derive(Clone, Debug)]
pub struct XmlStyle {
    /// `-o ktimestamp`: start and stop, in nanoseconds.
    pub ktimestamp: bool,
    /// `-o timestamp`: when events happened, and when expectations were read.
    pub timestamp: bool,
    /// Writes `<labels>` when there is a map.
    pub labels: Option<LabelMap>,
    /// `type="new"` on events.
    pub events: bool,
    /// Header and root element; `-D` and `-U` write bare lines.
    pub root: bool,
}

impl Default for XmlStyle {
    fn default() -> Self {
        Self { ktimestamp: false, timestamp: false, labels: None, events: true, root: true }
    }
}

/// The root element: one per table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    Conntrack,
    Expect,
}

impl Root {
    pub(super) fn close(self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self {
            Self::Conntrack => b"</conntrack>\n".as_slice(),
            Self::Expect => b"</expect>\n",
        });
    }
}

/// Header and root before the first row. A row of the other table closes the root and opens its own.
pub(super) fn open(now: &mut Option<Root>, style: &XmlStyle, wanted: Root, out: &mut Vec<u8>) {
    if !style.root || *now == Some(wanted) {
        return;
    }
    match now {
        Some(root) => root.close(out),
        None => out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"),
    }
    out.extend_from_slice(match wanted {
        Root::Conntrack => b"<conntrack>\n".as_slice(),
        Root::Expect => b"<expect>\n",
    });
    *now = Some(wanted);
}

/// Append the element of a flow, without root.
pub fn write(style: &XmlStyle, flow: &Flow<'_>, place: &mut Place<'_, '_>, out: &mut Vec<u8>) {
    let kind = place.row.kind;
    out.extend_from_slice(match kind {
        _ if !style.events => b"<flow>".as_slice(),
        Kind::New => b"<flow type=\"new\">",
        Kind::Update => b"<flow type=\"update\">",
        Kind::Destroy => b"<flow type=\"destroy\">",
        _ => b"<flow>",
    });
    let counted = both(flow.counters_orig).is_some();
    direction(out, "original", flow.family, &flow.orig, flow.counters_orig);
    direction(out, "reply", flow.family, &flow.reply, flow.counters_reply.filter(|_| counted));
    if has_independent(flow) {
        independent(style, flow, place, out);
    }
    if style.timestamp && kind != Kind::Entry {
        let ns = place.event_ns(flow.event_ns);
        when(out, ns, place);
    }
    element_text(out, "helper", flow.helper);
    out.extend_from_slice(b"</flow>\n");
}

fn direction(out: &mut Vec<u8>, name: &str, family: u8, tuple: &Tuple, counters: Option<Counters>) {
    out.extend_from_slice(b"<meta direction=\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\">");
    layer3(out, family);
    addresses(out, family, tuple);
    out.extend_from_slice(b"</layer3>");
    layer4(out, tuple.l4proto);
    l4_part(out, tuple);
    out.extend_from_slice(b"</layer4>");
    element(out, "zone", tuple.zone.map(u64::from));
    if let Some((packets, bytes)) = both(counters) {
        out.extend_from_slice(b"<counters>");
        element(out, "packets", Some(packets));
        element(out, "bytes", Some(bytes));
        out.extend_from_slice(b"</counters>");
    }
    out.extend_from_slice(b"</meta>");
}

fn both(counters: Option<Counters>) -> Option<(u64, u64)> {
    let counters = counters?;
    Some((counters.packets?, counters.bytes?))
}

fn has_independent(flow: &Flow<'_>) -> bool {
    flow.protoinfo.is_some_and(|info| info.state().is_some())
        || flow.timeout.or(flow.mark).or(flow.secmark).or(flow.use_count).or(flow.status).or(flow.id).is_some()
        || flow.zone.is_some()
        || flow.labels.is_some()
        || flow.start_ns.or(flow.stop_ns).is_some()
}

fn independent(style: &XmlStyle, flow: &Flow<'_>, place: &mut Place<'_, '_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<meta direction=\"independent\">");
    if let Some(state) = flow.protoinfo.and_then(|info| info.state()) {
        let name = TCP_STATES.get(usize::from(state)).copied().unwrap_or("NONE");
        element_text(out, "state", Some(name.as_bytes()));
    }
    element(out, "timeout", flow.timeout.map(u64::from));
    element(out, "mark", flow.mark.map(u64::from));
    if let (Some(map), Some(labels)) = (&style.labels, flow.labels) {
        out.extend_from_slice(b"<labels>");
        for name in set_bits(labels).filter_map(|bit| map.name(bit)) {
            element_text(out, "label", Some(name));
        }
        out.extend_from_slice(b"</labels>");
    }
    element(out, "secmark", flow.secmark.map(u64::from));
    element_text(out, "secctx", flow.secctx);
    element(out, "zone", flow.zone.filter(|zone| *zone != 0).map(u64::from));
    element(out, "use", flow.use_count.map(u64::from));
    element(out, "id", flow.id.map(u64::from));
    if let Some(status) = flow.status {
        if status & IPS_ASSURED != 0 {
            out.extend_from_slice(b"<assured/>");
        }
        if status & IPS_SEEN_REPLY == 0 {
            out.extend_from_slice(b"<unreplied/>");
        }
    }
    if style.ktimestamp && flow.start_ns.or(flow.stop_ns).is_some() {
        out.extend_from_slice(b"<timestamp>");
        element(out, "start", flow.start_ns);
        element(out, "stop", flow.stop_ns);
        out.extend_from_slice(b"</timestamp>");
    }
    element(out, "deltatime", delta_seconds(flow, place));
    out.extend_from_slice(b"</meta>");
}

/// `<layer3 protonum="2" protoname="ipv4">`
pub(super) fn layer3(out: &mut Vec<u8>, family: u8) {
    layer(
        out,
        '3',
        family,
        match family {
            AF_INET => "ipv4",
            AF_INET6 => "ipv6",
            _ => "unknown",
        },
    );
}

/// `<layer4 protonum="6" protoname="tcp">`
pub(super) fn layer4(out: &mut Vec<u8>, number: Option<u8>) {
    let number = number.unwrap_or(0);
    layer(out, '4', number, l4proto(number).unwrap_or("unknown"));
}

fn layer(out: &mut Vec<u8>, which: char, number: u8, name: &str) {
    out.extend_from_slice(if which == '3' { b"<layer3 protonum=\"" } else { b"<layer4 protonum=\"" });
    decimal(out, number.into());
    out.extend_from_slice(b"\" protoname=\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\">");
}

/// `<src>A</src><dst>A</dst>`
pub(super) fn addresses(out: &mut Vec<u8>, family: u8, tuple: &Tuple) {
    let none: IpAddr = match family {
        AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
        AF_INET => Ipv4Addr::UNSPECIFIED.into(),
        _ if tuple.src.is_none() && tuple.dst.is_none() => return,
        _ => Ipv4Addr::UNSPECIFIED.into(),
    };
    out.extend_from_slice(b"<src>");
    address(out, tuple.src.unwrap_or(none));
    out.extend_from_slice(b"</src><dst>");
    address(out, tuple.dst.unwrap_or(none));
    out.extend_from_slice(b"</dst>");
}

/// Ports or keys. ICMP has nothing here.
pub(super) fn l4_part(out: &mut Vec<u8>, tuple: &Tuple) {
    let (source, dest) = (u64::from(tuple.sport.unwrap_or(0)), u64::from(tuple.dport.unwrap_or(0)));
    match tuple.l4proto {
        Some(IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_DCCP) => {
            element(out, "sport", Some(source));
            element(out, "dport", Some(dest));
        }
        Some(IPPROTO_GRE) => {
            out.extend_from_slice(b"<srckey>0x");
            hex(out, source);
            out.extend_from_slice(b"</srckey><dstkey>0x");
            hex(out, dest);
            out.extend_from_slice(b"</dstkey>");
        }
        _ => {}
    }
}

/// `<name>N</name>`, if there is one.
pub(super) fn element(out: &mut Vec<u8>, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        tagged(out, name, |out| decimal(out, value));
    }
}

/// `<name>TEXT</name>`, if there is one, with the three characters escaped that would end the text.
pub(super) fn element_text(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    tagged(out, name, |out| {
        for byte in value {
            match byte {
                b'&' => out.extend_from_slice(b"&amp;"),
                b'<' => out.extend_from_slice(b"&lt;"),
                b'>' => out.extend_from_slice(b"&gt;"),
                other => out.push(*other),
            }
        }
    });
}

/// An element and what is inside it.
pub(super) fn tagged(out: &mut Vec<u8>, name: &str, inside: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
    inside(out);
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

/// `<when>`: local time; only minutes and seconds are padded, `wday` 1 is Sunday.
pub(super) fn when(out: &mut Vec<u8>, ns: i64, place: &mut Place<'_, '_>) {
    let environment: &dyn Environment = place.environment;
    let time = place.clock.local(ns.div_euclid(1_000_000_000), environment);
    tagged(out, "when", |out| {
        element(out, "hour", Some(time.hour.into()));
        tagged(out, "min", |out| two(out, time.minute));
        tagged(out, "sec", |out| two(out, time.second));
        element(out, "wday", Some(u64::from(time.weekday).saturating_add(1)));
        element(out, "day", Some(time.day.into()));
        element(out, "month", Some(time.month.into()));
        element(out, "year", Some(time.year.unsigned_abs()));
    });
}
