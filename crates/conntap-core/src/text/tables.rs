//! Tables over many batches: a heading, and again one when a later batch brings a column that was empty so far.

use super::Environment;
use super::human::HumanStyle;
use super::table::{ExpectationTable, FlowTable};
use crate::batch::Batch;
use crate::model::Content;

/// Writes flows and expectations as tables, each kind under a heading of its own.
#[derive(Clone, Debug)]
pub struct Tables {
    flows: FlowTable,
    expectations: ExpectationTable,
    /// Columns of the last heading: flows, expectations.
    headed: (usize, usize),
}

impl Tables {
    #[must_use]
    pub fn new(style: HumanStyle) -> Self {
        Self { flows: FlowTable::new(style.clone()), expectations: ExpectationTable::new(style), headed: (0, 0) }
    }

    /// Append the rows of `batch`; gaps have no place in a table.
    pub fn format(&mut self, batch: &Batch, environment: &mut dyn Environment, out: &mut Vec<u8>) {
        for (row, _, content) in batch.iter() {
            match &content {
                Content::Flow(flow) => {
                    self.flows.at(row.received_ns);
                    self.flows.measure(flow, environment);
                }
                Content::Expectation(expectation) => self.expectations.measure(expectation, environment),
                Content::Gap(_) => {}
            }
        }
        for (_, _, content) in batch.iter() {
            match &content {
                Content::Flow(flow) => {
                    if std::mem::replace(&mut self.headed.0, self.flows.shown()) != self.flows.shown() {
                        self.flows.header(out);
                    }
                    self.flows.row(flow, environment, out);
                }
                Content::Expectation(expectation) => {
                    if std::mem::replace(&mut self.headed.1, self.expectations.shown()) != self.expectations.shown() {
                        self.expectations.header(out);
                    }
                    self.expectations.row(expectation, environment, out);
                }
                Content::Gap(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Scan;
    use crate::model::{Counters, Flow};
    use crate::text::Nowhere;
    use crate::wire::Writer;
    use crate::wire::constants::*;

    fn batch(flow: &Flow<'_>) -> Batch {
        let mut writer = Writer::new(CT_NEW, NLM_F_MULTI, 0, 0, AF_INET, 0, 0);
        flow.write(&mut writer);
        let mut batch = Batch::default();
        batch.append(&writer.finish(), 1, &mut |_, _, _| true, &mut Scan::default());
        batch
    }

    #[test]
    fn a_column_that_a_later_batch_brings_gets_a_heading() {
        let bare = Flow { family: AF_INET, timeout: Some(9), ..Flow::default() };
        let counted = Flow { counters_orig: Some(Counters { packets: Some(1), bytes: Some(2) }), ..bare.clone() };
        let (mut tables, mut out) = (Tables::new(HumanStyle { ascii: true, ..HumanStyle::default() }), Vec::new());
        for flow in [&bare, &bare, &counted, &counted] {
            tables.format(&batch(flow), &mut Nowhere::default(), &mut out);
        }
        let text = String::from_utf8(out).unwrap();
        let headings: Vec<_> = text.lines().filter(|line| line.starts_with("PROTO")).collect();
        assert_eq!(headings.len(), 2, "{text}");
        assert!(!headings[0].contains("UP") && text.lines().count() == 6, "{text}");
    }
}
