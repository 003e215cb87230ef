//! `IpfixExporter`: records as IPFIX messages.

use std::sync::{Mutex, MutexGuard, PoisonError};

use conntap_core::ipfix;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::batch::Batch;
use crate::errors::UsageError;

/// Writes records as messages of IPFIX (RFC 7011) or NetFlow v9. One of it is one session with a collector.
#[pyclass(frozen, module = "conntap._core")]
pub struct IpfixExporter(Mutex<ipfix::Exporter>);

type Bytes<'py> = Vec<Bound<'py, PyBytes>>;

impl IpfixExporter {
    fn held(&self) -> MutexGuard<'_, ipfix::Exporter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written<'py>(
        &self,
        py: Python<'py>,
        now_ns: Option<i64>,
        write: impl FnOnce(&mut ipfix::Exporter, i64) -> [ipfix::Messages; 3] + Send,
    ) -> Bytes<'py> {
        let streams = py.detach(|| write(&mut self.held(), now_ns.unwrap_or_else(conntap_sys::clock::now_ns)));
        streams.iter().flat_map(ipfix::Messages::iter).map(|message| PyBytes::new(py, message)).collect()
    }
}

#[pymethods]
impl IpfixExporter {
    #[new]
    #[pyo3(signature = (*, mtu=1400, domain=1, version=10, nanoseconds=false, extended=false, nat_events="yes"))]
    fn new(
        mtu: usize,
        domain: u32,
        version: u8,
        nanoseconds: bool,
        extended: bool,
        nat_events: &str,
    ) -> PyResult<Self> {
        let version = match version {
            10 => ipfix::Version::Ipfix,
            9 => ipfix::Version::NetFlow9,
            other => return Err(UsageError::new_err(format!("unknown version {other}: 10 (IPFIX) or 9 (NetFlow v9)"))),
        };
        let nat_events = match nat_events {
            "no" => ipfix::NatEvents::None,
            "yes" => ipfix::NatEvents::Standard,
            "historic" => ipfix::NatEvents::Historic,
            other => return Err(UsageError::new_err(format!("unknown nat-events '{other}': yes, no or historic"))),
        };
        if !(ipfix::MIN_LIMIT..=65_535).contains(&mtu) {
            return Err(UsageError::new_err(format!("mtu {mtu}: a message has 512 to 65535 octets")));
        }
        let options = ipfix::Options { version, limit: mtu, domain, nanoseconds, extended, nat_events };
        Ok(Self(Mutex::new(ipfix::Exporter::new(options))))
    }

    /// The batch's records as messages. A template that is new in this session goes before its first record.
    #[pyo3(signature = (batch, now_ns=None))]
    fn encode<'py>(&self, py: Python<'py>, batch: &Batch, now_ns: Option<i64>) -> Bytes<'py> {
        self.written(py, now_ns, |exporter, now_ns| exporter.encode(&batch.0, now_ns))
    }

    /// All templates of this session, and what our own elements are: when a session begins, over UDP again and again.
    #[pyo3(signature = (now_ns=None))]
    fn templates<'py>(&self, py: Python<'py>, now_ns: Option<i64>) -> Bytes<'py> {
        self.written(py, now_ns, |exporter, now_ns| exporter.templates(now_ns))
    }

    /// Options records of what was sent so far. `not_sent`: flows that were given up before they came here.
    #[pyo3(signature = (*, not_sent=0, now_ns=None))]
    fn statistics<'py>(&self, py: Python<'py>, not_sent: u64, now_ns: Option<i64>) -> Bytes<'py> {
        self.written(py, now_ns, |exporter, now_ns| exporter.statistics(not_sent, now_ns))
    }

    /// A new session: sequence numbers from 0, nothing announced. Counters go on.
    fn restart(&self) {
        self.held().restart();
    }

    /// What the last call gave was not sent: everything is as it was before.
    fn take_back(&self) {
        self.held().take_back();
    }

    /// Templates announced in this session; it grows when one has just been sent for the first time.
    #[getter]
    fn announced(&self) -> usize {
        self.held().announced()
    }

    /// Number of the last record written.
    #[getter]
    fn seq(&self) -> u64 {
        self.held().seq()
    }

    /// What was sent and what was left out, by name: docs/ipfix.md has the list.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        let (totals, counted) = {
            let held = self.held();
            (held.totals(), held.counters())
        };
        for (name, value) in counted.all() {
            counters.set_item(name, value)?;
        }
        counters.set_item("messages", totals.messages)?;
        counters.set_item("octets", totals.octets)?;
        counters.set_item("data_records", totals.records)?;
        Ok(counters)
    }
}
