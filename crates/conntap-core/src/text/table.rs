//! Tables of flows and of expectations for people.
//!
//! ```text
//! PROTO  INSIDE          OUTSIDE             REMOTE                   STATE        AGE   ↑      ↓       LEFT
//! tcp    10.0.0.5:50510  203.0.113.7:50510 → 198.51.100.77:443 https  ESTABLISHED  2 h   12 MB  1.9 GB  119 h
//! ```
//!
//! Rows are measured first, then written: [`FlowTable::measure`] each, [`FlowTable::header`], [`FlowTable::row`] each.
//! Columns that are empty in every row are left out. A stream that cannot be measured uses [`FlowTable::fixed`].

use super::Environment;
use super::human::words::{clean, columns, pad};
use super::human::{
    ALARM, End, HumanStyle, Initiator, duration, end, flags, flow_ends, notes, protocol, service, size, state,
};
use super::human::{traffic, who};
use crate::model::{Expectation, Flow, Kind};

/// Cells of one row: their texts in one vector, reused.
#[derive(Clone, Debug)]
struct Cells<const N: usize> {
    text: Vec<u8>,
    ends: [usize; N],
    count: usize,
}

impl<const N: usize> Cells<N> {
    fn new() -> Self {
        Self { text: Vec::with_capacity(256), ends: [0; N], count: 0 }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.count = 0;
    }

    /// Append a cell.
    fn cell(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        fill(&mut self.text);
        if let Some(end) = self.ends.get_mut(self.count) {
            *end = self.text.len();
        }
        self.count = self.count.saturating_add(1);
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().take(self.count).map(move |end| {
            let cell = self.text.get(start..*end).unwrap_or_default();
            start = *end;
            cell
        })
    }

    /// Widen `widths` to hold these cells.
    fn widen(&self, widths: &mut [usize; N]) {
        for (width, cell) in widths.iter_mut().zip(self.iter()) {
            *width = columns(cell).max(*width);
        }
    }

    /// Write the cells padded to `widths`; columns of width 0 are left out.
    fn write(&self, widths: &[usize; N], out: &mut Vec<u8>) {
        for (width, cell) in widths.iter().zip(self.iter()) {
            if *width > 0 {
                let start = out.len();
                out.extend_from_slice(cell);
                pad(out, start, width.saturating_add(2));
            }
        }
        while out.last() == Some(&b' ') {
            out.pop();
        }
        out.push(b'\n');
    }
}

/// Header widths count only where a row has something in that column.
fn with_header<const N: usize>(widths: &[usize; N], header: &Cells<N>) -> [usize; N] {
    let mut wide = *widths;
    for (width, cell) in wide.iter_mut().zip(header.iter()) {
        if *width > 0 {
            *width = columns(cell).max(*width);
        }
    }
    wide
}

const FLOW_COLUMNS: usize = 11;

/// A table of flows.
#[derive(Clone, Debug)]
pub struct FlowTable {
    style: HumanStyle,
    widths: [usize; FLOW_COLUMNS],
    cells: Cells<FLOW_COLUMNS>,
    now_ns: Option<i64>,
}

impl FlowTable {
    /// An empty table; measure its rows before writing them.
    #[must_use]
    pub fn new(style: HumanStyle) -> Self {
        Self { style, widths: [0; FLOW_COLUMNS], cells: Cells::new(), now_ns: None }
    }

    /// A table with generous columns, for rows that cannot be measured. Longer cells push the rest of their row.
    #[must_use]
    pub fn fixed(style: HumanStyle) -> Self {
        Self { widths: [6, 21, 21, 2, 28, 13, 6, 7, 7, 6, 8], ..Self::new(style) }
    }

    /// Columns that have something to show so far.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.widths.iter().filter(|width| **width > 0).count()
    }

    /// Widen the columns for a row that will be written.
    pub fn measure(&mut self, flow: &Flow<'_>, environment: &mut dyn Environment) {
        self.fill(flow, environment);
        self.cells.widen(&mut self.widths);
    }

    /// Append the header line.
    pub fn header(&mut self, out: &mut Vec<u8>) {
        let signs = self.style.signs();
        let mut header = Cells::new();
        for name in ["PROTO", "INSIDE", "OUTSIDE", "", "REMOTE", "STATE", "AGE", signs.up, signs.down, "LEFT", ""] {
            header.cell(|out| out.extend_from_slice(name.as_bytes()));
        }
        self.widths = with_header(&self.widths, &header);
        header.write(&self.widths, out);
    }

    /// Ages count to this time from now on: that of the table, which may be a capture's.
    pub fn at(&mut self, now_ns: i64) {
        self.now_ns = Some(now_ns);
    }

    /// Append a row.
    pub fn row(&mut self, flow: &Flow<'_>, environment: &mut dyn Environment, out: &mut Vec<u8>) {
        self.fill(flow, environment);
        self.cells.write(&self.widths, out);
    }

    fn fill(&mut self, flow: &Flow<'_>, environment: &mut dyn Environment) {
        let (style, cells) = (&self.style, &mut self.cells);
        let (l4, ends) = (flow.orig.l4proto.unwrap_or(0), flow_ends(flow));
        let inbound = ends.initiator == Initiator::Remote;
        cells.clear();
        cells.cell(|out| protocol(out, flow.orig.l4proto));
        cells.cell(|out| {
            end(style, ends.inside, l4, environment, out);
            // The service is where the flow was going.
            if inbound && style.services && ends.outside.is_none() {
                service(ends.inside, l4, environment, out);
            }
        });
        cells.cell(|out| {
            if let Some(outside) = ends.outside {
                end(style, outside, l4, environment, out);
                if inbound && style.services {
                    service(outside, l4, environment, out);
                }
            }
        });
        let signs = style.signs();
        cells.cell(|out| out.extend_from_slice(if inbound { signs.from } else { signs.to }.as_bytes()));
        cells.cell(|out| {
            end(style, ends.remote, l4, environment, out);
            if !inbound && style.services {
                service(ends.remote, l4, environment, out);
            }
            if let Some(target) = ends.target {
                out.push(b' ');
                out.extend_from_slice(signs.nat.as_bytes());
                out.push(b' ');
                end(style, target, l4, environment, out);
            }
        });
        cells.cell(|out| out.extend_from_slice(state(flow, Kind::Entry).as_bytes()));
        cells.cell(|out| {
            if let Some(start) = flow.start_ns {
                let now = u64::try_from(self.now_ns.unwrap_or_else(|| environment.now_ns())).unwrap_or(0);
                duration(out, flow.stop_ns.unwrap_or(now).saturating_sub(start));
            }
        });
        let (up, down) = traffic(flow, &ends);
        for bytes in [up, down] {
            cells.cell(|out| {
                if let Some(bytes) = bytes {
                    size(out, bytes);
                }
            });
        }
        cells.cell(|out| seconds_left(flow.timeout, out));
        cells.cell(|out| {
            notes(style, flow, out);
            while out.last() == Some(&b' ') {
                out.pop();
            }
        });
    }
}

fn seconds_left(seconds: Option<u32>, out: &mut Vec<u8>) {
    match seconds {
        // A whole number of seconds is what the kernel sends: no decimals.
        Some(seconds @ 0..10) => {
            super::bytes::decimal(out, seconds.into());
            out.extend_from_slice(b" s");
        }
        Some(seconds) => duration(out, u64::from(seconds).saturating_mul(1_000_000_000)),
        None => {}
    }
}

/// Write `flows` as a table with fitting columns.
pub fn write(style: &HumanStyle, flows: &[Flow<'_>], environment: &mut dyn Environment, out: &mut Vec<u8>) {
    let mut table = FlowTable::new(style.clone());
    for flow in flows {
        table.measure(flow, environment);
    }
    table.header(out);
    for flow in flows {
        table.row(flow, environment, out);
    }
}

const EXPECTATION_COLUMNS: usize = 7;

/// A table of expectations. `!` stands before those that anyone may use.
#[derive(Clone, Debug)]
pub struct ExpectationTable {
    style: HumanStyle,
    widths: [usize; EXPECTATION_COLUMNS],
    cells: Cells<EXPECTATION_COLUMNS>,
}

impl ExpectationTable {
    /// An empty table; measure its rows before writing them.
    #[must_use]
    pub fn new(style: HumanStyle) -> Self {
        Self { style, widths: [1, 0, 0, 0, 0, 0, 0], cells: Cells::new() }
    }

    /// A table with generous columns, for rows that cannot be measured.
    #[must_use]
    pub fn fixed(style: HumanStyle) -> Self {
        Self { widths: [1, 7, 28, 26, 6, 44, 9], ..Self::new(style) }
    }

    /// Columns that have something to show so far.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.widths.iter().filter(|width| **width > 0).count()
    }

    /// Widen the columns for a row that will be written.
    pub fn measure(&mut self, expectation: &Expectation<'_>, environment: &mut dyn Environment) {
        self.fill(expectation, environment);
        self.cells.widen(&mut self.widths);
    }

    /// Append the header line.
    pub fn header(&mut self, out: &mut Vec<u8>) {
        let mut header = Cells::new();
        for name in ["", "HELPER", "WHO MAY CONNECT", "TO", "LEFT", "BECAUSE OF", ""] {
            header.cell(|out| out.extend_from_slice(name.as_bytes()));
        }
        self.widths = with_header(&self.widths, &header);
        header.write(&self.widths, out);
    }

    /// Append a row; true if anyone may use the expectation.
    pub fn row(&mut self, expectation: &Expectation<'_>, environment: &mut dyn Environment, out: &mut Vec<u8>) -> bool {
        self.fill(expectation, environment);
        let loud = expectation.any_source();
        let colour = if loud { ALARM } else { "" };
        let mut line = Vec::with_capacity(160);
        self.cells.write(&self.widths, &mut line);
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        self.style.paint().painted(out, colour, |out| out.extend_from_slice(text));
        out.push(b'\n');
        loud
    }

    fn fill(&mut self, expectation: &Expectation<'_>, environment: &mut dyn Environment) {
        let (style, cells) = (&self.style, &mut self.cells);
        let (tuple, master) = (&expectation.tuple, &expectation.master);
        cells.clear();
        cells.cell(|out| out.extend_from_slice(if expectation.any_source() { b"!" } else { b" " }));
        cells.cell(|out| clean(out, expectation.helper.unwrap_or(b"-")));
        cells.cell(|out| who(style, expectation, environment, out));
        cells.cell(|out| {
            end(style, End { address: tuple.dst, port: None }, 0, environment, out);
            out.push(b' ');
            protocol(out, tuple.l4proto);
            if expectation.mask.dport == Some(0) {
                out.extend_from_slice(b" (any port)");
            } else if let Some(port) = tuple.dport {
                out.push(b'/');
                super::bytes::decimal(out, port.into());
            }
        });
        cells.cell(|out| seconds_left(expectation.timeout, out));
        cells.cell(|out| {
            let l4 = master.l4proto.unwrap_or(0);
            end(style, End::source(master), l4, environment, out);
            out.push(b' ');
            out.extend_from_slice(style.signs().to.as_bytes());
            out.push(b' ');
            end(style, End::dest(master), l4, environment, out);
        });
        cells.cell(|out| {
            flags(expectation, out);
            while out.last() == Some(&b' ') {
                out.pop();
            }
        });
    }
}

/// Write `expectations` as a table with fitting columns; returns how many of them anyone may use.
pub fn write_expectations(
    style: &HumanStyle,
    expectations: &[Expectation<'_>],
    environment: &mut dyn Environment,
    out: &mut Vec<u8>,
) -> usize {
    let mut table = ExpectationTable::new(style.clone());
    for expectation in expectations {
        table.measure(expectation, environment);
    }
    table.header(out);
    let mut open = 0usize;
    for expectation in expectations {
        open = open.saturating_add(usize::from(table.row(expectation, environment, out)));
    }
    open
}
