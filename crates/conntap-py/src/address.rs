//! Addresses as `ipaddress` objects. Making one costs about a microsecond, so recent ones are kept.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Addresses kept; when full, all are forgotten. Bounds memory to a few MiB.
const KEPT: usize = 65_536;

type Cache = Mutex<HashMap<IpAddr, Py<PyAny>>>;
static CACHE: PyOnceLock<Cache> = PyOnceLock::new();
static CLASSES: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();

/// The Python object of an address.
pub fn to_python(py: Python<'_>, address: IpAddr) -> PyResult<Py<PyAny>> {
    let cache = CACHE.get_or_init(py, Cache::default);
    // Never held while Python code runs: a finaliser could come back here.
    let known = cache.lock().unwrap_or_else(PoisonError::into_inner).get(&address).map(|object| object.clone_ref(py));
    if let Some(object) = known {
        return Ok(object);
    }
    let (v4, v6) = CLASSES.get_or_try_init(py, || {
        let module = py.import("ipaddress")?;
        Ok::<_, PyErr>((module.getattr("IPv4Address")?.unbind(), module.getattr("IPv6Address")?.unbind()))
    })?;
    let object = match address {
        IpAddr::V4(address) => v4.call1(py, (u32::from(address),))?,
        IpAddr::V6(address) => v6.call1(py, (u128::from(address),))?,
    };
    let mut kept = cache.lock().unwrap_or_else(PoisonError::into_inner);
    let forgotten = if kept.len() >= KEPT { std::mem::take(&mut *kept) } else { HashMap::new() };
    kept.insert(address, object.clone_ref(py));
    drop(kept);
    drop(forgotten); // outside the lock: dropping objects runs Python code
    Ok(object)
}

/// Read an address from `str` or an `ipaddress` object.
pub fn from_python(value: &Bound<'_, PyAny>) -> PyResult<IpAddr> {
    let text = value.str()?;
    text.to_cow()?.parse().map_err(|_| crate::errors::UsageError::new_err(format!("'{text}' is not an IP address")))
}
