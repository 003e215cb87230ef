//! Tables over many batches: a heading once, columns that fit the first batch and grow with later ones.

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
    headed: (bool, bool),
}

impl Tables {
    #[must_use]
    pub fn new(style: HumanStyle) -> Self {
        Self {
            flows: FlowTable::new(style.clone()),
            expectations: ExpectationTable::new(style),
            headed: (false, false),
        }
    }

    /// Append the rows of `batch`; gaps have no place in a table.
    pub fn format(&mut self, batch: &Batch, environment: &mut dyn Environment, out: &mut Vec<u8>) {
        for (_, _, content) in batch.iter() {
            match &content {
                Content::Flow(flow) => self.flows.measure(flow, environment),
                Content::Expectation(expectation) => self.expectations.measure(expectation, environment),
                Content::Gap(_) => {}
            }
        }
        for (_, _, content) in batch.iter() {
            match &content {
                Content::Flow(flow) => {
                    if !std::mem::replace(&mut self.headed.0, true) {
                        self.flows.header(out);
                    }
                    self.flows.row(flow, environment, out);
                }
                Content::Expectation(expectation) => {
                    if !std::mem::replace(&mut self.headed.1, true) {
                        self.expectations.header(out);
                    }
                    self.expectations.row(expectation, environment, out);
                }
                Content::Gap(_) => {}
            }
        }
    }
}
