//! `Pairing`: captures of both sides of a gateway, put together. Files are read by the caller.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use conntap_core::capture::{Merge, Next};
use conntap_core::pairing as core;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;

use crate::engine::tuple_parts;

/// Finds each packet's twin on the other side of the gateway.
#[pyclass(frozen, module = "conntap._core")]
pub struct Pairing(Arc<Mutex<core::Pairing>>);

/// Which frames of a second walk over the same captures are to be passed over.
pub struct Departed {
    pairing: Arc<Mutex<core::Pairing>>,
    /// Frames that have come, by input.
    numbers: BTreeMap<u32, u64>,
}

impl Departed {
    /// Whether the next frame of this file and interface has been seen when it came.
    pub fn next(&mut self, files: usize, file: usize, interface: u32) -> bool {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let input = core::Pairing::input_of(narrow(files), narrow(file), interface);
        let number = self.numbers.entry(input).or_default();
        let pairing = self.pairing.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = pairing.verdict(input, *number);
        *number = number.saturating_add(1);
        verdict == Some(core::Verdict::Departed)
    }
}

impl Pairing {
    /// For a second walk.
    pub fn departed(&self) -> Departed {
        Departed { pairing: Arc::clone(&self.0), numbers: BTreeMap::new() }
    }

    pub fn lock(&self) -> MutexGuard<'_, core::Pairing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How one connection passes the gateway. Tuples: source, destination, protocol, source and destination port.
#[pyclass(frozen, get_all, module = "conntap._core")]
pub struct Binding {
    /// As its first packet arrived, and as it left.
    original: Py<PyAny>,
    left: Py<PyAny>,
    came_by: u32,
    went_by: u32,
    since_ns: i64,
    /// Packets seen on both sides; those whose payload was rewritten, and by how many bytes they grew in all.
    pairs: u64,
    rewritten: u64,
    grown: i64,
    ambiguous: bool,
}

#[pymethods]
impl Pairing {
    /// `seed`: 16 random bytes for the hash tables.
    #[new]
    fn new(seed: [u8; 16], window_ns: i64) -> Self {
        let seed = u128::from_le_bytes(seed);
        #[allow(clippy::cast_possible_truncation)] // the halves
        let seed = [seed as u64, (seed >> 64) as u64];
        let limits = core::Limits { window_ns, ..core::Limits::default() };
        Self(Arc::new(Mutex::new(core::Pairing::new(limits, seed))))
    }

    /// Show the next frame of a file or interface.
    #[pyo3(signature = (input, time_ns, linktype, frame, original_len=None))]
    fn frame(&self, input: u32, time_ns: i64, linktype: u16, frame: &[u8], original_len: Option<u32>) {
        let len = original_len.unwrap_or_else(|| u32::try_from(frame.len()).unwrap_or(u32::MAX));
        self.lock().frame(input, time_ns, linktype, frame, len);
    }

    /// Show all frames of so many capture files, in order of time. `read(file)` gives the next bytes, none at the end.
    /// Returns what could not be read: file and reason.
    fn captures(&self, py: Python<'_>, files: u32, read: &Bound<'_, PyAny>) -> PyResult<Vec<(usize, String)>> {
        let mut merge = Merge::new(usize::try_from(files).unwrap_or(usize::MAX));
        let mut faults = Vec::new();
        while let Some(file) = py.detach(|| self.show(files, &mut merge, &mut faults)) {
            let bytes: PyBackedBytes = read.call1((file,))?.extract()?;
            if bytes.is_empty() {
                merge.finish(file);
            } else {
                merge.feed(file, &bytes);
            }
        }
        Ok(faults)
    }

    /// No more frames will come.
    fn finish(&self, py: Python<'_>) {
        py.detach(|| self.lock().finish());
    }

    /// What an input's next frame is; None: not known yet, or no frame is left.
    fn take(&self, input: u32) -> Option<&'static str> {
        self.lock().take(input).map(core::Verdict::name)
    }

    /// Connections seen on both sides, in order of their first packets.
    fn bindings(&self, py: Python<'_>) -> PyResult<Vec<Binding>> {
        let found: Vec<core::Binding> = self.lock().bindings().collect();
        let bound = |binding: core::Binding| {
            let core::Binding { original, left, came_by, went_by, since_ns, pairs, rewritten, grown, ambiguous } =
                binding;
            let original = tuple_parts(py, &original).into_pyobject(py)?.into_any().unbind();
            let left = tuple_parts(py, &left).into_pyobject(py)?.into_any().unbind();
            Ok(Binding { original, left, came_by, went_by, since_ns, pairs, rewritten, grown, ambiguous })
        };
        found.into_iter().map(bound).collect()
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

    /// By how much an input's clock is ahead; 0 unless packets seemed to leave before they came.
    fn clock_offset_ns(&self, input: u32) -> i64 {
        self.lock().clock_offset_ns(input)
    }
}

impl Pairing {
    /// Show frames until a file needs more bytes: its number. None: all have ended.
    fn show(&self, files: u32, merge: &mut Merge, faults: &mut Vec<(usize, String)>) -> Option<usize> {
        let mut pairing = self.lock();
        loop {
            match merge.next() {
                Next::Frame(file, frame) => {
                    let file = u32::try_from(file).unwrap_or(u32::MAX);
                    let input = core::Pairing::input_of(files, file, frame.interface);
                    pairing.frame(input, frame.time_ns, frame.linktype, frame.bytes, frame.original_len);
                }
                Next::Error(file, error) => faults.push((file, error.to_string())),
                Next::Need(file) => return Some(file),
                Next::End => return None,
            }
        }
    }
}
