//! `Formatter`: batches to bytes, in the style of a command.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use conntap_core::text::{
    self, ConntrackStyle, Environment, LabelMap, SaveStyle, SaveWord, Style, XmlStyle, human::HumanStyle,
    tables::Tables,
};
use conntap_sys::clock;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::batch::{Batch, Handle};
use crate::errors::UsageError;

/// Writes rows as text.
#[pyclass(frozen, module = "conntap._core")]
pub struct Formatter {
    state: Mutex<State>,
    system: System,
}

#[allow(clippy::large_enum_variant)] // one a formatter, never moved
enum State {
    Text(text::Formatter),
    Tables(Tables),
    Json,
}

/// What the system knows: clock, zone, names. Python is asked only for names, and only when given callables.
#[derive(Default)]
struct System {
    services: HashMap<(u16, u8), String>,
    programs: Option<Py<PyAny>>,
    hosts: Option<Py<PyAny>>,
}

/// [`System`] while a batch is written.
struct Asked<'a>(&'a System);

impl Environment for Asked<'_> {
    fn now_ns(&self) -> i64 {
        clock::now_ns()
    }

    fn utc_offset_seconds(&self, epoch_seconds: i64) -> i32 {
        clock::utc_offset_seconds(epoch_seconds)
    }

    fn program(&mut self, port: u32) -> Option<String> {
        let ask = self.0.programs.as_ref()?;
        Python::attach(|py| ask.call1(py, (port,)).ok()?.extract(py).ok()?)
    }

    fn host_name(&mut self, address: IpAddr) -> Option<String> {
        let ask = self.0.hosts.as_ref()?;
        Python::attach(|py| ask.call1(py, (address.to_string(),)).ok()?.extract(py).ok()?)
    }

    fn service_name(&mut self, port: u16, l4proto: u8) -> Option<String> {
        self.0.services.get(&(port, l4proto)).cloned()
    }
}

#[pymethods]
impl Formatter {
    /// `style`: human, table, conntrack, xml, save or json; the rest as the style understands it.
    #[new]
    #[pyo3(signature = (style, *, events=true, root=true, extended=false, id=false, timestamp=false, ktimestamp=false,
        userspace=false, labels=None, verb="A", color=false, ascii=false, utc=false, date=false, width=0, services=None,
        programs=None, hosts=None))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)] // the words of -o, by keyword only
    fn new(
        style: &str,
        events: bool,
        root: bool,
        extended: bool,
        id: bool,
        timestamp: bool,
        ktimestamp: bool,
        userspace: bool,
        labels: Option<&[u8]>,
        verb: &str,
        color: bool,
        ascii: bool,
        utc: bool,
        date: bool,
        width: usize,
        services: Option<HashMap<(u16, u8), String>>,
        programs: Option<Py<PyAny>>,
        hosts: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let labels = labels.map(LabelMap::parse);
        let names = hosts.is_some();
        let text = |style| State::Text(text::Formatter::new(style));
        let state = match style {
            "conntrack" => text(Style::Conntrack(ConntrackStyle {
                extended,
                id,
                ktimestamp,
                timestamp,
                labels,
                events,
                userspace,
            })),
            "xml" => text(Style::Xml(XmlStyle { ktimestamp, timestamp, labels, events, root })),
            "save" => {
                let entry = match verb {
                    "A" => SaveWord::Add,
                    "U" => SaveWord::Update,
                    "D" => SaveWord::Delete,
                    _ => return Err(UsageError::new_err(format!("unknown verb '{verb}'"))),
                };
                text(Style::Save(SaveStyle { entry, userspace }))
            }
            "human" => text(Style::Human(HumanStyle { color, ascii, names, services: true, utc, date, width, labels })),
            "table" => {
                State::Tables(Tables::new(HumanStyle { color, ascii, names, services: true, utc, date, width, labels }))
            }
            "json" => State::Json,
            _ => return Err(UsageError::new_err(format!("unknown style '{style}'"))),
        };
        let system = System { services: services.unwrap_or_default(), programs, hosts };
        Ok(Self { state: Mutex::new(state), system })
    }

    /// The rows of a batch as text.
    fn format<'py>(&self, py: Python<'py>, batch: &Batch) -> Bound<'py, PyBytes> {
        let out = py.detach(|| {
            let mut out = Vec::with_capacity(batch.0.len() * 192);
            match &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
                State::Text(formatter) => formatter.format(&batch.0, &mut Asked(&self.system), &mut out),
                State::Tables(tables) => tables.format(&batch.0, &mut Asked(&self.system), &mut out),
                State::Json => {
                    for (row, message, content) in batch.0.iter() {
                        conntap_core::json::write_row(&mut out, row, &message, &content);
                    }
                }
            }
            out
        });
        PyBytes::new(py, &out)
    }

    /// What closes the output (the XML root).
    fn finish<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut out = Vec::new();
        if let State::Text(formatter) = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            formatter.finish(&mut out);
        }
        PyBytes::new(py, &out)
    }
}

/// One row as the line of `conntrack`, or as `conntap watch` shows it; without the line's end.
pub fn one_line(handle: &Handle, conntrack: bool) -> PyResult<String> {
    let (message, content) = handle.content()?;
    let style = if conntrack {
        Style::Conntrack(ConntrackStyle { events: true, ..ConntrackStyle::default() })
    } else {
        Style::Human(HumanStyle::default())
    };
    let mut out = Vec::with_capacity(256);
    let system = System::default();
    text::Formatter::new(style).row(handle.row(), &message, &content, &mut Asked(&system), &mut out);
    Ok(String::from_utf8_lossy(out.trim_ascii_end()).into_owned())
}
