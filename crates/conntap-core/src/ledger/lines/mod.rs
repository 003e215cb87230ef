//! Records as lines: JSON, CSV, syslog, and what journald takes.
//!
//! One writer a row, nothing kept between rows but scratch memory. The core knows neither clock nor zone: styles with
//! local times are told the zone's offset.

mod chosen;
mod csv;
mod journal;
mod params;
mod sentence;
mod syslog;
mod ulogd;

pub use chosen::{Chosen, UnknownField};
pub use csv::Csv;
pub use journal::Journal;
pub use syslog::{Layout, Syslog};
pub use ulogd::Ulogd;

use crate::batch::{Batch, Row};
use crate::json;
use crate::model::Content;
use crate::text::bytes;
use crate::wire::Message;

/// How a record is written.
#[derive(Clone, Debug)]
pub enum Style {
    /// One JSON object, under the names of docs/fields.md.
    Json,
    /// One JSON object, under ulogd's keys.
    Ulogd(Ulogd),
    Csv(Box<Csv>),
    Syslog(Syslog),
    Journal(Journal),
}

/// What stands around each record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// As the style has it: a line end behind JSON and CSV, nothing around a datagram.
    #[default]
    None,
    /// A line feed behind each (RFC 6587, 3.4.2).
    LineFeed,
    /// Its length in front of each (RFC 6587, 3.4.1).
    Octets,
}

/// Writes records as lines.
#[derive(Clone, Debug)]
pub struct Lines {
    style: Style,
    framing: Framing,
    chosen: Chosen,
    scratch: params::Scratch,
}

impl Lines {
    #[must_use]
    pub fn new(style: Style, framing: Framing, chosen: Chosen) -> Self {
        Self { style, framing, chosen, scratch: params::Scratch::default() }
    }

    /// What stands before the first record: the header of a CSV file.
    pub fn head(&self, out: &mut Vec<u8>) {
        if let Style::Csv(_) = self.style {
            csv::head(&self.chosen, out);
        }
    }

    /// Records that were too long for their datagram and lost optional parts.
    #[must_use]
    pub fn shortened(&self) -> u64 {
        self.scratch.shortened
    }

    /// Append one row.
    #[inline]
    pub fn row(
        &mut self,
        out: &mut Vec<u8>,
        row: &Row,
        message: &Message<'_>,
        content: &Content<'_>,
        utc_offset_seconds: i32,
    ) {
        let start = out.len();
        let Self { style, framing, chosen, scratch } = self;
        match style {
            Style::Json if chosen.is_all() => json::write_row(out, row, message, content),
            Style::Json => json::write_chosen(out, row, message, content, |field| chosen.has(field)),
            Style::Ulogd(style) => style.row(out, row, content, utc_offset_seconds),
            Style::Csv(style) => style.row(out, row, message, content, chosen),
            Style::Syslog(style) => style.row(out, (row, message, content), chosen, scratch, utc_offset_seconds),
            Style::Journal(style) => style.row(out, (row, message, content), chosen, scratch),
        }
        match framing {
            Framing::None => {}
            Framing::LineFeed => out.push(b'\n'),
            Framing::Octets => {
                let mut prefix = Vec::with_capacity(8);
                bytes::decimal(&mut prefix, u64::try_from(out.len().saturating_sub(start)).unwrap_or(u64::MAX));
                prefix.push(b' ');
                out.splice(start..start, prefix);
            }
        }
    }

    /// Append all rows of a batch.
    pub fn batch(&mut self, out: &mut Vec<u8>, batch: &Batch, utc_offset_seconds: i32) {
        for (row, message, content) in batch.iter() {
            self.row(out, row, &message, &content, utc_offset_seconds);
        }
    }

    /// Append all rows of a batch, and to `ends` where each of them ends.
    pub fn datagrams(&mut self, out: &mut Vec<u8>, ends: &mut Vec<usize>, batch: &Batch, utc_offset_seconds: i32) {
        for (row, message, content) in batch.iter() {
            self.row(out, row, &message, &content, utc_offset_seconds);
            ends.push(out.len());
        }
    }
}
