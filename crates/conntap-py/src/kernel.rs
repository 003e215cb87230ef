//! `Requests`, `Dump`, `Listener`: the sockets. Waiting releases the GIL and wakes to let signals in.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use conntap_core::batch::{self as core, Control, Scan};
use conntap_core::model::{Content, KernelError, Tuple, request};
use conntap_core::wire::constants::*;
use conntap_sys::clock::now_ns;
use conntap_sys::dump::Next;
use conntap_sys::listener::{self, Outcome};
use conntap_sys::namespace::Namespace;
use conntap_sys::{dump, request as sys};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::batch::Batch;
use crate::errors;
use crate::fields::Fields;
use crate::filter::{Filter, wanted};
use crate::rows::{Expectation, Flow};
use crate::totals::Totals;

/// How long a wait may last before Python gets to look at signals.
const SIGNALS: Duration = Duration::from_millis(100);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn namespace(py: Python<'_>, path: Option<PathBuf>) -> PyResult<Option<Namespace>> {
    path.map(|path| {
        Namespace::open(&path)
            .map_err(|error| errors::system(py, &format!("opening the network namespace {}", path.display()), &error))
    })
    .transpose()
}

/// CPU and its counters by name.
type NamedCounters = (u16, Vec<(String, u32)>);

/// A socket that asks and changes.
#[pyclass(frozen, module = "conntap._core")]
pub struct Requests(Mutex<sys::Requests>);

#[pymethods]
impl Requests {
    /// Open in this network namespace, or in the one that `netns` (a path) names.
    #[new]
    #[pyo3(signature = (netns=None))]
    fn new(py: Python<'_>, netns: Option<PathBuf>) -> PyResult<Self> {
        let namespace = namespace(py, netns)?;
        let opened = py.detach(|| sys::Requests::open(namespace));
        opened
            .map(|socket| Self(Mutex::new(socket)))
            .map_err(|error| errors::system(py, "opening a netlink socket", &error))
    }

    /// Begin a dump of `table`: flows, flows-zero, dying, unconfirmed, expectations.
    #[pyo3(signature = (table, filter=None, *, family=0))]
    fn dump(&self, py: Python<'_>, table: &str, filter: Option<&Filter>, family: u8) -> PyResult<Dump> {
        let (table, what) = match table {
            "flows" => (request::Table::Flows, "reading the flow table"),
            "flows-zero" => (request::Table::FlowsZero, "reading and zeroing the flow table"),
            "dying" => (request::Table::Dying, "reading the dying list"),
            "unconfirmed" => (request::Table::Unconfirmed, "reading the unconfirmed list"),
            "expectations" => (request::Table::Expectations, "reading the expectation table"),
            _ => return Err(errors::UsageError::new_err(format!("unknown table '{table}'"))),
        };
        let filter = filter.cloned();
        // Only the flow table takes criteria; never while zeroing: they let through more than is wanted.
        let pushable = table == request::Table::Flows;
        let criteria = filter.as_ref().filter(|_| pushable).map(|filter| filter.criteria());
        let started = py.detach(|| {
            lock(&self.0).dump(|seq| {
                let mut criteria = criteria.unwrap_or_default();
                if family != 0 {
                    criteria.family = family;
                }
                request::dump(table, &criteria, seq)
            })
        });
        Dump::new(py, started, filter, what)
    }

    /// Begin a dump of one master's expectations: `fields` holds its tuple as orig_*.
    fn dump_expectations_of(&self, py: Python<'_>, fields: &Bound<'_, PyDict>) -> PyResult<Dump> {
        let fields = Fields::read(fields)?;
        let flow = fields.flow();
        let started = py.detach(|| {
            lock(&self.0).dump(|seq| request::dump_expectations_of(&flow.orig, flow.family, flow.zone, seq))
        });
        Dump::new(py, started, None, "reading a flow's expectations")
    }

    /// One request about one flow: `operation` is get, create, add, update or delete.
    /// Returns the rows of the answer (get only).
    fn flow(&self, py: Python<'_>, operation: &str, fields: &Bound<'_, PyDict>) -> PyResult<Batch> {
        let fields = Fields::read(fields)?;
        let mut flow = fields.flow();
        let (kind, flags, what) = match operation {
            "get" => (CT_GET, NLM_F_ACK, "looking up a flow"),
            "create" => (CT_NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, "creating a flow"),
            "add" => (CT_NEW, NLM_F_ACK | NLM_F_CREATE, "adding a flow"),
            "update" => (CT_NEW, NLM_F_ACK, "updating a flow"),
            "delete" if !flow.orig.is_empty() || !flow.reply.is_empty() => (CT_DELETE, NLM_F_ACK, "deleting a flow"),
            // Without a tuple the kernel would delete everything.
            "delete" => return Err(errors::UsageError::new_err("deleting a flow needs its tuple")),
            _ => return Err(errors::UsageError::new_err(format!("unknown operation '{operation}'"))),
        };
        if kind == CT_NEW && flags & NLM_F_CREATE != 0 {
            complete(&mut flow.orig, &mut flow.reply);
        }
        self.ask(py, what, |seq| request::flow(kind, flags, &flow, seq))
    }

    /// One request about one expectation: get, create, add or delete; fields tuple_*, mask_*, master_*.
    fn expectation(&self, py: Python<'_>, operation: &str, fields: &Bound<'_, PyDict>) -> PyResult<Batch> {
        let fields = Fields::read(fields)?;
        let expectation = fields.expectation();
        let (kind, flags, what) = match operation {
            "get" => (EXP_GET, NLM_F_ACK, "looking up an expectation"),
            "create" => (EXP_NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, "creating an expectation"),
            "add" => (EXP_NEW, NLM_F_ACK | NLM_F_CREATE, "adding an expectation"),
            "delete" if !expectation.tuple.is_empty() => (EXP_DELETE, NLM_F_ACK, "deleting an expectation"),
            "delete" => return Err(errors::UsageError::new_err("deleting an expectation needs its tuple")),
            _ => return Err(errors::UsageError::new_err(format!("unknown operation '{operation}'"))),
        };
        self.ask(py, what, |seq| request::expectation(kind, flags, &expectation, seq))
    }

    /// Delete flows that a dump or event reported, each by tuple, zone and id; one errno (0 = done) for each.
    fn delete_flows(&self, py: Python<'_>, flows: Vec<PyRef<'_, Flow>>) -> PyResult<Vec<i32>> {
        let keys = flows.iter().map(|flow| key(&flow.0.content()?.1)).collect::<PyResult<Vec<_>>>()?;
        self.ask_many(py, "deleting flows", keys.len(), |index, seq| {
            let key = keys.get(index).copied().unwrap_or_default();
            request::flow(CT_DELETE, NLM_F_ACK, &key.flow(), seq)
        })
    }

    /// Change flows that a dump reported: `fields` says what; one errno (0 = done) for each.
    fn update_flows(
        &self,
        py: Python<'_>,
        flows: Vec<PyRef<'_, Flow>>,
        fields: &Bound<'_, PyDict>,
    ) -> PyResult<Vec<i32>> {
        let fields = Fields::read(fields)?;
        let change = fields.flow();
        let keys = flows.iter().map(|flow| key(&flow.0.content()?.1)).collect::<PyResult<Vec<_>>>()?;
        self.ask_many(py, "updating flows", keys.len(), |index, seq| {
            let key = keys.get(index).copied().unwrap_or_default();
            let mut flow = change.clone();
            (flow.family, flow.orig, flow.zone) = (key.family, key.orig, key.zone);
            request::flow(CT_NEW, NLM_F_ACK, &flow, seq)
        })
    }

    /// Delete expectations that a dump or event reported; one errno (0 = done) for each.
    fn delete_expectations(&self, py: Python<'_>, expectations: Vec<PyRef<'_, Expectation>>) -> PyResult<Vec<i32>> {
        let mut requests = Vec::with_capacity(expectations.len());
        for row in &expectations {
            if let (_, Content::Expectation(found)) = row.0.content()? {
                requests.push((found.family, found.tuple, found.id));
            }
        }
        self.ask_many(py, "deleting expectations", requests.len(), |index, seq| {
            let (family, tuple, id) = requests.get(index).copied().unwrap_or_default();
            let expectation = conntap_core::model::Expectation { family, tuple, id, ..Default::default() };
            request::expectation(EXP_DELETE, NLM_F_ACK, &expectation, seq)
        })
    }

    /// Delete what rows of a batch report, flows and expectations, each by its exact tuple and id; one errno for each.
    /// Of expectations the kernel tells no zone: `zone` says in which they are.
    #[pyo3(signature = (batch, indices, *, zone=None))]
    fn delete_rows(&self, py: Python<'_>, batch: &Batch, indices: Vec<usize>, zone: Option<u16>) -> PyResult<Vec<i32>> {
        let mut keys = Vec::with_capacity(indices.len());
        for index in indices {
            let row = batch.0.rows().get(index);
            let found = row.and_then(|row| batch.0.content(row));
            keys.push(match found {
                Some((_, Content::Expectation(one))) => Named::Expectation(one.family, one.tuple, one.id, zone),
                Some((_, content)) => Named::Flow(key(&content)?),
                None => return Err(errors::UsageError::new_err(format!("the batch has no row {index}"))),
            });
        }
        self.ask_many(py, "deleting what was announced", keys.len(), |index, seq| match keys.get(index).copied() {
            Some(Named::Expectation(family, tuple, id, zone)) => {
                let expectation = conntap_core::model::Expectation { family, tuple, id, zone, ..Default::default() };
                request::expectation(EXP_DELETE, NLM_F_ACK, &expectation, seq)
            }
            Some(Named::Flow(key)) => request::flow(CT_DELETE, NLM_F_ACK, &key.flow(), seq),
            // Without a tuple the kernel would delete everything: ask for what is not there instead.
            None => request::expectation(EXP_GET, NLM_F_ACK, &conntap_core::model::Expectation::default(), seq),
        })
    }

    /// Empty the flow table: all of it (0) or one family.
    #[pyo3(signature = (family=0))]
    fn flush(&self, py: Python<'_>, family: u8) -> PyResult<()> {
        self.ask(py, "flushing the flow table", |seq| request::flush(family, seq)).map(|_| ())
    }

    /// Empty the expectation table.
    fn flush_expectations(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, "flushing the expectation table", request::flush_expectations).map(|_| ())
    }

    /// Counters: `kind` is cpu, global or expect. A list of (cpu, [(name, value)]).
    fn stats(&self, py: Python<'_>, kind: &str) -> PyResult<Vec<NamedCounters>> {
        let what = "reading the kernel's counters";
        let found = match kind {
            "global" => {
                let (_, scan, refusal) = self.exchange(py, what, request::stats_global)?;
                refuse(py, what, &refusal)?;
                scan.stats
            }
            "cpu" | "expect" => {
                let table = if kind == "cpu" { request::Table::StatsCpu } else { request::Table::StatsExpect };
                let none = conntap_core::model::Flow::default();
                let started = py.detach(|| lock(&self.0).dump(|seq| request::dump(table, &none, seq)));
                let dump = Dump::new(py, started, None, what)?;
                while dump.next(py)?.is_some() {}
                std::mem::take(&mut lock(&dump.state).stats)
            }
            _ => return Err(errors::UsageError::new_err(format!("unknown statistics '{kind}'"))),
        };
        Ok(found
            .into_iter()
            .map(|stats| {
                let named = stats.values.iter().map(|(number, value)| {
                    (stats.kind.name(*number).map_or_else(|| format!("unknown{number}"), str::to_owned), *value)
                });
                (stats.cpu, named.collect())
            })
            .collect())
    }
}

impl Requests {
    fn exchange(
        &self,
        py: Python<'_>,
        what: &str,
        build: impl FnOnce(u32) -> Vec<u8> + Send,
    ) -> PyResult<(core::Batch, Scan, KernelError)> {
        py.detach(|| lock(&self.0).ask(build)).map_err(|error| errors::system(py, what, &error))
    }

    fn ask(&self, py: Python<'_>, what: &str, build: impl FnOnce(u32) -> Vec<u8> + Send) -> PyResult<Batch> {
        let (batch, _, refusal) = self.exchange(py, what, build)?;
        refuse(py, what, &refusal)?;
        Ok(Batch::new(batch))
    }

    fn ask_many(
        &self,
        py: Python<'_>,
        what: &str,
        count: usize,
        build: impl FnMut(usize, u32) -> Vec<u8> + Send,
    ) -> PyResult<Vec<i32>> {
        let answers = py.detach(|| lock(&self.0).ask_many(count, build));
        let answers = answers.map_err(|error| errors::system(py, what, &error))?;
        Ok(answers.iter().map(|answer| answer.errno).collect())
    }
}

fn refuse(py: Python<'_>, what: &str, refusal: &KernelError) -> PyResult<()> {
    if refusal.errno == 0 { Ok(()) } else { Err(errors::kernel(py, what, refusal)) }
}

/// A side that was not given is the mirror of the other.
fn complete(orig: &mut Tuple, reply: &mut Tuple) {
    if reply.is_empty() {
        *reply = orig.mirrored();
    } else if orig.is_empty() {
        *orig = reply.mirrored();
    }
}

/// What names a row of either table.
#[derive(Clone, Copy)]
enum Named {
    Flow(Key),
    Expectation(u8, Tuple, Option<u32>, Option<u16>),
}

/// What names one entry: CTA_ID repeats when a tuple is made anew, so tuple, zone and id together.
#[derive(Clone, Copy, Default)]
struct Key {
    family: u8,
    orig: Tuple,
    zone: Option<u16>,
    id: Option<u32>,
}

impl Key {
    fn flow(&self) -> conntap_core::model::Flow<'static> {
        conntap_core::model::Flow {
            family: self.family,
            orig: self.orig,
            zone: self.zone,
            id: self.id,
            ..Default::default()
        }
    }
}

fn key(content: &Content<'_>) -> PyResult<Key> {
    match content {
        Content::Flow(flow) => Ok(Key { family: flow.family, orig: flow.orig, zone: flow.zone, id: flow.id }),
        _ => Err(errors::UsageError::new_err("the row is not about a flow")),
    }
}

/// A running dump: iterates over batches.
#[pyclass(frozen, module = "conntap._core")]
pub struct Dump {
    state: Mutex<DumpState>,
    filter: Option<Filter>,
    what: &'static str,
}

struct DumpState {
    dump: dump::Dump,
    totals: Totals,
    stats: Vec<conntap_core::model::Stats>,
    /// Batches handed out: when nobody else holds one any more its memory is used again.
    lent: VecDeque<Arc<core::Batch>>,
    ended: bool,
}

impl Dump {
    fn new(
        py: Python<'_>,
        started: std::io::Result<dump::Dump>,
        filter: Option<Filter>,
        what: &'static str,
    ) -> PyResult<Self> {
        let dump = started.map_err(|error| errors::system(py, what, &error))?;
        let state =
            DumpState { dump, totals: Totals::default(), stats: Vec::new(), lent: VecDeque::new(), ended: false };
        Ok(Self { state: Mutex::new(state), filter, what })
    }

    fn next(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        loop {
            let step = py.detach(|| lock(&self.state).step(self.filter.as_ref()));
            match step {
                Step::Rows(batch) => return Ok(Some(Batch(batch))),
                Step::NotYet => py.check_signals()?,
                Step::End => return Ok(None),
                Step::Refused(refusal) => return Err(errors::kernel(py, self.what, &refusal)),
                Step::Failed(error) => return Err(errors::system(py, self.what, &error)),
            }
        }
    }
}

enum Step {
    Rows(Arc<core::Batch>),
    NotYet,
    End,
    Refused(KernelError),
    Failed(std::io::Error),
}

impl DumpState {
    fn step(&mut self, filter: Option<&Filter>) -> Step {
        if self.ended {
            return Step::End;
        }
        let chunk = match self.dump.next(SIGNALS) {
            Next::Chunk(chunk) => chunk,
            Next::NotYet => return Step::NotYet,
            Next::Failed(error) => {
                self.ended = true;
                return Step::Failed(error);
            }
            Next::End => {
                self.ended = true;
                return Step::End;
            }
        };
        let mut scan = Scan::default();
        let batch = core::Batch::adopt(chunk.bytes, &chunk.parts, now_ns(), &mut wanted(filter), &mut scan);
        self.totals.add(&mut scan);
        self.stats.append(&mut scan.stats);
        for control in scan.controls {
            let (Control::Done(end) | Control::Error(end)) = control;
            if end.errno != 0 {
                self.ended = true;
                return Step::Refused(end);
            }
        }
        self.reuse();
        let batch = Arc::new(batch);
        self.lent.push_back(Arc::clone(&batch));
        Step::Rows(batch)
    }

    fn reuse(&mut self) {
        while self.lent.len() > 1 {
            let Some(oldest) = self.lent.pop_front() else { return };
            if let Ok(batch) = Arc::try_unwrap(oldest) {
                self.dump.recycle(batch.into_bytes());
            }
        }
    }
}

#[pymethods]
impl Dump {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        self.next(py)
    }

    /// Receive everything and throw it away: the floor that benchmarks compare with. Returns the bytes received.
    fn discard(&self, py: Python<'_>) -> PyResult<usize> {
        let mut bytes = 0;
        loop {
            let next = py.detach(|| {
                let mut state = lock(&self.state);
                match state.dump.next(SIGNALS) {
                    Next::Chunk(chunk) => {
                        let sum = chunk.parts.iter().map(|(_, len)| len).sum::<usize>();
                        state.dump.recycle(chunk.bytes);
                        Next::Chunk(dump::Chunk { bytes: Vec::new(), parts: vec![(0, sum)] })
                    }
                    other => other,
                }
            });
            match next {
                Next::Chunk(chunk) => bytes += chunk.parts.iter().map(|(_, len)| len).sum::<usize>(),
                Next::NotYet => py.check_signals()?,
                Next::End => return Ok(bytes),
                Next::Failed(error) => return Err(errors::system(py, self.what, &error)),
            }
        }
    }

    /// Rows kept and everything that was left out, by name.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        lock(&self.state).totals.write(&counters)?;
        Ok(counters)
    }

    /// The kernel said that the table changed in a way that makes this dump unreliable.
    #[getter]
    fn interrupted(&self) -> bool {
        lock(&self.state).totals.interrupted
    }

    /// The first malformed message and why it was refused.
    #[getter]
    fn sample<'py>(&self, py: Python<'py>) -> Option<(String, Bound<'py, PyBytes>)> {
        lock(&self.state).totals.sample(py)
    }
}

/// An event socket.
#[pyclass(frozen, module = "conntap._core")]
pub struct Listener {
    state: Mutex<ListenerState>,
    filter: Option<Filter>,
}

struct ListenerState {
    listener: listener::Listener,
    totals: Totals,
}

#[pymethods]
impl Listener {
    /// Subscribe to `groups` (1 NEW, 2 UPDATE, 3 DESTROY, 4–6 expectations).
    #[new]
    #[pyo3(signature = (groups, filter=None, *, netns=None, buffer_bytes=0, reliable=false, kernel_filter=true, gather_ms=0))]
    #[allow(clippy::too_many_arguments)] // keywords, in Python
    fn new(
        py: Python<'_>,
        groups: Vec<u32>,
        filter: Option<&Filter>,
        netns: Option<PathBuf>,
        buffer_bytes: u32,
        reliable: bool,
        kernel_filter: bool,
        gather_ms: u64,
    ) -> PyResult<Self> {
        let namespace = namespace(py, netns)?;
        let filter = filter.cloned();
        let program = filter.as_ref().filter(|_| kernel_filter).and_then(Filter::program);
        let opened = py.detach(|| {
            listener::Listener::open(&listener::Options {
                groups: &groups,
                program: program.as_deref(),
                buffer_bytes,
                reliable,
                gather: (gather_ms > 0).then(|| std::time::Duration::from_millis(gather_ms)),
                namespace: namespace.as_ref(),
            })
        });
        let listener = opened.map_err(|error| errors::system(py, "subscribing to events", &error))?;
        Ok(Self { state: Mutex::new(ListenerState { listener, totals: Totals::default() }), filter })
    }

    /// The events that have come, as a batch, waiting up to `timeout_ms` for a first one (None: for ever).
    /// Returns None when nothing wanted came in that time.
    #[pyo3(signature = (timeout_ms=None))]
    fn receive(&self, py: Python<'_>, timeout_ms: Option<u64>) -> PyResult<Option<Batch>> {
        let deadline = timeout_ms.map(|timeout| Instant::now() + Duration::from_millis(timeout));
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let wait = left.map_or(SIGNALS, |left| left.min(SIGNALS));
            let (outcome, batch) = py.detach(|| {
                let mut batch = core::Batch::default();
                let mut scan = Scan::default();
                let mut state = lock(&self.state);
                let outcome = state.listener.receive(&mut batch, wait, &mut wanted(self.filter.as_ref()), &mut scan);
                state.totals.add(&mut scan);
                (outcome, batch)
            });
            let outcome = outcome.map_err(|error| errors::system(py, "reading events", &error))?;
            if !batch.is_empty() {
                return Ok(Some(Batch::new(batch)));
            }
            py.check_signals()?;
            let out_of_time = left.is_some_and(|left| left <= wait);
            if out_of_time && outcome != Outcome::Interrupted {
                return Ok(None);
            }
        }
    }

    fn fileno(&self) -> i32 {
        lock(&self.state).listener.as_fd().as_raw_fd()
    }

    /// Receive buffer in bytes, as the kernel granted it.
    #[getter]
    fn buffer_bytes(&self, py: Python<'_>) -> PyResult<u32> {
        lock(&self.state)
            .listener
            .buffer_bytes()
            .map_err(|error| errors::system(py, "asking for the buffer size", &error))
    }

    /// Rows kept, and every loss and omission by name.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        let state = lock(&self.state);
        let listener = state.listener.counters();
        state.totals.write(&counters)?;
        counters.set_item("received", listener.received)?;
        counters.set_item("lost", listener.lost)?;
        counters.set_item("gaps", listener.gaps)?;
        counters.set_item("truncated", listener.truncated)?;
        counters.set_item("reads", listener.reads)?;
        counters.set_item("buffer_bytes", state.listener.buffer_bytes().unwrap_or_default())?;
        Ok(counters)
    }

    /// The first malformed message and why it was refused.
    #[getter]
    fn sample<'py>(&self, py: Python<'py>) -> Option<(String, Bound<'py, PyBytes>)> {
        lock(&self.state).totals.sample(py)
    }
}
