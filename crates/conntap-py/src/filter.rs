//! `Filter`: parse, explain, test.

use conntap_core::filter::{Filter as CoreFilter, Insn, Quirks, Resolve};
use conntap_core::model::{Content, Flow, Kind};
use conntap_core::wire::Message;
use conntap_sys::socket::Instruction;
use pyo3::prelude::*;

use crate::rows;

/// A compiled filter: docs/filter.md has the language.
#[pyclass(frozen, eq, module = "conntap._core")]
#[derive(Clone, PartialEq, Eq)]
pub struct Filter(pub CoreFilter);

/// The test that a source puts its rows to.
pub fn wanted(filter: Option<&Filter>) -> impl FnMut(Kind, &Content<'_>, &Message<'_>) -> bool + '_ {
    move |kind, content, message| filter.is_none_or(|filter| filter.0.matches(kind, content, message))
}

impl Filter {
    /// The socket filter that lets through at least what this wants.
    pub fn program(&self) -> Option<Vec<Instruction>> {
        let convert = |insn: &Insn| Instruction { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k };
        self.0.bpf().map(|program| program.insns.iter().map(convert).collect())
    }

    /// The criteria of a dump of flows that lets through at least what this wants.
    pub fn criteria(&self) -> Flow<'static> {
        self.0.dump_plan(&Quirks::default()).criteria
    }
}

/// Names that the system knows; asked only when a filter uses one.
struct Names<'py> {
    py: Python<'py>,
    labels: Option<Bound<'py, PyAny>>,
}

impl Resolve for Names<'_> {
    fn service(&self, name: &str) -> Option<u16> {
        self.py.import("conntap.resolve").ok()?.call_method1("service", (name,)).ok()?.extract().ok()?
    }

    fn label(&self, name: &str) -> Option<u16> {
        match &self.labels {
            Some(labels) => labels.get_item(name).ok()?.extract().ok(),
            None => self.py.import("conntap.resolve").ok()?.call_method1("label", (name,)).ok()?.extract().ok()?,
        }
    }

    fn protocol(&self, name: &str) -> Option<u8> {
        self.py.import("conntap.resolve").ok()?.call_method1("protocol", (name,)).ok()?.extract().ok()?
    }
}

#[pymethods]
impl Filter {
    /// Parse a filter. `labels` maps names of labels to their numbers; None uses the system's file.
    #[new]
    #[pyo3(signature = (text="", *, labels=None))]
    fn new(py: Python<'_>, text: &str, labels: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        CoreFilter::parse(text, &Names { py, labels }).map(Self).map_err(|error| {
            let exception = py.import("conntap.errors").and_then(|module| module.getattr("filter_error"));
            match exception.and_then(|make| make.call1((error.message, text, error.at, error.len, error.hint))) {
                Ok(exception) => PyErr::from_value(exception),
                Err(error) => error,
            }
        })
    }

    /// True when the filter names event kinds, which a table has not.
    #[getter]
    fn uses_event_kinds(&self) -> bool {
        self.0.uses_event_kinds()
    }

    /// Multicast groups that can bring a wanted row, as a mask: bit 0 is group 1 (NEW).
    #[getter]
    fn groups(&self) -> u32 {
        self.0.groups()
    }

    /// Does a row pass?
    fn matches(&self, row: &Bound<'_, PyAny>) -> PyResult<bool> {
        let event = row.cast::<rows::Event>().map(|row| row.get().0.again());
        let flow = row.cast::<rows::Flow>().map(|row| row.get().0.again());
        let expectation = row.cast::<rows::Expectation>().map(|row| row.get().0.again());
        let handle = event.or(flow).or(expectation)?;
        let (message, content) = handle.content()?;
        Ok(self.0.matches(handle.row().kind, &content, &message))
    }

    /// What runs in the kernel and what here, in words.
    fn explain(&self) -> String {
        self.0.explain()
    }

    /// A condition in SQL over the columns of a ledger's segments. Raises UsageError where a part has no such form.
    fn sql(&self, py: Python<'_>) -> PyResult<String> {
        self.0.sql().map_err(|error| {
            let text = format!("filter: '{}' cannot be asked of a ledger: {}", error.part, error.reason);
            let exception = py.import("conntap.errors").and_then(|module| module.getattr("UsageError"));
            match exception.and_then(|make| make.call1((text,))) {
                Ok(exception) => PyErr::from_value(exception),
                Err(error) => error,
            }
        })
    }

    /// The canonical text, which parses back to the same filter.
    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Filter({:?})", self.0.to_string())
    }
}
