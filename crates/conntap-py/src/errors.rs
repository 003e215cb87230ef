//! Exceptions are defined in Python (`conntap.errors`) and raised here, in one place.

use std::io;

use conntap_core::model::KernelError as Refusal;
use pyo3::prelude::*;

pyo3::import_exception!(conntap.errors, UsageError);
pyo3::import_exception!(conntap.errors, FilterError);
pyo3::import_exception!(conntap.errors, ClosedError);
pyo3::import_exception!(conntap.errors, RecordingError);
pyo3::import_exception!(conntap.errors, SegmentError);

/// A failed system call: `conntap.errors.from_os_error` knows what to advise.
pub fn system(py: Python<'_>, what: &str, error: &io::Error) -> PyErr {
    let errno = error.raw_os_error().unwrap_or(0);
    build(py, what, errno, Some(&error.to_string()), None)
}

/// A request that the kernel refused, with its own words where it had any.
pub fn kernel(py: Python<'_>, what: &str, refusal: &Refusal) -> PyErr {
    build(py, what, refusal.errno, refusal.text.as_deref(), refusal.offset)
}

fn build(py: Python<'_>, what: &str, errno: i32, text: Option<&str>, offset: Option<u32>) -> PyErr {
    let made = py
        .import("conntap.errors")
        .and_then(|module| module.getattr("from_errno"))
        .and_then(|make| make.call1((what, errno, text, offset)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
