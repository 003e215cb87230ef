//! `Recorder` and `RecordingReader`: recordings, without I/O.

use std::sync::{Mutex, PoisonError};

use conntap_core::batch as core;
use conntap_core::batch::Scan;
use conntap_core::recording::{Options, Reader, Statistics, Writer};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::batch::Batch;
use crate::errors::{ClosedError, RecordingError};
use crate::filter::{Filter, wanted};
use crate::totals::Totals;

/// Turns batches into the bytes of a pcapng file.
#[pyclass(frozen, module = "conntap._core")]
pub struct Recorder(Mutex<Option<Writer>>);

#[pymethods]
impl Recorder {
    /// Begin a file; returns the recorder and the file's first bytes.
    #[staticmethod]
    #[pyo3(signature = (*, hardware="", os="", description="", filter=""))]
    fn begin<'py>(
        py: Python<'py>,
        hardware: &str,
        os: &str,
        description: &str,
        filter: &str,
    ) -> (Self, Bound<'py, PyBytes>) {
        let (writer, head) = Writer::new(&Options { hardware, os, description, filter, ..Options::default() });
        (Self(Mutex::new(Some(writer))), PyBytes::new(py, &head))
    }

    /// The bytes of a batch's rows.
    fn write<'py>(&self, py: Python<'py>, batch: &Batch) -> PyResult<Bound<'py, PyBytes>> {
        let written = py.detach(|| {
            let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let writer = writer.as_mut()?;
            let mut out = Vec::with_capacity(batch.0.used() * 2);
            let mut refused = None;
            for row in batch.0.rows() {
                refused = writer.write(&mut out, batch.0.row_bytes(row), row.received_ns, None).err().or(refused);
            }
            Some((out, refused))
        });
        match written {
            Some((out, None)) => Ok(PyBytes::new(py, &out)),
            Some((_, Some(error))) => Err(RecordingError::new_err(error.to_string())),
            None => Err(ClosedError::new_err("the recording is finished")),
        }
    }

    /// The file's last bytes: its totals.
    #[pyo3(signature = (*, start_ns, end_ns, received, lost, accepted))]
    fn finish<'py>(
        &self,
        py: Python<'py>,
        start_ns: i64,
        end_ns: i64,
        received: u64,
        lost: u64,
        accepted: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let writer = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return Err(ClosedError::new_err("the recording is finished")) };
        let mut out = Vec::new();
        writer.finish(
            &mut out,
            &Statistics {
                start_ns: Some(start_ns),
                end_ns: Some(end_ns),
                received: Some(received),
                lost: Some(lost),
                accepted: Some(accepted),
            },
        );
        Ok(PyBytes::new(py, &out))
    }
}

/// Turns the bytes of a recording into batches.
#[pyclass(frozen, module = "conntap._core")]
pub struct RecordingReader {
    state: Mutex<State>,
    filter: Option<Filter>,
}

struct State {
    reader: Reader,
    totals: Totals,
}

#[pymethods]
impl RecordingReader {
    #[new]
    #[pyo3(signature = (filter=None))]
    fn new(filter: Option<&Filter>) -> Self {
        let state = State { reader: Reader::new(), totals: Totals::default() };
        Self { state: Mutex::new(state), filter: filter.cloned() }
    }

    /// Read some bytes of the file; returns the rows that are whole by now, and the faults that were met.
    fn feed(&self, py: Python<'_>, bytes: &[u8]) -> (Batch, Vec<String>) {
        py.detach(|| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let State { reader, totals } = &mut *state;
            let (mut batch, mut scan, mut faults) = (core::Batch::default(), Scan::default(), Vec::new());
            reader.feed(bytes);
            while let Some(found) = reader.next() {
                match found {
                    Ok(packet) => {
                        if let Some(gap) = &packet.gap {
                            batch.push_gap(gap);
                        }
                        batch.append(packet.datagram, packet.received_ns, &mut wanted(self.filter.as_ref()), &mut scan);
                    }
                    Err(error) => faults.push(error.to_string()),
                }
            }
            totals.add(&mut scan);
            (Batch::new(batch), faults)
        })
    }

    /// Say that the file has ended; returns what is wrong with its end, if anything.
    fn finish(&self) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reader.finish().err().map(|error| error.to_string())
    }

    /// Rows kept, and every loss and omission by name.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = state.reader.counters();
        state.totals.write(&counters)?;
        counters.set_item("received", found.packets)?;
        // A capture by another program may tell its drops only in the file's own totals.
        let told = state.reader.statistics().and_then(|totals| totals.lost).unwrap_or_default();
        counters.set_item("lost", found.lost.max(told))?;
        counters.set_item("recording_other_blocks", found.other_blocks)?;
        counters.set_item("recording_other_protocols", found.other_protocols)?;
        counters.set_item("recording_requests", found.requests)?;
        counters.set_item("recording_other_linktypes", found.other_linktypes)?;
        counters.set_item("recording_cut", found.cut)?;
        for (name, count) in conntap_core::recording::RecordingError::COUNTERS.iter().zip(found.refused) {
            counters.set_item(*name, count)?;
        }
        Ok(counters)
    }

    /// The first malformed message and why it was refused.
    #[getter]
    fn sample<'py>(&self, py: Python<'py>) -> Option<(String, Bound<'py, PyBytes>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).totals.sample(py)
    }
}
