//! Rows as frozen objects: `Event`, `Flow`, `Expectation`, `Tuple`, `Counters`. Getters decode when asked.

use conntap_core::model as core;
use conntap_core::model::names;
use conntap_core::model::record::end_reason;
use conntap_core::model::{Content, ProtoInfo};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyFrozenSet};

use crate::address;
use crate::batch::Handle;

/// One direction of a flow, or one side of an expectation. A field that was not sent is None.
#[pyclass(frozen, eq, hash, module = "conntap._core")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tuple(pub core::Tuple);

#[pymethods]
impl Tuple {
    #[getter]
    fn src(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.0.src.map(|address| address::to_python(py, address)).transpose()
    }
    #[getter]
    fn dst(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.0.dst.map(|address| address::to_python(py, address)).transpose()
    }
    #[getter]
    fn l4proto(&self) -> Option<u8> {
        self.0.l4proto
    }
    /// Name of the protocol, or its number as text where it has no tracker.
    #[getter]
    fn protocol(&self) -> Option<String> {
        self.0.l4proto.map(protocol)
    }
    #[getter]
    fn sport(&self) -> Option<u16> {
        self.0.sport
    }
    #[getter]
    fn dport(&self) -> Option<u16> {
        self.0.dport
    }
    #[getter]
    fn icmp_type(&self) -> Option<u8> {
        self.0.icmp_type
    }
    #[getter]
    fn icmp_code(&self) -> Option<u8> {
        self.0.icmp_code
    }
    #[getter]
    fn icmp_id(&self) -> Option<u16> {
        self.0.icmp_id
    }
    #[getter]
    fn zone(&self) -> Option<u16> {
        self.0.zone
    }
    fn __repr__(&self) -> String {
        let end = |address: Option<std::net::IpAddr>, port: Option<u16>| match (address, port) {
            (Some(std::net::IpAddr::V6(address)), Some(port)) => format!("[{address}]:{port}"),
            (Some(address), Some(port)) => format!("{address}:{port}"),
            (Some(address), None) => address.to_string(),
            (None, _) => "?".to_owned(),
        };
        let protocol = self.0.l4proto.map_or_else(|| "?".to_owned(), protocol);
        format!("<Tuple {protocol} {} -> {}>", end(self.0.src, self.0.sport), end(self.0.dst, self.0.dport))
    }
}

fn protocol(number: u8) -> String {
    names::l4proto(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// Packets and bytes of one direction.
#[pyclass(frozen, get_all, eq, hash, module = "conntap._core")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Counters {
    packets: Option<u64>,
    bytes: Option<u64>,
}

impl Counters {
    fn of(counters: core::Counters) -> Self {
        Self { packets: counters.packets, bytes: counters.bytes }
    }
}

/// One entry of the connection tracking table, as a dump or an event reported it.
#[pyclass(frozen, module = "conntap._core")]
pub struct Flow(pub Handle);

impl Flow {
    fn get<T>(&self, pick: impl FnOnce(&core::Flow<'_>) -> T) -> PyResult<T> {
        match self.0.content()? {
            (_, Content::Flow(flow)) => Ok(pick(&flow)),
            _ => Err(PyTypeError::new_err("the row is not about a flow")),
        }
    }
}

fn state_name(table: &[&str], number: u8) -> String {
    table.get(usize::from(number)).map_or_else(|| format!("UNKNOWN_{number}"), |name| (*name).to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

static STATUS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

#[pymethods]
impl Flow {
    /// `ENTRY`, `NEW`, `UPDATE` or `DESTROY`: how this flow was reported.
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.row().kind.name()
    }
    #[getter]
    fn received_ns(&self) -> i64 {
        self.0.row().received_ns
    }
    /// Port id of the netlink requester that caused the event, 0 for packets and timers.
    #[getter]
    fn portid(&self) -> PyResult<u32> {
        Ok(self.0.content()?.0.port)
    }
    #[getter]
    fn family(&self) -> PyResult<u8> {
        self.get(|flow| flow.family)
    }
    #[getter]
    fn original(&self) -> PyResult<Tuple> {
        self.get(|flow| Tuple(flow.orig))
    }
    #[getter]
    fn reply(&self) -> PyResult<Tuple> {
        self.get(|flow| Tuple(flow.reply))
    }
    #[getter]
    fn master(&self) -> PyResult<Option<Tuple>> {
        self.get(|flow| flow.master.map(Tuple))
    }
    #[getter]
    fn l4proto(&self) -> PyResult<Option<u8>> {
        self.get(|flow| flow.orig.l4proto)
    }
    #[getter]
    fn protocol(&self) -> PyResult<Option<String>> {
        self.get(|flow| flow.orig.l4proto.map(protocol))
    }
    /// Status bits as `conntap.Status`.
    #[getter]
    fn status(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let Some(bits) = self.get(|flow| flow.status)? else { return Ok(None) };
        let class =
            STATUS.get_or_try_init(py, || Ok::<_, PyErr>(py.import("conntap.model")?.getattr("Status")?.unbind()))?;
        class.call1(py, (bits,)).map(Some)
    }
    #[getter]
    fn assured(&self) -> PyResult<bool> {
        self.get(|flow| flow.status.unwrap_or_default() & conntap_core::wire::constants::IPS_ASSURED != 0)
    }
    #[getter]
    fn replied(&self) -> PyResult<bool> {
        self.get(|flow| flow.status.unwrap_or_default() & conntap_core::wire::constants::IPS_SEEN_REPLY != 0)
    }
    /// State by its protocol's own names; None for protocols without states and where it was not sent.
    #[getter]
    fn state(&self) -> PyResult<Option<String>> {
        self.get(|flow| {
            let info = flow.protoinfo?;
            let table = match info {
                ProtoInfo::Tcp { .. } => &names::TCP_STATES,
                ProtoInfo::Dccp { .. } => &names::DCCP_STATES,
                ProtoInfo::Sctp { .. } => &names::SCTP_STATES,
            };
            info.state().map(|number| state_name(table, number))
        })
    }
    #[getter]
    fn tcp_state(&self) -> PyResult<Option<String>> {
        self.get(|flow| match flow.protoinfo {
            Some(ProtoInfo::Tcp { state: Some(number), .. }) => Some(state_name(&names::TCP_STATES, number)),
            _ => None,
        })
    }
    /// SCTP verification tags of packets of the original and the reply direction.
    #[getter]
    fn vtags(&self) -> PyResult<Option<(Option<u32>, Option<u32>)>> {
        self.get(|flow| match flow.protoinfo {
            Some(ProtoInfo::Sctp { vtag_orig, vtag_reply, .. }) => Some((vtag_orig, vtag_reply)),
            _ => None,
        })
    }
    /// Seconds that are left.
    #[getter]
    fn timeout(&self) -> PyResult<Option<u32>> {
        self.get(|flow| flow.timeout)
    }
    #[getter]
    fn mark(&self) -> PyResult<Option<u32>> {
        self.get(|flow| flow.mark)
    }
    #[getter]
    fn zone(&self) -> PyResult<u16> {
        self.get(|flow| flow.zone.unwrap_or_default())
    }
    #[getter]
    fn id(&self) -> PyResult<Option<u32>> {
        self.get(|flow| flow.id)
    }
    #[getter]
    fn use_count(&self) -> PyResult<Option<u32>> {
        self.get(|flow| flow.use_count)
    }
    #[getter]
    fn helper(&self) -> PyResult<Option<String>> {
        self.get(|flow| flow.helper.map(text))
    }
    #[getter]
    fn secctx(&self) -> PyResult<Option<String>> {
        self.get(|flow| flow.secctx.map(text))
    }
    /// Numbers of the label bits that are set.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        let bits = self.get(|flow| flow.labels.map(label_bits).unwrap_or_default())?;
        PyFrozenSet::new(py, bits)
    }
    /// Packets and bytes in the original direction; None without accounting, and in NEW and UPDATE.
    #[getter]
    fn original_counters(&self) -> PyResult<Option<Counters>> {
        self.get(|flow| flow.counters_orig.map(Counters::of))
    }
    #[getter]
    fn reply_counters(&self) -> PyResult<Option<Counters>> {
        self.get(|flow| flow.counters_reply.map(Counters::of))
    }
    /// Nanoseconds since the epoch; needs nf_conntrack_timestamp.
    #[getter]
    fn start_ns(&self) -> PyResult<Option<u64>> {
        self.get(|flow| flow.start_ns)
    }
    #[getter]
    fn stop_ns(&self) -> PyResult<Option<u64>> {
        self.get(|flow| flow.stop_ns)
    }
    #[getter]
    fn event_ns(&self) -> PyResult<Option<u64>> {
        self.get(|flow| flow.event_ns)
    }
    /// What a ledger adds; None in rows that are no records.
    #[getter]
    fn record(&self) -> PyResult<Option<Record>> {
        self.get(|flow| {
            flow.record.map(|record| Record {
                seq: record.seq,
                flow_id: record.flow_id,
                record_no: record.record_no,
                nat: flow.nat_kind(),
                end_reason: record.end_reason.and_then(|number| end_reason::NAMES.get(usize::from(number)).copied()),
                start_from: record.start_from.name(),
                stop_from: record.stop_from.name(),
                stop_after_ns: record.stop_after_ns,
                prior: record.prior,
                exporter: record.exporter.map(text),
                domain: record.domain,
                elements: record.elements.map(text),
            })
        })
    }
    /// Attributes that this version does not know: path of numbers → bytes.
    #[getter]
    fn unknown<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        if let (_, Content::Flow(flow)) = self.0.content()? {
            for unknown in flow.unknown() {
                let path = pyo3::types::PyTuple::new(py, unknown.path())?;
                found.set_item(path, PyBytes::new(py, unknown.payload))?;
            }
        }
        Ok(found)
    }
    /// The kernel's message, header included.
    fn message<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.bytes())
    }
    /// All fields that were sent, under the names of docs/fields.md, as one line of JSON.
    fn json(&self) -> PyResult<String> {
        json(&self.0)
    }
    fn __str__(&self) -> PyResult<String> {
        crate::text::one_line(&self.0, false)
    }
    /// The line that `conntrack` prints.
    fn text(&self) -> PyResult<String> {
        crate::text::one_line(&self.0, true)
    }
    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<Flow {}>", self.text()?))
    }
    fn __eq__(&self, other: &Self) -> bool {
        self.0.bytes() == other.0.bytes()
    }
    fn __hash__(&self) -> u64 {
        hash(self.0.bytes())
    }
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn json(handle: &Handle) -> PyResult<String> {
    let (message, content) = handle.content()?;
    let mut out = Vec::with_capacity(512);
    conntap_core::json::write_row(&mut out, handle.row(), &message, &content);
    Ok(text(out.trim_ascii_end()))
}

/// Bit numbers of a label attribute: words in host order (CTA_LABELS).
fn label_bits(labels: &[u8]) -> Vec<u32> {
    let mut bits = Vec::new();
    for (word_index, word) in labels.chunks_exact(4).enumerate() {
        let word = u32::from_ne_bytes(word.try_into().unwrap_or_default());
        let base = u32::try_from(word_index).unwrap_or_default().saturating_mul(32);
        bits.extend((0..32).filter(|bit| word & (1 << bit) != 0).map(|bit| base.saturating_add(bit)));
    }
    bits
}

/// A connection that a helper has announced.
#[pyclass(frozen, module = "conntap._core")]
pub struct Expectation(pub Handle);

impl Expectation {
    fn get<T>(&self, pick: impl FnOnce(&core::Expectation<'_>) -> T) -> PyResult<T> {
        match self.0.content()? {
            (_, Content::Expectation(expectation)) => Ok(pick(&expectation)),
            _ => Err(PyTypeError::new_err("the row is not about an expectation")),
        }
    }
}

#[pymethods]
impl Expectation {
    /// `EXP_ENTRY`, `EXP_NEW`, `EXP_UPDATE` or `EXP_DESTROY`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.row().kind.name()
    }
    #[getter]
    fn received_ns(&self) -> i64 {
        self.0.row().received_ns
    }
    #[getter]
    fn family(&self) -> PyResult<u8> {
        self.get(|expectation| expectation.family)
    }
    /// Original tuple of the flow whose helper made this.
    #[getter]
    fn master(&self) -> PyResult<Tuple> {
        self.get(|expectation| Tuple(expectation.master))
    }
    /// The connection that is expected.
    #[getter]
    fn tuple(&self) -> PyResult<Tuple> {
        self.get(|expectation| Tuple(expectation.tuple))
    }
    /// Which bits of `tuple` count.
    #[getter]
    fn mask(&self) -> PyResult<Tuple> {
        self.get(|expectation| Tuple(expectation.mask))
    }
    #[getter]
    fn timeout(&self) -> PyResult<Option<u32>> {
        self.get(|expectation| expectation.timeout)
    }
    #[getter]
    fn id(&self) -> PyResult<Option<u32>> {
        self.get(|expectation| expectation.id)
    }
    #[getter]
    fn helper(&self) -> PyResult<Option<String>> {
        self.get(|expectation| expectation.helper.map(text))
    }
    #[getter]
    fn flags(&self) -> PyResult<Option<u32>> {
        self.get(|expectation| expectation.flags)
    }
    /// Index into the helper's policies.
    #[getter(class_)]
    fn class(&self) -> PyResult<Option<u32>> {
        self.get(|expectation| expectation.class)
    }
    /// Name of the kernel function that treats the child.
    #[getter]
    fn function(&self) -> PyResult<Option<String>> {
        self.get(|expectation| expectation.function.map(text))
    }
    /// Original source address and port before NAT.
    #[getter]
    fn nat_tuple(&self) -> PyResult<Option<Tuple>> {
        self.get(|expectation| expectation.nat_tuple.map(Tuple))
    }
    /// True when any host may use it.
    #[getter]
    fn any_source(&self) -> PyResult<bool> {
        self.get(|expectation| expectation.any_source())
    }
    /// In words: who may reach what, from which ports, how long, because of which master and helper.
    fn explain(&self) -> PyResult<String> {
        self.get(|expectation| conntap_core::text::human::explain_expectation(expectation, false))
    }
    fn message<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.bytes())
    }
    fn json(&self) -> PyResult<String> {
        json(&self.0)
    }
    fn __str__(&self) -> PyResult<String> {
        crate::text::one_line(&self.0, false)
    }
    /// The line that `conntrack -L expect` prints.
    fn text(&self) -> PyResult<String> {
        crate::text::one_line(&self.0, true)
    }
    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<Expectation {}>", self.text()?))
    }
    fn __eq__(&self, other: &Self) -> bool {
        self.0.bytes() == other.0.bytes()
    }
    fn __hash__(&self) -> u64 {
        hash(self.0.bytes())
    }
}

/// Events lost between two times.
#[pyclass(frozen, get_all, eq, hash, module = "conntap._core")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Gap {
    /// How many; None where the kernel could not tell.
    lost: Option<u64>,
    after_ns: i64,
    before_ns: i64,
    /// overrun, restart, clock, flush, reconcile, damage.
    cause: &'static str,
    /// Its number among a ledger's records; 0 elsewhere.
    seq: u64,
    /// Reconcile: flows that were found alive and had not been known.
    alive: u64,
    /// Flows that had gone unseen (reconcile), or that a program ended (flush).
    ended: u64,
}

/// What a ledger adds to a flow.
#[pyclass(frozen, get_all, eq, hash, module = "conntap._core")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Record {
    seq: u64,
    flow_id: u64,
    record_no: u32,
    nat: Option<&'static str>,
    end_reason: Option<&'static str>,
    start_from: Option<&'static str>,
    stop_from: Option<&'static str>,
    stop_after_ns: Option<i64>,
    /// Packets and bytes of both directions that earlier records of the flow told.
    prior: Option<[u64; 4]>,
    exporter: Option<String>,
    domain: Option<u32>,
    elements: Option<String>,
}

/// One event: a flow or an expectation that began, changed or ended, or a gap.
#[pyclass(frozen, module = "conntap._core")]
pub struct Event(pub Handle);

#[pymethods]
impl Event {
    /// `NEW`, `UPDATE`, `DESTROY`, `EXP_NEW`, `EXP_UPDATE`, `EXP_DESTROY`, `GAP`; `ENTRY` and `EXP_ENTRY` in dumps.
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.row().kind.name()
    }
    #[getter]
    fn received_ns(&self) -> i64 {
        self.0.row().received_ns
    }
    /// When the kernel recorded it; None where the kernel does not say.
    #[getter]
    fn event_ns(&self) -> PyResult<Option<u64>> {
        Ok(match self.0.content()? {
            (_, Content::Flow(flow)) => flow.event_ns,
            _ => None,
        })
    }
    /// Port id of the netlink requester that caused it, 0 for packets and timers.
    #[getter]
    fn portid(&self) -> PyResult<u32> {
        Ok(self.0.content()?.0.port)
    }
    #[getter]
    fn flow(&self) -> Option<Flow> {
        self.0.row().kind.is_flow().then(|| Flow(self.0.again()))
    }
    #[getter]
    fn expectation(&self) -> Option<Expectation> {
        self.0.row().kind.is_expectation().then(|| Expectation(self.0.again()))
    }
    #[getter]
    fn gap(&self) -> PyResult<Option<Gap>> {
        Ok(match self.0.content()? {
            (_, Content::Gap(gap)) => Some(Gap {
                lost: gap.lost,
                after_ns: gap.after_ns,
                before_ns: gap.before_ns,
                cause: gap.cause.name(),
                seq: gap.seq,
                alive: gap.alive,
                ended: gap.ended,
            }),
            _ => None,
        })
    }
    fn message<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.bytes())
    }
    fn json(&self) -> PyResult<String> {
        json(&self.0)
    }
    /// The line that `conntrack -E` prints; empty for a gap.
    fn text(&self) -> PyResult<String> {
        crate::text::one_line(&self.0, true)
    }
    /// The line that `conntap watch` prints.
    fn __str__(&self) -> PyResult<String> {
        crate::text::one_line(&self.0, false)
    }
    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<Event {}>", crate::text::one_line(&self.0, false)?))
    }
    fn __eq__(&self, other: &Self) -> bool {
        self.0.bytes() == other.0.bytes()
    }
    fn __hash__(&self) -> u64 {
        hash(self.0.bytes())
    }
}
