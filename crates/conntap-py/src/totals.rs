//! Sums of what scans met, under the names that the counters have everywhere.

use conntap_core::batch::Scan;
use conntap_core::wire::DecodeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

#[derive(Default)]
pub struct Totals {
    kept: u64,
    filtered: u64,
    foreign: u64,
    malformed: [u64; 4],
    pub interrupted: bool,
    sample: Option<(DecodeError, Vec<u8>)>,
}

impl Totals {
    pub fn add(&mut self, scan: &mut Scan) {
        self.kept += scan.kept;
        self.filtered += scan.filtered;
        self.foreign += scan.foreign;
        self.interrupted |= scan.interrupted;
        for (sum, count) in self.malformed.iter_mut().zip(scan.malformed) {
            *sum += count;
        }
        if self.sample.is_none() {
            self.sample = scan.sample.take();
        }
    }

    pub fn write(&self, counters: &Bound<'_, PyDict>) -> PyResult<()> {
        counters.set_item("rows", self.kept)?;
        counters.set_item("filtered_here", self.filtered)?;
        counters.set_item("foreign", self.foreign)?;
        for (name, count) in DecodeError::COUNTERS.iter().zip(self.malformed) {
            counters.set_item(*name, count)?;
        }
        Ok(())
    }

    pub fn sample<'py>(&self, py: Python<'py>) -> Option<(String, Bound<'py, PyBytes>)> {
        self.sample.as_ref().map(|(error, bytes)| (error.to_string(), PyBytes::new(py, bytes)))
    }
}
