//! `BarePackets`: a capture's packets without an engine.

use std::sync::{Mutex, MutexGuard, PoisonError};

use conntap_core::capture::{Merge, Next};
use conntap_core::packet::{PacketError, decode};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Number, time, the bytes from the IP header on, and why there are none.
type Bare<'py> = (u64, i64, Bound<'py, PyBytes>, &'static str);

/// Reads a capture file's packets as they are, from the IP header on; the caller feeds its bytes.
#[pyclass(frozen, module = "conntap._core")]
pub struct BarePackets(Mutex<(Merge, u64)>);

impl BarePackets {
    fn lock(&self) -> MutexGuard<'_, (Merge, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl BarePackets {
    #[new]
    fn new() -> Self {
        Self(Mutex::new((Merge::new(1), 0)))
    }

    /// Hand in the next bytes.
    fn feed(&self, py: Python<'_>, bytes: &[u8]) {
        py.detach(|| self.lock().0.feed(0, bytes));
    }

    /// Say that the file has ended.
    fn finish(&self) {
        self.lock().0.finish(0);
    }

    /// Take the next packets, `limit` at most, and the word of what stopped it: "need", "fault" (in words), "limit", "end".
    ///
    /// A packet is its number from 1 on, its time in ns, its bytes, and "" or the counter that says why there are none.
    fn take<'py>(&self, py: Python<'py>, limit: usize) -> (Vec<Bare<'py>>, &'static str, String) {
        let mut state = self.lock();
        let (merge, number) = &mut *state;
        let mut found = Vec::new();
        while found.len() < limit {
            let frame = match merge.next() {
                Next::Frame(_, frame) => frame,
                Next::Error(_, error) => return (found, "fault", error.to_string()),
                Next::Need(_) => return (found, "need", String::new()),
                Next::End => return (found, "end", String::new()),
            };
            *number = number.saturating_add(1);
            let (bytes, why) = match decode(frame.linktype, frame.bytes, frame.original_len) {
                Ok(packet) => (packet.ip, ""),
                Err(error) => (&[][..], PacketError::COUNTERS.get(error.counter()).copied().unwrap_or_default()),
            };
            found.push((*number, frame.time_ns, PyBytes::new(py, bytes), why));
        }
        (found, "limit", String::new())
    }
}
