//! Lines that a person reads at a glance: when, what happened (sign), protocol, from where to where, state.
//!
//! ```text
//! 14:03:12.900  +  tcp    10.0.0.5:50122 ⇒ 203.0.113.7:50122 → 198.51.100.9:21 ftp    SYN_SENT     helper ftp
//! ```
//!
//! `⇒` is what NAT makes of the address in front of it: source NAT stands left of the arrow, destination NAT right.
//! Colour repeats what the signs say. Texts from outside (names of hosts, programs, helpers) are cleaned: no control
//! byte reaches a terminal.

mod ends;
mod expectation;
mod flow;
mod recent;
mod signs;
pub(super) mod words;

pub use ends::{End, Ends, Initiator, flow_ends};
pub use expectation::explain_expectation;
pub(super) use expectation::{flags, who};
pub(super) use flow::{end, notes, protocol, service, state, traffic};
pub use recent::Recent;
pub(super) use signs::ALARM;
pub(super) use signs::{Paint, Signs};
pub use words::{duration, size};

use super::bytes::grouped;
use super::{LabelMap, Place};
use crate::model::{Content, Gap, Kind};

/// How human lines look.
#[derive(Clone, Debug)]
pub struct HumanStyle {
    /// ANSI colours.
    pub color: bool,
    /// `+ ~ -` and `->` instead of characters beyond ASCII.
    pub ascii: bool,
    /// Names of hosts, as far as the environment knows them already.
    pub names: bool,
    /// Names of services behind destination ports.
    pub services: bool,
    /// UTC instead of local time.
    pub utc: bool,
    /// The date in front of the time.
    pub date: bool,
    /// Columns of the terminal, 0 = unlimited. Decides where columns stand; nothing is ever cut.
    pub width: usize,
    /// Names of labels; without a map they are numbers.
    pub labels: Option<LabelMap>,
}

impl Default for HumanStyle {
    fn default() -> Self {
        Self {
            color: false,
            ascii: false,
            names: false,
            services: true,
            utc: false,
            date: false,
            width: 0,
            labels: None,
        }
    }
}

impl HumanStyle {
    pub(super) fn signs(&self) -> &'static Signs {
        if self.ascii { &signs::ASCII } else { &signs::UNICODE }
    }

    pub(super) fn paint(&self) -> Paint {
        Paint { on: self.color }
    }
}

/// Append the line of a row.
pub fn write(
    style: &HumanStyle,
    recent: &mut Recent,
    content: &Content<'_>,
    place: &mut Place<'_, '_>,
    out: &mut Vec<u8>,
) {
    let kind = place.row.kind;
    out.reserve(256);
    match content {
        Content::Flow(flow) => {
            let ns = place.event_ns(flow.event_ns);
            head(style, kind, ns, place, out);
            flow::write(style, recent, flow, ns, place, out);
        }
        Content::Expectation(expectation) => {
            let ns = place.received_ns();
            head(style, kind, ns, place, out);
            expectation::write(style, recent, expectation, ns, place, out);
        }
        Content::Gap(gap) => {
            head(style, kind, place.received_ns(), place, out);
            write_gap(style, gap, place, out);
        }
    }
    while out.last() == Some(&b' ') {
        out.pop();
    }
    out.push(b'\n');
}

/// `14:03:11.482  +  `
fn head(style: &HumanStyle, kind: Kind, ns: i64, place: &mut Place<'_, '_>, out: &mut Vec<u8>) {
    let (sign, colour) = style.signs().kind(kind);
    if style.date {
        let seconds = ns.div_euclid(1_000_000_000);
        let environment: &dyn super::Environment = place.environment;
        let civil = if style.utc { super::clock::Civil::new(seconds) } else { place.clock.local(seconds, environment) };
        civil.date(out);
        out.push(b' ');
    }
    place.clock.stamp(out, ns, style.utc, place.environment);
    out.extend_from_slice(b"  ");
    style.paint().painted(out, colour, |out| out.extend_from_slice(sign.as_bytes()));
    out.extend_from_slice(b"  ");
}

/// `gap    1,024 events lost between 14:03:19.911 and 14:03:19.998: the reader was too slow`
fn write_gap(style: &HumanStyle, gap: &Gap, place: &mut Place<'_, '_>, out: &mut Vec<u8>) {
    style.paint().painted(out, ALARM, |out| {
        out.extend_from_slice(b"gap    ");
        match gap.lost {
            Some(1) => out.extend_from_slice(b"1 event"),
            Some(lost) => {
                grouped(out, lost);
                out.extend_from_slice(b" events");
            }
            None => out.extend_from_slice(b"an unknown number of events"),
        }
        out.extend_from_slice(b" lost between ");
        place.clock.stamp(out, gap.after_ns, style.utc, place.environment);
        out.extend_from_slice(b" and ");
        place.clock.stamp(out, gap.before_ns, style.utc, place.environment);
        out.extend_from_slice(b": the reader was too slow");
    });
}
