//! `find_records`: the records of a segment that fit a question.

use std::cell::Cell;
use std::fs::File;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use conntap_core::ledger::find::{Question, Role, Value, find};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::errors::{SegmentError, UsageError};

/// Return the records of a segment in which an address took part in a role, with *columns* each.
#[pyfunction]
#[pyo3(signature = (path, role, address, columns, *, port=None, l4proto=None, late_ns, low_ns=None))]
#[allow(clippy::too_many_arguments)] // all by name
pub fn find_records<'py>(
    py: Python<'py>,
    path: &str,
    role: &str,
    address: IpAddr,
    columns: Vec<String>,
    port: Option<u16>,
    l4proto: Option<u8>,
    late_ns: i64,
    low_ns: Option<i64>,
) -> PyResult<Vec<Bound<'py, PyTuple>>> {
    let role = Role::named(role).ok_or_else(|| UsageError::new_err(format!("no role '{role}'")))?;
    let question = Question { role, address, port, l4proto, late_ns, low_ns };
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let found = py.detach(|| -> PyResult<_> {
        let file = File::open(path)?;
        quietly(|| find(file, &question, &names))
            .ok_or_else(|| SegmentError::new_err(format!("{path}: a page is damaged")))?
            .map_err(|error| SegmentError::new_err(format!("{path}: {error}")))
    })?;
    found.into_iter().map(|row| PyTuple::new(py, row.into_iter().map(Item))).collect()
}

thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });

/// Do it, and None where it panics, without a word: the decoder trusts what pages say of themselves.
fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                others(panic);
            }
        }));
    });
    QUIET.set(true);
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    QUIET.set(false);
    done
}

/// A value as Python has it.
struct Item(Value);

impl<'py> IntoPyObject<'py> for Item {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        Ok(match self.0 {
            Value::Null => py.None().into_bound(py),
            Value::Signed(number) => number.into_pyobject(py)?.into_any(),
            Value::Unsigned(number) => number.into_pyobject(py)?.into_any(),
            Value::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
            Value::Text(text) => text.into_pyobject(py)?.into_any(),
        })
    }
}
