//! `Batch`: rows on their way. Python objects for rows are made only when asked for.

use std::sync::Arc;

use conntap_core::batch as core;
use conntap_core::batch::{Row, Scan};
use conntap_core::model::{Content, Kind};
use conntap_core::wire::Message;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};

use crate::filter::{Filter, wanted};
use crate::rows::{Event, Expectation, Flow};

/// Rows of the kernel's messages, in order.
#[pyclass(frozen, module = "conntap._core")]
pub struct Batch(pub Arc<core::Batch>);

impl Batch {
    pub fn new(batch: core::Batch) -> Self {
        Self(Arc::new(batch))
    }
}

/// One row of a batch: what `Flow`, `Expectation` and `Event` hold.
pub struct Handle {
    batch: Arc<core::Batch>,
    row: Row,
}

impl Handle {
    pub fn row(&self) -> &Row {
        &self.row
    }

    pub fn batch(&self) -> &core::Batch {
        &self.batch
    }

    pub fn again(&self) -> Self {
        Self { batch: Arc::clone(&self.batch), row: self.row }
    }

    pub fn content(&self) -> PyResult<(Message<'_>, Content<'_>)> {
        self.batch.content(&self.row).ok_or_else(|| PyIndexError::new_err("the row is not in its batch"))
    }

    pub fn bytes(&self) -> &[u8] {
        self.batch.row_bytes(&self.row)
    }
}

/// A record's number; 0 of other rows.
fn seq_of(content: &Content<'_>) -> u64 {
    match content {
        Content::Flow(flow) => flow.record.map_or(0, |record| record.seq),
        Content::Gap(gap) => gap.seq,
        Content::Expectation(_) => 0,
    }
}

#[pymethods]
impl Batch {
    /// Index whole datagrams from memory: (bytes, received_ns) pairs. Malformed messages are left out.
    #[staticmethod]
    pub fn of(datagrams: Vec<(Vec<u8>, i64)>) -> Self {
        let (mut batch, mut scan) = (core::Batch::default(), Scan::default());
        for (datagram, received_ns) in &datagrams {
            batch.append(datagram, *received_ns, &mut |_, _, _| true, &mut scan);
        }
        Self::new(batch)
    }

    /// One GAP row: cause (overrun, restart, clock, flush, reconcile, damage, tick), bounds, and how many were lost.
    #[staticmethod]
    #[pyo3(signature = (cause, after_ns, before_ns, lost=None))]
    fn gap(cause: &str, after_ns: i64, before_ns: i64, lost: Option<u64>) -> PyResult<Self> {
        crate::ledger::gap_batch(cause, after_ns, before_ns, lost)
    }

    /// The rows of several batches as one.
    #[staticmethod]
    fn concat(py: Python<'_>, batches: Vec<PyRef<'_, Self>>) -> Self {
        let batches: Vec<_> = batches.iter().map(|batch| Arc::clone(&batch.0)).collect();
        py.detach(|| {
            let mut whole = core::Batch::default();
            for batch in batches {
                whole.extend(&batch);
            }
            Self::new(whole)
        })
    }

    /// Records: those numbered above `seq`. Other rows are left out.
    fn after(&self, py: Python<'_>, seq: u64) -> Self {
        py.detach(|| {
            let mut batch = core::Batch::clone(&self.0);
            batch.retain(&mut |_, content, _| seq_of(content) > seq);
            Self::new(batch)
        })
    }

    /// Records: number of the first one; 0 where there is none.
    #[getter]
    fn first_seq(&self) -> u64 {
        self.0.rows().first().and_then(|row| self.0.content(row)).map_or(0, |(_, content)| seq_of(&content))
    }

    /// Records: number of the last one; 0 where there is none.
    #[getter]
    fn last_seq(&self) -> u64 {
        self.0.rows().last().and_then(|row| self.0.content(row)).map_or(0, |(_, content)| seq_of(&content))
    }

    /// When the first row was received; 0 where there is none.
    #[getter]
    fn first_received_ns(&self) -> i64 {
        self.0.rows().first().map_or(0, |row| row.received_ns)
    }

    /// When the last row was received; 0 where there is none.
    #[getter]
    fn last_received_ns(&self) -> i64 {
        self.0.rows().last().map_or(0, |row| row.received_ns)
    }

    /// Up to when the kernel had told what happened when it sent the last of these events; at least *known_ns*.
    ///
    /// By its own timestamps where there are any. Only the last *rows* rows are looked at.
    #[pyo3(signature = (known_ns, rows=None))]
    fn until(&self, py: Python<'_>, known_ns: i64, rows: Option<usize>) -> i64 {
        py.detach(|| conntap_core::ledger::until(&self.0, known_ns, rows.unwrap_or(usize::MAX)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __repr__(&self) -> String {
        format!("<conntap.Batch of {} rows>", self.0.len())
    }

    /// Bytes of messages held.
    #[getter]
    fn nbytes(&self) -> usize {
        self.0.used()
    }

    /// The first `rows` rows.
    fn head(&self, rows: usize) -> Self {
        if rows >= self.0.len() {
            return Self(Arc::clone(&self.0));
        }
        let mut batch = core::Batch::clone(&self.0);
        batch.truncate(rows);
        Self::new(batch)
    }

    /// The rows that the filter wants.
    fn filter(&self, py: Python<'_>, filter: &Filter) -> Self {
        py.detach(|| {
            let mut batch = core::Batch::clone(&self.0);
            batch.retain(&mut wanted(Some(filter)));
            Self::new(batch)
        })
    }

    /// All rows as `Event`.
    fn events(&self) -> Rows {
        Rows { batch: Arc::clone(&self.0), next: 0.into(), make: Make::Event }
    }

    /// The rows about flows as `Flow`.
    fn flows(&self) -> Rows {
        Rows { batch: Arc::clone(&self.0), next: 0.into(), make: Make::Flow }
    }

    /// The rows about expectations as `Expectation`.
    fn expectations(&self) -> Rows {
        Rows { batch: Arc::clone(&self.0), next: 0.into(), make: Make::Expectation }
    }

    /// Rows of expectations, and of flows that began because of one, as plain values for a guard.
    ///
    /// Each is (index, kind, received_ns, id, timeout, flags or status, subject); a subject is (helper, protocol,
    /// source, its mask, source port, its mask, destination, destination port, the master's source, destination,
    /// protocol, source port, destination port, zone). Addresses are bytes.
    fn announced<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, pyo3::types::PyTuple>>> {
        crate::announced::rows(py, &self.0)
    }

    /// The messages' own bytes, with the time each was received.
    fn messages<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, i64)> {
        self.0.rows().iter().map(|row| (PyBytes::new(py, self.0.row_bytes(row)), row.received_ns)).collect()
    }

    /// How many rows there are of each kind, by name.
    fn kinds(&self) -> Vec<(&'static str, usize)> {
        let mut counts = Kind::ALL.map(|kind| (kind.name(), 0));
        for row in self.0.rows() {
            if let Some((_, count)) = counts.get_mut(row.kind as usize) {
                *count += 1;
            }
        }
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// The Arrow PyCapsule protocol: schema and struct array, columns as in docs/fields.md.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        drop(requested_schema); // a consumer's wish for another schema is its own to fulfil
        crate::arrow::batch_capsules(py, self)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        crate::arrow::arrow_schema(py)
    }

    /// One object a line (NDJSON), field names of docs/fields.md.
    fn json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let lines = py.detach(|| {
            let mut out = Vec::with_capacity(self.0.len() * 512);
            for (row, message, content) in self.0.iter() {
                conntap_core::json::write_row(&mut out, row, &message, &content);
            }
            out
        });
        PyBytes::new(py, &lines)
    }
}

#[derive(Clone, Copy)]
enum Make {
    Event,
    Flow,
    Expectation,
}

/// A walk over the rows of one batch.
#[pyclass(frozen, module = "conntap._core")]
pub struct Rows {
    batch: Arc<core::Batch>,
    next: std::sync::atomic::AtomicUsize,
    make: Make,
}

#[pymethods]
impl Rows {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        loop {
            let index = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(row) = self.batch.rows().get(index) else { return Ok(None) };
            let handle = || Handle { batch: Arc::clone(&self.batch), row: *row };
            return Ok(Some(match self.make {
                Make::Event => Py::new(py, Event(handle()))?.into_any(),
                Make::Flow if row.kind.is_flow() => Py::new(py, Flow(handle()))?.into_any(),
                Make::Expectation if row.kind.is_expectation() => Py::new(py, Expectation(handle()))?.into_any(),
                _ => continue,
            }));
        }
    }
}
