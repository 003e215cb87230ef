//! Rows as bytes for people and scripts: `conntrack`'s text, XML and save forms, and lines that read at a glance.
//!
//! Pure: what depends on the machine (clock, zone, names of programs, hosts and services) comes in through
//! [`Environment`]. A [`Formatter`] keeps only what must live longer than a row: the open XML root, the cached zone
//! offset and the expectations last seen.
//!
//! Reading order: [`conntrack`] (the text line, field by field) → [`xml`], [`save`], [`expectation`] (its siblings) →
//! [`human`], [`table`].

pub mod bytes;
pub mod clock;
pub mod conntrack;
mod direct;
pub mod expectation;
pub mod human;
pub mod labels;
pub mod save;
pub mod table;
pub mod tables;
pub mod xml;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::batch::{Batch, Row};
use crate::model::{Content, Kind};
use crate::wire::Message;

pub use clock::Clock;
pub use conntrack::ConntrackStyle;
pub use human::{HumanStyle, explain_expectation, flow_ends};
pub use labels::LabelMap;
pub use save::{SaveStyle, SaveWord};
pub use xml::XmlStyle;

/// What the pure core cannot know. The methods may be asked for every row: cache what is costly.
pub trait Environment {
    /// Nanoseconds since the epoch; asked only for rows that were received at an unknown time.
    fn now_ns(&self) -> i64;
    /// The local zone's offset at that time, in seconds east of Greenwich.
    fn utc_offset_seconds(&self, epoch_seconds: i64) -> i32;
    /// The name of the program behind a netlink port id.
    fn program(&mut self, port: u32) -> Option<String>;
    /// The name of a host, None if it has none or is not known yet: must not wait.
    fn host_name(&mut self, address: IpAddr) -> Option<String>;
    /// The name of a service (`/etc/services`).
    fn service_name(&mut self, port: u16, l4proto: u8) -> Option<String>;
}

/// An environment that knows nothing but a time: UTC, no names. For recordings and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere {
    pub now_ns: i64,
}

impl Environment for Nowhere {
    fn now_ns(&self) -> i64 {
        self.now_ns
    }
    fn utc_offset_seconds(&self, _: i64) -> i32 {
        0
    }
    fn program(&mut self, _: u32) -> Option<String> {
        None
    }
    fn host_name(&mut self, _: IpAddr) -> Option<String> {
        None
    }
    fn service_name(&mut self, _: u16, _: u8) -> Option<String> {
        None
    }
}

/// How rows are written.
#[derive(Clone, Debug)]
pub enum Style {
    /// The lines of `conntrack`.
    Conntrack(ConntrackStyle),
    /// `conntrack -o xml`.
    Xml(XmlStyle),
    /// `conntrack -o save`: a command line for every flow, readable by `conntrack -R`.
    Save(SaveStyle),
    /// Lines that read at a glance.
    Human(HumanStyle),
}

/// Writes the rows of batches, one line each.
#[derive(Debug)]
pub struct Formatter {
    style: Style,
    clock: Clock,
    /// The XML root that is open.
    root: Option<xml::Root>,
    /// What human lines refer back to.
    recent: human::Recent,
}

impl Formatter {
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self { style, clock: Clock::default(), root: None, recent: human::Recent::default() }
    }

    /// Append every row of `batch`.
    pub fn format(&mut self, batch: &Batch, environment: &mut dyn Environment, out: &mut Vec<u8>) {
        for row in batch.rows() {
            if let Some(message) = batch.message(row) {
                self.message(row, &message, environment, out);
            }
        }
    }

    /// Append one row whose content is not decoded yet: the quickest way from a message to text.
    #[inline]
    pub fn message(&mut self, row: &Row, message: &Message<'_>, environment: &mut dyn Environment, out: &mut Vec<u8>) {
        if let Style::Conntrack(style) = &self.style
            && row.kind == Kind::Entry
            && direct::write(style, message, || received_ns(row, environment), out)
        {
            return;
        }
        if let Ok(content) = Content::decode(row.kind, message) {
            self.row(row, message, &content, environment, out);
        }
    }

    /// Append one row. Gaps give nothing but in the human style: there the caller warns on stderr.
    #[inline]
    pub fn row(
        &mut self,
        row: &Row,
        message: &Message<'_>,
        content: &Content<'_>,
        environment: &mut dyn Environment,
        out: &mut Vec<u8>,
    ) {
        let mut place = Place { row, message, clock: &mut self.clock, environment };
        match (&mut self.style, content) {
            (Style::Conntrack(style), Content::Flow(flow)) => conntrack::write(style, flow, &mut place, out),
            (Style::Conntrack(style), Content::Expectation(expectation)) => {
                expectation::write(style, expectation, &mut place, out);
            }
            (Style::Xml(style), Content::Flow(flow)) => {
                xml::open(&mut self.root, style, xml::Root::Conntrack, out);
                xml::write(style, flow, &mut place, out);
            }
            (Style::Xml(style), Content::Expectation(expectation)) => {
                xml::open(&mut self.root, style, xml::Root::Expect, out);
                expectation::write_xml(style, expectation, &mut place, out);
            }
            (Style::Save(style), Content::Flow(flow)) => save::write(style, flow, &mut place, out),
            (Style::Human(style), content) => human::write(style, &mut self.recent, content, &mut place, out),
            (Style::Save(_), Content::Expectation(_)) => {} // there is no save form of expectations
            (Style::Conntrack(_) | Style::Xml(_) | Style::Save(_), Content::Gap(_)) => {}
        }
    }

    /// End the output: closes the XML root if one was opened.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(root) = self.root.take() {
            root.close(out);
        }
    }
}

fn received_ns(row: &Row, environment: &dyn Environment) -> i64 {
    if row.received_ns != 0 { row.received_ns } else { environment.now_ns() }
}

/// Where a row stands: its envelope, and what the machine knows.
pub struct Place<'a, 'm> {
    pub row: &'a Row,
    pub message: &'a Message<'m>,
    pub clock: &'a mut Clock,
    pub environment: &'a mut dyn Environment,
}

impl Place<'_, '_> {
    /// When the row was received; now, if nobody noted it.
    #[must_use]
    pub fn received_ns(&self) -> i64 {
        received_ns(self.row, self.environment)
    }

    /// When it happened: the kernel's time where it sent one.
    #[must_use]
    pub fn event_ns(&self, kernel: Option<u64>) -> i64 {
        match kernel.and_then(|ns| i64::try_from(ns).ok()) {
            Some(ns) => ns,
            None => self.received_ns(),
        }
    }

    /// ` [USERSPACE] portid=N progname=NAME`, for events that a program caused.
    pub(crate) fn userspace(&mut self, out: &mut Vec<u8>) {
        let port = self.message.port;
        if port == 0 || self.row.kind == Kind::Entry {
            return;
        }
        out.extend_from_slice(b" [USERSPACE] portid=");
        bytes::decimal(out, port.into());
        if let Some(name) = self.environment.program(port) {
            out.extend_from_slice(b" progname=");
            out.extend_from_slice(name.as_bytes());
        }
    }
}
