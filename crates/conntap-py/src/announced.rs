//! What a guard decides about, as plain values: the fast way from a batch to Python.

use std::net::IpAddr;

use conntap_core::batch as core;
use conntap_core::model::{Content, Kind, Tuple};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

/// Every row about an expectation, and every flow that began because of one (NEW, or an entry, with a master).
///
/// A row is (index, kind, received_ns, id, timeout, flags, subject); a subject is (helper, protocol, source, source
/// mask, source port, source port's mask, destination, destination port, master: source, destination, protocol,
/// source port, destination port, zone). Addresses are bytes; those of a flow are exact.
pub fn rows<'py>(py: Python<'py>, batch: &core::Batch) -> PyResult<Vec<Bound<'py, PyTuple>>> {
    let mut found = Vec::new();
    let mut names = Names::default();
    for (index, row) in batch.rows().iter().enumerate() {
        if !(row.kind.is_expectation() || matches!(row.kind, Kind::New | Kind::Entry)) {
            continue;
        }
        let Some((_, content)) = batch.content(row) else { continue };
        let told = match &content {
            Content::Expectation(one) => (
                one.id,
                one.timeout,
                one.flags,
                subject(
                    py,
                    &mut names,
                    one.helper.unwrap_or_default(),
                    &one.tuple,
                    Some(&one.mask),
                    &one.master,
                    one.zone,
                )?,
            ),
            Content::Flow(flow) => {
                let Some(master) = &flow.master else { continue };
                (flow.id, flow.timeout, flow.status, subject(py, &mut names, b"", &flow.orig, None, master, flow.zone)?)
            }
            Content::Gap(_) => continue,
        };
        let (id, timeout, flags, subject) = told;
        let row = (index, row.kind.name(), row.received_ns, id.unwrap_or(0), timeout.unwrap_or(0), flags.unwrap_or(0));
        found.push((row.0, row.1, row.2, row.3, row.4, row.5, subject).into_pyobject(py)?);
    }
    Ok(found)
}

/// Names of helpers, each made once.
#[derive(Default)]
struct Names<'py>(Vec<(Vec<u8>, Bound<'py, PyString>)>);

impl<'py> Names<'py> {
    fn get(&mut self, py: Python<'py>, name: &[u8]) -> Bound<'py, PyString> {
        if let Some((_, made)) = self.0.iter().find(|(known, _)| known == name) {
            return made.clone();
        }
        let made = PyString::new(py, &String::from_utf8_lossy(name));
        self.0.push((name.to_vec(), made.clone()));
        made
    }
}

fn subject<'py>(
    py: Python<'py>,
    names: &mut Names<'py>,
    helper: &[u8],
    tuple: &Tuple,
    mask: Option<&Tuple>,
    master: &Tuple,
    zone: Option<u16>,
) -> PyResult<Bound<'py, PyTuple>> {
    let exact = match tuple.src {
        Some(IpAddr::V6(_)) => PyBytes::new(py, &[0xff; 16]),
        _ => PyBytes::new(py, &[0xff; 4]),
    };
    let (src_mask, sport_mask) = match mask {
        Some(mask) => (address(py, mask.src), mask.sport.unwrap_or(0)),
        None => (exact, u16::MAX),
    };
    let items: [Bound<'py, PyAny>; 14] = [
        names.get(py, helper).into_any(),
        tuple.l4proto.unwrap_or(0).into_pyobject(py)?.into_any(),
        address(py, tuple.src).into_any(),
        src_mask.into_any(),
        tuple.sport.unwrap_or(0).into_pyobject(py)?.into_any(),
        sport_mask.into_pyobject(py)?.into_any(),
        address(py, tuple.dst).into_any(),
        tuple.dport.unwrap_or(0).into_pyobject(py)?.into_any(),
        address(py, master.src).into_any(),
        address(py, master.dst).into_any(),
        master.l4proto.unwrap_or(0).into_pyobject(py)?.into_any(),
        master.sport.unwrap_or(0).into_pyobject(py)?.into_any(),
        master.dport.unwrap_or(0).into_pyobject(py)?.into_any(),
        zone.unwrap_or(0).into_pyobject(py)?.into_any(),
    ];
    PyTuple::new(py, items)
}

fn address(py: Python<'_>, address: Option<IpAddr>) -> Bound<'_, PyBytes> {
    match address {
        Some(IpAddr::V4(four)) => PyBytes::new(py, &four.octets()),
        Some(IpAddr::V6(six)) => PyBytes::new(py, &six.octets()),
        None => PyBytes::new(py, b""),
    }
}
