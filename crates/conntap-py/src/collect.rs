//! `IpfixReader`: IPFIX and NetFlow v9 into batches, without I/O.

use std::sync::{Mutex, MutexGuard, PoisonError};

use conntap_core::batch as core;
use conntap_core::ipfix::read::{Limits, Peer, Reader};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::batch::Batch;

/// Reads IPFIX and NetFlow v9 messages of any exporter into records.
#[pyclass(frozen, module = "conntap._core")]
pub struct IpfixReader(Mutex<Reader>);

impl IpfixReader {
    fn held(&self) -> MutexGuard<'_, Reader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl IpfixReader {
    /// `sessions` is how many observation domains of all exporters are remembered, `lifetime_ns` how long a template
    /// holds over UDP without being sent again.
    #[new]
    #[pyo3(signature = (*, sessions=None, lifetime_ns=None))]
    fn new(sessions: Option<usize>, lifetime_ns: Option<i64>) -> Self {
        let usual = Limits::default();
        Self(Mutex::new(Reader::new(Limits {
            sessions: sessions.unwrap_or(usual.sessions),
            lifetime_ns: lifetime_ns.unwrap_or(usual.lifetime_ns),
            ..usual
        })))
    }

    /// Read one datagram.
    #[pyo3(signature = (datagram, exporter, received_ns, port=0))]
    fn feed(&self, py: Python<'_>, datagram: &[u8], exporter: &str, received_ns: i64, port: u16) -> Batch {
        py.detach(|| {
            let mut out = core::Batch::default();
            let peer = Peer { exporter, port, datagram: true };
            let _ = self.held().feed(datagram, &peer, Some(received_ns), &mut out); // a fault is counted
            Batch::new(out)
        })
    }

    /// Read several datagrams, as (bytes, exporter, port), into one batch.
    fn feed_all(&self, py: Python<'_>, datagrams: Vec<(Vec<u8>, String, u16)>, received_ns: i64) -> Batch {
        py.detach(|| {
            let (mut reader, mut out) = (self.held(), core::Batch::default());
            for (datagram, exporter, port) in &datagrams {
                let peer = Peer { exporter, port: *port, datagram: true };
                let _ = reader.feed(datagram, &peer, Some(received_ns), &mut out); // a fault is counted
            }
            Batch::new(out)
        })
    }

    /// Read the messages at the front of a stream. Returns their rows, the bytes they took, and why the rest cannot be
    /// read, if so. Without `received_ns` each message's own time stands for it.
    #[pyo3(signature = (bytes, exporter, received_ns=None, port=0))]
    fn feed_stream(
        &self,
        py: Python<'_>,
        bytes: &[u8],
        exporter: &str,
        received_ns: Option<i64>,
        port: u16,
    ) -> (Batch, usize, Option<String>) {
        py.detach(|| {
            let (mut reader, mut out, mut used) = (self.held(), core::Batch::default(), 0);
            let peer = Peer { exporter, port, datagram: false };
            loop {
                let rest = bytes.get(used..).unwrap_or_default();
                match Reader::framed(rest) {
                    Ok(Some(len)) => {
                        let message = rest.get(..len).unwrap_or_default();
                        let _ = reader.feed(message, &peer, received_ns, &mut out); // a fault is counted, and ends here
                        used += len;
                    }
                    Ok(None) => return (Batch::new(out), used, None),
                    Err(error) => {
                        reader.refuse(error, rest);
                        return (Batch::new(out), used, Some(error.to_string()));
                    }
                }
            }
        })
    }

    /// Time went by: returns gaps that are sure by now.
    fn settle(&self, py: Python<'_>, now_ns: i64) -> Batch {
        py.detach(|| {
            let mut out = core::Batch::default();
            self.held().settle(now_ns, &mut out);
            Batch::new(out)
        })
    }

    /// The connection (or file) of this exporter and port has ended; returns the last gaps.
    #[pyo3(signature = (exporter, port=0))]
    fn end(&self, py: Python<'_>, exporter: &str, port: u16) -> Batch {
        py.detach(|| {
            let mut out = core::Batch::default();
            self.held().end(exporter, port, &mut out);
            Batch::new(out)
        })
    }

    /// What was read, what it became and every loss, by name: docs/collect.md has the list.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        let reader = self.held();
        for (name, value) in reader.counters().all() {
            counters.set_item(name, value)?;
        }
        let (sessions, templates, waiting) = reader.held();
        counters.set_item("sessions_held", sessions)?;
        counters.set_item("templates_held", templates)?;
        counters.set_item("waiting_bytes_held", waiting)?;
        Ok(counters)
    }

    /// The first message that could not be read whole, and why.
    #[getter]
    fn sample<'py>(&self, py: Python<'py>) -> Option<(String, Bound<'py, PyBytes>)> {
        self.held().sample().map(|(error, bytes)| (error.to_string(), PyBytes::new(py, bytes)))
    }
}
