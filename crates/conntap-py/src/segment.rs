//! `SegmentBuilder`: records as the sorted columns of a ledger's file.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::arrow_schema::{Field, Schema, SchemaRef};
use conntap_core::ledger::segment::{self, Builder, FIELDS, Inside, Options, Privacy};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrow::{ArrowTable, arrow, data_type, record_batch_of};
use crate::batch::Batch;
use crate::errors::UsageError;

/// Rows of one record batch.
const ROWS: usize = 122_880;

fn schema(options: &Options) -> SchemaRef {
    let fields = FIELDS.iter().filter(|field| segment::has_field(options, field));
    Arc::new(Schema::new(
        fields.map(|(_, name, kind, _)| Field::new(*name, data_type(*kind), true)).collect::<Vec<_>>(),
    ))
}

/// Collects records into a segment: columns sorted by outside address, port, protocol and start.
#[pyclass(frozen, module = "conntap._core")]
pub struct SegmentBuilder(Mutex<Builder>, Options);

impl SegmentBuilder {
    fn held(&self) -> MutexGuard<'_, Builder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl SegmentBuilder {
    #[new]
    #[pyo3(signature = (
        *, nat_only=false, keep_ids=false, no_destination=false, truncate=None, key=None, networks=vec![], seq=0
    ))]
    #[allow(clippy::too_many_arguments)] // all by name
    fn new(
        nat_only: bool,
        keep_ids: bool,
        no_destination: bool,
        truncate: Option<(u8, u8)>,
        key: Option<[u8; 16]>,
        networks: Vec<(IpAddr, u8)>,
        seq: u64,
    ) -> PyResult<Self> {
        let inside = match (truncate, key) {
            (None, None) => Inside::Keep,
            (Some((v4, v6)), None) => Inside::Truncate(v4, v6),
            (None, Some(key)) => {
                let [a, b] =
                    [0, 8].map(|at| key.iter().skip(at).take(8).fold(0, |word, byte| (word << 8) | u64::from(*byte)));
                Inside::Pseudonym([a, b])
            }
            (Some(_), Some(_)) => {
                return Err(UsageError::new_err("addresses are truncated or get pseudonyms, not both"));
            }
        };
        let privacy = Privacy { no_destination, inside, networks };
        let options = Options { nat_only, keep_ids, privacy, seq };
        Ok(Self(Mutex::new(Builder::new(options.clone())), options))
    }

    /// Take in records and gaps; those with a number that has come already are not taken again.
    fn append(&self, py: Python<'_>, batch: &Batch) {
        py.detach(|| self.held().append(&batch.0));
    }

    fn __len__(&self) -> usize {
        self.held().len()
    }

    /// Bytes of memory that it takes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.held().memory()
    }

    /// What it holds and what it did not take, by name.
    #[getter]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.held().stats().clone();
        let made = PyDict::new(py);
        let [flows, interims, bindings, opened] = stats.kinds;
        for (name, value) in [
            ("first_seq", stats.first_seq),
            ("last_seq", stats.last_seq),
            ("numbered", stats.numbered),
            ("repeated", stats.repeated),
            ("without_nat", stats.without_nat),
            ("other", stats.other),
            ("flows", flows),
            ("interims", interims),
            ("bindings", bindings),
            ("open", opened),
            ("snat", stats.source_nat),
            ("dnat", stats.destination_nat),
        ] {
            made.set_item(name, value)?;
        }
        made.set_item("min_start_ns", stats.min_start_ns)?;
        made.set_item("max_stop_ns", stats.max_stop_ns)?;
        made.set_item("min_out_addr", stats.out4.map(|(least, _)| least))?;
        made.set_item("max_out_addr", stats.out4.map(|(_, most)| most))?;
        made.set_item("ipv6", stats.wide)?;
        Ok(made)
    }

    /// Gaps that came among the records, fields as in docs/fields.md.
    #[getter]
    fn gaps<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let gaps = self.held().gaps().to_vec();
        gaps.iter()
            .map(|gap| {
                let made = PyDict::new(py);
                made.set_item("seq", gap.seq)?;
                made.set_item("cause", gap.cause.name())?;
                made.set_item("after_ns", gap.after_ns)?;
                made.set_item("before_ns", gap.before_ns)?;
                made.set_item("lost", gap.lost)?;
                made.set_item("alive", gap.alive)?;
                made.set_item("ended", gap.ended)?;
                Ok(made)
            })
            .collect()
    }

    /// What has grown, as a builder of its own; this one is empty again and goes on counting.
    fn take(&self) -> Self {
        Self(Mutex::new(self.held().take()), self.1.clone())
    }

    /// The columns, sorted.
    fn finish(&self, py: Python<'_>) -> PyResult<ArrowTable> {
        let schema = schema(&self.1);
        let made = py.detach(|| {
            self.held()
                .parts(ROWS)
                .into_iter()
                .map(|part| record_batch_of(part.columns, part.rows, &schema))
                .collect::<Result<Vec<_>, _>>()
        });
        Ok(ArrowTable { batches: made.map_err(|error| arrow(&error))?, schema })
    }

    /// Names of the columns that a segment has.
    #[staticmethod]
    #[pyo3(signature = (*, nat_only=false))]
    fn names(nat_only: bool) -> Vec<&'static str> {
        FIELDS.iter().filter(|(_, _, _, always)| *always || !nat_only).map(|(_, name, _, _)| *name).collect()
    }
}
