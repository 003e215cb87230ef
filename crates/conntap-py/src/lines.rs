//! `LineFormatter`: records as lines and datagrams.

use std::sync::{Mutex, MutexGuard, PoisonError};

use conntap_core::ledger::lines::{Chosen, Framing, Journal, Layout, Lines, Style, Syslog, Ulogd, UnknownField};
use conntap_sys::clock;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::batch::Batch;
use crate::errors::UsageError;

/// Writes records as lines: JSON, ulogd's JSON, CSV, syslog, and what journald takes.
#[pyclass(frozen, module = "conntap._core")]
pub struct LineFormatter {
    lines: Mutex<Lines>,
    utc_offset: Option<i32>,
}

impl LineFormatter {
    fn held(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds that the local time is ahead: as told, else the machine's zone when the batch was received.
    fn offset(&self, batch: &Batch) -> i32 {
        self.utc_offset.unwrap_or_else(|| {
            let received = batch.0.rows().last().map_or(0, |row| row.received_ns);
            clock::utc_offset_seconds(received.div_euclid(1_000_000_000))
        })
    }
}

#[pymethods]
impl LineFormatter {
    /// `format`: json, ulogd, csv, rfc5424, rfc3164 or journal; `framing`: none, lf or octets.
    #[new]
    #[pyo3(signature = (format, *, fields=None, utc_offset=None, framing="none", device="Netfilter", facility=16,
        severity=6, host="-", app="conntap", procid="-", limit=None))]
    #[allow(clippy::too_many_arguments)] // by keyword only
    fn new(
        format: &str,
        fields: Option<Vec<String>>,
        utc_offset: Option<i32>,
        framing: &str,
        device: &str,
        facility: u8,
        severity: u8,
        host: &str,
        app: &str,
        procid: &str,
        limit: Option<usize>,
    ) -> PyResult<Self> {
        let chosen = match fields {
            None => Chosen::all(),
            Some(names) => Chosen::of(&names)
                .map_err(|UnknownField(name)| UsageError::new_err(format!("there is no field '{name}'")))?,
        };
        let syslog = |layout| {
            Style::Syslog(Syslog {
                layout,
                facility,
                severity,
                host: host.into(),
                app: app.into(),
                procid: procid.into(),
                limit: limit.unwrap_or(usize::MAX),
            })
        };
        let style = match format {
            "json" => Style::Json,
            "ulogd" => Style::Ulogd(Ulogd { device: device.into() }),
            "csv" => Style::Csv(Box::default()),
            "rfc5424" => syslog(Layout::Rfc5424),
            "rfc3164" => syslog(Layout::Rfc3164),
            "journal" => Style::Journal(Journal { facility, severity, app: app.into() }),
            _ => return Err(UsageError::new_err(format!("unknown format '{format}'"))),
        };
        let framing = match framing {
            "none" => Framing::None,
            "lf" => Framing::LineFeed,
            "octets" => Framing::Octets,
            _ => return Err(UsageError::new_err(format!("unknown framing '{framing}': none, lf or octets"))),
        };
        Ok(Self { lines: Mutex::new(Lines::new(style, framing, chosen)), utc_offset })
    }

    /// What stands before the first record (the header of CSV).
    fn head<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut out = Vec::new();
        self.held().head(&mut out);
        PyBytes::new(py, &out)
    }

    /// The rows of a batch, one behind another.
    fn format<'py>(&self, py: Python<'py>, batch: &Batch) -> Bound<'py, PyBytes> {
        let out = py.detach(|| {
            let mut out = Vec::with_capacity(batch.0.len() * 640);
            self.held().batch(&mut out, &batch.0, self.offset(batch));
            out
        });
        PyBytes::new(py, &out)
    }

    /// The rows of a batch, each for itself.
    fn datagrams<'py>(&self, py: Python<'py>, batch: &Batch) -> PyResult<Bound<'py, PyList>> {
        let (out, ends) = py.detach(|| {
            let (mut out, mut ends) = (Vec::with_capacity(batch.0.len() * 640), Vec::with_capacity(batch.0.len()));
            self.held().datagrams(&mut out, &mut ends, &batch.0, self.offset(batch));
            (out, ends)
        });
        let mut start = 0;
        PyList::new(
            py,
            ends.into_iter()
                .map(|end| PyBytes::new(py, out.get(std::mem::replace(&mut start, end)..end).unwrap_or_default()))
                .collect::<Vec<_>>(),
        )
    }

    /// Records so far that were too long for their datagram and lost optional parts.
    #[getter]
    fn shortened(&self) -> u64 {
        self.held().shortened()
    }
}
