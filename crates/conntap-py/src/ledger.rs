//! `Ledger`: joins events and dumps into records.

use std::sync::{Mutex, MutexGuard, PoisonError};

use conntap_core::batch as core;
use conntap_core::ledger as stage;
use conntap_core::model::{Cause, Gap};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::batch::Batch;
use crate::errors::UsageError;

/// Joins events and dumps into records: one for each connection that ends, and what is not known.
#[pyclass(frozen, module = "conntap._core")]
pub struct Ledger(Mutex<stage::Ledger>);

impl Ledger {
    fn held(&self) -> MutexGuard<'_, stage::Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self, py: Python<'_>, write: impl FnOnce(&mut stage::Ledger, &mut core::Batch) + Send) -> Batch {
        py.detach(|| {
            let mut out = core::Batch::default();
            write(&mut self.held(), &mut out);
            Batch::new(out)
        })
    }
}

#[pymethods]
impl Ledger {
    #[new]
    #[pyo3(signature = (*, seed=None, bindings="none", grace_ns=5_000_000_000, seq=0))]
    fn new(seed: Option<(u64, u64)>, bindings: &str, grace_ns: i64, seq: u64) -> PyResult<Self> {
        let bindings = match bindings {
            "none" => stage::Bindings::None,
            "nat" => stage::Bindings::Nat,
            "all" => stage::Bindings::All,
            other => return Err(UsageError::new_err(format!("unknown bindings '{other}': none, nat or all"))),
        };
        Ok(Self(Mutex::new(stage::Ledger::new(stage::Options {
            seed: seed.unwrap_or_default().into(),
            bindings,
            grace_ns,
            seq,
        }))))
    }

    /// Take in events, gaps, open flows of an earlier run, and records of others; returns the records made.
    fn feed(&self, py: Python<'_>, batch: &Batch) -> Batch {
        self.written(py, |ledger, out| ledger.feed(&batch.0, out))
    }

    /// Begin to compare with a dump of the table. Events may be fed between its parts.
    ///
    /// *at_ns*: just before; what the dump shows was alive then.
    #[pyo3(signature = (at_ns=i64::MAX))]
    fn begin_dump(&self, at_ns: i64) {
        self.held().begin_dump(at_ns);
    }

    /// Take in a part of a dump; returns interim records of flows without a record since `interim_before_ns`.
    #[pyo3(signature = (batch, interim_before_ns=None))]
    fn dump(&self, py: Python<'_>, batch: &Batch, interim_before_ns: Option<i64>) -> Batch {
        self.written(py, |ledger, out| ledger.dump(&batch.0, interim_before_ns.unwrap_or(i64::MIN), out))
    }

    /// The dump is over: what it did not show ended after `after_ns` and before `before_ns`, when the dump began.
    fn end_dump(&self, py: Python<'_>, after_ns: i64, before_ns: i64) -> Batch {
        self.written(py, |ledger, out| ledger.end_dump(after_ns, before_ns, out))
    }

    /// Say what no snapshot holds, and forget it: from here on records follow from `open()` and the rows fed.
    fn close_epoch(&self, py: Python<'_>) -> Batch {
        self.written(py, stage::Ledger::close_epoch)
    }

    /// Flows held open, as OPEN rows: some from a place on, and the place to go on from (None at the end).
    #[pyo3(signature = (start=0, limit=65_536))]
    fn open(&self, py: Python<'_>, start: u32, limit: usize) -> (Batch, Option<u32>) {
        py.detach(|| {
            let mut out = core::Batch::default();
            let next = self.held().open(start, limit, conntap_sys::clock::now_ns(), &mut out);
            (Batch::new(out), next)
        })
    }

    fn __len__(&self) -> usize {
        self.held().len()
    }

    /// Number of the last record.
    #[getter]
    fn seq(&self) -> u64 {
        self.held().seq()
    }

    /// Something waits for time to go by: feed a row now and then (`Batch.gap("tick", …)`).
    #[getter]
    fn waits(&self) -> bool {
        self.held().waits()
    }

    /// Every flow that was ever told of is open or has its record.
    #[getter]
    fn balanced(&self) -> bool {
        self.held().balanced()
    }

    /// Bytes of memory that the open flows take.
    #[getter]
    fn nbytes(&self) -> usize {
        self.held().memory()
    }

    /// What came, what was recorded and every loss, by name: docs/ledger.md has the list.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        for (name, value) in self.held().counters().all() {
            counters.set_item(name, value)?;
        }
        counters.set_item("open", self.held().len())?;
        Ok(counters)
    }
}

/// A batch of one GAP row.
pub fn gap_batch(cause: &str, after_ns: i64, before_ns: i64, lost: Option<u64>) -> PyResult<Batch> {
    let Some(cause) = Cause::named(cause) else {
        return Err(UsageError::new_err(format!("unknown cause of a gap '{cause}'")));
    };
    let mut batch = core::Batch::default();
    batch.push_gap(&Gap { lost, after_ns, before_ns, cause, ..Gap::default() });
    Ok(Batch::new(batch))
}
