//! Small questions to the system.

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
