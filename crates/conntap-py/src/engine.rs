//! `Engine`: connection tracking in userspace. Helpers are asked through a callable, without the lock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use conntap_core::engine::expect::{ExpectNat, Function, Refused, Wanted};
use conntap_core::engine::helper::{Assignment, Handle, Helper, Policy, Stage};
use conntap_core::engine::nat::{Manip, Range, Rule};
use conntap_core::engine::settings::SettingError;
use conntap_core::engine::{Direction, Engine as Core, Input, Key, Outcome, Settings, Step};
use conntap_core::packet::decode_ip;
use conntap_core::wire::constants::{AF_INET, AF_INET6, NF_CT_EXPECT_INACTIVE, NF_CT_EXPECT_PERMANENT};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::batch::Batch;
use crate::errors::{self, UsageError};
use crate::filter::{Filter, wanted};
use crate::packets::{PacketCapture, PacketReader, PacketWriter, Stop, Trace, done, pass_live};
use crate::pairing::Pairing;

/// src, dst (4 or 16 bytes), protocol, source and destination port.
pub type TupleParts<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, u8, u16, u16);
type TupleBytes = (Vec<u8>, Vec<u8>, u8, u16, u16);
/// state, reason for people, reason for programs, dropped, flow id and direction.
type OutcomeParts = (&'static str, String, String, bool, Option<(u32, u8)>);
/// direction, saved port, saved address, function.
type NatParts = (u8, u16, Option<Vec<u8>>, String);

/// A connection tracking table that packets are shown to.
#[pyclass(frozen, module = "conntap._core")]
pub struct Engine(Mutex<Core>);

impl Engine {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ask helpers until the packet is through.
    fn through(&self, py: Python<'_>, mut step: Step, ask: &Bound<'_, PyAny>) -> PyResult<Outcome> {
        loop {
            match step {
                Step::Done(outcome) => return Ok(outcome),
                Step::Ask => {
                    let accept = ask.call0().and_then(|answer| answer.extract::<bool>());
                    let resumed = py.detach(|| self.lock().resume(*accept.as_ref().unwrap_or(&false)));
                    accept?; // the helper's own error, once the engine is whole again
                    step = resumed.ok_or_else(|| UsageError::new_err("no packet waits for an answer"))?;
                }
            }
        }
    }
}

/// What a waiting packet is, as its helper sees it.
#[pyclass(frozen, get_all, module = "conntap._core")]
pub struct HelperCall {
    /// "rules" or "helper".
    stage: &'static str,
    helper: Option<u16>,
    flow: u32,
    /// From the IP header on.
    bytes: Py<PyBytes>,
    payload: Py<PyBytes>,
    direction: u8,
    state: &'static str,
    l4proto: u8,
    seq: u32,
    original: Py<PyAny>,
    reply: Py<PyAny>,
    natted: bool,
    expected: bool,
}

/// An expectation as its helper sees it.
#[pyclass(frozen, module = "conntap._core")]
pub struct ExpectationHandle(Handle);

#[pymethods]
impl ExpectationHandle {
    /// Made by the connection at hand.
    #[getter]
    fn mine(&self) -> bool {
        self.0.mine
    }

    /// Its master carries the same helper, over the same protocol and family.
    #[getter]
    fn same_helper(&self) -> bool {
        self.0.same_helper
    }

    #[getter]
    fn expect_class(&self) -> u8 {
        self.0.wanted.class
    }

    #[getter]
    fn flags(&self) -> u32 {
        self.0.wanted.flags
    }

    /// src, dst, protocol, sport, dport; what is masked out is zero.
    #[getter]
    fn tuple<'py>(&self, py: Python<'py>) -> TupleParts<'py> {
        tuple_parts(py, &self.0.wanted.key)
    }

    /// The source's mask, 4 or 16 bytes.
    #[getter]
    fn src_mask<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, address(&self.0.wanted.src_mask, self.0.wanted.key.family))
    }

    #[getter]
    fn sport_mask(&self) -> u16 {
        self.0.wanted.sport_mask
    }

    /// Saved destination address (or None) and port, where the child is translated.
    #[getter]
    fn saved<'py>(&self, py: Python<'py>) -> Option<(Option<Bound<'py, PyBytes>>, u16)> {
        let nat = self.0.wanted.nat?;
        let saved = nat.saved_addr.map(|saved| PyBytes::new(py, address(&saved, self.0.wanted.key.family)));
        Some((saved, nat.saved_port))
    }
}

#[pymethods]
impl Engine {
    /// `settings`: sysctls by name; `seed`: 16 random bytes for the hash table.
    #[new]
    fn new(settings: Vec<(String, u64)>, seed: [u8; 16]) -> PyResult<Self> {
        let mut wanted = Settings::default();
        for (name, value) in settings {
            wanted.set(&name, value).map_err(|error| {
                UsageError::new_err(match error {
                    SettingError::Unknown => format!("there is no setting '{name}'"),
                    SettingError::BadValue => format!("setting '{name}' does not take {value}"),
                })
            })?;
        }
        let seed = u128::from_le_bytes(seed);
        #[allow(clippy::cast_possible_truncation)] // the halves
        let seed = [seed as u64, (seed >> 64) as u64];
        Ok(Self(Mutex::new(Core::new(wanted, seed))))
    }

    /// Make a helper known; `policies`: most expectations and seconds for each class.
    fn add_helper(&self, name: String, policies: Vec<(u32, u32)>) -> u16 {
        let policies = policies.into_iter().map(|(max_expected, timeout)| Policy { max_expected, timeout }).collect();
        self.lock().add_helper(Helper { name, policies })
    }

    /// New connections to that port carry the helper; `family` 0: both.
    fn assign(&self, helper: u16, l4proto: u8, dport: u16, family: u8) {
        self.lock().assign(Assignment { helper, l4proto, dport, family });
    }

    /// Translate new connections; the first rule that fits decides. `addresses` and `ports`: first and last.
    #[allow(clippy::too_many_arguments)]
    fn add_nat(
        &self,
        source: bool,
        family: u8,
        filter: Option<&Filter>,
        interface: Option<u32>,
        addresses: Option<(Vec<u8>, Vec<u8>)>,
        ports: Option<(u16, u16)>,
        persistent: bool,
    ) {
        let addresses = addresses.map(|(low, high)| (sixteen(&low), sixteen(&high)));
        let manip = if source { Manip::Source } else { Manip::Destination };
        let range = Range { addresses, ports, persistent };
        let filter = filter.map(|filter| filter.0.clone());
        self.lock().add_nat_rule(Rule { manip, family, filter, interface, range });
    }

    /// Translate new connections as a gateway that was captured on both sides did; the number of connections learnt.
    fn learn(&self, py: Python<'_>, pairing: &Pairing) -> usize {
        py.detach(|| {
            let (seen, mut engine) = (pairing.lock(), self.lock());
            seen.bindings().map(|bound| engine.learn(&bound.original, &bound.left, bound.since_ns)).count()
        })
    }

    /// Make each packet as the gateway would send it.
    fn forward_packets(&self) {
        self.lock().forward_packets();
    }

    /// Ask about every packet of a flow, before its helper.
    fn ask_rules(&self) {
        self.lock().ask_rules();
    }

    /// The last packet as the gateway sends it: nothing where it sends none, several where it came in fragments.
    #[getter]
    fn forwarded<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.lock().forwarded().map(|packet| PyBytes::new(py, &packet)).collect()
    }

    /// Set the mark of the flow at hand.
    fn set_mark(&self, mark: u32) {
        self.lock().set_mark(mark);
    }

    /// Let one packet pass; `ip` begins at the IP header. `ask()` is called where a helper is needed.
    #[pyo3(signature = (time_ns, ip, ask, *, zone=0, came_by=0, goes_by=0))]
    #[allow(clippy::too_many_arguments)]
    fn packet(
        &self,
        py: Python<'_>,
        time_ns: i64,
        ip: &[u8],
        ask: &Bound<'_, PyAny>,
        zone: u16,
        came_by: u32,
        goes_by: u32,
    ) -> PyResult<OutcomeParts> {
        let step = py.detach(|| {
            let mut engine = self.lock();
            match decode_ip(ip, u32::try_from(ip.len()).unwrap_or(u32::MAX)) {
                Ok(packet) => engine.packet(&Input { zone, came_by, goes_by, ..Input::new(time_ns, &packet) }),
                Err(error) => Step::Done(engine.refused(error)),
            }
        });
        let outcome = self.through(py, step, ask)?;
        Ok(outcome_parts(&outcome))
    }

    /// Let packets through until an input needs bytes ("need"), has a fault ("fault"), `rows` events wait ("rows"), or
    /// all have ended ("end"); returns the word, the input, and the fault.
    #[pyo3(signature = (reader, ask, rows, *, trace=None, writer=None))]
    fn run(
        &self,
        py: Python<'_>,
        reader: &PacketReader,
        ask: &Bound<'_, PyAny>,
        rows: usize,
        trace: Option<&Trace>,
        writer: Option<&PacketWriter>,
    ) -> PyResult<(&'static str, usize, String)> {
        loop {
            let stop = py.detach(|| reader.lock().run(&mut self.lock(), rows, trace, writer));
            match stop {
                Stop::Need(input) => return Ok(("need", input, String::new())),
                Stop::Fault(input, text) => return Ok(("fault", input, text)),
                Stop::Rows => return Ok(("rows", 0, String::new())),
                Stop::End => return Ok(("end", 0, String::new())),
                Stop::Ask(pending) => {
                    let outcome = self.through(py, Step::Ask, ask)?;
                    done(&self.lock(), pending, outcome, trace, writer);
                }
            }
        }
    }

    /// Wait up to `timeout_ms` for packets of an interface, and let those that have come through; returns how many.
    fn receive(
        &self,
        py: Python<'_>,
        capture: &PacketCapture,
        ask: &Bound<'_, PyAny>,
        timeout_ms: u64,
    ) -> PyResult<usize> {
        let ask = ask.clone().unbind();
        let mut failed = None;
        let received = py.detach(|| {
            capture.receive(Duration::from_millis(timeout_ms), |frame, pending| {
                if failed.is_some() {
                    return;
                }
                let stop = pass_live(&mut self.lock(), frame, pending);
                if let Some(Stop::Ask(pending)) = stop {
                    let through = Python::attach(|py| self.through(py, Step::Ask, ask.bind(py)));
                    match through {
                        Ok(outcome) => done(&self.lock(), pending, outcome, None, None),
                        Err(error) => failed = Some(error),
                    }
                }
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let (count, gap) = received.map_err(|error| errors::system(py, "capturing packets", &error))?;
        if let Some(gap) = gap {
            self.lock().gap(&gap);
        }
        py.check_signals()?;
        Ok(count)
    }

    /// The events since the last time that the filter wants, and how many it does not.
    #[pyo3(signature = (filter=None))]
    fn take_events(&self, py: Python<'_>, filter: Option<&Filter>) -> (Batch, usize) {
        py.detach(|| {
            let mut batch = self.lock().take_events();
            let refused = match filter {
                Some(filter) => batch.retain(&mut wanted(Some(filter))),
                None => 0,
            };
            (Batch::new(batch), refused)
        })
    }

    /// The flow table, as a dump tells it.
    fn flows(&self, py: Python<'_>) -> Batch {
        Batch::new(py.detach(|| self.lock().flows()))
    }

    /// The expectation table, as a dump tells it.
    fn expectations(&self, py: Python<'_>) -> Batch {
        Batch::new(py.detach(|| self.lock().expectations()))
    }

    /// Turn the clock forward.
    fn advance(&self, py: Python<'_>, time_ns: i64) {
        py.detach(|| self.lock().turn_clock(time_ns));
    }

    /// End everything that is left now.
    fn flush(&self, py: Python<'_>) {
        py.detach(|| self.lock().flush());
    }

    /// Let time go by until nothing is left.
    fn drain(&self, py: Python<'_>) {
        py.detach(|| self.lock().drain());
    }

    /// Numbers by name.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        for (name, count) in self.lock().counters().named() {
            counters.set_item(name, count)?;
        }
        Ok(counters)
    }

    /// Entries of the flow table.
    #[getter]
    fn flow_count(&self) -> usize {
        self.lock().flow_count()
    }

    /// Bytes that the flow table holds.
    #[getter]
    fn memory(&self) -> usize {
        self.lock().memory()
    }

    /// The latest packet's time.
    #[getter]
    fn now_ns(&self) -> i64 {
        self.lock().now_ns()
    }

    /// Ids of the flows that carry a helper; looks at the whole table.
    fn helped_flows(&self) -> Vec<u32> {
        self.lock().helped_flows()
    }

    /// The packet that waits for its helper.
    fn call(&self, py: Python<'_>) -> PyResult<Option<HelperCall>> {
        let engine = self.lock();
        let (Some(call), Some(flow)) = (engine.call(), engine.call_flow()) else { return Ok(None) };
        Ok(Some(HelperCall {
            stage: match call.stage {
                Stage::Rules => "rules",
                Stage::Helper => "helper",
            },
            helper: flow.helper(),
            flow: flow.id,
            bytes: PyBytes::new(py, &call.bytes).unbind(),
            payload: PyBytes::new(py, call.payload()).unbind(),
            direction: call.direction as u8,
            state: call.state.name(),
            l4proto: call.l4proto,
            seq: call.seq,
            original: tuple_parts(py, &flow.orig).into_pyobject(py)?.into_any().unbind(),
            reply: tuple_parts(py, &flow.reply()).into_pyobject(py)?.into_any().unbind(),
            natted: flow.is_natted(),
            expected: flow.has(conntap_core::wire::constants::IPS_EXPECTED),
        }))
    }

    /// Enter an expectation of the flow at hand; the word says why it was refused.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (tuple, *, src_mask, sport_mask, expect_class, permanent, inactive, timeout, helper, nat,
                        removes_inverse, any_master))]
    fn expect(
        &self,
        tuple: TupleBytes,
        src_mask: Vec<u8>,
        sport_mask: u16,
        expect_class: u8,
        permanent: bool,
        inactive: bool,
        timeout: Option<u32>,
        helper: Option<&str>,
        nat: Option<NatParts>,
        removes_inverse: bool,
        any_master: bool,
    ) -> PyResult<(Option<ExpectationHandle>, &'static str)> {
        let mut engine = self.lock();
        let helper = match helper {
            Some(name) => {
                let number = engine.helper_number(name);
                Some(number.ok_or_else(|| UsageError::new_err(format!("no helper '{name}' is known")))?)
            }
            None => None,
        };
        let nat = match nat {
            Some((direction, saved_port, saved_addr, function)) => Some(ExpectNat {
                direction: direction_of(direction),
                saved_port,
                saved_addr: saved_addr.map(|bytes| sixteen(&bytes)),
                function: Function::of(&function)
                    .ok_or_else(|| UsageError::new_err(format!("no NAT function '{function}'")))?,
            }),
            None => None,
        };
        let flags =
            if permanent { NF_CT_EXPECT_PERMANENT } else { 0 } | if inactive { NF_CT_EXPECT_INACTIVE } else { 0 };
        let zone = engine.call_flow().map_or(0, |flow| flow.orig.zone);
        let wanted = Wanted {
            key: key_of(&tuple, zone),
            src_mask: sixteen(&src_mask),
            sport_mask,
            class: expect_class,
            flags,
            timeout,
            helper,
            nat,
            removes_inverse,
            any_master,
        };
        Ok(match engine.expect(&wanted) {
            Ok(handle) => (Some(ExpectationHandle(handle)), ""),
            Err(Refused::Busy) => (None, "busy"),
            Err(Refused::Already) => (None, "already"),
            Err(Refused::Full) => (None, "full"),
        })
    }

    /// The expectations of the flow at hand, newest first.
    fn own_expectations(&self) -> Vec<ExpectationHandle> {
        self.lock().own_expectations().into_iter().map(ExpectationHandle).collect()
    }

    /// The expectation that a connection with this tuple would match.
    fn find_expectation(&self, tuple: TupleBytes) -> Option<ExpectationHandle> {
        let engine = self.lock();
        let zone = engine.call_flow().map_or(0, |flow| flow.orig.zone);
        engine.find_expectation(&key_of(&tuple, zone)).map(ExpectationHandle)
    }

    /// Take an expectation out; False if it is gone already.
    fn remove_expectation(&self, handle: &ExpectationHandle) -> bool {
        self.lock().remove_expectation(&handle.0)
    }

    /// Let an expectation live so long from now on.
    fn refresh_expectation(&self, handle: &ExpectationHandle, seconds: u32, activate: bool) -> bool {
        self.lock().refresh_expectation(&handle.0, seconds, activate)
    }

    /// Let the flow at hand live so long from now on.
    fn refresh_call(&self, seconds: u32) {
        self.lock().refresh_call(seconds);
    }

    /// GRE packets of these tuples can be told apart from now on.
    fn map_gre(&self, original: TupleBytes, reply: TupleBytes) -> bool {
        let mut engine = self.lock();
        let zone = engine.call_flow().map_or(0, |flow| flow.orig.zone);
        engine.map_gre([key_of(&original, zone), key_of(&reply, zone)])
    }

    /// Forget what `map_gre` said of the flow at hand.
    fn unmap_gre(&self) {
        self.lock().unmap_gre();
    }

    /// Replace bytes of the waiting packet's payload; False: it would become too long.
    fn mangle(&self, start: usize, length: usize, replacement: &[u8], adjust: bool) -> bool {
        self.lock().mangle(start, length, replacement, adjust)
    }

    /// Shift later sequence numbers of the waiting packet's direction.
    fn adjust_sequence(&self, difference: i32) {
        self.lock().adjust_sequence(difference);
    }

    /// Change the destination port of the waiting UDP packet.
    fn set_dport(&self, port: u16) {
        self.lock().set_dport(port);
    }

    /// End the flow with this original tuple; False if there is none.
    fn kill(&self, tuple: TupleBytes) -> bool {
        let mut engine = self.lock();
        let zone = engine.call_flow().map_or(0, |flow| flow.orig.zone);
        engine.kill(&key_of(&tuple, zone))
    }
}

fn outcome_parts(outcome: &Outcome) -> OutcomeParts {
    let flow = outcome.flow.map(|(id, direction)| (id, direction as u8));
    (outcome.state.name(), outcome.reason.to_string(), outcome.reason.name(), outcome.dropped, flow)
}

fn direction_of(number: u8) -> Direction {
    if number == 0 { Direction::Original } else { Direction::Reply }
}

fn address(bytes: &[u8; 16], family: u8) -> &[u8] {
    if family == AF_INET { bytes.first_chunk::<4>().map_or(&[], |short| short.as_slice()) } else { bytes }
}

fn sixteen(bytes: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    out
}

pub fn tuple_parts<'py>(py: Python<'py>, key: &Key) -> TupleParts<'py> {
    let (src, dst) = (address(&key.src, key.family), address(&key.dst, key.family));
    (PyBytes::new(py, src), PyBytes::new(py, dst), key.l4proto, key.sport, key.dport)
}

fn key_of((src, dst, l4proto, sport, dport): &TupleBytes, zone: u16) -> Key {
    let family = if dst.len() == 4 { AF_INET } else { AF_INET6 };
    Key { src: sixteen(src), dst: sixteen(dst), sport: *sport, dport: *dport, l4proto: *l4proto, family, zone }
}
