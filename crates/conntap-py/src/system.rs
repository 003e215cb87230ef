//! Small questions to the system.

use std::io::Write;
use std::path::PathBuf;

use conntap_sys::namespace::Namespace;
use pyo3::prelude::*;

use crate::errors;

/// Nanoseconds since the epoch.
#[pyfunction]
pub fn now_ns() -> i64 {
    conntap_sys::clock::now_ns()
}

/// The text of a file as a process in the namespace `netns` would read it (/proc/sys/net, /proc/net).
#[pyfunction]
#[pyo3(signature = (path, netns=None))]
pub fn read_in_namespace(py: Python<'_>, path: PathBuf, netns: Option<PathBuf>) -> PyResult<String> {
    let read = py.detach(|| match netns {
        Some(netns) => Namespace::open(&netns)?.run(|| std::fs::read_to_string(&path)),
        None => std::fs::read_to_string(&path),
    });
    read.map_err(|error| errors::system(py, &format!("reading {}", path.display()), &error))
}

/// Write a setting below /proc/sys as a process in the namespace `netns` would; the file is never made.
#[pyfunction]
#[pyo3(signature = (path, text, netns=None))]
pub fn write_in_namespace(py: Python<'_>, path: PathBuf, text: &str, netns: Option<PathBuf>) -> PyResult<()> {
    // The kernel takes a setting in one piece: one write, and no truncating.
    let set = || std::fs::OpenOptions::new().write(true).open(&path)?.write_all(text.as_bytes());
    let written = py.detach(|| match netns {
        Some(netns) => Namespace::open(&netns)?.run(set),
        None => set(),
    });
    written.map_err(|error| errors::system(py, &format!("writing {}", path.display()), &error))
}
