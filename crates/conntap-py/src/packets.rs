//! `PacketReader`, `PacketWriter`, `Trace`: captures on their way through an engine.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use conntap_core::capture::{CaptureError, Format, Frame, Merge, Next, Options, Reader, Statistics, Writer};
use conntap_core::engine::ahead::{self, Ahead};
use conntap_core::engine::trace::{Facts, Traced};
use conntap_core::engine::{Engine, Input, Outcome, Step};
use conntap_core::model::Gap;
use conntap_core::packet::{Packet, PacketError, decode, linktype};
use conntap_core::wire::constants::AF_INET;
use conntap_sys::clock::now_ns;
use conntap_sys::packet as live;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::{self, ClosedError, RecordingError};
use crate::pairing::{Departed, Pairing};

/// What stopped a run: "need" bytes of an input, "fault" of an input, "rows" wait, "ask", "end".
pub enum Stop {
    Need(usize),
    Fault(usize, String),
    Rows,
    Ask(Pending),
    End,
}

/// A packet whose outcome is not known yet.
pub struct Pending {
    number: u64,
    time_ns: i64,
    input: usize,
    facts: Option<Facts>,
    events_before: usize,
}

/// Reads capture files, several in order of time; the caller feeds their bytes.
#[pyclass(frozen, module = "conntap._core")]
pub struct PacketReader(Mutex<Packets>);

pub struct Packets {
    source: Source,
    /// Both sides of a gateway: frames that leave have been seen when they came.
    departed: Option<Departed>,
    skipped: u64,
    /// Frames taken of each input, and the time of its last one.
    taken: Vec<Taken>,
}

type Taken = (u64, Option<i64>);

/// One capture can be looked at ahead of time; of several, the next packet is not known before the one before it.
enum Source {
    One { reader: Box<Reader>, ahead: Ahead, ended: bool },
    Many(Merge),
}

impl Source {
    fn reader(&self, input: usize) -> Option<&Reader> {
        match self {
            Self::One { reader, .. } => (input == 0).then_some(reader),
            Self::Many(merge) => merge.reader(input),
        }
    }

    fn feed(&mut self, input: usize, bytes: &[u8]) {
        match self {
            Self::One { reader, .. } => reader.feed(bytes),
            Self::Many(merge) => merge.feed(input, bytes),
        }
    }

    fn finish(&mut self, input: usize) {
        match self {
            Self::One { ended, .. } => *ended = true,
            Self::Many(merge) => merge.finish(input),
        }
    }
}

/// Where packets go, and who wants to know of them.
struct Way<'a> {
    engine: &'a mut Engine,
    rows: usize,
    trace: Option<&'a Trace>,
    writer: Option<&'a PacketWriter>,
}

impl PacketReader {
    pub fn lock(&self) -> MutexGuard<'_, Packets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PacketReader {
    #[new]
    #[pyo3(signature = (inputs=1, *, pairing=None))]
    fn new(inputs: usize, pairing: Option<&Pairing>) -> Self {
        let source = match inputs {
            1 if pairing.is_none() => {
                Source::One { reader: Box::new(Reader::new()), ahead: Ahead::default(), ended: false }
            }
            _ => {
                let mut merge = Merge::new(inputs);
                // Interfaces of one file have one clock.
                for input in 1..inputs {
                    let number = u32::try_from(input).unwrap_or(u32::MAX);
                    merge.set_ahead_ns(input, pairing.map_or(0, |pairing| pairing.lock().clock_offset_ns(number)));
                }
                Source::Many(merge)
            }
        };
        let departed = pairing.map(Pairing::departed);
        Self(Mutex::new(Packets { source, departed, skipped: 0, taken: vec![(0, None); inputs] }))
    }

    /// Hand in the next bytes of an input.
    fn feed(&self, py: Python<'_>, input: usize, bytes: &[u8]) {
        py.detach(|| self.lock().source.feed(input, bytes));
    }

    /// Say that an input has ended.
    fn finish(&self, input: usize) {
        self.lock().source.finish(input);
    }

    /// What was read of all inputs, and every omission, by name.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        let packets = self.lock();
        let of = |pick: &dyn Fn(&conntap_core::capture::Counters) -> u64| -> u64 {
            (0..packets.taken.len())
                .filter_map(|at| packets.source.reader(at))
                .map(|reader| pick(reader.counters()))
                .sum()
        };
        counters.set_item("frames", of(&|found| found.frames))?;
        counters.set_item("capture_other_blocks", of(&|found| found.other_blocks))?;
        counters.set_item("capture_cut", of(&|found| found.cut))?;
        counters.set_item("lost", of(&|found| found.lost))?;
        if packets.departed.is_some() {
            counters.set_item("departed", packets.skipped)?;
        }
        for (at, name) in CaptureError::COUNTERS.iter().enumerate() {
            counters.set_item(*name, of(&|found| found.refused.get(at).copied().unwrap_or_default()))?;
        }
        Ok(counters)
    }
}

impl Packets {
    /// Let packets through the engine until something stops it.
    pub fn run(
        &mut self,
        engine: &mut Engine,
        rows: usize,
        trace: Option<&Trace>,
        writer: Option<&PacketWriter>,
    ) -> Stop {
        let Self { source, departed, skipped, taken } = self;
        let files = taken.len();
        match source {
            Source::One { reader, ahead, ended } => {
                let Some(taken) = taken.first_mut() else { return Stop::End };
                let stop = ahead.walk(engine, reader, |engine, (frame, packet, prepared)| {
                    let came_by = frame.interface;
                    let mut way = Way { engine, rows, trace, writer };
                    let packet = packet.as_ref().map_err(|error| *error);
                    way.pass((0, taken), frame, packet, |packet, time_ns| Input {
                        came_by,
                        prepared: prepared.as_ref(),
                        ..Input::new(time_ns, packet)
                    })
                });
                match stop {
                    ahead::Stop::Break(stop) => stop,
                    ahead::Stop::Fault(fault) => Stop::Fault(0, fault.to_string()),
                    ahead::Stop::Need if !*ended => Stop::Need(0),
                    ahead::Stop::Need => {
                        reader.finish().map_or_else(|fault| Stop::Fault(0, fault.to_string()), |()| Stop::End)
                    }
                }
            }
            Source::Many(merge) => loop {
                let (input, frame) = match merge.next() {
                    Next::Frame(input, frame) => (input, frame),
                    Next::Error(input, error) => return Stop::Fault(input, error.to_string()),
                    Next::Need(input) => return Stop::Need(input),
                    Next::End => return Stop::End,
                };
                let Some(taken) = taken.get_mut(input) else { return Stop::End };
                if let Some(departed) = departed.as_mut()
                    && departed.next(files, input, frame.interface)
                {
                    *skipped = skipped.saturating_add(1);
                    taken.0 = taken.0.saturating_add(1);
                    continue;
                }
                let packet = decode(frame.linktype, frame.bytes, frame.original_len);
                let came_by = u32::try_from(input).unwrap_or(u32::MAX);
                let mut way = Way { engine, rows, trace, writer };
                let packet = packet.as_ref().map_err(|error| *error);
                let flow = way.pass((input, taken), &frame, packet, |packet, time_ns| Input {
                    came_by,
                    ..Input::new(time_ns, packet)
                });
                if let ControlFlow::Break(stop) = flow {
                    return stop;
                }
            },
        }
    }
}

impl Way<'_> {
    /// One frame through the engine.
    fn pass<'p>(
        &mut self,
        (input, taken): (usize, &mut Taken),
        frame: &Frame<'_>,
        packet: Result<&'p Packet<'p>, PacketError>,
        with: impl FnOnce(&'p Packet<'p>, i64) -> Input<'p>,
    ) -> ControlFlow<Stop> {
        let (number, last_ns) = taken;
        *number = number.saturating_add(1);
        let events_before = self.engine.events_waiting();
        let mut pending = Pending { number: *number, time_ns: frame.time_ns, input, facts: None, events_before };
        if let Some(lost) = frame.dropcount.filter(|lost| *lost > 0) {
            let after_ns = last_ns.unwrap_or(frame.time_ns);
            self.engine.gap(&Gap { lost: Some(lost), after_ns, before_ns: frame.time_ns, ..Gap::default() });
        }
        *last_ns = Some(frame.time_ns);
        let step = match packet {
            Ok(packet) => {
                if self.trace.is_some() {
                    pending.facts = Some(Facts::of(packet));
                }
                self.engine.packet(&with(packet, frame.time_ns))
            }
            Err(error) => Step::Done(self.engine.refused(error)),
        };
        match step {
            Step::Ask => return ControlFlow::Break(Stop::Ask(pending)),
            Step::Done(outcome) => done(self.engine, pending, outcome, self.trace, self.writer),
        }
        if self.engine.events_waiting() >= self.rows {
            return ControlFlow::Break(Stop::Rows);
        }
        ControlFlow::Continue(())
    }
}

/// One frame of an interface through the engine.
pub fn pass_live(engine: &mut Engine, frame: &live::Frame<'_>, pending: Pending) -> Option<Stop> {
    let step = match decode(frame.linktype, frame.bytes, frame.original_len) {
        Ok(packet) => engine.packet(&Input {
            came_by: frame.interface,
            verified: frame.checksum != live::ChecksumState::Unknown,
            ..Input::new(frame.time_ns, &packet)
        }),
        Err(error) => Step::Done(engine.refused(error)),
    };
    matches!(step, Step::Ask).then_some(Stop::Ask(pending))
}

/// Captures packets of an interface, or of all.
#[pyclass(frozen, module = "conntap._core")]
pub struct PacketCapture(Mutex<Live>);

struct Live {
    capture: live::Capture,
    frames: u64,
    dropped: u64,
    /// Time of the last frame.
    last_ns: i64,
}

impl PacketCapture {
    /// Take what is there; also tells a gap where the kernel dropped packets meanwhile.
    pub fn receive(
        &self,
        timeout: Duration,
        mut each: impl FnMut(&live::Frame<'_>, Pending),
    ) -> std::io::Result<(usize, Option<Gap>)> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Live { capture, frames, dropped, last_ns } = &mut *state;
        let before_ns = *last_ns;
        let count = match capture.receive(timeout, |frame| {
            *frames += 1;
            *last_ns = frame.time_ns;
            let (number, time_ns) = (*frames, frame.time_ns);
            each(frame, Pending { number, time_ns, input: 0, facts: None, events_before: 0 });
        }) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => 0,
            other => other?,
        };
        let total = capture.counters()?.dropped;
        let lost = total.saturating_sub(*dropped);
        *dropped = total;
        let after_ns = if before_ns == 0 { *last_ns } else { before_ns };
        let gap = (lost > 0).then(|| Gap { lost: Some(lost), after_ns, before_ns: now_ns(), ..Gap::default() });
        Ok((count, gap))
    }
}

#[pymethods]
impl PacketCapture {
    /// Open in this network namespace, or in the one that `netns` (a path) names.
    #[new]
    #[pyo3(signature = (interface=None, *, promiscuous=false, ring_bytes=64 << 20, netns=None))]
    fn new(
        py: Python<'_>,
        interface: Option<&str>,
        promiscuous: bool,
        ring_bytes: u32,
        netns: Option<std::path::PathBuf>,
    ) -> PyResult<Self> {
        let namespace = crate::kernel::namespace(py, netns)?;
        let options =
            live::Options { interface, promiscuous, ring_bytes, namespace: namespace.as_ref(), ..Default::default() };
        let opened = py.detach(|| live::Capture::open(&options));
        let what = || format!("capturing on {}", interface.unwrap_or("all interfaces"));
        let capture = opened.map_err(|error| errors::system(py, &what(), &error))?;
        Ok(Self(Mutex::new(Live { capture, frames: 0, dropped: 0, last_ns: 0 })))
    }

    /// Frames taken, and those for which the ring had no room.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = PyDict::new(py);
        counters.set_item("frames", state.frames)?;
        counters.set_item("lost", state.dropped)?;
        Ok(counters)
    }
}

/// What follows when a packet's outcome is known.
pub fn done(engine: &Engine, pending: Pending, outcome: Outcome, trace: Option<&Trace>, writer: Option<&PacketWriter>) {
    if let Some(writer) = writer {
        writer.take(engine, pending.time_ns);
    }
    if let Some(trace) = trace {
        trace.take(engine, pending, outcome);
    }
}

/// Packets as the engine sends them, as bytes of a pcapng file (or pcap, if told so).
#[pyclass(frozen, module = "conntap._core")]
pub struct PacketWriter(Mutex<(Option<Writer>, Vec<u8>, u64)>);

impl PacketWriter {
    fn take(&self, engine: &Engine, time_ns: i64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(writer), out, count) = &mut *state else { return };
        for bytes in engine.forwarded() {
            let (bytes, original_len) = (bytes.as_ref(), u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            let frame = Frame { time_ns, linktype: linktype::RAW, interface: 0, original_len, bytes, dropcount: None };
            if writer.write(out, &frame).is_ok() {
                *count += 1;
            }
        }
    }
}

#[pymethods]
impl PacketWriter {
    #[new]
    #[pyo3(signature = (*, pcap=false, hardware="", os="", comment=""))]
    fn new(pcap: bool, hardware: &str, os: &str, comment: &str) -> Self {
        let format = if pcap { Format::Pcap } else { Format::PcapNg };
        let (writer, head) = Writer::new(&Options { format, hardware, os, comment, ..Options::default() });
        Self(Mutex::new((Some(writer), head, 0)))
    }

    /// The bytes since the last time.
    fn take_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        PyBytes::new(py, &std::mem::take(&mut state.1))
    }

    /// Packets written so far.
    #[getter]
    fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).2
    }

    /// The file's last bytes.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = state.0.take() else { return Err(ClosedError::new_err("the capture is finished")) };
        let mut out = std::mem::take(&mut state.1);
        writer.finish(&mut out, &Statistics::default());
        Ok(PyBytes::new(py, &out))
    }
}

/// Keeps what the engine thought of each packet of some flows (None: of all packets), up to a limit.
#[pyclass(frozen, module = "conntap._core")]
pub struct Trace {
    flows: Option<HashSet<u32>>,
    limit: usize,
    kept: Mutex<(Vec<Traced>, u64)>,
}

impl Trace {
    fn take(&self, engine: &Engine, pending: Pending, outcome: Outcome) {
        let wanted = match (&self.flows, outcome.flow) {
            (None, _) => true,
            (Some(flows), Some((id, _))) => flows.contains(&id),
            (Some(_), None) => false,
        };
        if !wanted {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0.len() >= self.limit {
            kept.1 += 1;
            return;
        }
        let Pending { number, time_ns, input, facts, events_before } = pending;
        kept.0.push(Traced::of(engine, (number, time_ns, input), facts, outcome, events_before));
    }
}

#[pymethods]
impl Trace {
    #[new]
    #[pyo3(signature = (flows=None, *, limit=1_000_000))]
    fn new(flows: Option<HashSet<u32>>, limit: usize) -> Self {
        Self { flows, limit, kept: Mutex::new((Vec::new(), 0)) }
    }

    /// Packets that were not kept, since there were too many.
    #[getter]
    fn left_out(&self) -> u64 {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// The packets kept since the last time.
    fn take_packets(&self) -> Vec<TracedPacket> {
        let kept = std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner).0);
        kept.into_iter().map(TracedPacket).collect()
    }
}

/// A packet, and what the engine thought of it.
#[pyclass(frozen, module = "conntap._core")]
pub struct TracedPacket(Traced);

#[pymethods]
impl TracedPacket {
    /// Of the frame in its capture, counted from 1.
    #[getter]
    fn number(&self) -> u64 {
        self.0.number
    }

    /// Nanoseconds since the epoch.
    #[getter]
    fn time_ns(&self) -> i64 {
        self.0.time_ns
    }

    /// Which capture, from 0.
    #[getter]
    fn input(&self) -> usize {
        self.0.input
    }

    /// NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED or UNSEEN.
    #[getter]
    fn verdict(&self) -> &'static str {
        self.0.outcome.state.name()
    }

    /// Why, in words.
    #[getter]
    fn why(&self) -> String {
        self.0.outcome.reason.to_string()
    }

    /// Why, as one word that stays.
    #[getter]
    fn reason(&self) -> String {
        self.0.outcome.reason.name()
    }

    /// The gateway does not send it on.
    #[getter]
    fn dropped(&self) -> bool {
        self.0.outcome.dropped
    }

    /// The flow's id and the direction in it (0 original, 1 reply).
    #[getter]
    fn flow(&self) -> Option<(u32, u8)> {
        self.0.outcome.flow.map(|(id, direction)| (id, direction as u8))
    }

    /// Protocol, source and destination address, length, payload length, first bytes of the payload, a fragment or not.
    #[getter]
    #[allow(clippy::type_complexity)]
    fn packet<'py>(
        &self,
        py: Python<'py>,
    ) -> Option<(u8, Bound<'py, PyBytes>, Bound<'py, PyBytes>, u32, u32, Bound<'py, PyBytes>, bool)> {
        let facts = self.0.facts.as_ref()?;
        let width = if facts.family == AF_INET { 4 } else { 16 };
        let address = |bytes: &[u8; 16]| PyBytes::new(py, bytes.get(..width).unwrap_or_default());
        let payload = PyBytes::new(py, &facts.payload);
        let (src, dst) = (address(&facts.src), address(&facts.dst));
        Some((facts.l4proto, src, dst, facts.length, facts.payload_len, payload, facts.fragment))
    }

    /// Source and destination port.
    #[getter]
    fn ports(&self) -> Option<(u16, u16)> {
        self.0.facts.as_ref()?.ports
    }

    /// ICMP type and code.
    #[getter]
    fn icmp(&self) -> Option<(u8, u8)> {
        self.0.facts.as_ref()?.icmp
    }

    /// TCP: flags, sequence number, acknowledgement, window as it stands.
    #[getter]
    fn tcp(&self) -> Option<(u8, u32, u32, u16)> {
        self.0.facts.as_ref()?.tcp.map(|tcp| (tcp.flags, tcp.seq, tcp.ack, tcp.window))
    }

    /// The tracker's state behind it (TCP, SCTP), by number.
    #[getter]
    fn state(&self) -> Option<u8> {
        self.0.state
    }

    /// TCP, both sides behind it: highest sequence number sent, highest allowed, largest window, scale.
    #[getter]
    fn windows(&self) -> Option<Vec<(u32, u32, u32, u8)>> {
        let sides = self.0.sides?;
        Some(sides.iter().map(|side| (side.end, side.max_end, side.max_window, side.scale)).collect())
    }

    /// When the flow ends if nothing more comes, nanoseconds since the epoch.
    #[getter]
    fn expires_ns(&self) -> Option<i64> {
        self.0.expires_ns
    }

    /// IPS_* bits of the flow behind it.
    #[getter]
    fn status(&self) -> u32 {
        self.0.status
    }

    /// The events that it caused.
    #[getter]
    fn events(&self) -> crate::batch::Batch {
        crate::batch::Batch::of(self.0.events.iter().map(|message| (message.clone(), self.0.time_ns)).collect())
    }
}

/// The link type of the first packet in the first bytes of a capture file; None where it cannot be told.
#[pyfunction]
pub fn first_linktype(bytes: &[u8]) -> PyResult<Option<u16>> {
    let mut reader = Reader::new();
    reader.feed(bytes);
    let mut fault = None;
    loop {
        match (reader.next(), fault) {
            (Some(Ok(frame)), _) => return Ok(Some(frame.linktype)),
            // Behind a damaged block there may be whole ones.
            (Some(Err(error)), first) => fault = Some(first.unwrap_or(error)),
            (None, Some(error)) => return Err(RecordingError::new_err(error.to_string())),
            (None, None) => return Ok(None),
        }
    }
}
